"""The notebook runs, and its cells show what is stored in it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from docs.make_notebook import NOTEBOOK, lines, run_cell
from tests.docs.conftest import LACKING

NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?")


def same(text: str, other: str) -> bool:
    """Whether two texts differ in numbers alone, and in these little: maps differ by machine.

    Little is 5 %, or ten of the last printed digit but no more than a half.
    """
    if NUMBER.sub("#", text) != NUMBER.sub("#", other):
        return False

    def near(own: str, there: str) -> bool:
        room = min(0.5, 10 * 10.0 ** -len(there.partition(".")[2]))
        return bool(float(own) == pytest.approx(float(there), rel=0.05, abs=room))

    pairs = zip(NUMBER.findall(text), NUMBER.findall(other), strict=True)
    return all(near(own, there) for own, there in pairs)


def test_scores_between_0_and_1_that_differ_are_told_apart() -> None:
    assert same("IoU 0.531, T 29", "IoU 0.529, T 29")
    assert not same("IoU 0.531", "IoU 0.437")
    assert not same("IoU 0.131", "IoU 0.155")
    assert not same("ahead, 0.531", "behind, 0.531")


@pytest.mark.skipif(bool(LACKING), reason=f"not installed: {', '.join(LACKING)}")
def test_the_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    for cell in (cell for cell in cells if cell["cell_type"] == "code"):
        printed, value = run_cell("".join(cell["source"]), names)
        told = "".join("".join(shown.get("text", ())) for shown in cell["outputs"])
        assert same(printed, told), f"{printed}\nstored: {told}"
        drawn = any("image/png" in shown.get("data", {}) for shown in cell["outputs"])
        assert drawn == hasattr(value, "savefig")


def test_the_notebook_is_small_and_tells_of_no_machine() -> None:
    text = NOTEBOOK.read_text(encoding="utf-8")
    assert len(text) < 40_000
    assert "/home" not in text
    assert "/tmp" not in text
    notebook = json.loads(text)
    assert notebook["nbformat"] == 4
    for cell in notebook["cells"]:
        assert cell["source"] == lines("".join(cell["source"]))
