"""Predicting maps for the photos of a data set and writing them to submissions.

Each photo is read, preprocessed and classified once; its map (`cam` or `sem`) is normalised at
feature size, in one or several ways, and stored without upsampling. The protocol resizes it to the
photo when it is scored.

Conventions: photos in the data set's order; maps of the ground-truth class unless `label` is
"predicted"; no global setting of PyTorch is changed. With the same batch size, device and number of
threads, the same photos give the same bytes for any number of workers. Another batch size may round
floats differently, which can change a uint8 value by one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from ..data.dataset import Dataset
from ..errors import WsolbenchError, require_choice, require_type, some
from ..evaluation.notes import class_notes
from ..formats.submission.reader import Submission
from ..formats.submission.rules import NO_CLASS, SubmissionHeader
from ..formats.submission.writer import SubmissionWriter
from ..images import turned_note
from ..maps.normalisations import normalisation_named
from ..maps.storage import STORED_AS, stored
from .backbones import ClassMapModel
from .cam import class_channels
from .class_map import (
    ClassMap,
    ClassMapSource,
    join_classes,
    known_classes,
    mapped_images,
    unlisted_note,
)
from .devices import device_named
from .explainers import Explaining, explaining, without_parameter_gradients
from .map_kinds import (
    METHODS,
    OWN_FEATURES,
    MapKind,
    Out,
    described,
    kinds_of,
    normalisation_words,
    require_features,
    require_sources,
)
from .networks import recorded
from .outputs import model_input, not_finite, run_model
from .reading import Photos, batches_of, preprocessed
from .sem import PAPER_SEEDS, seed_count, seed_similarities
from .traced import TracedNetwork
from .user_models import fault_in_user_code
from .window import check_window, stated_windows

__all__ = [
    "METHODS",
    "OWN_FEATURES",
    "MapKind",
    "Predicted",
    "class_outputs",
    "fingerprint",
    "joined_features",
    "predict",
    "probe",
    "ready",
    "require_classes",
    "require_features",
    "seen_note",
    "top_classes",
]

TOP = 5
"""Number of predictions stored with each map."""


@dataclass(frozen=True)
class Predicted:
    """What `predict` did.

    Attributes:
        dataset: the images that have maps.
        notes: what a reader of the maps should know, e.g. that no image is classified correctly.
    """

    dataset: Dataset
    notes: tuple[str, ...] = ()


def predict(
    model: ClassMapModel,
    dataset: Dataset,
    out: Out,
    *,
    method: str = "cam",
    size: int | None = None,
    seeds: int | float = PAPER_SEEDS,
    features: Sequence[str] = OWN_FEATURES,
    start: str = "cam",
    layer: str | None = None,
    channels: int | None = None,
    label: str = "gt",
    class_map: ClassMapSource | None = None,
    skip_unmapped: bool = False,
    batch_size: int = 32,
    workers: int = 0,
    device: str = "auto",
    map_dtype: str = "uint8",
    resume: bool = False,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
    metadata: Mapping[str, object] | None = None,
) -> Predicted:
    """Write the maps of all photos of a data set as a submission.

    Args:
        model: the network, run in evaluation mode without gradients; its modes and device are
            restored afterwards, also after an exception.
        dataset: one split, opened with its folder of photos.
        out: the submission, written atomically; or several submissions, for which the network runs
            only once, by normalisation (see `normalisations.NORMALISATIONS`) or by `MapKind`.
        method: "cam" for the map of the method with which the network was trained, "sem", a key of
            `explainer_records.EXPLAINERS`, or "MODULE:FUNCTION" of an explainer of your own.
        size: side in pixels to which photos are resized; None for the model's own (224, or that of
            its training).
        seeds: the seeds of "sem": a count, or as a float a fraction of the map's positions.
        features: the features of "sem" (see `MapKind`).
        start: the method from whose map "sem" starts.
        layer: the layer that explainers explain (see `MapKind`).
        channels: number of channels that Score-CAM scores; None for all.
        label: "gt" for the map of the annotated class, "predicted" for that of the highest logit.
        class_map: the model classes of each class of the annotations (see
            `class_map.join_classes`); None if they must agree. Of several model classes, the one
            with the highest logit gives the map.
        skip_unmapped: leave out images whose class has no model class.
        batch_size: number of photos per batch.
        workers: number of processes that read photos; 0 reads them in this process.
        device: "cpu", "cuda", "cuda:1", "mps", or "auto": the first available of cuda, mps, cpu.
        map_dtype: "uint8", "float16" or "float32".
        resume: resume an unfinished run.
        overwrite: discard an unfinished run and start again.
        progress: called with (photos done, photos).
        metadata: fields added to the submission's `method`, or replacing its name, paper, ...

    Returns:
        The images predicted, and notes for the reader of the maps.

    Raises:
        WsolbenchError: an option is out of range; an image has no class, the classes of annotations
            and model do not agree, or a class has no model class; there are more seeds than
            positions; the model has no features of that name; the model's outputs are not class
            maps or not finite; values with normalisation "none" are outside [0, 1]; `preprocess`
            shows another part of photos than the model states, or flips, turns or randomly crops
            them; a photo is missing, damaged or of another size.
    """
    require_type("model", model, (ClassMapModel,), "a ClassMapModel, such as load_backbone(name)")
    require_type("dataset", dataset, (Dataset,), "a wsolbench.Dataset")
    size = model.size if size is None else size
    require_choice("label", label, ("gt", "predicted"))
    require_choice("map_dtype", map_dtype, STORED_AS)
    for name, value, least in (
        ("size", size, 1),
        ("batch_size", batch_size, 1),
        ("workers", workers, 0),
    ):
        if value < least:
            raise WsolbenchError(
                name, found=str(value), expected=f"at least {least}", cure="pass a larger number"
            )
    usual = MapKind(method, seeds, tuple(features), start=start, layer=layer, channels=channels)
    kinds = kinds_of(model, out, usual)
    forms = {kind: normalisation_named(kind.normalisation) for kind in kinds}
    where = device_named(device)
    with ExitStack() as stack, ready(model.module, where):
        require_sources(model, list(kinds), classifies=_classifies(model))
        classes, height, width = probe(model, size, where)
        for kind in kinds:
            if kind.method == "sem":
                seed_count(kind.seeds, height, width)
        with without_parameter_gradients(model.module):
            explainers = {
                kind: explaining(kind.source, model, size, layer=kind.layer, channels=kind.channels)
                for kind in {own.explained for own in kinds if own.source != "cam"}
            }
        if label == "gt" and _classifies(model):
            require_classes(dataset)
        source = known_classes(dataset.store, model.classes) if class_map is None else class_map
        joined = (
            join_classes(dataset.store, classes, model.name, source)
            if _classifies(model)
            else ClassMap("", (), 0)
        )
        if _classifies(model):
            dataset = mapped_images(dataset, joined, skip=skip_unmapped)
        windows = stated_windows(model, dataset, size)
        check_window(model, dataset, size)
        inputs = {
            "annotations": dataset.store.content_sha256,
            "network": fingerprint(model.module),
            "photos": str(dataset.images and dataset.images.resolve()),
        }
        several = len({kind.normalisation for kind in kinds}) > 1
        writers: dict[MapKind, SubmissionWriter] = {}
        for kind, path in kinds.items():
            header = SubmissionHeader(
                dataset=dataset.name,
                split=dataset.split,
                label=label,
                normalisation=f"{normalisation_words(kind)}; {STORED_AS[map_dtype]}",
                method=described(
                    model,
                    kind,
                    explainers.get(kind.explained),
                    size,
                    label,
                    joined,
                    dataset.exif,
                    several,
                    metadata or {},
                ),
            )
            writer = SubmissionWriter(
                path, header, resume=resume, overwrite=overwrite, inputs=inputs
            )
            writers[kind] = stack.enter_context(writer)
        pending = [
            row
            for row, name in enumerate(dataset.image_ids)
            if any(name not in writer.written for writer in writers.values())
        ]
        done = len(dataset) - len(pending)
        if progress is not None:
            progress(done, len(dataset))
        photos = Photos(dataset, pending, model.preprocess, size)
        turned = 0
        for batch_rows, images, in_batch in batches_of(photos, batch_size, workers, where):
            turned += in_batch
            ids = [dataset.image_ids[row] for row in batch_rows]
            labels = dataset.class_indices[batch_rows] if label == "gt" else None
            raw, top = _maps_of(
                model, images.to(where), ids, labels, joined, list(kinds), explainers
            )
            for kind, writer in writers.items():
                # A killed run may have left one submission a batch behind another.
                missing = [place for place, name in enumerate(ids) if name not in writer.written]
                planes = [stored(forms[kind](raw[kind][at]), map_dtype) for at in missing]
                shown = None if windows is None else windows[[batch_rows[at] for at in missing]]
                missed = [ids[place] for place in missing]
                best = None if top is None else top[missing]
                writer.append(missed, planes, top5=best, windows=shown)
            done += len(ids)
            if progress is not None:
                progress(done, len(dataset))
    with Submission.open(next(iter(kinds.values()))) as written:
        notes = class_notes(dataset, written)
    notes = (*seen_note(model, dataset), *unlisted_note(dataset.store, joined), *notes)
    if joined.ignored:
        ignored = f"{joined.name}: not in the annotations and ignored: {some(joined.ignored)}"
        notes = (ignored, *notes)
    if turned:
        notes = (turned_note(turned, dataset.exif), *notes)
    return Predicted(dataset, notes)


def seen_note(model: ClassMapModel, dataset: Dataset) -> tuple[str, ...]:
    """A note if the network was trained on the images whose maps it gives."""
    if model.provenance.get("trained_on") != dataset.title:
        return ()
    return (f"{model.name} was trained on the photos of {dataset.title} themselves",)


def fingerprint(module: nn.Module) -> str:
    """A hash of all parameters and buffers."""
    digest = hashlib.sha256()
    for name, tensor in module.state_dict().items():
        if isinstance(tensor, Tensor):
            content = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
            digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
            digest.update(content.numpy().tobytes())
    return digest.hexdigest()


def _maps_of(
    model: ClassMapModel,
    images: Tensor,
    ids: Sequence[str],
    labels: NDArray[np.int32] | None,
    joined: ClassMap,
    kinds: Sequence[MapKind],
    explainers: Mapping[MapKind, Explaining],
) -> tuple[dict[MapKind, NDArray[Any]], NDArray[np.int64] | None]:
    """Raw maps (B, h, w) of each kind: channels of the class, an explainer's maps, or cosines of
    SEM; and the best classes (B, 5) of the annotations, filled with -1.
    """

    used = {name for kind in kinds if kind.method == "sem" for name in kind.features}
    channels, named, logits = class_outputs(model, images, ids, labels, joined, used)
    classes = _chosen(labels, logits, joined)
    given = model_input(model, images)
    found: dict[MapKind, Tensor] = {}
    with without_parameter_gradients(model.module):
        for kind, own in explainers.items():
            found[kind] = own.maps(given, classes).to(images.device)
            _check_finite(model, ids, found[kind], {}, logits, own.record.title)
    with torch.no_grad():
        raw = {
            kind: _numbers(_raw(kind, found.get(kind.explained, channels), named)) for kind in kinds
        }
    return raw, top_classes(logits, joined) if _classifies(model) else None


def _classifies(model: ClassMapModel) -> bool:
    """Whether a model has classes; DINOv2's published weights, for example, have none."""
    return not isinstance(model.module, TracedNetwork) or model.module.classifies


