"""A folder of masks, with an optional table: the importer for a custom data set.

Masks are `<image id>.png` (`masks.read_mask` defines which pixels are object). The table is CSV
with the column image_id and any of class_index, split, height, width, x0, y0, x1, y1. Boxes are
half-open, in pixels; an image with several boxes has several rows, which must otherwise be equal.
An image without a box gets the tight box of its mask. `export.export_png` writes this layout.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...errors import WsolbenchError, some
from ...files import require_folder
from ...formats.annotations import UNLABELLED, AnnotationSet
from ...image_ids import RULE, is_image_id
from ...masks import RunLengths, encode, read_mask
from ...progress import Progress
from .mask_files import (
    Box,
    MaskRecord,
    annotations_of,
    box_of_mask,
    list_masks,
    read_each,
    without_object,
)
from .tables import read_table, refuse, source_of, whole_number

__all__ = ["CLASS_COLUMNS", "TABLE_COLUMNS", "import_masks"]

_BOX_COLUMNS = ("x0", "y0", "x1", "y1")

TABLE_COLUMNS = ("image_id", "class_index", "split", "height", "width", *_BOX_COLUMNS)
"""The columns of the table; only the first is required."""

CLASS_COLUMNS = ("key", "name")
"""The columns of the table of classes, whose rows are ordered by class index."""


def import_masks(
    folder: str | os.PathLike[str],
    *,
    table: str | os.PathLike[str] | None = None,
    split: str = "val",
    dataset: str | None = None,
    ignore: str | os.PathLike[str] | None = None,
    classes: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> AnnotationSet:
    """Annotations from a folder of masks.

    Args:
        folder: the folder of masks `<image id>.png`; or a folder written by `export_png` (masks/,
            table.csv and optionally ignore/ and classes.csv), which then also provides the table,
            ignored pixels and classes.
        table: CSV with classes, splits, sizes and boxes; its images must be those of the masks.
        split: the split of images for which the table has none.
        dataset: the data set's name; by default the folder's name.
        ignore: a folder of masks of ignored pixels, `<image id>.png`, for some of the images.
        classes: CSV with the columns key and name, one class per row, ordered by class index.
        progress: called with (masks read, masks).

    Returns:
        The annotations, sorted by id.

    Raises:
        WsolbenchError: the layout, the table or a mask is invalid; all faults of a kind together.
    """
    place = require_folder(folder, "a folder of masks")
    name = place.resolve().name if dataset is None else dataset
    if table is None and (place / "table.csv").is_file() and (place / "masks").is_dir():
        table = place / "table.csv"
        ignore = place / "ignore" if ignore is None and (place / "ignore").is_dir() else ignore
        listed = place / "classes.csv"
        classes = listed if classes is None and listed.is_file() else classes
        place = place / "masks"
    files, others = list_masks(place)
    rows = {image_id: _Row() for image_id in files} if table is None else _read_rows(table)
    if table is not None:
        _check_same_ids(table, place, files, rows)
    ignored = _list_ignored(ignore, files)
    named = [] if classes is None else _read_classes(classes)

    def read(image_id: str) -> MaskRecord:
        row = rows[image_id]
        mask = read_mask(files[image_id])
        _check_size(files[image_id], mask, row.size, table)
        rest: RunLengths | None = None
        if image_id in ignored:
            pixels = read_mask(ignored[image_id])
            _check_size(ignored[image_id], pixels, (mask.shape[0], mask.shape[1]), "its mask")
            rest = encode(pixels)
        if rest is None and not mask.any():
            raise without_object(files[image_id])
        boxes = row.boxes or box_of_mask(files[image_id], mask)
        _check_boxes(table, image_id, boxes, mask)
        return MaskRecord(image_id, row.split or split, row.class_index, encode(mask), boxes, rest)

    records = read_each(sorted(files), read, where=place, progress=progress)
    listed_files = [path for path in (table, classes) if path is not None]
    return AnnotationSet(
        name,
        annotations_of(records),
        named,
        [source_of(path) for path in listed_files],
        _notes(rows, others),
    )


@dataclass
class _Row:
    """The table's data of one image."""

    split: str = ""
    class_index: int = UNLABELLED
    size: tuple[int | None, int | None] = (None, None)  # height, width
    boxes: list[Box] = field(default_factory=list)


