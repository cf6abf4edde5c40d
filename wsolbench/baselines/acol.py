"""ACoL: two classifying parts on the same features, the second without what the first looks at.

Follows Zhang et al., CVPR 2018: the class map of part A, min-maxed and detached, erases the
features from part B wherever it reaches delta; the loss is CE(A) + CE(B); the map of a class is the
maximum of both parts' min-maxed maps. The logits and the features (for SEM) are those of part A.

The erasing needs a class for each image: in training its label, at test the class whose map is
asked for. With maps of the ground-truth class, the label so decides what B sees, which a submission
states; with maps of the predicted class it does not.

The maps are min-maxed, not divided by their maximum: a bias of the class layer cancels.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .cam import class_channels, min_max
from .method import Choose, Method, Outputs
from .networks import ClassMapNetwork
from .settings import AcolSettings

__all__ = ["AdversarialComplementary", "erased"]


def erased(features: Tensor, class_map: Tensor, delta: float) -> Tensor:
    """Features where a class map is below delta, zero elsewhere.

    Args:
        features: (B, c, h, w).
        class_map: (B, h, w), raw; min-maxed here and detached.
        delta: 0..1.
    """
    kept = min_max(class_map.detach()) < delta
    return features * kept[:, None].to(features.dtype)


class AdversarialComplementary(Method[AcolSettings]):
    """ACoL: part A is the network's own, `branch` is part B."""

    class_dependent = True

    def __init__(self, network: ClassMapNetwork, settings: AcolSettings, backbone: str) -> None:
        """Add part B with random weights."""
        super().__init__(network, settings, backbone)
        self.branch = network.new_branch()

    def training_loss(
        self, images: Tensor, labels: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """As in `Method`; the logits are those of part A."""
        features = self.network.trunk_features(images)
        class_maps, _, logits = self.network.classify(features)
        other = self.branch(self._without(features, class_maps, labels))[2]
        loss = nn.functional.cross_entropy(logits, labels)
        return loss + nn.functional.cross_entropy(other, labels), logits

    def forward(self, images: Tensor, choose: Choose | None = None) -> Outputs:
        """As in `Method`.

        Args:
            images: (B, 3, S, S).
            choose: the class whose map erases, of each image; by default the predicted one.

        Returns:
            Class maps in [0, 1], features of part A, logits of part A.
        """
        features = self.network.trunk_features(images)
        class_maps, last, logits = self.network.classify(features)
        labels = logits.argmax(dim=1) if choose is None else choose(logits)
        others = self.branch(self._without(features, class_maps, labels))[0]
        return torch.maximum(min_max(class_maps), min_max(others)), last, logits

    def _without(self, features: Tensor, class_maps: Tensor, labels: Tensor) -> Tensor:
        return erased(features, class_channels(class_maps, labels), self.settings.delta)
