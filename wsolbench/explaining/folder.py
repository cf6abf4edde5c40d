"""The folder that `explain` writes, and what an earlier run has left in it.

A folder holds one run. A finished one is replaced on request alone, and then as a whole: its page,
tables, maps and results, also those of methods that the new run does not have.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from ..errors import WsolbenchError, some
from ..evaluation.counts import counts_path
from ..files import unguard_cell
from ..formats.submission.part import remove_part

__all__ = ["ANNOTATIONS", "check_folder", "map_path", "prepared", "remove_earlier", "result_path"]

ANNOTATIONS, SCORES = "annotations.h5", "scores.csv"
WHOLE = (ANNOTATIONS, "comparison.json", SCORES, "images.csv", "index.html")
"""The files of all methods together; scores.csv is there once a run is finished."""


def map_path(folder: Path, method: str) -> Path:
    """The submission of a method."""
    return folder / "maps" / f"{_file_name(method)}.h5"


def result_path(folder: Path, method: str) -> Path:
    """The result of a method."""
    return folder / "results" / f"{_file_name(method)}.json"


def check_folder(folder: Path, methods: Sequence[str], *, resume: bool, overwrite: bool) -> None:
    """Raise unless a run of these methods may write into a folder.

    Args:
        folder: it need not exist.
        methods: those of the new run.
        resume: continue unfinished maps.
        overwrite: replace an earlier run.

    Raises:
        WsolbenchError: there is a finished run and no `overwrite`; an unfinished one of other
            methods and no `overwrite`; maps or results of unknown origin, or another `scores.csv`.
    """
    if resume and overwrite:
        raise WsolbenchError(
            folder,
            found="both --resume and --overwrite",
            cure="use --resume to continue an interrupted run, --overwrite to replace a run",
        )
    held = _finished(folder)
    if held and not overwrite:
        raise WsolbenchError(
            folder,
            found=f"a finished run of {', '.join(held)}",
            expected="a new folder",
            cure="name another folder, or replace the whole run (--overwrite, overwrite=True)",
        )
    known = {own for name in {*held, *methods} for own in _of_method(folder, name)}
    others = [own for own in _written(folder) if own not in known]
    parts = [own for own in others if own.suffix == ".part"]
    if parts and not overwrite:
        raise WsolbenchError(
            folder,
            found=f"unfinished maps of other methods ({some([own.name for own in parts])})",
            cure="name another folder, or discard them (--overwrite, overwrite=True)",
        )
    if strange := [own for own in others if own.suffix != ".part"]:
        names = [str(own.relative_to(folder)) for own in strange]
        raise WsolbenchError(
            folder,
            found=f"maps or results that no finished run there lists ({some(names)})",
            cure="name another folder, or remove these files",
        )


def remove_earlier(folder: Path, methods: Sequence[str]) -> None:
    """Remove a finished run, and unfinished maps of methods that the new run does not have.

    `check_folder` has been called with `overwrite`. The table that lists the run goes last, so that
    after an interruption this can be done again.
    """
    held = _finished(folder)
    for name in held:
        for own in _of_method(folder, name):
            if own.suffix != ".part":
                own.unlink(missing_ok=True)
    if held:
        for file in (*(own for own in WHOLE if own != SCORES), SCORES):
            (folder / file).unlink(missing_ok=True)
    kept = {own for name in methods for own in _of_method(folder, name)}
    for part in _written(folder):
        if part.suffix == ".part" and part not in kept:
            remove_part(part)


@contextmanager
def prepared(folder: Path) -> Iterator[None]:
    """Make the folder and those in it; what stays empty after an exception is removed again.

    Raises:
        WsolbenchError: a folder cannot be made.
    """
    parts = (folder, folder / "maps", folder / "results")
    made = [own for own in (*reversed(folder.absolute().parents), *parts) if not own.exists()]
    annotated = (folder / ANNOTATIONS).exists()
    try:
        for own in parts:
            _make(own)
        yield
    except BaseException:
        with suppress(OSError):
            if not annotated and not any((folder / "maps").iterdir()):
                (folder / ANNOTATIONS).unlink(missing_ok=True)
        for own in reversed(made):
            with suppress(OSError):  # it is not empty
                own.rmdir()
        raise


def _finished(folder: Path) -> list[str]:
    """The methods of the finished run in a folder; none if there is no such run."""
    path = folder / SCORES
    if not path.exists():
        return []
    try:
        with open(path, encoding="utf-8", newline="") as file:
            head = next(csv.reader(file), [])
    except (OSError, ValueError, csv.Error):
        head = []
    names = [unguard_cell(own) for own in head]
    if names[:2] != ["score", "title"] or len(names) < 3:
        raise WsolbenchError(
            path,
            found="a file that explain did not write",
            cure="name another folder; nothing was written",
        )
    return [own for own in names[2:] if own.removesuffix(" low").removesuffix(" high") == own]


def _of_method(folder: Path, method: str) -> list[Path]:
    """The files and the part of one method."""
    maps, result = map_path(folder, method), result_path(folder, method)
    return [maps, maps.with_name(f"{maps.name}.part"), result, counts_path(result)]


def _written(folder: Path) -> list[Path]:
    """Maps, their parts, and results in a folder."""
    patterns = ("maps/*.h5", "maps/*.h5.part", "results/*.json", "results/*.counts.npz")
    return sorted(own for pattern in patterns for own in folder.glob(pattern))


def _file_name(method: str) -> str:
    return method.replace(":", "-")


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WsolbenchError(
            folder, found=f"not a folder that can be made ({error.strerror})", cure="name another"
        ) from error
