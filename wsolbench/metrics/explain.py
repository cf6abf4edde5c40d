"""Explanation scores: where a map points, from the histograms of its levels on and off the object.

The aim: the scores by which papers on explaining networks judge a map against a mask, so that they
need no new pass over pixels, add up over images and have intervals.

Sources: pointing game: Zhang et al., Top-down Neural Attention by Excitation Backprop (2016), and
the "any tie" of Quantus 0.6.0; relevance mass and rank accuracy: Arras et al., CLEVR-XAI (2022);
top k: Theiner et al. (2021); AUC-IoU: Aksoy (2025); IoU at Otsu's and other thresholds of a map
alone: `own_thresholds`; NSS, Pearson and KL: Bylinskii et al., What do different evaluation metrics
tell us about saliency models (2019); complexity: Bhatt et al. (2020); sparseness: Chalasani et al.
(2020).

Conventions: `counts` are integers (n, 2, 256), pixels of each level off the object and on it. Each
score is of one image, and the mean over the images that have it: without an object pixel there is
none but complexity and sparseness, without a pixel off the object there is neither ROC-AUC nor
Pearson. Of equal levels none comes first: the score is the expectation over their orders.
Foreground at T has a level of at least T.

A chance level is what the same levels score at random places: the expectation over all
arrangements of the map's pixels, of IoU the IoU at the expected overlap. A constant map has one
arrangement, so that it scores chance everywhere.

The last part is the metric family (see `family`), which is scored on request alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..scores import LEVELS, SCORES
from .family import UNIT, Images, Reading, Scored, Statistics, Sums, units
from .own_thresholds import max_threshold, mean_threshold, otsu_threshold
from .pixel import reach

__all__ = [
    "NEEDS_BOXES",
    "NEEDS_MASKS",
    "READ_AT",
    "absent_images",
    "columns",
    "empty",
    "fits",
    "image_columns",
    "image_scores",
    "measure",
    "scores",
]

Values = NDArray[np.float64]
Counts = NDArray[np.int64]

_LEVEL = np.arange(LEVELS, dtype=np.int64)
_LOGS = np.array([0.0, *(float(Decimal(level).ln()) for level in range(1, LEVELS))])
"""The logarithm of each level; 0 for the level 0, which only stands beside a factor of 0."""

_NEED_BOTH = ("roc_auc", "pearson")
_NEED_NO_MASK = ("complexity", "sparseness")
"""Scores that need pixels off the object too, and those of the map alone."""

_LN2 = float(Decimal(2).ln())
_EPS = 2.0**-52
"""MATLAB's eps, by which the saliency benchmark keeps KL finite."""


# ------------------------------------------------------------------------------ of single images


def image_scores(counts: NDArray[np.integer[Any]]) -> dict[str, Values]:
    """Every explanation score of each image, and its chance level where that depends on the map.

    Args:
        counts: integers (n, 2, 256), see the module.

    Returns:
        float64 (n,) by the keys of `scores.SCORES` with the family "explain", in their order; NaN
        where an image has no such score. Sums run in a fixed order, and logarithms are formed of
        sums and products, so that a value depends neither on n nor on the machine.
    """
    own = np.asarray(counts, np.int64)
    if own.shape[1:] != (2, LEVELS):
        raise ValueError(f"counts of shape {own.shape}, expected (n, 2, {LEVELS})")
    sums = _Sums(own)
    found = {
        **_of_ranks(sums),
        **_of_mass(sums),
        **_of_thresholds(sums),
        **_of_moments(sums),
        **_of_levels(sums),
    }
    masked, both = sums.object > 0, (sums.object > 0) & (sums.object < sums.pixels)
    for key, values in found.items():
        have = both if key in _NEED_BOTH else masked
        if key in _NEED_NO_MASK:
            have = sums.pixels > 0
        found[key] = np.where(have, values, np.nan)
    return {key: found[key] for key, score in SCORES.items() if score.family == "explain"}


