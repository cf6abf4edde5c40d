"""Thresholds of several rules, read from one result's curves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import random_dataset, random_maps
from wsolbench.errors import WsolbenchError
from wsolbench.evaluation.evaluator import Evaluator
from wsolbench.evaluation.thresholds import readings, readings_table
from wsolbench.formats.result import Result

COUNT = 12


def result(tmp_path: Path, seed: int = 1, threshold: int | Result | None = None) -> Result:
    dataset = random_dataset(tmp_path / "random.h5", COUNT)
    made = Evaluator(dataset)
    rng = np.random.default_rng(seed)
    top5 = np.stack([rng.permutation(7)[:5] for _ in range(COUNT)])
    made.update(dataset.image_ids, random_maps(COUNT, seed), top5)
    return made.result(threshold=threshold, submission_sha256=f"{seed}" * 64)


@pytest.fixture
def other(tmp_path: Path) -> Result:
    return replace(result(tmp_path, 2), split="test")


def test_each_rule_scores_what_an_evaluation_under_it_scores(tmp_path: Path, other: Result) -> None:
    read = readings(result(tmp_path), other, fixed=[7, 200])
    assert [reading.rule for reading in read[2:]] == ["fixed at 7 (0.03)", "fixed at 200 (0.78)"]
    best = result(tmp_path)
    assert read[0].scores["iou_at_threshold"] == best.scores["peak_iou"]
    assert read[0].pixel == best.scores["peak_threshold"]
    for reading, threshold in zip(read, (None, other, 7, 200), strict=True):
        scores = result(tmp_path, threshold=threshold).scores
        for key, value in reading.scores.items():
            if key in scores:
                assert value == scores[key], (reading.rule, key)
            assert reading.differences[key] == value - read[0].scores[key]
        assert reading.box == scores["box_threshold"]
    assert set(read[0].scores) == {
        *("iou_at_threshold", "iou_at_threshold_image_mean"),
        *("gt_known_loc", "top1_loc", "top5_loc"),
    }


def test_a_results_own_rule_is_among_them(tmp_path: Path, other: Result) -> None:
    carried = readings(result(tmp_path, threshold=other))
    assert carried[1].pixel == other.scores["peak_threshold"]
    assert carried[1].rule.startswith("from test")
    assert [reading.pixel for reading in carried[2:]] == [51, 128]
    assert readings(result(tmp_path, threshold=33))[1].rule == "fixed at 33 (0.13)"


def test_what_cannot_be_read_is_refused(tmp_path: Path, other: Result) -> None:
    own = result(tmp_path)
    with pytest.raises(WsolbenchError, match="the same maps on the same split"):
        readings(own, own)
    with pytest.raises(WsolbenchError, match="a result of data set elsewhere"):
        readings(own, replace(other, dataset="elsewhere"))
    with pytest.raises(WsolbenchError, match="a trial on 3 images"):
        readings(own, replace(other, limit=3))
    boxed = replace(own, curves={"threshold": own.curves["threshold"]})
    with pytest.raises(WsolbenchError, match="no curves over the thresholds"):
        readings(boxed)


def test_the_table_shows_what_is_lost(tmp_path: Path, other: Result) -> None:
    read = readings(result(tmp_path), other)
    loss = 100 * read[1].differences["iou_at_threshold"]
    for form in ("text", "md", "latex"):
        shown = readings_table(read, form)
        assert f"{100 * read[0].scores['iou_at_threshold']:.2f}" in shown
        assert f"({loss:+.2f})" in shown
    head, *rows = readings_table(read, "csv").splitlines()
    cells = dict(zip(head.split(","), rows[0].split(","), strict=True))
    assert float(cells["iou_at_threshold"]) == read[0].scores["iou_at_threshold"]
    assert len(rows) == len(read)


def test_a_result_without_the_curve_of_its_best_box_is_read_where_it_can_be(tmp_path: Path) -> None:
    own = result(tmp_path)
    curves = {key: curve for key, curve in own.curves.items() if key != "gt_known_loc"}
    curves["top1_loc"] = own.curves["gt_known_loc"]
    read = readings(replace(own, curves=curves), fixed=[7])
    assert (read[0].box, "top1_loc" in read[0].scores) == (None, False)
    assert read[1].scores["top1_loc"] == own.curves["gt_known_loc"][7]
    assert "top1_loc" not in read[1].differences
    assert "7" in readings_table(read)
