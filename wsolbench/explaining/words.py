"""What `explain` says of its numbers: the verdict in sentences, and what they rest on."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import one_of
from ..evaluation.comparison import signature as comparison_signature
from ..evaluation.notes import FEW_IMAGES
from ..evaluation.pairs import Tally
from ..evaluation.verdict import Verdict
from ..formats.report import signature
from ..formats.result import Result
from ..scores import SCORES, Better

__all__ = ["basis", "conclusion", "decided_beside", "of_network", "pair_sentence", "short_names"]

POINTING = "pointing_game"


def short_names(verdict: Verdict | None, results: Sequence[Result]) -> list[str]:
    """Names of the methods without the network's, where that leaves them different."""
    names = verdict.names if verdict else [own.name for own in results]
    bare = [
        name.removesuffix(f" {own.method.get('backbone', '')}")
        for name, own in zip(names, results, strict=True)
    ]
    return bare if len(set(bare)) == len(bare) else list(names)


def of_network(results: Sequence[Result]) -> Result:
    """The first result whose maps a network made, so that it states this network."""
    return next((own for own in results if own.method.get("backbone")), results[0])


def conclusion(verdict: Verdict, names: Sequence[str]) -> str:
    """Which method points best, and how sure that is, in two sentences.

    Args:
        verdict: of one protocol.
        names: of the methods, as they are to be called.
    """
    comparison = verdict.comparisons[0]
    wins = {place: set[int]() for place in range(len(names))}
    losses = {place: set[int]() for place in range(len(names))}
    for own in comparison.tallies:
        for better, worse, scores in (
            (own.second, own.first, own.ahead),
            (own.first, own.second, own.behind),
        ):
            if scores:
                wins[better].add(worse)
                losses[worse].add(better)
    others = len(names) - 1
    first = [place for place in wins if len(wins[place]) == others and not losses[place]]
    unbeaten = [names[place] for place in wins if wins[place] and not losses[place]]
    if first:
        told = f"{names[first[0]]} is best: surely ahead of each other method in at least one "
        told += "score, and behind in none."
    elif not any(wins.values()):
        told = f"Undecided: on {comparison.images} photos no difference in any score is sure."
    elif unbeaten:
        told = f"No method is surely ahead of all others; {' and '.join(unbeaten)} "
        told += f"{'is' if len(unbeaten) == 1 else 'are'} ahead in some scores and behind in none."
    else:
        told = "No method is best: each that is surely ahead in some score is behind in another."
    few = comparison.images < FEW_IMAGES and any(wins.values())
    caution = f"{comparison.images} photos are too few to rely on this:" if few else ""
    return f"{caution} {told} {_pointing(verdict, names)}".strip()


def pair_sentence(own: Tally, names: Sequence[str]) -> str:
    """In which scores the second of two methods is ahead and behind, by their titles."""
    parts = []
    for name in ("ahead", "behind"):
        titles = [SCORES[key].title for key in getattr(own, name)]
        parts.append(f"{name} in {len(titles)}" + (f" ({', '.join(titles)})" if titles else ""))
    parts.append(f"undecided in {len(own.undecided)} of {own.scores} scores")
    equal = f"; equal in {len(own.equal)} more" if own.equal else ""
    return f"{names[own.second]} beside {names[own.first]}: {', '.join(parts)}{equal}"


def decided_beside(verdict: Verdict, key: str, place: int) -> tuple[list[int], list[int]]:
    """The methods that one is surely ahead of and behind in a score, by their places."""
    ahead: list[int] = []
    behind: list[int] = []
    for pair in verdict.comparisons[0].pairs:
        if pair.score != key or place not in (pair.first, pair.second):
            continue
        other = pair.first if place == pair.second else pair.second
        if pair.verdict in ("ahead", "behind"):
            leads = (pair.verdict == "ahead") is (place == pair.second)
            (ahead if leads else behind).append(other)
    return ahead, behind


def basis(results: Sequence[Result], verdict: Verdict | None) -> list[str]:
    """What the numbers rest on: the line that says which may be compared, and the network's."""
    first = of_network(results)
    if verdict is None:
        numbers = signature(first)
    else:
        numbers = f"wsolbench:{first.wsolbench}|{comparison_signature(verdict.comparisons[0])}"
    method = first.method
    seed = f"random, seed {method.get('seed')}" if method.get("random_weights") else "not stated"
    weights = str(method.get("weights", seed))
    if sha256 := method.get("weights_sha256"):
        weights = f"{method.get('weights', 'SHA-256')} {str(sha256)[:8]}"
    layers = [
        f"{name} {parameters['layer']}"
        for name, parameters in zip(
            short_names(verdict, results), map(_parameters, results), strict=True
        )
        if "layer" in parameters
    ]
    parts = {
        "network": method.get("backbone", "not stated"),
        "weights": weights,
        "size": _parameters(first).get("size", "not stated"),
        **({"layers": ", ".join(layers)} if layers else {}),
    }
    return [numbers, "|".join(f"{key}:{value}" for key, value in parts.items())]


def _parameters(result: Result) -> dict[str, object]:
    stated = result.method.get("parameters")
    return dict(stated) if isinstance(stated, dict) else {}


def _pointing(verdict: Verdict, names: Sequence[str]) -> str:
    """Who is highest in the pointing game, and whether that is decided."""
    comparison = verdict.comparisons[0]
    if POINTING not in comparison.scores or SCORES[POINTING].better is not Better.HIGHER:
        return ""
    values = comparison.scores[POINTING]
    top = [place for place, value in enumerate(values) if value == max(values)]
    text = SCORES[POINTING].text(values[top[0]], 1)
    told = f"Pointing game: {' and '.join(names[place] for place in top)} "
    told += f"{'hits' if len(top) == 1 else 'hit'} most, {text} %"
    if len(top) == len(names):
        return f"Pointing game: all hit equally, {text} %."
    below, _ = decided_beside(verdict, POINTING, top[0])
    unsure = [names[own] for own in range(len(names)) if own not in (*top, *below)]
    if not below:
        return f"{told}, which is not surely more than any other."
    surely = f"{told}, surely more than {one_of([names[own] for own in below])}"
    return f"{surely}; undecided beside {one_of(unsure)}." if unsure else f"{surely}."
