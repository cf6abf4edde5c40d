"""Verdicts as a grid: who is ahead, by score, pair of methods and protocol."""

from __future__ import annotations

import os
import textwrap
from typing import TYPE_CHECKING

from ..errors import printable, require_type
from ..scores import SCORES, Unit, ends_text
from .forest import row_title
from .style import COLOURS, MINUS, picture, require_form

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..evaluation.pairs import Pair
    from ..evaluation.verdict import Verdict

__all__ = ["save_verdict", "verdict_grid"]

_FILLS = {
    "ahead": COLOURS[0],
    "behind": COLOURS[1],
    "undecided": "#e6e6e6",
    "equal": "#ffffff",
    "higher": COLOURS[5],
    "lower": COLOURS[4],
}
_DARK = ("ahead", "behind")
_LETTERS = 110  # of a title, a figure of 8 inches
_WIDE = 2  # columns that leave room for intervals
_COLUMN, _ROW = 0.78, 0.24  # inches


def verdict_grid(verdict: Verdict, ax: Axes) -> Axes:
    """A row per score, a column per pair and protocol: coloured where it is decided.

    Cells show the difference (second method minus first, percentage points or the score's unit),
    with its interval if there are at most two columns.
    A score that a protocol does not have is left blank; one that repeats another is in brackets.

    Args:
        verdict: of one protocol or more.
        ax: to draw on.
    """
    from matplotlib.patches import Rectangle

    from ..evaluation.verdict import Verdict

    require_type("verdict", verdict, (Verdict,), "a Verdict")
    keys = verdict.score_keys
    titles = []
    pairs = [(own.first, own.second) for own in verdict.standings]
    for place, comparison in enumerate(verdict.comparisons):
        for number, (first, second) in enumerate(pairs):
            column = place * len(pairs) + number
            name = f"{_mark(second)} {MINUS} {_mark(first)}"
            several = len(verdict.comparisons) > 1
            titles.append(f"{comparison.protocol['name']}\n{name}" if several else name)
            for pair in comparison.pairs:
                if (pair.first, pair.second) != (first, second):
                    continue
                row = keys.index(pair.score)
                fill = _FILLS[pair.verdict]
                ax.add_patch(
                    Rectangle((column - 0.5, row - 0.5), 1, 1, facecolor=fill, edgecolor="white")
                )
                text = _cell(pair, wide=len(pairs) * len(verdict.comparisons) <= _WIDE)
                ax.text(
                    column,
                    row,
                    f"({text})" if pair.score in comparison.repeated else text,
                    ha="center",
                    va="center",
                    fontsize=7,
                    color="white" if pair.verdict in _DARK else "#444444",
                )
    ax.set(xlim=(-0.5, len(titles) - 0.5), ylim=(len(keys) - 0.5, -0.5))
    ax.set_xticks(range(len(titles)), titles, rotation=60 if len(titles) > 3 else 0, fontsize=7)
    ax.set_yticks(range(len(keys)), [row_title(SCORES[key]) for key in keys], fontsize=8)
    ax.xaxis.tick_top()
    ax.tick_params(length=0)
    ax.grid(visible=False)
    for spine in ax.spines.values():
        spine.set_visible(False)
    return ax


def save_verdict(verdict: Verdict, path: str | os.PathLike[str], style: str = "screen") -> None:
    """Draw the verdicts into a PNG, SVG or PDF file, under the sentence on each pair.

    Raises:
        WsolbenchError: unsupported file extension.
    """
    from matplotlib.patches import Patch

    from ..evaluation.comparison_report import correction_text
    from ..evaluation.verdict import Verdict

    require_form(path)
    require_type("verdict", verdict, (Verdict,), "a Verdict")
    standings, first = verdict.standings, verdict.comparisons[0]
    names = [f"{_mark(place)}: {printable(name)[:70]}" for place, name in enumerate(verdict.names)]
    told = [f"{_mark(own.second)} beside {_mark(own.first)}: {own}" for own in standings]
    about = f"{first.dataset} {first.split}, {first.images} images"
    columns = len(standings) * len(verdict.comparisons)
    wide = max(8.0, 2.2 + _COLUMN * columns)
    lines = [
        part
        for own in (about, *names, *told, correction_text(first))
        for part in textwrap.wrap(own, int(_LETTERS * wide / 8)) or [""]
    ]
    size = (wide, 1.5 + _ROW * len(verdict.score_keys) + 0.17 * len(lines))
    shown = {pair.verdict for own in verdict.comparisons for pair in own.pairs}
    with picture(path, 1, 1, size, style) as axes:
        ax = verdict_grid(verdict, axes[0, 0])
        figure = ax.figure
        figure.suptitle("\n".join(lines), fontsize=9, parse_math=False)
        patches = [
            Patch(facecolor=fill, edgecolor="#999999", label=name)
            for name, fill in _FILLS.items()
            if name in shown
        ]
        figure.legend(handles=patches, loc="outside lower center", ncols=len(patches), fontsize=7)


def _cell(pair: Pair, *, wide: bool) -> str:
    """The difference, with its interval if there is room."""
    if pair.verdict == "equal":
        return "="
    score = SCORES[pair.score]
    decimals = 2 if wide or score.unit is not Unit.FRACTION else 1
    text = score.text(pair.difference, decimals, signed=True)
    ends = f" {ends_text(score, pair.interval, signed=True)}" if wide else ""
    return f"{text}{ends}".replace("-", MINUS)


def _mark(place: int) -> str:
    return chr(ord("A") + place)
