"""Results as text: tables, and the line that tells which numbers may be compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..errors import WsolbenchError, printable
from ..protocols import label_of, versioned
from ..scores import SCORES, ends_text, in_order
from ..tables import csv_text, grid, markdown_text
from .result import GROUPS, Group, Result

__all__ = [
    "breakdown_table",
    "check_alike",
    "score_cell",
    "signature",
    "table",
    "threshold_text",
    "told_apart",
]

TELLING = ("seeds", "normalisation", "size", "map_size")
"""Parameters that distinguish runs of one method; the first that does is shown."""

LACKING = {"mask": "pixel", "box": "box"}
"""What images may lack, and the metric family that needs it."""

_SHOWN_GROUPS = 20


def signature(result: Result) -> str:
    """What must agree before two numbers may be compared, in one line."""
    parts = {
        "wsolbench": result.wsolbench,
        "protocol": versioned(result.protocol),
        "hash": str(result.protocol["sha256"])[:8],
        "annotations": f"{result.dataset}/{result.split}/{result.annotations_sha256[:8]}",
        "images": result.images,
        "maps": result.label,
        "threshold": threshold_text(result),
    }
    of_boxes = [SCORES[key] for key in result.scores if SCORES[key].family == "box"]
    searched = result.protocol.get("fixed_threshold", 0) is None or "max_box_acc" in result.scores
    if searched and of_boxes and not any(score.is_threshold for score in of_boxes):
        parts["boxes"] = "the submission's"
    if result.protocol.get("averaging") == "classes":
        parts["accuracies"] = "means over classes"
    if result.bootstrap is not None:
        drawn = result.bootstrap
        parts["intervals"] = (
            f"{100 * drawn.level:g} % of {drawn.resamples} resamples of images, seed {drawn.seed}"
        )
    if result.counts.get("missing"):
        parts["missing"] = result.counts["missing"]
    for kind, family in LACKING.items():
        count = result.counts.get(f"without_{kind}")
        if count and not any(SCORES[key].family == family for key in result.scores):
            parts[f"no {family} scores"] = f"{count} images have no {kind}"
    if result.limit is not None:
        parts["TRIAL"] = f"first {result.limit} images only, not comparable"
    return "|".join(f"{key}:{value}" for key, value in parts.items())


def threshold_text(result: Result) -> str:
    """How thresholds were chosen, in a few words."""
    threshold = result.threshold
    if threshold.rule == "max":
        return "max on this split"
    if threshold.rule == "fixed" and threshold.pixel is None:
        return f"fixed by the protocol at {result.protocol.get('fixed_threshold')}"
    if threshold.rule == "fixed":
        return f"fixed at {threshold.pixel}"
    source = threshold.source or {}
    whose = "" if source.get("method") == result.name else f" of {source.get('method')}"
    levels = {"T": threshold.pixel, "box T": threshold.box}
    taken = ", ".join(f"{name} {level}" for name, level in levels.items() if level is not None)
    return printable(f"from {source.get('split')}{whose} ({taken})")


def table(results: Sequence[Result], form: str = "text") -> str:
    """Results as a table: one row a score for a single result on a terminal, else one row a result.

    Fractions are percent with two decimals in all but CSV, which keeps them as they are.

    Raises:
        WsolbenchError: results of different protocols, whose numbers do not belong in one table.
    """
    check_alike(results)
    if form == "csv":
        return _csv(results)
    keys = in_order({key for result in results for key in result.scores})
    if form == "text" and len(results) == 1:
        (result,) = results
        rows = [
            [
                SCORES[key].title,
                SCORES[key].text(result.scores[key]),
                ends_text(SCORES[key], result.intervals[key]) if key in result.intervals else "",
            ]
            for key in keys
        ]
        return grid(rows, form="plain", aligned="lrl")
    head = ["Method", "Data set", "Split", "Images", "Threshold"]
    head += [SCORES[key].title for key in keys]
    names = told_apart(
        [result.name for result in results], [result.parameters for result in results]
    )
    rows = [
        [
            name,
            result.dataset,
            result.split + ("" if result.limit is None else " (trial)"),
            str(result.images),
            threshold_text(result),
            *(score_cell(key, result.scores, result.intervals) for key in keys),
        ]
        for name, result in zip(names, results, strict=True)
    ]
    if form == "text":
        # A terminal is narrower than a paper: results side by side, scores below each other.
        columns = [list(column) for column in zip(head, *rows, strict=True)]
        return grid(columns[1:], columns[0], form, "lr")
    if form == "md":
        rows = [[markdown_text(cell) for cell in row] for row in rows]
    return grid(rows, head, form, "lllrlr")


def breakdown_table(result: Result, kind: str, form: str = "text") -> str:
    """The groups of one kind as a table, a row a group; `table` has them in CSV.

    On a terminal the brief scores alone; of more than 20 groups, the lowest and highest ten.
    """
    groups = list(result.breakdowns[kind])
    keys = in_order({key for group in groups for key in group.scores})
    gap = None
    if form == "text":
        keys = [key for key in keys if SCORES[key].brief]
        if len(groups) > _SHOWN_GROUPS:
            groups.sort(key=lambda group: group.scores.get(keys[0], 0))
            gap = _SHOWN_GROUPS // 2
            left = len(groups) - _SHOWN_GROUPS
            groups = [*groups[:gap], *groups[-gap:]]
    clean = markdown_text if form == "md" else str
    rows = [
        [
            clean(group.name),
            str(group.images),
            *(score_cell(key, group.scores, group.intervals) for key in keys),
        ]
        for group in groups
    ]
    if gap is not None:
        rows.insert(gap, [f"... {left} between", *("" for _ in range(len(keys) + 1))])
    head = [GROUPS[kind], "Images", *(SCORES[key].title for key in keys)]
    return grid(rows, head, form, "lr")


def check_alike(results: Sequence[Result]) -> None:
    """Refuse results whose numbers may not stand side by side.

    Raises:
        WsolbenchError: none at all, or some of another protocol than the first.
    """
    if not results:
        raise WsolbenchError(
            "results", found="none", expected="one or more", cure="name a result file"
        )
    first = results[0].protocol
    for own in (result.protocol for result in results):
        if own["sha256"] != first["sha256"]:
            raise WsolbenchError(
                "results",
                found=f"protocols {label_of(first)} and {label_of(own)}",
                expected="one protocol side by side",
                cure="show them apart",
            )


def told_apart(
    names: Sequence[str], stated: Sequence[Mapping[str, object]], *, numbered: bool = False
) -> list[str]:
    """Names, of which equal ones get the first parameter in which all of them differ.

    Args:
        names: of methods.
        stated: parameters of each; a method without the parameter keeps its name.
        numbered: whether equal names that differ in no parameter get numbers.
    """
    distinct = []
    for place, name in enumerate(names):
        alike = [own for own, other in zip(stated, names, strict=True) if other == name]
        telling = [
            key for key in TELLING if len({str(own.get(key, "")) for own in alike}) == len(alike)
        ]
        if len(alike) == 1 or (telling and telling[0] not in stated[place]):
            distinct.append(name)
        elif telling:
            value = printable(str(stated[place][telling[0]]))[:20]
            distinct.append(f"{name}, {telling[0].replace('_', ' ')} {value}")
        else:
            distinct.append(f"{name} ({place + 1})" if numbered else name)
    return distinct


def score_cell(
    key: str,
    scores: Mapping[str, float | int],
    intervals: Mapping[str, Sequence[float | int]],
) -> str:
    """A score and its interval, as a cell of a table; "-" where there is none."""
    if key not in scores:
        return "-"
    score = SCORES[key]
    ends = f" {ends_text(score, intervals[key])}" if key in intervals else ""
    return score.text(scores[key]) + ends


def _csv(results: Sequence[Result]) -> str:
    """A row a result and, where there are any, a row each of its groups."""
    parts = [part for result in results for part in _parts(result)]
    keys = in_order({key for part in parts for key in part.scores})
    held = [key for key in keys if any(key in part.intervals for part in parts)]
    grouped = any(result.breakdowns for result in results)
    head = ["method", "dataset", "split", "images", "limit", "threshold"]
    head += [*(["by", "group"] if grouped else []), *keys]
    head += [f"{key}_{end}" for key in held for end in ("low", "high")]
    rows = []
    for result in results:
        kinds = ["", *(kind for kind, found in result.breakdowns.items() for _ in found)]
        for kind, part in zip(kinds, _parts(result), strict=True):
            about: list[object] = [result.name, result.dataset, result.split, part.images]
            about += ["" if result.limit is None else result.limit, threshold_text(result)]
            if grouped:
                about += [kind, part.name if kind else ""]
            ends = [end for key in held for end in part.intervals.get(key, ("", ""))]
            rows.append([*about, *(part.scores.get(key, "") for key in keys), *ends])
    return csv_text(head, rows)


def _parts(result: Result) -> list[Result | Group]:
    """A result and its groups."""
    return [result, *(group for held in result.breakdowns.values() for group in held)]
