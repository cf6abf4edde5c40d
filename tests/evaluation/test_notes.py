"""A note where the class predictions of a submission cannot be meant for the annotations."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import annotation
from wsolbench.data.dataset import Dataset
from wsolbench.evaluation.notes import class_notes, shape_notes
from wsolbench.evaluation.run import Request, run
from wsolbench.formats.annotations import AnnotationSet, write_store
from wsolbench.formats.report import signature, threshold_text
from wsolbench.formats.result import Bootstrap
from wsolbench.formats.submission.reader import Submission
from wsolbench.formats.submission.rules import OUTSIDE, SubmissionHeader
from wsolbench.formats.submission.writer import SubmissionWriter

TRUE = [0, 1, 2, 3, 0, 1, 2, 3]


def note_on(folder: Path, first: list[int] | None, classes: int = 4, true: list[int] = TRUE) -> str:
    names = [f"i{place}" for place in range(len(true))]
    mask = np.eye(4, dtype=np.bool_)
    rows = [annotation(n, mask, class_index=index) for n, index in zip(names, true, strict=True)]
    listed = [("", f"c{index}") for index in range(classes)]
    write_store(folder / "s.h5", AnnotationSet("toys", rows, listed))
    header = SubmissionHeader("toys", "val", "gt", "none", {"name": "m"})
    with SubmissionWriter(folder / "m.h5", header, overwrite=True) as writer:
        top = None if first is None else [[index, -1, -1, -1, -1] for index in first]
        writer.append(names, np.ones((len(names), 2, 2), np.uint8), top5=top)
    dataset = Dataset.open(folder / "s.h5")
    with Submission.open(folder / "m.h5") as submission:
        notes = class_notes(dataset, submission)
    assert run(Request(folder / "m.h5", dataset)).notes == notes
    return "".join(notes)


@pytest.mark.parametrize(
    "first, classes, start",
    [
        ([3, 0, 1, 2, 3, 0, 1, 2], 4, "none of 8 images of toys val is classified correctly"),
        ([OUTSIDE + 7] * 8, 4, "none of 8 images"),
        ([0, 0, 0, 0, 3, 0, 0, 0], 4, "1 of 8 images of toys val is classified correctly, where "),
        ([0, 1, 2, 0, 1, 2, 3, 0], 2_000, ""),  # chance is far lower
        ([0, 0, 0, 0, 0, 0, 0, 0], 4, ""),  # 2 of 8 is chance
        (None, 4, ""),
    ],
)
def test_fewer_than_chance_is_noted(
    tmp_path: Path, first: list[int] | None, classes: int, start: str
) -> None:
    note = note_on(tmp_path, first, classes)
    assert note.startswith(start)
    assert bool(note) == bool(start)
    if start:
        assert "guessing among 4 classes gives 2; class indices probably differ" in note


def test_only_images_with_a_class_count(tmp_path: Path) -> None:
    note = note_on(tmp_path, [1] * 12, true=[-1, *[0] * 5, *[2] * 5, -1])
    assert note.startswith("none of 10 images")
    assert note_on(tmp_path, [1] * 5, true=[0] * 5) == ""  # too few to tell
    assert note_on(tmp_path, [1, 1], true=[-1, -1]) == ""


def wide(folder: Path, maps: list[np.ndarray]) -> tuple[Dataset, Submission]:
    """Images twice as wide as high, one of them square, and their maps."""
    masks = [np.ones((10, 20), bool), np.ones((12, 24), bool), np.ones((9, 9), bool)]
    rows = [annotation(f"i{place}", mask) for place, mask in enumerate(masks)]
    write_store(folder / "w.h5", AnnotationSet("wide", rows))
    header = SubmissionHeader("wide", "val", "gt", "none", {"name": "m"})
    with SubmissionWriter(folder / "w-maps.h5", header) as writer:
        writer.append(["i0", "i1", "i2"], maps)
    return Dataset.open(folder / "w.h5"), Submission.open(folder / "w-maps.h5")


@pytest.mark.parametrize(
    "shapes, noted",
    [
        ([(10, 5), (12, 6), (4, 4)], True),
        ([(10, 5), (4, 4), (4, 4)], True),
        ([(5, 10), (6, 12), (4, 4)], False),
        ([(10, 5), (6, 12), (4, 4)], True),
        ([(4, 4), (4, 4), (4, 8)], False),
    ],
)
def test_maps_that_look_transposed_are_noted(
    tmp_path: Path, shapes: list[tuple[int, int]], noted: bool
) -> None:
    dataset, submission = wide(tmp_path, [np.zeros(shape, np.uint8) for shape in shapes])
    (note,) = shape_notes(dataset, submission) or ("",)
    assert ("height and width swapped" in note) == noted
    assert run(Request(submission, dataset)).notes == ((note,) if noted else ())


def test_thresholds_of_other_annotations_method_or_normalisation_are_noted(tmp_path: Path) -> None:
    note_on(tmp_path, None)
    mask = np.eye(4, dtype=np.bool_)
    store = [annotation(f"i{n}", mask, class_index=0, split="test") for n in range(8)]
    write_store(tmp_path / "t.h5", AnnotationSet("toys", store, [("", "c")]))
    header = SubmissionHeader("toys", "test", "gt", "min-max", {"name": "n"})
    with SubmissionWriter(tmp_path / "n.h5", header) as writer:
        writer.append([f"i{n}" for n in range(8)], np.ones((8, 2, 2), np.uint8))
    val = run(Request(tmp_path / "m.h5", tmp_path / "s.h5")).results[0]
    done = run(Request(tmp_path / "n.h5", tmp_path / "t.h5", threshold=val))
    theirs, ours = val.annotations_sha256[:8], done.results[0].annotations_sha256[:8]
    assert theirs != ours
    assert done.notes == (
        f"the thresholds were carried from a result of other annotations of toys ({theirs}, not "
        f"{ours}) and of another method (m, not n) and of maps of another normalisation ('none', "
        "not 'min-max'): check that they mean the same here",
    )
    assert f", annotations {theirs})" in signature(done.results[0])
    same = replace(val, submission_sha256="0" * 64)
    again = run(Request(tmp_path / "m.h5", tmp_path / "s.h5", threshold=same))
    assert again.notes == ()
    assert "annotations" not in threshold_text(again.results[0])


def test_intervals_of_few_images_are_noted(tmp_path: Path) -> None:
    """20 images are enough, 19 are not; without intervals there is nothing to say."""
    for count, true in ((19, [0] * 19), (40, [0] * 20 + [1] * 19 + [2])):
        names = [f"i{place}" for place in range(count)]
        mask = np.eye(4, dtype=np.bool_)
        rows = [
            annotation(n, mask, class_index=index) for n, index in zip(names, true, strict=True)
        ]
        listed = [("", name) for name in ("ant", "bee", "cat")]
        write_store(tmp_path / "s.h5", AnnotationSet("toys", rows, listed))
        header = SubmissionHeader("toys", "val", "gt", "none", {"name": "m"})
        with SubmissionWriter(tmp_path / "m.h5", header, overwrite=True) as writer:
            writer.append(names, np.ones((count, 2, 2), np.uint8))
        request = Request(tmp_path / "m.h5", Dataset.open(tmp_path / "s.h5"), by=["class"])
        assert run(request).notes == ()
        notes = run(replace(request, bootstrap=Bootstrap(20))).notes
        if count == 19:
            assert notes == (
                "19 images: intervals are too narrow",
                "1 group has fewer than 20 images, which makes intervals too narrow: class 0 ant",
            )
        else:
            assert notes == (
                "2 groups have fewer than 20 images, which makes intervals too narrow: "
                "class 1 bee, class 2 cat",
            )
