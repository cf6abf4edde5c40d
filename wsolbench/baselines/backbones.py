"""Networks that give class maps, and the features that the maps are made of.

A `ClassMapModel` is what every baseline needs: a module from photos to (class maps, features,
logits), and the preprocessing that goes before it. There are three ways to one:

- `load_backbone("resnet50", weights=FILE)`: a torchvision classifier as it is. Where the logits are
  a linear layer over the mean of the last features, the same layer applied at every position gives
  class maps whose mean is the logits: exactly the network's own, bias included (it vanishes with
  the min-max of `cam`). SqueezeNet alone differs: torchvision puts a ReLU between its class maps
  and their mean; the maps are taken before it, the logits after. Networks that do something else
  between mean and logits (ConvNeXt, MobileNetV3, torchvision's VGG) have no such maps.
- `load_backbone("resnet50-sem", weights=FILE)`: the paper's networks (section 4.1.3): a trunk of
  stride 8, so that a photo of 224 gives maps of 28x28 and one of 320 maps of 40x40, and the head of
  ACoL (Zhang et al., CVPR 2018): conv3x3-1024, ReLU, conv3x3-1024, ReLU, conv1x1-C, the mean over
  positions; the features are what the conv1x1 sees. "vgg16" and "vgg16_bn" are these too, as
  torchvision's own head gives no class map.
- `load_model_function("package.module:function")`: a network of your own.

Weights are local files; nothing is downloaded and no parameter is left as it was drawn, unless a
seed for random weights is given in so many words.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
import traceback
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from ..errors import WsolbenchError, some
from ..files import require_file, sha256_of

__all__ = [
    "ALIASES",
    "PAPER",
    "POOLED",
    "ClassMapModel",
    "PaperNetwork",
    "PooledNetwork",
    "backbone_names",
    "build_network",
    "fault_in_user_code",
    "imagenet_input",
    "load_backbone",
    "load_model_function",
    "load_trunk",
    "read_state_dict",
    "to_half_range",
]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
"""Mean and deviation of the channels (RGB, 0..1) in torchvision's training."""

HEAD_CHANNELS = 1024
"""Width of the head of ACoL, on every trunk (paper section 4.1.3)."""

HEAD_DROPOUT = 0.5
"""Before each convolution of that head, in training only."""

AUXILIARY_KEYS = ("AuxLogits.", "aux1.", "aux2.")
"""Heads that GoogLeNet and InceptionV3 have in training only: their weights may be in a file, and
are passed over."""

BEYOND_TRUNK_KEYS = (*AUXILIARY_KEYS, "fc.", "classifier.", "Mixed_7a.", "Mixed_7b.", "Mixed_7c.")
"""What a torchvision classifier has behind the trunk of the paper's networks."""

_COUNTERS = ".num_batches_tracked"  # of batch norm: unused here, and absent from older files


@dataclass(frozen=True)
class ClassMapModel:
    """A network that gives class maps.

    Attributes:
        name: of the backbone, as it shall stand in a submission.
        module: (B, 3, S, S) float32 -> (class maps (B, C, h, w), features (B, c, h, w), logits
            (B, C)). The features are those that the last classifying layer sees.
        preprocess: RGB photo, S -> (3, S, S) float32. A function of a module, not a lambda, where
            worker processes are started afresh (spawn).
        provenance: where the weights come from; goes into the submission's `method`.
    """

    name: str
    module: nn.Module
    preprocess: Callable[[Image.Image, int], Tensor]
    provenance: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))


def imagenet_input(image: Image.Image, size: int) -> Tensor:
    """A photo as torchvision's ImageNet classifiers take it, but whole: no crop.

    Args:
        image: any mode; taken as RGB.
        size: pixels a side.

    Returns:
        (3, size, size) float32: resized without regard to its proportions (bilinear, antialiased,
        as torchvision resizes PIL images), 0..1, minus the mean, over the deviation.
    """
    resized = image.convert("RGB").resize((size, size), Image.Resampling.BILINEAR)
    levels = np.asarray(resized, dtype=np.float32) / np.float32(255)
    scaled = (levels - np.array(IMAGENET_MEAN, np.float32)) / np.array(IMAGENET_STD, np.float32)
    return torch.from_numpy(np.ascontiguousarray(scaled.transpose(2, 0, 1)))


