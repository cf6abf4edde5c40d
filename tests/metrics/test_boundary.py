"""Boundary scores: drawn cases with known answers, and slow oracles for every fast step."""

from __future__ import annotations

import itertools
import math
import re
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import maximum_flow

from wsolbench.errors import WsolbenchError
from wsolbench.metrics.boundary import (
    THRESHOLDS,
    BoundaryCounts,
    BoundaryRule,
    BoundaryTruth,
    boundary_counts,
    boundary_scores,
    edge_levels,
    suppress,
    thin,
    true_boundary,
)
from wsolbench.metrics.curves import read_boundaries

Bools = NDArray[np.bool_]


def picture(*rows: str) -> Bools:
    return np.array([[mark == "#" for mark in row] for row in rows])


def single(height: int, width: int, *places: tuple[int, int]) -> Bools:
    found = np.zeros((height, width), np.bool_)
    for place in places:
        found[place] = True
    return found


def matched(edges: Bools, truth: Bools, *, thinned: bool = False) -> int:
    counts = boundary_counts(edges.astype(np.uint8) * 255, truth, thinned=thinned)
    assert len(set(counts.matched.tolist())) == 1
    return int(counts.matched[0])


def within_reach(edges: Bools, truth: Bools) -> Bools:
    """Which pairs lie within .0075 of the diagonal, by exact fractions."""
    height, width = edges.shape
    reach = Fraction(75, 10_000) ** 2 * (height**2 + width**2)
    ours, theirs = np.argwhere(edges), np.argwhere(truth)
    squares = ((ours[:, None] - theirs[None]) ** 2).sum(axis=2)
    return squares <= math.floor(reach)


def flow_matching(edges: Bools, truth: Bools) -> int:
    """The oracle: a maximum flow through unit capacities."""
    near = within_reach(edges, truth)
    ours, theirs = near.shape
    if not near.any():
        return 0
    graph = np.zeros((ours + theirs + 2,) * 2, np.int32)
    graph[0, 1 : ours + 1] = 1
    graph[ours + 1 : -1, -1] = 1
    graph[1 : ours + 1, ours + 1 : -1] = near
    return int(maximum_flow(csr_matrix(graph), 0, ours + theirs + 1, method="dinic").flow_value)


# ------------------------------------------------------------------------------------- thinning


def test_thinning_of_every_neighbourhood_is_that_of_scikit_image() -> None:
    morphology = pytest.importorskip("skimage.morphology")
    for bits in range(512):
        square = np.array([bits >> place & 1 for place in range(9)], np.bool_).reshape(3, 3)
        np.testing.assert_array_equal(thin(square), morphology.thin(square), str(bits))
        framed = np.pad(square, 2)
        np.testing.assert_array_equal(thin(framed), morphology.thin(framed), str(bits))


