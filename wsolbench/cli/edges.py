"""Boundaries from class labels: `train edges`, `predict edges` and what they are compared with."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..boundaries.pseudo_settings import PseudoSettings
from ..boundaries.settings import EdgeRecipe, EdgeSettings
from ..files import require_ending, require_target
from ..progress import bar
from .options import (
    FILE,
    annotations_option,
    batch_option,
    check_store_options,
    check_subset_options,
    dataset_option,
    device_option,
    exif_option,
    ids_option,
    images_option,
    limit_option,
    overwrite_option,
    quiet_option,
    require_torch,
    resume_option,
    submission_option,
    workers_option,
)
from .predict import class_map_option, label_option, open_images
from .printing import print_notes
from .settings_options import given_settings, settings_options
from .train import check_photos, photos_of

if TYPE_CHECKING:
    from ..boundaries.predict import EdgesPredicted
    from ..boundaries.train import EdgeRow
    from ..data.dataset import Dataset

__all__ = ["PREDICT", "train_edges"]


@click.command("edges", short_help="Boundary detector on top of a classifier.")
@click.option(
    "--classifier",
    type=FILE,
    required=True,
    help="Checkpoint of the classifier, which is not changed.",
)
@images_option
@annotations_option
@dataset_option
@click.option("--split", help="Train on the photos of this split of --annotations.")
@exif_option
@limit_option
@settings_options(EdgeSettings)
@settings_options(EdgeRecipe)
@settings_options(PseudoSettings)
@workers_option()
@device_option
@resume_option
@overwrite_option
@click.option("--out", type=FILE, required=True, help="Write the checkpoint to this file.")
@quiet_option
def train_edges(
    classifier: Path,
    images: Path,
    annotations: Path | None,
    dataset: str | None,
    split: str | None,
    exif: str,
    limit: int | None,
    out: Path,
    quiet: bool,
    **options: Any,
) -> None:
    """Train a boundary detector from class labels alone (section 3.3 of the paper).

    The maps of a trained classifier and the photos give pseudo-boundaries, and a head on the
    classifier's features learns to predict them. Masks are not read.

    \b
    wsolbench train cam --backbone resnet50-sem --images ILSVRC/train --out cam.pt
    wsolbench train edges --classifier cam.pt --images ILSVRC/train --out edges.pt
    wsolbench predict edges --checkpoint edges.pt --annotations ilsvrc.h5 --images ILSVRC/val \\
        --out edges.h5
    """
    check_photos(annotations, dataset, split, exif, limit)
    settings = given_settings(EdgeSettings, options)
    recipe = given_settings(EdgeRecipe, options)
    pseudo = given_settings(PseudoSettings, options)
    if settings.get("maps") == "cam" and "seeds" in settings:
        raise click.UsageError("--seeds needs --maps sem.")
    require_target(out, [annotations, classifier])
    require_torch("train edges")
    from ..boundaries.train import train_edges as train_detector

    photos = photos_of(images, annotations, dataset, split, exif, limit)

    def say(row: EdgeRow) -> None:
        if not quiet:
            click.echo(
                f"epoch {row.epoch}, step {row.step}: loss {row.loss:.4f}, learning rate "
                f"{row.learning_rate:g}, {row.photos_per_second:.1f} photos/s",
                err=True,
            )

    trained = train_detector(
        photos,
        classifier,
        out,
        settings=settings,
        recipe=recipe,
        pseudo=pseudo,
        bars=partial(bar, quiet=quiet),
        say=say,
        **options,
    )
    ending = "its log is not there"
    if trained.rows:
        ending = f"loss {trained.rows[-1].loss:.4f} in the last steps; log in {trained.log}"
    click.echo(f"{out}: boundary detector of {len(photos)} photos, {ending}")
    print_notes(trained.notes)


def _data_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options of every prediction."""
    options = [
        annotations_option,
        dataset_option,
        images_option,
        exif_option,
        click.option("--split", default="val", show_default=True, help="Split to predict."),
        limit_option,
        ids_option,
        click.option("--name", help="Name of the method in tables [default: that of the method]."),
        resume_option,
        overwrite_option,
        submission_option,
        quiet_option,
    ]
    for option in reversed(options):
        command = option(command)
    return command


