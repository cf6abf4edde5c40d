"""Which explainer points best at the object, on one's own network and photos: `explain`.

One pass of the network gives the maps of all methods; each is scored under protocol `sem` by pixels
and explanation scores, with all methods on the same images; the verdict is that of `compare`.

A folder is written:

    annotations.h5    the masks of the photos
    maps/NAME.h5      a submission for each method
    results/NAME.json a result for each method, with its counts
    comparison.json   scores, paired differences and verdicts
    scores.csv        the table of scores
    images.csv        IoU, pointing game and class of each image and method
    index.html        the page, with all pictures inside
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from ..baselines.any_networks import has_cam
from ..baselines.backbones import ClassMapModel
from ..baselines.class_map import ClassMapSource
from ..baselines.devices import device_named
from ..baselines.explainers import require_explainer
from ..baselines.map_kinds import METHODS, MapKind
from ..baselines.predict import predict, probe, ready
from ..baselines.trivial import TRIVIAL, predict_trivial
from ..data.dataset import Dataset
from ..errors import WsolbenchError, printable, require_choice, require_items
from ..evaluation.comparison import compare
from ..evaluation.counts import counts_path, write_counts
from ..evaluation.notes import FEW_IMAGES
from ..evaluation.run import Request, run
from ..evaluation.verdict import Verdict, judge, verdict_warnings
from ..files import require_target, write_all, write_text
from ..formats.annotations import write_store
from ..formats.result import Bootstrap, Result
from ..progress import Progress
from ..scores import SCORES, in_order
from ..tables import csv_text
from .folder import ANNOTATIONS, check_folder, map_path, prepared, remove_earlier, result_path
from .page import write_page
from .truth import SPLIT, labelled, read_names, read_truth, require_labels
from .words import of_network

__all__ = ["CHANNELS", "PREDICTED", "SEEDS", "Explained", "explain"]

PathLike = str | os.PathLike[str]
Bars = Callable[[str, str], AbstractContextManager[Progress | None]]

PREDICTED, ANNOTATED = "predicted", "annotated"
"""Whose class is explained: the network's prediction, or the annotated class."""

SEEDS = 0.1
"""Seeds of SEM, as a fraction of the positions."""

CHANNELS = 64
"""Channels that Score-CAM scores unless told otherwise, so that 50 photos take minutes."""

ALL = "all"
"""In place of their number: all channels."""

RESAMPLES = 10_000
"""Resamples of the photos: enough to decide some of a few hundred comparisons after correction."""

BASELINE = "trivial:"
"""Before the name of a baseline that sees no photo."""

METRICS = ("pixel", "box", "explain")
"""The metric families that are scored."""

_BATCH = 16
_FEW = 64  # photos for which starting processes that read them is not worth it


@dataclass(frozen=True)
class Explained:
    """What `explain` did.

    Attributes:
        dataset: the images.
        names: the methods as they were given.
        results: one a method.
        images: the per-image tables, one a method.
        verdict: who is ahead; of a single method none.
        notes: what a reader of the numbers should know.

    Examples:
        >>> from wsolbench.mini.classifier import load
        >>> drawn = wsolbench.Bootstrap(100)
        >>> done = wsolbench.explain(
        ...     load(), "demo/images", "demo/mini.h5", "out", ["cam"], limit=4, bootstrap=drawn
        ... )
        >>> done.names, done.results[0].images, len(done.images[0]["pointing_game"])
        (('cam',), 4, 4)
    """

    dataset: Dataset
    names: tuple[str, ...]
    results: tuple[Result, ...]
    images: tuple[Mapping[str, Sequence[Any]], ...]
    verdict: Verdict | None
    notes: tuple[str, ...]


