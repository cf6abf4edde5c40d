"""The part of a photo that a map covers: its window.

A network whose preprocessing crops the photo gives maps of the crop; one that pads the photo gives
maps of photo and padding. The window says which rectangle of the photo, in its own pixels, the map
covers, and `placed` brings the map back onto the photo.

Conventions: windows are (x0, y0, x1, y1) in pixels of the photo, floats, half-open: pixel i covers
[i, i + 1). Axes are (height, width).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.dataset import Dataset
from ..errors import WsolbenchError

__all__ = [
    "CentreCrop",
    "centre_crop",
    "centre_crop_named",
    "is_whole",
    "placed",
    "window_rows",
    "with_window",
]

_EXACT = 1e-6  # pixels: what floats add to a window of the whole photo
_PIECE = 1 << 20  # pixels placed at a time
_LARGEST = 1 << 14

_CURE = "pass what torchvision's transforms get, e.g. centre_crop(256, 224)"


@dataclass(frozen=True)
class CentreCrop:
    """The window of torchvision's `Resize(resize)` followed by `CenterCrop(crop)`.

    Attributes:
        resize: pixels of the photo's shorter side after resizing, or its (height, width).
        crop: side in pixels of the crop; where the photo is smaller, it is padded.
    """

    resize: int | tuple[int, int]
    crop: int

    def __call__(self, height: int, width: int, size: int = 0) -> tuple[float, float, float, float]:
        """The window (x0, y0, x1, y1) in a photo; `size`, the side of the input, changes nothing.

        Positions are rounded as torchvision rounds them.
        """
        if isinstance(self.resize, tuple):
            tall, wide = self.resize
        else:
            longer = int(self.resize * max(height, width) / min(height, width))
            tall, wide = (self.resize, longer) if height <= width else (longer, self.resize)
        x0, x1 = _middle(self.crop, wide, width)
        y0, y1 = _middle(self.crop, tall, height)
        return x0, y0, x1, y1

    def __str__(self) -> str:
        """For the method's parameters, e.g. "centre crop 256/224"."""
        resize = self.resize
        side = f"{resize[0]}x{resize[1]}" if isinstance(resize, tuple) else str(resize)
        return f"centre crop {side}/{self.crop}"


def centre_crop(resize: int | Sequence[int], crop: int) -> CentreCrop:
    """The window of torchvision's usual transform, `Resize(resize)` and then `CenterCrop(crop)`.

    Args:
        resize: pixels of the photo's shorter side, or (height, width), after resizing.
        crop: side of the crop in pixels.

    Returns:
        A function (height, width, size) -> (x0, y0, x1, y1).

    Raises:
        WsolbenchError: sides that are not integers from 1 to 16384.

    Examples:
        >>> window = wsolbench.centre_crop(256, 224)
        >>> window(256, 256, 7)
        (16.0, 16.0, 240.0, 240.0)
    """
    sides = [*resize] if isinstance(resize, Sequence) else [resize]
    if not 1 <= len(sides) <= 2 or not all(map(_is_side, [*sides, crop])):
        raise WsolbenchError(
            "centre_crop",
            found=f"resize {resize!r}, crop {crop!r}",
            expected=f"integers from 1 to {_LARGEST}: one side or (height, width), and the crop",
            cure=_CURE,
        )
    return CentreCrop(sides[0] if len(sides) == 1 else (sides[0], sides[1]), crop)


def centre_crop_named(text: str) -> CentreCrop:
    """A centre crop from its text: "256/224", or "256x256/224" with height and width.

    Raises:
        WsolbenchError: another text, sides outside 1 to 16384, or a crop larger than the photo.
    """
    match = re.fullmatch(r"([0-9]{1,5})(?:x([0-9]{1,5}))?/([0-9]{1,5})", text)
    if match is None:
        raise WsolbenchError(
            "centre crop (--centre-crop)",
            found=repr(text),
            expected="RESIZE/CROP",
            cure="write 256/224, or 256x256/224 if photos are resized to 256x256 first",
        )
    first, second, crop = match.groups()
    if int(crop) > min(int(first), int(second or first)):
        raise WsolbenchError(
            "centre crop (--centre-crop)",
            found=f"a crop of {crop} pixels of photos resized to {first}",
            expected="RESIZE/CROP with a crop that is not larger",
            cure=f"write {crop}/{first} if the numbers are swapped",
        )
    resize = int(first) if second is None else (int(first), int(second))
    return centre_crop(resize, int(crop))


