"""Differences and their intervals are read back from the forest plot."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from tests.plots.samples import WASTE
from wsolbench import plots
from wsolbench.data.dataset import Dataset
from wsolbench.evaluation.comparison import Comparison, compare
from wsolbench.evaluation.evaluator import Evaluator
from wsolbench.evaluation.pairs import Pair
from wsolbench.formats.result import Bootstrap
from wsolbench.formats.submission.reader import Submission
from wsolbench.plots import style
from wsolbench.scores import SCORES, Better


@pytest.fixture(scope="module")
def comparison(folder: Path) -> Comparison:
    dataset = Dataset.open(folder / "s.h5")
    counted = []
    for name in ("left", "right"):
        submission = Submission.open(folder / f"{name}.h5")
        made = Evaluator(dataset, header=submission.header, keep_images=True)
        made.score(submission)
        counted.append(made.counts(made.result()))
    return compare(counted, Bootstrap(30))


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
    hollow = [line.get_fillstyle() == "none" for line in ax.lines if line.get_marker() == "o"]
    assert hollow == [pair.interval[0] <= 0 <= pair.interval[1] for pair in pairs]
    plots.save_forest(comparison, tmp_path / "f.svg")
    drawn = (tmp_path / "f.svg").read_text()  # a comment beside each text holds it
    assert all(
        text in drawn for text in (f"B {style.MINUS} A", "protocol sem;", "interval includes 0")
    )
    assert "threshold: max on this split" in drawn
    assert "toy val, 4 images, protocol" in drawn
    fewer = dataclasses.replace(comparison, images=3, maps=(4, 3))
    plots.save_forest(fewer, tmp_path / "f.svg")
    assert "toy val, 3 images of 4, common to all, protocol" in (tmp_path / "f.svg").read_text()
    other = dataclasses.replace(comparison, thresholds=("fixed at 9", "fixed at 8"))
    plots.save_forest(other, tmp_path / "f.svg")
    assert "threshold: fixed at 8" in (tmp_path / "f.svg").read_text()


def test_rows_say_which_direction_is_better(
    monkeypatch: pytest.MonkeyPatch, comparison: Comparison, tmp_path: Path
) -> None:
    """The second wastes 40.5 pixels fewer: its dot is on the left, where it is ahead."""
    monkeypatch.setitem(SCORES, "waste", WASTE)
    lower = Pair("waste", 0, 1, -40.5, (-60.0, -20.0), 0.99)
    higher = comparison.pairs[0]
    for pairs, ahead in (
        ([higher], "percentage points; B is ahead on the right of 0"),
        ([lower], "difference in the score's unit; B is ahead on the left of 0"),
        (
            [higher, lower],
            "percentage points or the score's unit\n"
            "B is ahead on the right of 0 (left if lower is better)",
        ),
    ):
        ax = Figure().subplots()
        drawn = dataclasses.replace(comparison, pairs=pairs)
        plots.differences(drawn, 0, 1, ax)
        assert ax.get_xlabel() == ahead
    titles = [label.get_text() for label in ax.get_yticklabels()]
    assert titles == [SCORES[higher.score].title, "Waste (lower is better)"]
    assert ax.lines[1].get_xdata()[0] == -40.5
    assert ax.lines[1].get_fillstyle() == "full"
    assert ax.texts[1].get_text() == "-40.50  [-60.00, -20.00]".replace("-", style.MINUS)
    figure = Figure(figsize=(5.2, 3), layout="constrained")
    plots.differences(drawn, 0, 1, figure.subplots())
    FigureCanvasAgg(figure).draw()
    label = figure.axes[0].xaxis.label.get_window_extent()
    assert figure.bbox.x0 <= label.x0 < label.x1 <= figure.bbox.x1  # nothing is cut off
    plots.save_forest(drawn, tmp_path / "f.svg")
    assert "(lower is better)" in (tmp_path / "f.svg").read_text()


def test_a_score_without_a_better_direction_puts_nobody_ahead(
    monkeypatch: pytest.MonkeyPatch, comparison: Comparison, ax: Axes
) -> None:
    monkeypatch.setitem(SCORES, "waste", dataclasses.replace(WASTE, better=Better.NEITHER))
    pairs = [Pair("waste", 0, 1, -40.5, (-60.0, -20.0), 0.99)]
    plots.differences(dataclasses.replace(comparison, pairs=pairs), 0, 1, ax)
    assert ax.get_xlabel() == "difference in the score's unit"
    assert ax.get_yticklabels()[0].get_text() == "Waste (no better direction)"
