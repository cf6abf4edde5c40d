"""Damaged files of every kind by the thousand: what crashes, hangs, swells or changes a score.

    python -m benchmarks.fuzz --cases 100000 --log fuzz.jsonl
    python -m benchmarks.fuzz --cases 50000 --first 100000 --log fuzz.jsonl   # goes on
    python -m benchmarks.fuzz --report fuzz.jsonl

Case i damages the file of kind i mod 17 with seed i // 17 (`tests/hostile/targets.py`) and runs
the commands that read it, in a worker process of this program, which watches from outside: a worker
that dies, does not answer or takes too much memory is noted and replaced. Beside the folder of a
worker lies a file whose time of access tells whether anything read it, where the file system keeps
it.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from benchmarks.common import heading, row
from tests.hostile.targets import TARGETS, add_checkpoint, build, run_case, run_sound

SECONDS = 90
"""Within which a case must end; a reader process has 60 for a request."""

MEMORY = 1536
"""MiB of memory that a worker may take; it has about 400 with torch."""

RARE = "checkpoint"
"""Takes ten times as long as others: every eighth of its seeds is run, others are submissions."""

FAULTS = ("crash", "hang", "memory", "read outside", "written outside", "silent change", "other")
ENDS = ("refused", "same", "changed")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", help="kinds of files, separated by commas")
    parser.add_argument("--folder", type=Path, help="for the files, e.g. in memory")
    parser.add_argument("--log", type=Path, help="append a JSON line for each case to this file")
    parser.add_argument("--report", type=Path, help="only sum up such a log")
    parser.add_argument("--work", type=int, nargs=3, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    names = asked.only.split(",") if asked.only else list(TARGETS)
    if asked.report:
        print(report([json.loads(line) for line in asked.report.read_text().splitlines()]))
        return
    if asked.work:
        work(asked.folder, names, range(*asked.work))
        return
    with tempfile.TemporaryDirectory(dir=asked.folder, prefix="fuzz-") as folder:
        start = time.perf_counter()
        lines = run(Path(folder), names, asked)
        seconds = time.perf_counter() - start
    print(report(lines))
    print(f"\n{len(lines)} cases in {seconds:.0f} s, {len(lines) / seconds:.0f} a second")


# The workers


def of_case(case: int, names: list[str]) -> tuple[str, int]:
    """The kind of file and the seed of a case."""
    name, seed = names[case % len(names)], case // len(names)
    spared = name == RARE and seed % 8 and len(names) > 1
    return ("submission", (seed << 20) + case) if spared else (name, seed)


def work(folder: Path, names: list[str], cases: range) -> None:
    """Run cases, with a line before and a JSON line after each."""
    said = os.fdopen(os.dup(1), "w", buffering=1)
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)  # what a library prints below Python
    place = folder / f"worker-{os.getpid()}"
    place.mkdir()
    victim = place / "victim"
    victim.write_text("a file of somebody else\n")
    expected = {}
    for case in cases:
        name, seed = of_case(case, names)
        target = TARGETS[name]
        print(f"> {case} {name} {seed}", file=said)
        if name not in expected:
            expected[name] = run_sound(target, folder / "sound", place / "work")
        os.utime(victim, (0, 1))
        ended = run_case(target, seed, folder / "sound", place / "work", expected[name])
        found = [fault_of(text) for text in ended.faults]
        if os.stat(victim).st_atime != 0:
            found.append(("read outside", f"{name} seed {seed}: read {victim.name}"))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
        line = {"case": case, "name": name, "seed": seed, "ends": ended.ends, "faults": found}
        print(json.dumps({**line, "peak": peak}), file=said)


def fault_of(text: str) -> tuple[str, str]:
    """The kind of a fault that `run_case` told."""
    if "outside the folder was written" in text:
        return "written outside", text
    return ("silent change" if text.endswith("silent change") else "other"), text


# The watcher


@dataclass
class Worker:
    """A worker process, and the case that it is at."""

    process: subprocess.Popen[str]
    cases: range
    case: int | None = None
    since: float = field(default_factory=time.monotonic)
    done: bool = False


def run(folder: Path, names: list[str], asked: argparse.Namespace) -> list[dict[str, object]]:
    """Run the cases in workers, and give their lines."""
    subprocess.run(
        [sys.executable, "-c", _BUILD, str(folder / "sound"), ",".join(names)], check=True
    )
    last = asked.first + asked.cases
    found: list[dict[str, object]] = []
    with open(asked.log or os.devnull, "a", encoding="utf-8") as log:
        said: queue.Queue[tuple[Worker, str]] = queue.Queue()
        workers = [
            _started(folder, names, range(asked.first + place, last, asked.workers), said)
            for place in range(min(asked.workers, asked.cases))
        ]
        while workers:
            for line in _lines(said, workers):
                found.append(line)
                log.write(json.dumps(line) + "\n")
            log.flush()
            for worker in [one for one in workers if one.done]:
                workers.remove(worker)
                after = worker.cases if worker.case is None else _after(worker)
                if worker.process.returncode and len(after):
                    workers.append(_started(folder, names, after, said))
    return found


def _after(worker: Worker) -> range:
    """What is left of a worker's cases after the one that it is at."""
    case = worker.case if worker.case is not None else worker.cases.start
    return range(case + worker.cases.step, worker.cases.stop, worker.cases.step)


