"""Whole contents of small files of strangers: JSON, XML, lists, tables and arrays."""

from __future__ import annotations

import os

from ...errors import WsolbenchError
from .byte_file import ByteFile

__all__ = ["read_bytes"]


def read_bytes(
    path: str | os.PathLike[str],
    what: str,
    limit: int,
    *,
    cure: str = "name the correct file",
    exit_status: int = 2,
) -> bytes:
    """The bytes of a regular file, none of them before its size was seen.

    Args:
        path: the file.
        what: what it should be, for messages.
        limit: the most bytes that it may have.
        cure: what to do about a larger one.
        exit_status: of the error for a larger one.

    Raises:
        WsolbenchError: the file is missing, no regular file, not readable, larger, or changed
            while it was read.
    """
    with ByteFile(path, what) as file:
        if file.size > limit:
            raise WsolbenchError(
                path,
                found=f"{file.size} bytes",
                expected=f"{what} of at most {limit}",
                cure=cure,
                exit_status=exit_status,
            )
        content = file.read(0, file.size).tobytes()
        file.require_unchanged()
        return content
