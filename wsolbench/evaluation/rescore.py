"""More scores of a result that is there, from the counts beside it: no map, mask or photo is read.

A counts file holds the statistics of each image. A metric family whose statistics are among them,
such as the explanation scores, which follow from the histograms of pixel scores, can be scored
later, with the same bits as if it had been requested at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from .. import __version__
from ..errors import WsolbenchError, one_of, require_items, require_type, some
from ..formats.result import Bootstrap
from ..metrics import explain
from ..metrics.bootstrap import draw_weights, percentile_interval
from ..progress import Progress
from .checks import check_bootstrap
from .counts import Counts
from .families import ALWAYS, FAMILIES

__all__ = ["explained_table", "rescored", "scorable", "with_families"]


def scorable(counts: Counts) -> list[str]:
    """The metric families that can be scored from the counts of a result."""
    return [name for name in FAMILIES if name != ALWAYS and _follows(name, counts)]


def with_families(counts: Counts, metrics: Sequence[str]) -> Counts:
    """The same counts, read as if these metrics alone had been requested; the result is left.

    Args:
        counts: of a result.
        metrics: names of metric families. Class accuracy stays where it is.

    Raises:
        WsolbenchError: a family that the protocol does not define, or whose statistics the counts
            do not hold.
    """
    require_type("counts", counts, (Counts,), "the Counts of a result")
    require_items("metrics", metrics, (str,), "a list of names of metrics")
    can = scorable(counts)
    lacking = [name for name in metrics if name not in can]
    if lacking or not metrics:
        raise WsolbenchError(
            f"counts of {counts.result.name}",
            found=f"no statistics of {some(lacking)}" if lacking else "no metrics",
            expected=one_of(can),
            cure="name some of these, or evaluate the submission again with --metrics and --counts",
        )
    kept = (*metrics, ALWAYS) if ALWAYS in counts.scoring.families else tuple(metrics)
    families = tuple(name for name in FAMILIES if name in kept)
    return replace(counts, scoring=replace(counts.scoring, families=families))


def rescored(
    counts: Counts,
    metrics: Sequence[str],
    *,
    bootstrap: Bootstrap | None = None,
    progress: Progress | None = None,
) -> Counts:
    """A result and its counts with the scores of further metric families.

    Scores, curves and intervals that are there stay as they are, to the bit; so do groups, which
    get no further scores: which images they hold is not in the counts.

    Args:
        counts: of a result.
        metrics: names of metric families that are added.
        bootstrap: how intervals of all scores are drawn; None as the result says.
        progress: called with (resamples scored, resamples).

    Raises:
        WsolbenchError: see `with_families`.

    Examples:
        >>> request = wsolbench.Request("demo/sem-val.h5", "demo/mini.h5", counts=True)
        >>> (counts,) = wsolbench.run(request).counts
        >>> more = wsolbench.rescored(counts, ["explain"])
        >>> "relevance_mass" in counts.result.scores, "relevance_mass" in more.result.scores
        (False, True)
    """
    require_type("counts", counts, (Counts,), "the Counts of a result")
    require_items("metrics", metrics, (str,), "a list of names of metrics")
    check_bootstrap(bootstrap)
    held = [name for name in counts.scoring.families if name != ALWAYS]
    more = with_families(counts, [*held, *(name for name in metrics if name not in held)])
    scoring, result = more.scoring, counts.result
    sums = scoring.sums(more.kept)
    scores, curves = scoring.scored(sums, result.threshold)
    drawn = result.bootstrap if bootstrap is None else bootstrap
    intervals = {} if drawn is None else _intervals(more, scores, drawn, progress)
    absent = explain.absent_images(sums) if "explain" in scoring.families else {}
    return replace(
        more,
        result=replace(
            result,
            wsolbench=__version__,
            scores=scores,
            curves=curves,
            intervals=intervals,
            bootstrap=drawn,
            counts={**result.counts, **absent},
        ),
    )


def explained_table(counts: Counts) -> dict[str, list[Any]]:
    """The explanation scores of each image as columns, by image id; None where there is none.

    Raises:
        WsolbenchError: counts without pixel histograms.
    """
    with_families(counts, ["explain"])
    columns: dict[str, list[Any]] = {
        "image_id": list(counts.image_ids),
        "class_index": counts.kept["class_index"].tolist(),
    }
    return columns | explain.image_columns(counts.kept["pixels"])


def _intervals(
    counts: Counts, scores: Mapping[str, float | int], drawn: Bootstrap, progress: Progress | None
) -> dict[str, list[float | int]]:
    weights = draw_weights(
        len(counts.image_ids), drawn.resamples, np.random.default_rng(drawn.seed)
    )
    found = counts.scoring.resampled(counts.kept, weights, counts.result.threshold, progress)
    return {key: list(percentile_interval(found[key], drawn.level)) for key in scores}


def _follows(name: str, counts: Counts) -> bool:
    """Whether the counts hold the statistics of a family that the protocol defines."""
    protocol = counts.scoring.protocol
    needed = set(FAMILIES[name].empty(protocol)) - {"boxes"}
    return FAMILIES[name].fits(protocol) and needed <= counts.kept.keys()
