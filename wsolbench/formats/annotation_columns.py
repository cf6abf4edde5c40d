"""The columns of an annotation file, read whole, compared with their hash and checked.

`annotations/FORMAT.md` states the rules. What a writer must not write, this reader refuses, since
an annotation file may come from anywhere. Run lengths are checked where they are decoded.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import WsolbenchError
from ..files import strict_json
from ..image_ids import RULE, is_image_id
from ..images import MAX_SIDE
from .untrusted.column import Column
from .untrusted.hdf5_gate import Gate
from .untrusted.limits import Bounds

__all__ = [
    "FORMAT",
    "FORMAT_VERSION",
    "UNLABELLED",
    "Columns",
    "content_sha256",
    "provenance_sha256",
    "read_columns",
]

FORMAT = "wsolbench-annotations"
FORMAT_VERSION = 1

UNLABELLED = -1
"""The class index of an image whose class is unknown."""

MAX_IMAGES = 2_000_000
"""Maximum images of a data set; OpenImages, the largest localization set, has 1.9 million."""

_ROOM = 64 << 20  # bytes of any column
_RATIO = 64  # of the bytes of larger ones and of the file: only constant columns deflate to less
_MAX_TEXT_BYTES = 16 << 20  # 100,000 names of classes
_MAX_VALUES = 1 << 40  # what counts is the bytes
_INTEGERS = ("u", "i")
_IMPORT_AGAIN = "the file is damaged or was edited: import the annotations again"
_CURE = "the file is damaged: download it again, or import the annotations again"


@dataclass(frozen=True, eq=False)
class Columns:
    """The content of an annotation file of n images; see `AnnotationStore` for the attributes.

    Of a ragged column, the values of row i are at `offsets[i]` to `offsets[i + 1]`: `masks` and
    `ignored` are uint8 run lengths, `boxes` int32 (m, 4). `ignored` is None if there are none.
    """

    dataset: str
    content_sha256: str
    image_ids: list[str]
    splits: list[str]
    class_indices: NDArray[np.int32]
    heights: NDArray[np.int32]
    widths: NDArray[np.int32]
    areas: NDArray[np.int64]
    masks: tuple[NDArray[np.int64], NDArray[np.uint8]]
    boxes: tuple[NDArray[np.int64], NDArray[np.int32]]
    ignored: tuple[NDArray[np.int64], NDArray[np.uint8]] | None
    classes: list[tuple[str, str]]
    sources: list[tuple[str, ...]]
    notes: list[str]


def read_columns(path: str | os.PathLike[str], source_fields: Sequence[str]) -> Columns:
    """Read an annotation file.

    Args:
        path: the file.
        source_fields: the keys of a source.

    Raises:
        WsolbenchError: the file is missing, no annotation file or of another version (exit status
            2); damaged, or its content differs from its hash or breaks a rule of the format (1).
    """
    cure = "name one with --annotations, or create it with wsolbench import"
    with Gate(path, "an annotation file", _CURE, cure) as gate, gate.file:
        file = gate.file.path
        _check_format(gate)
        raw = {
            "image_id": _column(gate, "image_id", ("S",), (1, MAX_IMAGES), "ids of images"),
        }
        n = len(raw["image_id"])
        raw["split"] = _column(gate, "split", ("S",), n, "names of splits")
        types = {"class_index": "<i4", "height": "<i4", "width": "<i4", "area": "<i8"}
        for name, dtype in types.items():
            raw[name] = _integers(file, name, _column(gate, name, _INTEGERS, n, "integers"), dtype)
        groups = {"rle": "bytes", "boxes": "xyxy"}
        if gate.kind("ignore") is not None:
            groups["ignore"] = "bytes"
        for group, values in groups.items():
            offsets = _column(gate, f"{group}/offsets", _INTEGERS, n + 1, "integers (N + 1,)")
            name, ends = f"{group}/{values}", (0, _MAX_VALUES)
            raw[f"{group}/offsets"] = _integers(file, f"{group}/offsets", offsets, "<i8")
            if group == "boxes":
                boxes = _column(gate, name, _INTEGERS, ends, "integers (M, 4)", across=4)
                raw[name] = _integers(file, name, boxes, "<i4")
            else:
                raw[name] = _column(gate, name, ("|u1",), ends, "uint8 (B,)")
        texts = {
            name: _column(gate, name, ("|u1",), (0, _MAX_TEXT_BYTES), "uint8, JSON").tobytes()
            for name in ("classes", "sources", "notes")
        }
        dataset = _attribute(gate, "dataset")
        stated = _attribute(gate, "content_sha256")
        said = gate.attribute("provenance_sha256")
        gate.require_little_else()
        gate.file.require_unchanged()

    classes = [(key, name) for key, name in _rows(file, "classes", texts, ("key", "name"))]
    found = content_sha256(dataset, classes, raw)
    if found != stated:
        raise _damaged(
            file,
            f"content of SHA-256 {found[:12]}",
            f"{stated[:12]}, as stated in the file",
            _IMPORT_AGAIN,
        )
    found_said = provenance_sha256(texts["sources"], texts["notes"])
    if said not in (None, found_said):  # files of older versions state none
        raise _damaged(
            file,
            f"sources and notes of SHA-256 {found_said[:12]}",
            f"{str(said)[:12]}, as stated in the file",
            _IMPORT_AGAIN,
        )
    columns = Columns(
        dataset,
        found,
        _texts(raw["image_id"]),
        _texts(raw["split"]),
        raw["class_index"],
        raw["height"],
        raw["width"],
        raw["area"],
        (raw["rle/offsets"], raw["rle/bytes"]),
        (raw["boxes/offsets"], raw["boxes/xyxy"]),
        (raw["ignore/offsets"], raw["ignore/bytes"]) if "ignore" in groups else None,
        classes,
        _rows(file, "sources", texts, source_fields),
        [note for (note,) in _rows(file, "notes", texts, ("note",))],
    )
    fault = _fault(columns)
    if fault:
        raise _damaged(file, fault, "the rules of annotations/FORMAT.md")
    return columns


def content_sha256(
    dataset: str, classes: Sequence[tuple[str, str]], columns: Mapping[str, NDArray[np.generic]]
) -> str:
    """The SHA-256 of the logical content, as `annotations/FORMAT.md` defines it.

    Args:
        dataset: the name of the data set.
        classes: (key, name) by class index.
        columns: every column by its name in the file.
    """
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


def provenance_sha256(sources: bytes, notes: bytes) -> str:
    """The SHA-256 of where annotations come from: both texts, each ended by a line feed."""
    return hashlib.sha256(sources + b"\n" + notes + b"\n").hexdigest()


def _check_format(gate: Gate) -> None:
    for name, wanted, cure in (
        ("format", FORMAT, "name an annotation file (wsolbench import creates one)"),
        ("format_version", FORMAT_VERSION, "import the annotations again with this wsolbench"),
    ):
        found = gate.attribute(name)
        if found != wanted:
            stated = "unstated" if found is None else repr(found)
            raise WsolbenchError(
                gate.file.path,
                found=f"{name.replace('_', ' ')} {stated}",
                expected=repr(wanted),
                cure=cure,
            )


def _attribute(gate: Gate, name: str) -> str:
    found = gate.attribute(name)
    if not isinstance(found, str):
        raise _damaged(gate.file.path, f"no attribute {name}", "a string")
    return found


def _column(
    gate: Gate,
    name: str,
    dtypes: tuple[str, ...],
    length: int | tuple[int, int],
    meant: str,
    across: int | None = None,
) -> NDArray[Any]:
    """A column in its stored type, of which the declared bytes are bounded."""
    shape: tuple[int | tuple[int, int], ...] = (length,) if across is None else (length, across)
    words = f"{meant}, N as in image_id" if isinstance(length, int) else meant
    column: Column = gate.column(name, Bounds(dtypes, shape, words))
    size = column.dtype.itemsize * math.prod(column.shape)
    most = max(_ROOM, _RATIO * gate.file.size)
    if size > most:
        raise _damaged(
            f"{gate.file.path}: {name}", f"{size} bytes", f"at most {most} in a file of its size"
        )
    return column.all()


def _integers(file: Path, name: str, column: NDArray[Any], dtype: str) -> NDArray[Any]:
    """A column of integers in the format's own type."""
    limits = np.iinfo(dtype)
    if column.size and not limits.min <= int(column.min()) <= int(column.max()) <= limits.max:
        raise _damaged(f"{file}: {name}", "values beyond its type", limits.dtype.name)
    return column.astype(dtype)


