"""A data set is indexed by position, id or slice, and describes itself."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Collection
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import annotation
from wsolbench import masks
from wsolbench.data.dataset import Dataset
from wsolbench.errors import WsolbenchError
from wsolbench.formats.annotations import AnnotationSet, write_store
from wsolbench.formats.result import Subset


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """Three val images with 1, 2 and 1 boxes, of which the last has three ignored pixels."""
    mask = np.zeros((4, 5), np.bool_)
    mask[1:3, 1:4] = True
    ignored = np.zeros((4, 5), np.bool_)
    ignored[0, :3] = True
    rows = [
        annotation("a", mask, class_index=1),
        annotation("b", mask, class_index=0, boxes=[[0, 0, 2, 2], [1, 1, 4, 3]]),
        annotation("c", mask, class_index=1, ignore=masks.encode(ignored)),
        annotation("d", mask, split="test", boxes=[[0, 0, 1, 1]] * 3),
    ]
    write_store(tmp_path / "toys.h5", AnnotationSet("toys", rows))
    return Dataset.open(tmp_path / "toys.h5")


def test_an_index_is_a_position_an_id_or_a_slice(dataset: Dataset) -> None:
    assert dataset["b"].index == dataset[1].index == dataset[np.int64(-2)].index == 1
    assert "b" in dataset
    assert dataset[1] in dataset
    assert "nobody" not in dataset
    assert [sample.image_id for sample in dataset[:2]] == ["a", "b"]
    assert [sample.image_id for sample in dataset[::-1]] == ["c", "b", "a"]
    assert dataset[5:] == []
    assert dataset.first(2)["b"].image_id == "b"


@pytest.mark.parametrize(
    ("index", "message"),
    [
        ("d", "toys val: no image 'd' among its 3 images; see dataset.image_ids"),
        (1.5, "toys val: found the index 1.5, expected an integer, an image id or a slice; use"),
        (None, "found the index None, expected"),
        ((0, 1), r"found the index \(0, 1\), expected"),
    ],
)
def test_other_indices_are_one_line(dataset: Dataset, index: object, message: str) -> None:
    with pytest.raises(WsolbenchError, match=message) as caught:
        dataset[index]
    assert "\n" not in str(caught.value)


def test_positions_out_of_range_end_a_loop(dataset: Dataset) -> None:
    assert len(list(iter(dataset))) == 3
    with pytest.raises(IndexError, match="position 3 in a split of 3 images"):
        dataset[3]


def test_the_repr_is_one_line(dataset: Dataset, tmp_path: Path) -> None:
    start = dataset.store.content_sha256[:12]
    assert repr(dataset) == f"Dataset(toys val: 3 images, no photos, content {start})"
    photos = Dataset.open(dataset.store.path, "test", tmp_path)
    assert repr(photos) == (
        f"Dataset(toys test: 1 image, photos in {str(tmp_path)!r}, content {start})"
    )
    assert "2 images (the first of the split, a trial)" in repr(dataset.first(2))


@pytest.mark.parametrize("ids", [["c", "a"], ("a", "c"), {"a", "c"}])
def test_images_are_chosen_by_id(dataset: Dataset, ids: Collection[str]) -> None:
    part = dataset.only(ids)
    assert part.image_ids == ["a", "c"]
    assert part["c"].class_index == 1
    assert part.subset == Subset(2, hashlib.sha256(b"a\nc\n").hexdigest())
    assert "2 images (chosen by id)" in repr(part)
    assert pickle.loads(pickle.dumps(part)).subset == part.subset
    assert part.first(1).image_ids == ["a"]
    assert part.first(1).subset == part.subset
    assert part.only(["c"]).subset == Subset(1, hashlib.sha256(b"c\n").hexdigest())


def test_all_ids_are_the_whole_split(dataset: Dataset) -> None:
    assert dataset.only(["c", "b", "a"]) is dataset


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (["a", "d"], "toys val: found 1 of 2 listed ids unknown: d, expected some of its 3"),
        (["x", "y", "a", "z", "w"], "4 of 5 listed ids unknown: x, y, z and 1 more"),
        (["a.jpg", "b.png"], "a.jpg, b.png, .*; list the ids without file name endings"),
        (["a", "b", "a"], "a list with repeated ids: a, expected each id once"),
        ([], "toys val: found an empty list of ids"),
        ("ab", "1 of 1 listed ids unknown: ab"),
    ],
)
def test_other_lists_of_ids_are_refused(
    dataset: Dataset, ids: Collection[str], message: str
) -> None:
    with pytest.raises(WsolbenchError, match=message) as caught:
        dataset.only(ids)
    assert "\n" not in str(caught.value)


def test_shards_hold_each_image_once(dataset: Dataset) -> None:
    shards = [dataset.shard(index, 2) for index in range(2)]
    assert [shard.image_ids for shard in shards] == [["a", "c"], ["b"]]
    assert shards[0].subset == Subset(2, hashlib.sha256(b"a\nc\n").hexdigest())
    assert shards[1]["b"].class_index == 0
    assert dataset.shard(0, 1) is dataset
    assert [dataset.shard(index, 3).image_ids for index in range(3)] == [["a"], ["b"], ["c"]]
    trial = dataset.first(2).shard(1, 2)
    assert (trial.image_ids, trial.limit) == (["b"], 2)
    assert shards[0].shard(1, 2).image_ids == ["c"]


@pytest.mark.parametrize(
    ("index", "count", "message"),
    [
        (0, 0, "shard: found 0 shards, expected 1 or more"),
        (0, 2.0, r"shard: found 2\.0 shards"),
        (2, 2, "shard: found the index 2, expected 0 to 1, for 2 shards; count shards from 0"),
        (-1, 2, "found the index -1, expected 0 to 1"),
        (True, 2, "found the index True"),
        (3, 4, "toys val: found shard 3 of 4 without an image, expected at most 3 shards of its 3"),
    ],
)
def test_other_shards_are_refused(dataset: Dataset, index: int, count: int, message: str) -> None:
    with pytest.raises(WsolbenchError, match=message) as caught:
        dataset.shard(index, count)
    assert "\n" not in str(caught.value)


def test_the_html_table_counts_and_escapes(dataset: Dataset, tmp_path: Path) -> None:
    folder = tmp_path / "<b>&"
    folder.mkdir()
    page = Dataset.open(dataset.store.path, "val", folder)._repr_html_()
    for name, value in (
        ("classes", "2"),
        ("boxes", "4"),
        ("ignored pixels", "3"),
    ):
        assert f"<tr><th scope='row'>{name}</th><td>{value}</td></tr>" in page
    assert "<caption>Dataset toys val: 3 images</caption>" in page
    assert "&lt;b&gt;&amp;</td>" in page
    assert "<b>" not in page
    assert "<th scope='row'>photos</th><td>none</td>" in dataset._repr_html_()
    sample = dataset["b"]
    size = f"height {sample.height}, width {sample.width}"
    assert repr(sample) == f"Sample('b' of toys val, class {sample.class_index}, {size})"


def test_photos_turned_by_exif_are_read_as_the_annotations_say(tmp_path: Path) -> None:
    """A phone's photo, stored 6 wide and 4 high, with orientation 6; masks of both readings."""
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = Image.fromarray(np.arange(24, dtype=np.uint8).reshape(4, 6) * 10)
    picture.save(tmp_path / "a.png", exif=exif.tobytes())
    for name, shape in (("stored", (4, 6)), ("upright", (6, 4))):
        mask = np.ones(shape, bool)
        write_store(tmp_path / f"{name}.h5", AnnotationSet(name, [annotation("a", mask)]))
    stored = Dataset.open(tmp_path / "stored.h5", images=tmp_path)
    photo, orientation = stored.read_photo(0)
    assert (photo.size, orientation) == ((6, 4), 6)
    assert (np.asarray(photo)[:, :, 0] == np.asarray(picture)).all()
    upright = Dataset.open(tmp_path / "upright.h5", images=tmp_path, exif="apply")
    turned = np.rot90(np.asarray(picture), k=-1)
    assert (np.asarray(upright[0].image)[:, :, 0] == turned).all()
    for name, exif_option, cure in (("upright", "ignore", "apply"), ("stored", "apply", "ignore")):
        dataset = Dataset.open(tmp_path / f"{name}.h5", images=tmp_path, exif=exif_option)
        with pytest.raises(WsolbenchError, match=f"EXIF orientation 6.*use --exif {cure}"):
            dataset.read_image(0)


@pytest.mark.parametrize("root", ["", "val2"])
def test_photos_of_ids_that_keep_their_folders_are_found(tmp_path: Path, root: str) -> None:
    """ImageNetV2's photos: the same ten names in each folder."""
    rows = []
    for folder in range(2):
        (tmp_path / "val2" / str(folder)).mkdir(parents=True)
        for number in range(3):
            rows.append(annotation(f"val2~{folder}~{number}", np.ones((3, 4), bool)))
            level = 100 * folder + 10 * number
            photo = Image.new("RGB", (4, 3), (level, level, level))
            photo.save(tmp_path / "val2" / str(folder) / f"{number}.png")
    write_store(tmp_path / "v2.h5", AnnotationSet("v2", rows))
    dataset = Dataset.open(tmp_path / "v2.h5", images=tmp_path / root)
    assert [sample.image.getpixel((0, 0))[0] for sample in dataset] == [0, 10, 20, 100, 110, 120]
    (tmp_path / "val2" / "1" / "2.png").rename(tmp_path / "val2" / "1" / "9.png")
    again = Dataset.open(tmp_path / "v2.h5", images=tmp_path / root)
    with pytest.raises(WsolbenchError, match="no photo val2~1~2 among 6"):
        again.read_image(5)
