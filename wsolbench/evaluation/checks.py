"""Checks of maps, options and data before anything is scored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.dataset import Dataset
from ..errors import WsolbenchError, meant, one_of, require_type, some
from ..formats.result import GROUPS, Bootstrap, Threshold
from ..formats.submission.reader import Submission
from ..formats.submission.rules import TOP5_RULE, unknown_classes
from ..image_ids import are_file_names, bare_name
from ..metrics.choices import BoundaryRule
from ..metrics.levels import check_map
from ..metrics.map_values import MAP_DTYPES, array_of
from ..protocols import Protocol
from ..protocols.record import Averaging
from ..scores import LEVELS
from .families import ALWAYS, EDGES, FAMILIES, LEVELS_ALONE, ON_REQUEST, fitting, need_maps

__all__ = [
    "MOST_CLASSES",
    "bad_row",
    "check_against_data",
    "check_bootstrap",
    "check_given",
    "check_match",
    "check_options",
    "checked_boundary",
    "checked_ids",
    "checked_map",
    "checked_metrics",
    "checked_rows",
    "checked_threshold",
    "classes_averaged",
    "default_metrics",
    "lacking",
]

MOST_RESAMPLES = 100_000
"""Resamples take memory, and no interval needs more."""

MOST_CLASSES = 100_000
"""Classes that a protocol averages over at most: counts of each are kept for each image."""


def check_match(dataset: Dataset, submission: Submission) -> None:
    """Refuse a submission that was not made for this data set and split.

    Raises:
        WsolbenchError: it states another, or holds images that the split does not.
    """
    require_type("dataset", dataset, (Dataset,), "a wsolbench.Dataset")
    require_type("submission", submission, (Submission,), "wsolbench.Submission.open(path)")
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
    if are_file_names(strangers, held):
        raise WsolbenchError(
            submission.path,
            found=f"{len(strangers)} file names instead of image ids: {some(strangers)}",
            expected=f"ids without folder and ending, such as {bare_name(strangers[0])}",
            cure="write the submission with these ids",
            exit_status=1,
        )
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
    unknown = [kind for kind in by if kind not in GROUPS]
    if unknown:
        raise WsolbenchError(
            "by",
            found=some(unknown),
            expected=one_of(GROUPS),
            cure=meant(unknown, GROUPS, "name some of these"),
        )
    others = [protocol.name for protocol in protocols if not protocol.carries_thresholds]
    asked = {"threshold": threshold, "per-image scores": per_image, "by": bool(by)}
    for name, wanted in asked.items():
        if wanted and others:
            raise WsolbenchError(
                name,
                found=f"protocol {some(others)}",
                expected="protocol sem (others fix or search their own thresholds)",
                cure="leave it out, or use protocol sem alone",
            )


def check_bootstrap(bootstrap: Bootstrap | None) -> None:
    """Raise if intervals cannot be drawn like this.

    Raises:
        WsolbenchError: neither None nor a Bootstrap; fewer than one resample, a negative seed, a
            level that is not between 0 and 1.
    """
    if not isinstance(bootstrap, (Bootstrap, type(None))):
        raise WsolbenchError(
            "bootstrap",
            found=repr(bootstrap),
            expected="a wsolbench.Bootstrap",
            cure="pass Bootstrap(resamples), e.g. Bootstrap(1000)",
        )
    if bootstrap is None:
        return
    # Larger seeds are not exact in every reader of JSON.
    for name, least, most in (("resamples", 1, MOST_RESAMPLES), ("seed", 0, (1 << 53) - 1)):
        value = getattr(bootstrap, name)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise WsolbenchError(
                f"bootstrap.{name}",
                found=repr(value)[:40],
                expected=f"an integer from {least} to {most}",
                cure="correct it, e.g. Bootstrap(1000, seed=0)",
            )
    if not isinstance(bootstrap.level, float) or not 0 < bootstrap.level < 1:
        raise WsolbenchError(
            "bootstrap.level",
            found=repr(bootstrap.level),
            expected="a fraction between 0 and 1",
            cure="correct it, e.g. level=0.95",
        )


def checked_threshold(threshold: Threshold, families: Sequence[str]) -> Threshold:
    """A threshold from outside, if its fields go together.

    Args:
        threshold: under a protocol whose thresholds can be given.
        families: the metric families that are read at a threshold, of "pixel" and "box".

    Raises:
        WsolbenchError: an unknown rule, a level that is not from 0 to 255, one under the rule
            "max", none for a family that needs it, a carried one without source.
    """
    levels = {"pixel": threshold.pixel, "box": threshold.box}
    given = {family: level for family, level in levels.items() if level is not None}
    problem = ""
    if threshold.rule == "per_image" or threshold.per_image is not None:
        if threshold != Threshold("per_image", per_image=str(threshold.own)):
            problem = 'the rule "per_image" with levels, a source or no rule of each map'
    elif threshold.rule not in ("max", "carried", "fixed"):
        problem = f"the rule {threshold.rule!r}"
    elif any(type(level) is not int or not 0 <= level < LEVELS for level in given.values()):
        problem = f"the levels {some([*given.values()])}"
    elif threshold.rule == "max" and given:
        problem = 'a level under the rule "max"'
    elif threshold.rule != "max" and not set(families) <= set(given):
        problem = f"no level of {some([name for name in families if name not in given])} scores"
    elif threshold.rule == "carried" and not {"method", "split"} <= {*(threshold.source or ())}:
        problem = "a carried level without the method and split that it is from"
    if problem:
        raise WsolbenchError(
            "threshold",
            found=problem,
            expected='the rule "max", or "fixed" or "carried" with levels from 0 to 255',
            cure="pass one integer, the result whose thresholds are carried, or a rule such as "
            "'otsu'",
        )
    return threshold


def checked_ids(image_ids: Sequence[str]) -> list[str]:
    """Image ids from memory as texts.

    Raises:
        WsolbenchError: a single text, or items of another type.
    """
    if isinstance(image_ids, str):
        raise WsolbenchError(
            "image_ids",
            found=f"the text {image_ids!r}",
            expected="a list of image ids",
            cure="pass a list, even of one id",
        )
    names = list(image_ids)
    other = next((name for name in names if not isinstance(name, str)), None)
    if other is not None:
        decode = isinstance(other, bytes)
        raise WsolbenchError(
            "image_ids",
            found=f"{other!r} of type {type(other).__name__}",
            expected="texts",
            cure="decode them: image_id.decode()"
            if decode
            else "pass the ids as dataset.image_ids",
        )
    return list(map(str, names))


def checked_boundary(rule: BoundaryRule | None, metrics: Sequence[str]) -> BoundaryRule:
    """How boundaries are scored.

    Raises:
        WsolbenchError: another type, or a rule where no boundaries are scored.
    """
    require_type("boundary", rule, (BoundaryRule, type(None)), "a wsolbench.BoundaryRule")
    if rule is not None and EDGES not in metrics:
        raise WsolbenchError(
            "boundary",
            found=f"a rule for boundaries, and the metrics {some(metrics)}",
            expected=f"{EDGES} among the metrics",
            cure="request it (--metrics boundary), or leave the rule out",
        )
    return rule or BoundaryRule()


def check_given(metrics: Sequence[str], *, maps: bool, edges: bool) -> None:
    """Raise if maps or edges are missing that the metrics need, or edges have no effect.

    Args:
        metrics: metric families that are scored.
        maps: whether there are maps.
        edges: whether there are edges.
    """
    problem = ""
    if need_maps(metrics) and not maps:
        problem = "no maps"
    elif EDGES in metrics and not edges:
        problem = "no edges"
    elif edges and EDGES not in metrics:
        problem = "edges"
    if problem:
        raise WsolbenchError(
            "update",
            found=f"{problem} for the metrics {some(metrics)}",
            expected="maps for pixel and box scores, edges for boundary scores",
            cure="pass them, or choose other metrics: Evaluator(dataset, metrics=[...])",
        )


def checked_map(name: str, map_: Any, of: str = "map") -> NDArray[Any]:
    """A map from memory as a legal array (h, w).

    Floats of other precisions and truth values become float32, as `array_of` does with tensors.

    Args:
        name: its image.
        map_: anything.
        of: what it is, for messages.

    Raises:
        WsolbenchError: no array, another shape or type, values out of [0, 1].
    """
    try:
        plane = array_of(map_)
    except WsolbenchError as error:
        raise WsolbenchError(
            f"{of} of {name}", found=error.found, expected=error.expected, cure=error.cure
        ) from error
    if plane.ndim == 3 and len(plane) == 1:
        plane = plane[0]
    if plane.dtype.kind in "fb" and plane.dtype.name not in MAP_DTYPES:
        with np.errstate(over="ignore"):  # infinite values are refused below
            plane = plane.astype(np.float32)
    check_map(plane, name, of)
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
            cure="pass integers, such as np.rint(rows).astype(int)"
            if given.dtype.kind == "f"
            else "pass one row an image",
        )
    return given


def bad_row(
    name: str, image_id: str, row: NDArray[Any], expected: str, cure: str = "correct it"
) -> WsolbenchError:
    """The error for a row of classes or boxes that is not legal."""
    return WsolbenchError(
        f"{name} of {image_id}",
        found=str(row.tolist()),
        expected=expected,
        cure=cure,
        exit_status=1,
    )


def check_against_data(
    dataset: Dataset,
    protocol: Protocol,
    metrics: Sequence[str],
    indices: Sequence[int],
    top5: NDArray[np.integer[Any]] | None,
    boxes: NDArray[np.integer[Any]] | None,
) -> None:
    """Refuse classes that the data set does not have, and boxes beyond their images.

    Args:
        dataset: the images.
        protocol: they are scored under.
        metrics: metric families that are scored.
        indices: (n,), places of the images in the data set.
        top5: int (n, 5), or None.
        boxes: int (n, 4), or None.

    Raises:
        WsolbenchError: one of these, or boxes under a protocol that infers them from maps.
    """
    store, kept = dataset.store, dataset.rows[list(indices)]
    if boxes is not None and "box" in metrics and not protocol.takes_boxes:
        raise WsolbenchError(
            "boxes",
            found="boxes that the method predicts itself",
            expected=f"none, since protocol {protocol.name} infers boxes from maps",
            cure="use protocol sem, or submit the maps without boxes",
        )
    checks = []
    if top5 is not None and store.classes:
        expected = f"{TOP5_RULE}, all below {len(store.classes)}"
        checks.append(("top5", top5, unknown_classes(top5, len(store.classes)), expected))
    if boxes is not None:
        beyond = (boxes[:, 2] > store.widths[kept]) | (boxes[:, 3] > store.heights[kept])
        checks.append(("boxes", boxes, beyond, "x0 < x1, y0 < y1 within the image"))
    for name, rows, wrong, expected in checks:
        if wrong.any():
            row = int(wrong.argmax())
            image_id = dataset.image_ids[indices[row]]
            cure = "correct it; wsolbench validate checks a whole file"
            raise bad_row(name, image_id, rows[row], expected, cure)


def checked_metrics(
    dataset: Dataset, metrics: Sequence[str] | None, protocol: Protocol
) -> tuple[str, ...]:
    """The metric families to score: those requested, as far as the protocol defines them.

    Raises:
        WsolbenchError: an unknown one, none that the protocol defines, box scores where an image
            has no box, pixel scores where one has no mask, boundaries where one has ignored pixels.
    """
    bare = lacking(dataset)
    defined = fitting(protocol)
    asked = default_metrics(dataset, protocol) if metrics is None else metrics
    known = [name for name in FAMILIES if name != ALWAYS]
    unknown = [name for name in asked if name not in known]
    if unknown or not asked:
        raise WsolbenchError(
            "metrics",
            found=some(unknown) or "none",
            expected=one_of(known),
            cure=meant(unknown, known, "name one or more of these"),
        )
    kept = tuple(name for name in defined if name in asked)
    if not kept:
        raise WsolbenchError(
            "metrics",
            found=f"{some(asked)} under protocol {protocol.name}",
            expected=one_of(defined),
            cure="request one of these, or another protocol (see wsolbench protocols)",
        )
    if kept == (LEVELS_ALONE,):
        raise WsolbenchError(
            "metrics",
            found="levels alone, of which no score is formed",
            expected="other metrics beside them",
            cure="request box scores too (--metrics box,levels)",
        )
    impossible = [name for name in kept if _lacks(name, bare)]
    if impossible:
        missing = _lacks(impossible[0], bare)
        raise WsolbenchError(
            dataset.store.path,
            found=f"{bare[missing]} of {len(dataset)} images without {missing}",
            expected=f"a {missing} of every image for {impossible[0]} scores",
            cure=f"import {_PLURALS[missing]} too, leave these images out (--ids), or request "
            f"other scores (--metrics)",
        )
    if EDGES in kept:
        _require_every_pixel(dataset)
    return kept


def default_metrics(
    dataset: Dataset, protocol: Protocol, *, maps: bool = True, edges: bool = False
) -> list[str]:
    """The metric families that are scored unless others are requested.

    Args:
        dataset: families that need a mask or box of every image are left out where some lack it,
            unless that leaves none.
        protocol: which families it defines.
        maps: whether there are localization maps.
        edges: whether there are edges.
    """
    bare = lacking(dataset)
    usual = [name for name in fitting(protocol) if name not in ON_REQUEST]
    given = [name for name in usual if (edges if name == EDGES else maps)]
    return [name for name in given if not _lacks(name, bare)] or given


def _require_every_pixel(dataset: Dataset) -> None:
    """Refuse boundaries where some pixels are neither object nor ground."""
    starts = dataset.store.packed("ignored", dataset.rows).starts
    ignored = int((np.diff(starts) > 0).sum())
    if ignored:
        raise WsolbenchError(
            dataset.store.path,
            found=f"{ignored} of {len(dataset)} images with pixels that are neither object nor "
            "ground",
            expected="none, since such pixels leave open where the boundary is",
            cure="leave these images out (--ids), or request other scores (--metrics pixel,box)",
        )


_PLURALS = {"mask": "masks", "box": "boxes"}


def lacking(dataset: Dataset) -> dict[str, int]:
    """How many images have no mask and how many no box, by "mask" and "box"; only if some."""
    counts = {
        "mask": len(dataset.without_mask),
        "box": int((dataset.store.box_counts[dataset.rows] == 0).sum()),
    }
    return {kind: count for kind, count in counts.items() if count}


def _lacks(family: str, bare: Mapping[str, int]) -> str:
    """What some images lack that a metric family needs of each; empty if nothing."""
    own = FAMILIES[family]
    needed = {"mask": own.NEEDS_MASKS, "box": own.NEEDS_BOXES}
    return next((kind for kind in bare if needed[kind]), "")


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
    classes = int(dataset.class_indices.max()) + 1
    if classes > MOST_CLASSES:
        raise WsolbenchError(
            dataset.store.path,
            found=f"class {classes - 1}",
            expected=f"at most {MOST_CLASSES} classes under protocol {protocol.name}",
            cure="number the classes from 0, or use another protocol",
        )
    return classes
