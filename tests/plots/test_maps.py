"""Maps and boxes in a figure are the ones that were scored."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from matplotlib.figure import Figure
from PIL import Image

from tests.conftest import annotation
from tests.plots.samples import HEIGHT, WIDTH
from wsolbench import plots
from wsolbench.cli import cli
from wsolbench.data.dataset import Dataset
from wsolbench.errors import WsolbenchError
from wsolbench.evaluation.overlays import choose_images, pair_results, read_overlays
from wsolbench.evaluation.run import Request, evaluate, run
from wsolbench.formats.annotations import AnnotationSet, write_store
from wsolbench.formats.submission.reader import Submission, SubmissionHeader, SubmissionWriter
from wsolbench.metrics.boxes import largest_boxes
from wsolbench.metrics.choices import Comparator
from wsolbench.metrics.levels import level_map
from wsolbench.protocols import PROTOCOLS


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


def test_the_outline_and_iou_are_those_that_were_scored(folder: Path) -> None:
    """The per-image table, at the level that the result was read at, fixed ones too."""
    dataset = Dataset.open(folder / "s.h5", images=folder / "photos")
    opened = Submission.open(folder / "left.h5")
    for threshold in (None, 100, "otsu"):
        request = Request(opened, dataset, threshold=threshold, per_image=True, counts=True)
        outcome = run(request)
        (result,) = outcome.results
        shown = read_overlays(dataset, [opened], dataset.image_ids, [result])
        rows = zip(outcome.table["threshold"], outcome.table["iou"], strict=True)
        for overlay, (level, iou) in zip(shown, rows, strict=True):
            (drawn,) = overlay.maps
            assert drawn.iou == iou
            np.testing.assert_array_equal(drawn.foreground, drawn.levels >= level)
    (bare,) = read_overlays(dataset, [opened], ["p_0"], [None])
    assert (bare.maps[0].foreground, bare.maps[0].iou) == (None, None)


def test_photos_have_the_names_of_their_classes(folder: Path, tmp_path: Path) -> None:
    named = [annotation("a", np.ones((4, 5), bool)), annotation("b", np.ones((4, 5), bool))]
    classes = [("n1", "kit fox, Vulpes macrotis")]
    write_store(tmp_path / "c.h5", AnnotationSet("named", named, classes))
    for name in "ab":
        Image.new("RGB", (5, 4)).save(tmp_path / f"{name}.png")
    dataset = Dataset.open(tmp_path / "c.h5", images=tmp_path)
    (shown, _) = read_overlays(dataset, [], ["a", "b"], [])
    assert shown.class_name == "kit fox"
    known = Dataset.open(folder / "s.h5", images=folder / "photos")
    (bare,) = read_overlays(known, [], ["p_0"], [])
    assert bare.class_name == ""


def test_a_figure_names_iou_thresholds_class_and_colours(
    folder: Path, tmp_path: Path, figures: list[Figure]
) -> None:
    dataset = Dataset.open(folder / "s.h5", images=folder / "photos")
    maps = [Submission.open(folder / f"{name}.h5") for name in ("left", "right")]
    scored = [evaluate(dataset, maps[0])]
    (shown,) = read_overlays(dataset, maps[:1], ["p_2"], scored)
    plots.save_maps(dataset, maps, tmp_path / "m.png", ["p_2"], scored)
    _, left, right, ramp = figures[0].axes
    peak, box = (scored[0].scores[key] for key in ("peak_threshold", "box_threshold"))
    title = left.get_title().replace("\N{NO-BREAK SPACE}", " ")
    assert " ".join(title.split()) == f"$left^ T = {peak}, box at {box}"
    assert left.get_xlabel() == f"IoU {100 * shown.maps[0].iou:.1f} %"
    assert right.get_title() == "$right^\nno result"
    assert right.get_xlabel() == ""
    assert len(left.collections) == 2  # an outline in white on black
    assert len(right.collections) == 0
    assert ramp.get_images()[0].cmap.name == "plasma"
    told = [text.get_text() for text in figures[0].texts]
    assert {"0", "255", "level of the map", "foreground of the map at T", "true box"} <= set(told)


def test_a_box_follows_the_protocol_of_its_result(folder: Path) -> None:
    dataset = Dataset.open(folder / "s.h5", images=folder / "photos")
    maps = [Submission.open(folder / "left.h5")]
    above = dataclasses.replace(PROTOCOLS["sem"], name="above", comparator=Comparator.ABOVE)
    result = evaluate(dataset, maps[0], above)
    (map_,) = maps[0].read([maps[0].image_ids.index("p_0")])
    boxes = largest_boxes(level_map(map_, HEIGHT, WIDTH))
    at = int(np.flatnonzero((boxes[:-1] != boxes[1:]).any(axis=1))[0])
    result = dataclasses.replace(result, scores={**result.scores, "box_threshold": at})
    (shown,) = read_overlays(dataset, maps, ["p_0"], pair_results(maps, [result]))
    assert shown.maps[0].box is not None
    assert shown.maps[0].box.tolist() == boxes[at + 1].tolist()


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


def test_images_that_not_all_have_are_left_out_on_request_alone(
    folder: Path, tmp_path: Path
) -> None:
    dataset = Dataset.open(folder / "s.h5")
    header = SubmissionHeader("toy", "val", "gt", "none", {"name": "part"})
    with SubmissionWriter(tmp_path / "part.h5", header) as writer:
        writer.append(["p_1", "p_3"], np.zeros((2, 2, 2), np.float32))
    part = Submission.open(tmp_path / "part.h5")
    maps = [Submission.open(folder / "left.h5"), part]
    rng = np.random.default_rng(0)
    with pytest.raises(
        WsolbenchError, match=r"part\.h5 has 2 of the 4 .*, without p_0, p_2; .* --common"
    ):
        choose_images(dataset, maps, 2, rng)
    assert choose_images(dataset, maps, 2, rng, common=True) == ["p_1", "p_3"]
    assert choose_images(dataset, [part], 2, rng) == ["p_1", "p_3"]
    files = [str(opened.path) for opened in maps]
    given = ["--annotations", str(folder / "s.h5"), "--images", str(folder / "photos")]
    command = ["plot", "maps", *files, *given, "--count", "2", "--out", str(tmp_path / "m.png")]
    with pytest.raises(WsolbenchError, match=r"only the 2 shared images with --common"):
        CliRunner().invoke(cli, command, catch_exceptions=False)
    done = CliRunner().invoke(cli, [*command, "--common"], catch_exceptions=False)
    assert done.output.endswith("m.png: p_1, p_3\n")
    done = CliRunner().invoke(cli, [*command[:-4], "--out", "m.png", "--ids", "p_1", "--common"])
    assert "--ids excludes --count, --seed and --common" in done.output


def test_what_does_not_belong_together_is_refused(folder: Path, tmp_path: Path) -> None:
    dataset = Dataset.open(folder / "s.h5", images=folder / "photos")
    maps = [Submission.open(folder / "left.h5")]
    scored = evaluate(dataset, maps[0])
    target = tmp_path / "m.png"
    for images, given, message in (
        (["nothing"], [], r"s\.h5, split val: found no image nothing"),
        ([], [], "found 0 images, expected 1 to 40"),
        (["p_0"] * 41, [], "found 41 images"),
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
