"""Shape and calibration: how good each image's best foreground is, and what one threshold costs.

The image-mean IoU at one threshold for all images is

    shape + calibration,

shape being the mean of each image's highest IoU over its own thresholds, and calibration, never
above 0 for a threshold that all images share, what sharing it costs. A method whose maps have the
right form at levels that differ from image to image has a high shape and a low calibration.

All images count here, also those whose mask is empty, as in the image-mean IoU itself. Fractions
are added as whole multiples of 2**-40 (see `family`), so the sum is the image-mean IoU to 1e-12.

This is a metric family, which is scored on request alone; `evaluation.split` forms the same two of
any counts for comparisons.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from .choices import Reduction
from .family import Reading, Scored, Statistics, Sums, units
from .pixel import empty, iou, measure

__all__ = [
    "NEEDS_BOXES",
    "NEEDS_MASKS",
    "READ_AT",
    "columns",
    "empty",
    "fits",
    "measure",
    "scores",
]

READ_AT: Mapping[str, str] = MappingProxyType({"iou": "pixel"})
NEEDS_BOXES = False
NEEDS_MASKS = True


def fits(rules: Any) -> bool:
    """Whether the protocol has the mean over images of an IoU at levels."""
    return bool(rules.pixel_scores) and Reduction.IMAGE_MEAN in rules.pixel_reductions


def columns(kept: Statistics, rules: Any, classes: int) -> Sums:
    """`iou` (n, bins), as the pixel scores add it, and `iou_best` (n,), both in units."""
    curve = units(iou(kept["pixels"].astype(np.int64), rules.comparator))
    return {"iou": curve, "iou_best": curve.max(axis=1)}


def scores(sums: Sums, reading: Reading) -> Scored:
    """Shape, and calibration at the threshold that was given or is best for the image mean.

    Where each image has its own threshold, calibration is what choosing it without the mask costs.
    """
    shape = reading.mean(sums["iou_best"])
    means = reading.mean(sums["iou"])
    if "own_iou" in sums:
        read = reading.mean(sums["own_iou"])
    elif reading.cut is not None and reading.pixel is not None:
        places = np.searchsorted(reading.cut.pixel, reading.pixel)
        read = means[np.arange(len(means)), places]
    elif reading.pixel is None:
        read = means.max(axis=1)
    else:
        read = means[np.arange(len(means)), reading.pixel]
    return {"iou_shape": shape, "iou_calibration": read - shape}, {}
