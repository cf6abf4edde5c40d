"""What the scores are worth: `study metrics`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import click

from ..files import require_json_target, require_target, write_all, write_text
from ..progress import bar
from .figure_options import check_look, look_options
from .options import FILE, check_output_options, format_option, json_option, quiet_option

__all__ = ["study_metrics"]


@click.command("metrics")
@click.option(
    "--masks",
    type=click.IntRange(4, 10_000),
    default=24,
    show_default=True,
    metavar="N",
    help="Masks drawn for each size of object.",
)
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Random seed of masks, damage and resamples.",
)
@click.option("--out", type=FILE, help="Write the study to this JSON file.")
@click.option(
    "--plot", type=FILE, help="Draw what each score loses to each damage (PNG, SVG or PDF)."
)
@look_options
@format_option
@json_option
@quiet_option
def study_metrics(
    masks: int,
    seed: int,
    out: Path | None,
    plot: Path | None,
    style: str,
    width: str | None,
    form: str,
    as_json: bool,
    quiet: bool,
) -> None:
    """Measure the scores: known damage on known truth.

    Drawn masks of three sizes have maps that fit them, which are made worse step by step. For each
    score the table says what part of its distance to chance the greatest damage takes (with * if it
    does not fall at every step and size), how far brightness (gamma) moves it, and how stably it
    ranks methods: the agreement of two halves of the images (Kendall's tau), of the images with
    each other (Kendall's W), and from how many images on the order of the methods is settled.
    """
    from ..study.metrics import metric_study_table
    from ..study.metrics import study_metrics as run

    check_output_options(form, as_json)
    check_look(plot=plot)
    if out is not None:
        require_json_target(out, [])
    if plot is not None:
        from ..plots import require_form

        require_form(plot)
        require_target(plot, [])
    with bar("study", "step", quiet=quiet) as progress:
        study = run(masks, seed, progress)
    writes: dict[Path, Callable[[Path], None]] = {}
    if out is not None:
        writes[out] = partial(write_text, text=study.to_json())
    if plot is not None:
        from ..study.metric_picture import save_metric_study

        writes[plot] = partial(save_metric_study, study, style=style, width=width)
    write_all(writes)
    text = study.to_json().rstrip("\n") if as_json else metric_study_table(study, form)
    click.echo(text)
