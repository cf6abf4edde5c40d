"""Boxes by segments of rows against the flood, and both against scipy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from tests.metrics.test_metrics import slow_box
from wsolbench import masks
from wsolbench.metrics import images, kernels, segments
from wsolbench.metrics.packed import Packed

ENOUGH = 1 << 26  # bytes


def segment_boxes(levels: np.ndarray) -> np.ndarray:
    """Boxes by segments however short they are."""
    found, boxes = segments.segment_boxes(levels, 1, ENOUGH)
    assert found
    return np.asarray(boxes)


def noise(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    return rng.integers(0, 256, (height, width))


def few_levels(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    return rng.integers(0, rng.integers(2, 6), (height, width)) * rng.integers(1, 64)


def upsampled(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    small = rng.integers(0, 256, rng.integers(1, 9, size=2)).astype(np.float32)
    return np.asarray(kernels.upsample_levels(small, height, width))


def smooth(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    map_ = ndimage.gaussian_filter(rng.random((height, width)), rng.uniform(0.5, 4))
    return 255 * (map_ - map_.min()) / max(np.ptp(map_), 1e-9)


def two_levels(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Components of any shape, holes and diagonal bridges."""
    return (rng.random((height, width)) < rng.random()) * 255


def constant(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    return np.full((height, width), rng.choice([0, 1, 128, 255]))


def one_row(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    return few_levels(rng, 1, width)


def one_column(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    return few_levels(rng, height, 1)


def equal_squares(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Many components of the same area, in the same rows."""
    grid = rng.integers(0, 3, (height // 4 + 1, width // 4 + 1)) * rng.integers(1, 120)
    return np.kron(grid, np.pad(np.ones((3, 3), int), (0, 1)))


def plateaus(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    grid = rng.integers(0, 5, (height // 5 + 1, width // 7 + 1)) * 50
    return np.kron(grid, np.ones((5, 7), int))[:height, :width]


def checkerboard(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Pixels that touch at corners, some of them lower."""
    y, x = np.indices((height, width))
    return ((x + y) % 2) * 200 + rng.integers(0, rng.integers(1, 4), (height, width))


def dots(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """As many basins as an image can have."""
    levels = np.zeros((height, width), int)
    levels[::2, ::2] = rng.integers(1, 256, levels[::2, ::2].shape)
    return levels


def spiral(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """One path, whose level rises or falls, around itself."""
    levels = np.zeros((height, width), int)
    y, x, step, length = 0, 0, (0, 1), 0
    levels[0, 0] = 1
    while True:
        for _ in range(2):
            down, across = y + step[0], x + step[1]
            beyond = (down + step[0], across + step[1])
            inside = 0 <= down < height and 0 <= across < width
            at_rim = not (0 <= beyond[0] < height and 0 <= beyond[1] < width)
            if inside and not levels[down, across] and (at_rim or not levels[beyond]):
                break
            step = (step[1], -step[0])
        else:
            break
        y, x, length = down, across, length + 1
        levels[y, x] = 1 + length % 250
    return 255 - levels if rng.integers(2) else levels


def ramp(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    y, x = np.indices((height, width))
    return (x * rng.integers(-3, 4) + y * rng.integers(-3, 4)) % 256


KINDS = [
    noise,
    few_levels,
    upsampled,
    smooth,
    two_levels,
    constant,
    one_row,
    one_column,
    equal_squares,
    plateaus,
    checkerboard,
    dots,
    spiral,
    ramp,
]


@pytest.mark.parametrize("kind", KINDS)
def test_segments_and_the_flood_agree(kind) -> None:
    rng = np.random.default_rng(len(kind.__name__))
    for _ in range(300):
        height, width = rng.integers(1, 50, size=2)
        levels = np.ascontiguousarray(kind(rng, height, width), dtype=np.uint8)
        found = segment_boxes(levels)
        assert (found == kernels.flood_boxes(levels)).all()
        for threshold in (0, *rng.choice(levels.ravel(), 2)):
            assert tuple(found[threshold]) == slow_box(levels, threshold)


def test_every_picture_of_three_levels_and_seven_pixels_or_of_two_and_twelve() -> None:
    for levels, height, width in ((3, 1, 7), (3, 7, 1), (3, 2, 3), (3, 3, 2), (2, 3, 4), (2, 4, 3)):
        pixels = height * width
        digits = np.arange(levels**pixels)[:, None] // levels ** np.arange(pixels) % levels
        for picture in digits.astype(np.uint8).reshape(-1, height, width):
            assert (segment_boxes(picture) == kernels.flood_boxes(picture)).all()


@pytest.mark.parametrize("width", [1, 7, 8, 9, 15, 16, 17, 63, 64, 65])
def test_widths_around_whole_words(width: int) -> None:
    rng = np.random.default_rng(width)
    for kind in (noise, few_levels, plateaus, dots):
        levels = np.ascontiguousarray(kind(rng, 9, width), dtype=np.uint8)
        assert (segment_boxes(levels) == kernels.flood_boxes(levels)).all()


def test_a_smooth_map_of_a_photos_size_is_done_by_segments() -> None:
    rng = np.random.default_rng(4)
    levels = np.asarray(kernels.upsample_levels(noise(rng, 14, 14).astype(np.float32), 375, 500))
    limits = segments.SHORTEST, segments.most_bytes(375, 500)
    found, boxes = segments.segment_boxes(levels, *limits)
    assert found
    assert (boxes == kernels.flood_boxes(levels)).all()


def test_short_segments_are_left_to_the_flood() -> None:
    levels = noise(np.random.default_rng(5), 120, 90).astype(np.uint8)
    assert not segments.segment_boxes(levels, segments.SHORTEST, ENOUGH)[0]
    assert (kernels.largest_boxes(levels) == kernels.flood_boxes(levels)).all()


def test_basins_take_no_more_than_the_memory_that_is_given() -> None:
    levels = np.zeros((21, 41), np.uint8)
    levels[::4, ::8] = 9  # 6 rows of 6 dots
    bytes_ = 36 * (4 * 256 + 21 + 41)
    found, boxes = segments.segment_boxes(levels, 1, bytes_)
    assert found
    assert (boxes == kernels.flood_boxes(levels)).all()
    assert not segments.segment_boxes(levels, 1, bytes_ - 1)[0]


def test_many_basins_are_left_to_the_flood() -> None:
    levels = np.zeros((480, 480), np.uint8)
    levels[::6, ::24] = np.random.default_rng(6).integers(1, 256, (80, 20))
    height, width = levels.shape
    most = segments.most_bytes(height, width)
    assert np.count_nonzero(levels) * (4 * 256 + height + width) > most
    assert segments.segment_boxes(levels, segments.SHORTEST, ENOUGH)[0]
    assert not segments.segment_boxes(levels, segments.SHORTEST, most)[0]
    assert (kernels.largest_boxes(levels) == kernels.flood_boxes(levels)).all()


def test_memory_is_bounded_by_the_pixels() -> None:
    assert segments.most_bytes(1, 1) == 1 << 20
    assert segments.most_bytes(3000, 4000) == 8 * 3000 * 4000
    assert segments.most_segments(3000, 4000, segments.SHORTEST) <= 3000 * 4000 // 11


@pytest.mark.parametrize("order", ["F", "read-only"])
def test_any_layout_gives_the_same_boxes(order: str) -> None:
    levels = few_levels(np.random.default_rng(7), 30, 40).astype(np.uint8)
    other = np.asfortranarray(levels) if order == "F" else levels.copy()
    other.flags.writeable = order == "F"
    assert (kernels.largest_boxes(other) == kernels.flood_boxes(levels)).all()


def test_scratch_of_one_image_does_not_reach_the_next() -> None:
    rng = np.random.default_rng(8)
    sizes = [(60, 90), (1, 1), (8, 200), (90, 60), (200, 8), (33, 64), (5, 5)] * 3
    maps = [
        noise(rng, *((50, 80) if place % 3 == 0 else rng.integers(1, 9, size=2))).astype(np.uint8)
        for place in range(len(sizes))
    ]
    encoded = [masks.encode(np.ones(size, bool)).counts for size in sizes]
    empty = np.empty(0, np.uint8)
    packed = Packed.of([np.frombuffer(counts, np.uint8) for counts in encoded], empty)
    every = Packed(empty, np.zeros(len(maps) + 1, np.int64))
    names = [""] * len(maps)
    shapes = np.array(sizes, np.int64)
    _, boxes, _ = images.measure(names, maps, shapes, packed, every, with_boxes=True)
    for map_, size, found in zip(maps, sizes, boxes, strict=True):
        levels = kernels.upsample_levels(map_.astype(np.float32), *size)
        assert (found == kernels.flood_boxes(levels)).all()
