"""From photos and class labels to boundary scores, through the command line."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch  # noqa: F401  (left out without PyTorch)
from click.testing import CliRunner

from tests.boundaries.conftest import Bench
from wsolbench.cli import cli
from wsolbench.errors import WsolbenchError

pytest.importorskip("cv2")

SMALL = ("--width", 4, "--grid", 32, "--size", 64, "--epochs", 1, "--batch-size", 8)
SMALL = (*SMALL, "--crf-blur", 1, "--crf-window", 3)
CAM_SEEDS = ("--maps", "cam", "--seeds", "0.1")
HERE = ("--device", "cpu", "--workers", 0)


def call(*arguments: object, status: int = 0) -> str:
    """What a command prints, on both streams."""
    done = CliRunner().invoke(cli, [str(own) for own in arguments])
    if isinstance(done.exception, WsolbenchError):
        return str(done.exception)
    assert done.exit_code == status, done.output
    return done.output


def test_from_labels_to_boundary_scores(bench: Bench, tmp_path: Path) -> None:
    data = ("--annotations", bench.annotations, "--images", bench.images)
    train = ("train", "edges", "--classifier", bench.classifier, *data, "--split", "train", *HERE)
    out = tmp_path / "edges.pt"
    said = call(*train, *SMALL, "--loss", "vanilla", "--maps", "cam", "--out", out)
    assert "epoch 1, step 4: loss " in said
    assert f"{out}: boundary detector of 32 photos, loss 0." in said
    assert (tmp_path / "edges.csv").read_text().startswith("epoch,step,loss,learning_rate,photos_p")
    assert "a file that exists; continue with --resume" in call(*train, *SMALL, "--out", out)

    submission = tmp_path / "e.h5"
    given = ("predict", "edges", "--checkpoint", out, *data, *HERE)
    assert call(*given, "--out", submission) == f"{submission}: edges of 6 images of mini val\n"
    scored = call("evaluate", submission, "--annotations", bench.annotations, "--split", "val")
    assert "CAM-vanilla" in scored
    assert "Boundary ODS" in scored
    call(*given, "--name", "Ours", "--label", "predicted", "--out", submission)
    assert "Ours" in call("info", submission)

    for name in ("edges:pseudo", "edges:map-gradient"):
        out = tmp_path / f"{name[6:]}.h5"
        said = call("predict", name, "--classifier", bench.classifier, *data, *HERE, "--out", out)
        assert said == f"{out}: edges of 6 images of mini val\n"
    said = call("predict", "edges:canny", *data, "--limit", 2, "--out", tmp_path / "c.h5")
    assert said.endswith("edges of 2 images of mini val\n")


def test_a_folder_of_classes(bench: Bench, tmp_path: Path) -> None:
    """Other names of classes than the classifier's are refused; the same ones are trained on."""
    from wsolbench.baselines.training_data import labelled_split
    from wsolbench.data.dataset import Dataset

    photos = labelled_split(Dataset.open(bench.annotations, "train", bench.images))
    for path, label in zip(photos.paths, photos.labels, strict=True):
        folder = tmp_path / "photos" / photos.classes[label][0]
        folder.mkdir(parents=True, exist_ok=True)
        os.link(path, folder / path.name)
    train = ("train", "edges", "--classifier", bench.classifier, *HERE, "--quiet")
    given = (*train, "--images", tmp_path / "photos", *SMALL, "--out", tmp_path / "e.pt")
    assert call(*given).startswith(f"{tmp_path / 'e.pt'}: boundary detector of 32 photos")
    (tmp_path / "photos" / photos.classes[0][0]).rename(tmp_path / "photos" / "zebra")
    said = call(*given, "--overwrite")
    assert "found a classifier of 8 classes (mini0, mini1, mini2 ...), expected one of" in said


@pytest.mark.parametrize(
    ("words", "arguments"),
    [
        ("--annotations and --dataset need --split", ("train", "edges", "--classifier", "c.pt")),
        (
            "--seeds needs --maps sem",
            ("train", "edges", "--classifier", "c.pt", "--split", "a", *CAM_SEEDS),
        ),
        (
            "--seeds needs --maps sem",
            ("predict", "edges:map-gradient", "--classifier", "c.pt", *CAM_SEEDS),
        ),
        ("No such option '--classifier'", ("predict", "edges", "--classifier", "c.pt")),
        ("No such option '--reach'", ("predict", "edges:map-gradient", "--reach", "2")),
        ("No such option '--classifier'", ("predict", "edges:canny", "--classifier", "c.pt")),
    ],
)
def test_options_without_effect_are_refused(words: str, arguments: tuple[str, ...]) -> None:
    files = ("--annotations", "a.h5", "--images", "photos", "--out", "out.h5")
    assert words in call(*arguments, *files, status=2)


def test_the_help_has_an_example() -> None:
    assert "wsolbench train edges --classifier cam.pt" in call("train", "edges", "--help")
    shown = call("train", "edges", "--help")
    assert "[default: 160; 128 for mini]" in " ".join(shown.split())
    assert "[default: 32; 16 for mini]" in " ".join(shown.split())
    assert "wsolbench predict edges --checkpoint" in call("predict", "edges", "--help")
