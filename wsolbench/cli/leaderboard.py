"""`leaderboard`: tables of entries, and entries of results."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from ..progress import bar
from .options import FILE, quiet_option

__all__ = [
    "leaderboard",
    "leaderboard_add",
    "leaderboard_build",
    "leaderboard_check",
    "leaderboard_verify",
]


@click.group()
def leaderboard() -> None:
    """Make tables of entries, and entries of results."""


_root = click.option(
    "--root", type=FILE, default="leaderboard", show_default=True, help="Its folder."
)


@leaderboard.command("build")
@_root
def leaderboard_build(root: Path) -> None:
    """Write README.md, index.html, schema.json and the CSV files anew."""
    from ..leaderboard import build

    changed = build(root)
    click.echo("\n".join(map(str, changed)) if changed else f"{root}: nothing changed")


@leaderboard.command("check")
@_root
@click.option("--against", type=FILE, help="The folder to which this one may only add entries.")
def leaderboard_check(root: Path, against: Path | None) -> None:
    """Print the lines in which generated files are stale.

    With --against, print first what differs from that folder in more than new entries. Exit status
    0 if all is fresh and sound, else 1.
    """
    from ..leaderboard import changes, check

    moved = [] if against is None else changes(root, against)
    lines = check(root)
    if moved:
        moved.append(f"{root}: more than new entries; undo that, or leave it to a maintainer")
    if lines:
        lines.append(f"{root}: stale; run `wsolbench leaderboard build`")
    click.echo("\n".join([*moved, *lines] or [f"{root}: fresh"]))
    sys.exit(1 if moved or lines else 0)


@leaderboard.command("add")
@click.argument("result", type=FILE)
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
    from ..leaderboard import About, add

    click.echo(add(read_result(result), About(**about), root))


@leaderboard.command("verify")
@click.argument("entry", type=FILE)
@click.option("--submission", type=FILE, required=True, help="The maps of the entry.")
@click.option("--annotations", type=FILE, required=True, help="Annotation file.")
@click.option("--threshold-from", type=FILE, help="The result that a carried threshold is of.")
@click.option("--write", is_flag=True, help="Set the entry's state to reproduced.")
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

    Exit status 0 if all are the same, 1 if not.
    """
    from ..files import write_text
    from ..formats.result import read_result
    from ..leaderboard import reproduced, verify
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
