"""What a second core gives: `evaluate` with one thread, two threads, and two processes.

    python -m benchmarks.jobs [--images 2000] [--rounds 5]

Each process scores every other block of images with an `Evaluator` of its own, and the two are
merged; processes are started beforehand, so that theirs is the time of the work alone. All results
must be the same bytes.
"""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

from wsolbench.data.dataset import Dataset
from wsolbench.evaluation.evaluator import Evaluator
from wsolbench.evaluation.run import evaluate
from wsolbench.formats.result import Result
from wsolbench.formats.submission.reader import Submission

from .common import both, by_turns, draw, frequent_sizes, heading, machine, ratio, row

BLOCK = 128
PROCESSES = 2


def score_part(store: Path, maps: Path, metrics: Sequence[str], part: int) -> Evaluator:
    """Every other block, from the given one on."""
    submission = Submission.open(maps)
    evaluator = Evaluator(Dataset.open(store), metrics=metrics, header=submission.header)
    for start in range(part * BLOCK, len(submission), PROCESSES * BLOCK):
        rows = range(start, min(start + BLOCK, len(submission)))
        ids = [submission.image_ids[place] for place in rows]
        top5 = None if submission.top5 is None else submission.top5[rows.start : rows.stop]
        windows = None if submission.windows is None else submission.windows[rows.start : rows.stop]
        evaluator.update(ids, submission.read(rows), top5, windows=windows)
    return evaluator


def in_processes(
    pool: ProcessPoolExecutor, store: Path, maps: Path, metrics: Sequence[str]
) -> Result:
    score = partial(score_part, store, maps, metrics)
    whole, *others = pool.map(score, range(PROCESSES))
    for other in others:
        whole.merge(other)
    return whole.result(submission_sha256=Submission.open(maps).sha256)


def in_threads(jobs: int, store: Path, maps: Path, metrics: Sequence[str]) -> Result:
    return evaluate(Dataset.open(store), maps, metrics=metrics, jobs=jobs)


def main() -> None:
    parser = argparse.ArgumentParser(description="Time threads and processes.")
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    spawn = multiprocessing.get_context("spawn")
    print(machine("numpy", "numba"))
    print(f"s for {options.images} images, median (fastest) of {options.rounds} rounds by turns\n")
    print(heading("metrics", "1 thread", "2 threads", "2 processes", "ratios"))
    with (
        tempfile.TemporaryDirectory() as folder,
        ProcessPoolExecutor(PROCESSES, mp_context=spawn) as pool,
    ):
        files = draw(Path(folder), frequent_sizes(np.random.default_rng(0), options.images))
        for metrics in (["pixel"], ["pixel", "box"]):
            ways = {
                "1 thread": partial(in_threads, 1, *files, metrics),
                "2 threads": partial(in_threads, 2, *files, metrics),
                "2 processes": partial(in_processes, pool, *files, metrics),
            }
            told = {name: way().to_json() for name, way in ways.items()}
            if len(set(told.values())) > 1:
                raise SystemExit("the results differ")
            times = by_turns(ways, options.rounds)
            gains = [ratio(times["1 thread"], times[name]) for name in list(ways)[1:]]
            cells = [both(times[name]) for name in ways]
            print(row("`" + ",".join(metrics) + "`", *cells, ", ".join(gains)), flush=True)
    print("\nall results the same bytes")


if __name__ == "__main__":
    main()
