"""Which thresholds a result is read at: its best, carried and fixed ones.

What is best on the very images that are reported, what was best on others, and what was fixed
beforehand are three numbers; published tables mostly give the first (paper section 4.1.2). All of
them are points of the result's curves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from ..data.dataset import Dataset
from ..errors import WsolbenchError, require_items, require_type, some
from ..formats.layout import PLAIN, Layout, check_form
from ..formats.report import threshold_text
from ..formats.result import Result, Threshold
from ..metrics.choices import Comparator
from ..metrics.own_thresholds import is_own_rule, own_rule
from ..protocols import Protocol, label_of
from ..scores import LEVELS, SCORES, Read, Score, level_key, localization_key
from ..tables import csv_text, grid, markdown_text
from .checks import checked_threshold
from .counts import Counts
from .families import keep_levels

__all__ = [
    "FIXED",
    "PER_IMAGE",
    "ScoresAt",
    "carried",
    "chosen_threshold",
    "readings",
    "readings_table",
]

FIXED = (51, 128)
"""Thresholds that are customary without looking: .2 of the range (CAM) and .5."""

PER_IMAGE = ("otsu", "mean", "max:0.5")
"""Rules by which each map gives its own threshold, that are shown where they can be."""

_LEVEL_KEYS = {family: level_key(family) for family in ("pixel", "box")}


@dataclass(frozen=True)
class ScoresAt:
    """What a result scores at the thresholds of one rule.

    Attributes:
        rule: in words.
        pixel: T of pixel scores; None where the result has none.
        box: T of box scores; None where the result has none.
        scores: by key.
        differences: score minus that of the rule "max", by key; none where that rule has no score.
        per_image: how each map gives its own threshold; None where images share theirs.
    """

    rule: str
    pixel: int | None
    box: int | None
    scores: Mapping[str, float]
    differences: Mapping[str, float]
    per_image: str | None = None

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self)


def carried(
    other: Result,
    dataset: Dataset,
    protocol: Protocol,
    label: str,
    submission_sha256: str,
    metrics: Sequence[str],
) -> Threshold:
    """The thresholds of another result, for maps of this kind.

    Args:
        other: whose thresholds are carried.
        dataset: of the maps.
        protocol: they are scored under.
        label: "gt" or "predicted": whose class's maps they are.
        submission_sha256: of their file.
        metrics: that need a threshold.

    Raises:
        WsolbenchError: a result of another protocol, data set or label, or without the thresholds;
            a trial; the same maps on the same split and annotations.
    """
    _check_carried(
        other,
        protocol.as_dict(),
        dataset.name,
        dataset.split,
        label,
        submission_sha256,
        dataset.store.content_sha256,
    )
    for metric in metrics:
        if metric in _LEVEL_KEYS and _LEVEL_KEYS[metric] not in other.scores:
            raise WsolbenchError(
                f"threshold from {other.name} on {other.split}",
                found=f"no {_LEVEL_KEYS[metric]}",
                cure=f"evaluate that split with the metrics {','.join(metrics)}",
            )
    source: dict[str, Any] = {
        "method": other.name,
        "split": other.split,
        "submission_sha256": other.submission_sha256,
        "annotations_sha256": other.annotations_sha256,
        "missing": other.counts.get("missing", 0),
    }
    if other.ids is not None:
        source["ids"] = asdict(other.ids)
    pixel, box = (_level(other, key) for key in _LEVEL_KEYS.values())
    return Threshold("carried", pixel=pixel, box=box, source=source)


def chosen_threshold(
    threshold: int | str | Result | Threshold | None,
    dataset: Dataset,
    protocol: Protocol,
    label: str,
    submission_sha256: str,
    metrics: Sequence[str],
    *,
    boxed: bool,
) -> Threshold:
    """How the thresholds of an evaluation are chosen.

    Args:
        threshold: as `Evaluator.result` takes it.
        dataset: of the maps.
        protocol: they are scored under.
        label: "gt" or "predicted": whose class's maps they are.
        submission_sha256: of their file.
        metrics: metric families that are scored.
        boxed: whether boxes are the same at every threshold, and so need none.

    Raises:
        WsolbenchError: no threshold, none that can be carried, or one that no score is read at.
    """
    if threshold is None:
        return Threshold("max" if protocol.fixed_threshold is None else "fixed")
    needed = [name for name in _LEVEL_KEYS if name in metrics]
    if not needed:
        raise WsolbenchError(
            "threshold",
            found=f"a threshold for the metrics {some(metrics)}",
            expected="pixel or box scores, which are read at one",
            cure="leave it out, or score pixels or boxes too",
        )
    families = [name for name in needed if name != "box" or not boxed]
    if isinstance(threshold, str) and is_own_rule(threshold):
        threshold = Threshold("per_image", per_image=str(own_rule(threshold)))
    if isinstance(threshold, Threshold) and threshold.rule == "per_image":
        _check_per_image(protocol, metrics)
    if isinstance(threshold, Threshold):
        return checked_threshold(threshold, families)
    if isinstance(threshold, Result):
        return carried(threshold, dataset, protocol, label, submission_sha256, families)
    if type(threshold) is not int or not 0 <= threshold < LEVELS:
        raise WsolbenchError(
            "threshold",
            found=repr(threshold),
            expected="a whole number from 0 to 255, a result, or a rule: otsu, mean, max:F, area:F",
            cure="give one of these",
        )
    return Threshold("fixed", pixel=threshold, box=threshold)


def _check_per_image(protocol: Protocol, metrics: Sequence[str]) -> None:
    """Raise if images cannot be read at their maps' own thresholds."""
    problem = ""
    if protocol.comparator is not Comparator.AT_LEAST:
        problem = f"protocol {protocol.name}, whose foreground is above its threshold"
    elif not keep_levels(metrics, protocol):
        problem = f"the metrics {some(metrics)}"
    if problem:
        raise WsolbenchError(
            "threshold",
            found=problem,
            expected="the levels of each map, under a protocol with foreground at the threshold",
            cure="request pixel scores or levels too (--metrics pixel,box or box,levels), or give "
            "one threshold for all images",
        )


