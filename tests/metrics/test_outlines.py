"""Contours at all thresholds at once against OpenCV's at each threshold, which are their oracle."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from wsolbench.metrics import contours, outline_kernels
from wsolbench.metrics.boxes import best_iou

cv2 = pytest.importorskip("cv2", reason="pip install 'wsolbench[opencv]'")

EMPTY = (0, 0, 1, 1)
ALL = np.arange(-1, 256)


def pictures(kind: str, count: int) -> Iterator[np.ndarray]:
    """uint8 pictures of 1 to 40 pixels a side."""
    rng = np.random.default_rng(len(kind))
    for _ in range(count):
        shape, most = rng.integers(1, 14, 2), int(rng.integers(2, 257))
        levels = rng.integers(0, most, shape).astype(np.uint8)
        size = (int(shape[1]) * 3, int(shape[0]) * 3)
        if kind == "smooth":
            levels = cv2.resize(levels, size, interpolation=cv2.INTER_CUBIC)
        if kind == "blocks":
            levels = np.kron(levels, np.ones((2, 3), np.uint8))
        if kind == "rings":
            y, x = np.mgrid[: size[1], : size[0]]
            waves = np.sin(rng.uniform(0.3, 1.5) * np.hypot(y - size[1] / 2, x - size[0] / 3))
            levels = (127 * waves + 127 + rng.integers(0, 2, waves.shape)).astype(np.uint8)
        yield levels


def slow(
    levels: np.ndarray,
    thresholds: np.ndarray,
    truth: np.ndarray,
    *,
    every: bool,
    clipped: bool,
    plus_one: bool,
) -> list[float]:
    """OpenCV's contours at each threshold."""
    found = []
    for threshold in thresholds.tolist():
        boxes = contours.outline_boxes(levels, threshold, every=every, clipped=clipped, empty=EMPTY)
        ious = contours.plus_one_iou(boxes, truth) if plus_one else best_iou(boxes, truth)
        found.append(float(ious.max()))
    return found


def some_boxes(rng: np.random.Generator, levels: np.ndarray, dtype: str) -> np.ndarray:
    height, width = levels.shape
    x, y = (np.sort(rng.uniform(0, side, (3, 2)), axis=1) for side in (width, height))
    corners = np.stack((x[:, 0], y[:, 0], x[:, 1], y[:, 1]), axis=1).astype(dtype)
    return corners + np.array((0, 0, 1, 1), dtype)


@pytest.mark.parametrize("kind", ["noise", "smooth", "blocks", "rings"])
@pytest.mark.parametrize("every", [False, True])
@pytest.mark.parametrize("plus_one", [False, True])
def test_every_threshold_is_opencvs(
    monkeypatch: pytest.MonkeyPatch, kind: str, every: bool, plus_one: bool
) -> None:
    monkeypatch.setattr(contours, "_MANY", 1)
    rng = np.random.default_rng(1)
    for place, levels in enumerate(pictures(kind, 12)):
        truth = some_boxes(rng, levels, ("int64", "float64")[place % 2])
        ways = {"every": every, "clipped": place % 3 > 0, "plus_one": plus_one}
        found = contours.best_outline_overlaps(
            contours.Outlines(levels), ALL, truth, empty=EMPTY, **ways
        )
        assert found.dtype == np.float64
        assert found.tolist() == slow(levels, ALL, truth, **ways)


@pytest.mark.parametrize("every", [False, True])
def test_few_pictures_are_opencvs_too(every: bool) -> None:
    rng = np.random.default_rng(2)
    for levels in pictures("smooth", 10):
        truth, ways = some_boxes(rng, levels, "int64"), {"clipped": True, "plus_one": True}
        for thresholds in (np.array([100]), np.array([3, 3, 200, 255]), np.array([255])):
            found = contours.best_outline_overlaps(
                contours.Outlines(levels), thresholds, truth, every=every, empty=EMPTY, **ways
            )
            assert found.tolist() == slow(levels, thresholds, truth, every=every, **ways)


