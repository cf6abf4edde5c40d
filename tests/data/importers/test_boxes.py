"""Boxes without masks: each layout, ids with folders, sizes of lists and photos, the real lists."""

from __future__ import annotations

import gzip
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wsolbench.baselines.trivial import predict_trivial
from wsolbench.data.dataset import Dataset
from wsolbench.data.importers.boxes import import_boxes
from wsolbench.errors import WsolbenchError
from wsolbench.evaluation.run import evaluate
from wsolbench.formats.annotations import AnnotationSet, AnnotationStore, write_store

NAMES = [f"val2/{folder}/{number}.jpeg" for folder in (0, 1) for number in (0, 1)]
BOXES = ["0,1,5,3", "2,2,4,3", "1,0,2,3", "3,1,5,2"]  # inclusive, in 6x4
WHOLE = [[[0, 1, 6, 4]], [[2, 2, 5, 4]], [[1, 0, 3, 4]], [[3, 1, 6, 3]]]


def write(path: Path, lines: list[str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def metadata(folder: Path, names: list[str] = NAMES) -> Path:
    write(folder / "image_ids.txt", names)
    write(folder / "class_labels.txt", [f"{name},{n % 2}" for n, name in enumerate(names)])
    write(folder / "image_sizes.txt", [f"{name},6,4" for name in names])
    write(folder / "localization.txt", [f"{n},{b}" for n, b in zip(names, BOXES, strict=True)])
    return folder


def photos(folder: Path, names: list[str] = NAMES, *, turned: int = 1) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        picture = Image.fromarray(np.zeros((4, 6, 3), dtype=np.uint8))
        exif = picture.getexif()
        exif[0x0112] = turned
        picture.save(folder / name, exif=exif)
    return folder


def boxes_of(content: AnnotationSet) -> list[list[list[int]]]:
    return [item.boxes.tolist() for item in content.annotations]


def test_a_metadata_folder_becomes_a_split_of_its_name(tmp_path):
    names = [f"001.Bird/Bird_{n}.jpg" for n in range(4)]
    content = import_boxes(metadata(tmp_path / "CUB" / "val", names))
    assert content.dataset == "CUB"
    assert [item.image_id for item in content.annotations] == [f"Bird_{n}" for n in range(4)]
    assert {item.split for item in content.annotations} == {"val"}
    assert [item.class_index for item in content.annotations] == [0, 1, 0, 1]
    assert boxes_of(content) == WHOLE
    mask = content.annotations[0].mask
    assert (mask.height, mask.width, mask.counts) == (4, 6, b"")
    assert content.notes[0] == "no image has a mask: only box scores can be computed"
    assert "none of 4 far corners equals the width or height" in content.notes[1]
    assert [source.file for source in content.sources] == [
        "localization.txt",
        "image_ids.txt",
        "image_sizes.txt",
        "class_labels.txt",
    ]
    write_store(tmp_path / "out.h5", content)
    assert AnnotationStore.open(tmp_path / "out.h5").boxes(0).tolist() == WHOLE[0]
    assert import_boxes(tmp_path / "CUB" / "val", split="dev").annotations[0].split == "dev"


def test_names_that_only_their_folders_tell_apart_need_folder_ids(tmp_path):
    folder = metadata(tmp_path / "ILSVRC" / "val")
    with pytest.raises(WsolbenchError, match=r"2 image ids for 4 file names: .*--folder-ids"):
        import_boxes(folder)
    content = import_boxes(folder, folder_ids=True)
    ids = [item.image_id for item in content.annotations]
    assert ids == ["val2~0~0", "val2~0~1", "val2~1~0", "val2~1~1"]
    assert boxes_of(content) == WHOLE


def test_the_folders_of_several_splits_become_one_data_set(tmp_path):
    metadata(tmp_path / "CUB" / "val", [f"a/v{n}.jpg" for n in range(4)])
    metadata(tmp_path / "CUB" / "test", [f"a/t{n}.jpg" for n in range(4)])
    content = import_boxes(tmp_path / "CUB")
    assert [item.split for item in content.annotations] == ["test"] * 4 + ["val"] * 4
    with pytest.raises(WsolbenchError, match=r"split: 'val' for the 2 folders test, val; leave"):
        import_boxes(tmp_path / "CUB", split="val")
    metadata(tmp_path / "CUB" / "test", [f"b/v{n}.jpg" for n in range(4)])
    with pytest.raises(WsolbenchError, match=r"4 faults: v0 in test and val, .* --folder-ids"):
        import_boxes(tmp_path / "CUB")


@pytest.mark.parametrize(
    ("file", "lines", "message"),
    [
        ("image_ids.txt", NAMES[:3], r"boxes of val2~1~1, which is not listed"),
        ("image_ids.txt", [*NAMES, "val2/2/0.jpeg"], r"no box for val2~2~0"),
        ("image_ids.txt", ["../x.jpeg", *NAMES], r"line 1: '../x.jpeg'"),
        ("image_sizes.txt", [f"{NAMES[0]},6,4"], r"3 of 4 images without a size in image_sizes"),
        ("class_labels.txt", [f"{NAMES[0]},0"], r"3 of 4 images without a class in class_labels"),
        ("class_labels.txt", [f"{name},cat" for name in NAMES], r"line 1: val2~0~0 'cat'"),
        ("localization.txt", [f"{name},0,1,6,3" for name in NAMES], r"4 of 4 far corners equal"),
        ("localization.txt", [f"{name},5,1,0,3" for name in NAMES], r"5,1,0,3 are out of order"),
        ("localization.txt", [f"{name},0,1,nan,3" for name in NAMES], r"line 1: '0,1,nan,3'"),
        ("localization.txt", [f"{NAMES[0]},val2/0/m.png,"], r"masks of OpenImages30k.*import open"),
    ],
)
def test_contradictory_metadata_is_refused(tmp_path, file, lines, message):
    folder = metadata(tmp_path / "val")
    write(folder / file, lines)
    with pytest.raises(WsolbenchError, match=message):
        import_boxes(folder, folder_ids=True)


def test_a_list_alone_needs_sizes_from_a_list_or_photos(tmp_path):
    folder = metadata(tmp_path / "meta")
    source = folder / "localization.txt"
    alone = tmp_path / "boxes.txt"
    alone.write_text(source.read_text())
    with pytest.raises(
        WsolbenchError, match=r"4 of 4 images without a size: .*--sizes FILE or --im"
    ):
        import_boxes(alone, folder_ids=True)
    by_list = import_boxes(
        alone,
        sizes=folder / "image_sizes.txt",
        labels=[folder / "class_labels.txt"],
        folder_ids=True,
    )
    images = photos(tmp_path / "photos")
    for place in (images, images / "val2"):
        by_photos = import_boxes(alone, images=place, folder_ids=True)
        assert boxes_of(by_photos) == boxes_of(by_list) == WHOLE
    assert [item.class_index for item in by_list.annotations] == [0, 1, 0, 1]
    assert [item.split for item in by_photos.annotations] == ["val"] * 4
    (images / NAMES[3]).unlink()
    with pytest.raises(
        WsolbenchError, match=r"no photo val2~1~1 \(expected one photo for each of 4"
    ):
        import_boxes(alone, images=images, folder_ids=True)
    write(folder / "image_sizes.txt", [f"{name},6,5" for name in NAMES])
    photos(images)
    with pytest.raises(WsolbenchError, match=r"4 faults: val2~0~0 of 6x4, but 6x5 is stated"):
        import_boxes(alone, images=images, sizes=folder / "image_sizes.txt", folder_ids=True)


def test_photos_with_an_orientation_are_counted_and_turned_on_request(tmp_path):
    images = photos(tmp_path / "photos", ["a.jpg"], turned=6)
    source = write(tmp_path / "boxes.txt", ["a.jpg,0,0,3,5"])
    with pytest.raises(WsolbenchError, match=r"1 of 1 boxes outside|far corners"):
        import_boxes(source, images=images)
    content = import_boxes(source, images=images, exif="apply")
    assert (content.annotations[0].mask.height, content.annotations[0].mask.width) == (6, 4)
    assert content.notes[-1] == (
        "1 photos have an EXIF orientation other than 1, which was applied (--exif ignore for the "
        "opposite): a"
    )
    sizes = write(tmp_path / "sizes.txt", ["a.jpg,4,6"])
    with pytest.raises(WsolbenchError, match=r"a of 6x4, but 4x6 .* or --exif apply"):
        import_boxes(write(tmp_path / "b.txt", ["a.jpg,0,0,2,2"]), images=images, sizes=sizes)


def test_a_table_is_half_open_unless_stated(tmp_path):
    rows = ["image_id,x0,y0,x1,y1,class_index,split,height,width", "a,0,1,6.0,3,1,test,4,6"]
    rows += ["b.jpg,1,1,3,3,,,4,6", "b.jpg,0,0,2,2,,,4,6"]
    content = import_boxes(write(tmp_path / "t.csv", rows))
    assert boxes_of(content) == [[[0, 1, 6, 3]], [[1, 1, 3, 3], [0, 0, 2, 2]]]
    assert [(item.split, item.class_index) for item in content.annotations] == [
        ("test", 1),
        ("val", -1),
    ]
    rows[1] = "a,0,1,5,3,1,test,4,6"
    few = import_boxes(write(tmp_path / "t.csv", rows))
    assert boxes_of(few)[0] == [[0, 1, 5, 3]]
    assert few.notes[1].endswith("exclusive), though they look inclusive")
    rows += [f"c{number},0,1,5,3,,,4,6" for number in range(9)]
    table = write(tmp_path / "t.csv", rows)
    with pytest.raises(WsolbenchError, match=r"which look inclusive, expected half-open corners"):
        import_boxes(table)
    assert boxes_of(import_boxes(table, corners="inclusive"))[0] == [[0, 1, 6, 4]]
    assert boxes_of(import_boxes(table, corners="half-open"))[0] == [[0, 1, 5, 3]]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("a,0,1,6,,4,6", r"line 2: 'a'"),
        ("a,5,1,2,3,4,6", r"line 2 \(a\): 5,1,2,3 \(expected x0 < x1 .*add x0 and y0 to them"),
        ("a,0,1,7,3,4,6", r"1 of 1 boxes outside their image: a: 0,1,7,3 in 6x4"),
        ("a,0,1,6,3,4,", r"line 2: .*'width': ''"),
        ("a,0,1,6,3,,", r"1 of 1 images without a size"),
        ("a,0,1,6,3,4,6\na,0,0,1,1,4,7", r"line 3: a differs from its first row"),
    ],
)
def test_wrong_tables_are_refused(tmp_path, row, message):
    table = write(tmp_path / "t.csv", ["image_id,x0,y0,x1,y1,height,width", row])
    with pytest.raises(WsolbenchError, match=message):
        import_boxes(table)


