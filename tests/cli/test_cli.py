"""The command line as a person meets it: one story end to end, and every kind of bad input."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pandas
import pytest
from PIL import Image

from tests.conftest import random_blob
from wsolbench.data.dataset import Dataset
from wsolbench.evaluation.run import evaluate
from wsolbench.formats.submission.reader import SubmissionHeader, SubmissionWriter

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run wsolbench in the test's own folder; a traceback is a failure whatever else happens."""

    def call(*arguments: object, status: int = 0) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", "from wsolbench.cli import main; main()"]
        done = subprocess.run(
            [*command, *map(str, arguments)], cwd=tmp_path, capture_output=True, text=True
        )
        assert "Traceback" not in done.stderr
        assert done.returncode == status, done.stdout + done.stderr
        return done

    return call


@pytest.fixture
def masks(tmp_path: Path) -> Path:
    """A folder of twelve masks and a table that splits them in halves."""
    folder = tmp_path / "masks"
    folder.mkdir()
    rng = np.random.default_rng(0)
    with open(tmp_path / "table.csv", "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["image_id", "class_index", "split"])
        for index in range(12):
            Image.fromarray(random_blob(rng, 20 + index, 30)).save(folder / f"im{index:02}.png")
            rows.writerow([f"im{index:02}", index % 6, "val" if index % 2 else "test"])
    return folder


def submit(path: Path, store: Path, split: str, seed: int, top5: bool = True) -> None:
    dataset = Dataset.open(store, split)
    rng = np.random.default_rng(seed)
    header = SubmissionHeader(
        dataset=dataset.name,
        split=split,
        label="gt",
        normalisation="none",
        method={"name": f"noise {seed}", "backbone": "dice"},
    )
    with SubmissionWriter(path, header) as writer:
        for image_id in dataset.image_ids:
            ranks = rng.permutation(6)[None, :5] if top5 else None
            writer.append([image_id], rng.integers(0, 256, (1, 5, 5)).astype(np.uint8), ranks)


@pytest.fixture
def scene(run: Run, masks: Path, tmp_path: Path) -> Path:
    """A folder with an annotation file toy.h5 and submissions val.h5 and test.h5."""
    run("import", "masks", masks, "--table", "table.csv", "--dataset", "toy", "--out", "toy.h5")
    for split in ("val", "test"):
        submit(tmp_path / f"{split}.h5", tmp_path / "toy.h5", split, seed=1)
    return tmp_path


def test_from_masks_to_scores(run: Run, scene: Path) -> None:
    held = json.loads(run("info", "toy.h5", "--json").stdout)
    assert (held["kind"], held["images"], held["splits"]) == (
        "annotations",
        12,
        {"test": 6, "val": 6},
    )
    assert "valid (ids not checked" in run("validate", "val.h5").stdout
    assert run("validate", "val.h5", "--annotations", "toy.h5").stdout == "val.h5: valid\n"
    shown = run(
        "evaluate", "val.h5", "--annotations", "toy.h5", "--out", "val.json", "--per-image", "v.csv"
    ).stdout
    result = json.loads((scene / "val.json").read_text())
    assert f"{100 * result['scores']['peak_iou']:.2f}" in shown
    assert "protocol:sem.v1" in shown
    assert result["scores"].keys() <= SCORES.keys()
    assert result == json.loads(
        evaluate(Dataset.open(scene / "toy.h5"), scene / "val.h5").to_json()
    )
    rows = pandas.read_csv(scene / "v.csv")
    assert len(rows) == 6
    assert rows["box_right"].mean() == result["scores"]["gt_known_loc"]
    carried = json.loads(
        run(
            "evaluate",
            "test.h5",
            "--annotations",
            "toy.h5",
            "--threshold-from",
            "val.json",
            "--json",
        ).stdout
    )
    assert carried["scores"]["box_threshold"] == result["scores"]["box_threshold"]
    assert carried["threshold"]["source"]["split"] == "val"
    assert carried["threshold"]["pixel"] == result["scores"]["peak_threshold"]
    both = run("info", "val.json", "val.json").stdout
    assert both.count("noise 1 dice") == 4
    run("plot", "curves", "val.json", "--out", "c.svg")
    assert b"<svg" in (scene / "c.svg").read_bytes()
    about = json.loads(run("info", "--json").stdout)
    assert about["wsolbench"] == result["wsolbench"]


def test_annotations_are_found_in_three_places(run: Run, scene: Path, monkeypatch) -> None:
    done = run("evaluate", "val.h5", status=2)
    for place in ("--annotations", "WSOLBENCH_ANNOTATIONS", "annotations/toy.h5"):
        assert place in done.stderr
    given = run("evaluate", "val.h5", "--annotations", "toy.h5", "--json").stdout
    monkeypatch.setenv("WSOLBENCH_ANNOTATIONS", str(scene / "toy.h5"))
    assert run("evaluate", "val.h5", "--json").stdout == given
    monkeypatch.delenv("WSOLBENCH_ANNOTATIONS")
    (scene / "annotations").mkdir()
    (scene / "toy.h5").rename(scene / "annotations" / "toy.h5")
    assert run("evaluate", "val.h5", "--json").stdout == given


def test_jobs_change_not_one_byte(run: Run, scene: Path) -> None:
    outputs = {
        run("evaluate", "val.h5", "--annotations", "toy.h5", "--jobs", jobs, "--json").stdout
        for jobs in (1, 2, 7)
    }
    assert len(outputs) == 1


def test_formats_and_trials(run: Run, scene: Path) -> None:
    ask = ["evaluate", "val.h5", "--annotations", "toy.h5"]
    assert run(*ask, "--format", "md").stdout.startswith("| Method")
    assert r"\toprule" in run(*ask, "--format", "latex").stdout
    table = list(csv.DictReader(run(*ask, "--format", "csv").stdout.splitlines()))
    whole = json.loads(run(*ask, "--json").stdout)
    assert float(table[0]["peak_iou"]) == whole["scores"]["peak_iou"]
    trial = json.loads(run(*ask, "--limit", 2, "--json").stdout)
    assert (trial["images"], trial["limit"], trial["comparable"]) == (2, 2, False)
    assert "TRIAL:first 2 images only, not comparable" in run(*ask, "--limit", 2).stdout
    pixel = json.loads(run(*ask, "--metrics", "pixel", "--json").stdout)
    assert "gt_known_loc" not in pixel["scores"]
    assert pixel["scores"]["ap"] == whole["scores"]["ap"]
    fixed = json.loads(run(*ask, "--threshold", 9, "--json").stdout)
    assert fixed["scores"]["box_threshold"] == 9
    pytest.importorskip("pyarrow", reason="writes Parquet")
    run(*ask, "--per-image", "v.parquet")
    assert len(pandas.read_parquet(scene / "v.parquet")) == 6


def test_protocols_are_listed_with_what_differs(run: Run) -> None:
    shown = run("protocols").stdout
    assert shown.startswith("sem version 1 (5a1acf2f)\n")
    assert "wsoleval-v1 version 1 (" in shown
    assert "  box_plus_one        yes\n" in shown
    records = json.loads(run("protocols", "--json").stdout)
    assert [record["name"] for record in records[:3]] == ["sem", "wsoleval-v1", "wsoleval-v2"]
    assert records[0]["sha256"].startswith("5a1acf2f")


def test_several_protocols_in_one_pass(run: Run, scene: Path) -> None:
    pytest.importorskip("cv2", reason="of other protocols")
    ask = ["evaluate", "val.h5", "--annotations", "toy.h5"]
    both = [*ask, "--protocol", "sem,wsoleval-v2"]
    shown = run(*both, "--out", "r.json").stdout
    assert shown.index("protocol:sem.v1") < shown.index("protocol:wsoleval-v2.v1")
    assert not (scene / "r.json").exists()
    alone = [run(*ask, "--protocol", name, "--json").stdout for name in ("sem", "wsoleval-v2")]
    written = [(scene / f"r.{name}.json").read_text() for name in ("sem", "wsoleval-v2")]
    assert written == alone
    listed = {run(*both, "--json", "--jobs", jobs).stdout for jobs in (1, 3)}
    assert [json.loads(text) for text in listed] == [[json.loads(text) for text in alone]]
    tables = run(*both, "--format", "md").stdout
    assert tables.count("| Method") == 2
    run("plot", "curves", "r.wsoleval-v2.json", "--out", "c.svg")
    assert "one protocol" in run("info", "r.sem.json", "r.wsoleval-v2.json", status=2).stderr


def test_what_other_protocols_cannot_do_is_said_before_the_work(run: Run, scene: Path) -> None:
    run("evaluate", "val.h5", "--annotations", "toy.h5", "--out", "val.json")
    ask = ["evaluate", "test.h5", "--annotations", "toy.h5", "--protocol", "sem,wsoleval-v1"]
    for option in (
        ["--threshold", 9],
        ["--threshold-from", "val.json"],
        ["--per-image", "v.csv"],
        ["--metrics", "pixel"],
        ["--out", "none/r.json"],
        ["--protocol", "sem,nothing"],
    ):
        done = run(*ask, *option, status=2)
        assert done.stdout == ""
        assert len(done.stderr.splitlines()) == 1
    assert "evaluate under --protocol sem alone" in run(*ask, "--threshold", 9, status=2).stderr
    assert "csv goes with one protocol" in run(*ask, "--format", "csv", status=2).stderr
    assert "that share of the range is 128" in run(*ask, "--threshold", 0.5, status=2).stderr
    assert "'x' is not a valid" in run(*ask, "--threshold", "x", status=2).stderr


def test_without_opencv_one_line_tells_the_cure(scene: Path) -> None:
    program = "import sys; sys.modules['cv2'] = None\nfrom wsolbench.cli import main; main()"
    ask = ["evaluate", "val.h5", "--annotations", "toy.h5", "--protocol", "wsoleval-v1"]
    done = subprocess.run(
        [sys.executable, "-c", program, *ask], cwd=scene, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "pip install 'wsolbench[opencv]'" in done.stderr


def test_methods_are_compared_from_results_and_submissions(run: Run, scene: Path) -> None:
    submit(scene / "other.h5", scene / "toy.h5", "val", seed=2)
    for name in ("val", "other"):
        kept = ["--out", f"{name}.json", "--counts", "--by", "area,boxes", "--bootstrap", "20"]
        shown = run("evaluate", f"{name}.h5", "--annotations", "toy.h5", *kept).stdout
        assert "Object area / image area" in shown
    assert (scene / "val.counts.npz").exists()
    from_results = run(
        *("compare", "val.json", "other.json", "--bootstrap", "50", "--out", "c.json"),
        *("--plot", "c.png"),
    ).stdout
    assert "A: noise 1 dice" in from_results
    compared = json.loads((scene / "c.json").read_text())
    pair = next(pair for pair in compared["pairs"] if pair["score"] == "peak_iou")
    read = [json.loads((scene / f"{name}.json").read_text()) for name in ("val", "other")]
    gap = read[1]["scores"]["peak_iou"] - read[0]["scores"]["peak_iou"]
    assert pair["difference"] == gap
    assert (scene / "c.png").read_bytes().startswith(b"\x89PNG")
    given = ["--annotations", "toy.h5", "--bootstrap", "50"]
    assert run("compare", "val.h5", "other.h5", *given).stdout == from_results
    assert run("compare", "val.json", "other.h5", *given).stdout == from_results
    both = run("compare", "val.h5", "other.h5", *given, "--json").stdout
    assert json.loads(both) == compared
    submit(scene / "third.h5", scene / "toy.h5", "val", seed=3)
    three = ["compare", "val.h5", "other.h5", "third.h5", *given]
    assert "C - B" in run(*three).stdout
    assert "C - B" not in run(*three, "--against-first").stdout
    reseeded = run("compare", "val.h5", "other.h5", *given, "--seed", "1", "--json").stdout
    assert json.loads(reseeded)["pairs"] != compared["pairs"]
    run("plot", "groups", "val.json", "other.json", "--by", "boxes", "--out", "g.png")
    assert (scene / "g.png").read_bytes().startswith(b"\x89PNG")
    run("evaluate", "val.h5", "--annotations", "toy.h5", "--out", "bare.json")
    for files, cure in (
        (["bare.json", "other.json"], "evaluate again with --counts"),
        (["val.h5"], "found 1 method, expected 2 to 12"),
        (["val.h5", "val.json"], "the same maps as method 1"),
        (["val.h5", "other.h5", "--protocol", "sem,tscam"], "--protocol takes one here"),
        (["val.json", "test.h5"], "method 2 (noise 1) beside method 1 (noise 1 dice)"),
        (["val.json", "other.json", "--protocol", "tscam"], "protocol sem, expected tscam"),
    ):
        error = run("compare", *files, "--annotations", "toy.h5", status=2).stderr
        assert cure in error
        assert len(error.splitlines()) == 1
    error = run("compare", "val.json", "other.json", "--out", "val.counts.npz", status=2).stderr
    assert "val.counts.npz" in error


def test_thresholds_stand_side_by_side(run: Run, scene: Path) -> None:
    for split in ("val", "test"):
        run("evaluate", f"{split}.h5", "--annotations", "toy.h5", "--out", f"{split}.json")
    carried = ["--threshold-from", "val.json"]
    run("evaluate", "test.h5", "--annotations", "toy.h5", *carried, "--out", "carried.json")
    read = json.loads(run("thresholds", "test.json", *carried, "--json").stdout)
    assert [row["pixel"] for row in read][2:] == [51, 128]
    scores = json.loads((scene / "carried.json").read_text())["scores"]
    assert read[1]["scores"]["iou_at_threshold"] == scores["iou_at_threshold"]
    assert read[1]["scores"]["gt_known_loc"] == scores["gt_known_loc"]
    shown = run("thresholds", "carried.json", "--threshold", "9").stdout
    assert "from val (T" in shown
    assert "fixed at 9 (0.04)" in shown
    assert "fixed at 51" not in shown


def test_missing_maps_are_refused_or_counted(run: Run, scene: Path) -> None:
    with h5py.File(scene / "val.h5") as old, h5py.File(scene / "part.h5", "w") as new:
        new.attrs.update(old.attrs)
        for name in ("image_id", "maps", "crc32", "top5"):
            new[name] = old[name][1:]
    ask = ["evaluate", "part.h5", "--annotations", "toy.h5"]
    assert "no map for 1 of 6 images: im01" in run(*ask, status=1).stderr
    assert json.loads(run(*ask, "--allow-missing", "--json").stdout)["counts"]["missing"] == 1
    found = run("validate", "part.h5", "--annotations", "toy.h5", status=1).stdout
    assert "im01" in found


def test_validate_lists_every_fault_at_once(run: Run, scene: Path) -> None:
    with h5py.File(scene / "bad.h5", "w") as file:
        file.attrs.update(
            {
                "format": "wsolbench-submission",
                "format_version": 1,
                "dataset": "toy",
                "split": "val",
                "label": "gt",
                "normalisation": "none",
                "method": json.dumps({"name": "bad"}),
            }
        )
        file["image_id"] = np.array([b"im01", b"im01", b"stranger"])
        maps = np.full((3, 4, 4), 0.5, np.float32)
        maps[1, 0, 0], maps[2, 1, 1] = np.nan, 3
        file["maps"] = maps
        file["top5"] = np.array([[0, 1, 2, 3, 4], [0, 1, 2, 3, -7], [0, 1, 2, 3, 4]], np.int32)
    found = run("validate", "bad.h5", "--annotations", "toy.h5", status=1).stdout
    for fault in ("im01", "stranger", "im03", "-7", "row 1", "row 2", "3"):
        assert fault in found
    listed = json.loads(
        run("validate", "bad.h5", "--annotations", "toy.h5", "--json", status=1).stdout
    )
    assert len(listed) >= 5
    assert run("evaluate", "bad.h5", "--annotations", "toy.h5", status=1).stdout == ""


COMMANDS = [
    ["evaluate", "none.h5"],
    ["evaluate", "none.h5", "--annotations", "none.h5"],
    ["validate", "none.h5"],
    ["info", "none.h5"],
    ["import", "masks", "none", "--out", "x.h5"],
    ["import", "ilsvrc", "--masks", "none", "--val-list", "none.txt", "--out", "x.h5"],
    ["import", "coco", "none.json", "--out", "x.h5"],
    ["import", "cub", "none", "--out", "x.h5"],
    ["import", "openimages", "none", "--out", "x.h5"],
    ["import", "imagenet-s", "none", "--out", "x.h5"],
    ["export", "coco", "none.h5", "--out", "x.json"],
    ["export", "png", "none.h5", "--out", "x"],
    ["plot", "curves", "none.json", "--out", "x.png"],
    ["predict", "cam", "--backbone", "resnet50", "--images", "none", "--out", "x.h5"],
    ["predict", "sem", "--model", "no.module:f", "--images", "none", "--out", "x.h5"],
    ["plot", "areas", "none.h5", "--out", "x.png"],
    ["plot", "maps", "none.h5", "--annotations", "b", "--images", "c", "--out", "x.png"],
    ["plot", "seeds", "none.json", "--out", "x.png"],
    ["leaderboard", "build"],
    ["leaderboard", "check"],
    ["leaderboard", "add", "none.json"],
    ["leaderboard", "verify", "none.json", "--submission", "a", "--annotations", "b"],
    ["plot", "groups", "none.json", "--out", "x.png"],
    ["plot", "cases", "none.h5", "--images", "none", "--out", "x.png"],
    ["import-maps", "none", "--out", "x.h5"],
    ["import-maps", "none", "--annotations", "none.h5", "--normalise", "all", "--out", "x.h5"],
    ["compare", "none.json", "none.h5"],
    ["compare", "none.h5"],
    ["thresholds", "none.json"],
    ["nothing"],
    ["evaluate"],
    ["evaluate", "a.h5", "--by", "size"],
    ["evaluate", "a.h5", "--counts"],
    ["evaluate", "a.h5", "--threshold", "256"],
    ["evaluate", "a.h5", "--nothing"],
    ["evaluate", "a.h5", "--protocol", "nothing"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_in_an_empty_folder_every_command_says_one_line(
    run: Run, tmp_path: Path, command: list[str]
) -> None:
    done = run(*command, status=2)
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("wsolbench: ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("share", range(0, 20, 2))
def test_truncated_files_are_one_line(run: Run, scene: Path, share: int) -> None:
    for name in ("val.h5", "toy.h5"):
        data = (scene / name).read_bytes()
        (scene / f"cut-{name}").write_bytes(data[: len(data) * share // 20])
    before = sorted(scene.iterdir())
    for command in (
        ["evaluate", "cut-val.h5", "--annotations", "toy.h5", "--out", "r.json"],
        ["evaluate", "val.h5", "--annotations", "cut-toy.h5", "--out", "r.json"],
        ["info", "cut-val.h5"],
    ):
        done = subprocess.run(
            [sys.executable, "-c", "from wsolbench.cli import main; main()", *command],
            cwd=scene,
            capture_output=True,
            text=True,
        )
        assert done.returncode in (1, 2)
        assert done.stdout == ""
        assert len(done.stderr.splitlines()) == 1
    assert sorted(scene.iterdir()) == before


def test_a_submission_for_another_split_or_data_set_is_refused(run: Run, scene: Path) -> None:
    done = run("evaluate", "test.h5", "--annotations", "toy.h5", "--split", "val", status=1)
    assert "maps of split 'test', expected 'val'" in done.stderr
    run("import", "masks", "masks", "--table", "table.csv", "--dataset", "dogs", "--out", "dogs.h5")
    done = run("evaluate", "test.h5", "--annotations", "dogs.h5", status=1)
    assert "maps of data set 'toy', expected 'dogs'" in done.stderr
    done = run("evaluate", "val.h5", "--annotations", "toy.h5", "--split", "train", status=2)
    assert "no image of split 'train', expected test (6), val (6)" in done.stderr


def test_no_command_writes_over_its_own_files(run: Run, scene: Path) -> None:
    run("evaluate", "val.h5", "--annotations", "toy.h5", "--out", "val.json")
    before = {path: path.read_bytes() for path in scene.iterdir() if path.is_file()}
    score = ["evaluate", "val.h5", "--annotations", "toy.h5"]
    carried = ["evaluate", "test.h5", "--annotations", "toy.h5", "--threshold-from", "val.json"]
    for command in (
        [*score, "--out", "val.h5"],
        [*score, "--out", "toy.h5"],
        [*score, "--per-image", "x.csv", "--out", "x.csv"],
        [*carried, "--out", "./val.json"],
        ["export", "coco", "toy.h5", "--out", "toy.h5"],
        ["import", "masks", "masks", "--table", "table.csv", "--out", "table.csv"],
        ["plot", "curves", "val.json", "--out", "val.json"],
    ):
        assert "name another file" in run(*command, status=2).stderr
    os.mkfifo(scene / "pipe")
    assert "a device or pipe" in run(*score, "--out", "pipe", status=2).stderr
    assert "a device or pipe" in run("info", "pipe", status=2).stderr
    (scene / "pipe").unlink()
    assert {path: path.read_bytes() for path in scene.iterdir() if path.is_file()} == before


def test_a_link_is_written_through(run: Run, scene: Path) -> None:
    (scene / "link.json").symlink_to("real.json")
    run("evaluate", "val.h5", "--annotations", "toy.h5", "--out", "link.json")
    assert (scene / "link.json").is_symlink()
    assert json.loads((scene / "real.json").read_text())["images"] == 6


def test_a_file_that_grows_too_large_is_one_line(run: Run, scene: Path) -> None:
    # A limit on file sizes stands for a full disk: both refuse the write in its midst.
    command = "from wsolbench.cli import main; main()"
    for arguments in (
        ["evaluate", "val.h5", "--annotations", "toy.h5", "--out", "r.json"],
        ["import", "masks", "masks", "--table", "table.csv", "--out", "new.h5"],
        ["export", "coco", "toy.h5", "--out", "coco.json"],
    ):
        before = sorted(scene.iterdir())
        done = subprocess.run(
            [
                "bash",
                "-c",
                'ulimit -f 1; exec "$@"',
                "bash",
                sys.executable,
                "-c",
                command,
                *arguments,
            ],
            cwd=scene,
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        )
        assert done.returncode == 2, done.stderr
        assert len(done.stderr.splitlines()) == 1
        assert "cannot be written" in done.stderr
        assert sorted(scene.iterdir()) == before


def test_a_group_alone_shows_its_help(run: Run) -> None:
    for group in ([], ["plot"], ["import"], ["predict"]):
        shown = run(*group, status=2).stderr
        assert shown.startswith("Usage: ")
        assert "Commands:" in shown


def test_where_results_cannot_go_is_said_before_the_work(run: Run, scene: Path) -> None:
    ask = ["evaluate", "val.h5", "--annotations", "toy.h5"]
    assert "no folder none" in run(*ask, "--out", "none/r.json", status=2).stderr
    assert "found a folder" in run(*ask, "--out", "masks", status=2).stderr
    assert "expected .csv or .parquet" in run(*ask, "--per-image", "v.txt", status=2).stderr
    done = run("plot", "curves", "r.json", "--out", "c.gif", status=2)
    assert "r.json" in done.stderr
    (scene / "r.json").write_text('{"format": "wsolbench-result", "format": 1}')
    assert "a key twice" in run("plot", "curves", "r.json", "--out", "c.png", status=2).stderr
    (scene / "r.json").write_text('{"format": NaN}')
    assert "NaN is no number" in run("info", "r.json", status=2).stderr
    (scene / "r.json").write_text('{"format": "other"}')
    assert 'expected "format"' in run("info", "r.json", status=2).stderr
