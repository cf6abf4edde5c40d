"""Every writer, as the machine fails at each of its steps: the old files or the new, never a half.

Each test runs the writer in a forked process whose n-th step on files fails or kills it, for n = 1,
2, ... until none does; as SQLite tests its own writing (https://www.sqlite.org/testing.html, fault
injection). A step is an event of Python's audit hooks (open, rename, link, remove, mkdir) on the
folder of the test, or a call of `os.fsync`.
"""

from __future__ import annotations

import importlib
import os
import random
import signal
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import annotation, random_dataset
from wsolbench.data.export import export_coco, export_png
from wsolbench.errors import WsolbenchError
from wsolbench.evaluation.counts import counts_path, read_counts, write_counts
from wsolbench.evaluation.run import Request, run
from wsolbench.files import write_all, write_text
from wsolbench.formats.annotations import AnnotationSet, AnnotationStore, write_store
from wsolbench.formats.result import read_result
from wsolbench.formats.submission.reader import SubmissionHeader
from wsolbench.formats.submission.writer import SubmissionWriter
from wsolbench.masks import write_mask
from wsolbench.tables import write_columns

if sys.platform == "win32":
    pytest.skip("forks", allow_module_level=True)

# Python 3.12 warns of every fork beside NumPy's threads; the children run no threads.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

Write = Callable[[Path, int], None]
"""Writes files into a folder, of which the second time, 1, are others than the first, 0."""


def write_submission(path: Path, time: int) -> None:
    header = SubmissionHeader("toys", "val", "gt", "min-max", {"name": f"CAM {time}"})
    with SubmissionWriter(path, header, overwrite=True) as writer:
        writer.append(["a", "b"], np.full((2, 8, 8), time, np.uint8))


def write_checkpoint_and_log(folder: Path, time: int) -> None:
    torch = pytest.importorskip("torch")
    from wsolbench.baselines.checkpoints import write_content
    from wsolbench.baselines.training_files import Row, write_log
    from wsolbench.files import together

    with together():
        write_log(folder / "cam.csv", Row, [Row(1, time + 1)])
        write_content(folder / "cam.pt", {"state": torch.full((99,), time)}, "toy", 1)


def write_figure(folder: Path, time: int) -> None:
    pytest.importorskip("matplotlib")
    from wsolbench.plots.style import picture

    with picture(folder / "f.png", 1, 1, (3, 3)) as axes:
        axes[0, 0].plot([0, time])


def write_board(folder: Path, time: int) -> None:
    pytest.importorskip("jinja2")
    from tests.leaderboard.test_leaderboard import entry
    from wsolbench.leaderboard import build

    entry(peak="50.5").write(folder)
    entry(f"SEM {time}", peak=f"6{time}.5").write(folder)
    build(folder)


OUTCOMES: dict[int, Any] = {}


def write_outcome(folder: Path, time: int) -> None:
    outcome = OUTCOMES[time]
    path = folder / "r.json"
    write_all(
        {
            folder / "v.csv": lambda to: write_columns(to, outcome.table),
            path: outcome.results[0].write,
            counts_path(path): lambda to: write_counts(to, outcome.counts[0]),
        }
    )


def write_store_of(folder: Path, time: int) -> None:
    squares = [annotation(f"a{row}", np.ones((5, 6), dtype=bool)) for row in range(4 + time)]
    write_store(folder / "s.h5", AnnotationSet("toys", squares))


STORE: dict[str, AnnotationStore] = {}

WRITERS: dict[str, Write] = {
    "text": lambda folder, time: write_text(folder / "t.json", f"{time}" * 5000),
    "store": write_store_of,
    "submission": lambda folder, time: write_submission(folder / "m.h5", time),
    "result": write_outcome,
    "checkpoint": write_checkpoint_and_log,
    "mask": lambda folder, time: write_mask(folder / "m.png", np.eye(9 + time, dtype=bool)),
    "coco": lambda folder, time: export_coco(STORE["s"], folder / "c.json") if time else None,
    "png": lambda folder, time: export_png(STORE["s"], folder / "png") if time else None,
    "plot": write_figure,
    "parquet": lambda folder, time: write_columns(folder / "v.parquet", {"x": [time] * 9}),
    "board": write_board,
}

STEPPED = ["text", "store", "submission", "result", "checkpoint", "png"]
"""Writers of each way of writing; the others take the ways of these."""

