"""Every block of commands and of Python on a page runs, or says why not."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.docs.conftest import LACKING
from tests.docs.pages import blocks, run
from wsolbench.formats.result import read_result

TUTORIALS = ("tutorials/method.md", "tutorials/explainers.md", "tutorials/benchmark.md")


def _two_epochs_teach_less_than_a_gaussian(printed: str) -> None:
    found = re.findall(r"^(?:CAM|HaS) mini - prior +([+-][\d.]+) ", printed, re.MULTILINE)
    assert len(found) == 2
    assert all(float(text) < -5 for text in found)


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


@pytest.mark.parametrize("page", TUTORIALS)
@pytest.mark.skipif(bool(LACKING), reason=f"not installed: {', '.join(LACKING)}")
def test_the_blocks_of_a_page_run(page: str, beside_demo: Path) -> None:
    names: dict[str, Any] = {}
    wanted = [block for block in blocks(page) if block.language in ("sh", "python")]
    printed = "".join(run(block, names) for block in wanted)
    if page in TOLD:
        TOLD[page](printed)
