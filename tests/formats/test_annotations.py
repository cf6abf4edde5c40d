"""The annotation file: round trips, the content hash, damage, and data sets opened on it."""

from __future__ import annotations

import dataclasses
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from tests.conftest import annotation, random_blob, random_dataset
from wsolbench import masks
from wsolbench.data.dataset import Dataset
from wsolbench.errors import WsolbenchError
from wsolbench.formats.annotations import (
    AnnotationSet,
    AnnotationStore,
    Source,
    find_annotations,
    write_store,
)


@pytest.fixture
def content() -> AnnotationSet:
    rng = np.random.default_rng(1)
    rows = []
    for index in [3, 1, 2, 0, 4]:
        mask, ignore = random_blob(rng, 6 + index, 9), random_blob(rng, 6 + index, 9)
        rows.append(
            annotation(
                f"img_{index}",
                mask,
                split="val" if index < 3 else "test",
                class_index=index - 1,
                ignore=masks.encode(ignore) if index == 2 else None,
                boxes=[(0, 0, 1 + box, 2) for box in range(index)],
            )
        )
    classes = [(f"n{index}", f"Klasse \u00e4 {index}") for index in range(4)]
    source = Source("list.txt", "0" * 64, "CC BY 4.0", "Somebody, 2020")
    return AnnotationSet("toy", rows, classes, [source], ["one note"])


@pytest.fixture
def store(content: AnnotationSet, tmp_path: Path) -> AnnotationStore:
    write_store(tmp_path / "toy.h5", content)
    return AnnotationStore.open(tmp_path / "toy.h5")


def test_everything_comes_back_sorted_by_id(content: AnnotationSet, store: AnnotationStore) -> None:
    rows = sorted(content.annotations, key=lambda row: row.image_id)
    assert store.image_ids == ["img_0", "img_1", "img_2", "img_3", "img_4"]
    assert store.dataset == "toy"
    assert store.classes == content.classes
    assert store.sources == content.sources
    assert store.notes == ["one note"]
    for place, row in enumerate(rows):
        assert store.splits[place] == row.split
        assert store.class_indices[place] == row.class_index
        assert store.run_lengths(place) == row.mask
        assert (store.mask(place) == masks.decode(row.mask)).all()
        assert store.areas[place] == masks.area(row.mask)
        assert store.boxes(place).tolist() == row.boxes.tolist()
        assert store.ignore_run_lengths(place) == row.ignore


def test_the_content_hash_survives_repacking_and_nothing_else(
    content: AnnotationSet, store: AnnotationStore, tmp_path: Path
) -> None:
    packed = tmp_path / "packed.h5"
    with h5py.File(store.path) as old, h5py.File(packed, "w", userblock_size=0) as new:
        for key, value in old.attrs.items():
            new.attrs[key] = value
        names: list[str] = []
        old.visit(names.append)
        for name in names:
            if isinstance(old[name], h5py.Dataset):
                new[name] = old[name][()]
    assert packed.read_bytes() != store.path.read_bytes()
    assert AnnotationStore.open(packed).content_sha256 == store.content_sha256

    def hashed(**change: object) -> str:
        write_store(tmp_path / "other.h5", dataclasses.replace(content, **change))
        return AnnotationStore.open(tmp_path / "other.h5").content_sha256

    same = [list(reversed(content.annotations)), content.annotations]
    assert {hashed(annotations=rows) for rows in same} == {store.content_sha256}
    assert hashed(sources=[], notes=[]) == store.content_sha256
    first, *rest = content.annotations
    others = {
        hashed(dataset="other"),
        hashed(classes=[]),
        hashed(annotations=rest),
        hashed(annotations=[dataclasses.replace(first, split="train"), *rest]),
        hashed(annotations=[dataclasses.replace(first, class_index=-1), *rest]),
        hashed(annotations=[dataclasses.replace(first, boxes=first.boxes[:0]), *rest]),
        hashed(annotations=[dataclasses.replace(first, mask=rest[0].mask, boxes=first.boxes[:0])]),
        hashed(annotations=[dataclasses.replace(first, ignore=first.mask), *rest]),
    }
    assert len(others) == 8
    assert store.content_sha256 not in others


