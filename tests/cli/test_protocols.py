"""Protocols at other map sizes on the command line, in files and back."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.conftest import random_dataset, random_maps
from wsolbench.evaluation.evaluator import Evaluator
from wsolbench.formats.result import read_result
from wsolbench.formats.submission.rules import SubmissionHeader
from wsolbench.formats.submission.writer import SubmissionWriter
from wsolbench.protocols import Protocol, as_protocol

pytest.importorskip("cv2", reason="pip install 'wsolbench[opencv]'")

COUNT = 6


def test_sizes_go_through_the_command_line_and_files(run: Run, tmp_path: Path) -> None:
    dataset = random_dataset(tmp_path / "r.h5", COUNT)
    for seed in (1, 2):
        header = SubmissionHeader("random", "val", "gt", "none", {"name": f"m{seed}"})
        with SubmissionWriter(tmp_path / f"{seed}.h5", header) as writer:
            for image_id, map_ in zip(dataset.image_ids, random_maps(COUNT, seed), strict=True):
                writer.append([image_id], [map_])
        options = ["--annotations", "r.h5", "--counts", "--out", f"r{seed}.json"]
        run("evaluate", f"{seed}.h5", *options, "--protocol", "wsoleval-v1,wsoleval-v1:96,bas:96")
    read = read_result(tmp_path / "r1.wsoleval-v1-96.json")
    assert Protocol.from_dict(read.protocol) == as_protocol("wsoleval-v1:96")
    evaluator = Evaluator(dataset, "wsoleval-v1:96")
    evaluator.update(dataset.image_ids, random_maps(COUNT, 1))
    assert read.scores == evaluator.result().scores
    results = ["r1.wsoleval-v1-96.json", "r2.wsoleval-v1-96.json"]
    drawn = ["--bootstrap", "20", "--out", "c.json"]
    told = run("compare", *results, "--protocol", "wsoleval-v1:96", *drawn).stdout
    assert "wsoleval-v1:96" in told
    assert "wsoleval-v1:96.v2" in run("info", results[0]).stdout
    submitted = ["1.h5", "2.h5", "--annotations", "r.h5"]
    own = run("compare", *submitted, "--protocol", "wsoleval-v1:224", *drawn).stdout
    assert "protocol:wsoleval-v1.v2|" in own


@pytest.mark.parametrize(
    "name, told",
    [
        ("wsoleval-v1:0", "size '0', expected an integer from 1 to 4096"),
        ("wsoleval-v1:5000", "size 5000, expected an integer from 1 to 4096"),
        ("sem:320", "leave the size out: sem"),
    ],
)
def test_a_wrong_size_is_one_line(run: Run, tmp_path: Path, name: str, told: str) -> None:
    header = SubmissionHeader("random", "val", "gt", "none", {"name": "m"})
    random_dataset(tmp_path / "r.h5", 1)
    with SubmissionWriter(tmp_path / "m.h5", header) as writer:
        writer.append(["image_000"], random_maps(1))
    done = run("evaluate", "m.h5", "--annotations", "r.h5", "--protocol", name, status=2)
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_the_list_says_that_there_are_sizes(run: Run) -> None:
    assert "wsoleval-v1:320" in run("protocols").stdout


def test_all_protocols_are_of_compare_alone(run: Run, tmp_path: Path) -> None:

    done = run("evaluate", "m.h5", "--annotations", "toy.h5", "--protocol", "all", status=2)
    assert "--protocol all is of compare; name protocols with commas" in done.stderr
