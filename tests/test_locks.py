"""One writer at a file: the second is told of the first, and the dead block nobody."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import pytest

from wsolbench import interrupts, locks
from wsolbench.errors import WsolbenchError
from wsolbench.files import write_all, write_text
from wsolbench.locks import lock_path, writing

if sys.platform == "win32":
    pytest.skip("flock", allow_module_level=True)

HOLDER = (
    "import sys, time\n"
    "from pathlib import Path\n"
    "from wsolbench.locks import writing\n"
    "with writing(Path(sys.argv[1])):\n"
    " print('ready', flush=True)\n"
    " time.sleep(20)\n"
)


def held(target: Path) -> subprocess.Popen[str]:
    """Another process that holds the lock of a file."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, target], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "ready\n"
    return holder


def kill(holder: subprocess.Popen[str]) -> None:
    holder.send_signal(signal.SIGKILL)
    holder.communicate()


def test_the_second_writer_is_told_of_the_first(tmp_path: Path) -> None:
    target = tmp_path / "r.json"
    target.write_text("old")
    holder = held(target)
    message = rf"r\.json: process {holder.pid} is writing it; wait until it has finished, or"
    with pytest.raises(WsolbenchError, match=message):
        write_text(target, "new")
    write = partial(write_text, text="new")
    with pytest.raises(WsolbenchError, match=message):
        write_all({tmp_path / "other.json": write, target: write})
    assert target.read_text() == "old"
    kill(holder)
    assert lock_path(target).read_text() == str(holder.pid)
    write_text(target, "new")
    assert [path.name for path in tmp_path.iterdir()] == ["r.json"]


def test_another_thread_is_another_writer(tmp_path: Path) -> None:
    said: list[str] = []

    def other() -> None:
        try:
            write_text(tmp_path / "r.json", "new")
        except WsolbenchError as error:
            said.append(error.found)

    with writing(tmp_path / "r.json"):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        write_text(tmp_path / "r.json", "own")
    assert said == ["this process is writing it"]
    assert (tmp_path / "r.json").read_text() == "own"
    assert [path.name for path in tmp_path.iterdir()] == ["r.json"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_process_does_not_keep_its_parents_lock(tmp_path: Path) -> None:
    reading, going = os.pipe()
    with writing(tmp_path / "r.json"):
        child = os.fork()
        if child == 0:
            os.close(going)
            os.read(reading, 1)  # until the parent is done
            os._exit(0)
    write_text(tmp_path / "r.json", "new")
    os.close(going)
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_fork_while_another_thread_takes_a_lock_can_write(tmp_path: Path) -> None:
    with locks._guard, interrupts._undivided:  # as another thread would hold them
        child = os.fork()
        if child == 0:
            signal.alarm(10)
            try:
                write_all({tmp_path / name: partial(write_text, text="new") for name in ("a", "b")})
                os._exit(0)
            finally:
                os._exit(1)
        assert os.waitpid(child, 0)[1] == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_whoever_writes_in_a_folder_sweeps_it(tmp_path: Path) -> None:
    holder = held(tmp_path / "left.h5")
    alive = held(tmp_path / "alive.h5")
    kill(holder)
    for name in ("left.h5", "alive.h5", "nobody.h5"):
        (tmp_path / f".{name}.123456.tmp").write_text("half")
    (tmp_path / ".left.h5.123456.old").mkdir()
    (tmp_path / ".left.h5.123456.tmp.txt").touch()
    try:
        program = "import sys; from wsolbench.files import write_text; write_text(sys.argv[1], '')"
        subprocess.run([sys.executable, "-c", program, tmp_path / "new.json"], check=True)
        assert sorted(path.name for path in tmp_path.iterdir()) == [
            ".alive.h5.123456.tmp",
            ".alive.h5.wsolbench-lock",
            ".left.h5.123456.tmp.txt",
            ".nobody.h5.123456.tmp",  # has no lock beside it: may be anybody's
            "new.json",
        ]
    finally:
        kill(alive)


def test_a_list_of_renames_moves_nothing_but_temporary_files_to_their_names(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    content = {
        ".a.1.tmp": "a",
        ".b.2.tmp": "b",
        "c": "c",
        "folder/.d.1.tmp": "d",
    }
    for name, text in content.items():
        (tmp_path / name).write_text(text)
    for number, listed in enumerate(
        (
            "c",
            "folder/.d.1.tmp",
            "../.a.1.tmp",
            ".a.1.tmp\0c",
            ".a.x.tmp",
            "..1.tmp\0",
            "",
        )
    ):
        (tmp_path / f".{number}.renames").write_text(listed)
    (tmp_path / ".x.renames").write_text(".a.1.tmp\0.b.2.tmp\0.e.3.tmp")
    program = "import sys; from wsolbench.files import write_text; write_text(sys.argv[1], '')"
    subprocess.run([sys.executable, "-c", program, tmp_path / "new.json"], check=True)
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == [*(f".{number}.renames" for number in range(7)), *"abc", "folder", "new.json"]
    assert [(tmp_path / name).read_text() for name in "abc"] == ["a", "b", "c"]


def test_lists_of_other_users_and_pipes_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text("mine")
    (tmp_path / ".r.json.7.tmp").write_text("planted")
    (tmp_path / ".r.json.renames").write_text(".r.json.7.tmp")
    os.mkfifo(tmp_path / ".x.renames")
    if os.geteuid() == 0:
        os.chown(tmp_path / ".r.json.renames", 12345, 12345)
        write_text(tmp_path / "new.json", "1")
        assert (tmp_path / "r.json").read_text() == "mine"
    else:
        write_text(tmp_path / "new.json", "1")  # the list is ours: it is completed
        assert (tmp_path / "r.json").read_text() == "planted"
    assert (tmp_path / ".x.renames").is_fifo()