@dataclass(frozen=True)
class _Pooled:
    """How a torchvision classifier comes to its logits: steps -> mean -> linear layer.

    Attributes:
        steps: submodules to run through, in order.
        classifier: the linear layer (or 1x1 convolution).
        relu_before: a ReLU follows the steps (DenseNet).
        relu_after: a ReLU follows the classifier, before the mean (SqueezeNet).
        half_range: photos are brought from ImageNet's mean and deviation to -1..1 first, as the
            published weights of the Inception networks want it.
        options: of torchvision's constructor.
    """

    steps: tuple[str, ...]
    classifier: str
    relu_before: bool = False
    relu_after: bool = False
    half_range: bool = False
    options: tuple[tuple[str, bool], ...] = ()


_RESNET = _Pooled(("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4"), "fc")
_DENSENET = _Pooled(("features",), "classifier", relu_before=True)
_MOBILE = _Pooled(("features",), "classifier.1")
_REGNET = _Pooled(("stem", "trunk_output"), "fc")
_SHUFFLENET = _Pooled(("conv1", "maxpool", "stage2", "stage3", "stage4", "conv5"), "fc")
_SQUEEZENET = _Pooled(("features",), "classifier.1", relu_after=True)
_SWIN = _Pooled(("features", "norm", "permute"), "head")
_INCEPTION_OPTIONS = (("aux_logits", False), ("transform_input", True), ("init_weights", False))
_GOOGLENET = _Pooled(
    (
        *("conv1", "maxpool1", "conv2", "conv3", "maxpool2"),
        *("inception3a", "inception3b", "maxpool3"),
        *("inception4a", "inception4b", "inception4c", "inception4d", "inception4e", "maxpool4"),
        *("inception5a", "inception5b"),
    ),
    "fc",
    half_range=True,
    options=_INCEPTION_OPTIONS,
)
_INCEPTION_TO_MIXED_6E = (
    *("Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "maxpool1"),
    *("Conv2d_3b_1x1", "Conv2d_4a_3x3", "maxpool2", "Mixed_5b", "Mixed_5c", "Mixed_5d"),
    *("Mixed_6a", "Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e"),
)
_INCEPTION_V3 = _Pooled(
    (*_INCEPTION_TO_MIXED_6E, "Mixed_7a", "Mixed_7b", "Mixed_7c"),
    "fc",
    half_range=True,
    options=_INCEPTION_OPTIONS,
)

POOLED: Mapping[str, _Pooled] = MappingProxyType(
    {
        "densenet121": _DENSENET,
        "densenet169": _DENSENET,
        "efficientnet_b0": _MOBILE,
        "googlenet": _GOOGLENET,
        "inception_v3": _INCEPTION_V3,
        "mnasnet1_0": _Pooled(("layers",), "classifier.1"),
        "mobilenet_v2": _MOBILE,
        "regnet_y_400mf": _REGNET,
        "resnet18": _RESNET,
        "resnet34": _RESNET,
        "resnet50": _RESNET,
        "resnet101": _RESNET,
        "resnext50_32x4d": _RESNET,
        "shufflenet_v2_x1_0": _SHUFFLENET,
        "squeezenet1_0": _SQUEEZENET,
        "squeezenet1_1": _SQUEEZENET,
        "swin_t": _SWIN,
    }
)
"""torchvision's classifiers whose class maps are exact, by torchvision's names."""


class PooledNetwork(nn.Module):
    """A torchvision classifier (`network`) that also gives its class maps and last features.

    In training mode the network's own dropout is not applied.
    """

    def __init__(self, network: nn.Module, plan: _Pooled) -> None:
        """Wrap `network`, whose submodules `plan` names."""
        super().__init__()
        self.network = network
        self.plan = plan

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, 3, S, S) -> class maps (B, C, h, w), features (B, c, h, w), logits (B, C)."""
        features = to_half_range(images) if self.plan.half_range else images
        for step in self.plan.steps:
            features = self.network.get_submodule(step)(features)
        if self.plan.relu_before:
            features = features.relu()
        layer = self.network.get_submodule(self.plan.classifier)
        weight, bias = layer.get_parameter("weight"), layer.get_parameter("bias")
        class_maps = nn.functional.conv2d(features, weight.flatten(1)[:, :, None, None], bias)
        summed = class_maps.relu() if self.plan.relu_after else class_maps
        return class_maps, features, summed.mean(dim=(2, 3))


class PaperNetwork(nn.Module):
    """One of the paper's networks: a `trunk` of stride 8 and the `head` of ACoL.

    The features are the ReLU of the head's second convolution. The parameters of the trunk have
    torchvision's names behind "trunk.".
    """

    def __init__(self, trunk: nn.Module, channels: int, classes: int) -> None:
        """A head for `channels` features of the trunk and `classes` classes."""
        super().__init__()
        self.trunk = trunk
        self.head = nn.Sequential(
            OrderedDict(
                dropout1=nn.Dropout(HEAD_DROPOUT),
                conv1=nn.Conv2d(channels, HEAD_CHANNELS, kernel_size=3, padding=1),
                relu1=nn.ReLU(),
                dropout2=nn.Dropout(HEAD_DROPOUT),
                conv2=nn.Conv2d(HEAD_CHANNELS, HEAD_CHANNELS, kernel_size=3, padding=1),
                relu2=nn.ReLU(),
            )
        )
        self.classifier = nn.Sequential(
            OrderedDict(
                dropout=nn.Dropout(HEAD_DROPOUT),
                conv=nn.Conv2d(HEAD_CHANNELS, classes, kernel_size=1),
            )
        )

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, 3, S, S) -> class maps (B, C, h, w), features (B, 1024, h, w), logits (B, C)."""
        features = self.head(self.trunk(images))
        class_maps = self.classifier(features)
        return class_maps, features, class_maps.mean(dim=(2, 3))


