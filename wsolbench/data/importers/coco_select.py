"""Which images and annotations of a COCO file are imported.

Annotations without a segmentation, images without an annotation and images with objects of several
categories have no one meaning: what is done with them is the user's choice, and is noted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ...errors import WsolbenchError, some
from .coco_file import CocoFile, CocoImage
from .coco_shapes import has_shape

__all__ = ["SKIP", "chosen_images", "lacks_shape"]

SKIP = "--skip-empty, in Python skip_empty=True"


def chosen_images(
    file: object,
    content: CocoFile,
    names: Sequence[str],
    skip_empty: bool,
    allow_missing: bool,
) -> tuple[list[CocoImage], list[str]]:
    """The images with the annotations that are to be merged, and notes of what was left out.

    Args:
        file: the input.
        content: its content.
        names: names or ids of the categories to import; all if empty.
        skip_empty: leave out annotations without a segmentation, images without an annotation.
        allow_missing: keep images of which an annotation has no segmentation.

    Raises:
        WsolbenchError: a category is unknown, or there are such annotations or images, or ones
            with objects of several categories.
    """
    notes: list[str] = []
    images = content.images
    if names:
        images = _of_categories(file, content, names)
        gone = len(content.images) - len(images)
        if gone:
            notes.append(f"{gone} images without an object of {some(names)} were left out")
    images = _with_shapes(file, images, skip_empty, allow_missing, notes)
    several = [image for image in images if len({item.category for item in image.objects}) > 1]
    if several:
        held = sorted({item.category.name for image in several for item in image.objects})
        raise WsolbenchError(
            file,
            found=f"{len(several)} images with objects of several categories "
            f"({some([image.image_id for image in several])}; {some(held)})",
            expected="one category per image",
            cure="name the category to import: --category NAME, in Python categories=[NAME]",
        )
    bare = [image.image_id for image in images if not image.objects]
    if bare and not skip_empty:
        raise WsolbenchError(
            file,
            found=f"{len(bare)} images without an annotation: {some(bare)}",
            cure=f"leave them out: {SKIP}",
        )
    if bare:
        notes.append(f"{len(bare)} images without an annotation were left out")
    kept = [image for image in images if image.objects]
    if not kept:
        raise WsolbenchError(file, found="no image with an annotation", cure="name another file")
    return kept, notes


def _of_categories(file: object, content: CocoFile, names: Sequence[str]) -> list[CocoImage]:
    picked = set()
    for name in names:
        found = [item for item in content.categories if item.name == name]
        found = found or [item for item in content.categories if str(item.key) == name]
        if len(found) != 1:
            held = [f"{item.name} (id {item.key})" for item in found or content.categories]
            raise WsolbenchError(
                file,
                found=f"{len(found) or 'no'} categories named {name}",
                expected=f"one of {some(held)}",
                cure="name a category, or its id, as the file has it",
            )
        picked.add(found[0])
    images = [
        replace(image, objects=[item for item in image.objects if item.category in picked])
        for image in content.images
    ]
    return [image for image in images if any(not item.crowd for item in image.objects)]


def _with_shapes(
    file: object,
    images: list[CocoImage],
    skip_empty: bool,
    allow_missing: bool,
    notes: list[str],
) -> list[CocoImage]:
    """Decide what annotations without a segmentation mean; `notes` gets what was decided."""
    every = [item for image in images for item in image.objects]
    bare = [item for item in every if not has_shape(item.segmentation)]
    if every and len(bare) == len(every):
        return _boxes_alone(file, images, skip_empty, notes)
    if not bare:
        return images
    names = [item.name for item in bare]
    if skip_empty:
        notes.append(f"{len(bare)} annotations without a segmentation were left out: {some(names)}")
        return [
            replace(image, objects=[it for it in image.objects if has_shape(it.segmentation)])
            for image in images
        ]
    if not allow_missing:
        raise WsolbenchError(
            file,
            found=f"{len(bare)} of {len(every)} annotations without a segmentation: {some(names)}",
            cure=f"leave them out: {SKIP}; or store their images with boxes and without a mask: "
            "--allow-missing-masks, in Python allow_missing_masks=True",
        )
    without = [image for image in images if lacks_shape(image)]
    notes.append(
        f"{len(without)} images have boxes and no mask, as {len(bare)} annotations have no "
        "segmentation"
    )
    return images


def _boxes_alone(
    file: object, images: list[CocoImage], skip_empty: bool, notes: list[str]
) -> list[CocoImage]:
    notes.append("no annotation has a segmentation: there are boxes, but no masks")
    crowds = sum(item.crowd for image in images for item in image.objects)
    boxless = [
        item.name for image in images for item in image.objects if not item.bbox and not item.crowd
    ]
    if crowds:
        notes.append(f"{crowds} boxes of crowds were left out, as they have no pixels to ignore")
    if boxless and not skip_empty:
        raise WsolbenchError(
            file,
            found=f"{len(boxless)} annotations without a segmentation and a bbox: {some(boxless)}",
            cure=f"leave them out: {SKIP}",
        )
    if boxless:
        notes.append(f"{len(boxless)} annotations without a bbox were left out: {some(boxless)}")
    return [
        replace(image, objects=[item for item in image.objects if item.bbox and not item.crowd])
        for image in images
    ]


def lacks_shape(image: CocoImage) -> bool:
    """Whether an annotation has no segmentation, so that the image can have no mask."""
    return any(not has_shape(item.segmentation) for item in image.objects)
