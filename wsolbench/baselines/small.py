"""The small network of the embedded benchmark, backbone "mini".

Two strided convolutions reduce photos to stride 4, five dilated ones with skip connections have a
receptive field of about 70 pixels, and a 1x1 convolution gives 96 features. Photos of 128 give
features of 32x32.
"""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

__all__ = ["FEATURES", "SIZE", "normalise", "preprocess", "small_trunk"]

SIZE = 128
"""Side in pixels of the photos on which the network is trained."""

FEATURES = 96
"""Number of channels of the last features."""

_MEAN, _DEVIATION = 0.45, 0.25
_WIDTH = 48
_DILATIONS = (1, 2, 2, 2, 1)


def small_trunk() -> nn.Sequential:
    """(B, 3, S, S) -> (B, 96, S / 4, S / 4), with random weights."""
    return nn.Sequential(
        _Step(3, 24, kernel=5, stride=2),
        _Step(24, _WIDTH, stride=2),
        *(_Step(_WIDTH, _WIDTH, dilation=dilation, skip=True) for dilation in _DILATIONS),
        _Step(_WIDTH, FEATURES, kernel=1),
    )


class _Step(nn.Module):
    """Convolution, batch norm, addition of the input if `skip`, ReLU."""

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        *,
        kernel: int = 3,
        stride: int = 1,
        dilation: int = 1,
        skip: bool = False,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            channels_in,
            channels_out,
            kernel,
            stride=stride,
            padding=dilation * (kernel // 2),
            dilation=dilation,
            bias=False,
        )
        self.norm = nn.BatchNorm2d(channels_out)
        self.skip = skip

    def forward(self, features: Tensor) -> Tensor:
        result: Tensor = self.norm(self.conv(features))
        return (result + features if self.skip else result).relu()


def preprocess(image: Image.Image, size: int) -> Tensor:
    """Preprocess a photo without cropping and without keeping its aspect ratio.

    Args:
        image: a photo of any mode, converted to RGB.
        size: side in pixels; the network was trained at `SIZE`.

    Returns:
        (3, size, size) float32, bilinear, antialiased, minus 0.45, divided by 0.25.
    """
    resized = image.convert("RGB").resize((size, size), Image.Resampling.BILINEAR)
    return normalise(torch.from_numpy(np.array(resized))[None])[0]


def normalise(images: Tensor) -> Tensor:
    """(B, h, w, 3) uint8 -> (B, 3, h, w) float32, minus 0.45, divided by 0.25."""
    scaled = images.permute(0, 3, 1, 2).to(torch.float32) / 255
    return ((scaled - _MEAN) / _DEVIATION).contiguous()
