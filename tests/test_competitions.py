"""Bundles for competitions: unpacked, and run by their own command with what they need alone."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import distribution
from pathlib import Path
from typing import NamedTuple

import pytest
from packaging.requirements import Requirement

from tests.conftest import random_dataset, random_maps
from wsolbench.competitions.bundle import requirements
from wsolbench.competitions.codabench import page, write_codabench, write_reference
from wsolbench.competitions.evalai import SCRIPT, write_evalai
from wsolbench.competitions.rules import Rules, rules_for, score
from wsolbench.data.dataset import Dataset
from wsolbench.errors import WsolbenchError
from wsolbench.evaluation.run import evaluate
from wsolbench.formats.submission.reader import SubmissionHeader, SubmissionWriter
from wsolbench.metrics import compiled

COUNT = 6
HOSTILE = "<script>alert('x')</script>"


class Site(NamedTuple):
    """A folder with a competition's files."""

    folder: Path
    dataset: Dataset
    rules: Rules

    @property
    def annotations(self) -> Path:
        return self.dataset.store.path


def submit(path: Path, dataset: Dataset, name: str = HOSTILE) -> Path:
    header = SubmissionHeader(dataset.name, "val", "gt", "none", {"name": name})
    with SubmissionWriter(path, header) as writer:
        writer.append(dataset.image_ids, random_maps(COUNT))
    return path


def needed(stated: list[str]) -> set[str]:
    """The distributions that some requirements need, with what those need in turn."""
    found: set[str] = set()
    queue = [Requirement(text).name for text in stated]
    while queue:
        name = queue.pop()
        if name not in found:
            found.add(name)
            told = map(Requirement, distribution(name).requires or [])
            queue += [own.name for own in told if own.marker is None or own.marker.evaluate()]
    return found


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A competition, and a Python that has nothing but what its bundles say they need."""
    folder = tmp_path_factory.mktemp("site")
    dataset = random_dataset(folder / "truth.h5", COUNT)
    rules = rules_for(dataset.store.path, "val")
    packages = folder / "packages"
    packages.mkdir()
    for name in needed(requirements(rules)):
        own = distribution(name)
        for top in {file.parts[0] for file in own.files or [] if file.parts[0] != ".."}:
            os.symlink(own.locate_file(top), packages / top)
    python = folder / "bin" / "python3"
    python.parent.mkdir()
    python.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -S "$@"\n')
    python.chmod(0o755)
    return Site(folder, dataset, rules)


def alone(site: Site, command: list[str], cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a command in a clean environment."""
    clean = {"PATH": f"{site.folder}/bin", "PYTHONPATH": f"{site.folder}/packages"}
    clean["NUMBA_CACHE_DIR"] = f"{site.folder}/cache"
    told = [f"{name}={value}" for name, value in clean.items()]
    return subprocess.run(
        ["/usr/bin/env", "-i", *told, *command], cwd=cwd, capture_output=True, text=True
    )


@pytest.fixture(scope="module")
def app(site: Site) -> Path:
    """What a worker of CodaBench unpacks to /app, without a submission."""
    root = site.folder / "app"
    write_codabench(site.folder / "program.zip", site.rules)
    write_reference(site.folder / "reference.zip", site.annotations)
    for archive, place in (("program", "program"), ("reference", "input/ref")):
        with zipfile.ZipFile(site.folder / f"{archive}.zip") as opened:
            opened.extractall(root / place)
    (root / "input/res").mkdir()
    (root / "output").mkdir()
    # Where the loops are built, they spare this machine what numba takes to compile them.
    for built in Path(compiled.__file__).parent.glob("_compiled.*"):
        shutil.copy(built, root / "program/wsolbench/metrics")
    return root


def scored(site: Site, app: Path, *submissions: tuple[str, bytes]) -> tuple[int, str, list[str]]:
    """Run the program's own command on a submission: status, stderr and files of the output."""
    for folder in ("input/res", "output"):
        for old in (app / folder).iterdir():
            old.unlink()
    for name, content in submissions:
        (app / "input/res" / name).write_bytes(content)
    (line,) = (app / "program/metadata.yaml").read_text().splitlines()
    command = shlex.split(line.removeprefix("command: ").replace("/app/", f"{app}/"))
    done = alone(site, command, app / "program")
    return done.returncode, done.stderr, sorted(file.name for file in (app / "output").iterdir())


@pytest.mark.slow
def test_codabench_scores_by_its_own_command(site: Site, app: Path, tmp_path: Path) -> None:
    maps = submit(tmp_path / "maps.h5", site.dataset)
    status, told, files = scored(site, app, ("maps.h5", maps.read_bytes()), ("._maps.h5", b""))
    assert (status, told) == (0, "")
    assert files == ["detailed_results.html", "scores.json"]
    scores = json.loads((app / "output/scores.json").read_text())
    assert list(scores) == list(site.rules.scores)
    assert {"peak_iou", "ap", "gt_known_loc"} <= scores.keys()
    result = evaluate(site.dataset, maps)
    assert scores == {key: result.scores[key] for key in site.rules.scores}
    shown = (app / "output/detailed_results.html").read_text()
    assert shown == page(result)
    assert HOSTILE not in shown
    assert "&lt;script&gt;" in shown
    assert "http" not in shown.replace("http-equiv", "")
    assert f"<td>{100 * scores['peak_iou']:.2f}</td>" in shown


