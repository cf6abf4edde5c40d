"""PASCAL VOC: the segmented images of one year, each with the objects of one class.

Source: M. Everingham et al., "The PASCAL Visual Object Classes Challenge 2012 Development Kit";
layout, labels and the numbering of pixels follow its documentation.

Conventions: ImageSets/Segmentation/{train,val,test}.txt list the images; SegmentationClass holds
<image id>.png with a palette, whose index is the class from 1, 0 on the background and 255 where
nothing was decided, which is ignored. Boxes are those of Annotations/<image id>.xml for objects of
the class, counted from 1 with inclusive far corners; difficult objects without a pixel of the class
are left out. Without XML files, boxes are the tight boxes of the objects in SegmentationObject.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...errors import WsolbenchError, some
from ...files import require_file, require_folder
from ...formats.annotations import AnnotationSet
from ...formats.untrusted.contents import read_bytes
from ...formats.untrusted.xml_text import MAX_XML_BYTES, parse_xml
from ...image_ids import is_image_id
from ...masks import encode, tight_box
from ...progress import Progress
from .box_agreement import Compared, notes_of_agreement
from .mask_files import Box, MaskRecord, annotations_of, label_levels, read_each
from .rounding import whole_box
from .tables import read_lines, refuse, source_of

__all__ = ["VOC_CLASSES", "import_voc"]

VOC_CLASSES = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa"),
    *("train", "tvmonitor"),
)
"""The classes, whose labels are 1 to 20 in this order (development kit, `VOCinit`)."""

_SPLITS = ("train", "val", "test")
_VOID = 255
_OBJECTS = "SegmentationObject"
_CORNERS = ("xmin", "ymin", "xmax", "ymax")
_TIGHTEN = "use the tight boxes of the objects: --tight-boxes, in Python tight_boxes=True"


def import_voc(
    folder: str | os.PathLike[str],
    *,
    categories: Sequence[str] = (),
    tight_boxes: bool = False,
    progress: Progress | None = None,
) -> AnnotationSet:
    """Annotations of the segmented images of PASCAL VOC.

    Args:
        folder: the folder of one year, which contains SegmentationClass/ (VOCdevkit/VOC2012), or
            one above it.
        categories: names of classes: objects of others are background, and images without an
            object of these are left out. By default all classes.
        tight_boxes: use the tight boxes of the objects' pixels instead of the XML files.
        progress: called with (masks read, masks).

    Returns:
        The images with objects of one class (of `categories`); the others are counted in a note.
        Class indices are the labels minus 1.

    Raises:
        WsolbenchError: the layout, a list, a mask or an XML file is invalid; all faults of a kind
            together.
    """
    place = _year(require_folder(folder, "a folder of PASCAL VOC"))
    wanted = _labels(categories)
    lists, split_of = _read_lists(place)
    listed_boxes = not tight_boxes and (place / "Annotations").is_dir()

    def read(image_id: str) -> _Read:
        return _read_image(place, image_id, split_of[image_id], wanted, listed_boxes)

    found = read_each(sorted(split_of), read, where=place, kind="files", progress=progress)
    records = [item.record for item in found if item.record is not None]
    _check_boxes(place, found)
    if not records:
        raise WsolbenchError(
            place,
            found=f"no image with objects of one class, of {some(categories or VOC_CLASSES)}",
            cure="name another class: --category NAME, in Python categories=[NAME]",
        )
    return AnnotationSet(
        place.resolve().name.lower(),
        annotations_of(records),
        [(name, name) for name in VOC_CLASSES],
        [source_of(path) for path in lists],
        _notes(found, categories, listed_boxes, (place / _OBJECTS).is_dir()),
    )


@dataclass(frozen=True)
class _Read:
    """What was read of an image; no record if its objects are of no or of several classes."""

    image_id: str
    classes: int
    record: MaskRecord | None = None
    compared: Compared | None = None
    apart: int = 0
    rounded: int = 0

    @property
    def without_box(self) -> bool:
        """Whether the image is imported, and has no box but the tight one of its mask."""
        return self.record is not None and self.compared is None


def _check_boxes(place: Path, found: Sequence[_Read]) -> None:
    """Refuse XML files most of whose boxes are not those of the masks."""
    apart = [item.image_id for item in found if item.apart and item.without_box]
    boxed = sum(item.record is not None for item in found)
    if 2 * len(apart) > boxed:
        raise WsolbenchError(
            place / "Annotations",
            found=f"no box with a pixel of the object in {len(apart)} of {boxed} images: "
            f"{some(apart)}",
            cure=f"check that masks and XML files belong together, or {_TIGHTEN}",
        )


def _year(folder: Path) -> Path:
    places = [
        folder,
        *sorted(folder.glob("VOC[0-9]*")),
        *sorted(folder.glob("VOCdevkit/VOC[0-9]*")),
    ]
    years = [place for place in places if (place / "SegmentationClass").is_dir()]
    if len(years) == 1:
        return years[0]
    names = [place.name for place in years]
    raise WsolbenchError(
        folder,
        found=f"several years: {some(names)}" if years else "no folder SegmentationClass in it",
        expected="the folder of one year, e.g. VOCdevkit/VOC2012",
        cure="name that folder",
    )


def _labels(categories: Sequence[str]) -> set[int]:
    unknown = [name for name in categories if name not in VOC_CLASSES]
    if unknown:
        raise WsolbenchError(
            "category",
            found=some(unknown),
            expected=f"one of {', '.join(VOC_CLASSES)}",
            cure="name one of these",
        )
    return {VOC_CLASSES.index(name) + 1 for name in categories or VOC_CLASSES}


def _read_lists(place: Path) -> tuple[list[Path], dict[str, str]]:
    folder = place / "ImageSets" / "Segmentation"
    lists = [folder / f"{split}.txt" for split in _SPLITS if (folder / f"{split}.txt").is_file()]
    if not lists:
        raise WsolbenchError(
            folder, found="none of train.txt, val.txt and test.txt", cure="unpack the archive again"
        )
    split_of: dict[str, str] = {}
    faults: list[str] = []
    for path in lists:
        for number, line in read_lines(path, "image ids, one per line"):
            if not is_image_id(line):
                faults.append(f"{path.name}, line {number}: {line[:60]!r} is not an image id")
            elif line in split_of:
                faults.append(f"{path.name}, line {number}: {line} is in {split_of[line]}.txt")
            split_of.setdefault(line, path.stem)
    refuse(folder, faults, expected="each image once", cure="unpack the archive again")
    return lists, split_of


def _read_image(
    place: Path, image_id: str, split: str, wanted: set[int], listed_boxes: bool
) -> _Read:
    labels = _read_labels(place / "SegmentationClass" / f"{image_id}.png")
    held = wanted.intersection(np.unique(labels).tolist())
    if len(held) != 1:
        return _Read(image_id, len(held))
    (label,) = held
    mask = labels == label
    tight = tight_box(mask)
    ignored = labels == _VOID
    boxes: list[Box] = []
    apart = rounded = 0
    if listed_boxes:
        path = place / "Annotations" / f"{image_id}.xml"
        for corners in _read_boxes(path, VOC_CLASSES[label - 1]):
            box, is_rounded = _whole(path, corners, mask)
            if mask[box[1] : box[3], box[0] : box[2]].any():
                boxes.append(box)
                rounded += is_rounded
            else:
                apart += 1
    else:
        boxes = _object_boxes(place / _OBJECTS / f"{image_id}.png", mask)
    record = MaskRecord(
        image_id,
        split,
        label - 1,
        encode(mask),
        boxes or [tight],
        encode(ignored) if ignored.any() else None,
    )
    return _Read(image_id, 1, record, _compared(image_id, boxes, tight), apart, rounded)


def _read_labels(path: Path) -> NDArray[np.uint8]:
    labels = label_levels(path)
    strange = sorted(set(np.unique(labels).tolist()) - {*range(len(VOC_CLASSES) + 1), _VOID})
    if strange:
        raise WsolbenchError(
            path,
            found=f"labels {some(strange)}",
            expected="0 to 20 and 255, the labels of PASCAL VOC",
            cure="import masks of other classes with: wsolbench import masks",
        )
    return labels


def _object_boxes(path: Path, mask: NDArray[np.bool_]) -> list[Box]:
    """The tight boxes of the objects that make up a mask; one box if their folder is not there."""
    if not path.parent.is_dir():
        return [tight_box(mask)]
    require_file(path, "the objects of the image", "unpack the archive again")
    objects = label_levels(path)
    if objects.shape != mask.shape:
        raise WsolbenchError(
            path,
            found=f"width {objects.shape[1]}, height {objects.shape[0]}",
            expected=f"width {mask.shape[1]}, height {mask.shape[0]} as in SegmentationClass",
            cure="unpack the archive again",
        )
    numbers = [number for number in np.unique(objects[mask]).tolist() if number not in (0, _VOID)]
    return [tight_box(mask & (objects == number)) for number in numbers]


def _read_boxes(path: Path, name: str) -> list[tuple[float, float, float, float]]:
    """The corners xmin, ymin, xmax, ymax of the objects of a class."""
    try:
        root = parse_xml(read_bytes(path, "an XML file of PASCAL VOC", MAX_XML_BYTES))
    except ValueError as error:
        raise _unread(path, str(error)) from error
    things = [
        thing
        for thing in root.findall("object")  # its parts, such as heads, are nested in it
        if (thing.findtext("name") or "").strip() == name
    ]
    boxes = [[thing.findtext(f"bndbox/{corner}") or "" for corner in _CORNERS] for thing in things]
    try:
        return [(float(x0), float(y0), float(x1), float(y1)) for x0, y0, x1, y1 in boxes]
    except ValueError as error:
        raise _unread(path, f"a box of {name} without four numbers") from error


def _unread(path: Path, found: str) -> WsolbenchError:
    return WsolbenchError(
        path,
        found=found,
        expected="an XML file of PASCAL VOC",
        cure=f"unpack the archive again, or {_TIGHTEN}",
    )


def _whole(
    path: Path, corners: tuple[float, float, float, float], mask: NDArray[np.bool_]
) -> tuple[Box, bool]:
    height, width = mask.shape
    x0, y0, x1, y1 = corners
    try:
        box, rounded, cut = whole_box(x0 - 1, y0 - 1, x1, y1, width, height)
    except ValueError:
        cut = True
    if cut:
        raise WsolbenchError(
            path,
            found=f"the box {x0:g}, {y0:g}, {x1:g}, {y1:g}",
            expected=f"corners from 1 to {width} and {height}",
            cure=f"unpack the archive again, or {_TIGHTEN}",
        )
    return box, rounded


def _compared(image_id: str, boxes: Sequence[Box], tight: Box) -> Compared | None:
    if not boxes:
        return None
    columns = list(zip(*boxes, strict=True))
    hull = (min(columns[0]), min(columns[1]), max(columns[2]), max(columns[3]))
    return Compared(image_id, hull, tight)


def _notes(
    found: Sequence[_Read], categories: Sequence[str], listed_boxes: bool, parted: bool
) -> list[str]:
    several = [item.image_id for item in found if item.classes > 1]
    none = sum(item.classes == 0 for item in found)
    apart = sum(item.apart for item in found)
    rounded = sum(item.rounded for item in found)
    notes = ["pixels of label 255 are ignored"]
    if categories:
        notes.append(f"objects of other classes than {', '.join(categories)} are background")
    if none:
        notes.append(f"{none} images without an object of the classes were left out")
    if several:
        notes.append(
            f"{len(several)} images with objects of several classes were left out ({some(several)})"
            "; --category NAME imports the objects of one class"
        )
    if not listed_boxes and not parted:
        notes.append(f"boxes are the tight boxes of the masks, one an image: no folder {_OBJECTS}")
    elif not listed_boxes:
        notes.append("boxes are the tight boxes of the objects' pixels")
    else:
        notes.append("boxes are those of the XML files, counted from 1 up to the last pixel")
    without = sum(item.without_box for item in found)
    if without:
        notes.append(f"{without} images without such a box have the tight box of their mask")
    if apart:
        notes.append(f"{apart} boxes of objects without a pixel of their class were left out")
    if rounded:
        notes.append(f"{rounded} boxes were rounded outwards to whole pixels")
    return [*notes, *notes_of_agreement([item.compared for item in found if item.compared])]
