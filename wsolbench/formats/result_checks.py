"""What the values of a result say of each other; a result file comes from a stranger.

First each value by itself: type, range, text. Then together: scores follow from their curves
(`metrics.curves` forms both), IoU from precision and recall, accuracies are whole images over the
number of images, groups add up to the split, intervals hold the scores that they must hold, and a
protocol's scores and curves are all there and no others. A result of another version's protocol is
checked without the last, since its fields cannot be read.

What one file cannot decide is left: names, hashes and versions of what was scored, and the few
numbers that nothing else in the file depends on (docs/robustness.md lists them).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import WsolbenchError
from ..image_ids import is_image_id
from ..metrics.choices import BoundaryRule, BoxScore, PixelScore, Reduction
from ..metrics.curves import (
    THRESHOLDS,
    box_keys,
    iou_of,
    pixel_keys,
    read_boundaries,
    read_boxes,
    read_pixels,
)
from ..metrics.own_thresholds import own_rule
from ..protocols import Protocol, fields_sha256, is_protocol_name
from ..scores import LEVELS, MAX_BOX_ACC_KEYS, SCORES, Read, curve_names, localization_key

__all__ = ["GROUPS", "contradictions", "value_faults"]

GROUPS = {"area": "Object area / image area", "boxes": "True boxes", "class": "Class"}
"""What images may be grouped by, and what tables call it."""

LONGEST_NAME = 80
"""Characters of the name of a method or backbone: what submissions may have too."""

TOLERANCE = 1e-9
"""Sums of floats may differ by rounding between machines; other values are equal or wrong."""

HOLDING = (100, 0.9)
"""Resamples and level from which an interval holds its score for certain: of fewer, or of a
narrower interval, an honest one may lie beside it."""

_COUNTS = {"missing", "constant", "full_frame_masks"}
_BARE = {"empty_masks", "whole_image_masks"}
_MORE_COUNTS = {"windowed", "without_mask", "without_box"} | _BARE
_LACKING = {"without_mask": "pixel", "without_box": "box"}
_SHARES = (
    *("gt_known_loc", "predicted_loc", "top1_loc", "top5_loc", "top1_cls", "top5_cls"),
    *MAX_BOX_ACC_KEYS.values(),
)
"""Scores that are a number of images over all of them."""

_BOUNDARY = "boundary_"
_FAMILIES = ("pixel", "box", "class", "boundary")
_OF_GROUND, _OF_LEVELS = {"roc_auc", "pearson"}, {"complexity", "sparseness"}
"""Explanation scores that need a pixel off the object, and those that need no object."""

_SEARCHED = ("boundary_ods", "max_box_acc_v2")
"""Maxima that are no single point of a curve."""

_HASH = re.compile("[0-9a-f]{64}")
_VERSION = re.compile(r"[0-9A-Za-z.+!_-]{1,80}")


# ------------------------------------------------------------------------- each value by itself


def value_faults(result: Any) -> list[str]:
    """Parts of a `formats.result.Result` that no result can have, in a few words each.

    Raises:
        TypeError, AttributeError, KeyError, ValueError: a part of another shape.
    """
    texts = [getattr(result, name) for name in ("label", "normalisation", "wsolbench")]
    protocol = {key: value for key, value in result.protocol.items() if key != "sha256"}
    stated = (result.protocol["name"], result.protocol["version"], result.protocol["sha256"])
    checks = {
        "data set or split": is_image_id(result.dataset) and is_image_id(result.split),
        "texts": all(isinstance(text, str) and text.isprintable() for text in texts),
        "version of wsolbench": _VERSION.fullmatch(result.wsolbench) is not None,
        "hashes": _is_hash(result.annotations_sha256)
        and (result.submission_sha256 == "" or _is_hash(result.submission_sha256)),
        "label": result.label in ("gt", "predicted"),
        "method": isinstance(result.method, dict)
        and all(
            _is_name(result.method[key]) for key in ("name", "backbone") if key in result.method
        ),
        "protocol": is_protocol_name(stated[0])
        and _is_count(stated[1])
        and stated[2] == fields_sha256(protocol),
        "number of images": _is_count(result.images) and result.images > 0,
        "limit": result.limit is None
        or (_is_count(result.limit) and result.limit >= result.images),
        "ids": result.ids is None
        or (
            _is_count(result.ids.count)
            and result.ids.count >= result.images
            and _is_hash(result.ids.sha256)
        ),
        "counts": _COUNTS <= result.counts.keys() <= _COUNTS | _MORE_COUNTS
        and all(_is_count(count) and count <= result.images for count in result.counts.values()),
        "scores": bool(result.scores) and _are_scores(result.scores),
        "intervals": _are_intervals(result.intervals, result.scores)
        and (result.bootstrap is not None) == bool(result.intervals),
        "bootstrap": result.bootstrap is None
        or (
            _is_count(result.bootstrap.resamples)
            and result.bootstrap.resamples > 0
            and _is_count(result.bootstrap.seed)
            and _is_number(result.bootstrap.level)
            and 0 < result.bootstrap.level < 1
        ),
        "groups": all(
            kind in GROUPS and bool(held) and all(_is_group(group, result) for group in held)
            for kind, held in result.breakdowns.items()
        ),
        "threshold": _is_threshold(result.threshold),
        "threshold rule": result.threshold.rule in ("max", "carried", "fixed", "per_image")
        and _is_per_image(result.threshold)
        and _is_source(result.threshold),
        "curves": _are_curves(result.curves),
        "boundary": _is_boundary(result),
    }
    return [name for name, sound in checks.items() if not sound]


def _is_hash(value: object) -> bool:
    return isinstance(value, str) and _HASH.fullmatch(value) is not None


def _is_name(value: object) -> bool:
    return (
        isinstance(value, str)
        and len(value) <= LONGEST_NAME
        and value.isprintable()
        and unicodedata.is_normalized("NFC", value)
    )


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 53


def _is_threshold(threshold: Any) -> bool:
    given = [level for level in (threshold.pixel, threshold.box) if level is not None]
    sound = all(_is_count(level) and level < LEVELS for level in given)
    return sound and not (given and threshold.rule in ("max", "per_image"))


def _is_per_image(threshold: Any) -> bool:
    """Whether the rule of each map's own threshold is there exactly where it is needed."""
    stated = threshold.per_image
    if stated is None or threshold.rule != "per_image":
        return stated is None and threshold.rule != "per_image"
    try:
        return bool(str(own_rule(stated)) == stated)
    except WsolbenchError:
        return False


