"""The submission file: the localization maps of a method for the images of one split.

`docs/submission-format.md` defines the format. Writing uses constant memory, is atomic and can be
resumed; reading treats the file as untrusted: `hdf5_gate` checks its structure, values are compared
with their checksums, and nothing is repaired.

Conventions: axes (height, width); maps uint8 (value / 255), float16 or float32 in [0, 1], of any
resolution; boxes (x0, y0, x1, y1) in pixels, half-open, int32; the images in any order.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ...errors import WsolbenchError
from ...files import strict_json
from ...image_ids import MAX_BYTES, RULE, is_image_id
from ...progress import Progress
from ..untrusted.hdf5_gate import MAX_ATTRIBUTE_BYTES, Bounds, ByteFile, Column, Gate
from .rules import (
    DTYPES,
    FORMAT,
    FORMAT_VERSION,
    LABELS,
    MAX_METHOD_BYTES,
    MAX_NAME,
    MAX_ROWS,
    MAX_SIDE,
    MAX_TEXT,
    TOP5_RULE,
    Fault,
    SubmissionHeader,
    bad_boxes,
    bad_top5,
    header_faults,
    plane_fault,
    raised,
)
from .writer import SubmissionWriter

if TYPE_CHECKING:
    from ..annotations import AnnotationStore

__all__ = [
    "FORMAT",
    "FORMAT_VERSION",
    "LABELS",
    "Fault",
    "Submission",
    "SubmissionHeader",
    "SubmissionWriter",
    "validate",
]

FAULTS_PER_KIND = 1000
"""Maximum faults of one kind that `validate` lists; the others are only counted."""

_WHAT = "a submission (HDF5)"
_CURE = "write the file again, as described in docs/submission-format.md"
_BLOCK_BYTES = 8 << 20  # read or written at a time

_T = TypeVar("_T")


class Submission:
    """A submission file, opened for reading by `Submission.open`.

    It can be read from several threads and after a fork. It is pickled as its path and opens the
    file again when unpickled. No HDF5 handle stays open.

    Attributes:
        path: the file.
        header: its header.
        image_ids: (N,) in the order of the file.
        shapes: int64 (N, 2), (height, width) of each map.
        dtype: dtype of the maps: uint8, float16 or float32.
        top5: int32 (N, 5) class indices, best first, -1 for no class; or None.
        boxes: int32 (N, 4), half-open (x0, y0, x1, y1) pixels, or None.
        edge_shapes: int64 (N, 2), or None if there are no edges.
    """

    def __init__(self, scan: _Scan) -> None:
        if scan.faults or scan.header is None or scan.image_ids is None or scan.maps is None:
            scan.file.close()
            raise raised(scan.file.path, scan.faults)
        self.path = scan.file.path
        self.header = scan.header
        self.image_ids = scan.image_ids
        self.shapes = scan.maps.shapes
        self.dtype = scan.maps.dtype
        self.top5 = scan.top5
        self.boxes = scan.boxes
        self.edge_shapes = None if scan.edges is None else scan.edges.shapes
        self._file = scan.file
        self._maps = scan.maps
        self._edges = scan.edges
        self._crc32 = scan.crc32

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Submission:
        """Open a submission and check its structure, header, ids, top5 and boxes.

        Raises:
            WsolbenchError: the file is missing or not HDF5 (exit status 2), or has faults (1).
        """
        return cls(_scan(path))

    def __len__(self) -> int:
        return len(self.image_ids)

    def __repr__(self) -> str:
        return f"Submission({str(self.path)!r}, {len(self)} maps)"

    def __enter__(self) -> Submission:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[Callable[[str, int], Submission], tuple[str, int]]:
        return _reopen, (str(self.path), self._file.size)

    def close(self) -> None:
        """Close the file; its maps can no longer be read."""
        self._file.close()

    def read(self, rows: Sequence[int]) -> list[NDArray[Any]]:
        """The stored maps of some rows.

        Args:
            rows: each in 0..N-1, in any order; consecutive rows are read together.

        Returns:
            One array (height, width) of `dtype` per row.

        Raises:
            WsolbenchError: a row is out of range; a map does not match its checksum, is not finite
                or exceeds [0, 1]; the file is damaged or truncated.
        """
        return self._read(self._maps, "maps", self._crc32, rows)

    def read_edges(self, rows: Sequence[int]) -> list[NDArray[Any]]:
        """The stored edges of some rows; see `read`.

        Raises:
            WsolbenchError: as in `read`, or the submission has no edges.
        """
        if self._edges is None:
            raise WsolbenchError(self.path, found="no edges", cure="write a submission with edges")
        return self._read(self._edges, "edges", None, rows)

    @cached_property
    def sha256(self) -> str:
        """The file's SHA-256 in hexadecimal."""
        digest = hashlib.sha256()
        for start in range(0, self._file.size, _BLOCK_BYTES):
            digest.update(self._file.read(start, min(_BLOCK_BYTES, self._file.size - start)).data)
        return digest.hexdigest()

    def _read(
        self, maps: _Maps, name: str, crc32: NDArray[np.uint32] | None, rows: Sequence[int]
    ) -> list[NDArray[Any]]:
        wanted = [int(row) for row in rows]
        if wanted and not 0 <= min(wanted) <= max(wanted) < len(self):
            raise WsolbenchError(
                self.path,
                found=f"rows {min(wanted)} to {max(wanted)}",
                expected=f"rows from 0 to {len(self) - 1}",
                cure="use positions in image_ids",
            )
        planes: list[NDArray[Any]] = []
        for start, stop in _runs(wanted):
            block = maps.read(start, stop)
            faults = _block_faults(name, block, start, self.image_ids, crc32)
            for fault in faults:
                raise fault.error(self.path)
            planes += block
        return planes


