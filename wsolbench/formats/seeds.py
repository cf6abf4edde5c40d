"""Runs of one method with different random seeds: mean and standard deviation of their scores.

Runs belong together if their methods are equal apart from the seed and the weights that it led to,
and if they were scored alike: on the same images, under one protocol and one rule for thresholds.
The deviation is the sample standard deviation, with n - 1.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from ..errors import printable, require_items
from .names import told_apart
from .result import Result

__all__ = ["SeedGroup", "seed_groups", "seed_notes"]

_OF_A_SEED = ("seed", "weights", "weights_sha256")
"""What a method states of one run: its seed, and the name and hash of the weights it led to."""


@dataclass(frozen=True)
class SeedGroup:
    """Two or more runs of one method with different seeds.

    Attributes:
        name: of the method; groups of equal names get a parameter in which they differ.
        dataset: the data set's name.
        split: the split's name.
        seeds: of the runs, all different, in the order of the runs.
        places: of the runs among the results.
        mean: by key the mean of each score that all runs have.
        std: by key its sample standard deviation (n - 1), in the unit of the score.

    Examples:
        >>> means, spreads = {"peak_iou": 0.3}, {"peak_iou": 0.01}
        >>> group = wsolbench.SeedGroup("Noise", "mini", "val", (0, 1), (0, 1), means, spreads)
        >>> len(group.seeds)
        2
    """

    name: str
    dataset: str
    split: str
    seeds: tuple[int | str, ...]
    places: tuple[int, ...]
    mean: Mapping[str, float]
    std: Mapping[str, float]


def seed_groups(results: Sequence[Result]) -> list[SeedGroup]:
    """The groups of results that differ only in their seed, in the order of their first run.

    A result without a stated seed belongs to no group. Of several with the same seed, the first
    counts; `seed_notes` says so.

    Examples:
        >>> from wsolbench.baselines import predict_trivial
        >>> dataset = wsolbench.Dataset.open("demo/mini.h5")
        >>> for seed in (0, 1):
        ...     predict_trivial(dataset, f"{seed}.h5", "noise", seed=seed)
        >>> results = [wsolbench.evaluate(dataset, f"{seed}.h5") for seed in (0, 1)]
        >>> (group,) = wsolbench.seed_groups(results)
        >>> group.seeds
        (0, 1)
    """
    require_items("results", results, (Result,), "a list of Result")
    groups = []
    for places in _alike(results):
        firsts: dict[int | str, int] = {}
        for place in places:
            if (seed := _seed(results[place])) is not None:
                firsts.setdefault(seed, place)
        if len(firsts) > 1:
            groups.append(firsts)
    runs = [[results[place] for place in firsts.values()] for firsts in groups]
    names = told_apart([own[0].name for own in runs], [own[0].parameters for own in runs])
    return [
        _group(name, own, firsts) for name, own, firsts in zip(names, runs, groups, strict=True)
    ]


def seed_notes(results: Sequence[Result]) -> list[str]:
    """Why runs of one method are not counted, or should not be: one sentence for each reason."""
    notes = []
    for places in _alike(results):
        if len(places) < 2:
            continue
        name = results[places[0]].name
        stated = [seed for place in places if (seed := _seed(results[place])) is not None]
        bare = len(places) - len(stated)
        if bare:
            verb = "states" if bare == 1 else "state"
            notes.append(
                f"{bare} of {len(places)} runs of {name} {verb} no seed in the submission's "
                f"method and {'is' if bare == 1 else 'are'} not counted as a seed"
            )
        for seed in dict.fromkeys(stated):
            if (count := stated.count(seed)) > 1:
                notes.append(
                    f"{count} runs of {name} state the same seed {seed}, which is one seed: only "
                    "the first of them counts"
                )
        notes += _notes_of_equal_runs([results[place] for place in places])
    return notes


def _notes_of_equal_runs(runs: Sequence[Result]) -> list[str]:
    """A sentence for each set of seeds whose runs score the same to the last bit."""
    seeds: dict[str, dict[int | str, None]] = {}
    for run in runs:
        if (seed := _seed(run)) is not None:
            scored = json.dumps([run.scores, run.curves], sort_keys=True, default=list)
            seeds.setdefault(scored, {})[seed] = None
    return [
        f"the seeds {', '.join(map(str, equal))} of {runs[0].name} have equal scores and curves to "
        "the last bit, as the same maps have: their spread is probably none of seeds; check that "
        "each submission was made with its own weights"
        for equal in seeds.values()
        if len(equal) > 1
    ]


def _group(name: str, runs: Sequence[Result], firsts: Mapping[int | str, int]) -> SeedGroup:
    keys = [key for key in runs[0].scores if all(key in run.scores for run in runs)]
    values = {key: [float(run.scores[key]) for run in runs] for key in keys}
    return SeedGroup(
        name=name,
        dataset=runs[0].dataset,
        split=runs[0].split,
        seeds=tuple(firsts),
        places=tuple(firsts.values()),
        mean={key: fmean(own) for key, own in values.items()},
        std={key: stdev(own) for key, own in values.items()},
    )


def _seed(result: Result) -> int | str | None:
    """The seed that a method states; None if it states none. "7" and 7.0 are the seed 7."""
    seed = result.method.get("seed")
    if isinstance(seed, bool) or not isinstance(seed, (int, float, str)):
        return None
    text = printable(str(seed)).removesuffix(".0")
    return int(text) if text.removeprefix("-").isdecimal() else text or None


def _alike(results: Sequence[Result]) -> list[list[int]]:
    """Places of results that are equal in all but what follows from their seed."""
    alike: dict[str, list[int]] = {}
    for place, result in enumerate(results):
        alike.setdefault(_shared(result), []).append(place)
    return list(alike.values())


def _shared(result: Result) -> str:
    """What runs of one group have in common, as text."""
    threshold, source = result.threshold, result.threshold.source or {}
    fixed = threshold.rule == "fixed"
    content = [
        {key: value for key, value in result.method.items() if key not in _OF_A_SEED},
        [result.dataset, result.split, result.label, result.normalisation, result.images],
        [result.limit, result.counts.get("missing", 0)],
        [result.protocol["sha256"], result.annotations_sha256, threshold.kind],
        # Each run carries thresholds of its own result, so levels and hashes may differ.
        [threshold.pixel, threshold.box] if fixed else [source.get("method"), source.get("split")],
    ]
    return json.dumps(content, sort_keys=True, default=str)
