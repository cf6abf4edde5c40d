"""PASCAL VOC, in the layout of its development kit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wsolbench import masks
from wsolbench.data.importers.voc import VOC_CLASSES, import_voc
from wsolbench.errors import WsolbenchError

CAR, PERSON = 7, 15  # the colour of the car is grey


def palette() -> list[int]:
    """Colours by the bits of the index, as the development kit has them for the first sixteen."""
    colours = np.random.default_rng(0).integers(0, 256, (256, 3))
    colours[0], colours[CAR] = 0, 128
    return colours.ravel().tolist()


def labels(*objects: tuple[int, tuple[int, int, int, int]], void: bool = True) -> np.ndarray:
    """Labels with rectangles x0, y0, x1, y1, each with a void band of one pixel around it."""
    found = np.zeros((40, 60), dtype=np.uint8)
    for label, (x0, y0, x1, y1) in objects:
        if void:
            found[y0 - 1 : y1 + 1, x0 - 1 : x1 + 1] = 255
        found[y0:y1, x0:x1] = label
    return found


def save(path: Path, values: np.ndarray, mode: str = "P") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(values, mode="L")
    if mode == "P":
        picture = picture.copy()
        picture.putpalette(palette())
    picture.save(path)


def xml(path: Path, *objects: tuple[str, str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = "<part><name>head</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax>"
    listed = "".join(
        f"<object><name>{name}</name><difficult>0</difficult><bndbox>"
        + "".join(
            f"<{tag}>{value}</{tag}>"
            for tag, value in zip(("xmax", "xmin", "ymax", "ymin"), box.split(), strict=True)
        )
        + f"</bndbox>{part}</bndbox></part></object>"
        for name, box in objects
    )
    path.write_text(f"<annotation><size><width>60</width></size>{listed}</annotation>")


A, B, C = (10, 5, 20, 15), (30, 20, 45, 30), (48, 2, 58, 12)


@pytest.fixture
def year(tmp_path: Path) -> Path:
    """Three images: two cars; a car and a person; a person. Boxes as xmax, xmin, ymax, ymin."""
    place = tmp_path / "VOCdevkit" / "VOC2012"
    lists = place / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("2007_000001\n2007_000002\n")
    (lists / "val.txt").write_text("2007_000003\n")
    (lists / "trainval.txt").write_text("2007_000001\n2007_000002\n2007_000003\n")
    content = {
        "2007_000001": [(CAR, A), (CAR, B)],
        "2007_000002": [(CAR, A), (PERSON, B)],
        "2007_000003": [(PERSON, C)],
    }
    for image_id, objects in content.items():
        save(place / "SegmentationClass" / f"{image_id}.png", labels(*objects))
        numbered = [(number + 1, box) for number, (_, box) in enumerate(objects)]
        save(place / "SegmentationObject" / f"{image_id}.png", labels(*numbered))
    boxes = place / "Annotations"
    xml(boxes / "2007_000001.xml", ("car", "20 11 15 6"), ("car", "45.2 31 30 21"))
    xml(boxes / "2007_000002.xml", ("car", "20 11 15 6"), ("person", "45 31 30 21"))
    xml(boxes / "2007_000003.xml", ("person", "58 49 12 3"), ("person", "9 1 39 30"))
    return place


@pytest.mark.parametrize("above", [0, 1, 2])
def test_images_of_one_class_are_imported(year, above):
    content = import_voc([year, *year.parents][above])
    a, b = content.annotations
    assert (a.image_id, a.split, VOC_CLASSES[a.class_index]) == ("2007_000001", "train", "car")
    assert (b.image_id, b.split, VOC_CLASSES[b.class_index]) == ("2007_000003", "val", "person")
    expected = labels((CAR, A), (CAR, B))
    assert (masks.decode(a.mask) == (expected == CAR)).all()
    assert (masks.decode(a.ignore) == (expected == 255)).all()
    assert a.boxes.tolist() == [[10, 5, 20, 15], [30, 20, 46, 30]]
    assert b.boxes.tolist() == [[48, 2, 58, 12]]
    assert content.dataset == "voc2012"
    assert content.notes == [
        "pixels of label 255 are ignored",
        "1 images with objects of several classes were left out (2007_000002); --category NAME "
        "imports the objects of one class",
        "boxes are those of the XML files, counted from 1 up to the last pixel",
        "1 boxes of objects without a pixel of their class were left out",
        "1 boxes were rounded outwards to whole pixels",
    ]


def test_the_objects_of_one_class_are_imported(year):
    content = import_voc(year, categories=["car"])
    b = content.annotations[1]
    assert b.image_id == "2007_000002"
    assert (masks.decode(b.mask) == (labels((CAR, A), (PERSON, B)) == CAR)).all()
    assert b.boxes.tolist() == [[10, 5, 20, 15]]
    assert "objects of other classes than car are background" in content.notes
    assert "1 images without an object of the classes were left out" in content.notes
    assert len(content.classes) == 20
    with pytest.raises(WsolbenchError, match=r"category: found bus driver, expected one of aeropl"):
        import_voc(year, categories=["bus driver"])
    with pytest.raises(WsolbenchError, match=r"no image with objects of one class, of cat, dog"):
        import_voc(year, categories=["cat", "dog"])


@pytest.mark.parametrize("without", ["Annotations", "nothing"])
def test_boxes_may_be_those_of_the_objects(year, without):
    if without == "Annotations":
        (year / "Annotations").rename(year / "elsewhere")
    content = import_voc(year, tight_boxes=without == "nothing")
    assert content.annotations[0].boxes.tolist() == [[10, 5, 20, 15], [30, 20, 45, 30]]
    assert "boxes are the tight boxes of the objects' pixels" in content.notes
    path = year / "SegmentationObject" / "2007_000001.png"
    path.rename(year / "object.png")
    with pytest.raises(WsolbenchError, match=r"000001.png: found no such file, .*unpack the arch"):
        import_voc(year, tight_boxes=True)
    (year / "SegmentationObject").rename(year / "none")
    content = import_voc(year, tight_boxes=True)
    assert content.annotations[0].boxes.tolist() == [[10, 5, 45, 30]]
    assert (
        "boxes are the tight boxes of the masks, one an image: no folder SegmentationObject"
        in content.notes
    )


def test_grey_labels_are_read_like_those_of_a_palette(year):
    path = year / "SegmentationClass" / "2007_000003.png"
    save(path, labels((CAR, C), void=False), mode="L")
    b = import_voc(year, tight_boxes=True).annotations[1]
    save(path, labels((CAR, C), void=False))
    assert import_voc(year, tight_boxes=True).annotations[1].mask == b.mask
    assert (b.class_index, b.ignore, masks.area(b.mask)) == (6, None, 100)


@pytest.mark.parametrize(
    ("boxes", "message"),
    [
        ([("person", "58 0 12 3")], r"000003.xml: found the box 0, 3, 58, 12, expected .* from 1"),
        (
            [("person", "61 49 12 3")],
            r"the box 49, 3, 61, 12, expected corners from 1 to 60 and",
        ),
        ([("person", "x 49 12 3")], r"000003.xml: found a box of person without .*--tight-boxes"),
        ([("person", "9 1 39 30")], None),
        ([("car", "58 49 12 3")], None),
    ],
)
def test_boxes_that_do_not_fit_are_refused_or_noted(year, boxes, message):
    xml(year / "Annotations" / "2007_000003.xml", *boxes)
    if message:
        with pytest.raises(WsolbenchError, match=message):
            import_voc(year)
        return
    content = import_voc(year)
    assert content.annotations[1].boxes.tolist() == [[48, 2, 58, 12]]
    assert "1 images without such a box have the tight box of their mask" in content.notes
    xml(year / "Annotations" / "2007_000001.xml", ("car", "60 55 40 35"))
    xml(year / "Annotations" / "2007_000003.xml", ("person", "9 1 39 30"))
    with pytest.raises(WsolbenchError, match=r"no box with a pixel of the object in 2 of 2 images"):
        import_voc(year)


def test_missing_or_other_parts_are_named(year, tmp_path):
    save(year / "SegmentationClass" / "2007_000003.png", labels((21, C)))
    with pytest.raises(WsolbenchError, match=r"found labels 21, expected 0 to 20 and 255"):
        import_voc(year)
    (year / "Annotations" / "2007_000001.xml").unlink()
    (year / "SegmentationClass" / "2007_000003.png").unlink()
    with pytest.raises(WsolbenchError, match=r"2 unusable files: 2007_000001.xml \(no such file\)"):
        import_voc(year)
    (year / "ImageSets" / "Segmentation" / "val.txt").write_text("2007_000001\n../x\n")
    with pytest.raises(WsolbenchError, match=r"2007_000001 is in train.txt, .*'../x' is not an im"):
        import_voc(year)
    (year.parent / "VOC2007" / "SegmentationClass").mkdir(parents=True)
    with pytest.raises(WsolbenchError, match=r"several years: VOC2007, VOC2012"):
        import_voc(tmp_path)
    with pytest.raises(WsolbenchError, match=r"no folder SegmentationClass in it"):
        import_voc(year / "Annotations")
