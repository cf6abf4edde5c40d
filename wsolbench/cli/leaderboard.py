"""The leaderboard's entries, tables and page: `leaderboard`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from ..progress import bar
from .options import (
    FILE,
    quiet_option,
)

__all__ = [
    "leaderboard",
    "leaderboard_add",
    "leaderboard_build",
    "leaderboard_check",
    "leaderboard_verify",
]


@click.group()
def leaderboard() -> None:
    """Build the leaderboard, check it, and add or verify entries."""


_root = click.option(
    "--root", type=FILE, default="leaderboard", show_default=True, help="Folder of the leaderboard."
)


@leaderboard.command("build")
@_root
def leaderboard_build(root: Path) -> None:
    """Regenerate README.md, index.html, schema.json and the CSV files."""
    from ..leaderboard import build

    changed = build(root)
    click.echo("\n".join(map(str, changed)) if changed else f"{root}: nothing changed")


@leaderboard.command("check")
@_root
@click.option(
    "--against", type=FILE, help="Leaderboard folder to which this one may only add entries."
)
def leaderboard_check(root: Path, against: Path | None) -> None:
    """Check that the generated files are up to date.

    Prints the lines that are out of date and, with --against, all differences from that folder
    other than new entries. The exit status is 1 if there are any, else 0.
    """
    from ..leaderboard import changes, check

    moved = [] if against is None else changes(root, against)
    lines = check(root)
    if moved:
        moved.append(
            f"{root}: more than new entries; undo these changes, or leave them to a maintainer"
        )
    if lines:
        lines.append(f"{root}: stale; run `wsolbench leaderboard build`")
    click.echo("\n".join([*moved, *lines] or [f"{root}: fresh"]))
    sys.exit(1 if moved or lines else 0)


@leaderboard.command("add")
@click.argument("result", type=FILE)
@click.option("--authors", required=True, help="Authors of the method.")
@click.option("--supervision", required=True, help="Supervision in training, e.g. 'image label'.")
@click.option("--licence", required=True, help="Licence of the maps.")
@click.option("--date", required=True, help="Date of the measurement: YYYY-MM-DD.")
@click.option("--command", required=True, help="Command that made the maps.")
@click.option("--paper-title", default="", help="Title of the method's paper.")
@click.option("--paper-link", default="", help="Link to the paper (https).")
@click.option("--code", default="", help="Link to the code (https).")
@click.option("--commit", default="", help="Commit of the code [default: the submission's].")
@click.option("--method", default="", help="Name of the method [default: the submission's].")
@click.option(
    "--backbone",
    default="",
    help="Name of the network, none for a network-free baseline [default: the submission's].",
)
@click.option("--pretraining", default="", help="Data on which the network was pretrained.")
@click.option(
    "--map-size",
    default="",
    help="Description of the map size [default: the submission's photo size].",
)
@click.option("--post-processing", default="", help="Post-processing of the maps, e.g. SEM.")
@click.option(
    "--variant", default="", help="Difference from other entries of the same method and network."
)
@click.option(
    "--study",
    default="",
    help="Ablation study that the entry belongs to, shown in a table without ranks.",
)
@_root
def leaderboard_add(result: Path, root: Path, **about: str) -> None:
    """Make an entry from a result file."""
    from ..formats.result import read_result
    from ..leaderboard import About, add

    click.echo(add(read_result(result), About(**about), root))


@leaderboard.command("verify")
@click.argument("entry", type=FILE)
@click.option(
    "--submission", type=FILE, required=True, help="Submission with the maps of the entry."
)
@click.option("--annotations", type=FILE, required=True, help="Annotation file.")
@click.option(
    "--threshold-from", type=FILE, help="Result from which the entry's thresholds were carried."
)
@click.option("--write", is_flag=True, help="Mark the entry as reproduced if all scores are equal.")
@quiet_option
def leaderboard_verify(
    entry: Path,
    submission: Path,
    annotations: Path,
    threshold_from: Path | None,
    write: bool,
    quiet: bool,
) -> None:
    """Score an entry's maps again and compare every number.

    The exit status is 0 if all numbers are equal, else 1.
    """
    from ..files import require_target, write_text
    from ..formats.result import read_result
    from ..leaderboard import read_entry, reproduced, verify

    read = read_entry(entry)
    if write:
        require_target(entry)
    carried = read_result(threshold_from) if threshold_from else None
    with bar("verify", quiet=quiet) as progress:
        differences = verify(
            read, submission, annotations, threshold_from=carried, progress=progress
        )
    if write and not differences:
        write_text(entry, reproduced(read).to_json())
    click.echo("\n".join(differences) if differences else f"{entry}: reproduced")
    sys.exit(1 if differences else 0)
