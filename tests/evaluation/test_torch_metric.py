"""The torchmetrics metric gives the evaluator's bits, whatever the way its state was added up."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import torch
import torchmetrics

from wsolbench.data.dataset import Dataset
from wsolbench.errors import WsolbenchError
from wsolbench.evaluation.evaluator import Evaluator
from wsolbench.evaluation.torch_metric import LocalizationMetric
from wsolbench.formats.result import Threshold

from ..conftest import random_dataset, random_maps

COUNT = 23
FIRST = 7


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return random_dataset(tmp_path_factory.mktemp("torch_metric") / "random.h5", COUNT)


@pytest.fixture(scope="module")
def maps() -> list[np.ndarray]:
    return random_maps(COUNT)


@pytest.fixture(scope="module")
def top5() -> np.ndarray:
    rng = np.random.default_rng(5)
    return np.stack([rng.permutation(7)[:5] for _ in range(COUNT)])


def truth(dataset: Dataset, places: range) -> dict[str, list]:
    samples = [dataset[place] for place in places]
    return {"masks": [s.mask for s in samples], "boxes": [s.boxes for s in samples]}


def fed(
    metric: LocalizationMetric,
    dataset: Dataset,
    maps: list[np.ndarray],
    places: range = range(COUNT),
    top5: np.ndarray | None = None,
) -> LocalizationMetric:
    """The metric after an update with some images."""
    given = truth(dataset, places)
    if "box" not in metric.scoring.families:
        del given["boxes"]
    if top5 is not None:
        given["top5"] = torch.from_numpy(top5[places.start : places.stop])
    if top5 is not None or metric.scoring.classes:
        given["class_indices"] = [int(dataset.class_indices[place]) for place in places]
    metric.update([torch.from_numpy(maps[place]) for place in places], **given)
    return metric


def evaluated(dataset: Dataset, maps: list[np.ndarray], **options: object) -> Evaluator:
    top5 = options.pop("top5", None)
    evaluator = Evaluator(dataset, **options)
    evaluator.update(dataset.image_ids, maps, top5)
    return evaluator


def numbers(metric: LocalizationMetric) -> dict[str, float]:
    return {key: value.item() for key, value in metric.compute().items()}


@pytest.mark.parametrize("protocol", ["sem", "wsoleval-v2", "wsoleval-pxap", "adl", "bas"])
def test_scores_and_curves_are_those_of_the_evaluator(
    protocol: str, dataset: Dataset, maps: list[np.ndarray]
) -> None:
    evaluator = evaluated(dataset, maps, protocol=protocol)
    expected = evaluator.result()
    classes = int(dataset.class_indices.max()) + 1 if protocol == "bas" else 0
    metric = LocalizationMetric(evaluator.metrics, protocol, classes=classes)
    for start in range(0, COUNT, 9):
        fed(metric, dataset, maps, range(start, min(start + 9, COUNT)))
    assert numbers(metric) == dict(expected.scores)
    assert metric.curves() == dict(expected.curves)
    assert metric.images == COUNT


def test_explanation_scores_too(dataset: Dataset, maps: list[np.ndarray]) -> None:
    expected = evaluated(dataset, maps, metrics=["pixel", "shape", "explain"]).result().scores
    metric = LocalizationMetric(("explain", "pixel", "shape"))
    for places in (range(FIRST), range(FIRST, COUNT)):
        fed(metric, dataset, maps, places)
    assert numbers(metric) == dict(expected)
    assert {"relevance_mass", "iou_shape"} <= expected.keys()


@pytest.mark.parametrize(
    "threshold", [100, Threshold("fixed", pixel=90, box=30)], ids=["both", "one each"]
)
def test_class_scores_and_fixed_thresholds_too(
    threshold: int | Threshold, dataset: Dataset, maps: list[np.ndarray], top5: np.ndarray
) -> None:
    metric = LocalizationMetric(("box", "pixel"), top5=True, threshold=threshold)
    fed(metric, dataset, maps, top5=top5)
    expected = evaluated(dataset, maps, top5=top5).result(threshold=threshold)
    assert numbers(metric) == dict(expected.scores)
    assert "top5_loc" in expected.scores


def test_ignored_pixels_count_nowhere(dataset: Dataset, maps: list[np.ndarray]) -> None:
    metric, other = LocalizationMetric(), LocalizationMetric()
    given = truth(dataset, range(COUNT))["masks"]
    ignored = [np.zeros_like(mask) for mask in given]
    metric.update(maps, given, ignored=ignored)
    assert torch.equal(fed(other, dataset, maps).sums, metric.sums)
    ignored[3][:] = True
    metric.reset()
    metric.update(maps, given, ignored=ignored)
    lost = other.sums - metric.sums
    assert int(lost[1:513].sum()) == given[3].size


def test_tensors_of_every_kind_are_taken() -> None:
    mask = np.zeros((8, 6), np.bool_)
    mask[2:5, 1:4] = True
    metric = LocalizationMetric()
    maps = torch.from_numpy(mask)[None, None].expand(2, 1, 8, 6)
    for kind in (torch.bool, torch.float16, torch.float32, torch.float64, torch.bfloat16):
        for target in (torch.bool, torch.uint8, torch.int64, torch.float32):
            metric.update(maps.to(kind).requires_grad_(kind.is_floating_point), maps.to(target))
    assert metric.images == 40
    assert numbers(metric)["peak_iou"] == numbers(metric)["ap_image_mean"] == 1.0


def test_states_add_up_whatever_the_way(dataset: Dataset, maps: list[np.ndarray]) -> None:
    """Merged metrics, checkpoints, copies and pickles: one sum; reset leaves nothing of it."""
    whole = fed(LocalizationMetric(), dataset, maps)
    assert whole.sums.dtype == torch.int64
    assert whole.sums.nbytes < 7000

    parts = [
        fed(LocalizationMetric(), dataset, maps, places)
        for places in (range(11), range(11, 12), range(12, COUNT))
    ]
    merged = LocalizationMetric()
    merged.merge_state(parts[2])
    for part in (parts[0].metric_state, parts[1]):
        merged.merge_state(part)
    assert torch.equal(merged.sums, whole.sums)

    saved = parts[0].state_dict()
    fed(parts[0], dataset, maps, range(11, COUNT))
    restored = LocalizationMetric()
    restored.load_state_dict(saved)
    assert numbers(restored) == numbers(fed(LocalizationMetric(), dataset, maps, range(11)))
    fed(restored, dataset, maps, range(11, COUNT))
    for same in (restored, parts[0], pickle.loads(pickle.dumps(whole)), whole.clone()):
        assert numbers(same) == numbers(whole)

    whole.reset()
    assert not whole.update_called
    fed(whole, dataset, maps, range(4))
    assert numbers(whole) == numbers(fed(LocalizationMetric(), dataset, maps, range(4)))


def test_forward_scores_the_batch_and_adds_it(dataset: Dataset, maps: list[np.ndarray]) -> None:
    metric = LocalizationMetric()
    for places in (range(10), range(10, COUNT)):
        masks = truth(dataset, places)["masks"]
        own = metric([maps[place] for place in places], masks)
        alone = fed(LocalizationMetric(), dataset, maps, places)
        assert {key: value.item() for key, value in own.items()} == numbers(alone)
    assert numbers(metric) == numbers(fed(LocalizationMetric(), dataset, maps))


def test_it_moves_between_devices_and_stays_whole_numbers(
    dataset: Dataset, maps: list[np.ndarray]
) -> None:
    metric = fed(LocalizationMetric(), dataset, maps)
    expected = metric.sums.clone()
    for moved in (metric.half(), metric.double(), metric.set_dtype(torch.float16)):
        assert moved.sums.dtype == torch.int64
        assert torch.equal(moved.sums, expected)
    devices = ["meta", *(["cuda"] if torch.cuda.is_available() else [])]
    for device in devices:
        there = metric.clone().to(device)
        assert there.sums.device.type == device
        assert there.sums.shape == expected.shape
    if "cuda" in devices:
        assert torch.equal(fed(metric.to("cuda"), dataset, maps).sums.cpu(), 2 * expected)


def test_it_stands_in_a_collection(dataset: Dataset, maps: list[np.ndarray]) -> None:
    both = torchmetrics.MetricCollection(
        {"best": LocalizationMetric(), "fixed": LocalizationMetric(threshold=128)}, prefix="val_"
    )
    both.update(maps, truth(dataset, range(COUNT))["masks"])
    found = both.compute()
    alone = fed(LocalizationMetric(threshold=128), dataset, maps).compute()
    for name in ("peak_iou", "ap"):
        assert found[f"val_best_{name}"] == found[f"val_fixed_{name}"] == alone[name]
    assert found["val_fixed_iou_at_threshold"] == alone["iou_at_threshold"]


PROGRAM = """
import sys
import torch.distributed as dist
from wsolbench import Dataset, LocalizationMetric
from tests.evaluation.test_torch_metric import FIRST, COUNT, fed, joined, numbers, random_maps

