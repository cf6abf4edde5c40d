"""The text lists of ILSVRC2012: ids, sizes, boxes and class names.

Their lines begin with the name of an image (`val/ILSVRC2012_val_00000001.JPEG`, with any folders,
also of Windows), followed by numbers after commas or spaces. Kaggle's LOC_val_solution.csv has a
header and, for each image, WordNet ids with their boxes.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Sequence

from ...image_ids import image_id_of
from .corners import RawBox
from .rounding import snapped
from .tables import read_lines, refuse, same_ids

__all__ = [
    "CLASSES",
    "IMAGE",
    "WORDNET_ID",
    "box_of",
    "is_kaggle",
    "named_records",
    "read_box_list",
    "read_class_names",
    "read_kaggle",
    "read_sizes",
    "read_val_list",
]

CLASSES = 1000
"""Number of classes of ILSVRC2012."""

IMAGE = re.compile(r"ILSVRC2012_val_[0-9]{8}")
"""The ids of the validation images."""

WORDNET_ID = re.compile(r"n[0-9]{8}")

KAGGLE_HEADER = "imageid,predictionstring"
"""The first line of LOC_val_solution.csv, in lower case."""


def read_val_list(path: str | os.PathLike[str]) -> list[str]:
    """The ids of the val split, in the order of the list.

    Raises:
        WsolbenchError: the file is unreadable, or an id is malformed or duplicated.
    """
    ids: dict[str, None] = {}
    faults: list[str] = []
    for number, line in read_lines(path, "the ids of the val split, one per line"):
        image_id = image_id_of(line)
        if image_id is None or not IMAGE.fullmatch(image_id):
            faults.append(f"line {number}: {line[:40]!r}")
        elif image_id in ids:
            faults.append(f"line {number}: duplicate id {image_id}")
        else:
            ids[image_id] = None
    refuse(path, faults, expected="one ILSVRC2012_val_ id per line", cure="download the list again")
    return list(ids)


def named_records(
    path: str | os.PathLike[str], what: str, fields: int, *, folder_ids: bool | None = None
) -> list[tuple[int, str, list[str]]]:
    """(line number, image id, fields) of a list of names with that many fields after each.

    Fields are separated by commas if the line has any, otherwise by spaces; only then may the name
    not contain commas, but it may contain spaces.

    Args:
        path: the list.
        what: description of a line, for messages.
        fields: number of fields after the name.
        folder_ids: keep the folders of the names in the ids; None if the caller does not offer it.

    Raises:
        WsolbenchError: the file is unreadable, a line is malformed, or two names have the same id.
    """
    records: list[tuple[int, str, list[str]]] = []
    names: list[str] = []
    faults: list[str] = []
    for number, line in read_lines(path, what):
        parts = line.rsplit("," if "," in line else None, fields)
        texts = [part.strip() for part in parts[1:]]
        image_id = image_id_of(parts[0].strip(), folders=bool(folder_ids))
        if image_id is None or len(texts) != fields or not all(texts) or "," in parts[0]:
            faults.append(f"line {number}: {line[:60]!r}")
        else:
            records.append((number, image_id, texts))
            names.append(parts[0].strip().replace("\\", "/"))
    refuse(path, faults, expected=what, cure="check that it is the correct list")
    same_ids(path, names, [image_id for _, image_id, _ in records], folder_ids=folder_ids)
    return records


def read_sizes(
    path: str | os.PathLike[str], *, folder_ids: bool | None = None
) -> dict[str, tuple[int, int]]:
    """(height, width) by image id, from a list `val/<image id>.JPEG,width,height`.

    Args:
        path: the list.
        folder_ids: see `named_records`.

    Raises:
        WsolbenchError: the file is unreadable, a line is malformed, a size is 0, or an id is
            duplicated.
    """
    sizes: dict[str, tuple[int, int]] = {}
    faults: list[str] = []
    what = "lines `val/<image id>.JPEG,width,height`"
    for number, image_id, texts in named_records(path, what, 2, folder_ids=folder_ids):
        width, height = (_number(text) for text in texts)
        if width is None or height is None or width % 1 or height % 1:
            faults.append(f"line {number}: {','.join(texts)!r}")
            continue
        if width < 1 or height < 1:
            faults.append(f"line {number}: {width:.0f}x{height:.0f}")
        elif image_id in sizes:
            faults.append(f"line {number}: duplicate id {image_id}")
        sizes[image_id] = (int(height), int(width))
    refuse(path, faults, expected="one size per image", cure="download the list again")
    return sizes


def read_box_list(
    path: str | os.PathLike[str], *, folder_ids: bool | None = None
) -> dict[str, list[RawBox]]:
    """Boxes by image id, as listed: `val/<image id>.JPEG,x0,y0,x1,y1`.

    Args:
        path: the list.
        folder_ids: see `named_records`.

    Raises:
        WsolbenchError: the file is unreadable, a line is malformed, or corners are out of order.
    """
    boxes: dict[str, list[RawBox]] = {}
    faults: list[str] = []
    what = "lines `val/<image id>.JPEG,x0,y0,x1,y1`"
    for number, image_id, texts in named_records(path, what, 4, folder_ids=folder_ids):
        box = box_of(texts)
        if box is None:
            faults.append(f"line {number}: {','.join(texts)[:60]!r}")
        elif box[0] > box[2] or box[1] > box[3]:
            faults.append(f"line {number}: the corners {','.join(texts)} are out of order")
        else:
            boxes.setdefault(image_id, []).append(box)
    refuse(path, faults, expected="corners x0,y0,x1,y1 in pixels", cure="correct the list")
    return boxes


def box_of(texts: Sequence[str]) -> RawBox | None:
    """The four corners, of which none is negative; None if a text is no such number."""
    corners = [_number(text) for text in texts]
    if len(corners) != 4:
        return None
    x0, y0, x1, y1 = corners
    if x0 is None or y0 is None or x1 is None or y1 is None or min(x0, y0, x1, y1) < 0:
        return None
    return x0, y0, x1, y1


def is_kaggle(path: str | os.PathLike[str]) -> bool:
    """Whether the list is Kaggle's LOC_val_solution.csv, by its header."""
    first = read_lines(path, "a list of boxes or labels")[0][1]
    return first.lower().replace(" ", "").replace('"', "") == KAGGLE_HEADER


