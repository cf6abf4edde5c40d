"""`compare`, from results and from submissions."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.conftest import Run, submit


def test_methods_are_compared_from_results_and_submissions(run: Run, scene: Path) -> None:
    submit(scene / "other.h5", scene / "toy.h5", "val", seed=2)
    for name in ("val", "other"):
        kept = ["--out", f"{name}.json", "--counts", "--by", "area,boxes", "--bootstrap", "20"]
        shown = run("evaluate", f"{name}.h5", "--annotations", "toy.h5", *kept).stdout
        assert "Object area / image area" in shown
    assert (scene / "val.counts.npz").exists()
    from_results = run(
        *("compare", "val.json", "other.json", "--bootstrap", "50", "--out", "c.json"),
        *("--plot", "c.png"),
    ).stdout
    assert "A: noise 1 dice" in from_results
    compared = json.loads((scene / "c.json").read_text())
    pair = next(pair for pair in compared["pairs"] if pair["score"] == "peak_iou")
    read = [json.loads((scene / f"{name}.json").read_text()) for name in ("val", "other")]
    gap = read[1]["scores"]["peak_iou"] - read[0]["scores"]["peak_iou"]
    assert pair["difference"] == gap
    assert (scene / "c.png").read_bytes().startswith(b"\x89PNG")
    given = ["--annotations", "toy.h5", "--bootstrap", "50"]
    assert run("compare", "val.h5", "other.h5", *given).stdout == from_results
    assert run("compare", "val.json", "other.h5", *given).stdout == from_results
    both = run("compare", "val.h5", "other.h5", *given, "--json").stdout
    assert json.loads(both) == compared
    submit(scene / "third.h5", scene / "toy.h5", "val", seed=3)
    three = ["compare", "val.h5", "other.h5", "third.h5", *given]
    assert "C - B" in run(*three).stdout
    assert "C - B" not in run(*three, "--against-first").stdout
    reseeded = run("compare", "val.h5", "other.h5", *given, "--seed", "1", "--json").stdout
    assert json.loads(reseeded)["pairs"] != compared["pairs"]
    run("plot", "groups", "val.json", "other.json", "--by", "boxes", "--out", "g.png")
    assert (scene / "g.png").read_bytes().startswith(b"\x89PNG")
    run("evaluate", "val.h5", "--annotations", "toy.h5", "--out", "bare.json")
    for files, cure in (
        (["bare.json", "other.json"], "evaluate again with --counts"),
        (["val.h5"], "found 1 method, expected 2 to 12"),
        (["val.h5", "val.json"], "the same maps as method 1"),
        (["val.h5", "other.h5", "--protocol", "sem,tscam"], "--protocol takes one name"),
        (["val.json", "test.h5"], "method 2 (noise 1) beside method 1 (noise 1 dice)"),
        (["val.json", "other.json", "--protocol", "tscam"], "protocol sem, expected tscam"),
    ):
        error = run("compare", *files, "--annotations", "toy.h5", status=2).stderr
        assert cure in error
        assert len(error.splitlines()) == 1
    error = run("compare", "val.json", "other.json", "--out", "val.counts.npz", status=2).stderr
    assert "val.counts.npz" in error