with joined(sys.argv[1], 1):
    metric = fed(LocalizationMetric(("pixel", "box")), Dataset.open(sys.argv[2]),
                 random_maps(COUNT), range(FIRST, COUNT))
    print(numbers(metric), metric.images)
"""


@contextmanager
def joined(meeting: str, rank: int) -> Iterator[None]:
    """One of two processes that exchange tensors over the loopback interface."""
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    limit = timedelta(seconds=120)
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{meeting}", rank=rank, world_size=2, timeout=limit
    )
    try:
        yield
    finally:
        torch.distributed.destroy_process_group()


def test_two_processes_score_as_one(
    dataset: Dataset, maps: list[np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This process and another, with batches of different sizes."""
    if not torch.distributed.is_available():
        pytest.skip("this torch has no distributed package")
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "lo")
    meeting = str(tmp_path / "meet")
    other = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, meeting, str(dataset.store.path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).resolve().parents[2],
    )
    try:
        with joined(meeting, 0):
            metric = fed(LocalizationMetric(("pixel", "box")), dataset, maps, range(FIRST))
            found = numbers(metric)
            printed, errors = other.communicate(timeout=120)
    finally:
        other.kill()
        other.communicate()
    assert other.returncode == 0, errors
    assert printed == f"{found} {COUNT - FIRST}\n"
    assert found == dict(evaluated(dataset, maps).result().scores)
    assert metric.images == FIRST


