"""The command line: parse, one library call, print.

Results go to stdout, progress to stderr. Exit status 0: done; 1: the input was read and found
wanting; 2: it could not be used. Heavy modules are imported where they are used, so that
`wsolbench --help` answers at once.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .. import __version__
from ..errors import WsolbenchError, printable
from ..files import require_target
from ..progress import bar

if TYPE_CHECKING:
    from ..evaluation.counts import Counts
    from ..formats.result import Result
    from ..formats.submission.reader import Submission
    from ..leaderboard.entries import Entry

FORMATS = ("text", "md", "latex", "csv")  # as results.FORMATS, which would load too much here
SHOWN_FAULTS = 20
TRIVIAL = {  # as baselines.trivial.TRIVIAL, in the words of --help
    "centre-gaussian": "A Gaussian in the middle.",
    "whole-image": "1 everywhere.",
    "centre-box": "A box in the middle, half of the image.",
    "noise": "Every position at random.",
    "mask": "The mask itself at the size of a map.",
}

_File = click.Path(path_type=Path)


class _Level(click.IntRange):
    """A threshold; a share of the range is told which level it is."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The level, or click's refusal."""
        try:
            level = round(255 * float(value))
        except (ValueError, OverflowError):
            level = -1
        if "." in str(value) and 0 <= level <= 255:
            self.fail(
                f"{value} is no level 0..255; that share of the range is {level}.", param, ctx
            )
        return int(super().convert(value, param, ctx))


_LEVEL = _Level(0, 255)
_quiet = click.option("--quiet", is_flag=True, help="No progress bar.")
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
_format = click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    default="text",
    show_default=True,
    help="How to print scores.",
)
_annotations = click.option(
    "--annotations",
    type=_File,
    help="Annotation file [default: $WSOLBENCH_ANNOTATIONS, else annotations/<dataset>.h5].",
)


def main() -> None:
    """Run the command line and leave with its exit status; faults are one line on stderr."""
    try:
        status = cli.main(prog_name="wsolbench", standalone_mode=False)
    except WsolbenchError as error:
        _leave(str(error), error.exit_status)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        sys.exit(2)
    except click.UsageError as error:
        asked = f"{error.ctx.command_path} --help" if error.ctx else "wsolbench --help"
        _leave(f"{error.format_message()} See `{asked}`.", 2)
    except click.ClickException as error:
        _leave(error.format_message(), 2)
    except (click.Abort, KeyboardInterrupt):
        _leave("interrupted", 130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except OSError as error:
        _leave(f"{error.filename or 'system'}: {error.strerror or error}", 2)
    except MemoryError:
        _leave("out of memory; fewer --jobs or a smaller --batch-size need less", 2)
    sys.exit(status if isinstance(status, int) else 0)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="wsolbench")
def cli() -> None:
    """Measure localization maps against pixel masks and boxes.

    \b
    import    foreign masks and boxes  ->  annotation file
    predict   photos and a classifier  ->  submission file
    evaluate  submission, annotations  ->  result file
    """


# ---------------------------------------------------------------------------------- evaluation


@cli.command()
@click.argument("submission", type=_File)
@_annotations
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
    type=_File,
    help="Write the result file; of several protocols r.json becomes r.<protocol>.json.",
)
@click.option("--per-image", type=_File, help="Write per-image scores to a .csv or .parquet file.")
@click.option("--threshold-from", type=_File, help="Read scores at the thresholds of this result.")
@click.option("--threshold", type=_LEVEL, help="Read scores at this threshold.")
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
@_format
@_json
@_quiet
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
    """Score a submission's maps."""
    from ..data.dataset import Dataset
    from ..evaluation.counts import counts_path, write_counts
    from ..evaluation.evaluator import Evaluator, check_options, score_together
    from ..formats.result import Bootstrap, read_result
    from ..formats.submission.reader import Submission
    from ..protocols import protocols_named

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
    kinds = _listed(by)
    check_options(
        protocols,
        threshold=threshold is not None or threshold_from is not None,
        per_image=per_image is not None,
        by=kinds,
    )
    outs = [] if out is None else _each_out(out, [own.name for own in protocols])
    inputs = [submission, annotations, threshold_from]
    kept = [counts_path(target) for target in outs] if counts else []
    for target in [*outs, *kept]:
        require_target(target, inputs)
    if per_image is not None:
        require_target(per_image, [*inputs, *outs, *kept])
    save_table = _table_writer(per_image)
    carried = read_result(threshold_from) if threshold_from else threshold
    opened = Submission.open(submission)
    found = _find_annotations(annotations, opened.header.dataset)
    for target in [*outs, *kept, *([per_image] if per_image else [])]:
        require_target(target, [found])
    dataset = Dataset.open(found, split or opened.header.split)
    if limit is not None:
        dataset = dataset.first(limit)
    evaluators = [
        Evaluator(
            dataset,
            protocol.name,
            None if metrics is None else _listed(metrics),
            header=opened.header,
            keep_images=bool(per_image or bootstrap or kinds or counts),
        )
        for protocol in protocols
    ]
    with bar("evaluate", quiet=quiet) as progress:
        score_together(evaluators, opened, jobs=jobs, progress=progress)
    results = []
    for evaluator in evaluators:
        with bar(
            "intervals and groups", "step", quiet=quiet or not (bootstrap or kinds)
        ) as progress:
            results.append(
                evaluator.result(
                    threshold=carried,
                    allow_missing=allow_missing,
                    submission_sha256=opened.sha256,
                    bootstrap=None if bootstrap is None else Bootstrap(bootstrap, seed or 0),
                    by=kinds,
                    progress=progress,
                )
            )
    if per_image:
        save_table(evaluators[0].image_table(results[0]))
    for result, target in zip(results, outs, strict=bool(outs)):
        result.write(target)
    for evaluator, result, target in zip(evaluators, results, kept, strict=bool(kept)):
        write_counts(target, evaluator.counts(result))
    _print_results(results, form, as_json)


