"""Comparisons in words: tables of scores and differences, verdicts, warnings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..errors import printable, require_type
from ..formats.layout import PLAIN, Layout, best_places, check_form
from ..formats.report import seeds_table
from ..scores import SCORES, ends_text
from ..tables import csv_text, grid, markdown_text
from .comparison import Comparison
from .pairs import Pair, alpha_of, resolution_fault
from .split import split_table

__all__ = [
    "CSV_HEAD",
    "DIFFERENCE_HEAD",
    "comparison_table",
    "correction_text",
    "csv_rows",
    "difference_cells",
    "legend",
    "mark",
    "marks_of",
    "pairs_of",
    "warnings_of",
]

CSV_HEAD = (
    *("score", "first", "second", "first_score", "second_score", "difference"),
    *("difference_low", "difference_high", "order", "p", "p_holm", "verdict"),
)
"""The columns of CSV."""

DIFFERENCE_HEAD = ("", "difference", "interval", "order holds in %", "p (Holm)", "verdict")
"""The columns of a table of differences after the score."""

_SHORT = 20
"""Length of the longest name that stands for itself in tables."""


def comparison_table(comparison: Comparison, form: str = "text", layout: Layout = PLAIN) -> str:
    """What the letters stand for, and tables of scores, differences and means over seeds.

    CSV has the differences alone.

    Fractions are percent and differences percentage points, with two decimals; CSV keeps fractions.

    Args:
        comparison: of methods.
        form: "text", "md", "latex" or "csv".
        layout: `columns` are the scores to show; transposed, the table of scores has a row a
            method. Methods stay in the order that they were compared in.

    Raises:
        WsolbenchError: a score that was not compared.

    Examples:
        >>> files = ["demo/cam-val.h5", "demo/sem-val.h5"]
        >>> found = wsolbench.compare_files(files, wsolbench.Bootstrap(200), "demo/mini.h5")
        >>> wsolbench.comparison_table(found, "csv").split(",")[:5]
        ['score', 'first', 'second', 'first_score', 'second_score']
    """
    check_form(form, layout, sorted_=False)
    require_type("comparison", comparison, (Comparison,), "a Comparison")
    keys = layout.keys(comparison.scores)
    shown = pairs_of(comparison, keys)
    if form == "csv":
        return csv_text(CSV_HEAD, csv_rows(comparison, shown))
    marks = marks_of(comparison, form, layout)
    scores = _scores_table(comparison, keys, marks, form, layout)
    differences = grid(
        [difference_cells(comparison, pair, marks) for pair in shown],
        ["percentage points", *DIFFERENCE_HEAD],
        form,
        "llrlrrl",
        width=layout.width,
        kept=2,
    )
    verdicts = "\n".join(_verdict_lines(comparison, marks, form))
    parts = [legend(comparison, form), scores, differences, verdicts]
    if comparison.iou_split is not None:
        parts.append(split_table(comparison.iou_split, marks, form, layout.width))
    if comparison.seeds:
        groups = [
            replace(group, name=f"{group.name} ({', '.join(marks[own] for own in group.places)})")
            for group in comparison.seeds
        ]
        parts.append(seeds_table(groups, form))
    return "\n\n".join(parts)


def _scores_table(
    comparison: Comparison, keys: Sequence[str], marks: Sequence[str], form: str, layout: Layout
) -> str:
    """The scores of each method, a row a score; transposed, a row a method."""
    table = [["percent", *marks]]
    table += [
        [
            SCORES[key].title,
            *(
                f"{SCORES[key].text(value)} {ends_text(SCORES[key], ends)}"
                for value, ends in zip(
                    comparison.scores[key], comparison.intervals[key], strict=True
                )
            ),
        ]
        for key in keys
    ]
    bold = [
        (row, place + 1)
        for row, key in enumerate(keys)
        if layout.bold
        for place in best_places(key, comparison.scores[key])
    ]
    if layout.transposed:
        table = [list(cells) for cells in zip(*table, strict=True)]
        bold = [(column - 1, row + 1) for row, column in bold]
    return grid(table[1:], table[0], form, "lr", bold=bold, width=layout.width)


def difference_cells(comparison: Comparison, pair: Pair, marks: Sequence[str]) -> list[str]:
    """One row of a table of differences: the score and `DIFFERENCE_HEAD`."""
    score, same = SCORES[pair.score], comparison.repeated.get(pair.score)
    return [
        score.title,
        f"{marks[pair.second]} - {marks[pair.first]}",
        score.text(pair.difference, signed=True),
        ends_text(score, pair.interval, signed=True),
        f"{100 * pair.order:.1f}" if pair.difference else "-",
        "-" if pair.verdict == "equal" else _p_text(pair.p_holm),
        pair.verdict if same is None else f"as {SCORES[same].title}",
    ]


def mark(place: int) -> str:
    """The letter that stands for a method: A for the first."""
    return chr(ord("A") + place)


def marks_of(comparison: Comparison, form: str, layout: Layout) -> list[str]:
    """What stands for each method: its name where all names are short, else a letter."""
    names = [printable(name) for name in comparison.names]
    fit = all(len(name) <= _SHORT and ", " not in name for name in names)
    if layout.width is not None:  # the rest of a row takes three quarters of a terminal
        longest = sorted(map(len, names))[-2:]
        fit &= sum(longest) + len(" - ") <= layout.width // 4
    if layout.named and fit and not comparison.seeds and len(set(names)) == len(names):
        return [markdown_text(name) if form == "md" else name for name in names]
    return [mark(place) for place in range(len(names))]


def _p_text(p: float) -> str:
    return "<0.001" if p < 0.0005 else f"{p:.3f}"


def _verdict_lines(comparison: Comparison, marks: Sequence[str], form: str) -> list[str]:
    """The verdict on each pair, and how it was found or why it could not be."""
    starts = {"text": "", "md": "* ", "latex": "% "}
    lines = [f"{marks[own.second]} beside {marks[own.first]}: {own}" for own in comparison.tallies]
    lines.append(correction_text(comparison))
    return [starts[form] + line for line in lines]


def correction_text(comparison: Comparison) -> str:
    """How verdicts were corrected for many comparisons."""
    alpha = 100 * alpha_of(comparison.bootstrap)
    fault = resolution_fault(comparison.comparisons, comparison.bootstrap, comparison.images)
    holm = f"verdicts: Holm's correction for {comparison.comparisons} comparisons at {alpha:g} %"
    return f"{holm}; {fault}" if fault else holm


def legend(comparison: Comparison, form: str) -> str:
    """What the letters stand for, a line each; plots and long names have letters."""
    lines = []
    for place, (name, threshold, normalisation) in enumerate(
        zip(comparison.names, comparison.thresholds, comparison.normalisations, strict=True)
    ):
        text = f"{name}; threshold: {threshold}; normalisation: {normalisation or 'not stated'}"
        lines.append(f"{mark(place)}: {printable(text)}")
    starts = {"text": "", "md": "* ", "latex": "% "}
    clean = markdown_text if form == "md" else str
    return "\n".join(starts[form] + clean(line) for line in lines)


def warnings_of(comparison: Comparison) -> list[str]:
    """What a reader should know before using the numbers, one sentence each; mostly empty."""
    warnings = list(comparison.seed_notes)
    if set(comparison.of) != {comparison.images}:
        maps = ", ".join(
            f"{name} has {count} of {total}"
            for name, count, total in zip(
                comparison.names, comparison.maps, comparison.of, strict=True
            )
        )
        warnings.append(
            f"only {comparison.images} images are compared, those that all methods have maps of: "
            f"{printable(maps)}"
        )
    if fault := resolution_fault(comparison.comparisons, comparison.bootstrap, comparison.images):
        warnings.append(f"every verdict is undecided: {fault}")
    return warnings


def pairs_of(comparison: Comparison, keys: Sequence[str]) -> list[Pair]:
    """Two methods after another, and of each two these scores, in this order."""
    shown = [pair for pair in comparison.pairs if pair.score in keys]
    return sorted(shown, key=lambda own: (own.first, own.second, keys.index(own.score)))


def csv_rows(comparison: Comparison, pairs: Sequence[Pair]) -> list[list[object]]:
    """A row of `CSV_HEAD` for each of some pairs; fractions as they are."""
    return [
        [
            pair.score,
            comparison.names[pair.first],
            comparison.names[pair.second],
            comparison.scores[pair.score][pair.first],
            comparison.scores[pair.score][pair.second],
            pair.difference,
            *pair.interval,
            pair.order,
            pair.p,
            pair.p_holm,
            pair.verdict,
        ]
        for pair in pairs
    ]
