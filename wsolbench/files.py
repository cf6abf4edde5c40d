"""Files that are either whole or not there.

`replacing` writes to a temporary file beside the target, flushes it to the disk and renames it
over the target, so that a reader sees the old file or the new one and a killed writer leaves the
old one. Of the ways to write a file that were tried under SIGKILL only this one lost none.

What strangers write into JSON and CSV is checked here too, since every format meets it.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from .errors import WsolbenchError

__all__ = [
    "available_processors",
    "guard_cell",
    "path_per_name",
    "process_is_alive",
    "replacing",
    "require_file",
    "require_folder",
    "require_target",
    "sha256_of",
    "stale_temporaries",
    "strict_json",
    "sync_folder",
    "unguard_cell",
    "write_text",
]


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path that becomes `path` when the block ends well, and vanishes when not.

    Temporary names carry the process id; those that dead processes left beside the target are
    removed first.
    """
    target = require_target(path)
    for stale in stale_temporaries(target.parent, f".{target.name}.", ".tmp"):
        with suppress(FileNotFoundError):
            stale.unlink()
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        with open(temporary, "rb") as written:
            os.fsync(written.fileno())
        os.replace(temporary, target)
        sync_folder(target.parent)
    except OSError as error:
        raise WsolbenchError(
            path,
            found=f"a file that cannot be written ({error.strerror or error})",
            cure="make room on the disk, or name a file elsewhere; nothing was written",
        ) from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def require_target(
    path: str | os.PathLike[str], inputs: Sequence[str | os.PathLike[str] | None] = ()
) -> Path:
    """The path, if a file can be written there: to refuse before long work what fails after it.

    Args:
        path: the target; a symbolic link stands for what it points to.
        inputs: files that the work reads or writes as well, none of which may be the target.

    Raises:
        WsolbenchError: no such folder, no permission to write in it, a folder or device of that
            name, or one of the inputs.
    """
    target = Path(os.path.realpath(path))
    if not target.parent.is_dir():
        raise WsolbenchError(
            path, found=f"no folder {Path(path).parent}", cure="create it, or name another file"
        )
    if target.exists() and not target.is_file():
        found = "a folder" if target.is_dir() else "a device or pipe"
        raise WsolbenchError(path, found=found, expected="a file to write", cure="name a file")
    if not os.access(target.parent, os.W_OK):
        raise WsolbenchError(
            path, found="no permission to write there", cure="name a file in a folder of your own"
        )
    if any(other is not None and Path(os.path.realpath(other)) == target for other in inputs):
        raise WsolbenchError(
            path,
            found="the name of another file of this command",
            expected="one of its own",
            cure="name another file; nothing was written",
        )
    return target


def path_per_name(path: Path, names: Sequence[str]) -> list[Path]:
    """One output path per name: the path itself for one name, else r.json becomes r.<name>.json.

    A colon, which Windows does not allow in file names, becomes a hyphen: `ivr:30` is `ivr-30`.
    """
    if len(names) == 1:
        return [path]
    marks = [name.replace(":", "-") for name in names]
    return [path.with_name(f"{path.stem}.{mark}{path.suffix}") for mark in marks]


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write UTF-8 text with Unix line ends, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_bytes(text.encode())


def sha256_of(path: str | os.PathLike[str]) -> str:
    """The file's SHA-256 in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def require_file(path: str | os.PathLike[str], what: str, cure: str = "check the path") -> Path:
    """The path, if it is an existing file; else an error that calls it `what`."""
    file = Path(path)
    if not file.is_file():
        kind = "a device or pipe" if file.exists() else "no such file"
        found = "a folder" if file.is_dir() else kind
        raise WsolbenchError(file, found=found, expected=what, cure=cure)
    return file


def require_folder(path: str | os.PathLike[str], what: str, cure: str = "check the path") -> Path:
    """The path, if it is an existing folder; else an error that calls it `what`."""
    folder = Path(path)
    if not folder.exists():
        raise WsolbenchError(folder, found="no such folder", expected=what, cure=cure)
    if not folder.is_dir():
        raise WsolbenchError(folder, found="a file", expected=what, cure=cure)
    return folder


def sync_folder(folder: Path) -> None:
    """Flush a folder's entries to the disk, where the system lets a folder be opened."""
    with suppress(PermissionError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def stale_temporaries(folder: Path, prefix: str, suffix: str) -> list[Path]:
    """What dead processes left in a folder under names of prefix, process id and suffix."""
    found = []
    for path in folder.glob(f".*{suffix}"):
        owner = path.name[len(prefix) : -len(suffix)]
        if path.name.startswith(prefix) and owner.isdigit() and not process_is_alive(int(owner)):
            found.append(path)
    return found


def process_is_alive(process_id: int) -> bool:
    """Whether a process of that id runs on this machine; on Windows, where asking kills, yes."""
    if os.name == "nt":
        return True
    try:
        os.kill(process_id, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def available_processors() -> int:
    """Processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def strict_json(text: str | bytes) -> Any:
    """What a stranger's JSON holds.

    Raises:
        ValueError: no JSON, a key twice, NaN or infinity or a number beyond float64, too deep.
    """
    try:
        return json.loads(
            text, object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_finite
        )
    except RecursionError:
        raise ValueError("nested too deeply") from None


_FORMULA_STARTS = "=+-@\t\r'\uff1d\uff0b\uff0d\uff20"
"""Some spreadsheets take full-width signs too; the quote is here so that guarding can be undone."""


def guard_cell(text: str) -> str:
    """The text as a CSV cell that no spreadsheet takes for a formula; `unguard_cell` undoes it."""
    return f"'{text}" if text[:1] and text[0] in _FORMULA_STARTS else text


def unguard_cell(text: str) -> str:
    """The text that `guard_cell` was given; any other text as it is."""
    guarded = text[:1] == "'" and text[1:2] != "" and text[1] in _FORMULA_STARTS
    return text[1:] if guarded else text


def _unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key twice")
    return found


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} is no number of JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:20]} is beyond float64")
    return number
