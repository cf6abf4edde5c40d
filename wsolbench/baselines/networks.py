"""Networks that give class maps, features and logits, and the layers that methods name in them.

A `ClassMapNetwork` is a trunk, which gives features, and a classifying part, which turns these into
class maps whose mean over positions is the logits. Three kinds:

- `PooledNetwork`: an unmodified torchvision classifier (`POOLED`).
- `PaperNetwork`: a trunk of stride 8 (`trunks`) with the head of ACoL (Zhang et al., CVPR 2018;
  paper section 4.1.3), or, as "-gap", with a linear layer alone (`PAPER`).
- the small network of the embedded benchmark, "mini", which is a "-gap" form too.

`layers_of` says where the methods that need a place in the network find it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

import torch
from torch import Tensor, nn

from ..errors import WsolbenchError, one_of
from .small import FEATURES as SMALL_FEATURES
from .small import small_trunk
from .trunks import (
    INCEPTION_OPTIONS,
    INCEPTION_TO_MIXED_6E,
    RESNET_STEPS,
    inception_v3_trunk,
    resnet_trunk,
    squeezenet_trunk,
    vgg16_trunk,
)

__all__ = [
    "HEAD_CHANNELS",
    "IMAGENET_MEAN",
    "IMAGENET_STD",
    "PAPER",
    "POOLED",
    "Branch",
    "ClassMapNetwork",
    "Layers",
    "PaperNetwork",
    "PooledNetwork",
    "build_network",
    "layers_of",
    "recorded",
    "to_half_range",
]

Outputs = tuple[Tensor, Tensor, Tensor]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
"""Mean and standard deviation of the channels (RGB, 0..1) in torchvision's training."""

HEAD_CHANNELS = 1024
"""Number of channels in the head of ACoL, for every trunk (paper section 4.1.3)."""

HEAD_DROPOUT = 0.5
"""Dropout rate before each convolution of that head, in training only."""


class ClassMapNetwork(nn.Module, ABC):
    """A network of two parts: `trunk_features`, and `classify` on them."""

    half_range: bool = False

    @abstractmethod
    def trunk_features(self, images: Tensor) -> Tensor:
        """(B, 3, S, S) -> (B, c, h, w)."""

    @abstractmethod
    def classify(self, features: Tensor) -> Outputs:
        """Trunk features -> class maps (B, C, h, w), last features (B, c, h, w), logits (B, C)."""

    @abstractmethod
    def new_branch(self) -> nn.Module:
        """A second classifying part with random weights of its own: features -> as `classify`."""

    @abstractmethod
    def trunk_parameters(self) -> Iterator[nn.Parameter]:
        """The parameters that torchvision's weights fill; all others are the head's."""

    def forward(self, images: Tensor) -> Outputs:
        """(B, 3, S, S) -> class maps (B, C, h, w), features (B, c, h, w), logits (B, C)."""
        return self.classify(self.trunk_features(images))


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