def test_a_store_whose_content_was_edited_is_named(store: AnnotationStore) -> None:
    with h5py.File(store.path, "r+") as file:
        file["class_index"][0] = 2
    with pytest.raises(WsolbenchError, match="damaged or was edited"):
        _ = AnnotationStore.open(store.path).content_sha256


@pytest.mark.parametrize(
    "change, found",
    [
        ({"image_id": "../x"}, "is not a valid image id"),
        ({"image_id": "a" * 65}, "is not a valid image id"),
        ({"split": ""}, "has the invalid split ''"),
        ({"class_index": 4}, "class index 4 of 4 classes"),
        ({"class_index": -2}, "class index -2"),
        ({"boxes": [(0, 0, 99, 2)]}, "outside its 9x"),
        ({"boxes": [(1, 1, 1, 2)]}, "empty or outside"),
        ({"boxes": [(0.2, 0.2, 1.9, 1.9)]}, r"boxes of float64 \(1, 4\)"),
        ({"boxes": [(-1, 0, 1, 2)]}, "empty or outside"),
        ({"mask": masks.RunLengths(6, 9, b"0")}, "malformed run lengths"),
        ({"mask": masks.encode(np.zeros((6, 9), bool))}, "an empty mask"),
        ({"ignore": masks.encode(np.ones((6, 8), bool))}, "ignored pixels that differ in size"),
    ],
)
def test_annotations_that_cannot_be_are_refused(
    content: AnnotationSet, tmp_path: Path, change: dict[str, object], found: str
) -> None:
    if "boxes" in change:
        change = {"boxes": np.array(change["boxes"])}
    first, *rest = content.annotations
    broken = dataclasses.replace(content, annotations=[dataclasses.replace(first, **change), *rest])
    with pytest.raises(WsolbenchError, match=found):
        write_store(tmp_path / "x.h5", broken)
    assert list(tmp_path.iterdir()) == []


def test_a_mask_without_object_needs_ignored_pixels(content: AnnotationSet, tmp_path: Path) -> None:
    empty = masks.encode(np.zeros((6, 9), bool))
    row = dataclasses.replace(content.annotations[0], mask=empty, ignore=empty)
    row = dataclasses.replace(row, boxes=row.boxes[:0])
    with pytest.raises(WsolbenchError, match="an empty mask"):
        write_store(tmp_path / "x.h5", dataclasses.replace(content, annotations=[row]))
    row = dataclasses.replace(row, ignore=masks.encode(np.ones((6, 9), bool)))
    write_store(tmp_path / "x.h5", dataclasses.replace(content, annotations=[row]))
    assert AnnotationStore.open(tmp_path / "x.h5").areas.tolist() == [0]


@pytest.mark.parametrize("name", ["", "../x", "a/b", "x\x1b[31m"])
def test_a_data_set_has_a_name_that_is_no_path(
    content: AnnotationSet, tmp_path: Path, name: str
) -> None:
    with pytest.raises(WsolbenchError, match="invalid data set name"):
        write_store(tmp_path / "x.h5", dataclasses.replace(content, dataset=name))


@pytest.mark.parametrize(
    "column, text",
    [("sources", '[{"x": 1}]'), ("classes", '[["a"]]'), ("notes", "[1]"), ("notes", "{")],
)
def test_malformed_texts_are_named(store: AnnotationStore, column: str, text: str) -> None:
    with h5py.File(store.path, "r+") as file:
        del file[column]
        file[column] = np.frombuffer(text.encode(), np.uint8)
        del file.attrs["provenance_sha256"]
    with pytest.raises(WsolbenchError, match=f"malformed {column}"):
        getattr(AnnotationStore.open(store.path), column)


