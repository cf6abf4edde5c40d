"""One key below the panels: it covers nothing, fits the width, and tells twelve methods apart."""

from __future__ import annotations

import dataclasses
from itertools import combinations, pairwise
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from tests.plots.samples import with_seeds
from wsolbench import plots
from wsolbench.cli import cli
from wsolbench.cli.figure_options import look_options
from wsolbench.data.dataset import Dataset
from wsolbench.evaluation.cases import find_cases
from wsolbench.evaluation.comparison import Comparison
from wsolbench.evaluation.run import evaluate
from wsolbench.evaluation.verdict import Verdict
from wsolbench.formats.result import Result, read_result
from wsolbench.formats.submission.reader import Submission
from wsolbench.plots.compared import VERDICT_COLOURS
from wsolbench.plots.style import FIGURE_HEIGHT, FIGURE_WIDTHS, STYLES, look
from wsolbench.study.metric_picture import save_metric_study
from wsolbench.study.metrics import SHOWN, study_metrics

LONG = "A method whose name is long enough for two lines"


def twelve(result: Result) -> list[Result]:
    named = [
        dataclasses.replace(result, method={"name": f"Method {place}", "backbone": "vgg16"})
        for place in range(11)
    ]
    return [*named, dataclasses.replace(result, method={"name": LONG, "backbone": "vgg16"})]


def texts(figure: Figure) -> list[Text]:
    found = [text for text in figure.findobj(Text) if isinstance(text, Text)]
    return [text for text in found if text.get_text().strip() and text.get_visible()]


def test_no_two_of_many_lines_look_the_same() -> None:
    looks = [look(place) for place in range(140)]
    assert len(set(looks)) == 140
    first = looks[:12]
    assert len({(own.colour, str(own.dashes)) for own in first}) == 12
    assert len({own.colour for own in first}) == 7


@pytest.mark.parametrize(
    ("style", "width"), [("screen", None), ("paper", "column"), ("paper", "text")]
)
def test_the_key_covers_nothing(
    results: list[Result], figures: list[Figure], tmp_path: Path, style: str, width: str | None
) -> None:
    plots.save_curves(twelve(results[0]), tmp_path / "c.png", style=style, width=width)
    (figure,) = figures
    assert figure.legends == []
    assert all(ax.get_legend() is None for ax in figure.axes)
    boxes = {text: text.get_window_extent() for text in figure.texts}
    for one, other in combinations(boxes.values(), 2):
        apart = min(one.x1, other.x1) - max(one.x0, other.x0)
        assert apart <= 1 or min(one.y1, other.y1) - max(one.y0, other.y0) <= 1
    lowest = min(ax.get_tightbbox().y0 for ax in figure.axes)
    assert max(box.y1 for box in boxes.values()) <= lowest + 1
    for box in boxes.values():
        assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1 + 1
        assert figure.bbox.y0 - 1 <= box.y0
    told = " ".join(text.get_text() for text in figure.texts)
    assert told.count("vgg16") == 1  # said once, below
    assert told.count("random val") == 1
    assert all(f"Method {place}" in told for place in range(11))


@pytest.mark.parametrize("style", STYLES)
def test_labels_of_axes_are_whole(
    results: list[Result], figures: list[Figure], tmp_path: Path, style: str
) -> None:
    for width in (None, *FIGURE_WIDTHS):
        plots.save_curves(results, tmp_path / "c.png", style=style, width=width)
        (figure,) = figures
        for ax in figure.axes:
            box = ax.get_tightbbox()
            assert figure.bbox.x0 <= box.x0
            assert box.x1 <= figure.bbox.x1 + 1
            assert box.y1 <= figure.bbox.y1 + 1
        figures.clear()


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("kind", ["area", "class"])
def test_labels_of_groups_are_whole(
    folder: Path, figures: list[Figure], tmp_path: Path, kind: str, style: str
) -> None:
    maps = Submission.open(folder / "left.h5")
    result = evaluate(Dataset.open(folder / "s.h5"), maps, by=[kind])
    named = [
        dataclasses.replace(own, name="A name of 24 letters, all")
        for own in result.breakdowns[kind]
    ]
    result = dataclasses.replace(result, breakdowns={kind: named})
    for width in FIGURE_WIDTHS:
        plots.save_groups([result], kind, tmp_path / "g.png", style=style, width=width)
        (figure,) = figures
        for ax in figure.axes:
            assert ax.get_window_extent().height >= 80
            for text in (ax.xaxis.label, ax.yaxis.label, *ax.get_xticklabels()):
                box = text.get_window_extent()
                assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1
                assert figure.bbox.y0 <= box.y0 < box.y1 <= figure.bbox.y1
        figures.clear()


