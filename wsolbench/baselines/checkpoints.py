"""Checkpoints of training: what a network was trained with, its weights, and where training stands.

A checkpoint is a file of `torch.save` with plain values and tensors, read without running code. It
holds everything that a later step depends on, so that a resumed run continues to the bit on a CPU:
random numbers are drawn from (seed, epoch, step) and need no state.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from .. import __version__
from ..errors import WsolbenchError, one_of
from ..files import replacing, require_file, sha256_of
from .acol import AdversarialComplementary
from .adl import AttentionDropout
from .backbones import ClassMapModel, feature_layers, imagenet_input
from .cutmix import CutMix
from .has import HideAndSeek
from .method import CamMethod, Method
from .networks import PAPER, POOLED, PaperNetwork, PooledNetwork, build_network
from .settings import METHODS, Settings, as_values, method_record, recipe_from, settings_from
from .small import preprocess as small_input
from .spg import SelfProducedGuidance

__all__ = [
    "Checkpoint",
    "build_method",
    "input_of",
    "load_checkpoint",
    "read_checkpoint",
    "require_same",
    "write_checkpoint",
]

FORMAT, FORMAT_VERSION = "wsolbench-checkpoint", 1

_MODULES: Mapping[str, type[Method[Any]]] = MappingProxyType(
    {
        "cam": CamMethod,
        "has": HideAndSeek,
        "acol": AdversarialComplementary,
        "cutmix": CutMix,
        "spg": SelfProducedGuidance,
        "adl": AttentionDropout,
    }
)


@dataclass(frozen=True)
class Checkpoint:
    """The content of a checkpoint.

    Attributes:
        method: a key of `settings.METHODS`.
        settings: of the method, by name.
        backbone: a key of `networks.POOLED` or `networks.PAPER`.
        half_range: whether the network takes photos in -1..1.
        classes: (key, name) of each output.
        recipe: the settings of training, by name.
        data: title, number and sha256 of the photos.
        trunk: sha256 and notes of the weights from which the trunk started; empty for random ones.
        epoch, step: how many epochs are complete, and how many steps of the next one.
        finished: whether training is complete.
        state: parameters and buffers of the method's module, by name.
        optimizer: state of the optimizer and the loss scale; empty when finished.
    """

    method: str
    settings: Mapping[str, Any]
    backbone: str
    half_range: bool
    classes: tuple[tuple[str, str], ...]
    recipe: Mapping[str, Any]
    data: Mapping[str, Any]
    trunk: Mapping[str, Any]
    epoch: int = 0
    step: int = 0
    finished: bool = False
    state: Mapping[str, Tensor] = field(default_factory=dict, repr=False)
    optimizer: Mapping[str, Any] = field(default_factory=dict, repr=False)


_FIELDS = tuple(Checkpoint.__dataclass_fields__)


def write_checkpoint(path: str | os.PathLike[str], checkpoint: Checkpoint) -> None:
    """Write a checkpoint: all of it, or nothing."""
    content = {name: getattr(checkpoint, name) for name in _FIELDS}
    content |= {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "wsolbench": __version__,
        "classes": [list(one) for one in checkpoint.classes],
    }
    with replacing(path) as temporary:
        torch.save({key: _plain(value) for key, value in content.items()}, temporary)


def _plain(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else value


def read_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """Read a checkpoint; code in the file is never run.

    Raises:
        WsolbenchError: the file is missing, damaged, or no checkpoint of this version.
    """
    file = require_file(path, "a checkpoint", "train one with wsolbench train")
    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file makes torch raise almost anything
        raise _no_checkpoint(file, "a file that cannot be read") from error
    if not isinstance(content, Mapping) or content.get("format") != FORMAT:
        raise _no_checkpoint(file, "another file of torch.save")
    if content.get("format_version") != FORMAT_VERSION or any(
        name not in content for name in _FIELDS
    ):
        raise WsolbenchError(
            file,
            found=f"a checkpoint of format version {content.get('format_version')}",
            expected=f"version {FORMAT_VERSION}",
            cure="train it again with this version of wsolbench",
        )
    values = {name: content[name] for name in _FIELDS}
    classes = tuple((str(key), str(name)) for key, name in content["classes"])
    checkpoint = Checkpoint(**{**values, "classes": classes})
    for what, name, known in (
        ("method", checkpoint.method, METHODS),
        ("backbone", checkpoint.backbone, {**POOLED, **PAPER}),
    ):
        if name not in known:
            raise WsolbenchError(
                file,
                found=f"the unknown {what} {name!r}",
                expected=one_of(known),
                cure="use the version of wsolbench that wrote it",
            )
    return checkpoint


def _no_checkpoint(file: Path, found: str) -> WsolbenchError:
    return WsolbenchError(
        file,
        found=found,
        expected="a checkpoint of wsolbench train",
        cure="name one; a state dict is loaded with --backbone and --weights",
    )


def require_same(
    path: str | os.PathLike[str], found: Checkpoint, wanted: Mapping[str, Any]
) -> None:
    """Check that a checkpoint belongs to this training.

    Args:
        path: of the checkpoint.
        found: the checkpoint.
        wanted: fields that must be the same, in the order in which they are compared.

    Raises:
        WsolbenchError: one differs; the message names the first that does.
    """
    for name, value in wanted.items():
        own = getattr(found, name)
        if own == value:
            continue
        if isinstance(own, Mapping) and isinstance(value, Mapping):
            keys = [key for key in {**own, **value} if own.get(key) != value.get(key)]
            name, own, value = keys[0], own.get(keys[0]), value.get(keys[0])
        if name == "classes":
            own, value = f"{len(own)} classes", f"{len(value)} others"
        raise WsolbenchError(
            path,
            found=f"a checkpoint with {name} {own}",
            expected=f"{name} {value}",
            cure="name another --out, or start again with --overwrite (overwrite=True)",
        )


def build_method(
    method: str,
    backbone: str,
    classes: int,
    settings: Mapping[str, Any],
    *,
    seed: int,
) -> Method[Any]:
    """The module of a method around a network with random weights; the random state is kept.

    Raises:
        WsolbenchError: a setting is unknown or out of range, or the backbone lacks the layers that
            the method needs.
    """
    own: Settings = settings_from(method, settings, backbone)
    network = build_network(backbone, classes, seed=seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed + 1)  # not the stream that drew the network
        return _MODULES[method](network, own, backbone)


def input_of(backbone: str) -> Any:
    """The preprocessing of a backbone: (photo, size) -> (3, size, size) float32."""
    return small_input if backbone == "mini" else imagenet_input


def load_checkpoint(
    path: str | os.PathLike[str], *, method: str | None = None, backbone: str | None = None
) -> ClassMapModel:
    """The network of a checkpoint, on the CPU, in evaluation mode.

    Args:
        path: a file of `train`.
        method: the method that it must be of; None for any.
        backbone: the backbone that it must be of; None for any.

    Raises:
        WsolbenchError: the file is no checkpoint, is one of another method or backbone, or is
            damaged.
    """
    checkpoint = read_checkpoint(path)
    for what, found, wanted in (
        ("method", checkpoint.method, method),
        ("backbone", checkpoint.backbone, backbone),
    ):
        if wanted is not None and found != wanted:
            raise WsolbenchError(
                path,
                found=f"a checkpoint of the {what} {found}",
                expected=wanted,
                cure=f"use predict {found}" if what == "method" else f"leave out --{what}",
            )
    module = build_method(
        checkpoint.method,
        checkpoint.backbone,
        len(checkpoint.classes),
        checkpoint.settings,
        seed=0,
    )
    network = module.network
    if isinstance(network, PaperNetwork | PooledNetwork):
        network.half_range = checkpoint.half_range
    try:
        module.load_state_dict(dict(checkpoint.state))
    except (RuntimeError, TypeError, AttributeError) as error:
        raise WsolbenchError(
            path,
            found="parameters that do not fit its own method and backbone",
            cure="train it again, or copy the file again",
        ) from error
    layers = {
        name: f"network.{place}" for name, place in feature_layers(checkpoint.backbone).items()
    }
    return ClassMapModel(
        checkpoint.backbone,
        module.eval(),
        input_of(checkpoint.backbone),
        provenance=MappingProxyType(_provenance(Path(path), checkpoint, module)),
        feature_layers=MappingProxyType(layers),
        size=int(checkpoint.recipe["size"]),
        classes=checkpoint.classes,
        class_dependent=module.class_dependent,
    )


def _provenance(path: Path, checkpoint: Checkpoint, module: Method[Any]) -> dict[str, object]:
    """What a submission records of a checkpoint."""
    recipe = recipe_from(checkpoint.recipe)
    record = method_record(checkpoint.method)
    training: dict[str, object] = {
        "epochs": recipe.epochs,
        "learning_rate": recipe.learning_rate,
        "head_factor": recipe.head_factor,
        "batch_size": recipe.batch_size,
        "resize": recipe.resize,
        "size": recipe.size,
        **as_values(module.settings),
    }
    if not checkpoint.finished:
        training["unfinished"] = f"{checkpoint.epoch} of {recipe.epochs} epochs"
    return {
        "trained_method": record.title,
        "trained_paper": record.paper,
        "trained_on": str(checkpoint.data["title"]),
        "trained_photos": int(checkpoint.data["photos"]),
        "training": training,
        "weights": path.name,
        "weights_sha256": sha256_of(path),
        "training_seed": recipe.seed,
        **({"preprocessing": "half-range"} if checkpoint.half_range else {}),
    }
