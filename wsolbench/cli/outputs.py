"""Which results are wanted and where they go: what `evaluate` and `merge-results` share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

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
    LEVEL_OR_RULE,
    bootstrap_options,
    check_output_options,
    format_option,
    intervals_of,
    json_option,
    listed,
)
from .printing import print_notes, print_results

if TYPE_CHECKING:
    from ..evaluation.run import Outcome
    from ..evaluation.shards import Merged
    from ..formats.result import Bootstrap, Result

__all__ = ["Outputs", "result_options", "writes_of"]

_TABLES = "print a table with --format csv, md or latex, or write one with --per-image FILE.csv"

_Command = TypeVar("_Command", bound=Callable[..., Any])


def result_options(command: _Command) -> _Command:
    """Add the options of `Outputs` to a command."""
    options = [
        click.option(
            "--out",
            type=FILE,
            help="Write the result to this file; with several protocols, r.json becomes "
            "r.<protocol>.json.",
        ),
        click.option(
            "--per-image",
            type=FILE,
            help="Write the scores of each image to a .csv or .parquet file.",
        ),
        click.option("--threshold-from", type=FILE, help="Score at the thresholds of this result."),
        click.option(
            "--threshold",
            type=LEVEL_OR_RULE,
            help="Score at this threshold (0 to 255), or each map at its own, without annotation: "
            "otsu, mean, max:F (share F of its maximum) or area:F (share F of its pixels).",
        ),
        bootstrap_options(
            "Compute 95 % confidence intervals from B resamples of the images, e.g. 1000."
        ),
        click.option(
            "--by",
            metavar="area,boxes,class",
            help="Also score groups of images, by one or more of these.",
        ),
        click.option(
            "--counts",
            is_flag=True,
            help="Save per-image statistics next to --out, for `compare`.",
        ),
        click.option(
            "--allow-missing", is_flag=True, help="Score images without a map as all-zero maps."
        ),
        format_option,
        json_option,
    ]
    for option in reversed(options):
        command = option(command)
    return command


@dataclass(frozen=True)
class Outputs:
    """The values of `result_options`.

    Raises:
        click.UsageError: options that exclude or need each other.
    """

    out: Path | None
    per_image: Path | None
    threshold_from: Path | None
    threshold: int | str | None
    bootstrap: int | None
    seed: int | None
    by: str | None
    counts: bool
    allow_missing: bool
    form: str
    as_json: bool

    def __post_init__(self) -> None:
        """Check what goes together."""
        intervals_of(self.bootstrap, self.seed)
        if self.threshold is not None and self.threshold_from is not None:
            raise click.UsageError("--threshold and --threshold-from exclude each other.")
        check_output_options(self.form, self.as_json)
        if self.counts and self.out is None:
            raise click.UsageError("--counts needs --out: the statistics are saved next to it.")

    @property
    def kinds(self) -> list[str]:
        """Kinds of groups to score."""
        return listed(self.by)

    @property
    def intervals(self) -> Bootstrap | None:
        """How intervals are drawn."""
        return intervals_of(self.bootstrap, self.seed)

    def read_threshold(self) -> int | str | Result | None:
        """The threshold, or the result that it is taken from."""
        from ..formats.result import read_result

        return self.threshold if self.threshold_from is None else read_result(self.threshold_from)

    def targets(self, names: Sequence[str], inputs: Sequence[Path | None]) -> list[Path]:
        """The files to write, checked before any work.

        Args:
            names: of the protocols.
            inputs: files of the same command, which must not be replaced.
        """
        self.require_form(names)
        outs, kept = self._paths(names)
        targets = [*outs, *kept, *([] if self.per_image is None else [self.per_image])]
        for target in outs:
            require_json_target(target)
        for place, target in enumerate(targets):
            require_target(target, [self.threshold_from, *inputs, *targets[:place]])
        if self.out is not None:
            require_ending(self.out, "JSON", _TABLES)
        if self.per_image is not None:
            require_columns_target(self.per_image)
        return targets

    def require_form(self, names: Sequence[str]) -> None:
        """Raise if these protocols cannot be printed in the form that is asked for."""
        if self.form == "csv" and len(names) > 1:
            raise click.UsageError("--format csv supports one protocol; use --json for several.")

    @property
    def of_images(self) -> bool:
        """Whether the statistics of each image are needed."""
        own = isinstance(self.threshold, str)
        return bool(self.per_image or self.bootstrap or self.by or self.counts or own)

    def outcome(self, run: Merged, quiet: bool) -> Outcome:
        """The results of a run in parts, by these options."""
        from ..evaluation.run import outcome

        return outcome(
            run.evaluators,
            run.submission_sha256,
            threshold=self.read_threshold(),
            allow_missing=self.allow_missing,
            bootstrap=self.intervals,
            by=self.kinds,
            per_image=self.per_image is not None,
            counts=self.counts,
            notes=run.notes,
            bars=partial(bar, quiet=quiet),
        )

    def write(self, outcome: Outcome) -> None:
        """Write all files, and print results and notes."""
        outs, _ = self._paths([str(result.protocol["name"]) for result in outcome.results])
        writes: dict[Path, Callable[[Path], None]] = {}
        if self.per_image is not None:
            writes[self.per_image] = partial(write_columns, columns=outcome.table)
        if outs:
            writes |= writes_of(outcome, outs)
        write_all(writes)
        print_results(outcome.results, self.form, self.as_json)
        print_notes(outcome.notes)

    def _paths(self, names: Sequence[str]) -> tuple[list[Path], list[Path]]:
        """Where results and their counts go."""
        from ..evaluation.counts import counts_path

        outs = [] if self.out is None else path_per_name(self.out, names)
        return outs, [counts_path(target) for target in outs] if self.counts else []


def writes_of(outcome: Outcome, targets: Sequence[Path]) -> dict[Path, Callable[[Path], None]]:
    """What writes the result of each protocol, and its counts beside it if there are any."""
    from ..evaluation.counts import counts_path, write_counts

    writes: dict[Path, Callable[[Path], None]] = {}
    for result, target in zip(outcome.results, targets, strict=True):
        writes[target] = result.write
    for counts, target in zip(outcome.counts, targets, strict=bool(outcome.counts)):
        writes[counts_path(target)] = partial(write_counts, counts=counts)
    return writes
