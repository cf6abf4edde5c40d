"""Drawing with exact arithmetic: noise, waves, angles, colours and soft shapes on float32 arrays.

Aim: pictures that are determined by a seed, byte for byte, on any machine. The code uses only
operations that IEEE 754 rounds exactly, each as a separate call (+, -, *, /, sqrt, floor,
comparisons), and only `Generator.random` and `Generator.integers`. Sine and angle are rational
formulas, because those of the C library differ in the last bits between machines.

Conventions: axes (height, width), colours RGB in [0, 1], float32, lengths in pixels, angles in
turns (1 turn = 360 degrees), y points down. Painting functions modify `canvas` in place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Colour",
    "Floats",
    "Patch",
    "angle",
    "between",
    "blur",
    "colour",
    "cosine",
    "darken",
    "mix",
    "noise",
    "octaves",
    "paint",
    "patch",
    "rotation",
    "sine",
    "smooth",
]

Floats = NDArray[np.floating[Any]]
"""Always float32; NumPy's stubs infer this looser type for float32 with Python floats."""
Colour = tuple[float, float, float]


def between(rng: np.random.Generator, low: float, high: float) -> float:
    """A uniform number in [low, high); not `rng.uniform`, which compilers may round differently."""
    return low + (high - low) * float(rng.random())


def sine(turns: Floats) -> Floats:
    """Bhaskara's rational sine (error below .002) of angles in turns, any shape."""
    place = 2 * (turns - np.floor(turns))
    second = place >= 1
    product = (place - second) * (1 - (place - second))
    value = np.asarray(16 * product / (5 - 4 * product), np.float32)
    return np.asarray(np.where(second, -value, value), np.float32)


def cosine(turns: Floats) -> Floats:
    """Like `sine`, a quarter turn ahead."""
    return sine(turns + np.float32(0.25))


def rotation(turns: float) -> tuple[float, float]:
    """Cosine and sine of one angle in turns."""
    both = sine(np.array([turns + 0.25, turns], np.float32))
    return float(both[0]), float(both[1])


def angle(y: Floats, x: Floats) -> Floats:
    """The direction of (x, y) in turns, in [-.5, .5] (error below .001 turn), any shape."""
    across, down = np.abs(x), np.abs(y)
    ratio = np.minimum(across, down) / np.maximum(np.maximum(across, down), np.float32(1e-6))
    turns = ratio * (0.125 + 0.0435 * (1 - ratio))
    turns = np.where(down > across, 0.25 - turns, turns)
    turns = np.where(x < 0, 0.5 - turns, turns)
    return np.asarray(np.where(y < 0, -turns, turns), np.float32)


def smooth(value: Floats, low: float, high: float) -> Floats:
    """0 below `low`, 1 above `high`, a smooth step between them; `low` > `high` falls instead."""
    t = np.clip((value - low) / (high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)


def noise(rng: np.random.Generator, height: int, width: int, cell: tuple[float, float]) -> Floats:
    """Value noise in [0, 1], (height, width): levels `cell` (y, x) pixels apart, interpolated."""
    cell_y, cell_x = cell
    levels = rng.random((int(height / cell_y) + 3, int(width / cell_x) + 3), dtype=np.float32)
    row, y = _places(height, cell_y, float(rng.random()))
    column, x = _places(width, cell_x, float(rng.random()))
    rows = levels[row] + (levels[row + 1] - levels[row]) * y[:, None]
    return rows[:, column] + (rows[:, column + 1] - rows[:, column]) * x


def octaves(
    rng: np.random.Generator, height: int, width: int, cell: tuple[float, float], count: int = 4
) -> Floats:
    """Weighted mean of `count` noises, halving cell and weight each time; in [0, 1]."""
    total = np.zeros((height, width), np.float32)
    weight, whole = 1.0, 0.0
    for octave in range(count):
        shrink = 1 << octave
        fine = (max(cell[0] / shrink, 1.0), max(cell[1] / shrink, 1.0))
        total += weight * noise(rng, height, width, fine)
        whole += weight
        weight /= 2
    return np.asarray(total / np.float32(whole), np.float32)


def colour(hue: float, saturation: float, value: float) -> Colour:
    """RGB in [0, 1] of a hue in turns (any real number), a saturation and a value in [0, 1]."""

    def channel(shift: float) -> float:
        k = (shift + hue * 6) % 6
        return value - value * saturation * max(0.0, min(k, 4 - k, 1.0))

    return channel(5), channel(3), channel(1)


def mix(first: Colour, second: Colour, share: Floats) -> Floats:
    """(h, w, 3): `first` where `share` (h, w) is 0, `second` where it is 1."""
    low, high = np.array(first, np.float32), np.array(second, np.float32)
    return low + (high - low) * share[..., None]


def blur(values: Floats, times: int) -> Floats:
    """`times` passes of a (1, 2, 1) / 4 filter along the first two axes, edges clamped."""
    for _ in range(times):
        for axis in (0, 1):
            padded = np.concatenate(
                [values.take([0], axis), values, values.take([-1], axis)], axis=axis
            )
            count = values.shape[axis]
            before = padded.take(range(count), axis)
            after = padded.take(range(2, count + 2), axis)
            values = ((before + after) * np.float32(0.25) + values * np.float32(0.5)).astype(
                np.float32
            )
    return values


@dataclass(frozen=True)
class Patch:
    """A window of the canvas around a centre, and the coordinates of its pixels' centres.

    rows, columns: slices of the canvas; x, y: (h, w) float32 pixels from the centre, rotated with
    the patch, so that y points down in the frame of the shape.
    """

    rows: slice
    columns: slice
    y: Floats
    x: Floats


def patch(
    size: tuple[int, int], centre: tuple[float, float], reach: float, turns: float = 0.0
) -> Patch:
    """The part of a (height, width) canvas within `reach` of `centre` (y, x); may be empty."""
    (height, width), (centre_y, centre_x) = size, centre
    top, left = max(0, int(centre_y - reach)), max(0, int(centre_x - reach))
    bottom = max(top, min(height, int(centre_y + reach) + 2))
    right = max(left, min(width, int(centre_x + reach) + 2))
    dy = (np.arange(top, bottom, dtype=np.float32) + np.float32(0.5 - centre_y))[:, None]
    dx = (np.arange(left, right, dtype=np.float32) + np.float32(0.5 - centre_x))[None, :]
    c, s = rotation(turns)
    return Patch(slice(top, bottom), slice(left, right), dy * c - dx * s, dx * c + dy * s)


def paint(canvas: Floats, where: Patch, ink: Floats | Colour, cover: Floats) -> None:
    """Paint `ink`, a colour or (h, w, 3), on the patch with opacity `cover` (h, w) in [0, 1]."""
    under = canvas[where.rows, where.columns]
    over = np.asarray(ink, np.float32)
    canvas[where.rows, where.columns] = under + (over - under) * cover[..., None]


def darken(canvas: Floats, where: Patch, amount: Floats) -> None:
    """Multiply the patch by 1 - `amount` (h, w)."""
    canvas[where.rows, where.columns] *= 1 - amount[..., None]


def _places(length: int, cell: float, offset: float) -> tuple[NDArray[np.intp], Floats]:
    position = np.arange(length, dtype=np.float32) / np.float32(cell) + np.float32(offset)
    index = np.floor(position)
    part = position - index
    return index.astype(np.intp), part * part * (3 - 2 * part)
