"""Boxes inferred from a map, and how well they meet the true ones.

Source: paper sections 1 and 4.1.2 (a box around the largest connected area; right when its IoU with
at least one true box is 0.5 or more). Where the paper is silent: 8-connected components, largest by
pixels, IoU counting pixels. Boxes are int32 (x0, y0, x1, y1), half-open; zeros mean no box.

Public names: `largest_boxes`, `best_iou`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .kernels import largest_boxes

__all__ = ["best_iou", "largest_boxes"]


def best_iou(boxes: NDArray[np.int32], truth: NDArray[np.int32]) -> NDArray[np.float64]:
    """Highest IoU of each box with any of the true ones, counting pixels.

    Args:
        boxes: int32 (..., 4).
        truth: int32 (n, 4), n at least 1.

    Returns:
        float64 (...), in [0, 1]; 0 for a box without area.
    """
    ours = boxes[..., None, :].astype(np.int64)
    theirs = truth.astype(np.int64)
    low = np.maximum(ours[..., :2], theirs[..., :2])
    high = np.minimum(ours[..., 2:], theirs[..., 2:])
    shared = np.maximum(high - low, 0).prod(axis=-1)
    total = _area(ours) + _area(theirs) - shared
    return np.asarray((shared / np.maximum(total, 1)).max(axis=-1))


def _area(boxes: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.asarray((boxes[..., 2:] - boxes[..., :2]).prod(axis=-1))
