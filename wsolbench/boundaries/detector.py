"""The boundary detector: a frozen classifier, its localization maps, and the head on both.

A checkpoint is one file with the classifier and the head, in the manner of
`baselines.checkpoints`: plain values and tensors, read without running code.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..baselines.backbones import ClassMapModel
from ..baselines.cam import class_channels, min_max
from ..baselines.checkpoints import (
    EDGES_FORMAT,
    checkpoint_from,
    model_of,
    read_content,
    write_content,
)
from ..baselines.networks import recorded
from ..baselines.outputs import run_model
from ..baselines.sem import self_enhancement_maps
from ..errors import WsolbenchError
from ..files import require_file, sha256_of
from .head import EdgeHead, blocks_of, build_head
from .settings import EdgeSettings, edge_settings_for

__all__ = [
    "EdgeCheckpoint",
    "EdgeDetector",
    "Outputs",
    "load_detector",
    "outputs_of",
    "places_of",
    "read_edge_checkpoint",
    "write_edge_checkpoint",
]

FORMAT_VERSION = 1


@dataclass(frozen=True)
class EdgeCheckpoint:
    """The content of a checkpoint of a boundary detector.

    Attributes:
        classifier: the content of the classifier's checkpoint, without its optimizer.
        classifier_name, classifier_sha256: of its file.
        settings: of the detector, by name (`settings.EdgeSettings`).
        pseudo: of the pseudo-boundaries, by name (`pseudo_settings.PseudoSettings`).
        recipe: of training, by name (`settings.EdgeRecipe`).
        data: title, number, sha256 and EXIF handling of the photos.
        channels: of the features of each block.
        epoch, step: how many epochs are complete, and how many steps of the next one.
        finished: whether training is complete.
        state: parameters and buffers of the head, by name.
        optimizer: state of the optimizer and the loss scale; empty when finished.
    """

    classifier: Mapping[str, Any]
    classifier_name: str
    classifier_sha256: str
    settings: Mapping[str, Any]
    pseudo: Mapping[str, Any]
    recipe: Mapping[str, Any]
    data: Mapping[str, Any]
    channels: tuple[int, ...]
    epoch: int = 0
    step: int = 0
    finished: bool = False
    state: Mapping[str, Tensor] = field(default_factory=dict, repr=False)
    optimizer: Mapping[str, Any] = field(default_factory=dict, repr=False)


_FIELDS = tuple(EdgeCheckpoint.__dataclass_fields__)


def write_edge_checkpoint(path: str | os.PathLike[str], checkpoint: EdgeCheckpoint) -> None:
    """Write a checkpoint: all of it, or nothing."""
    values = {name: getattr(checkpoint, name) for name in _FIELDS}
    write_content(
        path, {**values, "channels": list(checkpoint.channels)}, EDGES_FORMAT, FORMAT_VERSION
    )


def read_edge_checkpoint(path: str | os.PathLike[str]) -> EdgeCheckpoint:
    """Read a checkpoint; code in the file is never run.

    Raises:
        WsolbenchError: the file is missing, damaged, or no boundary detector of this version.
    """
    file = require_file(
        path, "a boundary detector", "train one with wsolbench train edges --classifier FILE"
    )
    content = read_content(file, EDGES_FORMAT, FORMAT_VERSION, _FIELDS)
    values = {name: content[name] for name in _FIELDS}
    return EdgeCheckpoint(**{**values, "channels": tuple(content["channels"])})


@dataclass(frozen=True, eq=False)
class Outputs:
    """What the frozen classifier gives of a batch.

    Attributes:
        maps: (B, h, w) float32 in [0, 1], the localization map of each photo's class.
        features: (B, c, h', w') of each block.
        logits: (B, C) of the classes.
    """

    maps: Tensor
    features: tuple[Tensor, ...]
    logits: Tensor


def outputs_of(
    model: ClassMapModel,
    images: Tensor,
    choose: Callable[[Tensor], Tensor],
    settings: EdgeSettings,
    places: tuple[str, ...],
) -> Outputs:
    """The localization maps and block features of a batch, without gradients.

    Args:
        model: its module is on the device of the photos, in evaluation mode.
        images: (B, 3, S, S) float32.
        choose: the class (B,) of each photo from the logits (B, C).
        settings: which maps.
        places: submodules of `model.module` whose outputs are the features.

    Raises:
        WsolbenchError: the outputs are not class maps, or not finite.
    """
    with torch.no_grad(), recorded(model.module, places) as taken:
        class_maps, features, logits = run_model(model, images, choose)
        channels = class_channels(class_maps, choose(logits).to(class_maps.device))
        if not bool(channels.isfinite().all() and features.isfinite().all()):
            raise WsolbenchError(
                model.name,
                found="class maps or features that are not finite",
                expected="finite numbers",
                cure="train the classifier again with a lower learning rate",
            )
        if settings.maps == "sem":
            maps = self_enhancement_maps(channels, features, settings.seeds)
        else:
            maps = min_max(channels)
    return Outputs(maps, tuple(taken[place] for place in places), logits)


@dataclass(frozen=True, eq=False)
class EdgeDetector:
    """A trained boundary detector, on the CPU, in evaluation mode.

    Attributes:
        model: the classifier.
        head: on its features and maps.
        places: submodules of `model.module` whose outputs are the features.
        settings: of the detector.
        checkpoint: what it was made of.
        sha256: of its file.
        name: of its file.
    """

    model: ClassMapModel
    head: EdgeHead
    places: tuple[str, ...]
    settings: EdgeSettings
    checkpoint: EdgeCheckpoint
    name: str
    sha256: str

    @property
    def size(self) -> int:
        """Side in pixels to which photos are resized."""
        return int(self.checkpoint.recipe["size"])

    def edges(self, outputs: Outputs) -> Tensor:
        """Probabilities of a boundary: (B, grid, grid) float32 in [0, 1]."""
        with torch.no_grad():
            return torch.sigmoid(self.head(outputs.features, outputs.maps).float())


def places_of(model: ClassMapModel) -> tuple[str, ...]:
    """The submodules of a checkpoint's network that are the four blocks.

    Raises:
        WsolbenchError: no blocks are known for its backbone.
    """
    return tuple(f"network.{place}" for place in blocks_of(model.name))


def load_detector(path: str | os.PathLike[str]) -> EdgeDetector:
    """The boundary detector of a checkpoint.

    Raises:
        WsolbenchError: the file is no such checkpoint, or is damaged.
    """
    checkpoint = read_edge_checkpoint(path)
    file = Path(path)
    classifier = checkpoint_from(checkpoint.classifier, file)
    model = model_of(classifier, checkpoint.classifier_name, checkpoint.classifier_sha256)
    settings = edge_settings_for(model.name, checkpoint.settings)
    head = build_head(checkpoint.channels, settings.width, settings.grid, seed=0)
    try:
        head.load_state_dict(dict(checkpoint.state))
    except (RuntimeError, TypeError, AttributeError) as error:
        raise WsolbenchError(
            file,
            found="parameters that do not fit its own settings",
            cure="train it again, or copy the file again",
        ) from error
    return EdgeDetector(
        model, head.eval(), places_of(model), settings, checkpoint, file.name, sha256_of(file)
    )
