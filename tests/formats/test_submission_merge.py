"""Submissions of different images are joined unchanged, or refused with the cause."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from tests.conftest import annotation, random_dataset
from wsolbench import Dataset, WsolbenchError, merge_submissions
from wsolbench.baselines.trivial import predict_trivial
from wsolbench.formats.annotations import AnnotationSet, AnnotationStore, write_store
from wsolbench.formats.submission import merge
from wsolbench.formats.submission.reader import Submission, SubmissionHeader, SubmissionWriter
from wsolbench.formats.submission.validate import validate

METHOD = {"name": "CAM", "seed": 1, "parameters": {"size": 224, "layers": [3, 4]}}
HEADER = SubmissionHeader("toys", "val", "gt", "min-max", METHOD)
ZEROS = np.zeros((3, 2, 4), dtype=np.uint8)
FIVE = np.arange(15).reshape(3, 5)
BOXES = np.array([[0, 0, 2, 2], [1, 1, 3, 4], [2, 0, 9, 1]])
WINDOWS = np.array([[0.5, 0, 8, 6], [-1, -2.25, 9, 6], [1 / 3, 0, 7, 5]])


def write(
    path: Path, ids: str, maps: Any = None, header: SubmissionHeader = HEADER, **columns: Any
) -> Path:
    """A submission of images named by single letters; each map is drawn from its own letter."""
    if maps is None:
        maps = [np.full((2, 4), ord(image_id), dtype=np.uint8) for image_id in ids]
    with SubmissionWriter(path, header) as writer:
        writer.append(list(ids), maps, **columns)
    return path


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def refusal(shards: Any, out: Path, message: str, status: int, order: Any = None) -> WsolbenchError:
    """What merging raises, after which the folder holds nothing new."""
    before = names(out.parent)
    with pytest.raises(WsolbenchError, match=message) as caught:
        merge_submissions(shards, out, order=order)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_status == status
    assert names(out.parent) == before
    return caught.value


@pytest.mark.parametrize("dtype", [np.uint8, np.float16, np.float32])
@pytest.mark.parametrize("sides", ["small", "large", "ragged"])
def test_merged_shards_have_the_bytes_of_one_run(tmp_path: Path, dtype: Any, sides: str) -> None:
    """Three interleaved shards, each in an order of its own, with all columns."""
    rng = np.random.default_rng(3)
    count = 13
    shapes = {"small": [(5, 7)], "large": [(60, 57)], "ragged": [(5, 7), (70, 3), (1, 1), (9, 80)]}
    ids = [f"v{number:02}" for number in range(count)]
    maps, edges = [], []
    for number in range(count):
        values = rng.random(shapes[sides][number % len(shapes[sides])])
        maps.append((values * 255).astype(dtype) if dtype == np.uint8 else values.astype(dtype))
        edges.append(rng.random((number % 2 + 1, 3)).astype(np.float16))
    top5 = np.stack([rng.permutation(9)[:5] for _ in ids]).astype(np.int32)
    top5[4, 2:] = -1
    boxes = np.array([[0, n, 1, n + 1] for n in range(count)])
    windows = np.array([[n / 3, 0, n / 3 + 8, 6] for n in range(count)])

    def store(path: Path, rows: list[int]) -> Path:
        with SubmissionWriter(path, HEADER) as writer:
            writer.append(
                [ids[row] for row in rows],
                [maps[row] for row in rows],
                top5[rows],
                boxes[rows],
                [edges[row] for row in rows],
                windows[rows],
            )
        return path

    whole = store(tmp_path / "whole.h5", list(range(count)))
    shards = [
        store(tmp_path / f"{first}.h5", list(range(first, count, 3))[::step])
        for first, step in ((2, 1), (0, -1), (1, 1))
    ]
    out = tmp_path / "merged.h5"
    merged = merge_submissions(shards, out)
    assert (merged.maps, merged.files, merged.missing, merged.notes) == (13, 3, None, ())
    assert (merged.dataset, merged.split) == ("toys", "val")
    assert out.read_bytes() == whole.read_bytes()
    assert validate(out) == []
    backwards = ids[::-1]
    merge_submissions(shards, out, order=backwards)
    whole = store(tmp_path / "whole.h5", list(range(count))[::-1])
    assert out.read_bytes() == whole.read_bytes()
    assert names(tmp_path) == ["0.h5", "1.h5", "2.h5", "merged.h5", "whole.h5"]


def test_predicted_shards_have_the_bytes_of_one_prediction(tmp_path: Path) -> None:
    dataset = random_dataset(tmp_path / "random.h5", 11)
    predict_trivial(dataset, tmp_path / "whole.h5", "mask", size=6)
    shards = [tmp_path / f"{index}.h5" for index in range(4)]
    for index, shard in enumerate(shards):
        predict_trivial(dataset.shard(index, 4), shard, "mask", size=6)
    merge_submissions(shards, tmp_path / "merged.h5", order=dataset.image_ids)
    assert (tmp_path / "merged.h5").read_bytes() == (tmp_path / "whole.h5").read_bytes()


def test_small_batches_change_nothing_and_report_progress(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shards = [write(tmp_path / "a.h5", "dab"), write(tmp_path / "b.h5", "ec")]
    merge_submissions(shards, tmp_path / "whole.h5")
    seen: list[tuple[int, int]] = []
    monkeypatch.setattr(merge, "BLOCK_BYTES", 16)  # two maps of 2x4 bytes
    merge_submissions(
        shards, tmp_path / "m.h5", progress=lambda done, total: seen.append((done, total))
    )
    assert seen == [(2, 5), (4, 5), (5, 5)]
    monkeypatch.setattr(merge, "_BATCH", 1)
    merge_submissions(shards, tmp_path / "n.h5")
    for name in ("m.h5", "n.h5"):
        assert (tmp_path / name).read_bytes() == (tmp_path / "whole.h5").read_bytes()
    with Submission.open(tmp_path / "n.h5") as opened:
        assert opened.image_ids == list("abcde")
        assert [int(plane[0, 0]) for plane in opened.read(range(5))] == [97, 98, 99, 100, 101]


def test_one_shard_is_sorted(tmp_path: Path) -> None:
    shard = write(tmp_path / "a.h5", "cab")
    assert merge_submissions(shard, tmp_path / "m.h5").files == 1  # type: ignore[arg-type]
    assert (tmp_path / "m.h5").read_bytes() == write(tmp_path / "n.h5", "abc").read_bytes()


def test_files_of_other_programs_are_merged(tmp_path: Path) -> None:
    """Without checksums, with wide integers, and with windows of 32 bits."""
    for name, ids in (("a", [b"b", b"d"]), ("b", [b"a"])):
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            file.attrs.update(format="wsolbench-submission", format_version=1, dataset="toys")
            file.attrs.update(split="val", label="gt", normalisation="none", method='{"name":"X"}')
            file["image_id"] = np.array(ids, dtype="S")
            file["maps"] = np.full((len(ids), 2, 3), 0.1, dtype=np.float32)
            file["top5"] = np.tile(np.arange(5, dtype=np.int64), (len(ids), 1))
            file["window"] = np.full((len(ids), 4), [0.1, 0, 5, 5], dtype=np.float32)
    merge_submissions([tmp_path / "a.h5", tmp_path / "b.h5"], tmp_path / "m.h5")
    assert validate(tmp_path / "m.h5") == []
    with Submission.open(tmp_path / "m.h5") as opened:
        assert opened.image_ids == ["a", "b", "d"]
        assert opened.read([2])[0].tolist() == [[float(np.float32(0.1))] * 3] * 2
        assert opened.windows is not None
        assert opened.windows[0, 0] == np.float32(0.1)
        assert opened.top5 is not None
        assert opened.top5.tolist() == [[0, 1, 2, 3, 4]] * 3
    with h5py.File(tmp_path / "m.h5") as file:
        assert file["crc32"].shape == (3,)


def test_annotations_count_what_is_missing(tmp_path: Path) -> None:
    mask = np.ones((4, 4), dtype=bool)
    rows = [annotation(name, mask) for name in "abcdef"] + [annotation("t", mask, split="test")]
    write_store(tmp_path / "toys.h5", AnnotationSet("toys", rows))
    store = AnnotationStore.open(tmp_path / "toys.h5")
    shards = [write(tmp_path / "1.h5", "c"), write(tmp_path / "2.h5", "a")]
    merged = merge_submissions(shards, tmp_path / "m.h5", order=store)
    assert (merged.maps, merged.missing) == (2, 4)
    assert merged.notes == ("4 of 6 images of toys val have no map yet: b, d, e and 1 more",)
    shards.append(write(tmp_path / "3.h5", "fedb"))
    merged = merge_submissions(shards, tmp_path / "m.h5", order=store)
    assert (merged.maps, merged.missing, merged.notes) == (6, 0, ())
    with Submission.open(tmp_path / "m.h5") as opened:
        assert opened.image_ids == Dataset.open(store.path).image_ids
    stranger = write(tmp_path / "4.h5", "tx")
    message = r"4\.h5: found 2 images outside the given 6 images of toys val: t, x, expected only"
    refusal([*shards, stranger], tmp_path / "n.h5", message, 1, order=store)
    refusal([stranger], tmp_path / "n.h5", "2 images outside the given 1 image of", 1, order="z")
    refusal(shards, tmp_path / "n.h5", "order: found repeated ids: a, expected", 2, order=[*"abca"])
    refusal(
        shards, tmp_path / "n.h5", "1 image outside the given 1 image .*: c, exp", 1, order=["a"]
    )
    for field, value, expected in (
        ("dataset", "birds", r"the data set 'birds', expected 'toys' as in .*toys\.h5; name annot"),
        ("split", "train", r"the split 'train', expected 'test', 'val' as in "),
    ):
        other = write(tmp_path / "5.h5", "a", header=replace(HEADER, **{field: value}))
        refusal([other], tmp_path / "n.h5", f"5.h5: found maps of {expected}", 1, order=store)
    refusal(shards, store.path, "another file of this command", 2, order=store)


def test_no_shard_or_the_same_twice_is_refused(tmp_path: Path) -> None:
    out = tmp_path / "m.h5"
    refusal([], out, "merge: no submission; name the files to merge", 2)
    first = write(tmp_path / "a.h5", "a")
    refusal([first, first], out, r"a\.h5: found the same file twice, expected each file once", 2)
    os.link(first, tmp_path / "b.h5")
    refusal([first, tmp_path / "b.h5"], out, r"b\.h5: found the same file twice \(as .*a\.h5\)", 2)
    refusal([first, tmp_path / "c.h5"], out, r"c\.h5: found no such file", 2)
    before = first.read_bytes()
    refusal([write(tmp_path / "d.h5", "b"), first], first, "another file of this command", 2)
    assert first.read_bytes() == before


LONG = "x" * 300


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"dataset": "birds"}, r"dataset 'birds', expected dataset 'toys' as in .*a\.h5; merge"),
        ({"split": "test"}, "split 'test', expected split 'val'"),
        ({"label": "predicted"}, "label 'predicted', expected label 'gt'"),
        ({"normalisation": "max"}, "normalisation 'max', expected normalisation 'min-max'"),
        (
            {"normalisation": LONG},
            "found normalisation 'x{199}\\.\\.\\., expected normal.*'min-max'",
        ),
        ({"method": {**METHOD, "seed": 2}}, r"method\.seed 2, expected method\.seed 1 as in"),
        ({"method": {**METHOD, "seed": 1.0}}, r"method\.seed 1\.0, expected method\.seed 1 as in"),
        ({"method": {**METHOD, "paper": "P"}}, r"method\.paper 'P', expected no method\.paper as"),
        ({"method": {"name": "CAM", "seed": 1}}, r"no method\.parameters, expected method\.parame"),
        (
            {"method": {**METHOD, "parameters": {"size": 224, "layers": [3]}}},
            r"method\.parameters\.layers \[3\], expected method\.parameters\.layers \[3, 4\] as in",
        ),
    ],
)
def test_headers_that_differ_are_refused(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    shards = [write(tmp_path / "a.h5", "a"), write(tmp_path / "b.h5", "b")]
    shards.append(write(tmp_path / "c.h5", "c", header=replace(HEADER, **changes)))
    error = refusal(shards, tmp_path / "m.h5", message, 1)
    assert error.where == str(shards[2])


def test_long_values_are_cut_to_where_they_differ(tmp_path: Path) -> None:
    shards = []
    for name in "ab":
        header = replace(HEADER, normalisation=f"{LONG} {name} {LONG}")
        shards.append(write(tmp_path / f"{name}.h5", name, header=header))
    cut = [f"normalisation ...{'x' * 99} {name} {'x' * 98}..." for name in "ba"]
    message = re.escape(f"found {cut[0]}, expected {cut[1]} as in {shards[0]};")
    refusal(shards, tmp_path / "m.h5", message, 1)


@pytest.mark.parametrize(
    "column, values",
    [("top5", FIVE), ("boxes", BOXES), ("windows", WINDOWS), ("edges", ZEROS)],
)
def test_columns_that_only_some_have_are_refused(tmp_path: Path, column: str, values: Any) -> None:
    bare = write(tmp_path / "a.h5", "abc")
    full = write(tmp_path / "b.h5", "def", **{column: values})
    words = "edges of uint8" if column == "edges" else column
    out = tmp_path / "m.h5"
    message = rf"b\.h5: found {words}, expected no {column} as in .*a\.h5; make all files with the"
    refusal([bare, full], out, message, 1)
    message = rf"a\.h5: found no {column}, expected {words} as in .*b\.h5"
    refusal([full, bare], out, message, 1)


def test_types_that_differ_are_refused(tmp_path: Path) -> None:
    first = write(tmp_path / "a.h5", "abc", ZEROS, edges=ZEROS)
    out = tmp_path / "m.h5"
    other = write(tmp_path / "b.h5", "def", ZEROS.astype(np.float16), edges=ZEROS)
    refusal([first, other], out, r"b\.h5: found maps of float16, expected maps of uint8 as in", 1)
    other = write(tmp_path / "b.h5", "def", ZEROS, edges=ZEROS.astype(np.float32))
    refusal([first, other], out, "found edges of float32, expected edges of uint8 as in", 1)


def test_the_same_image_in_two_shards_is_refused(tmp_path: Path) -> None:
    shards = [
        write(tmp_path / f"{number}.h5", ids)
        for number, ids in enumerate(("ab", "cdefg", "hgfaec"))
    ]
    message = r"2\.h5: found 4 images that .*1\.h5 holds too: g, f, e and 1 more, expected each"
    refusal(shards, tmp_path / "m.h5", message, 1)
    last = write(tmp_path / "3.h5", "xb")
    refusal([*shards[:2], last], tmp_path / "m.h5", r"1 image that .*0\.h5 holds too: b, exp", 1)


@pytest.mark.parametrize("resume", [False, True])
def test_a_damaged_shard_leaves_the_old_file(tmp_path: Path, resume: bool) -> None:
    shards = [write(tmp_path / "a.h5", "ab"), write(tmp_path / "b.h5", "cd")]
    out = write(tmp_path / "m.h5", "z")
    before = out.read_bytes()
    with h5py.File(shards[1], "r+") as file:
        file["maps"][1, 0, 0] = 7
    message = r"b\.h5: maps row 1 \(d\): found CRC-32 .* as in crc32; the file is damaged"
    with pytest.raises(WsolbenchError, match=message) as caught:
        merge_submissions(shards, out, resume=resume)
    assert caught.value.exit_status == 1
    assert out.read_bytes() == before
    assert ("m.h5.part" in names(tmp_path)) == resume
    shards[1].write_bytes(shards[1].read_bytes()[:-9])
    with pytest.raises(WsolbenchError, match=r"b\.h5: ") as caught:
        merge_submissions(shards, out, overwrite=True)
    assert "\n" not in str(caught.value)
    assert out.read_bytes() == before


def test_an_interrupted_merge_is_resumed_with_the_same_shards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(merge, "_BATCH", 2)
    shards = [write(tmp_path / "a.h5", "dab"), write(tmp_path / "b.h5", "ec")]
    out = tmp_path / "m.h5"

    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        merge_submissions(shards, out, progress=interrupt)
    assert not out.exists()
    with pytest.raises(WsolbenchError, match=r"m\.h5\.part: an unfinished run; resume it"):
        merge_submissions(shards, out)
    with pytest.raises(WsolbenchError, match=r"an unfinished run with inputs\.images '"):
        merge_submissions(shards[:1], out, resume=True)
    seen: list[int] = []
    merged = merge_submissions(
        shards[::-1], out, resume=True, progress=lambda at, _: seen.append(at)
    )
    assert (seen, merged.maps) == ([4, 5], 5)
    merge_submissions(shards, tmp_path / "n.h5")
    assert out.read_bytes() == (tmp_path / "n.h5").read_bytes()
    with pytest.raises(KeyboardInterrupt):
        merge_submissions(shards, out, progress=interrupt)
    merge_submissions(shards, out, overwrite=True)
    assert names(tmp_path) == ["a.h5", "b.h5", "m.h5", "n.h5"]
