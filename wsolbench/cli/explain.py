"""Comparing explainers on one's own network and photos: `explain`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import click

from ..interrupts import advise
from ..progress import bar
from .options import (
    FILE,
    bootstrap_options,
    device_option,
    exif_option,
    jobs_option,
    listed,
    quiet_option,
    require_torch,
)
from .predict import (
    check_source,
    load_network,
    network_options,
    seeds_from,
)
from .printing import print_notes

__all__ = ["explain"]


@click.command()
@click.option("--images", type=FILE, required=True, help="Folder of the photos.")
@click.option(
    "--masks",
    type=FILE,
    required=True,
    help="Masks: a folder of <photo's name>.png, a COCO file (.json) or an annotation file (.h5).",
)
@network_options
@click.option(
    "--methods",
    metavar="NAME,NAME",
    default="gradcam,layercam,scorecam,sem",
    show_default=True,
    help="Methods: cam, sem, an explainer of `predict list`, or MODULE:FUNCTION; beside them "
    "trivial:NAME, a baseline that sees no photo, such as trivial:centre-gaussian.",
)
@click.option(
    "--classes",
    metavar="predicted|annotated|FILE",
    default="predicted",
    show_default=True,
    help="Class that is explained: the network's prediction, the class of the masks, or that of a "
    "CSV with the columns image_id and output.",
)
@click.option(
    "--class-map",
    metavar="FILE|imagenet|same",
    help="Model classes of each annotated class, see predict.",
)
@click.option(
    "--class-names",
    type=FILE,
    help="Names of the network's outputs for the page: a text file with one a line, in their order "
    "[default: those of --checkpoint].",
)
@click.option("--size", type=click.IntRange(8), help="Side in pixels to which photos are resized.")
@click.option(
    "--limit", type=click.IntRange(1), metavar="N", help="Use N photos, evenly spread by name."
)
@click.option(
    "--seeds",
    type=seeds_from,
    metavar="K|FRACTION",
    default="0.1",
    show_default=True,
    help="Seed positions of SEM, or their fraction of all positions.",
)
@click.option(
    "--start",
    metavar="METHOD",
    help="Method from whose map SEM starts [default: cam; of a network without class maps, the "
    "first explainer of --methods].",
)
@click.option("--layer", metavar="NAME", help="Layer that is explained [default: the last one].")
@click.option(
    "--channels",
    metavar="N|all",
    help="Channels that scorecam scores, those with the largest deviation in the photo [default: "
    "64].",
)
@click.option("--dataset", metavar="NAME", help="Name of the data set [default: that of --masks].")
@exif_option
@bootstrap_options("Number of resamples of the photos.", 10_000)
@device_option
@jobs_option
@click.option("--resume", is_flag=True, help="Continue an interrupted run.")
@click.option(
    "--overwrite", is_flag=True, help="Replace the run that is in --out, finished or not."
)
@click.option("--out", type=FILE, required=True, help="Folder to write.")
@quiet_option
def explain(
    images: Path,
    masks: Path,
    methods: str,
    channels: str | None,
    bootstrap: int,
    seed: int,
    size: int | None,
    out: Path,
    quiet: bool,
    device: str,
    classes: str,
    **options: Any,
) -> None:
    """Find out which explainer points best at the object, on your network and photos.

    Writes maps, scores, a comparison in pairs with its verdict, and OUT/index.html, a page with
    each photo, its maps, their IoU and whether they point at the object.
    """
    names = ("backbone", "weights", "weights_key", "preprocessing", "random_weights", "model")
    source = {name: options.pop(name) for name in (*names, "checkpoint")}
    check_source(None, **source)
    require_torch("explain")
    from ..evaluation.comparison_report import correction_text
    from ..explaining.run import explain as run_explain
    from ..explaining.words import basis, conclusion, pair_sentence, short_names
    from ..formats.report import table
    from ..formats.result import Bootstrap

    advise("run the same command with --resume to continue")
    network = load_network(None, **source, size=size)
    done = run_explain(
        network,
        images,
        masks,
        out,
        listed(methods),
        classes=classes,
        size=size,
        channels=int(channels) if channels and channels.isdecimal() else channels,
        bootstrap=Bootstrap(bootstrap, seed),
        device=device,
        bars=partial(bar, quiet=quiet),
        **options,
    )
    click.echo(table(done.results))
    if done.verdict is not None:
        short = short_names(done.verdict, done.results)
        click.echo(f"\n{conclusion(done.verdict, short)}\n")
        for own in done.verdict.comparisons[0].tallies:
            click.echo(pair_sentence(own, short))
        click.echo(correction_text(done.verdict.comparisons[0]))
    click.echo("\n" + "\n".join(basis(done.results, done.verdict)))
    click.echo(f"\n{out / 'index.html'}: {len(done.dataset)} photos with their maps")
    print_notes(done.notes)
