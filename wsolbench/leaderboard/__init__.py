"""The leaderboard: entries in, tables and a page out.

`entries` holds one line of it, `tables` decides what stands in which table and in which order;
`readme` and `page` draw them.
"""

from __future__ import annotations

from .add import About, add
from .build import build, changes, check, generated
from .entries import Entry, read_entry, read_scored
from .files import read_entries, read_notes
from .verify import reproduced, verify

__all__ = [
    "About",
    "Entry",
    "add",
    "build",
    "changes",
    "check",
    "generated",
    "read_entries",
    "read_entry",
    "read_notes",
    "read_scored",
    "reproduced",
    "verify",
]
