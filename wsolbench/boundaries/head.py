"""The boundary detector: a head on four blocks of a frozen classifier, and the localization map.

Follows Zhang et al., "Rethinking localization map: towards accurate object perception with
self-enhancement maps", section 4.1.3: the features of the first to fourth blocks pass a 3x3
convolution, batch norm and ReLU to 128 channels and are upsampled to 160x160; with the localization
map they pass three convolutions to the logit of an edge. The paper does not say more of the three:
here two are 3x3 with batch norm and ReLU, and the last is 1x1. It does not say where the blocks of
a backbone end either: `BLOCKS` is our choice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import torch
from torch import Tensor, nn

from ..baselines.networks import PAPER
from ..errors import WsolbenchError, one_of

__all__ = ["BLOCKS", "EdgeHead", "blocks_of", "build_head"]

Places = tuple[str, str, str, str]


def _features(*places: int) -> Places:
    first, second, third, fourth = (f"features.{place}" for place in places)
    return first, second, third, fourth


_RESNET = ("layer1", "layer2", "layer3", "layer4")
_DENSENET = (
    "features.denseblock1",
    "features.denseblock2",
    "features.denseblock3",
    "features.denseblock4",
)

BLOCKS: Mapping[str, Places] = MappingProxyType(
    {
        "densenet121": _DENSENET,
        "densenet169": _DENSENET,
        "efficientnet_b0": _features(1, 2, 3, 5),
        "googlenet": ("conv1", "conv3", "inception3b", "inception4e"),
        "inception_v3": ("Conv2d_2b_3x3", "Conv2d_4a_3x3", "Mixed_5d", "Mixed_6e"),
        "mini": ("0", "1", "4", "7"),
        "mnasnet1_0": ("layers.7", "layers.8", "layers.9", "layers.11"),
        "mobilenet_v2": _features(1, 3, 6, 13),
        "regnet_y_400mf": (
            "trunk_output.block1",
            "trunk_output.block2",
            "trunk_output.block3",
            "trunk_output.block4",
        ),
        "resnet18": _RESNET,
        "resnet34": _RESNET,
        "resnet50": _RESNET,
        "resnet101": _RESNET,
        "resnext50_32x4d": _RESNET,
        "shufflenet_v2_x1_0": ("conv1", "stage2", "stage3", "stage4"),
        "squeezenet1_0": _features(1, 5, 10, 12),
        "squeezenet1_1": _features(1, 4, 7, 12),
        "vgg16": _features(3, 8, 15, 22),
        "vgg16_bn": _features(5, 12, 22, 32),
    }
)
"""The last layers of the four blocks, in a classifier without "-sem" and "-gap".

VGG16: after conv1_2, conv2_2, conv3_3 and conv4_3; ResNets: the four groups of residual blocks;
InceptionV3: before each pool of the stem, Mixed_5 and Mixed_6. The others likewise: the last
features at strides 2, 4, 8 and 16 where these are, as those of VGG16 are at 1, 2, 4 and 8.
"""


def blocks_of(backbone: str) -> Places:
    """The submodules of a classifier whose outputs are the features of blocks 1 to 4.

    Args:
        backbone: a key of `networks.POOLED` or `networks.PAPER`.

    Raises:
        WsolbenchError: no blocks are known (swin_t, whose features have their channels last).
    """
    bare = backbone.removesuffix("-sem").removesuffix("-gap")
    if bare not in BLOCKS:
        raise WsolbenchError(
            f"backbone {backbone!r}",
            found="no known blocks for a boundary detector",
            expected=f"one of {one_of(sorted(BLOCKS))}",
            cure="train a classifier with another backbone",
        )
    prefix = "trunk" if backbone in PAPER else "network"
    first, second, third, fourth = (f"{prefix}.{name}" for name in BLOCKS[bare])
    return first, second, third, fourth


class EdgeHead(nn.Module):
    """Features of blocks and a localization map -> the logit of an edge at each place of a grid."""

    def __init__(self, channels: Sequence[int], width: int, grid: int) -> None:
        """Random weights.

        Args:
            channels: of the features of each block.
            width: channels to which they are brought.
            grid: side of the logits.
        """
        super().__init__()
        self.grid = grid
        self.blocks = nn.ModuleList(_convolution(own, width) for own in channels)
        self.fuse = nn.Sequential(
            _convolution(width * len(channels) + 1, width),
            _convolution(width, width),
            nn.Conv2d(width, 1, kernel_size=1),
        )

    def forward(self, features: Sequence[Tensor], maps: Tensor) -> Tensor:
        """Logits of edges.

        Args:
            features: (B, c, h, w) of each block.
            maps: (B, h, w) localization maps in [0, 1].

        Returns:
            (B, grid, grid).
        """
        planes = [block(own) for block, own in zip(self.blocks, features, strict=True)]
        planes.append(maps[:, None].to(planes[0].dtype))
        joined = torch.cat([self._upsampled(plane) for plane in planes], dim=1)
        logits: Tensor = self.fuse(joined)
        return logits[:, 0]

    def _upsampled(self, plane: Tensor) -> Tensor:
        size = (self.grid, self.grid)
        return nn.functional.interpolate(plane, size=size, mode="bilinear", align_corners=False)


def build_head(channels: Sequence[int], width: int, grid: int, *, seed: int) -> EdgeHead:
    """A head with random weights; the global random state is kept."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return EdgeHead(channels, width, grid)


def _convolution(channels: int, width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, width, kernel_size=3, padding=1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
    )
