"""The files of a training: the log beside a checkpoint, and whether a checkpoint is continued."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import TypeVar

import torch

from ..errors import WsolbenchError
from ..files import write_text

__all__ = [
    "ROWS_PER_EPOCH",
    "SAVE_SECONDS",
    "STEPS_PER_ROW",
    "Row",
    "continues",
    "diverged",
    "log_path",
    "reproducible",
    "rows_until",
    "write_log",
]

ROWS_PER_EPOCH, STEPS_PER_ROW = 10, 20
"""At most so many rows of the log, and chances to save, per epoch; at least so many steps a row."""

SAVE_SECONDS = 300.0
"""A checkpoint is written at the end of each epoch, and in between if the last is older."""


@dataclass(frozen=True)
class Row:
    """The place of a row of the log; the numbers of a training are the fields of a subclass.

    epoch, step: from 1.
    """

    epoch: int
    step: int


Own = TypeVar("Own", bound=Row)


def log_path(checkpoint: str | os.PathLike[str]) -> Path:
    """The CSV file beside a checkpoint: `cam.csv` of `cam.pt`, `lr0.1.csv` of `lr0.1`."""
    path = Path(checkpoint)
    known = path.suffix.lower() in (".pt", ".pth", ".ckpt", ".csv")
    return path.with_suffix(".csv") if known else path.with_name(f"{path.name}.csv")


def write_log(path: Path, kind: type[Own], rows: Sequence[Own]) -> None:
    """Write the rows of a log, numbers with six digits."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(own.name for own in fields(kind))
    for row in rows:
        numbers = astuple(row)[2:]
        writer.writerow((row.epoch, row.step, *(f"{number:.6g}" for number in numbers)))
    write_text(path, text.getvalue())


def rows_until(path: Path, kind: type[Own], epoch: int, step: int) -> list[Own]:
    """The rows of the log that a checkpoint has reached; none if the log is gone.

    Raises:
        WsolbenchError: the file is something else.
    """
    names = [own.name for own in fields(kind)]
    try:
        lines = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
        rows = [
            kind(int(own["epoch"]), int(own["step"]), *(float(own[name]) for name in names[2:]))
            for own in lines
        ]
    except FileNotFoundError:
        return []
    except (KeyError, TypeError, ValueError) as error:
        raise WsolbenchError(
            path,
            found="no log of this training",
            cure="move the file away; the log then starts at the checkpoint",
        ) from error
    return [row for row in rows if (row.epoch - 1, row.step) <= (epoch, step)]


def continues(out: Path, *, resume: bool, overwrite: bool) -> bool:
    """Whether a training continues the checkpoint `out`, or else starts.

    Raises:
        WsolbenchError: `out` has the name of a log; the log exists without the checkpoint; or the
            checkpoint exists and neither `resume` nor `overwrite` is given.
    """
    log = log_path(out)
    if log == out:
        raise WsolbenchError(
            out,
            found="the ending .csv, which the log has",
            expected="the name of a checkpoint",
            cure=f"name it {out.with_suffix('.pt').name}",
        )
    if log.exists() and not out.exists() and not overwrite:
        raise WsolbenchError(
            log,
            found="a file that exists, without the checkpoint whose log it would be",
            cure="move it away, or discard it with --overwrite (overwrite=True)",
        )
    if not out.exists() or overwrite:
        return False
    if not resume:
        raise WsolbenchError(
            out,
            found="a file that exists",
            cure="continue with --resume (resume=True), or start again with --overwrite "
            "(overwrite=True)",
        )
    return True


def diverged(epoch: int, step: int, rate: float) -> WsolbenchError:
    """The error for a loss that is not finite, at an epoch and step from 0."""
    return WsolbenchError(
        f"epoch {epoch + 1}, step {step + 1}",
        found="a loss that is not finite",
        cure=f"use a lower learning rate than {rate:g} (--learning-rate); the last checkpoint is "
        "kept",
    )


@contextmanager
def reproducible(where: torch.device) -> Iterator[None]:
    """Deterministic algorithms on the CPU; settings are restored."""
    before = torch.are_deterministic_algorithms_enabled()
    if where.type == "cpu":
        torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)