def validate(
    path: str | os.PathLike[str],
    store: AnnotationStore | None = None,
    split: str | None = None,
    progress: Progress | None = None,
) -> list[Fault]:
    """All faults of a submission; an empty list if it is valid.

    Args:
        path: the file.
        store: the annotations of its data set; if given, ids, splits, classes and boxes are
            compared with them.
        split: the expected split; by default the one stated in the submission.
        progress: called with (maps read, maps).

    Returns:
        The faults, in the order structure, header, columns, maps, annotations; at most
        `FAULTS_PER_KIND` of each kind, followed by one that counts the others.

    Raises:
        WsolbenchError: the file is missing or not HDF5.
    """
    scan = _scan(path)
    faults = list(scan.faults)
    try:
        for name, maps, crc32 in (("maps", scan.maps, scan.crc32), ("edges", scan.edges, None)):
            if maps is not None:
                faults += _content_faults(name, maps, crc32, scan.image_ids, progress)
    finally:
        scan.file.close()
    if split is not None and scan.header is not None and scan.header.split != split:
        faults.append(
            Fault(
                "split",
                "attribute split",
                f"a submission for the split {scan.header.split!r}",
                repr(split),
                f"score it on {scan.header.split!r}, or make maps for {split!r}",
            )
        )
    if store is not None:
        faults += _store_faults(scan, store, split)
    return _capped(faults)


# Reading


@dataclass(frozen=True, eq=False)
class _Maps:
    """Maps or edges in either layout; `starts` (N + 1) is None in the dense one."""

    column: Column
    shapes: NDArray[np.int64]
    starts: NDArray[np.int64] | None = None

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.column.dtype

    def read(self, start: int, stop: int) -> list[NDArray[Any]]:
        if self.starts is None:
            return list(self.column.rows(start, stop))
        first = int(self.starts[start])
        values = self.column.rows(first, int(self.starts[stop]))
        ends = self.starts[start : stop + 1] - first
        return [
            values[low:high].reshape(height, width)
            for low, high, (height, width) in zip(
                ends[:-1].tolist(), ends[1:].tolist(), self.shapes[start:stop].tolist(), strict=True
            )
        ]

    def blocks(self) -> Iterator[tuple[int, int]]:
        """Ranges of rows with at most `_BLOCK_BYTES`, but at least one row."""
        sizes = self.shapes[:, 0] * self.shapes[:, 1] * self.dtype.itemsize
        start, total = 0, 0
        for row, size in enumerate(sizes.tolist()):
            if row > start and total + size > _BLOCK_BYTES:
                yield start, row
                start, total = row, 0
            total += size
        yield start, len(sizes)


