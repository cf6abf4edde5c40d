"""What the HDF5 library says of an untrusted file: only plain numbers and short strings pass.

An HDF5 file may refer to other files, name code to load, or declare gigabytes that it does not
contain, and the HDF5 library acts on all of that while reading. So it is asked only for the
structure (position, type and shape of each data set) of objects requested by name, and every number
in that structure is checked against a fixed limit. Values are read elsewhere, by their bytes.

Rejected are links other than hard ones, external storage, virtual data sets, types other than
standard integers, floats and fixed strings, filters other than one deflate, chunks that are
missing, too short, too long or shared, and data that cannot fit into the file. Damage may still
crash HDF5 or make it loop, so that `child` runs this module in a process with limits.

Source: the HDF5 File Format Specification.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, BinaryIO

import h5py
import numpy as np
from h5py import h5a, h5d, h5g, h5l, h5o, h5s, h5t, h5z
from numpy.typing import NDArray

from ...errors import WsolbenchError
from .limits import (
    MAX_ATTRIBUTE_BYTES,
    MAX_CHUNK_BYTES,
    MAX_CHUNKS,
    MAX_COLUMN_BYTES,
    MAX_DEFLATE_RATIO,
    MAX_ROW_BYTES,
    MAX_STRING,
    SIGNATURE,
    Bounds,
)

__all__ = ["Layout", "Structure"]

_LIBRARY_ERRORS = (
    ArithmeticError,
    AttributeError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""Exceptions that h5py raises on damaged files: it maps HDF5's errors to all of these."""


@dataclass(frozen=True)
class Layout:
    """Where a data set lies in its file.

    Attributes:
        dtype: its stored type, as `numpy.dtype.str`.
        shape: its shape.
        start: its first byte, if it is contiguous.
        chunk: the shape of its chunks, if it has any; their first bytes, lengths and whether they
            are deflated are then `arrays`, in the order of their grid.
        arrays: those three; or the values themselves, if they lie in the header.
    """

    dtype: str
    shape: tuple[int, ...]
    start: int = 0
    chunk: tuple[int, ...] | None = None
    arrays: tuple[NDArray[Any], ...] = ()


