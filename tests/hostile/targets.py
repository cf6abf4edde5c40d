"""Every kind of file that a stranger may hand in, a command that reads it, and how it must end.

`build` makes a folder of sound files. A `Target` names one of them and commands on it; `run_case`
damages that file in a copy of the folder, runs the commands in this process and says what is wrong
with how they end: they must leave with status 1 or 2 and one line, or do what they do with the
sound file. Used by `test_damage.py` and `benchmarks/fuzz.py`.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import shutil
import struct
import sys
import tarfile
import traceback
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from unittest.mock import patch

import h5py
import numpy as np
from PIL import Image

from tests.hostile.damage import mutate
from wsolbench.cli import main
from wsolbench.data.dataset import Dataset
from wsolbench.formats.submission.rules import SubmissionHeader
from wsolbench.formats.submission.writer import SubmissionWriter

__all__ = [
    "TARGETS",
    "Outcome",
    "Target",
    "add_checkpoint",
    "build",
    "call",
    "run_case",
    "run_sound",
]

_Damage = Callable[[bytes, int, Sequence[bytes]], bytes]

_OWN_HASH = re.compile(r'("submission_sha256": )"\w*"')
_RESULT_HASH = re.compile(r'("content_sha256": )"\w*"(?=.*"wsolbench-result")', re.DOTALL)
_WEIGHTS_HASH = re.compile(r'("weights_sha256": )"\w*"')
_UNFORESEEN = re.compile(r"wsolbench: unexpected \w+ \(.*--debug")
"""How the command line reports an exception that nothing foresaw."""

_COUNT = 8  # images


@dataclass(frozen=True)
class Target:
    """A file, and commands that read it.

    Attributes:
        name: the kind of file.
        damaged: where it lies in the folder; one of several in turn.
        needs: other files and folders that the commands read.
        commands: run one after the other in the folder; outputs are named `out` and something.
        covered: whether checksums or checks cover all that it says, so that no damage may change
            what the commands give; in files of other programs a changed digit stays unnoticed.
        inside: damages what lies under a container's own checksums, and puts those right; what it
            makes is a forgery, which may be accepted.
    """

    name: str
    damaged: tuple[str, ...]
    needs: tuple[str, ...]
    commands: tuple[str, ...]
    covered: bool = False
    inside: _Damage | None = None


@dataclass(frozen=True)
class Outcome:
    """How a command ended.

    Attributes:
        status: its exit status; None if it raised something else than `SystemExit`.
        stdout: what it printed, without the hash of the submission, and that of a result over it.
        stderr: likewise, or the traceback.
        files: what it wrote.
    """

    status: int | None
    stdout: str
    stderr: str
    files: Mapping[str, bytes] = field(default_factory=dict)

    def fault(self) -> str:
        """What is wrong with this end, whatever the input was; empty if nothing is."""
        if self.status is None:
            return f"exception: {self.stderr.splitlines()[-1]}"
        said = [line for line in self.stderr.splitlines() if line.startswith("wsolbench: ")]
        if said and _UNFORESEEN.match(said[0]):
            return f"unforeseen exception: {said[0]}"
        if self.status not in (0, 1, 2):
            return f"status {self.status}"
        if self.status and not (len(said) == 1 or (self.status == 1 and self.stdout)):
            return f"{len(said)} lines for status {self.status}: {self.stderr[:200]}"
        if self.status and self.files:
            return f"status {self.status}, but {', '.join(self.files)} written"
        half = [name for name in self.files if name.endswith(".tmp")]
        return f"temporary files left: {', '.join(half)}" if half else ""


def call(folder: Path, command: str) -> Outcome:
    """Run a command in a folder and in this process."""
    before = {path for path in folder.rglob("*") if path.name.startswith((".", "out"))}
    printed, said = io.StringIO(), io.StringIO()
    here, arguments = os.getcwd(), sys.argv
    status: int | None = None
    try:
        os.chdir(folder)
        sys.argv = ["wsolbench", *command.split()]
        with redirect_stdout(printed), redirect_stderr(said):
            try:
                main()
            except SystemExit as left:
                status = left.code if isinstance(left.code, int) else None
            except BaseException:  # noqa: BLE001 - reported as a fault
                traceback.print_exc()
    finally:
        os.chdir(here)
        sys.argv = arguments
    made = {path for path in folder.rglob("*") if path.name.startswith((".", "out"))} - before
    files = {
        str(path.relative_to(folder)): path.read_bytes()
        for top in made
        for path in (top.rglob("*") if top.is_dir() else [top])
        if path.is_file()
    }
    stdout = _RESULT_HASH.sub(r'\1""', _OWN_HASH.sub(r'\1""', printed.getvalue()))
    stderr = said.getvalue()
    for stream in (printed, said):
        stream.truncate(0)  # click keeps every stream that it has printed to
    return Outcome(status, stdout, stderr, files)


def run_sound(target: Target, sound: Path, work: Path) -> list[Outcome]:
    """What the commands give with the sound file; checks that they succeed."""
    found = []
    for command in target.commands:
        with _copied(target, sound, work):
            outcome = call(work, command)
        if outcome.status != 0:
            raise AssertionError(f"{target.name}: {command}: {outcome.stderr}")
        found.append(outcome)
    return found


@dataclass(frozen=True)
class Case:
    """How the commands on one damaged file ended.

    Attributes:
        ends: of each command: "refused", "same" (as with the sound file) or "changed".
        faults: what is wrong with that; nothing in most cases.
    """

    ends: tuple[str, ...]
    faults: tuple[str, ...]


def run_case(
    target: Target, seed: int, sound: Path, work: Path, expected: Sequence[Outcome]
) -> Case:
    """Damage the file and run the commands on it.

    Args:
        target: which.
        seed: of the damage.
        sound: the folder that `build` made.
        work: a folder that is made for each command and removed after it; what lies beside it must
            stay as it is.
        expected: of `run_sound`.
    """
    name = target.damaged[seed % len(target.damaged)]
    donors = [(sound / other).read_bytes() for other in _DONORS]
    data = (sound / name).read_bytes()
    forged = target.inside is not None and seed % 2 == 1
    damaged = target.inside(data, seed, donors) if forged and target.inside else None
    damaged = mutate(data, seed, donors) if damaged is None else damaged
    ends, faults = [], []
    for command, usual in zip(target.commands, expected, strict=True):
        with _copied(target, sound, work):
            (work / name).write_bytes(damaged)
            beside = _listing(work.parent, work)
            outcome = call(work, command)
            fault = outcome.fault()
            if not fault and _listing(work.parent, work) != beside:
                fault = "a file outside the folder was written"
        same = outcome.stdout == usual.stdout and _same(outcome.files, usual.files)
        ends.append("refused" if outcome.status else "same" if same else "changed")
        if not fault and ends[-1] == "changed" and target.covered and not forged:
            fault = "silent change"
        if fault:
            faults.append(f"{target.name} seed {seed}: {command}: {fault}")
    return Case(tuple(ends), tuple(faults))


def _same(found: Mapping[str, bytes], usual: Mapping[str, bytes]) -> bool:
    """Whether files are the same, but for the hash of the weights that submissions state."""
    if found.keys() != usual.keys():
        return False
    return all(
        data == usual[name]
        or (name.endswith(".h5") and _without_hashes(data) == _without_hashes(usual[name]))
        for name, data in found.items()
    )


def _without_hashes(data: bytes) -> dict[str, object]:
    found: dict[str, object] = {}
    with h5py.File(io.BytesIO(data)) as file:
        for name, value in file.attrs.items():
            if name != "content_sha256":
                found[f"@{name}"] = _WEIGHTS_HASH.sub(r'\1""', str(value))

        def take(name: str, item: object) -> None:
            if isinstance(item, h5py.Dataset):
                found[name] = (item.dtype, item.shape, item[()].tobytes())

        file.visititems(take)
    return found


@contextmanager
def _copied(target: Target, sound: Path, work: Path) -> Iterator[None]:
    """The files that the commands read, in the work folder."""
    work.mkdir()
    try:
        for name in {Path(name).parts[0] for name in (*target.damaged, *target.needs)}:
            if (sound / name).is_dir():
                shutil.copytree(sound / name, work / name)
            else:
                shutil.copy(sound / name, work / name)
        yield
    finally:
        shutil.rmtree(work)


def _listing(folder: Path, without: Path) -> dict[str, tuple[int, int]]:
    """Size and time of change of each file beside the work folder."""
    found = {}
    for path in folder.iterdir():
        if path != without:
            with suppress(FileNotFoundError):
                found[path.name] = (path.stat().st_size, path.stat().st_mtime_ns)
    return found


# Damage under checksums


def _in_gzip(data: bytes, seed: int, donors: Sequence[bytes]) -> bytes:
    return gzip.compress(mutate(gzip.decompress(data), seed, donors), 1, mtime=0)


def _in_zip(data: bytes, seed: int, donors: Sequence[bytes]) -> bytes:
    """One member damaged, with a checksum of the damage."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    chosen = [*members][seed // 2 % len(members)]
    members[chosen] = mutate(members[chosen], seed, donors)
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return written.getvalue()


