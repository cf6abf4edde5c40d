"""Intervals: what a plain loop over resampled images gives, number for number."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.conftest import random_dataset, random_maps
from wsolbench.errors import WsolbenchError
from wsolbench.evaluation.evaluator import Evaluator
from wsolbench.evaluation.statistics import added, part
from wsolbench.formats.report import signature, table
from wsolbench.formats.result import Bootstrap, Result, read_result
from wsolbench.metrics.bootstrap import Weights, draw_weights, percentile_interval
from wsolbench.metrics.family import Sums

COUNT = 12


def evaluator(tmp_path: Path, **options: object) -> Evaluator:
    dataset = random_dataset(tmp_path / "random.h5", COUNT)
    made = Evaluator(dataset, keep_images=True, **options)
    rng = np.random.default_rng(3)
    top5 = np.stack([rng.permutation(7)[:5] for _ in range(COUNT)])
    made.update(dataset.image_ids, random_maps(COUNT), top5)
    return made


def one_image_each(made: Evaluator) -> list[Sums]:
    """What each image adds alone."""
    return [made.scoring.sums(part(made._kept, slice(n, n + 1))) for n in range(COUNT)]


@pytest.mark.parametrize("threshold", [None, 100])
def test_intervals_are_those_of_a_plain_loop(tmp_path: Path, threshold: int | None) -> None:
    made = evaluator(tmp_path)
    drawn = Bootstrap(resamples=40, seed=5)
    result = made.result(threshold=threshold, bootstrap=drawn)
    parts = one_image_each(made)
    rng = np.random.default_rng(5)
    scored: dict[str, list[float]] = {}
    for _ in range(40):
        total: Sums = {}
        for index in rng.integers(COUNT, size=COUNT):
            total = added(total, parts[index])
        for key, score in made.scoring.scored(total, result.threshold)[0].items():
            scored.setdefault(key, []).append(score)
    assert result.intervals.keys() == result.scores.keys() == scored.keys()
    for key, values in scored.items():
        assert list(result.intervals[key]) == [sorted(values)[1], sorted(values)[38]], key


def test_the_seed_decides_and_nothing_else_does(tmp_path: Path) -> None:
    made = evaluator(tmp_path)
    first, again = (made.result(bootstrap=Bootstrap(50, seed=1)) for _ in range(2))
    other = made.result(bootstrap=Bootstrap(50, seed=2))
    assert first.to_json() == again.to_json()
    assert first.intervals != other.intervals
    assert first.scores == other.scores == made.result().scores


def test_missing_images_are_resampled_as_zeros(tmp_path: Path) -> None:
    dataset = random_dataset(tmp_path / "random.h5", COUNT)
    some, all_ = (Evaluator(dataset, keep_images=True) for _ in range(2))
    maps = random_maps(COUNT)
    some.update(dataset.image_ids[:8], maps[:8])
    all_.update(dataset.image_ids, [*maps[:8], *[np.zeros((1, 1), np.uint8)] * 4])
    drawn = Bootstrap(50)
    found = some.result(allow_missing=True, bootstrap=drawn).intervals
    assert found == all_.result(bootstrap=drawn).intervals


def test_merged_parts_have_the_intervals_of_the_whole(tmp_path: Path) -> None:
    dataset = random_dataset(tmp_path / "random.h5", COUNT)
    maps = random_maps(COUNT)
    left, right, whole = (Evaluator(dataset, keep_images=True) for _ in range(3))
    left.update(dataset.image_ids[:5], maps[:5])
    right.update(dataset.image_ids[5:], maps[5:])
    whole.update(dataset.image_ids, maps)
    left.merge(right)
    drawn = Bootstrap(30)
    assert left.result(bootstrap=drawn).to_json() == whole.result(bootstrap=drawn).to_json()


def test_intervals_need_the_images(tmp_path: Path) -> None:
    made = Evaluator(random_dataset(tmp_path / "random.h5", COUNT))
    with pytest.raises(WsolbenchError, match="keep_images=True"):
        made.result(bootstrap=Bootstrap(30))


def test_files_and_tables_hold_intervals(tmp_path: Path) -> None:
    result = evaluator(tmp_path).result(bootstrap=Bootstrap(30, seed=4))
    result.write(tmp_path / "result.json")
    read = read_result(tmp_path / "result.json")
    assert read.to_json() == result.to_json()
    assert "|intervals:95 % of 30 resamples of images, seed 4" in signature(read)
    low, high = (100 * end for end in read.intervals["peak_iou"])
    shown = f"{100 * read.scores['peak_iou']:.2f} [{low:.2f}, {high:.2f}]"
    assert shown in table([read], "md").replace("\\", "")
    head, row = table([read], "csv").splitlines()
    cells = dict(zip(head.split(","), row.split(","), strict=True))
    assert float(cells["peak_iou_low"]) == read.intervals["peak_iou"][0]


@pytest.mark.parametrize(
    "change",
    [
        {"bootstrap": None, "intervals": {"peak_iou": [0.1, 0.2]}},
        {"intervals": {"peak_iou": [0.9, 0.2]}},
        {"intervals": {"peak_iou": [0.1]}},
        {"intervals": {"nothing": [0.1, 0.2]}},
        {"bootstrap": Bootstrap(30, seed=-1)},
        {"bootstrap": Bootstrap(30, level=1.5)},
    ],
)
def test_a_strangers_intervals_are_checked(tmp_path: Path, change: dict[str, object]) -> None:
    result: Result = replace(evaluator(tmp_path).result(bootstrap=Bootstrap(30)), **change)
    text = result.to_json()
    if result.bootstrap is None:
        text = text.replace('"images"', '"intervals": {"peak_iou": [0.1, 0.2]},\n "images"', 1)
    (tmp_path / "changed.json").write_text(text)
    with pytest.raises(WsolbenchError, match=r"invalid (intervals|bootstrap)"):
        read_result(tmp_path / "changed.json")


def exactly(weights: NDArray[np.uint16], values: NDArray[np.int64]) -> NDArray[np.object_]:
    """The sums in Python's own whole numbers."""
    return np.asarray(weights.astype(object) @ values.astype(object))


