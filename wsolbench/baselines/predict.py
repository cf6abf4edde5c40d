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
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.utils import data

from .. import __version__
from ..data.dataset import Dataset
from ..errors import WsolbenchError, require_choice, some
from ..evaluation.notes import class_notes
from ..formats.submission.reader import Submission
from ..formats.submission.rules import NO_CLASS, SubmissionHeader
from ..formats.submission.writer import SubmissionWriter
from ..images import turned_note
from ..maps.normalisations import normalisation_named
from ..maps.storage import STORED_AS, stored
from .backbones import ClassMapModel
from .cam import class_channels
from .class_map import ClassMap, ClassMapSource, join_classes, mapped_images, unlisted_note
from .outputs import checked_input, not_finite, run_model
from .sem import PAPER_SEEDS, seed_count, seed_similarities
from .user_models import fault_in_user_code
from .window import check_window, stated_windows, window_words

__all__ = ["METHODS", "Predicted", "predict"]

TOP = 5
"""Number of predictions stored with each map."""


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
    out: str | os.PathLike[str] | Mapping[str, str | os.PathLike[str]],
    *,
    method: str = "cam",
    size: int = 224,
    seeds: int | float = PAPER_SEEDS,
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
        out: the submission, written atomically; or several submissions by normalisation (see
            `normalisations.NORMALISATIONS`), for which the network runs only once.
        method: "cam" or "sem".
        size: side in pixels to which photos are resized.
        seeds: the seeds of "sem": a count, or as a float a fraction of the map's positions.
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
            positions; the model's outputs are not class maps or not finite; values with
            normalisation "none" are outside [0, 1]; `preprocess` shows another part of photos than
            the model states, or flips, turns or randomly crops them; a photo is missing, damaged or
            of another size.
    """
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
    outs = dict(out) if isinstance(out, Mapping) else {_MIN_MAX: out}
    forms = [normalisation_named(name) for name in outs]
    where = _device(device)
    with ExitStack() as stack, _ready(model.module, where):
        classes, height, width = _probe(model, size, where)
        if method == "sem":
            seed_count(seeds, height, width)
        if label == "gt":
            _check_classes(dataset)
        joined = join_classes(dataset.store, classes, model.name, class_map)
        dataset = mapped_images(dataset, joined, skip=skip_unmapped)
        windows = stated_windows(model, dataset, size)
        check_window(model, dataset, size)
        writers = []
        network = _fingerprint(model.module)
        for form, path in zip(forms, outs.values(), strict=True):
            words = _MIN_MAX_WORDS if form.name == _MIN_MAX else f"{form.words}, at feature size"
            stated = "" if list(outs) == [_MIN_MAX] else form.name
            header = SubmissionHeader(
                dataset=dataset.name,
                split=dataset.split,
                label=label,
                normalisation=f"{words}; {STORED_AS[map_dtype]}",
                method=_described(
                    model, method, size, seeds, stated, joined, dataset.exif, metadata or {}
                ),
            )
            inputs = {
                "annotations": dataset.store.stated_sha256,
                "network": network,
                "photos": str(dataset.images and dataset.images.resolve()),
            }
            writer = SubmissionWriter(
                path, header, resume=resume, overwrite=overwrite, inputs=inputs
            )
            writers.append(stack.enter_context(writer))
        pending = [
            row
            for row, name in enumerate(dataset.image_ids)
            if any(name not in writer.written for writer in writers)
        ]
        done = len(dataset) - len(pending)
        if progress is not None:
            progress(done, len(dataset))
        photos = _Photos(dataset, pending, model.preprocess, size)
        turned = 0
        for batch_rows, images, in_batch in _batches(photos, batch_size, workers, where):
            turned += in_batch
            ids = [dataset.image_ids[row] for row in batch_rows]
            labels = dataset.class_indices[batch_rows] if label == "gt" else None
            maps, top = _maps_of(model, images.to(where), ids, labels, joined, method, seeds)
            for form, writer in zip(forms, writers, strict=True):
                # A killed run may have left one submission a batch behind another.
                missing = [place for place, name in enumerate(ids) if name not in writer.written]
                planes = [stored(form(maps[place]), map_dtype) for place in missing]
                shown = None if windows is None else windows[[batch_rows[at] for at in missing]]
                missed = [ids[place] for place in missing]
                writer.append(missed, planes, top5=top[missing], windows=shown)
            done += len(ids)
            if progress is not None:
                progress(done, len(dataset))
    with Submission.open(next(iter(outs.values()))) as written:
        notes = class_notes(dataset, written)
    notes = (*unlisted_note(dataset.store, joined), *notes)
    if joined.ignored:
        ignored = f"{joined.name}: not in the annotations and ignored: {some(joined.ignored)}"
        notes = (ignored, *notes)
    if turned:
        notes = (turned_note(turned, dataset.exif), *notes)
    return Predicted(dataset, notes)


def _fingerprint(module: nn.Module) -> str:
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
    method: str,
    seeds: int | float,
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Raw maps (B, h, w): channels of the class, or cosines of SEM; and the best classes (B, 5) of
    the annotations, filled with -1.
    """
    with torch.no_grad():  # not inference_mode, in which a module cannot compute gradients
        class_maps, features, logits = run_model(model, images)
        ranked = torch.argsort(logits.float(), dim=1, descending=True, stable=True)
        scores = logits.float().cpu().numpy()
        wanted = ranked[:, 0] if labels is None else torch.from_numpy(joined.best(labels, scores))
        channels = class_channels(class_maps, wanted.to(class_maps.device))
        finite = channels.isfinite().flatten(1).all(dim=1) & logits.isfinite().all(dim=1)
        if method == "sem":
            finite &= features.isfinite().flatten(1).all(dim=1)
        if not bool(finite.all()):
            broken = [name for name, sound in zip(ids, finite.tolist(), strict=True) if not sound]
            outputs = {"class maps": channels, "features": features, "logits": logits}
            raise not_finite(model, outputs, broken)
        maps = seed_similarities(channels, features, seeds) if method == "sem" else channels
        empty = (0, max(0, TOP - ranked.shape[1]))
        top = joined.translated(ranked[:, :TOP].cpu().numpy())
        top = np.pad(top, ((0, 0), empty), constant_values=NO_CLASS)
        # NumPy has no bfloat16; float64 keeps its digits.
        kept = maps if maps.dtype == torch.float64 else maps.float()
        return kept.cpu().numpy(), top


