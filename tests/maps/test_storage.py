"""Floats become bytes by one rule, in float64."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from wsolbench.maps.storage import STORED_AS, stored


def test_a_byte_is_the_nearest_multiple() -> None:
    # float32 neighbours of (k + 1/2) / 255, where a product in float32 rounds to the half itself.
    halves = np.float32((np.arange(255) + 0.5) / 255)
    values = np.concatenate([halves, np.nextafter(halves, np.float32(0)), np.float32([0, 1])])
    levels = stored(values, "uint8")
    assert levels.dtype == np.uint8
    for value, level in zip(values, levels.tolist(), strict=True):
        exact = 255 * Fraction(float(value))
        assert abs(exact - level) <= Fraction(1, 2)
    assert (levels != np.rint(values * np.float32(255))).sum() > 20


@pytest.mark.parametrize("dtype", STORED_AS)
def test_the_input_stays(dtype: str) -> None:
    values = np.float64([[0, 0.25, 1]])
    found = stored(values, dtype)
    assert found.dtype == dtype
    assert values.tolist() == [[0, 0.25, 1]]
    assert found[0, 2] == (255 if dtype == "uint8" else 1)


def test_every_byte_survives() -> None:
    levels = np.arange(256)
    assert (stored(np.float32(levels / 255), "uint8") == levels).all()
