"""Maps of a network for the categories of a user's own photos, through the command line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.conftest import Run
from tests.conftest import annotation
from wsolbench.formats.annotations import AnnotationSet, write_store

MODEL = ("--model", "wsolbench.mini.classifier:load", "--size", "32", "--device", "cpu")
"""A network of eight classes."""


@pytest.fixture
def farm(tmp_path: Path) -> Path:
    """Six photos and an annotation file of three categories."""
    rng = np.random.default_rng(0)
    rows = []
    for place in range(6):
        mask = np.zeros((32, 32), np.bool_)
        mask[4:20, place : place + 16] = True
        rows.append(annotation(f"i{place}", mask, class_index=place % 3))
        photo = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(photo).save(tmp_path / f"i{place}.png")
    classes = [("1", "ant"), ("2", "crab"), ("3", "emu")]
    write_store(tmp_path / "farm.h5", AnnotationSet("farm", rows, classes))
    (tmp_path / "map.csv").write_text("class,model_class\nant,0 1\ncrab,2\n")
    return tmp_path


@pytest.mark.parametrize("method", ["cam", "sem"])
def test_categories_are_joined_or_refused(run: Run, farm: Path, method: str) -> None:
    pytest.importorskip("torch", reason="maps are predicted")
    predict = ("predict", method, *MODEL, "--annotations", "farm.h5", "--images", ".")
    predict += ("--workers", 0, "--out", "m.h5", *(("--seeds", "5") if method == "sem" else ()))
    evaluate = ("evaluate", "m.h5", "--annotations", "farm.h5")

    done = run(*predict, status=2)
    assert done.stderr.startswith("wsolbench: farm.h5: 3 classes in the annotations and 8 in ")
    assert done.stderr.count("\n") == 1
    done = run(*predict, "--class-map", "map.csv", status=2)
    assert "1 class without a class of the model: emu (2 of 6 images)" in done.stderr
    assert not (farm / "m.h5").exists()

    joined = (*predict, "--class-map", "map.csv")
    done = run(*joined, "--skip-unmapped", "ids.txt")
    assert "ids.txt: their ids, without 2 images of unmapped classes" in done.stdout
    assert (farm / "ids.txt").read_text() == "i0\ni1\ni3\ni4\n"
    assert "SUBSET:4 images of list " in run(*evaluate, "--ids", "ids.txt").stdout
    assert "no map for 2 of 6 images: i2, i5" in run(*evaluate, status=1).stderr
    assert "all below 3" not in run("validate", "m.h5", "--annotations", "farm.h5", status=1).stdout


def test_a_part_is_predicted_and_scored(run: Run, farm: Path) -> None:
    pytest.importorskip("torch", reason="maps are predicted")
    predict = ("predict", "cam", *MODEL, "--annotations", "farm.h5", "--images", ".")
    predict += ("--class-map", "same", "--workers", 0, "--out", "m.h5")
    evaluate = ("evaluate", "m.h5", "--annotations", "farm.h5")
    (farm / "some.txt").write_text("i5\n\ni0\n")

    assert "m.h5: 2 maps of farm val" in run(*predict, "--ids", "some.txt").stdout
    assert "SUBSET:2 images of list " in run(*evaluate, "--ids", "some.txt").stdout
    assert "no map for 4 of 6 images" in run(*evaluate, status=1).stderr
    assert "m.h5: 3 maps of farm val" in run(*predict, "--limit", 3).stdout
    assert "TRIAL:first 3 images only" in run(*evaluate, "--limit", 3).stdout
    for command in (predict, evaluate):
        done = run(*command, "--limit", 3, "--ids", "some.txt", status=2)
        assert "--limit and --ids exclude each other" in done.stderr
    (farm / "some.txt").write_text("i1.png\n")
    for command in (predict, evaluate):
        done = run(*command, "--ids", "some.txt", status=2)
        assert "1 of 1 listed ids unknown: i1.png" in done.stderr
        assert "without file name endings" in done.stderr


def test_wrong_classes_are_noted_on_stderr(run: Run, farm: Path) -> None:
    pytest.importorskip("torch", reason="maps are predicted")
    (farm / "wrong.csv").write_text("class,model_class\nant,7\ncrab,6\nemu,5\n")
    predict = ("predict", "cam", *MODEL, "--annotations", "farm.h5", "--images", ".")
    done = run(*predict, "--class-map", "wrong.csv", "--workers", 0, "--out", "m.h5")
    scored = run("evaluate", "m.h5", "--annotations", "farm.h5", "--json")
    for stderr in (done.stderr, scored.stderr):
        assert "note: none of 6 images of farm val is classified correctly, where" in stderr
        assert "guessing among 3 classes gives 2; class indices probably differ" in stderr


def test_runs_of_several_training_seeds_are_averaged(run: Run, farm: Path) -> None:
    pytest.importorskip("torch", reason="maps are predicted")
    predict = ("predict", "cam", *MODEL, "--annotations", "farm.h5", "--images", ".")
    predict += ("--class-map", "same", "--workers", 0)
    for seed in (0, 1):
        run(*predict, "--training-seed", seed, "--out", f"{seed}.h5")
        run("evaluate", f"{seed}.h5", "--annotations", "farm.h5", "--out", f"{seed}.json")
    assert "2 seeds" in run("info", "0.json", "1.json").stdout
    done = run(
        *("predict", "cam", "--backbone", "resnet18", "--random-weights", 1, "--training-seed", 2),
        *("--annotations", "farm.h5", "--images", ".", "--out", "x.h5"),
        status=2,
    )
    assert "--training-seed excludes --random-weights" in done.stderr


def test_an_interruption_names_the_option_that_continues(
    run: Run, farm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("wsolbench.baselines.trivial.predict_trivial", stop)
    monkeypatch.setattr("wsolbench.maps.folders.import_maps", stop)
    given = ("--annotations", "farm.h5", "--out", "m.h5")
    for command in (("predict", "trivial:noise"), ("import-maps", ".")):
        done = run(*command, *given, status=130)
        assert "interrupted; run the same command with --resume to continue" in done.stderr
