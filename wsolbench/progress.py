"""How long work tells how far it is.

The library calls a `Progress`; what a person sees of it is the command line's affair.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["Progress", "bar"]

Progress = Callable[[int, int], None]
"""Called with (done, total) as the work goes on."""


@contextmanager
def bar(title: str, unit: str = "image", *, quiet: bool = False) -> Iterator[Progress | None]:
    """A progress bar with the time left on stderr; None where stderr is no terminal or `quiet`."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from tqdm import tqdm

    with tqdm(desc=title, unit=f" {unit}", dynamic_ncols=True, leave=False) as shown:

        def advance(done: int, total: int) -> None:
            shown.total = total
            shown.update(done - shown.n)

        yield advance
