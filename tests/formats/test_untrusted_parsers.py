"""Small files of strangers: bombs end early, any bytes end in a value or a ValueError."""

from __future__ import annotations

import gzip
import io
import json
import lzma
import os
import struct
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from wsolbench.errors import WsolbenchError
from wsolbench.files import strict_json
from wsolbench.formats.untrusted.arrays import array_of_bytes, read_arrays
from wsolbench.formats.untrusted.byte_file import ByteFile
from wsolbench.formats.untrusted.contents import read_bytes
from wsolbench.formats.untrusted.tar_files import TarLimits, tar_files
from wsolbench.formats.untrusted.xml_text import parse_xml
from wsolbench.formats.untrusted.zip_files import ZipLimits, read_members

LIMITS = ZipLimits(members=4, total=1 << 20)
TAR = TarLimits(members=20, each=1000, total=1 << 20)


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def npz(**arrays: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
    return file.getvalue()


def tar(*files: tuple[str, bytes], pax: dict[str, str] | None = None) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in files:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            member.pax_headers = pax or {}
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def unpacked(content: bytes, folder: Path) -> list[tuple[str, bytes]]:
    (folder / "a.tar").write_bytes(content)
    with ByteFile(folder / "a.tar", "an archive") as file:
        return list(tar_files(file, TAR, ".xml"))


XML = b"<annotation><object><bndbox><xmin>1</xmin></bndbox></object></annotation>"
HONEST: dict[str, tuple[bytes, Callable[[bytes, Path], Any]]] = {
    "json": (
        json.dumps({"a": [1, 2.5, None, "text"], "b": {"c": True}}).encode(),
        lambda data, _: strict_json(data),
    ),
    "xml": (XML, lambda data, _: parse_xml(data)),
    "npy": (
        npy(np.arange(12, dtype=np.float32).reshape(3, 4)),
        lambda data, _: array_of_bytes(data),
    ),
    "npz": (npz(a=np.arange(12), b=np.ones(3)), lambda data, _: read_arrays(data, LIMITS)),
    "tar": (tar(("a.xml", XML), ("b/c.xml", XML), pax={"comment": "x" * 200}), unpacked),
    "tgz": (gzip.compress(tar(("a.xml", XML)), mtime=0), unpacked),
    "txz": (lzma.compress(tar(("a.xml", XML))), unpacked),
}


@pytest.mark.parametrize("kind", HONEST)
def test_any_bytes_end_in_a_value_or_an_error_of_one_line(kind: str, tmp_path: Path) -> None:
    honest, read = HONEST[kind]
    assert read(honest, tmp_path) is not None
    rng = np.random.default_rng(sorted(HONEST).index(kind))
    for _ in range(60):
        data = bytearray(honest)
        for _ in range(int(rng.integers(1, 4))):
            start = int(rng.integers(len(data)))
            action = rng.integers(4)
            if action == 0:
                data[start] = int(rng.integers(256))
            elif action == 1:
                del data[start : start + int(rng.integers(1, 20))]
            elif action == 2:
                data[start:start] = data[start : start + int(rng.integers(1, 40))]
            else:
                data[start : start + 4] = b"\xff\xff\xff\x7f"
            data = data or bytearray(b"x")
        with suppress(ValueError):  # which callers put into one line
            read(bytes(data), tmp_path)


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=np.uint8).reshape(2, 3),
        np.asfortranarray(np.arange(6, dtype=np.float64).reshape(2, 3)),
        np.array(3.5, np.float16),
        np.array(["ab", "c"]),
        np.array([b"ab", b"c"]),
        np.zeros((0, 3), np.int64),
        np.array([True, False]),
        np.arange(3, dtype=">i4"),
    ],
)
def test_arrays_are_read_as_numpy_reads_them(array: np.ndarray) -> None:
    read = array_of_bytes(npy(array))
    assert read.dtype == array.dtype
    assert read.shape == array.shape
    assert (read == array).all()
    read_arrays(npz(a=array), LIMITS)["a"][...] = array  # writable


