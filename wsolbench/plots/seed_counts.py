"""Scores against the number of SEM seeds (paper Table 6)."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from ..errors import WsolbenchError, one_of, some
from ..leaderboard.entries import Entry
from ..scores import SCORES
from .grid import panel_grid
from .keys import framed, legend_beside, line_mark
from .scored import (
    Scored,
    check_alike,
    legends,
    require_some,
    shared,
    source_text,
    where,
    whole_name,
)
from .style import inches_of, line, look, picture, require_form

if TYPE_CHECKING:
    from matplotlib.axes import Axes


__all__ = ["save_seed_counts", "seed_count_scores"]


def seed_count_scores(
    scored: Sequence[Scored], ax: Axes, score: str = "peak_iou", *, legend: bool = True
) -> Axes:
    """One score against the number of SEM seeds, one line per method and backbone (paper Table 6).

    Args:
        scored: items that state their seeds (an entry in `seeds`, a result in
            `method.parameters.seeds`), either all as counts or all as shares of the map's
            positions. Intervals are drawn as bars.
        ax: to draw on.
        score: a key of `scores.SCORES`.
        legend: whether to add a legend beside the axes.

    Raises:
        WsolbenchError: an item without seeds or without the score, counts mixed with shares, or
            points of one line that have equal seeds or differ in other parameters.
    """
    require_some(scored)
    for item in scored:
        _require_score(item, score)
    lines = _lines(scored)
    shares = any(isinstance(value, float) for points in lines.values() for value, _ in points)
    about, factor = SCORES[score], 100 if shares else 1
    for place, (text, points) in enumerate(lines.items()):
        x = [factor * value for value, _ in points]
        y = [about.scaled(item.scores[score]) for _, item in points]
        best = _best(points, score)
        line(ax, x, y, place, text)
        own = look(place)
        ax.plot(x, y, own.marker, color=own.colour, markersize=3.5)
        ax.plot([x[best]], [y[best]], "o", color=own.colour, markersize=8, fillstyle="none")
        for at, (_, item) in zip(x, points, strict=True):
            if score in item.intervals:
                low, high = map(about.scaled, item.intervals[score])
                ax.vlines(at, low, high, colors=own.colour, linewidth=1)
    seeds = {value for points in lines.values() for value, _ in points}
    ticks = [factor * value for value in sorted(seeds)]
    gaps = [high - low for low, high in pairwise(ticks)]
    if gaps and min(gaps) >= (ticks[-1] - ticks[0]) / 20:  # else their labels would overlap
        ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.set(xlabel="Seeds, share of the map (%)" if shares else "Seeds K", ylabel=about.axis)
    if legend:
        marks = [
            line_mark(text, look(place), [_best_text(points, score)], marker=True)
            for place, (text, points) in enumerate(lines.items())
        ]
        told = [_best_title(score), shared(scored)]
        legend_beside(ax, marks, "\n".join(part for part in told if part))
    return ax


def save_seed_counts(
    scored: Sequence[Scored],
    path: str | os.PathLike[str],
    style: str = "screen",
    width: str | None = None,
) -> None:
    """Draw the ranking scores against the number of SEM seeds into a PNG, SVG or PDF file.

    Scores that some items lack are left out.

    Args:
        scored: items that state their seeds, as in `seed_count_scores`.
        path: the file to write.
        style: a key of `STYLES`.
        width: a key of `FIGURE_WIDTHS`; None for the width that the panels need.

    Raises:
        WsolbenchError: unsupported file extension, different protocols, no common score, or an
            error of `seed_count_scores`.
    """
    require_form(path)
    inches_of(width)
    check_alike(scored)
    ranking = [key for key, score in SCORES.items() if score.rank]
    scores = [key for key in ranking if all(key in item.scores for item in scored)]
    if not scores:
        raise WsolbenchError(
            "results",
            found="no score that all results have",
            expected=one_of(ranking),
            cure="evaluate again with the same metrics",
        )
    grid = panel_grid(len(scores), width)
    with picture(path, *grid.shape, grid.size(3.9, 3.0), style) as axes:
        for key, ax in zip(scores, grid.filled(axes), strict=True):
            seed_count_scores(scored, ax, key, legend=False)
        marks = [
            line_mark(text, look(at), [_best_text(points, key) for key in scores], marker=True)
            for at, (text, points) in enumerate(_lines(scored).items())
        ]
        head = [_best_title(key) for key in scores]
        framed(axes[0, 0].figure, marks, head=head, source=source_text(scored))


def _lines(scored: Sequence[Scored]) -> dict[str, list[tuple[int | float, Scored]]]:
    """By name the points of each line, by their seeds."""
    seeds = [_seeds(item) for item in scored]
    if len({isinstance(value, float) for value in seeds}) > 1:
        raise WsolbenchError(
            "seeds",
            found=f"counts and shares: {some(seeds)}",
            expected="either counts or shares",
            cure="draw them in separate figures",
        )
    whole: dict[str, list[tuple[int | float, Scored]]] = {}
    for value, item in zip(seeds, scored, strict=True):
        whole.setdefault(whole_name(item, variant=False), []).append((value, item))
    for text, points in whole.items():
        _check_line(text, points)
        points.sort(key=lambda point: point[0])
    names = legends([points[0][1] for points in whole.values()], variant=False, told=False)
    return dict(zip(names, whole.values(), strict=True))


def _best(points: Sequence[tuple[int | float, Scored]], score: str) -> int:
    """Place of the best point of a line."""
    values = [item.scores[score] for _, item in points]
    return min(range(len(values)), key=lambda at: SCORES[score].order(values[at]))


def _best_title(score: str) -> str:
    return f"{SCORES[score].superlative} {SCORES[score].title}"


def _best_text(points: Sequence[tuple[int | float, Scored]], score: str) -> str:
    seeds, item = points[_best(points, score)]
    at = f"{100 * seeds:g} %" if isinstance(seeds, float) else f"{seeds}"
    return f"{SCORES[score].text(item.scores[score])} at {at}"


def _stated_seeds(item: Scored) -> Any:
    """The seeds that an entry or a submission's header states, unchecked; None if missing."""
    if isinstance(item, Entry):
        return item.seeds
    return item.parameters.get("seeds")


