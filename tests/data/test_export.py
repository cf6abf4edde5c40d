"""Exports come back as the same annotations, and exported again as the same bytes."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image
from pycocotools.coco import COCO

from tests.conftest import annotation, random_blob
from wsolbench import masks
from wsolbench.data.export import export_coco, export_png
from wsolbench.data.importers.coco import import_coco
from wsolbench.data.importers.mask_folder import import_masks
from wsolbench.errors import WsolbenchError
from wsolbench.formats.annotations import Annotation, AnnotationSet, AnnotationStore, write_store

SQUARE = np.zeros((4, 6), dtype=bool)
SQUARE[1:3, 2:4] = True

ODD = "a=+-@'\"\t\r\n ,\u2028\ufeff"


def make(path: Path, annotations: list[Annotation], **fields: object) -> AnnotationStore:
    write_store(path, AnnotationSet("drawn", annotations, **fields))
    return AnnotationStore.open(path)


def rich_store(path: Path) -> AnnotationStore:
    """Several boxes, splits, classes, no class, ignored pixels, ids that look like formulas."""
    rng = np.random.default_rng(7)
    rest = np.zeros((4, 6), dtype=bool)
    rest[0] = True
    nothing = np.zeros((4, 6), dtype=bool)
    annotations = [
        annotation("=SUM(A1)", SQUARE, class_index=2, split="test"),
        annotation("a.b", SQUARE, class_index=-1, boxes=[(0, 0, 6, 4), (2, 1, 4, 3)]),
        annotation("crowd", SQUARE, ignore=masks.encode(rest), split="-odd"),
        Annotation(
            "hidden",
            "val",
            0,
            masks.encode(nothing),
            np.array([[0, 0, 1, 1]], dtype=np.int32),
            masks.encode(SQUARE),
        ),
        annotation("overlap", SQUARE, ignore=masks.encode(SQUARE | rest)),
    ]
    for number in range(20):
        height, width = rng.integers(1, 40, 2)
        blob = random_blob(rng, height, width)
        annotations.append(annotation(f"blob{number:02d}", blob, class_index=number % 3))
    classes = [("n01", "tench, Tinca"), ("n02", "=é\n'"), ("n03", "'quoted'")]
    return make(path, annotations, classes=classes)


def tree(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_coco_comes_back_the_same_and_is_exported_the_same(tmp_path):
    store = rich_store(tmp_path / "one.h5")
    export_coco(store, tmp_path / "one.json")
    write_store(tmp_path / "two.h5", import_coco(tmp_path / "one.json"))
    again = AnnotationStore.open(tmp_path / "two.h5")
    assert again.content_sha256 == store.content_sha256
    export_coco(again, tmp_path / "two.json")
    assert (tmp_path / "two.json").read_bytes() == (tmp_path / "one.json").read_bytes()


def test_coco_without_class_names_and_without_boxes_comes_back_the_same(tmp_path):
    bare = annotation("bare", SQUARE, class_index=970, boxes=[])
    store = make(tmp_path / "one.h5", [bare, annotation("b", SQUARE, class_index=65)])
    export_coco(store, tmp_path / "one.json")
    write_store(tmp_path / "two.h5", import_coco(tmp_path / "one.json"))
    assert AnnotationStore.open(tmp_path / "two.h5").content_sha256 == store.content_sha256


def test_png_comes_back_the_same_and_is_exported_the_same(tmp_path):
    store = rich_store(tmp_path / "one.h5")
    export_png(store, tmp_path / "one")
    write_store(tmp_path / "two.h5", import_masks(tmp_path / "one", dataset="drawn"))
    again = AnnotationStore.open(tmp_path / "two.h5")
    assert again.content_sha256 == store.content_sha256
    export_png(again, tmp_path / "two")
    assert tree(tmp_path / "two") == tree(tmp_path / "one")
    assert sorted(path.name for path in (tmp_path / "one").iterdir()) == [
        "classes.csv",
        "ignore",
        "masks",
        "table.csv",
    ]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(*[st.text(ODD, max_size=4)] * 2), min_size=1, max_size=4))
@example([("n01", " lead"), ("", ""), ("n02", "end "), ("\t", "'=a")])
@example([("", "")])
@example([("\r", "a\rb"), ("\n", "'"), ('"', '","')])
def test_png_keeps_any_class_name(tmp_path_factory, classes):
    folder = tmp_path_factory.mktemp("png")
    store = make(folder / "one.h5", [annotation("a", SQUARE, class_index=0)], classes=classes)
    export_png(store, folder / "one")
    content = import_masks(folder / "one", dataset="drawn")
    assert content.classes == classes
    write_store(folder / "two.h5", content)
    assert AnnotationStore.open(folder / "two.h5").content_sha256 == store.content_sha256


@pytest.mark.parametrize("name", ["a\0b", "\ud800", "a" * 200_000])
def test_png_refuses_class_names_that_csv_does_not_hold(tmp_path, name):
    store = make(tmp_path / "s.h5", [annotation("a", SQUARE)], classes=[("n", "n"), ("n02", name)])
    with pytest.raises(WsolbenchError, match=r"1 class names .* cannot store: class 1, .* as coco"):
        export_png(store, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    export_coco(store, tmp_path / "s.json")
    assert import_coco(tmp_path / "s.json").classes == store.classes


def test_the_exported_parts_can_be_named_one_by_one(tmp_path):
    store = rich_store(tmp_path / "one.h5")
    parts = tmp_path / "one"
    export_png(store, parts)
    content = import_masks(
        parts / "masks",
        table=parts / "table.csv",
        ignore=parts / "ignore",
        classes=parts / "classes.csv",
        dataset="drawn",
    )
    write_store(tmp_path / "two.h5", content)
    assert AnnotationStore.open(tmp_path / "two.h5").content_sha256 == store.content_sha256


def test_what_png_export_writes(tmp_path):
    store = make(tmp_path / "s.h5", [annotation("a", SQUARE, class_index=3)])
    seen = []
    export_png(store, tmp_path / "out", progress=lambda done, total: seen.append((done, total)))
    assert (tmp_path / "out" / "table.csv").read_text() == (
        "image_id,class_index,split,height,width,x0,y0,x1,y1\na,3,val,4,6,2,1,4,3\n"
    )
    with Image.open(tmp_path / "out" / "masks" / "a.png") as picture:
        assert picture.mode == "L"
        assert (np.asarray(picture) == SQUARE * 255).all()
    assert seen == [(1, 1)]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["masks", "table.csv"]


@pytest.mark.filterwarnings("ignore:__array__:DeprecationWarning")  # pycocotools 2.0 on NumPy 2
def test_pycocotools_reads_the_coco_export(tmp_path, capsys):
    rest = np.zeros((4, 6), dtype=bool)
    rest[0] = True
    store = make(
        tmp_path / "s.h5",
        [
            annotation("a", SQUARE, class_index=1, ignore=masks.encode(rest)),
            annotation("b", ~SQUARE, class_index=0),
        ],
        classes=[("n01", "tench"), ("n02", "cock")],
    )
    export_coco(store, tmp_path / "s.json")
    coco = COCO(str(tmp_path / "s.json"))
    capsys.readouterr()
    assert [coco.imgs[number]["file_name"] for number in (1, 2)] == ["a.jpg", "b.jpg"]
    assert coco.cats[2]["name"] == "cock"
    (found,) = coco.loadAnns(coco.getAnnIds(imgIds=[1], iscrowd=False))
    assert found["bbox"] == [2, 1, 2, 2]
    assert found["area"] == 4
    assert found["category_id"] == 2
    assert (coco.annToMask(found) == SQUARE).all()
    (crowd,) = coco.loadAnns(coco.getAnnIds(imgIds=[1], iscrowd=True))
    assert (coco.annToMask(crowd) == rest).all()
    assert json.loads((tmp_path / "s.json").read_text())["images"][0]["split"] == "val"


def test_png_refuses_a_folder_that_holds_something_and_leaves_it(tmp_path):
    store = make(tmp_path / "s.h5", [annotation("a", SQUARE)])
    (tmp_path / "out").mkdir()
    export_png(store, tmp_path / "out")
    before = tree(tmp_path / "out")
    with pytest.raises(WsolbenchError, match=r"out: found a folder that is not empty"):
        export_png(store, tmp_path / "out")
    assert tree(tmp_path / "out") == before
    with pytest.raises(WsolbenchError, match=r"s.h5: found a file"):
        export_png(store, tmp_path / "s.h5")
    with pytest.raises(WsolbenchError, match=r"where: no folder"):
        export_png(store, tmp_path / "no" / "where")


def test_a_png_export_that_fails_leaves_nothing(tmp_path):
    store = make(tmp_path / "s.h5", [annotation(f"a{number}", SQUARE) for number in range(3)])

    def stop(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export_png(store, tmp_path / "out", progress=stop)
    assert [path.name for path in tmp_path.iterdir()] == ["s.h5"]
    with pytest.raises(KeyboardInterrupt):
        export_coco(store, tmp_path / "out.json", progress=stop)
    assert [path.name for path in tmp_path.iterdir()] == ["s.h5"]


def test_png_refuses_images_without_a_box(tmp_path):
    store = make(tmp_path / "s.h5", [annotation("a", SQUARE, boxes=[])])
    with pytest.raises(WsolbenchError, match=r"1 images without a box: a"):
        export_png(store, tmp_path / "out")


@pytest.mark.parametrize("up", ["../" * 9, "/"])
def test_ids_are_no_paths(tmp_path: Path, up: str) -> None:
    victim = tmp_path / "victim.png"
    victim.write_bytes(b"precious")
    make(tmp_path / "a.h5", [annotation("one", SQUARE), annotation("two", SQUARE)])
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        del file["image_id"]
        name = f"{up}{str(tmp_path / 'victim').lstrip('/')}"
        file["image_id"] = np.array([name.encode(), b"two"])
    with pytest.raises(WsolbenchError):  # by its hash, its length or its ids, whichever is first
        export_png(AnnotationStore.open(tmp_path / "a.h5"), tmp_path / "out")
    assert victim.read_bytes() == b"precious"
    assert not (tmp_path / "out").exists()
