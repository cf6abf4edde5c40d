"""The compiled loops over values in bins, which may be more than there are levels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .compiled import kernel

__all__ = ["bins_of", "count_bins"]


@kernel("u2[::1](f4[::1], f8[::1])", "u2[::1](f8[::1], f8[::1])")
def bins_of(values: NDArray[np.floating[Any]], edges: NDArray[np.float64]) -> NDArray[np.uint16]:
    """The bin of each value: see `pixel.bins_of`.

    The edges are taken to be evenly spaced, which says where a value should be, and then compared:
    at edges that nearly are, one step at most leads from there to the bin.

    Args:
        values: (n,).
        edges: (bins,), ascending.
    """
    bins = np.empty(values.size, dtype=np.uint16)
    last = edges.size - 1
    low, high = edges[0], edges[last]
    density = last / (high - low) if high > low else 0.0
    for place in range(values.size):
        value = np.float64(values[place])
        if low <= value < high:
            found = np.uint64((value - low) * density)  # unsigned indices spare a test
            found = min(found, np.uint64(last - 1))
            while value < edges[found]:
                found -= np.uint64(1)
            while value >= edges[found + np.uint64(1)]:
                found += np.uint64(1)
            bins[place] = found
        else:  # NaN is in the last one, as NumPy sorts it
            bins[place] = np.uint16(-1) if value < low else last
    return bins


@kernel("i8[:,::1](u2[::1], i8, b1[::1], b1[::1])")
def count_bins(
    bins: NDArray[np.uint16],
    number: int,
    mask: NDArray[np.bool_],
    ignore: NDArray[np.bool_],
) -> NDArray[np.int64]:
    """Histograms of bins: int64 (2, number), row 0 off the object, row 1 on it.

    Args:
        bins: (n,).
        number: of bins.
        mask: (n,).
        ignore: (n,), or empty where every pixel counts.
    """
    counts = np.zeros((2, number), dtype=np.int64)
    every = ignore.size == 0
    for place in range(bins.size):
        if every or not ignore[place]:
            found = bins[place]
            if found >= number:
                raise ValueError("a value below the first bin")
            counts[1 if mask[place] else 0, found] += 1
    return counts
