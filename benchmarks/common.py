"""What the benchmarks share: made-up masks and maps, runs by turns, a line about the machine."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

# Height, width and share of the most frequent sizes of the 50,000 ILSVRC validation photos.
SIZES = [
    (375, 500, 0.310),
    (500, 375, 0.095),
    (333, 500, 0.056),
    (500, 500, 0.032),
    (334, 500, 0.020),
    (500, 333, 0.020),
    (400, 500, 0.015),
]


def blob(rng: np.random.Generator, height: int, width: int) -> NDArray[np.bool_]:
    """A ragged ellipse: an outline moved by noise, as hand-drawn masks have it."""
    y, x = np.mgrid[:height, :width]
    centre_y, centre_x = rng.uniform(0.35, 0.65, size=2) * (height, width)
    angle = np.arctan2(y - centre_y, x - centre_x)
    radius = np.hypot((y - centre_y) / height, (x - centre_x) / width)
    outline = rng.uniform(0.2, 0.4)
    for wave in range(1, 30):
        outline = outline + rng.normal(0, 0.05 / wave) * np.sin(wave * angle + rng.uniform(0, 6.3))
    return np.asarray(radius < outline)


def smooth_map(rng: np.random.Generator, side: int = 40, sigma: float = 3) -> NDArray[np.uint8]:
    """Noise blurred by a Gaussian and brought to 0..255: uint8 (side, side)."""
    places = np.arange(side)
    kernel = np.exp(-((places[:, None] - places) ** 2) / (2 * sigma**2)) if sigma else np.eye(side)
    map_ = kernel @ rng.random((side, side)) @ kernel
    map_ = (map_ - map_.min()) / (map_.max() - map_.min())
    return np.asarray(np.rint(255 * map_), dtype=np.uint8)


def by_turns(ways: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Seconds that each way took, run one after the other in each round; one round warms up."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(rounds + 1):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            if turn:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def row(name: str, seconds: list[float], base: float | None = None, unit: float = 1e3) -> str:
    """A row of a Markdown table: median, fastest, and how many times the base."""
    median = statistics.median(seconds)
    ratio = "" if base is None else f"{median / base:.1f}"
    return f"| {name} | {unit * median:.3f} | {unit * min(seconds):.3f} | {ratio} |"


def machine(*packages: str) -> str:
    """Processor, cores, Python, and the versions of packages."""
    model = platform.processor() or platform.machine()
    about = Path("/proc/cpuinfo")
    if about.is_file():
        names = [line for line in about.read_text().splitlines() if line.startswith("model name")]
        model = names[0].partition(":")[2].strip() if names else model
    parts = [f"{model}, {os.cpu_count()} processors", f"Python {platform.python_version()}"]
    for name in packages:
        try:
            parts.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            parts.append(f"{name} not installed")
    return ", ".join(parts)
