"""`info` and `compare` over runs of one method with different seeds."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.cli.conftest import Run


@pytest.fixture
def noise(run: Run, scene: Path) -> list[str]:
    """Results and counts of noise with the seeds 0, 1 and 2."""
    for seed in range(3):
        maps, result = f"n{seed}.h5", f"n{seed}.json"
        made = ["--size", "6", "--seed", seed, "--out", maps]
        run("predict", "trivial:noise", "--annotations", "toy.h5", *made)
        run("evaluate", maps, "--annotations", "toy.h5", "--out", result, "--counts")
    return [f"n{seed}.json" for seed in range(3)]


def test_info_says_mean_and_deviation_over_seeds(run: Run, scene: Path, noise: list[str]) -> None:
    peaks = [json.loads((scene / name).read_text())["scores"]["peak_iou"] for name in noise]
    told = f"{100 * np.mean(peaks):.2f} ± {100 * np.std(peaks, ddof=1):.2f}"
    done = run("info", *noise)
    assert told in done.stdout
    assert "3 seeds" in done.stdout
    assert done.stderr == ""
    assert "Noise, seed 2" in done.stdout
    *files, group = json.loads(run("info", *noise, "--json").stdout)
    assert [file["kind"] for file in files] == ["result"] * 3
    assert (group["kind"], group["seeds"], group["files"]) == ("seeds", [0, 1, 2], noise)
    assert group["mean"]["peak_iou"] == pytest.approx(np.mean(peaks))
    assert group["std"]["peak_iou"] == pytest.approx(np.std(peaks, ddof=1))
    for form in ("md", "latex"):
        assert told in run("info", *noise, "--format", form).stdout
    assert "peak_iou_std" in run("info", *noise, "--format", "csv").stdout.splitlines()[0]


def test_info_counts_a_seed_once(run: Run, scene: Path, noise: list[str]) -> None:
    done = run("info", noise[0], noise[0])
    assert "±" not in done.stdout
    assert done.stderr == (
        "note: 2 runs of Noise state the same seed 0, which is one seed: only the first of them "
        "counts\n"
    )
    done = run("info", noise[0], noise[0], noise[1], "--json")
    assert json.loads(done.stdout)[-1]["seeds"] == [0, 1]
    assert "the same seed 0" in done.stderr
    alone = json.loads(run("info", noise[0], "--json").stdout)
    assert alone["kind"] == "result"


def test_compare_summarises_seeds_after_the_pairs(run: Run, scene: Path, noise: list[str]) -> None:
    given = [*noise, "val.h5", "--annotations", "toy.h5", "--bootstrap", "20"]
    shown = run("compare", *given).stdout
    peaks = [json.loads((scene / name).read_text())["scores"]["peak_iou"] for name in noise]
    told = f"{100 * np.mean(peaks):.2f} ± {100 * np.std(peaks, ddof=1):.2f}"
    assert shown.index("order holds in %") < shown.index("Noise (A, B, C)") < shown.index(told)
    assert "A: Noise, seed 0; " in shown
    compared = json.loads(run("compare", *given, "--json").stdout)
    (group,) = compared["seeds"]
    assert (group["seeds"], group["places"]) == ([0, 1, 2], [0, 1, 2])
    assert group["mean"]["peak_iou"] == pytest.approx(np.mean(peaks))
    assert group["std"]["peak_iou"] == pytest.approx(np.std(peaks, ddof=1))
    assert {pair["second"] for pair in compared["pairs"]} == {1, 2, 3}
    assert "seeds" not in run("compare", *given, "--format", "csv").stdout
