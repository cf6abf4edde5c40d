"""The shape and the box of one COCO annotation.

Shapes are polygons, run lengths as lists, or compressed run lengths; all are checked before they
reach pycocotools.
"""

from __future__ import annotations

from typing import TypeGuard

import numpy as np
from numpy.typing import NDArray

from ...errors import WsolbenchError
from ...images import MAX_SIDE
from ...masks import RunLengths, decode, fill_polygon, paint_runs
from .coco_file import whole

__all__ = ["BOXES", "ROWS", "corners_of", "has_shape", "outline_of", "pixels_of"]

BOXES = ("xywh", "xyxy")
"""How a bbox may be read: COCO's x, y, width and height, or x0, y0, x1, y1."""

ROWS = ("columns", "rows")
"""The order of run lengths given as lists: COCO's, column after column, or row after row."""

MAX_OUTLINE = 1 << 20
"""Maximum length of one polygon's outline in pixels; pycocotools takes 100 bytes for each."""

MAX_PAINTED = 1 << 31
"""Maximum pixels of an image times polygons of one annotation, since each polygon is painted on the
whole image: 6,990 of them at 640 x 480."""


def has_shape(segmentation: object) -> bool:
    """Whether a segmentation is there: not missing, and not a list or run lengths of nothing."""
    if isinstance(segmentation, dict):
        return bool(segmentation.get("counts"))
    if isinstance(segmentation, list):
        return any(polygon != [] for polygon in segmentation)
    return segmentation is not None


def pixels_of(
    segmentation: object, size: tuple[int, int], order: str
) -> tuple[NDArray[np.bool_], int]:
    """The pixels of a segmentation.

    Args:
        segmentation: as in the file.
        size: (height, width) of the image.
        order: of run lengths given as lists, one of `ROWS`.

    Returns:
        bool (height, width), and the number of polygons without an area, points and lines, which
        were left out.

    Raises:
        ValueError: the segmentation is malformed or has another size.
    """
    if isinstance(segmentation, list):
        return _fill_polygons(segmentation, size)
    if isinstance(segmentation, dict):
        return _pixels_of_runs(segmentation, size, order), 0
    raise ValueError("its segmentation is neither polygons nor run lengths")


def outline_of(segmentation: object) -> tuple[float, float]:
    """The largest x and y of a segmentation's polygons; 0, 0 for run lengths."""
    polygons = segmentation if isinstance(segmentation, list) else []
    points = [polygon for polygon in polygons if len(polygon) >= 6]
    largest = [(max(points[0::2]), max(points[1::2])) for points in points]
    return max((x for x, _ in largest), default=0), max((y for _, y in largest), default=0)


def corners_of(bbox: object, convention: str) -> tuple[float, float, float, float]:
    """The corners x0, y0, x1, y1 of a bbox, as given.

    Args:
        bbox: as in the file.
        convention: one of `BOXES`.

    Raises:
        ValueError: it is not four numbers of the size of images.
    """
    if (
        not isinstance(bbox, list)
        or len(bbox) != 4
        or not all(_is_number(value) and abs(value) <= MAX_SIDE for value in bbox)
    ):
        raise ValueError(f"invalid bbox {bbox!r}")
    x, y, right, lower = map(float, bbox)
    return (x, y, right, lower) if convention == "xyxy" else (x, y, x + right, y + lower)


def _pixels_of_runs(
    segmentation: dict[str, object], size: tuple[int, int], order: str
) -> NDArray[np.bool_]:
    stated = segmentation.get("size")
    sides = [whole(side) for side in stated] if isinstance(stated, list) else stated
    if sides != list(size):
        swapped = ", height and width swapped" if sides == [size[1], size[0]] else ""
        raise ValueError(f"run lengths of size {stated!r}, but the image has {list(size)}{swapped}")
    counts = segmentation.get("counts")
    if isinstance(counts, str):
        try:
            return decode(RunLengths(*size, counts.encode("ascii")))
        except (WsolbenchError, UnicodeError) as error:
            raise ValueError("malformed run lengths") from error
    lengths = [whole(count) for count in counts] if isinstance(counts, list) else [None]
    runs = [length for length in lengths if length is not None and length >= 0]
    if len(runs) < len(lengths) or sum(runs) != size[0] * size[1]:
        raise ValueError("run lengths that are not counts summing to the number of pixels")
    if order == "rows":
        turned = paint_runs(np.array(runs, dtype=np.int64), size[1], size[0])
        return np.ascontiguousarray(turned.T)
    return paint_runs(np.array(runs, dtype=np.int64), *size)


def _fill_polygons(polygons: list[object], size: tuple[int, int]) -> tuple[NDArray[np.bool_], int]:
    if any(not isinstance(polygon, list) for polygon in polygons):
        raise ValueError("its segmentation is not a list of polygons, each a list of x, y, x, y")
    if len(polygons) > 2 and all(isinstance(item, list) and len(item) == 2 for item in polygons):
        raise ValueError("its points are pairs, not one list of x, y, x, y for each polygon")
    if len(polygons) * size[0] * size[1] > MAX_PAINTED:
        raise ValueError(f"{len(polygons)} polygons in an image of {size[1]}x{size[0]}, too many")
    mask = np.zeros(size, dtype=np.bool_)
    strays = 0
    for polygon in polygons:
        points = _points(polygon)
        if len(points) < 6:
            strays += bool(points)
        else:
            mask |= fill_polygon(points, *size)
    return mask, strays


def _points(polygon: object) -> list[float]:
    if (
        not isinstance(polygon, list)
        or len(polygon) % 2
        or not all(_is_number(value) and abs(value) <= MAX_SIDE for value in polygon)
    ):
        raise ValueError(
            f"a polygon is not a list of x, y, x, y with an even count, within +-{MAX_SIDE}"
        )
    points = [float(value) for value in polygon]
    corners = list(zip(points[0::2], points[1::2], strict=True))
    steps = zip(corners, corners[1:] + corners[:1], strict=True)
    length = sum(max(abs(x1 - x0), abs(y1 - y0)) for (x0, y0), (x1, y1) in steps)
    if length > MAX_OUTLINE:
        raise ValueError(f"a polygon with an outline of {length:.0f} pixels, over {MAX_OUTLINE}")
    return points


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
