"""Files of single maps, as programs save them.

NumPy's `.npy`, and `.npz` with one array: (h, w), or with further axes of length 1. Pictures:
`.png` and `.tif` of 1, 8 or 16 bits, `.tif` of float32, and `.jpg` of 8 bits, which is lossy; grey,
or colour with equal channels. The values of pictures are value / 255 or value / 65535. A coloured
heat map is refused, since the map cannot be recovered from its colours. So is a picture with an
EXIF orientation: programs differ in whether they turn it.
"""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..errors import WsolbenchError, some
from ..files import require_file
from ..formats.submission.rules import MAX_SIDE
from ..formats.untrusted.arrays import MAX_HEADER, array_of_bytes, read_arrays
from ..formats.untrusted.contents import read_bytes
from ..formats.untrusted.zip_files import ZipLimits
from ..images import exif_orientation, open_picture

__all__ = ["ENDINGS", "is_lossy", "read_map", "read_map_and_kind"]

_PICTURES = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".tif": "TIFF",
    ".tiff": "TIFF",
}

ENDINGS = (".npy", ".npz", *_PICTURES)
"""File name endings of maps, in upper or lower case."""

_MOST_BYTES = 16 * MAX_SIDE**2 + MAX_HEADER  # a map of the largest type
_LIMITS = ZipLimits(members=16, total=_MOST_BYTES)


def is_lossy(path: Path) -> bool:
    """Whether a map's file format changes its values."""
    return _PICTURES.get(path.suffix.lower()) == "JPEG"


def read_map(path: str | PathLike[str]) -> NDArray[Any]:
    """The values of one file; those of a picture of 16 bits as float32 value / 65535.

    Returns:
        (h, w), uint8 or any numeric dtype of NumPy.

    Raises:
        WsolbenchError: the file is damaged, contains objects instead of numbers or several arrays,
            is a colour picture or one with an EXIF orientation, has more than two axes, or a side
            above 4096.
    """
    return read_map_and_kind(path)[0]


def read_map_and_kind(path: str | PathLike[str]) -> tuple[NDArray[Any], str]:
    """The values of one file as `read_map` gives them, and what they were.

    Returns:
        (h, w), and "8-bit" (uint8), "16-bit" (a picture of 16 bits) or "float" (anything else).

    Raises:
        WsolbenchError: see `read_map`.
    """
    file = require_file(path, "a map")
    suffix = file.suffix.lower()
    is_deep = False
    if suffix in _PICTURES:
        values, is_deep = _read_picture(file, _PICTURES[suffix])
    else:
        values = _read_npz(file) if suffix == ".npz" else _read_npy(file)
    while values.ndim > 2 and 1 in (values.shape[0], values.shape[-1]):
        values = values[0] if values.shape[0] == 1 else values[..., 0]
    if values.ndim != 2 or not all(1 <= side <= MAX_SIDE for side in values.shape):
        raise WsolbenchError(
            file,
            found=f"shape {values.shape}",
            expected=f"(height, width), sides from 1 to {MAX_SIDE}",
            cure="save one map per file, without channels",
        )
    return values, "16-bit" if is_deep else "8-bit" if values.dtype == np.uint8 else "float"


def _read_picture(file: Path, form: str) -> tuple[NDArray[Any], bool]:
    """The values of a picture, and whether it has 16 bits."""
    orientation = exif_orientation(file, formats=(form,))
    if orientation != 1:
        raise WsolbenchError(
            file,
            found=f"EXIF orientation {orientation}, so it is unknown which side of the map is up",
            expected="a map without one, in the pixels of its photo as stored",
            cure="save the map without the EXIF data of its photo",
        )
    picture = open_picture(file, formats=(form,))
    if picture.mode in ("I;16", "I;16B", "I"):
        return (np.asarray(picture).astype(np.float64) / 65535).astype(np.float32), True
    if picture.mode == "F":
        return np.array(picture), False
    return _grey(file, picture.convert("L") if picture.mode == "1" else picture), False


def _grey(file: Path, picture: Image.Image) -> NDArray[np.uint8]:
    """The only channel of a picture, or any of its channels if they are equal."""
    if picture.mode == "P":
        picture = picture.convert("RGBA")
    values = np.array(picture)
    if values.ndim == 3:
        has_alpha = picture.mode in ("LA", "RGBA")
        colours = values[:, :, :-1] if has_alpha else values
        opaque = not has_alpha or values[:, :, -1].min() == 255
        if opaque and (colours == colours[:, :, :1]).all():
            return np.ascontiguousarray(colours[:, :, 0])
    if picture.mode != "L":
        raise WsolbenchError(
            file,
            found=f"a picture of mode {picture.mode} with colours or transparency",
            expected="grey, 8 or 16 bits",
            cure="save the map itself; it cannot be recovered from a coloured heat map",
        )
    return values


def _read_npy(file: Path) -> NDArray[Any]:
    try:
        return array_of_bytes(read_bytes(file, "a map", _MOST_BYTES))
    except ValueError as error:
        raise _no_numbers(file, str(error)) from error


def _read_npz(file: Path) -> NDArray[Any]:
    try:
        arrays = read_arrays(read_bytes(file, "a map", _MOST_BYTES), _LIMITS)
    except ValueError as error:
        raise _no_numbers(file, str(error)) from error
    if len(arrays) != 1:
        raise WsolbenchError(
            file,
            found=f"{len(arrays)} arrays ({some([*arrays])})" if arrays else "no array",
            expected="one, the map",
            cure="save the map alone: numpy.save(name, map)",
        )
    return next(iter(arrays.values()))


def _no_numbers(file: Path, found: str) -> WsolbenchError:
    return WsolbenchError(
        file,
        found=f"not an array of numbers ({found})",
        cure="save it again: numpy.save(name, map)",
    )