def _in_png(data: bytes, seed: int, donors: Sequence[bytes]) -> bytes:
    """One chunk damaged, its checksum put right; the pixels themselves in every third case."""
    chunks, place = [], 8
    while place < len(data):
        (length,) = struct.unpack(">I", data[place : place + 4])
        chunks.append((data[place + 4 : place + 8], data[place + 8 : place + 8 + length]))
        place += 12 + length
    chosen = seed // 2 % len(chunks)
    kind, content = chunks[chosen]
    if kind == b"IDAT" and seed % 3:
        content = zlib.compress(mutate(zlib.decompress(content), seed, donors))
    elif content:
        content = mutate(content, seed, donors)
    chunks[chosen] = (kind, content)
    return data[:8] + b"".join(
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks
    )


# The sound files


def build(folder: Path) -> None:
    """Write the sound files of all targets but "checkpoint"."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    ids = [f"im{index:02}" for index in range(_COUNT)]
    for name in ("masks", "maps", "pictures", "xml", "photos"):
        (folder / name).mkdir()
    rows = ["image_id,class_index,split"]
    for index, image_id in enumerate(ids):
        height, width = 20 + index, 30
        mask = np.zeros((height, width), dtype=np.uint8)
        mask[3 : 9 + index, 4 : 14 + index] = 255
        mask[rng.random(mask.shape) < 0.05] = 255
        Image.fromarray(mask).save(folder / "masks" / f"{image_id}.png")
        rows.append(f"{image_id},{index % 6},val")
        map_ = rng.random((6, 7), np.float32)
        if index == 1:
            np.savez_compressed(folder / "maps" / f"{image_id}.npz", map_)
        else:
            np.save(folder / "maps" / f"{image_id}.npy", map_)
        picture = Image.fromarray((255 * map_).astype(np.uint8)).resize((16, 16))
        picture.save(folder / "pictures" / f"{image_id}.{'jpg' if index % 2 else 'png'}")
        colours = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        Image.fromarray(colours).save(folder / "photos" / f"{image_id}.jpg")
        (folder / "xml" / f"{image_id}.xml").write_text(_xml(image_id, height, width))
    (folder / "table.csv").write_text("\n".join(rows) + "\n")
    (folder / "names.csv").write_text(
        "key,name\n" + "".join(f"n{index},class {index}\n" for index in range(6))
    )
    with tarfile.open(folder / "xml.tgz", "w:gz") as archive:
        archive.add(folder / "xml", "xml")
    _made(
        folder,
        "import masks masks --table table.csv --classes names.csv --dataset toy --out toy.h5",
    )
    for seed, name in enumerate("ab"):
        _submit(folder / f"{name}.h5", folder / "toy.h5", seed)
        evaluate = f"evaluate {name}.h5 --annotations toy.h5 --quiet"
        _made(folder, f"{evaluate} --by class --counts --out {name}.json")
    for part in ("1/2", "2/2"):
        _made(folder, f"evaluate a.h5 --annotations toy.h5 --quiet --shard {part} --out shards")
    for path in sorted((folder / "shards").iterdir()):
        path.rename(path.with_name(f"{path.stem[-6:-5]}.shard"))  # whatever its own name is
    _made(folder, "export coco toy.h5 --out coco.json")
    _add_polygons(folder / "coco.json", folder / "polygons.json")
    (folder / "lb").mkdir()
    for name in "ab":
        _made(
            folder,
            f"leaderboard add {name}.json --root lb --authors A --supervision labels "
            f"--licence CC0 --date 2026-11-27 --command make --backbone dice",
        )
    if find_spec("jinja2") is not None:
        _made(folder, "leaderboard build --root lb")
    _interrupt(folder)


def add_checkpoint(folder: Path) -> None:
    """Train a small network on the photos, for the target "checkpoint"."""
    _made(
        folder,
        "train cam --backbone mini --annotations toy.h5 --images photos --split val "
        "--epochs 1 --batch-size 4 --out c.pt --device cpu --quiet",
    )


def _made(folder: Path, command: str) -> None:
    outcome = call(folder, command)
    if outcome.status != 0:
        raise AssertionError(f"{command}: {outcome.stderr}")


def _xml(image_id: str, height: int, width: int) -> str:
    return (
        f"<annotation><folder>val</folder><filename>{image_id}</filename>"
        f"<size><width>{width}</width><height>{height}</height><depth>3</depth></size>"
        "<object><name>n0</name><bndbox><xmin>1</xmin><ymin>2</ymin>"
        f"<xmax>{width}</xmax><ymax>{height}</ymax></bndbox></object></annotation>\n"
    )


def _submit(path: Path, annotations: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    header = SubmissionHeader("toy", "val", "gt", "none", {"name": f"noise {seed}"})
    with SubmissionWriter(path, header) as writer:
        for index, image_id in enumerate(Dataset.open(annotations, "val").image_ids):
            maps = rng.integers(0, 256, (1, 5 + index % 2, 5), dtype=np.uint8)
            edges = rng.integers(0, 256, (1, 6, 6), dtype=np.uint8)
            writer.append([image_id], maps, rng.permutation(6)[None, :5], edges=edges)


def _interrupt(folder: Path) -> None:
    """Leave the part of an import that was interrupted before its end."""
    place = "wsolbench.formats.submission.writer._convert"
    with patch(place, side_effect=KeyboardInterrupt):
        outcome = call(folder, "import-maps maps --annotations toy.h5 --out outp.h5 --quiet")
    if outcome.status != 130 or not (folder / "outp.h5.part").is_dir():
        raise AssertionError(f"{outcome.status}: {outcome.stderr}")


def _add_polygons(path: Path, out: Path) -> None:
    """Every second mask as a polygon."""
    content = json.loads(path.read_text())
    for each in content["annotations"][::2]:
        x, y, width, height = each["bbox"]
        each["segmentation"] = [[x, y, x + width, y, x + width, y + height, x, y + height]]
        each["area"] = width * height
    out.write_text(json.dumps(content))


_DONORS = ("a.h5", "toy.h5", "a.json", "coco.json", "masks/im00.png", "xml.tgz")

_EVALUATE = "evaluate a.h5 --annotations toy.h5 --json --quiet --jobs 1"
_TARGETS = (
    Target(
        "submission",
        ("a.h5",),
        ("toy.h5",),
        (_EVALUATE, "validate a.h5 --annotations toy.h5 --quiet"),
        covered=True,
    ),
    Target(
        "annotations",
        ("toy.h5",),
        ("a.h5",),
        (_EVALUATE, "export png toy.h5 --out out", "info toy.h5 --json"),
        covered=True,
    ),
    Target("result", ("a.json",), (), ("thresholds a.json --json",), covered=True),
    Target(
        "counts",
        ("a.counts.npz",),
        ("a.json", "b.json", "b.counts.npz", "lb"),
        (
            "compare a.json b.json --bootstrap 20 --json --quiet",
            "leaderboard verify lb/entries/toy/noise-0-dice-val.json --from-counts "
            "--counts a.counts.npz --quiet",
        ),
        covered=True,
        inside=_in_zip,
    ),
    Target(
        "shard",
        ("shards/1.shard", "shards/2.shard"),
        ("toy.h5",),
        ("merge-results shards --annotations toy.h5 --json --quiet",),
        covered=True,
    ),
    Target(
        "part folder",
        tuple(f"outp.h5.part/{name}" for name in ("records.bin", "values.bin", "header.json")),
        ("maps", "toy.h5"),
        ("import-maps maps --annotations toy.h5 --out outp.h5 --quiet --resume",),
        covered=True,
    ),
    Target("coco", ("coco.json",), (), ("import coco coco.json --out out.h5 --quiet",)),
    Target("polygons", ("polygons.json",), (), ("import coco polygons.json --out out.h5 --quiet",)),
    Target(
        "xml", ("xml/im00.xml",), (), ("import boxes xml --corners from-1 --out out.h5 --quiet",)
    ),
    Target(
        "tgz",
        ("xml.tgz",),
        (),
        ("import boxes xml.tgz --corners from-1 --out out.h5 --quiet",),
        inside=_in_gzip,
    ),
    Target(
        "csv",
        ("table.csv", "names.csv"),
        ("masks",),
        ("import masks masks --table table.csv --classes names.csv --out out.h5 --quiet",),
    ),
    Target(
        "png",
        ("masks/im00.png",),
        (),
        ("import masks masks --out out.h5 --quiet",),
        inside=_in_png,
    ),
    Target(
        "jpeg",
        ("pictures/im01.jpg",),
        ("toy.h5",),
        ("import-maps pictures --annotations toy.h5 --out out.h5 --quiet",),
    ),
    Target(
        "npy",
        ("maps/im00.npy",),
        ("toy.h5",),
        ("import-maps maps --annotations toy.h5 --out out.h5 --quiet",),
    ),
    Target(
        "npz",
        ("maps/im01.npz",),
        ("toy.h5",),
        ("import-maps maps --annotations toy.h5 --out out.h5 --quiet",),
        inside=_in_zip,
    ),
    Target(
        "entry",
        ("lb/entries/toy/noise-0-dice-val.json",),
        ("lb",),
        ("leaderboard check --root lb",),
        covered=True,
    ),
    Target(
        "checkpoint",
        ("c.pt",),
        ("toy.h5", "photos"),
        (
            "predict cam --checkpoint c.pt --annotations toy.h5 --images photos --limit 2 "
            "--size 32 --workers 0 --device cpu --out out.h5 --quiet",
        ),
        covered=True,
        inside=_in_zip,
    ),
)
_NEEDS = {"entry": "jinja2", "checkpoint": "torch"}

TARGETS = {
    target.name: target
    for target in _TARGETS
    if find_spec(_NEEDS.get(target.name, "numpy")) is not None
}
"""By name; without those for which a package is not installed."""
