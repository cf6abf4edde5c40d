"""The levels of a map alone: what its own threshold is read off where images have no mask.

A metric family without any score. It is measured beside box scores if each image is read at its
map's own threshold (`own_thresholds`) and no other family counts the levels, as pixel scores do.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from .family import Images, Reading, Scored, Statistics, Sums

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

READ_AT: Mapping[str, str] = MappingProxyType({})
NEEDS_BOXES = False
NEEDS_MASKS = False


def fits(rules: Any) -> bool:
    """Whether images can be read at thresholds of their own under the protocol."""
    return bool(rules.carries_thresholds)


def empty(rules: Any) -> Statistics:
    """`levels`: int32 (0, bins)."""
    return {"levels": np.empty((0, rules.bins), np.int32)}


def measure(images: Images) -> Statistics:
    """`levels`: int32 (n, bins), pixels of each level that are not ignored."""
    return {"levels": images.histograms.sum(axis=1, dtype=np.int32)}


def columns(kept: Statistics, rules: Any, classes: int) -> Sums:
    """Nothing: no score is formed of them."""
    return {}


def scores(sums: Sums, reading: Reading) -> Scored:
    """None."""
    return {}, {}
