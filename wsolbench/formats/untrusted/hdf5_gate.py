"""Safe reading of an untrusted HDF5 file: only plain numbers and short strings are accepted.

The HDF5 library only provides the structure (module `structure`), in a reader process with limits
(module `process`); the bytes are read here with `os.pread` and inflated with a bound (module
`column`). HDF5 has closed the file before the first value is read.
"""

from __future__ import annotations

import math
import os
from dataclasses import asdict
from types import TracebackType
from typing import Protocol

import numpy as np

from ...errors import WsolbenchError
from .byte_file import ByteFile
from .column import Chunks, Column
from .limits import MAX_ATTRIBUTE_BYTES, MAX_CHUNK_BYTES, MAX_SLACK_BYTES, SIGNATURE, Bounds
from .process import give_back, has_readers, take
from .structure import Layout, Structure
from .trust import trusted_files

__all__ = ["Gate"]

_USER_BLOCKS = [512 << power for power in range(12)]  # where HDF5 looks for its signature


class _Asked(Protocol):
    """What answers questions about a file: `Structure` itself, or one in a reader process."""

    def kind(self, name: str) -> str | None: ...

    def column(self, name: str, bounds: Bounds) -> Layout: ...

    def attribute(self, name: str, limit: int) -> str | int | None: ...

    def close(self) -> None: ...


