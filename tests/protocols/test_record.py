"""A protocol is a value: what its fields may be, how it travels, and one of a user's own."""

from __future__ import annotations

import dataclasses
import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import annotation, random_dataset, random_maps
from wsolbench.data.dataset import Dataset
from wsolbench.errors import WsolbenchError
from wsolbench.evaluation.comparison import compare
from wsolbench.evaluation.counts import read_counts, write_counts
from wsolbench.evaluation.evaluator import Evaluator
from wsolbench.evaluation.run import Request, run
from wsolbench.formats.annotations import AnnotationSet, write_store
from wsolbench.formats.result import Bootstrap, read_result
from wsolbench.formats.submission.rules import SubmissionHeader
from wsolbench.formats.submission.writer import SubmissionWriter
from wsolbench.metrics.choices import BoxScore, Comparator, Component, PixelScore, Reduction
from wsolbench.protocols import PROTOCOLS, Protocol, as_protocol, as_protocols
from wsolbench.protocols.record import (
    Averaging,
    BoxTruth,
    Levels,
    Scaling,
    Thresholds,
    Upsampling,
)
from wsolbench.protocols.steps import best_overlap, true_boxes

SEM = PROTOCOLS["sem"]
COUNT = 15


def mine(**changes: Any) -> Protocol:
    return dataclasses.replace(SEM, name="mine", version=1, **changes)


@pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=PROTOCOLS.keys())
def test_a_protocol_comes_back_from_json(protocol: Protocol) -> None:
    content = json.loads(json.dumps(protocol.as_dict()))
    assert Protocol.from_dict(content) == protocol
    for change in ({"sha256": "0" * 64}, {"version": 99}, {"comparator": "=>"}, {"grid": "224"}):
        with pytest.raises(WsolbenchError, match=rf"another version of protocol {protocol.name}"):
            Protocol.from_dict({**content, **change})
    with pytest.raises(WsolbenchError, match="another version of protocol"):
        Protocol.from_dict({key: value for key, value in content.items() if key != "grid"})


def test_words_enter_neither_hash_nor_equality() -> None:
    assert dataclasses.replace(SEM, source="elsewhere") == SEM
    assert dataclasses.replace(SEM, source="elsewhere").sha256 == SEM.sha256
    assert "source" not in SEM.as_dict()
    changed = [mine(comparator=Comparator.ABOVE), mine(box_iou_comparator=Comparator.ABOVE)]
    assert len({own.sha256 for own in (SEM, mine(), *changed)}) == 4


@pytest.mark.parametrize(
    "changes, found",
    [
        ({"name": "My Protocol"}, "a name that is no short text"),
        ({"version": 0}, "a version below 1"),
        ({"version": "1"}, "version '1', not of type int"),
        ({"comparator": ">"}, "comparator '>', not of type Comparator"),
        ({"pixel_scores": ["ap"]}, "pixel_scores ..ap.., not of type PixelScore"),
        ({"box_plus_one": 1}, "box_plus_one 1, not of type bool"),
        ({"pixel_scores": (), "box_scores": ()}, "neither pixel nor box scores"),
        ({"grid": 0}, "a grid that is not from 1 to 4096"),
        ({"upsampling": Upsampling.OPENCV_CUBIC}, "scaling none with upsampling opencv_cubic"),
        ({"levels": Levels.GREYS}, "levels greys with upsampling bilinear"),
        ({"thresholds": Thresholds.BINS}, "thresholds bins with levels bytes"),
        ({"fixed_threshold": 0.5}, "a fixed threshold for pixel scores"),
        ({"fixed_threshold": 2.0, "pixel_scores": ()}, "a fixed threshold that is not from 0 to 1"),
        (
            {"thresholds": Thresholds.SHARES_OF_MAXIMUM},
            "pixel scores over shares of the maximum",
        ),
        ({"pixel_reductions": (Reduction.IMAGE_MEAN,)}, "no reduction, or one twice"),
        ({"connectivity": 4}, "a connectivity other than 8"),
        ({"box_truth": BoxTruth.SCALED}, "true boxes scaled with grid None"),
        ({"grid": 224}, "true boxes original with grid 224"),
        ({"box_clipped": True}, "clipped boxes of components"),
        ({"box_empty": (0, 0)}, "an empty box that is not four numbers"),
        ({"box_empty": (0, 0, 2**31, 1)}, "an empty box that is not four numbers"),
        (
            {"pixel_scores": (PixelScore.AP, PixelScore.AT_THRESHOLD)},
            "IoU at a threshold without Peak-IoU",
        ),
        (
            {"box_scores": (BoxScore.AT_THRESHOLD,), "box_iou_thresholds": (0.5, 0.3)},
            "several IoUs of a correct box without MaxBoxAcc",
        ),
        (
            {"box_scores": (BoxScore.MAXIMUM,), "top_iou_comparator": Comparator.ABOVE},
            "a comparison for Top-1 and Top-5 without scores at a threshold",
        ),
        ({"box_iou_thresholds": ()}, "no IoU of a correct box"),
        ({"box_iou_thresholds": (0.5, 0.9)}, "MaxBoxAcc at an IoU other than .5"),
        ({"averaging": Averaging.CLASSES}, "averaging over classes without a fixed threshold"),
    ],
)
def test_fields_that_no_code_runs_are_refused(changes: dict[str, Any], found: str) -> None:
    with pytest.raises(WsolbenchError, match=found):
        dataclasses.replace(SEM, **{"name": "mine", **changes})


