"""The study of boundaries: the paper's Table 7 on any classifiers, with several seeds.

Each variant is a boundary detector on a classifier of a study (`run`), trained with the
classifier's seed; edges without a detector stand beside them. All are scored on test, where, as in
the paper, ODS and OIS choose their thresholds too.

Layout of the folder:

    edges-plan.json                          what all runs have in common
    canny/test.h5 ...                        edges without a network
    seed-<s>/<variant>/detector.pt, .csv     the detector and the log of its training
    seed-<s>/<variant>/test.h5 ...           a submission, its result (.json) and its counts
    boundaries.json, .md                     the summary
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ..baselines.checkpoints import read_checkpoint
from ..baselines.settings import as_values
from ..baselines.training_data import LabelledPhotos, labelled_folder, labelled_split
from ..boundaries.predict import predict_canny, predict_edges, predict_reference
from ..boundaries.settings import edge_recipe_for, edge_settings_for, pseudo_settings_from
from ..boundaries.train import train_edges
from ..data.dataset import Dataset
from ..errors import WsolbenchError, require_choice
from ..evaluation.counts import counts_path, write_counts
from ..evaluation.run import Request
from ..evaluation.run import run as evaluate_files
from ..files import require_file, sha256_of
from ..formats.result import Result, read_result
from ..progress import Progress
from ..scores import SCORES
from .plan import agree_on_plan

__all__ = [
    "CANNY",
    "KEYS",
    "VARIANTS",
    "EdgePlan",
    "Variant",
    "read_edge_plan",
    "run_edge_study",
]

Bars = Callable[[str, str], AbstractContextManager[Progress | None]]

FORMAT = "wsolbench-edge-study-plan"
FORMAT_VERSION = 1

KEYS = ("boundary_ods", "boundary_ois", "boundary_ap", "boundary_ap_full")
"""The scores of the study: those of Table 7, and the AP that does not depend on calibration."""


@dataclass(frozen=True)
class Variant:
    """Edges that a study makes of each seed.

    Attributes:
        title: in tables.
        method: of the classifier, a key of `baselines.settings.METHODS`.
        maps: "sem" or "cam".
        loss: "hns" or "vanilla"; empty for edges without detector.
        kind: one of `boundaries.predict.REFERENCES`; empty for a detector.
    """

    title: str
    method: str
    maps: str
    loss: str = ""
    kind: str = ""


VARIANTS: Mapping[str, Variant] = MappingProxyType(
    {
        "cam-hns": Variant("CAM-HNS", "cam", "cam", "hns"),
        "sem-vanilla": Variant("SEM-vanilla", "cam", "sem", "vanilla"),
        "sem-hns": Variant("SEM-HNS", "cam", "sem", "hns"),
        "sem-hns-cutmix": Variant("SEM-HNS (CutMix)", "cutmix", "sem", "hns"),
        "sem-hns-has": Variant("SEM-HNS (HaS)", "has", "sem", "hns"),
        "sem-pseudo": Variant("SEM pseudo-boundaries", "cam", "sem", kind="pseudo"),
        "cam-pseudo": Variant("CAM pseudo-boundaries", "cam", "cam", kind="pseudo"),
        "sem-gradient": Variant("SEM map's gradient", "cam", "sem", kind="map-gradient"),
    }
)
"""In the order of Table 7, then edges without detector."""

CANNY = "Canny"


@dataclass(frozen=True)
class EdgePlan:
    """What all runs of a study of boundaries have in common.

    Attributes:
        title: of the study.
        classifiers: the folder of a study, with seed-<s>/<method>/checkpoint.pt.
        annotations: the annotation file with the test split.
        images: the folder of the photos.
        train: the split whose photos and classes to train on, or a folder with one subfolder for
            each class; that of the classifiers.
        test: the split to score.
        exif: "ignore" or "apply".
        settings: fields of `EdgeSettings` but maps and loss.
        recipe: fields of `EdgeRecipe` but the seed.
        pseudo: fields of `PseudoSettings`.
        also: submissions of edges of the test split to score beside them, by title.
    """

    title: str
    classifiers: Path
    annotations: Path
    images: Path
    train: str | Path = "train"
    test: str = "test"
    exif: str = "ignore"
    settings: Mapping[str, Any] = field(default_factory=dict)
    recipe: Mapping[str, Any] = field(default_factory=dict)
    pseudo: Mapping[str, Any] = field(default_factory=dict)
    also: Mapping[str, Path] = field(default_factory=dict)

    def checkpoint(self, seed: int, method: str) -> Path:
        """A classifier.

        Raises:
            WsolbenchError: it is not there.
        """
        return require_file(
            self.classifiers / f"seed-{seed}" / method / "checkpoint.pt",
            f"the classifier of {method}, seed {seed}",
            f"train it: wsolbench study ... --out {self.classifiers} --methods cam,has,cutmix "
            f"--seeds {seed}",
        )

    def dataset(self) -> Dataset:
        """The test split with its photos."""
        return Dataset.open(self.annotations, self.test, self.images, exif=self.exif)

    def photos(self) -> LabelledPhotos:
        """The photos to train on."""
        if isinstance(self.train, Path):
            return labelled_folder(self.train)
        opened = Dataset.open(self.annotations, self.train, self.images, exif=self.exif)
        return labelled_split(opened)

    def described(self, backbone: str, size: int) -> dict[str, Any]:
        """What `edges-plan.json` holds, for classifiers of a backbone and size of photos.

        Raises:
            WsolbenchError: a setting is unknown or out of range.
        """
        settings = as_values(edge_settings_for(backbone, self.settings))
        recipe = as_values(edge_recipe_for(backbone, self.recipe, size))
        dataset = self.dataset()
        return {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "title": self.title,
            "dataset": dataset.name,
            "annotations_sha256": dataset.store.content_sha256,
            "train": self.train if isinstance(self.train, str) else f"{self.train.name}/",
            "test": self.test,
            "exif": self.exif,
            "backbone": backbone,
            "settings": {key: own for key, own in settings.items() if key not in _VARIED},
            "recipe": {key: own for key, own in recipe.items() if key != "seed"},
            "pseudo": as_values(pseudo_settings_from(self.pseudo)),
        }


_VARIED = ("maps", "loss")


def run_edge_study(
    plan: EdgePlan,
    out: str | os.PathLike[str],
    *,
    seeds: Sequence[int] = (0,),
    variants: Sequence[str] = tuple(VARIANTS),
    device: str = "auto",
    workers: int = 2,
    bars: Bars = lambda title, unit: nullcontext(),
    say: Callable[[str], None] = lambda line: None,
) -> None:
    """Train, predict and evaluate what a plan says, as far as it is not done.

    Args:
        plan: what to compare.
        out: the study's folder, created if necessary.
        seeds: of classifiers and detectors.
        variants: keys of `VARIANTS`.
        device: "cpu", "cuda", "mps" or "auto".
        workers: number of processes that read photos.
        bars: makes a progress bar from a title and a unit.
        say: called with a line after each step.

    Raises:
        WsolbenchError: the folder holds a study with another plan, a classifier is missing, or as
            `train_edges`, the predictions and `evaluate` raise.
    """
    for name in variants:
        require_choice("variant", name, VARIANTS)
    checkpoints = {
        (seed, name): plan.checkpoint(seed, VARIANTS[name].method)
        for seed in dict.fromkeys(seeds)
        for name in dict.fromkeys(variants)
    }
    backbone, size = _network_of(checkpoints)
    folder = Path(out)
    described = plan.described(backbone, size)
    dataset, photos = plan.dataset(), plan.photos()
    dataset.require_masks("boundaries")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WsolbenchError(
            folder, found=f"{error.strerror}", expected="a folder", cure="name another --out"
        ) from error
    agree_on_plan(folder / "edges-plan.json", described, read_edge_plan)
    canny = folder / "canny"
    canny.mkdir(exist_ok=True)
    if not (canny / "test.h5").exists():
        with bars(CANNY, "photo") as progress:
            predict_canny(dataset, canny / "test.h5", resume=True, progress=progress)
    _score(canny / "test.h5", dataset, bars, CANNY)
    for title, submission in plan.also.items():
        place = folder / "also" / title
        place.mkdir(parents=True, exist_ok=True)
        _score(submission, dataset, bars, title, place / "test.json")
    for (seed, name), classifier in checkpoints.items():
        variant, place = VARIANTS[name], folder / f"seed-{seed}" / name
        title = f"{variant.title}, seed {seed}"
        if counts_path(place / "test.json").exists() and (place / "test.json").exists():
            _require_classifier(place / "test.json", classifier)
            say(f"{title}: done before")
            continue
        place.mkdir(parents=True, exist_ok=True)
        target = place / "test.h5"
        if variant.loss:
            detector = place / "detector.pt"
            trained = train_edges(
                photos,
                classifier,
                detector,
                settings={**plan.settings, "maps": variant.maps, "loss": variant.loss},
                recipe={**plan.recipe, "seed": seed},
                pseudo=plan.pseudo,
                device=device,
                workers=workers,
                resume=True,
                bars=_titled(bars, title),
            )
            for note in trained.notes:
                say(f"{title}: {note}")
            if not target.exists():
                with bars(f"edges, {title}", "photo") as progress:
                    predict_edges(
                        detector, dataset, target, device=device, resume=True, progress=progress
                    )
        elif not target.exists():
            own = edge_settings_for(backbone, plan.settings)
            with bars(f"edges, {title}", "photo") as progress:
                predict_reference(
                    variant.kind,
                    classifier,
                    dataset,
                    target,
                    maps=variant.maps,
                    seeds=own.seeds,
                    size=edge_recipe_for(backbone, plan.recipe, size).size,
                    pseudo=plan.pseudo,
                    device=device,
                    resume=True,
                    progress=progress,
                )
        result = _score(target, dataset, bars, title)
        shown = ", ".join(
            f"{SCORES[key].title} {SCORES[key].text(result.scores[key], 1)}" for key in KEYS
        )
        say(f"{title}: {shown}")


def _require_classifier(result: Path, classifier: Path) -> None:
    """Refuse a result that was made with another classifier than the one named now."""
    if read_result(result).method.get("weights_sha256") != sha256_of(classifier):
        raise WsolbenchError(
            result,
            found="a result of another classifier",
            expected=f"one of {classifier} as it is now",
            cure="name the classifiers of before (--classifiers), or another folder (--out)",
        )


def _network_of(checkpoints: Mapping[tuple[int, str], Path]) -> tuple[str, int]:
    """Backbone and size of photos of all classifiers, each of the method and seed of its place."""
    found: dict[Path, tuple[str, int]] = {}
    for (seed, name), path in checkpoints.items():
        if path in found:
            continue
        read = read_checkpoint(path)
        own = (read.method, read.recipe.get("seed"))
        if own != (VARIANTS[name].method, seed):
            raise WsolbenchError(
                path,
                found=f"a classifier of {own[0]}, seed {own[1]}",
                expected=f"{VARIANTS[name].method}, seed {seed}, as its place says",
                cure="name the folder of a study (--classifiers)",
            )
        if not read.finished:
            raise WsolbenchError(
                path,
                found="an unfinished training",
                expected="a classifier that is trained to its end",
                cure="run its study again, which continues it",
            )
        found[path] = (read.backbone, int(read.recipe["size"]))
    networks = sorted(set(found.values()))
    if len(networks) > 1:
        listed = ", ".join(f"{backbone} on photos of {size}" for backbone, size in networks)
        raise WsolbenchError(
            "classifiers",
            found=listed,
            expected="one backbone and size",
            cure="name the folder of one study (--classifiers)",
        )
    return networks[0]


def _titled(bars: Bars, title: str) -> Bars:
    """The same bars with more in their titles."""
    return lambda stage, unit: bars(f"{stage}, {title}", unit)


def read_edge_plan(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """The plan of a study's folder.

    Raises:
        WsolbenchError: there is none, or it is damaged.
    """
    path = require_file(
        Path(folder) / "edges-plan.json",
        "the plan of a study of boundaries",
        "name the folder that `wsolbench study edges` wrote (--out)",
    )
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise WsolbenchError(path, found="no JSON", cure="run the study again") from error
    known = isinstance(content, dict) and content.get("format") == FORMAT
    if not known or content.get("format_version") != FORMAT_VERSION:
        raise WsolbenchError(
            path,
            found="no plan of a study of boundaries, or one of another version",
            expected=f"{FORMAT} version {FORMAT_VERSION}",
            cure="name the folder that `wsolbench study edges` wrote (--out)",
        )
    return dict(content)


def _score(
    submission: Path, dataset: Dataset, bars: Bars, title: str, place: Path | None = None
) -> Result:
    """The result of a submission, made if it is not there."""
    path = submission.with_suffix(".json") if place is None else place
    if path.exists() and counts_path(path).exists():
        found = read_result(path)
        if found.submission_sha256 != sha256_of(submission):
            raise WsolbenchError(
                path,
                found=f"the result of another submission than {submission}",
                expected="that of the submission as it is now",
                cure="delete the result and run the study again",
            )
        return found
    request = Request(submission, dataset, metrics=("boundary",), counts=True)
    outcome = evaluate_files(request, lambda _, unit: bars(f"scores, {title}", unit))
    write_counts(counts_path(path), outcome.counts[0])
    outcome.results[0].write(path)
    return outcome.results[0]