@dataclass
class _Scan:
    """The readable content of a file and its faults."""

    file: ByteFile
    faults: list[Fault] = field(default_factory=list)
    header: SubmissionHeader | None = None
    image_ids: list[str] | None = None
    maps: _Maps | None = None
    crc32: NDArray[np.uint32] | None = None
    top5: NDArray[np.int32] | None = None
    boxes: NDArray[np.int32] | None = None
    edges: _Maps | None = None

    def attempt(self, kind: str, act: Callable[[], _T]) -> _T | None:
        """The result of `act`; None, with the fault recorded, if it raises."""
        try:
            return act()
        except WsolbenchError as error:
            prefix = str(self.file.path)
            where = error.where.removeprefix(prefix).removeprefix(": ")
            self.faults.append(Fault(kind, where, error.found, error.expected, error.cure))
            return None


def _reopen(path: str, size: int) -> Submission:
    submission = Submission.open(path)
    found = submission._file.size
    if found != size:
        submission.close()
        raise WsolbenchError(
            path,
            found=f"{found} bytes",
            expected=f"{size} bytes, as when it was first opened",
            cure="do not change the file while it is read",
        )
    return submission


def _scan(path: str | os.PathLike[str]) -> _Scan:
    try:
        gate = Gate(path, _WHAT)
    except WsolbenchError as error:
        if error.exit_status == 2:
            raise
        # It has the signature of HDF5, but HDF5 cannot open it: a fault, not a wrong file name.
        scan = _Scan(ByteFile(path, _WHAT))
        scan.faults.append(Fault("structure", "", error.found, error.expected, error.cure))
        return scan
    scan = _Scan(gate.file)
    try:
        with gate:
            _scan_columns(scan, gate)
    except WsolbenchError as error:  # HDF5 cannot even close it
        scan.faults.append(Fault("structure", "", error.found, error.expected, error.cure))
    return scan


def _scan_columns(scan: _Scan, gate: Gate) -> None:
    if not scan.attempt("format", lambda: _check_format(gate)):
        return
    scan.attempt("format", lambda: _check_version(gate))
    scan.header = _scan_header(scan, gate)
    ids = scan.attempt(
        "structure",
        lambda: gate.column(
            "image_id",
            Bounds(("S",), ((1, MAX_ROWS),), f"(N,) fixed strings of at most {MAX_BYTES} bytes"),
        ).all(),
    )
    rows: int | tuple[int, int] = (1, MAX_ROWS) if ids is None else len(ids)
    if ids is not None:
        scan.image_ids = _scan_ids(scan, ids.tolist())
    scan.maps = scan.attempt("structure", lambda: _maps(gate, "maps", rows))
    if isinstance(rows, tuple) and scan.maps is not None:
        rows = len(scan.maps.shapes)
    if scan.attempt("structure", lambda: gate.kind("edges")):
        scan.edges = scan.attempt("structure", lambda: _maps(gate, "edges", rows))
    scan.crc32 = _optional(scan, gate, "crc32", ("<u4", ">u4"), (rows,), "uint32 (N,)")
    for name, width, bad, words in (
        ("top5", 5, bad_top5, TOP5_RULE),
        ("boxes", 4, bad_boxes, "0 <= x0 < x1, 0 <= y0 < y1, in int32"),
    ):
        column = _optional(scan, gate, name, ("u", "i"), (rows, width), f"integers (N, {width})")
        if column is None:
            continue
        wrong = bad(column)
        for row in wrong[: FAULTS_PER_KIND + 1]:
            scan.faults.append(
                _row_fault(name, name, row, scan.image_ids, str(column[row].tolist()), words)
            )
        if not wrong:
            setattr(scan, name, column.astype(np.int32))


def _check_format(gate: Gate) -> bool:
    stated = gate.attribute("format", MAX_NAME)
    if stated != FORMAT:
        raise WsolbenchError(
            "attribute format",
            found="none" if stated is None else repr(stated),
            expected=repr(FORMAT),
            cure="name a submission file (docs/submission-format.md)",
        )
    return True


