"""Pictures show what was scored: lines, bars, boxes and colours are read back and compared."""

from __future__ import annotations

import dataclasses
from itertools import pairwise
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from click.testing import CliRunner
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from tests.conftest import annotation, random_dataset, random_maps
from wsolbench import plots
from wsolbench.cli import cli
from wsolbench.data.dataset import Dataset
from wsolbench.errors import WsolbenchError
from wsolbench.evaluation.comparison import compare
from wsolbench.evaluation.evaluator import Evaluator
from wsolbench.evaluation.overlays import choose_images, pair_results, read_overlays
from wsolbench.evaluation.run import evaluate
from wsolbench.formats.annotations import AnnotationSet, write_store
from wsolbench.formats.result import Bootstrap, Result
from wsolbench.formats.submission.reader import Submission, SubmissionHeader, SubmissionWriter
from wsolbench.leaderboard.entries import Entry, read_entry, read_scored
from wsolbench.metrics.boxes import largest_boxes
from wsolbench.metrics.levels import level_map
from wsolbench.plots import photos, style
from wsolbench.plots.photos import PREDICTED_BOX
from wsolbench.scores import SCORES

HEIGHT, WIDTH = 12, 18
ENTRIES = Path(__file__).resolve().parents[2] / "leaderboard" / "entries"


@pytest.fixture
def ax() -> Axes:
    return Figure().subplots()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos, a store of two splits, submissions of two methods, and their results."""
    root = tmp_path_factory.mktemp("plots")
    (root / "photos").mkdir()
    rng = np.random.default_rng(0)
    annotations = []
    for index in range(6):
        mask = np.zeros((HEIGHT, WIDTH), bool)
        mask[2 : 4 + index, 3:9] = True
        name = f"p_{index}"
        split = "val" if index < 4 else "test"
        annotations.append(annotation(name, mask, split=split))
        photo = rng.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
        Image.fromarray(photo).save(root / "photos" / f"{name}.png")
    write_store(root / "s.h5", AnnotationSet("toy", annotations))
    dataset = Dataset.open(root / "s.h5")
    for place, method in enumerate(("left", "right")):
        maps = rng.integers(0, 256, (4, 4, 6), dtype=np.uint8)
        header = SubmissionHeader("toy", "val", "gt", "none", {"name": f"${method}^"})  # no formula
        with SubmissionWriter(root / f"{method}.h5", header) as writer:
            ids = dataset.image_ids[:: 1 - 2 * place]  # in another order, row by row
            writer.append(ids, maps)
        evaluate(dataset, root / f"{method}.h5").write(root / f"{method}.json")
    return root


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> list[Result]:
    """Two methods on random images."""
    folder = tmp_path_factory.mktemp("curves")
    dataset = random_dataset(folder / "store.h5", 5)
    made = []
    for seed in (1, 2):
        header = SubmissionHeader("random", "val", "gt", "none", {"name": f"_method {seed}"})
        with SubmissionWriter(folder / f"{seed}.h5", header) as writer:
            for image_id, map_ in zip(dataset.image_ids, random_maps(5, seed), strict=True):
                writer.append([image_id], [map_])
        made.append(evaluate(dataset, folder / f"{seed}.h5"))
    return made


def with_seeds(result: Result, seeds: object, peak: float, **fields: object) -> Result:
    method = {"name": "SEM", "parameters": {"size": 224, "seeds": seeds}, **fields}
    scores = {**result.scores, "peak_iou": peak}
    return dataclasses.replace(result, method=method, scores=scores)


def measured(result: Result, **fields: object) -> Entry:
    """An entry of a result's numbers."""
    given = {
        "state": "measured",
        "method": "CAM",
        "post_processing": "SEM",
        "authors": "A. Author",
        "backbone": "vgg",
        "supervision": "image label",
        "dataset": result.dataset,
        "split": result.split,
        "label": result.label,
        "threshold": {"rule": "max"},
        "scores": result.scores,
        "curves": {k: v for k, v in result.curves.items() if k != "threshold"},
        "date": "2026",
        "provenance": {"protocol": result.protocol},
        **fields,
    }
    return Entry(**given)


def legend(ax: Axes) -> list[str]:
    return [text.get_text() for text in ax.get_legend().get_texts()]


