"""Scores that are read off curves: formed by the metric families, checked by the reader of results.

Curves are float64 (b, t), one row a sum, by the keys that results use; scores are (b,). A result
file holds both, so the same functions tell whether its scores follow from its curves.

Sources: see `pixel`, `boxes` and `boundary`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..scores import MAX_BOX_ACC_KEYS, SCORES, localization_key
from .choices import BoxScore, PixelScore, Reduction

__all__ = [
    "THRESHOLDS",
    "area_of_steps",
    "box_keys",
    "iou_of",
    "pixel_keys",
    "read_boundaries",
    "read_boxes",
    "read_pixels",
    "sum_of_steps",
]

Curves = Mapping[str, NDArray[Any]]

THRESHOLDS = np.arange(1, 100) / 100
"""The thresholds of every curve of boundaries: float64 (99,)."""

_STEPS = 100
"""Points between two thresholds at which ODS looks."""

_ROUNDING = 1e-12
"""Values of F that differ by less are equal."""

_RECALLS = np.arange(101) / 100
"""The recalls at which the toolbox's AP reads precision; it divides their sum by 100."""


def read_pixels(
    curves: Curves, thresholds: NDArray[Any], at: NDArray[np.int64] | None
) -> dict[str, NDArray[Any]]:
    """Peak-IoU, Peak-T and IoU at T of pooled and image-mean curves, and AP.

    Args:
        curves: any of `iou`, `iou_image_mean`, and `precision` with `recall`, (b, t).
        thresholds: (t,), integers for levels, floats for shares.
        at: (b,), places of the thresholds that were given; None for none.
    """
    found: dict[str, NDArray[Any]] = {}
    name = "peak_threshold" if thresholds.dtype.kind == "i" else "peak_threshold_fraction"
    for suffix in ("", "_image_mean"):
        curve = curves.get(f"iou{suffix}")
        if curve is not None:
            found[f"peak_iou{suffix}"] = curve.max(axis=1)
            found[f"{name}{suffix}"] = thresholds[curve.argmax(axis=1)]
            if at is not None:
                found[f"iou_at_threshold{suffix}"] = curve[np.arange(len(curve)), at]
    if "precision" in curves:
        found["ap"] = area_of_steps(curves["precision"], curves["recall"])
    return found


def read_boxes(
    curves: Curves, thresholds: NDArray[Any], at: NDArray[np.int64] | None, label: str
) -> dict[str, NDArray[Any]]:
    """Localization at the threshold of boxes, that threshold, and MaxBoxAcc.

    Args:
        curves: `gt_known_loc` or `predicted_loc`, as the label says, and any of `top1_loc`,
            `top5_loc` and those of MaxBoxAcc at other IoUs, (b, t).
        thresholds: (t,), integers for levels, floats for shares.
        at: (b,), places of the thresholds that were given; None for the best of each.
        label: "gt" or "predicted": whose class's maps they are.
    """
    main = localization_key(label)
    best = curves[main].argmax(axis=1) if at is None else at
    name = "box_threshold" if thresholds.dtype.kind == "i" else "box_threshold_fraction"
    found = {name: thresholds[best]}
    for key in (main, "top1_loc", "top5_loc"):
        if key in curves:
            found[key] = curves[key][np.arange(len(best)), best]
    highest = {}
    for delta, key in MAX_BOX_ACC_KEYS.items():
        curve = curves.get(main if delta == 0.5 else SCORES[key].curve)
        if curve is not None:
            highest[key] = curve.max(axis=1)
    if len(highest) > 1:
        found["max_box_acc_v2"] = np.stack([*highest.values()], axis=1).mean(axis=1)
    return found | highest


def pixel_keys(rules: Any, *, at: bool) -> set[str]:
    """The pixel scores that a protocol defines, by key.

    Args:
        rules: the protocol.
        at: whether they are read at a given threshold too.
    """
    held, kept = rules.pixel_scores, set()
    name = "peak_threshold" if rules.counts_levels else "peak_threshold_fraction"
    if PixelScore.PEAK in held:
        kept |= {"peak_iou", name}
    if PixelScore.AP in held:
        kept.add("ap")
    if PixelScore.AT_THRESHOLD in held and at:
        kept.add("iou_at_threshold")
    if Reduction.IMAGE_MEAN in rules.pixel_reductions:
        kept |= {f"{key}_image_mean" for key in kept}
    return kept


