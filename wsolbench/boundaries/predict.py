"""Edges of the photos of a data set, in submissions: of a boundary detector, or of what it is
compared with.

`predict_edges` writes what a trained detector predicts, with the localization map that it saw.
`predict_reference` writes edges that need no detector: Canny's, the gradient of a classifier's
localization map, or the pseudo-boundary itself.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .. import __version__
from ..baselines.backbones import ClassMapModel
from ..baselines.checkpoints import model_of, read_checkpoint
from ..baselines.class_map import (
    ClassMap,
    ClassMapSource,
    join_classes,
    known_classes,
    mapped_images,
    unlisted_note,
)
from ..baselines.devices import device_named
from ..baselines.predict import (
    fingerprint,
    probe,
    ready,
    require_classes,
    seen_note,
    top_classes,
)
from ..baselines.reading import Photos, batches_of
from ..baselines.settings import as_values
from ..data.dataset import Dataset
from ..errors import require_choice, some
from ..evaluation.notes import class_notes
from ..files import sha256_of
from ..formats.submission.reader import Submission
from ..formats.submission.rules import SubmissionHeader
from ..formats.submission.writer import SubmissionWriter
from ..images import turned_note
from ..maps.storage import STORED_AS, stored
from ..progress import Progress
from .detector import EdgeDetector, Outputs, load_detector, outputs_of
from .pseudo import pseudo_boundary
from .pseudo_settings import PseudoSettings
from .settings import EdgeSettings, edge_recipe_for, edge_settings_for, pseudo_settings_from
from .trivial import CANNY_THRESHOLDS, canny_edges, map_gradient

__all__ = ["REFERENCES", "EdgesPredicted", "predict_canny", "predict_edges", "predict_reference"]

PAPER = (
    "Zhang et al., Rethinking Localization Map: Towards Accurate Object Perception with "
    "Self-Enhancement Maps, 2020"
)

REFERENCES = ("map-gradient", "pseudo")
"""Edges that a classifier gives without a detector."""

_NORMALISATION = "min-max of each map at feature size, a constant map is zero"


@dataclass(frozen=True)
class EdgesPredicted:
    """What a prediction did.

    Attributes:
        dataset: the images that have edges.
        notes: what a reader should know.
    """

    dataset: Dataset
    notes: tuple[str, ...] = ()


def predict_edges(
    checkpoint: str | os.PathLike[str],
    dataset: Dataset,
    out: str | os.PathLike[str],
    *,
    label: str = "gt",
    class_map: ClassMapSource | None = None,
    batch_size: int = 32,
    workers: int = 0,
    device: str = "auto",
    map_dtype: str = "uint8",
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
    metadata: Mapping[str, object] | None = None,
) -> EdgesPredicted:
    """Write the edges that a boundary detector predicts, and the localization maps that it saw.

    Args:
        checkpoint: of `train_edges`.
        dataset: one split, opened with its folder of photos.
        out: the submission, written atomically: `maps` at feature size, `edges` at the grid.
        label: "gt" for the map of the annotated class, "predicted" for that of the highest logit.
        class_map: as in `baselines.predict.predict`.
        batch_size: number of photos per batch.
        workers: number of processes that read photos; 0 reads them in this process.
        device: "cpu", "cuda", "cuda:1", "mps", or "auto".
        map_dtype: "uint8", "float16" or "float32", of maps and edges.
        resume: resume an unfinished run.
        overwrite: discard an unfinished run and start again.
        progress: called with (photos done, photos).
        metadata: fields added to the submission's `method`, or replacing its name, paper, ...

    Raises:
        WsolbenchError: no boundary detector; classes of annotations and classifier that do not
            agree; a photo that is missing, damaged or of another size.
    """
    require_choice("map_dtype", map_dtype, STORED_AS)
    detector = load_detector(checkpoint)
    where = device_named(device)
    size = detector.size
    run = _Run(detector.model, dataset, label, class_map, size, where)
    with run.opened(detector.head):
        header = run.header(_of_detector(detector, metadata or {}, run), map_dtype)
        inputs = {"detector": detector.sha256, "network": fingerprint(detector.model.module)}

        def of_batch(
            outputs: Outputs, rows: Sequence[int]
        ) -> tuple[list[NDArray[Any]], list[NDArray[Any]]]:
            edges = detector.edges(outputs).cpu().numpy()
            return (
                [stored(own, map_dtype) for own in outputs.maps.cpu().numpy()],
                [_stored_edges(own, map_dtype) for own in edges],
            )

        predicted = run.write(
            out,
            header,
            inputs,
            (detector.settings, detector.places),
            of_batch,
            batch_size=batch_size,
            workers=workers,
            resume=resume,
            overwrite=overwrite,
            progress=progress,
        )
    made = detector.checkpoint
    if made.finished:
        return predicted
    unfinished = (
        f"{checkpoint}: its training is unfinished, {made.epoch} of {made.recipe['epochs']} "
        "epochs; continue it with wsolbench train edges --resume"
    )
    return EdgesPredicted(predicted.dataset, (unfinished, *predicted.notes))


def predict_reference(
    kind: str,
    classifier: str | os.PathLike[str],
    dataset: Dataset,
    out: str | os.PathLike[str],
    *,
    maps: str = "sem",
    seeds: float | None = None,
    size: int | None = None,
    pseudo: Mapping[str, Any] | None = None,
    label: str = "gt",
    class_map: ClassMapSource | None = None,
    batch_size: int = 32,
    workers: int = 0,
    device: str = "auto",
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
    metadata: Mapping[str, object] | None = None,
) -> EdgesPredicted:
    """Write the gradient of a classifier's localization maps, or its pseudo-boundaries, as edges.

    Edges have the photos' sizes and are stored in uint8; pseudo-boundaries are 0 or 1.

    Args:
        kind: one of `REFERENCES`.
        classifier: a checkpoint of `wsolbench train METHOD`.
        dataset: one split, opened with its folder of photos.
        out: the submission, written atomically, with the maps too.
        maps: "sem" or "cam".
        seeds: SEM's K as a fraction; None for the default of `EdgeSettings`.
        size: side in pixels to which photos are resized; None for that of the classifier's
            training.
        pseudo: fields of `PseudoSettings`, for pseudo-boundaries.
        label: as in `predict_edges`.
        class_map: as there.
        batch_size: as there.
        workers: as there.
        device: as there.
        resume: as there.
        overwrite: as there.
        progress: as there.
        metadata: as there.

    Raises:
        WsolbenchError: as there, or an option is out of range.
    """
    require_choice("kind", kind, REFERENCES)
    source = Path(classifier)
    read = read_checkpoint(source)
    model = model_of(read, source, sha256_of(source))
    given: dict[str, Any] = {"maps": maps} | ({} if seeds is None else {"seeds": seeds})
    settings = edge_settings_for(read.backbone, given)
    given_size = {} if size is None else {"size": size}
    recipe = edge_recipe_for(read.backbone, given_size, int(read.recipe["size"]))
    drawn = pseudo_settings_from(pseudo or {})
    where = device_named(device)
    run = _Run(model, dataset, label, class_map, recipe.size, where)
    with run.opened():
        header = run.header(
            _of_reference(kind, model, settings, drawn, run, metadata or {}), "uint8"
        )
        inputs = {"network": fingerprint(model.module)}

        def of_batch(
            outputs: Outputs, rows: Sequence[int]
        ) -> tuple[list[NDArray[Any]], list[NDArray[Any]]]:
            planes = outputs.maps.cpu().numpy()
            edges = []
            for row, map_ in zip(rows, planes, strict=True):
                photo = np.asarray(run.dataset.read_photo(row)[0].convert("RGB"))
                if kind == "pseudo":
                    edges.append(pseudo_boundary(map_, photo, drawn).astype(np.uint8) * 255)
                else:
                    edges.append(_stored_edges(map_gradient(map_, *photo.shape[:2]), "uint8"))
            return [stored(own, "uint8") for own in planes], edges

        return run.write(
            out,
            header,
            inputs,
            (settings, ()),
            of_batch,
            batch_size=batch_size,
            workers=workers,
            resume=resume,
            overwrite=overwrite,
            progress=progress,
        )


def predict_canny(
    dataset: Dataset,
    out: str | os.PathLike[str],
    *,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
    metadata: Mapping[str, object] | None = None,
) -> EdgesPredicted:
    """Write Canny's edges of the photos as a submission of edges alone (see `canny_edges`).

    Args:
        dataset: one split, opened with its folder of photos.
        out: the submission, written atomically.
        resume: resume an unfinished run.
        overwrite: discard an unfinished run and start again.
        progress: called with (photos done, photos).
        metadata: fields added to the submission's `method`, or replacing its name, paper, ...

    Raises:
        WsolbenchError: a photo is missing, damaged or of another size; no OpenCV.
    """
    method: dict[str, object] = {
        "name": "Canny",
        "paper": "Canny, A Computational Approach to Edge Detection, TPAMI 1986",
        "code": f"wsolbench {__version__}",
        "class_agnostic": True,
        "parameters": {"thresholds": ", ".join(map(str, CANNY_THRESHOLDS))},
    }
    header = SubmissionHeader(
        dataset=dataset.name,
        split=dataset.split,
        label="gt",
        normalisation="none: the share of thresholds at which a pixel is an edge",
        method={**method, **(metadata or {})},
    )
    inputs = {
        "annotations": dataset.store.content_sha256,
        "photos": str(dataset.images and dataset.images.resolve()),
    }
    turned = 0
    with SubmissionWriter(out, header, resume=resume, overwrite=overwrite, inputs=inputs) as writer:
        for row, name in enumerate(dataset.image_ids):
            if name not in writer.written:
                picture, orientation = dataset.read_photo(row)
                turned += orientation > 1
                photo = np.asarray(picture.convert("RGB"))
                edges = _stored_edges(canny_edges(photo), "uint8")
                writer.append([name], None, edges=[edges])
            if progress is not None:
                progress(row + 1, len(dataset))
    return EdgesPredicted(dataset, (turned_note(turned, dataset.exif),) if turned else ())


def _stored_edges(edges: NDArray[np.float32], dtype: str) -> NDArray[Any]:
    """Probabilities as they are stored; bytes are rounded to the nearest, as they are scored."""
    if dtype == "uint8":
        return np.asarray(np.floor(edges * np.float32(255) + np.float32(0.5)), np.uint8)
    return np.asarray(edges, dtype)


_Made = tuple[list[NDArray[Any]], list[NDArray[Any]]]


class _Run:
    """A prediction over the photos of a split by a classifier."""

    def __init__(
        self,
        model: ClassMapModel,
        dataset: Dataset,
        label: str,
        class_map: ClassMapSource | None,
        size: int,
        where: torch.device,
    ) -> None:
        require_choice("label", label, ("gt", "predicted"))
        self.model = model
        self.label = label
        self.size = size
        self.where = where
        if label == "gt":
            require_classes(dataset)
        with ready(model.module, where):
            classes, _, _ = probe(model, size, where)
        source = known_classes(dataset.store, model.classes) if class_map is None else class_map
        self.joined: ClassMap = join_classes(dataset.store, classes, model.name, source)
        self.dataset = mapped_images(dataset, self.joined, skip=False)

    def opened(self, *more: torch.nn.Module) -> ExitStack:
        """A block in which all modules are on the device and in evaluation mode."""
        stack = ExitStack()
        for module in (self.model.module, *more):
            stack.enter_context(ready(module, self.where))
        return stack

    def header(self, method: Mapping[str, object], map_dtype: str) -> SubmissionHeader:
        """What the submission states."""
        return SubmissionHeader(
            dataset=self.dataset.name,
            split=self.dataset.split,
            label=self.label,
            normalisation=f"{_NORMALISATION}; {STORED_AS[map_dtype]}",
            method=method,
        )

    def chosen(self, rows: Sequence[int]) -> Callable[[Tensor], Tensor]:
        """The class of each photo, from its logits."""
        labels = self.dataset.class_indices[list(rows)] if self.label == "gt" else None

        def choose(logits: Tensor) -> Tensor:
            if labels is None:
                return torch.argsort(logits.float(), dim=1, descending=True, stable=True)[:, 0]
            best = self.joined.best(labels, logits.float().cpu().numpy())
            return torch.from_numpy(best).to(logits.device)

        return choose

    def write(
        self,
        out: str | os.PathLike[str],
        header: SubmissionHeader,
        inputs: Mapping[str, str],
        how: tuple[EdgeSettings, tuple[str, ...]],
        of_batch: Callable[[Outputs, Sequence[int]], _Made],
        *,
        batch_size: int,
        workers: int,
        resume: bool,
        overwrite: bool,
        progress: Progress | None,
    ) -> EdgesPredicted:
        """Run all photos and write their maps and edges."""
        dataset, turned = self.dataset, 0
        stated = {
            **inputs,
            "annotations": dataset.store.content_sha256,
            "photos": str(dataset.images and dataset.images.resolve()),
        }
        with SubmissionWriter(
            out, header, resume=resume, overwrite=overwrite, inputs=stated
        ) as writer:
            pending = [
                row for row, name in enumerate(dataset.image_ids) if name not in writer.written
            ]
            done = len(dataset) - len(pending)
            if progress is not None:
                progress(done, len(dataset))
            for rows, images, in_batch in self._batches(pending, batch_size, workers):
                turned += in_batch
                outputs = outputs_of(self.model, images.to(self.where), self.chosen(rows), *how)
                maps, edges = of_batch(outputs, rows)
                names = [dataset.image_ids[row] for row in rows]
                top5 = top_classes(outputs.logits, self.joined)
                writer.append(names, maps, top5=top5, edges=edges)
                done += len(rows)
                if progress is not None:
                    progress(done, len(dataset))
        with Submission.open(out) as written:
            notes = class_notes(dataset, written)
        notes = (
            *seen_note(self.model, dataset),
            *unlisted_note(dataset.store, self.joined),
            *notes,
        )
        if self.joined.ignored:
            ignored = some(self.joined.ignored)
            notes = (f"{self.joined.name}: not in the annotations and ignored: {ignored}", *notes)
        if turned:
            notes = (turned_note(turned, dataset.exif), *notes)
        return EdgesPredicted(dataset, notes)

    def _batches(
        self, pending: Sequence[int], batch_size: int, workers: int
    ) -> Iterator[tuple[list[int], Tensor, int]]:
        photos = Photos(self.dataset, pending, self.model.preprocess, self.size)
        return batches_of(photos, batch_size, workers, self.where)


_MAPS = {"sem": "SEM", "cam": "CAM"}
_LOSSES = {"hns": "HNS", "vanilla": "vanilla"}


def _of_detector(
    detector: EdgeDetector, metadata: Mapping[str, object], run: _Run
) -> dict[str, object]:
    """The `method` of a submission of a detector."""
    own, made = detector.settings, detector.checkpoint
    title = str(detector.model.provenance.get("trained_method", ""))
    of = "" if title in ("", "CAM") else f" ({title})"
    training = {name: value for name, value in made.recipe.items() if name != "seed"}
    unfinished = {} if made.finished else {"unfinished": f"{made.epoch} epochs"}
    described = {
        "name": f"{_MAPS[own.maps]}-{_LOSSES[own.loss]}{of}",
        "parameters": {
            **run.joined.described(),
            "size": run.size,
            **_stated(own),
            "edge_training": {**training, **unfinished},
            "pseudo_boundaries": dict(made.pseudo),
        },
        "edge_weights": detector.name,
        "edge_weights_sha256": detector.sha256,
        "seed": int(made.recipe["seed"]),
    }
    return {**_described(detector.model), **described, **metadata}


def _stated(settings: EdgeSettings) -> dict[str, object]:
    """The settings as they are recorded: maps that are the classifier's own have no seeds."""
    without = () if settings.maps == "sem" else ("seeds",)
    return {name: own for name, own in as_values(settings).items() if name not in without}


