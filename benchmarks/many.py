"""Many submissions together (`evaluate --many`) against one command for each.

    python -m benchmarks.many [--submissions 50] [--images 500] [--rounds 3] [--processor]

Submissions of smooth 40x40 maps, each with other maps, on masks at sizes of real photos. Both ways
are the command line in fresh processes, in turns; results must be the same bytes. The marginal cost
of a submission is what the list takes beyond a list of one, for each further submission. With
--processor, times are processor time of these processes, which other programs disturb less.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from time import perf_counter

import numpy as np

from wsolbench.formats.submission.reader import Submission, SubmissionWriter

from .common import BATCH, both, by_turns, draw, frequent_sizes, heading, machine, row, smooth_maps

COMMAND = [sys.executable, "-c", "from wsolbench.cli import main; main()", "evaluate", "--quiet"]
WAYS = {
    "sem, pixel and box": ["--metrics", "pixel,box"],
    "sem, pixel": ["--metrics", "pixel"],
    "wsoleval-pxap, pixel": ["--protocol", "wsoleval-pxap"],
}


def write_others(first: Path, count: int) -> list[Path]:
    """As many submissions as `count`, the first among them, of the same images."""
    paths = [first]
    with Submission.open(first) as whole:
        for seed in range(1, count):
            pool = smooth_maps(np.random.default_rng(seed), 64)
            paths.append(first.with_name(f"maps_{seed}.h5"))
            with SubmissionWriter(paths[-1], whole.header) as writer:
                for start in range(0, len(whole), BATCH):
                    ids = whole.image_ids[start : start + BATCH]
                    maps = pool[np.arange(start, start + len(ids)) % len(pool)]
                    writer.append(
                        ids, maps, None if whole.top5 is None else whole.top5[start : start + BATCH]
                    )
    return paths


def alone(store: Path, paths: Sequence[Path], out: Path, options: Sequence[str]) -> None:
    for path in paths:
        target = out / f"{path.stem}.json"
        told = [*COMMAND, str(path), "--annotations", str(store), "--out", str(target), *options]
        subprocess.run(told, check=True, stdout=subprocess.DEVNULL)


def together(store: Path, paths: Sequence[Path], out: Path, options: Sequence[str]) -> None:
    listed = out / "list.txt"
    listed.write_text("".join(f"{path}\n" for path in paths))
    for path in paths:  # a result that is there would stay
        (out / f"{path.stem}.json").unlink(missing_ok=True)
    told = [*COMMAND, "--many", str(listed), "--annotations", str(store), "--out", str(out)]
    subprocess.run([*told, *options], check=True, stdout=subprocess.DEVNULL)


def spent() -> float:
    """Seconds of processor time that finished child processes took."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description="Time many submissions together and alone.")
    parser.add_argument("--submissions", type=int, default=50)
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--processor", action="store_true", help="take processor time")
    options = parser.parse_args()
    clock, unit = (spent, "s of processor time") if options.processor else (perf_counter, "s")
    print(machine("numpy", "numba"))
    print(f"{options.submissions} submissions of {options.images} images, {unit}: ", end="")
    print(f"median (fastest) of {options.rounds} rounds by turns\n")
    print(heading("scores", "alone", "together", "ratio", "each further one"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sizes = frequent_sizes(np.random.default_rng(0), options.images)
        store, first = draw(folder, sizes)
        paths = write_others(first, options.submissions)
        outs = [folder / part for part in ("alone", "together", "one")]
        for out in outs:
            out.mkdir()
        for title, asked in WAYS.items():
            ways = {
                "alone": partial(alone, store, paths, outs[0], asked),
                "together": partial(together, store, paths, outs[1], asked),
                "one": partial(together, store, paths[:1], outs[2], asked),
            }
            times = by_turns(ways, options.rounds, warming=0, clock=clock)
            for path in paths:
                texts = {(out / f"{path.stem}.json").read_bytes() for out in outs[:2]}
                if len(texts) > 1:
                    raise SystemExit(f"the results of {path.name} differ")
            medians = {way: float(np.median(taken)) for way, taken in times.items()}
            further = (medians["together"] - medians["one"]) / max(1, len(paths) - 1)
            told = [both(times[way]) for way in ("alone", "together")]
            share = f"{medians['together'] / medians['alone']:.2f}"
            print(row(title, *told, share, f"{further:.2f}"), flush=True)
    print("\nall results the same bytes")


if __name__ == "__main__":
    main()
