"""CUB-200-2011: birds with one mask and one box each, read from the unpacked folder.

Source: C. Wah, S. Branson, P. Welinder, P. Perona, S. Belongie, "The Caltech-UCSD Birds-200-2011
Dataset", 2011; the lists follow its README, the masks come from segmentations.tgz.

Conventions: masks are outlines of several annotators averaged into grey levels; a pixel is object
if more than half of them marked it (level > 128). Boxes are x, y, width, height and may be
fractional: their corners are rounded outwards to whole pixels, half-open, and clipped to the image.
Class indices count from 0, in the data set's order. The splits are "train" and "test".
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ...errors import WsolbenchError
from ...files import require_folder
from ...formats.annotations import AnnotationSet
from ...images import open_picture
from ...masks import FOREGROUND_ABOVE, encode
from ...progress import Progress
from .mask_files import Box, MaskRecord, annotations_of, read_each, without_object
from .tables import image_id_of, read_lines, refuse, source_of, whole_number

__all__ = ["import_cub"]

_Value = TypeVar("_Value")

_LISTS = (
    "images.txt",
    "image_class_labels.txt",
    "bounding_boxes.txt",
    "train_test_split.txt",
    "classes.txt",
)
_CITATION = "Wah et al., The Caltech-UCSD Birds-200-2011 Dataset, 2011"


def import_cub(
    folder: str | os.PathLike[str], *, progress: Progress | None = None
) -> AnnotationSet:
    """Annotations of CUB-200-2011.

    Args:
        folder: CUB_200_2011, with images.txt, image_class_labels.txt, bounding_boxes.txt,
            train_test_split.txt and classes.txt; segmentations/ is inside it or next to it.
        progress: called with (masks read, masks).

    Returns:
        The annotations of all images, sorted by id (the file name without ending).

    Raises:
        WsolbenchError: a list is missing, malformed or inconsistent with images.txt; a mask is
            missing, damaged, empty or has ambiguous grey levels; a box is outside its image.
    """
    place = require_folder(folder, "the unpacked folder CUB_200_2011")
    paths = [place / name for name in _LISTS]
    names = _read(paths[0], "lines `number class/name.jpg`", _path_in_class)
    labels = _read(paths[1], "lines `number class`, counted from 1", _from_one)
    boxes = _read(paths[2], "lines `number x y width height`", _box)
    is_train = _read(paths[3], "lines `number 0` or `number 1`", _flag)
    classes = _read_classes(paths[4])
    _check_same(paths[1], names, labels)
    _check_same(paths[2], names, boxes)
    _check_same(paths[3], names, is_train)
    beyond = [
        f"image {n}: class {label + 1}" for n, label in labels.items() if label >= len(classes)
    ]
    refuse(
        paths[1],
        beyond,
        expected=f"one of {len(classes)} classes",
        cure="unpack CUB_200_2011 again",
    )
    by_id = _by_id(paths[0], names)
    masks = _segmentations(place)
    missing = [name for name in names.values() if not (masks / name).with_suffix(".png").is_file()]
    refuse(
        masks,
        [f"no {PurePosixPath(name).with_suffix('.png')}" for name in missing],
        expected="a mask for each image",
        cure="unpack segmentations.tgz completely",
    )

    def read(image_id: str) -> tuple[MaskRecord, bool]:
        number = by_id[image_id]
        path = (masks / names[number]).with_suffix(".png")
        mask = _read_mask(path)
        corner, cut = _whole_corners(path, boxes[number], mask)
        split = "train" if is_train[number] else "test"
        return MaskRecord(image_id, split, labels[number], encode(mask), [corner]), cut

    outcomes = read_each(sorted(by_id), read, where=masks, progress=progress)
    notes = [
        "a pixel is object if more than half of the annotators marked it (grey level above 128)"
    ]
    cut = sum(was_cut for _, was_cut in outcomes)
    if cut:
        notes.append(f"{cut} boxes extended beyond their image and were clipped to it")
    sources = [source_of(path, citation=_CITATION) for path in paths]
    annotations = annotations_of([record for record, _ in outcomes])
    return AnnotationSet("cub", annotations, classes, sources, notes)


def _read(path: Path, what: str, parse: Callable[[str], _Value | None]) -> dict[int, _Value]:
    """The parsed rest of each line of a list, by the number at its start."""
    found: dict[int, _Value] = {}
    faults: list[str] = []
    for line_number, line in read_lines(path, what):
        first, _, rest = line.partition(" ")
        number, value = whole_number(first), parse(rest.strip())
        if number is None or value is None:
            faults.append(f"line {line_number}: {line[:60]!r}")
        elif number in found:
            faults.append(f"line {line_number}: duplicate number {number}")
        else:
            found[number] = value
    refuse(path, faults, expected=what, cure="unpack CUB_200_2011 again")
    return found


def _path_in_class(text: str) -> str | None:
    parts = PurePosixPath(text).parts
    sound = len(parts) == 2 and ".." not in parts and image_id_of(text) is not None
    return text if sound and not text.startswith("/") else None


def _from_one(text: str) -> int | None:
    number = whole_number(text)
    return None if number is None or number < 1 else number - 1


def _flag(text: str) -> bool | None:
    return {"0": False, "1": True}.get(text)


def _box(text: str) -> tuple[float, float, float, float] | None:
    try:
        x, y, width, height = (float(field) for field in text.split())
    except ValueError:
        return None
    sound = all(map(math.isfinite, (x, y, width, height))) and x >= 0 and y >= 0
    return (x, y, width, height) if sound and width > 0 and height > 0 else None


def _read_classes(path: Path) -> list[tuple[str, str]]:
    texts = _read(path, "lines `number 001.Name_of_bird`", lambda text: text or None)
    refuse(
        path,
        [] if sorted(texts) == list(range(1, len(texts) + 1)) else ["numbers with gaps"],
        expected="classes numbered from 1",
        cure="unpack CUB_200_2011 again",
    )
    parts = (texts[number].partition(".") for number in sorted(texts))
    return [(key, name.replace("_", " ")) for key, _, name in parts]


def _check_same(path: Path, names: Mapping[int, str], found: Mapping[int, object]) -> None:
    missing = [f"no line for image {number}" for number in names if number not in found]
    strange = [f"image {number} is not in images.txt" for number in found if number not in names]
    refuse(
        path,
        missing + strange,
        expected="one line for each image of images.txt",
        cure="unpack CUB_200_2011 again",
    )


def _by_id(path: Path, names: dict[int, str]) -> dict[str, int]:
    by_id: dict[str, int] = {}
    faults: list[str] = []
    for number, name in names.items():
        image_id = image_id_of(name) or ""
        if image_id in by_id:
            faults.append(f"{names[by_id[image_id]]} and {name}")
        by_id[image_id] = number
    refuse(path, faults, expected="unique file names", cure="unpack CUB_200_2011 again")
    return by_id


def _segmentations(place: Path) -> Path:
    for folder in (place / "segmentations", place.resolve().parent / "segmentations"):
        if folder.is_dir():
            return folder
    raise WsolbenchError(
        place,
        found="no folder segmentations inside it or next to it",
        cure="unpack segmentations.tgz there",
    )


def _read_mask(path: Path) -> NDArray[np.bool_]:
    """The majority mask; colour files with equal channels are read as grey, alpha is ignored."""
    picture = open_picture(path, formats=("PNG",))
    levels = np.asarray(picture.convert("L") if picture.mode == "1" else picture)
    if levels.ndim == 3:
        colours = levels[:, :, : 3 if levels.shape[2] >= 3 else 1]
        levels = colours[:, :, 0] if (colours == colours[:, :, :1]).all() else colours
    if levels.ndim != 2 or levels.dtype != np.uint8 or picture.mode == "P":
        raise WsolbenchError(
            path,
            found=f"a picture of mode {picture.mode}",
            expected="8-bit grey levels",
            cure="unpack segmentations.tgz again",
        )
    mask = levels > FOREGROUND_ABOVE
    if not mask.any() and levels.any():
        raise WsolbenchError(
            path,
            found=f"grey levels up to {levels.max()}",
            expected="at least one pixel above 128, marked by a majority",
            cure="remove the image from the lists",
        )
    if not mask.any():
        raise without_object(path)
    return np.ascontiguousarray(mask)


def _whole_corners(
    path: Path, box: tuple[float, float, float, float], mask: NDArray[np.bool_]
) -> tuple[Box, bool]:
    """Half-open corners within the mask, and whether the box was clipped."""
    height, width = mask.shape
    x, y, box_width, box_height = box
    x0, y0 = math.floor(x), math.floor(y)
    x1, y1 = math.ceil(x + box_width), math.ceil(y + box_height)
    kept = (x0, y0, min(x1, width), min(y1, height))
    if x0 >= kept[2] or y0 >= kept[3]:
        raise WsolbenchError(
            path,
            found=f"box {x},{y},{box_width},{box_height} in bounding_boxes.txt",
            expected=f"a box within {width}x{height}",
            cure="check that the lists and masks belong to the same data set",
        )
    return kept, kept != (x0, y0, x1, y1)
