"""Shards on workers: the bytes of one run, whatever dies meanwhile."""

from __future__ import annotations

import importlib.util
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.cli.conftest import Run, run  # noqa: F401
from tests.conftest import random_dataset, random_maps
from wsolbench.errors import WsolbenchError
from wsolbench.evaluation import schedulers
from wsolbench.evaluation.run import Request, evaluate, outcome
from wsolbench.evaluation.schedulers import check_address, write_shards
from wsolbench.evaluation.shards import Shard, merged, write_shard
from wsolbench.formats.submission.rules import SubmissionHeader
from wsolbench.formats.submission.writer import SubmissionWriter

COUNT = 17


@pytest.fixture
def request_(tmp_path: Path) -> Request:
    dataset = random_dataset(tmp_path / "random.h5", COUNT)
    header = SubmissionHeader("random", "val", "gt", "none", {"name": "m"})
    with SubmissionWriter(tmp_path / "m.h5", header) as writer:
        for image_id, map_ in zip(dataset.image_ids, random_maps(COUNT), strict=True):
            writer.append([image_id], [map_])
    return Request(tmp_path / "m.h5", dataset.store.path)


def scored(files: list[Path], request: Request) -> str:
    """The result of the files, which must be that of one run."""
    found = merged(files, request.annotations)  # type: ignore[arg-type]
    told = outcome(found.evaluators, found.submission_sha256).results[0].to_json()
    assert told == evaluate(request.annotations, request.submission).to_json()  # type: ignore[arg-type]
    return told


def dies_once(request: Request, folder: Path, shard: Shard) -> str:
    """A task whose worker is killed in the middle of the second shard, the first time."""
    path = write_shard(request, shard, folder)[0]
    mark = folder.parent / "killed"
    if shard.index == 2 and not mark.exists():
        mark.touch()
        path.unlink()
        os.kill(os.getpid(), signal.SIGKILL)
    return str(path)


