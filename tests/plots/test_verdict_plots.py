"""Verdicts are read back from the grid, and from the matrix that twelve methods have instead."""

from __future__ import annotations

import dataclasses
from itertools import combinations
from pathlib import Path

import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from wsolbench import plots
from wsolbench.errors import WsolbenchError
from wsolbench.evaluation.comparison import Comparison
from wsolbench.evaluation.pairs import Pair
from wsolbench.evaluation.verdict import Verdict
from wsolbench.plots.compared import VERDICT_COLOURS
from wsolbench.plots.names import short_names
from wsolbench.plots.style import MINUS

PEAKS = (0.3, 0.5, 0.1, 0.45, 0.44, 0.43, 0.42, 0.41, 0.4, 0.39, 0.38, 0.37)


@pytest.fixture
def many(comparison: Comparison) -> Comparison:
    """Twelve methods: ahead in Peak-IoU by more than .1, behind in AP where the place is odd."""
    pairs = []
    for first, second in combinations(range(12), 2):
        gap = PEAKS[second] - PEAKS[first]
        verdict = "undecided" if abs(gap) <= 0.1 else "ahead" if gap > 0 else "behind"
        pairs.append(Pair("peak_iou", first, second, gap, (gap, gap), 0.9, verdict=verdict))
        other = "behind" if second == 1 else "equal"
        pairs.append(Pair("ap", first, second, 0.0, (0, 0), 0.5, verdict=other))
    return dataclasses.replace(
        comparison,
        names=tuple(f"Method {place} vgg16" for place in range(12)),
        backbones=("vgg16",) * 12,
        thresholds=("max on this split",) * 12,
        scores={"peak_iou": PEAKS, "ap": (0.5,) * 12},
        pairs=pairs,
        repeated={},
    )


def cells(ax: Axes) -> dict[tuple[float, float], tuple[str, str]]:
    """(column, row) of each cell: its text and its colour."""
    colours = {
        (patch.get_x() + 0.5, patch.get_y() + 0.5): to_hex(patch.get_facecolor())
        for patch in ax.patches
    }
    texts = {text.get_position(): text.get_text() for text in ax.texts}
    return {place: (texts[place], colour) for place, colour in colours.items()}


def test_a_matrix_counts_scores_that_the_row_is_ahead_and_behind_in(
    many: Comparison, ax: Axes
) -> None:
    plots.standing_matrix(Verdict((many,), {}), ax)
    order = sorted(range(12), key=lambda place: -PEAKS[place])
    letters = [chr(ord("A") + place) for place in order]
    assert [label.get_text() for label in ax.get_xticklabels()] == letters
    assert ax.get_yticklabels()[0].get_text() == "Method 1  50.00  B"
    drawn = cells(ax)
    assert len(drawn) == 12 * 11
    top, last = order.index(1), order.index(2)
    assert drawn[last, top] == ("+1", VERDICT_COLOURS["ahead"].lower())
    assert drawn[top, last] == (f"{MINUS}1", VERDICT_COLOURS["behind"].lower())
    first = order.index(0)  # B is ahead of A in Peak-IoU, and behind in AP
    assert drawn[first, top] == (f"+1\n{MINUS}1", VERDICT_COLOURS["mixed"].lower())
    near = order.index(3), order.index(4)
    assert drawn[near][1] == VERDICT_COLOURS["undecided"]
    assert drawn[near][0] == ""


def test_names_of_a_matrix_are_no_formulas_and_stay_left_of_their_scores(
    many: Comparison, ax: Axes
) -> None:
    arabic = "\u0637\u0631\u064a\u0642\u0629"
    held = dataclasses.replace(many, names=(arabic, "x_{1}$a$", *many.names[2:]))
    plots.standing_matrix(Verdict((held,), {}), ax)
    labels = ax.get_yticklabels()
    assert labels[0].get_text() == "x_{1}$a$  50.00  B"
    assert not any(label.get_parse_math() for label in labels)
    # Marks of direction: the score would stand left of a name that runs from right to left.
    assert f"\u200e{arabic}\u200e  30.00  A" in [label.get_text() for label in labels]


@pytest.mark.parametrize("width", [None, "column", "text"])
def test_twelve_methods_are_one_matrix_that_fits(
    many: Comparison, figures: list[Figure], tmp_path: Path, width: str | None
) -> None:
    plots.save_forest(many, tmp_path / "m.png", "paper", width)
    plots.save_verdict(Verdict((many,), {}), tmp_path / "v.png", "paper", width)
    assert (tmp_path / "m.png").read_bytes() == (tmp_path / "v.png").read_bytes()
    figure = figures[0]
    FigureCanvasAgg(figure).draw()
    (ax,) = figure.axes
    assert len(ax.patches) == 12 * 11
    for text in ax.texts:
        box = text.get_window_extent()
        side = ax.get_window_extent().width / 12
        assert box.width <= side
        assert box.height <= side + 2
    box = ax.get_tightbbox()
    assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1 + 1
    told = " ".join(text.get_text() for text in figure.texts)
    rows = " ".join(label.get_text() for label in ax.get_yticklabels())
    assert all(f"Method {place}" in told + rows for place in range(12))
    assert told.count("vgg16") == 1