def test_bins_and_shares_have_one_meaning() -> None:
    """A bin holds the values from its edge on, so that "above" the edge cannot be counted."""
    piou = dataclasses.replace(PROTOCOLS["dawsol-piou"], name="mine")
    with pytest.raises(WsolbenchError, match="foreground above the threshold with levels bins"):
        dataclasses.replace(piou, comparator=Comparator.ABOVE)
    with pytest.raises(WsolbenchError, match="IoU at a threshold without Peak-IoU over levels"):
        dataclasses.replace(piou, pixel_scores=(PixelScore.PEAK, PixelScore.AT_THRESHOLD))
    at = (BoxScore.AT_THRESHOLD,)
    ones = [mine(box_iou_thresholds=(one,), box_scores=at) for one in (1, 1.0)]
    assert ones[0] == ones[1]
    assert ones[0].sha256 == ones[1].sha256


def test_names_belong_to_one_protocol() -> None:
    assert as_protocol("sem") is as_protocol(SEM) is SEM
    with pytest.raises(WsolbenchError, match=r"other fields than those of sem\.v2"):
        as_protocol(dataclasses.replace(SEM, comparator=Comparator.ABOVE))
    with pytest.raises(WsolbenchError, match="found mine, mine, expected one or more protocols"):
        as_protocols([mine(), mine(comparator=Comparator.ABOVE)])


def test_a_comparator_moves_curves_by_one_threshold(tmp_path: Path) -> None:
    dataset, maps = random_dataset(tmp_path / "r.h5", COUNT), random_maps(COUNT)
    results = []
    for protocol in (SEM, mine(comparator=Comparator.ABOVE)):
        evaluator = Evaluator(dataset, protocol)
        evaluator.update(dataset.image_ids, maps)
        results.append(evaluator.result())
    at_least, above = results
    for key in ("iou", "iou_image_mean", "precision", "recall", "gt_known_loc", "box_acc_30"):
        assert above.curves[key][:-1] == at_least.curves[key][1:], key
    assert above.curves["iou"][-1] == 0  # no level is above 255
    assert above.protocol["name"] == "mine"


def telling(tmp_path: Path) -> tuple[Dataset, list[np.ndarray]]:
    """Drawn images on which each choice about boxes gives another answer."""
    mask = np.zeros((20, 20), bool)
    mask[:10, :10] = True
    half, two, level, small, corner = (np.zeros((20, 20), np.uint8) for _ in range(5))
    half[:5, :10] = 200  # an IoU of exactly one half
    two[19, :] = two[:, 19] = 120  # lines: most pixels, no area
    two[2:7, 2:7] = 120
    two[9:12, 9:12] = 120
    level[:10, :10] = 100
    level[:10, 10:14] = 99
    small[:3, :3] = 90  # an IoU of 9 / 20, or 16 / 30 with a pixel more a side
    corner[18:, 18:] = 80
    boxes = {
        "a": (0, 0, 10, 10),
        "b": (2, 2, 7, 7),
        "c": (9, 9, 12, 12),
        "d": (0, 0, 2, 2),
        "e": (0, 0, 4, 5),
        "f": (18, 18, 20, 20),
    }
    rows = [annotation(name, mask, boxes=[box]) for name, box in boxes.items()]
    write_store(tmp_path / "drawn.h5", AnnotationSet("drawn", rows))
    return Dataset.open(tmp_path / "drawn.h5"), [half, two, two, level, small, corner]


def test_each_field_moves_a_score(tmp_path: Path) -> None:
    """None of a user's choices is without effect."""
    pytest.importorskip("cv2")
    dataset, maps = telling(tmp_path)
    found = {}
    for name, changes in {
        "sem": {},
        "scaling": {"scaling": Scaling.FIRST},
        "comparator": {"comparator": Comparator.ABOVE},
        "plus_one": {"box_plus_one": True},
        "iou": {"box_iou_comparator": Comparator.ABOVE},
        "outline": {"component": Component.LARGEST_OUTLINE},
        "every": {"component": Component.EVERY_OUTLINE},
        "clipped": {"component": Component.EVERY_OUTLINE, "box_clipped": True},
        "empty": {"box_empty": (0, 0, 2, 2)},
        "deltas": {"box_iou_thresholds": (0.4,), "box_scores": (BoxScore.AT_THRESHOLD,)},
        "scores": {"pixel_scores": (PixelScore.AP,)},
        "reductions": {"pixel_reductions": (Reduction.POOLED,)},
    }.items():
        evaluator = Evaluator(dataset, mine(**changes))
        evaluator.update(dataset.image_ids, maps)
        result = evaluator.result()
        found[name] = json.dumps([result.scores, result.curves])
    alike = [(one, other) for one in found for other in found if one < other]
    assert [pair for pair in alike if found[pair[0]] == found[pair[1]]] == []


