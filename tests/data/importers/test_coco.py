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
        {**content["annotations"][0], "id": 2, "segmentation": [[0, 0, 1, 0, 1, 4, 0, 4]]},
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
        polygons = [rng.uniform(-2, 8, 8).round(2).tolist() for _ in range(2)]
        expected = masks.decode(
            masks.RunLengths(4, 6, coco.merge(coco.frPyObjects(polygons, 4, 6))["counts"])
        )
        path = save(tmp_path, one(segmentation=polygons, bbox=[0, 0, 6, 4]))
        if not expected.any():
            continue
        (found,) = import_coco(path).annotations
        assert (masks.decode(found.mask) == expected).all()
        compared += 1
    assert compared > 10


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"segmentation": None}, r"image 000007: an annotation has no segmentation"),
        ({"segmentation": []}, r"a segmentation has no polygon"),
        ({"segmentation": [[1, 2, 3, 4]]}, r"a polygon is not a list of x, y"),
        ({"segmentation": [[0, 0, 1e9, 0, 1, 1]]}, r"a polygon is not a list of x, y"),
        ({"segmentation": [[0, 0, "1", 0, 1, 1]]}, r"a polygon is not a list of x, y"),
        ({"segmentation": {"size": [6, 4], "counts": [24]}}, r"size \[6, 4\], but .* has \[4, 6\]"),
        ({"segmentation": {"size": [4, 6], "counts": [9, 2]}}, r"not counts summing to the number"),
        (
            {"segmentation": {"size": [4, 6], "counts": [30, -6]}},
            r"not counts summing to the number",
        ),
        ({"segmentation": {"size": [4, 6], "counts": "H"}}, r"malformed run lengths"),
        ({"segmentation": {"size": [4, 6], "counts": "\u00e9"}}, r"malformed run lengths"),
        ({"segmentation": {"size": [4, 6], "counts": ""}}, r"malformed run lengths"),
        ({"segmentation": {"size": [4, 6], "counts": [24]}}, r"no object pixel"),
        ({"bbox": [1, 1, 0, 2]}, r"bbox \[1, 1, 0, 2\] is empty within 6x4"),
        ({"bbox": [9, 1, 2, 2]}, r"empty within 6x4"),
        ({"bbox": [1, 1, 2]}, r"invalid bbox \[1, 1, 2\]"),
        ({"bbox": [1, 1, 2, 1e300]}, r"invalid bbox"),
        ({"image_id": 8}, r"annotation 1: missing or invalid image 8"),
        ({"category_id": "3"}, r"annotation 1: missing category '3'"),
        ({"iscrowd": 2}, r"iscrowd is 2"),
        ({"id": None}, r"annotations\[0\] has no integer id"),
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
        (changed(annotations=[]), r"image 000007: no annotation"),
        (changed(images=["a"]), r"images\[0\] has no integer id"),
        (changed(images=one()["images"] * 2), r"images: duplicate id 7"),
        (changed(images=[{"id": 7, "file_name": "é.jpg"}]), r"gives no valid image id"),
        (changed(images=[{"id": 7, "file_name": "a", "height": 0, "width": 1}]), r"size 1x0"),
        (changed(images=[{"id": 7, "file_name": "a", "height": 4, "width": 1 << 40}]), r"size 1\d"),
        (
            changed(
                images=[{"id": n, "file_name": "a.jpg", "height": 4, "width": 6} for n in (7, 8)]
            ),
            r"image 8: duplicate image id a",
        ),
        (
            changed(
                annotations=[
                    {**one()["annotations"][0], "id": n, "category_id": category}
                    for n, category in ((1, 3), (2, 18))
                ]
            ),
            r"image 000007: objects of several categories \(3, 18\) \(expected .* filter",
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


def test_all_faults_come_at_once(tmp_path):
    content = one()
    content["images"] = [
        {"id": number, "file_name": f"{number}.jpg", "height": 4, "width": 6}
        for number in range(7, 12)
    ]
    with pytest.raises(WsolbenchError, match=r"4 faults: image 8: no annotation.* and 1 more"):
        import_coco(save(tmp_path, content))