def read_kaggle(path: str | os.PathLike[str]) -> dict[str, list[tuple[str, RawBox]]]:
    """(WordNet id, box as listed) of each object by image id, from LOC_val_solution.csv.

    Raises:
        WsolbenchError: the file is unreadable, a line is malformed, an image is listed twice, or
            corners are out of order.
    """
    found: dict[str, list[tuple[str, RawBox]]] = {}
    faults: list[str] = []
    what = "lines `<image id>,n01440764 x0 y0 x1 y1 n01440764 x0 y0 x1 y1`"
    for number, line in read_lines(path, what)[1:]:
        name, _, text = line.replace('"', "").partition(",")
        fields = text.split()
        image_id = image_id_of(name)
        pairs = [
            (fields[start], box)
            for start in range(0, len(fields), 5)
            if WORDNET_ID.fullmatch(fields[start])
            and (box := box_of(fields[start + 1 : start + 5])) is not None
            and box[0] <= box[2]
            and box[1] <= box[3]
        ]
        if image_id is None or image_id in found or not pairs or len(fields) != 5 * len(pairs):
            faults.append(f"line {number}: {line[:60]!r}")
        else:
            found[image_id] = pairs
    if not found and not faults:
        faults.append("no line after the header")
    refuse(path, faults, expected=f"{what}, each image once", cure="download it again from Kaggle")
    return found


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
        if not WORDNET_ID.fullmatch(key) or not name.strip():
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


def _number(text: str) -> float | None:
    """The finite number in a text, without float noise, or None."""
    try:
        value = float(text)
    except ValueError:
        return None
    return snapped(value) if math.isfinite(value) and abs(value) < 1e9 else None
