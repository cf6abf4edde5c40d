"""Prediction by several processes, each with its part of the images, into one submission."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..data.dataset import Dataset
from ..errors import WsolbenchError
from ..evaluation.notes import class_notes
from ..formats.submission.merge import merge_submissions
from ..formats.submission.reader import Submission
from .backbones import ClassMapModel
from .devices import device_named
from .predict import Predicted, predict
from .processes import joined_processes

__all__ = ["part_path", "predict_sharded"]


def part_path(out: str | os.PathLike[str], part: int, parts: int) -> Path:
    """The file of one process: `maps.h5` becomes `maps.2-of-4.h5`; `part` is from 1."""
    path = Path(out)
    return path.with_name(f"{path.stem}.{part}-of-{parts}{path.suffix}")


def predict_sharded(
    model: ClassMapModel,
    dataset: Dataset,
    outs: Mapping[str, Path],
    *,
    shard: tuple[int, int] | None = None,
    device: str = "auto",
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
    **options: Any,
) -> Predicted | None:
    """As `predict.predict`; under `torchrun` every process predicts its part of the images.

    The first process then merges the parts, in the order of the annotations, and removes them.

    Args:
        model: as in `predict`.
        dataset: as in `predict`.
        outs: submissions by normalisation.
        shard: predict only this part (from 1) of so many, without merging; not under `torchrun`.
        device: as in `predict`; "auto" is one GPU for each process.
        overwrite: as in `predict`.
        progress: called in the first process, with its own photos.
        options: of `predict`.

    Returns:
        What was predicted; None in all processes but the first.

    Raises:
        WsolbenchError: as in `predict`; there are fewer images than parts; or `shard` is given
            under `torchrun`.
    """
    where = device_named(device)
    with joined_processes(where) as group:
        if group.count == 1:
            part = dataset if shard is None else dataset.shard(shard[0] - 1, shard[1])
            return predict(
                model, part, outs, device=device, overwrite=overwrite, progress=progress, **options
            )
        if shard is not None:
            raise WsolbenchError(
                "shard",
                found=f"part {shard[0]} of {shard[1]} in {group.count} processes of torchrun",
                expected="one of both",
                cure="leave --shard out: torchrun's processes share the images",
            )
        parts = {name: part_path(out, group.rank + 1, group.count) for name, out in outs.items()}
        own = dataset.shard(group.rank, group.count)
        shown = progress if group.first else None
        done = predict(
            model,
            own,
            parts,
            device=str(where),
            overwrite=overwrite,
            progress=shown,
            **options,
        )
        group.wait()
        if not group.first:
            return None
        for out in outs.values():
            paths = [part_path(out, rank + 1, group.count) for rank in range(group.count)]
            merge_submissions(paths, out, order=dataset.store, overwrite=True)
            for path in paths:
                path.unlink()
        with Submission.open(next(iter(outs.values()))) as merged:
            whole = dataset.only(merged.image_ids)
            notes = {**dict.fromkeys(done.notes), **dict.fromkeys(class_notes(whole, merged))}
        return Predicted(whole, tuple(notes))
