"""Pixel scores: the IoU-Threshold curve, precision and recall, average precision.

Source: paper sections 3.1 and 4.1.2. Everything follows from two histograms of levels, on the
object and off it, so that one image, many, or the whole data set are scored by the same functions:
arrays here are int64 (..., 2, bins), one pair of histograms or any stack of them.

A pixel is foreground at threshold T when its level is at least T, or above T where a protocol says
so. A ratio of nothing to nothing is 0, except precision where nothing is foreground, which is 1: no
pixel called foreground is wrong.

The second part is the metric family (see `family`).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import WsolbenchError
from . import bin_kernels, kernels
from .choices import Comparator, PixelScore, Reduction
from .curves import area_of_steps, read_pixels, sum_of_steps
from .family import Images, Reading, Scored, Statistics, Sums, units
from .sum_kernels import curve_steps

__all__ = [
    "NEEDS_BOXES",
    "NEEDS_MASKS",
    "READ_AT",
    "average_precision",
    "bins_of",
    "columns",
    "columns_at",
    "count_bins",
    "count_pixels",
    "empty",
    "fits",
    "iou",
    "measure",
    "precision",
    "reach",
    "recall",
    "scores",
]

_NOWHERE = np.empty((0, 0), dtype=np.bool_)


def count_pixels(
    levels: NDArray[np.uint8], mask: NDArray[np.bool_], ignore: NDArray[np.bool_] | None = None
) -> NDArray[np.int64]:
    """Histograms of an image's levels.

    Args:
        levels: uint8 (height, width).
        mask: bool (height, width), true on the object.
        ignore: bool (height, width), true where a pixel counts nowhere.

    Returns:
        int64 (2, 256): row 0 counts pixels off the object, row 1 those on it.

    Raises:
        WsolbenchError: shapes that differ.
    """
    for name, other in (("mask", mask), ("ignore", ignore)):
        if other is not None and other.shape != levels.shape:
            raise WsolbenchError(
                name,
                found=f"shape {other.shape}",
                expected=f"{levels.shape} as the levels have",
                cure="bring the map to the size of the mask",
            )
    return kernels.count_levels(
        np.ascontiguousarray(levels),
        np.ascontiguousarray(mask, np.bool_),
        _NOWHERE if ignore is None else np.ascontiguousarray(ignore, np.bool_),
    )


def bins_of(values: NDArray[Any], edges: NDArray[np.float64]) -> NDArray[np.uint16]:
    """The bin of each value.

    Args:
        values: of any shape, none below the first edge.
        edges: float64 (n,), ascending, evenly spaced or nearly so; bin i holds
            edges[i] <= value < edges[i + 1], the last one all from its edge up.
    """
    compiled = values.dtype in (np.float32, np.float64)
    flat = (values if compiled else values.astype(np.float64)).ravel()
    return np.asarray(bin_kernels.bins_of(flat, np.ascontiguousarray(edges, np.float64))).reshape(
        values.shape
    )


def count_bins(
    bins: NDArray[np.uint16],
    number: int,
    mask: NDArray[np.bool_],
    ignore: NDArray[np.bool_] | None = None,
) -> NDArray[np.int64]:
    """Histograms of an image's bins, of which there may be more than 256.

    Args:
        bins: (height, width), each below `number`.
        number: of bins.
        mask: bool (height, width), true on the object.
        ignore: bool (height, width), true where a pixel counts nowhere.

    Returns:
        int64 (2, number): row 0 counts pixels off the object, row 1 those on it.
    """
    ignored = _NOWHERE if ignore is None else ignore
    counts: NDArray[np.int64] = bin_kernels.count_bins(
        bins.ravel(),
        number,
        np.ravel(mask).astype(np.bool_, copy=False),
        np.ravel(ignored).astype(np.bool_, copy=False),
    )
    return counts


def reach(histogram: NDArray[np.int64]) -> NDArray[np.int64]:
    """Pixels of at least each level: int64 (..., 256), falling along the last axis."""
    return np.cumsum(histogram[..., ::-1], axis=-1, dtype=np.int64)[..., ::-1]


def iou(
    counts: NDArray[np.int64], comparator: Comparator = Comparator.AT_LEAST
) -> NDArray[np.float64]:
    """Intersection over union at each T, from histograms (..., 2, bins): float64 (..., bins)."""
    false, true, total = _reached(counts, comparator)
    return _ratio(true, total + false)


def precision(
    counts: NDArray[np.int64], comparator: Comparator = Comparator.AT_LEAST
) -> NDArray[np.float64]:
    """Share of the foreground that is object at each T: float64 (..., bins), 1 without any."""
    false, true, _ = _reached(counts, comparator)
    called = true + false
    return np.where(called == 0, 1.0, _ratio(true, called))


def recall(
    counts: NDArray[np.int64], comparator: Comparator = Comparator.AT_LEAST
) -> NDArray[np.float64]:
    """Share of the object that is foreground at each T: float64 (..., bins)."""
    _, true, total = _reached(counts, comparator)
    return _ratio(true, total)


def average_precision(
    counts: NDArray[np.int64], comparator: Comparator = Comparator.AT_LEAST
) -> NDArray[np.float64]:
    """Sum over descending T of P(T) * (R(T) - R(T+1)), without interpolation: float64 (...)."""
    return area_of_steps(precision(counts, comparator), recall(counts, comparator))


def _reached(
    counts: NDArray[np.int64], comparator: Comparator
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Foreground off the object and on it at each T, and the object's pixels (..., 1)."""
    reached = reach(counts)
    total = reached[..., 1, :1]
    if comparator is Comparator.ABOVE:
        reached = np.concatenate((reached[..., 1:], np.zeros_like(reached[..., :1])), axis=-1)
    return reached[..., 0, :], reached[..., 1, :], total


