"""Levels, pixel counts and boxes against drawn answers, plain loops, and other programs."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from tests.conftest import random_blob
from wsolbench.errors import WsolbenchError
from wsolbench.metrics import boxes, pixel
from wsolbench.metrics.choices import Comparator
from wsolbench.metrics.curves import sum_of_steps
from wsolbench.metrics.levels import level_map
from wsolbench.metrics.sum_kernels import curve_steps


def slow_levels(map_: np.ndarray, height: int, width: int) -> np.ndarray:
    """`level_map` one pixel at a time, in the float32 order that its module states."""
    one = np.float32
    values = map_.astype(one) * (one(1) if map_.dtype == np.uint8 else one(255))
    rows, columns = map_.shape

    def taps(place: int, source: int, target: int) -> tuple[int, int, np.float32]:
        position = min(max((place + 0.5) * (source / target) - 0.5, 0.0), source - 1.0)
        low = int(position)
        return low, min(low + 1, source - 1), one(position - low)

    levels = np.empty((height, width), dtype=np.uint8)
    for y in range(height):
        top, bottom, down = taps(y, rows, height)
        for x in range(width):
            left, right, along = taps(x, columns, width)
            upper = values[top, left] + along * (values[top, right] - values[top, left])
            lower = values[bottom, left] + along * (values[bottom, right] - values[bottom, left])
            levels[y, x] = min(max(upper + down * (lower - upper), one(0)), one(255))
    return levels


def slow_scores(levels: np.ndarray, mask: np.ndarray) -> tuple[list[float], float]:
    """IoU at every threshold, and AP, from whole comparisons of arrays."""
    ious, precisions, recalls = [], [], []
    for threshold in range(256):
        found = levels >= threshold
        true = int((found & mask).sum())
        ious.append(true / int((found | mask).sum()))
        precisions.append(true / int(found.sum()) if found.any() else 1.0)
        recalls.append(true / int(mask.sum()))
    recalls.append(0.0)
    steps = (precisions[t] * (recalls[t] - recalls[t + 1]) for t in range(255, -1, -1))
    return ious, sum(steps)


def slow_box(levels: np.ndarray, threshold: int) -> tuple[int, int, int, int]:
    """The largest 8-connected component's box with scipy, ties to the first in row-major order."""
    labels, count = ndimage.label(levels >= threshold, structure=np.ones((3, 3)))
    if count == 0:
        return (0, 0, 0, 0)
    # scipy numbers components in the row-major order of their first pixels; argmax takes the first.
    largest = 1 + int(np.argmax(np.bincount(labels.ravel())[1:]))
    rows, columns = np.nonzero(labels == largest)
    return (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)


def slow_iou(box: tuple[int, ...], truth: np.ndarray, shape: tuple[int, int]) -> float:
    """Box IoU by painting pixels."""
    best = 0.0
    for other in truth:
        painted = np.zeros((2, *shape), dtype=bool)
        painted[0, box[1] : box[3], box[0] : box[2]] = True
        painted[1, other[1] : other[3], other[0] : other[2]] = True
        union = int((painted[0] | painted[1]).sum())
        best = max(best, int((painted[0] & painted[1]).sum()) / union)
    return best


def random_map(rng: np.random.Generator, dtype: str, height: int, width: int) -> np.ndarray:
    """A map with few or many levels, smooth or not, of any legal type."""
    kind = rng.integers(4)
    map_ = rng.random((height, width))
    if kind == 1:
        map_ = ndimage.gaussian_filter(map_, 2)
    elif kind == 2:
        map_ = np.round(map_ * 3) / 3
    elif kind == 3:
        map_ = np.full_like(map_, rng.choice([0, 0.5, 1]))
    return np.rint(map_ * 255).astype(dtype) if dtype == "uint8" else map_.astype(dtype)


CASES = [(seed, dtype) for seed in range(60) for dtype in ("uint8", "float16", "float32")]


