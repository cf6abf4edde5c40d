"""Photos of every kind that cameras and data sets have."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wsolbench.errors import WsolbenchError
from wsolbench.images import photo_size, read_photo

RAMP = np.arange(0, 60, dtype=np.uint8)[None].repeat(4, axis=0) * 4  # 4 x 60, dark to light


def turned(path: Path, orientation: int) -> Path:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(RAMP).save(path, exif=exif.tobytes(), quality=95)
    return path


def test_levels_of_16_bits_become_8_bits_and_do_not_clip(tmp_path: Path) -> None:
    deep = RAMP.astype(np.uint16) * 257
    Image.fromarray(deep).save(tmp_path / "deep.png")
    photo, orientation = read_photo(tmp_path / "deep.png")
    assert (photo.mode, orientation) == ("RGB", 1)
    assert (np.asarray(photo) == RAMP[:, :, None]).all()


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "P", "CMYK", "1"])
def test_every_mode_becomes_rgb(tmp_path: Path, mode: str) -> None:
    name = "photo.JPEG" if mode == "CMYK" else "photo.png"
    Image.fromarray(RAMP).convert("RGB").convert(mode).save(tmp_path / name)
    photo = np.asarray(read_photo(tmp_path / name)[0]).astype(int)
    assert photo.shape == (4, 60, 3)
    assert photo[:, -10:].mean() - photo[:, :10].mean() > 150


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_told_and_applied_on_request(tmp_path: Path, orientation: int) -> None:
    path = turned(tmp_path / "photo.jpg", orientation)
    stored, told = read_photo(path)
    assert (stored.size, told) == ((60, 4), orientation)
    assert np.asarray(stored)[:, 0].mean() < 20
    upright, _ = read_photo(path, exif="apply")
    assert upright.size == ((4, 60) if orientation >= 5 else (60, 4))
    corners = np.asarray(upright.convert("L"))[[0, 0, -1, -1], [0, -1, 0, -1]] > 100
    dark_first = {1: [0, 1, 0, 1], 2: [1, 0, 1, 0], 3: [1, 0, 1, 0], 4: [0, 1, 0, 1]}
    dark_first |= {5: [0, 0, 1, 1], 6: [0, 0, 1, 1], 7: [1, 1, 0, 0], 8: [1, 1, 0, 0]}
    assert corners.tolist() == [bool(light) for light in dark_first[orientation]]
    for exif, photo in (("ignore", stored), ("apply", upright)):
        assert photo_size(path, exif) == (photo.height, photo.width, orientation)


def test_a_size_that_only_exif_explains_is_told_as_such(tmp_path: Path) -> None:
    path = turned(tmp_path / "photo.jpg", 6)
    message = r"width 60, height 4 and EXIF orientation 6, which swaps them, .* use --exif apply"
    with pytest.raises(WsolbenchError, match=message):
        read_photo(path, size=(60, 4), whose="the annotations")
    assert read_photo(path, size=(60, 4), exif="apply")[0].size == (4, 60)
    with pytest.raises(WsolbenchError, match="use --exif ignore"):
        read_photo(path, size=(4, 60), exif="apply")
    with pytest.raises(WsolbenchError, match=r"found width 60, height 4, expected width 9"):
        read_photo(path, size=(4, 9))
    with pytest.raises(WsolbenchError, match="exif: found 'turn', expected ignore or apply"):
        read_photo(path, exif="turn")
