"""What `wsolbench evaluate` costs before it scores: 100 images in a process of its own.

    python -m benchmarks.startup [--images 100] [--rounds 5] [--compiled 2] [--built]

Beside it stands a process that imports NumPy and h5py and does nothing, and the same evaluation
with its loops compiled by numba, which are kept on disk. The first evaluation ever is timed too: of
the extension with no bytecode kept, of numba with an empty folder for compiled loops. All by turns,
but for compiling, which comes last.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

import numpy as np

from wsolbench.metrics.compiled import uses_extension

from .common import both, by_turns, draw, frequent_sizes, heading, machine, ratio, row

WSOLBENCH = [sys.executable, "-c", "from wsolbench.cli import main; main()"]
IMPORTS = [sys.executable, "-c", "import numpy, h5py"]


def processor() -> float:
    """Seconds that all processes started so far spent on the processor."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def run(command: list[str], kept: str, loops: str = "") -> None:
    """Run a command whose bytecode and compiled loops lie in a folder."""
    environment = {
        **os.environ,
        "NUMBA_CACHE_DIR": kept,
        "PYTHONPYCACHEPREFIX": kept,
        "PYTHONDONTWRITEBYTECODE": "",
        "WSOLBENCH_KERNELS": loops,
    }
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)


def run_first(command: list[str], loops: str = "") -> None:
    with tempfile.TemporaryDirectory() as kept:
        run(command, kept, loops)


def main() -> None:
    parser = argparse.ArgumentParser(description="Time the start of an evaluation.")
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--compiled", type=int, default=2, help="rounds of first evaluations")
    parser.add_argument("--built", action="store_true", help="leave numba out")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as kept:
        sizes = frequent_sizes(np.random.default_rng(0), options.images)
        store, maps = draw(Path(folder), sizes)
        command = [*WSOLBENCH, "evaluate", str(maps), "--annotations", str(store), "--quiet"]
        ways = {
            "`import numpy, h5py`": partial(run, IMPORTS, kept),
            "`wsolbench --help`": partial(run, [*WSOLBENCH, "--help"], kept),
        }
        if options.built or uses_extension():
            ways["`wsolbench evaluate`"] = partial(run, command, kept)
        numba = "`wsolbench evaluate` by numba"
        if not options.built:
            ways[numba] = partial(run, command, kept, "numba")
        times = by_turns(ways, options.rounds, clock=processor)
        first = {} if options.built else {numba: partial(run_first, command, "numba")}
        if uses_extension():
            first = {"`wsolbench evaluate`": partial(run_first, command), **first}
        first = {f"{name}, the first ever": way for name, way in first.items()}
        if options.compiled:
            times |= by_turns(first, options.compiled, warming=0, clock=processor)
    print(machine("numpy", "numba", "h5py"))
    print(f"{options.images} images; s of processor time, median (fastest) of ", end="")
    print(f"{options.rounds} rounds, first evaluations {options.compiled}\n")
    print(heading("process", "s", "of the imports"))
    imports, *_ = times.values()
    for name, seconds in times.items():
        print(row(name, both(seconds), ratio(seconds, imports)))


if __name__ == "__main__":
    main()
