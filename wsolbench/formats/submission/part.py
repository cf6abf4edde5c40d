"""The part of an unfinished submission, from which a killed run can be resumed.

An HDF5 file that is open for writing does not survive a kill, so maps are first stored in a *part*:
the folder `NAME.part` next to the target, with `header.json`, `values.bin` and `edges.bin` (the
concatenated bytes of the maps) and `records.bin` (one record of fixed size per image, with a
checksum). All files but the header are append-only, and values are written before their record.
Reading a part discards everything from the first record that is incomplete or damaged.

Only one writer can be active: it holds the lock of the target (`locks`).

Source: the write-ahead logs of databases, mainly SQLite.
"""

from __future__ import annotations

import json
import os
import shutil
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ...errors import WsolbenchError, some
from ...files import strict_json, write_text
from ...image_ids import MAX_BYTES, is_image_id
from ...renames import only_writer
from ..untrusted.contents import read_bytes
from .rules import ABSENT, field_difference

__all__ = [
    "HAS_BOXES",
    "HAS_EDGES",
    "HAS_TOP5",
    "HAS_WINDOWS",
    "NO_MAPS",
    "RECORD",
    "Journal",
    "remove_part",
]

VERSION = 2
"""Version of the part's format; a part of another version cannot be resumed."""

MAX_HEADER_BYTES = 1 << 20
"""Bytes of a part's header, whose largest value is a method of at most 64 KiB."""

HAS_TOP5, HAS_BOXES, HAS_EDGES, HAS_WINDOWS, NO_MAPS = 1, 2, 4, 8, 16

RECORD = np.dtype(
    [
        ("image_id", f"S{MAX_BYTES}"),
        ("dtype", "S2"),
        ("height", "<u2"),
        ("width", "<u2"),
        ("start", "<u8"),
        ("crc32", "<u4"),
        ("edges_dtype", "S2"),
        ("edges_height", "<u2"),
        ("edges_width", "<u2"),
        ("edges_start", "<u8"),
        ("edges_crc32", "<u4"),
        ("top5", "<i4", (5,)),
        ("boxes", "<i4", (4,)),
        ("window", "<f8", (4,)),
        ("has", "<u4"),
        ("check", "<u4"),
    ]
)
"""One image: the position of its values and its other data; `check` is the CRC-32 of the rest."""

_NAMES = {"header.json", "records.bin", "values.bin", "edges.bin"}
_ITEM_BYTES = {b"": 0, b"u1": 1, b"f2": 2, b"f4": 4}
_BLOCK = 1 << 13  # records read at a time
_PIECE = 1 << 22  # bytes read at a time
_BUFFER = 1 << 20  # bytes gathered before they are written


