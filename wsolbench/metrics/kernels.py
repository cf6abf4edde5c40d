"""The compiled loops: upsampling, counting, connected components.

Compiled by numba when first called and kept on disk; they release the interpreter's lock, so that
blocks of images run in threads. No fast-math: the order of float operations is part of the result.

Public names: `LEVELS`, `upsample_levels`, `count_levels`, `largest_boxes`.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

LEVELS = 256
"""Levels and thresholds: 0..255 (paper, section 3.1)."""


@njit(cache=True, nogil=True)
def _taps(source: int, target: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Left neighbour and weight of the right one for each target pixel, half-pixel centres."""
    left = np.empty(target, dtype=np.int64)
    weight = np.empty(target, dtype=np.float32)
    scale = source / target
    for place in range(target):
        position = min(max((place + 0.5) * scale - 0.5, 0.0), source - 1.0)
        left[place] = int(position)
        weight[place] = np.float32(position - left[place])
    return left, weight


@njit(cache=True, nogil=True)
def _stretch_row(
    row: NDArray[np.float32],
    left: NDArray[np.int64],
    weight: NDArray[np.float32],
    out: NDArray[np.float32],
) -> None:
    last = row.size - 1
    for x in range(left.size):
        near = row[left[x]]
        far = row[min(left[x] + 1, last)]
        out[x] = near + weight[x] * (far - near)


@njit(cache=True, nogil=True)
def upsample_levels(scaled: NDArray[np.float32], height: int, width: int) -> NDArray[np.uint8]:
    """Bilinear upsampling of a map in [0, 255], then floor: uint8 (height, width).

    Rows first, then columns, each as `near + weight * (far - near)` in float32: equal neighbours
    give their own value, so a constant map keeps its level.
    """
    left, weight_x = _taps(scaled.shape[1], width)
    top, weight_y = _taps(scaled.shape[0], height)
    levels = np.empty((height, width), dtype=np.uint8)
    upper = np.empty(width, dtype=np.float32)
    lower = np.empty(width, dtype=np.float32)
    held = -1
    for y in range(height):
        if top[y] != held:
            held = top[y]
            _stretch_row(scaled[held], left, weight_x, upper)
            _stretch_row(scaled[min(held + 1, scaled.shape[0] - 1)], left, weight_x, lower)
        for x in range(width):
            value = upper[x] + weight_y[y] * (lower[x] - upper[x])
            levels[y, x] = np.uint8(min(max(value, np.float32(0.0)), np.float32(255.0)))
    return levels


@njit(cache=True, nogil=True)
def count_levels(
    levels: NDArray[np.uint8], mask: NDArray[np.bool_], ignore: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Histograms of the levels: int64 (2, 256), row 0 off the object, row 1 on it.

    `ignore` is of the mask's shape, or empty where every pixel counts.
    """
    counts = np.zeros((2, LEVELS), dtype=np.int64)
    every = ignore.size == 0
    for y in range(levels.shape[0]):
        for x in range(levels.shape[1]):
            if every or not ignore[y, x]:
                counts[1 if mask[y, x] else 0, levels[y, x]] += 1
    return counts


@njit(cache=True, nogil=True)
def _root(parent: NDArray[np.int32], pixel: int) -> int:
    while parent[pixel] != pixel:
        parent[pixel] = parent[parent[pixel]]
        pixel = parent[pixel]
    return pixel


@njit(cache=True, nogil=True)
def _by_level(levels: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Pixels ordered by level, row-major within one: where each level starts, and the pixels."""
    starts = np.zeros(LEVELS + 1, dtype=np.int64)
    for level in levels:
        starts[level + 1] += 1
    starts = np.cumsum(starts)
    place = starts[:-1].copy()
    order = np.empty(levels.size, dtype=np.int32)
    for pixel in range(levels.size):
        level = levels[pixel]
        order[place[level]] = pixel
        place[level] += 1
    return starts, order


@njit(cache=True, nogil=True)
def largest_boxes(levels: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Tight box of the largest 8-connected component of {level >= T}, T = 0..255: int32 (256, 4).

    Largest by pixels; of equal ones that whose first pixel comes first in row-major order. Zeros
    where no pixel reaches T.

    Pixels join from the highest level down, components merge and never shrink, so the largest is
    followed as they grow: one pass gives every threshold.
    """
    height, width = levels.shape
    pixels = height * width
    starts, order = _by_level(levels.ravel())
    parent = np.full(pixels, -1, dtype=np.int32)
    # Of each component, kept at its root: pixels, first pixel, box.
    area = np.empty(pixels, dtype=np.int32)
    first = np.empty(pixels, dtype=np.int32)
    box = np.empty((pixels, 4), dtype=np.int32)
    boxes = np.zeros((LEVELS, 4), dtype=np.int32)
    best = -1
    best_area = 0
    best_first = 0
    for level in range(LEVELS - 1, -1, -1):
        for place in range(starts[level], starts[level + 1]):
            pixel = order[place]
            y = pixel // width
            x = pixel - y * width
            root = pixel
            parent[pixel] = pixel
            area[pixel] = 1
            first[pixel] = pixel
            box[pixel, 0] = x
            box[pixel, 1] = y
            box[pixel, 2] = x + 1
            box[pixel, 3] = y + 1
            for ny in range(max(y - 1, 0), min(y + 2, height)):
                for nx in range(max(x - 1, 0), min(x + 2, width)):
                    neighbour = ny * width + nx
                    if parent[neighbour] < 0:
                        continue
                    other = _root(parent, neighbour)
                    if other == root:
                        continue
                    if area[other] > area[root]:
                        other, root = root, other
                    parent[other] = root
                    area[root] += area[other]
                    first[root] = min(first[root], first[other])
                    box[root, 0] = min(box[root, 0], box[other, 0])
                    box[root, 1] = min(box[root, 1], box[other, 1])
                    box[root, 2] = max(box[root, 2], box[other, 2])
                    box[root, 3] = max(box[root, 3], box[other, 3])
            if area[root] > best_area or (area[root] == best_area and first[root] < best_first):
                best = root
                best_area = area[root]
                best_first = first[root]
        if best >= 0:
            boxes[level] = box[best]
    return boxes