# Curves


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
    peak_text = f"{100 * first['peak_iou']:.2f} at T = {first['peak_threshold']}"
    assert legend(ax)[0] == f"method 1 (random val): {peak_text}"


def test_precision_is_drawn_over_recall(results: list[Result], ax: Axes) -> None:
    plots.precision_recall(results, ax)
    assert len(ax.get_lines()) == 2
    for result, line in zip(results, ax.get_lines(), strict=True):
        np.testing.assert_allclose(line.get_xdata(), 100 * np.array(result.curves["recall"]))
        np.testing.assert_allclose(line.get_ydata(), 100 * np.array(result.curves["precision"]))
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
    assert legend(ax)[0].endswith(": 50.00 at T = 0.25")
    assert ax.get_xlim() == (0, 1)


def test_a_curve_that_a_result_lacks_is_refused(results: list[Result], tmp_path: Path) -> None:
    pixels = {key: results[0].curves[key] for key in ("threshold", "iou")}
    less = dataclasses.replace(results[0], curves=pixels)
    assert plots.curves_held([results[1], less]) == ["iou"]
    with pytest.raises(WsolbenchError, match="no curve of box"):
        plots.save_curves([results[1], less], tmp_path / "c.png", ["iou", "box"])
    with pytest.raises(WsolbenchError, match=r"the ending \.gif, expected \.png or"):
        plots.save_curves(results, tmp_path / "c.gif")
    with pytest.raises(WsolbenchError, match="no kind of curve"):
        plots.save_curves(results, tmp_path / "c.png", [])
    assert list(tmp_path.iterdir()) == []


def test_an_entry_draws_as_its_result(results: list[Result]) -> None:
    """The same lines, under a name that tells the variant."""
    entry = measured(results[0], variant="K = 3")
    for kind in plots.CURVES.values():
        ours, theirs = kind([entry], Figure().subplots()), kind([results[0]], Figure().subplots())
        assert len(ours.get_lines()) == len(theirs.get_lines()) > 0
        for one, other in zip(ours.get_lines(), theirs.get_lines(), strict=True):
            np.testing.assert_array_equal(one.get_xydata(), other.get_xydata())
        (text,) = legend(ours)
        assert text.startswith("CAM + SEM (K = 3) vgg (random val): ")


def test_names_that_are_alike_tell_their_seeds(results: list[Result], ax: Axes) -> None:
    one, two = (with_seeds(results[0], seeds, 0.5) for seeds in (1, 2))
    other = with_seeds(results[0], 1, 0.5, backbone="vgg")
    plots.box_accuracy([one, two, other], ax)
    names = [text.partition(":")[0] for text in legend(ax)]
    assert names == [
        "SEM (random val), seeds 1",
        "SEM (random val), seeds 2",
        "SEM vgg (random val)",
    ]


def test_the_one_point_of_a_constant_map_is_marked(results: list[Result], ax: Axes) -> None:
    held = {"threshold": list(range(256)), "recall": [1.0] * 256, "precision": [0.25] * 256}
    plots.precision_recall([dataclasses.replace(results[0], curves=held), results[1]], ax)
    marks = [line for line in ax.lines if line.get_marker() == "o"]
    assert [(line.get_xdata()[0], line.get_ydata()[0]) for line in marks] == [(100, 25)]


def test_names_that_are_alike_tell_their_normalisation(results: list[Result], ax: Axes) -> None:
    forms = ("max", "ivr:45")
    several = [
        dataclasses.replace(
            results[0], method={"name": "CAM", "parameters": {"size": 9, "normalisation": form}}
        )
        for form in forms
    ]
    plots.iou_threshold([*several, results[0]], ax)
    assert [text.partition(":4")[0].partition(": ")[0] for text in legend(ax)[:2]] == [
        f"CAM (random val), normalisation {form.partition(':')[0]}" for form in forms
    ]


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


