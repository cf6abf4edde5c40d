"""The embedded benchmark's scenes: seeded pictures of plush toys, with masks and boxes.

Aim: a test bed with the main difficulty of weakly supervised localization. A scene shows one to
three toys of one class. The classes differ only in a small part, a badge on the belly, but the
object to be localized is the whole toy. Loose badges of other classes lie on the ground, so a badge
indicates the class only on a toy. Toys are knitted, and their hue is weakly related to the class;
so is the ground in the scenes of `STUDY` (see `difficulty`).

Conventions: images (height, width, 3) uint8 RGB, masks (height, width) bool, boxes (x0, y0, x1, y1)
pixels, half-open, int32. Scene n of a split depends only on (seed, split, n, difficulty), and its
bytes are the same on every machine, as explained in `drawing`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..errors import WsolbenchError, require_choice
from ..files import replacing
from ..formats.annotations import Annotation, AnnotationSet
from ..masks import encode, tight_box
from ..progress import Progress
from .difficulty import CLASS_GROUNDS, DEMO, STUDY, Difficulty
from .drawing import (
    Colour,
    Floats,
    Patch,
    angle,
    between,
    blur,
    colour,
    cosine,
    darken,
    noise,
    octaves,
    paint,
    patch,
    rotation,
    sine,
    smooth,
)
from .grounds import GROUNDS, leaf

__all__ = [
    "CLASSES",
    "CLASS_GROUNDS",
    "DEMO",
    "PIXELS",
    "SPLITS",
    "STUDY",
    "Difficulty",
    "Scene",
    "draw_scene",
    "generate_split",
    "scene_ground",
    "write_benchmark",
]

Mask = NDArray[np.bool_]

CLASSES = ("star", "ring", "cross", "stripes", "crescent", "heart", "spiral", "dots")
"""The badge shapes; a scene's class is an index into them."""

SPLITS: Mapping[str, int] = {"val": 1, "test": 2, "train": 3}
"""Split -> the number that separates its random streams from the others'."""

PIXELS = (96, 192)
"""The minimum and maximum side of a scene."""

_HORIZON = 0.5  # fraction of the height; in hills, no thing is above it
_CREAM: Colour = (0.96, 0.93, 0.84)


@dataclass(frozen=True)
class Scene:
    """One picture and its ground truth.

    image_id: `<data set>_<split>_<number>`, e.g. mini_val_00000; image: (H, W, 3) uint8 RGB; mask:
    (H, W) bool, all toys; part: (H, W) bool, their badges, inside the mask; boxes: (n, 4) int32
    half-open, the tight box of each toy, from back to front; class_index: index into `CLASSES`;
    ground: key of `grounds.GROUNDS`.
    """

    image_id: str
    image: NDArray[np.uint8]
    mask: Mask
    part: Mask
    boxes: NDArray[np.int32]
    class_index: int
    ground: str


def generate_split(
    split: str, count: int, seed: int = 0, difficulty: Difficulty = DEMO
) -> Iterator[Scene]:
    """The first `count` scenes of a split, cycling through the classes.

    Raises:
        WsolbenchError: an unknown split, or a negative count or seed.
    """
    require_choice("split", split, SPLITS)
    _require_counts(count=count, seed=seed)
    for number in range(count):
        yield draw_scene(
            np.random.default_rng([seed, SPLITS[split], number]),
            f"{difficulty.dataset}_{split}_{number:05d}",
            number % len(CLASSES),
            difficulty,
            scene_ground(split, number, seed, difficulty),
        )


def scene_ground(split: str, number: int, seed: int = 0, difficulty: Difficulty = DEMO) -> str:
    """The ground of scene `number` of a split, without drawing it: a key of `grounds.GROUNDS`.

    Raises:
        WsolbenchError: an unknown split, or a negative number or seed.
    """
    require_choice("split", split, SPLITS)
    _require_counts(number=number, seed=seed)
    stream = [seed, SPLITS[split], number]
    # A stream of its own, so that the scenes do not change where their ground does not.
    if np.random.default_rng([*stream, 1]).random() < difficulty.ground_share:
        return CLASS_GROUNDS[CLASSES[number % len(CLASSES)]]
    return _size_and_ground(np.random.default_rng(stream))[2]


