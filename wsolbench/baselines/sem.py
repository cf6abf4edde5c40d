"""Self-enhancement maps: a class map spread over every position that looks like its peaks.

Follows Zhang et al., "Rethinking localization map: towards accurate object perception with
self-enhancement maps", section 3.2 and Fig. 3, for whole batches: min-max the class map M; its K
highest positions are the seeds p_k; S_k(p) = cos(F(p), F(p_k)) in the features F; the map is
max over k of S_k(p), min-maxed. Nothing is trained, and M may come from any method.

Conventions: all in float32, whatever comes in. Seeds of equal score are taken in row order, the
lowest position first, so that the choice depends neither on the device nor on the batch. The
cosine is `torch.nn.functional.cosine_similarity`'s: norms are at least 1e-8, so features that are
zero are similar to nothing (0).
"""

from __future__ import annotations

import operator

import torch
from torch import Tensor

from ..errors import WsolbenchError
from .cam import min_max

__all__ = ["PAPER_SEEDS", "seed_count", "seed_similarities", "self_enhancement_maps"]

PAPER_SEEDS = 40
"""K of the best Peak-IoU in the paper (its box accuracy is best at 60), on maps of 40x40."""

SMALLEST_NORM = 1e-8
"""The `eps` of torch.nn.functional.cosine_similarity."""

RESOLUTION = 1e-6
"""Cosines that differ by less are one: float32 gives them to some 1e-7, so stretching a smaller
spread to [0, 1] would draw rounding errors."""


def self_enhancement_maps(
    class_maps: Tensor, features: Tensor, seeds: int | float = PAPER_SEEDS
) -> Tensor:
    """The self-enhancement map of each image: `seed_similarities`, min-maxed.

    Args:
        class_maps: (B, h, w) floating, finite: the map of the wanted class, normalised or not.
        features: (B, c, h, w) floating, finite: what the last classifying layer sees.
        seeds: how many positions are seeds, or which share of them.

    Returns:
        (B, h, w) float32 in [0, 1]; each map reaches both ends, but one without contrast is zero
        everywhere. Seeds have 1, unless their features are zero.

    Raises:
        WsolbenchError: another shape, or more seeds than positions.
    """
    return min_max(seed_similarities(class_maps, features, seeds))


def seed_similarities(
    class_maps: Tensor, features: Tensor, seeds: int | float = PAPER_SEEDS
) -> Tensor:
    """How similar each position is to the seed it is most similar to: SEM's raw values.

    Args:
        class_maps: (B, h, w) floating, finite: the map of the wanted class, normalised or not.
        features: (B, c, h, w) floating, finite: what the last classifying layer sees.
        seeds: how many positions are seeds: a count 1..h*w, or, as a float in (0, 1], a share of
            the h*w positions (rounded, at least one). A count means another share at each map
            size: 60 is 31 % of 14x14 and 3.8 % of 40x40.

    Returns:
        (B, h, w) float32 cosines in [-1, 1]. Where the class map is constant, or every position is
        as similar as every other (to `RESOLUTION`), they are zero everywhere. Seeds have 1, unless
        their features are zero.

    Raises:
        WsolbenchError: another shape, or more seeds than positions.
    """
    batch, height, width = _checked_shape(class_maps, features)
    count = seed_count(seeds, height, width)
    scores = min_max(class_maps).reshape(batch, height * width)
    order = torch.argsort(scores, dim=1, descending=True, stable=True)
    chosen = order[:, :count].to(features.device)

    vectors = features.to(torch.float32).reshape(batch, features.shape[1], height * width)
    norms = torch.linalg.vector_norm(vectors, dim=1)
    floored = norms.clamp(min=SMALLEST_NORM)
    directions = vectors / floored[:, None, :]
    seed_directions = torch.gather(
        directions, 2, chosen[:, None, :].expand(-1, features.shape[1], -1)
    )
    similarity = torch.bmm(directions.transpose(1, 2), seed_directions).amax(dim=2).clamp(max=1.0)
    # A seed is as similar to itself as can be; the product above misses that by a rounding error.
    own = (norms / floored).square().gather(1, chosen)
    similarity = similarity.scatter_reduce(1, chosen, own, reduce="amax")

    spread = similarity.amax(dim=1) - similarity.amin(dim=1)
    meaningful = (spread > RESOLUTION) & (scores.amax(dim=1) > 0).to(spread.device)
    maps = similarity.view(batch, height, width)
    return torch.where(meaningful[:, None, None], maps, 0.0)


def seed_count(seeds: int | float, height: int, width: int) -> int:
    """How many positions of a map of height x width are seeds.

    Args:
        seeds: a count, or, as a float in (0, 1], a share of the positions.
        height: of the map, positions.
        width: of the map, positions.

    Returns:
        1..height * width.

    Raises:
        WsolbenchError: a count or a share out of range.
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
    if (
        class_maps.ndim != 3
        or features.ndim != 4
        or features.shape[:1] + features.shape[2:] != class_maps.shape
    ):
        raise WsolbenchError(
            "class maps and features",
            found=f"shapes {tuple(class_maps.shape)} and {tuple(features.shape)}",
            expected="(B, h, w) and (B, c, h, w)",
            cure="pick the wanted class's channel first (class_activation_maps)",
        )
    batch, height, width = class_maps.shape
    return batch, height, width


def _out_of_range(seeds: object, positions: int, size: str = "") -> WsolbenchError:
    return WsolbenchError(
        "seeds",
        found=f"{seeds!r}" + (f" on maps of {size}" if size else ""),
        expected=f"a count 1..{positions}, or a share as a float in (0, 1]",
        cure="give a share of the positions, such as 0.05, which fits maps of any size",
    )
