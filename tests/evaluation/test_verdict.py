"""Verdicts: who is ahead in which scores, and under which protocols."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import random_dataset
from tests.plots.samples import WASTE
from wsolbench.data.dataset import Dataset
from wsolbench.errors import WsolbenchError
from wsolbench.evaluation import compare_files as compare_module
from wsolbench.evaluation.compare_files import compare_files, compare_protocols
from wsolbench.evaluation.comparison import Comparison
from wsolbench.evaluation.comparison_report import comparison_table, warnings_of
from wsolbench.evaluation.counts import counts_path, write_counts
from wsolbench.evaluation.pairs import Pair, judged, repeated_scores, resolution_fault, tally
from wsolbench.evaluation.run import Request, run
from wsolbench.evaluation.verdict import judge, verdict_table, verdict_warnings
from wsolbench.formats.result import Bootstrap
from wsolbench.formats.submission.rules import SubmissionHeader
from wsolbench.formats.submission.writer import SubmissionWriter
from wsolbench.plots import save_verdict
from wsolbench.protocols import PROTOCOLS, Averaging, Protocol
from wsolbench.scores import SCORES, Better

DRAWN = Bootstrap(1000)


def pair(score: str, difference: float, p: float, second: int = 1, **fields: object) -> Pair:
    return replace(Pair(score, 0, second, difference, (0.0, 0.0), 0.9, p), **fields)


def test_verdicts_are_those_of_holm_by_hand() -> None:
    """Of 4 comparisons at 5 %: .0125, .0167, .025 and .05 are enough, in this order."""
    pairs = [
        pair("peak_iou", 0.1, 0.0125),
        pair("ap", -0.1, 0.0166),
        pair("ap_image_mean", 0.1, 0.026),
        pair("gt_known_loc", 0.1, 0.026),
    ]
    (found,) = judged([pairs], [{}], DRAWN)
    assert [own.verdict for own in found] == ["ahead", "behind", "undecided", "undecided"]
    assert [own.p_holm for own in found] == pytest.approx([0.05, 0.05, 0.052, 0.052])
    told = tally(found, {}, 0, 1)
    assert str(told) == "ahead in 1, behind in 1, undecided in 2 of 4 scores"
    assert told.standing == "mixed"


def test_other_protocols_count_as_comparisons() -> None:
    pairs = [pair("peak_iou", 0.1, 0.03)]
    (alone,) = judged([pairs], [{}], DRAWN)
    both = judged([pairs, pairs], [{}, {}], DRAWN)
    assert [own[0].verdict for own in (alone, *both)] == ["ahead", "undecided", "undecided"]
    assert both[0][0].p_holm == 0.06


def test_repetitions_and_equal_scores_are_no_comparisons() -> None:
    pairs = [
        pair("gt_known_loc", 0.1, 0.02),
        pair("max_box_acc", 0.1, 0.02),
        pair("top1_cls", 0.0, 1.0, verdict="equal"),
        pair("ap", 0.1, 0.04),
    ]
    (found,) = judged([pairs], [{"max_box_acc": "gt_known_loc"}], DRAWN)
    assert [own.verdict for own in found] == ["ahead", "ahead", "equal", "ahead"]
    assert [own.p_holm for own in found] == [0.04, 0.04, 1.0, 0.04]
    told = tally(found, {"max_box_acc": "gt_known_loc"}, 0, 1)
    assert told.ahead == ("gt_known_loc", "ap")
    assert str(told) == "ahead in 2, behind in 0, undecided in 0 of 2 scores; equal in 1 more"


def test_the_direction_of_a_score_decides_who_is_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    for better, verdict in (
        (Better.LOWER, "behind"),
        (Better.HIGHER, "ahead"),
        (Better.NEITHER, "higher"),
    ):
        monkeypatch.setitem(SCORES, "waste", replace(WASTE, better=better))
        (found,) = judged([[pair("waste", 3.0, 0.002)]], [{}], DRAWN)
        assert found[0].verdict == verdict
    assert tally(found, {}, 0, 1).standing == "equal"


def test_too_few_resamples_are_told() -> None:
    assert resolution_fault(25, DRAWN, 100) == ""
    assert resolution_fault(0, Bootstrap(20), 1) == ""
    assert resolution_fault(26, DRAWN, 100) == (
        "1000 resamples cannot decide any of 26 comparisons after Holm's correction: draw 1039 or "
        "more (--bootstrap 1039)"
    )
    pairs = [
        pair(key, 0.1, 2 / 1001, second) for second in range(1, 14) for key in ("ap", "peak_iou")
    ]
    (found,) = judged([pairs], [{}], DRAWN)
    assert {own.verdict for own in found} == {"undecided"}
    (finer,) = judged([[replace(own, p=2 / 1040) for own in pairs]], [{}], Bootstrap(1039))
    assert {own.verdict for own in finer if own.score == "ap"} == {"ahead"}


def test_few_images_decide_nothing_whatever_their_resamples() -> None:
    assert resolution_fault(1, DRAWN, 6) == ""
    assert resolution_fault(2, DRAWN, 6) == (
        "6 images cannot decide any of 2 comparisons after Holm's correction, even if all agree: "
        "score more images"
    )


def test_resamples_that_say_the_opposite_decide_nothing() -> None:
    pairs = [pair("ap", 0.1, 0.001, order=order) for order in (1.0, 0.0)]
    (found,) = judged([pairs], [{}], Bootstrap(9999))
    assert [own.verdict for own in found] == ["ahead", "undecided"]


def test_repeated_scores_are_equal_in_every_resample() -> None:
    rng = np.random.default_rng(1)
    drawn = [{"a": rng.random(9)} for _ in range(2)]
    scored = [{"a": 0.5, "b": 0.5, "c": 0.5, "d": 0.6} for _ in drawn]
    for own in drawn:
        own |= {"b": own["a"].copy(), "c": own["a"].copy(), "d": own["a"].copy()}
    drawn[1]["c"][4] += 1e-9
    assert repeated_scores(["a", "b", "c", "d"], scored, drawn) == {"b": "a"}
    for own, rows in zip(scored, drawn, strict=True):
        own |= {"e": 1.0, "f": 1.0}
        rows |= {"e": np.ones(9), "f": np.ones(9)}
    assert repeated_scores(["e", "f"], scored, drawn) == {}  # 100 % of two kinds


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Noise, and the masks themselves with noise on them; the store is beside them."""
    folder = tmp_path_factory.mktemp("verdict")
    dataset = random_dataset(folder / "s.h5", 40)
    rng = np.random.default_rng(3)
    paths = [folder / "noise.h5", folder / "good.h5"]
    for path, share in zip(paths, (0.0, 0.6), strict=True):
        header = SubmissionHeader(
            dataset=dataset.name,
            split=dataset.split,
            label="gt",
            normalisation="none",
            method={"name": path.stem},
        )
        with SubmissionWriter(path, header) as writer:
            for sample in dataset:
                mask = np.float32(sample.mask)
                noise = rng.random(mask.shape, dtype=np.float32)
                writer.append([sample.image_id], (share * mask + (1 - share) * noise)[None])
    return paths