def explain(
    model: ClassMapModel,
    images: PathLike,
    masks: PathLike,
    out: PathLike,
    methods: Sequence[str],
    *,
    classes: PathLike = PREDICTED,
    class_map: ClassMapSource | None = None,
    class_names: PathLike | None = None,
    size: int | None = None,
    limit: int | None = None,
    seeds: int | float = SEEDS,
    start: str | None = None,
    layer: str | None = None,
    channels: int | str | None = None,
    dataset: str | None = None,
    exif: str = "ignore",
    bootstrap: Bootstrap | None = None,
    device: str = "auto",
    jobs: int | None = None,
    resume: bool = False,
    overwrite: bool = False,
    bars: Bars = lambda title, unit: nullcontext(),
) -> Explained:
    """Make, score and compare the maps of several methods, and write them with a page.

    Args:
        model: the network.
        images: the folder of photos.
        masks: see `truth.read_truth`.
        out: the folder to write; what is in it under other names stays (see `folder`).
        methods: "cam", "sem", explainers (`predict list`), "MODULE:FUNCTION", and beside any of
            these "trivial:NAME", a baseline that sees no photo.
        classes: "predicted", "annotated" (joined by `class_map`), or a table (`truth.labelled`).
        class_map: see `predict`; of annotated classes.
        class_names: names of the network's outputs for the page, a text file with one a line; None
            for those that the model states.
        size: side of the photos for the network; None for the model's own.
        limit: so many images, evenly spread.
        seeds: of "sem".
        start: the method from whose map "sem" starts; None for "cam", or without class maps the
            first explainer in `methods`.
        layer: see `predict`.
        channels: channels that "scorecam" scores, or "all"; None for `CHANNELS`.
        dataset: the data set's name in every file; None for the name of the masks' folder or file.
        exif: "ignore" keeps the pixels of photos in their stored order, "apply" turns them upright.
        bootstrap: how intervals are drawn; None for `RESAMPLES`.
        device: see `predict`.
        jobs: threads for scoring.
        resume: continue unfinished maps.
        overwrite: replace the run that is in the folder, finished or not, once methods, masks and
            photos have been checked and one photo has been explained by each method.
        bars: makes a progress bar from a title and a unit.

    Raises:
        WsolbenchError: a method is unknown or given twice, or the model does not have what it
            needs; the folder holds another run; masks, photos or classes cannot be used; a file
            cannot be written.

    Examples:
        >>> from wsolbench.mini.classifier import load
        >>> drawn = wsolbench.Bootstrap(100)
        >>> photos, masks = "demo/images", "demo/mini.h5"
        >>> done = wsolbench.explain(
        ...     load(), photos, masks, "out", ["cam", "sem"], limit=4, bootstrap=drawn
        ... )
        >>> done.names
        ('cam', 'sem')
    """
    folder = Path(out)
    if class_map is not None and classes != ANNOTATED:
        raise WsolbenchError(
            "--class-map (class_map=)",
            found=f"it beside classes {printable(str(classes))}",
            expected="it only for annotated classes",
            cure="leave it out: the classes are the network's own already",
        )
    if class_names is not None and classes == ANNOTATED:
        raise WsolbenchError(
            "--class-names (class_names=)",
            found="it beside classes annotated",
            expected="it only for classes of the network",
            cure="leave it out: the page names the classes of the annotations",
        )
    kinds = _kinds(model, methods, seeds, start, layer, channels)
    check_folder(folder, methods, resume=resume, overwrite=overwrite)
    outputs = tuple(name for _, name in model.classes)
    if class_names is not None:
        where = device_named(device)
        with ready(model.module, where):
            outputs = read_names(class_names, probe(model, size or model.size, where)[0])
    with prepared(folder):
        require_target(folder / ANNOTATIONS, [Path(masks)])
        with bars("masks", "image") as progress:
            content, notes = read_truth(
                masks,
                images,
                dataset=dataset,
                limit=limit,
                keep_classes=classes == ANNOTATED,
                exif=exif,
                progress=progress,
            )
        if classes == ANNOTATED:
            require_labels(content, masks)
        elif classes != PREDICTED:
            content, class_map = labelled(content, classes), "same"
        label = "predicted" if classes == PREDICTED else "gt"
        maps_of = partial(
            predict,
            model,
            size=size,
            label=label,
            class_map=class_map,
            batch_size=_BATCH,
            device=device,
        )
        if overwrite:
            with tempfile.TemporaryDirectory() as trial, prepared(Path(trial)):
                store = Path(trial) / ANNOTATIONS
                write_store(store, replace(content, annotations=content.annotations[:1]))
                photo = Dataset.open(store, SPLIT, images, exif=exif)
                maps_of(photo, {kinds[name]: map_path(Path(trial), name) for name in kinds})
            remove_earlier(folder, methods)
        write_store(folder / ANNOTATIONS, content)
        scenes = Dataset.open(folder / ANNOTATIONS, SPLIT, images, exif=exif)
        with bars("maps", "image") as progress:
            predicted = maps_of(
                scenes,
                {kinds[name]: map_path(folder, name) for name in kinds},
                workers=0 if len(scenes) <= _FEW else 2,
                resume=resume,
                overwrite=overwrite,
                progress=progress,
            )
        paths = [map_path(folder, name) for name in methods]
        for name, path in zip(methods, paths, strict=True):
            if name not in kinds:
                baseline = name.removeprefix(BASELINE)
                predict_trivial(scenes, path, baseline, label=label, overwrite=True)
        scored = []
        for path in paths:
            request = Request(path, scenes, metrics=METRICS, per_image=True, counts=True, jobs=jobs)
            scored.append(run(request, bars))
        results = tuple(own.results[0] for own in scored)
        verdict = None
        if len(scored) > 1:
            with bars("compare", "resample") as progress:
                counted = [own.counts[0] for own in scored]
                verdict = judge([compare(counted, bootstrap or Bootstrap(RESAMPLES, 0), progress)])
        told = [*notes, *_cautions(len(scenes), of_network(results)), *predicted.notes]
        told += verdict_warnings(verdict) if verdict else []
        done = Explained(
            scenes,
            tuple(methods),
            results,
            tuple(own.table for own in scored),
            verdict,
            tuple(dict.fromkeys(told)),
        )
        writes: dict[Path, Callable[[Path], None]] = {}
        for name, outcome in zip(methods, scored, strict=True):
            target = result_path(folder, name)
            writes[target] = outcome.results[0].write
            writes[counts_path(target)] = partial(write_counts, counts=outcome.counts[0])
        if verdict is not None:
            writes[folder / "comparison.json"] = partial(
                write_text, text=verdict.comparisons[0].to_json()
            )
        writes[folder / "scores.csv"] = partial(write_text, text=_scores_csv(done))
        writes[folder / "images.csv"] = partial(write_text, text=_images_csv(done))
        with bars("page", "image") as progress:
            writes[folder / "index.html"] = partial(
                write_page,
                dataset=scenes,
                submissions=paths,
                results=results,
                images=done.images,
                verdict=verdict,
                notes=done.notes,
                class_names=outputs,
                progress=progress,
            )
            write_all(writes)
        return done


