"""Hostile JSON, XML, CSV, pictures, arrays, archives, checkpoints, parts and ids."""

from __future__ import annotations

import gzip
import io
import json
import os
import pickle
import shutil
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.hostile.conftest import Box
from tests.hostile.targets import TARGETS

MOST = 700
"""MiB that a command may take; one that reads a sound file takes about 250."""

READ = {name: TARGETS[name] for name in ("result", "counts", "shard", "coco", "xml", "tgz", "csv")}
READ |= {name: TARGETS[name] for name in ("png", "jpeg", "npy", "npz")}


@pytest.mark.parametrize("name", READ)
def test_links_and_pipes(box: Box, name: str) -> None:
    """Links are followed by none, or give what the file itself gives; pipes do not hang."""
    target = READ[name]
    path, command = box.work / target.damaged[0], target.commands[0]
    usual = box.run(command, 0)
    shutil.rmtree(box.work / "out", ignore_errors=True)
    for made in box.work.glob("out.*"):
        made.unlink()
    moved = box.work.parent / path.name
    path.rename(moved)
    path.symlink_to(moved)
    outcome = box.run(command, (0, 1, 2))
    assert outcome.status or (outcome.stdout, outcome.files) == (usual.stdout, usual.files)
    for made in box.work.glob("out.*"):
        made.unlink()
    path.unlink()
    path.symlink_to(box.victim)  # its content is shown nowhere
    box.run(command)
    path.unlink()
    if hasattr(os, "mkfifo"):
        os.mkfifo(path)
        box.run(command, (0, 1, 2))  # 0 where other files are left and a pipe is none


@pytest.mark.parametrize(
    "name", [name for name in READ if name not in ("npy", "npz", "png", "jpeg", "tgz", "counts")]
)
def test_a_hole_is_not_read(box: Box, name: str) -> None:
    target = READ[name]
    os.truncate(box.work / target.damaged[0], 1 << 36)
    box.apart(target.commands[0], most=MOST)


JSON: dict[str, Callable[[str], str]] = {
    "deep": lambda text: "[" * 200_000 + "]" * 200_000,
    "NaN": lambda text: text.replace(": 1", ": NaN"),
    "infinity": lambda text: '{"a": Infinity}',
    "duplicate key": lambda text: '{"a": 1, "a": 2, ' + text.lstrip()[1:],
    "long integer": lambda text: '{"a": ' + "9" * 100_000 + "}",
    "large float": lambda text: '{"a": 1e999}',
    "other type": lambda text: '"a"',
    "list": lambda text: "[]",
    "null": lambda text: "null",
    "lone surrogate": lambda text: '{"format": "\\ud800"}',
    "no UTF-8": lambda text: "\udcff",
    "empty": lambda text: "",
}


@pytest.mark.parametrize("kind", JSON)
@pytest.mark.parametrize("name", ["result", "coco", "entry"])
def test_json(box: Box, name: str, kind: str) -> None:
    if name not in TARGETS:
        pytest.skip("jinja2 is not installed")
    target = TARGETS[name]
    path = box.work / target.damaged[0]
    path.write_text(JSON[kind](path.read_text()), errors="surrogateescape")
    box.run(target.commands[0])


def test_a_polygon_larger_than_memory(box: Box) -> None:
    """Corners of 1e9 pixels on a small image, and an image of 16384 pixels a side."""
    content = json.loads((box.work / "coco.json").read_text())
    for side, corner in ((20, 1e9), (16384, 16384), (1 << 40, 1 << 40)):
        image, annotation = content["images"][0], content["annotations"][0]
        image["height"] = image["width"] = side
        annotation["segmentation"] = [[0, 0, corner, 0, corner, corner, 0, corner] * 500]
        (box.work / "coco.json").write_text(json.dumps(content))
        box.apart("import coco coco.json --out out.h5 --quiet", most=1500, status=(0, 1, 2))


