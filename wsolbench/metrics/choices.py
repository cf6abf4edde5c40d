"""The choices that metric families read, of a protocol and of boundaries; light to load."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import WsolbenchError, one_of, require_type

__all__ = [
    "MAX_DISTANCE",
    "MOST_DISTANCE",
    "BoundaryRule",
    "BoundaryTruth",
    "BoxScore",
    "Comparator",
    "Component",
    "PixelScore",
    "Reduction",
    "require_distance",
]

MAX_DISTANCE = 0.0075
"""How far apart matched pixels may be, as a share of the image's diagonal (paper section 4.4)."""


MOST_DISTANCE = 0.1
"""The largest such share that can be asked for."""


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


class BoundaryTruth(str, Enum):
    """Which pixels are the boundary of a mask."""

    THINNED = "thinned"
    """Where the mask changes to the right, below or to the lower right, then thinned."""
    INNER = "inner"
    """The object's own pixels beside a pixel that is not of the object."""


@dataclass(frozen=True)
class BoundaryRule:
    """The choices on which boundary scores depend; a result states them.

    Attributes:
        suppression: whether maps undergo non-maximum suppression first; not for maps that did.
        truth: which pixels are the boundary of a mask.
        max_distance: see `MAX_DISTANCE`.

    Raises:
        WsolbenchError: another type, or a distance that is not above 0 and at most `MOST_DISTANCE`.

    Examples:
        >>> wsolbench.BoundaryRule(suppression=False).max_distance
        0.0075
    """

    suppression: bool = True
    truth: BoundaryTruth = BoundaryTruth.THINNED
    max_distance: float = MAX_DISTANCE

    def __post_init__(self) -> None:
        """Check the fields, and turn texts into truths."""
        require_type("suppression", self.suppression, (bool, np.bool_), "True or False")
        object.__setattr__(self, "suppression", bool(self.suppression))
        try:
            object.__setattr__(self, "truth", BoundaryTruth(self.truth))
        except ValueError as error:
            raise WsolbenchError(
                "truth",
                found=repr(self.truth),
                expected=one_of([own.value for own in BoundaryTruth]),
                cure="name one of these",
            ) from error
        require_distance(self.max_distance)

    def as_dict(self) -> dict[str, Any]:
        """The fields, as results hold them."""
        return {**asdict(self), "truth": self.truth.value}


def require_distance(value: object) -> None:
    """Raise unless a value is a share of the diagonal within which pixels can be matched."""
    if not isinstance(value, float) or not 0 < value <= MOST_DISTANCE:
        raise WsolbenchError(
            "max_distance",
            found=repr(value),
            expected=f"a share of the image's diagonal above 0 and at most {MOST_DISTANCE}",
            cure=f"the usual one is {MAX_DISTANCE}",
        )