def _iou_and_ap(
    counts: NDArray[np.int64], comparator: Comparator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """`iou` (n, bins) and `average_precision` (n,) of n histograms, equal to the last bit."""
    curve, steps = curve_steps(np.ascontiguousarray(counts), comparator is Comparator.ABOVE)
    return curve, sum_of_steps(steps)


def _ratio(part: NDArray[np.int64], whole: NDArray[np.int64]) -> NDArray[np.float64]:
    return part / np.maximum(whole, 1)


# ------------------------------------------------------------------------------------ the family

READ_AT: Mapping[str, str] = MappingProxyType({"iou": "pixel"})
NEEDS_BOXES = False
NEEDS_MASKS = True


def fits(rules: Any) -> bool:
    """Whether the protocol has pixel scores."""
    return bool(rules.pixel_scores)


def empty(rules: Any) -> Statistics:
    """`pixels`: int32 (0, 2, bins)."""
    return {"pixels": np.empty((0, 2, rules.bins), np.int32)}


def measure(images: Images) -> Statistics:
    """`pixels`: int32 (n, 2, bins) histograms of levels, off the object and on it."""
    return {"pixels": images.histograms}


def columns(kept: Statistics, rules: Any, classes: int) -> Sums:
    """`pixels`; `iou` (n, bins) and `ap` (n,), in units, where means over images are wanted."""
    counts = kept["pixels"].astype(np.int64)
    found = {"pixels": counts}
    if Reduction.IMAGE_MEAN in rules.pixel_reductions:
        curve, area = _iou_and_ap(counts, rules.comparator)
        found["iou"], found["ap"] = units(curve), units(area)
    return found


def columns_at(kept: Statistics, rules: Any, classes: int, levels: NDArray[np.int64]) -> Sums:
    """What each image adds at its own threshold.

    Args:
        kept: of n images.
        rules: the protocol, under which a pixel at the threshold is foreground.
        classes: see `columns`.
        levels: int64 (n,), the threshold of each image.

    Returns:
        `own_pixels` (n, 3): foreground off the object and on it, and the object; `own_iou` (n,) in
        units, where means over images are wanted.
    """
    reached = reach(kept["pixels"])
    false, true = reached[np.arange(len(levels)), :, levels].T
    total = reached[:, 1, 0]
    found = {"own_pixels": np.stack((false, true, total), axis=1)}
    if Reduction.IMAGE_MEAN in rules.pixel_reductions:
        found["own_iou"] = units(_ratio(true, total + false))
    return found


def scores(sums: Sums, reading: Reading) -> Scored:
    """Peak-IoU and Peak-T, IoU at T, AP: pooled, and as means over images."""
    rules, held = reading.rules, reading.rules.pixel_scores
    curves: dict[str, NDArray[Any]] = {}
    curve, area = (None, None) if reading.curves else _iou_and_ap(sums["pixels"], rules.comparator)
    if PixelScore.PEAK in held:
        curves["iou"] = iou(sums["pixels"], rules.comparator) if curve is None else curve
        if "iou" in sums and reading.cut is None:
            curves["iou_image_mean"] = reading.mean(sums["iou"])
    if PixelScore.AP in held and area is None:
        curves["precision"] = precision(sums["pixels"], rules.comparator)
        curves["recall"] = recall(sums["pixels"], rules.comparator)
    at = reading.pixel if PixelScore.AT_THRESHOLD in held else None
    found = read_pixels(curves, rules.curve_thresholds, at)
    if reading.cut is not None and at is not None and "iou" in sums:
        means = reading.mean(sums["iou"])
        places = np.searchsorted(reading.cut.pixel, at)
        found["iou_at_threshold_image_mean"] = means[np.arange(len(means)), places]
    if "own_pixels" in sums and PixelScore.AT_THRESHOLD in held:
        false, true, total = sums["own_pixels"].T
        found["iou_at_threshold"] = _ratio(true, total + false)
        if "own_iou" in sums:
            found["iou_at_threshold_image_mean"] = reading.mean(sums["own_iou"])
    if PixelScore.AP in held:
        found |= {} if area is None else {"ap": area}
        found |= {"ap_image_mean": reading.mean(sums["ap"])} if "ap" in sums else {}
    return found, curves if reading.curves else {}
