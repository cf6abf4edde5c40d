"""The one exception of the project, and the shape of its messages.

An error has up to four parts: where it is, what was found there, what was expected, and what to do
about it. If `expected` is empty, `found` states the problem by itself:

    maps.h5: found maps of float64, expected float32; use .astype(numpy.float32)
    val: no folder of photos; open the data set with images=DIR

The command line prints the error on one line and exits with `exit_status`.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

__all__ = [
    "SHOWN",
    "WsolbenchError",
    "counted",
    "meant",
    "one_of",
    "printable",
    "require_choice",
    "require_items",
    "require_path",
    "require_type",
    "some",
    "with_torch",
]

SHOWN = 3
"""Number of items of a long list that a message shows; the rest are only counted."""

LONGEST = 600
"""Maximum length of one part of a message, in characters."""


class WsolbenchError(Exception):
    """An input that cannot be used, or one that was read and is invalid.

    Args:
        where: the file, row, option or argument at fault.
        found: what is there; the whole problem if `expected` is empty.
        expected: what should be there; empty if `found` says enough.
        cure: what the reader can do about it, in the imperative.
        exit_status: 2 for an input that cannot be used (missing file, bad option), 1 for one that
            was read and is invalid (an invalid submission, an outdated leaderboard).

    Examples:
        >>> try:
        ...     wsolbench.read_result("none.json")
        ... except wsolbench.WsolbenchError as error:
        ...     print(f"{error.where}: {error.found}, {error.expected}")
        none.json: no such file, a result file
    """

    def __init__(
        self, where: object, *, found: str, expected: str = "", cure: str, exit_status: int = 2
    ) -> None:
        self.where = str(where)
        self.found = found
        self.expected = expected
        self.cure = cure
        self.exit_status = exit_status
        problem = printable(found)
        if expected:
            problem = f"found {problem}, expected {printable(expected)}"
        super().__init__(f"{printable(self.where)}: {problem}; {printable(cure)}")

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        parts = (self.where, self.found, self.expected, self.cure, self.exit_status)
        return _restored, parts


def printable(text: str) -> str:
    """Untrusted text made safe to print: one line, no control characters, limited length."""
    line = " ".join(text.split())
    safe = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in line)
    return safe if len(safe) <= LONGEST else f"{safe[:LONGEST]}..."


def _restored(where: str, found: str, expected: str, cure: str, exit_status: int) -> WsolbenchError:
    """Rebuild an unpickled error; `__reduce__` can pass positional arguments only."""
    return WsolbenchError(where, found=found, expected=expected, cure=cure, exit_status=exit_status)


def one_of(items: Collection[object]) -> str:
    """All of a choice: `a, b or c`; "nothing" where there is none."""
    *first, last = map(str, items) if items else ("nothing",)
    return f"{', '.join(first)} or {last}" if first else last


def require_choice(where: object, value: object, choices: Collection[str]) -> None:
    """Check that a value is one of a few names.

    Raises:
        WsolbenchError: it is none of them.
    """
    if not isinstance(value, str) or value not in choices:
        raise WsolbenchError(
            where,
            found=repr(value),
            expected=one_of(choices),
            cure=meant([value], choices, "name one of these"),
        )


def meant(given: Iterable[object], choices: Iterable[object], otherwise: str) -> str:
    """The cure for wrong names: the closest right ones, or another cure where none is close.

    Args:
        given: names, of which some may be right.
        choices: the right names.
        otherwise: the cure where a wrong name is like none of them; capitals do not matter.
    """
    from difflib import get_close_matches

    names = {str(name).lower(): str(name) for name in choices}
    close = []
    for name in map(str, given):
        if name not in names.values() and len(name) <= LONGEST:
            found = get_close_matches(name.lower(), list(names), 1)
            if not found:
                return otherwise
            close.append(names[found[0]])
    return f"did you mean {' and '.join(dict.fromkeys(close))}?" if close else otherwise


def require_type(where: object, value: object, kinds: tuple[type, ...], expected: str) -> None:
    """Check the type of an argument.

    Raises:
        WsolbenchError: it has another type.
    """
    if not isinstance(value, kinds):
        raise WsolbenchError(
            where,
            found=f"an object of type {type(value).__name__}",
            expected=expected,
            cure="pass one of these" if " or " in expected else "pass this",
        )


def require_items(where: object, items: object, kinds: tuple[type, ...], expected: str) -> None:
    """Check the type of a list and of each of its items; a text is no list.

    Raises:
        WsolbenchError: it is no collection, or one of its items has another type.
    """
    listed = isinstance(items, Collection) and not isinstance(items, (str, bytes, Mapping))
    if not listed:
        require_type(where, items, (), expected)
    for item in items if isinstance(items, Collection) else ():
        require_type(where, item, kinds, expected)


def require_path(where: object, value: object, expected: str) -> None:
    """Check that an argument is a path.

    Raises:
        WsolbenchError: it is no text and no path.
    """
    require_type(where, value, (str, os.PathLike), expected)


@contextmanager
def with_torch(where: str) -> Iterator[None]:
    """Import what needs PyTorch, whose absence is an error that says how to install it.

    Args:
        where: what needs it.

    Raises:
        WsolbenchError: torch or torchvision is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name not in ("torch", "torchvision"):
            raise
        raise WsolbenchError(
            where,
            found=f"it needs {error.name}, which is not installed",
            cure="pip install 'wsolbench[torch]'",
        ) from error


def some(items: Sequence[object]) -> str:
    """The first items of a list and the number of the others: `a, b, c and 7 more`."""
    shown = ", ".join(str(item) or "''" for item in items[:SHOWN])
    rest = len(items) - SHOWN
    return f"{shown} and {rest} more" if rest > 0 else shown


def counted(count: int, noun: str) -> str:
    """A number and its noun: `1 image`, `2 images`."""
    return f"{count} {noun}{'' if count == 1 else 's'}"
