"""The structure of a submission file: what it holds, and every fault of it.

Values of maps are not read here, but checked by `block_faults` when they are.
"""

from __future__ import annotations

import json
import os
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ...errors import WsolbenchError, one_of
from ...files import strict_json
from ...image_ids import MAX_BYTES, RULE, is_image_id
from ...metrics.map_values import map_fault
from ..annotation_columns import FORMAT as ANNOTATIONS
from ..untrusted.byte_file import ByteFile
from ..untrusted.column import Column
from ..untrusted.hdf5_gate import Gate
from ..untrusted.limits import MAX_ATTRIBUTE_BYTES, Bounds
from .content import content_sha256
from .rules import (
    DTYPES,
    FORMAT,
    LABELS,
    MAX_METHOD_BYTES,
    MAX_NAME,
    MAX_ROWS,
    MAX_SIDE,
    MAX_TEXT,
    READ_VERSIONS,
    TOP5_RULE,
    WINDOW_RULE,
    Fault,
    SubmissionHeader,
    bad_boxes,
    bad_top5,
    bad_windows,
    header_faults,
)

__all__ = [
    "BLOCK_BYTES",
    "FAULTS_PER_KIND",
    "Maps",
    "Scan",
    "block_faults",
    "in_float32",
    "row_fault",
    "scan_file",
]

FAULTS_PER_KIND = 1000
"""Maximum faults of one kind that `validate` lists; the others are only counted."""

_WHAT = "a submission (HDF5)"

_CURE = "write the file again, e.g. with wsolbench.SubmissionWriter"

BLOCK_BYTES = 8 << 20  # read or written at a time

_FLOATS = ("<f4", ">f4", "<f8", ">f8")

_T = TypeVar("_T")


