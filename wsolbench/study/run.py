"""Running a study: train each method with each seed, predict all maps, evaluate them.

Each step is skipped whose files are there, and an interrupted training or prediction continues, so
that the same command may be given again, with more seeds or methods too.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch

from ..baselines.backbones import ClassMapModel, feature_layers, known_backbone
from ..baselines.checkpoints import input_of, load_checkpoint
from ..baselines.class_map import join_classes, known_classes, mapped_images
from ..baselines.networks import build_network
from ..baselines.predict import MapKind, predict, probe, require_classes
from ..baselines.sem import seed_count
from ..baselines.settings import METHODS, recipe_for
from ..baselines.train import train
from ..baselines.training_data import LabelledPhotos, labelled_folder, labelled_split
from ..baselines.trivial import predict_trivial
from ..data.dataset import Dataset
from ..errors import WsolbenchError, require_choice, require_type
from ..evaluation.checks import lacking
from ..evaluation.counts import counts_path, write_counts
from ..evaluation.run import Request
from ..evaluation.run import run as evaluate_files
from ..files import together
from ..formats.result import Result, read_result
from ..progress import Progress
from .plan import FEAT5, OWN, SPLITS, TRIVIAL, Maps, Plan, agree_on_plan, read_plan

__all__ = ["run_study"]

Bars = Callable[[str, str], AbstractContextManager[Progress | None]]


@dataclass(frozen=True)
class _Options:
    """What changes no result."""

    device: str
    workers: int
    bars: Bars
    say: Callable[[str], None]


def run_study(
    plan: Plan,
    out: str | os.PathLike[str],
    *,
    seeds: Sequence[int] = (0,),
    methods: Sequence[str] = tuple(METHODS),
    device: str = "auto",
    workers: int = 2,
    bars: Bars = lambda title, unit: nullcontext(),
    say: Callable[[str], None] = lambda line: None,
) -> None:
    """Train, predict and evaluate what a plan says, as far as it is not done.

    Args:
        plan: what to compare.
        out: the study's folder, created if necessary (see `plan`).
        seeds: of training.
        methods: keys of `settings.METHODS`.
        device: "cpu", "cuda", "mps" or "auto".
        workers: number of processes that read photos in training.
        bars: makes a progress bar from a title and a unit.
        say: called with a line after each step.

    Raises:
        WsolbenchError: the folder holds a study with another plan; splits share images; or as
            `train`, `predict` and `evaluate` raise.
    """
    require_type("plan", plan, (Plan,), "a Plan")
    known_backbone(plan.backbone)
    for method in methods:
        require_choice("method", method, METHODS)
    folder = Path(out)
    described = plan.described()
    data = {part: plan.dataset(part) for part in SPLITS}
    photos = _training_photos(plan)
    _require_apart(plan, data)
    _require_maps(plan, data, photos)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WsolbenchError(
            folder, found=f"{error.strerror}", expected="a folder", cure="name another --out"
        ) from error
    trained_on = {"photos": len(photos), "sha256": photos.sha256}
    agree_on_plan(folder / "plan.json", {**described, "trained_on": trained_on}, read_plan)
    options = _Options(device, workers, bars, say)
    for name in TRIVIAL:
        _run_trivial(folder / "trivial" / name, name, data, options)
    for seed in dict.fromkeys(seeds):
        for method in dict.fromkeys(methods):
            _run_method(plan, folder / f"seed-{seed}" / method, method, seed, photos, data, options)


def _training_photos(plan: Plan) -> LabelledPhotos:
    if isinstance(plan.train, Path):
        return labelled_folder(plan.train)
    return labelled_split(Dataset.open(plan.annotations, plan.train, plan.images, exif=plan.exif))


def _require_apart(plan: Plan, data: dict[str, Dataset]) -> None:
    """Refuse a folder of classes with photos that are evaluated; splits of a file share none."""
    if not isinstance(plan.train, Path):
        return
    stems = {path.stem for path in plan.train.rglob("*") if path.is_file()}
    shared = sorted(stems & {Path(name).stem for own in data.values() for name in own.image_ids})
    if shared:
        raise WsolbenchError(
            plan.train,
            found=f"{len(shared)} photos of val and test by their names, e.g. {shared[0]}",
            expected="other photos than those that are evaluated",
            cure="leave them out of the folder",
        )


def _require_maps(plan: Plan, data: dict[str, Dataset], photos: LabelledPhotos) -> None:
    """Refuse, before anything is trained, what predictions and intervals would refuse."""
    for own in data.values():
        for kind, count in lacking(own).items():
            raise WsolbenchError(
                own.title,
                found=f"no {kind} for {count} of {len(own)} images",
                expected="a mask, a box and a class for each image, which a study scores",
                cure="import them, or name a split without these images",
            )
        require_classes(own)
        if len(own) < 2:
            raise WsolbenchError(
                own.title,
                found="one image",
                expected="at least two, which a confidence interval needs",
                cure="name a split with more images",
            )
    name = known_backbone(plan.backbone)
    known = (*feature_layers(name), *FEAT5)
    for features in plan.depths:
        for own_name in features:
            require_choice("features", own_name, known)
    for own in data.values():
        source = known_classes(own.store, photos.classes)
        joined = join_classes(own.store, len(photos.classes), "the classifier", source)
        mapped_images(own, joined, skip=False)
    recipe = recipe_for(plan.backbone, plan.recipe)
    model = ClassMapModel(name, build_network(name, 2, seed=0).eval(), input_of(name))
    _, height, width = probe(model, recipe.size, torch.device("cpu"))
    for share in plan.shares:
        seed_count(share, height, width)


def _run_method(
    plan: Plan,
    folder: Path,
    method: str,
    seed: int,
    photos: LabelledPhotos,
    data: dict[str, Dataset],
    options: _Options,
) -> None:
    kinds = plan.kinds(method)
    files = [folder / part / f"{kind.stem}.json" for part in SPLITS for kind in kinds]
    title = f"{METHODS[method].title}, seed {seed}"
    if all(file.exists() and counts_path(file).exists() for file in files):
        options.say(f"{title}: done before")
        return
    folder.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    recipe = recipe_for(plan.backbone, {**plan.recipe, "seed": seed})
    with options.bars(f"train {title}", "photo") as progress:
        trained = train(
            photos,
            folder / "checkpoint.pt",
            method=method,
            backbone=plan.backbone,
            trunk_weights=plan.trunk_weights,
            weights_key=plan.weights_key,
            preprocessing=plan.preprocessing,
            settings=plan.settings.get(method, {}),
            recipe=recipe,
            device=options.device,
            workers=options.workers,
            resume=True,
            progress=progress,
        )
    last = trained.rows[-1] if trained.rows else None
    seen = f"loss {last.loss:.3f}, accuracy {last.accuracy:.1%}" if last else "from before"
    options.say(f"{title}: trained, {seen}, {time.monotonic() - began:.0f} s")
    began = time.monotonic()
    model = load_checkpoint(folder / "checkpoint.pt")
    thresholds: dict[Maps, Result] = {}
    scores: dict[Maps, float] = {}
    for part in SPLITS:
        place = folder / part
        place.mkdir(exist_ok=True)
        missing = [kind for kind in kinds if not (place / f"{kind.stem}.h5").exists()]
        if missing:
            outs = {_map_kind(kind): place / f"{kind.stem}.h5" for kind in missing}
            with options.bars(f"maps of {part}, {title}", "photo") as progress:
                predict(
                    model,
                    data[part],
                    outs,
                    device=options.device,
                    resume=True,
                    progress=progress,
                )
        with options.bars(f"scores of {part}, {title}", "kind") as progress:
            for done, kind in enumerate(kinds, start=1):
                chosen = None if part == "val" else thresholds[kind]
                result = _evaluated(place / f"{kind.stem}.h5", data[part], chosen)
                if part == "val":
                    thresholds[kind] = result
                    scores[kind] = result.scores["peak_iou"]
                if progress is not None:
                    progress(done, len(kinds))
    best = max((kind for kind in kinds if kind != OWN), key=lambda kind: scores[kind])
    options.say(
        f"{title}: {2 * len(kinds)} submissions scored, Peak-IoU on val {100 * scores[OWN]:.1f}, "
        f"best with SEM {100 * scores[best]:.1f} ({best.stem}), {time.monotonic() - began:.0f} s"
    )


def _map_kind(kind: Maps) -> MapKind:
    if kind.seeds is None:
        return MapKind("cam")
    return MapKind("sem", kind.seeds, kind.features)


def _run_trivial(folder: Path, name: str, data: dict[str, Dataset], options: _Options) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    chosen: Result | None = None
    for part in SPLITS:
        maps = folder / f"{part}.h5"
        if not maps.exists():
            predict_trivial(data[part], maps, name, resume=True)
        chosen = _evaluated(maps, data[part], chosen)


def _evaluated(maps: Path, dataset: Dataset, chosen: Result | None) -> Result:
    """The result beside a submission, made if it is not there."""
    path = maps.with_suffix(".json")
    if path.exists() and counts_path(path).exists():
        return read_result(path)
    outcome = evaluate_files(Request(maps, dataset, threshold=chosen, counts=True))
    with together():
        write_counts(counts_path(path), outcome.counts[0])
        outcome.results[0].write(path)
    return outcome.results[0]
