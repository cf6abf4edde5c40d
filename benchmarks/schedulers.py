"""What an engine costs: `evaluate --jobs 2` beside two workers of Dask's distributed and of Ray.

    python -m benchmarks.schedulers [--images 6000] [--rounds 5] [--shards 8] [--metrics pixel,box]

Engines are started beforehand, with two workers of one thread each; what that takes stands beside.
Each way scores the same shards into an empty folder and merges them; all results must be the same
bytes. Processor time counts this process and the workers, and depends less on what else runs on the
machine. Dask is measured twice: as it is, where its nanny sets MALLOC_TRIM_THRESHOLD_, and without
that. An engine that is not installed is left out. At the end of the rounds, each engine scores the
shards once more while one of its workers is killed by SIGKILL.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from wsolbench.evaluation.run import Request, outcome, run
from wsolbench.evaluation.shards import Shard, merged, write_shard

from .common import both, by_turns, draw, frequent_sizes, heading, machine, row

WORKERS = 2
Score = Callable[[Request, Path, int], object]
"""Scores so many shards of a request into a folder."""

_Started = tuple[Score, list[int]]


def score(request: Request, folder: Path, count: int, index: int) -> None:
    """One task: what a worker does."""
    write_shard(request, Shard(index, count), folder)


def processor_seconds(pids: Sequence[int]) -> float:
    """Seconds of processor time that some processes have used."""
    fields = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in pids]
    return sum(int(own[11]) + int(own[12]) for own in fields) / os.sysconf("SC_CLK_TCK")


def _pid(*_: object) -> int:
    time.sleep(0.2)
    return os.getpid()


@contextmanager
def dask(as_it_is: bool) -> Iterator[_Started]:
    """Two workers of Dask, and their process ids."""
    import dask.config
    from distributed import Client

    environ = dask.config.get("distributed.nanny.pre-spawn-environ") if as_it_is else {}
    with (
        dask.config.set({"distributed.nanny.pre-spawn-environ": environ}),
        Client(n_workers=WORKERS, threads_per_worker=1, dashboard_address=":0") as client,
    ):

        def of(request: Request, folder: Path, count: int) -> object:
            task = partial(score, request, folder, count)
            return client.gather(client.map(task, range(1, count + 1), pure=False, retries=3))

        yield of, [*client.run(os.getpid).values()]


@contextmanager
def ray() -> Iterator[_Started]:
    """Two workers of Ray, and their process ids."""
    import ray as engine

    engine.init(
        num_cpus=WORKERS,
        include_dashboard=False,
        log_to_driver=False,
        object_store_memory=80 << 20,
    )
    task, who = engine.remote(score), engine.remote(_pid)

    def of(request: Request, folder: Path, count: int) -> object:
        return engine.get([task.remote(request, folder, count, n + 1) for n in range(count)])

    try:
        yield of, sorted(set(engine.get([who.remote(n) for n in range(2 * WORKERS)])))
    finally:
        engine.shutdown()


def result(request: Request, count: int, of: Score) -> str:
    """The JSON of the shards' sum."""
    with tempfile.TemporaryDirectory() as folder:
        of(request, Path(folder), count)
        found = merged([folder], request.annotations)  # type: ignore[arg-type]
        told = outcome(found.evaluators, found.submission_sha256)
    return told.results[0].to_json()


def killed(request: Request, count: int, of: Score, pid: int, after: float) -> tuple[str, float]:
    """The same while a worker is killed, and seconds."""
    timer = threading.Timer(after, os.kill, (pid, signal.SIGKILL))
    timer.start()
    start = time.perf_counter()
    told, seconds = result(request, count, of), time.perf_counter() - start
    timer.join()
    return told, seconds


def ratio(other: Sequence[float], ours: Sequence[float]) -> str:
    """How many times as much the other way took, of medians."""
    return f"{statistics.median(other) / statistics.median(ours):.2f}"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Time engines that spread work.")
    parser.add_argument("--images", type=int, default=6000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--shards", type=int, default=8)
    parser.add_argument("--metrics", default="pixel,box")
    parser.add_argument("--after", type=float, default=1.0, help="seconds to the kill")
    options = parser.parse_args(arguments)
    engines: dict[str, tuple[str, Callable[[], AbstractContextManager[_Started]]]] = {
        "Dask as it is": ("distributed", partial(dask, True)),
        "Dask, allocator as usual": ("distributed", partial(dask, False)),
        "Ray": ("ray", ray),
    }
    there = {name: start for name, (package, start) in engines.items() if find_spec(package)}
    packages = {package for package, _ in engines.values() if find_spec(package)}
    print(machine("numpy", "numba", *sorted(packages)))
    print(f"s for {options.images} images, median (fastest) of {options.rounds} rounds by turns\n")
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        sizes = frequent_sizes(np.random.default_rng(0), options.images)
        store, maps = draw(Path(folder), sizes)
        request = Request(maps, store, metrics=options.metrics.split(","), jobs=1)
        two = Request(maps, store, metrics=options.metrics.split(","), jobs=2)
        ways: dict[str, Callable[[], str]] = {"--jobs 2": lambda: run(two).results[0].to_json()}
        started, running = {}, {}
        for name, start in there.items():
            before = time.perf_counter()
            running[name] = stack.enter_context(start())
            started[name] = time.perf_counter() - before
            ways[name] = partial(result, request, options.shards, running[name][0])
        told = {name: way() for name, way in ways.items()}
        if len(set(told.values())) > 1:
            raise SystemExit("the results differ")
        pids = [os.getpid(), *(pid for _, own in running.values() for pid in own)]
        worked: dict[str, list[float]] = {name: [] for name in ways}

        def counted(name: str, way: Callable[[], str]) -> None:
            before = processor_seconds(pids)
            way()
            worked[name].append(processor_seconds(pids) - before)

        times = by_turns(
            {name: partial(counted, name, way) for name, way in ways.items()}, options.rounds
        )
        worked = {name: own[-options.rounds :] for name, own in worked.items()}
        columns = ("way", "s", "processor s", "times --jobs 2, of both")
        print(heading(*columns, "s to start", "s with a worker killed"))
        for name in ways:
            cells = [both(worked[name])]
            first = "--jobs 2"
            cells.append(
                f"{ratio(times[name], times[first])}, {ratio(worked[name], worked[first])}"
            )
            if name in running:
                of, own = running[name]
                again, seconds = killed(request, options.shards, of, own[0], options.after)
                if again != told[name]:
                    raise SystemExit(f"{name}: another result with a worker killed")
                cells += [f"{started[name]:.1f}", f"{seconds:.2f}"]
            print(row(name, both(times[name]), *cells, *([""] * (4 - len(cells)))), flush=True)
    print("\nall results the same bytes")


if __name__ == "__main__":
    main()
