"""Every `--help` ends with examples that the command itself can parse."""

from __future__ import annotations

import shlex

import click
import pytest

from wsolbench.cli import cli
from wsolbench.cli.examples import EXAMPLES
from wsolbench.interrupts import advise


def commands(command: click.Command, path: str = "") -> dict[str, click.Command]:
    """A command and all below it, by path."""
    below = command.commands if isinstance(command, click.Group) else {}
    found = {path: command}
    for name, each in below.items():
        found |= commands(each, f"{path} {name}".strip())
    return found


COMMANDS = commands(cli)


def shown(command: click.Command, path: str) -> list[str]:
    """The examples of a help text as commands, lines that go on joined."""
    with click.Context(command, info_name=path, max_content_width=100) as context:
        text = command.get_help(context)
    _, found, examples = text.partition("  Example")
    assert found, f"wsolbench {path} --help has no example"
    lines = [line.strip() for line in examples.splitlines()[1:] if line.strip()]
    assert all(len(line) <= 78 for line in lines), lines
    return "\n".join(lines).replace("\\\n", " ").splitlines()


def parse(line: str) -> str:
    """Parse a line as a command without running it, and return the command's path."""
    start, *words = shlex.split(line)
    assert start == "wsolbench"
    command: click.Command | None = cli
    path = []
    while isinstance(command, click.Group):
        path.append(words.pop(0))
        with click.Context(command) as context:
            command = command.get_command(context, path[-1])
    assert command is not None, line
    command.make_context(line, words).close()
    advise("")
    return " ".join(path)


def test_every_command_has_examples_and_every_example_a_command() -> None:
    assert set(EXAMPLES) == set(COMMANDS)


@pytest.mark.parametrize("path", COMMANDS)
def test_examples_of_a_help_text_parse(path: str) -> None:
    lines = shown(COMMANDS[path], path)
    assert len(lines) == len(EXAMPLES[path])
    for line in lines:
        found = parse(line)
        assert found == path or isinstance(COMMANDS[path], click.Group), line
        assert f"{found} ".startswith(f"{path} ".lstrip()), line


def test_explainers_have_an_example_too() -> None:
    for name in ("gradcam", "attention-rollout", "mine:explain"):
        group = COMMANDS["predict"]
        assert isinstance(group, click.Group)
        with click.Context(group) as context:
            command = group.get_command(context, name)
        assert command is not None
        (line,) = shown(command, f"predict {name}")
        assert parse(line) == f"predict {name}"


def test_an_example_with_an_unknown_option_would_be_found() -> None:
    with pytest.raises(click.NoSuchOption):
        parse("wsolbench info a.json --colums peak_iou")
    with pytest.raises(click.MissingParameter):
        parse("wsolbench export png a.h5")