def readings(
    result: Result,
    carried: Result | None = None,
    fixed: Sequence[int | str] = FIXED,
    counts: Counts | None = None,
) -> list[ScoresAt]:
    """Score one result at its best, carried and fixed thresholds.

    Args:
        result: under a protocol with thresholds 0..255, with the curves of maps.
        carried: a result whose thresholds are taken; None takes those that the result itself
            carried, if it did.
        fixed: thresholds 0..255, each for pixels and boxes, and rules such as "otsu", by which
            each map gives its own; that of the result comes first, if it has one.
        counts: of the result; rules other than its own need them.

    Returns:
        The rule "max" first.

    Raises:
        WsolbenchError: a result without curves over 256 levels, or a `carried` one of another
            kind or without the thresholds; a rule of each map without counts.

    Examples:
        >>> result = wsolbench.read_result("demo/sem-test.json")
        >>> [read.rule for read in wsolbench.readings(result, fixed=[128])]
        ['max on this split', 'from val (T 128, box T 95)', 'fixed at 128 (0.50)']
    """
    require_type("result", result, (Result,), "a Result")
    require_type("carried", carried, (Result, type(None)), "a Result or None")
    curves = result.curves
    read_off = [score for score in _read_at_thresholds() if score.curve in curves]
    if len(curves.get("threshold", ())) != LEVELS or not read_off:
        raise WsolbenchError(
            f"result of {result.name} on {result.split}",
            found="no curves over the thresholds 0..255",
            expected="a result of maps under protocol sem",
            cure="evaluate the maps under --protocol sem",
        )
    held = {score.family for score in read_off}
    read: list[ScoresAt] = []
    levels_given = [own for own in fixed if not isinstance(own, str)]
    for rule, pixel, box in _rules(result, carried, levels_given):
        levels = {"pixel": pixel, "box": box}
        scores = {
            score.key: float(curves[score.curve][level])
            for score in read_off
            if (level := levels[score.family]) is not None
        }
        first = read[0].scores if read else scores
        differences = {key: value - first[key] for key, value in scores.items() if key in first}
        pixel, box = (levels[family] if family in held else None for family in ("pixel", "box"))
        read.append(ScoresAt(rule, pixel, box, scores, differences))
    stated = [] if result.threshold.per_image is None else [result.threshold.per_image]
    asked = [str(own_rule(own)) for own in fixed if isinstance(own, str)]
    for text in dict.fromkeys([*stated, *asked]):
        found = _at_own(result, text, counts)
        scores = {score.key: found[score.key] for score in read_off if score.key in found}
        first = read[0].scores
        differences = {key: value - first[key] for key, value in scores.items() if key in first}
        read.append(ScoresAt(own_rule(text).words, None, None, scores, differences, text))
    return read


def _at_own(result: Result, text: str, counts: Counts | None) -> Mapping[str, float]:
    """The scores where each map gives its own threshold."""
    if result.threshold.per_image == text:
        return result.scores
    if counts is None:
        raise WsolbenchError(
            f"result of {result.name} on {result.split}",
            found="no counts next to it",
            expected=f"the statistics of each image, which the threshold {text} is read off",
            cure="evaluate again with --counts",
        )
    _check_per_image(counts.scoring.protocol, counts.scoring.families)
    scoring = replace(counts.scoring, own=own_rule(text))
    threshold = Threshold("per_image", per_image=text)
    return scoring.scored(scoring.sums(counts.kept), threshold)[0]


