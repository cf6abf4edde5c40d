"""OpenImages30k: the masks used by wsolevaluation, with their ignored regions.

Source: J. Choe, S. J. Oh, S. Lee, S. Chun, Z. Akata, H. Shim, "Evaluating Weakly Supervised Object
Localization Methods Right", 2020; lists and layout follow its code.

Conventions: for each split that has masks (val, test) the lists image_ids.txt, class_labels.txt and
localization.txt, whose lines are `image,mask,ignored` with paths relative to one folder; the last
field may be empty or missing. An image with several objects has several lines, and only the first
names ignored pixels. The masks of an image are merged; the ignored region excludes the objects, as
in wsolevaluation. Masks whose size differs from the photo are resized to the photo (or to the
image's first mask if the photo is missing) by nearest neighbour, and counted in the notes.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ...errors import WsolbenchError, require_choice, some
from ...files import require_folder
from ...formats.annotations import AnnotationSet
from ...image_ids import image_id_of
from ...images import EXIF, photo_size
from ...masks import MaskRule, encode, read_picture, tight_box
from ...progress import Progress
from .mask_files import Box, MaskRecord, annotations_of, read_each, without_object
from .tables import read_lines, refuse, source_of, whole_number

__all__ = ["import_openimages"]

SPLITS = ("val", "test")
"""Splits that have masks; train has only classes."""

MOST_STRETCH = 0.02
"""Maximum relative difference between the aspect ratios of mask and photo, from rounding."""

_LISTS = ("image_ids.txt", "class_labels.txt", "localization.txt")
_CITATION = "Choe et al., Evaluating Weakly Supervised Object Localization Methods Right, 2020"


def import_openimages(
    folder: str | os.PathLike[str],
    *,
    metadata: str | os.PathLike[str] | None = None,
    exif: str = "ignore",
    object_above: int | None = None,
    void: int | None = None,
    progress: Progress | None = None,
) -> AnnotationSet:
    """Annotations of OpenImages30k.

    Args:
        folder: the folder that contains val/ and test/ with the masks and optionally the photos.
        metadata: the folder that contains val/ and test/ with the lists; by default the first of
            `folder`/metadata/OpenImages, `folder`/metadata and `folder` that has lists.
        exif: "apply" if the masks refer to photos turned upright by their EXIF orientation.
        object_above: grey levels above this one are object (see `masks.MaskRule`).
        void: pixels of this grey level are ignored.
        progress: called with (images done, images).

    Returns:
        The annotations; image ids are the file names without folder and ending, the key of a class
        is the folder of its images, and the boxes are the tight boxes of the object masks.

    Raises:
        WsolbenchError: lists are missing or inconsistent, masks are missing, damaged or differ in
            shape from their photo, an image has no object; all faults of a kind together.
    """
    require_choice("exif", exif, EXIF)
    rule = MaskRule(object_above, void)
    place = require_folder(folder, "OpenImages30k, containing val and test")
    lists = _find_lists(place, metadata)
    images: dict[str, _Image] = {}
    sources: list[Path] = []
    for split in SPLITS:
        if (lists / split / _LISTS[-1]).is_file():
            _read_split(lists / split, split, place, images)
            sources += [lists / split / name for name in _LISTS]
    classes = _classes(lists, images)
    if exif == "apply" and not any((place / image.name).is_file() for image in images.values()):
        raise WsolbenchError(
            "exif",
            found="'apply', but no photos whose EXIF orientation could be read",
            expected=f"photos such as {place / next(iter(images.values())).name}",
            cure="add the photos, or leave out --exif (Python exif)",
        )

    def read(image_id: str) -> _Read:
        return _annotate(image_id, images[image_id], place, rule, exif)

    outcomes = read_each(sorted(images), read, where=place, progress=progress)
    notes = [
        "masks of an image are merged; the ignored region excludes them",
        "boxes are the tight boxes of the individual masks",
    ]
    absent = [split for split in SPLITS if not (lists / split / _LISTS[-1]).is_file()]
    if absent:
        notes.append(f"no lists for {' and '.join(absent)}")
    resized = sum(one.resized for one in outcomes)
    if resized:
        notes.append(f"{resized} masks were resized to their photo by nearest neighbour")
    turned = [one.record.image_id for one in outcomes if one.orientation != 1]
    if turned:
        done, other = ("was applied", "ignore") if exif == "apply" else ("is ignored", "apply")
        notes.append(
            f"{len(turned)} photos have an EXIF orientation other than 1, which {done} "
            f"(--exif {other} for the opposite): {some(turned)}"
        )
    return AnnotationSet(
        "openimages30k",
        annotations_of([one.record for one in outcomes]),
        classes,
        [source_of(path, citation=_CITATION) for path in sources],
        notes,
    )


@dataclass
class _Image:
    """The lists' data of one image."""

    name: str
    split: str
    class_index: int
    masks: list[str] = field(default_factory=list)
    ignored: str = ""