@cli.command()
@click.argument("files", metavar="FILE FILE...", nargs=-1, required=True, type=_File)
@_annotations
@click.option(
    "--protocol",
    "name",
    help="Under which submissions are scored [default: that of the results, else sem].",
)
@click.option(
    "--bootstrap",
    type=click.IntRange(20, 100_000),
    metavar="B",
    default=1000,
    show_default=True,
    help="Resamples of the images.",
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--against-first", is_flag=True, help="Pair each with the first, not every two.")
@click.option("--out", type=_File, help="Write the comparison as JSON.")
@click.option("--plot", "picture", type=_File, help="Draw it: a .png, .svg or .pdf file.")
@click.option("--jobs", type=click.IntRange(1), help="Threads [default: one a processor].")
@_format
@_json
@_quiet
def compare(
    files: tuple[Path, ...],
    annotations: Path | None,
    name: str | None,
    bootstrap: int,
    seed: int,
    against_first: bool,
    out: Path | None,
    picture: Path | None,
    jobs: int | None,
    form: str,
    as_json: bool,
    quiet: bool,
) -> None:
    """Compare methods in pairs, on the same images.

    These are the images that all of them have maps of. A FILE is a result that `evaluate --out
    R.json --counts` wrote, or a submission, which is scored first. Differences have 95 % intervals
    over paired resamples of the images, and the share of the resamples in which the order is the
    same.
    """
    from ..evaluation.comparison import check_alike, comparison_table, signature
    from ..evaluation.comparison import compare as compare_counts
    from ..evaluation.counts import counts_path, read_counts
    from ..files import write_text
    from ..formats.result import Bootstrap, Result, read_result
    from ..formats.submission.reader import Submission
    from ..plots import require_form, save_forest

    if as_json and form != "text":
        raise click.UsageError("--json and --format exclude each other.")
    if name and "," in name:
        raise click.UsageError("--protocol takes one here: compare once under each.")
    inputs = [*files, *map(counts_path, files), annotations]
    if out:
        require_target(out, inputs)
    if picture:
        require_target(picture, [*inputs, out])
        require_form(picture)
    read = [Submission.open(file) if _is_hdf5(file) else read_result(file) for file in files]
    under = {
        str(item.protocol["name"]): file
        for file, item in zip(files, read, strict=True)
        if isinstance(item, Result)
    }
    protocol = name or next(iter(under), "sem")
    if other := next((own for own in under if name and own != name), None):
        raise WsolbenchError(
            under[other],
            found=f"a result under protocol {other}",
            expected=protocol,
            cure=f"evaluate under {protocol} first, or leave --protocol out",
        )
    check_alike([item if isinstance(item, Result) else item.header for item in read])
    counted = [
        read_counts(counts_path(file), item)
        if isinstance(item, Result)
        else _counted(item, annotations, protocol, jobs, quiet)
        for file, item in zip(files, read, strict=True)
    ]
    with bar("compare", "resample", quiet=quiet) as progress:
        comparison = compare_counts(
            counted, Bootstrap(bootstrap, seed), progress, against_first=against_first
        )
    if picture:
        save_forest(comparison, picture)
    if out:
        write_text(out, comparison.to_json())
    if as_json:
        click.echo(comparison.to_json().rstrip("\n"))
        return
    click.echo(comparison_table(comparison, form))
    click.echo(f"\n{signature(comparison)}", err=form != "text")


@cli.command()
@click.argument("result", type=_File)
@click.option("--threshold-from", type=_File, help="A result whose thresholds are carried.")
@click.option(
    "--threshold",
    "fixed",
    type=_LEVEL,
    multiple=True,
    help="A fixed one; may be repeated [default: 51 and 128].",
)
@_format
@_json
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


@cli.command()
@_json
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


@cli.command()
@click.argument("submission", type=_File)
@click.option("--annotations", type=_File, help="Check image ids against this annotation file.")
@click.option("--split", help="With annotations: the split it should cover [default: its own].")
@_json
@_quiet
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


@cli.command()
@click.argument("files", nargs=-1, type=_File)
@_format
@_json
def info(files: tuple[Path, ...], form: str, as_json: bool) -> None:
    """Tell what files hold: annotations, submissions, results.

    Several results are shown side by side (--format is for these). Without a file: versions and
    platform.
    """
    if as_json and form != "text":
        raise click.UsageError("--json and --format exclude each other.")
    if not files:
        about = _versions()
        lines = [f"{name:12} {value}" for name, value in about.items()]
        click.echo(json.dumps(about, indent=1, sort_keys=True) if as_json else "\n".join(lines))
        return
    described = [_describe(file) for file in files]
    results = [content for kind, content in described if kind == "result"]
    if as_json:
        content = [
            {"file": str(file), "kind": kind, **_plain(kind, content)}
            for file, (kind, content) in zip(files, described, strict=True)
        ]
        click.echo(json.dumps(content[0] if len(files) == 1 else content, indent=1, sort_keys=True))
        return
    for file, (kind, content) in zip(files, described, strict=True):
        if kind != "result":
            click.echo(f"{file}: {kind}")
            click.echo("\n".join(_indented(_plain(kind, content))))
    if len(results) == 1 and form == "text":
        _print_result(results[0])
    elif results:
        from ..formats.report import signature, table

        click.echo(table(results, form))
        click.echo(err=form != "text")
        for result in results:
            click.echo(f"{result.name}: {signature(result)}", err=form != "text")


# ----------------------------------------------------------------------------------- importing


@cli.group("import")
def import_() -> None:
    """Make an annotation file from foreign masks, boxes and labels."""


_out = click.option("--out", type=_File, required=True, help="The annotation file to write.")
_dataset = click.option(
    "--dataset", help="The data set's name, part of its content hash [default: the folder's]."
)


@import_.command("masks")
@click.argument("folder", type=_File)
@click.option("--table", type=_File, help="CSV: image_id, class_index, split, sizes, boxes.")
@click.option("--split", default="val", show_default=True, help="Split where the table has none.")
@click.option("--ignore", type=_File, help="Folder of masks of the pixels that count nowhere.")
@click.option("--classes", type=_File, help="CSV: key, name; one class a row.")
@_dataset
@_out
@_quiet
def import_masks(folder: Path, out: Path, quiet: bool, **options: Any) -> None:
    """A folder of masks: <image id>.png."""
    _import("masks", folder, out=out, quiet=quiet, **options)


@import_.command("ilsvrc")
@click.option("--masks", type=_File, required=True, help="Folder of the released masks.")
@click.option("--val-list", type=_File, required=True, help="ILSVRC_Val_Mask_23151.txt.")
@click.option("--labels", type=_File, multiple=True, help="List of classes; may be repeated.")
@click.option("--sizes", type=_File, help="List of image sizes.")
@click.option("--boxes", type=_File, help="List x0,y0,x1,y1, XML folder, or tar of XML files.")
@click.option("--class-names", type=_File, help="LOC_synset_mapping.txt.")
@_out
@_quiet
def import_ilsvrc(out: Path, quiet: bool, **options: Any) -> None:
    """The SEM masks on the ILSVRC validation images, val and test."""
    options["labels"] = list(options["labels"]) or None
    _import("ilsvrc", out=out, quiet=quiet, **options)


@import_.command("coco")
@click.argument("file", type=_File)
@click.option("--split", help="Split of images that name none.")
@_dataset
@_out
@_quiet
def import_coco(file: Path, out: Path, quiet: bool, **options: Any) -> None:
    """COCO instances JSON."""
    _import("coco", file, out=out, quiet=quiet, **options)


@import_.command("cub")
@click.argument("folder", type=_File)
@_out
@_quiet
def import_cub(folder: Path, out: Path, quiet: bool) -> None:
    """CUB-200-2011, with its segmentations."""
    _import("cub", folder, out=out, quiet=quiet)


@import_.command("openimages")
@click.argument("folder", type=_File)
@click.option("--metadata", type=_File, help="Folder of the lists (val, test), if elsewhere.")
@_out
@_quiet
def import_openimages(folder: Path, out: Path, quiet: bool, **options: Any) -> None:
    """OpenImages30k, as wsolevaluation lays it out."""
    _import("openimages", folder, out=out, quiet=quiet, **options)


@import_.command("imagenet-s")
@click.argument("folder", type=_File)
@click.option("--categories", type=_File, help="List of the WordNet ids of the set.")
@click.option("--class-names", type=_File, help="LOC_synset_mapping.txt: indices of ILSVRC's 1000.")
@_out
@_quiet
def import_imagenet_s(folder: Path, out: Path, quiet: bool, **options: Any) -> None:
    """ImageNet-S, the validation split."""
    _import("imagenet-s", folder, out=out, quiet=quiet, **options)


@cli.group()
def export() -> None:
    """Write an annotation file in another form."""


@export.command("coco")
@click.argument("annotations", type=_File)
@click.option("--out", type=_File, required=True, help="The JSON file to write.")
@_quiet
def export_coco(annotations: Path, out: Path, quiet: bool) -> None:
    """COCO instances JSON."""
    from ..data.export import export_coco as write

    _export(write, annotations, out, quiet)


@export.command("png")
@click.argument("annotations", type=_File)
@click.option("--out", type=_File, required=True, help="The folder to make.")
@_quiet
def export_png(annotations: Path, out: Path, quiet: bool) -> None:
    """A folder of masks and a table, as `import masks` takes them."""
    from ..data.export import export_png as write

    _export(write, annotations, out, quiet)


# ---------------------------------------------------------------------------------- prediction


def _seeds(text: str) -> int | float:
    """A count, or a share of the positions; what is neither is click's to refuse."""
    try:
        return int(text)
    except ValueError:
        return float(text)


_normalise = click.option(
    "--normalise",
    metavar="NAME,NAME",
    help="min-max, max, pas:P, ivr:P or none; of several m.h5 becomes m.<name>.h5.",
)


def _prediction_options(command: Callable[..., None]) -> Callable[..., None]:
    options = [
        click.option("--backbone", help="A torchvision classifier, e.g. resnet50."),
        click.option("--weights", type=_File, help="State dict for --backbone (.pth)."),
        click.option(
            "--random-weights", type=int, metavar="SEED", help="Draw the weights: a trial."
        ),
        click.option("--model", metavar="PACKAGE.MODULE:FUNCTION", help="A model of your own."),
        _annotations,
        click.option("--dataset", help="Which annotations/<dataset>.h5, without --annotations."),
        click.option("--images", type=_File, required=True, help="Folder of photos."),
        click.option("--split", default="val", show_default=True, help="Whose photos to take."),
        click.option(
            "--size",
            type=click.IntRange(8),
            default=224,
            show_default=True,
            help="Pixels a side to which photos are brought.",
        ),
        click.option(
            "--label",
            type=click.Choice(["gt", "predicted"]),
            default="gt",
            show_default=True,
            help="Whose class's map: the annotated one, or the model's first.",
        ),
        _normalise,
        click.option("--name", help="The method's name in tables [default: CAM or SEM]."),
        click.option(
            "--batch-size",
            type=click.IntRange(1),
            default=32,
            show_default=True,
            help="Photos run at a time.",
        ),
        click.option(
            "--workers",
            type=click.IntRange(0),
            default=2,
            show_default=True,
            help="Processes that read photos ahead.",
        ),
        click.option("--device", default="auto", show_default=True, help="cpu, cuda, mps, auto."),
        click.option(
            "--dtype",
            type=click.Choice(["uint8", "float16", "float32"]),
            default="uint8",
            show_default=True,
            help="How maps are stored.",
        ),
        click.option("--resume", is_flag=True, help="Continue an interrupted run."),
        click.option("--overwrite", is_flag=True, help="Drop what an interrupted run left."),
        click.option("--out", type=_File, required=True, help="The submission to write."),
        _quiet,
    ]
    for option in reversed(options):
        command = option(command)
    return command


class _Predict(click.Group):
    """Commands among which an unknown `trivial:NAME` is told the names."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        command = super().get_command(ctx, cmd_name)
        if command is None and cmd_name.partition(":")[0] == "trivial":
            raise click.UsageError(
                f"No map {cmd_name!r}; trivial: goes with {', '.join(TRIVIAL)}.", ctx
            )
        return command


@cli.group(cls=_Predict)
def predict() -> None:
    """Write maps of a classifier, or trivial ones."""


@predict.command("cam")
@_prediction_options
def predict_cam(**options: Any) -> None:
    """Class activation maps (CAM), normalised."""
    _predict("cam", **options)


@predict.command("sem")
@click.option(
    "--seeds",
    type=_seeds,
    metavar="K|FRACTION",
    default="40",
    show_default=True,
    help="How many positions, or which share of them.",
)
@_prediction_options
def predict_sem(**options: Any) -> None:
    """Self-enhancement maps (paper section 3.2)."""
    _predict("sem", **options)


def _predict(
    method: str,
    *,
    backbone: str | None,
    weights: Path | None,
    random_weights: int | None,
    model: str | None,
    annotations: Path | None,
    dataset: str | None,
    images: Path,
    split: str,
    name: str | None,
    quiet: bool,
    normalise: str | None,
    **options: Any,
) -> None:
    from ..maps.normalisations import normalisations_named

    if annotations is not None and dataset is not None:
        raise click.UsageError("--annotations and --dataset exclude each other.")
    if (backbone is None) == (model is None):
        raise click.UsageError(
            "Name one model: --backbone NAME or --model PACKAGE.MODULE:FUNCTION."
        )
    if model is not None and (weights is not None or random_weights is not None):
        raise click.UsageError("--weights and --random-weights go with --backbone.")
    out: Path = options.pop("out")
    names = [own.name for own in normalisations_named(normalise or "min-max")]
    outs = dict(zip(names, _each_out(out, names), strict=True))
    for target in outs.values():
        require_target(target, [annotations, weights])
    _require_torch()
    from ..baselines.backbones import load_backbone, load_model_function
    from ..baselines.predict import predict as write_maps
    from ..data.dataset import Dataset

    opened = Dataset.open(_find_annotations(annotations, dataset), split, images)
    if model is not None:
        network = load_model_function(model)
    else:
        network = load_backbone(backbone or "", weights, random_weights_seed=random_weights)
    with bar(f"predict {method}", quiet=quiet) as progress:
        write_maps(
            network,
            opened,
            outs,
            method=method,
            map_dtype=options.pop("dtype"),
            progress=progress,
            metadata={"name": name} if name else None,
            **options,
        )
    for target in outs.values():
        click.echo(f"{target}: {len(opened)} maps of {opened.name} {split}")


def _add_trivial(name: str) -> None:
    """Add the command `predict trivial:NAME`; only noise is seeded."""

    @_annotations
    @click.option("--dataset", help="Which annotations/<dataset>.h5, without --annotations.")
    @click.option("--split", default="val", show_default=True, help="Whose images to take.")
    @click.option(
        "--size",
        type=click.IntRange(1, 4096),
        default=28,
        show_default=True,
        help="Positions a side of the maps.",
    )
    @click.option("--overwrite", is_flag=True, help="Drop what an interrupted run left.")
    @click.option("--out", type=_File, required=True, help="The submission to write.")
    @_quiet
    def command(
        annotations: Path | None,
        dataset: str | None,
        split: str,
        out: Path,
        quiet: bool,
        **options: Any,
    ) -> None:
        if annotations is not None and dataset is not None:
            raise click.UsageError("--annotations and --dataset exclude each other.")
        require_target(out, [annotations])
        from ..baselines.trivial import predict_trivial
        from ..data.dataset import Dataset

        found = _find_annotations(annotations, dataset)
        require_target(out, [found])
        opened = Dataset.open(found, split)
        with bar(f"predict trivial:{name}", quiet=quiet) as progress:
            predict_trivial(opened, out, name, progress=progress, **options)
        click.echo(f"{out}: {len(opened)} maps of {opened.name} {split}")

    command.__doc__ = TRIVIAL[name]
    if name == "noise":
        seed = click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
        command = seed(command)
    predict.command(f"trivial:{name}")(command)


for _name in TRIVIAL:
    _add_trivial(_name)


@cli.command("import-maps")
@click.argument("folder", type=_File)
@_annotations
@click.option("--dataset", help="Which annotations/<dataset>.h5, without --annotations.")
@click.option("--split", default="val", show_default=True, help="Whose images they are of.")
@click.option("--name", help="The method's name in tables [default: the folder's].")
@click.option("--backbone", help="The network, for tables.")
@_normalise
@click.option(
    "--label",
    type=click.Choice(["gt", "predicted"]),
    default="gt",
    show_default=True,
    help="Whose class's maps they are: the annotated one, or the method's own.",
)
@click.option("--top5", type=_File, help="CSV: image_id, top1 to top5, predicted classes.")
@click.option(
    "--dtype",
    type=click.Choice(["uint8", "float16", "float32"]),
    help="How maps are stored [default: float32, 8-bit files as they are].",
)
@click.option("--allow-missing", is_flag=True, help="Write a submission that lacks images.")
@click.option("--overwrite", is_flag=True, help="Drop what an interrupted run left.")
@click.option("--out", type=_File, required=True, help="The submission to write.")
@_quiet
def import_maps_command(
    folder: Path,
    annotations: Path | None,
    dataset: str | None,
    split: str,
    name: str | None,
    backbone: str | None,
    normalise: str | None,
    out: Path,
    quiet: bool,
    **options: Any,
) -> None:
    """Make a submission of a folder of maps.

    The files are <image id>.npy or <image id>.png, one for each image of the split.

    Values must lie in [0, 1] (floats) or 0 to 255 (8-bit), or be brought there by --normalise.
    """
    from ..data.dataset import Dataset
    from ..maps.folders import import_maps
    from ..maps.normalisations import normalisations_named

    if annotations is not None and dataset is not None:
        raise click.UsageError("--annotations and --dataset exclude each other.")
    wanted = normalisations_named(normalise or "none")
    outs = dict(zip(wanted, _each_out(out, [own.name for own in wanted]), strict=True))
    found = _find_annotations(annotations, dataset)
    for target in outs.values():
        require_target(target, [found])
    method = {"name": name or folder.resolve().name}
    if backbone:
        method["backbone"] = backbone
    with bar("import-maps", "map", quiet=quiet) as progress:
        opened = Dataset.open(found, split)
        count = import_maps(folder, opened, outs, method=method, progress=progress, **options)
    for target in outs.values():
        click.echo(f"{target}: {count} maps of {opened.name} {split}")


# ------------------------------------------------------------------------------------- pictures


@cli.group()
def plot() -> None:
    """Draw what was scored."""


_picture = click.option("--out", type=_File, required=True, help="A .png, .svg or .pdf file.")
_style = click.option(
    "--style",
    type=click.Choice(["screen", "paper"]),
    default="screen",
    show_default=True,
    help="paper: serif letters, no grid, 300 dpi.",
)


@plot.command("curves")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=_File)
@click.option(
    "--curve",
    "kinds",
    multiple=True,
    type=click.Choice(["iou", "precision-recall", "box"]),
    help="Which; may be repeated [default: all that the files hold].",
)
@_annotations
@_picture
@_style
@_quiet
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
    click.echo(f"{out}: {_plural(len(scored), 'result')}")


@plot.command("areas")
@click.argument("annotations", type=_File)
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
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=_File)
@_annotations
@_picture
@_style
@_quiet
def plot_seeds(
    files: tuple[Path, ...], annotations: Path | None, out: Path, style: str, quiet: bool
) -> None:
    """Scores against the number of SEM seeds, a line a backbone.

    A FILE is a result, an entry of the leaderboard, or a submission, which is scored first.
    """
    from ..plots import save_seeds

    scored = _scored(files, annotations, out, quiet)
    save_seeds(scored, out, style)
    click.echo(f"{out}: {_plural(len(scored), 'result')}")


@plot.command("groups")
@click.argument("files", metavar="RESULT...", nargs=-1, required=True, type=_File)
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
    click.echo(f"{out}: {_plural(len(files), 'result')}")


@plot.command("maps")
@click.argument("submissions", nargs=-1, required=True, type=_File)
@_annotations
@click.option("--images", type=_File, required=True, help="Folder of photos.")
@click.option(
    "--result",
    "results",
    multiple=True,
    type=_File,
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
    from ..formats.result import read_result
    from ..formats.submission.reader import Submission
    from ..plots import save_maps

    if ids and (count is not None or seed is not None):
        raise click.UsageError("--ids excludes --count and --seed.")
    require_target(out, [*submissions, *results, annotations])
    opened = [Submission.open(file) for file in submissions]
    header = opened[0].header
    found = _find_annotations(annotations, header.dataset)
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
@click.argument("submission", type=_File)
@_annotations
@click.option("--images", type=_File, required=True, help="Folder of photos.")
@click.option(
    "--result", type=_File, help="The submission's result: draws at its thresholds, e.g. carried."
)
@click.option(
    "--count", type=click.IntRange(1, 13), default=3, show_default=True, help="Images of a kind."
)
@click.option("--jobs", type=click.IntRange(1), help="Threads [default: one a processor].")
@_picture
@_style
@_json
@_quiet
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
    from ..formats.result import read_result
    from ..formats.submission.reader import Submission
    from ..plots import require_form, save_cases

    require_form(out)
    require_target(out, [submission, annotations, result])
    read = read_result(result) if result else None
    with Submission.open(submission) as opened:
        found = _find_annotations(annotations, opened.header.dataset)
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


@cli.command()
@click.option("--out", type=_File, default="demo", show_default=True, help="Folder to make.")
@_quiet
def demo(out: Path, quiet: bool) -> None:
    """The embedded benchmark, from scenes to curves."""
    _require_torch()
    from ..mini.demo import run_demo

    run_demo(out, say=click.echo, progress_bar=partial(bar, quiet=quiet))


# ---------------------------------------------------------------------------------- leaderboard


@cli.group()
def leaderboard() -> None:
    """Make tables of entries, and entries of results."""


_root = click.option(
    "--root", type=_File, default="leaderboard", show_default=True, help="Its folder."
)


@leaderboard.command("build")
@_root
def leaderboard_build(root: Path) -> None:
    """Write README.md, index.html, schema.json and the CSV files anew."""
    from ..leaderboard.build import build

    changed = build(root)
    click.echo("\n".join(map(str, changed)) if changed else f"{root}: nothing changed")


@leaderboard.command("check")
@_root
@click.option("--against", type=_File, help="The folder to which this one may only add entries.")
def leaderboard_check(root: Path, against: Path | None) -> None:
    """Print the lines in which generated files are stale.

    With --against, print first what differs from that folder in more than new entries. Exit status
    0 if all is fresh and sound, else 1.
    """
    from ..leaderboard.build import changes, check

    moved = [] if against is None else changes(root, against)
    lines = check(root)
    if moved:
        moved.append(f"{root}: more than new entries; undo that, or leave it to a maintainer")
    if lines:
        lines.append(f"{root}: stale; run `wsolbench leaderboard build`")
    click.echo("\n".join([*moved, *lines] or [f"{root}: fresh"]))
    sys.exit(1 if moved or lines else 0)


@leaderboard.command("add")
@click.argument("result", type=_File)
@click.option("--authors", required=True, help="Who made the method.")
@click.option("--supervision", required=True, help="What it learned from, e.g. 'image label'.")
@click.option("--licence", required=True, help="Of the maps.")
@click.option("--date", required=True, help="Of the measurement: 2026-11-23.")
@click.option("--command", required=True, help="The command that made the maps.")
@click.option("--paper-title", default="", help="Of the method.")
@click.option("--paper-link", default="", help="https link.")
@click.option("--code", default="", help="https link.")
@click.option("--commit", default="", help="Of the code [default: the submission's].")
@click.option("--method", default="", help="Its name [default: the submission's].")
@click.option("--backbone", default="", help="The network [default: the submission's].")
@click.option("--pretraining", default="", help="What the network was trained on before.")
@click.option("--map-size", default="", help="In words [default: the submission's photo size].")
@click.option("--post-processing", default="", help="What was applied to its maps, e.g. SEM.")
@click.option("--variant", default="", help="What tells it apart from entries of its names.")
@click.option("--study", default="", help="The ablation it belongs to: a table without ranks.")
@_root
def leaderboard_add(result: Path, root: Path, **about: str) -> None:
    """Make an entry of a result file."""
    from ..formats.result import read_result
    from ..leaderboard.build import About, add

    click.echo(add(read_result(result), About(**about), root))


@leaderboard.command("verify")
@click.argument("entry", type=_File)
@click.option("--submission", type=_File, required=True, help="The maps of the entry.")
@click.option("--annotations", type=_File, required=True, help="Annotation file.")
@click.option("--threshold-from", type=_File, help="The result that a carried threshold is of.")
@click.option("--write", is_flag=True, help="Set the entry's state to reproduced.")
@_quiet
def leaderboard_verify(
    entry: Path,
    submission: Path,
    annotations: Path,
    threshold_from: Path | None,
    write: bool,
    quiet: bool,
) -> None:
    """Score an entry's maps again and compare every number.

    Exit status 0 if all are the same, 1 if not.
    """
    from ..files import write_text
    from ..formats.result import read_result
    from ..leaderboard.build import reproduced, verify
    from ..leaderboard.entries import read_entry

    read = read_entry(entry)
    carried = read_result(threshold_from) if threshold_from else None
    with bar("verify", quiet=quiet) as progress:
        differences = verify(
            read, submission, annotations, threshold_from=carried, progress=progress
        )
    if write and not differences:
        write_text(entry, reproduced(read).to_json())
    click.echo("\n".join(differences) if differences else f"{entry}: reproduced")
    sys.exit(1 if differences else 0)


# ------------------------------------------------------------------------------------- plumbing


def _leave(message: str, status: int) -> None:
    click.echo("wsolbench: " + " ".join(message.split()), err=True)
    sys.exit(status)


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
            _print_result(result)
        else:
            click.echo(table([result], form))
            for kind in result.breakdowns if form != "csv" else ():
                click.echo(f"\n{breakdown_table(result, kind, form)}")
            click.echo(signature(result), err=True)


def _print_result(result: Result) -> None:
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


def _import(kind: str, *arguments: Path, out: Path, quiet: bool, **options: Any) -> None:
    from ..data.importers import importer
    from ..formats.annotations import UNLABELLED, write_store

    files = [value for value in options.values() if isinstance(value, Path)]
    require_target(out, [*arguments, *files, *(options.get("labels") or [])])
    with bar(f"import {kind}", quiet=quiet) as progress:
        content = importer(kind)(*arguments, progress=progress, **options)
    write_store(out, content)
    splits = Counter(annotation.split for annotation in content.annotations)
    held = ", ".join(f"{count} {split}" for split, count in sorted(splits.items()))
    unknown = sum(annotation.class_index == UNLABELLED for annotation in content.annotations)
    without = [f"{unknown} images have no class: maps of the true class cannot be predicted"]
    for note in [*content.notes, *(without if unknown else [])]:
        click.echo(f"note: {note}", err=True)
    click.echo(f"{out}: {content.dataset}, {held}")


def _export(write: Callable[..., None], annotations: Path, out: Path, quiet: bool) -> None:
    from ..formats.annotations import AnnotationStore

    if os.path.realpath(annotations) == os.path.realpath(out):
        raise WsolbenchError(out, found="the annotation file itself", cure="name another file")
    with bar("export", quiet=quiet) as progress:
        write(AnnotationStore.open(annotations), out, progress=progress)
    click.echo(f"{out}: written")


def _scored(
    files: tuple[Path, ...], annotations: Path | None, out: Path, quiet: bool
) -> list[Result | Entry]:
    """What files hold that are to be drawn; submissions are scored, after all else was read."""
    from ..data.dataset import Dataset
    from ..evaluation.run import evaluate
    from ..formats.submission.reader import Submission
    from ..leaderboard.entries import read_scored
    from ..plots import require_form

    require_target(out, [*files, annotations])
    found = [Submission.open(file) if _is_hdf5(file) else read_scored(file) for file in files]
    require_form(out)
    scored: list[Result | Entry] = []
    for item in found:
        if isinstance(item, Submission):
            store = _find_annotations(annotations, item.header.dataset)
            require_target(out, [store])
            with item, bar("evaluate", quiet=quiet) as progress:
                dataset = Dataset.open(store, item.header.split)
                scored.append(evaluate(dataset, item, progress=progress))
        else:
            scored.append(item)
    return scored


def _counted(
    submission: Submission, annotations: Path | None, protocol: str, jobs: int | None, quiet: bool
) -> Counts:
    """A submission scored, image by image."""
    from ..data.dataset import Dataset
    from ..evaluation.evaluator import Evaluator

    header = submission.header
    dataset = Dataset.open(_find_annotations(annotations, header.dataset), header.split)
    evaluator = Evaluator(dataset, protocol, header=header, keep_images=True)
    with submission, bar("evaluate", quiet=quiet) as progress:
        evaluator.score(submission, jobs=jobs, progress=progress)
        result = evaluator.result(allow_missing=True, submission_sha256=submission.sha256)
    return evaluator.counts(result)


def _each_out(out: Path, names: Sequence[str]) -> list[Path]:
    """The file itself for one name; of several r.json becomes r.<name>.json."""
    if len(names) == 1:
        return [out]
    marks = [name.replace(":", "-") for name in names]
    return [out.with_name(f"{out.stem}.{mark}{out.suffix}") for mark in marks]


def _listed(text: str | None) -> list[str]:
    """The items of a list with commas between them."""
    return [] if text is None else [name.strip() for name in text.split(",")]


def _find_annotations(given: Path | None, dataset: str | None) -> Path:
    """The annotation file: as given, else by the environment, else by its usual place."""
    if given is not None:
        return given
    from ..image_ids import is_image_id

    name = f"{dataset if dataset and is_image_id(dataset) else '<dataset>'}.h5"
    named = os.environ.get("WSOLBENCH_ANNOTATIONS")
    usual = Path("annotations", name)
    for place in [Path(named), Path(named, name)] if named else [usual]:
        if place.is_file():
            return place
    raise WsolbenchError(
        "annotations",
        found=f"no --annotations, WSOLBENCH_ANNOTATIONS {named or 'not set'}"
        f"{f' without {name}' if named else f', no file {usual}'}",
        expected="an annotation file at one of the three",
        cure="name it with --annotations, or make it with `wsolbench import`",
    )


def _require_torch() -> None:
    from importlib.util import find_spec

    if find_spec("torch") is None or find_spec("torchvision") is None:
        raise WsolbenchError(
            "torch",
            found="torch or torchvision not installed",
            expected="both for predictions",
            cure="install them: pip install 'wsolbench[torch]'",
        )


def _table_writer(target: Path | None) -> Callable[[Mapping[str, list[Any]]], None]:
    """A function that writes columns to the file, chosen by its ending before any work is done."""
    if target is None:
        return lambda columns: None
    suffix = target.suffix.lower()
    if suffix not in (".csv", ".parquet"):
        raise WsolbenchError(
            target,
            found=f"the ending {suffix or 'none'}",
            expected=".csv or .parquet",
            cure="name the file accordingly",
        )
    from importlib.util import find_spec

    if suffix == ".parquet" and find_spec("pyarrow") is None:
        raise WsolbenchError(
            target,
            found="pyarrow not installed",
            cure="pip install 'wsolbench[parquet]', or write a .csv file",
        )

    def write(columns: Mapping[str, list[Any]]) -> None:
        import pandas

        from ..files import guard_cell, replacing

        frame = pandas.DataFrame(columns)
        with replacing(target) as temporary:
            if suffix == ".csv":
                frame["image_id"] = frame["image_id"].map(guard_cell)
                frame.to_csv(temporary, index=False, lineterminator="\n")
            else:
                frame.to_parquet(temporary, index=False)

    return write


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _versions() -> dict[str, str]:
    import platform
    from importlib.metadata import PackageNotFoundError, version

    found = {"wsolbench": __version__, "python": platform.python_version()}
    for name in ("numpy", "h5py", "pycocotools", "numba", "pillow", "pandas", "torch"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return {**found, "platform": platform.platform(), "processors": str(os.cpu_count())}


def _describe(file: Path) -> tuple[str, Any]:
    """What kind of file it is, and its content as the library reads it."""
    if not _is_hdf5(file):
        from ..formats.result import read_result

        return "result", read_result(file)
    from ..formats.annotations import FORMAT, AnnotationStore
    from ..formats.submission.reader import Submission
    from ..formats.untrusted.hdf5_gate import Gate

    with Gate(file, "annotations or a submission") as gate:
        is_store = gate.attribute("format") == FORMAT
    if is_store:
        return "annotations", AnnotationStore.open(file)

    return "submission", Submission.open(file)


def _is_hdf5(file: Path) -> bool:
    from ..files import require_file

    with open(require_file(file, "annotations, a submission or a result"), "rb") as opened:
        return opened.read(8) == b"\x89HDF\r\n\x1a\n"


def _plain(kind: str, content: Any) -> dict[str, Any]:
    if kind == "result":
        return dict(json.loads(content.to_json()))
    return _describe_store(content) if kind == "annotations" else _describe_submission(content)


def _indented(content: Mapping[str, Any], depth: int = 1) -> list[str]:
    """A line a value, those that hold others with theirs below; what is empty is left out."""
    lines = []
    for name, value in content.items():
        told = {True: "yes", False: "no"}[value] if isinstance(value, bool) else value
        label = f"{'  ' * depth}{name:16}"
        for part in value if isinstance(value, list) else [told]:
            if isinstance(part, Mapping):
                lines += [label.rstrip(), *_indented(part, depth + 1)]
            elif part != "":
                lines.append(f"{label} {printable(str(part))}")
    return lines


def _describe_store(store: Any) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "dataset": store.dataset,
        "images": len(store),
        "splits": dict(sorted(Counter(store.splits).items())),
        "with_class": int((store.class_indices >= 0).sum()),
        "class_names": len(store.classes),
        "boxes": int(store.box_counts.sum()),
        "ignored_pixels": store.has_ignore,
        "content_sha256": store.content_sha256,
        "sources": [asdict(source) for source in store.sources],
        "notes": store.notes,
    }


def _describe_submission(submission: Submission) -> dict[str, Any]:
    shapes = sorted({tuple(shape) for shape in submission.shapes.tolist()})
    sizes = [f"{height}x{width}" for height, width in shapes]
    return {
        "dataset": submission.header.dataset,
        "split": submission.header.split,
        "label": submission.header.label,
        "normalisation": submission.header.normalisation,
        "method": dict(submission.header.method),
        "maps": len(submission.image_ids),
        "sizes": sizes[0] if len(sizes) == 1 else f"{len(sizes)} sizes, {sizes[0]} to {sizes[-1]}",
        "dtype": str(submission.dtype),
        "top5": submission.top5 is not None,
        "boxes": submission.boxes is not None,
        "sha256": submission.sha256,
    }