@pytest.mark.parametrize("images", [2, 64, 65, 3000, 5000])
@pytest.mark.parametrize("largest", [[1], [1 << 20], [1 << 30], [1 << 40], [1 << 45], [1, 1 << 45]])
def test_sums_are_exact_whatever_the_arithmetic(images: int, largest: list[int]) -> None:
    rng = np.random.default_rng(largest)
    weights = draw_weights(images, 4, rng)
    values = rng.integers(largest * 5, size=(images, 5 * len(largest)), endpoint=True)
    assert (Weights(weights).sums(values) == exactly(weights, values)).all()


@pytest.mark.parametrize("largest", [1, 1 << 40])
@pytest.mark.parametrize("columns", [1, 2, 8, 9, 300])
@pytest.mark.parametrize("share", [0.0, 0.03, 0.06, 0.07, 1.0])
def test_sums_of_curves_that_rarely_change_are_exact(
    largest: int, columns: int, share: float
) -> None:
    rng = np.random.default_rng(columns)
    weights = draw_weights(200, 7, rng)
    values = np.repeat(rng.integers(largest, size=(200, 1), endpoint=True), columns, axis=1)
    moved = rng.random(values.shape) < share
    values[moved] = rng.integers(largest, size=moved.sum(), endpoint=True)
    assert (Weights(weights).sums(values) == exactly(weights, values)).all()


@pytest.mark.parametrize("bits", [24, 53])
@pytest.mark.parametrize("more", [-1, 0, 1])
@pytest.mark.parametrize("columns", [9, 40])
def test_sums_are_exact_at_the_limits_of_floats(bits: int, more: int, columns: int) -> None:
    # 105 images are drawn, and 105 divides 2**24 - 1.
    weights = np.ones((3, 105), np.uint16)
    weights[1] = 0
    weights[1, 7] = 105
    values = np.full((105, columns), ((1 << bits) - 1) // 105 + more)
    values[:, ::2] -= 1
    assert (Weights(weights).sums(values) == exactly(weights, values)).all()


def test_weights_are_draws_with_replacement() -> None:
    weights = draw_weights(500, 200, np.random.default_rng(0))
    assert (weights.sum(axis=1) == 500).all()
    assert weights.mean() == 1
    assert 0.95 < weights.var() < 1.05  # as Poisson's of mean 1
    more = draw_weights(500, 300, np.random.default_rng(0))
    assert (more[:200] == weights).all()


def test_percentiles_are_values() -> None:
    assert percentile_interval(list(range(1000)), 0.95) == (25, 974)
    assert percentile_interval([3.0, 1.0, 2.0], 0.95) == (1, 3)
    ends = percentile_interval(np.array([7, 3, 5]), 0.95)
    assert ends == (3, 7)
    assert {type(end) for end in ends} == {int}


def test_one_image_is_not_resampled() -> None:
    with pytest.raises(WsolbenchError, match="only one image"):
        draw_weights(1, 200, np.random.default_rng(0))
