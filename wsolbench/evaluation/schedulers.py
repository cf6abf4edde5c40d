"""The shards of an evaluation on the workers of an engine: Dask's distributed, or SLURM.

Workers write the files of `shards`, so they and this process share a file system; an engine moves
a request and the name of a file. Of a worker that dies, only the shard that it was at is lost: Dask
gives it to another one, and after any other end the same command scores the missing shards alone.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..data.dataset import Dataset
from ..errors import WsolbenchError, require_path
from ..formats.submission.reader import Submission
from ..progress import Progress
from .evaluator import score_together
from .run import Request, evaluators_for, find_dataset
from .shards import Shard, begun, described, is_whole, shard_path, write_shard

__all__ = ["TASK_SECONDS", "check_address", "write_shards"]

TASK_SECONDS = 30
"""What a task of SLURM takes at least on one thread, since starting one takes seconds."""

MAX_TASKS = 1000
"""Tasks of an array of SLURM, whose usual limit is 1,001."""

SHARDS_PER_WORKER = 4
"""Of Dask: the last ones end at about the same time, and one that dies loses a quarter at most."""

MAX_WORKERS = 1024
"""Processes of this machine that one may ask for."""

_TASK_MINUTES = 120  # after which SLURM ends a task
_SAMPLE = 256  # images that tell how long a task takes
_ADDRESSES = "local:2, tcp://HOST:PORT, slurm:PARTITION or submitit:local"

_Task = Callable[[Shard], "str | WsolbenchError"]


@dataclass(frozen=True)
class _Engine:
    """Workers that have been found.

    Attributes:
        workers: how many; None if the engine finds them for each task.
        results: of a task for each shard, as they come.
    """

    workers: int | None
    results: Callable[[_Task, Sequence[Shard]], Iterator[str | WsolbenchError]]


def write_shards(
    request: Request,
    scheduler: str,
    folder: str | os.PathLike[str],
    progress: Progress | None = None,
) -> list[Path]:
    """Score every shard of a request that has no file yet, and give the files of all.

    How many there are is decided once, when the first is written: for Dask by the number of
    workers, for SLURM by the time that some images take here.

    Args:
        request: as for `shards.write_shard`, but of paths. `jobs` are the threads of each task; one
            unless it is given.
        scheduler: `local:N`, so many processes of this machine; the address of a Dask scheduler
            that runs, e.g. `tcp://host:8786`; `slurm:PARTITION`; or `submitit:local`, which runs
            what SLURM would run on this machine, as a trial.
        folder: which all workers see.
        progress: called with (shards done, shards).

    Raises:
        WsolbenchError: no such scheduler, or its package is not installed; workers that ended; a
            shard that cannot be scored, as `run`.
    """
    kind, where = check_address(scheduler)
    require_path("folder", folder, "a folder for the statistics")
    place = Path(folder).absolute()
    with Submission.open(request.submission) as submission:  # type: ignore[arg-type]
        dataset = find_dataset(request, submission)
        # Workers have working folders and environments of their own.
        request = replace(
            request,
            submission=submission.path.absolute(),
            annotations=Path(dataset.store.path).absolute(),
            jobs=request.jobs or 1,
        )
        evaluators = evaluators_for(request, dataset, submission, keep_images=request.counts)
        run = described(evaluators, submission)
        count = begun(place, run)
        if count is None and kind not in ("local", "dask"):
            count = _tasks(request, submission, dataset)

    def missing(shards: Sequence[Shard]) -> list[Shard]:
        paths = {shard: shard_path(place, run, shard) for shard in shards}
        return [shard for shard, path in paths.items() if not is_whole(path, run, shard)]

    # A check reads a whole file: those that are there are checked once, then the new ones.
    left = [] if count is None else missing(_shards(count))
    if count is None or left:
        with _engine(kind, where, place, request.jobs or 1) as engine:
            if count is None:
                count = min(SHARDS_PER_WORKER * (engine.workers or 1), len(dataset))
                left = _shards(count)
            done = count - len(left)
            for found in engine.results(partial(_written, request, place), left):
                if isinstance(found, WsolbenchError):
                    raise found
                done += 1
                if progress:
                    progress(done, count)
        left = missing(left)
    if left:
        raise WsolbenchError(
            scheduler,
            found="workers whose files are not here, or of another run",
            expected=f"files {shard_path('', run, Shard(1, count)).name} and so on in {place}",
            cure="name an --out that all workers see, and give them the same wsolbench and files",
        )
    return [shard_path(place, run, shard) for shard in _shards(count)]


def _shards(count: int) -> list[Shard]:
    return [Shard(index, count) for index in range(1, count + 1)]


def check_address(scheduler: str) -> tuple[str, str]:
    """The kind of a scheduler ("local", "dask", "slurm" or "submitit"), and where it is.

    Raises:
        WsolbenchError: no such scheduler, or its package is not installed.
    """
    kind, _, where = scheduler.partition(":")
    if where.startswith("//"):
        kind, where = "dask", scheduler
    sound = {
        "local": where.isdecimal() and 1 <= int(where) <= MAX_WORKERS,
        "dask": where == scheduler,
        "slurm": where != "",
        "submitit": where == "local",
    }
    if not sound.get(kind, False):
        raise WsolbenchError(
            "scheduler", found=repr(scheduler), expected=_ADDRESSES, cure="name one of these"
        )
    package = "distributed" if kind in ("local", "dask") else "submitit"
    if find_spec(package) is None:
        raise WsolbenchError(
            scheduler,
            found=f"{package} is not installed",
            expected=f"the package {package}",
            cure="pip install 'wsolbench[cluster]'",
        )
    return kind, where


def _written(request: Request, folder: Path, shard: Shard) -> str | WsolbenchError:
    """A task: what a worker does. Engines wrap an exception in words of their own."""
    try:
        return str(write_shard(request, shard, folder)[0])
    except WsolbenchError as error:
        return error


def _tasks(request: Request, submission: Submission, dataset: Dataset) -> int:
    """How many tasks of `TASK_SECONDS` the images make, by the time that the first of them take."""
    some = range(min(_SAMPLE, len(dataset)))
    for _ in range(2):  # the first time includes loading the compiled loops
        evaluators = evaluators_for(request, dataset, submission, keep_images=False)
        start = time.perf_counter()
        score_together(evaluators, submission, jobs=request.jobs, places=some)
        seconds = (time.perf_counter() - start) * len(dataset) / len(some)
    return max(1, min(int(seconds / TASK_SECONDS), MAX_TASKS, len(dataset)))


def _engine(kind: str, where: str, folder: Path, jobs: int) -> AbstractContextManager[_Engine]:
    if kind in ("local", "dask"):
        return _dask(kind, where)
    return _submitit(kind, where, folder, jobs)


@contextmanager
def _dask(kind: str, where: str) -> Iterator[_Engine]:
    """Workers of a Dask scheduler that runs, or of one that is started here."""
    from distributed import Client, KilledWorker, as_completed

    local = kind == "local"
    address = f"local:{where}" if local else where
    start_one = "start one: dask scheduler, and dask worker tcp://HOST:8786 on each machine"
    with ExitStack() as stack:
        try:
            cluster = stack.enter_context(_local_cluster(int(where))) if local else where
            client = stack.enter_context(Client(cluster, timeout=20))
        except (OSError, ValueError, RuntimeError) as error:
            raise WsolbenchError(
                address,
                found=f"no scheduler of Dask answers ({error})",
                cure="ask for fewer processes" if local else start_one,
            ) from error

        def results(task: _Task, shards: Sequence[Shard]) -> Iterator[str | WsolbenchError]:
            futures = client.map(task, shards, pure=False)
            try:
                for future in as_completed(futures):
                    yield future.result()
            except (KilledWorker, CancelledError, OSError) as error:
                raise WsolbenchError(
                    address,
                    found=f"workers that end or are out of reach ({error})",
                    cure="see why they end (memory?); the same command scores the missing shards",
                ) from error
            finally:
                client.cancel(futures)

        yield _Engine(len(client.nthreads()), results)


def _local_cluster(workers: int) -> Any:
    """Dask's scheduler and so many processes of one thread each."""
    import dask
    from distributed import LocalCluster

    # Dask has its workers give memory back at once (MALLOC_TRIM_THRESHOLD_), which has a price.
    with dask.config.set({"distributed.nanny.pre-spawn-environ": {}}):
        return LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            memory_limit=0,
            dashboard_address=":0",
            silence_logs=logging.CRITICAL,
        )


