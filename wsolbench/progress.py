"""Progress reports of long-running functions.

The library calls a `Progress` callback; the command line decides how to show it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["Progress", "bar"]

Progress = Callable[[int, int], None]
"""Callback that takes (done, total)."""


@contextmanager
def bar(title: str, unit: str = "image", *, quiet: bool = False) -> Iterator[Progress | None]:
    """A progress bar on stderr; None if stderr is not a terminal or `quiet` is set."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from tqdm import tqdm

    with tqdm(desc=title, unit=f" {unit}", dynamic_ncols=True, leave=False) as shown:

        def advance(done: int, total: int) -> None:
            shown.total = total
            shown.update(done - shown.n)

        yield advance
