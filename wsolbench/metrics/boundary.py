"""Boundary scores: predicted edges against the outline of the object.

Source: paper section 4.4, which names the edge toolbox of Dollar and Zitnick (Structured forests
for fast edge detection, 2013), itself after the benchmark of BSDS500 (Arbelaez et al., Contour
detection and hierarchical image segmentation, 2011). What that toolbox does at random is exact
here: predicted and true pixels are matched one to one, as many as possible, where it samples
outliers of a minimum-cost assignment and loses up to 1 % of the pairs of a map.

Conventions: maps are probabilities of a boundary as levels 0..255, uint8 (height, width), of the
image's size; truth is bool of the same shape; thresholds are .01, .02 ... .99, and a pixel is
predicted where level / 255 is at least the threshold. Precision is the share of predicted pixels
that are matched, recall that of true ones; both are 0 where there is nothing to divide by.

An image is measured in three steps, which are public for edges of other data: `edge_levels` (any
map to levels at the image's size), `suppress` (non-maximum suppression, optional) and
`boundary_counts`. Counts are sums over images; `boundary_scores` scores any of them. One ground
truth an image is defined, not several as in BSDS500, where a pixel may be matched in any of them.

The last part is the metric family (see `family`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import WsolbenchError, require_items, require_type
from . import boundary_kernels as kernels
from .choices import MAX_DISTANCE, BoundaryRule, BoundaryTruth, require_distance
from .curves import THRESHOLDS, read_boundaries
from .family import Images, Reading, Scored, Statistics, Sums
from .levels import check_map

__all__ = [
    "MAX_DISTANCE",
    "NEEDS_BOXES",
    "NEEDS_MASKS",
    "READ_AT",
    "THRESHOLDS",
    "BoundaryCounts",
    "BoundaryRule",
    "BoundaryTruth",
    "boundary_counts",
    "boundary_scores",
    "columns",
    "edge_levels",
    "empty",
    "fits",
    "measure",
    "nearest_place",
    "scores",
    "suppress",
    "thin",
    "true_boundary",
]

_MOST_PAIRS = 1 << 26
"""Pairs of pixels within reach that are held at a time: 256 MB."""

_CUTS = np.searchsorted(np.arange(256) / 255, THRESHOLDS).astype(np.int64)
"""The lowest level of each threshold."""


@dataclass(frozen=True, eq=False)
class BoundaryCounts:
    """What images add up to.

    Attributes:
        matched: integers (..., 99), pixels of a one-to-one matching at each threshold.
        predicted: integers (..., 99), predicted pixels.
        true: integers (...), true pixels.
    """

    matched: NDArray[np.integer[Any]]
    predicted: NDArray[np.integer[Any]]
    true: NDArray[np.integer[Any]]


# ------------------------------------------------------------------------------ of a single image


def nearest_place(threshold: float) -> int:
    """The place in `THRESHOLDS` that is nearest to the threshold of ODS."""
    return round(100 * threshold) - 1


def thin(edges: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Thin lines to one pixel, keeping how they hang together.

    The two sub-iterations of Guo and Hall, until nothing changes; pixels beyond the frame are off.
    Equal to `skimage.morphology.thin`. OpenCV's `ximgproc.thinning` is another algorithm.

    Args:
        edges: bool (height, width).

    Raises:
        WsolbenchError: another type or shape.
    """
    return np.asarray(kernels.thin_picture(_picture("edges", edges)))


def true_boundary(
    mask: NDArray[np.bool_], truth: BoundaryTruth | str = BoundaryTruth.THINNED
) -> NDArray[np.bool_]:
    """The boundary of a mask: bool (height, width).

    The frame of the image is no boundary under either rule: an object that is cut off there has
    none along it, and a mask of the whole image has none at all.

    Args:
        mask: bool (height, width), true on the object.
        truth: which pixels. "thinned" has those that BSDS500 derives from its segmentations.

    Raises:
        WsolbenchError: another type or shape, no such rule.
    """
    rule = BoundaryRule(truth=truth)  # type: ignore[arg-type]
    own = _picture("mask", mask)
    found = np.zeros_like(own)
    if rule.truth is BoundaryTruth.INNER:
        for axis in (0, 1):
            changes = np.diff(own, axis=axis)
            nearer, farther = (_along(axis, part) for part in (slice(-1), slice(1, None)))
            found[nearer] |= changes
            found[farther] |= changes
        return found & own
    found[:-1] |= own[:-1] != own[1:]
    found[:, :-1] |= own[:, :-1] != own[:, 1:]
    found[:-1, :-1] |= own[:-1, :-1] != own[1:, 1:]
    return thin(found)