def _probe(model: ClassMapModel, size: int, where: torch.device) -> tuple[int, int, int]:
    """The number of classes and the size of the maps, measured on a grey photo."""
    grey = Image.new("RGB", (size, size), (128, 128, 128))
    image = _preprocessed(model.preprocess, grey, size, whose="a grey picture")
    with torch.no_grad():
        class_maps, _, _ = run_model(model, image[None].to(where))
    _, classes, height, width = class_maps.shape
    return classes, height, width


def _check_classes(dataset: Dataset) -> None:
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
    method: str,
    size: int,
    seeds: int | float,
    normalisation: str,
    joined: ClassMap,
    exif: str,
    metadata: Mapping[str, object],
) -> dict[str, object]:
    parameters: dict[str, object] = {"size": size}
    if method == "sem":
        parameters["seeds"] = seeds
    provenance = dict(model.provenance)
    if normalisation:
        parameters["normalisation"] = normalisation
    parameters |= joined.described()
    if exif != "ignore":
        parameters["exif"] = exif
    if words := window_words(model):
        parameters["window"] = words
    described: dict[str, object] = {
        "name": METHODS[method].name,
        "backbone": model.name,
        "paper": METHODS[method].paper,
        "code": f"wsolbench {__version__}",
        "parameters": parameters,
    }
    if "preprocessing" in provenance:
        parameters["preprocessing"] = provenance.pop("preprocessing")
    if "random_weights_seed" in provenance:
        described["seed"] = provenance.pop("random_weights_seed")
        described["random_weights"] = True
    return {**described, **provenance, **metadata}


