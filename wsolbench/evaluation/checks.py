"""Checks of maps, options and data before anything is scored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.dataset import Dataset
from ..errors import WsolbenchError, some
from ..formats.result import Bootstrap
from ..formats.submission.reader import Submission
from ..metrics.levels import check_map
from ..protocols import Protocol
from ..protocols.record import Averaging
from .families import ALWAYS, FAMILIES, fitting
from .groups import KINDS

__all__ = [
    "bad_row",
    "check_bootstrap",
    "check_match",
    "check_options",
    "checked_map",
    "checked_metrics",
    "checked_rows",
    "classes_averaged",
]


def check_match(dataset: Dataset, submission: Submission) -> None:
    """Refuse a submission that was not made for this data set and split.

    Raises:
        WsolbenchError: it states another, or holds images that the split does not.
    """
    header = submission.header
    for name, theirs, ours in (
        ("data set", header.dataset, dataset.name),
        ("split", header.split, dataset.split),
    ):
        if theirs != ours:
            raise WsolbenchError(
                submission.path,
                found=f"maps of {name} {theirs!r}",
                expected=repr(ours),
                cure=f"evaluate on the {name} of the maps",
                exit_status=1,
            )
    store = dataset.store
    held = {
        i for i, split in zip(store.image_ids, store.splits, strict=True) if split == dataset.split
    }
    strangers = [image_id for image_id in submission.image_ids if image_id not in held]
    if strangers:
        raise WsolbenchError(
            submission.path,
            found=f"{len(strangers)} images that {dataset.name} {dataset.split} does not hold: "
            f"{some(strangers)}",
            expected=f"only maps of its {len(held)} images",
            cure="evaluate the split that the maps were made for",
            exit_status=1,
        )


def check_options(
    protocols: Sequence[Protocol],
    *,
    threshold: bool = False,
    per_image: bool = False,
    by: Sequence[str] = (),
) -> None:
    """Raise if a protocol does not support an option.

    Args:
        protocols: to score under.
        threshold: whether a threshold is carried or fixed.
        per_image: whether scores of each image are wanted.
        by: groups whose scores are wanted.

    Raises:
        WsolbenchError: one of these, and a protocol whose thresholds cannot be carried; no such
            kind of group.
    """
    unknown = [kind for kind in by if kind not in KINDS]
    if unknown:
        raise WsolbenchError(
            "by", found=some(unknown), expected=" or ".join(KINDS), cure="name some of these"
        )
    others = [protocol.name for protocol in protocols if not protocol.carries_thresholds]
    asked = {"threshold": threshold, "per-image scores": per_image, "groups": bool(by)}
    for name, wanted in asked.items():
        if wanted and others:
            raise WsolbenchError(
                name,
                found=f"protocol {some(others)}",
                expected="protocol sem, because this one fixes or searches its own thresholds",
                cure="leave the option out, or use --protocol sem alone",
            )


def check_bootstrap(bootstrap: Bootstrap | None) -> None:
    """Raise if a number stands where a `Bootstrap` should.

    Raises:
        WsolbenchError: neither None nor a Bootstrap.
    """
    if not isinstance(bootstrap, (Bootstrap, type(None))):
        raise WsolbenchError(
            "bootstrap",
            found=repr(bootstrap),
            expected="a wsolbench.Bootstrap",
            cure="pass Bootstrap(resamples), e.g. Bootstrap(1000)",
        )


def checked_map(name: str, map_: Any) -> NDArray[Any]:
    """A map from memory as a legal array.

    Raises:
        WsolbenchError: no array, another shape or type, values out of [0, 1].
    """
    try:
        if hasattr(map_, "detach"):  # a tensor, perhaps on another device or with gradients
            map_ = map_.detach().cpu()
            map_ = (map_.float() if map_.is_floating_point() else map_).numpy()
        plane = np.asarray(map_)
    except (TypeError, ValueError, RuntimeError) as error:
        raise WsolbenchError(
            f"map of {name}",
            found=f"a {type(map_).__name__} that is no array ({error})",
            expected="an array (h, w)",
            cure="convert it, e.g. numpy.float32(map)",
        ) from error
    check_map(plane, name)
    return plane


def checked_rows(name: str, rows: Any, count: int, width: int) -> NDArray[np.integer[Any]]:
    """Classes or boxes from memory as integers (count, width).

    Raises:
        WsolbenchError: another type or shape.
    """
    given = np.asarray(rows)
    if given.shape != (count, width) or given.dtype.kind not in "iu":
        raise WsolbenchError(
            name,
            found=f"{given.dtype} of shape {given.shape}",
            expected=f"integers ({count}, {width})",
            cure="pass one row an image",
        )
    return given


def bad_row(
    name: str, image_id: str, row: NDArray[np.integer[Any]], expected: str
) -> WsolbenchError:
    """The error for a row of classes or boxes that is not legal."""
    return WsolbenchError(
        f"{name} of {image_id}",
        found=str(row.tolist()),
        expected=expected,
        cure="correct it, and check the file with wsolbench validate",
        exit_status=1,
    )


def checked_metrics(
    dataset: Dataset, metrics: Sequence[str] | None, protocol: Protocol
) -> tuple[str, ...]:
    """The metric families to score: those requested, as far as the protocol defines them.

    Raises:
        WsolbenchError: an unknown one, none that the protocol defines, box scores where an image
            has no box.
    """
    unboxed = int((dataset.store.box_counts[dataset.rows] == 0).sum())
    if metrics is None and "pixel" in protocol.metrics:
        return protocol.metrics if not unboxed else ("pixel",)
    asked = protocol.metrics if metrics is None else metrics
    known = [name for name in FAMILIES if name != ALWAYS]
    unknown = [name for name in asked if name not in known]
    if unknown or not asked:
        raise WsolbenchError(
            "metrics",
            found=some(unknown) or "none",
            expected=" or ".join(known),
            cure="name one or more of these",
        )
    defined = fitting(protocol)
    kept = tuple(name for name in defined if name in asked)
    if not kept:
        raise WsolbenchError(
            "metrics",
            found=f"{some(asked)} under protocol {protocol.name}",
            expected=" or ".join(defined),
            cure="request one of these, or another protocol (see wsolbench protocols)",
        )
    if "box" in kept and unboxed:
        raise WsolbenchError(
            dataset.store.path,
            found=f"{unboxed} of {len(dataset)} images without box",
            expected="boxes for box scores",
            cure="import boxes too, or use --metrics pixel",
        )
    return kept


def classes_averaged(dataset: Dataset, protocol: Protocol) -> int:
    """How many classes a protocol averages over; 0 where it averages over images."""
    if protocol.averaging is not Averaging.CLASSES:
        return 0
    unknown = int((dataset.class_indices < 0).sum())
    if unknown:
        raise WsolbenchError(
            dataset.store.path,
            found=f"{unknown} of {len(dataset)} images without class",
            expected=f"a class for each, since protocol {protocol.name} averages over classes",
            cure="import the classes too, or use another protocol",
        )
    return int(dataset.class_indices.max()) + 1
