"""Submission files: what is written comes back, and what is wrong with a file is said."""

from __future__ import annotations

import json
import os
import pickle
import re
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.conftest import annotation
from wsolbench import WsolbenchError
from wsolbench.formats.annotations import AnnotationSet, AnnotationStore, write_store
from wsolbench.formats.submission.reader import Submission, SubmissionHeader, SubmissionWriter
from wsolbench.formats.submission.rules import OUTSIDE, bad_top5, unknown_classes
from wsolbench.formats.submission.validate import validate

HEADER = SubmissionHeader(
    "toys", "val", "gt", "min-max of each map", {"name": "CAM", "parameters": {"seeds": [1, 2.5]}}
)
DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "submission-format.md"


def write(path, ids, maps, **columns):
    with SubmissionWriter(path, HEADER) as writer:
        writer.append(ids, maps, **columns)
    return path


def plain(path, maps=None, **changes):
    """A legal file of three images by h5py alone; `changes` replace attributes and data sets."""
    content = {
        "format": "wsolbench-submission",
        "format_version": 1,
        "dataset": "toys",
        "split": "val",
        "label": "gt",
        "normalisation": "none",
        "method": '{"name": "CAM"}',
        "image_id": np.array(["a", "b", "c"], dtype="S"),
        "maps": np.full((3, 2, 4), 0.5, dtype=np.float32) if maps is None else maps,
        **changes,
    }
    with h5py.File(path, "w") as file:
        for name, value in content.items():
            if value is None:
                continue
            if isinstance(value, np.ndarray) and value.ndim:
                file[name] = value
            else:
                file.attrs[name] = value
    return path


@pytest.fixture
def store(tmp_path):
    """Val a, b, c of 8x6 pixels; test t of the same; three classes... of nine."""
    mask = np.zeros((6, 8), dtype=bool)
    mask[1:3, 2:5] = True
    annotations = [annotation(name, mask, split="val") for name in "abc"]
    annotations.append(annotation("t", mask, split="test"))
    classes = [(f"n{i}", f"class {i}") for i in range(9)]
    path = tmp_path / "toys.store.h5"
    write_store(path, AnnotationSet("toys", annotations, classes=classes))
    return AnnotationStore.open(path)


def kinds(path, **arguments):
    return sorted({fault.kind for fault in validate(path, **arguments)})


@pytest.mark.parametrize("dtype", [np.uint8, np.float16, np.float32])
@pytest.mark.parametrize("side", [(3, 5), (56, 56), (57, 2), (70, 80)])
def test_dense_maps_come_back(tmp_path, dtype, side):
    rng = np.random.default_rng(1)
    maps = rng.random((7, *side))
    maps = (maps * 255).astype(dtype) if dtype == np.uint8 else maps.astype(dtype)
    ids = [f"v{i}" for i in range(7)]
    path = tmp_path / "s.h5"
    with SubmissionWriter(path, HEADER) as writer:
        writer.append(ids[:3], maps[:3])
        writer.append(ids[3:], list(maps[3:]))
    with Submission.open(path) as submission:
        assert submission.image_ids == ids
        assert submission.dtype == dtype
        assert submission.shapes.tolist() == [list(side)] * 7
        rows = [6, 0, 1, 2, 2, 5]
        for row, found in zip(rows, submission.read(rows), strict=True):
            assert found.dtype == dtype
            assert np.array_equal(found, maps[row])
        assert submission.top5 is None
        assert submission.boxes is None
        assert submission.edge_shapes is None
        assert submission.header == HEADER
    with h5py.File(path, "r") as file:
        assert np.array_equal(file["maps"][()], maps)
        small = max(side) <= 56
        assert file["maps"].chunks == (None if small else (1, *side))
        assert file["maps"].compression == (None if small else "gzip")
        assert file["crc32"][()].tolist() == [zlib.crc32(plane.tobytes()) for plane in maps]
        assert file["image_id"].dtype == "S2"
    assert validate(path) == []
    assert not path.with_name("s.h5.part").exists()


def test_windows_come_back(tmp_path):
    windows = np.array([[0.1, 1 / 3, 7.5, 6], [-1.5, -2, 9.5, 8], [0, 0, 8, 6]])
    path = tmp_path / "s.h5"
    with SubmissionWriter(path, HEADER) as writer:
        writer.append(["a", "b"], np.zeros((2, 3, 4), np.uint8), windows=windows[:2].tolist())
        writer.append(["c"], np.zeros((1, 5, 4), np.uint8), windows=windows[2:].astype(np.float32))
    with Submission.open(path) as submission:
        assert submission.windows.dtype == np.float64
        assert np.array_equal(submission.windows, windows)
    with h5py.File(path) as file:
        assert file["window"].dtype == "<f8"
    assert validate(path) == []


