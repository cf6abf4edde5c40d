"""A folder of masks, with an optional table: the importer for a custom data set.

Masks are `<image id>.png` (`masks.read_picture` defines which pixels are object). The table is CSV
with the column image_id and any of class_index, split, height, width, x0, y0, x1, y1. Boxes are
half-open, in pixels; an image with several boxes has several rows, which must otherwise be equal.
An image without a box gets the tight box of its mask. `export.export_png` writes this layout.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...errors import WsolbenchError, some
from ...files import require_folder
from ...formats.annotations import UNLABELLED, AnnotationSet
from ...image_ids import RULE, files_under, is_image_id
from ...images import MAX_SIDE
from ...masks import MaskRule, encode, read_picture, tight_box
from ...progress import Progress
from .box_agreement import (
    CORNERS,
    KEEP,
    SIZES,
    TIGHTEN,
    Compared,
    check_agreement,
    notes_of_agreement,
    one_choice,
    other_readings,
)
from .corners import note_of_rounding, refuse_fractions
from .mask_files import (
    Box,
    MaskRecord,
    annotations_of,
    list_masks,
    read_each,
    without_object,
)
from .rounding import whole_box
from .tables import read_table, refuse, source_of, whole_number

__all__ = ["CLASS_COLUMNS", "TABLE_COLUMNS", "import_masks"]

_BOX_COLUMNS = ("x0", "y0", "x1", "y1")

TABLE_COLUMNS = ("image_id", "class_index", "split", "height", "width", *_BOX_COLUMNS)
"""The columns of the table; only the first is required."""

CLASS_COLUMNS = ("key", "name")
"""The columns of the table of classes, whose rows are ordered by class index."""


_CURES = {
    SIZES: f"convert them to corners (x1 = x0 + width, y1 = y0 + height); or {TIGHTEN}; or {KEEP}"
}
"""What to do about boxes that fit their masks by another convention."""


def import_masks(
    folder: str | os.PathLike[str],
    *,
    table: str | os.PathLike[str] | None = None,
    split: str = "val",
    dataset: str | None = None,
    ignore: str | os.PathLike[str] | None = None,
    classes: str | os.PathLike[str] | None = None,
    object_above: int | None = None,
    void: int | None = None,
    tight_boxes: bool = False,
    keep_boxes: bool = False,
    folder_ids: bool = False,
    ignore_columns: Sequence[str] = (),
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
        object_above: levels of masks above this one are object; None: see `masks.read_picture`.
        void: pixels of this level are ignored; None: there is no such level.
        tight_boxes: use the tight boxes of the masks, whatever the table says.
        keep_boxes: keep boxes that contradict their masks.
        folder_ids: read the masks in folders below `folder` too, and keep the folders in the ids:
            `val/0.png` has the id `val~0`.
        ignore_columns: further columns of the table, to be left out.
        progress: called with (masks read, masks).

    Returns:
        The annotations, sorted by id.

    Raises:
        WsolbenchError: the layout, the table or a mask is invalid, or boxes contradict their
            masks; all faults of a kind together.
    """
    rule = MaskRule(object_above, void)
    one_choice(tight_boxes, keep_boxes)
    place = require_folder(folder, "a folder of masks")
    name = place.resolve().name if dataset is None else dataset
    exported = table is None and (place / "table.csv").is_file() and (place / "masks").is_dir()
    if exported:
        table = place / "table.csv"
        ignore = place / "ignore" if ignore is None and (place / "ignore").is_dir() else ignore
        listed = place / "classes.csv"
        classes = listed if classes is None and listed.is_file() else classes
        place = place / "masks"
    pictures = [] if folder_ids else sorted(files_under(place, (".png",)))
    below = [path for path in pictures if path.parent != place]
    if below and len(below) == len(pictures):
        raise WsolbenchError(
            place,
            found=f"masks only in folders below it, such as {below[0].relative_to(place)}",
            cure="read those, with the folders in the ids: --folder-ids, in Python folder_ids=True",
        )
    files, others = list_masks(place, folder_ids=folder_ids)
    rows = {image_id: _Row() for image_id in files}
    if table is not None:
        rows = _read_rows(table, files, folder_ids, ignore_columns)
        _check_same_ids(table, place, files, rows)
    elif ignore_columns:
        raise WsolbenchError("ignore_columns", found="no table", cure="name it with --table")
    ignored = _list_ignored(ignore, files, folder_ids)
    named = [] if classes is None else _read_classes(classes)

    refuse_fractions(table, {image_id: row.boxes for image_id, row in rows.items()})

    def read(image_id: str) -> _Read:
        return _read_image(
            image_id,
            files[image_id],
            rows[image_id],
            ignored.get(image_id),
            rule,
            split=split,
            table=table,
            tight=tight_boxes,
        )

    read_images = read_each(sorted(files), read, where=place, progress=progress)
    compared = [item.compared for item in read_images if item.compared is not None]
    if not (keep_boxes or exported):
        check_agreement(table, compared, _CURES)
    _check_void(place, void, read_images)
    listed_files = [path for path in (table, classes) if path is not None]
    notes = [
        *_notes(rows, others, below, tight=tight_boxes),
        *_notes_of_levels(read_images, rule),
        *notes_of_agreement(compared),
    ]
    return AnnotationSet(
        name,
        annotations_of([item.record for item in read_images]),
        named,
        [source_of(path) for path in listed_files],
        notes,
    )


