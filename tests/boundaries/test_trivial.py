"""Edges without training: Canny at several thresholds, and the gradient of a map."""

from __future__ import annotations

import numpy as np
import pytest
import torch  # noqa: F401  (left out without PyTorch)

from wsolbench.boundaries.trivial import CANNY_THRESHOLDS, canny_edges, map_gradient
from wsolbench.errors import WsolbenchError

cv2 = pytest.importorskip("cv2")


def test_strong_edges_are_canny_at_more_thresholds() -> None:
    photo = np.full((60, 90, 3), 100, np.uint8)
    photo[:, 30:60] = 120
    photo[:, 60:] = 255
    found = canny_edges(photo)
    # Sobel's response to a step is 4 times its height: 80 and 540 levels.
    weak = sum(high < 80 for high in CANNY_THRESHOLDS) / len(CANNY_THRESHOLDS)
    assert found.dtype == np.float32
    assert found[30, 25:35].max() == pytest.approx(weak)
    assert found[30, 55:65].max() == 1
    assert not found[:, 35:55].any()
    assert not canny_edges(np.full((9, 12, 3), 77, np.uint8)).any()


def test_edges_without_training_have_the_photo_s_size() -> None:
    rng = np.random.default_rng(0)
    for size in ((1, 1), (1, 7), (2, 2), (40, 3), (50, 60)):
        assert canny_edges(rng.integers(0, 256, (*size, 3)).astype(np.uint8)).shape == size
        for value in (0.0, 0.3, 1.0):
            found = map_gradient(np.full((3, 4), value, np.float32), *size)
            assert found.shape == size
            assert not found.any()


def test_the_gradient_of_a_map_is_highest_at_its_flank() -> None:
    flat = np.zeros((16, 16), np.float32)
    flat[:, 8:] = 1
    found = map_gradient(flat, 160, 160)
    assert found.max() == 1
    columns = found.mean(axis=0)
    assert abs(int(columns.argmax()) - 79) <= 2
    assert (np.diff(columns[20:78]) >= -1e-6).all()
    assert columns[:60].max() < 0.05


def test_the_gradient_of_a_ramp_is_the_same_everywhere_inside() -> None:
    """Also of a tilted one: the length of the gradient does not depend on its direction."""
    down, right = np.mgrid[:12, :12] / 11
    for ramp in (right, down, (3 * right + 4 * down) / 7):
        found = map_gradient(ramp.astype(np.float32), 120, 120)
        assert found[30:90, 30:90].min() > 0.99


def test_the_gradient_of_a_map_has_no_staircase() -> None:
    """The slope of a parabola rises by .1 a cell of 10 pixels: evenly, not in steps of .05."""
    parabola = np.broadcast_to((np.arange(12) / 11) ** 2, (12, 12)).astype(np.float32)
    rises = np.diff(map_gradient(parabola, 120, 120)[60, 20:100])
    assert rises.min() > 0.005
    assert rises.max() < 0.015


def test_maps_of_bytes_have_the_gradient_of_floats() -> None:
    levels = np.random.default_rng(1).integers(0, 256, (7, 9)).astype(np.uint8)
    floats = levels.astype(np.float32) / np.float32(255)
    assert np.array_equal(map_gradient(levels, 50, 60), map_gradient(floats, 50, 60))


def test_refusals() -> None:
    with pytest.raises(WsolbenchError, match=r"photo: found uint8 of shape \(5, 6\)"):
        canny_edges(np.zeros((5, 6), np.uint8))
    with pytest.raises(WsolbenchError, match="map: found"):
        map_gradient(np.full((2, 2), 1.5, np.float32), 4, 4)
