"""One request, one run: what is checked when it is made, and that every way gives the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import wsolbench
from tests.conftest import random_dataset, random_maps
from wsolbench.data.dataset import Dataset
from wsolbench.errors import WsolbenchError
from wsolbench.evaluation.evaluator import Evaluator
from wsolbench.evaluation.run import Request, evaluate, run
from wsolbench.formats.report import signature, table
from wsolbench.formats.result import Bootstrap, Threshold, read_result
from wsolbench.formats.submission.reader import Submission
from wsolbench.formats.submission.rules import SubmissionHeader
from wsolbench.formats.submission.writer import SubmissionWriter

COUNT = 10


@pytest.fixture
def files(tmp_path: Path) -> tuple[Dataset, Path]:
    dataset = random_dataset(tmp_path / "random.h5", COUNT)
    header = SubmissionHeader("random", "val", "gt", "none", {"name": "m"})
    with SubmissionWriter(tmp_path / "m.h5", header) as writer:
        for image_id, map_ in zip(dataset.image_ids, random_maps(COUNT), strict=True):
            writer.append([image_id], [map_])
    return dataset, tmp_path / "m.h5"


def test_every_way_gives_the_same_result(files: tuple[Dataset, Path]) -> None:
    dataset, maps = files
    with Submission.open(maps) as opened:
        evaluator = Evaluator(dataset, header=opened.header)
        evaluator.score(opened)
        expected = evaluator.result(submission_sha256=opened.sha256)
        assert evaluate(dataset, opened) == expected
    assert evaluate(dataset, maps) == evaluate(dataset.store.path, str(maps)) == expected
    assert run(Request(maps, dataset.store.path)).results == (expected,)
    assert wsolbench.evaluate is evaluate


def test_a_result_file_carries_its_thresholds(files: tuple[Dataset, Path], tmp_path: Path) -> None:
    dataset, maps = files
    val = Evaluator(dataset)
    val.update(dataset.image_ids, random_maps(COUNT, 2))
    result = val.result()
    result.write(tmp_path / "val.json")
    from_file = evaluate(dataset, maps, threshold=tmp_path / "val.json")
    assert from_file == evaluate(dataset, maps, threshold=result)
    assert from_file.threshold.rule == "carried"
    again = evaluate(dataset, maps, threshold=from_file.threshold)
    assert again == from_file
    assert evaluate(dataset, maps, threshold=Threshold("fixed", 9, 9)).scores == (
        evaluate(dataset, maps, threshold=9).scores
    )


def test_a_bootstrap_of_another_level_comes_back(
    files: tuple[Dataset, Path], tmp_path: Path
) -> None:
    result = evaluate(*files, bootstrap=Bootstrap(9, level=0.9))
    result.write(tmp_path / "r.json")
    assert read_result(tmp_path / "r.json") == result


@pytest.mark.parametrize(
    "threshold, found",
    [
        (Threshold("best", 9, 9), "the rule 'best'"),
        (Threshold("fixed", 300, 3), "the levels 300, 3"),
        (Threshold("fixed", True, 3), "the levels True, 3"),
        (Threshold("max", 9, 9), 'a level under the rule "max"'),
        (Threshold("fixed"), "no level of pixel, box scores"),
        (Threshold("fixed", 9), "no level of box scores"),
        (Threshold("carried", 9, 9), "a carried level without the method and split"),
        (True, "True"),
        (256, "256"),
    ],
)
def test_thresholds_that_mean_nothing_are_refused(
    files: tuple[Dataset, Path], threshold: Any, found: str
) -> None:
    with pytest.raises(WsolbenchError, match=f"threshold: found {found}"):
        evaluate(*files, threshold=threshold)


def test_a_split_that_is_not_that_of_the_dataset_is_refused(files: tuple[Dataset, Path]) -> None:
    dataset, maps = files
    with pytest.raises(WsolbenchError, match="split: found 'test', expected that of the Dataset"):
        Request(maps, dataset, split="test")
    assert run(Request(maps, dataset, split=dataset.split)).results[0].split == dataset.split


def test_bars_are_asked_for_the_work_there_is(files: tuple[Dataset, Path]) -> None:
    dataset, maps = files
    asked: list[tuple[str, str]] = []
    steps: list[tuple[int, int]] = []

    class Bar:
        def __init__(self, title: str, unit: str) -> None:
            asked.append((title, unit))

        def __enter__(self) -> Any:
            return lambda done, total: steps.append((done, total))

        def __exit__(self, *_: object) -> None:
            return None

    run(Request(maps, dataset), Bar)
    assert asked == [("evaluate", "image")]
    assert steps[-1] == (COUNT, COUNT)
    run(Request(maps, dataset, bootstrap=Bootstrap(300), by=["boxes"]), Bar)
    assert asked[1:] == [("evaluate", "image"), ("intervals and groups", "step")]
    assert steps[-1] == (303, 303)


@pytest.mark.parametrize(
    "options, found",
    [
        ({"protocols": ("nothing",)}, "protocol: found 'nothing'"),
        ({"protocols": ()}, "protocol: found none"),
        ({"protocols": ("sem", "sem")}, "name each protocol once"),
        ({"protocols": None}, "protocol: found None, expected sem, "),
        ({"protocols": [["sem"]]}, "protocol: found ..sem.., expected sem, "),
        ({"metrics": "pixel"}, "metrics: found the text 'pixel', expected a list"),
        ({"by": "area"}, "by: found the text 'area', expected a list"),
        ({"by": ("size",)}, "area, boxes or class"),
        ({"bootstrap": 1000}, r"bootstrap: found 1000, expected a wsolbench.Bootstrap"),
        ({"bootstrap": Bootstrap(0)}, r"bootstrap.resamples: found 0, expected an integer"),
        ({"bootstrap": Bootstrap(9, seed=-1)}, r"bootstrap.seed: found -1, expected an integer"),
        (
            {"bootstrap": Bootstrap(9, level=2.0)},
            r"bootstrap.level: found 2.0, expected",
        ),
        ({"protocols": ("adl",), "threshold": 9}, "threshold: found protocol adl"),
        ({"protocols": ("sem", "adl"), "per_image": True}, "per-image scores: found protocol adl"),
        ({"jobs": 0}, "jobs: found 0, expected 1 or more"),
        ({"jobs": "2"}, "jobs: found '2', expected 1 or more"),
        ({"limit": True}, "limit: found True, expected 1 or more"),
        ({"metrics": 5}, "metrics: found 5, expected a list"),
        ({"limit": 0}, "limit: found 0, expected 1 or more"),
        ({"ids": "image_000"}, "ids: found the text 'image_000', expected a list of image ids"),
        ({"ids": ["image_000"], "limit": 1}, "ids: both ids and a limit; leave one"),
    ],
)
def test_a_request_is_checked_when_it_is_made(options: dict[str, Any], found: str) -> None:
    with pytest.raises(WsolbenchError, match=found):
        Request("nowhere.h5", **options)


@pytest.mark.parametrize(
    "call, found",
    [
        (lambda ds, maps: evaluate(maps, maps), "m.h5: found format"),
        (lambda ds, maps: evaluate(ds, ds.store.path), "random.h5: .*format"),
        (lambda ds, maps: evaluate(3, maps), "annotations: found an object of type int"),
        (lambda ds, maps: evaluate(ds, 3), "submission: found an object of type int"),
        (lambda ds, maps: evaluate(ds, maps, bootstrap=True), "bootstrap: found True"),
        (lambda ds, maps: Evaluator("random.h5"), "dataset: found an object of type str"),
        (lambda ds, maps: Evaluator(ds, None), "protocol: found None"),
        (
            lambda ds, maps: Evaluator(ds).update(["image_000"], [[[1, 2], [3]]]),
            "map of image_000: found",
        ),
        (
            lambda ds, maps: Evaluator(ds).update(["image_000"], np.ones((1, 2, 2), np.int64)),
            r"found dtype int64, expected uint8, float16 or float32",
        ),
        (lambda ds, maps: Evaluator(ds).result(bootstrap=1000), "bootstrap: found 1000"),
        (lambda ds, maps: Submission(maps), r"expected what Submission.open\(path\) returns"),
        (lambda ds, maps: wsolbench.table(evaluate(ds, maps)), "a list of results, even of one"),
        (lambda ds, maps: ds.first("3"), "limit: found '3', expected 1 or more"),
        (lambda ds, maps: ds.only([1]), "1 of 1 listed ids unknown: 1"),
        (lambda ds, maps: Evaluator(ds).update([b"image_000"], []), "decode them"),
        (
            lambda ds, maps: Evaluator(ds).update(["image_000.jpg"], [np.ones((1, 1), "f4")]),
            "pass ids without folder and ending, such as image_000",
        ),
    ],
)
def test_plain_mistakes_are_one_line(files: tuple[Dataset, Path], call: Any, found: str) -> None:
    with pytest.raises(WsolbenchError, match=found):
        call(*files)


def test_a_file_may_be_validated_against_the_path_of_annotations(
    files: tuple[Dataset, Path],
) -> None:
    dataset, maps = files
    assert wsolbench.validate(maps, str(dataset.store.path)) == []


def test_tensors_of_every_kind_are_maps(files: tuple[Dataset, Path]) -> None:
    torch = pytest.importorskip("torch")
    dataset, _ = files
    plain = Evaluator(dataset)
    plain.update(dataset.image_ids, [np.float32(map_ > 99) for map_ in random_maps(COUNT)])
    for change in (
        lambda tensor: tensor.requires_grad_(),
        lambda tensor: tensor.to(torch.bfloat16),
        lambda tensor: tensor.to(torch.float64),
    ):
        tensors = [change(torch.tensor(np.float32(map_ > 99))) for map_ in random_maps(COUNT)]
        other = Evaluator(dataset)
        other.update(dataset.image_ids, tensors)
        assert other.result() == plain.result()


def test_a_subset_is_scored_alone_and_marked(files: tuple[Dataset, Path], tmp_path: Path) -> None:
    dataset, maps = files
    ids = dataset.image_ids[1::3]
    part = dataset.only(ids)
    by_hand = Evaluator(part)
    planes = random_maps(COUNT)
    by_hand.update(ids, [planes[place] for place in range(1, COUNT, 3)])
    result = evaluate(dataset, maps, ids=ids[::-1])
    assert result.scores == by_hand.result().scores
    assert result.scores != evaluate(dataset, maps).scores
    assert (result.images, result.ids) == (3, part.subset)
    assert evaluate(part, maps) == run(Request(maps, dataset.store.path, ids=ids)).results[0]
    result.write(tmp_path / "r.json")
    assert read_result(tmp_path / "r.json") == result
    assert '"comparable": false' in result.to_json()
    assert f"SUBSET:{result.ids}, not comparable" in signature(result)
    assert "val (subset)" in table([result], "md")
    assert part.subset is not None
    assert part.subset.sha256 in table([result], "csv")
    assert evaluate(dataset, maps, ids=dataset.image_ids).ids is None
    with pytest.raises(WsolbenchError, match="2 of 3 listed ids unknown: im, age"):
        evaluate(dataset, maps, ids=["im", "image_001", "age"])


def test_maps_of_a_subset_need_its_ids(files: tuple[Dataset, Path], tmp_path: Path) -> None:
    dataset, _ = files
    ids = dataset.image_ids[:4]
    header = SubmissionHeader("random", "val", "gt", "none", {"name": "m"})
    with SubmissionWriter(tmp_path / "part.h5", header) as writer:
        writer.append(ids, random_maps(4))
    assert evaluate(dataset, tmp_path / "part.h5", ids=ids).counts["missing"] == 0
    with pytest.raises(WsolbenchError, match="no map for 6 of 10 images"):
        evaluate(dataset, tmp_path / "part.h5")
    with pytest.raises(WsolbenchError, match="no map for 1 of 5 images: image_004"):
        evaluate(dataset, tmp_path / "part.h5", ids=dataset.image_ids[:5])


def test_thresholds_of_a_subset_say_so(files: tuple[Dataset, Path]) -> None:
    dataset, maps = files
    val = Evaluator(dataset.only(dataset.image_ids[:3]))
    val.update(dataset.image_ids[:3], random_maps(3, 2))
    result = evaluate(dataset, maps, threshold=val.result())
    assert result.threshold.source is not None
    assert result.threshold.source["ids"]["count"] == 3
    assert "threshold:from val (subset) of " in signature(result)


@pytest.mark.parametrize("ids", [{"count": 2, "sha256": "ab" * 32}, {"count": 9}, {"sha256": 3}])
def test_a_marker_that_cannot_be_is_refused(
    files: tuple[Dataset, Path], tmp_path: Path, ids: dict[str, object]
) -> None:
    dataset, maps = files
    content = json.loads(evaluate(dataset, maps, ids=dataset.image_ids[:3]).to_json())
    content["ids"] = ids
    (tmp_path / "r.json").write_text(json.dumps(content))
    with pytest.raises(WsolbenchError, match=r"r\.json: found (invalid ids|another shape)"):
        read_result(tmp_path / "r.json")
