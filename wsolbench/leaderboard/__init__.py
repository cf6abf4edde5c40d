"""The leaderboard: entries in, tables and a page out.

The names are loaded when first used. `entries` holds one line of it, `tables` what stands in which
table and in which order; `readme` and `page` draw them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .add import About, add
    from .build import build, changes, check, generated
    from .entries import Entry, read_entry, read_scored
    from .files import read_entries, read_notes
    from .verify import reproduced, verify

_HOMES = {
    "About": "add",
    "Entry": "entries",
    "add": "add",
    "build": "build",
    "changes": "build",
    "check": "build",
    "generated": "build",
    "read_entries": "files",
    "read_entry": "entries",
    "read_notes": "files",
    "read_scored": "entries",
    "reproduced": "verify",
    "verify": "verify",
}

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


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
    # The import has bound the submodules `add`, `build` and `verify` to the names of functions.
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(__all__)