def _is_source(threshold: Any) -> bool:
    """Whether a carried threshold says whose it is, and no other one does."""
    source = threshold.source
    if threshold.rule != "carried":
        return source is None
    return (
        isinstance(source, dict)
        and {"method", "split"} <= source.keys()
        and all(isinstance(source[key], str) for key in ("method", "split"))
        and all(
            source[key] == "" or _is_hash(source[key])
            for key in ("submission_sha256", "annotations_sha256")
            if key in source
        )
        and _is_count(source.get("missing", 0))
    )


def _is_group(group: Any, result: Any) -> bool:
    return (
        isinstance(group.name, str)
        and group.name.isprintable()
        and _is_count(group.images)
        and 0 < group.images <= result.images
        and _are_scores(group.scores)
        and _are_intervals(group.intervals, group.scores)
        and (result.bootstrap is not None or not group.intervals)
    )


def _are_scores(scores: Mapping[str, Any]) -> bool:
    return all(key in SCORES and SCORES[key].is_legal(value) for key, value in scores.items())


def _are_intervals(intervals: Mapping[str, Any], scores: Mapping[str, Any]) -> bool:
    """Whether there is an interval of every score, or none at all."""
    return intervals.keys() in (set(), scores.keys()) and all(
        len(ends) == 2 and all(map(SCORES[key].is_legal, ends)) and ends[0] <= ends[1]
        for key, ends in intervals.items()
    )


def _are_curves(curves: Mapping[str, Any]) -> bool:
    known = {*curve_names(), "threshold"} | {
        f"{_BOUNDARY}{name}" for name in ("threshold", "precision", "recall")
    }
    return curves.keys() <= known and all(
        isinstance(curve, list)
        and len(curve) == len(curves[_coordinate(name)])
        and len(curve) > 0
        and (all(map(_is_number, curve)) if name == "threshold" else _are_shares(curve))
        for name, curve in curves.items()
    )


def _are_shares(curve: Sequence[object]) -> bool:
    return all(isinstance(value, float) and 0 <= value <= 1 for value in curve)


