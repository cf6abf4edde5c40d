"""A folder of masks and its table: what is taken, and every way in which it can be wrong."""

from __future__ import annotations

import gzip
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wsolbench import masks
from wsolbench.data.importers import IMPORTERS, importer
from wsolbench.data.importers.mask_folder import import_masks
from wsolbench.data.importers.tables import read_lines
from wsolbench.errors import WsolbenchError
from wsolbench.files import guard_cell, unguard_cell
from wsolbench.formats.annotations import AnnotationStore, write_store
from wsolbench.image_ids import image_id_of

LEAF = np.array(
    [
        [0, 0, 0, 0, 0],
        [0, 0, 1, 1, 0],
        [0, 1, 1, 0, 0],
    ],
    dtype=bool,
)  # tight box 1,1,4,3


def save(folder: Path, image_id: str, mask: np.ndarray = LEAF, high: int = 255) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray((mask * high).astype(np.uint8)).save(folder / f"{image_id}.png")
    return folder


def table(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "table.csv"
    path.write_text(text)
    return path


def test_each_mask_becomes_an_image_with_its_tight_box(tmp_path):
    folder = save(tmp_path / "leaves", "a")
    save(folder, "b", np.ones((2, 3), dtype=bool))
    seen = []
    content = import_masks(folder, progress=lambda done, total: seen.append((done, total)))
    assert content.dataset == "leaves"
    assert [item.image_id for item in content.annotations] == ["a", "b"]
    assert [item.split for item in content.annotations] == ["val", "val"]
    assert [item.class_index for item in content.annotations] == [-1, -1]
    assert [item.boxes.tolist() for item in content.annotations] == [[[1, 1, 4, 3]], [[0, 0, 3, 2]]]
    assert (masks.decode(content.annotations[0].mask) == LEAF).all()
    assert seen == [(1, 2), (2, 2)]
    assert "2 images have no box" in content.notes[0]


def test_the_table_gives_class_split_size_and_several_boxes(tmp_path):
    folder = save(tmp_path / "m", "a")
    save(folder, "b")
    rows = table(
        tmp_path,
        "image_id,class_index,split,height,width,x0,y0,x1,y1\n"
        "b,7,test,3,5,0,0,5,3\r\n"
        "a,3,,,,1,1,4,3\n"
        "b,7,test,3,5,2,1,3,2",
    )
    content = import_masks(folder, table=rows, split="train", dataset="own")
    a, b = content.annotations
    assert (a.split, a.class_index, a.boxes.tolist()) == ("train", 3, [[1, 1, 4, 3]])
    assert (b.split, b.class_index) == ("test", 7)
    assert b.boxes.tolist() == [[0, 0, 5, 3], [2, 1, 3, 2]]
    assert b.boxes.dtype == np.int32
    assert content.dataset == "own"
    assert content.sources[0].file == "table.csv"
    assert len(content.sources[0].sha256) == 64
    write_store(tmp_path / "own.h5", content)
    assert AnnotationStore.open(tmp_path / "own.h5").splits == ["train", "test"]


def test_masks_of_zeros_and_ones_and_of_one_bit_are_read(tmp_path):
    folder = save(tmp_path / "m", "ones", high=1)
    Image.fromarray(LEAF).save(folder / "bit.png")
    content = import_masks(folder)
    assert [masks.area(item.mask) for item in content.annotations] == [4, 4]


def test_ignored_pixels_and_classes_come_from_files_of_their_own(tmp_path):
    folder = save(tmp_path / "m", "a")
    save(folder, "b", np.zeros((3, 5), dtype=bool))
    corner = np.zeros((3, 5), dtype=bool)
    corner[0, 0] = True
    save(tmp_path / "ignored", "b", corner)
    names = tmp_path / "classes.csv"
    names.write_text('key,name\nn01,"tench, Tinca"\nn02,cock\n')
    rows = table(tmp_path, "image_id,x0,y0,x1,y1\na,,,,\nb,0,0,2,2\n")
    content = import_masks(folder, table=rows, ignore=tmp_path / "ignored", classes=names)
    assert content.annotations[0].ignore is None
    assert masks.area(content.annotations[1].ignore) == 1
    assert content.annotations[0].boxes.tolist() == [[1, 1, 4, 3]]
    assert content.classes == [("n01", "tench, Tinca"), ("n02", "cock")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image,class_index\na,3\n", r"columns image, class_index, expected image_id and any of"),
        ("image_id,clas_index\na,3\n", r"unknown: clas_index"),
        ("image_id,image_id\na,a\n", r"found columns image_id, image_id"),
        ("", r"found columns none"),
        ("image_id\n", r"found no row"),
        ("image_id,x0,y0\na,1,1\n", r"only the box columns x0, y0"),
        ("image_id,height\na\n", r"line 2 has 1 cells"),
        ("image_id,height\na,tall\n", r"line 2 \(a\): height is 'tall'"),
        ("image_id,height\na,0\n", r"height is '0'"),
        ("image_id,class_index\na,-2\n", r"class_index is '-2'"),
        ("image_id,class_index\na,3.5\n", r"class_index is '3.5'"),
        ("image_id,split\na,../up\n", r"split is '../up'"),
        ("image_id\né\n", r"'é' is not a valid image id"),
        ("image_id,x0,y0,x1,y1\na,1,1,1,3\n", r"the box 1,1,1,3 is empty"),
        ("image_id,x0,y0,x1,y1\na,1,1,4,\n", r"a box has empty corners"),
        ("image_id,x0,y0,x1,y1\na,-1,1,4,3\n", r"x0 is '-1'"),
        ("image_id,x0,y0,x1,y1\na,1,1,6,3\n", r"box 1,1,6,3 in .*within its 5x3 pixels"),
        ("image_id\na\na\n", r"line 3: a has several rows"),
        ("image_id,x0,y0,x1,y1\na,1,1,4,3\na,1,1,4,3\n", r"line 3: a has the same box twice"),
        (
            "image_id,class_index,x0,y0,x1,y1\na,1,1,1,4,3\na,2,0,0,1,1\n",
            r"line 3: a differs from its first row",
        ),
        ("image_id\na\nz\n", r"1 images without a mask \(z\)"),
        ("image_id\nz\n", r"2 faults: no row for 1 masks \(a\), 1 images without a mask \(z\)"),
        ("image_id,height,width\na,3,6\n", r"a.png: found width 5, height 3, expected width 6"),
        ("image_id,height,width\na,5,3\n", r"height 3 \(width and height swapped\), expected"),
        ('image_id\n"a\n', r"invalid CSV near line 2"),
    ],
)
def test_a_wrong_table_is_refused_with_the_place(tmp_path, text, message):
    folder = save(tmp_path / "m", "a")
    with pytest.raises(WsolbenchError, match=message):
        import_masks(folder, table=table(tmp_path, text))