def test_an_interrupted_run_keeps_its_windows(tmp_path):
    path, windows = tmp_path / "s.h5", np.array([[0.1, 0.2, 7.5, 6], [1, 1, 9, 8]])
    maps = np.zeros((2, 3, 4), np.uint8)
    for resume in (False, True):
        with SubmissionWriter(tmp_path / "whole.h5", HEADER, resume=resume) as writer:
            writer.append(["a", "b"], maps, windows=windows)
    with suppress(KeyboardInterrupt), SubmissionWriter(path, HEADER) as writer:
        writer.append(["a"], maps[:1], windows=windows[:1])
        raise KeyboardInterrupt
    assert not path.exists()
    with SubmissionWriter(path, HEADER, resume=True) as writer:
        with pytest.raises(WsolbenchError, match="b: found no windows, expected windows, as in"):
            writer.append(["b"], maps[1:])
        writer.append(["b"], maps[1:], windows=windows[1:])
    assert path.read_bytes() == (tmp_path / "whole.h5").read_bytes()


@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8", ">f8"])
def test_windows_by_other_libraries(tmp_path, dtype, store):
    windows = np.array([[0.5, 0, 7.5, 6], [-2, 1, 10, 5], [0, 0, 8, 6]], dtype)
    path = plain(tmp_path / "s.h5", window=windows)
    assert validate(path, store) == []
    assert Submission.open(path).windows.tolist() == windows.tolist()


@pytest.mark.parametrize("ragged", [False, True])
@pytest.mark.parametrize(
    ("stored", "read"),
    [(">f2", "float16"), (">f4", "float32"), ("<f8", "float32"), (">f8", "float32")],
)
def test_maps_by_other_libraries(tmp_path, stored, read, ragged, store):
    maps = np.linspace(0, 1, 24).reshape(3, 2, 4).astype(stored)
    bits = maps.astype(maps.dtype.newbyteorder("<"))
    crc32 = np.array([zlib.crc32(own.tobytes()) for own in bits], np.uint32)
    path = plain(tmp_path / "s.h5", maps=maps, crc32=crc32)
    if ragged:
        with h5py.File(path, "r+") as file:
            del file["maps"]
            file["maps/values"] = maps.ravel()
            file["maps/offsets"] = np.arange(4) * 8
            file["maps/shapes"] = np.full((3, 2), [2, 4])
    assert validate(path, store) == []
    with Submission.open(path) as submission:
        assert submission.dtype == read
        planes = submission.read([2, 0])
    assert [str(own.dtype) for own in planes] == [read, read]
    assert np.array_equal(planes, maps[[2, 0]].astype(read))


@pytest.mark.parametrize(
    ("value", "found"), [(1.5, "8 of 8 values above 1"), (1e300, "8 of 8 values NaN or infinite")]
)
def test_values_of_doubles_are_checked(tmp_path, value, found):
    path = plain(tmp_path / "s.h5", maps=np.full((3, 2, 4), value))
    assert [fault.found.partition(",")[0] for fault in validate(path)] == [found] * 3
    with pytest.raises(WsolbenchError, match=found):
        Submission.open(path).read([1])


def test_a_wrong_checksum_of_doubles_is_found(tmp_path):
    path = plain(tmp_path / "s.h5", maps=np.zeros((3, 2, 4)), crc32=np.zeros(3, np.uint32))
    assert kinds(path) == ["crc32"]


def test_ids_in_a_column_of_a_matrix(tmp_path, store):
    path = plain(tmp_path / "s.h5", image_id=np.array([["a"], ["b "], ["c"]], "S"))
    assert validate(path, store) == []
    assert Submission.open(path).image_ids == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("windows", "message"),
    [
        (
            np.zeros((3, 4), np.int32),
            r"window: found dtype int32, expected float32 or float64 \(N, 4\)",
        ),
        (np.zeros((3, 4), np.float16), "window: found dtype float16"),
        (np.zeros((2, 4), np.float32), r"window: found shape \(2, 4\)"),
        (np.array([[0, 0, 8, 6]] * 2 + [[0, 0, np.nan, 6]]), r"window row 2 \(c\): found .*nan"),
        (np.array([[0, 0, 8, 6]] * 2 + [[4, 0, 4, 6]], "f4"), "window row 2.*at least one pixel"),
        (np.array([[0, 0, 8, 6]] * 2 + [[0, 6, 8, 0]], "f4"), "window row 2.*at least one pixel"),
        (np.array([[0, 0, 8, 6]] * 2 + [[0, 0, np.inf, 6]]), "window row 2.*finite"),
    ],
)
def test_illegal_windows(tmp_path, windows, message):
    path = plain(tmp_path / "s.h5", window=windows)
    (fault,) = validate(path)
    assert re.search(message, str(fault)), str(fault)
    with pytest.raises(WsolbenchError, match=message):
        Submission.open(path)


