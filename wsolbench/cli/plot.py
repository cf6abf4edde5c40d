"""Figures: `plot`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import counted
from ..files import require_target
from ..progress import bar
from .figure_options import look_options, photos_to_draw, picture_option
from .options import (
    FILE,
    annotations_option,
    check_store_options,
    check_subset_options,
    dataset_option,
    device_option,
    exif_option,
    ids_option,
    images_option,
    jobs_option,
    json_option,
    limit_option,
    listed,
    quiet_option,
    require_torch,
)
from .predict import (
    check_source,
    class_map_option,
    features_option,
    label_option,
    load_network,
    network_options,
    open_images,
    seeds_from,
    size_option,
)
from .printing import print_notes

if TYPE_CHECKING:
    from ..baselines.seed_features import SeedStatistics
    from ..data.dataset import Dataset
    from ..formats.result import Result
    from ..formats.submission.reader import Submission
    from ..leaderboard.entries import Entry

__all__ = [
    "plot",
    "plot_areas",
    "plot_cases",
    "plot_curves",
    "plot_edges",
    "plot_groups",
    "plot_maps",
    "plot_seed_counts",
    "plot_seeds",
]


@click.group()
def plot() -> None:
    """Draw scores, maps and annotations."""


@plot.command("curves")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=FILE)
@click.option(
    "--curve",
    "kinds",
    multiple=True,
    type=click.Choice(["iou", "precision-recall", "box", "boundary"]),
    help="Curve to draw; may be repeated [default: all that the files contain].",
)
@annotations_option
@picture_option
@look_options
@quiet_option
def plot_curves(
    files: tuple[Path, ...],
    kinds: tuple[str, ...],
    annotations: Path | None,
    out: Path,
    style: str,
    width: str | None,
    quiet: bool,
) -> None:
    """Draw IoU-Threshold, precision-recall, box accuracy and boundary curves.

    A FILE is a result, a measured leaderboard entry, or a submission, which is scored first.
    """
    from ..plots import curves_held, save_curves

    scored = _scored(files, annotations, out, quiet)
    save_curves(scored, out, kinds or curves_held(scored), style, width)
    click.echo(f"{out}: {counted(len(scored), 'result')}")


@plot.command("areas")
@click.argument("annotations", type=FILE)
@picture_option
@look_options
def plot_areas(annotations: Path, out: Path, style: str, width: str | None) -> None:
    """Draw a histogram of object area / image area for each split."""
    from ..formats.annotations import AnnotationStore
    from ..plots import save_areas

    require_target(out, [annotations])
    store = AnnotationStore.open(annotations)
    save_areas(store, out, style, width)
    drawn = int(store.masked.sum())
    left = f" ({len(store) - drawn} without a mask left out)" if drawn < len(store) else ""
    click.echo(f"{out}: {counted(drawn, 'image')}{left}")


@plot.command("seed-counts", short_help="Draw scores against the number of seeds.")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=FILE)
@annotations_option
@picture_option
@look_options
@quiet_option
def plot_seed_counts(
    files: tuple[Path, ...],
    annotations: Path | None,
    out: Path,
    style: str,
    width: str | None,
    quiet: bool,
) -> None:
    """Draw scores against the number of SEM seeds, one line per backbone.

    A FILE is a result, a leaderboard entry, or a submission, which is scored first.
    """
    from ..plots import save_seed_counts

    scored = _scored(files, annotations, out, quiet)
    save_seed_counts(scored, out, style, width)
    click.echo(f"{out}: {counted(len(scored), 'result')}")


@plot.command("seeds", short_help="Draw the features of seeds, object and background.")
@network_options
@annotations_option
@dataset_option
@images_option
@exif_option
@click.option("--split", default="val", show_default=True, help="Split to draw photos of.")
@limit_option
@ids_option
@size_option
@label_option
@class_map_option
@click.option(
    "--seeds",
    type=seeds_from,
    metavar="K|FRACTION",
    help="Number of seed positions, or their fraction of all positions [default: the positions "
    "whose CAM is above 0.7, as in the paper's figure].",
)
@features_option
@click.option(
    "--perplexity",
    type=click.FloatRange(1),
    default=30,
    show_default=True,
    help="Perplexity of t-SNE: about the number of neighbours of each position.",
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**32 - 1),
    default=0,
    show_default=True,
    help="Random seed of --max-pixels and of t-SNE.",
)
@click.option(
    "--max-pixels",
    type=click.IntRange(2),
    default=1000,
    show_default=True,
    help="Number of positions of each photo to embed: all seeds, and others at random.",
)
@device_option
@picture_option
@look_options
@json_option
@quiet_option
def plot_seeds(
    annotations: Path | None,
    dataset: str | None,
    images: Path,
    exif: str,
    split: str,
    limit: int | None,
    ids: Path | None,
    size: int | None,
    label: str,
    class_map: str | None,
    seeds: int | float | None,
    features: str,
    perplexity: float,
    seed: int,
    max_pixels: int,
    device: str,
    out: Path,
    style: str,
    width: str | None,
    as_json: bool,
    quiet: bool,
    **source: Any,
) -> None:
    """Draw the features of seeds, of the rest of the object and of the background by t-SNE.

    The positions of a network's feature map are divided by its CAM and the mask, as in the paper's
    Fig. 2a. How similar the seeds are to both other groups is printed as numbers. Without --ids and
    --limit, six photos evenly spread over the split are drawn.
    """
    from ..plots import require_form

    check_store_options(annotations, dataset)
    check_subset_options(limit, ids)
    check_source(None, **source)
    require_form(out)
    require_target(out, [annotations, ids, source["weights"], source["checkpoint"]])
    require_torch("plot seeds")
    from ..baselines.embedding import require_sklearn
    from ..baselines.seed_features import seed_features, seed_statistics
    from ..plots.grid import require_photos
    from ..plots.seeds import MAX_PANELS, save_seeds, seed_panels

    require_sklearn()
    opened = open_images(annotations, dataset, split, images, limit, ids, exif)
    opened = _spread(opened, 6) if limit is None and ids is None else opened
    require_target(out, [opened.store.path])
    require_photos(len(opened), MAX_PANELS)
    network = load_network(None, **source)
    names = tuple(listed(features))
    with bar("features", quiet=quiet) as progress:
        found = seed_features(
            network,
            opened,
            seeds=seeds,
            features=names,
            size=size,
            label=label,
            class_map=class_map,
            device=device,
            progress=progress,
        )
    told = [seed_statistics(own) for own in found]
    with bar("t-SNE", quiet=quiet) as progress:
        panels = seed_panels(
            opened,
            list(zip(found, told, strict=True)),
            perplexity=perplexity,
            seed=seed,
            max_pixels=max_pixels,
            progress=progress,
        )
    title = f"{network.name}, {' + '.join(names)}, on {opened.name} {split}"
    save_seeds(panels, out, title, style, width)
    if as_json:
        content: dict[str, Any] = {
            "images": [own.as_dict() for own in told],
            "network": network.name,
        }
        content |= {"features": list(names), "seeds": seeds, "label": label}
        content |= {"perplexity": perplexity, "seed": seed, "max_pixels": max_pixels}
        click.echo(json.dumps(content, indent=1, sort_keys=True))
        return
    click.echo(f"{out}: {counted(len(told), 'image')} of {opened.name} {split}")
    click.echo(_seed_table(told))


def _spread(dataset: Dataset, count: int) -> Dataset:
    """Images evenly spread over a split."""
    ids, left = dataset.image_ids, min(count, len(dataset))
    return dataset.only([ids[place * len(ids) // left] for place in range(left)])


def _seed_table(told: Sequence[SeedStatistics]) -> str:
    """The numbers of `plot seeds`, a row per image."""
    from ..tables import grid

    head = ["image", "seeds", "on object", "object", "background"]
    head += ["cos object", "cos background", "AUC", "AUC of CAM", "above 95 %"]
    rows = [
        [
            own.image_id,
            *map(str, (own.seeds, own.seeds_on_object, own.object_rest, own.background)),
            *(_number(value, "{:.3f}") for value in (own.seed_object, own.seed_background)),
            *(_number(value, "{:.1%}", "%") for value in (own.auc, own.class_map_auc, own.above)),
        ]
        for own in told
    ]
    return grid(rows, head, aligned="lr")


def _number(value: float | None, form: str, unit: str = "") -> str:
    """A number, or a dash for none; fractions as percent without their sign."""
    return "-" if value is None else form.format(value).removesuffix(unit)


@plot.command("groups")
@click.argument("files", metavar="RESULT...", nargs=-1, required=True, type=FILE)
@click.option(
    "--by",
    "kind",
    type=click.Choice(["area", "boxes", "class"]),
    default="area",
    show_default=True,
    help="Groups to draw, which `evaluate --by` has scored.",
)
@picture_option
@look_options
def plot_groups(
    files: tuple[Path, ...], kind: str, out: Path, style: str, width: str | None
) -> None:
    """Draw the scores of groups of images.

    Images are grouped by the object's area, the number of boxes, or the class.
    """
    from ..formats.result import read_result
    from ..plots import save_groups

    require_target(out, files)
    save_groups([read_result(file) for file in files], kind, out, style, width)
    click.echo(f"{out}: {counted(len(files), 'result')}")


@plot.command("maps")
@click.argument("submissions", nargs=-1, required=True, type=FILE)
@annotations_option
@images_option
@exif_option
@click.option(
    "--result",
    "results",
    multiple=True,
    type=FILE,
    help="Result of a submission, to draw its boxes at Box-T; may be repeated.",
)
@photos_to_draw
@picture_option
@look_options
def plot_maps(
    submissions: tuple[Path, ...],
    annotations: Path | None,
    images: Path,
    exif: str,
    results: tuple[Path, ...],
    out: Path,
    style: str,
    width: str | None,
    **options: Any,
) -> None:
    """Draw photos with masks and boxes next to the maps of submissions."""
    from ..formats.result import read_result
    from ..formats.submission.reader import Submission
    from ..plots import save_maps

    require_target(out, [*submissions, *results, annotations])
    opened = [Submission.open(file) for file in submissions]
    dataset = _dataset_of(opened, annotations, images, exif, out)
    chosen = _chosen(dataset, opened, **options)
    read = [read_result(file) for file in results]
    save_maps(dataset, opened, out, chosen, read, style, width)
    if 0 < len(read) < len(opened):
        without = f"{len(opened) - len(read)} of {len(opened)} submissions have no --result"
        print_notes([f"{without}: their maps are without outline, IoU and box"])
    click.echo(f"{out}: {', '.join(chosen)}")


@plot.command("edges")
@click.argument("submissions", nargs=-1, required=True, type=FILE)
@annotations_option
@images_option
@exif_option
@photos_to_draw
@click.option(
    "--nms", is_flag=True, help="Draw the edges after non-maximum suppression, as they are scored."
)
@picture_option
@look_options
def plot_edges(
    submissions: tuple[Path, ...],
    annotations: Path | None,
    images: Path,
    exif: str,
    nms: bool,
    out: Path,
    style: str,
    width: str | None,
    **options: Any,
) -> None:
    """Draw photos, the edges of submissions and the true boundary, as in the paper's Fig. 10."""
    from ..formats.submission.reader import Submission
    from ..metrics.choices import BoundaryRule
    from ..plots import require_form, save_edges

    require_form(out)
    require_target(out, [*submissions, annotations])
    opened = [Submission.open(file) for file in submissions]
    dataset = _dataset_of(opened, annotations, images, exif, out)
    chosen = _chosen(dataset, opened, **options)
    rule = BoundaryRule() if nms else None
    save_edges(dataset, opened, out, chosen, rule, style, width)
    click.echo(f"{out}: {', '.join(chosen)}")


