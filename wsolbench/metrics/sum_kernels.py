"""The compiled loops over sums: of images with weights, of curves and thresholds of histograms.

As `kernels`: kept on disk, no fast-math, no lock. Each has an obvious way in NumPy that gives the
same bits, but fills memory with what is read once.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .compiled import kernel

__all__ = ["add_changes", "add_weighted", "curve_steps", "otsu_levels"]

_LEAST = float(np.finfo(np.float32).eps)
"""Share of the pixels that either side of Otsu's threshold must have; OpenCV: FLT_EPSILON."""


@kernel("i8[:,::1](u2[:,::1], i8[:,::1])")
def add_weighted(weights: NDArray[np.uint16], values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Weighted sums of n rows of values, for few of them.

    Args:
        weights: uint16 (b, n).
        values: int64 (n, k).

    Returns:
        int64 (b, k).
    """
    found = np.zeros((weights.shape[0], values.shape[1]), np.int64)
    for place in range(weights.shape[0]):
        row = found[place]
        for image in range(values.shape[0]):
            times = np.int64(weights[place, image])
            if times > 0:
                for column in range(row.size):
                    row[column] += times * values[image, column]
    return found


@kernel("i8[:,::1](u2[:,::1], i8[:,::1])")
def add_changes(weights: NDArray[np.uint16], values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Weighted sums of n rows of values, for values that rarely differ from those on their left.

    Args:
        weights: uint16 (n, b).
        values: int64 (n, k).

    Returns:
        int64 (k, b).
    """
    found = np.empty((values.shape[1], weights.shape[1]), np.int64)
    total = np.zeros(weights.shape[1], np.int64)
    for column in range(values.shape[1]):
        for image in range(values.shape[0]):
            change = values[image, column] - (values[image, column - 1] if column > 0 else 0)
            if change != 0:
                for place in range(total.size):
                    total[place] += change * np.int64(weights[image, place])
        found[column] = total
    return found


@kernel("UniTuple(f8[:,::1], 2)(i8[:,:,::1], b1)")
def curve_steps(
    counts: NDArray[np.int64], above: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """IoU and the steps of AP of many histograms, as `pixel.iou` and its fellows give them.

    Args:
        counts: int64 (b, 2, bins), off the object and on it; sums below 2**53.
        above: whether foreground is above a threshold; otherwise it is at least the threshold.

    Returns:
        The IoU at each T, and P(T) * (R(T) - R(T+1)): float64 (b, bins) each.
    """
    stacks, _, bins = counts.shape
    iou, steps = np.empty((stacks, bins)), np.empty((stacks, bins))
    false, true, recall = np.zeros(bins + 1), np.zeros(bins + 1), np.zeros(bins + 1)
    shift = 1 if above else 0
    for place in range(stacks):
        off = on = 0
        for level in range(bins - 1, -1, -1):
            off += counts[place, 0, level]
            on += counts[place, 1, level]
            false[level], true[level] = off, on
        total = float(on)
        whole = max(total, 1.0)
        for level in range(bins + 1 - shift):
            recall[level] = true[level + shift] / whole
        for level in range(bins):
            hit, miss = true[level + shift], false[level + shift]
            called = hit + miss
            iou[place, level] = hit / max(total + miss, 1.0)
            precision = hit / max(called, 1.0) if called > 0.0 else 1.0
            steps[place, level] = precision * (recall[level] - recall[level + 1])
    return iou, steps


@kernel("i8[::1](i8[:,::1])")
def otsu_levels(histograms: NDArray[np.int64]) -> NDArray[np.int64]:
    """The last level below Otsu's threshold, of equal ones the lowest, as OpenCV finds it.

    Source: getThreshVal_Otsu_8u of OpenCV, whose order of float64 operations this keeps.

    Args:
        histograms: int64 (n, levels).

    Returns:
        int64 (n,); -1 where no level divides the pixels.
    """
    found = np.full(histograms.shape[0], -1, np.int64)
    for place in range(found.size):
        counts = histograms[place]
        scale = 1.0 / max(counts.sum(), 1)
        mean = 0.0
        for level in range(counts.size):
            mean += level * np.float64(counts[level])
        mean *= scale
        below = share = largest = 0.0
        for level in range(counts.size):
            own = np.float64(counts[level]) * scale
            below *= share
            share += own
            rest = 1.0 - share
            # OpenCV skips the division where all is on one side.
            if min(share, rest) >= _LEAST and max(share, rest) <= 1 - _LEAST:
                below = (below + level * own) / share
                above = (mean - share * below) / rest
                variance = share * rest * (below - above) * (below - above)
                if variance > largest:
                    largest = variance
                    found[place] = level
    return found
