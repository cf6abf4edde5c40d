"""Every block of commands and of Python on a page runs, or says why not."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.docs.conftest import LACKING
from tests.docs.pages import ROOT, Block, blocks, pages, run
from wsolbench.formats.result import read_result

ELSEWHERE = {
    "explaining.md": "explaining/test_explain.py",
    "imagenet.md": "test_imagenet.py",
    "submission-format.md": "formats/test_submission_reader.py",
    "torchmetrics.md": "test_torchmetrics_page.py",
}
"""Pages whose blocks another test runs."""

FRAGMENTS = {
    'ClassMapModel("resnet50", module,': "the module is the reader's",
    "maps = wsolbench.baselines.class_activation_maps(": "the class maps are the reader's",
    "from wsolbench import maps_of\n\nwriter.append": "network and explainer are the reader's",
}
"""Starts of Python blocks that are no programs, and why."""

REASONS = re.compile(
    r"# (?:(?:needs|installs|draws|trains|the start of|a test runs|a line of) \S|the options\b)"
)
"""What a block may begin with that is not run."""

COMMANDS = re.compile(r"^(?:wsolbench|python|pip|torchrun|export|eval|make) ", re.MULTILINE)


def _two_epochs_teach_less_than_a_gaussian(printed: str) -> None:
    found = re.findall(r"^(?:CAM|HaS) mini - prior +([+-][\d.]+) ", printed, re.MULTILINE)
    assert len(found) == 2
    assert all(float(text) < -10 for text in found)


def _grad_cam_points_and_sem_covers(printed: str) -> None:
    gradcam, sem = (
        read_result(f"explained/results/{name}.json").scores for name in ("gradcam", "sem")
    )
    assert gradcam["pointing_game"] == 1 > sem["pointing_game"]
    assert sem["iou_otsu"] > 1.8 * gradcam["iou_otsu"]


def _anyone_recomputes_the_entries(printed: str) -> None:
    assert printed.count(" intervals recomputed\n") == 2
    assert "board: fresh\n" in printed
    assert "cam-mini-val.json: reproduced\n" in printed
    assert json.loads(Path("output/scores.json").read_text())["peak_iou"] > 0.5


TOLD: dict[str, Callable[[str], None]] = {
    "tutorials/method.md": _two_epochs_teach_less_than_a_gaussian,
    "tutorials/explainers.md": _grad_cam_points_and_sem_covers,
    "tutorials/benchmark.md": _anyone_recomputes_the_entries,
}
"""What a page says of what its commands print."""


def runnable(page: str) -> list[Block]:
    """The blocks of a page that are run here."""
    found = [block for block in blocks(page) if block.language in ("sh", "python")]
    return [block for block in found if not block.text.startswith(tuple(FRAGMENTS))]


RUN = [page for page in pages() if page not in ELSEWHERE and runnable(page)]


@pytest.mark.slow
@pytest.mark.parametrize("page", RUN)
@pytest.mark.skipif(bool(LACKING), reason=f"not installed: {', '.join(LACKING)}")
def test_the_blocks_of_a_page_run(page: str, beside_demo: Path) -> None:
    wanted = runnable(page)
    for folder in ("leaderboard", "proposed/leaderboard", "base/leaderboard"):
        if any(f" {folder}" in block.text for block in wanted) or page == "leaderboard.md":
            shutil.copytree(ROOT / "leaderboard", folder)
    names: dict[str, Any] = {}
    printed = "".join(run(block, names) for block in wanted)
    if page in TOLD:
        TOLD[page](printed)


def test_pages_that_other_tests_run_are_read_by_them() -> None:
    for page, test in ELSEWHERE.items():
        assert page in (ROOT / "tests" / test).read_text(encoding="utf-8")
    used = "".join(block.text for page in pages() for block in blocks(page))
    assert [start for start in FRAGMENTS if start not in used] == []


@pytest.mark.parametrize("page", [page for page in pages() if blocks(page)])
def test_a_command_that_does_not_run_says_why(page: str) -> None:
    """Blocks of `sh` run; commands in other blocks begin with a line that gives the reason."""
    for block in blocks(page):
        assert block.language in ("sh", "python", "text"), block
        if block.language == "text" and COMMANDS.search(block.text):
            assert REASONS.match(block.text), f"{block} does not say why it is not run"