def test_protocols_and_sources_are_not_mixed(results: list[Result], tmp_path: Path) -> None:
    one = with_seeds(results[0], 20, 0.5)
    reported = read_entry(next(ENTRIES.glob("ilsvrc/*number-of-seeds-k-1-val*.json")))
    elsewhere = {**reported.provenance, "paper": {"title": "Another paper"}}
    other_protocol = dataclasses.replace(one, protocol={**one.protocol, "sha256": "f" * 64})
    for pair, message in (
        ([one, reported], r"protocol sem\.v2 \(.*\), numbers reported in Rethinking"),
        ([reported, dataclasses.replace(reported, provenance=elsewhere)], "in Another paper, exp"),
        ([measured(one, seeds=40), other_protocol], r"protocol sem\.v2 \(ffffffff\), expected one"),
        ([], "found none"),
    ):
        with pytest.raises(WsolbenchError, match=message):
            plots.save_seeds(pair, tmp_path / "s.png")
    plots.save_curves([measured(one), one], tmp_path / "c.png")  # one protocol, two kinds of file
    assert [path.name for path in tmp_path.iterdir()] == ["c.png"]


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


# Areas


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


# Seeds


def test_scores_are_drawn_over_the_seeds_in_order(results: list[Result], ax: Axes) -> None:
    """The order of the files is not that of the seeds; two backbones are two lines."""
    given = [
        with_seeds(results[0], 60, 0.5, backbone="vgg"),
        with_seeds(results[0], 1, 0.3, backbone="vgg"),
        with_seeds(results[0], 20, 0.75, backbone="vgg"),
        with_seeds(results[0], 20, 0.25, backbone="inception"),
    ]
    plots.seed_scores(given, ax)
    line, dots, best, *other = ax.get_lines()
    assert list(line.get_xdata()) == list(dots.get_xdata()) == [1, 20, 60]
    assert list(line.get_ydata()) == [30, 75, 50]
    assert [best.get_xdata()[0], best.get_ydata()[0]] == [20, 75]
    assert [list(other[0].get_xdata()), list(other[0].get_ydata())] == [[20], [25]]
    assert legend(ax) == [
        "SEM vgg (random val): 75.00 at 20",
        "SEM inception (random val): 25.00 at 20",
    ]
    assert ax.get_xlabel() == "Seeds K"


def test_shares_are_drawn_as_percent(results: list[Result], ax: Axes) -> None:
    plots.seed_scores([with_seeds(results[0], share, 0.5) for share in (0.5, 0.25)], ax)
    assert list(ax.get_lines()[0].get_xdata()) == [25, 50]
    assert ax.get_xlabel() == "Seeds, share of the map (%)"


def test_the_papers_table_6_comes_out_of_its_entries(ax: Axes) -> None:
    entries = [read_entry(path) for path in ENTRIES.glob("ilsvrc/*number-of-seeds*-reported.json")]
    plots.seed_scores(entries, ax)
    line, *_ = ax.get_lines()
    assert list(line.get_xdata()) == list(ax.get_xticks()) == [1, 20, 40, 60, 80, 100]
    np.testing.assert_allclose(line.get_ydata(), [55.59, 55.99, 56.05, 55.95, 55.72, 55.41])
    assert legend(ax) == ["CAM + SEM InceptionV3 (ILSVRC val, reported): 56.05 at 40"]
    boxes = Figure().subplots()
    plots.seed_scores(entries, boxes, "gt_known_loc")
    found = boxes.get_lines()[0].get_ydata()
    np.testing.assert_allclose(found, [66.43, 68.03, 68.75, 69.04, 68.92, 68.24])


def test_measured_entries_of_shares_make_a_line_a_split(ax: Axes) -> None:
    entries = [read_entry(path) for path in ENTRIES.glob("mini/cam-sem-*.json")]
    plots.seed_scores(entries, ax)
    lines = {line.get_label(): line for line in ax.get_lines() if "mini" in str(line.get_label())}
    assert len(lines) == 2
    for entry in entries:
        text = f"CAM + SEM mini (mini {entry.split}): "
        (line,) = (line for label, line in lines.items() if str(label).startswith(text))
        (place,) = np.flatnonzero(np.isclose(line.get_xdata(), 100 * entry.seeds))
        assert line.get_ydata()[place] == 100 * entry.scores["peak_iou"]
    assert all(text.endswith(" %") for text in legend(ax))
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["5", "10", "20"]