_RESNET = _Pooled(RESNET_STEPS, "fc")
_DENSENET = _Pooled(("features",), "classifier", relu_before=True)
_MOBILE = _Pooled(("features",), "classifier.1")
_REGNET = _Pooled(("stem", "trunk_output"), "fc")
_SHUFFLENET = _Pooled(("conv1", "maxpool", "stage2", "stage3", "stage4", "conv5"), "fc")
_SQUEEZENET = _Pooled(("features",), "classifier.1", relu_after=True)
_SWIN = _Pooled(("features", "norm", "permute"), "head")
_GOOGLENET = _Pooled(
    (
        *("conv1", "maxpool1", "conv2", "conv3", "maxpool2"),
        *("inception3a", "inception3b", "maxpool3"),
        *("inception4a", "inception4b", "inception4c", "inception4d", "inception4e", "maxpool4"),
        *("inception5a", "inception5b"),
    ),
    "fc",
    half_range=True,
    options=INCEPTION_OPTIONS,
)
_INCEPTION_V3 = _Pooled(
    (*INCEPTION_TO_MIXED_6E, "Mixed_7a", "Mixed_7b", "Mixed_7c"),
    "fc",
    half_range=True,
    options=INCEPTION_OPTIONS,
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


class PooledNetwork(ClassMapNetwork):
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

    def trunk_features(self, images: Tensor) -> Tensor:
        """(B, 3, S, S) -> (B, c, h, w)."""
        features = to_half_range(images) if self.half_range else images
        for step in self.plan.steps:
            features = self.network.get_submodule(step)(features)
        return features.relu() if self.plan.relu_before else features

    def classify(self, features: Tensor) -> Outputs:
        """Trunk features -> class maps (B, C, h, w), the same features, logits (B, C)."""
        layer = self.network.get_submodule(self.plan.classifier)
        weight, bias = layer.get_parameter("weight"), layer.get_parameter("bias")
        class_maps = nn.functional.conv2d(features, weight.flatten(1)[:, :, None, None], bias)
        summed = class_maps.relu() if self.plan.relu_after else class_maps
        return class_maps, features, summed.mean(dim=(2, 3))

    def new_branch(self) -> Branch:
        """A linear layer over positions, without the ReLU of SqueezeNet."""
        classes, channels = self._classifier_weight.shape[:2]
        return Branch(channels, classes, head=False)

    def trunk_parameters(self) -> Iterator[nn.Parameter]:
        """All parameters but those of the linear layer."""
        own = {id(part) for part in self.network.get_submodule(self.plan.classifier).parameters()}
        return (part for part in self.parameters() if id(part) not in own)

    def trunk_module(self) -> nn.Module:
        """The layers before the linear layer, under torchvision's names."""
        last = self.plan.classifier.partition(".")[0]
        holder = nn.Module()
        for name, child in self.network.named_children():
            if name != last:
                holder.add_module(name, child)
        return holder

    @property
    def _classifier_weight(self) -> Tensor:
        return self.network.get_submodule(self.plan.classifier).get_parameter("weight")


class Branch(nn.Module):
    """The classifying part of the paper's networks: `head` (empty for "-gap") and `classifier`."""

    def __init__(self, channels: int, classes: int, *, head: bool = True) -> None:
        """Random weights for `channels` features and `classes` classes."""
        super().__init__()
        self.head = _convolutions(channels) if head else nn.Sequential()
        self.classifier = _class_layer(HEAD_CHANNELS if head else channels, classes, head)

    def forward(self, features: Tensor) -> Outputs:
        """(B, c, h, w) -> class maps (B, C, h, w), last features (B, c', h, w), logits (B, C)."""
        features = self.head(features)
        class_maps = self.classifier(features)
        return class_maps, features, class_maps.mean(dim=(2, 3))


def _convolutions(channels: int) -> nn.Sequential:
    return nn.Sequential(
        OrderedDict(
            dropout1=nn.Dropout(HEAD_DROPOUT),
            conv1=nn.Conv2d(channels, HEAD_CHANNELS, kernel_size=3, padding=1),
            relu1=nn.ReLU(),
            dropout2=nn.Dropout(HEAD_DROPOUT),
            conv2=nn.Conv2d(HEAD_CHANNELS, HEAD_CHANNELS, kernel_size=3, padding=1),
            relu2=nn.ReLU(),
        )
    )


def _class_layer(channels: int, classes: int, head: bool) -> nn.Module:
    conv = nn.Conv2d(channels, classes, kernel_size=1)
    if not head:
        return conv
    return nn.Sequential(OrderedDict(dropout=nn.Dropout(HEAD_DROPOUT), conv=conv))


class PaperNetwork(ClassMapNetwork):
    """A `trunk` of stride 8 (4 for "mini"), and a classifying part: `head` and `classifier`.

    With the head of ACoL, the features are the ReLU of its second convolution; without a head, they
    are the trunk's. Photos with ImageNet's mean and deviation are rescaled to -1..1 first if
    `half_range` is true. The parameters of the trunk have torchvision's names after the prefix
    "trunk.".
    """

    def __init__(
        self,
        trunk: nn.Module,
        channels: int,
        classes: int,
        *,
        half_range: bool = False,
        head: bool = True,
    ) -> None:
        """Add a classifying part for `channels` features of the trunk and `classes` classes."""
        super().__init__()
        self.half_range = half_range
        self.trunk = trunk
        self.shape = (channels, classes, head)
        if head:
            self.head = _convolutions(channels)
        self.classifier = _class_layer(HEAD_CHANNELS if head else channels, classes, head)

    def trunk_features(self, images: Tensor) -> Tensor:
        """(B, 3, S, S) -> (B, c, h, w)."""
        features: Tensor = self.trunk(to_half_range(images) if self.half_range else images)
        return features

    def classify(self, features: Tensor) -> Outputs:
        """Trunk features -> class maps (B, C, h, w), last features (B, c, h, w), logits (B, C)."""
        if self.shape[2]:
            features = self.head(features)
        class_maps = self.classifier(features)
        return class_maps, features, class_maps.mean(dim=(2, 3))

    def new_branch(self) -> Branch:
        """A second `head` and `classifier`."""
        channels, classes, head = self.shape
        return Branch(channels, classes, head=head)

    def trunk_parameters(self) -> Iterator[nn.Parameter]:
        """The parameters of the trunk."""
        return self.trunk.parameters()

    def trunk_module(self) -> nn.Module:
        """The trunk, under torchvision's names."""
        return self.trunk


def to_half_range(images: Tensor) -> Tensor:
    """Rescale (B, 3, h, w) from ImageNet's mean and deviation to -1..1 (both 0.5)."""
    mean = images.new_tensor(IMAGENET_MEAN)[:, None, None]
    std = images.new_tensor(IMAGENET_STD)[:, None, None]
    return images * (std / 0.5) + (mean - 0.5) / 0.5


@dataclass(frozen=True)
class _Paper:
    """A network with a trunk of its own: the function that builds the trunk, the trunk's channels,
    whether it takes photos in -1..1, and whether it has the head of ACoL.
    """

    trunk: Callable[[], nn.Module]
    channels: int
    half_range: bool = False
    head: bool = True


_TRUNKS: Mapping[str, _Paper] = {
    "inception_v3": _Paper(inception_v3_trunk, 768, half_range=True),
    "resnet50": _Paper(partial(resnet_trunk, "resnet50"), 2048),
    "resnet101": _Paper(partial(resnet_trunk, "resnet101"), 2048),
    "squeezenet1_1": _Paper(squeezenet_trunk, 512),
    "vgg16": _Paper(partial(vgg16_trunk, batch_norm=False), 512),
    "vgg16_bn": _Paper(partial(vgg16_trunk, batch_norm=True), 512),
}

PAPER: Mapping[str, _Paper] = MappingProxyType(
    {f"{name}-sem": recipe for name, recipe in _TRUNKS.items()}
    | {
        f"{name}-gap": _Paper(own.trunk, own.channels, own.half_range, head=False)
        for name, own in _TRUNKS.items()
    }
    | {"mini": _Paper(small_trunk, SMALL_FEATURES, head=False)}
)
"""The paper's networks: a trunk of stride 8 with the head of ACoL ("-sem") or a linear layer
("-gap"); and the embedded benchmark's, of stride 4."""


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
                recipe.trunk(),
                recipe.channels,
                classes,
                half_range=recipe.half_range,
                head=recipe.head,
            )
        plan = POOLED[name]
        build = getattr(torchvision.models, name)
        network = build(weights=None, num_classes=classes, **dict(plan.options))
        return PooledNetwork(network, plan)