@pytest.mark.slow
def test_a_damaged_submission_is_one_line(site: Site, app: Path, tmp_path: Path) -> None:
    maps = submit(tmp_path / "maps.h5", site.dataset).read_bytes()
    for members, message in (
        ([("maps.h5", maps[: len(maps) // 2])], "maps.h5: "),
        ([("maps.txt", maps)], "submission: found no HDF5 file, expected exactly one"),
        ([("a.h5", maps), ("b.h5", maps)], "submission: found 2 HDF5 files: a.h5, b.h5"),
    ):
        status, told, files = scored(site, app, *members)
        assert status in (1, 2)
        assert len(told.splitlines()) == 1
        assert message in told
        assert files == []


@pytest.mark.slow
def test_evalai_returns_scores_and_one_line_errors(site: Site, app: Path, tmp_path: Path) -> None:
    write_evalai(site.folder / "script.zip", site.rules)
    with zipfile.ZipFile(site.folder / "script.zip") as opened:
        # Its other files are those of the other bundle, which are there and compiled by now.
        for name in opened.namelist():
            if name in ("__init__.py", "main.py"):
                opened.extract(name, app / "program")
            assert (app / "program" / name).read_bytes() == opened.read(name)
    maps = submit(tmp_path / "maps.h5", site.dataset)
    lines = (
        "import json, sys; from program import evaluate",
        "told = evaluate(*sys.argv[1:], 'dev', submission_metadata={})",
        "import wsolbench; print(wsolbench.__file__); print(json.dumps(told))",
    )
    files = [str(site.annotations), str(maps)]
    done = alone(site, ["python3", "-c", "\n".join(lines), *files], app)
    assert done.returncode == 0, done.stderr
    where, told = done.stdout.splitlines()
    assert where == f"{app}/program/wsolbench/__init__.py"
    scores = evaluate(site.dataset, maps).scores
    kept = {key: scores[key] for key in site.rules.scores}
    assert json.loads(told) == {"result": [{"val": kept}], "submission_result": kept}
    maps.write_bytes(maps.read_bytes()[:1000])
    done = alone(site, ["python3", "program/main.py", *files], app)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith(f"wsolbench: {maps}: ")


def test_evalai_faults_are_one_line_and_its_cache_is_private(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(SCRIPT)
    package = tmp_path / "wsolbench"
    (package / "competitions").mkdir(parents=True)
    for name in ("__init__.py", "competitions/__init__.py"):
        (package / name).write_text("")
    (package / "errors.py").write_text("class WsolbenchError(Exception): pass\n")
    (package / "competitions/evalai.py").write_text(
        "import os, stat\n"
        "def evaluate(*_):\n"
        "    where = os.environ['NUMBA_CACHE_DIR']\n"
        "    raise KeyError(where + '\\n' + oct(stat.S_IMODE(os.stat(where).st_mode)))\n"
    )
    clean = {"TMPDIR": str(tmp_path), "PATH": os.environ["PATH"]}
    command = [sys.executable, "main.py", "annotations.h5", "maps.h5"]
    told = [
        subprocess.run(command, cwd=tmp_path, env=clean, capture_output=True, text=True).stderr
        for _ in range(2)
    ]
    assert told[0] != told[1]  # a name that nobody can foresee
    for text in told:
        assert len(text.splitlines()) == 1
        assert text.startswith(f"wsolbench: unexpected KeyError ('{tmp_path}/wsolbench-")
        assert text.endswith("0o700'); report it\n")
    assert not list(tmp_path.glob("wsolbench-*"))
    nothing = subprocess.run(command[:2], cwd=tmp_path, env=clean, capture_output=True, text=True)
    assert nothing.returncode == 1
    assert nothing.stderr == "usage: python3 main.py ANNOTATIONS SUBMISSION [PHASE]\n"


def test_the_same_rules_give_the_same_bytes(site: Site, tmp_path: Path) -> None:
    for write in (write_codabench, write_evalai):
        write(tmp_path / "a.zip", site.rules)
        write(tmp_path / "b.zip", rules_for(site.annotations, "val"))
        assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
        with zipfile.ZipFile(tmp_path / "a.zip") as opened:
            assert opened.testzip() is None
            names = opened.namelist()
        assert names == sorted(names)
        assert not [name for name in names if "__pycache__" in name or ".." in name]


def test_rules_hold_what_was_asked_for(site: Site, tmp_path: Path) -> None:
    assert site.rules.metrics == ("pixel", "box")
    assert "top1_loc" not in site.rules.scores
    ranked = rules_for(site.annotations, "val", scores=["top1_loc", "ap"])
    assert ranked.scores == ("top1_loc", "ap")
    maps = submit(tmp_path / "maps.h5", site.dataset)
    with pytest.raises(WsolbenchError, match=r"maps.h5: found a submission without Top-1 loc") as e:
        score(ranked, site.annotations, maps)
    assert e.value.exit_status == 1
    other = random_dataset(tmp_path / "other.h5", COUNT, seed=1)
    with pytest.raises(WsolbenchError, match="for which the bundle was made"):
        score(site.rules, other.store.path, maps)
    for asked, message in (
        ({"scores": ["none"]}, "scores: found 'none'"),
        ({"scores": ["boundary_ods"]}, "scores: found boundary_ods"),
        ({"scores": []}, "scores: found none"),
        ({"split": "test"}, "no image of split 'test'"),
    ):
        with pytest.raises(WsolbenchError, match=message):
            rules_for(site.annotations, **{"split": "val", **asked})