def write_benchmark(
    folder: str | os.PathLike[str],
    *,
    train: int = 0,
    val: int = 120,
    test: int = 120,
    seed: int = 0,
    difficulty: Difficulty = DEMO,
    progress: Progress | None = None,
) -> tuple[Path, AnnotationSet]:
    """Write scenes of three splits as `<folder>/images/<image id>.png`; return their annotations.

    Folders are created; pictures of the same name are replaced. A scene takes about 30 ms.

    Args:
        folder: where the folder of images is created.
        train, val, test: number of scenes of each split; all have masks, boxes and a class.
        seed: 0 or more.
        difficulty: settings of the scenes.
        progress: called with (scenes written, scenes).

    Returns:
        The image folder, and the annotation set (`difficulty.dataset`, "mini" by default) for
        `formats.annotations.write_store`.

    Raises:
        WsolbenchError: the folder cannot be created, or a number is negative.
    """
    counts = {"train": train, "val": val, "test": test}
    _require_counts(**counts, seed=seed)
    images = Path(folder) / "images"
    try:
        images.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WsolbenchError(
            images,
            found=f"cannot be created ({error.strerror or error})",
            cure="name another folder",
        ) from error
    annotations: list[Annotation] = []
    for split, count in counts.items():
        for scene in generate_split(split, count, seed, difficulty):
            with replacing(images / f"{scene.image_id}.png") as temporary:
                Image.fromarray(scene.image).save(temporary, format="png", compress_level=1)
            annotations.append(
                Annotation(
                    image_id=scene.image_id,
                    split=split,
                    class_index=scene.class_index,
                    mask=encode(scene.mask),
                    boxes=scene.boxes,
                )
            )
            if progress:
                progress(len(annotations), sum(counts.values()))
    drawn = ", ".join(
        f"{count} {split}" for split, count in counts.items() if count or split != "train"
    )
    notes = [f"generated by wsolbench.mini.scenes, seed {seed}: {drawn}"]
    if difficulty != DEMO:
        notes.append(str(difficulty))
    return images, AnnotationSet(
        dataset=difficulty.dataset,
        annotations=annotations,
        classes=[(f"mini{index}", f"toy with a {name}") for index, name in enumerate(CLASSES)],
        notes=notes,
    )


def draw_scene(
    rng: np.random.Generator,
    image_id: str,
    class_index: int,
    difficulty: Difficulty = DEMO,
    ground: str | None = None,
) -> Scene:
    """Draw one scene of a class; its size, light and toys are random.

    Its ground is the one given, or any; `scene_ground` decides by `difficulty.ground_share`.
    """
    height, width, drawn = _size_and_ground(rng)
    ground = ground or drawn
    require_choice("ground", ground, GROUNDS)
    horizon = _HORIZON * height if ground == "hills" else 0.0
    canvas = GROUNDS[ground](rng, height, width)
    canvas = blur(np.clip(canvas, 0, 1).astype(np.float32), int(rng.integers(3)))
    light = _light(rng)
    toys = _arrange(rng, height, width, horizon)
    _litter(rng, canvas, horizon, light, class_index, difficulty.loose_share)
    masks, parts = [], []
    for centre, radius in toys:
        mask, part = _toy(rng, canvas, centre, radius, light, class_index, difficulty.hue_share)
        masks.append(mask)
        parts.append(part)
    mask, part = np.logical_or.reduce(masks), np.logical_or.reduce(parts)
    return Scene(
        image_id=image_id,
        image=_expose(rng, canvas),
        mask=mask,
        part=part & mask,
        boxes=np.array([tight_box(toy) for toy in masks], np.int32),
        class_index=class_index,
        ground=ground,
    )


def _require_counts(**values: int) -> None:
    for name, value in values.items():
        if value < 0:
            raise WsolbenchError(
                name, found=str(value), expected="0 or more", cure="pass a larger number"
            )


