"""Hostile HDF5 files: each is refused with one line, and nothing outside the file is touched."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import zlib

import h5py
import numpy as np
import pytest
from h5py import h5d, h5p, h5s, h5t

from tests.formats.test_submission_reader import plain
from wsolbench import WsolbenchError
from wsolbench.formats.submission.reader import Submission
from wsolbench.formats.submission.validate import validate
from wsolbench.formats.untrusted.column import Column
from wsolbench.formats.untrusted.hdf5_gate import Gate
from wsolbench.formats.untrusted.limits import Bounds
from wsolbench.formats.untrusted.trust import trust_files

ANY = Bounds(("u", "i", "f", "S"), ((1, 10**12),) * 3, "three dimensions")
MAPS = np.arange(24, dtype=np.uint8).reshape(3, 2, 4)


@pytest.fixture(autouse=True)
def alarm():
    """A hang becomes an error of HDF5, and so another message than the expected one."""
    if not hasattr(signal, "SIGALRM"):
        yield
        return

    def ring(*_):
        raise TimeoutError("a hostile file made the reader wait")

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def fifo(tmp_path):
    """A file whose mere opening hangs."""
    if not hasattr(os, "mkfifo"):
        pytest.skip("this system has no FIFOs")
    os.mkfifo(tmp_path / "outside.h5")
    return str(tmp_path / "outside.h5")


def low_level(file, kind, space=(3, 2, 4), creation=None, name=b"maps"):
    return h5d.create(file.id, name, kind, h5s.create_simple(space), creation)


def filtered(number, flags=1):
    creation = h5p.create(h5p.DATASET_CREATE)
    creation.set_chunk((1, 2, 4))
    creation.set_filter(number, flags)
    return creation


def chunked(file, content, **options):
    """`maps` in chunks of one map, each of the given raw bytes; None is never written."""
    maps = file.create_dataset("maps", (3, 2, 4), np.uint8, chunks=(1, 2, 4), **options)
    for row, raw in enumerate(content):
        if raw is not None:
            maps.id.write_direct_chunk((row, 0, 0), raw)


def two_deflates(file):
    creation = filtered(1)
    creation.set_deflate(1)
    low_level(file, h5t.STD_U8LE, creation=creation)


def odd_integer(file):
    kind = h5t.STD_U8LE.copy()
    kind.set_precision(5)
    low_level(file, kind)


def odd_float(file):
    kind = h5t.IEEE_F32LE.copy()
    kind.set_ebias(100)
    low_level(file, kind)


def unlimited_virtual(file, outside):
    layout = h5py.VirtualLayout((3, 2, 4), np.uint8, maxshape=(None, 2, 4))
    layout[:] = h5py.VirtualSource(outside, "maps", (3, 2, 4), maxshape=(None, 2, 4))[:]
    file.create_virtual_dataset("maps", layout)


def virtual(file, outside):
    layout = h5py.VirtualLayout((3, 2, 4), np.uint8)
    layout[:] = h5py.VirtualSource(outside, "maps", (3, 2, 4))
    file.create_virtual_dataset("maps", layout)


def written(file, **options):
    file.create_dataset("maps", data=MAPS, **options)


OUTSIDE = {
    "external link": (
        lambda f, outside: f.__setitem__("maps", h5py.ExternalLink(outside, "maps")),
        "maps: found an external link",
    ),
    "external storage": (
        lambda f, outside: f.create_dataset(
            "maps", (3, 2, 4), np.uint8, external=[(outside, 0, 24)]
        ),
        "maps: found data in external files",
    ),
    "virtual data set": (virtual, "maps: found a virtual data set"),
    "unlimited virtual data set": (unlimited_virtual, "maps: found a virtual data set"),
    "external link in a group": (
        lambda f, outside: f.create_group("maps").__setitem__(
            "shapes", h5py.ExternalLink(outside, "x")
        ),
        "maps/shapes: found an external link",
    ),
}

INSIDE = {
    "soft link": (lambda f: f.__setitem__("maps", h5py.SoftLink("/image_id")), "a soft link"),
    "soft link to itself": (lambda f: f.__setitem__("maps", h5py.SoftLink("/maps")), "soft link"),
    "soft link to nothing": (lambda f: f.__setitem__("maps", h5py.SoftLink("/no")), "soft link"),
    "cycle of groups": (lambda f: f.__setitem__("maps", f["/"]), "maps/shapes: found nothing"),
    "named type": (lambda f: f.__setitem__("maps", np.dtype("u1")), "a named type"),
    "nothing": (lambda f: None, "maps: found nothing"),
    "no array": (lambda f: f.create_dataset("maps", data=np.uint8(1)), "not an array"),
    "null space": (lambda f: f.__setitem__("maps", h5py.Empty("u1")), "not an array"),
    "variable length": (
        lambda f: f.create_dataset("maps", (3, 2, 4), h5py.vlen_dtype(np.uint8)),
        "not a standard number",
    ),
    "texts": (lambda f: f.create_dataset("maps", (3, 2, 4), h5py.string_dtype()), "variable"),
    "long texts": (lambda f: f.create_dataset("maps", (3, 2, 4), "S65"), "length 65 bytes"),
    "compound": (lambda f: f.create_dataset("maps", (3, 2, 4), "u1,u1"), "not a standard number"),
    "reference": (lambda f: f.create_dataset("maps", (3, 2, 4), h5py.ref_dtype), "not a standard"),
    "region": (
        lambda f: f.create_dataset("maps", (3, 2, 4), h5py.regionref_dtype),
        "not a standard",
    ),
    "opaque": (lambda f: f.create_dataset("maps", (3, 2, 4), "V8"), "not a standard number"),
    "array type": (
        lambda f: f.create_dataset("maps", (3, 2, 4), "(2,)u1"),
        "not a standard number",
    ),
    "enumeration": (lambda f: f.create_dataset("maps", (3, 2, 4), bool), "not a standard number"),
    "complex": (lambda f: f.create_dataset("maps", (3, 2, 4), "c8"), "not a standard number"),
    "odd integer": (odd_integer, "not a standard number"),
    "odd float": (odd_float, "not a standard number"),
    "four dimensions": (lambda f: f.create_dataset("maps", (3, 1, 2, 4), "u1"), r"\(3, 1, 2, 4\)"),
    "never written": (lambda f: f.create_dataset("maps", (3, 2, 4), "u1"), "0 stored bytes"),
    "lzf": (lambda f: written(f, compression="lzf"), r"the filters \[32000\]"),
    "shuffle": (lambda f: written(f, compression="gzip", shuffle=True), r"filters \[2, 1\]"),
    "shuffle alone": (lambda f: written(f, shuffle=True), r"filters \[2\]"),
    "fletcher32": (lambda f: written(f, fletcher32=True), r"filters \[3\]"),
    "scale and offset": (lambda f: written(f, scaleoffset=0), r"filters \[6\]"),
    "unknown filter": (
        lambda f: low_level(f, h5t.STD_U8LE, creation=filtered(32_199)),
        r"filters \[32199\]",
    ),
    "two deflates": (two_deflates, r"filters \[1, 1\]"),
    "missing chunks": (lambda f: chunked(f, [bytes(8), None, None]), "2 of 3 chunks missing"),
    "no chunk": (lambda f: chunked(f, [None] * 3, compression="gzip"), "3 of 3 chunks missing"),
    "short chunk": (lambda f: chunked(f, [bytes(8), b"abc", bytes(8)]), r"\(1, 0, 0\) with 3"),
    "long chunk": (lambda f: chunked(f, [bytes(8), bytes(9), bytes(8)]), r"\(1, 0, 0\) with 9"),
    "long deflated chunk": (
        lambda f: chunked(f, [bytes(9000)] * 3, compression="gzip"),
        "9000 stored bytes",
    ),
}


def hostile(path, make, *arguments):
    with h5py.File(plain(path, maps=np.float32(0)), "r+") as file:
        make(file, *arguments)
    return path


@pytest.mark.parametrize("name", OUTSIDE)
def test_files_that_point_outside(tmp_path, fifo, name):
    make, message = OUTSIDE[name]
    path = hostile(tmp_path / "s.h5", make, fifo)
    with pytest.raises(WsolbenchError, match=message) as caught:
        Submission.open(path)
    assert caught.value.exit_status == 1
    assert len(validate(path)) == 1


@pytest.mark.parametrize("name", INSIDE)
def test_files_that_are_not_plain(tmp_path, name):
    make, message = INSIDE[name]
    path = hostile(tmp_path / "s.h5", make)
    with pytest.raises(WsolbenchError, match=message):
        Submission.open(path)
    faults = validate(path)
    assert {fault.kind for fault in faults} == {"structure"}


def test_other_names_are_never_opened(tmp_path, fifo):
    path = plain(tmp_path / "s.h5")
    with h5py.File(path, "r+") as file:
        file["thumbnails"] = h5py.ExternalLink(fifo, "x")
        file["again"] = h5py.SoftLink("/again")
        file["notes"] = ["texts of", "any length"]
        file.create_dataset("drawings", data=MAPS, compression="lzf")
    assert validate(path) == []


@pytest.mark.parametrize("column", ["image_id", "crc32", "top5", "boxes", "edges"])
def test_every_column_passes_the_same_gate(tmp_path, fifo, column):
    path = plain(tmp_path / "s.h5", image_id=None if column == "image_id" else np.array(["a"], "S"))
    with h5py.File(path, "r+") as file:
        del file["maps"]
        file["maps"] = MAPS[:1]
        file[column] = h5py.ExternalLink(fifo, "x")
    with pytest.raises(WsolbenchError, match=f"{column}: found an external link"):
        Submission.open(path)


@pytest.mark.parametrize(
    "raw, message",
    [
        (zlib.compress(bytes(7)), "chunk 1 with 7 inflated bytes, expected 8"),
        (zlib.compress(bytes(9)), "chunk 1 with more than 8 inflated bytes"),
        (zlib.compress(bytes(8000), 9), "chunk 1 with more than 8 inflated bytes"),
        (zlib.compress(bytes(8))[:-5], "chunk 1 with [08] inflated bytes"),
        (b"no deflate", "chunk 1 with damaged deflated data"),
    ],
)
def test_chunks_that_do_not_inflate_to_their_size(tmp_path, raw, message):
    good = zlib.compress(bytes(8))
    path = hostile(tmp_path / "s.h5", lambda f: chunked(f, [good, raw, good], compression="gzip"))
    submission = Submission.open(path)
    assert len(submission.read([0, 2])) == 2
    with pytest.raises(WsolbenchError, match=message):
        submission.read([0, 1])
    (fault,) = validate(path)
    assert (fault.kind, fault.row, fault.image_id) == ("maps", 1, "b")


def test_a_chunk_that_skipped_its_filter_is_read_as_it_lies(tmp_path):
    def write(file):
        chunked(file, [zlib.compress(bytes(8)), None, zlib.compress(bytes(8))], compression="gzip")
        file["maps"].id.write_direct_chunk((1, 0, 0), bytes(range(8)), filter_mask=1)

    path = hostile(tmp_path / "s.h5", write)
    assert Submission.open(path).read([1])[0].tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert validate(path) == []


@pytest.mark.parametrize(
    "shape, options, message",
    [
        ((2_000_000, 4096, 4096), {}, "33554432000000 bytes, expected at most 274877906944"),
        ((10, 4096, 4096), {"chunks": (1, 4096, 4096)}, "167772160 declared bytes in a file of"),
        (
            (2000, 4096, 4096),
            {"chunks": (1, 4096, 4096), "compression": "gzip"},
            "33554432000 declared bytes in a file of",
        ),
        ((2, 9000, 9000), {"chunks": (1, 9000, 9000)}, "at most 64 MiB each"),
        ((9_000_000, 1, 1), {"chunks": (1, 1, 1)}, "9000000 chunks of 1 bytes"),
        # Each chunk is mostly padding: what counts is what would be inflated.
        ((40_000, 1, 1), {"chunks": (1, 4096, 2048), "maxshape": (None,) * 3}, "chunks of 8388608"),
    ],
)
def test_promises_that_the_file_cannot_hold(tmp_path, shape, options, message):
    path = tmp_path / "s.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("maps", shape, np.uint8, **options)
    with Gate(path, "a file") as gate, pytest.raises(WsolbenchError, match=f"maps: .*{message}"):
        gate.column("maps", ANY)
    assert path.stat().st_size < 10_000


def test_chunks_of_which_one_row_touches_too_much(tmp_path):
    path = tmp_path / "s.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("maps", (64, 4096, 4096), np.uint8, chunks=(64, 1024, 1024))
        file.create_dataset("edges", (65, 4096, 4096), np.uint8, chunks=(65, 1024, 512))
    with Gate(path, "a file") as gate:
        with pytest.raises(
            WsolbenchError, match=r"1040 MiB for one row.*chunks=\(1, height, width\)"
        ):
            gate.column("edges", ANY)
        with pytest.raises(WsolbenchError, match="declared bytes in a file of"):
            gate.column("maps", ANY)


def test_reading_row_after_row_inflates_each_chunk_once(tmp_path, monkeypatch):
    maps = np.random.default_rng(0).integers(0, 9, (300, 50, 60), dtype=np.uint8)
    path = tmp_path / "s.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("maps", data=maps, chunks=(70, 20, 25), compression="gzip")
    inflate, taken = Column._inflate, []

    def counted(column, chunks, index):
        taken.append(index)
        return inflate(column, chunks, index)

    monkeypatch.setattr(Column, "_inflate", counted)
    with Gate(path, "a file") as gate:
        column = gate.column("maps", ANY)
    for row in range(300):
        assert np.array_equal(column.rows(row, row + 1)[0], maps[row])
    assert taken == list(range(5 * 3 * 3))


def patched(path, old, new):
    content = path.read_bytes()
    assert content.count(old) == 1
    path.write_bytes(content.replace(old, new))


def test_chunks_at_places_that_are_not_theirs(tmp_path):
    path = tmp_path / "s.h5"

    def start():
        with h5py.File(path, "w") as file:
            file.create_dataset("maps", data=np.zeros((3, 16, 16), np.uint8), chunks=(1, 16, 16))
            return [
                file["maps"].id.get_chunk_info(row).byte_offset.to_bytes(8, "little")
                for row in range(3)
            ]

    def refusal():
        with Gate(path, "a file") as gate, pytest.raises(WsolbenchError) as caught:
            gate.column("maps", ANY)
        return caught.value.found

    patched(path, start()[1], (1 << 40).to_bytes(8, "little"))
    assert refusal() == "chunk (1, 0, 0) outside the file"
    patched(path, start()[1], bytes(8))
    assert refusal() == "chunk (1, 0, 0) outside the file"
    address = start()[1]
    # An entry of the chunk index: size, filter mask, offsets (one more than dimensions), address.
    before, after = (
        np.array([256, 0], "<u4").tobytes() + np.array([row, 0, 0, 0], "<u8").tobytes() + address
        for row in (1, 0)
    )
    patched(path, before, after)
    assert refusal() == "duplicate chunk (0, 0, 0)"


@pytest.mark.parametrize(
    "place, width, value",
    [(0, 4, 2**32 - 1), (0, 4, 3999), (4, 8, 2**40), (4, 8, 2**63 + 5), (4, 8, 8), (12, 4, 999)],
)
def test_damaged_texts_of_variable_length(tmp_path, place, width, value):
    path = plain(tmp_path / "s.h5")
    content = path.read_bytes()
    heap = content.index(b"GCOL").to_bytes(8, "little")
    (split,) = re.findall(re.escape((3).to_bytes(4, "little") + heap) + b"....", content, re.DOTALL)
    with Gate(path, "a file") as gate:
        assert gate.attribute("split") == "val"
        assert gate.attribute("none") is None
    new = bytearray(split)
    new[place : place + width] = value.to_bytes(width, "little")
    patched(path, split, bytes(new))
    with pytest.raises(WsolbenchError) as caught:
        Submission.open(path)
    assert re.search("attribute split: found (damaged HDF5|a file that stopped)", str(caught.value))
    assert caught.value.exit_status == 1


def test_a_user_block_is_no_submission(tmp_path):
    path = tmp_path / "s.h5"
    with h5py.File(path, "w", userblock_size=512) as file:
        file["maps"] = MAPS
    with pytest.raises(
        WsolbenchError, match="behind a user block of 512 bytes; remove the user block"
    ):
        Submission.open(path)


def test_a_link_to_the_file_is_followed_if_trusted(tmp_path):
    plain(tmp_path / "s.h5")
    (tmp_path / "link.h5").symlink_to(tmp_path / "s.h5")
    with pytest.raises(WsolbenchError, match=r"a symbolic link.*name the file itself \(.*--tr"):
        Submission.open(tmp_path / "link.h5")
    trust_files()
    try:
        assert validate(tmp_path / "link.h5") == []
    finally:
        trust_files(False)


def test_closing_is_said_and_columns_do_not_travel(tmp_path):
    import pickle

    with Gate(plain(tmp_path / "s.h5"), "a file") as gate:
        column = gate.column("maps", ANY)
    assert column.all().shape == (3, 2, 4)
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(column)
    gate.file.close()
    with pytest.raises(WsolbenchError, match="the file is closed"):
        column.all()


def test_a_file_that_shrinks_while_it_is_read(tmp_path):
    path = plain(tmp_path / "s.h5", maps=np.zeros((3, 200, 200), np.uint8))
    submission = Submission.open(path)
    os.truncate(path, path.stat().st_size - 50_000)
    with pytest.raises(WsolbenchError, match=r"bytes, expected at least .* the file is truncated"):
        submission.read([0, 1, 2])


DAMAGE = """
import sys
import numpy as np
import h5py
from wsolbench import WsolbenchError
from wsolbench.formats.submission.reader import Submission
from wsolbench.formats.submission.validate import validate

