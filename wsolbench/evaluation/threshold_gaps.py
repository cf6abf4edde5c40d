"""What choosing thresholds without looking costs: the oracle's score minus the realistic one.

The oracle reads each score at the threshold that is best for it on the very images that are
reported, as published tables mostly do; realistic thresholds were carried from other images or
other boxes, fixed beforehand, or follow from each map alone. A gap is never below 0 where all
images share the threshold. A map's own threshold is no point of the curve, and may beat it.

Source: Murtaza et al., A Realistic Protocol for Evaluation of Weakly Supervised Object Localization
(WACV 2025, arXiv 2404.10034), which calls thresholds that are chosen on test an oracle.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import WsolbenchError, require_items, require_type
from ..formats.layout import PLAIN, Layout, check_form
from ..formats.result import Bootstrap, Result, Threshold
from ..metrics.bootstrap import draw_weights, percentile_interval
from ..metrics.own_thresholds import own_rule
from ..scores import SCORES, ends_text
from ..tables import grid, markdown_text
from .checks import check_bootstrap
from .counts import Counts
from .thresholds import ScoresAt

__all__ = ["Gap", "gaps_table", "threshold_gaps"]

_AT_A_TIME = 64  # resamples whose curves are in memory


@dataclass(frozen=True)
class Gap:
    """What one realistic rule loses.

    Attributes:
        rule: in words.
        gaps: by key, the highest value of the score's own curve minus the score.
        intervals: [low, high] by key over resamples, in each of which the oracle chooses again;
            empty without counts.
    """

    rule: str
    gaps: Mapping[str, float]
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)


def threshold_gaps(
    result: Result,
    read: Sequence[ScoresAt],
    counts: Counts | None = None,
    bootstrap: Bootstrap | None = None,
) -> list[Gap]:
    """The gap of each realistic rule.

    Args:
        result: that was read.
        read: of `readings`: the rule "max" first, which has no gap here.
        counts: of the result, which intervals need.
        bootstrap: how intervals are drawn; None for none.

    Raises:
        WsolbenchError: intervals without counts.
    """
    require_type("result", result, (Result,), "a Result")
    require_items("read", read, (ScoresAt,), "a list that readings(result) returns")
    check_bootstrap(bootstrap)
    if bootstrap is not None and counts is None:
        raise WsolbenchError(
            f"result of {result.name} on {result.split}",
            found="no counts next to it",
            expected="the statistics of each image, which intervals are drawn from",
            cure="evaluate again with --counts, or leave --bootstrap out",
        )
    realistic = list(read[1:])
    drawn: list[Mapping[str, NDArray[Any]]] = [{} for _ in realistic]
    if bootstrap is not None and counts is not None:
        drawn = _drawn(counts, realistic, bootstrap)
    found = []
    for own, moved in zip(realistic, drawn, strict=True):
        best = {key: max(result.curves[SCORES[key].curve]) for key in own.scores}
        gaps = {key: best[key] - value for key, value in own.scores.items()}
        level = 0.0 if bootstrap is None else bootstrap.level
        intervals = {key: percentile_interval(values, level) for key, values in moved.items()}
        found.append(Gap(own.rule, gaps, intervals))
    return found


def gaps_table(gaps: Sequence[Gap], form: str = "text", layout: Layout = PLAIN) -> str:
    """A row a rule, a column a score: percentage points.

    A layout sorts by the score itself, as in `readings_table`: the smallest gap comes first.
    """
    check_form(form, layout, forms=("text", "md", "latex"))
    require_items("gaps", gaps, (Gap,), "a list that threshold_gaps(result, ...) returns")
    held = {key for gap in gaps for key in gap.gaps}
    keys = layout.keys(held) if held else []
    gaps = layout.order(
        gaps,
        lambda own: {key: -value for key, value in own.gaps.items()},
        lambda own: own.rule,
    )
    rows = []
    for gap in gaps:
        cells = [markdown_text(gap.rule) if form == "md" else gap.rule]
        for key in keys:
            text = SCORES[key].text(gap.gaps[key], signed=True) if key in gap.gaps else "-"
            if key in gap.intervals:
                text += f" {ends_text(SCORES[key], gap.intervals[key], signed=True)}"
            cells.append(text)
        rows.append(cells)
    head = ["Oracle minus realistic", *(SCORES[key].title for key in keys)]
    if layout.transposed:
        head, *rows = [list(cells) for cells in zip(head, *rows, strict=True)]
    return grid(rows, head, form, "lr", width=layout.width)


def _drawn(
    counts: Counts, realistic: Sequence[ScoresAt], bootstrap: Bootstrap
) -> list[Mapping[str, NDArray[Any]]]:
    """By rule, the gaps of each resample by key: float64 (b,)."""
    rng = np.random.default_rng(bootstrap.seed)
    weights = draw_weights(len(counts.image_ids), bootstrap.resamples, rng)
    scoring = replace(counts.scoring, own=None)
    sums = scoring.resampled_sums(counts.kept, weights)
    keys = {key for own in realistic for key in own.scores}
    best: dict[str, list[NDArray[Any]]] = {key: [] for key in keys}
    read: list[dict[str, list[NDArray[Any]]]] = [{key: [] for key in keys} for _ in realistic]
    for start in range(0, len(weights), _AT_A_TIME):
        some = {name: own[start : start + _AT_A_TIME] for name, own in sums.items()}
        _, curves = scoring.scores(some)
        for key in keys:
            curve = curves[SCORES[key].curve]
            best[key].append(curve.max(axis=1))
            for held, own in zip(read, realistic, strict=True):
                level = own.pixel if SCORES[key].family == "pixel" else own.box
                if level is not None and key in own.scores:
                    held[key].append(curve[:, level])
    found: list[Mapping[str, NDArray[Any]]] = []
    for held, own in zip(read, realistic, strict=True):
        values = {key: np.concatenate(parts) for key, parts in held.items() if parts}
        if own.per_image is not None:
            rule = Threshold("per_image", per_image=own.per_image)
            per_image = replace(scoring, own=own_rule(own.per_image))
            values = per_image.resampled(counts.kept, weights, rule)
        found.append({key: np.concatenate(best[key]) - values[key] for key in own.scores})
    return found
