"""The annotation file: masks, boxes, labels and splits of one data set, in columns.

`annotations/FORMAT.md` states the format. One HDF5 file with one row per image, sorted by image id;
masks as COCO run lengths in one ragged byte array. Writing is atomic; reading is lazy and
read-only, and no file handle stays open between reads, so that a store can be shared by threads,
forked, or sent to another process.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from .. import masks
from ..errors import WsolbenchError, require_type, some
from ..files import replacing, require_file, strict_json
from ..image_ids import RULE, is_image_id
from ..images import MAX_SIDE
from ..masks import RunLengths
from ..metrics.packed import Packed
from .untrusted.limits import SIGNATURE

__all__ = [
    "FORMAT",
    "UNLABELLED",
    "Annotation",
    "AnnotationSet",
    "AnnotationStore",
    "Source",
    "find_annotations",
    "write_store",
]

FORMAT = "wsolbench-annotations"
FORMAT_VERSION = 1

UNLABELLED = -1
"""The class index of an image whose class is unknown."""

_SOURCE_FIELDS = ("file", "sha256", "licence", "citation")
_CHUNK = 1 << 16  # bytes before compression: a few hundred masks


@dataclass(frozen=True)
class Annotation:
    """The annotation of one image.

    Attributes:
        image_id: its id (see `image_ids.RULE`).
        split: "val", "test", or any other name.
        class_index: from 0; `UNLABELLED` if the class is unknown.
        mask: run lengths of the object's mask at the image's original size; empty counts if the
            image has boxes alone.
        boxes: int32 (n, 4), pixels, half-open (x0, y0, x1, y1), n may be 0.
        ignore: run lengths of the ignored pixels, or None.
    """

    image_id: str
    split: str
    class_index: int
    mask: RunLengths
    boxes: NDArray[np.int32]
    ignore: RunLengths | None = None


@dataclass(frozen=True)
class Source:
    """A file from which annotations were taken."""

    file: str
    sha256: str
    licence: str = ""
    citation: str = ""


@dataclass(frozen=True)
class AnnotationSet:
    """The content of an annotation file.

    Attributes:
        dataset: its name, e.g. "ilsvrc".
        annotations: one per image, in any order.
        classes: (WordNet id or other key, name) by class index; may be empty.
        sources: the files from which the annotations were imported.
        notes: remarks of the importer for readers: conventions, corrections, gaps.
    """

    dataset: str
    annotations: Sequence[Annotation]
    classes: Sequence[tuple[str, str]] = ()
    sources: Sequence[Source] = ()
    notes: Sequence[str] = ()


def write_store(path: str | os.PathLike[str], content: AnnotationSet) -> None:
    """Write an annotation file atomically.

    Raises:
        WsolbenchError: there is no image, ids are duplicated or malformed, a class index is out of
            range, a box is outside its image, an image has neither a mask nor a box, a mask is
            empty or has malformed run lengths, ignored pixels have another size than the mask; all
            faults together.
    """
    require_type("content", content, (AnnotationSet,), "an AnnotationSet")
    rows = sorted(content.annotations, key=lambda annotation: annotation.image_id)
    areas = _check(path, content, rows)
    columns: dict[str, NDArray[np.generic]] = {
        "image_id": np.array([row.image_id.encode() for row in rows]),
        "split": np.array([row.split.encode() for row in rows]),
        "class_index": np.array([row.class_index for row in rows], dtype=np.int32),
        "height": np.array([row.mask.height for row in rows], dtype=np.int32),
        "width": np.array([row.mask.width for row in rows], dtype=np.int32),
        "area": np.array(areas, dtype=np.int64),
        "boxes/xyxy": np.concatenate([row.boxes for row in rows]).astype(np.int32),
        "boxes/offsets": _offsets(len(row.boxes) for row in rows),
    }
    _add_ragged(columns, "rle", [row.mask.counts for row in rows])
    if any(row.ignore for row in rows):
        ignored = [row.ignore.counts if row.ignore else b"" for row in rows]
        _add_ragged(columns, "ignore", ignored)
    # HDF5 aborts the process on a full disk, so the file is built in memory and then written.
    whole = io.BytesIO()
    with h5py.File(whole, "w") as file:
        for name, column in columns.items():
            chunk = max(1, min(len(column), _CHUNK // column[:1].nbytes)) if len(column) else None
            file.create_dataset(
                name,
                data=column,
                chunks=(chunk, *column.shape[1:]) if chunk else None,
                compression="gzip" if chunk else None,
                compression_opts=6 if chunk else None,
                track_times=False,
            )
        file.attrs["format"] = FORMAT
        file.attrs["format_version"] = FORMAT_VERSION
        file.attrs["dataset"] = content.dataset
        file.attrs["content_sha256"] = _content_sha256(content.dataset, content.classes, columns)
        for name, value in (
            ("classes", [list(pair) for pair in content.classes]),
            ("sources", [asdict(source) for source in content.sources]),
            ("notes", list(content.notes)),
        ):
            # A data set, as HDF5 limits attributes to 64 KiB, and 1,000 class names come close.
            text = json.dumps(value, ensure_ascii=True, allow_nan=False).encode()
            file.create_dataset(name, data=np.frombuffer(text, dtype=np.uint8), track_times=False)
    with replacing(path) as temporary:
        temporary.write_bytes(whole.getbuffer())


class AnnotationStore:
    """An annotation file, opened for reading; columns are read on first access.

    Attributes:
        path: the file.
        dataset: the data set's name.
        stated_sha256: the content hash stored in the file; `content_sha256` verifies it.
    """

    def __init__(self, path: Path, dataset: str, length: int, stated_sha256: str) -> None:
        self.path = path
        self.dataset = dataset
        self._length = length
        self.stated_sha256 = stated_sha256

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> AnnotationStore:
        """Open an annotation file.

        Raises:
            WsolbenchError: the file is missing, truncated, not HDF5, or has another format or
                version.
        """
        file_path = require_file(
            path,
            "an annotation file",
            "name one with --annotations, or create it with wsolbench import",
        )
        with _reading(file_path) as file:
            attributes = dict(file.attrs)
            if attributes.get("format") != FORMAT:
                raise WsolbenchError(
                    file_path,
                    found=f"format {attributes.get('format', 'unstated')!r}",
                    expected=repr(FORMAT),
                    cure="name an annotation file (wsolbench import creates one)",
                )
            if attributes.get("format_version") != FORMAT_VERSION:
                raise WsolbenchError(
                    file_path,
                    found=f"format version {attributes.get('format_version')}",
                    expected=str(FORMAT_VERSION),
                    cure="import the annotations again with this version of wsolbench",
                )
            return cls(
                file_path,
                str(attributes["dataset"]),
                len(file["image_id"]),
                str(attributes["content_sha256"]),
            )

    def __len__(self) -> int:
        return self._length

    def __repr__(self) -> str:
        return f"AnnotationStore({str(self.path)!r}, {len(self)} images)"

    def __getstate__(self) -> dict[str, object]:
        kept = ("path", "dataset", "_length", "stated_sha256")
        return {name: self.__dict__[name] for name in kept}

    @cached_property
    def image_ids(self) -> list[str]:
        """The ids, ascending."""
        return [text.decode() for text in self._column("image_id").tolist()]

    @cached_property
    def splits(self) -> list[str]:
        """Each image's split."""
        return [text.decode() for text in self._column("split").tolist()]

    @cached_property
    def class_indices(self) -> NDArray[np.int32]:
        """Each image's class, int32 (n,), `UNLABELLED` if it is unknown."""
        return self._column("class_index")

    @cached_property
    def heights(self) -> NDArray[np.int32]:
        """Each image's height in pixels, int32 (n,)."""
        return self._column("height")

    @cached_property
    def widths(self) -> NDArray[np.int32]:
        """Each image's width in pixels, int32 (n,)."""
        return self._column("width")

    @cached_property
    def areas(self) -> NDArray[np.int64]:
        """Number of object pixels of each mask, int64 (n,), including ignored ones; 0 without."""
        return self._column("area")

    @cached_property
    def masked(self) -> NDArray[np.bool_]:
        """Which images have a mask, bool (n,)."""
        return np.diff(self._rle[0]) > 0

    @cached_property
    def classes(self) -> list[tuple[str, str]]:
        """(key, name) by class index; empty if the data set has no class list."""
        return [(key, name) for key, name in self._texts("classes", ("key", "name"))]

    @cached_property
    def sources(self) -> list[Source]:
        """The files from which the annotations were imported."""
        return [Source(*source) for source in self._texts("sources", _SOURCE_FIELDS)]

    @cached_property
    def notes(self) -> list[str]:
        """Remarks of the importer."""
        return [note for (note,) in self._texts("notes", ("note",))]

    @cached_property
    def content_sha256(self) -> str:
        """The SHA-256 of the logical content, computed from the columns.

        Raises:
            WsolbenchError: it differs from the one stated in the file.
        """
        names = ["image_id", "split", "class_index", "height", "width", "area"]
        names += ["boxes/xyxy", "boxes/offsets", "rle/bytes", "rle/offsets"]
        names += ["ignore/bytes", "ignore/offsets"] if self.has_ignore else []
        columns = {name: self._column(name) for name in names}
        found = _content_sha256(self.dataset, self.classes, columns)
        if found != self.stated_sha256:
            raise WsolbenchError(
                self.path,
                found=f"content of SHA-256 {found[:12]}",
                expected=f"{self.stated_sha256[:12]}, as stated in the file",
                cure="the file is damaged or was edited: import the annotations again",
            )
        return found

    @cached_property
    def has_ignore(self) -> bool:
        """Whether any image has ignored pixels."""
        with _reading(self.path) as file:
            return "ignore" in file

    def run_lengths(self, row: int) -> RunLengths:
        """The mask's run lengths; empty counts if the image has no mask."""
        offsets, counts = self._rle
        return self._run_lengths(row, counts, offsets)

    def mask(self, row: int) -> NDArray[np.bool_]:
        """The mask: bool (height, width), true on the object.

        Raises:
            WsolbenchError: the image has no mask, or a damaged one.
        """
        if not self.masked[row]:
            raise WsolbenchError(
                self.path,
                found=f"no mask of {self.image_ids[row]}, only boxes",
                cure="leave the image out, or import masks too",
            )
        return self._decoded(row, self.run_lengths(row))

    def boxes(self, row: int) -> NDArray[np.int32]:
        """The boxes: int32 (n, 4), half-open (x0, y0, x1, y1) pixels."""
        offsets, boxes = self._boxes
        return boxes[offsets[row] : offsets[row + 1]]

    @cached_property
    def box_counts(self) -> NDArray[np.int64]:
        """Number of boxes of each image, int64 (n,)."""
        return np.diff(self._boxes[0])

    def ignore(self, row: int) -> NDArray[np.bool_] | None:
        """The ignored pixels: bool (height, width), or None if the image has none."""
        ignored = self.ignore_run_lengths(row)
        return None if ignored is None else self._decoded(row, ignored)

    def ignore_run_lengths(self, row: int) -> RunLengths | None:
        """Run lengths of the ignored pixels, or None if the image has none."""
        if not self.has_ignore:
            return None
        offsets, counts = self._ignore
        return self._run_lengths(row, counts, offsets) if offsets[row + 1] > offsets[row] else None

    def packed(self, kind: str, rows: NDArray[np.int64]) -> Packed:
        """Masks, ignored pixels or boxes of some images, concatenated.

        Args:
            kind: "masks" or "ignored" for compressed run lengths (uint8; empty for an image
                without ignored pixels, all background for one without a mask), "boxes" for int32
                (m, 4).
            rows: int64 (n,), the rows of the images.
        """
        if kind == "ignored" and not self.has_ignore:
            return Packed(np.empty(0, np.uint8), np.zeros(len(rows) + 1, np.int64))
        ragged = {"masks": "_rle", "ignored": "_ignore", "boxes": "_boxes"}[kind]
        offsets, values = getattr(self, ragged)
        parts = [values[offsets[row] : offsets[row + 1]] for row in rows]
        if kind == "masks":
            parts = [
                part if part.size else self._blank(row)
                for part, row in zip(parts, rows, strict=True)
            ]
        return Packed.of(parts, values[:0])

    @cached_property
    def _rle(self) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
        return self._ragged("rle", "bytes")

    @cached_property
    def _ignore(self) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
        return self._ragged("ignore", "bytes")

    @cached_property
    def _boxes(self) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        return self._ragged("boxes", "xyxy")

    def _blank(self, row: int) -> NDArray[np.uint8]:
        counts = masks.blank(int(self.heights[row]), int(self.widths[row]))
        return np.frombuffer(counts, dtype=np.uint8)

    def _decoded(self, row: int, run_lengths: RunLengths) -> NDArray[np.bool_]:
        try:
            return masks.decode(run_lengths)
        except WsolbenchError as error:
            raise self._damaged(f"{error.found} in a mask of {self.image_ids[row]}") from error

    def _run_lengths(
        self, row: int, counts: NDArray[np.uint8], offsets: NDArray[np.int64]
    ) -> RunLengths:
        part = counts[offsets[row] : offsets[row + 1]].tobytes()
        return RunLengths(int(self.heights[row]), int(self.widths[row]), part)

    def _ragged(self, group: str, values: str) -> tuple[NDArray[np.int64], NDArray[Any]]:
        offsets = self._column(f"{group}/offsets")
        parts = self._column(f"{group}/{values}")
        sound = offsets.shape == (len(self) + 1,) and offsets[0] == 0
        if not (sound and (np.diff(offsets) >= 0).all() and offsets[-1] == len(parts)):
            raise self._damaged(f"offsets of {group} that do not match its {len(parts)} values")
        return offsets, parts

    def _column(self, name: str) -> NDArray[Any]:
        with _reading(self.path) as file:
            if name not in file:
                raise self._damaged(f"no column {name}")
            column = np.asarray(file[name][()])
        if "/" not in name and len(column) != len(self):
            raise self._damaged(f"{len(column)} values of {name} for {len(self)} images")
        return column

    def _texts(self, name: str, wanted: Sequence[str]) -> list[tuple[str, ...]]:
        """A JSON list as tuples of strings: objects by key, other items by position."""
        with _reading(self.path) as file:
            text = file[name][()].tobytes()
        try:
            rows = []
            for item in strict_json(text):
                parts = [item] if isinstance(item, str) else item
                if isinstance(parts, dict):
                    parts = [parts[key] for key in wanted if parts.keys() == set(wanted)]
                if len(parts) != len(wanted) or not all(isinstance(part, str) for part in parts):
                    raise ValueError(f"{str(item)[:40]} for {', '.join(wanted)}")
                rows.append(tuple(parts))
            return rows
        except (ValueError, TypeError) as error:
            raise self._damaged(f"malformed {name} ({error})") from error

    def _damaged(self, found: str) -> WsolbenchError:
        return WsolbenchError(
            self.path,
            found=found,
            expected="the columns of an annotation file",
            cure="the file is damaged: import the annotations again",
        )


