from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from wsolbench.baselines import networks
from wsolbench.baselines.backbones import ClassMapModel, imagenet_input, load_backbone
from wsolbench.baselines.networks import PaperNetwork, PooledNetwork, build_network
from wsolbench.baselines.user_models import load_model_function
from wsolbench.baselines.weights import read_state_dict
from wsolbench.errors import WsolbenchError


def photo(size: int, batch: int = 1) -> Tensor:
    return torch.randn(batch, 3, size, size, generator=torch.Generator().manual_seed(0))


# -- class maps are the network's own ------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(networks.POOLED))
def test_mean_of_the_class_maps_is_the_networks_own_logits(name: str) -> None:
    network = build_network(name, 10, seed=1).eval()
    assert isinstance(network, PooledNetwork)
    with torch.inference_mode():
        class_maps, features, logits = network(photo(128))
        own = network.network(photo(128))

    assert class_maps.shape[:2] == (1, 10)
    assert class_maps.shape[2:] == features.shape[2:]
    assert features.shape[2] > 1
    summed = class_maps.relu() if name.startswith("squeezenet") else class_maps
    scale = own.abs().max().item()
    assert (summed.mean(dim=(2, 3)) - own).abs().max().item() <= 1e-5 * scale
    assert torch.equal(logits, summed.mean(dim=(2, 3)))


SEM = sorted(name for name in networks.PAPER if name.endswith("-sem"))


@pytest.mark.parametrize("name", SEM)
def test_papers_networks_have_stride_eight(name: str) -> None:
    network = build_network(name, 7, seed=1).eval()
    with torch.inference_mode():
        class_maps, features, logits = network(photo(96))
        again = network.classifier.conv(features)

    assert class_maps.shape == (1, 7, 12, 12)
    assert features.shape == (1, 1024, 12, 12)
    assert features.min().item() == 0.0  # behind a ReLU
    assert torch.equal(class_maps, again)
    assert torch.equal(logits, class_maps.mean(dim=(2, 3)))


@pytest.mark.parametrize("name", sorted(networks.PAPER))
@pytest.mark.parametrize("size", [224, 320])
def test_papers_map_sizes(name: str, size: int) -> None:
    with torch.device("meta"):
        recipe = networks.PAPER[name]
        network = PaperNetwork(recipe.trunk(), recipe.channels, 5, head=recipe.head)
        # Constants of the input scaling are made where the photos are.
        class_maps, _, _ = network.eval()(torch.empty(1, 3, size, size))

    side = size // (4 if name == "mini" else 8)
    assert class_maps.shape == (1, 5, side, side)


def test_dropout_of_the_head_is_off_outside_training() -> None:
    network = build_network("vgg16-sem", 3, seed=0)

    assert not torch.equal(network.train()(photo(32))[0], network(photo(32))[0])
    network.eval()
    assert torch.equal(network(photo(32))[0], network(photo(32))[0])


def test_inception_input_goes_to_half_range() -> None:
    black = imagenet_input(Image.new("RGB", (4, 4)), 4)
    white = imagenet_input(Image.new("RGB", (4, 4), "white"), 4)

    scaled = networks.to_half_range(torch.stack([black, white]))

    assert scaled[0].flatten().tolist() == pytest.approx([-1.0] * 48, abs=1e-6)
    assert scaled[1].flatten().tolist() == pytest.approx([1.0] * 48, abs=1e-6)


# -- preprocessing -------------------------------------------------------------------------------


def test_imagenet_input_is_torchvisions_without_a_crop() -> None:
    from torchvision import transforms

    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(0, 256, (50, 91, 3), dtype=np.uint8))
    chain = transforms.Compose(
        [
            transforms.Resize((32, 32), antialias=True),
            transforms.ToTensor(),
            transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ]
    )

    tensor = imagenet_input(image, 32)

    assert tensor.dtype == torch.float32
    assert tensor.shape == (3, 32, 32)
    assert (tensor - chain(image)).abs().max().item() < 1e-5


def test_imagenet_input_by_hand() -> None:
    tensor = imagenet_input(Image.new("RGB", (5, 3), (255, 0, 51)), 2)

    wanted = [(1 - 0.485) / 0.229, -0.456 / 0.224, (0.2 - 0.406) / 0.225]
    assert tensor[:, 0, 0].tolist() == pytest.approx(wanted, abs=1e-6)


# -- weights -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state dict of torchvision's SqueezeNet 1.1 with six classes."""
    network = build_network("squeezenet1_1", 6, seed=3)
    assert isinstance(network, PooledNetwork)
    path = tmp_path_factory.mktemp("weights") / "squeezenet.pth"
    torch.save(network.network.state_dict(), path)
    return path


def test_weights_are_loaded_and_the_classes_counted(weights: Path) -> None:
    model = load_backbone("squeezenet1_1", weights)

    assert model.name == "squeezenet1_1"
    assert not model.module.training
    wanted = build_network("squeezenet1_1", 6, seed=3).eval()
    with torch.inference_mode():
        for ours, theirs in zip(model.module(photo(64)), wanted(photo(64)), strict=True):
            assert torch.equal(ours, theirs)
    assert model.provenance["weights"] == "squeezenet.pth"
    assert len(str(model.provenance["weights_sha256"])) == 64


