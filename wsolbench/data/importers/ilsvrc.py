"""The pixel masks of the ILSVRC2012 validation images, with labels, sizes and boxes.

Source: X. Zhang, Y. Wei, Y. Yang, F. Wu, "Rethinking Localization Map: Towards Accurate Object
Perception with Self-Enhancement Maps", 2020. 44,271 of the 50,000 validation images have a mask:
the 23,151 in a published list are "val", all others "test".

Conventions: masks are `<image id>.png` (`masks.read_picture`). Class indices are stored in the
order of sorted WordNet ids; lists in the devkit's order are recognized and translated. The
published list of boxes has inclusive corners, counted from 0; those of other files are found from
all their boxes (`corners`). Stored boxes are half-open. EXIF orientation is ignored.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...errors import WsolbenchError, some
from ...formats.annotations import UNLABELLED, AnnotationSet, Source
from ...masks import MaskRule, RunLengths, encode, read_picture, tight_box
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
from .ilsvrc_labels import check_names, read_labels
from .ilsvrc_lists import (
    IMAGE,
    is_kaggle,
    read_box_list,
    read_class_names,
    read_kaggle,
    read_sizes,
    read_val_list,
)
from .mask_files import (
    Box,
    MaskRecord,
    annotations_of,
    list_masks,
    read_each,
    without_object,
)
from .tables import refuse, source_of
from .xml_boxes import ARCHIVE_ENDINGS, read_xml_boxes

__all__ = ["TEST_MASKS", "VAL_LIST_SHA256", "VAL_MASKS", "import_ilsvrc"]

VAL_MASKS = 23_151
"""Number of masks in the published validation list."""

TEST_MASKS = 21_120
"""Number of all other masks; 5,729 of the 50,000 images have none."""

VAL_LIST_SHA256 = "bcc9eca316f73017abfc358b39d0e4187e917e011ec18b6c2c320ca016995770"
"""SHA-256 of the published validation list, ILSVRC_Val_Mask_23151.txt."""


def import_ilsvrc(
    *,
    masks: str | os.PathLike[str],
    val_list: str | os.PathLike[str],
    labels: Sequence[str | os.PathLike[str]] | None = None,
    sizes: str | os.PathLike[str] | None = None,
    boxes: str | os.PathLike[str] | None = None,
    class_names: str | os.PathLike[str] | None = None,
    corners: str | None = None,
    tight_boxes: bool = False,
    object_above: int | None = None,
    void: int | None = None,
    progress: Progress | None = None,
) -> AnnotationSet:
    """Annotations of the ILSVRC masks.

    Args:
        masks: the folder of released masks, `<image id>.png`.
        val_list: the ids of the val split, one per line; every other mask is test.
        labels: lists `val/<image id>.JPEG,65` or `<image id>.JPEG 489`, in either order of the
            classes and counted from 0 or 1, at least one of them in the order of sorted WordNet
            ids; or Kaggle's LOC_val_solution.csv. If left out, the classes are unknown.
        sizes: a list `val/<image id>.JPEG,width,height`; a mask with swapped width and height is
            transposed and noted. If left out, the sizes come from the XML files if boxes are XML,
            otherwise from the masks.
        boxes: a list `val/<image id>.JPEG,x0,y0,x1,y1`, Kaggle's LOC_val_solution.csv, or the
            official XML files as a folder, .tar or .tgz; if left out, each mask's tight box is
            used.
        class_names: lines `n01440764 tench, Tinca tinca`, ordered by WordNet id.
        corners: how the corners of `boxes` are counted: "half-open", "inclusive" or "from-1". If
            left out, inclusive for a list, otherwise what all boxes together show.
        tight_boxes: use each mask's tight box; `boxes` then only serve to tell swapped sizes.
        object_above: grey levels above this one are object (see `masks.MaskRule`).
        void: pixels of this grey level are ignored.
        progress: called with (masks read, masks).

    Any list may be compressed with gzip (.gz).

    Returns:
        The annotations sorted by id. The notes state whether all masks are present, the orders of
        the label lists, how corners are counted and the counts that show it, how many boxes differ
        from their masks, every size that was taken as swapped and every mask that was transposed.

    Raises:
        WsolbenchError: all faults of one file or kind together: an id in the list has no mask, a
            mask has no label, size or box although a list of them was given, lists contradict each
            other, sizes or boxes do not fit, corners may be counted in several ways; `corners` is
            stated although no given box is used.
    """
    rule = MaskRule(object_above, void)
    stated = choice_if_used(corners, given=boxes is not None, tight=tight_boxes)
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
    names = [] if class_names is None else read_class_names(class_names)
    known_labels, label_notes = read_labels(label_files, files, names)
    known_sizes = {} if sizes is None else read_sizes(sizes)
    for where, known in ((", ".join(map(str, label_files)), known_labels), (sizes, known_sizes)):
        if known:
            _check_all_known(str(where), files, known)
    given = None if boxes is None else _read_given(boxes, files, known_sizes)
    if given is not None:
        check_names(boxes or "", given.names, known_labels, names)
        sources.append(given.source)
    listed = [*label_files, *(path for path in (sizes, class_names) if path is not None)]
    sources += [source_of(path) for path in listed]

    def read(image_id: str) -> _Mask:
        size = known_sizes.get(image_id) or (given and given.sizes.get(image_id)) or None
        return _read_mask(files[image_id], rule, size, given.boxes[image_id] if given else ())

    found = dict(
        zip(files, read_each(list(files), read, where=masks, progress=progress), strict=True)
    )
    if given is None or tight_boxes:
        whole = {image_id: [mask.tight] for image_id, mask in found.items()}
        missing = "no boxes were given: each mask's tight box is used"
        notes.append(missing if given is None else "each mask's tight box is used, as requested")
    else:
        whole, box_notes = _settled(given, found, stated)
        notes += box_notes
    notes += label_notes
    if void is not None:
        ignored = sum(mask.ignored is not None for mask in found.values())
        notes.append(f"pixels of grey level {void} are ignored, in {ignored} masks")
    notes += _turn_notes(found)
    records = [
        MaskRecord(
            image_id,
            "val" if image_id in val else "test",
            known_labels.get(image_id, UNLABELLED),
            mask.counts,
            whole[image_id],
            mask.ignored,
        )
        for image_id, mask in found.items()
    ]
    return AnnotationSet("ilsvrc", annotations_of(records), names, sources, notes)


@dataclass(frozen=True)
class _Given:
    """Boxes as given, by image id, with all that their source says about them.

    Attributes:
        path: the list, folder or archive.
        boxes: corners as given; of all images in the source.
        sizes: (height, width) of the images whose size the source or a list has.
        names: the objects' names, if the source has them.
        published: how the corners of such files are known to be counted, if they are.
        source: the source record.
    """

    path: str | os.PathLike[str]
    boxes: Mapping[str, Sequence[RawBox]]
    sizes: Mapping[str, tuple[int, int]]
    names: Mapping[str, Sequence[str]]
    published: Corners | None
    source: Source


@dataclass(frozen=True)
class _Mask:
    """What is kept of a mask: run lengths, size and tight box, after it was transposed if needed.

    `turned` and `size_swapped` say whether the mask was transposed, or the size that was given.
    """

    counts: RunLengths
    ignored: RunLengths | None
    tight: Box
    turned: bool
    size_swapped: bool

    @property
    def size(self) -> tuple[int, int]:
        return self.counts.height, self.counts.width


def _read_given(
    path: str | os.PathLike[str],
    files: Mapping[str, Path],
    sizes: Mapping[str, tuple[int, int]],
) -> _Given:
    place = Path(path)
    if place.is_dir() or place.name.lower().endswith(ARCHIVE_ENDINGS):
        found = read_xml_boxes(place)
        _check_all_known(str(path), files, found.boxes)
        differing = [
            f"{image_id} of {found.sizes[image_id][1]}x{found.sizes[image_id][0]}"
            for image_id in files
            if image_id in found.sizes
            and found.sizes[image_id] != sizes.get(image_id, found.sizes[image_id])
        ]
        refuse(
            path,
            differing,
            expected="the widths and heights in the list of sizes",
            cure="leave one of the two sources out",
        )
        both = {**found.sizes, **sizes}
        return _Given(path, found.boxes, both, found.names, None, found.source)
    if is_kaggle(path):
        pairs = read_kaggle(path)
        _check_all_known(str(path), files, pairs)
        boxes = {image_id: [box for _, box in listed] for image_id, listed in pairs.items()}
        names = {image_id: [name for name, _ in listed] for image_id, listed in pairs.items()}
        return _Given(path, boxes, sizes, names, None, source_of(path))
    boxes = read_box_list(path)
    _check_all_known(str(path), files, boxes)
    return _Given(path, boxes, sizes, {}, Corners.INCLUSIVE, source_of(path))


def _read_mask(
    path: Path, rule: MaskRule, size: tuple[int, int] | None, boxes: Sequence[RawBox]
) -> _Mask:
    picture = read_picture(path, rule)
    mask, ignored = picture.mask, picture.ignored
    if not mask.any():
        raise without_object(path)
    swapped = size is not None and mask.shape != size and mask.shape == size[::-1]
    if size is not None and mask.shape != size and not swapped:
        raise WsolbenchError(
            path,
            found=f"width {mask.shape[1]}, height {mask.shape[0]}",
            expected=f"width {size[1]}, height {size[0]} of the image, or these swapped",
            cure="download the mask again",
        )
    tight = tight_box(mask)
    turned = (tight[1], tight[0], tight[3], tight[2])
    size_swapped = swapped and _overlap(tight, boxes) > _overlap(turned, boxes)
    if swapped and not size_swapped:
        mask, tight = np.ascontiguousarray(mask.T), turned
        ignored = None if ignored is None else np.ascontiguousarray(ignored.T)
    rest = encode(ignored) if ignored is not None and ignored.any() else None
    return _Mask(encode(mask), rest, tight, swapped and not size_swapped, size_swapped)


def _overlap(tight: Box, boxes: Sequence[RawBox]) -> float:
    """The largest intersection over union of a mask's tight box with a box or with all of them."""
    if not boxes:
        return 0.0
    x0, y0, x1, y1 = zip(*boxes, strict=True)
    best = 0.0
    for box in (*boxes, (min(x0), min(y0), max(x1), max(y1))):
        across = min(box[2], tight[2]) - max(box[0], tight[0])
        down = min(box[3], tight[3]) - max(box[1], tight[1])
        shared = max(across, 0.0) * max(down, 0.0)
        areas = (box[2] - box[0]) * (box[3] - box[1])
        areas += (tight[2] - tight[0]) * (tight[3] - tight[1])
        best = max(best, shared / (areas - shared))
    return best


