"""Every method on every backbone that can be trained: trained, resumed, predicted, evaluated.

The networks keep their layers, names and strides; their widths are cut so that all pairs are quick.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.baselines.narrow import narrow_networks
from tests.conftest import annotation
from wsolbench.baselines import networks
from wsolbench.baselines.backbones import backbone_names, known_backbone
from wsolbench.baselines.cam import class_channels, min_max
from wsolbench.baselines.checkpoints import load_checkpoint, read_checkpoint
from wsolbench.baselines.predict import MapKind, predict
from wsolbench.baselines.settings import METHODS, Recipe
from wsolbench.baselines.train import log_path, train
from wsolbench.baselines.training_data import labelled_folder
from wsolbench.data.dataset import Dataset
from wsolbench.evaluation.run import evaluate
from wsolbench.formats.annotations import AnnotationSet, write_store
from wsolbench.formats.submission.reader import Submission

MAP_SIDES = {
    "inception_v3": 2,  # at 112, all others at 64
    "inception_v3-gap": 8,
    "inception_v3-sem": 8,
    "mini": 16,
    "resnet101": 2,
    "resnet101-gap": 8,
    "resnet101-sem": 8,
    "resnet50": 2,
    "resnet50-gap": 8,
    "resnet50-sem": 8,
    "squeezenet1_1": 3,
    "squeezenet1_1-gap": 8,
    "squeezenet1_1-sem": 8,
    "vgg16": 8,
    "vgg16-gap": 8,
    "vgg16-sem": 8,
}
"""Side of the maps of each backbone."""


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks with few channels."""
    narrow_networks(monkeypatch)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two photos in folders of their class, and annotations of both."""
    folder = tmp_path_factory.mktemp("pairs")
    rng = np.random.default_rng(0)
    rows = []
    for index, name in enumerate(("ant", "bee")):
        (folder / "train" / name).mkdir(parents=True)
        mask = np.zeros((40, 48), np.bool_)
        mask[8:30, 10 + 8 * index : 32] = True
        photo = rng.integers(0, 256, (40, 48, 3), dtype=np.uint8)
        photo[mask] = 255 * (1 - index)
        Image.fromarray(photo).save(folder / "train" / name / f"{name}.png")
        rows.append(annotation(name, mask, class_index=index))
    classes = [("ant", "ant"), ("bee", "bee")]
    write_store(folder / "drawn.h5", AnnotationSet("drawn", rows, classes))
    return folder


def _chosen(labels: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
    return labels


def test_all_backbones_of_the_paper_are_tried() -> None:
    tried = {name.removesuffix("-sem").removesuffix("-gap") for name in MAP_SIDES}
    forms = {name for name in backbone_names() if known_backbone(name) in networks.PAPER}

    assert tried == {"inception_v3", "mini", "resnet101", "resnet50", "squeezenet1_1", "vgg16"}
    assert forms - set(MAP_SIDES) == {"vgg16_bn", "vgg16_bn-sem", "vgg16_bn-gap"}


QUICK = ("mini", "resnet50-gap")
"""On these every method is tried by `make test`, on the others by `make test-slow`."""


@pytest.mark.parametrize(
    ("method", "backbone"),
    [
        pytest.param(method, backbone, marks=() if backbone in QUICK else pytest.mark.slow)
        for method in METHODS
        for backbone in MAP_SIDES
    ],
)
def test_a_pair_trains_resumes_predicts_and_is_scored(
    photos: Path, tmp_path: Path, method: str, backbone: str
) -> None:
    side = 112 if backbone == "inception_v3" else 64
    data = labelled_folder(photos / "train")
    recipe = Recipe(epochs=2, batch_size=2, resize=side, size=side)
    checkpoint = tmp_path / "c.pt"
    run = partial(
        train, data, checkpoint, method=method, backbone=backbone, recipe=recipe, device="cpu"
    )

    def stop(done: int, total: int) -> None:
        if done == total:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(progress=stop)
    half = read_checkpoint(checkpoint)
    trained = run(resume=True)
    model = load_checkpoint(checkpoint, method=method)
    checkpoint.unlink()  # all of them together would fill a disk
    whole = model.module.state_dict()

    assert (half.epoch, half.finished) == (1, False)
    assert "unfinished" not in model.provenance["training"]
    assert [(row.epoch, row.step) for row in trained.rows] == [(1, 1), (2, 1)]
    assert len(log_path(checkpoint).read_text().splitlines()) == 3
    own = {"acol": "branch.classifier.", "spg": "c.1."}.get(method, "network.")
    moved = {name for name in whole if not torch.equal(whole[name], half.state[name])}
    assert any(name.startswith(own) for name in moved)

    dataset = Dataset.open(photos / "drawn.h5", images=photos / "train")
    outs = {MapKind("cam"): tmp_path / "own.h5", MapKind("sem", seeds=1): tmp_path / "sem.h5"}
    predict(model, dataset, outs, device="cpu", map_dtype="float32")
    title = METHODS[method].title
    for path, name in ((tmp_path / "own.h5", title), (tmp_path / "sem.h5", f"{title} + SEM")):
        with Submission.open(path) as submission:
            described = submission.header.method
            maps = submission.read(range(2))
        assert (described["name"], described["backbone"]) == (name, known_backbone(backbone))
        assert {plane.shape for plane in maps} == {(MAP_SIDES[backbone],) * 2}
        result = evaluate(dataset, path, metrics=["pixel"])
        assert result.images == 2
        assert 0 < result.scores["peak_iou"] < 1
        if path.name == "own.h5":
            labels = torch.tensor([0, 1])
            images = torch.stack([model.preprocess(dataset.read_image(i), side) for i in (0, 1)])
            given = (images, partial(_chosen, labels)) if method == "acol" else (images,)
            with torch.no_grad():
                raw = class_channels(model.module(*given)[0], labels)
            assert np.abs(np.stack(maps) - min_max(raw).numpy()).max() < 1e-5