@pytest.mark.parametrize(
    ("window", "sound"),
    [
        ([0, 0, 8, 6], True),
        ([1.5, 0, 6.5, 6], True),
        ([-40, 0, 48, 6], True),
        ([0, -0.75, 8.75, 6], True),
        ([2, 0, 10, 6], False),
        ([-3, 0, 5, 6], False),
        ([0, 4, 8, 9], False),
        ([100, 100, 324, 324], False),
        ([8, 0, 9, 6], False),
        ([1, 2, 4, 8], False),
    ],
)
def test_windows_lie_within_their_images_or_cover_them(tmp_path, store, window, sound):
    windows = np.array([[0, 0, 8, 6], window, [0, 0, 8, 6]], np.float32)
    path = plain(tmp_path / "s.h5", window=windows)
    assert validate(path) == []
    found = [str(fault) for fault in validate(path, store)]
    if sound:
        assert found == []
    else:
        assert len(found) == 1
        assert re.search(r"window row 1 \(b\): found .* in 8x6 pixels, expected a window", found[0])


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_ragged_maps_with_everything_come_back(data, tmp_path_factory):
    dtype = np.dtype(data.draw(st.sampled_from(["u1", "f2", "f4"])))
    top = 255 if dtype == np.uint8 else 1
    longest = data.draw(st.sampled_from([6, 90]))
    sides = st.tuples(st.integers(1, longest), st.integers(1, longest))
    shapes = data.draw(st.lists(sides, min_size=1, max_size=9))
    seed = data.draw(st.integers(0, 99))
    rng = np.random.default_rng(seed)
    maps = [(rng.random(shape) * top).astype(dtype) for shape in shapes]
    edges = [(rng.random(shape[::-1]) < 0.2).astype(np.uint8) for shape in shapes]
    top5 = np.stack([rng.permutation(9)[:5] for _ in maps])
    boxes = data.draw(hnp.arrays(np.int64, (len(maps), 2), elements=st.integers(0, 50)))
    boxes = np.concatenate([boxes, boxes + 1], axis=1)
    path = tmp_path_factory.mktemp("ragged") / "s.h5"
    ids = [f"i{row}" for row in range(len(maps))]
    write(path, ids, maps, top5=top5, boxes=boxes, edges=edges)
    with Submission.open(path) as submission:
        assert submission.shapes.tolist() == [list(shape) for shape in shapes]
        everything = range(len(maps))
        for found, expected in zip(submission.read(everything), maps, strict=True):
            assert np.array_equal(found, expected)
        for found, expected in zip(submission.read_edges(everything), edges, strict=True):
            assert np.array_equal(found, expected)
        assert np.array_equal(submission.top5, top5)
        assert np.array_equal(submission.boxes, boxes)
        assert submission.top5.dtype == submission.boxes.dtype == np.int32
    assert validate(path) == []


def test_ragged_values_lie_as_the_format_page_says(tmp_path):
    small = [np.zeros((56, 3), np.uint8), np.zeros((2, 56), np.uint8)]
    large = [np.zeros((400, 700), np.uint8), np.zeros((2, 57), np.uint8)]
    with h5py.File(write(tmp_path / "a.h5", ["a", "b"], small), "r") as file:
        assert file["maps/values"].chunks is None
        assert file["maps/offsets"][()].tolist() == [0, 168, 280]
        assert file["maps/shapes"][()].tolist() == [[56, 3], [2, 56]]
    with h5py.File(write(tmp_path / "b.h5", ["a", "b"], large), "r") as file:
        assert file["maps/values"].chunks == (1 << 18,)
        assert file["maps/values"].compression == "gzip"
        assert not file["maps/values"][()].any()


def test_noise_is_hardly_larger_in_the_file_and_read_by_both(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (2, 600, 600), dtype=np.uint8)
    path = write(tmp_path / "s.h5", ["a", "b"], noise)
    with h5py.File(path, "r") as file:
        assert file["maps"].chunks == (1, 600, 600)
        assert noise.nbytes < file["maps"].id.get_storage_size() < 1.002 * noise.nbytes
        assert np.array_equal(file["maps"][()], noise)
    assert np.array_equal(Submission.open(path).read([0, 1]), noise)


