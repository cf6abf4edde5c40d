"""Scores of single images as columns."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..data.dataset import Dataset
from ..formats.result import Result, levels_read
from ..metrics import explain
from ..metrics import pixel as pixel_metrics
from ..metrics.boundary import THRESHOLDS, nearest_place
from ..metrics.family import Statistics
from ..protocols.block import best_overlaps
from .statistics import Scoring, part

__all__ = ["image_table"]

_AT_A_TIME = 1024  # images
_BOUNDARY = ("matched", "predicted", "true")


def image_table(
    dataset: Dataset, scoring: Scoring, kept: Statistics, result: Result
) -> dict[str, list[Any]]:
    """Per-image scores as columns, in the data set's order.

    `image_id`, `class_index`, `area` (of the mask, pixels; None without one); `best_iou` and
    `best_threshold` of the image's own curve, `threshold` (the shared one, or the map's own) and
    `iou` there, `ap`; `x0, y0, x1, y1` (the box at `box_threshold`, or at the map's own), its
    `box_iou`, and `box_right`: whether that is enough; `top1` and `top5`: whether the class is
    among them; `boundary_pixels` (true ones), `boundary_best_f` and `boundary_best_threshold` of
    the image alone, `boundary_f`: F at the threshold of ODS, rounded to .01; each explanation score
    by its key, None where the image has none. An image without map scores as zeros do.

    Args:
        dataset: of n images.
        scoring: which scores there are; of a protocol whose thresholds can be carried.
        kept: of the n images.
        result: tells the shared thresholds.
    """
    columns: dict[str, list[Any]] = {
        "image_id": list(dataset.image_ids),
        "class_index": dataset.class_indices.tolist(),
        "area": [
            area if masked else None
            for area, masked in zip(
                dataset.store.areas[dataset.rows].tolist(),
                dataset.store.masked[dataset.rows],
                strict=True,
            )
        ],
    }
    for start in range(0, len(dataset), _AT_A_TIME):
        places = slice(start, start + _AT_A_TIME)
        for name, values in _columns(dataset, places, scoring, part(kept, places), result).items():
            columns.setdefault(name, []).extend(values)
    return columns


def _columns(
    dataset: Dataset, places: slice, scoring: Scoring, kept: Statistics, result: Result
) -> dict[str, list[Any]]:
    protocol, found = scoring.protocol, {}
    levels = levels_read(result.threshold, result.scores)
    own = None if scoring.own is None else scoring.own_levels(kept)
    if "pixel" in scoring.families:
        counts = kept["pixels"].astype(np.int64)
        at = own if own is not None else np.full(len(counts), levels["pixel"])
        curves = pixel_metrics.iou(counts, protocol.comparator)
        found["best_iou"] = curves.max(axis=1).tolist()
        found["best_threshold"] = curves.argmax(axis=1).tolist()
        found["threshold"] = at.tolist()
        found["iou"] = curves[np.arange(len(curves)), at].tolist()
        found["ap"] = pixel_metrics.average_precision(counts, protocol.comparator).tolist()
    if "boxes" in kept and kept["boxes"].size:
        count = len(kept["boxes"])
        at = own if own is not None else np.full(count, levels.get("box", 0))
        at = np.zeros(count, np.int64) if scoring.boxed else at
        rows = np.arange(count)
        boxes = kept["boxes"][rows, at][:, None].astype(np.int32)
        truth = dataset.store.packed("boxes", dataset.rows[places])
        for name, corner in zip(("x0", "y0", "x1", "y1"), boxes[:, 0].T, strict=True):
            found[name] = corner.tolist()
        found["box_iou"] = best_overlaps(protocol, boxes, truth)[:, 0].tolist()
        found["box_right"] = kept["correct"][rows, 0, at].tolist()
    if "boundary_true" in kept:
        matched, predicted, true = (kept[f"boundary_{own}"] for own in _BOUNDARY)
        values = 2 * matched / np.maximum(predicted.astype(np.int64) + true[:, None], 1)
        shared = nearest_place(float(result.scores["boundary_threshold"]))
        found["boundary_pixels"] = true.tolist()
        found["boundary_best_f"] = values.max(axis=1).tolist()
        found["boundary_best_threshold"] = THRESHOLDS[values.argmax(axis=1)].tolist()
        found["boundary_f"] = values[:, shared].tolist()
    if "explain" in scoring.families:
        found |= explain.image_columns(kept["pixels"])
    if scoring.ranked and "top" in kept:
        for name, met in zip(("top1", "top5"), kept["top"].T, strict=True):
            found[name] = met.tolist()
    return found
