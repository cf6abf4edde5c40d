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
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from ..errors import WsolbenchError, one_of, require_choice
from ..files import sha256_of
from .weights import fill, match_names, read_state_dict

__all__ = [
    "ALIASES",
    "PAPER",
    "POOLED",
    "PREPROCESSING",
    "PUBLISHED",
    "ClassMapModel",
    "PaperNetwork",
    "PooledNetwork",
    "backbone_names",
    "build_network",
    "imagenet_input",
    "load_backbone",
    "load_trunk",
    "to_half_range",
]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
"""Mean and standard deviation of the channels (RGB, 0..1) in torchvision's training."""

HEAD_CHANNELS = 1024
"""Number of channels in the head of ACoL, for every trunk (paper section 4.1.3)."""

HEAD_DROPOUT = 0.5
"""Dropout rate before each convolution of that head, in training only."""

AUXILIARY_KEYS = ("AuxLogits.", "aux1.", "aux2.")
"""Prefixes of the heads that GoogLeNet and InceptionV3 use only in training; their weights are
skipped."""

BEYOND_TRUNK_KEYS = (*AUXILIARY_KEYS, "fc.", "classifier.", "Mixed_7a.", "Mixed_7b.", "Mixed_7c.")
"""Prefixes of the layers of a torchvision classifier after the trunk of the paper's networks."""


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
    """

    name: str
    module: nn.Module
    preprocess: Callable[[Image.Image, int], Tensor]
    provenance: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))
    window: Callable[[int, int, int], Sequence[float]] | None = None


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


@dataclass(frozen=True)
class _Pooled:
    """How a torchvision classifier computes its logits: steps -> mean -> linear layer.

    Attributes:
        steps: the submodules to apply, in order.
        classifier: the linear layer (or 1x1 convolution).
        relu_before: a ReLU follows the steps (DenseNet).
        relu_after: a ReLU follows the classifier, before the mean (SqueezeNet).
        half_range: the published weights take photos in -1..1 instead of ImageNet's mean and
            deviation (the Inception networks).
        options: arguments of torchvision's constructor.
    """

    steps: tuple[str, ...]
    classifier: str
    relu_before: bool = False
    relu_after: bool = False
    half_range: bool = False
    options: tuple[tuple[str, bool], ...] = ()


_RESNET = _Pooled(("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4"), "fc")
_DENSENET = _Pooled(("features",), "classifier", relu_before=True)
_MOBILE = _Pooled(("features",), "classifier.1")
_REGNET = _Pooled(("stem", "trunk_output"), "fc")
_SHUFFLENET = _Pooled(("conv1", "maxpool", "stage2", "stage3", "stage4", "conv5"), "fc")
_SQUEEZENET = _Pooled(("features",), "classifier.1", relu_after=True)
_SWIN = _Pooled(("features", "norm", "permute"), "head")
_INCEPTION_OPTIONS = (("aux_logits", False), ("transform_input", True), ("init_weights", False))
_GOOGLENET = _Pooled(
    (
        *("conv1", "maxpool1", "conv2", "conv3", "maxpool2"),
        *("inception3a", "inception3b", "maxpool3"),
        *("inception4a", "inception4b", "inception4c", "inception4d", "inception4e", "maxpool4"),
        *("inception5a", "inception5b"),
    ),
    "fc",
    half_range=True,
    options=_INCEPTION_OPTIONS,
)
_INCEPTION_TO_MIXED_6E = (
    *("Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "maxpool1"),
    *("Conv2d_3b_1x1", "Conv2d_4a_3x3", "maxpool2", "Mixed_5b", "Mixed_5c", "Mixed_5d"),
    *("Mixed_6a", "Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e"),
)
_INCEPTION_V3 = _Pooled(
    (*_INCEPTION_TO_MIXED_6E, "Mixed_7a", "Mixed_7b", "Mixed_7c"),
    "fc",
    half_range=True,
    options=_INCEPTION_OPTIONS,
)

POOLED: Mapping[str, _Pooled] = MappingProxyType(
    {
        "densenet121": _DENSENET,
        "densenet169": _DENSENET,
        "efficientnet_b0": _MOBILE,
        "googlenet": _GOOGLENET,
        "inception_v3": _INCEPTION_V3,
        "mnasnet1_0": _Pooled(("layers",), "classifier.1"),
        "mobilenet_v2": _MOBILE,
        "regnet_y_400mf": _REGNET,
        "resnet18": _RESNET,
        "resnet34": _RESNET,
        "resnet50": _RESNET,
        "resnet101": _RESNET,
        "resnext50_32x4d": _RESNET,
        "shufflenet_v2_x1_0": _SHUFFLENET,
        "squeezenet1_0": _SQUEEZENET,
        "squeezenet1_1": _SQUEEZENET,
        "swin_t": _SWIN,
    }
)
"""torchvision classifiers whose class maps are exact, by torchvision's names."""