def _coordinate(name: str) -> str:
    """The curve that holds the thresholds of a curve."""
    return f"{_BOUNDARY}threshold" if name.startswith(_BOUNDARY) else "threshold"


def _is_boundary(result: Any) -> bool:
    """Whether the rule of boundaries and their curves are there exactly where they are scored."""
    scored = any(SCORES[key].family == "boundary" for key in result.scores if key in SCORES)
    curves = [name for name in result.curves if name.startswith(_BOUNDARY)]
    if not scored or not result.boundary:
        return not scored and not result.boundary and not curves
    if len(curves) != 3 or result.curves[f"{_BOUNDARY}threshold"] != THRESHOLDS.tolist():
        return False
    try:
        return BoundaryRule(**result.boundary).as_dict() == dict(result.boundary)
    except WsolbenchError:
        return False


# ---------------------------------------------------------------------------- what must agree


def contradictions(result: Any) -> list[str]:
    """What in a result contradicts the rest of it, one text each: a score, stated and computed.

    Args:
        result: a `formats.result.Result` whose values are sound by themselves (`value_faults`).
    """
    try:
        protocol: Protocol | None = Protocol.from_dict(result.protocol)
    except WsolbenchError:  # of another version of wsolbench
        protocol = None
    faults = [] if protocol is None else [*_presence(result, protocol)]
    for stage in (_curve_faults, _score_faults, _share_faults, _interval_faults, _group_faults):
        faults = faults or [*stage(result, protocol)]
    return faults


def _presence(result: Any, protocol: Protocol) -> Iterator[str]:
    """Scores and curves that the protocol does not define, and those that are absent."""
    per_image = result.threshold.per_image is not None
    at = result.threshold.pixel is not None or per_image
    wanted = _wanted_scores(result, protocol, result.scores, at=at)
    wanted -= {"box_threshold"} if per_image else set()
    known = {key for key in result.scores if SCORES[key].family in _FAMILIES}
    yield from (f"no {key} beside the scores of its kind" for key in sorted(wanted - known))
    yield from (f"{key}, which the protocol does not define here" for key in sorted(known - wanted))
    curves = _wanted_curves(result, protocol)
    more = {SCORES[key].curve for key in result.scores if SCORES[key].family not in _FAMILIES}
    yield from (f"no curve {name}" for name in sorted(curves - result.curves.keys()))
    yield from (
        f"a curve {name} of no score" for name in sorted(result.curves.keys() - curves - more)
    )
    levels = (result.threshold.pixel, result.threshold.box)
    by_protocol = protocol.fixed_threshold is not None
    families = _families(result.scores)
    if by_protocol and (result.threshold.rule != "fixed" or levels != (None, None)):
        yield "thresholds other than the protocol's own"
    elif per_image:
        if not protocol.carries_thresholds:
            yield "thresholds of each image, which the protocol does not read"
    elif not by_protocol and result.threshold.rule != "max":
        lacks = ("pixel" in families and levels[0] is None) or (
            _is_searched(result) and levels[1] is None
        )
        if lacks or not protocol.carries_thresholds:
            yield f"rule {result.threshold.rule} without a threshold that the protocol reads"
    for name, family in _LACKING.items():
        if result.counts.get(name) and family in families:
            yield f"{family} scores of {result.counts[name]} images {name.replace('_', ' ')}"
    if result.breakdowns and not protocol.carries_thresholds:
        yield "groups, which the protocol does not define"


def _wanted_scores(
    result: Any, protocol: Protocol, scores: Collection[str], *, at: bool
) -> set[str]:
    """The scores of the families that are there, as the protocol defines them."""
    families, ranked = _families(scores), "top1_cls" in scores
    wanted = set()
    if "pixel" in families:
        wanted |= pixel_keys(protocol, at=at)
    if "box" in families:
        wanted |= box_keys(protocol, result.label, searched=_is_searched(result), ranked=ranked)
    if "class" in families and BoxScore.AT_THRESHOLD in protocol.box_scores:
        wanted |= {"top1_cls", "top5_cls"}
    if "boundary" in families:
        wanted |= {key for key, score in SCORES.items() if score.family == "boundary"}
    return wanted


