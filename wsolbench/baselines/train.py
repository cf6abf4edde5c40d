"""Training of a classifier with one of the methods: one loop for all.

Every random number comes from (seed, epoch, step) or (seed, epoch, photo): the same recipe gives
the same weights on the same machine, whatever the number of reading processes, and a run that was
killed continues from its last checkpoint to the bit on a CPU.

Beside the checkpoint stands a CSV file of the same name with the mean loss, accuracy and learning
rate of each stretch of steps.

Under `torchrun`, each process takes its share of every batch and gradients are averaged
(DistributedDataParallel). Batch norm counts its statistics, and dropout and methods draw their
random numbers, in each process, so that only CAM and ACoL on networks with neither compute the same
as one process, up to rounding.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import WsolbenchError
from ..files import require_target, sha256_of, together
from ..progress import Progress
from ..renames import only_writer
from .backbones import HALF_RANGE, known_backbone, load_trunk, require_published
from .checkpoints import (
    Checkpoint,
    build_method,
    input_of,
    read_checkpoint,
    require_same,
    write_checkpoint,
)
from .devices import device_named, require_precision
from .method import Method
from .networks import PaperNetwork, PooledNetwork
from .processes import Processes, joined_processes
from .settings import Recipe, Schedule, as_values, settings_from
from .training_data import LabelledPhotos, Step, batches, steps_of
from .training_files import (
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

__all__ = ["LogRow", "Trained", "learning_rate_at", "log_path", "parameter_groups", "train"]


@dataclass(frozen=True)
class LogRow(Row):
    """Means over the steps since the last row, over all processes.

    epoch, step: from 1; loss: of the method's objective; accuracy: share of photos whose highest
    logit is their label, as the photos were given to the network; learning_rate: of the trunk;
    seconds: since the last row.
    """

    loss: float
    accuracy: float
    learning_rate: float
    photos_per_second: float


@dataclass(frozen=True)
class Trained:
    """What `train` did.

    Attributes:
        checkpoint: the file.
        log: the CSV file.
        rows: of the log, of the whole training.
        notes: what a reader should know, e.g. which weights were not loaded.
    """

    checkpoint: Path
    log: Path
    rows: tuple[LogRow, ...]
    notes: tuple[str, ...]


def train(
    photos: LabelledPhotos,
    out: str | os.PathLike[str],
    *,
    method: str = "cam",
    backbone: str,
    trunk_weights: str | os.PathLike[str] | None = None,
    weights_key: str | None = None,
    preprocessing: str | None = None,
    settings: Mapping[str, Any] | None = None,
    recipe: Recipe | None = None,
    device: str = "auto",
    workers: int = 0,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
    say: Callable[[LogRow], None] | None = None,
) -> Trained:
    """Train a network on photos and class labels.

    Args:
        photos: see `training_data`.
        out: the checkpoint, written at the end of each epoch and every five minutes.
        method: a key of `settings.METHODS`.
        backbone: see `backbones.backbone_names`.
        trunk_weights: a classifier's state dict from which the trunk starts; None for random
            weights. The head is random.
        weights_key: the entry of that file to take, if it has several state dicts.
        preprocessing: as in `backbones.load_backbone`.
        settings: of the method, by name; its defaults otherwise.
        recipe: of training; by default the paper's.
        device: "cpu", "cuda", "cuda:1", "mps", or "auto".
        workers: number of processes that read photos; 0 reads them in this process.
        resume: continue from the checkpoint.
        overwrite: discard the checkpoint and start again.
        progress: called with (photos done, photos) of the whole training.
        say: called with each row of the log.

    Raises:
        WsolbenchError: an option is out of range or unknown; the checkpoint exists and neither
            `resume` nor `overwrite` is given, or it is of another method, backbone, recipe or data;
            a photo is damaged; weights do not fit; or the loss is not finite.
    """
    own = Recipe() if recipe is None else recipe
    name = known_backbone(backbone)
    where = device_named(device)
    require_precision(own.precision, where)
    with joined_processes(where) as group, reproducible(where), ExitStack() as held:
        if group.first:
            held.enter_context(only_writer(require_target(out)))
        return _train(
            photos,
            Path(out),
            method=method,
            backbone=name,
            trunk=(trunk_weights, weights_key, preprocessing),
            settings=as_values(settings_from(method, settings or {}, name)),
            recipe=own,
            where=where,
            workers=workers,
            resume=resume,
            overwrite=overwrite,
            group=group,
            progress=progress if group.first else None,
            say=say if group.first else None,
        )


@dataclass
class _Run:
    """The state of a training: everything that a step changes."""

    module: Method[Any]
    optimizer: torch.optim.SGD
    scaler: torch.amp.GradScaler


def _train(
    photos: LabelledPhotos,
    out: Path,
    *,
    method: str,
    backbone: str,
    trunk: tuple[str | os.PathLike[str] | None, str | None, str | None],
    settings: Mapping[str, Any],
    recipe: Recipe,
    where: torch.device,
    workers: int,
    resume: bool,
    overwrite: bool,
    group: Processes,
    progress: Progress | None,
    say: Callable[[LogRow], None] | None,
) -> Trained:
    _require_shares(photos, recipe, group)
    module = build_method(method, backbone, len(photos.classes), settings, seed=recipe.seed)
    described, notes = _start(module, backbone, trunk)
    network = module.network
    fresh = Checkpoint(
        method=method,
        settings=settings,
        backbone=backbone,
        half_range=bool(network.half_range),
        classes=photos.classes,
        recipe=as_values(recipe),
        data={
            "title": photos.title,
            "photos": len(photos),
            "sha256": photos.sha256,
            "exif": photos.exif,
        },
        trunk=described,
    )
    found = _found(out, fresh, resume=resume, overwrite=overwrite)
    group.wait()  # no process writes before all have looked
    if found is not None:
        module.load_state_dict(dict(found.state))
    module.to(where).to(memory_format=torch.channels_last)
    run = _Run(
        module,
        torch.optim.SGD(
            parameter_groups(module, recipe),
            momentum=recipe.momentum,
            nesterov=recipe.momentum > 0,
            weight_decay=recipe.weight_decay,
        ),
        torch.amp.GradScaler(where.type, enabled=recipe.precision == "float16"),
    )
    log = log_path(out)
    rows = [] if found is None else rows_until(log, LogRow, found.epoch, found.step)
    if found is not None and found.optimizer:
        run.optimizer.load_state_dict(dict(found.optimizer["sgd"]))
        run.scaler.load_state_dict(dict(found.optimizer["scale"]))
    if found is None or not found.finished:
        start = (0, 0) if found is None else (found.epoch, found.step)
        _loop(run, photos, recipe, start, fresh, out, rows, where, workers, group, progress, say)
    else:
        notes = ["the training was complete before: nothing was done"]
        if progress is not None:
            progress(1, 1)
    group.wait()
    return Trained(out, log, tuple(rows), tuple(notes))


def _require_shares(photos: LabelledPhotos, recipe: Recipe, group: Processes) -> None:
    size = min(recipe.batch_size, len(photos))
    if size % group.count:
        raise WsolbenchError(
            "batch_size",
            found=f"{size} photos a step for {group.count} processes",
            expected="a multiple of the number of processes",
            cure="choose another --batch-size, or another number of processes",
        )


def _start(
    module: Method[Any],
    backbone: str,
    trunk: tuple[str | os.PathLike[str] | None, str | None, str | None],
) -> tuple[dict[str, Any], list[str]]:
    """Fill the trunk; what a checkpoint says of it, and notes."""
    path, key, preprocessing = trunk
    network = module.network
    if not isinstance(network, PaperNetwork | PooledNetwork):
        raise TypeError(f"a network of type {type(network).__name__}")
    if path is None:
        if preprocessing is not None:
            network.half_range = preprocessing == HALF_RANGE
        return {}, ["every parameter starts at random: no weights were given"]
    notes = load_trunk(network, path, key)
    sha256 = sha256_of(path)
    if preprocessing is not None:
        network.half_range = preprocessing == HALF_RANGE
    elif network.half_range:
        require_published(backbone, path, sha256, of="trunk weights")
    return {"weights": Path(path).name, "sha256": sha256}, [f"{path}: {note}" for note in notes]


def _found(out: Path, fresh: Checkpoint, *, resume: bool, overwrite: bool) -> Checkpoint | None:
    """The checkpoint to continue, if there is one."""
    if not continues(out, resume=resume, overwrite=overwrite):
        return None
    found = read_checkpoint(out)
    compared = (
        "method",
        "backbone",
        "settings",
        "recipe",
        "classes",
        "data",
        "trunk",
        "half_range",
    )
    wanted = {name: getattr(fresh, name) for name in compared}
    # The same folder may be named in another way.
    wanted["data"] = {**fresh.data, "title": found.data.get("title")}
    require_same(out, found, wanted)
    return found


def parameter_groups(module: Method[Any], recipe: Recipe) -> list[dict[str, Any]]:
    """The trunk's parameters at the learning rate, all others at `head_factor` times it.

    A parameter belongs to the trunk because the network says so, not because of its name.
    """
    trunk = list(module.network.trunk_parameters())
    known = {id(own) for own in trunk}
    head = [own for own in module.parameters() if id(own) not in known]
    rate = recipe.learning_rate
    return [
        {"params": trunk, "lr": rate, "factor": 1.0},
        {"params": head, "lr": rate * recipe.head_factor, "factor": recipe.head_factor},
    ]


def learning_rate_at(recipe: Schedule, epoch: int) -> float:
    """The learning rate in an epoch, from 0; of a classifier, the trunk's."""
    drops = sum(epoch >= after for after in recipe.drop_after)
    return recipe.learning_rate * recipe.drop_factor**drops