@contextmanager
def _ready(module: nn.Module, where: torch.device) -> Iterator[None]:
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


def _device(name: str) -> torch.device:
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise WsolbenchError(
            f"device {name!r}",
            found="an unknown device",
            expected="cpu, cuda, mps or auto",
            cure="name one of them",
        ) from error
    there = {
        "cpu": 1,
        "cuda": torch.cuda.device_count(),
        "mps": int(torch.backends.mps.is_available()),
    }.get(device.type, 0)
    if (device.index or 0) >= there:
        raise WsolbenchError(
            f"device {name!r}",
            found=f"only {there} {device.type} devices are available",
            cure='name another device, or "auto" for the best one',
        )
    return device


# Reading ahead


# Reading processes return errors as values: DataLoader would re-raise only their text.
_Item = tuple[int, Tensor, int] | WsolbenchError
_Batch = tuple[list[int], Tensor, int] | WsolbenchError


class _Photos(data.Dataset[_Item]):
    """The rows of a data set as (row, model input, EXIF orientation)."""

    def __init__(
        self,
        dataset: Dataset,
        rows: Sequence[int],
        preprocess: Callable[[Image.Image, int], Tensor],
        size: int,
    ) -> None:
        self.dataset = dataset
        self.rows = rows
        self.preprocess = preprocess
        self.size = size

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> _Item:
        row = self.rows[index]
        try:
            photo, orientation = self.dataset.read_photo(row)
            whose = self.dataset.image_ids[row]
            image = _preprocessed(self.preprocess, photo, self.size, whose=whose)
            return row, image, orientation
        except WsolbenchError as error:
            return error


def _preprocessed(
    preprocess: Callable[[Image.Image, int], Tensor],
    photo: Image.Image,
    size: int,
    *,
    whose: str,
) -> Tensor:
    try:
        tensor = preprocess(photo, size)
    except Exception as error:  # the function may be the user's and raise anything
        raise fault_in_user_code(f"preprocess of {whose}", error) from error
    return checked_input(tensor, size, f"preprocess of {whose}")


def _together(items: list[_Item]) -> _Batch:
    read: list[tuple[int, Tensor, int]] = []
    for item in items:
        if isinstance(item, WsolbenchError):
            return item
        read.append(item)
    rows, images, orientations = zip(*read, strict=True)
    return list(rows), torch.stack(images), sum(own > 1 for own in orientations)


def _batches(
    photos: _Photos, batch_size: int, workers: int, where: torch.device
) -> Iterator[tuple[list[int], Tensor, int]]:
    """The rows of each batch, their model inputs, and how many photos have an EXIF orientation."""
    if not photos.rows:
        return
    loader = data.DataLoader(
        photos,
        batch_size=batch_size,
        num_workers=workers,
        collate_fn=_together,
        pin_memory=where.type == "cuda",
    )
    try:
        batches = iter(loader)
    except Exception as error:  # a preprocess that cannot be pickled, or no memory for a process
        raise _reading_failed(error) from error
    while True:
        try:
            batch: _Batch | None = next(batches, None)
        except RuntimeError as error:  # a reading process was killed
            raise _reading_failed(error) from error
        if batch is None:
            return
        if isinstance(batch, WsolbenchError):
            raise batch
        yield batch


def _reading_failed(error: Exception) -> WsolbenchError:
    return WsolbenchError(
        "processes reading photos",
        found=f"{type(error).__name__}: {error}",
        cure="define preprocess as a function of a module, or pass workers=0 (--workers 0)"
        if "pickle" in str(error).lower()
        else "use fewer processes, or workers=0",
    )
