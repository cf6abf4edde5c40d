"""Comparing methods: `compare`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import click

from ..files import require_ending, require_json_target, require_target
from ..progress import bar
from .figure_options import check_look, look_options
from .layout_options import layout_of, layout_options
from .options import (
    FILE,
    annotations_option,
    bootstrap_options,
    check_output_options,
    format_option,
    jobs_option,
    json_option,
    listed,
    quiet_option,
)

__all__ = ["compare"]


@click.command()
@click.argument("files", metavar="FILE FILE...", nargs=-1, required=True, type=FILE)
@annotations_option
@click.option(
    "--protocol",
    "name",
    metavar="NAME,NAME|all",
    help="Protocols for scoring submissions [default: that of the results, else sem]. Several are "
    "decided together; all means every named one that the annotations allow.",
)
@bootstrap_options("Number of resamples of the images.", 1000)
@click.option("--against-first", is_flag=True, help="Compare every method with the first only.")
@click.option(
    "--common",
    is_flag=True,
    help="Compare files with maps of different images on those that all have.",
)
@click.option(
    "--prior",
    type=FILE,
    help="Result or submission that shows what any method has anyway, e.g. of `predict "
    "trivial:centre-gaussian`; the image-mean IoU of every method is then told beside it.",
)
@click.option(
    "--metrics",
    metavar="pixel,box,explain",
    help="Metrics to compare; counts of pixel scores hold those of explain too [default: those of "
    "the results, or all that submissions get without --metrics].",
)
@click.option("--out", type=FILE, help="Write the comparison to this JSON file.")
@click.option(
    "--plot",
    "picture",
    type=FILE,
    help="Draw the differences into this .png, .svg or .pdf file: with their intervals, or the "
    "verdicts of several protocols or of more than six pairs.",
)
@click.option(
    "--plot-verdict",
    "grid",
    type=FILE,
    help="Draw the verdicts, a row per score and a column per pair and protocol, into this file; "
    "more than eleven pairs are one matrix of all methods.",
)
@look_options
@jobs_option
@format_option
@json_option
@layout_options("columns", "transpose", "bold")
@quiet_option
def compare(
    files: tuple[Path, ...],
    annotations: Path | None,
    name: str | None,
    bootstrap: int,
    seed: int,
    against_first: bool,
    common: bool,
    prior: Path | None,
    metrics: str | None,
    out: Path | None,
    picture: Path | None,
    grid: Path | None,
    style: str,
    width: str | None,
    jobs: int | None,
    form: str,
    as_json: bool,
    quiet: bool,
    **asked: Any,
) -> None:
    """Compare methods in pairs, on the same images.

    A FILE is a result written by `evaluate --out R.json --counts`, or a submission, which is scored
    first. All must have maps of the same images, unless --common is given. Each difference comes
    with a 95 % confidence interval from paired resamples of the images, with the share of the
    resamples that agree on its sign, and with a verdict: ahead, behind or undecided, corrected for
    the number of comparisons (Holm). Under several protocols, a result r.json stands for the files
    r.<protocol>.json that `evaluate` wrote. Runs of one method that state different seeds are also
    summarised by their mean and standard deviation.
    """
    from ..evaluation.compare_files import compare_files, compare_protocols
    from ..evaluation.comparison import signature
    from ..evaluation.comparison_report import comparison_table, warnings_of
    from ..evaluation.counts import counts_path
    from ..evaluation.verdict import judge, verdict_signature, verdict_table, verdict_warnings
    from ..files import write_all, write_text
    from ..formats.result import Bootstrap
    from ..plots import require_form, save_forest, save_verdict

    check_output_options(form, as_json)
    layout = layout_of(form, as_json, **asked)
    check_look(plot=picture, plot_verdict=grid)
    several = name is not None and (name == "all" or "," in name)
    if several and prior is not None:
        raise click.UsageError("--prior supports one protocol.")
    given = [*files, *([] if prior is None else [prior])]
    inputs = [*given, *map(counts_path, given), annotations]
    if out:
        require_json_target(out, inputs)
        require_ending(out, "JSON", "print a table with --format csv, md or latex")
    for drawn in (picture, grid):
        if drawn:
            require_target(drawn, [*inputs, out, *([picture] if drawn is grid else [])])
            require_form(drawn)
    drawn_from = Bootstrap(bootstrap, seed)
    bars = partial(bar, quiet=quiet)
    families = None if metrics is None else listed(metrics)
    writes: dict[Path, Callable[[Path], None]] = {}
    if several:
        verdict = compare_protocols(
            files,
            drawn_from,
            annotations,
            protocols=None if name == "all" else listed(name),
            against_first=against_first,
            common=common,
            metrics=families,
            jobs=jobs,
            bars=bars,
        )
        text, lines = verdict.to_json(), verdict_signature(verdict)
        told, table = verdict_warnings(verdict), partial(verdict_table, verdict, form, layout)
        draw = partial(save_verdict, verdict, style=style, width=width)
    else:
        comparison = compare_files(
            files,
            drawn_from,
            annotations,
            protocol=name,
            against_first=against_first,
            common=common,
            metrics=families,
            prior=prior,
            jobs=jobs,
            bars=bars,
        )
        verdict = judge([comparison])
        text, lines = comparison.to_json(), signature(comparison)
        told, table = warnings_of(comparison), partial(comparison_table, comparison, form, layout)
        draw = partial(save_forest, comparison, style=style, width=width)
    if picture:
        writes[picture] = draw
    if grid:
        writes[grid] = partial(save_verdict, verdict, style=style, width=width)
    if out:
        writes[out] = partial(write_text, text=text)
    write_all(writes)
    for warning in told:
        click.echo(f"warning: {warning}", err=True)
    for path in writes:
        click.echo(f"written: {path}", err=True)
    if as_json:
        click.echo(text.rstrip("\n"))
        return
    click.echo(table())
    click.echo(f"\n{lines}", err=form != "text")
