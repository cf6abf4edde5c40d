"""Scores over the number of seeds are read back from the figure."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tests.plots.samples import ENTRIES, WASTE, legend, measured, with_seeds
from wsolbench import plots
from wsolbench.errors import WsolbenchError
from wsolbench.formats.result import Result
from wsolbench.leaderboard.entries import read_entry
from wsolbench.scores import SCORES


def test_scores_are_drawn_over_the_seeds_in_order(results: list[Result], ax: Axes) -> None:
    """The order of the files is not that of the seeds; two backbones are two lines."""
    given = [
        with_seeds(results[0], 60, 0.5, backbone="vgg"),
        with_seeds(results[0], 1, 0.3, backbone="vgg"),
        with_seeds(results[0], 20, 0.75, backbone="vgg"),
        with_seeds(results[0], 20, 0.25, backbone="inception"),
    ]
    plots.seed_count_scores(given, ax)
    line, dots, best, *other = ax.get_lines()
    assert list(line.get_xdata()) == list(dots.get_xdata()) == [1, 20, 60]
    assert list(line.get_ydata()) == [30, 75, 50]
    assert [best.get_xdata()[0], best.get_ydata()[0]] == [20, 75]
    assert [list(other[0].get_xdata()), list(other[0].get_ydata())] == [[20], [25]]
    assert legend(ax) == ["SEM vgg: 75.00 at 20", "SEM inception: 25.00 at 20"]
    assert ax.get_xlabel() == "Seeds K"


def test_shares_are_drawn_as_percent(results: list[Result], ax: Axes) -> None:
    plots.seed_count_scores([with_seeds(results[0], share, 0.5) for share in (0.5, 0.25)], ax)
    assert list(ax.get_lines()[0].get_xdata()) == [25, 50]
    assert ax.get_xlabel() == "Seeds, share of the map (%)"


def test_the_papers_table_6_comes_out_of_its_entries(ax: Axes) -> None:
    entries = [read_entry(path) for path in ENTRIES.glob("ilsvrc/*number-of-seeds*-reported.json")]
    plots.seed_count_scores(entries, ax)
    line, *_ = ax.get_lines()
    assert list(line.get_xdata()) == list(ax.get_xticks()) == [1, 20, 40, 60, 80, 100]
    np.testing.assert_allclose(line.get_ydata(), [55.59, 55.99, 56.05, 55.95, 55.72, 55.41])
    assert legend(ax) == ["CAM + SEM: 56.05 at 40"]
    title = ax.get_legend().get_title().get_text()
    assert title == "Highest Peak-IoU\nILSVRC val, reported, backbone InceptionV3"
    boxes = Figure().subplots()
    plots.seed_count_scores(entries, boxes, "gt_known_loc")
    found = boxes.get_lines()[0].get_ydata()
    np.testing.assert_allclose(found, [66.43, 68.03, 68.75, 69.04, 68.92, 68.24])


def test_measured_entries_of_shares_make_a_line_a_split(ax: Axes) -> None:
    entries = [read_entry(path) for path in ENTRIES.glob("mini/cam-sem-*.json")]
    plots.seed_count_scores(entries, ax)
    lines = {line.get_label(): line for line in ax.get_lines() if "mini" in str(line.get_label())}
    assert len(lines) == 2
    for entry in entries:
        line = lines[f"CAM + SEM (mini {entry.split})"]
        (place,) = np.flatnonzero(np.isclose(line.get_xdata(), 100 * entry.seeds))
        assert line.get_ydata()[place] == 100 * entry.scores["peak_iou"]
    assert all(text.endswith(" %") for text in legend(ax))
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["5", "10", "20"]


def test_the_interval_of_an_entry_is_a_bar(results: list[Result], ax: Axes) -> None:
    entries = [
        measured(with_seeds(results[0], 20, 0.5), seeds=20, intervals={"peak_iou": [0.25, 0.75]}),
        measured(with_seeds(results[0], 40, 0.5), seeds=40),
    ]
    plots.seed_count_scores(entries, ax)
    (bars,) = ax.collections
    (bar,) = bars.get_segments()
    assert bar.tolist() == [[20, 25], [20, 75]]


def test_seeds_close_together_keep_ticks_that_can_be_read(results: list[Result], ax: Axes) -> None:
    plots.seed_count_scores([with_seeds(results[0], seeds, 0.5) for seeds in (1, 2, 100)], ax)
    assert 2 not in ax.get_xticks()


def test_points_that_belong_on_no_line_are_refused(results: list[Result], ax: Axes) -> None:
    one = with_seeds(results[0], 20, 0.5)
    other_size = dataclasses.replace(
        one, method={**one.method, "parameters": {"size": 448, "seeds": 40}}
    )
    pixel_only = dataclasses.replace(one, scores={"peak_iou": 0.5})
    for given, message in (
        ([results[0]], "method.parameters.seeds None, expected a number of SEM seeds"),
        ([with_seeds(results[0], True, 0.5)], "method.parameters.seeds True"),
        ([with_seeds(results[0], 20.0, 0.5)], r"method.parameters.seeds 20\.0"),
        ([measured(results[0])], "entry of CAM . SEM on val: found seeds None"),
        (
            [measured(one, seeds=1), measured(one, seeds=2, study="features")],
            "differences in other parameters",
        ),
        (
            [measured(one, seeds=1, variant="a"), measured(one, seeds=1, variant="b")],
            "the same seeds twice",
        ),
        ([with_seeds(results[0], "40", 0.5)], "method.parameters.seeds 40"),
        ([one, with_seeds(results[0], 0.1, 0.5)], "counts and shares: 20, 0.1"),
        ([one, one], "the same seeds twice"),
        ([one, other_size], "differences in other parameters"),
    ):
        with pytest.raises(WsolbenchError, match=message):
            plots.seed_count_scores(given, ax)
    with pytest.raises(WsolbenchError, match="no gt_known_loc"):
        plots.seed_count_scores([pixel_only], ax, "gt_known_loc")


def test_a_score_that_not_all_hold_has_no_panel(
    results: list[Result], figures: list[Figure], tmp_path: Path
) -> None:
    both = [with_seeds(results[0], seeds, 0.5) for seeds in (1, 2)]
    plots.save_seed_counts(both, tmp_path / "two.png")
    less = dataclasses.replace(both[0], scores={"peak_iou": 0.5})
    plots.save_seed_counts([less, both[1]], tmp_path / "one.png")
    two, one = figures
    assert (len(two.axes), len(one.axes)) == (2, 1)
    assert two.get_size_inches()[0] == 2 * one.get_size_inches()[0]
    panels = [figure.axes[0].get_tightbbox() for figure in figures]
    assert panels[0].height == pytest.approx(panels[1].height, abs=2)
    bare = dataclasses.replace(both[0], scores={"ap": 0.5})
    with pytest.raises(WsolbenchError, match="no score that all results have"):
        plots.save_seed_counts([bare, both[1]], tmp_path / "none.png")


def test_the_best_of_a_score_that_is_better_lower_is_the_lowest(
    monkeypatch: pytest.MonkeyPatch, results: list[Result], ax: Axes
) -> None:
    monkeypatch.setitem(SCORES, "waste", WASTE)
    given = [
        dataclasses.replace(with_seeds(results[0], seeds, 0.5), scores={"waste": waste})
        for seeds, waste in ((1, 340.0), (20, 120.5), (60, 200.0))
    ]
    plots.seed_count_scores(given, ax, "waste")
    line, _, best = ax.get_lines()
    assert list(line.get_ydata()) == [340, 120.5, 200]
    assert [best.get_xdata()[0], best.get_ydata()[0]] == [20, 120.5]
    assert legend(ax) == ["SEM: 120.50 at 20"]
    assert ax.get_legend().get_title().get_text() == "Lowest Waste\nrandom val"
    assert ax.get_ylabel() == "Waste"
