"""What holds for every command: bad input is one line, and outputs are whole or absent."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.cli.conftest import Run, submit
from wsolbench import files
from wsolbench.errors import WsolbenchError
from wsolbench.evaluation import counts


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


COMMANDS = [
    ["evaluate", "none.h5"],
    ["evaluate", "none.h5", "--annotations", "none.h5"],
    ["validate", "none.h5"],
    ["info", "none.h5"],
    ["import", "masks", "none", "--out", "x.h5"],
    ["import", "ilsvrc", "--masks", "none", "--val-list", "none.txt", "--out", "x.h5"],
    ["import", "coco", "none.json", "--out", "x.h5"],
    ["import", "cub", "none", "--out", "x.h5"],
    ["import", "boxes", "none", "--out", "x.h5"],
    ["import", "boxes", "none", "--corners", "far", "--out", "x.h5"],
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
    ["merge", "none.h5", "other.h5", "--out", "x.h5"],
    ["merge", "none.h5", "--annotations", "none.h5", "--out", "x.h5"],
    ["merge", "--out", "x.h5"],
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
        done = run(*command, status=(1, 2))
        assert done.stdout == ""
        assert len(done.stderr.splitlines()) == 1
    assert sorted(scene.iterdir()) == before


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


def test_no_file_is_named_as_another_kind(run: Run, scene: Path) -> None:
    submit(scene / "other.h5", scene / "toy.h5", "val", seed=2)
    before = sorted(scene.iterdir())
    given = ["--annotations", "toy.h5"]
    for command, kind, cure in (
        (["evaluate", "val.h5", *given, "--out", "x.csv"], ".json", "--per-image FILE.csv"),
        (["evaluate", "val.h5", *given, "--out", "x.csv"], ".json", "--format csv"),
        (["evaluate", "val.h5", *given, "--out", "x.parquet", "--counts"], ".json", "--per-image"),
        (["evaluate", "val.h5", *given, "--out", "x.md"], ".json", "--format csv, md or latex"),
        (["evaluate", "val.h5", *given, "--out", "x.h5"], ".json", "change the ending"),
        (["compare", "val.h5", "other.h5", *given, "--out", "x.csv"], ".json", "--format csv"),
        (["compare", "val.h5", "other.h5", *given, "--out", "x.png"], ".json", "change the ending"),
        (["export", "coco", "toy.h5", "--out", "x.csv"], ".json", "change the ending"),
        (["predict", "trivial:noise", *given, "--out", "x.csv"], ".h5", "change the ending"),
        (["import", "masks", "masks", "--out", "x.json"], ".h5", "change the ending"),
        (["import-maps", "masks", *given, "--out", "x.npz"], ".h5", "change the ending"),
        (["evaluate", "val.h5", *given, "--per-image", "x.json"], ".csv or", "change the file's"),
        (["compare", "val.h5", "other.h5", *given, "--plot", "x.json"], ".png", "rename"),
    ):
        error = run(*command, status=2).stderr
        assert f"expected {kind}" in error
        assert cure in error
        assert len(error.splitlines()) == 1
        assert sorted(scene.iterdir()) == before
    run("evaluate", "val.h5", *given, "--out", "bare", "--protocol", "sem")
    assert json.loads((scene / "bare").read_text())["images"] == 6


def test_an_error_of_a_later_output_leaves_none(
    run: Run, scene: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second output fails as on a full disk, after the first one was written."""
    replacing = files.replacing

    def full(path: str | os.PathLike[str]) -> AbstractContextManager[Path]:
        if Path(path).name in ("r.counts.npz", "c.json"):
            raise WsolbenchError(path, found="cannot be written", cure="free some disk space")
        return replacing(path)

    submit(scene / "other.h5", scene / "toy.h5", "val", seed=2)
    given = ["--annotations", "toy.h5"]
    for module in (files, counts):
        monkeypatch.setattr(module, "replacing", full)
    before = sorted(scene.iterdir())
    ask = ["evaluate", "val.h5", *given, "--per-image", "v.csv", "--out", "r.json", "--counts"]
    error = run(*ask, status=2).stderr
    assert error == "wsolbench: r.counts.npz: cannot be written; free some disk space\n"
    ask = ["compare", "val.h5", "other.h5", *given, "--bootstrap", "20", "--out", "c.json"]
    for more in ([], ["--plot", "c.png"]):
        error = run(*ask, *more, status=2).stderr
        assert error == "wsolbench: c.json: cannot be written; free some disk space\n"
    assert sorted(scene.iterdir()) == before


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
    assert "duplicate key" in run("plot", "curves", "r.json", "--out", "c.png", status=2).stderr
    (scene / "r.json").write_text('{"format": NaN}')
    assert "NaN is not a JSON number" in run("info", "r.json", status=2).stderr
    (scene / "r.json").write_text('{"format": "other"}')
    assert 'expected "format"' in run("info", "r.json", status=2).stderr


def test_a_process_does_what_the_tests_do_in_theirs(run: Run, scene: Path) -> None:
    for arguments, status in (
        (["evaluate", "val.h5", "--annotations", "toy.h5"], 0),
        (["evaluate", "val.h5", "--annotations", "toy.h5", "--split", "test"], 1),
        (["evaluate", "none.h5"], 2),
        (["plot"], 2),
    ):
        program = [sys.executable, "-c", "from wsolbench.cli import main; main()"]
        done = subprocess.run([*program, *arguments], cwd=scene, capture_output=True, text=True)
        assert (done.returncode, done.stdout, done.stderr) == run(*arguments, status=status)


def test_a_closed_pipe_prints_no_error(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    program = [sys.executable, "-c", "from wsolbench.cli import main; main()", "protocols"]
    try:
        done = subprocess.run(program, cwd=tmp_path, stdout=writer, stderr=subprocess.PIPE)
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (1, b"")  # the status is click's


def test_closed_standard_streams_are_no_other_files(scene: Path) -> None:
    for closed in ("<&-", "2>&-", "<&- 2>&-"):
        command = f'exec "{sys.executable}" -m wsolbench validate val.h5 {closed}'
        done = subprocess.run(["sh", "-c", command], cwd=scene, stdout=subprocess.PIPE, text=True)
        assert (done.returncode, "val.h5: valid" in done.stdout) == (0, True)


def test_the_package_runs_as_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "wsolbench", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("wsolbench, version ")
