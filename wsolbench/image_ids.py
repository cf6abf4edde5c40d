"""The rule for image ids.

Ids come from untrusted files and appear in messages, tables and file names, so they are short and
printable and cannot be a path.
"""

from __future__ import annotations

import re

__all__ = ["MAX_BYTES", "RULE", "is_image_id"]

MAX_BYTES = 64
"""Maximum length of an id in bytes, and so of the fixed HDF5 strings that hold ids."""

RULE = (
    f"1 to {MAX_BYTES} ASCII letters, digits or _ - . + = , ~ @ ( ), with spaces only inside; "
    "no leading dot, no slash"
)

_PATTERN = re.compile(r"[A-Za-z0-9_+=,~@()-](?:[A-Za-z0-9_+=,~@(). -]*[A-Za-z0-9_+=,~@().-])?")


def is_image_id(text: str) -> bool:
    """Whether the text follows `RULE`."""
    return len(text) <= MAX_BYTES and _PATTERN.fullmatch(text) is not None
