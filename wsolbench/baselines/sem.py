"""Self-enhancement maps: a class map spread to all positions that are similar to its peaks.

Follows Zhang et al., "Rethinking localization map: towards accurate object perception with
self-enhancement maps", section 3.2 and Fig. 3, for batches: min-max the class map M; its K highest
positions are the seeds p_k; S_k(p) = cos(F(p), F(p_k)) in the features F; the map is the min-max of
max over k of S_k(p). Nothing is trained, and M may come from any method.

Conventions: all computations are in float32. Seeds of equal score are taken in row order, lowest
position first, so that the choice depends neither on the device nor on the batch. The cosine is
that of `torch.nn.functional.cosine_similarity`: norms are at least 1e-8, so zero features have
similarity 0.
"""

from __future__ import annotations

import operator

import torch
from torch import Tensor

from ..errors import WsolbenchError, require_type
from .cam import min_max

__all__ = [
    "PAPER_SEEDS",
    "SMALLEST_NORM",
    "seed_count",
    "seed_similarities",
    "self_enhancement_maps",
]

PAPER_SEEDS = 40
"""The K with the best Peak-IoU in the paper on maps of 40x40 (boxes are best at 60)."""

SMALLEST_NORM = 1e-8
"""The `eps` of torch.nn.functional.cosine_similarity."""

RESOLUTION = 1e-6
"""Cosines that differ by less count as equal: float32 computes them to about 1e-7, so scaling a
smaller range to [0, 1] would only show rounding errors."""


def self_enhancement_maps(
    class_maps: Tensor, features: Tensor, seeds: int | float = PAPER_SEEDS
) -> Tensor:
    """The self-enhancement map of each image: the min-max of `seed_similarities`.

    Args:
        class_maps: (B, h, w) floating, finite: the map of the class, normalised or not.
        features: (B, c, h, w) floating, finite: the input of the last classification layer.
        seeds: the number of seeds, or their fraction of the positions.

    Returns:
        (B, h, w) float32 in [0, 1]; each map reaches both ends, except that a map without contrast
        is zero everywhere. Seeds have the value 1, unless their features are zero.

    Raises:
        WsolbenchError: a shape is wrong, or there are more seeds than positions.
    """
    return min_max(seed_similarities(class_maps, features, seeds))


def seed_similarities(
    class_maps: Tensor, features: Tensor, seeds: int | float = PAPER_SEEDS
) -> Tensor:
    """The similarity of each position to its most similar seed: the raw values of SEM.

    Args:
        class_maps: (B, h, w) floating, finite: the map of the class, normalised or not.
        features: (B, c, h, w) floating, finite: the input of the last classification layer.
        seeds: the number of seeds 1..h*w, or, as a float in (0, 1], their fraction of the h*w
            positions (rounded, at least one). A count is a different fraction at each map size: 60
            is 31 % of 14x14 and 3.8 % of 40x40.

    Returns:
        (B, h, w) float32 cosines in [-1, 1]. If the class map is constant, or all positions are
        equally similar (within `RESOLUTION`), they are zero everywhere. Seeds have the value 1,
        unless their features are zero.

    Raises:
        WsolbenchError: a shape is wrong, or there are more seeds than positions.
    """
    batch, height, width = _checked_shape(class_maps, features)
    count = seed_count(seeds, height, width)
    scores = min_max(class_maps).reshape(batch, height * width)
    order = torch.argsort(scores, dim=1, descending=True, stable=True)
    chosen = order[:, :count].to(features.device)

    vectors = features.to(torch.float32).reshape(batch, features.shape[1], height * width)
    norms = torch.linalg.vector_norm(vectors, dim=1)
    floored = norms.clamp(min=SMALLEST_NORM)
    # Divided after the product, all other positions need no copy.
    seed_vectors = vectors.gather(2, chosen[:, None, :].expand(-1, features.shape[1], -1))
    seed_directions = seed_vectors / floored.gather(1, chosen)[:, None, :]
    products = torch.bmm(vectors.transpose(1, 2), seed_directions)
    similarity = (products.amax(dim=2) / floored).clamp(max=1.0)
    # A seed has similarity 1 to itself; the product above has a rounding error there.
    own = (norms / floored).square().gather(1, chosen)
    similarity = similarity.scatter_reduce(1, chosen, own, reduce="amax")

    spread = similarity.amax(dim=1) - similarity.amin(dim=1)
    meaningful = (spread > RESOLUTION) & (scores.amax(dim=1) > 0).to(spread.device)
    maps = similarity.view(batch, height, width)
    return torch.where(meaningful[:, None, None], maps, 0.0)


def seed_count(seeds: int | float, height: int, width: int) -> int:
    """The number of seeds on a map of height x width.

    Args:
        seeds: a count, or, as a float in (0, 1], a fraction of the positions.
        height: height of the map in positions.
        width: width of the map in positions.

    Returns:
        1..height * width.

    Raises:
        WsolbenchError: the count or fraction is out of range.
    """
    positions = height * width
    if isinstance(seeds, float):
        if not 0.0 < seeds <= 1.0:
            raise _out_of_range(seeds, positions)
        return max(1, round(seeds * positions))
    try:
        count = operator.index(seeds)
    except TypeError:
        raise _out_of_range(seeds, positions) from None
    if isinstance(seeds, bool) or not 1 <= count <= positions:
        raise _out_of_range(seeds, positions, f"{height}x{width}")
    return count


def _checked_shape(class_maps: Tensor, features: Tensor) -> tuple[int, int, int]:
    for name, given in (("class maps", class_maps), ("features", features)):
        require_type(name, given, (Tensor,), "a torch.Tensor")
    if (
        class_maps.ndim != 3
        or features.ndim != 4
        or features.shape[:1] + features.shape[2:] != class_maps.shape
    ):
        raise WsolbenchError(
            "class maps and features",
            found=f"shapes {tuple(class_maps.shape)} and {tuple(features.shape)}",
            expected="(B, h, w) and (B, c, h, w)",
            cure="select the channel of the class first (class_activation_maps)",
        )
    batch, height, width = class_maps.shape
    return batch, height, width


def _out_of_range(seeds: object, positions: int, size: str = "") -> WsolbenchError:
    return WsolbenchError(
        "seeds",
        found=f"{seeds!r}" + (f" on maps of {size}" if size else ""),
        expected=f"an integer from 1 to {positions}, or a fraction above 0 and at most 1",
        cure="use a fraction of the positions, such as 0.05, which suits maps of any size",
    )
