"""Files find their images, whatever a program called them."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest

from wsolbench.errors import WsolbenchError
from wsolbench.image_ids import bare_name, files_by_id, files_under, is_image_id, one_file_each


@pytest.mark.parametrize(
    "name, bare",
    [
        ("0001", "0001"),
        ("0001.jpg", "0001"),
        ("0001.JPEG", "0001"),
        ("0001.npy", "0001"),
        ("0001.jpg.npy", "0001"),
        ("001.Bird/0001.png.npz", "0001"),
        ("a\\b\\0001.tif", "0001"),
        ("v1.2", "v1.2"),
        ("v1.2.npy", "v1.2"),
        ("a.npy.jpg", "a.npy"),
        (".png", ".png"),
    ],
)
def test_bare_names(name: str, bare: str) -> None:
    assert bare_name(name) == bare


@pytest.mark.parametrize(
    "ids, file, owner",
    [
        (["a"], "a.npy", "a"),
        (["a"], "a.jpg.npy", "a"),
        (["a"], "a.jpg.png", "a"),
        (["a"], "x/y/a.jpg", "a"),
        (["a", "a.jpg"], "a.jpg.npy", "a.jpg"),
        (["a.jpg"], "a.jpg.npy", "a.jpg"),
        (["val2~0~3"], "deep/val2/0/3.jpeg.npy", "val2~0~3"),
        (["val2~0~3"], "val2~0~3.npy", "val2~0~3"),
        (["3", "0~3"], "val2/0/3.npy", "0~3"),
        (["3", "0~3"], "val2/1/3.npy", "3"),
        (["0~3"], "10/3.npy", None),
        (["a"], "b.npy", None),
        (["a"], "a/b.npy", None),
    ],
)
def test_a_file_belongs_to_one_image(ids: list[str], file: str, owner: str | None) -> None:
    found = files_by_id(ids, [PurePosixPath(file)])
    assert found == ({} if owner is None else {owner: [PurePosixPath(file)]})


def test_the_same_base_names_in_many_folders() -> None:
    files = [PurePosixPath(f"/data/val2/{c}/{i}.jpeg") for c in range(20) for i in range(10)]
    ids = [f"val2~{c}~{i}" for c in range(20) for i in range(10)]
    found = one_file_each("folder", files_by_id(ids, files), "photo")
    assert found == dict(zip(ids, files, strict=True))
    with pytest.raises(WsolbenchError, match=r"several files for 10 images: 0 \(.*one photo for"):
        one_file_each("folder", files_by_id([str(i) for i in range(10)], files), "photo")


def test_two_files_of_one_image_are_named() -> None:
    files = [PurePosixPath("m/a.jpg"), PurePosixPath("m/a.png"), PurePosixPath("m/b.png")]
    with pytest.raises(WsolbenchError, match=r"1 image: a \(m/a.jpg, m/a.png\)"):
        one_file_each("m", files_by_id(["a", "b"], files), "map")


def test_files_of_folders_are_listed_in_order(tmp_path: Path) -> None:
    for name in ("b/2.npy", "b/10.NPY", "a.npy", ".hidden.npy", ".cache/c.npy", "b/note.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = [str(path.relative_to(tmp_path)) for path in files_under(tmp_path, [".npy"])]
    assert found == ["a.npy", "b/10.NPY", "b/2.npy"]


def test_ids_with_folders_are_ids() -> None:
    assert is_image_id("val2~0~3")
