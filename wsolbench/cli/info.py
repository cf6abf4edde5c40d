"""Looking into files: `info`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from ..errors import printable
from .options import (
    FILE,
    check_output_options,
    format_option,
    json_option,
)
from .printing import print_result

__all__ = ["info"]


@click.command()
@click.argument("files", nargs=-1, type=FILE)
@format_option
@json_option
def info(files: tuple[Path, ...], form: str, as_json: bool) -> None:
    """Describe annotation files, submissions and results.

    Several results are shown in one table, which --format applies to. Without FILES, print the
    versions of wsolbench and its packages.
    """
    check_output_options(form, as_json)
    from ..formats.describe import describe, versions

    if not files:
        about = versions()
        lines = [f"{name:12} {value}" for name, value in about.items()]
        click.echo(json.dumps(about, indent=1, sort_keys=True) if as_json else "\n".join(lines))
        return
    described = [{"file": str(file), **describe(file)} for file in files]
    if as_json:
        content = described[0] if len(files) == 1 else described
        click.echo(json.dumps(content, indent=1, sort_keys=True))
        return
    from ..formats.report import signature, table
    from ..formats.result import read_result

    for file, content in zip(files, described, strict=True):
        if content["kind"] != "result":
            click.echo(f"{file}: {content['kind']}")
            told = {name: value for name, value in content.items() if name not in ("file", "kind")}
            click.echo("\n".join(_indented(told)))
    results = [
        read_result(file)
        for file, content in zip(files, described, strict=True)
        if content["kind"] == "result"
    ]
    if len(results) == 1 and form == "text":
        print_result(results[0])
    elif results:
        click.echo(table(results, form))
        click.echo(err=form != "text")
        for result in results:
            click.echo(f"{result.name}: {signature(result)}", err=form != "text")


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
