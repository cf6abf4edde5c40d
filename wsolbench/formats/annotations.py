"""The annotation file: masks, boxes, labels and splits of one data set, in columns.

`annotations/FORMAT.md` states the format. One HDF5 file with one row per image, sorted by image id;
masks as COCO run lengths in one ragged byte array. Writing is atomic. A file is read whole, once,
so that what was checked is what is used, and nothing that happens to it later matters.
"""

from __future__ import annotations

import io
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from .. import masks
from ..errors import WsolbenchError, require_type, some
from ..files import replacing
from ..image_ids import RULE, is_image_id
from ..images import MAX_SIDE
from ..masks import RunLengths
from ..metrics.packed import Packed
from .annotation_columns import (
    FORMAT,
    FORMAT_VERSION,
    UNLABELLED,
    Columns,
    content_sha256,
    provenance_sha256,
    read_columns,
)

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

    Examples:
        >>> from wsolbench import masks
        >>> mask = np.zeros((8, 9), bool)
        >>> mask[2:5, 3:7] = True
        >>> boxes = np.array([masks.tight_box(mask)], np.int32)
        >>> wsolbench.Annotation("photo-1", "val", 0, masks.encode(mask), boxes).boxes.tolist()
        [[3, 2, 7, 5]]
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

    Examples:
        >>> store = wsolbench.AnnotationStore.open("demo/mini.h5")
        >>> wsolbench.export_coco(store, "instances.json")
        >>> content = wsolbench.importer("coco")("instances.json")
        >>> content.dataset, len(content.annotations), content.classes[0]
        ('mini', 240, ('mini0', 'toy with a star'))
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
            empty or has malformed run lengths, ignored pixels have another size than the mask; a
            class, source or note is no text; all faults together.

    Examples:
        >>> from wsolbench import masks
        >>> mask = np.zeros((8, 9), bool)
        >>> mask[2:5, 3:7] = True
        >>> boxes = np.array([masks.tight_box(mask)], np.int32)
        >>> one = wsolbench.Annotation("photo-1", "val", 0, masks.encode(mask), boxes)
        >>> wsolbench.write_store("mine.h5", wsolbench.AnnotationSet("mine", [one]))
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
        file.attrs["content_sha256"] = content_sha256(content.dataset, content.classes, columns)
        texts = {
            name: json.dumps(value, ensure_ascii=True, allow_nan=False).encode()
            for name, value in (
                ("classes", [list(pair) for pair in content.classes]),
                ("sources", [asdict(source) for source in content.sources]),
                ("notes", list(content.notes)),
            )
        }
        file.attrs["provenance_sha256"] = provenance_sha256(texts["sources"], texts["notes"])
        for name, text in texts.items():
            # A data set, as HDF5 limits attributes to 64 KiB, and 1,000 class names come close.
            file.create_dataset(name, data=np.frombuffer(text, dtype=np.uint8), track_times=False)
    with replacing(path) as temporary:
        temporary.write_bytes(whole.getbuffer())


