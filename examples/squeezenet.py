"""SqueezeNet 1.1 as a custom model: `--model examples.squeezenet:model`.

`python -m examples.squeezenet --out squeezenet.pth` writes the same weights for torchvision's own
network and preprocessing (`--backbone squeezenet1_1`), as a start of training.

The environment variable SQUEEZENET_NPZ names the .npz file of weights: the arrays `<layer>.weight`
(out, in, kh, kw) and `<layer>.bias` of conv1, fire2 .. fire9 (squeeze, e1, e3) and conv10. Photos
are resized without cropping, as BGR in 0..255 minus the channel means. The 1000 channels of conv10,
before any ReLU, are the class maps, their means the logits, and its 512 inputs the features.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torchvision.models import squeezenet1_1

from wsolbench.baselines import ClassMapModel
from wsolbench.baselines.networks import IMAGENET_MEAN, IMAGENET_STD
from wsolbench.errors import WsolbenchError
from wsolbench.files import replacing, require_file, sha256_of

VARIABLE = "SQUEEZENET_NPZ"

BGR_MEANS = (104.0, 117.0, 123.0)

FIRE_PLACES = {2: 3, 3: 4, 4: 6, 5: 7, 6: 9, 7: 10, 8: 11, 9: 12}
"""Positions of fire2 .. fire9 in torchvision's `features`."""

FIRE_PARTS = {"squeeze": "squeeze", "e1": "expand1x1", "e3": "expand3x3"}


class SqueezeNet(nn.Module):
    """(B, 3, S, S) -> class maps (B, 1000, h, w), features (B, 512, h, w), logits (B, 1000)."""

    def __init__(self) -> None:
        super().__init__()
        self.features: nn.Module = squeezenet1_1(weights=None).features
        self.conv10 = nn.Conv2d(512, 1000, kernel_size=1)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        features = self.features(images)
        class_maps = self.conv10(features)
        return class_maps, features, class_maps.mean(dim=(2, 3))


def model() -> ClassMapModel:
    """The network with the weights of the file named in SQUEEZENET_NPZ."""
    if VARIABLE not in os.environ:
        raise WsolbenchError(
            VARIABLE,
            found="the environment variable is not set",
            cure="set it to the .npz file of weights",
        )
    path = require_file(os.environ[VARIABLE], "SqueezeNet's weights (.npz)")
    network = SqueezeNet()
    network.load_state_dict(_state(path))
    return ClassMapModel(
        "squeezenet1_1", network.eval(), bgr_input, provenance={"weights_sha256": sha256_of(path)}
    )


def bgr_input(image: Image.Image, size: int) -> Tensor:
    """(3, size, size) float32: blue, green, red in 0..255 minus their means."""
    resized = image.convert("RGB").resize((size, size), Image.Resampling.BILINEAR)
    levels = np.asarray(resized, dtype=np.float32)[:, :, ::-1] - np.array(BGR_MEANS, np.float32)
    return torch.from_numpy(np.ascontiguousarray(levels.transpose(2, 0, 1)))


def _state(path: Path) -> dict[str, Tensor]:
    names = {"conv1": "features.0", "conv10": "conv10"}
    for fire, place in FIRE_PLACES.items():
        for part, torchvisions in FIRE_PARTS.items():
            names[f"fire{fire}.{part}"] = f"features.{place}.{torchvisions}"
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {
                f"{name}.{kind}": torch.from_numpy(arrays[f"{layer}.{kind}"])
                for layer, name in names.items()
                for kind in ("weight", "bias")
            }
    except (KeyError, ValueError, OSError) as error:
        raise WsolbenchError(
            path, found=f"not the weights of SqueezeNet 1.1 ({error})", cure="check the file"
        ) from error


def for_torchvision(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same function of photos in RGB with ImageNet's mean and deviation, for torchvision.

    A channel of the input is 255 (deviation x + mean) - (its own mean here): the first convolution
    takes over the factor and the difference. It has no padding, so this holds at the edges too.
    """
    weight = state["features.0.weight"].flip(1)
    factor = 255 * torch.tensor(IMAGENET_STD)
    shift = 255 * torch.tensor(IMAGENET_MEAN) - torch.tensor(BGR_MEANS).flip(0)
    added = (weight * shift[:, None, None]).sum(dim=(1, 2, 3))
    names = {f"conv10.{kind}": f"classifier.1.{kind}" for kind in ("weight", "bias")}
    return {
        **{names.get(name, name): tensor for name, tensor in state.items()},
        "features.0.weight": weight * factor[:, None, None],
        "features.0.bias": state["features.0.bias"] + added,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="SqueezeNet's weights for torchvision.")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    own = model().module.state_dict()
    with replacing(options.out) as temporary:
        torch.save(for_torchvision(dict(own)), temporary)


if __name__ == "__main__":
    try:
        main()
    except WsolbenchError as error:
        sys.exit(str(error))
