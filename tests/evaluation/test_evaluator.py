"""The evaluator against plain sums over images, and the laws that its scores obey."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import annotation, random_dataset, random_maps
from tests.metrics.test_metrics import slow_box, slow_iou, slow_scores
from wsolbench import masks
from wsolbench.data.dataset import Dataset
from wsolbench.errors import WsolbenchError
from wsolbench.evaluation.evaluator import Evaluator
from wsolbench.formats.annotations import AnnotationSet, write_store
from wsolbench.formats.report import table
from wsolbench.formats.result import Result, read_result
from wsolbench.formats.submission.reader import SubmissionHeader
from wsolbench.metrics.levels import level_map

COUNT = 25


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return random_dataset(tmp_path_factory.mktemp("store") / "random.h5", COUNT)


@pytest.fixture(scope="module")
def top5(dataset: Dataset) -> np.ndarray:
    rng = np.random.default_rng(4)
    return np.stack([rng.permutation(7)[:5] for _ in range(len(dataset))])


def scored(dataset: Dataset, maps: list[np.ndarray], **more: object) -> Result:
    evaluator = Evaluator(dataset)
    evaluator.update(dataset.image_ids, maps, **more)
    return evaluator.result()


def test_scores_agree_with_plain_sums(dataset: Dataset, top5: np.ndarray) -> None:
    maps = random_maps(COUNT)
    result = scored(dataset, maps, top5=top5)
    scores = result.scores
    true, called, mean, aps = np.zeros(256), np.zeros(256), np.zeros(256), 0.0
    right = {delta: np.zeros(256) for delta in (0.3, 0.5, 0.7)}
    right_top = {1: np.zeros(256), 5: np.zeros(256)}
    total = 0
    for index, map_ in enumerate(maps):
        sample = dataset[index]
        levels = level_map(map_, sample.height, sample.width)
        ious, ap = slow_scores(levels, sample.mask)
        mean += np.array(ious) / COUNT
        aps += ap / COUNT
        total += sample.mask.sum()
        for threshold in range(256):
            true[threshold] += ((levels >= threshold) & sample.mask).sum()
            called[threshold] += (levels >= threshold).sum()
            box = slow_box(levels, threshold)
            overlap = slow_iou(box, sample.boxes, levels.shape)
            for delta, hits in right.items():
                hits[threshold] += overlap >= delta
            for rank, hits in right_top.items():
                hits[threshold] += overlap >= 0.5 and sample.class_index in top5[index][:rank]
    pooled = true / (total + called - true)
    assert result.curves["iou"] == pooled.tolist()
    assert scores["peak_iou"] == pooled.max()
    assert scores["peak_threshold"] == pooled.argmax()
    assert result.curves["iou_image_mean"] == pytest.approx(mean.tolist(), abs=1e-12)
    assert scores["ap_image_mean"] == pytest.approx(aps, abs=1e-12)
    assert result.curves["recall"] == (true / total).tolist()
    precision = np.where(called == 0, 1, true / np.maximum(called, 1))
    assert result.curves["precision"] == precision.tolist()
    steps = precision * (true - np.append(true[1:], 0)) / total
    assert scores["ap"] == pytest.approx(steps.sum(), abs=1e-12)
    at = int(right[0.5].argmax())
    assert scores["box_threshold"] == at
    assert scores["gt_known_loc"] == right[0.5][at] / COUNT == scores["max_box_acc"]
    assert scores["top1_loc"] == right_top[1][at] / COUNT
    assert scores["top5_loc"] == right_top[5][at] / COUNT
    assert scores["max_box_acc_30"] == right[0.3].max() / COUNT
    assert scores["max_box_acc_70"] == right[0.7].max() / COUNT
    highest = [right[delta].max() / COUNT for delta in (0.3, 0.5, 0.7)]
    assert scores["max_box_acc_v2"] == pytest.approx(np.mean(highest), abs=1e-12)
    named = [dataset[i].class_index in top5[i] for i in range(COUNT)]
    assert scores["top5_cls"] == np.mean(named)
    assert scores["top1_cls"] == np.mean(dataset.class_indices == top5[:, 0])


def test_permuted_images_and_merged_halves_change_not_one_bit(
    dataset: Dataset, top5: np.ndarray
) -> None:
    maps, ids = random_maps(COUNT), dataset.image_ids
    whole = scored(dataset, maps, top5=top5).to_json()
    order = np.random.default_rng(2).permutation(COUNT)
    shuffled = Evaluator(dataset)
    for index in order:
        shuffled.update([ids[index]], [maps[index]], top5[[index]])
    assert shuffled.result().to_json() == whole
    left, right = Evaluator(dataset), Evaluator(dataset)
    left.update(ids[:9], maps[:9], top5[:9])
    right.update(ids[9:], maps[9:], top5[9:])
    left.merge(right)
    assert left.result().to_json() == whole
    empty = Evaluator(dataset)
    empty.merge(left)
    assert empty.result().to_json() == whole


@pytest.mark.parametrize("kind", ["float64", "longdouble", ">f8", "bool"])
@pytest.mark.parametrize("protocol", ["sem", "wsoleval-v1"])
def test_maps_of_other_types_score_as_in_float32(
    dataset: Dataset, kind: str, protocol: str
) -> None:
    exact = np.random.default_rng(3).random((COUNT, 1, 9, 7))
    maps = (exact > 0.5) if kind == "bool" else exact.astype(kind)
    given = Evaluator(dataset, protocol)
    given.update(dataset.image_ids, maps)
    same = Evaluator(dataset, protocol)
    same.update(dataset.image_ids, maps[:, 0].astype(np.float32))
    assert given.result().to_json() == same.result().to_json()


@pytest.mark.parametrize(
    ("map_", "found"),
    [
        (np.full((2, 2), 1.5), "4 of 4 values above 1, up to 1.5"),
        (np.full((2, 2), 1e300), "4 of 4 values NaN or infinite"),
        (np.zeros((2, 2, 2)), r"shape \(2, 2, 2\)"),
        (np.zeros((2, 2), np.int64), "dtype int64"),
    ],
)
def test_other_maps_are_still_refused(dataset: Dataset, map_: np.ndarray, found: str) -> None:
    with pytest.raises(WsolbenchError, match=f"map of image_000: found {found}"):
        Evaluator(dataset).update(["image_000"], [map_])


def test_a_path_is_no_submission(dataset: Dataset) -> None:
    with pytest.raises(WsolbenchError, match="submission: found an object of type str, expected"):
        Evaluator(dataset).score("maps.h5")


def test_masks_as_maps_score_one(dataset: Dataset) -> None:
    maps = [dataset[i].mask * np.uint8(255) for i in range(COUNT)]
    result = scored(dataset, maps)
    for key in ("peak_iou", "ap", "peak_iou_image_mean", "ap_image_mean"):
        assert result.scores[key] == 1
    assert result.scores["peak_threshold"] == 1


def test_two_images_by_hand(tmp_path: Path) -> None:
    small, large = np.zeros((2, 4), bool), np.zeros((10, 10), bool)
    small[:, :2] = True
    large[:5] = True
    annotations = [annotation("a", small, class_index=1), annotation("b", large, class_index=2)]
    write_store(tmp_path / "two.h5", AnnotationSet("two", annotations))
    dataset = Dataset.open(tmp_path / "two.h5")
    right, whole = small * np.uint8(200), np.full((1, 1), 200, np.uint8)
    result = scored(dataset, [right, whole], top5=np.array([[1, 2, 3, 4, 5], [9, 8, 7, 6, 2]]))
    # At T = 200: image a is exact (4 of 4), image b is all foreground (50 of 100).
    assert result.scores["peak_iou"] == 54 / 104
    assert result.scores["peak_threshold"] == 1
    assert result.scores["peak_iou_image_mean"] == 0.75
    assert result.scores["gt_known_loc"] == 1
    assert result.scores["box_threshold"] == 0
    assert result.scores["top1_loc"] == 0.5
    assert result.scores["top5_loc"] == 1
    assert result.scores["max_box_acc_70"] == 0.5
    assert result.counts == {"missing": 0, "constant": 1, "full_frame_masks": 0}


def test_a_threshold_from_val_is_used_on_test_as_it_is(dataset: Dataset) -> None:
    maps = random_maps(COUNT)
    val = scored(dataset, random_maps(COUNT, seed=9))
    evaluator = Evaluator(dataset)
    evaluator.update(dataset.image_ids, maps)
    best = evaluator.result()
    carried = evaluator.result(threshold=val)
    box, pixel = val.scores["box_threshold"], val.scores["peak_threshold"]
    assert carried.scores["box_threshold"] == box
    assert carried.scores["gt_known_loc"] == best.curves["gt_known_loc"][box]
    assert carried.scores["iou_at_threshold"] == best.curves["iou"][pixel]
    assert carried.scores["peak_iou"] == best.scores["peak_iou"]
    assert carried.threshold.source["split"] == "val"
    fixed = evaluator.result(threshold=30)
    assert fixed.scores["gt_known_loc"] == best.curves["gt_known_loc"][30]
    assert "iou_at_threshold" not in best.scores
    for trial, found in (
        (dataclasses.replace(val, limit=5), "a trial on 5 images"),
        (
            dataclasses.replace(val, protocol={**val.protocol, "sha256": "0"}),
            r"protocol sem\.v2 \(0\), expected sem\.v2 \(",
        ),
        (dataclasses.replace(val, dataset="other"), "data set other"),
    ):
        with pytest.raises(WsolbenchError, match=found):
            evaluator.result(threshold=trial)
    with pytest.raises(WsolbenchError, match="found 256, expected a whole number from 0 to 255"):
        evaluator.result(threshold=256)


def test_missing_images_are_refused_or_counted_as_zeros(dataset: Dataset) -> None:
    maps, ids = random_maps(COUNT), dataset.image_ids
    part = Evaluator(dataset)
    part.update(ids[:-2], maps[:-2])
    with pytest.raises(WsolbenchError, match="no map for 2 of 25 images: image_023, image_024"):
        part.result()
    result = part.result(allow_missing=True)
    assert result.counts["missing"] == 2
    zeros = [np.zeros((3, 3), np.uint8)] * 2
    assert result.scores == scored(dataset, [*maps[:-2], *zeros]).scores


def test_scores_that_cannot_be_had_are_absent(dataset: Dataset) -> None:
    maps = random_maps(COUNT)
    assert not {"top1_loc", "top5_loc", "top1_cls"} & scored(dataset, maps).scores.keys()
    pixels = Evaluator(dataset, metrics=["pixel"])
    pixels.update(dataset.image_ids, maps)
    assert "gt_known_loc" not in pixels.result().scores
    assert "max_box_acc" not in pixels.result().scores
    boxes = Evaluator(dataset, metrics=["box"])
    boxes.update(dataset.image_ids, maps)
    assert "peak_iou" not in boxes.result().scores


def test_images_without_boxes_or_classes(tmp_path: Path) -> None:
    mask = np.ones((3, 3), bool)
    rows = [annotation("a", mask, boxes=[], class_index=-1), annotation("b", mask)]
    write_store(tmp_path / "s.h5", AnnotationSet("s", rows))
    dataset = Dataset.open(tmp_path / "s.h5")
    result = scored(dataset, [mask * np.uint8(1)] * 2, top5=np.tile(np.arange(5), (2, 1)))
    assert "gt_known_loc" not in result.scores
    assert "top1_cls" not in result.scores
    with pytest.raises(WsolbenchError, match="1 of 2 images without box"):
        Evaluator(dataset, metrics=["box"])


def test_ignored_pixels_count_nowhere(tmp_path: Path) -> None:
    mask, ignore = np.zeros((2, 3), bool), np.zeros((2, 3), bool)
    mask[:, 0], ignore[:, 1] = True, True
    row = annotation("a", mask, ignore=masks.encode(ignore))
    write_store(tmp_path / "s.h5", AnnotationSet("s", [row]))
    dataset = Dataset.open(tmp_path / "s.h5")
    result = scored(dataset, [(mask | ignore) * np.uint8(255)])
    assert result.scores["peak_iou"] == 1


def test_submitted_boxes_have_no_threshold(dataset: Dataset) -> None:
    given = np.stack([dataset[i].boxes[0] for i in range(COUNT)])
    given[:5] = [0, 0, 1, 1]
    result = scored(dataset, random_maps(COUNT), boxes=given)
    best = [
        slow_iou(tuple(given[i]), dataset[i].boxes, (dataset[i].height, dataset[i].width)) >= 0.5
        for i in range(COUNT)
    ]
    assert result.scores["gt_known_loc"] == np.mean(best)
    assert "box_threshold" not in result.scores
    assert "gt_known_loc" not in result.curves


def test_per_image_scores_follow_from_the_maps(dataset: Dataset, top5: np.ndarray) -> None:
    maps = random_maps(COUNT)
    evaluator = Evaluator(dataset, keep_images=True)
    evaluator.update(dataset.image_ids, maps, top5)
    result = evaluator.result()
    table = evaluator.image_table(result)
    assert table["image_id"] == dataset.image_ids
    for index in range(COUNT):
        sample = dataset[index]
        levels = level_map(maps[index], sample.height, sample.width)
        ious, ap = slow_scores(levels, sample.mask)
        assert table["best_iou"][index] == max(ious)
        assert table["best_threshold"][index] == int(np.argmax(ious))
        assert table["iou"][index] == ious[result.scores["peak_threshold"]]
        assert table["ap"][index] == pytest.approx(ap, abs=1e-12)
        box = slow_box(levels, result.scores["box_threshold"])
        assert tuple(table[side][index] for side in ("x0", "y0", "x1", "y1")) == box
        assert table["box_iou"][index] == slow_iou(box, sample.boxes, levels.shape)
    assert np.mean(table["box_right"]) == result.scores["gt_known_loc"]
    assert np.mean(table["top1"]) == result.scores["top1_cls"]
    with pytest.raises(WsolbenchError, match="keep_images=True"):
        Evaluator(dataset).image_table(result)


def test_tensors_are_maps_too(dataset: Dataset) -> None:
    torch = pytest.importorskip("torch")
    maps = random_maps(COUNT)
    tensors = [torch.from_numpy(map_) for map_ in maps]
    assert scored(dataset, tensors).to_json() == scored(dataset, maps).to_json()


@pytest.mark.parametrize(
    "ids, count, found",
    [
        ("image_000", 9, "image_ids: found the text 'image_000'"),
        (["nobody"], 1, "images that it does not hold: nobody"),
        (["image_000", "image_000"], 2, "an id twice"),
        (["image_000"], 2, "2 for 1 image ids"),
    ],
)
def test_a_bad_batch_is_refused_and_changes_nothing(
    dataset: Dataset, ids: list[str], count: int, found: str
) -> None:
    evaluator = Evaluator(dataset)
    with pytest.raises(WsolbenchError, match=found):
        evaluator.update(ids, [np.zeros((2, 2), np.uint8)] * count)
    evaluator.update(dataset.image_ids, random_maps(COUNT))
    assert evaluator.result().to_json() == scored(dataset, random_maps(COUNT)).to_json()
    with pytest.raises(WsolbenchError, match="scored before: image_000"):
        evaluator.update(["image_000"], random_maps(1))


def test_a_bad_map_names_its_image(dataset: Dataset) -> None:
    bad = np.array([[0.5, np.nan]], np.float32)
    with pytest.raises(WsolbenchError, match=r"map of image_003: found 1 of 2 values NaN"):
        Evaluator(dataset).update(["image_003"], [bad])


def test_results_survive_the_disk(dataset: Dataset, tmp_path: Path) -> None:
    result = scored(dataset, random_maps(COUNT))
    result.write(tmp_path / "r.json")
    assert read_result(tmp_path / "r.json") == result
    text = (tmp_path / "r.json").read_text()
    assert text == read_result(tmp_path / "r.json").to_json()
    assert text.endswith("}\n")
    assert '"comparable": true' in text


def test_a_trial_is_stamped_wherever_it_was_cut(dataset: Dataset) -> None:
    cut = dataset.first(2)
    evaluator = Evaluator(cut)
    evaluator.update(cut.image_ids, random_maps(2))
    trial = evaluator.result()
    assert trial.limit == 2
    assert '"comparable": false' in trial.to_json()
    assert dataset.first(1000).limit is None
    with pytest.raises(WsolbenchError, match="limit: found 0, expected 1 or more"):
        dataset.first(0)


def test_asking_for_a_result_changes_nothing(dataset: Dataset) -> None:
    evaluator = Evaluator(dataset, keep_images=True)
    evaluator.update(dataset.image_ids[:-1], random_maps(COUNT)[:-1])
    partial = evaluator.result(allow_missing=True)
    assert len(evaluator.image_table(partial)["image_id"]) == COUNT
    with pytest.raises(WsolbenchError, match="no map for 1 of 25"):
        evaluator.result()
    evaluator.update(dataset.image_ids[-1:], random_maps(COUNT)[-1:])
    assert evaluator.result().to_json() == scored(dataset, random_maps(COUNT)).to_json()


@pytest.mark.parametrize("threshold", [-1, 256, 30.0, "30"])
def test_thresholds_are_whole_numbers_in_range(dataset: Dataset, threshold: object) -> None:
    evaluator = Evaluator(dataset)
    evaluator.update(dataset.image_ids, random_maps(COUNT))
    with pytest.raises(WsolbenchError, match="expected a whole number from 0 to 255"):
        evaluator.result(threshold=threshold)


@pytest.mark.parametrize(
    "beside, found",
    [
        ({"top5": np.zeros((1, 20), int)}, r"top5: found int64 of shape \(1, 20\)"),
        ({"top5": np.zeros(5, int)}, "5 for 1 image ids"),
        ({"top5": np.array([[1, 1, 2, 3, 4]])}, "top5 of image_000: found .1, 1, 2, 3, 4."),
        ({"boxes": np.array([[2.9, 0, 6.9, 3]])}, "boxes: found float64"),
        ({"boxes": np.array([[0, 0, 40000, 2]])}, "boxes of image_000: found .0, 0, 40000, 2."),
        ({"boxes": np.array([[1, 0, 1, 2]])}, "boxes of image_000"),
    ],
)
def test_classes_and_boxes_that_are_not_legal_are_refused(
    dataset: Dataset, beside: dict[str, np.ndarray], found: str
) -> None:
    with pytest.raises(WsolbenchError, match=found):
        Evaluator(dataset).update(["image_000"], random_maps(1), **beside)


def test_an_image_without_class_has_no_rank(tmp_path: Path) -> None:
    mask = np.ones((3, 3), bool)
    rows = [annotation("a", mask, class_index=-1), annotation("b", mask, class_index=1)]
    write_store(tmp_path / "s.h5", AnnotationSet("s", rows))
    evaluator = Evaluator(Dataset.open(tmp_path / "s.h5"), keep_images=True)
    top5 = np.array([[1, 0, -1, -1, -1]] * 2)
    evaluator.update(["a", "b"], [mask * np.uint8(1)] * 2, top5)
    result = evaluator.result()
    assert "top1_cls" not in result.scores
    assert "top1" not in evaluator.image_table(result)


def test_parts_of_different_kinds_are_not_merged(dataset: Dataset, tmp_path: Path) -> None:
    other = random_dataset(tmp_path / "other.h5", COUNT, seed=5)
    assert other.image_ids == dataset.image_ids
    with pytest.raises(WsolbenchError, match="other images or annotations"):
        Evaluator(dataset).merge(Evaluator(other))
    header = SubmissionHeader("random", "val", "predicted", "none", {"name": "m"})
    with pytest.raises(WsolbenchError, match="another header"):
        Evaluator(dataset).merge(Evaluator(dataset, header=header))
    left, right = Evaluator(dataset), Evaluator(dataset)
    for part in (left, right):
        part.update(dataset.image_ids[:1], random_maps(1))
    with pytest.raises(WsolbenchError, match="scored before: image_000"):
        left.merge(right)


def test_maps_of_the_predicted_class_have_their_own_names(
    dataset: Dataset, top5: np.ndarray
) -> None:
    header = SubmissionHeader("random", "val", "predicted", "none", {"name": "m"})
    evaluator = Evaluator(dataset, header=header)
    evaluator.update(dataset.image_ids, random_maps(COUNT), top5)
    gt = scored(dataset, random_maps(COUNT), top5=top5).scores
    scores = evaluator.result().scores
    assert scores["predicted_loc"] == gt["gt_known_loc"]
    assert scores["top1_loc"] == gt["top1_loc"]
    assert not {"gt_known_loc", "top5_loc"} & scores.keys()


@pytest.mark.parametrize(
    "change, found",
    [
        ({"protocol": {}}, "another shape"),
        ({"method": []}, "invalid method"),
        ({"scores": {"ap": "high"}}, "invalid scores"),
        ({"scores": {"peak_threshold": -5}}, "invalid scores"),
        ({"scores": {"peak_threshold": 999}}, "invalid scores"),
        ({"scores": {"my_score": 0.5}}, "invalid scores"),
        ({"scores": {"ap": 1.5}}, "invalid scores"),
        ({"curves": {"threshold": [0, 1], "iou": [1]}}, "invalid curves"),
        ({"curves": {"iou": [1]}}, "another shape"),
        ({"images": -3}, "invalid number of images"),
        ({"threshold": {"rule": "carried"}}, "invalid threshold rule"),
        ({"threshold": {"nothing": 1}}, "another shape"),
        ({"dataset": "a/b"}, "invalid data set or split"),
        ({"wsolbench": "0\x1b[31m"}, "invalid texts"),
        ({"scores": {"peak_threshold": None}}, "invalid scores"),
        ({"more": 3}, "unknown: .'more'."),
    ],
)
def test_a_strangers_result_is_refused_not_believed(
    dataset: Dataset, tmp_path: Path, change: dict[str, object], found: str
) -> None:
    content = json.loads(scored(dataset, random_maps(COUNT)).to_json())
    (tmp_path / "r.json").write_text(json.dumps({**content, **change}))
    with pytest.raises(WsolbenchError, match=found):
        read_result(tmp_path / "r.json")
    (tmp_path / "r.json").write_text("[" * 100000)
    with pytest.raises(WsolbenchError, match="nested too deeply"):
        read_result(tmp_path / "r.json")


def test_a_protocol_is_what_its_fields_say(dataset: Dataset, tmp_path: Path) -> None:
    content = json.loads(scored(dataset, random_maps(COUNT)).to_json())
    content["protocol"]["comparator"] = ">"
    (tmp_path / "r.json").write_text(json.dumps(content))
    with pytest.raises(WsolbenchError, match="invalid protocol"):
        read_result(tmp_path / "r.json")


def test_a_threshold_of_the_same_maps_on_the_same_split_is_not_carried(dataset: Dataset) -> None:
    evaluator = Evaluator(dataset)
    evaluator.update(dataset.image_ids, random_maps(COUNT))
    own = evaluator.result(submission_sha256="a" * 64)
    with pytest.raises(WsolbenchError, match="the same maps on the same split"):
        evaluator.result(threshold=own, submission_sha256="a" * 64)
    assert evaluator.result(threshold=own, submission_sha256="b" * 64).threshold.rule == "carried"


def test_tables_escape_and_do_not_mix_protocols(dataset: Dataset) -> None:
    result = scored(dataset, random_maps(COUNT))
    hostile = dataclasses.replace(result, method={"name": "a|b <script> $x_$ [l](u)"})
    assert r"a\|b &lt;script&gt; \$x\_\$ \[l\](u)" in table([hostile], "md")
    assert "$x_$" not in table([hostile], "latex")
    formula = dataclasses.replace(result, method={"name": "=1+1"})
    assert table([formula], "csv").splitlines()[1].startswith("'=1+1,")
    other = dataclasses.replace(result, protocol={**result.protocol, "sha256": "0"})
    with pytest.raises(WsolbenchError, match=r"protocols sem\.v2 \(\w{8}\) and sem\.v2 \(0\)"):
        table([result, other])
