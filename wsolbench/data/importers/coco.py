"""COCO instances JSON with one category per image; its annotations are merged into one mask.

Source of the format: cocodataset.org, "Data format", object detection. Boxes are [x, y, width,
height] and may be fractional: their corners are rounded outwards to whole pixels and clipped to the
image. Each is compared with the mask of its annotation. Regions with iscrowd 1 become ignored
pixels, except where they overlap an object. Detection files, without any segmentation, give boxes
and no masks.

Files written by `export.export_coco` are restored exactly, from their additional keys (`STORE_KEY`
at the top level, `split` and `boxes` of an image, `class_index` and `key` of a category).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from ...errors import WsolbenchError, require_choice, some
from ...formats.annotations import AnnotationSet
from ...images import MAX_SIDE
from ...masks import RunLengths, encode
from ...progress import Progress
from .box_agreement import check_agreement, notes_of_agreement, one_choice
from .coco_checks import check_boxes_alone, check_sizes, outline
from .coco_file import STORE_KEY, CocoImage, read_coco, whole
from .coco_merge import CURES, NO_MASK, Merged, Way, merge, merge_boxes
from .coco_select import SKIP, chosen_images, lacks_shape
from .coco_shapes import BOXES, ROWS, corners_of, has_shape, pixels_of
from .corners import Corners, decide, evidence_of
from .mask_files import Box, MaskRecord, annotations_of
from .tables import refuse, source_of

__all__ = ["PHOTO_ENDING", "STORE_KEY", "UNLABELLED_NAME", "import_coco"]

PHOTO_ENDING = ".jpg"
"""`export_coco` adds this ending to an image id to form a file name."""

UNLABELLED_NAME = "unlabelled"
"""Category name of images whose class is unknown."""


def import_coco(
    file: str | os.PathLike[str],
    *,
    split: str | None = None,
    dataset: str | None = None,
    categories: Sequence[str] = (),
    skip_empty: bool = False,
    allow_missing_masks: bool = False,
    boxes: str = "xywh",
    rle: str = "columns",
    tight_boxes: bool = False,
    keep_boxes: bool = False,
    folder_ids: bool = False,
    progress: Progress | None = None,
) -> AnnotationSet:
    """Annotations from a COCO instances file.

    Args:
        file: the JSON.
        split: the split of images that have no key `split`; "val" by default.
        dataset: the data set's name; by default the name stored by `export_coco`, otherwise the
            file's name.
        categories: names or ids of categories: objects of others are background, and images
            without an object of these are left out.
        skip_empty: leave out annotations without a pixel, and images without an annotation.
        allow_missing_masks: if some annotations have a segmentation and some have none, store the
            images of the latter with boxes and without a mask.
        boxes: how a bbox is read: "xywh" (x, y, width, height) or "xyxy" (x0, y0, x1, y1).
        rle: the order of run lengths given as lists: "columns" or "rows".
        tight_boxes: use the tight box of each annotation's mask, whatever its bbox says; images
            without a mask keep their boxes.
        keep_boxes: keep boxes that contradict their masks.
        folder_ids: keep the folders of file names in the ids: `val2/0/3.jpeg` has the id
            `val2~0~3`.
        progress: called with (images done, images).

    Returns:
        The annotations; image ids are the file names without folder and ending, and class indices
        number the categories by ascending id, numbers before texts. If no annotation has a
        segmentation, no image has a mask.

    Raises:
        WsolbenchError: the file is not COCO instances JSON, an image is duplicated or has no
            object or objects of several categories, a referenced category or image is missing, a
            segmentation or box is malformed, boxes contradict their masks, or an option has no
            effect; all faults of a kind together.
    """
    require_choice("boxes", boxes, BOXES)
    require_choice("rle", rle, ROWS)
    one_choice(tight_boxes, keep_boxes)
    content = read_coco(file, folder_ids=folder_ids)
    name = Path(file).stem
    if content.stored is not None:
        chosen = (categories, skip_empty, allow_missing_masks, tight_boxes, folder_ids)
        if any(chosen) or (boxes, rle) != ("xywh", "columns"):
            raise WsolbenchError(
                file,
                found="a file exported by wsolbench, which is restored as it is",
                cure="leave out the options that change what is imported",
            )
        records = _each(file, content.images, lambda image: _restored(image, split), progress)
        name = str(content.stored.get("dataset", name))
        classes = [(str(key), str(text)) for key, text in _pairs(content.stored.get("classes"))]
        notes: list[str] = []
    else:
        way = Way(boxes, rle, tight_boxes, keep_boxes, skip_empty, split or "val")
        images, notes = chosen_images(file, content, categories, skip_empty, allow_missing_masks)
        records, more = _merge_all(file, images, way, progress)
        notes += more
        classes = [(str(item.key), item.name) for item in content.categories]
    return AnnotationSet(
        name if dataset is None else dataset,
        annotations_of(records),
        classes,
        [source_of(file)],
        notes,
    )


def _each(
    file: object,
    images: Sequence[CocoImage],
    restore: Callable[[CocoImage], MaskRecord],
    progress: Progress | None,
) -> list[MaskRecord]:
    """The records of an exported file."""
    faults: list[str] = []
    records: list[MaskRecord] = []
    for done, image in enumerate(images, start=1):
        try:
            records.append(restore(image))
        except ValueError as error:
            faults.append(f"image {image.image_id}: {error}")
        if progress is not None:
            progress(done, len(images))
    refuse(file, faults, cure="export the annotations again")
    return records


def _merge_all(
    file: object, images: Sequence[CocoImage], way: Way, progress: Progress | None
) -> tuple[list[MaskRecord], list[str]]:
    """The records of all images, and notes of what happened to their annotations."""
    boxed = [image for image in images if lacks_shape(image)]
    if way.tight:
        _check_tight(file, images, boxed, way)
    faults: list[str] = []
    check_boxes_alone(file, boxed, way)
    merged: list[Merged] = []
    for done, image in enumerate(images, start=1):
        united = merge_boxes if lacks_shape(image) else merge
        merged.append(united(image, way, faults))
        if progress is not None:
            progress(done, len(images))
    refuse(file, faults, cure="correct these annotations first")
    if len(boxed) < len(images):
        check_sizes(file, [image for image in images if not lacks_shape(image)], outline)
    compared = [pair for item in merged for pair in item.compared]
    if not (way.keep or way.tight):
        check_agreement(file, compared, CURES)
    _check_empty(file, merged, way)
    counted = _note_of_counting(images) if len(boxed) == len(images) else []
    notes = _notes(merged, way, len(boxed))
    return _kept(file, merged), [*notes, *counted, *notes_of_agreement(compared)]


def _check_tight(
    file: object, images: Sequence[CocoImage], boxed: Sequence[CocoImage], way: Way
) -> None:
    """Refuse tight boxes where no image has a mask, and a reading of boxes that nothing uses."""
    if len(boxed) == len(images):
        raise WsolbenchError(
            file,
            found="no mask, so there are no tight boxes",
            cure="leave --tight-boxes out (Python tight_boxes)",
        )
    if not boxed and way.boxes != "xywh":
        raise WsolbenchError(
            "boxes",
            found=f"{way.boxes!r} and tight boxes of masks, which ignore each bbox",
            cure="choose one: --boxes or --tight-boxes (Python boxes, tight_boxes)",
        )


def _note_of_counting(images: Sequence[CocoImage]) -> list[str]:
    """A note if boxes without masks look as if they were not half-open, as COCO defines them."""
    boxes = {
        image.image_id: [corners_of(item.bbox, "xywh") for item in image.objects if not item.crowd]
        for image in images
    }
    evidence = evidence_of(boxes, {own.image_id: (own.height, own.width) for own in images})
    seen = decide(evidence)
    if seen in (None, Corners.HALF_OPEN):
        return []
    return [f"boxes: {evidence}, as if x + width were {seen}; taken as half-open, as COCO has them"]


def _kept(file: object, merged: Sequence[Merged]) -> list[MaskRecord]:
    records = [item.record for item in merged if item.record is not None]
    if not records:
        raise WsolbenchError(file, found="no image with an object", cure="name another file")
    return records


def _check_empty(file: object, merged: Sequence[Merged], way: Way) -> None:
    empty = [name for item in merged for name in item.empty]
    if empty and not way.skip_empty:
        raise WsolbenchError(
            file,
            found=f"{len(empty)} annotations without an object pixel: {some(empty)}",
            cure=f"correct them, or leave them out: {SKIP}",
        )


def _notes(merged: Sequence[Merged], way: Way, boxed: int) -> list[str]:
    total = sum(item.boxes for item in merged)
    rounded, cut = (sum(getattr(item, kind) for item in merged) for kind in ("rounded", "cut"))
    strays = [name for item in merged for name in item.strays]
    empty = [name for item in merged for name in item.empty]
    gone = sum(item.record is None for item in merged)
    counted = [
        (len(empty), f"annotations without an object pixel were left out: {some(empty)}"),
        (gone, "images without an object were left out"),
        (len(strays), f"polygons of one or two points were left out: {some(strays)}"),
        (rounded, f"of {total} boxes were rounded outwards to whole pixels"),
        (cut, f"of {total} boxes were clipped to their images"),
    ]
    notes = [f"{count} {text}" for count, text in counted if count]
    if way.tight:
        ignored = f", except in {boxed} images without a mask" if boxed else ""
        notes.append(f"boxes are the tight boxes of the masks; each bbox was ignored{ignored}")
    if way.boxes != "xywh":
        notes.append("each bbox was read as x0, y0, x1, y1")
    if way.rle != "columns":
        notes.append("run lengths given as lists were read row after row")
    return notes


def _restored(image: CocoImage, split: str | None) -> MaskRecord:
    """The record of an image of a file written by `export_coco`."""
    if not image.objects:
        raise ValueError("no annotation")
    size = (image.height, image.width)
    objects = [item for item in image.objects if not item.crowd]
    crowds = [
        pixels_of(item.segmentation, size, "columns")[0] for item in image.objects if item.crowd
    ]
    shapes = [item.segmentation for item in objects if has_shape(item.segmentation)]
    mask = np.zeros(size, dtype=np.bool_)
    for shape in shapes:
        mask |= pixels_of(shape, size, "columns")[0]
    if shapes and not (mask.any() or crowds):
        raise ValueError("no object pixel")
    return MaskRecord(
        image.image_id,
        image.split or split or "val",
        image.objects[0].category.class_index,
        encode(mask) if shapes else RunLengths(*size, NO_MASK),
        _exported_boxes(image.boxes),
        encode(np.logical_or.reduce(crowds)) if crowds else None,
    )


def _exported_boxes(boxes: object) -> list[Box]:
    listed = boxes if isinstance(boxes, list) else [None]
    found: list[Box] = []
    for box in listed:
        corners = [whole(corner) for corner in box] if isinstance(box, list) else []
        inside = [corner for corner in corners if corner is not None and 0 <= corner <= MAX_SIDE]
        if len(corners) != 4 or len(inside) != 4:
            raise ValueError("boxes are not lists of four corners")
        found.append((inside[0], inside[1], inside[2], inside[3]))
    return found


def _pairs(value: object) -> list[tuple[object, object]]:
    if not isinstance(value, list):
        return []
    return [(pair[0], pair[1]) for pair in value if isinstance(pair, list) and len(pair) == 2]
