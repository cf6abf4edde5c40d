"""`compare`, from results and from submissions."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.cli.conftest import Run, submit
from wsolbench.data.dataset import Dataset
from wsolbench.errors import WsolbenchError
from wsolbench.evaluation.compare_files import compare_files
from wsolbench.formats.result import Bootstrap
from wsolbench.formats.submission.reader import SubmissionHeader, SubmissionWriter


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
    assert "noise 3 dice - noise 2 dice" in run(*three).stdout
    assert "noise 3 dice - noise 2 dice" not in run(*three, "--against-first").stdout
    reseeded = run("compare", "val.h5", "other.h5", *given, "--seed", "1", "--json").stdout
    assert json.loads(reseeded)["pairs"] != compared["pairs"]
    run("plot", "groups", "val.json", "other.json", "--by", "boxes", "--out", "g.png")
    assert (scene / "g.png").read_bytes().startswith(b"\x89PNG")
    run("evaluate", "val.h5", "--annotations", "toy.h5", "--out", "bare.json")
    for files, cure in (
        (["bare.json", "other.json"], "evaluate again with --counts"),
        (["val.h5"], "found 1 method, expected 2 to 12"),
        (["val.h5", "val.json"], "the same maps as method 1"),
        (["val.h5", "other.h5", "--protocol", "sem,tscan"], "protocol: found 'tscan'"),
        (["val.json", "other.json", "--protocol", "all"], "all of them, and results"),
        (["val.json", "test.h5"], "method 2 (noise 1) beside method 1 (noise 1 dice)"),
        (["val.json", "other.json", "--protocol", "tscam"], "protocol sem, expected tscam"),
    ):
        error = run("compare", *files, "--annotations", "toy.h5", status=2).stderr
        assert cure in error
        assert len(error.splitlines()) == 1
    error = run("compare", "val.json", "other.json", "--out", "val.counts.npz", status=2).stderr
    assert "val.counts.npz" in error


def submit_some(path: Path, store: Path, ids: list[str], **method: object) -> None:
    """Maps of some images of val."""
    header = SubmissionHeader(
        dataset="toy",
        split="val",
        label=str(method.pop("label", "gt")),
        normalisation="none",
        method={"name": path.stem, **method},
    )
    rng = np.random.default_rng(len(ids))
    with SubmissionWriter(path, header) as writer:
        writer.append(ids, rng.integers(0, 256, (len(ids), 5, 5)).astype(np.uint8))


def test_files_with_maps_of_other_images_are_refused_before_scoring(
    run: Run, scene: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = Dataset.open(scene / "toy.h5", "val").image_ids
    submit_some(scene / "part.h5", scene / "toy.h5", ids[:2])
    kept = ["--annotations", "toy.h5", "--counts", "--out"]
    run("evaluate", "val.h5", *kept, "val.json")
    run("evaluate", "part.h5", *kept, "part.json", "--allow-missing")
    outputs = ["--out", "c.json", "--plot", "c.png"]
    told = {}
    for files in (["val.h5", "part.h5"], ["val.json", "part.json"], ["part.json", "val.h5"]):
        done = run("compare", *files, "--annotations", "toy.h5", *outputs, status=1)
        fault = next(file for file in files if file.startswith("part"))
        other = next(file for file in files if file.startswith("val"))
        assert done.stdout == ""
        assert done.stderr == (
            f"wsolbench: {fault}: found maps of different images: {fault} has 2 of the 6 images "
            "that any of them has, without "
            f"{ids[2]}, {ids[3]}, {ids[4]} and 1 more; {other} has 6, expected maps of the same "
            "images from every method; add the missing maps, or use only the 2 shared images with "
            "--common (common=True in Python)\n"
        )
        assert not (scene / "c.json").exists()
        assert not (scene / "c.png").exists()
        given = ["--annotations", "toy.h5", "--bootstrap", "20", "--common"]
        done = run("compare", *files, *given, *outputs)
        assert "|images:2 shared by all of 6, 6 (common images only; maps of " in done.stdout
        assert done.stderr.startswith(
            "warning: only 2 images are compared, those that all methods have maps of: "
        )
        assert "part has 2 of 6" in done.stderr
        told[files[0]] = json.loads((scene / "c.json").read_text())
        (scene / "c.json").unlink()
        (scene / "c.png").unlink()
    assert told["val.h5"] == told["val.json"]
    assert (told["val.h5"]["images"], told["val.h5"]["maps"]) == (2, [6, 2])
    assert told["part.json"]["maps"] == [2, 6]
    paths = [scene / "val.h5", scene / "part.h5"]
    with pytest.raises(WsolbenchError, match=r"part\.h5 has 2 of the 6 .*, without"):
        compare_files(paths, Bootstrap(20), scene / "toy.h5")
    shared = compare_files(paths, Bootstrap(20), scene / "toy.h5", common=True)
    assert (shared.images, shared.maps) == (2, (6, 2))


def test_a_trial_beside_a_whole_result_is_refused(run: Run, scene: Path) -> None:
    submit(scene / "other.h5", scene / "toy.h5", "val", seed=2)
    kept = ["--annotations", "toy.h5", "--counts", "--out"]
    run("evaluate", "val.h5", *kept, "val.json")
    run("evaluate", "other.h5", *kept, "trial.json", "--limit", "3")
    error = run("compare", "val.json", "trial.json", status=1).stderr
    assert "trial.json has 3 of the 6" in error
    done = run("compare", "val.json", "trial.json", "--common", "--bootstrap", "20")
    assert "images:3 shared by all of 6, 3" in done.stdout
    assert "|TRIAL:first 3 images only" in done.stdout


def test_class_agnostic_maps_of_both_labels_are_compared(run: Run, scene: Path) -> None:
    ids = list(Dataset.open(scene / "toy.h5", "val").image_ids)
    submit_some(scene / "any.h5", scene / "toy.h5", ids, label="predicted", class_agnostic=True)
    submit_some(scene / "bound.h5", scene / "toy.h5", ids, label="predicted")
    run("predict", "trivial:centre-box", "--annotations", "toy.h5", "--out", "box.h5")
    given = ["--annotations", "toy.h5", "--bootstrap", "20"]
    done = run("compare", "box.h5", "any.h5", *given)
    assert "|maps:gt and predicted (class-agnostic)|" in done.stdout
    assert "GT-known" in done.stdout
    assert "not shared" not in done.stdout
    for files in (["box.h5", "bound.h5"], ["any.h5", "bound.h5", "box.h5"]):
        error = run("compare", *files, *given, status=2).stderr
        assert "another label: " in error
        assert "only methods that are all class-agnostic, like trivial:NAME" in error
    error = run("compare", "val.h5", "any.h5", *given, status=2).stderr
    assert "make both with the same --label" in error
