"""Scores from the per-image statistics of a result, without its maps, masks or photos.

Every metric family whose statistics are among the counts can be scored, whether the result has its
scores or not: scores that were invented later are formed of the counts of old results.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..errors import require_type
from ..formats.result import Bootstrap
from ..metrics.bootstrap import draw_weights, percentile_interval
from ..progress import Progress
from .counts import Counts
from .families import FAMILIES
from .statistics import Scoring

__all__ = ["Recount", "derivable", "recount"]


@dataclass(frozen=True)
class Recount:
    """What counts score.

    Attributes:
        scores: every score that follows from the counts, by key.
        curves: every curve, by key.
        intervals: [low, high] of each score, by key; empty without `bootstrap`.
    """

    scores: Mapping[str, float | int]
    curves: Mapping[str, Sequence[float]]
    intervals: Mapping[str, Sequence[float | int]]


def derivable(counts: Counts) -> tuple[str, ...]:
    """The metric families whose statistics the counts hold, in the order of tables."""
    protocol, held = counts.scoring.protocol, counts.kept.keys()
    return tuple(
        name
        for name, family in FAMILIES.items()
        if name in counts.scoring.families
        or (family.fits(protocol) and family.empty(protocol).keys() <= held)
    )


def recount(
    counts: Counts, bootstrap: Bootstrap | None = None, progress: Progress | None = None
) -> Recount:
    """Every score that follows from counts, read at the thresholds of their result.

    Args:
        counts: of a result.
        bootstrap: how intervals are drawn; None for none.
        progress: called with (resamples scored, resamples).
    """
    require_type("counts", counts, (Counts,), "the Counts of a result")
    scoring: Scoring = replace(counts.scoring, families=derivable(counts))
    threshold = counts.result.threshold
    scores, curves = scoring.scored(scoring.sums(counts.kept), threshold)
    if bootstrap is None:
        return Recount(scores, curves, {})
    generator = np.random.default_rng(bootstrap.seed)
    weights = draw_weights(len(counts.image_ids), bootstrap.resamples, generator)
    drawn = scoring.resampled(counts.kept, weights, threshold, progress)
    intervals = {key: list(percentile_interval(drawn[key], bootstrap.level)) for key in scores}
    return Recount(scores, curves, intervals)