@pytest.fixture(scope="module")
def store(files: list[Path]) -> Dataset:
    return Dataset.open(files[0].parent / "s.h5")


def test_a_comparison_states_its_verdict(files: list[Path], store: Dataset) -> None:
    comparison = compare_files(files, DRAWN, store)
    (told,) = comparison.tallies
    assert told.standing == "ahead"
    assert {"peak_iou", "ap"} <= set(told.ahead)
    assert comparison.repeated["max_box_acc"] == "gt_known_loc"
    assert "max_box_acc" not in told.ahead
    content = json.loads(comparison.to_json())
    assert content["verdicts"][0]["standing"] == "ahead"
    assert content["verdicts"][0]["ahead"] == list(told.ahead)
    assert content["comparisons"] == told.scores
    assert content["resolution"] == ""
    shown = comparison_table(comparison)
    assert f"B beside A: {told}" in shown
    assert f"verdicts: Holm's correction for {told.scores} comparisons at 5 %" in shown
    assert "as GT-known" in shown
    few = compare_files(files, Bootstrap(20), store)
    assert few.tallies[0].standing == "undecided"
    assert "every verdict is undecided: 20 resamples cannot decide" in warnings_of(few)[-1]
    assert "20 resamples cannot decide" in comparison_table(few)
    assert json.loads(few.to_json())["resolution"].startswith("20 resamples cannot decide")