@pytest.mark.parametrize("levels", [np.zeros((4, 5), np.uint8), np.full((1, 1), 255, np.uint8)])
@pytest.mark.parametrize("every", [False, True])
def test_constant_pictures(
    monkeypatch: pytest.MonkeyPatch, levels: np.ndarray, every: bool
) -> None:
    monkeypatch.setattr(contours, "_MANY", 1)
    truth, ways = np.array([[0, 0, 3, 2]]), {"every": every, "clipped": True, "plus_one": True}
    found = contours.best_outline_overlaps(
        contours.Outlines(levels), ALL, truth, empty=EMPTY, **ways
    )
    assert found.tolist() == slow(levels, ALL, truth, **ways)


def test_areas_are_opencvs_where_no_other_contour_is_as_large() -> None:
    """The contour of largest area is another one than the component with the most pixels."""
    levels = np.zeros((12, 30), np.uint8)
    levels[1, 1:29] = 9  # a line: 28 pixels, no area
    levels[4:8, 3:7] = 9  # 16 pixels, an area of 9
    levels[4:11, 12:19] = 9
    levels[6:9, 14:17] = 0  # a ring: 40 pixels, an area of 36
    boxes, tied = outline_kernels.largest_outlines(levels, contours.Outlines(levels).components)
    assert boxes[1:10].tolist() == [[12, 4, 18, 10]] * 9
    assert not tied.any()
    levels[4:11, 12:19] = 0
    levels[9:11, 9:29] = 9  # 40 pixels, an area of 19
    levels[9:11, 20] = 0  # 20 and 8 pixels wide: areas of 10 and 7
    boxes, tied = outline_kernels.largest_outlines(levels, contours.Outlines(levels).components)
    assert boxes[9].tolist() == [9, 9, 19, 10]
    levels[7, 6] = 0  # an area of 8.5
    levels[9:11, 18:20] = 0  # an area of 8
    boxes, tied = outline_kernels.largest_outlines(levels, contours.Outlines(levels).components)
    assert boxes[9].tolist() == [3, 4, 6, 7]
    assert not tied[9]
    levels[7, 3] = 0  # an area of 8
    _, tied = outline_kernels.largest_outlines(levels, contours.Outlines(levels).components)
    assert tied[1:10].all()
    assert not tied[10:].any()


def test_components_say_at_which_levels_they_are_there() -> None:
    levels = np.array([[5, 5, 0, 7, 3]], np.uint8)
    found = outline_kernels.components(levels, 8)
    # level, under, x0, y0, x1, y1, first pixel
    assert sorted(found.tolist()) == [
        [0, -1, 0, 0, 4, 0, 0],
        [3, 0, 3, 0, 4, 0, 3],
        [5, 0, 0, 0, 1, 0, 0],
        [7, 3, 3, 0, 3, 0, 3],
    ]
    diagonal = np.array([[9, 0], [0, 9]], np.uint8)
    assert len(outline_kernels.components(diagonal, 8)) == 2
    assert len(outline_kernels.components(diagonal, 4)) == 3


def has_holes(levels: np.ndarray) -> bool:
    """Whether a component of the background does not touch the frame, at any threshold."""
    _, _, x0, y0, x1, y1, _ = outline_kernels.components(255 - levels, 4).T
    height, width = levels.shape
    return bool(((x0 > 0) & (y0 > 0) & (x1 < width - 1) & (y1 < height - 1)).any())


@pytest.mark.parametrize("kind", ["noise", "smooth", "blocks", "rings"])
def test_what_drains_has_no_hole(kind: str) -> None:
    for levels in pictures(kind, 40):
        assert not (outline_kernels.drains(levels) and has_holes(levels))


def test_what_drains() -> None:
    slope, bowl = np.add.outer(np.arange(5), np.arange(6)).astype(np.uint8), np.zeros((5, 5), "u1")
    bowl[1:4, 1:4] = 1
    winding = np.full((5, 7), 1, np.uint8)
    winding[1:4, 1:6] = [[2, 2, 2, 2, 2], [2, 9, 9, 9, 2], [2, 2, 2, 2, 1]]
    for levels in (slope, 255 - slope, bowl, np.zeros((2, 9), np.uint8), winding):
        assert outline_kernels.drains(levels)
        assert not has_holes(levels)
    bowl[2, 2] = 0
    assert not outline_kernels.drains(bowl)
    assert has_holes(bowl)


@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (0, 0)])
def test_a_picture_without_pixels_has_no_components(shape: tuple[int, int]) -> None:
    assert outline_kernels.components(np.zeros(shape, np.uint8), 8).shape == (0, 7)