def _texts(column: NDArray[np.bytes_]) -> list[str]:
    return [text.decode("ascii", "backslashreplace") for text in column.tolist()]


def _rows(
    file: Path, name: str, texts: Mapping[str, bytes], wanted: Sequence[str]
) -> list[tuple[str, ...]]:
    """A JSON list as tuples of strings: objects by key, other items by position."""
    try:
        rows = []
        for item in strict_json(texts[name]):
            parts = [item] if isinstance(item, str) else item
            if isinstance(parts, dict):
                parts = [parts[key] for key in wanted if parts.keys() == set(wanted)]
            if len(parts) != len(wanted) or not all(isinstance(part, str) for part in parts):
                raise ValueError(f"{str(item)[:40]} for {', '.join(wanted)}")
            rows.append(tuple(parts))
        return rows
    except (ValueError, TypeError) as error:
        raise _damaged(file, f"malformed {name} ({error})", "a list of texts") from error


def _fault(columns: Columns) -> str:
    """The first fault of the content, or nothing."""
    if not is_image_id(columns.dataset):
        return f"the invalid data set name {columns.dataset!r} ({RULE})"
    ids = columns.image_ids
    wrong = next((text for text in ids if not is_image_id(text)), None)
    if wrong is not None:
        return f"the invalid image id {wrong!r} ({RULE})"
    unsorted = next((b for a, b in itertools.pairwise(ids) if a >= b), None)
    if unsorted is not None:
        return f"{unsorted!r}, which is a duplicate or out of order"
    split = next((text for text in sorted(set(columns.splits)) if not is_image_id(text)), None)
    if split is not None:
        return f"the invalid split {split!r} ({RULE})"
    ragged: dict[str, tuple[NDArray[np.int64], NDArray[Any]] | None] = {
        "rle": columns.masks,
        "boxes": columns.boxes,
        "ignore": columns.ignored,
    }
    for name, column in ragged.items():
        if column is not None:
            offsets, values = column
            if offsets[0] or (np.diff(offsets) < 0).any() or offsets[-1] != len(values):
                return f"offsets of {name} that do not match its {len(values)} values"
    return _row_fault(columns) or _box_fault(columns)


