"""Pictures of the documentation have few colours and keep what they show."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wsolbench.errors import WsolbenchError
from wsolbench.plots.palette import reduce_png


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A ramp with some noise, of 240 x 120 pixels, with a black frame."""
    ramp = np.zeros((120, 240, 3), np.uint8)
    ramp[2:-2, 2:-2] = np.stack(np.broadcast_arrays(*np.ogrid[40:156, 10:246], 90), axis=2)
    ramp[2:-2, 2:-2] += np.random.default_rng(0).integers(0, 8, (116, 236, 3), dtype=np.uint8)
    Image.fromarray(ramp).save(tmp_path / "p.png")
    return tmp_path / "p.png"


def test_few_colours_stay_close_to_the_picture(picture: Path) -> None:
    before = np.asarray(Image.open(picture).convert("RGB")).astype(int)
    reduce_png(picture)
    with Image.open(picture) as opened:
        assert (opened.mode, opened.size) == ("P", (240, 120))
        after = np.asarray(opened.convert("RGB")).astype(int)
    assert len(np.unique(after.reshape(-1, 3), axis=0)) <= 64
    assert np.abs(after - before).max() < 30
    assert (after[0] == 0).all()


def test_the_longest_side_is_limited_and_bytes_repeat(picture: Path) -> None:
    whole = picture.read_bytes()
    reduce_png(picture, 16, 60)
    small = picture.read_bytes()
    with Image.open(picture) as opened:
        assert opened.size == (60, 30)
        assert len(np.unique(np.asarray(opened))) <= 16
    assert len(small) < len(whole) / 3
    picture.write_bytes(whole)
    reduce_png(picture, 16, 60)
    assert picture.read_bytes() == small
    reduce_png(picture, 16, 600)
    with Image.open(picture) as opened:
        assert opened.size == (60, 30)


def test_a_path_is_needed() -> None:
    with pytest.raises(WsolbenchError, match="path: found an object of type int"):
        reduce_png(3)
