"""Runs over seeds: which belong together, and their mean and deviation by numpy."""

from __future__ import annotations

import csv
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from wsolbench.formats.report import seeds_table, table
from wsolbench.formats.result import Result, Threshold
from wsolbench.formats.seeds import seed_groups, seed_notes
from wsolbench.protocols import PROTOCOLS

PEAKS = [0.4437, 0.4512, 0.4391, 0.4478]


def run(peak: float, seed: object = None, **change: Any) -> Result:
    """A result with three scores, whose method states its weights too."""
    method: dict[str, Any] = {
        "name": "CAM",
        "backbone": "vgg16",
        "parameters": {"size": 224},
        "weights": f"run-{seed}.pth",
        "weights_sha256": f"{seed}" * 8,
    }
    if seed is not None:
        method["seed"] = seed
    made = Result(
        method={**method, **change.pop("method", {})},
        dataset="toy",
        split="val",
        label="gt",
        normalisation="min-max",
        images=20,
        protocol=PROTOCOLS["sem"].as_dict(),
        annotations_sha256="a" * 64,
        submission_sha256=f"{seed}" * 64,
        wsolbench="0.1.0",
        threshold=Threshold("max"),
        scores={"peak_iou": peak, "ap": peak / 2, "peak_threshold": round(300 * peak)},
        curves={},
        counts={"missing": 0},
    )
    return replace(made, **change)


def test_mean_and_deviation_are_those_of_numpy() -> None:
    results = [run(peak, seed) for seed, peak in enumerate(PEAKS)]
    other = run(0.9, 0, method={"name": "SEM"})
    (group,) = seed_groups([*results[:2], other, *results[2:]])
    assert (group.name, group.dataset, group.split) == ("CAM vgg16", "toy", "val")
    assert (group.seeds, group.places) == ((0, 1, 2, 3), (0, 1, 3, 4))
    for key in ("peak_iou", "ap", "peak_threshold"):
        values = np.array([result.scores[key] for result in results])
        assert group.mean[key] == pytest.approx(values.mean(), rel=1e-14)
        assert group.std[key] == pytest.approx(values.std(ddof=1), rel=1e-12)
    assert seed_notes([*results, other]) == []


def test_equal_runs_deviate_by_nothing() -> None:
    (group,) = seed_groups([run(0.1 + 0.2, seed) for seed in range(3)])
    assert group.std == {"peak_iou": 0.0, "ap": 0.0, "peak_threshold": 0.0}


def test_seeds_of_equal_scores_and_curves_are_named() -> None:
    curve = {"threshold": [0, 1], "iou": [0.25, 0.5]}
    runs = [run(peak, seed, curves=curve) for seed, peak in enumerate((0.5, 0.4, 0.5))]
    assert seed_notes(runs) == [
        "the seeds 0, 2 of CAM vgg16 have equal scores and curves to the last bit, as the same "
        "maps have: their spread is probably none of seeds; check that each submission was made "
        "with its own weights"
    ]
    runs[2] = replace(runs[2], curves={"threshold": [0, 1], "iou": [0.2500001, 0.5]})
    assert seed_notes(runs) == []


def test_the_same_seed_counts_once() -> None:
    """Neither as two seeds alone, nor twice among others; numbers may be texts in other files."""
    pair = [run(0.4, 7), run(0.5, 7)]
    told = "2 runs of CAM vgg16 state the same seed 7, which is one seed: only the first of them"
    assert seed_groups(pair) == []
    assert seed_notes(pair) == [f"{told} counts"]
    for again in (7, "7", 7.0):
        results = [run(0.4, 7), run(0.6, again), run(0.44, 8)]
        (group,) = seed_groups(results)
        assert (group.seeds, group.places) == ((7, 8), (0, 2))
        assert group.mean["peak_iou"] == pytest.approx(0.42)
        assert group.std["peak_iou"] == pytest.approx(np.std([0.4, 0.44], ddof=1))
        assert seed_notes(results) == [f"{told} counts"]