def test_pictures_of_a_column_fit_a_page_with_their_caption(
    results: list[Result],
    comparison: Comparison,
    figures: list[Figure],
    tmp_path: Path,
) -> None:
    out = tmp_path / "f.png"
    four = [dataclasses.replace(results[0], method={"name": f"Name {own}"}) for own in range(4)]
    kinds = ("iou", "precision-recall", "box")
    plots.save_curves(four, out, kinds, style="paper", width="column")
    pairs = [
        dataclasses.replace(pair, first=first, second=second)
        for first, second in combinations(range(3), 2)
        for pair in comparison.pairs
    ]
    three = dataclasses.replace(
        comparison,
        names=("A a", "B b", "C c"),
        thresholds=("max on this split",) * 3,
        pairs=pairs,
    )
    plots.save_forest(three, out, style="paper", width="column")
    assert [len(figure.axes) for figure in figures] == [3, 3]
    for figure in figures:
        assert figure.get_size_inches()[1] <= FIGURE_HEIGHT
        spans = sorted(ax.get_tightbbox().intervaly.tolist() for ax in figure.axes)
        for (_, top), (bottom, _) in pairwise(spans):
            assert bottom >= top - 1  # no panel covers another


@pytest.mark.parametrize("style", list(STYLES))
def test_headings_of_cases_fit_a_column(
    folder: Path, figures: list[Figure], tmp_path: Path, style: str
) -> None:
    dataset = Dataset.open(folder / "s.h5", images=folder / "photos")
    maps = Submission.open(folder / "left.h5")
    found = find_cases(dataset, maps)
    groups = {
        name: dataclasses.replace(group, images=12_300) for name, group in found.groups.items()
    }
    found = dataclasses.replace(found, images=50_000, groups=groups)
    plots.save_cases(dataset, maps, found, tmp_path / "c.png", style=style, width="column")
    figure = figures[0]
    figure.set_dpi(STYLES[style]["savefig.dpi"])
    FigureCanvasAgg(figure).draw()
    headings = [text for ax in figure.axes for text in ax.texts]
    assert len(headings) == 3
    for text in headings:
        assert text.get_window_extent().x1 <= figure.bbox.x1


@pytest.fixture
def drawn(
    folder: Path,
    results: list[Result],
    comparison: Comparison,
    figures: list[Figure],
    tmp_path: Path,
) -> dict[str, Figure]:
    """Each plot in the paper style, as wide as a column."""
    look_ = {"style": "paper", "width": "column"}
    dataset = Dataset.open(folder / "s.h5", images=folder / "photos")
    maps = [Submission.open(folder / f"{name}.h5") for name in ("left", "right")]
    scored = [read_result(folder / f"{name}.json") for name in ("left", "right")]
    peak = results[0].scores["peak_iou"]
    grouped = [evaluate(dataset, maps[0], by=["area"])]
    out = tmp_path / "f.png"
    calls = {
        "curves": lambda: plots.save_curves(results, out, **look_),
        "areas": lambda: plots.save_areas(dataset.store, out, **look_),
        "seed-counts": lambda: plots.save_seed_counts(
            [with_seeds(results[0], seeds, peak) for seeds in (1, 2)], out, **look_
        ),
        "forest": lambda: plots.save_forest(comparison, out, **look_),
        "verdict": lambda: plots.save_verdict(Verdict((comparison,), {}), out, **look_),
        "groups": lambda: plots.save_groups(grouped, "area", out, **look_),
        "maps": lambda: plots.save_maps(dataset, maps, out, ["p_0", "p_1"], scored, **look_),
        "cases": lambda: plots.save_cases(
            dataset, maps[0], find_cases(dataset, maps[0]), out, **look_
        ),
        "study metrics": lambda: save_metric_study(study_metrics(4), out, **look_),
    }
    made = {}
    for name, call in calls.items():
        call()
        (made[name],) = figures
        figures.clear()
    return made


