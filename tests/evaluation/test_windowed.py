"""Maps of a part of their image: scored as the same maps placed by hand, under every protocol."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.conftest import annotation, random_dataset, random_maps
from tests.maps.test_windows import slow_placed
from wsolbench.data.dataset import Dataset
from wsolbench.errors import WsolbenchError
from wsolbench.evaluation import windowed
from wsolbench.evaluation.evaluator import Evaluator, score_together
from wsolbench.evaluation.overlays import read_overlays
from wsolbench.formats.annotations import AnnotationSet, write_store
from wsolbench.formats.report import signature
from wsolbench.formats.result import Result
from wsolbench.formats.submission.reader import Submission, SubmissionHeader, SubmissionWriter
from wsolbench.leaderboard.gallery import make_gallery
from wsolbench.maps.windows import centre_crop
from wsolbench.metrics.levels import level_map
from wsolbench.protocols import PROTOCOLS

COUNT = 25
HEADER = SubmissionHeader("random", "val", "gt", "min-max", {"name": "CAM"})


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return random_dataset(tmp_path_factory.mktemp("store") / "random.h5", COUNT)


def sizes_of(dataset: Dataset) -> np.ndarray:
    store, rows = dataset.store, dataset.rows
    return np.stack((store.heights[rows], store.widths[rows]), axis=1).astype(np.int64)


def whole(dataset: Dataset) -> np.ndarray:
    return np.array([(0, 0, width, height) for height, width in sizes_of(dataset)], np.float64)


def crops(dataset: Dataset) -> np.ndarray:
    """A random window in each image, padding in every third."""
    rng = np.random.default_rng(3)
    windows = whole(dataset)
    for place, (height, width) in enumerate(sizes_of(dataset)):
        low, high = rng.random(2) / 4, 1 - rng.random(2) / 4
        windows[place] = [*(low * (width, height)), *(high * (width, height))]
        if place % 3 == 0:
            windows[place, [0, 2]] = -3.5, width + 2
        for axis in (0, 1):  # at least a pixel
            windows[place, axis + 2] = max(windows[place, axis + 2], windows[place, axis] + 1)
    return windows


def by_hand(dataset: Dataset, maps: list[np.ndarray], windows: np.ndarray) -> list[np.ndarray]:
    return [
        slow_placed(map_, window, height, width).astype(np.float32)
        for map_, window, (height, width) in zip(maps, windows, sizes_of(dataset), strict=True)
    ]


def scored(dataset: Dataset, maps: list[np.ndarray], protocol: str, **more: object) -> Result:
    evaluator = Evaluator(dataset, protocol)
    evaluator.update(dataset.image_ids, maps, **more)
    return evaluator.result()


def protocols(dataset: Dataset) -> list[str]:
    pytest.importorskip("cv2")
    return list(PROTOCOLS)


def test_the_whole_image_as_window_changes_nothing(dataset: Dataset) -> None:
    maps = random_maps(COUNT)
    for name in protocols(dataset):
        plain = scored(dataset, maps, name)
        assert scored(dataset, maps, name, windows=whole(dataset)).to_json() == plain.to_json()
        assert "windowed" not in plain.counts


def test_windows_score_as_maps_placed_by_hand(dataset: Dataset) -> None:
    maps, windows = random_maps(COUNT), crops(dataset)
    for name in protocols(dataset):
        found = scored(dataset, maps, name, windows=windows)
        expected = scored(dataset, by_hand(dataset, maps, windows), name)
        assert found.counts["windowed"] == COUNT
        assert found.scores == pytest.approx(expected.scores, abs=1e-3)
    plain = scored(dataset, maps, "sem").curves
    assert scored(dataset, maps, "sem", windows=windows).curves != plain


def test_only_what_is_no_whole_image_is_counted(dataset: Dataset) -> None:
    maps, windows = random_maps(COUNT), whole(dataset)
    windows[3:5, 2] += 2
    assert scored(dataset, maps, "sem", windows=windows).counts["windowed"] == 2


def test_a_constant_map_stays_counted(dataset: Dataset) -> None:
    maps, windows = [np.full((2, 2), 9, np.uint8)] * COUNT, crops(dataset)
    assert scored(dataset, maps, "sem", windows=windows).counts["constant"] == COUNT


def test_files_and_merged_parts_score_as_memory(dataset: Dataset, tmp_path: Path) -> None:
    maps, windows, ids = random_maps(COUNT), crops(dataset), dataset.image_ids
    path = tmp_path / "s.h5"
    with SubmissionWriter(path, HEADER) as writer:
        writer.append(ids[:9], maps[:9], windows=windows[:9])
        writer.append(ids[9:], maps[9:], windows=windows[9:])
    both = [Evaluator(dataset, header=HEADER, keep_images=keep) for keep in (False, True)]
    with Submission.open(path) as submission:
        score_together(both, submission)
    left, right = Evaluator(dataset, header=HEADER), Evaluator(dataset, header=HEADER)
    left.update(ids[:9], maps[:9], windows=windows[:9])
    right.update(ids[9:], maps[9:], windows=windows[9:])
    left.merge(right)
    assert left.result().to_json() == both[0].result().to_json() == both[1].result().to_json()
    assert left.result().counts["windowed"] == COUNT
    assert "CAM" in left.result().to_json()
    assert "protocol:sem" in signature(left.result())


def test_blocks_of_placed_maps_are_small(dataset: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "s.h5"
    with SubmissionWriter(path, HEADER) as writer:
        tiny = np.zeros((COUNT, 1, 1), np.uint8)
        writer.append(dataset.image_ids[::-1], tiny, windows=whole(dataset)[::-1])
    with Submission.open(path) as submission:
        found = windowed.bytes_on_images(dataset, submission)
    assert found.tolist() == (4 * sizes_of(dataset).prod(axis=1))[::-1].tolist()


@pytest.mark.parametrize(
    ("windows", "message"),
    [
        (np.zeros((2, 4)), r"windows: found 2 for 1 image ids"),
        (np.zeros((1, 3)), r"windows: found float64 of shape \(1, 3\), expected numbers \(1, 4\)"),
        ([[0, 1, "x", 2]], r"windows: found <U21 of shape"),
        ([[[0], [1, 2]]], r"windows: found object of shape"),
        (np.zeros((1, 4), bool), r"windows: found bool of shape \(1, 4\)"),
        (np.array([[0, 0, np.nan, 3]]), r"window of image_000: found \[0.0, 0.0, nan, 3.0\]"),
        (np.array([[0.25, 0, 0.75, 1]]), "window of image_000: .* at least one pixel wide"),
        (np.array([[30, 0, 99, 2]]), r"window of image_000: .* lies within the image or covers"),
        (np.array([[-5, 0, 3, 2]]), r"window of image_000: .*\([0-9]+x[0-9]+ pixels\)"),
    ],
)
def test_illegal_windows(dataset: Dataset, windows: np.ndarray, message: str) -> None:
    evaluator = Evaluator(dataset)
    with pytest.raises(WsolbenchError, match=message):
        evaluator.update(dataset.image_ids[:1], random_maps(1), windows=windows)
    assert "0 of 25 images" in repr(evaluator)


def test_a_file_whose_windows_are_of_other_images(dataset: Dataset, tmp_path: Path) -> None:
    windows = whole(dataset)
    windows[4] += 60
    path = tmp_path / "s.h5"
    with SubmissionWriter(path, HEADER) as writer:
        writer.append(dataset.image_ids, random_maps(COUNT), windows=windows)
    with (
        Submission.open(path) as submission,
        pytest.raises(WsolbenchError, match="window of image_004: found"),
    ):
        Evaluator(dataset).score(submission)


def square_dataset(folder: Path) -> Dataset:
    """Photos of 60x40 and 40x60 pixels that mark a square, near an edge in one."""
    image = pytest.importorskip("PIL.Image")
    annotations = []
    for name, (height, width), (y, x) in (
        ("a", (40, 60), (12, 30)),
        ("b", (60, 40), (20, 8)),
        ("c", (40, 60), (16, 20)),
    ):
        mask = np.zeros((height, width), bool)
        mask[y : y + 12, x : x + 12] = True
        image.fromarray(np.stack([mask * np.uint8(200)] * 3, axis=2)).save(folder / f"{name}.png")
        annotations.append(annotation(name, mask))
    write_store(folder / "squares.h5", AnnotationSet("squares", annotations))
    return Dataset.open(folder / "squares.h5", images=folder)


def cropped(dataset: Dataset) -> tuple[list[np.ndarray], np.ndarray]:
    """Maps that show the mask exactly, as a network sees it in a centre crop of 32 of 40."""
    maps, windows = [], []
    for index, (height, width) in enumerate(sizes_of(dataset).tolist()):
        window = centre_crop(40, 32)(height, width)
        x0, y0, x1, y1 = (int(end) for end in window)
        maps.append(dataset[index].mask[y0:y1, x0:x1] * np.uint8(255))
        windows.append(window)
    return maps, np.array(windows)


def test_a_crop_is_right_with_its_window_and_wrong_without(tmp_path: Path) -> None:
    dataset = square_dataset(tmp_path)
    maps, windows = cropped(dataset)
    assert scored(dataset, maps, "sem", windows=windows).scores["peak_iou"] == 1
    assert scored(dataset, maps, "sem").scores["peak_iou"] < 0.6


def test_overlays_and_the_gallery_place_maps(tmp_path: Path) -> None:
    dataset = square_dataset(tmp_path)
    maps, windows = cropped(dataset)
    header = SubmissionHeader("squares", "val", "gt", "min-max", {"name": "CAM"})
    with SubmissionWriter(tmp_path / "s.h5", header) as writer:
        writer.append(dataset.image_ids, maps, windows=windows)
    with Submission.open(tmp_path / "s.h5") as submission:
        result = scored(dataset, maps, "sem", windows=windows)
        for paired in (None, result):
            overlays = read_overlays(dataset, [submission], dataset.image_ids, [paired])
            for overlay in overlays:
                assert np.array_equal(overlay.maps[0].levels, overlay.mask * np.uint8(255))
                if paired is not None:
                    assert overlay.maps[0].box is not None
                    assert overlay.maps[0].box.tolist() == overlay.boxes[0].tolist()
        text = make_gallery(dataset, [submission], ["CAM"], dataset.image_ids)
    assert text.count('"height":40,') == 4  # two photos and their maps
    assert text.count("10000") >= 3  # an IoU of 1


def test_placed_levels_are_those_of_the_map(tmp_path: Path) -> None:
    dataset = square_dataset(tmp_path)
    maps, windows = cropped(dataset)
    size = sizes_of(dataset)
    placed = windowed.on_images(maps, windows, size)
    for index, map_ in enumerate(placed.maps):
        assert np.array_equal(level_map(map_, *size[index]) > 0, dataset[index].mask)


def test_windows_may_be_lists_or_tensors_with_gradients(dataset: Dataset) -> None:
    torch = pytest.importorskip("torch")
    maps, windows = random_maps(COUNT), crops(dataset)
    expected = scored(dataset, maps, "sem", windows=windows).scores
    assert scored(dataset, maps, "sem", windows=windows.tolist()).scores == expected
    tensor = torch.tensor(windows, requires_grad=True)
    assert scored(dataset, maps, "sem", windows=tensor).scores == expected