def test_the_interval_of_an_entry_is_a_bar(results: list[Result], ax: Axes) -> None:
    entries = [
        measured(with_seeds(results[0], 20, 0.5), seeds=20, intervals={"peak_iou": [0.25, 0.75]}),
        measured(with_seeds(results[0], 40, 0.5), seeds=40),
    ]
    plots.seed_scores(entries, ax)
    (bars,) = ax.collections
    (bar,) = bars.get_segments()
    assert bar.tolist() == [[20, 25], [20, 75]]


def test_seeds_close_together_keep_ticks_that_can_be_read(results: list[Result], ax: Axes) -> None:
    plots.seed_scores([with_seeds(results[0], seeds, 0.5) for seeds in (1, 2, 100)], ax)
    assert 2 not in ax.get_xticks()


def test_points_that_belong_on_no_line_are_refused(results: list[Result], ax: Axes) -> None:
    one = with_seeds(results[0], 20, 0.5)
    other_size = dataclasses.replace(
        one, method={**one.method, "parameters": {"size": 448, "seeds": 40}}
    )
    pixel_only = dataclasses.replace(one, scores={"peak_iou": 0.5})
    for given, message in (
        ([results[0]], "method.parameters.seeds None, expected a count"),
        ([with_seeds(results[0], True, 0.5)], "method.parameters.seeds True"),
        ([with_seeds(results[0], 20.0, 0.5)], r"method.parameters.seeds 20\.0"),
        ([measured(results[0])], "entry of CAM . SEM on val: found seeds None"),
        (
            [measured(one, seeds=1), measured(one, seeds=2, study="features")],
            "other parameters that differ too",
        ),
        (
            [measured(one, seeds=1, variant="a"), measured(one, seeds=1, variant="b")],
            "the same seeds twice",
        ),
        ([with_seeds(results[0], "40", 0.5)], "method.parameters.seeds 40"),
        ([one, with_seeds(results[0], 0.1, 0.5)], "counts and shares: 20, 0.1"),
        ([one, one], "the same seeds twice"),
        ([one, other_size], "other parameters that differ too"),
    ):
        with pytest.raises(WsolbenchError, match=message):
            plots.seed_scores(given, ax)
    with pytest.raises(WsolbenchError, match="no gt_known_loc"):
        plots.seed_scores([pixel_only], ax, "gt_known_loc")


def test_a_score_that_not_all_hold_has_no_panel(results: list[Result], tmp_path: Path) -> None:
    both = [with_seeds(results[0], seeds, 0.5) for seeds in (1, 2)]
    plots.save_seeds(both, tmp_path / "two.png")
    less = dataclasses.replace(both[0], scores={"peak_iou": 0.5})
    plots.save_seeds([less, both[1]], tmp_path / "one.png")
    with Image.open(tmp_path / "two.png") as two, Image.open(tmp_path / "one.png") as one:
        assert two.size == (2 * one.width, one.height)
    bare = dataclasses.replace(both[0], scores={"ap": 0.5})
    with pytest.raises(WsolbenchError, match="no score that all of them hold"):
        plots.save_seeds([bare, both[1]], tmp_path / "none.png")


# Maps


def rectangles(ax: Axes, colour: str) -> list[tuple[float, float, float, float]]:
    """(x0, y0, x1, y1) of the frames of one colour."""
    return [
        (p.get_x(), p.get_y(), p.get_x() + p.get_width(), p.get_y() + p.get_height())
        for p in ax.patches
        if p.get_edgecolor()[:3] == to_rgb(colour)
    ]


def test_boxes_keep_their_numbers_and_colours(ax: Axes) -> None:
    photo = np.zeros((6, 8, 3), np.uint8)
    levels = np.arange(48, dtype=np.uint8).reshape(6, 8)
    true = np.array([[1, 2, 4, 6], [0, 0, 8, 1]], np.int32)
    plots.map_with_boxes(photo, levels, true, np.array([2, 1, 7, 5], np.int32), ax)
    assert rectangles(ax, photos.TRUE_BOX) == [(1, 2, 4, 6), (0, 0, 8, 1)]
    assert rectangles(ax, photos.PREDICTED_BOX) == [(2, 1, 7, 5)]
    assert (ax.get_xlim(), ax.get_ylim()) == ((0, 8), (6, 0))
    map_ = ax.get_images()[1]
    np.testing.assert_array_equal(map_.get_array(), levels)
    assert map_.get_clim() == (0, 255)  # the map's own extremes do not set its colours
    assert map_.get_extent() == [0, 8, 6, 0]


