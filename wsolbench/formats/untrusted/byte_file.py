"""A file that is read by place, and that nobody may replace by something else."""

from __future__ import annotations

import os
import stat
import sys
import threading
import weakref
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...errors import WsolbenchError, require_path
from ...files import require_file

__all__ = ["ByteFile"]


class ByteFile:
    """A regular file, opened for reading at any position from any thread.

    Raises:
        WsolbenchError: the file is missing, not a regular file, or not readable.
    """

    def __init__(self, path: str | os.PathLike[str], what: str) -> None:
        require_path("path", path, f"the path of {what}")
        self.path = Path(path)
        if not (self.path.is_file() or self.path.is_dir()) and self.path.exists():
            raise self._irregular(what)
        require_file(path, what)
        # A name that becomes a FIFO after the check must not hang the open.
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        try:
            self._descriptor = os.open(self.path, flags)
        except OSError as error:
            raise WsolbenchError(
                self.path,
                found=f"cannot be opened ({error.strerror})",
                cure="check its permissions",
            ) from error
        self._lock = threading.Lock()
        self.close = weakref.finalize(self, os.close, self._descriptor)
        status = os.fstat(self._descriptor)
        self.size = status.st_size
        self.identity = (status.st_dev, status.st_ino)
        if not stat.S_ISREG(status.st_mode):
            self.close()
            raise self._irregular(what)

    def read(self, start: int, length: int) -> NDArray[np.uint8]:
        """The bytes [start, start + length) as a writable uint8 (length,) array.

        Raises:
            WsolbenchError: the file is closed or too short.
        """
        if not self.close.alive:
            raise WsolbenchError(self.path, found="the file is closed", cure="open it again")
        if start < 0 or start + length > self.size:
            raise self._ends_early(start + length)
        buffer = np.empty(length, dtype=np.uint8)
        done = 0
        while done < length:
            got = self._read_into(buffer.data[done:], start + done)
            if not got:
                raise self._ends_early(start + length)
            done += got
        return buffer

    def _read_into(self, buffer: memoryview, start: int) -> int:
        try:
            if sys.platform != "win32" and hasattr(os, "preadv"):
                return os.preadv(self._descriptor, [buffer], start)
            with self._lock:  # pragma: no cover - systems without positioned reads
                os.lseek(self._descriptor, start, os.SEEK_SET)
                part = os.read(self._descriptor, len(buffer))
            buffer[: len(part)] = part  # pragma: no cover
            return len(part)  # pragma: no cover
        except OSError as error:
            raise WsolbenchError(
                self.path, found=f"cannot be read ({error})", cure="check the disk"
            ) from error

    def _irregular(self, what: str) -> WsolbenchError:
        return WsolbenchError(
            self.path,
            found="a pipe, socket or device",
            expected=what,
            cure="name a regular file",
        )

    def _ends_early(self, wanted: int) -> WsolbenchError:
        return WsolbenchError(
            self.path,
            found=f"{self.size} bytes",
            expected=f"at least {wanted}",
            cure="the file is truncated: download or write it again",
            exit_status=1,
        )
