"""Maps from the packages themselves, as they return them, into a submission."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import random_dataset
from wsolbench.errors import WsolbenchError
from wsolbench.evaluation.run import evaluate
from wsolbench.formats.submission.rules import SubmissionHeader
from wsolbench.formats.submission.writer import SubmissionWriter
from wsolbench.maps.adapters import maps_of

torch = pytest.importorskip("torch", reason="the packages give maps of its networks")
models = pytest.importorskip("torchvision.models", reason="a network to look into")

BATCH = 3


@pytest.fixture
def network() -> Any:
    torch.manual_seed(0)
    return models.resnet18(weights=None).eval()


def photos() -> Any:
    return torch.rand(BATCH, 3, 96, 64, generator=torch.Generator().manual_seed(1))


def scored(tmp_path: Path, append: Callable[[SubmissionWriter, list[str]], None]) -> Any:
    """What the batch scores after it was appended."""
    dataset = random_dataset(tmp_path / "random.h5", BATCH)
    header = SubmissionHeader("random", "val", "gt", "as the package gives it", {"name": "CAM"})
    with SubmissionWriter(tmp_path / "maps.h5", header) as writer:
        append(writer, list(dataset.image_ids))
    return evaluate(dataset, tmp_path / "maps.h5")


def test_maps_of_pytorch_grad_cam(tmp_path: Path, network: Any) -> None:
    package = pytest.importorskip("pytorch_grad_cam", reason="pip install grad-cam")
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    targets = [ClassifierOutputTarget(place) for place in range(BATCH)]
    with package.GradCAM(model=network, target_layers=[network.layer4[-1]]) as cam:
        output = cam(input_tensor=photos(), targets=targets)
    maps = maps_of(output)
    assert [map_.shape for map_ in maps] == [(96, 64)] * BATCH
    assert all(map_.dtype == np.float32 and 0 <= map_.min() <= map_.max() <= 1 for map_ in maps)
    assert all((map_ == own).all() for map_, own in zip(maps, output, strict=True))
    result = scored(tmp_path, lambda writer, ids: writer.append(ids, maps_of(output)))
    assert result.scores["peak_iou"] > 0


@pytest.mark.parametrize("normalised", [True, False])
def test_maps_of_torch_cam(tmp_path: Path, network: Any, normalised: bool) -> None:
    package = pytest.importorskip("torchcam.methods", reason="pip install torchcam")
    with package.LayerCAM(network, target_layer="layer4") as extractor:
        scores = network(photos())
        output = extractor(list(range(BATCH)), scores, normalized=normalised)
    raw = output[0].detach().numpy().copy()
    maps = maps_of(output, "none" if normalised else "min-max")
    assert [map_.shape for map_ in maps] == [(3, 2)] * BATCH
    if normalised:
        assert all((map_ == own).all() for map_, own in zip(maps, raw, strict=True))
    else:
        assert raw.max() != 1
        assert all(map_.max() in (0, 1) for map_ in maps)
    result = scored(tmp_path, lambda writer, ids: writer.append(ids, maps))
    assert result.scores["peak_iou"] > 0


@pytest.mark.parametrize("method, clipped", [("CAM", False), ("GradCAM", True)])
def test_cam_of_torch_cam_is_ours_and_its_grad_cam_the_same_clipped(
    network: Any, method: str, clipped: bool
) -> None:
    package = pytest.importorskip("torchcam.methods", reason="pip install torchcam")
    from wsolbench.baselines.cam import min_max
    from wsolbench.baselines.networks import POOLED, PooledNetwork

    classes = torch.arange(BATCH)
    with package.__dict__[method](network, target_layer="layer4") as extractor:
        output = extractor(classes.tolist(), network(photos()), normalized=False)
    with torch.no_grad():
        class_maps, _, _ = PooledNetwork(network, POOLED["resnet18"])(photos())
        ours = class_maps[classes, classes] - network.fc.bias[classes, None, None]
        ours = min_max(ours.relu() if clipped else ours)
    assert np.abs(np.stack(maps_of(output, "min-max")) - ours.numpy()).max() < 1e-5
    assert ours.max() == 1


def test_layers_must_be_fused_first(network: Any) -> None:
    package = pytest.importorskip("torchcam.methods", reason="pip install torchcam")
    with package.LayerCAM(network, target_layer=["layer3", "layer4"]) as extractor:
        output = extractor(list(range(BATCH)), network(photos()))
        with pytest.raises(WsolbenchError, match=r"a list of 2.*fuse_cams"):
            maps_of(output)
        assert len(maps_of(extractor.fuse_cams(output), "max")) == BATCH


def test_gradients_and_halves_are_taken_off() -> None:
    values = torch.rand(2, 3, 4, dtype=torch.float16, requires_grad=True)
    (first, _) = maps_of(values)
    assert (first == values[0].detach().float().numpy()).all()


def test_a_channel_and_lists_of_single_maps_are_taken() -> None:
    maps = np.random.default_rng(0).random((2, 3, 4)).astype(np.float32)
    for output in (maps, maps[:, None], list(maps), [maps], torch.from_numpy(maps)[:, None]):
        assert np.array_equal(np.stack(maps_of(output)), maps)


@pytest.mark.parametrize("output", [np.zeros((3, 3)), np.zeros((1, 2, 3, 3)), np.zeros(3)])
def test_other_shapes_are_refused(output: Any) -> None:
    with pytest.raises(WsolbenchError, match=r"expected \(B, height, width\)"):
        maps_of(output)


def test_values_out_of_range_are_refused() -> None:
    with pytest.raises(WsolbenchError, match="choose a normalisation"):
        maps_of(np.full((1, 2, 2), 3.0))
