"""The metric families, by name (see `metrics.family`).

Adding one is adding its module here and its records to `scores.SCORES`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ..metrics import boundary, boxes, classes, explain, map_levels, pixel, shape
from ..metrics.family import Family, Sums
from ..protocols import Protocol

__all__ = [
    "ALWAYS",
    "EDGES",
    "FAMILIES",
    "LEVELS_ALONE",
    "ON_REQUEST",
    "READ_PER_IMAGE",
    "fitting",
    "keep_levels",
    "need_maps",
]

FAMILIES: dict[str, Family] = {
    "pixel": pixel,
    "box": boxes,
    "boundary": boundary,
    "shape": shape,
    "explain": explain,
    "levels": map_levels,
    "class": classes,
}
"""By name, in the order of tables."""

ALWAYS = "class"
"""The family that is never requested: it is scored whenever there are class predictions."""

EDGES = "boundary"
"""The family that scores a submission's edges."""

ON_REQUEST = ("shape", "explain", "levels")
"""The families that are scored only if they are requested: other results stay as they are.

None of them has curves."""

READ_PER_IMAGE: Mapping[str, Callable[..., Sums]] = {
    "pixel": pixel.columns_at,
    "shape": pixel.columns_at,
    "box": boxes.columns_at,
}
"""What families add where each image is read at its own threshold."""

LEVELS_ALONE = "levels"
"""The family without scores that keeps the levels of maps where no other one does."""


def keep_levels(families: Sequence[str], protocol: Protocol) -> bool:
    """Whether some of the families keep the levels that each map's own threshold is read off."""
    return any({"pixels", "levels"} & FAMILIES[name].empty(protocol).keys() for name in families)


def need_maps(families: Sequence[str]) -> bool:
    """Whether some of the families are scored on localization maps."""
    return any(name not in (ALWAYS, EDGES) for name in families)


def fitting(protocol: Protocol) -> list[str]:
    """The families that can be requested under a protocol."""
    return [name for name, family in FAMILIES.items() if name != ALWAYS and family.fits(protocol)]
