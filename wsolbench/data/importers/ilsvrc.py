"""The pixel masks of the ILSVRC2012 validation images, with labels, sizes and boxes.

Source: X. Zhang, Y. Wei, Y. Yang, F. Wu, "Rethinking Localization Map: Towards Accurate Object
Perception with Self-Enhancement Maps", 2020. 44,271 of the 50,000 validation images have a mask:
the 23,151 in a published list are "val", all others "test".

Conventions: masks are `<image id>.png` (`masks.read_mask`). Class indices are stored in the order
of sorted WordNet ids; lists in the devkit's order are recognized and translated. Lists of boxes
have inclusive corners, counted from 0; stored boxes are half-open. EXIF orientation is ignored.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...errors import WsolbenchError, some
from ...formats.annotations import UNLABELLED, AnnotationSet, Source
from ...masks import encode, read_mask
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
from .tables import (
    image_id_of,
    read_lines,
    refuse,
    source_of,
    split_fields,
    whole_number,
)
from .xml_boxes import ARCHIVE_ENDINGS, half_open, read_xml_boxes

__all__ = [
    "TEST_MASKS",
    "VAL_LIST_SHA256",
    "VAL_MASKS",
    "import_ilsvrc",
    "read_box_list",
    "read_class_names",
    "read_sizes",
    "read_val_list",
]

VAL_MASKS = 23_151
"""Number of masks in the published validation list."""

TEST_MASKS = 21_120
"""Number of all other masks; 5,729 of the 50,000 images have none."""

VAL_LIST_SHA256 = "bcc9eca316f73017abfc358b39d0e4187e917e011ec18b6c2c320ca016995770"
"""SHA-256 of the published validation list, ILSVRC_Val_Mask_23151.txt."""

CLASSES = 1000
"""Number of classes of ILSVRC2012."""

_IMAGE = re.compile(r"ILSVRC2012_val_[0-9]{8}")

_LABELS_OF_FIRST = (
    (489, 65),
    (360, 970),
    (170, 230),
    (821, 809),
    (296, 516),
    (481, 57),
    (12, 334),
    (703, 415),
    (598, 674),
    (163, 332),
)
"""Class in (devkit order, order of sorted WordNet ids) of ILSVRC2012_val_00000001 to ..10. The two
differ for every image, so a single image identifies a list's order."""

_DEVKIT, _SORTED = 0, 1


