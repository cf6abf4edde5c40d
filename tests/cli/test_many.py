"""`evaluate --many`: the results of single runs, to the byte, whatever one submission is like."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from tests.cli.conftest import Run, submit
from tests.conftest import random_dataset, random_maps
from wsolbench.data.dataset import Dataset
from wsolbench.errors import WsolbenchError
from wsolbench.evaluation import many
from wsolbench.evaluation import run as runs
from wsolbench.evaluation.many import evaluate_many, read_submissions
from wsolbench.evaluation.run import Request, evaluate
from wsolbench.formats.submission.reader import Submission, SubmissionHeader, SubmissionWriter

NAMES = ("a", "b.v2", "c")
ASK = ("--annotations", "toy.h5", "--quiet")


@pytest.fixture
def listed(scene: Path) -> Path:
    """Three submissions to val in a folder, and the list of them."""
    folder = scene / "submissions"
    folder.mkdir()
    for seed, name in enumerate(NAMES):
        submit(folder / f"{name}.h5", scene / "toy.h5", "val", seed, top5=seed != 1)
    text = "# the entries\n\n" + "".join(f"submissions/{name}.h5\n" for name in NAMES)
    (scene / "list.txt").write_text(text)
    return scene / "list.txt"


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize(
    "options",
    [
        "--metrics pixel",
        "--bootstrap 20 --seed 3 --by area,boxes,class --counts",
        "--threshold 9 --ids ids.txt",
        "--limit 2 --jobs 3",
        "--protocol sem,wsoleval-v2,tscam --metrics pixel,box",
        "--threshold-from carried.json --counts",
    ],
)
def test_results_are_those_of_single_runs(
    run: Run, scene: Path, listed: Path, options: str, tmp_path: Path
) -> None:
    if "wsoleval" in options:
        pytest.importorskip("cv2", reason="of other protocols")
    (scene / "ids.txt").write_text("im03\nim07\nim01\n")
    run("evaluate", "test.h5", *ASK, "--out", "carried.json")
    run("evaluate", "--many", listed, *ASK, *options.split(), "--out", "many")
    (scene / "single").mkdir()
    for name in NAMES:
        path = f"submissions/{name}.h5"
        run("evaluate", path, *ASK, *options.split(), "--out", f"single/{name}.json")
    found = files(scene / "many")
    assert found == files(scene / "single")
    assert len(found) == len(NAMES) * (3 if "," in options.split()[1] else 1) * (
        2 if "--counts" in options else 1
    )


def test_edges_and_windows_and_boxes_are_scored_beside_plain_maps(
    run: Run, scene: Path, listed: Path
) -> None:
    dataset, rng = Dataset.open(scene / "toy.h5", "val"), np.random.default_rng(4)
    header = SubmissionHeader("toy", "val", "gt", "none", {"name": "all"})
    for name in ("edges", "windows", "boxes"):
        with SubmissionWriter(scene / f"submissions/{name}.h5", header) as writer:
            # In another order than the first submission's.
            for sample in reversed(dataset[:]):
                map_ = rng.integers(0, 256, (1, 5, 5)).astype(np.uint8)
                edges = rng.integers(0, 256, (1, sample.height, sample.width)).astype(np.uint8)
                more = {
                    "edges": {"edges": edges},
                    "windows": {"windows": np.array([[1.0, 2.0, sample.width - 3, 15.0]])},
                    "boxes": {"boxes": np.array([[1, 2, sample.width - 3, 15]])},
                }[name]
                writer.append([sample.image_id], map_, **more)
    listed.write_text("".join(f"submissions/{name}.h5\n" for name in ("edges", "windows", "boxes")))
    run("evaluate", "--many", listed, *ASK, "--out", "many")
    for name in ("edges", "windows", "boxes"):
        run("evaluate", f"submissions/{name}.h5", *ASK, "--out", "one.json")
        assert (scene / f"many/{name}.json").read_bytes() == (scene / "one.json").read_bytes()


def test_a_damaged_submission_does_not_stop_the_others(run: Run, scene: Path, listed: Path) -> None:
    folder = scene / "submissions"
    whole = (folder / "a.h5").read_bytes()
    with Submission.open(folder / "a.h5") as opened:
        stored = opened.read([3])[0].tobytes()
    place = whole.index(stored)
    (folder / "flipped.h5").write_bytes(
        whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]
    )
    (folder / "cut.h5").write_bytes(whole[: len(whole) // 2])
    (folder / "text.h5").write_text("no HDF5")
    submit(folder / "other.h5", scene / "toy.h5", "test", 7)
    bad = ["flipped", "cut", "text", "absent"]
    listed.write_text("".join(f"submissions/{name}.h5\n" for name in [*bad, "a", "other", "c"]))
    done = run("evaluate", "--many", listed, *ASK, "--out", "many", status=1)
    lines = [line for line in done.stderr.splitlines() if not line.startswith("note: ")]
    assert len(lines) == 4
    for name in bad:
        (line,) = [line for line in lines if f"submissions/{name}.h5: " in line]
        assert line.startswith("wsolbench: ")
        alone = run("evaluate", f"submissions/{name}.h5", *ASK, status=(1, 2)).stderr
        assert alone.strip().removeprefix("wsolbench: ").split(": ", 1)[-1] in line
    assert sorted(files(scene / "many")) == ["a.json", "c.json", "other.json"]
    assert done.stdout.count("failed") == 4
    run("evaluate", folder / "a.h5", *ASK, "--out", "one.json")
    assert (scene / "many/a.json").read_bytes() == (scene / "one.json").read_bytes()
    told = json.loads(
        run("evaluate", "--many", listed, *ASK, "--out", "many", "--json", status=1).stdout
    )
    assert [Path(row["submission"]).stem for row in told if "error" in row] == bad
    held = {Path(row["result"]).name: row for row in told if "result" in row}
    result = json.loads((scene / "many/a.json").read_text())
    assert held["a.json"]["scores"] == result["scores"]
    assert all(row["known"] for row in held.values())


def test_notes_name_their_submission_and_a_file_is_no_folder(
    run: Run, scene: Path, listed: Path
) -> None:
    with h5py.File(scene / "submissions" / "c.h5", "r+") as file:
        file.attrs["format_version"] = 1
    error = run("evaluate", "--many", "list.txt", *ASK, "--out", "out").stderr
    assert "note: submissions/c.h5: the submission is of format version 1" in error
    error = run("evaluate", "--many", "list.txt", *ASK, "--out", "toy.h5", status=2).stderr
    assert "toy.h5: found a file, expected a folder for the results" in error


def test_split_holds_for_all(run: Run, scene: Path, listed: Path) -> None:
    listed.write_text("submissions/a.h5\ntest.h5\n")
    done = run("evaluate", "--many", listed, *ASK, "--split", "val", "--out", "many", status=1)
    assert "test.h5: found maps of split 'test', expected 'val'" in done.stderr
    assert sorted(files(scene / "many")) == ["a.json"]


def test_what_is_there_and_matches_is_kept(
    run: Run, scene: Path, listed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = ["evaluate", "--many", listed, *ASK, "--out", "many"]

    def scored(*options: object) -> set[str]:
        """The submissions that a run scores again."""
        told = json.loads(run(*ask, *options, "--json").stdout)
        return {Path(row["result"]).name for row in told if not row["known"]}

    every = {f"{name}.json" for name in NAMES}
    assert scored() == every
    assert scored() == set()
    before = files(scene / "many")
    (scene / "many/a.json").unlink()
    (scene / "many/c.json").write_text("{}")
    assert scored() == {"a.json", "c.json"}
    assert files(scene / "many") == before
    for options in (
        ["--counts"],
        ["--metrics", "pixel"],
        ["--bootstrap", 20],
        ["--bootstrap", 20, "--seed", 1],
        ["--by", "boxes"],
        ["--threshold", 7],
        ["--limit", 3],
    ):
        assert scored(*options) == every, options
        assert scored(*options) == set(), options
    submit(scene / "submissions/c.h5", scene / "toy.h5", "val", 9)
    assert scored("--limit", 3) == {"c.json"}
    monkeypatch.setattr(many, "__version__", "9")
    assert scored("--limit", 3) == every


def test_missing_maps_are_named_or_scored_as_zeros(run: Run, scene: Path, listed: Path) -> None:
    with (
        Submission.open(scene / "submissions/a.h5") as whole,
        SubmissionWriter(scene / "submissions/part.h5", whole.header) as writer,
    ):
        for row in (4, 1, 5):
            writer.append([whole.image_ids[row]], whole.read([row]), whole.top5[[row]])
    listed.write_text("submissions/a.h5\nsubmissions/part.h5\nsubmissions/c.h5\n")
    done = run("evaluate", "--many", listed, *ASK, "--out", "many", status=1)
    assert "submissions/part.h5: toy val: found no map for 3 of 6 images: im01" in done.stderr
    run("evaluate", "--many", listed, *ASK, "--allow-missing", "--out", "many")
    run("evaluate", "submissions/part.h5", *ASK, "--allow-missing", "--out", "one.json")
    assert (scene / "many/part.json").read_bytes() == (scene / "one.json").read_bytes()


@pytest.mark.parametrize(
    "text, message",
    [
        ("# none\n", "no submission"),
        ("x/a.h5\nb.h5\n./x/../x/a.h5\n", "listed twice"),
        ("x/a.h5\ny/A.hdf5\n", "names that differ, since results are named after them"),
    ],
)
def test_lists_are_checked(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "list.txt").write_text(text)
    with pytest.raises(WsolbenchError, match=message):
        read_submissions(tmp_path / "list.txt")


def test_what_does_not_go_together_is_refused(run: Run, scene: Path, listed: Path) -> None:
    for options, message in (
        ([], "Name a submission, or a list"),
        (["val.h5", "--many", listed, "--out", "many"], "Name a submission, or a list"),
        (["--many", listed], "--many needs --out"),
        (["--many", listed, "--out", "many", "--per-image", "v.csv"], "--per-image supports one"),
        (["--many", listed, "--out", "toy.h5"], "toy.h5"),
        (["--many", "none.txt", "--out", "many"], "none.txt: found no such file"),
    ):
        done = run("evaluate", *options, "--annotations", "toy.h5", status=2)
        assert message in done.stderr
        assert len(done.stderr.splitlines()) == 1
    run("evaluate", "--many", listed, "--annotations", "list.txt", "--out", "many", status=2)
    (scene / "many").mkdir(exist_ok=True)
    os.replace(scene / "test.h5", scene / "many/a.json")
    done = run("evaluate", "--many", listed, *ASK, "--out", "many", status=2)
    assert "many/a.json: found a file of another kind" in done.stderr


def submissions(folder: Path, dataset: Dataset, count: int) -> list[Path]:
    header = SubmissionHeader("random", "val", "gt", "none", {"name": "random"})
    paths = [folder / f"{place}.h5" for place in range(count)]
    for place, path in enumerate(paths):
        with SubmissionWriter(path, header) as writer:
            writer.append(dataset.image_ids, random_maps(len(dataset), place))
    return paths


def test_groups_are_small_and_files_are_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = random_dataset(tmp_path / "r.h5", 9)
    paths = submissions(tmp_path, dataset, 5)
    together: list[int] = []
    score_all = many.score_all

    def counted(dataset: Dataset, entries: list[object], **options: object) -> None:
        together.append(len(entries))
        score_all(dataset, entries, **options)

    monkeypatch.setattr(many, "score_all", counted)
    plain, counts = Request(paths[0], dataset), Request(paths[0], dataset, counts=True)
    texts = [scored.outcome.results[0].to_json() for scored in evaluate_many(plain, paths)]
    assert together == [5]
    # 5 kB an image and the 9 images: two submissions in 100 kB.
    monkeypatch.setattr(many, "HELD_BYTES", 100_000)
    again = [scored.outcome.results[0].to_json() for scored in evaluate_many(counts, paths)]
    assert together == [5, 2, 2, 1]
    assert again == texts
    monkeypatch.setattr(many, "_max_open", lambda: 3)
    before = set(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").is_dir() else set()
    begun = evaluate_many(plain, paths)
    next(begun)
    begun.close()
    assert together[4:] == [3]
    if before:
        assert set(os.listdir("/proc/self/fd")) == before


def test_a_table_of_images_comes_with_each_submission(tmp_path: Path) -> None:
    dataset = random_dataset(tmp_path / "r.h5", 9)
    paths = submissions(tmp_path, dataset, 2)
    request = Request(paths[0], dataset, per_image=True)
    before = [evaluate(dataset, paths[0])]
    scored = list(evaluate_many(request, paths, known=lambda path: before))
    assert [own.known for own in scored] == [False, False]
    tables = [own.outcome.table for own in scored]
    assert tables == [runs.run(replace(request, submission=path)).table for path in paths]
    assert len(tables[0]["image_id"]) == 9


def test_the_first_fault_is_named_for_any_number_of_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wsolbench.evaluation.loop.IMAGES_AT_A_TIME", 2)
    dataset = random_dataset(tmp_path / "r.h5", 40)
    good, bad = submissions(tmp_path, dataset, 2)
    data = bytearray(bad.read_bytes())
    with Submission.open(bad) as opened:
        for row in (37, 21, 9, 30):
            stored = opened.read([row])[0].tobytes()
            place = data.index(stored)
            data[place] ^= 255
    bad.write_bytes(data)
    for jobs in (1, 2, 7):
        request = Request(good, dataset, jobs=jobs)
        first, second = evaluate_many(request, [bad, good])
        assert "image_009" in first.error
        assert second.error == ""