def test_the_ten_lines_of_the_format_page_write_a_legal_file(tmp_path, monkeypatch):
    code = re.search(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(compile(code.group(1), "submission-format.md", "exec"), {})
    assert validate("submission.h5") == []
    submission = Submission.open("submission.h5")
    assert submission.header.method == {"name": "CAM"}
    assert submission.image_ids[1] == "ILSVRC2012_val_00000002"
    expected = np.random.default_rng(0).random((2, 14, 14)).astype(np.float32)
    assert np.array_equal(submission.read([0, 1]), expected)


def test_the_writer_of_the_format_page_stores_the_same_maps_and_edges(tmp_path, monkeypatch):
    text = DOCUMENT.read_text(encoding="utf-8")
    first, *others = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    written, edges = (block for block in others if "SubmissionWriter" in block)
    monkeypatch.chdir(tmp_path)
    names = {}
    for code in (first, written):
        exec(compile(code, "submission-format.md", "exec"), names)
    assert validate("written.h5") == []
    plain, checked = Submission.open("submission.h5"), Submission.open("written.h5")
    assert checked.header == plain.header
    assert list(checked.image_ids) == list(plain.image_ids)
    assert np.array_equal(checked.read([0, 1]), plain.read([0, 1]))
    names |= {"image_ids": ["a"], "probabilities": np.full((1, 2, 3), 0.5, np.float32)}
    exec(compile(edges, "submission-format.md", "exec"), names)
    assert validate("edges.h5") == []


def test_the_lines_for_other_languages_mend_a_transposed_file(tmp_path, monkeypatch):
    """A column-major array of size (height, width, N) is (N, width, height) in HDF5."""
    maps = np.random.default_rng(1).random((3, 2, 5)).astype(np.float32)
    with SubmissionWriter(
        tmp_path / "submission.h5", SubmissionHeader("t", "val", "gt", "none", {"name": "m"})
    ) as writer:
        writer.append(["a", "b", "c"], np.ascontiguousarray(maps.transpose(0, 2, 1)))
    monkeypatch.chdir(tmp_path)
    text = DOCUMENT.read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    (code,) = [block for block in blocks if "transpose" in block]
    exec(compile(code, "submission-format.md", "exec"), {"h5py": h5py, "np": np})
    assert validate("submission.h5") == []
    assert np.array_equal(Submission.open("submission.h5").read([0, 1, 2]), maps)


@pytest.mark.parametrize("value", [1.0, np.array([1.0]), np.float32(1)])
def test_other_languages_write_doubles_and_pad_with_blanks(tmp_path, value):
    path = plain(tmp_path / "s.h5")
    with h5py.File(path, "r+") as file:
        file.attrs["format_version"] = value
        ids = file["image_id"][()].tolist()
        del file["image_id"]
        kind = h5py.h5t.C_S1.copy()
        kind.set_size(9)
        kind.set_strpad(h5py.h5t.STR_SPACEPAD)
        space = h5py.h5s.create_simple((len(ids),))
        column = h5py.h5d.create(file.id, b"image_id", kind, space)
        padded = np.array([one.ljust(9) for one in ids], "S9")
        column.write(h5py.h5s.ALL, h5py.h5s.ALL, padded, mtype=kind)
    assert validate(path) == []
    assert Submission.open(path).image_ids == [one.decode() for one in ids]


@pytest.mark.parametrize(
    "options",
    [
        {"chunks": (64, 9, 7)},
        {"chunks": (64, 9, 7), "compression": "gzip", "compression_opts": 9},
        {"chunks": (4, 5, 2), "compression": "gzip"},
        {"chunks": (1, 9, 7)},
        {"chunks": (7, 2, 7), "maxshape": (None, 9, 7)},
    ],
)
def test_any_chunks_are_read(tmp_path, options):
    maps = np.random.default_rng(3).integers(0, 256, (100, 9, 7), dtype=np.uint8)
    path = plain(tmp_path / "s.h5", image_id=np.array([f"i{i}" for i in range(100)], "S"))
    with h5py.File(path, "r+") as file:
        del file["maps"]
        file.create_dataset("maps", data=maps, **options)
    submission = Submission.open(path)
    for rows in (range(100), [99], [0, 50, 3, 4, 5, 63, 64, 65]):
        assert np.array_equal(submission.read(rows), maps[list(rows)])
    assert validate(path) == []


def test_attributes_of_fixed_length_and_compact_data_are_read(tmp_path):
    path = plain(
        tmp_path / "s.h5",
        format=np.bytes_("wsolbench-submission"),
        normalisation=np.bytes_("sigma / µ".encode()),
        format_version=np.uint8(1),
        image_id=None,
    )
    with h5py.File(path, "r+") as file:
        creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        creation.set_layout(h5py.h5d.COMPACT)
        ids = np.array(["a", "b", "c"], dtype="S")
        h5py.h5d.create(
            file.id,
            b"image_id",
            h5py.h5t.py_create(ids.dtype),
            h5py.h5s.create_simple((3,)),
            creation,
        ).write(h5py.h5s.ALL, h5py.h5s.ALL, ids)
    submission = Submission.open(path)
    assert submission.header.normalisation == "sigma / µ"
    assert submission.image_ids == ["a", "b", "c"]


@pytest.mark.parametrize("libver", ["earliest", "latest", "v110"])
def test_attributes_of_either_object_header_are_read(tmp_path, libver):
    path = tmp_path / "s.h5"
    with h5py.File(path, "w", libver=libver, track_order=libver == "v110") as file:
        file.attrs["padding"] = "x" * 200
        file.attrs["dataset"] = "first, then longer" * 4
        with h5py.File(plain(tmp_path / "plain.h5"), "r") as legal:
            for name in legal.attrs:
                file.attrs[name] = legal.attrs[name]
            for name in legal:
                file[name] = legal[name][()]
        file.attrs["method"] = json.dumps({"name": "CAM", "parameters": "y" * 60_000})
    if libver == "earliest":
        assert Submission.open(path).header.method["parameters"] == "y" * 60_000
    assert kinds(path) == []


def test_a_submission_is_sent_as_its_path_and_read_by_threads(tmp_path):
    maps = np.random.default_rng(0).random((200, 60, 60)).astype(np.float32)
    path = plain(tmp_path / "s.h5", image_id=np.array([f"i{i}" for i in range(200)], "S"))
    with h5py.File(path, "r+") as file:
        del file["maps"]
        file.create_dataset("maps", data=maps, chunks=(8, 60, 60), compression="gzip")
    submission = Submission.open(path)
    again = pickle.loads(pickle.dumps(submission))
    assert again.image_ids == submission.image_ids
    assert again.sha256 == submission.sha256
    orders = [np.random.default_rng(seed).permutation(200) for seed in range(8)]
    with ThreadPoolExecutor(8) as pool:
        for order, found in zip(orders, pool.map(again.read, orders), strict=True):
            assert np.array_equal(found, maps[order])
    content = pickle.dumps(submission)
    with open(path, "ab") as file:
        file.write(b"x")
    with pytest.raises(WsolbenchError, match="as when it was first opened"):
        pickle.loads(content)


def test_what_is_read_may_be_written_to_and_changes_nothing(tmp_path):
    submission = Submission.open(plain(tmp_path / "s.h5"))
    (found,) = submission.read([1])
    found[:] = 0
    assert submission.read([1])[0].min() == 0.5


def test_sha256_is_of_the_file(tmp_path):
    import hashlib

    path = plain(tmp_path / "s.h5")
    assert Submission.open(path).sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_rows_outside_and_closed_files_are_refused(tmp_path):
    submission = Submission.open(plain(tmp_path / "s.h5"))
    assert submission.read([]) == []
    with pytest.raises(WsolbenchError, match=r"rows -1 to 0, expected rows from 0 to 2"):
        submission.read([0, -1])
    with pytest.raises(WsolbenchError, match="no edges"):
        submission.read_edges([0])
    submission.close()
    with pytest.raises(WsolbenchError, match="the file is closed"):
        submission.read([0])


def test_missing_files_folders_and_other_formats_cannot_be_used(tmp_path):
    with pytest.raises(WsolbenchError, match="no such file") as caught:
        validate(tmp_path / "none.h5")
    assert caught.value.exit_status == 2
    with pytest.raises(WsolbenchError, match="a folder"):
        Submission.open(tmp_path)
    text = tmp_path / "maps.txt"
    text.write_text("no maps")
    with pytest.raises(WsolbenchError, match="not an HDF5 file") as caught:
        Submission.open(text)
    assert caught.value.exit_status == 2
    text.write_text("")
    with pytest.raises(WsolbenchError, match="not an HDF5 file"):
        Submission.open(text)


@pytest.mark.parametrize(
    "name, value, message",
    [
        ("format", "wsolbench-annotations", "attribute format: found 'wsolbench-annotations'"),
        ("format", None, "attribute format: found none"),
        ("format_version", 3, "format_version: found 3, expected the integer 1 or 2"),
        ("format_version", 1.5, "format_version: found the number 1.5"),
        ("dataset", None, "attribute dataset: found none, expected a string"),
        ("dataset", 3, "attribute dataset: found an integer"),
        ("dataset", "x" * 65, "1 to 64 ASCII"),
        ("dataset", "toys\u202e", "1 to 64 ASCII"),
        ("dataset", "../toys", "no slash"),
        ("dataset", "x" * 5000, "attribute dataset: found a string of 5000 bytes"),
        ("dataset", np.bytes_("x" * 5000), "attribute dataset: found 5000 bytes"),
        ("dataset", np.bytes_(b"\xff\xfe"), "not UTF-8"),
        ("split", "../val", "attribute split"),
        ("label", "both", '"gt" or "predicted"'),
        ("normalisation", "", "attribute normalisation: found ''"),
        ("method", "CAM", "invalid JSON"),
        ("method", "[1]", "JSON that is not an object"),
        ("method", "{}", "attribute method: found None"),
        ("method", '{"name": "CAM", "name": "SEM"}', "duplicate key"),
        ("method", '{"name": "CAM", "seed": NaN}', "NaN is not a JSON number"),
        ("method", '{"name": "CAM", "seed": 1e999}', "1e999 is beyond float64"),
        ("method", '{"name": "CAM", "paper": "\\ud800"}', "invalid JSON"),
        ("method", "[" * 60_000, "invalid JSON|not an object"),
        ("method", json.dumps({"name": "x" * 70_000}), "a string of 7"),
    ],
)
def test_header_faults_are_said(tmp_path, name, value, message):
    path = plain(tmp_path / "s.h5", **{name: value})
    with pytest.raises(WsolbenchError, match=message) as caught:
        Submission.open(path)
    assert caught.value.exit_status == 1
    assert "\n" not in str(caught.value)
    faults = validate(path)
    assert len(faults) == 1
    assert re.search(message, str(faults[0]))


def test_arrays_and_references_among_the_attributes_are_refused(tmp_path):
    path = plain(tmp_path / "s.h5", dataset=None)
    with h5py.File(path, "r+") as file:
        file.attrs["dataset"] = ["toys", "val"]
        file.attrs["split"] = file["maps"].ref
        file.attrs["label"] = h5py.Empty("f4")
        file.attrs["mine"] = np.arange(7.0)
    found = {fault.where: fault.found for fault in validate(path)}
    assert found["attribute dataset"] == "an array"
    assert found["attribute split"] == "another type"
    assert found["attribute label"] == "an array"
    assert len(found) == 3


@pytest.mark.parametrize(
    "changes, kind, message",
    [
        ({"maps": np.zeros((3, 2, 4), ">i2")}, "structure", "dtype big-endian int16"),
        ({"image_id": np.array([["a", "b", "c"]], "S")}, "structure", r"shape \(1, 3\)"),
        ({"maps": np.zeros((3, 2, 4), np.int8)}, "structure", "dtype int8"),
        ({"maps": np.zeros((3, 2, 4), bool)}, "structure", "not a standard number"),
        ({"maps": np.zeros((2, 2, 4), np.uint8)}, "structure", r"shape \(2, 2, 4\)"),
        ({"maps": np.zeros((3, 2), np.uint8)}, "structure", r"shape \(3, 2\)"),
        ({"maps": np.zeros((3, 1, 4097), np.uint8)}, "structure", "4097"),
        ({"maps": np.zeros((3, 1, 2, 2), np.uint8)}, "structure", r"\(3, 1, 2, 2\)"),
        ({"crc32": np.zeros(3, np.int64)}, "structure", "crc32: found dtype int64"),
        ({"crc32": np.zeros(2, np.uint32)}, "structure", r"crc32: found shape \(2,\)"),
        ({"top5": np.zeros((3, 4), int)}, "structure", r"top5: found shape \(3, 4\)"),
        ({"top5": np.zeros((3, 5))}, "structure", "top5: found dtype float64"),
        ({"top5": np.array([range(5), [0, 1, 2, 3, 3], range(5)])}, "top5", r"row 1 \(b\)"),
        ({"top5": np.array([range(5), range(5), [-1, 0, 1, 2, 3]])}, "top5", r"row 2 \(c\)"),
        ({"boxes": np.array([[0, 0, 1, 1], [2, 0, 2, 1], [0, 0, 1, 1]])}, "boxes", r"row 1 \(b\)"),
        ({"boxes": np.array([[-1, 0, 1, 1]] + [[0, 0, 1, 1]] * 2)}, "boxes", r"row 0 \(a\)"),
        ({"boxes": np.array([[0, 0, 1, 2**40]] + [[0, 0, 1, 1]] * 2)}, "boxes", "int32"),
        ({"boxes": np.zeros((3, 4), np.float32)}, "structure", "boxes: found dtype float32"),
        ({"image_id": np.array(["a", "b", "a"], "S")}, "ids", r"one of 2 rows with this id"),
        ({"image_id": np.array(["a", "../b", "c"], "S")}, "ids", "image_id row 1: found '../b'"),
        ({"image_id": np.array([b"a", b"\xff", b"c"], "S")}, "ids", "row 1"),
        ({"image_id": np.array(["a", "", "c"], "S")}, "ids", "row 1: found ''"),
        ({"image_id": np.array(["a", "b", "c" * 65], "S")}, "structure", "length 65 bytes"),
        ({"image_id": None}, "structure", "image_id: found nothing"),
    ],
)
def test_faults_of_columns_are_said(tmp_path, changes, kind, message):
    path = plain(tmp_path / "s.h5", **changes)
    faults = [fault for fault in validate(path) if fault.kind == kind]
    assert faults
    assert re.search(message, str(faults[0]))
    with pytest.raises(WsolbenchError, match=r"s\.h5: "):
        Submission.open(path)


def test_strings_of_variable_length_have_their_cure(tmp_path):
    path = plain(tmp_path / "s.h5", image_id=None)
    with h5py.File(path, "r+") as file:
        file["image_id"] = ["a", "b", "c"]
    with pytest.raises(WsolbenchError, match=r'variable.*numpy\.array\(strings, dtype="S"\)'):
        Submission.open(path)


@pytest.mark.parametrize(
    "row, value, message",
    [
        (1, np.nan, "1 of 8 values NaN"),
        (2, np.inf, "1 of 8 values NaN or infinite"),
        (0, -0.25, "1 of 8 values below 0, up to -0.25"),
        (1, 1.5, "1 of 8 values above 1, up to 1.5"),
    ],
)
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_values_outside_are_said_with_id_and_row(tmp_path, dtype, row, value, message):
    maps = np.full((3, 2, 4), 0.5, dtype=dtype)
    maps[row, 1, 2] = value
    path = plain(tmp_path / "s.h5", maps=maps)
    (fault,) = validate(path)
    assert (fault.kind, fault.row, fault.image_id) == ("maps", row, "abc"[row])
    assert message in fault.found
    submission = Submission.open(path)
    with pytest.raises(
        WsolbenchError, match=rf"maps row {row} \({'abc'[row]}\): found .*{message}"
    ):
        submission.read([0, 1, 2])


def test_a_flipped_value_is_found_by_its_checksum(tmp_path):
    maps = np.arange(24, dtype=np.uint8).reshape(3, 2, 4)
    path = write(tmp_path / "s.h5", ["a", "b", "c"], maps)
    content = bytearray(path.read_bytes())
    place = content.find(maps.tobytes())
    content[place + 9] ^= 16
    path.write_bytes(content)
    (fault,) = validate(path)
    assert (fault.kind, fault.row, fault.image_id) == ("crc32", 1, "b")
    submission = Submission.open(path)
    assert np.array_equal(submission.read([0, 2]), maps[[0, 2]])
    with pytest.raises(WsolbenchError, match=r"maps row 1 \(b\): found CRC-32"):
        submission.read([0, 1])


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"maps/offsets": np.array([0, 8, 15])}, r"maps/offsets: found 15 in row 2, expected 14"),
        ({"maps/offsets": np.array([1, 8, 14])}, "found 1 in row 0"),
        ({"maps/offsets": np.array([0, 14])}, r"shape \(2,\)"),
        ({"maps/offsets": np.array([0, 2**64 - 1, 14], np.uint64)}, "found 18446744073709551615"),
        ({"maps/shapes": np.array([[2, 4], [0, 3]])}, r"such as \[0, 3\] in row 1"),
        ({"maps/shapes": np.array([[2, 4], [2, 2**62]])}, "4611686018427387904"),
        ({"maps/shapes": np.array([[2, 4]])}, r"shape \(1, 2\)"),
        ({"maps/values": np.zeros(13, np.uint8)}, r"shape \(13,\).*\(14,\)"),
        ({"maps/values": np.zeros(14, np.int16)}, "dtype int16"),
    ],
)
def test_faults_of_the_ragged_form_are_said(tmp_path, changes, message):
    content = {
        "maps/values": np.zeros(14, np.uint8),
        "maps/offsets": np.array([0, 8, 14]),
        "maps/shapes": np.array([[2, 4], [2, 3]]),
    }
    ids = np.array(["a", "b"], "S")
    good = plain(tmp_path / "good.h5", image_id=ids, maps=np.float32(0), **content)
    assert validate(good) == []
    path = plain(tmp_path / "s.h5", image_id=ids, maps=np.float32(0), **{**content, **changes})
    with pytest.raises(WsolbenchError, match=message):
        Submission.open(path)


