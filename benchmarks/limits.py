"""What an evaluation of a stranger's file can cost, and what guarding against it costs.

    python -m benchmarks.limits [--images 44271] [--rounds 3] [--worst 8]

First the command `evaluate` with and without `--trusted` on honest maps, by turns. Then the
costliest legal submissions: maps and edges of the largest side, whose scores need most work, for
few images, with the processor time, peak memory and bytes of file an image.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wsolbench import Dataset, SubmissionHeader, SubmissionWriter

from .common import both, draw, frequent_sizes, heading, machine, ratio, row

SIDE = 4096
HEADER = SubmissionHeader("drawn", "val", "gt", "none", {"name": "worst"})


def evaluate(store: Path, maps: Path, *options: str) -> tuple[float, float, float]:
    """Run the command; wall seconds, processor seconds, peak MiB."""
    command = [
        sys.executable,
        "-m",
        "wsolbench",
        "evaluate",
        str(maps),
        "--annotations",
        str(store),
    ]
    start = time.perf_counter()
    with open(os.devnull, "wb") as nowhere:
        child = subprocess.Popen([*command, "--quiet", *options], stdout=nowhere, stderr=nowhere)
        _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{command} ended with status {child.returncode}")
    wall = time.perf_counter() - start
    return wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def guarded(folder: Path, images: int, rounds: int) -> None:
    files = draw(folder, frequent_sizes(np.random.default_rng(0), images))
    taken: dict[str, list[tuple[float, float, float]]] = {"guarded": [], "--trusted": []}
    for turn in range(rounds + 1):
        for name, runs in taken.items():
            options = ["--trusted"] if name == "--trusted" else []
            run = evaluate(*files, "--metrics", "pixel", *options)
            if turn:
                runs.append(run)
    print(f"evaluate --metrics pixel on {images} maps of 40x40, {rounds} rounds by turns\n")
    print(heading("files", "wall, s", "processor, s", "wall, times --trusted"))
    walls = {name: [run[0] for run in runs] for name, runs in taken.items()}
    for name, runs in taken.items():
        work = both([run[1] for run in runs])
        times = ratio(walls[name], walls["--trusted"])
        print(row(name, both(walls[name]), work, times))


def worst_of(kind: str) -> Callable[[np.random.Generator], NDArray[np.generic]]:
    """The planes of one kind, drawn from a generator."""
    if kind == "zeros":
        return lambda rng: np.zeros((1, SIDE, SIDE), np.float32)
    if kind == "noise":
        return lambda rng: rng.integers(0, 256, (1, SIDE, SIDE), dtype=np.uint8)
    down = np.arange(SIDE, dtype=np.float32)
    ramp = ((down[:, None] + down) % 255 / 255).astype(np.float16)
    return lambda rng: ramp[None]


def worst(folder: Path, images: int) -> None:
    print(f"\ncostliest legal submissions, {images} photos of 500x375, {SIDE}x{SIDE} values each\n")
    print(heading("submission", "processor s/image", "peak, MiB", "file, MiB/image"))
    store, plain = draw(folder, [(375, 500)] * images, seed=1)
    base = evaluate(store, plain)
    ids = Dataset.open(store).image_ids
    for kind in ("zeros", "noise", "ramp"):
        for held in ("maps", "edges"):
            target = folder / f"{kind}-{held}.h5"
            make, rng = worst_of(kind), np.random.default_rng(0)
            with SubmissionWriter(target, HEADER) as writer:
                for name in ids:
                    writer.append([name], **{held: make(rng)})
            _, work, peak = evaluate(store, target)
            size = target.stat().st_size / images / (1 << 20)
            each = (work - base[1]) / images
            print(row(f"{held}, {kind}", f"{each:.2f}", f"{peak:.0f}", f"{size:.2f}"))
            target.unlink()


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Time guarded reading and the costliest files.")
    parser.add_argument("--images", type=int, default=44_271)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--worst", type=int, default=8)
    options = parser.parse_args(arguments)
    print(machine("numpy", "numba", "h5py"), "\n", sep="")
    with tempfile.TemporaryDirectory() as folder:
        guarded(Path(folder), options.images, options.rounds)
        worst(Path(folder), options.worst)


if __name__ == "__main__":
    main()
