"""Groups of positions and similarities of seeds on pictures whose answer can be read off."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from tests.conftest import annotation
from wsolbench.baselines.backbones import ClassMapModel
from wsolbench.baselines.embedding import BACKGROUND, IGNORED, OBJECT, SEED
from wsolbench.baselines.predict import MapKind, predict
from wsolbench.baselines.seed_features import (
    SeedFeatures,
    mask_groups,
    seed_features,
    seed_statistics,
)
from wsolbench.data.dataset import Dataset
from wsolbench.errors import WsolbenchError
from wsolbench.formats.annotations import Annotation, AnnotationSet, write_store
from wsolbench.formats.submission.reader import Submission
from wsolbench.masks import RunLengths

COLOURS = np.array([[[255, 0, 0], [153, 204, 0]], [[0, 255, 0], [0, 0, 255]]], np.uint8)
"""Cosines to red, from left to right and from top to bottom: 1, 0.6, 0, 0."""

TOP = np.repeat([True, False], 8)[:, None] & np.ones((1, 16), bool)

WITHOUT_MASK = Annotation(
    "a", "val", 0, RunLengths(16, 16, b""), np.array([[0, 0, 8, 8]], np.int32)
)


class Colours(nn.Module):
    """Positions of 8x8 pixels: the features are mean colours, the class maps red and green."""

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        features = nn.functional.avg_pool2d(images, 8)
        maps = features[:, :2]
        return maps, features, maps.mean((2, 3))


def preprocess(photo: Image.Image, size: int) -> Tensor:
    pixels = np.asarray(photo.resize((size, size)), dtype=np.float32) / 255
    return torch.from_numpy(pixels).permute(2, 0, 1)


MODEL = ClassMapModel("colours", Colours(), preprocess, size=16)


def dataset_of(folder: Path, *rows: Annotation, classes: int = 2) -> Dataset:
    """A store whose photos all show `COLOURS`."""
    for row in rows:
        photo = COLOURS.repeat(8, axis=0).repeat(8, axis=1)
        Image.fromarray(photo).save(folder / f"{row.image_id}.png")
    names = [(f"k{index}", f"class {index}") for index in range(classes)]
    write_store(folder / "s.h5", AnnotationSet("toy", list(rows), names))
    return Dataset.open(folder / "s.h5", "val", folder)


def test_four_colours_by_hand(tmp_path: Path) -> None:
    dataset = dataset_of(tmp_path, annotation("red", TOP), annotation("zgreen", TOP, class_index=1))
    red, green = seed_features(MODEL, dataset, device="cpu")

    assert red.groups.tolist() == [[SEED, OBJECT], [BACKGROUND, BACKGROUND]]
    assert red.class_map.flatten().tolist() == pytest.approx([1, 0.6, 0, 0])
    assert red.similarity.flatten().tolist() == pytest.approx([1, 0.6, 0, 0])
    assert np.allclose(red.features, COLOURS / 255)
    assert (red.features.dtype, red.groups.dtype) == (np.float32, np.int8)
    told = seed_statistics(red)
    assert (told.seeds, told.seeds_on_object, told.object_rest, told.background) == (1, 1, 1, 2)
    assert told.seed_object == pytest.approx(0.6)
    assert told.seed_background == pytest.approx(0)
    assert (told.auc, told.class_map_auc, told.above) == (1, 1, 1)

    # Green is 1 below and 0.8 beside: both above 0.7, of which one is on the background.
    assert green.groups.tolist() == [[OBJECT, SEED], [SEED, BACKGROUND]]
    told = seed_statistics(green)
    assert (told.seeds, told.seeds_on_object) == (2, 1)
    # Red has the cosines 0.6 and 0, blue none; but in the class map both are 0.
    assert told.seed_object == pytest.approx(0.3)
    assert (told.auc, told.class_map_auc) == (1, 0.5)


def test_seeds_are_those_of_sem(tmp_path: Path) -> None:
    """As many as asked for, and the similarities from which SEM's map is made."""
    dataset = dataset_of(tmp_path, annotation("a", TOP))
    (found,) = seed_features(MODEL, dataset, seeds=0.5, device="cpu")
    assert (found.groups == SEED).tolist() == [[True, True], [False, False]]
    predict(
        MODEL,
        dataset,
        {MapKind("sem", 2): tmp_path / "m.h5"},
        device="cpu",
        map_dtype="float32",
    )
    with Submission.open(tmp_path / "m.h5") as opened:
        (map_,) = opened.read([0])
    spread = found.similarity - found.similarity.min()
    assert np.allclose(map_, spread / spread.max(), atol=1e-6)
    # Predicted is green, whose mean is higher.
    (found,) = seed_features(MODEL, dataset, seeds=1, label="predicted", device="cpu")
    assert (found.groups == SEED).tolist() == [[False, False], [True, False]]