def test_all_faults_come_at_once(tmp_path):
    maps = np.full((3, 2, 4), 0.5, dtype=np.float32)
    maps[2, 0, 0] = np.nan
    path = plain(
        tmp_path / "s.h5",
        maps=maps,
        label="both",
        image_id=np.array(["a", "b", "b"], "S"),
        crc32=np.array([zlib.crc32(maps[0].tobytes()), 5, zlib.crc32(maps[2].tobytes())], "u4"),
        top5=np.array([range(5), [0] * 5, range(5)]),
        boxes=np.array([[0, 0, 1, 1], [0, 0, 1, 1], [3, 3, 3, 4]]),
    )
    faults = validate(path)
    assert [fault.kind for fault in faults] == [
        *("header", "ids", "ids", "top5", "boxes", "crc32", "maps")
    ]
    with pytest.raises(WsolbenchError, match=r"h5: 5 faults \(attribute label: .* and 2 more\)"):
        Submission.open(path)


def test_a_long_list_of_one_kind_ends_in_a_count(tmp_path):
    ids = np.array([f"i{i}" for i in range(1500)], "S")
    path = plain(tmp_path / "s.h5", image_id=ids, maps=np.full((1500, 1, 1), 2, np.float16))
    faults = validate(path)
    assert len(faults) == 1001
    assert faults[-1].found == "500 more faults of the kind 'maps'"


