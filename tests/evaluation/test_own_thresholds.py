"""Each map at its own threshold, without annotation, against loops over images."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import annotation, random_dataset
from wsolbench.data.dataset import Dataset
from wsolbench.errors import WsolbenchError
from wsolbench.evaluation.comparison import compare
from wsolbench.evaluation.counts import Counts, counts_path, read_counts, write_counts
from wsolbench.evaluation.evaluator import Evaluator
from wsolbench.evaluation.run import Request, evaluate, run
from wsolbench.evaluation.statistics import part
from wsolbench.evaluation.threshold_gaps import gaps_table, threshold_gaps
from wsolbench.evaluation.thresholds import readings, readings_table
from wsolbench.formats.annotations import AnnotationSet, write_store
from wsolbench.formats.report import signature, table
from wsolbench.formats.result import Bootstrap, Result, Threshold, fault_of, read_result
from wsolbench.formats.submission.rules import SubmissionHeader
from wsolbench.formats.submission.writer import SubmissionWriter
from wsolbench.masks import RunLengths
from wsolbench.metrics.boxes import best_iou, largest_boxes
from wsolbench.metrics.choices import Comparator
from wsolbench.metrics.own_thresholds import own_rule
from wsolbench.protocols import PROTOCOLS

COUNT = 16
RULES = ["otsu", "mean", "max:0.3", "area:0.25"]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return random_dataset(tmp_path_factory.mktemp("own") / "s.h5", COUNT)


def levels_of(dataset: Dataset, seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    maps = []
    for sample in dataset:
        levels = rng.integers(0, 256, sample.mask.shape) * (0.4 + 0.6 * sample.mask)
        maps.append((levels * rng.random()).astype(np.uint8))
    maps[3][:] = 7  # a constant map
    return maps


def made(
    dataset: Dataset, seed: int, threshold: str | int | None, metrics: Any = None, **given: Any
) -> tuple[Evaluator, Result]:
    evaluator = Evaluator(dataset, metrics=metrics, keep_images=True)
    top5 = np.random.default_rng(seed).permuted(np.tile(np.arange(7), (COUNT, 1)), axis=1)[:, :5]
    evaluator.update(dataset.image_ids, levels_of(dataset, seed), top5=top5)
    return evaluator, evaluator.result(threshold=threshold, **given)


def looped(dataset: Dataset, maps: list[np.ndarray], rule: str) -> dict[str, list[Any]]:
    """By image: its threshold, its counts, its IoU, and whether its box is correct."""
    found: dict[str, list[Any]] = {"threshold": [], "counts": [], "iou": [], "right": [], "box": []}
    for sample, levels in zip(dataset, maps, strict=True):
        histogram = np.bincount(levels.ravel(), minlength=256)
        at = int(own_rule(rule).thresholds(histogram))
        called = levels >= at
        shared, either = (called & sample.mask).sum(), (called | sample.mask).sum()
        box = largest_boxes(levels)[at]
        found["threshold"].append(at)
        found["counts"].append((int(shared), int(either)))
        found["iou"].append(shared / either)
        found["box"].append(box.tolist())
        found["right"].append(bool(best_iou(box, sample.boxes) >= 0.5))
    return found


@pytest.mark.parametrize("rule", RULES)
def test_scores_are_those_of_loops(dataset: Dataset, rule: str) -> None:
    evaluator, result = made(dataset, 1, rule)
    found = looped(dataset, levels_of(dataset, 1), rule)
    shared, either = np.sum(found["counts"], axis=0)
    assert result.scores["iou_at_threshold"] == shared / either
    mean = result.scores["iou_at_threshold_image_mean"]
    assert abs(mean - np.mean(found["iou"])) < 1e-12
    assert result.scores["gt_known_loc"] == np.mean(found["right"])
    assert result.scores["top1_loc"] <= min(result.scores["gt_known_loc"], 1)
    assert "box_threshold" not in result.scores
    assert result.threshold == Threshold("per_image", per_image=rule)
    table_ = evaluator.image_table(result)
    assert table_["threshold"] == found["threshold"]
    assert table_["iou"] == pytest.approx(found["iou"], abs=1e-15)
    assert table_["box_right"] == found["right"]
    assert [list(box) for box in zip(*(table_[k] for k in ("x0", "y0", "x1", "y1")), strict=True)]
    corners = zip(*(table_[key] for key in ("x0", "y0", "x1", "y1")), strict=True)
    assert [list(box) for box in corners] == found["box"]
    # Everything that does not depend on the threshold stays.
    _, best = made(dataset, 1, None)
    assert result.curves == best.curves
    same = best.scores.keys() - {"gt_known_loc", "top1_loc", "top5_loc", "box_threshold"}
    assert {key: result.scores[key] for key in same} == {key: best.scores[key] for key in same}
    assert own_rule(rule).words in signature(result)
    assert own_rule(rule).words in table([result], "md")


def test_intervals_and_groups_are_those_of_loops(dataset: Dataset) -> None:
    evaluator, result = made(dataset, 2, "otsu", bootstrap=Bootstrap(40, seed=5), by=["boxes"])
    counts = evaluator.counts(result)
    rng, drawn = np.random.default_rng(5), []
    for _ in range(40):
        kept = part(counts.kept, rng.integers(COUNT, size=COUNT))
        drawn.append(counts.scoring.scored(counts.scoring.sums(kept), result.threshold)[0])
    for key in ("iou_at_threshold", "iou_at_threshold_image_mean", "gt_known_loc", "top1_loc"):
        values = sorted(own[key] for own in drawn)
        assert result.intervals[key] == [values[1], values[38]]
    found = looped(dataset, levels_of(dataset, 2), "otsu")
    for group in result.breakdowns["boxes"]:
        rows = np.flatnonzero(dataset.store.box_counts[dataset.rows] == int(group.name))
        shared, either = np.sum([found["counts"][row] for row in rows], axis=0)
        assert group.scores["iou_at_threshold"] == shared / either
        mean = np.mean([found["iou"][row] for row in rows])
        assert abs(group.scores["iou_at_threshold_image_mean"] - mean) < 1e-12
        assert group.scores["gt_known_loc"] == np.mean([found["right"][row] for row in rows])
    assert fault_of(result) == ""


def test_shape_is_what_the_own_threshold_misses(dataset: Dataset) -> None:
    _, result = made(dataset, 1, "otsu", ["pixel", "shape"])
    scores = result.scores
    total = scores["iou_shape"] + scores["iou_calibration"]
    assert abs(total - scores["iou_at_threshold_image_mean"]) < 1e-12
    assert fault_of(result) == ""


def test_files_come_back_and_contradictions_are_refused(dataset: Dataset, tmp_path: Path) -> None:
    evaluator, result = made(dataset, 1, "max:0.3")
    path = tmp_path / "r.json"
    result.write(path)
    write_counts(counts_path(path), evaluator.counts(result))
    again = read_result(path)
    assert again == result
    assert json.loads(path.read_text())["threshold"] == {
        "rule": "per_image",
        "per_image": "max:0.3",
    }
    counts = read_counts(counts_path(path), again)
    assert counts.scoring.own == own_rule("max:0.3")
    for threshold in (
        Threshold("per_image"),
        Threshold("per_image", per_image="max:0.30"),
        Threshold("per_image", per_image="OTSU"),
        Threshold("max", per_image="otsu"),
        Threshold("per_image", pixel=3, per_image="otsu"),
    ):
        assert "threshold" in fault_of(replace(result, threshold=threshold))
    scores = {**result.scores, "box_threshold": 5}
    assert "box_threshold" in fault_of(replace(result, scores=scores))
    # Another rule is another result: its counts do not add up.
    other = replace(result, threshold=Threshold("per_image", per_image="otsu"))
    with pytest.raises(WsolbenchError, match="do not add up to the scores"):
        read_counts(counts_path(path), other)


def test_what_cannot_be_read_is_refused(dataset: Dataset) -> None:
    with pytest.raises(WsolbenchError, match="threshold: found the metrics box"):
        made(dataset, 1, "otsu", ["box"])
    evaluator = Evaluator(dataset)
    evaluator.update(dataset.image_ids, levels_of(dataset, 1))
    with pytest.raises(WsolbenchError, match=r"threshold: .*no per-image statistics"):
        evaluator.result(threshold="otsu")
    above = replace(PROTOCOLS["sem"], name="mine", comparator=Comparator.ABOVE, box_scores=())
    evaluator = Evaluator(dataset, above, keep_images=True)
    evaluator.update(dataset.image_ids, levels_of(dataset, 1))
    with pytest.raises(WsolbenchError, match="protocol mine, whose foreground is above"):
        evaluator.result(threshold="mean")
    with pytest.raises(WsolbenchError, match="found 'half', expected a whole number from 0 to 255"):
        made(dataset, 1, "half")
    with pytest.raises(WsolbenchError, match="with levels, a source or no rule of each map"):
        made(dataset, 1, Threshold("per_image", pixel=3, per_image="otsu"))  # type: ignore[arg-type]


def test_boxes_without_masks_have_thresholds_of_maps(tmp_path: Path) -> None:
    whole = random_dataset(tmp_path / "whole.h5", COUNT)
    rows = [
        annotation(sample.image_id, sample.mask, boxes=sample.boxes, class_index=1)
        for sample in whole
    ]
    bare = [replace(row, mask=RunLengths(row.mask.height, row.mask.width, b"")) for row in rows]
    stores = []
    for name, held in (("masked", rows), ("bare", bare)):
        write_store(tmp_path / f"{name}.h5", AnnotationSet("random", held))
        stores.append(Dataset.open(tmp_path / f"{name}.h5"))
    file = submission(whole, tmp_path / "m.h5", 1)
    results = [
        run(Request(file, own, threshold="otsu", bootstrap=Bootstrap(20), counts=True))
        for own in stores
    ]
    masked, unmasked = (own.results[0] for own in results)
    assert unmasked.scores["gt_known_loc"] == masked.scores["gt_known_loc"]
    assert unmasked.intervals["gt_known_loc"] == masked.intervals["gt_known_loc"]
    assert "iou_at_threshold" not in unmasked.scores
    counts = results[1].counts[0]
    assert counts.scoring.families == ("box", "levels")
    unmasked.write(tmp_path / "r.json")
    write_counts(tmp_path / "r.counts.npz", counts)
    assert read_counts(tmp_path / "r.counts.npz", read_result(tmp_path / "r.json"))
    usual = run(Request(file, stores[1], counts=True)).counts[0]
    assert usual.scoring.families == ("box",)
    with pytest.raises(WsolbenchError, match="levels alone, of which no score is formed"):
        Evaluator(stores[1], metrics=["levels"])


def submission(dataset: Dataset, path: Path, seed: int) -> Path:
    header = SubmissionHeader(
        dataset=dataset.name,
        split=dataset.split,
        label="gt",
        normalisation="none",
        method={"name": path.stem},
    )
    with SubmissionWriter(path, header) as writer:
        for image_id, levels in zip(dataset.image_ids, levels_of(dataset, seed), strict=True):
            writer.append([image_id], levels[None])
    return path


def test_submissions_are_read_at_rules_by_name(dataset: Dataset, tmp_path: Path) -> None:
    file = submission(dataset, tmp_path / "m.h5", 1)
    result = evaluate(dataset, file, threshold="otsu")
    given = evaluate(dataset, file, threshold=Threshold("per_image", per_image="otsu"))
    assert result == given
    _, memory = made(dataset, 1, "otsu")
    for key in ("iou_at_threshold", "gt_known_loc"):
        assert result.scores[key] == memory.scores[key]


def counted(dataset: Dataset, seed: int, threshold: str | int | None, **given: Any) -> Counts:
    evaluator, result = made(dataset, seed, threshold, **given)
    return evaluator.counts(result)


def test_comparisons_are_of_one_rule(dataset: Dataset) -> None:
    one, two = counted(dataset, 1, "otsu"), counted(dataset, 2, "otsu")
    comparison = compare([one, two], Bootstrap(30))
    pair = next(own for own in comparison.pairs if own.score == "iou_at_threshold")
    scores = [own.result.scores["iou_at_threshold"] for own in (one, two)]
    assert pair.difference == scores[1] - scores[0]
    assert comparison.thresholds == ("Otsu's of each map", "Otsu's of each map")
    split = comparison.iou_split
    assert split is not None
    assert split.methods[0].iou.value == one.result.scores["iou_at_threshold_image_mean"]
    for other, found in (("mean", "mean, expected otsu"), (None, "max, expected otsu")):
        with pytest.raises(WsolbenchError, match=f"another threshold: {found}"):
            compare([one, counted(dataset, 2, other)], Bootstrap(30))


def test_gaps_are_oracle_minus_realistic(dataset: Dataset) -> None:
    counts = counted(dataset, 1, None)
    result = counts.result
    read = readings(result, None, [100, "otsu", "mean"], counts)
    assert [own.per_image for own in read] == [None, None, "otsu", "mean"]
    _, otsu = made(dataset, 1, "otsu")
    assert read[2].scores == {key: otsu.scores[key] for key in read[2].scores}
    gaps = threshold_gaps(result, read, counts, Bootstrap(50, seed=2))
    assert [gap.rule for gap in gaps] == [own.rule for own in read[1:]]
    assert gaps[0].gaps["gt_known_loc"] == (
        max(result.curves["gt_known_loc"]) - result.curves["gt_known_loc"][100]
    )
    assert gaps[0].gaps["iou_at_threshold"] >= 0
    # The oracle chooses again in every resample.
    rng, moved = np.random.default_rng(2), {"fixed": [], "otsu": []}
    own = replace(counts.scoring, own=own_rule("otsu"))
    for _ in range(50):
        kept = part(counts.kept, rng.integers(COUNT, size=COUNT))
        scores, curves = own.scored(own.sums(kept), otsu.threshold)
        best = max(curves["iou"])
        moved["fixed"].append(best - curves["iou"][100])
        moved["otsu"].append(best - scores["iou_at_threshold"])
    for gap, name in ((gaps[0], "fixed"), (gaps[1], "otsu")):
        values = sorted(moved[name])
        assert gap.intervals["iou_at_threshold"] == (values[1], values[48])
    assert "each" in readings_table(read)
    shown = gaps_table(gaps)
    assert "Oracle minus realistic" in shown
    assert "Otsu's of each map" in shown
    assert threshold_gaps(result, read)[0].intervals == {}
    with pytest.raises(WsolbenchError, match="no counts next to it"):
        threshold_gaps(result, read, None, Bootstrap(20))
    with pytest.raises(WsolbenchError, match="which the threshold otsu is read off"):
        readings(result, None, ["otsu"])
    assert readings(otsu)[-1].per_image == "otsu"


def test_thresholds_of_pseudo_boxes_may_be_of_the_same_maps(
    dataset: Dataset, tmp_path: Path
) -> None:
    """Boxes that nobody drew, of the very images: no oracle, since other annotations chose."""
    file = submission(dataset, tmp_path / "m.h5", 1)
    pseudo = random_dataset(tmp_path / "pseudo.h5", COUNT, seed=0, split="val")
    assert pseudo.store.content_sha256 == dataset.store.content_sha256
    with pytest.raises(WsolbenchError, match="a result of the same maps on the same split"):
        evaluate(dataset, file, threshold=evaluate(dataset, file))
    chosen = replace(evaluate(dataset, file), annotations_sha256="f" * 64)
    result = evaluate(dataset, file, threshold=chosen)
    assert result.threshold.box == chosen.scores["box_threshold"]
    assert result.threshold.source is not None
    assert result.threshold.source["annotations_sha256"] == "f" * 64
