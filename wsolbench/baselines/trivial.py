"""Network-free baselines: the scores that are possible without looking at the photo.

Four of them are independent of the image; the fifth is the annotated mask resized to the size of a
map, which gives the best score that maps of that size can reach. None needs PyTorch or photos.

Conventions: a map covers its whole image, whatever the image's shape; each position is a cell of
the image, and its value is the mean over the cell. Maps are uint8, round(255 * value).
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import __version__
from ..data.dataset import Dataset
from ..errors import WsolbenchError, require_choice
from ..formats.submission.rules import LABELS, MAX_SIDE, SubmissionHeader
from ..formats.submission.writer import SubmissionWriter
from ..maps.storage import STORED_AS, stored
from ..progress import Progress

__all__ = ["TRIVIAL", "mean_over_cells", "predict_trivial", "trivial_map"]

SIGMA = 0.25
"""Standard deviation of the Gaussian as a fraction of the map's side."""

BOX_SIDE = 0.7
"""Side of the centre box as a fraction of the image's side: half of the image's area."""

_BATCH = 256


@dataclass(frozen=True)
class _Trivial:
    """The description of a baseline in a submission; `parameters` without the map's size."""

    name: str
    normalisation: str
    parameters: Mapping[str, object] = field(default_factory=dict)


TRIVIAL: Mapping[str, _Trivial] = MappingProxyType(
    {
        "centre-gaussian": _Trivial(
            "Centre Gaussian", "min-max of the Gaussian", {"sigma_of_side": SIGMA}
        ),
        "whole-image": _Trivial("Whole image", "1 everywhere"),
        "centre-box": _Trivial(
            "Centre box", "share of each cell that the box covers", {"box_of_side": BOX_SIDE}
        ),
        "noise": _Trivial("Noise", "levels 0 to 255, all alike likely"),
        "mask": _Trivial("Mask", "share of each cell that the mask covers"),
    }
)
"""The network-free baselines by name."""


def predict_trivial(
    dataset: Dataset,
    out: str | os.PathLike[str],
    name: str,
    *,
    size: int = 28,
    seed: int = 0,
    label: str = "gt",
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> None:
    """Write the maps of a network-free baseline as a submission.

    Args:
        dataset: one split; photos are not needed.
        out: the submission, written atomically.
        name: a key of `TRIVIAL`.
        size: side of the map in positions.
        seed: the seed of "noise"; the others ignore it.
        label: "gt" or "predicted", as the maps beside which they are scored: they depend on no
            class, so the same maps stand for both.
        resume: continue an unfinished run.
        overwrite: discard an unfinished run.
        progress: called with (images done, images).

    Raises:
        WsolbenchError: the name or label is unknown, the size or seed is out of range, or the file
            cannot be written.
    """
    require_choice("baseline", name, TRIVIAL)
    require_choice("label", label, LABELS)
    for what, value, low, high in (("size", size, 1, MAX_SIDE), ("seed", seed, 0, 2**63 - 1)):
        if not low <= value <= high:
            raise WsolbenchError(
                what,
                found=str(value),
                expected=f"{low} to {high}",
                cure="pass a number in this range",
            )
    if name == "mask":
        dataset.require_masks("the baseline of masks")
    rng = np.random.default_rng(seed)
    kind = TRIVIAL[name]
    method: dict[str, Any] = {
        "name": f"{kind.name} at {size}x{size}" if name == "mask" else kind.name,
        "code": f"wsolbench {__version__}",
        "parameters": {"map_size": size, **kind.parameters},
        "class_agnostic": True,
    }
    if name == "noise":
        method["seed"] = seed
    header = SubmissionHeader(
        dataset=dataset.name,
        split=dataset.split,
        label=label,
        normalisation=f"{kind.normalisation}; {STORED_AS['uint8']}",
        method=method,
    )
    batch = max(1, min(_BATCH, (64 << 20) // size**2))
    inputs = {"annotations": dataset.store.content_sha256}
    with SubmissionWriter(out, header, resume=resume, overwrite=overwrite, inputs=inputs) as writer:
        for start in range(0, len(dataset), batch):
            rows = range(start, min(start + batch, len(dataset)))
            maps = _maps(dataset, rows, name, size, rng)
            pending = [row for row in rows if dataset.image_ids[row] not in writer.written]
            ids = [dataset.image_ids[row] for row in pending]
            writer.append(ids, [maps[row - start] for row in pending])
            if progress is not None:
                progress(rows.stop, len(dataset))


def trivial_map(name: str, size: int) -> NDArray[np.float64]:
    """A map that is the same for every image.

    Args:
        name: "centre-gaussian", "whole-image" or "centre-box".
        size: side of the map in positions.

    Returns:
        float64 (size, size) in [0, 1].
    """
    if name == "whole-image":
        return np.ones((size, size))
    if name == "centre-box":
        covered = _covered((1 - BOX_SIDE) / 2, (1 + BOX_SIDE) / 2, size)
        return np.outer(covered, covered)
    middles = (np.arange(size) + 0.5) / size - 0.5
    bell = np.exp(-(middles**2) / (2 * SIGMA**2))
    map_: NDArray[np.float64] = np.outer(bell, bell)
    low, high = map_.min(), map_.max()
    # A map with a side of one or two positions is constant, without contrast to scale.
    return (map_ - low) / (high - low) if high > low else np.ones((size, size))


def mean_over_cells(mask: NDArray[np.bool_], size: int) -> NDArray[np.float64]:
    """The fraction of each cell that a mask covers, exact if cells split pixels.

    Args:
        mask: bool (height, width).
        size: number of cells per side.

    Returns:
        float64 (size, size) in [0, 1].
    """
    down, across = (_averaging(side, size) for side in mask.shape)
    shares: NDArray[np.float64] = down @ mask.astype(np.float64) @ across.T
    return np.clip(shares, 0.0, 1.0)  # rounding errors may exceed 1


def _maps(
    dataset: Dataset, rows: Sequence[int], name: str, size: int, rng: np.random.Generator
) -> NDArray[np.uint8]:
    if name == "noise":
        # One draw per image, so that maps do not depend on the batch size.
        drawn = [rng.integers(256, size=(size, size), dtype=np.uint8) for _ in rows]
        return np.stack(drawn)
    if name == "mask":
        return np.stack([stored(mean_over_cells(dataset[row].mask, size), "uint8") for row in rows])
    return np.broadcast_to(stored(trivial_map(name, size), "uint8"), (len(rows), size, size))


def _covered(low: float, high: float, size: int) -> NDArray[np.float64]:
    """The fraction of each of `size` equal parts of [0, 1] that [low, high] covers."""
    edges = np.arange(size + 1) / size
    inside = np.minimum(edges[1:], high) - np.maximum(edges[:-1], low)
    return np.asarray(np.clip(inside * size, 0.0, 1.0))


def _averaging(side: int, size: int) -> NDArray[np.float64]:
    """Weights (size, side) that average `side` pixels over `size` equal cells."""
    cell, pixel = np.arange(size)[:, None], np.arange(side)[None]
    # In units of 1 / (side * size), so that borders are integers.
    overlap = np.minimum((cell + 1) * side, (pixel + 1) * size) - np.maximum(
        cell * side, pixel * size
    )
    return np.asarray(np.maximum(overlap, 0) / side)
