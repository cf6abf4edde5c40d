"""A data set is indexed by position, id or slice, and describes itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import annotation
from wsolbench import masks
from wsolbench.data.dataset import Dataset
from wsolbench.errors import WsolbenchError
from wsolbench.formats.annotations import AnnotationSet, write_store


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
