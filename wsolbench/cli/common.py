"""The options that every command has: --debug, and --trusted where files are read."""

from __future__ import annotations

import click

from ..formats.untrusted.trust import trust_files

__all__ = ["add_common_options", "debugging"]

_READ_NO_FILE = {"demo", "protocols"}

_debug = False


def add_common_options(command: click.Command) -> None:
    """Give a command, or each command of a group, these options."""
    if isinstance(command, click.Group):
        for each in command.commands.values():
            add_common_options(each)
        return
    if command.name not in _READ_NO_FILE:
        command.params.append(
            click.Option(
                ["--trusted"],
                is_flag=True,
                expose_value=False,
                callback=lambda context, option, given: trust_files(given),
                help="All files are my own: read them without a guarded process, and follow links.",
            )
        )
    command.params.append(
        click.Option(
            ["--debug"],
            is_flag=True,
            expose_value=False,
            is_eager=True,
            callback=_set_debug,
            help="Show where in the program an error arose.",
        )
    )


def debugging() -> bool:
    """Whether the last command was given --debug."""
    return _debug


def _set_debug(context: click.Context, option: click.Parameter, given: bool) -> None:
    global _debug
    _debug = given
