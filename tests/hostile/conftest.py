"""Sound files to make hostile ones of, and a way to run commands on them."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import pytest

from tests.hostile.targets import TARGETS, Outcome, add_checkpoint, build, call

ROOT = Path(__file__).resolve().parents[2]
SECRET = "a-line-of-another-file-0f3a"
"""The content of a file outside, which no command may print or store."""

_MEASURED = """
import atexit, resource, sys
from pathlib import Path
from wsolbench.__main__ import main

def peak():
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    lines = Path("/proc/self/status").read_text().splitlines()
    own = [int(line.split()[1]) for line in lines if line.startswith("VmHWM")]
    print("peak:", max(children, *own), file=sys.stderr)

atexit.register(peak)
main()
"""
"""A command that tells its memory at the end, in KiB (proc(5), getrusage(2))."""


@pytest.fixture(scope="session")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of sound files."""
    folder = tmp_path_factory.mktemp("hostile") / "sound"
    build(folder)
    return folder


@pytest.fixture(scope="session")
def trained(sound: Path) -> Path:
    """The same folder, with a checkpoint if torch is installed."""
    if "checkpoint" in TARGETS and not (sound / "c.pt").exists():
        add_checkpoint(sound)
    return sound


@dataclass(frozen=True)
class Box:
    """A copy of the sound files in a folder of its own, and a file outside.

    Attributes:
        work: the copy, in which commands run.
        victim: a file beside it that nothing may read or write.
    """

    work: Path
    victim: Path

    def run(self, command: str, status: int | tuple[int, ...] = (1, 2)) -> Outcome:
        """Run a command, which must end as it should and leave alone what is outside."""
        before = self._outside()
        outcome = call(self.work, command)
        assert outcome.fault() == ""
        allowed = status if isinstance(status, tuple) else (status,)
        assert outcome.status in allowed, outcome
        assert self._outside() == before
        said = f"{outcome.stdout}{outcome.stderr}"
        assert SECRET not in said
        assert all(SECRET.encode() not in content for content in outcome.files.values())
        return outcome

    def refuses(self, command: str, words: str, status: int | tuple[int, ...] = (1, 2)) -> None:
        """The command ends in one line with these words."""
        outcome = self.run(command, status)
        assert words in outcome.stderr + outcome.stdout, outcome

    def apart(self, command: str, *, most: int, status: int | tuple[int, ...] = (1, 2)) -> str:
        """Run a command in a process of its own, and give what it says.

        Args:
            command: which must end in one line, or as `status` says.
            most: MiB that the process and its children may each have had at their highest.
            status: of its end.
        """
        done = subprocess.run(
            [sys.executable, "-c", _MEASURED, *command.split()],
            cwd=self.work,
            env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        said, _, peak = done.stderr.rpartition("peak: ")
        outcome = Outcome(done.returncode, done.stdout, said)
        assert outcome.fault() == ""
        allowed = status if isinstance(status, tuple) else (status,)
        assert outcome.status in allowed, outcome
        assert int(peak) >> 10 <= most, outcome
        return said

    def _outside(self) -> dict[str, bytes]:
        return {
            path.name: hashlib.sha256(path.read_bytes()).digest()
            for path in sorted(self.work.parent.iterdir())
            if path.is_file()
        }


@pytest.fixture
def box(sound: Path, tmp_path: Path) -> Box:
    shutil.copytree(sound, tmp_path / "box" / "work")
    victim = tmp_path / "box" / "victim"
    victim.write_text(f"{SECRET}\n")
    return Box(tmp_path / "box" / "work", victim)


@pytest.fixture(autouse=True)
def alarm() -> Iterator[None]:
    """A command that hangs raises, which its outcome tells."""
    if not hasattr(signal, "SIGALRM"):
        yield
        return

    def ring(number: int, frame: FrameType | None) -> None:
        raise TimeoutError("a hostile file made the command wait")

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(100)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)