def test_all_faults_come_at_once(content: AnnotationSet, tmp_path: Path) -> None:
    rows = [dataclasses.replace(row, class_index=9) for row in content.annotations]
    with pytest.raises(WsolbenchError, match=r"6 faults .* 1 duplicate ids \(img_3\).* 3 more"):
        write_store(
            tmp_path / "x.h5", dataclasses.replace(content, annotations=[rows[0], *rows[:4]])
        )
    with pytest.raises(WsolbenchError, match="no image"):
        write_store(tmp_path / "x.h5", dataclasses.replace(content, annotations=[]))


@pytest.mark.parametrize(
    ("field", "value", "fault"),
    [
        ("classes", [("k", 3)], r"the class \('k', 3\), not a key and a name"),
        ("classes", [("a", "b", "c")], "not a key and a name"),
        ("notes", [3], r"the note \(3,\), not a text"),
        ("sources", [Source("a.zip", "0" * 64, None)], "the source .*, not texts"),  # type: ignore[arg-type]
    ],
)
def test_what_no_file_may_hold_is_not_written(
    content: AnnotationSet, tmp_path: Path, field: str, value: object, fault: str
) -> None:
    with pytest.raises(WsolbenchError, match=fault):
        write_store(tmp_path / "x.h5", dataclasses.replace(content, **{field: value}))
    assert not (tmp_path / "x.h5").exists()