def test_no_predicted_box_draws_none(ax: Axes) -> None:
    photo, levels = np.zeros((6, 8, 3), np.uint8), np.zeros((6, 8), np.uint8)
    plots.map_with_boxes(photo, levels, np.array([[1, 2, 4, 6]], np.int32), None, ax)
    assert rectangles(ax, photos.PREDICTED_BOX) == []
    assert len(rectangles(ax, photos.TRUE_BOX)) == 1


@pytest.mark.parametrize("box", [(2, 1, 6, 4), (0, 0, 8, 6)], ids=["inside", "whole image"])
def test_the_outline_goes_around_the_mask(ax: Axes, box: tuple[int, int, int, int]) -> None:
    x0, y0, x1, y1 = box
    mask = np.zeros((6, 8), bool)
    mask[y0:y1, x0:x1] = True
    plots.photo_with_mask(np.zeros((6, 8, 3), np.uint8), mask, ax)
    points = ax.collections[0].get_paths()[0].vertices
    assert [*points.min(axis=0), *points.max(axis=0)] == [x0, y0, x1, y1]


def test_pixels_are_the_blend_of_photo_and_map() -> None:
    """A photo of two greys under a map of two levels: four colours, each 40 x 40 dots."""
    photo = np.zeros((2, 2, 3), np.uint8)
    photo[1] = 200
    levels = np.array([[0, 255], [0, 255]], np.uint8)
    figure = Figure(figsize=(0.8, 0.8), dpi=100)
    ax = figure.add_axes((0, 0, 1, 1))
    canvas = FigureCanvasAgg(figure)
    plots.map_with_boxes(photo, levels, np.zeros((0, 4), np.int32), None, ax)
    canvas.draw()
    drawn = np.asarray(canvas.buffer_rgba())[:, :, :3].astype(float)
    low, high = (255 * np.array(to_rgb(colour)) for colour in ("#0d0887", "#f0f921"))
    for row, grey in ((0, 0), (1, 200)):
        for column, colour in ((0, low), (1, high)):
            found = drawn[40 * row + 8 : 40 * row + 32, 40 * column + 8 : 40 * column + 32]
            expected = 0.65 * colour + 0.35 * grey
            assert np.abs(found - expected).max() < 4


def test_a_mask_is_white_on_black_and_a_photo_itself(ax: Axes) -> None:
    mask = np.array([[True, False, False]])
    plots.mask_alone(mask, ax)
    (image,) = ax.get_images()
    assert image.cmap(image.norm(mask))[0, :, 0].tolist() == [1, 0, 0]
    photo = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    plots.photo_alone(photo, ax)
    np.testing.assert_array_equal(ax.get_images()[1].get_array(), photo)
    assert ax.get_xticks().tolist() == []


def test_overlays_hold_the_maps_and_boxes_that_were_scored(folder: Path) -> None:
    dataset = Dataset.open(folder / "s.h5", images=folder / "photos")
    maps = [Submission.open(folder / f"{name}.h5") for name in ("left", "right")]
    scored = [evaluate(dataset, opened) for opened in maps]
    paired = pair_results(maps, scored[::-1])  # the file tells which, not the place
    assert [result.name for result in paired if result] == ["$left^", "$right^"]
    shown = list(read_overlays(dataset, maps, ["p_2", "p_0"], paired))
    assert [overlay.image_id for overlay in shown] == ["p_2", "p_0"]
    for overlay in shown:
        index = dataset.image_ids.index(overlay.image_id)
        np.testing.assert_array_equal(overlay.photo, np.asarray(dataset.read_image(index)))
        np.testing.assert_array_equal(overlay.mask, dataset[index].mask)
        for opened, result, drawn in zip(maps, scored, overlay.maps, strict=True):
            (map_,) = opened.read([opened.image_ids.index(overlay.image_id)])
            levels = level_map(map_, HEIGHT, WIDTH)
            np.testing.assert_array_equal(drawn.levels, levels)
            box = largest_boxes(levels)[result.scores["box_threshold"]]
            np.testing.assert_array_equal(drawn.box, box)
    (without,) = read_overlays(dataset, maps, ["p_1"], [None, None])
    assert [drawn.box for drawn in without.maps] == [None, None]


