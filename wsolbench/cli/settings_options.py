"""Options made from the fields of settings, so that the command line and Python have the same."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import fields
from typing import Any

import click

from ..baselines.settings import Settings

__all__ = ["given_settings", "integers", "settings_options"]


def integers(text: str) -> tuple[int, ...]:
    """Integers separated by commas."""
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise click.BadParameter(f"{text!r} is not a list of integers such as 1,2.") from None


def settings_options(
    kind: type[Settings], leave_out: Collection[str] = ()
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """An option for each field of `kind` but some; one that is not given is None."""

    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        for own in reversed([own for own in fields(kind) if own.name not in leave_out]):
            default = own.default
            shown = ",".join(map(str, default)) if isinstance(default, tuple) else str(default)
            shown += own.metadata.get("but", "")
            command = click.option(
                f"--{own.name.replace('_', '-')}",
                type=integers if isinstance(default, tuple) else type(default),
                metavar="N,N" if isinstance(default, tuple) else None,
                help=f"{own.metadata['help']} [default: {shown}].",
            )(command)
        return command

    return add


def given_settings(kind: type[Settings], options: dict[str, Any]) -> dict[str, Any]:
    """The settings that were given, taken out of a command's options."""
    names = [own.name for own in fields(kind) if own.name in options]
    taken = {name: options.pop(name) for name in names}
    return {name: value for name, value in taken.items() if value is not None}
