"""`info`: what files hold."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from .. import __version__
from ..errors import printable
from .evaluate import print_result
from .options import FILE, format_option, json_option

__all__ = ["info"]


@click.command()
@click.argument("files", nargs=-1, type=FILE)
@format_option
@json_option
def info(files: tuple[Path, ...], form: str, as_json: bool) -> None:
    """Tell what files hold: annotations, submissions, results.

    Several results are shown side by side (--format is for these). Without a file: versions and
    platform.
    """
    if as_json and form != "text":
        raise click.UsageError("--json and --format exclude each other.")
    if not files:
        about = _versions()
        lines = [f"{name:12} {value}" for name, value in about.items()]
        click.echo(json.dumps(about, indent=1, sort_keys=True) if as_json else "\n".join(lines))
        return
    from ..formats.describe import content_of, open_any
    from ..formats.result import Result

    items = [open_any(file) for file in files]
    results = [item for item in items if isinstance(item, Result)]
    if as_json:
        content = [
            {"file": str(file), **content_of(item)} for file, item in zip(files, items, strict=True)
        ]
        click.echo(json.dumps(content[0] if len(files) == 1 else content, indent=1, sort_keys=True))
        return
    for file, item in zip(files, items, strict=True):
        if not isinstance(item, Result):
            told = content_of(item)
            click.echo(f"{file}: {told.pop('kind')}")
            click.echo("\n".join(_indented(told)))
    if len(results) == 1 and form == "text":
        print_result(results[0])
    elif results:
        from ..formats.report import signature, table

        click.echo(table(results, form))
        click.echo(err=form != "text")
        for result in results:
            click.echo(f"{result.name}: {signature(result)}", err=form != "text")


def _versions() -> dict[str, str]:
    import platform
    from importlib.metadata import PackageNotFoundError, version

    found = {"wsolbench": __version__, "python": platform.python_version()}
    for name in ("numpy", "h5py", "pycocotools", "numba", "pillow", "torch"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return {**found, "platform": platform.platform(), "processors": str(os.cpu_count())}


def _indented(content: Mapping[str, Any], depth: int = 1) -> list[str]:
    """A line a value, those that hold others with theirs below; what is empty is left out."""
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
