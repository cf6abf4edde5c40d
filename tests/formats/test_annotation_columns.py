"""What a writer must not write, the reader refuses, also where the hash is right."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from tests.conftest import random_dataset
from wsolbench.errors import WsolbenchError
from wsolbench.formats.annotation_columns import content_sha256
from wsolbench.formats.annotations import AnnotationStore

Columns = dict[str, np.ndarray]
CONTENT = (
    *("image_id", "split", "class_index", "height", "width", "area", "rle/bytes", "rle/offsets"),
    *("boxes/xyxy", "boxes/offsets", "ignore/bytes", "ignore/offsets"),
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return Path(random_dataset(tmp_path / "a.h5", 5).store.path)


def rewrite(path: Path, change: Callable[[Columns], object], dataset: str | None = None) -> None:
    """Change columns and state the hash of the changed content."""
    with h5py.File(path, "r+") as file:
        columns = {name: file[name][()] for name in CONTENT if name in file}
        change(columns)
        for name, column in columns.items():
            if name in file:
                del file[name]
            file[name] = column
        classes = [tuple(pair) for pair in json.loads(file["classes"][()].tobytes())]
        name = dataset if dataset is not None else file.attrs["dataset"]
        file.attrs["dataset"] = name
        file.attrs["content_sha256"] = content_sha256(name, classes, columns)


def put(name: str, place: object, value: object) -> Callable[[Columns], object]:
    return lambda columns: columns[name].__setitem__(place, value)


def test_a_changed_file_with_a_right_hash_is_read(path: Path) -> None:
    rewrite(path, put("split", slice(None), b"val"))
    assert set(AnnotationStore.open(path).splits) == {"val"}


def test_columns_may_have_another_width_or_byte_order(path: Path) -> None:
    before = AnnotationStore.open(path)
    with h5py.File(path, "r+") as file:
        for name in ("class_index", "height", "area", "boxes/xyxy", "rle/offsets"):
            column = file[name][()].astype(">i8")
            del file[name]
            file[name] = column
    found = AnnotationStore.open(path)
    assert found.content_sha256 == before.content_sha256
    assert found.heights.dtype == np.dtype("<i4")


@pytest.mark.parametrize("name", ["sources", "notes"])
def test_changed_sources_and_notes_are_refused(path: Path, name: str) -> None:
    with h5py.File(path, "r+") as file:
        text = file[name][()].tobytes()
        assert text == b"[]"
        del file[name]
        row = {"file": "x", "sha256": "0", "licence": "", "citation": ""}
        changed = json.dumps([row] if name == "sources" else ["all is well"]).encode()
        file[name] = np.frombuffer(changed, np.uint8)
    with pytest.raises(WsolbenchError, match="sources and notes of SHA-256"):
        AnnotationStore.open(path)
    with h5py.File(path, "r+") as file:
        del file.attrs["provenance_sha256"]  # as in files of older versions
    AnnotationStore.open(path)


@pytest.mark.parametrize(
    "change, found",
    [
        (put("image_id", 0, b"/etc/x"), "the invalid image id '/etc/x'"),
        (put("image_id", 0, b"../up"), r"the invalid image id '\.\./up'"),
        (put("image_id", 0, b"\xff"), "the invalid image id"),
        (lambda c: put("image_id", 1, c["image_id"][0])(c), "which is a duplicate or out of order"),
        (lambda c: c.update(image_id=c["image_id"][::-1].copy()), "duplicate or out of order"),
        (put("split", 0, b"a/b"), "the invalid split 'a/b'"),
        (put("class_index", 2, -7), "with class index -7"),
        (put("height", 1, 16385), "with the size .*x16385, not sides from 1 to 16384"),
        (put("width", 1, 0), "with the size 0x"),
        (put("area", 0, -1), "with -1 object pixels"),
        (put("area", 0, 10**9), "with 1000000000 object pixels of"),
        (put("area", 0, 0), "with an empty mask"),
        (put("boxes/xyxy", (0, 0), -1), r"with the box \[-1, .*outside its"),
        (lambda c: put("boxes/xyxy", (0, 2), c["boxes/xyxy"][0, 0])(c), "with the box .*, empty"),
        (put("boxes/xyxy", (0, 3), 16385), "16385\\], empty or outside"),
        (put("rle/offsets", 0, 1), "offsets of rle that do not match"),
        (put("rle/offsets", 1, 10**6), "offsets of rle that do not match"),
        (put("boxes/offsets", -1, 0), "offsets of boxes that do not match"),
        (lambda c: c.update(height=c["height"].astype(float)), "height: found dtype float64"),
        (lambda c: c.update(height=c["height"][:-1]), r"height: found shape \(4,\)"),
        (lambda c: c.update(area=c["area"].astype("u8") + 2**63), "area: found values beyond"),
        (
            lambda c: c.update({"boxes/xyxy": c["boxes/xyxy"].astype(float) * np.nan}),
            "boxes/xyxy: found dtype float64",
        ),
        (
            lambda c: c.update({"ignore/bytes": c["rle/bytes"], "ignore/offsets": c["area"]}),
            "ignore/offsets",
        ),
    ],
)
def test_content_that_cannot_be_is_refused(
    path: Path, change: Callable[[Columns], object], found: str
) -> None:
    rewrite(path, change)
    with pytest.raises(WsolbenchError, match=found) as caught:
        AnnotationStore.open(path)
    assert caught.value.exit_status == 1


def test_a_class_has_a_name_where_there_are_names(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        del file["classes"]
        file["classes"] = np.frombuffer(b'[["n01", "cat"]]', np.uint8)
    rewrite(path, put("class_index", slice(None), 0))
    assert AnnotationStore.open(path).classes == [("n01", "cat")]
    rewrite(path, put("class_index", 3, 1))
    with pytest.raises(WsolbenchError, match="with class index 1 of 1 classes"):
        AnnotationStore.open(path)


def test_a_data_set_has_no_path_for_a_name(path: Path) -> None:
    rewrite(path, lambda columns: None, dataset="../../x")
    with pytest.raises(WsolbenchError, match="the invalid data set name"):
        AnnotationStore.open(path)


def test_what_declares_too_much_is_not_read(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        del file["notes"], file["rle/bytes"]
        file.create_dataset(
            "rle/bytes", data=np.zeros(70 << 20, np.uint8), chunks=(1 << 20,), compression=9
        )
    with pytest.raises(WsolbenchError, match=r"rle/bytes: found 73400320 bytes, expected at most"):
        AnnotationStore.open(path)


def test_a_hole_is_not_hashed(path: Path) -> None:
    with open(path, "r+b") as file:
        file.truncate(1 << 40)
    with pytest.raises(WsolbenchError, match="found 1099511627776 bytes, of which the columns are"):
        AnnotationStore.open(path)
