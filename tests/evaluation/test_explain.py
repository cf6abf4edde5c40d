"""Explanation scores through the whole evaluation, and of counts that are there."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from tests.conftest import annotation, random_dataset, random_maps
from wsolbench import masks
from wsolbench.baselines.trivial import predict_trivial
from wsolbench.cli import cli
from wsolbench.data.dataset import Dataset
from wsolbench.errors import WsolbenchError
from wsolbench.evaluation.counts import counts_path, read_counts, write_counts
from wsolbench.evaluation.evaluator import Evaluator
from wsolbench.evaluation.rescore import explained_table, rescored, scorable, with_families
from wsolbench.evaluation.run import evaluate
from wsolbench.evaluation.statistics import part
from wsolbench.formats.annotations import AnnotationSet, write_store
from wsolbench.formats.report import table
from wsolbench.formats.result import Bootstrap, Result, read_result
from wsolbench.formats.submission.rules import SubmissionHeader
from wsolbench.metrics import explain
from wsolbench.scores import SCORES

COUNT = 14
DRAWN = Bootstrap(120)
KEYS = [key for key, score in SCORES.items() if score.family == "explain"]


def scored(
    dataset: Dataset, metrics: list[str], seed: int = 1, **options: Any
) -> tuple[Evaluator, Result]:
    header = SubmissionHeader(dataset.name, "val", "gt", "none", {"name": f"m{seed}"})
    made = Evaluator(dataset, metrics=metrics, header=header, keep_images=True)
    made.update(dataset.image_ids, random_maps(len(dataset), seed))
    return made, made.result(submission_sha256=f"{seed}" * 64, **options)


def some_without_object(path: Path) -> Dataset:
    """Two objects that are ignored, one of the whole image and two others."""
    empty, whole = np.zeros((9, 12), np.bool_), np.ones((9, 12), np.bool_)
    half, low = empty.copy(), empty.copy()
    half[:, :6] = low[5:] = True
    return dataset_of(path, [(half, half), (half, empty), (low, low), (whole, empty), (low, empty)])


def dataset_of(path: Path, drawn: list[tuple[np.ndarray, np.ndarray]]) -> Dataset:
    """Images of masks and ignored pixels; an object that is ignored altogether is no object."""
    images = [
        annotation(f"i{n}", mask, ignore=masks.encode(ignored) if ignored.any() else None)
        for n, (mask, ignored) in enumerate(drawn)
    ]
    write_store(path, AnnotationSet("bare", images))
    return Dataset.open(path)


def test_a_score_is_the_mean_of_the_images_and_of_the_groups(tmp_path: Path) -> None:
    dataset = random_dataset(tmp_path / "r.h5", COUNT)
    made, result = scored(dataset, ["pixel", "explain"], bootstrap=DRAWN, by=["boxes"])
    columns = made.image_table(result)
    for key in KEYS:
        values = [value for value in columns[key] if value is not None]
        assert result.scores[key] == pytest.approx(np.mean(values), abs=1e-9)
        low, high = result.intervals[key]
        assert low <= result.scores[key] <= high
    groups = result.breakdowns["boxes"]
    total = sum(group.images * group.scores["pointing_game"] for group in groups)
    assert total / COUNT == pytest.approx(result.scores["pointing_game"])
    result.write(tmp_path / "r.json")
    assert read_result(tmp_path / "r.json") == result
    share = f"chance {100 * result.scores['object_share']:.2f}"
    (line,) = [line for line in table([result]).splitlines() if line.startswith("Rank accuracy")]
    assert line.endswith(share)
    assert ", chance" not in table([result])


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("relevance_mass", None, "no relevance_mass beside the scores of its kind"),
        ("pointing_game", 1.0, "pointing_game 1.0 above pointing_game_any_tie"),
        ("top_15_percent", 0.5, "top_15_percent 0.5, where groups by boxes give"),
        ("roc_auc", 1.5, "invalid scores"),
        ("nss", float("1e400"), "Infinity|inf"),
    ],
)
def test_a_result_that_contradicts_itself_is_refused(
    tmp_path: Path, key: str, value: float | None, message: str
) -> None:
    dataset = random_dataset(tmp_path / "r.h5", COUNT)
    _, result = scored(dataset, ["pixel", "explain"], by=["boxes"])
    content = json.loads(result.to_json())
    del content["content_sha256"]
    if value is None:
        del content["scores"][key]
    else:
        content["scores"][key] = value
    (tmp_path / "r.json").write_text(json.dumps(content))
    with pytest.raises(WsolbenchError, match=message):
        read_result(tmp_path / "r.json")


def test_images_without_object_are_absent_and_counted(tmp_path: Path) -> None:
    dataset = some_without_object(tmp_path / "b.h5")
    made, result = scored(dataset, ["explain"], bootstrap=DRAWN, by=["class"])
    assert result.counts["empty_masks"] == 2
    assert result.counts["whole_image_masks"] == 1
    columns = made.image_table(result)
    assert columns["pointing_game"][0] is columns["relevance_mass"][2] is None
    assert columns["roc_auc"][3] is None
    assert columns["pointing_game"][3] == 1
    hits = [columns["pointing_game"][place] for place in (1, 3, 4)]
    assert result.scores["pointing_game"] == pytest.approx(np.mean(hits))
    aucs = [columns["roc_auc"][place] for place in (1, 4)]
    assert result.scores["roc_auc"] == pytest.approx(np.mean(aucs))
    result.write(tmp_path / "r.json")
    assert read_result(tmp_path / "r.json") == result


def test_without_any_object_scores_are_left_out(tmp_path: Path) -> None:
    whole = np.ones((9, 12), np.bool_)
    whole[0] = False
    dataset = dataset_of(tmp_path / "e.h5", [(whole, whole), (whole, whole)])
    _, result = scored(dataset, ["explain"], bootstrap=DRAWN, by=["class"])
    assert {*result.scores} == {*result.intervals} == {"complexity", "sparseness"}
    assert {*result.breakdowns["class"][0].scores} == {"complexity", "sparseness"}
    assert result.counts["empty_masks"] == 2


def test_counts_that_are_there_give_the_bits_of_one_evaluation(tmp_path: Path) -> None:
    dataset = random_dataset(tmp_path / "r.h5", COUNT)
    made, before = scored(dataset, ["pixel", "box"], bootstrap=DRAWN)
    before.write(tmp_path / "r.json")
    write_counts(counts_path(tmp_path / "r.json"), made.counts(before))
    counts = read_counts(counts_path(tmp_path / "r.json"), read_result(tmp_path / "r.json"))
    assert scorable(counts) == ["pixel", "box", "shape", "explain"]
    other, at_once = scored(dataset, ["pixel", "box", "explain"], bootstrap=DRAWN)
    later = rescored(counts, ["explain"])
    assert later.result.to_json() == at_once.to_json()
    assert {key: before.scores[key] for key in before.scores}.items() <= later.result.scores.items()
    columns = other.image_table(at_once)
    assert explained_table(later)["roc_auc"] == columns["roc_auc"]
    write_counts(tmp_path / "a.npz", later)
    write_counts(tmp_path / "b.npz", other.counts(at_once))
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_what_counts_do_not_hold_is_refused(tmp_path: Path) -> None:
    dataset = random_dataset(tmp_path / "r.h5", COUNT)
    made, result = scored(dataset, ["box"])
    counts = made.counts(result)
    with pytest.raises(WsolbenchError, match="found no statistics of explain, expected box"):
        rescored(counts, ["explain"])
    with pytest.raises(WsolbenchError, match="found no metrics"):
        with_families(counts, [])


def test_any_order_and_division_gives_the_same_sums(tmp_path: Path) -> None:
    dataset = random_dataset(tmp_path / "r.h5", COUNT)
    made, result = scored(dataset, ["explain"])
    counts = made.counts(result)
    whole = counts.scoring.sums(counts.kept)
    turned = counts.scoring.sums(part(counts.kept, np.arange(COUNT)[::-1].copy()))
    assert all((whole[name] == turned[name]).all() for name in whole)
    assert (counts.scoring.columns(counts.kept)["explain"] >= 0).all()
    assert replace(result, scores={}) == replace(made.result(submission_sha256="1" * 64), scores={})
    assert explain.absent_images(whole) == {}


def test_the_commands_score_and_compare_results_without_their_maps(tmp_path: Path) -> None:
    dataset = random_dataset(tmp_path / "r.h5", COUNT)
    for seed in (1, 2):
        made, result = scored(dataset, ["pixel"], seed)
        result.write(tmp_path / f"{seed}.json")
        write_counts(counts_path(tmp_path / f"{seed}.json"), made.counts(result))
    run = CliRunner().invoke
    first, out = str(tmp_path / "1.json"), str(tmp_path / "more.json")
    asked = ["rescore", first, "--bootstrap", "20", "--out", out, "--quiet"]
    ran = run(cli, [*asked, "--per-image", str(tmp_path / "more.csv")])
    assert ran.exit_code == 0, ran.output
    assert "Pointing game" in ran.output
    assert "chance 50.00" in ran.output
    read_counts(counts_path(out), read_result(out))
    assert (tmp_path / "more.csv").read_text().startswith("image_id,class_index,pointing_game,")
    files = [first, str(tmp_path / "2.json")]
    ran = run(cli, ["compare", *files, "--metrics", "explain", "--bootstrap", "60", "--quiet"])
    assert ran.exit_code == 0, ran.output
    assert "Relevance mass" in ran.output
    assert "Peak-IoU" not in ran.output
    assert "chance" not in ran.output
    ran = run(cli, ["rescore", first, "--out", first])
    assert ran.exit_code != 0


def test_a_centred_gaussian_on_real_masks_scores_what_an_independent_script_gave(
    shared_data: Path, tmp_path: Path
) -> None:
    """The 288 photos of val of docs/real-run.md; the script read a counts file."""
    animals = shared_data / "animals"
    with open(animals / "annotations.csv", newline="") as file:
        names = sorted(row["id"] for row in csv.DictReader(file) if row["imagenet_indices"])
    images = [
        annotation(name, masks.read_picture(animals / "masks" / f"{name}.png").mask)
        for name in names[::2]
    ]
    write_store(tmp_path / "animals.h5", AnnotationSet("animals", images))
    dataset = Dataset.open(tmp_path / "animals.h5")
    predict_trivial(dataset, tmp_path / "gauss.h5", "centre-gaussian")
    result = evaluate(dataset, tmp_path / "gauss.h5", metrics=["shape", "explain"])
    expected = {
        "relevance_mass": 0.458,
        "pointing_game_any_tie": 0.931,
        "pointing_game": 0.865,
        "rank_accuracy": 0.618,
        "top_15_percent": 0.703,
        "roc_auc": 0.847,
        "auc_iou": 0.327,
        "iou_otsu": 0.444,
        "iou_true_area": 0.461,
        "iou_shape": 0.489,
        "iou_half_maximum": 0.429,
    }
    assert result.images == 288
    assert {key: round(result.scores[key], 3) for key in expected} == expected
