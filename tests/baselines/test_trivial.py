"""Maps that no network made: what they hold, and what they score."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from tests.conftest import random_dataset
from wsolbench.baselines.trivial import TRIVIAL, mean_over_cells, predict_trivial, trivial_map
from wsolbench.cli import cli
from wsolbench.data.dataset import Dataset
from wsolbench.errors import WsolbenchError
from wsolbench.evaluation.run import evaluate
from wsolbench.formats.submission.reader import Submission
from wsolbench.formats.submission.validate import validate


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return random_dataset(tmp_path / "random.h5", 9)


def written(dataset: Dataset, folder: Path, name: str, **options: int) -> Submission:
    out = folder / f"{name}-{len(list(folder.iterdir()))}.h5"
    predict_trivial(dataset, out, name, **options)
    assert validate(out, dataset.store) == []
    return Submission.open(out)


def test_a_whole_image_scores_the_share_of_object(dataset: Dataset, tmp_path: Path) -> None:
    scores = evaluate(dataset, written(dataset, tmp_path, "whole-image")).scores
    sizes = dataset.store.heights.astype(int) * dataset.store.widths
    assert scores["peak_iou"] == dataset.store.areas.sum() / sizes.sum()
    assert scores["ap"] == scores["peak_iou"]


def test_a_mask_at_its_own_size_is_perfect(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    mask = rng.random((12, 12)) < 0.5
    assert (mean_over_cells(mask, 12) == mask).all()


def test_cells_share_pixels_that_their_borders_cut() -> None:
    mask = np.array([[1, 0, 0]], bool)
    assert mean_over_cells(mask, 2).tolist() == [[2 / 3, 0], [2 / 3, 0]]
    rng = np.random.default_rng(1)
    mask = rng.random((7, 10)) < 0.5
    fine = np.kron(mask, np.ones((4, 4)))  # 28 x 40: whole pixels in cells of 7 x 10
    assert mean_over_cells(mask, 4) == pytest.approx(fine.reshape(4, 7, 4, 10).mean(axis=(1, 3)))


def test_finer_masks_bound_from_above(dataset: Dataset, tmp_path: Path) -> None:
    peaks = [
        evaluate(dataset, written(dataset, tmp_path, "mask", size=size)).scores["peak_iou"]
        for size in (2, 7, 28)
    ]
    assert peaks == sorted(peaks)
    assert peaks[-1] > 0.8


def test_the_gaussian_is_highest_in_the_middle() -> None:
    map_ = trivial_map("centre-gaussian", 5)
    assert map_.max() == map_[2, 2] == 1
    assert map_.min() == map_[0, 0] == 0
    assert (map_ == map_.T).all()
    assert map_[2, 1] == pytest.approx((np.exp(-0.32) - np.exp(-2.56)) / (1 - np.exp(-2.56)))


def test_the_box_covers_half_of_the_image() -> None:
    assert trivial_map("centre-box", 40).mean() == pytest.approx(0.49)
    assert trivial_map("centre-box", 10)[:, 5].tolist() == pytest.approx([0, 0.5, *[1] * 6, 0.5, 0])


def test_noise_is_seeded(dataset: Dataset, tmp_path: Path) -> None:
    first, again, other = (
        written(dataset, tmp_path, "noise", size=6, seed=seed) for seed in (3, 3, 4)
    )
    rows = range(len(dataset))
    assert np.array_equal(first.read(rows), again.read(rows))
    assert first.sha256 == again.sha256
    assert not np.array_equal(first.read(rows), other.read(rows))
    assert first.header.method["seed"] == 3


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("centre", {}, "found 'centre', expected centre-gaussian, "),
        ("noise", {"size": 0}, "size: found 0"),
        ("noise", {"seed": -1}, "seed: found -1"),
    ],
)
def test_what_cannot_be_made_is_refused(
    dataset: Dataset, tmp_path: Path, name: str, options: dict[str, int], message: str
) -> None:
    with pytest.raises(WsolbenchError, match=message):
        predict_trivial(dataset, tmp_path / "out.h5", name, **options)
    assert not (tmp_path / "out.h5").exists()


@pytest.mark.parametrize("name", TRIVIAL)
def test_the_command_writes_each(dataset: Dataset, tmp_path: Path, name: str) -> None:
    out = tmp_path / "out.h5"
    command = ["predict", f"trivial:{name}", "--annotations", str(dataset.store.path)]
    done = CliRunner().invoke(cli, [*command, "--size", "7", "--out", str(out), "--quiet"])
    assert done.exit_code == 0, done.output
    assert Submission.open(out).shapes.tolist() == [[7, 7]] * 9
    assert Submission.open(out).header.method["parameters"]["map_size"] == 7


def test_an_unknown_name_lists_the_names() -> None:
    done = CliRunner().invoke(cli, ["predict", "trivial:nothing"])
    assert done.exit_code == 2
    assert "trivial: goes with centre-gaussian, whole-image" in done.output
    assert "did you mean" not in done.output


def test_a_misspelt_name_is_put_right() -> None:
    done = CliRunner().invoke(cli, ["predict", "trivial:center-gaussian"])
    assert done.exit_code == 2
    assert "did you mean centre-gaussian?" in done.output


@pytest.mark.parametrize("name", TRIVIAL)
def test_maps_of_either_label_are_the_same_and_class_agnostic(
    dataset: Dataset, tmp_path: Path, name: str
) -> None:
    maps = {}
    for label in ("gt", "predicted"):
        out = tmp_path / f"{label}.h5"
        predict_trivial(dataset, out, name, size=5, label=label)
        submission = Submission.open(out)
        assert submission.header.label == label
        assert submission.header.method["class_agnostic"] is True
        assert evaluate(dataset, out).label == label
        maps[label] = submission.read(range(len(dataset)))
    assert np.array_equal(maps["gt"], maps["predicted"])
    with pytest.raises(WsolbenchError, match="label: found 'top', expected gt or predicted"):
        predict_trivial(dataset, tmp_path / "x.h5", name, label="top")


@pytest.mark.parametrize("name", ["whole-image", "noise"])
def test_the_command_writes_a_part(dataset: Dataset, tmp_path: Path, name: str) -> None:
    out, ids = tmp_path / "out.h5", tmp_path / "ids.txt"
    ids.write_text("image_007\nimage_002\n")
    command = ["predict", f"trivial:{name}", "--annotations", str(dataset.store.path)]
    command += ["--quiet", "--out", str(out)]

    def ids_of(*options: str) -> list[str]:
        done = CliRunner().invoke(cli, [*command, *options])
        assert done.exit_code == 0, done.output
        return Submission.open(out).image_ids

    assert ids_of("--limit", "2", "--label", "predicted") == ["image_000", "image_001"]
    assert ids_of("--ids", str(ids)) == ["image_002", "image_007"]
    assert evaluate(dataset, out, ids=["image_002", "image_007"]).images == 2
    done = CliRunner().invoke(cli, [*command, "--ids", str(ids), "--limit", "2"])
    assert "--limit and --ids exclude each other" in done.output
    assert done.exit_code == 2