class Structure:
    """The structure of an HDF5 file.

    The `where` of every error is a name in the file; its `cure` may be empty.

    Args:
        file: the file, open for reading; it is closed with the structure.
        size: its bytes.

    Raises:
        WsolbenchError: HDF5 cannot open it.
    """

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._size = size
        self._bytes = file
        try:
            with _asking(""):
                self._file = h5py.File(file, "r")
                self._root = h5g.open(self._file.id, b"/")
                creation = self._file.id.get_create_plist()
                if creation.get_sizes() != (8, 8) or creation.get_userblock() != 0:
                    raise _refusal("", "a user block or unusual address sizes", "8-byte addresses")
        except WsolbenchError:
            file.close()
            raise

    def close(self) -> None:
        """Close the file, also for HDF5.

        Raises:
            WsolbenchError: HDF5 cannot.
        """
        try:
            with _asking(""):
                self._file.close()
        finally:
            self._bytes.close()

    def kind(self, name: str) -> str | None:
        """The kind of the object of a name: "data set", "group", or None if there is none.

        Raises:
            WsolbenchError: the name is a link other than a hard one, or another kind of object.
        """
        with _asking(name):
            encoded = name.encode()
            for parent in itertools.accumulate(encoded.split(b"/"), lambda a, b: a + b"/" + b):
                if not self._root.links.exists(parent):
                    return None
                link = self._root.links.get_info(parent).type
                if link != h5l.TYPE_HARD:
                    links = {h5l.TYPE_SOFT: "a soft link", h5l.TYPE_EXTERNAL: "an external link"}
                    raise _refusal(
                        name, links.get(link, "a user-defined link"), "a data set or a group"
                    )
            found = h5o.get_info(self._root, encoded).type
            if found not in (h5o.TYPE_DATASET, h5o.TYPE_GROUP):
                raise _refusal(name, "a named type", "a data set or a group")
            return "data set" if found == h5o.TYPE_DATASET else "group"

    def column(self, name: str, bounds: Bounds) -> Layout:
        """Where a data set lies, after checking its structure against the bounds.

        Raises:
            WsolbenchError: it is absent, or rejected for a reason listed at the top of this module.
        """
        kind = self.kind(name)
        if kind != "data set":
            found = "a group" if kind else "nothing"
            raise _refusal(name, found, f"a data set: {bounds.meant}")
        with _asking(name):
            data_set = h5d.open(self._root, name.encode())
            creation = data_set.get_create_plist()
            # Before reading the shape, which would open the sources of a virtual data set.
            _check_storage(name, creation)
            dtype = _dtype(name, data_set.get_type(), bounds)
            space = data_set.get_space()
            if space.get_simple_extent_type() != h5s.SIMPLE:
                raise _refusal(name, "not an array", bounds.meant)
            shape = tuple(int(length) for length in space.get_simple_extent_dims())
            if not bounds.accepts_shape(shape):
                raise _refusal(name, f"shape {shape}", bounds.meant)
            size = dtype.itemsize * math.prod(shape)
            if size > MAX_COLUMN_BYTES:
                raise _refusal(name, f"{size} bytes", f"at most {MAX_COLUMN_BYTES}")
            if size == 0:  # nothing is stored anywhere
                return Layout(dtype.str, shape, arrays=(np.empty(shape, dtype),))
            layout = creation.get_layout()
            if layout == h5d.CHUNKED:
                return self._chunked(name, data_set, creation, dtype, shape)
            if data_set.get_storage_size() != size:
                raise _refusal(
                    name, f"{data_set.get_storage_size()} stored bytes", f"{size} for its shape"
                )
            if layout == h5d.COMPACT:
                # HDF5 has loaded these (at most 64 KiB) with the object header, so reading them is
                # a copy of known size, without any lookup, inflation or conversion.
                content = np.empty(shape, dtype=dtype)
                data_set.read(h5s.ALL, h5s.ALL, content, data_set.get_type())
                return Layout(dtype.str, shape, arrays=(content,))
            start = data_set.get_offset()
            if start is None or start < len(SIGNATURE) or start + size > self._size:
                raise _refusal(
                    name,
                    "no stored data" if start is None else f"{size} bytes from byte {start}",
                    f"data within the file's {self._size} bytes",
                )
            return Layout(dtype.str, shape, start=int(start))

    def attribute(self, name: str, limit: int = MAX_ATTRIBUTE_BYTES) -> str | int | None:
        """An attribute of the root: a string of at most `limit` UTF-8 bytes, an integer (perhaps
        stored as a float), or None.

        Raises:
            WsolbenchError: it has another type, is an array, too long, or not UTF-8.
        """
        where = f"attribute {name}"
        with _asking(where):
            encoded = name.encode()
            if not h5a.exists(self._root, encoded):
                return None
            attribute = h5a.open(self._root, encoded)
            kind = attribute.get_type()
            if attribute.get_space().get_simple_extent_npoints() != 1:
                raise _refusal(where, "an array", "one string or integer")
            if isinstance(kind, h5t.TypeStringID):
                return _text(where, attribute, kind, limit)
            standard = _standard(kind)
            if standard is None:
                raise _refusal(where, "another type", "one string or integer")
            number = np.empty(attribute.shape, dtype=standard)
            attribute.read(number)
            value = number.reshape(-1)[0]
            # Some languages store every number as a double.
            if not np.isfinite(value) or value != int(value):
                raise _refusal(where, f"the number {value}", "one string or integer")
            return int(value)

    def _chunked(
        self,
        name: str,
        data_set: Any,
        creation: Any,
        dtype: np.dtype[Any],
        shape: tuple[int, ...],
    ) -> Layout:
        chunk = tuple(int(length) for length in creation.get_chunk())
        chunk_bytes = dtype.itemsize * math.prod(chunk)
        if len(chunk) != len(shape) or not 0 < chunk_bytes <= MAX_CHUNK_BYTES:
            raise _refusal(
                name, f"chunks of shape {chunk}", f"at most {MAX_CHUNK_BYTES >> 20} MiB each"
            )
        grid = tuple(-(-length // size) for length, size in zip(shape, chunk, strict=True))
        count = math.prod(grid)
        row_bytes = math.prod(grid[1:]) * chunk_bytes
        if row_bytes > MAX_ROW_BYTES:
            raise _refusal(
                name,
                f"chunks of shape {chunk}, with {row_bytes >> 20} MiB for one row",
                f"at most {MAX_ROW_BYTES >> 20} MiB",
                cure="write it with chunks=(1, height, width)",
            )
        ratio = MAX_DEFLATE_RATIO if creation.get_nfilters() else 0
        if count > MAX_CHUNKS or count * chunk_bytes > MAX_COLUMN_BYTES:
            raise _refusal(
                name,
                f"{count} chunks of {chunk_bytes} bytes",
                f"at most {MAX_CHUNKS} chunks and {MAX_COLUMN_BYTES} bytes",
            )
        if count * chunk_bytes > max(1, ratio) * self._size:
            raise _refusal(
                name,
                f"{count * chunk_bytes} declared bytes in a file of {self._size}",
                "no more than the file can contain",
            )
        starts = np.full(count, -1, dtype=np.int64)
        lengths = np.zeros(count, dtype=np.int64)
        deflated = np.zeros(count, dtype=np.bool_)
        arrays = (starts, lengths, deflated)
        fault = _chunk_fault(data_set, chunk, grid, chunk_bytes, ratio, self._size, arrays)
        missing = int((starts < 0).sum())
        if not fault and missing:
            fault = f"{missing} of {count} chunks missing"
        if not fault and int(lengths.sum()) > self._size:
            fault = "chunks with overlapping bytes"
        if fault:
            raise _refusal(name, fault, f"{count} chunks of {chunk_bytes} bytes")
        return Layout(dtype.str, shape, chunk=chunk, arrays=arrays)


def _chunk_fault(
    data_set: Any,
    chunk: tuple[int, ...],
    grid: tuple[int, ...],
    chunk_bytes: int,
    ratio: int,
    end: int,
    arrays: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]],
) -> str:
    """Fill in where the chunks lie; the first fault of one, or nothing.

    Args:
        data_set: what has the chunks.
        chunk: their shape.
        grid: how many there are along each axis.
        chunk_bytes: the inflated bytes of each.
        ratio: maximum of inflated over stored bytes; 0 if they are not deflated.
        end: the bytes of the file.
        arrays: starts (-1 before), lengths, and whether deflated, by place in the grid.
    """
    starts, lengths, deflated = arrays
    faults: list[str] = []
    # Deflate never needs more than this for a chunk (zlib's compressBound).
    most = chunk_bytes + (chunk_bytes >> 12) + (chunk_bytes >> 14) + 1024

    def take(found: Any) -> bool | None:
        place = tuple(o // c for o, c in zip(found.chunk_offset, chunk, strict=True))
        exact = all(o % c == 0 for o, c in zip(found.chunk_offset, chunk, strict=True))
        start, length = found.byte_offset, found.size
        if not exact or not all(p < g for p, g in zip(place, grid, strict=True)):
            faults.append(f"a chunk at {found.chunk_offset}")
            return True
        index = int(np.ravel_multi_index(place, grid))
        packed = ratio > 0 and not found.filter_mask & 1
        if starts[index] >= 0:
            faults.append(f"duplicate chunk {place}")
        elif start is None or start < len(SIGNATURE) or start + length > end:
            faults.append(f"chunk {place} outside the file")
        elif not (0 < length <= most if packed else length == chunk_bytes):
            faults.append(f"chunk {place} with {length} stored bytes")
        elif packed and chunk_bytes > ratio * length:
            faults.append(f"chunk {place} with only {length} stored bytes")
        else:
            starts[index], lengths[index], deflated[index] = start, length, packed
            return None
        return True

    data_set.chunk_iter(take)
    return faults[0] if faults else ""


def _check_storage(name: str, creation: Any) -> None:
    layout = creation.get_layout()
    if layout == h5d.VIRTUAL:
        raise _refusal(name, "a virtual data set", "data in this file")
    if layout not in (h5d.CONTIGUOUS, h5d.CHUNKED, h5d.COMPACT):
        raise _refusal(name, f"layout {layout}", "contiguous, chunked or compact data")
    if creation.get_external_count() != 0:
        raise _refusal(name, "data in external files", "data in this file")
    filters = [int(creation.get_filter(i)[0]) for i in range(creation.get_nfilters())]
    if filters not in ([], [h5z.FILTER_DEFLATE]):
        raise _refusal(
            name,
            f"the filters {filters}",
            "no filter or one deflate",
            cure='write it with compression="gzip" or none, without shuffle',
        )


def _dtype(name: str, kind: Any, bounds: Bounds) -> np.dtype[Any]:
    if isinstance(kind, h5t.TypeStringID):
        if kind.is_variable_str() or kind.get_size() > MAX_STRING or "S" not in bounds.dtypes:
            size = "variable" if kind.is_variable_str() else f"{kind.get_size()} bytes"
            cure = 'write numpy.array(strings, dtype="S")' if "S" in bounds.dtypes else None
            raise _refusal(name, f"strings of length {size}", bounds.meant, cure=cure)
        return np.dtype(f"S{kind.get_size()}")
    standard = _standard(kind)
    if standard is None:
        raise _refusal(name, "a type that is not a standard number", bounds.meant)
    if not bounds.accepts_type(standard):
        raise _refusal(name, f"dtype {_named(standard)}", bounds.meant)
    return standard


def _text(where: str, attribute: Any, kind: Any, limit: int) -> str:
    if kind.is_variable_str():
        # HDF5 allocates what the file states; only the limits of the process bound it.
        buffer = np.zeros(attribute.shape, dtype=attribute.dtype)
        attribute.read(buffer)
        value = buffer.reshape(-1)[0]
        raw = value if isinstance(value, bytes) else str(value or "").encode()
    elif kind.get_size() > min(limit, MAX_ATTRIBUTE_BYTES):
        raise _refusal(where, f"{kind.get_size()} bytes", f"at most {limit}")
    else:
        fixed = np.empty(attribute.shape, dtype=f"S{kind.get_size()}")
        attribute.read(fixed, mtype=kind)
        raw = fixed.tobytes()
    raw = raw.split(b"\0", 1)[0]
    if len(raw) > limit:
        raise _refusal(where, f"a string of {len(raw)} bytes", f"at most {limit}")
    try:
        return str(raw.decode())
    except UnicodeDecodeError as error:
        raise _refusal(where, "bytes that are not UTF-8", "a string") from error


@contextmanager
def _asking(where: str) -> Iterator[None]:
    try:
        yield
    except _LIBRARY_ERRORS as error:
        raise _refusal(
            where, f"damaged HDF5 ({error})"[:200], "a file that HDF5 can read"
        ) from error


def _refusal(where: str, found: str, expected: str, cure: str | None = None) -> WsolbenchError:
    return WsolbenchError(
        where,
        found=found,
        expected=expected,
        cure=cure or "",
        exit_status=1,
    )


def _named(dtype: np.dtype[Any]) -> str:
    return f"big-endian {dtype.name}" if dtype.str[0] == ">" else dtype.name


@cache
def _standards() -> tuple[tuple[Any, np.dtype[Any]], ...]:
    names = [f"{order}{kind}{size}" for order in "<>" for kind in "iu" for size in (1, 2, 4, 8)]
    names += [f"{order}f{size}" for order in "<>" for size in (2, 4, 8)]
    return tuple((h5t.py_create(np.dtype(name)), np.dtype(name)) for name in names)


def _standard(kind: Any) -> np.dtype[Any] | None:
    """The NumPy type of exactly these bits; None for an odd precision, offset, bias or enum."""
    return next((dtype for made, dtype in _standards() if made.equal(kind)), None)
