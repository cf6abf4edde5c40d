"""Class activation maps.

The map of a class is that class's channel of the class maps: the last 1x1 convolution's output, or
w_c . F(p) of a network whose logits are a linear layer over mean features (Zhou et al., "Learning
deep features for discriminative localization", CVPR 2016). The two are equivalent (Zhang et al.,
"Adversarial complementary learning", CVPR 2018; paper section 3.2). There is no ReLU.

Maps are normalised at feature size, before any upsampling: here by `min_max`; `predict` also offers
the other `normalisations`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import WsolbenchError, require_type

__all__ = ["class_activation_maps", "class_channels", "min_max"]


def class_activation_maps(class_maps: Tensor, labels: Tensor) -> Tensor:
    """The class activation map of each image's class.

    Args:
        class_maps: (B, C, h, w) floating; a constant added to a channel changes nothing.
        labels: (B,) integer, 0..C-1: the class of each image.

    Returns:
        (B, h, w) float32 in [0, 1]; each map reaches both ends, except that a constant map gives
        zeros.

    Raises:
        WsolbenchError: a shape is wrong, or a label is out of range.
    """
    return min_max(class_channels(class_maps, labels))


def class_channels(class_maps: Tensor, labels: Tensor) -> Tensor:
    """The channel of each image's class, unchanged: (B, C, h, w) and (B,) -> (B, h, w).

    Raises:
        WsolbenchError: a shape is wrong, or a label is out of range.
    """
    for name, given in (("class maps", class_maps), ("labels", labels)):
        require_type(name, given, (Tensor,), "a torch.Tensor")
    if class_maps.ndim != 4 or labels.shape != class_maps.shape[:1]:
        raise WsolbenchError(
            "class maps",
            found=f"shape {tuple(class_maps.shape)} and labels of shape {tuple(labels.shape)}",
            expected="(B, C, h, w) and (B,)",
            cure="pass one label per image",
        )
    classes = class_maps.shape[1]
    if labels.is_floating_point() or bool(((labels < 0) | (labels >= classes)).any()):
        raise WsolbenchError(
            "labels",
            found=f"{labels.dtype} with values such as {_outside(labels, classes)}",
            expected=f"integers 0..{classes - 1}",
            cure="number the classes as the model does",
        )
    images = torch.arange(class_maps.shape[0], device=class_maps.device)
    return class_maps[images, labels.to(class_maps.device, torch.int64)]


def min_max(maps: Tensor) -> Tensor:
    """Shift and scale each map to [0, 1]: (m - min m) / (max m - min m).

    Args:
        maps: (..., h, w) floating, finite.

    Returns:
        The same shape, float32. A constant map gives zeros, because it localizes nothing.
    """
    require_type("maps", maps, (Tensor,), "a torch.Tensor")
    maps = maps.to(torch.float32)
    low = maps.amin(dim=(-2, -1), keepdim=True)
    spread = maps.amax(dim=(-2, -1), keepdim=True) - low
    return (maps - low) / torch.where(spread > 0, spread, 1.0)


def _outside(labels: Tensor, classes: int) -> str:
    wrong = labels[(labels < 0) | (labels >= classes)]
    return str((wrong if wrong.numel() else labels).flatten()[:3].tolist())
