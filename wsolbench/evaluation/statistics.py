"""What images add to the sums of a split, and what the sums score.

A metric is a sum. Each image adds integers to a `Tally`; tallies add up; scores are formed once, at
the end. Two scores are means of per-image fractions (the image-mean IoU and AP): those fractions
are added as whole multiples of 2**-40, so that the sum depends neither on the order of the images
nor on how many threads or processes made it. The mean is off by less than 2**-40.

Source: paper sections 3.1 and 4.1.2, read as `protocols.PROTOCOLS["sem"]` states. What the other
protocols score is in `reproductions`.

Public names: `Tally`, `Records`, `Scoring`, `NO_RECORDS`, `UNIT`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..formats.result import Threshold
from ..metrics import pixel as pixel_metrics
from ..metrics.bootstrap import weighted_sums
from ..metrics.levels import LEVELS
from ..progress import Progress
from ..protocols import Protocol
from . import reproductions

UNIT = 1 << 40
"""Per-image fractions are added as multiples of 1 / UNIT."""

_AT_A_TIME = 1024  # images that are added up at a time: memory stays constant
_LARGEST = {"pixels": 1 << 28, "iou": UNIT, "ap": UNIT}  # what an image adds at most, else 1


@dataclass(frozen=True)
class Tally:
    """Sums over images; all int64. Add two to get the sums over both.

    Attributes:
        pixels: (2, 256) histograms of levels off the object and on it.
        iou: (256,) the images' IoU at each T, in units of 2**-40.
        ap: (1,) the images' AP, in units of 2**-40.
        right: (d, 256) images whose box is right at each of the protocol's d IoU thresholds and T.
        right_top: (2, 256) of those right at the first: whose class is first, or among five.
        top: (2,) images whose class is first, or among five.
        counts: (2,) images with a constant map; with a full-frame mask.
        by_class: (6, c) where a protocol averages over c classes: see `reproductions.class_sums`.

    The numbers of levels and thresholds are those of `sem`; `reproductions.shapes` tells others.
    """

    pixels: NDArray[np.int64]
    iou: NDArray[np.int64]
    ap: NDArray[np.int64]
    right: NDArray[np.int64]
    right_top: NDArray[np.int64]
    top: NDArray[np.int64]
    counts: NDArray[np.int64]
    by_class: NDArray[np.int64]

    @classmethod
    def empty(cls, protocol: Protocol, classes: int) -> Tally:
        """The sums over no image, where there are so many classes to average over."""
        shape = reproductions.shapes(protocol)
        bins, times = shape.bins, shape.thresholds
        shapes = ((2, bins), (bins,), (1,), (shape.rows, times), (2, times), (2,), (2,))
        return cls(*(np.zeros(shape, dtype=np.int64) for shape in (*shapes, (6, classes))))

    def __add__(self, other: Tally) -> Tally:
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        return Tally(*(ours + theirs for ours, theirs in pairs))


@dataclass(frozen=True)
class Records:
    """What n images are kept as: all that their scores follow from, 4.9 kB each under `sem`.

    Attributes:
        pixels: int32 (n, 2, bins) histograms of levels; (n, 0, bins) without pixel scores.
        right: bool (n, rows, thresholds), whether the box is right; (n, 0, thresholds) without box
            scores.
        top: bool (n, 2), whether the class is first, and among five; (n, 0) without classes.
        boxes: int16 (n, 256, 4), (n, 1, 4) for submitted boxes: what `sem` found right or wrong;
            (n, 0, 4) without box scores and under other protocols.
    """

    pixels: NDArray[np.int32]
    right: NDArray[np.bool_]
    top: NDArray[np.bool_]
    boxes: NDArray[np.int16]

    def like(self, count: int) -> Records:
        """Room for as many images."""
        rooms = ((count, *kept.shape[1:]) for kept in vars(self).values())
        kinds = (kept.dtype for kept in vars(self).values())
        return Records(*(np.zeros(room, kind) for room, kind in zip(rooms, kinds, strict=True)))

    def put(self, places: Sequence[int], others: Records) -> None:
        """Keep others at these places."""
        for kept, more in zip(vars(self).values(), vars(others).values(), strict=True):
            kept[places] = more

    def part(self, places: slice | NDArray[np.int64]) -> Records:
        """Those at these places."""
        return Records(*(kept[places] for kept in vars(self).values()))

    def __len__(self) -> int:
        return len(self.pixels)


NO_RECORDS = Records(
    np.empty((0, 0, LEVELS), np.int32),
    np.empty((0, 0, LEVELS), np.bool_),
    np.empty((0, 0), np.bool_),
    np.empty((0, 0, 4), np.int16),
)
"""Of no image."""


@dataclass(frozen=True)
class Scoring:
    """What decides which scores there are and what they mean, beside the images.

    Attributes:
        protocol: what a score means.
        metrics: of "pixel" and "box" those that were measured.
        label: "gt" or "predicted": whose class's maps they are.
        ranked: whether there are class predictions, and every class is known.
        boxed: whether boxes are the submission's own, the same at every threshold.
        classes: how many classes the protocol averages over; 0 where it averages over images.
    """

    protocol: Protocol
    metrics: tuple[str, ...]
    label: str
    ranked: bool
    boxed: bool
    classes: int

    def columns(
        self, records: Records, class_indices: NDArray[np.int32]
    ) -> dict[str, NDArray[np.int64]]:
        """What each image adds to each field of a `Tally` but the counts.

        Args:
            records: of n images.
            class_indices: int32 (n,), read where the protocol averages over classes.

        Returns:
            By field int64 (n, ...).
        """
        count = len(records)
        none = vars(Tally.empty(self.protocol, self.classes))
        columns = {name: np.zeros((count, *part.shape), np.int64) for name, part in none.items()}
        if "pixel" in self.metrics:
            pixels = records.pixels.astype(np.int64)
            columns["pixels"] = pixels
            if "image_mean" in self.protocol.pixel_reductions:
                columns["iou"] = _units(pixel_metrics.iou(pixels))
                columns["ap"] = _units(pixel_metrics.average_precision(pixels))[:, None]
        if records.top.size:
            columns["top"] = records.top.astype(np.int64)
        if "box" in self.metrics:
            columns["right"][...] = records.right
            if records.top.size:
                # Programs with two rows go by the second one for Top-k.
                row = -1 if self.protocol.after is not None else 0
                columns["right_top"][...] = records.right[:, [row]] & records.top[:, :, None]
            if self.classes:
                columns["by_class"] = reproductions.class_sums(
                    columns["right"][..., 0],
                    columns["top"] if records.top.size else columns["top"][:, :0],
                    class_indices.astype(np.int64),
                    self.classes,
                )
        return columns

    def tally(self, records: Records, class_indices: NDArray[np.int32]) -> Tally:
        """The sums over images, but for the counts."""
        total = Tally.empty(self.protocol, self.classes)
        for start in range(0, len(records), _AT_A_TIME):
            places = slice(start, start + _AT_A_TIME)
            columns = self.columns(records.part(places), class_indices[places])
            total += Tally(**{name: column.sum(axis=0) for name, column in columns.items()})
        return total

    def resampled_sums(
        self,
        records: Records,
        class_indices: NDArray[np.int32],
        weights: NDArray[np.uint16],
        places: NDArray[np.int64] | None = None,
    ) -> dict[str, NDArray[np.int64]]:
        """The fields of the tallies of resamples, exact.

        Args:
            records: of n images.
            class_indices: int32 (n,).
            weights: (b, n), how often each image is drawn.
            places: of the images to add up; None for all of them.

        Returns:
            By field int64 (b, ...).
        """
        sums = {
            name: np.zeros((len(weights), *part.shape), np.int64)
            for name, part in vars(Tally.empty(self.protocol, self.classes)).items()
        }
        chosen = np.arange(len(records)) if places is None else places
        for start in range(0, len(chosen), _AT_A_TIME):
            block = chosen[start : start + _AT_A_TIME]
            columns = self.columns(records.part(block), class_indices[block])
            drawn = weights[:, block]
            for name, column in columns.items():
                flat = column.reshape(len(column), -1)
                more = weighted_sums(drawn, flat, _LARGEST.get(name, 1))
                sums[name] += more.reshape(sums[name].shape)
        return sums

    def resampled(
        self,
        records: Records,
        class_indices: NDArray[np.int32],
        weights: NDArray[np.uint16],
        threshold: Threshold,
        progress: Progress | None = None,
    ) -> dict[str, NDArray[np.float64]]:
        """Every score of every resample; under the rule "max" each chooses its own thresholds.

        Args:
            records: of n images.
            class_indices: int32 (n,).
            weights: (b, n), how often each image is drawn; rows add up to n.
            threshold: how thresholds are chosen.
            progress: called with (resamples scored, resamples).

        Returns:
            By key of the scores float64 (b,).
        """
        sums = self.resampled_sums(records, class_indices, weights)
        scored: dict[str, list[float]] = {}
        for place in range(len(weights)):
            tally = Tally(**{name: total[place] for name, total in sums.items()})
            for key, score in self.scores(tally, len(records), threshold)[0].items():
                scored.setdefault(key, []).append(score)
            if progress:
                progress(place + 1, len(weights))
        return {key: np.array(values) for key, values in scored.items()}

    def scores(
        self, tally: Tally, images: int, threshold: Threshold
    ) -> tuple[dict[str, float | int], dict[str, list[float]]]:
        """All scores and curves of the sums over so many images, as a result holds them."""
        if self.protocol.after is not None:
            return reproductions.scores(
                self.protocol, vars(tally), images, self.label, self.ranked, self.metrics
            )
        scores: dict[str, float | int] = {}
        curves: dict[str, list[float]] = {"threshold": list(range(LEVELS))}
        if "pixel" in self.metrics:
            _pixel_scores(tally, images, threshold, scores, curves)
        if self.ranked:
            scores["top1_cls"] = float(tally.top[0] / images)
            scores["top5_cls"] = float(tally.top[1] / images)
        if "box" in self.metrics:
            self._box_scores(tally, images, threshold, scores, curves)
        return scores, curves

    def _box_scores(
        self,
        tally: Tally,
        images: int,
        threshold: Threshold,
        scores: dict[str, float | int],
        curves: dict[str, list[float]],
    ) -> None:
        right = tally.right / images
        at = int(right[0].argmax()) if threshold.box is None else threshold.box
        named = {"gt_known_loc" if self.label == "gt" else "predicted_loc": right[0]}
        if self.ranked:
            named["top1_loc"] = tally.right_top[0] / images
            if self.label == "gt":
                named["top5_loc"] = tally.right_top[1] / images
        scores.update({key: float(curve[at]) for key, curve in named.items()})
        highest = right.max(axis=1)
        scores["max_box_acc"] = float(highest[0])
        scores["max_box_acc_v2"] = float(highest.mean())
        for row, delta in enumerate(self.protocol.box_iou_thresholds[1:], start=1):
            scores[f"max_box_acc_{round(100 * delta)}"] = float(highest[row])
            named[f"box_acc_{round(100 * delta)}"] = right[row]
        if not self.boxed:  # a submitted box is the same at every threshold
            scores["box_threshold"] = at
            curves.update({key: curve.tolist() for key, curve in named.items()})


def _pixel_scores(
    tally: Tally,
    images: int,
    threshold: Threshold,
    scores: dict[str, float | int],
    curves: dict[str, list[float]],
) -> None:
    pooled = pixel_metrics.iou(tally.pixels)
    mean = tally.iou / (UNIT * images)
    for suffix, curve in (("", pooled), ("_image_mean", mean)):
        scores[f"peak_iou{suffix}"], scores[f"peak_threshold{suffix}"] = pixel_metrics.peak(curve)
        curves[f"iou{suffix}"] = curve.tolist()
        if threshold.pixel is not None:
            scores[f"iou_at_threshold{suffix}"] = float(curve[threshold.pixel])
    scores["ap"] = float(pixel_metrics.average_precision(tally.pixels))
    scores["ap_image_mean"] = float(tally.ap[0] / (UNIT * images))
    curves["precision"] = pixel_metrics.precision(tally.pixels).tolist()
    curves["recall"] = pixel_metrics.recall(tally.pixels).tolist()


def _units(fractions: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.rint(np.asarray(fractions) * UNIT).astype(np.int64)