def test_boxes_of_the_submission_are_drawn_as_they_are(folder: Path, tmp_path: Path) -> None:
    dataset = Dataset.open(folder / "s.h5", images=folder / "photos")
    header = SubmissionHeader("toy", "val", "gt", "none", {"name": "boxes"})
    boxes = np.array([[index, 1, 9, 8] for index in range(4)], np.int32)
    with SubmissionWriter(tmp_path / "b.h5", header) as writer:
        writer.append(dataset.image_ids, np.zeros((4, 2, 2), np.float32), boxes=boxes)
    (shown,) = read_overlays(dataset, [Submission.open(tmp_path / "b.h5")], ["p_3"], [None])
    assert shown.maps[0].box is not None
    assert shown.maps[0].box.tolist() == [3, 1, 9, 8]


def test_images_are_chosen_by_the_seed_among_those_that_all_have(folder: Path) -> None:
    dataset = Dataset.open(folder / "s.h5")
    maps = [Submission.open(folder / "left.h5")]
    chosen = [choose_images(dataset, maps, 2, np.random.default_rng(seed)) for seed in range(9)]
    assert chosen[0] == choose_images(dataset, maps, 2, np.random.default_rng(0))
    assert len({tuple(ids) for ids in chosen}) > 1
    assert all(ids == sorted(set(ids)) and len(ids) == 2 for ids in chosen)
    with pytest.raises(WsolbenchError, match="found 5, expected 1 to 4"):
        choose_images(dataset, maps, 5, np.random.default_rng(0))


def test_what_does_not_belong_together_is_refused(folder: Path, tmp_path: Path) -> None:
    dataset = Dataset.open(folder / "s.h5", images=folder / "photos")
    maps = [Submission.open(folder / "left.h5")]
    scored = evaluate(dataset, maps[0])
    target = tmp_path / "m.png"
    for images, given, message in (
        (["nothing"], [], r"s\.h5, split val: found no image nothing"),
        ([], [], "found 0 of them, expected 1 to 40"),
        (["p_0"] * 41, [], "found 41 of them"),
        (
            ["p_0"],
            [dataclasses.replace(scored, submission_sha256="0" * 64)],
            "submission 00000000",
        ),
        (["p_0"], [scored, scored], "a second result of one submission"),
        (["p_0"], [dataclasses.replace(scored, scores={"ap": 0.5})], "no box_threshold"),
    ):
        with pytest.raises(WsolbenchError, match=message):
            plots.save_maps(dataset, maps, target, images, given)
    test = Dataset.open(folder / "s.h5", "test", folder / "photos")
    with pytest.raises(WsolbenchError, match="maps of split 'val', expected 'test'"):
        plots.save_maps(test, maps, target, ["p_4"])
    assert list(tmp_path.iterdir()) == []


# The command line


def test_the_commands_draw(folder: Path, results: list[Result], tmp_path: Path) -> None:
    for seeds in (1, 2):
        with_seeds(results[0], seeds, 0.5).write(tmp_path / f"{seeds}.json")

    def plot(*arguments: object) -> str:
        command = ["plot", *map(str, arguments)]
        return CliRunner().invoke(cli, command, catch_exceptions=False).output

    photos = ["--annotations", folder / "s.h5", "--images", folder / "photos"]
    maps = ["maps", folder / "left.h5", folder / "right.h5", *photos]
    out = tmp_path / "areas.svg"
    assert plot("areas", folder / "s.h5", "--out", out) == f"{out}: 6 objects\n"
    out = tmp_path / "seeds.pdf"
    given = [tmp_path / "1.json", tmp_path / "2.json"]
    assert plot("seeds", *given, "--out", out, "--style", "paper") == f"{out}: 2 results\n"
    out = tmp_path / "maps.png"
    chosen = plot(*maps, "--count", 3, "--seed", 1, "--out", out)
    assert chosen.count("p_") == 3
    assert plot(*maps, "--count", 3, "--seed", 1, "--out", out) == chosen
    assert plot(*maps, "--ids", "p_1, p_0", "--out", out) == f"{out}: p_1, p_0\n"
    assert plot(*maps, "--ids", "p_1", "--ids", "p_0,p_2", "--out", out).endswith("p_1, p_0, p_2\n")
    plot(*maps, "--ids", "p_1,p_0", "--out", out)
    without = np.asarray(Image.open(out).convert("RGB"))
    plot(*maps, "--ids", "p_1,p_0", "--result", folder / "left.json", "--out", out)
    boxed = np.asarray(Image.open(out).convert("RGB"))
    green = np.array([round(255 * value) for value in to_rgb(PREDICTED_BOX)])
    assert not (without == green).all(axis=2).any()
    assert (boxed == green).all(axis=2).sum() > 100
    assert "excludes" in plot(*maps, "--ids", "p_1", "--count", 2, "--out", out)
    with pytest.raises(WsolbenchError, match="name another file"):
        plot(*maps, "--out", folder / "left.h5")


