"""Protocols that reproduce other programs, on drawn cases whose answer follows from their rules.

The numbers of clovaai/wsolevaluation's own tests are those of its evaluation_test.py (commit
8abc943), read there and typed here; `test_golden` has what the programs scored when they were run.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.conftest import annotation, random_dataset, random_maps
from wsolbench import masks
from wsolbench.data.dataset import Dataset
from wsolbench.errors import WsolbenchError
from wsolbench.evaluation.evaluator import Evaluator
from wsolbench.evaluation.families import fitting
from wsolbench.formats.annotations import AnnotationSet, write_store
from wsolbench.formats.report import signature, table
from wsolbench.formats.result import Bootstrap, Result, read_result
from wsolbench.metrics import boxes as box_metrics
from wsolbench.metrics import contours, pixel
from wsolbench.metrics.boxes import best_iou, largest_boxes
from wsolbench.metrics.packed import Packed
from wsolbench.protocols import PROTOCOLS, Protocol, changes, protocols_named, steps
from wsolbench.protocols.block import Block
from wsolbench.protocols.record import BIN_EDGES, SHARES
from wsolbench.protocols.steps import greys_of, nearest, on_grid, values_on_grid
from wsolbench.protocols.truth import Truth

OTHERS = [name for name in PROTOCOLS if name != "sem"]
COUNT = 12


def drawn(*parts: tuple[slice, slice]) -> np.ndarray:
    """A uint8 map of the grid's size, 255 in these parts, which no resizing or scaling moves."""
    map_ = np.zeros((224, 224), np.uint8)
    for part in parts:
        map_[part] = 255
    return map_


def block(protocol: Protocol, map_: np.ndarray, *boxes: tuple[int, ...]) -> Block:
    """One image of the grid's size, with these true boxes and an empty mask."""
    counts = np.frombuffer(masks.encode(np.zeros((224, 224), bool)).counts, np.uint8)
    return Block(
        protocol,
        Truth(
            ["drawn"],
            np.array([[224, 224]]),
            Packed.of([counts], np.empty(0, np.uint8)),
            Packed.of([np.empty(0, np.uint8)], np.empty(0, np.uint8)),
            Packed.of([np.array(boxes, np.int32)], np.empty((0, 4), np.int32)),
            np.zeros(1, np.int32),
        ),
        [map_],
    )


def right(name: str, map_: np.ndarray, *boxes: tuple[int, ...]) -> np.ndarray:
    """Whether the box is correct, bool (rows, thresholds)."""
    return box_metrics.measure(block(PROTOCOLS[name], map_, *boxes))["correct"][0]


def overlaps(name: str, map_: np.ndarray, *boxes: tuple[int, ...]) -> np.ndarray:
    """The IoU at each threshold."""
    return block(PROTOCOLS[name], map_, *boxes).overlaps[0]


def store_of(path: Path, *rows: object) -> Dataset:
    write_store(path, AnnotationSet("drawn", rows))
    return Dataset.open(path)


def scored(
    dataset: Dataset, name: str, maps: list[np.ndarray], top5: np.ndarray | None = None
) -> Result:
    evaluator = Evaluator(dataset, name)
    evaluator.update(dataset.image_ids, maps, top5)
    return evaluator.result()


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return random_dataset(tmp_path / "random.h5", COUNT)


# ------------------------------------------------------------------------------- what they are


def test_the_default_is_what_it_was() -> None:
    record = PROTOCOLS["sem"].as_dict()
    assert record["sha256"] == PROTOCOLS["sem"].sha256
    assert record["sha256"] == "9114c162805729218c4188a126ba1ad13ae9d968a56af3fc693201cae5684a1a"
    assert len(record) == 23


def test_no_two_protocols_share_a_hash_and_each_tells_what_differs() -> None:
    assert len({protocol.sha256 for protocol in PROTOCOLS.values()}) == len(PROTOCOLS)
    for name in OTHERS:
        sem, other = PROTOCOLS["sem"].as_dict(), PROTOCOLS[name].as_dict()
        told = changes(PROTOCOLS[name], PROTOCOLS["sem"])
        apart = {key: other[key] for key in ("name", "version", "sha256")}
        assert {**sem, **told, **apart} == other
        assert all(sem[key] != value for key, value in told.items())
    assert changes(PROTOCOLS["sem"], PROTOCOLS["sem"]) == {}
    assert changes(PROTOCOLS["bas-resnet"], PROTOCOLS["bas"]) == {"fixed_threshold": 0.45}


