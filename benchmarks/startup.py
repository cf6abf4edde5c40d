"""How long `wsolbench evaluate` takes to start: 100 images in a process of its own.

    python -m benchmarks.startup [--images 100] [--rounds 5] [--compiled 2]

Beside it stands a process that imports NumPy and h5py and does nothing. Kernels are compiled on the
first evaluation after an installation and kept on disk; that one evaluation is timed too, with an
empty folder for them. All by turns, but for the compiling, which comes last.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

import numpy as np

from .common import both, by_turns, draw, frequent_sizes, heading, machine, ratio, row

WSOLBENCH = [sys.executable, "-c", "from wsolbench.cli import main; main()"]
IMPORTS = [sys.executable, "-c", "import numpy, h5py"]


def run(command: list[str], kernels: str) -> None:
    """Run a command whose compiled kernels lie in a folder."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": kernels}
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)


def run_compiling(command: list[str]) -> None:
    with tempfile.TemporaryDirectory() as kernels:
        run(command, kernels)


def main() -> None:
    parser = argparse.ArgumentParser(description="Time the start of an evaluation.")
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--compiled", type=int, default=2, help="rounds with compiling")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as kernels:
        sizes = frequent_sizes(np.random.default_rng(0), options.images)
        store, maps = draw(Path(folder), sizes)
        command = [*WSOLBENCH, "evaluate", str(maps), "--annotations", str(store), "--quiet"]
        ways = {
            "`import numpy, h5py`": partial(run, IMPORTS, kernels),
            "`wsolbench --help`": partial(run, [*WSOLBENCH, "--help"], kernels),
            "`wsolbench evaluate`": partial(run, command, kernels),
        }
        times = by_turns(ways, options.rounds)
        compiling = {"the first one ever, compiling": partial(run_compiling, command)}
        times |= by_turns(compiling, options.compiled, warming=0) if options.compiled else {}
    print(machine("numpy", "numba", "h5py"))
    print(f"{options.images} images; s, median (fastest) of {options.rounds} rounds, ", end="")
    print(f"compiling {options.compiled}\n")
    print(heading("process", "s", "of the imports"))
    imports, *_ = times.values()
    for name, seconds in times.items():
        print(row(name, both(seconds), ratio(seconds, imports)))


if __name__ == "__main__":
    main()