def test_results_entries_and_submissions_draw_the_same(folder: Path, tmp_path: Path) -> None:
    """All three hold the same numbers; a picture of the submission is that of its result."""

    def plot(*arguments: object) -> str:
        command = ["plot", *map(str, arguments), "--quiet"]
        return CliRunner().invoke(cli, command, catch_exceptions=False).output

    store = ["--annotations", folder / "s.h5"]
    pictures = []
    for suffix in ("json", "h5"):
        out = tmp_path / f"{suffix}.png"
        files = [folder / f"left.{suffix}", folder / "right.json"]
        assert plot("curves", *files, *store, "--out", out) == f"{out}: 2 results\n"
        pictures.append(out.read_bytes())
    assert pictures[0] == pictures[1]
    entries = sorted(ENTRIES.glob("mini/*-val.json"))
    out = tmp_path / "entries.png"
    assert plot("curves", *entries, "--out", out) == f"{out}: {len(entries)} results\n"
    entries = sorted(ENTRIES.glob("ilsvrc/*number-of-seeds*.json"))
    assert plot("seeds", *entries, "--out", out, "--style", "paper") == f"{out}: 6 results\n"
    for arguments, message in (
        (["curves", folder / "left.h5", "--out", out], "found no --annotations"),
        (["curves", folder / "left.h5", *store, "--out", "c.gif"], r"the ending \.gif"),
        (["curves", folder / "left.h5", *store, "--out", folder / "s.h5"], "the name of another"),
        (["curves", folder / "s.h5", *store, "--out", out], "found 'wsolbench-annotations'"),
        (["curves", folder / "left.h5", tmp_path / "none", *store, "--out", out], "no such file"),
        (["curves", entries[0], "--out", out], "a reported entry without curves"),
        (["seeds", folder / "left.h5", *store, "--out", out], "method.parameters.seeds None"),
    ):
        with pytest.raises(WsolbenchError, match=message):
            plot(*arguments)


def test_a_file_tells_whether_it_is_a_result_or_an_entry(folder: Path, tmp_path: Path) -> None:
    assert isinstance(read_scored(folder / "left.json"), Result)
    path = next(ENTRIES.glob("mini/*.json"))
    assert read_scored(path) == read_entry(path)
    (tmp_path / "e.json").write_text('{"format": "wsolbench-entry"}')
    with pytest.raises(WsolbenchError, match="no entry: entry: no authors"):
        read_scored(tmp_path / "e.json")
    for text in ("", "[]", "{", '{"format": "other"}', " " * (1 << 19)):
        (tmp_path / "e.json").write_text(text)
        with pytest.raises(WsolbenchError, match=r"no result file|another kind"):
            read_scored(tmp_path / "e.json")


def test_the_pictures_of_readme_and_docs_are_small() -> None:
    pictures = Path(__file__).resolve().parents[2] / "docs" / "pictures"
    sizes = {path.name: path.stat().st_size for path in pictures.glob("*.png")}
    names = {"curves", "strip", "scaling", "differences", "cases"}
    assert sizes.keys() == {f"{name}.png" for name in names}
    assert sum(sizes.values()) < 600_000


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
    with pytest.raises(WsolbenchError, match="other groups"):
        plots.save_groups([grouped[0], fewer], "area", tmp_path / "g.png")
    plots.save_groups(grouped, "area", tmp_path / "g.png")
    assert (tmp_path / "g.png").stat().st_size > 1000


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