def _row_fault(columns: Columns) -> str:
    heights, widths, areas = columns.heights.astype(np.int64), columns.widths, columns.areas
    masked = np.diff(columns.masks[0]) > 0
    ignored = np.zeros(len(areas), bool)
    if columns.ignored is not None:
        ignored = np.diff(columns.ignored[0]) > 0
    labels, classes = columns.class_indices, len(columns.classes)
    rules: tuple[tuple[NDArray[np.bool_], Callable[[int], str]], ...] = (
        (
            (labels < UNLABELLED) | ((labels >= classes) & (classes > 0)),
            lambda row: f"class index {labels[row]}{f' of {classes} classes' if classes else ''}",
        ),
        (
            (np.minimum(heights, widths) < 1) | (np.maximum(heights, widths) > MAX_SIDE),
            lambda row: f"the size {widths[row]}x{heights[row]}, not sides from 1 to {MAX_SIDE}",
        ),
        (
            (areas < 0) | (areas > heights * widths * masked),
            lambda row: f"{areas[row]} object pixels of {heights[row] * widths[row] * masked[row]}",
        ),
        (masked & (areas == 0) & ~ignored, lambda row: "an empty mask"),
        (~masked & ignored, lambda row: "ignored pixels, but no mask"),
        (
            ~masked & (np.diff(columns.boxes[0]) == 0),
            lambda row: "neither a mask nor a box",
        ),
    )
    for wrong, words in rules:
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            return f"{columns.image_ids[row]!r} with {words(row)}"
    return ""


def _box_fault(columns: Columns) -> str:
    offsets, boxes = columns.boxes
    rows = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    x0, y0, x1, y1 = boxes.T
    wrong = (x0 < 0) | (y0 < 0) | (x0 >= x1) | (y0 >= y1)
    wrong |= (x1 > columns.widths[rows]) | (y1 > columns.heights[rows])
    if not wrong.any():
        return ""
    place = int(np.flatnonzero(wrong)[0])
    size = f"{columns.widths[rows[place]]}x{columns.heights[rows[place]]}"
    image = columns.image_ids[rows[place]]
    return f"{image!r} with the box {boxes[place].tolist()}, empty or outside its {size} pixels"


def _damaged(where: object, found: str, expected: str, cure: str = _CURE) -> WsolbenchError:
    return WsolbenchError(where, found=found, expected=expected, cure=cure, exit_status=1)
