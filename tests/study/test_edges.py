"""The study of boundaries: its runs, what it skips and refuses, and its summary."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import numpy as np
import pytest
import torch

from wsolbench.baselines.checkpoints import Checkpoint, build_method, write_checkpoint
from wsolbench.baselines.settings import as_values, recipe_for
from wsolbench.cli import main
from wsolbench.cli.study import EDGE_VARIANTS
from wsolbench.errors import WsolbenchError
from wsolbench.evaluation.counts import counts_path
from wsolbench.formats.annotations import write_store
from wsolbench.formats.result import Bootstrap, read_result
from wsolbench.formats.submission.rules import SubmissionHeader
from wsolbench.formats.submission.writer import SubmissionWriter
from wsolbench.mini.classifier import WEIGHTS, read_weights
from wsolbench.mini.scenes import write_benchmark
from wsolbench.study.edge_summary import edge_study_json, edge_study_text, summarise_edges
from wsolbench.study.edges import KEYS, EdgePlan, run_edge_study
from wsolbench.study.edges import VARIANTS as ALL

pytest.importorskip("cv2")

VARIANTS = ("sem-vanilla", "sem-hns", "sem-pseudo", "sem-gradient")


def classifier(
    path: Path, seed: int, classes: list[tuple[str, str]], *, method: str = "cam"
) -> None:
    """The weights of the package as a checkpoint."""
    path.parent.mkdir(parents=True)
    module = build_method(method, "mini", len(classes), {}, seed=0)
    read_weights(WEIGHTS, module.network)  # type: ignore[arg-type]
    checkpoint = Checkpoint(
        method=method,
        settings={},
        backbone="mini",
        half_range=False,
        classes=tuple(classes),
        recipe=as_values(recipe_for("mini", {"seed": seed})),
        data={"title": "mini train", "photos": 16, "sha256": "0", "exif": "ignore"},
        trunk={},
        finished=True,
        state=module.state_dict(),
    )
    write_checkpoint(path, checkpoint)


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> EdgePlan:
    root = tmp_path_factory.mktemp("edges")
    images, scenes = write_benchmark(root, train=16, val=0, test=8)
    write_store(root / "a.h5", scenes)
    classes = [(key, name) for key, name in scenes.classes]
    for seed in (0, 1):
        classifier(root / f"c/seed-{seed}/cam/checkpoint.pt", seed, classes)
    return EdgePlan(
        "Boundaries, small",
        root / "c",
        root / "a.h5",
        images,
        settings={"width": 4, "grid": 64},
        recipe={"epochs": 1, "batch_size": 8},
    )


@pytest.fixture(scope="module")
def folder(plan: EdgePlan, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("study") / "out"
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    other = out.parent / "other.h5"
    dataset = plan.dataset()
    header = SubmissionHeader(dataset.name, "test", "gt", "none", {"name": "noise"})
    with SubmissionWriter(other, header) as writer:
        noise = np.random.default_rng(0).integers(0, 256, (len(dataset), 64, 64), np.uint8)
        writer.append(list(dataset.image_ids), None, edges=noise)
    own = replace(plan, also={"Noise": other})
    run_edge_study(own, out, seeds=(0, 1), variants=VARIANTS, workers=0, device="cpu")
    torch.set_num_threads(threads)
    return out


def test_a_second_run_does_nothing(plan: EdgePlan, folder: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    said: list[str] = []
    run_edge_study(plan, folder, seeds=(0, 1), variants=VARIANTS, workers=0, say=said.append)
    assert [line.endswith("done before") for line in said] == [True] * 8
    after = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    assert after == before


def test_the_summary_is_that_of_the_results(folder: Path) -> None:
    study = summarise_edges(folder, Bootstrap(50))
    assert list(study.rows) == [*VARIANTS, "canny", "also/Noise"]
    assert study.seeds == (0, 1)
    for name in VARIANTS:
        results = [read_result(folder / f"seed-{seed}" / name / "test.json") for seed in (0, 1)]
        for key in KEYS:
            values = [own.scores[key] for own in results]
            found = study.rows[name].scores[key]
            assert list(found.values) == values
            assert found.mean == fmean(values)
    noise = read_result(folder / "also/Noise/test.json").scores["boundary_ods"]
    assert study.rows["also/Noise"].scores["boundary_ods"].values == (noise,)
    canny = study.differences["canny"]["boundary_ods"]
    own, other = (study.rows[name].scores["boundary_ods"] for name in ("sem-hns", "canny"))
    assert canny.mean == pytest.approx(own.mean - other.mean)
    assert len(canny.values) == 2
    assert {own.text for own in study.findings} == {"HNS raises AP", "HNS raises ODS"}
    for finding in study.findings:
        first, second = (study.rows[name].scores[finding.key] for name in VARIANTS[:2])
        assert finding.difference.mean == pytest.approx(second.mean - first.mean)
        signs = {1: "holds", -1: "is contradicted", 0: "undecided"}
        assert finding.verdict == signs[finding.difference.sign]
    content = json.loads(edge_study_json(study))
    assert content["boundary"]["suppression"] is True
    text = edge_study_text(study)
    row = study.rows["sem-hns"].scores["boundary_ods"]
    assert "| SEM-HNS " in text
    assert f"{100 * row.mean:.1f} ± {100 * row.std:.1f}" in text
    assert "Scored after non-maximum suppression" in text


def test_the_command_writes_the_summary(
    plan: EdgePlan,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    paths = ("--classifiers", plan.classifiers, "--annotations", plan.annotations)
    options = ("--width", 4, "--grid", 64, "--epochs", 1, "--batch-size", 8, "--seeds", "0,1")
    more = ("--images", plan.images, "--variants", ",".join(VARIANTS), "--title", plan.title)
    arguments = ("study", "edges", *paths, *options, *more, "--out", folder, "--quiet")
    monkeypatch.setattr("sys.argv", ["wsolbench", *map(str, arguments)])
    with pytest.raises(SystemExit) as left:
        main()
    assert not left.value.code
    printed = capsys.readouterr()
    study = summarise_edges(folder)
    assert (folder / "boundaries.md").read_text() == edge_study_text(study)
    assert (folder / "boundaries.json").read_text() == edge_study_json(study)
    assert printed.out.startswith("Boundaries, small")
    assert printed.err.count("done before") == 8


def test_the_command_line_knows_all_variants() -> None:
    assert tuple(ALL) == EDGE_VARIANTS


def test_refusals(plan: EdgePlan, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(WsolbenchError, match="a study with another plan: recipe"):
        run_edge_study(replace(plan, recipe={"epochs": 2}), folder, variants=VARIANTS)
    with pytest.raises(WsolbenchError, match="pseudo-boundaries: found 'blur'"):
        run_edge_study(replace(plan, pseudo={"blur": 2}), tmp_path / "o", variants=VARIANTS)
    with pytest.raises(WsolbenchError, match=r"seed-2/cam/checkpoint\.pt: found no such file"):
        run_edge_study(plan, tmp_path / "o", seeds=(2,), variants=VARIANTS)
    with pytest.raises(WsolbenchError, match="variant: found 'sem'"):
        run_edge_study(plan, tmp_path / "o", variants=("sem",))
    classes = [(str(place), str(place)) for place in range(8)]
    for seed in (0, 1):
        classifier(tmp_path / f"d/seed-{seed}/cam/checkpoint.pt", seed, classes)
    other = replace(plan, classifiers=tmp_path / "d")
    with pytest.raises(WsolbenchError, match="found a result of another classifier"):
        run_edge_study(other, folder, seeds=(0, 1), variants=VARIANTS)
    classifier(tmp_path / "c/seed-0/cam/checkpoint.pt", 7, classes)
    exchanged = replace(plan, classifiers=tmp_path / "c")
    with pytest.raises(WsolbenchError, match="found a classifier of cam, seed 7, expected cam, se"):
        run_edge_study(exchanged, tmp_path / "o", variants=("sem-hns",))
    with pytest.raises(WsolbenchError, match="found no such file"):
        summarise_edges(tmp_path)
    assert not (tmp_path / "o").exists()


def test_a_missing_or_strange_result_is_named(folder: Path) -> None:
    result = folder / "seed-1/sem-hns/test.json"
    text = result.read_text()
    result.unlink()
    try:
        with pytest.raises(WsolbenchError, match="found no result, expected one of each of the"):
            summarise_edges(folder)
        other = (folder / "seed-1/sem-vanilla/test.json").read_text()
        result.write_text(other)
        with pytest.raises(
            WsolbenchError, match=r"sem-hns/test\.counts\.npz: found counts of another"
        ):
            summarise_edges(folder)
    finally:
        result.write_text(text)
    assert counts_path(result).exists()
