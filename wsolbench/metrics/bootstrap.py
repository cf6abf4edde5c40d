"""Bootstrap: sums over images drawn again and again, with replacement.

A resample draws as many images as there are; a sum over it is a product of how often each image was
drawn and what it adds. Sums of integers stay exact in float64 up to 2**53.

Source: Efron, Bootstrap Methods: Another Look at the Jackknife (1979); percentile intervals.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..errors import WsolbenchError

__all__ = ["draw_weights", "percentile_interval", "weighted_sums"]

_EXACT = 1 << 53
_EXACT_SINGLE = 1 << 24


def draw_weights(images: int, resamples: int, rng: np.random.Generator) -> NDArray[np.uint16]:
    """How often each image is drawn in each resample: uint16 (resamples, images).

    Each row adds up to `images`. The first rows do not depend on how many follow.

    Raises:
        WsolbenchError: fewer than two images, of which all resamples are alike.
    """
    if images < 2:
        raise WsolbenchError(
            "bootstrap",
            found="only one image",
            expected="at least two, which a confidence interval needs",
            cure="score more images, or leave intervals out",
        )
    weights = np.empty((resamples, images), dtype=np.uint16)
    for row in weights:
        row[:] = np.bincount(rng.integers(images, size=images), minlength=images)
    return weights


def weighted_sums(
    weights: NDArray[np.uint16], values: NDArray[np.int64], largest: int
) -> NDArray[np.int64]:
    """Sums over each resample, exact.

    Args:
        weights: (b, n).
        values: int64 (n, k), none negative.
        largest: a bound on the values, which decides the arithmetic: a row of weights adds up to
            `images`, so that no sum passes images * largest.

    Returns:
        int64 (b, k).
    """
    images = max(1, int(weights.sum(axis=1).max()))
    if images * largest < _EXACT_SINGLE:
        single: NDArray[np.int64] = (weights.astype(np.float32) @ values.astype(np.float32)).astype(
            np.int64
        )
        return single
    if images * largest < _EXACT:
        return (weights.astype(np.float64) @ values.astype(np.float64)).astype(np.int64)
    half = (largest.bit_length() + 1) // 2
    high = weighted_sums(weights, values >> half, largest >> half)
    return (high << half) + weighted_sums(weights, values & ((1 << half) - 1), (1 << half) - 1)


def percentile_interval(values: Sequence[float], level: float) -> tuple[float, float]:
    """The lowest and highest value once floor(n * (1 - level) / 2) are cut off at either end."""
    cut = int(len(values) * (1 - level) / 2 + 1e-9)
    ordered = sorted(values)
    return ordered[cut], ordered[-1 - cut]
