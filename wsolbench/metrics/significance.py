"""Which differences are more than chance, when many are looked at.

A p-value is two-sided and of the paired bootstrap: of b resampled differences, those on either side
of 0 are counted, a difference of exactly 0 on both sides, and

    p = min(1, 2 * (1 + the smaller of the two counts) / (b + 1)).

The ones keep p above 0, since a resample shows only what was drawn: with b resamples no p is below
2 / (b + 1). So p agrees with the percentile interval: where that excludes 0 clearly, p is below one
minus its level.

Of m comparisons, Holm's step-down correction bounds the chance of any false decision by alpha,
however the comparisons depend on each other. Its first step asks for p <= alpha / m, which needs
2 * m / alpha - 1 resamples: with fewer nothing at all can be decided (`least_resamples`).

Sources: Davison and Hinkley, Bootstrap Methods and their Application (1997), section 4.2 (the
ones); Holm, A Simple Sequentially Rejective Multiple Test Procedure (1979).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

__all__ = ["holm", "least_resamples", "smallest_p", "smallest_sign_p", "two_sided_p"]


def two_sided_p(differences: NDArray[Any], images: int) -> float:
    """The p-value of differences over resamples.

    Resamples of few images agree too easily: it is at least that of a sign test in which all images
    agree, `smallest_sign_p`.

    Args:
        differences: (b,), b at least 1.
        images: that were drawn from.
    """
    below, above = int((differences <= 0).sum()), int((differences >= 0).sum())
    found = 2 * (1 + min(below, above)) / (len(differences) + 1)
    return min(1.0, max(found, smallest_sign_p(images)))


def smallest_sign_p(images: int) -> float:
    """The smallest p-value that a sign test of so many images can give."""
    return min(1.0, 2.0 ** (1 - images))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values, in the order given: those up to alpha are decided.

    The j-th smallest of m, from 0, is multiplied by m - j, and none is below a smaller one's.
    """
    count, adjusted, least = len(p_values), [0.0] * len(p_values), 0.0
    for rank, place in enumerate(sorted(range(count), key=p_values.__getitem__)):
        least = max(least, min(1.0, (count - rank) * p_values[place]))
        adjusted[place] = least
    return adjusted


def smallest_p(resamples: int) -> float:
    """The smallest p-value that so many resamples can give."""
    return min(1.0, 2 / (resamples + 1))


def least_resamples(comparisons: int, alpha: float) -> int:
    """The fewest resamples with which Holm's correction can decide any of so many comparisons."""
    found = max(1, int(2 * comparisons / alpha) - 2)
    while comparisons * smallest_p(found) > alpha:
        found += 1
    return found