def _wanted_curves(result: Any, protocol: Protocol) -> set[str]:
    families, wanted = _families(result.scores), set()
    if protocol.has_curves and {"pixel", "box"} & families:
        wanted.add("threshold")
    if "pixel" in families and PixelScore.PEAK in protocol.pixel_scores:
        wanted |= {"iou"}
        if Reduction.IMAGE_MEAN in protocol.pixel_reductions:
            wanted |= {"iou_image_mean"}
    if "pixel" in families and PixelScore.AP in protocol.pixel_scores:
        wanted |= {"precision", "recall"}
    if "box" in families and _is_searched(result):
        wanted |= {localization_key(result.label)} | {"top1_loc", "top5_loc"} & {*result.scores}
        deltas = protocol.box_iou_thresholds[1:]
        wanted |= {SCORES[MAX_BOX_ACC_KEYS[delta]].curve for delta in deltas}
    if "boundary" in families:
        wanted |= {f"{_BOUNDARY}{name}" for name in ("threshold", "precision", "recall")}
    return wanted


def _curve_faults(result: Any, protocol: Protocol | None) -> Iterator[str]:
    """Thresholds that are not the protocol's, and curves that contradict each other."""
    curves = _arrays(result)
    thresholds = result.curves.get("threshold", [])
    if protocol is not None and thresholds:
        if thresholds != protocol.curve_thresholds.tolist():
            yield "thresholds of curves other than the protocol's"
    elif thresholds and (np.diff(thresholds) <= 0).any():
        yield "thresholds of curves that do not rise"
    if ("precision" in curves) != ("recall" in curves):
        yield "precision without recall, or the other way round"
        return
    if "recall" in curves:
        yield from _first(np.diff(curves["recall"]) > 0, "recall rises with the threshold at")
        none = (curves["recall"] == 0) & ~np.isin(curves["precision"], (0, 1))
        yield from _first(none, "precision without recall at")
    if f"{_BOUNDARY}recall" in curves:
        matched = [curves[f"{_BOUNDARY}{name}"] > 0 for name in ("precision", "recall")]
        yield from _first(matched[0] != matched[1], "precision of boundaries without recall at")
    if {"iou", "recall"} <= curves.keys():
        given = iou_of(curves["precision"], curves["recall"])
        apart = np.abs(given - curves["iou"]) > TOLERANCE
        yield from _first(apart, "iou is not what precision and recall give at")


def _first(wrong: NDArray[np.bool_], words: str) -> list[str]:
    return [f"{words} place {int(wrong.argmax())} of the curves"] if wrong.any() else []


def _score_faults(result: Any, protocol: Protocol | None) -> Iterator[str]:
    """Scores that do not follow from their curves."""
    curves = {name: curve[None] for name, curve in _arrays(result).items()}
    thresholds = np.array(result.curves.get("threshold", []))
    given = (result.threshold.pixel, result.threshold.box)
    if not len(thresholds):
        given = (None, None)
    if any(at is not None and at >= len(thresholds) for at in given):
        yield "a threshold beyond the curves"
        return
    pixel, box = (None if at is None else np.array([at]) for at in given)
    follows = read_pixels(curves, thresholds, pixel) if len(thresholds) else {}
    if localization_key(result.label) in curves:
        follows |= read_boxes(curves, thresholds, box, result.label)
    if f"{_BOUNDARY}recall" in curves:
        follows |= read_boundaries(curves)
    # What is read at each image's own threshold is no point of a curve.
    own = _read_per_image(result)
    for key, score in SCORES.items():
        if key not in result.scores or key in own:
            continue
        stated = result.scores[key]
        if key in follows:
            value = follows[key][0].item()
            exact = score.read in (Read.MAXIMUM, Read.ARGMAX, Read.THRESHOLD)
            if (stated != value) if exact else not abs(stated - value) <= TOLERANCE:
                yield f"{key} {stated}, where its curve gives {value}"
        elif key != "ap_image_mean" and (
            score.family == "pixel" or (score.family == "box" and _is_searched(result))
        ):
            yield f"{key} {stated} without its curve"
    if not _is_searched(result):
        yield from _unsearched_faults(result)
    yield from _calibration_faults(result)
    yield from _explain_faults(result.scores)


