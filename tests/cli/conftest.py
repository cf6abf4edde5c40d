"""What tests of the command line share: a way to run it, and a folder of files to run it on."""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import pytest
from PIL import Image

from tests.conftest import random_blob
from wsolbench.cli import main
from wsolbench.data.dataset import Dataset
from wsolbench.formats.submission.reader import SubmissionHeader, SubmissionWriter


class Done(NamedTuple):
    """What a command printed, and its exit status."""

    status: int
    stdout: str
    stderr: str


class Run(Protocol):
    """Runs a command that must leave with the status, or one of the statuses."""

    def __call__(self, *arguments: object, status: int | tuple[int, ...] = 0) -> Done: ...


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Run wsolbench in this process and the test's own folder.

    Only `SystemExit` is caught: whatever would be a traceback for a user is one here. Output is
    captured below Python, so that what a library writes is seen too, and a warning is an error.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])  # `--model` adds the working folder

    def call(*arguments: object, status: int | tuple[int, ...] = 0) -> Done:
        monkeypatch.setattr(sys, "argv", ["wsolbench", *map(str, arguments)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as left:
            main()
        code = left.value.code
        assert isinstance(code, int)
        done = Done(code, *capfd.readouterr())
        assert "Traceback" not in done.stderr
        assert code in (status if isinstance(status, tuple) else (status,)), done
        return done

    return call


@pytest.fixture
def masks(tmp_path: Path) -> Path:
    """A folder of twelve masks and a table that splits them in halves."""
    folder = tmp_path / "masks"
    folder.mkdir()
    rng = np.random.default_rng(0)
    with open(tmp_path / "table.csv", "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["image_id", "class_index", "split"])
        for index in range(12):
            Image.fromarray(random_blob(rng, 20 + index, 30)).save(folder / f"im{index:02}.png")
            rows.writerow([f"im{index:02}", index % 6, "val" if index % 2 else "test"])
    return folder


def submit(path: Path, store: Path, split: str, seed: int, top5: bool = True) -> None:
    dataset = Dataset.open(store, split)
    rng = np.random.default_rng(seed)
    header = SubmissionHeader(
        dataset=dataset.name,
        split=split,
        label="gt",
        normalisation="none",
        method={"name": f"noise {seed}", "backbone": "dice"},
    )
    with SubmissionWriter(path, header) as writer:
        for image_id in dataset.image_ids:
            ranks = rng.permutation(6)[None, :5] if top5 else None
            writer.append([image_id], rng.integers(0, 256, (1, 5, 5)).astype(np.uint8), ranks)


@pytest.fixture
def scene(run: Run, masks: Path, tmp_path: Path) -> Path:
    """A folder with an annotation file toy.h5 and submissions val.h5 and test.h5."""
    run("import", "masks", masks, "--table", "table.csv", "--dataset", "toy", "--out", "toy.h5")
    for split in ("val", "test"):
        submit(tmp_path / f"{split}.h5", tmp_path / "toy.h5", split, seed=1)
    return tmp_path
