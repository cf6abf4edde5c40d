"""What is kept of images, what it adds up to, and what the sums score.

A metric is a sum. Each image has statistics, named arrays of its metric families; these give
columns of integers, which add up; scores are formed of the sums, once, at the end (`metrics.family`
says how). The whole split, a group of images and a resample differ in the weights of the sum alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..formats.result import Threshold
from ..metrics.bootstrap import Weights
from ..metrics.family import Cut, Images, Reading, Scored, Statistics, Sums, by_class
from ..metrics.own_thresholds import OwnRule
from ..progress import Progress
from ..protocols import Protocol
from ..scores import SCORES
from .families import FAMILIES, ON_REQUEST, READ_PER_IMAGE, need_maps

__all__ = ["Scoring", "added", "part", "put", "room_for"]

_AT_A_TIME = 1024  # images that are added up at a time: memory stays constant
_SCORED_AT_A_TIME = 256  # resamples


def room_for(kept: Statistics, count: int) -> Statistics:
    """Room for the statistics of so many images, all zeros."""
    return {name: np.zeros((count, *array.shape[1:]), array.dtype) for name, array in kept.items()}


def put(room: Statistics, places: Sequence[int], kept: Statistics) -> None:
    """Write statistics to their places in a room."""
    for name, array in kept.items():
        room[name][places] = array


def part(kept: Statistics, places: slice | NDArray[np.int64]) -> Statistics:
    """The statistics at some places."""
    return {name: array[places] for name, array in kept.items()}


def added(one: Sums, other: Sums) -> Sums:
    """The sums over the images of both; nothing adds nothing."""
    if not one or not other:
        return one or other
    return {name: one[name] + other[name] for name in one}


@dataclass(frozen=True)
class Scoring:
    """What decides which scores there are and what they mean, apart from the images.

    Attributes:
        protocol: what a score means.
        families: names of the metric families that are measured.
        label: "gt" or "predicted": whose class's maps they are.
        ranked: whether there are class predictions, and every class is known.
        boxed: whether boxes are the submission's own, the same at every threshold.
        classes: how many classes the protocol averages over; 0 where it averages over images.
        own: how each map gives its own threshold; None where images share theirs.
    """

    protocol: Protocol
    families: tuple[str, ...]
    label: str
    ranked: bool
    boxed: bool
    classes: int
    own: OwnRule | None = None

    def measure(self, images: Images) -> Statistics:
        """The statistics of some images: those of the families, and `class_index` int32 (n,)."""
        kept: Statistics = {"class_index": images.class_indices}
        for name in self.families:
            kept |= FAMILIES[name].measure(images)
        return kept

    def empty(self) -> Statistics:
        """The statistics of no image, which tell their dtypes and shapes."""
        kept: Statistics = {"class_index": np.empty(0, np.int32)}
        for name in self.families:
            kept |= FAMILIES[name].empty(self.protocol)
        return kept

    def columns(self, kept: Statistics, cut: Cut | None = None) -> Sums:
        """What each of n images adds to each sum: int64 (n, ...) by name; curves may be cut."""
        indices = kept["class_index"]
        columns: Sums = {"images": by_class(np.ones(len(indices)), indices, self.classes)}
        for name in self.families:
            own = FAMILIES[name].columns(kept, self.protocol, self.classes)
            columns |= own if cut is None else cut.of(own, FAMILIES[name].READ_AT)
        if self.own is not None:
            levels = self.own_levels(kept)
            for name in self.families:
                if name in READ_PER_IMAGE:
                    read = READ_PER_IMAGE[name]
                    columns |= read(kept, self.protocol, self.classes, levels)
        return columns

    def own_levels(self, kept: Statistics) -> NDArray[np.int64]:
        """Each image's own threshold, from the levels of its map: int64 (n,); under such a rule."""
        if self.own is None:
            raise ValueError("no rule of each map")
        levels = kept["pixels"].sum(axis=1) if "pixels" in kept else kept["levels"]
        return self.own.thresholds(levels.astype(np.int64))

    def sums(self, kept: Statistics) -> Sums:
        """The sums over n images: int64 (...) by name."""
        total: Sums = {}
        for start in range(0, len(kept["class_index"]), _AT_A_TIME):
            columns = self.columns(part(kept, slice(start, start + _AT_A_TIME)))
            total = added(total, {name: own.sum(axis=0) for name, own in columns.items()})
        return total

    def resampled_sums(
        self,
        kept: Statistics,
        weights: NDArray[np.uint16],
    ) -> Sums:
        """The sums over resamples, exact.

        Args:
            kept: of n images.
            weights: (b, n), how often each image is drawn.

        Returns:
            By name int64 (b, ...).
        """
        total: Sums = {}
        for start in range(0, len(kept["class_index"]), _AT_A_TIME):
            block = slice(start, start + _AT_A_TIME)
            total = added(total, _weighted(weights[:, block], self.columns(part(kept, block))))
        return total

    def group_scores(
        self,
        kept: Statistics,
        weights: NDArray[np.uint16],
        places: NDArray[np.int64],
        pixel: NDArray[np.int64],
        box: NDArray[np.int64],
    ) -> dict[str, NDArray[Any]]:
        """Scores of a group in the resamples that draw an image of it, each at its own thresholds.

        Only sums that some score of a group is read off are formed.

        Args:
            kept: of n images.
            weights: (b, n), how often each image is drawn.
            places: of the group's images.
            pixel: int64 (b,), T of pixel scores.
            box: int64 (b,), T of box scores.

        Returns:
            By key of the scores that groups have (b',), in the order of the resamples.
        """
        rows = np.flatnonzero(weights[:, places].any(axis=1))
        pixel, box = pixel[rows], box[rows]
        cut = Cut(np.unique(pixel), np.unique(box))
        sums: Sums = {}
        for start in range(0, len(places), _AT_A_TIME):
            block = places[start : start + _AT_A_TIME]
            columns = self.columns(part(kept, block), cut)
            sums = added(sums, _weighted(weights[np.ix_(rows, block)], columns))
        found, _ = self.scores(sums, pixel, box, curves=False, cut=cut)
        return {key: values for key, values in found.items() if SCORES[key].grouped}

    def scores(
        self,
        sums: Sums,
        pixel: NDArray[np.int64] | None = None,
        box: NDArray[np.int64] | None = None,
        *,
        curves: bool = True,
        cut: Cut | None = None,
    ) -> Scored:
        """Scores (b,) and curves (b, t) of b sums, each read at its own thresholds.

        Args:
            sums: by name int64 (b, ...).
            pixel: int64 (b,), T of pixel scores; None for the best of each.
            box: int64 (b,), T of box scores; None for the best of each.
            curves: whether these are wanted; scores alone are faster, and the same.
            cut: the thresholds that the sums hold; None for all of them.
        """
        images = sums["images"]
        reading = Reading(self.protocol, self.label, self.ranked, images, pixel, box, curves, cut)
        scores: dict[str, NDArray[Any]] = {}
        read: dict[str, NDArray[Any]] = {}
        for name in self.families:
            found, own = FAMILIES[name].scores(sums, reading)
            scores |= found
            read |= own
        return scores, read

    def scored(
        self, sums: Sums, threshold: Threshold
    ) -> tuple[dict[str, float | int], dict[str, list[float]]]:
        """All scores and curves of one sum, as a result holds them."""
        one = {name: own[None] for name, own in sums.items()}
        scores, curves = self.scores(one, *_levels(threshold, 1))
        # A score that no image has is NaN.
        scores = {key: values for key, values in scores.items() if values[0] == values[0]}
        listed = {key: curve[0].tolist() for key, curve in curves.items()}
        curved = [name for name in self.families if name not in ON_REQUEST]
        if self.protocol.has_curves and need_maps(curved):
            listed["threshold"] = self.protocol.curve_thresholds.tolist()
        return {key: values[0].item() for key, values in scores.items()}, listed

    def resampled(
        self,
        kept: Statistics,
        weights: NDArray[np.uint16],
        threshold: Threshold,
        progress: Progress | None = None,
    ) -> dict[str, NDArray[Any]]:
        """Every score of every resample; under the rule "max" each chooses its own thresholds.

        Args:
            kept: of n images.
            weights: (b, n), how often each image is drawn; rows add up to n.
            threshold: how thresholds are chosen.
            progress: called with (resamples scored, resamples).

        Returns:
            By key of the scores (b,).
        """
        sums = self.resampled_sums(kept, weights)
        parts = []
        for start in range(0, len(weights), _SCORED_AT_A_TIME):
            some = {name: own[start : start + _SCORED_AT_A_TIME] for name, own in sums.items()}
            count = len(some["images"])
            parts.append(self.scores(some, *_levels(threshold, count), curves=False)[0])
            if progress:
                progress(start + count, len(weights))
        return {key: np.concatenate([own[key] for own in parts]) for key in parts[0]}


def _weighted(weights: NDArray[np.uint16], columns: Sums) -> Sums:
    """Sums of columns (n, ...) over each resample: by name int64 (b, ...)."""
    drawn = Weights(weights)
    return {
        name: drawn.sums(own.reshape(len(own), -1)).reshape(len(weights), *own.shape[1:])
        for name, own in columns.items()
    }


def _levels(
    threshold: Threshold, count: int
) -> tuple[NDArray[np.int64] | None, NDArray[np.int64] | None]:
    """T of pixel and box scores for so many sums; None for the best of each."""
    pixel, box = (
        None if level is None else np.full(count, level, np.int64)
        for level in (threshold.pixel, threshold.box)
    )
    return pixel, box
