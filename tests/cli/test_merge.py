"""`merge` joins submissions that several processes made."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.cli.conftest import Run
from wsolbench.formats.submission.reader import Submission, SubmissionWriter


@pytest.fixture
def parts(scene: Path) -> Path:
    """The folder of `scene`, with val.h5 in two halves: even.h5 and odd.h5."""
    with Submission.open(scene / "val.h5") as whole:
        assert whole.top5 is not None
        for first, name in enumerate(("even", "odd")):
            rows = list(range(first, len(whole), 2))
            with SubmissionWriter(scene / f"{name}.h5", whole.header) as writer:
                ids = [whole.image_ids[row] for row in rows]
                writer.append(ids, whole.read(rows), whole.top5[rows])
    return scene


def test_halves_become_the_whole(run: Run, parts: Path) -> None:
    done = run("merge", "odd.h5", "even.h5", "--out", "m.h5")
    assert done.stdout == "m.h5: 6 maps of toy val from 2 files\n"
    assert done.stderr == ""
    assert (parts / "m.h5").read_bytes() == (parts / "val.h5").read_bytes()
    done = run("merge", "odd.h5", "even.h5", "--out", "m.h5", "--annotations", "toy.h5", "--json")
    assert json.loads(done.stdout) == {
        "out": "m.h5",
        "maps": 6,
        "dataset": "toy",
        "split": "val",
        "files": 2,
        "missing": 0,
    }


def test_missing_images_are_a_note(run: Run, parts: Path) -> None:
    done = run("merge", "odd.h5", "--out", "m.h5", "--annotations", "toy.h5")
    assert done.stdout == "m.h5: 3 maps of toy val from 1 file\n"
    assert done.stderr == ("note: 3 of 6 images of toy val have no map yet: im01, im05, im09\n")
    done = run("merge", "odd.h5", "--out", "m.h5", "--json")
    assert json.loads(done.stdout)["missing"] is None


def test_refusals_are_one_line_and_write_nothing(run: Run, parts: Path) -> None:
    before = {path: path.read_bytes() for path in parts.iterdir() if path.is_file()}
    for arguments, message, status in (
        (["even.h5", "val.h5", "--out", "m.h5"], "3 images that even.h5 holds too: im01, ", 1),
        (["even.h5", "test.h5", "--out", "m.h5"], "split 'test', expected split 'val'", 1),
        (["even.h5", "odd.h5", "--out", "odd.h5"], "another file of this command", 2),
        (["even.h5", "odd.h5", "--out", "m.json"], "the ending .json", 2),
        (["even.h5", "even.h5", "--out", "m.h5"], "the same file twice", 2),
        (["even.h5", "toy.h5", "--out", "m.h5"], "toy.h5: ", 1),
        (["--out", "m.h5"], "merge: no submission", 2),
        (["even.h5", "--resume", "--overwrite", "--out", "m.h5"], "at most one of them", 2),
    ):
        done = run("merge", *arguments, status=status)
        assert message in done.stderr
        assert len(done.stderr.splitlines()) == 1
        assert done.stdout == ""
        assert {path: path.read_bytes() for path in parts.iterdir() if path.is_file()} == before


def test_an_unfinished_merge_is_continued_or_discarded(run: Run, parts: Path) -> None:
    with Submission.open(parts / "val.h5") as whole:
        writer = SubmissionWriter(parts / "m.h5", whole.header)
    writer.__enter__()
    writer.append(["im01"], np.zeros((1, 5, 5), np.uint8))
    writer.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    merge = ("merge", "even.h5", "odd.h5", "--out", "m.h5", "--quiet")
    done = run(*merge, status=2)
    assert "m.h5.part: an unfinished run; resume it (--resume" in done.stderr
    assert "unfinished run with no inputs.images" in run(*merge, "--resume", status=2).stderr
    run(*merge, "--overwrite")
    assert (parts / "m.h5").read_bytes() == (parts / "val.h5").read_bytes()
    assert not (parts / "m.h5.part").exists()
    run(*merge, "--resume")
