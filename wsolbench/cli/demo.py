"""The embedded benchmark: `demo`."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from ..progress import bar
from .options import (
    FILE,
    quiet_option,
    require_torch,
)

__all__ = ["demo"]


@click.command()
@click.option("--out", type=FILE, default="demo", show_default=True, help="Folder to create.")
@quiet_option
def demo(out: Path, quiet: bool) -> None:
    """Run the embedded benchmark: scenes, maps, scores and curves."""
    require_torch("demo")
    from ..mini.demo import run_demo

    run_demo(out, say=click.echo, progress_bar=partial(bar, quiet=quiet))