@contextmanager
def _reading(path: Path) -> Iterator[h5py.File]:
    with open(path, "rb") as plain:
        signature = plain.read(len(SIGNATURE))
    if signature != SIGNATURE:
        raise WsolbenchError(
            path,
            found="not an HDF5 file",
            cure="name an annotation file, written by wsolbench import",
        )
    try:
        with h5py.File(path, "r") as file:
            yield file
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        raise WsolbenchError(
            path,
            found=f"a damaged HDF5 file ({error})",
            expected="an annotation file",
            cure="download it again, or import the annotations again",
        ) from error


def _check(
    path: str | os.PathLike[str], content: AnnotationSet, rows: Sequence[Annotation]
) -> list[int]:
    faults: list[str] = []
    repeated = [image for image, n in Counter(row.image_id for row in rows).items() if n > 1]
    if not is_image_id(content.dataset):
        faults.append(f"invalid data set name {content.dataset!r} ({RULE})")
    if not rows:
        faults.append("no image")
    if repeated:
        faults.append(f"{len(repeated)} duplicate ids ({some(repeated)})")
    areas: list[int] = []
    for row in rows:
        fault, area = _fault(row, len(content.classes))
        areas.append(area)
        if fault:
            faults.append(f"{row.image_id!r} {fault}")
    if faults:
        raise WsolbenchError(
            path,
            found=f"{len(faults)} faults in the annotations: {some(faults)}",
            cure="correct the input and import it again; nothing was written",
        )
    return areas


