"""Bootstrap: sums over images drawn again and again, with replacement.

A resample draws as many images as there are; a sum over it is a product of how often each image was
drawn and what it adds. Sums of integers stay exact in float64 up to 2**53.

Source: Efron, Bootstrap Methods: Another Look at the Jackknife (1979); percentile intervals.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import WsolbenchError
from .sum_kernels import add_changes, add_weighted

__all__ = ["Weights", "draw_weights", "percentile_interval"]

_LIMITS = ((1 << 24) - 1, (1 << 53) - 1)
"""The largest sums in float32 and float64."""

_FEW = 64
"""Up to so many images are added up in a loop, which is faster than to start BLAS's threads."""

_RARE = 8
"""So many changes from column to column are rare in any row: a loop over them beats a product."""


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


class Weights:
    """Weights of some images in each resample, and exact sums with them.

    Few images, and curves that rarely change, are added up in loops. Other integers are added up as
    floats, since products of float matrices are fast. No sum, nor any part of one, passes the
    largest value of its column times the largest sum of a row of weights; up to 2**24 in float32
    and 2**53 in float64 every integer is a float, so that none is rounded and the order of the
    terms does not matter.
    """

    def __init__(self, weights: NDArray[np.uint16]) -> None:
        """Weigh n images in b resamples.

        Args:
            weights: uint16 (b, n).
        """
        self._weights = weights

    def sums(self, values: NDArray[np.int64]) -> NDArray[np.int64]:
        """Sums over each resample, exact.

        Args:
            values: int64 (n, k), none negative.

        Returns:
            int64 (b, k).
        """
        if len(values) <= _FEW:
            weights = np.ascontiguousarray(self._weights)
            found: NDArray[np.int64] = add_weighted(weights, np.ascontiguousarray(values))
            return found
        columns = values.shape[1]
        changes = np.count_nonzero(values[:, 1:] != values[:, :-1])
        if changes <= len(values) * max(_RARE, columns // 16):
            turned: NDArray[np.int64] = add_changes(self._turned, np.ascontiguousarray(values))
            return np.transpose(turned)
        largest = values.max(axis=0, initial=0)
        kinds = np.searchsorted([limit // self._images for limit in _LIMITS], largest)
        used = np.unique(kinds)
        if len(used) == 1:
            total: NDArray[np.int64] = self._KINDS[used[0]](self, values)
            return total
        found = np.empty((len(self._weights), columns), np.int64)
        for kind in used:
            own = kinds == kind
            found[:, own] = self._KINDS[kind](self, values[:, own])
        return found

    @cached_property
    def _images(self) -> int:
        """The most images that a resample draws."""
        return max(1, int(self._weights.sum(axis=1).max(initial=0)))

    @cached_property
    def _turned(self) -> NDArray[np.uint16]:
        return np.ascontiguousarray(self._weights.T)

    @cached_property
    def _single(self) -> NDArray[np.float32]:
        return self._weights.astype(np.float32)

    @cached_property
    def _double(self) -> NDArray[np.float64]:
        return self._weights.astype(np.float64)

    def _in_single(self, values: NDArray[np.int64]) -> NDArray[np.int64]:
        return (self._single @ values.astype(np.float32)).astype(np.int64)

    def _in_double(self, values: NDArray[np.int64]) -> NDArray[np.int64]:
        return (self._double @ values.astype(np.float64)).astype(np.int64)

    def _in_halves(self, values: NDArray[np.int64]) -> NDArray[np.int64]:
        half = (int(values.max()).bit_length() + 1) // 2
        low = self.sums(values & ((1 << half) - 1))
        return (self.sums(values >> half) << half) + low

    _KINDS = (_in_single, _in_double, _in_halves)


def percentile_interval(
    values: Sequence[float] | NDArray[Any], level: float
) -> tuple[float | int, float | int]:
    """The lowest and highest value once floor(n * (1 - level) / 2) are cut off at either end.

    NaN, of a resample without an image that has the score, is left out.

    Raises:
        WsolbenchError: nothing but NaN.
    """
    given = np.asarray(values)
    ordered = np.sort(given[given == given])
    if not len(ordered):
        raise WsolbenchError(
            "bootstrap",
            found="a score that no image of any resample has",
            expected="a resample with an image that has an object",
            cure="draw more resamples, or leave intervals out",
        )
    cut = int(len(ordered) * (1 - level) / 2 + 1e-9)
    return ordered[cut].item(), ordered[-1 - cut].item()