def test_lists_of_names() -> None:
    assert [own.name for own in protocols_named("sem, wsoleval-v1")] == ["sem", "wsoleval-v1"]
    with pytest.raises(WsolbenchError, match="name each protocol once"):
        protocols_named("sem,sem")
    with pytest.raises(WsolbenchError, match="found 'nothing', expected sem, wsoleval-v1"):
        protocols_named("sem,nothing")


@pytest.mark.parametrize("name", OTHERS)
def test_results_survive_the_disk_and_state_their_protocol(
    dataset: Dataset, tmp_path: Path, name: str
) -> None:
    rng = np.random.default_rng(2)
    top5 = np.stack([rng.permutation(7)[:5] for _ in range(COUNT)])
    result = scored(dataset, name, random_maps(COUNT), top5)
    result.write(tmp_path / "r.json")
    assert read_result(tmp_path / "r.json") == result
    protocol = PROTOCOLS[name]
    assert f"protocol:{name}.v{protocol.version}|hash:{protocol.sha256[:8]}" in signature(result)
    assert result.scores
    for form in ("text", "md", "latex", "csv"):
        assert table([result], form)
    with pytest.raises(WsolbenchError, match="one protocol side by side"):
        table([result, scored(dataset, "sem", random_maps(COUNT))])


@pytest.mark.parametrize("name", OTHERS)
def test_halves_added_are_the_whole_and_intervals_are_drawn(dataset: Dataset, name: str) -> None:
    maps, ids = random_maps(COUNT), dataset.image_ids
    whole, left, other = (Evaluator(dataset, name, keep_images=True) for _ in range(3))
    whole.update(ids, maps)
    left.update(ids[5:], maps[5:])
    other.update(ids[:5], maps[:5])
    left.merge(other)
    drawn_alike = [part.result(bootstrap=Bootstrap(20, 3)) for part in (whole, left)]
    assert drawn_alike[0].to_json() == drawn_alike[1].to_json()
    assert drawn_alike[0].intervals.keys() == drawn_alike[0].scores.keys()


@pytest.mark.parametrize("name", OTHERS)
def test_missing_maps_are_maps_of_zeros(dataset: Dataset, name: str) -> None:
    maps, ids = random_maps(COUNT), dataset.image_ids
    part = Evaluator(dataset, name)
    part.update(ids[:-2], maps[:-2])
    with pytest.raises(WsolbenchError, match="no map for 2 of 12 images"):
        part.result()
    found = part.result(allow_missing=True)
    assert found.counts["missing"] == 2
    assert found.scores == scored(dataset, name, [*maps[:-2], *[np.zeros((3, 3), "u1")] * 2]).scores


@pytest.mark.parametrize("name", OTHERS)
def test_what_a_protocol_has_no_answer_to_is_refused(dataset: Dataset, name: str) -> None:
    evaluator = Evaluator(dataset, name, keep_images=True)
    evaluator.update(dataset.image_ids, random_maps(COUNT))
    with pytest.raises(WsolbenchError, match=f"threshold: found protocol {name}"):
        evaluator.result(threshold=30)
    with pytest.raises(WsolbenchError, match=f"per-image scores: .* protocol {name}"):
        evaluator.image_table(evaluator.result())
    lacking = next(key for key in ("pixel", "box") if key not in fitting(PROTOCOLS[name]))
    with pytest.raises(WsolbenchError, match=f"found {lacking} under protocol {name}, expected"):
        Evaluator(dataset, name, [lacking])
    with pytest.raises(WsolbenchError, match="map of image_003: found 1 of 2 values NaN"):
        Evaluator(dataset, name).update(["image_003"], [np.array([[0.5, np.nan]], np.float32)])


def test_boxes_of_a_submissions_own_are_refused(dataset: Dataset) -> None:
    boxes = np.array([[0, 0, 1, 1]])
    with pytest.raises(WsolbenchError, match="protocol wsoleval-v1 infers boxes from maps"):
        Evaluator(dataset, "wsoleval-v1").update(["image_000"], random_maps(1), boxes=boxes)


# ------------------------------------------------------- array level: contours and the +1 rule


