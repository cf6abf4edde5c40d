"""Small pictures of photos and maps, as texts that a page embeds.

Colours of maps run from dark blue over purple and orange to yellow, as those of the plots; the
outline of the mask is white on black; the map's highest pixel is a ring.
"""

from __future__ import annotations

import base64
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["WIDTH", "data_uri", "thumbnail", "with_map", "with_outline"]

WIDTH = 240
"""Width of a picture in pixels; tall photos are narrower, so that none is higher than it."""

QUALITY = 82
OPACITY = 0.6

_ANCHORS = np.array(
    [(13, 8, 135), (106, 0, 168), (177, 42, 144), (225, 100, 98), (252, 166, 54), (240, 249, 33)],
    dtype=np.float64,
)
_PLACES = np.linspace(0, 255, len(_ANCHORS))
COLOURS: NDArray[np.float64] = np.stack(
    [np.interp(np.arange(256), _PLACES, _ANCHORS[:, channel]) for channel in range(3)], axis=1
)
"""The colour of each level, float64 (256, 3) in 0..255."""


def thumbnail(photo: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """uint8 (height, width, 3), with no side above `WIDTH`."""
    height, width = photo.shape[:2]
    factor = min(1.0, WIDTH / max(height, width))
    size = max(1, round(width * factor)), max(1, round(height * factor))
    resized = Image.fromarray(photo).resize(size, Image.Resampling.BILINEAR)
    return np.asarray(resized, dtype=np.uint8)


def with_outline(picture: NDArray[np.uint8], mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """A thumbnail with the outline of a mask of the photo's size."""
    height, width = picture.shape[:2]
    small = np.asarray(
        Image.fromarray(mask.astype(np.uint8) * 255).resize((width, height), Image.Resampling.BOX)
    )
    inside: NDArray[np.bool_] = small >= 128
    drawn: NDArray[np.uint8] = picture.copy()
    drawn[_grown(inside) & ~inside] = 0
    drawn[inside & _grown(~inside)] = 255
    return drawn


def with_map(
    picture: NDArray[np.uint8], levels: NDArray[np.uint8], mask: NDArray[np.bool_]
) -> NDArray[np.uint8]:
    """A thumbnail in grey under the colours of a map of the photo's size, with outline and ring."""
    height, width = picture.shape[:2]
    small = np.asarray(Image.fromarray(levels).resize((width, height), Image.Resampling.BILINEAR))
    grey = picture.mean(axis=2, keepdims=True)
    blended = (1 - OPACITY) * grey + OPACITY * COLOURS[small]
    drawn = with_outline(np.round(blended).astype(np.uint8), mask)
    if levels.max() > levels.min():
        row, column = np.unravel_index(int(levels.argmax()), levels.shape)
        _ring(
            drawn,
            (int(row) + 0.5) * height / levels.shape[0],
            (int(column) + 0.5) * width / levels.shape[1],
        )
    return drawn


def data_uri(picture: NDArray[np.uint8]) -> str:
    """A JPEG as the text of an `src`."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=QUALITY, optimize=True)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode('ascii')}"


def _grown(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The mask and its four neighbours; nothing lies beyond the border."""
    framed = np.pad(mask, 1)
    grown: NDArray[np.bool_] = (
        framed[1:-1, 1:-1]
        | framed[:-2, 1:-1]
        | framed[2:, 1:-1]
        | framed[1:-1, :-2]
        | framed[1:-1, 2:]
    )
    return grown


def _ring(picture: NDArray[np.uint8], y: float, x: float) -> None:
    rows, columns = np.ogrid[: picture.shape[0], : picture.shape[1]]
    distance = np.hypot(rows + 0.5 - y, columns + 0.5 - x)
    picture[np.abs(distance - 5.5) < 1.8] = 0
    picture[np.abs(distance - 5.5) < 0.9] = (0, 255, 160)
