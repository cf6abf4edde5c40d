"""NumPy's files, .npy and .npz, whose headers are checked against their bytes first.

Source: the format's description in numpy/lib/format.py. NumPy evaluates a header as a Python
literal and allocates what it declares; here a header is read by its three entries, its shape must
fill the rest of the file exactly, and types are numbers, truth values or fixed texts.
"""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .zip_files import ZipLimits, read_members

__all__ = ["MAX_HEADER", "array_of_bytes", "read_arrays"]

MAX_HEADER = 10_000
"""Bytes of a header: NumPy's own limit, since one of numbers has about 120."""

MAX_AXES = 8
"""Axes of an array: maps with leading and trailing axes of length 1 have up to 5."""

_MAGIC = b"\x93NUMPY"
_ENTRIES = {
    "descr": r"[<>|=]?[biufSU][0-9]{1,4}",
    "fortran_order": "True|False",
    "shape": r"\([0-9, L]*\)",
}


def array_of_bytes(content: bytes) -> NDArray[Any]:
    """The array of a .npy file.

    Args:
        content: the file.

    Raises:
        ValueError: no array, another type, or a shape that its bytes do not fill.
    """
    if not content.startswith(_MAGIC) or len(content) < 12:
        raise ValueError("the first bytes are not those of an array")
    version = content[6]
    if version not in (1, 2, 3):
        raise ValueError(f"version {version} of the format")
    width = 2 if version == 1 else 4
    start = 8 + width + int.from_bytes(content[8 : 8 + width], "little")
    if start > min(len(content), 8 + width + MAX_HEADER):
        raise ValueError(f"a header of {start - 8 - width} bytes")
    kind, is_fortran, shape = _header(content[8 + width : start].decode("latin-1"))
    count, room = math.prod(shape), len(content) - start
    if count * kind.itemsize != room:
        raise ValueError(f"{kind} of shape {shape} in {room} bytes")
    values = np.frombuffer(content, kind, count, start) if count else np.empty(0, kind)
    if kind.kind == "U" and count and values.view(kind.byteorder + "u4").max() > 0x10FFFF:
        raise ValueError("texts of no characters")
    array: NDArray[Any] = values.reshape(shape, order="F" if is_fortran else "C").copy(order="K")
    return array


def _header(text: str) -> tuple[np.dtype[Any], bool, tuple[int, ...]]:
    found: dict[str, str] = {}
    rest = text
    for name, form in _ENTRIES.items():
        quote = "['\"]?" if name == "descr" else ""
        entry = re.search(rf"['\"]{name}['\"]\s*:\s*{quote}({form}){quote}\s*(?:,|(?=\}}))", rest)
        if entry is None:
            raise ValueError(f"a header without a simple {name}")
        found[name] = entry[1]
        rest = rest[: entry.start()] + rest[entry.end() :]
    if re.fullmatch(r"\{\s*\}\s*", rest) is None:
        raise ValueError("a header with more than a type, an order and a shape")
    axes = [int(axis.strip(" L")) for axis in found["shape"][1:-1].split(",") if axis.strip(" L")]
    if len(axes) > MAX_AXES:
        raise ValueError(f"{len(axes)} axes")
    try:
        kind = np.dtype(found["descr"])
    except TypeError as error:
        raise ValueError(f"type {found['descr']}") from error
    return kind, found["fortran_order"] == "True", tuple(axes)


def read_arrays(content: bytes, limits: ZipLimits) -> dict[str, NDArray[Any]]:
    """The arrays of a .npz file, by name.

    Args:
        content: the file.
        limits: of its members.

    Raises:
        ValueError: no such file, another member than arrays, or beyond the limits.
    """
    members = read_members(content, limits)
    other = [name for name in members if not name.endswith(".npy")]
    if other:
        raise ValueError(f"{other[0]!r} is no array")
    return {name.removesuffix(".npy"): array_of_bytes(data) for name, data in members.items()}