class AnnotationStore:
    """An annotation file, read whole and checked by `AnnotationStore.open`.

    It can be shared by threads and after a fork. It is pickled as its path and its hash.

    Attributes:
        path: the file.
        dataset: the data set's name.
        content_sha256: the SHA-256 of the logical content.
        image_ids: the ids, ascending.
        splits: each image's split.
        class_indices: each image's class, int32 (n,), `UNLABELLED` if it is unknown.
        heights: each image's height in pixels, int32 (n,).
        widths: each image's width in pixels, int32 (n,).
        areas: number of object pixels of each mask, int64 (n,), including ignored ones; 0 without.
        masked: which images have a mask, bool (n,).
        box_counts: number of boxes of each image, int64 (n,).
        has_ignore: whether any image has ignored pixels.
        classes: (key, name) by class index; empty if the data set has no class list.
        sources: the files from which the annotations were imported.
        notes: remarks of the importer.

    Examples:
        >>> store = wsolbench.AnnotationStore.open("demo/mini.h5")
        >>> store.image_ids[0], store.mask(0).shape, store.boxes(0).tolist()
        ('mini_test_00000', (140, 191), [[23, 5, 133, 125]])
    """

    def __init__(self, path: Path, columns: Columns) -> None:
        self.path = path
        self.dataset = columns.dataset
        self.content_sha256 = columns.content_sha256
        self.image_ids = columns.image_ids
        self.splits = columns.splits
        self.class_indices = columns.class_indices
        self.heights = columns.heights
        self.widths = columns.widths
        self.areas = columns.areas
        self.masked: NDArray[np.bool_] = np.diff(columns.masks[0]) > 0
        self.box_counts: NDArray[np.int64] = np.diff(columns.boxes[0])
        self.has_ignore = columns.ignored is not None
        self.classes = columns.classes
        self.sources = [Source(*source) for source in columns.sources]
        self.notes = columns.notes
        self._masks = columns.masks
        self._boxes = columns.boxes
        none = (np.zeros(len(columns.image_ids) + 1, np.int64), np.empty(0, np.uint8))
        self._ignored = columns.ignored or none

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> AnnotationStore:
        """Read an annotation file, compare it with its hash, and check its content.

        Raises:
            WsolbenchError: the file is missing, not HDF5, or has another format or version (exit
                status 2); it is damaged, differs from its hash, or breaks a rule of the format (1).
        """
        columns = read_columns(path, _SOURCE_FIELDS)
        return cls(Path(path), columns)

    def __len__(self) -> int:
        return len(self.image_ids)

    def __repr__(self) -> str:
        return f"AnnotationStore({str(self.path)!r}, {len(self)} images)"

    def __reduce__(self) -> tuple[Callable[[Path, str], AnnotationStore], tuple[Path, str]]:
        return _reopened, (self.path, self.content_sha256)

    def run_lengths(self, row: int) -> RunLengths:
        """The mask's run lengths; empty counts if the image has no mask."""
        return self._run_lengths(row, *self._masks)

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

    def ignore(self, row: int) -> NDArray[np.bool_] | None:
        """The ignored pixels: bool (height, width), or None if the image has none."""
        ignored = self.ignore_run_lengths(row)
        return None if ignored is None else self._decoded(row, ignored)

    def ignore_run_lengths(self, row: int) -> RunLengths | None:
        """Run lengths of the ignored pixels, or None if the image has none."""
        run_lengths = self._run_lengths(row, *self._ignored)
        return run_lengths if run_lengths.counts else None

    def packed(self, kind: str, rows: NDArray[np.int64]) -> Packed:
        """Masks, ignored pixels or boxes of some images, concatenated.

        Args:
            kind: "masks" or "ignored" for compressed run lengths (uint8; empty for an image
                without ignored pixels, all background for one without a mask), "boxes" for int32
                (m, 4).
            rows: int64 (n,), the rows of the images.
        """
        ragged: dict[str, tuple[NDArray[np.int64], NDArray[Any]]]
        ragged = {"masks": self._masks, "ignored": self._ignored, "boxes": self._boxes}
        offsets, values = ragged[kind]
        parts = [values[offsets[row] : offsets[row + 1]] for row in rows]
        if kind == "masks":
            parts = [
                part if part.size else self._blank(row)
                for part, row in zip(parts, rows, strict=True)
            ]
        return Packed.of(parts, values[:0])

    def _blank(self, row: int) -> NDArray[np.uint8]:
        counts = masks.blank(int(self.heights[row]), int(self.widths[row]))
        return np.frombuffer(counts, dtype=np.uint8)

    def _decoded(self, row: int, run_lengths: RunLengths) -> NDArray[np.bool_]:
        try:
            return masks.decode(run_lengths)
        except WsolbenchError as error:
            raise self._damaged(f"{error.found} in a mask of {self.image_ids[row]}") from error

    def _run_lengths(
        self, row: int, offsets: NDArray[np.int64], counts: NDArray[np.uint8]
    ) -> RunLengths:
        part = counts[offsets[row] : offsets[row + 1]].tobytes()
        return RunLengths(int(self.heights[row]), int(self.widths[row]), part)

    def _damaged(self, found: str) -> WsolbenchError:
        return WsolbenchError(
            self.path,
            found=found,
            expected="the columns of an annotation file",
            cure="the file is damaged: import the annotations again",
            exit_status=1,
        )


def _reopened(path: Path, content_hash: str) -> AnnotationStore:
    store = AnnotationStore.open(path)
    if store.content_sha256 != content_hash:
        raise WsolbenchError(
            path,
            found=f"content of SHA-256 {store.content_sha256[:12]}",
            expected=f"{content_hash[:12]}, as when it was first opened",
            cure="do not change the file while it is used",
            exit_status=1,
        )
    return store


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
    texts = {
        "class": (content.classes, 2, "a key and a name"),
        "source": ([tuple(vars(own).values()) for own in content.sources], 4, "texts"),
        "note": ([(own,) for own in content.notes], 1, "a text"),
    }
    for name, (held, count, wanted) in texts.items():
        for own in held:
            if len(own) != count or not all(isinstance(part, str) for part in own):
                faults.append(f"the {name} {own!r}, not {wanted}")
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

    Examples:
        >>> wsolbench.find_annotations("demo/mini.h5", "mini").name
        'mini.h5'
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