path, kind, seed = sys.argv[1], sys.argv[2], int(sys.argv[3])
content = open(path, "rb").read()
with Submission.open(path) as submission:
    expected = dict(zip(submission.image_ids, submission.read(range(len(submission)))))
rng = np.random.default_rng(seed)
cases = []
if kind == "truncated":
    cases = [content[: len(content) * part // 20] for part in range(20)]
else:
    for place in rng.integers(0, len(content), 300):
        damaged = bytearray(content)
        damaged[place] ^= 1 << int(rng.integers(8))
        cases.append(bytes(damaged))
refused = 0
for case in cases:
    with open(path + ".damaged", "wb") as file:
        file.write(case)
    try:
        faults = validate(path + ".damaged")
        with Submission.open(path + ".damaged") as submission:
            found = submission.read(range(len(submission)))
            assert not faults
            for image_id, plane in zip(submission.image_ids, found):
                # Ids have no checksum, but one flipped bit makes of an id no other one of the set.
                assert np.array_equal(plane, expected.get(image_id, plane)), image_id
            assert sum(name in expected for name in submission.image_ids) >= len(expected) - 1
    except WsolbenchError as error:
        assert "\\n" not in str(error)
        refused += 1
print(refused, "of", len(cases))
"""


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["dense", "deflated", "ragged"])
@pytest.mark.parametrize("kind", ["truncated", "flipped"])
def test_damaged_files_are_refused_or_read_alike(tmp_path, layout, kind):
    from wsolbench.formats.submission.reader import SubmissionHeader, SubmissionWriter

    rng = np.random.default_rng(4)
    sides = {"dense": [(9, 8)] * 9, "deflated": [(60, 9)] * 9}
    shapes = sides.get(layout, rng.integers(1, 60, (9, 2)).tolist())
    path = tmp_path / "s.h5"
    header = SubmissionHeader("toys", "val", "gt", "none", {"name": "CAM"})
    with SubmissionWriter(path, header) as writer:
        for row, shape in enumerate(shapes):
            # Ids that differ in many bits, so that a flip does not turn one into another.
            name = zlib.crc32(str(row).encode()).to_bytes(4, "big").hex()
            writer.append([name], [rng.integers(0, 99, shape, dtype=np.uint8)])
    child = subprocess.run(
        [sys.executable, "-c", DAMAGE, str(path), kind, "3"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert child.returncode == 0, child.stderr
    refused, total = (int(word) for word in child.stdout.split(" of "))
    assert refused == total if kind == "truncated" else refused > total / 10
