"""HDF5 files that point elsewhere, crash, hang, swell or lie: submissions and annotation files.

Every construct stands in the place of a data set that commands read. Each command must end in one
line, quickly, and neither read nor write a file outside.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from h5py import h5d, h5p, h5s, h5t

from tests.hostile.conftest import Box

Make = Callable[[h5py.File, str, Path], Any]

EVALUATE = "evaluate a.h5 --annotations toy.h5 --quiet"
COMMANDS = {
    "a.h5": (EVALUATE, "validate a.h5 --annotations toy.h5 --quiet", "info a.h5"),
    "toy.h5": (EVALUATE, "info toy.h5", "export png toy.h5 --out out"),
}
PLACES = (("a.h5", "image_id"), ("a.h5", "top5"), ("toy.h5", "image_id"), ("toy.h5", "boxes/xyxy"))


def low_level(file: h5py.File, name: str, kind: Any, creation: Any = None) -> None:
    h5d.create(file.id, name.encode(), kind, h5s.create_simple((8, 4)), creation)


def external_storage(file: h5py.File, name: str, outside: Path) -> None:
    file.create_dataset(name, (8, 4), "u1", external=[(str(outside), 0, 32)])


def virtual(file: h5py.File, name: str, outside: Path, most: int | None = 8) -> None:
    layout = h5py.VirtualLayout((8, 4), "u1", maxshape=(most, 4))
    layout[:] = h5py.VirtualSource(str(outside), "x", (8, 4), maxshape=(most, 4))[:]
    file.create_virtual_dataset(name, layout)


def short_chunk(file: h5py.File, name: str, outside: Path) -> None:
    """A chunk that holds 3 of its 32 bytes: the HDF5 library reads its own memory or crashes."""
    made = file.create_dataset(name, (8, 4), "u1", chunks=(8, 4))
    made.id.write_direct_chunk((0, 0), b"abc")


def deflate_bomb(file: h5py.File, name: str, outside: Path) -> None:
    """4 GiB of zeros in 4 MB."""
    file.create_dataset(
        name, (1 << 26, 64), "u1", chunks=(1 << 20, 64), compression="gzip", compression_opts=9
    )
    import zlib

    chunk = zlib.compress(bytes(1 << 26), 9)
    for start in range(0, 1 << 26, 1 << 20):
        file[name].id.write_direct_chunk((start, 0), chunk)


def unknown_filter(file: h5py.File, name: str, outside: Path) -> None:
    creation = h5p.create(h5p.DATASET_CREATE)
    creation.set_chunk((8, 4))
    creation.set_filter(32_199, h5py.h5z.FLAG_OPTIONAL)
    low_level(file, name, h5t.STD_U8LE, creation)


CONSTRUCTS: dict[str, Make] = {
    "external link": lambda file, name, outside: file.__setitem__(
        name, h5py.ExternalLink(str(outside), "x")
    ),
    "external storage": external_storage,
    "virtual data set": virtual,
    "virtual data set without end": lambda *given: virtual(*given, most=None),
    "soft link": lambda file, name, outside: file.__setitem__(name, h5py.SoftLink("/nowhere")),
    "soft link to itself": lambda file, name, outside: file.__setitem__(
        name, h5py.SoftLink(f"/{name}")
    ),
    "cycle": lambda file, name, outside: file.__setitem__(name, file["/"]),
    "named type": lambda file, name, outside: file.__setitem__(name, np.dtype("u1")),
    "variable length": lambda file, name, outside: file.create_dataset(
        name, (8,), h5py.vlen_dtype(np.int32)
    ),
    "texts of variable length": lambda file, name, outside: file.create_dataset(
        name, data=["a" * length for length in range(8)]
    ),
    "references": lambda file, name, outside: file.create_dataset(name, (8,), h5py.ref_dtype),
    "compound": lambda file, name, outside: file.create_dataset(name, (8,), "u1,u1"),
    "short chunk": short_chunk,
    "deflate bomb": deflate_bomb,
    "never written": lambda file, name, outside: file.create_dataset(
        name, (1 << 30, 4), "i4", chunks=(1 << 16, 4), compression="gzip"
    ),
    "unknown filter": unknown_filter,
    "three filters": lambda file, name, outside: file.create_dataset(
        name, (8, 4), "u1", chunks=(8, 4), shuffle=True, fletcher32=True, compression="gzip"
    ),
    "nothing": lambda file, name, outside: None,
    "scalar": lambda file, name, outside: file.create_dataset(name, data=np.uint8(1)),
    "empty": lambda file, name, outside: file.create_dataset(name, (0, 4), "i4"),
    "complex numbers": lambda file, name, outside: file.create_dataset(name, (8, 4), "c8"),
}


@pytest.mark.parametrize("construct", CONSTRUCTS)
@pytest.mark.parametrize("file_name, name", PLACES)
def test_constructs(box: Box, file_name: str, name: str, construct: str) -> None:
    with h5py.File(box.work / file_name, "r+") as file:
        del file[name]
        CONSTRUCTS[construct](file, name, box.victim)
    # What a file holds beside the ids, `info` need not look at.
    commands = COMMANDS[file_name][: 3 if name == "image_id" else 2 if file_name == "a.h5" else 1]
    for command in commands:
        outcome = box.run(command)
        assert file_name in outcome.stdout + outcome.stderr


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no FIFOs")
@pytest.mark.parametrize("file_name", COMMANDS)
@pytest.mark.parametrize("kind", ["external link", "external storage", "virtual data set"])
def test_a_fifo_elsewhere_is_not_opened(box: Box, file_name: str, kind: str) -> None:
    fifo = box.work / "fifo"
    os.mkfifo(fifo)
    with h5py.File(box.work / file_name, "r+") as file:
        del file["image_id"]
        CONSTRUCTS[kind](file, "image_id", fifo)
    for command in COMMANDS[file_name]:
        box.run(command)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no FIFOs")
@pytest.mark.parametrize("file_name", COMMANDS)
def test_a_fifo_is_no_file(box: Box, file_name: str) -> None:
    (box.work / file_name).unlink()
    os.mkfifo(box.work / file_name)
    for command in COMMANDS[file_name]:
        box.refuses(command, "pipe", 2)


@pytest.mark.parametrize("file_name", COMMANDS)
def test_a_symbolic_link_is_not_followed(box: Box, file_name: str) -> None:
    (box.work / file_name).rename(box.work.parent / "moved")
    (box.work / file_name).symlink_to(box.work.parent / "moved")
    for command in COMMANDS[file_name]:
        box.refuses(command, "a symbolic link", 2)


@pytest.mark.parametrize("file_name", COMMANDS)
def test_a_hole_of_a_tebibyte_is_not_hashed(box: Box, file_name: str) -> None:
    os.truncate(box.work / file_name, 1 << 40)
    for command in COMMANDS[file_name][:2]:
        box.refuses(command, str(1 << 40))


@pytest.mark.parametrize("file_name", COMMANDS)
def test_other_objects_are_not_looked_at(box: Box, file_name: str) -> None:
    usual = box.run(EVALUATE, 0)
    with h5py.File(box.work / file_name, "r+") as file:
        file["thumbnails"] = h5py.ExternalLink(str(box.victim), "x")
        file["again"] = h5py.SoftLink("/again")
        deflate_bomb(file, "bomb", box.victim)
    assert box.run(EVALUATE, 0).stdout == usual.stdout


@pytest.mark.parametrize("file_name", COMMANDS)
@pytest.mark.parametrize("length", [70_000, 1 << 20])
def test_a_long_attribute(box: Box, file_name: str, length: int) -> None:
    """More than an object header holds: kept elsewhere in the file."""
    with h5py.File(box.work / file_name, "r+") as file:
        del file.attrs["dataset"]
        file.attrs["dataset"] = "a" * length
    for command in COMMANDS[file_name]:
        box.run(command)


@pytest.mark.parametrize("file_name", COMMANDS)
def test_damage_of_attributes(box: Box, file_name: str) -> None:
    """Bytes of variable-length texts, on some of which the HDF5 library loops for ever."""
    path = box.work / file_name
    sound = path.read_bytes()
    rng = np.random.default_rng(0)
    places = [
        sound.find(name) for name in (b"format\0", b"dataset\0", b"format_version\0", b"GCOL")
    ]
    for case in range(12):
        damaged = bytearray(sound)
        start = places[case % len(places)]
        for place in rng.integers(start, start + 120, size=rng.integers(1, 5)):
            damaged[place] = rng.integers(256)
        path.write_bytes(damaged)
        outcome = box.run(COMMANDS[file_name][0], (0, 1, 2))
        assert outcome.status != 0 or "noise 0" in outcome.stdout


def test_notes_of_three_gibibytes_are_not_read(box: Box) -> None:
    with h5py.File(box.work / "toy.h5", "r+") as file:
        del file["notes"]
        file.create_dataset("notes", (3 << 30,), "u1", chunks=(1 << 20,), compression="gzip")
    assert "notes" in box.apart("info toy.h5", most=600)


@pytest.mark.parametrize("file_name", COMMANDS)
def test_memory_of_a_deflate_bomb(box: Box, file_name: str) -> None:
    with h5py.File(box.work / file_name, "r+") as file:
        del file["image_id"]
        deflate_bomb(file, "image_id", box.victim)
    assert "image_id" in box.apart(COMMANDS[file_name][0], most=600)
