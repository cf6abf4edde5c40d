"""Ctrl-C and SIGTERM end a command at once, in one line, whatever it does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

if sys.platform == "win32":
    pytest.skip("signals of POSIX", allow_module_level=True)

START = "from wsolbench.interrupts import advise, watch; watch(); advise('go on')\n"
SLEEP = "print('ready', flush=True)\nimport time; time.sleep(20)\n"

BUSY = {
    "sleep": SLEEP,
    "loop": "print('ready', flush=True)\nwhile True: pass\n",
    "swallows": "while True:\n try:\n  print('ready', flush=True)\n  while True: pass\n"
    " except BaseException: pass\n",
    "threads": "from concurrent.futures import ThreadPoolExecutor\nimport time\n"
    "with ThreadPoolExecutor(2) as pool:\n print('ready', flush=True)\n"
    " list(pool.map(time.sleep, [20, 20]))\n",
    "at its end": "import atexit, time\natexit.register(time.sleep, 20)\n"
    "print('ready', flush=True)\n",
    "destructor": "class Slow:\n def __del__(self):\n  print('ready', flush=True)\n"
    "  while True: pass\nSlow()\n",
    "kernel": "from numba import njit\n@njit(nogil=True)\ndef spin(count):\n total = 0.5\n"
    " for index in range(count):\n  total = total * 1.5 % 7\n return total\nspin(1)\n"
    "print('ready', flush=True)\nspin(1 << 62)\n",
}


def interrupted(program: str, number: int, tmp_path: Path) -> tuple[int, str, float]:
    """Exit status, stderr and seconds until the end of a program that prints `ready`."""
    running = subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert running.stdout is not None
    assert running.stdout.readline() == "ready\n"
    began = time.monotonic()
    running.send_signal(number)
    _, printed = running.communicate(timeout=15)
    return running.returncode, printed, time.monotonic() - began


@pytest.mark.parametrize("busy", BUSY)
def test_a_signal_ends_whatever_goes_on(busy: str, tmp_path: Path) -> None:
    number, status, word = (
        (signal.SIGTERM, 143, "terminated")
        if busy == "swallows"
        else (signal.SIGINT, 130, "interrupted")
    )
    code, printed, seconds = interrupted(START + BUSY[busy], number, tmp_path)
    assert (code, printed) == (status, f"wsolbench: {word}; go on\n")
    assert seconds < 1


def is_gone(process: int) -> bool:
    """Whether a process has ended, even if nobody has asked for its status yet."""
    try:
        os.kill(process, 0)
        return ") Z " in Path(f"/proc/{process}/stat").read_text()
    except (ProcessLookupError, FileNotFoundError):
        return True


def wait_for(condition: Callable[[], bool]) -> bool:
    for _ in range(200):
        if condition():
            return True
        time.sleep(0.01)
    return False


@pytest.mark.skipif(sys.platform != "linux", reason="children are found in /proc")
def test_children_end_with_their_parent_and_say_nothing(tmp_path: Path) -> None:
    program = START + (
        "import multiprocessing, os, subprocess, sys, time\n"
        "forked = multiprocessing.get_context('fork').Process(target=time.sleep, args=(20,))\n"
        "forked.start()\n"
        "other = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(20)'])\n"
        "open('children', 'w').write(f'{forked.pid} {other.pid}')\n" + SLEEP
    )
    code, printed, _ = interrupted(program, signal.SIGINT, tmp_path)
    assert (code, printed) == (130, "wsolbench: interrupted; go on\n")
    for child in (tmp_path / "children").read_text().split():
        assert wait_for(lambda child=child: is_gone(int(child)))


def test_the_end_of_a_forked_process_is_its_own(tmp_path: Path) -> None:
    program = START + (
        "import multiprocessing, time\n"
        "child = multiprocessing.get_context('fork').Process(target=time.sleep, args=(20,))\n"
        "child.start(); child.terminate(); child.join()\n"
        "time.sleep(0.2)\n"
        "print(child.exitcode)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "-15\n", "")


def test_a_command_that_is_done_ends_as_done() -> None:
    program = START + (
        "import os, signal\n"
        "class Late:\n def __init__(self): self.kill = os.kill, os.getpid(), signal.SIGINT\n"
        " def __del__(self): self.kill[0](*self.kill[1:]); print('late')\n"
        "late = Late()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "late\n", "")


def test_an_ignored_signal_stays_ignored(tmp_path: Path) -> None:
    program = (
        "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        + START
        + "import os, time; os.kill(os.getpid(), signal.SIGINT); time.sleep(0.3); print('on')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "on\n", "")


@pytest.mark.parametrize(
    "arguments, advice",
    [
        (["evaluate", "maps.h5"], ""),
        (["import-maps", ".", "--out", "m.h5"], "; run the same command with --resume to continue"),
        (["study", "report", "."], "; run the same command again to continue"),
    ],
    ids=lambda own: own[0] if isinstance(own, list) else "",
)
def test_a_command_says_how_it_is_continued(
    arguments: list[str], advice: str, tmp_path: Path
) -> None:
    program = (
        "import sys, time\n"
        "from wsolbench import cli, files\n"
        "from wsolbench.formats import annotations\n"
        "from wsolbench.study import summary\n"
        "from wsolbench.formats.submission.reader import Submission\n"
        "def wait(*_, **__):\n print('ready', flush=True)\n time.sleep(20)\n"
        "annotations.find_annotations = wait\n"
        "Submission.open = summary.summarise = wait\n"
        f"sys.argv = ['wsolbench', *{arguments!r}]\n"
        "from wsolbench.__main__ import main\nmain()\n"
    )
    code, printed, seconds = interrupted(program, signal.SIGINT, tmp_path)
    assert (code, printed) == (130, f"wsolbench: interrupted{advice}\n")
    assert seconds < 1
