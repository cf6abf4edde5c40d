"""Parts of unfinished submissions that were damaged or forged: resuming goes on or says why not."""

from __future__ import annotations

import shutil
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from wsolbench.errors import WsolbenchError
from wsolbench.formats.submission.part import RECORD
from wsolbench.formats.submission.rules import SubmissionHeader
from wsolbench.formats.submission.writer import SubmissionWriter

HEADER = SubmissionHeader(
    dataset="random", split="val", label="gt", normalisation="min-max", method={"name": "CAM"}
)
IDS = [f"image_{index}" for index in range(6)]
MAPS = [np.full((2, 3), index, np.uint8) for index in range(6)]


def part(folder: Path) -> Path:
    with (
        suppress(KeyboardInterrupt, WsolbenchError),
        SubmissionWriter(folder / "maps.h5", HEADER) as writer,
    ):
        writer.append(IDS[:4], MAPS[:4])
        raise KeyboardInterrupt
    return folder / "maps.h5.part"


def resumed(folder: Path) -> bytes:
    with SubmissionWriter(folder / "maps.h5", HEADER, resume=True) as writer:
        left = [name for name in IDS if name not in writer.written]
        writer.append(left, [MAPS[IDS.index(name)] for name in left])
    return (folder / "maps.h5").read_bytes()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    folder = tmp_path_factory.mktemp("part")
    honest = part(folder)
    shutil.copytree(honest, folder / "kept")
    return folder / "kept", resumed(folder)


def test_resuming_gives_the_same_bytes_whatever_was_damaged(
    made: tuple[Path, bytes], tmp_path: Path
) -> None:
    kept, whole = made
    rng = np.random.default_rng(3)
    for turn in range(60):
        folder = tmp_path / str(turn)
        shutil.copytree(kept, folder / "maps.h5.part")
        file = folder / "maps.h5.part" / ["records.bin", "values.bin"][turn % 2]
        data = bytearray(file.read_bytes())
        start = int(rng.integers(len(data)))
        if turn % 3:
            data[start] ^= int(rng.integers(1, 256))
        else:
            del data[start:]
        file.write_bytes(data)
        assert resumed(folder) == whole


def test_damaged_headers_end_in_one_line(made: tuple[Path, bytes], tmp_path: Path) -> None:
    kept, whole = made
    rng = np.random.default_rng(4)
    text = (kept / "header.json").read_bytes()
    for turn in range(60):
        folder = tmp_path / str(turn)
        shutil.copytree(kept, folder / "maps.h5.part")
        data = bytearray(text)
        data[int(rng.integers(len(data)))] = int(rng.integers(256))
        (folder / "maps.h5.part" / "header.json").write_bytes(data)
        try:
            assert resumed(folder) == whole
        except WsolbenchError as error:
            same = "settings" in error.cure or "--overwrite" in error.cure
            assert same
    for data in (b"[" * 100_000, b"{}", b"", b"1" * 100_000, b"\xff"):
        folder = tmp_path / f"more-{len(data)}-{data[:1].hex()}"
        shutil.copytree(kept, folder / "maps.h5.part")
        (folder / "maps.h5.part" / "header.json").write_bytes(data)
        with pytest.raises(WsolbenchError, match="an unfinished run of another version"):
            resumed(folder)


@pytest.mark.parametrize("field", ["dtype", "edges_dtype", "image_id", "height"])
def test_forged_records_with_a_right_checksum_are_discarded(
    made: tuple[Path, bytes], tmp_path: Path, field: str
) -> None:
    kept, whole = made
    shutil.copytree(kept, tmp_path / "maps.h5.part")
    file = tmp_path / "maps.h5.part" / "records.bin"
    records = np.frombuffer(file.read_bytes(), RECORD).copy()
    records[field][1] = {"dtype": b"zz", "edges_dtype": b"f9", "image_id": b"../x"}.get(field, 9999)
    raw = bytearray(records.tobytes())
    end = 2 * RECORD.itemsize
    raw[end - 4 : end] = zlib.crc32(raw[RECORD.itemsize : end - 4]).to_bytes(4, "little")
    file.write_bytes(raw)
    assert resumed(tmp_path) == whole


@pytest.mark.parametrize("name", ["records.bin", "values.bin", "header.json"])
def test_links_in_a_part_are_not_written_to(
    made: tuple[Path, bytes], tmp_path: Path, name: str
) -> None:
    shutil.copytree(made[0], tmp_path / "maps.h5.part")
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    linked = tmp_path / "maps.h5.part" / name
    linked.unlink(missing_ok=True)
    linked.symlink_to(victim)
    with pytest.raises(WsolbenchError, match=f"files that wsolbench did not write .{name}"):
        resumed(tmp_path)
    assert victim.read_bytes() == b"precious"
