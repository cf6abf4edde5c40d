"""ConvCRF: a map and a photo give the region that both agree on.

Source: Teichmann and Cipolla, Convolutional CRFs for semantic segmentation, 2018 (arXiv
1805.04777), named in paper section 3.3. Mean field of a conditional random field in which each
position is tied to those of a window around it, by their distance and by how alike their colours
are.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from ..errors import WsolbenchError
from .pseudo_settings import PseudoSettings

__all__ = ["SMALLEST", "conv_crf"]

SMALLEST = 1e-3
"""Probabilities are clipped to SMALLEST..1 - SMALLEST, so that no map outweighs all neighbours."""


def conv_crf(foreground: Tensor, photos: Tensor, settings: PseudoSettings | None = None) -> Tensor:
    """The probability of each pixel to be of the object, given those around it.

    With two labels the mean field has one number a pixel, q = P(object):
    logit q <- (1 - w) * logit(map) + w * sum over j of K(i, j) * (2 q_j - 1), which is the softmax
    over both labels. K(i, j) = a * exp(-|p_i - p_j|^2 / 2 s^2) + b * exp(-|I_i - I_j|^2 / 2 t^2)
    over a window; positions outside the photo have K = 0. The sum is formed on cells of
    `crf_blur` pixels, over which photo and q are averaged, and brought back bilinearly.

    Args:
        foreground: (B, H, W) floating, finite, in [0, 1]: the map.
        photos: (B, 3, H, W), any number type, 0..255.
        settings: see there.

    Returns:
        (B, H, W) float32 in (0, 1), the same for any number of threads.

    Raises:
        WsolbenchError: shapes that do not go together.
    """
    own = settings or PseudoSettings()
    if foreground.ndim != 3 or photos.shape != (
        foreground.shape[0],
        3,
        *foreground.shape[1:],
    ):
        raise WsolbenchError(
            "map and photo",
            found=f"shapes {tuple(foreground.shape)} and {tuple(photos.shape)}",
            expected="(B, H, W) and (B, 3, H, W)",
            cure="bring the map to the photo's size",
        )
    if not foreground.is_floating_point() or not bool(
        ((foreground >= 0) & (foreground <= 1)).all()
    ):
        raise WsolbenchError(
            "map",
            found=f"{foreground.dtype} with values that are not all from 0 to 1",
            expected="floats in [0, 1]",
            cure="divide levels by 255",
        )
    clipped = foreground.to(torch.float32).clamp(SMALLEST, 1 - SMALLEST)
    unary = (1 - own.crf_weight) * torch.logit(clipped)
    if own.crf_iterations == 0:
        return clipped
    probability = clipped
    colours = _cells(photos.to(torch.float32), own.crf_blur)
    kernels = [*_kernels(colours, own)]
    height, width = foreground.shape[1:]
    for _ in range(own.crf_iterations):
        signs = _cells(2 * probability[:, None] - 1, own.crf_blur)
        message = torch.zeros_like(signs)
        for (down, right), kernel in kernels:
            message += kernel * _shifted(signs, down, right)
        spread = nn.functional.interpolate(
            message, scale_factor=own.crf_blur, mode="bilinear", align_corners=False
        )
        probability = torch.sigmoid(unary + own.crf_weight * spread[:, 0, :height, :width])
    return probability


def _cells(pictures: Tensor, side: int) -> Tensor:
    """Means over cells; the last ones are filled up with the pixels at the frame."""
    below, right = (-size % side for size in pictures.shape[2:])
    padded = nn.functional.pad(pictures, (0, right, 0, below), mode="replicate")
    return nn.functional.avg_pool2d(padded, side)


def _kernels(colours: Tensor, settings: PseudoSettings) -> Iterator[tuple[tuple[int, int], Tensor]]:
    """The offsets (down, right) of the window, each with K (B, 1, h, w), 0 beyond the frame."""
    reach = settings.crf_window // 2
    inside = torch.ones_like(colours[:1, :1])
    for down in range(-reach, reach + 1):
        for right in range(-reach, reach + 1):
            distance = settings.crf_blur**2 * (down**2 + right**2)
            far = torch.tensor(-distance / (2 * settings.position_deviation**2)).exp()
            differing = (colours - _shifted(colours, down, right)).square().sum(dim=1, keepdim=True)
            alike = (differing / (-2 * settings.colour_deviation**2)).exp()
            kernel = settings.position_weight * far + settings.colour_weight * alike
            yield (down, right), kernel * _shifted(inside, down, right)


def _shifted(pictures: Tensor, down: int, right: int) -> Tensor:
    """What stands so many cells below and to the right of each; zeros beyond the frame."""
    height, width = pictures.shape[2:]
    if abs(down) >= height or abs(right) >= width:
        return torch.zeros_like(pictures)
    found = torch.zeros_like(pictures)
    rows = slice(max(-down, 0), height - max(down, 0))
    columns = slice(max(-right, 0), width - max(right, 0))
    from_rows = slice(max(down, 0), height - max(-down, 0))
    from_columns = slice(max(right, 0), width - max(-right, 0))
    found[:, :, rows, columns] = pictures[:, :, from_rows, from_columns]
    return found
