"""The records of a COCO instances file: images, categories and annotations, joined by their ids.

Ids are integers or texts. Faults that follow from another one, such as annotations of an image
whose own record is faulty, are not reported.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field

from ...errors import WsolbenchError
from ...files import require_file, strict_json
from ...formats.annotations import UNLABELLED
from ...formats.untrusted.contents import read_bytes
from ...image_ids import RULE, image_id_of, is_image_id
from ...images import MAX_PIXELS, MAX_SIDE
from .tables import refuse, same_ids

__all__ = ["STORE_KEY", "Category", "CocoFile", "CocoImage", "CocoObject", "read_coco", "whole"]

STORE_KEY = "wsolbench"
"""Top-level key of files written by `export_coco`: data set and classes."""

MAX_JSON_BYTES = 1 << 30
"""Maximum size of a JSON file in bytes; COCO's training annotations have half of that."""

_Object = dict[str, object]
_Key = int | str


@dataclass(frozen=True)
class Category:
    """A category.

    Attributes:
        key: its id.
        name: its name.
        class_index: the index of its class.
    """

    key: _Key
    name: str
    class_index: int


@dataclass(frozen=True)
class CocoObject:
    """An annotation; its shape and box are not checked yet."""

    name: str
    category: Category
    crowd: bool
    segmentation: object
    bbox: object


@dataclass
class CocoImage:
    """An image and its annotations; `boxes` are those of files written by `export_coco`."""

    image_id: str
    height: int
    width: int
    split: str | None
    boxes: object
    objects: list[CocoObject] = field(default_factory=list)


@dataclass(frozen=True)
class CocoFile:
    """The content of a file.

    Attributes:
        images: in the file's order.
        categories: by ascending id, numbers before texts.
        stored: the record of `export_coco`; None in files of other programs.
    """

    images: list[CocoImage]
    categories: list[Category]
    stored: dict[str, object] | None


def read_coco(path: str | os.PathLike[str], *, folder_ids: bool) -> CocoFile:
    """Read a file and join its records.

    Args:
        path: the JSON.
        folder_ids: keep the folders of file names in the image ids.

    Raises:
        WsolbenchError: the file is not COCO instances JSON, or a record lacks its id, has that of
            another one or names one that is missing; all faults together.
    """
    content = _read_json(path)
    stored = content.get(STORE_KEY)
    faults: list[str] = []
    categories = _categories(content, faults)
    images = _images(path, content, folder_ids, faults)
    _attach(content, images, categories, faults)
    refuse(path, faults, expected="COCO instances", cure="correct the file first")
    return CocoFile(
        [image for image in images.values() if image is not None],
        [category for category in categories.values() if category is not None],
        stored if isinstance(stored, dict) else None,
    )


def whole(value: object) -> int | None:
    """The value as an integer, if it is one or a float such as 12.0; otherwise None."""
    if isinstance(value, bool):
        return None
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) else None


def _read_json(path: str | os.PathLike[str]) -> _Object:
    file = require_file(path, "COCO instances, a JSON file")
    data = read_bytes(file, "COCO instances", MAX_JSON_BYTES, cure="split the file")
    try:
        content = strict_json(data)
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


def _key(value: object) -> _Key | None:
    return value if isinstance(value, str) else whole(value)


def _records(content: _Object, kind: str, faults: list[str]) -> list[tuple[_Key, _Object]]:
    """The (id, record) pairs of a list; records with a missing or repeated id are faults."""
    found: dict[_Key, _Object] = {}
    listed = content[kind]
    for position, record in enumerate(listed if isinstance(listed, list) else []):
        key = _key(record.get("id")) if isinstance(record, dict) else None
        if key is None:
            faults.append(f"{kind}[{position}] has no id that is an integer or a text")
        elif key in found:
            faults.append(f"{kind}: duplicate id {key}")
        else:
            found[key] = record
    return list(found.items())