@pytest.mark.parametrize(
    "counts, size",
    [
        ("0", [20, 30]),
        ("e" * 1000, [20, 30]),
        ("oooooooooooooooo", [20, 30]),
        ("P1", [20, 30]),
        ([600], [0, 600]),
        ([599], [20, 30]),
        ([601], [20, 30]),
        ([-1, 601], [20, 30]),
        ([1 << 62, 1 << 62], [20, 30]),
        ([0] * 100_000 + [600], [20, 30]),
        ([1 << 40], [1 << 20, 1 << 20]),
    ],
)
def test_run_lengths(box: Box, counts: Any, size: list[int]) -> None:
    """On such ones the library of COCO does not return, or dies (see `wsolbench.masks`)."""
    content = json.loads((box.work / "coco.json").read_text())
    content["annotations"][0]["segmentation"] = {"counts": counts, "size": size}
    (box.work / "coco.json").write_text(json.dumps(content))
    box.run("import coco coco.json --out out.h5 --quiet")


XML = {
    "entities": '<!DOCTYPE a [<!ENTITY b "bbbbbbbbbb">'
    + "".join(f'<!ENTITY b{n} "{f"&b{n - 1};" * 10}">' for n in range(1, 10)).replace("&b0;", "&b;")
    + "]><annotation>&b9;</annotation>",
    "external entity": '<!DOCTYPE a [<!ENTITY b SYSTEM "file://VICTIM">]>'
    "<annotation><filename>&b;</filename></annotation>",
    "external DTD": '<!DOCTYPE a SYSTEM "file://VICTIM"><annotation/>',
    "nested": "<annotation>" + "<object>" * 300_000 + "</object>" * 300_000 + "</annotation>",
    "attributes": "<annotation " + " ".join(f'a{n}="1"' for n in range(100_000)) + "/>",
}


@pytest.mark.parametrize("kind", XML)
def test_xml(box: Box, kind: str) -> None:
    text = XML[kind].replace("VICTIM", str(box.victim))
    (box.work / "xml" / "im00.xml").write_text(text)
    box.apart("import boxes xml --corners from-1 --out out.h5 --quiet", most=MOST)


def members(*named: tuple[tarfile.TarInfo, bytes]) -> bytes:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w:gz", format=tarfile.PAX_FORMAT) as archive:
        for info, content in named:
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return written.getvalue()


def test_tar_with_a_header_that_is_a_bomb(box: Box) -> None:
    """A PAX header of 300 MB of zeros in 300 kB."""
    head = bytearray(tarfile.TarInfo("xml/im00.xml").tobuf())
    size = 300 << 20
    head[124:136] = f"{size:011o}\0".encode()
    head[156:157] = b"x"
    head[148:156] = b" " * 8
    head[148:156] = f"{sum(head[:512]):06o}\0 ".encode()
    packed = io.BytesIO()
    with gzip.open(packed, "wb", 9) as file:
        file.write(bytes(head[:512]))
        for _ in range(size >> 20):
            file.write(bytes(1 << 20))
    (box.work / "xml.tgz").write_bytes(packed.getvalue())
    box.apart("import boxes xml.tgz --corners from-1 --out out.h5 --quiet", most=MOST)


def test_tar_with_a_member_that_is_a_bomb(box: Box) -> None:
    big = members((tarfile.TarInfo("xml/im00.xml"), bytes(300 << 20)))
    (box.work / "xml.tgz").write_bytes(big)
    box.apart("import boxes xml.tgz --corners from-1 --out out.h5 --quiet", most=MOST)


def test_tar_with_links_and_paths_outside(box: Box) -> None:
    sound = (box.work / "xml" / "im00.xml").read_bytes()
    link, device = tarfile.TarInfo("xml/im01.xml"), tarfile.TarInfo("xml/im02.xml")
    link.type, link.linkname = tarfile.SYMTYPE, str(box.victim)
    device.type = tarfile.FIFOTYPE
    outside = tarfile.TarInfo(f"../../{box.victim.name}/im00.xml")
    absolute = tarfile.TarInfo(f"{box.victim}.xml")
    given = members((link, b""), (device, b""), (outside, sound), (absolute, sound))
    (box.work / "xml.tgz").write_bytes(given)
    box.run("import boxes xml.tgz --corners from-1 --out out.h5 --quiet", (0, 1, 2))


