"""`wsolbench` and `python -m wsolbench` are the command line."""

from __future__ import annotations

import os
import sys

from .interrupts import watch

__all__ = ["main"]


def main() -> None:
    """Run the command line; Ctrl-C ends it from here on, even while it is being loaded."""
    _occupy_standard_streams()
    watch()
    from .cli import main as run

    run()


def _occupy_standard_streams() -> None:
    """Open closed standard streams on nothing, so that no other file takes their numbers."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "w" if number else "r", closefd=False))


if __name__ == "__main__":
    main()
