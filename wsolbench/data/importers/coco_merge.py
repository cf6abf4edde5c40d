"""The annotations of one COCO image as one record: union of objects, ignored crowds, boxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...masks import RunLengths, encode, tight_box
from .box_agreement import CORNERS, SIZES, Compared, other_readings
from .coco_file import CocoImage, CocoObject
from .coco_shapes import BOXES, ROWS, corners_of, pixels_of
from .mask_files import Box, MaskRecord
from .rounding import AGREED, difference, whole_box

__all__ = ["CURES", "NO_MASK", "READINGS", "Merged", "Way", "merge", "merge_boxes"]

READINGS = {"xywh": SIZES, "xyxy": CORNERS}
"""The name of each way to read a bbox."""

ORDERS = {
    "columns": "if the run lengths go column after column",
    "rows": "if the run lengths go row after row",
}

CURES = {
    READINGS[name]: f"read them so: --boxes {name}, in Python boxes={name!r}" for name in BOXES
} | {ORDERS[name]: f"read them so: --rle {name}, in Python rle={name!r}" for name in ROWS}
"""What to do about boxes that fit their masks by another convention."""

NO_MASK = b""
"""The counts of an image without a mask."""


@dataclass(frozen=True)
class Way:
    """The choices of `import_coco` that concern single images."""

    boxes: str
    rle: str
    tight: bool
    keep: bool
    skip_empty: bool
    split: str


@dataclass(frozen=True)
class Merged:
    """An image's record, None if nothing was left of it, and what happened to its annotations."""

    record: MaskRecord | None
    compared: Sequence[Compared] = ()
    boxes: int = 0
    rounded: int = 0
    cut: int = 0
    strays: Sequence[str] = ()
    empty: Sequence[str] = ()


def merge(image: CocoImage, way: Way, faults: list[str]) -> Merged:
    """The union of an image's objects, and their boxes beside their masks.

    Args:
        image: the image, with an annotation.
        way: how annotations are read.
        faults: gets those of the image.
    """
    size = (image.height, image.width)
    mask = np.zeros(size, dtype=np.bool_)
    crowd = np.zeros(size, dtype=np.bool_)
    boxes: list[_Boxed] = []
    strays: list[str] = []
    empty: list[str] = []
    for item in image.objects:
        try:
            pixels, points = pixels_of(item.segmentation, size, way.rle)
            strays += [item.name] * points
            if item.crowd:
                crowd |= pixels
            elif not pixels.any():
                empty.append(item.name)
            else:
                mask |= pixels
                boxes.append(_boxed(item, pixels, way))
        except ValueError as error:
            faults.append(f"{item.name} (image {image.image_id}): {error}")
    if not boxes:
        crowds = [f"image {image.image_id}, crowds alone"]
        return Merged(None, strays=strays, empty=empty or crowds)
    crowd &= ~mask
    record = MaskRecord(
        image.image_id,
        image.split or way.split,
        image.objects[0].category.class_index,
        encode(mask),
        [item.box for item in boxes if item.box is not None],
        encode(crowd) if crowd.any() else None,
    )
    return Merged(
        record,
        [item.compared for item in boxes if item.compared is not None],
        len(boxes),
        sum(item.rounded for item in boxes),
        sum(item.cut for item in boxes),
        strays,
        empty,
    )


def merge_boxes(image: CocoImage, way: Way, faults: list[str]) -> Merged:
    """The boxes of an image without a mask; see `merge`."""
    boxes: list[tuple[Box, bool, bool]] = []
    for item in image.objects:
        try:
            if not item.crowd:
                corners = corners_of(item.bbox, way.boxes)
                boxes.append(whole_box(*corners, image.width, image.height))
        except ValueError as error:
            faults.append(f"{item.name} (image {image.image_id}): {error}")
    if not boxes:
        return Merged(None, empty=[f"image {image.image_id}, crowds alone"])
    record = MaskRecord(
        image.image_id,
        image.split or way.split,
        image.objects[0].category.class_index,
        RunLengths(image.height, image.width, NO_MASK),
        [box for box, _, _ in boxes],
    )
    rounded, cut = (sum(flags) for flags in list(zip(*boxes, strict=True))[1:])
    return Merged(record, (), len(boxes), rounded, cut)


@dataclass(frozen=True)
class _Boxed:
    """The box of an object, and what it was compared with."""

    box: Box | None
    compared: Compared | None
    rounded: bool = False
    cut: bool = False


def _boxed(item: CocoObject, pixels: NDArray[np.bool_], way: Way) -> _Boxed:
    """The box of an object with pixels: its tight box if it has no bbox, or as chosen."""
    height, width = pixels.shape
    tight = tight_box(pixels)
    if way.tight or not item.bbox:
        return _Boxed(tight, None)
    exact = isinstance(item.segmentation, dict)
    box, fault, rounded, cut = None, "", False, False
    try:
        box, rounded, cut = whole_box(*corners_of(item.bbox, way.boxes), width, height)
    except ValueError as error:
        fault = str(error)
    numbers = corners_of(item.bbox, "xyxy")
    readings = other_readings(numbers, READINGS[way.boxes], tight, (height, width))
    if box is not None and difference(box, tight) > AGREED:
        readings |= _other_order(item, box, (height, width), way)
    apart = _apart(box, pixels)
    compared = Compared(item.name, box, tight, fault, apart, exact=exact, readings=readings)
    if way.keep and box is None:
        raise ValueError(fault)
    return _Boxed(box, compared, rounded, cut)


def _apart(box: Box | None, pixels: NDArray[np.bool_]) -> bool:
    if box is None:
        return False
    x0, y0, x1, y1 = box
    return not pixels[y0:y1, x0:x1].any()


def _other_order(
    item: CocoObject, box: Box, size: tuple[int, int], way: Way
) -> dict[str, tuple[Box, Box]]:
    """The box beside the mask whose run lengths, given as a list, go the other way."""
    if not isinstance(item.segmentation, dict) or isinstance(item.segmentation["counts"], str):
        return {}
    order = "columns" if way.rle == "rows" else "rows"
    return {ORDERS[order]: (box, tight_box(pixels_of(item.segmentation, size, order)[0]))}
