"""Known damage on known truth: drawn masks, maps that fit them, and maps that are made worse.

A mask is a blob near the middle of a picture of `SIDE` pixels a side, of a stated share of it. Its
map is the mask blurred, and higher towards its middle, so that there is one highest pixel or few,
all on the object. Lengths are shares of the object's size, which is the root of its pixels.

Conventions: maps are float64 (height, width) in [0, 1], masks are bool of the same shape.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

__all__ = ["AMOUNTS", "DAMAGES", "SIDE", "drawn_mask", "map_of"]

SIDE = 96
"""Pixels a side of a picture."""

_SHARP, _SOFT = 0.1, 0.5
"""Blur of a map, and that of the part which makes its middle the highest."""

Map = NDArray[np.float64]
Mask = NDArray[np.bool_]


def drawn_mask(share: float, rng: np.random.Generator) -> Mask:
    """A lobed blob near the middle.

    Args:
        share: of the picture that it covers, to the pixel.
        rng: of its shape and place.
    """
    y, x = np.mgrid[:SIDE, :SIDE] + 0.5
    middle = SIDE / 2 + rng.uniform(-0.08, 0.08, size=2) * SIDE
    angle = np.arctan2(y - middle[0], x - middle[1])
    lobes, turn = rng.integers(2, 5), rng.uniform(0, 2 * np.pi)
    reach = 1 + 0.25 * np.cos(lobes * angle + turn)
    distance = np.hypot(y - middle[0], x - middle[1]) / reach
    found = np.zeros(SIDE * SIDE, np.bool_)
    found[np.argsort(distance, axis=None, kind="stable")[: round(share * SIDE * SIDE)]] = True
    return found.reshape(SIDE, SIDE)


def map_of(mask: Mask) -> Map:
    """A map that fits a mask: about .5 at its outline, and highest in its middle."""
    size, value = np.sqrt(mask.sum()), mask.astype(np.float64)
    soft = _blurred(value, _SOFT * size)
    found = 0.7 * _blurred(value, _SHARP * size) + 0.3 * soft / soft.max()
    return np.asarray(found / found.max())


def _blurred(values: Map, radius: float) -> Map:
    """Three box blurs of 2 r + 1 pixels with zeros beyond the frame: nearly a Gaussian."""
    pixels = int(radius / 3 + 0.5)
    for _ in range(3):
        for axis in (0, 1):
            values = _box(values, pixels, axis)
    return values


def _box(values: Map, pixels: int, axis: int) -> Map:
    padded = np.pad(values, [(pixels + 1, pixels) if own == axis else (0, 0) for own in (0, 1)])
    total = np.cumsum(padded, axis=axis)
    width = 2 * pixels + 1
    upper, lower = (
        total[(slice(None),) * axis + (part,)] for part in (slice(width, None), slice(-width))
    )
    return (upper - lower) / width


def _widened(mask: Mask, pixels: int) -> Mask:
    """The pixels within a square of 2 r + 1 pixels around one of the mask."""
    near = _box(_box(mask.astype(np.float64), pixels, 0), pixels, 1)
    return np.asarray(near * (2 * pixels + 1) ** 2 > 0.5)


# --------------------------------------------------------------------------------------- damages


def _shift(map_: Map, mask: Mask, amount: float, rng: np.random.Generator) -> Map:
    angle, length = rng.uniform(0, 2 * np.pi), amount * np.sqrt(mask.sum())
    down, right = round(length * np.sin(angle)), round(length * np.cos(angle))
    moved = np.zeros_like(map_)
    rows, columns = (
        (slice(max(0, by), SIDE + min(0, by)), slice(max(0, -by), SIDE - max(0, by)))
        for by in (down, right)
    )
    moved[rows[0], columns[0]] = map_[rows[1], columns[1]]
    return moved


def _erode(map_: Map, mask: Mask, amount: float, rng: np.random.Generator) -> Map:
    kept = ~_widened(~mask, round(amount * np.sqrt(mask.sum())))
    return map_of(kept)


def _dilate(map_: Map, mask: Mask, amount: float, rng: np.random.Generator) -> Map:
    return map_of(_widened(mask, round(amount * np.sqrt(mask.sum()))))


def _blur(map_: Map, mask: Mask, amount: float, rng: np.random.Generator) -> Map:
    found = _blurred(map_, amount * np.sqrt(mask.sum()))
    return np.asarray(found / found.max())


def _noise(map_: Map, mask: Mask, amount: float, rng: np.random.Generator) -> Map:
    found = map_ + amount * rng.standard_normal(map_.shape)
    return np.asarray((found - found.min()) / (found.max() - found.min()))


def _inversion(map_: Map, mask: Mask, amount: float, rng: np.random.Generator) -> Map:
    return (1 - amount) * map_ + amount * (1 - map_)


def _plateaus(map_: Map, mask: Mask, amount: float, rng: np.random.Generator) -> Map:
    steps = round(amount)
    return np.minimum(np.floor(map_ * steps), steps - 1) / (steps - 1) if steps else map_


def _gamma(map_: Map, mask: Mask, amount: float, rng: np.random.Generator) -> Map:
    return np.asarray(map_**amount)


DAMAGES: Mapping[str, Callable[[Map, Mask, float, np.random.Generator], Map]] = MappingProxyType(
    {
        "shift": _shift,
        "erode": _erode,
        "dilate": _dilate,
        "blur": _blur,
        "noise": _noise,
        "inversion": _inversion,
        "plateaus": _plateaus,
        "gamma": _gamma,
    }
)
"""What is done to a map, its mask known, by an amount."""

AMOUNTS: Mapping[str, tuple[float, ...]] = MappingProxyType(
    {
        "shift": (0, 0.2, 0.4, 0.6, 0.8),
        "erode": (0, 0.05, 0.1, 0.15, 0.2),
        "dilate": (0, 0.15, 0.3, 0.45, 0.6),
        "blur": (0, 0.5, 1, 1.5, 2),
        "noise": (0, 0.1, 0.2, 0.4, 0.8),
        "inversion": (0, 0.25, 0.5, 0.75, 1),
        "plateaus": (0, 16, 8, 4, 2),
        "gamma": (1, 0.25, 0.5, 2, 4),
    }
)
"""How much, the least first: shares of the object's size for shift, erosion, dilation and blur, the
deviation of noise, the weight of the inverted map, levels that are left, and exponents. The first
leaves the map as it is."""