@pytest.mark.parametrize("seed", range(30))
def test_thinning_of_random_pictures_is_that_of_scikit_image(seed: int) -> None:
    morphology = pytest.importorskip("skimage.morphology")
    rng = np.random.default_rng(seed)
    height, width = rng.integers(1, 150, 2)
    dense = rng.random((height, width)) < rng.uniform(0.05, 0.95)
    blocks = np.kron(rng.random((height // 7 + 1, width // 9 + 1)) < 0.6, np.ones((7, 9), np.bool_))
    for drawn in (dense, blocks[:height, :width].astype(np.bool_)):
        np.testing.assert_array_equal(thin(drawn), morphology.thin(drawn))


def test_known_thinnings() -> None:
    assert thin(np.ones((2, 6), np.bool_)).sum() == 5
    assert thin(np.ones((375, 500), np.bool_)).sum() == 126
    for shape in ((1, 1), (1, 2), (1, 200), (200, 1)):
        line = np.ones(shape, np.bool_)
        np.testing.assert_array_equal(thin(line), line)
    np.testing.assert_array_equal(
        thin(thin(np.ones((9, 70), np.bool_))), thin(np.ones((9, 70), bool))
    )


# ---------------------------------------------------------------------------------------- truth


def test_the_boundary_of_a_mask_lies_where_a_square_of_four_changes() -> None:
    mask = picture("......", "..##..", "..##..", "......")
    changes = picture(".###..", ".#.#..", ".###..", "......")
    np.testing.assert_array_equal(true_boundary(mask), thin(changes))
    inner = picture("......", "..##..", "..##..", "......")
    np.testing.assert_array_equal(true_boundary(mask, BoundaryTruth.INNER), inner)


def test_the_frame_is_no_boundary() -> None:
    for rule in BoundaryTruth:
        assert not true_boundary(np.ones((20, 30), np.bool_), rule).any()
        assert not true_boundary(np.zeros((20, 30), np.bool_), rule).any()
        half = np.zeros((20, 30), np.bool_)
        half[:, :10] = True
        found = true_boundary(half, rule)
        assert found.sum() == 20
        assert found[:, 9].all()


@pytest.mark.parametrize("seed", range(5))
def test_the_inner_boundary_is_that_of_scikit_image(seed: int) -> None:
    segmentation = pytest.importorskip("skimage.segmentation")
    mask = np.random.default_rng(seed).random((30, 40)) < 0.7
    expected = segmentation.find_boundaries(mask, connectivity=1, mode="inner", background=0)
    np.testing.assert_array_equal(true_boundary(mask, "inner"), expected & mask)


@pytest.mark.parametrize("seed", range(5))
def test_changes_are_those_of_a_loop(seed: int) -> None:
    mask = np.random.default_rng(seed).random((12, 15)) < 0.5
    changes = np.zeros_like(mask)
    for y, x in itertools.product(*map(range, mask.shape)):
        block = mask[y : y + 2, x : x + 2]
        changes[y, x] = block.any() and not block.all()
    np.testing.assert_array_equal(true_boundary(mask), thin(changes))


# ------------------------------------------------------------------------------------ matching


def test_distances_include_their_end() -> None:
    one = single(240, 320, (100, 100))
    assert matched(one, single(240, 320, (102, 102))) == 1  # 8 of 9
    assert matched(one, single(240, 320, (100, 103))) == 1  # exactly 3.0 pixels
    assert matched(one, single(240, 320, (102, 103))) == 0  # 13
    large = single(375, 500, (100, 100))
    assert matched(large, single(375, 500, (102, 104))) == 1  # 20 of 21.97
    assert matched(large, single(375, 500, (103, 104))) == 0  # 25


@pytest.mark.parametrize(("shift", "expected"), [(1, 200), (2, 200), (3, 200), (4, 0)])
def test_a_shifted_line(shift: int, expected: int) -> None:
    truth, edges = np.zeros((2, 240, 320), np.bool_)
    truth[100, 60:260] = True
    edges[100 + shift, 60:260] = True
    assert matched(edges, truth) == expected
    assert matched(edges, truth, thinned=True) == expected


def test_a_true_pixel_is_matched_once() -> None:
    truth = single(240, 320, (100, 100))
    counts = boundary_counts(single(240, 320, (99, 100), (101, 100)).astype(np.uint8) * 255, truth)
    assert counts.matched.tolist() == [1] * 99
    assert counts.predicted.tolist() == [2] * 99
    assert counts.true == 1


@pytest.mark.parametrize("seed", range(3))
def test_truth_against_itself_is_perfect(seed: int) -> None:
    rng = np.random.default_rng(seed)
    mask = np.kron(rng.random((12, 15)) < 0.5, np.ones((20, 20), np.bool_)).astype(np.bool_)
    truth = true_boundary(mask)
    assert matched(truth, truth, thinned=True) == truth.sum() > 100


@pytest.mark.parametrize("seed", range(40))
def test_counts_are_those_of_a_maximum_flow(seed: int) -> None:
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers((1, 130), (60, 260)))
    noise = rng.random(shape) ** rng.integers(1, 6)
    coarse = np.kron(rng.random((shape[0] // 4 + 1, shape[1] // 4 + 1)), np.ones((4, 4)))
    levels = np.rint(255 * (coarse[: shape[0], : shape[1]] if seed % 3 else noise)).astype(np.uint8)
    truth = thin(rng.random(shape) < rng.uniform(0.01, 0.2))
    counts = boundary_counts(levels, truth)
    for place in (0, 19, 49, 79, 98):
        edges = thin(levels / 255 >= THRESHOLDS[place])
        assert counts.predicted[place] == edges.sum()
        assert counts.matched[place] == flow_matching(edges, truth)


@pytest.mark.parametrize("seed", range(20))
def test_matchings_are_those_of_an_assignment(seed: int) -> None:
    rng = np.random.default_rng(seed)
    edges, truth = rng.random((2, 14, 300)) < 0.03
    near = within_reach(edges, truth)
    rows, chosen = linear_sum_assignment(near, maximize=True)
    assert matched(edges, truth) == near[rows, chosen].sum()


def test_long_alternating_paths_are_found() -> None:
    # Each pixel has its own partner on the left as well as its neighbour's on the right: whoever
    # takes the nearest first must be moved along the whole line.
    truth, edges = np.zeros((2, 3, 400), np.bool_)
    truth[1, 2:398:4] = True
    edges[1, 4:398:4] = True
    edges[0, 2] = True
    levels = np.zeros((3, 400), np.uint8)
    levels[edges] = np.arange(10, 10 + edges.sum())
    counts = boundary_counts(levels, truth)
    for place in range(99):
        assert counts.matched[place] == flow_matching(
            thin(levels / 255 >= THRESHOLDS[place]), truth
        )


def test_thresholds_include_their_level() -> None:
    levels = np.full((1, 1), 51, np.uint8)
    counts = boundary_counts(levels, np.ones((1, 1), np.bool_))
    assert counts.predicted.tolist() == [1] * 20 + [0] * 79  # 51 / 255 = .2
    nothing = boundary_counts(np.zeros((1, 1), np.uint8), np.ones((1, 1), np.bool_))
    assert not nothing.predicted.any()
    for level in range(256):
        own = boundary_counts(np.full((1, 1), level, np.uint8), np.ones((1, 1), np.bool_))
        assert own.predicted.tolist() == (level / 255 >= THRESHOLDS).astype(int).tolist()


@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (1, 200), (200, 1), (2, 2)])
def test_tiny_images(shape: tuple[int, int]) -> None:
    every = np.ones(shape, np.bool_)
    counts = boundary_counts(np.full(shape, 255, np.uint8), every)
    assert (counts.matched == thin(every).sum()).all()
    assert suppress(np.full(shape, 255, np.uint8)).shape == shape


def test_no_matching_takes_long_and_all_are_right() -> None:
    """Pictures on which searches for augmenting paths have got lost, of which sizes are known."""
    truth = np.zeros((375, 500), np.bool_)
    truth[5::9] = True
    near = np.zeros((375, 500), np.uint8)
    near[8::9] = np.random.default_rng(0).integers(3, 256, near[8::9].shape)
    counts = boundary_counts(near, truth, thinned=False)
    assert counts.matched[0] == (near > 0).sum()
    assert counts.matched.tolist() == [int((near / 255 >= own).sum()) for own in THRESHOLDS]
    both = np.zeros((375, 500), np.uint8)
    both[7::9] = both[3::9] = 200
    assert boundary_counts(both, truth).matched[0] == truth.sum()
    noise = np.random.default_rng(1).integers(0, 256, (375, 500)).astype(np.uint8)
    assert boundary_counts(noise, noise > 127).matched[0] > 0


# ---------------------------------------------------------------------------------- suppression


def slow_suppression(levels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The steps in floats, one after the other: values 0..255 that are not rounded."""
    height, width = levels.shape

    def smooth(own: NDArray[np.float64], taps: list[int]) -> NDArray[np.float64]:
        radius, weights = len(taps) // 2, np.array(taps) / sum(taps)
        for axis in (0, 1):
            padding = [(radius, radius) if axis == side else (0, 0) for side in (0, 1)]
            padded = np.pad(own, padding, mode="symmetric")
            windows = np.lib.stride_tricks.sliding_window_view(padded, len(taps), axis=axis)
            own = windows @ weights
        return own

    def gradient(own: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
        return np.gradient(own, axis=axis) if own.shape[axis] > 1 else np.zeros_like(own)

    fine = smooth(levels / 255, [1, 2, 1])
    coarse = smooth(fine, [1, 2, 3, 4, 5, 4, 3, 2, 1])
    dx, dy = gradient(coarse, 1), gradient(coarse, 0)
    dxx, dxy, dyy = gradient(dx, 1), gradient(dy, 1), gradient(dy, 0)
    sign = np.where(dxy > 1e-12, -1, 1)
    angle = np.arctan(dyy * sign / (dxx + 1e-5)) % np.pi

    def at(y: float, x: float) -> float:
        y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
        top, left = int(y), int(x)
        low, right = min(top + 1, height - 1), min(left + 1, width - 1)
        rows = [
            fine[row, left] + (x - left) * (fine[row, right] - fine[row, left])
            for row in (top, low)
        ]
        return rows[0] + (y - top) * (rows[1] - rows[0])

    kept = fine.copy()
    for y, x in itertools.product(range(height), range(width)):
        step_x, step_y = math.cos(angle[y, x]), math.sin(angle[y, x])
        for way in (1, -1):
            if 1.01 * fine[y, x] < at(y + way * step_y, x + way * step_x) - 1e-12:
                kept[y, x] = 0
    reach = min(5, height // 2, width // 2)
    for size, axis in ((height, 0), (width, 1)):
        places = np.arange(size)
        fade = np.minimum(np.minimum(places, places[::-1]) / max(reach, 1), 1)
        if reach == 0:
            fade[:] = 1
        kept *= fade[:, None] if axis == 0 else fade
    return 255 * kept


@pytest.mark.parametrize("seed", range(12))
def test_suppression_is_that_of_the_slow_steps(seed: int) -> None:
    rng = np.random.default_rng(seed)
    height, width = rng.integers(1, 45, 2)
    levels = rng.integers(0, 256, (height, width)).astype(np.uint8)
    if seed % 2:
        levels[rng.random((height, width)) < 0.9] = 0
    expected = slow_suppression(levels)
    found = suppress(levels).astype(np.float64)
    assert np.abs(found - expected).max() <= 0.5 + 1e-6


def test_a_thick_line_is_suppressed_to_its_ridge() -> None:
    levels = np.zeros((60, 80), np.uint8)
    for offset, level in ((-2, 60), (-1, 140), (0, 220), (1, 140), (2, 60)):
        levels[30 + offset] = level
    found = suppress(levels)
    assert set(np.flatnonzero(found.any(axis=1))) == {30}
    assert found[30, 0] == found[30, -1] == 0
    steps = np.diff(found[30, :6].astype(int))
    assert set(steps.tolist()) == {36}  # a fifth of (140 + 2 * 220 + 140) / 4


# --------------------------------------------------------------------------------------- levels


def test_probabilities_are_rounded() -> None:
    values = np.array([[0, 0.499 / 255, 0.5 / 255, 1.4 / 255, 1]], np.float32)
    assert edge_levels(values, 1, 5).tolist() == [[0, 0, 1, 1, 255]]
    own = np.random.default_rng(0).integers(0, 256, (7, 9)).astype(np.uint8)
    np.testing.assert_array_equal(edge_levels(own, 7, 9), own)
    np.testing.assert_array_equal(edge_levels(own.astype(np.float32) / np.float32(255), 7, 9), own)


@pytest.mark.parametrize("size", [(30, 40), (5, 7), (1, 1)])
def test_other_sizes_are_resized_as_torch_does(size: tuple[int, int]) -> None:
    torch = pytest.importorskip("torch")
    own = np.random.default_rng(1).integers(0, 256, (9, 13)).astype(np.uint8)
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(own.astype(np.float32))[None, None], size=size, mode="bilinear"
    )[0, 0].numpy()
    assert np.abs(edge_levels(own, *size).astype(np.float64) - expected).max() <= 0.5 + 1e-3


# --------------------------------------------------------------------------------------- scores


def counts_of(matched: list[int], predicted: list[int], true: int) -> BoundaryCounts:
    return BoundaryCounts(np.array(matched), np.array(predicted), np.array(true))


def test_nothing_to_find_scores_zero() -> None:
    blank, edges = np.zeros((20, 30), np.bool_), np.full((20, 30), 255, np.uint8)
    for levels in (edges, np.zeros_like(edges)):
        scores = boundary_scores([boundary_counts(levels, blank)])
        assert {key: own for key, own in scores.items() if key != "boundary_threshold"} == (
            dict.fromkeys(
                (
                    *("boundary_ods", "boundary_ois", "boundary_ap"),
                    *("boundary_ap_full", "boundary_r50"),
                ),
                0.0,
            )
        )


def test_a_perfect_binary_map_has_no_toolbox_ap() -> None:
    truth = single(240, 320, *((100, place) for place in range(50, 250)))
    scores = boundary_scores([boundary_counts(truth.astype(np.uint8) * 255, truth)])
    assert scores["boundary_ods"] == scores["boundary_ois"] == scores["boundary_ap_full"] == 1
    assert scores["boundary_r50"] == 1
    assert scores["boundary_ap"] == 0


def test_the_toolbox_divides_101_points_by_100() -> None:
    recall = np.linspace(0, 1, 99)[None]
    assert read_boundaries({"boundary_precision": np.ones((1, 99)), "boundary_recall": recall})[
        "boundary_ap"
    ] == pytest.approx(1.01)
    # Counts have a precision of 0 where nothing is matched.
    some = np.linspace(9900, 0, 99).astype(int).tolist()
    scores = boundary_scores([counts_of(some, some, 9900)])
    assert scores["boundary_ap"] == pytest.approx(1.0, abs=0.001)
    assert scores["boundary_ap_full"] == pytest.approx(1.0)


def slow_scores(images: list[BoundaryCounts]) -> dict[str, float]:
    """The definitions as loops."""
    matched, predicted = (
        sum(np.asarray(getattr(own, name), np.int64) for own in images)
        for name in ("matched", "predicted")
    )
    true = sum(int(own.true) for own in images)
    precision = [m / p if p else 0.0 for m, p in zip(matched, predicted, strict=True)]
    recall = [m / true if true else 0.0 for m in matched]

    def f(p: float, r: float) -> float:
        return 2 * p * r / (p + r) if p + r else 0.0

    best = max(
        f(
            precision[k] * (1 - w) + precision[k + 1] * w,
            recall[k] * (1 - w) + recall[k + 1] * w,
        )
        for k in range(98)
        for w in np.linspace(0, 1, 100)
    )
    own_best = np.zeros(2)
    for image in images:
        values = [
            Fraction(2 * int(m), int(p) + int(image.true)) if p + image.true else Fraction(0)
            for m, p in zip(image.matched, image.predicted, strict=True)
        ]
        at = values.index(max(values))
        own_best += (image.matched[at], image.predicted[at])
    points = sorted(
        {r: (r, p) for r, p in reversed([*zip(recall, precision, strict=True)])}.values()
    )
    total = 0.0
    for at in np.arange(101) / 100:
        for (r0, p0), (r1, p1) in itertools.pairwise(points):
            if r0 <= at <= r1:
                total += p0 + (at - r0) / (r1 - r0) * (p1 - p0)
                break
    steps, before = 0.0, 0.0
    for r in sorted(set(recall)):
        steps += max(p for p, own in zip(precision, recall, strict=True) if own == r) * (r - before)
        before = r
    return {
        "boundary_ods": best,
        "boundary_ois": 2 * own_best[0] / max(own_best[1] + true, 1),
        "boundary_ap": total / 100,
        "boundary_ap_full": steps,
    }


@pytest.mark.parametrize("seed", range(10))
def test_scores_are_those_of_loops(seed: int) -> None:
    rng = np.random.default_rng(seed)
    images = []
    for _ in range(4):
        shape = tuple(rng.integers((20, 140), (50, 250)))
        truth = thin(rng.random(shape) < 0.02)
        levels = (rng.random(shape) ** 3 * 200 + 55 * truth).astype(np.uint8)
        images.append(boundary_counts(levels, truth))
    found, expected = boundary_scores(images), slow_scores(images)
    for key, value in expected.items():
        assert found[key] == pytest.approx(value, abs=1e-9), key


def test_images_without_match_lower_ois_below_ods() -> None:
    """The best threshold of an image that has none is .01, with all that it predicts there."""
    good = counts_of([80] * 99, [100] * 99, 100)
    poor = counts_of([0] * 99, [900] * 10 + [0] * 89, 100)
    scores = boundary_scores([good, poor])
    assert scores["boundary_ods"] == pytest.approx(2 * 80 / (100 + 200))
    assert scores["boundary_ois"] == pytest.approx(2 * 80 / (1000 + 200))


def test_the_threshold_of_equal_f_is_the_lowest() -> None:
    flat = boundary_scores([counts_of([50] * 99, [61] * 99, 57)])
    assert flat["boundary_threshold"] == 0.01
    assert flat["boundary_ods"] == pytest.approx(2 * 50 / (61 + 57), abs=1e-15)
    plateau = boundary_scores([counts_of([10] * 82 + [50] * 17, [61] * 99, 57)])
    assert plateau["boundary_threshold"] == 0.83


def test_recall_at_half_precision() -> None:
    matched = np.array([60] * 50 + [40] * 49)
    predicted = np.array([180] * 50 + [50] * 49)  # precision 1/3 and .8
    scores = boundary_scores([BoundaryCounts(matched, predicted, np.array(100))])
    weight = (0.5 - 1 / 3) / (0.8 - 1 / 3)
    assert scores["boundary_r50"] == pytest.approx(0.6 + weight * (0.4 - 0.6))
    enough = boundary_scores([counts_of([60] * 99, [100] * 99, 100)])
    assert enough["boundary_r50"] == pytest.approx(0.6)
    never = boundary_scores([counts_of([10] * 99, [100] * 99, 100)])
    assert never["boundary_r50"] == 0


# --------------------------------------------------------------------------------------- errors


def test_refusals() -> None:
    levels, truth = np.zeros((4, 5), np.uint8), np.zeros((4, 5), np.bool_)
    cases = [
        (lambda: boundary_counts(levels, truth.astype(np.uint8) * 255), r"truth: found uint8"),
        (lambda: boundary_counts(levels, truth[:3]), r"found shapes \(4, 5\) and \(3, 5\)"),
        (lambda: boundary_counts(levels, np.stack([truth] * 5)), "found 5 ground truths of one"),
        (lambda: boundary_counts(levels, [truth, truth]), "found 2 ground truths of one"),
        (lambda: boundary_counts(levels / 255, truth), "found float64"),
        (lambda: boundary_counts(levels, truth, max_distance=0.0), "max_distance: found 0.0"),
        (lambda: boundary_counts(levels, truth, max_distance=math.nan), "max_distance: found nan"),
        (lambda: boundary_counts(levels[:0], truth[:0]), r"shape \(0, 5\)"),
        (lambda: edge_levels(np.full((2, 2), 1.5, np.float32), 2, 2), "what the sigmoid gives"),
        (lambda: true_boundary(levels), "mask: found uint8"),
        (lambda: thin(levels), "edges: found uint8"),
        (lambda: suppress(truth), "found bool"),
        (lambda: boundary_scores([]), "found no image"),
        (lambda: boundary_scores(None), "counts: found an object of type NoneType"),  # type: ignore[arg-type]
        (lambda: boundary_scores([counts_of([1] * 99, [1] * 99, 0)]), "no more matched than"),
        (lambda: boundary_scores([counts_of([1] * 9, [1] * 9, 1)]), r"found matched \(9,\)"),
        (lambda: edge_levels(np.zeros((2, 2), np.uint8), 3.0, 3), "height: found 3.0"),  # type: ignore[arg-type]
        (lambda: edge_levels([[0.5]], 3, 3), "edges: found"),  # type: ignore[arg-type]
        (lambda: boundary_counts(levels, truth, thinned="no"), "thinned: found an object"),  # type: ignore[arg-type]
        (lambda: BoundaryRule(truth="outer"), "found 'outer', expected"),  # type: ignore[arg-type]
        (lambda: BoundaryRule(max_distance=0.2), "max_distance: found 0.2, expected a share"),
    ]
    for act, message in cases:
        with pytest.raises(WsolbenchError, match=message):
            act()


def test_too_many_pairs_are_refused_before_they_are_held() -> None:
    every = np.ones((700, 700), np.bool_)
    with pytest.raises(WsolbenchError, match=r"pairs of pixels within reach, expected at most"):
        boundary_counts(np.full(every.shape, 255, np.uint8), every, max_distance=0.03)


def test_the_snippet_of_the_docs_runs(capsys: pytest.CaptureFixture[str]) -> None:
    page = Path(__file__).resolve().parents[2] / "docs" / "boundaries.md"
    (code,) = re.findall(r"```python\n(.*?)```", page.read_text(), flags=re.DOTALL)
    exec(compile(code, str(page), "exec"), {})
    assert 0.9 < float(capsys.readouterr().out) < 1