class _Trunk(nn.Module):
    """Submodules of a torchvision classifier, under their names, run one after the other."""

    def __init__(self, network: nn.Module, steps: tuple[str, ...], *, half_range: bool) -> None:
        super().__init__()
        self.steps = steps
        self.half_range = half_range
        for step in steps:
            self.add_module(step, network.get_submodule(step))

    def forward(self, images: Tensor) -> Tensor:
        features = to_half_range(images) if self.half_range else images
        for step in self.steps:
            features = self.get_submodule(step)(features)
        return features


def to_half_range(images: Tensor) -> Tensor:
    """From ImageNet's mean and deviation to -1..1 (mean and deviation .5), (B, 3, h, w)."""
    mean = images.new_tensor(IMAGENET_MEAN)[:, None, None]
    std = images.new_tensor(IMAGENET_STD)[:, None, None]
    return images * (std / 0.5) + (mean - 0.5) / 0.5


def _vgg16_trunk(*, batch_norm: bool) -> nn.Module:
    from torchvision.models import vgg

    layers = vgg.make_layers(vgg.cfgs["D"], batch_norm=batch_norm)
    pools = [i for i, layer in enumerate(layers) if isinstance(layer, nn.MaxPool2d)]
    for index in pools[3:]:  # 2x2 at stride 1 would lose a row: 3x3 keeps the size, as in ACoL
        layers[index] = nn.MaxPool2d(kernel_size=3, stride=1, padding=1)
    return _Trunk(_holding(features=layers), ("features",), half_range=False)


def _resnet50_trunk() -> nn.Module:
    import torchvision

    network = torchvision.models.resnet50(weights=None)
    for layer in (network.layer3, network.layer4):
        layer[0].conv2.stride = (1, 1)
        layer[0].downsample[0].stride = (1, 1)
    return _Trunk(network, _RESNET.steps, half_range=False)


def _inception_v3_trunk() -> nn.Module:
    import torchvision

    network = torchvision.models.inception_v3(weights=None, **dict(_INCEPTION_OPTIONS))
    network.Conv2d_1a_3x3.conv.padding = (1, 1)
    for name in ("maxpool1", "maxpool2"):
        padded = nn.MaxPool2d(kernel_size=3, stride=2, padding=1, ceil_mode=True)
        setattr(network, name, padded)
    network.Mixed_6a = _SameSizeReduction(network.Mixed_6a)
    return _Trunk(network, _INCEPTION_TO_MIXED_6E, half_range=True)


