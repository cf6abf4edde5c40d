"""Forest plots of the differences between pairs of methods."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import WsolbenchError, one_of, require_choice, require_type
from ..evaluation.comparison_report import correction_text, mark
from ..scores import SCORES, Better, Score, Unit, ends_text
from .compared import DECIDED, VERDICT_COLOURS, about, name_lines, row_title
from .grid import panel_grid
from .keys import Mark, framed
from .style import MINUS, inches_of, picture, require_form
from .texts import small

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..evaluation.comparison import Comparison

__all__ = ["differences", "save_forest", "score_axes"]

MOST_PANELS = 6
"""Pairs that are drawn in panels of their own; more are one matrix or grid."""

_OPEN = "#666666"  # of what is not decided
_LABELS, _PANEL, _BRIEF = 1.9, 3.3, 2.6  # inches of labels, of a panel, of one without intervals
_ROW, _LEAST, _AXIS = 0.2, 0.13, 0.62  # inches of a row, at least, and of an axis with labels


def score_axes(comparison: Comparison) -> list[list[str]]:
    """The scores that may share an axis: those in percentage points, then each other one alone."""
    from ..evaluation.comparison import Comparison

    require_type("comparison", comparison, (Comparison,), "a Comparison")
    keys = list(dict.fromkeys(pair.score for pair in comparison.pairs))
    points = [key for key in keys if SCORES[key].unit is Unit.FRACTION]
    return [own for own in (points, *([key] for key in keys if key not in points)) if own]


def differences(
    comparison: Comparison,
    first: int,
    second: int,
    ax: Axes,
    scores: Sequence[str] | None = None,
    *,
    intervals: bool = True,
) -> Axes:
    """A forest plot of two methods: the second minus the first, one row per score.

    The second method is ahead if its dot is right of 0, or left of 0 in rows marked "lower is
    better". A dot is filled if Holm's correction leaves the difference decided. The bars are the
    intervals of single differences, which are not corrected.

    Args:
        comparison: a comparison that includes both methods.
        first: index of the first method in its names.
        second: index of the second method.
        ax: to draw on.
        scores: keys of scores in one unit; None for the first of `score_axes`, which are those in
            percentage points, if there are any.
        intervals: whether the text beside a row has the interval too.
    """
    shared = score_axes(comparison)
    keys = (shared[0] if shared else []) if scores is None else scores
    for key in keys:
        require_choice("scores", key, {pair.score for pair in comparison.pairs})
    own = [pair for pair in comparison.pairs if (pair.first, pair.second) == (first, second)]
    if not own:
        places = {(pair.first, pair.second) for pair in comparison.pairs}
        raise WsolbenchError(
            "first, second",
            found=f"{first}, {second}",
            expected=one_of([f"{one}, {two}" for one, two in sorted(places)]),
            cure="name two methods that were compared, by their places",
        )
    pairs = [pair for key in keys for pair in own if pair.score == key]
    for row, pair in enumerate(pairs):
        score = SCORES[pair.score]
        low, high = map(score.scaled, pair.interval)
        decided = pair.verdict in DECIDED
        colour, fill = (VERDICT_COLOURS[pair.verdict], "full") if decided else (_OPEN, "none")
        ax.hlines(row, low, high, colors=colour)
        at = score.scaled(pair.difference)
        ax.plot([at], [row], "o", color=colour, markersize=5, fillstyle=fill)
        text = score.text(pair.difference, signed=True)
        text += f"  {ends_text(score, pair.interval, signed=True)}" if intervals else ""
        ax.annotate(
            text.replace("-", MINUS),
            (1.02, row),
            xycoords=("axes fraction", "data"),
            fontsize=small(),
            va="center",
            annotation_clip=False,
        )
    ax.axvline(0, color="black", linewidth=0.8)
    drawn = [SCORES[pair.score] for pair in pairs]
    ax.set_yticks(range(len(pairs)), [row_title(score) for score in drawn])
    ax.set_xlabel(_axis_title(drawn, mark(first), mark(second)), fontsize=small())
    ax.set_ylim(len(pairs) - 0.5, -0.5)
    ax.locator_params(axis="x", nbins=5)
    ax.grid(axis="y", visible=False)
    ax.set_title(f"{mark(second)} {MINUS} {mark(first)}")
    return ax


def save_forest(
    comparison: Comparison,
    path: str | os.PathLike[str],
    style: str = "screen",
    width: str | None = None,
) -> None:
    """Draw the differences of each pair of methods into a PNG, SVG or PDF file, one panel per pair.

    Scores that are no percentages have axes of their own. All panels share one scale, so lengths
    can be compared. More than six pairs are drawn as `save_verdict` draws them: one grid, or one
    matrix of all methods.

    Args:
        comparison: the pairs to draw.
        path: the file to write.
        style: a key of `STYLES`.
        width: a key of `FIGURE_WIDTHS`; None for the width that the panels need.

    Raises:
        WsolbenchError: unsupported file extension.
    """
    from ..evaluation.comparison import Comparison

    require_form(path)
    inches = inches_of(width)
    require_type("comparison", comparison, (Comparison,), "a Comparison")
    places = list(dict.fromkeys((pair.first, pair.second) for pair in comparison.pairs))
    if len(places) > MOST_PANELS:
        from ..evaluation.verdict import Verdict
        from .verdict import save_verdict

        save_verdict(Verdict((comparison,), {}), path, style, width)
        return
    axes_of = score_axes(comparison)
    room = panel_grid(len(places), width, most=3, narrowest=_BRIEF)
    brief = inches is not None and inches / room.columns < _LABELS + _PANEL
    heights = [float(len(own)) for own in axes_of] * room.rows
    high = sum(_ROW * own + _AXIS for own in heights) + 0.2 * room.rows
    wide = _LABELS + _PANEL * room.columns if inches is None else inches
    with picture(path, len(heights), room.columns, (wide, high), style, heights) as axes:
        blocks = [axes[at : at + len(axes_of)] for at in range(0, len(heights), len(axes_of))]
        cells = [block[:, column] for block in blocks for column in range(room.columns)]
        for (first, second), own in zip(places, cells, strict=False):
            for keys, ax in zip(axes_of, own, strict=True):
                differences(comparison, first, second, ax, keys, intervals=not brief)
            for ax in own[1:]:
                ax.set_title("")
        for place, own in enumerate(cells):
            if place >= len(places):
                for ax in own:
                    ax.remove()
            elif place % room.columns:
                for ax in own:
                    ax.set_yticklabels([])
        _share_limits(cells[: len(places)])
        title = [*about(comparison), *name_lines(comparison)]
        marks, source = _marks(comparison), correction_text(comparison)
        least = sum(_LEAST * own + _AXIS for own in heights) + 0.2 * room.rows
        lowest = None if inches is None else least
        framed(axes[0, 0].figure, marks, title=title, source=source, lowest=lowest)


def _share_limits(cells: Sequence[Any]) -> None:
    """One scale for the axes of one unit, whatever the pair."""
    for row in np.stack(cells, axis=1):
        ends = [ax.get_xlim() for ax in row]
        for ax in row:
            ax.set_xlim(min(low for low, _ in ends), max(high for _, high in ends))


def _axis_title(scores: Sequence[Score], first: str, second: str) -> str:
    """The unit of the differences, and with which sign each method is ahead."""
    points = {score.unit for score in scores} == {Unit.FRACTION}
    unit = "percentage points" if points else "the score's own unit"
    directions = {score.better for score in scores} - {Better.NEITHER}
    if not directions:
        return unit
    below, above = (second, first) if directions == {Better.LOWER} else (first, second)
    ahead = f"< 0: {below} ahead; > 0: {above} ahead"
    mixed = " (opposite if lower is better)" if len(directions) > 1 else ""
    return f"{unit}\n{ahead}{mixed}" if points else f"{unit}; {ahead}{mixed}"


def _marks(comparison: Comparison) -> list[Mark]:
    """What filled and hollow dots and the bars stand for."""
    found = {pair.verdict for pair in comparison.pairs}
    drawn = comparison.bootstrap
    seconds = {pair.second for pair in comparison.pairs}
    own = mark(seconds.pop()) if len(seconds) == 1 else "first letter"
    marks = [
        Mark(f"{own} {name} after Holm's correction", VERDICT_COLOURS[name], "-", "o")
        for name in DECIDED
        if name in found
    ]
    if rest := [name for name in ("undecided", "equal") if name in found]:
        marks.append(Mark(" or ".join(rest), _OPEN, "-", "o", hollow=True))
    level = f"{100 * drawn.level:g} % interval of {drawn.resamples} paired resamples"
    return [*marks, Mark(f"{level}, not corrected", _OPEN, "-")]