def _cautions(images: int, result: Result) -> list[str]:
    """What makes the numbers less than they seem."""
    found = []
    if result.method.get("random_weights"):
        found.append("the network's weights are random, so that its maps mean nothing")
    if images < FEW_IMAGES:
        found.append(f"{images} photos: intervals are too narrow, and verdicts may be chance")
    return found


def _kinds(
    model: ClassMapModel,
    methods: Sequence[str],
    seeds: int | float,
    start: str | None,
    layer: str | None,
    channels: int | str | None,
) -> dict[str, MapKind]:
    """The kind of maps of each method of the network; the others are baselines."""
    require_items("methods", methods, (str,), "a list of names")
    if not methods or len(set(methods)) < len(methods):
        raise WsolbenchError(
            "methods",
            found="none" if not methods else f"one twice in {', '.join(methods)}",
            expected="one or more, each once",
            cure="name methods of `wsolbench predict list`",
        )
    for name in methods:
        if name.startswith(BASELINE):
            require_choice("baseline", name.removeprefix(BASELINE), TRIVIAL)
    baselines = [name for name in methods if name.startswith(BASELINE)]
    methods = [name for name in methods if name not in baselines]
    if not methods:
        raise WsolbenchError(
            "methods",
            found=f"none of the network, but {', '.join(baselines)}",
            expected="a baseline beside a method that explains",
            cure="add one of `wsolbench predict list`, or use predict and compare",
        )
    explainers = [name for name in methods if name not in METHODS]
    for name in explainers:
        require_explainer(name)
    if "sem" not in methods and (start is not None or seeds != SEEDS):
        raise WsolbenchError(
            "--seeds (seeds=)" if start is None else "--start (start=)",
            found=f"{seeds if start is None else start} for {', '.join(methods)}",
            expected="it only for sem",
            cure="leave it out, or add sem to the methods",
        )
    if start is None:
        start = "cam" if has_cam(model) or not explainers else explainers[0]
    kinds = {
        name: MapKind(name, seeds, start=start if name == "sem" else "cam") for name in methods
    }
    reads = {
        name: kind.source != "cam" and require_explainer(kind.source).reads_layer
        for name, kind in kinds.items()
    }
    if layer is not None and not any(reads.values()):
        raise WsolbenchError(
            "--layer (layer=)",
            found=f"{layer} for {', '.join(methods)}",
            expected="it only for methods that explain one layer",
            cure="leave it out",
        )
    if channels not in (None, ALL) and (type(channels) is not int or channels < 1):
        raise WsolbenchError(
            "--channels (channels=)",
            found=printable(str(channels)),
            expected="a number above 0, or all",
            cure="give one of these",
        )
    if channels is not None and all(kind.source != "scorecam" for kind in kinds.values()):
        raise WsolbenchError(
            "--channels (channels=)",
            found=f"{channels} for {', '.join(methods)}",
            expected="it only for scorecam",
            cure="leave it out, or add scorecam to the methods",
        )
    scored = CHANNELS if channels is None else channels
    return {
        name: replace(
            kind,
            layer=layer if reads[name] else None,
            channels=int(scored) if kind.source == "scorecam" and scored != ALL else None,
        )
        for name, kind in kinds.items()
    }