def _chosen(labels: NDArray[np.int32] | None, logits: Tensor, joined: ClassMap) -> Tensor:
    """The model class of each photo, int64 (B,): the best one of its label, or of all."""
    if labels is None or not joined.members:
        return _ranked(logits)[:, 0]
    best = joined.best(labels, logits.float().cpu().numpy())
    return torch.from_numpy(best).to(logits.device)


def top_classes(logits: Tensor, joined: ClassMap) -> NDArray[np.int64]:
    """The best classes of the annotations, int64 (B, 5), filled with -1; logits are (B, C)."""
    ranked = _ranked(logits)
    empty = (0, max(0, TOP - ranked.shape[1]))
    top = joined.translated(ranked[:, :TOP].cpu().numpy())
    return np.pad(top, ((0, 0), empty), constant_values=NO_CLASS)


def class_outputs(
    model: ClassMapModel,
    images: Tensor,
    ids: Sequence[str],
    labels: NDArray[np.int32] | None,
    joined: ClassMap,
    names: Collection[str],
) -> tuple[Tensor, dict[str, Tensor], Tensor]:
    """The class map of each photo's class, and features.

    Args:
        model: its module is on the device of the photos, in evaluation mode.
        images: (B, 3, S, S) float32.
        ids: the photos, for messages.
        labels: their classes in the annotations, int32 (B,); None for the highest logit.
        joined: the model classes of each class of the annotations.
        names: the features to return (see `require_features`).

    Returns:
        Channels of the class (B, h, w), features (B, c, h', w') by name, and logits (B, C).

    Raises:
        WsolbenchError: the outputs are not class maps, or not finite.
    """

    def choose(logits: Tensor) -> Tensor:
        return _chosen(labels, logits, joined)

    layers = {name: place for name, place in model.feature_layers.items() if name in names}
    # not inference_mode, in which a module cannot compute gradients
    with torch.no_grad(), recorded(model.module, list(layers.values())) as taken:
        class_maps, features, logits = run_model(model, images, choose)
        named = {name: taken[place] for name, place in layers.items()}
        named |= {OWN_FEATURES[0]: features} if OWN_FEATURES[0] in names else {}
        channels = class_channels(class_maps, choose(logits).to(class_maps.device))
        _check_finite(model, ids, channels, named, logits)
    return channels, named, logits


