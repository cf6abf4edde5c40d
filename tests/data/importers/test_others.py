"""CUB, OpenImages30k and ImageNet-S on small folders laid out as the real ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wsolbench import masks
from wsolbench.data.importers.cub import import_cub
from wsolbench.data.importers.imagenet_s import import_imagenet_s
from wsolbench.data.importers.openimages import import_openimages
from wsolbench.errors import WsolbenchError
from wsolbench.formats.annotations import AnnotationSet, AnnotationStore, write_store

SQUARE = np.zeros((4, 6), dtype=bool)
SQUARE[1:3, 2:4] = True


def picture(path: Path, levels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(levels).save(path)


def store(tmp_path: Path, content: AnnotationSet) -> AnnotationStore:
    write_store(tmp_path / "out.h5", content)
    return AnnotationStore.open(tmp_path / "out.h5")


# CUB ---------------------------------------------------------------------------------------------

ALBATROSS = "001.Black_footed_Albatross/Black_Footed_Albatross_0046_18"
AUKLET = "002.Crested_Auklet/Crested_Auklet_0059_794929"


def cub(tmp_path: Path, **texts: str) -> Path:
    root = tmp_path / "CUB_200_2011"
    root.mkdir()
    lists = {
        "images": f"1 {ALBATROSS}.jpg\n2 {AUKLET}.jpg\n",
        "image_class_labels": "1 1\n2 2\n",
        "bounding_boxes": "1 2.0 1.0 2.0 2.0\n2 1.5 0.5 2.0 1.0\n",
        "train_test_split": "1 0\n2 1\n",
        "classes": "1 001.Black_footed_Albatross\n2 002.Crested_Auklet\n",
        **texts,
    }
    for name, text in lists.items():
        (root / f"{name}.txt").write_text(text)
    votes = SQUARE * np.uint8(204)
    votes[0, 0] = 102
    picture(root / "segmentations" / f"{ALBATROSS}.png", votes)
    picture(root / "segmentations" / f"{AUKLET}.png", SQUARE * np.uint8(255))
    return root


def test_cub_takes_the_majority_the_corners_and_the_splits(tmp_path):
    content = import_cub(cub(tmp_path))
    first, second = content.annotations
    assert first.image_id == "Black_Footed_Albatross_0046_18"
    assert (first.split, first.class_index) == ("test", 0)
    assert (second.split, second.class_index) == ("train", 1)
    assert (masks.decode(first.mask) == SQUARE).all()
    # x + width and y + height are the last column and row.
    assert first.boxes.tolist() == [[2, 1, 5, 4]]
    assert second.boxes.tolist() == [[1, 0, 5, 3]]
    assert f"1 of 2 boxes were rounded outwards to whole pixels: {second.image_id}" in content.notes
    assert content.classes == [("001", "Black footed Albatross"), ("002", "Crested Auklet")]
    assert len(store(tmp_path, content)) == 2


def test_cub_masks_with_equal_channels_and_alpha_are_grey(tmp_path):
    root = cub(tmp_path)
    grey = SQUARE * np.uint8(255)
    opaque = np.full_like(grey, 255)
    for channels in ((grey, opaque), (grey, grey, grey), (grey, grey, grey, opaque)):
        picture(root / "segmentations" / f"{AUKLET}.png", np.dstack(channels))
        assert masks.area(import_cub(root).annotations[1].mask) == 4
    picture(root / "segmentations" / f"{AUKLET}.png", np.dstack((grey, opaque, grey)))
    with pytest.raises(WsolbenchError, match=r"794929.png: found colours in a picture of mode RGB"):
        import_cub(root)


def test_cub_masks_may_lie_beside_the_lists(tmp_path):
    root = cub(tmp_path)
    (root / "segmentations").rename(tmp_path / "segmentations")
    assert len(import_cub(root).annotations) == 2


def test_cub_boxes_end_on_the_last_pixel_and_say_so(tmp_path):
    root = cub(tmp_path, bounding_boxes="1 0.0 0.0 5.0 3.0\n2 2.0 1.0 2.9999999999 2.0\n")
    content = import_cub(root)
    boxes = [item.boxes.tolist() for item in content.annotations]
    assert boxes == [[[0, 0, 6, 4]], [[2, 1, 6, 4]]]
    (note,) = [note for note in content.notes if note.startswith("boxes: ")]
    assert "none of 2 far corners equals the width or height, 2 are on the last pixel" in note
    assert "of the 11,788 published boxes none has x + width = W" in note
    assert content.notes[-1].startswith("boxes of 0 of 2 images differ from their mask's tight box")


def test_cub_boxes_that_reach_the_edge_are_not_the_published_ones(tmp_path):
    root = cub(tmp_path, bounding_boxes="1 0 0 6 4\n2 0 0 4 3\n")
    with pytest.raises(
        WsolbenchError, match=r"1 of 2 far corners .*look half-open.*--corners half-"
    ):
        import_cub(root)
    content = import_cub(root, corners="half-open")
    boxes = [item.boxes.tolist() for item in content.annotations]
    assert boxes == [[[0, 0, 6, 4]], [[0, 0, 4, 3]]]
    beyond = tmp_path / "CUB_200_2011" / "bounding_boxes.txt"
    beyond.write_text("1 2 1 9 9\n2 0 0 6 4\n")
    for corners in (None, "half-open", "inclusive", "from-1"):
        with pytest.raises(WsolbenchError, match=r"1 of 2 boxes outside .* --tight-boxes"):
            import_cub(root, corners=corners)
    with pytest.raises(WsolbenchError, match=r"inclusive corners, but tight boxes .*--tight-boxes"):
        import_cub(root, tight_boxes=True, corners="inclusive")
    with pytest.raises(WsolbenchError, match=r"'nonsense'"):
        import_cub(root, tight_boxes=True, corners="nonsense")
    content = import_cub(root, tight_boxes=True)
    assert [item.boxes.tolist() for item in content.annotations] == [[[2, 1, 4, 3]]] * 2


def test_cub_boxes_given_as_corners_are_named(tmp_path):
    root = cub(tmp_path, bounding_boxes="1 20 10 25 13\n2 20 10 25 13\n")
    wide = np.zeros((30, 60), dtype=np.uint8)
    wide[10:14, 20:26] = 255
    for image in (ALBATROSS, AUKLET):
        picture(root / "segmentations" / f"{image}.png", wide)
    with pytest.raises(
        WsolbenchError, match=r"if width and height are far corners, but 0 as given"
    ):
        import_cub(root)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ({"image_class_labels": "1 1\n2 3\n"}, r"image 2: class 3 \(expected one of 2 classes"),
        ({"image_class_labels": "1 1\n2 0\n"}, r"image_class_labels.txt: line 2: '2 0'"),
        ({"image_class_labels": "1 1\n"}, r"no line for image 2"),
        ({"train_test_split": "1 0\n2 1\n3 1\n"}, r"image 3 is not in images.txt"),
        ({"train_test_split": "1 0\n2 2\n"}, r"line 2: '2 2'"),
        ({"bounding_boxes": "1 2 1 2\n2 0 0 1 1\n"}, r"line 1: '1 2 1 2'"),
        ({"bounding_boxes": "1 nan 1 2 2\n2 0 0 1 1\n"}, r"line 1: '1 nan 1 2 2'"),
        (
            {"bounding_boxes": "1 7 1 2 2\n2 0 0 1 1\n"},
            r"bounding_boxes.txt: .* 1 of 2 boxes outside their image: .*_18: 7,1,9,3 in 6x4",
        ),
        ({"images": f"1 {ALBATROSS}.jpg\n1 {AUKLET}.jpg\n"}, r"line 2: duplicate number 1"),
        ({"images": "1 ../up.jpg\n2 x/y.jpg\n"}, r"line 1: '1 ../up.jpg'"),
        ({"images": f"1 {ALBATROSS}.jpg\n2 x/y.jpg\n"}, r"no x/y.png \(expected a mask for each"),
        ({"images": "1 a/x.jpg\n2 b/x.jpg\n"}, r"a/x.jpg and b/x.jpg"),
        ({"classes": "1 001.A\n3 003.B\n"}, r"numbers with gaps"),
        ({"classes": ""}, r"classes.txt: found an empty file"),
    ],
)
def test_wrong_cub_lists_are_refused(tmp_path, texts, message):
    with pytest.raises(WsolbenchError, match=message):
        import_cub(cub(tmp_path, **texts))


def test_cub_files_that_are_missing_or_undecided_are_named(tmp_path):
    root = cub(tmp_path)
    picture(root / "segmentations" / f"{AUKLET}.png", SQUARE * np.uint8(102))
    with pytest.raises(
        WsolbenchError, match=r"grey levels up to 102, expected at least one pixel above 128"
    ):
        import_cub(root)
    picture(root / "segmentations" / f"{AUKLET}.png", SQUARE * np.uint8(0))
    with pytest.raises(WsolbenchError, match=r"no object pixel"):
        import_cub(root)
    (root / "images.txt").write_bytes(b"1 \xff\n")
    with pytest.raises(WsolbenchError, match=r"not UTF-8 in line 1"):
        import_cub(root)
    (root / "images.txt").unlink()
    with pytest.raises(WsolbenchError, match=r"images.txt: found no such file"):
        import_cub(root)
    with pytest.raises(WsolbenchError, match=r"nowhere: found no such folder"):
        import_cub(tmp_path / "nowhere")


# OpenImages30k -----------------------------------------------------------------------------------

DOG = "val/01226z/32fdab44f6e415f1"
CAT = "test/0138tl/d6fc94e452045cd7"


def openimages(tmp_path: Path, **texts: str) -> Path:
    root = tmp_path / "OpenImages"
    lists = {
        "val/image_ids": f"{DOG}.jpg\n",
        "val/class_labels": f"{DOG}.jpg,0\n",
        "val/localization": f"{DOG}.jpg,{DOG}_m1.png,{DOG}_ignore.png\n{DOG}.jpg,{DOG}_m2.png,\n",
        "test/image_ids": f"{CAT}.jpg\n",
        "test/class_labels": f"{CAT}.jpg,1\n",
        "test/localization": f"{CAT}.jpg,{CAT}_m1.png,{CAT}_ignore.png\n",
        **texts,
    }
    for name, text in lists.items():
        path = root / "metadata" / "OpenImages" / f"{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    corner = np.zeros((4, 6), dtype=bool)
    corner[0, 0] = True
    left = np.zeros((4, 6), dtype=bool)
    left[:, :3] = True
    picture(root / f"{DOG}_m1.png", SQUARE)
    picture(root / f"{DOG}_m2.png", corner)
    picture(root / f"{DOG}_ignore.png", left)
    picture(root / f"{CAT}_m1.png", SQUARE * np.uint8(255))
    picture(root / f"{CAT}_ignore.png", np.zeros((4, 6), dtype=bool))
    return root


def test_openimages_unites_masks_and_ignores_the_region_without_them(tmp_path):
    content = import_openimages(openimages(tmp_path))
    cat, dog = sorted(content.annotations, key=lambda item: item.split)
    union = SQUARE.copy()
    union[0, 0] = True
    left = np.zeros((4, 6), dtype=bool)
    left[:, :3] = True
    assert (dog.image_id, dog.split, dog.class_index) == ("32fdab44f6e415f1", "val", 0)
    assert (masks.decode(dog.mask) == union).all()
    assert dog.ignore is not None
    assert (masks.decode(dog.ignore) == (left & ~union)).all()
    assert dog.boxes.tolist() == [[2, 1, 4, 3], [0, 0, 1, 1]]
    assert (cat.image_id, cat.split, cat.class_index) == ("d6fc94e452045cd7", "test", 1)
    assert cat.ignore is None
    assert content.classes == [("01226z", "01226z"), ("0138tl", "0138tl")]
    assert len(content.sources) == 6
    assert store(tmp_path, content).has_ignore


def test_openimages_masks_of_another_size_come_to_the_photos_size(tmp_path):
    root = openimages(tmp_path)
    picture(root / f"{CAT}.jpg", np.zeros((8, 12, 3), dtype=np.uint8))
    content = import_openimages(root)
    cat = next(item for item in content.annotations if item.split == "test")
    assert (masks.decode(cat.mask) == SQUARE.repeat(2, 0).repeat(2, 1)).all()
    assert "2 masks were resized to their photo by nearest neighbour" in content.notes
    picture(root / f"{CAT}.jpg", np.zeros((6, 4, 3), dtype=np.uint8))
    with pytest.raises(WsolbenchError, match=r"width 6, height 4, expected width 4, height 6 or"):
        import_openimages(root)
    (root / f"{CAT}.jpg").write_bytes(b"no photo")
    with pytest.raises(WsolbenchError, match=r"d6fc94e452045cd7.jpg: not a JPEG or PNG picture"):
        import_openimages(root)


def test_openimages_lists_may_lack_the_column_of_ignored_pixels(tmp_path):
    lines = f"{DOG}.jpg,{DOG}_m1.png\n{DOG}.jpg,{DOG}_m2.png\n"
    content = import_openimages(openimages(tmp_path, **{"val/localization": lines}))
    dog = next(item for item in content.annotations if item.split == "val")
    assert dog.ignore is None
    assert masks.area(dog.mask) == 5


def test_openimages_masks_are_read_by_the_reader_of_all_masks(tmp_path):
    root = openimages(tmp_path)
    path = root / f"{CAT}_m1.png"
    palette = Image.fromarray(SQUARE.astype(np.uint8), mode="P")
    palette.putpalette([0, 0, 0, 128, 0, 0])
    deep = Image.fromarray(SQUARE * np.uint16(65535))
    for mask in (palette, deep, Image.fromarray(np.dstack([SQUARE * np.uint8(255)] * 3))):
        mask.save(path)
        cat = next(item for item in import_openimages(root).annotations if item.split == "test")
        assert (masks.decode(cat.mask) == SQUARE).all()
    levels = SQUARE * np.uint8(15)
    levels[0] = 255
    picture(path, levels)
    with pytest.raises(WsolbenchError, match=r"grey levels 15, 255, .*--void LEVEL"):
        import_openimages(root)
    cat = next(
        item for item in import_openimages(root, void=255).annotations if item.split == "test"
    )
    assert (masks.decode(cat.mask) == SQUARE).all()
    assert masks.area(cat.ignore) == 6


def test_openimages_counts_photos_with_an_orientation(tmp_path):
    root = openimages(tmp_path)
    with pytest.raises(WsolbenchError, match=r"'apply', but no photos .*add the photos, or leave"):
        import_openimages(root, exif="apply")
    turned = Image.fromarray(np.zeros((6, 4, 3), dtype=np.uint8))
    exif = turned.getexif()
    exif[0x0112] = 6
    turned.save(root / f"{CAT}.jpg", exif=exif)
    with pytest.raises(WsolbenchError, match=r"EXIF orientation 6 has; try .* --exif apply"):
        import_openimages(root)
    content = import_openimages(root, exif="apply")
    assert content.notes[-1] == (
        "1 photos have an EXIF orientation other than 1, which was applied (--exif ignore for the "
        "opposite): d6fc94e452045cd7"
    )
    with pytest.raises(WsolbenchError, match=r"exif: found 'turn', expected ignore or apply"):
        import_openimages(root, exif="turn")


def test_openimages_with_one_split_says_which_is_absent(tmp_path):
    root = openimages(tmp_path)
    lists = root / "metadata" / "OpenImages"
    (lists / "test" / "localization.txt").unlink()
    content = import_openimages(root, metadata=lists)
    assert [item.split for item in content.annotations] == ["val"]
    assert "no lists for test" in content.notes
    (lists / "val" / "localization.txt").unlink()
    with pytest.raises(WsolbenchError, match=r"found no val/localization.txt"):
        import_openimages(root)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ({"val/class_labels": f"{DOG}.jpg,x\n"}, r"class_labels.txt: line 1"),
        ({"val/class_labels": f"{DOG}.jpg,0\n{DOG}.jpg,0\n"}, r"line 2"),
        ({"val/class_labels": "val/a/b.jpg,0\n"}, r"is not in class_labels.txt"),
        ({"val/image_ids": f"{DOG}.jpg\n{DOG}.jpg\n"}, r"the same id as val/01226z/"),
        ({"test/image_ids": f"{DOG}.jpg\n"}, r"the same id as val/01226z/"),
        ({"val/image_ids": "../up.jpg\n"}, r"'../up.jpg'"),
        ({"val/localization": f"{DOG}.jpg\n"}, r"localization.txt: 2 faults"),
        ({"val/localization": f"{DOG}.jpg,{DOG}_m1.png,,\n"}, r"localization.txt: 2 faults"),
        ({"val/localization": f"{DOG}.jpg,../../x.png,\n"}, r"line 1"),
        ({"val/localization": f"{DOG}.jpg,/etc/passwd,\n"}, r"line 1"),
        ({"val/localization": "val/a/b.jpg,a.png,\n"}, r"no line for val/01226z"),
        (
            {"val/localization": f"{DOG}.jpg,{DOG}_m1.png,{DOG}_ignore.png\n" * 2},
            r"line 2: no mask, or a second list",
        ),
        ({"val/localization": f"{DOG}.jpg,{DOG}_m3.png,\n"}, r"no val/01226z/.*_m3.png"),
        (
            {"val/localization": f"{DOG}.jpg,{CAT}_ignore.png,\n"},
            r"_ignore.png: no object pixel",
        ),
        ({"test/class_labels": f"{CAT}.jpg,0\n"}, r"class 0 in folders 01226z, 0138tl"),
    ],
)
def test_wrong_openimages_lists_are_refused(tmp_path, texts, message):
    with pytest.raises(WsolbenchError, match=message):
        import_openimages(openimages(tmp_path, **texts))


# ImageNet-S --------------------------------------------------------------------------------------

WNIDS = [f"n{number:08d}" for number in range(1, 51)]
PHOTO = "ILSVRC2012_val_00000123"


def colours(values: np.ndarray) -> np.ndarray:
    return np.dstack((values % 256, values // 256, np.zeros_like(values))).astype(np.uint8)


def imagenet_s(tmp_path: Path, own: int = 2, classes: int = 50) -> Path:
    """Each class has one photo; that of class `own` holds other things as well."""
    root = tmp_path / f"ImageNetS{classes}"
    for number, wnid in enumerate(WNIDS[:classes], start=1):
        values = SQUARE * number
        if number == own:
            values = values.copy()
            values[0] = [0, 1, 1, 7, 1000, 1000]
        path = root / "validation-segmentation" / wnid / f"{PHOTO[:-3]}{number:03d}.png"
        picture(path, colours(values))
    return root


def test_imagenet_s_keeps_the_images_own_class(tmp_path):
    content = import_imagenet_s(imagenet_s(tmp_path))
    assert len(content.annotations) == 50
    assert content.dataset == "imagenet-s50"
    second = content.annotations[1]
    assert (second.image_id, second.split, second.class_index) == (f"{PHOTO[:-3]}002", "val", 1)
    assert (masks.decode(second.mask) == SQUARE).all()
    assert second.boxes.tolist() == [[2, 1, 4, 3]]
    assert second.ignore is not None
    assert masks.area(second.ignore) == 2
    assert content.annotations[0].ignore is None
    assert content.classes[49] == (WNIDS[49], WNIDS[49])
    assert len(store(tmp_path, content)) == 50


def test_imagenet_s_of_some_classes_needs_their_list(tmp_path):
    root = imagenet_s(tmp_path, classes=3)
    with pytest.raises(WsolbenchError, match=r"found 3 folders, expected one per class: 50"):
        import_imagenet_s(root)
    listed = tmp_path / "categories.txt"
    listed.write_text("\n".join(reversed(WNIDS)))
    content = import_imagenet_s(root, categories=listed)
    assert [item.class_index for item in content.annotations] == [0, 1, 2]
    assert content.sources[0].file == "categories.txt"
    listed.write_text("\n".join([*WNIDS, WNIDS[0]]))
    with pytest.raises(WsolbenchError, match=r"duplicate n00000001"):
        import_imagenet_s(root, categories=listed)
    listed.write_text("\n".join(WNIDS[:2]))
    with pytest.raises(WsolbenchError, match=r"n00000003 \(expected folders of listed"):
        import_imagenet_s(root, categories=listed)


def test_imagenet_s_can_take_the_classes_of_ilsvrc(tmp_path):
    names = tmp_path / "names.txt"
    names.write_text("\n".join(f"n{number:08d} thing {number}" for number in range(1000)))
    content = import_imagenet_s(imagenet_s(tmp_path), class_names=names)
    assert [item.class_index for item in content.annotations[:3]] == [1, 2, 3]
    assert content.classes[1] == ("n00000001", "thing 1")


def test_the_class_of_a_pixel_is_red_and_256_times_green(tmp_path):
    root = tmp_path / "S"
    wnids = [f"n{number:08d}" for number in range(1, 301)]
    picture(root / "validation-segmentation" / wnids[299] / f"{PHOTO}.png", colours(SQUARE * 300))
    listed = tmp_path / "categories.txt"
    listed.write_text("\n".join(wnids))
    (found,) = import_imagenet_s(root, categories=listed).annotations
    assert found.class_index == 299
    assert masks.area(found.mask) == 4


@pytest.mark.parametrize(
    ("levels", "message"),
    [
        (colours(SQUARE * 51), r"found class 51, expected R \+ 256 \* G up to 50, or 1000"),
        (colours(SQUARE * 5), r"no pixel of n00000001, only of n00000005"),
        (colours(SQUARE * 0), r"no pixel of n00000001, only of no class"),
        (SQUARE * np.uint8(1), r"a picture of mode L, expected RGB"),
        (
            np.dstack([SQUARE * np.uint8(1)] * 3)[:, :, [0, 0, 0]] * [1, 0, 1],
            r"a blue channel that is not zero",
        ),
    ],
)
def test_wrong_imagenet_s_masks_are_refused(tmp_path, levels, message):
    root = imagenet_s(tmp_path)
    path = root / "validation-segmentation" / WNIDS[0] / f"{PHOTO[:-3]}001.png"
    picture(path, levels.astype(np.uint8))
    with pytest.raises(WsolbenchError, match=message):
        import_imagenet_s(root)


def test_wrong_imagenet_s_folders_are_refused(tmp_path):
    root = imagenet_s(tmp_path)
    with pytest.raises(WsolbenchError, match=r"validation-segmentation: found no such folder"):
        import_imagenet_s(tmp_path)
    twin = root / "validation-segmentation" / WNIDS[1] / f"{PHOTO[:-3]}001.png"
    picture(twin, colours(SQUARE * 2))
    with pytest.raises(WsolbenchError, match=r"n00000001/.*001.png and n00000002/.*001.png"):
        import_imagenet_s(root)
    (root / "validation-segmentation" / "dogs").mkdir()
    with pytest.raises(WsolbenchError, match=r"'dogs' \(expected folders named by WordNet"):
        import_imagenet_s(root)