def box_keys(rules: Any, label: str, *, searched: bool, ranked: bool) -> set[str]:
    """The box scores that a protocol defines, by key.

    Args:
        rules: the protocol.
        label: "gt" or "predicted": whose class's maps they are.
        searched: whether boxes depend on a threshold.
        ranked: whether there are class predictions, and every class is known.
    """
    kept = set()
    if BoxScore.AT_THRESHOLD in rules.box_scores:
        kept.add(localization_key(label))
        kept |= {"top1_loc"} if ranked else set()
        kept |= {"top5_loc"} if ranked and label == "gt" else set()
    if BoxScore.MAXIMUM in rules.box_scores:
        kept |= {MAX_BOX_ACC_KEYS[delta] for delta in rules.box_iou_thresholds}
        kept |= {"max_box_acc_v2"} if len(rules.box_iou_thresholds) > 1 else set()
    if searched:
        kept.add("box_threshold" if rules.counts_levels else "box_threshold_fraction")
    return kept


def read_boundaries(curves: Curves) -> dict[str, NDArray[Any]]:
    """ODS and its threshold, both APs and R50 of `boundary_precision` and `boundary_recall`."""
    precision, recall = curves["boundary_precision"], curves["boundary_recall"]
    ods, threshold = _optimal_scale(precision, recall)
    return {
        "boundary_ods": ods,
        "boundary_threshold": threshold,
        "boundary_ap": _toolbox_ap(precision, recall),
        "boundary_ap_full": _full_ap(precision, recall),
        "boundary_r50": _recall_at_half(precision, recall),
    }


def area_of_steps(
    precision: NDArray[np.float64], recall: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Sum over descending T of P(T) * (R(T) - R(T+1)), without interpolation: float64 (...)."""
    gained = recall - np.concatenate((recall[..., 1:], np.zeros_like(recall[..., :1])), axis=-1)
    return sum_of_steps(precision * gained)


def sum_of_steps(steps: NDArray[np.float64]) -> NDArray[np.float64]:
    """The sum of (..., t), the highest T first: NumPy's order of terms is part of the result."""
    return np.asarray(steps[..., ::-1].sum(axis=-1))


def iou_of(precision: NDArray[np.float64], recall: NDArray[np.float64]) -> NDArray[np.float64]:
    """The IoU that precision and recall of the same pixels give: 1 / (1 / P + 1 / R - 1)."""
    product = precision * recall
    total = precision + recall - product
    return np.asarray(product / np.where(total == 0, 1.0, total))


def _f(precision: NDArray[np.float64], recall: NDArray[np.float64]) -> NDArray[np.float64]:
    total = precision + recall
    return np.asarray(2 * precision * recall / np.where(total == 0, 1.0, total))


def _optimal_scale(
    precision: NDArray[np.float64], recall: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The best F (b,), between thresholds too, and the threshold there."""
    weights = np.linspace(0, 1, _STEPS)
    # Equal neighbours give their own value, so that of equal F the lowest threshold is found.
    between = [
        own[:, :-1, None] + np.diff(own, axis=1)[..., None] * weights for own in (precision, recall)
    ]
    values = _f(*between).reshape(len(precision), -1)
    highest = values.max(axis=1)
    at = (values >= highest[:, None] - _ROUNDING).argmax(axis=1)
    lower, step = np.divmod(at, _STEPS)
    threshold = THRESHOLDS[lower] + (THRESHOLDS[lower + 1] - THRESHOLDS[lower]) * weights[step]
    return highest, threshold


def _toolbox_ap(precision: NDArray[np.float64], recall: NDArray[np.float64]) -> NDArray[np.float64]:
    found = []
    for own, at in zip(precision, recall, strict=True):
        # Of equal recalls that of the lowest threshold stands, as MATLAB's `unique` keeps it.
        distinct, first = np.unique(at, return_index=True)
        read = np.interp(_RECALLS, distinct, own[first], left=0, right=0)
        found.append(read.sum() / 100 if len(distinct) > 1 else 0.0)
    return np.array(found)


def _full_ap(precision: NDArray[np.float64], recall: NDArray[np.float64]) -> NDArray[np.float64]:
    found = []
    for own, at in zip(precision, recall, strict=True):
        # Thinning may lower recall at a lower threshold. Of equal recalls the highest precision
        # comes first, so that the others have steps of no width.
        order = np.lexsort((-own, at))
        gained = np.diff(at[order], prepend=0.0)
        found.append((own[order] * gained).sum())
    return np.array(found)


def _recall_at_half(
    precision: NDArray[np.float64], recall: NDArray[np.float64]
) -> NDArray[np.float64]:
    enough = precision >= 0.5
    at = np.where(enough, recall, 0.0).max(axis=1)
    step = np.diff(precision, axis=1)
    crossed = enough[:, :-1] != enough[:, 1:]
    weight = (0.5 - precision[:, :-1]) / np.where(step == 0, 1.0, step)
    crossing = recall[:, :-1] + weight * np.diff(recall, axis=1)
    return np.asarray(np.maximum(at, np.where(crossed, crossing, 0.0).max(axis=1)))