class PooledNetwork(nn.Module):
    """A torchvision classifier (`network`) that also returns its class maps and last features.

    Photos with ImageNet's mean and deviation are rescaled to -1..1 first if `half_range` is true.
    Its dropout is not applied in training mode.
    """

    def __init__(self, network: nn.Module, plan: _Pooled) -> None:
        """Wrap `network`, whose submodules are named in `plan`."""
        super().__init__()
        self.network = network
        self.plan = plan
        self.half_range = plan.half_range

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, 3, S, S) -> class maps (B, C, h, w), features (B, c, h, w), logits (B, C)."""
        features = to_half_range(images) if self.half_range else images
        for step in self.plan.steps:
            features = self.network.get_submodule(step)(features)
        if self.plan.relu_before:
            features = features.relu()
        layer = self.network.get_submodule(self.plan.classifier)
        weight, bias = layer.get_parameter("weight"), layer.get_parameter("bias")
        class_maps = nn.functional.conv2d(features, weight.flatten(1)[:, :, None, None], bias)
        summed = class_maps.relu() if self.plan.relu_after else class_maps
        return class_maps, features, summed.mean(dim=(2, 3))


class PaperNetwork(nn.Module):
    """One of the paper's networks: a `trunk` of stride 8 and the `head` of ACoL.

    Photos with ImageNet's mean and deviation are rescaled to -1..1 first if `half_range` is true.
    The features are the ReLU of the head's second convolution. The parameters of the trunk have
    torchvision's names after the prefix "trunk.".
    """

    def __init__(
        self, trunk: nn.Module, channels: int, classes: int, *, half_range: bool = False
    ) -> None:
        """Add a head for `channels` features of the trunk and `classes` classes."""
        super().__init__()
        self.half_range = half_range
        self.trunk = trunk
        self.head = nn.Sequential(
            OrderedDict(
                dropout1=nn.Dropout(HEAD_DROPOUT),
                conv1=nn.Conv2d(channels, HEAD_CHANNELS, kernel_size=3, padding=1),
                relu1=nn.ReLU(),
                dropout2=nn.Dropout(HEAD_DROPOUT),
                conv2=nn.Conv2d(HEAD_CHANNELS, HEAD_CHANNELS, kernel_size=3, padding=1),
                relu2=nn.ReLU(),
            )
        )
        self.classifier = nn.Sequential(
            OrderedDict(
                dropout=nn.Dropout(HEAD_DROPOUT),
                conv=nn.Conv2d(HEAD_CHANNELS, classes, kernel_size=1),
            )
        )

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, 3, S, S) -> class maps (B, C, h, w), features (B, 1024, h, w), logits (B, C)."""
        features = self.head(self.trunk(to_half_range(images) if self.half_range else images))
        class_maps = self.classifier(features)
        return class_maps, features, class_maps.mean(dim=(2, 3))