def _ranked(logits: Tensor) -> Tensor:
    return torch.argsort(logits.float(), dim=1, descending=True, stable=True)


def _raw(kind: MapKind, maps: Tensor, features: Mapping[str, Tensor]) -> Tensor:
    """The map of a kind from the map of its source (B, h', w')."""
    if kind.method != "sem":
        return maps
    size = maps.shape[-2:]
    if kind.source != "cam" and len(kind.features) == 1:
        size = features[kind.features[0]].shape[-2:]
    if maps.shape[-2:] != size:  # an explainer's map of another size than the features
        maps = nn.functional.interpolate(
            maps[:, None].float(), size=size, mode="bilinear", antialias=True
        )[:, 0]
    return seed_similarities(maps, joined_features(features, kind.features, size), kind.seeds)


def joined_features(
    features: Mapping[str, Tensor], names: Sequence[str], size: Sequence[int]
) -> Tensor:
    """Features concatenated along channels, (B, sum of c, h, w).

    Args:
        features: (B, c, h', w') by name.
        names: which to take, in this order.
        size: (h, w); features of another size are resized (bilinear, antialiased).
    """
    parts = [
        features[name]
        if features[name].shape[-2:] == tuple(size)
        else nn.functional.interpolate(
            features[name].float(), size=tuple(size), mode="bilinear", antialias=True
        )
        for name in names
    ]
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)