def _size_and_ground(rng: np.random.Generator) -> tuple[int, int, str]:
    """Height, width and a ground: what a scene draws first."""
    longest = int(rng.integers(136, PIXELS[1] + 1))
    shortest = max(PIXELS[0], int(longest * between(rng, 0.64, 0.88)))
    sides = (shortest, longest) if rng.random() < 0.65 else (longest, shortest)
    return *sides, list(GROUNDS)[int(rng.integers(len(GROUNDS)))]


def _light(rng: np.random.Generator) -> tuple[float, float, float]:
    """A unit vector (y, x, z) towards the light, which is above, usually to one side."""
    y, x, z = -between(rng, 0.35, 0.75), between(rng, -0.7, 0.7), between(rng, 0.55, 0.9)
    norm = (y * y + x * x + z * z) ** 0.5
    return y / norm, x / norm, z / norm


def _arrange(
    rng: np.random.Generator, height: int, width: int, horizon: float
) -> list[tuple[tuple[float, float], float]]:
    """Centres (y, x) and radii of one to three toys that do not touch, back to front."""
    draw = float(rng.random())
    wanted = 1 if draw < 0.68 else 2 if draw < 0.92 else 3
    short = min(height, width)
    low, high = ((0.30, 0.40), (0.21, 0.26), (0.17, 0.20))[wanted - 1]
    toys: list[tuple[tuple[float, float], float]] = []
    for _ in range(60):
        if len(toys) == wanted:
            break
        radius = short * between(rng, low, high)
        margin = 0.95 * radius
        centre = (
            between(rng, max(1.25 * radius, horizon), height - margin),
            between(rng, margin, width - margin),
        )
        if all(_apart(centre, radius, *other) for other in toys):
            toys.append((centre, radius))
    return sorted(toys)


def _apart(
    centre: tuple[float, float], radius: float, other: tuple[float, float], other_radius: float
) -> bool:
    dy, dx = centre[0] - other[0], centre[1] - other[1]
    reach = 1.45 * (radius + other_radius)
    return dy * dy + dx * dx > reach * reach


def _litter(
    rng: np.random.Generator,
    canvas: Floats,
    horizon: float,
    light: tuple[float, float, float],
    class_index: int,
    loose_share: float,
) -> None:
    """Paint things other than toys: stones, balls, leaves, and badges of other classes."""
    height, width = canvas.shape[:2]
    for _ in range(int(rng.integers(2, 8))):
        centre = (between(rng, horizon, height), between(rng, 0, width))
        kind = int(rng.integers(3))
        if kind == 0:
            hue, strength = between(rng, 0, 1), between(rng, 0.02, 0.18)
            ink = colour(hue, strength, between(rng, 0.4, 0.8))
            _ball(rng, canvas, centre, between(rng, 4, 10), between(rng, 0.5, 0.8), ink, light, 0.0)
        elif kind == 1:
            ink = colour(between(rng, 0, 1), between(rng, 0.5, 0.85), between(rng, 0.6, 0.95))
            _ball(rng, canvas, centre, between(rng, 4, 9), 1.0, ink, light, 0.8)
        else:
            ink = colour(between(rng, 0.02, 0.3), between(rng, 0.5, 0.8), between(rng, 0.4, 0.85))
            leaf(canvas, centre, between(rng, 6, 13), between(rng, 0, 1), ink)
    if rng.random() < loose_share:
        for _ in range(int(rng.integers(1, 3))):
            other = (class_index + int(rng.integers(1, len(CLASSES)))) % len(CLASSES)
            radius = between(rng, 7, 13)
            centre = (between(rng, max(6.0, horizon), height - 6), between(rng, 6, width - 6))
            shade = patch((height, width), (centre[0] + 1.5, centre[1] - 2 * light[1]), radius + 4)
            distance = np.sqrt(shade.y * shade.y + shade.x * shade.x)
            darken(canvas, shade, 0.45 * smooth(distance, radius + 2, radius - 2))
            _badge(rng, canvas, centre, radius, between(rng, -0.15, 0.15), other)


