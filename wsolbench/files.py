"""Atomic file writing, and checks of paths and of untrusted text.

`replacing` writes to a temporary file in the target's folder, flushes it to disk and renames it to
the target, so a reader sees either the old file or the new one, and a killed writer leaves the old
one in place. Of several methods tested under SIGKILL, only this one never lost a file. `together`
does so for several files, of which all appear or none.

Untrusted JSON and CSV text is checked here too, because every format needs it.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from .errors import WsolbenchError, one_of, require_path, require_type
from .renames import Group

__all__ = [
    "ENDINGS",
    "available_processors",
    "guard_cell",
    "path_per_name",
    "replacing",
    "replacing_folder",
    "require_ending",
    "require_file",
    "require_folder",
    "require_json_target",
    "require_new_folder",
    "require_target",
    "sha256_of",
    "strict_json",
    "together",
    "unguard_cell",
    "write_all",
    "write_text",
]


_group: ContextVar[Group | None] = ContextVar("files that are written together", default=None)

ENDINGS = {"JSON": (".json",), "HDF5": (".h5", ".hdf5")}
"""Endings of the names of files that are written, by kind."""


LONGEST_NUMBER = 400
"""Characters of a number in JSON: float64 printed in full has at most 327. Time to read a whole
number grows with the square of its length."""


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path; rename it to `path` on success, delete it on an exception.

    Inside `together`, the renaming waits for its end. What killed writers left in the folder is
    swept first (`renames`).

    Raises:
        WsolbenchError: the file cannot be written, or another process is writing it.
    """
    target = require_target(path)
    outer = _group.get()
    with Group() as own, _as_one_line(path, "is unchanged"):
        group = outer or own
        temporary = group.begin(target)
        yield temporary
        with open(temporary, "rb") as written:
            os.fsync(written.fileno())
        group.ready[temporary] = target
        own.publish()


@contextmanager
def replacing_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary folder; rename it to `path`, which does not exist or is empty.

    Raises:
        WsolbenchError: see `require_new_folder`; a file in it cannot be written, or another process
            is writing it.
    """
    target = Path(os.path.realpath(require_new_folder(path)))
    with Group() as group, _as_one_line(path, "was not written"):
        temporary = group.begin(target)
        temporary.mkdir()
        yield temporary
        group.ready[temporary] = target
        group.publish()


def require_new_folder(path: str | os.PathLike[str]) -> Path:
    """A folder to write, as a path.

    Raises:
        WsolbenchError: a file, a folder that is not empty, or in a folder that does not exist.
    """
    target = Path(path)
    if target.is_dir() and not any(target.iterdir()):
        return target
    if target.exists():
        raise WsolbenchError(
            target,
            found="a folder that is not empty" if target.is_dir() else "a file",
            expected="an empty folder or a new name",
            cure="name another folder, or remove this one first",
        )
    if not target.parent.is_dir():
        raise WsolbenchError(
            target, found=f"no folder {target.parent}", cure="create it, or name another folder"
        )
    return target


@contextmanager
def together() -> Iterator[None]:
    """Let the files that are written inside appear together at the end, or not at all.

    All are complete on the disk before the first is renamed; what is written inside is not seen
    before, also not by the writer. Only files of different folders may be left apart by a kill.

    Raises:
        WsolbenchError: a file cannot be written; none was.
    """
    with Group() as group:
        token = _group.set(group)
        try:
            yield
        finally:
            _group.reset(token)
        with _as_one_line(", ".join(map(str, group.ready.values())), "is unchanged"):
            group.publish()


@contextmanager
def _as_one_line(path: object, ending: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise WsolbenchError(
            path,
            found=f"cannot be written ({error.strerror or error}), and {ending}",
            cure="free some disk space, or name a file in another folder",
        ) from error


def require_target(
    path: str | os.PathLike[str], inputs: Sequence[str | os.PathLike[str] | None] = ()
) -> Path:
    """Check that a file can be written, so that a long run does not fail at its end.

    Args:
        path: the target; a symbolic link is followed.
        inputs: other files of the same command; the target must not be one of them.

    Returns:
        The path with symbolic links resolved.

    Raises:
        WsolbenchError: the folder does not exist or is not writable, the path is a folder or a
            device, or it is one of the inputs.
    """
    require_path("path", path, "the path of the file to write")
    for other in inputs:
        require_type("inputs", other, (str, os.PathLike, type(None)), "paths")
    target = Path(os.path.realpath(path))
    if not target.parent.is_dir():
        raise WsolbenchError(
            path, found=f"no folder {Path(path).parent}", cure="create it, or name another file"
        )
    if target.exists() and not target.is_file():
        found = "a folder" if target.is_dir() else "a device or pipe"
        raise WsolbenchError(
            path, found=found, expected="a regular file or a new name", cure="name another file"
        )
    if not os.access(target.parent, os.W_OK):
        raise WsolbenchError(
            path,
            found="its folder is not writable",
            cure="name a file in a folder that you can write to",
        )
    if any(other is not None and Path(os.path.realpath(other)) == target for other in inputs):
        raise WsolbenchError(
            path,
            found="another file of this command has the same name",
            cure="name another file; nothing was written",
        )
    return target


def require_json_target(
    path: str | os.PathLike[str], inputs: Sequence[str | os.PathLike[str] | None] = ()
) -> Path:
    """As `require_target`, for JSON: a file of another kind is not replaced.

    Raises:
        WsolbenchError: see there; a file that is not empty and no JSON.
    """
    target = require_target(path, inputs)
    if target.exists():
        with open(target, "rb") as opened:
            start = opened.read(1)
        if start not in (b"", b"{", b"["):
            raise WsolbenchError(
                path,
                found="a file of another kind",
                expected="JSON, which would be replaced, or a new name",
                cure="name another file; nothing was written",
            )
    return target


def require_ending(path: str | os.PathLike[str], kind: str, instead: str = "") -> None:
    """Check that a file's name does not promise another kind of file than is written.

    Args:
        path: the file; a name without ending promises nothing.
        kind: a key of `ENDINGS`.
        instead: how to make the file that the name promises, added to the cure.

    Raises:
        WsolbenchError: an ending of another kind.
    """
    suffix = Path(path).suffix
    if suffix and suffix.lower() not in ENDINGS[kind]:
        raise WsolbenchError(
            path,
            found=f"the ending {suffix}",
            expected=f"{one_of(ENDINGS[kind])}, since the file will be {kind}",
            cure=f"change the ending{instead and f', or {instead}'}",
        )


def path_per_name(path: Path, names: Sequence[str]) -> list[Path]:
    """One output path per name: the path itself for one name, else r.json becomes r.<name>.json.

    A colon, which Windows does not allow in file names, becomes a hyphen: `ivr:30` is `ivr-30`.
    """
    if len(names) == 1:
        return [path]
    marks = [name.replace(":", "-") for name in names]
    return [path.with_name(f"{path.stem}.{mark}{path.suffix}") for mark in marks]


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write UTF-8 text with Unix line endings, atomically."""
    with replacing(path) as temporary:
        temporary.write_bytes(text.encode())


