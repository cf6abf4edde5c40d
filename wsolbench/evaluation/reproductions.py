"""Protocols that reproduce other programs: what one image adds, and what the sums score.

`protocols` names the programs, docs/protocols.md their rules. An image is measured into integers,
as under `sem`; which code that takes is read from the protocol's fields.

Public names: `Shapes`, `Truth`, `shapes`, `measure`, `scores`, `class_sums`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..metrics import contours, pixel, regrids
from ..metrics.kernels import LEVELS, largest_boxes
from ..protocols import (
    BEST_SCALED,
    BEST_TRUNCATED,
    BEST_TRUNCATED_WITHIN,
    BINS,
    BYTES,
    BYTES_LINEAR,
    CUBIC,
    FIRST_TRUNCATED,
    GREYS,
    LINEAR,
    MINMAX_LINEAR,
    MOST_PIXELS,
    OUTLINE_EVERY,
    OUTLINE_LARGEST,
    SIDE,
    Protocol,
)

SHARES = np.arange(0, 1, 0.001)
"""The 1,000 thresholds of wsolevaluation (evaluation.py: cam_curve_interval), as it makes them."""

BIN_EDGES = np.append(SHARES, 1.0)
"""Lower edges of the bins of pixel scores; the last bin holds the values of 1."""

_GRID = (SIDE, SIDE)


@dataclass(frozen=True)
class Shapes:
    """How much a protocol counts.

    Attributes:
        bins: of the pixel histograms.
        rows: of right boxes: one an IoU threshold; with a fixed threshold GT-known and Top-k.
        thresholds: at which there are boxes.
    """

    bins: int
    rows: int
    thresholds: int


@dataclass(frozen=True)
class Truth:
    """What is known of one image.

    Attributes:
        mask: bool (height, width).
        ignore: bool (height, width), or None where every pixel counts.
        boxes: int32 (m, 4), half-open.
    """

    mask: NDArray[np.bool_]
    ignore: NDArray[np.bool_] | None
    boxes: NDArray[np.int32]


def shapes(protocol: Protocol) -> Shapes:
    """How much a protocol counts; `sem` has 256 levels of everything."""
    deltas = len(protocol.box_iou_thresholds)
    if protocol.after is None:
        return Shapes(LEVELS, deltas, LEVELS)
    bins = len(BIN_EDGES) if protocol.levels == BINS else LEVELS
    if protocol.fixed_threshold is not None:
        return Shapes(bins, 2, 1)
    return Shapes(bins, deltas, len(SHARES))


def measure(
    protocol: Protocol, map_: NDArray[Any], truth: Truth, metrics: Sequence[str]
) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """What one image adds.

    Args:
        protocol: one with `after`.
        map_: (h, w), legal as `levels.level_map` wants it.
        truth: of the image.
        metrics: of "pixel" and "box" those that are wanted.

    Returns:
        int32 (2, bins) pixels off the object and on it, (0, bins) where not wanted; bool
        (rows, thresholds), whether the box is right, (0, thresholds) where not wanted.
    """
    shape = shapes(protocol)
    pixels = np.empty((0, shape.bins), dtype=np.int32)
    right = np.empty((0, shape.thresholds), dtype=np.bool_)
    if "pixel" in metrics:
        pixels = _pixels(protocol, map_, truth)
    if "box" in metrics:
        right = _right(protocol, map_, truth)
    return pixels, right


def scores(
    protocol: Protocol,
    sums: dict[str, NDArray[np.int64]],
    images: int,
    label: str,
    ranked: bool,
    metrics: Sequence[str],
) -> tuple[dict[str, float | int], dict[str, list[float]]]:
    """Scores and curves, as a result holds them.

    Args:
        protocol: one with `after`.
        sums: the fields of `tallies.Tally`.
        images: how many there are.
        label: "gt" or "predicted": whose class's maps they are.
        ranked: whether there are class predictions.
        metrics: of "pixel" and "box" those that were measured.
    """
    found: dict[str, float | int] = {}
    curves: dict[str, list[float]] = {}
    if "pixel" in metrics:
        _pixel_scores(protocol, sums["pixels"], found, curves)
    if "box" in metrics and protocol.fixed_threshold is None:
        _searched_scores(protocol, sums["right"] / images, label, found, curves)
    elif "box" in metrics:
        found.update(_fixed_scores(protocol, sums, images, label, ranked))
    return found, curves


def class_sums(
    right: NDArray[np.int64], top: NDArray[np.int64], classes: NDArray[np.int64], count: int
) -> NDArray[np.int64]:
    """What each image adds to its own class.

    Args:
        right: (n, 2), whether the box is right for GT-known and for Top-k.
        top: (n, 2), whether the class is first, and among five; (n, 0) where not known.
        classes: (n,), each below `count`.
        count: how many classes there are.

    Returns:
        int64 (n, 6, count): images, right, right and first, right and among five, first, among
        five.
    """
    ranks = top if top.size else np.zeros((len(right), 2), np.int64)
    one = np.ones((len(right), 1), np.int64)
    values = np.concatenate((one, right[:, :1], right[:, 1:] * ranks, ranks), axis=1)
    added = np.zeros((len(right), 6, count), np.int64)
    added[np.arange(len(right)), :, classes] = values
    return added


# ------------------------------------------------------------------------------------ one image


def _pixels(protocol: Protocol, map_: NDArray[Any], truth: Truth) -> NDArray[np.int32]:
    mask, ignore = truth.mask, truth.ignore
    if protocol.upsampling == BYTES_LINEAR:
        levels = regrids.byte_levels(map_, mask.shape)
        return pixel.count_pixels(levels, mask, ignore).astype(np.int32)
    values = _REGRIDS[protocol.upsampling](map_, _GRID)
    mask = regrids.nearest(mask, _GRID)
    if ignore is not None:
        ignore = regrids.nearest(ignore, _GRID) & ~mask
    return pixel.count_bins(values, BIN_EDGES, mask, ignore).astype(np.int32)


_REGRIDS: dict[str, Callable[..., NDArray[Any]]] = {
    CUBIC: regrids.resized_cubic,
    LINEAR: regrids.resized_linear,
    MINMAX_LINEAR: regrids.scaled_linear,
}


def _right(protocol: Protocol, map_: NDArray[Any], truth: Truth) -> NDArray[np.bool_]:
    """bool (rows, thresholds)."""
    height, width = truth.mask.shape
    overlaps = _overlaps(protocol, map_, _true_boxes(protocol, truth.boxes, height, width))
    if protocol.fixed_threshold is None:
        deltas = protocol.box_iou_thresholds
        signs = [protocol.box_iou_comparator] * len(deltas)
    else:
        deltas = protocol.box_iou_thresholds[:1] * 2
        signs = [protocol.box_iou_comparator]
        signs.append(protocol.top_iou_comparator or protocol.box_iou_comparator)
    pairs = zip(deltas, signs, strict=True)
    return np.stack([_EXCEEDS[sign](overlaps, delta) for delta, sign in pairs])


_EXCEEDS: dict[str, Callable[[Any, float], NDArray[np.bool_]]] = {
    ">=": lambda values, limit: np.asarray(values >= limit),
    ">": lambda values, limit: np.asarray(values > limit),
}


def _overlaps(protocol: Protocol, map_: NDArray[Any], truth: NDArray[Any]) -> NDArray[np.float64]:
    """Highest IoU of the boxes at each threshold with the true ones: float64 (thresholds,)."""
    values = _REGRIDS[protocol.upsampling](map_, _GRID)
    empty = protocol.box_empty or (0, 0, 0, 0)
    if protocol.component == MOST_PIXELS:
        foreground = values > (protocol.fixed_threshold or 0)
        box = largest_boxes(foreground.astype(np.uint8))[1] if foreground.any() else empty
        return np.asarray(contours.plus_one_iou(np.array([box], np.int64), truth).max(axis=1))
    levels = {BYTES: regrids.bytes_of, GREYS: regrids.greys_of}[protocol.levels](values)
    shares = SHARES if protocol.fixed_threshold is None else np.array([protocol.fixed_threshold])
    return contours.best_outline_overlaps(
        levels,
        (shares * int(levels.max())).astype(np.int64),
        truth,
        every={OUTLINE_EVERY: True, OUTLINE_LARGEST: False}[protocol.component],
        clipped=bool(protocol.box_clipped),
        empty=empty,
    )


def _true_boxes(
    protocol: Protocol, boxes: NDArray[np.int32], height: int, width: int
) -> NDArray[Any]:
    """The true boxes on the grid, each in the order of operations of its program."""
    corners = boxes.astype(np.float64) - (0, 0, 1, 1)  # the lists of the programs are inclusive
    sides = np.array([width, height, width, height], dtype=np.float64)
    if protocol.box_truth == BEST_TRUNCATED:
        return (corners * SIDE / sides).astype(np.int64)
    if protocol.box_truth == BEST_TRUNCATED_WITHIN:
        scaled = corners / sides * SIDE
        scaled[:, 2:] = np.minimum(scaled[:, 2:], SIDE - 1)
        return scaled.astype(np.int64)
    scaled = corners * (SIDE / sides)
    return {BEST_SCALED: scaled, FIRST_TRUNCATED: scaled[:1].astype(np.int64)}[protocol.box_truth]


# -------------------------------------------------------------------------------------- all sums


def _pixel_scores(
    protocol: Protocol,
    pixels: NDArray[np.int64],
    found: dict[str, float | int],
    curves: dict[str, list[float]],
) -> None:
    held = protocol.pixel_scores or ()
    binned = protocol.levels == BINS
    curves["threshold"] = _rounded(BIN_EDGES) if binned else list(range(LEVELS))
    if "peak_iou" in held:
        curve = pixel.iou(pixels)
        found["peak_iou"], at = pixel.peak(curve)
        found["peak_threshold_fraction" if binned else "peak_threshold"] = curves["threshold"][at]
        curves["iou"] = curve.tolist()
    if "ap" in held:
        found["ap"] = float(pixel.average_precision(pixels))
        curves["precision"] = pixel.precision(pixels).tolist()
        curves["recall"] = pixel.recall(pixels).tolist()


def _searched_scores(
    protocol: Protocol,
    right: NDArray[np.float64],
    label: str,
    found: dict[str, float | int],
    curves: dict[str, list[float]],
) -> None:
    """The highest share of right boxes over the thresholds, and where the first one is reached."""
    highest = right.max(axis=1)
    curves["threshold"] = _rounded(SHARES)
    names = ["gt_known_loc" if label == "gt" else "predicted_loc"]
    found["max_box_acc"] = float(highest[0])
    found["box_threshold_fraction"] = curves["threshold"][int(right[0].argmax())]
    for row, delta in enumerate(protocol.box_iou_thresholds[1:], start=1):
        found[f"max_box_acc_{round(100 * delta)}"] = float(highest[row])
        names.append(f"box_acc_{round(100 * delta)}")
    if len(highest) > 1:
        found["max_box_acc_v2"] = float(highest.mean())
    curves.update({name: curve.tolist() for name, curve in zip(names, right, strict=True)})


def _fixed_scores(
    protocol: Protocol, sums: dict[str, NDArray[np.int64]], images: int, label: str, ranked: bool
) -> dict[str, float | int]:
    if protocol.averaging == "classes":
        counts = sums["by_class"]
        seen = counts[0] > 0  # a class without images has no accuracy
        shares = (counts[1:, seen] / counts[0, seen]).mean(axis=1)
    else:
        right, top = sums["right"][:1, 0], sums["right_top"][:, 0]
        shares = np.concatenate((right, top, sums["top"])) / images
    names = ("gt_known_loc", "top1_loc", "top5_loc", "top1_cls", "top5_cls")
    found = dict(zip(names, shares.tolist(), strict=True))
    if not ranked:
        found = {"gt_known_loc": found["gt_known_loc"]}
    if label != "gt":  # a map of the predicted class cannot score what is defined on the true one
        found["predicted_loc"] = found.pop("gt_known_loc")
        found.pop("top5_loc", None)
    return found


def _rounded(shares: NDArray[np.float64]) -> list[float]:
    """The shares as they are written: .003, not .003000...0001."""
    return [round(float(share), 3) for share in shares]
