"""Trunks of stride 8: torchvision classifiers without their last layers, with larger feature maps.

The last two steps of stride 2 become stride 1 (paper section 4.1.3), so that photos of 224 give
features of 28x28 and photos of 320 features of 40x40. No parameter changes its name or shape, so
torchvision's ImageNet weights fit.

- VGG16: the pools after conv4_3 and conv5_3 are 3x3 at stride 1 (2x2 would drop a row), as in ACoL.
- ResNet50, ResNet101: layer3 and layer4 are at stride 1.
- InceptionV3: the stem is padded, Mixed_6a is at stride 1, and there is no Mixed_7 (as in SPG).
- SqueezeNet 1.1: the first convolution is padded and the last pool is at stride 1 (our choice).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

__all__ = [
    "INCEPTION_OPTIONS",
    "INCEPTION_TO_MIXED_6E",
    "RESNET_STEPS",
    "Trunk",
    "inception_v3_trunk",
    "resnet_trunk",
    "squeezenet_trunk",
    "vgg16_trunk",
]

RESNET_STEPS = ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4")

INCEPTION_OPTIONS = (("aux_logits", False), ("transform_input", True), ("init_weights", False))
"""Arguments of torchvision's constructors of GoogLeNet and InceptionV3."""

INCEPTION_TO_MIXED_6E = (
    *("Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "maxpool1"),
    *("Conv2d_3b_1x1", "Conv2d_4a_3x3", "maxpool2", "Mixed_5b", "Mixed_5c", "Mixed_5d"),
    *("Mixed_6a", "Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e"),
)


class Trunk(nn.Module):
    """Submodules of a torchvision classifier, under their names, applied in sequence."""

    def __init__(self, network: nn.Module, steps: Sequence[str]) -> None:
        """Take the submodules `steps` from `network`."""
        super().__init__()
        self.steps = tuple(steps)
        for step in steps:
            self.add_module(step, network.get_submodule(step))

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, S, S) -> features (B, c, h, w)."""
        features = images
        for step in self.steps:
            features = self.get_submodule(step)(features)
        return features


def vgg16_trunk(*, batch_norm: bool) -> Trunk:
    """VGG16 up to its last pool: 512 channels."""
    from torchvision.models import vgg

    layers = vgg.make_layers(vgg.cfgs["D"], batch_norm=batch_norm)
    pools = [i for i, layer in enumerate(layers) if isinstance(layer, nn.MaxPool2d)]
    for index in pools[3:]:
        layers[index] = nn.MaxPool2d(kernel_size=3, stride=1, padding=1)
    holder = nn.Module()
    holder.add_module("features", layers)
    return Trunk(holder, ("features",))


def resnet_trunk(name: str) -> Trunk:
    """torchvision's "resnet50" or "resnet101" up to layer4: 2048 channels."""
    import torchvision

    network = getattr(torchvision.models, name)(weights=None)
    for layer in (network.layer3, network.layer4):
        layer[0].conv2.stride = (1, 1)
        layer[0].downsample[0].stride = (1, 1)
    return Trunk(network, RESNET_STEPS)


def inception_v3_trunk() -> Trunk:
    """InceptionV3 up to Mixed_6e: 768 channels."""
    import torchvision

    network = torchvision.models.inception_v3(weights=None, **dict(INCEPTION_OPTIONS))
    network.Conv2d_1a_3x3.conv.padding = (1, 1)
    for name in ("maxpool1", "maxpool2"):
        padded = nn.MaxPool2d(kernel_size=3, stride=2, padding=1, ceil_mode=True)
        setattr(network, name, padded)
    network.Mixed_6a = _SameSizeReduction(network.Mixed_6a)
    return Trunk(network, INCEPTION_TO_MIXED_6E)


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


def squeezenet_trunk() -> Trunk:
    """SqueezeNet 1.1 up to fire9: 512 channels."""
    import torchvision

    network = torchvision.models.squeezenet1_1(weights=None)
    network.features[0].padding = (1, 1)
    network.features[8] = nn.MaxPool2d(kernel_size=3, stride=1, padding=1)
    return Trunk(network, ("features",))
