"""One writer at a file: a lock beside it, which the system releases when its process dies.

The lock of `r.json` is a `flock` on the file `.r.json.wsolbench-lock`, which holds the process id
while it is taken and is removed afterwards. A lock file that nobody holds was left by a writer that
was killed: it blocks nobody, and says that there may be more to sweep (`files`).

Where the system or the file system has no `flock` (Windows, some network file systems), a second
writer is not noticed. Between machines, `flock` works as far as their file system makes it.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from .errors import WsolbenchError
from .interrupts import at_end

if sys.platform != "win32":
    import fcntl

__all__ = ["SUFFIX", "Lock", "is_held_here", "left_locks", "lock_path", "writing"]

SUFFIX = ".wsolbench-lock"


@dataclass(frozen=True)
class Lock:
    """A lock that this process holds.

    Attributes:
        path: of the lock file.
        descriptor: of the open file; None where there are no locks.
        thread: that took it.
        stale: whether a writer that died left the file.
    """

    path: Path
    descriptor: int | None
    thread: int
    stale: bool


_held: dict[Path, Lock] = {}
_guard = threading.Lock()


def lock_path(target: Path) -> Path:
    """The lock file of a file that is written."""
    return target.with_name(f".{target.name}{SUFFIX}")


@contextmanager
def writing(target: Path) -> Iterator[Lock]:
    """Be the only writer of a file.

    Args:
        target: the file, with symbolic links resolved; it need not exist.

    Raises:
        WsolbenchError: another process, or this one, writes it; or its folder is not writable.
    """
    lock = _take(target)
    try:
        yield lock
    finally:
        with _guard:
            _held.pop(target, None)
        _release(lock)


def is_held_here(target: Path) -> bool:
    """Whether this thread holds the lock of a file."""
    lock = _held.get(target)
    return lock is not None and lock.thread == threading.get_ident()


def left_locks(folder: Path) -> list[Path]:
    """Files that a folder has lock files of, which others hold or which were left."""
    targets = []
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(SUFFIX) and entry.is_file(follow_symlinks=False):
                targets.append(folder / entry.name[1 : -len(SUFFIX)])
    return [target for target in sorted(targets) if target not in _held]


def _take(target: Path) -> Lock:
    path = lock_path(target)
    with _guard:
        if target in _held:
            raise _busy(target, os.getpid())
        while True:
            try:
                descriptor = os.open(path, os.O_RDWR | os.O_CREAT | _NO_LINK, 0o666)
            except OSError as error:
                raise WsolbenchError(
                    target,
                    found=f"cannot be written ({error.strerror}), and is unchanged",
                    cure="free some disk space, or name a file in another folder",
                ) from error
            taken = _flock(descriptor, path)
            if taken is None:
                os.close(descriptor)
                path.unlink(missing_ok=True)
                lock = Lock(path, None, threading.get_ident(), False)
                break
            if not taken:
                owner = os.pread(descriptor, 20, 0)
                os.close(descriptor)
                raise _busy(target, int(owner) if owner.isdigit() else None)
            # The holder of before may have removed the file after this process had opened it.
            if _is_the_file(descriptor, path):
                stale = os.fstat(descriptor).st_size > 0
                _sign(descriptor)
                lock = Lock(path, descriptor, threading.get_ident(), stale)
                break
            os.close(descriptor)
        _held[target] = lock
    return lock


_NO_LINK = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)


def _flock(descriptor: int, path: Path) -> bool | None:
    """Whether the lock was free and is now held; None if there are no locks here."""
    if sys.platform == "win32":
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _is_the_file(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path, follow_symlinks=False))
    except FileNotFoundError:
        return False


def _sign(descriptor: int) -> None:
    with suppress(OSError):  # on a full disk, the holder stays unnamed
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)


def _release(lock: Lock) -> None:
    if lock.descriptor is not None:
        with suppress(OSError):
            lock.path.unlink()
        os.close(lock.descriptor)


def _busy(target: Path, process: int | None) -> WsolbenchError:
    own = "this process" if process == os.getpid() else f"process {process}"
    return WsolbenchError(
        target,
        found=f"{'another process' if process is None else own} is writing it",
        cure="wait until it has finished, or name another file",
    )


def _remove_held() -> None:
    for lock in list(_held.values()):
        lock.path.unlink(missing_ok=True)


def _forget() -> None:
    """A forked process does not hold its parent's locks, or they would outlive the parent."""
    global _guard
    _guard = threading.Lock()  # another thread may have held it
    for lock in _held.values():
        if lock.descriptor is not None:
            os.close(lock.descriptor)
    _held.clear()


at_end(_remove_held)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