def _explain_faults(scores: Mapping[str, float | int]) -> Iterator[str]:
    """Explanation scores that go without others of their kind, or contradict them."""
    every = {key for key, score in SCORES.items() if score.family == "explain"}
    absent = every - scores.keys()
    # Without any object there are two, without any ground there is neither of two.
    if absent not in (set(), every, _OF_GROUND, every - _OF_LEVELS):
        yield f"no {min(absent)} beside the scores of its kind"
    elif scores.get("pointing_game", 0) > scores.get("pointing_game_any_tie", 1) + TOLERANCE:
        yield f"pointing_game {scores['pointing_game']} above pointing_game_any_tie"


def _read_per_image(result: Any) -> set[str]:
    """The scores that are read at each image's own threshold, if the result has such."""
    if result.threshold.per_image is None:
        return set()
    read = {key for key, score in SCORES.items() if score.read is Read.THRESHOLD}
    return read | {"iou_at_threshold_image_mean"}


def _calibration_faults(result: Any) -> Iterator[str]:
    """Calibration that is not the image-mean IoU less shape."""
    scores = result.scores
    read = scores.get("iou_at_threshold_image_mean", scores.get("peak_iou_image_mean"))
    if read is None or not {"iou_shape", "iou_calibration"} <= scores.keys():
        return
    given, stated = read - scores["iou_shape"], scores["iou_calibration"]
    if abs(given - stated) > TOLERANCE:
        yield f"iou_calibration {stated}, where IoU and shape give {given}"


def _unsearched_faults(result: Any) -> Iterator[str]:
    """Box scores of one box an image, for which there are no curves."""
    scores, main = result.scores, localization_key(result.label)
    highest = [scores[key] for key in MAX_BOX_ACC_KEYS.values() if key in scores]
    mean = float(np.mean(highest)) if highest else 0.0
    if abs(scores.get("max_box_acc_v2", mean) - mean) > TOLERANCE:
        yield f"max_box_acc_v2 {scores['max_box_acc_v2']}, where the mean is {mean}"
    if main in scores and scores.get("max_box_acc", scores[main]) != scores[main]:
        yield f"max_box_acc {scores['max_box_acc']}, where {main} is {scores[main]}"


def _share_faults(result: Any, protocol: Protocol | None) -> Iterator[str]:
    """Accuracies that no number of images gives, and a narrower one above a wider one."""
    if result.protocol.get("averaging") != "images":
        return
    count, scores, curves = result.images, result.scores, _arrays(result)
    held: dict[str, list[float]] = {key: [scores[key]] for key in _SHARES if key in scores}
    for key, ends in result.intervals.items():
        held.setdefault(key, []).extend(ends if key in _SHARES else [])
    names = {SCORES[key].curve or key for key in _SHARES} | {"predicted_loc"}
    for name in names & curves.keys():
        held.setdefault(name, []).extend(curves[name].tolist())
    for key, values in held.items():
        odd = [value for value in values if not _is_share(value, count)]
        if odd:
            yield f"{key} {odd[0]}, which is no number of images of {count}"
    main = localization_key(result.label)
    narrower = [
        *([] if result.protocol.get("top_iou_comparator") else [("top1_loc", main)]),
        *([] if result.protocol.get("top_iou_comparator") else [("top5_loc", main)]),
        *(("top1_loc", "top5_loc"), ("top1_loc", "top1_cls"), ("top1_cls", "top5_cls")),
        *((main, "box_acc_30"), ("box_acc_70", main)),
        *(("max_box_acc", "max_box_acc_30"), ("max_box_acc_70", "max_box_acc")),
    ]
    for low, high in narrower:
        if low in scores and high in scores and scores[low] > scores[high]:
            yield f"{low} {scores[low]} above {high} {scores[high]}"
        if low in curves and high in curves and (curves[low] > curves[high]).any():
            yield f"the curve {low} above {high}"


def _is_share(value: float, count: int) -> bool:
    return bool(round(value * count) / count == value)


def _interval_faults(result: Any, protocol: Protocol | None) -> Iterator[str]:
    """Scores beside intervals that must hold them."""
    drawn = result.bootstrap
    if drawn is None or drawn.resamples < HOLDING[0] or drawn.level < HOLDING[1]:
        return
    rule = result.threshold.rule
    parts = [("", result.scores, result.intervals)]
    for kind, held in result.breakdowns.items():
        parts += [(f" of {kind} {group.name}", group.scores, group.intervals) for group in held]
    for where, scores, intervals in parts:
        for key, (low, high) in intervals.items():
            above, below = _holds(key, rule, whole=not where)
            if (above and scores[key] < low) or (below and scores[key] > high):
                yield f"{key}{where} {scores[key]} beside its interval [{low}, {high}]"
    for kind, held in result.breakdowns.items():
        bare = [group.name for group in held if group.images > 1 and not group.intervals]
        if bare:
            yield f"no intervals of {kind} {bare[0]}"


