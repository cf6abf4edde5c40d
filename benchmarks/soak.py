"""One process that evaluates, validates, builds and reads hostile files for hours.

    python -m benchmarks.soak --minutes 120

Each round scores two submissions with intervals and groups, validates, imports masks and COCO,
writes maps, merges shards, builds a leaderboard, and reads damaged files of every kind. Memory
(VmRSS of proc(5)), open files, threads and child processes are printed every minute. The first
tenth of the time fills caches and is not judged; of the rest, the memory of the first and the last
third are compared.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.common import heading, machine, row
from tests.hostile.targets import TARGETS, Outcome, build, call, run_case, run_sound

COMMANDS = (
    "evaluate a.h5 --annotations toy.h5 --bootstrap 20 --by area,boxes,class --counts "
    "--out out.json --per-image out.csv --quiet",
    "evaluate b.h5 --annotations toy.h5 --json --quiet",
    "validate a.h5 --annotations toy.h5 --quiet",
    "info a.h5 toy.h5 a.json",
    "compare a.json b.json --bootstrap 20 --json --quiet",
    "merge-results shards --annotations toy.h5 --json --quiet",
    "import masks masks --table table.csv --classes names.csv --out out.h5 --quiet",
    "import coco coco.json --out out-coco.h5 --quiet",
    "import boxes xml.tgz --corners from-1 --out out-boxes.h5 --quiet",
    "import-maps maps --annotations toy.h5 --out out-maps.h5 --quiet",
    "predict trivial:noise --annotations toy.h5 --out out-noise.h5 --quiet",
    "export coco toy.h5 --out out.coco.json",
    "leaderboard build --root lb",
    "leaderboard check --root lb",
)
GROWTH = 0.02
"""Share by which memory may differ between the two thirds and still count as flat."""


@dataclass(frozen=True)
class Sample:
    """What the process holds at one moment."""

    minute: float
    mebibytes: float
    files: int
    threads: int
    children: int
    rounds: int

    @classmethod
    def now(cls, start: float, rounds: int) -> Sample:
        status = Path("/proc/self/status").read_text().splitlines()
        resident = next(line for line in status if line.startswith("VmRSS"))
        children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
        return cls(
            (time.monotonic() - start) / 60,
            int(resident.split()[1]) / 1024,
            len(os.listdir("/proc/self/fd")),
            threading.active_count(),
            len(children),
            rounds,
        )

    def line(self) -> str:
        held = (self.files, self.threads, self.children, self.rounds)
        return row(f"{self.minute:.1f}", f"{self.mebibytes:.1f}", *held)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=120)
    parser.add_argument("--folder", type=Path, help="for the files, e.g. in memory")
    asked = parser.parse_args()
    print(machine("numpy", "h5py", "numba"))
    with tempfile.TemporaryDirectory(dir=asked.folder, prefix="soak-") as folder:
        samples, hostile = soak(Path(folder), 60 * asked.minutes)
    print(f"\n{samples[-1].rounds} rounds, {hostile} damaged files; {judged(samples)}")


def soak(folder: Path, seconds: float) -> tuple[list[Sample], int]:
    """Run rounds until the time is over; samples of each minute, and how many damaged files."""
    sound, work = folder / "sound", folder / "box" / "work"
    work.parent.mkdir()
    build(sound)
    kinds = [target for name, target in TARGETS.items() if name != "checkpoint"]
    expected = {target.name: run_sound(target, sound, work) for target in kinds}
    usual: dict[str, Outcome] = {}
    start = time.monotonic()
    samples = [Sample.now(start, 0)]
    print(heading("minute", "MiB", "open files", "threads", "children", "rounds"), flush=True)
    rounds = hostile = 0
    while (passed := time.monotonic() - start) < seconds:
        for command in COMMANDS:
            outcome = call(sound, command)
            for name in outcome.files:
                (sound / name).unlink(missing_ok=True)
            first = usual.setdefault(command, outcome)
            if (
                outcome.status != 0
                or outcome.stdout != first.stdout
                or outcome.files != first.files
            ):
                raise SystemExit(
                    f"round {rounds}: {command}: another end than in round 0: {outcome}"
                )
        for target in kinds:
            case = run_case(target, rounds, sound, work, expected[target.name])
            hostile += 1
            for fault in case.faults:
                print(f"fault: {fault}", flush=True)
        rounds += 1
        if passed >= 60 * len(samples) or time.monotonic() - start >= seconds:
            samples.append(Sample.now(start, rounds))
            print(samples[-1].line(), flush=True)
    return samples, hostile


def judged(samples: list[Sample]) -> str:
    """Whether memory and open files were flat after the first tenth."""
    rest = [one for one in samples if one.minute >= samples[-1].minute / 10]
    third = max(1, len(rest) // 3)
    first, last = (
        statistics.median(one.mebibytes for one in part) for part in (rest[:third], rest[-third:])
    )
    files = sorted({one.files for one in rest})
    flat = abs(last / first - 1) <= GROWTH and files[-1] - files[0] <= 8
    return (
        f"memory {first:.1f} MiB in the first third, {last:.1f} in the last "
        f"({100 * (last / first - 1):+.1f} %), {files[0]} to {files[-1]} open files: "
        f"{'flat' if flat else 'NOT FLAT'}"
    )


if __name__ == "__main__":
    main()
