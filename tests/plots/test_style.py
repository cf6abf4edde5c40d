"""Files have the same bytes each time, and no style leaks out of a figure."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import pytest

from wsolbench import plots
from wsolbench.errors import WsolbenchError
from wsolbench.formats.result import Result


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_the_same_picture_has_the_same_bytes(
    results: list[Result], tmp_path: Path, suffix: str
) -> None:
    before = dict(matplotlib.rcParams)
    for name in ("a", "b"):
        plots.save_curves(results, tmp_path / f"{name}.{suffix}", style="paper")
    plots.save_curves(results, tmp_path / f"c.{suffix}")
    pictures = [(tmp_path / f"{name}.{suffix}").read_bytes() for name in "abc"]
    assert pictures[0] == pictures[1] != pictures[2]
    assert dict(matplotlib.rcParams) == before


def test_a_style_that_is_none_is_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(WsolbenchError, match="found loud, expected screen or paper"),
        plots.picture(tmp_path / "x.png", 1, 1, (1, 1), "loud"),
    ):
        pass
