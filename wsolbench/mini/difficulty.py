"""How much of a scene tells its class besides the badge: the settings of the scenes.

`DEMO` is the scenes of `wsolbench demo`. `STUDY` is for comparing trained methods: there, the
ground indicates the class too, as water indicates a boat, so that a network may look at it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple, dataclass, fields

from ..errors import WsolbenchError, require_type

__all__ = ["CLASS_GROUNDS", "DEMO", "STUDY", "Difficulty"]

CLASS_GROUNDS: Mapping[str, str] = {
    "star": "water",
    "ring": "planks",
    "cross": "meadow",
    "stripes": "sand",
    "crescent": "hills",
    "heart": "foliage",
    "spiral": "cobbles",
    "dots": "meadow",
}
"""Class -> its ground, a key of `grounds.GROUNDS`; cross and dots share one."""


@dataclass(frozen=True)
class Difficulty:
    """Three probabilities, each from 0 to 1.

    Attributes:
        ground_share: that a scene has the ground of its class (`CLASS_GROUNDS`) in any case; the
            ground of other scenes is any of the seven, with equal probability.
        hue_share: that a toy has roughly the hue of its class; other toys have any hue.
        loose_share: that loose badges of other classes lie on the ground of a scene.

    Raises:
        WsolbenchError: a share is no number from 0 to 1.
    """

    ground_share: float = 0.0
    hue_share: float = 0.45
    loose_share: float = 0.45

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            require_type(field.name, value, (int, float), "a number from 0 to 1")
            if not 0 <= value <= 1:
                raise WsolbenchError(
                    field.name,
                    found=str(value),
                    expected="a number from 0 to 1",
                    cure="pass a probability",
                )

    @property
    def dataset(self) -> str:
        """Name of the data set, which differs between settings (to six digits)."""
        for known, name in ((DEMO, "mini"), (STUDY, "mini-study")):
            if self == known:
                return name
        return "-".join(("mini", *(f"{share:g}" for share in astuple(self))))


DEMO = Difficulty()
"""The scenes of `wsolbench demo`; data set "mini"."""

STUDY = Difficulty(ground_share=0.6)
"""Scenes whose ground depends on the class; data set "mini-study"."""
