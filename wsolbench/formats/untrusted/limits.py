"""What a file of somebody else may declare, and what reading it may cost at most.

`docs/robustness.md` lists these limits with the reason for each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = [
    "MAX_ATTRIBUTE_BYTES",
    "MAX_CHUNKS",
    "MAX_CHUNK_BYTES",
    "MAX_COLUMN_BYTES",
    "MAX_DEFLATE_RATIO",
    "MAX_ROW_BYTES",
    "MAX_SLACK_BYTES",
    "MAX_STRING",
    "MEMORY",
    "QUICK_SECONDS",
    "SECONDS",
    "SIGNATURE",
    "Bounds",
]

SIGNATURE = b"\x89HDF\r\n\x1a\n"
"""First bytes of an HDF5 file without a user block; HDF5 tries plugins on other files."""

MAX_STRING = 64
"""Maximum bytes of a fixed string: the longest image id."""

MAX_COLUMN_BYTES = 256 << 30
"""Maximum declared bytes of a data set with chunk padding: 44,271 float32 maps of 1200x1200."""

MAX_CHUNK_BYTES = 64 << 20
"""Maximum inflated bytes of one chunk: one float32 map of the largest side."""

MAX_ROW_BYTES = 1 << 30
"""Maximum inflated bytes of all chunks of one row: h5py's default chunks need 519 MiB for ILSVRC's
maps of 375x500 float32."""

MAX_CHUNKS = 4_000_000
"""Maximum chunks of a data set: two for each row of the largest submission."""

MAX_DEFLATE_RATIO = 1032
"""Highest compression ratio of deflate (zlib's technical details); higher ones are forged."""

MAX_ATTRIBUTE_BYTES = 64 << 10
"""Maximum bytes of one attribute, which is HDF5's own limit in an object header."""

MAX_SLACK_BYTES = 1 << 30
"""Bytes that a file may have beyond twice those of its columns: a hole of 1 TiB takes no room on a
disk, but would be hashed for hours."""

MEMORY = {"hdf5": 2 << 30, "pictures": 3 << 30, "weights": 1 << 30, "xml": 1 << 30}
"""Address space of a reader process, in bytes, by what it reads: 4 million chunks of HDF5 need less
than 1 GiB, and the largest picture accepted needs 2 GiB while it is converted."""

SECONDS = 60
"""Wall-clock and processor time of one request to a reader process: 4 million chunks take 8 s."""

QUICK_SECONDS = 3
"""Processor time of a request that only looks at a header. HDF5 loops for ever on some damaged
texts of variable length, so that this is the time after which a hang is reported."""


@dataclass(frozen=True)
class Bounds:
    """The accepted type and shape of a data set.

    Attributes:
        dtypes: NumPy kinds (`"u"`, `"i"`, `"f"`, `"S"`) or full types (`"|u1"`, `"<f4"`).
        shape: one entry per dimension; an int is a length, a pair an inclusive range.
        meant: the same in words, for messages.
        upright: whether (N, 1) stands for (N,) too, as programs of matrices write columns.
    """

    dtypes: tuple[str, ...]
    shape: tuple[int | tuple[int, int], ...]
    meant: str
    upright: bool = False

    def accepts_type(self, dtype: np.dtype[Any]) -> bool:
        """Whether a data set may have this type."""
        return dtype.kind in self.dtypes or dtype.str in self.dtypes

    def accepts_shape(self, shape: tuple[int, ...]) -> bool:
        """Whether a data set may have this shape."""
        flat = shape[:1] if self.upright and shape[1:] == (1,) else shape
        if len(flat) != len(self.shape):
            return False
        ends = [(entry, entry) if isinstance(entry, int) else entry for entry in self.shape]
        return all(low <= length <= high for length, (low, high) in zip(flat, ends, strict=True))
