"""The leaderboard: reads entries, writes tables and a web page.

`entries` defines one row, `tables` assigns rows to tables and ranks them; `readme` and `page` draw
the tables.

The names are imported at once, not when first used: `add`, `build` and `verify` are modules too,
and importing such a module would replace the function of its name. No heavy package is imported.

Examples:
    >>> about = wsolbench.leaderboard.About(
    ...     "A. Author", "image label", "CC-BY-4.0", "2026-01-31", "wsolbench predict sem ..."
    ... )
    >>> result = wsolbench.read_result("demo/sem-val.json")
    >>> path = wsolbench.leaderboard.add(result, about, "board")
    >>> wsolbench.leaderboard.read_entry(path).state
    'measured'
"""

from __future__ import annotations

from .add import About, add
from .build import build, changes, check, generated
from .entries import Entry, read_entry, read_scored
from .files import read_entries, read_notes
from .recompute import Recomputed, attach, copy_counts, filled, recompute
from .verify import reproduced, verify

__all__ = [
    "About",
    "Entry",
    "Recomputed",
    "add",
    "attach",
    "build",
    "changes",
    "check",
    "copy_counts",
    "filled",
    "generated",
    "read_entries",
    "read_entry",
    "read_notes",
    "read_scored",
    "recompute",
    "reproduced",
    "verify",
]
