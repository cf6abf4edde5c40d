"""Folders of mask pictures: listing them and reading them in parallel.

Pillow decompresses without holding the interpreter's lock, so threads help; only the run lengths of
a mask are kept. Boxes become arrays after all masks are read: a small array allocated between large
temporary ones keeps their memory alive, 45 kB per mask, which is a gigabyte for 23,151 masks.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ...errors import WsolbenchError, some
from ...files import available_processors, require_folder
from ...formats.annotations import Annotation
from ...image_ids import FOLDER_MARK, RULE, is_image_id
from ...images import open_picture
from ...masks import RunLengths, tight_box
from ...progress import Progress
from .tables import refuse

__all__ = [
    "Box",
    "MaskRecord",
    "annotations_of",
    "box_of_mask",
    "label_levels",
    "list_masks",
    "read_each",
    "summary",
    "without_object",
]

_Item = TypeVar("_Item")
_Outcome = TypeVar("_Outcome")

Box = tuple[int, int, int, int]
"""Corners x0, y0, x1, y1 in pixels."""

_BATCH = 128
_MOST_THREADS = 8


@dataclass(frozen=True)
class MaskRecord:
    """An `Annotation` whose half-open boxes are still tuples."""

    image_id: str
    split: str
    class_index: int
    mask: RunLengths
    boxes: Sequence[Box]
    ignore: RunLengths | None = None


def annotations_of(records: Sequence[MaskRecord]) -> list[Annotation]:
    """Convert records to annotations, with boxes as slices of one int32 array."""
    corners = [corner for record in records for box in record.boxes for corner in box]
    boxes = np.array(corners, dtype=np.int32).reshape(-1, 4)
    ends = accumulate(len(record.boxes) for record in records)
    return [
        Annotation(
            record.image_id,
            record.split,
            record.class_index,
            record.mask,
            boxes[end - len(record.boxes) : end],
            record.ignore,
        )
        for record, end in zip(records, ends, strict=True)
    ]


def list_masks(
    folder: str | os.PathLike[str],
    what: str = "a folder of masks",
    *,
    folder_ids: bool = False,
) -> tuple[dict[str, Path], list[str]]:
    """The files `<image id>.png` of a folder, and the names of its other files.

    Hidden files (with a leading dot in their name) are left out of both.

    Args:
        folder: the folder.
        what: description of the folder, for messages.
        folder_ids: search the folders in it too, and keep their names in the ids.

    Returns:
        ({image id: path} sorted by id, [other names] sorted).

    Raises:
        WsolbenchError: the folder is missing or has no such file, a name is not a valid image id,
            or two files have the same id.
    """
    place = require_folder(folder, what)
    found: dict[str, Path] = {}
    others: list[str] = []
    faults: list[str] = []
    for path in sorted(place.rglob("*") if folder_ids else place.iterdir()):
        name = path.relative_to(place)
        if any(part.startswith(".") for part in name.parts) or (folder_ids and path.is_dir()):
            continue
        image_id = FOLDER_MARK.join(name.with_suffix("").parts)
        if path.suffix.lower() != ".png" or path.is_dir():
            others.append(str(name))
        elif not is_image_id(image_id):
            faults.append(f"{str(name)!r} is not a valid image id")
        elif image_id in found:
            faults.append(f"{found[image_id].relative_to(place)} and {name}")
        else:
            found[image_id] = path
    wanted = "<image id>.png"
    refuse(place, faults, expected=f"{wanted}, each id once ({RULE})", cure="rename the files")
    if not found:
        raise WsolbenchError(
            place,
            found=f"no .png file{f', only {some(others)}' if others else ''}",
            expected=f"{what}, {wanted}",
            cure="name the folder that contains the files",
        )
    return dict(sorted(found.items())), others


def read_each(
    items: Sequence[_Item],
    read: Callable[[_Item], _Outcome],
    *,
    where: object,
    kind: str = "masks",
    progress: Progress | None = None,
) -> list[_Outcome]:
    """Call `read` on each item in several threads; return the results in order.

    Args:
        items: what to read.
        read: reads one of them.
        where: their folder, for messages.
        kind: what they are, for messages.
        progress: called with (items read, items).

    Raises:
        WsolbenchError: the error that `read` raised, or a summary if it raised several.
    """

    def attempt(item: _Item) -> _Outcome | WsolbenchError:
        try:
            return read(item)
        except WsolbenchError as error:
            return error

    outcomes: list[_Outcome] = []
    faults: list[WsolbenchError] = []
    threads = min(_MOST_THREADS, available_processors())
    with ThreadPoolExecutor(threads, thread_name_prefix="read") as pool:
        for start in range(0, len(items), _BATCH):
            for outcome in pool.map(attempt, items[start : start + _BATCH]):
                if isinstance(outcome, WsolbenchError):
                    faults.append(outcome)
                else:
                    outcomes.append(outcome)
                if progress is not None:
                    progress(len(outcomes) + len(faults), len(items))
    if faults:
        raise summary(where, faults, kind)
    return outcomes


def summary(where: object, faults: Sequence[WsolbenchError], kind: str) -> WsolbenchError:
    """One error for the faults of several files; `kind` names them, e.g. "masks"."""
    if len(faults) == 1:
        return faults[0]
    listed = [f"{Path(fault.where).name} ({fault.found})" for fault in faults]
    return WsolbenchError(
        where,
        found=f"{len(faults)} unusable {kind}: {some(listed)}",
        expected=faults[0].expected,
        cure=faults[0].cure,
    )


def label_levels(path: Path) -> NDArray[np.uint8]:
    """The labels of a PNG file of 8 bits, (height, width): palette indices, or grey levels.

    Raises:
        WsolbenchError: the file is damaged, or has colours or another depth.
    """
    picture = open_picture(path, formats=("PNG",))
    if picture.mode not in ("L", "P"):
        raise WsolbenchError(
            path,
            found=f"a picture of mode {picture.mode}",
            expected="labels as a palette's indices or as 8-bit grey levels",
            cure="unpack the published files again, and save them by no other program",
        )
    return np.array(picture, dtype=np.uint8)


def box_of_mask(path: Path, mask: NDArray[np.bool_]) -> list[Box]:
    """The mask's half-open tight box, as a list of one box.

    Raises:
        WsolbenchError: the mask has no object pixel.
    """
    if not mask.any():
        raise without_object(path)
    return [tight_box(mask)]


def without_object(path: Path) -> WsolbenchError:
    """The error for a mask without any object pixel."""
    return WsolbenchError(
        path,
        found="no object pixel",
        cure="draw the object, or leave the image out",
    )
