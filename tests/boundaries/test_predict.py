"""Edges in submissions against single photos by hand, and what is compared with a detector."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.boundaries.conftest import Bench
from tests.conftest import annotation
from wsolbench.baselines.checkpoints import input_of, load_checkpoint
from wsolbench.baselines.networks import recorded
from wsolbench.baselines.predict import predict
from wsolbench.boundaries.detector import (
    load_detector,
    read_edge_checkpoint,
    write_edge_checkpoint,
)
from wsolbench.boundaries.predict import predict_canny, predict_edges, predict_reference
from wsolbench.boundaries.pseudo import pseudo_boundary
from wsolbench.boundaries.pseudo_settings import PseudoSettings
from wsolbench.boundaries.train import train_edges
from wsolbench.boundaries.trivial import canny_edges, map_gradient
from wsolbench.data.dataset import Dataset
from wsolbench.errors import WsolbenchError
from wsolbench.evaluation.run import evaluate
from wsolbench.formats.annotations import AnnotationSet, write_store
from wsolbench.formats.submission.reader import Submission

pytest.importorskip("cv2")
pytestmark = pytest.mark.usefixtures("one_thread")

CPU: dict[str, Any] = {"device": "cpu"}


@pytest.fixture(scope="session")
def detector(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """SEM-HNS, of one epoch."""
    out = tmp_path_factory.mktemp("detector") / "edges.pt"
    train_edges(
        bench.photos(),
        bench.classifier,
        out,
        settings={"width": 4, "grid": 48},
        recipe={"epochs": 1, "batch_size": 8, "size": 64, "seed": 7},
        pseudo={"crf_blur": 1, "crf_window": 3},
        **CPU,
    )
    return out


def photo(dataset: Dataset, place: int) -> NDArray[np.uint8]:
    return np.asarray(dataset.read_photo(place)[0])


def test_edges_and_maps_by_hand(bench: Bench, detector: Path, tmp_path: Path) -> None:
    dataset = bench.val()
    predicted = predict_edges(detector, dataset, tmp_path / "e.h5", batch_size=4, **CPU)
    sem = tmp_path / "sem.h5"
    predict(load_checkpoint(bench.classifier), dataset, sem, method="sem", size=64, seeds=0.05)
    with Submission.open(tmp_path / "e.h5") as edges, Submission.open(sem) as wanted:
        maps = edges.read(range(6))
        assert all(map(np.array_equal, maps, wanted.read(range(6))))
        found = edges.read_edges(range(6))
        assert edges.top5 is not None
        assert np.array_equal(edges.top5, wanted.top5)
        method = edges.header.method
    assert predicted.notes == ()
    loaded = load_detector(detector)
    for place in range(6):
        image = input_of("mini")(dataset.read_photo(place)[0], 64)[None]
        with torch.no_grad(), recorded(loaded.model.module, loaded.places) as taken:
            loaded.model.module(image)
            features = [taken[name] for name in loaded.places]
            map_ = torch.from_numpy(maps[place] / np.float32(255))[None]
            one = torch.sigmoid(loaded.head(features, map_))[0].numpy()
        assert (found[place].shape, found[place].dtype) == ((48, 48), np.uint8)
        # The head saw the map before it was rounded.
        assert np.abs(found[place] - 255 * one).max() < 2

    assert method["name"] == "SEM-HNS"
    assert (method["trained_method"], method["trained_on"]) == ("CAM", "mini train")
    assert (method["seed"], method["backbone"]) == (7, "mini")
    parameters = method["parameters"]
    assert isinstance(parameters, dict)
    assert (parameters["size"], parameters["grid"], parameters["seeds"]) == (64, 48, 0.05)
    assert parameters["pseudo_boundaries"]["crf_window"] == 3
    assert parameters["edge_training"]["epochs"] == 1


def test_edges_do_not_depend_on_the_batch_or_an_interruption(
    bench: Bench, detector: Path, tmp_path: Path
) -> None:
    whole = tmp_path / "whole.h5"
    predict_edges(detector, bench.val(), whole, batch_size=2, map_dtype="float32", **CPU)

    def stop(done: int, total: int) -> None:
        if done == 4:
            raise KeyboardInterrupt

    given = {"batch_size": 2, "map_dtype": "float32", "workers": 1, **CPU}
    with pytest.raises(KeyboardInterrupt):
        predict_edges(detector, bench.val(), tmp_path / "e.h5", progress=stop, **given)
    predict_edges(detector, bench.val(), tmp_path / "e.h5", resume=True, **given)
    assert (tmp_path / "e.h5").read_bytes() == whole.read_bytes()


def test_the_predicted_class_gives_the_map(bench: Bench, detector: Path, tmp_path: Path) -> None:
    """Of a data set whose first image has another class, only that image's map differs."""
    store = bench.val().store
    rows = []
    for place, sample in enumerate(bench.val()):
        shown = (sample.class_index + 1) % 8 if place == 0 else sample.class_index
        rows.append(annotation(sample.image_id, sample.mask, class_index=shown))
    write_store(tmp_path / "b.h5", AnnotationSet("mini", rows, store.classes))
    dataset = Dataset.open(tmp_path / "b.h5", "val", bench.images)
    for label in ("gt", "predicted"):
        predict_edges(detector, dataset, tmp_path / f"{label}.h5", label=label, **CPU)
    with (
        Submission.open(tmp_path / "gt.h5") as one,
        Submission.open(tmp_path / "predicted.h5") as other,
    ):
        assert other.header.label == "predicted"
        same = list(map(np.array_equal, one.read(range(6)), other.read(range(6))))
        top = [int(row[0]) for row in other.top5]  # type: ignore[union-attr]
    right = [row.class_index == best for row, best in zip(rows, top, strict=True)]
    assert same == right
    assert not right[0]


