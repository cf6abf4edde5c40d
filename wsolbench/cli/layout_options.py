"""Options of commands that print tables of results: which columns, in which order."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from .options import listed

if TYPE_CHECKING:
    from ..formats.layout import Layout

__all__ = ["layout_of", "layout_options", "terminal_width"]

_Command = TypeVar("_Command", bound=Callable[..., Any])

_OPTIONS = {
    "columns": click.option(
        "--columns",
        metavar="KEY,KEY",
        help="Show only these, in this order: keys of scores as in --json, e.g. "
        "iou_at_threshold,gt_known_loc; `info` also has dataset, split, images and threshold.",
    ),
    "sort": click.option(
        "--sort",
        metavar="KEY",
        help="Sort by this score, the best first, or by name: method.",
    ),
    "transpose": click.option(
        "--transpose", is_flag=True, help="Let rows and columns of the table change places."
    ),
    "bold": click.option(
        "--bold",
        is_flag=True,
        help="Set the best value of each score in bold, and values printed alike.",
    ),
}


def layout_options(*names: str) -> Callable[[_Command], _Command]:
    """Add some of these options to a command, in the order given."""

    def add(command: _Command) -> _Command:
        for name in reversed(names):
            command = _OPTIONS[name](command)
        return command

    return add


def layout_of(
    form: str,
    as_json: bool,
    *,
    columns: str | None = None,
    sort: str | None = None,
    transpose: bool = False,
    bold: bool = False,
) -> Layout:
    """The layout that the options ask for; text for a terminal fits its width.

    Raises:
        click.UsageError: an option that the output has no place for.
    """
    from ..formats.layout import Layout

    given = {"--columns": columns, "--sort": sort, "--transpose": transpose, "--bold": bold}
    fixed = list(given) if as_json else ["--transpose", "--bold"] if form == "csv" else []
    for name in fixed:
        if given[name]:
            other = "--json" if as_json else "--format csv"
            raise click.UsageError(f"{name} and {other} exclude each other.")
    return Layout(
        tuple(listed(columns)), sort or "", transpose, bold, named=True, width=terminal_width()
    )


def terminal_width() -> int | None:
    """The width of the terminal in characters; None if output goes elsewhere, such as to a file."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None
