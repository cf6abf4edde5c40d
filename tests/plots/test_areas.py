"""Bars are read back and compared with the counts."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from tests.conftest import annotation
from tests.plots.samples import legend
from wsolbench import plots
from wsolbench.data.dataset import Dataset
from wsolbench.formats.annotations import AnnotationSet, write_store


def test_areas_are_counted_by_split_into_twentieths(tmp_path: Path) -> None:
    """Of 10 x 10 pixels: 1 and 4 lie below 5 %, 5 in the second bin, 99 and 100 in the last."""
    annotations = []
    for index, (area, split) in enumerate(
        [(1, "val"), (4, "val"), (5, "val"), (100, "val"), (99, "test")]
    ):
        mask = (np.arange(100) < area).reshape(10, 10)
        annotations.append(annotation(f"i{index}", mask, split=split))
    write_store(tmp_path / "s.h5", AnnotationSet("toy", annotations))
    counts = plots.count_area_rates(Dataset.open(tmp_path / "s.h5").store)
    assert {split: held.tolist() for split, held in counts.items()} == {
        "test": [0] * 19 + [1],
        "val": [2, 1] + [0] * 17 + [1],
    }


def test_bars_are_as_high_as_the_counts_and_do_not_overlap(ax: Axes) -> None:
    counts = {"val": [3, 0, 2, 1], "test": [0, 5, 1, 1]}
    plots.area_rates(counts, ax)
    assert [[bar.get_height() for bar in bars] for bars in ax.containers] == list(counts.values())
    bars = sorted((bar for bars in ax.containers for bar in bars), key=Rectangle.get_x)
    for place, bar in enumerate(bars):
        bin_ = place // 2
        assert 25 * bin_ < bar.get_x() < bar.get_x() + bar.get_width() < 25 * (bin_ + 1)
    for one, next_ in pairwise(bars):
        assert one.get_x() + one.get_width() <= next_.get_x() + 1e-9
    assert legend(ax) == ["val: 6 images", "test: 7 images"]
