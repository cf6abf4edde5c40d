"""One image under a protocol, step by step: map and truth on the grid, levels, boxes, overlaps.

Every protocol runs these steps, each chosen by a field of the record. Where a block of images can
be done in one compiled call (`block`), these are its slow oracle.

OpenCV resizes here as it does in the programs that are reproduced, in the same float type. Where
such a program would divide a constant map by zero, the map becomes zeros.

Conventions: a map is (h, w) and legal (`metrics.levels.check_map`); sizes are (height, width).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..metrics import boxes as box_metrics
from ..metrics import contours, pixel
from ..metrics.choices import Comparator, Component
from ..metrics.levels import level_map
from ..metrics.opencv import opencv
from .record import BIN_EDGES, SHARES, BoxTruth, Levels, Protocol, Scaling, Thresholds, Upsampling

__all__ = [
    "Seen",
    "best_overlap",
    "boxes_of",
    "cubehelix",
    "greys_of",
    "histogram",
    "masks_on_grid",
    "nearest",
    "on_grid",
    "overlaps_of",
    "see",
    "true_boxes",
    "values_on_grid",
]

Size = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Seen:
    """One image on a protocol's grid.

    Attributes:
        levels: (height, width): uint8 levels, uint16 bins, or float values.
        mask: bool (height, width), true on the object; without pixels where none is scored.
        ignore: bool (height, width), true where a pixel counts nowhere; None where all count.
        boxes: (m, 4), the true ones.
    """

    levels: NDArray[Any]
    mask: NDArray[np.bool_]
    ignore: NDArray[np.bool_] | None
    boxes: NDArray[Any]


def see(
    protocol: Protocol,
    map_: NDArray[Any],
    mask: NDArray[np.bool_],
    ignore: NDArray[np.bool_] | None,
    boxes: NDArray[np.int32],
    size: Size,
) -> Seen:
    """An image as a protocol brings it to its grid.

    Args:
        protocol: the rules.
        map_: of the image.
        mask: bool, on the grid already (`masks_on_grid`), or without pixels.
        ignore: bool of the same shape, or None.
        boxes: int32 (m, 4), half-open, at the image's own size.
        size: of the image.
    """
    own = size if protocol.grid is None else (protocol.grid, protocol.grid)
    levels = on_grid(protocol, map_, own)
    return Seen(levels, mask, ignore, true_boxes(protocol, boxes, *size))


def masks_on_grid(
    grid: int | None, mask: NDArray[np.bool_], ignore: NDArray[np.bool_] | None
) -> tuple[NDArray[np.bool_], NDArray[np.bool_] | None]:
    """The mask and the ignored pixels on a grid of that many pixels a side; None: as they are."""
    if grid is None:
        return mask, ignore
    size = (grid, grid)
    mask = nearest(mask, size)
    # The programs count ignored pixels on the object.
    return mask, None if ignore is None else nearest(ignore, size) & ~mask


def on_grid(protocol: Protocol, map_: NDArray[Any], size: Size) -> NDArray[Any]:
    """A map's levels, bins or values on a grid of that size."""
    if protocol.upsampling is Upsampling.BILINEAR:
        scaled = _min_max(_unit(map_, np.float32)) if protocol.scaling is Scaling.FIRST else map_
        return level_map(scaled, *size)
    if protocol.upsampling is Upsampling.OPENCV_LINEAR_BYTES:
        return _byte_levels(map_, size)
    return _LEVELS[protocol.levels](values_on_grid(protocol, map_, size))


def values_on_grid(protocol: Protocol, map_: NDArray[Any], size: Size) -> NDArray[Any]:
    """A map's values on a grid of that size, before they are cut into levels.

    Args:
        protocol: whose map is upsampled by OpenCV as floats.
        map_: legal.
        size: (height, width).

    Returns:
        float64 after cubic interpolation or `Scaling.LAST_FLOAT64`, otherwise float32.
    """
    cubic = protocol.upsampling is Upsampling.OPENCV_CUBIC
    values = _unit(map_, np.float64 if cubic else np.float32)
    values = _min_max(values) if protocol.scaling is Scaling.FIRST else values
    values = _resized(values, size, cubic=cubic)
    if protocol.scaling is Scaling.LAST_FLOAT64:
        return _min_max(values.astype(np.float64))
    return _min_max(values) if protocol.scaling is Scaling.LAST else values