def test_a_state_of_other_settings_is_refused(dataset: Dataset, maps: list[np.ndarray]) -> None:
    """The same length, another meaning: the mark tells; another length: at once."""
    other = fed(LocalizationMetric(label="predicted"), dataset, maps)
    metric = LocalizationMetric()
    with pytest.raises(WsolbenchError, match="a state of other settings"):
        metric.merge_state(other)
    metric.load_state_dict(other.state_dict())
    with pytest.raises(WsolbenchError, match="found a state of other settings, expected the sums"):
        metric.compute()
    wide = fed(LocalizationMetric(("pixel", "box")), dataset, maps)
    metric.load_state_dict(wide.state_dict())
    with pytest.raises(WsolbenchError, match="a state of other settings"):
        fed(metric, dataset, maps)
    metric.reset()
    with (
        pytest.warns(UserWarning, match="before the ``update``"),
        pytest.raises(WsolbenchError, match="found no image"),
    ):
        metric.compute()


BAD = [
    ({"metrics": ("pixel", "boundary")}, "found boundary, expected pixel"),
    ({"metrics": ()}, "found none"),
    ({"metrics": ("box",), "protocol": "bas"}, "classes: found 0, expected 1 to 100000"),
    ({"classes": 3}, "classes: found 3, expected 0 under protocol sem"),
    ({"label": "mine"}, "label: found 'mine', expected gt or predicted"),
    ({"threshold": 256}, "threshold: found the levels 256"),
    ({"threshold": Threshold("fixed", box=3)}, "no level of pixel scores"),
    ({"threshold": 7, "metrics": ("box",), "protocol": "adl"}, "threshold: found protocol adl"),
    ({"threshold": Threshold("per_image", per_image="otsu")}, "threshold: found a rule for each"),
    ({"threshold": 3, "metrics": ("explain",)}, "threshold: found a threshold for explain scores"),
    ({"metrics": ("levels",)}, "metrics: found levels, expected pixel"),
    ({"top5": True, "protocol": "wsoleval-pxap"}, "top5: found class predictions for pixel scores"),
]


@pytest.mark.parametrize("options, message", BAD, ids=[message for _, message in BAD])
def test_settings_that_do_not_go_together_are_refused(
    options: dict[str, object], message: str
) -> None:
    with pytest.raises(WsolbenchError, match=message):
        LocalizationMetric(**options)


