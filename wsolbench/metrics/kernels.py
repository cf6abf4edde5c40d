"""The compiled loops: upsampling, counting, connected components.

Compiled as `compiled` says; they release the interpreter's lock, so that blocks of images run in
threads. No fast-math: the order of float operations is part of the result.
Scratch space is made once a call, whatever the number of images.

Components are found by segments of rows (`segments`), or where these are short, by one flood
(`flood`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..scores import LEVELS
from .compiled import inner, kernel
from .flood import BEST, flood, pad
from .segments import EDGES, FIELDS, SHORTEST, find_boxes, most_bytes, most_segments, segment_boxes

__all__ = [
    "count_levels",
    "flood_boxes",
    "largest_boxes",
    "measure",
    "overlaps",
    "upsample_levels",
]

CALLED = 0x379841A9
"""zlib.crc32 of flood.py and segments.py. numba compiles a function again when its own file changes
and not when that of one changes which it calls: so this file changes with those."""

_BANKS = 4  # histograms that take turns, so that equal levels in a row do not wait for each other


@inner
def _taps(target: int, source: int, left: NDArray[np.int64], weight: NDArray[np.float32]) -> None:
    """Left neighbour and weight of the right one for each target pixel, half-pixel centres."""
    scale = source / target
    for place in range(target):
        position = min(max((place + 0.5) * scale - 0.5, 0.0), source - 1.0)
        left[place] = int(position)
        weight[place] = np.float32(position - left[place])


@inner
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


@inner
def _upsample(
    scaled: NDArray[np.float32],
    levels: NDArray[np.uint8],
    left: NDArray[np.int64],
    weight: NDArray[np.float32],
    rows: NDArray[np.float32],
) -> None:
    """Levels (height, width) of a map in [0, 255]; the other arrays are scratch."""
    height, width = levels.shape
    source = scaled.shape[0]
    upper, lower = rows[0, :width], rows[1, :width]
    left_x, weight_x = left[0, :width], weight[0, :width]
    top, weight_y = left[1, :height], weight[1, :height]
    _taps(width, scaled.shape[1], left_x, weight_x)
    _taps(height, source, top, weight_y)
    held = np.int64(-2)
    for y in range(height):
        if top[y] != held:
            if top[y] == held + 1:
                upper, lower = lower, upper
            else:
                _stretch_row(scaled[top[y]], left_x, weight_x, upper)
            held = top[y]
            _stretch_row(scaled[min(held + 1, source - 1)], left_x, weight_x, lower)
        row, down = levels[y], weight_y[y]
        for x in range(width):
            level = np.int32(upper[x] + down * (lower[x] - upper[x]))
            row[x] = np.uint8(min(max(level, 0), 255))


@kernel("u1[:,::1](f4[:,::1], i8, i8)")
def upsample_levels(scaled: NDArray[np.float32], height: int, width: int) -> NDArray[np.uint8]:
    """Bilinear upsampling of a map in [0, 255], then floor: uint8 (height, width).

    Rows first, then columns, each as `near + weight * (far - near)` in float32: equal neighbours
    give their own value, so a constant map keeps its level.
    """
    longest = max(height, width)
    levels = np.empty((height, width), dtype=np.uint8)
    left = np.empty((2, longest), dtype=np.int64)
    weight = np.empty((2, longest), dtype=np.float32)
    _upsample(scaled, levels, left, weight, np.empty((2, longest), dtype=np.float32))
    return levels


@kernel("i8[:,::1](u1[:,::1], b1[:,::1], b1[:,::1])")
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


@inner
def _scale(map_: NDArray[Any], factor: np.float32, scaled: NDArray[np.float32]) -> bool:
    """Values on the scale of levels into `scaled`; whether all of them are the same."""
    low = high = map_[0]
    for place in range(map_.size):
        value = map_[place]
        low, high = min(low, value), max(high, value)
        scaled[place] = np.float32(value) * factor
    return bool(low == high)


@inner
def _cut(scaled: NDArray[np.float32], levels: NDArray[np.uint8]) -> None:
    """Levels of a map that is on the image's grid already."""
    flat = levels.reshape(levels.size)
    for place in range(flat.size):
        flat[place] = np.uint8(min(max(np.int32(scaled[place]), 0), 255))


@inner
def _runs(text: NDArray[np.uint8], pixels: int, runs: NDArray[np.int64]) -> int:
    """Plain run lengths from COCO's compressed ones; how many, or -1 where they are malformed."""
    count = total = place = 0
    while place < text.size:
        value = shift = 0
        more = True
        while more:
            if place == text.size or shift > 30:
                return -1
            group = np.int64(text[place]) - 48
            if group < 0 or group > 63:
                return -1
            place += 1
            value |= (group & 31) << shift
            shift += 5
            more = group >= 32
            if not more and group & 16:
                value -= 1 << shift
        if count > 2:
            value += runs[count - 2]
        if value < 0:
            return -1
        runs[count] = value
        total += value
        count += 1
    return count if total == pixels else -1