def header(text: str, rest: bytes = b"") -> bytes:
    line = text.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + len(line).to_bytes(2, "little") + line + rest


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (header("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999,), }"), "in 0 by"),
        (header("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", b"x" * 8), "descr"),
        (header("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (), }"), "descr"),
        (header("{'descr': '<f4', 'fortran_order': False, 'shape': (" + "(" * 900), "shape"),
        (header("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }"), "shape"),
        (header("{'descr': '<f3', 'fortran_order': False, 'shape': (), }"), "type <f3"),
        (header("{'descr': '<f4', 'fortran_order': False, 'shape': (), 'x': 1, }"), "more than"),
        (b"\x93NUMPY\x01\x00\xff\xff{    ", "a header of 65535 bytes"),
        (b"\x80\x04K\x01.", "first bytes"),
        (b"\x93NUMPY\x09\x00" + bytes(20), "version 9"),
    ],
)
def test_headers_that_lie_are_refused(content: bytes, found: str) -> None:
    with pytest.raises(ValueError, match=found):
        array_of_bytes(content)


def bomb(size: int) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", bytes(size))
    return file.getvalue()


def forged(content: bytes, places: list[tuple[bytes, int, bytes]]) -> bytes:
    """Bytes at a distance behind each signature, replaced."""
    data = bytearray(content)
    for mark, distance, new in places:
        start = data.find(mark) + distance
        data[start : start + len(new)] = new
    return bytes(data)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (bomb(50 << 20), "52428800 bytes unpacked, more than 1048576"),
        (forged(bomb(1000), [(b"PK\x01\x02", 24, (1 << 19).to_bytes(4, "little"))]), "in [0-9]+"),
        (npz(a=np.ones(1), b=np.ones(1), c=np.ones(1), d=np.ones(1), e=np.ones(1)), "5 members"),
        (forged(npz(a=np.ones(1)), [(b"PK\x05\x06", 12, b"\xff\xff\xff\x7f")]), "not where"),
        (forged(npz(a=np.ones(1)), [(b"PK\x05\x06", 4, b"\x01")]), "not where"),
        (forged(npz(a=np.ones(9)), [(b"PK\x01\x02", 8, b"\x01")]), "encrypted"),
        (b"nothing", "not a zip file"),
    ],
)
def test_archives_that_lie_are_refused_unread(content: bytes, found: str) -> None:
    tracemalloc.start()
    with pytest.raises(ValueError, match=found):
        read_members(content, LIMITS)
    assert tracemalloc.get_traced_memory()[1] < 2 << 20
    tracemalloc.stop()


