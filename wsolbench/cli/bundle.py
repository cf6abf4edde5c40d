"""Scoring programs for competitions: `bundle`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..files import require_target
from .options import FILE, listed

if TYPE_CHECKING:
    from ..competitions.rules import Rules

__all__ = ["bundle"]


def _options(command: click.decorators.FC) -> click.decorators.FC:
    """The options of both platforms."""
    for option in (
        click.option("--out", type=FILE, required=True, help="Write the archive to this file."),
        click.option(
            "--scores",
            metavar="KEY,KEY",
            help="Scores on the leaderboard; the first ranks [default: those that matter most and "
            "need maps alone].",
        ),
        click.option(
            "--metrics",
            metavar="pixel,box,boundary",
            help="Metrics to compute [default: pixel and box, if protocol and annotations have "
            "them].",
        ),
        click.option("--protocol", default="sem", show_default=True, help="Evaluation protocol."),
        click.option("--split", required=True, help="The split to score."),
        click.option("--annotations", type=FILE, required=True, help="Annotation file."),
    ):
        command = option(command)
    return command


@click.group()
def bundle() -> None:
    """Make a scoring program for a site where competitions run."""


@bundle.command()
@_options
@click.option("--reference", type=FILE, help="Write the archive of the reference data, too.")
def codabench(annotations: Path, out: Path, reference: Path | None, **asked: Any) -> None:
    """Make a scoring program for CodaBench, and print its leaderboard for competition.yaml."""
    from ..competitions.codabench import columns, write_codabench, write_reference

    _check(out, [annotations, reference])
    if reference is not None:
        _check(reference, [annotations, out])
    rules = _rules(annotations, **asked)
    write_codabench(out, rules)
    if reference is not None:
        write_reference(reference, annotations)
    click.echo(columns(rules))


@bundle.command()
@_options
def evalai(annotations: Path, out: Path, **asked: Any) -> None:
    """Make an evaluation script for EvalAI, and print its leaderboard for challenge_config.yaml."""
    from ..competitions.evalai import schema, write_evalai

    _check(out, [annotations])
    rules = _rules(annotations, **asked)
    write_evalai(out, rules)
    click.echo(schema(rules))


@bundle.command()
@click.argument("program", type=FILE)
@click.argument("input", type=FILE)
@click.argument("output", type=FILE)
def score(program: Path, input: Path, output: Path) -> None:  # noqa: A002
    """Do what CodaBench's scoring program does, which calls this itself.

    PROGRAM is the unpacked bundle. INPUT/res holds the submission, INPUT/ref the reference data;
    scores.json and detailed_results.html are written into OUTPUT.
    """
    from ..competitions.codabench import score_folder
    from .printing import print_result

    print_result(score_folder(program, input, output))


def _check(target: Path, inputs: list[Path | None]) -> None:
    if target.suffix.lower() != ".zip":
        raise click.UsageError(f"{target}: the file will be a .zip archive; name it so.")
    require_target(target, inputs)


def _rules(
    annotations: Path, *, split: str, protocol: str, metrics: str | None, scores: str | None
) -> Rules:
    """The rules that the options of both platforms ask for."""
    from ..competitions.rules import rules_for

    families = None if metrics is None else listed(metrics)
    keys = None if scores is None else listed(scores)
    return rules_for(annotations, split, protocol, families, keys)