@dataclass(frozen=True, eq=False)
class Maps:
    """Maps or edges in either layout; `starts` (N + 1) is None in the dense one.

    Values are read in little-endian order, doubles as doubles, so that checksums can be compared.
    """

    column: Column
    shapes: NDArray[np.int64]
    starts: NDArray[np.int64] | None = None

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the maps: uint8, float16 or float32, which doubles become once they are checked."""
        stored = self.column.dtype
        return np.dtype(np.float32 if stored.itemsize == 8 else stored.newbyteorder("<"))

    def read(self, start: int, stop: int) -> list[NDArray[Any]]:
        """The maps of these rows, unchecked."""
        if self.starts is None:
            return list(self._values(start, stop))
        first = int(self.starts[start])
        values = self._values(first, int(self.starts[stop]))
        ends = self.starts[start : stop + 1] - first
        return [
            values[low:high].reshape(height, width)
            for low, high, (height, width) in zip(
                ends[:-1].tolist(), ends[1:].tolist(), self.shapes[start:stop].tolist(), strict=True
            )
        ]

    def _values(self, start: int, stop: int) -> NDArray[Any]:
        rows = self.column.rows(start, stop)
        return rows.astype(rows.dtype.newbyteorder("<"), copy=False)

    def blocks(self) -> Iterator[tuple[int, int]]:
        """Ranges of rows with at most `BLOCK_BYTES`, but at least one row."""
        sizes = self.shapes[:, 0] * self.shapes[:, 1] * self.column.dtype.itemsize
        start, total = 0, 0
        for row, size in enumerate(sizes.tolist()):
            if row > start and total + size > BLOCK_BYTES:
                yield start, row
                start, total = row, 0
            total += size
        yield start, len(sizes)


@dataclass
class Scan:
    """The readable content of a file and its faults."""

    file: ByteFile
    faults: list[Fault] = field(default_factory=list)
    texts: dict[str, object] = field(default_factory=dict)
    header: SubmissionHeader | None = None
    image_ids: list[str] | None = None
    maps: Maps | None = None
    crc32: NDArray[np.uint32] | None = None
    top5: NDArray[np.int32] | None = None
    boxes: NDArray[np.int32] | None = None
    windows: NDArray[np.float64] | None = None
    edges: Maps | None = None
    edges_crc32: NDArray[np.uint32] | None = None
    format_version: int = 0
    content_sha256: str | None = None

    def attempt(self, kind: str, act: Callable[[], _T]) -> _T | None:
        """The result of `act`; None, with the fault recorded, if it raises."""
        try:
            return act()
        except WsolbenchError as error:
            prefix = str(self.file.path)
            where = error.where.removeprefix(prefix).removeprefix(": ")
            self.faults.append(Fault(kind, where, error.found, error.expected, error.cure))
            return None


def scan_file(path: str | os.PathLike[str]) -> Scan:
    """Everything that a file's structure says, and its faults; the file stays open.

    Raises:
        WsolbenchError: no such file, or no HDF5 file at all.
    """
    try:
        gate = Gate(path, _WHAT, _CURE)
    except WsolbenchError as error:
        if error.exit_status == 2:
            raise
        # It has the signature of HDF5, but HDF5 cannot open it: a fault, not a wrong file name.
        scan = Scan(ByteFile(path, _WHAT))
        scan.faults.append(Fault("structure", "", error.found, error.expected, error.cure))
        return scan
    scan = Scan(gate.file)
    try:
        with gate:
            _scan_columns(scan, gate)
            if not scan.faults:
                scan.attempt("structure", gate.require_little_else)
            if not scan.faults and scan.format_version > 1:
                scan.content_sha256 = scan.attempt("content", lambda: _content(scan, gate))
    except WsolbenchError as error:  # HDF5 cannot even close it
        scan.faults.append(Fault("structure", "", error.found, error.expected, error.cure))
    return scan


def _scan_columns(scan: Scan, gate: Gate) -> None:
    if not scan.attempt("format", lambda: _check_format(gate)):
        return
    scan.format_version = scan.attempt("format", lambda: _version(gate)) or 0
    scan.header = _scan_header(scan, gate)
    ids = scan.attempt(
        "structure",
        lambda: (
            gate.column(
                "image_id",
                Bounds(
                    ("S",),
                    ((1, MAX_ROWS),),
                    f"(N,) fixed strings of at most {MAX_BYTES} bytes",
                    upright=True,
                ),
            )
            .all()
            .reshape(-1)
        ),
    )
    rows: int | tuple[int, int] = (1, MAX_ROWS) if ids is None else len(ids)
    if ids is not None:
        scan.image_ids = _scan_ids(scan, ids.tolist())
    edged = scan.attempt("structure", lambda: gate.kind("edges")) is not None
    if not edged or scan.attempt("structure", lambda: gate.kind("maps")) is not None:
        scan.maps = scan.attempt("structure", lambda: _maps(gate, "maps", rows))
    if isinstance(rows, tuple) and scan.maps is not None:
        rows = len(scan.maps.shapes)
    if edged:
        scan.edges = scan.attempt("structure", lambda: _maps(gate, "edges", rows))
    if isinstance(rows, tuple) and scan.edges is not None:
        rows = len(scan.edges.shapes)
    for name in ("crc32", "edges_crc32"):
        setattr(scan, name, _optional(scan, gate, name, ("<u4", ">u4"), (rows,), "uint32 (N,)"))
    integers = ("u", "i")
    for name, width, bad, words in (
        ("top5", 5, bad_top5, TOP5_RULE),
        ("boxes", 4, bad_boxes, "0 <= x0 < x1, 0 <= y0 < y1, in int32"),
    ):
        column = _optional(scan, gate, name, integers, (rows, width), f"integers (N, {width})")
        setattr(scan, name, _sound(scan, name, column, bad, words, np.int32))
    windows = _optional(scan, gate, "window", _FLOATS, (rows, 4), "float32 or float64 (N, 4)")
    scan.windows = _sound(scan, "window", windows, bad_windows, WINDOW_RULE, np.float64)
    if windows is not None and scan.maps is None and scan.edges is not None:
        found, expected = "windows without maps", "none, since edges cover their whole images"
        scan.faults.append(Fault("structure", "window", found, expected, "delete it"))


def _sound(
    scan: Scan,
    name: str,
    column: NDArray[Any] | None,
    bad: Callable[[NDArray[Any]], list[int]],
    words: str,
    dtype: type[np.generic],
) -> NDArray[Any] | None:
    """A column that is there and has no row at fault; the faults are recorded."""
    if column is None:
        return None
    wrong = bad(column)
    for row in wrong[: FAULTS_PER_KIND + 1]:
        scan.faults.append(
            row_fault(name, name, row, scan.image_ids, str(column[row].tolist()), words)
        )
    return None if wrong else column.astype(dtype)


def _check_format(gate: Gate) -> bool:
    stated = gate.attribute("format", MAX_NAME)
    if stated != FORMAT:
        raise WsolbenchError(
            "attribute format",
            found="none" if stated is None else repr(stated),
            expected=repr(FORMAT),
            cure="this file holds annotations: name it with --annotations, not as a submission"
            if stated == ANNOTATIONS
            else "name a submission, as wsolbench predict and import-maps write them",
        )
    return True


def _version(gate: Gate) -> int:
    version = gate.attribute("format_version", MAX_NAME)
    if not isinstance(version, int) or version not in READ_VERSIONS:
        raise WsolbenchError(
            "attribute format_version",
            found="none" if version is None else repr(version),
            expected=f"the integer {one_of(READ_VERSIONS)}",
            cure=_CURE,
        )
    return version


def _content(scan: Scan, gate: Gate) -> str:
    """The hash of the content, which is the stated one.

    Raises:
        WsolbenchError: it differs, or maps or edges have no checksums.
    """
    columns: dict[str, NDArray[Any]] = {"image_id": np.array(scan.image_ids, dtype="S")}
    head = {**scan.texts, "format": FORMAT, "format_version": scan.format_version}
    for name, maps, crc32 in (
        ("maps", scan.maps, scan.crc32),
        ("edges", scan.edges, scan.edges_crc32),
    ):
        if maps is not None:
            checked = "crc32" if name == "maps" else "edges_crc32"
            if crc32 is None:
                raise WsolbenchError(
                    checked, found="nothing", expected="checksums, since version 2", cure=_CURE
                )
            head[name] = maps.column.dtype.name
            columns |= {name: maps.shapes, checked: crc32}
    rest = {"top5": scan.top5, "boxes": scan.boxes, "window": scan.windows}
    columns |= {name: column for name, column in rest.items() if column is not None}
    stated = gate.attribute("content_sha256", MAX_NAME)
    found = content_sha256(head, {name: [column] for name, column in columns.items()})
    if found != stated:
        raise WsolbenchError(
            "attribute content_sha256",
            found="none" if stated is None else f"{str(stated)[:12]}",
            expected=f"{found[:12]}, the hash of ids, header, sizes, checksums, top5 and boxes",
            cure="the file is damaged or was edited: download or write it again",
        )
    return found


def _scan_header(scan: Scan, gate: Gate) -> SubmissionHeader | None:
    texts: dict[str, str] = {}
    for name in ("dataset", "split", "label", "normalisation", "method"):
        limit = MAX_METHOD_BYTES if name == "method" else 4 * MAX_TEXT
        limit = min(limit, MAX_ATTRIBUTE_BYTES)
        before = len(scan.faults)
        value = scan.attempt("header", partial(gate.attribute, name, limit))
        if isinstance(value, str):
            texts[name] = value
        elif len(scan.faults) == before:
            found = "none" if value is None else "an integer"
            scan.faults.append(Fault("header", f"attribute {name}", found, "a string", _CURE))
    method = None
    if "method" in texts:
        method = scan.attempt("header", lambda: _method(texts["method"]))
    scan.texts = {**texts}
    # Missing fields are reported above; valid placeholders let the other fields be checked.
    header = SubmissionHeader(
        texts.get("dataset", "none"),
        texts.get("split", "none"),
        texts.get("label", LABELS[0]),
        texts.get("normalisation", "none"),
        {"name": "none"} if method is None else method,
    )
    faults = header_faults(header)
    scan.faults += faults
    complete = len(texts) == 5 and method is not None
    return header if complete and not faults else None


def _scan_ids(scan: Scan, raw: list[bytes]) -> list[str]:
    # Fortran and MATLAB pad strings with blanks, with which no id ends.
    ids = [text.rstrip(b" ").decode("ascii", "backslashreplace") for text in raw]
    times = Counter(ids)
    for row, image_id in enumerate(ids):
        if not is_image_id(image_id):
            scan.faults.append(
                row_fault("ids", "image_id", row, None, repr(image_id), RULE, image_id)
            )
        elif times[image_id] > 1:
            found = f"one of {times[image_id]} rows with this id"
            scan.faults.append(row_fault("ids", "image_id", row, ids, found, "each id once"))
        if len(scan.faults) > FAULTS_PER_KIND + 10:
            break
    return ids


def _maps(gate: Gate, name: str, rows: int | tuple[int, int]) -> Maps:
    side = (1, MAX_SIDE)
    kinds = "uint8, float16, float32 or float64"
    if gate.kind(name) != "group":
        meant = f"{kinds}, (N, height, width), N as in image_id, sides 1 to {MAX_SIDE}"
        column = gate.column(name, Bounds(DTYPES, (rows, side, side), meant))
        shape = np.array(column.shape[1:], dtype=np.int64)
        return Maps(column, np.broadcast_to(shape, (column.shape[0], 2)))
    meant = f"integers (N, 2), sides 1 to {MAX_SIDE}, N as in image_id"
    column = gate.column(f"{name}/shapes", Bounds(("u", "i"), (rows, 2), meant))
    shapes = column.all()
    wrong = np.flatnonzero(((shapes < 1) | (shapes > MAX_SIDE)).any(axis=1))
    if len(wrong):
        raise WsolbenchError(
            f"{name}/shapes",
            found=f"{len(wrong)} bad rows, such as {shapes[wrong[0]].tolist()} in row {wrong[0]}",
            expected=f"sides from 1 to {MAX_SIDE}",
            cure=_CURE,
        )
    shapes = shapes.astype(np.int64)
    ends = np.concatenate([[0], np.cumsum(shapes[:, 0] * shapes[:, 1])])
    column = gate.column(
        f"{name}/offsets", Bounds(("u", "i"), (len(shapes) + 1,), "integers (N + 1,)")
    )
    offsets = column.all()
    if not np.array_equal(offsets, ends):
        row = int(np.flatnonzero(offsets != ends)[0])
        raise WsolbenchError(
            f"{name}/offsets",
            found=f"{offsets[row]} in row {row}",
            expected=f"{ends[row]}, the sum of the preceding sizes",
            cure=_CURE,
        )
    meant = f"{kinds}, ({ends[-1]},) according to the shapes"
    return Maps(
        gate.column(f"{name}/values", Bounds(DTYPES, (int(ends[-1]),), meant)), shapes, ends
    )


def _optional(
    scan: Scan,
    gate: Gate,
    name: str,
    dtypes: tuple[str, ...],
    shape: tuple[int | tuple[int, int], ...],
    meant: str,
) -> NDArray[Any] | None:
    if not scan.attempt("structure", lambda: gate.kind(name)):
        return None
    return scan.attempt(
        "structure",
        lambda: gate.column(name, Bounds(dtypes, shape, f"{meant}, N as in image_id")).all(),
    )


def _method(text: str) -> dict[str, object]:
    def refuse(what: str) -> WsolbenchError:
        return WsolbenchError(
            "attribute method",
            found=what,
            expected="a JSON object",
            cure="write it with json.dumps",
        )

    try:
        method = strict_json(text)
        # Escaped lone surrogates are valid JSON, but cannot be encoded again.
        json.dumps(method, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise refuse(f"invalid JSON ({error})"[:100]) from error
    if not isinstance(method, dict):
        raise refuse("JSON that is not an object")
    return method


def block_faults(
    name: str,
    planes: Sequence[NDArray[Any]],
    first: int,
    ids: Sequence[str] | None,
    crc32: NDArray[np.uint32] | None,
) -> Iterator[Fault]:
    """Faults of the values of some maps: their checksums, then their types and ranges."""
    for row, plane in enumerate(planes, first):
        if crc32 is not None and zlib.crc32(plane.data) != crc32[row]:
            yield row_fault(
                "crc32",
                name,
                row,
                ids,
                f"CRC-32 {zlib.crc32(plane.data):08x}",
                f"{int(crc32[row]):08x} as in {'crc32' if name == 'maps' else 'edges_crc32'}",
                cure="the file is damaged: download or write it again",
            )
        elif fault := map_fault(in_float32(plane)):
            found, expected, cure = fault
            yield row_fault(name, name, row, ids, found, expected, cure=cure)


def in_float32(plane: NDArray[Any]) -> NDArray[Any]:
    """A stored map as it is scored: doubles become float32, other types stay."""
    if plane.dtype != np.float64:
        return plane
    with np.errstate(over="ignore"):  # infinite values are refused as such
        return plane.astype(np.float32)


def row_fault(
    kind: str,
    name: str,
    row: int,
    ids: Sequence[str] | None,
    found: str,
    expected: str,
    image_id: str | None = None,
    cure: str = _CURE,
) -> Fault:
    """A fault of one row, with its image id where that is one."""
    image_id = image_id if ids is None else ids[row]
    known = f" ({image_id})" if image_id is not None and is_image_id(image_id) else ""
    return Fault(kind, f"{name} row {row}{known}", found, expected, cure, image_id, row)