CSV = {
    "NUL": "image_id,class_index,split\nim00\0,1,val\n",
    "a cell of 100 MB": "image_id,class_index,split\n" + "a" * (100 << 20) + ",1,val\n",
    "quotes without end": 'image_id,class_index,split\n"' + "im00,1,val\n" * 1000,
    "a path": "image_id,class_index,split\n../../victim,1,val\n",
    "an absolute path": "image_id,class_index,split\n/etc/passwd,1,val\n",
    "a split that is a path": "image_id,class_index,split\n"
    + "".join(f"im{index:02},1,../../out\n" for index in range(8)),
    "a large class": "image_id,class_index,split\n"
    + "".join(f"im{index:02},{10**30},val\n" for index in range(8)),
    "control characters": "image_id,class_index,split\nim00\x1b[31m,1,val\n",
    "other direction": "image_id,class_index,split\nim00\u202e,1,val\n",
}


@pytest.mark.parametrize("kind", CSV)
def test_csv(box: Box, kind: str) -> None:
    (box.work / "table.csv").write_text(CSV[kind])
    said = box.apart("import masks masks --table table.csv --out out.h5 --quiet", most=MOST)
    assert said.isprintable() or said.rstrip("\n").isprintable()


def png(width: int, height: int, content: bytes, kind: int = 0) -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", content) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("side", [9_000, 16_385, 100_000, (1 << 31) - 1])
def test_large_pictures(box: Box, side: int) -> None:
    """A few bytes that declare up to 4 EiB; 9000 pixels a side are legal, but not there."""
    (box.work / "masks" / "im00.png").write_bytes(png(side, side, zlib.compress(bytes(1000))))
    box.apart("import masks masks --out out.h5 --quiet", most=MOST)
    (box.work / "pictures" / "im00.png").write_bytes(png(side, side, zlib.compress(bytes(1000))))
    box.apart("import-maps pictures --annotations toy.h5 --out out.h5 --quiet", most=MOST)


def test_a_picture_whose_texts_are_bombs(box: Box) -> None:
    """A compressed text of 200 MB in 200 kB."""
    sound = png(30, 20, zlib.compress(b"\0" + bytes(30)) * 1)
    packed = b"a\0\0" + zlib.compress(bytes(200 << 20), 9)
    text = struct.pack(">I", len(packed)) + b"zTXt" + packed
    text += struct.pack(">I", zlib.crc32(b"zTXt" + packed))
    (box.work / "masks" / "im00.png").write_bytes(sound[:33] + text + sound[33:])
    box.apart("import masks masks --out out.h5 --quiet", most=MOST)