@inner
def _count_runs(
    levels: NDArray[np.uint8],
    runs: NDArray[np.int64],
    ignored: NDArray[np.int64],
    banks: NDArray[np.int32],
    counts: NDArray[np.int32],
) -> None:
    """Histograms int32 (3, 256) of the levels: off the object, on it, ignored.

    Run lengths go down one column after the other; `ignored` is empty where every pixel counts. A
    tile of columns stays in the nearest cache, so that no mask need be unpacked.
    """
    height, width = levels.shape
    flat = levels.reshape(levels.size)
    down = np.uint64(width)  # unsigned indices spare numba's test for negative ones
    banks[:] = 0
    run = other = 0
    left = runs[0]
    beside = ignored[0] if ignored.size else height * width
    for x in range(width):
        y = 0
        at = np.uint64(x)
        while y < height:
            while left == 0:
                run += 1
                left = runs[run]
            while beside == 0:
                other += 1
                beside = ignored[other]
            length = min(left, beside, height - y)
            bank = banks[2 if other & 1 else run & 1]
            for _ in range(length // _BANKS):
                for turn in range(_BANKS):
                    bank[turn, flat[at]] += 1
                    at += down
            for _ in range(length % _BANKS):
                bank[0, flat[at]] += 1
                at += down
            y += length
            left -= length
            beside -= length
    for kind in range(3):
        for level in range(LEVELS):
            counts[kind, level] = 0
            for turn in range(_BANKS):
                counts[kind, level] += banks[kind, turn, level]


@inner
def _flooded(
    levels: NDArray[np.uint8],
    totals: NDArray[np.int32],
    padded: NDArray[np.int16],
    stack: NDArray[np.uint32],
    boxes: NDArray[np.int32],
) -> None:
    """Boxes of the largest component at all thresholds, int32 (256, 4), as `largest_boxes` says."""
    best = np.empty((LEVELS, BEST), dtype=np.int32)
    shift = pad(levels, padded)
    flood(padded, shift, levels.shape[1], 8, totals, stack, best, None)
    boxes[:] = 0
    present = -1
    for level in range(LEVELS - 1, -1, -1):
        if totals[level]:
            present = level
        if present >= 0:
            boxes[level] = best[present, 2:]


@inner
def _count(levels: NDArray[np.uint8]) -> NDArray[np.int32]:
    totals = np.zeros(LEVELS, dtype=np.int32)
    for level in levels.ravel():
        totals[level] += 1
    return totals


@kernel("i4[:,::1](u1[:,::1])")
def flood_boxes(levels: NDArray[np.uint8]) -> NDArray[np.int32]:
    """As `largest_boxes`, by the flood alone."""
    height, width = levels.shape
    padded = np.empty(2 * (width + 2) * (height + 2), dtype=np.int16)
    boxes = np.empty((LEVELS, 4), dtype=np.int32)
    stack = np.empty(levels.size, dtype=np.uint32)
    _flooded(levels, _count(levels), padded, stack, boxes)
    return boxes


def largest_boxes(levels: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Tight box of the largest 8-connected component of {level >= T}, T = 0..255: int32 (256, 4).

    Largest by pixels; of equal ones that whose first pixel comes first in row-major order. Zeros
    where no pixel reaches T.
    """
    # Arrays of another layout, and those that may not be written, would be compiled apart.
    plane = np.require(levels, requirements=["C", "W"])
    boxes: NDArray[np.int32]
    found, boxes = segment_boxes(plane, SHORTEST, most_bytes(*plane.shape))
    return boxes if found else np.asarray(flood_boxes(plane))


@kernel(
    "i8(u1[::1], i8[::1], f4[::1], i8[::1], i8[:,::1], i8[:,::1], u1[::1], i8[::1], "
    "u1[::1], i8[::1], i4[:,:,::1], i4[:,:,::1], b1[::1])"
)
def measure(
    coarse: NDArray[np.uint8],
    coarse_starts: NDArray[np.int64],
    fine: NDArray[np.float32],
    fine_starts: NDArray[np.int64],
    shapes: NDArray[np.int64],
    sizes: NDArray[np.int64],
    masks: NDArray[np.uint8],
    mask_starts: NDArray[np.int64],
    ignored: NDArray[np.uint8],
    ignored_starts: NDArray[np.int64],
    counts: NDArray[np.int32],
    boxes: NDArray[np.int32],
    constant: NDArray[np.bool_],
) -> int:
    """Pixel histograms and boxes of n images, straight from their run lengths.

    Args:
        coarse: uint8 maps, one after the other.
        coarse_starts: (n + 1,) where each begins; an image whose map is not uint8 has an empty
            part.
        fine: maps of floats in [0, 1], likewise.
        fine_starts: (n + 1,).
        shapes: (n, 2) height and width of each.
        sizes: (n, 2) height and width of each image.
        masks: COCO compressed run lengths, one after the other.
        mask_starts: (n + 1,) where those of each image begin.
        ignored: the same of pixels that count nowhere.
        ignored_starts: (n + 1,); an image without ignored pixels has an empty part.
        counts: (n, 3, 256), written: levels off the object, on it, ignored.
        boxes: (n, 256, 4), written; (0, 256, 4) where boxes are not wanted.
        constant: (n,), written: whether all values of the map are the same.

    Returns:
        -1, or the place of the first image with malformed run lengths.
    """
    longest = pixels = area = text = values = room = memory = 1
    for image in range(len(sizes)):
        height, width = sizes[image]
        values = max(values, shapes[image, 0] * shapes[image, 1])
        longest = max(longest, height, width)
        pixels = max(pixels, height * width)
        area = max(area, 2 * (width + 2) * (height + 2))
        room = max(room, most_segments(height, width, SHORTEST))
        memory = max(memory, most_bytes(height, width))
        text = max(text, mask_starts[image + 1] - mask_starts[image])
        text = max(text, ignored_starts[image + 1] - ignored_starts[image])
    plane = np.empty(pixels, dtype=np.uint8)
    scaled = np.empty(values, dtype=np.float32)
    left = np.empty((2, longest), dtype=np.int64)
    weight = np.empty((2, longest), dtype=np.float32)
    rows = np.empty((2, longest), dtype=np.float32)
    banks = np.empty((3, _BANKS, LEVELS), dtype=np.int32)
    runs = np.empty((2, text), dtype=np.int64)
    boxed = len(boxes) > 0
    segments = np.empty((FIELDS, room if boxed else 0), dtype=np.int32)
    edges = np.empty((4, EDGES * room if boxed else 0), dtype=np.int32)
    basins = np.empty(memory if boxed else 0, dtype=np.uint8)
    padded = np.empty(area if boxed else 0, dtype=np.int16)
    stack = np.empty(pixels if boxed else 0, dtype=np.uint32)
    for image in range(len(sizes)):
        height, width = sizes[image]
        levels = plane[: height * width].reshape(height, width)
        map_height, map_width = shapes[image]
        on_grid = map_height == height and map_width == width
        whole = coarse[coarse_starts[image] : coarse_starts[image + 1]]
        if whole.size and on_grid:
            levels = whole.reshape(height, width)
            constant[image] = whole.min() == whole.max()
        else:
            if whole.size:
                constant[image] = _scale(whole, np.float32(1), scaled)
            else:
                parts = fine[fine_starts[image] : fine_starts[image + 1]]
                constant[image] = _scale(parts, np.float32(255), scaled)
            if on_grid:
                _cut(scaled, levels)
            else:
                map_ = scaled[: map_height * map_width].reshape(map_height, map_width)
                _upsample(map_, levels, left, weight, rows)
        part = masks[mask_starts[image] : mask_starts[image + 1]]
        mask_runs = _runs(part, height * width, runs[0])
        part = ignored[ignored_starts[image] : ignored_starts[image + 1]]
        other_runs = _runs(part, height * width, runs[1]) if part.size else 0
        if mask_runs < 0 or other_runs < 0:
            return image
        _count_runs(levels, runs[0, :mask_runs], runs[1, :other_runs], banks, counts[image])
        if boxed:
            totals = counts[image, 0] + counts[image, 1] + counts[image, 2]
            part = basins[: most_bytes(height, width)]
            if not find_boxes(levels, totals, SHORTEST, segments, edges, part, boxes[image]):
                _flooded(levels, totals, padded, stack, boxes[image])
    return -1


@kernel("f8[:,::1](i4[:,:,::1], i4[:,::1], i8[::1])")
def overlaps(
    boxes: NDArray[np.int32], truth: NDArray[np.int32], starts: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Highest IoU of each box with any true one of its image: float64 (n, k).

    Args:
        boxes: (n, k, 4).
        truth: true boxes, one image's after the other's.
        starts: (n + 1,) where each image's begin.
    """
    found = np.zeros(boxes.shape[:2], dtype=np.float64)
    for image in range(len(boxes)):
        for place in range(boxes.shape[1]):
            x0, y0, x1, y1 = boxes[image, place]
            if place and (boxes[image, place] == boxes[image, place - 1]).all():
                found[image, place] = found[image, place - 1]
                continue
            area = np.int64(x1 - x0) * np.int64(y1 - y0)
            for row in range(starts[image], starts[image + 1]):
                u0, v0, u1, v1 = truth[row]
                across = np.int64(max(min(x1, u1) - max(x0, u0), 0))
                shared = across * np.int64(max(min(y1, v1) - max(y0, v0), 0))
                total = area + np.int64(u1 - u0) * np.int64(v1 - v0) - shared
                found[image, place] = max(found[image, place], shared / max(total, 1))
    return found
