"""Scoring: `evaluate`, `thresholds`, `protocols` and `validate`."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import counted
from ..files import require_target
from ..interrupts import advise
from ..progress import bar
from .layout_options import layout_of, layout_options
from .many import evaluate_listed
from .options import (
    FILE,
    LEVEL_OR_RULE,
    annotations_option,
    bootstrap_options,
    check_output_options,
    check_subset_options,
    format_option,
    ids_option,
    intervals_of,
    jobs_option,
    json_option,
    limit_option,
    listed,
    quiet_option,
    shard_option,
)
from .outputs import Outputs, result_options
from .printing import print_notes

if TYPE_CHECKING:
    from ..evaluation.run import Request
    from ..metrics.choices import BoundaryRule

__all__ = ["evaluate", "protocols", "thresholds", "validate"]

SHOWN_FAULTS = 20


@click.command()
@click.argument("submission", type=FILE, required=False)
@click.option(
    "--many",
    type=FILE,
    metavar="LIST",
    help="Score every submission that this text file lists, one path per line, together; --out is "
    "then the folder of the results, DIR/<name of the submission>.json.",
)
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
    metavar="pixel,box,boundary,shape,explain,levels",
    help="Metrics to compute [default: all but shape, explain and levels that protocol, "
    "annotations and submission support].",
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
@result_options
@limit_option
@ids_option
@shard_option(
    "Score only the I-th of N ranges of the images, and write its statistics into the folder "
    "--out, for merge-results; with --counts those of each image."
)
@click.option(
    "--scheduler",
    metavar="ADDRESS",
    help="Score on workers: local:N (processes), tcp://HOST:PORT (a Dask scheduler) or "
    "slurm:PARTITION; they must see --out and all other files.",
)
@jobs_option
@quiet_option
def evaluate(
    submission: Path | None,
    many: Path | None,
    annotations: Path | None,
    split: str | None,
    names: str,
    metrics: str | None,
    no_nms: bool,
    boundary_truth: str | None,
    boundary_distance: float | None,
    limit: int | None,
    ids: Path | None,
    shard: tuple[int, int] | None,
    scheduler: str | None,
    jobs: int | None,
    quiet: bool,
    **asked: Any,
) -> None:
    """Score a submission's maps, and its edges if it has some.

    Boundary scores need edges in the submission (see `wsolbench predict edges`, `wsolbench
    import-edges`) and take about 30 ms an image.
    """
    from ..formats.untrusted.process import prepare

    prepare("hdf5")  # it starts while the rest is imported
    from ..data.id_lists import read_ids
    from ..evaluation.run import Request, find_dataset, run
    from ..formats.submission.reader import Submission
    from ..protocols import protocols_named

    outputs = Outputs(**asked)
    given = _given(submission, many, outputs, shard, scheduler)
    check_subset_options(limit, ids)
    if names.strip() == "all":
        raise click.UsageError(
            "--protocol all is of compare; name protocols with commas, e.g. sem,wsoleval-v1 (see "
            "`wsolbench protocols`)."
        )
    protocols = protocols_named(names)
    request = Request(
        given,
        annotations,
        split=split,
        protocols=protocols,
        metrics=None if metrics is None else listed(metrics),
        boundary=_boundary(no_nms, boundary_truth, boundary_distance),
        threshold=outputs.threshold if outputs.threshold_from is None else outputs.threshold_from,
        bootstrap=outputs.intervals,
        by=outputs.kinds,
        per_image=outputs.per_image is not None,
        counts=outputs.counts,
        allow_missing=outputs.allow_missing,
        limit=limit,
        ids=None if ids is None else read_ids(ids),
        jobs=jobs,
    )
    if shard is not None:
        _evaluate_shard(request, shard, outputs, quiet)
        return
    if many is not None and outputs.out is not None:
        inputs = [annotations, ids]
        sys.exit(evaluate_listed(request, many, outputs.out, outputs, inputs, quiet))
    targets = outputs.targets([own.name for own in protocols], [given, annotations, ids])
    if scheduler is not None:
        _evaluate_on(scheduler, request, outputs, targets, quiet)
        return
    if outputs.threshold_from is not None:
        request = replace(request, threshold=outputs.read_threshold())
    with Submission.open(given) as opened:
        dataset = find_dataset(request, opened)
        for target in targets:
            require_target(target, [dataset.store.path])
        request = replace(request, submission=opened, annotations=dataset, limit=None, ids=None)
        outcome = run(request, partial(bar, quiet=quiet))
    outputs.write(outcome)


def _evaluate_shard(
    request: Request, shard: tuple[int, int], outputs: Outputs, quiet: bool
) -> None:
    """Write the statistics of a shard, and print where they are."""
    from ..evaluation.shards import Shard, write_shard

    if outputs.out is None:
        raise click.UsageError("--shard needs --out FOLDER.")
    given = {
        "--per-image": outputs.per_image,
        "--threshold": outputs.threshold,
        "--threshold-from": outputs.threshold_from,
        "--bootstrap": outputs.bootstrap,
        "--by": outputs.by,
        "--allow-missing": outputs.allow_missing,
        "--json": outputs.as_json,
        "--format": None if outputs.form == "text" else outputs.form,
    }
    for name, value in given.items():
        if value not in (None, False):
            raise click.UsageError(
                f"--shard writes statistics alone: give {name} to merge-results."
            )
    advise("run the same command again; nothing of this shard was written")
    own = Shard(*shard)
    path, written = write_shard(request, own, outputs.out, partial(bar, quiet=quiet))
    click.echo(f"{path}: shard {own}" + ("" if written else ", which was there"))


def _given(
    submission: Path | None,
    many: Path | None,
    outputs: Outputs,
    shard: tuple[int, int] | None,
    scheduler: str | None,
) -> Path:
    """The submission or the list of submissions, whichever is given."""
    given = submission if many is None else many
    if given is None or (submission is not None and many is not None):
        raise click.UsageError("Name a submission, or a list of submissions with --many.")
    if many is not None and outputs.out is None:
        raise click.UsageError("--many needs --out: the folder of the results.")
    if shard is not None and scheduler is not None:
        raise click.UsageError("--shard and --scheduler exclude each other.")
    for option, value in (
        ("--per-image", outputs.per_image),
        ("--shard", shard),
        ("--scheduler", scheduler),
    ):
        if many is not None and value is not None:
            raise click.UsageError(f"{option} supports one submission, not --many.")
    return given


def _evaluate_on(
    scheduler: str, request: Request, outputs: Outputs, targets: Sequence[Path], quiet: bool
) -> None:
    """Score on the workers of a scheduler; their files lie next to --out until it is written."""
    from ..evaluation.run import find_dataset
    from ..evaluation.schedulers import write_shards
    from ..evaluation.shards import merged
    from ..formats.submission.reader import Submission

    if outputs.out is None:
        raise click.UsageError("--scheduler needs --out, where all workers see it.")
    advise("run the same command again: shards that are done are kept")
    outputs.read_threshold()
    with Submission.open(request.submission) as opened:  # type: ignore[arg-type]
        store = find_dataset(request, opened).store.path
    for target in targets:
        require_target(target, [store])
    folder = outputs.out.with_name(f"{outputs.out.name}.shards")
    # What is made of the sums is asked of them, not of the workers.
    of_sums = replace(request, counts=request.keeps_images, threshold=None, bootstrap=None, by=())
    with bar("evaluate", "shard", quiet=quiet) as progress:
        files = write_shards(of_sums, scheduler, folder, progress)
    run = merged(files, store, of_images=request.keeps_images)
    outputs.write(outputs.outcome(run, quiet))
    for file in files:  # and no other: those of an unfinished run with other options stay
        file.unlink()
    shutil.rmtree(folder / "logs", ignore_errors=True)
    with suppress(OSError):  # something else is in it
        folder.rmdir()


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
    type=LEVEL_OR_RULE,
    multiple=True,
    help="Fixed threshold (0 to 255), or otsu, mean, max:F or area:F, by which each map gives its "
    "own; may be repeated [default: 51 and 128, and otsu, mean and max:0.5 if the counts are next "
    "to the result].",
)
@bootstrap_options(
    "Compute 95 % confidence intervals of the gaps from B resamples of the images; needs the "
    "counts next to the result."
)
@format_option
@json_option
@layout_options("columns", "sort", "transpose")
def thresholds(
    result: Path,
    threshold_from: Path | None,
    fixed: tuple[int | str, ...],
    bootstrap: int | None,
    seed: int | None,
    form: str,
    as_json: bool,
    **asked: Any,
) -> None:
    """Score one result at its best, carried, fixed and per-image thresholds.

    Best thresholds are chosen on the images of the result itself; carried ones come from another
    result, e.g. of the val split or of pseudo boxes; per-image ones follow from each map alone.
    Most published scores use the best thresholds of the images that they are reported on: the
    second table shows by how much these exceed the realistic ones (oracle minus realistic).
    """
    from ..evaluation.counts import counts_path, read_counts
    from ..evaluation.threshold_gaps import Gap, gaps_table, threshold_gaps
    from ..evaluation.thresholds import FIXED, PER_IMAGE, readings, readings_table
    from ..formats.report import signature
    from ..formats.result import read_result

    check_output_options(form, as_json)
    layout = layout_of(form, as_json, **asked)
    drawn = intervals_of(bootstrap, seed)
    if bootstrap is not None and form == "csv":
        raise click.UsageError(
            "--bootstrap and --format csv exclude each other: CSV holds the scores alone, --json "
            "the intervals too."
        )
    read = read_result(result)
    carried = read_result(threshold_from) if threshold_from else None
    kept = counts_path(result)
    counts = read_counts(kept, read) if kept.exists() else None
    usual = [*FIXED, *(PER_IMAGE if counts is not None and "pixels" in counts.kept else ())]
    rows = readings(read, carried, fixed or usual, counts)
    gaps = threshold_gaps(read, rows, counts, drawn)
    if as_json:
        content = [
            {**row.as_dict(), "gaps": own.gaps, "gap_intervals": own.intervals}
            for row, own in zip(rows, [Gap(rows[0].rule, {}), *gaps], strict=True)
        ]
        click.echo(json.dumps(content, indent=1, sort_keys=True))
        return
    click.echo(readings_table(rows, form, layout))
    if form != "csv":
        click.echo(f"\n{gaps_table(gaps, form, layout)}")
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
    from ..evaluation.notes import shape_notes, version_notes
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
        faulty = counted(len(faults), "fault") if faults else f"valid{checked}"
        click.echo(f"{submission}: {faulty}")
    if not faults:
        with Submission.open(submission) as opened:
            print_notes(version_notes(opened))
            if annotations is not None:
                dataset = Dataset.open(annotations, opened.header.split)
                print_notes(shape_notes(dataset, opened))
    sys.exit(1 if faults else 0)
