"""The metric families, by name (see `metrics.family`).

Adding one is adding its module here and its records to `scores.SCORES`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ..metrics import boundary, boxes, classes, explain, pixel, shape
from ..metrics.family import Family, Sums
from ..protocols import Protocol

__all__ = ["ALWAYS", "EDGES", "FAMILIES", "ON_REQUEST", "READ_PER_IMAGE", "fitting", "need_maps"]

FAMILIES: dict[str, Family] = {
    "pixel": pixel,
    "box": boxes,
    "boundary": boundary,
    "shape": shape,
    "explain": explain,
    "class": classes,
}
"""By name, in the order of tables."""

ALWAYS = "class"
"""The family that is never requested: it is scored whenever there are class predictions."""

EDGES = "boundary"
"""The family that scores a submission's edges."""

ON_REQUEST = ("shape", "explain")
"""The families that are scored only if they are requested: other results stay as they are.

None of them has curves."""

READ_PER_IMAGE: Mapping[str, Callable[..., Sums]] = {
    "pixel": pixel.columns_at,
    "shape": pixel.columns_at,
    "box": boxes.columns_at,
}
"""What families add where each image is read at its own threshold."""


def need_maps(families: Sequence[str]) -> bool:
    """Whether some of the families are scored on localization maps."""
    return any(name not in (ALWAYS, EDGES) for name in families)


def fitting(protocol: Protocol) -> list[str]:
    """The families that can be requested under a protocol."""
    return [name for name, family in FAMILIES.items() if name != ALWAYS and family.fits(protocol)]
