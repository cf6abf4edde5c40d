"""Safe reading of an untrusted HDF5 file: only plain numbers and short strings are accepted.

An HDF5 file may refer to other files, name code to load, or declare gigabytes that it does not
contain, and the HDF5 library acts on all of that while reading. So the library only provides the
structure (position, type and shape of each data set); every number in that structure is checked
against a fixed limit; and the bytes are read with `os.pread` and inflated here, with a bound. HDF5
has closed the file before the first value is read.

Rejected are links other than hard ones, external storage, virtual data sets, types other than
standard integers, floats and fixed strings, filters other than one deflate, chunks that are
missing, too short, too long or shared, and data that cannot fit into the file. HDF5 still parses
headers and the chunk index itself, so read a fully untrusted file in a child process with limits.

Source: the HDF5 File Format Specification (object headers, attribute messages, global heap).
"""

from __future__ import annotations

import itertools
import math
import os
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from h5py import h5a, h5d, h5f, h5g, h5l, h5o, h5p, h5s, h5t, h5z

from ...errors import WsolbenchError
from .byte_file import ByteFile
from .column import Chunks, Column

__all__ = ["MAX_ATTRIBUTE_BYTES", "SIGNATURE", "Bounds", "Gate"]

SIGNATURE = b"\x89HDF\r\n\x1a\n"
"""First bytes of an HDF5 file without a user block; HDF5 tries plugins on other files."""

MAX_STRING = 64
"""Maximum bytes of a fixed string: the longest image id."""

MAX_COLUMN_BYTES = 256 << 30
"""Maximum declared bytes of a data set with chunk padding: 44,271 float32 maps of 1200x1200."""

MAX_CHUNK_BYTES = 64 << 20
"""Maximum inflated bytes of one chunk: one float32 map of the largest side."""

MAX_ROW_BYTES = 1 << 30
"""Maximum inflated bytes of all chunks of one row: h5py's default chunks need 519 MiB for ILSVRC's
maps of 375x500 float32."""

MAX_CHUNKS = 4_000_000
"""Maximum chunks of a data set: two for each row of the largest submission."""

MAX_DEFLATE_RATIO = 1032
"""Highest compression ratio of deflate (zlib's technical details); higher ones are forged."""

MAX_ATTRIBUTE_BYTES = 64 << 10
"""Maximum bytes of one attribute, which is HDF5's own limit in an object header."""

