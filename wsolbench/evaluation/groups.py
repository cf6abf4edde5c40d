"""Scores of groups of images: by the object's area, by the number of boxes, by class.

A group is read at the thresholds of the whole split, so that its scores are parts of those of the
split and not the best that its images could reach; its own Peak-IoU and Peak-T stand beside them.
Boundary scores are an exception: ODS and OIS of a group choose its own thresholds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..data.dataset import Dataset
from ..errors import printable
from ..formats.result import Group
from ..metrics.bootstrap import percentile_interval
from ..metrics.family import Statistics
from ..progress import Progress
from .statistics import Scoring

__all__ = ["Draws", "Members", "group_images", "scored_groups"]

AREA_GROUPS = 10
"""Groups by area: deciles."""

MOST_BOXES = 5
"""Images of so many boxes and more are one group."""

Members = list[tuple[str, NDArray[np.int64]]]
"""The groups of a kind: their names, and the places of their images in the data set."""


@dataclass(frozen=True)
class Draws:
    """Resamples of a split, and the thresholds that each of them is read at.

    Attributes:
        weights: uint16 (b, n), how often each image is drawn.
        pixel: int64 (b,), T of pixel scores.
        box: int64 (b,), T of box scores.
        level: confidence level of the intervals.
    """

    weights: NDArray[np.uint16]
    pixel: NDArray[np.int64]
    box: NDArray[np.int64]
    level: float


def group_images(dataset: Dataset, kind: str) -> Members:
    """The groups of a kind that have images: their names, and int64 places in the data set.

    `area`: tenths of the images by the share of the image that the object covers, the smallest
    first; equal shares stay together. `boxes`: by the number of true boxes. `class`: by class.
    """
    return _MEMBERS[kind](dataset)


def scored_groups(
    scoring: Scoring,
    kept: Statistics,
    members: Members,
    at: tuple[int, int],
    draws: Draws | None = None,
    progress: Progress | None = None,
) -> list[Group]:
    """Score each group.

    Args:
        scoring: of a protocol whose thresholds can be carried.
        kept: of the n images.
        members: see `group_images`.
        at: the thresholds of pixel and box scores.
        draws: of the n images; gives each score of a group an interval over the resamples in which
            the group has an image. A group of one image has none: drawn again it is the same.
        progress: called with (groups scored, groups).
    """
    # The images themselves are the first resample, each of them drawn once.
    weights = np.ones((1, len(kept["class_index"])), dtype=np.uint16)
    pixel, box = (np.array([level]) for level in at)
    if draws is not None:
        weights = np.concatenate((weights, draws.weights))
        pixel, box = np.concatenate((pixel, draws.pixel)), np.concatenate((box, draws.box))
    scored = []
    for done, (name, places) in enumerate(members, start=1):
        found = scoring.group_scores(kept, weights, places, pixel, box)
        # A score that no image of the group has is NaN.
        scores = {key: values for key, values in found.items() if values[0] == values[0]}
        intervals = {
            key: list(percentile_interval(values[1:], draws.level))
            for key, values in scores.items()
            if draws is not None and len(places) > 1 and len(values) > 1
        }
        own = {key: values[0].item() for key, values in scores.items()}
        scored.append(Group(name, len(places), own, intervals))
        if progress:
            progress(done, len(members))
    return scored


def _by_area(dataset: Dataset) -> Members:
    dataset.require_masks("groups by area")
    store, rows = dataset.store, dataset.rows
    pixels = store.heights[rows].astype(np.int64) * store.widths[rows]
    shares = store.areas[rows] / pixels
    smaller = np.searchsorted(np.sort(shares), shares)
    groups = _members(smaller * AREA_GROUPS // len(shares), str)
    return [
        (f"{100 * shares[places].min():.2f}-{100 * shares[places].max():.2f} %", places)
        for _, places in groups
    ]


def _by_boxes(dataset: Dataset) -> Members:
    counts = np.minimum(dataset.store.box_counts[dataset.rows], MOST_BOXES)
    return _members(counts, lambda count: f"{count}" + (" or more" if count == MOST_BOXES else ""))


def _by_class(dataset: Dataset) -> Members:
    classes = dataset.store.classes

    def name(index: int) -> str:
        if index < 0:
            return "no class"
        return printable(
            f"{index} {classes[index][1] or classes[index][0]}" if classes else f"{index}"
        )

    return _members(dataset.class_indices, name)


def _members(kinds: NDArray[np.integer], name: Callable[[int], str]) -> Members:
    return [
        (name(int(kind)), np.flatnonzero(kinds == kind).astype(np.int64))
        for kind in np.unique(kinds)
    ]


_MEMBERS: Mapping[str, Callable[[Dataset], Members]] = {
    "area": _by_area,
    "boxes": _by_boxes,
    "class": _by_class,
}
"""The groups of a data set, by the keys of `formats.result.GROUPS`."""
