"""Checkpoints as programs write them, and the values on which their networks were trained."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from torch import Tensor, nn

from wsolbench.baselines import backbones, networks
from wsolbench.baselines.backbones import load_backbone
from wsolbench.baselines.weights import fill, read_state_dict
from wsolbench.errors import WsolbenchError

State = dict[str, Tensor]


@pytest.fixture(scope="module")
def network() -> nn.Module:
    torch.manual_seed(0)
    return torchvision.models.resnet18(weights=None, num_classes=5).eval()


def prefixed(state: State, prefix: str) -> State:
    return {prefix + name: tensor for name, tensor in state.items()}


CHECKPOINTS: dict[str, tuple[Callable[[State], Any], list[str]]] = {
    "plain": (dict, []),
    "DataParallel": (lambda s: prefixed(s, "module."), ["the prefix 'module.'"]),
    "compiled": (lambda s: prefixed(s, "_orig_mod."), ["the prefix '_orig_mod.'"]),
    "both": (lambda s: prefixed(s, "module._orig_mod."), ["the prefix 'module._orig_mod.'"]),
    "nested": (lambda s: {"model": s, "optimizer": {"state": {}}, "epoch": 3}, ["entry 'model'"]),
    "namespace": (lambda s: {"model": s, "args": argparse.Namespace(lr=0.1)}, ["entry 'model'"]),
    "score": (lambda s: {"state_dict": s, "best": torch.tensor(1.0)}, ["entry 'state_dict'"]),
    "Lightning": (
        lambda s: {
            "state_dict": {**prefixed(s, "model."), "criterion.weight": torch.ones(5)},
            "pytorch-lightning_version": "2",
        },
        [
            "entry 'state_dict'",
            "the prefix 'model.' .*because without it: criterion.weight",
        ],
    ),
    "average": (
        lambda s: {"n_averaged": torch.tensor(3), **prefixed(s, "module.")},
        ["the prefix 'module.' .*ignored, because without it: n_averaged"],
    ),
    "only a part compiled": (
        lambda s: {n.replace("layer1.", "layer1._orig_mod."): v for n, v in s.items()},
        ["the parts '_orig_mod' were removed"],
    ),
    "deeper": (
        lambda s: {"checkpoint": {"model": {"state_dict": s}, "optimizer": {"state": {"a": {}}}}},
        ["entry 'checkpoint.model.state_dict'"],
    ),
    "other entries": (lambda s: {"ema": None, "state_dict_ema": s}, ["entry 'state_dict_ema'"]),
    "own prefix": (lambda s: prefixed(s, "net.backbone."), ["the prefix 'net.backbone.'"]),
    "without counters": (
        lambda s: {name: value for name, value in s.items() if "num_batches" not in name},
        [],
    ),
}


@pytest.mark.parametrize("kind", CHECKPOINTS)
def test_checkpoints_of_other_programs_are_read_and_it_is_told(
    network: nn.Module, tmp_path: Path, kind: str
) -> None:
    wrap, notes = CHECKPOINTS[kind]
    torch.save(wrap(network.state_dict()), tmp_path / "w.pth")
    model = load_backbone("resnet18", tmp_path / "w.pth")
    photos = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert torch.allclose(model.module(photos)[2], network(photos), atol=1e-5)
    told = model.provenance.get("weights_notes", [])
    assert isinstance(told, list)
    assert len(told) == len(notes)
    assert all(re.search(note, own) for note, own in zip(notes, told, strict=True))


def test_half_precision_weights_are_read(network: nn.Module, tmp_path: Path) -> None:
    state = network.state_dict()
    half = {k: v.half() if v.is_floating_point() else v for k, v in state.items()}
    torch.save(half, tmp_path / "half.pth")
    module = load_backbone("resnet18", tmp_path / "half.pth").module
    assert all(tensor.dtype == torch.float32 for tensor in module.parameters())
    fc = module.get_parameter("network.fc.weight")
    assert torch.equal(fc, state["fc.weight"].half().float())


def test_densenets_older_names_are_read(tmp_path: Path) -> None:
    old_name = re.compile(r"(denselayer\d+\.(?:norm|conv))([12])\.")
    new = torchvision.models.densenet121(weights=None, num_classes=3).state_dict()
    old = {old_name.sub(r"\1.\2.", k): v for k, v in new.items() if "num_batches" not in k}
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    torch.save(old, tmp_path / "old.pth")
    model = load_backbone("densenet121", tmp_path / "old.pth")
    loaded = model.module.state_dict()
    assert all(torch.equal(loaded[f"network.{k}"], v) for k, v in new.items() if "num_b" not in k)
    assert "names of DenseNet's older form" in str(model.provenance["weights_notes"])


def test_several_state_dicts_need_a_choice(network: nn.Module, tmp_path: Path) -> None:
    state = network.state_dict()
    averaged = {k: torch.zeros_like(v) for k, v in state.items()}
    torch.save({"model": state, "model_ema": averaged}, tmp_path / "two.pth")
    with pytest.raises(WsolbenchError, match=r"2 state dicts: model, model_ema.* --weights-key"):
        load_backbone("resnet18", tmp_path / "two.pth")
    model = load_backbone("resnet18", tmp_path / "two.pth", weights_key="model_ema")
    assert not model.module.get_parameter("network.fc.weight").any()
    with pytest.raises(WsolbenchError, match="no state dict 'ema', expected model or model_ema"):
        load_backbone("resnet18", tmp_path / "two.pth", weights_key="ema")
    torch.save(state, tmp_path / "one.pth")
    with pytest.raises(WsolbenchError, match=r"without an entry 'model', .*leave --weights"):
        read_state_dict(tmp_path / "one.pth", "model")


def test_what_is_missing_or_another_object_is_named(network: nn.Module, tmp_path: Path) -> None:
    state = network.state_dict()
    torch.save({k: v for k, v in state.items() if k != "fc.bias"}, tmp_path / "w.pth")
    with pytest.raises(WsolbenchError, match=r"1 missing \(fc.bias\)"):
        load_backbone("resnet18", tmp_path / "w.pth")
    torch.save(network, tmp_path / "whole.pth")
    with pytest.raises(WsolbenchError, match=r"object of torchvision\.models\.resnet\.ResNet"):
        load_backbone("resnet18", tmp_path / "whole.pth")
    with pytest.raises(WsolbenchError, match=r"every unexpected name starts with 'encoder\.'"):
        fill(network, {"encoder.a": torch.ones(1)}, "w.pth", skipped=(), cure=lambda: "none")


def test_two_networks_in_one_state_dict_need_a_choice(network: nn.Module, tmp_path: Path) -> None:
    state = network.state_dict()
    zeros = {k: torch.zeros_like(v) for k, v in state.items()}
    both = {**prefixed(state, "model."), **prefixed(zeros, "model_ema.")}
    torch.save({"state_dict": both}, tmp_path / "two.pth")
    with pytest.raises(WsolbenchError, match=r"several .* 'model', 'model_ema', .* --weights-key"):
        load_backbone("resnet18", tmp_path / "two.pth")
    model = load_backbone("resnet18", tmp_path / "two.pth", weights_key="model_ema")
    assert not model.module.get_parameter("network.fc.weight").any()
    told = ["only the names with the prefix 'model_ema.' were taken"]
    assert model.provenance["weights_notes"] == told
    torch.save({**state, **prefixed(zeros, "module.")}, tmp_path / "mixed.pth")
    with pytest.raises(WsolbenchError, match=r"start with 'module' or with nothing"):
        load_backbone("resnet18", tmp_path / "mixed.pth")


FAULTS: dict[str, tuple[Callable[[State], Any], str]] = {
    "missing under a prefix": (
        lambda s: {k: v for k, v in prefixed(s, "module.").items() if "fc.bias" not in k},
        r"1 missing \(fc\.bias\), .*; pass a file with all parameters of resnet18$",
    ),
    "quantised": (
        lambda s: {**s, "fc.weight": (100 * s["fc.weight"]).to(torch.int8)},
        r"1 of another type \(fc\.weight int8\)",
    ),
    "no values": (
        lambda s: {k: v.to("meta") for k, v in s.items()},
        r"122 of another type \(conv1\.weight without values",
    ),
    "not finite": (
        lambda s: {**s, "fc.bias": torch.full((5,), torch.nan)},
        "found NaN or infinite values in fc.bias, expected finite parameters",
    ),
    "other backbone": (
        lambda s: torchvision.models.resnet34(num_classes=2).state_dict(),
        "these are weights of resnet34: name that with --backbone",
    ),
    "other entries": (lambda s: {**s, "epoch": 3}, r"a dict with other entries: 'epoch' \(int\)"),
    "empty": (lambda s: {}, "found an empty dict"),
}


@pytest.mark.parametrize("kind", FAULTS)
def test_faults_of_checkpoints_are_named(network: nn.Module, tmp_path: Path, kind: str) -> None:
    change, message = FAULTS[kind]
    torch.save(change(network.state_dict()), tmp_path / "w.pth")
    with pytest.raises(WsolbenchError, match=message):
        load_backbone("resnet18", tmp_path / "w.pth")


def test_a_wrong_number_of_classes_is_named(network: nn.Module, tmp_path: Path) -> None:
    torch.save(network.state_dict(), tmp_path / "w.pth")
    with pytest.raises(WsolbenchError, match=r"; pass classes=5, or leave it out \(None\)$"):
        load_backbone("resnet18", tmp_path / "w.pth", classes=3)


@pytest.mark.parametrize(
    "content, message",
    [
        (b"version https://git-lfs.github.com/spec/v1\n", "a pointer of Git LFS, .*git lfs pull"),
        (b"\n<!DOCTYPE html><html>", "found a web page, .*download the file itself"),
        (b"\x89HDF\r\n", "found an HDF5 file"),
    ],
)
def test_files_of_other_kinds_are_named(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "w.pth").write_bytes(content)
    with pytest.raises(WsolbenchError, match=message):
        read_state_dict(tmp_path / "w.pth")


@pytest.mark.filterwarnings("ignore:.*torch.jit")
def test_a_program_is_not_run(tmp_path: Path) -> None:
    torch.jit.save(torch.jit.trace(nn.Linear(2, 2), torch.zeros(1, 2)), tmp_path / "w.pt")
    with pytest.raises(WsolbenchError, match=r"TorchScript archive, .*torch\.jit\.load"):
        read_state_dict(tmp_path / "w.pt")


def test_arrays_of_numpy_are_read(network: nn.Module, tmp_path: Path) -> None:
    state = network.state_dict()
    np.savez(tmp_path / "w.npz", **{name: tensor.numpy() for name, tensor in state.items()})
    found, notes = read_state_dict(tmp_path / "w.npz")
    assert notes == []
    assert all(torch.equal(found[name], tensor) for name, tensor in state.items())


def test_a_trunk_is_read_as_pytorchs_example_wraps_it(tmp_path: Path) -> None:
    vgg = torchvision.models.vgg16(weights=None, num_classes=2, init_weights=False)
    vgg.classifier = nn.Sequential(nn.Linear(2, 2))
    vgg.features = nn.DataParallel(vgg.features)
    torch.save({"state_dict": vgg.state_dict(), "arch": "vgg16"}, tmp_path / "v.pth")
    model = load_backbone(
        "vgg16", random_weights_seed=0, trunk_weights=tmp_path / "v.pth", classes=2
    )
    trunk = model.module.get_parameter("trunk.features.28.weight")
    assert torch.equal(trunk, vgg.features.module[28].weight)
    assert model.provenance["trunk_weights_notes"] == [
        "taken from the entry 'state_dict'",
        "the parts 'module' were removed from names",
        "not loaded, because beyond the trunk: classifier.0.weight, classifier.0.bias",
        "random values remain in the head: head.conv1.weight, head.conv1.bias, head.conv2.weight"
        " and 3 more",
    ]


# -- preprocessing --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_own_inception_weights_need_their_preprocessing(tmp_path: Path, name: str) -> None:
    torch.manual_seed(0)
    build = getattr(torchvision.models, name)
    own = build(weights=None, num_classes=4, init_weights=False).eval()
    torch.save(own.state_dict(), tmp_path / "own.pth")
    with pytest.raises(WsolbenchError, match=r"preprocessing is not known; .*--preprocessing"):
        load_backbone(name, tmp_path / "own.pth")
    photos = torch.randn(1, 3, 96, 96)
    for preprocessing, transform_input in (("imagenet", False), ("half-range", True)):
        model = load_backbone(name, tmp_path / "own.pth", preprocessing=preprocessing)
        assert model.provenance["preprocessing"] == preprocessing
        own.transform_input = transform_input
        with torch.no_grad():
            expected = own(photos)
            assert torch.allclose(model.module(photos)[2], expected, atol=1e-3 * expected.std())


def test_the_published_weights_are_known_by_their_hash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = torchvision.models.googlenet(weights=None, num_classes=4, init_weights=False)
    torch.save(own.state_dict(), tmp_path / "own.pth")
    sha256 = backbones.sha256_of(tmp_path / "own.pth")
    monkeypatch.setattr(backbones, "PUBLISHED", {"googlenet": (sha256[:8],)})
    model = load_backbone("googlenet", tmp_path / "own.pth")
    assert model.provenance["preprocessing"] == "half-range"
    with pytest.raises(WsolbenchError, match="expected imagenet or half-range"):
        load_backbone("googlenet", tmp_path / "own.pth", preprocessing="tf")


def test_other_networks_can_take_half_range(network: nn.Module, tmp_path: Path) -> None:
    torch.save(network.state_dict(), tmp_path / "w.pth")
    model = load_backbone("resnet18", tmp_path / "w.pth", preprocessing="half-range")
    photos = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        expected = network(networks.to_half_range(photos))
        assert torch.allclose(model.module(photos)[2], expected, atol=1e-5)
    assert "preprocessing" not in load_backbone("resnet18", tmp_path / "w.pth").provenance


def test_the_papers_inception_needs_its_preprocessing_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, whole = "inception_v3-sem", tmp_path / "whole.pth"
    torch.save(backbones.build_network(name, 3, seed=0).state_dict(), whole)
    with pytest.raises(WsolbenchError, match=r"weights of inception_v3-sem .*--preprocessing"):
        load_backbone(name, whole)
    for preprocessing, half_range in (("imagenet", False), ("half-range", True)):
        module = load_backbone(name, whole, preprocessing=preprocessing).module
        assert isinstance(module, backbones.PaperNetwork)
        assert module.half_range == half_range

    own = torchvision.models.inception_v3(weights=None, num_classes=2, init_weights=False)
    torch.save(own.state_dict(), tmp_path / "trunk.pth")
    given: dict[str, Any] = {"random_weights_seed": 0, "trunk_weights": tmp_path / "trunk.pth"}
    with pytest.raises(WsolbenchError, match=r"trunk weights of inception_v3-sem .*not 0cc3c7bd"):
        load_backbone(name, classes=2, **given)
    sha256 = backbones.sha256_of(tmp_path / "trunk.pth")
    monkeypatch.setattr(backbones, "PUBLISHED", {"inception_v3": ("0" * 8, sha256[:8])})
    assert load_backbone(name, classes=2, **given).provenance["preprocessing"] == "half-range"
