"""Cases: who is chosen from columns that can be checked by eye, and the command end to end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from PIL import Image

from tests.conftest import annotation
from wsolbench import plots
from wsolbench.cli import cli
from wsolbench.data.dataset import Dataset
from wsolbench.errors import WsolbenchError
from wsolbench.evaluation.cases import Cases, choose_cases, find_cases
from wsolbench.evaluation.run import evaluate
from wsolbench.formats.annotations import AnnotationSet, write_store
from wsolbench.formats.submission.reader import Submission
from wsolbench.formats.submission.rules import SubmissionHeader
from wsolbench.formats.submission.writer import SubmissionWriter
from wsolbench.plots import photos

SIDE = 20


def table(*rows: tuple[str, float, float]) -> dict[str, list[Any]]:
    """Columns of (id, mask IoU, box IoU)."""
    columns: dict[str, list[Any]] = {
        "image_id": [row[0] for row in rows],
        "iou": [row[1] for row in rows],
        "box_iou": [row[2] for row in rows],
        "box_right": [row[2] >= 0.5 for row in rows],
        "threshold": [77] * len(rows),
    }
    for place, name in enumerate(("x0", "y0", "x1", "y1")):
        columns[name] = [place + 1] * len(rows)
    return columns


def chosen(cases: Cases, kind: str) -> list[str]:
    return [case.image_id for case in cases.groups[kind].chosen]


def test_each_image_is_of_one_kind_and_the_farthest_apart_come_first() -> None:
    cases = choose_cases(
        table(
            ("a", 0.40, 0.90),
            ("b", 0.10, 0.80),
            ("c", 0.49, 0.50),
            ("d", 0.60, 0.10),
            ("e", 0.90, 0.30),
            ("f", 0.90, 0.60),
            ("g", 0.70, 0.70),
            ("h", 0.50, 0.50),
            ("i", 0.20, 0.20),
        ),
        box_threshold=12,
    )
    assert chosen(cases, "box_alone") == ["b", "a", "c"]
    assert chosen(cases, "mask_alone") == ["e", "d"]
    assert chosen(cases, "both") == ["g", "f", "h"]
    assert {name: group.images for name, group in cases.groups.items()} == {
        "box_alone": 3,
        "mask_alone": 2,
        "both": 3,
    }
    assert (cases.neither, cases.pixel_threshold, cases.box_threshold) == (1, 77, 12)


def test_ties_go_to_the_lower_id_and_a_kind_may_be_empty() -> None:
    cases = choose_cases(table(("b", 0.2, 0.7), ("a", 0.1, 0.6), ("c", 0.3, 0.8)), 0, count=2)
    assert chosen(cases, "box_alone") == ["a", "b"]
    assert cases.groups["both"].chosen == cases.groups["mask_alone"].chosen == ()
    with pytest.raises(WsolbenchError, match="1 or more"):
        choose_cases(table(("a", 0.1, 0.6)), 0, count=0)


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    """Three photos: a thin frame in a full map, two bars met by one box, a square met exactly."""
    (tmp_path / "photos").mkdir()
    frame = np.zeros((SIDE, SIDE), np.bool_)
    frame[[0, -1]] = frame[:, [0, -1]] = True
    bars = np.zeros((SIDE, SIDE), np.bool_)
    bars[:8, :] = bars[12:, :] = True
    square = np.zeros((SIDE, SIDE), np.bool_)
    square[4:16, 4:16] = True
    annotations = [
        annotation("frame", frame),
        annotation("bars", bars, boxes=[(0, 0, SIDE, 8), (0, 12, SIDE, SIDE)]),
        annotation("square", square),
    ]
    write_store(tmp_path / "toy.h5", AnnotationSet("toy", annotations))
    header = SubmissionHeader("toy", "val", "gt", "none", {"name": "$drawn^"})
    full = np.ones((SIDE, SIDE), np.bool_)
    with SubmissionWriter(tmp_path / "maps.h5", header) as writer:
        for name, map_ in (("frame", full), ("bars", full), ("square", square)):
            writer.append([name], [np.uint8(200) * map_.astype(np.uint8)])
            Image.new("RGB", (SIDE, SIDE), (90, 60, 30)).save(tmp_path / "photos" / f"{name}.png")
    return tmp_path


def call(scene: Path, *arguments: object) -> Any:
    given = ["--annotations", scene / "toy.h5", "--images", scene / "photos", "--quiet"]
    return CliRunner().invoke(
        cli, [*map(str, ["plot", "cases", scene / "maps.h5", *given, *arguments])]
    )


def test_the_drawn_images_are_found(scene: Path) -> None:
    done = call(scene, "--out", scene / "c.png")
    assert done.exit_code == 0, done.exception
    assert (
        "box correct, mask IoU below 50 %: 1; IoU of mask and box: frame (19.0, 100.0)"
        in done.output
    )
    assert (
        "box wrong, mask IoU 50 % or more: 1; IoU of mask and box: bars (80.0, 40.0)" in done.output
    )
    assert (
        "box correct, mask IoU 50 % or more: 1; IoU of mask and box: square (100.0, 100.0)"
        in done.output
    )
    assert (scene / "c.png").read_bytes().startswith(b"\x89PNG")
    told = json.loads(call(scene, "--out", scene / "c.svg", "--count", "1", "--json").output)
    assert told["groups"]["mask_alone"]["chosen"][0]["image_id"] == "bars"
    assert told["neither"] == 0


def test_the_foreground_is_coloured_by_the_mask() -> None:
    mask = np.array([[True, True, False, False]])
    foreground = np.array([[True, False, True, False]])
    ignore = np.array([[False, False, False, True]])
    photo = np.full((1, 4, 3), 100, np.uint8)
    ax = Figure().subplots()
    plots.foreground_with_mask(photo, foreground, mask, ignore, np.array([1, 0, 3, 1]), ax)
    drawn = np.asarray(ax.get_images()[1].get_array())[0]
    wanted = [photos.HIT, photos.MISS, photos.FALSE_ALARM, photos.IGNORED]
    assert drawn == pytest.approx(np.array([to_rgba(colour, 0.75) for colour in wanted]))
    assert ax.patches[-1].get_bbox().bounds == (1, 0, 2, 1)


def test_thresholds_of_a_result_are_those_drawn(scene: Path) -> None:
    dataset = Dataset.open(scene / "toy.h5", "val", scene / "photos")
    with Submission.open(scene / "maps.h5") as submission:
        fixed = evaluate(dataset, submission, threshold=0)
        cases = find_cases(dataset, submission, fixed)
        assert (cases.pixel_threshold, cases.box_threshold) == (0, 0)
        assert chosen(cases, "both") == []  # at T = 0 all is foreground, the square as well
        assert cases.groups["box_alone"].images == 1


def test_what_cannot_be_drawn_is_one_line(scene: Path) -> None:
    dataset = Dataset.open(scene / "toy.h5", "val")
    result = evaluate(dataset, scene / "maps.h5", metrics=["pixel"])
    result.write(scene / "pixel.json")
    for arguments, cure in (
        (["--out", "c.txt"], "expected .png, .svg or .pdf"),
        (["--out", scene / "c.png", "--result", scene / "none.json"], "no such file"),
        (["--out", scene / "c.png", "--result", scene / "pixel.json"], "no box_threshold"),
        (["--out", scene / "maps.h5"], "expected .png"),
    ):
        error = call(scene, *arguments).exception
        assert isinstance(error, WsolbenchError), arguments
        assert cure in str(error)
    (scene / "photos" / "bars.png").unlink()
    error = call(scene, "--out", scene / "d.png").exception
    assert isinstance(error, WsolbenchError)
    assert not (scene / "d.png").exists()


def test_a_result_of_something_else_is_refused(scene: Path) -> None:
    dataset = Dataset.open(scene / "toy.h5", "val", scene / "photos")
    header = SubmissionHeader("toy", "val", "gt", "none", {"name": "other"})
    with SubmissionWriter(scene / "other.h5", header) as writer:
        writer.append(dataset.image_ids, np.ones((3, 2, 2), np.float32))
    other = evaluate(dataset, scene / "other.h5")
    with (
        Submission.open(scene / "maps.h5") as submission,
        pytest.raises(WsolbenchError, match=r"found submission .*, expected .*name a result of"),
    ):
        find_cases(dataset, submission, other)
