"""Many methods as one matrix: each beside every other, and in how many scores it is ahead."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ..errors import require_type
from ..evaluation.comparison_report import mark
from ..scores import SCORES
from .compared import VERDICT_COLOURS, as_table, cell_style, name_lines, verdicts
from .keys import framed
from .names import left_to_right, short_names
from .style import MINUS, picture
from .texts import line_height, small, text_width, wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..evaluation.verdict import Verdict

__all__ = ["draw_matrix", "standing_matrix"]

_CELL, _LEAST = 0.42, 0.25  # inches of a cell, and of the smallest
_NAME, _EDGE = 2.6, 0.3  # inches of the widest name, and of what is beside names and cells
_BOTH = "\N{PLUS-MINUS SIGN}"


def standing_matrix(
    verdict: Verdict, ax: Axes, labels: Sequence[str] | None = None, *, inches: float = _CELL
) -> Axes:
    """A row and a column per method: in how many scores the row's method is ahead and behind.

    Cells are coloured by how the row's method stands beside the column's, after the correction for
    all comparisons. Methods are in the order of the score that ranks tables, the best first.

    Args:
        verdict: of one protocol or more.
        ax: to draw on.
        labels: of the rows, by place of the method; None for name and score.
        inches: the side of a cell.
    """
    from matplotlib.patches import Rectangle

    from ..evaluation.verdict import Verdict

    require_type("verdict", verdict, (Verdict,), "a Verdict")
    order = _order(verdict)
    places = {method: place for place, method in enumerate(order)}
    shown = _labels(verdict) if labels is None else labels
    size = small()
    for own in verdict.standings:
        counts = own.count("ahead"), own.count("behind")
        for row, column, (ahead, behind) in (
            (own.second, own.first, counts),
            (own.first, own.second, counts[::-1]),
        ):
            standing = _standing(ahead, behind, own.count("undecided"))
            x, y = places[column], places[row]
            fill = VERDICT_COLOURS[standing]
            ax.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, facecolor=fill, edgecolor="white"))
            text = _text(ahead, behind, standing, inches, size)
            ax.text(x, y, text, linespacing=1, **cell_style(standing))
    ends = (-0.5, len(order) - 0.5)
    ax.set(xlim=ends, ylim=ends[::-1])
    ax.set_xticks(range(len(order)), [mark(method) for method in order])
    ax.set_yticks(range(len(order)), [shown[method] for method in order], parse_math=False)
    as_table(ax)
    return ax


def draw_matrix(
    verdict: Verdict,
    path: str | os.PathLike[str],
    style: str,
    inches: float | None,
    title: Sequence[str],
    source: str,
) -> None:
    """Draw the matrix into a file, with the names beside the rows if there is room.

    Args:
        verdict: of one protocol or more.
        path: the file to write.
        style: a key of `STYLES`.
        inches: the width; None for what names and cells need.
        title: lines above the matrix.
        source: a line below it.
    """
    count = len(verdict.names)
    with picture(path, 1, 1, (1, 1), style) as axes:
        size = small()
        named, short = _labels(verdict), _labels(verdict, named=False)
        least = max(text_width(text, size) for text in short)
        widest = max(text_width(text, size) for text in named)
        widest = min(widest, _NAME)
        whole = widest + _EDGE + _CELL * count if inches is None else inches
        room = min(widest, whole - _EDGE - _LEAST * count)
        lines = [list(title)]
        if room >= min(widest, 1.6):
            labels = ["\n".join(wrapped(text, room, size, 2)) for text in named]
        else:
            room, labels = least, short
            lines.append(name_lines(verdict.comparisons[0]))
        side = min(_CELL, (whole - room - _EDGE) / count)
        figure = axes[0, 0].figure
        figure.set_size_inches(whole, side * count + 0.3)
        standing_matrix(verdict, axes[0, 0], labels, inches=side)
        told = (
            f"in how many scores the row's method is ahead (+) and behind ({MINUS}); "
            f"beside each row {SCORES[_ranking(verdict)].title}"
        )
        counts = [
            (own.count("ahead"), own.count("behind"), own.count("undecided"))
            for own in verdict.standings
        ]
        marks = verdicts(
            _standing(*pair, undecided)
            for ahead, behind, undecided in counts
            for pair in ((ahead, behind), (behind, ahead))
        )
        if any(text.get_text() == _BOTH for text in axes[0, 0].texts):
            marks = [replace(own, sign=_BOTH) if own.text == "mixed" else own for own in marks]
        framed(figure, marks, title=[*(part for own in lines for part in own), told], source=source)


def _ranking(verdict: Verdict) -> str:
    """The key of the score that orders the methods: what ranks tables, or the first one."""
    keys = list(verdict.comparisons[0].scores)
    return min(keys, key=lambda key: (SCORES[key].rank == 0, SCORES[key].rank, keys.index(key)))


def _order(verdict: Verdict) -> list[int]:
    """Places of the methods, the best first."""
    key = _ranking(verdict)
    values = verdict.comparisons[0].scores[key]
    return sorted(range(len(values)), key=lambda place: SCORES[key].order(values[place]))


def _labels(verdict: Verdict, *, named: bool = True) -> list[str]:
    """Name, score and letter of each method, by its place."""
    key = _ranking(verdict)
    names, _ = short_names(verdict.names, verdict.comparisons[0].backbones)
    values = verdict.comparisons[0].scores[key]
    return [
        "  ".join([*([left_to_right(name)] if named else []), SCORES[key].text(value), mark(place)])
        for place, (name, value) in enumerate(zip(names, values, strict=True))
    ]


def _standing(ahead: int, behind: int, undecided: int) -> str:
    if ahead and behind:
        return "mixed"
    return "ahead" if ahead else "behind" if behind else "undecided" if undecided else "equal"


def _text(ahead: int, behind: int, standing: str, inches: float, size: float) -> str:
    """The counts of a cell, one below the other if both are there and fit."""
    if standing == "equal":
        return "="
    parts = [f"+{ahead}"] if ahead else []
    parts += [f"{MINUS}{behind}"] if behind else []
    fits = len(parts) * line_height(size) <= inches + 0.05
    return "\n".join(parts) if fits else _BOTH