_Corners = tuple[float, float, float, float]


@dataclass
class _Row:
    """The table's data of one image."""

    split: str = ""
    class_index: int = UNLABELLED
    size: tuple[int | None, int | None] = (None, None)  # height, width
    boxes: list[_Corners] = field(default_factory=list)


@dataclass(frozen=True)
class _Read:
    """An image, its boxes beside its mask, the levels of the mask, and whether the object has all
    four corners of the image.
    """

    record: MaskRecord
    compared: Compared | None
    highest: int
    has_void: bool
    rounded: int
    framed: bool


def _read_image(
    image_id: str,
    path: Path,
    row: _Row,
    ignored: Path | None,
    rule: MaskRule,
    *,
    split: str,
    table: str | os.PathLike[str] | None,
    tight: bool,
) -> _Read:
    picture = read_picture(path, rule)
    mask = picture.mask
    _check_size(path, mask, row.size, table)
    rest = picture.ignored
    has_void = rest is not None and bool(rest.any())
    if ignored is not None:
        pixels = read_picture(ignored, MaskRule(rule.object_above)).mask
        _check_size(ignored, pixels, (mask.shape[0], mask.shape[1]), "its mask")
        rest = pixels if rest is None else rest | pixels
    if not mask.any() and (ignored is None or tight or not row.boxes):
        raise without_object(path)
    given = [] if tight else row.boxes
    wholes = [_whole(table, image_id, corners, mask) for corners in given]
    boxes = [box for box, _ in wholes] or [tight_box(mask)]
    compared = _compared(image_id, boxes, mask) if given and mask.any() else None
    kept = rest is not None and (has_void or ignored is not None)
    record = MaskRecord(
        image_id,
        row.split or split,
        row.class_index,
        encode(mask),
        boxes,
        encode(rest) if rest is not None and kept else None,
    )
    framed = bool(mask[[0, 0, -1, -1], [0, -1, 0, -1]].all()) and not mask.all()
    rounded = sum(cut for _, cut in wholes)
    return _Read(record, compared, picture.highest, has_void, rounded, framed)


def _whole(
    table: object, image_id: str, corners: _Corners, mask: NDArray[np.bool_]
) -> tuple[Box, bool]:
    """A box in whole pixels, and whether it was rounded."""
    height, width = mask.shape
    try:
        box, rounded, cut = whole_box(*corners, width, height)
    except ValueError:
        cut = True
    if cut:
        raise WsolbenchError(
            Path(f"{image_id}.png"),
            found=f"box {','.join(f'{corner:g}' for corner in corners)} in {table}",
            expected=f"corners within its {width}x{height} pixels",
            cure=f"correct the box, whose order is x0, y0, x1, y1; or {TIGHTEN}",
        )
    return box, rounded


def _compared(image_id: str, boxes: Sequence[Box], mask: NDArray[np.bool_]) -> Compared:
    """The hull of an image's boxes beside the mask of all its objects."""
    columns = list(zip(*boxes, strict=True))
    hull = (min(columns[0]), min(columns[1]), max(columns[2]), max(columns[3]))
    tight = tight_box(mask)
    size = (mask.shape[0], mask.shape[1])
    readings = other_readings(boxes[0], CORNERS, tight, size) if len(boxes) == 1 else {}
    apart = any(not mask[y0:y1, x0:x1].any() for x0, y0, x1, y1 in boxes)
    return Compared(image_id, hull, tight, apart=apart, readings=readings)


