"""Masks of any kind, joined to the photos that are there, as the annotation file of `explain`.

Masks come from a folder of pictures, a COCO instances file or an annotation file. Images without a
photo are left out. Classes of the masks are dropped unless they are asked for, because they need
not be the network's: the class of each photo is then the network's prediction, or an output that a
table names.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePath

from ..data.importers.coco import import_coco
from ..data.importers.mask_folder import import_masks
from ..data.importers.tables import read_lines, read_table
from ..errors import WsolbenchError, printable, some
from ..files import require_file, require_folder
from ..formats.annotations import UNLABELLED, Annotation, AnnotationSet, AnnotationStore
from ..image_ids import RULE, files_by_id, files_under, is_image_id
from ..images import PHOTO_ENDINGS, photo_size
from ..progress import Progress

__all__ = ["SPLIT", "labelled", "read_names", "read_truth", "require_labels"]

SPLIT = "val"
"""The split of the annotation file; it has no other."""

PathLike = str | os.PathLike[str]


def read_truth(
    masks: PathLike,
    images: PathLike,
    *,
    dataset: str | None = None,
    limit: int | None = None,
    keep_classes: bool = False,
    exif: str = "ignore",
    progress: Progress | None = None,
) -> tuple[AnnotationSet, list[str]]:
    """The masks of the photos in a folder.

    Args:
        masks: a folder of `<image id>.png`, a COCO file (.json) or an annotation file (.h5).
        images: the folder of photos.
        dataset: the data set's name; None for the name of the masks' folder or file.
        limit: keep so many images, evenly spread over the sorted ids.
        keep_classes: keep the classes that the masks have.
        exif: "ignore" or "apply", see `Dataset.open`.
        progress: called with (images done, images).

    Returns:
        The annotations, sorted by id, all in one split; and notes.

    Raises:
        WsolbenchError: an invalid name, masks or photos that cannot be read, no photo with a mask,
            or a mask of another size than its photo.
    """
    if dataset is not None and not is_image_id(dataset):
        raise WsolbenchError(
            "--dataset (dataset=)",
            found=f"the name {printable(dataset)!r}",
            expected=RULE,
            cure="choose another name",
        )
    folder = require_folder(images, "a folder of photos")
    found = _read(Path(masks), progress)
    if dataset is not None:
        found = replace(found, dataset=dataset)
    ids = [own.image_id for own in found.annotations]
    there = list(files_under(folder, PHOTO_ENDINGS))
    photos = files_by_id(ids, there)
    rows = sorted(
        (own for own in found.annotations if photos.get(own.image_id) and own.mask.counts),
        key=lambda own: own.image_id,
    )
    if not rows:
        raise WsolbenchError(
            folder,
            found=f"no photo of the {len(ids)} masked images ({some(ids)})",
            expected="photos named like their masks",
            cure="name the folder with these photos",
        )
    notes = []
    splits = sorted({own.split for own in rows})
    if len(splits) > 1:
        notes.append(f"splits {' and '.join(splits)} together")
    if len(rows) < len(ids):
        notes.append(f"{len(ids) - len(rows)} of {len(ids)} images have no photo or no mask")
    if len(rows) < len(there):
        notes.append(f"{len(there) - len(rows)} of {len(there)} photos have no mask")
    if limit is not None and limit < len(rows):
        notes.append(f"{limit} of {len(rows)} images, evenly spread")
        rows = [rows[place * len(rows) // limit] for place in range(limit)]
    _check_sizes(rows, photos, masks, exif)
    if keep_classes:
        return replace(found, annotations=[replace(own, split=SPLIT) for own in rows]), notes
    bare = [replace(own, split=SPLIT, class_index=UNLABELLED) for own in rows]
    return replace(found, annotations=bare, classes=()), notes


def labelled(content: AnnotationSet, table: PathLike) -> AnnotationSet:
    """Annotations with the outputs of the network that a table names as their classes.

    Args:
        content: without classes.
        table: a CSV with the columns `image_id` and `output`, a number from 0.

    Raises:
        WsolbenchError: the table cannot be read, an image has no row or two, or an output is no
            number.
    """
    ids = [own.image_id for own in content.annotations]
    rows = read_table(
        require_file(table, "a table of classes"),
        "a table of classes",
        required=("image_id", "output"),
        optional=(),
        numbers=("output",),
        known_ids=ids,
    )
    outputs: dict[str, int] = {}
    for line, cells in rows:
        image_id, text = cells["image_id"], cells["output"]
        if not text.isdecimal() or image_id in outputs:
            raise WsolbenchError(
                f"{table}, line {line}",
                found=f"{image_id} a second time" if image_id in outputs else f"output {text!r}",
                expected="one row for an image, and an output from 0",
                cure="correct the row",
            )
        outputs[image_id] = int(text)
    missing = [image_id for image_id in ids if image_id not in outputs]
    if missing:
        raise WsolbenchError(
            table,
            found=f"no row for {len(missing)} of {len(ids)} images: {some(missing)}",
            expected="an output for each",
            cure="add them, or explain the predicted class (--classes predicted)",
        )
    rows_now = [replace(own, class_index=outputs[own.image_id]) for own in content.annotations]
    return replace(content, annotations=rows_now)


def read_names(path: str | os.PathLike[str], outputs: int) -> tuple[str, ...]:
    """The names of a network's outputs, one a line, in their order.

    Args:
        path: a text file.
        outputs: of the network.

    Raises:
        WsolbenchError: the file cannot be read, or has an empty line or another number of lines.
    """
    lines = read_lines(path, "a list of names, one a line")
    if [number for number, _ in lines] != list(range(1, outputs + 1)):
        last = lines[-1][0]
        raise WsolbenchError(
            path,
            found=f"{len(lines)} names" + (f" on {last} lines" if last != len(lines) else ""),
            expected=f"one for each of the network's {outputs} outputs, without empty lines",
            cure="name all outputs in their order",
        )
    return tuple(line for _, line in lines)


def require_labels(content: AnnotationSet, masks: PathLike) -> None:
    """Raise unless each annotation has a class.

    Raises:
        WsolbenchError: some have none.
    """
    bare = [own.image_id for own in content.annotations if own.class_index == UNLABELLED]
    if bare:
        raise WsolbenchError(
            masks,
            found=f"no class for {len(bare)} of {len(content.annotations)} images: {some(bare)}",
            expected="a class for each image",
            cure="explain the predicted class (--classes predicted), or name the network's output "
            "for each image in a table (--classes FILE.csv)",
        )


def _read(masks: Path, progress: Progress | None) -> AnnotationSet:
    ending = masks.suffix.lower()
    if ending == ".json":
        try:
            return import_coco(masks, split=SPLIT, progress=progress)
        except WsolbenchError:  # perhaps for images without an object, of which COCO has many
            return import_coco(masks, split=SPLIT, skip_empty=True, progress=progress)
    if ending in (".h5", ".hdf5"):
        return _stored(AnnotationStore.open(masks))
    folder = require_folder(masks, "a folder of masks, a COCO file or an annotation file")
    return import_masks(folder, split=SPLIT, progress=progress)


def _check_sizes(
    rows: Sequence[Annotation],
    photos: Mapping[str, Sequence[PurePath]],
    masks: PathLike,
    exif: str,
) -> None:
    """Raise if a mask has another size than its photo."""
    wrong = []
    turned = False
    for own in rows:
        photo = Path(photos[own.image_id][0])
        height, width, orientation = photo_size(photo, exif)
        size = (own.mask.height, own.mask.width)
        if size != (height, width):
            turned |= orientation >= 5 and size == (width, height)
            wrong.append(f"{own.image_id} {size[1]}x{size[0]} ({photo.name}: {width}x{height})")
    if wrong:
        other = "ignore" if exif == "apply" else "apply"
        raise WsolbenchError(
            masks,
            found=f"masks of another size (width x height) than their photos: {some(wrong)}",
            expected="the size of the photo",
            cure=f"use --exif {other}, in Python exif={other!r}"
            if turned
            else "use masks and photos of the same size, which is never changed here",
        )


def _stored(store: AnnotationStore) -> AnnotationSet:
    """The content of an annotation file."""
    rows: Sequence[Annotation] = [
        Annotation(
            image_id,
            store.splits[row],
            int(store.class_indices[row]),
            store.run_lengths(row),
            store.boxes(row),
            store.ignore_run_lengths(row),
        )
        for row, image_id in enumerate(store.image_ids)
    ]
    return AnnotationSet(store.dataset, rows, store.classes)