def _loop(
    run: _Run,
    photos: LabelledPhotos,
    recipe: Recipe,
    start: tuple[int, int],
    fresh: Checkpoint,
    out: Path,
    rows: list[LogRow],
    where: torch.device,
    workers: int,
    group: Processes,
    progress: Progress | None,
    say: Callable[[LogRow], None] | None,
) -> None:
    """The steps from `start` to the end; rows are added to `rows`."""
    steps = list(_steps(photos, recipe, start, group))
    per_epoch = len(steps_of(len(photos), recipe, 0))
    every = max(STEPS_PER_ROW, -(-per_epoch // ROWS_PER_EPOCH))
    objective: nn.Module = _Objective(run.module)
    if group.count > 1:
        objective = nn.parallel.DistributedDataParallel(
            objective, device_ids=[where.index] if where.type == "cuda" else None
        )
    objective.train()
    total = recipe.epochs * per_epoch
    size = min(recipe.batch_size, len(photos))
    seen = torch.zeros(3, dtype=torch.float64)  # loss, correct, photos
    began = saved = time.monotonic()
    pinned = where.type == "cuda"
    read = batches(photos, steps, recipe, input_of(fresh.backbone), workers=workers, pinned=pinned)
    for (epoch, step, _), (images, labels) in zip(steps, read, strict=True):
        rate = learning_rate_at(recipe, epoch)
        for own in run.optimizer.param_groups:
            own["lr"] = rate * own["factor"]
        loss, correct = _step(run, objective, images, labels, recipe, (epoch, step), where, group)
        seen += torch.tensor([loss * len(labels), correct, len(labels)], dtype=torch.float64)
        done = epoch * per_epoch + step + 1
        if progress is not None:
            progress(done * size, total * size)
        if (step + 1) % every and step + 1 < per_epoch:
            continue
        summed = group.summed(seen.to(where if where.type == "cuda" else "cpu")).cpu().tolist()
        if not np.isfinite(summed[0]):
            raise diverged(epoch, step, rate)
        now = time.monotonic()
        speed = summed[2] / max(now - began, 1e-9)
        row = LogRow(epoch + 1, step + 1, summed[0] / summed[2], summed[1] / summed[2], rate, speed)
        rows.append(row)
        if say is not None:
            say(row)
        seen.zero_()
        began = now
        ends = step + 1 == per_epoch
        if group.first and (ends or now - saved > SAVE_SECONDS):
            place = (epoch + 1, 0) if ends else (epoch, step + 1)
            _save(out, run, fresh, rows, place, finished=done == total)
            saved = time.monotonic()


def _steps(
    photos: LabelledPhotos, recipe: Recipe, start: tuple[int, int], group: Processes
) -> Iterator[Step]:
    """All steps from a place on, each with this process's share of its photos."""
    for epoch in range(start[0], recipe.epochs):
        for step, chosen in enumerate(steps_of(len(photos), recipe, epoch)):
            if (epoch, step) >= start:
                yield epoch, step, chosen[group.rank :: group.count]


class _Objective(nn.Module):
    """A method's loss as a forward pass, which DistributedDataParallel needs."""

    def __init__(self, method: Method[Any]) -> None:
        super().__init__()
        self.method = method

    def forward(
        self, images: Tensor, labels: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        return self.method.training_loss(images, labels, generator)


def _step(
    run: _Run,
    objective: nn.Module,
    images: Tensor,
    labels: Tensor,
    recipe: Recipe,
    place: tuple[int, int],
    where: torch.device,
    group: Processes,
) -> tuple[float, int]:
    """One step of the optimizer; the loss and the number of correct photos."""
    words = np.random.SeedSequence([recipe.seed, *place, group.rank]).generate_state(2, np.uint64)
    generator = torch.Generator().manual_seed(int(words[0] >> np.uint64(1)))
    images = images.to(where, non_blocking=True, memory_format=torch.channels_last)
    labels = labels.to(where, non_blocking=True)
    kind = getattr(torch, recipe.precision)
    with torch.random.fork_rng(devices=[where] if where.type == "cuda" else []):
        torch.manual_seed(int(words[1] >> np.uint64(1)))  # of the head's dropout
        with torch.autocast(where.type, dtype=kind, enabled=kind != torch.float32):
            loss, logits = objective(images, labels, generator)
        run.optimizer.zero_grad()
        torch.autograd.backward(run.scaler.scale(loss))
    run.scaler.step(run.optimizer)
    run.scaler.update()
    return float(loss.detach()), int((logits.detach().argmax(dim=1) == labels).sum())


def _save(
    out: Path,
    run: _Run,
    fresh: Checkpoint,
    rows: Sequence[LogRow],
    place: tuple[int, int],
    *,
    finished: bool,
) -> None:
    """Write the log and the checkpoint, together."""
    state = {name: own.detach().cpu().clone() for name, own in run.module.state_dict().items()}
    optimizer = {"sgd": run.optimizer.state_dict(), "scale": run.scaler.state_dict()}
    now = replace(
        fresh,
        epoch=place[0],
        step=place[1],
        finished=finished,
        state=state,
        optimizer={} if finished else optimizer,
    )
    with together():
        write_log(log_path(out), LogRow, rows)
        write_checkpoint(out, now)
