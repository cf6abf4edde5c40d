"""Thresholds that follow from a map alone, one for each map: no annotation is used.

Rules, as they are typed:

- `otsu`: Otsu, A Threshold Selection Method from Gray-Level Histograms (1979), as OpenCV's
  `THRESH_OTSU` computes it, in the same order of float64 operations;
- `mean`: at least the mean level;
- `max:F`: at least the share F of the highest level (CAM, Zhou et al. 2016, takes .2);
- `area:F`: the highest threshold at which at least the share F of the pixels is foreground.

Histograms are int64 (..., 256), pixels of each level, those off the object and on it together. A
threshold T is int64 (...), and a pixel is foreground when its level is at least T. OpenCV's Otsu
threshold is T - 1, since it compares by >. A map with one level alone is foreground everywhere
under every rule; so is one without any pixel. Shares are exact: `max:0.2` is a fifth.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from ..errors import WsolbenchError
from ..scores import LEVELS
from .sum_kernels import otsu_levels

__all__ = [
    "OWN_RULES",
    "OwnRule",
    "area_threshold",
    "is_own_rule",
    "max_threshold",
    "mean_threshold",
    "otsu_threshold",
    "own_rule",
]

OWN_RULES = ("otsu", "mean", "max:F", "area:F")
"""The rules as they are typed; F is a share above 0, at most 1."""

_LONGEST = 12  # characters of a share: sums of pixels times its denominator fit 64 bits


@dataclass(frozen=True)
class OwnRule:
    """How each map gives its own threshold.

    Attributes:
        kind: "otsu", "mean", "max" or "area".
        share: F of "max" and "area"; None of the others.
    """

    kind: str
    share: Fraction | None = None

    def __str__(self) -> str:
        return self.kind if self.share is None else f"{self.kind}:{_decimal(self.share)}"

    @property
    def words(self) -> str:
        """The rule for tables, e.g. "Otsu's of each map"."""
        if self.share is None:
            return {"otsu": "Otsu's of each map", "mean": "mean of each map"}[self.kind]
        if self.kind == "max":
            return f"{_decimal(self.share)} of the maximum of each map"
        return f"{_decimal(100 * self.share)} % of the pixels of each map"

    def thresholds(self, histograms: NDArray[np.int64]) -> NDArray[np.int64]:
        """T of each histogram: int64 (...) of int64 (..., 256)."""
        if self.share is None:
            return {"otsu": otsu_threshold, "mean": mean_threshold}[self.kind](histograms)
        if self.kind == "max":
            return max_threshold(histograms, self.share)
        return area_threshold(
            histograms, _ceiling(histograms.sum(axis=-1, dtype=np.int64), self.share)
        )


def own_rule(text: str) -> OwnRule:
    """The rule of a text such as "otsu" or "max:0.2".

    Raises:
        WsolbenchError: no such rule; a share that is no decimal above 0 and at most 1.
    """
    kind, colon, share = text.partition(":") if isinstance(text, str) else ("", "", "")
    if kind in ("otsu", "mean") and not colon:
        return OwnRule(kind)
    if kind in ("max", "area") and _is_share(share):
        return OwnRule(kind, Fraction(share))
    raise WsolbenchError(
        "threshold",
        found=repr(text)[:40],
        expected=f"a level from 0 to 255, or {', '.join(OWN_RULES[:-1])} or {OWN_RULES[-1]} "
        f"with F a decimal such as 0.2, above 0, at most 1 and of {_LONGEST} characters at most",
        cure="name one of these, e.g. otsu or max:0.2",
    )


def is_own_rule(text: str) -> bool:
    """Whether a text is a rule, and no level or path."""
    try:
        own_rule(text)
    except WsolbenchError:
        return False
    return True


def otsu_threshold(histograms: NDArray[np.int64]) -> NDArray[np.int64]:
    """The threshold with the largest variance between the two classes; of equal ones the lowest."""
    rows = np.ascontiguousarray(histograms, np.int64).reshape(-1, LEVELS)
    found = otsu_levels(rows).reshape(histograms.shape[:-1])
    several = (histograms > 0).sum(axis=-1) > 1
    return np.where(several, np.maximum(found, 0) + 1, 0)


def mean_threshold(histograms: NDArray[np.int64]) -> NDArray[np.int64]:
    """The lowest level that is not below the mean."""
    pixels = histograms.sum(axis=-1, dtype=np.int64)
    total = (histograms * np.arange(LEVELS)).sum(axis=-1, dtype=np.int64)
    return np.asarray(-(-total // np.maximum(pixels, 1)))


def max_threshold(
    histograms: NDArray[np.int64], share: Fraction = Fraction(1, 2)
) -> NDArray[np.int64]:
    """The lowest level that is not below a share of the highest one.

    Args:
        histograms: int64 (..., 256).
        share: above 0, at most 1.
    """
    held = histograms > 0
    highest = np.where(held.any(axis=-1), LEVELS - 1 - held[..., ::-1].argmax(axis=-1), 0)
    return _ceiling(highest.astype(np.int64), share)


def area_threshold(
    histograms: NDArray[np.int64], pixels: NDArray[np.int64] | int
) -> NDArray[np.int64]:
    """The highest threshold at which so many pixels or more are foreground.

    Args:
        histograms: int64 (..., 256).
        pixels: int64 (...), how many of each; 0 where there is no pixel at all is T = 255.
    """
    reached = np.cumsum(histograms[..., ::-1], axis=-1, dtype=np.int64)[..., ::-1]
    enough = reached >= np.asarray(pixels)[..., None]
    return np.asarray(LEVELS - 1 - enough[..., ::-1].argmax(axis=-1), np.int64)


def _ceiling(values: NDArray[np.int64], share: Fraction) -> NDArray[np.int64]:
    """The smallest integers that are not below a share of others: int64 (...)."""
    return np.asarray(-(-values * share.numerator // share.denominator))


def _decimal(share: Fraction) -> str:
    """A share as it can be typed, with all of its digits."""
    return f"{(Decimal(share.numerator) / share.denominator).normalize():f}"


def _is_share(text: str) -> bool:
    digits = text.replace(".", "", 1)
    plain = len(text) <= _LONGEST and digits.isascii() and digits.isdigit()
    return plain and 0 < Fraction(text) <= 1
