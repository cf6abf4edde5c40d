"""Groups of images: who is in them, and that they score as their images alone would."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import annotation, random_dataset, random_maps
from wsolbench.data.dataset import Dataset
from wsolbench.errors import WsolbenchError
from wsolbench.evaluation.evaluator import Evaluator
from wsolbench.evaluation.groups import Draws, group_images, scored_groups
from wsolbench.evaluation.statistics import Scoring, part, room_for
from wsolbench.formats.annotations import AnnotationSet, write_store
from wsolbench.formats.report import breakdown_table, table
from wsolbench.formats.result import Bootstrap, Result, read_result
from wsolbench.metrics.bootstrap import draw_weights
from wsolbench.metrics.family import Statistics
from wsolbench.protocols import PROTOCOLS, Comparator, Reduction
from wsolbench.scores import SCORES

COUNT = 40
KINDS = ["area", "boxes", "class"]


def drawn_dataset(path: Path) -> Dataset:
    """20 images of 10x10, the i-th with an object of i + 1 pixels; box counts and classes cycle."""
    annotations = []
    for place in range(20):
        mask = np.zeros((10, 10), np.bool_)
        mask.ravel()[: place + 1] = True
        boxes = [(0, 0, 2 + k, 3) for k in range(1 + place % 7)]
        annotations.append(annotation(f"i{place:02}", mask, boxes=boxes, class_index=place % 3))
    classes = [("n0", "cat"), ("n1", "dog"), ("n2", "")]
    write_store(path, AnnotationSet("drawn", annotations, classes))
    return Dataset.open(path, "val")


def evaluated(tmp_path: Path, **options: object) -> tuple[Evaluator, Result]:
    dataset = random_dataset(tmp_path / "random.h5", COUNT)
    made = Evaluator(dataset, keep_images=True)
    rng = np.random.default_rng(3)
    top5 = np.stack([rng.permutation(7)[:5] for _ in range(COUNT)])
    made.update(dataset.image_ids, random_maps(COUNT), top5)
    return made, made.result(by=KINDS, **options)


def test_who_is_in_a_group(tmp_path: Path) -> None:
    dataset = drawn_dataset(tmp_path / "drawn.h5")
    areas = group_images(dataset, "area")
    assert [places.tolist() for _, places in areas] == [[2 * k, 2 * k + 1] for k in range(10)]
    assert areas[0][0] == "1.00-2.00 %"
    boxes = {name: places.tolist() for name, places in group_images(dataset, "boxes")}
    assert boxes["1"] == [0, 7, 14]
    assert boxes["5 or more"] == [4, 5, 6, 11, 12, 13, 18, 19]
    classes = {name: places.tolist() for name, places in group_images(dataset, "class")}
    assert list(classes) == ["0 cat", "1 dog", "2 n2"]
    assert classes["1 dog"] == [1, 4, 7, 10, 13, 16, 19]


def test_equal_areas_stay_together(tmp_path: Path) -> None:
    mask = np.ones((4, 4), np.bool_)
    mask[0] = False
    rows = [annotation(f"i{place:02}", mask) for place in range(15)]
    write_store(tmp_path / "same.h5", AnnotationSet("same", rows))
    groups = group_images(Dataset.open(tmp_path / "same.h5", "val"), "area")
    assert [(name, len(places)) for name, places in groups] == [("75.00-75.00 %", 15)]


@pytest.mark.parametrize("threshold", [None, 90])
def test_groups_score_as_their_images_alone(tmp_path: Path, threshold: int | None) -> None:
    made, result = evaluated(tmp_path, threshold=threshold)
    at = replace(
        result.threshold,
        rule="fixed",
        pixel=result.scores["peak_threshold"] if threshold is None else threshold,
        box=result.scores["box_threshold"],
    )
    checked = 0
    for kind in KINDS:
        members = group_images(made.dataset, kind)
        assert sum(len(places) for _, places in members) == COUNT
        for group, (name, places) in zip(result.breakdowns[kind], members, strict=True):
            assert (group.name, group.images) == (name, len(places))
            alone = made.scoring.scored(made.scoring.sums(part(made._kept, places)), at)[0]
            assert group.scores.keys() <= alone.keys()
            assert {key: alone[key] for key in group.scores} == pytest.approx(dict(group.scores))
            checked += len(group.scores)
    assert checked > 150


def test_intervals_of_groups_are_those_of_a_plain_loop(tmp_path: Path) -> None:
    made, result = evaluated(tmp_path, bootstrap=Bootstrap(60, seed=2))
    members = group_images(made.dataset, "boxes")
    rng = np.random.default_rng(2)
    found: list[dict[str, list[float]]] = [{} for _ in members]
    for _ in range(60):
        drawn = rng.integers(COUNT, size=COUNT)
        whole = made.scoring.sums(part(made._kept, drawn))
        scores = made.scoring.scored(whole, result.threshold)[0]
        at = replace(
            result.threshold,
            rule="fixed",
            pixel=scores["peak_threshold"],
            box=scores["box_threshold"],
        )
        for values, (_, places) in zip(found, members, strict=True):
            own = drawn[np.isin(drawn, places)]
            if not own.size:
                continue
            sums = made.scoring.sums(part(made._kept, own))
            for key, score in made.scoring.scored(sums, at)[0].items():
                values.setdefault(key, []).append(score)
    for group, values in zip(result.breakdowns["boxes"], found, strict=True):
        assert group.intervals.keys() == group.scores.keys()
        for key, ends in group.intervals.items():
            ordered = sorted(values[key])
            cut = int(len(ordered) * 0.025)
            assert list(ends) == pytest.approx([ordered[cut], ordered[-1 - cut]]), key


def drawn_statistics(rng: np.random.Generator, scoring: Scoring, count: int) -> Statistics:
    """Random statistics: few different values, so that curves are flat and maxima tie."""
    kept = room_for(scoring.empty(), count)
    times = 1 if scoring.boxed else kept["correct"].shape[2]
    for name, own in kept.items():
        shape = (*own.shape[:2], times) if name == "correct" else own.shape
        high = 2 if own.dtype == np.bool_ else 4
        kept[name] = rng.integers(high, size=shape).astype(own.dtype)
    kept["pixels"] *= rng.integers(1000, size=(count, 1, 1)).astype(np.int32)
    kept["pixels"][::5, 1] = 0  # no object
    kept["pixels"][::7, :, 100:] = 0  # no foreground at high thresholds
    if "boundary_true" in kept:
        kept["boundary_true"] = kept["boundary_true"] + np.int32(4)
        kept["boundary_predicted"] = kept["boundary_predicted"] + kept["boundary_matched"]
    return kept


FAMILIES_OF_MAPS = ("pixel", "box", "class")


@pytest.mark.parametrize(
    ("families", "options", "changes"),
    [
        (FAMILIES_OF_MAPS, {}, {}),
        (FAMILIES_OF_MAPS, {"label": "predicted"}, {"comparator": Comparator.ABOVE}),
        (FAMILIES_OF_MAPS, {"boxed": True}, {}),
        (FAMILIES_OF_MAPS, {}, {"top_iou_comparator": Comparator.ABOVE}),
        (("pixel", "box"), {"ranked": False}, {"pixel_reductions": (Reduction.POOLED,)}),
        (("pixel", "box", "boundary", "class"), {}, {}),
    ],
)
@pytest.mark.parametrize("carried", [False, True])
def test_fast_groups_equal_slow_ones(
    families: tuple[str, ...], options: dict[str, Any], changes: dict[str, Any], carried: bool
) -> None:
    """Every bit, of groups of one image, of few and of many, some of them not always drawn."""
    rng = np.random.default_rng(11)
    protocol = replace(PROTOCOLS["sem"], name="other", **changes) if changes else PROTOCOLS["sem"]
    chosen = {"label": "gt", "ranked": True, "boxed": False} | options
    scoring = Scoring(protocol, families, classes=0, **chosen)
    count, resamples = 1100, 20
    kept = drawn_statistics(rng, scoring, count)
    weights = draw_weights(count, resamples, rng)
    at = (60, 200)
    pixel, box = (
        np.full(resamples, level) if carried else rng.integers(256, size=resamples) for level in at
    )
    parts = [np.array([3]), np.arange(5), np.arange(0, count, 20), np.arange(count)]
    members = [(f"{place}", own) for place, own in enumerate(parts)]
    found = scored_groups(scoring, kept, members, at, Draws(weights, pixel, box, 0.9))
    assert (weights[:, 3] == 0).any()
    assert {"peak_iou", "peak_threshold", "ap", "iou_at_threshold"} <= found[0].scores.keys()
    weights = np.concatenate((np.ones((1, count), np.uint16), weights))
    pixel, box = np.append(at[0], pixel), np.append(at[1], box)
    for group, own in zip(found, parts, strict=True):
        there = weights[:, own].any(axis=1)
        drawn = weights[there][:, own].astype(np.int64)
        columns = scoring.columns(part(kept, own))
        sums = {name: np.tensordot(drawn, column, 1) for name, column in columns.items()}
        slow, _ = scoring.scores(sums, pixel[there], box[there])
        slow = {key: values for key, values in slow.items() if SCORES[key].grouped}
        assert group.scores == {key: values[0].item() for key, values in slow.items()}
        ends = {}
        for key, values in slow.items():
            ordered = sorted(values[1:].tolist())
            cut = int(len(ordered) * 0.05 + 1e-9)
            ends[key] = [ordered[cut], ordered[-1 - cut]]
        assert group.intervals == (ends if len(own) > 1 else {})


def test_one_image_has_no_interval(tmp_path: Path) -> None:
    dataset = drawn_dataset(tmp_path / "drawn.h5")
    made = Evaluator(dataset.first(4), keep_images=True)
    made.update(dataset.image_ids[:4], random_maps(4))
    classes = made.result(by=["class"], bootstrap=Bootstrap(20)).breakdowns["class"]
    assert [(group.images, bool(group.intervals)) for group in classes] == [
        (2, True),
        (1, False),
        (1, False),
    ]


def test_files_and_tables_hold_groups(tmp_path: Path) -> None:
    _, result = evaluated(tmp_path, bootstrap=Bootstrap(30))
    result.write(tmp_path / "r.json")
    read = read_result(tmp_path / "r.json")
    assert read.to_json() == result.to_json()
    first = read.breakdowns["area"][0]
    with pytest.raises(WsolbenchError, match=r'no groups; evaluate with by=\["area"\]'):
        breakdown_table(replace(read, breakdowns={}), "area")
    with pytest.raises(WsolbenchError, match="form: found 'csv', expected text, md or latex"):
        breakdown_table(read, "area", "csv")
    shown = breakdown_table(read, "area")
    assert f"{100 * first.scores['iou_at_threshold']:.2f} [" in shown
    assert first.name in breakdown_table(read, "area", "md").replace("\\", "")
    lines = table([read], "csv").splitlines()
    assert len(lines) == 2 + sum(map(len, read.breakdowns.values()))
    cells = dict(zip(lines[0].split(","), lines[2].split(","), strict=True))
    assert (cells["by"], cells["group"], cells["images"]) == ("area", first.name, "4")
    assert float(cells["iou_at_threshold"]) == first.scores["iou_at_threshold"]


def test_many_groups_are_shortened_on_a_terminal(tmp_path: Path) -> None:
    _, result = evaluated(tmp_path)
    group = result.breakdowns["class"][0]
    many = [
        replace(group, name=f"c{place}", scores={"iou_at_threshold": place / 100})
        for place in range(50)
    ]
    wide = replace(result, breakdowns={"class": many})
    lines = breakdown_table(wide, "class").splitlines()
    assert len(lines) == 2 + 10 + 1 + 10
    assert lines[2].startswith("c0 ")
    assert lines[12].startswith("... 30 between")
    assert lines[-1].startswith("c49 ")
    assert len(breakdown_table(wide, "class", "md").splitlines()) == 2 + 50


@pytest.mark.parametrize(
    "change",
    [
        {"name": 3},
        {"images": 0},
        {"images": COUNT + 1},
        {"scores": {"ap": 2}},
        {"scores": {"nothing": 0.5}},
        {"intervals": {"ap": [0.9, 0.1]}},
    ],
)
def test_a_strangers_groups_are_checked(tmp_path: Path, change: dict[str, object]) -> None:
    _, result = evaluated(tmp_path)
    content = json.loads(result.to_json())
    content["breakdowns"]["boxes"][0].update(change)
    (tmp_path / "r.json").write_text(json.dumps(content))
    with pytest.raises(WsolbenchError, match="invalid groups"):
        read_result(tmp_path / "r.json")


def test_groups_are_refused_where_they_mean_nothing(tmp_path: Path) -> None:
    dataset = random_dataset(tmp_path / "random.h5", COUNT)
    made = Evaluator(dataset)
    made.update(dataset.image_ids, random_maps(COUNT))
    with pytest.raises(WsolbenchError, match="keep_images=True"):
        made.result(by=["area"])
    with pytest.raises(WsolbenchError, match="area, boxes or class"):
        made.result(by=["size"])
    pytest.importorskip("cv2")
    other = Evaluator(dataset, "adl", keep_images=True)
    with pytest.raises(WsolbenchError, match="by: found protocol adl"):
        other.result(by=["area"])


def test_a_terminal_shows_the_brief_scores() -> None:
    titles = [score.title for score in SCORES.values() if score.brief]
    assert titles == [
        *("AP", "IoU at T", "GT-known", "Predicted-class loc", "Top-1 loc"),
        *("Boundary ODS", "Shape (own best IoU)", "Pointing game", "Relevance mass", "ROC-AUC"),
        "IoU at Otsu's T",
    ]