class Gate:
    """The structure of an untrusted HDF5 file; use it in a `with` block.

    Only objects requested by name are accessed. Columns stay readable after the block.

    Args:
        path: the file.
        what: what it should be, for messages.
        repair: what to do about a damaged file.
        cure: what to do if there is no such file.

    Raises:
        WsolbenchError: the file is missing or not HDF5 (exit status 2), or HDF5 cannot open it (1).
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        what: str,
        repair: str = "download or write the file again",
        cure: str = "check the path",
    ) -> None:
        self.file = ByteFile(path, what, cure)
        self._repair = repair
        self._columns: list[Column] = []
        if not self._starts(0):
            behind = next((at for at in _USER_BLOCKS if self._starts(at)), None)
            self.file.close()
            raise WsolbenchError(
                self.file.path,
                found="not an HDF5 file"
                if behind is None
                else f"an HDF5 file behind a user block of {behind} bytes",
                cure=f"name {what}"
                if behind is None
                else "remove the user block, e.g. with h5unjam of the HDF5 tools",
            )
        try:
            self._asked: _Asked = (
                _Remote(self.file)
                if has_readers() and not trusted_files()
                else Structure(self.file.stream(), self.file.size)
            )
        except WsolbenchError as error:
            self.file.close()
            raise self._named(error) from error

    def __enter__(self) -> Gate:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self._asked.close()
        except WsolbenchError as closing:
            if error is None:
                raise self._named(closing) from closing

    def kind(self, name: str) -> str | None:
        """The kind of the object of a name: "data set", "group", or None if there is none.

        Raises:
            WsolbenchError: the name is a link other than a hard one, or another kind of object.
        """
        try:
            return self._asked.kind(name)
        except WsolbenchError as error:
            raise self._named(error, name) from error

    def column(self, name: str, bounds: Bounds) -> Column:
        """A data set, after checking its structure against the bounds.

        Raises:
            WsolbenchError: it is absent, or rejected for a reason listed in module `structure`.
        """
        try:
            layout = self._asked.column(name, bounds)
        except WsolbenchError as error:
            raise self._named(error, name) from error
        column = self._believed(name, layout, bounds)
        if column is None:
            raise self._named(_implausible(), name)
        self._columns.append(column)
        return column

    def attribute(self, name: str, limit: int = MAX_ATTRIBUTE_BYTES) -> str | int | None:
        """An attribute of the root: a string of at most `limit` UTF-8 bytes, an integer (perhaps
        stored as a float), or None.

        Raises:
            WsolbenchError: it has another type, is an array, too long, or not UTF-8.
        """
        try:
            return self._asked.attribute(name, limit)
        except WsolbenchError as error:
            raise self._named(error, f"attribute {name}") from error

    def require_little_else(self) -> None:
        """Check that the file is not much larger than the columns that were asked for.

        Raises:
            WsolbenchError: it has over 1 GiB more than twice their stored bytes, e.g. a hole that
                takes no room on the disk, but hours to be hashed.
        """
        stored = sum(column.stored_bytes for column in self._columns)
        if self.file.size > 2 * stored + MAX_SLACK_BYTES:
            raise WsolbenchError(
                self.file.path,
                found=f"{self.file.size} bytes, of which the columns are {stored}",
                expected=f"at most {2 * stored + MAX_SLACK_BYTES} with so few",
                cure="write the file again without anything else in it",
                exit_status=1,
            )

    def _believed(self, name: str, layout: Layout, bounds: Bounds) -> Column | None:
        """The column that an answer describes; None if a sound reader cannot have said that."""
        dtype, shape = np.dtype(layout.dtype), layout.shape
        size = math.prod(shape) * dtype.itemsize
        column = Column(self.file, name, dtype, shape, start=layout.start)
        if not (bounds.accepts_type(dtype) and bounds.accepts_shape(shape)):
            return None
        if layout.chunk is not None:
            chunk, (starts, lengths, deflated) = layout.chunk, layout.arrays
            if len(chunk) != len(shape) or min(chunk) < 1:
                return None
            grid = tuple(-(-length // side) for length, side in zip(shape, chunk, strict=True))
            fits = all(part.shape == (math.prod(grid),) for part in layout.arrays)
            if not fits or math.prod(chunk) * dtype.itemsize > MAX_CHUNK_BYTES:
                return None
            if starts.dtype != np.int64 or lengths.dtype != np.int64 or deflated.dtype != np.bool_:
                return None
            inside = (starts >= 0) & (lengths >= 0) & (starts <= self.file.size - lengths)
            column.chunks = Chunks(chunk, grid, starts, lengths, deflated)
            return column if inside.all() else None
        if layout.arrays:
            (column.content,) = layout.arrays
            same = column.content.dtype == dtype and column.content.shape == shape
            return column if same else None
        return column if 0 <= layout.start <= self.file.size - size else None

    def _starts(self, at: int) -> bool:
        """Whether the signature of HDF5 is at this byte."""
        whole = at + len(SIGNATURE) <= self.file.size
        return whole and bytes(self.file.read(at, len(SIGNATURE))) == SIGNATURE

    def _named(self, error: WsolbenchError, name: str = "") -> WsolbenchError:
        """An error with the path before the name in the file."""
        name = error.where or name
        return WsolbenchError(
            f"{self.file.path}: {name}" if name else self.file.path,
            found=error.found,
            expected=error.expected,
            cure=error.cure or self._repair,
            exit_status=error.exit_status,
        )


def _implausible() -> WsolbenchError:
    return WsolbenchError(
        "",
        found="an answer of the reader process that no sound file gives",
        cure="the file is damaged or hostile: download or write it again",
        exit_status=1,
    )


class _Remote:
    """The structure of a file in a reader process."""

    def __init__(self, file: ByteFile) -> None:
        self._reader = take("hdf5")
        try:
            self._reader.ask({"act": "open", "size": file.size}, file.descriptor)
        except BaseException:
            give_back(self._reader)
            raise

    def kind(self, name: str) -> str | None:
        value = self._reader.ask({"act": "kind", "name": name})[0]
        if value not in ("data set", "group", None):
            raise _implausible()
        return value if value is None else str(value)

    def column(self, name: str, bounds: Bounds) -> Layout:
        request = {"act": "column", "name": name, "bounds": asdict(bounds)}
        found, arrays = self._reader.ask(request, quick=False)
        try:
            shape = tuple(map(int, found["shape"]))
            chunk = None if found["chunk"] is None else tuple(map(int, found["chunk"]))
            dtype = np.dtype(str(found["dtype"])).str
            return Layout(dtype, shape, int(found["start"]), chunk, tuple(arrays))
        except (ValueError, TypeError, LookupError) as error:
            raise _implausible() from error

    def attribute(self, name: str, limit: int) -> str | int | None:
        value = self._reader.ask({"act": "attribute", "name": name, "limit": limit})[0]
        if isinstance(value, str) and len(value) <= limit:
            return value
        if value is None or type(value) is int:
            return value
        raise _implausible()

    def close(self) -> None:
        try:
            if self._reader.usable:
                self._reader.ask({"act": "close"})
        except WsolbenchError:
            self._reader.end()
            raise
        finally:
            give_back(self._reader)
