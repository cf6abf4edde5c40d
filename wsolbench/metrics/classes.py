"""Class predictions: whether the true class is the first, or among the first five.

A metric family (see `family`). It is scored whenever a submission has `top5` and every image a
class.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from .choices import BoxScore
from .family import Images, Reading, Scored, Statistics, Sums, by_class

__all__ = ["NEEDS_BOXES", "NEEDS_MASKS", "READ_AT", "columns", "empty", "fits", "measure", "scores"]

READ_AT: Mapping[str, str] = MappingProxyType({})
NEEDS_BOXES = False
NEEDS_MASKS = False


def fits(rules: Any) -> bool:
    """Whether the protocol reads scores at a threshold; those that do have class accuracy too."""
    return BoxScore.AT_THRESHOLD in rules.box_scores


def empty(rules: Any) -> Statistics:
    """`top`: bool (0, 2)."""
    return {"top": np.empty((0, 2), np.bool_)}


def measure(images: Images) -> Statistics:
    """`top`: bool (n, 2), whether the class is first, and among five."""
    if images.top5 is None:
        raise ValueError("class predictions are measured where there are some")
    classes = images.class_indices[:, None]
    met = (np.asarray(images.top5) == classes) & (classes >= 0)
    return {"top": np.stack((met[:, 0], met.any(axis=1)), axis=1)}


def columns(kept: Statistics, rules: Any, classes: int) -> Sums:
    """`top` (n, 2)."""
    return {"top": by_class(kept["top"], kept["class_index"], classes)}


def scores(sums: Sums, reading: Reading) -> Scored:
    """Top-1 and Top-5 classification accuracy."""
    if not reading.ranked:
        return {}, {}
    shares = reading.share(sums["top"])
    return {"top1_cls": shares[:, 0], "top5_cls": shares[:, 1]}, {}
