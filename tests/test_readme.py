"""Every command and program of the README runs, in an empty folder and in the order it stands."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
MAKE = {"make demo", "make test"}
"""What runs the tests does not run in them; CI calls `make test`, and `make demo` is the demo."""


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("readme")


def call(command: list[str], folder: Path) -> str:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, env={**os.environ, "PATH": path}
    )
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def test_the_commands_run_and_sem_beats_cam(folder: Path) -> None:
    pytest.importorskip("torch", reason="the demo predicts maps")
    commands = [line for block in blocks("sh") for line in block.splitlines()]
    assert set(commands) > MAKE
    printed = {line: call(line.split(), folder) for line in commands if line not in MAKE}
    assert "threshold:from val" in printed["wsolbench demo --out demo"]
    hashes = [
        re.search(r"content_sha256 +(\w+)", call(["wsolbench", "info", name], folder)).group(1)
        for name in ("demo/mini.h5", "again.h5")
    ]
    assert hashes[0] == hashes[1]
    first, program = blocks("python")
    assert "SEM mini" in call([sys.executable, "-c", first], folder)
    lines = call([sys.executable, "-c", program], folder).splitlines()
    assert lines[-2:] == ["1.0", "torch.Size([56, 56])"]
    sem = float(lines[0].split()[0])
    table = call(["wsolbench", "info", "demo/cam-val.json", "--format", "csv"], folder)
    head, row = (line.split(",") for line in table.splitlines())
    assert sem > float(row[head.index("peak_iou")]) + 0.05


def test_the_pages_it_names_are_there() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", README)
    assert links
    outside = ("https://", "../../actions/workflows/")
    inside = [link for link in links if not link.startswith(outside)]
    assert [link for link in inside if not (ROOT / link).exists()] == []
    workflows = re.findall(r"actions/workflows/([^/)]+)", README)
    assert [name for name in workflows if not (ROOT / ".github/workflows" / name).exists()] == []


def numbers(cell: str) -> list[str]:
    return re.findall(r"[+-]?\d+\.\d+", cell)


def test_its_headline_is_that_of_the_real_run() -> None:
    """Each cell of the table is that of the same score and pair in docs/real-run.md."""
    (table,) = re.findall(
        r"^\| percentage points.*\n\|.*\n((?:\|.*\n)+)", README, flags=re.MULTILINE
    )
    page = (ROOT / "docs" / "real-run.md").read_text()
    (head, told) = re.findall(
        r"^(\| \| CAM - Gaussian .*)\n\|.*\n((?:\|.*\n)+)", page, flags=re.MULTILINE
    )[0]
    pairs = [cell.strip() for cell in head.split("|")[2:-1]]
    run = {}
    for line in told.splitlines():
        score, *cells = (cell.strip() for cell in line.split("|")[1:-1])
        run |= {(pair, score): numbers(cell)[:3] for pair, cell in zip(pairs, cells, strict=True)}
    (titles,) = re.findall(r"^\| percentage points[^|]*(.*)$", README, flags=re.MULTILINE)
    scores = [cell.strip() for cell in titles.split("|")[1:-1]]
    rows = [line.split("|")[1:-1] for line in table.splitlines()]
    assert len(rows) * len(scores) == 6
    for pair, *cells in rows:
        for score, cell in zip(scores, cells, strict=True):
            key = score.removeprefix("correct boxes (").removesuffix(")")
            assert numbers(cell) == run[pair.strip(), key], (pair, score)


def test_it_is_short() -> None:
    assert len(README.split()) < 900


@pytest.mark.parametrize("page", sorted((ROOT / "docs").rglob("*.md")), ids=lambda page: page.name)
def test_a_page_says_nothing_twice_and_its_links_lead_somewhere(page: Path) -> None:
    text = page.read_text()
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    told = re.findall(r"^(?:## .*|[^|\n].{60,})$", prose, flags=re.MULTILINE)
    assert [line for line in told if told.count(line) > 1] == []
    names = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text)
    assert [name for name in names if not (page.parent / name).exists()] == []
