"""Scores of groups of images."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..errors import WsolbenchError, require_choice, require_items
from ..formats.result import GROUPS, Result
from ..scores import SCORES
from .scored import check_alike, legends, name_source, where
from .style import COLOURS, limit_axis, line, picture, require_form, with_legend

if TYPE_CHECKING:
    from matplotlib.axes import Axes


__all__ = ["FEW_GROUPS", "group_scores", "save_groups"]

FEW_GROUPS = 20
"""Up to this number, groups are drawn by name; beyond it, sorted by score."""


def group_scores(results: Sequence[Result], kind: str, score: str, ax: Axes) -> Axes:
    """One score of groups of images, one line or marker per result; intervals are bars.

    Args:
        results: results of the same images, with `breakdowns` of the kind.
        kind: "area", "boxes" or "class".
        score: a key of the groups' scores.
        ax: to draw on. With more than `FEW_GROUPS` groups, each line is sorted by its own score.
    """
    require_items("results", results, (Result,), "a list of Result")
    require_choice("score", score, SCORES)
    require_choice("kind", kind, results[0].breakdowns if results else ())
    about = SCORES[score]
    names = [group.name for group in results[0].breakdowns[kind]]
    few = len(names) <= FEW_GROUPS
    for place, (result, text) in enumerate(zip(results, legends(results), strict=True)):
        held = [group for group in result.breakdowns[kind] if score in group.scores]
        if few:
            shift = 0.12 * (place - (len(results) - 1) / 2)
            x = [names.index(group.name) + shift for group in held]
        else:
            held.sort(key=lambda group: group.scores[score])
            x = [100 * (rank + 0.5) / len(held) for rank in range(len(held))]
        y = [about.scaled(group.scores[score]) for group in held]
        colour = COLOURS[place % len(COLOURS)]
        if few and kind == "class":  # classes have no order to join
            ax.plot(x, y, "os^D"[place % 4], color=colour, markersize=4, label=text)
        else:
            line(ax, x, y, place, text)
        if few:
            ax.plot(x, y, "o", color=colour, markersize=3.5)
            for at, group in zip(x, held, strict=True):
                if score in group.intervals:
                    low, high = map(about.scaled, group.intervals[score])
                    ax.vlines(at, low, high, colors=colour, linewidth=1)
    if few:
        counts = [group.images for group in results[0].breakdowns[kind]]
        texts = [f"{name} ({count})" for name, count in zip(names, counts, strict=True)]
        ax.set_xticks(range(len(names)), texts, rotation=45, ha="right", fontsize=7)
        for label in ax.get_xticklabels():
            label.set_parse_math(False)
    ax.set(
        xlabel=f"{GROUPS[kind]} (images)" if few else f"{len(names)} groups, sorted by score (%)"
    )
    ax.set(ylabel=about.axis)
    limit_axis(ax, about, 102)
    return with_legend(ax, "")


def save_groups(
    results: Sequence[Result], kind: str, path: str | os.PathLike[str], style: str = "screen"
) -> None:
    """Draw the scores of groups of images into a PNG, SVG or PDF file, one panel per score.

    Raises:
        WsolbenchError: unsupported file extension, different protocols, missing or different
            groups, no common score.
    """
    require_items("results", results, (Result,), "a list of Result")
    require_form(path)
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
    with picture(path, 1, len(keys), (4.2 * len(keys), 3.8), style) as axes:
        for key, ax in zip(keys, axes[0], strict=True):
            group_scores(results, kind, key, ax)
        name_source(axes, results[0])
