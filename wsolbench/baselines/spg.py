"""SPG: a network's own confident pixels teach three more branches what is foreground.

Follows Zhang et al., ECCV 2018. Branches B1 and B2 look at shallow and deep features of the trunk,
C at the last features; each gives one logit a position. From a map in [0, 1], pixels above a high
level are foreground, below a low level background, and the others are ignored; if an image has
fewer than 30 foreground pixels, the high level of that image alone becomes .7 of its maximum,
even where that is higher. B2 learns from the class map, B1 from B2, C from the mean of B1 and B2;
the map of a class is the network's own class map. The branches are not used at test.

Conventions: maps and logits are upsampled (bilinear) to the input's size before they are compared;
the class map is detached and min-maxed after that; no branch learns through another's seeds.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .cam import class_channels, min_max
from .method import Method
from .networks import ClassMapNetwork, layers_of, recorded
from .settings import SpgSettings

__all__ = ["FEWEST", "IGNORED", "SelfProducedGuidance", "seed_labels", "seed_loss"]

FEWEST = 30
"""Foreground pixels below which an image's high level is replaced."""

LOWERED = 0.7
"""The other level, as a share of the image's maximum; lower, unless the high one is below .7."""

IGNORED = -1.0

SIDE = 96
"""Side of the empty photo on which channels are counted; torchvision's InceptionV3 needs 75."""


def seed_labels(maps: Tensor, high: float, low: float) -> Tensor:
    """Foreground and background of maps.

    Args:
        maps: (B, H, W) in [0, 1].
        high: pixels above are foreground.
        low: pixels below are background.

    Returns:
        (B, H, W) float32: 1 foreground, 0 background, -1 ignored.
    """
    maps = maps.detach().to(torch.float32)
    levels = torch.full((len(maps), 1, 1), high, device=maps.device)
    few = (maps > high).sum(dim=(1, 2), keepdim=True) < FEWEST
    levels = torch.where(few, LOWERED * maps.amax(dim=(1, 2), keepdim=True), levels)
    labels = torch.full_like(maps, IGNORED)
    labels[maps > levels] = 1.0
    labels[maps < low] = 0.0  # a lowered level may lie below the low one
    return labels


def seed_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Binary cross-entropy over the pixels that are not ignored; zero if there are none.

    Args:
        logits: (B, H, W).
        labels: (B, H, W) of `seed_labels`.
    """
    counted = labels != IGNORED
    losses = nn.functional.binary_cross_entropy_with_logits(
        logits, labels.clamp(min=0.0), reduction="none"
    )
    return torch.where(counted, losses, 0.0).sum() / counted.sum().clamp(min=1)


class SelfProducedGuidance(Method[SpgSettings]):
    """SPG: the branches `b1`, `b2` (sharing `shared`) and `c` beside the network."""

    def __init__(self, network: ClassMapNetwork, settings: SpgSettings, backbone: str) -> None:
        """Add the branches with random weights."""
        super().__init__(network, settings, backbone)
        layers = layers_of(backbone)
        self._taps = (layers.shallow, layers.deep)
        shallow, deep, last = _channels(network, self._taps)
        width = settings.width
        self.b1 = _convolution(shallow, width)
        self.b2 = _convolution(deep, width)
        self.shared = nn.Sequential(_convolution(width, width), nn.Conv2d(width, 1, kernel_size=1))
        self.c = nn.Sequential(_convolution(last, width), nn.Conv2d(width, 1, kernel_size=1))

    def training_loss(
        self, images: Tensor, labels: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """As in `Method`."""
        with recorded(self.network, self._taps) as outputs:
            class_maps, features, logits = self.network(images)
        size = images.shape[-2:]
        b1 = _upsampled(self.shared(self.b1(outputs[self._taps[0]])), size)
        b2 = _upsampled(self.shared(self.b2(outputs[self._taps[1]])), size)
        c = _upsampled(self.c(features), size)
        own = self.settings
        attention = class_channels(class_maps, labels).detach()[:, None]
        attention = min_max(_upsampled(attention, size))
        both = (b1.sigmoid() + b2.sigmoid()) / 2
        loss = nn.functional.cross_entropy(logits, labels)
        loss = loss + seed_loss(b2, seed_labels(attention, own.b2_high, own.b2_low))
        loss = loss + seed_loss(b1, seed_labels(b2.sigmoid(), own.b1_high, own.b1_low))
        loss = loss + seed_loss(c, seed_labels(both, own.c_high, own.c_low))
        return loss, logits


def _convolution(channels: int, width: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels, width, kernel_size=3, padding=1), nn.ReLU())


def _upsampled(maps: Tensor, size: torch.Size) -> Tensor:
    """(B, 1, h, w) -> (B, H, W) float32, bilinear."""
    return nn.functional.interpolate(
        maps.to(torch.float32), size=size, mode="bilinear", align_corners=False
    )[:, 0]


def _channels(network: ClassMapNetwork, taps: tuple[str, str]) -> tuple[int, int, int]:
    """Channels of the features at both places and of the last features, seen on an empty photo."""
    training = network.training
    device = next(network.parameters()).device
    with torch.no_grad(), recorded(network.eval(), taps) as outputs:
        last = network(torch.zeros((1, 3, SIDE, SIDE), device=device))[1]
    network.train(training)
    return outputs[taps[0]].shape[1], outputs[taps[1]].shape[1], last.shape[1]
