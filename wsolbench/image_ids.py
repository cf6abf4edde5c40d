"""What may name an image.

Ids come from strangers and end up in messages, tables and the names of files that are looked for,
so they are short, printable and never a path.
"""

from __future__ import annotations

import re

__all__ = ["MAX_BYTES", "RULE", "is_image_id"]

MAX_BYTES = 64
"""Longest id, in bytes: HDF5 fixed strings of this length are what other readers expect."""

RULE = (
    f"1 to {MAX_BYTES} ASCII letters, digits or _ - . + = , ~ @ ( ) blanks inside; "
    "no leading dot, no slash"
)

_PATTERN = re.compile(r"[A-Za-z0-9_+=,~@()-](?:[A-Za-z0-9_+=,~@(). -]*[A-Za-z0-9_+=,~@().-])?")


def is_image_id(text: str) -> bool:
    """Whether the text keeps `RULE`."""
    return len(text) <= MAX_BYTES and _PATTERN.fullmatch(text) is not None
