"""The file of a shard: a JSON header and integer arrays, with a checksum of both.

From the start: `MAGIC`; the header's length, uint64; the header, which lists the arrays; the arrays
in that order, in C order; the SHA-256 of everything before it. Numbers are little-endian.

A plain form, so that what a file states can be compared with its size before anything is allocated.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import WsolbenchError
from ..files import replacing, strict_json
from .untrusted.byte_file import ByteFile

__all__ = ["ENDING", "ShardFile", "damaged", "write_shard_file"]

ENDING = ".shard"

MAGIC = b"wsolshd1"

MAX_HEADER_BYTES = 4 << 20
"""Largest header that is read; one of all protocols has 60 kB."""

_DTYPES = ("<i8", "<i4", "<i2", "|b1")
_DIGEST_BYTES = 32
_WHAT = "the statistics of a shard"
_AT_A_TIME = 8 << 20  # bytes that are hashed at a time


@dataclass(frozen=True)
class ShardFile:
    """A shard's file, which is open only while it is read: a run may have thousands of shards.

    Attributes:
        path: where it lies.
        header: what the writer stated; not compared with the checksum before `arrays`.
    """

    path: Path
    header: Mapping[str, Any]

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> ShardFile:
        """Read a file's header.

        Raises:
            WsolbenchError: it is missing, or no file of a shard, or is shorter or longer than it
                states.
        """
        with ByteFile(path, _WHAT) as file:
            return cls(file.path, _header(file))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All arrays by name, compared with the checksum.

        Raises:
            WsolbenchError: the file is damaged, or has another header than before.
        """
        with ByteFile(self.path, _WHAT) as file:
            if _header(file) != self.header:
                raise damaged(self.path, "a file that was changed while it was read")
            end = file.size - _DIGEST_BYTES
            digest = hashlib.sha256()
            for start in range(0, end, _AT_A_TIME):
                digest.update(file.read(start, min(_AT_A_TIME, end - start)).data)
            if digest.digest() != file.read(end, _DIGEST_BYTES).tobytes():
                raise damaged(self.path, "bytes that differ from their checksum")
            arrays = {}
            place = end - sum(size for *_, size in _listed(self.header["arrays"]))
            for name, dtype, shape, size in _listed(self.header["arrays"]):
                raw = file.read(place, size)
                # A byte other than 0 and 1 is no truth value.
                flat = raw != 0 if dtype == np.bool_ else raw.view(dtype)
                arrays[name] = flat.reshape(shape)
                place += size
            return arrays


def write_shard_file(
    path: str | os.PathLike[str], header: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]
) -> None:
    """Write a file, whole or not at all; the same content gives the same bytes.

    Args:
        path: the file.
        header: JSON values.
        arrays: by name, int16, int32, int64 or bool.
    """
    plain = {
        name: np.asarray(own, own.dtype.newbyteorder("<"), order="C")
        for name, own in arrays.items()
    }
    listed = [[name, own.dtype.str, list(own.shape)] for name, own in plain.items()]
    text = json.dumps({**header, "arrays": listed}, sort_keys=True, allow_nan=False).encode()
    digest = hashlib.sha256()
    with replacing(path) as temporary, open(temporary, "wb") as file:
        head = MAGIC + len(text).to_bytes(8, "little") + text
        for piece in chain([head], (own.tobytes() for own in plain.values())):
            digest.update(piece)
            file.write(piece)
        file.write(digest.digest())


def damaged(path: str | os.PathLike[str], found: str) -> WsolbenchError:
    """A file that cannot be used, which is no loss: its shard can be run again."""
    return WsolbenchError(
        path,
        found=found,
        expected="a file that `wsolbench evaluate --shard` wrote",
        cure="run this shard again with the same command",
        exit_status=1,
    )


def _header(file: ByteFile) -> Mapping[str, Any]:
    """The header of an open file, whose arrays fill the rest of it.

    Raises:
        WsolbenchError: there is none.
    """
    start = len(MAGIC) + 8
    if file.size < start or file.read(0, len(MAGIC)).tobytes() != MAGIC:
        raise damaged(file.path, "another kind of file")
    length = int.from_bytes(file.read(len(MAGIC), 8).tobytes(), "little")
    if length > min(MAX_HEADER_BYTES, file.size - start):
        raise damaged(file.path, f"a header of {length} bytes")
    try:
        header: Mapping[str, Any] = strict_json(file.read(start, length).tobytes())
        listed = list(_listed(header["arrays"]))
    except (ValueError, KeyError, TypeError) as error:
        raise damaged(file.path, "a damaged header") from error
    size = start + length + sum(size for *_, size in listed) + _DIGEST_BYTES
    if size != file.size:
        raise damaged(file.path, f"{file.size} bytes instead of {size}")
    return header


def _listed(stated: Any) -> Iterator[tuple[str, np.dtype[Any], tuple[int, ...], int]]:
    """Name, type, shape and bytes of each array.

    Raises:
        ValueError: one that no writer states.
    """
    for name, dtype, shape in stated:
        sides = isinstance(shape, list) and all(type(n) is int and n >= 0 for n in shape)
        if not isinstance(name, str) or dtype not in _DTYPES or not sides:
            raise ValueError(f"the array {name!r}")
        kind = np.dtype(dtype)
        yield name, kind, tuple(shape), math.prod(shape) * kind.itemsize
