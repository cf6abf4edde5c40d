"""Prediction from a checkpoint by one process, in parts, and by two processes at once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.conftest import Run, run  # noqa: F401
from tests.conftest import annotation
from wsolbench.baselines.settings import Recipe
from wsolbench.baselines.train import train
from wsolbench.baselines.training_data import labelled_split
from wsolbench.data.dataset import Dataset
from wsolbench.formats.annotations import AnnotationSet, write_store
from wsolbench.formats.submission.reader import Submission

CLASSES = ["ant", "bee", "cat"]
PREDICT = ("predict", "cam", "--checkpoint", "c.pt", "--annotations", "drawn.h5", "--images")
PREDICT += ("photos", "--device", "cpu", "--workers", "0", "--quiet", "--batch-size", "1")


def annotate(path: Path, classes: list[str]) -> Dataset:
    """The seven photos' annotations; the class of each is the same, whatever the order."""
    rows = []
    for index in range(7):
        mask = np.zeros((20, 24), np.bool_)
        mask[4:16, index : index + 12] = True
        label = classes.index(CLASSES[index % 3]) if CLASSES[index % 3] in classes else 2
        rows.append(annotation(f"p{index}", mask, class_index=label))
    write_store(path, AnnotationSet("drawn", rows, [(name, name) for name in classes]))
    return Dataset.open(path, images=path.parent / "photos")


@pytest.fixture
def farm(tmp_path: Path) -> Path:
    """Photos, annotations and a checkpoint of CAM."""
    (tmp_path / "photos").mkdir()
    rng = np.random.default_rng(0)
    for index in range(7):
        pixels = rng.integers(0, 256, (20, 24, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "photos" / f"p{index}.png")
    split = labelled_split(annotate(tmp_path / "drawn.h5", CLASSES))
    recipe = Recipe(epochs=1, batch_size=4, resize=18, size=16)
    train(split, tmp_path / "c.pt", backbone="mini", device="cpu", recipe=recipe)
    return tmp_path


def maps_of(path: Path) -> tuple[list[str], np.ndarray]:
    with Submission.open(path) as submission:
        return submission.image_ids, np.stack(submission.read(range(len(submission))))


def test_parts_join_to_the_whole(run: Run, farm: Path) -> None:  # noqa: F811
    done = run(*PREDICT, "--out", "whole.h5")
    assert "mini was trained on the photos of drawn val themselves" in done.stderr
    for part, count in ((1, 4), (2, 3)):
        done = run(*PREDICT, "--shard", f"{part}/2", "--out", f"{part}.h5")
        assert f"{part}.h5: {count} maps of drawn val" in done.stdout
    run("merge", "2.h5", "1.h5", "--annotations", "drawn.h5", "--out", "m.h5")
    assert (farm / "m.h5").read_bytes() == (farm / "whole.h5").read_bytes()


@pytest.mark.slow
def test_two_processes_write_what_one_writes(run: Run, farm: Path) -> None:  # noqa: F811
    run(*PREDICT, "--out", "whole.h5")
    start = [sys.executable, "-W", "ignore", "-m", "torch.distributed.run", "--standalone"]
    done = subprocess.run(
        [*start, "--nproc-per-node", "2", "-m", "wsolbench", *PREDICT, "--out", "two.h5"],
        cwd=farm,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("two.h5: 7 maps of drawn val") == 1
    ids, maps = maps_of(farm / "two.h5")
    assert ids == [f"p{index}" for index in range(7)]
    assert np.array_equal(maps, maps_of(farm / "whole.h5")[1])
    assert not list(farm.glob("*-of-2*"))


def test_classes_are_joined_by_name(run: Run, farm: Path) -> None:  # noqa: F811
    run(*PREDICT, "--out", "a.h5")
    annotate(farm / "drawn.h5", ["cat", "ant", "bee"])
    run(*PREDICT, "--out", "b.h5")
    assert np.array_equal(maps_of(farm / "a.h5")[1], maps_of(farm / "b.h5")[1])
    run(*PREDICT, "--label", "predicted", "--out", "p.h5")
    with Submission.open(farm / "p.h5") as predicted:
        assert predicted.header.label == "predicted"
    annotate(farm / "drawn.h5", ["ant", "bee", "yak"])
    done = run(*PREDICT, "--out", "c.h5", status=2)
    assert "1 class without a class of the model: yak" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (farm / "c.h5").exists()


def test_refusals_are_one_line(run: Run, farm: Path) -> None:  # noqa: F811
    (farm / "broken.pt").write_bytes((farm / "c.pt").read_bytes()[:1000])
    base = list(PREDICT)
    for arguments, words in (
        ([*base, "--backbone", "resnet50"], "a checkpoint of the backbone mini"),
        (["predict", "acol", *base[2:]], "a checkpoint of the method cam, expected acol"),
        (
            ["predict", "sem", *base[2:], "--features", "feat9"],
            "found feat9, expected feat3, feat4 or feat5",
        ),
        ([*base, "--weights", "w.pth"], "need --backbone without --checkpoint"),
        ([*base, "--checkpoint", "none.pt"], "none.pt: found no such file"),
        ([*base, "--checkpoint", "broken.pt"], "broken.pt: found a file that cannot be read"),
        ([*base, "--shard", "3/2"], "not a part such as 1/4"),
        ([*base, "--shard", "8/8"], "without an image"),
        (["predict", "acol", *base[4:]], "acol needs --checkpoint FILE"),
    ):
        done = run(*arguments, "--out", "m.h5", status=2)
        assert words in done.stderr
        assert done.stderr.count("\n") == 1
        assert not (farm / "m.h5").exists()
