"""What intervals cost: 1,000 resamples of every score, against a plain loop; and those of groups.

    python -m benchmarks.bootstrap [--images 23151] [--resamples 1000] [--plain 5] [--rounds 3]
        [--groups 50]

The plain loop draws image ids, adds up what each of them contributes (known before), and scores the
sums. It runs for few resamples and is compared by time a resample. Both ways draw the same images:
the intervals over the few must be equal to the last bit. Images are a tenth as wide and high as
ILSVRC's, so that scoring them first is quick; what is kept of each, and the cost of a resample, do
not depend on it.

Groups are the first classes. The way that forms every sum and every curve of each is what wsolbench
did first; it must give the same intervals to the last bit.

All times are of the processor, on all cores together. Memory is what each way adds to what is kept,
at its peak, in a run of its own.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wsolbench.data.dataset import Dataset
from wsolbench.evaluation.comparison import compare
from wsolbench.evaluation.counts import Counts, read_counts, write_counts
from wsolbench.evaluation.evaluator import Evaluator
from wsolbench.evaluation.groups import Draws, Members, group_images, scored_groups
from wsolbench.evaluation.statistics import part
from wsolbench.formats.result import Bootstrap, Threshold
from wsolbench.formats.submission.reader import Submission
from wsolbench.metrics.bootstrap import draw_weights, percentile_interval
from wsolbench.scores import SCORES, level_key

from .common import both, by_turns, draw, frequent_sizes, heading, machine, ratio, row


def columns_of(counts: Counts) -> dict[str, NDArray[np.int64]]:
    """What each image adds to each sum, all images at once."""
    return counts.scoring.columns(counts.kept)


def plain_loop(
    counts: Counts, columns: Mapping[str, NDArray[np.int64]], bootstrap: Bootstrap
) -> dict[str, list[float]]:
    """Intervals by adding up the images of each resample anew."""
    rng = np.random.default_rng(bootstrap.seed)
    images = len(counts.image_ids)
    scored: dict[str, list[float]] = {}
    for _ in range(bootstrap.resamples):
        drawn = rng.integers(images, size=images)
        sums = {name: column[drawn].sum(axis=0) for name, column in columns.items()}
        for key, score in counts.scoring.scored(sums, Threshold("max"))[0].items():
            scored.setdefault(key, []).append(score)
    return {
        key: list(percentile_interval(values, bootstrap.level)) for key, values in scored.items()
    }


def full_groups(counts: Counts, members: Members, draws: Draws) -> list[dict[str, list[float]]]:
    """Intervals of groups from all of their sums and curves."""
    intervals = []
    for _, places in members:
        weights = draws.weights[:, places]
        there = weights.any(axis=1)
        columns = counts.scoring.columns(part(counts.kept, places))
        drawn = weights[there].astype(np.float64)
        sums = {
            name: (drawn @ own.reshape(len(own), -1).astype(np.float64))
            .astype(np.int64)
            .reshape(-1, *own.shape[1:])
            for name, own in columns.items()
        }
        scored, _ = counts.scoring.scores(sums, draws.pixel[there], draws.box[there])
        intervals.append(
            {
                key: list(percentile_interval(values, draws.level))
                for key, values in scored.items()
                if SCORES[key].grouped and len(places) > 1
            }
        )
    return intervals


def group_times(counts: Counts, dataset: Dataset, options: argparse.Namespace) -> str:
    """What intervals of groups cost in both ways, in words."""
    members = group_images(dataset, "class")[: options.groups]
    weights = draw_weights(len(dataset), options.resamples, np.random.default_rng(0))
    drawn = counts.scoring.resampled(counts.kept, weights, Threshold("max"))
    pixel, box = (drawn[level_key(family)] for family in ("pixel", "box"))
    draws = Draws(weights, pixel, box, 0.95)
    ways: dict[str, Callable[[], list[dict[str, list[float]]]]] = {
        "all sums": lambda: full_groups(counts, members, draws),
        "ours": lambda: [
            {key: [*ends] for key, ends in group.intervals.items()}
            for group in scored_groups(counts.scoring, counts.kept, members, (0, 0), draws)
        ],
    }
    if ways["all sums"]() != ways["ours"]():
        raise SystemExit("the intervals of groups differ")
    times = by_turns(ways, options.rounds, clock=time.process_time)
    each = {name: both(own, 1e3 / len(members), 1) for name, own in times.items()}
    return (
        f"{len(members)} groups, {np.mean([len(own) for _, own in members]):.1f} images each: "
        f"{each['all sums']} ms a group by all sums and curves, {each['ours']} ours, "
        f"ratio {ratio(times['all sums'], times['ours'])}"
    )


def kept_times(counts: Counts, path: Path, resamples: int) -> str:
    """What a counts file costs, and a comparison of two, in words."""
    ways: dict[str, Callable[[], object]] = {
        "written in": lambda: write_counts(path, counts),
        "read and added up in": lambda: read_counts(path, counts.result),
        "two compared in": lambda: compare([counts, counts], Bootstrap(resamples)),
    }
    told = []
    for name, way in ways.items():
        start = time.process_time()
        way()
        told.append(f"{name} {time.process_time() - start:.2f} s")
    return f"counts file: {path.stat().st_size / 1e6:.1f} MB, {', '.join(told)}"


def peak_memory(way: Callable[[], object]) -> float:
    """MB that a call allocates at its peak."""
    tracemalloc.start()
    way()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description="Time intervals.")
    parser.add_argument("--images", type=int, default=23151)
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--plain", type=int, default=5, help="resamples of the plain loop")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--groups", type=int, default=50)
    options = parser.parse_args()
    sizes = frequent_sizes(np.random.default_rng(0), options.images)
    with tempfile.TemporaryDirectory() as folder:
        store, maps = draw(Path(folder), [(height // 10, width // 10) for height, width in sizes])
        submission = Submission.open(maps)
        dataset = Dataset.open(store)
        evaluator = Evaluator(dataset, header=submission.header, keep_images=True)
        evaluator.score(submission)
        few, many = Bootstrap(options.plain), Bootstrap(options.resamples)
        counts = evaluator.counts(evaluator.result())
        columns = columns_of(counts)
        if plain_loop(counts, columns, few) != evaluator.result(bootstrap=few).intervals:
            raise SystemExit("the intervals differ")
        ways: dict[str, Callable[[], object]] = {
            "plain loop": lambda: plain_loop(counts, columns, few),
            "ours": lambda: evaluator.result(bootstrap=many),
        }
        times = by_turns(ways, options.rounds, clock=time.process_time)
        memory = {
            "plain loop": peak_memory(lambda: plain_loop(counts, columns_of(counts), few)),
            "ours": peak_memory(ways["ours"]),
        }
        scores = len(counts.result.scores)
        files = kept_times(counts, Path(folder) / "r.counts.npz", options.resamples)
        groups = group_times(counts, dataset, options)
        kept = sum(array.nbytes for array in (evaluator._kept or {}).values())

    each = {
        "plain loop": [seconds / options.plain for seconds in times["plain loop"]],
        "ours": [seconds / options.resamples for seconds in times["ours"]],
    }
    print(machine("numpy"))
    print(
        f"{options.images} images, {scores} scores; median (fastest) of {options.rounds} rounds\n"
    )
    print(heading("way", "resamples", "s", "ms a resample", "memory, MB"))
    for name, count in (("plain loop", options.plain), ("ours", options.resamples)):
        print(row(name, count, both(times[name]), both(each[name], 1e3), f"{memory[name]:.0f}"))
    print(f"\nratio {ratio(each['plain loop'], each['ours'])}; ", end="")
    print(f"{kept / options.images:,.0f} bytes kept an image; the same intervals, bit for bit")
    print(groups)
    print(files)


if __name__ == "__main__":
    main()