@contextmanager
def _submitit(kind: str, where: str, folder: Path, jobs: int) -> Iterator[_Engine]:
    """An array of SLURM, or processes of this machine in its place."""
    import submitit

    started: list[Any] = []

    def results(task: _Task, shards: Sequence[Shard]) -> Iterator[str | WsolbenchError]:
        try:
            executor = submitit.AutoExecutor(
                folder / "logs", cluster="slurm" if kind == "slurm" else "local"
            )
        except RuntimeError as error:
            raise WsolbenchError(
                f"{kind}:{where}",
                found=f"no SLURM on this machine ({error})",
                cure="run the command where sbatch and srun are",
            ) from error
        executor.update_parameters(timeout_min=_TASK_MINUTES, cpus_per_task=jobs, name="wsolbench")
        if kind == "slurm":
            executor.update_parameters(slurm_partition=where, slurm_array_parallelism=MAX_TASKS)
        try:
            started.extend(executor.map_array(task, shards))
        except submitit.core.utils.FailedSubmissionError as error:
            raise WsolbenchError(
                f"{kind}:{where}",
                found=f"sbatch refuses the tasks ({error})",
                cure="check the partition, and what your site asks for (SBATCH_ACCOUNT, ...)",
            ) from error
        for job in submitit.helpers.as_completed(started, poll_frequency=1):
            try:
                yield job.result()
            except submitit.core.utils.UncompletedJobError as error:
                raise WsolbenchError(
                    f"{kind}:{where}",
                    found=f"task {job.job_id} ended without a result",
                    cure=f"see {job.paths.stderr}; the same command scores the missing shards",
                ) from error

    try:
        yield _Engine(None, results)
    finally:
        for job in started:
            if not job.done():
                job.cancel()