@pytest.mark.parametrize("seed, dtype", CASES)
def test_everything_agrees_with_plain_loops(seed: int, dtype: str) -> None:
    rng = np.random.default_rng([seed, len(dtype)])
    height, width = rng.integers(1, 26, size=2)
    map_ = random_map(rng, dtype, *rng.integers(1, 31, size=2))
    mask = random_blob(rng, height, width)
    levels = level_map(map_, height, width)
    assert (levels == slow_levels(map_, height, width)).all()
    counts = pixel.count_pixels(levels, mask)
    ious, ap = slow_scores(levels, mask)
    assert pixel.iou(counts).tolist() == ious
    assert pixel.average_precision(counts) == pytest.approx(ap, abs=1e-12)
    truth = np.array([[0, 0, width, height], [0, 0, 1, 1]], dtype=np.int32)
    found = boxes.largest_boxes(levels)
    overlap = boxes.best_iou(found, truth)
    for threshold in [0, 1, 64, 127, 128, 200, 254, 255]:
        assert tuple(found[threshold]) == slow_box(levels, threshold)
        expected = slow_iou(tuple(found[threshold]), truth, (height, width))
        assert overlap[threshold] == expected


@pytest.mark.parametrize("seed", range(40))
def test_boxes_at_all_thresholds_of_images_with_many_ties(seed: int) -> None:
    rng = np.random.default_rng(seed)
    levels = rng.choice([0, 1, 2, 5, 200, 255], size=rng.integers(1, 20, size=2)).astype(np.uint8)
    found = boxes.largest_boxes(levels)
    assert [tuple(box) for box in found] == [slow_box(levels, t) for t in range(256)]


@pytest.mark.parametrize("size", [(375, 500), (40, 40), (17, 33)])
def test_levels_agree_with_opencv_but_for_values_on_the_edge_of_a_level(
    size: tuple[int, int],
) -> None:
    # Golden program: opencv-python-headless 5.0.0, cv2.resize with INTER_LINEAR.
    cv2 = pytest.importorskip("cv2", reason="the other program")
    map_ = np.random.default_rng(7).random((40, 40)).astype(np.float32)
    levels = level_map(map_, *size)
    values = 255 * cv2.resize(map_, size[::-1], interpolation=cv2.INTER_LINEAR)
    differ = levels != np.floor(values)
    assert differ.mean() < 1e-4
    assert np.abs(values[differ] - np.rint(values[differ])).max(initial=0) < 1e-3


def test_a_constant_map_keeps_its_level() -> None:
    for level in range(256):
        for map_ in (np.full((3, 5), level, np.uint8), np.full((3, 5), level / 255, np.float32)):
            assert set(level_map(map_, 7, 4).ravel().tolist()) == {level}


def test_two_pixels_stretched_to_four() -> None:
    # Centres of 4 pixels lie at -0.25, 0.25, 0.75, 1.25 of 2: clamped, a quarter, three, clamped.
    assert level_map(np.array([[0, 200]], np.uint8), 1, 4).tolist() == [[0, 50, 150, 200]]


def test_floor_not_round() -> None:
    assert level_map(np.array([[0.999]], np.float32), 1, 1).tolist() == [[254]]


@pytest.mark.parametrize(
    "map_, found",
    [
        (np.array([[0.5, np.nan]], np.float32), "NaN or infinite"),
        (np.array([[0.5, np.inf]], np.float32), "inf"),
        (np.array([[-0.1, 1]], np.float32), "-0.1"),
        (np.array([[0, 1.5]], np.float16), "1.5"),
        (np.zeros((2, 2)), "float64"),
        (np.zeros((2, 2), np.int32), "int32"),
        (np.zeros((2, 2, 1), np.uint8), "shape"),
        (np.zeros((0, 2), np.uint8), "shape"),
    ],
)
def test_a_map_that_is_not_legal_is_refused(map_: np.ndarray, found: str) -> None:
    with pytest.raises(WsolbenchError, match=found):
        level_map(map_, 4, 4)


def test_a_drawn_case() -> None:
    levels = np.array([[9, 9, 0], [9, 5, 0]], np.uint8)
    mask = np.array([[1, 1, 0], [0, 1, 0]], bool)
    counts = pixel.count_pixels(levels, mask)
    curve = pixel.iou(counts)
    assert curve[0] == 3 / 6
    assert curve[5] == 3 / 4
    assert curve[9] == 2 / 4
    assert curve[10] == 0
    assert int(curve.argmax()) == 1
    # T = 9: P 2/3, R 2/3. T = 5: P 3/4, R 1.
    assert pixel.average_precision(counts) == pytest.approx(2 / 3 * 2 / 3 + 3 / 4 / 3)


