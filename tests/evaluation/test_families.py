"""A metric family is one module and its records: a toy one goes through the whole evaluation."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from tests.conftest import random_dataset, random_maps
from wsolbench.data.dataset import Dataset
from wsolbench.errors import WsolbenchError
from wsolbench.evaluation.comparison import compare
from wsolbench.evaluation.comparison_report import comparison_table
from wsolbench.evaluation.counts import read_counts, write_counts
from wsolbench.evaluation.evaluator import Evaluator
from wsolbench.evaluation.families import FAMILIES, fitting
from wsolbench.formats.report import breakdown_table, table
from wsolbench.formats.result import Bootstrap, Result, read_result
from wsolbench.formats.submission.rules import SubmissionHeader
from wsolbench.metrics.family import Images, Reading, Scored, Statistics, Sums
from wsolbench.protocols import PROTOCOLS
from wsolbench.scores import SCORES, Better, Score, Unit

COUNT = 12
RECORD = Score(
    "waste",
    "Waste",
    "toy",
    Unit.NUMBER,
    low=0,
    high=None,
    better=Better.LOWER,
    grouped=True,
    drawn=9,
    brief=True,
)


class Toy(ModuleType):
    """Foreground off the object at T = 128, in pixels an image: unbounded, and lower is better."""

    READ_AT: Mapping[str, str] = {}
    NEEDS_BOXES = False
    NEEDS_MASKS = False

    @staticmethod
    def fits(rules: Any) -> bool:
        return rules.counts_levels

    @staticmethod
    def empty(rules: Any) -> Statistics:
        return {"waste": np.empty(0, np.int32)}

    @staticmethod
    def measure(images: Images) -> Statistics:
        off = images.histograms[:, 0, 128:].sum(axis=1)
        return {"waste": off.astype(np.int32)}

    @staticmethod
    def columns(kept: Statistics, rules: Any, classes: int) -> Sums:
        return {"waste": kept["waste"].astype(np.int64)}

    @staticmethod
    def scores(sums: Sums, reading: Reading) -> Scored:
        return {"waste": sums["waste"] / reading.total}, {}


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    """All that adding a family takes."""
    monkeypatch.setitem(FAMILIES, "toy", Toy("toy"))
    monkeypatch.setitem(SCORES, "waste", RECORD)


def scored(dataset: Dataset, seed: int, **options: Any) -> tuple[Evaluator, Result]:
    header = SubmissionHeader("random", "val", "gt", "none", {"name": f"m{seed}"})
    made = Evaluator(dataset, metrics=["pixel", "toy"], header=header, keep_images=True)
    made.update(dataset.image_ids, random_maps(COUNT, seed))
    return made, made.result(submission_sha256=f"{seed}" * 64, **options)


@pytest.mark.usefixtures("toy")
def test_one_module_and_its_records_are_a_family(tmp_path: Path) -> None:
    dataset = random_dataset(tmp_path / "r.h5", COUNT)
    made, result = scored(dataset, 1, bootstrap=Bootstrap(40), by=["boxes"])
    expected = []
    for sample, map_ in zip(dataset, random_maps(COUNT, 1), strict=True):
        one = Evaluator(dataset, metrics=["pixel"], keep_images=True)
        one.update([sample.image_id], [map_])
        row = one._kept["pixels"][sample.index]
        expected.append(int(row[0, 128:].sum()))
    assert result.scores["waste"] == sum(expected) / COUNT
    assert result.scores["waste"] > 1
    low, high = result.intervals["waste"]
    assert low <= result.scores["waste"] <= high
    parts = [(group.images, group.scores["waste"]) for group in result.breakdowns["boxes"]]
    assert sum(images * score for images, score in parts) == pytest.approx(sum(expected))
    result.write(tmp_path / "r.json")
    assert read_result(tmp_path / "r.json") == result
    assert f"Waste                  {result.scores['waste']:.2f}" in table([result])
    assert f"{parts[0][1]:.2f}" in breakdown_table(result, "boxes")
    write_counts(tmp_path / "r.counts.npz", made.counts(result))
    other, second = scored(dataset, 2)
    both = [read_counts(tmp_path / "r.counts.npz", result), other.counts(second)]
    comparison = compare(both, Bootstrap(30))
    (pair,) = [pair for pair in comparison.pairs if pair.score == "waste"]
    assert pair.difference == second.scores["waste"] - result.scores["waste"]
    assert f"{pair.difference:+.2f}" in comparison_table(comparison)


@pytest.mark.usefixtures("toy")
def test_a_family_is_refused_where_no_protocol_defines_it(tmp_path: Path) -> None:
    pytest.importorskip("cv2")
    dataset = random_dataset(tmp_path / "r.h5", COUNT)
    assert fitting(PROTOCOLS["sem"]) == [
        "pixel",
        "box",
        "boundary",
        "shape",
        "explain",
        "levels",
        "toy",
    ]
    assert fitting(PROTOCOLS["wsoleval-v1"]) == ["box"]
    with pytest.raises(WsolbenchError, match="found toy under protocol wsoleval-v1, expected box"):
        Evaluator(dataset, "wsoleval-v1", ["toy"])
    assert Evaluator(dataset).metrics == ("pixel", "box", "toy")
    assert Evaluator(dataset, "wsoleval-v1").metrics == ("box",)


def test_without_its_module_nothing_of_it_is_known(tmp_path: Path) -> None:
    dataset = random_dataset(tmp_path / "r.h5", COUNT)
    with pytest.raises(
        WsolbenchError, match="found toy, expected pixel, box, boundary, shape, explain or levels"
    ):
        Evaluator(dataset, metrics=["toy"])
    made = Evaluator(dataset, metrics=["pixel"])
    made.update(dataset.image_ids, random_maps(COUNT))
    content = json.loads(made.result().to_json())
    content["scores"]["waste"] = 3.5
    (tmp_path / "r.json").write_text(json.dumps(content))
    with pytest.raises(WsolbenchError, match="invalid scores"):
        read_result(tmp_path / "r.json")
