"""What a task of a divided evaluation costs: opening, each image, memory, and files.

    python -m benchmarks.shards [--images 44271 177084] [--rounds 3]

Each task is a process of its own with one thread. Opening and the time of an image follow from
tasks of 1/64 and of 1/8 of the images: what both have in common, and what the larger one has more.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np

from wsolbench.evaluation.run import Request
from wsolbench.evaluation.shards import Shard, merged, write_shard

from .common import draw, frequent_sizes, heading, machine, row

FEW, MANY = 8, 64
"""Tasks of a run."""

_T = TypeVar("_T")


class Task(NamedTuple):
    """Processor seconds, MB at the peak, and bytes of the file."""

    seconds: float
    peak: float
    size: int


def alone(function: Callable[..., _T], *arguments: object) -> _T:
    """The outcome of a call in a process of its own."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as pool:
        return pool.submit(function, *arguments).result()


def task(store: Path, maps: Path, of: int, metrics: tuple[str, ...], counts: bool) -> Task:
    """Score the first of so many ranges."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.process_time()
        request = Request(maps, store, metrics=metrics, counts=counts, jobs=1)
        path, _ = write_shard(request, Shard(1, of), folder)
        seconds = time.process_time() - start
        used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        peak = used * (1 if sys.platform == "darwin" else 1024) / 1e6
        return Task(seconds, peak, path.stat().st_size)


def merging(store: Path, maps: Path, of: int) -> float:
    """Processor seconds of adding up the files of all ranges."""
    with tempfile.TemporaryDirectory() as folder:
        request = Request(maps, store, metrics=("pixel",))
        paths = [write_shard(request, Shard(at, of), folder)[0] for at in range(1, of + 1)]
        start = time.process_time()
        merged(paths, store)
        return time.process_time() - start


def main() -> None:
    """Print a table for each number of images."""
    parser = argparse.ArgumentParser(description="Time tasks of a divided evaluation.")
    parser.add_argument("--images", type=int, nargs="+", default=[44_271, 177_084])
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    print(machine("numpy", "numba", "h5py"))
    print(f"processor s of one thread, the fastest of {options.rounds} rounds\n")
    titles = ("images", "metrics", "files, MB", "opening", "ms an image", f"1 of {MANY}")
    print(heading(*titles, "peak MB", "file, kB", "with counts, MB"))
    for count in options.images:
        with tempfile.TemporaryDirectory() as folder:
            files = draw(Path(folder), frequent_sizes(np.random.default_rng(0), count))
            sizes = " and ".join(f"{file.stat().st_size / 1e6:.1f}" for file in files)
            for metrics in (("pixel", "box"), ("pixel",)):
                few, many = (
                    min(alone(task, *files, of, metrics, False) for _ in range(options.rounds))
                    for of in (FEW, MANY)
                )
                images = count / FEW - count / MANY
                rate = (few.seconds - many.seconds) / images
                opening = many.seconds - rate * count / MANY
                kept = alone(task, *files, MANY, metrics, True)
                cells = (f"{opening:.2f}", f"{1e3 * rate:.3f}", f"{many.seconds:.2f}")
                print(
                    row(
                        f"{count:,}",
                        f"`{','.join(metrics)}`",
                        sizes,
                        *cells,
                        f"{many.peak:.0f}",
                        f"{many.size / 1e3:.0f}",
                        f"{kept.size / 1e6:.1f}",
                    ),
                    flush=True,
                )
            if count == options.images[0]:
                times = {of: alone(merging, *files, of) for of in (FEW, MANY)}
    told = ", ".join(f"{of} files {seconds:.2f} s" for of, seconds in times.items())
    print(f"\nmerging for {options.images[0]:,} images: {told}")


if __name__ == "__main__":
    main()
