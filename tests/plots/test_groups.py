"""Scores of groups and their intervals are read back from the figure."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tests.plots.samples import WASTE
from wsolbench import plots
from wsolbench.data.dataset import Dataset
from wsolbench.errors import WsolbenchError
from wsolbench.evaluation.run import evaluate
from wsolbench.formats.result import Bootstrap, Result
from wsolbench.scores import SCORES


@pytest.fixture(scope="module")
def grouped(folder: Path) -> list[Result]:
    dataset = Dataset.open(folder / "s.h5")
    return [
        evaluate(dataset, folder / f"{name}.h5", by=["area", "class"], bootstrap=Bootstrap(30))
        for name in ("left", "right")
    ]


@pytest.mark.parametrize("kind", ["area", "class"])
def test_groups_are_drawn_with_their_intervals(grouped: list[Result], ax: Axes, kind: str) -> None:
    plots.group_scores(grouped, kind, "ap", ax)
    groups = grouped[0].breakdowns[kind]
    names = [label.get_text() for label in ax.get_xticklabels()]
    assert names == [f"{group.name} ({group.images})" for group in groups]
    assert list(ax.lines[0].get_ydata()) == [100 * group.scores["ap"] for group in groups]
    wide = [group.intervals["ap"] for group in groups if group.images > 1]
    drawn = [tuple(bar.get_paths()[0].vertices[:, 1]) for bar in ax.collections]
    assert drawn[: len(wide)] == [(100 * low, 100 * high) for low, high in wide]
    assert len(drawn) == 2 * len(wide)
    assert wide or kind == "area"


def test_many_groups_are_sorted_by_their_score(grouped: list[Result], ax: Axes) -> None:
    group = grouped[0].breakdowns["class"][0]
    many = [
        dataclasses.replace(group, name=f"c{n}", scores={"ap": (37 * n % 50) / 50})
        for n in range(50)
    ]
    wide = dataclasses.replace(grouped[0], breakdowns={"class": many})
    plots.group_scores([wide], "class", "ap", ax)
    assert list(ax.lines[0].get_ydata()) == pytest.approx([2 * n for n in range(50)])
    assert ax.get_xlabel() == "50 groups, sorted by score (%)"


def test_results_without_groups_cannot_be_drawn(
    grouped: list[Result], results: list[Result], tmp_path: Path
) -> None:
    with pytest.raises(WsolbenchError, match=r"no groups by area.*--by area"):
        plots.save_groups([grouped[0], results[0]], "area", tmp_path / "g.png")
    fewer = dataclasses.replace(grouped[1], breakdowns={"area": grouped[1].breakdowns["area"][1:]})
    with pytest.raises(WsolbenchError, match="different groups"):
        plots.save_groups([grouped[0], fewer], "area", tmp_path / "g.png")
    plots.save_groups(grouped, "area", tmp_path / "g.png")
    assert (tmp_path / "g.png").stat().st_size > 1000


def test_a_score_without_bounds_has_an_axis_of_its_own(
    monkeypatch: pytest.MonkeyPatch, figures: list[Figure], grouped: list[Result], tmp_path: Path
) -> None:
    monkeypatch.setitem(SCORES, "waste", WASTE)
    held = [
        dataclasses.replace(
            group,
            scores={**group.scores, "waste": 250.5 + n},
            intervals={"waste": [200.0 + n, 300.0 + n]},
        )
        for n, group in enumerate(grouped[0].breakdowns["area"])
    ]
    wide = dataclasses.replace(grouped[0], breakdowns={"area": held})
    ax, percent = Figure().subplots(2)
    plots.group_scores([wide], "area", "waste", ax)
    assert list(ax.lines[0].get_ydata()) == [250.5 + n for n in range(len(held))]
    assert ax.collections[0].get_paths()[0].vertices[:, 1].tolist() == [200, 300]
    assert ax.get_ylabel() == "Waste"
    assert ax.get_ylim()[0] > 102
    plots.group_scores([wide], "area", "ap", percent)
    assert (percent.get_ylabel(), percent.get_ylim()) == ("AP (%)", (0, 102))
    plots.save_groups([wide], "area", tmp_path / "with.png")
    monkeypatch.delitem(SCORES, "waste")
    plots.save_groups([wide], "area", tmp_path / "without.png")
    more, less = figures
    assert len(more.axes) == len(less.axes) + 1  # its record gives it a panel