def _holds(key: str, rule: str, *, whole: bool) -> tuple[bool, bool]:
    """Whether the interval must begin at or below the score, and end at or above it.

    Each resample chooses its own maximum, so that maxima lie higher on average, and anywhere what
    is read where another maximum is.
    """
    score = SCORES[key]
    if score.family not in _FAMILIES or score.is_threshold or score.read is Read.AREA:
        return False, False
    if score.read is Read.MAXIMUM or key in _SEARCHED:
        return False, True
    if score.read is Read.THRESHOLD and rule == "max":
        return False, whole and key in ("gt_known_loc", "predicted_loc")
    if score.family == "boundary":
        return (True, True) if key == "boundary_ois" else (False, False)
    return True, True


def _group_faults(result: Any, protocol: Protocol | None) -> Iterator[str]:
    """Groups that do not add up to the split."""
    whole = {key: result.scores[key] for key in _SHARES if key in result.scores}
    means = {}
    if "ap_image_mean" in result.scores:
        means["ap_image_mean"] = result.scores["ap_image_mean"]
    place = result.threshold.pixel
    if result.threshold.per_image is not None:
        mean = "iou_at_threshold_image_mean"
        means |= {mean: result.scores[mean]} if mean in result.scores else {}
    elif place is None:
        place = result.scores.get("peak_threshold")
    if place is not None and "iou_image_mean" in result.curves:
        means["iou_at_threshold_image_mean"] = result.curves["iou_image_mean"][place]
    if not _BARE & result.counts.keys():
        own = {key for key in result.scores if SCORES[key].family == "explain"}
        means |= {key: result.scores[key] for key in own}
    for kind, held in result.breakdowns.items():
        total = sum(group.images for group in held)
        if total != result.images:
            yield f"groups by {kind} of {total} images, where there are {result.images}"
            return
        for group in held:
            yield from _one_group_faults(group, kind, result, protocol)
        for key, value in whole.items():
            if SCORES[key].grouped and all(key in group.scores for group in held):
                correct = sum(round(group.scores[key] * group.images) for group in held)
                if correct / total != value:
                    yield f"{key} {value}, where groups by {kind} give {correct / total}"
        for key, value in means.items():
            if all(key in group.scores for group in held):
                given = sum(group.scores[key] * group.images for group in held) / total
                if abs(given - value) > TOLERANCE:
                    yield f"{key} {value}, where groups by {kind} give {given}"


def _one_group_faults(
    group: Any, kind: str, result: Any, protocol: Protocol | None
) -> Iterator[str]:
    if protocol is not None:
        wanted = _wanted_scores(result, protocol, result.scores, at=True)
        wanted = {key for key in wanted if SCORES[key].grouped}
        own = {key for key in group.scores if SCORES[key].family in _FAMILIES}
        if own != wanted:
            yield f"{kind} {group.name}: scores other than {', '.join(sorted(wanted))}"
    for key in _SHARES:
        if key in group.scores and not _is_share(group.scores[key], group.images):
            value = group.scores[key]
            yield f"{key} {value} of {kind} {group.name}, no number of images of {group.images}"
    peak, at = (group.scores.get(key) for key in ("peak_iou", "iou_at_threshold"))
    shared = result.threshold.per_image is None
    if shared and peak is not None and at is not None and peak < at:
        yield f"peak_iou {peak} of {kind} {group.name}, below the IoU {at} at T"


# ------------------------------------------------------------------------------------- the parts


def _families(scores: Collection[str]) -> set[str]:
    return {SCORES[key].family for key in scores}


def _is_searched(result: Any) -> bool:
    """Whether boxes depend on a threshold: there are curves of them, or their best threshold."""
    keys = {"box_threshold", "box_threshold_fraction"}
    return bool(keys & result.scores.keys()) or localization_key(result.label) in result.curves


def _arrays(result: Any) -> dict[str, NDArray[np.float64]]:
    return {
        name: np.array(curve, np.float64)
        for name, curve in result.curves.items()
        if name != "threshold"
    }
