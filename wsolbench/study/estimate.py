"""A number over training seeds and photos: `Estimate`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from numpy.typing import NDArray

from ..metrics.bootstrap import percentile_interval

__all__ = ["Estimate"]


@dataclass(frozen=True)
class Estimate:
    """A score, or a difference of two, over seeds and photos.

    Attributes:
        values: one a seed.
        mean: of them.
        std: their sample standard deviation; None for one seed.
        interval: [low, high] of the mean over resamples of the photos.
    """

    values: tuple[float, ...]
    mean: float
    std: float | None
    interval: tuple[float, float]

    @classmethod
    def of(cls, values: Sequence[float], drawn: NDArray[Any], level: float) -> Estimate:
        """The estimate from one value a seed.

        Args:
            values: one a seed.
            drawn: float64 (resamples,), the mean over seeds in each resample of the photos.
            level: the confidence level.
        """
        return cls(
            tuple(values),
            fmean(values),
            stdev(values) if len(values) > 1 else None,
            percentile_interval(drawn, level),
        )

    @property
    def sign(self) -> int:
        """1 if significantly above 0, -1 if below it, 0 if undecided (see `summary`)."""
        low, high = self.interval
        if len(self.values) < 2:
            return 0
        if low > 0 and min(self.values) > 0:
            return 1
        return -1 if high < 0 and max(self.values) < 0 else 0
