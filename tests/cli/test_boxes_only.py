"""Annotations with boxes and no masks: the classic evaluation of weakly supervised localization."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.cli.conftest import Run
from tests.conftest import annotation, random_blob, random_maps
from wsolbench import masks
from wsolbench.data.dataset import Dataset
from wsolbench.errors import WsolbenchError
from wsolbench.evaluation.evaluator import Evaluator
from wsolbench.evaluation.run import evaluate
from wsolbench.formats.annotations import AnnotationSet, AnnotationStore, write_store
from wsolbench.formats.submission.rules import SubmissionHeader
from wsolbench.formats.submission.writer import SubmissionWriter
from wsolbench.masks import RunLengths

COUNT = 9
PROTOCOLS = ["sem", "wsoleval-v1", "wsoleval-v2", "tscam", "bas", "adl"]


def store(path: Path, without_mask: range) -> Dataset:
    """Nine images; those in the range have no mask, but the same boxes."""
    rng = np.random.default_rng(5)
    rows = []
    for index in range(COUNT):
        mask = random_blob(rng, *rng.integers(3, 40, size=2))
        row = annotation(f"image_{index}", mask, class_index=index % 3)
        bare = RunLengths(*mask.shape, b"")
        rows.append(replace(row, mask=bare) if index in without_mask else row)
    write_store(path, AnnotationSet("toy", rows, [("a", "A"), ("b", "B"), ("c", "C")]))
    return Dataset.open(path)


@pytest.fixture
def whole(tmp_path: Path) -> Dataset:
    return store(tmp_path / "whole.h5", range(0))


@pytest.fixture
def bare(tmp_path: Path) -> Dataset:
    return store(tmp_path / "bare.h5", range(COUNT))


@pytest.fixture
def some(tmp_path: Path) -> Dataset:
    return store(tmp_path / "some.h5", range(3, 6))


@pytest.mark.parametrize("height, width", [(1, 1), (3, 5), (4, 4), (15, 1), (100, 161), (9000, 99)])
def test_a_blank_mask_is_what_the_encoder_writes(height: int, width: int) -> None:
    mask = np.zeros((height, width), bool)
    assert masks.blank(height, width) == masks.encode(mask).counts


def test_masks_may_be_absent_for_some_images(some: Dataset) -> None:
    kept = AnnotationStore.open(some.store.path)
    assert kept.masked.tolist() == [True] * 3 + [False] * 3 + [True] * 3
    assert (kept.areas > 0).tolist() == kept.masked.tolist()
    assert some["image_0"].has_mask
    assert not some["image_4"].has_mask
    with pytest.raises(WsolbenchError, match="no mask of image_4, only boxes"):
        _ = some["image_4"].mask
    assert some["image_4"].boxes.shape == (1, 4)
    assert some.without_mask == ["image_3", "image_4", "image_5"]


def test_an_image_needs_a_mask_or_a_box(tmp_path: Path) -> None:
    mask = np.ones((3, 4), bool)
    for fields, fault in (
        ({"boxes": []}, "has neither a mask nor a box"),
        ({"ignore": masks.encode(mask)}, "has ignored pixels, but no mask"),
    ):
        row = replace(annotation("a", mask, **fields), mask=RunLengths(3, 4, b""))
        with pytest.raises(WsolbenchError, match=fault):
            write_store(tmp_path / "x.h5", AnnotationSet("x", [row]))
    row = replace(annotation("a", mask), mask=RunLengths(3, 99999, b""))
    with pytest.raises(WsolbenchError, match="has the size 99999x3"):
        write_store(tmp_path / "x.h5", AnnotationSet("x", [row]))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_box_scores_do_not_depend_on_masks(
    whole: Dataset, bare: Dataset, some: Dataset, protocol: str
) -> None:
    results = []
    for dataset in (whole, bare, some):
        evaluator = Evaluator(dataset, protocol, ["box"], keep_images=True)
        evaluator.update(dataset.image_ids, random_maps(COUNT))
        results.append(evaluator.result())
    assert results[0].scores
    assert results[0].scores == results[1].scores == results[2].scores
    assert results[0].curves == results[1].curves == results[2].curves
    assert [result.counts.get("without_mask") for result in results] == [None, 9, 3]


def test_pixel_scores_are_left_out_or_refused(bare: Dataset, some: Dataset) -> None:
    for dataset, count in ((bare, 9), (some, 3)):
        assert Evaluator(dataset).metrics == ("box",)
        found = rf"found {count} of 9 images without mask, expected a mask of every image for pixel"
        with pytest.raises(WsolbenchError, match=found):
            Evaluator(dataset, "sem", ["pixel", "box"])
        with pytest.raises(WsolbenchError, match="without mask"):
            Evaluator(dataset, "spa2net")
        evaluator = Evaluator(dataset, keep_images=True)
        evaluator.update(dataset.image_ids, random_maps(COUNT))
        with pytest.raises(WsolbenchError, match="expected a mask of every image for groups by"):
            evaluator.result(by=["area"])
        table = evaluator.image_table(evaluator.result(by=["boxes"]))
        assert [area is None for area in table["area"]] == (~dataset.store.masked).tolist()
        assert "iou" not in table


def test_the_command_line_says_which_scores_are_left_out(run: Run, some: Dataset) -> None:
    run("predict", "trivial:centre-box", "--annotations", "some.h5", "--out", "m.h5")
    shown = run("evaluate", "m.h5", "--annotations", "some.h5").stdout
    assert "|no pixel scores:3 images have no mask" in shown
    assert "Peak-IoU" not in shown
    assert "GT-known" in shown
    refused = run(
        "evaluate", "m.h5", "--annotations", "some.h5", "--metrics", "pixel", status=2
    ).stderr
    assert "3 of 9 images without mask" in refused
    refused = run(
        "predict", "trivial:mask", "--annotations", "some.h5", "--out", "n.h5", status=2
    ).stderr
    assert "3 of 9 images of toy val without a mask: image_3, image_4, image_5" in refused
    assert json.loads(run("info", "some.h5", "--json").stdout)["masks"] == 6
    refused = run("evaluate", "m.h5", "--annotations", "some.h5", "--by", "area", status=2).stderr
    assert "a mask of every image for groups by area" in refused


def test_areas_are_drawn_of_masks_alone(run: Run, some: Dataset, bare: Dataset) -> None:
    drawn = run("plot", "areas", "some.h5", "--out", "a.svg").stdout
    assert drawn == "a.svg: 6 images (3 without a mask left out)\n"
    assert (
        "no mask, only boxes" in run("plot", "areas", "bare.h5", "--out", "b.svg", status=2).stderr
    )


def test_coco_keeps_boxes_without_masks_and_png_refuses_them(
    run: Run, some: Dataset, tmp_path: Path
) -> None:
    run("export", "coco", "some.h5", "--out", "c.json")
    exported = json.loads((tmp_path / "c.json").read_text())["annotations"]
    assert ["segmentation" in item for item in exported] == some.store.masked.tolist()
    x0, y0, x1, y1 = some["image_4"].boxes[0].tolist()
    assert exported[4]["bbox"] == [x0, y0, x1 - x0, y1 - y0]
    refused = run("export", "png", "some.h5", "--out", "p", status=2).stderr
    assert "3 images without a mask: image_3, image_4, image_5" in refused


def test_old_results_of_whole_stores_are_unchanged(whole: Dataset) -> None:
    evaluator = Evaluator(whole)
    evaluator.update(whole.image_ids, random_maps(COUNT))
    assert evaluator.result().counts.keys() == {"missing", "constant", "full_frame_masks"}


def test_a_submission_of_boxes_is_scored_without_masks(bare: Dataset, tmp_path: Path) -> None:
    header = SubmissionHeader("toy", "val", "gt", "none", {"name": "boxes"})
    with SubmissionWriter(tmp_path / "own.h5", header) as writer:
        truth = np.stack([bare[name].boxes[0] for name in bare.image_ids])
        writer.append(bare.image_ids, random_maps(COUNT), boxes=truth)
    assert evaluate(bare, tmp_path / "own.h5").scores["gt_known_loc"] == 1
