"""A file that libraries write into which do not survive a failed write.

After a write that failed, HDF5 cannot close its file, tries again when Python ends, and dies of
SIGSEGV. So it is told that all went well: what cannot be written is dropped, and the first error is
raised at the end, when the library has let go of the file.
"""

from __future__ import annotations

import io
import os
from pathlib import Path
from types import TracebackType
from typing import Any

__all__ = ["OutputFile"]


class OutputFile(io.RawIOBase):
    """A new file; use it in a `with` block, which raises the first error of a write.

    Attributes:
        failure: that error; None while there is none.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.failure: OSError | None = None
        self._file = open(path, "w+b", buffering=0)  # noqa: SIM115 - closed by close()
        self._at = 0
        self._end = 0

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
        if isinstance(error, Exception) or error is None:
            self.require_written()

    def require_written(self) -> None:
        """Raise the error of the first write that failed."""
        if self.failure is not None:
            raise self.failure

    def close(self) -> None:
        """Close the file."""
        if not self.closed:
            self._file.close()
        super().close()

    def readable(self) -> bool:
        """True: libraries read back what they have written."""
        return True

    def writable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """True."""
        return True

    def tell(self) -> int:
        """The place of the next write."""
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to a place, counted from the start, from here or from the end."""
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._end}[whence]
        return self._at

    def write(self, data: Any) -> int:
        """Write all bytes, or remember why not."""
        view = memoryview(data).cast("B")
        size = len(view)
        if self.failure is None:
            try:
                self._file.seek(self._at)
                while view:
                    view = view[self._file.write(view) :]
            except OSError as error:
                self.failure = error
        self._at += size
        self._end = max(self._end, self._at)
        return size

    def readinto(self, buffer: Any) -> int:
        """Read; zeros where a write failed."""
        view = memoryview(buffer).cast("B")
        view = view[: max(0, self._end - self._at)]
        self._file.seek(self._at)
        done = 0
        while done < len(view) and (more := self._file.readinto(view[done:])):
            done += more
        view[done:] = bytes(len(view) - done)
        self._at += len(view)
        return len(view)

    def truncate(self, size: int | None = None) -> int:
        """Set the length, or remember why not."""
        self._end = self._at if size is None else size
        if self.failure is None:
            try:
                self._file.truncate(self._end)
            except OSError as error:
                self.failure = error
        return self._end