class _SameSizeReduction(nn.Module):
    """InceptionV3's Mixed_6a at stride 1, padded: the same parameters, under the same names."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        for name, branch in block.named_children():
            self.add_module(name, branch)
        for name in ("branch3x3", "branch3x3dbl_3"):
            conv = self.get_submodule(f"{name}.conv")
            if not isinstance(conv, nn.Conv2d):
                raise TypeError(f"Mixed_6a.{name}.conv is a {type(conv).__name__}")
            conv.stride, conv.padding = (1, 1), (1, 1)

    def forward(self, features: Tensor) -> Tensor:
        double = features
        for name in ("branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3"):
            double = self.get_submodule(name)(double)
        pooled = nn.functional.max_pool2d(features, kernel_size=3, stride=1, padding=1)
        return torch.cat([self.get_submodule("branch3x3")(features), double, pooled], dim=1)


@dataclass(frozen=True)
class _Paper:
    """A network of the paper: how to build its trunk, and how many channels that gives."""

    trunk: Callable[[], nn.Module]
    channels: int


PAPER: Mapping[str, _Paper] = MappingProxyType(
    {
        "inception_v3-sem": _Paper(_inception_v3_trunk, 768),
        "resnet50-sem": _Paper(_resnet50_trunk, 2048),
        "vgg16-sem": _Paper(partial(_vgg16_trunk, batch_norm=False), 512),
        "vgg16_bn-sem": _Paper(partial(_vgg16_trunk, batch_norm=True), 512),
    }
)
"""The paper's networks: trunk of stride 8, head of ACoL."""

ALIASES: Mapping[str, str] = MappingProxyType({"vgg16": "vgg16-sem", "vgg16_bn": "vgg16_bn-sem"})
"""Names of torchvision whose own head gives no class map, and what they mean here."""


def backbone_names() -> list[str]:
    """Every name that `load_backbone` takes, sorted."""
    return sorted([*POOLED, *PAPER, *ALIASES])


def load_backbone(
    name: str,
    weights: str | os.PathLike[str] | None = None,
    *,
    classes: int | None = None,
    random_weights_seed: int | None = None,
    trunk_weights: str | os.PathLike[str] | None = None,
) -> ClassMapModel:
    """A backbone with weights, on the CPU, in evaluation mode.

    Args:
        name: one of `backbone_names()`.
        weights: a state dict that fills every parameter: torchvision's keys for torchvision's
            classifiers, this project's ("trunk.", "head.", "classifier.") for the paper's networks.
            Read by `read_state_dict`.
        classes: how many; left out, as many as the weights have (random ones: 1000).
        random_weights_seed: draw the weights instead, for tests and as a start of training; goes
            into the provenance.
        trunk_weights: a torchvision classifier's state dict for the trunk of one of the paper's
            networks, whose head is drawn: a start of training, so the seed is asked for as well.

    Raises:
        WsolbenchError: an unknown name; neither weights nor a seed, or both; a file that cannot be
            read safely; weights that miss a parameter, have one too many or of another shape.
    """
    known = ALIASES.get(name, name)
    if known not in POOLED and known not in PAPER:
        raise WsolbenchError(
            f"backbone {name!r}",
            found="no such name",
            expected=f"one of {', '.join(backbone_names())}",
            cure="pick one, or give a network of your own as PACKAGE.MODULE:FUNCTION",
        )
    if (weights is None) == (random_weights_seed is None):
        raise WsolbenchError(
            f"backbone {name!r}",
            found="no weights" if weights is None else "both weights and a seed of random ones",
            expected="a local file of weights (nothing is downloaded)",
            cure="name a state dict, or draw weights to try things out (--random-weights SEED)",
        )
    if trunk_weights is not None and (weights is not None or known not in PAPER):
        raise WsolbenchError(
            f"backbone {name!r}",
            found="trunk weights",
            expected=f"them with one of {', '.join(PAPER)} and a seed of the random head",
            cure="give whole weights, or one of these names",
        )
    if weights is None:
        seed = random_weights_seed or 0
        network = build_network(known, 1000 if classes is None else classes, seed=seed)
        provenance: dict[str, object] = {"random_weights_seed": seed}
        if trunk_weights is not None:
            load_trunk(network, trunk_weights)
            provenance["trunk_weights_sha256"] = sha256_of(trunk_weights)
    else:
        state = read_state_dict(weights)
        count = _classes_in(known, state) if classes is None else classes
        network = build_network(known, count, seed=0)
        target = network.network if isinstance(network, PooledNetwork) else network
        cure = (
            "give a file of this network; one of torchvision's classifier fills the trunk alone "
            "(trunk_weights), from where the head must be trained"
            if known in PAPER
            else "name the backbone and the number of classes that these weights belong to"
        )
        _fill(target, state, weights, passed_over=AUXILIARY_KEYS, cure=cure)
        provenance = {"weights": Path(weights).name, "weights_sha256": sha256_of(weights)}
    return ClassMapModel(
        known, network.eval(), imagenet_input, provenance=MappingProxyType(provenance)
    )


