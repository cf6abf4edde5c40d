"""Options and types that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ..interrupts import advise
from ..tables import FORMATS

if TYPE_CHECKING:
    from ..formats.result import Bootstrap

__all__ = [
    "FILE",
    "LEVEL_OR_RULE",
    "LevelOrRule",
    "annotations_option",
    "batch_option",
    "bootstrap_options",
    "check_output_options",
    "check_store_options",
    "check_subset_options",
    "dataset_option",
    "device_option",
    "exif_option",
    "format_option",
    "ids_option",
    "images_option",
    "intervals_of",
    "jobs_option",
    "json_option",
    "limit_option",
    "listed",
    "normalise_option",
    "overwrite_option",
    "quiet_option",
    "require_torch",
    "resume_option",
    "shard_option",
    "submission_option",
    "training_seed_option",
    "trunk_options",
    "workers_option",
]

_Command = TypeVar("_Command", bound=Callable[..., Any])

FILE = click.Path(path_type=Path)


class LevelOrRule(click.IntRange):
    """A threshold from 0 to 255, or how each map gives its own.

    The error for a fraction says which integer it is.
    """

    name = "T|otsu|mean|max:F|area:F"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The threshold as an integer, or the rule as it is written."""
        if str(value)[:1].isalpha():
            from ..metrics.own_thresholds import own_rule

            return str(own_rule(str(value)))
        try:
            level = round(255 * float(value))
        except (ValueError, OverflowError):
            level = -1
        if "." in str(value) and 0 <= level <= 255:
            self.fail(
                f"{value} is not an integer from 0 to 255; as a fraction of 255 it is {level}.",
                param,
                ctx,
            )
        return super().convert(value, param, ctx)


LEVEL_OR_RULE = LevelOrRule(0, 255)
quiet_option = click.option("--quiet", is_flag=True, help="Show no progress bar.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
format_option = click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    default="text",
    show_default=True,
    help="Format of the printed table.",
)
annotations_option = click.option(
    "--annotations",
    type=FILE,
    help="Annotation file [default: $WSOLBENCH_ANNOTATIONS, else annotations/<dataset>.h5].",
)

dataset_option = click.option(
    "--dataset", help="Use annotations/<dataset>.h5 if --annotations is not given."
)
images_option = click.option("--images", type=FILE, required=True, help="Folder of the photos.")
exif_option = click.option(
    "--exif",
    type=click.Choice(["ignore", "apply"]),
    default="ignore",
    show_default=True,
    help="EXIF orientation of photos: keep the stored order of pixels, or turn photos upright.",
)
limit_option = click.option(
    "--limit", type=click.IntRange(1), metavar="N", help="Use only the first N images, as a trial."
)
ids_option = click.option(
    "--ids", type=FILE, help="Use only the images of this text file, one image id per line."
)
jobs_option = click.option(
    "--jobs", type=click.IntRange(1), help="Number of threads [default: one per processor]."
)
device_option = click.option(
    "--device",
    default="auto",
    show_default=True,
    help="Device to run on: cpu, cuda, mps or auto.",
)
batch_option = click.option(
    "--batch-size",
    type=click.IntRange(1),
    default=32,
    show_default=True,
    help="Number of photos per batch.",
)
training_seed_option = click.option(
    "--training-seed",
    type=click.IntRange(0),
    metavar="N",
    help="Seed with which the network was trained, for means over seeds (info, compare).",
)


def _resumable(context: click.Context, option: click.Parameter, value: bool) -> bool:
    """Say, if the command is interrupted, how it is continued."""
    advise("run the same command with --resume to continue")
    return value


resume_option = click.option(
    "--resume",
    is_flag=True,
    is_eager=True,
    callback=_resumable,
    help="Continue an interrupted run; safe on the first run too.",
)
overwrite_option = click.option(
    "--overwrite", is_flag=True, help="Discard the partial output of an interrupted run."
)
submission_option = click.option(
    "--out", type=FILE, required=True, help="Write the submission to this file."
)
normalise_option = click.option(
    "--normalise",
    metavar="NAME,NAME",
    help="Normalisations: min-max, max, pas:P, ivr:P or none; with several, m.h5 becomes "
    "m.<name>.h5.",
)


