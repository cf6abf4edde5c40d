"""Comparing methods: `compare`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import click

from ..files import require_ending, require_json_target, require_target
from ..progress import bar
from .options import (
    FILE,
    annotations_option,
    check_output_options,
    format_option,
    jobs_option,
    json_option,
    quiet_option,
)

__all__ = ["compare"]


@click.command()
@click.argument("files", metavar="FILE FILE...", nargs=-1, required=True, type=FILE)
@annotations_option
@click.option(
    "--protocol",
    "name",
    help="Protocol for scoring submissions [default: that of the results, else sem].",
)
@click.option(
    "--bootstrap",
    type=click.IntRange(20, 100_000),
    metavar="B",
    default=1000,
    show_default=True,
    help="Number of resamples of the images.",
)
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Random seed of --bootstrap.",
)
@click.option("--against-first", is_flag=True, help="Compare every method with the first only.")
@click.option(
    "--common",
    is_flag=True,
    help="Compare files with maps of different images on those that all have.",
)
@click.option("--out", type=FILE, help="Write the comparison to this JSON file.")
@click.option(
    "--plot", "picture", type=FILE, help="Draw the comparison into this .png, .svg or .pdf file."
)
@jobs_option
@format_option
@json_option
@quiet_option
def compare(
    files: tuple[Path, ...],
    annotations: Path | None,
    name: str | None,
    bootstrap: int,
    seed: int,
    against_first: bool,
    common: bool,
    out: Path | None,
    picture: Path | None,
    jobs: int | None,
    form: str,
    as_json: bool,
    quiet: bool,
) -> None:
    """Compare methods in pairs, on the same images.

    A FILE is a result written by `evaluate --out R.json --counts`, or a submission, which is scored
    first. All must have maps of the same images, unless --common is given. Each difference comes
    with a 95 % confidence interval from paired resamples of the images, and with the share of the
    resamples that agree on its sign. Runs of one method that state different seeds are also
    summarised by their mean and standard deviation.
    """
    from ..evaluation.compare_files import compare_files
    from ..evaluation.comparison import comparison_table, signature, warnings_of
    from ..evaluation.counts import counts_path
    from ..files import write_all, write_text
    from ..formats.result import Bootstrap
    from ..plots import require_form, save_forest

    check_output_options(form, as_json)
    if name and "," in name:
        raise click.UsageError("--protocol takes one name: run compare once per protocol.")
    inputs = [*files, *map(counts_path, files), annotations]
    if out:
        require_json_target(out, inputs)
        require_ending(out, "JSON", "print a table with --format csv, md or latex")
    if picture:
        require_target(picture, [*inputs, out])
        require_form(picture)
    comparison = compare_files(
        files,
        Bootstrap(bootstrap, seed),
        annotations,
        protocol=name,
        against_first=against_first,
        common=common,
        jobs=jobs,
        bars=partial(bar, quiet=quiet),
    )
    writes: dict[Path, Callable[[Path], None]] = {}
    if picture:
        writes[picture] = partial(save_forest, comparison)
    if out:
        writes[out] = partial(write_text, text=comparison.to_json())
    write_all(writes)
    for warning in warnings_of(comparison):
        click.echo(f"warning: {warning}", err=True)
    if as_json:
        click.echo(comparison.to_json().rstrip("\n"))
        return
    click.echo(comparison_table(comparison, form))
    click.echo(f"\n{signature(comparison)}", err=form != "text")