def build_network(name: str, classes: int, *, seed: int) -> PooledNetwork | PaperNetwork:
    """A network with weights drawn as its layers draw them; the global generator is not moved.

    Args:
        name: a key of `POOLED` or `PAPER`.
        classes: at least 1.
        seed: of the weights.
    """
    import torchvision

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if name in PAPER:
            recipe = PAPER[name]
            return PaperNetwork(recipe.trunk(), recipe.channels, classes)
        plan = POOLED[name]
        build = getattr(torchvision.models, name)
        network = build(weights=None, num_classes=classes, **dict(plan.options))
        return PooledNetwork(network, plan)


def load_trunk(network: nn.Module, weights: str | os.PathLike[str]) -> None:
    """Fill the trunk of one of the paper's networks from a torchvision classifier's state dict.

    The classifier's own last layers are passed over (`BEYOND_TRUNK_KEYS`).

    Raises:
        WsolbenchError: as `load_backbone`.
    """
    trunk = network.get_submodule("trunk")
    _fill(
        trunk,
        read_state_dict(weights),
        weights,
        passed_over=BEYOND_TRUNK_KEYS,
        cure="give torchvision's weights of the same architecture",
    )


def read_state_dict(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """Read named tensors: a file of `torch.save`, or of safetensors (suffix .safetensors).

    A dict under the key "state_dict" is unwrapped, and a prefix "module." that all names share
    (`DataParallel`) dropped. Code in the file is never run (`weights_only=True`).

    Raises:
        WsolbenchError: no such file, or not one that can be read safely.
    """
    file = require_file(path, "a state dict")
    content = _read_safetensors(file) if file.suffix == ".safetensors" else _read_pickled(file)
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    if (
        not isinstance(content, Mapping)
        or not content
        or not all(isinstance(k, str) and isinstance(v, Tensor) for k, v in content.items())
    ):
        raise WsolbenchError(
            file,
            found=f"a {type(content).__name__} of other things than named tensors",
            expected="a state dict",
            cure="save it with torch.save(model.state_dict(), FILE)",
        )
    prefix = "module." if all(name.startswith("module.") for name in content) else ""
    return {name[len(prefix) :]: tensor for name, tensor in content.items()}


def load_model_function(where: str) -> ClassMapModel:
    """Call a function of yours that returns a `ClassMapModel`.

    Args:
        where: "PACKAGE.MODULE:FUNCTION". Modules are looked for where Python looks, then in the
            working folder, which stays on `sys.path` behind all else (worker processes look there
            too). The function is called without arguments.

    Raises:
        WsolbenchError: no such module or function, an error in it (with its place), or another
            thing returned.
    """
    match = re.fullmatch(r"([^\W\d]\w*(?:\.[^\W\d]\w*)*):([^\W\d]\w*)", where)
    if match is None:
        raise WsolbenchError(
            f"model {where!r}",
            found="no such form",
            expected="PACKAGE.MODULE:FUNCTION",
            cure="name the module and, behind a colon, the function, such as my_models:resnet",
        )
    module_name, function_name = match.groups()
    folder = os.getcwd()
    if folder not in sys.path and "" not in sys.path:
        sys.path.append(folder)
    try:
        importlib.invalidate_caches()
        module = importlib.import_module(module_name)
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) and _is_part(error.name, module_name):
            raise WsolbenchError(
                f"model {where!r}",
                found=f"no module {error.name}",
                cure=f"check the name, and run from the folder that holds it (now {folder})",
            ) from error
        raise fault_in_user_code(f"model {where!r}", error) from error
    function = getattr(module, function_name, None)
    if not callable(function):
        raise WsolbenchError(
            f"model {where!r}",
            found=f"no function {function_name} in {getattr(module, '__file__', module_name)}",
            cure="check the name behind the colon",
        )
    try:
        model = function()
    except Exception as error:
        raise fault_in_user_code(f"model {where!r}", error) from error
    if not isinstance(model, ClassMapModel) or not isinstance(model.module, nn.Module):
        raise WsolbenchError(
            f"model {where!r}",
            found=f"a {type(model).__name__} returned",
            expected="a wsolbench.baselines.ClassMapModel of a torch.nn.Module",
            cure="return ClassMapModel(name, module, preprocess)",
        )
    return model


