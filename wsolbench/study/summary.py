"""What the runs of a study say: means, spreads over seeds, and paired differences.

A mean is over the seeds; its spread is the sample standard deviation (n - 1) between them. An
interval covers the choice of photos: each resample draws photos with replacement, the same for all
runs, and averages the score over the seeds. Intervals do not cover the choice of K, nor that of the
seeds, so a difference is called higher or lower only if its interval excludes zero *and* all of at
least two seeds agree on its sign. Nothing is corrected for the number of differences.

K and thresholds are chosen on val: K as the one with the highest mean score over the seeds, for
each method and score, and each run's own threshold. On val, scores with chosen K are therefore too
high; test is free of that.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..baselines.settings import METHODS
from ..errors import WsolbenchError
from ..evaluation.counts import Counts, counts_path, read_counts
from ..formats.result import Bootstrap, Result, read_result
from ..metrics.bootstrap import draw_weights
from ..progress import Progress
from .claims import Claim, Finding, claims, judged
from .estimate import Estimate
from .plan import FEAT5, OWN, SPLITS, TRIVIAL, Maps, kinds_of, read_plan

__all__ = [
    "CHOSEN_BY",
    "KEYS",
    "MethodSummary",
    "Point",
    "Study",
    "summarise",
]

KEYS: Mapping[str, tuple[str, ...]] = {
    "val": ("peak_iou", "ap", "gt_known_loc", "top1_loc"),
    "test": ("iou_at_threshold", "ap", "gt_known_loc", "top1_loc"),
}
"""The scores of a study by part. On test, the IoU is read at the threshold of val."""

CHOSEN_BY = {"iou_at_threshold": "peak_iou"}
"""The score on val by which K is chosen, where it is another than on test."""

Drawn = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Point:
    """The scores of one kind of map on val, by key."""

    seeds: float | int | None
    features: tuple[str, ...]
    scores: Mapping[str, Estimate]


@dataclass(frozen=True)
class MethodSummary:
    """One method, over its seeds.

    Attributes:
        name: a key of `settings.METHODS`.
        accuracy: share of photos whose class is right, by part.
        threshold: Peak-T on val of the own maps, and with SEM at the K chosen by Peak-IoU.
        best: by key of val, SEM's K with the highest mean.
        own: scores of the method's own maps, by part and key.
        sem: the same with SEM at the chosen K.
        gain: SEM minus own.
        against_cam: own maps minus CAM's own maps; nothing for CAM itself.
        curve: the scores on val of every K.
    """

    name: str
    accuracy: Mapping[str, Estimate]
    threshold: Mapping[str, Estimate]
    best: Mapping[str, float | int]
    own: Mapping[str, Mapping[str, Estimate]]
    sem: Mapping[str, Mapping[str, Estimate]]
    gain: Mapping[str, Mapping[str, Estimate]]
    against_cam: Mapping[str, Mapping[str, Estimate]]
    curve: Sequence[Point]

    @property
    def title(self) -> str:
        """Its name in tables."""
        return METHODS[self.name].title


@dataclass(frozen=True)
class Depth:
    """SEM on other features than feat5: at the K chosen on val, by key."""

    features: tuple[str, ...]
    best: Mapping[str, float | int]
    scores: Mapping[str, Mapping[str, Estimate]]
    against_feat5: Mapping[str, Mapping[str, Estimate]]


@dataclass(frozen=True)
class Study:
    """The summary of a study.

    Attributes:
        plan: what all runs have in common (`plan.json`).
        seeds: of training.
        images: number of photos by part.
        protocol: its name and version.
        bootstrap: how intervals were drawn.
        methods: in the order of the paper's Table 1.
        depths: SEM on features of other depths.
        trivial: scores of network-free baselines by name, part and key.
        over_trivial: by method, "own" or "sem", and key: the score on test minus that of the centre
            Gaussian.
        findings: the paper's statements, and what this study says of them.
        notes: seeds that were left out, and why.
    """

    plan: Mapping[str, Any]
    seeds: tuple[int, ...]
    images: Mapping[str, int]
    protocol: str
    bootstrap: Bootstrap
    methods: Sequence[MethodSummary]
    depths: Sequence[Depth]
    trivial: Mapping[str, Mapping[str, Mapping[str, Estimate]]]
    over_trivial: Mapping[str, Mapping[str, Mapping[str, Estimate]]]
    findings: Sequence[Finding] = ()
    notes: Sequence[str] = ()


def summarise(
    folder: str | os.PathLike[str],
    bootstrap: Bootstrap | None = None,
    progress: Progress | None = None,
) -> Study:
    """Summarise the runs that a study's folder holds.

    Args:
        folder: of `run.run_study`.
        bootstrap: how intervals are drawn; by default 1,000 resamples, seed 0.
        progress: called with (runs read, runs).

    Raises:
        WsolbenchError: no seed is finished for all methods that have results; files are damaged or
            of different annotations or protocols.
    """
    root = Path(folder)
    plan = read_plan(root)
    return _Runs(root, plan, bootstrap or Bootstrap(1000), progress).study()


class _Runs:
    """The results in a folder, read once, and their resamples."""

    def __init__(
        self, root: Path, plan: Mapping[str, Any], bootstrap: Bootstrap, progress: Progress | None
    ) -> None:
        self.root = root
        self.plan = plan
        self.bootstrap = bootstrap
        self.seeds, self.methods, self.notes = _finished(root, plan)
        self.progress = progress
        self.read = 0
        self.total = (
            sum(len(kinds_of(self.plan, own)) for own in self.methods) * len(self.seeds) * 2
        )
        self.weights: dict[str, NDArray[np.uint16]] = {}
        self.image_ids: dict[str, Sequence[str]] = {}
        self.weights_of: dict[tuple[str, int], object] = {}
        self.photos: object = None
        self.alike: tuple[Any, ...] = ()
        self.protocol = ""
        self.cache: dict[Path, tuple[Mapping[str, float | int], Drawn]] = {}

    def one(
        self, path: Path, part: str, run: tuple[str, int, Maps] | None = None
    ) -> tuple[Mapping[str, float | int], Drawn]:
        """The scores of one result, and those of its resamples; `run` is what it must be of."""
        if path not in self.cache:
            result = read_result(path)
            self._check_place(path, result, part, run)
            counts = read_counts(counts_path(path), result)
            self._check(path, counts, part)
            drawn = counts.scoring.resampled(
                counts.kept, self._drawn(counts, part), result.threshold
            )
            self.cache[path] = (result.scores, drawn)
            if run is not None:
                self.read += 1
                if self.progress is not None:
                    self.progress(self.read, self.total)
        return self.cache[path]

    def _check_place(
        self, path: Path, result: Result, part: str, run: tuple[str, int, Maps] | None
    ) -> None:
        """Refuse a result that is not of the run, maps and split that its place says."""
        stated: dict[str, object] = {"split": result.split}
        expected: dict[str, object] = {"split": self.plan[part]}
        if run is not None:
            method, seed, kind = run
            title = METHODS[method].title
            features = result.parameters.get("features", FEAT5[0])
            stated |= {
                "name": result.method.get("name"),
                "seed": result.method.get("seed"),
                "K": result.parameters.get("seeds"),
                "features": features,
                "weights": result.method.get("weights_sha256"),
                "backbone": result.method.get("backbone"),
                "training": result.parameters.get("training"),
                "number of training photos": result.method.get("trained_photos"),
            }
            training = {**self.plan["recipe"], **self.plan["settings"][method]}
            told = result.parameters.get("training")
            kept = told if isinstance(told, Mapping) else {}
            expected |= {
                "name": title if kind == OWN else f"{title} + SEM",
                "seed": seed,
                "K": kind.seeds,
                "features": " + ".join(kind.features),
                "weights": self.weights_of.setdefault((method, seed), stated["weights"]),
                "backbone": self.plan["backbone"],
                # A submission states what of a recipe tells most, not all of it.
                "training": {key: own for key, own in training.items() if key in kept},
                "number of training photos": self.photos or stated["number of training photos"],
            }
            self.photos = expected["number of training photos"]
        if part == "test":
            source = result.threshold.source or {}
            beside = path.parents[1] / "val" / path.name if run else path.with_name("val.json")
            stated["thresholds of"] = source.get("submission_sha256")
            expected["thresholds of"] = read_result(beside).submission_sha256
        wrong = [name for name in stated if stated[name] != expected[name]]
        if wrong:
            raise WsolbenchError(
                path,
                found=f"{wrong[0]} {stated[wrong[0]]}",
                expected=f"{expected[wrong[0]]}, as its folder and name say",
                cure="delete the file, and its .h5 if that is of another run too, and run the "
                "study again",
            )

    def _check(self, path: Path, counts: Counts, part: str) -> None:
        result = counts.result
        alike = (result.annotations_sha256, result.protocol["sha256"], result.label)
        self.alike = self.alike or alike
        self.protocol = f"{result.protocol['name']}.v{result.protocol['version']}"
        expected = self.image_ids.setdefault(part, counts.image_ids)
        if (
            alike != self.alike
            or list(counts.image_ids) != list(expected)
            or not counts.held.all()
            or result.annotations_sha256 != self.plan["annotations_sha256"]
        ):
            raise WsolbenchError(
                path,
                found="other images, annotations, label or protocol than in the other results",
                expected="those of plan.json",
                cure="delete the file and run the study again",
            )

    def _drawn(self, counts: Counts, part: str) -> NDArray[np.uint16]:
        if part not in self.weights:
            rng = np.random.default_rng(self.bootstrap.seed)
            count = len(counts.image_ids)
            self.weights[part] = draw_weights(count, self.bootstrap.resamples, rng)
        return self.weights[part]

    def path(self, method: str, seed: int, part: str, kind: Maps) -> Path:
        """The result of one run."""
        return self.root / f"seed-{seed}" / method / part / f"{kind.stem}.json"

    def over_seeds(self, method: str, part: str, kind: Maps) -> list[tuple[Any, Drawn]]:
        """The results of all seeds."""
        return [
            self.one(self.path(method, seed, part, kind), part, (method, seed, kind))
            for seed in self.seeds
        ]

    def estimate(self, method: str, part: str, kind: Maps, key: str) -> Estimate:
        """A score over seeds and photos."""
        runs = self.over_seeds(method, part, kind)
        values = [float(scores[key]) for scores, _ in runs]
        return Estimate.of(
            values, np.mean([drawn[key] for _, drawn in runs], axis=0), self.bootstrap.level
        )

    def difference(
        self, part: str, key: str, first: tuple[str, Maps], second: tuple[str, Maps]
    ) -> Estimate:
        """Second minus first, of the same seeds and photos."""
        pairs = list(
            zip(
                self.over_seeds(first[0], part, first[1]),
                self.over_seeds(second[0], part, second[1]),
                strict=True,
            )
        )
        values = [float(other[0][key]) - float(own[0][key]) for own, other in pairs]
        drawn = np.mean([other[1][key] - own[1][key] for own, other in pairs], axis=0)
        return Estimate.of(values, drawn, self.bootstrap.level)

    def best(self, method: str, key: str, features: tuple[str, ...] = FEAT5) -> Maps:
        """The K with the highest mean on val, the smallest of equals."""
        chosen = CHOSEN_BY.get(key, key)
        kinds = [
            own for own in kinds_of(self.plan, method) if own.seeds and own.features == features
        ]
        means = [self.estimate(method, "val", own, chosen).mean for own in kinds]
        return kinds[means.index(max(means))]

    def method(self, name: str) -> MethodSummary:
        """The summary of one method."""

        def by_part(what: Any) -> dict[str, dict[str, Estimate]]:
            return {part: {key: what(part, key) for key in KEYS[part]} for part in SPLITS}

        best_iou = self.best(name, "peak_iou")
        own_kinds = [own for own in kinds_of(self.plan, name) if own.features == FEAT5]
        return MethodSummary(
            name=name,
            accuracy={part: self.estimate(name, part, OWN, "top1_cls") for part in SPLITS},
            threshold={
                "own": self.estimate(name, "val", OWN, "peak_threshold"),
                "sem": self.estimate(name, "val", best_iou, "peak_threshold"),
            },
            best={key: self.best(name, key).seeds or 0 for key in KEYS["val"]},
            own=by_part(lambda part, key: self.estimate(name, part, OWN, key)),
            sem=by_part(lambda part, key: self.estimate(name, part, self.best(name, key), key)),
            gain=by_part(
                lambda part, key: self.difference(
                    part, key, (name, OWN), (name, self.best(name, key))
                )
            ),
            against_cam={}
            if name == "cam" or "cam" not in self.methods
            else by_part(lambda part, key: self.difference(part, key, ("cam", OWN), (name, OWN))),
            curve=[
                Point(
                    own.seeds,
                    own.features,
                    {key: self.estimate(name, "val", own, key) for key in KEYS["val"]},
                )
                for own in own_kinds
            ],
        )

    def depths(self) -> list[Depth]:
        """SEM on features of other depths, if the method is among those that were run."""
        name = self.plan["depth_method"]
        if name not in self.methods:
            return []
        found = []
        for own in map(tuple, self.plan["depths"]):
            found.append(
                Depth(
                    own,
                    {key: self.best(name, key, own).seeds or 0 for key in KEYS["val"]},
                    {
                        part: {
                            key: self.estimate(name, part, self.best(name, key, own), key)
                            for key in KEYS[part]
                        }
                        for part in SPLITS
                    },
                    {
                        part: {
                            key: self.difference(
                                part,
                                key,
                                (name, self.best(name, key)),
                                (name, self.best(name, key, own)),
                            )
                            for key in KEYS[part]
                        }
                        for part in SPLITS
                    },
                )
            )
        return found

    def trivial(self, name: str) -> dict[str, dict[str, Estimate]]:
        """The scores of a network-free baseline by part and key; it classifies nothing."""
        found: dict[str, dict[str, Estimate]] = {}
        for part in SPLITS:
            scores, drawn = self.one(self.root / "trivial" / name / f"{part}.json", part)
            found[part] = {
                key: Estimate.of([float(scores[key])], drawn[key], self.bootstrap.level)
                for key in KEYS[part]
                if key in scores
            }
        return found

    def over_trivial(self, method: str, sem: bool) -> dict[str, Estimate]:
        """A method's scores on test minus those of the centre Gaussian."""
        scores, drawn = self.one(self.root / "trivial" / TRIVIAL[0] / "test.json", "test")
        found = {}
        for key in KEYS["test"]:
            if key not in scores:
                continue
            runs = self.over_seeds(method, "test", self.best(method, key) if sem else OWN)
            found[key] = Estimate.of(
                [float(own[key]) - float(scores[key]) for own, _ in runs],
                np.mean([own[key] - drawn[key] for _, own in runs], axis=0),
                self.bootstrap.level,
            )
        return found

    def study(self) -> Study:
        """The whole summary."""
        methods = [self.method(name) for name in self.methods]
        return Study(
            notes=self.notes,
            plan=self.plan,
            seeds=self.seeds,
            images={part: len(ids) for part, ids in self.image_ids.items()},
            protocol=self.protocol,
            bootstrap=self.bootstrap,
            methods=methods,
            depths=self.depths(),
            trivial={name: self.trivial(name) for name in TRIVIAL},
            over_trivial={
                name: {
                    "own": self.over_trivial(name, sem=False),
                    "sem": self.over_trivial(name, sem=True),
                }
                for name in self.methods
            },
            findings=[judged(own, self._of(own)) for own in claims(self.methods, self.plan)],
        )

    def _of(self, claim: Claim) -> Estimate:
        """The difference that a claim is about."""

        def kind(method: str, side: tuple[str, ...] | float | int | None) -> Maps:
            if side is None:
                return OWN
            if isinstance(side, tuple):
                return self.best(method, claim.key, side)
            return Maps(side)

        part = "val" if claim.key == "peak_threshold" else "test"
        first = (claim.first[0], kind(*claim.first))
        second = (claim.second[0], kind(*claim.second))
        if claim.key == "peak_threshold":
            first = (claim.first[0], OWN)
            second = (claim.second[0], self.best(claim.second[0], "peak_iou"))
        return self.difference(part, claim.key, first, second)


