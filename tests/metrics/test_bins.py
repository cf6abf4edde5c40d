"""Bins of values against a search, which is their oracle."""

from __future__ import annotations

import numpy as np
import pytest

from wsolbench.metrics import pixel
from wsolbench.protocols.record import BIN_EDGES

BINS = len(BIN_EDGES)


def searched(values: np.ndarray, edges: np.ndarray = BIN_EDGES) -> np.ndarray:
    return (np.searchsorted(edges, values, side="right") - 1).astype(np.uint16)


def counted(bins: np.ndarray, mask: np.ndarray, ignore: np.ndarray | None) -> np.ndarray:
    here = np.ones(mask.shape, bool) if ignore is None else ~ignore
    return np.stack([np.bincount(bins[here & kind], minlength=BINS) for kind in (~mask, mask)])


def near(limits: np.ndarray, steps: int) -> np.ndarray:
    """Limits in their float type, and so many floats on either side of each."""
    below, above, found = limits, limits, [limits]
    for _ in range(steps):
        below = np.nextafter(below, limits.dtype.type(-1))
        above = np.nextafter(above, limits.dtype.type(2))
        found += [below, above]
    return np.concatenate(found)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_every_float_near_an_edge_is_in_its_bin(dtype: str) -> None:
    for limits in (BIN_EDGES, np.arange(1001) / 1000):
        values = near(limits.astype(dtype), 40)
        values = values[values >= 0]
        assert pixel.bins_of(values, BIN_EDGES).tolist() == searched(values).tolist()


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_values_beyond_the_edges_are_where_a_search_puts_them(dtype: str) -> None:
    odd = [np.nan, -np.nan, np.inf, -np.inf, -0.0, 0.0, -0.5, -1e-7, 1.0, 1.5, 6e4]
    values = np.array(odd, dtype)
    assert pixel.bins_of(values, BIN_EDGES).tolist() == searched(values).tolist()


def test_other_types_and_edges() -> None:
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    found = pixel.bins_of(levels, BIN_EDGES)
    assert found.dtype == np.uint16
    assert found.tolist() == searched(levels).tolist()
    values = near(np.array([0.0, 0.25, 0.3, 1.0]), 3)
    for edges in (np.array([0.0, 0.01, 0.25, 0.3, 0.9, 1.0]), np.array([0.25]), np.zeros(3)):
        assert pixel.bins_of(values, edges).tolist() == searched(values, edges).tolist()


@pytest.mark.parametrize("kind", ["random", "constant", "levels", "column"])
@pytest.mark.parametrize("ignoring", [False, True])
def test_histograms_are_numpys(kind: str, ignoring: bool) -> None:
    rng = np.random.default_rng(1)
    values = {
        "random": rng.random((40, 30)),
        "constant": np.zeros((40, 30)),
        "levels": rng.integers(0, 256, (40, 30)) / 255,
        "column": rng.random((30, 40), np.float32).T,
    }[kind]
    mask, away = rng.random((2, 40, 30)) < 0.3
    ignore = away if ignoring else None
    found = pixel.count_bins(pixel.bins_of(values, BIN_EDGES), BINS, mask, ignore)
    assert found.dtype == np.int64
    assert found.tolist() == counted(searched(values), mask, ignore).tolist()


def test_a_value_below_the_first_bin_is_not_counted_elsewhere() -> None:
    values = np.array([[0.5, -1e-300]])
    with pytest.raises(ValueError, match="a value below the first bin"):
        pixel.count_bins(pixel.bins_of(values, BIN_EDGES), BINS, values > 0)