def write_all(writes: Mapping[Path, Callable[[Path], None]]) -> None:
    """Write the files of one command, all or none.

    Args:
        writes: what writes a file, by its path.

    Raises:
        WsolbenchError: a file cannot be written; none was.
    """
    with together():
        for path, write in writes.items():
            write(path)


def sha256_of(path: str | os.PathLike[str]) -> str:
    """The file's SHA-256 in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def require_file(path: str | os.PathLike[str], what: str, cure: str = "check the path") -> Path:
    """The path if it is an existing file; otherwise raise, naming `what` was expected."""
    require_path("path", path, f"the path of {what}")
    file = Path(path)
    if not file.is_file():
        kind = "a device or pipe" if file.exists() else "no such file"
        found = "a folder" if file.is_dir() else kind
        raise WsolbenchError(file, found=found, expected=what, cure=cure)
    return file


def require_folder(path: str | os.PathLike[str], what: str, cure: str = "check the path") -> Path:
    """The path if it is an existing folder; otherwise raise, naming `what` was expected."""
    require_path("path", path, f"the path of {what}")
    folder = Path(path)
    if not folder.exists():
        raise WsolbenchError(folder, found="no such folder", expected=what, cure=cure)
    if not folder.is_dir():
        raise WsolbenchError(folder, found="a file", expected=what, cure=cure)
    return folder


def available_processors() -> int:
    """Number of processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def strict_json(text: str | bytes) -> Any:
    """Parse untrusted JSON strictly.

    Raises:
        ValueError: invalid JSON, a duplicate key, NaN, infinity, a number beyond float64 or of more
            than `LONGEST_NUMBER` characters, or nesting that is too deep.
    """
    try:
        return json.loads(
            text,
            object_pairs_hook=_unique,
            parse_constant=_no_constant,
            parse_float=_finite,
            parse_int=_whole,
        )
    except RecursionError:
        raise ValueError("nested too deeply") from None


_FORMULA_STARTS = "=+-@\t\r'\uff1d\uff0b\uff0d\uff20"
"""Full-width signs count in some spreadsheets; the quote makes guarding reversible."""


def guard_cell(text: str) -> str:
    """Quote a CSV cell that a spreadsheet would run as a formula; `unguard_cell` undoes it."""
    return f"'{text}" if text[:1] and text[0] in _FORMULA_STARTS else text


def unguard_cell(text: str) -> str:
    """Undo `guard_cell`; any other text is returned unchanged."""
    guarded = text[:1] == "'" and text[1:2] != "" and text[1] in _FORMULA_STARTS
    return text[1:] if guarded else text


def _unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("duplicate key")
    return found


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} is not a JSON number")


def _whole(text: str) -> int:
    return int(_of_number(text))


def _of_number(text: str) -> str:
    if len(text) > LONGEST_NUMBER:
        raise ValueError(f"a number of {len(text)} characters")
    return text


def _finite(text: str) -> float:
    _of_number(text)
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:20]} is beyond float64")
    return number
