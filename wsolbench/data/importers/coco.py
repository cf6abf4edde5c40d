"""COCO instances JSON with one category per image; its annotations are merged into one mask.

Source of the format: cocodataset.org, "Data format", object detection. Segmentations may be
polygons, run lengths as lists (column-major), or compressed run lengths; all are checked before
they reach pycocotools. Boxes are [x, y, width, height] and may be fractional: their corners are
rounded outwards to whole pixels and clipped to the image. Regions with iscrowd 1 become ignored
pixels, except where they overlap an object.

Files written by `export.export_coco` are restored exactly, from their additional keys (`STORE_KEY`
at the top level, `split` and `boxes` of an image, `class_index` and `key` of a category).
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeGuard

import numpy as np
from numpy.typing import NDArray

from ...errors import WsolbenchError, some
from ...files import require_file, strict_json
from ...formats.annotations import UNLABELLED, AnnotationSet
from ...image_ids import RULE, is_image_id
from ...images import MAX_SIDE
from ...masks import RunLengths, decode, encode, fill_polygon, paint_runs, tight_box
from ...progress import Progress
from .mask_files import Box, MaskRecord, annotations_of
from .tables import image_id_of, refuse, source_of

__all__ = ["PHOTO_ENDING", "STORE_KEY", "UNLABELLED_NAME", "import_coco"]

STORE_KEY = "wsolbench"
"""Top-level key of files written by `export_coco`: data set and classes."""

PHOTO_ENDING = ".jpg"
"""`export_coco` adds this ending to an image id to form a file name."""

UNLABELLED_NAME = "unlabelled"
"""Category name of images whose class is unknown."""

MAX_JSON_BYTES = 1 << 30
"""Maximum size of a JSON file in bytes; COCO's training annotations have half of that."""

_Object = dict[str, object]


def import_coco(
    file: str | os.PathLike[str],
    *,
    split: str | None = None,
    dataset: str | None = None,
    progress: Progress | None = None,
) -> AnnotationSet:
    """Annotations from a COCO instances file.

    Args:
        file: the JSON.
        split: the split of images that have no key `split`; "val" by default.
        dataset: the data set's name; by default the name stored by `export_coco`, otherwise the
            file's name.
        progress: called with (images done, images).

    Returns:
        The annotations; image ids are the file names without folder and ending, and class indices
        number the categories by ascending id.

    Raises:
        WsolbenchError: the file is not COCO instances JSON, an image is duplicated or has no
            object or objects of several categories, a referenced category or image is missing, or
            a segmentation or box is malformed; all faults together.
    """
    content = _read_json(file)
    faults: list[str] = []
    stored = content.get(STORE_KEY)
    classes, class_of = _categories(content, faults)
    images = _images(content, faults)
    _attach(content, images, class_of, faults)
    records: list[MaskRecord] = []
    for done, image in enumerate(images.values(), start=1):
        try:
            records.append(_merged(image, class_of, split, exported=isinstance(stored, dict)))
        except ValueError as error:
            faults.append(f"image {image.image_id}: {error}")
        if progress is not None:
            progress(done, len(images))
    refuse(
        file,
        faults,
        expected="COCO instances with one category per image",
        cure="filter or correct the file first",
    )
    name = Path(file).stem
    if isinstance(stored, dict):
        name = str(stored.get("dataset", name))
        classes = [(str(key), str(text)) for key, text in _pairs(stored.get("classes"))]
    notes = ["boxes were rounded outwards to whole pixels"] if not isinstance(stored, dict) else []
    return AnnotationSet(
        name if dataset is None else dataset,
        annotations_of(records),
        classes,
        [source_of(file)],
        notes,
    )


@dataclass
class _Image:
    """An image and the (category, is crowd, record) of each of its annotations."""

    image_id: str
    height: int
    width: int
    split: str | None
    boxes: object
    objects: list[tuple[int, bool, _Object]] = field(default_factory=list)


