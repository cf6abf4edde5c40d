"""Files that change while a command reads them are used as a whole, or refused by name."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.hostile.conftest import Box

COMMAND = "evaluate a.h5 --annotations toy.h5 --quiet --json"
MOMENTS = 25


def overwrite(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def replace(path: Path, content: bytes) -> None:
    beside = path.with_name(f"{path.name}.new")
    beside.write_bytes(content)
    os.replace(beside, path)


def same_size(path: Path, content: bytes) -> None:
    """Written over without being cut first, its time of change set back."""
    before = path.stat()
    with open(path, "r+b") as file:
        file.write(content[: before.st_size])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("write", [overwrite, replace, same_size])
@pytest.mark.parametrize("name", ["a.h5", "toy.h5"])
def test_a_file_that_changes(box: Box, name: str, write: Callable[[Path, bytes], None]) -> None:
    path = box.work / name
    sound = path.read_bytes()
    others = {"a.h5": "b.h5", "toy.h5": "other.h5"}
    if name == "toy.h5":
        (box.work / "masks" / "im00.png").write_bytes((box.work / "masks/im01.png").read_bytes())
        box.run(
            "import masks masks --table table.csv --classes names.csv --dataset toy --out other.h5",
            0,
        )
    other = (box.work / others[name]).read_bytes()
    allowed = []
    for content in (sound, other):
        path.write_bytes(content)
        allowed.append(box.run(COMMAND, 0).stdout)
    assert allowed[0] != allowed[1]
    rng = np.random.default_rng(0)
    for _ in range(MOMENTS):
        path.write_bytes(sound)
        timer = threading.Timer(rng.uniform(0, 0.05), write, (path, other))
        timer.start()
        outcome = box.run(COMMAND, (0, 1, 2))
        timer.join()
        if outcome.status == 0:
            assert outcome.stdout in allowed
        else:
            assert name in outcome.stderr