def test_all_text_of_the_paper_style_has_8_points_and_fits_a_column(
    drawn: dict[str, Figure],
) -> None:
    for name, figure in drawn.items():
        assert figure.get_size_inches()[0] == 3.25, name
        assert {text.get_fontsize() for text in texts(figure)} == {8}, name
        for text in figure.texts:
            box = text.get_window_extent()
            assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1 + 1, (name, text)


@pytest.mark.parametrize("width", FIGURE_WIDTHS)
def test_the_study_of_the_scores_fits_a_page(
    figures: list[Figure], tmp_path: Path, width: str
) -> None:
    study = study_metrics(4)
    save_metric_study(study, tmp_path / "m.png", "paper", width)
    (figure,) = figures
    wide, high = figure.get_size_inches()
    assert (wide, high <= FIGURE_HEIGHT) == (FIGURE_WIDTHS[width], True)
    *grids, _ = figure.axes
    assert len(grids) == (2 if width == "column" else 1)
    assert sum(len(ax.texts) for ax in grids) == len(study.scores) * (len(SHOWN) + 1)
    for ax in grids:
        room = ax.get_window_extent().width / len(ax.get_xticks())
        assert all(text.get_window_extent().width <= room for text in ax.texts)


def test_commands_take_style_and_width(folder: Path, tmp_path: Path) -> None:
    photos = ["--annotations", folder / "s.h5", "--images", folder / "photos"]
    store = ["--annotations", folder / "s.h5"]
    maps = [folder / "left.h5", folder / "right.h5"]
    commands = {
        "curves": ["plot", "curves", folder / "left.json"],
        "areas": ["plot", "areas", folder / "s.h5"],
        "maps": ["plot", "maps", *maps, *photos, "--ids", "p_0"],
        "cases": ["plot", "cases", maps[0], *photos, "--quiet"],
    }
    commands["compare"] = ["compare", *maps, *store, "--bootstrap", 20, "--quiet"]
    for name, command in commands.items():
        out = tmp_path / f"{name}.png"
        files = ["--plot", out] if name == "compare" else ["--out", out]
        given = [*command, *files, "--style", "paper", "--width", "column"]
        done = CliRunner().invoke(cli, list(map(str, given)), catch_exceptions=False)
        assert done.exit_code == 0, done.output
        with Image.open(out) as opened:
            assert opened.width == int(300 * FIGURE_WIDTHS["column"]), name
    grid = tmp_path / "grid.png"
    given = [*commands["compare"], "--plot-verdict", grid, "--style", "paper", "--width", "text"]
    CliRunner().invoke(cli, list(map(str, given)), catch_exceptions=False)
    with Image.open(grid) as opened:
        assert opened.width == int(300 * FIGURE_WIDTHS["text"])
        seen = {
            tuple(own)
            for own in np.unique(np.asarray(opened.convert("RGB")).reshape(-1, 3), axis=0)
        }
    cells = {to_rgb(own) for name, own in VERDICT_COLOURS.items() if name != "equal"}
    assert seen & {tuple(round(255 * part) for part in own) for own in cells}


def test_options_name_every_style_and_width() -> None:
    command = click.Command("c")
    look_options(command)
    choices = {own.name: own.type.choices for own in command.params}
    assert choices == {"style": tuple(STYLES), "width": tuple(FIGURE_WIDTHS)}
