"""What the benchmarks share: random data of ILSVRC's sizes, ways that run by turns, the machine.

Times are taken in one process, each way once a round, so that a machine that slows down slows all
of them; medians are compared, and the fastest round stands beside.
"""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wsolbench import masks
from wsolbench.files import available_processors
from wsolbench.formats.annotations import Annotation, AnnotationSet, write_store
from wsolbench.formats.submission.reader import SubmissionHeader, SubmissionWriter

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
CLASSES = 1000
SIDE = 40  # of a map
POOL = 500  # distinct maps
ALIKE = 20  # distinct masks of one size
BATCH = 64


def machine(*packages: str) -> str:
    """The processor, its cores, and the versions of Python and of packages."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    name = names[0] if names else platform.processor() or platform.machine()
    versions = ", ".join(f"{package} {version(package)}" for package in packages)
    return f"{name}, {available_processors()} cores; Python {platform.python_version()}, {versions}"


def by_turns(
    ways: Mapping[str, Callable[[], object]],
    rounds: int,
    warming: int = 1,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Seconds that each way took in each round, after some that warm up and do not count."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(warming + rounds):
        for name, way in ways.items():
            start = clock()
            way()
            if turn >= warming:
                seconds[name].append(clock() - start)
    return seconds


def both(times: Sequence[float], scale: float = 1, digits: int = 2) -> str:
    """Median and fastest of some times, as `1.23 (1.20)`."""
    return f"{scale * statistics.median(times):.{digits}f} ({scale * min(times):.{digits}f})"


def ratio(other: Sequence[float], ours: Sequence[float]) -> str:
    """How many times as long the other way took, of medians."""
    times = statistics.median(other) / statistics.median(ours)
    return f"{times:.{0 if times >= 20 else 1}f}"


def row(*cells: object) -> str:
    """One line of a Markdown table."""
    return f"| {' | '.join(map(str, cells))} |"


def heading(*cells: str) -> str:
    """The first two lines of a Markdown table."""
    return f"{row(*cells)}\n|{'---|' * len(cells)}"


def frequent_sizes(rng: np.random.Generator, count: int) -> list[tuple[int, int]]:
    """(height, width) of as many images, drawn from `SIZES`."""
    shares = np.array([share for *_, share in SIZES])
    kinds = rng.choice(len(SIZES), size=count, p=shares / shares.sum())
    return [SIZES[kind][:2] for kind in kinds]


def blob(rng: np.random.Generator, height: int, width: int) -> NDArray[np.bool_]:
    """A ragged ellipse: an outline moved by noise, as hand-drawn masks have it."""
    centre = rng.uniform(0.35, 0.65, size=2)
    angles = np.linspace(0, 2 * np.pi, 720, endpoint=False)
    waves = np.arange(1, 30)
    heights, phases = rng.normal(0, 0.05 / waves), rng.uniform(0, 2 * np.pi, len(waves))
    outline = rng.uniform(0.2, 0.4) + np.sin(np.outer(angles, waves) + phases) @ heights
    around = np.stack((np.cos(angles), np.sin(angles)), axis=1)
    points = (centre + np.maximum(outline, 0.05)[:, None] * around) * (width, height)
    return masks.fill_polygon(points.ravel().tolist(), height, width)


def smooth_maps(rng: np.random.Generator, count: int) -> NDArray[np.uint8]:
    """Maps (count, 40, 40) of a few wide bumps each, from 0 to 255, as CAMs are."""
    places = (np.arange(SIDE) + 0.5) / SIDE
    total = np.zeros((count, SIDE, SIDE))
    for height in (1.0, 0.6, 0.4, 0.3):
        centres, widths = (
            rng.uniform(0.2, 0.8, (2, count, 1)),
            rng.uniform(0.08, 0.3, (2, count, 1)),
        )
        down, across = np.exp(-(((places - centres) / widths) ** 2) / 2)
        total += height * down[:, :, None] * across[:, None, :]
    low, high = total.min(axis=(1, 2), keepdims=True), total.max(axis=(1, 2), keepdims=True)
    return np.asarray(255 * (total - low) / (high - low)).astype(np.uint8)


def draw(folder: Path, sizes: Sequence[tuple[int, int]], seed: int = 0) -> tuple[Path, Path]:
    """Write annotations and a submission of smooth maps and five classes an image.

    Masks of one size and maps repeat after a while.

    Args:
        folder: where.
        sizes: (height, width) of each image.
        seed: of everything random.

    Returns:
        The two files.
    """
    rng = np.random.default_rng(seed)
    known: dict[tuple[int, int], list[Annotation]] = {}
    classes = rng.integers(CLASSES, size=len(sizes))
    annotations = []
    for index, size in enumerate(sizes):
        alike = known.setdefault(size, [])
        if len(alike) < ALIKE:
            mask = blob(rng, *size)
            boxes = np.array([masks.tight_box(mask)], dtype=np.int32)
            alike.append(Annotation("", "", 0, masks.encode(mask), boxes))
        drawn = alike[index % len(alike)]
        annotations.append(
            Annotation(f"drawn_{index:08}", "val", int(classes[index]), drawn.mask, drawn.boxes)
        )
    store, submission = folder / "drawn.h5", folder / "maps.h5"
    names = [(f"class_{place}", f"class {place}") for place in range(CLASSES)]
    write_store(store, AnnotationSet("drawn", annotations, names))
    maps = smooth_maps(rng, POOL)
    # Five classes in a row: the right one is among them in five of seven images.
    top5 = (classes[:, None] + rng.integers(-5, 2, (len(sizes), 1)) + np.arange(5)) % CLASSES
    header = SubmissionHeader("drawn", "val", "gt", "min-max", {"name": "bumps"})
    with SubmissionWriter(submission, header) as writer:
        for start in range(0, len(sizes), BATCH):
            places = np.arange(start, min(start + BATCH, len(sizes)))
            ids = [annotations[place].image_id for place in places]
            writer.append(ids, maps[places % POOL], top5=top5[places])
    return store, submission
