"""Network-free baselines on ILSVRC's boxes: annotations made of lists, and one score recounted."""

from __future__ import annotations

import gzip
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from wsolbench.errors import WsolbenchError
from wsolbench.leaderboard.entries import read_entry

ROOT = Path(__file__).resolve().parents[2] / "leaderboard"
ENTRIES = ROOT / "entries" / "ilsvrc-boxes"


def name(number: int) -> str:
    return f"ILSVRC2012_val_{number:08d}"


@pytest.fixture
def script() -> ModuleType:
    spec = spec_from_file_location("make_ilsvrc_boxes", ROOT / "make_ilsvrc_boxes.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def lists(tmp_path: Path) -> tuple[Path, Path, Path]:
    """Four images, of which the first two are val; the second one has two boxes."""
    corners = [(1, (0, 0, 5, 3)), (2, (1, 1, 2, 2)), (2, (4, 0, 7, 1)), (3, (0, 0, 0, 0))]
    corners.append((4, (2, 1, 6, 4)))
    texts = {
        "val.txt": [name(1), name(2)],
        "sizes.txt": [f"val/{name(n)}.JPEG,8,5" for n in (1, 2, 3, 4)],
        "boxes.txt": [f"val/{name(n)}.JPEG,{','.join(map(str, box))}" for n, box in corners],
    }
    for file, lines in texts.items():
        (tmp_path / file).write_text("\n".join(lines))
    return tmp_path / "val.txt", tmp_path / "sizes.txt", tmp_path / "boxes.txt"


def test_there_are_boxes_and_no_masks(script: ModuleType, lists: tuple[Path, Path, Path]) -> None:
    content = script.box_annotations(*lists)
    assert content.dataset == "ilsvrc-boxes"
    assert [item.split for item in content.annotations] == ["val", "val", "others", "others"]
    second = content.annotations[1]
    assert second.boxes.tolist() == [[1, 1, 3, 3], [4, 0, 8, 2]]
    assert (second.mask.height, second.mask.width, second.mask.counts) == (5, 8, b"")
    assert content.notes[0] == "there are boxes, but no masks"
    assert [source.file for source in content.sources] == ["val.txt", "sizes.txt", "boxes.txt"]


def test_lists_of_other_images_are_refused(
    script: ModuleType, lists: tuple[Path, Path, Path]
) -> None:
    val, sizes, _ = lists
    val.write_text(name(9))
    with pytest.raises(WsolbenchError, match=f"1 images of val.txt without a size: {name(9)}"):
        script.box_annotations(*lists)
    val.write_text(name(1))
    sizes.write_text(sizes.read_text() + f"\nval/{name(5)}.JPEG,8,5")
    with pytest.raises(WsolbenchError, match=f"1 images of sizes.txt without a box: {name(5)}"):
        script.box_annotations(*lists)


def test_entries_hold_box_scores_alone_and_say_so(
    script: ModuleType,
    lists: tuple[Path, Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    val, sizes, boxes = map(str, lists)
    monkeypatch.setattr(script, "ROOT", tmp_path / "board")
    given = ["--val-list", val, "--sizes", sizes, "--boxes", boxes, str(tmp_path / "run")]
    monkeypatch.setattr(sys, "argv", ["make_ilsvrc_boxes.py", *given])
    script.main()
    script.main()  # which replaces them
    made = {
        path.stem: read_entry(path)
        for path in (tmp_path / "board" / "entries" / "ilsvrc-boxes").iterdir()
    }
    assert len(made) == 12
    for entry in made.values():
        assert not entry.scores.keys() & {"peak_iou", "ap", "peak_threshold"}
        assert entry.backbone == "none"
        assert entry.footnotes == {"entry": [10]}
        assert str(tmp_path) not in entry.to_json()
    rules = [made[f"noise-none-{split}"].threshold["rule"] for split in ("val", "others", "all")]
    assert rules == ["max", "carried", "max"]
    # The first image's box covers 24 of its 40 pixels; the other three have none of half the image.
    scores = [
        made[f"whole-image-none-{split}"].scores["gt_known_loc"]
        for split in ("val", "others", "all")
    ]
    assert scores == [0.5, 0.5, 0.5]


@pytest.mark.parametrize(("split", "images"), [("val", 23151), ("others", 26849), ("all", 50000)])
def test_the_whole_image_scores_what_numpy_counts(
    shared_data: Path, split: str, images: int
) -> None:
    folder = shared_data / "ilsvrc"
    sizes = _numbers(folder / "image_sizes.txt.gz", 2)
    boxes = _numbers(folder / "localization.txt.gz", 4)
    val = set((folder / "ILSVRC_Val_Mask_23151.txt").read_text().split())
    area = dict(zip(sizes[0], sizes[1].prod(axis=1).tolist(), strict=True))
    # Corners are inclusive, and a box lies within its image: the union is the image.
    covered = (boxes[1][:, 2:] - boxes[1][:, :2] + 1).prod(axis=1)
    shares = covered / np.array([area[image_id] for image_id in boxes[0]])
    wanted = {"val": val, "others": area.keys() - val, "all": area.keys()}[split]
    right = {i for i, share in zip(boxes[0], shares, strict=True) if share >= 0.5} & wanted
    entry = read_entry(ENTRIES / f"whole-image-none-{split}.json")
    assert entry.images == len(wanted) == images
    assert entry.scores["gt_known_loc"] == len(right) / len(wanted)


def test_the_papers_boxes_lead_to_these() -> None:
    readme = (ROOT / "README.md").read_text()
    for heading in ("ilsvrc-boxes, all", "ilsvrc-boxes, val"):
        assert readme.count(f"[{heading}](#{heading.replace(', ', '-')})") == 3
        assert f"### {heading}" in readme.splitlines()


def _numbers(path: Path, count: int) -> tuple[list[str], np.ndarray]:
    """Image ids of a list, and its numbers, int64 (n, count)."""
    rows = [line.split(",") for line in gzip.decompress(path.read_bytes()).decode().split()]
    ids = [row[0].removeprefix("val/").removesuffix(".JPEG") for row in rows]
    return ids, np.array([row[1:] for row in rows], dtype=np.int64).reshape(-1, count)