def edge_levels(edges: NDArray[Any], height: int, width: int) -> NDArray[np.uint8]:
    """A map of probabilities as levels at the image's size: round(255 * value), a half upwards.

    Args:
        edges: (h, w), any size; uint8 (value / 255), or float16 / float32 in [0, 1]. Of another
            size than the image, it is resized bilinearly with half-pixel centres.
        height: pixels of the image.
        width: pixels of the image.

    Returns:
        uint8 (height, width).

    Raises:
        WsolbenchError: another type or shape, a value that is not finite or not in [0, 1].
    """
    own = np.asarray(edges)
    check_map(own, of="edges")
    sides = (_side("height", height), _side("width", width))
    if own.dtype == np.uint8 and own.shape == sides:
        return np.ascontiguousarray(own)
    scaled = np.ascontiguousarray(own, dtype=np.float32)
    if own.dtype != np.uint8:
        scaled = scaled * np.float32(255)
    return np.asarray(kernels.resize_levels(scaled, *sides))


def suppress(levels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Non-maximum suppression, as edge papers apply it before they evaluate.

    The map is smoothed by a triangle filter of radius 1. A pixel's orientation follows from the
    second differences of the smoothed map after a further triangle filter of radius 4:
    atan(Oyy * sign(-Oxy) / (Oxx + 1e-5)), where the sign of 0 is 1: the toolbox leaves it to its
    rounding errors whether a line along a row is suppressed. The pixel becomes 0 if 1.01 times its
    value is below the bilinear value one pixel away in that direction or against it. The outer five
    rows and columns fade linearly to 0 at the frame. Padding is symmetric.

    Args:
        levels: uint8 (height, width).

    Returns:
        uint8 (height, width), rounded, a half upwards.

    Raises:
        WsolbenchError: another type or shape.
    """
    return np.asarray(kernels.suppress(_levels(levels)))


def boundary_counts(
    levels: NDArray[np.uint8],
    truth: NDArray[np.bool_],
    *,
    thinned: bool = True,
    max_distance: float = MAX_DISTANCE,
) -> BoundaryCounts:
    """Match one image at all thresholds.

    At each threshold the predicted pixels are thinned and matched one to one with true pixels at
    most `max_distance` times the diagonal away, that distance included; `matched` is the size of
    the largest such matching.

    Args:
        levels: uint8 (height, width); 0 is never predicted.
        truth: bool (height, width), the true boundary, e.g. of `true_boundary`.
        thinned: whether to thin at each threshold; False matches all pixels.
        max_distance: a share of the image's diagonal, taken as the decimal number that it prints
            as.

    Raises:
        WsolbenchError: other types, shapes that differ, several ground truths, a distance that is
            not above 0 and at most .1, or more than 2**26 pairs of pixels within reach.
    """
    own, true = _levels(levels), _truth(truth)
    if own.shape != true.shape:
        raise WsolbenchError(
            "edges and truth",
            found=f"shapes {own.shape} and {true.shape}",
            expected="one shape",
            cure="bring the edges to the image's size (edge_levels)",
        )
    require_distance(max_distance)
    require_type("thinned", thinned, (bool, np.bool_), "True or False")
    offsets = _offsets(*own.shape, max_distance)
    pairs = kernels.pair_count(true, own, int(_CUTS[0]), offsets)
    if pairs > _MOST_PAIRS:
        raise WsolbenchError(
            "edges and truth",
            found=f"{pairs} pairs of pixels within reach",
            expected=f"at most {_MOST_PAIRS}",
            cure="scale the image and its edges down, or use a shorter max_distance",
        )
    counts = kernels.level_curve(own, true, offsets, _CUTS, bool(thinned), pairs)
    return BoundaryCounts(counts[0], counts[1], np.asarray(true.sum(), np.int32))


# ------------------------------------------------------------------------------ of sums of images


def boundary_scores(counts: Iterable[BoundaryCounts]) -> dict[str, float]:
    """ODS, OIS, AP and the others of some images, by the keys of `scores.SCORES`.

    Args:
        counts: of `boundary_counts`, one an image.

    Returns:
        `boundary_ods`: the highest F over thresholds of the summed counts, precision and recall
        interpolated linearly at 100 points between two thresholds; `boundary_threshold`: where that
        is, the lowest. `boundary_ois`: F of the sums of each image's counts at its own best
        threshold, the lowest of several; an image without a match has .01, so that OIS may be below
        ODS. `boundary_ap`: the toolbox's, the sum over recalls 0, .01 ... 1 of the interpolated
        precision, 0 beyond the curve, over 100; it depends on calibration: a binary map has one
        recall, hence 0. `boundary_ap_full`: the area under the steps of precision
        against recall, in [0, 1]; it does not depend on calibration. `boundary_r50`: the highest
        recall at which the curve's precision is .5 or more.

    Raises:
        WsolbenchError: no image, or counts that no image can have.
    """
    require_type("counts", counts, (Iterable,), "a list of BoundaryCounts, one an image")
    listed = [*counts]
    require_items("counts", listed, (BoundaryCounts,), "a list of BoundaryCounts, one an image")
    if not listed:
        raise WsolbenchError(
            "counts", found="no image", expected="one or more", cure="pass boundary_counts of each"
        )
    for own in listed:
        _check_counts(own)
    kept = {
        "boundary_matched": np.stack([own.matched for own in listed]),
        "boundary_predicted": np.stack([own.predicted for own in listed]),
        "boundary_true": np.stack([own.true for own in listed]),
    }
    sums = {name: own.sum(axis=0, keepdims=True) for name, own in columns(kept, None, 0).items()}
    return {key: float(values[0]) for key, values in _scored(sums)[0].items()}


def _scored(sums: Sums) -> Scored:
    """Scores (b,) and curves (b, 99) of b sums."""
    matched, true = sums["boundary_matched"], sums["boundary_true"][:, None]
    precision = matched / np.maximum(sums["boundary_predicted"], 1)
    curves = {
        "boundary_threshold": np.broadcast_to(THRESHOLDS, precision.shape),
        "boundary_precision": precision,
        "boundary_recall": matched / np.maximum(true, 1),
    }
    best = sums["boundary_best"]
    ois = 2 * best[:, 0] / np.maximum(best[:, 1] + sums["boundary_true"], 1)
    return {**read_boundaries(curves), "boundary_ois": ois}, curves


# ------------------------------------------------------------------------------------ the family

READ_AT: Mapping[str, str] = MappingProxyType({})
NEEDS_BOXES = False
NEEDS_MASKS = True


def fits(rules: Any) -> bool:
    """Whether the protocol has boundary scores."""
    return bool(rules.scores_boundaries)


def empty(rules: Any) -> Statistics:
    """See `measure`."""
    curve = np.empty((0, len(THRESHOLDS)), np.int32)
    return {
        "boundary_matched": curve,
        "boundary_predicted": curve,
        "boundary_true": np.empty(0, np.int32),
    }


def measure(images: Images) -> Statistics:
    """`boundary_matched`, `boundary_predicted` int32 (n, 99), `boundary_true` int32 (n,)."""
    rule: BoundaryRule = images.boundary
    found = []
    for edges, outline in zip(images.edges, images.outlines, strict=True):
        levels = edge_levels(edges, *outline.shape)
        found.append(
            boundary_counts(
                suppress(levels) if rule.suppression else levels,
                outline,
                max_distance=rule.max_distance,
            )
        )
    shape = (len(found), len(THRESHOLDS))
    return {
        "boundary_matched": np.array([own.matched for own in found], np.int32).reshape(shape),
        "boundary_predicted": np.array([own.predicted for own in found], np.int32).reshape(shape),
        "boundary_true": np.array([own.true for own in found], np.int32).reshape(len(found)),
    }


def columns(kept: Statistics, rules: Any, classes: int) -> Sums:
    """The statistics, and `boundary_best` (n, 2): matched and predicted at the image's best F."""
    found = {name: kept[name].astype(np.int64) for name in empty(None)}
    matched, predicted = found["boundary_matched"], found["boundary_predicted"]
    # F = 2 PR / (P + R) in whole numbers, so that equal values are equal.
    values = 2 * matched / np.maximum(predicted + found["boundary_true"][:, None], 1)
    at = values.argmax(axis=1)
    rows = np.arange(len(at))
    found["boundary_best"] = np.stack((matched[rows, at], predicted[rows, at]), axis=1)
    return found


def scores(sums: Sums, reading: Reading) -> Scored:
    """See `boundary_scores`; curves of precision and recall over `THRESHOLDS`."""
    return _scored(sums)


# ---------------------------------------------------------------------------------------- checks


def _check_counts(counts: BoundaryCounts) -> None:
    matched, predicted, true = (
        np.asarray(own) for own in (counts.matched, counts.predicted, counts.true)
    )
    shaped = matched.shape == predicted.shape == THRESHOLDS.shape and true.shape == ()
    if (
        not shaped
        or any(own.dtype.kind not in "iu" for own in (matched, predicted, true))
        or (matched < 0).any()
        or (matched > np.minimum(predicted, true)).any()
    ):
        raise WsolbenchError(
            "counts",
            found=f"matched {matched.shape}, predicted {predicted.shape}, true {true.shape}",
            expected="integers (99,), (99,) and (), no more matched than predicted and true pixels",
            cure="pass what boundary_counts returned for one image",
        )


def _side(name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise WsolbenchError(
            name, found=repr(value), expected="an integer of at least 1", cure="pass pixels"
        )
    return int(value)


def _along(axis: int, part: slice) -> tuple[slice, slice]:
    return (part, slice(None)) if axis == 0 else (slice(None), part)


@lru_cache(maxsize=16)
def _offsets(height: int, width: int, max_distance: float) -> NDArray[np.int64]:
    """The offsets (y, x) within reach, the nearest first: int64 (k, 2)."""
    share = Fraction(repr(float(max_distance)))
    reach = math.floor(share * share * (height * height + width * width))
    side = math.isqrt(reach)
    down, across = min(side, height - 1), min(side, width - 1)
    y, x = np.mgrid[-down : down + 1, -across : across + 1].reshape(2, -1)
    squares = y * y + x * x
    inside = squares <= reach
    order = np.argsort(squares[inside], kind="stable")
    found = np.stack((y[inside], x[inside]), axis=1)[order].astype(np.int64)
    found.setflags(write=False)
    return found


def _picture(name: str, picture: Any) -> NDArray[np.bool_]:
    own = np.asarray(picture)
    if own.dtype != np.bool_ or own.ndim != 2 or not own.size:
        raise WsolbenchError(
            name,
            found=f"{own.dtype} of shape {own.shape}",
            expected="bool (height, width)",
            cure="compare levels with a threshold first, e.g. mask > 127"
            if own.ndim == 2
            else "pass one picture",
        )
    return np.ascontiguousarray(own)


def _truth(truth: Any) -> NDArray[np.bool_]:
    if isinstance(truth, list | tuple) or np.ndim(truth) == 3:
        raise WsolbenchError(
            "truth",
            found=f"{len(truth)} ground truths of one image",
            expected="one: with several, which pixels count as correct depends on which of equally "
            "large matchings is taken",
            cure="score against each annotator, or against their union",
        )
    return _picture("truth", truth)


def _levels(levels: Any) -> NDArray[np.uint8]:
    own = np.asarray(levels)
    if own.dtype != np.uint8 or own.ndim != 2 or not own.size:
        raise WsolbenchError(
            "edges",
            found=f"{own.dtype} of shape {own.shape}",
            expected="levels, uint8 (height, width)",
            cure="make them of probabilities with edge_levels",
        )
    return np.ascontiguousarray(own)
