"""Training of the boundary detector on top of a classifier that stays as it is.

Nothing but photos and their class labels is read: each photo gives the localization map of its
class, the map and the photo a pseudo-boundary (`pseudo`), and the head learns to predict it. The
pseudo-boundaries are made once, before the first epoch, at the size of the head's grid, so that
they are one pixel wide there; a photo takes grid * grid / 8 bytes of memory. Photos are mirrored
with probability 0.5.

Every random number comes from (seed, epoch) or (seed, epoch, photo), and a run that was killed
continues from its last checkpoint to the bit on a CPU. Beside the checkpoint stands its log.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor
from torch.utils import data

from ..baselines.checkpoints import (
    checkpoint_values,
    model_of,
    read_checkpoint,
    require_same,
)
from ..baselines.devices import device_named, require_precision
from ..baselines.predict import ready
from ..baselines.processes import processes_here
from ..baselines.reading import read_ahead
from ..baselines.settings import as_values
from ..baselines.train import learning_rate_at
from ..baselines.training_data import LabelledPhotos, steps_of
from ..baselines.training_files import (
    ROWS_PER_EPOCH,
    SAVE_SECONDS,
    STEPS_PER_ROW,
    Row,
    continues,
    diverged,
    log_path,
    reproducible,
    rows_until,
    write_log,
)
from ..errors import WsolbenchError
from ..files import require_target, sha256_of, together
from ..images import read_photo
from ..metrics.opencv import opencv
from ..progress import Progress
from ..renames import only_writer
from .detector import (
    EdgeCheckpoint,
    Outputs,
    outputs_of,
    places_of,
    read_edge_checkpoint,
    write_edge_checkpoint,
)
from .head import EdgeHead, build_head
from .loss import hns_loss
from .pseudo import pseudo_boundary
from .pseudo_settings import PseudoSettings
from .settings import (
    EdgeRecipe,
    EdgeSettings,
    edge_recipe_for,
    edge_settings_for,
    pseudo_settings_from,
)

__all__ = ["EdgeRow", "EdgesTrained", "train_edges"]

Bars = Callable[[str, str], AbstractContextManager[Progress | None]]


@dataclass(frozen=True)
class EdgeRow(Row):
    """Means over the steps since the last row.

    epoch, step: from 1; loss: of `loss.hns_loss`; photos_per_second: since the last row.
    """

    loss: float
    learning_rate: float
    photos_per_second: float


@dataclass(frozen=True)
class EdgesTrained:
    """What `train_edges` did.

    Attributes:
        checkpoint: the file.
        log: the CSV file.
        rows: of the log, of the whole training.
        notes: what a reader should know, e.g. how many photos have no pseudo-boundary.
    """

    checkpoint: Path
    log: Path
    rows: tuple[EdgeRow, ...]
    notes: tuple[str, ...]


def train_edges(
    photos: LabelledPhotos,
    classifier: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    settings: Mapping[str, Any] | None = None,
    recipe: Mapping[str, Any] | None = None,
    pseudo: Mapping[str, Any] | None = None,
    device: str = "auto",
    workers: int = 0,
    resume: bool = False,
    overwrite: bool = False,
    bars: Bars = lambda title, unit: nullcontext(),
    say: Callable[[EdgeRow], None] | None = None,
) -> EdgesTrained:
    """Train a boundary detector on photos and class labels.

    Args:
        photos: see `baselines.training_data`; of the classes of the classifier.
        classifier: its checkpoint (`wsolbench train METHOD`).
        out: the checkpoint to write, at the end of each epoch and every five minutes.
        settings: fields of `EdgeSettings`, by name.
        recipe: fields of `EdgeRecipe`.
        pseudo: fields of `PseudoSettings`.
        device: "cpu", "cuda", "cuda:1", "mps", or "auto".
        workers: number of processes that read photos; 0 reads them in this process.
        resume: continue from the checkpoint.
        overwrite: discard the checkpoint and start again.
        bars: makes a progress bar from a title and a unit.
        say: called with each row of the log.

    Raises:
        WsolbenchError: an option is unknown or out of range; the classifier is no checkpoint, of
            other classes than the photos, or of a backbone without known blocks; no photo has a
            pseudo-boundary; the checkpoint exists and neither `resume` nor `overwrite` is given, or
            it is of another training; a photo is damaged; the loss is not finite; several
            processes of `torchrun`.
    """
    opencv()
    _require_one_process()
    target, source = Path(out), Path(classifier)
    read = read_checkpoint(source)
    own = edge_settings_for(read.backbone, settings or {})
    schedule = edge_recipe_for(read.backbone, recipe or {}, int(read.recipe["size"]))
    drawn = pseudo_settings_from(pseudo or {})
    where = device_named(device)
    require_precision(schedule.precision, where)
    _require_classes(photos, source, read.classes)
    sha256 = sha256_of(source)
    model = model_of(read, source, sha256)
    places = places_of(model)
    writer = only_writer(require_target(target))
    with reproducible(where), ready(model.module, where), writer:
        reader = _Reader(photos, model.preprocess, schedule, own.grid)

        def run(images: Tensor, labels: Tensor) -> Outputs:
            return outputs_of(model, images.to(where), lambda _: labels.to(where), own, places)

        shown = run(torch.zeros(1, 3, schedule.size, schedule.size), torch.zeros(1).long())
        channels = tuple(int(features.shape[1]) for features in shown.features)
        fresh = EdgeCheckpoint(
            classifier=checkpoint_values(replace(read, optimizer={})),
            classifier_name=source.name,
            classifier_sha256=sha256,
            settings=as_values(own),
            pseudo=as_values(drawn),
            recipe=as_values(schedule),
            data={
                "title": photos.title,
                "photos": len(photos),
                "sha256": photos.sha256,
                "exif": photos.exif,
            },
            channels=channels,
        )
        found = _found(target, fresh, resume=resume, overwrite=overwrite)
        head = build_head(channels, own.width, own.grid, seed=schedule.seed)
        if found is not None:
            head.load_state_dict(dict(found.state))
        rows = [] if found is None else _rows_of(target, found)
        if found is not None and found.finished:
            done = "the training was complete before: nothing was done"
            return EdgesTrained(target, log_path(target), tuple(rows), (done,))
        with bars("pseudo-boundaries", "photo") as progress:
            boundaries = _boundaries(reader, run, drawn, schedule, workers, progress)
        notes = _notes(photos, boundaries)
        head.to(where).to(memory_format=torch.channels_last).train()
        training = _Training(target, fresh, head, schedule, own, where, rows, found)
        with bars("train edges", "photo") as progress:
            _loop(training, reader, run, boundaries, workers, progress, say)
    return EdgesTrained(target, log_path(target), tuple(rows), notes)


def _require_one_process() -> None:
    count = processes_here().count
    if count > 1:
        raise WsolbenchError(
            "train edges",
            found=f"{count} processes",
            expected="one",
            cure="start it without torchrun",
        )


def _require_classes(
    photos: LabelledPhotos, classifier: Path, classes: tuple[tuple[str, str], ...]
) -> None:
    keys, known = [key for key, _ in photos.classes], [key for key, _ in classes]
    if keys != known:
        raise WsolbenchError(
            classifier,
            found=f"a classifier of {len(known)} classes ({', '.join(known[:3])} ...)",
            expected=f"one of the {len(keys)} classes of {photos.title} ({', '.join(keys[:3])} "
            "...), in their order",
            cure="name the photos on which it was trained, or train it on these",
        )


def _found(
    out: Path, fresh: EdgeCheckpoint, *, resume: bool, overwrite: bool
) -> EdgeCheckpoint | None:
    """The checkpoint to continue, if there is one."""
    if not continues(out, resume=resume, overwrite=overwrite):
        return None
    found = read_edge_checkpoint(out)
    wanted = {
        name: getattr(fresh, name)
        for name in ("classifier_sha256", "settings", "pseudo", "recipe", "data", "channels")
    }
    # The same folder may be named in another way.
    wanted["data"] = {**fresh.data, "title": found.data.get("title")}
    require_same(out, found, wanted)
    return found


def _rows_of(out: Path, found: EdgeCheckpoint) -> list[EdgeRow]:
    return rows_until(log_path(out), EdgeRow, found.epoch, found.step)


def _notes(photos: LabelledPhotos, boundaries: NDArray[np.uint8]) -> tuple[str, ...]:
    without = int((~boundaries.any(axis=1)).sum())
    if without == len(photos):
        raise WsolbenchError(
            photos.title,
            found="no pseudo-boundary on any photo",
            expected="maps that show an object on some photos",
            cure="look at the classifier's maps (wsolbench plot maps), and use more seeds "
            "(--seeds) or another classifier",
        )
    if not without:
        return ()
    return (
        f"{without} of {len(photos)} photos have no pseudo-boundary, and teach nothing: their maps "
        "show no region, or one that covers the photo",
    )


_Item = tuple[Tensor, Tensor, int, bool]


class _Reader:
    """Photos as the classifier and the pseudo-boundaries take them."""

    def __init__(
        self,
        photos: LabelledPhotos,
        preprocess: Callable[[Image.Image, int], Tensor],
        recipe: EdgeRecipe,
        grid: int,
    ) -> None:
        self.photos = photos
        self.preprocess = preprocess
        self.recipe = recipe
        self.grid = grid

    def batches(
        self, keys: Sequence[Sequence[tuple[int, int]]], workers: int
    ) -> Iterator[tuple[Tensor, Tensor, Tensor, list[bool]]]:
        """Inputs (B, 3, S, S), photos (B, grid, grid, 3) uint8, labels (B,), which are mirrored.

        Args:
            keys: (epoch, photo) of each batch; those of epoch -1 are never mirrored, and others
                have no second part.
            workers: number of processes.
        """
        return read_ahead(
            lambda: data.DataLoader(
                _Photos(self),
                batch_sampler=keys,  # type: ignore[arg-type]
                num_workers=workers,
                collate_fn=_together,
                generator=torch.Generator(),  # else it draws from the caller's random numbers
            )
        )

    def item(self, epoch: int, photo: int) -> _Item:
        """One photo."""
        picture, _ = read_photo(self.photos.paths[photo], exif=self.photos.exif)
        mirrored = False
        small = torch.empty(0, dtype=torch.uint8)
        if epoch >= 0:
            mirrored = bool(np.random.default_rng([self.recipe.seed, epoch, photo]).random() < 0.5)
        else:
            sides = (self.grid, self.grid)
            shown = picture.convert("RGB").resize(sides, Image.Resampling.BILINEAR)
            small = torch.from_numpy(np.array(shown))
        whole = ImageOps.mirror(picture) if mirrored else picture
        return (
            self.preprocess(whole, self.recipe.size),
            small,
            int(self.photos.labels[photo]),
            mirrored,
        )


class _Photos(data.Dataset[object]):
    """(epoch, photo) -> an item; an error is returned as a value, to cross processes."""

    def __init__(self, reader: _Reader) -> None:
        self.reader = reader

    def __getitem__(self, key: tuple[int, int]) -> _Item | WsolbenchError:
        try:
            return self.reader.item(*key)
        except WsolbenchError as error:
            return error


def _together(
    items: Sequence[_Item | WsolbenchError],
) -> tuple[Tensor, Tensor, Tensor, list[bool]] | WsolbenchError:
    read: list[_Item] = []
    for item in items:
        if isinstance(item, WsolbenchError):
            return item
        read.append(item)
    inputs, small, labels, mirrored = zip(*read, strict=True)
    return torch.stack(inputs), torch.stack(small), torch.tensor(labels), list(mirrored)


def _boundaries(
    reader: _Reader,
    run: Callable[[Tensor, Tensor], Outputs],
    settings: PseudoSettings,
    recipe: EdgeRecipe,
    workers: int,
    progress: Progress | None,
) -> NDArray[np.uint8]:
    """The pseudo-boundaries of all photos as bits: uint8 (photos, bytes)."""
    count = len(reader.photos)
    found = np.zeros((count, -(-reader.grid * reader.grid // 8)), np.uint8)
    starts = range(0, count, recipe.batch_size)
    keys = [
        [(-1, photo) for photo in range(start, min(start + recipe.batch_size, count))]
        for start in starts
    ]
    read = reader.batches(keys, workers)
    for start, (images, small, labels, _) in zip(starts, read, strict=True):
        maps = run(images, labels).maps.cpu().numpy()
        for place, (map_, photo) in enumerate(zip(maps, small.numpy(), strict=True)):
            found[start + place] = np.packbits(pseudo_boundary(map_, photo, settings))
        if progress is not None:
            progress(start + len(maps), count)
    return found


@dataclass
class _Training:
    """The state of a training, and where it is written."""

    out: Path
    fresh: EdgeCheckpoint
    head: EdgeHead
    recipe: EdgeRecipe
    settings: EdgeSettings
    where: torch.device
    rows: list[EdgeRow]
    found: EdgeCheckpoint | None

    def __post_init__(self) -> None:
        recipe = self.recipe
        self.optimizer = torch.optim.SGD(
            self.head.parameters(),
            lr=recipe.learning_rate,
            momentum=recipe.momentum,
            nesterov=recipe.momentum > 0,
            weight_decay=recipe.weight_decay,
        )
        self.scaler = torch.amp.GradScaler(self.where.type, enabled=recipe.precision == "float16")
        if self.found is not None and self.found.optimizer:
            self.optimizer.load_state_dict(dict(self.found.optimizer["sgd"]))
            self.scaler.load_state_dict(dict(self.found.optimizer["scale"]))

    @property
    def start(self) -> tuple[int, int]:
        """Epoch and step, both from 0."""
        return (0, 0) if self.found is None else (self.found.epoch, self.found.step)

    def step(self, outputs: Outputs, targets: Tensor, rate: float) -> float:
        """One step of the optimizer; the loss before it."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        kind = getattr(torch, self.recipe.precision)
        with torch.autocast(self.where.type, dtype=kind, enabled=kind != torch.float32):
            logits = self.head(outputs.features, outputs.maps)
        loss = hns_loss(
            logits, targets, self.settings.balance, suppress=self.settings.loss == "hns"
        )
        self.optimizer.zero_grad()
        torch.autograd.backward(self.scaler.scale(loss))
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return float(loss.detach())

    def save(self, place: tuple[int, int], *, finished: bool) -> None:
        """Write the log and the checkpoint, together."""
        state = {name: own.detach().cpu().clone() for name, own in self.head.state_dict().items()}
        optimizer = {"sgd": self.optimizer.state_dict(), "scale": self.scaler.state_dict()}
        now = replace(
            self.fresh,
            epoch=place[0],
            step=place[1],
            finished=finished,
            state=state,
            optimizer={} if finished else optimizer,
        )
        with together():
            write_log(log_path(self.out), EdgeRow, self.rows)
            write_edge_checkpoint(self.out, now)


