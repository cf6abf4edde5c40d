"""Intervals of every score over resamples of the images, and scores of groups with theirs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..data.dataset import Dataset
from ..formats.result import Bootstrap, Group, Threshold, levels_read
from ..metrics.bootstrap import draw_weights, percentile_interval
from ..metrics.family import Statistics
from ..progress import Progress
from ..scores import level_key
from . import groups
from .statistics import Scoring

__all__ = ["intervals_and_groups"]


def intervals_and_groups(
    dataset: Dataset,
    scoring: Scoring,
    kept: Statistics,
    scores: Mapping[str, float | int],
    threshold: Threshold,
    bootstrap: Bootstrap | None,
    by: Sequence[str],
    progress: Progress | None = None,
) -> tuple[dict[str, list[float | int]], dict[str, list[Group]]]:
    """Intervals of all scores, and the scores of groups.

    Args:
        dataset: of n images.
        scoring: which scores there are.
        kept: of the n images.
        scores: of all images.
        threshold: how thresholds are chosen; under the rule "max" each resample chooses its own.
        bootstrap: how intervals are drawn; None for none.
        by: kinds of groups.
        progress: called with (resamples and groups scored, all of them).

    Returns:
        [low, high] by key of the scores, and groups by kind.
    """
    members = {kind: groups.group_images(dataset, kind) for kind in by}
    resamples = 0 if bootstrap is None else bootstrap.resamples
    steps = resamples + sum(map(len, members.values()))
    done = 0

    def step(own: int, _: int) -> None:
        if progress:
            progress(done + own, steps)

    read_at = levels_read(threshold, scores)
    # A family that was read at no level is not scored at any: its 0 is never looked at.
    at = {family: read_at.get(family, 0) for family in ("pixel", "box")}
    intervals: dict[str, list[float | int]] = {}
    draws = None
    if bootstrap is not None:
        weights = draw_weights(len(dataset), resamples, np.random.default_rng(bootstrap.seed))
        drawn = scoring.resampled(kept, weights, threshold, step)
        intervals = {key: list(percentile_interval(drawn[key], bootstrap.level)) for key in scores}
        own = drawn if threshold.rule == "max" else {}
        pixel, box = (
            np.asarray(own.get(level_key(family), np.full(resamples, level)), dtype=np.int64)
            for family, level in at.items()
        )
        draws = groups.Draws(weights, pixel, box, bootstrap.level)
        done = resamples
    breakdowns = {}
    for kind, parts in members.items():
        levels = (at["pixel"], at["box"])
        breakdowns[kind] = groups.scored_groups(scoring, kept, parts, levels, draws, step)
        done += len(parts)
    return intervals, breakdowns