def _scores_csv(done: Explained) -> str:
    """A row for each score, a column for each method; fractions, with intervals."""
    comparison = done.verdict.comparisons[0] if done.verdict else None
    keys = in_order({key for own in done.results for key in own.scores if key in SCORES})
    head = ["score", "title"]
    for name in done.names:
        head += [name, *([f"{name} low", f"{name} high"] if comparison else [])]
    rows: list[list[object]] = []
    for key in keys:
        row: list[object] = [key, SCORES[key].title]
        for place, own in enumerate(done.results):
            row.append(own.scores.get(key))
            if comparison:
                row += (
                    comparison.intervals[key][place] if key in comparison.intervals else (None,) * 2
                )
        rows.append(row)
    return csv_text(head, rows) + "\n"


_IMAGE_COLUMNS = ("iou", "best_iou", "pointing_game", "relevance_mass", "roc_auc", "box_iou")


def _images_csv(done: Explained) -> str:
    """A row for each image and method."""
    rows = []
    for name, table in zip(done.names, done.images, strict=True):
        columns = [table.get(key, [None] * len(table["image_id"])) for key in _IMAGE_COLUMNS]
        for place, image_id in enumerate(table["image_id"]):
            rows.append([image_id, name, *(column[place] for column in columns)])
    rows.sort(key=lambda row: str(row[0]))
    return csv_text(["image_id", "method", *_IMAGE_COLUMNS], rows) + "\n"