def _finished(
    root: Path, plan: Mapping[str, Any]
) -> tuple[tuple[int, ...], tuple[str, ...], tuple[str, ...]]:
    """The methods that have results, the seeds of which all of these have, and notes on the others.

    Raises:
        WsolbenchError: there is no such seed.
    """

    def whole(seed: int, method: str) -> bool:
        files = [
            root / f"seed-{seed}" / method / part / f"{kind.stem}.json"
            for part in SPLITS
            for kind in kinds_of(plan, method)
        ]
        return all(file.exists() and counts_path(file).exists() for file in files)

    numbers = [own.name.removeprefix("seed-") for own in root.glob("seed-*")]
    seeds = sorted(int(text) for text in numbers if text.isdecimal() and text == str(int(text)))
    done = {seed: [method for method in METHODS if whole(seed, method)] for seed in seeds}
    methods = tuple(method for method in METHODS if any(method in own for own in done.values()))
    lacking = {
        seed: [METHODS[method].title for method in methods if method not in own]
        for seed, own in done.items()
    }
    complete = tuple(seed for seed in seeds if not lacking[seed])
    notes = [f"seed {seed} lacks {', '.join(own)}" for seed, own in lacking.items() if own]
    begun = [
        METHODS[method].title
        for method in METHODS
        if method not in methods
        and any((root / f"seed-{seed}" / method).exists() for seed in seeds)
    ]
    if begun:
        notes.append(f"{', '.join(begun)}, which no seed has finished")
    if not methods or not complete:
        raise WsolbenchError(
            root,
            found="; ".join(notes) or "no finished run",
            expected="at least one seed of all methods that have results",
            cure="give the command of the study again, with these seeds and methods",
        )
    return complete, methods, tuple(f"left out: {note}" for note in notes)