def test_truncation_anywhere_is_one_error(store: AnnotationStore, tmp_path: Path) -> None:
    data = store.path.read_bytes()
    for share in range(20):
        (tmp_path / "cut.h5").write_bytes(data[: len(data) * share // 20])
        with pytest.raises(WsolbenchError, match=r"cut\.h5: (found damaged HDF5|not an HDF5 file)"):
            _ = AnnotationStore.open(tmp_path / "cut.h5").content_sha256


@pytest.mark.parametrize("seed", range(40))
def test_flipped_bytes_are_an_error_or_change_nothing(
    store: AnnotationStore, tmp_path: Path, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    data = bytearray(store.path.read_bytes())
    for place in rng.integers(8, len(data), size=3):
        data[place] ^= int(rng.integers(1, 256))
    (tmp_path / "flipped.h5").write_bytes(data)
    try:
        found = AnnotationStore.open(tmp_path / "flipped.h5").content_sha256
    except WsolbenchError:
        return
    assert found == store.content_sha256


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(WsolbenchError, match=r"no such file.*wsolbench import"):
        AnnotationStore.open(tmp_path / "none.h5")
    (tmp_path / "text.h5").write_text("text")
    with pytest.raises(WsolbenchError, match="not an HDF5 file"):
        AnnotationStore.open(tmp_path / "text.h5")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file.attrs["format"] = "something"
    with pytest.raises(WsolbenchError, match="format 'something'"):
        AnnotationStore.open(tmp_path / "other.h5")
    with h5py.File(tmp_path / "new.h5", "w") as file:
        file.attrs["format"], file.attrs["format_version"] = "wsolbench-annotations", 2
    with pytest.raises(WsolbenchError, match="format version 2, expected 1"):
        AnnotationStore.open(tmp_path / "new.h5")


def test_a_killed_writer_leaves_the_old_file(store: AnnotationStore, tmp_path: Path) -> None:
    before = store.path.read_bytes()
    program = (
        "import sys; sys.path.insert(0, '.')\n"
        "from tests.conftest import random_dataset\n"
        "while True: random_dataset(sys.argv[1], 60)\n"
    )
    root = Path(__file__).resolve().parents[2]
    target = tmp_path / "target.h5"
    for delay in (0.0, 0.01, 0.03):
        target.write_bytes(before)
        writer = subprocess.Popen([sys.executable, "-c", program, target], cwd=root)
        while target.read_bytes() == before:
            time.sleep(0.005)
        time.sleep(delay)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        assert len(AnnotationStore.open(target)) == 60
    random_dataset(target, 3)
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".tmp"] == []


def test_a_data_set_is_one_split(store: AnnotationStore, tmp_path: Path) -> None:
    dataset = Dataset.open(store.path, "test")
    assert dataset.image_ids == ["img_3", "img_4"]
    assert [sample.class_index for sample in dataset] == [2, 3]
    assert dataset[-1].image_id == "img_4"
    assert (dataset[1].height, dataset[1].width) == (10, 9)
    assert dataset[0].ignore is None
    assert Dataset.open(store.path)[2].ignore.shape == (8, 9)
    assert len(dataset.first(1)) == 1
    with pytest.raises(IndexError):
        dataset[2]
    with pytest.raises(WsolbenchError, match=r"split 'train', expected test \(2\), val \(3\)"):
        Dataset.open(store.path, "train")
    with pytest.raises(WsolbenchError, match="no such folder"):
        Dataset.open(store.path, images=tmp_path / "none")


def test_photos_are_found_by_id_and_checked(store: AnnotationStore, tmp_path: Path) -> None:
    folder = tmp_path / "photos" / "n01"
    folder.mkdir(parents=True)
    dataset = Dataset.open(store.path, images=folder.parent)
    with pytest.raises(WsolbenchError, match="no photo img_0 among 0"):
        dataset.read_image(0)
    Image.new("L", (9, 6), 7).save(folder / "img_0.JPEG")
    Image.new("RGB", (7, 9)).save(folder / "img_1.png")
    (folder / "img_2.jpg").write_bytes((folder / "img_0.JPEG").read_bytes()[:300])
    dataset = Dataset.open(store.path, images=folder.parent)
    assert (dataset[0].image.mode, dataset[0].image.size) == ("RGB", (9, 6))
    with pytest.raises(WsolbenchError, match=r"width 7, height 9 \(width and height swapped\)"):
        dataset.read_image(1)
    with pytest.raises(WsolbenchError, match=r"img_2\.jpg: found"):
        dataset.read_image(2)
    Image.new("L", (9, 6)).save(tmp_path / "photos" / "img_0.png")
    with pytest.raises(WsolbenchError, match="2 pictures named img_0"):
        Dataset.open(store.path, images=folder.parent).read_image(0)
    with pytest.raises(WsolbenchError, match="no folder of photos"):
        _ = Dataset.open(store.path)[0].image


def test_a_store_is_pickled_by_its_path_and_read_after_a_fork(store: AnnotationStore) -> None:
    dataset = Dataset.open(store.path)
    expected = dataset[1].mask
    assert len(pickle.dumps(dataset)) < 2000
    assert (pickle.loads(pickle.dumps(dataset))[1].mask == expected).all()
    child = os.fork()
    if child == 0:
        os._exit(0 if (dataset[1].mask == expected).all() else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_store_is_found_in_three_places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, store: AnnotationStore
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WSOLBENCH_ANNOTATIONS", raising=False)
    assert find_annotations("given.h5", "toy") == Path("given.h5")
    with pytest.raises(WsolbenchError, match=r"not set, no file annotations.toy\.h5, expected"):
        find_annotations(None, "toy")
    with pytest.raises(WsolbenchError, match=r"no file annotations.<dataset>\.h5"):
        find_annotations(None, "../toy")
    Path("annotations").mkdir()
    usual = Path("annotations", "toy.h5")
    usual.write_bytes(store.path.read_bytes())
    assert find_annotations(None, "toy") == usual
    monkeypatch.setenv("WSOLBENCH_ANNOTATIONS", str(store.path))
    assert find_annotations(None, "toy") == store.path
    monkeypatch.setenv("WSOLBENCH_ANNOTATIONS", str(tmp_path / "annotations"))
    assert find_annotations(None, "toy") == tmp_path / usual
    with pytest.raises(WsolbenchError, match=r"annotations without other\.h5"):
        find_annotations(None, "other")
