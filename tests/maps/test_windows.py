"""Windows: torchvision's crops by torchvision itself, and placing by the obvious loop."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsolbench.errors import WsolbenchError
from wsolbench.maps.windows import (
    CentreCrop,
    centre_crop,
    centre_crop_named,
    is_whole,
    placed,
)
from wsolbench.metrics.levels import level_map


def slow_placed(map_: np.ndarray, window: tuple[float, ...], height: int, width: int) -> np.ndarray:
    """One pixel after the other."""
    x0, y0, x1, y1 = window
    values = map_ / 255 if map_.dtype == np.uint8 else map_.astype(np.float64)
    rows, columns = values.shape
    canvas = np.zeros((height, width))
    for y in range(height):
        for x in range(width):
            if not (x0 <= x + 0.5 < x1 and y0 <= y + 0.5 < y1):
                continue
            u = min(max((x + 0.5 - x0) / (x1 - x0) * columns - 0.5, 0), columns - 1)
            v = min(max((y + 0.5 - y0) / (y1 - y0) * rows - 0.5, 0), rows - 1)
            i, j = math.floor(v), math.floor(u)
            below, right = min(i + 1, rows - 1), min(j + 1, columns - 1)
            a, b = v - i, u - j
            canvas[y, x] = (
                (1 - a) * (1 - b) * values[i, j]
                + (1 - a) * b * values[i, right]
                + a * (1 - b) * values[below, j]
                + a * b * values[below, right]
            )
    return canvas


SIDES = st.integers(1, 14)
ENDS = st.tuples(st.floats(-9, 12), st.floats(1, 20))


@settings(max_examples=200, deadline=None)
@given(SIDES, SIDES, SIDES, SIDES, ENDS, ENDS, st.sampled_from(["u1", "f2", "f4"]))
def test_placing_agrees_with_the_loop_over_pixels(
    rows: int,
    columns: int,
    height: int,
    width: int,
    across: tuple[float, float],
    down: tuple[float, float],
    dtype: str,
) -> None:
    map_ = np.random.default_rng(rows * columns).random((rows, columns))
    map_ = np.rint(255 * map_).astype(dtype) if dtype == "u1" else map_.astype(dtype)
    window = (across[0], down[0], across[0] + across[1], down[0] + down[1])
    found = placed(map_, window, height, width)
    assert found.dtype == np.float32
    assert found.shape == (height, width)
    assert np.abs(found - slow_placed(map_, window, height, width)).max() < 1e-6
    assert found.min() >= 0
    assert found.max() <= 1


def test_a_map_of_a_window_by_hand() -> None:
    found = placed(np.array([[0, 1]], np.float32), (1, 1, 5, 3), 4, 6)
    assert found.tolist() == [
        [0, 0, 0, 0, 0, 0],
        [0, 0, 0.25, 0.75, 1, 0],
        [0, 0, 0.25, 0.75, 1, 0],
        [0, 0, 0, 0, 0, 0],
    ]


def test_padding_is_cut_off() -> None:
    padded = np.array([[0.5], [0.25], [0.75], [0.5]], np.float32)
    assert placed(padded, (0, -1, 3, 3), 2, 3).tolist() == [[0.25] * 3, [0.75] * 3]


def test_every_level_is_kept() -> None:
    for level in range(256):
        found = level_map(placed(np.full((3, 2), level, np.uint8), (1.3, 0, 7.7, 5), 5, 9), 5, 9)
        assert set(found[:, 1:8].ravel().tolist()) == {level}


def test_large_photos_are_placed_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    map_ = np.random.default_rng(1).random((7, 7)).astype(np.float32)
    whole = placed(map_, (10, 5, 90, 58), 60, 100)
    monkeypatch.setattr("wsolbench.maps.windows._PIECE", 170)
    assert np.array_equal(placed(map_, (10, 5, 90, 58), 60, 100), whole)


@pytest.mark.parametrize("resize", [256, 255, 224, 200, (256, 256), (240, 300)])
@pytest.mark.parametrize(
    "size", [(375, 500), (500, 375), (333, 333), (100, 731), (731, 100), (37, 19), (225, 226)]
)
def test_a_centre_crop_shows_what_torchvision_shows(
    resize: int | tuple[int, int], size: tuple[int, int]
) -> None:
    torch = pytest.importorskip("torch")
    transforms = pytest.importorskip("torchvision.transforms")
    crop, (height, width) = 224, size
    resized = transforms.Resize(resize)(torch.zeros(1, height, width)).shape[1:]
    # The crop of the resized photo's own coordinates says which pixels of it are shown.
    places = torch.stack(torch.meshgrid(*(torch.arange(n) + 1.0 for n in resized), indexing="ij"))
    seen = transforms.CenterCrop(crop)(places)
    x0, y0, x1, y1 = centre_crop(resize, crop)(height, width, crop)
    for low, high, side, whole, line in (
        (x0, x1, width, resized[1], seen[1][seen[1].any(dim=1)][0]),
        (y0, y1, height, resized[0], seen[0][:, seen[0].any(dim=0)][:, 0]),
    ):
        shown = torch.nonzero(line)[:, 0]
        first, last = int(shown[0]), int(shown[-1])
        scale = side / whole
        # Input pixel i shows [low + i * scale, low + (i + 1) * scale).
        assert low + first * scale == pytest.approx((line[first].item() - 1) * scale)
        assert low + (last + 1) * scale == pytest.approx(line[last].item() * scale)
        assert high - low == pytest.approx(crop * scale)


def test_the_usual_crop_by_hand() -> None:
    assert centre_crop(256, 224)(200, 300, 224) == pytest.approx((62.5, 12.5, 237.5, 187.5))
    assert centre_crop((256, 256), 224)(200, 300) == (18.75, 12.5, 281.25, 187.5)
    assert centre_crop(100, 200)(50, 50) == (-25, -25, 75, 75)


def test_words_and_texts() -> None:
    for text in ("256/224", "256x320/224"):
        assert str(centre_crop_named(text)) == f"centre crop {text}"
    assert centre_crop_named("256/224") == CentreCrop(256, 224) == centre_crop(256, 224)
    assert centre_crop([256, 320], 224) == CentreCrop((256, 320), 224)


@pytest.mark.parametrize("text", ["", "256", "256-224", "256/", "a/b", "256/224/3", "1x2x3/4"])
def test_texts_that_are_no_crop(text: str) -> None:
    with pytest.raises(WsolbenchError, match=r"expected RESIZE/CROP; write 256/224"):
        centre_crop_named(text)


@pytest.mark.parametrize(
    ("resize", "crop"),
    [(0, 1), (256, 0), (256.0, 224), ("256", 224), ((1, 2, 3), 4), (True, 2), (20_000, 2)],
)
def test_sides_that_are_none(resize: int, crop: int) -> None:
    with pytest.raises(WsolbenchError, match=r"integers from 1 to 16384"):
        centre_crop(resize, crop)


def test_whole_photos() -> None:
    assert is_whole((0, 1e-9, 4, 3), 3, 4)
    assert not is_whole((0, 0, 3, 4), 3, 4)
    assert not is_whole((0, 0.01, 4, 3), 3, 4)
