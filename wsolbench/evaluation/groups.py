"""Scores of groups of images: by the object's area, by the number of boxes, by class.

A group is read at the thresholds of the whole split, so that its scores are parts of those of the
split and not the best that its images could reach; its own Peak-IoU and Peak-T stand beside them.

Public names: `KINDS`, `Draws`, `group_images`, `scored_groups`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..data.dataset import Dataset
from ..errors import printable
from ..formats.result import Group
from ..metrics import pixel as pixel_metrics
from ..metrics.bootstrap import percentile_interval
from ..progress import Progress
from .statistics import UNIT, Records, Scoring

AREA_GROUPS = 10
"""Groups by area: deciles."""

MOST_BOXES = 5
"""Images of so many boxes and more are one group."""

_Members = list[tuple[str, NDArray[np.int64]]]


@dataclass(frozen=True)
class Draws:
    """Resamples of a split, and the thresholds that each of them is read at.

    Attributes:
        weights: uint16 (b, n), how often each image is drawn.
        pixel: int64 (b,), T of pixel scores.
        box: int64 (b,), T of box scores.
        level: share of the resamples within an interval.
    """

    weights: NDArray[np.uint16]
    pixel: NDArray[np.int64]
    box: NDArray[np.int64]
    level: float


def group_images(dataset: Dataset, kind: str) -> _Members:
    """The groups of a kind that have images: their names, and int64 places in the data set.

    `area`: tenths of the images by the share of the image that the object covers, the smallest
    first; equal shares stay together. `boxes`: by the number of true boxes. `class`: by class.
    """
    return KINDS[kind](dataset)


def scored_groups(
    scoring: Scoring,
    records: Records,
    class_indices: NDArray[np.int32],
    members: _Members,
    at: tuple[int, ...],
    draws: Draws | None = None,
    progress: Progress | None = None,
) -> list[Group]:
    """Score each group.

    Args:
        scoring: of protocol `sem`.
        records: of the n images.
        class_indices: int32 (n,).
        members: see `group_images`.
        at: the thresholds of pixel and box scores.
        draws: of the n images; gives each score of a group an interval over the resamples in which
            the group has an image. A group of one image has none: drawn again it is the same.
        progress: called with (groups scored, groups).
    """
    # The images themselves are the first resample, each of them drawn once.
    weights = np.ones((1, len(records)), dtype=np.uint16)
    levels = [np.array([level]) for level in at]
    if draws is not None:
        weights = np.concatenate((weights, draws.weights))
        pairs = zip(levels, (draws.pixel, draws.box), strict=True)
        levels = [np.concatenate(pair) for pair in pairs]
    scored = []
    for done, (name, places) in enumerate(members, start=1):
        images = weights[:, places].sum(axis=1, dtype=np.int64)
        there = images > 0
        sums = scoring.resampled_sums(records, class_indices, weights, places)
        scores = _scores(
            scoring,
            {key: total[there] for key, total in sums.items()},
            images[there],
            *(level[there] for level in levels),
        )
        intervals = {
            key: list(percentile_interval(values[1:].tolist(), draws.level))
            for key, values in scores.items()
            if draws is not None and len(places) > 1 and len(values) > 1
        }
        own: dict[str, float | int] = {key: values.tolist()[0] for key, values in scores.items()}
        scored.append(Group(name, len(places), own, intervals))
        if progress:
            progress(done, len(members))
    return scored


def _scores(
    scoring: Scoring,
    sums: Mapping[str, NDArray[np.int64]],
    images: NDArray[np.int64],
    pixel_t: NDArray[np.int64],
    box_t: NDArray[np.int64],
) -> dict[str, NDArray[np.float64] | NDArray[np.int64]]:
    """Scores of b tallies of so many images, each read at its own thresholds: by key (b,)."""
    each = np.arange(len(images))
    scores: dict[str, NDArray[np.float64] | NDArray[np.int64]] = {}
    if "pixel" in scoring.metrics:
        curves = pixel_metrics.iou(sums["pixels"])
        scores["iou_at_threshold"] = curves[each, pixel_t]
        scores["iou_at_threshold_image_mean"] = sums["iou"][each, pixel_t] / (UNIT * images)
        scores["peak_iou"] = curves.max(axis=1)
        scores["peak_threshold"] = curves.argmax(axis=1)
        scores["ap"] = pixel_metrics.average_precision(sums["pixels"])
        scores["ap_image_mean"] = sums["ap"][:, 0] / (UNIT * images)
    if "box" in scoring.metrics:
        named = {"gt_known_loc" if scoring.label == "gt" else "predicted_loc": sums["right"][:, 0]}
        if scoring.ranked:
            named["top1_loc"] = sums["right_top"][:, 0]
            if scoring.label == "gt":
                named["top5_loc"] = sums["right_top"][:, 1]
        scores.update({key: curve[each, box_t] / images for key, curve in named.items()})
    if scoring.ranked:
        scores["top1_cls"] = sums["top"][:, 0] / images
        scores["top5_cls"] = sums["top"][:, 1] / images
    return scores


def _by_area(dataset: Dataset) -> _Members:
    store, rows = dataset.store, dataset.rows
    pixels = store.heights[rows].astype(np.int64) * store.widths[rows]
    shares = store.areas[rows] / pixels
    smaller = np.searchsorted(np.sort(shares), shares)
    groups = _members(smaller * AREA_GROUPS // len(shares), str)
    return [
        (f"{100 * shares[places].min():.2f}-{100 * shares[places].max():.2f} %", places)
        for _, places in groups
    ]


def _by_boxes(dataset: Dataset) -> _Members:
    counts = np.minimum(dataset.store.box_counts[dataset.rows], MOST_BOXES)
    return _members(counts, lambda count: f"{count}" + (" or more" if count == MOST_BOXES else ""))


def _by_class(dataset: Dataset) -> _Members:
    classes = dataset.store.classes

    def name(index: int) -> str:
        if index < 0:
            return "no class"
        return printable(
            f"{index} {classes[index][1] or classes[index][0]}" if classes else f"{index}"
        )

    return _members(dataset.class_indices, name)


def _members(kinds: NDArray[np.integer], name: Callable[[int], str]) -> _Members:
    return [
        (name(int(kind)), np.flatnonzero(kinds == kind).astype(np.int64))
        for kind in np.unique(kinds)
    ]


KINDS: Mapping[str, Callable[[Dataset], _Members]] = {
    "area": _by_area,
    "boxes": _by_boxes,
    "class": _by_class,
}
"""What images may be grouped by."""
