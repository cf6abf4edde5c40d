"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..tables import FORMATS

__all__ = [
    "FILE",
    "LEVEL",
    "annotations_option",
    "format_option",
    "json_option",
    "listed",
    "normalise_option",
    "plural",
    "quiet_option",
]

FILE = click.Path(path_type=Path)


class Level(click.IntRange):
    """A threshold; a share of the range is refused with the level that it stands for."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The level, or click's refusal."""
        try:
            level = round(255 * float(value))
        except (ValueError, OverflowError):
            level = -1
        if "." in str(value) and 0 <= level <= 255:
            self.fail(
                f"{value} is no level 0..255; that share of the range is {level}.", param, ctx
            )
        return int(super().convert(value, param, ctx))


LEVEL = Level(0, 255)


quiet_option = click.option("--quiet", is_flag=True, help="No progress bar.")


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")


format_option = click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    default="text",
    show_default=True,
    help="How to print scores.",
)


annotations_option = click.option(
    "--annotations",
    type=FILE,
    help="Annotation file [default: $WSOLBENCH_ANNOTATIONS, else annotations/<dataset>.h5].",
)


normalise_option = click.option(
    "--normalise",
    metavar="NAME,NAME",
    help="min-max, max, pas:P, ivr:P or none; of several m.h5 becomes m.<name>.h5.",
)


def listed(text: str | None) -> list[str]:
    """The items of a list with commas between them."""
    return [] if text is None else [name.strip() for name in text.split(",")]


def plural(count: int, noun: str) -> str:
    """A count with its noun."""
    return f"{count} {noun}{'' if count == 1 else 's'}"