def _ball(
    rng: np.random.Generator,
    canvas: Floats,
    centre: tuple[float, float],
    radius: float,
    flatness: float,
    ink: Colour,
    light: tuple[float, float, float],
    gloss: float,
) -> None:
    height, width = canvas.shape[:2]
    shade = patch((height, width), (centre[0] + 0.5 * radius, centre[1]), 1.6 * radius)
    flat = shade.y / np.float32(0.5 * flatness)
    spread = np.sqrt(flat * flat + shade.x * shade.x)
    darken(canvas, shade, 0.5 * smooth(spread, 1.35 * radius, 0.5 * radius))
    where = patch((height, width), centre, radius + 1)
    v = where.y / np.float32(radius * flatness)
    u = where.x / np.float32(radius)
    d = np.sqrt(v * v + u * u)
    z = np.sqrt(np.clip(1 - d * d, 0, 1))
    lit = np.clip(v * light[0] + u * light[1] + z * light[2], 0, 1)
    rough = 1.0 if gloss else 0.8 + 0.4 * noise(rng, d.shape[0], d.shape[1], (2.0, 2.0))
    body = np.array(ink, np.float32) * ((0.35 + 0.75 * lit) * rough)[..., None]
    body = body + (1 - body) * (gloss * smooth(lit, 0.93, 1.0))[..., None]
    paint(canvas, where, body, np.clip((1 - d) * radius * flatness + 0.5, 0, 1))


def _toy(
    rng: np.random.Generator,
    canvas: Floats,
    centre: tuple[float, float],
    radius: float,
    light: tuple[float, float, float],
    class_index: int,
    hue_share: float,
) -> tuple[Mask, Mask]:
    """Paint a toy; return its mask and that of its badge, both (H, W) bool."""
    height, width = canvas.shape[:2]
    lean = rng.random() < hue_share
    hue = class_index / len(CLASSES) + between(rng, -0.05, 0.05) if lean else between(rng, 0, 1)
    wool = colour(hue, between(rng, 0.35, 0.70), between(rng, 0.62, 0.95))
    turns = between(rng, -0.06, 0.06)
    c, s = rotation(turns)
    where = patch((height, width), centre, 2.1 * radius, turns)

    ground = patch((height, width), (centre[0] + radius, centre[1] - light[1] * radius), 2 * radius)
    flat = ground.y / np.float32(0.35)
    spread = np.sqrt(flat * flat + ground.x * ground.x)
    darken(canvas, ground, 0.6 * smooth(spread, 1.5 * radius, 0.55 * radius))

    knit = _knit(
        where,
        between(rng, 4.6, 6.4),
        octaves(rng, where.x.shape[0], where.x.shape[1], (9.0, 9.0), 2),
    )
    cover = np.zeros(where.x.shape, np.float32)
    for lump in _lumps(rng, where, radius):
        direction, distance, size = lump
        tuft = distance - np.float32(1.2 / size) * (knit - np.float32(0.5))
        z = np.sqrt(np.clip(1 - distance * distance, 0, 1))
        v, u = direction
        lit = np.clip((v * c + u * s) * light[0] + (u * c - v * s) * light[1] + z * light[2], 0, 1)
        shade = (0.34 + 0.74 * lit) * (0.58 + 0.55 * knit) * (0.75 + 0.25 * z)
        over = np.clip((1 - tuft) * size + 0.5, 0, 1)
        paint(canvas, where, np.array(wool, np.float32) * shade[..., None], over)
        cover = np.maximum(cover, over)
    _face(canvas, where, radius)

    mask = np.zeros((height, width), np.bool_)
    mask[where.rows, where.columns] = cover >= 0.5
    along, down = between(rng, -0.16, 0.16) * radius, between(rng, 0.30, 0.42) * radius
    middle = (centre[0] + down * c + along * s, centre[1] + along * c - down * s)
    size = between(rng, 0.30, 0.35) * radius
    part = _badge(rng, canvas, middle, size, turns + between(rng, -0.05, 0.05), class_index)
    return mask, part


def _knit(where: Patch, stitch: float, wobble: Floats) -> Floats:
    """Rows of V-shaped stitches `stitch` pixels wide, (h, w) in [0, 1]."""
    across = where.x / np.float32(stitch) + 0.5 * wobble
    place = np.abs(across - np.floor(across) - np.float32(0.5))
    row = sine(where.y / np.float32(0.8 * stitch) + 1.2 * place + 0.5 * wobble)
    groove = smooth(place, 0.5, 0.28)
    return np.clip((0.5 + 0.42 * row) * (0.35 + 0.65 * groove), 0, 1).astype(np.float32)