def npy(head: str, content: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    padded = head.encode() + b"\n"
    return b"\x93NUMPY" + version + struct.pack("<H", len(padded)) + padded + content


class Program:
    """What runs a command when a pickle of it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


NPY = {
    "huge": npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1000000, 1000000, 1000000)}"),
    "overflow": npy("{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296)}"),
    "negative": npy("{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 4)}", bytes(16)),
    "many dimensions": npy(f"{{'descr': '<f4', 'fortran_order': False, 'shape': {(1,) * 70}}}"),
    "objects": npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", b"cos\nsystem\n."),
    "a call": npy("{'descr': __import__('os').getcwd(), 'fortran_order': False, 'shape': ()}"),
    "deep": npy("(" * 900 + ")" * 900),
    "records": npy("{'descr': [('a', '<f4'), ('b', 'O')], 'fortran_order': False, 'shape': (2,)}"),
    "NaN": npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2)}", b"\xff" * 16),
    "version 9": npy(
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2)}", bytes(16), b"\x09\x00"
    ),
}


@pytest.mark.parametrize("kind", NPY)
def test_npy(box: Box, kind: str) -> None:
    (box.work / "maps" / "im00.npy").write_bytes(NPY[kind])
    box.run("import-maps maps --annotations toy.h5 --out out.h5 --quiet")


def zipped(name: str, pieces: int) -> bytes:
    written = io.BytesIO()
    with (
        zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive,
        archive.open(name, "w", force_zip64=True) as member,
    ):
        member.write(
            npy(f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({pieces << 9}, 512)}}")
        )
        for _ in range(pieces):
            member.write(bytes(1 << 20))
    return written.getvalue()


@pytest.mark.parametrize("name", ["npz", "counts"])
def test_archives_that_are_bombs(box: Box, name: str) -> None:
    """400 MB of zeros in 400 kB, as a map or as per-image statistics."""
    target = TARGETS[name]
    (box.work / target.damaged[0]).write_bytes(zipped("matched.npy", 400))
    box.apart(target.commands[0], most=MOST)


def test_pickles_run_nothing(box: Box) -> None:
    run = box.work / "has-run"
    content = pickle.dumps(Program(run))
    np.save(box.work / "maps" / "im00.npy", np.array([Program(run)]), allow_pickle=True)
    np.savez(box.work / "maps" / "im01.npz", np.array([Program(run)], dtype=object))
    box.run("import-maps maps --annotations toy.h5 --out out.h5 --quiet")
    np.savez(box.work / "a.counts.npz", held=np.array([Program(run)], dtype=object))
    box.run("compare a.json b.json --bootstrap 20 --json --quiet")
    if "checkpoint" in TARGETS:
        (box.work / "c.pt").write_bytes(content)
        box.run(TARGETS["checkpoint"].commands[0])
        written = io.BytesIO()
        with zipfile.ZipFile(written, "w") as archive:
            archive.writestr("c/data.pkl", content)
            archive.writestr("c/version", "3\n")
        (box.work / "c.pt").write_bytes(written.getvalue())
        box.run(TARGETS["checkpoint"].commands[0])
        box.run(
            "predict cam --backbone resnet50 --weights c.pt --annotations toy.h5 --images photos "
            "--workers 0 --device cpu --out out.h5 --quiet"
        )
    assert not run.exists()


@pytest.mark.parametrize("name", ["records.bin", "values.bin", "header.json"])
def test_a_part_with_links_outside(box: Box, name: str) -> None:
    """Resuming appends to these files: a link would let it write elsewhere."""
    path = box.work / "outp.h5.part" / name
    path.unlink()
    path.symlink_to(box.victim)
    box.run("import-maps maps --annotations toy.h5 --out outp.h5 --quiet --resume", (0, 1, 2))


def test_a_part_that_is_a_link(box: Box) -> None:
    part = box.work / "outp.h5.part"
    part.rename(box.work.parent / "moved")
    part.symlink_to(box.work.parent / "moved")
    before = {path: path.read_bytes() for path in (box.work.parent / "moved").iterdir()}
    box.run("import-maps maps --annotations toy.h5 --out outp.h5 --quiet --resume", (0, 1, 2))
    assert {path: path.read_bytes() for path in before if path.exists()} == before


def test_names_of_maps_and_masks(box: Box) -> None:
    """Files whose names are no ids are left out or refused, and never become paths."""
    for folder, ending in (("masks", "png"), ("maps", "npy")):
        one = next(iter(sorted((box.work / folder).iterdir())))
        for name in ("-rf", "a\nb", "a\u202eb", ".hidden", "a b ", "=1+1", "x" * 200):
            shutil.copy(one, box.work / folder / f"{name}.{ending}")
    box.run("import masks masks --out out.h5 --quiet", (0, 1, 2))
    box.run("import-maps maps --annotations toy.h5 --out out2.h5 --quiet", (0, 1, 2))


@pytest.mark.skipif("checkpoint" not in TARGETS, reason="torch is not installed")
def test_one_bit_of_a_networks_weights(trained: Path, box: Box) -> None:
    """torch.load does not compare checksums, and other weights are other maps."""
    path, command = box.work / "c.pt", TARGETS["checkpoint"].commands[0]
    box.run(command, 0)
    (box.work / "out.h5").unlink()
    content = bytearray(path.read_bytes())
    content[content.index(b"data/0") + 200] ^= 64
    path.write_bytes(content)
    box.refuses(command, "c.pt: found a file that cannot be read", 2)
