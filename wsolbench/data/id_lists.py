"""Lists of image ids as text files, to predict or score a part of a split."""

from __future__ import annotations

import os
from collections.abc import Iterable

from ..files import write_text
from .importers.tables import read_lines

__all__ = ["read_ids", "write_ids"]


def read_ids(path: str | os.PathLike[str]) -> list[str]:
    """The ids in a text file, one per line; blank lines are skipped.

    Raises:
        WsolbenchError: the file is missing, not UTF-8, too large or empty.
    """
    return [line for _, line in read_lines(path, "a list of image ids, one per line")]


def write_ids(path: str | os.PathLike[str], ids: Iterable[str]) -> None:
    """Write ids as a text file, sorted, one per line, atomically.

    The file's SHA-256 is that of the subset in a result (`formats.result.Subset`).
    """
    write_text(path, "".join(f"{name}\n" for name in sorted(ids)))