def _settled(
    given: _Given, found: Mapping[str, _Mask], stated: Corners | None
) -> tuple[dict[str, list[Box]], list[str]]:
    """The boxes of the masks' images, and notes on them.

    The convention is read from all boxes, so that a box does not depend on the images kept.
    """
    sizes = {
        name: _fitting(given.boxes[name], size)
        for name, size in given.sizes.items()
        if name in given.boxes
    }
    sizes |= {image_id: mask.size for image_id, mask in found.items()}
    tight = {image_id: mask.tight for image_id, mask in found.items()}
    evidence = evidence_of(given.boxes, sizes, tight)
    corners = settle(given.path, evidence, given=stated, published=given.published)
    kept = {image_id: given.boxes[image_id] for image_id in found}
    whole, notes = whole_boxes(given.path, kept, sizes, corners)
    notes.insert(0, sentence(evidence, corners))
    return whole, [*notes, agreement(given.path, evidence, corners, kept, whole, tight)]


def _fitting(boxes: Sequence[RawBox], size: tuple[int, int]) -> tuple[int, int]:
    """The size, swapped if its boxes fit only so."""
    height, width = size
    fits = all(box[2] <= width and box[3] <= height for box in boxes)
    return size if fits else (width, height)


def _turn_notes(found: Mapping[str, _Mask]) -> list[str]:
    swapped = [image_id for image_id, mask in found.items() if mask.size_swapped]
    turned = [image_id for image_id, mask in found.items() if mask.turned]
    notes = []
    if swapped:
        notes.append(
            f"{len(swapped)} sizes were taken as width and height swapped, because mask and box "
            f"agree with each other against them: {', '.join(swapped)}"
        )
    if turned:
        notes.append(
            f"{len(turned)} masks with width and height swapped were transposed: "
            + ", ".join(turned)
        )
    return notes


def _masks_and_val(
    masks: str | os.PathLike[str], val_list: str | os.PathLike[str]
) -> tuple[dict[str, Path], list[str], set[str]]:
    """The masks by image id, the names of other files, and the ids of the val split."""
    files, others = list_masks(masks)
    refuse(
        masks,
        [f"{path.name}" for image_id, path in files.items() if not IMAGE.fullmatch(image_id)],
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
