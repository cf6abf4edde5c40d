"""One result read at the thresholds of several rules, side by side.

What is best on the very images that are reported, what was best on others, and what was fixed
beforehand are three numbers; published tables mostly tell the first (paper section 4.1.2). All of
them are points of the result's curves.

Public names: `Reading`, `readings`, `readings_table`, `check_carried`, `FIXED`.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from ..errors import WsolbenchError
from ..files import guard_cell
from ..formats.result import COLUMNS, LEVELS, Result, Threshold, markdown_text, threshold_text

FIXED = (51, 128)
"""Thresholds that are customary without looking: .2 of the range (CAM) and .5."""

_CURVES = {
    "iou_at_threshold": "iou",
    "iou_at_threshold_image_mean": "iou_image_mean",
    "gt_known_loc": "gt_known_loc",
    "predicted_loc": "predicted_loc",
    "top1_loc": "top1_loc",
    "top5_loc": "top5_loc",
}


@dataclass(frozen=True)
class Reading:
    """What a result scores at the thresholds of one rule.

    Attributes:
        rule: in words.
        pixel: T of pixel scores; None where the result has none.
        box: T of box scores; None where the result has none.
        scores: by key.
        differences: score minus that of the rule "max", by key.
    """

    rule: str
    pixel: int | None
    box: int | None
    scores: Mapping[str, float]
    differences: Mapping[str, float]

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self)


def readings(
    result: Result, carried: Result | None = None, fixed: Sequence[int] = FIXED
) -> list[Reading]:
    """Read a result's curves at the best thresholds on its own images, at carried and fixed ones.

    Args:
        result: under protocol `sem`, with the curves of maps.
        carried: a result whose thresholds are taken; None takes those that the result itself
            carried, if it did.
        fixed: thresholds 0..255, each for pixels and boxes; that of the result comes first, if it
            fixed one.

    Returns:
        The rule "max" first.

    Raises:
        WsolbenchError: a result without curves over 256 levels, or a `carried` one of another
            kind or without the thresholds.
    """
    curves = result.curves
    held = set(_CURVES.values()) & curves.keys()
    if len(curves.get("threshold", ())) != LEVELS or not held:
        raise WsolbenchError(
            f"result of {result.name} on {result.split}",
            found="no curves over the thresholds 0..255",
            expected="a result of maps under protocol sem",
            cure="evaluate the maps under --protocol sem",
        )
    pixel = _best(curves.get("iou"))
    box = _best(curves.get("gt_known_loc") or curves.get("predicted_loc"))
    rules: list[tuple[str, int | None, int | None]] = [("max on this split", pixel, box)]
    if carried is not None:
        check_carried(
            carried,
            protocol_sha256=str(result.protocol["sha256"]),
            dataset=result.dataset,
            split=result.split,
            label=result.label,
            submission_sha256=result.submission_sha256,
        )
        pixel, box = (_level(carried, key) for key in ("peak_threshold", "box_threshold"))
        source = {"method": carried.name, "split": carried.split}
        told = replace(result, threshold=Threshold("carried", pixel, box, source))
        rules.append((threshold_text(told), pixel, box))
    elif result.threshold.rule == "carried":
        rules.append((threshold_text(result), result.threshold.pixel, result.threshold.box))
    own = [result.threshold.pixel] if result.threshold.rule == "fixed" else []
    for level in dict.fromkeys([level for level in own if level is not None] + list(fixed)):
        rules.append((f"fixed at {level} ({level / (LEVELS - 1):.2f})", level, level))
    read: list[Reading] = []
    for rule, pixel_t, box_t in rules:
        scores = {}
        for key, name in _CURVES.items():
            at = pixel_t if name.startswith("iou") else box_t
            if name in curves and at is not None:
                scores[key] = float(curves[name][at])
        best = read[0].scores if read else scores
        differences = {key: value - best[key] for key, value in scores.items()}
        read.append(
            Reading(
                rule,
                pixel_t if "iou" in curves else None,
                box_t if {"gt_known_loc", "predicted_loc"} & curves.keys() else None,
                scores,
                differences,
            )
        )
    return read


def readings_table(read: Sequence[Reading], form: str = "text") -> str:
    """A row a rule; percent, and in brackets the points lost or won against the rule "max".

    CSV has the scores alone, as fractions.
    """
    from tabulate import tabulate

    keys = [key for key in _CURVES if any(key in reading.scores for reading in read)]
    if form == "csv":
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["rule", "pixel_threshold", "box_threshold", *keys])
        for own in read:
            scores = [own.scores.get(key, "") for key in keys]
            levels = ["" if level is None else level for level in (own.pixel, own.box)]
            writer.writerow([guard_cell(own.rule), *levels, *scores])
        return text.getvalue().rstrip("\n")
    rows = [
        [
            markdown_text(reading.rule) if form == "md" else reading.rule,
            *("-" if level is None else str(level) for level in (reading.pixel, reading.box)),
            *(_cell(key, reading, place == 0) for key in keys),
        ]
        for place, reading in enumerate(read)
    ]
    return tabulate(
        rows,
        headers=["Threshold", "T", "Box-T", *(COLUMNS[key] for key in keys)],
        tablefmt={"text": "simple", "md": "github", "latex": "latex_booktabs"}[form],
        disable_numparse=True,
        colalign=("left", *("right" for _ in range(len(keys) + 2))),
    )


def check_carried(
    other: Result,
    *,
    protocol_sha256: str,
    dataset: str,
    split: str,
    label: str,
    submission_sha256: str,
) -> None:
    """Refuse a result whose thresholds may not be carried to maps of this kind.

    Raises:
        WsolbenchError: another protocol, data set or label; a trial; the same maps on the same
            split.
    """
    where = f"threshold from {other.name} on {other.split}"
    for name, theirs, ours in (
        ("protocol", other.protocol["sha256"], protocol_sha256),
        ("data set", other.dataset, dataset),
        ("label", other.label, label),
    ):
        if theirs != ours:
            raise WsolbenchError(
                where,
                found=f"a result of {name} {theirs}",
                expected=str(ours),
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
    if other.submission_sha256 and same:
        raise WsolbenchError(
            where,
            found="a result of the same maps on the same split",
            cure="name a result on another split; the best on this one is what you get without",
        )


def _best(curve: Sequence[float] | None) -> int | None:
    """The lowest threshold of the highest value."""
    return None if not curve else max(range(len(curve)), key=curve.__getitem__)


def _level(result: Result, key: str) -> int | None:
    return int(result.scores[key]) if key in result.scores else None


def _cell(key: str, reading: Reading, first: bool) -> str:
    if key not in reading.scores:
        return "-"
    text = f"{100 * reading.scores[key]:.2f}"
    return text if first else f"{text} ({100 * reading.differences[key]:+.2f})"
