"""Hide-and-Seek (HaS): patches of the input are hidden at random in training.

Follows Singh and Lee, ICCV 2017, and the values of its released code: each image is divided into
square patches from its upper left corner, those at the right and lower edge being cut off; each
patch is hidden with probability .5 by the mean colour of the training set. The side of the patches
is drawn for each image. Nothing is hidden at test.

Convention: the mean colour is zero, because photos are normalised before they are hidden.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .method import Method
from .settings import HasSettings

__all__ = ["HideAndSeek", "hide_patches"]


def hide_patches(
    images: Tensor, sizes: Sequence[int], rate: float, generator: torch.Generator
) -> Tensor:
    """Hide random patches of each image.

    Args:
        images: (B, 3, H, W); not changed.
        sizes: sides of the patches in pixels, of which one is drawn for each image; 0 hides
            nothing.
        rate: probability with which each patch is hidden, 0..1.
        generator: a generator of the CPU.

    Returns:
        (B, 3, H, W), zero where hidden.
    """
    height, width = images.shape[2:]
    drawn = torch.randint(len(sizes), (len(images),), generator=generator)
    shown = torch.ones((len(images), 1, height, width), dtype=torch.bool)
    for image, choice in enumerate(drawn.tolist()):
        side = sizes[choice]
        if side == 0:
            continue
        rows, columns = -(-height // side), -(-width // side)
        kept = torch.rand((rows, columns), generator=generator) >= rate
        patches = kept.repeat_interleave(side, 0).repeat_interleave(side, 1)
        shown[image, 0] = patches[:height, :width]
    return torch.where(shown.to(images.device), images, 0.0)


class HideAndSeek(Method[HasSettings]):
    """HaS: cross-entropy on images with hidden patches."""

    def training_loss(
        self, images: Tensor, labels: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """As in `Method`."""
        own = self.settings
        hidden = hide_patches(images, own.patch_sizes, own.hide_rate, generator)
        logits = self.network(hidden)[2]
        return nn.functional.cross_entropy(logits, labels), logits
