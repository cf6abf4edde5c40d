"""Scoring: `evaluate`, `thresholds`, `protocols` and `validate`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..files import (
    path_per_name,
    require_ending,
    require_json_target,
    require_target,
    write_all,
)
from ..progress import bar
from ..tables import require_columns_target, write_columns
from .options import (
    FILE,
    LEVEL,
    annotations_option,
    check_output_options,
    check_subset_options,
    format_option,
    ids_option,
    jobs_option,
    json_option,
    limit_option,
    listed,
    quiet_option,
)
from .printing import print_notes, print_results

if TYPE_CHECKING:
    from ..metrics.choices import BoundaryRule

__all__ = ["evaluate", "protocols", "thresholds", "validate"]

SHOWN_FAULTS = 20

_TABLES = "print a table with --format csv, md or latex, or write one with --per-image FILE.csv"


@click.command()
@click.argument("submission", type=FILE)
@annotations_option
@click.option("--split", help="Fail if the submission is for another split.")
@click.option(
    "--protocol",
    "names",
    metavar="NAME,NAME",
    default="sem",
    show_default=True,
    help="Evaluation protocols, see `wsolbench protocols`; several are scored in one pass.",
)
@click.option(
    "--metrics",
    metavar="pixel,box,boundary",
    help="Metrics to compute [default: all that protocol, annotations and submission support].",
)
@click.option(
    "--no-nms",
    is_flag=True,
    help="Score edges as they are, without non-maximum suppression, e.g. if they are thin already.",
)
@click.option(
    "--boundary-truth",
    type=click.Choice(["thinned", "inner"]),
    help="True boundary: the outline of the mask thinned, or the object's own outermost pixels "
    "[default: thinned].",
)
@click.option(
    "--boundary-distance",
    type=click.FloatRange(0, 0.1, min_open=True),
    help="Greatest distance of a correct edge pixel, as a share of the image's diagonal "
    "[default: 0.0075].",
)
@click.option(
    "--out",
    type=FILE,
    help="Write the result to this file; with several protocols, r.json becomes r.<protocol>.json.",
)
@click.option(
    "--per-image", type=FILE, help="Write the scores of each image to a .csv or .parquet file."
)
@click.option("--threshold-from", type=FILE, help="Score at the thresholds of this result.")
@click.option("--threshold", type=LEVEL, help="Score at this threshold (0 to 255).")
@click.option(
    "--bootstrap",
    type=click.IntRange(20, 100_000),
    metavar="B",
    help="Compute 95 % confidence intervals from B resamples of the images, e.g. 1000.",
)
@click.option("--seed", type=click.IntRange(0), help="Random seed of --bootstrap [default: 0].")
@click.option(
    "--by", metavar="area,boxes,class", help="Also score groups of images, by one or more of these."
)
@click.option(
    "--counts", is_flag=True, help="Save per-image statistics next to --out, for `compare`."
)
@click.option("--allow-missing", is_flag=True, help="Score images without a map as all-zero maps.")
@limit_option
@ids_option
@jobs_option
@format_option
@json_option
@quiet_option
def evaluate(
    submission: Path,
    annotations: Path | None,
    split: str | None,
    names: str,
    metrics: str | None,
    no_nms: bool,
    boundary_truth: str | None,
    boundary_distance: float | None,
    out: Path | None,
    per_image: Path | None,
    threshold_from: Path | None,
    threshold: int | None,
    bootstrap: int | None,
    seed: int | None,
    by: str | None,
    counts: bool,
    allow_missing: bool,
    limit: int | None,
    ids: Path | None,
    jobs: int | None,
    form: str,
    as_json: bool,
    quiet: bool,
) -> None:
    """Score a submission's maps, and its edges if it has some.

    Boundary scores need edges in the submission (see `wsolbench predict edges`, `wsolbench
    import-edges`) and take about 30 ms an image.
    """
    from ..data.id_lists import read_ids
    from ..evaluation.counts import counts_path, write_counts
    from ..evaluation.run import Request, find_dataset, run
    from ..formats.result import Bootstrap, read_result
    from ..formats.submission.reader import Submission
    from ..protocols import protocols_named

    if seed is not None and bootstrap is None:
        raise click.UsageError("--seed needs --bootstrap.")
    if threshold is not None and threshold_from is not None:
        raise click.UsageError("--threshold and --threshold-from exclude each other.")
    check_output_options(form, as_json)
    if counts and out is None:
        raise click.UsageError("--counts needs --out: the statistics are saved next to it.")
    check_subset_options(limit, ids)
    protocols = protocols_named(names)
    if form == "csv" and len(protocols) > 1:
        raise click.UsageError("--format csv supports one protocol; use --json for several.")
    request = Request(
        submission,
        annotations,
        split=split,
        protocols=protocols,
        metrics=None if metrics is None else listed(metrics),
        boundary=_boundary(no_nms, boundary_truth, boundary_distance),
        threshold=threshold if threshold_from is None else threshold_from,
        bootstrap=None if bootstrap is None else Bootstrap(bootstrap, seed or 0),
        by=listed(by),
        per_image=per_image is not None,
        counts=counts,
        allow_missing=allow_missing,
        limit=limit,
        ids=None if ids is None else read_ids(ids),
        jobs=jobs,
    )
    outs = [] if out is None else path_per_name(out, [own.name for own in protocols])
    kept = [counts_path(target) for target in outs] if counts else []
    targets = [*outs, *kept, *([] if per_image is None else [per_image])]
    for target in outs:
        require_json_target(target)
    for place, target in enumerate(targets):
        require_target(target, [submission, annotations, threshold_from, ids, *targets[:place]])
    if out is not None:
        require_ending(out, "JSON", _TABLES)
    if per_image is not None:
        require_columns_target(per_image)
    if threshold_from is not None:
        request = replace(request, threshold=read_result(threshold_from))
    with Submission.open(submission) as opened:
        dataset = find_dataset(request, opened)
        for target in targets:
            require_target(target, [dataset.store.path])
        request = replace(request, submission=opened, annotations=dataset, limit=None, ids=None)
        outcome = run(request, partial(bar, quiet=quiet))
    writes: dict[Path, Callable[[Path], None]] = {}
    if per_image is not None:
        writes[per_image] = partial(write_columns, columns=outcome.table)
    writes |= {to: own.write for own, to in zip(outcome.results, outs, strict=bool(outs))}
    for statistics, target in zip(outcome.counts, kept, strict=bool(kept)):
        writes[target] = partial(write_counts, counts=statistics)
    write_all(writes)
    print_results(outcome.results, form, as_json)
    print_notes(outcome.notes)


def _boundary(no_nms: bool, truth: str | None, distance: float | None) -> BoundaryRule | None:
    """The rule of boundary scores; None for the usual one."""
    if not no_nms and truth is None and distance is None:
        return None
    from ..metrics.choices import MAX_DISTANCE, BoundaryRule, BoundaryTruth

    return BoundaryRule(
        not no_nms,
        BoundaryTruth(truth or "thinned"),
        MAX_DISTANCE if distance is None else distance,
    )


@click.command()
@click.argument("result", type=FILE)
@click.option("--threshold-from", type=FILE, help="Also score at the thresholds of this result.")
@click.option(
    "--threshold",
    "fixed",
    type=LEVEL,
    multiple=True,
    help="Fixed threshold (0 to 255); may be repeated [default: 51 and 128].",
)
@format_option
@json_option
def thresholds(
    result: Path, threshold_from: Path | None, fixed: tuple[int, ...], form: str, as_json: bool
) -> None:
    """Score one result at its best, carried and fixed thresholds.

    Best thresholds are chosen on the images of the result itself; carried ones come from another
    result, e.g. of the val split. Most published scores use the best thresholds of the images that
    they are reported on.
    """
    from ..evaluation.thresholds import FIXED, readings, readings_table
    from ..formats.report import signature
    from ..formats.result import read_result

    check_output_options(form, as_json)
    read = read_result(result)
    carried = read_result(threshold_from) if threshold_from else None
    rows = readings(read, carried, fixed or FIXED)
    if as_json:
        click.echo(json.dumps([row.as_dict() for row in rows], indent=1, sort_keys=True))
        return
    click.echo(readings_table(rows, form))
    click.echo(f"\n{signature(read)}", err=form != "text")


@click.command()
@json_option
def protocols(as_json: bool) -> None:
    """List the evaluation protocols and their settings.

    Protocols other than sem list only the settings that differ from sem; --json prints all settings
    of every protocol. A protocol with a grid is available at any size from 1 to 4096 pixels a side,
    e.g. wsoleval-v1:320.
    """
    from ..protocols import PROTOCOLS
    from ..protocols.words import in_words

    if as_json:
        records = [protocol.as_dict() for protocol in PROTOCOLS.values()]
        click.echo(json.dumps(records, indent=1, sort_keys=True))
        return
    first = in_words(PROTOCOLS["sem"])
    for protocol in PROTOCOLS.values():
        settings = in_words(protocol)
        differs = "" if protocol.name == "sem" else ", differs from sem in"
        click.echo(click.style(f"{protocol.label}{differs}", bold=True))
        for name, text in settings.items():
            if protocol.name == "sem" or first.get(name) != text:
                click.echo(f"  {name:14} {text}")
    click.echo("Grids of other sizes: add pixels a side to the name, e.g. wsoleval-v1:320")


@click.command()
@click.argument("submission", type=FILE)
@click.option(
    "--annotations", type=FILE, help="Also check the image ids against this annotation file."
)
@click.option(
    "--split", help="With --annotations: the split that it must cover [default: its own]."
)
@json_option
@quiet_option
def validate(
    submission: Path, annotations: Path | None, split: str | None, as_json: bool, quiet: bool
) -> None:
    """List every fault of a submission.

    The exit status is 1 if there are any, else 0. Image ids are checked only with --annotations.
    """
    from ..data.dataset import Dataset
    from ..evaluation.notes import shape_notes
    from ..formats.annotations import AnnotationStore
    from ..formats.submission.reader import Submission
    from ..formats.submission.validate import validate as find_faults

    store = None if annotations is None else AnnotationStore.open(annotations)
    if split is not None and store is None:
        raise click.UsageError("--split needs --annotations.")
    with bar("validate", "map", quiet=quiet) as progress:
        faults = find_faults(submission, store, split, progress=progress)
    if as_json:
        click.echo(json.dumps([vars(fault) for fault in faults], indent=1, sort_keys=True))
    else:
        for fault in faults[:SHOWN_FAULTS]:
            click.echo(str(fault))
        if len(faults) > SHOWN_FAULTS:
            click.echo(f"... and {len(faults) - SHOWN_FAULTS} more (--json lists all)")
        checked = "" if store else " (ids not checked: give --annotations)"
        counted = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
        faulty = counted if faults else f"valid{checked}"
        click.echo(f"{submission}: {faulty}")
    if annotations is not None and not faults:
        with Submission.open(submission) as opened:
            dataset = Dataset.open(annotations, opened.header.split)
            print_notes(shape_notes(dataset, opened))
    sys.exit(1 if faults else 0)
