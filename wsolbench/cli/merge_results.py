"""A result from the statistics of shards: `merge-results`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..errors import WsolbenchError, some
from ..files import require_target
from .options import FILE, annotations_option, quiet_option
from .outputs import Outputs, result_options

__all__ = ["merge_results"]


@click.command("merge-results")
@click.argument("shards", type=FILE, nargs=-1, required=True, metavar="FOLDER|FILE...")
@annotations_option
@result_options
@quiet_option
def merge_results(
    shards: tuple[Path, ...], annotations: Path | None, quiet: bool, **asked: Any
) -> None:
    """Form a result from the statistics that `evaluate --shard` wrote.

    The result is that of one `evaluate` over all images, to the byte. --bootstrap, --by, --counts
    and --per-image need shards that were evaluated with --counts.
    """
    from ..evaluation.shards import merged
    from ..formats.result import fault_of

    outputs = Outputs(**asked)
    run = merged(shards, annotations, of_images=outputs.of_images)
    names = [evaluator.protocol.name for evaluator in run.evaluators]
    for target in outputs.targets(names, [annotations, *run.files]):
        require_target(target, [run.evaluators[0].dataset.store.path])
    outcome = outputs.outcome(run, quiet)
    for result in outcome.results:
        if fault := fault_of(result):
            raise WsolbenchError(
                some(run.files),
                found=f"statistics of which the result has {fault}",
                expected="what `wsolbench evaluate --shard` wrote",
                cure="run the shards again",
                exit_status=1,
            )
    outputs.write(outcome)