def test_all_faults_of_a_table_come_at_once(tmp_path):
    folder = save(tmp_path / "m", "a")
    text = "image_id,height\n" + "".join(f"a{number},x\n" for number in range(9))
    with pytest.raises(WsolbenchError, match=r"9 faults: .*line 4 \(a2\).* and 6 more"):
        import_masks(folder, table=table(tmp_path, text))


def test_a_table_that_is_no_utf8_is_refused(tmp_path):
    folder = save(tmp_path / "m", "a")
    path = tmp_path / "table.csv"
    path.write_bytes(b"image_id,split\na,caf\xe9\n")
    with pytest.raises(WsolbenchError, match=r"not UTF-8 in line 2"):
        import_masks(folder, table=path)


def test_a_missing_table_or_folder_is_named(tmp_path):
    folder = save(tmp_path / "m", "a")
    with pytest.raises(WsolbenchError, match=r"nowhere.csv: found no such file"):
        import_masks(folder, table=tmp_path / "nowhere.csv")
    with pytest.raises(WsolbenchError, match=r"nowhere: found no such folder"):
        import_masks(tmp_path / "nowhere")
    with pytest.raises(WsolbenchError, match=r"a.png: found a file, expected a folder of masks"):
        import_masks(folder / "a.png")


def test_a_folder_without_png_is_refused_and_strange_files_are_noted(tmp_path):
    (tmp_path / "m" / "sub").mkdir(parents=True)
    with pytest.raises(WsolbenchError, match=r"no .png file, only sub"):
        import_masks(tmp_path / "m")
    folder = save(tmp_path / "m", "a")
    (folder / "a.jpg").write_bytes(b"")
    (folder / "._a.png").write_bytes(b"")
    assert (
        import_masks(folder).notes[-1]
        == "other files in the folder of masks were ignored: a.jpg, sub"
    )


def test_file_names_that_are_no_ids_are_refused(tmp_path):
    folder = save(tmp_path / "m", "né")
    with pytest.raises(WsolbenchError, match=r"'né.png' is not a valid image id"):
        import_masks(folder)


