"""`evaluate --many`: the submissions of a list, scored together."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import WsolbenchError
from ..files import path_per_name, require_json_target, write_all
from ..interrupts import advise
from ..progress import bar
from .outputs import Outputs, writes_of
from .printing import print_notes

if TYPE_CHECKING:
    from ..evaluation.run import Request
    from ..formats.result import Result

__all__ = ["evaluate_listed"]


def evaluate_listed(
    request: Request,
    listed: Path,
    out: Path,
    outputs: Outputs,
    inputs: Sequence[Path | None],
    quiet: bool,
) -> int:
    """Score the submissions of a list, and write a result for each as soon as it is there.

    Args:
        request: how.
        listed: the list.
        out: the folder of the results, which is made if there is none.
        outputs: the options on results.
        inputs: other files of the command, which must not be written.
        quiet: whether to show no progress bar.

    Returns:
        The exit status: 1 if a submission could not be scored.
    """
    from ..evaluation.many import evaluate_many, read_submissions

    submissions = read_submissions(listed)
    names = [protocol.name for protocol in request.checked_protocols]
    outputs.require_form(names)
    outs = {path: path_per_name(out / f"{path.stem}.json", names) for path in submissions}
    if out.exists() and not out.is_dir():
        raise WsolbenchError(
            out,
            found="a file",
            expected="a folder for the results, or a new name",
            cure="name another folder",
        )
    out.mkdir(parents=True, exist_ok=True)
    for targets in outs.values():
        for target in targets:
            require_json_target(target, [listed, outputs.threshold_from, *inputs])
    advise(f"run the same command again to continue; the results in {out} stay")
    rows: dict[Path, list[dict[str, Any]]] = {}
    for done in evaluate_many(
        request,
        submissions,
        known=lambda path: _known(outs[path], request.counts),
        bars=partial(bar, quiet=quiet),
    ):
        if done.outcome is None:
            rows[done.path] = [{"submission": str(done.path), "error": done.error}]
            click.echo(f"wsolbench: {done.error}", err=True)
            continue
        targets = outs[done.path]
        print_notes([f"{done.path}: {note}" for note in done.outcome.notes])
        if not done.known:
            write_all(writes_of(done.outcome, targets))
        rows[done.path] = [
            _row(done.path, result, target, known=done.known)
            for result, target in zip(done.outcome.results, targets, strict=True)
        ]
    told = [row for path in submissions for row in rows[path]]
    if outputs.as_json:
        click.echo(json.dumps(told, indent=1, sort_keys=True, ensure_ascii=False))
    else:
        for place, name in enumerate(names):
            shown = [row for row in told if row.get("protocol", name) == name]
            click.echo("\n" * bool(place) + _table(shown, outputs.form))
            for line in dict.fromkeys(row["signature"] for row in shown if "signature" in row):
                click.echo(line, err=outputs.form != "text")
    return int(any("error" in row for row in told))


def _known(targets: Sequence[Path], with_counts: bool) -> tuple[Result, ...]:
    """The results that are there already; none unless all of them are, and readable."""
    from ..evaluation.counts import counts_path
    from ..formats.result import read_result

    needed = [*targets, *(map(counts_path, targets) if with_counts else ())]
    try:
        return tuple(map(read_result, targets)) if all(map(Path.is_file, needed)) else ()
    except WsolbenchError:
        return ()


def _row(submission: Path, result: Result, target: Path, *, known: bool) -> dict[str, Any]:
    """What the table and the JSON say of one result."""
    from ..formats.report import signature

    return {
        "submission": str(submission),
        "method": result.name,
        "protocol": result.protocol["name"],
        "result": str(target),
        "known": known,
        "scores": dict(result.scores),
        "signature": signature(result),
    }


def _table(rows: Sequence[dict[str, Any]], form: str) -> str:
    """A row a submission with the scores that matter most; percent, fractions in CSV."""
    from ..errors import printable
    from ..scores import SCORES, in_order
    from ..tables import csv_text, grid, markdown_text

    held = in_order({key for row in rows for key in row.get("scores", ())})
    keys = [key for key in held if SCORES[key].rank or SCORES[key].brief]
    cells: list[list[Any]] = []
    for row in rows:
        state = "failed" if "error" in row else "up to date" if row["known"] else "written"
        scores = row.get("scores", {})
        named = [printable(Path(row["submission"]).name), row.get("method", "-"), state]
        if form == "csv":
            cells.append([*named, *(scores.get(key, "") for key in keys)])
            continue
        told = [markdown_text(cell) for cell in named] if form == "md" else named
        numbers = [SCORES[key].text(scores[key]) if key in scores else "-" for key in keys]
        cells.append([*told, *numbers])
    if form == "csv":
        return csv_text(["submission", "method", "result", *keys], cells)
    head = ["Submission", "Method", "Result", *(SCORES[key].title for key in keys)]
    return grid(cells, head, form, "lllr")