def _lumps(
    rng: np.random.Generator, where: Patch, radius: float
) -> Iterator[tuple[tuple[Floats, Floats], Floats, float]]:
    """The rounded pieces of a toy, back to front: feet, ears, body.

    Yields the surface direction (v, u) and the distance from the middle (1 at the rim), each (h, w)
    float32, and the size in pixels.
    """
    ears = int(rng.integers(4))
    apart, lift = between(rng, 0.42, 0.6), between(rng, 0.75, 0.9)
    shape = ((0.30, 0.30), (0.52, 0.19), (0.36, 0.24))[ears] if ears < 3 else None
    for side in (-1, 1):
        yield _ellipse(where, radius, 0.88, 0.48 * side, 0.24, 0.34, 0.0)
        if shape:
            high = lift + (0.2 if ears == 1 else 0.0)
            yield _ellipse(where, radius, -high, apart * side, *shape, 0.07 * side)
    tall, wide = between(rng, 0.92, 1.08), between(rng, 0.86, 1.12)
    v, u = where.y / np.float32(radius * tall), where.x / np.float32(radius * wide)
    direction = angle(v, u)
    rim = np.ones(v.shape, np.float32)
    for waves, most in ((2, 0.05), (3, 0.06), (4, 0.03), (5, 0.02)):
        swing, phase = between(rng, 0, most), between(rng, 0, 1)
        rim = rim + np.float32(swing) * cosine(waves * direction + np.float32(phase))
    v, u = (v / rim).astype(np.float32), (u / rim).astype(np.float32)
    yield (v, u), np.sqrt(v * v + u * u), radius


def _ellipse(
    where: Patch, radius: float, down: float, along: float, tall: float, wide: float, turns: float
) -> tuple[tuple[Floats, Floats], Floats, float]:
    c, s = rotation(turns)
    dy, dx = where.y - np.float32(down * radius), where.x - np.float32(along * radius)
    v = (dy * c - dx * s) / np.float32(tall * radius)
    u = (dx * c + dy * s) / np.float32(wide * radius)
    return (v, u), np.sqrt(v * v + u * u), min(tall, wide) * radius


def _face(canvas: Floats, where: Patch, radius: float) -> None:
    """Two bead eyes with a glint and a small nose, above the middle."""
    for along, down, size, ink in (
        (-0.27, -0.40, 0.085, (0.06, 0.05, 0.07)),
        (0.27, -0.40, 0.085, (0.06, 0.05, 0.07)),
        (-0.245, -0.43, 0.03, (1.0, 1.0, 1.0)),
        (0.295, -0.43, 0.03, (1.0, 1.0, 1.0)),
        (0.0, -0.25, 0.06, (0.25, 0.14, 0.13)),
    ):
        _, distance, reach = _ellipse(where, radius, down, along, size, size, 0.0)
        paint(canvas, where, ink, np.clip((1 - distance) * reach + 0.5, 0, 1))


def _badge(
    rng: np.random.Generator,
    canvas: Floats,
    centre: tuple[float, float],
    radius: float,
    turns: float,
    class_index: int,
) -> Mask:
    """Paint a round cream badge with the shape of a class; return its mask, (H, W) bool."""
    height, width = canvas.shape[:2]
    where = patch((height, width), centre, radius + 1, turns)
    distance = np.sqrt(where.y * where.y + where.x * where.x)
    cover = np.clip(radius - distance + 0.5, 0, 1)
    weave = 0.92 + 0.08 * noise(rng, distance.shape[0], distance.shape[1], (1.3, 1.3))
    seam = 1 - 0.35 * smooth(np.abs(distance - np.float32(0.93 * radius)), 0.9, 0.3)
    paint(canvas, where, np.array(_CREAM, np.float32) * (weave * seam)[..., None], cover)
    ink = colour(between(rng, 0, 1), between(rng, 0.5, 0.9), between(rng, 0.18, 0.42))
    inside = _SHAPES[CLASSES[class_index]]
    filled = np.zeros(distance.shape, np.float32)
    scale = np.float32(0.80 * radius)
    for down, along in ((-0.25, -0.25), (-0.25, 0.25), (0.25, -0.25), (0.25, 0.25)):
        filled += inside(
            (where.y + np.float32(down)) / scale, (where.x + np.float32(along)) / scale
        )
    paint(canvas, where, ink, np.float32(0.25) * filled * cover)
    mask = np.zeros((height, width), np.bool_)
    mask[where.rows, where.columns] = cover >= 0.5
    return mask


