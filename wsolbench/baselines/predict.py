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
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from .. import __version__
from ..data.dataset import Dataset
from ..errors import WsolbenchError, one_of, require_choice, require_type, some
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
from .networks import recorded
from .outputs import not_finite, run_model
from .reading import Photos, batches_of, preprocessed
from .sem import PAPER_SEEDS, seed_count, seed_similarities
from .user_models import fault_in_user_code
from .window import check_window, stated_windows, window_words

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

Out = (
    str
    | os.PathLike[str]
    | Mapping[str, str | os.PathLike[str]]
    | Mapping[str, str]
    | Mapping[str, Path]
    | Mapping["MapKind", Path]
)
"""A submission; or several, by normalisation or by kind of map."""

TOP = 5
"""Number of predictions stored with each map."""

OWN_FEATURES = ("feat5",)
"""The input of the last classification layer."""


@dataclass(frozen=True)
class _Method:
    """The description of a method in a submission."""

    name: str
    paper: str


METHODS: Mapping[str, _Method] = MappingProxyType(
    {
        "cam": _Method(
            "CAM",
            "Zhou et al., Learning Deep Features for Discriminative Localization, CVPR 2016",
        ),
        "sem": _Method(
            "SEM",
            "Zhang et al., Rethinking Localization Map: Towards Accurate Object Perception with "
            "Self-Enhancement Maps, 2020",
        ),
    }
)
"""The methods, which need no training beyond the classifier's."""


@dataclass(frozen=True)
class MapKind:
    """One way to turn a network's outputs into maps.

    Attributes:
        method: "cam" for the method's own map, "sem" for SEM on it.
        seeds: the seeds of "sem": a count, or as a float a fraction of the map's positions.
        features: the features of "sem", of `backbones.FEATURES`; several are concatenated, resized
            to the class maps where they differ in size.
        normalisation: a name of `normalisations.NORMALISATIONS`.
    """

    method: str = "cam"
    seeds: int | float = PAPER_SEEDS
    features: tuple[str, ...] = OWN_FEATURES
    normalisation: str = "min-max"


@dataclass(frozen=True)
class Predicted:
    """What `predict` did.

    Attributes:
        dataset: the images that have maps.
        notes: what a reader of the maps should know, e.g. that no image is classified correctly.
    """

    dataset: Dataset
    notes: tuple[str, ...] = ()


_MIN_MAX = "min-max"
_MIN_MAX_WORDS = "min-max of each map at feature size, a constant map is zero"