def histogram(protocol: Protocol, seen: Seen) -> NDArray[np.int64]:
    """Pixels of each level off the object and on it: int64 (2, bins)."""
    if protocol.levels is Levels.BINS:
        return pixel.count_bins(seen.levels, len(BIN_EDGES), seen.mask, seen.ignore)
    return pixel.count_pixels(seen.levels, seen.mask, seen.ignore)


def boxes_of(protocol: Protocol, levels: NDArray[Any]) -> NDArray[np.int32]:
    """The box around the component with the most pixels at each threshold: int32 (t, 4)."""
    if protocol.levels is Levels.VALUES:
        foreground = protocol.comparator(levels, protocol.fixed_threshold)
        places, pictures = np.array([1]), foreground.astype(np.uint8)
    else:
        above = protocol.comparator is Comparator.ABOVE
        places, pictures = _limits(protocol, levels) + int(above), levels
    # No level is above 255.
    boxes = np.concatenate((box_metrics.largest_boxes(pictures), np.zeros((1, 4), np.int32)))
    found: NDArray[np.int32] = boxes[np.minimum(places, 256)]
    found[~found.any(axis=1)] = protocol.box_empty
    return found


def overlaps_of(
    protocol: Protocol, seen: Seen, outlines: contours.Outlines | None = None
) -> NDArray[np.float64]:
    """Highest IoU of the predicted box with a true one at each threshold: float64 (t,).

    Args:
        protocol: the rules.
        seen: by the protocol.
        outlines: of the levels, where another protocol may have found them; None finds them.
    """
    if protocol.component is Component.MOST_PIXELS:
        return best_overlap(protocol, boxes_of(protocol, seen.levels), seen.boxes)
    levels, limits = seen.levels, _limits(protocol, seen.levels)
    if protocol.levels is Levels.VALUES:
        levels = protocol.comparator(levels, protocol.fixed_threshold).astype(np.uint8)
        limits = np.zeros(1, np.int64)
    elif protocol.comparator is Comparator.AT_LEAST:
        limits = limits - 1
    if outlines is None or outlines.levels is not levels:
        outlines = contours.Outlines(levels)
    return contours.best_outline_overlaps(
        outlines,
        limits,
        seen.boxes,
        every=protocol.component is Component.EVERY_OUTLINE,
        clipped=protocol.box_clipped,
        empty=protocol.box_empty,
        plus_one=protocol.box_plus_one,
    )


def best_overlap(
    protocol: Protocol, boxes: NDArray[np.int32], truth: NDArray[Any]
) -> NDArray[np.float64]:
    """Highest IoU of each box with a true one, by the protocol's way of counting pixels."""
    if protocol.box_plus_one:
        return np.asarray(contours.plus_one_iou(boxes.astype(np.int64), truth).max(axis=1))
    return box_metrics.best_iou(boxes, truth)


def true_boxes(
    protocol: Protocol, boxes: NDArray[np.int32], height: int, width: int
) -> NDArray[Any]:
    """The true boxes on the grid, each in the order of operations of its program.

    Args:
        protocol: the rules.
        boxes: int32 (m, 4), half-open, at the image's own size.
        height: pixels of the image.
        width: pixels of the image.
    """
    if protocol.box_truth is BoxTruth.ORIGINAL or protocol.grid is None:
        return boxes
    side = protocol.grid
    corners = boxes.astype(np.float64) - (0, 0, 1, 1)  # the lists of the programs are inclusive
    sides = np.array([width, height, width, height], dtype=np.float64)
    if protocol.box_truth is BoxTruth.TRUNCATED:
        return (corners * side / sides).astype(np.int64)
    if protocol.box_truth is BoxTruth.TRUNCATED_WITHIN:
        scaled = corners / sides * side
        scaled[:, 2:] = np.minimum(scaled[:, 2:], side - 1)
        return scaled.astype(np.int64)
    scaled = corners * (side / sides)
    return scaled if protocol.box_truth is BoxTruth.SCALED else scaled[:1].astype(np.int64)