def xml(name: str, box: str, size: str = "6 4") -> str:
    tags = zip(("xmin", "ymin", "xmax", "ymax"), box.split(","), strict=True)
    corners = "".join(f"<{tag}>{text}</{tag}>" for tag, text in tags)
    width, height = size.split()
    return (
        f"<annotation><size><width>{width}</width><height>{height}</height></size><object>"
        f"<name>{name}</name><bndbox>{corners}</bndbox></object></annotation>"
    )


def test_xml_files_give_boxes_sizes_and_classes(tmp_path):
    for name, text in {"0/a": xml("dog", BOXES[0]), "1/a": xml("cat", BOXES[1])}.items():
        write(tmp_path / "xml" / f"{name}.xml", [text])
    with pytest.raises(
        WsolbenchError, match=r".xml files only in folders below it; .*--folder-ids"
    ):
        import_boxes(tmp_path / "xml")
    content = import_boxes(tmp_path / "xml", folder_ids=True, split="test")
    assert [item.image_id for item in content.annotations] == ["0~a", "1~a"]
    assert boxes_of(content) == WHOLE[:2]
    assert list(content.classes) == [("cat", "cat"), ("dog", "dog")]
    assert [item.class_index for item in content.annotations] == [1, 0]
    both = xml("dog", BOXES[1]).replace("</annotation>", xml("cat", BOXES[2])[12:])
    both = both.replace(
        "<size><width>6</width><height>4</height></size><object><name>cat", "<object><name>cat"
    )
    write(tmp_path / "xml" / "1/a.xml", [both])
    with pytest.raises(WsolbenchError, match=r"1~a has boxes of cat and dog .*--category NAME"):
        import_boxes(tmp_path / "xml", folder_ids=True)
    content = import_boxes(tmp_path / "xml", folder_ids=True, category="cat", corners="inclusive")
    assert boxes_of(content) == [WHOLE[2]]
    assert content.notes[-1] == "only boxes of cat; 1 images without one were left out"
    with pytest.raises(WsolbenchError, match=r"category: found 'cow', expected cat, dog;"):
        import_boxes(tmp_path / "xml", folder_ids=True, category="cow")


