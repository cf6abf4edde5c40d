"""COCO instances: the three kinds of segmentation, and what is refused before it is decoded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from wsolbench import masks
from wsolbench.data.importers.coco import import_coco
from wsolbench.errors import WsolbenchError

SQUARE = np.zeros((4, 6), dtype=bool)
SQUARE[1:3, 2:4] = True
POLYGON = [[2, 1, 4, 1, 4, 3, 2, 3]]
COUNTS = {"size": [4, 6], "counts": [9, 2, 2, 2, 9]}
PACKED = {"size": [4, 6], "counts": masks.encode(SQUARE).counts.decode()}


def one(**fields: Any) -> dict[str, Any]:
    """A file of one image with one square; `fields` replace those of the annotation."""
    annotation = {
        "id": 1,
        "image_id": 7,
        "category_id": 3,
        "bbox": [2, 1, 2, 2],
        "iscrowd": 0,
        "segmentation": PACKED,
        **fields,
    }
    return {
        "images": [{"id": 7, "file_name": "val2017/000007.jpg", "height": 4, "width": 6}],
        "categories": [{"id": 18, "name": "dog"}, {"id": 3, "name": "car"}],
        "annotations": [annotation],
    }


def save(tmp_path: Path, content: object) -> Path:
    path = tmp_path / "instances.json"
    path.write_text(json.dumps(content))
    return path


@pytest.mark.parametrize("segmentation", [POLYGON, COUNTS, PACKED])
def test_the_three_kinds_of_segmentation_give_the_same_mask(tmp_path, segmentation):
    content = import_coco(save(tmp_path, one(segmentation=segmentation)))
    (found,) = content.annotations
    assert (masks.decode(found.mask) == SQUARE).all()
    assert (found.image_id, found.split, found.class_index) == ("000007", "val", 0)
    assert found.boxes.tolist() == [[2, 1, 4, 3]]
    assert found.ignore is None
    assert content.dataset == "instances"
    assert content.classes == [("3", "car"), ("18", "dog")]


def test_objects_of_an_image_are_united_and_crowds_ignored(tmp_path):
    content = one()
    extra = [
        {
            **content["annotations"][0],
            "id": 2,
            "bbox": [0, 0, 1, 4],
            "segmentation": [[0, 0, 1, 0, 1, 4, 0, 4]],
        },
        {
            **content["annotations"][0],
            "id": 3,
            "iscrowd": 1,
            "segmentation": {"size": [4, 6], "counts": [0, 16, 8]},
        },
    ]
    content["annotations"] += extra
    (found,) = import_coco(save(tmp_path, content), split="test", dataset="mine").annotations
    expected = SQUARE.copy()
    expected[:, 0] = True
    crowd = np.zeros((4, 6), dtype=bool)
    crowd[:, :4] = True
    assert (masks.decode(found.mask) == expected).all()
    assert found.ignore is not None
    assert (masks.decode(found.ignore) == (crowd & ~expected)).all()
    assert len(found.boxes) == 2
    assert found.split == "test"


@pytest.mark.parametrize(
    ("bbox", "box"),
    [
        ([1.5, 0.2, 2, 1], [1, 0, 4, 2]),
        ([-0.5, 0, 9, 9], [0, 0, 6, 4]),
        (None, [2, 1, 4, 3]),
    ],
)
def test_boxes_are_rounded_outwards_and_cut_at_the_edges(tmp_path, bbox, box):
    (found,) = import_coco(save(tmp_path, one(bbox=bbox))).annotations
    assert found.boxes.tolist() == [box]


def test_random_polygons_agree_with_pycocotools(tmp_path):
    from pycocotools import mask as coco

    rng = np.random.default_rng(3)
    compared = 0
    for _ in range(20):
        polygons = [rng.uniform(-2, 6, 8).round(2).tolist() for _ in range(2)]
        expected = masks.decode(
            masks.RunLengths(4, 6, coco.merge(coco.frPyObjects(polygons, 4, 6))["counts"])
        )
        path = save(tmp_path, one(segmentation=polygons, bbox=[0, 0, 6, 4]))
        if not expected.any():
            continue
        (found,) = import_coco(path, keep_boxes=True).annotations
        assert (masks.decode(found.mask) == expected).all()
        compared += 1
    assert compared > 10


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"segmentation": "x"}, r"annotation 1 \(image 000007\): its segmentation is neither"),
        ({"segmentation": [[1, 2, 3]]}, r"annotation 1 \(image 000007\): a polygon is not a list"),
        ({"segmentation": [[0, 0, 1e9, 0, 1, 1]]}, r"a polygon is not a list of x, y"),
        ({"segmentation": [[0, 0, "1", 0, 1, 1]]}, r"a polygon is not a list of x, y"),
        ({"segmentation": [2, 1, 4, 1, 4, 3]}, r"its segmentation is not a list of polygons"),
        ({"segmentation": [[2, 1], [4, 1], [4, 3]]}, r"its points are pairs, not one list"),
        ({"segmentation": [[-16384, 0, 16384, 1] * 40]}, r"an outline of \d+ pixels, over 1048576"),
        (
            {"segmentation": {"size": [6, 4], "counts": [24]}},
            r"size \[6, 4\], but the image has \[4, 6\], height and width swapped",
        ),
        ({"segmentation": {"size": [4, 6], "counts": [9, 2]}}, r"not counts summing to the number"),
        (
            {"segmentation": {"size": [4, 6], "counts": [30, -6]}},
            r"not counts summing to the number",
        ),
        ({"segmentation": {"size": [4, 6], "counts": "H"}}, r"malformed run lengths"),
        ({"segmentation": {"size": [4, 6], "counts": "\u00e9"}}, r"malformed run lengths"),
        ({"segmentation": [[1, 2, 3, 4]]}, r"1 annotations without an object pixel: annotation 1"),
        ({"segmentation": [[1, 2]]}, r"without an object pixel: annotation 1; .*--skip-empty"),
        ({"segmentation": {"size": [4, 6], "counts": [24]}}, r"without an object pixel"),
        ({"bbox": [1, 1, 0, 2]}, r"annotation 1: the box 1, 1, 1, 3 .* is empty; .*--tight-boxes"),
        ({"bbox": [9, 1, 2, 2]}, r"annotation 1: the box 9, 1, 11, 3 .* is outside 6x4"),
        ({"bbox": [1, 1, 2]}, r"annotation 1 \(image 000007\): invalid bbox \[1, 1, 2\]"),
        ({"bbox": [1, 1, 2, 1e300]}, r"invalid bbox"),
        ({"image_id": 8}, r"annotation 1: no image has the id 8"),
        ({"image_id": "7"}, r"no image has the id '7', but 7, which is another type"),
        ({"category_id": "3"}, r"annotation 1: no category has the id '3', but 3, which is"),
        ({"iscrowd": 2}, r"annotation 1: iscrowd is 2"),
        ({"id": None}, r"annotations\[0\] has no id that is an integer or a text"),
        ({"id": True}, r"annotations\[0\] has no id that is an integer or a text"),
    ],
)
def test_malformed_annotations_are_refused(tmp_path, fields, message):
    with pytest.raises(WsolbenchError, match=message):
        import_coco(save(tmp_path, one(**fields)))


def changed(**lists: Any) -> dict[str, Any]:
    return {**one(), **lists}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], r"found JSON of another format"),
        ({"images": []}, r"expected an object with the lists images, annotations and categories"),
        (changed(annotations=[]), r"1 images without an annotation: 000007; .*--skip-empty"),
        (changed(images=["a"]), r"json: images\[0\] has no id that is an integer or a text \("),
        (changed(images=one()["images"] * 2), r"images: duplicate id 7"),
        (changed(images=[{"id": 7, "file_name": "é.jpg"}]), r"gives no valid image id"),
        (
            changed(images=[{"id": 7, "file_name": "a", "height": 0, "width": 1}]),
            r"json: image a: width 1, height 0, not two integers from 1 to 16384 \(",
        ),
        (
            changed(images=[{"id": 7, "file_name": "a", "height": 4, "width": 1 << 40}]),
            r"image a: width 1\d+, height 4, not two integers",
        ),
        (
            changed(categories=[{"id": 3, "name": "car"}] * 2),
            r"json: categories: duplicate id 3 \(",
        ),
        (
            changed(
                images=[{"id": n, "file_name": "a.jpg", "height": 4, "width": 6} for n in (7, 8)]
            ),
            r"2 images have the file_name a.jpg",
        ),
    ],
)
def test_files_that_do_not_fit_are_refused(tmp_path, content, message):
    with pytest.raises(WsolbenchError, match=message):
        import_coco(save(tmp_path, content))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b'{"images": [NaN]}', r"invalid JSON \(NaN is not a JSON number"),
        (b'{"images": [], "images": []}', r"invalid JSON \(duplicate key\)"),
        (b'{"images": [1e999]}', r"invalid JSON \(1e999 is beyond float64\)"),
        (b'{"images": [', r"invalid JSON"),
        (b'{"a": "\xff"}', r"invalid JSON"),
        (b"[" * 100_000, r"invalid JSON"),
    ],
)
def test_json_is_read_strictly(tmp_path, text, message):
    path = tmp_path / "x.json"
    path.write_bytes(text)
    with pytest.raises(WsolbenchError, match=message):
        import_coco(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(WsolbenchError, match=r"x.json: found no such file"):
        import_coco(tmp_path / "x.json")


def test_all_faults_of_a_kind_come_at_once(tmp_path):
    content = one()
    content["images"] = [
        {"id": number, "file_name": f"{number}.jpg", "height": 4, "width": 6}
        for number in range(7, 12)
    ]
    with pytest.raises(WsolbenchError, match=r"4 images without an annotation: 8, 9, 10 and 1 m"):
        import_coco(save(tmp_path, content))


def thing(number: Any, image: Any, box: list[float], **fields: Any) -> dict[str, Any]:
    """An annotation with a rectangle x, y, width, height, as bbox and polygon."""
    x, y, width, height = box
    right, lower = x + width, y + height
    return {
        "id": number,
        "image_id": image,
        "category_id": 3,
        "bbox": box,
        "segmentation": [[x, y, right, y, right, lower, x, lower]],
        **fields,
    }


def several(*things: dict[str, Any], height: int = 40, width: int = 60) -> dict[str, Any]:
    """A file with one image for each id that the annotations name, and three categories."""
    ids = dict.fromkeys(thing["image_id"] for thing in things)
    return {
        "images": [
            {"id": key, "file_name": f"{key}.jpg", "height": height, "width": width} for key in ids
        ],
        "categories": [{"id": 3, "name": "bird"}, {"id": 4, "name": "cat"}, {"id": 5, "name": "d"}],
        "annotations": list(things),
    }


@pytest.mark.parametrize("keys", [("0001_a", "0002_b"), (1, "1"), (1.0, 2), ("10", "9")])
def test_ids_are_numbers_or_texts(tmp_path, keys):
    content = several(
        thing(keys[0], keys[0], [5, 5, 20, 10]), thing(keys[1], keys[1], [1, 2, 3, 4])
    )
    for image, name in zip(content["images"], "ab", strict=True):
        image["file_name"] = f"{name}.jpg"
    found = import_coco(save(tmp_path, content)).annotations
    assert [item.boxes.tolist() for item in found] == [[[5, 5, 25, 15]], [[1, 2, 4, 6]]]


def test_categories_may_have_texts_for_ids(tmp_path):
    content = several(thing(1, 1, [5, 5, 20, 10], category_id="n02"))
    content["categories"] = [{"id": key, "name": str(key)} for key in ("n02", 7, "n01")]
    stored = import_coco(save(tmp_path, content))
    assert stored.classes == [("7", "7"), ("n01", "n01"), ("n02", "n02")]
    assert stored.annotations[0].class_index == 2


def empty(number: int, image: int, segmentation: object, **fields: Any) -> dict[str, Any]:
    return thing(number, image, [1, 1, 3, 3], segmentation=segmentation, **fields)


NOTHING = (None, [], [[]], {}, {"size": [40, 60], "counts": []}, {"size": [40, 60], "counts": ""})


@pytest.mark.parametrize("nothing", NOTHING)
def test_annotations_without_a_segmentation_are_named(tmp_path, nothing):
    sound = thing(1, 1, [5, 5, 20, 10])
    path = save(tmp_path, several(sound, empty(2, 1, nothing), empty(3, 2, nothing)))
    with pytest.raises(
        WsolbenchError,
        match=r"2 of 3 annotations without a segmentation: annotation 2, annotation 3; "
        r".*--skip-empty.*--allow-missing-masks",
    ):
        import_coco(path)
    content = import_coco(path, skip_empty=True)
    assert [item.image_id for item in content.annotations] == ["1"]
    assert content.annotations[0].boxes.tolist() == [[5, 5, 25, 15]]
    assert content.notes == [
        "2 annotations without a segmentation were left out: annotation 2, annotation 3",
        "1 images without an annotation were left out",
    ]


def test_images_with_an_annotation_without_segmentation_may_have_no_mask(tmp_path):
    things = (thing(1, 1, [5, 5, 20, 10]), empty(2, 1, []), thing(3, 2, [5, 5, 20, 10]))
    content = import_coco(save(tmp_path, several(*things)), allow_missing_masks=True)
    a, b = content.annotations
    assert (a.mask, a.boxes.tolist()) == (
        masks.RunLengths(40, 60, b""),
        [[5, 5, 25, 15], [1, 1, 4, 4]],
    )
    assert masks.area(b.mask) == 200
    assert content.notes == [
        "1 images have boxes and no mask, as 1 annotations have no segmentation"
    ]


@pytest.mark.parametrize("nothing", [*NOTHING, "absent"])
def test_files_of_boxes_alone_give_no_masks(tmp_path, nothing):
    things = [empty(1, 1, nothing), empty(2, 1, nothing, bbox=[2.5, 3, 4, 5.0000001])]
    things.append(empty(3, 2, nothing, bbox=[50, 30, 11, 5]))
    things.append(empty(4, 2, nothing, iscrowd=1))
    for item in things if nothing == "absent" else []:
        del item["segmentation"]
    content = import_coco(save(tmp_path, several(*things)))
    a, b = content.annotations
    assert a.mask == b.mask == masks.RunLengths(40, 60, b"")
    assert a.boxes.tolist() == [[1, 1, 4, 4], [2, 3, 7, 8]]
    assert (b.boxes.tolist(), b.ignore) == ([[50, 30, 60, 35]], None)
    assert content.notes == [
        "no annotation has a segmentation: there are boxes, but no masks",
        "1 boxes of crowds were left out, as they have no pixels to ignore",
        "1 of 3 boxes were rounded outwards to whole pixels",
        "1 of 3 boxes were clipped to their images",
    ]


@pytest.mark.parametrize(
    ("boxes", "message"),
    [
        ([[5, 5, 20, 30], [30, 20, 50, 40]], r"1 of 2 boxes .* only as x0, y0, x1, y1: a.*--boxes"),
        ([[0.1, 0.2, 0.5, 0.4]], r"boxes between 0 and 1, as if they were fractions"),
        ([[5, 5, 20, 50]], r"1 images whose objects reach beyond .* width and height were swapped"),
        ([[5, 5, 0, 10]], r"annotation 0 \(image 1\): the box 5, 5, 5, 15 .* is empty"),
        ([None], r"1 annotations without a segmentation and a bbox: annotation 0; .*--skip-empty"),
        ([[5, 5, 20]], r"annotation 0 \(image 1\): invalid bbox"),
    ],
)
def test_boxes_alone_that_do_not_fit_are_refused(tmp_path, boxes, message):
    things = [empty(number, 1, [], bbox=box) for number, box in enumerate(boxes)]
    with pytest.raises(WsolbenchError, match=message):
        import_coco(save(tmp_path, several(*things)))


def test_boxes_alone_may_be_corners(tmp_path):
    path = save(tmp_path, several(empty(1, 1, [], bbox=[30, 20, 50, 40])))
    assert import_coco(path, boxes="xyxy").annotations[0].boxes.tolist() == [[30, 20, 50, 40]]
    path = save(tmp_path, several(empty(1, 1, [], bbox=[30, 20, 15, 10])))
    with pytest.raises(WsolbenchError, match=r"only as x, y, width and height.*--boxes xywh"):
        import_coco(path, boxes="xyxy")


@pytest.mark.parametrize("stray", [[[14.0, 9.0]], [[1, 1, 4, 4]], [[]], [[14, 9], [1, 1, 4, 4]]])
def test_points_and_lines_have_no_area(tmp_path, stray):
    item = thing(1, 1, [5, 5, 20, 10])
    item["segmentation"] += stray
    content = import_coco(save(tmp_path, several(item)))
    assert masks.area(content.annotations[0].mask) == 200
    count = sum(map(bool, stray))
    listed = ", ".join(["annotation 1"] * count)
    note = f"{count} polygons of one or two points were left out: {listed}"
    assert content.notes == [note] * bool(count)


def test_annotations_without_a_pixel_may_be_left_out(tmp_path):
    small = thing(2, 1, [8, 8, 0.001, 0.001])
    crowd = thing(3, 2, [8, 8, 9, 9], iscrowd=1)
    path = save(tmp_path, several(thing(1, 1, [5, 5, 20, 10]), small, crowd))
    with pytest.raises(
        WsolbenchError, match=r"2 annotations without an object pixel: annotation 2"
    ):
        import_coco(path)
    content = import_coco(path, skip_empty=True)
    assert content.annotations[0].boxes.tolist() == [[5, 5, 25, 15]]
    assert content.notes == [
        "2 annotations without an object pixel were left out: annotation 2, image 2, crowds alone",
        "1 images without an object were left out",
    ]


def test_a_category_is_chosen_by_name_or_id(tmp_path):
    bird, cat = thing(1, 1, [5, 5, 20, 10]), thing(2, 1, [30, 20, 5, 5], category_id=4)
    path = save(tmp_path, several(bird, cat, thing(3, 2, [1, 1, 5, 5], category_id=5)))
    with pytest.raises(
        WsolbenchError, match=r"1 images with objects of several cat.*\(1; bird, cat\).*--category"
    ):
        import_coco(path)
    for name in ("cat", "4"):
        content = import_coco(path, categories=[name])
        (found,) = content.annotations
        assert (found.class_index, found.boxes.tolist()) == (1, [[30, 20, 35, 25]])
        assert masks.area(found.mask) == 25
        assert content.notes == [f"1 images without an object of {name} were left out"]
        assert len(content.classes) == 3
    both = import_coco(path, categories=["cat", "d"]).annotations
    assert [item.class_index for item in both] == [1, 2]
    with pytest.raises(WsolbenchError, match=r"several categories"):
        import_coco(path, categories=["cat", "bird"])
    with pytest.raises(WsolbenchError, match=r"no categories named dog, .* bird \(id 3\), cat"):
        import_coco(path, categories=["dog"])


def test_folders_are_kept_in_ids_on_request(tmp_path):
    content = several(*[thing(number, number, [5, 5, 20, 10]) for number in range(4)])
    for image, name in zip(content["images"], ("0/0", "0/1", "1/0", "1/1"), strict=True):
        image["file_name"] = f"val2/{name}.jpeg"
    path = save(tmp_path, content)
    with pytest.raises(WsolbenchError, match=r"2 image ids for 4 file names: .*--folder-ids"):
        import_coco(path)
    found = import_coco(path, folder_ids=True).annotations
    assert [item.image_id for item in found] == ["val2~0~0", "val2~0~1", "val2~1~0", "val2~1~1"]


def corners(item: dict[str, Any]) -> dict[str, Any]:
    x, y, width, height = item["bbox"]
    return {**item, "bbox": [x, y, x + width, y + height]}


def by_rows(item: dict[str, Any], height: int = 40, width: int = 60) -> dict[str, Any]:
    """The annotation with run lengths of its rectangle that go row after row, by hand."""
    x, y, box_width, box_height = item["bbox"]
    pixels = np.zeros((height, width), dtype=bool)
    pixels[y : y + box_height, x : x + box_width] = True
    counts, last = [0], False
    for value in pixels.ravel().tolist():
        if value != last:
            counts.append(0)
        counts[-1] += 1
        last = value
    return {**item, "segmentation": {"size": [height, width], "counts": counts}}


COLUMNS = [405, 10, *[30, 10] * 19, 1225]  # of FIRST's mask, column after column
FIRST, SECOND = thing(1, 1, [10, 5, 20, 10]), thing(2, 2, [30, 20, 15, 10])


@pytest.mark.parametrize(
    ("things", "message"),
    [
        (
            [corners(FIRST), corners(SECOND)],
            r"2 of 2 boxes .* only as x0, y0, x1, y1: annotation 1",
        ),
        (
            [corners(FIRST), SECOND],
            r"1 of 2 boxes fit .*: annotation 1; correct these boxes; or",
        ),
        ([by_rows(FIRST), by_rows(SECOND)], r"2 of 2 boxes .*if the run lengths go row after row"),
        (
            [by_rows(FIRST), {**by_rows(SECOND), "bbox": [0, 0, 60, 40]}],
            r"1 of 2 boxes fit their masks only if the run lengths go row after row: annotation 1",
        ),
        (
            [FIRST, {**SECOND, "bbox": [0, 0, 9, 9]}],
            r"1 of 2 boxes without a pixel of their object: annotation 2; .*tight.*--keep-boxes",
        ),
        (
            [
                {
                    **FIRST,
                    "segmentation": {
                        "size": [40, 60],
                        "counts": COLUMNS,
                    },
                    "bbox": [10, 5, 19, 9],
                }
            ],
            r"1 of 1 boxes that end exactly one pixel before their masks",
        ),
    ],
)
def test_boxes_that_contradict_their_masks_are_refused(tmp_path, things, message):
    with pytest.raises(WsolbenchError, match=message):
        import_coco(save(tmp_path, several(*things)))


def test_boxes_of_corners_are_read_so(tmp_path):
    path = save(tmp_path, several(corners(FIRST), corners(SECOND)))
    with pytest.raises(WsolbenchError, match=r"--boxes xyxy, in Python boxes='xyxy'"):
        import_coco(path)
    content = import_coco(path, boxes="xyxy")
    expected = [[[10, 5, 30, 15]], [[30, 20, 45, 30]]]
    assert [item.boxes.tolist() for item in content.annotations] == expected
    assert content.notes == ["each bbox was read as x0, y0, x1, y1"]
    with pytest.raises(WsolbenchError, match=r"only as x, y, width and height.*--boxes xywh"):
        import_coco(save(tmp_path, several(FIRST, SECOND)), boxes="xyxy")


def test_run_lengths_by_rows_are_read_so(tmp_path):
    path = save(tmp_path, several(by_rows(FIRST), by_rows(SECOND)))
    with pytest.raises(WsolbenchError, match=r"--rle rows, in Python rle='rows'"):
        import_coco(path)
    content = import_coco(path, rle="rows")
    for item, (x, y, width, height) in zip(
        content.annotations, (FIRST["bbox"], SECOND["bbox"]), strict=True
    ):
        expected = np.zeros((40, 60), dtype=bool)
        expected[y : y + height, x : x + width] = True
        assert (masks.decode(item.mask) == expected).all()
    assert content.notes == ["run lengths given as lists were read row after row"]


def test_boxes_may_be_kept_or_replaced(tmp_path):
    path = save(tmp_path, several(FIRST, {**SECOND, "bbox": [0, 0, 9, 9]}))
    kept = import_coco(path, keep_boxes=True)
    assert kept.annotations[1].boxes.tolist() == [[0, 0, 9, 9]]
    assert kept.notes == [
        "1 of 2 boxes differ from the tight boxes of their masks by more than 2 pixels, "
        "at most by 36"
    ]
    tight = import_coco(path, tight_boxes=True)
    assert tight.annotations[1].boxes.tolist() == [[30, 20, 45, 30]]
    assert tight.notes == ["boxes are the tight boxes of the masks; each bbox was ignored"]
    with pytest.raises(WsolbenchError, match=r"which exclude each other"):
        import_coco(path, keep_boxes=True, tight_boxes=True)


def test_tight_boxes_need_masks_and_the_note_names_images_without_one(tmp_path):
    boxed = several(empty(1, 1, []), empty(2, 2, []))
    with pytest.raises(WsolbenchError, match=r"no mask, so there are no tight boxes.*--tight-box"):
        import_coco(save(tmp_path, boxed), tight_boxes=True)
    sound = several(FIRST)
    with pytest.raises(WsolbenchError, match=r"'xyxy' and tight boxes of masks, which ignore each"):
        import_coco(save(tmp_path, sound), tight_boxes=True, boxes="xyxy")
    path = save(tmp_path, several(empty(1, 1, []), {**SECOND, "bbox": [0, 0, 9, 9]}))
    mixed = import_coco(path, tight_boxes=True, allow_missing_masks=True)
    assert [item.boxes.tolist() for item in mixed.annotations] == [
        [[1, 1, 4, 4]],
        [[30, 20, 45, 30]],
    ]
    assert mixed.notes[-1] == (
        "boxes are the tight boxes of the masks; each bbox was ignored, except in 1 images "
        "without a mask"
    )


def test_swapped_sizes_of_images_are_named(tmp_path):
    content = several(FIRST, thing(2, 2, [10, 30, 20, 25]))
    with pytest.raises(WsolbenchError, match=r"1 images whose objects reach beyond .*swapped: 2"):
        import_coco(save(tmp_path, content))
    content["images"][1].update(height=60, width=40)
    assert len(import_coco(save(tmp_path, content)).annotations) == 2


def test_boxes_that_reach_a_little_beyond_are_clipped_with_a_note(tmp_path):
    content = import_coco(save(tmp_path, several(thing(1, 1, [40, 25, 21, 16]))))
    assert content.annotations[0].boxes.tolist() == [[40, 25, 60, 40]]
    assert content.notes == ["1 of 1 boxes were clipped to their images"]


@pytest.mark.parametrize("side", [7, 23, 36])
def test_noise_of_floats_is_no_pixel(tmp_path, side):
    share = side * 100 / 224 * 224 / 100
    noisy = [share + 1e-13, share, side + 1e-12, side - 1e-9]
    item = thing(1, 1, [side, side, side, side], bbox=noisy)
    content = import_coco(save(tmp_path, several(item, height=224, width=224)))
    assert content.annotations[0].boxes.tolist() == [[side, side, 2 * side, 2 * side]]
    assert content.notes == []


def test_an_export_is_restored_as_it_is(tmp_path):
    content = {**one(), "wsolbench": {"dataset": "own", "classes": []}}
    content["images"][0]["boxes"] = [[0, 0, 1, 1]]
    assert import_coco(save(tmp_path, content)).annotations[0].boxes.tolist() == [[0, 0, 1, 1]]
    for options in ({"categories": ["car"]}, {"boxes": "xyxy"}, {"tight_boxes": True}):
        with pytest.raises(WsolbenchError, match=r"exported by wsolbench, which is restored as it"):
            import_coco(save(tmp_path, content), **options)
    content["annotations"][0]["segmentation"] = None
    (found,) = import_coco(save(tmp_path, content)).annotations
    assert found.mask == masks.RunLengths(4, 6, b"")


@pytest.mark.parametrize(
    ("image", "polygons", "found"),
    [
        ({"height": 16384, "width": 16384}, 1, "image a: 268435456 pixels, more than 89478485"),
        ({"height": 9000, "width": 9000}, 27, "27 polygons in an image of 9000x9000, too many"),
    ],
)
def test_polygons_times_pixels_are_bounded(
    tmp_path: Path, image: dict[str, int], polygons: int, found: str
) -> None:
    content = {
        "images": [{"id": 1, "file_name": "a.jpg", **image}],
        "annotations": [
            {
                **{"id": 1, "image_id": 1, "category_id": 3, "iscrowd": 0},
                "bbox": [0, 0, 9, 9],
                "segmentation": [[0, 0, 9, 0, 9, 9]] * polygons,
            }
        ],
        "categories": [{"id": 3, "name": "bird"}],
    }
    (tmp_path / "c.json").write_text(json.dumps(content))
    with pytest.raises(WsolbenchError, match=found):
        import_coco(tmp_path / "c.json")
