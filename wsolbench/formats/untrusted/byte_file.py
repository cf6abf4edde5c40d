"""A file that is opened once, read by place, and checked to be the same at the end."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import stat
import sys
import threading
import weakref
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ...errors import WsolbenchError, require_path
from ...files import require_file
from .trust import trusted_files

__all__ = ["ByteFile"]

_BLOCK_BYTES = 8 << 20


class ByteFile:
    """A regular file, opened for reading at any position from any thread.

    A symbolic link is refused unless files are trusted: it could name any file of this machine.

    Args:
        path: the file.
        what: what it should be, for messages.
        cure: what to do if there is no such file.

    Attributes:
        path: the file.
        size: its bytes when it was opened.

    Raises:
        WsolbenchError: the file is missing, a link, not a regular file, or not readable.
    """

    def __init__(
        self, path: str | os.PathLike[str], what: str, cure: str = "check the path"
    ) -> None:
        require_path("path", path, f"the path of {what}")
        self.path = Path(path)
        require_file(path, what, cure)
        # A name that becomes a FIFO after the check must not hang the open.
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        if not trusted_files():
            if self.path.is_symlink():
                raise self._link(what)
            flags |= getattr(os, "O_NOFOLLOW", 0)
        try:
            self._descriptor = os.open(self.path, flags | getattr(os, "O_CLOEXEC", 0))
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise self._link(what) from error
            raise WsolbenchError(
                self.path,
                found=f"cannot be opened ({error.strerror})",
                cure="check its permissions",
            ) from error
        self._lock = threading.Lock()
        self.close = weakref.finalize(self, os.close, self._descriptor)
        status = os.fstat(self._descriptor)
        self.size = status.st_size
        self._first = _changing(status)
        if not stat.S_ISREG(status.st_mode):
            self.close()
            raise self._irregular(what)

    def __enter__(self) -> ByteFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def descriptor(self) -> int:
        """The open file's descriptor.

        Raises:
            WsolbenchError: the file is closed.
        """
        if not self.close.alive:
            raise WsolbenchError(self.path, found="the file is closed", cure="open it again")
        return self._descriptor

    def read(self, start: int, length: int) -> NDArray[np.uint8]:
        """The bytes [start, start + length) as a writable uint8 (length,) array.

        Raises:
            WsolbenchError: the file is closed or too short.
        """
        descriptor = self.descriptor
        if start < 0 or start + length > self.size:
            raise self._ends_early(start + length)
        buffer = np.empty(length, dtype=np.uint8)
        done = 0
        while done < length:
            got = self._read_into(descriptor, buffer.data[done:], start + done)
            if not got:
                raise self._ends_early(start + length)
            done += got
        return buffer

    def stream(self) -> BinaryIO:
        """The file for libraries that read from a position, which is its own."""
        return io.BufferedReader(_Stream(self))

    def sha256(self) -> str:
        """The SHA-256 of the whole file in hexadecimal.

        Raises:
            WsolbenchError: the file changed since it was opened.
        """
        digest = hashlib.sha256()
        for start in range(0, self.size, _BLOCK_BYTES):
            digest.update(self.read(start, min(_BLOCK_BYTES, self.size - start)).data)
        self.require_unchanged()
        return digest.hexdigest()

    def require_unchanged(self) -> None:
        """Check that nobody wrote to the file, replaced or renamed it since it was opened.

        Raises:
            WsolbenchError: its size or one of its times differs.
        """
        if _changing(os.fstat(self.descriptor)) != self._first:
            raise WsolbenchError(
                self.path,
                found="a file that changed, or was replaced or renamed, while it was read",
                expected="one that stays the same",
                cure="run the command again when nothing writes to it",
                exit_status=1,
            )

    def _read_into(self, descriptor: int, buffer: memoryview, start: int) -> int:
        try:
            if sys.platform != "win32" and hasattr(os, "preadv"):
                return os.preadv(descriptor, [buffer], start)
            with self._lock:  # pragma: no cover - systems without positioned reads
                os.lseek(descriptor, start, os.SEEK_SET)
                part = os.read(descriptor, len(buffer))
            buffer[: len(part)] = part  # pragma: no cover
            return len(part)  # pragma: no cover
        except OSError as error:
            raise WsolbenchError(
                self.path, found=f"cannot be read ({error})", cure="check the disk"
            ) from error

    def _irregular(self, what: str) -> WsolbenchError:
        return WsolbenchError(
            self.path,
            found="a device or pipe",
            expected=what,
            cure="name a regular file",
        )

    def _link(self, what: str) -> WsolbenchError:
        target = os.path.realpath(self.path)
        return WsolbenchError(
            self.path,
            found="a symbolic link",
            expected=what,
            cure=f"name the file itself ({target}), or use --trusted for files of your own",
        )

    def _ends_early(self, wanted: int) -> WsolbenchError:
        return WsolbenchError(
            self.path,
            found=f"{self.size} bytes",
            expected=f"at least {wanted}",
            cure="the file is truncated: download or write it again",
            exit_status=1,
        )


class _Stream(io.RawIOBase):
    """A position in a `ByteFile`."""

    def __init__(self, file: ByteFile) -> None:
        super().__init__()
        self._file = file
        self._place = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        starts = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._file.size}
        self._place = max(0, starts[whence] + offset)
        return self._place

    def tell(self) -> int:
        return self._place

    def readinto(self, buffer: Any) -> int:
        length = max(0, min(len(buffer), self._file.size - self._place))
        buffer[:length] = self._file.read(self._place, length).data if length else b""
        self._place += length
        return length


def _changing(status: os.stat_result) -> tuple[int, ...]:
    """What differs once somebody has written to a file.

    A modification time can be set back, a change time cannot; but it also differs if the file gets
    another name.
    """
    return (status.st_size, status.st_mtime_ns, status.st_ctime_ns)
