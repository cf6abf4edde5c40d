"""Options of commands that draw figures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from .options import FILE

__all__ = ["check_look", "look_options", "photos_to_draw", "picture_option"]

_Command = TypeVar("_Command", bound=Callable[..., Any])

picture_option = click.option(
    "--out", type=FILE, required=True, help="Write the figure to this .png, .svg or .pdf file."
)


def look_options(command: _Command) -> _Command:
    """Add --style and --width: the keys of `plots.STYLES` and `plots.FIGURE_WIDTHS`."""
    width = click.option(
        "--width",
        type=click.Choice(["column", "text"]),
        help="Width of the figure: a column (3.25 inches) or the text of a page of two columns "
        "(6.875 inches) [default: what the panels need].",
    )
    style = click.option(
        "--style",
        type=click.Choice(["screen", "paper"]),
        default="screen",
        show_default=True,
        help="Look of the figure; paper has 8 pt text in a serif font, no grid and 300 dpi.",
    )
    return style(width(command))


def check_look(**pictures: Path | None) -> None:
    """Refuse --style and --width if none of the pictures, by name of the option, is asked for."""
    if any(pictures.values()):
        return
    source = click.get_current_context().get_parameter_source
    for name in ("style", "width"):
        if source(name) is not ParameterSource.DEFAULT:
            needed = " or ".join(f"--{own.replace('_', '-')}" for own in pictures)
            raise click.UsageError(f"--{name} needs {needed}.")


def photos_to_draw(command: _Command) -> _Command:
    """Add the options that choose photos."""
    options = [
        click.option(
            "--ids",
            metavar="ID,ID",
            multiple=True,
            help="Photos to draw, from top to bottom; may be repeated.",
        ),
        click.option(
            "--count",
            type=click.IntRange(1),
            help="Number of photos to draw at random [default: 4].",
        ),
        click.option("--seed", type=click.IntRange(0), help="Random seed of --count [default: 0]."),
        click.option(
            "--common",
            is_flag=True,
            help="Draw at random from the images that all submissions have, if they differ.",
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command
