"""Scores of groups of images."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..errors import WsolbenchError, require_choice, require_items
from ..formats.result import GROUPS, Result
from ..scores import SCORES
from .grid import panel_grid
from .keys import Mark, framed, legend_beside, line_mark
from .scored import check_alike, legends, shared, source_text, where
from .style import inches_of, limit_axis, line, look, picture, require_form
from .texts import cut, small, text_width

if TYPE_CHECKING:
    from matplotlib.axes import Axes


__all__ = ["FEW_GROUPS", "group_scores", "save_groups"]

_NARROWEST = 3.0  # inches; names of groups stand at an angle below a panel

FEW_GROUPS = 20
"""Up to this number, groups are drawn by name; beyond it, sorted by score."""


def group_scores(
    results: Sequence[Result], kind: str, score: str, ax: Axes, *, legend: bool = True
) -> Axes:
    """One score of groups of images, one line or marker per result; intervals are bars.

    Args:
        results: results of the same images, with `breakdowns` of the kind.
        kind: "area", "boxes" or "class".
        score: a key of the groups' scores.
        ax: to draw on. With more than `FEW_GROUPS` groups, each line is sorted by its own score.
        legend: whether to add a legend beside the axes.
    """
    require_items("results", results, (Result,), "a list of Result")
    require_choice("score", score, SCORES)
    require_choice("kind", kind, results[0].breakdowns if results else ())
    about = SCORES[score]
    names = [group.name for group in results[0].breakdowns[kind]]
    few = len(names) <= FEW_GROUPS
    texts = legends(results)
    spread = min(0.12, 0.8 / len(results))
    for place, (result, text) in enumerate(zip(results, texts, strict=True)):
        held = [group for group in result.breakdowns[kind] if score in group.scores]
        if few:
            shift = spread * (place - (len(results) - 1) / 2)
            x = [names.index(group.name) + shift for group in held]
        else:
            held.sort(key=lambda group: group.scores[score])
            x = [100 * (rank + 0.5) / len(held) for rank in range(len(held))]
        y = [about.scaled(group.scores[score]) for group in held]
        own = look(place)
        if few and kind == "class":  # classes have no order to join
            style: dict[str, Any] = {"color": own.colour, "linestyle": "none", "label": text}
            ax.plot(x, y, marker=own.marker, markersize=4, **style)
        else:
            line(ax, x, y, place, text)
        if few and kind != "class":
            ax.plot(x, y, own.marker, color=own.colour, markersize=3.5)
        if few:
            for at, group in zip(x, held, strict=True):
                if score in group.intervals:
                    low, high = map(about.scaled, group.intervals[score])
                    ax.vlines(at, low, high, colors=own.colour, linewidth=1)
    if few:
        counts = [group.images for group in results[0].breakdowns[kind]]
        room = text_width("n" * 22, small())
        labels = [
            f"{cut(name, room, small())} ({count})"
            for name, count in zip(names, counts, strict=True)
        ]
        ax.set_xticks(range(len(names)), labels, rotation=45, ha="right", rotation_mode="anchor")
        for label in ax.get_xticklabels():
            label.set_parse_math(False)
    ax.set(
        xlabel=f"{GROUPS[kind]} (images)" if few else f"{len(names)} groups, sorted by score (%)"
    )
    ax.set(ylabel=about.axis)
    limit_axis(ax, about, 102)
    if legend:
        legend_beside(ax, _marks(texts, few, kind), shared(results))
    return ax


def _marks(texts: Sequence[str], few: bool, kind: str) -> list[Mark]:
    """The key: dots for a few classes, which have no order to join, else lines."""
    if few and kind == "class":
        return [Mark(own, look(at).colour, marker=look(at).marker) for at, own in enumerate(texts)]
    return [line_mark(own, look(at), marker=few) for at, own in enumerate(texts)]


def save_groups(
    results: Sequence[Result],
    kind: str,
    path: str | os.PathLike[str],
    style: str = "screen",
    width: str | None = None,
) -> None:
    """Draw the scores of groups of images into a PNG, SVG or PDF file, one panel per score.

    Args:
        results: results of the same images, with `breakdowns` of the kind.
        kind: "area", "boxes" or "class".
        path: the file to write.
        style: a key of `STYLES`.
        width: a key of `FIGURE_WIDTHS`; None for the width that the panels need.

    Raises:
        WsolbenchError: unsupported file extension, different protocols, missing or different
            groups, no common score.
    """
    require_items("results", results, (Result,), "a list of Result")
    require_form(path)
    inches_of(width)
    check_alike(results)
    groups = [[group.name for group in result.breakdowns.get(kind, ())] for result in results]
    for result, names in zip(results, groups, strict=True):
        if not names or names != groups[0]:
            raise WsolbenchError(
                where(result),
                found="different groups" if names else f"no groups by {kind}",
                expected="the same groups in all results",
                cure=f"evaluate all of them on one split with --by {kind}",
            )
    drawn = sorted((score for score in SCORES.values() if score.drawn), key=lambda own: own.drawn)
    keys = [
        key
        for key in (score.key for score in drawn)
        if all(any(key in group.scores for group in result.breakdowns[kind]) for result in results)
    ]
    if not keys:
        raise WsolbenchError(
            "groups", found="no score that all results have", cure="evaluate with the same metrics"
        )
    grid = panel_grid(len(keys), width, most=3, narrowest=_NARROWEST)
    with picture(path, *grid.shape, grid.size(3.9, 3.2), style) as axes:
        for key, ax in zip(keys, grid.filled(axes), strict=True):
            group_scores(results, kind, key, ax, legend=False)
        few = len(results[0].breakdowns[kind]) <= FEW_GROUPS
        marks = _marks(legends(results), few, kind)
        framed(axes[0, 0].figure, marks, source=source_text(results))