def _check_version(gate: Gate) -> None:
    version = gate.attribute("format_version", MAX_NAME)
    if version != FORMAT_VERSION:
        raise WsolbenchError(
            "attribute format_version",
            found="none" if version is None else repr(version),
            expected=f"the integer {FORMAT_VERSION}",
            cure=_CURE,
        )


def _scan_header(scan: _Scan, gate: Gate) -> SubmissionHeader | None:
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


def _scan_ids(scan: _Scan, raw: list[bytes]) -> list[str]:
    ids = [text.decode("ascii", "backslashreplace") for text in raw]
    times = Counter(ids)
    for row, image_id in enumerate(ids):
        if not is_image_id(image_id):
            scan.faults.append(
                _row_fault("ids", "image_id", row, None, repr(image_id), RULE, image_id)
            )
        elif times[image_id] > 1:
            found = f"one of {times[image_id]} rows with this id"
            scan.faults.append(_row_fault("ids", "image_id", row, ids, found, "each id once"))
        if len(scan.faults) > FAULTS_PER_KIND + 10:
            break
    return ids


def _maps(gate: Gate, name: str, rows: int | tuple[int, int]) -> _Maps:
    side = (1, MAX_SIDE)
    kinds = "uint8, float16 or float32, little-endian"
    if gate.kind(name) != "group":
        meant = f"{kinds}, (N, height, width), N as in image_id, sides 1 to {MAX_SIDE}"
        column = gate.column(name, Bounds(DTYPES, (rows, side, side), meant))
        shape = np.array(column.shape[1:], dtype=np.int64)
        return _Maps(column, np.broadcast_to(shape, (column.shape[0], 2)))
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
    return _Maps(
        gate.column(f"{name}/values", Bounds(DTYPES, (int(ends[-1]),), meant)), shapes, ends
    )


