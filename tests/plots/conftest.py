"""Axes, results and files that the tests of plots draw."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from tests.conftest import annotation, random_dataset, random_maps
from tests.plots.samples import HEIGHT, WIDTH
from wsolbench.data.dataset import Dataset
from wsolbench.evaluation.comparison import Comparison, compare
from wsolbench.evaluation.evaluator import Evaluator
from wsolbench.evaluation.run import evaluate
from wsolbench.formats.annotations import AnnotationSet, write_store
from wsolbench.formats.result import Bootstrap, Result
from wsolbench.formats.submission.reader import Submission, SubmissionHeader, SubmissionWriter


@pytest.fixture
def ax() -> Axes:
    return Figure().subplots()


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos, a store of two splits, submissions of two methods, and their results."""
    root = tmp_path_factory.mktemp("plots")
    (root / "photos").mkdir()
    rng = np.random.default_rng(0)
    annotations = []
    for index in range(6):
        mask = np.zeros((HEIGHT, WIDTH), bool)
        mask[2 : 4 + index, 3:9] = True
        name = f"p_{index}"
        split = "val" if index < 4 else "test"
        annotations.append(annotation(name, mask, split=split))
        photo = rng.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
        Image.fromarray(photo).save(root / "photos" / f"{name}.png")
    write_store(root / "s.h5", AnnotationSet("toy", annotations))
    dataset = Dataset.open(root / "s.h5")
    for place, method in enumerate(("left", "right")):
        maps = rng.integers(0, 256, (4, 4, 6), dtype=np.uint8)
        header = SubmissionHeader("toy", "val", "gt", "none", {"name": f"${method}^"})  # no formula
        with SubmissionWriter(root / f"{method}.h5", header) as writer:
            ids = dataset.image_ids[:: 1 - 2 * place]  # in another order, row by row
            writer.append(ids, maps)
        evaluate(dataset, root / f"{method}.h5").write(root / f"{method}.json")
    return root


@pytest.fixture(scope="session")
def results(tmp_path_factory: pytest.TempPathFactory) -> list[Result]:
    """Two methods on random images."""
    folder = tmp_path_factory.mktemp("curves")
    dataset = random_dataset(folder / "store.h5", 5)
    made = []
    for seed in (1, 2):
        header = SubmissionHeader("random", "val", "gt", "none", {"name": f"_method {seed}"})
        with SubmissionWriter(folder / f"{seed}.h5", header) as writer:
            for image_id, map_ in zip(dataset.image_ids, random_maps(5, seed), strict=True):
                writer.append([image_id], [map_])
        made.append(evaluate(dataset, folder / f"{seed}.h5"))
    return made


@pytest.fixture(scope="session")
def comparison(folder: Path) -> Comparison:
    """The two methods of `folder`."""
    dataset = Dataset.open(folder / "s.h5")
    counted = []
    for name in ("left", "right"):
        submission = Submission.open(folder / f"{name}.h5")
        made = Evaluator(dataset, header=submission.header, keep_images=True)
        made.score(submission)
        counted.append(made.counts(made.result()))
    return compare(counted, Bootstrap(30))


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures that are written, drawn once more."""
    kept: list[Figure] = []
    write = Figure.savefig

    def savefig(figure: Figure, *args: object, **kwargs: object) -> None:
        write(figure, *args, **kwargs)
        FigureCanvasAgg(figure).draw()
        kept.append(figure)

    monkeypatch.setattr(Figure, "savefig", savefig)
    return kept