def test_missing_unexpected_and_misshapen_keys_are_counted_and_shown(
    weights: Path, tmp_path: Path
) -> None:
    state = torch.load(weights, weights_only=True)
    for key in list(state)[:5]:
        state[f"other.{key}"] = state.pop(key)
    state["classifier.1.weight"] = torch.zeros(4, 512, 1, 1)
    torch.save(state, tmp_path / "wrong.pth")

    with pytest.raises(WsolbenchError) as caught:
        load_backbone("squeezenet1_1", tmp_path / "wrong.pth", classes=6)

    message = str(caught.value)
    assert "5 missing (features.0.weight, features.0.bias, " in message
    assert " and 2 more), 5 unexpected (other.features.0.weight, " in message
    assert "1 of another shape (classifier.1.weight (4, 512, 1, 1) for (6, 512, 1, 1))" in message
    assert "expected the 52 of this backbone" in message


def test_auxiliary_heads_and_batch_norms_counters_are_no_fault(tmp_path: Path) -> None:
    network = build_network("googlenet", 3, seed=0)
    assert isinstance(network, PooledNetwork)
    state = {k: v for k, v in network.network.state_dict().items() if "num_batches" not in k}
    state["aux1.conv.conv.weight"] = torch.zeros(1)
    torch.save(state, tmp_path / "old.pth")

    loaded = load_backbone("googlenet", tmp_path / "old.pth", preprocessing="imagenet")
    assert loaded.name == "googlenet"


@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "found an empty file, .*; download or copy it again"),
        (b"not a state dict", "a file that cannot be read safely"),
        (b"PK\x03\x04" + bytes(100), "a file that cannot be read safely"),
    ],
)
def test_damaged_weights_are_refused(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "bad.pth").write_bytes(content)

    with pytest.raises(WsolbenchError, match=message):
        load_backbone("resnet18", tmp_path / "bad.pth")


class Bomb:
    """Pickled, it makes a file when it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.path),)


def test_code_in_weights_is_never_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save({"weight": Bomb(tmp_path / "ran")}, tmp_path / "bomb.pth")
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")

    with pytest.raises(WsolbenchError, match="a file that cannot be read safely"):
        read_state_dict(tmp_path / "bomb.pth")
    assert not (tmp_path / "ran").exists()


def test_other_content_is_refused(tmp_path: Path) -> None:
    torch.save([torch.zeros(1)], tmp_path / "list.pth")

    with pytest.raises(WsolbenchError, match="found content of type list, expected a dict of"):
        read_state_dict(tmp_path / "list.pth")
    with pytest.raises(WsolbenchError, match="no such file, expected a state dict"):
        read_state_dict(tmp_path / "absent.pth")


def test_safetensors_needs_its_package_or_reads(weights: Path, tmp_path: Path) -> None:
    (tmp_path / "weights.safetensors").write_bytes(b"nonsense")

    with pytest.raises(WsolbenchError, match=r"needs safetensors|not a safetensors file"):
        read_state_dict(tmp_path / "weights.safetensors")


def test_nothing_is_drawn_or_downloaded_unasked(weights: Path) -> None:
    with pytest.raises(WsolbenchError, match=r"found no weights, expected either a local file"):
        load_backbone("resnet50")
    with pytest.raises(WsolbenchError, match="found both weights and a seed"):
        load_backbone("squeezenet1_1", weights, random_weights_seed=0)


def test_unknown_name_shows_the_names() -> None:
    with pytest.raises(WsolbenchError, match=r"found an unknown name, expected one of .*vgg16-sem"):
        load_backbone("resnet51", random_weights_seed=0)


def test_random_weights_follow_the_seed_and_leave_the_generator_alone() -> None:
    torch.manual_seed(5)
    first = torch.rand(1)
    torch.manual_seed(5)

    models = [load_backbone("resnet18", random_weights_seed=s, classes=2) for s in (1, 1, 2)]

    assert torch.equal(torch.rand(1), first)
    same, again, other = (m.module.get_parameter("network.fc.weight") for m in models)
    assert torch.equal(same, again)
    assert not torch.equal(same, other)
    assert models[2].provenance == {"random_weights_seed": 2}


# -- VGG16 and the trunks ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def torchvision_vgg16(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What torchvision's VGG16 file holds, with a classifier cut short."""
    network = build_network("vgg16-sem", 2, seed=9)
    state = {k[6:]: v for k, v in network.state_dict().items() if k.startswith("trunk.")}
    assert len(state) == 26
    state["classifier.0.weight"] = torch.zeros(8, 8)
    path = tmp_path_factory.mktemp("vgg") / "vgg16.pth"
    torch.save(state, path)
    return path


