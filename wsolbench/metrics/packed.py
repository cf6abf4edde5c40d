"""Arrays of different lengths as one: how many images are handed to a compiled loop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Packed"]


@dataclass(frozen=True, eq=False)
class Packed:
    """Parts of different lengths, one after the other.

    Attributes:
        values: all of them.
        starts: int64 (n + 1,), where each part begins, and the end.
    """

    values: NDArray[Any]
    starts: NDArray[np.int64]

    @classmethod
    def of(cls, parts: Sequence[NDArray[Any]], empty: NDArray[Any]) -> Packed:
        """Pack arrays along their first axis.

        Args:
            parts: alike but for their lengths.
            empty: what no part at all packs to; its dtype is that of the values.
        """
        starts = np.zeros(len(parts) + 1, dtype=np.int64)
        starts[1:] = np.cumsum([len(part) for part in parts])
        return cls(np.concatenate([*parts, empty], dtype=empty.dtype), starts)

    def parts(self) -> list[NDArray[Any]]:
        """The parts, as views."""
        ends = self.starts.tolist()
        return [self.values[start:stop] for start, stop in pairwise(ends)]