MASK = np.eye(4, dtype=np.bool_)
BOX = [[0, 0, 4, 4]]
WRONG = [
    ({"maps": [MASK, MASK]}, "maps: found 2 for 1 masks"),
    ({"maps": [MASK * 2.0]}, "map of image 0 of the batch: found 4 of 16 values above 1"),
    ({"masks": [MASK * 255]}, "mask of image 0 of the batch: found values other than 0 and 1"),
    ({"masks": [MASK[None, None]]}, r"mask of image 0 of the batch: found shape \(1, 1, 4, 4\)"),
    ({"masks": [MASK[0]]}, r"mask of image 0 of the batch: found shape \(4,\)"),
    ({"masks": None}, "update: found no masks"),
    ({"maps": None}, "update: found no maps"),
    ({"boxes": None}, "update: found no boxes"),
    ({"boxes": [BOX, BOX]}, "boxes: found 2 for 1 masks"),
    ({"boxes": [[[0, 0, 5, 4]]]}, r"boxes of image 0 of the batch: found \[0, 0, 5, 4\]"),
    ({"boxes": [np.empty((0, 4), np.int64)]}, r"boxes of image 0 of the batch: found \[\]"),
    ({"boxes": [[[0.5, 0, 4, 4]]]}, "expected integers"),
    ({"ignored": [MASK[:3]]}, "ignored of image 0 of the batch: found shape"),
    ({"top5": None}, "update: found no top5"),
    ({"top5": np.zeros((1, 5), np.int64)}, "top5 of image 0 of the batch"),
    ({"class_indices": None}, "update: found no class_indices"),
    ({"class_indices": [-1]}, "found classes from -1 to -1, expected from 0"),
]


@pytest.mark.parametrize("change, message", WRONG, ids=[message for _, message in WRONG])
def test_a_batch_that_is_not_legal_changes_nothing(change: dict[str, object], message: str) -> None:
    metric = LocalizationMetric(("pixel", "box"), top5=True)
    given = {
        **{"maps": [np.float32(MASK)], "masks": [MASK], "boxes": [BOX], "class_indices": [2]},
        "top5": np.array([[2, 1, 0, 4, 3]]),
    }
    with pytest.raises(WsolbenchError, match=message):
        metric.update(**{**given, **change})
    assert not metric.update_called
    metric.update(**given)
    assert numbers(metric)["top1_loc"] == 1.0


def test_what_would_have_no_effect_is_refused() -> None:
    metric = LocalizationMetric()
    for name, given in (("boxes", [BOX]), ("top5", np.zeros((1, 5), np.int64))):
        with pytest.raises(WsolbenchError, match=f"update: found {name}"):
            metric.update([np.float32(MASK)], [MASK], **{name: given})


def test_it_draws_its_fractions_now_or_over_time(dataset: Dataset, maps: list[np.ndarray]) -> None:
    pytest.importorskip("matplotlib", reason="a figure")
    metric = fed(LocalizationMetric(), dataset, maps)
    _, axes = metric.plot()
    levels = {key for key in numbers(metric) if "threshold" in key}
    assert levels == {"peak_threshold", "peak_threshold_image_mean"}
    drawn = numbers(metric).keys() - levels
    assert set(axes.get_legend_handles_labels()[1]) == drawn
    assert axes.get_ylim()[1] >= 1
    scores = metric.compute()
    _, axes = metric.plot([scores, scores])
    line = next(own for own in axes.get_lines() if own.get_label() == "peak_iou")
    assert line.get_ydata().tolist() == [scores["peak_iou"].item()] * 2
    with pytest.raises(WsolbenchError, match="val: found scores loss, expected what compute"):
        metric.plot([{"loss": torch.tensor(1.0)}])


def test_errors_of_arrays_name_cures_for_arrays(dataset: Dataset, maps: list[np.ndarray]) -> None:
    metric = LocalizationMetric(["box"])
    given = truth(dataset, range(1))
    given["boxes"] = [np.array([[0.0, 0.0, 2.0, 2.0]])]
    with pytest.raises(WsolbenchError, match=r"float64 of shape \(1, 4\).*np.rint"):
        metric.update([maps[0]], **given)
    given["boxes"] = [np.array([[3, 0, 2, 2]])]
    with pytest.raises(WsolbenchError) as caught:
        metric.update([maps[0]], **given)
    assert "validate" not in str(caught.value)
    with pytest.raises(WsolbenchError) as caught:
        LocalizationMetric(["box"], "wsoleval-v1", threshold=9)
    assert "--" not in str(caught.value)