def test_vgg16_is_the_papers_and_never_gets_a_random_head_unasked(torchvision_vgg16: Path) -> None:
    with pytest.raises(WsolbenchError, match=r"32 missing .*fill only the trunk"):
        load_backbone("vgg16", torchvision_vgg16)
    with pytest.raises(WsolbenchError, match="found no weights"):
        load_backbone("vgg16", trunk_weights=torchvision_vgg16)


def test_trunk_weights_fill_the_trunk(torchvision_vgg16: Path) -> None:
    model = load_backbone(
        "vgg16", trunk_weights=torchvision_vgg16, random_weights_seed=4, classes=2
    )

    assert model.name == "vgg16-sem"
    assert model.provenance["trunk_weights_notes"] == [
        "not loaded, because beyond the trunk: classifier.0.weight",
        "random values remain in the head: head.conv1.weight, head.conv1.bias, head.conv2.weight "
        "and 3 more",
    ]
    wanted = torch.load(torchvision_vgg16, weights_only=True)["features.28.weight"]
    assert torch.equal(model.module.get_parameter("trunk.features.28.weight"), wanted)


@pytest.mark.parametrize("name", ["resnet50", "inception_v3", "googlenet"])
def test_trunks_have_torchvisions_names(name: str, tmp_path: Path) -> None:
    network = build_network(name, 4, seed=1)
    assert isinstance(network, PooledNetwork)
    torch.save(network.network.state_dict(), tmp_path / "whole.pth")

    paper = f"{name}-sem" in networks.PAPER
    model = load_backbone(
        f"{name}-sem" if paper else name,
        random_weights_seed=0,
        trunk_weights=tmp_path / "whole.pth",
        classes=4,
        preprocessing="imagenet",
    )
    state = network.network.state_dict()
    filled = model.module.get_submodule("trunk" if paper else "network").state_dict()
    assert {key for key in filled if not torch.equal(filled[key], state[key])} == (
        set() if paper else {"fc.weight", "fc.bias"}
    )


def test_weights_of_a_papers_network_go_round(tmp_path: Path) -> None:
    network = build_network("vgg16_bn-sem", 11, seed=2)
    torch.save(network.state_dict(), tmp_path / "trained.pth")

    model = load_backbone("vgg16_bn", tmp_path / "trained.pth")

    state = model.module.state_dict()
    assert all(torch.equal(state[k], v) for k, v in network.state_dict().items())
    assert state["classifier.conv.weight"].shape[0] == 11


# -- a model of the user's own -------------------------------------------------------------------

MODELS = """
import torch
from wsolbench.baselines.backbones import ClassMapModel, imagenet_input

def good():
    return ClassMapModel("mine", torch.nn.Identity(), imagenet_input)

def wrong():
    return torch.nn.Identity()

def broken():
    return open("no such weights.pth")

value = 3
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "wsolbench_trial").mkdir()
    (tmp_path / "wsolbench_trial" / "models.py").write_text(MODELS)
    (tmp_path / "wsolbench_trial" / "needs.py").write_text("import wsolbench_no_such_thing\n")
    (tmp_path / "wsolbench_trial" / "syntax.py").write_text("x = 1\ndef (:\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p])
    yield tmp_path
    for name in [n for n in sys.modules if n.partition(".")[0] == "wsolbench_trial"]:
        del sys.modules[name]


def test_model_function_of_the_working_folder(project: Path) -> None:
    before = list(sys.path)

    model = load_model_function("wsolbench_trial.models:good")

    assert isinstance(model, ClassMapModel)
    assert model.name == "mine"
    assert sys.path == [*before, str(project)]


@pytest.mark.parametrize(
    "where, message",
    [
        ("wsolbench_trial.models", "found a malformed name, expected PACKAGE.MODULE:FUNCTION"),
        ("../models.py:good", "found a malformed name"),
        ("resnet18", "of a library: torchvision:resnet18 or timm:resnet18"),
        ("wsolbench_trial.absent:good", "no module wsolbench_trial.absent; check the name"),
        ("wsolbench_absent.models:good", "no module wsolbench_absent; check the name"),
        ("wsolbench_trial.models:absent", "no function absent in .*models.py"),
        ("wsolbench_trial.models:value", "no function value in"),
        (
            "wsolbench_trial.models:wrong",
            "network wrong: found outputs of shape",
        ),
        (
            "wsolbench_trial.models:broken",
            r"FileNotFoundError: .*no such weights.* at .*models\.py:12; correct it",
        ),
        (
            "wsolbench_trial.needs:f",
            r"ModuleNotFoundError: .*wsolbench_no_such_thing.* at .*needs\.py:1; correct it",
        ),
        ("wsolbench_trial.syntax:f", r"SyntaxError: .* at .*syntax\.py:2; correct it"),
    ],
)
def test_faults_of_model_functions_are_one_line(project: Path, where: str, message: str) -> None:
    with pytest.raises(WsolbenchError, match=message) as caught:
        load_model_function(where)
    assert "\n" not in str(caught.value)


def test_importing_the_package_loads_no_torch() -> None:
    code = (
        "import sys, wsolbench.baselines as b; dir(b); "
        "print(sorted({'torch', 'torchvision'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "[]\n"