def _loop(
    training: _Training,
    reader: _Reader,
    run: Callable[[Tensor, Tensor], Outputs],
    boundaries: NDArray[np.uint8],
    workers: int,
    progress: Progress | None,
    say: Callable[[EdgeRow], None] | None,
) -> None:
    """The steps from the start to the end; rows are added to the training's."""
    recipe, grid = training.recipe, reader.grid
    count = len(reader.photos)
    per_epoch = len(steps_of(count, recipe, 0))
    every = max(STEPS_PER_ROW, -(-per_epoch // ROWS_PER_EPOCH))
    steps = [
        (epoch, step, chosen)
        for epoch in range(training.start[0], recipe.epochs)
        for step, chosen in enumerate(steps_of(count, recipe, epoch))
        if (epoch, step) >= training.start
    ]
    keys = [[(epoch, photo) for photo in chosen] for epoch, _, chosen in steps]
    size = min(recipe.batch_size, count)
    total, summed = recipe.epochs * per_epoch, [0.0, 0]
    began = saved = time.monotonic()
    for (epoch, step, chosen), (images, _, labels, mirrored) in zip(
        steps, reader.batches(keys, workers), strict=True
    ):
        targets = np.unpackbits(boundaries[chosen], axis=1, count=grid * grid)
        drawn = targets.reshape(-1, grid, grid).astype(np.float32)
        drawn[mirrored] = drawn[mirrored][:, :, ::-1]
        rate = learning_rate_at(recipe, epoch)
        outputs = run(images.to(memory_format=torch.channels_last), labels)
        loss = training.step(outputs, torch.from_numpy(drawn).to(training.where), rate)
        summed = [summed[0] + loss * len(labels), summed[1] + len(labels)]
        done = epoch * per_epoch + step + 1
        if progress is not None:
            progress(done * size, total * size)
        if (step + 1) % every and step + 1 < per_epoch:
            continue
        if not np.isfinite(summed[0]):
            raise diverged(epoch, step, rate)
        now = time.monotonic()
        speed = summed[1] / max(now - began, 1e-9)
        row = EdgeRow(epoch + 1, step + 1, summed[0] / summed[1], rate, speed)
        training.rows.append(row)
        if say is not None:
            say(row)
        summed, began = [0.0, 0], now
        ends = step + 1 == per_epoch
        if ends or now - saved > SAVE_SECONDS:
            place = (epoch + 1, 0) if ends else (epoch, step + 1)
            training.save(place, finished=done == total)
            saved = time.monotonic()
