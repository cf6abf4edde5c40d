"""Rows of photos and edges, and curves of boundaries: they show what was scored."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from numpy.typing import NDArray
from PIL import Image

from tests.conftest import annotation, random_maps
from tests.plots.samples import legend
from wsolbench import plots
from wsolbench.cli import main
from wsolbench.data.dataset import Dataset
from wsolbench.errors import WsolbenchError
from wsolbench.evaluation.run import evaluate
from wsolbench.formats.annotations import AnnotationSet, write_store
from wsolbench.formats.submission.reader import Submission
from wsolbench.formats.submission.rules import SubmissionHeader
from wsolbench.formats.submission.writer import SubmissionWriter
from wsolbench.metrics.boundary import true_boundary

NAMES = ("a", "b", "c")


def mask(place: int) -> NDArray[np.bool_]:
    found = np.zeros((60, 80), np.bool_)
    found[15:45, 10 + 5 * place : 50] = True
    return found


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """Annotations with photos in a folder "images", and a submission of edges."""
    (tmp_path / "images").mkdir()
    rng = np.random.default_rng(0)
    for name in NAMES:
        noise = rng.integers(0, 256, (60, 80, 3), dtype=np.uint8)
        Image.fromarray(noise).save(tmp_path / "images" / f"{name}.png")
    drawn = [annotation(name, mask(place)) for place, name in enumerate(NAMES)]
    write_store(tmp_path / "a.h5", AnnotationSet("shapes", drawn))
    header = SubmissionHeader("shapes", "val", "gt", "none", {"name": "edges"})
    with SubmissionWriter(tmp_path / "e.h5", header) as writer:
        edges = [
            np.maximum(rng.integers(0, 120, (60, 80)), 200 * true_boundary(mask(place)))
            for place in range(3)
        ]
        writer.append(NAMES, None, edges=[own.astype(np.uint8) for own in edges])
    return tmp_path / "a.h5", tmp_path / "e.h5"


def test_curves_are_those_of_the_result(files: tuple[Path, Path], ax: Axes) -> None:
    result = evaluate(Dataset.open(files[0], "val"), files[1])
    assert plots.curves_held([result]) == ["boundary"]
    assert plots.boundary([result], ax) is ax
    (text,) = legend(ax)
    assert text.endswith(f": {100 * result.scores['boundary_ods']:.2f}")
    own = next(line for line in ax.get_lines() if line.get_label() == text.partition(":")[0])
    recall, precision = (
        100 * np.array(result.curves[f"boundary_{name}"]) for name in ("recall", "precision")
    )
    there = (recall > 0) | (precision > 0)
    np.testing.assert_allclose(own.get_xdata(), recall[there])
    np.testing.assert_allclose(own.get_ydata(), precision[there])
    assert 3 < there.sum() < 99
    mark = ax.get_lines()[-1]
    at = round(100 * result.scores["boundary_threshold"]) - 1
    assert mark.get_xdata()[0] == pytest.approx(recall[at])
    equal = [line for line in ax.get_lines() if line.get_zorder() == 0]
    assert len(equal) == 9
    for place, line in enumerate(equal, start=1):
        r, p = np.array(line.get_xdata()) / 100, np.array(line.get_ydata()) / 100
        np.testing.assert_allclose(2 * r * p / (r + p), place / 10)
        assert p.max() <= 1


def test_rows_show_edges_and_the_true_boundary(
    files: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[NDArray[np.uint8]] = []

    def record(levels: NDArray[np.uint8], ax: Axes) -> Axes:
        shown.append(levels)
        return ax

    monkeypatch.setattr("wsolbench.plots.edges.edges_on_white", record)
    dataset = Dataset.open(files[0], "val", tmp_path / "images")
    with Submission.open(files[1]) as opened:
        plots.save_edges(dataset, [opened], tmp_path / "rows.png", ["c", "a"])
        for place, levels in zip((2, 0), shown[::2], strict=True):
            np.testing.assert_array_equal(levels, opened.read_edges([place])[0])
        for place, levels in zip((2, 0), shown[1::2], strict=True):
            np.testing.assert_array_equal(levels > 0, true_boundary(mask(place)))
        with Image.open(tmp_path / "rows.png") as picture:
            assert picture.width > picture.height
        with pytest.raises(WsolbenchError, match="found no image 'x'"):
            plots.save_edges(dataset, [opened], tmp_path / "no.png", ["x"])
        with pytest.raises(WsolbenchError, match="found 0 images"):
            plots.save_edges(dataset, [opened], tmp_path / "no.png", [])
    assert not (tmp_path / "no.png").exists()


def test_the_commands(
    files: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    base = ["--annotations", str(files[0]), "--images", str(tmp_path / "images")]

    def called(*options: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["wsolbench", "plot", *options])
        with pytest.raises(SystemExit) as left:
            main()
        printed = capsys.readouterr()
        return int(left.value.code or 0), printed.out + printed.err

    rows, curves = str(tmp_path / "rows.png"), str(tmp_path / "curves.png")
    options = ("--count", "2", "--nms", "--out", rows)
    status, text = called("edges", str(files[1]), *base, *options)
    assert (status, text) == (0, f"{rows}: a, c\n")
    status, text = called("curves", str(files[1]), *base[:2], "--quiet", "--out", curves)
    assert (status, text) == (0, f"{curves}: 1 result\n")
    header = SubmissionHeader("shapes", "val", "gt", "none", {"name": "maps"})
    with SubmissionWriter(tmp_path / "m.h5", header) as writer:
        writer.append(NAMES, random_maps(3))
    status, text = called(
        "edges", str(tmp_path / "m.h5"), *base, "--count", "1", "--out", str(tmp_path / "n.png")
    )
    assert status == 2
    assert "m.h5: no edges" in text
    assert not (tmp_path / "n.png").exists()
