"""Training of a classifier with one of the methods: `train`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..baselines.settings import METHODS, Recipe, recipe_for
from ..errors import counted
from ..files import require_target
from ..progress import bar
from .options import (
    FILE,
    annotations_option,
    check_store_options,
    dataset_option,
    device_option,
    exif_option,
    images_option,
    limit_option,
    overwrite_option,
    quiet_option,
    require_torch,
    resume_option,
    trunk_options,
    workers_option,
)
from .printing import print_notes
from .settings_options import given_settings, settings_options

if TYPE_CHECKING:
    from ..baselines.train import LogRow
    from ..baselines.training_data import LabelledPhotos

__all__ = ["check_photos", "photos_of", "train"]


@click.group()
def train() -> None:
    """Train a classifier on class labels with a WSOL method, or a boundary detector on top of one.

    \b
    wsolbench train cam --backbone resnet50-sem --trunk-weights resnet50.pth \\
        --images ILSVRC/train --out cam.pt
    wsolbench predict cam --checkpoint cam.pt --annotations ilsvrc.h5 --images ILSVRC/val --out m.h5

    The defaults are the paper's: SGD with 0.001 for the trunk and 0.01 for the head, divided by 10
    after the second of five epochs.
    """


def _add(method: str) -> None:
    """Add the command `train METHOD`."""
    record = METHODS[method]

    @settings_options(record.settings)
    @click.option("--backbone", required=True, help="Name of a backbone, e.g. resnet50-sem.")
    @trunk_options
    @images_option
    @annotations_option
    @dataset_option
    @click.option(
        "--split", help="Train on the photos of this split of --annotations, by their class."
    )
    @exif_option
    @limit_option
    @settings_options(Recipe)
    @workers_option(", for each training process")
    @device_option
    @resume_option
    @overwrite_option
    @click.option("--out", type=FILE, required=True, help="Write the checkpoint to this file.")
    @quiet_option
    def command(**options: Any) -> None:
        _train(method, **options)

    words = {
        "cam": "CAM: the classifier alone.",
        "has": "Hide-and-Seek: hide patches of the photos.",
        "acol": "ACoL: a second head without what the first looks at.",
        "cutmix": "CutMix: paste boxes of other photos.",
        "spg": "SPG: branches that learn from confident pixels.",
        "adl": "ADL: drop or weight features by their attention.",
    }
    command.__doc__ = f"{words[method]}\n\n{record.paper}."
    train.command(method, short_help=words[method])(command)


for _method in METHODS:
    _add(_method)


def _train(
    method: str,
    *,
    images: Path,
    annotations: Path | None,
    dataset: str | None,
    split: str | None,
    exif: str,
    limit: int | None,
    out: Path,
    quiet: bool,
    backbone: str,
    trunk_weights: Path | None,
    **options: Any,
) -> None:
    check_photos(annotations, dataset, split, exif, limit)
    if trunk_weights is None and options["weights_key"] is not None:
        raise click.UsageError("--weights-key needs --trunk-weights.")
    settings = given_settings(METHODS[method].settings, options)
    recipe = recipe_for(backbone, given_settings(Recipe, options))
    require_target(out, [annotations, trunk_weights])
    require_torch("train")
    from ..baselines.processes import processes_here
    from ..baselines.train import train as train_method

    first = processes_here().first
    photos = photos_of(images, annotations, dataset, split, exif, limit)

    def say(row: LogRow) -> None:
        if not quiet:
            click.echo(_line(row, recipe.epochs), err=True)

    with bar(f"train {method}", unit="photo", quiet=quiet or not first) as progress:
        trained = train_method(
            photos,
            out,
            method=method,
            backbone=backbone,
            trunk_weights=trunk_weights,
            settings=settings,
            recipe=recipe,
            progress=progress,
            say=say,
            **options,
        )
    if not first:
        return
    ending = "its log is not there"
    if trained.rows:
        last = trained.rows[-1]
        ending = (
            f"loss {last.loss:.3f}, accuracy {last.accuracy:.1%} in the last steps; log in "
            f"{trained.log}"
        )
    click.echo(
        f"{out}: {METHODS[method].title} on {backbone}, {len(photos)} photos of "
        f"{len(photos.classes)} classes, {counted(recipe.epochs, 'epoch')}, {ending}"
    )
    print_notes(trained.notes)


def _line(row: LogRow, epochs: int) -> str:
    return (
        f"epoch {row.epoch}/{epochs}, step {row.step}: loss {row.loss:.3f}, accuracy "
        f"{row.accuracy:.1%}, learning rate {row.learning_rate:g}, "
        f"{row.photos_per_second:.1f} photos/s"
    )


def check_photos(
    annotations: Path | None,
    dataset: str | None,
    split: str | None,
    exif: str,
    limit: int | None,
) -> None:
    """Raise unless the options name a folder of classes, or a split."""
    check_store_options(annotations, dataset)
    if split is None and (annotations is not None or dataset is not None):
        raise click.UsageError("--annotations and --dataset need --split, e.g. --split train.")
    if split is None and (limit is not None or exif != "ignore"):
        raise click.UsageError("--limit and --exif need --annotations and --split.")


def photos_of(
    images: Path,
    annotations: Path | None,
    dataset: str | None,
    split: str | None,
    exif: str,
    limit: int | None,
) -> LabelledPhotos:
    """The photos of a folder of classes, or of a split."""
    from ..baselines.training_data import labelled_folder, labelled_split
    from ..data.dataset import Dataset
    from ..formats.annotations import find_annotations

    if split is None:
        return labelled_folder(images)
    opened = Dataset.open(find_annotations(annotations, dataset), split, images, exif=exif)
    return labelled_split(opened if limit is None else opened.first(limit))
