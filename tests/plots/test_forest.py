"""Differences and their intervals are read back from the forest plot."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from tests.plots.samples import WASTE
from wsolbench import plots
from wsolbench.errors import WsolbenchError
from wsolbench.evaluation.comparison import Comparison
from wsolbench.evaluation.pairs import Pair
from wsolbench.plots import style
from wsolbench.scores import SCORES, Better


def test_a_forest_has_a_row_a_score(comparison: Comparison, ax: Axes, tmp_path: Path) -> None:
    plots.differences(comparison, 0, 1, ax)
    pairs = comparison.pairs
    assert [label.get_text() for label in ax.get_yticklabels()] == [
        SCORES[pair.score].title for pair in pairs
    ]
    bars = [tuple(bar.get_paths()[0].vertices[:, 0]) for bar in ax.collections]
    assert bars == [tuple(100 * end for end in pair.interval) for pair in pairs]
    dots = [line.get_xdata()[0] for line in ax.lines if line.get_marker() == "o"]
    assert dots == [100 * pair.difference for pair in pairs]
    plots.save_forest(comparison, tmp_path / "f.svg")
    drawn = (tmp_path / "f.svg").read_text()  # a comment beside each text holds it
    assert all(
        text in drawn
        for text in (
            f"B {style.MINUS} A",
            "toy val, 4 images; protocol sem; threshold: max on this split",
            "undecided",
            "95 % interval of 30 paired resamples, not corrected",
            "Holm's correction for",
        )
    )
    fewer = dataclasses.replace(comparison, images=3, maps=(4, 3))
    plots.save_forest(fewer, tmp_path / "f.svg")
    assert "toy val, 3 images of 4, common to all; protocol" in (tmp_path / "f.svg").read_text()
    other = dataclasses.replace(comparison, thresholds=("fixed at 9", "fixed at 8"))
    plots.save_forest(other, tmp_path / "f.svg")
    assert "threshold: fixed at 8" in (tmp_path / "f.svg").read_text()


def test_dots_are_filled_where_the_correction_leaves_a_difference_decided(
    comparison: Comparison, ax: Axes, tmp_path: Path
) -> None:
    """Two of the three intervals exclude 0; one of these is not decided after Holm."""
    given = (("ahead", 0.2), ("undecided", 0.1), ("undecided", -0.1))
    pairs = [
        dataclasses.replace(pair, interval=(low, 0.5), difference=0.3, verdict=verdict)
        for pair, (verdict, low) in zip(comparison.pairs[:3], given, strict=True)
    ]
    held = dataclasses.replace(comparison, pairs=pairs)
    plots.differences(held, 0, 1, ax)
    dots = [line for line in ax.lines if line.get_marker() == "o"]
    assert [dot.get_fillstyle() for dot in dots] == ["full", "none", "none"]
    assert [dot.get_color() for dot in dots] == [style.COLOURS[0], "#666666", "#666666"]
    for last, told in (("undecided", "undecided"), ("equal", "undecided or equal")):
        held.pairs[-1] = dataclasses.replace(pairs[-1], verdict=last)
        plots.save_forest(held, tmp_path / "f.svg")
        drawn = re.findall("<!-- (.*?) -->", (tmp_path / "f.svg").read_text())
        assert {"B ahead after Holm's correction", told} <= set(drawn)


@pytest.mark.parametrize("places", [(0, 9), (0, -1), (1, 1)])
def test_only_methods_and_scores_that_were_compared_are_drawn(
    comparison: Comparison, ax: Axes, places: tuple[int, int]
) -> None:
    with pytest.raises(WsolbenchError, match=r"first, second: found .*, expected 0, 1; name two"):
        plots.differences(comparison, *places, ax)
    with pytest.raises(WsolbenchError, match="scores: found 'nosuch'"):
        plots.differences(comparison, 0, 1, ax, ["nosuch"])


def test_units_have_axes_of_their_own(
    monkeypatch: pytest.MonkeyPatch, figures: list[Figure], comparison: Comparison, tmp_path: Path
) -> None:
    monkeypatch.setitem(SCORES, "waste", WASTE)
    points = comparison.pairs[:2]
    waste = Pair("waste", 0, 1, -40.5, (-60.0, -20.0), 0.99)
    held = dataclasses.replace(comparison, pairs=[points[0], waste, points[1]])
    assert plots.score_axes(held) == [[pair.score for pair in points], ["waste"]]
    first, second = Figure().subplots(2)
    plots.differences(held, 0, 1, first)
    plots.differences(held, 0, 1, second, ["waste"])
    assert len(first.get_yticklabels()) == 2
    assert [label.get_text() for label in second.get_yticklabels()] == ["Waste (lower is better)"]
    assert max(map(abs, first.get_xlim())) < 100 * 1.2
    assert second.get_xlim()[0] < -60
    plots.save_forest(held, tmp_path / "f.png")
    assert [len(ax.get_yticklabels()) for ax in figures[0].axes] == [2, 1]


def test_rows_say_which_direction_is_better(
    monkeypatch: pytest.MonkeyPatch, comparison: Comparison, tmp_path: Path
) -> None:
    """The second wastes 40.5 pixels fewer: its dot is on the left, where it is ahead."""
    monkeypatch.setitem(SCORES, "waste", WASTE)
    lower = Pair("waste", 0, 1, -40.5, (-60.0, -20.0), 0.99)
    higher = comparison.pairs[0]
    for pairs, keys, ahead in (
        ([higher], None, "percentage points\n< 0: A ahead; > 0: B ahead"),
        ([lower], None, "the score's own unit; < 0: B ahead; > 0: A ahead"),
        ([higher, lower], ["waste"], "the score's own unit; < 0: B ahead; > 0: A ahead"),
    ):
        figure = Figure(figsize=(5.2, 3), layout="constrained")
        ax = figure.subplots()
        drawn = dataclasses.replace(comparison, pairs=pairs)
        plots.differences(drawn, 0, 1, ax, keys)
        assert ax.get_xlabel() == ahead
        FigureCanvasAgg(figure).draw()
        label = ax.xaxis.label.get_window_extent()
        assert figure.bbox.x0 <= label.x0 < label.x1 <= figure.bbox.x1  # nothing is cut off
    assert ax.lines[0].get_xdata()[0] == -40.5
    assert ax.texts[0].get_text() == "-40.50  [-60.00, -20.00]".replace("-", style.MINUS)
    plots.save_forest(drawn, tmp_path / "f.svg")
    assert "(lower is better)" in (tmp_path / "f.svg").read_text()


def test_a_score_without_a_better_direction_puts_nobody_ahead(
    monkeypatch: pytest.MonkeyPatch, comparison: Comparison, ax: Axes
) -> None:
    monkeypatch.setitem(SCORES, "waste", dataclasses.replace(WASTE, better=Better.NEITHER))
    pairs = [Pair("waste", 0, 1, -40.5, (-60.0, -20.0), 0.99)]
    plots.differences(dataclasses.replace(comparison, pairs=pairs), 0, 1, ax)
    assert ax.get_xlabel() == "the score's own unit"
    assert ax.get_yticklabels()[0].get_text() == "Waste (no better direction)"