def test_boxes_of_wsolevaluations_own_tests() -> None:
    unimodal = [[0, 0, 0, 0, 0], [0, 4, 4, 4, 6], [0, 4, 10, 8, 6], [0, 4, 4, 4, 6]]
    multimodal = [[4, 0, 2, 2, 2], [4, 4, 0, 4, 0], [0, 0, 0, 4, 0], [10, 6, 8, 2, 2]]
    expected = {
        "unimodal": [[1, 1, 4, 3], [1, 1, 4, 3], [2, 1, 4, 3], [2, 2, 4, 3], [2, 2, 3, 3]],
        "multimodal": [[0, 0, 4, 3], [0, 0, 2, 2], [0, 3, 3, 3], [2, 3, 3, 3], [0, 3, 1, 3]],
        "zeros": [[0, 0, 0, 0]] * 5,
    }
    zeros = np.zeros((3, 3)).tolist()
    for name, map_ in (("unimodal", unimodal), ("multimodal", multimodal), ("zeros", zeros)):
        levels = np.floor(255 * (np.array(map_) / 10)).astype(np.uint8)
        found = [
            contours.outline_boxes(
                levels, int(t * levels.max()), every=False, clipped=True, empty=(0, 0, 0, 0)
            )
            for t in np.arange(0, 1, 0.2)
        ]
        assert np.concatenate(found).tolist() == expected[name]


def test_iou_of_wsolevaluations_own_tests() -> None:
    def iou(ours: list[int], theirs: list[int]) -> float:
        return float(contours.plus_one_iou(np.array([ours]), np.array([theirs]))[0, 0])

    assert iou([0, 0, 0, 0], [0, 0, 0, 0]) == 1
    assert iou([1, 2, 5, 6], [3, 1, 4, 5]) == 8 / 27
    assert iou([1, 1, 3, 3], [4, 4, 5, 5]) == 0
    # Counting pixels, the first boxes share none, the second ones 3 of 17.
    assert best_iou(np.array([0, 0, 0, 0]), np.array([[0, 0, 0, 0]])) == 0
    assert best_iou(np.array([1, 2, 5, 6]), np.array([[3, 1, 4, 5]])) == 3 / 17


def outlines(levels: np.ndarray, every: bool = True) -> list[list[int]]:
    return contours.outline_boxes(
        levels, 0, every=every, clipped=False, empty=(0, 0, 0, 0)
    ).tolist()


def test_a_hole_has_a_contour_of_its_own() -> None:
    ring = np.zeros((9, 9), np.uint8)
    ring[1:8, 1:8] = 1
    ring[3:6, 3:6] = 0
    # The hole's contour runs along the foreground around it: one pixel further on each side.
    assert sorted(outlines(ring)) == [[1, 1, 8, 8], [2, 2, 7, 7]]
    ring[4, 4] = 1
    assert sorted(outlines(ring)) == [[1, 1, 8, 8], [2, 2, 7, 7], [4, 4, 5, 5]]
    assert outlines(ring, every=False) == [[1, 1, 8, 8]]


def test_of_contours_with_equal_area_opencvs_first_wins() -> None:
    levels = np.zeros((9, 9), np.uint8)
    levels[0:3, 0:3] = levels[5:8, 5:8] = 1
    binary = levels * np.uint8(255)
    found = cv2.findContours(binary, cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE)[-2]
    assert [cv2.contourArea(contour) for contour in found] == [4, 4]
    x, y, width, height = cv2.boundingRect(found[0])
    assert outlines(levels, every=False) == [[x, y, x + width, y + height]]


def slow_overlaps(levels: np.ndarray, truth: np.ndarray, every: bool) -> list[float]:
    """The best IoU at each of the thousand thresholds, one picture and one pair at a time."""
    best = []
    height, width = levels.shape
    for share in np.arange(0, 1, 0.001):
        binary = (levels > int(share * levels.max())).astype(np.uint8)
        found = cv2.findContours(binary, cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE)[-2]
        if not every and found:
            found = [max(found, key=cv2.contourArea)]
        boxes = [(0, 0, 0, 0)] if not found else []
        for x, y, wide, high in map(cv2.boundingRect, found):
            boxes.append((x, y, min(x + wide, width - 1), min(y + high, height - 1)))
        painted = []
        for box in boxes:
            for other in truth:
                ours, theirs = np.zeros((2, height + 1, width + 1), bool)
                ours[box[1] : box[3] + 1, box[0] : box[2] + 1] = True
                theirs[other[1] : other[3] + 1, other[0] : other[2] + 1] = True
                painted.append((ours & theirs).sum() / (ours | theirs).sum())
        best.append(float(max(painted)))
    return best


