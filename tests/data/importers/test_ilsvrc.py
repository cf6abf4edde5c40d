"""The ILSVRC masks: each trap of the data on a small folder, and the real lists at full number."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wsolbench import masks
from wsolbench.data.importers import xml_boxes
from wsolbench.data.importers.ilsvrc import VAL_LIST_SHA256, import_ilsvrc
from wsolbench.errors import WsolbenchError
from wsolbench.formats.annotations import AnnotationStore, write_store

DEVKIT = {1: 489, 2: 360, 3: 170, 4: 821}
SORTED = {1: 65, 2: 970, 3: 230, 4: 809}
OBJECT = np.zeros((4, 6), dtype=bool)
OBJECT[1:3, 2:5] = True  # tight box 2,1,5,3


def name(number: int) -> str:
    return f"ILSVRC2012_val_{number:08d}"


def tree(
    tmp_path: Path, shapes: Mapping[int, np.ndarray] | None = None, val: tuple[int, ...] = (1, 2)
) -> dict[str, Path]:
    """Masks 1 to 3, of which 1 and 2 are val."""
    folder = tmp_path / "masks"
    folder.mkdir()
    for number, mask in (shapes or dict.fromkeys((1, 2, 3), OBJECT)).items():
        Image.fromarray(mask.astype(np.uint8) * 255).save(folder / f"{name(number)}.png")
    (tmp_path / "val.txt").write_text("".join(f"{name(number)}\n" for number in val))
    return {"masks": folder, "val_list": tmp_path / "val.txt"}


def listed(tmp_path: Path, file: str, lines: list[str], *, packed: bool = False) -> Path:
    path = tmp_path / file
    text = "\n".join(lines).encode()
    path.write_bytes(gzip.compress(text) if packed else text)
    return path


def comma_labels(labels: Mapping[int, int]) -> list[str]:
    return [f"val/{name(number)}.JPEG,{label}" for number, label in labels.items()]


def blank_labels(labels: Mapping[int, int]) -> list[str]:
    return [f"{name(number)}.JPEG {label}" for number, label in labels.items()]


def xml(width: int, height: int, *boxes: tuple[int, int, int, int]) -> bytes:
    objects = "".join(
        "<object><name>n01751748</name><bndbox>"
        f"<xmin>{x0}</xmin><ymin>{y0}</ymin><xmax>{x1}</xmax><ymax>{y1}</ymax>"
        "</bndbox></object>"
        for x0, y0, x1, y1 in boxes
    )
    size = f"<size><width>{width}</width><height>{height}</height><depth>3</depth></size>"
    return f"<annotation><folder>val</folder>{size}{objects}</annotation>".encode()


def xml_folder(tmp_path: Path, files: Mapping[int, bytes]) -> Path:
    folder = tmp_path / "Annotation" / "CLS-LOC" / "val"
    folder.mkdir(parents=True)
    for number, content in files.items():
        (folder / f"{name(number)}.xml").write_bytes(content)
    return tmp_path / "Annotation"


def test_masks_not_on_the_val_list_are_test(tmp_path):
    content = import_ilsvrc(**tree(tmp_path))
    assert [item.split for item in content.annotations] == ["val", "val", "test"]
    assert [item.image_id for item in content.annotations] == [name(1), name(2), name(3)]
    assert [item.class_index for item in content.annotations] == [-1, -1, -1]
    assert content.annotations[0].boxes.tolist() == [[2, 1, 5, 3]]
    assert "incomplete: 2 of 23151 val and 1 of 21120 test masks" in content.notes
    assert "the val list is not the published one of 23151 ids" in content.notes
    assert any("EXIF" in note for note in content.notes)


def test_only_val_is_valid_and_says_so(tmp_path):
    content = import_ilsvrc(**tree(tmp_path, val=(1, 2, 3)))
    assert "only val, incomplete: 3 of 23151 val masks and no test mask" in content.notes


def test_trap_1_sorted_labels_are_taken(tmp_path):
    labels = listed(tmp_path, "sorted.txt.gz", comma_labels(SORTED), packed=True)
    content = import_ilsvrc(**tree(tmp_path), labels=[labels])
    assert [item.class_index for item in content.annotations] == [65, 970, 230]
    assert [source.file for source in content.sources] == ["val.txt", "sorted.txt.gz"]


def test_trap_1_devkit_labels_alone_are_refused(tmp_path):
    labels = listed(tmp_path, "devkit.txt", blank_labels(DEVKIT))
    with pytest.raises(WsolbenchError, match=r"only labels in the devkit's order .* add such a"):
        import_ilsvrc(**tree(tmp_path), labels=[labels])


@pytest.mark.parametrize("turned", [False, True])
def test_trap_1_two_orders_are_joined_in_any_order_of_the_files(tmp_path, turned):
    # The last image is in the devkit list alone; its class is known through image 2.
    devkit = listed(tmp_path, "devkit.txt", blank_labels({**DEVKIT, 20_000: 360}))
    plain = listed(tmp_path, "sorted.txt", comma_labels(SORTED))
    shapes = dict.fromkeys((1, 2, 20_000), OBJECT)
    content = import_ilsvrc(
        **tree(tmp_path, shapes), labels=[plain, devkit] if turned else [devkit, plain]
    )
    assert [item.class_index for item in content.annotations] == [65, 970, 970]
    assert any("one to one for 4 of 1000 classes" in note for note in content.notes)


def test_trap_1_a_list_without_the_first_images_is_placed_by_the_other(tmp_path):
    far = listed(tmp_path, "far.txt", blank_labels({20_000: 360, 20_001: 489}))
    near = listed(tmp_path, "near.txt", comma_labels({**SORTED, 20_000: 970}))
    shapes = dict.fromkeys((1, 2, 20_000), OBJECT)
    content = import_ilsvrc(**tree(tmp_path, shapes), labels=[far, near])
    assert content.annotations[-1].class_index == 970
    with pytest.raises(WsolbenchError, match=r"none of the first ten validation images"):
        import_ilsvrc(masks=tmp_path / "masks", val_list=tmp_path / "val.txt", labels=[far])


def test_trap_1_orders_that_are_not_one_to_one_are_refused(tmp_path):
    devkit = listed(tmp_path, "devkit.txt", blank_labels({**DEVKIT, 30: 489}))
    plain = listed(tmp_path, "sorted.txt", comma_labels({**SORTED, 30: 66}))
    with pytest.raises(WsolbenchError, match=r"devkit class 489 matches \[65, 66\]"):
        import_ilsvrc(**tree(tmp_path), labels=[devkit, plain])


def test_trap_1_a_list_of_both_orders_is_refused(tmp_path):
    mixed = listed(tmp_path, "mixed.txt", comma_labels({**SORTED, 1: 489}))
    with pytest.raises(WsolbenchError, match=r"labels in both orders"):
        import_ilsvrc(**tree(tmp_path), labels=[mixed])


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (comma_labels({**SORTED, 1: 66}), r"class 66 for ILSVRC2012_val_00000001"),
        (comma_labels({**SORTED, 30: 1000}), r"line 5: class 1000"),
        (comma_labels(SORTED) + comma_labels({1: 65}), r"line 5: duplicate id .*val_00000001"),
        (["val/x.JPEG,65,3"], r"line 1: 'val/x.JPEG,65,3'"),
        (["val/x.JPEG,-1"], r"line 1: 'val/x.JPEG,-1'"),
        (["65"], r"line 1: '65'"),
        (comma_labels({1: 65, 2: 970}), r"no line for 1 images .*val_00000003"),
        ([], r"found an empty file"),
    ],
)
def test_wrong_labels_are_refused(tmp_path, lines, message):
    with pytest.raises(WsolbenchError, match=message):
        import_ilsvrc(**tree(tmp_path), labels=[listed(tmp_path, "labels.txt", lines)])


def test_lists_of_one_order_that_contradict_each_other_are_refused(tmp_path):
    one = listed(tmp_path, "one.txt", comma_labels({**SORTED, 30: 7}))
    two = listed(tmp_path, "two.txt", comma_labels({**SORTED, 30: 8}))
    with pytest.raises(
        WsolbenchError, match=r"two.txt: .*val_00000030 has class 8, but 7 in another list"
    ):
        import_ilsvrc(**tree(tmp_path), labels=[one, two])


def test_trap_3_a_transposed_mask_is_turned_and_noted(tmp_path):
    sizes = listed(tmp_path, "sizes.txt", [f"val/{name(n)}.JPEG,6,4" for n in (1, 2, 3)])
    shapes = {1: OBJECT, 2: OBJECT.T, 3: OBJECT}
    content = import_ilsvrc(**tree(tmp_path, shapes), sizes=sizes)
    turned = content.annotations[1]
    assert (masks.decode(turned.mask) == OBJECT).all()
    assert turned.boxes.tolist() == [[2, 1, 5, 3]]
    assert content.notes[-1] == (
        f"1 masks with width and height swapped were transposed: {name(2)}"
    )


def test_trap_3_any_other_size_is_refused(tmp_path):
    sizes = listed(tmp_path, "sizes.txt", [f"val/{name(n)}.JPEG,6,5" for n in (1, 2, 3)])
    with pytest.raises(WsolbenchError, match=r"3 unusable masks: .*width 6, height 4.*height 5 of"):
        import_ilsvrc(**tree(tmp_path), sizes=sizes)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([f"val/{name(1)}.JPEG,6"], r"line 1"),
        ([f"val/{name(1)}.JPEG,6,0"], r"line 1: 6x0"),
        ([f"val/{name(1)}.JPEG,6,4"] * 2, r"line 2: duplicate id "),
        ([f"val/{name(1)}.JPEG,6,4"], r"no line for 2 images"),
    ],
)
def test_wrong_sizes_are_refused(tmp_path, lines, message):
    with pytest.raises(WsolbenchError, match=message):
        import_ilsvrc(**tree(tmp_path), sizes=listed(tmp_path, "sizes.txt", lines))


def test_trap_4_objects_of_one_pixel_and_of_the_whole_frame_stay(tmp_path):
    dot = np.zeros((4, 6), dtype=bool)
    dot[3, 5] = True
    content = import_ilsvrc(**tree(tmp_path, {1: dot, 2: np.ones((4, 6), dtype=bool)}))
    assert [masks.area(item.mask) for item in content.annotations] == [1, 24]


def test_trap_5_masks_of_zeros_and_ones_are_read_and_doubtful_ones_refused(tmp_path):
    paths = tree(tmp_path)
    Image.fromarray(OBJECT.astype(np.uint8)).save(paths["masks"] / f"{name(2)}.png")
    assert masks.area(import_ilsvrc(**paths).annotations[1].mask) == 6
    Image.fromarray(OBJECT.astype(np.uint8) * 128).save(paths["masks"] / f"{name(2)}.png")
    with pytest.raises(WsolbenchError, match=r"00000002.png: found grey level 128,"):
        import_ilsvrc(**paths)


def test_a_void_level_of_masks_is_ignored(tmp_path):
    paths = tree(tmp_path)
    levels = OBJECT * np.uint8(15)
    levels[0] = 255
    Image.fromarray(levels).save(paths["masks"] / f"{name(2)}.png")
    with pytest.raises(WsolbenchError, match=r"grey levels 15, 255, .* --void LEVEL"):
        import_ilsvrc(**paths)
    second = import_ilsvrc(**paths, object_above=0).annotations[1]
    assert (masks.area(second.mask), second.ignore) == (12, None)
    Image.fromarray(levels).save(paths["masks"] / f"{name(1)}.png")
    Image.fromarray(levels).save(paths["masks"] / f"{name(3)}.png")
    content = import_ilsvrc(**paths, void=255)
    assert masks.area(content.annotations[1].mask) == masks.area(content.annotations[1].ignore) == 6
    assert "pixels of grey level 255 are ignored, in 3 masks" in content.notes


def test_trap_5_listed_ids_without_a_mask_are_refused(tmp_path):
    with pytest.raises(WsolbenchError, match=r"2 of 4 ids without a mask: .*00000008, .*00000009"):
        import_ilsvrc(**tree(tmp_path, val=(1, 2, 8, 9)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("n01440764_10\n", r"line 1: 'n01440764_10'"),
        (f"{name(1)}\n{name(1)}.JPEG\n", r"line 2: duplicate id "),
        (f"{name(1)} 65\n", r"line 1"),
    ],
)
def test_a_wrong_val_list_is_refused(tmp_path, text, message):
    paths = tree(tmp_path)
    paths["val_list"].write_text(text)
    with pytest.raises(WsolbenchError, match=message):
        import_ilsvrc(**paths)


def test_strange_masks_empty_masks_and_missing_files_are_refused(tmp_path):
    paths = tree(tmp_path, {1: OBJECT, 2: np.zeros((4, 6), dtype=bool)})
    with pytest.raises(WsolbenchError, match=r"00000002.png: no object pixel"):
        import_ilsvrc(**paths)
    with pytest.raises(WsolbenchError, match=r"no.txt: found no such file"):
        import_ilsvrc(masks=paths["masks"], val_list=tmp_path / "no.txt")
    with pytest.raises(WsolbenchError, match=r"no.txt: found no such file"):
        import_ilsvrc(**paths, boxes=tmp_path / "no.txt")
    Image.fromarray(OBJECT).save(paths["masks"] / "table.png")
    with pytest.raises(WsolbenchError, match=r"table.png \(expected ILSVRC2012_val_"):
        import_ilsvrc(**paths)


def test_trap_6_listed_boxes_are_inclusive(tmp_path):
    lines = [f"val/{name(n)}.JPEG,0,1,5,3" for n in (1, 2, 3)] + [f"val/{name(2)}.JPEG,2,2,2,2"]
    boxes = listed(tmp_path, "boxes.txt", lines)
    content = import_ilsvrc(**tree(tmp_path), boxes=boxes)
    assert content.annotations[0].boxes.tolist() == [[0, 1, 6, 4]]
    assert content.annotations[1].boxes.tolist() == [[0, 1, 6, 4], [2, 2, 3, 3]]
    assert any("inclusive" in note for note in content.notes)


@pytest.mark.parametrize("with_sizes", [False, True])
def test_trap_6_listed_boxes_that_pass_the_image_are_refused(tmp_path, with_sizes):
    boxes = listed(tmp_path, "boxes.txt", [f"val/{name(n)}.JPEG,0,1,6,3" for n in (1, 2, 3)])
    sizes = listed(tmp_path, "sizes.txt", [f"val/{name(n)}.JPEG,6,4" for n in (1, 2, 3)])
    message = r"3 of 3 far corners equal .* 6,3 is outside 6x4.* --corners half-open"
    with pytest.raises(WsolbenchError, match=message):
        import_ilsvrc(**tree(tmp_path), boxes=boxes, sizes=sizes if with_sizes else None)


def test_listed_boxes_must_be_in_order_and_there_for_each_mask(tmp_path):
    paths = tree(tmp_path)
    boxes = listed(tmp_path, "boxes.txt", [f"val/{name(1)}.JPEG,3,1,2,3"])
    with pytest.raises(WsolbenchError, match=r"the corners 3,1,2,3 are out of order"):
        import_ilsvrc(**paths, boxes=boxes)
    boxes = listed(tmp_path, "boxes.txt", [f"val/{name(1)}.JPEG,1,1,2,3"])
    with pytest.raises(WsolbenchError, match=r"no line for 2 images that have a mask"):
        import_ilsvrc(**paths, boxes=boxes)


def test_trap_6_xml_boxes_that_end_on_the_last_pixel_are_inclusive(tmp_path):
    folder = xml_folder(tmp_path, {n: xml(6, 4, (0, 0, 5, 3), (1, 1, 2, 2)) for n in (1, 2, 3)})
    content = import_ilsvrc(**tree(tmp_path), boxes=folder)
    assert content.annotations[0].boxes.tolist() == [[0, 0, 6, 4], [1, 1, 3, 3]]
    assert any("none of 6 far corners equals" in note for note in content.notes)


def test_trap_6_xml_boxes_that_reach_the_width_are_taken_as_they_are(tmp_path):
    files = {1: xml(6, 4, (1, 1, 6, 4)), 2: xml(6, 4, (1, 1, 3, 3)), 3: xml(6, 4, (0, 0, 1, 1))}
    content = import_ilsvrc(**tree(tmp_path), boxes=xml_folder(tmp_path, files))
    assert [item.boxes.tolist() for item in content.annotations] == [
        [[1, 1, 6, 4]],
        [[1, 1, 3, 3]],
        [[0, 0, 1, 1]],
    ]
    assert any("1 of 3 far corners equal the width or height" in note for note in content.notes)


def test_trap_6_xml_boxes_do_not_depend_on_which_masks_are_imported(tmp_path):
    files = {1: xml(6, 4, (1, 1, 3, 3)), 2: xml(6, 4, (1, 1, 5, 3)), 9: xml(6, 4, (0, 0, 6, 4))}
    given = tree(tmp_path, dict.fromkeys((1, 2), OBJECT))
    content = import_ilsvrc(**given, boxes=xml_folder(tmp_path, files))
    assert [item.boxes.tolist() for item in content.annotations] == [[[1, 1, 3, 3]], [[1, 1, 5, 3]]]
    assert any("1 of 3 far corners equal the width or height" in note for note in content.notes)


@pytest.mark.parametrize("packing", ["", "gz"])
def test_an_archive_of_xml_is_read_without_unpacking(tmp_path, packing):
    archive = tmp_path / f"boxes.tar{'.gz' if packing else ''}"
    with tarfile.open(archive, f"w:{packing}") as tar:
        for number in (1, 2, 3):
            member = tarfile.TarInfo(f"../../val/{name(number)}.xml")
            content = xml(6, 4, (0, 0, 5, 3))
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    paths = tree(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    content = import_ilsvrc(**paths, boxes=archive)
    assert sorted(tmp_path.rglob("*")) == before
    assert content.annotations[2].boxes.tolist() == [[0, 0, 6, 4]]
    archive.write_bytes(archive.read_bytes()[: 150 if packing else 700])
    with pytest.raises(WsolbenchError, match=r"boxes.tar.*a damaged archive"):
        import_ilsvrc(**paths, boxes=archive)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (xml(6, 4, (0, 0, 7, 3)), r"the box 0,0,7,3 does not fit 6x4"),
        (xml(6, 4, (3, 0, 2, 3)), r"the box 3,0,2,3 does not fit"),
        (xml(6, 4), r"00000001.xml: no box"),
        (b"<annotation>", r"invalid XML \(ParseError\)"),
        (
            b'<!DOCTYPE a [<!ENTITY b "bb">]><annotation>&b;</annotation>',
            r"invalid XML \(DTDForbidden\)",
        ),
        (xml(6, 4, (0, 0, 5, 3)).replace(b"<width>6", b"<width>six"), r"width is 'six'"),
        (b"<annotation/>", r"00000001.xml: no box"),
        (xml(6, 4, (0, 0, 5, 3)).replace(b"<width>6</width>", b""), r"width is ''"),
    ],
)
def test_wrong_xml_is_refused(tmp_path, content, message):
    good = xml(6, 4, (0, 0, 5, 3))
    folder = xml_folder(tmp_path, {1: content, 2: good, 3: good})
    with pytest.raises(WsolbenchError, match=message):
        import_ilsvrc(**tree(tmp_path), boxes=folder)


def test_xml_boxes_counted_from_one_are_moved(tmp_path):
    files = {1: xml(6, 4, (3, 2, 5, 3)), 2: xml(6, 4, (1, 1, 6, 3)), 3: xml(6, 4, (2, 2, 3, 4))}
    content = import_ilsvrc(**tree(tmp_path), boxes=xml_folder(tmp_path, files))
    assert [item.boxes.tolist() for item in content.annotations] == [
        [[2, 1, 5, 3]],
        [[0, 0, 6, 3]],
        [[1, 1, 3, 4]],
    ]
    assert any("0 near corners are 0, 1 are 1; taken as from-1" in note for note in content.notes)


@pytest.mark.parametrize(
    ("box", "corners"),
    [((2, 1, 5, 3), "half-open"), ((2, 1, 4, 2), "inclusive"), ((3, 2, 5, 3), "from-1")],
)
def test_masks_decide_how_corners_count_where_corners_leave_it_open(tmp_path, box, corners):
    files = dict.fromkeys((1, 2, 3), xml(6, 4, box))
    content = import_ilsvrc(**tree(tmp_path), boxes=xml_folder(tmp_path, files))
    assert [item.boxes.tolist() for item in content.annotations] == [[[2, 1, 5, 3]]] * 3
    assert any(f"taken as {corners}" in note for note in content.notes)


def test_boxes_that_leave_their_corners_open_are_refused_until_stated(tmp_path):
    folder = xml_folder(tmp_path, dict.fromkeys((1, 2, 3), xml(6, 4, (1, 2, 3, 2))))
    paths = tree(tmp_path)
    with pytest.raises(WsolbenchError, match=r"leave open how .*none of 3 .* --corners half-open"):
        import_ilsvrc(**paths, boxes=folder)
    content = import_ilsvrc(**paths, boxes=folder, corners="from-1")
    assert content.annotations[0].boxes.tolist() == [[0, 1, 3, 2]]
    with pytest.raises(WsolbenchError, match=r"3 boxes have equal corners, expected half-open"):
        import_ilsvrc(**paths, boxes=folder, corners="half-open")
    with pytest.raises(WsolbenchError, match=r"corners: found 'far', expected half-open, inclusi"):
        import_ilsvrc(**paths, boxes=folder, corners="far")


def test_only_the_objects_own_boxes_count(tmp_path):
    inner = b"<bndbox><xmin>0</xmin><ymin>0</ymin><xmax>1</xmax><ymax>1</ymax></bndbox>"
    part = b"<part><name>head</name>" + inner + b"</part>"
    nested = b"<object><name>rider</name>" + inner + b"</object>"
    plain = xml(6, 4, (0, 1, 5, 3))
    flags = b"<difficult>1</difficult><truncated>1</truncated></object>"
    files = {
        1: plain.replace(b"</object>", part + b"</object>"),
        2: plain.replace(b"</object>", nested + b"</object>"),
        3: plain.replace(b"</object>", flags),
    }
    content = import_ilsvrc(**tree(tmp_path), boxes=xml_folder(tmp_path, files))
    assert [item.boxes.tolist() for item in content.annotations] == [[[0, 1, 6, 4]]] * 3


def test_xml_of_other_programs_is_read(tmp_path):
    plain = xml(6, 4, (0, 1, 5, 3))
    labelimg = plain.replace(b"</folder>", f"</folder><filename>{name(2)}.jpg</filename>".encode())
    files = {
        1: plain.replace(b"<annotation>", b'<annotation xmlns="http://example.org/voc">'),
        2: labelimg.replace(b">5<", b">5.0<"),
        3: plain.replace(b"<width>6", b"<width>0").replace(b"<height>4", b"<height>0"),
    }
    content = import_ilsvrc(**tree(tmp_path), boxes=xml_folder(tmp_path, files))
    assert [item.boxes.tolist() for item in content.annotations] == [[[0, 1, 6, 4]]] * 3


def test_a_size_that_mask_and_box_contradict_is_taken_as_swapped(tmp_path):
    seen = xml(6, 4, (2, 1, 4, 2), (0, 0, 5, 3))
    wrong_size = seen.replace(b"<width>6", b"<width>4").replace(b"<height>4", b"<height>6")
    shapes = {1: OBJECT, 2: OBJECT.T, 3: OBJECT}
    folder = xml_folder(tmp_path, {1: wrong_size, 2: seen, 3: seen})
    content = import_ilsvrc(**tree(tmp_path, shapes), boxes=folder)
    assert all((masks.decode(item.mask) == OBJECT).all() for item in content.annotations)
    assert content.notes[-2].endswith(f"agree with each other against them: {name(1)}")
    assert content.notes[-1].endswith(f"were transposed: {name(2)}")


def test_how_boxes_differ_from_their_masks_is_noted(tmp_path):
    boxes = [(1, "2,1,4,2"), (2, "0,0,5,3"), (3, "0,3,1,3")]
    lines = [f"val/{name(number)}.JPEG,{box}" for number, box in boxes]
    paths = {**tree(tmp_path), "boxes": listed(tmp_path, "boxes.txt", lines)}
    content = import_ilsvrc(**paths)
    assert (
        "boxes of 1 of 3 images differ from their mask's tight box by more than 2 pixels, and 1 "
        "have a box that does not touch it"
    ) in content.notes
    with pytest.raises(WsolbenchError, match=r"from-1 corners, but tight boxes of masks"):
        import_ilsvrc(**paths, tight_boxes=True, corners="from-1")
    with pytest.raises(WsolbenchError, match=r"from-1 corners, but no boxes; .*add --boxes FILE"):
        import_ilsvrc(**{**paths, "boxes": None}, corners="from-1")
    tight = import_ilsvrc(**paths, tight_boxes=True)
    assert [item.boxes.tolist() for item in tight.annotations] == [[[2, 1, 5, 3]]] * 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "4,2,9,5",
            r"3 of 3 single boxes equal their mask's tight box as inclusive, but 0 as half",
        ),
        ("2,4,6,10", r"3 of 3 single boxes agree .* if x and y are swapped, but 0 as given"),
        ("4,2,6,4", r"3 of 3 .* if x1 and y1 are a width and a height, but 0 as given"),
    ],
)
def test_boxes_that_match_their_masks_after_one_change_are_refused(tmp_path, text, message):
    wide = np.zeros((12, 16), dtype=bool)
    wide[2:6, 4:10] = True
    boxes = listed(tmp_path, "boxes.txt", [f"val/{name(n)}.JPEG,{text}" for n in (1, 2, 3)])
    with pytest.raises(WsolbenchError, match=message):
        import_ilsvrc(
            **tree(tmp_path, dict.fromkeys((1, 2, 3), wide)), boxes=boxes, corners="half-open"
        )


def test_boxes_of_another_class_than_the_label_are_refused(tmp_path):
    names = listed(tmp_path, "names.txt", [f"n{n:08d} name {n}" for n in range(1000)])
    files = {
        number: xml(6, 4, (0, 0, 5, 3)).replace(b"n01751748", b"n%08d" % SORTED[number])
        for number in (1, 2, 3)
    }
    labels = listed(tmp_path, "labels.txt", comma_labels(SORTED))
    paths = {**tree(tmp_path), "labels": [labels], "class_names": names}
    folder = xml_folder(tmp_path, files)
    assert import_ilsvrc(**paths, boxes=folder).annotations[0].class_index == 65
    path = folder / "CLS-LOC" / "val" / f"{name(2)}.xml"
    path.write_bytes(path.read_bytes().replace(b"n00000970", b"n00000007"))
    with pytest.raises(WsolbenchError, match=r"00000002 has boxes of n00000007, but label n000009"):
        import_ilsvrc(**paths, boxes=folder)


def test_archives_and_xml_files_are_bounded(tmp_path, monkeypatch):
    paths = tree(tmp_path)
    folder = xml_folder(tmp_path, dict.fromkeys((1, 2, 3), xml(6, 4, (0, 0, 5, 3))))
    archive = tmp_path / "boxes.tgz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(folder, "val")
    monkeypatch.setattr(xml_boxes, "MAX_TOTAL_BYTES", 300)
    with pytest.raises(WsolbenchError, match=r"more than 300 bytes unpacked"):
        import_ilsvrc(**paths, boxes=archive)
    monkeypatch.undo()
    monkeypatch.setattr(xml_boxes, "MAX_MEMBERS", 2)
    for place in (archive, folder):
        with pytest.raises(WsolbenchError, match=r"more than 2 (files|members)"):
            import_ilsvrc(**paths, boxes=place)
    monkeypatch.undo()
    monkeypatch.setattr(xml_boxes, "MAX_XML_BYTES", 100)
    for place in (archive, folder):
        with pytest.raises(WsolbenchError, match=r"of boxes of at most 100|xml. of [0-9]+ bytes"):
            import_ilsvrc(**paths, boxes=place)


def test_xml_and_listed_sizes_must_agree(tmp_path):
    folder = xml_folder(tmp_path, dict.fromkeys((1, 2, 3), xml(6, 4, (0, 0, 5, 3))))
    sizes = listed(tmp_path, "sizes.txt", [f"val/{name(n)}.JPEG,6,5" for n in (1, 2, 3)])
    with pytest.raises(WsolbenchError, match=r"3 faults: ILSVRC2012_val_00000001 of 6x4"):
        import_ilsvrc(**tree(tmp_path), boxes=folder, sizes=sizes)


def test_class_names_must_be_a_thousand_in_order(tmp_path):
    paths = tree(tmp_path)
    lines = [f"n{number:08d} name {number}, other" for number in range(1000)]
    names = listed(tmp_path, "names.txt", lines)
    content = import_ilsvrc(**paths, class_names=names)
    assert content.classes[999] == ("n00000999", "name 999, other")
    lines[3], lines[4] = lines[4], lines[3]
    with pytest.raises(WsolbenchError, match=r"line 5: n00000003 after n00000004"):
        import_ilsvrc(**paths, class_names=listed(tmp_path, "names.txt", lines))
    with pytest.raises(WsolbenchError, match=r"999 classes"):
        import_ilsvrc(**paths, class_names=listed(tmp_path, "n.txt", sorted(lines)[:-1]))


@pytest.mark.slow
def test_the_real_lists_with_a_mask_for_each_of_the_23151_images(tmp_path, shared_data):
    lists = shared_data / "ilsvrc"
    folder = tmp_path / "masks"
    folder.mkdir()
    wanted = (lists / "ILSVRC_Val_Mask_23151.txt").read_text().split()
    sizes = _sizes(lists / "image_sizes.txt.gz")
    first_box = _first_boxes(lists / "localization.txt.gz")
    swapped = "ILSVRC2012_val_00017615"
    for image_id in wanted:
        width, height = sizes[image_id]
        x0, y0, x1, y1 = first_box[image_id]
        picture = Image.new("1", (width, height))
        picture.paste(1, (x0, y0, x1 + 1, y1 + 1))
        if image_id == swapped:
            picture = picture.transpose(Image.Transpose.TRANSPOSE)
        picture.save(folder / f"{image_id}.png", compress_level=1)

    content = import_ilsvrc(
        masks=folder,
        val_list=lists / "ILSVRC_Val_Mask_23151.txt",
        labels=[lists / "sem_val_list.txt.gz", lists / "class_labels.txt.gz"],
        sizes=lists / "image_sizes.txt.gz",
        boxes=lists / "localization.txt.gz",
    )
    assert len(content.annotations) == 23_151
    assert {item.split for item in content.annotations} == {"val"}
    assert len({item.class_index for item in content.annotations}) == 1000
    counts = [len(item.boxes) for item in content.annotations]
    assert sum(counts) == 49_826
    assert sum(count >= 2 for count in counts) == 10_405
    assert (
        sum(int((item.boxes[:, 2] == item.mask.width).sum()) for item in content.annotations)
        == 3_173
    )
    for item in content.annotations:
        x0, y0, x1, y1 = first_box[item.image_id]
        assert masks.area(item.mask) == (x1 - x0 + 1) * (y1 - y0 + 1)
        assert item.boxes[0].tolist() == [x0, y0, x1 + 1, y1 + 1]
    first, tenth, last = (content.annotations[row] for row in (0, 9, -1))
    assert (first.image_id, first.class_index) == ("ILSVRC2012_val_00000002", 970)
    assert (tenth.image_id, tenth.class_index) == (wanted[9], _sorted_label(lists, wanted[9]))
    assert (last.image_id, last.class_index) == ("ILSVRC2012_val_00050000", 355)
    assert content.sources[0].sha256 == VAL_LIST_SHA256
    assert content.notes[0] == "only val: all 23151 val masks and no test mask"
    assert "the val list is the published one" in content.notes
    assert any("one to one for 1000 of 1000 classes" in note for note in content.notes)
    assert content.notes[-1] == f"1 masks with width and height swapped were transposed: {swapped}"
    write_store(tmp_path / "ilsvrc.h5", content)
    assert len(AnnotationStore.open(tmp_path / "ilsvrc.h5")) == 23_151


def test_the_real_list_of_boxes_holds_what_its_readers_state(shared_data):
    lists = shared_data / "ilsvrc"
    sizes = _sizes(lists / "image_sizes.txt.gz")
    boxes = _boxes(lists / "localization.txt.gz")
    assert len(boxes) == 80_477
    assert sum(x1 == sizes[image_id][0] - 1 for image_id, (_, _, x1, _) in boxes) == 6_086
    assert sum(x1 >= sizes[image_id][0] for image_id, (_, _, x1, _) in boxes) == 0


@pytest.mark.parametrize(
    "line",
    ["D:\\my data\\val\\{}.JPEG {}", "n01751748/{}.JPEG\t{}", "./{}.JPEG, {}.0", "{}.JPEG,{}\r"],
)
def test_labels_are_read_with_any_folders_and_line_ends(tmp_path, line):
    lines = [line.format(name(number), label) for number, label in SORTED.items()]
    content = import_ilsvrc(**tree(tmp_path), labels=[listed(tmp_path, "l.txt", lines)])
    assert [item.class_index for item in content.annotations] == [65, 970, 230]


@pytest.mark.parametrize("order", [DEVKIT, SORTED])
def test_labels_counted_from_one_are_read_and_noted(tmp_path, order):
    moved = {number: label + 1 for number, label in {**order, 20_000: order[2]}.items()}
    shapes = dict.fromkeys((1, 2, 20_000), OBJECT)
    lists = [listed(tmp_path, "moved.txt", blank_labels(moved))]
    lists.append(listed(tmp_path, "sorted.txt", comma_labels(SORTED)))
    content = import_ilsvrc(**tree(tmp_path, shapes), labels=lists)
    assert [item.class_index for item in content.annotations] == [65, 970, 970]
    assert "moved.txt counts classes from 1" in content.notes


@pytest.mark.parametrize(("first", "images"), [(0, (20_000, 20_001)), (1, (20_000, 20_001))])
def test_a_later_list_is_placed_by_known_classes_of_the_other_order(tmp_path, first, images):
    # The devkit's classes 360 and 489 are 970 and 65 of the sorted ones.
    near = listed(tmp_path, "near.txt", blank_labels({**DEVKIT, images[0]: 360, images[1]: 489}))
    far = {images[0]: 970 + first, images[1]: 65 + first, 20_002: 65 + first}
    later = listed(tmp_path, "far.txt", blank_labels(far))
    content = import_ilsvrc(
        **tree(tmp_path, dict.fromkeys((1, 2, 20_002), OBJECT)), labels=[near, later]
    )
    assert [item.class_index for item in content.annotations] == [65, 970, 65]


def test_a_list_counted_from_both_is_refused(tmp_path):
    paths = tree(tmp_path)
    mixed = listed(tmp_path, "mixed.txt", comma_labels({**SORTED, 2: 971}))
    with pytest.raises(WsolbenchError, match=r"counted from 0 and from 1: class .*, class 971 for"):
        import_ilsvrc(**paths, labels=[mixed])
    beyond = comma_labels({number: label + 1 for number, label in {**SORTED, 30: 1000}.items()})
    with pytest.raises(WsolbenchError, match=r"line 5: class 1001 \(expected one class from 1 to"):
        import_ilsvrc(**paths, labels=[listed(tmp_path, "beyond.txt", beyond)])


def test_the_devkits_list_without_names_needs_all_lines_and_a_sorted_list(tmp_path):
    first = [489, 360, 170, 821, 296, 481, 12, 703, 598, 163]
    numbers = [str(label + 1) for label in (first * 5000)]
    truth = listed(tmp_path, "truth.txt", numbers)
    plain = listed(tmp_path, "sorted.txt", comma_labels(SORTED))
    shapes = dict.fromkeys((1, 2, 20_001), OBJECT)
    paths = tree(tmp_path, shapes)
    content = import_ilsvrc(**paths, labels=[truth, plain])
    assert [item.class_index for item in content.annotations] == [65, 970, 65]
    with pytest.raises(WsolbenchError, match=r"only labels in the devkit's order"):
        import_ilsvrc(**paths, labels=[truth])
    short = listed(tmp_path, "short.txt", numbers[:4])
    with pytest.raises(WsolbenchError, match=r"line 1: '490' .* of the 50000 images, not 4 lines"):
        import_ilsvrc(**paths, labels=[short, plain])


def kaggle(tmp_path: Path, labels: Mapping[int, int]) -> Path:
    lines = ["ImageId,PredictionString"]
    lines += [
        f"{name(n)},n{label:08d} 0 1 5 3 n{label:08d} 2 1 4 2 " for n, label in labels.items()
    ]
    return listed(tmp_path, "LOC_val_solution.csv", lines)


def test_kaggles_file_gives_boxes_and_labels(tmp_path):
    rest = [index for index in range(1000) if index not in SORTED.values()]
    every = {**SORTED, **dict(enumerate(rest, start=100))}
    path = kaggle(tmp_path, every)
    paths = tree(tmp_path)
    content = import_ilsvrc(**paths, labels=[path], boxes=path)
    assert [item.class_index for item in content.annotations] == [65, 970, 230]
    assert content.annotations[2].boxes.tolist() == [[0, 1, 6, 4], [2, 1, 5, 3]]
    assert any("taken as inclusive" in note for note in content.notes)
    few = kaggle(tmp_path, SORTED)
    with pytest.raises(
        WsolbenchError, match=r"found 4 different WordNet ids, .*--class-names FILE"
    ):
        import_ilsvrc(**paths, labels=[few])
    names = listed(tmp_path, "names.txt", [f"n{n:08d} name {n}" for n in range(1000)])
    content = import_ilsvrc(**paths, labels=[few], class_names=names)
    assert [item.class_index for item in content.annotations] == [65, 970, 230]
    wrong = listed(tmp_path, "other.txt", comma_labels({**SORTED, 3: 231, 1: 65}))
    with pytest.raises(WsolbenchError, match=r"class 231 for ILSVRC2012_val_00000003|from 1"):
        import_ilsvrc(**paths, labels=[few, wrong], class_names=names)


@pytest.mark.parametrize(
    "line", ["x,n01440764 1 2 3", "x,n01440764 5 5 1 6", "x,tench 1 2 3 4", "x,"]
)
def test_wrong_lines_of_kaggles_file_are_refused(tmp_path, line):
    text = ["ImageId,PredictionString", line.replace("x", name(1))]
    with pytest.raises(WsolbenchError, match=r"line 2: 'ILSVRC2012_val_00000001,"):
        import_ilsvrc(**tree(tmp_path), boxes=listed(tmp_path, "k.csv", text))


def test_whole_and_fractional_corners_of_lists(tmp_path):
    boxes = ["0.0,1.0,5.0,3.0", "1.0000000001,1,3,2", "0.5,1,3.5,2"]
    lines = [f"val/{name(n)}.JPEG,{box}" for n, box in enumerate(boxes, start=1)]
    content = import_ilsvrc(**tree(tmp_path), boxes=listed(tmp_path, "boxes.txt", lines))
    assert [item.boxes.tolist() for item in content.annotations] == [
        [[0, 1, 6, 4]],
        [[1, 1, 4, 3]],
        [[0, 1, 5, 3]],
    ]
    assert (
        "1 of 3 boxes were rounded outwards to whole pixels: ILSVRC2012_val_00000003"
        in content.notes
    )


def _rows(path: Path) -> list[tuple[str, list[int]]]:
    lines = gzip.decompress(path.read_bytes()).decode().split()
    fields = [line.split(",") for line in lines]
    return [(first[4:-5], [int(text) for text in rest]) for first, *rest in fields]


def _sizes(path: Path) -> dict[str, tuple[int, int]]:
    return {image_id: (width, height) for image_id, (width, height) in _rows(path)}


def _boxes(path: Path) -> list[tuple[str, tuple[int, ...]]]:
    return [(image_id, tuple(box)) for image_id, box in _rows(path)]


def _first_boxes(path: Path) -> dict[str, tuple[int, ...]]:
    return dict(reversed(_boxes(path)))


def _sorted_label(lists: Path, image_id: str) -> int:
    return dict(_rows(lists / "class_labels.txt.gz"))[image_id][0]
