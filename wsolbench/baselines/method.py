"""What a method adds to a network in training; CAM adds nothing, and the others are variants of it.

A method is a module around a `ClassMapNetwork`. `training_loss` is its objective on a batch;
`forward` gives class maps, features and logits, as every `ClassMapModel`'s module does, and draws
or hides nothing in evaluation mode.

Conventions: whatever a method draws comes from the generator that it is given, so that a seed
decides everything; images are (B, 3, S, S) float, zero being the mean colour; labels (B,) int64.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

from .networks import ClassMapNetwork
from .settings import CamSettings, Settings

__all__ = ["CamMethod", "Choose", "Method", "Outputs"]

Outputs = tuple[Tensor, Tensor, Tensor]

Choose = Callable[[Tensor], Tensor]
"""Logits (B, C) -> the class of each image (B,)."""

Own = TypeVar("Own", bound=Settings)


class Method(nn.Module, Generic[Own]):
    """A network in the training of a method; this class alone is CAM.

    Attributes:
        network: the classifier.
        settings: of the method.
        class_dependent: `forward` needs to know the class of each image (see `ClassMapModel`).
    """

    class_dependent = False

    def __init__(self, network: ClassMapNetwork, settings: Own, backbone: str) -> None:
        """Wrap a network.

        Args:
            network: in any mode; it is changed by training.
            settings: of the method.
            backbone: the network's name, which says where its layers are.
        """
        super().__init__()
        self.network = network
        self.settings = settings
        self.backbone = backbone

    def training_loss(
        self, images: Tensor, labels: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """The objective on a batch.

        Returns:
            The loss, a scalar with gradient, and the logits (B, C).
        """
        logits = self.network(images)[2]
        return nn.functional.cross_entropy(logits, labels), logits

    def forward(self, images: Tensor, choose: Choose | None = None) -> Outputs:
        """(B, 3, S, S) -> class maps (B, C, h, w), features (B, c, h, w), logits (B, C)."""
        outputs: Outputs = self.network(images)
        return outputs


class CamMethod(Method[CamSettings]):
    """CAM: the classifier as it is."""