class Journal:
    """The part of one target, opened for appending and locked.

    Attributes:
        folder: the part.
        written: the image ids stored so far, in order, as keys.
        first: the first record, which all others must match; zeros while there is none.
        values_bytes, edges_bytes: lengths of the two files of values.
        is_full: whether writing a batch failed; the batches before it are intact.
    """

    def __init__(
        self, target: Path, header: Mapping[str, object], *, resume: bool, overwrite: bool
    ):
        self.target = target
        self.folder = target.with_name(f"{target.name}.part")
        self.written: dict[str, None] = {}
        self.first: np.void = np.zeros(1, dtype=RECORD)[0]
        self.values_bytes = 0
        self.edges_bytes = 0
        self.is_full = False
        self._files: list[BinaryIO] = []
        self._held = ExitStack()
        self._held.enter_context(only_writer(target))
        try:
            self._make_folder()
            self._start(header, resume, overwrite)
            self._records = self._open("records.bin")
            self._values = self._open("values.bin")
            self._edges = self._open("edges.bin")
        except OSError as error:
            self.close()
            raise WsolbenchError(
                self.target,
                found=f"cannot be written ({error.strerror or error})",
                cure="free some disk space, or name a file in another folder",
            ) from error
        except BaseException:
            self.close()
            raise

    def append(
        self,
        records: NDArray[np.void],
        values: Iterable[NDArray[Any]],
        edges: Iterable[NDArray[Any]],
    ) -> None:
        """Store a batch; on an error none of it is stored.

        Args:
            records: `RECORD` (n,), n > 0; `start`, `edges_start` and `check` are filled in here.
            values: the maps, in C order.
            edges: the edges, in C order.

        Raises:
            WsolbenchError: the disk is full or writing fails.
        """
        size = records["height"].astype(np.int64) * records["width"] * _itemsizes(records, "dtype")
        edge_size = records["edges_height"].astype(np.int64) * records["edges_width"]
        edge_size *= _itemsizes(records, "edges_dtype")
        records["start"] = self.values_bytes + np.cumsum(size) - size
        records["edges_start"] = self.edges_bytes + np.cumsum(edge_size) - edge_size
        data = bytearray(records.tobytes())
        for place in range(0, len(data), RECORD.itemsize):
            end = place + RECORD.itemsize
            data[end - 4 : end] = zlib.crc32(data[place : end - 4]).to_bytes(4, "little")
        try:
            _write_arrays(self._values, values)
            _write_arrays(self._edges, edges)
            _write_all(self._records, memoryview(data))
        except OSError as error:
            self.is_full = True
            with suppress(OSError):
                self._cut()
            raise WsolbenchError(
                self.folder,
                found=f"writing failed ({error.strerror or error})",
                cure="free some disk space and resume (--resume, resume=True)",
            ) from error
        self.values_bytes += int(size.sum())
        self.edges_bytes += int(edge_size.sum())
        if not self.written:
            self.first = records[0]
        self.written.update(dict.fromkeys(text.decode() for text in records["image_id"].tolist()))

    def blocks(self) -> Iterator[NDArray[np.void]]:
        """The records in order, several thousand at a time."""
        with open(self.folder / "records.bin", "rb") as file:
            while len(block := np.fromfile(file, dtype=RECORD, count=_BLOCK)):
                yield block

    def values(self, name: str, sizes: Iterable[int]) -> Iterator[bytes]:
        """The bytes of `values.bin` or `edges.bin`, split into pieces of these sizes."""
        with open(self.folder / name, "rb") as file:
            for size in sizes:
                yield file.read(size)

    def close(self) -> None:
        """Close the part and keep it, so that it can be resumed."""
        for file in self._files:
            file.close()
        self._files.clear()
        self._held.close()

    def discard(self) -> None:
        """Remove the part; it is renamed first, so that a kill never leaves half of it."""
        for file in self._files:
            file.close()
        self._files.clear()
        gone = self.target.with_name(f".{self.target.name}.{os.getpid()}.old")
        shutil.rmtree(gone, ignore_errors=True)
        try:
            os.replace(self.folder, gone)
        except OSError:
            gone = self.folder
        shutil.rmtree(gone, ignore_errors=True)
        self.close()

    def _start(self, header: Mapping[str, object], resume: bool, overwrite: bool) -> None:
        strange = sorted(own.name for own in self.folder.iterdir() if not _is_own(own))
        if strange:
            raise self._strange(strange)
        stated = self.folder / "header.json"
        if overwrite or not stated.is_file():
            stated.unlink(missing_ok=True)
            for name in ("records.bin", "values.bin", "edges.bin"):
                (self.folder / name).unlink(missing_ok=True)
            content = {"journal": VERSION, "header": header}
            write_text(stated, json.dumps(content, sort_keys=True, indent=1) + "\n")
            return
        if not resume:
            raise WsolbenchError(
                self.folder,
                found="an unfinished run",
                cure="resume it (--resume, resume=True) or start again (--overwrite)",
            )
        _compare(self.folder, _stated(stated), header)
        self._recover()

    def _strange(self, names: Sequence[str]) -> WsolbenchError:
        return WsolbenchError(
            self.folder,
            found=f"files that wsolbench did not write ({some(names)})",
            cure="move the folder away; wsolbench needs its name",
        )

    def _recover(self) -> None:
        records = self.folder / "records.bin"
        for name in ("records.bin", "values.bin", "edges.bin"):
            (self.folder / name).touch()
        with (
            open(records, "rb") as file,
            open(self.folder / "values.bin", "rb") as values,
            open(self.folder / "edges.bin", "rb") as edges,
        ):
            while len(raw := file.read(RECORD.itemsize)) == RECORD.itemsize:
                record = np.frombuffer(raw, dtype=RECORD)[0]
                # Nothing in a record means anything before its checksum is right.
                if zlib.crc32(raw[:-4]) != record["check"] or not _is_legal(record):
                    break
                size = int(record["height"]) * int(record["width"])
                size *= _itemsize(record["dtype"])
                edge_size = int(record["edges_height"]) * int(record["edges_width"])
                edge_size *= _itemsize(record["edges_dtype"])
                if not (
                    record["start"] == self.values_bytes
                    and record["edges_start"] == self.edges_bytes
                    and _crc32_of(values, size) == record["crc32"]
                    and _crc32_of(edges, edge_size) == record["edges_crc32"]
                ):
                    break
                self.values_bytes += size
                self.edges_bytes += edge_size
                if not self.written:
                    self.first = record
                self.written[record["image_id"].decode()] = None
        self._cut()

    def _cut(self) -> None:
        """Discard everything after the last complete record."""
        os.truncate(self.folder / "records.bin", len(self.written) * RECORD.itemsize)
        os.truncate(self.folder / "values.bin", self.values_bytes)
        os.truncate(self.folder / "edges.bin", self.edges_bytes)

    def _open(self, name: str) -> BinaryIO:
        file = open(self.folder / name, "ab", buffering=0)  # noqa: SIM115 - closed by close()
        self._files.append(file)
        return file

    def _make_folder(self) -> None:
        try:
            self.folder.mkdir(exist_ok=True)
        except FileExistsError as error:
            raise WsolbenchError(
                self.folder, found="a file", expected="a folder or nothing", cure="move it away"
            ) from error


