"""Writing submission files with constant memory, atomically, and resumable after a kill.

Maps are stored in a part next to the target (module `part`) and converted to HDF5 at the end: an
HDF5 file that is open for writing does not survive a kill, nor HDF5 a full disk (`output_file`).
"""

from __future__ import annotations

import math
import os
import zlib
from collections.abc import Iterator, Mapping, Sequence, Set
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any

import h5py
import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...errors import WsolbenchError, require_path, require_type, some
from ...files import replacing, require_target
from ...image_ids import MAX_BYTES, RULE, is_image_id
from ...metrics.map_values import array_of
from ...output_file import OutputFile
from .content import TYPES, content_sha256
from .part import HAS_BOXES, HAS_EDGES, HAS_TOP5, HAS_WINDOWS, NO_MAPS, RECORD, Journal
from .rules import (
    FORMAT,
    FORMAT_VERSION,
    MAX_ROWS,
    MAX_SIDE,
    SMALL_SIDE,
    TOP5_RULE,
    WINDOW_RULE,
    SubmissionHeader,
    bad_boxes,
    bad_top5,
    bad_windows,
    dumped,
    header_faults,
    plane_fault,
)

__all__ = ["SubmissionWriter"]

_BLOCK_BYTES = 1 << 20  # read and written at a time
_RAGGED_CHUNK_BYTES = 1 << 18  # a 375x500 uint8 map touches two chunks at most