class _Trunk(nn.Module):
    """Submodules of a torchvision classifier, under their names, applied in sequence."""

    def __init__(self, network: nn.Module, steps: tuple[str, ...]) -> None:
        super().__init__()
        self.steps = steps
        for step in steps:
            self.add_module(step, network.get_submodule(step))

    def forward(self, images: Tensor) -> Tensor:
        features = images
        for step in self.steps:
            features = self.get_submodule(step)(features)
        return features


def to_half_range(images: Tensor) -> Tensor:
    """Rescale (B, 3, h, w) from ImageNet's mean and deviation to -1..1 (both 0.5)."""
    mean = images.new_tensor(IMAGENET_MEAN)[:, None, None]
    std = images.new_tensor(IMAGENET_STD)[:, None, None]
    return images * (std / 0.5) + (mean - 0.5) / 0.5


def _vgg16_trunk(*, batch_norm: bool) -> nn.Module:
    from torchvision.models import vgg

    layers = vgg.make_layers(vgg.cfgs["D"], batch_norm=batch_norm)
    pools = [i for i, layer in enumerate(layers) if isinstance(layer, nn.MaxPool2d)]
    for index in pools[3:]:  # 2x2 at stride 1 would drop a row; 3x3 keeps the size, as in ACoL
        layers[index] = nn.MaxPool2d(kernel_size=3, stride=1, padding=1)
    return _Trunk(_holding(features=layers), ("features",))


def _resnet50_trunk() -> nn.Module:
    import torchvision

    network = torchvision.models.resnet50(weights=None)
    for layer in (network.layer3, network.layer4):
        layer[0].conv2.stride = (1, 1)
        layer[0].downsample[0].stride = (1, 1)
    return _Trunk(network, _RESNET.steps)


def _inception_v3_trunk() -> nn.Module:
    import torchvision

    network = torchvision.models.inception_v3(weights=None, **dict(_INCEPTION_OPTIONS))
    network.Conv2d_1a_3x3.conv.padding = (1, 1)
    for name in ("maxpool1", "maxpool2"):
        padded = nn.MaxPool2d(kernel_size=3, stride=2, padding=1, ceil_mode=True)
        setattr(network, name, padded)
    network.Mixed_6a = _SameSizeReduction(network.Mixed_6a)
    return _Trunk(network, _INCEPTION_TO_MIXED_6E)