def _read_json(path: str | os.PathLike[str]) -> _Object:
    file = require_file(path, "COCO instances, a JSON file")
    if file.stat().st_size > MAX_JSON_BYTES:
        raise WsolbenchError(
            file,
            found=f"{file.stat().st_size} bytes",
            expected=f"at most {MAX_JSON_BYTES}",
            cure="split the file",
        )

    try:
        content = strict_json(file.read_bytes())
    except ValueError as error:
        raise WsolbenchError(
            file, found=f"invalid JSON ({error})", expected="UTF-8 JSON", cure="write it again"
        ) from error
    if not isinstance(content, dict) or not all(
        isinstance(content.get(key), list) for key in ("images", "annotations", "categories")
    ):
        raise WsolbenchError(
            file,
            found="JSON of another format",
            expected="an object with the lists images, annotations and categories",
            cure="name COCO's instances file (not captions or person keypoints)",
        )
    return content


def _records(content: _Object, key: str, faults: list[str]) -> list[tuple[int, _Object]]:
    """The (id, record) pairs of a list; records with a missing or repeated id are faults."""
    found: dict[int, _Object] = {}
    listed = content[key]
    for position, record in enumerate(listed if isinstance(listed, list) else []):
        number: object = record.get("id") if isinstance(record, dict) else None
        if not _is_integer(number):
            faults.append(f"{key}[{position}] has no integer id")
        elif number in found:
            faults.append(f"{key}: duplicate id {number}")
        else:
            found[number] = record
    return list(found.items())


def _categories(
    content: _Object, faults: list[str]
) -> tuple[list[tuple[str, str]], dict[int, int]]:
    """The classes by ascending category id, and the class index of each category id."""
    records = sorted(_records(content, "categories", faults), key=lambda pair: pair[0])
    classes = [(str(number), str(record.get("name", ""))) for number, record in records]
    indices: dict[int, int] = {}
    for position, (number, record) in enumerate(records):
        index = record.get("class_index", position) if STORE_KEY in content else position
        if not _is_integer(index) or index < UNLABELLED:
            faults.append(f"category {number}: class_index is {index!r}")
        else:
            indices[number] = index
    return classes, indices


def _images(content: _Object, faults: list[str]) -> dict[int, _Image]:
    images: dict[int, _Image] = {}
    seen: set[str] = set()
    for number, record in _records(content, "images", faults):
        name, height, width = (record.get(key) for key in ("file_name", "height", "width"))
        split = record.get("split")
        image_id = image_id_of(name) if isinstance(name, str) else None
        if image_id is None:
            faults.append(f"image {number}: file_name {name!r} gives no valid image id ({RULE})")
        elif image_id in seen:
            faults.append(f"image {number}: duplicate image id {image_id}")
        elif not (_is_side(height) and _is_side(width)):
            faults.append(f"image {image_id}: size {width!r}x{height!r}")
        elif split is not None and not (isinstance(split, str) and is_image_id(split)):
            faults.append(f"image {image_id}: split {split!r}")
        else:
            boxes = record.get("boxes") if STORE_KEY in content else None
            images[number] = _Image(image_id, height, width, split, boxes)
        seen.add(image_id or "")
    return images


def _attach(
    content: _Object,
    images: Mapping[int, _Image],
    class_of: Mapping[int, int],
    faults: list[str],
) -> None:
    for number, record in _records(content, "annotations", faults):
        image, category = record.get("image_id"), record.get("category_id")
        if not _is_integer(image) or image not in images:
            faults.append(f"annotation {number}: missing or invalid image {image!r}")
        elif not _is_integer(category) or category not in class_of:
            faults.append(f"annotation {number}: missing category {category!r}")
        elif record.get("iscrowd", 0) not in (0, 1):
            faults.append(f"annotation {number}: iscrowd is {record['iscrowd']!r}")
        else:
            crowd = record.get("iscrowd", 0) == 1
            images[image].objects.append((category, crowd, record))


