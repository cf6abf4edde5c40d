"""A number over training seeds and photos: `Estimate`."""

from __future__ import annotations

from dataclasses import dataclass

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

    @property
    def sign(self) -> int:
        """1 if significantly above 0, -1 if below it, 0 if undecided (see `summary`)."""
        low, high = self.interval
        if len(self.values) < 2:
            return 0
        if low > 0 and min(self.values) > 0:
            return 1
        return -1 if high < 0 and max(self.values) < 0 else 0