def _rules(
    result: Result, carried: Result | None, fixed: Sequence[int]
) -> list[tuple[str, int | None, int | None]]:
    """Each rule in words, with its levels of pixel and of box scores."""
    curves = result.curves
    pixel, box = (_best(curves.get(key)) for key in ("iou", localization_key(result.label)))
    rules = [("max on this split", pixel, box)]
    if carried is not None:
        _check_carried(
            carried,
            result.protocol,
            result.dataset,
            result.split,
            result.label,
            result.submission_sha256,
            result.annotations_sha256,
        )
        pixel, box = (_level(carried, key) for key in _LEVEL_KEYS.values())
        source = {
            "method": carried.name,
            "split": carried.split,
            "annotations_sha256": carried.annotations_sha256,
        }
        moved = replace(result, threshold=Threshold("carried", pixel, box, source))
        rules.append((threshold_text(moved), pixel, box))
    elif result.threshold.rule == "carried":
        rules.append((threshold_text(result), result.threshold.pixel, result.threshold.box))
    own = result.threshold.pixel if result.threshold.rule == "fixed" else None
    for level in dict.fromkeys([*([] if own is None else [own]), *fixed]):
        rules.append((f"fixed at {level} ({level / (LEVELS - 1):.2f})", level, level))
    return rules


def readings_table(read: Sequence[ScoresAt], form: str = "text", layout: Layout = PLAIN) -> str:
    """A row a rule; percent, and in brackets the points lost or won against the rule "max".

    CSV has the scores alone, as fractions.

    Args:
        read: of `readings`.
        form: "text", "md", "latex" or "csv".
        layout: columns, order and direction; transposed, the table has a row a score.

    Raises:
        WsolbenchError: a column or an order by a score that no rule has.

    Examples:
        >>> read = wsolbench.readings(wsolbench.read_result("demo/sem-test.json"), fixed=[128])
        >>> wsolbench.readings_table(read, "csv").split(",")[:4]
        ['rule', 'pixel_threshold', 'box_threshold', 'iou_at_threshold']
    """
    check_form(form, layout)
    require_items("read", read, (ScoresAt,), "a list that readings(result) returns")
    first = read[0] if read else None
    read = layout.order(read, lambda own: own.scores, lambda own: own.rule)
    shown = [SCORES[key] for key in layout.keys(key for own in read for key in own.scores)]
    if form == "csv":
        head = ["rule", "pixel_threshold", "box_threshold", *(score.key for score in shown)]
        values = [
            [
                own.rule,
                *("" if level is None else level for level in (own.pixel, own.box)),
                *(own.scores.get(score.key, "") for score in shown),
            ]
            for own in read
        ]
        return csv_text(head, values)
    rows = [
        [
            markdown_text(reading.rule) if form == "md" else reading.rule,
            *(
                "each" if reading.per_image else "-" if level is None else str(level)
                for level in (reading.pixel, reading.box)
            ),
            *(_cell(score, reading, reading is first) for score in shown),
        ]
        for reading in read
    ]
    head = ["Threshold", "T", "Box-T", *(score.title for score in shown)]
    if layout.transposed:
        head, *rows = [list(cells) for cells in zip(head, *rows, strict=True)]
    return grid(rows, head, form, "lr", width=layout.width)


def _read_at_thresholds() -> list[Score]:
    return [score for score in SCORES.values() if score.read is Read.THRESHOLD]


def _check_carried(
    other: Result,
    protocol: Mapping[str, Any],
    dataset: str,
    split: str,
    label: str,
    submission_sha256: str,
    annotations_sha256: str,
) -> None:
    """Refuse a result whose thresholds may not be carried to maps of this kind."""
    where = f"threshold from {other.name} on {other.split}"
    same_protocol = other.protocol["sha256"] == protocol["sha256"]
    for name, same, theirs, ours in (
        ("protocol", same_protocol, label_of(other.protocol), label_of(protocol)),
        ("data set", other.dataset == dataset, other.dataset, dataset),
        ("label", other.label == label, other.label, label),
    ):
        if not same:
            raise WsolbenchError(
                where,
                found=f"a result of {name} {theirs}",
                expected=ours,
                cure="name a result of the same kind",
            )
    if other.limit is not None:
        raise WsolbenchError(
            where,
            found=f"a trial on {other.limit} images",
            expected="a result on a whole split",
            cure="evaluate that split without --limit",
        )
    same = other.submission_sha256 == submission_sha256 and other.split == split
    # Thresholds of the same maps on other annotations, e.g. pseudo boxes, are no oracle.
    same &= other.annotations_sha256 == annotations_sha256
    if other.submission_sha256 and same:
        raise WsolbenchError(
            where,
            found="a result of the same maps on the same split",
            cure="name a result on another split, or on other annotations such as pseudo boxes; "
            "the best on this one is what you get without",
        )


def _best(curve: Sequence[float] | None) -> int | None:
    """The lowest threshold of the highest value."""
    return None if not curve else max(range(len(curve)), key=curve.__getitem__)


def _level(result: Result, key: str) -> int | None:
    return int(result.scores[key]) if key in result.scores else None


def _cell(score: Score, reading: ScoresAt, first: bool) -> str:
    if score.key not in reading.scores:
        return "-"
    text = score.text(reading.scores[score.key])
    if first or score.key not in reading.differences:
        return text
    return f"{text} ({score.text(reading.differences[score.key], signed=True)})"