def bootstrap_options(text: str, resamples: int | None = None) -> Callable[[_Command], _Command]:
    """The options --bootstrap B and --seed.

    Args:
        text: help of --bootstrap.
        resamples: the default; with None there is no default of either option.
    """
    drawn = click.option(
        "--bootstrap",
        type=click.IntRange(20, 100_000),
        metavar="B",
        default=resamples,
        show_default=resamples is not None,
        help=text,
    )
    seed = click.option(
        "--seed",
        type=click.IntRange(0),
        default=None if resamples is None else 0,
        help="Random seed of --bootstrap [default: 0].",
    )
    return lambda command: drawn(seed(command))


def intervals_of(bootstrap: int | None, seed: int | None) -> Bootstrap | None:
    """How intervals are drawn, from --bootstrap and --seed without defaults; None for none."""
    from ..formats.result import Bootstrap

    if seed is not None and bootstrap is None:
        raise click.UsageError("--seed needs --bootstrap.")
    return None if bootstrap is None else Bootstrap(bootstrap, seed or 0)


def workers_option(clause: str = "") -> Callable[[_Command], _Command]:
    """The option --workers N, with a clause at the end of its help text."""
    return click.option(
        "--workers",
        type=click.IntRange(0),
        default=2,
        show_default=True,
        help=f"Number of processes that load photos{clause}.",
    )


def trunk_options(command: _Command) -> _Command:
    """Add the options of the weights from which training starts."""
    weights = click.option(
        "--trunk-weights",
        type=FILE,
        help="State dict of a trained classifier of the same architecture, for all but the head.",
    )
    key = click.option(
        "--weights-key",
        metavar="NAME",
        help="Entry of --trunk-weights to read, if the file has several state dicts.",
    )
    preprocessing = click.option(
        "--preprocessing",
        type=click.Choice(["imagenet", "half-range"]),
        help="Values on which --trunk-weights were trained [default: that of torchvision's].",
    )
    return weights(key(preprocessing(command)))


def shard_option(text: str) -> Callable[[_Command], _Command]:
    """The option --shard I/N with a help text."""
    return click.option("--shard", type=_shard, metavar="I/N", help=text)


def _shard(text: str) -> tuple[int, int]:
    """A part from 1 and the number of parts, as "1/4"."""
    first, _, second = text.partition("/")
    if not (first.isdecimal() and second.isdecimal() and 1 <= int(first) <= int(second)):
        raise click.BadParameter(f"{text!r} is not a part such as 1/4.")
    return int(first), int(second)


def listed(text: str | None) -> list[str]:
    """The items of a comma-separated list."""
    return [] if text is None else [name.strip() for name in text.split(",")]


def check_output_options(form: str, as_json: bool) -> None:
    """Raise if both --format and --json are given."""
    if as_json and form != "text":
        raise click.UsageError("--json and --format exclude each other.")


def check_store_options(annotations: Path | None, dataset: str | None) -> None:
    """Raise if both --annotations and --dataset are given."""
    if annotations is not None and dataset is not None:
        raise click.UsageError("--annotations and --dataset exclude each other.")


def check_subset_options(limit: int | None, ids: Path | None) -> None:
    """Raise if both --limit and --ids are given."""
    if limit is not None and ids is not None:
        raise click.UsageError("--limit and --ids exclude each other.")


def require_torch(command: str) -> None:
    """Raise if PyTorch or torchvision is not installed."""
    from importlib.util import find_spec

    if find_spec("torch") is None or find_spec("torchvision") is None:
        raise click.ClickException(
            f"{command} needs torch and torchvision, which are not installed: "
            "pip install 'wsolbench[torch]'"
        )
