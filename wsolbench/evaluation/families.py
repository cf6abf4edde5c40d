"""The metric families, by name (see `metrics.family`).

Adding one is adding its module here and its records to `scores.SCORES`.
"""

from __future__ import annotations

from ..metrics import boxes, classes, pixel
from ..metrics.family import Family
from ..protocols import Protocol

__all__ = ["ALWAYS", "FAMILIES", "fitting"]

FAMILIES: dict[str, Family] = {"pixel": pixel, "box": boxes, "class": classes}
"""By name, in the order of tables."""

ALWAYS = "class"
"""The family that is never requested: it is scored whenever there are class predictions."""


def fitting(protocol: Protocol) -> list[str]:
    """The families that can be requested under a protocol."""
    return [name for name, family in FAMILIES.items() if name != ALWAYS and family.fits(protocol)]
