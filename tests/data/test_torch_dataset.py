from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from tests.conftest import annotation, random_blob
from wsolbench import masks
from wsolbench.data.dataset import Dataset
from wsolbench.data.torch_dataset import TorchDataset, collate
from wsolbench.errors import WsolbenchError
from wsolbench.formats.annotations import AnnotationSet, write_store

COUNT = 9


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Nine photos of different sizes; each third has a region to ignore, the last no class."""
    rng = np.random.default_rng(0)
    folder = tmp_path_factory.mktemp("torch")
    annotations = []
    for i in range(COUNT):
        height, width = 20 + 3 * i, 31 + i
        mask = random_blob(rng, height, width)
        fields: dict[str, object] = {"class_index": i if i < COUNT - 1 else -1}
        if i % 3 == 0:
            fields["ignore"] = masks.encode(~mask & (rng.random(mask.shape) < 0.3))
        if i == 4:
            fields["boxes"] = [[0, 0, 5, 6], [2, 3, 30, 20]]
        annotations.append(annotation(f"photo_{i}", mask, **fields))
        pixels = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"photo_{i}.png")
    write_store(folder / "drawn.h5", AnnotationSet("drawn", annotations))
    return Dataset.open(folder / "drawn.h5", images=folder)


def halved(photo: Image.Image) -> Image.Image:
    return photo.resize((photo.width // 2, photo.height // 2))


def test_item_by_eye(tmp_path: Path) -> None:
    mask = np.array([[0, 1, 1], [0, 0, 1]], dtype=bool)
    write_store(tmp_path / "one.h5", AnnotationSet("one", [annotation("a", mask, class_index=7)]))
    pixels = np.zeros((2, 3, 3), dtype=np.uint8)
    pixels[0, 2] = (255, 51, 0)
    Image.fromarray(pixels).save(tmp_path / "a.png")

    item = Dataset.open(tmp_path / "one.h5", images=tmp_path).torch()[0]

    assert item["image_id"] == "a"
    assert item["label"].dtype == torch.int64
    assert item["label"].item() == 7
    assert item["mask"].tolist() == mask.tolist()
    assert not item["ignore"].any()
    assert item["boxes"].dtype == torch.int64
    assert item["boxes"].tolist() == [[1, 0, 3, 2]]
    assert item["image"].dtype == torch.float32
    assert item["image"].shape == (3, 2, 3)
    assert item["image"][:, 0, 2].tolist() == pytest.approx([1.0, 0.2, 0.0])


def test_items_are_the_samples(dataset: Dataset) -> None:
    items = dataset.torch(halved)

    assert isinstance(items, TorchDataset)
    assert len(items) == COUNT
    for item, sample in zip((items[i] for i in range(COUNT)), dataset, strict=True):
        assert item["image"].size == (sample.width // 2, sample.height // 2)
        assert item["mask"].numpy().tolist() == sample.mask.tolist()
        ignore = np.zeros_like(sample.mask) if sample.ignore is None else sample.ignore
        assert item["ignore"].numpy().tolist() == ignore.tolist()
        assert item["boxes"].numpy().tolist() == sample.boxes.tolist()
        assert item["label"].item() == sample.class_index
    assert items[COUNT - 1]["label"].item() == -1


@pytest.mark.parametrize("size", [1, 7, 20, 64])
def test_masks_are_resized_to_the_nearest_centre(dataset: Dataset, size: int) -> None:
    items = dataset.torch(mask_size=size)

    for i in range(COUNT):
        mask = dataset[i].mask
        wanted = torch.nn.functional.interpolate(
            torch.from_numpy(mask)[None, None].float(), (size, size), mode="nearest-exact"
        )
        assert items[i]["mask"].dtype == torch.bool
        assert torch.equal(items[i]["mask"], wanted[0, 0].bool())


def test_collate_stacks_what_has_one_shape(dataset: Dataset) -> None:
    sized = dataset.torch(mask_size=16)

    batch = collate([sized[0], sized[4]])

    assert batch["mask"].shape == batch["ignore"].shape == (2, 16, 16)
    assert batch["label"].tolist() == [0, 4]
    assert [len(boxes) for boxes in batch["boxes"]] == [1, 2]
    assert batch["image_id"] == ["photo_0", "photo_4"]
    assert [tuple(image.shape) for image in batch["image"]] == [(3, 20, 31), (3, 32, 35)]
    same = collate([sized[3], sized[3]])
    assert same["image"].shape == (2, 3, 29, 34)
    assert isinstance(same["boxes"], list)


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_two_workers_give_what_one_process_gives(dataset: Dataset, start: str) -> None:
    items = dataset.torch(mask_size=24)
    items[0]  # the parent's handle is open before the workers start

    loader = DataLoader(
        items,
        batch_size=2,
        num_workers=2,
        collate_fn=collate,
        multiprocessing_context=start,
    )
    seen = 0
    for batch in loader:
        for at, image_id in enumerate(batch["image_id"]):
            direct = items[seen]
            assert image_id == direct["image_id"]
            for key in ("image", "label", "mask", "ignore", "boxes"):
                assert torch.equal(batch[key][at], direct[key])
            seen += 1
    assert seen == COUNT


def test_no_photos_and_no_size_are_refused(dataset: Dataset) -> None:
    bare = Dataset(dataset.store, dataset.split, None, dataset.rows)

    with pytest.raises(WsolbenchError, match="drawn val: no folder of photos; open the data"):
        bare.torch()
    with pytest.raises(WsolbenchError, match="mask_size: found 0"):
        dataset.torch(mask_size=0)


def test_an_image_without_a_mask_has_none_in_its_item(tmp_path: Path) -> None:
    rows = [annotation(name, np.ones((3, 4), bool)) for name in "ab"]
    rows[1] = replace(rows[1], mask=masks.RunLengths(3, 4, b""))
    write_store(tmp_path / "two.h5", AnnotationSet("two", rows))
    for name in "ab":
        Image.fromarray(np.zeros((3, 4, 3), np.uint8)).save(tmp_path / f"{name}.png")
    items = Dataset.open(tmp_path / "two.h5", images=tmp_path).torch()
    assert items[0]["mask"].all()
    assert items[1]["mask"] is items[1]["ignore"] is None
    (batch,) = DataLoader(items, batch_size=2, collate_fn=collate)
    assert batch["mask"][1] is None
    assert batch["image"].shape == (2, 3, 3, 4)
