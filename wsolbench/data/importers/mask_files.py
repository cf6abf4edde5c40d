"""Folders of mask pictures: what is in them, and reading them many at a time.

Pillow unpacks without holding the interpreter's lock, so threads help; what is kept of a mask is
its run lengths. Boxes become arrays only when all masks are read: a small array kept between large
ones that come and go holds their memory, 45 kB a mask, which makes a gigabyte of 23,151.
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
from ...image_ids import RULE, is_image_id
from ...masks import RunLengths, tight_box
from ...progress import Progress
from .tables import refuse

__all__ = [
    "Box",
    "MaskRecord",
    "annotations_of",
    "list_masks",
    "own_box",
    "read_each",
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
    """An `Annotation` whose boxes are still plain tuples, half-open."""

    image_id: str
    split: str
    class_index: int
    mask: RunLengths
    boxes: Sequence[Box]
    ignore: RunLengths | None = None


def annotations_of(records: Sequence[MaskRecord]) -> list[Annotation]:
    """The records as annotations, their boxes as slices of one int32 array."""
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
    suffixes: Sequence[str] = (".png",),
) -> tuple[dict[str, Path], list[str]]:
    """The files `<image id>.png` of a folder, and the names of all else that lies there.

    Hidden files (a name with a leading dot) count as neither.

    Returns:
        ({image id: path} in order of ids, [other names] in order).

    Raises:
        WsolbenchError: no such folder, no such file in it, a name that is no image id, or two files
            of one id.
    """
    place = require_folder(folder, what)
    found: dict[str, Path] = {}
    others: list[str] = []
    faults: list[str] = []
    for path in sorted(place.iterdir()):
        if path.name.startswith("."):
            continue
        if path.suffix.lower() not in suffixes or path.is_dir():
            others.append(path.name)
        elif not is_image_id(path.stem):
            faults.append(f"{path.name!r}, which is no image id")
        elif path.stem in found:
            faults.append(f"{found[path.stem].name} and {path.name}")
        else:
            found[path.stem] = path
    ending = " or ".join(suffixes)
    wanted = f"<image id>{ending}"
    refuse(place, faults, expected=f"{wanted}, each id once ({RULE})", cure="rename them")
    if not found:
        raise WsolbenchError(
            place,
            found=f"no {ending} file{f' but {some(others)}' if others else ''}",
            expected=f"{what}, {wanted}",
            cure="name the folder in which the files lie",
        )
    return found, others


def read_each(
    items: Sequence[_Item],
    read: Callable[[_Item], _Outcome],
    *,
    where: object,
    progress: Progress | None = None,
) -> list[_Outcome]:
    """What `read` returns for each item, in order, computed by several threads.

    Raises:
        WsolbenchError: the one that `read` raised, or one that tells of all that it raised.
    """

    def attempt(item: _Item) -> _Outcome | WsolbenchError:
        try:
            return read(item)
        except WsolbenchError as error:
            return error

    outcomes: list[_Outcome] = []
    faults: list[WsolbenchError] = []
    threads = min(_MOST_THREADS, available_processors())
    with ThreadPoolExecutor(threads, thread_name_prefix="masks") as pool:
        for start in range(0, len(items), _BATCH):
            for outcome in pool.map(attempt, items[start : start + _BATCH]):
                if isinstance(outcome, WsolbenchError):
                    faults.append(outcome)
                else:
                    outcomes.append(outcome)
                if progress is not None:
                    progress(len(outcomes) + len(faults), len(items))
    if len(faults) == 1:
        raise faults[0]
    if faults:
        told = [f"{Path(fault.where).name} has {fault.found}" for fault in faults]
        raise WsolbenchError(
            where,
            found=f"{len(faults)} unusable masks: {some(told)}",
            expected=faults[0].expected,
            cure=faults[0].cure,
        )
    return outcomes


def own_box(path: Path, mask: NDArray[np.bool_]) -> list[Box]:
    """The mask's own tight box, half-open, alone in a list.

    Raises:
        WsolbenchError: the mask in that file has no object pixel.
    """
    if not mask.any():
        raise without_object(path)
    return [tight_box(mask)]


def without_object(path: Path) -> WsolbenchError:
    """The error for a mask that marks nothing."""
    return WsolbenchError(
        path,
        found="no object pixel",
        expected="an object",
        cure="draw the object, or leave the image out",
    )
