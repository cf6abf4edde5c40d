"""Scores against the number of SEM seeds (paper Table 6)."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from ..errors import WsolbenchError, some
from ..leaderboard.entries import Entry
from ..scores import SCORES
from .scored import Scored, check_alike, legend, name_source, where
from .style import COLOURS, line, picture, require_form, with_legend

if TYPE_CHECKING:
    from matplotlib.axes import Axes


__all__ = ["save_seeds", "seed_scores"]


def seed_scores(scored: Sequence[Scored], ax: Axes, score: str = "peak_iou") -> Axes:
    """One score against the number of SEM seeds, a line a method and backbone (paper Table 6).

    Args:
        scored: each states its seeds, an entry in `seeds`, a result in `method.parameters.seeds`:
            all of them counts, or all of them shares of the map's positions. The interval of an
            entry is drawn as a bar.
        ax: to draw on.
        score: a key of `scores.SCORES`.

    Raises:
        WsolbenchError: one without seeds or without the score, counts beside shares, points of one
            line that share their seeds or differ in more than them.
    """
    seeds = [_seeds(item) for item in scored]
    shares = {isinstance(value, float) for value in seeds}
    if len(shares) > 1:
        raise WsolbenchError(
            "seeds",
            found=f"counts and shares: {some(seeds)}",
            expected="one kind in one picture",
            cure="plot them apart",
        )
    lines: dict[str, list[tuple[float, Scored]]] = {}
    for value, item in zip(seeds, scored, strict=True):
        _require_score(item, score)
        lines.setdefault(legend(item, variant=False), []).append((value, item))
    about = SCORES[score]
    factor, unit = (100, " %") if shares == {True} else (1, "")
    for place, (text, points) in enumerate(lines.items()):
        _check_line(text, points)
        points.sort(key=lambda point: point[0])
        x = [factor * value for value, _ in points]
        values = [item.scores[score] for _, item in points]
        y = [about.scaled(value) for value in values]
        best = min(range(len(y)), key=lambda at: about.order(values[at]))
        line(ax, x, y, place, f"{text}: {about.text(values[best])} at {x[best]:g}{unit}")
        colour = COLOURS[place % len(COLOURS)]
        ax.plot(x, y, "o", color=colour, markersize=3.5)
        ax.plot([x[best]], [y[best]], "o", color=colour, markersize=8, fillstyle="none")
        for at, (_, item) in zip(x, points, strict=True):
            if score in item.intervals:
                low, high = map(about.scaled, item.intervals[score])
                ax.vlines(at, low, high, colors=colour, linewidth=1)
    ticks = [factor * value for value in sorted(set(seeds))]
    gaps = [high - low for low, high in pairwise(ticks)]
    if gaps and min(gaps) >= (ticks[-1] - ticks[0]) / 20:  # else their labels would overlap
        ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    named = "Seeds, share of the map (%)" if shares == {True} else "Seeds K"
    ax.set(xlabel=named, ylabel=about.axis)
    return with_legend(ax, f"{about.superlative} {about.title}")


def save_seeds(
    scored: Sequence[Scored], path: str | os.PathLike[str], style: str = "screen"
) -> None:
    """Draw the scores that rank tables against the seeds of SEM into a PNG, SVG or PDF file.

    A score that some of them lack is left out.

    Raises:
        WsolbenchError: another suffix, different protocols, no score that all hold, and what
            `seed_scores` refuses.
    """
    require_form(path)
    check_alike(scored)
    ranking = [key for key, score in SCORES.items() if score.rank]
    scores = [key for key in ranking if all(key in item.scores for item in scored)]
    if not scores:
        raise WsolbenchError(
            "results",
            found="no score that all of them hold",
            expected=" or ".join(ranking),
            cure="evaluate again with the same metrics",
        )
    with picture(path, 1, len(scores), (4.2 * len(scores), 3.6), style) as axes:
        for key, ax in zip(scores, axes[0], strict=True):
            seed_scores(scored, ax, key)
        name_source(axes, scored[0])


def _stated_seeds(item: Scored) -> Any:
    """SEM's seeds as an entry or a submission's header states them: whatever that is, or None."""
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
            expected="a count of SEM's seeds, or a share of the map",
            cure="name results or entries of SEM, each with its own seeds",
        )
    checked: int | float = seeds
    return checked


def _require_score(item: Scored, score: str) -> None:
    if score not in item.scores:
        raise WsolbenchError(
            where(item), found=f"no {score}", cure="evaluate it with the metrics that it needs"
        )


def _check_line(text: str, points: Sequence[tuple[float, Scored]]) -> None:
    """Refuse a line whose points differ in more than their seeds, or that has one twice."""
    seeds = [value for value, _ in points]
    others = {json.dumps(_settings(item), sort_keys=True) for _, item in points}
    if len(set(seeds)) < len(seeds) or len(others) > 1:
        different = (
            "other parameters that differ too" if len(others) > 1 else "the same seeds twice"
        )
        raise WsolbenchError(
            f"results of {text}",
            found=different,
            expected="results that differ in their seeds alone",
            cure="plot them apart, or name the methods apart",
        )


def _settings(item: Scored) -> dict[str, Any]:
    """What the points of one line share beside their names; an entry's variant tells its seeds."""
    if isinstance(item, Entry):
        named = ("label", "map_size", "pretraining", "study", "supervision")
        return {"rule": item.threshold["rule"], **{key: getattr(item, key) for key in named}}
    return {**item.method["parameters"], "seeds": None}