def test_validate_tells_how_far_it_is(tmp_path):
    seen = []
    path = plain(tmp_path / "s.h5", maps=np.zeros((3, 2000, 3000), np.uint8))
    assert validate(path, progress=lambda done, total: seen.append((done, total))) == []
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_against_the_annotations(tmp_path, store):
    top5 = np.tile(np.arange(5), (3, 1))
    boxes = np.tile([0, 0, 8, 6], (3, 1))
    good = plain(tmp_path / "good.h5", top5=top5, boxes=boxes)
    assert validate(good, store=store) == []
    assert validate(good, store=store, split="val") == []
    top5[1, 4] = 9
    boxes[2, 2] = 9
    bad = plain(
        tmp_path / "bad.h5",
        image_id=np.array(["a", "t", "x"], "S"),
        dataset="others",
        top5=top5,
        boxes=np.array([[0, 0, 8, 7], [0, 0, 9, 6], [0, 0, 99, 99]]),
    )
    faults = validate(bad, store=store)
    assert [(fault.kind, fault.row, fault.image_id) for fault in faults] == [
        ("header", None, None),
        ("unknown-id", 1, "t"),
        ("unknown-id", 2, "x"),
        ("missing-id", None, "b"),
        ("missing-id", None, "c"),
        ("top5", 1, "t"),
        ("boxes", 0, "a"),
        ("boxes", 1, "t"),
    ]
    assert "an image of the split 'test'" in str(faults[1])
    assert "not in the annotations" in str(faults[2])
    assert "a box within 8x6 pixels" in str(faults[6])


