"""Files that are either whole or not there.

`replacing` writes to a temporary file beside the target, flushes it to the disk and renames it
over the target, so that a reader sees the old file or the new one and a killed writer leaves the
old one. Of the ways to write a file that were tried under SIGKILL only this one lost none.

Public names: `replacing`, `write_text`, `sha256_of`, `require_file`, `require_folder`.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .errors import WsolbenchError


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path that becomes `path` when the block ends well, and vanishes when not.

    Temporary names carry the process id; those that dead processes left beside the target are
    removed first.
    """
    target = Path(path)
    if not target.parent.is_dir():
        raise WsolbenchError(
            target, found=f"no folder {target.parent}", cure="create it, or name another file"
        )
    if target.is_dir():
        raise WsolbenchError(target, found="a folder", expected="a file name", cure="name a file")
    _sweep(target)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        with open(temporary, "rb") as written:
            os.fsync(written.fileno())
        os.replace(temporary, target)
        sync_folder(target.parent)
    except PermissionError as error:
        raise WsolbenchError(
            target, found="no permission to write", cure="name a file in a folder of your own"
        ) from error
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()


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
    if file.is_dir():
        raise WsolbenchError(file, found="a folder", expected=what, cure=cure)
    if not file.is_file():
        raise WsolbenchError(file, found="no such file", expected=what, cure=cure)
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


def process_is_alive(process_id: int) -> bool:
    """Whether a process of that id runs on this machine."""
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _sweep(target: Path) -> None:
    prefix, suffix = f".{target.name}.", ".tmp"
    for stale in target.parent.glob(".*.tmp"):
        owner = stale.name[len(prefix) : -len(suffix)]
        if stale.name.startswith(prefix) and owner.isdigit() and not process_is_alive(int(owner)):
            with suppress(FileNotFoundError):
                stale.unlink()
