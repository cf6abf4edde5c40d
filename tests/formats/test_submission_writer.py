"""The writer: what it refuses, and that a kill at any moment costs nothing that was stored."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
import time
import traceback
from contextlib import suppress

import numpy as np
import pytest

from wsolbench import WsolbenchError
from wsolbench.formats.submission import part as journal
from wsolbench.formats.submission import writer as submission_writer
from wsolbench.formats.submission.reader import Submission, SubmissionHeader, SubmissionWriter
from wsolbench.formats.submission.validate import validate

HEADER = SubmissionHeader("toys", "val", "gt", "min-max", {"name": "CAM", "parameters": {"k": 1}})
ZEROS = np.zeros((2, 3, 4), dtype=np.uint8)
FIVE = np.tile(np.arange(5), (2, 1))
WINDOW = np.array([[0.5, 0, 8, 6], [-1, -2.25, 9, 6]])
BOX = np.array([[0, 0, 2, 2], [1, 1, 3, 4]])

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="kills processes that it forks")
# Python 3.12 warns of every fork beside NumPy's threads; the children run no threads.
quiet = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def write(path, *batches):
    with SubmissionWriter(path, HEADER) as writer:
        for ids, maps, columns in batches:
            writer.append(ids, maps, **columns)


def files(folder):
    return sorted(entry.name for entry in folder.iterdir())


@pytest.mark.parametrize(
    "ids, maps, columns, message",
    [
        (["a", "b"], ZEROS.astype(np.float64), {}, r"'a'.* dtype float64 .*astype\(numpy.float32"),
        (["a", "b"], [ZEROS[0], ZEROS[0].astype(np.int32)], {}, "'b'.*dtype int32"),
        (["a", "b"], ZEROS.astype(bool), {}, "dtype bool"),
        (["a", "b"], [[[0.0]], [[1.0]]], {}, "dtype float64"),
        (["a", "b"], [ZEROS[0], ZEROS], {}, r"'b'.*shape \(2, 3, 4\)"),
        (["a", "b"], ZEROS[0], {}, r"maps of shape \(3, 4\)"),
        (["a", "b"], [ZEROS[0], ZEROS[0, :0]], {}, r"'b'.*shape \(0, 4\)"),
        (["a"], [np.zeros((1, 4097), np.uint8)], {}, "sides outside 1 to 4096"),
        (["a"], [np.full((2, 2), np.nan, np.float32)], {}, "'a': found map with 4 of 4 values NaN"),
        (
            ["a"],
            [np.full((2, 2), 1.001, np.float32)],
            {},
            r"above 1, up to 1\.0010000467300415 \(cut the rounding error off",
        ),
        (["a"], [np.full((2, 2), -1, np.float16)], {}, "4 of 4 values below 0, up to -1.0"),
        (["a", "a"], ZEROS, {}, "'a': found an id that is already stored"),
        (["a", "old"], ZEROS, {}, "'old': found an id that is already stored"),
        (["a", ""], ZEROS, {}, "an invalid image id"),
        (["a", "../b"], ZEROS, {}, r"'\.\./b': found an invalid image id"),
        (["a", "b\\c"], ZEROS, {}, "an invalid image id"),
        (["a", "b\0"], ZEROS, {}, "an invalid image id"),
        (["a", ".b"], ZEROS, {}, "an invalid image id"),
        (["a", "b\n"], ZEROS, {}, "an invalid image id"),
        (["a", "\u00e9"], ZEROS, {}, "an invalid image id"),
        (["a", "b" * 65], ZEROS, {}, "an invalid image id"),
        (["a", 7], ZEROS, {}, "'7': found an invalid image id"),
        ("ab", ZEROS, {}, "a single string"),
        (["a"], ZEROS, {}, "2 maps for 1 ids"),
        (["a", "b"], 5, {}, r"maps of shape \(\), expected \(B, height, width\)"),
        (["a", "b"], [[[1], [1, 2]]] * 2, {}, "maps that cannot be converted to arrays"),
        (["a", "b"], ZEROS, {"top5": FIVE[:1]}, r"top5 of int64 \(1, 5\)"),
        (["a", "b"], ZEROS, {"top5": FIVE[:, :4]}, r"top5 of int64 \(2, 4\)"),
        (["a", "b"], ZEROS, {"top5": FIVE * 1.0}, "top5 of float64"),
        (["a", "b"], ZEROS, {"top5": FIVE * [[1], [0]]}, r"'b': found top5 \[0, 0, 0, 0, 0\]"),
        (["a", "b"], ZEROS, {"top5": FIVE - [[0], [1]]}, r"'b': found top5 \[-1, 0"),
        (["a", "b"], ZEROS, {"boxes": BOX * 0.5}, "boxes of float64"),
        (
            ["a", "b"],
            ZEROS,
            {"boxes": BOX[:, [2, 1, 0, 3]]},
            r"2 faults: 'a' has box \[2, 0, 0, 2\]",
        ),
        (["a", "b"], ZEROS, {"boxes": BOX - [[0], [2]]}, r"'b': found box \[-1"),
        (["a", "b"], ZEROS, {"windows": WINDOW[0]}, r"windows of float64 \(4,\), expected numbers"),
        (["a", "b"], ZEROS, {"windows": WINDOW > 0}, r"windows of bool \(2, 4\)"),
        (["a", "b"], ZEROS, {"windows": [[0, 0, 1, 1], [0, 0, 0.9, 1]]}, "'b'.*at least one pixel"),
        (["a", "b"], ZEROS, {"windows": WINDOW * [[1], [np.nan]]}, r"'b': found window \[nan"),
        (["a", "b"], ZEROS, {"windows": WINDOW * [[1], [np.inf]]}, r"'b': found window \["),
        (["a", "b"], ZEROS, {"windows": WINDOW[:, ::-1]}, r"2 faults: 'a' has window \[6.0, 8.0"),
        (["a", "b"], ZEROS, {"windows": WINDOW * [[1], [1e7]]}, r"'b': found window \["),
        (["a", "b"], ZEROS, {"edges": ZEROS[:1]}, "1 edges for 2 ids"),
        (["a", "b"], ZEROS, {"edges": ZEROS * 2.5}, "edges with dtype float64"),
    ],
)
def test_what_append_refuses(tmp_path, ids, maps, columns, message):
    path = tmp_path / "s.h5"
    with pytest.raises(WsolbenchError, match=message) as caught:
        write(path, (["old"], ZEROS[:1], {}), (ids, maps, columns))
    assert "\n" not in str(caught.value)
    assert files(tmp_path) == []


def test_what_must_stay_the_same_between_batches(tmp_path):
    path = tmp_path / "s.h5"
    everything = {"top5": FIVE, "boxes": BOX, "edges": ZEROS, "windows": WINDOW}
    with SubmissionWriter(path, HEADER) as writer:
        writer.append(["a", "b"], ZEROS, **everything)
        with pytest.raises(WsolbenchError, match=r"c: found maps of float32, expected uint8"):
            writer.append(["c", "d"], ZEROS.astype(np.float32), **everything)
        with pytest.raises(WsolbenchError, match=r"c: found edges of float16, expected uint8"):
            writer.append(["c", "d"], ZEROS, **{**everything, "edges": ZEROS.astype(np.float16)})
        for name in everything:
            less = {key: value for key, value in everything.items() if key != name}
            with pytest.raises(WsolbenchError, match=rf"c: found no {name}, expected {name}"):
                writer.append(["c", "d"], ZEROS, **less)
        writer.append([], [])
        writer.append(["c", "d"], list(ZEROS), **everything)
        assert list(writer.written) == ["a", "b", "c", "d"]
    assert len(Submission.open(path)) == 4
    with pytest.raises(WsolbenchError, match=r"b: found top5, expected no top5"):
        write(path, (["a"], ZEROS[:1], {}), (["b"], ZEROS[:1], {"top5": FIVE[:1]}))


def test_one_batch_is_of_one_dtype(tmp_path):
    with (
        pytest.raises(WsolbenchError, match="b: found maps of float16, expected uint8"),
        SubmissionWriter(tmp_path / "s.h5", HEADER) as writer,
    ):
        writer.append(["a", "b"], [ZEROS[0], ZEROS[1].astype(np.float16)])


@pytest.mark.parametrize(
    "field, value, message",
    [
        ("label", "truth", '"gt" or "predicted"'),
        ("dataset", "", "attribute dataset"),
        ("dataset", None, "attribute dataset: found None"),
        ("split", "a/b", "attribute split"),
        ("normalisation", "two\nlines", "printable"),
        ("method", {}, "attribute method: found None"),
        ("method", "CAM", "a mapping"),
        ("method", {"name": "CAM", "seed": float("nan")}, "without NaN"),
        ("method", {"name": "CAM", "seed": {1, 2}}, "values that JSON can store"),
        ("method", {"name": "CAM", "seed": {1: 2}}, "values that JSON preserves"),
        ("method", {"name": "CAM", "paper": "x" * 64_001}, "at most 64000"),
        ("method", {"name": "CAM", "paper": "\ud800"}, "values that JSON can store"),
    ],
)
def test_headers_that_are_not_written(tmp_path, field, value, message):
    fields = {**vars(HEADER), field: value}
    with pytest.raises(WsolbenchError, match=message):
        SubmissionWriter(tmp_path / "s.h5", SubmissionHeader(**fields))
    assert files(tmp_path) == []


def test_an_empty_submission_is_refused_and_leaves_nothing(tmp_path):
    with (
        pytest.raises(WsolbenchError, match="no map was appended"),
        SubmissionWriter(tmp_path / "s.h5", HEADER),
    ):
        pass
    assert files(tmp_path) == []


def test_a_finished_file_stays_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "s.h5"
    with SubmissionWriter(path, HEADER) as writer:
        writer.append(["a", "b"], ZEROS)
    before = path.read_bytes()
    with suppress(RuntimeError), SubmissionWriter(path, HEADER) as writer:
        writer.append(["c"], ZEROS[:1])
        raise RuntimeError("mine")
    assert path.read_bytes() == before
    assert files(tmp_path) == ["s.h5"]
    with SubmissionWriter(path, HEADER) as writer:
        writer.append(["c"], ZEROS[:1])
        assert path.read_bytes() == before
    assert Submission.open(path).image_ids == ["c"]


def test_the_same_maps_give_the_same_bytes_whatever_the_batches(tmp_path):
    maps = np.random.default_rng(0).integers(0, 9, (20, 60, 70), dtype=np.uint8)
    ids = [f"i{row}" for row in range(20)]
    for name, size in (("one.h5", 20), ("two.h5", 3)):
        with SubmissionWriter(tmp_path / name, HEADER) as writer:
            for first in range(0, 20, size):
                writer.append(ids[first : first + size], maps[first : first + size])
    assert (tmp_path / "one.h5").read_bytes() == (tmp_path / "two.h5").read_bytes()


def test_arrays_are_taken_in_any_order_of_bytes_and_axes(tmp_path):
    maps = np.random.default_rng(0).random((2, 5, 6)).astype(">f4")
    path = tmp_path / "s.h5"
    with SubmissionWriter(path, HEADER) as writer:
        writer.append(["a", "b"], maps.transpose(0, 2, 1))
    found = Submission.open(path).read([0, 1])
    assert found[0].dtype == np.dtype("<f4")
    assert np.array_equal(found, maps.transpose(0, 2, 1))


def test_the_path_may_be_relative_or_a_link(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write("s.h5", (["a"], ZEROS[:1], {}))
    (tmp_path / "link.h5").symlink_to("s.h5")
    write("link.h5", (["b"], ZEROS[:1], {}))
    assert Submission.open("s.h5").image_ids == ["b"]
    assert files(tmp_path) == ["link.h5", "s.h5"]


def test_wrong_use_is_said(tmp_path):
    writer = SubmissionWriter(tmp_path / "s.h5", HEADER)
    with pytest.raises(WsolbenchError, match="with SubmissionWriter"):
        writer.append(["a"], ZEROS[:1])
    with pytest.raises(WsolbenchError, match="no folder"):
        SubmissionWriter(tmp_path / "none" / "s.h5", HEADER).__enter__()
    with pytest.raises(WsolbenchError, match="found a folder"):
        SubmissionWriter(tmp_path, HEADER).__enter__()
    with pytest.raises(WsolbenchError, match="at most one of them"):
        SubmissionWriter(tmp_path / "s.h5", HEADER, resume=True, overwrite=True)
    (tmp_path / "s.h5.part").mkdir()
    (tmp_path / "s.h5.part" / "thesis.tex").touch()
    for overwrite in (False, True):
        with pytest.raises(WsolbenchError, match=r"wsolbench did not write \(thesis.tex\)"):
            SubmissionWriter(tmp_path / "s.h5", HEADER, overwrite=overwrite).__enter__()
    assert files(tmp_path / "s.h5.part") == ["thesis.tex"]


@pytest.mark.skipif(sys.platform == "win32", reason="no flock")
def test_a_second_writer_of_the_same_target_is_refused(tmp_path):
    path = tmp_path / "s.h5"
    with SubmissionWriter(path, HEADER) as writer:
        writer.append(["a"], ZEROS[:1])
        for options in ({}, {"resume": True}, {"overwrite": True}):
            with pytest.raises(WsolbenchError, match="this process is writing it; wait"):
                SubmissionWriter(path, HEADER, **options).__enter__()
        writer.append(["b"], ZEROS[:1])
    assert Submission.open(path).image_ids == ["a", "b"]


def interrupted(path, **columns):
    """A part with a and b, as a killed run leaves it."""
    with suppress(KeyboardInterrupt), SubmissionWriter(path, HEADER, resume=True) as writer:
        writer.append(["a", "b"], ZEROS, **columns)
        raise KeyboardInterrupt


def test_an_interrupted_run_keeps_its_part_and_a_faulty_one_does_not(tmp_path):
    path = tmp_path / "s.h5"
    with suppress(KeyboardInterrupt), SubmissionWriter(path, HEADER) as writer:
        writer.append(["a", "b"], ZEROS)
        raise KeyboardInterrupt
    assert files(tmp_path) == ["s.h5.part"]
    with suppress(ZeroDivisionError), SubmissionWriter(path, HEADER, overwrite=True) as writer:
        writer.append(["a", "b"], ZEROS)
        raise ZeroDivisionError
    assert files(tmp_path) == []


def test_an_older_part_is_neither_lost_nor_mixed_in_silently(tmp_path):
    path = tmp_path / "s.h5"
    interrupted(path)
    assert files(tmp_path) == ["s.h5.part"]
    with pytest.raises(WsolbenchError, match=r"resume it \(--resume, resume=True\) or start again"):
        SubmissionWriter(path, HEADER).__enter__()
    with SubmissionWriter(path, HEADER, resume=True) as writer:
        assert list(writer.written) == ["a", "b"]
        with pytest.raises(WsolbenchError, match="'a': found an id that is already stored"):
            writer.append(["a"], ZEROS[:1])
        writer.append(["c"], ZEROS[:1])
    assert Submission.open(path).image_ids == ["a", "b", "c"]
    assert files(tmp_path) == ["s.h5"]
    interrupted(path)
    with SubmissionWriter(path, HEADER, overwrite=True) as writer:
        assert len(writer.written) == 0
        writer.append(["d"], ZEROS[:1])
    assert Submission.open(path).image_ids == ["d"]


@pytest.mark.parametrize(
    "field, value, message",
    [
        ("split", "test", "an unfinished run with split 'val', expected split 'test'"),
        ("label", "predicted", "an unfinished run with label 'gt'"),
        ("method", {"name": "CAM", "parameters": {"k": 2}}, r"method\.parameters\.k 1, .*\.k 2"),
        ("method", {"name": "CAM", "parameters": {"k": 1}, "seed": 1}, r"with no method\.seed"),
        ("normalisation", "x" * 300 + "A", r"normalisation 'min-max'"),
    ],
)
def test_a_part_goes_on_only_as_it_was_started(tmp_path, field, value, message):
    path = tmp_path / "s.h5"
    interrupted(path)
    with pytest.raises(WsolbenchError, match=message):
        SubmissionWriter(
            path, SubmissionHeader(**{**vars(HEADER), field: value}), resume=True
        ).__enter__()
    with SubmissionWriter(path, HEADER, resume=True) as writer:
        with pytest.raises(WsolbenchError, match="c: found maps of float16, expected uint8"):
            writer.append(["c"], [np.zeros((2, 2), np.float16)])
        with pytest.raises(WsolbenchError, match="c: found top5, expected no top5"):
            writer.append(["c"], ZEROS[:1], top5=FIVE[:1])


def test_a_part_whose_header_is_damaged_is_begun_anew_only_when_asked(tmp_path):
    path = tmp_path / "s.h5"
    interrupted(path)
    (tmp_path / "s.h5.part" / "header.json").write_text("{")
    with pytest.raises(WsolbenchError, match="overwrite=True"):
        SubmissionWriter(path, HEADER, resume=True).__enter__()
    with SubmissionWriter(path, HEADER, overwrite=True) as writer:
        writer.append(["a"], ZEROS[:1])
    assert validate(path) == []


@pytest.mark.parametrize("name", ["records.bin", "values.bin", "edges.bin"])
def test_torn_and_damaged_tails_are_dropped(tmp_path, name):
    path = tmp_path / "s.h5"
    interrupted(path, top5=FIVE, boxes=BOX, edges=ZEROS + 1)
    part = tmp_path / "s.h5.part"
    kept = tmp_path / "kept"
    shutil.copytree(part, kept)
    whole = (part / name).read_bytes()
    half = len(whole) // 2
    damaged = bytearray(whole)
    damaged[half + 3] ^= 1
    cases = [(whole + b"torn", 2), (whole[:-1], 1), (whole[: half - 1], 0), (b"", 0)]
    for content, count in [*cases, (bytes(damaged), 1)]:
        shutil.rmtree(part)
        shutil.copytree(kept, part)
        (part / name).write_bytes(content)
        with suppress(KeyboardInterrupt), SubmissionWriter(path, HEADER, resume=True) as writer:
            assert list(writer.written) == ["a", "b"][:count]
            raise KeyboardInterrupt
        assert (part / "values.bin").stat().st_size == count * 12
        assert (part / "edges.bin").stat().st_size == count * 12
        assert (part / "records.bin").stat().st_size == count * journal.RECORD.itemsize


def batches():
    rng = np.random.default_rng(7)
    for first in range(0, 24, 4):
        ids = [f"i{row}" for row in range(first, first + 4)]
        maps = [
            rng.integers(0, 9, (int(h), int(w)), dtype=np.uint8)
            for h, w in rng.integers(1, 70, (4, 2))
        ]
        yield ids, maps, np.stack([rng.permutation(9)[:5] for _ in ids])


def run(path):
    """What a resumable program does: skip what is written, append the rest."""
    with SubmissionWriter(path, HEADER, resume=True) as writer:
        for ids, maps, top5 in batches():
            left = [row for row, name in enumerate(ids) if name not in writer.written]
            if left:
                writer.append(
                    [ids[row] for row in left],
                    [maps[row] for row in left],
                    top5=top5[left],
                    edges=[maps[row] for row in left],
                )


def forked(act):
    """Run in a child; its wait status."""
    child = os.fork()
    if child == 0:
        try:
            act()
        except BaseException:  # noqa: BLE001 - nothing may come back into the parent's tests
            traceback.print_exc()
            os._exit(70)
        os._exit(0)
    return child


@forks
@quiet
def test_killed_within_any_write_and_gone_on_with_gives_the_same_bytes(tmp_path, monkeypatch):
    run(tmp_path / "straight.h5")
    expected = (tmp_path / "straight.h5").read_bytes()
    write_all = journal._write_all

    def until_death(path, moment):
        writes = iter(range(10_000))

        def torn(file, data):
            if next(writes) == moment:
                file.write(data[: len(data) // 2])
                os.kill(os.getpid(), signal.SIGKILL)
            write_all(file, data)

        monkeypatch.setattr(journal, "_write_all", torn)
        run(path)

    kills = 0
    # Six batches are eighteen writes: values, edges, records.
    for moment in range(18):
        path = tmp_path / f"{moment}.h5"
        for at in (moment, moment // 2):
            _, status = os.waitpid(forked(lambda p=path, m=at: until_death(p, m)), 0)
            assert status in (0, signal.SIGKILL)
            kills += status == signal.SIGKILL
        run(path)
        assert path.read_bytes() == expected
        path.unlink()
    assert kills >= 18
    assert files(tmp_path) == ["straight.h5"]


@forks
@quiet
def test_killed_at_random_moments_and_gone_on_with_gives_the_same_bytes(tmp_path):
    run(tmp_path / "straight.h5")
    expected = (tmp_path / "straight.h5").read_bytes()
    path = tmp_path / "s.h5"
    generator = random.Random(5)
    for _ in range(40):
        child = forked(lambda: run(path))
        time.sleep(generator.random() * 0.03)
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        assert status in (0, signal.SIGKILL)
        if path.exists():
            assert path.read_bytes() == expected
    run(path)
    assert path.read_bytes() == expected
    assert files(tmp_path) == ["s.h5", "straight.h5"]


@forks
@quiet
@pytest.mark.parametrize("moment", ["_convert", "_store_maps"])
def test_killed_while_converting(tmp_path, monkeypatch, moment):
    path = tmp_path / "s.h5"

    def die(*_):
        os.kill(os.getpid(), signal.SIGKILL)

    def until_death():
        monkeypatch.setattr(submission_writer, moment, die)
        run(path)

    _, status = os.waitpid(forked(until_death), 0)
    assert status == signal.SIGKILL
    assert not path.exists()
    run(path)
    assert validate(path) == []
    assert files(tmp_path) == ["s.h5"]


@forks
def test_a_full_disk_is_one_line_and_keeps_the_part(tmp_path):
    import resource

    path = tmp_path / "s.h5"
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    message = r"cannot be written \(.*File too large\); resume .* 2 maps are kept in .*part$"
    writer = SubmissionWriter(path, HEADER).__enter__()
    writer.append(["a", "b"], ZEROS)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    with pytest.raises(WsolbenchError, match=message):
        writer.__exit__(None, None, None)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, hard))
    assert files(tmp_path) == ["s.h5.part"]
    with SubmissionWriter(path, HEADER, resume=True) as writer:
        assert list(writer.written) == ["a", "b"]
    assert Submission.open(path).image_ids == ["a", "b"]
    assert files(tmp_path) == ["s.h5"]


def test_a_disk_that_fills_within_a_batch_stores_nothing_of_it(tmp_path, monkeypatch):
    path = tmp_path / "s.h5"
    write_all = journal._write_all

    def full(file, data):
        file.write(data[:5])
        raise OSError(28, "No space left on device")

    with SubmissionWriter(path, HEADER) as writer:
        writer.append(["a"], ZEROS[:1] + 1)
        monkeypatch.setattr(journal, "_write_all", full)
        with pytest.raises(WsolbenchError, match="No space left on device"):
            writer.append(["b"], ZEROS[:1] + 2)
        monkeypatch.setattr(journal, "_write_all", write_all)
        writer.append(["c"], ZEROS[:1] + 3)
    submission = Submission.open(path)
    assert submission.image_ids == ["a", "c"]
    assert [plane.max() for plane in submission.read([0, 1])] == [1, 3]


def test_what_a_killed_writer_could_not_remove_is_removed_by_the_next(tmp_path):
    kept = [".other.h5.999999999.old", ".s.h5.x.old", ".s.h5.999999999.keep"]
    for name in [".s.h5.999999999.old", f".s.h5.{os.getpid()}.old", *kept]:
        (tmp_path / name).mkdir()
        (tmp_path / name / "values.bin").touch()
    write(tmp_path / "s.h5", (["a", "b"], ZEROS, {}))
    assert files(tmp_path) == sorted([*kept, "s.h5"])


def test_tensors_are_converted(tmp_path):
    torch = pytest.importorskip("torch")
    values = torch.tensor([[[0.0, 0.25], [0.5, 1.0]]])
    with SubmissionWriter(tmp_path / "s.h5", HEADER) as writer:
        writer.append(["a"], values.clone().requires_grad_())
        writer.append(["b"], values.to(torch.bfloat16))
        writer.append(["c"], [values[0].to(torch.bfloat16).requires_grad_()])
        with pytest.raises(WsolbenchError, match="d: found maps of float16, expected float32"):
            writer.append(["d"], values.half())
    with Submission.open(tmp_path / "s.h5") as submission:
        for map_ in submission.read([0, 1, 2]):
            assert (map_ == values[0].numpy()).all()


def test_predictions_may_be_tensors(tmp_path):
    torch = pytest.importorskip("torch")
    with SubmissionWriter(tmp_path / "s.h5", HEADER) as writer:
        writer.append(["a"], ZEROS[:1], top5=torch.arange(5)[None], boxes=torch.tensor(BOX[:1]))
        with pytest.raises(WsolbenchError, match="top5 of float32"):
            writer.append(["b"], ZEROS[:1], top5=torch.arange(5, dtype=torch.bfloat16)[None])
        writer.append(["b"], ZEROS[:1], top5=torch.arange(5)[None], boxes=torch.tensor(BOX[:1]))
    with Submission.open(tmp_path / "s.h5") as submission:
        assert submission.top5.tolist() == [list(range(5))] * 2