def _read_rows(table: str | os.PathLike[str]) -> dict[str, _Row]:
    rows: dict[str, _Row] = {}
    faults: list[str] = []
    lines = read_table(
        table, "a table of images", required=TABLE_COLUMNS[:1], optional=TABLE_COLUMNS[1:]
    )
    columns = set(lines[0][1])
    some_corners = columns.intersection(_BOX_COLUMNS)
    if some_corners and len(some_corners) < len(_BOX_COLUMNS):
        raise WsolbenchError(
            table,
            found=f"only the box columns {', '.join(sorted(some_corners))}",
            expected="all of x0, y0, x1 and y1, or none of them",
            cure="add the missing columns",
        )
    for number, texts in lines:
        cells = {column: text.strip() for column, text in texts.items()}
        if not any(cells.values()):
            continue
        image_id = cells["image_id"]
        if not is_image_id(image_id):
            faults.append(f"line {number}: {image_id!r} is not a valid image id ({RULE})")
            continue
        row, box, wrong = _parse(cells)
        faults += [f"line {number} ({image_id}): {fault}" for fault in wrong]
        known = rows.setdefault(image_id, row)
        if known is not row:
            same = (known.split, known.class_index, known.size)
            if same != (row.split, row.class_index, row.size):
                faults.append(f"line {number}: {image_id} differs from its first row")
            elif box is None or not known.boxes:
                faults.append(f"line {number}: {image_id} has several rows, but not a box in each")
            elif box in known.boxes:
                faults.append(f"line {number}: {image_id} has the same box twice")
        if box is not None:
            known.boxes.append(box)
    refuse(
        table,
        faults,
        expected="integers, half-open boxes, and one row per image or box",
        cure="correct the table",
    )
    return rows


def _parse(cells: dict[str, str]) -> tuple[_Row, Box | None, list[str]]:
    faults: list[str] = []

    def number(column: str, lowest: int) -> int | None:
        text = cells.get(column, "")
        value = whole_number(text)
        if text and (value is None or value < lowest):
            faults.append(f"{column} is {text!r}")
        return value

    label = number("class_index", UNLABELLED)
    size = (number("height", 1), number("width", 1))
    corners = [number(column, 0) for column in _BOX_COLUMNS]
    split = cells.get("split", "")
    if split and not is_image_id(split):
        faults.append(f"split is {split!r}")
    row = _Row(split, UNLABELLED if label is None else label, size)
    x0, y0, x1, y1 = corners
    if x0 is None or y0 is None or x1 is None or y1 is None:
        if any(cells.get(column, "") for column in _BOX_COLUMNS) and not faults:
            faults.append("a box has empty corners")
        return row, None, faults
    if x0 >= x1 or y0 >= y1:
        faults.append(f"the box {x0},{y0},{x1},{y1} is empty (half-open: x1 and y1 are exclusive)")
    return row, (x0, y0, x1, y1), faults


def _check_same_ids(
    table: str | os.PathLike[str], folder: Path, files: dict[str, Path], rows: dict[str, _Row]
) -> None:
    unlisted = [image_id for image_id in files if image_id not in rows]
    without_mask = [image_id for image_id in rows if image_id not in files]
    faults = []
    if unlisted:
        faults.append(f"no row for {len(unlisted)} masks ({some(unlisted)})")
    if without_mask:
        faults.append(f"{len(without_mask)} images without a mask ({some(without_mask)})")
    refuse(
        table,
        faults,
        expected=f"the ids of the {len(files)} masks in {folder}",
        cure="add the missing rows or masks, or remove the extra ones",
    )


def _list_ignored(ignore: str | os.PathLike[str] | None, files: dict[str, Path]) -> dict[str, Path]:
    if ignore is None:
        return {}
    ignored, _ = list_masks(ignore, "a folder of masks of ignored pixels")
    strange = [image_id for image_id in ignored if image_id not in files]
    refuse(
        ignore,
        [f"{image_id}.png has no mask" for image_id in strange],
        expected="ids of images that have a mask",
        cure="remove the files, or add the masks",
    )
    return ignored


def _read_classes(path: str | os.PathLike[str]) -> list[tuple[str, str]]:
    rows = read_table(path, "a table of classes", required=CLASS_COLUMNS, optional=())
    return [(cells["key"], cells["name"]) for _, cells in rows]


def _check_size(
    path: Path,
    mask: NDArray[np.bool_],
    size: tuple[int | None, int | None],
    source: object,
) -> None:
    height, width = mask.shape
    wanted = (size[0] or height, size[1] or width)
    if wanted == (height, width):
        return
    swapped = " (width and height swapped)" if wanted == (width, height) else ""
    raise WsolbenchError(
        path,
        found=f"width {width}, height {height}{swapped}",
        expected=f"width {wanted[1]}, height {wanted[0]} as in {source}",
        cure="use the mask of the original image, or correct the size",
    )


def _check_boxes(
    table: str | os.PathLike[str] | None,
    image_id: str,
    boxes: list[Box],
    mask: NDArray[np.bool_],
) -> None:
    height, width = mask.shape
    beyond = [box for box in boxes if box[2] > width or box[3] > height]
    if beyond:
        raise WsolbenchError(
            Path(f"{image_id}.png"),
            found=f"box {','.join(map(str, beyond[0]))} in {table}",
            expected=f"corners within its {width}x{height} pixels",
            cure="correct the box; its order is x0, y0, x1, y1",
        )


def _notes(rows: dict[str, _Row], others: list[str]) -> list[str]:
    notes = []
    without_box = sum(not row.boxes for row in rows.values())
    if without_box:
        notes.append(f"{without_box} images have no box in the table; their tight boxes are used")
    if others:
        notes.append(f"other files in the folder of masks were ignored: {some(others)}")
    return notes
