"""Pixel scores: the IoU-Threshold curve, precision and recall, average precision.

Source: paper sections 3.1 and 4.1.2. Everything follows from two histograms of levels, on the
object and off it, so that one image, many, or the whole data set are scored by the same functions:
arrays here are int64 (..., 256), one histogram or any stack of them.

A pixel is foreground at threshold T when its level is at least T. A ratio of nothing to nothing is
0, but for precision where nothing is foreground, which is 1: no pixel called foreground is wrong.

`count_bins` makes histograms of finer bins than 256; the scores take any number of them.

Public names: `count_pixels`, `count_bins`, `reach`, `iou`, `precision`, `recall`,
`average_precision`, `peak`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import WsolbenchError
from . import kernels

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
    counts: NDArray[np.int64] = kernels.count_levels(
        levels, mask, _NOWHERE if ignore is None else ignore
    )
    return counts


def count_bins(
    values: NDArray[np.float64],
    edges: NDArray[np.float64],
    mask: NDArray[np.bool_],
    ignore: NDArray[np.bool_] | None = None,
) -> NDArray[np.int64]:
    """Histograms of an image's values in bins of any width.

    Args:
        values: float64 (height, width), none below the first edge.
        edges: float64 (n,), ascending; bin i holds edges[i] <= value < edges[i + 1], the last one
            all from its edge up.
        mask: bool (height, width), true on the object.
        ignore: bool (height, width), true where a pixel counts nowhere.

    Returns:
        int64 (2, n): row 0 counts pixels off the object, row 1 those on it.
    """
    bins = np.searchsorted(edges, values, side="right") - 1
    counted = np.ones(mask.shape, np.bool_) if ignore is None else ~ignore
    rows = [np.bincount(bins[counted & kind], minlength=len(edges)) for kind in (~mask, mask)]
    return np.stack(rows).astype(np.int64)


def reach(histogram: NDArray[np.int64]) -> NDArray[np.int64]:
    """Pixels of at least each level: int64 (..., 256), falling along the last axis."""
    return np.cumsum(histogram[..., ::-1], axis=-1, dtype=np.int64)[..., ::-1]


def iou(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Intersection over union at T = 0..255 from histograms (..., 2, 256): float64 (..., 256)."""
    false, true = _reached(counts)
    return _ratio(true, true[..., :1] + false)


def precision(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Share of foreground that is object at T = 0..255: float64 (..., 256), 1 where none is."""
    false, true = _reached(counts)
    called = true + false
    return np.where(called == 0, 1.0, _ratio(true, called))


def recall(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Share of the object that is foreground at T = 0..255: float64 (..., 256)."""
    _, true = _reached(counts)
    return _ratio(true, true[..., :1])


def average_precision(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Sum over descending T of P(T) * (R(T) - R(T+1)), without interpolation: float64 (...)."""
    recalls = recall(counts)
    gained = recalls - np.concatenate((recalls[..., 1:], np.zeros_like(recalls[..., :1])), axis=-1)
    return np.asarray((precision(counts) * gained)[..., ::-1].sum(axis=-1))


def peak(curve: NDArray[Any]) -> tuple[float, int]:
    """Peak-IoU and Peak-T of a curve (256,): its maximum and the lowest threshold that has it."""
    at = int(curve.argmax())
    return float(curve[at]), at


def _reached(counts: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    reached = reach(counts)
    return reached[..., 0, :], reached[..., 1, :]


def _ratio(part: NDArray[np.int64], whole: NDArray[np.int64]) -> NDArray[np.float64]:
    return part / np.maximum(whole, 1)
