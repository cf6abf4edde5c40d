"""What the boundary scores of one image cost on one core: the curve over 99 thresholds.

    python -m benchmarks.boundary [--images 4] [--rounds 3] [--edges DIR --masks DIR]

Images of 500x375. Drawn edges: the outline of a blob and of what lies around it, blurred as a
network blurs, with noise; or with --edges and --masks, two folders of PNG files of the same names,
resized to 500x375. Each is scored raw and after non-maximum suppression. The other program is
pyEdgeEval, which compiles the toolbox's own matching (pip install --no-deps pyEdgeEval); it scores
the same maps once, since it takes seconds. Its matches differ, because the toolbox samples outliers
at random: the difference of all counts is printed. Then the pictures on which a matching could get
lost. Processor time is taken, which other processes disturb little.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wsolbench.metrics.boundary import (
    THRESHOLDS,
    BoundaryCounts,
    boundary_counts,
    suppress,
    thin,
    true_boundary,
)

from .common import blob, by_turns, heading, machine, row

HEIGHT, WIDTH = 375, 500
IMAGES_OF_VAL = 23151

Levels = NDArray[np.uint8]
Bools = NDArray[np.bool_]


def drawn(rng: np.random.Generator) -> tuple[Levels, Bools]:
    """Thick grey edges of a blob and of the clutter around it, and the blob's true boundary."""
    mask = blob(rng, HEIGHT, WIDTH)
    lines = true_boundary(mask).astype(np.float32)
    for _ in range(12):
        lines = np.maximum(lines, rng.random() * true_boundary(blob(rng, HEIGHT, WIDTH)))
    thick = cv2.GaussianBlur(lines, (0, 0), 2.5)
    noise = cv2.GaussianBlur(rng.random((HEIGHT, WIDTH)).astype(np.float32), (0, 0), 2.0)
    edges = thick / thick.max() + 0.3 * np.abs(noise - noise.mean()) / noise.std()
    return np.rint(255 * edges.clip(0, 1)).astype(np.uint8), true_boundary(mask)


def from_files(edges: Path, masks: Path, count: int) -> list[tuple[Levels, Bools]]:
    """Every n-th pair of PNG files, resized."""
    files = sorted(edges.glob("*.png"))
    found = []
    for file in files[:: max(len(files) // count, 1)][:count]:
        with Image.open(file) as opened, Image.open(masks / file.name) as mask:
            size = (WIDTH, HEIGHT)
            levels = np.asarray(opened.convert("L").resize(size, Image.Resampling.BILINEAR))
            object_ = np.asarray(mask.convert("1").resize(size, Image.Resampling.NEAREST))
        found.append((levels, true_boundary(object_)))
    return found


def other_counts(levels: Levels, truth: Bools) -> tuple[int, int]:
    """Matched and predicted pixels over all thresholds, by pyEdgeEval."""
    from pyEdgeEval.common.binary_label.evaluate_boundaries import evaluate_boundaries_threshold

    matched, _, _, predicted = evaluate_boundaries_threshold(
        THRESHOLDS, levels / 255, truth.astype(np.float64)
    )
    return int(matched.sum()), int(predicted.sum())


def own_counts(levels: Levels, truth: Bools) -> tuple[int, int]:
    """The same by this package."""
    counts: BoundaryCounts = boundary_counts(levels, truth)
    return int(counts.matched.sum()), int(counts.predicted.sum())


def scored(pairs: Sequence[tuple[Levels, Bools]]) -> None:
    """Score images by this package."""
    for pair in pairs:
        boundary_counts(*pair)


def scored_otherwise(pairs: Sequence[tuple[Levels, Bools]]) -> None:
    """Score images by pyEdgeEval."""
    for pair in pairs:
        other_counts(*pair)


def cases(rng: np.random.Generator) -> dict[str, tuple[Levels, Bools]]:
    """Pictures that are hard to match or to thin."""
    shape = (HEIGHT, WIDTH)
    noise = rng.integers(0, 256, shape).astype(np.uint8)
    lines, near, winding = (
        np.zeros(shape, np.bool_),
        np.zeros(shape, np.uint8),
        np.zeros(shape, bool),
    )
    lines[5::9] = True
    near[8::9] = rng.integers(3, 256, near[8::9].shape)
    winding[::6] = True
    winding[np.arange(HEIGHT) % 12 < 6, -1] = winding[np.arange(HEIGHT) % 12 >= 6, 0] = True
    shifted = np.roll(winding, (2, 2), (0, 1)) * rng.integers(3, 256, shape)
    distance = np.hypot(*(np.indices(shape) - np.array(shape)[:, None, None] / 2))
    return {
        "noise, and the outline of a blob": (noise, true_boundary(blob(rng, HEIGHT, WIDTH))),
        "noise on noise": (noise, thin(rng.random(shape) < 0.3)),
        "noise on dense noise": (noise, rng.random(shape) < 0.5),
        "all ones": (np.full(shape, 255, np.uint8), true_boundary(blob(rng, HEIGHT, WIDTH))),
        "a cone": ((255 - distance.clip(0, 255)).astype(np.uint8), lines),
        "lines, three pixels apart": (near, lines),
        "winding lines, two pixels apart": (shifted.astype(np.uint8), winding),
    }


def timed(act: Callable[[], Any]) -> float:
    """Seconds of processor time."""
    began = time.thread_time()
    act()
    return time.thread_time() - began


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--edges", type=Path)
    parser.add_argument("--masks", type=Path)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    pairs = [drawn(rng) for _ in range(options.images)]
    if options.edges is not None:
        pairs = from_files(options.edges, options.masks, options.images)
    there = find_spec("pyEdgeEval") is not None
    other = f", pyEdgeEval {version('pyEdgeEval')}" if there else "; pyEdgeEval is not installed"
    print(f"{machine('numpy', 'numba')}{other}")
    kinds = {
        "raw": pairs,
        "after suppression": [(suppress(levels), truth) for levels, truth in pairs],
    }
    seconds = by_turns(
        {
            "suppression": lambda: [suppress(levels) for levels, _ in pairs],
            **{name: partial(scored, own) for name, own in kinds.items()},
        },
        options.rounds,
        clock=time.thread_time,
    )
    per_image = {name: statistics.median(own) / len(pairs) for name, own in seconds.items()}
    print(heading(f"{len(pairs)} images of {WIDTH}x{HEIGHT}", "ms an image"))
    for name in per_image:
        print(row(name, f"{1000 * per_image[name]:.1f}"))
    whole = per_image["suppression"] + per_image["after suppression"]
    minutes = IMAGES_OF_VAL * whole / 2 / 60
    print(row("23,151 images on two cores, suppression and curve", f"{minutes:.1f} minutes"))
    if there:
        print(heading("pyEdgeEval", "ms an image", "times ours", "our matches", "predicted pixels"))
        for name, own in kinds.items():
            took = timed(partial(scored_otherwise, own)) / len(own)
            ours = np.sum([own_counts(*pair) for pair in own], axis=0)
            theirs = np.sum([other_counts(*pair) for pair in own], axis=0)
            more = f"{100 * (ours[0] / theirs[0] - 1):+.3f} %"
            same = "equal" if ours[1] == theirs[1] else f"{ours[1]} and {theirs[1]}"
            print(row(name, f"{1000 * took:.0f}", f"{took / per_image[name]:.0f}", more, same))
    print(heading("hard pictures", "ms"))
    for name, pair in cases(rng).items():
        print(row(name, f"{1000 * timed(partial(boundary_counts, *pair)):.0f}"))


if __name__ == "__main__":
    main()