def _fault(row: Annotation, classes: int) -> tuple[str, int]:
    size = (row.mask.height, row.mask.width)
    boxes = np.asarray(row.boxes)
    if not is_image_id(row.image_id):
        return f"is not a valid image id ({RULE})", 0
    if not is_image_id(row.split):
        return f"has the invalid split {row.split!r} ({RULE})", 0
    if row.class_index < UNLABELLED or (classes and row.class_index >= classes):
        return f"has class index {row.class_index}" + (
            f" of {classes} classes" if classes else ""
        ), 0
    if boxes.ndim != 2 or boxes.shape[1:] != (4,) or boxes.dtype.kind not in "iu":
        return f"has boxes of {boxes.dtype} {boxes.shape}, not integers (n, 4)", 0
    x0, y0, x1, y1 = boxes.T
    if not ((x0 >= 0) & (y0 >= 0) & (x0 < x1) & (y0 < y1)).all() or (
        len(boxes) and (x1.max() > size[1] or y1.max() > size[0])
    ):
        return f"has a box that is empty or outside its {size[1]}x{size[0]} pixels", 0
    if not row.mask.counts:
        return _fault_without_mask(row), 0
    try:
        area = masks.area(row.mask)
        if row.ignore is not None:
            masks.runs(row.ignore)
    except WsolbenchError as error:
        return f"has malformed run lengths: {error.found}", 0
    if row.ignore is not None and (row.ignore.height, row.ignore.width) != size:
        return "has ignored pixels that differ in size from its mask", area
    if area == 0 and (row.ignore is None or masks.area(row.ignore) == 0):
        return "has an empty mask", area
    return "", area