def _optional(
    scan: _Scan,
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


def _content_faults(
    name: str,
    maps: _Maps,
    crc32: NDArray[np.uint32] | None,
    ids: Sequence[str] | None,
    progress: Progress | None,
) -> list[Fault]:
    faults: list[Fault] = []
    for start, stop in maps.blocks():
        try:
            faults += _block_faults(name, maps.read(start, stop), start, ids, crc32)
        except WsolbenchError:
            for row in range(start, stop):
                faults += _single_faults(name, maps, row, ids, crc32)
        if progress is not None and name == "maps":
            progress(stop, len(maps.shapes))
    return faults


def _single_faults(
    name: str, maps: _Maps, row: int, ids: Sequence[str] | None, crc32: NDArray[np.uint32] | None
) -> list[Fault]:
    try:
        return list(_block_faults(name, maps.read(row, row + 1), row, ids, crc32))
    except WsolbenchError as error:
        return [_row_fault(name, name, row, ids, error.found, error.expected)]


def _block_faults(
    name: str,
    planes: Sequence[NDArray[Any]],
    first: int,
    ids: Sequence[str] | None,
    crc32: NDArray[np.uint32] | None,
) -> Iterator[Fault]:
    for row, plane in enumerate(planes, first):
        if crc32 is not None and zlib.crc32(plane.data) != crc32[row]:
            yield _row_fault(
                "crc32",
                name,
                row,
                ids,
                f"CRC-32 {zlib.crc32(plane.data):08x}",
                f"{int(crc32[row]):08x} as in crc32",
                cure="the file is damaged: download or write it again",
            )
        elif wrong := plane_fault(plane):
            yield _row_fault(
                name,
                name,
                row,
                ids,
                wrong,
                "finite values in [0, 1]",
                cure="normalise before writing",
            )


def _row_fault(
    kind: str,
    name: str,
    row: int,
    ids: Sequence[str] | None,
    found: str,
    expected: str,
    image_id: str | None = None,
    cure: str = _CURE,
) -> Fault:
    image_id = image_id if ids is None else ids[row]
    known = f" ({image_id})" if image_id is not None and is_image_id(image_id) else ""
    return Fault(kind, f"{name} row {row}{known}", found, expected, cure, image_id, row)


def _store_faults(scan: _Scan, store: AnnotationStore, split: str | None) -> list[Fault]:
    faults: list[Fault] = []
    header = scan.header
    if header is not None and header.dataset != store.dataset:
        faults.append(
            Fault(
                "header",
                "attribute dataset",
                repr(header.dataset),
                f"{store.dataset!r}, as in the annotations",
                "name annotations of the same data set",
            )
        )
        if not set(scan.image_ids or ()) & set(store.image_ids):
            return faults  # one cause, so not a fault for every image
    wanted = split or (header.split if header is not None else None)
    splits = sorted(set(store.splits))
    if wanted is not None and wanted not in splits:
        faults.append(
            Fault(
                "split",
                "attribute split" if split is None else "split",
                repr(wanted),
                f"one of {', '.join(map(repr, splits))} in the annotations",
                "name another split or other annotations",
            )
        )
        wanted = None
    place = {image_id: at for at, image_id in enumerate(store.image_ids)}
    if scan.image_ids is not None:
        faults += _membership_faults(scan.image_ids, store, place, wanted)
        faults += _range_faults(scan, store, place)
    return faults


def _membership_faults(
    ids: Sequence[str], store: AnnotationStore, place: Mapping[str, int], split: str | None
) -> list[Fault]:
    homes = Counter(store.splits[place[image_id]] for image_id in ids if image_id in place)
    if split is not None and homes and split not in homes:
        others = ", ".join(f"{count} of {name!r}" for name, count in sorted(homes.items()))
        return [
            Fault(
                "split",
                "image_id",
                f"only maps of other splits ({others})",
                f"the {sum(name == split for name in store.splits)} images of {split!r}",
                f"score it on {homes.most_common(1)[0][0]!r}, or make maps for {split!r}",
            )
        ]
    faults: list[Fault] = []
    for row, image_id in enumerate(ids):
        if image_id not in place:
            found = f"{image_id!r}, which is not in the annotations"
        elif split is not None and store.splits[place[image_id]] != split:
            found = f"an image of the split {store.splits[place[image_id]]!r}"
        else:
            continue
        expected = "images of the annotations" if split is None else f"images of {split!r}"
        faults.append(
            _row_fault("unknown-id", "image_id", row, ids, found, expected, cure="leave it out")
        )
    present = set(ids)
    for image_id, home in zip(store.image_ids, store.splits, strict=True):
        if home == split and image_id not in present:
            faults.append(
                Fault(
                    "missing-id",
                    "image_id",
                    f"no map of {image_id}",
                    f"one for each image of {split!r}",
                    "make it, or evaluate with --allow-missing",
                    image_id,
                )
            )
    return faults


def _range_faults(scan: _Scan, store: AnnotationStore, place: Mapping[str, int]) -> Iterator[Fault]:
    ids = scan.image_ids or []
    classes = len(store.classes)
    if scan.top5 is not None and classes:
        for row in np.flatnonzero((scan.top5 >= classes).any(axis=1)).tolist():
            found, expected = str(scan.top5[row].tolist()), f"class indices below {classes}"
            yield _row_fault("top5", "top5", row, ids, found, expected)
    if scan.boxes is not None:
        heights, widths = store.heights, store.widths
        for row, (_, _, x1, y1) in enumerate(scan.boxes.tolist()):
            at = place.get(ids[row])
            if at is not None and (x1 > widths[at] or y1 > heights[at]):
                found = str(scan.boxes[row].tolist())
                expected = f"a box within {widths[at]}x{heights[at]} pixels"
                yield _row_fault("boxes", "boxes", row, ids, found, expected)


def _capped(faults: Iterable[Fault]) -> list[Fault]:
    counts = Counter[str]()
    kept: list[Fault] = []
    for fault in faults:
        counts[fault.kind] += 1
        if counts[fault.kind] <= FAULTS_PER_KIND:
            kept.append(fault)
    for kind, count in counts.items():
        if count > FAULTS_PER_KIND:
            rest = f"{count - FAULTS_PER_KIND} more faults of the kind {kind!r}"
            kept.append(Fault(kind, "", rest, "", "correct the listed ones first"))
    return kept


def _runs(rows: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Consecutive rows as (first, last + 1)."""
    for _, run in itertools.groupby(enumerate(rows), lambda pair: pair[1] - pair[0]):
        listed = [row for _, row in run]
        yield listed[0], listed[-1] + 1
