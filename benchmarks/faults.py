"""Commands on a machine that fails: killed, out of space, without a disk to write on, stopped.

    python -m benchmarks.faults --moments 100 --interrupts 40

Each command is killed at random moments over files of before, and must leave every file of before
or its new one (of a training also the checkpoint of each epoch); the same command again must then
give the bytes of a run that was never killed, and leave nothing else in the folder. Each is run
with limits on the size of files (and as root on a full and on a read-only disk), and must say so in
one line and change nothing. Each gets Ctrl-C at moments from its start to its end, and must end
within a second, with status 130 and one line.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.common import heading, machine, row
from wsolbench.cli import main as command_line
from wsolbench.data.dataset import Dataset
from wsolbench.data.export import export_png
from wsolbench.formats.annotations import write_store
from wsolbench.mini.scenes import write_benchmark

BEFORE = b'{"of": "before"}\n'


@dataclass(frozen=True)
class Command:
    """A command.

    Attributes:
        arguments: of the command line; outputs go to the working folder.
        outputs: the files that it writes, the same bytes each time.
        resumes: whether it continues with --resume.
        replaces: whether it writes over files of before.
        given: a folder, copied into the working folder, in which it writes.
    """

    arguments: tuple[str, ...]
    outputs: tuple[str, ...]
    resumes: bool = False
    replaces: bool = True
    given: Path | None = None

    def line(self) -> list[str]:
        return [*self.arguments, *(["--resume"] if self.resumes else [])]

    def clear(self, folder: Path) -> None:
        """Leave in the working folder what there is before the command."""
        for path in folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
        if self.given is not None:
            shutil.copytree(self.given, folder / self.given.name)
        for name in self.outputs if self.replaces else ():
            (folder / name).write_bytes(BEFORE)


def commands(data: Path) -> dict[str, Command]:
    """The commands, and in the folder `data` the files that they read."""
    images, content = write_benchmark(data, val=24, test=0)
    write_store(data / "mini.h5", content)
    store = ("--annotations", str(data / "mini.h5"))
    photos = (*store, "--images", str(images))
    dataset = Dataset.open(data / "mini.h5", "val")
    export_png(dataset.store, data / "masks")
    (data / "maps").mkdir()
    rng = np.random.default_rng(0)
    for image_id in dataset.image_ids:
        np.save(data / "maps" / f"{image_id}.npy", rng.random((90, 90)).astype(np.float32))
    for name in ("noise", "centre-gaussian"):
        made = (*("predict", f"trivial:{name}"), *store, "--out", f"{name}.h5")
        if in_child([*made, "--size", "28"], data):
            raise SystemExit(data.with_suffix(".said").read_text())
    toy = ("--train-scenes", "32", "--scenes", "16", "--epochs", "1", "--sem-seeds", "0.1")
    study = ("study", "mini", *toy, "--methods", "cam", "--depths", "", "--out", "study")
    if in_child(study, data):
        raise SystemExit(data.with_suffix(".said").read_text())
    board = data / "board"
    shutil.copytree(Path(__file__).parents[1] / "leaderboard", board)
    written = {*board.iterdir()} - {board / "entries"}
    noise, gauss = str(data / "noise.h5"), str(data / "centre-gaussian.h5")
    few = ("--bootstrap", "20")
    sem = ("--model", "wsolbench.mini.classifier:load", "--size", "128", "--seeds", "0.1")
    result = ("--out", "r.json", "--counts", "--per-image", "v.csv")
    return {
        "import masks": Command(
            ("import", "masks", str(data / "masks"), "--out", "s.h5"), ("s.h5",)
        ),
        "export coco": Command(
            ("export", "coco", str(data / "mini.h5"), "--out", "c.json"), ("c.json",)
        ),
        "import-maps": Command(
            ("import-maps", str(data / "maps"), *store, "--out", "m.h5"), ("m.h5",), resumes=True
        ),
        "predict": Command(
            ("predict", "sem", *sem, "--limit", "12", *photos, "--out", "p.h5"),
            ("p.h5",),
            resumes=True,
        ),
        "evaluate": Command(
            ("evaluate", noise, *store, *few, *result), ("r.json", "r.counts.npz", "v.csv")
        ),
        "compare": Command(
            ("compare", noise, gauss, *store, *few, "--out", "d.json", "--plot", "d.png"),
            ("d.json", "d.png"),
        ),
        "train": Command(
            (
                *("train", "cam", "--backbone", "mini", *photos, "--split", "val"),
                *("--batch-size", "8", "--epochs", "3", "--device", "cpu", "--out", "c.pt"),
            ),
            ("c.pt",),  # the log beside it holds times
            resumes=True,
            replaces=False,
        ),
        "study report": Command(
            ("study", "report", "study"),
            tuple(f"study/{name}" for name in ("study.json", "study.md", "seed-counts.png")),
            given=data / "study",
        ),
        "leaderboard build": Command(
            ("leaderboard", "build", "--root", "board"),
            tuple(
                str(path.relative_to(data))
                for path in sorted(written)
                if path.suffix in (".csv", ".html", ".md") or path.name == "schema.json"
            ),
            given=board,
        ),
    }


def begin(arguments: Sequence[str], folder: Path, limit: int | None = None) -> int:
    """Start a command in a forked process, which has its modules already; its process id."""
    child = os.fork()
    if child:
        return child
    try:
        os.chdir(folder)
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        said = os.open(folder.with_suffix(".said"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(said, 2)
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        sys.argv = ["wsolbench", *arguments]
        command_line()
    except SystemExit as left:
        os._exit(int(left.code or 0))
    finally:
        os._exit(70)


def in_child(arguments: Sequence[str], folder: Path, limit: int | None = None) -> int:
    """The exit status of a command."""
    return os.waitstatus_to_exitcode(os.waitpid(begin(arguments, folder, limit), 0)[1])


def states_of(command: Command, folder: Path) -> tuple[dict[str, list[bytes]], float]:
    """Each content that the outputs have during a run, the last one at its end; its seconds."""
    seen: dict[str, list[bytes]] = {
        name: [BEFORE] if command.replaces else [] for name in command.outputs
    }
    child = begin(command.line(), folder)
    began, status = time.monotonic(), None
    while status is None:
        done, code = os.waitpid(child, os.WNOHANG)
        status = os.waitstatus_to_exitcode(code) if done else None
        for name, states in seen.items():
            if (folder / name).exists() and states[-1:] != [now := (folder / name).read_bytes()]:
                states.append(now)
        time.sleep(0.001)
    if status:
        raise SystemExit(f"{command}: status {status}: {folder.with_suffix('.said').read_text()}")
    return seen, time.monotonic() - began


def halves(command: Command, folder: Path, states: dict[str, list[bytes]]) -> int:
    """How many outputs are neither what they were nor what they become."""
    found = {name: folder / name for name in command.outputs}
    there = {name: path.read_bytes() for name, path in found.items() if path.exists()}
    wrong = sum(data not in states[name] for name, data in there.items())
    return wrong + (len(found) - len(there) if command.replaces else 0)


def names_in(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}


def killed(command: Command, folder: Path, moments: int, rng: random.Random) -> list[object]:
    """Kill a command at random moments; what a table says of it."""
    folder.mkdir()
    command.clear(folder)
    states, seconds = states_of(command, folder)
    sound = names_in(folder)
    half = other = left = caught = 0
    for moment in range(moments):
        if moment % 5 == 0:
            command.clear(folder)
        child = begin(command.line(), folder)
        time.sleep(rng.random() * seconds)
        os.kill(child, signal.SIGKILL)
        caught += os.waitpid(child, 0)[1] != 0
        half += halves(command, folder, states)
        if moment % 5 == 4 or moment == moments - 1:
            status = in_child(command.line(), folder)
            ends = {name: (folder / name).read_bytes() for name in states}
            other += status != 0 or any(ends[name] != states[name][-1] for name in states)
            left += len(names_in(folder) - sound)
    return [f"{caught} of {moments}", half, other, left]


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[None]:
    """A disk of `size` kB; only root can have one."""
    folder.mkdir(exist_ok=True)
    options = ["-t", "tmpfs", "-o", f"size={size}k"]
    subprocess.run(["mount", *options, "tmpfs", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def fill(folder: Path) -> None:
    with open(folder / "filler", "wb", buffering=0) as filler, suppress(OSError):
        while True:
            filler.write(bytes(4096))


def refused(
    command: Command, folder: Path, states: dict[str, list[bytes]], limit: int | None = None
) -> bool:
    """Whether a command ends in one line and no output is what it would have become."""
    status = in_child(command.line(), folder, limit)
    said = folder.with_suffix(".said").read_text().splitlines()
    last = [line for line in said if line.startswith("wsolbench: ")]
    sound = status in (1, 2) and len(last) == 1 and not any("Traceback" in line for line in said)
    earlier = {name: contents[:-1] for name, contents in states.items()}
    return sound and not halves(command, folder, earlier)


def without_space(command: Command, folder: Path) -> list[object]:
    """Whether a command stands limits on the size of files, a full and a read-only disk."""
    folder.mkdir()
    command.clear(folder)
    states, _ = states_of(command, folder)
    largest = max(len(contents[-1]) for contents in states.values())
    command.clear(folder)
    limits = [4096, largest // 4, largest // 2, largest - 1]
    stood = sum(refused(command, folder, states, limit) for limit in limits)
    cells: list[object] = [f"{stood} of {len(limits)}"]
    for read_only in (False, True):
        if os.getuid():
            cells.append("not root")
            continue
        disk = folder.with_name(f"{folder.name}-disk")
        held = sum(path.stat().st_size + 4096 for path in names_in(command.given or disk))
        with small_disk(disk, 256 + held // 1024):
            command.clear(disk)
            if read_only:
                subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
            else:
                fill(disk)
            cells.append("one line" if refused(command, disk, states) else "other")
    return cells


def interrupted(command: Command, folder: Path, moments: int) -> list[object]:
    """Send Ctrl-C at moments from the start of a command to its end."""
    folder.mkdir()
    program = [sys.executable, "-m", "wsolbench", *command.line()]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])}

    def start() -> subprocess.Popen[str]:
        command.clear(folder)
        return subprocess.Popen(
            program,
            cwd=folder,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    began = time.monotonic()
    start().communicate()
    whole = time.monotonic() - began
    statuses: Counter[int] = Counter()
    lines = 0
    slowest = 0.0
    for moment in range(moments):
        running = start()
        wait_for_start(running.pid)
        time.sleep((whole - 0.1) * moment / moments)
        sent = time.monotonic()
        running.send_signal(signal.SIGINT)
        _, said = running.communicate()
        statuses[running.returncode] += 1
        if running.returncode:
            slowest = max(slowest, time.monotonic() - sent)
            sound = said.count("\n") <= 1 or "Traceback" not in said
            lines += sound and said.rpartition("wsolbench: ")[2].startswith("interrupted")
    ended = sum(count for status, count in statuses.items() if status)
    told = ", ".join(f"{status}: {count}" for status, count in sorted(statuses.items()))
    return [f"{whole:.1f}", told, f"{lines} of {ended}", f"{slowest:.2f}"]


def wait_for_start(process: int) -> None:
    """Wait until Python has started and the command waits for signals."""
    mask = 1 << (signal.SIGINT - 1)
    path = Path(f"/proc/{process}/status")
    until = time.monotonic() + 20
    while time.monotonic() < until and path.exists():
        text = path.read_text()
        fields = dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)
        caught = int(fields.get("SigCgt", "0"), 16) & mask
        if caught and int(fields["Threads"]) > 1:
            return
        time.sleep(0.002)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description="Kill, starve and interrupt commands.")
    parser.add_argument("--moments", type=int, default=100, help="of SIGKILL, for each command")
    parser.add_argument("--interrupts", type=int, default=40, help="of Ctrl-C, for each command")
    parser.add_argument("--only", nargs="*", help="commands")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print(machine("numpy", "h5py"), flush=True)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it
    rng = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "data").mkdir()
        made = commands(folder / "data")
        chosen = {key: made[key] for key in options.only or made}
        if options.moments:
            print("\n" + heading("command", "killed", "halves", "other bytes", "leftovers"))
            for place, (key, command) in enumerate(chosen.items()):
                cells = killed(command, folder / f"k{place}", options.moments, rng)
                print(row(key, *cells), flush=True)
        print("\n" + heading("command", "limits on size", "full disk", "read-only"))
        for place, (key, command) in enumerate(chosen.items()):
            print(row(key, *without_space(command, folder / f"s{place}")), flush=True)
        if options.interrupts:
            head = ("command", "s", "status: times", "in one line", "slowest end, s")
            print("\n" + heading(*head))
            for place, (key, command) in enumerate(chosen.items()):
                cells = interrupted(command, folder / f"i{place}", options.interrupts)
                print(row(key, *cells), flush=True)


if __name__ == "__main__":
    main()