def _of_reference(
    kind: str,
    model: ClassMapModel,
    settings: EdgeSettings,
    pseudo: PseudoSettings,
    run: _Run,
    metadata: Mapping[str, object],
) -> dict[str, object]:
    """The `method` of a submission of edges without detector."""
    maps = _MAPS[settings.maps]
    title = str(model.provenance.get("trained_method", ""))
    of = "" if title in ("", "CAM") else f" ({title})"
    parameters: dict[str, object] = {
        **run.joined.described(),
        "size": run.size,
        **{name: own for name, own in _stated(settings).items() if name in ("maps", "seeds")},
    }
    if kind == "pseudo":
        parameters["pseudo_boundaries"] = as_values(pseudo)
    word = "gradient" if kind == "map-gradient" else "pseudo-boundaries"
    own = {"name": f"{maps} {word}{of}", "parameters": parameters}
    described = _described(model)
    if "training_seed" in model.provenance:
        described["seed"] = model.provenance["training_seed"]
    return {**described, **own, **metadata}


def _described(model: ClassMapModel) -> dict[str, object]:
    kept = {
        name: value
        for name, value in model.provenance.items()
        if name not in ("training_seed", "trained_paper")
    }
    return {
        "backbone": model.name,
        "paper": PAPER,
        "code": f"wsolbench {__version__}",
        **kept,
    }
