"""Boxes given as floats, and how far a box is from its mask.

A corner within 1e-6 of a whole pixel is that pixel: programs that keep boxes as percentages or
fractions bring 43 back as 43.00000000000001, which must not become 44. All other corners are
rounded outwards.
"""

from __future__ import annotations

import math

from .mask_files import Box

__all__ = ["AGREED", "difference", "meets", "snapped", "whole_box"]

AGREED = 2
"""A box agrees with its mask if no side is further than this from the mask's tight box (pixels)."""

_NOISE = 1e-6  # pixels


def snapped(value: float) -> float:
    """The nearest integer if the value is within 1e-6 of it, otherwise the value."""
    nearest = round(value)
    return float(nearest) if abs(value - nearest) <= _NOISE else value


def whole_box(
    x0: float, y0: float, x1: float, y1: float, width: int, height: int
) -> tuple[Box, bool, bool]:
    """A box in whole pixels, within its image.

    Args:
        x0: left side in pixels.
        y0: upper side.
        x1: right side, half-open.
        y1: lower side, half-open.
        width: of the image, in pixels.
        height: of the image.

    Returns:
        The half-open box, rounded outwards and clipped to the image; whether a side was rounded;
        and whether one was clipped.

    Raises:
        ValueError: a corner is not finite, or nothing of the box is within the image.
    """
    given = (x0, y0, x1, y1)
    if not all(map(math.isfinite, given)):
        raise ValueError(f"{_listed(given)} is not a box of four numbers")
    left, upper, right, lower = map(snapped, given)
    whole = (math.floor(left), math.floor(upper), math.ceil(right), math.ceil(lower))
    box = (max(whole[0], 0), max(whole[1], 0), min(whole[2], width), min(whole[3], height))
    if left >= right or upper >= lower:
        raise ValueError(f"the box {_listed(given)} (x0, y0, x1, y1) is empty")
    if box[0] >= box[2] or box[1] >= box[3]:
        raise ValueError(f"the box {_listed(given)} (x0, y0, x1, y1) is outside {width}x{height}")
    return box, whole != (left, upper, right, lower), box != whole


def difference(box: Box, other: Box) -> int:
    """The largest distance between two boxes' sides, in pixels."""
    return max(abs(side - same) for side, same in zip(box, other, strict=True))


def meets(box: Box, other: Box) -> bool:
    """Whether two half-open boxes have a pixel in common."""
    left, upper = max(box[0], other[0]), max(box[1], other[1])
    return left < min(box[2], other[2]) and upper < min(box[3], other[3])


def _listed(corners: tuple[float, float, float, float]) -> str:
    return ", ".join(f"{corner:.10g}" for corner in corners)