def _seeds(item: Scored) -> int | float:
    seeds = _stated_seeds(item)
    sound = isinstance(seeds, (int, float)) and not isinstance(seeds, bool) and seeds > 0
    if not sound or (isinstance(seeds, float) and seeds > 1):
        raise WsolbenchError(
            where(item),
            found=f"{'' if isinstance(item, Entry) else 'method.parameters.'}seeds {seeds}",
            expected="a number of SEM seeds or a share of the map",
            cure="name results or entries of SEM with different seeds",
        )
    checked: int | float = seeds
    return checked


def _require_score(item: Scored, score: str) -> None:
    if score not in item.scores:
        raise WsolbenchError(
            where(item),
            found=f"no {score}",
            cure="evaluate with the metrics that it needs",
        )


def _check_line(text: str, points: Sequence[tuple[float, Scored]]) -> None:
    """Raise if points of a line differ in more than their seeds, or have equal seeds."""
    seeds = [value for value, _ in points]
    others = {json.dumps(_settings(item), sort_keys=True) for _, item in points}
    if len(set(seeds)) < len(seeds) or len(others) > 1:
        different = "differences in other parameters" if len(others) > 1 else "the same seeds twice"
        raise WsolbenchError(
            f"results of {text}",
            found=different,
            expected="results that differ only in their seeds",
            cure="draw them in separate figures, or give the methods different names",
        )


def _settings(item: Scored) -> dict[str, Any]:
    """What all points of a line share besides their names; an entry's variant names its seeds."""
    if isinstance(item, Entry):
        named = ("label", "map_size", "pretraining", "study", "supervision")
        return {"rule": item.threshold["rule"], **{key: getattr(item, key) for key in named}}
    return {**item.method["parameters"], "seeds": None}
