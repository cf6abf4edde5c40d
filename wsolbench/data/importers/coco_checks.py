"""Whether the sizes of a COCO file's images, and boxes without masks, can be as they are read."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ...errors import WsolbenchError, some
from .coco_file import CocoImage, CocoObject
from .coco_merge import CURES, READINGS, Way
from .coco_shapes import corners_of, outline_of
from .corners import refuse_fractions

__all__ = ["check_boxes_alone", "check_sizes", "outline"]


def check_boxes_alone(file: object, images: Sequence[CocoImage], way: Way) -> None:
    """Refuse boxes without masks that fit their images only by another convention.

    Args:
        file: the input.
        images: those without masks.
        way: how boxes are read.

    Raises:
        WsolbenchError: boxes reach beyond their images, or are empty, and none would be if they
            were read the other way; or some are fractions of their images' sides; or they fit only
            if width and height are swapped.
    """
    other = "xyxy" if way.boxes == "xywh" else "xywh"
    pairs = [
        (image, item)
        for image in images
        for item in image.objects
        if not item.crowd and _is_box(item.bbox)
    ]
    bad = [item.name for image, item in pairs if not _inside(image, item, way.boxes)]
    if bad and all(_inside(image, item, other) for image, item in pairs):
        raise WsolbenchError(
            file,
            found=f"{len(bad)} of {len(pairs)} boxes that lie within their images only "
            f"{READINGS[other]}: {some(bad)}",
            cure=CURES[READINGS[other]],
        )
    refuse_fractions(file, {item.name: [corners_of(item.bbox, "xyxy")] for _, item in pairs})

    def reach(image: CocoImage) -> tuple[float, float]:
        corners = [corners_of(item.bbox, way.boxes) for item in image.objects if _is_box(item.bbox)]
        return max((x for _, _, x, _ in corners), default=0), max(
            (y for _, _, _, y in corners), default=0
        )

    check_sizes(file, images, reach)


def _is_box(bbox: object) -> bool:
    try:
        corners_of(bbox, "xyxy")
    except ValueError:
        return False
    return True


def _inside(image: CocoImage, item: CocoObject, convention: str) -> bool:
    """Whether a box is not empty and within its image, but for a twentieth of its sides."""
    x0, y0, x1, y1 = corners_of(item.bbox, convention)
    right, lower = _beyond(image.width), _beyond(image.height)
    return -2 <= x0 < x1 <= right and -2 <= y0 < y1 <= lower


def _beyond(side: int) -> float:
    """How far an outline may reach without doubt on the side: loose boxes reach a little beyond."""
    return side * 1.05 + 2


def outline(image: CocoImage) -> tuple[float, float]:
    """The largest x and y of an image's polygons."""
    ends = [outline_of(item.segmentation) for item in image.objects]
    return max(x for x, _ in ends), max(y for _, y in ends)


def check_sizes(
    file: object,
    images: Sequence[CocoImage],
    reach: Callable[[CocoImage], tuple[float, float]],
) -> None:
    """Refuse images whose objects fit only if width and height are swapped.

    Args:
        file: the input.
        images: those to check.
        reach: the largest x and y of an image's objects.

    Raises:
        WsolbenchError: there are such images.
    """
    swapped = []
    for image in images:
        right, lower = reach(image)
        outside = right > _beyond(image.width) or lower > _beyond(image.height)
        if outside and right <= image.height + 2 and lower <= image.width + 2:
            swapped.append(image.image_id)
    if swapped:
        raise WsolbenchError(
            file,
            found=f"{len(swapped)} images whose objects reach beyond them, and would not if width "
            f"and height were swapped: {some(swapped)}",
            cure="swap width and height of these images in the file, as EXIF orientation may have "
            "done",
        )
