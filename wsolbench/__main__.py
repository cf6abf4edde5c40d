"""`wsolbench` and `python -m wsolbench` are the command line."""

from __future__ import annotations

from .interrupts import watch

__all__ = ["main"]


def main() -> None:
    """Run the command line; Ctrl-C ends it from here on, even while it is being loaded."""
    watch()
    from .cli import main as run

    run()


if __name__ == "__main__":
    main()
