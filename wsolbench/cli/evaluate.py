"""`evaluate`, `validate`, `thresholds`, `protocols`: one submission, and what scores mean."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..files import each_out, require_target
from ..progress import bar
from .options import (
    FILE,
    LEVEL,
    annotations_option,
    format_option,
    json_option,
    listed,
    quiet_option,
)

if TYPE_CHECKING:
    from ..formats.result import Result

__all__ = ["evaluate", "print_result", "protocols", "thresholds", "validate"]


@click.command()
@click.argument("submission", type=FILE)
@annotations_option
@click.option("--split", help="Refuse a submission for another split than this.")
@click.option(
    "--protocol",
    "names",
    metavar="NAME,NAME",
    default="sem",
    show_default=True,
    help="What a score means; `wsolbench protocols` lists them. Several are scored in one pass.",
)
@click.option(
    "--metrics",
    metavar="pixel,box",
    help="One or both [default: all that protocol and annotations allow].",
)
@click.option(
    "--out",
    type=FILE,
    help="Write the result file; of several protocols r.json becomes r.<protocol>.json.",
)
@click.option("--per-image", type=FILE, help="Write per-image scores to a .csv or .parquet file.")
@click.option("--threshold-from", type=FILE, help="Read scores at the thresholds of this result.")
@click.option("--threshold", type=LEVEL, help="Read scores at this threshold.")
@click.option(
    "--bootstrap",
    type=click.IntRange(20, 100_000),
    metavar="B",
    help="95 % intervals from B resamples of the images, e.g. 1000.",
)
@click.option("--seed", type=click.IntRange(0), help="Of the resamples [default: 0].")
@click.option(
    "--by", metavar="area,boxes,class", help="Score groups of images too: one or more of these."
)
@click.option(
    "--counts", is_flag=True, help="Keep each image's counts beside --out, for `compare`."
)
@click.option("--allow-missing", is_flag=True, help="Count images without map as maps of zeros.")
@click.option("--limit", type=click.IntRange(1), help="A trial on the first N images.")
@click.option("--jobs", type=click.IntRange(1), help="Threads [default: one a processor].")
@format_option
@json_option
@quiet_option
def evaluate(
    submission: Path,
    annotations: Path | None,
    split: str | None,
    names: str,
    metrics: str | None,
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
    jobs: int | None,
    form: str,
    as_json: bool,
    quiet: bool,
) -> None:
    """Score the maps of a submission."""
    from ..evaluation.counts import counts_path, write_counts
    from ..evaluation.run import Request, find_dataset, run
    from ..formats.result import Bootstrap, read_result
    from ..formats.submission.reader import Submission
    from ..protocols import protocols_named
    from ..tables import require_columns_form, write_columns

    if seed is not None and bootstrap is None:
        raise click.UsageError("--seed needs --bootstrap.")
    if threshold is not None and threshold_from is not None:
        raise click.UsageError("--threshold and --threshold-from exclude each other.")
    if as_json and form != "text":
        raise click.UsageError("--json and --format exclude each other.")
    if counts and out is None:
        raise click.UsageError("--counts needs --out, beside which they are kept.")
    protocols = protocols_named(names)
    if form == "csv" and len(protocols) > 1:
        raise click.UsageError("--format csv goes with one protocol; --json holds several.")
    outs = [] if out is None else each_out(out, [own.name for own in protocols])
    kept = [counts_path(target) for target in outs] if counts else []
    targets = [*outs, *kept, *([per_image] if per_image else [])]
    request = Request(
        submission,
        annotations,
        split=split,
        protocols=protocols,
        metrics=None if metrics is None else listed(metrics),
        threshold=threshold if threshold_from is None else threshold_from,
        bootstrap=None if bootstrap is None else Bootstrap(bootstrap, seed or 0),
        by=listed(by),
        per_image=per_image is not None,
        counts=counts,
        allow_missing=allow_missing,
        limit=limit,
        jobs=jobs,
    )
    for place, target in enumerate(targets):
        require_target(target, [submission, annotations, threshold_from, *targets[:place]])
    if per_image is not None:
        require_columns_form(per_image)
    if threshold_from is not None:
        request = replace(request, threshold=read_result(threshold_from))
    with Submission.open(submission) as opened:
        dataset = find_dataset(request, opened)
        for target in targets:
            require_target(target, [dataset.store.path])
        request = replace(request, submission=opened, annotations=dataset, limit=None)
        outcome = run(request, partial(bar, quiet=quiet))
    if per_image is not None:
        write_columns(per_image, outcome.table)
    for result, target in zip(outcome.results, outs, strict=bool(outs)):
        result.write(target)
    for statistics, target in zip(outcome.counts, kept, strict=bool(kept)):
        write_counts(target, statistics)
    _print_results(outcome.results, form, as_json)


@click.command()
@click.argument("result", type=FILE)
@click.option("--threshold-from", type=FILE, help="A result whose thresholds are carried.")
@click.option(
    "--threshold",
    "fixed",
    type=LEVEL,
    multiple=True,
    help="A fixed one; may be repeated [default: 51 and 128].",
)
@format_option
@json_option
def thresholds(
    result: Path, threshold_from: Path | None, fixed: tuple[int, ...], form: str, as_json: bool
) -> None:
    """Read one result at several rules' thresholds.

    The best on its own images, those of another result, and fixed ones stand side by side.
    Published numbers are mostly the best on the very images that they are reported on.
    """
    from ..evaluation.thresholds import FIXED, readings, readings_table
    from ..formats.report import signature
    from ..formats.result import read_result

    if as_json and form != "text":
        raise click.UsageError("--json and --format exclude each other.")
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
    """List the protocols: what a score means, field by field.

    Of others than sem the fields that differ from it; --json prints all fields of all.
    """
    from ..protocols import PROTOCOLS, changes

    if as_json:
        records = [protocol.as_dict() for protocol in PROTOCOLS.values()]
        click.echo(json.dumps(records, indent=1, sort_keys=True))
        return
    first = PROTOCOLS["sem"]
    for protocol in PROTOCOLS.values():
        told = protocol.as_dict() if protocol is first else changes(protocol, first)
        differs = "" if protocol is first else f", differs from {first.name} in"
        head = f"{protocol.name} version {protocol.version} ({protocol.sha256[:8]}){differs}"
        click.echo(click.style(head, bold=True))
        for name, value in told.items():
            if name not in ("name", "version", "sha256"):
                click.echo(f"  {name:19} {_in_words(value)}")


@click.command()
@click.argument("submission", type=FILE)
@click.option("--annotations", type=FILE, help="Check image ids against this annotation file.")
@click.option("--split", help="With annotations: the split it should cover [default: its own].")
@json_option
@quiet_option
def validate(
    submission: Path, annotations: Path | None, split: str | None, as_json: bool, quiet: bool
) -> None:
    """List every fault of a submission.

    Exit status 0 without any, 1 with some. Annotations are not needed; with them the image ids are
    checked too.
    """
    from ..formats.annotations import AnnotationStore
    from ..formats.submission.reader import validate as find_faults

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
    sys.exit(1 if faults else 0)


def _in_words(value: object) -> str:
    """A protocol's field on one line."""
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def _print_results(results: Sequence[Result], form: str, as_json: bool) -> None:
    """Results one after the other; JSON of several is a list of what their files hold."""
    from ..formats.report import breakdown_table, signature, table

    if as_json:
        texts = [result.to_json().rstrip("\n") for result in results]
        click.echo(texts[0] if len(texts) == 1 else "[" + ",\n".join(texts) + "]")
        return
    for place, result in enumerate(results):
        if place:
            click.echo()
        if form == "text":
            print_result(result)
        else:
            click.echo(table([result], form))
            for kind in result.breakdowns if form != "csv" else ():
                click.echo(f"\n{breakdown_table(result, kind, form)}")
            click.echo(signature(result), err=True)


def print_result(result: Result) -> None:
    """Print a result with its groups, counts and signature."""
    from ..formats.report import breakdown_table, signature, table

    head = (
        f"{result.name} on {result.dataset} {result.split}, {result.images} images, "
        f"protocol {result.protocol['name']}, percent"
    )
    click.echo(click.style(head, bold=True))
    click.echo(table([result]))
    for kind in result.breakdowns:
        click.echo(f"\n{breakdown_table(result, kind)}")
    if result.breakdowns:
        chosen = {
            "T": (result.threshold.pixel, "peak_threshold"),
            "Box-T": (result.threshold.box, "box_threshold"),
        }
        told = [
            f"{name} = {result.scores.get(key) if level is None else level}"
            for name, (level, key) in chosen.items()
            if level is not None or key in result.scores
        ]
        click.echo(f"\ngroups are read at the thresholds of all images: {', '.join(told)}")
    for name, words in (
        ("missing", "{} without a map, scored as zeros"),
        ("constant", "{} with a map of one value"),
        ("full_frame_masks", "{} with a mask that fills the frame"),
    ):
        if result.counts.get(name):
            click.echo(f"images: {words.format(result.counts[name])}")
    click.echo(signature(result))


SHOWN_FAULTS = 20
