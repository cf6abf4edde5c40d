"""Format version 2: whatever is changed in a submission shows."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from tests.conftest import random_dataset
from wsolbench import (
    Submission,
    SubmissionHeader,
    SubmissionWriter,
    WsolbenchError,
    evaluate,
    merge_submissions,
    validate,
)
from wsolbench.evaluation.notes import version_notes

IDS = ["a", "b", "image 3"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    header = SubmissionHeader("toys", "val", "gt", "min-max", {"name": "é"})
    with SubmissionWriter(tmp_path / "s.h5", header) as writer:
        for row, name in enumerate(IDS):
            writer.append(
                [name],
                np.full((1, 3, 4 + row), 0.5, np.float16),
                top5=[[row, 5, 6, 7, -1]],
                boxes=[[0, 0, 1 + row, 2]],
                windows=[[0, 0, 9.5, 8]],
                edges=np.full((1, 5, 5), row, np.uint8),
            )
    return tmp_path / "s.h5"


def test_the_hash_is_the_documented_one(path: Path) -> None:
    with h5py.File(path) as file:
        head = {key: file.attrs[key] for key in file.attrs if key != "content_sha256"}
        head = {**head, "format_version": 2, "maps": "float16", "edges": "uint8"}
        expected = json.dumps(head, sort_keys=True, separators=(", ", ": ")).encode()
        for name, column in (
            ("boxes", file["boxes"][()].astype("<i4").tobytes()),
            ("crc32", file["crc32"][()].astype("<u4").tobytes()),
            ("edges", np.array([[5, 5]] * 3, "<i4").tobytes()),
            ("edges_crc32", file["edges_crc32"][()].astype("<u4").tobytes()),
            ("image_id", b"".join(name.encode().ljust(64, b"\0") for name in IDS)),
            ("maps", np.array([[3, 4], [3, 5], [3, 6]], "<i4").tobytes()),
            ("top5", file["top5"][()].astype("<i4").tobytes()),
            ("window", file["window"][()].astype("<f8").tobytes()),
        ):
            expected += f"\n{name}\n".encode() + column
        assert file.attrs["content_sha256"] == hashlib.sha256(expected).hexdigest()
    with Submission.open(path) as opened:
        assert opened.content_sha256 == hashlib.sha256(expected).hexdigest()
        assert (opened.format_version, opened.checked, version_notes(opened)) == (2, True, ())


CHANGES = {
    "ids": lambda f: f["image_id"].__setitem__(slice(0, 2), [b"b", b"a"]),
    "top5": lambda f: f["top5"].__setitem__((0, 0), 9),
    "boxes": lambda f: f["boxes"].__setitem__((1, 3), 3),
    "window": lambda f: f["window"].__setitem__((2, 2), 9.25),
    "crc32": lambda f: f["crc32"].__setitem__(0, 1),
    "edges_crc32": lambda f: f["edges_crc32"].__setitem__(0, 1),
    "split": lambda f: f.attrs.__setitem__("split", "test"),
    "method": lambda f: f.attrs.__setitem__("method", '{"name": "e"}'),
    "no top5": lambda f: f.__delitem__("top5"),
    "no boxes": lambda f: f.__delitem__("boxes"),
    "no window": lambda f: f.__delitem__("window"),
    "no hash": lambda f: f.attrs.__delitem__("content_sha256"),
    "shapes": lambda f: f["maps/shapes"].__setitem__(0, (4, 3)),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_anywhere_is_found_when_the_file_is_opened(path: Path, name: str) -> None:
    with h5py.File(path, "r+") as file:
        CHANGES[name](file)
    with pytest.raises(WsolbenchError, match="attribute content_sha256: found") as caught:
        Submission.open(path)
    assert caught.value.exit_status == 1
    assert validate(path)[0].kind == "content"


def test_version_1_is_read_with_a_note_of_what_it_lacks(path: Path, tmp_path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file.attrs["format_version"] = 1
    with Submission.open(path) as opened:
        assert (opened.format_version, opened.content_sha256) == (1, None)
        (note,) = version_notes(opened)
    assert "damage to ids, top5, boxes and windows does not show:" in note
    with h5py.File(path, "r+") as file:
        del file["crc32"]
    with Submission.open(path) as opened:
        assert "and its maps have no checksums" in version_notes(opened)[0]
    merge_submissions([path], tmp_path / "new.h5")
    with Submission.open(tmp_path / "new.h5") as opened:
        assert (opened.format_version, opened.checked) == (2, True)


def test_a_submission_that_changes_while_it_is_scored_is_refused(tmp_path: Path) -> None:
    dataset = random_dataset(tmp_path / "store.h5", 6)
    header = SubmissionHeader("random", "val", "gt", "none", {"name": "ones"})
    with SubmissionWriter(tmp_path / "s.h5", header) as writer:
        writer.append(dataset.image_ids, np.zeros((6, 4, 4), np.float32))
    with Submission.open(tmp_path / "s.h5") as opened:
        with open(tmp_path / "s.h5", "r+b") as file:
            file.seek(-1, 2)
            file.write(b"\0")
        with pytest.raises(WsolbenchError, match=r"s\.h5: found a file that changed, or"):
            evaluate(dataset, opened)