def _numbers(maps: Tensor) -> NDArray[Any]:
    # NumPy has no bfloat16; float64 keeps its digits.
    kept = maps if maps.dtype == torch.float64 else maps.float()
    return kept.cpu().numpy()


def _check_finite(
    model: ClassMapModel,
    ids: Sequence[str],
    channels: Tensor,
    features: Mapping[str, Tensor],
    logits: Tensor,
    title: str = "class maps",
) -> None:
    shown = {"features" if name in OWN_FEATURES else name: own for name, own in features.items()}
    outputs = {title: channels, **shown, "logits": logits}
    finite = torch.stack(
        [own.isfinite().flatten(1).all(dim=1).to(logits.device) for own in outputs.values()]
    ).all(dim=0)
    if not bool(finite.all()):
        broken = [name for name, sound in zip(ids, finite.tolist(), strict=True) if not sound]
        raise not_finite(model, outputs, broken)


def probe(model: ClassMapModel, size: int, where: torch.device) -> tuple[int, int, int]:
    """The number of classes and the size of the maps, measured on a grey photo."""
    grey = Image.new("RGB", (size, size), (128, 128, 128))
    image = preprocessed(model.preprocess, grey, size, whose="a grey picture")
    with torch.no_grad():
        class_maps, _, _ = run_model(model, image[None].to(where))
    _, classes, height, width = class_maps.shape
    return classes, height, width


def require_classes(dataset: Dataset) -> None:
    """Raise unless each image has a class."""
    ids = [dataset.image_ids[row] for row in np.flatnonzero(dataset.class_indices < 0)]
    if ids:
        raise WsolbenchError(
            dataset.title,
            found=f"no class for {len(ids)} of {len(dataset)} images: {some(ids)}",
            expected="a class for each image",
            cure="import the classes, or use --label predicted (label=)",
        )


@contextmanager
def ready(module: nn.Module, where: torch.device) -> Iterator[None]:
    """Put the module in evaluation mode on a device, and restore it afterwards."""
    modes = [(part, part.training) for part in module.modules()]
    home = next((tensor.device for tensor in module.parameters()), None)
    try:
        try:
            module.to(where).eval()
        except Exception as error:  # the module may be the user's and raise anything
            raise fault_in_user_code(
                f"module to run on {where}",
                error,
                cure="pass a module with working to() and eval(); of an exported program, the "
                "module from which it was exported",
            ) from error
        yield
    finally:
        for part, training in modes:
            part.training = training
        if home is not None:
            module.to(home)