def test_protocols_are_decided_together(files: list[Path], store: Dataset, tmp_path: Path) -> None:
    pytest.importorskip("cv2")
    names = ["sem", "wsoleval-pxap", "tscam"]
    verdict = compare_protocols(files, DRAWN, store, protocols=names)
    assert verdict.protocols == names
    single = [compare_files(files, DRAWN, store, protocol=name) for name in names]
    for own, alone in zip(verdict.comparisons, single, strict=True):
        for judged_pair, given in zip(own.pairs, alone.pairs, strict=True):
            assert judged_pair.p == given.p
            assert judged_pair.p_holm >= given.p_holm
            assert judged_pair.interval == given.interval
    again = judge(single)
    assert again.to_json() == verdict.to_json()
    (standing,) = verdict.standings
    assert standing.protocols("ahead")[:2] == ["sem", "wsoleval-pxap"]
    scores = sum(own.scores for own in standing.tallies.values())
    assert f"of {scores} scores" in str(standing)
    assert "; ahead under " in str(standing)
    assert str(standing) in repr(verdict)
    shown = verdict_table(verdict)
    assert f"B beside A: {standing}" in shown
    assert "wsoleval-pxap.v" in shown
    head, *rows = verdict_table(verdict, "csv").splitlines()
    assert head.split(",")[:2] == ["protocol", "score"]
    assert len(rows) == sum(len(own.pairs) for own in single)
    content = json.loads(verdict.to_json())
    assert content["standings"][0]["protocols"]["ahead"] == standing.protocols("ahead")
    save_verdict(verdict, tmp_path / "v.svg")
    drawn = (tmp_path / "v.svg").read_text()
    assert "tscam" in drawn
    assert "ahead under" in drawn
    # The same from results and their counts.
    for file in files:
        request = Request(file, store, protocols=tuple(names), counts=True)
        for counts in run(request).counts:
            path = tmp_path / f"{file.stem}.{counts.result.protocol['name']}.json"
            counts.result.write(path)
            write_counts(counts_path(path), counts)
    results = [tmp_path / f"{file.stem}.json" for file in files]
    from_results = compare_protocols(results, DRAWN, protocols=names)
    assert from_results.to_json() == verdict.to_json()
    with pytest.raises(WsolbenchError, match="all of them, and results, expected submissions"):
        compare_protocols([results[0], files[1]], DRAWN, store)


def test_metrics_follow_from_counts(files: list[Path], store: Dataset, tmp_path: Path) -> None:
    """Explanation scores and shape of results that were scored without them."""
    paths = []
    for file in files:
        (counts,) = run(Request(file, store, counts=True)).counts
        paths.append(tmp_path / f"{file.stem}.json")
        counts.result.write(paths[-1])
        write_counts(counts_path(paths[-1]), counts)
    metrics = ["shape", "explain"]
    from_maps = compare_files(files, Bootstrap(50), store, metrics=metrics)
    from_counts = compare_files(paths, Bootstrap(50), metrics=metrics)
    assert from_counts.to_json() == from_maps.to_json()
    assert {"iou_shape", "pointing_game"} <= from_maps.scores.keys()
    assert "peak_iou" not in from_maps.scores


def test_what_does_not_belong_together_is_refused(files: list[Path], store: Dataset) -> None:
    one = compare_files(files, Bootstrap(20), store)
    other: Comparison = replace(one, protocol={**one.protocol, "name": "mine"})
    with pytest.raises(WsolbenchError, match="under sem: found this protocol twice"):
        judge([one, one])
    for change, found in (
        ({"bootstrap": Bootstrap(30)}, "resamples"),
        ({"submissions": ("", "")}, "methods"),
        ({"pairs": []}, "pairs"),
    ):
        with pytest.raises(WsolbenchError, match=f"under mine: found other {found}"):
            judge([one, replace(other, **change)])
    with pytest.raises(WsolbenchError, match="comparisons: found none"):
        judge([])
    with pytest.raises(WsolbenchError, match="found 1 method, expected 2 to 12"):
        compare_protocols(files[:1], Bootstrap(20), store)


def test_all_protocols_are_those_that_the_annotations_allow(
    files: list[Path], store: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("cv2")
    kept = {name: PROTOCOLS[name] for name in ("sem", "bas", "wsoleval-pxap")}
    monkeypatch.setattr(compare_module, "PROTOCOLS", kept)

    def no_class(dataset: Dataset, protocol: Protocol) -> None:
        if protocol.averaging is Averaging.CLASSES:
            raise WsolbenchError("s.h5", found="6 images without class", cure="import them")

    monkeypatch.setattr(compare_module, "Evaluator", no_class)
    verdict = compare_protocols(files, Bootstrap(20), store)
    assert verdict.protocols == ["sem", "wsoleval-pxap"]
    assert verdict.skipped == {"bas": "s.h5: found 6 images without class"}
    told = verdict_warnings(verdict)
    assert told[0] == "not compared under bas: s.h5: found 6 images without class"
    assert "every verdict is undecided: 20 resamples" in told[-1]
    monkeypatch.setattr(compare_module, "PROTOCOLS", {"bas": PROTOCOLS["bas"]})
    with pytest.raises(WsolbenchError, match=r"none that the annotations allow; bas: s\.h5"):
        compare_protocols(files, Bootstrap(20), store)
