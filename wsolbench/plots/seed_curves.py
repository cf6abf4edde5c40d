"""Scores of a study against SEM's K, one line per method."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..scores import SCORES
from .grid import panel_grid
from .keys import framed, line_mark
from .style import look, picture, require_form

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["SeedCountCurve", "save_seed_count_curves", "seed_count_curve"]


@dataclass(frozen=True)
class SeedCountCurve:
    """The scores of one method against SEM's K.

    Attributes:
        title: of the method.
        counts: K, as counts or fractions of the map's positions, rising.
        means: by key of the scores, one for each K, over the training seeds.
        spreads: by key the standard deviations; zeros for one seed.
        own: by key the score of the method's own maps, without SEM.
    """

    title: str
    counts: Sequence[float]
    means: Mapping[str, Sequence[float]]
    spreads: Mapping[str, Sequence[float]]
    own: Mapping[str, float]


def seed_count_curve(curves: Sequence[SeedCountCurve], ax: Axes, score: str) -> Axes:
    """One score against SEM's K; the points on the left are the methods' own maps.

    Args:
        curves: of one or several methods.
        ax: to draw on.
        score: a key of `scores.SCORES`.
    """
    about = SCORES[score]
    counts = curves[0].counts
    shares = isinstance(counts[-1], float)
    factor = 100 if shares else 1
    left = factor * counts[0] / 2.5
    for place, curve in enumerate(curves):
        drawn = look(place)
        x = [factor * value for value in curve.counts]
        y = [about.scaled(value) for value in curve.means[score]]
        bars = [about.scaled(value) for value in curve.spreads[score]]
        own = about.scaled(curve.own[score])
        shift = 1 + 0.015 * (place - (len(curves) - 1) / 2)
        ax.errorbar(
            [value * shift for value in x],
            y,
            bars,
            color=drawn.colour,
            linestyle=drawn.dashes,
            elinewidth=0.8,
            marker=drawn.marker,
            markersize=4,
            label=curve.title,
        )
        ax.plot([left * shift], [own], drawn.marker, color=drawn.colour, markersize=6)
    ax.set_xscale("log")
    ticks = [left, *(factor * value for value in counts)]
    ax.set_xticks(ticks, ["no\nSEM", *(f"{value:g}" for value in ticks[1:])])
    ax.minorticks_off()
    ax.set(xlabel="K (% of positions)" if shares else "K", ylabel=about.axis)
    return ax


def save_seed_count_curves(
    curves: Sequence[SeedCountCurve],
    path: str | os.PathLike[str],
    scores: Sequence[str],
    style: str = "screen",
    width: str | None = None,
    source: str = "",
) -> None:
    """Draw the curves into a PNG, SVG or PDF file, one panel per score.

    Args:
        curves: of one or several methods.
        path: the file to write.
        scores: keys of `scores.SCORES`.
        style: a key of `STYLES`.
        width: a key of `FIGURE_WIDTHS`; None for the width that the panels need.
        source: a line below the key: what the scores are of.

    Raises:
        WsolbenchError: unsupported file extension, or matplotlib is not installed.
    """
    require_form(path)
    grid = panel_grid(len(scores), width)
    with picture(path, *grid.shape, grid.size(3.9, 3.0), style) as axes:
        for ax, score in zip(grid.filled(axes), scores, strict=True):
            seed_count_curve(curves, ax, score)
        marks = [line_mark(own.title, look(at), marker=True) for at, own in enumerate(curves)]
        framed(axes[0, 0].figure, marks, source=source, lowest=grid.lowest)
