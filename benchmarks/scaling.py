"""Time and memory of `wsolbench evaluate` for more and more images.

    python -m benchmarks.scaling [--images 1000 5000 23151 44271] [--sizes FILE] [--plot FILE]

Random masks at the sizes of the real validation photos, where a list of them is given or lies
beside the project (`image_sizes.txt`, see annotations/README.md), else at the recorded ones; maps
of 40x40. Each evaluation is the command line in a fresh process, whose peak memory the system
tells; everything is drawn in yet another one, since a child starts with its parent's peak.

Beside them stands what other tools need for one threshold: OpenCV's bilinear upsampling and
components, IoU by NumPy, on images read before.
"""

from __future__ import annotations

import argparse
import gzip
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from wsolbench.plots.palette import reduce_png

from .common import both, by_turns, draw, frequent_sizes, heading, machine, row

BESIDE = Path(__file__).resolve().parents[2] / "shared" / "data" / "ilsvrc" / "image_sizes.txt.gz"
COMMAND = [sys.executable, "-c", "from wsolbench.cli import main; main()", "evaluate", "--quiet"]
WAYS = {
    "pixel,box, 1,000 resamples": ["--metrics", "pixel,box", "--bootstrap", "1000"],
    "pixel": ["--metrics", "pixel"],
}
FEW = 50  # images of the other tools

_T = TypeVar("_T")


def listed_sizes(path: Path) -> list[tuple[int, int]]:
    """(height, width) of each line `name,width,height`."""
    with gzip.open(path, "rt") if path.suffix == ".gz" else open(path) as file:
        rows = [line.split(",") for line in file]
    return [(int(height), int(width)) for _, width, height in rows]


def draw_first(folder: Path, count: int, sizes: Path | None) -> tuple[Path, Path]:
    if sizes is None:
        return draw(folder, frequent_sizes(np.random.default_rng(0), count))
    listed = listed_sizes(sizes)
    return draw(folder, [listed[place % len(listed)] for place in range(count)])


def elsewhere(function: Callable[..., _T], *arguments: object) -> _T:
    """The outcome of a call in a process of its own."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as pool:
        return pool.submit(function, *arguments).result()


def measured(command: list[str]) -> tuple[float, float, float]:
    """Seconds, peak MB and seconds of all processors that a command took."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"exit status {process.returncode}")
    peak = used.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6
    return seconds, peak, used.ru_utime + used.ru_stime


def at_one_threshold(
    mask: NDArray[np.bool_], map_: NDArray[np.uint8]
) -> tuple[float, NDArray[np.int32]]:
    """IoU and the largest component's box at half of the highest value, by OpenCV and NumPy."""
    import cv2

    large = cv2.resize(np.float32(map_), mask.shape[::-1])
    foreground = large >= 128
    met = np.count_nonzero(foreground & mask)
    iou = met / np.count_nonzero(foreground | mask)
    stats = cv2.connectedComponentsWithStats(foreground.view(np.uint8))[2][1:]
    if not len(stats):
        return iou, np.zeros(4, dtype=np.int32)
    x, y, width, height, _ = stats[stats[:, cv2.CC_STAT_AREA].argmax()]
    return iou, np.array([x, y, x + width, y + height], dtype=np.int32)


def one_threshold(store: Path, maps: Path, rounds: int) -> list[float]:
    """Seconds an image of OpenCV and NumPy at one threshold, one core, all images in memory."""
    import cv2

    from wsolbench.data.dataset import Dataset
    from wsolbench.formats.submission.reader import Submission

    cv2.setNumThreads(1)
    dataset, submission = Dataset.open(store), Submission.open(maps)
    few = min(FEW, len(dataset))
    drawn = [(dataset[place].mask, map_) for place, map_ in enumerate(submission.read(range(few)))]

    def score() -> None:
        for mask, map_ in drawn:
            at_one_threshold(mask, map_)

    return [seconds / few for seconds in by_turns({"score": score}, rounds)["score"]]


def save_plot(path: Path, counts: list[int], found: dict[str, list[tuple[float, float]]]) -> None:
    """Time and memory against images."""
    from wsolbench import plots
    from wsolbench.plots.style import look

    with plots.picture(path, 1, 2, (7.2, 2.8)) as axes:
        for ax, place, unit in zip(axes[0], (0, 1), ("seconds", "MB at the peak"), strict=True):
            for number, (name, pairs) in enumerate(found.items()):
                ax.plot(
                    counts,
                    [pair[place] for pair in pairs],
                    color=look(number).colour,
                    linestyle=look(number).dashes,
                    marker="o",
                    markersize=4,
                    label=name,
                )
            ax.set(xlabel="images", ylabel=unit)
            ax.set_xlim(0)
            ax.set_ylim(0)
            ax.xaxis.set_major_formatter("{x:,.0f}")
        axes[0, 0].legend()


def main() -> None:
    parser = argparse.ArgumentParser(description="Time evaluations of more and more images.")
    parser.add_argument("--images", type=int, nargs="+", default=[1000, 5000, 23151, 44271])
    parser.add_argument("--sizes", type=Path, help="list: name,width,height; may be gzipped")
    parser.add_argument("--plot", type=Path, help="PNG, SVG or PDF file to draw")
    parser.add_argument("--rounds", type=int, default=1)
    options = parser.parse_args()
    sizes = options.sizes or (BESIDE if BESIDE.exists() else None)
    print(machine("numpy", "numba", "h5py", "opencv-python-headless"))
    print(f"image sizes: {sizes.name if sizes else 'recorded'}; ", end="")
    print(f"the fastest of {options.rounds} rounds\n")
    print(
        heading(
            "images", "annotations, MB", "maps, MB", "metrics", "s", "CPU s", "images/s", "peak MB"
        )
    )
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in WAYS}
    for count in options.images:
        with tempfile.TemporaryDirectory() as folder:
            files = elsewhere(draw_first, Path(folder), count, sizes)
            store, maps = files
            megabytes = [f"{file.stat().st_size / 1e6:.1f}" for file in files]
            command = [*COMMAND, str(maps), "--annotations", str(store)]
            measured([*command, "--limit", "1"])  # kernels are compiled by then
            for name, given in WAYS.items():
                runs = [measured([*command, *given]) for _ in range(options.rounds)]
                seconds, peak, busy = min(runs)
                found[name].append((seconds, peak))
                cells = f"{seconds:.1f}", f"{busy:.1f}", f"{count / seconds:,.0f}", f"{peak:.0f}"
                print(row(count, *megabytes, name, *cells), flush=True)
            if count == options.images[-1]:
                others = elsewhere(one_threshold, store, maps, 5)
    print(f"\nother tools, one threshold: {both(others, 1e3)} ms an image on one core; ", end="")
    least = found[next(iter(WAYS))][-1][0] / options.images[-1]
    print(f"ours, all thresholds and intervals: {1e3 * least:.2f} on all cores")
    if options.plot:
        save_plot(options.plot, options.images, found)
        if options.plot.suffix.lower() == ".png":
            reduce_png(options.plot)


if __name__ == "__main__":
    main()
