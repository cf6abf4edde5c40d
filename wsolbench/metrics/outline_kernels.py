"""The compiled loops behind OpenCV's contours at all thresholds at once.

The foreground {level >= L} changes with L, but most of its components do not: `flood` meets each of
them once, with all L at which it is there. An outer contour has the box of its component. A hole is
a 4-connected component of the background that does not touch the frame; its contour runs along the
foreground around it, one pixel further on each side. Outer contours follow from a flood of the
levels, holes from one of 255 - level, which smooth maps without a dip can spare.

`contourArea` is the area within a polygon through the centres of a component's edge pixels. It is
found by following the edge as OpenCV does (Suzuki and Abe, Topological Structural Analysis of
Digitized Binary Images by Border Following, 1985), but only of components that are not alone and
whose box is large enough. A hole's contour never has more area than the outer one around it.

Conventions: levels are uint8 (height, width); boxes are (x0, y0, x1, y1), both corners inclusive.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..scores import LEVELS
from .compiled import inner, kernel
from .flood import FOUND, flood, pad

__all__ = ["components", "drains", "every_outline", "largest_outlines"]

CALLED = 0x09728E8F
"""zlib.crc32 of flood.py: see `kernels.CALLED`."""


@inner
def _padded(levels: NDArray[np.uint8]) -> tuple[NDArray[np.int16], int]:
    height, width = levels.shape
    padded = np.empty(2 * (width + 2) * (height + 2), dtype=np.int16)
    return padded, pad(levels, padded)


@kernel("i4[:,::1](u1[:,::1], i8)")
def components(levels: NDArray[np.uint8], neighbours: int) -> NDArray[np.int32]:
    """The components of {level >= L} for all L.

    Args:
        levels: (height, width).
        neighbours: 8 or 4: which pixels are connected.

    Returns:
        int32 (n, 7): the component is there for `under` < L <= `level`; its box and its first pixel
        in row-major order: level, under, x0, y0, x1, y1, first.
    """
    if levels.size == 0:
        return np.empty((0, FOUND), dtype=np.int32)
    width = levels.shape[1]
    totals = np.zeros(LEVELS, dtype=np.int32)
    for its_level in levels.ravel():
        totals[its_level] += 1
    padded, shift = _padded(levels)
    stack = np.empty(levels.size, dtype=np.uint32)
    room = np.empty((LEVELS, FOUND), dtype=np.int32)
    found, count = flood(padded, shift, width, neighbours, totals, stack, None, room)
    met: NDArray[np.int32] = found[:count]
    return met


@inner
def _double_area(
    padded: NDArray[np.int16], steps: NDArray[np.int64], start: int, level: int
) -> int:
    """Twice the area within the outer contour of a component of {level >= `level`}.

    Args:
        padded: levels within a frame of -1.
        steps: (16,), to the eight neighbours, anticlockwise from the right, twice over.
        start: the component's first pixel.
        level: at least 0.
    """
    turn = 4  # the pixel on the left is background, for the first pixel of a component
    second = np.int64(start)
    for back in range(1, 8):
        second = start + steps[np.uint64((turn - back) & 7)]
        if padded[np.uint64(second)] >= level:
            turn = (turn - back) & 7
            break
    else:
        return 0
    # x and the area are counted from the first pixel.
    pixel, x, area = np.int64(start), 0, 0
    while True:
        turn += 1
        near = pixel + steps[np.uint64(turn)]
        while padded[np.uint64(near)] < level:
            turn += 1
            near = pixel + steps[np.uint64(turn)]
        turn &= 7
        across = (1 if turn in (0, 1, 7) else 0) - (1 if turn in (3, 4, 5) else 0)
        down = (1 if turn in (5, 6, 7) else 0) - (1 if turn in (1, 2, 3) else 0)
        area += (2 * x + across) * down
        x += across
        if near == start and pixel == second:
            return abs(area)
        pixel = near
        turn = (turn + 4) & 7


@kernel("Tuple((i4[:,::1], b1[::1]))(u1[:,::1], i4[:,::1])")
def largest_outlines(
    levels: NDArray[np.uint8], found: NDArray[np.int32]
) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """The box of the contour of largest area of {level >= L}, L = 0..255.

    Args:
        levels: (height, width).
        found: its 8-connected `components`.

    Returns:
        int32 (256, 4), inclusive corners, -1 where nothing is foreground; bool (256,), where
        contours with other boxes have the same area, so that OpenCV's order decides.
    """
    width = levels.shape[1]
    padded, shift = _padded(levels)
    stride = 1 << shift
    around = np.array(
        [1, 1 - stride, -stride, -stride - 1, -1, stride - 1, stride, stride + 1], dtype=np.int64
    )
    steps = np.concatenate((around, around))
    # No contour's area is more than that of its box, between the centres of its corner pixels.
    bounds = np.empty(len(found), dtype=np.int64)
    champions = np.full(LEVELS, -1, dtype=np.int64)  # of the largest box
    present = np.zeros(LEVELS, dtype=np.int64)
    for place in range(len(found)):
        level, under, x0, y0, x1, y1, _ = found[place]
        bounds[place] = 2 * np.int64(x1 - x0) * np.int64(y1 - y0)
        for at in range(under + 1, level + 1):
            present[at] += 1
            if champions[at] < 0 or bounds[place] > bounds[champions[at]]:
                champions[at] = place
    areas = np.full(len(found), -1, dtype=np.int64)
    boxes = np.full((LEVELS, 4), -1, dtype=np.int32)
    largest = np.full(LEVELS, -1, dtype=np.int64)
    tied = np.zeros(LEVELS, dtype=np.bool_)
    for at in range(LEVELS):
        champion = champions[at]
        if champion < 0:
            continue
        boxes[at] = found[champion, 2:6]
        if present[at] > 1:
            if areas[champion] < 0:
                first = np.int64(found[champion, 6])
                start = (first // width + 1) * stride + first % width + 1
                areas[champion] = _double_area(padded, steps, start, found[champion, 0])
            largest[at] = areas[champion]
    for place in range(len(found)):
        level, under = found[place, 0], found[place, 1]
        for at in range(under + 1, level + 1):
            if place == champions[at] or bounds[place] < largest[at]:
                continue
            if areas[place] < 0:
                first = np.int64(found[place, 6])
                start = (first // width + 1) * stride + first % width + 1
                areas[place] = _double_area(padded, steps, start, level)
            if areas[place] > largest[at]:
                largest[at] = areas[place]
                boxes[at] = found[place, 2:6]
                tied[at] = False
            elif areas[place] == largest[at] and (boxes[at] != found[place, 2:6]).any():
                tied[at] = True
    return boxes, tied


@inner
def _overlap(x0: int, y0: int, x1: int, y1: int, truth: NDArray[np.float64], extra: int) -> float:
    """Highest IoU of a box with a true one, sides counting `extra` pixels more."""
    best = 0.0
    own = np.float64((x1 - x0 + extra) * (y1 - y0 + extra))
    for row in range(len(truth)):
        u0, v0, u1, v1 = truth[row]
        across = max(min(np.float64(x1), u1) - max(np.float64(x0), u0) + extra, 0.0)
        shared = across * max(min(np.float64(y1), v1) - max(np.float64(y0), v0) + extra, 0.0)
        total = own + (u1 - u0 + extra) * (v1 - v0 + extra) - shared
        best = max(best, shared / (total if total > 0 else 1.0))
    return best


@kernel("b1(u1[:,::1])")
def drains(levels: NDArray[np.uint8]) -> bool:
    """Whether from each pixel a way leads to the frame that never rises: then there is no hole.

    Two sweeps look for the ways, and may miss one along a winding plateau.
    """
    height, width = levels.shape
    dry = np.ones((height, width), dtype=np.bool_)
    for y in range(1, height - 1):
        for x in range(1, width - 1):
            own, upper, left = levels[y, x], levels[y - 1, x], levels[y, x - 1]
            lower = (upper < own) | (left < own)
            lower |= (levels[y + 1, x] < own) | (levels[y, x + 1] < own)
            lower |= (upper == own) & dry[y - 1, x]
            dry[y, x] = lower | ((left == own) & dry[y, x - 1])
    for y in range(height - 2, 0, -1):
        for x in range(width - 2, 0, -1):
            if dry[y, x]:
                continue
            below = levels[y + 1, x] == levels[y, x] and dry[y + 1, x]
            right = levels[y, x + 1] == levels[y, x] and dry[y, x + 1]
            if not (below or right):
                return False
            dry[y, x] = True
    return True


@kernel("f8[::1](i4[:,::1], i4[:,::1], i8, i8, f8[:,::1], b1, i8)")
def every_outline(
    found: NDArray[np.int32],
    holes: NDArray[np.int32],
    height: int,
    width: int,
    truth: NDArray[np.float64],
    clipped: bool,
    extra: int,
) -> NDArray[np.float64]:
    """Highest IoU of the box of any contour of {level >= L}, L = 0..255, with a true one.

    Args:
        found: the 8-connected `components` of levels.
        holes: the 4-connected ones of 255 - level.
        height: pixels.
        width: pixels.
        truth: (m, 4).
        clipped: whether far corners are at most width - 1 and height - 1.
        extra: how many pixels more sides count, 0 or 1.

    Returns:
        float64 (256,), -1 where nothing is foreground.
    """
    right, bottom = (width - 1, height - 1) if clipped else (width, height)
    best = np.full(LEVELS, -1.0)
    for place in range(len(found)):
        level, under, x0, y0, x1, y1, _ = found[place]
        overlap = _overlap(x0, y0, min(x1 + 1, right), min(y1 + 1, bottom), truth, extra)
        for at in range(under + 1, level + 1):
            best[at] = max(best[at], overlap)
    for place in range(len(holes)):
        level, under, x0, y0, x1, y1, _ = holes[place]
        if x0 == 0 or y0 == 0 or x1 == width - 1 or y1 == height - 1:
            continue
        overlap = _overlap(x0 - 1, y0 - 1, min(x1 + 2, right), min(y1 + 2, bottom), truth, extra)
        for turned in range(under + 1, level + 1):
            at = LEVELS - turned  # 255 - level >= turned where level < at
            best[at] = max(best[at], overlap)
    return best