def import_ilsvrc(
    *,
    masks: str | os.PathLike[str],
    val_list: str | os.PathLike[str],
    labels: Sequence[str | os.PathLike[str]] | None = None,
    sizes: str | os.PathLike[str] | None = None,
    boxes: str | os.PathLike[str] | None = None,
    class_names: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> AnnotationSet:
    """Annotations of the ILSVRC masks.

    Args:
        masks: the folder of released masks, `<image id>.png`.
        val_list: the ids of the val split, one per line; every other mask is test.
        labels: lists `val/<image id>.JPEG,65` or `<image id>.JPEG 489`, in either order of the
            classes, at least one of them in the order of sorted WordNet ids; if left out, the
            classes are unknown.
        sizes: a list `val/<image id>.JPEG,width,height`; a mask with swapped width and height is
            transposed and noted. If left out, the sizes come from the XML files if boxes are XML,
            otherwise from the masks.
        boxes: a list `val/<image id>.JPEG,x0,y0,x1,y1` with inclusive corners, or the official XML
            files as a folder, .tar or .tgz; if left out, each mask's tight box is used.
        class_names: lines `n01440764 tench, Tinca tinca`, ordered by WordNet id.
        progress: called with (masks read, masks).

    Any list may be compressed with gzip (.gz).

    Returns:
        The annotations sorted by id. The notes state whether all masks are present, the orders of
        the label lists, the box convention, and every mask that was transposed.

    Raises:
        WsolbenchError: all faults of one file or kind together: an id in the list has no mask, a
            mask has no label, size or box although a list of them was given, lists contradict each
            other, sizes or boxes do not fit.
    """
    files, others, val = _masks_and_val(masks, val_list)
    notes = [
        _completeness(files, val),
        "EXIF orientation is ignored: masks refer to pixels in their stored order",
    ]
    if others:
        notes.append(f"other files in the folder of masks were ignored: {some(others)}")
    sources = [source_of(val_list)]
    notes.append(
        "the val list is the published one"
        if sources[0].sha256 == VAL_LIST_SHA256
        else f"the val list is not the published one of {VAL_MASKS} ids"
    )

    label_files = [labels] if isinstance(labels, (str, os.PathLike)) else list(labels or ())
    known_labels, label_notes = _read_labels(label_files, files)
    names = [] if class_names is None else read_class_names(class_names)
    known_sizes = {} if sizes is None else read_sizes(sizes)
    known_boxes = None if boxes is None else _read_boxes(boxes, files, known_sizes)
    if known_boxes is not None:
        known_sizes = known_sizes or known_boxes.sizes
        notes.append(known_boxes.note)
        sources.append(known_boxes.source)
    else:
        notes.append("no boxes were given: each mask's tight box is used")
    notes += label_notes
    listed = [*label_files, *(path for path in (sizes, class_names) if path is not None)]
    sources += [source_of(path) for path in listed]
    for where, known in ((", ".join(map(str, label_files)), known_labels), (sizes, known_sizes)):
        if known:
            _check_all_known(str(where), files, known)

    def read(image_id: str) -> tuple[MaskRecord, bool]:
        path = files[image_id]
        mask = read_mask(path)
        size = known_sizes.get(image_id, mask.shape)
        swapped = mask.shape != size and mask.shape == size[::-1]
        if swapped:
            mask = np.ascontiguousarray(mask.T)
        if mask.shape != size:
            raise WsolbenchError(
                path,
                found=f"width {mask.shape[1]}, height {mask.shape[0]}",
                expected=f"width {size[1]}, height {size[0]} of the image, or these swapped",
                cure="download the mask again",
            )
        if not mask.any():
            raise without_object(path)
        if known_boxes is None:
            corners = box_of_mask(path, mask)
        else:
            corners = known_boxes.boxes[image_id]
            if any(x1 > mask.shape[1] or y1 > mask.shape[0] for _, _, x1, y1 in corners):
                raise WsolbenchError(
                    path,
                    found=f"a box beyond its width {mask.shape[1]} or height {mask.shape[0]}",
                    expected="boxes of the original image",
                    cure="pass the sizes (--sizes), or check that boxes and masks belong together",
                )
        split = "val" if image_id in val else "test"
        label = known_labels.get(image_id, UNLABELLED)
        return MaskRecord(image_id, split, label, encode(mask), corners), swapped

    outcomes = read_each(list(files), read, where=masks, progress=progress)
    transposed = [record.image_id for record, swapped in outcomes if swapped]
    if transposed:
        notes.append(
            f"{len(transposed)} masks with width and height swapped were transposed: "
            + ", ".join(transposed)
        )
    annotations = annotations_of([record for record, _ in outcomes])
    return AnnotationSet("ilsvrc", annotations, names, sources, notes)


def _masks_and_val(
    masks: str | os.PathLike[str], val_list: str | os.PathLike[str]
) -> tuple[dict[str, Path], list[str], set[str]]:
    """The masks by image id, the names of other files, and the ids of the val split."""
    files, others = list_masks(masks)
    refuse(
        masks,
        [f"{path.name}" for image_id, path in files.items() if not _IMAGE.fullmatch(image_id)],
        expected="ILSVRC2012_val_ and eight digits",
        cure="remove other files from the folder of masks",
    )
    listed_ids = read_val_list(val_list)
    val = set(listed_ids)
    missing = [image_id for image_id in listed_ids if image_id not in files]
    if missing:
        raise WsolbenchError(
            val_list,
            found=f"{len(missing)} of {len(val)} ids without a mask: {some(missing)}",
            expected="a mask <image id>.png for each",
            cure="complete the folder of masks, or pass a list of the masks it contains",
        )
    return files, others, val


def read_val_list(path: str | os.PathLike[str]) -> list[str]:
    """The ids of the val split, in the order of the list.

    Raises:
        WsolbenchError: the file is unreadable, or an id is malformed or duplicated.
    """
    ids: dict[str, None] = {}
    faults: list[str] = []
    for number, line in read_lines(path, "the ids of the val split, one per line"):
        image_id = image_id_of(line)
        if image_id is None or not _IMAGE.fullmatch(image_id):
            faults.append(f"line {number}: {line[:40]!r}")
        elif image_id in ids:
            faults.append(f"line {number}: duplicate id {image_id}")
        else:
            ids[image_id] = None
    refuse(path, faults, expected="one ILSVRC2012_val_ id per line", cure="download the list again")
    return list(ids)


def _completeness(files: Mapping[str, Path], val: set[str]) -> str:
    test = len(files) - len(val)
    if (len(val), test) == (VAL_MASKS, TEST_MASKS):
        return f"complete: {VAL_MASKS} val and {TEST_MASKS} test masks"
    if test == 0 and len(val) == VAL_MASKS:
        return f"only val: all {VAL_MASKS} val masks and no test mask"
    if test == 0:
        return f"only val, incomplete: {len(val)} of {VAL_MASKS} val masks and no test mask"
    return f"incomplete: {len(val)} of {VAL_MASKS} val and {test} of {TEST_MASKS} test masks"


def _check_all_known(where: str, files: Mapping[str, Path], known: Mapping[str, object]) -> None:
    unknown = [image_id for image_id in files if image_id not in known]
    if unknown:
        raise WsolbenchError(
            where,
            found=f"no line for {len(unknown)} images that have a mask: {some(unknown)}",
            expected="a line for each mask",
            cure="use the list of all 50,000 images",
        )


def _records(
    path: str | os.PathLike[str], what: str, numbers: int
) -> list[tuple[int, str, list[int]]]:
    """(line number, image id, numbers) of a list with that many numbers after the file name."""
    records: list[tuple[int, str, list[int]]] = []
    faults: list[str] = []
    for number, line in read_lines(path, what):
        name, *texts = split_fields(line)
        image_id = image_id_of(name)
        values = [value for value in map(whole_number, texts) if value is not None and value >= 0]
        if image_id is None or len(texts) != numbers or len(values) != numbers:
            faults.append(f"line {number}: {line[:60]!r}")
        else:
            records.append((number, image_id, values))
    refuse(path, faults, expected=what, cure="check that it is the correct list")
    return records


def _read_labels(
    paths: Sequence[str | os.PathLike[str]], files: Mapping[str, Path]
) -> tuple[dict[str, int], list[str]]:
    """Class (in the order of sorted WordNet ids) by image id, and notes on their origin."""
    if not paths:
        return {}, ["no labels were given: the classes are unknown"]
    lists = [_read_label_list(path) for path in paths]
    orders = _orders(paths, lists)
    merged: tuple[dict[str, int], dict[str, int]] = ({}, {})
    for path, order, found in zip(paths, orders, lists, strict=True):
        known = merged[order]
        refuse(
            path,
            [
                f"{image_id} has class {label}, but {known[image_id]} in another list"
                for image_id, label in found.items()
                if known.get(image_id, label) != label
            ],
            expected="equal labels in all lists of the same order",
            cure="leave the wrong list out",
        )
        known.update(found)
    devkit, sorted_ids = merged[_DEVKIT], merged[_SORTED]
    if not sorted_ids:
        raise WsolbenchError(
            ", ".join(str(path) for path in paths),
            found="only labels in the devkit's order (ILSVRC2012_val_00000001 has class 489)",
            expected="also a list in the order of sorted WordNet ids (where it has class 65)",
            cure="add such a list, e.g. class_labels.txt of wsolevaluation (--labels again)",
        )
    notes = ["class indices follow the sorted WordNet ids"]
    if devkit:
        translation = _bijection(", ".join(str(path) for path in paths), devkit, sorted_ids)
        notes.append(
            "devkit and sorted order were matched on their common images: one to one for "
            f"{len(translation)} of {CLASSES} classes"
        )
        rest = {
            image: devkit[image] for image in files if image in devkit and image not in sorted_ids
        }
        refuse(
            ", ".join(str(path) for path in paths),
            [f"{image}, devkit class {c}" for image, c in rest.items() if c not in translation],
            expected="classes that also occur in the list of sorted order",
            cure="use the sorted list of all 50,000 images",
        )
        sorted_ids |= {image: translation[label] for image, label in rest.items()}
    return sorted_ids, notes


def _read_label_list(path: str | os.PathLike[str]) -> dict[str, int]:
    labels: dict[str, int] = {}
    faults: list[str] = []
    what = "lines `val/<image id>.JPEG,65` or `<image id>.JPEG 489`"
    for number, image_id, (label,) in _records(path, what, 1):
        if label >= CLASSES:
            faults.append(f"line {number}: class {label}")
        elif image_id in labels:
            faults.append(f"line {number}: duplicate id {image_id}")
        labels[image_id] = label
    refuse(
        path,
        faults,
        expected=f"one class from 0 to {CLASSES - 1} per image",
        cure="check that it is the correct list, counted from 0",
    )
    return labels


def _orders(
    paths: Sequence[str | os.PathLike[str]], lists: Sequence[Mapping[str, int]]
) -> list[int]:
    """The class order of each list: `_DEVKIT` or `_SORTED`."""
    orders = [_order_by_first_images(path, found) for path, found in zip(paths, lists, strict=True)]
    for position, found in enumerate(lists):
        for other, order in zip(lists, tuple(orders), strict=True):
            common = found.keys() & other.keys()
            if orders[position] is None and order is not None and common:
                same = all(found[image_id] == other[image_id] for image_id in common)
                orders[position] = order if same else 1 - order
    unknown = [str(path) for path, order in zip(paths, orders, strict=True) if order is None]
    if unknown:
        raise WsolbenchError(
            ", ".join(unknown),
            found="none of the first ten validation images",
            expected="at least one, to tell the devkit's order of classes from the sorted one",
            cure="use the list of all 50,000 images",
        )
    return [order for order in orders if order is not None]


def _order_by_first_images(path: str | os.PathLike[str], labels: Mapping[str, int]) -> int | None:
    votes: set[int] = set()
    for number, expected in enumerate(_LABELS_OF_FIRST, start=1):
        image_id = f"ILSVRC2012_val_{number:08d}"
        if image_id in labels:
            label = labels[image_id]
            if label not in expected:
                raise WsolbenchError(
                    path,
                    found=f"class {label} for {image_id}",
                    expected=f"{expected[_DEVKIT]} (devkit order) or {expected[_SORTED]} (sorted)",
                    cure="check that the list is for ILSVRC2012 and counts from 0",
                )
            votes.add(expected.index(label))
    if len(votes) > 1:
        raise WsolbenchError(
            path,
            found="labels in both orders, devkit and sorted WordNet ids",
            expected="one order per list",
            cure="use a list from a single source",
        )
    return votes.pop() if votes else None


def _bijection(
    where: str, devkit: Mapping[str, int], sorted_ids: Mapping[str, int]
) -> dict[int, int]:
    """Sorted class by devkit class, checked to be one to one."""
    pairs = {(devkit[image], sorted_ids[image]) for image in devkit.keys() & sorted_ids.keys()}
    faults: list[str] = []
    for side, name in ((_DEVKIT, "devkit class"), (_SORTED, "sorted class")):
        partners: dict[int, list[int]] = {}
        for pair in sorted(pairs):
            partners.setdefault(pair[side], []).append(pair[1 - side])
        faults += [
            f"{name} {c} matches {matched}" for c, matched in partners.items() if len(matched) > 1
        ]
    refuse(
        where,
        faults,
        expected="each class of one order to match one class of the other",
        cure="leave the wrong list out",
    )
    return dict(pairs)


def read_class_names(path: str | os.PathLike[str]) -> list[tuple[str, str]]:
    """(WordNet id, name) of the 1,000 classes by ascending id, from LOC_synset_mapping.txt.

    Raises:
        WsolbenchError: the number of classes, their order or the form of a line is wrong.
    """
    lines = read_lines(path, "lines `n01440764 tench, Tinca tinca`")
    names: list[tuple[str, str]] = []
    faults: list[str] = []
    for number, line in lines:
        key, _, name = line.partition(" ")
        if not re.fullmatch(r"n[0-9]{8}", key) or not name.strip():
            faults.append(f"line {number}: {line[:40]!r}")
        elif names and key <= names[-1][0]:
            faults.append(f"line {number}: {key} after {names[-1][0]}")
        names.append((key, name.strip()))
    if len(names) != CLASSES:
        faults.append(f"{len(names)} classes")
    refuse(
        path,
        faults,
        expected=f"{CLASSES} lines of WordNet id and name, by ascending id",
        cure="use LOC_synset_mapping.txt",
    )
    return names


def read_sizes(path: str | os.PathLike[str]) -> dict[str, tuple[int, int]]:
    """(height, width) by image id, from a list `val/<image id>.JPEG,width,height`.

    Raises:
        WsolbenchError: the file is unreadable, a line is malformed, a size is 0, or an id is
            duplicated.
    """
    sizes: dict[str, tuple[int, int]] = {}
    faults: list[str] = []
    what = "lines `val/<image id>.JPEG,width,height`"
    for number, image_id, (width, height) in _records(path, what, 2):
        if not width or not height:
            faults.append(f"line {number}: {width}x{height}")
        elif image_id in sizes:
            faults.append(f"line {number}: duplicate id {image_id}")
        sizes[image_id] = (height, width)
    refuse(path, faults, expected="one size per image", cure="download the list again")
    return sizes


@dataclass(frozen=True)
class _Boxes:
    """Half-open boxes by image id, and the sizes from the same source."""

    boxes: dict[str, list[Box]]
    sizes: dict[str, tuple[int, int]]
    note: str
    source: Source


def _read_boxes(
    path: str | os.PathLike[str],
    files: Mapping[str, Path],
    sizes: Mapping[str, tuple[int, int]],
) -> _Boxes:
    place = Path(path)
    if place.is_dir() or place.name.lower().endswith(ARCHIVE_ENDINGS):
        found = read_xml_boxes(place)
        _check_all_known(str(path), files, found.boxes)
        if sizes:
            differing = [
                f"{image_id} of {found.sizes[image_id][1]}x{found.sizes[image_id][0]}"
                for image_id in files
                if found.sizes[image_id] != sizes.get(image_id, found.sizes[image_id])
            ]
            refuse(
                path,
                differing,
                expected="the widths and heights in the list of sizes",
                cure="leave one of the two sources out",
            )
        # The convention is read from all files, so that a box does not depend on the images kept.
        everything, note = half_open(found.boxes, found.sizes)
        boxes = {image_id: everything[image_id] for image_id in files}
        empty = [
            f"{image_id}: {x0},{y0},{x1},{y1}"
            for image_id, listed in boxes.items()
            for x0, y0, x1, y1 in listed
            if x0 >= x1 or y0 >= y1
        ]
        refuse(path, empty, expected="boxes of at least one pixel", cure="remove them")
        return _Boxes(boxes, found.sizes, note, found.source)
    boxes = read_box_list(path, sizes)
    kept = {image_id: boxes[image_id] for image_id in files if image_id in boxes}
    _check_all_known(str(path), files, kept)
    return _Boxes(
        kept,
        {},
        "listed boxes have inclusive far corners: 1 was added to make them half-open",
        source_of(path),
    )


def read_box_list(
    path: str | os.PathLike[str], sizes: Mapping[str, tuple[int, int]]
) -> dict[str, list[Box]]:
    """Half-open boxes by image id, from a list `val/<image id>.JPEG,x0,y0,x1,y1`.

    Args:
        path: the list, whose corners are inclusive.
        sizes: (height, width) by image id; boxes of images without a size are not checked
            against one.

    Raises:
        WsolbenchError: the file is unreadable, a line is malformed, or corners are out of order
            or outside the image.
    """
    boxes: dict[str, list[Box]] = {}
    faults: list[str] = []
    what = "lines `val/<image id>.JPEG,x0,y0,x1,y1` with inclusive corners"
    for number, image_id, (x0, y0, x1, y1) in _records(path, what, 4):
        size = sizes.get(image_id)
        if x0 > x1 or y0 > y1:
            faults.append(f"line {number}: the corners {x0},{y0},{x1},{y1} are out of order")
        elif size is not None and (x1 >= size[1] or y1 >= size[0]):
            faults.append(f"line {number}: {x1},{y1} is outside {size[1]}x{size[0]}")
        boxes.setdefault(image_id, []).append((x0, y0, x1 + 1, y1 + 1))
    refuse(
        path,
        faults,
        expected="inclusive corners within the image, counted from 0",
        cure="correct the list",
    )
    return boxes
