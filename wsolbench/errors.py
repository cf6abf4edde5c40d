"""The one exception of the project, and the shape of its messages.

An error says four things: where it is, what was found there, what was expected, and what to do.
The command line prints it as one line and leaves with `exit_status`.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["SHOWN", "WsolbenchError", "printable", "some"]

SHOWN = 3
"""How many items of a long list a message shows before it gives the count alone."""

LONGEST = 600
"""Characters of one part of a message."""


class WsolbenchError(Exception):
    """An input that cannot be used, or one that was read and found wanting.

    Args:
        where: the file, row, option or argument at fault.
        found: what is there.
        expected: what should be there; may be empty where `found` says it all.
        cure: what the reader can do about it, in the imperative.
        exit_status: 2 for an input that cannot be used (missing file, bad option), 1 for one that
            was read and found wanting (an invalid submission, a stale leaderboard).
    """

    def __init__(
        self, where: object, *, found: str, expected: str = "", cure: str, exit_status: int = 2
    ) -> None:
        self.where = str(where)
        self.found = found
        self.expected = expected
        self.cure = cure
        self.exit_status = exit_status
        wanted = f", expected {printable(expected)}" if expected else ""
        super().__init__(
            f"{printable(self.where)}: found {printable(found)}{wanted}; {printable(cure)}"
        )

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        parts = (self.where, self.found, self.expected, self.cure, self.exit_status)
        return _restored, parts


def printable(text: str) -> str:
    """A stranger's text for a terminal or a table: one line, no control characters, not endless."""
    line = " ".join(text.split())
    safe = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in line)
    return safe if len(safe) <= LONGEST else f"{safe[:LONGEST]}..."


def _restored(where: str, found: str, expected: str, cure: str, exit_status: int) -> WsolbenchError:
    """The error on the other side of a process border; exceptions are rebuilt by position."""
    return WsolbenchError(where, found=found, expected=expected, cure=cure, exit_status=exit_status)


def some(items: Sequence[object]) -> str:
    """The first items of a list and how many there are: `a, b, c and 7 more`."""
    shown = ", ".join(str(item) for item in items[:SHOWN])
    rest = len(items) - SHOWN
    return f"{shown} and {rest} more" if rest > 0 else shown