def test_each_against_the_first_is_a_grid(
    many: Comparison, figures: list[Figure], tmp_path: Path
) -> None:
    pairs = [pair for pair in many.pairs if pair.first == 0]
    held = dataclasses.replace(many, pairs=pairs)
    for width in (None, "column"):
        plots.save_forest(held, tmp_path / "g.png", "paper", width)
        drawn = [cell for ax in figures[-1].axes for cell in cells(ax).values()]
        assert len(drawn) == 11 * 2
        told = [text.get_text() for text in figures[-1].texts]
        assert "equal in every resample" in told
        assert "=" in told  # the sign beside it
        assert "repeats another score, not counted" not in told


def test_brackets_and_signs_of_a_grid_are_explained(
    many: Comparison, ax: Axes, figures: list[Figure], tmp_path: Path
) -> None:
    pairs = [pair for pair in many.pairs if (pair.first, pair.second) == (0, 1)]
    held = dataclasses.replace(many, pairs=pairs, repeated={"ap": "peak_iou"})
    verdict = Verdict((held,), {})
    plots.verdict_grid(verdict, ax)
    assert ax.texts[0].get_text() == "+20.00 [+20.00, +20.00]"
    assert ax.texts[1].get_text().startswith("(")
    narrow = Figure().subplots()
    plots.verdict_grid(verdict, narrow, inches=0.2)
    assert narrow.texts[0].get_text() == "+"
    plots.save_verdict(verdict, tmp_path / "g.png")
    assert "repeats another score, not counted" in [text.get_text() for text in figures[0].texts]
    more = dataclasses.replace(many, pairs=[pair for pair in many.pairs if pair.first == 0])
    plots.save_verdict(Verdict((more,), {}), tmp_path / "g.png")
    one, eleven = (
        " ".join(text.get_text() for text in figure.texts).replace("\N{NO-BREAK SPACE}", " ")
        for figure in figures
    )
    level = " with 95 % intervals, not corrected"
    assert f"differences in percentage points{level}; verdicts: Holm's" in one
    assert "differences in percentage points; verdicts: Holm's" in eleven


def test_a_backbone_that_all_methods_share_is_said_once() -> None:
    two = ["vgg", "vgg"]
    assert short_names(["CAM vgg", "SEM vgg, seed 1"], two) == (["CAM", "SEM, seed 1"], "vgg")
    assert short_names(["CAM vgg", "SEM resnet"], ["vgg", "resnet"])[1] == ""
    assert short_names(["vgg", "SEM vgg"], two) == (["vgg", "SEM vgg"], "")
    assert short_names(["CAM vgg"], ["vgg"]) == (["CAM vgg"], "")
    assert short_names(["A b c", "D b c"], ["b c"] * 2) == (["A", "D"], "b c")


@pytest.mark.parametrize("backbones", [(), ("", ""), ("vgg", "vgg")])
def test_words_of_the_methods_own_names_stay(backbones: tuple[str, ...]) -> None:
    names = ["Centre blob", "Shifted blob"]
    assert short_names(names, backbones) == (names, "")


def test_columns_that_do_not_fit_follow_below_with_the_scores_that_they_have(
    many: Comparison, figures: list[Figure], tmp_path: Path
) -> None:
    """Three pairs under five protocols, of which the last have AP alone."""
    pairs = [pair for pair in many.pairs if pair.second < 3]
    whole = dataclasses.replace(many, pairs=pairs)
    less = dataclasses.replace(
        whole,
        pairs=[pair for pair in pairs if pair.score == "ap"],
        scores={"ap": whole.scores["ap"]},
    )
    named = [
        dataclasses.replace(own, protocol={**own.protocol, "name": f"p{place}"})
        for place, own in enumerate((whole, whole, less, less, less))
    ]
    plots.save_verdict(Verdict(tuple(named), {}), tmp_path / "g.png", "paper", "column")
    shapes = [
        (len(ax.get_xticklabels()), [label.get_text() for label in ax.get_yticklabels()])
        for ax in figures[0].axes
    ]
    assert shapes == [(3, ["Peak-IoU", "AP"])] * 2 + [(3, ["AP"])] * 3  # whole protocols
    assert sum(len(ax.patches) for ax in figures[0].axes) == 2 * 6 + 3 * 3
    with pytest.raises(WsolbenchError, match="found 'loud', expected screen or paper"):
        plots.save_verdict(Verdict(tuple(named), {}), tmp_path / "g.png", "loud")
