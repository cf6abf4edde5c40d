"""`evaluate`, `thresholds`, `protocols` and `validate`, from masks to scores."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from tests.cli.conftest import Run
from wsolbench.data.dataset import Dataset
from wsolbench.evaluation.run import evaluate
from wsolbench.protocols import PROTOCOLS
from wsolbench.scores import SCORES


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
    assert "protocol:sem.v2" in shown
    assert result["scores"].keys() <= SCORES.keys()
    assert result == json.loads(
        evaluate(Dataset.open(scene / "toy.h5"), scene / "val.h5").to_json()
    )
    with open(scene / "v.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 6
    assert {row["box_right"] for row in rows} <= {"True", "False"}
    right = sum(row["box_right"] == "True" for row in rows)
    assert right / len(rows) == result["scores"]["gt_known_loc"]
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
    parquet = pytest.importorskip("pyarrow.parquet", reason="writes Parquet")
    run(*ask, "--per-image", "v.parquet")
    assert parquet.read_table(scene / "v.parquet").num_rows == 6


def test_protocols_are_listed_with_what_differs(run: Run) -> None:
    shown = run("protocols").stdout
    assert shown.startswith(f"{PROTOCOLS['sem'].label}\n")
    assert "wsoleval-v1.v2 (" in shown
    assert "  correct box    IoU >= 0.5; sides count one pixel more\n" in shown
    sem, v1 = shown.split("\n", 1)[1].split("wsoleval-v1.v2", 1)[0], shown.split("tscam.v2")[0]
    assert "  grid           the image's own size\n" in sem
    assert "level > int(t * highest level)" in v1
    records = json.loads(run("protocols", "--json").stdout)
    assert [record["name"] for record in records[:3]] == ["sem", "wsoleval-v1", "wsoleval-v2"]
    assert records[0] == PROTOCOLS["sem"].as_dict()


def test_several_protocols_in_one_pass(run: Run, scene: Path) -> None:
    pytest.importorskip("cv2", reason="of other protocols")
    ask = ["evaluate", "val.h5", "--annotations", "toy.h5"]
    both = [*ask, "--protocol", "sem,wsoleval-v2"]
    shown = run(*both, "--out", "r.json").stdout
    assert shown.index("protocol:sem.v2") < shown.index("protocol:wsoleval-v2.v2")
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
    assert "use protocol sem alone" in run(*ask, "--threshold", 9, status=2).stderr
    assert "csv supports one protocol" in run(*ask, "--format", "csv", status=2).stderr
    assert "as a fraction of 255 it is 128" in run(*ask, "--threshold", 0.5, status=2).stderr
    error = run(*ask, "--threshold", "x", status=2).stderr
    assert "threshold: found 'x', expected a level from 0 to 255, or otsu, mean, max:F" in error


def test_without_opencv_one_line_tells_the_cure(scene: Path) -> None:
    program = "import sys; sys.modules['cv2'] = None\nfrom wsolbench.cli import main; main()"
    ask = ["evaluate", "val.h5", "--annotations", "toy.h5", "--protocol", "wsoleval-v1"]
    done = subprocess.run(
        [sys.executable, "-c", program, *ask], cwd=scene, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "pip install 'wsolbench[opencv]'" in done.stderr


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
        new.attrs.update({**old.attrs, "format_version": 1})
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


def test_a_submission_for_another_split_or_data_set_is_refused(run: Run, scene: Path) -> None:
    done = run("evaluate", "test.h5", "--annotations", "toy.h5", "--split", "val", status=1)
    assert "maps of split 'test', expected 'val'" in done.stderr
    run("import", "masks", "masks", "--table", "table.csv", "--dataset", "dogs", "--out", "dogs.h5")
    done = run("evaluate", "test.h5", "--annotations", "dogs.h5", status=1)
    assert "maps of data set 'toy', expected 'dogs'" in done.stderr
    done = run("evaluate", "val.h5", "--annotations", "toy.h5", "--split", "train", status=2)
    assert "no image of split 'train', expected test (6), val (6)" in done.stderr


def test_each_map_has_its_own_threshold(run: Run, scene: Path) -> None:
    ask = ["evaluate", "val.h5", "--annotations", "toy.h5"]
    shown = run(*ask, "--threshold", "otsu", "--out", "otsu.json", "--counts", "--by", "boxes")
    assert "|threshold:Otsu's of each map" in shown.stdout
    assert "the submission's" not in shown.stdout
    assert "groups are scored at the same thresholds: Otsu's of each map" in shown.stdout
    result = json.loads((scene / "otsu.json").read_text())
    assert result["threshold"] == {"rule": "per_image", "per_image": "otsu"}
    for shard in ("1/2", "2/2"):
        run(*ask, "--shard", shard, "--out", "parts", "--counts")
    merged = ["merge-results", "parts", "--annotations", "toy.h5", "--threshold", "otsu"]
    run(*merged, "--by", "boxes", "--out", "merged.json", "--counts")
    for suffix in (".json", ".counts.npz"):
        one, other = (scene / f"{name}{suffix}" for name in ("otsu", "merged"))
        assert one.read_bytes() == other.read_bytes()
    (scene / "list.txt").write_text("val.h5\n")
    many = ["evaluate", "--many", "list.txt", "--annotations", "toy.h5", "--threshold", "otsu"]
    run(*many, "--out", "all", "--by", "boxes")
    assert json.loads((scene / "all" / "val.json").read_text()) == result
    read = json.loads(run("thresholds", "otsu.json", "--bootstrap", "20", "--json").stdout)
    assert [row["per_image"] for row in read] == [None, None, None, "otsu", "mean", "max:0.5"]
    for row in read[1:]:
        assert row["gaps"].keys() == row["gap_intervals"].keys() == row["scores"].keys()
    gap = read[0]["scores"]["gt_known_loc"] - result["scores"]["gt_known_loc"]
    assert read[3]["gaps"]["gt_known_loc"] == pytest.approx(gap)
    assert "Oracle minus realistic" in run("thresholds", "otsu.json").stdout
    (scene / "otsu.counts.npz").unlink()
    error = run("thresholds", "otsu.json", "--threshold", "mean", status=2).stderr
    assert "no counts next to it" in error
    error = run("plot", "cases", "val.h5", "--annotations", "toy.h5", "--images", "masks",
                "--result", "otsu.json", "--out", "c.png", status=2).stderr  # fmt: skip
    assert "a threshold of each map: Otsu's of each map" in error
    error = run("evaluate", "test.h5", "--annotations", "toy.h5", "--threshold-from", "otsu.json",
                status=2).stderr  # fmt: skip
    assert "no box_threshold" in error
    assert "sem" in run(*ask, "--threshold", "otsu", "--protocol", "tscam", status=2).stderr


def test_swapped_files_are_said_to_be(run: Run, scene: Path) -> None:
    said = run("evaluate", "toy.h5", "--annotations", "val.h5", status=1).stderr
    assert "this file holds annotations: name it with --annotations, not as a submission" in said
