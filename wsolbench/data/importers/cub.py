"""CUB-200-2011: birds with one mask and one box each, read from the unpacked folder.

Source: C. Wah, S. Branson, P. Welinder, P. Perona, S. Belongie, "The Caltech-UCSD Birds-200-2011
Dataset", 2011; the lists follow its README, the masks come from segmentations.tgz.

Conventions: masks are outlines of several annotators averaged into grey levels; a pixel is object
if more than half of them marked it (level > 128). Boxes are x, y, width, height, and x + width is
their last column: of the 11,788 published boxes none has x + width equal to its image's width, 156
have width - 1, 328 have y + height equal to height - 1, and the smallest x is 0. So 1 is added to
make them half-open. Fractional corners are rounded outwards to whole pixels. Class indices count
from 0, in the data set's order. The splits are "train" and "test".
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import TypeVar

from ...errors import WsolbenchError
from ...files import require_folder
from ...formats.annotations import AnnotationSet
from ...image_ids import image_id_of
from ...masks import FOREGROUND_ABOVE, MaskRule, RunLengths, encode, read_picture, tight_box
from ...progress import Progress
from .corners import (
    Corners,
    RawBox,
    agreement,
    choice_if_used,
    evidence_of,
    sentence,
    settle,
    whole_boxes,
)
from .mask_files import Box, MaskRecord, annotations_of, read_each, without_object
from .rounding import snapped
from .tables import read_lines, refuse, source_of, whole_number

__all__ = ["import_cub"]

_Value = TypeVar("_Value")

_LISTS = (
    "images.txt",
    "image_class_labels.txt",
    "bounding_boxes.txt",
    "train_test_split.txt",
    "classes.txt",
)
_PUBLISHED = "of the 11,788 published boxes none has x + width = W, and 156 have W - 1"
_MAJORITY = MaskRule(object_above=FOREGROUND_ABOVE)
_CITATION = "Wah et al., The Caltech-UCSD Birds-200-2011 Dataset, 2011"


def import_cub(
    folder: str | os.PathLike[str],
    *,
    corners: str | None = None,
    tight_boxes: bool = False,
    progress: Progress | None = None,
) -> AnnotationSet:
    """Annotations of CUB-200-2011.

    Args:
        folder: CUB_200_2011, with images.txt, image_class_labels.txt, bounding_boxes.txt,
            train_test_split.txt and classes.txt; segmentations/ is inside it or next to it.
        corners: how the corners x, y, x + width, y + height are counted, if not as published:
            "half-open" or "from-1" in place of "inclusive".
        tight_boxes: use each mask's tight box, not the box of the list.
        progress: called with (masks read, masks).

    Returns:
        The annotations of all images, sorted by id (the file name without ending).

    Raises:
        WsolbenchError: a list is missing, malformed or inconsistent with images.txt; a mask is
            missing, damaged, empty or without a pixel that a majority marked; boxes are outside
            their image, or contradict how corners are counted; `corners` beside `tight_boxes`.
    """
    stated = choice_if_used(corners, given=True, tight=tight_boxes)
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

    def read(image_id: str) -> tuple[RunLengths, Box]:
        return _read_mask((masks / names[by_id[image_id]]).with_suffix(".png"))

    ids = sorted(by_id)
    found = dict(zip(ids, read_each(ids, read, where=masks, progress=progress), strict=True))
    own = {image_id: [tight] for image_id, (_, tight) in found.items()}
    notes = [
        "a pixel is object if more than half of the annotators marked it (grey level above 128)"
    ]
    if tight_boxes:
        whole = own
        notes.append("each mask's tight box is used, not the box of bounding_boxes.txt")
    else:
        raw = {image_id: [boxes[by_id[image_id]]] for image_id in ids}
        tight = {image_id: box for image_id, (box,) in own.items()}
        sizes = {image_id: (mask.height, mask.width) for image_id, (mask, _) in found.items()}
        evidence = evidence_of(raw, sizes, tight)
        counted = settle(paths[2], evidence, given=stated, published=Corners.INCLUSIVE)
        whole, box_notes = whole_boxes(paths[2], raw, sizes, counted)
        notes += [sentence(evidence, counted, _PUBLISHED), *box_notes]
        notes.append(agreement(paths[2], evidence, counted, raw, whole, tight))
    records = [
        MaskRecord(
            image_id,
            "train" if is_train[by_id[image_id]] else "test",
            labels[by_id[image_id]],
            found[image_id][0],
            whole[image_id],
        )
        for image_id in ids
    ]
    sources = [source_of(path, citation=_CITATION) for path in paths]
    return AnnotationSet("cub", annotations_of(records), classes, sources, notes)


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


def _box(text: str) -> RawBox | None:
    """x, y, x + width, y + height."""
    try:
        x, y, width, height = (float(field) for field in text.split())
    except ValueError:
        return None
    sound = all(map(math.isfinite, (x, y, width, height))) and x >= 0 and y >= 0
    if not (sound and width >= 0 and height >= 0):
        return None
    return snapped(x), snapped(y), snapped(x + width), snapped(y + height)


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


def _read_mask(path: Path) -> tuple[RunLengths, Box]:
    """The majority's mask and its tight box."""
    picture = read_picture(path, _MAJORITY, alpha=True)
    if not picture.mask.any() and picture.highest:
        raise WsolbenchError(
            path,
            found=f"grey levels up to {picture.highest}",
            expected="at least one pixel above 128, marked by a majority",
            cure="remove the image from the lists",
        )
    if not picture.mask.any():
        raise without_object(path)
    return encode(picture.mask), tight_box(picture.mask)