def test_another_data_set_is_said_once(tmp_path, store):
    ids = {"image_id": np.array(["p", "q", "r"], "S"), "dataset": "others"}
    (fault,) = validate(plain(tmp_path / "s.h5", **ids), store=store)
    assert "found 'others', expected 'toys'" in str(fault)


def test_faults_of_header_and_version_come_together(tmp_path):
    path = plain(tmp_path / "s.h5", method=None, label="ground truth", format_version=3)
    found = " ".join(map(str, validate(path)))
    for fault in ("format_version: found 3", "attribute method: found none", "'ground truth'"):
        assert fault in found


def test_another_split_is_said_once(tmp_path, store):
    of_test = {"image_id": np.array(["t"], "S"), "maps": np.zeros((1, 2, 2), np.uint8)}
    path = plain(tmp_path / "s.h5", **of_test)
    (fault,) = validate(path, store=store)
    assert fault.kind == "split"
    assert "only maps of other splits (1 of 'test')" in str(fault)
    stated = plain(tmp_path / "t.h5", split="test", **of_test)
    assert validate(stated, store=store) == []
    first, second = validate(stated, store=store, split="val")
    assert "a submission for the split 'test', expected 'val'" in str(first)
    assert second.kind == "split"
    (fault,) = validate(plain(tmp_path / "u.h5", split="train"), store=store)
    assert "found 'train', expected one of 'test', 'val'" in str(fault)