def _read_rows(
    table: str | os.PathLike[str],
    files: dict[str, Path],
    folder_ids: bool,
    ignore_columns: Sequence[str],
) -> dict[str, _Row]:
    rows: dict[str, _Row] = {}
    faults: list[str] = []
    lines = read_table(
        table,
        "a table of images",
        required=TABLE_COLUMNS[:1],
        optional=TABLE_COLUMNS[1:],
        numbers=[column for column in TABLE_COLUMNS[1:] if column != "split"],
        known_ids=files,
        folder_ids=folder_ids,
        ignored=ignore_columns,
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
        cure="number the classes from 0, and name them in a table of their own: --classes"
        if any("class_index is" in fault for fault in faults)
        else "correct the table",
    )
    return rows


def _parse(cells: dict[str, str]) -> tuple[_Row, _Corners | None, list[str]]:
    faults: list[str] = []

    def number(column: str, lowest: int) -> int | None:
        text = cells.get(column, "")
        value = whole_number(text)
        if text and (value is None or value < lowest):
            faults.append(f"{column} is {text!r}")
        return value

    label = number("class_index", UNLABELLED)
    size = (number("height", 1), number("width", 1))
    corners = [_corner(cells.get(column, "")) for column in _BOX_COLUMNS]
    faults += [
        f"{column} is {cells[column]!r}"
        for column, corner in zip(_BOX_COLUMNS, corners, strict=True)
        if corner is None and cells.get(column)
    ]
    split = "" if cells.get("split", "").lower() in ("nan", "na") else cells.get("split", "")
    if split and not is_image_id(split):
        faults.append(f"split is {split!r}")
    row = _Row(split, UNLABELLED if label is None else label, size)
    x0, y0, x1, y1 = corners
    if x0 is None or y0 is None or x1 is None or y1 is None:
        if any(cells.get(column, "") for column in _BOX_COLUMNS) and not faults:
            faults.append("a box has empty corners")
        return row, None, faults
    if x0 >= x1 or y0 >= y1:
        listed = ",".join(f"{corner:g}" for corner in (x0, y0, x1, y1))
        faults.append(
            f"the box {listed} is empty (x1 and y1 are the far corner, exclusive, "
            "not width and height)"
        )
    return row, (x0, y0, x1, y1), faults


def _corner(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 <= value <= MAX_SIDE else None


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


def _list_ignored(
    ignore: str | os.PathLike[str] | None, files: dict[str, Path], folder_ids: bool
) -> dict[str, Path]:
    if ignore is None:
        return {}
    what = "a folder of masks of ignored pixels"
    ignored, _ = list_masks(ignore, what, folder_ids=folder_ids)
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


def _check_void(place: Path, void: int | None, read_images: Sequence[_Read]) -> None:
    if void is not None and not any(item.has_void for item in read_images):
        raise WsolbenchError(
            place,
            found=f"no pixel of the void level {void} in any mask",
            cure="name the level that the masks have, or leave --void out",
        )


def _notes(
    rows: dict[str, _Row], others: list[str], below: Sequence[Path], *, tight: bool
) -> list[str]:
    notes = []
    without_box = sum(not row.boxes for row in rows.values())
    if tight and without_box < len(rows):
        notes.append(
            f"tight boxes of the masks are used for all images; the table has boxes for "
            f"{len(rows) - without_box} of them"
        )
    elif without_box:
        where = " in the table" if without_box < len(rows) else ""
        notes.append(f"{without_box} images have no box{where}; their tight boxes are used")
    if others:
        notes.append(f"other files in the folder of masks were ignored: {some(others)}")
    if below:
        notes.append(
            f"{len(below)} masks in folders below the folder of masks were not read; "
            "--folder-ids reads them"
        )
    return notes


def _notes_of_levels(read_images: Sequence[_Read], rule: MaskRule) -> list[str]:
    notes = []
    framed = sum(item.framed for item in read_images)
    if framed > 1 and 2 * framed > len(read_images):
        notes.append(
            f"{framed} of {len(read_images)} masks have the object in all four corners of the "
            "image: object and background may be swapped"
        )
    rounded = [item.record.image_id for item in read_images for _ in range(item.rounded)]
    notes += note_of_rounding(rounded, sum(len(item.record.boxes) for item in read_images))
    if rule.void is not None:
        voids = sum(item.has_void for item in read_images)
        notes.append(f"pixels of level {rule.void} are ignored, in {voids} masks")
    if rule.object_above is not None:
        notes.append(f"levels of masks above {rule.object_above} are object")
    if rule == MaskRule():
        ones = sum(item.highest == 1 for item in read_images)
        high = sum(item.highest > 1 for item in read_images)
        if ones and high:
            notes.append(
                f"level 1 marks the object in {ones} masks, and a high level such as 255 in {high}"
            )
    return notes
