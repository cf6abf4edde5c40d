"""The flood: components of {level >= T} for all T, each met once.

Nister and Stewenius, Linear Time Maximally Stable Extremal Regions, 2008: it climbs to the
brightest neighbour, keeps a stack of pixels for each level and a stack of open components, and
answers a range of thresholds whenever a component closes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..scores import LEVELS
from .compiled import inner

__all__ = ["BEST", "FOUND", "flood", "pad"]

_SHIFT = 29
"""Bits of a waiting pixel's place, in rows of 32768 at most; its next neighbour stands above."""

BEST = 6
"""What is kept of the largest component at a level: area, first pixel, box (half-open)."""

FOUND = 7
"""What is kept of every component: level, the level under it, box (inclusive), first pixel."""


@inner
def pad(levels: NDArray[np.uint8], padded: NDArray[np.int16]) -> int:
    """The levels within a frame of -1, in rows of a power of two: its exponent."""
    height, width = levels.shape
    shift = 0
    while 1 << shift < width + 2:
        shift += 1
    stride = 1 << shift
    padded[: stride * (height + 2)] = -1
    for y in range(height):
        row = padded[(y + 1) * stride + 1 : (y + 1) * stride + 1 + width]
        for x in range(width):
            row[x] = levels[y, x]
    return shift


@inner
def flood(
    padded: NDArray[np.int16],
    shift: int,
    width: int,
    neighbours: int,
    totals: NDArray[np.int32],
    stack: NDArray[np.uint32],
    best: NDArray[np.int32] | None,
    found: NDArray[np.int32] | None,
) -> tuple[Any, int]:
    """Meet all components.

    Args:
        padded: from `pad`; taken apart: a pixel that was seen becomes -1.
        shift: the exponent of its rows' length.
        width: of the image.
        neighbours: 8 or 4: which pixels are connected.
        totals: pixels of each level.
        stack: scratch, one place a pixel.
        best: (256, BEST), written: of the largest component at each level that occurs; of equal
            ones that whose first pixel comes first. None where it is not wanted, compiled apart.
        found: room for components (n, FOUND), n at least 1. None where they are not wanted.

    Returns:
        `found`, or a larger array if room was short, or None; how many components it holds.
    """
    # Pixels that wait, by level, in parts of one stack; `below` is the next lower level there is.
    start = np.empty(LEVELS, dtype=np.int64)
    top = np.empty(LEVELS, dtype=np.int64)
    below = np.empty(LEVELS, dtype=np.int64)
    place = 0
    lower = -1
    for level in range(LEVELS):
        start[level] = top[level] = place
        below[level] = lower
        place += totals[level]
        if totals[level]:
            lower = level
    if best is not None:
        best[:] = 0
    count = 0
    # Open components below the one in hand: level, area, first pixel, x0, x1, y1.
    held = np.empty((LEVELS + 1, 6), dtype=np.int32)
    depth = 0
    stride = 1 << shift
    steps = np.array(
        [1, -1, stride, -stride, stride + 1, stride - 1, 1 - stride, -1 - stride], dtype=np.int64
    )
    none = 1 << 30
    pixel = stride + 1
    level = np.int64(padded[pixel])
    padded[pixel] = -1
    area, first, x0, x1, y1 = 0, none, none, -1, -1
    step = 0
    # Unsigned indices spare numba's test for negative ones.
    while True:
        while step < neighbours:
            near = np.uint64(pixel + steps[np.uint64(step)])
            step += 1
            its = np.int64(padded[near])
            if its < 0:
                continue
            padded[near] = -1
            if its > level:
                resumed = pixel - stride | min(step, 7) << _SHIFT
                stack[np.uint64(top[np.uint64(level)])] = np.uint32(resumed)
                top[np.uint64(level)] += 1
                kept = held[np.uint64(depth)]
                kept[0], kept[1], kept[2] = level, area, first
                kept[3], kept[4], kept[5] = x0, x1, y1
                depth += 1
                pixel, level, step = np.int64(near), its, 0
                area, first, x0, x1, y1 = 0, none, none, -1, -1
            else:
                stack[np.uint64(top[np.uint64(its)])] = np.uint32(np.int64(near) - stride)
                top[np.uint64(its)] += 1
        y = (pixel >> shift) - 1
        x = (pixel & (stride - 1)) - 1
        area += 1
        first = min(first, y * width + x)
        x0, x1, y1 = min(x0, x), max(x1, x), max(y1, y)
        following = level
        while following >= 0 and top[np.uint64(following)] == start[np.uint64(following)]:
            following = below[np.uint64(following)]
        while level > following:
            under = np.int64(held[np.uint64(depth - 1), 0]) if depth else -1
            parent = max(following, under)
            if found is not None:
                if count == len(found):
                    grown = np.empty((2 * count, FOUND), dtype=np.int32)
                    grown[:count] = found
                    found = grown
                own = found[np.uint64(count)]
                own[0], own[1], own[6] = level, parent, first
                own[2], own[3], own[4], own[5] = x0, first // width, x1, y1
                count += 1
            if best is not None:
                while level > parent:  # the component is the same down to its parent's level
                    known = best[np.uint64(level)]
                    if area > known[0] or (area == known[0] and first < known[1]):
                        known[0], known[1] = area, first
                        known[2], known[3] = x0, first // width
                        known[4], known[5] = x1 + 1, y1 + 1
                    level = below[np.uint64(level)]
            level = parent
            if depth and under == parent:
                depth -= 1
                kept = held[np.uint64(depth)]
                area += kept[1]
                first = min(first, np.int64(kept[2]))
                x0 = min(x0, np.int64(kept[3]))
                x1, y1 = max(x1, np.int64(kept[4])), max(y1, np.int64(kept[5]))
        if following < 0:
            return found, count
        top[np.uint64(following)] -= 1
        entry = np.int64(stack[np.uint64(top[np.uint64(following)])])
        step = entry >> _SHIFT
        pixel = (entry & ((1 << _SHIFT) - 1)) + stride