@pytest.mark.parametrize("every", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_all_thresholds_agree_with_a_plain_loop(seed: int, every: bool) -> None:
    rng = np.random.default_rng(seed)
    levels = (rng.random((9, 8)) ** 2 * rng.integers(2, 256)).astype(np.uint8)
    truth = np.array([[0, 0, 4, 4], [2, 1, 7, 8]])
    found = contours.best_outline_overlaps(
        contours.Outlines(levels),
        (SHARES * int(levels.max())).astype(np.int64),
        truth,
        every=every,
        clipped=True,
        empty=(0, 0, 0, 0),
    )
    assert found.tolist() == slow_overlaps(levels, truth, every)


# --------------------------------------------------------------------- wsoleval-v1, wsoleval-v2


def test_a_level_at_the_threshold_is_background() -> None:
    # Levels 255 and 51 = int(.2 * 255): foreground at t < .2, background from .2 on.
    map_ = drawn((slice(50, 150), slice(50, 150)))
    map_[50:150, 150:200] = 51
    found = overlaps("wsoleval-v1", map_, (50, 50, 201, 151)) >= 0.9
    assert found[:200].all()
    assert not found[200:].any()
    # Under sem a level at T is foreground.
    assert largest_boxes(map_)[51].tolist() == [50, 50, 200, 150]
    assert largest_boxes(map_)[52].tolist() == [50, 50, 150, 150]


def test_only_every_contour_finds_an_object_within_a_ring() -> None:
    map_ = drawn((slice(10, 214), slice(10, 214)))
    map_[60:160, 60:160] = 0
    hole = (59, 59, 161, 161)
    assert right("wsoleval-v1", map_, hole)[0].sum() == 0
    assert right("wsoleval-v2", map_, hole)[0].all()


def test_a_line_of_one_pixel_has_no_contour_area() -> None:
    line, block = (slice(10, 11), slice(5, 205)), (slice(100, 105), slice(100, 105))
    map_ = drawn(line, block)
    truth = (5, 10, 205, 12)
    # The block's 25 pixels have an area of 16, the line's 200 pixels one of 0.
    assert not right("wsoleval-v1", map_, truth).any()
    assert right("wsoleval-v2", map_, truth)[0].all()


@pytest.mark.parametrize("side, exact", [(82, True), (81, False), (83, False)])
def test_true_boxes_are_inclusive_scaled_and_truncated(
    tmp_path: Path, side: int, exact: bool
) -> None:
    # 0..111 of 300 pixels is 0..110 inclusive, 0..82.13 on the grid, 0..82 truncated. A region of
    # 82 pixels has the box (0, 0, 82, 82).
    mask = np.zeros((300, 300), bool)
    mask[:111, :111] = True
    dataset = store_of(tmp_path / "s.h5", annotation("a", mask))
    evaluator = Evaluator(dataset, "wsoleval-v1", keep_images=True)
    map_ = drawn((slice(0, side), slice(0, side)))
    exactly = steps.true_boxes(PROTOCOLS["wsoleval-v1"], dataset[0].boxes, 300, 300)
    found = steps.overlaps_of(evaluator.protocol, steps.Seen(map_, mask[:224, :224], None, exactly))
    assert (found == 1).all() == exact


def test_far_corners_are_at_most_223() -> None:
    whole = np.full((224, 224), 9, np.uint8)
    for clipped, far in ((True, 223), (False, 224)):
        found = contours.outline_boxes(whole, 8, every=False, clipped=clipped, empty=(0, 0, 0, 0))
        assert found.tolist() == [[0, 0, far, far]]


def test_v1_is_the_best_threshold_and_v2_the_mean_of_three(tmp_path: Path) -> None:
    # Image a is right at low thresholds, b at high ones; at no threshold are both.
    wide, narrow = np.zeros((2, 224, 224), bool)
    wide[20:200, 20:200] = True
    narrow[20:80, 20:80] = True
    dataset = store_of(
        tmp_path / "s.h5", annotation("a", wide), annotation("b", narrow, class_index=1)
    )
    map_ = wide * np.uint8(102) + narrow * np.uint8(153)
    v1 = scored(dataset, "wsoleval-v1", [map_, map_])
    assert v1.scores == {"max_box_acc": 0.5, "box_threshold_fraction": 0}
    assert v1.curves["threshold"][:3] == [0, 0.001, 0.002]
    assert len(v1.curves["threshold"]) == len(v1.curves["gt_known_loc"]) == 1000
    v2 = scored(dataset, "wsoleval-v2", [map_, map_])
    assert v2.scores["max_box_acc"] == v2.scores["max_box_acc_30"] == 0.5
    assert v2.scores["max_box_acc_v2"] == 0.5
    narrowed = scored(dataset, "wsoleval-v1", [narrow * np.uint8(9), map_])
    assert narrowed.scores == {"max_box_acc": 0.5, "box_threshold_fraction": 0.4}


def test_the_resize_is_bicubic_and_comes_before_the_scaling() -> None:
    map_ = np.array([[0, 51, 255]], np.uint8)
    cubic = PROTOCOLS["wsoleval-v1"]
    found = values_on_grid(cubic, map_, (1, 6))
    wide = cv2.resize(map_ / 255, (6, 1), interpolation=cv2.INTER_CUBIC)
    assert wide.min() < 0
    assert found.tolist() == ((wide - wide.min()) / (wide - wide.min()).max()).tolist()
    assert (found.min(), found.max()) == (0, 1)
    assert not values_on_grid(cubic, np.full((2, 2), 77, np.uint8), (4, 4)).any()


# ------------------------------------------------------------------------------- without OpenCV


def test_without_opencv_one_line_tells_the_cure(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "cv2", None)
    with pytest.raises(WsolbenchError, match=r"pip install 'wsolbench\[opencv\]'"):
        Evaluator(dataset, "wsoleval-v1")
    assert scored(dataset, "sem", random_maps(COUNT)).scores


# ------------------------------------------------------------------ wsoleval-pxap, dawsol-piou


def test_bins_hold_their_lower_edge() -> None:
    values = np.array([[0, 0.0005, 0.001, 0.5, 0.999, 1]])
    mask = np.array([[1, 0, 0, 1, 1, 1]], bool)
    counts = pixel.count_bins(pixel.bins_of(values, BIN_EDGES), 1001, mask)
    assert counts.shape == (2, 1001)
    assert np.flatnonzero(counts[0]).tolist() == [0, 1]
    assert np.flatnonzero(counts[1]).tolist() == [0, 500, 999, 1000]
    assert counts.sum() == 6


@pytest.mark.parametrize("seed", range(3))
def test_bins_are_numpys(seed: int) -> None:
    # Golden program: numpy.histogram over the edges of wsolevaluation's MaskEvaluator.
    values = np.random.default_rng(seed).random((40, 30))
    values[:3] = np.random.default_rng(seed).choice([0, 0.25, 1, *SHARES[:20]], (3, 30))
    mask = values**2 > 0.3
    edges = np.append(np.arange(0, 1, 0.001), [1.0, 2.0, 3.0])
    found = pixel.count_bins(pixel.bins_of(values, BIN_EDGES), 1001, mask)
    for row, part in enumerate((values[~mask], values[mask])):
        assert found[row].tolist() == np.histogram(part, edges)[0][:-1].tolist()


def corner_case(tmp_path: Path, ignore: bool = False) -> tuple[Dataset, np.ndarray]:
    """An object of 4 x 4 cells of 56 pixels, and a map of them that is best at .6."""
    cells = np.array([[10, 6, 0, 0], [8, 6, 2, 0], [2, 2, 2, 0], [0, 0, 0, 0]])
    on = np.array([[1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1]], bool)
    one = np.ones((56, 56))
    extra = {}
    if ignore:
        away = np.zeros((4, 4), bool)
        away[1, 1] = away[0, 0] = True  # one beside the object, one on it
        extra["ignore"] = masks.encode(np.kron(away, one).astype(bool))
    mask = np.kron(on, one).astype(bool)
    dataset = store_of(tmp_path / "cells.h5", annotation("a", mask, **extra))
    return dataset, (np.kron(cells, one) / 10).astype(np.float32)


def test_pixel_scores_of_a_drawn_case(tmp_path: Path) -> None:
    dataset, map_ = corner_case(tmp_path)
    pxap, piou = (scored(dataset, name, [map_]) for name in ("wsoleval-pxap", "dawsol-piou"))
    # t = 1: P 1, R 1/4; .8: 1, 2/4; .6: 3/4, 3/4; .2: 3/8, 3/4; 0: 4/16, 1.
    expected = 1 / 4 + 1 / 4 + 3 / 4 / 4 + 4 / 16 / 4
    assert pxap.scores == {"ap": pytest.approx(expected)}
    assert piou.scores["ap"] == pxap.scores["ap"]
    assert piou.scores["peak_iou"] == 3 / 5
    # The map is float32, .6 just above .6 in float64; t just above .2 drops the cells of .2.
    assert piou.scores["peak_threshold_fraction"] == 0.201
    assert piou.curves["iou"][600] == 3 / 5
    assert piou.curves["iou"][601] == 2 / 4
    assert piou.curves["threshold"][-2:] == [0.999, 1.0]
    assert "iou" not in pxap.curves


def test_ignored_pixels_count_nowhere_but_on_the_object(tmp_path: Path) -> None:
    dataset, map_ = corner_case(tmp_path, ignore=True)
    piou = scored(dataset, "dawsol-piou", [map_])
    assert piou.scores["peak_iou"] == 3 / 4  # without the cell beside, with the one on the object


def test_maps_are_scaled_so_that_their_range_does_not_matter(tmp_path: Path) -> None:
    dataset, map_ = corner_case(tmp_path)
    faint = np.rint(map_ * 10).astype(np.uint8)
    results = {
        name: [scored(dataset, name, [own]).scores["peak_iou"] for own in (map_, faint)]
        for name in ("sem", "dawsol-piou", "spa2net")
    }
    assert results["dawsol-piou"] == [3 / 5, 3 / 5]
    assert results["spa2net"] == [3 / 5, 3 / 5]
    assert results["sem"] == [3 / 5, 3 / 5]
    assert scored(dataset, "sem", [faint]).scores["peak_threshold"] == 3


def test_masks_come_to_the_grid_by_nearest_neighbour() -> None:
    mask = np.zeros((4, 448), bool)
    mask[:, 1::2] = True  # of each pair of columns the first is taken
    assert not nearest(mask, (4, 224)).any()
    assert nearest(~mask, (4, 224)).all()


# -------------------------------------------------------------------------------------- spa2net


def test_bytes_are_made_before_the_resize_and_never_reach_255() -> None:
    map_ = np.array([[0.25, 0.5, 0.75]], np.float32)
    spa2net = PROTOCOLS["spa2net"]
    assert on_grid(spa2net, map_, (1, 3)).tolist() == [[0, 127, 254]]
    assert not on_grid(spa2net, np.full((2, 3), 0.7, np.float32), (4, 6)).any()
    ends = np.array([[0, 1]], np.float32)
    found = on_grid(spa2net, ends, (1, 4))
    golden = cv2.resize(np.array([[0, 254]], np.uint8), (4, 1), interpolation=cv2.INTER_LINEAR)
    assert found.tolist() == golden.tolist()
    assert found[0, 0] == 0
    assert found[0, 3] == 254


def test_spa2net_scores_levels_at_the_images_own_size(tmp_path: Path) -> None:
    mask = np.array([[0, 0, 1, 1]], bool)
    dataset = store_of(tmp_path / "s.h5", annotation("a", mask))
    result = scored(dataset, "spa2net", [np.array([[0, 0.25, 0.5, 1]], np.float32)])
    # Levels 0, 63, 127, 254: exact from 64 to 127.
    assert result.scores == {"peak_iou": 1, "peak_threshold": 64, "ap": 1}
    assert result.curves["iou"][63] == 2 / 3
    assert result.curves["iou"][127:129] == [1, 0.5]
    assert result.curves["iou"][254:] == [0.5, 0]
    # sem takes the map as it is: its highest level is 255.
    assert (
        scored(dataset, "sem", [np.array([[0, 0.25, 0.5, 1]], np.float32)]).curves["iou"][255] > 0
    )


# -------------------------------------------------------------------- tscam, bas, adl, genpromp

FIXED = ["tscam", "bas", "bas-resnet", "bas-inception", "adl"]


def test_one_pixel_wide_regions_are_nothing_to_contours_and_all_to_pixels() -> None:
    map_ = drawn((slice(10, 11), slice(5, 205)), (slice(100, 105), slice(100, 105)))
    truth = (5, 10, 205, 12)
    assert {name: bool(right(name, map_, truth)[0, 0]) for name in FIXED} == {
        "tscam": False,
        "bas": True,
        "bas-resnet": True,
        "bas-inception": True,
        "adl": False,
    }


def test_an_iou_of_one_half_is_enough_for_some() -> None:
    # The box (10, 10, 107, 19) has 98 x 10 pixels under the +1 rule, the true one 98 x 5.
    map_ = drawn((slice(10, 19), slice(10, 107)))
    half = (10, 10, 108, 15)
    assert (
        contours.plus_one_iou(np.array([[10, 10, 107, 19]]), np.array([[10, 10, 107, 14]])).item()
        == 0.5
    )
    assert right("wsoleval-v1", map_, half)[0].all()
    assert right("tscam", map_, half).tolist() == [[True], [False]]  # GT-known, Top-k
    assert right("adl", map_, half).tolist() == [[True]]
    assert right("bas", map_, half).tolist() == [[False]]


def test_without_foreground_each_has_a_box_of_its_own() -> None:
    zeros, point, whole = drawn(), (0, 0, 1, 1), (0, 0, 224, 224)
    boxed = [name for name in OTHERS if "box" in fitting(PROTOCOLS[name])]
    filled = {name for name in boxed if right(name, zeros, whole)[0].any()}
    assert filled == {name for name in OTHERS if name.startswith("bas")}
    assert len(filled) == 5
    # The true box 0..0 is one pixel; (0, 0, 0, 0) is it, (0, 0, 1, 1) is 4 pixels under +1.
    assert right("wsoleval-v1", zeros, point)[0].all()
    assert not right("tscam", zeros, point).any()
    assert right("tscam", zeros, (0, 0, 2, 2))[0].all()


@pytest.mark.parametrize(
    "name, background, foreground",
    [
        ("tscam", 30.5 / 255, 31.5 / 255),  # levels 30 = int(.12 * 255) and 31
        ("tscam-cub", 25.5 / 255, 26.5 / 255),  # 25 = int(.1 * 255)
        ("adl", 51.5 / 256, 52.5 / 256),  # greys 50 or 51 = int(.2 * 255), and 52
        ("bas", 0.5, 0.50001),
        ("bas-resnet", 0.45, 0.45001),
        ("bas-inception", 0.3, 0.30001),
        ("bas-cub", 0.15, 0.15001),
        ("bas-cub-inception", 0.1, 0.10001),
    ],
)
def test_a_fixed_threshold_is_strict(name: str, background: float, foreground: float) -> None:
    map_ = drawn((slice(50, 100), slice(50, 100))).astype(np.float32) / 255
    wide, narrow = (50, 50, 200, 100), (50, 50, 100, 100)
    for value, is_wide in ((background, False), (foreground, True)):
        map_[50:100, 100:200] = value
        assert right(name, map_, wide)[0, 0] == is_wide
        assert right(name, map_, narrow)[0, 0] != is_wide


@pytest.mark.parametrize(
    "name, background",
    [("genpromp", 63), ("genpromp-cub", 58)],  # int(.25 * 255), int(.23 * 255)
)
def test_genpromp_sees_maps_of_512_pixels(tmp_path: Path, name: str, background: int) -> None:
    mask = np.zeros((512, 512), bool)
    mask[100:200, 100:400] = True
    dataset = store_of(tmp_path / "s.h5", annotation("a", mask))
    map_ = np.zeros((512, 512), np.uint8)
    map_[100:200, 100:200] = 255
    # Sides count one more: the boxes have 101 x 101 and 301 x 101 pixels, the true one 300 x 100.
    narrow, wide = 101 * 100 / (101 * 101 + 300 * 100 - 101 * 100), 300 * 100 / (301 * 101)
    for level, expected in ((background, narrow), (background + 1, wide)):
        map_[100:200, 200:400] = level
        seen = steps.see(PROTOCOLS[name], map_, mask, None, dataset[0].boxes, (512, 512))
        assert seen.levels.shape == (512, 512)
        assert seen.boxes.tolist() == [[100, 100, 399, 199]]
        assert steps.overlaps_of(PROTOCOLS[name], seen).tolist() == [expected]


def test_bas_takes_the_first_of_equal_components_and_diagonal_neighbours() -> None:
    upper, lower = (slice(10, 60), slice(150, 200)), (slice(100, 150), slice(10, 60))
    map_ = drawn(upper, lower)
    assert right("bas", map_, (150, 10, 200, 60))[0, 0]
    assert not right("bas", map_, (10, 100, 60, 150))[0, 0]
    joined = drawn((slice(10, 60), slice(10, 60)), (slice(60, 110), slice(60, 110)))
    assert right("bas", joined, (10, 10, 110, 110))[0, 0]


def test_bas_scales_before_it_resizes_and_tscam_after() -> None:
    map_ = np.array([[0, 0.5], [0, 1]], np.float32)
    bas, tscam = PROTOCOLS["bas"], PROTOCOLS["tscam"]
    first, last = values_on_grid(bas, map_, (3, 3)), values_on_grid(tscam, map_, (3, 3))
    linear = cv2.resize(map_, (3, 3), interpolation=cv2.INTER_LINEAR)
    assert first.tolist() == linear.tolist()
    assert (
        last.tolist() == first.tolist()
    )  # corners are kept, so that the order shows in cubic only
    shrunk = np.array([[0, 1, 0, 1]], np.float32)
    assert values_on_grid(bas, shrunk, (1, 2)).tolist() == [[0.5, 0.5]]
    assert values_on_grid(tscam, shrunk, (1, 2)).tolist() == [[0, 0]]


def test_adl_knows_one_true_box() -> None:
    map_ = drawn((slice(10, 60), slice(10, 60)))
    boxes = [(150, 150, 200, 200), (10, 10, 60, 60)]
    assert right("tscam", map_, *boxes)[0, 0]
    assert not right("adl", map_, *boxes)[0, 0]
    assert right("adl", map_, *boxes[::-1])[0, 0]


def test_adl_greys_rise_with_the_value_but_not_evenly() -> None:
    greys = greys_of(np.linspace(0, 1, 256)).astype(int)
    assert (greys[0], greys[255]) == (0, 255)
    assert (np.diff(greys) >= 0).all()
    assert greys[7] == greys[8] == 7
    assert np.abs(greys - np.arange(256)).max() <= 4


def test_tscam_cuts_true_boxes_at_223() -> None:
    # A box past the image's edge, as a careless list has it: 0..230, cut to 0..223.
    map_ = np.ones((224, 224), np.float32)
    map_[150:] = map_[:, 150:] = 0  # its box 0..150 has 151^2 pixels, the true one 224^2 or 231^2
    assert overlaps("tscam", map_, (0, 0, 231, 231))[0] == 151**2 / 224**2


def three_and_one(tmp_path: Path) -> tuple[Dataset, list[np.ndarray]]:
    """Three images of class 0 whose box is right, one of class 4 whose box is not."""
    mask = np.zeros((224, 224), bool)
    mask[10:60, 10:60] = True
    classes = {"a": 0, "b": 0, "c": 0, "d": 4}
    rows = [annotation(name, mask, class_index=number) for name, number in classes.items()]
    good, bad = drawn((slice(10, 60), slice(10, 60))), drawn((slice(150, 220), slice(150, 220)))
    return store_of(tmp_path / "s.h5", *rows), [good, good, good, bad]


def test_accuracy_is_averaged_over_classes_or_images(tmp_path: Path) -> None:
    dataset, maps = three_and_one(tmp_path)
    top5 = np.array([[0, 1, 2, 3, 4], [1, 0, 2, 3, 4], [1, 2, 3, 4, 5], [4, 0, 1, 2, 3]])
    by_class = scored(dataset, "bas", maps, top5).scores
    assert by_class == {
        "gt_known_loc": 0.5,
        "top1_loc": pytest.approx(1 / 6),
        "top5_loc": pytest.approx(1 / 3),
        "top1_cls": pytest.approx((1 / 3 + 1) / 2),
        "top5_cls": pytest.approx((2 / 3 + 1) / 2),
    }
    for name in ("tscam", "adl"):
        assert scored(dataset, name, maps, top5).scores == {
            "gt_known_loc": 0.75,
            "top1_loc": 0.25,
            "top5_loc": 0.5,
            "top1_cls": 0.5,
            "top5_cls": 0.75,
        }
    result = scored(dataset, "bas", maps)
    assert result.scores == {"gt_known_loc": 0.5}
    assert result.curves == {}
    assert "threshold:fixed by the protocol at 0.5" in signature(result)


def test_tscam_asks_more_of_top_1_than_of_gt_known(tmp_path: Path) -> None:
    mask = np.zeros((224, 224), bool)
    mask[10:15, 10:108] = True
    dataset = store_of(tmp_path / "s.h5", annotation("a", mask))
    map_ = drawn((slice(10, 19), slice(10, 107)))
    found = scored(dataset, "tscam", [map_], np.arange(5)[None]).scores
    assert (found["gt_known_loc"], found["top1_loc"], found["top1_cls"]) == (1, 0, 1)
    assert scored(dataset, "adl", [map_], np.arange(5)[None]).scores["top1_loc"] == 1


def test_averaging_over_classes_needs_them(tmp_path: Path) -> None:
    mask = np.ones((3, 3), bool)
    dataset = store_of(tmp_path / "s.h5", annotation("a", mask, class_index=-1))
    with pytest.raises(WsolbenchError, match="1 of 1 images without class"):
        Evaluator(dataset, "bas")
    assert scored(dataset, "tscam", [mask * np.uint8(1)]).scores == {"gt_known_loc": 0}
