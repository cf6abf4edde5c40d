"""More scores of results that are there: `rescore`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import click

from ..files import require_ending, require_json_target, require_target, write_all
from ..progress import bar
from ..tables import require_columns_target, write_columns
from .options import (
    FILE,
    bootstrap_options,
    check_output_options,
    format_option,
    intervals_of,
    json_option,
    listed,
    quiet_option,
)
from .printing import print_results

__all__ = ["rescore"]


@click.command()
@click.argument("result", type=FILE)
@click.option(
    "--metrics",
    metavar="NAME,NAME",
    default="explain",
    show_default=True,
    help="Metrics to add: any whose statistics the counts hold.",
)
@bootstrap_options("Compute 95 % confidence intervals from B resamples [default: as the result].")
@click.option("--out", type=FILE, help="Write the result to this file, and its counts next to it.")
@click.option(
    "--per-image",
    type=FILE,
    help="Write the explanation scores of each image to a .csv or .parquet file.",
)
@format_option
@json_option
@quiet_option
def rescore(
    result: Path,
    metrics: str,
    bootstrap: int | None,
    seed: int | None,
    out: Path | None,
    per_image: Path | None,
    form: str,
    as_json: bool,
    quiet: bool,
) -> None:
    """Add scores to a RESULT from the counts next to it.

    RESULT was written by `evaluate --out R.json --counts`. Neither maps nor masks are read, and the
    scores that it has stay as they are.
    """
    from ..evaluation.counts import counts_path, read_counts, write_counts
    from ..evaluation.rescore import explained_table, rescored
    from ..formats.result import read_result

    check_output_options(form, as_json)
    drawn = intervals_of(bootstrap, seed)
    inputs = [result, counts_path(result)]
    targets = [] if out is None else [out, counts_path(out)]
    if out is not None:
        require_json_target(out, inputs)
        require_ending(out, "JSON", "print a table with --format csv, md or latex")
        require_target(counts_path(out), inputs)
    if per_image is not None:
        require_columns_target(per_image)
        require_target(per_image, [*inputs, *targets])
    counts = read_counts(counts_path(result), read_result(result))
    with bar("rescore", "resample", quiet=quiet) as progress:
        more = rescored(
            counts,
            listed(metrics),
            bootstrap=drawn,
            progress=progress,
        )
    writes: dict[Path, Callable[[Path], None]] = {}
    if out is not None:
        writes[out] = more.result.write
        writes[counts_path(out)] = partial(write_counts, counts=more)
    if per_image is not None:
        writes[per_image] = partial(write_columns, columns=explained_table(more))
    write_all(writes)
    print_results([more.result], form, as_json)
