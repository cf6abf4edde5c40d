"""Any classifier: what tracing finds, and what explainers make of it."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from torch import Tensor, nn

from tests.baselines.test_predict import make_dataset
from wsolbench.baselines.any_networks import class_map_model, load_library_network
from wsolbench.baselines.attention import attentions, rollout
from wsolbench.baselines.backbones import ClassMapModel
from wsolbench.baselines.explainer_records import EXPLAINERS, OWN
from wsolbench.baselines.explainers import explaining, without_parameter_gradients
from wsolbench.baselines.map_kinds import MapKind, kinds_of
from wsolbench.baselines.predict import predict
from wsolbench.baselines.sem import self_enhancement_maps
from wsolbench.baselines.traced import HEAD, LINEAR, NO_MAPS, TracedNetwork, traced
from wsolbench.cli import cli
from wsolbench.errors import WsolbenchError
from wsolbench.formats.submission.reader import Submission

timm = pytest.importorskip("timm", reason="pip install timm")
models = pytest.importorskip("torchvision.models")

CLASSES = 6
SIZE = 64
BATCH = 3


class Convolutions(nn.Module):
    """The smallest classifier of the kind of a ResNet: 8x8 features, their mean, a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, stride=4, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.act = nn.ReLU(inplace=True)
        self.second = nn.Conv2d(8, 12, 3, stride=2, padding=1)
        self.last = nn.ReLU()
        self.fc = nn.Linear(12, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        features = self.last(self.second(self.act(self.norm(self.first(images)))))
        logits: Tensor = self.fc(features.mean(dim=(2, 3)))
        return logits


def _vit(**options: Any) -> nn.Module:
    sizes = {"img_size": SIZE, "patch_size": 16, "embed_dim": 32, "depth": 2, "num_heads": 2}
    network: nn.Module = timm.models.vision_transformer.VisionTransformer(
        **{**sizes, "num_classes": CLASSES, **options}
    )
    return network


def _tv_vit() -> nn.Module:
    network = models.VisionTransformer(SIZE, 16, 2, 2, 32, 64, num_classes=CLASSES)
    nn.init.normal_(network.heads.head.weight)  # torchvision starts with zeros
    return network


def _swin() -> nn.Module:
    network: nn.Module = timm.models.swin_transformer.SwinTransformer(
        img_size=SIZE,
        patch_size=4,
        window_size=4,
        embed_dim=16,
        depths=(1, 1),
        num_heads=(2, 2),
        num_classes=CLASSES,
    )
    return network


def _convnext() -> nn.Module:
    network: nn.Module = timm.models.convnext.ConvNeXt(
        num_classes=CLASSES, depths=(1, 1, 1, 1), dims=(8, 8, 8, 16)
    )
    return network


def _tv_swin() -> nn.Module:
    return models.SwinTransformer([4, 4], 16, [1, 1], [2, 2], [4, 4], num_classes=CLASSES)


def _squeezenet() -> nn.Module:
    return models.squeezenet1_1(num_classes=CLASSES)


class Flattened(nn.Module):
    """A classifier of the kind of VGG: each position has weights of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 8, 3, stride=8, padding=1), nn.ReLU())
        self.pool = nn.AdaptiveAvgPool2d(4)
        self.classifier = nn.Linear(8 * 16, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.pool(self.features(images)).flatten(1))
        return logits


def _deit() -> nn.Module:
    network: nn.Module = timm.models.deit.VisionTransformerDistilled(
        img_size=SIZE, patch_size=16, embed_dim=32, depth=2, num_heads=2, num_classes=CLASSES
    )
    return network


NETWORKS: dict[str, tuple[Callable[[], nn.Module], str, str, tuple[int, int]]] = {
    "cnn": (Convolutions, LINEAR, "last", (12, 8)),
    "timm resnet": (
        lambda: timm.create_model("test_resnet", num_classes=CLASSES),
        LINEAR,
        "layer4",
        (96, 2),
    ),
    "squeezenet": (_squeezenet, LINEAR, "classifier.0", (512, 3)),
    "flattened": (Flattened, NO_MAPS, "features", (8, 8)),
    "convnext": (_convnext, HEAD, "norm_pre", (16, 2)),
    "swin": (_swin, LINEAR, "norm", (32, 8)),
    "torchvision swin": (_tv_swin, LINEAR, "permute", (32, 8)),
    "vit": (_vit, NO_MAPS, "blocks.1.norm1", (32, 4)),
    "torchvision vit": (_tv_vit, NO_MAPS, "encoder.layers.encoder_layer_1.ln_1", (32, 4)),
    "deit": (_deit, NO_MAPS, "blocks.1.norm1", (32, 4)),
    "dinov2": (lambda: _vit(init_values=0.1, reg_tokens=4), NO_MAPS, "blocks.1.norm1", (32, 4)),
    "pooled tokens": (
        lambda: _vit(global_pool="avg", fc_norm=False),
        LINEAR,
        "norm",
        (32, 4),
    ),
    "pooled tokens, norm after": (
        lambda: _vit(global_pool="avg", class_token=False),
        HEAD,
        "norm",
        (32, 4),
    ),
}

_MADE: dict[str, ClassMapModel] = {}


def made(name: str) -> ClassMapModel:
    if name not in _MADE:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(3)
            _MADE[name] = class_map_model(NETWORKS[name][0](), name=name, size=SIZE)
    return _MADE[name]


def traced_module(name: str) -> TracedNetwork:
    module = made(name).module
    assert isinstance(module, TracedNetwork)
    return module


def photos(count: int = BATCH) -> Tensor:
    return torch.randn(count, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))


def explained(method: str, name: str, images: Tensor, classes: Tensor, **options: Any) -> Tensor:
    model = made(name)
    with without_parameter_gradients(model.module):
        return explaining(method, model, SIZE, **options).maps(images, classes)


# -- tracing -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NETWORKS)
def test_what_tracing_finds(name: str) -> None:
    _, kind, layer, (channels, side) = NETWORKS[name]
    module = traced_module(name)

    with torch.no_grad():
        class_maps, features, logits = module(photos())
        assert torch.equal(logits, module.network(photos()))
    assert (module.plan.class_maps, module.plan.layer) == (kind, layer)
    assert features.shape == (BATCH, channels, side, side)
    assert class_maps.shape == (BATCH, CLASSES, side, side)
    if kind == LINEAR and name != "squeezenet":  # whose ReLU lies between maps and mean
        assert torch.allclose(class_maps.mean(dim=(2, 3)), logits, atol=1e-5)
    if kind == NO_MAPS:
        assert not class_maps.any()


@pytest.mark.parametrize("name", ["convnext", "pooled tokens, norm after"])
def test_a_position_score_is_the_logits_of_a_grid_of_that_position(name: str) -> None:
    module = traced_module(name)
    network: Any = module.network
    with torch.no_grad():
        class_maps, features, _ = module(photos(1))
        for row in range(features.shape[2]):
            vector = features[:, :, row, 1]
            alone = vector[:, :, None, None] if name == "convnext" else vector[:, None]
            assert torch.allclose(network.forward_head(alone), class_maps[:, :, row, 1], atol=1e-5)


def test_a_network_without_positions_is_refused() -> None:
    flat = nn.Sequential(nn.Flatten(), nn.Linear(3 * 64, CLASSES))
    with pytest.raises(WsolbenchError, match="no submodule whose output has several positions"):
        traced(flat, 8)
    with pytest.raises(WsolbenchError, match=r"it fails on photos of 9x9: RuntimeError"):
        traced(flat, 9)
    with pytest.raises(WsolbenchError, match=r"outputs of shape \(2, 8, 4, 4\) .*logits \(B, C\)"):
        traced(nn.Conv2d(3, 8, 1), 4)


# -- explainers ----------------------------------------------------------------------------------

SLOW = {"torchcam:sscam", "torchcam:iscam"}  # tens of forwards for each channel
ATTENTION = {"attention", "attention-rollout", "attention-gradient", "legrad"}
ON_CNN = sorted(EXPLAINERS.keys() - ATTENTION - {"torchcam:sscam"})
ON_VIT = sorted(EXPLAINERS.keys() - SLOW - {"position-score", "ablationcam", "fullgrad"})


def _require(method: str) -> None:
    if EXPLAINERS[method].package != OWN:
        pytest.importorskip(
            {"grad-cam": "pytorch_grad_cam", "torchcam": "torchcam"}[EXPLAINERS[method].package]
        )


@pytest.mark.parametrize(
    ("name", "method"),
    [("cnn", own) for own in ON_CNN]
    + [("vit", own) for own in ON_VIT]
    + [("torchvision vit", own) for own in sorted(ATTENTION)]
    + [("swin", own) for own in ("gradcam", "position-score", "torchcam:layercam")],
)
def test_maps_of_a_batch_are_those_of_single_photos(name: str, method: str) -> None:
    _require(method)
    classes = torch.tensor([1, 0, 4])
    together = explained(method, name, photos(), classes)
    alone = [explained(method, name, photos()[[i]], classes[[i]]) for i in range(BATCH)]

    side = SIZE if method == "fullgrad" else NETWORKS[name][3][1]
    assert together.shape == (BATCH, side, side)
    assert (together - torch.cat(alone)).abs().max() <= 1e-4 * together.abs().max()
    other = explained(method, name, photos(), torch.tensor([2, 3, 5]))
    assert torch.equal(other, together) == (not EXPLAINERS[method].per_class)


def test_grad_cam_by_hand() -> None:
    _require("gradcam")
    _require("torchcam:gradcam")
    module = traced_module("cnn")
    features = module(photos())[1].detach()
    weight = module.network.get_submodule("fc").get_parameter("weight").detach()
    for index in range(BATCH):
        # Grad-CAM at the last features is ReLU of CAM without its bias.
        by_hand = torch.einsum("c,chw->hw", weight[index], features[index]).relu()
        ours = explained("gradcam", "cnn", photos()[[index]], torch.tensor([index]))[0]
        raw = explained("torchcam:gradcam", "cnn", photos()[[index]], torch.tensor([index]))[0]
        assert torch.allclose(raw * 64, by_hand, atol=1e-5)
        if by_hand.max() > 0:
            scaled = (by_hand - by_hand.min()) / (by_hand.max() - by_hand.min())
            assert torch.allclose(ours, scaled, atol=1e-4)


def test_score_cam_is_that_of_the_package(capfd: pytest.CaptureFixture[str]) -> None:
    package = pytest.importorskip("pytorch_grad_cam")
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    module = traced_module("cnn")
    cam = package.ScoreCAM(model=module.network, target_layers=[module.network.last])
    cam.get_target_width_height = lambda given: None
    theirs = cam(input_tensor=photos(), targets=[ClassifierOutputTarget(i) for i in range(BATCH)])
    capfd.readouterr()
    ours = explained("scorecam", "cnn", photos(), torch.arange(BATCH)).numpy()

    low, high = ours.min(axis=(1, 2), keepdims=True), ours.max(axis=(1, 2), keepdims=True)
    assert np.abs((ours - low) / (high - low) - theirs).max() < 1e-4
    few = explained("scorecam", "cnn", photos(), torch.arange(BATCH), channels=3)
    assert not np.allclose(few.numpy(), ours)
    with pytest.raises(WsolbenchError, match="channels: found 0"):
        explained("scorecam", "cnn", photos(), torch.arange(BATCH), channels=0)


def test_rollout_of_two_blocks_by_hand() -> None:
    first = torch.tensor([[[[0.5, 0.5], [0.0, 1.0]]]])
    second = torch.tensor([[[[1.0, 0.0], [0.5, 0.5]]]])
    # ([[1, 0], [.25, .75]]) @ ([[.75, .25], [0, 1]])
    wanted = torch.tensor([[[0.75, 0.25], [0.1875, 0.8125]]])
    assert torch.allclose(rollout([first, second]), wanted)


@pytest.mark.parametrize("name", ["vit", "torchvision vit", "dinov2"])
def test_attention_sums_to_one_and_leaves_the_network_as_it_was(name: str) -> None:
    network = traced_module(name).network
    hooks = [len(own._forward_hooks) for own in network.modules()]
    before = network(photos())
    with attentions(network) as layers:
        inside = network(photos())
    assert torch.allclose(before, inside, atol=1e-5)
    tokens = 16 + traced_module(name).plan.layout.prefix
    assert [tuple(own.shape) for own in layers] == [(BATCH, 2, tokens, tokens)] * 2
    assert all(torch.allclose(own.sum(dim=-1), torch.ones(()), atol=1e-5) for own in layers)
    with pytest.raises(RuntimeError, match="on the way"), attentions(network):
        raise RuntimeError("on the way")
    assert [len(own._forward_hooks) for own in network.modules()] == hooks
    assert torch.equal(network(photos()), before)


def test_legrad_is_that_of_torch_cam() -> None:
    methods = pytest.importorskip("torchcam.methods")
    network: Any = traced_module("torchvision vit").network
    blocks = list(network.encoder.layers)
    with methods.LeGrad(network, blocks) as extractor:
        network(photos().requires_grad_())
        theirs = extractor([1, 0, 4], normalized=False)
    wanted = torch.stack(list(theirs)).mean(dim=0) if len(theirs) > 1 else theirs[0]
    ours = explained("legrad", "torchvision vit", photos(), torch.tensor([1, 0, 4]))
    assert torch.allclose(ours / ours.amax(), wanted / wanted.amax(), atol=1e-4)


def test_a_gradient_is_weighted_by_attention_as_by_finite_differences() -> None:
    """The gradient that attention-gradient takes of a block is that of the logit."""
    network = traced_module("vit").network
    image = photos(1)
    with torch.enable_grad(), attentions(network) as layers:
        score = network(image.requires_grad_())[0, 2]
        (gradient,) = torch.autograd.grad(score, layers[1])
    place, step = (0, 1, 0, 7), 1e-2

    def moved(module: nn.Module, inputs: tuple[object, ...], output: Tensor) -> Tensor:
        changed = output.clone()
        changed[place] += step
        return changed

    drop = network.get_submodule("blocks.1.attn.attn_drop")
    with torch.no_grad(), attentions(network):
        base = network(image)[0, 2]
        handle = drop.register_forward_hook(moved)
        try:
            more = network(image)[0, 2]
        finally:
            handle.remove()
    assert float((more - base) / step) == pytest.approx(float(gradient[place]), rel=0.05, abs=1e-3)


def test_parameters_and_their_gradients_are_as_before() -> None:
    _require("gradcam")
    _require("torchcam:gradcam")
    module = traced_module("cnn")
    parameter = module.network.get_submodule("fc").get_parameter("weight")
    parameter.grad = torch.ones_like(parameter)
    flags = [own.requires_grad for own in module.parameters()]
    for method in ("gradcam", "ablationcam", "torchcam:gradcam"):
        explained(method, "cnn", photos(), torch.arange(BATCH))
    assert parameter.grad is not None
    assert bool((parameter.grad == 1).all())
    assert [own.requires_grad for own in module.parameters()] == flags
    parameter.grad = None


@pytest.mark.parametrize(
    ("name", "method", "message"),
    [
        ("swin", "attention-rollout", "no attention over all of its patches"),
        ("cnn", "legrad", "no blocks, norm and head"),
        ("vit", "position-score", "whose classifier does not see the mean of positions"),
        ("vit", "ablationcam", "a layer .* that returns tokens"),
        ("cnn", "nonsense", "an unknown name"),
        ("cnn", "no_such_module:function", "no module no_such_module"),
    ],
)
def test_what_a_network_does_not_have_is_one_line(name: str, method: str, message: str) -> None:
    _require(method) if method in EXPLAINERS else None
    with pytest.raises(WsolbenchError, match=message):
        explained(method, name, photos(), torch.arange(BATCH))


def test_a_layer_can_be_named() -> None:
    _require("gradcam")
    assert explained("gradcam", "cnn", photos(), torch.arange(3), layer="act").shape == (3, 16, 16)
    with pytest.raises(WsolbenchError, match="no submodule of this name"):
        explained("gradcam", "cnn", photos(), torch.arange(3), layer="layer9")
    with pytest.raises(WsolbenchError, match=r"an output of shape \(2, 6\)"):
        explained("gradcam", "cnn", photos(), torch.arange(3), layer="fc")


# -- weights -------------------------------------------------------------------------------------


def test_weights_come_from_a_local_file(tmp_path: Path) -> None:
    network = load_library_network("timm:test_resnet", random_weights_seed=5, classes=7, size=96)
    path = tmp_path / "weights.pth"
    torch.save(network.module.get_submodule("network").state_dict(), path)

    loaded = load_library_network("timm:test_resnet", path, size=96)
    image = torch.randn(1, 3, 96, 96)
    assert torch.equal(loaded.module(image)[2], network.module(image)[2])
    assert loaded.module(image)[2].shape == (1, 7)
    assert loaded.provenance["weights"] == "weights.pth"
    assert network.provenance["random_weights_seed"] == 5
    with pytest.raises(WsolbenchError, match=r"parameters .*missing"):
        load_library_network("torchvision:resnet18", path)
    torch.save({"other.weight": torch.ones(2, 3)}, path)
    with warnings.catch_warnings():  # the error is all that is said
        warnings.simplefilter("error")
        with pytest.raises(WsolbenchError, match=r"parameters .*missing"):
            load_library_network("torchvision:squeezenet1_1", path)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("timm:test_resnet", {}, "no weights.*nothing is downloaded"),
        ("timm:tset_resnet", {"random_weights_seed": 0}, "no architecture of timm.*test_resnet"),
        ("torchvision:resnet19", {"random_weights_seed": 0}, "no architecture of torchvision"),
    ],
)
def test_names_without_weights_are_refused(
    name: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(WsolbenchError, match=message):
        load_library_network(name, **options)


def test_timm_is_named_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(WsolbenchError, match=r"it needs timm.*wsolbench\[networks\]"):
        load_library_network("timm:test_vit", random_weights_seed=0)


# -- predict -------------------------------------------------------------------------------------


def test_predict_by_name(tmp_path: Path) -> None:
    _require("layercam")
    make_dataset(tmp_path, [0, 1, 2])
    arguments = [
        *("--model", "timm:test_vit2", "--random-weights", "1", "--size", "32", "--workers", "0"),
        *("--annotations", str(tmp_path / "drawn.h5"), "--images", str(tmp_path)),
        *("--device", "cpu", "--class-map", "same", "--quiet"),
    ]
    for method, title, options in [
        ("layercam", "LayerCAM", ["--layer", "blocks.5.norm1"]),
        ("attention-rollout", "Attention rollout", []),
        ("tests.baselines.test_any_networks:corner", "corner", []),
        ("sem", "Gradient-weighted attention + SEM", ["--start", "attention-gradient"]),
    ]:
        out = tmp_path / "maps.h5"
        seeds = ["--seeds", "1"] if method == "sem" else []
        done = CliRunner().invoke(
            cli, ["predict", method, *arguments, *options, *seeds, "--out", str(out)]
        )
        assert done.exit_code == 0, done.output
        with Submission.open(out) as written:
            header = written.header.method
            assert header["name"] == title
            assert header["random_weights"] is True
            assert header["backbone"] == "test_vit2"
            assert written.read([0])[0].shape == ((3, 5) if title == "corner" else (2, 2))
            assert header.get("class_agnostic", False) == (method == "attention-rollout")
        out.unlink()


@pytest.mark.parametrize(
    "method, setting, found",
    [
        ("attention-rollout", {"layer": "x"}, "x for attention-rollout, expected it only for a me"),
        ("cam", {"layer": "x"}, "x for cam"),
        ("fullgrad", {"layer": "x"}, "x for fullgrad"),
        ("gradcam", {"channels": 3}, "3 for gradcam, expected it only for scorecam"),
    ],
)
def test_settings_that_a_method_does_not_read_are_refused(
    method: str, setting: dict[str, Any], found: str
) -> None:
    with pytest.raises(WsolbenchError, match=found):
        kinds_of(made("cnn"), "maps.h5", MapKind(method, **setting))


def corner(network: nn.Module, images: Tensor, classes: Tensor) -> Any:
    """An explainer of one's own: the input's gradient, averaged over cells."""
    (gradient,) = torch.autograd.grad(
        network(images)[torch.arange(len(images)), classes].sum(), images
    )
    return nn.functional.adaptive_avg_pool2d(gradient.abs().sum(dim=1), (3, 5)).numpy()


def three_axes(network: nn.Module, images: Tensor, classes: Tensor) -> Any:
    return images


def raising(network: nn.Module, images: Tensor, classes: Tensor) -> Any:
    raise KeyError("layer4")


def test_a_function_that_fails_is_one_line() -> None:
    here = "tests.baselines.test_any_networks"
    with pytest.raises(WsolbenchError, match=r"maps of shape \(3, 3, 64, 64\) for 3 photos"):
        explained(f"{here}:three_axes", "cnn", photos(), torch.arange(3))
    with pytest.raises(WsolbenchError, match=r"raising of cnn: KeyError: 'layer4' at .*:\d+"):
        explained(f"{here}:raising", "cnn", photos(), torch.arange(3))


def test_sem_starts_from_any_map(tmp_path: Path) -> None:
    model = made("vit")
    dataset = make_dataset(tmp_path, [0, 1])
    options: dict[str, Any] = {"device": "cpu", "class_map": "same", "map_dtype": "float32"}
    predict(
        model,
        dataset,
        tmp_path / "s.h5",
        method="sem",
        start="attention-gradient",
        seeds=3,
        **options,
    )
    with Submission.open(tmp_path / "s.h5") as written:
        maps = written.read([0, 1])
        assert written.header.method["parameters"]["explainer"] == "attention-gradient"
    for index in range(2):
        image = model.preprocess(dataset.read_image(index), SIZE)[None]
        start = explained("attention-gradient", "vit", image, torch.tensor([index]))
        with torch.no_grad():
            features = model.module(image)[1]
        wanted = self_enhancement_maps(start, features, 3)[0].numpy()
        assert np.abs(maps[index] - wanted).max() < 1e-4
    with pytest.raises(WsolbenchError, match=r"CAM of vit: .*no class maps; .*--start"):
        predict(model, dataset, tmp_path / "c.h5", **options)


def test_a_network_without_classes_has_maps_without_classes(tmp_path: Path) -> None:
    headless = class_map_model(_vit(num_classes=0), name="dinov2", size=SIZE)
    dataset = make_dataset(tmp_path, [0, 1])
    predict(headless, dataset, tmp_path / "a.h5", method="attention-rollout", device="cpu")
    with Submission.open(tmp_path / "a.h5") as written:
        assert written.top5 is None
        assert written.header.method["class_agnostic"] is True
    with pytest.raises(WsolbenchError, match="a network without a classifier"):
        predict(headless, dataset, tmp_path / "b.h5", method="gradcam", device="cpu")


def classifier() -> nn.Module:
    return Convolutions()


def test_a_function_may_return_a_plain_classifier() -> None:
    from wsolbench.baselines import load_model_function

    model = load_model_function("tests.baselines.test_any_networks:classifier", SIZE)
    assert (model.name, model.size) == ("classifier", SIZE)
    assert isinstance(model.module, TracedNetwork)


def test_the_list_names_every_method() -> None:
    text = CliRunner().invoke(cli, ["predict", "list"]).output
    for name, own in EXPLAINERS.items():
        assert any(line.startswith(name) and own.grid in line for line in text.splitlines())
    assert "cam,CAM," in CliRunner().invoke(cli, ["predict", "list", "--format", "csv"]).output


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """grad-cam and torch-cam warn of what they use, which is not ours to mend."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)
        yield
