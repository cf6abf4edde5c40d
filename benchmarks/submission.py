"""Ways to store the maps of a submission: bytes, writing, reading in order and at random.

    python -m benchmarks.submission [--maps 23151] [--rounds 3]

Smooth uint8 maps of 40x40 as four HDF5 files: one data set an image; chunks of 64 maps, deflated;
one map a chunk, deflated; and this project's, contiguous without filter, through
`SubmissionWriter` (which survives a kill) and `Submission` (which checks every map against its
checksum). All are read from the page cache, by one thread: 128 maps at a time in order, single ones
at random.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from wsolbench.formats.submission.reader import Submission, SubmissionHeader, SubmissionWriter

from .common import BATCH, POOL, SIDE, both, by_turns, heading, machine, row, smooth_maps

READ = 128  # maps at a time
RANDOM = 500  # single maps

Maps = NDArray[np.uint8]


def image_id(place: int) -> str:
    return f"ILSVRC2012_val_{place:08}"


def write_ours(path: Path, pool: Maps, count: int) -> None:
    header = SubmissionHeader("drawn", "val", "gt", "min-max", {"name": "bumps"})
    with SubmissionWriter(path, header) as writer:
        for start in range(0, count, BATCH):
            places = range(start, min(start + BATCH, count))
            writer.append([image_id(place) for place in places], pool[np.array(places) % POOL])


def write_single(path: Path, pool: Maps, count: int) -> None:
    with h5py.File(path, "w") as file:
        for place in range(count):
            file.create_dataset(image_id(place), data=pool[place % POOL])


def write_chunked(chunk: int, path: Path, pool: Maps, count: int) -> None:
    with h5py.File(path, "w") as file:
        file["image_id"] = [image_id(place).encode() for place in range(count)]
        shape = (count, SIDE, SIDE)
        chunks = (min(chunk, count), SIDE, SIDE)
        maps = file.create_dataset("maps", shape, "u1", chunks=chunks, compression="gzip")
        for start in range(0, count, BATCH):
            places = np.arange(start, min(start + BATCH, count))
            maps[start : start + BATCH] = pool[places % POOL]


def read_single(path: Path, blocks: Sequence[range], spent: list[float] | None = None) -> int:
    with h5py.File(path) as file:
        return _read(lambda block: [file[image_id(place)][()] for place in block], blocks, spent)


def read_chunked(path: Path, blocks: Sequence[range], spent: list[float] | None = None) -> int:
    with h5py.File(path) as file:
        maps = file["maps"]
        return _read(lambda block: maps[block.start : block.stop], blocks, spent)


def read_ours(path: Path, blocks: Sequence[range], spent: list[float] | None = None) -> int:
    with Submission.open(path) as submission:
        return _read(submission.read, blocks, spent)


def _read(
    read: Callable[[range], Sequence[Any]], blocks: Sequence[range], spent: list[float] | None
) -> int:
    """A sum over the maps' first values; the seconds of each block go into `spent`."""
    total = 0
    for block in blocks:
        start = time.perf_counter()
        maps = read(block)
        if spent is not None:
            spent.append(time.perf_counter() - start)
        total += sum(int(map_[0, 0]) for map_ in maps)
    return total


LAYOUTS: dict[str, tuple[Callable[[Path, Maps, int], None], Callable[..., int]]] = {
    "one data set an image": (write_single, read_single),
    "chunks of 64, gzip": (partial(write_chunked, 64), read_chunked),
    "one map a chunk, gzip": (partial(write_chunked, 1), read_chunked),
    "contiguous (ours)": (write_ours, read_ours),
}


def main() -> None:
    parser = argparse.ArgumentParser(description="Time layouts of a submission.")
    parser.add_argument("--maps", type=int, default=23151)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    count = options.maps
    rng = np.random.default_rng(0)
    pool = smooth_maps(rng, POOL)
    in_order = [range(start, min(start + READ, count)) for start in range(0, count, READ)]
    single = [range(place, place + 1) for place in rng.integers(count, size=RANDOM)]
    with tempfile.TemporaryDirectory() as folder:
        paths = {name: Path(folder, f"{place}.h5") for place, name in enumerate(LAYOUTS)}
        writers = {
            name: partial(write, paths[name], pool, count) for name, (write, _) in LAYOUTS.items()
        }
        written = by_turns(writers, options.rounds)
        readers = {name: partial(read, paths[name]) for name, (_, read) in LAYOUTS.items()}
        if len({read(in_order) for read in readers.values()}) > 1:
            raise SystemExit("the layouts hold different maps")
        read = by_turns(
            {name: partial(way, in_order) for name, way in readers.items()}, options.rounds
        )
        at_random: dict[str, list[float]] = {name: [] for name in LAYOUTS}
        for _ in range(options.rounds):
            for name, way in readers.items():
                way(single, at_random[name])
        sizes = {name: path.stat().st_size for name, path in paths.items()}

    print(machine("h5py", "numpy"))
    print(f"{count} maps {SIDE}x{SIDE}, {options.rounds} rounds by turns; ", end="")
    print("maps/s of the median (fastest) round, one thread\n")
    print(
        heading("layout", "MB", "written", "read in order", "one at random, ms: median (fastest)")
    )
    for name in LAYOUTS:
        rates = [
            f"{count / statistics.median(times):,.0f} ({count / min(times):,.0f})"
            for times in (written[name], read[name])
        ]
        print(row(name, f"{sizes[name] / 1e6:.1f}", *rates, both(at_random[name], 1e3, 3)))


if __name__ == "__main__":
    main()
