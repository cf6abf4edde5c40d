"""Boundary scores through the evaluation: files, threads, parts, intervals, refusals."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import annotation, random_maps
from wsolbench.cli import main
from wsolbench.data.dataset import Dataset
from wsolbench.errors import WsolbenchError
from wsolbench.evaluation.comparison import compare
from wsolbench.evaluation.comparison import signature as line_of
from wsolbench.evaluation.counts import read_counts, write_counts
from wsolbench.evaluation.evaluator import Evaluator
from wsolbench.evaluation.run import Request, run
from wsolbench.formats.annotations import AnnotationSet, write_store
from wsolbench.formats.report import signature, table
from wsolbench.formats.result import Bootstrap, Result, read_result
from wsolbench.formats.submission.rules import SubmissionHeader
from wsolbench.formats.submission.writer import SubmissionWriter
from wsolbench.masks import encode
from wsolbench.metrics.boundary import (
    BoundaryRule,
    boundary_counts,
    boundary_scores,
    edge_levels,
    suppress,
    true_boundary,
)

COUNT = 23
HEADER = SubmissionHeader("shapes", "val", "gt", "none", {"name": "edges"})
RAW = BoundaryRule(suppression=False)


@pytest.fixture(scope="module")
def masks() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    found = {}
    for index in range(COUNT):
        height, width = rng.integers(40, 160, 2)
        mask = np.zeros((height, width), np.bool_)
        y, x = rng.integers(5, height // 2), rng.integers(5, width // 2)
        mask[y : y + height // 3, x : x + width // 3] = True
        found[f"i{index:02}"] = mask
    found["i07"][:] = True  # no boundary at all
    return found


@pytest.fixture(scope="module")
def edges(masks: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Noise around the true boundary; one map of another size, one of zeros."""
    rng = np.random.default_rng(1)
    found = {}
    for name, mask in masks.items():
        noise = rng.random(mask.shape) ** 4
        found[name] = np.rint(255 * np.maximum(noise, 0.8 * true_boundary(mask))).astype(np.uint8)
    found["i03"] = found["i03"][::2, ::2]
    found["i05"][:] = 0
    return found