def _network_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options of predictions with a network."""
    for option in (device_option, workers_option(), batch_option, class_map_option, label_option):
        command = option(command)
    return command


@click.command("edges", short_help="Write the edges of a boundary detector.")
@click.option("--checkpoint", type=FILE, required=True, help="Checkpoint of wsolbench train edges.")
@_network_options
@click.option(
    "--dtype",
    type=click.Choice(["uint8", "float16", "float32"]),
    default="uint8",
    show_default=True,
    help="Number type in which maps and edges are stored.",
)
@_data_options
def predict_edges(checkpoint: Path, dtype: str, **options: Any) -> None:
    """Write the edges that a boundary detector predicts, beside the maps that it saw.

    \b
    wsolbench predict edges --checkpoint edges.pt --annotations a.h5 --images DIR --out edges.h5
    wsolbench evaluate edges.h5 --annotations a.h5 --metrics boundary
    """

    def write(opened: Dataset, out: Path, **given: Any) -> EdgesPredicted:
        from ..boundaries.predict import predict_edges as write_edges

        return write_edges(checkpoint, opened, out, map_dtype=dtype, **given)

    _predict("edges", write, [checkpoint], **options)


def _predict(
    title: str,
    write: Callable[..., EdgesPredicted],
    files: list[Path],
    *,
    annotations: Path | None,
    dataset: str | None,
    images: Path,
    exif: str,
    split: str,
    limit: int | None,
    ids: Path | None,
    name: str | None,
    out: Path,
    quiet: bool,
    **options: Any,
) -> None:
    check_store_options(annotations, dataset)
    check_subset_options(limit, ids)
    require_ending(out, "HDF5")
    require_target(out, [annotations, ids, *files])
    require_torch(f"predict {title}")
    opened = open_images(annotations, dataset, split, images, limit, ids, exif)
    require_target(out, [opened.store.path])
    metadata = {"name": name} if name else {}
    with bar(f"predict {title}", quiet=quiet) as progress:
        predicted = write(opened, out, metadata=metadata, progress=progress, **options)
    click.echo(f"{out}: edges of {len(predicted.dataset)} images of {opened.name} {split}")
    print_notes(predicted.notes)


@click.command("edges:canny", short_help="Write Canny's edges of the photos.")
@_data_options
def _canny(**options: Any) -> None:
    """Write Canny's edges of the photos, by the share of ten thresholds at which they are edges."""

    def write(opened: Dataset, out: Path, **given: Any) -> EdgesPredicted:
        from ..boundaries.predict import predict_canny

        return predict_canny(opened, out, **given)

    _predict("edges:canny", write, [], **options)


def _reference_options(command: Callable[..., None]) -> Callable[..., None]:
    options = [
        click.option(
            "--classifier", type=FILE, required=True, help="Checkpoint of wsolbench train."
        ),
        click.option(
            "--maps",
            type=click.Choice(["sem", "cam"]),
            default="sem",
            show_default=True,
            help="Localization maps: SEM's, or the classifier's own.",
        ),
        click.option(
            "--seeds",
            type=float,
            metavar="FRACTION",
            help="Seeds of SEM as a fraction of the map's positions [default: 0.05].",
        ),
        click.option(
            "--size",
            type=click.IntRange(8),
            help="Side in pixels to which photos are resized [default: that of the classifier's "
            "training].",
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def _reference(kind: str, classifier: Path, **options: Any) -> None:
    if options["maps"] == "cam" and options["seeds"] is not None:
        raise click.UsageError("--seeds needs --maps sem.")

    def write(opened: Dataset, out: Path, **given: Any) -> EdgesPredicted:
        from ..boundaries.predict import predict_reference

        return predict_reference(kind, classifier, opened, out, **given)

    _predict(f"edges:{kind}", write, [classifier], **options)


@click.command("edges:map-gradient", short_help="Write how steep localization maps are.")
@_reference_options
@_network_options
@_data_options
def _map_gradient(**options: Any) -> None:
    """Write the gradient of a classifier's localization maps as edges."""
    _reference("map-gradient", **options)


@click.command("edges:pseudo", short_help="Write pseudo-boundaries.")
@_reference_options
@settings_options(PseudoSettings)
@_network_options
@_data_options
def _pseudo(**options: Any) -> None:
    """Write the pseudo-boundaries of a classifier's localization maps as edges.

    A boundary detector learns from them; there they are made at the size of its grid, here at the
    photo's.
    """
    pseudo = given_settings(PseudoSettings, options)
    _reference("pseudo", pseudo=pseudo, **options)


PREDICT = (predict_edges, _canny, _map_gradient, _pseudo)
"""The commands of `predict`."""
