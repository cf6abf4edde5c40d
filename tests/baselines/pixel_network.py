"""A classifier whose trunk is the photo itself, so that every output can be computed by hand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from wsolbench.baselines.networks import Branch, ClassMapNetwork


class PixelNetwork(ClassMapNetwork):
    """Class maps are `weights` (C, 3) times the three channels, plus `bias` (C,).

    `seen` holds the photos of each pass.
    """

    def __init__(self, weights: Sequence[Sequence[float]], bias: Sequence[float]) -> None:
        super().__init__()
        self.classifier = class_layer(weights, bias)
        self.seen: list[Tensor] = []

    def trunk_features(self, images: Tensor) -> Tensor:
        self.seen.append(images)
        return images

    def classify(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        class_maps = self.classifier(features)
        return class_maps, features, class_maps.mean(dim=(2, 3))

    def new_branch(self) -> nn.Module:
        return Branch(3, self.classifier.out_channels, head=False)

    def trunk_parameters(self) -> Iterator[nn.Parameter]:
        return iter(())


def class_layer(weights: Sequence[Sequence[float]], bias: Sequence[float]) -> nn.Conv2d:
    """A 1x1 convolution with these numbers."""
    layer = nn.Conv2d(len(weights[0]), len(weights), 1)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(weights)[:, :, None, None])
        layer.bias.copy_(torch.tensor(bias))
    return layer


def drawing(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
