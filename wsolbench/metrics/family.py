"""What a metric family is: statistics of each image, and scores of what these add up to.

A family is a module. It names its scores in records (`scores.SCORES`, under the family's name), and
has

- `fits(rules)`: whether a protocol defines its scores;
- `empty(rules)`: its statistics of no image, which tell their dtypes and shapes;
- `measure(images)`: its statistics of n images, integers or booleans by name, images first;
- `columns(kept, rules, classes)`: what each image adds to each of its sums;
- `READ_AT`: the sums that are curves and of which scores of groups read one threshold alone, by
  name, with the family that chooses it, "pixel" or "box";
- `NEEDS_BOXES`, `NEEDS_MASKS`: whether every image must have a true box, or a mask;
- `scores(sums, reading)`: the scores and curves of b sums at once.

One `scores` serves the whole split, groups of images and resamples: they differ in b alone. Ratios
are formed there and nowhere else.

Two kinds of score are means of per-image fractions (image-mean IoU and AP). Those fractions are
added as whole multiples of 2**-40, so that a sum depends neither on the order of the images nor on
how many threads made it; the mean is off by less than 2**-40.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "UNIT",
    "Cut",
    "Family",
    "Images",
    "Reading",
    "Scored",
    "Statistics",
    "Sums",
    "by_class",
    "units",
]

UNIT = 1 << 40
"""Per-image fractions are added as multiples of 1 / UNIT."""

Statistics = dict[str, NDArray[Any]]
"""By name, (n, ...): what is kept of n images."""

Sums = dict[str, NDArray[np.int64]]
"""By name, (b, ...): sums over images, b of them."""

Scored = tuple[dict[str, NDArray[Any]], dict[str, NDArray[Any]]]
"""Scores by key (b,), and curves by key (b, t)."""


class Images(Protocol):
    """N images as a protocol brings them to its grid (`protocols.block.Block`)."""

    def __len__(self) -> int: ...
    @property
    def rules(self) -> Any:
        """The protocol."""

    @property
    def histograms(self) -> NDArray[np.int32]:
        """(n, 2, bins) of levels, off the object and on it."""

    @property
    def boxes(self) -> NDArray[np.int32]:
        """(n, t, 4) predicted boxes, one a threshold; (n, 0, 4) where there is no single one."""

    @property
    def overlaps(self) -> NDArray[np.float64]:
        """(n, t) highest IoU of the predicted box with a true one."""

    @property
    def seen(self) -> Sequence[Any]:
        """Each image's levels, mask, ignored pixels and true boxes on the grid."""

    @property
    def boundary(self) -> Any:
        """How boundaries are scored: a `boundary.BoundaryRule`."""

    @property
    def edges(self) -> Sequence[NDArray[Any]]:
        """Each image's map of boundary probabilities."""

    @property
    def outlines(self) -> Sequence[NDArray[np.bool_]]:
        """Each image's true boundary, at its own size."""

    @property
    def class_indices(self) -> NDArray[np.int32]:
        """(n,), -1 where the class is not known."""

    @property
    def top5(self) -> NDArray[np.integer[Any]] | None:
        """(n, 5) predicted classes, best first, or None."""


@dataclass(frozen=True)
class Cut:
    """The thresholds that some sums are read at, where they hold no others (see `Family.READ_AT`).

    Attributes:
        pixel: int64 (u,), places of pixel scores, ascending.
        box: int64 (v,), places of box scores, ascending.
    """

    pixel: NDArray[np.int64]
    box: NDArray[np.int64]

    def of(self, columns: Sums, read_at: Mapping[str, str]) -> Sums:
        """Columns without the thresholds that are not read.

        Args:
            columns: by name int64 (n, ...).
            read_at: of their family. A column with one threshold alone is left as it is.
        """
        return {
            name: own[..., getattr(self, read_at[name])]
            if name in read_at and own.shape[-1] > 1
            else own
            for name, own in columns.items()
        }