def _expose(rng: np.random.Generator, canvas: Floats) -> NDArray[np.uint8]:
    """Add uneven light, a tint, a vignette and grain; return (H, W, 3) uint8."""
    height, width = canvas.shape[:2]
    shade = noise(rng, height, width, (0.8 * height, 0.8 * width))
    y = (np.arange(height, dtype=np.float32) / np.float32(height) - np.float32(0.5))[:, None]
    x = (np.arange(width, dtype=np.float32) / np.float32(width) - np.float32(0.5))[None, :]
    vignette = 1 - between(rng, 0.1, 0.7) * (y * y + x * x)
    warmth = between(rng, -0.06, 0.06)
    tint = np.array([1 + warmth, 1, 1 - warmth], np.float32) * np.float32(between(rng, 0.92, 1.12))
    grain = rng.random((height, width, 3), dtype=np.float32) - np.float32(0.5)
    exposed = canvas * ((0.78 + 0.36 * shade) * vignette)[..., None] * tint
    grainy = np.clip(exposed + np.float32(0.035) * grain, 0, 1)
    image: NDArray[np.uint8] = (grainy * 255 + np.float32(0.5)).astype(np.uint8)
    return image


def _star(y: Floats, x: Floats) -> Mask:
    place = 5 * (angle(y, x) + np.float32(0.25))
    tip = 1 - 2 * np.abs(place - np.floor(place + np.float32(0.5)))
    inside: Mask = y * y + x * x < (0.40 + 0.62 * tip * tip) * (0.40 + 0.62 * tip * tip)
    return inside


def _ring(y: Floats, x: Floats) -> Mask:
    inside: Mask = np.abs(np.sqrt(y * y + x * x) - np.float32(0.68)) < 0.2
    return inside


def _cross(y: Floats, x: Floats) -> Mask:
    down, across = np.abs(y), np.abs(x)
    inside: Mask = (np.minimum(down, across) < 0.24) & (np.maximum(down, across) < 0.9)
    return inside


def _stripes(y: Floats, x: Floats) -> Mask:
    place = 1.5 * y + np.float32(0.5)
    inside: Mask = (np.abs(place - np.floor(place) - np.float32(0.5)) < 0.27) & (
        y * y + x * x < 0.95
    )
    return inside


def _crescent(y: Floats, x: Floats) -> Mask:
    away = x - np.float32(0.42)
    inside: Mask = (y * y + x * x < 0.85) & (y * y + away * away > 0.50)
    return inside


def _heart(y: Floats, x: Floats) -> Mask:
    u, v = np.float32(1.22) * x, np.float32(0.12) - np.float32(1.22) * y
    inner = u * u + v * v - 1
    inside: Mask = inner * inner * inner < u * u * v * v * v
    return inside


def _spiral(y: Floats, x: Floats) -> Mask:
    distance = np.sqrt(y * y + x * x)
    place = np.float32(1.7) * distance - angle(y, x)
    inside: Mask = (np.abs(place - np.floor(place) - np.float32(0.5)) < 0.25) & (distance < 0.98)
    return inside


def _dots(y: Floats, x: Floats) -> Mask:
    down, across = np.abs(y) - np.float32(0.48), np.abs(x) - np.float32(0.48)
    inside: Mask = down * down + across * across < 0.09
    return inside


_SHAPES: Mapping[str, Callable[[Floats, Floats], Mask]] = {
    "star": _star,
    "ring": _ring,
    "cross": _cross,
    "stripes": _stripes,
    "crescent": _crescent,
    "heart": _heart,
    "spiral": _spiral,
    "dots": _dots,
}