@pytest.mark.slow
def test_a_killed_worker_changes_nothing(
    request_: Request, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("distributed", reason="starts workers of Dask")
    monkeypatch.setattr(schedulers, "_written", dies_once)
    done: list[tuple[int, int]] = []
    files = write_shards(
        request_, "local:2", tmp_path / "parts", lambda own, all_: done.append((own, all_))
    )
    assert (tmp_path / "killed").exists()
    assert done == [(own, 8) for own in range(1, 9)]
    assert [own.name.split(".")[1] for own in files] == [f"{own}-of-8" for own in range(1, 9)]
    scored(files, request_)


@pytest.mark.slow
def test_a_scheduler_of_dask_that_runs(request_: Request, tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed", reason="starts a scheduler of Dask")
    options = {"processes": False, "dashboard_address": ":0", "threads_per_worker": 1}
    with distributed.LocalCluster(n_workers=1, **options) as cluster:
        address = cluster.scheduler_address
        files = write_shards(request_, address, tmp_path / "parts")
        assert len(files) == 4
        scored(files, request_)
        # What is there is not scored again, in however many shards it was begun.
        times = [file.stat().st_mtime_ns for file in files]
        assert write_shards(request_, "local:9", tmp_path / "parts") == files
        assert [file.stat().st_mtime_ns for file in files] == times
        strange = tmp_path / "strange.h5"
        random_dataset(strange, 3, seed=5)
        changed = Request(tmp_path / "m.h5", strange)
        with pytest.raises(WsolbenchError, match="14 images that random val does not hold"):
            write_shards(changed, address, tmp_path / "parts")


def test_a_missing_part_alone_is_run_again(
    request_: Request, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("submitit", reason="runs tasks as SLURM would")
    monkeypatch.setattr(schedulers, "_tasks", lambda *_: 3)
    files = write_shards(request_, "submitit:local", tmp_path / "parts")
    assert len(files) == 3
    told = scored(files, request_)
    times = [file.stat().st_mtime_ns for file in files]
    files[1].unlink()
    monkeypatch.setattr(schedulers, "_tasks", lambda *_: 5)  # decided when it was begun
    assert write_shards(request_, "submitit:local", tmp_path / "parts") == files
    again = [file.stat().st_mtime_ns for file in files]
    assert [a == b for a, b in zip(times, again, strict=True)] == [True, False, True]
    assert scored(files, request_) == told


def test_a_shard_is_read_once_before_the_work_and_once_after_it(
    request_: Request, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def here(*_: object) -> Iterator[schedulers._Engine]:
        yield schedulers._Engine(1, lambda task, shards: (task(own) for own in shards))

    read: list[Path] = []
    whole = schedulers.is_whole
    monkeypatch.setattr(schedulers, "_engine", here)
    monkeypatch.setattr(schedulers, "find_spec", lambda name: object())
    monkeypatch.setattr(
        schedulers, "is_whole", lambda path, *of: read.append(path) or whole(path, *of)
    )
    files = write_shards(request_, "local:1", tmp_path / "parts")
    assert read == files
    assert len(files) == 4
    read.clear()
    assert write_shards(request_, "local:1", tmp_path / "parts") == files
    assert read == files
    read.clear()
    files[2].write_bytes(files[2].read_bytes()[:-1])
    assert write_shards(request_, "local:1", tmp_path / "parts") == files
    assert read == [*files, files[2]]
    scored(files, request_)


@pytest.mark.parametrize(
    "error", [OSError("no room"), RuntimeError("no room"), KeyboardInterrupt("no room")], ids=repr
)
def test_a_cluster_is_closed_if_nothing_reaches_it(
    monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def no_client(*_: object, **options: object) -> None:
        raise error

    closed: list[int] = []

    @contextmanager
    def cluster(workers: int) -> Iterator[None]:
        try:
            yield
        finally:
            closed.append(workers)

    fake = SimpleNamespace(Client=no_client, KilledWorker=OSError, as_completed=iter)
    monkeypatch.setitem(sys.modules, "distributed", fake)
    monkeypatch.setattr(schedulers, "_local_cluster", cluster)
    one_line = isinstance(error, Exception)
    message = "local:4: no scheduler of Dask answers .no room.*fewer processes"
    with (
        pytest.raises(
            WsolbenchError if one_line else KeyboardInterrupt,
            match=message if one_line else "no room",
        ),
        schedulers._dask("local", "4"),
    ):
        pass
    assert closed == [4]


def test_tasks_take_their_time(request_: Request, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("submitit", reason="runs tasks as SLURM would")
    counts: list[int] = []

    def no_engine(*_: object) -> None:
        raise KeyboardInterrupt

    real = schedulers._tasks
    monkeypatch.setattr(schedulers, "_tasks", lambda *own: counts.append(real(*own)) or counts[-1])
    monkeypatch.setattr(schedulers, "_engine", no_engine)
    for seconds in (3600, 1e-9):
        monkeypatch.setattr(schedulers, "TASK_SECONDS", seconds)
        with pytest.raises(KeyboardInterrupt):
            write_shards(request_, "submitit:local", "parts")
    assert counts == [1, COUNT]


def test_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedulers, "find_spec", lambda name: object())
    assert check_address("local:2") == ("local", "2")
    assert check_address("tcp://host:8786") == ("dask", "tcp://host:8786")
    assert check_address("slurm:gpu") == ("slurm", "gpu")
    for wrong in ("local:0", "local:", "slurm:", "submitit:gpu", "dask", "", "ray:2"):
        with pytest.raises(WsolbenchError, match=r"scheduler: found .*, expected local:2, tcp://"):
            check_address(wrong)
    monkeypatch.setattr(schedulers, "find_spec", lambda name: None)
    for address, package in (("local:2", "distributed"), ("slurm:gpu", "submitit")):
        with pytest.raises(WsolbenchError, match=f"{package} is not installed.*wsolbench.cluster"):
            check_address(address)


def test_the_command_line(run: Run, request_: Request, tmp_path: Path) -> None:  # noqa: F811
    evaluate_ = ["evaluate", "m.h5", "--annotations", "random.h5"]
    assert "--scheduler needs --out" in run(*evaluate_, "--scheduler", "local:2", status=2).stderr
    both = [*evaluate_, "--scheduler", "local:2", "--shard", "1/2", "--out", "r"]
    assert "--shard and --scheduler exclude each other" in run(*both, status=2).stderr
    if importlib.util.find_spec("submitit") is None:
        pytest.skip("submitit is not installed: no task is run")
    options = ["--bootstrap", 20, "--by", "class", "--counts"]
    one = run(*evaluate_, *options, "--out", "one.json")
    other = tmp_path / "tasks.json.shards/0123456789abcdef.1-of-2.shard"  # of an unfinished run
    other.parent.mkdir()
    other.touch()
    tasks = run(*evaluate_, *options, "--out", "tasks.json", "--scheduler", "submitit:local")
    assert tasks == one
    for ending in ("json", "counts.npz"):
        assert (tmp_path / f"tasks.{ending}").read_bytes() == (
            tmp_path / f"one.{ending}"
        ).read_bytes()
    assert list(other.parent.iterdir()) == [other]
    other.unlink()
    run(*evaluate_, "--out", "tasks.json", "--scheduler", "submitit:local")
    assert not other.parent.exists()