class _SameSizeReduction(nn.Module):
    """InceptionV3's Mixed_6a at stride 1 with padding; parameters and names are unchanged."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        for name, branch in block.named_children():
            self.add_module(name, branch)
        for name in ("branch3x3", "branch3x3dbl_3"):
            conv = self.get_submodule(f"{name}.conv")
            if not isinstance(conv, nn.Conv2d):
                raise TypeError(f"Mixed_6a.{name}.conv is a {type(conv).__name__}")
            conv.stride, conv.padding = (1, 1), (1, 1)

    def forward(self, features: Tensor) -> Tensor:
        double = features
        for name in ("branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3"):
            double = self.get_submodule(name)(double)
        pooled = nn.functional.max_pool2d(features, kernel_size=3, stride=1, padding=1)
        return torch.cat([self.get_submodule("branch3x3")(features), double, pooled], dim=1)


@dataclass(frozen=True)
class _Paper:
    """A network of the paper: the function that builds its trunk, the trunk's channels, and whether
    its trunk takes photos in -1..1.
    """

    trunk: Callable[[], nn.Module]
    channels: int
    half_range: bool = False


PAPER: Mapping[str, _Paper] = MappingProxyType(
    {
        "inception_v3-sem": _Paper(_inception_v3_trunk, 768, half_range=True),
        "resnet50-sem": _Paper(_resnet50_trunk, 2048),
        "vgg16-sem": _Paper(partial(_vgg16_trunk, batch_norm=False), 512),
        "vgg16_bn-sem": _Paper(partial(_vgg16_trunk, batch_norm=True), 512),
    }
)
"""The paper's networks: a trunk of stride 8 with the head of ACoL."""

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
        trunk_weights: a torchvision classifier's state dict for the trunk of one of the paper's
            networks. Its head is random, as a start of training, so a seed is required as well.
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
    known = ALIASES.get(name, name)
    if known not in POOLED and known not in PAPER:
        raise WsolbenchError(
            f"backbone {name!r}",
            found="an unknown name",
            expected=f"one of {', '.join(backbone_names())}",
            cure="choose one, or pass your own network as PACKAGE.MODULE:FUNCTION",
        )
    if (weights is None) == (random_weights_seed is None):
        raise WsolbenchError(
            f"backbone {name!r}",
            found="no weights" if weights is None else "both weights and a seed",
            expected="either a local file of weights (nothing is downloaded) or a seed",
            cure="name a state dict, or try random weights (--random-weights SEED)",
        )
    if trunk_weights is not None and (weights is not None or known not in PAPER):
        raise WsolbenchError(
            f"backbone {name!r}",
            found="trunk weights with weights of the whole network"
            if weights is not None
            else "trunk weights for a network without such a trunk",
            expected=f"one of {', '.join(PAPER)} and a seed of the random head",
            cure="pass only weights, or name one of these networks",
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
                _require_published(known, trunk_weights, sha256, of="trunk weights")
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
            _require_published(known, weights, sha256)
    if preprocessing is not None:
        network.half_range = preprocessing == HALF_RANGE
    if preprocessing is not None or network.half_range:
        provenance["preprocessing"] = HALF_RANGE if network.half_range else IMAGENET
    return ClassMapModel(
        known, network.eval(), imagenet_input, provenance=MappingProxyType(provenance)
    )


def _require_published(
    name: str, weights: str | os.PathLike[str], sha256: str, *, of: str = "weights"
) -> None:
    """Refuse weights of unknown origin for a network whose published weights are the exception."""
    published = PUBLISHED.get(name.removesuffix("-sem") if of != "weights" else name, ())
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


def build_network(name: str, classes: int, *, seed: int) -> PooledNetwork | PaperNetwork:
    """A network with the random weights of its layers; the global random state is kept.

    Args:
        name: a key of `POOLED` or `PAPER`.
        classes: number of classes, at least 1.
        seed: seed of the weights.
    """
    import torchvision

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if name in PAPER:
            recipe = PAPER[name]
            return PaperNetwork(
                recipe.trunk(), recipe.channels, classes, half_range=recipe.half_range
            )
        plan = POOLED[name]
        build = getattr(torchvision.models, name)
        network = build(weights=None, num_classes=classes, **dict(plan.options))
        return PooledNetwork(network, plan)


def load_trunk(
    network: nn.Module, weights: str | os.PathLike[str], weights_key: str | None = None
) -> list[str]:
    """Fill the trunk of one of the paper's networks from a torchvision classifier's state dict.

    The classifier's last layers are skipped (`BEYOND_TRUNK_KEYS`).

    Returns:
        What was unwrapped and renamed, in words.

    Raises:
        WsolbenchError: as in `load_backbone`.
    """
    state, notes = read_state_dict(weights, weights_key)
    return notes + fill(
        network.get_submodule("trunk"),
        state,
        weights,
        skipped=BEYOND_TRUNK_KEYS,
        cure=lambda: "pass torchvision's weights of the same architecture",
    )


def _classes_in(name: str, state: Mapping[str, Tensor]) -> int:
    last = "classifier.conv" if name in PAPER else POOLED[name].classifier
    named = [
        tensor
        for name, tensor in state.items()
        if f".{name}".endswith(f".{last}.weight") and not any(aux in name for aux in AUXILIARY_KEYS)
    ]
    weight = named[0] if len(named) == 1 else None
    return 1000 if weight is None or weight.ndim == 0 else max(1, weight.shape[0])


def _holding(**children: nn.Module) -> nn.Module:
    holder = nn.Module()
    for name, child in children.items():
        holder.add_module(name, child)
    return holder