def image_columns(counts: NDArray[np.integer[Any]]) -> dict[str, list[float | None]]:
    """`image_scores` as columns of a table: None where an image has no such score."""
    return {
        key: [None if value != value else value for value in values.tolist()]
        for key, values in image_scores(counts).items()
    }


class _Sums:
    """What several scores read, of n images.

    Attributes:
        counts: int64 (n, 2, 256).
        both: int64 (n, 256), pixels of each level.
        reached: int64 (n, 257), pixels of at least each level, and 0 behind the last.
        inside: int64 (n, 257), those on the object.
        object: int64 (n,), pixels of the object.
        pixels: int64 (n,), all pixels.
        mass: int64 (n,), the sum of all levels.
        object_mass: int64 (n,), the sum of those on the object.
    """

    def __init__(self, counts: Counts) -> None:
        self.counts = counts
        self.both = counts.sum(axis=1)
        behind = np.zeros((len(counts), 1), np.int64)
        self.reached = np.concatenate((reach(self.both), behind), axis=1)
        self.inside = np.concatenate((reach(counts[:, 1]), behind), axis=1)
        self.object, self.pixels = self.inside[:, 0], self.reached[:, 0]
        self.mass = (self.both * _LEVEL).sum(axis=1)
        self.object_mass = (counts[:, 1] * _LEVEL).sum(axis=1)
        self.rows = np.arange(len(counts))

    @property
    def share(self) -> Values:
        """The object's share of the pixels: float64 (n,)."""
        return _ratio(self.object, self.pixels)

    def at(self, levels: Counts) -> tuple[Counts, Counts]:
        """Foreground and its part on the object, each image at its own level: int64 (n,)."""
        return self.reached[self.rows, levels], self.inside[self.rows, levels]

    def top(self, most: Counts) -> Values:
        """Of the `most` highest pixels of each image the expected share on the object.

        Args:
            most: int64 (n,), at least 1 and at most the pixels.
        """
        lowest = (self.reached >= most[:, None]).sum(axis=1) - 1
        lowest = np.maximum(lowest, 0)  # of an image without pixels
        above, hits = self.at(lowest + 1)
        tied, tied_inside = self.both[self.rows, lowest], self.counts[self.rows, 1, lowest]
        return _ratio(hits * tied + (most - above) * tied_inside, most * tied)


