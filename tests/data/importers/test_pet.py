"""Oxford-IIIT Pet, in the layout of its archives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wsolbench import masks
from wsolbench.data.importers.pet import import_pet
from wsolbench.errors import WsolbenchError

TRIMAP = np.array(
    [
        [2, 2, 2, 2, 2],
        [2, 3, 3, 3, 2],
        [2, 3, 1, 1, 3],
        [2, 2, 3, 3, 2],
    ],
    dtype=np.uint8,
)  # tight box of the pet 2,2,4,3

LINES = {
    "trainval": ["Abyssinian_100 1 1 1", "Egyptian_Mau_7 2 1 2"],
    "test": ["Abyssinian_9 1 1 1", "saint_bernard_3 4 2 2"],
}


def layout(root: Path, lines: dict[str, list[str]] | None = None) -> Path:
    """The folder that annotations.tar.gz gives, with the hidden files of its archive."""
    place = root / "annotations"
    (place / "trimaps").mkdir(parents=True)
    (place / "xmls").mkdir()
    for split, listed in (lines or LINES).items():
        (place / f"{split}.txt").write_text("".join(f"{line}\n" for line in listed))
        for line in listed:
            Image.fromarray(TRIMAP).save(place / "trimaps" / f"{line.split()[0]}.png")
    (place / "list.txt").write_text("#Image CLASS-ID SPECIES BREED ID\n")
    (place / "trimaps" / "._Abyssinian_100.png").write_bytes(b"\0")
    return root


@pytest.mark.parametrize("named", ["", "annotations", ".."])
def test_the_published_layout_is_read(tmp_path, named):
    root = layout(tmp_path / "oxford-iiit-pet")
    Image.fromarray(TRIMAP).save(root / "annotations" / "trimaps" / "Abyssinian_1.png")
    content = import_pet(root / named)
    found = {item.image_id: item for item in content.annotations}
    assert content.dataset == "oxford-iiit-pet"
    assert {image_id: item.split for image_id, item in found.items()} == {
        "Abyssinian_100": "trainval",
        "Abyssinian_9": "test",
        "Egyptian_Mau_7": "trainval",
        "saint_bernard_3": "test",
    }
    assert [found[name].class_index for name in ("Abyssinian_9", "saint_bernard_3")] == [0, 3]
    assert content.classes == [
        ("1", "Abyssinian"),
        ("2", "Egyptian Mau"),
        ("3", ""),
        ("4", "saint bernard"),
    ]
    pet = found["Egyptian_Mau_7"]
    assert (masks.decode(pet.mask) == (TRIMAP == 1)).all()
    assert (masks.decode(pet.ignore) == (TRIMAP == 3)).all()
    assert pet.boxes.tolist() == [[2, 2, 4, 3]]
    assert [source.file for source in content.sources] == ["trainval.txt", "test.txt"]
    assert content.notes == [
        "pixels of label 3, along the outlines, are ignored; boxes are tight around label 1",
        "the boxes in xmls/ are those of heads, not of pets, and were not used",
        "1 trimaps of images on no list were left out",
    ]


def test_one_split_alone_is_noted(tmp_path):
    content = import_pet(layout(tmp_path, {"test": LINES["test"]}))
    assert "the split trainval is missing, as there is no trainval.txt" in content.notes
    assert len(content.annotations) == 2


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ({"test": ["a_1 1 1 1", "b_2 1 1 1"]}, r"class 1 is both a and b"),
        ({"test": ["a_1 1 1 1", "a_1 1 1 1"]}, r"test.txt: line 2: a_1 again"),
        ({"test": ["a_1 0 1 1"]}, r"line 1: 'a_1 0 1 1'"),
        ({"test": ["a_1"]}, r"line 1: 'a_1'"),
        ({"test": ["a 1 1 1"]}, r"line 1: 'a 1 1 1'"),
        ({"test": ["a_1 1"], "trainval": ["a_1 1"]}, r"a_1 is in both trainval.txt and test.txt"),
        ({"list": ["a_1 1"]}, r"neither trainval.txt nor test.txt"),
    ],
)
def test_lists_that_contradict_themselves_are_refused(tmp_path, lines, message):
    with pytest.raises(WsolbenchError, match=message):
        import_pet(layout(tmp_path, lines))


@pytest.mark.parametrize(
    ("trimap", "message"),
    [
        (TRIMAP - 1, r"Abyssinian_9.png: found labels 0, expected 1 on the pet, 2 on the back"),
        (np.where(TRIMAP == 1, 3, TRIMAP), r"Abyssinian_9.png: no object pixel"),
        (np.stack([TRIMAP] * 3, axis=2), r"a picture of mode RGB, expected labels"),
    ],
)
def test_trimaps_with_other_labels_are_refused(tmp_path, trimap, message):
    root = layout(tmp_path)
    path = root / "annotations" / "trimaps" / "Abyssinian_9.png"
    Image.fromarray(trimap.astype(np.uint8)).save(path)
    with pytest.raises(WsolbenchError, match=message):
        import_pet(root)


def test_missing_parts_are_named(tmp_path):
    with pytest.raises(WsolbenchError, match=r"no folder annotations/trimaps in it"):
        import_pet(tmp_path)
    root = layout(tmp_path)
    (root / "annotations" / "trimaps" / "Abyssinian_9.png").unlink()
    with pytest.raises(WsolbenchError, match=r"no trimap for 1 of the 4 listed .*: Abyssinian_9"):
        import_pet(root)
