"""Looking into files: `info`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import printable
from .layout_options import layout_of, layout_options
from .options import (
    FILE,
    check_output_options,
    format_option,
    json_option,
)
from .printing import print_notes, print_result

if TYPE_CHECKING:
    from ..formats.layout import Layout

__all__ = ["info"]


@click.command()
@click.argument("files", nargs=-1, type=FILE)
@format_option
@json_option
@layout_options("columns", "sort", "transpose", "bold")
def info(files: tuple[Path, ...], form: str, as_json: bool, **asked: Any) -> None:
    """Describe annotation files, submissions and results.

    Several results are printed as one table; --format, --columns, --sort, --transpose and --bold
    change it. Results of one method that state different seeds are also summarised by their mean
    and standard deviation. Without FILES, print the versions of wsolbench and its packages.
    """
    check_output_options(form, as_json)
    layout = layout_of(form, as_json, **asked)
    from ..formats.describe import describe, versions

    if not files:
        about = versions()
        lines = [f"{name:12} {value}" for name, value in about.items()]
        click.echo(json.dumps(about, indent=1, sort_keys=True) if as_json else "\n".join(lines))
        return
    described = [{"file": str(file), **describe(file)} for file in files]
    _check_options(described, form, layout)
    from ..formats.report import seeds_table, signature, table
    from ..formats.result import read_result
    from ..formats.seeds import seed_groups, seed_notes

    named = [
        (file, read_result(file))
        for file, content in zip(files, described, strict=True)
        if content["kind"] == "result"
    ]
    if layout.sort:
        named = layout.order(named, lambda own: own[1].scores, lambda own: own[1].name)
    results = [result for _, result in named]
    groups = seed_groups(results)
    print_notes(seed_notes(results))
    if as_json:
        for group in groups:
            runs = [str(named[place][0]) for place in group.places]
            described.append({"kind": "seeds", "files": runs, **vars(group)})
        printed = described[0] if len(files) == 1 else described
        click.echo(json.dumps(printed, indent=1, sort_keys=True))
        return
    for file, content in zip(files, described, strict=True):
        if content["kind"] != "result":
            click.echo(f"{file}: {content['kind']}")
            told = {name: value for name, value in content.items() if name not in ("file", "kind")}
            click.echo("\n".join(_indented(told)))
    if len(results) == 1 and form == "text":
        print_result(results[0], layout)
    elif results:
        click.echo(table(results, form, layout))
        if groups and form != "csv":
            click.echo(f"\n{seeds_table(groups, form)}")
        click.echo(err=form != "text")
        for result in results:
            click.echo(f"{result.name}: {signature(result)}", err=form != "text")


def _check_options(described: Sequence[Mapping[str, Any]], form: str, layout: Layout) -> None:
    """Refuse the options of tables for files that are not shown in one."""
    given = {
        "--format": form != "text",
        "--columns": layout.columns,
        "--sort": layout.sort,
        "--transpose": layout.transposed,
        "--bold": layout.bold,
    }
    others = [content for content in described if content["kind"] != "result"]
    for name, own in given.items():
        if own and others:
            raise click.UsageError(
                f"{name} is for results alone; {others[0]['file']} holds: {others[0]['kind']}."
            )


def _indented(content: Mapping[str, Any], depth: int = 1) -> list[str]:
    """One line per value, nested values indented below; empty texts are left out."""
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