def test_a_photo_shows_that_a_size_is_swapped(tmp_path):
    write(tmp_path / "xml" / "a.xml", [xml("dog", BOXES[0], "4 6")])
    images = photos(tmp_path / "photos", ["a.jpg"])
    with pytest.raises(
        WsolbenchError, match=r"1 of 1 boxes outside their image: a: 0,1,5,3 in 4x6"
    ):
        import_boxes(tmp_path / "xml")
    content = import_boxes(tmp_path / "xml", images=images)
    assert boxes_of(content) == WHOLE[:1]
    assert content.notes[-1].endswith("photo and boxes agree with each other against them: a")


def test_exif_cannot_be_applied_without_photos(tmp_path):
    with pytest.raises(WsolbenchError, match=r"exif: 'apply', but no photos .*--images DIR"):
        import_boxes(metadata(tmp_path / "val"), folder_ids=True, exif="apply")


def test_hidden_xml_files_are_left_out_and_endings_may_be_capital(tmp_path):
    write(tmp_path / "xml" / "a.XML", [xml("dog", BOXES[0])])
    for hidden in ("._a.xml", ".cache/b.xml"):
        write(tmp_path / "xml" / hidden, ["no xml"])
    for folder_ids in (False, True):
        content = import_boxes(tmp_path / "xml", folder_ids=folder_ids)
        assert [item.image_id for item in content.annotations] == ["a"]
    with tarfile.open(tmp_path / "xml.tar", "w") as archive:
        for name in ("a.XML", "._a.xml"):
            archive.add(tmp_path / "xml" / name, f"xml/{name}")
    content = import_boxes(tmp_path / "xml.tar")
    assert [item.image_id for item in content.annotations] == ["a"]