def _merged(
    image: _Image, class_of: Mapping[int, int], split: str | None, *, exported: bool
) -> MaskRecord:
    categories = sorted({category for category, _, _ in image.objects})
    if not categories:
        raise ValueError("no annotation")
    if len(categories) > 1:
        raise ValueError(f"objects of several categories ({some(categories)})")
    size = (image.height, image.width)
    mask = np.zeros(size, dtype=np.bool_)
    crowd = np.zeros(size, dtype=np.bool_)
    boxes: list[Box] = []
    for _, is_crowd, record in image.objects:
        pixels = _pixels(record.get("segmentation"), size)
        if is_crowd:
            crowd |= pixels
            continue
        mask |= pixels
        if image.boxes is None:
            boxes.append(_box(record.get("bbox"), pixels))
    has_crowd = any(is_crowd for _, is_crowd, _ in image.objects)
    if not mask.any() and not (exported and has_crowd):
        raise ValueError("no object pixel")
    if not exported:
        crowd &= ~mask
        has_crowd = bool(crowd.any())
    corners = boxes if image.boxes is None else _exported_boxes(image.boxes)
    return MaskRecord(
        image.image_id,
        image.split or split or "val",
        class_of[categories[0]],
        encode(mask),
        corners,
        encode(crowd) if has_crowd else None,
    )


def _pixels(segmentation: object, size: tuple[int, int]) -> NDArray[np.bool_]:
    if isinstance(segmentation, list):
        return _fill_polygons(segmentation, size)
    if not isinstance(segmentation, dict):
        raise ValueError("an annotation has no segmentation")
    if segmentation.get("size") != list(size):
        raise ValueError(
            f"run lengths of size {segmentation.get('size')!r}, but the image has {list(size)}"
        )
    counts = segmentation.get("counts")
    if isinstance(counts, str):
        try:
            return decode(RunLengths(*size, counts.encode("ascii")))
        except (WsolbenchError, UnicodeError) as error:
            raise ValueError(f"malformed run lengths ({error})") from error
    if (
        not isinstance(counts, list)
        or not all(_is_integer(count) and 0 <= count <= size[0] * size[1] for count in counts)
        or sum(counts) != size[0] * size[1]
    ):
        raise ValueError("run lengths that are not counts summing to the number of pixels")
    return paint_runs(np.array(counts, dtype=np.int64), *size)


def _fill_polygons(polygons: list[object], size: tuple[int, int]) -> NDArray[np.bool_]:
    if not polygons:
        raise ValueError("a segmentation has no polygon")
    mask = np.zeros(size, dtype=np.bool_)
    for polygon in polygons:
        if (
            not isinstance(polygon, list)
            or len(polygon) < 6
            or len(polygon) % 2
            or not all(_is_number(value) and abs(value) <= MAX_SIDE for value in polygon)
        ):
            raise ValueError("a polygon is not a list of x, y of at least three points")
        mask |= fill_polygon(polygon, *size)
    return mask


def _box(bbox: object, pixels: NDArray[np.bool_]) -> Box:
    """Half-open integer corners of a COCO box; the tight box of the object if bbox is missing."""
    height, width = pixels.shape
    if bbox is None:
        if not pixels.any():
            raise ValueError("an annotation has neither a box nor a pixel")
        return tight_box(pixels)
    if not isinstance(bbox, list) or len(bbox) != 4 or not all(map(_is_number, bbox)):
        raise ValueError(f"invalid bbox {bbox!r}")
    x, y, box_width, box_height = map(float, bbox)
    if not max(map(abs, (x, y, box_width, box_height))) <= MAX_SIDE:
        raise ValueError(f"invalid bbox {bbox!r}")
    x0, y0 = max(math.floor(x), 0), max(math.floor(y), 0)
    x1, y1 = min(math.ceil(x + box_width), width), min(math.ceil(y + box_height), height)
    if x0 >= x1 or y0 >= y1 or box_width <= 0 or box_height <= 0:
        raise ValueError(f"bbox {bbox!r} is empty within {width}x{height}")
    return x0, y0, x1, y1


def _exported_boxes(boxes: object) -> list[Box]:
    if not isinstance(boxes, list) or not all(
        isinstance(box, list)
        and len(box) == 4
        and all(_is_integer(corner) and 0 <= corner <= MAX_SIDE for corner in box)
        for box in boxes
    ):
        raise ValueError("boxes are not lists of four corners")
    return [(x0, y0, x1, y1) for x0, y0, x1, y1 in boxes]


def _pairs(value: object) -> list[tuple[object, object]]:
    if not isinstance(value, list):
        return []
    return [(pair[0], pair[1]) for pair in value if isinstance(pair, list) and len(pair) == 2]


def _is_integer(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_side(value: object) -> TypeGuard[int]:
    return _is_integer(value) and 1 <= value <= MAX_SIDE


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
