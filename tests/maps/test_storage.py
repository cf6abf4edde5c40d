"""Floats become bytes by one rule."""

from __future__ import annotations

import numpy as np
import pytest

from wsolbench.maps.storage import STORED_AS, stored


def test_a_byte_is_the_nearest_to_the_product() -> None:
    # float32 neighbours of (k + 1/2) / 255, whose products lie at halves or next to them.
    halves = np.float32((np.arange(255) + 0.5) / 255)
    values = np.concatenate([halves, np.nextafter(halves, np.float32(0)), np.float32([0, 1])])
    levels = stored(values, "uint8")
    assert levels.dtype == np.uint8
    for value, level in zip(values, levels.tolist(), strict=True):
        assert level == round(float(value * np.float32(255)))  # round() is half to even too
    exact = np.rint(255 * values.astype(np.float64))
    assert 0 < np.abs(levels - exact).max() <= 1


def test_it_is_what_torch_does() -> None:
    torch = pytest.importorskip("torch", reason="bytes of predicted maps were made by torch")
    values = np.random.default_rng(0).random(200_000, dtype=np.float32)
    theirs = (torch.from_numpy(values) * 255).round().to(torch.uint8).numpy()
    assert np.array_equal(stored(values, "uint8"), theirs)


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