_HEADER_BLOCKS = 64
_HEADER_MESSAGES = 4096
_HEADER_BLOCK_BYTES = 1 << 20
_HEAP_BYTES = 4 << 20
_LIBRARY_ERRORS = (
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""Exceptions that h5py raises on damaged files: it maps HDF5's errors to all of these."""


@dataclass(frozen=True)
class Bounds:
    """The accepted type and shape of a data set.

    Attributes:
        dtypes: NumPy kinds (`"u"`, `"i"`, `"f"`, `"S"`) or full types (`"|u1"`, `"<f4"`).
        shape: one entry per dimension; an int is a length, a pair an inclusive range.
        meant: the same in words, for messages.
        upright: whether (N, 1) stands for (N,) too, as programs of matrices write columns.
    """

    dtypes: tuple[str, ...]
    shape: tuple[int | tuple[int, int], ...]
    meant: str
    upright: bool = False


_USER_BLOCKS = [512 << power for power in range(12)]  # where HDF5 looks for its signature


class Gate:
    """The structure of an untrusted HDF5 file; use it in a `with` block.

    Only objects requested by name are accessed. Columns stay readable after the block.

    Raises:
        WsolbenchError: the file is missing or not HDF5 (exit status 2), or HDF5 cannot open it (1).
    """

    def __init__(self, path: str | os.PathLike[str], what: str) -> None:
        self.file = ByteFile(path, what)
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
            with self._asking(""):
                self._id = self._open()
                self._root = h5g.open(self._id, b"/")
        except WsolbenchError:
            self.file.close()
            raise

    def __enter__(self) -> Gate:
        return self

    def __exit__(self, *_: object) -> None:
        with self._asking(""):
            self._id.close()

    def kind(self, name: str) -> str | None:
        """The kind of the object of a name: "data set", "group", or None if there is none.

        Raises:
            WsolbenchError: the name is a link other than a hard one, or another kind of object.
        """
        with self._asking(name):
            encoded = name.encode()
            for parent in itertools.accumulate(encoded.split(b"/"), lambda a, b: a + b"/" + b):
                if not self._root.links.exists(parent):
                    return None
                link = self._root.links.get_info(parent).type
                if link != h5l.TYPE_HARD:
                    links = {h5l.TYPE_SOFT: "a soft link", h5l.TYPE_EXTERNAL: "an external link"}
                    raise self._refusal(
                        name, links.get(link, "a user-defined link"), "a data set or a group"
                    )
            found = h5o.get_info(self._root, encoded).type
            if found not in (h5o.TYPE_DATASET, h5o.TYPE_GROUP):
                raise self._refusal(name, "a named type", "a data set or a group")
            return "data set" if found == h5o.TYPE_DATASET else "group"

    def column(self, name: str, bounds: Bounds) -> Column:
        """A data set, after checking its structure against the bounds.

        Raises:
            WsolbenchError: it is absent, or rejected for a reason listed at the top of this module.
        """
        kind = self.kind(name)
        if kind != "data set":
            found = "a group" if kind else "nothing"
            raise self._refusal(name, found, f"a data set: {bounds.meant}")
        with self._asking(name):
            data_set = h5d.open(self._root, name.encode())
            creation = data_set.get_create_plist()
            # Before reading the shape, which would open the sources of a virtual data set.
            self._check_storage(name, creation)
            dtype = self._dtype(name, data_set.get_type(), bounds)
            space = data_set.get_space()
            if space.get_simple_extent_type() != h5s.SIMPLE:
                raise self._refusal(name, "not an array", bounds.meant)
            shape = tuple(int(length) for length in space.get_simple_extent_dims())
            flat = shape[:1] if bounds.upright and shape[1:] == (1,) else shape
            if not _fits(flat, bounds.shape):
                raise self._refusal(name, f"shape {shape}", bounds.meant)
            return self._ranges(name, data_set, creation, dtype, shape)

    def attribute(self, name: str, limit: int = MAX_ATTRIBUTE_BYTES) -> str | int | None:
        """An attribute of the root: a string of at most `limit` UTF-8 bytes, an integer (perhaps
        stored as a float), or None.

        Fixed strings and integers are read by HDF5, whose object header contains their size. For a
        string of variable length (which h5py makes of a `str`) HDF5 would trust the length stated
        in the file, so its 16 bytes of length and address are located here, following the file
        format, and the string is read from the file within the limit.

        Raises:
            WsolbenchError: it has another type, is an array, too long, or not UTF-8.
        """
        where = f"attribute {name}"
        with self._asking(where):
            encoded = name.encode()
            if not h5a.exists(self._root, encoded):
                return None
            attribute = h5a.open(self._root, encoded)
            kind = attribute.get_type()
            if attribute.get_space().get_simple_extent_npoints() != 1:
                raise self._refusal(where, "an array", "one string or integer")
            if isinstance(kind, h5t.TypeStringID):
                if kind.is_variable_str():
                    raw = self._variable_text(where, encoded, limit)
                elif kind.get_size() > min(limit, MAX_ATTRIBUTE_BYTES):
                    raise self._refusal(where, f"{kind.get_size()} bytes", f"at most {limit}")
                else:
                    buffer = np.empty(attribute.shape, dtype=f"S{kind.get_size()}")
                    attribute.read(buffer, mtype=kind)
                    raw = buffer.tobytes()
                try:
                    return raw.split(b"\0", 1)[0].decode()
                except UnicodeDecodeError as error:
                    raise self._refusal(where, "bytes that are not UTF-8", "a string") from error
            standard = _standard(kind)
            if standard is None or standard.kind not in "iuf":
                raise self._refusal(where, "another type", "one string or integer")
            number = np.empty(attribute.shape, dtype=standard)
            attribute.read(number)
            value = number.reshape(-1)[0]
            # Some languages store every number as a double.
            if not np.isfinite(value) or value != int(value):
                raise self._refusal(where, f"the number {value}", "one string or integer")
            return int(value)

    def _starts(self, at: int) -> bool:
        """Whether the signature of HDF5 is at this byte."""
        whole = at + len(SIGNATURE) <= self.file.size
        return whole and bytes(self.file.read(at, len(SIGNATURE))) == SIGNATURE

    def _open(self) -> Any:
        access = h5p.create(h5p.FILE_ACCESS)
        access.set_fclose_degree(h5f.CLOSE_STRONG)
        # A read-only folder or a network file system may not support locks.
        access.set_file_locking(False, True)
        opened = h5f.open(os.fsencode(self.file.path), h5f.ACC_RDONLY, access)
        creation = opened.get_create_plist()
        if sys.platform != "win32":
            status = os.fstat(opened.get_vfd_handle())
            if (status.st_dev, status.st_ino) != self.file.identity:
                opened.close()
                raise self._refusal(
                    "", "a file that was just replaced", "a file that stays the same"
                )
        if creation.get_sizes() != (8, 8) or creation.get_userblock() != 0:
            opened.close()
            raise self._refusal("", "a user block or unusual address sizes", "8-byte addresses")
        return opened

    def _check_storage(self, name: str, creation: Any) -> None:
        layout = creation.get_layout()
        if layout == h5d.VIRTUAL:
            raise self._refusal(name, "a virtual data set", "data in this file")
        if layout not in (h5d.CONTIGUOUS, h5d.CHUNKED, h5d.COMPACT):
            raise self._refusal(name, f"layout {layout}", "contiguous, chunked or compact data")
        if creation.get_external_count() != 0:
            raise self._refusal(name, "data in external files", "data in this file")
        filters = [int(creation.get_filter(i)[0]) for i in range(creation.get_nfilters())]
        if filters not in ([], [h5z.FILTER_DEFLATE]):
            raise self._refusal(
                name,
                f"the filters {filters}",
                "no filter or one deflate",
                cure='write it with compression="gzip" or none, without shuffle',
            )

    def _dtype(self, name: str, kind: Any, bounds: Bounds) -> np.dtype[Any]:
        if isinstance(kind, h5t.TypeStringID):
            if kind.is_variable_str() or kind.get_size() > MAX_STRING or "S" not in bounds.dtypes:
                size = "variable" if kind.is_variable_str() else f"{kind.get_size()} bytes"
                cure = 'write numpy.array(strings, dtype="S")' if "S" in bounds.dtypes else None
                raise self._refusal(name, f"strings of length {size}", bounds.meant, cure=cure)
            return np.dtype(f"S{kind.get_size()}")
        standard = _standard(kind)
        if standard is None:
            raise self._refusal(name, "a type that is not a standard number", bounds.meant)
        if standard.kind not in bounds.dtypes and standard.str not in bounds.dtypes:
            raise self._refusal(name, f"dtype {_named(standard)}", bounds.meant)
        return standard

    def _ranges(
        self, name: str, data_set: Any, creation: Any, dtype: np.dtype[Any], shape: tuple[int, ...]
    ) -> Column:
        size = dtype.itemsize * math.prod(shape)
        layout = creation.get_layout()
        if size > MAX_COLUMN_BYTES:
            raise self._refusal(name, f"{size} bytes", f"at most {MAX_COLUMN_BYTES}")
        if layout == h5d.CHUNKED:
            chunks = self._chunks(name, data_set, creation, dtype, shape)
            return Column(self.file, name, dtype, shape, chunks=chunks)
        if data_set.get_storage_size() != size:
            raise self._refusal(
                name, f"{data_set.get_storage_size()} stored bytes", f"{size} for its shape"
            )
        if layout == h5d.COMPACT:
            # HDF5 has loaded these (at most 64 KiB) with the object header, so reading them is a
            # copy of known size, without any lookup, inflation or conversion.
            content = np.empty(shape, dtype=dtype)
            data_set.read(h5s.ALL, h5s.ALL, content, data_set.get_type())
            return Column(self.file, name, dtype, shape, content=content)
        start = data_set.get_offset()
        if start is None or start < len(SIGNATURE) or start + size > self.file.size:
            raise self._refusal(
                name,
                "no stored data" if start is None else f"{size} bytes from byte {start}",
                f"data within the file's {self.file.size} bytes",
            )
        return Column(self.file, name, dtype, shape, start=int(start))

    def _chunks(
        self, name: str, data_set: Any, creation: Any, dtype: np.dtype[Any], shape: tuple[int, ...]
    ) -> Chunks:
        chunk = tuple(int(length) for length in creation.get_chunk())
        chunk_bytes = dtype.itemsize * math.prod(chunk)
        if len(chunk) != len(shape) or not 0 < chunk_bytes <= MAX_CHUNK_BYTES:
            raise self._refusal(
                name, f"chunks of shape {chunk}", f"at most {MAX_CHUNK_BYTES >> 20} MiB each"
            )
        grid = tuple(-(-length // size) for length, size in zip(shape, chunk, strict=True))
        count = math.prod(grid)
        row_bytes = math.prod(grid[1:]) * chunk_bytes
        if row_bytes > MAX_ROW_BYTES:
            raise self._refusal(
                name,
                f"chunks of shape {chunk}, with {row_bytes >> 20} MiB for one row",
                f"at most {MAX_ROW_BYTES >> 20} MiB",
                cure="write it with chunks=(1, height, width)",
            )
        ratio = MAX_DEFLATE_RATIO if creation.get_nfilters() else 1
        if count > MAX_CHUNKS or count * chunk_bytes > MAX_COLUMN_BYTES:
            raise self._refusal(
                name,
                f"{count} chunks of {chunk_bytes} bytes",
                f"at most {MAX_CHUNKS} chunks and {MAX_COLUMN_BYTES} bytes",
            )
        if count * chunk_bytes > ratio * self.file.size:
            raise self._refusal(
                name,
                f"{count * chunk_bytes} declared bytes in a file of {self.file.size}",
                "no more than the file can contain",
            )
        table = Chunks(
            chunk,
            grid,
            np.full(count, -1, dtype=np.int64),
            np.zeros(count, dtype=np.int64),
            np.zeros(count, dtype=np.bool_),
        )
        fault = self._fill(table, data_set, bool(creation.get_nfilters()), chunk_bytes)
        missing = int((table.starts < 0).sum())
        if not fault and missing:
            fault = f"{missing} of {count} chunks missing"
        if not fault and int(table.lengths.sum()) > self.file.size:
            fault = "chunks with overlapping bytes"
        if fault:
            raise self._refusal(name, fault, f"{count} chunks of {chunk_bytes} bytes")
        return table

    def _fill(self, table: Chunks, data_set: Any, deflate: bool, chunk_bytes: int) -> str:
        faults: list[str] = []
        end = self.file.size
        # Deflate never needs more than this for a chunk (zlib's compressBound).
        most = chunk_bytes + (chunk_bytes >> 12) + (chunk_bytes >> 14) + 1024

        def take(found: Any) -> bool | None:
            place = tuple(o // c for o, c in zip(found.chunk_offset, table.shape, strict=True))
            exact = all(o % c == 0 for o, c in zip(found.chunk_offset, table.shape, strict=True))
            start, length = found.byte_offset, found.size
            if not exact or not all(p < g for p, g in zip(place, table.grid, strict=True)):
                faults.append(f"a chunk at {found.chunk_offset}")
                return True
            index = int(np.ravel_multi_index(place, table.grid))
            deflated = deflate and not found.filter_mask & 1
            if table.starts[index] >= 0:
                faults.append(f"duplicate chunk {place}")
            elif start is None or start < len(SIGNATURE) or start + length > end:
                faults.append(f"chunk {place} outside the file")
            elif not (0 < length <= most if deflated else length == chunk_bytes):
                faults.append(f"chunk {place} with {length} stored bytes")
            elif deflated and chunk_bytes > MAX_DEFLATE_RATIO * length:
                faults.append(f"chunk {place} with only {length} stored bytes")
            else:
                table.starts[index] = start
                table.lengths[index] = length
                table.deflated[index] = deflated
                return None
            return True

        data_set.chunk_iter(take)
        return faults[0] if faults else ""

    def _variable_text(self, where: str, name: bytes, limit: int) -> bytes:
        descriptor = self._variable_descriptor(name)
        if descriptor is None:
            raise self._refusal(
                where,
                "a string outside the root's header",
                "a string stored in the header",
                cure="write a fixed string (numpy.bytes_), or at most 8 attributes",
            )
        length, heap, index = struct.unpack("<IQI", descriptor)
        if length == 0:
            return b""
        if length > limit:
            raise self._refusal(where, f"a string of {length} bytes", f"at most {limit}")
        head = self.file.read(heap, 16).tobytes()
        size = int.from_bytes(head[8:16], "little")
        if head[:5] != b"GCOL\x01" or not 16 <= size <= _HEAP_BYTES:
            raise self._refusal(where, "a string with a damaged heap", "a readable string")
        collection = self.file.read(heap, size).tobytes()
        place = 16
        while place + 16 <= size:
            found, _, object_size = struct.unpack_from("<HHxxxxQ", collection, place)
            place += 16
            if found == index and length <= object_size and place + length <= size:
                return collection[place : place + length]
            if found == 0:
                break
            place += -(-object_size // 8) * 8
        raise self._refusal(where, "a string that is missing from its heap", "a readable string")

    def _variable_descriptor(self, name: bytes) -> bytes | None:
        for body in self._attribute_messages():
            version = body[0]
            if version not in (1, 2, 3) or (version > 1 and body[1] & 3):
                continue
            sizes = struct.unpack_from("<HHH", body, 2)
            place = 9 if version == 3 else 8
            parts: list[bytes] = []
            for size in sizes:
                parts.append(body[place : place + size])
                place += -(-size // 8) * 8 if version == 1 else size
            named, kind, _ = parts
            # Class 9 is variable length; 1 in its first bits means string.
            variable = len(kind) >= 2 and kind[0] & 15 == 9 and kind[1] & 15 == 1
            data = body[place : place + 16]
            if named.rstrip(b"\0") == name and variable and len(data) == 16:
                return data
        return None

    def _attribute_messages(self) -> Iterator[bytes]:
        """The bodies of the attribute messages in the root's object header, versions 1 and 2."""
        address = int(h5o.get_info(self._root).addr)
        prefix = self.file.read(address, 16).tobytes()
        if prefix[:4] == b"OHDR":
            flags = prefix[5]
            place = address + 6 + 16 * bool(flags & 32) + 4 * bool(flags & 16)
            width = 1 << (flags & 3)
            length = int.from_bytes(self.file.read(place, width).tobytes(), "little")
            head, blocks = 4 + 2 * bool(flags & 4), [(place + width, length)]
        else:
            head, blocks = 8, [(address + 16, int.from_bytes(prefix[8:12], "little"))]
        messages = 0
        for turn in itertools.count():
            if turn >= len(blocks):
                return
            start, length = blocks[turn]
            if length > _HEADER_BLOCK_BYTES or turn >= _HEADER_BLOCKS:
                raise self._refusal("", "an object header that is too large", "a smaller one")
            block = self.file.read(start, length).tobytes()
            place = 0
            while place + head <= length:
                messages += 1
                if messages > _HEADER_MESSAGES:
                    raise self._refusal("", "an object header that is too large", "a smaller one")
                if head == 8:
                    kind, size, flags = struct.unpack_from("<HHB", block, place)
                else:
                    kind, size, flags = struct.unpack_from("<BHB", block, place)
                body = block[place + head : place + head + size]
                place += head + size
                if flags & 2 or len(body) < 16:
                    continue
                if kind == 0x10:
                    onward, onward_length = struct.unpack_from("<QQ", body)
                    # Version 2 has a signature before a continued block and a checksum after it.
                    skip = 0 if head == 8 else 4
                    if onward_length > 2 * skip:
                        blocks.append((onward + skip, onward_length - 2 * skip))
                elif kind == 0x0C:
                    yield body

    @contextmanager
    def _asking(self, name: str) -> Iterator[None]:
        try:
            yield
        except _LIBRARY_ERRORS as error:
            raise self._refusal(
                name, f"damaged HDF5 ({error})"[:200], "a file that HDF5 can read"
            ) from error

    def _refusal(
        self, name: str, found: str, expected: str, cure: str | None = None
    ) -> WsolbenchError:
        return WsolbenchError(
            f"{self.file.path}: {name}" if name else self.file.path,
            found=found,
            expected=expected,
            cure=cure or "write the file again, e.g. with wsolbench.SubmissionWriter",
            exit_status=1,
        )


def _fits(shape: tuple[int, ...], wanted: tuple[int | tuple[int, int], ...]) -> bool:
    if len(shape) != len(wanted):
        return False
    ends = [(entry, entry) if isinstance(entry, int) else entry for entry in wanted]
    return all(low <= length <= high for length, (low, high) in zip(shape, ends, strict=True))


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