def test_a_fifo_in_the_place_of_the_file_does_not_hang(tmp_path):
    if not hasattr(os, "mkfifo"):
        pytest.skip("this system has no FIFOs")
    os.mkfifo(tmp_path / "s.h5")
    with pytest.raises(WsolbenchError, match="a device or pipe"):
        Submission.open(tmp_path / "s.h5")


@pytest.mark.parametrize(
    "row, legal",
    [
        ([3, 1, -1, -1, -1], True),
        ([0, 1, 2, 3, 4], True),
        ([-1, -1, -1, -1, -1], False),
        ([3, -1, 1, -1, -1], False),
        ([3, 3, -1, -1, -1], False),
        ([3, 1, -2, -1, -1], False),
        ([OUTSIDE + 8, 1, OUTSIDE, 2, OUTSIDE + 999], True),
        ([OUTSIDE, 1, OUTSIDE, 2, 3], False),
    ],
)
def test_fewer_than_five_classes_leave_last_places_empty(row: list[int], legal: bool) -> None:
    assert bad_top5(np.array([row])) == ([] if legal else [0])


@pytest.mark.parametrize(
    "row, unknown",
    [([0, 5, -1, -1, -1], False), ([0, 6, -1, -1, -1], True), ([OUTSIDE, 5, 0, 1, 2], False)],
)
def test_classes_that_the_data_set_does_not_have(row: list[int], unknown: bool) -> None:
    assert unknown_classes(np.array([row]), 6).tolist() == [unknown]
