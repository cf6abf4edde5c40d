"""Commands on a submission of edges alone: those that need maps say so in one line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.conftest import Run
from tests.conftest import random_dataset
from wsolbench.data.dataset import Dataset
from wsolbench.errors import WsolbenchError
from wsolbench.evaluation.cases import find_cases
from wsolbench.formats.submission.reader import Submission, SubmissionHeader, SubmissionWriter
from wsolbench.leaderboard.gallery import make_gallery

COUNT = 4
ALONE = "wsolbench: e.h5: found edges alone, expected localization maps; name a submission with"


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """Annotations `a.h5` with photos, edges `e.h5` of all images, `half.h5` of two of them."""
    opened = random_dataset(tmp_path / "a.h5", COUNT)
    rng = np.random.default_rng(0)
    (tmp_path / "photos").mkdir()
    for image_id, row in zip(opened.image_ids, opened.rows.tolist(), strict=True):
        size = (int(opened.store.heights[row]), int(opened.store.widths[row]), 3)
        photo = Image.fromarray(rng.integers(0, 256, size).astype(np.uint8))
        photo.save(tmp_path / "photos" / f"{image_id}.png")
    header = SubmissionHeader(opened.name, opened.split, "gt", "none", {"name": "edges"})
    for name, count in (("e.h5", COUNT), ("half.h5", 2)):
        with SubmissionWriter(tmp_path / name, header) as writer:
            edges = rng.integers(0, 256, (count, 20, 30)).astype(np.uint8)
            writer.append(opened.image_ids[:count], edges=edges)
    return Dataset.open(tmp_path / "a.h5", opened.split, tmp_path / "photos")


def test_files_are_described_checked_and_joined(run: Run, dataset: Dataset) -> None:
    assert run("validate", "e.h5", "--annotations", "a.h5").stdout == "e.h5: valid\n"
    found = run("validate", "half.h5", "--annotations", "a.h5", status=1).stdout.splitlines()
    assert found[0] == (
        f"image_id: found no edges of {dataset.image_ids[2]}, expected edges for each image of "
        "'val'; make them, or evaluate with --allow-missing"
    )
    content = json.loads(run("info", "e.h5", "--json").stdout)
    assert (content["maps"], content["edges"], content["edge_sizes"]) == (0, COUNT, "20x30")
    joined = run("merge", "half.h5", "--annotations", "a.h5", "--out", "m.h5")
    assert joined.stdout == "m.h5: edges of 2 images of random val from 1 file\n"
    assert f"2 of {COUNT} images of random val have no edges yet" in joined.stderr


@pytest.mark.parametrize(
    ("command", "line"),
    [
        ("plot maps e.h5 --annotations a.h5 --images photos --out p.png", ALONE),
        (
            "plot cases e.h5 --annotations a.h5 --images photos --out p.png",
            "wsolbench: e.h5: found no localization maps",
        ),
        (
            "evaluate e.h5 --annotations a.h5 --metrics pixel",
            "wsolbench: e.h5: found no localization maps",
        ),
        (
            "evaluate e.h5 --annotations a.h5 --protocol wsoleval-v2",
            "wsolbench: e.h5: found no localization maps",
        ),
    ],
)
def test_what_needs_maps_says_so(run: Run, dataset: Dataset, command: str, line: str) -> None:
    done = run(*command.split(), status=1)
    assert done.stderr.startswith(line)
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_what_needs_maps_says_so_in_python(dataset: Dataset, tmp_path: Path) -> None:
    with Submission.open(tmp_path / "e.h5") as opened:
        with pytest.raises(WsolbenchError, match="found edges alone"):
            make_gallery(dataset, [opened], ["edges"], dataset.image_ids[:1])
        with pytest.raises(WsolbenchError, match="found no localization maps"):
            find_cases(dataset, opened, None, 1)
