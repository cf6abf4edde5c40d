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
@click.option(
    "--counts",
    type=FILE,
    help="Counts file of the result (evaluate --counts): a copy makes the entry recomputable.",
)
@_root
def leaderboard_add(result: Path, root: Path, counts: Path | None, **about: str) -> None:
    """Make an entry from a result file."""
    from ..formats.result import read_result
    from ..leaderboard import About, add

    click.echo(add(read_result(result), About(**about), root, counts))


@leaderboard.command("verify")
@click.argument("entries", metavar="[ENTRY]...", type=FILE, nargs=-1)
@click.option("--submission", type=FILE, help="Submission with the maps of the entry.")
@click.option(
    "--annotations",
    type=FILE,
    help="Annotation file. Optional with --from-counts: compares images, classes and pixels, too.",
)
@click.option(
    "--threshold-from", type=FILE, help="Result from which the entry's thresholds were carried."
)
@click.option(
    "--from-counts",
    is_flag=True,
    help="Recompute from the counts next to the entries, without maps and annotations; without "
    "ENTRY, all entries that carry counts.",
)
@click.option(
    "--counts",
    type=FILE,
    help="With --from-counts: the counts file of the entry, if it is elsewhere.",
)
@click.option(
    "--write",
    is_flag=True,
    help="If all numbers are equal, mark the entry as reproduced; with --from-counts, add scores "
    "that it does not have yet, and copy --counts next to it.",
)
@_root
@quiet_option
def leaderboard_verify(
    entries: tuple[Path, ...],
    submission: Path | None,
    annotations: Path | None,
    threshold_from: Path | None,
    from_counts: bool,
    counts: Path | None,
    write: bool,
    root: Path,
    quiet: bool,
) -> None:
    """Score an entry's maps again, or recompute entries from their counts, and compare.

    The exit status is 0 if all numbers are equal, else 1.
    """
    if from_counts:
        _refuse_options(submission=submission, threshold=threshold_from)
        _verify_from_counts(entries, counts, annotations, write, root, quiet)
        return
    if len(entries) != 1:
        raise click.UsageError("Name one ENTRY, or pass --from-counts.")
    if submission is None or annotations is None:
        raise click.UsageError("Pass --submission and --annotations, or --from-counts.")
    if counts is not None:
        raise click.UsageError("--counts needs --from-counts.")
    from ..files import require_target, write_text
    from ..formats.result import read_result
    from ..leaderboard import read_entry, reproduced, verify

    (entry,) = entries
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


def _refuse_options(**given: Path | None) -> None:
    """Refuse options of files that counts make superfluous."""
    names = {"threshold": "threshold-from"}
    if found := [f"--{names.get(name, name)}" for name, path in given.items() if path]:
        raise click.UsageError(f"--from-counts needs no {' and no '.join(found)}: leave it out.")


def _verify_from_counts(
    entries: tuple[Path, ...],
    counts: Path | None,
    annotations: Path | None,
    write: bool,
    root: Path,
    quiet: bool,
) -> None:
    from ..errors import WsolbenchError, some
    from ..files import together, write_text
    from ..leaderboard import attach, copy_counts, filled, read_entries, read_entry, recompute
    from ..leaderboard.entries import counts_beside, entry_path

    if counts is not None and len(entries) != 1:
        raise click.UsageError("--counts is of one ENTRY: name it.")
    if not entries:
        counted = [entry for entry in read_entries(root) if entry.counts_sha256]
        entries = tuple(Path(root, entry_path(entry)) for entry in counted)
        if not entries:
            click.echo(f"{root}: no entry carries counts")
    failed = False
    for path in entries:
        read = read_entry(path)
        if counts is None and not read.counts_sha256:
            raise WsolbenchError(
                path,
                found="an entry without counts",
                expected="the hash of a counts file in its provenance",
                cure="name the counts file with --counts",
            )
        with bar("recompute", quiet=quiet) as progress:
            beside = counts or counts_beside(path)
            found = recompute(read, beside, annotations=annotations, progress=progress)
        if found.differences:
            failed = True
            click.echo("\n".join(f"{path}: {line}" for line in found.differences))
            continue
        numbers = f"{len(read.scores)} scores and {len(read.intervals)} intervals"
        click.echo(f"{path}: {numbers} recomputed")
        if found.later:
            done = "added" if write else "not in the entry yet (--write adds them)"
            click.echo(f"{path}: {len(found.later)} later scores {done}: {some([*found.later])}")
        if write:
            entry = filled(read, found)
            with together():
                if counts is not None:
                    entry = attach(entry, counts)
                    if counts.resolve() != counts_beside(path).resolve():
                        copy_counts(counts, counts_beside(path))
                write_text(path, entry.to_json())
    sys.exit(1 if failed else 0)
