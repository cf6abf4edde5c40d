"""Verdicts as a grid: who is ahead, by score, pair of methods and protocol."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..errors import require_choice, require_type
from ..evaluation.comparison_report import correction_text, mark
from ..scores import SCORES, Unit, ends_text, in_order
from .compared import (
    VERDICT_COLOURS,
    about,
    as_table,
    cell_style,
    name_lines,
    row_title,
    verdicts,
)
from .keys import Mark, framed
from .matrix import draw_matrix
from .style import MINUS, STYLES, inches_of, picture, require_form
from .texts import small, text_width

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..evaluation.comparison import Comparison
    from ..evaluation.pairs import Pair
    from ..evaluation.verdict import Verdict

__all__ = ["MOST_PAIRS", "save_verdict", "verdict_grid"]

MOST_PAIRS = 11
"""Pairs that have columns of their own: twelve methods, each against the first."""

MOST_SENTENCES = 6
"""Pairs that have a sentence each above the grid."""

_WIDE, _COLUMN, _NARROW = 1.6, 0.62, 0.5  # inches of a column with intervals, without, at least
_ROW, _GAP = 0.22, 0.06  # inches of a row, and between texts


def verdict_grid(
    verdict: Verdict, ax: Axes, columns: Sequence[int] | None = None, *, inches: float | None = None
) -> Axes:
    """A row per score, a column per pair and protocol: coloured where it is decided.

    Cells show the difference (second method minus first, percentage points or the score's unit),
    with as many digits, and the interval, as fit.
    A score that a protocol does not have is left blank; one that repeats another is in brackets.
    Scores that none of the protocols has are left out.

    Args:
        verdict: of one protocol or more.
        ax: to draw on.
        columns: which columns, of the pairs under each protocol in turn; None for all.
        inches: the width of a column; None if there is room for intervals up to two columns.
    """
    from matplotlib.patches import Rectangle

    from ..evaluation.verdict import Verdict

    require_type("verdict", verdict, (Verdict,), "a Verdict")
    every = _columns(verdict)
    chosen = [every[place] for place in (range(len(every)) if columns is None else columns)]
    keys = _rows(chosen)
    if inches is None:
        inches = math.inf if len(chosen) <= 2 else _COLUMN
    several = len(verdict.comparisons) > 1
    titles = []
    cells = [
        (column, keys.index(pair.score), pair, comparison)
        for column, (comparison, first, second) in enumerate(chosen)
        for pair in comparison.pairs
        if (pair.first, pair.second) == (first, second)
    ]
    told = _fitting([(pair, comparison) for _, _, pair, comparison in cells], inches)
    for (column, row, pair, _), text in zip(cells, told, strict=True):
        fill = VERDICT_COLOURS[pair.verdict]
        ax.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, facecolor=fill, edgecolor="white"))
        ax.text(column, row, text, **cell_style(pair.verdict))
    for comparison, first, second in chosen:
        name = f"{mark(second)} {MINUS} {mark(first)}"
        titles.append(f"{comparison.protocol['name']}\n{name}" if several else name)
    ax.set(xlim=(-0.5, len(chosen) - 0.5), ylim=(len(keys) - 0.5, -0.5))
    widest = max(text_width(line, small()) for title in titles for line in title.split("\n"))
    turned: dict[str, Any] = (
        {"rotation": 60, "ha": "left", "rotation_mode": "anchor"} if widest > inches - _GAP else {}
    )
    ax.set_xticks(range(len(titles)), titles, **turned)
    ax.set_yticks(range(len(keys)), [row_title(SCORES[key]) for key in keys])
    as_table(ax)
    return ax


def save_verdict(
    verdict: Verdict,
    path: str | os.PathLike[str],
    style: str = "screen",
    width: str | None = None,
) -> None:
    """Draw the verdicts into a PNG, SVG or PDF file, under a sentence on each of up to six pairs.

    Columns that do not fit follow below. More than eleven pairs are one matrix: every method beside
    every other, and in how many scores it is ahead or behind.

    Args:
        verdict: of one protocol or more.
        path: the file to write.
        style: a key of `STYLES`.
        width: a key of `FIGURE_WIDTHS`; None for the width that the columns need.

    Raises:
        WsolbenchError: unsupported file extension.
    """
    from ..evaluation.verdict import Verdict

    require_form(path)
    inches = inches_of(width)
    require_choice("style", style, STYLES)
    require_type("verdict", verdict, (Verdict,), "a Verdict")
    first, several = verdict.comparisons[0], len(verdict.comparisons) > 1
    source = correction_text(first)
    title = about(first, protocol=not several)
    if len(verdict.standings) > MOST_PAIRS:
        draw_matrix(verdict, path, style, inches, title, source)
        return
    title += name_lines(first)
    for own in verdict.standings if len(verdict.standings) <= MOST_SENTENCES else ():
        title.append(f"{mark(own.second)} beside {mark(own.first)}: {own}")
    from matplotlib import rc_context

    with rc_context(STYLES[style]):
        labels = max(text_width(row_title(SCORES[key]), small()) for key in verdict.score_keys)
    labels += 0.2
    every = _columns(verdict)
    column = _WIDE if len(every) <= 2 else _COLUMN
    room = 10.0 if inches is None else inches
    most = max(1, int((room - labels) / (column if inches is None else _NARROW)))
    parts = _parts(len(every), len(verdict.standings), most)
    most = max(map(len, parts))
    whole = max(labels + column * most, 5.0) if inches is None else inches
    heights = [float(len(_rows([every[place] for place in part]))) for part in parts]
    step = _ROW if inches is None else 0.18
    high = step * sum(heights) + (0.9 if several else 0.35) * len(parts)
    with picture(path, len(parts), 1, (whole, high), style, heights) as axes:
        for part, ax in zip(parts, axes[:, 0], strict=True):
            verdict_grid(verdict, ax, part, inches=(whole - labels) / most)
            ax.set_xlim(-0.5, most - 0.5)
        marks = verdicts(pair.verdict for own in verdict.comparisons for pair in own.pairs)
        if any(own.repeated for own in verdict.comparisons):
            marks.append(Mark("repeats another score, not counted", sign="( )"))
        cells = [text.get_text() for ax in axes[:, 0] for text in ax.texts]
        source = "; ".join(part for part in (_cell_note(cells, first), source) if part)
        framed(axes[0, 0].figure, marks, title=title, source=source)


def _cell_note(cells: Sequence[str], comparison: Comparison) -> str:
    """What the numbers in cells are, as far as they are there."""
    if not any(char.isdecimal() for text in cells for char in text):
        return ""
    own = any(SCORES[key].unit is not Unit.FRACTION for key in comparison.scores)
    unit = "percentage points" + (" or the score's own unit" if own else "")
    level = f" with {100 * comparison.bootstrap.level:g} % intervals, not corrected"
    return f"differences in {unit}{level if any('[' in text for text in cells) else ''}"


def _parts(columns: int, pairs: int, most: int) -> list[range]:
    """Columns of each grid: as many as fit, whole protocols if they do, and about alike."""
    unit = pairs if pairs <= most else 1
    count = -(-columns // unit)  # protocols, or columns
    rows = -(-count // (most // unit))
    step = -(-count // rows) * unit
    return [range(start, min(start + step, columns)) for start in range(0, columns, step)]


def _rows(columns: Sequence[tuple[Comparison, int, int]]) -> list[str]:
    """The scores that any of the columns has, in the order of tables."""
    return in_order({key for comparison, _, _ in columns for key in comparison.scores})


def _columns(verdict: Verdict) -> list[tuple[Comparison, int, int]]:
    """The pairs under each protocol in turn."""
    pairs = [(own.first, own.second) for own in verdict.standings]
    return [(comparison, *pair) for comparison in verdict.comparisons for pair in pairs]


def _fitting(cells: Sequence[tuple[Pair, Comparison]], inches: float) -> list[str]:
    """The texts of cells with as much as fits into each: interval, two decimals, one, or a sign."""
    size = small()
    for detail in ("interval", "2", "1", "0"):
        texts = [_cell(pair, comparison, detail) for pair, comparison in cells]
        if all(text_width(text, size) <= inches - _GAP for text in texts):
            return texts
    return [_cell(pair, comparison, "sign") for pair, comparison in cells]


def _cell(pair: Pair, comparison: Comparison, detail: str) -> str:
    score = SCORES[pair.score]
    if pair.verdict == "equal":
        text = "="
    elif detail == "sign":
        text = "+" if pair.difference > 0 else "-" if pair.difference < 0 else "0"
    else:
        decimals = 2 if detail == "interval" or score.unit is not Unit.FRACTION else int(detail)
        text = score.text(pair.difference, decimals, signed=True)
        if detail == "interval":
            text += f" {ends_text(score, pair.interval, signed=True)}"
    text = text.replace("-", MINUS)
    return f"({text})" if pair.score in comparison.repeated else text