def _started(
    folder: Path, names: list[str], cases: range, said: queue.Queue[tuple[Worker, str]]
) -> Worker:
    numbers = [str(number) for number in (cases.start, cases.stop, cases.step)]
    process = subprocess.Popen(
        [
            *(sys.executable, "-X", "faulthandler", "-m", "benchmarks.fuzz", "--work", *numbers),
            *("--folder", str(folder), "--only", ",".join(names)),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    worker = Worker(process, cases)
    threading.Thread(target=_listen, args=(worker, process.stdout, said), daemon=True).start()
    return worker


def _listen(worker: Worker, out: IO[str], said: queue.Queue[tuple[Worker, str]]) -> None:
    for line in out:
        said.put((worker, line))
    worker.process.wait()
    said.put((worker, ""))


def _lines(
    said: queue.Queue[tuple[Worker, str]], workers: list[Worker]
) -> Iterator[dict[str, object]]:
    """What workers told within a second, and what befell them."""
    end = time.monotonic() + 1
    while time.monotonic() < end and not all(worker.done for worker in workers):
        try:
            worker, line = said.get(timeout=max(0.0, end - time.monotonic()))
        except queue.Empty:
            break
        if line.startswith(">"):
            worker.case, worker.since = int(line.split()[1]), time.monotonic()
        elif line:
            yield json.loads(line)
        else:
            worker.done = True
            code = worker.process.returncode
            if code and code != -signal.SIGKILL:
                yield _befallen(worker, "crash", f"the worker ended with status {code}")
    for worker in workers:
        if worker.done or worker.process.poll() is not None:
            continue
        if time.monotonic() - worker.since > SECONDS:
            worker.process.kill()
            yield _befallen(worker, "hang", f"no end within {SECONDS} s")
        elif (taken := _mebibytes(worker.process.pid)) > MEMORY:
            worker.process.kill()
            yield _befallen(worker, "memory", f"{taken} MiB")


def _befallen(worker: Worker, kind: str, words: str) -> dict[str, object]:
    return {"case": worker.case, "name": kind, "ends": [], "faults": [[kind, words]]}


def _mebibytes(process: int) -> int:
    """Memory of a process now, 0 where the system does not say (proc(5))."""
    try:
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * 4096 >> 20
    except (OSError, IndexError):
        return 0


_BUILD = """
import sys
from pathlib import Path
from benchmarks.fuzz import prepare
prepare(Path(sys.argv[1]), sys.argv[2].split(","))
"""


def prepare(folder: Path, names: list[str]) -> None:
    """Write the sound files."""
    build(folder)
    if RARE in names:
        add_checkpoint(folder)


# The report


def report(lines: list[dict[str, object]]) -> str:
    """A table of cases by kind of file, and each fault."""
    table = [heading("file", "cases", *ENDS, *FAULTS)]
    kinds = [*dict.fromkeys(str(line["name"]) for line in lines)]
    for name in [*kinds, "all"]:
        own = [line for line in lines if name in (line["name"], "all")]
        ends = Counter(end for line in own for end in line["ends"])  # type: ignore[attr-defined]
        faults = Counter(kind for line in own for kind, _ in line["faults"])  # type: ignore[attr-defined]
        counted = sum(bool(line["ends"]) for line in own)
        table.append(
            row(name, counted, *(ends[end] for end in ENDS), *(faults[kind] for kind in FAULTS))
        )
    told = [
        f"- case {line['case']}: {kind}: {words}"
        for line in lines
        for kind, words in line["faults"]  # type: ignore[attr-defined]
    ]
    return "\n".join([*table, "", *told])


if __name__ == "__main__":
    main()
