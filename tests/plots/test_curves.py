"""Lines and marks are read back and compared with the curves that were scored."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tests.plots.samples import ENTRIES, legend, measured
from wsolbench import plots
from wsolbench.errors import WsolbenchError
from wsolbench.formats.result import Result
from wsolbench.leaderboard.entries import read_entry


def test_iou_curves_are_the_results_own_and_marked_at_the_peak(
    results: list[Result], ax: Axes
) -> None:
    assert plots.iou_threshold(results, ax) is ax
    lines = ax.get_lines()
    assert len(lines) == 4
    for result, line, peak in zip(results, lines[::2], lines[1::2], strict=True):
        np.testing.assert_array_equal(line.get_xdata(), np.arange(256))
        np.testing.assert_allclose(line.get_ydata(), 100 * np.array(result.curves["iou"]))
        (x,), (y,) = peak.get_data()
        assert x == result.scores["peak_threshold"]
        assert y == line.get_ydata()[x] == max(line.get_ydata())
        assert peak.get_color() == line.get_color()
    assert lines[0].get_color() != lines[2].get_color()
    assert lines[0].get_linestyle() != lines[2].get_linestyle()
    first = results[0].scores
    peak_text = f"{100 * first['peak_iou']:.2f} at {first['peak_threshold']}"
    assert legend(ax)[0] == f"method 1: {peak_text}"
    assert ax.get_legend().get_title().get_text() == "Peak-IoU at T\nrandom val"


def test_the_area_below_the_steps_of_precision_is_ap(results: list[Result], ax: Axes) -> None:
    plots.precision_recall(results, ax)
    assert len(ax.get_lines()) == 2
    for result, line in zip(results, ax.get_lines(), strict=True):
        assert line.get_drawstyle() == "steps-pre"  # from the corner before to its own, at its own
        x, y = line.get_data()
        area = (np.diff(x) * np.array(y)[1:]).sum() / 10_000
        assert area == pytest.approx(result.scores["ap"], abs=1e-12)
        corners = set(zip(result.curves["recall"], result.curves["precision"], strict=True))
        drawn = zip(np.array(x)[1:] / 100, np.array(y)[1:] / 100, strict=True)
        for r, p in drawn:
            assert min(abs(r - own) + abs(p - at) for own, at in corners) < 1e-12
    assert legend(ax)[1].endswith(f": {100 * results[1].scores['ap']:.2f}")


def test_box_accuracy_takes_the_curve_of_the_label(results: list[Result], ax: Axes) -> None:
    predicted = dataclasses.replace(
        results[1],
        label="predicted",
        curves={"threshold": [0, 1, 2], "predicted_loc": [0.5, 0.25, 0.0]},
    )
    plots.box_accuracy([results[0], predicted], ax)
    known, other = ax.get_lines()
    np.testing.assert_allclose(known.get_ydata(), 100 * np.array(results[0].curves["gt_known_loc"]))
    assert list(other.get_ydata()) == [50, 25, 0]
    assert legend(ax)[1].endswith(": 50.00")


def test_finer_thresholds_have_their_own_axis(results: list[Result], ax: Axes) -> None:
    scores = {"peak_iou": 0.5, "peak_threshold_fraction": 0.25}
    curves = {"threshold": [0, 0.25, 1.0], "iou": [0.1, 0.5, 0.0], "gt_known_loc": [0.0, 1.0, 0.5]}
    fine = dataclasses.replace(results[0], scores=scores, curves=curves)
    assert plots.curves_held([fine]) == ["iou", "box"]
    plots.iou_threshold([fine], ax)
    assert ax.lines[0].get_xdata().tolist() == [0, 0.25, 1]
    assert ax.lines[1].get_xdata().tolist() == [0.25]
    assert legend(ax)[0].endswith(": 50.00 at 0.25")
    assert ax.get_xlim() == (0, 1)


def test_a_curve_that_a_result_lacks_is_refused(results: list[Result], tmp_path: Path) -> None:
    with pytest.raises(WsolbenchError, match="kinds: found 'zzz', expected iou, precision-recall"):
        plots.save_curves(results, tmp_path / "q.png", ["zzz"])
    with pytest.raises(WsolbenchError, match="kinds: found an object of type str"):
        plots.save_curves(results, tmp_path / "q.png", "iou")
    pixels = {key: results[0].curves[key] for key in ("threshold", "iou")}
    less = dataclasses.replace(results[0], curves=pixels)
    assert plots.curves_held([results[1], less]) == ["iou"]
    with pytest.raises(WsolbenchError, match="no curve of box"):
        plots.save_curves([results[1], less], tmp_path / "c.png", ["iou", "box"])
    with pytest.raises(WsolbenchError, match=r"the extension \.gif, expected \.png, "):
        plots.save_curves(results, tmp_path / "c.gif")
    with pytest.raises(WsolbenchError, match="no kind of curve"):
        plots.save_curves(results, tmp_path / "c.png", [])
    assert list(tmp_path.iterdir()) == []


def test_an_entry_draws_as_its_result(results: list[Result]) -> None:
    """The same lines, under a name that tells the variant."""
    entry = measured(results[0], variant="K = 3")
    held = plots.curves_held([entry, results[0]])
    assert held == [name for name in plots.CURVES if name != "boundary"]
    for kind in map(plots.CURVES.__getitem__, held):
        ours, theirs = kind([entry], Figure().subplots()), kind([results[0]], Figure().subplots())
        assert len(ours.get_lines()) == len(theirs.get_lines()) > 0
        for one, other in zip(ours.get_lines(), theirs.get_lines(), strict=True):
            np.testing.assert_array_equal(one.get_xydata(), other.get_xydata())
        (text,) = legend(ours)
        assert text.startswith("CAM + SEM (K = 3): ")


def test_a_constant_map_is_one_point(results: list[Result]) -> None:
    """Above its level nothing is foreground: a recall of 0, which adds nothing to AP."""
    for level in (255, 100, 0):
        reached = np.arange(256) <= level
        curves = {
            "threshold": list(range(256)),
            "recall": np.where(reached, 1.0, 0.0).tolist(),
            "precision": np.where(reached, 0.25, 1.0).tolist(),
        }
        own = Figure().subplots()
        plots.precision_recall([dataclasses.replace(results[0], curves=curves), results[1]], own)
        point, steps = own.lines
        assert point.get_xydata().tolist() == [[100, 25]]
        assert (point.get_linestyle(), point.get_marker()) == ("None", "o")
        assert (steps.get_linestyle() != "None", steps.get_marker()) == (True, "None")


def test_a_reported_entry_has_no_curves_to_draw(results: list[Result], tmp_path: Path) -> None:
    reported = read_entry(ENTRIES / "ilsvrc" / "cam-vgg16-val-reported.json")
    bare = measured(results[0], curves={})
    for entry, message in (
        (reported, "entry of CAM on val: found a reported entry without curves, expected a meas"),
        (bare, "found a measured entry without curves"),
    ):
        with pytest.raises(WsolbenchError, match=message):
            plots.save_curves([results[0], entry], tmp_path / "c.png")
    less = measured(results[0], scores={"peak_iou": 0.5, "peak_threshold": 1})
    assert plots.curves_held([less]) == ["iou", "box"]  # AP is told in the legend
