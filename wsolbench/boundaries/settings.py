"""The settings of the boundary detector and its training; no PyTorch here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from ..baselines.settings import Schedule, Settings, as_tuples, choice, count, positive, setting
from ..errors import require_choice
from .pseudo_settings import PseudoSettings

__all__ = [
    "EdgeRecipe",
    "EdgeSettings",
    "edge_recipe_for",
    "edge_settings_for",
    "pseudo_settings_from",
]

MAPS = ("sem", "cam")
LOSSES = ("hns", "vanilla")


@dataclass(frozen=True)
class EdgeSettings(Settings):
    """The boundary detector.

    The width and the grid are the paper's (section 4.1.3), the balance is that of RCF and BDCN.

    Attributes:
        maps: "sem" if pseudo-boundaries and head start from SEM's maps, "cam" for the classifier's
            own.
        loss: "hns" or "vanilla" (see `loss.hns_loss`).
        balance: lambda of the loss.
        seeds: the seeds of SEM as a fraction of the map's positions.
        width: channels of each of the four blocks, and of the convolutions after them.
        grid: side of the predicted edges.
    """

    maps: str = choice("sem", "Localization maps to learn from: sem or cam", MAPS)
    loss: str = choice("hns", "Loss: hns, or vanilla without hard-negative suppression", LOSSES)
    balance: float = positive(1.1, "Weight lambda of the loss off the boundary")
    seeds: float = setting(
        0.05,
        "Seeds of SEM as a fraction of the map's positions",
        "a number above 0 and at most 1",
        lambda own: 0 < own <= 1,
    )
    width: int = count(128, "Number of channels of each block", but="; 16 for mini")
    grid: int = setting(
        160,
        "Side of the predicted edges in pixels",
        "an integer from 8 to 1024",
        lambda own: 8 <= own <= 1024,
        "; 128 for mini",
    )


@dataclass(frozen=True)
class EdgeRecipe(Schedule):
    """The settings of the training of the boundary detector; see `Schedule`.

    The learning rate is that which the paper gives for layers added to the backbone. The backbone
    learns nothing.

    Attributes:
        size: side in pixels to which photos are resized, without a crop; they are mirrored with
            probability 0.5.
        seed: of the head's weights, order and mirroring.
    """

    epochs: int = count(5, "Number of passes over the images", but="; 3 for mini")
    learning_rate: float = positive(0.01, "Learning rate of the head", "; 1 for mini")
    batch_size: int = count(32, "Number of photos a step", but="; 16 for mini")
    size: int = count(
        224,
        "Side in pixels to which photos are resized",
        8,
        "; that of the classifier's training if it is another",
    )


Own = TypeVar("Own", bound=Settings)


def edge_settings_for(backbone: str, values: Mapping[str, Any]) -> EdgeSettings:
    """The settings for a backbone, with its defaults for what is not given.

    Raises:
        WsolbenchError: a setting is unknown or out of range.
    """
    usual = {"width": 16, "grid": 128} if backbone == "mini" else {}
    return _made(EdgeSettings, "boundary detector", usual, values)


def edge_recipe_for(
    backbone: str, values: Mapping[str, Any], size: int | None = None
) -> EdgeRecipe:
    """The settings of training for a backbone, with its defaults for what is not given.

    Args:
        backbone: of the classifier.
        values: settings by name.
        size: the side of the photos in the classifier's training, which is the default.

    Raises:
        WsolbenchError: a setting is unknown or out of range.
    """
    usual: dict[str, Any] = {}
    if backbone == "mini":
        usual = {"size": 128, "epochs": 3, "learning_rate": 1.0, "batch_size": 16}
    if size is not None:
        usual["size"] = size
    return _made(EdgeRecipe, "recipe", usual, values)


def pseudo_settings_from(values: Mapping[str, Any]) -> PseudoSettings:
    """The settings of pseudo-boundaries, with the defaults for what is not given.

    Raises:
        WsolbenchError: a setting is unknown or out of range.
    """
    return _made(PseudoSettings, "pseudo-boundaries", {}, values)


def _made(kind: type[Own], where: str, usual: Mapping[str, Any], values: Mapping[str, Any]) -> Own:
    known = [own.name for own in fields(kind)]
    for given in values:
        require_choice(where, given, known)
    return kind(**{**usual, **as_tuples(values)})