def fault_in_user_code(where: str, error: Exception, *, cure: str = "mend it") -> WsolbenchError:
    """An exception of code that is the user's, in one line: its kind, its text, its place."""
    if isinstance(error, WsolbenchError):
        return error
    frames = traceback.extract_tb(error.__traceback__)
    # The last frame outside installed packages is the line that its writer can mend.
    own = [frame for frame in frames if not _is_installed(frame.filename)]
    place = f" at {own[-1].filename}:{own[-1].lineno}" if own else ""
    if isinstance(error, SyntaxError) and error.filename:
        place = f" at {error.filename}:{error.lineno}"
    return WsolbenchError(where, found=f"{type(error).__name__}: {error}{place}", cure=cure)


def _is_installed(filename: str) -> bool:
    parts = Path(filename).parts
    here = Path(__file__).parent.parts
    return (
        "site-packages" in parts
        or filename.startswith("<")
        or filename.startswith(os.path.dirname(os.__file__))
        or parts[: len(here)] == here
    )


def _is_part(missing: str | None, module_name: str) -> bool:
    return missing is not None and f"{module_name}.".startswith(f"{missing}.")


def _read_pickled(file: Path) -> object:
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file makes torch raise almost anything
        raise WsolbenchError(
            file,
            found=f"no file that can be read safely ({type(error).__name__})",
            expected="tensors alone, as torch.save writes a state dict",
            cure="save it with torch.save(model.state_dict(), FILE)",
        ) from error


def _read_safetensors(file: Path) -> object:
    try:
        reader = importlib.import_module("safetensors.torch")
    except ModuleNotFoundError as error:
        raise WsolbenchError(
            file,
            found="a .safetensors file, and no package safetensors",
            cure="install it (pip install safetensors), or save the weights with torch.save",
        ) from error
    try:
        return reader.load_file(file)
    except Exception as error:
        raise WsolbenchError(
            file, found=f"no safetensors file ({error})", cure="fetch it again"
        ) from error


def _classes_in(name: str, state: Mapping[str, Tensor]) -> int:
    last = "classifier.conv" if name in PAPER else POOLED[name].classifier
    weight = state.get(f"{last}.weight")
    return 1000 if weight is None or weight.ndim == 0 else max(1, weight.shape[0])


def _fill(
    network: nn.Module,
    state: Mapping[str, Tensor],
    where: str | os.PathLike[str],
    *,
    passed_over: Collection[str],
    cure: str,
) -> None:
    wanted = network.state_dict()
    given = {
        name: tensor
        for name, tensor in state.items()
        if name in wanted or not name.startswith(tuple(passed_over))
    }
    missing = [n for n in wanted if n not in given and not n.endswith(_COUNTERS)]
    unexpected = [name for name in given if name not in wanted]
    misshapen = [
        f"{name} {tuple(given[name].shape)} for {tuple(wanted[name].shape)}"
        for name in wanted
        if name in given and given[name].shape != wanted[name].shape
    ]
    faults = [
        f"{len(names)} {kind} ({some(names)})"
        for kind, names in (
            ("missing", missing),
            ("unexpected", unexpected),
            ("of another shape", misshapen),
        )
        if names
    ]
    if faults:
        raise WsolbenchError(
            where,
            found=f"parameters {', '.join(faults)}",
            expected=f"the {len(wanted)} of this backbone",
            cure=cure,
        )
    network.load_state_dict(given, strict=False)


def _holding(**children: nn.Module) -> nn.Module:
    holder = nn.Module()
    for name, child in children.items():
        holder.add_module(name, child)
    return holder
