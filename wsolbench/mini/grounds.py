"""The grounds of the embedded benchmark's scenes: seven procedural textures.

Each ground is a function of a generator and a size that returns (height, width, 3) float32 RGB near
[0, 1]; `GROUNDS` names them. All use the exact arithmetic of `drawing`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from .drawing import (
    Colour,
    Floats,
    between,
    colour,
    mix,
    noise,
    octaves,
    paint,
    patch,
    sine,
    smooth,
)

__all__ = ["GROUNDS", "leaf"]


def _meadow(rng: np.random.Generator, height: int, width: int) -> Floats:
    hue = between(rng, 0.20, 0.33)
    blades = octaves(rng, height, width, (between(rng, 9, 14), between(rng, 2.0, 3.0)), 2)
    broad = octaves(rng, height, width, (40.0, 50.0), 3)
    share = np.clip(1.5 * blades + 0.9 * broad - 0.75, 0, 1)
    image = mix(colour(hue + 0.03, 0.70, 0.26), colour(hue - 0.03, 0.55, 0.72), share)
    petals = colour(between(rng, 0, 1), between(rng, 0.0, 0.6), 0.95)
    for _ in range(int(rng.integers(0, 14))):
        centre = (between(rng, 0, height), between(rng, 0, width))
        where = patch((height, width), centre, 3.5)
        radius = between(rng, 1.2, 2.6)
        distance = np.sqrt(where.y * where.y + where.x * where.x)
        paint(image, where, petals, smooth(distance, radius + 0.6, radius - 0.6))
        paint(image, where, (0.85, 0.7, 0.2), smooth(distance, 1.0, 0.3))
    return image


def _sand(rng: np.random.Generator, height: int, width: int) -> Floats:
    y, x = _grid(height, width)
    warp = octaves(rng, height, width, (36.0, 48.0), 3)
    slope = between(rng, -0.5, 0.5)
    ripples = sine((y + slope * x) / np.float32(between(rng, 9, 17)) + 2.4 * warp)
    grain = noise(rng, height, width, (1.2, 1.2))
    share = np.clip(0.45 + 0.22 * ripples + 0.35 * (warp - 0.5) + 0.25 * (grain - 0.5), 0, 1)
    hue = between(rng, 0.07, 0.13)
    return mix(colour(hue - 0.02, 0.50, 0.52), colour(hue + 0.01, 0.28, 0.93), share)


def _planks(rng: np.random.Generator, height: int, width: int) -> Floats:
    upright = bool(rng.integers(2))
    across, along = (width, height) if upright else (height, width)
    board = between(rng, 17, 30)
    position = np.arange(across, dtype=np.float32) / np.float32(board) + np.float32(rng.random())
    index = np.floor(position)
    place = position - index
    tones = rng.random(int(index.max()) + 1, dtype=np.float32)[index.astype(np.intp)]
    wave = octaves(rng, along, across, (50.0, 9.0), 3)
    grain = 0.5 + 0.5 * sine(9 * wave + 3 * position)
    fibre = noise(rng, along, across, (22.0, 1.1))
    share = np.clip(0.1 + 0.35 * tones + 0.3 * grain + 0.3 * fibre, 0, 1)
    gap = smooth(np.minimum(place, 1 - place) * np.float32(board), 0.4, 1.6)
    hue = between(rng, 0.05, 0.10)
    strength = between(rng, 0.25, 0.6)
    image = mix(colour(hue, strength + 0.1, 0.34), colour(hue + 0.02, strength, 0.80), share)
    image = image * (0.25 + 0.75 * gap)[..., None]
    return image if upright else np.ascontiguousarray(image.transpose(1, 0, 2))


def _water(rng: np.random.Generator, height: int, width: int) -> Floats:
    y, _ = _grid(height, width)
    swell = octaves(rng, height, width, (8.0, 34.0), 3)
    drift = noise(rng, height, width, (30.0, 40.0))
    ripples = 0.5 + 0.5 * sine(y / np.float32(between(rng, 7, 12)) + 3.2 * swell)
    hue = between(rng, 0.48, 0.62)
    share = np.clip(0.55 * ripples + 0.5 * drift - 0.05, 0, 1)
    image = mix(colour(hue + 0.03, 0.75, 0.38), colour(hue - 0.03, 0.45, 0.78), share)
    glint = smooth(ripples * swell, 0.52, 0.72) * np.float32(0.7)
    return np.asarray(image + (1 - image) * glint[..., None], np.float32)


def _cobbles(rng: np.random.Generator, height: int, width: int) -> Floats:
    size = between(rng, 14, 24)
    y, x = _grid(height, width)
    v, u = y / np.float32(size) + 1, x / np.float32(size) + 1
    rows, columns = int(height / size) + 4, int(width / size) + 4
    jitter = rng.random((2, rows, columns), dtype=np.float32) * np.float32(0.7) + np.float32(0.15)
    tones = rng.random((rows, columns), dtype=np.float32)
    cell_v, cell_u = np.floor(v).astype(np.intp), np.floor(u).astype(np.intp)
    nearest = np.full((height, width), 9, np.float32)
    second, tone = nearest.copy(), np.zeros((height, width), np.float32)
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            r, c = cell_v + down, cell_u + right
            dv = r + jitter[0][r, c] - v
            du = c + jitter[1][r, c] - u
            distance = np.sqrt(dv * dv + du * du).astype(np.float32)
            closer = distance < nearest
            second = np.where(closer, nearest, np.minimum(second, distance))
            tone = np.where(closer, tones[r, c], tone)
            nearest = np.where(closer, distance, nearest)
    edge = smooth(second - nearest, 0.03, 0.28)
    rough = octaves(rng, height, width, (6.0, 6.0), 3)
    share = np.clip(0.15 + 0.5 * tone + 0.5 * (rough - 0.35), 0, 1)
    hue, strength = between(rng, 0.0, 1.0), between(rng, 0.03, 0.16)
    stones = mix(colour(hue, strength, 0.40), colour(hue + 0.05, strength, 0.82), share)
    return stones * (0.3 + 0.7 * edge * (1 - 0.35 * nearest))[..., None]


def leaf(
    canvas: Floats, centre: tuple[float, float], length: float, turns: float, ink: Colour
) -> None:
    """Paint a pointed leaf with a midrib, its tip `length` pixels from its middle."""
    height, width = canvas.shape[:2]
    where = patch((height, width), centre, length + 1, turns)
    place = np.clip(where.x / np.float32(length), -1, 1)
    edge = 0.42 * length * (1 - place * place)
    cover = np.clip(edge - np.abs(where.y) + 0.5, 0, 1)
    rib = smooth(np.abs(where.y), 1.1, 0.3)
    veins = 0.5 + 0.5 * sine((where.x - np.abs(where.y)) / np.float32(max(length / 4, 3.0)))
    light = (0.80 + 0.14 * veins + 0.22 * rib + 0.10 * np.sign(where.y)).astype(np.float32)
    paint(canvas, where, np.array(ink, np.float32) * light[..., None], cover)


def _foliage(rng: np.random.Generator, height: int, width: int) -> Floats:
    hue = between(rng, 0.22, 0.40) if rng.integers(3) else between(rng, 0.03, 0.12)
    shade = octaves(rng, height, width, (24.0, 24.0), 3)
    image = mix(colour(hue, 0.7, 0.12), colour(hue, 0.6, 0.30), shade)
    count = height * width // 260
    for step in range(count):
        depth = step / count
        ink = colour(
            hue + between(rng, -0.04, 0.04),
            between(rng, 0.45, 0.75),
            0.22 + 0.40 * depth + between(rng, 0, 0.14),
        )
        centre = (between(rng, -5, height + 5), between(rng, -5, width + 5))
        leaf(image, centre, between(rng, 9, 18), between(rng, 0, 1), ink)
    return image


def _hills(rng: np.random.Generator, height: int, width: int) -> Floats:
    y, _ = _grid(height, width)
    down = y / np.float32(height)
    dusk = bool(rng.integers(2))
    top = colour(between(rng, 0.55, 0.66), 0.55, between(rng, 0.55, 0.9))
    low = colour(between(rng, 0.03, 0.11) if dusk else between(rng, 0.5, 0.6), 0.3, 0.97)
    image = mix(top, low, smooth(down, 0.0, 0.7) + np.zeros((1, width), np.float32))
    cloud = smooth(octaves(rng, height, width, (18.0, 46.0), 4), 0.48, 0.78) * np.float32(0.75)
    image = image + (1 - image) * cloud[..., None]
    hue = between(rng, 0.2, 0.45)
    for layer in range(3):
        ridge = octaves(rng, 1, width, (1.0, 30.0 + 20 * layer), 3)
        level = height * (0.30 + 0.16 * layer + 0.24 * ridge)
        cover = np.clip(y - level + 0.5, 0, 1)
        grass = octaves(rng, height, width, (5.0, 3.0 + 2 * layer), 2)
        pale = 0.62 - 0.2 * layer
        dark = colour(hue + 0.1 * pale, 0.30 + 0.12 * layer, 0.30 + 0.3 * pale)
        light = colour(hue + 0.05 * pale, 0.25 + 0.12 * layer, 0.55 + 0.3 * pale)
        image = image + (mix(dark, light, grass) - image) * cover[..., None]
    return np.asarray(image, np.float32)


def _grid(height: int, width: int) -> tuple[Floats, Floats]:
    return (
        np.arange(height, dtype=np.float32)[:, None],
        np.arange(width, dtype=np.float32)[None, :],
    )


GROUNDS: Mapping[str, Callable[[np.random.Generator, int, int], Floats]] = {
    "meadow": _meadow,
    "sand": _sand,
    "planks": _planks,
    "water": _water,
    "cobbles": _cobbles,
    "foliage": _foliage,
    "hills": _hills,
}
"""Name -> function (generator, height, width) -> (height, width, 3) float32 RGB near [0, 1]."""
