"""Results as text: tables, and the line that tells which numbers may be compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..errors import WsolbenchError, printable, require_choice, require_items, require_type
from ..protocols import label_of, versioned
from ..scores import SCORES, Unit, ends_text, in_order
from ..tables import FORMATS, csv_text, grid, markdown_text
from .layout import ABOUT, PLAIN, Layout, best_places, check_form
from .names import telling, told_apart
from .result import GROUPS, Group, Result
from .seeds import SeedGroup, seed_groups

__all__ = [
    "boundary_text",
    "breakdown_table",
    "chance_text",
    "check_alike",
    "check_rules",
    "score_cell",
    "seeds_table",
    "signature",
    "table",
    "threshold_text",
]

LACKING = {"mask": "pixel", "box": "box"}
"""What images may lack, and the metric family that needs it."""

_WITHOUT_CSV = tuple(form for form in FORMATS if form != "csv")

_SHOWN_GROUPS = 20
_WORDS = ("dataset", "split", "threshold")


def signature(result: Result) -> str:
    """What must agree before two numbers may be compared, in one line.

    Examples:
        >>> result = wsolbench.read_result("demo/sem-val.json")
        >>> wsolbench.signature(result).split("|")[3:6]
        ['annotations:mini/val/d009a581', 'images:120', 'maps:gt']
    """
    require_type("result", result, (Result,), "a Result")
    parts = {
        "wsolbench": result.wsolbench,
        "protocol": versioned(result.protocol),
        "hash": str(result.protocol["sha256"])[:8],
        "annotations": f"{result.dataset}/{result.split}/{result.annotations_sha256[:8]}",
        "images": result.images,
        "maps": result.label,
        "threshold": threshold_text(result),
    }
    if {SCORES[key].family for key in result.scores} == {"boundary"}:
        del parts["maps"], parts["threshold"]
    of_boxes = [SCORES[key] for key in result.scores if SCORES[key].family == "box"]
    searched = result.protocol.get("fixed_threshold", 0) is None or "max_box_acc" in result.scores
    searched &= result.threshold.own is None  # or boxes have a threshold, but not one
    if searched and of_boxes and not any(score.is_threshold for score in of_boxes):
        parts["boxes"] = "the submission's"
    if result.protocol.get("averaging") == "classes":
        parts["accuracies"] = "means over classes"
    if result.boundary:
        parts["boundaries"] = boundary_text(result.boundary)
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
    if result.ids is not None:
        parts["SUBSET"] = f"{result.ids}, not comparable with the whole split"
    return "|".join(f"{key}:{value}" for key, value in parts.items())


def boundary_text(rule: Mapping[str, Any]) -> str:
    """How boundaries were scored, in a few words."""
    nms = "NMS" if rule["suppression"] else "no NMS"
    return f"{nms}, {rule['truth']} truth, {rule['max_distance']:g} of the diagonal, best on split"


def threshold_text(result: Result) -> str:
    """How thresholds were chosen, in a few words."""
    threshold = result.threshold
    if threshold.rule == "max":
        return "max on this split"
    if threshold.own is not None:
        return threshold.own.words
    if threshold.rule == "fixed":
        pixel, box = threshold.pixel, threshold.box
        if pixel is None and box is None:
            return f"fixed by the protocol at {result.protocol.get('fixed_threshold')}"
        both = pixel is not None and box not in (None, pixel)
        return (
            f"fixed at {pixel}, box T {box}"
            if both
            else f"fixed at {box if pixel is None else pixel}"
        )
    source = threshold.source or {}
    part = " (subset)" if source.get("ids") else ""
    whose = "" if source.get("method") == result.name else f" of {source.get('method')}"
    levels = {"T": threshold.pixel, "box T": threshold.box}
    taken = ", ".join(f"{name} {level}" for name, level in levels.items() if level is not None)
    theirs = str(source.get("annotations_sha256", result.annotations_sha256))
    other = "" if theirs == result.annotations_sha256 else f", annotations {theirs[:8]}"
    return printable(f"from {source.get('split')}{part}{whose} ({taken}{other})")


def table(results: Sequence[Result], form: str = "text", layout: Layout = PLAIN) -> str:
    """Results as a table: one row a score for a single result on a terminal, else one row a result.

    Fractions are percent with two decimals in all but CSV, which keeps them as they are and ends
    with a row for each group of runs that differ in their seeds.

    Args:
        results: one or more, under one protocol.
        form: "text", "md", "latex" or "csv".
        layout: columns, their order and direction. On a terminal a transposed table has a row a
            result, in Markdown and LaTeX a row a score.

    Raises:
        WsolbenchError: results of different protocols, whose numbers do not belong in one table; a
            column that none of them has.

    Examples:
        >>> results = [wsolbench.read_result(f"demo/{name}-val.json") for name in ("cam", "sem")]
        >>> print(wsolbench.table(results, "csv").splitlines()[0][:44])
        method,dataset,split,images,limit,threshold,
    """
    check_form(form, layout)
    check_alike(results)
    results = layout.order(results, lambda own: own.scores, lambda own: own.name)
    held = {key for result in results for key in result.scores}
    keys = layout.scores(held)
    if form == "csv":
        return _csv(results, keys if layout.columns else None)
    if form == "text" and len(results) == 1:
        (result,) = results
        rows = [
            [
                SCORES[key].title,
                SCORES[key].text(result.scores[key]),
                ends_text(SCORES[key], result.intervals[key]) if key in result.intervals else "",
                chance_text(key, result.scores),
            ]
            for key in keys
            if not SCORES[key].is_chance
        ]
        if not any(chance for *_, chance in rows):
            rows = [row[:-1] for row in rows]
        return grid(rows, form="plain", aligned="lrl")
    columns = layout.keys(held, ABOUT)
    head = ["Method", *(ABOUT.get(key) or SCORES[key].title for key in columns)]
    names = told_apart([result.name for result in results], [*map(telling, results)])
    rows = [
        [name, *(_column(key, result) for key in columns)]
        for name, result in zip(names, results, strict=True)
    ]
    bold = [
        (row, column)
        for column, key in enumerate(columns, start=1)
        if layout.bold and key in SCORES
        for row in best_places(key, [result.scores.get(key) for result in results])
    ]
    if form == "md":
        rows = [[markdown_text(cell) for cell in row] for row in rows]
    # A terminal is narrower than a paper: results side by side, scores below each other.
    if (form == "text") != layout.transposed:
        turned = [list(cells) for cells in zip(head, *rows, strict=True)]
        bold = [(column - 1, row + 1) for row, column in bold]
        return grid(turned[1:], turned[0], form, "lr", bold=bold, width=layout.width)
    sides = "".join("l" if key in _WORDS else "r" for key in columns)
    return grid(rows, head, form, f"l{sides}", bold=bold, width=layout.width)


def _column(key: str, result: Result) -> str:
    """A cell of a table of results."""
    if key == "split":
        return result.split + (result.part and f" ({result.part})")
    if key == "threshold":
        return threshold_text(result)
    if key in ABOUT:
        return str(getattr(result, key))
    return score_cell(key, result.scores, result.intervals)


def chance_text(
    key: str,
    scores: Mapping[str, float | int],
    number: Callable[[str, float], str] = lambda key, value: SCORES[key].text(value),
) -> str:
    """What a map with the levels of this method scores by chance; empty where it is not known.

    Args:
        key: of a score.
        scores: of the method.
        number: a value of a score in words.
    """
    score = SCORES[key]
    level = scores.get(score.chance) if isinstance(score.chance, str) else score.chance
    return "" if level is None else f"chance {number(key, level)}"


def breakdown_table(result: Result, kind: str, form: str = "text") -> str:
    """The groups of one kind as a table, a row a group; `table` has them in CSV.

    On a terminal the brief scores alone; of more than 20 groups, the lowest and highest ten.

    Examples:
        >>> result = wsolbench.evaluate("demo/mini.h5", "demo/sem-val.h5", by=["boxes"])
        >>> print(wsolbench.breakdown_table(result, "boxes").splitlines()[0])
        True boxes      Images     AP    IoU at T    GT-known    Top-1 loc
    """
    check_form(form, forms=_WITHOUT_CSV)
    require_type("result", result, (Result,), "a Result")
    if not result.breakdowns:
        raise WsolbenchError(
            "result", found="no groups", cure='evaluate with by=["area"], "boxes" or "class"'
        )
    require_choice("kind", kind, result.breakdowns)
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


def seeds_table(groups: Sequence[SeedGroup], form: str = "text") -> str:
    """Mean and standard deviation of each score, a column for each group of runs.

    Args:
        groups: one or more, of `seeds.seed_groups`.
        form: "text", "md" or "latex".

    Examples:
        >>> means, spreads = {"peak_iou": 0.3}, {"peak_iou": 0.01}
        >>> group = wsolbench.SeedGroup("Noise", "mini", "val", (0, 1), (0, 1), means, spreads)
        >>> print(wsolbench.seeds_table([group], "md").splitlines()[0])
        | Mean ± standard deviation   |        Noise |
    """
    check_form(form, forms=_WITHOUT_CSV)
    require_items("groups", groups, (SeedGroup,), "a list of SeedGroup, of seed_groups")
    clean = markdown_text if form == "md" else str
    rows = [
        ["Data set", *(group.dataset for group in groups)],
        ["Split", *(group.split for group in groups)],
        ["Runs", *(f"{len(group.seeds)} seeds" for group in groups)],
        ["Seeds", *(", ".join(map(str, group.seeds)) for group in groups)],
    ]
    for key in in_order({key for group in groups for key in group.mean}):
        cells = (_spread(key, group) if key in group.mean else "-" for group in groups)
        rows.append([SCORES[key].title, *cells])
    head = ["Mean ± standard deviation", *(group.name for group in groups)]
    cleaned = [[title, *map(clean, cells)] for title, *cells in rows]
    return grid(cleaned, [head[0], *map(clean, head[1:])], form, "lr")


def _spread(key: str, group: SeedGroup) -> str:
    """The mean of a score and its deviation; a mean of levels is no whole number."""
    score = SCORES[key]
    decimals = {Unit.LEVEL: 1, Unit.SHARE: 3}.get(score.unit, 2)
    numbers = (score.scaled(own[key]) for own in (group.mean, group.std))
    return " ± ".join(f"{number:.{decimals}f}" for number in numbers)


def check_alike(results: Sequence[Result]) -> None:
    """Refuse results whose numbers may not stand side by side.

    Raises:
        WsolbenchError: none at all, or some of another protocol than the first.
    """
    require_type("results", results, (list, tuple), "a list of results, even of one")
    require_items("results", results, (Result,), "a list of results, even of one")
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
    check_rules(results)


def check_rules(results: Sequence[Result]) -> None:
    """Refuse results whose boundaries were scored by different rules.

    Raises:
        WsolbenchError: two rules.
    """
    rules = [result.boundary for result in results if result.boundary]
    for rule in rules:
        if rule != rules[0]:
            raise WsolbenchError(
                "results",
                found=f"boundaries scored with {boundary_text(rules[0])} and {boundary_text(rule)}",
                expected="one rule side by side",
                cure="show them apart",
            )


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


def _csv(results: Sequence[Result], keys: Sequence[str] | None = None) -> str:
    """A row a result, each of its groups and each group of seeds, where there are any.

    Args:
        results: to show.
        keys: of scores to show; None for all.
    """
    parts = [part for result in results for part in _parts(result)]
    keys = in_order({key for part in parts for key in part.scores}) if keys is None else keys
    held = [key for key in keys if any(key in part.intervals for part in parts)]
    grouped = any(result.breakdowns for result in results)
    seeded = seed_groups(results)
    head = ["method", "dataset", "split", "images", "limit", "threshold"]
    chosen = any(result.ids for result in results)
    head += ["ids_sha256"] if chosen else []
    head += [*(["by", "group"] if grouped else []), *(["seeds"] if seeded else []), *keys]
    head += [f"{key}_{end}" for key in held for end in ("low", "high")]
    head += [f"{key}_std" for key in keys] if seeded else []
    rows = []
    for result in results:
        kinds = ["", *(kind for kind, found in result.breakdowns.items() for _ in found)]
        for kind, part in zip(kinds, _parts(result), strict=True):
            about = _about(result, part.images, threshold_text(result))
            about += [result.ids.sha256 if result.ids else ""] if chosen else []
            if grouped:
                about += [kind, part.name if kind else ""]
            about += [""] if seeded else []
            ends = [end for key in held for end in part.intervals.get(key, ("", ""))]
            blank = [""] * len(keys) if seeded else []
            rows.append([*about, *(part.scores.get(key, "") for key in keys), *ends, *blank])
    for group in seeded:
        first = results[group.places[0]]
        rule = first.threshold.rule
        threshold = rule if rule == "carried" else threshold_text(first)
        about = _about(first, first.images, threshold)
        about += [first.ids.sha256 if first.ids else ""] if chosen else []
        about += [""] * 2 if grouped else []
        means, stds = ([own.get(key, "") for key in keys] for own in (group.mean, group.std))
        rows.append([*about, len(group.seeds), *means, *[""] * (2 * len(held)), *stds])
    return csv_text(head, rows)


def _about(result: Result, images: int, threshold: str) -> list[object]:
    """The first cells of a row of CSV."""
    limit = "" if result.limit is None else result.limit
    return [result.name, result.dataset, result.split, images, limit, threshold]


def _parts(result: Result) -> list[Result | Group]:
    """A result and its groups."""
    return [result, *(group for held in result.breakdowns.values() for group in held)]