@pytest.fixture(scope="module")
def dataset(masks: dict[str, np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    path = tmp_path_factory.mktemp("shapes") / "shapes.h5"
    write_store(path, AnnotationSet("shapes", [annotation(*item) for item in masks.items()]))
    return Dataset.open(path, "val")


@pytest.fixture(scope="module")
def submission(edges: dict[str, np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("maps") / "edges.h5"
    with SubmissionWriter(path, HEADER) as writer:
        writer.append([*edges], random_maps(COUNT), edges=[*edges.values()])
    return path


def scored(dataset: Dataset, submission: Path, **options: Any) -> Result:
    request = Request(submission, dataset, metrics=("boundary",), **options)
    return run(request).results[0]


def boundary_keys(result: Result) -> set[str]:
    return {key for key in result.scores if key.startswith("boundary_")}


def test_scores_are_those_of_plain_arrays(
    dataset: Dataset, submission: Path, masks: dict[str, Any], edges: dict[str, Any]
) -> None:
    for rule in (BoundaryRule(), RAW, BoundaryRule(False, "inner", 0.02)):  # type: ignore[arg-type]
        counts = []
        for name, mask in masks.items():
            levels = edge_levels(edges[name], *mask.shape)
            levels = suppress(levels) if rule.suppression else levels
            truth = true_boundary(mask, rule.truth)
            counts.append(boundary_counts(levels, truth, max_distance=rule.max_distance))
        result = scored(dataset, submission, boundary=rule)
        assert result.scores == boundary_scores(counts)
        assert result.boundary == rule.as_dict()
        assert 0 < result.scores["boundary_ods"] < 1
        true = sum(int(own.true) for own in counts)
        matched = sum(own.matched.astype(np.int64) for own in counts)
        assert result.curves["boundary_recall"] == (matched / true).tolist()
        assert result.curves["boundary_threshold"][0] == 0.01
    assert scored(dataset, submission).scores != scored(dataset, submission, boundary=RAW).scores


def test_no_score_depends_on_threads_order_or_parts(
    dataset: Dataset, submission: Path, edges: dict[str, Any], tmp_path: Path
) -> None:
    texts = {scored(dataset, submission, jobs=jobs).to_json() for jobs in (1, 2, 3)}
    assert len(texts) == 1
    halves = [
        Evaluator(dataset, metrics=["boundary"], header=HEADER, keep_images=True) for _ in range(2)
    ]
    names = [*edges][::-1]
    for half, part in zip(halves, (names[:9], names[9:]), strict=True):
        half.update(part, None, edges=[edges[name] for name in part])
    halves[0].merge(halves[1])
    expected = scored(dataset, submission)
    found = halves[0].result(submission_sha256=expected.submission_sha256)
    assert found.to_json() == expected.to_json()


def test_edges_are_scored_with_maps_unless_others_are_asked_for(
    dataset: Dataset, submission: Path
) -> None:
    both = run(Request(submission, dataset)).results[0]
    assert {"peak_iou", "gt_known_loc", "boundary_ods"} <= both.scores.keys()
    alone = scored(dataset, submission)
    assert boundary_keys(alone) == set(alone.scores) == boundary_keys(both)
    assert {key: both.scores[key] for key in alone.scores} == alone.scores
    assert "threshold" not in alone.curves
    assert len(both.curves["threshold"]) == 256
    pixels = run(Request(submission, dataset, metrics=("pixel",))).results[0]
    assert not boundary_keys(pixels)
    assert not pixels.boundary


def test_files_hold_the_rule_and_are_checked(
    dataset: Dataset, submission: Path, tmp_path: Path
) -> None:
    result = scored(dataset, submission, bootstrap=Bootstrap(30), by=["boxes"], boundary=RAW)
    result.write(tmp_path / "r.json")
    assert read_result(tmp_path / "r.json") == result
    assert "boundaries:no NMS, thinned truth, 0.0075 of the diagonal" in signature(result)
    assert "Boundary ODS" in table([result])
    content = json.loads(result.to_json())
    short = {name: curve[:3] for name, curve in content["curves"].items()}
    for change in (
        {"curves": short},
        {"boundary": {**content["boundary"], "truth": "outer"}},
        {"boundary": {**content["boundary"], "more": 1}},
        {"boundary": {}},
        {"curves": {**content["curves"], "boundary_recall": [0.5]}},
        {"scores": {**content["scores"], "boundary_ods": 1.2}},
    ):
        (tmp_path / "bad.json").write_text(json.dumps({**content, **change}))
        with pytest.raises(WsolbenchError, match=r"bad\.json: found"):
            read_result(tmp_path / "bad.json")


def test_intervals_groups_and_counts(dataset: Dataset, submission: Path, tmp_path: Path) -> None:
    request = Request(
        submission,
        dataset,
        metrics=("boundary",),
        bootstrap=Bootstrap(200),
        by=["area"],
        counts=True,
        per_image=True,
    )
    outcome = run(request)
    result = outcome.results[0]
    for key in boundary_keys(result):
        low, high = result.intervals[key]
        assert low <= high
    low, high = result.intervals["boundary_ods"]
    assert low < result.scores["boundary_ods"] < high
    groups = result.breakdowns["area"]
    assert sum(group.images for group in groups) == COUNT
    assert all(0 <= group.scores["boundary_ods"] <= 1 for group in groups)
    write_counts(tmp_path / "r.counts.npz", outcome.counts[0])
    again = read_counts(tmp_path / "r.counts.npz", result)
    kept = again.kept
    assert kept["boundary_matched"].shape == (COUNT, 99)
    place = dataset.image_ids.index("i07")
    assert kept["boundary_true"][place] == 0
    columns = outcome.table
    assert columns["boundary_pixels"] == kept["boundary_true"].tolist()
    best = max(columns["boundary_best_f"])
    assert best == max(
        2 * m / (p + true)
        for own, predicted, true in zip(
            kept["boundary_matched"].tolist(),
            kept["boundary_predicted"].tolist(),
            kept["boundary_true"].tolist(),
            strict=True,
        )
        for m, p in zip(own, predicted, strict=True)
        if p + true
    )


def test_images_without_edges_have_none(
    dataset: Dataset, edges: dict[str, Any], tmp_path: Path
) -> None:
    part = [*edges][:15]
    one, other = (Evaluator(dataset, metrics=["boundary"]) for _ in range(2))
    one.update(part, None, edges=[edges[name] for name in part])
    with pytest.raises(WsolbenchError, match="no map for 8 of 23"):
        one.result()
    other.update(
        [*edges], None, edges=[own if name in part else own * 0 for name, own in edges.items()]
    )
    found = one.result(allow_missing=True)
    assert found.scores == other.result().scores
    assert found.counts["missing"] == 8


def test_methods_are_compared_under_one_rule(
    dataset: Dataset, submission: Path, edges: dict[str, Any], tmp_path: Path
) -> None:
    with SubmissionWriter(tmp_path / "half.h5", HEADER) as writer:
        halves = [own // 2 for own in edges.values()]
        writer.append([*edges], random_maps(COUNT, 5), edges=halves)

    def counts(path: Path, rule: BoundaryRule | None = None) -> Any:
        request = Request(path, dataset, metrics=("boundary",), counts=True, boundary=rule)
        return run(request).counts[0]

    first, second = counts(submission), counts(tmp_path / "half.h5")
    comparison = compare([first, second], Bootstrap(50))
    assert "|boundaries:NMS, thinned truth, 0.0075 of the diagonal" in line_of(comparison)
    pairs = {pair.score: pair for pair in comparison.pairs}
    found = pairs["boundary_ods"]
    assert found.difference == pytest.approx(
        second.result.scores["boundary_ods"] - first.result.scores["boundary_ods"]
    )
    with pytest.raises(WsolbenchError, match="another boundary rule: no NMS"):
        compare([first, counts(tmp_path / "half.h5", RAW)], Bootstrap(50))


def test_refusals(dataset: Dataset, submission: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare.h5"
    with SubmissionWriter(bare, HEADER) as writer:
        writer.append([*dataset.image_ids], random_maps(COUNT))
    blank = np.zeros((3, 3), np.uint8)
    cases = [
        (lambda: scored(dataset, bare), "bare.h5: found no edges, expected some for the metrics"),
        (lambda: scored(dataset, submission, threshold=51), "threshold: found a threshold for the"),
        (
            lambda: run(Request(submission, dataset, metrics=("pixel",), boundary=RAW)),
            "boundary: found a rule for boundaries, and the metrics pixel",
        ),
        (
            lambda: run(Request(submission, dataset, metrics=("pixel",), boundary=BoundaryRule())),
            "boundary: found a rule for boundaries, and the metrics pixel",
        ),
        (
            lambda: run(Request(submission, dataset, protocols=("adl",), metrics=("boundary",))),
            "found boundary under protocol adl",
        ),
        (
            lambda: Evaluator(dataset, metrics=["boundary"]).update(["i00"], [blank]),
            "found no edges for the metrics boundary",
        ),
        (
            lambda: Evaluator(dataset).update(["i00"], [blank], edges=[blank]),
            "found edges for the metrics pixel, box",
        ),
        (
            lambda: Evaluator(dataset).update(["i00"], None),
            "found no maps for the metrics pixel, box",
        ),
        (
            lambda: Evaluator(dataset, metrics=["boundary"]).update(
                ["i00"], None, edges=[np.full((2, 2), np.nan)]
            ),
            "edges of i00: found",
        ),
    ]
    pytest.importorskip("cv2")
    for act, message in cases:
        with pytest.raises(WsolbenchError, match=message):
            act()


def test_ignored_pixels_are_refused(tmp_path: Path) -> None:
    mask = np.zeros((30, 30), np.bool_)
    mask[5:15, 5:15] = True
    ring = np.zeros_like(mask)
    ring[15:17, 5:15] = True
    content = AnnotationSet("shapes", [annotation("a", mask, ignore=encode(ring))])
    write_store(tmp_path / "s.h5", content)
    opened = Dataset.open(tmp_path / "s.h5", "val")
    with pytest.raises(WsolbenchError, match="1 of 1 images with pixels that are neither object"):
        Evaluator(opened, metrics=["boundary"])
    assert Evaluator(opened).metrics == ("pixel", "box")


def test_the_command_line(
    dataset: Dataset,
    submission: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    base = ["evaluate", str(submission), "--annotations", str(dataset.store.path), "--quiet"]

    def called(*options: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["wsolbench", *base, *options])
        with pytest.raises(SystemExit) as left:
            main()
        printed = capsys.readouterr()
        return int(left.value.code or 0), printed.out, printed.err

    status, text, _ = called("--metrics", "boundary", "--json")
    found = json.loads(text)
    assert status == 0
    assert found["boundary"] == {"suppression": True, "truth": "thinned", "max_distance": 0.0075}
    rule = ("--no-nms", "--boundary-truth", "inner", "--boundary-distance", "0.02")
    other = json.loads(called("--metrics", "boundary", *rule, "--json")[1])
    assert other["boundary"] == {"suppression": False, "truth": "inner", "max_distance": 0.02}
    assert other["scores"]["boundary_ods"] != found["scores"]["boundary_ods"]
    status, _, message = called("--metrics", "pixel", "--no-nms")
    assert status == 2
    assert "expected boundary among the metrics" in message


def test_counts_of_boundaries_and_classes_are_read(
    dataset: Dataset, edges: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / "classed.h5"
    with SubmissionWriter(path, HEADER) as writer:
        top5 = np.tile(np.arange(5), (COUNT, 1))
        writer.append([*edges], random_maps(COUNT), top5=top5, edges=[*edges.values()])
    for metrics in (("boundary",), ("pixel", "boundary"), None):
        outcome = run(Request(path, dataset, metrics=metrics, counts=True))
        result = outcome.results[0]
        assert {"top1_cls", "boundary_ods"} <= result.scores.keys()
        write_counts(tmp_path / "r.counts.npz", outcome.counts[0])
        again = read_counts(tmp_path / "r.counts.npz", result)
        assert again.scoring.families == outcome.counts[0].scoring.families


def test_a_rule_counts_for_the_protocols_that_have_boundaries(
    dataset: Dataset, submission: Path
) -> None:
    pytest.importorskip("cv2")
    request = Request(
        submission,
        dataset,
        protocols=("sem", "wsoleval-v1"),
        metrics=("box", "boundary"),
        boundary=RAW,
    )
    first, second = run(request).results
    assert first.boundary == RAW.as_dict()
    assert not second.boundary
    assert (
        first.scores["boundary_ods"]
        == scored(dataset, submission, boundary=RAW).scores["boundary_ods"]
    )


def test_counts_are_of_one_rule(dataset: Dataset, submission: Path, tmp_path: Path) -> None:
    outcome = run(Request(submission, dataset, metrics=("boundary",), counts=True))
    write_counts(tmp_path / "r.counts.npz", outcome.counts[0])
    other = replace(outcome.results[0], boundary=RAW.as_dict())
    with pytest.raises(WsolbenchError, match="found counts of another result"):
        read_counts(tmp_path / "r.counts.npz", other)


def test_windows_of_maps_do_not_matter_to_edges(
    dataset: Dataset, submission: Path, edges: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / "windowed.h5"
    windows = np.array(
        [
            (0, 0, dataset[place].mask.shape[1], dataset[place].mask.shape[0] - 4)
            for place in range(COUNT)
        ]
    )
    order = [[*edges].index(name) for name in dataset.image_ids]
    assert order == [*range(COUNT)]
    with SubmissionWriter(path, HEADER) as writer:
        writer.append([*edges], random_maps(COUNT), edges=[*edges.values()], windows=windows)
    assert scored(dataset, path).scores == scored(dataset, submission).scores