def _fault_without_mask(row: Annotation) -> str:
    height, width = row.mask.height, row.mask.width
    if not (1 <= height <= MAX_SIDE and 1 <= width <= MAX_SIDE):
        return f"has the size {width}x{height}, not sides from 1 to {MAX_SIDE}"
    if row.ignore is not None:
        return "has ignored pixels, but no mask"
    return "" if len(row.boxes) else "has neither a mask nor a box"


def _add_ragged(
    columns: dict[str, NDArray[np.generic]], group: str, parts: Sequence[bytes]
) -> None:
    columns[f"{group}/bytes"] = np.frombuffer(b"".join(parts), dtype=np.uint8)
    columns[f"{group}/offsets"] = _offsets(len(part) for part in parts)


def _offsets(lengths: Iterable[int]) -> NDArray[np.int64]:
    return np.cumsum([0, *lengths], dtype=np.int64)


def _content_sha256(
    dataset: str, classes: Sequence[tuple[str, str]], columns: Mapping[str, NDArray[np.generic]]
) -> str:
    digest = hashlib.sha256()
    head = {"format": FORMAT, "format_version": FORMAT_VERSION, "dataset": dataset}
    named = {**head, "classes": [list(pair) for pair in classes]}
    digest.update(json.dumps(named, sort_keys=True, ensure_ascii=True).encode())
    for name in sorted(columns):
        column = columns[name]
        if column.dtype.kind == "S":
            content = b"\n".join(column.tolist())
        else:
            content = column.astype(column.dtype.newbyteorder("<"), copy=False).tobytes()
        digest.update(f"\n{name} {len(column)} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()


def find_annotations(given: str | os.PathLike[str] | None, dataset: str | None) -> Path:
    """The path of a data set's annotation file.

    It is the first of: the path given; the environment variable `WSOLBENCH_ANNOTATIONS`, either a
    file or a folder that contains `<dataset>.h5`; `annotations/<dataset>.h5` in the working folder,
    if the variable is not set. A path that is given is returned without a check.

    Args:
        given: the path that the user named, or None.
        dataset: the data set's name, which may come from an untrusted file.

    Raises:
        WsolbenchError: no path is given, and neither of the other places has a file.
    """
    require_type("annotations", given, (str, os.PathLike, type(None)), "a path or None")
    require_type("dataset", dataset, (str, type(None)), "the name of a data set or None")
    if given is not None:
        return Path(given)
    name = f"{dataset if dataset and is_image_id(dataset) else '<dataset>'}.h5"
    named = os.environ.get("WSOLBENCH_ANNOTATIONS")
    usual = Path("annotations", name)
    for place in [Path(named), Path(named, name)] if named else [usual]:
        if place.is_file():
            return place
    raise WsolbenchError(
        "annotations",
        found=f"no --annotations, WSOLBENCH_ANNOTATIONS {named or 'not set'}"
        f"{f' without {name}' if named else f', no file {usual}'}",
        expected="an annotation file in one of these places",
        cure="name it with --annotations, or make it with `wsolbench import`",
    )