class SubmissionWriter:
    """Writes a submission, batch by batch; use it in a `with` block.

        with SubmissionWriter("maps.h5", header) as writer:
            writer.append(["val_1", "val_2"], maps)

    Memory use does not grow with the maps; only ids are kept. The file is created or replaced when
    the block ends normally; after an exception nothing is left. Until then everything is stored in
    the folder `maps.h5.part`, which is kept if the run can be resumed: after a kill, an interrupt
    (Ctrl-C) or a full disk.

    Args:
        path: the target.
        header: the header of the submission.
        resume: resume an unfinished run, if there is one, and keep its part on any exception; skip
            the images in `written`. A finished file is not resumed: the run starts again.
        overwrite: discard an unfinished run and start again.
        inputs: what the maps are made of, e.g. hashes by name; a run is resumed only with the same.

    Raises:
        WsolbenchError: a header field is invalid; on entering, there is an unfinished run and
            neither `resume` nor `overwrite` is set, the unfinished run has other settings, or
            another process is writing; on leaving, there is no map, or the disk is full (the part
            is then kept).

    Examples:
        >>> header = wsolbench.SubmissionHeader("mini", "val", "gt", "none", {"name": "mine"})
        >>> with wsolbench.SubmissionWriter("mine.h5", header) as writer:
        ...     writer.append(["mini_val_00000"], np.ones((1, 7, 7), np.float32))
        >>> len(wsolbench.Submission.open("mine.h5"))
        1
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        header: SubmissionHeader,
        *,
        resume: bool = False,
        overwrite: bool = False,
        inputs: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        require_path("path", path, "the path of the submission to write")
        require_type("header", header, (SubmissionHeader,), "a SubmissionHeader")
        self.path = Path(path)
        self.header = header
        self._inputs = dict(inputs)
        self._resume = resume
        self._overwrite = overwrite
        self._journal: Journal | None = None
        if resume and overwrite:
            raise WsolbenchError(
                self.path,
                found="resume=True and overwrite=True",
                expected="at most one of them",
                cure="use resume to continue an unfinished run, overwrite to discard it",
            )
        faults = header_faults(header)
        if faults:
            raise faults[0].error(self.path)

    def __enter__(self) -> SubmissionWriter:
        require_target(self.path)
        stated = {**_stated(self.header), "inputs": self._inputs}
        self._journal = Journal(self.path, stated, resume=self._resume, overwrite=self._overwrite)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        journal, self._journal = self._open_journal(), None
        try:
            if kind is not None:
                interrupted = not issubclass(kind, Exception)
                if not (self._resume or interrupted or journal.is_full):
                    journal.discard()
                return
            if not journal.written:
                journal.discard()
                raise WsolbenchError(
                    self.path, found="no map was appended", cure="append at least one"
                )
            _convert(journal, self.header)
            journal.discard()
        finally:
            journal.close()

    @property
    def written(self) -> Set[str]:
        """The ids of the images stored so far, in order; a live view."""
        return self._open_journal().written.keys()

    def append(
        self,
        image_ids: Sequence[str],
        maps: ArrayLike | Sequence[ArrayLike] | None = None,
        top5: ArrayLike | None = None,
        boxes: ArrayLike | None = None,
        edges: ArrayLike | Sequence[ArrayLike] | None = None,
        windows: ArrayLike | None = None,
    ) -> None:
        """Store the maps of some images; on an error none of them is stored.

        Arrays may be NumPy arrays or PyTorch tensors on any device, also tensors that require
        gradients. bfloat16 tensors are converted to float32.

        Args:
            image_ids: (B,) ids, see `image_ids.RULE`.
            maps: (B, height, width), or B arrays (height, width) of any sizes; uint8 (value / 255),
                float16 or float32 in [0, 1]; sides 1..4096; the same dtype in all batches. None,
                in all batches or none, for a submission of edges alone.
            top5: integers (B, 5), class indices, best first, all different; the last ones are -1
                if there are fewer classes; in all batches or none.
            boxes: integers (B, 4), pixels, half-open, of methods that predict boxes directly; in
                all batches or none.
            edges: like `maps`, the probabilities of a boundary; sizes and dtype may differ from
                the maps; in all batches or none.
            windows: (B, 4), x0, y0, x1, y1 in pixels of the image: the part that each map covers,
                if the network saw a crop (see `wsolbench.centre_crop`), or the image with padding;
                at least one pixel wide and high; in all batches or none. Without them, each map
                covers its whole image.

        Raises:
            WsolbenchError: an argument is invalid (with the ids at fault), or the disk is full.
        """
        journal = self._open_journal()
        if isinstance(image_ids, str):
            raise self._refused("a single string", "a sequence of ids", "pass a list of ids")
        ids = list(image_ids)
        faults = _Faults(self.path, ids)
        if maps is None and edges is None:
            raise self._refused("neither maps nor edges", "one of them", "pass a map per image")
        if maps is None and windows is not None:
            raise self._refused(
                "windows without maps", "windows of maps", "leave them out: edges have none"
            )
        planes = None if maps is None else self._planes("maps", maps, len(ids))
        edge_planes = None if edges is None else self._planes("edges", edges, len(ids))
        five = None if top5 is None else self._integers("top5", top5, (len(ids), 5))
        corners = None if boxes is None else self._integers("boxes", boxes, (len(ids), 4))
        shown = None if windows is None else self._numbers("windows", windows, (len(ids), 4))
        if not ids:
            return
        seen: set[str] = set()
        for row, image_id in enumerate(ids):
            if not isinstance(image_id, str) or not is_image_id(image_id):
                faults.add(row, "an invalid image id", RULE)
            elif image_id in journal.written or image_id in seen:
                faults.add(row, "an id that is already stored", "each id once")
            else:
                seen.add(image_id)
        for name, part in (("map", planes or []), ("edges", edge_planes or [])):
            for row, plane in enumerate(part):
                wrong = plane_fault(plane)
                if wrong:
                    faults.add(row, f"{name} with {wrong}", "uint8, or floats in [0, 1]")
        if five is not None:
            for row in bad_top5(five):
                faults.add(row, f"top5 {five[row].tolist()}", TOP5_RULE)
        if corners is not None:
            for row in bad_boxes(corners):
                faults.add(row, f"box {corners[row].tolist()}", "0 <= x0 < x1, 0 <= y0 < y1")
        if shown is not None:
            for row in bad_windows(shown):
                faults.add(row, f"window {shown[row].tolist()}", WINDOW_RULE)
        faults.finish()

        records = np.zeros(len(ids), dtype=RECORD)
        records["image_id"] = [image_id.encode() for image_id in ids]
        has = 0
        if planes is None:
            has |= NO_MAPS
        else:
            _describe(records, planes, "")
        if edge_planes is not None:
            _describe(records, edge_planes, "edges_")
            has |= HAS_EDGES
        if five is not None:
            records["top5"] = five
            has |= HAS_TOP5
        if corners is not None:
            records["boxes"] = corners
            has |= HAS_BOXES
        if shown is not None:
            records["window"] = shown
            has |= HAS_WINDOWS
        records["has"] = has
        self._compare(journal.first if journal.written else records[0], records)
        if len(journal.written) + len(ids) > MAX_ROWS:
            raise self._refused(
                f"more than {MAX_ROWS} maps", f"at most {MAX_ROWS}", "split the submission"
            )
        journal.append(records, planes or [], edge_planes or [])

    def _open_journal(self) -> Journal:
        if self._journal is None:
            raise WsolbenchError(
                self.path,
                found="the writer is not open",
                cure="use it in a block: with SubmissionWriter(...) as writer",
            )
        return self._journal

    def _planes(
        self, name: str, given: ArrayLike | Sequence[ArrayLike], count: int
    ) -> list[NDArray[Any]]:
        try:
            # A batch in one array or tensor is converted as a whole.
            listed = given if isinstance(given, Sequence) else array_of(given)
            if isinstance(listed, np.ndarray) and listed.ndim != 3:
                raise self._refused(
                    f"{name} of shape {listed.shape}",
                    "(B, height, width)",
                    "pass one map per image",
                )
            planes = [array_of(plane) for plane in listed]
        except TypeError as error:  # nothing to go through
            raise self._refused(
                f"{name} that cannot be converted to arrays ({error})",
                "NumPy arrays or tensors",
                "convert them with numpy.asarray(...)",
            ) from error
        except WsolbenchError as error:
            if error.where != "map":
                raise
            raise self._refused(
                f"{name} that cannot be converted to arrays: {error.found}",
                error.expected,
                error.cure,
            ) from error
        if len(planes) != count:
            raise self._refused(
                f"{len(planes)} {name} for {count} ids",
                "as many as ids",
                f"pass one of the {name} per id",
            )
        return [_plain(plane) for plane in planes]

    def _integers(
        self, name: str, given: ArrayLike, shape: tuple[int, int]
    ) -> NDArray[np.integer[Any]]:
        return self._rows(name, given, shape, "iu", "integers", "numpy.int32")

    def _numbers(self, name: str, given: ArrayLike, shape: tuple[int, int]) -> NDArray[np.float64]:
        rows = self._rows(name, given, shape, "iuf", "numbers", "numpy.float64")
        return rows.astype(np.float64)

    def _rows(
        self,
        name: str,
        given: ArrayLike,
        shape: tuple[int, int],
        kinds: str,
        words: str,
        dtype: str,
    ) -> NDArray[Any]:
        try:
            array = array_of(given)
        except WsolbenchError as error:
            raise self._refused(
                f"{name} that cannot be converted to an array ({error.found})",
                f"{words} {shape}",
                "convert them with numpy.asarray(...)",
            ) from error
        if array.shape != shape or array.dtype.kind not in kinds:
            raise self._refused(
                f"{name} of {array.dtype} {array.shape}",
                f"{words} {shape}",
                f"pass one row of {name} per id, as {dtype}",
            )
        return array

    def _compare(self, first: np.void, records: NDArray[np.void]) -> None:
        for name, words in (("dtype", "maps"), ("edges_dtype", "edges")):
            wrong = np.flatnonzero((records[name] != first[name]) & (records[name] != b""))
            if first[name] and len(wrong):
                record = records[wrong[0]]
                raise WsolbenchError(
                    f"{self.path}: {record['image_id'].decode()}",
                    found=f"{words} of {np.dtype(record[name].decode())}",
                    expected=f"{np.dtype(first[name].decode())}, as in the previous batches",
                    cure="pass the same dtype in all batches",
                )
        if (first["has"] ^ records[0]["has"]) & NO_MAPS:
            here, there = "no maps", "maps"
            if first["has"] & NO_MAPS:
                here, there = there, here
            raise WsolbenchError(
                f"{self.path}: {records[0]['image_id'].decode()}",
                found=here,
                expected=f"{there}, as in the previous batches",
                cure="pass maps in all batches or in none",
            )
        for bit, name in (
            (HAS_TOP5, "top5"),
            (HAS_BOXES, "boxes"),
            (HAS_EDGES, "edges"),
            (HAS_WINDOWS, "windows"),
        ):
            if (first["has"] ^ records[0]["has"]) & bit:
                here = "no " if first["has"] & bit else ""
                there = "" if first["has"] & bit else "no "
                raise WsolbenchError(
                    f"{self.path}: {records[0]['image_id'].decode()}",
                    found=f"{here}{name}",
                    expected=f"{there}{name}, as in the previous batches",
                    cure=f"pass {name} in all batches or in none",
                )

    def _refused(self, found: str, expected: str, cure: str) -> WsolbenchError:
        return WsolbenchError(f"{self.path}: append", found=found, expected=expected, cure=cure)


class _Faults:
    """The faults of one batch, raised together."""

    def __init__(self, path: Path, ids: Sequence[object]) -> None:
        self.path = path
        self.ids = ids
        self.found: list[tuple[int, str, str]] = []

    def add(self, row: int, found: str, expected: str) -> None:
        self.found.append((row, found, expected))

    def finish(self) -> None:
        if not self.found:
            return
        row, found, expected = self.found[0]
        if len(self.found) > 1:
            listed = [
                f"{str(self.ids[row])[:MAX_BYTES]!r} has {what}" for row, what, _ in self.found
            ]
            found, expected = f"{len(listed)} faults: {some(listed)}", ""
        raise WsolbenchError(
            f"{self.path}: {str(self.ids[row])[:MAX_BYTES]!r}",
            found=found,
            expected=expected,
            cure="correct the batch; none of it was stored",
        )


def _plain(plane: NDArray[Any]) -> NDArray[Any]:
    """The same values, little-endian and in C order."""
    return np.ascontiguousarray(plane, dtype=plane.dtype.newbyteorder("<")).reshape(plane.shape)


def _describe(records: NDArray[np.void], planes: Sequence[NDArray[Any]], prefix: str) -> None:
    records[f"{prefix}dtype"] = [plane.dtype.str[1:].encode() for plane in planes]
    records[f"{prefix}height"] = [plane.shape[0] for plane in planes]
    records[f"{prefix}width"] = [plane.shape[1] for plane in planes]
    records[f"{prefix}crc32"] = [zlib.crc32(plane.data) for plane in planes]


def _stated(header: SubmissionHeader) -> dict[str, object]:
    return {
        "dataset": header.dataset,
        "split": header.split,
        "label": header.label,
        "normalisation": header.normalisation,
        "method": dict(header.method),
    }


def _convert(journal: Journal, header: SubmissionHeader) -> None:
    """Convert the part to the file, in blocks; the part is kept."""
    count = len(journal.written)
    try:
        with (
            replacing(journal.target) as temporary,
            OutputFile(temporary) as output,
            h5py.File(output, "w") as file,
        ):
            head: dict[str, object] = {
                "format": FORMAT,
                "format_version": FORMAT_VERSION,
                "dataset": header.dataset,
                "split": header.split,
                "label": header.label,
                "normalisation": header.normalisation,
                "method": dumped(header.method),
            }
            for name, value in head.items():
                file.attrs[name] = value
            file.attrs["content_sha256"] = _content_sha256(journal, head)
            _store_columns(file, journal)
            if not journal.first["has"] & NO_MAPS:
                _store_maps(file, "maps", journal, "", "values.bin", output)
            if journal.first["has"] & HAS_EDGES:
                _store_maps(file, "edges", journal, "edges_", "edges.bin", output)
    except (OSError, RuntimeError, WsolbenchError) as error:
        raise WsolbenchError(
            journal.target,
            found=f"cannot be written ({error.__cause__ or error})",
            cure=f"resume (--resume, resume=True): {count} maps are kept in {journal.folder}",
        ) from error


def _held(journal: Journal) -> dict[str, int]:
    """The columns that a part has, beside maps and edges, and the length of a row of each."""
    has = int(journal.first["has"])
    columns = {
        "image_id": (1, True),
        "crc32": (1, not has & NO_MAPS),
        "edges_crc32": (1, has & HAS_EDGES),
        "top5": (5, has & HAS_TOP5),
        "boxes": (4, has & HAS_BOXES),
        "window": (4, has & HAS_WINDOWS),
    }
    return {name: width for name, (width, wanted) in columns.items() if wanted}


def _content_sha256(journal: Journal, head: dict[str, object]) -> str:
    columns: dict[str, Iterator[NDArray[Any]]] = {
        name: _values(journal, name) for name in _held(journal)
    }
    has = int(journal.first["has"])
    for name, prefix, wanted in (
        ("maps", "", not has & NO_MAPS),
        ("edges", "edges_", has & HAS_EDGES),
    ):
        if wanted:
            head = {**head, name: np.dtype(journal.first[f"{prefix}dtype"].decode()).name}
            columns[name] = _sides(journal, prefix)
    return content_sha256(head, columns)


def _values(journal: Journal, name: str) -> Iterator[NDArray[Any]]:
    """A column of the records, in blocks."""
    for block in journal.blocks():
        yield block[name]


def _sides(journal: Journal, prefix: str) -> Iterator[NDArray[np.int32]]:
    """(height, width) of maps or edges, in blocks."""
    for block in journal.blocks():
        both = [block[f"{prefix}height"], block[f"{prefix}width"]]
        yield np.stack(both, axis=1).astype("<i4")


def _store_columns(file: h5py.File, journal: Journal) -> None:
    count = len(journal.written)
    for name, width in _held(journal).items():
        dtype = f"S{max(map(len, journal.written))}" if name == "image_id" else TYPES[name]
        shape = (count,) if width == 1 else (count, width)
        column = file.create_dataset(name, shape, dtype, track_times=False)
        done = 0
        for block in journal.blocks():
            column[done : done + len(block)] = block[name].astype(dtype)
            done += len(block)


def _store_maps(
    file: h5py.File, name: str, journal: Journal, prefix: str, source: str, output: OutputFile
) -> None:
    count = len(journal.written)
    dtype = np.dtype("<" + journal.first[f"{prefix}dtype"].decode())
    sides = {"height": (MAX_SIDE, 0), "width": (MAX_SIDE, 0)}
    for block in journal.blocks():
        for side, (low, high) in sides.items():
            column = block[prefix + side]
            sides[side] = (min(low, int(column.min())), max(high, int(column.max())))
    small = all(high <= SMALL_SIDE for _, high in sides.values())
    if all(low == high for low, high in sides.values()):
        shape = (sides["height"][0], sides["width"][0])
        chunk = None if small else 1
        _store(file, name, journal, source, dtype, (count, *shape), chunk, output)
        return
    offsets = file.create_dataset(f"{name}/offsets", (count + 1,), "<i8", track_times=False)
    shapes = file.create_dataset(f"{name}/shapes", (count, 2), "<i4", track_times=False)
    offsets[0] = 0
    done, end = 0, 0
    for both in _sides(journal, prefix):
        ends = end + np.cumsum(both.astype(np.int64).prod(axis=1))
        shapes[done : done + len(both)] = both
        offsets[done + 1 : done + 1 + len(both)] = ends
        done, end = done + len(both), int(ends[-1])
    chunk = None if small else _RAGGED_CHUNK_BYTES // dtype.itemsize
    _store(file, f"{name}/values", journal, source, dtype, (end,), chunk, output)


def _store(
    file: h5py.File,
    name: str,
    journal: Journal,
    source: str,
    dtype: np.dtype[Any],
    shape: tuple[int, ...],
    chunk: int | None,
    output: OutputFile,
) -> None:
    """Copy a file of values into a data set, deflated in chunks of `chunk` rows or contiguous.

    `chunk` divides the number of rows of a slice, or a slice is one row, so that no chunk is
    written twice.
    """
    column = file.create_dataset(
        name,
        shape,
        dtype,
        chunks=None if chunk is None else (min(chunk, shape[0]), *shape[1:]),
        compression=None if chunk is None else "gzip",
        compression_opts=None if chunk is None else 1,
        track_times=False,
    )
    row_bytes = dtype.itemsize * math.prod(shape[1:])
    step = max(1, _BLOCK_BYTES // row_bytes)
    firsts = range(0, shape[0], step)
    sizes = [min(step, shape[0] - first) * row_bytes for first in firsts]
    for first, raw in zip(firsts, journal.values(source, sizes), strict=True):
        block = np.frombuffer(raw, dtype).reshape(-1, *shape[1:])
        column[first : first + len(block)] = block
        output.require_written()
