"""Why one method's image-mean IoU is higher: shape, calibration, and what a prior has anyway.

The image-mean IoU at one threshold for all images is shape plus calibration (`metrics.shape`), and
so is each difference of two methods, in every resample. A prior is one more method, mostly a
network-free centred Gaussian: what a method adds to it is the part that the photos did not give
away by showing their object in the middle.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from ..metrics.bootstrap import percentile_interval
from ..tables import grid

__all__ = ["KEYS", "Part", "Split", "SplitPair", "SplitScores", "split_of", "split_table"]

KEYS = ("iou_shape", "iou_calibration")
"""The scores of the metric family "shape"."""

_READ = ("iou_at_threshold_image_mean", "peak_iou_image_mean")
"""What the two add up to: the first that there is."""


@dataclass(frozen=True)
class Part:
    """A number, a fraction, and its interval over the resamples."""

    value: float
    interval: tuple[float, float]


@dataclass(frozen=True)
class SplitScores:
    """One method, or a difference of two: `iou` is `shape` plus `calibration`.

    Attributes:
        iou: the mean over images of the IoU at one threshold for all of them, the best for that
            mean or the one that was given.
        shape: the mean of each image's highest IoU.
        calibration: what sharing the threshold costs; 0 at best.
    """

    iou: Part
    shape: Part
    calibration: Part


@dataclass(frozen=True)
class SplitPair:
    """Second minus first, by their places among the names."""

    first: int
    second: int
    difference: SplitScores


@dataclass(frozen=True)
class Split:
    """The image-mean IoU of several methods, split.

    Attributes:
        methods: in the order of the names.
        pairs: those of the comparison.
        prior_name: what the prior is; empty without one.
        prior: its scores.
        over_prior: each method minus the prior.
    """

    methods: tuple[SplitScores, ...]
    pairs: tuple[SplitPair, ...]
    prior_name: str = ""
    prior: SplitScores | None = None
    over_prior: tuple[SplitScores, ...] = ()


def split_of(
    scored: Sequence[Mapping[str, float | int]],
    drawn: Sequence[Mapping[str, NDArray[Any]]],
    pairs: Sequence[tuple[int, int]],
    level: float,
    prior_name: str = "",
) -> Split | None:
    """The split of methods that are scored on the same images and resamples.

    Args:
        scored: by method, scores by key.
        drawn: by method, scores of resamples (b,) by key.
        pairs: places of the methods whose difference is wanted.
        level: of the intervals.
        prior_name: what the last method is if it is the prior; empty without one.

    Returns:
        None if some method has no image-mean IoU.
    """
    read = next((key for key in _READ if all(key in own for own in scored)), None)
    if read is None or not all(key in own for own in scored for key in KEYS):
        return None

    def own(place: int, minus: int | None = None) -> SplitScores:
        parts = []
        for key in (read, *KEYS):
            value, values = float(scored[place][key]), drawn[place][key]
            if minus is not None:
                value, values = value - float(scored[minus][key]), values - drawn[minus][key]
            parts.append(Part(value, percentile_interval(values, level)))
        return SplitScores(*parts)

    count = len(scored) - bool(prior_name)
    return Split(
        tuple(own(place) for place in range(count)),
        tuple(SplitPair(first, second, own(second, first)) for first, second in pairs),
        prior_name,
        own(count) if prior_name else None,
        tuple(own(place, count) for place in range(count)) if prior_name else (),
    )


def split_table(
    split: Split, marks: Sequence[str], form: str = "text", width: int | None = None
) -> str:
    """A row a method, the prior, and each difference; percent and percentage points.

    Args:
        split: of methods.
        marks: what stands for each of them.
        form: "text", "md" or "latex".
        width: of a terminal, which text is cut for; None for any.
    """
    rows = [[marks[place], *_cells(own)] for place, own in enumerate(split.methods)]
    if split.prior is not None:
        rows.append([f"prior: {split.prior_name}", *_cells(split.prior)])
    rows += [
        [f"{marks[own.second]} - {marks[own.first]}", *_cells(own.difference, signed=True)]
        for own in split.pairs
    ]
    rows += [
        [f"{marks[place]} - prior", *_cells(own, signed=True)]
        for place, own in enumerate(split.over_prior)
    ]
    head = ["percent", "IoU (image mean) at one T", "= shape", "+ calibration"]
    return grid(rows, head, form, "lr", width=width)


def _cells(own: SplitScores, *, signed: bool = False) -> list[str]:
    sign = "+" if signed else ""
    return [
        f"{100 * part.value:{sign}.2f} [{100 * part.interval[0]:{sign}.2f}, "
        f"{100 * part.interval[1]:{sign}.2f}]"
        for part in (own.iou, own.shape, own.calibration)
    ]
