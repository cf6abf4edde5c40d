"""The embedded benchmark's classifier: a small fully convolutional network with its weights.

Two strided convolutions reduce photos to stride 4, five dilated ones with skip connections have a
receptive field of about 70 pixels, a 1x1 convolution gives the features and another one the class
maps, whose mean over positions is the logits (a small version of the network of Zhang et al.,
"Adversarial complementary learning", CVPR 2018). Photos of 128 give maps of 32x32. `train` computed
the weights from class labels only.
"""

from __future__ import annotations

import os
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from ..baselines.backbones import ClassMapModel
from ..baselines.weights import fill, read_state_dict
from ..files import replacing, sha256_of
from .scenes import CLASSES

__all__ = [
    "SIZE",
    "WEIGHTS",
    "Network",
    "load",
    "normalise",
    "preprocess",
    "read_weights",
    "write_weights",
]

SIZE = 128
"""Side in pixels of the training pictures."""

WEIGHTS = Path(__file__).with_name("classifier.npz")
"""The weights included in the package."""

_MEAN, _DEVIATION = 0.45, 0.25
_WIDTH, _FEATURES = 48, 96
_DILATIONS = (1, 2, 2, 2, 1)


class Network(nn.Module):
    """The network, with random weights until `read_weights` fills it."""

    def __init__(self, classes: int = len(CLASSES)) -> None:
        """A network for `classes` classes."""
        super().__init__()
        self.trunk = nn.Sequential(
            _Step(3, 24, kernel=5, stride=2),
            _Step(24, _WIDTH, stride=2),
            *(_Step(_WIDTH, _WIDTH, dilation=dilation, skip=True) for dilation in _DILATIONS),
            _Step(_WIDTH, _FEATURES, kernel=1),
        )
        self.classifier = nn.Conv2d(_FEATURES, classes, kernel_size=1)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, 3, S, S) -> class maps (B, C, h, w), features (B, 96, h, w), logits (B, C)."""
        features = self.trunk(images)
        class_maps = self.classifier(features)
        return class_maps, features, class_maps.mean(dim=(2, 3))


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


def load(weights: str | os.PathLike[str] | None = None) -> ClassMapModel:
    """The classifier, ready to predict on the CPU.

    Args:
        weights: a file written by `train`; by default the one in the package.

    Raises:
        WsolbenchError: the file is missing or contains something else.
    """
    file = WEIGHTS if weights is None else Path(weights)
    network = Network()
    read_weights(file, network)
    return ClassMapModel(
        name="mini",
        module=network.eval(),
        preprocess=preprocess,
        provenance=MappingProxyType({"weights": file.name, "weights_sha256": sha256_of(file)}),
    )


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


def write_weights(file: str | os.PathLike[str], network: Network) -> None:
    """Write weights to an .npz file, kernels as float16 and the others as float32."""
    arrays = {
        name: tensor.detach().numpy().astype(np.float16 if tensor.ndim == 4 else np.float32)
        for name, tensor in _kept(network).items()
    }
    with replacing(file) as temporary, open(temporary, "wb") as opened:
        np.savez_compressed(opened, allow_pickle=False, **arrays)


def read_weights(file: str | os.PathLike[str], network: Network) -> None:
    """Fill a network in place from a file of `write_weights`.

    Raises:
        WsolbenchError: the file is missing or damaged, or its names or shapes differ.
    """
    fill(
        network,
        read_state_dict(file)[0],
        file,
        skipped=(),
        cure=lambda: "create the file with python -m wsolbench.mini.train",
    )


def _kept(network: Network) -> dict[str, Tensor]:
    state = network.state_dict()
    return {name: state[name] for name in state if not name.endswith("num_batches_tracked")}