TOGETHER = {"result": ["v.csv", "r.json", "r.counts.npz"], "checkpoint": ["cam.csv", "cam.pt"]}
"""Files that appear in one go."""


@pytest.fixture(autouse=True, scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A store to export, two outcomes to write, and modules that each child would load anew."""
    for name in (
        "pyarrow.parquet",
        "wsolbench.baselines.checkpoints",
        "tests.leaderboard",
        "jinja2",
        "wsolbench.leaderboard",
        "matplotlib.backends.backend_agg",
        "matplotlib.figure",
        "tests.leaderboard.test_leaderboard",
        "wsolbench.baselines.training_files",
    ):
        with suppress(ImportError):
            importlib.import_module(name)
    folder = tmp_path_factory.mktemp("prepared")
    STORE["s"] = random_dataset(folder / "s.h5", 3).store
    dataset = random_dataset(folder / "e.h5", 4)
    for number in (0, 1):
        header = SubmissionHeader(dataset.name, dataset.split, "gt", "none", {"name": f"{number}"})
        maps = np.random.default_rng(number).random((len(dataset), 4, 4)).astype(np.float32)
        with SubmissionWriter(folder / f"{number}.h5", header) as writer:
            writer.append(dataset.image_ids, maps)
        asked = Request(folder / f"{number}.h5", dataset, counts=True, per_image=True, jobs=1)
        OUTCOMES[number] = run(asked)


@pytest.fixture(autouse=True)
def unsynced(monkeypatch: pytest.MonkeyPatch) -> None:
    """No wait for the disk, which a killed process does not need."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


def forked(act: Callable[[], None]) -> int:
    """The exit status of a child that acts: 0 done, 3 one line, else a crash or a signal."""
    child = os.fork()
    if child == 0:
        try:
            act()
        except (WsolbenchError, OSError) as error:  # which the command line prints as one line
            os._exit(3 if len(str(error).splitlines()) == 1 else 70)
        except BaseException:  # noqa: BLE001 - nothing may come back into the parent's tests
            traceback.print_exc()
            os._exit(70)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


STEPS = ("open", "os.rename", "os.link", "os.mkdir", "os.truncate", "os.remove", "os.rmdir")
NEED_SPACE = STEPS[:5]
"""Steps that a full disk or a quota may refuse."""


def fault_at(moment: int, folder: Path, fault: Callable[[], None], hits: int) -> None:
    """From now on, the moment-th step of this process on files of the folder fails."""
    events = NEED_SPACE if fault is full else STEPS
    steps = 0

    def step() -> None:
        nonlocal steps
        steps += 1
        if steps == moment:
            os.write(hits, b"x")
            fault()

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        reads = event == "open" and not arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        if event in events and not reads and str(arguments[0]).startswith(str(folder)):
            step()

    os.fsync = lambda descriptor: step()
    sys.addaudithook(hook)


def full() -> None:
    raise OSError(28, "No space left on device")


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def content(folder: Path) -> dict[str, bytes]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def is_temporary(name: str) -> bool:
    return any(part.startswith(".") or part.endswith(".part") for part in Path(name).parts)


def begun(kind: str, folder: Path) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """A folder with the old files, and what the old and the new files are."""
    write = WRITERS[kind]
    new = folder.with_name(f"{folder.name}-new")
    for own, times in ((folder, (0,)), (new, (0, 1))):
        own.mkdir()
        for number in times:
            status = forked(lambda own=own, number=number: write(own, number))  # type: ignore[misc]
            if status == 70 and kind in ("checkpoint", "plot", "parquet", "board"):
                pytest.skip("not installed")
            assert status == 0
    return content(folder), content(new)


def require_old_or_new(kind: str, found: Any, old: Any, new: Any, *, swept: bool) -> None:
    """Each file is the old or the new one; files of one command agree once the folder is swept."""
    for name, data in found.items():
        if not is_temporary(name):
            assert data in (old.get(name), new.get(name)), name
    assert {name for name in old if name not in found and name in new} == set()
    if swept:
        assert [name for name in found if is_temporary(name) and ".part/" not in name] == []
        states = {
            name: found.get(name) == new[name] for name in TOGETHER.get(kind, []) if name in new
        }
        assert len(set(states.values())) <= 1, states


def sweep(folder: Path) -> None:
    """What the next writer in each folder does."""
    for own in [folder, *(path for path in folder.rglob("[!.]*") if path.is_dir())]:
        if not is_temporary(str(own.relative_to(folder))):
            assert forked(lambda own=own: write_text(own / "next.txt", "")) == 0  # type: ignore[misc]
            (own / "next.txt").unlink()


@pytest.mark.slow
@pytest.mark.parametrize("kind", STEPPED)
@pytest.mark.parametrize("fault", [full, die], ids=["full", "killed"])
def test_any_step_may_fail(kind: str, fault: Callable[[], None], tmp_path: Path) -> None:
    first = tmp_path / "first"
    old, new = begun(kind, first)
    moment = 0
    outcomes = set()
    while True:
        moment += 1
        folder = tmp_path / str(moment)
        folder.mkdir()
        for name, data in old.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
        counted, hits = os.pipe()

        def act(moment: int = moment, folder: Path = folder, hits: int = hits) -> None:
            fault_at(moment, folder, fault, hits)
            WRITERS[kind](folder, 1)

        status = forked(act)
        os.close(hits)
        hit = os.read(counted, 1)
        os.close(counted)
        outcomes.add(status)
        # Where a failed step does no harm, the files are written all the same.
        assert status in ((0, 3) if fault is full else (0, -signal.SIGKILL)), (moment, status)
        found = content(folder)
        require_old_or_new(kind, found, old, new, swept=False)
        if status == 0:
            assert {name: data for name, data in found.items() if not is_temporary(name)} == new
        if fault is die:
            sweep(folder)
        require_old_or_new(kind, content(folder), old, new, swept=True)
        if moment % 4 == 0:  # the same command again is all that is needed
            refused = kind == "png" and (folder / "png").exists()
            again = forked(lambda folder=folder: WRITERS[kind](folder, 1))  # type: ignore[misc]
            assert again == (3 if refused else 0)
            assert content(folder) == new
        if not hit:
            break
    assert moment > 4
    assert outcomes == ({0, 3} if fault is full else {0, -signal.SIGKILL})


@pytest.mark.slow
@pytest.mark.parametrize("kind", WRITERS)
def test_a_disk_that_is_full_at_any_byte_is_one_line(kind: str, tmp_path: Path) -> None:
    import resource

    folder = tmp_path / "folder"
    old, new = begun(kind, folder)
    largest = max(map(len, new.values()))

    def act(limit: int) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        WRITERS[kind](folder, 1)

    for limit in sorted({0, 1, 30, largest // 3, largest * 2 // 3, largest - 1}):
        assert forked(lambda limit=limit: act(limit)) == 3, limit  # type: ignore[misc]
        found = content(folder)
        require_old_or_new(kind, found, old, new, swept=True)
    assert forked(lambda: WRITERS[kind](folder, 1)) == 0
    assert content(folder) == new


@pytest.mark.slow
@pytest.mark.parametrize("kind", [kind for kind in WRITERS if kind != "parquet"])
def test_killed_at_random_moments(kind: str, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    old, new = begun(kind, folder)
    generator = random.Random(kind)
    began = time.monotonic()
    trial = tmp_path / "trial"
    trial.mkdir()
    forked(lambda: WRITERS[kind](trial, 1))
    longest = time.monotonic() - began
    for _ in range(6):
        child = os.fork()
        if child == 0:
            try:
                WRITERS[kind](folder, 1)
            finally:
                os._exit(0)
        time.sleep(generator.random() * longest)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        require_old_or_new(kind, content(folder), old, new, swept=False)
        sweep(folder)
        require_old_or_new(kind, content(folder), old, new, swept=True)
    if kind != "png" or not (folder / "png").exists():
        assert forked(lambda: WRITERS[kind](folder, 1)) == 0
    assert content(folder) == new


def test_a_result_never_stands_beside_counts_of_another_run(tmp_path: Path) -> None:
    write_outcome(tmp_path, 0)
    (tmp_path / "other").mkdir()
    write_outcome(tmp_path / "other", 1)
    (tmp_path / "other" / "r.json").replace(tmp_path / "r.json")
    with pytest.raises(WsolbenchError, match="counts of another result"):
        read_counts(tmp_path / "r.counts.npz", read_result(tmp_path / "r.json"))