def test_a_map_that_is_the_mask_scores_one() -> None:
    mask = random_blob(np.random.default_rng(3), 20, 30)
    counts = pixel.count_pixels(level_map(mask * np.uint8(255), 20, 30), mask)
    assert (pixel.iou(counts)[1:] == 1).all()
    assert pixel.average_precision(counts) == 1


def test_ignored_pixels_count_nowhere() -> None:
    rng = np.random.default_rng(5)
    mask, ignore = random_blob(rng, 9, 8), random_blob(rng, 9, 8)
    levels = rng.integers(0, 256, (9, 8)).astype(np.uint8)
    counts = pixel.count_pixels(levels, mask, ignore)
    assert counts.sum() == (~ignore).sum()
    assert counts[1].sum() == (mask & ~ignore).sum()
    other = np.where(ignore, 255 - levels, levels)
    assert (pixel.count_pixels(other, mask, ignore) == counts).all()


def test_true_positives_never_rise_with_the_threshold() -> None:
    rng = np.random.default_rng(8)
    counts = rng.integers(0, 9, (2, 256))
    assert (np.diff(pixel.reach(counts)) <= 0).all()
    assert (np.diff(pixel.recall(counts)) <= 0).all()


def test_an_empty_object_scores_zero_and_never_nan() -> None:
    counts = np.zeros((2, 256), np.int64)
    assert pixel.iou(counts).max() == 0
    assert pixel.average_precision(counts) == 0
    assert (pixel.precision(counts) == 1).all()


@pytest.mark.parametrize("comparator", list(Comparator))
@pytest.mark.parametrize("bins", [256, 1001])
def test_curves_and_steps_are_those_of_numpy(comparator: Comparator, bins: int) -> None:
    """Every bit, of histograms with and without object, background and ties."""
    rng = np.random.default_rng(bins)
    counts = rng.integers(1 << 40, size=(40, 2, bins))
    counts[:20] = rng.integers(3, size=(20, 2, bins))
    counts[1], counts[2, 0], counts[3, 1], counts[4, :, 7:], counts[5, :, :-1] = 0, 0, 0, 0, 0
    counts[::3] *= rng.integers(2, size=(14, 1, bins))
    curve, steps = curve_steps(counts, comparator is Comparator.ABOVE)
    assert curve.tobytes() == pixel.iou(counts, comparator).tobytes()
    area = pixel.average_precision(counts, comparator)
    assert sum_of_steps(steps).tobytes() == area.tobytes()
    assert [sum_of_steps(own) for own in steps] == area.tolist()


def test_shapes_that_differ_are_refused() -> None:
    with pytest.raises(WsolbenchError, match=r"mask: found shape \(2, 3\)"):
        pixel.count_pixels(np.zeros((3, 2), np.uint8), np.zeros((2, 3), bool))


def test_diagonal_neighbours_are_one_component() -> None:
    levels = np.zeros((4, 4), np.uint8)
    levels[[0, 1, 2], [0, 1, 2]] = 9
    levels[0, 2:] = 9  # joined to the diagonal through (1, 1)
    assert boxes.largest_boxes(levels)[9].tolist() == [0, 0, 4, 3]


def test_of_equal_components_the_first_in_row_major_order_wins() -> None:
    levels = np.zeros((3, 5), np.uint8)
    levels[2, 0:2] = 7
    levels[0, 3:5] = 7
    assert boxes.largest_boxes(levels)[7].tolist() == [3, 0, 5, 1]


def test_no_component_gives_a_box_without_area() -> None:
    found = boxes.largest_boxes(np.full((3, 5), 10, np.uint8))
    assert found[10].tolist() == [0, 0, 5, 3]
    assert found[11].tolist() == [0, 0, 0, 0]
    assert boxes.best_iou(found[11], np.array([[0, 0, 5, 3]], np.int32)) == 0


def test_box_iou_counts_pixels_and_takes_the_best() -> None:
    truth = np.array([[0, 0, 10, 10], [20, 20, 30, 30]], np.int32)
    assert boxes.best_iou(np.array([0, 0, 5, 10]), truth) == 0.5
    assert boxes.best_iou(np.array([20, 20, 30, 29]), truth) == 0.9
    assert boxes.best_iou(np.array([10, 0, 20, 10]), truth) == 0