def test_the_comparator_of_top_scores_moves_them_alone(tmp_path: Path) -> None:
    dataset, maps = telling(tmp_path)
    top5 = np.zeros((6, 5), int) + np.arange(5)
    found = []
    for comparator in (None, Comparator.ABOVE):
        evaluator = Evaluator(dataset, mine(top_iou_comparator=comparator))
        evaluator.update(dataset.image_ids, maps, top5)
        found.append(evaluator.result(threshold=100).scores)
    assert found[0]["gt_known_loc"] == found[1]["gt_known_loc"] == found[0]["top1_loc"]
    assert found[1]["top1_loc"] < found[0]["top1_loc"]
    assert found[1]["top5_cls"] == 1


def test_a_users_own_protocol_goes_all_the_way(tmp_path: Path) -> None:
    """Scored, written, read, its thresholds carried, its images compared."""
    own = mine(
        comparator=Comparator.ABOVE,
        pixel_scores=(PixelScore.PEAK, PixelScore.AT_THRESHOLD),
        box_iou_thresholds=(0.4,),
        box_scores=(BoxScore.AT_THRESHOLD,),
    )
    dataset = random_dataset(tmp_path / "r.h5", COUNT)
    counts = []
    for seed in (1, 2):
        header = SubmissionHeader("random", "val", "gt", "none", {"name": f"m{seed}"})
        with SubmissionWriter(tmp_path / f"{seed}.h5", header) as writer:
            for image_id, map_ in zip(dataset.image_ids, random_maps(COUNT, seed), strict=True):
                writer.append([image_id], [map_])
        request = Request(
            tmp_path / f"{seed}.h5",
            tmp_path / "r.h5",
            protocols=(own, "sem"),
            counts=True,
            bootstrap=Bootstrap(30),
        )
        outcome = run(request)
        assert [result.protocol["name"] for result in outcome.results] == ["mine", "sem"]
        result = outcome.results[0]
        result.write(tmp_path / f"{seed}.json")
        write_counts(tmp_path / f"{seed}.counts.npz", outcome.counts[0])
        read = read_result(tmp_path / f"{seed}.json")
        assert read == result
        assert "ap" not in read.scores
        assert "max_box_acc" not in read.scores
        counts.append(read_counts(tmp_path / f"{seed}.counts.npz", read))
        assert counts[-1].scoring.protocol == own
    comparison = compare(counts, Bootstrap(30))
    assert comparison.protocol["name"] == "mine"
    assert {pair.score for pair in comparison.pairs} >= {"peak_iou", "gt_known_loc"}
    evaluator = Evaluator(dataset, own)
    evaluator.update(dataset.image_ids, random_maps(COUNT, 3))
    carried = evaluator.result(threshold=counts[0].result)
    assert carried.threshold.pixel == counts[0].result.scores["peak_threshold"]
    with pytest.raises(WsolbenchError, match=r"a result of protocol sem\.v2 .* expected mine\.v1"):
        evaluator.result(threshold=outcome.results[1])


def test_maps_of_a_file_are_scored_as_those_from_memory(tmp_path: Path) -> None:
    dataset = random_dataset(tmp_path / "r.h5", COUNT)
    evaluator = Evaluator(dataset, mine(scaling=Scaling.FIRST))
    evaluator.update(dataset.image_ids, [np.float32(map_) / 255 for map_ in random_maps(COUNT)])
    other = Evaluator(dataset, mine(scaling=Scaling.FIRST))
    other.update(dataset.image_ids, random_maps(COUNT))
    assert evaluator.result().scores == pytest.approx(other.result().scores)


def test_true_boxes_that_are_scaled_keep_their_fractions(tmp_path: Path) -> None:
    """Against rational numbers; the programs with such boxes all count plus one."""
    pytest.importorskip("cv2")
    bas = dataclasses.replace(
        PROTOCOLS["bas"], name="mine", box_plus_one=False, grid=20, averaging=Averaging.IMAGES
    )
    truncated = dataclasses.replace(bas, box_truth=BoxTruth.TRUNCATED)
    boxes = np.array([[[1, 2, 9, 14]]], np.int32)
    truth = np.array([[3, 5, 23, 31]], np.int32)
    overlaps = []
    for protocol in (bas, truncated):
        scaled = true_boxes(protocol, truth, 37, 41)
        overlaps.append(float(best_overlap(protocol, boxes[0], scaled)[0]))
    corners = [Fraction(3 * 20, 41), Fraction(5 * 20, 37), Fraction(22 * 20, 41)]
    corners.append(Fraction(30 * 20, 37))
    width = min(Fraction(9), corners[2]) - max(Fraction(1), corners[0])
    height = min(Fraction(14), corners[3]) - max(Fraction(2), corners[1])
    whole = 8 * 12 + (corners[2] - corners[0]) * (corners[3] - corners[1])
    assert overlaps[0] == pytest.approx(float(width * height / (whole - width * height)))
    assert overlaps[1] != pytest.approx(overlaps[0], abs=1e-3)