@dataclass(frozen=True)
class _Read:
    """An annotation, how many of its masks were resized, and its photo's EXIF orientation."""

    record: MaskRecord
    resized: int
    orientation: int


def _find_lists(place: Path, metadata: str | os.PathLike[str] | None) -> Path:
    if metadata is not None:
        places = [require_folder(metadata, "a folder of lists, containing val and test")]
    else:
        places = [place / "metadata" / "OpenImages", place / "metadata", place]
    for lists in places:
        if any((lists / split / _LISTS[-1]).is_file() for split in SPLITS):
            return lists
    raise WsolbenchError(
        places[-1],
        found="no val/localization.txt and no test/localization.txt",
        expected="the lists of wsolevaluation (metadata/OpenImages)",
        cure="copy them there, or name their folder",
    )


def _read_split(lists: Path, split: str, place: Path, images: dict[str, _Image]) -> None:
    labels = _read_labels(lists / "class_labels.txt")
    named = [line for _, line in read_lines(lists / "image_ids.txt", "names of images")]
    faults: list[str] = []
    found: dict[str, _Image] = {}
    for name in named:
        image_id = image_id_of(name)
        if image_id is None or not _is_below(name):
            faults.append(f"{name[:60]!r}")
        elif image_id in images:
            faults.append(f"{name} has the same id as {images[image_id].name}")
        elif name not in labels:
            faults.append(f"{name} is not in class_labels.txt")
        else:
            found[name] = images[image_id] = _Image(name, split, labels[name])
    refuse(
        lists / "image_ids.txt",
        faults,
        expected="one name per image, each with a class",
        cure="download the lists again",
    )
    what = "lines `image,mask` or `image,mask,ignored`"
    for number, line in read_lines(lists / "localization.txt", what):
        name, *paths = [part.strip() for part in line.split(",")]
        paths += [""] * (len(paths) == 1)
        image = found.get(name)
        if image is None or len(paths) != 2 or not all(map(_is_below, filter(None, paths))):
            faults.append(f"line {number}: {line[:60]!r}")
        elif not paths[0] or (image.masks and paths[1]):
            faults.append(f"line {number}: no mask, or a second list of ignored pixels")
        else:
            image.ignored = image.ignored or paths[1]
            image.masks.append(paths[0])
    faults += [f"no line for {name}" for name, image in found.items() if not image.masks]
    refuse(
        lists / "localization.txt",
        faults,
        expected=f"{what}, at least one for each image of image_ids.txt",
        cure="download the lists again",
    )
    wanted = [path for image in found.values() for path in (*image.masks, image.ignored) if path]
    refuse(
        place,
        [f"no {path}" for path in wanted if not (place / path).is_file()],
        expected="the masks named in localization.txt",
        cure="unpack the masks there",
    )


