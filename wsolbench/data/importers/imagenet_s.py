"""ImageNet-S: semantic masks of ImageNet photos, reduced to the class of each image.

Source: S. Gao, Z.-Y. Li, M.-H. Yang, M.-M. Cheng, J. Han, P. Torr, "Large-scale Unsupervised
Semantic Segmentation", 2021; layout and colours follow its README.

Conventions: validation-segmentation/<WordNet id>/<image id>.png, RGB; the class of a pixel is
R + 256 * G, where 0 is any other class and 1000 is ignored. Classes are numbered from 1 in the
order of sorted WordNet ids. An image has the class of its folder; pixels of other classes are
background. The test masks are not public, so every image is in the split "val".
"""

from __future__ import annotations

import os
import re
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...errors import WsolbenchError, some
from ...files import require_folder
from ...formats.annotations import AnnotationSet
from ...images import open_picture
from ...masks import encode
from ...progress import Progress
from .ilsvrc_lists import read_class_names
from .mask_files import MaskRecord, annotations_of, box_of_mask, list_masks, read_each
from .tables import read_lines, refuse, source_of

__all__ = ["import_imagenet_s"]

SIZES = (50, 300, 919)
"""Numbers of classes in the three published sets."""

IGNORED = 1000
"""The value of ignored pixels."""

_WORDNET_ID = re.compile(r"n[0-9]{8}")


def import_imagenet_s(
    folder: str | os.PathLike[str],
    *,
    categories: str | os.PathLike[str] | None = None,
    class_names: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> AnnotationSet:
    """Annotations of ImageNet-S's validation images.

    Args:
        folder: ImageNetS50, ImageNetS300 or ImageNetS919, containing validation-segmentation/.
        categories: the WordNet ids of the set, one per line in any order; by default the folders
            in validation-segmentation, which must then be all 50, 300 or 919.
        class_names: the 1,000 classes of ILSVRC2012, lines `n01440764 tench, Tinca tinca`. If
            given, class indices are those of ILSVRC2012 (sorted WordNet ids); otherwise they
            number the classes of the set.
        progress: called with (masks read, masks).

    Returns:
        The annotations; the box of an image is the tight box of its mask.

    Raises:
        WsolbenchError: the layout or the classes are wrong, or masks are damaged, have other
            colours or no pixel of their own class; the faults of all masks together.
    """
    place = require_folder(folder, "ImageNetS50, ImageNetS300 or ImageNetS919")
    root = require_folder(place / "validation-segmentation", "masks in folders by WordNet id")
    folders = sorted(path.name for path in root.iterdir() if path.is_dir())
    refuse(
        root,
        [repr(name) for name in folders if not _WORDNET_ID.fullmatch(name)],
        expected="folders named by WordNet ids",
        cure="remove the other folders",
    )
    wnids = folders if categories is None else _read_categories(categories)
    if categories is None and len(wnids) not in SIZES:
        raise WsolbenchError(
            root,
            found=f"{len(wnids)} folders",
            expected="one per class: 50, 300 or 919",
            cure="complete the folders, or pass the list of categories",
        )
    strange = [name for name in folders if name not in wnids]
    refuse(root, strange, expected="folders of listed categories", cure="use the list of this set")
    listed = [] if class_names is None else read_class_names(class_names)
    classes = listed or [(wnid, wnid) for wnid in wnids]
    index = {wnid: position for position, (wnid, _) in enumerate(classes)}
    unnamed = [wnid for wnid in wnids if wnid not in index]
    refuse(class_names, unnamed, expected="names of all categories", cure="use ILSVRC2012's list")
    files = _list_by_class(root, folders)

    def read(image_id: str) -> MaskRecord:
        path = files[image_id]
        wnid = path.parent.name
        values = _read_values(path, len(wnids))
        mask = values == wnids.index(wnid) + 1
        if not mask.any():
            present = [wnids[value - 1] for value in np.unique(values) if 0 < value <= len(wnids)]
            raise WsolbenchError(
                path,
                found=f"no pixel of {wnid}, only of {some(present) or 'no class'}",
                expected="the class of its folder",
                cure="check the list of categories, or leave the image out",
            )
        ignored = values == IGNORED
        return MaskRecord(
            image_id,
            "val",
            index[wnid],
            encode(mask),
            box_of_mask(path, mask),
            encode(ignored) if ignored.any() else None,
        )

    records = read_each(sorted(files), read, where=root, progress=progress)
    given = [path for path in (categories, class_names) if path is not None]
    notes = [
        "masks contain the pixels of the image's class; other classes are background",
        "boxes are the tight boxes of the masks",
        "class indices are those of ILSVRC2012"
        if class_names is not None
        else f"class indices number the {len(wnids)} classes of the set",
    ]
    name = f"imagenet-s{len(wnids)}"
    return AnnotationSet(
        name, annotations_of(records), classes, [source_of(path) for path in given], notes
    )


def _read_categories(path: str | os.PathLike[str]) -> list[str]:
    lines = read_lines(path, "WordNet ids, one per line")
    faults = [f"line {n}: {line[:40]!r}" for n, line in lines if not _WORDNET_ID.fullmatch(line)]
    wnids = sorted(line for _, line in lines)
    faults += [f"duplicate {one}" for one, two in pairwise(wnids) if one == two]
    refuse(path, faults, expected="WordNet ids, each once", cure="download the list again")
    return wnids


def _list_by_class(root: Path, folders: list[str]) -> dict[str, Path]:
    files: dict[str, Path] = {}
    faults: list[str] = []
    for name in folders:
        for image_id, path in list_masks(root / name)[0].items():
            if image_id in files:
                faults.append(f"{files[image_id].parent.name}/{path.name} and {name}/{path.name}")
            files[image_id] = path
    refuse(root, faults, expected="each image in one folder", cure="remove the wrong ones")
    return files


def _read_values(path: Path, classes: int) -> NDArray[np.int32]:
    picture = open_picture(path, formats=("PNG",))
    if picture.mode != "RGB":
        raise WsolbenchError(
            path,
            found=f"a picture of mode {picture.mode}",
            expected="RGB, where R + 256 * G is the class",
            cure="use the published masks unchanged",
        )
    levels = np.asarray(picture).astype(np.int32)
    values: NDArray[np.int32] = levels[:, :, 0] + 256 * levels[:, :, 1]
    beyond = (values > classes) & (values != IGNORED)
    if levels[:, :, 2].any() or beyond.any():
        raise WsolbenchError(
            path,
            found=f"class {values[beyond][0]}"
            if beyond.any()
            else "a blue channel that is not zero",
            expected=f"R + 256 * G up to {classes}, or {IGNORED}, and B = 0",
            cure="check that masks and categories belong to the same set",
        )
    return values
