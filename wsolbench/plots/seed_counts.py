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
from .scored import Scored, check_alike, legend, name_source, require_scored, where
from .style import COLOURS, line, picture, require_form, with_legend

if TYPE_CHECKING:
    from matplotlib.axes import Axes


__all__ = ["save_seed_counts", "seed_count_scores"]


def seed_count_scores(scored: Sequence[Scored], ax: Axes, score: str = "peak_iou") -> Axes:
    """One score against the number of SEM seeds, one line per method and backbone (paper Table 6).

    Args:
        scored: items that state their seeds (an entry in `seeds`, a result in
            `method.parameters.seeds`), either all as counts or all as shares of the map's
            positions. Intervals are drawn as bars.
        ax: to draw on.
        score: a key of `scores.SCORES`.

    Raises:
        WsolbenchError: an item without seeds or without the score, counts mixed with shares, or
            points of one line that have equal seeds or differ in other parameters.
    """
    require_scored(scored)
    seeds = [_seeds(item) for item in scored]
    shares = {isinstance(value, float) for value in seeds}
    if len(shares) > 1:
        raise WsolbenchError(
            "seeds",
            found=f"counts and shares: {some(seeds)}",
            expected="either counts or shares",
            cure="draw them in separate figures",
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


def save_seed_counts(
    scored: Sequence[Scored], path: str | os.PathLike[str], style: str = "screen"
) -> None:
    """Draw the ranking scores against the number of SEM seeds into a PNG, SVG or PDF file.

    Scores that some items lack are left out.

    Raises:
        WsolbenchError: unsupported file extension, different protocols, no common score, or an
            error of `seed_count_scores`.
    """
    require_form(path)
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
    with picture(path, 1, len(scores), (4.2 * len(scores), 3.6), style) as axes:
        for key, ax in zip(scores, axes[0], strict=True):
            seed_count_scores(scored, ax, key)
        name_source(axes, scored[0])


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
