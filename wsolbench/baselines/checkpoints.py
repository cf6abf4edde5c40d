"""Checkpoints of training: what a network was trained with, its weights, and where training stands.

A checkpoint is a file of `torch.save` with plain values and tensors, read without running code. It
holds everything that a later step depends on, so that a resumed run continues to the bit on a CPU:
random numbers are drawn from (seed, epoch, step) and need no state.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO, cast

import torch
from torch import Tensor

from .. import __version__
from ..errors import WsolbenchError, one_of
from ..files import replacing, require_file, sha256_of
from ..formats.untrusted.byte_file import ByteFile
from ..formats.untrusted.torch_files import check_torch_file
from ..output_file import OutputFile
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
    "EDGES_FORMAT",
    "Checkpoint",
    "build_method",
    "checkpoint_from",
    "checkpoint_values",
    "input_of",
    "load_checkpoint",
    "model_of",
    "read_checkpoint",
    "read_content",
    "require_same",
    "write_checkpoint",
    "write_content",
]

FORMAT, FORMAT_VERSION = "wsolbench-checkpoint", 1
EDGES_FORMAT = "wsolbench-edges"
"""The format of a boundary detector, whose checkpoints are read elsewhere."""

FORMATS: Mapping[str, tuple[str, str, str]] = MappingProxyType(
    {
        FORMAT: (
            "a checkpoint of a classifier",
            "a checkpoint of wsolbench train",
            "name one; a state dict is loaded with --backbone and --weights",
        ),
        EDGES_FORMAT: (
            "a checkpoint of a boundary detector (wsolbench train edges)",
            "a checkpoint of wsolbench train edges",
            "train one with wsolbench train edges --classifier FILE",
        ),
    }
)
"""Formats of checkpoints: what one is where another is expected, what is expected where it is not
found, and the cure."""

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
    write_content(path, checkpoint_values(checkpoint), FORMAT, FORMAT_VERSION)


def write_content(
    path: str | os.PathLike[str], values: Mapping[str, Any], form: str, version: int
) -> None:
    """Write plain values and tensors as a checkpoint of a format: all of it, or nothing."""
    content = {**values, "format": form, "format_version": version, "wsolbench": __version__}
    with replacing(path) as temporary, OutputFile(temporary) as file:
        plain = {key: _plain(value) for key, value in content.items()}
        torch.save(plain, cast(BinaryIO, file))


def checkpoint_values(checkpoint: Checkpoint) -> dict[str, Any]:
    """The content of a checkpoint as plain values and tensors."""
    values = {name: _plain(getattr(checkpoint, name)) for name in _FIELDS}
    return {**values, "classes": [list(one) for one in checkpoint.classes]}


def _plain(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else value


def read_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """Read a checkpoint; code in the file is never run.

    Raises:
        WsolbenchError: the file is missing, damaged, or no checkpoint of this version.
    """
    file = require_file(path, "a checkpoint", "train one with wsolbench train")
    content = read_content(file, FORMAT, FORMAT_VERSION, _FIELDS)
    return checkpoint_from(content, file)


def read_content(file: Path, form: str, version: int, names: Collection[str]) -> Mapping[str, Any]:
    """The values of a checkpoint; code in the file is never run.

    Args:
        file: an existing file.
        form: the format that it must have, a key of `FORMATS`.
        version: of that format.
        names: the values that it must hold.

    Raises:
        WsolbenchError: the file is damaged, or no checkpoint of this format and version.
    """
    try:
        # The file that is checked is loaded. Links are followed: caches of models consist of them.
        with ByteFile(os.path.realpath(file), FORMATS[form][1]) as opened:
            check_torch_file(opened, checksums=True)
            content = torch.load(opened.stream(), map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file makes torch raise almost anything
        raise _no_checkpoint(file, "a file that cannot be read", form) from error
    own = content.get("format") if isinstance(content, Mapping) else None
    if own != form:
        other = FORMATS.get(str(own), ("another file of torch.save",))[0]
        raise _no_checkpoint(file, other, form)
    if content.get("format_version") != version or any(name not in content for name in names):
        raise WsolbenchError(
            file,
            found=f"a checkpoint of format version {content.get('format_version')}",
            expected=f"version {version}",
            cure="train it again with this version of wsolbench",
        )
    return dict(content)


def checkpoint_from(content: Mapping[str, Any], file: Path) -> Checkpoint:
    """A checkpoint from the values of `checkpoint_values`, read from `file`.

    Raises:
        WsolbenchError: a value is missing, or the method or backbone is unknown.
    """
    if any(name not in content for name in _FIELDS):
        raise _no_checkpoint(file, "an incomplete checkpoint", FORMAT)
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


def _no_checkpoint(file: Path, found: str, form: str) -> WsolbenchError:
    _, expected, cure = FORMATS[form]
    return WsolbenchError(file, found=found, expected=expected, cure=cure)


def require_same(path: str | os.PathLike[str], found: object, wanted: Mapping[str, Any]) -> None:
    """Check that a checkpoint belongs to this training.

    Args:
        path: of the checkpoint.
        found: its content, with an attribute for each field.
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
    return model_of(checkpoint, path, sha256_of(path))


def model_of(checkpoint: Checkpoint, path: str | os.PathLike[str], sha256: str) -> ClassMapModel:
    """The network of a checkpoint that was read, on the CPU, in evaluation mode.

    Args:
        checkpoint: its content.
        path: the file, whose name is recorded.
        sha256: of the file, recorded too.

    Raises:
        WsolbenchError: its parameters do not fit its method and backbone.
    """
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
        provenance=MappingProxyType(_provenance(Path(path).name, sha256, checkpoint, module)),
        feature_layers=MappingProxyType(layers),
        size=int(checkpoint.recipe["size"]),
        classes=checkpoint.classes,
        class_dependent=module.class_dependent,
    )


def _provenance(
    name: str, sha256: str, checkpoint: Checkpoint, module: Method[Any]
) -> dict[str, object]:
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
        "weights": name,
        "weights_sha256": sha256,
        "training_seed": recipe.seed,
        **({"preprocessing": "half-range"} if checkpoint.half_range else {}),
    }
