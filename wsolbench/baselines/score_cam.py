"""Score-CAM (Wang et al., CVPR Workshops 2020), as pytorch-grad-cam 1.5.7 computes it.

Each channel of the layer, enlarged to the photo (bilinear, aligned corners) and scaled by min-max,
masks the photo; the channels' weights are the softmax of the logits that the class has in the
masked photos; the map is the ReLU of the weighted sum. Channels that are constant mask the whole
photo, so all of them share one forward. With `channels`, only as many are scored: those with the
largest standard deviation in the photo ("Faster Score-CAM"), and the rest have no weight.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..errors import WsolbenchError
from .networks import recorded
from .traced import Layout

__all__ = ["score_cam"]

BATCH = 32
"""Masked photos that the network sees at once."""

SMALLEST = 1e-8
"""Added to a channel's range by pytorch-grad-cam."""


def score_cam(
    logits: nn.Module,
    layer: str,
    layout: Layout,
    images: Tensor,
    classes: Tensor,
    channels: int | None = None,
) -> Tensor:
    """The raw Score-CAM of each photo.

    Args:
        logits: (B, 3, S, S) -> (B, C), in evaluation mode.
        layer: the submodule whose channels are taken.
        layout: of its output.
        images: (B, 3, S, S).
        classes: int64 (B,).
        channels: number of channels to score; None for all.

    Returns:
        (B, h, w), at least 0.

    Raises:
        WsolbenchError: `channels` is below 1.
    """
    if channels is not None and channels < 1:
        raise WsolbenchError(
            "channels", found=str(channels), expected="at least 1", cure="pass a larger number"
        )
    with torch.no_grad():
        with recorded(logits, [layer]) as outputs:
            logits(images)
        features = layout.grid(outputs[layer]).float()
        return torch.stack(
            [
                _one(logits, own, image, int(index), channels)
                for own, image, index in zip(features, images, classes, strict=True)
            ]
        )


def _one(
    logits: nn.Module, features: Tensor, image: Tensor, index: int, channels: int | None
) -> Tensor:
    """(c, h, w) and (3, S, S) -> (h, w)."""
    kept = torch.arange(len(features), device=features.device)
    if channels is not None and channels < len(features):
        spread = features.flatten(1).std(dim=1, unbiased=False)
        kept = torch.argsort(spread, descending=True, stable=True)[:channels].sort().values
    own = features[kept]
    low, high = own.amin(dim=(1, 2)), own.amax(dim=(1, 2))
    scores = torch.empty(len(own), dtype=torch.float32, device=features.device)
    constant = low == high
    varied = torch.nonzero(~constant).flatten()
    if bool(constant.any()):
        scores[constant] = logits(torch.zeros_like(image)[None])[0, index].float()
    for first in range(0, len(varied), BATCH):
        part = varied[first : first + BATCH]
        large = nn.functional.interpolate(
            own[part][:, None], size=image.shape[1:], mode="bilinear", align_corners=True
        )
        least, most = large.amin(dim=(2, 3), keepdim=True), large.amax(dim=(2, 3), keepdim=True)
        masks = (large - least) / (most - least + SMALLEST)
        scores[part] = logits(image[None] * masks.to(image.dtype))[:, index].float()
    weights = torch.softmax(scores, dim=0)
    return (weights[:, None, None] * own).sum(dim=0).relu()
