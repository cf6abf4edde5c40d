"""Shape and calibration against loops over images and thresholds, and their sum."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import random_dataset
from wsolbench.data.dataset import Dataset
from wsolbench.errors import WsolbenchError
from wsolbench.evaluation.comparison import Comparison, compare
from wsolbench.evaluation.comparison_report import comparison_table
from wsolbench.evaluation.counts import Counts, counts_path, read_counts, write_counts
from wsolbench.evaluation.evaluator import Evaluator
from wsolbench.evaluation.statistics import part
from wsolbench.formats.result import Bootstrap, fault_of, read_result

FAMILIES = ["pixel", "shape"]
COUNT = 14


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return random_dataset(tmp_path_factory.mktemp("shape") / "s.h5", COUNT)


def counted(
    dataset: Dataset, seed: int, metrics: list[str], threshold: int | None = None, **given: object
) -> Counts:
    evaluator = Evaluator(dataset, metrics=metrics, keep_images=True)
    rng = np.random.default_rng(seed)
    for sample in dataset:
        levels = rng.integers(0, 256, sample.mask.shape) * (0.3 + 0.7 * sample.mask)
        evaluator.update([sample.image_id], [(levels * rng.random()).astype(np.uint8)])
    return evaluator.counts(evaluator.result(threshold=threshold, **given))


def exact_curves(counts: Counts) -> list[list[Fraction]]:
    """The IoU of each image at each T, as fractions."""
    curves = []
    for off, on in counts.kept["pixels"].tolist():
        held = [(sum(on[t:]), sum(off[t:])) for t in range(256)]
        curves.append([Fraction(true, max(sum(on) + false, 1)) for true, false in held])
    return curves


@pytest.mark.parametrize("threshold", [None, 40])
def test_iou_is_shape_plus_calibration(dataset: Dataset, threshold: int | None) -> None:
    result = counted(dataset, 1, FAMILIES, threshold).result
    curves = exact_curves(counted(dataset, 1, FAMILIES, threshold))
    shape = sum(map(max, curves)) / COUNT
    means = [sum(column) / COUNT for column in zip(*curves, strict=True)]
    read = max(means) if threshold is None else means[threshold]
    scores = result.scores
    assert abs(scores["iou_shape"] - shape) < 1e-12
    assert abs(scores["iou_calibration"] - (read - shape)) < 1e-12
    key = "peak_iou_image_mean" if threshold is None else "iou_at_threshold_image_mean"
    assert abs(scores["iou_shape"] + scores["iou_calibration"] - scores[key]) < 1e-12
    assert scores["iou_calibration"] < 0


def test_other_scores_stay_as_they_are(dataset: Dataset) -> None:
    given = {"bootstrap": Bootstrap(30), "by": ["boxes"]}
    with_shape = counted(dataset, 1, FAMILIES, **given).result
    without = counted(dataset, 1, ["pixel"], **given).result
    assert with_shape.scores.items() > without.scores.items()
    assert with_shape.intervals.items() > without.intervals.items()
    assert with_shape.curves == without.curves
    assert "iou_shape" not in Evaluator(dataset).metrics
    assert "shape" not in Evaluator(dataset).metrics


def test_intervals_and_groups_are_those_of_loops(dataset: Dataset) -> None:
    counts = counted(dataset, 2, FAMILIES, bootstrap=Bootstrap(40, seed=3), by=["boxes"])
    rng, found = np.random.default_rng(3), []
    for _ in range(40):
        drawn = part(counts.kept, rng.integers(COUNT, size=COUNT))
        scoring = counts.scoring
        found.append(scoring.scored(scoring.sums(drawn), counts.result.threshold)[0])
    for key in ("iou_shape", "iou_calibration"):
        values = sorted(own[key] for own in found)
        assert counts.result.intervals[key] == [values[1], values[38]]
    best = [max(curve) for curve in exact_curves(counts)]
    for group in counts.result.breakdowns["boxes"]:
        rows = dataset.store.box_counts[dataset.rows] == int(group.name)
        mean = sum(own for own, kept in zip(best, rows, strict=True) if kept) / int(rows.sum())
        assert abs(group.scores["iou_shape"] - mean) < 1e-12
        assert "iou_calibration" not in group.scores


def test_files_come_back_and_contradictions_are_refused(dataset: Dataset, tmp_path: Path) -> None:
    counts = counted(dataset, 1, FAMILIES)
    path = tmp_path / "r.json"
    counts.result.write(path)
    write_counts(counts_path(path), counts)
    again = read_result(path)
    assert again.scores == counts.result.scores
    assert read_counts(counts_path(path), again).scoring.families == ("pixel", "shape")
    scores = {**again.scores, "iou_calibration": -0.01}
    assert "iou_calibration -0.01, where IoU and shape give" in fault_of(
        replace(again, scores=scores)
    )


def compared(dataset: Dataset, metrics: list[str], **given: object) -> Comparison:
    both = [counted(dataset, seed, metrics) for seed in (1, 2)]
    return compare(both, Bootstrap(50), **given)


def test_comparisons_split_every_difference(dataset: Dataset) -> None:
    prior = counted(dataset, 3, ["pixel"])
    comparison = compared(dataset, ["pixel"], prior=prior)
    asked = compared(dataset, FAMILIES)
    split = comparison.iou_split
    assert split is not None
    assert asked.iou_split is not None
    assert split.methods == asked.iou_split.methods
    assert split.pairs == asked.iou_split.pairs
    assert "iou_shape" not in comparison.scores
    wanted = {pair.score: pair for pair in asked.pairs}
    (pair,) = split.pairs
    for own, key in (
        (pair.difference.iou, "peak_iou_image_mean"),
        (pair.difference.shape, "iou_shape"),
        (pair.difference.calibration, "iou_calibration"),
    ):
        assert (own.value, own.interval) == (wanted[key].difference, wanted[key].interval)
    assert split.prior is not None
    every = [*split.methods, split.prior, pair.difference, *split.over_prior]
    for own in every:
        assert abs(own.iou.value - own.shape.value - own.calibration.value) < 1e-12
        assert own.iou.interval[0] <= own.iou.interval[1]
    for own, method in zip(split.over_prior, split.methods, strict=True):
        assert own.iou.value == method.iou.value - split.prior.iou.value
    (gap,) = (two.iou.value - one.iou.value for one, two in [split.over_prior])
    assert abs(gap - pair.difference.iou.value) < 1e-12
    shown = comparison_table(comparison)
    assert "= shape" in shown
    assert "prior: unnamed" in shown
    content = json.loads(comparison.to_json())
    assert content["iou_split"]["pairs"][0]["difference"]["shape"]["value"] == (
        pair.difference.shape.value
    )
    assert comparison.names == asked.names
    assert comparison.maps == asked.maps == (COUNT, COUNT)


def test_a_prior_of_another_kind_is_refused(dataset: Dataset) -> None:
    with pytest.raises(WsolbenchError, match="another threshold: fixed, expected max"):
        compared(dataset, ["pixel"], prior=counted(dataset, 3, ["pixel"], 40))
    with pytest.raises(WsolbenchError, match="prior: found an object of type Result"):
        compared(dataset, ["pixel"], prior=counted(dataset, 3, ["pixel"]).result)


def test_without_pixel_scores_there_is_no_split(dataset: Dataset) -> None:
    comparison = compared(dataset, ["box"])
    assert comparison.iou_split is None
    assert "shape" not in comparison_table(comparison)
    assert json.loads(comparison.to_json())["iou_split"] is None