def _categories(content: _Object, faults: list[str]) -> dict[_Key, Category | None]:
    """The categories by id; None for one whose record is faulty."""
    records = _records(content, "categories", faults)
    records.sort(key=lambda pair: (isinstance(pair[0], str), pair[0]))
    found: dict[_Key, Category | None] = {}
    for position, (key, record) in enumerate(records):
        index = record.get("class_index", position) if STORE_KEY in content else position
        number = whole(index)
        if number is None or number < UNLABELLED:
            faults.append(f"category {key}: class_index is {index!r}")
            found[key] = None
        else:
            found[key] = Category(key, str(record.get("name", "")), number)
    return found


def _images(
    path: str | os.PathLike[str], content: _Object, folder_ids: bool, faults: list[str]
) -> dict[_Key, CocoImage | None]:
    """The images by id; None for one whose record is faulty."""
    images: dict[_Key, CocoImage | None] = {}
    names: list[str] = []
    for key, record in _records(content, "images", faults):
        images[key] = _image(key, record, folder_ids, STORE_KEY in content, faults)
        name = record.get("file_name")
        if images[key] is not None and isinstance(name, str):
            names.append(name)
    ids = [image.image_id for image in images.values() if image is not None]
    faults += [
        f"{count} images have the file_name {name}"
        for name, count in Counter(names).items()
        if count > 1
    ]
    if not faults:
        same_ids(path, names, ids, folder_ids=folder_ids)
    return images


def _image(
    key: _Key, record: _Object, folder_ids: bool, exported: bool, faults: list[str]
) -> CocoImage | None:
    name, split = record.get("file_name"), record.get("split")
    height, width = whole(record.get("height")), whole(record.get("width"))
    image_id = image_id_of(name, folders=folder_ids) if isinstance(name, str) else None
    if image_id is None:
        faults.append(f"image {key}: file_name {name!r} gives no valid image id ({RULE})")
    elif height is None or width is None or not (_is_side(height) and _is_side(width)):
        size = f"width {record.get('width')!r}, height {record.get('height')!r}"
        faults.append(f"image {image_id}: {size}, not two integers from 1 to {MAX_SIDE}")
    elif height * width > MAX_PIXELS:
        faults.append(f"image {image_id}: {height * width} pixels, more than {MAX_PIXELS}")
    elif split is not None and not (isinstance(split, str) and is_image_id(split)):
        faults.append(f"image {image_id}: split {split!r}")
    else:
        return CocoImage(image_id, height, width, split, record.get("boxes") if exported else None)
    return None


def _is_side(value: int) -> bool:
    return 1 <= value <= MAX_SIDE


def _attach(
    content: _Object,
    images: dict[_Key, CocoImage | None],
    categories: dict[_Key, Category | None],
    faults: list[str],
) -> None:
    # A record without an id may be the one that an annotation names.
    unnamed = {
        "image": len(images) < _length(content["images"]),
        "category": len(categories) < _length(content["categories"]),
    }
    for number, record in _records(content, "annotations", faults):
        name = f"annotation {number}"
        image_key, category_key = _key(record.get("image_id")), _key(record.get("category_id"))
        crowd = record.get("iscrowd", 0)
        if image_key is None or image_key not in images:
            if not unnamed["image"]:
                faults.append(f"{name}: {_missing('image', record.get('image_id'), images)}")
        elif category_key is None or category_key not in categories:
            if not unnamed["category"]:
                given = record.get("category_id")
                faults.append(f"{name}: {_missing('category', given, categories)}")
        elif crowd not in (0, 1):
            faults.append(f"{name}: iscrowd is {crowd!r}")
        else:
            image, category = images[image_key], categories[category_key]
            if image is not None and category is not None:
                shape, box = record.get("segmentation"), record.get("bbox")
                image.objects.append(CocoObject(name, category, crowd == 1, shape, box))


def _length(listed: object) -> int:
    return len(listed) if isinstance(listed, list) else 0


def _missing(kind: str, value: object, known: Collection[_Key]) -> str:
    texts = {str(key): key for key in known}
    other = texts.get(str(value))
    hint = "" if other is None else f", but {other!r}, which is another type"
    return f"no {kind} has the id {value!r}{hint}"