def test_statistics_count_equal_similarities_half() -> None:
    similarity = np.array([[1, 0.5, 0.9, 0.1], [0.5, 0.2, 0, 0.5]], np.float32)
    groups = np.array([[SEED, OBJECT, OBJECT, OBJECT], [0, 0, 0, IGNORED]], np.int8)
    directions = np.stack([similarity, np.sqrt(1 - similarity**2)], axis=2)
    told = seed_statistics(
        SeedFeatures("a", directions, similarity, similarity, groups, 1, np.zeros(4))
    )
    # 0.5 beats 0.2 and 0 and equals 0.5; 0.9 beats all; 0.1 beats 0: 2.5 + 3 + 1 of 9.
    assert told.auc == pytest.approx(6.5 / 9)
    # The 95th percentile of 0, 0.2, 0.5 is 0.47.
    assert told.above == pytest.approx(2 / 3)
    assert told.seed_object == pytest.approx(0.5)
    assert told.seed_background == pytest.approx(0.7 / 3)
    assert told.as_dict()["object_rest"] == 3


def test_an_empty_group_has_no_numbers() -> None:
    ones = np.ones((1, 2), np.float32)
    groups = np.array([[SEED, OBJECT]], np.int8)
    told = seed_statistics(
        SeedFeatures("a", np.ones((1, 2, 3), np.float32), ones, ones, groups, 1, np.zeros(4))
    )
    assert told.seed_object == pytest.approx(1)
    assert (told.seed_background, told.auc, told.class_map_auc, told.above) == (None,) * 4


def test_masks_on_the_grid() -> None:
    mask = np.zeros((4, 4), bool)
    mask[0, 0] = mask[0, 2] = mask[1, 3] = mask[2:, 2:] = True
    whole = (0, 0, 4, 4)
    # One pixel of four; two of four; none; all.
    assert mask_groups(mask, None, whole, (2, 2)).tolist() == [[0, 1], [0, 1]]
    ignore = np.zeros((4, 4), bool)
    ignore[0, 1] = ignore[1, 0] = True  # then it is one of two
    ignore[2:, 0] = ignore[2, 1] = True  # one pixel of four is left
    assert mask_groups(mask, ignore, whole, (2, 2)).tolist() == [[1, 1], [-1, 1]]
    # The lower right quarter, and a window that exceeds the photo to the left.
    assert mask_groups(mask, None, (2, 2, 4, 4), (1, 2)).tolist() == [[1, 1]]
    assert mask_groups(mask, None, (-4, 0, 4, 4), (1, 4)).tolist() == [[-1, -1, 0, 1]]
    # Cells of 1.5x2 pixels, the right one with 1.5 of 3 covered; then all 7 of 16 pixels.
    assert mask_groups(mask[:2, 1:], None, (0, 0, 3, 2), (1, 2)).tolist() == [[0, 1]]
    assert mask_groups(mask, None, whole, (1, 1)).tolist() == [[0]]
    assert mask_groups(np.ones((3, 5), bool), None, (0, 0, 5, 3), (2, 2)).min() == 1


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        ([annotation("a", TOP, class_index=-1)], {}, "no class for 1 of 1 images"),
        (
            [annotation("a", TOP, class_index=2)],
            {"class_map": "same"},
            "without a class of the model|2 in the model|3 classes",
        ),
        ([WITHOUT_MASK], {}, "1 of 1 images of toy val without a mask: a"),
        ([annotation("a", TOP)], {"seeds": 5}, "seeds: found 5 on maps of 2x2"),
        ([annotation("a", TOP)], {"features": ["feat9"]}, "features of colours: found feat9"),
        ([annotation("a", TOP)], {"label": "best"}, "found 'best', expected gt or predicted"),
    ],
)
def test_what_cannot_be_grouped_is_refused(
    tmp_path: Path, rows: list[Annotation], options: dict[str, object], message: str
) -> None:
    dataset = dataset_of(tmp_path, *rows, classes=3 if rows[0].class_index == 2 else 2)
    with pytest.raises(WsolbenchError, match=message):
        seed_features(MODEL, dataset, device="cpu", **options)


def test_a_constant_class_map_has_no_seeds(tmp_path: Path) -> None:
    dataset = dataset_of(tmp_path, annotation("a", TOP))
    Image.new("RGB", (16, 16), (9, 9, 9)).save(tmp_path / "a.png")
    with pytest.raises(WsolbenchError, match=r"^a: found a constant class map.*--ids"):
        seed_features(MODEL, dataset, device="cpu")