@pytest.mark.parametrize("maps", ["sem", "cam"])
def test_edges_without_a_detector(bench: Bench, tmp_path: Path, maps: str) -> None:
    dataset = bench.val()
    for kind in ("pseudo", "map-gradient"):
        out = tmp_path / f"{kind}.h5"
        pseudo = {"reach": 2.0} if kind == "pseudo" else None
        predict_reference(
            kind, bench.classifier, dataset, out, maps=maps, size=64, pseudo=pseudo, **CPU
        )
    float_maps = tmp_path / "m.h5"
    model = load_checkpoint(bench.classifier)
    predict(
        model, dataset, float_maps, method=maps, size=64, seeds=0.05, map_dtype="float32", **CPU
    )
    with Submission.open(float_maps) as opened:
        wanted = opened.read(range(6))
    with Submission.open(tmp_path / "pseudo.h5") as opened:
        pseudo_edges = opened.read_edges(range(6))
        method = opened.header.method
    with Submission.open(tmp_path / "map-gradient.h5") as opened:
        gradients = opened.read_edges(range(6))
        assert opened.header.method["name"] == f"{maps.upper()} gradient"
    settings = PseudoSettings(reach=2.0)
    for place, map_ in enumerate(wanted):
        picture = photo(dataset, place)
        boundary = pseudo_boundary(map_, picture, settings)
        assert boundary.any()
        assert np.array_equal(pseudo_edges[place], 255 * boundary.astype(np.uint8))
        slopes = 255 * map_gradient(map_, *picture.shape[:2]).astype(np.float64)
        assert np.abs(gradients[place] - slopes).max() <= 0.5001
    assert method["name"] == f"{maps.upper()} pseudo-boundaries"
    assert method["seed"] == 5
    parameters = method["parameters"]
    assert isinstance(parameters, dict)
    assert ("seeds" in parameters) == (maps == "sem")
    assert parameters["pseudo_boundaries"]["reach"] == 2.0


def test_canny_has_edges_alone_and_is_scored(bench: Bench, tmp_path: Path) -> None:
    out = tmp_path / "canny.h5"
    predict_canny(bench.val(), out)
    with Submission.open(out) as opened:
        found = opened.read_edges(range(6))
    for place, edges in enumerate(found):
        wanted = canny_edges(photo(bench.val(), place)).astype(np.float64)
        assert np.abs(edges - 255 * wanted).max() <= 0.5001
    result = evaluate(bench.val(), out, metrics=["boundary"])
    assert 0 < result.scores["boundary_ods"] < 1


def test_other_files_and_types_are_refused(bench: Bench, detector: Path, tmp_path: Path) -> None:
    out = tmp_path / "e.h5"
    with pytest.raises(
        WsolbenchError,
        match="found a checkpoint of a classifier, expected a checkpoint of wsolbench train edges",
    ):
        predict_edges(bench.classifier, bench.val(), out)
    with pytest.raises(WsolbenchError, match=r"edges\.pt: found a checkpoint of a boundary det"):
        load_checkpoint(detector)
    with pytest.raises(WsolbenchError, match="map_dtype: found 'int8', expected uint8, float16"):
        predict_edges(detector, bench.val(), out, map_dtype="int8")
    with pytest.raises(WsolbenchError, match="label: found 'best', expected gt or predicted"):
        predict_edges(detector, bench.val(), out, label="best")
    (tmp_path / "half.pt").write_bytes(detector.read_bytes()[:2000])
    with pytest.raises(WsolbenchError, match=r"half\.pt: found a file that cannot be read"):
        predict_edges(tmp_path / "half.pt", bench.val(), out)
    assert not out.exists()


def test_an_unfinished_detector_gives_a_note(bench: Bench, detector: Path, tmp_path: Path) -> None:
    assert predict_edges(detector, bench.val(), tmp_path / "e.h5", **CPU).notes == ()
    unfinished = replace(read_edge_checkpoint(detector), finished=False)
    write_edge_checkpoint(tmp_path / "half.pt", unfinished)
    (note,) = predict_edges(tmp_path / "half.pt", bench.val(), tmp_path / "h.h5", **CPU).notes
    assert "half.pt: its training is unfinished, 1 of 1 epochs" in note
