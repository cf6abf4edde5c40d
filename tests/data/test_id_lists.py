"""Lists of image ids as text files."""

from __future__ import annotations

import contextlib
import gzip
import os
from pathlib import Path

import pytest

from wsolbench.data.id_lists import read_ids, write_ids
from wsolbench.data.importers import tables
from wsolbench.errors import WsolbenchError
from wsolbench.files import sha256_of
from wsolbench.formats.result import Subset


@pytest.mark.parametrize("text", ["b\na\n", "b\r\n\r\na", "\ufeff  b \n\n\n a"])
def test_one_id_a_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "ids.txt").write_bytes(text.encode())
    assert read_ids(tmp_path / "ids.txt") == ["b", "a"]


def test_a_written_list_is_sorted_and_hashes_as_its_subset(tmp_path: Path) -> None:
    write_ids(tmp_path / "ids.txt", ["b", "a"])
    assert (tmp_path / "ids.txt").read_bytes() == b"a\nb\n"
    assert sha256_of(tmp_path / "ids.txt").startswith("911169")
    assert str(Subset(2, sha256_of(tmp_path / "ids.txt"))).startswith("2 images of list 911169")


@pytest.mark.parametrize(
    "content, message",
    [(None, "found no such file"), (b" \n", "an empty file"), (b"\xff", "not UTF-8 in line 1")],
)
def test_what_is_no_list_is_refused(tmp_path: Path, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / "ids.txt").write_bytes(content)
    with pytest.raises(WsolbenchError, match=message):
        read_ids(tmp_path / "ids.txt")


def test_lists_are_bounded_and_of_regular_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "MAX_TEXT_BYTES", 1000)
    (tmp_path / "ids.gz").write_bytes(gzip.compress(b"a\n" * 501))
    with pytest.raises(WsolbenchError, match="more than 1000 bytes of text"):
        read_ids(tmp_path / "ids.gz")
    (tmp_path / "ids.txt").write_bytes(b"a\n" * 501)
    with pytest.raises(WsolbenchError, match="found 1002 bytes, expected a list of image ids"):
        read_ids(tmp_path / "ids.txt")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(WsolbenchError, match="a device or pipe"):
        read_ids(tmp_path / "pipe")
    honest = gzip.compress(b"a\nb\n", mtime=0)
    for place in range(len(honest)):  # each byte of a small file
        damaged = bytearray(honest)
        damaged[place] ^= 0x55
        (tmp_path / "ids.gz").write_bytes(damaged)
        with contextlib.suppress(WsolbenchError):
            read_ids(tmp_path / "ids.gz")
