"""Every benchmark runs, at a tiny size; how fast it is, no test asks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

TINY = {
    "bootstrap": "--images 50 --resamples 20 --plain 3 --rounds 1",
    "boundary": "--images 1 --rounds 1",
    "competition": "--images 4",
    "dataloader": "--count 20 --rounds 1",
    "faults": "--moments 1 --interrupts 1 --only evaluate",
    "fuzz": "--cases 4 --workers 1 --only submission,coco",
    "guided": "--seconds 1 --only arrays",
    "jobs": "--images 140 --rounds 1",
    "kernels": "--images 1 --rounds 1",
    "limits": "--images 20 --rounds 1 --worst 1",
    "many": "--submissions 2 --images 4 --rounds 1",
    "protocols": "--images 2 --rounds 1",
    "scaling": "--images 20 40",
    "schedulers": "--images 30 --rounds 1 --shards 2 --after 0.01",
    "sem": "--batch 2 --side 8 --channels 16 --seeds 4 --rounds 1",
    "soak": "--minutes 0.02",
    "startup": "--images 10 --rounds 1 --compiled 0",
    "store": "--images 50",
    "submission": "--maps 100 --rounds 1",
    "training": "--quick",
    "writer_memory": "--counts 100",
}
NEEDS = {
    "boundary": "cv2",
    "dataloader": "torch",
    "guided": "atheris",
    "schedulers": "distributed",
    "sem": "torch",
    "training": "torch",
    "kernels": "cv2",
    "many": "cv2",
    "protocols": "cv2",
    "scaling": "cv2",
    "soak": "jinja2",
}


def run(name: str, *options: str) -> str:
    command = [sys.executable, "-m", f"benchmarks.{name}", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", TINY)
def test_it_runs(name: str) -> None:
    if name in NEEDS:
        pytest.importorskip(NEEDS[name])
    assert run(name, *TINY[name].split()).strip()


def test_every_benchmark_is_run_but_the_browser_and_the_checkouts() -> None:
    scripts = {path.stem for path in (ROOT / "benchmarks").glob("*.py")}
    assert scripts - set(TINY) == {"checkouts", "common", "page"}


def test_scaling_draws_a_picture(tmp_path: Path) -> None:
    pytest.importorskip("cv2")
    sizes, picture = tmp_path / "sizes.txt", tmp_path / "scaling.png"
    sizes.write_text("a.JPEG,30,20\nb.JPEG,20,30\n")
    printed = run("scaling", "--images", "3", "--sizes", str(sizes), "--plot", str(picture))
    assert "sizes.txt" in printed
    assert picture.read_bytes().startswith(b"\x89PNG")