def test_a_class_beyond_the_names_is_refused(tmp_path):
    for name in ("a", "b"):
        write(tmp_path / "xml" / f"{name}.xml", [xml("n00000001", BOXES[0])])
    labels = write(tmp_path / "labels.txt", ["a.jpg,1", "b.jpg,1000"])
    names = write(tmp_path / "names.txt", [f"n{n:08d} name {n}" for n in range(1000)])
    message = r"line 2: b '1000' \(expected .*one class from 0 to 999 per image\); .*subtract 1"
    with pytest.raises(WsolbenchError, match=message):
        import_boxes(tmp_path / "xml", labels=labels, class_names=names)


def test_damaged_photos_are_named_as_photos(tmp_path):
    names = ["a.jpg", "b.jpg"]
    images = photos(tmp_path / "photos", names)
    for name in names:
        (images / name).write_bytes(b"no picture")
    boxes = write(tmp_path / "b.txt", [f"{name},0,0,2,2" for name in names])
    with pytest.raises(WsolbenchError, match=r"2 unusable photos: a.jpg \(not a JPEG or PNG"):
        import_boxes(boxes, images=images)


def test_a_note_names_only_the_first_swapped_sizes(tmp_path):
    names = "abcde"
    for name in names:
        write(tmp_path / "xml" / f"{name}.xml", [xml("dog", BOXES[0], "4 6")])
    images = photos(tmp_path / "photos", [f"{name}.jpg" for name in names])
    content = import_boxes(tmp_path / "xml", images=images)
    assert content.notes[-1].endswith("agree with each other against them: a, b, c and 2 more")


def test_kaggles_file_needs_sizes_and_may_name_classes(tmp_path):
    ids = [f"ILSVRC2012_val_{n:08d}" for n in (1, 2)]
    lines = ["ImageId,PredictionString"]
    lines += [
        f"{one},n{k:08d} {b}"
        for one, k, b in zip(ids, (65, 970), ("0 1 5 3", "2 2 4 3"), strict=True)
    ]
    source = write(tmp_path / "LOC_val_solution.csv", lines)
    sizes = write(tmp_path / "sizes.txt", [f"val/{one}.JPEG,6,4" for one in ids])
    content = import_boxes(source, sizes=sizes, split="test")
    assert boxes_of(content) == WHOLE[:2]
    assert [item.class_index for item in content.annotations] == [-1, -1]
    assert "the classes are unknown: 2 WordNet ids, of 1000" in content.notes[-1]
    with pytest.raises(WsolbenchError, match=r"image ids without folders, .*--folder-ids"):
        import_boxes(source, sizes=sizes, folder_ids=True)
    names = write(tmp_path / "names.txt", [f"n{n:08d} name {n}" for n in range(1000)])
    content = import_boxes(source, sizes=sizes, class_names=names)
    assert [item.class_index for item in content.annotations] == [65, 970]
    other = write(tmp_path / "sorted.txt", [f"{ids[0]} 65", f"{ids[1]} 970"])
    assert import_boxes(source, sizes=sizes, labels=other).annotations[1].class_index == 970
    source.write_text(source.read_text().replace("n00000970", "n00000007"))
    with pytest.raises(WsolbenchError, match=r"0002 has boxes of n00000007, but label n00000970"):
        import_boxes(source, sizes=sizes, labels=[other], class_names=names)
    devkit = write(tmp_path / "devkit.txt", [f"{ids[0]} 489", f"{ids[1]} 360"])
    with pytest.raises(WsolbenchError, match=r"only labels in the devkit's order"):
        import_boxes(source, sizes=sizes, labels=[devkit])


