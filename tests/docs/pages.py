"""Pages of the documentation: their blocks of code, and running these."""

from __future__ import annotations

import contextlib
import glob
import io
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from wsolbench.cli import cli

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
DEMO = ["demo", "--out", "demo"]
"""The command whose folder the tests share."""

SMALL = {("plot", "seeds"): ["--limit", "2", "--max-pixels", "200"]}
"""Options that are added to a command, so that it takes seconds: t-SNE alone takes a minute."""

_RECORD = r"""
set -eu
wsolbench() { printf '%s\t' wsolbench "$@"; printf '\n'; }
python() { printf '%s\t' python "$@"; printf '\n'; }
"""


@dataclass(frozen=True)
class Block:
    """A fenced block of a page.

    Attributes:
        page: its name below docs/.
        line: of the page, from 1, where the fence opens.
        language: what follows the fence.
        text: the lines between the fences.
    """

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def pages() -> list[str]:
    """The names of all pages below docs/, sorted."""
    return sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))


def blocks(page: str) -> list[Block]:
    """The fenced blocks of a page, in order."""
    text = (DOCS / page).read_text(encoding="utf-8")
    found = re.finditer(r"^```(\w*)\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    return [Block(page, text.count("\n", 0, own.start()) + 1, own[1], own[2]) for own in found]


def calls(block: Block) -> list[list[str]]:
    """The commands of a block as bash reads them, its loops written out; patterns of files stay."""
    script = f"{_RECORD}\nset -f\n{block.text}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    return [line.rstrip("\t").split("\t") for line in done.stdout.splitlines()]


def run(block: Block, names: dict[str, Any]) -> str:
    """Run a block of commands or Python in the working folder, and return what it prints.

    Args:
        block: of language "sh" or "python".
        names: the variables of the page's Python, shared by its blocks.
    """
    if block.language == "python":
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(block.text, str(block), "exec"), names)
        return printed.getvalue()
    return "".join(_called(block, own) for own in calls(block))


def _called(block: Block, words: list[str]) -> str:
    program, *arguments = words
    assert program == "wsolbench", f"{block}: only wsolbench and Python run here: {words}"
    if arguments == DEMO and Path("demo").is_dir():
        return ""
    given = [*_expanded(arguments), *SMALL.get(tuple(arguments[:2]), [])]
    done = CliRunner().invoke(cli, given)
    assert done.exit_code == 0, f"{block}: {' '.join(words)}: {done.output}{done.stderr}"
    return done.output


def _expanded(arguments: list[str]) -> Iterator[str]:
    for text in arguments:
        yield from (sorted(glob.glob(text)) if "*" in text else [text])
