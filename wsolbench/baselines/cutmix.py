"""CutMix: a box of each image is replaced by that of another image, and so is a share of its label.

Follows Yun et al., ICCV 2019 (Algorithm A1): lambda ~ Beta(alpha, alpha); a box whose sides are
sqrt(1 - lambda) of the image's, with a centre drawn uniformly, is cut off at the image's edges;
lambda becomes the share of the image that is its own; the loss is lambda CE(own label) +
(1 - lambda) CE(other label). One lambda, box and permutation a batch.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from .method import Method
from .settings import CutMixSettings

__all__ = ["CutMix", "cut_mix", "mixing_box"]


def mixing_box(
    height: int, width: int, share: float, centre: tuple[int, int]
) -> tuple[int, int, int, int]:
    """The box to replace.

    Args:
        height: of the image in pixels.
        width: of the image in pixels.
        share: lambda as drawn, 0..1: the share of the image that the uncut box leaves.
        centre: (y, x) of the box in pixels.

    Returns:
        (x0, y0, x1, y1), half-open, within the image; it may be empty.
    """
    side = (1.0 - share) ** 0.5
    down, across = int(height * side) // 2, int(width * side) // 2
    y, x = centre
    return (
        max(0, x - across),
        max(0, y - down),
        min(width, x + across),
        min(height, y + down),
    )


def cut_mix(
    images: Tensor, labels: Tensor, alpha: float, generator: torch.Generator
) -> tuple[Tensor, Tensor, float]:
    """Mix the images of a batch.

    Args:
        images: (B, 3, H, W); not changed.
        labels: (B,) int64.
        alpha: parameter of the Beta distribution, above 0.
        generator: a generator of the CPU.

    Returns:
        The mixed images, the labels of the other images, and lambda: the share of each image that
        is its own, by pixels.
    """
    height, width = images.shape[2:]
    drawn = int(torch.randint(2**62, (), generator=generator))
    share = float(np.random.default_rng(drawn).beta(alpha, alpha))
    y = int(torch.randint(height, (), generator=generator))
    x = int(torch.randint(width, (), generator=generator))
    order = torch.randperm(len(images), generator=generator).to(images.device)
    x0, y0, x1, y1 = mixing_box(height, width, share, (y, x))
    mixed = images.clone()
    mixed[:, :, y0:y1, x0:x1] = images[order, :, y0:y1, x0:x1]
    own = 1.0 - (y1 - y0) * (x1 - x0) / (height * width)
    return mixed, labels[order], own


class CutMix(Method[CutMixSettings]):
    """CutMix: cross-entropy with both labels of mixed images."""

    def training_loss(
        self, images: Tensor, labels: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """As in `Method`."""
        if float(torch.rand((), generator=generator)) >= self.settings.mix_rate:
            return super().training_loss(images, labels, generator)
        mixed, others, own = cut_mix(images, labels, self.settings.alpha, generator)
        logits = self.network(mixed)[2]
        loss = own * nn.functional.cross_entropy(logits, labels)
        return loss + (1 - own) * nn.functional.cross_entropy(logits, others), logits