def test_the_real_lists_of_all_validation_images(tmp_path, shared_data):
    folder = tmp_path / "ILSVRC" / "test"
    folder.mkdir(parents=True)
    for name in ("class_labels", "image_sizes", "localization"):
        packed = (shared_data / "ilsvrc" / f"{name}.txt.gz").read_bytes()
        (folder / f"{name}.txt").write_bytes(gzip.decompress(packed))
    content = import_boxes(folder)
    assert len(content.annotations) == 50_000
    assert sum(len(item.boxes) for item in content.annotations) == 80_477
    first, tenth, last = (content.annotations[row] for row in (0, 9, -1))
    assert (first.image_id, first.class_index) == ("ILSVRC2012_val_00000001", 65)
    assert first.boxes.tolist() == [[111, 108, 442, 194]]
    assert (tenth.image_id, tenth.class_index) == ("ILSVRC2012_val_00000010", 332)
    assert (last.image_id, last.class_index) == ("ILSVRC2012_val_00050000", 355)
    assert "none of 80477 far corners equals the width or height, 11197 are on" in content.notes[1]


@pytest.mark.parametrize(
    ("file", "lines", "message"),
    [
        ("k.csv", ["ImageId,PredictionString"], r"k.csv: no line after the header"),
        ("t.csv", ["name,x0,y0,x1,y1", "a,0,0,2,2"], r"columns name, x0, .*image_id"),
        ("b.txt", ["a 0 0 2 2"], r"category: found 'dog', expected a file that names the classes"),
        ("none/readme.md", ["boxes"], r"no localization.txt and no .xml file"),
    ],
)
def test_other_sources_are_refused_by_what_they_lack(tmp_path, file, lines, message):
    path = write(tmp_path / file, lines)
    with pytest.raises(WsolbenchError, match=message):
        import_boxes(path.parent if path.suffix == ".md" else path, category="dog")


def test_a_name_that_no_data_set_may_have_needs_another(tmp_path):
    source = write(tmp_path / "my boxes!.txt", [f"{name},{BOXES[0]}" for name in ("a", "b")])
    sizes = write(tmp_path / "sizes.txt", ["a,6,4", "b,6,4"])
    with pytest.raises(WsolbenchError, match=r"the name 'my boxes!', .*--dataset NAME"):
        import_boxes(source, sizes=sizes)
    assert import_boxes(source, sizes=sizes, dataset="own").dataset == "own"


def test_boxes_alone_are_scored_by_box_metrics(tmp_path):
    names = [f"{letter}.jpg" for letter in "abcd"]
    write_store(tmp_path / "boxes.h5", import_boxes(metadata(tmp_path / "val", names)))
    dataset = Dataset.open(tmp_path / "boxes.h5")
    predict_trivial(dataset, tmp_path / "maps.h5", "whole-image")
    result = evaluate(dataset, tmp_path / "maps.h5", metrics=("box",))
    # Of 24 pixels the boxes cover 18, 6, 8 and 6.
    assert result.scores["gt_known_loc"] == 0.25
    assert "peak_iou" not in result.scores


def test_boxes_as_fractions_of_the_sides_are_refused(tmp_path: Path) -> None:
    table = write(
        tmp_path / "t.csv", ["image_id,x0,y0,x1,y1,height,width", "a,0.1,0.2,0.5,1,40,60"]
    )
    with pytest.raises(WsolbenchError, match=r"between 0 and 1.*multiply them by width and height"):
        import_boxes(table)
    with table.open("a") as opened:
        opened.write("b,5,0,60,20,40,60\nc,0.5,5,9,9.000000001,40,60\n")
    with pytest.raises(WsolbenchError, match=r"1 of 3 boxes between 0 and 1, .* sides: a, exp"):
        import_boxes(table)
    table.write_text(table.read_text().replace("a,0.1,0.2,0.5,1,", "a,0,0,1,1,"))
    content = import_boxes(table)
    assert boxes_of(content) == [[[0, 0, 1, 1]], [[5, 0, 60, 20]], [[0, 5, 9, 9]]]
    assert content.notes[-1] == "1 of 3 boxes were rounded outwards to whole pixels: c"


def test_lists_of_a_metadata_folder_may_be_compressed(tmp_path: Path) -> None:
    for name, line in (("localization.txt", "a.jpg,0,0,9,9"), ("image_sizes.txt", "a.jpg,10,10")):
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(f"{line}\n".encode()))
    assert boxes_of(import_boxes(tmp_path)) == [[[0, 0, 10, 10]]]