# Places in the networks


@dataclass(frozen=True)
class Layers:
    """Submodules that methods name, as dotted names in a network.

    Attributes:
        adl: where ADL attends and drops.
        shallow, deep: the features of SPG's branches B1 and B2, and `feat3` and `feat4` of SEM
            (supplement, Table 1).
    """

    adl: tuple[str, ...]
    shallow: str
    deep: str

    def within(self, prefix: str) -> Layers:
        """The same places under a prefix."""
        return Layers(
            tuple(f"{prefix}.{name}" for name in self.adl),
            f"{prefix}.{self.shallow}",
            f"{prefix}.{self.deep}",
        )


def _features(*places: int) -> Layers:
    """Places in `features`: ADL's, of which the first two are shallow and deep."""
    first, second = places[:2]
    names = tuple(f"features.{place}" for place in places)
    return Layers(names, f"features.{first}", f"features.{second}")


_RESNET_LAYERS = Layers(("layer3.0", "layer4.0", "layer4.2"), "layer2", "layer3")
_SHORT_RESNET_LAYERS = Layers(("layer3.0", "layer4.0", "layer4.1"), "layer2", "layer3")
_INCEPTION_LAYERS = Layers(("Mixed_5d", "Mixed_6e"), "Mixed_5d", "Mixed_6e")
_LAYERS: Mapping[str, Layers] = {
    "densenet121": Layers(
        ("features.transition2", "features.transition3", "features.norm5"),
        "features.transition2",
        "features.transition3",
    ),
    "efficientnet_b0": _features(3, 5, 8),
    "googlenet": Layers(
        ("inception3b", "inception4e", "inception5b"), "inception3b", "inception4e"
    ),
    "inception_v3": _INCEPTION_LAYERS,
    "mini": Layers(("3", "5", "7"), "2", "4"),
    "mnasnet1_0": Layers(("layers.10", "layers.12", "layers.16"), "layers.9", "layers.11"),
    "mobilenet_v2": _features(6, 13, 18),
    "regnet_y_400mf": Layers(
        ("trunk_output.block2", "trunk_output.block3", "trunk_output.block4"),
        "trunk_output.block2",
        "trunk_output.block3",
    ),
    "resnet18": _SHORT_RESNET_LAYERS,
    "resnet34": _RESNET_LAYERS,
    "resnet50": _RESNET_LAYERS,
    "resnet101": _RESNET_LAYERS,
    "resnext50_32x4d": _RESNET_LAYERS,
    "shufflenet_v2_x1_0": Layers(("stage3", "stage4", "conv5"), "stage2", "stage3"),
    "squeezenet1_0": _features(5, 9, 12),
    "squeezenet1_1": _features(7, 10, 12),
    "vgg16": _features(16, 23, 29),
    "vgg16_bn": _features(23, 33, 42),
}
_LAYERS = {**_LAYERS, "densenet169": _LAYERS["densenet121"]}


