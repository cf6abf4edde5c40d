"""ADL: in training, features at chosen layers are weighted by their attention, or its peak dropped.

Follows Choe and Shim, CVPR 2019: the attention a of a position is the mean of its channels; the
drop mask is 0 where a >= gamma * max(a) of the image and 1 elsewhere, the importance map is
sigmoid(a). One draw a batch decides: the drop mask with the drop rate, else the importance map,
multiplies the features. At test, features pass unchanged.

The layers have no parameters and are attached as hooks, so that the names of pretrained weights
stay (a layer put into a Sequential would shift them).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .method import Method
from .networks import ClassMapNetwork, layers_of
from .settings import AdlSettings

__all__ = ["AttentionDropout", "attention_dropped", "drop_mask"]


def drop_mask(features: Tensor, gamma: float) -> Tensor:
    """(B, c, h, w) -> (B, 1, h, w): 1 where the attention is below gamma times its maximum."""
    attention = features.mean(dim=1, keepdim=True)
    highest = attention.amax(dim=(2, 3), keepdim=True)
    return (attention < gamma * highest).to(features.dtype)


def attention_dropped(features: Tensor, gamma: float, *, drop: bool) -> Tensor:
    """Features times the drop mask, or times the importance map; (B, c, h, w)."""
    if drop:
        return features * drop_mask(features, gamma)
    return features * features.mean(dim=1, keepdim=True).sigmoid()


class AttentionDropout(Method[AdlSettings]):
    """ADL: cross-entropy with attention-based dropout at the layers that `layers_of` names."""

    def __init__(self, network: ClassMapNetwork, settings: AdlSettings, backbone: str) -> None:
        """Attach the layers to the network."""
        super().__init__(network, settings, backbone)
        self._generator: torch.Generator | None = None
        for name in layers_of(backbone).adl:
            network.get_submodule(name).register_forward_hook(self._attend)

    def training_loss(
        self, images: Tensor, labels: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """As in `Method`."""
        self._generator = generator
        try:
            return super().training_loss(images, labels, generator)
        finally:
            self._generator = None

    def _attend(self, module: nn.Module, inputs: tuple[object, ...], output: Tensor) -> Tensor:
        if self._generator is None:
            return output
        drop = float(torch.rand((), generator=self._generator)) < self.settings.drop_rate
        return attention_dropped(output, self.settings.gamma, drop=drop)
