"""`bundle codabench` and `bundle evalai`."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

from tests.cli.conftest import Run


def test_bundles_are_written_and_their_leaderboards_printed(run: Run, scene: Path) -> None:
    ask = ["--annotations", "toy.h5", "--split", "val"]
    told = run("bundle", "codabench", *ask, "--out", "p.zip", "--reference", "r.zip").stdout
    assert told.startswith("leaderboard:\n  - title: Results\n    key: main\n    columns:\n")
    assert (
        'title: "Peak-IoU"\n        key: peak_iou\n        index: 0\n        sorting: desc' in told
    )
    with zipfile.ZipFile(scene / "r.zip") as opened:
        assert opened.read("annotations.h5") == (scene / "toy.h5").read_bytes()
    told = run("bundle", "evalai", *ask, "--out", "e.zip", "--scores", "ap,top1_loc").stdout
    content = json.loads(told.partition("schema: ")[2])
    assert content["labels"] == ["ap", "top1_loc"]
    assert content["metadata"]["ap"]["sort_ascending"] is False
    for options, message in (
        (["--out", "p.tar"], "p.tar: the file will be a .zip archive"),
        (["--out", "p.zip", "--protocol", "none"], "protocol: found 'none'"),
        (["--out", "p.zip", "--split", "x"], "no image of split 'x'"),
        (["--out", "p.zip", "--reference", "p.zip"], "same name"),
    ):
        assert message in run("bundle", "codabench", *ask, *options, status=2).stderr


def test_a_program_without_rules_is_one_line(run: Run, scene: Path) -> None:
    assert "no such file" in run("bundle", "score", ".", ".", ".", status=2).stderr
    (scene / "rules.json").write_text('{"split": 3}')
    assert "no rules" in run("bundle", "score", ".", ".", ".", status=2).stderr
