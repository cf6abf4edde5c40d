"""The hash of what a submission holds beside the values of its maps and edges.

Those have a CRC-32 each; the hash covers these, the ids, `top5`, boxes, windows, sizes, types and
the header, so that damage anywhere in a file of format version 2 is found. `docs/
submission-format.md` defines it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from ...image_ids import MAX_BYTES

__all__ = ["TYPES", "content_sha256"]

TYPES = {
    "boxes": "<i4",
    "crc32": "<u4",
    "edges": "<i4",
    "edges_crc32": "<u4",
    "image_id": f"S{MAX_BYTES}",
    "maps": "<i4",
    "top5": "<i4",
    "window": "<f8",
}
"""The columns and the types in which they are hashed; of maps and edges (height, width)."""


def content_sha256(
    head: Mapping[str, object], columns: Mapping[str, Iterable[NDArray[np.generic]]]
) -> str:
    """The SHA-256 of a submission's content, in hexadecimal.

    Args:
        head: the root attributes; and under `maps` and `edges` the names of the types of the
            stored values, of those that there are.
        columns: by their names, the keys of `TYPES`, in consecutive blocks of rows.
    """
    digest = hashlib.sha256(json.dumps(head, sort_keys=True, ensure_ascii=True).encode())
    for name in sorted(columns):
        digest.update(f"\n{name}\n".encode())
        for block in columns[name]:
            digest.update(np.ascontiguousarray(block, dtype=TYPES[name]).tobytes())
    return digest.hexdigest()
