"""Peak memory and speed of `SubmissionWriter` and `Submission`, for more and more maps.

    python -m benchmarks.writer_memory [--side 40] [--counts 1000 20000] [--dtype uint8]

Each count runs in a process of its own, which prints its peak resident memory. The peak must not
grow with the number of maps, only with their ids (some 200 bytes each).
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from wsolbench.formats.submission.reader import Submission, SubmissionHeader, SubmissionWriter

BATCH = 64


def measure(count: int, side: int, dtype: str) -> None:
    rng = np.random.default_rng(0)
    header = SubmissionHeader("toys", "val", "gt", "none", {"name": "noise"})
    smooth = np.linspace(0, 1, side * side).reshape(side, side)
    top5 = np.tile(np.arange(5), (BATCH, 1))
    scale = 255 if dtype == "uint8" else 1
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "s.h5"
        spent = 0.0
        begin = time.perf_counter()
        with SubmissionWriter(path, header) as writer:
            for first in range(0, count, BATCH):
                size = min(BATCH, count - first)
                maps = (rng.random((size, 1, 1)) * smooth * scale).astype(dtype)
                ids = [f"image_{row:08d}" for row in range(first, first + size)]
                start = time.perf_counter()
                writer.append(ids, maps, top5=top5[:size])
                spent += time.perf_counter() - start
            start = time.perf_counter()
        converting = time.perf_counter() - start
        peak_writing = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
        start = time.perf_counter()
        submission = Submission.open(path)
        opening = time.perf_counter() - start
        start = time.perf_counter()
        for first in range(0, count, BATCH):
            submission.read(range(first, min(first + BATCH, count)))
        in_order = time.perf_counter() - start
        order = np.random.default_rng(1).permutation(count)
        start = time.perf_counter()
        for first in range(0, count, BATCH):
            submission.read(order[first : first + BATCH].tolist())
        at_random = time.perf_counter() - start
        size_mb = path.stat().st_size / 1e6
    print(
        f"{count:>8} maps {side}x{side} {dtype}: {size_mb:.1f} MB, "
        f"peak {peak_writing} MiB writing; "
        f"append {count / spent:,.0f} maps/s, convert {count / converting:,.0f} maps/s; "
        f"open {opening * 1e3:.0f} ms, read {count / in_order:,.0f} maps/s in order, "
        f"{count / at_random:,.0f} at random ({time.perf_counter() - begin:.1f} s in all)"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Peak memory of writing a submission.")
    parser.add_argument("--side", type=int, default=40)
    parser.add_argument("--dtype", default="uint8")
    parser.add_argument("--counts", type=int, nargs="+", default=[1000, 20_000])
    parser.add_argument("--here", action="store_true", help="measure in this process")
    arguments = parser.parse_args()
    for count in arguments.counts:
        if arguments.here:
            measure(count, arguments.side, arguments.dtype)
            continue
        command = [sys.executable, __file__, "--here", "--counts", str(count)]
        command += ["--side", str(arguments.side), "--dtype", arguments.dtype]
        subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
