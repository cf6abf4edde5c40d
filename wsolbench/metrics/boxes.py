"""Boxes inferred from a map, and how well they meet the true ones.

Source: paper sections 1 and 4.1.2 (a box around the largest connected area; correct when its IoU
with at least one true box is 0.5 or more). Where the paper is silent: 8-connected components,
largest by pixels, IoU counting pixels. Boxes are int32 (x0, y0, x1, y1), half-open; zeros mean no
box.

The second part is the metric family (see `family`).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..scores import MAX_BOX_ACC_KEYS, SCORES, localization_key
from .choices import BoxScore
from .curves import box_keys, read_boxes
from .family import Images, Reading, Scored, Statistics, Sums, by_class
from .kernels import largest_boxes

__all__ = [
    "NEEDS_BOXES",
    "NEEDS_MASKS",
    "READ_AT",
    "best_iou",
    "columns",
    "columns_at",
    "empty",
    "fits",
    "largest_boxes",
    "measure",
    "scores",
]


def best_iou(boxes: NDArray[np.integer[Any]], truth: NDArray[Any]) -> NDArray[np.float64]:
    """Highest IoU of each box with any of the true ones, counting pixels.

    Args:
        boxes: integers (..., 4).
        truth: integers or floats (n, 4), n at least 1.

    Returns:
        float64 (...), in [0, 1]; 0 for a box without area.
    """
    ours = boxes[..., None, :].astype(np.int64)
    theirs = truth.astype(np.int64) if truth.dtype.kind in "iu" else truth
    low = np.maximum(ours[..., :2], theirs[..., :2])
    high = np.minimum(ours[..., 2:], theirs[..., 2:])
    shared = np.maximum(high - low, 0).prod(axis=-1)
    total = _area(ours) + _area(theirs) - shared
    return np.asarray((shared / np.where(total > 0, total, 1)).max(axis=-1))


def _area(boxes: NDArray[Any]) -> NDArray[Any]:
    return np.asarray((boxes[..., 2:] - boxes[..., :2]).prod(axis=-1))


# ------------------------------------------------------------------------------------ the family

READ_AT: Mapping[str, str] = MappingProxyType({"correct": "box", "correct_top": "box"})
NEEDS_BOXES = True
NEEDS_MASKS = False


def fits(rules: Any) -> bool:
    """Whether the protocol has box scores."""
    return bool(rules.box_scores)


def empty(rules: Any) -> Statistics:
    """`correct`: bool (0, rows, t); `boxes`: int16 (0, t, 4)."""
    times = rules.box_thresholds
    return {
        "correct": np.empty((0, len(_limits(rules)), times), np.bool_),
        "boxes": np.empty((0, times if rules.keeps_boxes else 0, 4), np.int16),
    }


def measure(images: Images) -> Statistics:
    """Whether boxes are correct at each threshold, and the boxes where there is a single one.

    Returns:
        `correct`: bool (n, rows, t), a row for each IoU that the protocol asks for, and one more
        for Top-1 and Top-5 localization where it compares otherwise for these. `boxes`: int16
        (n, t, 4), or (n, 0, 4). t is 1 for boxes that a submission brings itself.
    """
    overlaps = images.overlaps  # computed whenever it is asked for
    rows = [comparator(overlaps, delta) for comparator, delta in _limits(images.rules)]
    kept = images.boxes if images.rules.keeps_boxes else images.boxes[:, :0]
    return {"correct": np.stack(rows, axis=1), "boxes": kept.astype(np.int16)}


def columns(kept: Statistics, rules: Any, classes: int) -> Sums:
    """`correct` (n, rows, t), and `correct_top` (n, 2, t): the class first or among five too."""
    indices, correct = kept["class_index"], kept["correct"]
    found = {"correct": by_class(correct, indices, classes)}
    if "top" in kept:
        row = -1 if rules.top_iou_comparator is not None else 0
        both = correct[:, [row]] & kept["top"][:, :, None]
        found["correct_top"] = by_class(both, indices, classes)
    return found


def columns_at(kept: Statistics, rules: Any, classes: int, levels: NDArray[np.int64]) -> Sums:
    """What each image adds at its own threshold.

    Args:
        kept: of n images.
        rules: the protocol.
        classes: see `columns`.
        levels: int64 (n,), the threshold of each image.

    Returns:
        `own_correct` (n, rows) and `own_correct_top` (n, 2), as `columns` has them at every
        threshold; nothing for boxes that a submission brings, which have none.
    """
    correct = kept["correct"]
    if correct.shape[-1] == 1:
        return {}
    read = np.take_along_axis(correct, levels[:, None, None], axis=2)
    found = columns({**kept, "correct": read}, rules, classes)
    return {f"own_{name}": own[..., 0] for name, own in found.items()}


def scores(sums: Sums, reading: Reading) -> Scored:
    """GT-known, Top-1 and Top-5 localization, MaxBoxAcc, and the threshold of the first three."""
    rules, main = reading.rules, localization_key(reading.label)
    deltas = rules.box_iou_thresholds
    correct = reading.share(sums["correct"])[:, : len(deltas)]
    curves: dict[str, NDArray[Any]] = {main: correct[:, 0]}
    if BoxScore.AT_THRESHOLD in rules.box_scores and reading.ranked:
        top = reading.share(sums["correct_top"])
        curves["top1_loc"] = top[:, 0]
        # Of maps of the predicted class, those of the other four are not known.
        if reading.label == "gt":
            curves["top5_loc"] = top[:, 1]
    if BoxScore.MAXIMUM in rules.box_scores:
        for row, delta in enumerate(deltas[1:], start=1):
            curves[SCORES[MAX_BOX_ACC_KEYS[delta]].curve] = correct[:, row]
    searched = correct.shape[2] > 1
    thresholds, at = rules.curve_thresholds, reading.box if searched else None
    if reading.cut is not None and at is not None:
        thresholds, at = thresholds[reading.cut.box], np.searchsorted(reading.cut.box, at)
    found = read_boxes(curves, thresholds, at, reading.label)
    kept = box_keys(rules, reading.label, searched=searched, ranked=reading.ranked)
    if "own_correct" in sums:
        found |= _at_own(sums, reading, main)
        kept -= {"box_threshold"}
    return {key: found[key] for key in found if key in kept}, curves if searched else {}


def _at_own(sums: Sums, reading: Reading, main: str) -> dict[str, NDArray[Any]]:
    """The localization scores where each image is read at its own threshold."""
    found = {main: reading.share(sums["own_correct"])[:, 0]}
    if "own_correct_top" in sums:
        top = reading.share(sums["own_correct_top"])
        found |= {"top1_loc": top[:, 0], "top5_loc": top[:, 1]}
    return found


def _limits(rules: Any) -> list[tuple[Any, float]]:
    """The comparisons of a predicted box, a row each."""
    rows = [(rules.box_iou_comparator, delta) for delta in rules.box_iou_thresholds]
    if rules.top_iou_comparator is not None:
        rows.append((rules.top_iou_comparator, rules.box_iou_thresholds[0]))
    return rows
