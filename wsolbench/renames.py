"""From temporary files to the files of a command: together, and without leftovers.

A file is written beside its place, as `.NAME.PROCESS.tmp`, flushed to the disk and renamed. Several
files are renamed one after the other; so that a kill in between leaves no half, the renames are
listed in `.NAME.renames` first, and whoever writes in the folder next completes them.

Whatever a killed writer leaves has the name of its file in it, and beside it lies the writer's lock
(`locks`), which nobody holds any more. The first write of a process in a folder removes all that;
other files are never touched.

Source: the rollback journal of SQLite (https://www.sqlite.org/atomiccommit.html).
"""

from __future__ import annotations

import os
import re
import shutil
import stat
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType

from .errors import WsolbenchError
from .interrupts import at_end, undivided
from .locks import SUFFIX, is_held_here, left_locks, writing

__all__ = ["Group", "is_leftover", "only_writer", "sweep", "sync_folder"]

_LIST = ".renames"
_MAX_LIST = 1 << 16  # bytes: 500 names
_TEMPORARY = re.compile(r"\.(?P<target>[^/\0]+)\.[0-9]+\.tmp")

_unfinished: set[Path] = set()
_swept: set[Path] = set()


@contextmanager
def only_writer(target: Path) -> Iterator[None]:
    """Be the only writer of a file or folder, and sweep what others left.

    Raises:
        WsolbenchError: another process is writing it, or its folder is not writable.
    """
    target = Path(os.path.realpath(target))
    with writing(target) as lock:
        if target.parent not in _swept or lock.stale:
            _swept.add(target.parent)
            sweep(target.parent)
            _remove_leftovers(target)
        yield


