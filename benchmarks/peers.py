"""What else one would run to measure maps against masks, side by side on one core.

    python -m benchmarks.peers [--images 4] [--rounds 7] [--counts 25 100 400 1600 6400]
                               [--kinds smooth] [--write docs] [--beside "nothing else"]

Times are milliseconds of processor time an image of 500x375, the fastest of some rounds by turns in
one process; what takes more than a second an image runs once, on one image. First it is tested
whether the ways agree: on the same levels, which all are given at the image's size, and on the maps
as they are, where ways of resizing and cutting differ. The floors start at levels that are ready,
which are copied, counted once or labelled once; one of them also resizes the map.

Then time and memory against the number of images: each way in a fresh process that reads the two
files in batches and forms one score at the end. A way that took more than 10 s or 2 GB is not run
with more images.

`--write docs` puts the tables into docs/performance.md, between two comments, and draws
docs/pictures/peers.png. Where a package is missing its row says so:
pip install scikit-image scikit-learn torchmetrics; pip install --no-deps pysodmetrics
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from wsolbench import masks, trust_files
from wsolbench.data.dataset import Dataset
from wsolbench.evaluation.evaluator import Evaluator
from wsolbench.files import replacing
from wsolbench.formats.annotations import Annotation, AnnotationSet, write_store
from wsolbench.formats.submission.reader import Submission
from wsolbench.plots.palette import reduce_png

from . import kernels
from .common import BATCH, blob, by_turns, draw, heading, machine, row
from .kernels import HEIGHT, WIDTH
from .peer_ways import (
    BOXES,
    FEEDS,
    METRICS,
    PACKAGES,
    PIXELS,
    Map,
    Mask,
    Picture,
    agreement,
    floors,
    our_ways,
    peers,
)
from .scaling import elsewhere

KINDS = ("smooth", "rough", "noise 40x40", "noise 500x375")
MOST_A_PICTURE = 1  # second, for more than one run on one picture
MOST_SECONDS, MOST_MEGABYTES = 10, 2000  # of a run, for the same way to get more images
ENDS = "<!-- benchmarks.peers -->", "<!-- end of benchmarks.peers -->"
POOLS = ("OMP", "OPENBLAS", "MKL", "NUMBA")  # of threads
MISSING = "not installed"
COLOURS = {
    "floors": "#999999",
    "ours": "#0072B2",
    "others, one threshold": "#56B4E9",
    "others, pixels": "#E69F00",
    "others, boxes": "#D55E00",
    "wsolevaluation's loops": "#CC79A7",
}


class Timed(NamedTuple):
    """One way.

    Attributes:
        name: of its row.
        answers: what it gives.
        ours: our way to the same; nothing for ours and for floors.
        compared: what is compared with ours.
        agrees: how far it is from ours, on the same levels and on the maps as they are.
        ms: fastest and median by kind of map; None if it is not installed.
    """

    name: str
    answers: str
    ours: str
    compared: str
    agrees: tuple[str, str]
    ms: dict[str, tuple[float, float]] | None


class Grown(NamedTuple):
    """Seconds of processor time, MB at the peak, and MB before the first image."""

    images: int
    seconds: float
    peak: float
    before: float


Growth = Mapping[str, Sequence[Grown]]


# ------------------------------------------------------------------------------------------- times


def compare(images: int, rounds: int, kinds: Sequence[str]) -> tuple[list[Timed], list[Timed]]:
    """The ways and the floors, timed in this process."""
    cv2.setNumThreads(1)
    rng = np.random.default_rng(0)
    truth = [blob(rng, HEIGHT, WIDTH) for _ in range(images)]
    ids = [f"drawn_{place:04}" for place in range(images)]
    encoded = [masks.encode(mask) for mask in truth]
    drawn = {
        kind: [Picture(*own) for own in zip(ids, encoded, maps, strict=True)]
        for kind, maps in kernels.draw_maps(rng, images).items()
        if kind in kinds
    }
    # wsolevaluation's loops take half a minute on noise of the image's size.
    mixed, milder = (
        [drawn[own[place if place < len(own) else 0]][place] for place in range(images)]
        for own in (kinds, [kind for kind in kinds if kind != KINDS[-1]] or kinds)
    )
    annotations = [
        Annotation(image_id, "val", 0, own, np.array([masks.tight_box(mask)], dtype=np.int32))
        for image_id, own, mask in zip(ids, encoded, truth, strict=True)
    ]
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "drawn.h5"
        write_store(store, AnnotationSet("drawn", annotations, [("class", "class")]))
        data = Dataset.open(store)
        every = [*our_ways(data), *peers()]
        ways = {way.name: way.make() for way in every if not way.module or find_spec(way.module)}
        rows = {}
        for way in every:
            agrees = ("", "")
            if way.compared and way.name in ways:
                given = milder if way.compared == "score" else mixed
                agrees = agreement(way, ways[way.name], ways[way.ours], given)
            cells: dict[str, tuple[float, float]] | None = {} if way.name in ways else None
            rows[way.name] = Timed(way.name, way.answers, way.ours, way.compared, agrees, cells)
        least: dict[str, Timed] = {}
        for kind, pictures in drawn.items():
            below = floors(pictures)
            least = least or {name: Timed(name, "", "", "", ("", ""), {}) for name in below}
            timed = {name: partial(run, pictures) for name, run in ways.items()} | below
            found: dict[str, list[float]] = {}
            for name, run in ways.items():
                start = time.process_time()
                run(pictures[:1])
                if (taken := time.process_time() - start) > MOST_A_PICTURE:
                    found[name] = [taken * images]
                    del timed[name]
            found |= by_turns(timed, rounds, clock=time.process_time)
            for name, seconds in found.items():
                cells = (rows | least)[name].ms
                if cells is not None:
                    ms = [1e3 / images * each for each in seconds]
                    cells[kind] = min(ms), statistics.median(ms)
    return list(rows.values()), list(least.values())


# ------------------------------------------------------------------------------------------ growth


def megabytes(of: str) -> float:
    """Memory of this process: VmHWM, its peak, or VmRSS, what it has now."""
    status = Path("/proc/self/status")
    if status.exists():
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(lines[of].split()[0]) * 1024 / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024) / 1e6


def read_all(data: Dataset, submission: Submission) -> Iterator[tuple[Mask, Map]]:
    for start in range(0, len(data), BATCH):
        places = range(start, min(start + BATCH, len(data)))
        for place, map_ in zip(places, submission.read(places), strict=True):
            yield data[place].mask, map_


def score(name: str, store: Path, maps: Path, limit: int | None) -> None:
    """One score of the first images, or of all."""
    data, submission = Dataset.open(store), Submission.open(maps)
    data = data if limit is None else data.first(limit)
    if name in FEEDS:
        FEEDS[name][1]()(read_all(data, submission))
    else:
        evaluator = Evaluator(data, "sem", METRICS[name], header=submission.header)
        evaluator.score(submission, jobs=1)
        evaluator.result()


def grow(name: str, store: Path, maps: Path) -> Grown:
    """What one way costs in this process, after one image for its imports and compiled loops."""
    trust_files()  # no other process reads for this one
    cv2.setNumThreads(1)
    score(name, store, maps, 1)
    before, start = megabytes("VmRSS"), time.process_time()
    score(name, store, maps, None)
    seconds = time.process_time() - start
    return Grown(len(Dataset.open(store)), seconds, megabytes("VmHWM"), before)


def grow_all(counts: Sequence[int]) -> dict[str, list[Grown]]:
    """Ways that take any number of images, until they take too long or too much."""
    found: dict[str, list[Grown]] = {PIXELS: [], BOXES: []}
    found |= {name: [] for name, (module, _) in FEEDS.items() if find_spec(module)}
    for count in counts:
        with tempfile.TemporaryDirectory() as folder:
            store, maps = elsewhere(draw, Path(folder), [(HEIGHT, WIDTH)] * count)
            for name, runs in found.items():
                last = runs[-1] if runs else Grown(0, 0, 0, 0)
                if last.seconds <= MOST_SECONDS and last.peak <= MOST_MEGABYTES:
                    runs.append(elsewhere(grow, name, store, maps))
    return {name: runs for name, runs in found.items() if runs}


# ------------------------------------------------------------------------------------------- words


def figure(number: float) -> str:
    """Three figures or so, as 0.231, 4.87, 12.3 or 1,216."""
    digits = 0 if number >= 100 else 1 if number >= 10 else 2 if number >= 0.5 else 3
    return f"{number:,.{digits}f}"


def tables(ways: Sequence[Timed], least: Sequence[Timed], growth: Growth) -> str:
    """The tables in Markdown."""
    kinds = list(least[0].ms or {})
    fastest = {way.name: {kind: own[0] for kind, own in (way.ms or {}).items()} for way in ways}
    titles = "a user runs", "it gives", *kinds, f"times ours, {kinds[0]}"
    lines = [f"{row(*titles)}\n|---|---|{'---:|' * (len(kinds) + 1)}"]
    for way in ways:
        own = fastest[way.name]
        cells = [figure(own[kind]) if own else MISSING for kind in kinds]
        times = figure(own[kinds[0]] / fastest[way.ours][kinds[0]]) if own and way.ours else ""
        name = way.name if way.ours else f"**{way.name}**"
        lines.append(row(name, way.answers, *cells, times))
    ends = list(dict.fromkeys((kinds[0], kinds[-1])))
    title = f"Floors in ms, and how many times as long ours take on {' and '.join(ends)}:"
    lines += ["", f"{title}\n"]
    titles = "floor", *kinds, *(f"{own.split(': ')[1]}" for own in (PIXELS, BOXES))
    lines.append(f"{row(*titles)}\n|---|{'---:|' * (len(kinds) + 2)}")
    for floor in least:
        below = {kind: own[0] for kind, own in (floor.ms or {}).items()}
        distances = [
            " and ".join(f"{figure(fastest[own][kind] / below[kind])}" for kind in ends)
            for own in (PIXELS, BOXES)
        ]
        lines.append(row(floor.name, *(figure(below[kind]) for kind in kinds), *distances))
    lines += ["", "How far results are from ours, all kinds of maps together:\n"]
    lines.append(heading("a user runs", "compared", "on the same levels", "on the maps"))
    lines += [
        row(way.name, way.compared, *(way.agrees if way.ms else (MISSING, MISSING)))
        for way in ways
        if way.ours
    ]
    counts = sorted({run.images for runs in growth.values() for run in runs})
    if counts:
        lines += ["", "Processor time and peak memory by number of images:\n"]
        titles = "in a fresh process", "before", *(f"{count:,}" for count in counts)
        lines.append(f"{row(*titles)}\n|---|{'---:|' * (len(counts) + 1)}")
    for name, runs in growth.items():
        cells = [f"{figure(run.seconds)} s, {run.peak:,.0f} MB" for run in runs]
        cells += [""] * (len(counts) - len(runs))
        lines.append(row(name, f"{runs[0].before:,.0f} MB", *cells))
    return "\n".join(lines)


def put(page: str, text: str) -> str:
    """The page with another text between its two comments."""
    before, _, rest = page.partition(ENDS[0])
    after = rest.partition(ENDS[1])[2]
    if not after:
        raise SystemExit(f"no {ENDS[0]} and {ENDS[1]} in the page")
    return f"{before}{ENDS[0]}\n\n{text}\n\n{ENDS[1]}{after}"


def kind_of(way: Timed) -> str:
    """A key of `COLOURS`."""
    if not way.ours:
        return "ours" if way.answers else "floors"
    others = {
        "IoU and box": "others, one threshold",
        "boxes": "others, boxes",
        "score": "wsolevaluation's loops",
    }
    return others.get(way.compared, "others, pixels")


def save_plot(path: Path, ways: Sequence[Timed], least: Sequence[Timed], growth: Growth) -> None:
    """Times on the first kind of maps as bars; time and memory against the number of images."""
    from wsolbench import plots
    from wsolbench.plots.style import look

    kind = next(iter(least[0].ms or {}))
    counts = sorted({run.images for runs in growth.values() for run in runs})
    bars = sorted(
        (
            (own.ms[kind][0], own.name.replace("`", ""), kind_of(own))
            for own in (*least, *ways)
            if own.ms
        ),
        reverse=True,
    )
    with plots.picture(path, 2, 2, (7.2, 7.6), heights=(2, 1)) as axes:
        wide, spare = axes[0]
        wide.set_subplotspec(wide.get_gridspec()[0, :])
        spare.remove()
        wide.barh(
            range(len(bars)), [ms for ms, *_ in bars], color=[COLOURS[own] for *_, own in bars]
        )
        wide.set_yticks(range(len(bars)), [name for _, name, _ in bars], fontsize=8)
        for place, (ms, *_) in enumerate(bars):
            wide.annotate(
                figure(ms), (ms, place), (3, 0), textcoords="offset points", va="center", fontsize=7
            )
        wide.set(
            xscale="log", xlabel=f"ms of processor time per image of {WIDTH}x{HEIGHT}, {kind} maps"
        )
        wide.xaxis.set_major_formatter("{x:g}")
        wide.grid(axis="y", visible=False)
        wide.set_axisbelow(True)
        wide.margins(x=0.08, y=0.01)
        seen = [own for own in COLOURS if own in {own for *_, own in bars}]
        handles = [wide.bar(0, 0, color=COLOURS[own]) for own in seen]
        wide.legend(handles, seen, loc="upper right")
        for ax, place, unit in zip(
            axes[1], (1, 2), ("s of processor time", "MB at the peak"), strict=True
        ):
            for number, (name, runs) in enumerate(growth.items()):
                ax.plot(
                    [run.images for run in runs],
                    [run[place] for run in runs],
                    color=look(number).colour,
                    linestyle=look(number).dashes,
                    marker="o",
                    markersize=3,
                    label=name,
                )
            ax.set(xlabel="images", ylabel=unit, xscale="log", yscale="log")
            ax.set_xticks(counts)
            ax.xaxis.set_major_formatter("{x:,.0f}")
            ax.yaxis.set_major_formatter("{x:,g}")
            ax.minorticks_off()
        if counts:
            axes[1, 1].set_yticks([50, 100, 200, 500, 1000, 2000, 5000])
            wide.figure.legend(
                *axes[1, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3
            )


def write(
    folder: Path, text: str, ways: Sequence[Timed], least: Sequence[Timed], growth: Growth
) -> None:
    """Put the tables into the page of performance, and the picture beside."""
    page, picture = folder / "performance.md", folder / "pictures" / "peers.png"
    whole = put(page.read_text(), text)
    save_plot(picture, ways, least, growth)
    reduce_png(picture)
    with replacing(page) as temporary:
        temporary.write_text(whole)


def main() -> None:
    parser = argparse.ArgumentParser(description="Time what else measures maps against masks.")
    parser.add_argument("--images", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--counts", type=int, nargs="*", default=[25, 100, 400, 1600, 6400])
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS, help="of maps")
    parser.add_argument("--write", type=Path, help="folder of performance.md and pictures/")
    parser.add_argument("--beside", default="unknown", help="what else the machine does, in words")
    options = parser.parse_args()
    installed = [name for module, name in PACKAGES.items() if find_spec(module)]
    words = machine("numpy", "numba", "opencv-python-headless", *installed)
    # Processes that start from here on have one core and one thread in each pool.
    os.environ |= {f"{pool}_NUM_THREADS": "1" for pool in POOLS}
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    ways, least = elsewhere(compare, options.images, options.rounds, options.kinds)
    growth = grow_all(options.counts)
    text = (
        f"{words}. {options.images} images of each kind, the fastest of {options.rounds} rounds, "
        f"or one run of one image where it takes over {MOST_A_PICTURE} s; "
        f"running beside: {options.beside}.\n\n{tables(ways, least, growth)}"
    )
    print(text)
    if options.write:
        write(options.write, text, ways, least, growth)


if __name__ == "__main__":
    main()