def predict(
    model: ClassMapModel,
    dataset: Dataset,
    out: Out,
    *,
    method: str = "cam",
    size: int | None = None,
    seeds: int | float = PAPER_SEEDS,
    features: Sequence[str] = OWN_FEATURES,
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
        method: "cam" for the map of the method with which the network was trained, or "sem".
        size: side in pixels to which photos are resized; None for the model's own (224, or that of
            its training).
        seeds: the seeds of "sem": a count, or as a float a fraction of the map's positions.
        features: the features of "sem" (see `MapKind`).
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
    require_choice("method", method, METHODS)
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
    usual = MapKind(method, seeds, tuple(features))
    kinds = _kinds(model, out, usual)
    forms = {kind: normalisation_named(kind.normalisation) for kind in kinds}
    where = device_named(device)
    with ExitStack() as stack, ready(model.module, where):
        classes, height, width = probe(model, size, where)
        for kind in kinds:
            if kind.method == "sem":
                seed_count(kind.seeds, height, width)
        if label == "gt":
            require_classes(dataset)
        source = known_classes(dataset.store, model.classes) if class_map is None else class_map
        joined = join_classes(dataset.store, classes, model.name, source)
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
                normalisation=f"{_normalisation_words(kind)}; {STORED_AS[map_dtype]}",
                method=_described(
                    model, kind, size, label, joined, dataset.exif, several, metadata or {}
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
            raw, top = _maps_of(model, images.to(where), ids, labels, joined, list(kinds))
            for kind, writer in writers.items():
                # A killed run may have left one submission a batch behind another.
                missing = [place for place, name in enumerate(ids) if name not in writer.written]
                planes = [stored(forms[kind](raw[kind][at]), map_dtype) for at in missing]
                shown = None if windows is None else windows[[batch_rows[at] for at in missing]]
                missed = [ids[place] for place in missing]
                writer.append(missed, planes, top5=top[missing], windows=shown)
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


def _kinds(
    model: ClassMapModel,
    out: Out,
    usual: MapKind,
) -> dict[MapKind, str | os.PathLike[str]]:
    """The submissions to write, by the kind of their maps."""
    if not isinstance(out, Mapping):
        kinds: dict[MapKind, str | os.PathLike[str]] = {usual: out}
    else:
        kinds = {
            kind if isinstance(kind, MapKind) else replace(usual, normalisation=kind): path
            for kind, path in out.items()
        }
    for kind in kinds:
        require_choice("method", kind.method, METHODS)
        require_features(model, kind.features)
    return kinds


def require_features(model: ClassMapModel, names: Sequence[str]) -> None:
    """Raise unless the model has features of all these names, one or more."""
    known = (*model.feature_layers, *OWN_FEATURES)
    unknown = [name for name in names if name not in known or names.count(name) > 1]
    if unknown or not names:
        raise WsolbenchError(
            f"features of {model.name}",
            found=", ".join(unknown) or "none",
            expected=one_of(known),
            cure="name one or several of these, each once",
        )


def seen_note(model: ClassMapModel, dataset: Dataset) -> tuple[str, ...]:
    """A note if the network was trained on the images whose maps it gives."""
    if model.provenance.get("trained_on") != dataset.title:
        return ()
    return (f"{model.name} was trained on the photos of {dataset.title} themselves",)


def _normalisation_words(kind: MapKind) -> str:
    if kind.normalisation == _MIN_MAX:
        return _MIN_MAX_WORDS
    return f"{normalisation_named(kind.normalisation).words}, at feature size"


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
) -> tuple[dict[MapKind, NDArray[Any]], NDArray[np.int64]]:
    """Raw maps (B, h, w) of each kind: channels of the class, or cosines of SEM; and the best
    classes (B, 5) of the annotations, filled with -1.
    """

    used = {name for kind in kinds if kind.method == "sem" for name in kind.features}
    channels, named, logits = class_outputs(model, images, ids, labels, joined, used)
    with torch.no_grad():
        raw = {kind: _numbers(_raw(kind, channels, named)) for kind in kinds}
    return raw, top_classes(logits, joined)


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
        if labels is None:
            return _ranked(logits)[:, 0]
        best = joined.best(labels, logits.float().cpu().numpy())
        return torch.from_numpy(best).to(logits.device)

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


def _raw(kind: MapKind, channels: Tensor, features: Mapping[str, Tensor]) -> Tensor:
    if kind.method == "cam":
        return channels
    return seed_similarities(
        channels, joined_features(features, kind.features, channels.shape[-2:]), kind.seeds
    )


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
) -> None:
    shown = {"features" if name in OWN_FEATURES else name: own for name, own in features.items()}
    outputs = {"class maps": channels, **shown, "logits": logits}
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


def _described(
    model: ClassMapModel,
    kind: MapKind,
    size: int,
    label: str,
    joined: ClassMap,
    exif: str,
    several: bool,
    metadata: Mapping[str, object],
) -> dict[str, object]:
    """The `method` of a submission."""
    provenance = dict(model.provenance)
    name = METHODS[kind.method].name
    paper = METHODS[kind.method].paper
    if trained := provenance.pop("trained_method", ""):
        name = f"{trained} + {name}" if kind.method == "sem" else str(trained)
        paper = paper if kind.method == "sem" else str(provenance.pop("trained_paper"))
        provenance.pop("trained_paper", None)
    parameters: dict[str, object] = {"size": size}
    if kind.method == "sem":
        parameters["seeds"] = kind.seeds
    if kind.method == "sem" and kind.features != OWN_FEATURES:
        parameters["features"] = " + ".join(kind.features)
    if several or kind.normalisation != _MIN_MAX:
        parameters["normalisation"] = kind.normalisation
    if model.class_dependent:
        parameters["erased_by"] = "ground-truth class" if label == "gt" else "predicted class"
    parameters |= joined.described()
    if exif != "ignore":
        parameters["exif"] = exif
    if words := window_words(model):
        parameters["window"] = words
    described: dict[str, object] = {
        "name": name,
        "backbone": model.name,
        "paper": paper,
        "code": f"wsolbench {__version__}",
        "parameters": parameters,
    }
    for own in ("preprocessing", "training"):
        if own in provenance:
            parameters[own] = provenance.pop(own)
    if "random_weights_seed" in provenance:
        described["seed"] = provenance.pop("random_weights_seed")
        described["random_weights"] = True
    if "training_seed" in provenance:
        described["seed"] = provenance.pop("training_seed")
    return {**described, **provenance, **metadata}


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