def crowded(members: int) -> tuple[bytes, int, int]:
    """An archive of so many entries, with the place and the bytes of its directory."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for index in range(members):
            archive.writestr(f"{index}.npy", b"")
    content = file.getvalue()
    length, start = struct.unpack_from("<2L", content, len(content) - 10)
    return content[:-22], start, length


def ended(stated: tuple[int, int, int], wide: tuple[int, int, int] | None = None) -> bytes:
    """5,000 entries, then the records that state entries, bytes and place of their directory."""
    content, _, _ = crowded(5000)
    records = b""
    if wide is not None:
        entries, length, start = wide
        numbers = (44, 45, 45, 0, 0, entries, entries, length, start)
        records = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", *numbers)
        records += struct.pack("<4sLQL", b"PK\x06\x07", 0, len(content), 1)
    entries, length, start = stated
    numbers = (0, 0, entries, entries, length, start, 0)
    return content + records + struct.pack("<4s4H2LH", b"PK\x05\x06", *numbers)


def test_no_end_record_hides_the_entries_of_a_directory() -> None:
    content, start, length = crowded(5000)
    true, few = (5000, length, start), (4, 300, start)
    disks = forged(content + ended(true)[len(content) :], [(b"PK\x05\x06", 4, b"PK\x05\x06")])
    for archive, found in (
        (disks, "several ends"),
        (ended(true) + ended(few)[len(content) :], "several ends"),
        (ended(few, true), "two different ends"),
        (ended(true, few), "two different ends"),
        (ended((4, length, start)), "a directory of [0-9]+ bytes for at most 4 members"),
        (ended(few), "not where the archive ends"),
        (b"x" + ended(true), "not where the archive ends"),
    ):
        with pytest.raises(ValueError, match=found):
            read_members(archive, LIMITS)
    for archive in (ended(true), ended(true, true), ended((65535, 2**32 - 1, 2**32 - 1), true)):
        assert len(read_members(archive, ZipLimits(5000, 0))) == 5000
        with pytest.raises(ValueError, match="5000 members, more than 4999"):
            read_members(archive, ZipLimits(4999, 0))
    with pytest.raises(ValueError, match="a directory of 5000 members that states 4"):
        read_members(ended((4, length, start)), ZipLimits(5000, 0))


def test_members_do_not_overlap() -> None:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        archive.writestr("a", bytes(100))
        archive.writestr("b", bytes(100))
    content = bytearray(written.getvalue())
    assert set(read_members(bytes(content), LIMITS)) == {"a", "b"}
    entry = content.rindex(b"PK\x01\x02")
    content[entry + 42 : entry + 46] = bytes(4)  # the second member begins at the first
    with pytest.raises(ValueError, match="overlaps the next member"):
        read_members(bytes(content), LIMITS)


def test_stored_members_are_no_longer_than_their_file() -> None:
    with pytest.raises(ValueError, match="is compressed, where it must be stored"):
        read_members(npz(a=np.ones(9)), ZipLimits(4, 1 << 20, stored=True))
    file = io.BytesIO()
    np.savez(file, a=np.ones(9))
    assert [*read_members(file.getvalue(), ZipLimits(4, 1 << 20, stored=True))] == ["a.npy"]


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (gzip.compress(tar(("a.xml", XML), pax={"comment": "x" * (1 << 20)})), "extended header"),
        (gzip.compress(tar(("a.txt", bytes(2 << 20)), ("a.xml", XML))), "bytes unpacked"),
        (tar(*[(f"{index}.txt", b"") for index in range(21)]), "more than 20 members"),
        (tar(("a.xml", bytes(1001))), "'a.xml' of 1001 bytes"),
        (tar(("a.xml", XML))[:600], "damaged archive"),
        (b"", "damaged archive"),
        (lzma.compress(bytes(9), filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 30}]), "dam"),
    ],
)
def test_tar_archives_are_bounded(content: bytes, found: str, tmp_path: Path) -> None:
    tracemalloc.start()
    with pytest.raises(ValueError, match=found):
        unpacked(content, tmp_path)
    assert tracemalloc.get_traced_memory()[1] < 4 << 20
    tracemalloc.stop()


def test_links_and_hidden_files_of_archives_are_left_out(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, kind in (("a.xml", tarfile.SYMTYPE), ("b.xml", tarfile.FIFOTYPE)):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "/etc/passwd"
            archive.addfile(member)
        for name in ("../../c.xml", ".d.xml"):
            member = tarfile.TarInfo(name)
            member.size = len(XML)
            archive.addfile(member, io.BytesIO(XML))
    assert unpacked(packed.getvalue(), tmp_path) == [("../../c.xml", XML)]


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"<a>" * 100_000, "more than 32 elements within each other"),
        (b"<a>" + b"<b/>" * 60_000 + b"</a>", "more than 50000 elements"),
        (b"<a>" + b" " * (1 << 20) + b"</a>", "more than 1048576 bytes"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "DTDForbidden"),
        (b"<a>", "invalid XML"),
        (b"\xff\xfe<", "invalid XML"),
        (b'<?xml version="1.0" encoding="nothing"?><a/>', "invalid XML"),
    ],
)
def test_xml_is_bounded(content: bytes, found: str) -> None:
    with pytest.raises(ValueError, match=found):
        parse_xml(content)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("[" * 100_000, "nested too deeply"),
        ("1" * 100_000, "a number of 100000 characters"),
        ("1." + "0" * 100_000, "a number of 100002 characters"),
        ('{"a": 1, "a": 2}', "duplicate key"),
        ("NaN", "NaN is not a JSON number"),
        ("1e999", "beyond float64"),
    ],
)
def test_json_is_strict(text: str, found: str) -> None:
    with pytest.raises(ValueError, match=found):
        strict_json(text)


def test_contents_are_bounded_and_of_regular_files(tmp_path: Path) -> None:

    (tmp_path / "a").write_bytes(b"12345")
    assert read_bytes(tmp_path / "a", "a list", 5) == b"12345"
    with pytest.raises(WsolbenchError, match="found 5 bytes, expected a list of at most 4"):
        read_bytes(tmp_path / "a", "a list", 4)
    os.truncate(tmp_path / "a", 1 << 40)
    with pytest.raises(WsolbenchError, match="found 1099511627776 bytes"):
        read_bytes(tmp_path / "a", "a list", 4)
    os.mkfifo(tmp_path / "b")
    with pytest.raises(WsolbenchError, match="a device or pipe"):
        read_bytes(tmp_path / "b", "a list", 4)
