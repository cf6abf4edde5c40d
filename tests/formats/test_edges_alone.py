"""Submissions of edges alone: written, read, resumed, merged, checked, and refused as maps."""

from __future__ import annotations

import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest

from wsolbench.errors import WsolbenchError
from wsolbench.formats.describe import describe
from wsolbench.formats.submission.merge import merge_submissions
from wsolbench.formats.submission.reader import Submission
from wsolbench.formats.submission.rules import SubmissionHeader
from wsolbench.formats.submission.validate import validate
from wsolbench.formats.submission.writer import SubmissionWriter

HEADER = SubmissionHeader("shapes", "val", "gt", "none", {"name": "edges"})
RNG = np.random.default_rng(0)
EDGES = [RNG.integers(0, 256, RNG.integers(60, 90, 2)).astype(np.uint8) for _ in range(6)]
IDS = [f"i{place}" for place in range(6)]


def write(path: Path, places: range = range(6)) -> Path:
    with SubmissionWriter(path, HEADER) as writer:
        for place in places:
            writer.append([IDS[place]], None, edges=[EDGES[place]])
    return path


def test_edges_come_back_as_they_were(tmp_path: Path) -> None:
    path = write(tmp_path / "e.h5")
    assert validate(path) == []
    with Submission.open(path) as opened:
        assert opened.shapes is None
        assert opened.dtype is None
        for found, expected in zip(opened.read_edges(range(6)), EDGES, strict=True):
            np.testing.assert_array_equal(found, expected)
        with pytest.raises(WsolbenchError, match="found edges alone, expected localization maps"):
            opened.read([0])
    told = describe(path)
    assert told["maps"] == 0
    assert told["edges"] == 6
    assert "dtype" not in told


def test_parts_are_joined_and_runs_resumed_to_the_byte(tmp_path: Path) -> None:
    whole = write(tmp_path / "whole.h5").read_bytes()
    parts = [write(tmp_path / f"{place}.h5", range(place, 6, 2)) for place in (0, 1)]
    merge_submissions(parts, tmp_path / "joined.h5")
    assert (tmp_path / "joined.h5").read_bytes() == whole

    def interrupted() -> None:
        with SubmissionWriter(tmp_path / "r.h5", HEADER) as writer:
            writer.append(IDS[:2], None, edges=EDGES[:2])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    with SubmissionWriter(tmp_path / "r.h5", HEADER, resume=True) as writer:
        assert list(writer.written) == IDS[:2]
        writer.append(IDS[2:], None, edges=EDGES[2:])
    assert (tmp_path / "r.h5").read_bytes() == whole


def test_damage_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "e.h5")
    with h5py.File(path, "r+") as file:
        values = file["edges/values"]
        at = int(file["edges/offsets"][3])
        values[at] = values[at] ^ 1
    (fault,) = validate(path)
    assert str(fault).startswith("edges row 3 (i3): found CRC-32")
    assert "as in edges_crc32" in str(fault)
    with Submission.open(path) as opened:
        opened.read_edges([2])
        with pytest.raises(WsolbenchError, match=r"edges row 3 \(i3\): found CRC-32"):
            opened.read_edges([3])
    with h5py.File(path, "r+") as file:
        del file["edges_crc32"]
    assert [str(fault) for fault in validate(path)] == [
        "edges_crc32: found nothing, expected checksums, since version 2; "
        "write the file again, e.g. with wsolbench.SubmissionWriter"
    ]
    with h5py.File(path, "r+") as file:
        file.attrs["format_version"] = 1  # files of before have none
    assert validate(path) == []


def test_refusals(tmp_path: Path) -> None:
    maps = np.zeros((1, 3, 3), np.uint8)
    box = np.array([[0.0, 0, 3, 3]])
    for arguments, message in (
        ({"maps": None}, "found neither maps nor edges"),
        ({"maps": None, "edges": maps, "windows": box}, "found windows without maps"),
    ):
        with (
            pytest.raises(WsolbenchError, match=message),
            SubmissionWriter(tmp_path / "e.h5", HEADER) as writer,
        ):
            writer.append(["a"], **arguments)
    for first, second, message in (
        (None, maps, "b: found maps, expected no maps, as in the previous"),
        (maps, None, "b: found no maps, expected maps, as in the previous"),
    ):
        with SubmissionWriter(tmp_path / "e.h5", HEADER, overwrite=True) as writer:
            writer.append(["a"], first, edges=maps)
            with pytest.raises(WsolbenchError, match=message):
                writer.append(["b"], second, edges=maps)
    write(tmp_path / "one.h5", range(3))
    with SubmissionWriter(tmp_path / "other.h5", HEADER) as writer:
        writer.append(["z"], maps, edges=maps)
    with pytest.raises(WsolbenchError, match="maps"):
        merge_submissions([tmp_path / "one.h5", tmp_path / "other.h5"], tmp_path / "m.h5")
    with h5py.File(tmp_path / "one.h5", "r+") as file:
        del file["edges"]
    assert any("maps" in str(fault) for fault in validate(tmp_path / "one.h5"))


def test_maps_may_be_left_out_of_the_call(tmp_path: Path) -> None:
    with SubmissionWriter(tmp_path / "e.h5", HEADER) as writer:
        writer.append(IDS, edges=EDGES)
    assert (tmp_path / "e.h5").read_bytes() == write(tmp_path / "other.h5").read_bytes()


def test_edges_of_one_size_are_dense(tmp_path: Path) -> None:
    edges = np.stack([np.resize(own, (60, 70)) for own in EDGES])
    with SubmissionWriter(tmp_path / "e.h5", HEADER) as writer:
        writer.append(IDS, edges=edges)
    with h5py.File(tmp_path / "e.h5") as file:
        assert file["edges"].shape == (6, 60, 70)
        assert file["edges_crc32"][()].tolist() == [zlib.crc32(own.tobytes()) for own in edges]
        assert sorted(file) == ["edges", "edges_crc32", "image_id"]
    assert validate(tmp_path / "e.h5") == []


def test_a_window_without_maps_is_a_fault(tmp_path: Path) -> None:
    path = write(tmp_path / "e.h5")
    with h5py.File(path, "r+") as file:
        file["window"] = np.tile([0.0, 0.0, 5.0, 5.0], (6, 1))
    (fault,) = validate(path)
    assert str(fault) == (
        "window: found windows without maps, expected none, since edges cover their whole images; "
        "delete it"
    )


def test_checksums_of_edges_beside_maps_are_checked(tmp_path: Path) -> None:
    maps = np.zeros((6, 3, 3), np.uint8)
    with SubmissionWriter(tmp_path / "b.h5", HEADER) as writer:
        writer.append(IDS, maps, edges=EDGES)
    with h5py.File(tmp_path / "b.h5", "r+") as file:
        file["edges_crc32"][4] ^= 1
        file.attrs["format_version"] = 1  # which has no hash of checksums
    with Submission.open(tmp_path / "b.h5") as opened:
        assert len(opened.read(range(6))) == 6
        with pytest.raises(WsolbenchError, match=r"edges row 4 \(i4\): found CRC-32"):
            opened.read_edges(range(6))
    assert [fault.where for fault in validate(tmp_path / "b.h5")] == ["edges row 4 (i4)"]


def test_merging_counts_images_without_edges(tmp_path: Path) -> None:
    part = write(tmp_path / "part.h5", range(4))
    merged = merge_submissions([part], tmp_path / "m.h5", order=IDS)
    assert merged.edges_alone
    assert (merged.maps, merged.missing) == (4, 2)
    assert merged.notes == ("2 of 6 images of shapes val have no edges yet: i4, i5",)
