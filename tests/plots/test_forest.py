"""Differences and their intervals are read back from the forest plot."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from matplotlib.axes import Axes

from wsolbench import plots
from wsolbench.data.dataset import Dataset
from wsolbench.evaluation.comparison import compare
from wsolbench.evaluation.evaluator import Evaluator
from wsolbench.formats.result import Bootstrap
from wsolbench.formats.submission.reader import Submission
from wsolbench.plots import style
from wsolbench.scores import SCORES


def test_a_forest_has_a_row_a_score(folder: Path, ax: Axes, tmp_path: Path) -> None:
    dataset = Dataset.open(folder / "s.h5")
    counted = []
    for name in ("left", "right"):
        submission = Submission.open(folder / f"{name}.h5")
        made = Evaluator(dataset, header=submission.header, keep_images=True)
        made.score(submission)
        counted.append(made.counts(made.result()))
    comparison = compare(counted, Bootstrap(30))
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
    assert all(text in drawn for text in (f"B {style.MINUS} A", "protocol sem;", "interval with 0"))
    assert "threshold: max on this split" in drawn
    other = dataclasses.replace(comparison, thresholds=("fixed at 9", "fixed at 8"))
    plots.save_forest(other, tmp_path / "f.svg")
    assert "threshold: fixed at 8" in (tmp_path / "f.svg").read_text()