def test_an_empty_mask_is_refused(tmp_path):
    folder = save(tmp_path / "m", "a", np.zeros((3, 5), dtype=bool))
    with pytest.raises(WsolbenchError, match=r"a.png: no object pixel"):
        import_masks(folder)


def test_a_truncated_mask_is_refused_by_name(tmp_path):
    rng = np.random.default_rng(0)
    folder = save(tmp_path / "m", "a", rng.random((64, 64)) < 0.5)
    whole = (folder / "a.png").read_bytes()
    (folder / "a.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(WsolbenchError, match=r"a.png: found a damaged picture"):
        import_masks(folder)


def test_levels_that_leave_open_what_is_object_are_refused(tmp_path):
    folder = save(tmp_path / "m", "a", high=100)
    with pytest.raises(WsolbenchError, match=r"found grey level 100,"):
        import_masks(folder)


def test_masks_in_folders_are_seen_whatever_the_case_of_their_ending(tmp_path):
    folder = save(tmp_path / "m" / "sub", "a")
    (folder / "a.png").rename(folder / "a.PNG")
    with pytest.raises(WsolbenchError, match=r"masks only in folders below it, such as sub/a.PNG"):
        import_masks(tmp_path / "m")
    content = import_masks(tmp_path / "m", folder_ids=True)
    assert [item.image_id for item in content.annotations] == ["sub~a"]


def test_all_unusable_masks_are_told_at_once(tmp_path):
    folder = tmp_path / "m"
    for number in range(5):
        save(folder, f"a{number}", np.zeros((3, 5), dtype=bool))
    save(folder, "b")
    with pytest.raises(
        WsolbenchError, match=r"5 unusable masks: a0.png \(no object pixel\), .* and 2 more"
    ):
        import_masks(folder)


def test_ignored_pixels_must_fit_an_image_that_is_there(tmp_path):
    folder = save(tmp_path / "m", "a")
    save(tmp_path / "i", "b")
    with pytest.raises(WsolbenchError, match=r"b.png has no mask"):
        import_masks(folder, ignore=tmp_path / "i")
    save(tmp_path / "j", "a", np.ones((5, 3), dtype=bool))
    with pytest.raises(WsolbenchError, match=r"width 3, height 5 \(width and height swapped\)"):
        import_masks(folder, ignore=tmp_path / "j")


def test_lists_are_read_plain_or_gzipped_with_any_line_end(tmp_path):
    path = tmp_path / "list.txt"
    path.write_bytes(b"\xef\xbb\xbfone\r\n\n two \nthree")
    expected = [(1, "one"), (3, "two"), (4, "three")]
    assert read_lines(path, "words") == expected
    packed = tmp_path / "list.txt.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert read_lines(packed, "words") == expected
    packed.write_bytes(packed.read_bytes()[:-12])
    with pytest.raises(WsolbenchError, match=r"damaged gzip file"):
        read_lines(packed, "words")
    path.write_bytes(b" \n")
    with pytest.raises(WsolbenchError, match=r"list.txt: found an empty file, expected words"):
        read_lines(path, "words")


@pytest.mark.parametrize(
    ("name", "image_id"),
    [
        ("val/ILSVRC2012_val_00000001.JPEG", "ILSVRC2012_val_00000001"),
        ("C:\\photos\\a.jpg", "a"),
        ("v1.5_a", "v1.5_a"),
        ("../../etc/passwd", "passwd"),
        ("..", None),
        (".jpg", None),
        ("a" * 65, None),
    ],
)
def test_the_image_id_is_the_name_without_folders_and_ending(name, image_id):
    assert image_id_of(name) == image_id


@pytest.mark.parametrize("text", ["=1+1", "+a", "-a", "@a", "'a", "'=a", "''", "plain", "", "'"])
def test_guarded_cells_come_back_and_never_start_a_formula(text):
    assert unguard_cell(guard_cell(text)) == text
    assert guard_cell(text)[:1] not in tuple("=+-@")


def test_every_kind_has_its_importer():
    for kind, (_, function) in IMPORTERS.items():
        assert importer(kind).__name__ == function
    with pytest.raises(WsolbenchError, match=r"found 'yolo', expected masks, ilsvrc"):
        importer("yolo")


def test_a_mask_too_large_is_refused_before_it_is_unpacked(tmp_path):
    folder = tmp_path / "m"
    folder.mkdir()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        Image.new("1", (20_000, 10)).save(folder / "a.png")
    with pytest.raises(WsolbenchError, match=r"found 20000x10 pixels"):
        import_masks(folder)


def test_blank_rows_are_no_images_but_rows_of_empty_cells_are_classes(tmp_path):
    folder = tmp_path / "m"
    folder.mkdir()
    masks.write_mask(folder / "a.png", LEAF)
    (tmp_path / "t.csv").write_text("image_id, split\n\na , test\n , \n")
    (tmp_path / "c.csv").write_text("key,name\n,\n  \nn01, tench \n")
    content = import_masks(folder, table=tmp_path / "t.csv", classes=tmp_path / "c.csv")
    assert [(row.image_id, row.split) for row in content.annotations] == [("a", "test")]
    assert content.classes == [("", ""), ("n01", " tench ")]


BAND = np.array(
    [
        [0, 255, 255, 255, 0],
        [0, 255, 1, 255, 0],
        [0, 255, 255, 255, 0],
    ],
    dtype=np.uint8,
)


def save_levels(folder: Path, image_id: str, levels: np.ndarray) -> Path:
    path = folder / f"{image_id}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(levels.astype(np.uint8)).save(path)
    return folder


@pytest.mark.parametrize("level", [1, 15, 200])
def test_a_void_level_is_ignored(tmp_path, level):
    levels = np.where(BAND == 1, level, BAND)
    folder = save_levels(tmp_path / "m", "a", levels)
    save(tmp_path / "ignored", "a", np.eye(3, 5, dtype=bool))
    if level < 129:
        with pytest.raises(WsolbenchError, match=r"--void LEVEL"):
            import_masks(folder)
    content = import_masks(folder, void=255, ignore=tmp_path / "ignored")
    (found,) = content.annotations
    assert (masks.decode(found.mask) == (levels == level)).all()
    assert (masks.decode(found.ignore) == ((BAND == 255) | np.eye(3, 5, dtype=bool))).all()
    assert found.boxes.tolist() == [[2, 1, 3, 2]]
    assert "pixels of level 255 are ignored, in 1 masks" in content.notes


def test_a_void_level_that_is_in_no_mask_is_refused(tmp_path):
    folder = save(tmp_path / "m", "a")
    with pytest.raises(WsolbenchError, match=r"no pixel of the void level 254 in any mask"):
        import_masks(folder, void=254)
    with pytest.raises(WsolbenchError, match=r"void: found 70000"):
        import_masks(folder, void=70_000)


def test_void_pixels_of_some_masks_leave_the_others_without_ignored_pixels(tmp_path):
    folder = save_levels(tmp_path / "m", "a", BAND)
    save(folder, "b", high=1)
    a, b = import_masks(folder, void=255).annotations
    assert (masks.area(a.ignore), b.ignore) == (8, None)


@pytest.mark.parametrize(("above", "area"), [(0, 9), (1, 8), (254, 8)])
def test_a_level_may_be_named_above_which_is_object(tmp_path, above, area):
    folder = save_levels(tmp_path / "m", "a", BAND)
    content = import_masks(folder, object_above=above)
    assert masks.area(content.annotations[0].mask) == area
    assert f"levels of masks above {above} are object" in content.notes


def test_two_levels_of_objects_in_one_folder_are_noted(tmp_path):
    folder = save(tmp_path / "m", "a", high=1)
    assert not any("level 1" in note for note in import_masks(folder).notes)
    for image_id in "bc":
        save(folder, image_id)
    note = "level 1 marks the object in 1 masks, and a high level such as 255 in 2"
    assert note in import_masks(folder).notes


def test_masks_in_folders_have_the_folders_in_their_ids(tmp_path):
    save(tmp_path / "m" / "val" / "0", "3")
    folder = save(tmp_path / "m" / "val" / "1", "3").parents[1]
    with pytest.raises(WsolbenchError, match=r"only in folders below it.*--folder-ids"):
        import_masks(folder / "val")
    rows = table(tmp_path, "image_id,class_index\nval/0/3.jpeg,5\nval~1~3,6\n")
    content = import_masks(folder, table=rows, folder_ids=True)
    assert [item.image_id for item in content.annotations] == ["val~0~3", "val~1~3"]
    assert [item.class_index for item in content.annotations] == [5, 6]
    save(folder / "val", "top")
    note = "2 masks in folders below the folder of masks were not read; --folder-ids reads them"
    assert note in import_masks(folder / "val").notes


SQUARE = np.zeros((20, 40), dtype=bool)
SQUARE[5:15, 10:30] = True


def boxed(tmp_path: Path, *boxes: str) -> tuple[Path, Path]:
    """A folder of one square mask for each box, and the table of boxes."""
    folder = tmp_path / "m"
    for number in range(len(boxes)):
        save(folder, f"a{number}", SQUARE)
    lines = "".join(f"a{number},{box}\n" for number, box in enumerate(boxes))
    return folder, table(tmp_path, f"image_id,x0,y0,x1,y1\n{lines}")


@pytest.mark.parametrize(
    ("boxes", "message"),
    [
        (["10,5,20,10"], r"1 of 1 boxes fit .* x, y, width and height: a0; convert them"),
        (["10,5,20,10", "10,5,30,15"], r"1 of 2 boxes fit .*width and height: a0; correct these"),
        (["10,5,29,14", "10,5,29,14", "0,0,40,20"], r"2 of 3 boxes that end exactly one pixel"),
        (["0,0,9,4", "10,5,30,15"], r"1 of 2 boxes without a pixel of their object: a0"),
    ],
)
def test_boxes_that_contradict_their_masks_are_refused(tmp_path, boxes, message):
    folder, rows = boxed(tmp_path, *boxes)
    with pytest.raises(WsolbenchError, match=message + ".*--tight-boxes.*--keep-boxes"):
        import_masks(folder, table=rows)
    kept = import_masks(folder, table=rows, keep_boxes=True)
    assert [",".join(map(str, item.boxes[0])) for item in kept.annotations] == boxes
    tight = import_masks(folder, table=rows, tight_boxes=True)
    assert {str(item.boxes.tolist()) for item in tight.annotations} == {"[[10, 5, 30, 15]]"}
    assert any(note.startswith("tight boxes of the masks are used for all") for note in tight.notes)


def test_loose_boxes_are_noted(tmp_path):
    folder, rows = boxed(tmp_path, "10,5,30,15", "9,5,32,15", "0,5,35,15")
    notes = import_masks(folder, table=rows).notes
    expected = (
        "1 of 3 boxes differ from the tight boxes of their masks by more than 2 pixels, "
        "at most by 10"
    )
    assert notes == [expected]


def test_several_boxes_of_an_image_are_compared_together(tmp_path):
    folder = save(tmp_path / "m", "a", SQUARE)
    rows = table(tmp_path, "image_id,x0,y0,x1,y1\na,10,5,20,15\na,20,5,30,15\n")
    assert import_masks(folder, table=rows).notes == []
    rows = table(tmp_path, "image_id,x0,y0,x1,y1\na,10,5,20,15\na,31,5,40,15\n")
    with pytest.raises(WsolbenchError, match=r"1 of 1 boxes without a pixel of their object: a"):
        import_masks(folder, table=rows)


def test_both_ways_out_exclude_each_other(tmp_path):
    folder, rows = boxed(tmp_path, "10,5,30,15")
    with pytest.raises(WsolbenchError, match=r"--tight-boxes and --keep-boxes, which exclude"):
        import_masks(folder, table=rows, tight_boxes=True, keep_boxes=True)


@pytest.mark.parametrize(
    ("box", "expected", "rounded"),
    [
        ("10.0,5.0,30.0,15.0", [10, 5, 30, 15], 0),
        ("10.00000000000001,4.9999999,30,15", [10, 5, 30, 15], 0),
        ("9.5,5,29.25,14.9", [9, 5, 30, 15], 1),
    ],
)
def test_boxes_of_floats_are_rounded_outwards(tmp_path, box, expected, rounded):
    folder, rows = boxed(tmp_path, box)
    content = import_masks(folder, table=rows)
    assert content.annotations[0].boxes.tolist() == [expected]
    assert content.notes == ["1 of 1 boxes were rounded outwards to whole pixels: a0"] * rounded


def test_columns_are_left_out_by_name(tmp_path):
    folder = save(tmp_path / "m", "a")
    rows = table(tmp_path, ",image_id,class_index,label\n0,a.jpg,4.0,cat\n")
    with pytest.raises(WsolbenchError, match=r"--ignore-column label"):
        import_masks(folder, table=rows)
    content = import_masks(folder, table=rows, ignore_columns=["label"])
    assert content.annotations[0].class_index == 4
    with pytest.raises(WsolbenchError, match=r"no table; name it with --table"):
        import_masks(folder, ignore_columns=["label"])


def test_lost_zeros_are_named(tmp_path):
    folder = save(tmp_path / "m", "0001")
    with pytest.raises(WsolbenchError, match=r"lost their leading zeros, such as 1 for 0001"):
        import_masks(folder, table=table(tmp_path, "image_id\n1\n"))