def _dataset_of(
    opened: Sequence[Submission], annotations: Path | None, images: Path, exif: str, out: Path
) -> Dataset:
    """The split of the first submission, with its photos."""
    from ..data.dataset import Dataset
    from ..formats.annotations import find_annotations

    header = opened[0].header
    found = find_annotations(annotations, header.dataset)
    require_target(out, [found])
    return Dataset.open(found, header.split, images, exif=exif)


def _chosen(
    dataset: Dataset,
    opened: Sequence[Submission],
    *,
    ids: tuple[str, ...],
    count: int | None,
    seed: int | None,
    common: bool,
) -> list[str]:
    """The photos that `photos_to_draw` names, or some at random."""
    import numpy

    from ..evaluation.overlays import choose_images

    if ids and (count is not None or seed is not None or common):
        raise click.UsageError("--ids excludes --count, --seed and --common.")
    held = set(dataset.image_ids)  # an id may hold a comma itself
    named = [[text] if text in held else text.split(",") for text in ids]
    if not ids:
        rng = numpy.random.default_rng(seed or 0)
        return choose_images(dataset, opened, count or 4, rng, common=common)
    return [name.strip() for names in named for name in names]


@plot.command("cases")
@click.argument("submission", type=FILE)
@annotations_option
@images_option
@exif_option
@ids_option
@click.option(
    "--result",
    type=FILE,
    help="Result of the submission, to draw at its thresholds, e.g. carried ones.",
)
@click.option(
    "--count",
    type=click.IntRange(1, 13),
    default=3,
    show_default=True,
    help="Number of images of each kind.",
)
@jobs_option
@picture_option
@look_options
@json_option
@quiet_option
def plot_cases(
    submission: Path,
    annotations: Path | None,
    images: Path,
    exif: str,
    ids: Path | None,
    result: Path | None,
    count: int,
    jobs: int | None,
    out: Path,
    style: str,
    width: str | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Draw images on which box and mask scores disagree.

    These are correct boxes around poor maps, and good maps with wrong boxes. Images whose two IoUs
    differ most come first. Images on which both IoUs are highest are drawn for comparison. The
    submission is scored first.
    """
    from ..data.dataset import Dataset
    from ..data.id_lists import read_ids
    from ..evaluation.cases import KINDS, find_cases
    from ..formats.annotations import find_annotations
    from ..formats.result import read_result
    from ..formats.submission.reader import Submission
    from ..plots import require_form, save_cases

    require_form(out)
    require_target(out, [submission, annotations, result, ids])
    read = read_result(result) if result else None
    with Submission.open(submission) as opened:
        found = find_annotations(annotations, opened.header.dataset)
        require_target(out, [found])
        dataset = Dataset.open(found, opened.header.split, images, exif=exif)
        if ids is not None:
            dataset = dataset.only(read_ids(ids))
        with bar("evaluate", quiet=quiet) as progress:
            cases = find_cases(dataset, opened, read, count, jobs=jobs, progress=progress)
        save_cases(dataset, opened, cases, out, style, width)
    if as_json:
        click.echo(json.dumps(cases.as_dict(), indent=1, sort_keys=True))
        return
    at = "the submission's" if cases.box_threshold is None else f"at T = {cases.box_threshold}"
    click.echo(f"{out}: {cases.images} images, masks at T = {cases.pixel_threshold}, boxes {at}")
    for name, kind in KINDS.items():
        group = cases.groups[name]
        told = [
            f"{case.image_id} ({100 * case.mask_iou:.1f}, {100 * case.box_iou:.1f})"
            for case in group.chosen
        ]
        first = f"; IoU of mask and box: {', '.join(told)}" if told else ""
        click.echo(f"  {kind.words}: {group.images}{first}")
    click.echo(f"  box wrong, mask IoU below 50 %: {cases.neither}")


def _scored(
    files: tuple[Path, ...], annotations: Path | None, out: Path, quiet: bool
) -> list[Result | Entry]:
    """Results and entries to draw; submissions are scored once all files have been read."""
    from ..evaluation.run import Request, find_dataset, run
    from ..formats.describe import is_hdf5
    from ..formats.submission.reader import Submission
    from ..leaderboard import read_scored
    from ..plots import require_form

    require_target(out, [*files, annotations])
    found = [Submission.open(file) if is_hdf5(file) else read_scored(file) for file in files]
    require_form(out)
    scored: list[Result | Entry] = []
    for item in found:
        if isinstance(item, Submission):
            with item:
                request = Request(item, annotations)
                dataset = find_dataset(request, item)
                require_target(out, [dataset.store.path])
                request = replace(request, annotations=dataset)
                scored += run(request, partial(bar, quiet=quiet)).results
        else:
            scored.append(item)
    return scored