def _read_labels(path: Path) -> dict[str, int]:
    labels: dict[str, int] = {}
    faults: list[str] = []
    for number, line in read_lines(path, "lines `image,class`"):
        name, _, text = line.rpartition(",")
        label = whole_number(text.strip())
        if not name or label is None or label < 0 or name in labels:
            faults.append(f"line {number}: {line[:60]!r}")
        else:
            labels[name] = label
    refuse(path, faults, expected="lines `image,class`, each image once", cure="download it again")
    return labels


def _is_below(path: str) -> bool:
    return not path.startswith("/") and "\\" not in path and ".." not in PurePosixPath(path).parts


def _classes(lists: Path, images: dict[str, _Image]) -> list[tuple[str, str]]:
    """(key, name) by class index, both the folder's name; empty if the indices have gaps."""
    folders: dict[int, set[str]] = {}
    for image in images.values():
        folders.setdefault(image.class_index, set()).add(PurePosixPath(image.name).parent.name)
    faults = [f"class {n} in folders {some(sorted(f))}" for n, f in folders.items() if len(f) > 1]
    refuse(lists, faults, expected="images of a class in one folder", cure="download them again")
    if sorted(folders) != list(range(len(folders))):
        return []
    return [(name, name) for index in sorted(folders) for name in folders[index]]


def _annotate(image_id: str, image: _Image, place: Path, rule: MaskRule, exif: str) -> _Read:
    photo = place / image.name
    height, width, orientation = photo_size(photo, exif) if photo.is_file() else (0, 0, 1)
    size = (height, width) if height else None
    whole: NDArray[np.bool_] | None = None
    ignored: NDArray[np.bool_] | None = None
    resized = 0
    boxes: list[Box] = []
    for path in image.masks:
        mask, void, was_resized = _read_at_size(place / path, size, rule, orientation)
        size = (mask.shape[0], mask.shape[1])
        resized += was_resized
        whole = mask if whole is None else whole | mask
        if void is not None:
            ignored = void if ignored is None else ignored | void
        if mask.any() and tight_box(mask) not in boxes:
            boxes.append(tight_box(mask))
    if whole is None or not whole.any():
        raise without_object(place / image.masks[0])
    if image.ignored:
        only = MaskRule(rule.object_above)
        region, _, was_resized = _read_at_size(place / image.ignored, size, only, orientation)
        resized += was_resized
        ignored = region if ignored is None else ignored | region
    rest = None if ignored is None else ignored & ~whole
    kept = encode(rest) if rest is not None and rest.any() else None
    record = MaskRecord(image_id, image.split, image.class_index, encode(whole), boxes, kept)
    return _Read(record, resized, orientation)


def _read_at_size(
    path: Path, size: tuple[int, int] | None, rule: MaskRule, orientation: int
) -> tuple[NDArray[np.bool_], NDArray[np.bool_] | None, bool]:
    """The mask and its void pixels at a size, and whether they were resized to it."""
    picture = read_picture(path, rule)
    mask, void = picture.mask, picture.ignored
    if size is None or mask.shape == size:
        return mask, void, False
    height, width = size
    if abs(mask.shape[0] * width / (mask.shape[1] * height) - 1) > MOST_STRETCH:
        turned = orientation >= 5
        raise WsolbenchError(
            path,
            found=f"width {mask.shape[1]}, height {mask.shape[0]}",
            expected=f"width {width}, height {height} or the same aspect ratio"
            + (f", as the photo of EXIF orientation {orientation} has" if turned else ""),
            cure="try the other of --exif apply and --exif ignore (Python exif=)"
            if turned
            else "download the mask and the photo again",
        )
    return _resized(mask, size), None if void is None else _resized(void, size), True


def _resized(mask: NDArray[np.bool_], size: tuple[int, int]) -> NDArray[np.bool_]:
    picture = Image.fromarray(mask).resize(size[::-1], Image.Resampling.NEAREST)
    return np.array(picture, dtype=np.bool_)