@dataclass(frozen=True)
class Reading:
    """How b sums are read.

    Attributes:
        rules: the protocol.
        label: "gt" or "predicted": whose class's maps they are.
        ranked: whether there are class predictions, and every class is known.
        images: int64 (b,), how many images each sum is over; (b, c) by class, where the protocol
            averages accuracies over c classes.
        pixel: int64 (b,), T of pixel scores; None for the best T of each.
        box: int64 (b,), T of box scores; None for the best T of each.
        curves: whether curves are wanted beside the scores.
        cut: the thresholds that the sums of `READ_AT` hold; None for all. Only scores of groups
            are read off such sums.
    """

    rules: Any
    label: str
    ranked: bool
    images: NDArray[np.int64]
    pixel: NDArray[np.int64] | None = None
    box: NDArray[np.int64] | None = None
    curves: bool = True
    cut: Cut | None = None

    @property
    def total(self) -> NDArray[np.int64]:
        """How many images each sum is over: int64 (b,)."""
        return self.images if self.images.ndim == 1 else self.images.sum(axis=1)

    def share(self, counts: NDArray[np.int64]) -> NDArray[np.float64]:
        """Counts of images as shares of them, or the mean over classes of each class's share.

        Args:
            counts: int64 (b, ...), or (b, c, ...) by class.

        Returns:
            float64 (b, ...). A class without images has no share and does not count.
        """
        if self.images.ndim == 1:
            return counts / _broadcast(self.images, counts.ndim)
        return np.stack(
            [_class_mean(own, images) for own, images in zip(counts, self.images, strict=True)]
        )

    def mean(self, sums: NDArray[np.int64]) -> NDArray[np.float64]:
        """The mean of per-image fractions that were added as units: float64 (b, ...)."""
        return sums / (UNIT * _broadcast(self.total, sums.ndim))


class Family(Protocol):
    """A metric family, which is a module; see there."""

    READ_AT: Mapping[str, str]
    NEEDS_BOXES: bool
    NEEDS_MASKS: bool

    def fits(self, rules: Any) -> bool:
        """Whether the protocol defines its scores."""

    def empty(self, rules: Any) -> Statistics:
        """Its statistics of no image."""

    def measure(self, images: Images) -> Statistics:
        """Its statistics of some images."""

    def columns(self, kept: Statistics, rules: Any, classes: int) -> Sums:
        """What each image adds to its sums."""

    def scores(self, sums: Sums, reading: Reading) -> Scored:
        """Scores of sums, and their curves if these are wanted."""


def units(fractions: NDArray[np.float64]) -> NDArray[np.int64]:
    """Fractions as whole multiples of 1 / UNIT."""
    return np.rint(np.asarray(fractions) * UNIT).astype(np.int64)


def by_class(
    values: NDArray[Any], class_indices: NDArray[np.int32], classes: int
) -> NDArray[np.int64]:
    """What each image adds to its own class.

    Args:
        values: (n, ...).
        class_indices: (n,), each below `classes`.
        classes: how many there are; 0 leaves the values as they are.

    Returns:
        int64 (n, classes, ...), or (n, ...).
    """
    if not classes:
        return values.astype(np.int64)
    added = np.zeros((len(values), classes, *values.shape[1:]), np.int64)
    added[np.arange(len(values)), class_indices] = values
    return added


def _broadcast(images: NDArray[np.int64], dimensions: int) -> NDArray[np.int64]:
    return images.reshape(-1, *(1 for _ in range(dimensions - 1)))


def _class_mean(counts: NDArray[np.int64], images: NDArray[np.int64]) -> NDArray[np.float64]:
    seen = images > 0
    shares = counts[seen] / _broadcast(images[seen], counts.ndim)
    # One after the other, so that the sum does not depend on how NumPy pairs its terms.
    return np.asarray(np.add.accumulate(shares, axis=0)[-1] / seen.sum())
