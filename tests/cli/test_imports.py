"""Options of `wsolbench import`, from the command line to what is stored."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.cli.conftest import Run
from wsolbench.formats.annotations import AnnotationStore


def square(number: int, image: int, category: int, **fields: Any) -> dict[str, Any]:
    polygon = [5, 4, 15, 4, 15, 12, 5, 12]
    return {
        "id": number,
        "image_id": image,
        "category_id": category,
        "bbox": [5, 4, 10, 8],
        "segmentation": [polygon],
        **fields,
    }


def coco(tmp_path: Path, *annotations: dict[str, Any]) -> Path:
    images = dict.fromkeys(item["image_id"] for item in annotations)
    path = tmp_path / "in.json"
    path.write_text(
        json.dumps(
            {
                "images": [
                    {"id": key, "file_name": f"{key}/0.jpg", "height": 20, "width": 30}
                    for key in images
                ],
                "categories": [{"id": 1, "name": "bird"}, {"id": 2, "name": "cat"}],
                "annotations": annotations,
            }
        )
    )
    return path


def test_every_refusal_of_coco_names_an_option_that_helps(tmp_path: Path, run: Run) -> None:
    path = coco(
        tmp_path,
        square(1, 1, 1, bbox=[5, 4, 15, 12]),
        square(2, 2, 1, segmentation=[]),
        square(3, 3, 2),
        square(4, 3, 1, bbox=[5, 4, 15, 12]),
    )
    options: list[str] = []
    for said, option in (
        ("1 image ids for 3 file names", ["--folder-ids"]),
        ("1 of 4 annotations without a segmentation: annotation 2", ["--skip-empty"]),
        ("1 images with objects of several categories (3~0; bird, cat)", ["--category", "bird"]),
        ("2 of 2 boxes fit their masks only as x0, y0, x1, y1", ["--boxes", "xyxy"]),
    ):
        done = run("import", "coco", path, "--out", "s.h5", *options, status=2)
        assert said in done.stderr
        assert option[0] in done.stderr
        options += option
    run("import", "coco", path, "--out", "s.h5", *options)
    store = AnnotationStore.open(tmp_path / "s.h5")
    assert store.image_ids == ["1~0", "3~0"]
    assert [store.boxes(row).tolist() for row in range(2)] == [[[5, 4, 15, 12]]] * 2


def test_boxes_alone_come_back_from_an_export(tmp_path: Path, run: Run) -> None:
    path = coco(tmp_path, square(1, 1, 1, segmentation=[]), square(2, 1, 1, segmentation=[]))
    assert "but no masks" in run("import", "coco", path, "--out", "a.h5").stderr
    run("export", "coco", "a.h5", "--out", "a.json")
    run("import", "coco", "a.json", "--out", "b.h5")
    first, second = (AnnotationStore.open(tmp_path / name) for name in ("a.h5", "b.h5"))
    assert first.content_sha256 == second.content_sha256
    assert second.masked.tolist() == [False]
    assert second.box_counts.tolist() == [2]


def test_images_without_a_mask_are_allowed_by_an_option(tmp_path: Path, run: Run) -> None:
    path = coco(tmp_path, square(1, 1, 1), square(2, 2, 1, segmentation=[]))
    run(*("import", "coco", path, "--out", "a.h5", "--folder-ids", "--allow-missing-masks"))
    assert AnnotationStore.open(tmp_path / "a.h5").masked.tolist() == [True, False]


@pytest.mark.parametrize("option", ["--tight-boxes", "--keep-boxes"])
def test_masks_take_levels_columns_and_folders(tmp_path: Path, run: Run, option: str) -> None:
    levels = np.zeros((20, 30), dtype=np.uint8)
    levels[3:13, 4:16] = 255
    levels[4:12, 5:15] = 1
    place = tmp_path / "masks" / "val"
    place.mkdir(parents=True)
    Image.fromarray(levels).save(place / "0.png")
    (tmp_path / "t.csv").write_text(";image_id;x0;y0;x1;y1;label\n0;val/0.jpg;0;0;2;2,0;cat\n")
    options: list[str] = []
    for asked in (
        ["--folder-ids"],
        ["--ignore-column", "label"],
        ["--void", "255"],
        [option],
    ):
        done = run(
            *("import", "masks", "masks", "--table", "t.csv", "--out", "s.h5", *options), status=2
        )
        assert asked[0] in done.stderr
        options += asked
    run("import", "masks", "masks", "--table", "t.csv", "--out", "s.h5", *options)
    store = AnnotationStore.open(tmp_path / "s.h5")
    box = [5, 4, 15, 12] if option == "--tight-boxes" else [0, 0, 2, 2]
    assert (store.image_ids, store.boxes(0).tolist()) == (["val~0"], [box])
    assert store.areas.tolist() == [80]
    assert int(store.ignore(0).sum()) == 40


def test_pet_and_voc_are_commands(tmp_path: Path, run: Run) -> None:
    for kind in ("pet", "voc"):
        done = run("import", kind, tmp_path, "--out", "s.h5", status=2)
        assert "no folder " in done.stderr
