"""The choices of a protocol that metric families read, as enums; light to load."""

from __future__ import annotations

from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["BoxScore", "Comparator", "Component", "PixelScore", "Reduction"]


class Comparator(str, Enum):
    """Which values are foreground at a threshold, or which IoU is enough."""

    AT_LEAST = ">="
    ABOVE = ">"

    def __call__(self, values: Any, limit: Any) -> NDArray[np.bool_]:
        """Whether each value reaches the limit."""
        return np.asarray(values >= limit if self is Comparator.AT_LEAST else values > limit)


class PixelScore(str, Enum):
    """Which pixel scores a protocol has."""

    PEAK = "peak"
    """Peak-IoU and Peak-T."""
    AP = "ap"
    AT_THRESHOLD = "at_threshold"
    """The IoU at a threshold that was carried or fixed."""


class Reduction(str, Enum):
    """How the pixels of many images become one score."""

    POOLED = "pooled"
    """A ratio of sums over all pixels of all images."""
    IMAGE_MEAN = "image_mean"
    """The mean of each image's own score."""


class Component(str, Enum):
    """Which region of the foreground gives the box."""

    MOST_PIXELS = "most_pixels"
    """The component with the most pixels; ties go to the first in row-major order."""
    LARGEST_OUTLINE = "largest_outline"
    """OpenCV's contour of largest `contourArea`; ties go to the first (`contours`)."""
    EVERY_OUTLINE = "every_outline"
    """Each of OpenCV's contours, of which the best box counts."""


class BoxScore(str, Enum):
    """Which box scores a protocol has."""

    AT_THRESHOLD = "at_threshold"
    """GT-known, Top-1 and Top-5 localization, all at one threshold."""
    MAXIMUM = "maximum"
    """MaxBoxAcc: the highest accuracy over all thresholds."""
