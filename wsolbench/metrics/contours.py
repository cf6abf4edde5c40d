"""Boxes around OpenCV's contours, and the IoU that counts one pixel more.

Sources: clovaai/wsolevaluation (evaluation.py), vasgaowei/TS-CAM (lib/cams_deit.py),
junsukchoe/ADL (evaluate.py). A contour runs through the centres of a region's edge pixels, so that
`contourArea` is less than the pixels inside, and 0 of a region one pixel wide. A hole has a contour
of its own, along the foreground pixels around it. OpenCV itself finds the contours of few pictures,
and decides between equal areas; many pictures are done at once by compiled loops.

Conventions: levels are uint8 (height, width); boxes are (x0, y0, x1, y1). The far corner is where
the program leaves it, x0 + width; under the +1 rule both corners count as inside.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import outline_kernels
from .boxes import best_iou
from .opencv import opencv

__all__ = ["Outlines", "best_outline_overlaps", "outline_boxes", "plus_one_iou"]

_MANY = 20
"""Pictures from which one flood takes less time than OpenCV's contours of each."""


def outline_boxes(
    levels: NDArray[np.uint8],
    threshold: int,
    *,
    every: bool,
    clipped: bool,
    empty: tuple[int, int, int, int],
) -> NDArray[np.int64]:
    """Boxes of the foreground {level > threshold}.

    Args:
        levels: uint8 (height, width).
        threshold: 0..255.
        every: the boxes of all contours, not only of the one of largest area (of equal ones
            OpenCV's first).
        clipped: whether far corners are at most width - 1 and height - 1.
        empty: the box where nothing is foreground.

    Returns:
        int64 (n, 4), n at least 1.
    """
    cv2 = opencv()
    _, binary = cv2.threshold(levels, threshold, 255, cv2.THRESH_BINARY)
    # The place of the contours among what is returned differs between major versions.
    contours = cv2.findContours(binary, cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE)[-2]
    if len(contours) == 0:
        return np.array([empty], dtype=np.int64)
    if not every:
        contours = [max(contours, key=cv2.contourArea)]
    boxes = np.array([cv2.boundingRect(contour) for contour in contours], dtype=np.int64)
    boxes[:, 2:] += boxes[:, :2]
    if clipped:
        height, width = levels.shape
        boxes[:, 2:] = np.minimum(boxes[:, 2:], (width - 1, height - 1))
    return boxes


class Outlines:
    """The contours of {level > T} of one picture, for all T at once.

    Components are found when they are asked for first, and then serve every protocol.

    Args:
        levels: uint8 (height, width).
    """

    def __init__(self, levels: NDArray[np.uint8]) -> None:
        self.levels = np.ascontiguousarray(levels)
        self._components: NDArray[np.int32] | None = None

    @property
    def components(self) -> NDArray[np.int32]:
        """The 8-connected components: see `outline_kernels.components`."""
        if self._components is None:
            self._components = outline_kernels.components(self.levels, 8)
        return self._components


def best_outline_overlaps(
    outlines: Outlines,
    thresholds: NDArray[np.int64],
    truth: NDArray[Any],
    *,
    every: bool,
    clipped: bool,
    empty: tuple[int, int, int, int],
    plus_one: bool = True,
) -> NDArray[np.float64]:
    """Highest IoU of any box at each threshold with any true box.

    Thresholds between two levels that occur give one picture, which is looked at once.

    Args:
        outlines: of the levels.
        thresholds: (t,), -1..255, ascending, t at least 1.
        truth: (m, 4), m at least 1.
        every: as in `outline_boxes`; so are `clipped` and `empty`.
        clipped: see there.
        empty: see there.
        plus_one: whether sides count one pixel more.

    Returns:
        float64 (t,).
    """
    runs = _alike(outlines.levels, thresholds)
    lengths = np.diff(runs, append=len(thresholds))

    def met(boxes: NDArray[np.int64]) -> NDArray[np.float64]:
        ious = plus_one_iou(boxes, truth).max(axis=1) if plus_one else best_iou(boxes, truth)
        return np.asarray(ious)

    def opencvs(threshold: int) -> NDArray[np.int64]:
        return outline_boxes(outlines.levels, threshold, every=every, clipped=clipped, empty=empty)

    if len(runs) < _MANY:
        found = [met(opencvs(threshold)).max() for threshold in thresholds[runs].tolist()]
        return np.repeat(found, lengths)
    levels, components = outlines.levels, outlines.components
    height, width = levels.shape
    if every:
        holes, corners = components[:0], np.ascontiguousarray(truth, np.float64)
        if not outline_kernels.drains(levels):
            holes = outline_kernels.components(255 - levels, 4)
        best = outline_kernels.every_outline(
            components, holes, height, width, corners, clipped, int(plus_one)
        )
    else:
        inclusive, tied = outline_kernels.largest_outlines(levels, components)
        boxes = inclusive.astype(np.int64)
        boxes[:, 2:] += 1
        if clipped:
            boxes[:, 2:] = np.minimum(boxes[:, 2:], (width - 1, height - 1))
        for threshold in thresholds[runs].tolist():
            if threshold < 255 and tied[threshold + 1]:
                boxes[threshold + 1] = opencvs(threshold)[0]
        best = np.where(inclusive[:, 0] < 0, -1.0, met(boxes))
    reached = np.append(best, -1.0)[thresholds[runs] + 1]
    without = met(np.array([empty], dtype=np.int64))[0]
    return np.repeat(np.where(reached < 0, without, reached), lengths)


def plus_one_iou(boxes: NDArray[Any], truth: NDArray[Any]) -> NDArray[np.float64]:
    """IoU of boxes (n, 4) and (m, 4) whose sides count one more than their corners' difference.

    Returns:
        float64 (n, m).
    """
    ours, theirs = boxes[:, None], truth[None]
    low = np.maximum(ours[..., :2], theirs[..., :2])
    high = np.minimum(ours[..., 2:], theirs[..., 2:])
    shared = np.maximum(high - low + 1, 0).prod(axis=-1)
    total = _area(ours) + _area(theirs) - shared
    return np.asarray(shared / total)


def _alike(levels: NDArray[np.uint8], thresholds: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where each run of thresholds begins that leave the same foreground."""
    present = np.flatnonzero(np.bincount(levels.ravel(), minlength=256))
    below = np.searchsorted(present, thresholds, side="right")
    return np.flatnonzero(np.diff(below, prepend=-1))


def _area(boxes: NDArray[Any]) -> NDArray[Any]:
    return np.asarray((boxes[..., 2:] - boxes[..., :2] + 1).prod(axis=-1))