@pytest.mark.parametrize("seed", [None, True, [1], {"a": 1}, ""])
def test_a_run_without_a_seed_is_not_counted(seed: object) -> None:
    bare = run(0.9, method={"seed": seed})
    (group,) = seed_groups([run(0.4, 1), bare, run(0.5, 2)])
    assert group.places == (0, 2)
    (note,) = seed_notes([run(0.4, 1), bare, run(0.5, 2)])
    assert note.startswith("1 of 3 runs of CAM vgg16 states no seed in the submission's method and")
    assert seed_groups([bare, replace(bare, scores={"ap": 0.5})]) == []
    assert seed_notes([bare, bare])[0].startswith("2 of 2 runs of CAM vgg16 state no seed")
    assert seed_notes([bare]) == []


@pytest.mark.parametrize(
    "change",
    [
        {"method": {"parameters": {"size": 320}}},
        {"method": {"code": "another commit"}},
        {"method": {"backbone": "resnet50"}},
        {"split": "test"},
        {"dataset": "other"},
        {"label": "predicted"},
        {"normalisation": "max"},
        {"images": 19},
        {"limit": 20},
        {"counts": {"missing": 3}},
        {"annotations_sha256": "b" * 64},
        {"protocol": {**PROTOCOLS["sem"].as_dict(), "sha256": "c" * 64}},
        {"threshold": Threshold("fixed", 128, 128)},
    ],
    ids=str,
)
def test_runs_that_differ_in_more_are_not_grouped(change: dict[str, Any]) -> None:
    assert seed_groups([run(0.4, 1), run(0.5, 2, **change)]) == []
    assert seed_notes([run(0.4, 1), run(0.5, 1, **change)]) == []


def test_each_run_may_carry_thresholds_of_its_own() -> None:
    def carried(level: int, split: str = "val") -> Threshold:
        sha256 = f"{level % 10}" * 64
        source = {"method": "CAM vgg16", "split": split, "submission_sha256": sha256}
        return Threshold("carried", level, level, source)

    one, two = (run(0.4, seed, threshold=carried(80 + seed)) for seed in (1, 2))
    assert len(seed_groups([one, two])) == 1
    assert seed_groups([one, replace(two, threshold=carried(82, "other"))]) == []
    fixed = [run(0.4, seed, threshold=Threshold("fixed", 80 + seed, 90)) for seed in (1, 2)]
    assert seed_groups(fixed) == []


def test_scores_that_some_runs_lack_have_no_mean() -> None:
    (group,) = seed_groups([run(0.4, 1), run(0.5, 2, scores={"ap": 0.2})])
    assert list(group.mean) == list(group.std) == ["ap"]


def test_groups_of_one_name_are_told_apart() -> None:
    results = [
        run(0.4, seed, method={"parameters": {"size": size}})
        for size in (224, 320)
        for seed in (1, 2)
    ]
    assert [group.name for group in seed_groups(results)] == [
        "CAM vgg16, size 224",
        "CAM vgg16, size 320",
    ]


def test_tables_print_mean_deviation_and_seeds() -> None:
    results = [run(peak, seed) for seed, peak in enumerate(PEAKS)]
    groups = seed_groups(results)
    told = f"{100 * np.mean(PEAKS):.2f} ± {100 * np.std(PEAKS, ddof=1):.2f}"
    levels = [result.scores["peak_threshold"] for result in results]
    for form in ("text", "md", "latex"):
        shown = seeds_table(groups, form)
        assert told in shown
        assert "4 seeds" in shown
        assert "0, 1, 2, 3" in shown
        assert f"{np.mean(levels):.1f} ± {np.std(levels, ddof=1):.1f}" in shown
    hostile = [run(0.4, seed, method={"name": "a|b"}) for seed in ("1", "x|y")]
    assert r"a\|b vgg16" in seeds_table(seed_groups(hostile), "md")
    assert r"1, x\|y" in seeds_table(seed_groups(hostile), "md")


def test_csv_has_a_row_for_each_group_of_seeds() -> None:
    results = [run(peak, seed) for seed, peak in enumerate(PEAKS)]
    *rows, last = csv.DictReader(table(results, "csv").splitlines())
    assert [row["seeds"] for row in rows] == [""] * 4
    assert [row["peak_iou_std"] for row in rows] == [""] * 4
    assert last["seeds"] == "4"
    assert float(last["peak_iou"]) == pytest.approx(np.mean(PEAKS))
    assert float(last["peak_iou_std"]) == pytest.approx(np.std(PEAKS, ddof=1))
    assert "seeds" not in table(results[:1], "csv").splitlines()[0]
