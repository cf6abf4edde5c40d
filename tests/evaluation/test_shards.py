"""Statistics of shards in files: their sum is one run to the byte, and nothing else is accepted."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.cli.conftest import Run, run  # noqa: F401
from tests.conftest import random_dataset, random_maps
from wsolbench.errors import WsolbenchError
from wsolbench.evaluation import run as runs
from wsolbench.evaluation.counts import write_counts
from wsolbench.evaluation.run import Request, outcome
from wsolbench.evaluation.shards import Shard, merged, write_shard
from wsolbench.formats.result import Bootstrap
from wsolbench.formats.shard_file import MAGIC, ShardFile, write_shard_file
from wsolbench.formats.submission.rules import SubmissionHeader
from wsolbench.formats.submission.writer import SubmissionWriter

COUNT = 23


def submit(folder: Path, ids: list[str], **more: Any) -> Path:
    """A submission of random maps; `more` are its other columns, by name of `append`."""
    path = folder / "m.h5"
    header = SubmissionHeader("random", "val", "gt", "none", {"name": "m"})
    maps = dict(zip([f"image_{n:03}" for n in range(COUNT)], random_maps(COUNT), strict=True))
    with SubmissionWriter(path, header) as writer:
        for row, image_id in enumerate(ids):
            own = {name: values[row : row + 1] for name, values in more.items()}
            writer.append([image_id], [maps[image_id]], **own)
    return path


@pytest.fixture
def request_(tmp_path: Path) -> Request:
    """A request for all scores of shuffled maps with classes, all but two of the images."""
    dataset = random_dataset(tmp_path / "random.h5", COUNT)
    rng = np.random.default_rng(4)
    ids = [dataset.image_ids[place] for place in rng.permutation(COUNT)[2:]]
    top5 = np.stack([rng.permutation(7)[:5] for _ in ids])
    edges = [rng.random((6, 7)).astype(np.float32) for _ in ids]
    maps = submit(tmp_path, ids, top5=top5, edges=edges)
    return Request(maps, dataset.store.path, allow_missing=True, counts=True)


def written(outcome_: runs.Outcome, folder: Path) -> list[bytes]:
    """The bytes of all results, counts and tables."""
    folder.mkdir()
    for number, result in enumerate(outcome_.results):
        result.write(folder / f"{number}.json")
    for number, counts in enumerate(outcome_.counts):
        write_counts(folder / f"{number}.counts.npz", counts)
    (folder / "table").write_text(json.dumps([outcome_.table, outcome_.notes]))
    return [file.read_bytes() for file in sorted(folder.iterdir())]


def both(request: Request, count: int, folder: Path) -> tuple[list[bytes], list[bytes]]:
    """What one run and so many shards give."""
    for index in range(count, 0, -1):
        write_shard(request, Shard(index, count), folder / "parts")
    found = merged([folder / "parts"], request.annotations)  # type: ignore[arg-type]
    options = ("allow_missing", "bootstrap", "by", "per_image", "counts", "threshold")
    own = {name: getattr(request, name) for name in options}
    parts = outcome(found.evaluators, found.submission_sha256, notes=found.notes, **own)
    return written(runs.run(request), folder / "one"), written(parts, folder / "sum")


@pytest.mark.parametrize("count", [1, 4, COUNT])
def test_shards_add_up_to_one_run(request_: Request, tmp_path: Path, count: int) -> None:
    bootstrap, by = Bootstrap(20, seed=3), ("area", "class")
    asked = replace(request_, bootstrap=bootstrap, by=by, per_image=True, threshold=9)
    one, parts = both(asked, count, tmp_path)
    assert len(one) == 3
    assert parts == one


@pytest.mark.parametrize(
    "changes",
    [
        {"limit": 9},
        {"ids": ["image_004", "image_002", "image_020", "image_011"]},
        {"counts": False},
        {"metrics": ("pixel", "boundary"), "boundary": runs.BoundaryRule(suppression=False)},
        {"metrics": ("boundary",)},
    ],
    ids=str,
)
def test_whatever_is_scored(request_: Request, tmp_path: Path, changes: Any) -> None:
    one, parts = both(replace(request_, **changes), 3, tmp_path)
    assert parts == one


def test_several_protocols(request_: Request, tmp_path: Path) -> None:
    pytest.importorskip("cv2", reason="of other protocols")
    names = ("sem", "wsoleval-v2", "tscam-cub", "genpromp-cub")
    one, parts = both(replace(request_, protocols=names), 2, tmp_path)
    assert len(one) == 9
    assert parts == one


def test_boxes_of_the_method(tmp_path: Path) -> None:
    dataset = random_dataset(tmp_path / "random.h5", COUNT)
    maps = submit(tmp_path, dataset.image_ids, boxes=np.tile([0, 0, 2, 2], (COUNT, 1)))
    one, parts = both(Request(maps, dataset.store.path, counts=True), 2, tmp_path)
    assert parts == one


def test_ranges_are_contiguous_and_of_one_length() -> None:
    for images, count in ((23, 4), (8, 8), (1000, 7)):
        ranges = [Shard(index, count).places(images) for index in range(1, count + 1)]
        assert list(itertools.chain(*ranges)) == list(range(images))
        assert len({len(own) for own in ranges}) <= 2
    with pytest.raises(WsolbenchError, match="found 3 shards of 2 images"):
        Shard(1, 3).places(2)
    with pytest.raises(WsolbenchError, match="shard: found 0/3, expected a part such as 2/4"):
        Shard(0, 3)


def test_a_shard_that_is_there_is_not_scored_again(request_: Request, tmp_path: Path) -> None:
    first, made = write_shard(request_, Shard(1, 2), tmp_path / "parts")
    assert made
    content, before = first.read_bytes(), first.stat().st_mtime_ns
    assert write_shard(request_, Shard(1, 2), tmp_path / "parts") == (first, False)
    assert first.stat().st_mtime_ns == before
    first.write_bytes(content[:-1])
    assert write_shard(request_, Shard(1, 2), tmp_path / "parts") == (first, True)
    assert first.read_bytes() == content
    # A whole file of another shard under this name is replaced, too.
    second, _ = write_shard(request_, Shard(2, 2), tmp_path / "parts")
    shutil.copy(second, first)
    assert write_shard(request_, Shard(1, 2), tmp_path / "parts") == (first, True)
    assert first.read_bytes() == content
    # Whatever decides the statistics decides the name.
    others = [
        write_shard(replace(request_, **changes), Shard(1, 2), tmp_path / "parts")[0].name
        for changes in ({"counts": False}, {"limit": 20}, {"metrics": ("pixel",)})
    ]
    assert len({first.name, *others}) == 4


def _without(parts: Path, other: Path) -> None:
    next(parts.glob("*2-of-3*")).unlink()


def _doubled(parts: Path, other: Path) -> None:
    shutil.copy(next(parts.glob("*2-of-3*")), parts / "copy.shard")


def _of_another_run(parts: Path, other: Path) -> None:
    shutil.copy(next(other.glob("*1-of-3*")), parts)


def _of_another_number(parts: Path, other: Path) -> None:
    shutil.copy(next(other.glob("*1-of-2*")), parts)


@pytest.mark.parametrize(
    "change, words",
    [
        (_without, "parts: found no statistics of shard 2/3, expected all 3 shards of the run"),
        (_doubled, "copy.shard: found shard 2/3 a second time, after "),
        (_of_another_run, "found a shard of another choice of protocols or metrics than"),
        (_of_another_number, r"found shard 1/\d beside shard 1/\d"),
    ],
)
def test_other_files_are_refused_by_name(
    request_: Request, tmp_path: Path, change: Callable[[Path, Path], None], words: str
) -> None:
    for index in (1, 2, 3):
        write_shard(request_, Shard(index, 3), tmp_path / "parts")
    write_shard(replace(request_, metrics=("pixel",)), Shard(1, 3), tmp_path / "other")
    write_shard(request_, Shard(1, 2), tmp_path / "other")
    change(tmp_path / "parts", tmp_path / "other")
    with pytest.raises(WsolbenchError, match=words) as error:
        merged([tmp_path / "parts"], request_.annotations)  # type: ignore[arg-type]
    assert error.value.exit_status == 1


def test_sums_alone_and_other_annotations_are_refused(request_: Request, tmp_path: Path) -> None:
    path, _ = write_shard(replace(request_, counts=False), Shard(1, 1), tmp_path)
    with pytest.raises(WsolbenchError, match=r"sums over the images alone.*again with --counts"):
        merged([path], tmp_path / "random.h5", of_images=True)
    random_dataset(tmp_path / "other.h5", COUNT, seed=1)
    with pytest.raises(WsolbenchError, match=r"other\.h5: found other annotations than the shards"):
        merged([path], tmp_path / "other.h5")
    (tmp_path / "empty").mkdir()
    with pytest.raises(WsolbenchError, match=r"empty: found no file \*.shard"):
        merged([tmp_path / "empty"])


def test_damage_is_told(request_: Request, tmp_path: Path) -> None:
    path, _ = write_shard(replace(request_, counts=False), Shard(1, 1), tmp_path)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    at_random = [int(place) for place in rng.integers(0, len(whole), 60)]
    variants = [b"", whole[:5], whole[:-1], whole + b"x", MAGIC + b"\xff" * 40, b"PK" + whole]
    for place in (0, 8, 15, 16, len(whole) - 1, *at_random):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << int(rng.integers(8))
        variants.append(bytes(flipped))
    for variant in variants:
        path.write_bytes(variant)
        with pytest.raises(WsolbenchError, match=r"\.shard: .*run this shard again") as error:
            merged([path], tmp_path / "random.h5")
        assert error.value.exit_status == 1


def test_files_are_open_only_while_they_are_read(request_: Request, tmp_path: Path) -> None:
    path, _ = write_shard(request_, Shard(1, 2), tmp_path)
    before = len(os.listdir("/dev/fd"))
    files = [ShardFile.read(path) for _ in range(20)]
    assert len(os.listdir("/dev/fd")) == before
    assert files[0].arrays().keys() == files[1].arrays().keys()
    other, _ = write_shard(request_, Shard(2, 2), tmp_path)
    shutil.copy(other, path)
    with pytest.raises(WsolbenchError, match="a file that was changed while it was read"):
        files[0].arrays()


def test_forged_files_end_in_one_line(request_: Request, tmp_path: Path) -> None:
    path, _ = write_shard(request_, Shard(1, 1), tmp_path)
    file = ShardFile.read(path)
    header = {key: value for key, value in file.header.items() if key != "arrays"}
    arrays = file.arrays()
    run_ = header["run"]

    def of(**changes: Any) -> dict[str, Any]:
        return {**header, "run": {**run_, **changes}}

    negative = {**arrays, "0/sums/pixels": -arrays["0/sums/pixels"]}
    wide = {**arrays, "0/kept/pixels": arrays["0/kept/pixels"].astype(np.int64)}
    fewer = {name: own for name, own in arrays.items() if name != "0/sums/pixels"}
    for other, held, words in (
        (header, negative, "other statistics"),
        (header, wide, "other statistics"),
        (header, fewer, "other statistics"),
        (header, {**arrays, "more": arrays["held"]}, "other statistics"),
        (header, {**arrays, "held": arrays["held"][1:]}, "other statistics"),
        ({**header, "counted": [[0, 0, -1]]}, arrays, "a damaged header"),
        ({**header, "shard": [2, 1]}, arrays, "found 2/1, expected a part"),
        ({**header, "shard": 1}, arrays, "a damaged header"),
        ({**header, "format_version": 2}, arrays, "version 2 of wsolbench-shard"),
        ({**header, "run": []}, arrays, "a damaged header"),
        (of(images=COUNT + 1), arrays, "24 images, and the split holds others"),
        (of(images="23"), arrays, "a damaged header"),
        (of(ids={"count": 3, "sha256": "x"}), arrays, "found an empty list of ids"),
        (
            of(protocols=[{"protocol": {}, "metrics": ["pixel"], "boundary": None}]),
            arrays,
            "protocol",
        ),
        (of(protocols=[]), arrays, "a damaged header"),
        (of(protocols=[3]), arrays, "a damaged header"),
        (
            of(submission={**run_["submission"], "method": {"name": "\u202e"}}),
            arrays,
            "a damaged header",
        ),
        (of(notes=[3]), arrays, "a damaged header"),
    ):
        write_shard_file(path, other, held)
        with pytest.raises(WsolbenchError, match=words):
            merged([path], tmp_path / "random.h5")
    # Arrays beyond the file, and of types that no writer uses.
    for listed in ([["held", "|b1", [1 << 60]]], [["held", "|O", [1]]], [["held", "|b1", [-1]]], 3):
        text = json.dumps({**header, "arrays": listed}).encode()
        start = MAGIC + len(text).to_bytes(8, "little") + text
        path.write_bytes(start + hashlib.sha256(start).digest())
        with pytest.raises(WsolbenchError, match="run this shard again"):
            ShardFile.read(path)


def test_impossible_sums_are_refused(run: Run, request_: Request, tmp_path: Path) -> None:  # noqa: F811
    path, _ = write_shard(request_, Shard(1, 1), tmp_path)
    file = ShardFile.read(path)
    header = {key: value for key, value in file.header.items() if key != "arrays"}
    arrays = file.arrays()
    sums = [name for name in arrays if "/sums/" in name and name != "0/sums/images"]
    for value in (1000, 1 << 62):
        write_shard_file(path, header, {**arrays, **{n: arrays[n] * 0 + value for n in sums}})
        error = run(
            "merge-results", path, "--annotations", "random.h5", "--allow-missing", status=1
        ).stderr
        assert "run the shards again" in error or "run this shard again" in error
    write_shard_file(path, {**header, "counted": [[0, 0, COUNT + 1]]}, arrays)
    with pytest.raises(WsolbenchError, match="other statistics than its header promises"):
        merged([path], tmp_path / "random.h5")


def test_the_command_line(run: Run, request_: Request, tmp_path: Path) -> None:  # noqa: F811
    evaluate = ["evaluate", "m.h5", "--annotations", "random.h5"]
    for part in (2, 1):
        done = run(*evaluate, "--shard", f"{part}/2", "--out", "parts", "--counts")
        assert done.stdout.endswith(f".{part}-of-2.shard: shard {part}/2\n")
    done = run(*evaluate, "--shard", "1/2", "--out", "parts", "--counts")
    assert done.stdout.endswith(": shard 1/2, which was there\n")
    options = ["--allow-missing", "--bootstrap", 20, "--seed", 2, "--by", "boxes", "--counts"]
    printed = [
        run(*command, *options, "--out", f"{name}.json", "--per-image", f"{name}.csv")
        for name, command in (
            ("one", evaluate),
            ("sum", ["merge-results", "parts", "--annotations", "random.h5"]),
        )
    ]
    assert printed[0] == printed[1]
    for ending in ("json", "csv", "counts.npz"):
        one, parts = (tmp_path / f"{name}.{ending}" for name in ("one", "sum"))
        assert one.read_bytes() == parts.read_bytes()
    file = next(path.name for path in (tmp_path / "parts").iterdir())
    for command, words in (
        ([*evaluate, "--shard", "1/2"], "--shard needs --out FOLDER."),
        ([*evaluate, "--shard", "3/2", "--out", "p"], "'3/2' is not a part such as 1/4."),
        ([*evaluate, "--shard", "1/2", "--out", "p", "--by", "area"], "give --by to merge-results"),
        (["merge-results"], "Missing argument 'FOLDER|FILE...'"),
        (["merge-results", "none"], "none: found no such file"),
        (
            ["merge-results", "parts", "--annotations", "random.h5", "--out", f"parts/{file}"],
            "another kind",
        ),
    ):
        assert words in run(*command, status=2).stderr
    assert (
        "no map for 2 of 23 images"
        in run("merge-results", "parts", "--annotations", "random.h5", status=1).stderr
    )