def layers_of(name: str) -> Layers:
    """The places of ADL, SPG and SEM's shallower features in a network.

    ADL: VGG16 after pool3, pool4 and conv5_3; ResNet layer3[0], layer4[0], layer4[2]; InceptionV3
    Mixed_5d, Mixed_6e and, with the head of ACoL, its second convolution (Choe and Shim, CVPR 2019,
    and the settings of their released code). SPG: VGG16 pool3 and pool4, ResNet layer2 and layer3,
    InceptionV3 Mixed_5d and Mixed_6e (Zhang et al., ECCV 2018). Those of other networks are our
    choice.

    Args:
        name: a key of `POOLED` or `PAPER`.

    Raises:
        WsolbenchError: no places are known (swin_t, whose features have their channels last).
    """
    bare = name.removesuffix("-sem").removesuffix("-gap")
    if bare not in _LAYERS:
        raise WsolbenchError(
            f"backbone {name!r}",
            found="no known layers for ADL, SPG or shallower features",
            expected=f"one of {one_of(sorted(_LAYERS))}",
            cure="choose another backbone, or a method without such layers (cam, has, cutmix, "
            "acol)",
        )
    found = _LAYERS[bare].within("trunk" if name in PAPER else "network")
    if name == "inception_v3-sem":
        return Layers((*found.adl, "head.relu2"), found.shallow, found.deep)
    return found


@contextmanager
def recorded(network: nn.Module, names: Sequence[str]) -> Iterator[dict[str, Tensor]]:
    """While open, the last output of each named submodule is in the dict that this yields."""
    outputs: dict[str, Tensor] = {}

    def keep(name: str) -> Callable[[nn.Module, tuple[object, ...], Tensor], None]:
        def hook(module: nn.Module, inputs: tuple[object, ...], output: Tensor) -> None:
            outputs[name] = output

        return hook

    handles = [network.get_submodule(name).register_forward_hook(keep(name)) for name in names]
    try:
        yield outputs
    finally:
        for handle in handles:
            handle.remove()
