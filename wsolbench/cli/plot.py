"""`plot`: pictures of what was scored."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..files import require_target
from ..progress import bar
from .options import FILE, annotations_option, json_option, plural, quiet_option

if TYPE_CHECKING:
    from ..formats.result import Result
    from ..leaderboard import Entry

__all__ = [
    "plot",
    "plot_areas",
    "plot_cases",
    "plot_curves",
    "plot_groups",
    "plot_maps",
    "plot_seeds",
]


@click.group()
def plot() -> None:
    """Draw what was scored."""


_picture = click.option("--out", type=FILE, required=True, help="A .png, .svg or .pdf file.")


_style = click.option(
    "--style",
    type=click.Choice(["screen", "paper"]),
    default="screen",
    show_default=True,
    help="paper: serif letters, no grid, 300 dpi.",
)


@plot.command("curves")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=FILE)
@click.option(
    "--curve",
    "kinds",
    multiple=True,
    type=click.Choice(["iou", "precision-recall", "box"]),
    help="Which; may be repeated [default: all that the files hold].",
)
@annotations_option
@_picture
@_style
@quiet_option
def plot_curves(
    files: tuple[Path, ...],
    kinds: tuple[str, ...],
    annotations: Path | None,
    out: Path,
    style: str,
    quiet: bool,
) -> None:
    """IoU-Threshold, precision-recall and box accuracy curves.

    A FILE is a result, a measured entry of the leaderboard, or a submission, which is scored first.
    """
    from ..plots import curves_held, save_curves

    scored = _scored(files, annotations, out, quiet)
    save_curves(scored, out, kinds or curves_held(scored), style)
    click.echo(f"{out}: {plural(len(scored), 'result')}")


@plot.command("areas")
@click.argument("annotations", type=FILE)
@_picture
@_style
def plot_areas(annotations: Path, out: Path, style: str) -> None:
    """Histogram of object area / image area, by split."""
    from ..formats.annotations import AnnotationStore
    from ..plots import save_areas

    require_target(out, [annotations])
    store = AnnotationStore.open(annotations)
    save_areas(store, out, style)
    click.echo(f"{out}: {len(store)} objects")


@plot.command("seeds")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=FILE)
@annotations_option
@_picture
@_style
@quiet_option
def plot_seeds(
    files: tuple[Path, ...], annotations: Path | None, out: Path, style: str, quiet: bool
) -> None:
    """Scores against the number of SEM seeds, a line a backbone.

    A FILE is a result, an entry of the leaderboard, or a submission, which is scored first.
    """
    from ..plots import save_seeds

    scored = _scored(files, annotations, out, quiet)
    save_seeds(scored, out, style)
    click.echo(f"{out}: {plural(len(scored), 'result')}")


@plot.command("groups")
@click.argument("files", metavar="RESULT...", nargs=-1, required=True, type=FILE)
@click.option(
    "--by",
    "kind",
    type=click.Choice(["area", "boxes", "class"]),
    default="area",
    show_default=True,
    help="Groups that the results have: `evaluate --by`.",
)
@_picture
@_style
def plot_groups(files: tuple[Path, ...], kind: str, out: Path, style: str) -> None:
    """Scores of groups of images.

    Groups are by the object's area, the number of boxes, or the class.
    """
    from ..formats.result import read_result
    from ..plots import save_groups

    require_target(out, files)
    save_groups([read_result(file) for file in files], kind, out, style)
    click.echo(f"{out}: {plural(len(files), 'result')}")


@plot.command("maps")
@click.argument("submissions", nargs=-1, required=True, type=FILE)
@annotations_option
@click.option("--images", type=FILE, required=True, help="Folder of photos.")
@click.option(
    "--result",
    "results",
    multiple=True,
    type=FILE,
    help="A submission's result, for its box at Box-T; may be repeated.",
)
@click.option(
    "--ids", metavar="ID,ID", multiple=True, help="Which photos, from top to bottom; repeatable."
)
@click.option("--count", type=click.IntRange(1), help="Or how many, at random [default: 4].")
@click.option("--seed", type=click.IntRange(0), help="Of the random choice [default: 0].")
@_picture
@_style
def plot_maps(
    submissions: tuple[Path, ...],
    annotations: Path | None,
    images: Path,
    results: tuple[Path, ...],
    ids: tuple[str, ...],
    count: int | None,
    seed: int | None,
    out: Path,
    style: str,
) -> None:
    """Photos with masks and boxes beside the maps of submissions."""
    import numpy

    from ..data.dataset import Dataset
    from ..evaluation.overlays import choose_images
    from ..formats.annotations import find_annotations
    from ..formats.result import read_result
    from ..formats.submission.reader import Submission
    from ..plots import save_maps

    if ids and (count is not None or seed is not None):
        raise click.UsageError("--ids excludes --count and --seed.")
    require_target(out, [*submissions, *results, annotations])
    opened = [Submission.open(file) for file in submissions]
    header = opened[0].header
    found = find_annotations(annotations, header.dataset)
    require_target(out, [found])
    dataset = Dataset.open(found, header.split, images)
    held = set(dataset.image_ids)  # an id may hold a comma itself
    named = [[text] if text in held else text.split(",") for text in ids]
    chosen = [name.strip() for names in named for name in names]
    if not ids:
        chosen = choose_images(dataset, opened, count or 4, numpy.random.default_rng(seed or 0))
    save_maps(dataset, opened, out, chosen, [read_result(file) for file in results], style)
    click.echo(f"{out}: {', '.join(chosen)}")


@plot.command("cases")
@click.argument("submission", type=FILE)
@annotations_option
@click.option("--images", type=FILE, required=True, help="Folder of photos.")
@click.option(
    "--result", type=FILE, help="The submission's result: draws at its thresholds, e.g. carried."
)
@click.option(
    "--count", type=click.IntRange(1, 13), default=3, show_default=True, help="Images of a kind."
)
@click.option("--jobs", type=click.IntRange(1), help="Threads [default: one a processor].")
@_picture
@_style
@json_option
@quiet_option
def plot_cases(
    submission: Path,
    annotations: Path | None,
    images: Path,
    result: Path | None,
    count: int,
    jobs: int | None,
    out: Path,
    style: str,
    as_json: bool,
    quiet: bool,
) -> None:
    """Images on which box and mask disagree.

    Right boxes around poor maps, and good maps with wrong boxes: where the metrics disagree.
    The submission is scored first. Of each kind the images come first whose two IoUs lie farthest
    apart, beside those on which both are highest.
    """
    from ..data.dataset import Dataset
    from ..evaluation.cases import KINDS, find_cases
    from ..formats.annotations import find_annotations
    from ..formats.result import read_result
    from ..formats.submission.reader import Submission
    from ..plots import require_form, save_cases

    require_form(out)
    require_target(out, [submission, annotations, result])
    read = read_result(result) if result else None
    with Submission.open(submission) as opened:
        found = find_annotations(annotations, opened.header.dataset)
        require_target(out, [found])
        dataset = Dataset.open(found, opened.header.split, images)
        with bar("evaluate", quiet=quiet) as progress:
            cases = find_cases(dataset, opened, read, count, jobs=jobs, progress=progress)
        save_cases(dataset, opened, cases, out, style)
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
    """What files hold that are to be drawn; submissions are scored, after all else was read."""
    from ..evaluation.run import Request, find_dataset, run
    from ..formats.describe import is_hdf5
    from ..formats.submission.reader import Submission
    from ..leaderboard.entries import read_scored
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
