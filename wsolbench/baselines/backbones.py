"""Networks with class maps, and the features from which the maps are computed.

Every baseline needs a `ClassMapModel`: a module that maps photos to (class maps, features, logits),
and its preprocessing. There are three ways to get one:

- `load_backbone("resnet50", weights=FILE)`: an unmodified torchvision classifier. If the logits are
  a linear layer over the mean of the last features, the same layer applied at every position gives
  class maps whose mean equals the network's logits, bias included (the min-max of `cam` removes
  it). SqueezeNet is the only exception: torchvision applies a ReLU between its class maps and their
  mean; the maps are taken before it, the logits after it. Networks with other layers between mean
  and logits (ConvNeXt, MobileNetV3, torchvision's VGG) have no such maps.
- `load_backbone("resnet50-sem", weights=FILE)`: the paper's networks (section 4.1.3): a trunk of
  stride 8, so that a photo of 224 gives maps of 28x28 and one of 320 maps of 40x40, and the head of
  ACoL (Zhang et al., CVPR 2018): conv3x3-1024, ReLU, conv3x3-1024, ReLU, conv1x1-C, the mean over
  positions; the features are the input of the conv1x1. "vgg16" and "vgg16_bn" also mean these
  networks, because torchvision's head has no class maps.
- `load_model_function("package.module:function")`: your own network.

Weights are local files; nothing is downloaded. Every parameter must come from the file, unless a
seed for random weights is given explicitly.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from ..errors import WsolbenchError, meant, one_of, require_choice, require_type, some
from ..files import sha256_of
from . import small
from .networks import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    PAPER,
    POOLED,
    PaperNetwork,
    PooledNetwork,
    build_network,
    layers_of,
)
from .weights import fill, match_names, read_state_dict

__all__ = [
    "ALIASES",
    "AUXILIARY_KEYS",
    "FEATURES",
    "HALF_RANGE",
    "PREPROCESSING",
    "PUBLISHED",
    "ClassMapModel",
    "backbone_names",
    "feature_layers",
    "imagenet_input",
    "known_backbone",
    "load_backbone",
    "load_trunk",
    "require_published",
]

FEATURES = ("feat3", "feat4", "feat5")
"""Features of three depths, as in the supplement's Table 1; feat5 is the input of the last
classification layer, from which SEM is computed unless others are named."""

AUXILIARY_KEYS = ("AuxLogits.", "aux1.", "aux2.")
"""Prefixes of the heads that GoogLeNet and InceptionV3 use only in training; their weights are
skipped."""

BEYOND_TRUNK_KEYS = (
    *(*AUXILIARY_KEYS, "fc.", "classifier.", "head."),
    *("Mixed_7a.", "Mixed_7b.", "Mixed_7c."),
)
"""Prefixes of the layers of a classifier that may be left over when it fills a trunk."""


@dataclass(frozen=True)
class ClassMapModel:
    """A network with class maps.

    Attributes:
        name: the name of the backbone in a submission.
        module: (B, 3, S, S) float32 -> (class maps (B, C, h, w), features (B, c, h, w), logits
            (B, C)). The features are the input of the last classification layer.
        preprocess: RGB photo, S -> (3, S, S) float32. A module-level function, not a lambda, if
            worker processes are spawned.
        provenance: the origin of the weights, recorded in the submission's `method`.
        window: (height, width) of the photo, S -> (x0, y0, x1, y1), the part of the photo that the
            input shows, as floats in pixels of the photo, beyond its edges where `preprocess` pads;
            e.g. `wsolbench.centre_crop(256, 224)`. None if the input shows the whole photo.
        feature_layers: submodules whose outputs are features of other depths, by the names by which
            SEM may take them ("feat3").
        size: the side in pixels at which `predict` shows photos, unless another is asked for.
        classes: (key, name) of each output, as far as they are known, e.g. of a checkpoint.
        class_dependent: the class maps depend on the class that is asked for, as ACoL's do: the
            module is called with the photos and a function logits (B, C) -> classes (B,).
    """

    name: str
    module: nn.Module
    preprocess: Callable[[Image.Image, int], Tensor]
    provenance: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))
    window: Callable[[int, int, int], Sequence[float]] | None = None
    feature_layers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    size: int = 224
    classes: tuple[tuple[str, str], ...] = ()
    class_dependent: bool = False


def imagenet_input(image: Image.Image, size: int) -> Tensor:
    """Preprocess a photo for torchvision's ImageNet classifiers, without cropping.

    Args:
        image: a photo of any mode, converted to RGB.
        size: side in pixels.

    Returns:
        (3, size, size) float32: resized without keeping the aspect ratio (bilinear, antialiased,
        as torchvision resizes PIL images), scaled to 0..1, minus the mean, divided by the standard
        deviation.
    """
    resized = image.convert("RGB").resize((size, size), Image.Resampling.BILINEAR)
    levels = np.asarray(resized, dtype=np.float32) / np.float32(255)
    scaled = (levels - np.array(IMAGENET_MEAN, np.float32)) / np.array(IMAGENET_STD, np.float32)
    return torch.from_numpy(np.ascontiguousarray(scaled.transpose(2, 0, 1)))


IMAGENET, HALF_RANGE = "imagenet", "half-range"

PREPROCESSING: Mapping[str, str] = MappingProxyType(
    {IMAGENET: "ImageNet's mean and deviation", HALF_RANGE: "-1 to 1"}
)
"""The values of photos on which networks are trained, by name."""

PUBLISHED: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"googlenet": ("1378be20",), "inception_v3": ("0cc3c7bd", "1a9a5a14")}
)
"""Starts of the SHA-256 of torchvision's weights, which state it in their file names (the last is
that of earlier versions), of the networks whose published weights take other values than people
train them on."""


ALIASES: Mapping[str, str] = MappingProxyType({"vgg16": "vgg16-sem", "vgg16_bn": "vgg16_bn-sem"})
"""torchvision names whose own head has no class maps, and the networks they mean here."""


def backbone_names() -> list[str]:
    """All names that `load_backbone` accepts, sorted."""
    return sorted([*POOLED, *PAPER, *ALIASES])


def load_backbone(
    name: str,
    weights: str | os.PathLike[str] | None = None,
    *,
    classes: int | None = None,
    random_weights_seed: int | None = None,
    trunk_weights: str | os.PathLike[str] | None = None,
    weights_key: str | None = None,
    preprocessing: str | None = None,
) -> ClassMapModel:
    """A backbone with weights, on the CPU, in evaluation mode.

    Args:
        name: one of `backbone_names()`.
        weights: a state dict with every parameter, with torchvision's keys for torchvision's
            classifiers, and this project's ("trunk.", "head.", "classifier.") for the paper's
            networks; see `weights.read_state_dict`.
        classes: number of classes; by default that of the weights (1000 for random weights).
        random_weights_seed: use random weights instead, for tests or as a start of training; the
            seed is recorded in the provenance.
        trunk_weights: a torchvision classifier's state dict for all layers but the classifying
            ones, which are random, as a start of training; so a seed is required as well.
        weights_key: the entry of the file to take, if it has several state dicts.
        preprocessing: the values on which the weights were trained, a key of `PREPROCESSING`; None
            for those of torchvision's published weights, which GoogLeNet and InceptionV3 (also as
            the paper's network) take only if the file is the published one.

    Raises:
        WsolbenchError: the name is unknown; there are neither weights nor a seed, or both; the
            file cannot be read safely; parameters are missing, unexpected or of another shape;
            weights of GoogLeNet or InceptionV3 are of unknown origin and `preprocessing` is None.
    """
    if preprocessing is not None:
        require_choice("preprocessing", preprocessing, PREPROCESSING)
    known = known_backbone(name)
    if (weights is None) == (random_weights_seed is None):
        raise WsolbenchError(
            f"backbone {name!r}",
            found="no weights" if weights is None else "both weights and a seed",
            expected="either a local file of weights (nothing is downloaded) or a seed",
            cure="name a state dict, or try random weights (--random-weights SEED)",
        )
    if trunk_weights is not None and weights is not None:
        raise WsolbenchError(
            f"backbone {name!r}",
            found="trunk weights with weights of the whole network",
            expected="either of them, with trunk weights a seed of the random head",
            cure="pass only weights",
        )
    if weights is None:
        seed = random_weights_seed or 0
        network = build_network(known, 1000 if classes is None else classes, seed=seed)
        provenance: dict[str, object] = {"random_weights_seed": seed}
        if trunk_weights is not None:
            notes = load_trunk(network, trunk_weights, weights_key)
            sha256 = sha256_of(trunk_weights)
            provenance |= {"trunk_weights_sha256": sha256}
            provenance |= {"trunk_weights_notes": notes} if notes else {}
            if preprocessing is None and network.half_range:
                require_published(known, trunk_weights, sha256, of="trunk weights")
    else:
        state, notes = read_state_dict(weights, weights_key)
        count = _classes_in(known, state) if classes is None else classes
        network = build_network(known, count, seed=0)
        cure = partial(_cure, known, state, classes)
        notes += fill(_own(network), state, weights, skipped=AUXILIARY_KEYS, cure=cure)
        sha256 = sha256_of(weights)
        provenance = {"weights": Path(weights).name, "weights_sha256": sha256}
        provenance |= {"weights_notes": notes} if notes else {}
        if preprocessing is None and network.half_range:
            require_published(known, weights, sha256)
    if preprocessing is not None:
        network.half_range = preprocessing == HALF_RANGE
    if preprocessing is not None or network.half_range:
        provenance["preprocessing"] = HALF_RANGE if network.half_range else IMAGENET
    return ClassMapModel(
        known,
        network.eval(),
        small.preprocess if known == "mini" else imagenet_input,
        provenance=MappingProxyType(provenance),
        feature_layers=feature_layers(known),
    )


def known_backbone(name: str) -> str:
    """The key of `POOLED` or `PAPER` that a name means.

    Raises:
        WsolbenchError: the name is unknown.
    """
    require_type("backbone", name, (str,), "the name of a backbone")
    known = ALIASES.get(name, name)
    if known not in POOLED and known not in PAPER:
        raise WsolbenchError(
            f"backbone {name!r}",
            found="an unknown name",
            expected=f"one of {', '.join(backbone_names())}",
            cure=meant(
                [name],
                backbone_names(),
                "choose one, or pass your own network as PACKAGE.MODULE:FUNCTION",
            ),
        )
    return known


def feature_layers(name: str) -> Mapping[str, str]:
    """The submodules of feat3 and feat4 in a network; none if they are not known (swin_t)."""
    try:
        layers = layers_of(name)
    except WsolbenchError:
        return MappingProxyType({})
    return MappingProxyType({"feat3": layers.shallow, "feat4": layers.deep})


def require_published(
    name: str, weights: str | os.PathLike[str], sha256: str, *, of: str = "weights"
) -> None:
    """Refuse weights of unknown origin for a network whose published weights are the exception."""
    bare = name.removesuffix("-sem").removesuffix("-gap")
    published = PUBLISHED.get(bare if of != "weights" else name, ())
    if not sha256.startswith(published):
        stated = f", not {one_of(published)}" if published else ""
        raise WsolbenchError(
            weights,
            found=f"{of} of {name} that are not torchvision's published ones (SHA-256 "
            f"{sha256[:8]}{stated}), so that their preprocessing is not known",
            cure=f"name the values on which they were trained: --preprocessing {IMAGENET} (mean "
            f"and deviation, as in most training scripts) or {HALF_RANGE} (-1 to 1)",
        )


def _own(network: PooledNetwork | PaperNetwork) -> nn.Module:
    """The module whose names the weights have."""
    return network.network if isinstance(network, PooledNetwork) else network


def _cure(name: str, state: Mapping[str, Tensor], classes: int | None) -> str:
    """What to do about weights that do not fit a network, by what they fit instead."""
    if classes is not None and _fits(name, state):
        return f"pass classes={_classes_in(name, state)}, or leave it out (None)"
    others = [other for other in (*POOLED, *PAPER) if other != name and _fits(other, state)]
    if others:
        return f"these are weights of {one_of(others)}: name that with --backbone (name=)"
    if name in PAPER and _fits_trunk(name, state):
        return (
            "torchvision's weights fill only the trunk: pass them as trunk_weights in Python, and "
            "train the head"
        )
    return f"pass a file with all parameters of {name}"


def _fits(name: str, state: Mapping[str, Tensor]) -> bool:
    # RegNet computes its widths with tensors, which needs values.
    with torch.device("cpu" if name.startswith("regnet") else "meta"):
        wanted = _own(build_network(name, _classes_in(name, state), seed=0)).state_dict()
    match = match_names(state, wanted, skipped=AUXILIARY_KEYS)
    return not match.faults


def _fits_trunk(name: str, state: Mapping[str, Tensor]) -> bool:
    with torch.device("meta"):
        wanted = PAPER[name].trunk().state_dict()
    return not match_names(state, wanted, skipped=BEYOND_TRUNK_KEYS).faults


def load_trunk(
    network: PooledNetwork | PaperNetwork,
    weights: str | os.PathLike[str],
    weights_key: str | None = None,
) -> list[str]:
    """Fill the trunk of a network from a classifier's state dict.

    The classifier's last layers are skipped (`BEYOND_TRUNK_KEYS`).

    Returns:
        What was unwrapped and renamed, what of the file was left out, and which parameters of the
        network keep their random values, in words.

    Raises:
        WsolbenchError: as in `load_backbone`.
    """
    state, notes = read_state_dict(weights, weights_key)
    trunk = network.trunk_module()
    notes += fill(
        trunk,
        state,
        weights,
        skipped=BEYOND_TRUNK_KEYS,
        cure=lambda: "pass torchvision's weights of the same architecture",
    )
    left = match_names(state, trunk.state_dict(), skipped=BEYOND_TRUNK_KEYS).left
    if left:
        notes.append(f"not loaded, because beyond the trunk: {some(left)}")
    filled = {id(own) for own in network.trunk_parameters()}
    fresh = [name for name, own in network.named_parameters() if id(own) not in filled]
    notes.append(f"random values remain in the head: {some(fresh)}")
    return notes


def _classes_in(name: str, state: Mapping[str, Tensor]) -> int:
    last = POOLED[name].classifier if name in POOLED else _last_layer(name)
    named = [
        tensor
        for name, tensor in state.items()
        if f".{name}".endswith(f".{last}.weight") and not any(aux in name for aux in AUXILIARY_KEYS)
    ]
    weight = named[0] if len(named) == 1 else None
    return 1000 if weight is None or weight.ndim == 0 else max(1, weight.shape[0])


def _last_layer(name: str) -> str:
    return "classifier.conv" if PAPER[name].head else "classifier"