def window_rows(
    window: CentreCrop, dataset: Dataset, image_ids: Sequence[str]
) -> NDArray[np.float64]:
    """The windows of some images of a data set: float64 (n, 4)."""
    samples = (dataset[image_id] for image_id in image_ids)
    rows = [window(sample.height, sample.width) for sample in samples]
    return np.array(rows, dtype=np.float64).reshape(-1, 4)


def with_window(method: Mapping[str, object], window: CentreCrop) -> dict[str, object]:
    """A method whose parameters state its window as well."""
    stated = method.get("parameters")
    known = dict(stated) if isinstance(stated, Mapping) else {}
    return {**method, "parameters": {**known, "window": str(window)}}


def is_whole(window: Sequence[float], height: int, width: int) -> bool:
    """Whether a window is exactly the whole photo, apart from the last digits of floats."""
    x0, y0, x1, y1 = window
    return max(abs(x0), abs(y0), abs(x1 - width), abs(y1 - height)) <= _EXACT


def placed(
    map_: NDArray[Any], window: Sequence[float], height: int, width: int
) -> NDArray[np.float32]:
    """The map on the photo: upsampled bilinearly into its window, and zeros around it.

    A pixel belongs to the window if its centre does. Interpolation has half-pixel centres and edges
    clamped, so a pixel near the edge of the window takes the map's edge, and is in float64.

    Args:
        map_: (h, w), uint8 (value / 255), float16 or float32 in [0, 1].
        window: (x0, y0, x1, y1), x0 < x1 and y0 < y1; it may exceed the photo, whose part of the
            map is then kept.
        height: pixels of the photo.
        width: pixels of the photo.

    Returns:
        float32 (height, width) in [0, 1].
    """
    x0, y0, x1, y1 = window
    values = map_.astype(np.float64)
    values = values / 255 if map_.dtype == np.uint8 else values
    columns, near, far, weight = _taps(x0, x1, map_.shape[1], width)
    wide = _between(values[:, near], values[:, far], weight)
    rows, near, far, weight = _taps(y0, y1, map_.shape[0], height)
    canvas = np.zeros((height, width), dtype=np.float32)
    inside = canvas[rows, columns]
    step = max(1, _PIECE // max(1, inside.shape[1]))
    for start in range(0, len(near), step):
        part = slice(start, start + step)
        inside[part] = _between(wide[near[part]], wide[far[part]], weight[part, None])
    return canvas


def _between(
    near: NDArray[np.float64], far: NDArray[np.float64], weight: NDArray[np.float64]
) -> NDArray[np.float64]:
    # Equal neighbours give their own value, so that a level of a uint8 map is kept.
    return near + weight * (far - near)


def _taps(
    low: float, high: float, source: int, target: int
) -> tuple[slice, NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """The pixels whose centres are in [low, high); their two neighbours in the map and weights."""
    first, stop = (int(min(max(np.ceil(end - 0.5), 0), target)) for end in (low, high))
    centres = np.arange(first, stop) + 0.5
    position = (centres - low) * (source / (high - low)) - 0.5
    position = np.clip(position, 0, source - 1)
    near = position.astype(np.int64)
    return slice(first, stop), near, np.minimum(near + 1, source - 1), position - near


def _middle(crop: int, resized: int, original: int) -> tuple[float, float]:
    """Where the crop of a resized side begins and ends, in pixels of the original one."""
    # torchvision pads first, by half of what is missing, rounded down; Python rounds half to even.
    start = -((crop - resized) // 2) if crop > resized else round((resized - crop) / 2)
    return start * original / resized, (start + crop) * original / resized


def _is_side(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= _LARGEST
