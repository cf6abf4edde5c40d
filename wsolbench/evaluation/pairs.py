"""Differences of two methods, and who is surely ahead once all of them are looked at.

A comparison looks at many scores, pairs of methods and maybe protocols. `judged` corrects for all
of them together (`metrics.significance`), so that the chance that any method is called ahead or
behind in any score without being so is at most one minus the confidence level.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..formats.result import Bootstrap
from ..metrics.bootstrap import percentile_interval
from ..metrics.significance import holm, least_resamples, smallest_p, smallest_sign_p, two_sided_p
from ..scores import SCORES, Better

__all__ = [
    "Pair",
    "Tally",
    "alpha_of",
    "compared_pairs",
    "judged",
    "pair_of",
    "repeated_scores",
    "resolution_fault",
    "tally",
]

_DIGITS = 12  # of alpha: one minus .95 is .05


@dataclass(frozen=True)
class Pair:
    """One score of two methods.

    Attributes:
        score: its key.
        first: place of the one method among the names.
        second: place of the other.
        difference: second minus first.
        interval: [low, high] of the difference over the resamples.
        order: share of the resamples in which the method ahead here is ahead too, ties counted
            half; 0.5 where the two score the same.
        p: two-sided p-value of the resampled differences; not corrected.
        p_holm: the same after Holm's correction for all comparisons.
        verdict: of the second method: "ahead" or "behind" if `p_holm` is at most alpha,
            "undecided" if not, "equal" if no resample shows a difference; "higher" or "lower" for
            a score without a better direction.
    """

    score: str
    first: int
    second: int
    difference: float
    interval: tuple[float, float]
    order: float
    p: float = 1.0
    p_holm: float = 1.0
    verdict: str = "undecided"


@dataclass(frozen=True)
class Tally:
    """In which scores the second of two methods is ahead; keys in the order of tables.

    Scores without a better direction, and repetitions of another score, are in none of the lists.

    Attributes:
        first: place of the one method among the names.
        second: place of the other.
        ahead: where it surely is.
        behind: where it surely is behind.
        undecided: where neither is sure.
        equal: where no resample shows a difference.
    """

    first: int
    second: int
    ahead: tuple[str, ...]
    behind: tuple[str, ...]
    undecided: tuple[str, ...]
    equal: tuple[str, ...]

    @property
    def scores(self) -> int:
        """How many scores could have been decided."""
        return len(self.ahead) + len(self.behind) + len(self.undecided)

    @property
    def standing(self) -> str:
        """ "ahead" if in some score and behind in none, "behind" the other way round, "mixed" if
        both, "undecided" if neither, "equal" if there is nothing to decide.
        """
        if not self.scores:
            return "equal"
        if self.ahead and self.behind:
            return "mixed"
        return "ahead" if self.ahead else "behind" if self.behind else "undecided"

    def __str__(self) -> str:
        parts = [
            f"{name} in {len(getattr(self, name))}" for name in ("ahead", "behind", "undecided")
        ]
        equal = f"; equal in {len(self.equal)} more" if self.equal else ""
        return f"{', '.join(parts)} of {self.scores} scores{equal}"


def pair_of(
    key: str,
    first: int,
    second: int,
    scored: Sequence[Mapping[str, float | int]],
    drawn: Sequence[Mapping[str, NDArray[Any]]],
    level: float,
    images: int,
) -> Pair:
    """One score of two methods: its difference, on all images and over the resamples of them."""
    difference = float(scored[second][key] - scored[first][key])
    moved = drawn[second][key] - drawn[first][key]
    moved = moved[moved == moved]  # without resamples in which no image has the score
    ahead = float((moved > 0).mean() + (moved == 0).mean() / 2)
    order = ahead if difference > 0 else 1 - ahead if difference < 0 else 0.5
    interval = percentile_interval(moved, level)
    verdict = "undecided" if difference or moved.any() else "equal"
    p = two_sided_p(moved, images)
    return Pair(key, first, second, difference, interval, order, p, 1.0, verdict)


def repeated_scores(
    keys: Sequence[str],
    scored: Sequence[Mapping[str, float | int]],
    drawn: Sequence[Mapping[str, NDArray[Any]]],
) -> dict[str, str]:
    """Scores that are the same number as an earlier one for every method in every resample.

    Under the rule "max", GT-known is read at its best threshold, and MaxBoxAcc .5 is the same. A
    score that never differs, such as one of 100 % for all methods, repeats none.

    Args:
        keys: of scores, in the order of tables.
        scored: by method, scores by key.
        drawn: by method, scores of resamples (b,) by key.

    Returns:
        By key of a score the key of the first one that is the same.
    """
    found: dict[str, str] = {}
    firsts: list[str] = []
    for key in keys:
        same = next((own for own in firsts if _same(own, key, scored, drawn)), None)
        if same is None:
            firsts.append(key)
        else:
            found[key] = same
    return found


def judged(
    groups: Sequence[Sequence[Pair]], repeated: Sequence[Mapping[str, str]], bootstrap: Bootstrap
) -> list[list[Pair]]:
    """Decide each comparison, corrected for all of them.

    Args:
        groups: the pairs of each protocol; what was decided before is decided again.
        repeated: by protocol, `repeated_scores`: they are not counted as comparisons, and are
            decided as the score that they repeat.
        bootstrap: how resamples were drawn; alpha is one minus its level.
    """
    alpha = alpha_of(bootstrap)
    counted = compared_pairs(groups, repeated)
    adjusted = holm([pair.p for _, pair in counted])
    found: dict[tuple[int, str, int, int], float] = {
        (group, pair.score, pair.first, pair.second): p
        for (group, pair), p in zip(counted, adjusted, strict=True)
    }
    decided = []
    for group, (pairs, same) in enumerate(zip(groups, repeated, strict=True)):
        own = []
        for pair in pairs:
            key = (group, same.get(pair.score, pair.score), pair.first, pair.second)
            p = found.get(key, 1.0)
            verdict = pair.verdict if pair.verdict == "equal" else _verdict(pair, p <= alpha)
            own.append(replace(pair, p_holm=p, verdict=verdict))
        decided.append(own)
    return decided


def compared_pairs(
    groups: Sequence[Sequence[Pair]], repeated: Sequence[Mapping[str, str]]
) -> list[tuple[int, Pair]]:
    """The comparisons that a correction counts, each with the place of its protocol."""
    return [
        (group, pair)
        for group, (pairs, same) in enumerate(zip(groups, repeated, strict=True))
        for pair in pairs
        if pair.score not in same and pair.verdict != "equal"
    ]


def resolution_fault(comparisons: int, bootstrap: Bootstrap, images: int) -> str:
    """Why resamples or images are too few to decide any of so many comparisons; empty if not."""
    alpha, drawn = alpha_of(bootstrap), bootstrap.resamples
    if comparisons * smallest_sign_p(images) > alpha:
        return (
            f"{images} images cannot decide any of {comparisons} comparisons after Holm's "
            "correction, even if all agree: score more images"
        )
    if not comparisons or comparisons * smallest_p(drawn) <= alpha:
        return ""
    least = least_resamples(comparisons, alpha)
    return (
        f"{drawn} resamples cannot decide any of {comparisons} comparisons after Holm's "
        f"correction: draw {least} or more (--bootstrap {least})"
    )


def tally(pairs: Sequence[Pair], repeated: Mapping[str, str], first: int, second: int) -> Tally:
    """In which scores the second method is ahead of the first."""
    held: dict[str, list[str]] = {}
    for pair in pairs:
        directed = SCORES[pair.score].better is not Better.NEITHER
        if (pair.first, pair.second) == (first, second) and directed and pair.score not in repeated:
            held.setdefault(pair.verdict, []).append(pair.score)
    names = ("ahead", "behind", "undecided", "equal")
    return Tally(first, second, *(tuple(held.get(name, ())) for name in names))


def alpha_of(bootstrap: Bootstrap) -> float:
    """One minus the confidence level: the chance of any false decision."""
    return round(1 - bootstrap.level, _DIGITS)


def _verdict(pair: Pair, decided: bool) -> str:
    # Best thresholds can make the resamples say the opposite of all images.
    if not decided or not pair.difference or pair.order <= 0.5:
        return "undecided"
    better, up = SCORES[pair.score].better, pair.difference > 0
    if better is Better.NEITHER:
        return "higher" if up else "lower"
    return "ahead" if up is (better is Better.HIGHER) else "behind"


def _same(
    one: str,
    other: str,
    scored: Sequence[Mapping[str, float | int]],
    drawn: Sequence[Mapping[str, NDArray[Any]]],
) -> bool:
    values = [np.append(rows[one], own[one]) for own, rows in zip(scored, drawn, strict=True)]
    others = [np.append(rows[other], own[other]) for own, rows in zip(scored, drawn, strict=True)]
    differs = len(np.unique(np.concatenate(values))) > 1
    return differs and all(map(partial(np.array_equal, equal_nan=True), values, others))