class Group:
    """Files that are written together; use it in a `with` block, which ends with `publish`.

    Attributes:
        ready: complete temporary files and their targets, in the order in which they are renamed.
    """

    def __init__(self) -> None:
        self.ready: dict[Path, Path] = {}
        self._held = ExitStack()

    def __enter__(self) -> Group:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Remove the temporary files that are left, then give the locks back."""
        self._held.close()

    def begin(self, target: Path) -> Path:
        """The temporary path of a file or folder, of which this process is now the only writer.

        Raises:
            WsolbenchError: another process is writing it.
        """
        if not is_held_here(target):
            self._held.enter_context(only_writer(target))
        temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
        _unfinished.add(temporary)
        self._held.callback(_remove, temporary)
        return temporary

    def publish(self) -> None:
        """Rename what is ready.

        Raises:
            OSError: a file cannot be renamed; those before it have their old content again.
        """
        folders: dict[Path, dict[Path, Path]] = {}
        for temporary, target in self.ready.items():
            folders.setdefault(target.parent, {})[temporary] = target
        lists: list[Path] = []
        with undivided():
            _unfinished.difference_update(self.ready)
            try:
                for own in folders.values():
                    if len(own) > 1:
                        lists.append(_announce(own))
                _rename(self.ready)
                for folder in folders:
                    # The content is on the disk already; at worst, a power failure undoes a rename.
                    with suppress(OSError):
                        sync_folder(folder)
            finally:
                for path in lists:
                    with suppress(OSError):
                        path.unlink()
        self.ready.clear()


def sync_folder(folder: Path) -> None:
    """Flush a folder's entries to disk, on systems that can open a folder."""
    with suppress(PermissionError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def is_leftover(path: Path) -> bool:
    """Whether a name is one of those that a killed writer leaves."""
    name = path.name
    ends = name.endswith((_LIST, SUFFIX)) or re.search(r"\.[0-9]+\.(tmp|old|list)$", name)
    return name.startswith(".") and bool(ends)


def _announce(renames: Mapping[Path, Path]) -> Path:
    """Write the list of renames in one folder."""
    first = next(iter(renames.values()))
    path = first.with_name(f".{first.name}{_LIST}")
    names = "\0".join(temporary.name for temporary in renames)
    temporary = first.with_name(f".{first.name}.{os.getpid()}.list")
    try:
        with open(temporary, "wb") as file:
            file.write(os.fsencode(names))
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        _remove(temporary)
    with suppress(OSError):
        sync_folder(first.parent)
    return path


def _rename(renames: Mapping[Path, Path]) -> None:
    """Rename all; if one fails, those before it are taken back."""
    done: list[tuple[Path, Path | None]] = []
    olds: list[Path] = []
    try:
        for temporary, target in renames.items():
            old = _kept(target) if len(renames) > 1 else None
            olds += [] if old is None else [old]
            os.replace(temporary, target)
            done.append((target, old))
    except OSError:
        for target, old in reversed(done):
            if old is None:
                target.unlink()
            else:
                os.replace(old, target)
        raise
    finally:
        for old in olds:
            _remove(old)


def _kept(target: Path) -> Path | None:
    """A second name of a file, or a copy where there are no hard links; None if there is none."""
    if not target.exists():
        return None
    old = target.with_name(f".{target.name}.{os.getpid()}.old")
    _remove(old)
    try:
        os.link(target, old)
    except OSError:
        shutil.copy2(target, old)
    return old


def sweep(folder: Path) -> None:
    """Complete and remove what killed writers left in a folder."""
    left = left_locks(folder)
    for path in sorted(folder.glob(f".*{_LIST}")):
        _complete(path)
    for target in left:
        with suppress(WsolbenchError), writing(target):
            _remove_leftovers(target)


def _complete(path: Path) -> None:
    """Complete the renames of a list, unless its writer lives."""
    folder, first = path.parent, path.with_name(path.name[1 : -len(_LIST)])
    with ExitStack() as held:
        try:
            if not is_held_here(first):
                held.enter_context(writing(first))
            renames = _listed(path)
            for temporary, target in renames.items():
                if _is_own(folder / temporary):
                    os.replace(folder / temporary, folder / target)
            sync_folder(folder)
            path.unlink()
        except (WsolbenchError, OSError, ValueError):
            return  # its writer lives, or it is no list of ours, or it waits for a better time


def _listed(path: Path) -> dict[str, str]:
    """The renames of a list, all within its folder: from temporary files to their own names.

    Raises:
        ValueError: it is none of this user's; in a shared folder, another's would replace files.
        OSError: it cannot be read.
    """
    if not _is_own(path) or path.lstat().st_size > _MAX_LIST:
        raise ValueError(path)
    # The name may have become a pipe or a link since.
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    with os.fdopen(os.open(path, flags), "rb") as file:
        names = file.read(_MAX_LIST)
    renames = {}
    for temporary in os.fsdecode(names).split("\0"):
        own = _TEMPORARY.fullmatch(temporary)
        if own is None:
            raise ValueError(path)
        renames[temporary] = own["target"]
    return renames


def _is_own(path: Path) -> bool:
    """Whether a name is that of a regular file of this user."""
    try:
        status = path.lstat()
    except OSError:
        return False
    user = os.geteuid() if hasattr(os, "geteuid") else status.st_uid
    return stat.S_ISREG(status.st_mode) and status.st_uid == user


def _remove_leftovers(target: Path) -> None:
    """Remove the temporary files of a target whose lock this process holds, and that lists lack."""
    waiting: set[str] = set()
    for path in target.parent.glob(f".*{_LIST}"):
        with suppress(OSError, ValueError):
            waiting |= _listed(path).keys()
    with suppress(OSError), os.scandir(target.parent) as entries:
        for entry in entries:
            if entry.name not in waiting and _left(target.name).fullmatch(entry.name):
                _remove(Path(entry.path))


def _left(name: str) -> re.Pattern[str]:
    """The names of what a killed writer of a file may leave."""
    return re.compile(rf"\.{re.escape(name)}\.[0-9]+\.(tmp|old|list)")


def _remove(path: Path) -> None:
    _unfinished.discard(path)
    with suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()


def _remove_unfinished() -> None:
    for path in list(_unfinished):
        with suppress(OSError):
            path.unlink()


at_end(_remove_unfinished)