def _stated(path: Path) -> Mapping[str, Any]:
    try:
        content = strict_json(read_bytes(path, "the header of a part", MAX_HEADER_BYTES))
        if content["journal"] == VERSION and isinstance(content["header"], dict):
            header: Mapping[str, Any] = content["header"]
            return header
    except (OSError, ValueError, KeyError, TypeError, WsolbenchError):
        pass
    raise WsolbenchError(
        path,
        found="an unfinished run of another version of wsolbench",
        cure="start again (--overwrite, overwrite=True)",
    )


def remove_part(folder: Path) -> None:
    """Remove the part of a run that nobody goes on with; files of someone else stay, and it."""
    for entry in folder.iterdir():
        if _is_own(entry):
            entry.unlink()
    with suppress(OSError):
        folder.rmdir()


def _is_own(entry: Path) -> bool:
    """Whether a file of a part may be written to: it is no link, which would lead elsewhere."""
    named = entry.name in _NAMES or entry.name.startswith(".header.json.")
    return named and not entry.is_symlink() and entry.is_file()


def _compare(folder: Path, stated: Mapping[str, Any], header: Mapping[str, object]) -> None:
    for name, value in sorted(header.items()):
        differs = field_difference(name, stated.get(name, ABSENT), value)
        if differs is not None:
            raise WsolbenchError(
                folder,
                found=f"an unfinished run with {differs[0]}",
                expected=differs[1],
                cure="resume it with its original settings, or start again (--overwrite)",
            )


def _is_legal(record: np.void) -> bool:
    """Whether a writer can have made a record: one whose checksum is right may still be forged."""
    kinds = {record["dtype"], record["edges_dtype"]}
    return kinds <= _ITEM_BYTES.keys() and is_image_id(record["image_id"].decode("latin-1"))


def _itemsize(name: bytes) -> int:
    return _ITEM_BYTES[name]


def _itemsizes(records: NDArray[np.void], field: str) -> NDArray[np.int64]:
    return np.array([_itemsize(name) for name in records[field].tolist()], dtype=np.int64)


def _crc32_of(file: BinaryIO, size: int) -> int:
    """The CRC-32 of the next bytes; -1 if the file ends before."""
    total = 0
    while size:
        piece = file.read(min(size, _PIECE))
        if not piece:
            return -1
        total = zlib.crc32(piece, total)
        size -= len(piece)
    return total


def _write_arrays(file: BinaryIO, arrays: Iterable[NDArray[Any]]) -> None:
    # Small maps are written together: a system call for each would dominate the run time.
    pending = bytearray()
    for array in arrays:
        pending += array.tobytes()
        if len(pending) >= _BUFFER:
            _write_all(file, memoryview(pending))
            pending = bytearray()
    if pending:
        _write_all(file, memoryview(pending))


def _write_all(file: BinaryIO, data: memoryview) -> None:
    while data:
        data = data[file.write(data) :]
