"""Oxford-IIIT Pet: cats and dogs of 37 breeds, with trimaps.

Source: O. M. Parkhi, A. Vedaldi, A. Zisserman, C. V. Jawahar, "Cats and Dogs", CVPR 2012; layout
and labels follow the README of its annotations.

Conventions: annotations/trimaps/<image id>.png has 1 on the pet, 2 on the background and 3 where
neither was decided, along the outline; 3 is ignored. A line of annotations/trainval.txt or test.txt
is `Abyssinian_100 1 1 1`: image, class from 1, species, breed. The boxes of annotations/xmls are
those of heads, not of pets, so each image has the tight box around its pixels of label 1.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ...errors import WsolbenchError, some
from ...files import require_folder
from ...formats.annotations import AnnotationSet
from ...image_ids import is_image_id
from ...masks import encode, tight_box
from ...progress import Progress
from .mask_files import (
    MaskRecord,
    annotations_of,
    label_levels,
    list_masks,
    read_each,
    without_object,
)
from .tables import read_lines, refuse, source_of, whole_number

__all__ = ["import_pet"]

_PLACES = ("", "annotations", "oxford-iiit-pet/annotations")
_SPLITS = ("trainval", "test")
_PET, _BACKGROUND, _UNDECIDED = 1, 2, 3
_NAME = re.compile(r"(.+)_[0-9]+")

_LICENCE = "CC BY-SA 4.0"
_CITATION = "Parkhi, Vedaldi, Zisserman, Jawahar: Cats and Dogs. CVPR 2012"


def import_pet(
    folder: str | os.PathLike[str], *, progress: Progress | None = None
) -> AnnotationSet:
    """Annotations of Oxford-IIIT Pet.

    Args:
        folder: the folder that contains annotations/, or annotations/ itself.
        progress: called with (trimaps read, trimaps).

    Returns:
        The images of trainval.txt and test.txt, as these splits; class indices are those of the
        lists minus 1.

    Raises:
        WsolbenchError: the layout, a list or a trimap is invalid; all faults of a kind together.
    """
    place = _annotations(require_folder(folder, "the folder of Oxford-IIIT Pet"))
    lists = [place / f"{split}.txt" for split in _SPLITS if (place / f"{split}.txt").is_file()]
    if not lists:
        raise WsolbenchError(
            place,
            found="neither trainval.txt nor test.txt",
            expected="the lists of the images of both splits",
            cure="unpack annotations.tar.gz again",
        )
    rows = {path.stem: _read_list(path) for path in lists}
    split_of = _split_of(place, rows)
    class_of = {image_id: index for listed in rows.values() for image_id, index in listed.items()}
    classes = _classes(place, class_of)
    files, _ = list_masks(place / "trimaps", "the folder of trimaps")
    missing = [image_id for image_id in split_of if image_id not in files]
    if missing:
        raise WsolbenchError(
            place / "trimaps",
            found=f"no trimap for {len(missing)} of the {len(split_of)} listed images: "
            f"{some(missing)}",
            cure="unpack annotations.tar.gz again",
        )

    def read(image_id: str) -> MaskRecord:
        return _read_trimap(files[image_id], split_of[image_id], class_of[image_id])

    records = read_each(sorted(split_of), read, where=place / "trimaps", progress=progress)
    return AnnotationSet(
        "oxford-iiit-pet",
        annotations_of(records),
        classes,
        [source_of(path, licence=_LICENCE, citation=_CITATION) for path in lists],
        _notes(place, rows, len(files) - len(split_of)),
    )


def _annotations(folder: Path) -> Path:
    for below in _PLACES:
        if (folder / below / "trimaps").is_dir():
            return folder / below
    raise WsolbenchError(
        folder,
        found="no folder annotations/trimaps in it",
        cure="unpack annotations.tar.gz there, or name the folder that contains annotations/",
    )


def _read_list(path: Path) -> dict[str, int]:
    """The class index of each listed image."""
    found: dict[str, int] = {}
    faults: list[str] = []
    for number, line in read_lines(path, "lines `Abyssinian_100 1 1 1`"):
        if line.startswith("#"):
            continue
        name, *fields = line.split()
        label = whole_number(fields[0]) if fields else None
        if label is None or label < 1 or not (is_image_id(name) and _NAME.fullmatch(name)):
            faults.append(f"line {number}: {line[:60]!r}")
        elif name in found:
            faults.append(f"line {number}: {name} again")
        else:
            found[name] = label - 1
    refuse(
        path,
        faults,
        expected="lines `Abyssinian_100 1 1 1`, each image once",
        cure="unpack annotations.tar.gz again",
    )
    return found


def _split_of(place: Path, rows: Mapping[str, Mapping[str, int]]) -> dict[str, str]:
    split_of: dict[str, str] = {}
    twice = [image_id for image_id in rows.get("test", {}) if image_id in rows.get("trainval", {})]
    refuse(
        place,
        [f"{image_id} is in both trainval.txt and test.txt" for image_id in twice],
        cure="unpack annotations.tar.gz again",
    )
    for split, listed in rows.items():
        split_of.update(dict.fromkeys(listed, split))
    return split_of


def _classes(place: Path, class_of: Mapping[str, int]) -> list[tuple[str, str]]:
    """The breeds, as the images' names have them."""
    names: dict[int, str] = {}
    faults: list[str] = []
    for image_id, index in class_of.items():
        breed = image_id.rpartition("_")[0].replace("_", " ")
        if names.setdefault(index, breed) != breed:
            faults.append(f"class {index + 1} is both {names[index]} and {breed}")
    refuse(place, faults, expected="one breed per class", cure="unpack annotations.tar.gz again")
    return [(str(index + 1), names.get(index, "")) for index in range(max(names) + 1)]


def _read_trimap(path: Path, split: str, class_index: int) -> MaskRecord:
    labels = label_levels(path)
    strange = sorted(set(np.unique(labels).tolist()) - {_PET, _BACKGROUND, _UNDECIDED})
    if strange:
        raise WsolbenchError(
            path,
            found=f"labels {some(strange)}",
            expected="1 on the pet, 2 on the background and 3 where neither was decided",
            cure="unpack annotations.tar.gz again, or import masks of your own with: "
            "wsolbench import masks",
        )
    mask = labels == _PET
    if not mask.any():
        raise without_object(path)
    ignored = labels == _UNDECIDED
    return MaskRecord(
        path.stem,
        split,
        class_index,
        encode(mask),
        [tight_box(mask)],
        encode(ignored) if ignored.any() else None,
    )


def _notes(place: Path, rows: Mapping[str, Mapping[str, int]], unlisted: int) -> list[str]:
    notes = ["pixels of label 3, along the outlines, are ignored; boxes are tight around label 1"]
    if (place / "xmls").is_dir():
        notes.append("the boxes in xmls/ are those of heads, not of pets, and were not used")
    absent = [split for split in _SPLITS if split not in rows]
    if absent:
        notes.append(f"the split {absent[0]} is missing, as there is no {absent[0]}.txt")
    if unlisted:
        notes.append(f"{unlisted} trimaps of images on no list were left out")
    return notes
