"""Forest plots of the differences between pairs of methods."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..errors import printable, require_type
from ..formats.report import boundary_text
from ..scores import SCORES, Better, Score, Unit, ends_text
from .style import COLOURS, MINUS, picture, require_form

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..evaluation.comparison import Comparison

__all__ = ["differences", "row_title", "save_forest"]

_LETTERS = 76  # of a title over one panel


def differences(comparison: Comparison, first: int, second: int, ax: Axes) -> Axes:
    """A forest plot of two methods: the second minus the first, one row per score.

    The second method is ahead if its dot is right of 0, or left of 0 in rows marked "lower is
    better". Scores whose interval includes 0 are drawn hollow and grey.

    Args:
        comparison: a comparison that includes both methods.
        first: index of the first method in its names.
        second: index of the second method.
        ax: to draw on.
    """
    from ..evaluation.comparison import Comparison

    require_type("comparison", comparison, (Comparison,), "a Comparison")
    pairs = [pair for pair in comparison.pairs if (pair.first, pair.second) == (first, second)]
    for row, pair in enumerate(pairs):
        score = SCORES[pair.score]
        low, high = map(score.scaled, pair.interval)
        apart = low > 0 or high < 0
        colour, fill = (COLOURS[0], "full") if apart else ("#666666", "none")
        ax.hlines(row, low, high, colors=colour, linewidth=1.6)
        at = score.scaled(pair.difference)
        ax.plot([at], [row], "o", color=colour, markersize=5, fillstyle=fill)
        difference = score.text(pair.difference, signed=True)
        interval = ends_text(score, pair.interval, signed=True)
        ax.annotate(
            f"{difference}  {interval}".replace("-", MINUS),
            (1.02, row),
            xycoords=("axes fraction", "data"),
            fontsize=7,
            va="center",
            annotation_clip=False,
        )
    ax.axvline(0, color="black", linewidth=0.8)
    scores = [SCORES[pair.score] for pair in pairs]
    ax.set_yticks(range(len(pairs)), [row_title(score) for score in scores])
    ax.set(xlabel=_axis_title(scores, _mark(second)), ylim=(len(pairs) - 0.5, -0.5))
    ax.grid(axis="y", visible=False)
    ax.set_title(f"{_mark(second)} {MINUS} {_mark(first)}", fontsize=9)
    return ax


def save_forest(
    comparison: Comparison, path: str | os.PathLike[str], style: str = "screen"
) -> None:
    """Draw the differences of each pair of methods into a PNG, SVG or PDF file, one panel per pair.

    All panels share one scale, so lengths can be compared.

    Raises:
        WsolbenchError: unsupported file extension.
    """
    from ..evaluation.comparison import Comparison

    require_form(path)
    require_type("comparison", comparison, (Comparison,), "a Comparison")
    pairs = list(dict.fromkeys((pair.first, pair.second) for pair in comparison.pairs))
    columns = min(3, len(pairs))
    rows = -(-len(pairs) // columns)
    alike = len(set(comparison.thresholds)) == 1
    names = [
        f"{_mark(place)}: {printable(name)[:70]}{'' if alike else f'; threshold: {threshold}'}"
        for place, (name, threshold) in enumerate(
            zip(comparison.names, comparison.thresholds, strict=True)
        )
    ]
    drawn = comparison.bootstrap
    total = max(comparison.of)
    shared = f" of {total}, common to all" if comparison.images < total else ""
    title = (
        f"{comparison.dataset} {comparison.split}, {comparison.images} images{shared}, "
        f"protocol {comparison.protocol['name']}; "
        f"{100 * drawn.level:g} % intervals of {drawn.resamples} paired resamples"
    )
    rule = [f"threshold: {comparison.thresholds[0]}"] if alike else []
    if comparison.boundary:
        rule.append(f"boundaries: {boundary_text(comparison.boundary)}")
    lines = [
        part
        for own in (title, *rule, *names)
        for part in textwrap.wrap(own, _LETTERS * columns) or [""]
    ]
    high = 0.7 + 0.22 * len(comparison.scores)
    size = (5.2 * columns, rows * high + 0.18 * len(lines) + 0.6)
    with picture(path, rows, columns, size, style) as axes:
        panels = axes.ravel()
        for (first, second), ax in zip(pairs, panels, strict=False):
            differences(comparison, first, second, ax)
        ends = [panel.get_xlim() for panel in panels[: len(pairs)]]
        for ax in panels[len(pairs) :]:
            ax.set_visible(False)
        for ax in panels[: len(pairs)]:
            ax.set_xlim(min(low for low, _ in ends), max(high for _, high in ends))
        figure = panels[0].figure
        figure.suptitle("\n".join(lines), fontsize=9, parse_math=False)
        _forest_legend(figure)


def row_title(score: Score) -> str:
    """The title of a score, and a note unless higher is better."""
    notes = {Better.LOWER: " (lower is better)", Better.NEITHER: " (no better direction)"}
    return score.title + notes.get(score.better, "")


def _axis_title(scores: Sequence[Score], second: str) -> str:
    """The unit of the differences, and on which side of 0 the second method is ahead."""
    units = {score.unit is Unit.FRACTION for score in scores}
    points = "percentage points"
    unit = f"{points} or the score's unit" if len(units) > 1 else points
    if units == {False}:
        unit = "difference in the score's unit"
    directions = {score.better for score in scores} - {Better.NEITHER}
    if not directions:
        return unit
    side = "left" if directions == {Better.LOWER} else "right"
    ahead = f"{second} is ahead on the {side} of 0"
    if len(directions) > 1:  # on one line the text would be wider than the panel
        return f"{unit}\n{ahead} (left if lower is better)"
    return f"{unit}; {ahead}"


def _mark(place: int) -> str:
    return chr(ord("A") + place)


def _forest_legend(figure: Any) -> None:
    """Explain filled and hollow dots."""
    from matplotlib.lines import Line2D

    filled = Line2D([], [], color=COLOURS[0], marker="o", markersize=5)
    hollow = Line2D([], [], color="#666666", marker="o", markersize=5, fillstyle="none")
    filled.set_label("interval excludes 0")
    hollow.set_label("interval includes 0")
    handles = [filled, hollow]
    figure.legend(handles=handles, loc="outside lower center", ncols=2, fontsize=7)