def nearest(mask: NDArray[np.bool_], size: Size) -> NDArray[np.bool_]:
    """A mask of that size by nearest neighbour, as OpenCV takes it."""
    cv2 = opencv()
    found = cv2.resize(mask.view(np.uint8), size[::-1], interpolation=cv2.INTER_NEAREST)
    return np.asarray(found).view(np.bool_)


def greys_of(values: NDArray[Any]) -> NDArray[np.uint8]:
    """The grey of the cubehelix colour of values in [0, 1], in 256 steps."""
    steps = np.minimum((values.astype(np.float64) * 256).astype(np.int64), 255)
    return np.asarray(_cubehelix_greys()[steps])


def _limits(protocol: Protocol, levels: NDArray[Any]) -> NDArray[np.int64]:
    """The level that each threshold of boxes stands for: int64 (t,)."""
    if protocol.fixed_threshold is not None:
        if protocol.levels is Levels.VALUES:
            return np.zeros(1, np.int64)
        return (np.array([protocol.fixed_threshold]) * int(levels.max())).astype(np.int64)
    if protocol.thresholds is Thresholds.LEVELS:
        return np.arange(256)
    return (SHARES * int(levels.max())).astype(np.int64)


def _unit(map_: NDArray[Any], dtype: type[np.floating[Any]]) -> NDArray[Any]:
    """The map in [0, 1]."""
    values = map_.astype(dtype)
    return values / dtype(255) if map_.dtype == np.uint8 else values


def _min_max(values: NDArray[Any]) -> NDArray[Any]:
    low, high = values.min(), values.max()
    if low == high:
        return np.zeros_like(values)
    moved: NDArray[Any] = values - low
    moved /= high - low
    return moved


def _resized(values: NDArray[Any], size: Size, *, cubic: bool) -> NDArray[Any]:
    cv2 = opencv()
    way = cv2.INTER_CUBIC if cubic else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(values, size[::-1], interpolation=way))


def _byte_levels(map_: NDArray[Any], size: Size) -> NDArray[np.uint8]:
    """Min-max and floor(255 * value) at the map's own size, then bilinear on bytes.

    1e-10 is added to the range, so that the highest value becomes level 254.
    """
    cv2 = opencv()
    values = _unit(map_, np.float64)
    values = (values - values.min()) / (values.max() - values.min() + 1e-10)
    levels = (values * 255).astype(np.uint8)
    return np.asarray(cv2.resize(levels, size[::-1], interpolation=cv2.INTER_LINEAR))


@cache
def _cubehelix_greys() -> NDArray[np.uint8]:
    """OpenCV's grey of each of the 256 colours of cubehelix: uint8 (256,)."""
    cv2 = opencv()
    colours = cubehelix()[None].astype(np.float32) * 255
    return np.asarray(cv2.cvtColor(colours.astype(np.uint8), cv2.COLOR_RGB2GRAY)[0])


def cubehelix() -> NDArray[np.float64]:
    """The 256 colours of cubehelix: float64 (256, 3), red, green and blue in [0, 1].

    D. A. Green, A colour scheme for the display of astronomical intensity images (2011), equation
    2 with the parameters of its figure 1, which are matplotlib's: start .5, -1.5 rotations, hue 1,
    gamma 1. The order of the operations is matplotlib's too: the colours are its own to the bit.
    """
    light = np.linspace(0, 1, 256)[:, None]
    angle = 2 * np.pi * (0.5 / 3 + -1.5 * light)
    amplitude = light * (1 - light) / 2
    cosine = np.array([-0.14861, -0.29227, 1.97294])
    sine = np.array([1.78277, -0.90649, 0.0])
    colours = light + amplitude * (cosine * np.cos(angle) + sine * np.sin(angle))
    return np.asarray(np.clip(colours, 0, 1))


_LEVELS: dict[Levels, Callable[[NDArray[Any]], NDArray[Any]]] = {
    Levels.BYTES: lambda values: (values * 255).astype(np.uint8),
    Levels.GREYS: greys_of,
    Levels.BINS: lambda values: pixel.bins_of(values, BIN_EDGES),
    Levels.VALUES: lambda values: values,
}
