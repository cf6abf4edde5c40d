"""--columns, --sort, --transpose and --bold of `info`, `compare` and `thresholds`, and widths."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run, submit
from wsolbench.cli import layout_options


@pytest.fixture
def results(run: Run, scene: Path) -> list[str]:
    """Results with counts of noise 1 and noise 2."""
    for seed in (1, 2):
        submit(scene / f"m{seed}.h5", scene / "toy.h5", "val", seed=seed)
        kept = ["--out", f"m{seed}.json", "--counts"]
        run("evaluate", f"m{seed}.h5", "--annotations", "toy.h5", *kept)
    return ["m1.json", "m2.json"]


def test_info(run: Run, scene: Path, results: list[str]) -> None:
    peaks = [json.loads((scene / name).read_text())["scores"]["peak_iou"] for name in results]
    asked = ["--columns", "peak_iou,ap", "--format", "md"]
    shown = run("info", *results, *asked, "--sort", "peak_iou", "--bold").stdout
    head, _, first, *_ = shown.splitlines()
    assert head.replace(" ", "") == "|Method|Peak-IoU|AP|"
    assert first.startswith(f"| noise {1 + peaks.index(max(peaks))} dice")
    assert f"**{100 * max(peaks):.2f}**" in first
    turned = run("info", *results, *asked, "--transpose").stdout.splitlines()
    assert turned[0].replace(" ", "") == "|Method|noise1dice|noise2dice|"
    assert [line.split()[1] for line in turned[2:4]] == ["Peak-IoU", "AP"]
    assert run("info", "m1.json", "--columns", "ap").stdout.splitlines()[1].startswith("AP ")
    for options in (["--json", "--bold"], ["--format", "csv", "--transpose"]):
        assert "exclude each other" in run("info", *results, *options, status=2).stderr
    done = run("info", "m1.json", "--columns", "peak-iou", status=2)
    assert done.stdout == ""
    assert done.stderr.endswith("; did you mean peak_iou?\n")


@pytest.mark.parametrize("asked", ["--format csv", "--columns ap", "--sort ap", "--transpose"])
def test_info_takes_options_of_tables_for_results_alone(
    run: Run, scene: Path, results: list[str], asked: str
) -> None:
    for files in (["toy.h5"], ["m1.json", "m1.h5"]):
        done = run("info", *files, *asked.split(), status=2)
        assert f"{asked.split()[0]} is for results alone; {files[-1]} holds: " in done.stderr
        assert done.stdout == ""


def test_compare(run: Run, scene: Path, results: list[str]) -> None:
    compared = ["compare", *results, "--bootstrap", "20"]
    whole = run(*compared).stdout
    few = run(*compared, "--columns", "ap", "--transpose", "--bold").stdout
    pair = "noise 2 dice - noise 1 dice"
    rows = [line for line in few.splitlines() if pair in line and not line.startswith(pair)]
    assert [line.split()[0] for line in rows] == ["AP"]
    assert all(
        line in whole for line in [few.splitlines()[0], *(row.split("  ")[-1] for row in rows)]
    )
    assert any(line.startswith("noise 2 dice ") for line in few.splitlines())
    assert run(*compared, "--format", "csv", "--columns", "ap").stdout.count("\n") == 2
    rows = run(*compared, "--format", "csv", "--columns", "ap,peak_iou").stdout.splitlines()[1:]
    assert [row.split(",")[0] for row in rows] == ["ap", "peak_iou"]
    assert run(*compared, "--format", "md", "--columns", "ap", "--bold").stdout.count("**") == 2
    assert (
        "--columns and --json exclude"
        in run(*compared, "--json", "--columns", "ap", status=2).stderr
    )


def test_compare_under_several_protocols(run: Run, scene: Path, results: list[str]) -> None:
    pytest.importorskip("cv2")
    files = ["m1.h5", "m2.h5", "--annotations", "toy.h5", "--bootstrap", "20"]
    asked = ["--protocol", "sem,wsoleval-pxap", "--columns", "ap,peak_iou", "--format", "csv"]
    rows = [row.split(",") for row in run("compare", *files, *asked).stdout.splitlines()[1:]]
    assert [row[:2] for row in rows if row[0] == "sem"] == [["sem", "ap"], ["sem", "peak_iou"]]


def test_thresholds(run: Run, scene: Path, results: list[str]) -> None:
    drawn = ["--bootstrap", "20", "--format", "csv"]
    assert (
        "--bootstrap and --format csv exclude"
        in run("thresholds", "m1.json", *drawn, status=2).stderr
    )
    read = ["thresholds", "m1.json"]
    score = next(iter(json.loads(run(*read, "--json").stdout)[0]["scores"]))
    asked = ["--columns", score, "--sort", score]
    head, *rows = run(*read, *asked, "--format", "csv").stdout.splitlines()
    assert head == f"rule,pixel_threshold,box_threshold,{score}"
    values = [float(row.rsplit(",", 1)[1]) for row in rows if not row.endswith(",")]
    assert values == sorted(values, reverse=True)
    assert len(values) > 2
    plain = run(*read).stdout
    turned = run(*read, "--transpose").stdout
    assert "max on this split" in turned.splitlines()[0]
    assert run(*read, *asked[2:]).stdout.count(" (") == plain.count(" (")


def test_text_fits_a_terminal_and_is_whole_in_a_pipe(
    run: Run, results: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def widest(text: str) -> int:
        return max(len(line) for line in text.splitlines() if line.startswith("-"))

    commands = (
        ["info", *results * 3],
        ["compare", *results, "--bootstrap", "20"],
        ["thresholds", "m1.json"],
    )
    for command in commands:
        piped = run(*command).stdout
        with monkeypatch.context() as patched:
            patched.setattr(layout_options, "terminal_width", lambda: 72)
            shown = run(*command).stdout
        assert widest(piped) > 72 >= widest(shown)
        words = {word for word in shown.split() if not word.startswith("--")}
        assert words - {"A", "B"} <= set(piped.split()) | {"A:", "B:"}
        assert ("noise 2 dice - noise 1 dice" in piped) == ("B - A" in shown)