def _of_ranks(sums: _Sums) -> dict[str, Values]:
    """Pointing game, rank accuracy, the top k, ROC-AUC and the IoU at the true area."""
    pixels, one = sums.pixels, np.ones_like(sums.pixels)
    highest = (sums.reached > 0).sum(axis=1) - 1
    highest = np.maximum(highest, 0)
    tied, tied_inside = sums.at(highest)
    rank = sums.top(np.maximum(sums.object, one))
    share = sums.share
    ground = sums.counts[:, 0]
    below = np.cumsum(ground, axis=1) - ground
    ordered = (sums.counts[:, 1] * (2 * below + ground)).sum(axis=1)
    return {
        "pointing_game": _ratio(tied_inside, tied),
        "pointing_game_any_tie": (tied_inside > 0).astype(np.float64),
        "pointing_game_any_tie_chance": 1 - _all_miss(pixels, sums.object, tied),
        "rank_accuracy": rank,
        "top_1000_pixels": sums.top(np.clip(pixels, 1, 1000)),
        **{
            f"top_{percent}_percent": sums.top(np.maximum((percent * pixels + 50) // 100, one))
            for percent in (15, 20)
        },
        "roc_auc": _ratio(ordered, 2 * sums.object * (pixels - sums.object)),
        "iou_true_area": rank / (2 - rank),
        "iou_true_area_chance": share / (2 - share),
        "object_share": share,
    }


def _of_mass(sums: _Sums) -> dict[str, Values]:
    """Relevance mass and KL: both take the levels as a distribution, that of no level as even."""
    black = sums.mass == 0
    mass = np.where(black, sums.share, _ratio(sums.object_mass, sums.mass))
    shares = _LEVEL / np.maximum(sums.mass, 1)[:, None]
    shares = np.where(black[:, None], _ratio(np.ones_like(sums.mass), sums.pixels)[:, None], shares)
    true = 1 / np.maximum(sums.object, 1)[:, None]
    gains = _ln(_EPS + true / (_EPS + shares))
    divergence = (sums.counts[:, 1] * gains).sum(axis=1) / np.maximum(sums.object, 1)
    by_chance = (sums.both * gains).sum(axis=1) / np.maximum(sums.pixels, 1)
    return {
        "relevance_mass": mass,
        "kl_divergence": np.maximum(divergence, 0),
        "kl_divergence_chance": np.maximum(by_chance, 0),
    }


def _of_thresholds(sums: _Sums) -> dict[str, Values]:
    """AUC-IoU, and IoU at each image's own thresholds."""
    curve, chances = _iou(sums, sums.reached[:, :-1], sums.inside[:, :-1])
    found = {
        "auc_iou": curve.sum(axis=1) / LEVELS,
        "auc_iou_chance": chances.sum(axis=1) / LEVELS,
    }
    for name, level in (
        ("iou_otsu", otsu_threshold(sums.both)),
        ("iou_mean_level", mean_threshold(sums.both)),
        ("iou_half_maximum", max_threshold(sums.both, Fraction(1, 2))),
    ):
        iou, chance = _iou(sums, *(own[:, None] for own in sums.at(level)))
        found |= {name: iou[:, 0], f"{name}_chance": chance[:, 0]}
    return found


def _of_moments(sums: _Sums) -> dict[str, Values]:
    """NSS and Pearson's correlation with the mask; 0 of a constant map."""
    mean = _ratio(sums.mass, sums.pixels)
    variance = _ratio((sums.both * (_LEVEL - mean[:, None]) ** 2).sum(axis=1), sums.pixels)
    above = _ratio(sums.object_mass, sums.object) - mean
    deviation = np.sqrt(variance)
    standard = np.where(deviation == 0, 0.0, above / np.where(deviation == 0, 1.0, deviation))
    correlation = standard * np.sqrt(_ratio(sums.object, sums.pixels - sums.object))
    return {"nss": standard, "pearson": np.clip(correlation, -1, 1)}


def _of_levels(sums: _Sums) -> dict[str, Values]:
    """Complexity and sparseness, for which no mask is needed; a map of no level is an even one."""
    black, mass, pixels = sums.mass == 0, np.maximum(sums.mass, 1), np.maximum(sums.pixels, 1)
    entropy = _ln(mass) - (sums.both * _LEVEL * _LOGS).sum(axis=1) / mass
    upto = np.cumsum(sums.both, axis=1)
    # A level's pixels have the ranks behind those below it: the sum of 2 rank - N - 1 over them.
    ranks = (2 * upto - sums.both - pixels[:, None]).astype(np.float64)
    gini = (sums.both * _LEVEL * ranks).sum(axis=1) / (mass * pixels.astype(np.float64))
    return {
        "complexity": np.where(black, _ln(pixels), np.maximum(entropy, 0)),
        "sparseness": np.where(black, 0.0, np.clip(gini, 0, 1)),
    }


def _iou(sums: _Sums, called: Counts, hits: Counts) -> tuple[Values, Values]:
    """IoU of foregrounds (n, t), and what as many pixels at random places have."""
    area, pixels = sums.object[:, None], sums.pixels[:, None]
    expected = called * _ratio(area, pixels)
    union = called + area - expected
    return _ratio(hits, called + area - hits), expected / np.where(union == 0, 1.0, union)


def _ratio(part: NDArray[Any], whole: NDArray[Any]) -> Values:
    """A ratio, 0 of nothing to nothing."""
    return np.asarray(part / np.where(whole == 0, 1, whole))


def _all_miss(pixels: Counts, object_: Counts, tied: Counts) -> Values:
    """The probability that as many pixels at random places all lie off the object.

    C(N - A, k) / C(N, k) by products alone, which have the same bits on every machine, as far as
    one minus it can tell.
    """
    fewer, more = np.minimum(object_, tied), np.maximum(object_, tied)
    found = np.ones(pixels.shape)
    place = 0
    while (open_ := (place < fewer) & (found > 2.0**-54)).any():
        factor = np.maximum(pixels - more - place, 0) / np.maximum(pixels - place, 1)
        found = np.where(open_, found * factor, found)
        place += 1
    return found


def _ln(values: NDArray[Any]) -> Values:
    """The logarithm of positive numbers by sums and products alone, within 1e-15 of it or of 1.

    NumPy's own differs in its last bit between machines, and with the place in an array.
    """
    mantissa, exponent = np.frexp(np.asarray(values, np.float64))
    low = mantissa < np.sqrt(0.5)
    mantissa, exponent = np.where(low, 2 * mantissa, mantissa), exponent - low
    part = (mantissa - 1) / (mantissa + 1)
    square = part * part
    series = np.zeros_like(part)
    for odd in range(23, 0, -2):
        series = series * square + 1 / odd
    return np.asarray(exponent * _LN2 + 2 * part * series)


# ------------------------------------------------------------------------------------ the family

READ_AT: Mapping[str, str] = MappingProxyType({})
NEEDS_BOXES = False
NEEDS_MASKS = True

_SCALES = {"nss": 256.0, "kl_divergence": 64.0, "kl_divergence_chance": 64.0, "complexity": 32.0}
"""Powers of two that bring the scores without a bound of 1 near it, before they become units."""

_SIGNED = ("nss", "pearson")
"""Scores that may be negative; sums are of numbers that are not, so each sign has its own."""


def fits(rules: Any) -> bool:
    """Whether the protocol has pixel scores and 256 levels."""
    return bool(rules.pixel_scores) and rules.bins == LEVELS


def empty(rules: Any) -> Statistics:
    """`pixels`: int32 (0, 2, 256), as of the family "pixel"."""
    return {"pixels": np.empty((0, 2, rules.bins), np.int32)}


def measure(images: Images) -> Statistics:
    """`pixels`: int32 (n, 2, 256) histograms of levels, off the object and on it."""
    return {"pixels": images.histograms}


def columns(kept: Statistics, rules: Any, classes: int) -> Sums:
    """`explain` (n, k), each score in units, and `explain_held` (n, k): whether there is one."""
    found = image_scores(kept["pixels"])
    held = [(~np.isnan(found[key])).astype(np.int64) for key in _keys()]
    values = [
        units(np.maximum(sign * np.nan_to_num(found[key]) / _SCALES.get(key, 1.0), 0))
        for key, sign in _signed_keys()
    ]
    return {"explain": np.stack(values, axis=1), "explain_held": np.stack(held, axis=1)}


def scores(sums: Sums, reading: Reading) -> Scored:
    """The means over the images that have a score; NaN where none has."""
    totals: dict[str, NDArray[Any]] = {}
    for place, (key, sign) in enumerate(_signed_keys()):
        totals[key] = totals.get(key, 0) + sign * sums["explain"][:, place]
    found: dict[str, NDArray[Any]] = {}
    for place, (key, total) in enumerate(totals.items()):
        images = sums["explain_held"][:, place]
        mean = total / (UNIT * np.maximum(images, 1)) * _SCALES.get(key, 1.0)
        found[key] = np.where(images == 0, np.nan, mean)
    return found, {}


def absent_images(sums: Sums) -> dict[str, int]:
    """How many images lack scores, and why; without those that are 0.

    Args:
        sums: of all images, with `images` int64 () and `explain_held` int64 (k,).
    """
    held = dict(zip(_keys(), sums["explain_held"].tolist(), strict=True))
    counts = {
        "empty_masks": int(sums["images"].sum()) - held["pointing_game"],
        "whole_image_masks": held["pointing_game"] - held["roc_auc"],
    }
    return {name: count for name, count in counts.items() if count}


def _keys() -> list[str]:
    return [key for key, score in SCORES.items() if score.family == "explain"]


def _signed_keys() -> list[tuple[str, int]]:
    """The columns of `explain`: the scores, and the negative parts of those that may have one."""
    return [(key, sign) for key in _keys() for sign in ((1, -1) if key in _SIGNED else (1,))]
