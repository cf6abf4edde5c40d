"""Classifiers of timm and torchvision by name, and any other one, as `ClassMapModel`s.

`timm:NAME` and `torchvision:NAME` build an architecture of these packages; its weights come from a
local file, or are random if a seed is given explicitly. What the network's features and class maps
are is measured (`traced`). Photos are resized to S x S without cropping and get the mean and
deviation of the architecture (timm states them, torchvision uses ImageNet's).
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from ..errors import WsolbenchError, one_of
from ..files import sha256_of
from .backbones import AUXILIARY_KEYS, ClassMapModel, imagenet_input
from .traced import LINEAR, TracedNetwork, traced
from .weights import fill, read_state_dict

__all__ = [
    "LIBRARIES",
    "Normalised",
    "class_map_model",
    "has_cam",
    "is_library_name",
    "load_library_network",
]

LIBRARIES = ("timm", "torchvision")
"""Prefixes of the names of architectures."""

NEAREST = 3
"""Number of similar names that a message about an unknown one shows."""

_INTERPOLATIONS = {
    "bicubic": Image.Resampling.BICUBIC,
    "bilinear": Image.Resampling.BILINEAR,
    "nearest": Image.Resampling.NEAREST,
    "lanczos": Image.Resampling.LANCZOS,
}


@dataclass(frozen=True)
class Normalised:
    """A `preprocess`: resize to S x S, scale to 0..1, subtract a mean, divide by a deviation.

    Attributes:
        mean, std: of red, green and blue.
        interpolation: "bilinear", "bicubic", "nearest" or "lanczos", antialiased.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    interpolation: str = "bilinear"

    def __call__(self, image: Image.Image, size: int) -> Tensor:
        """RGB photo, S -> (3, S, S) float32."""
        how = _INTERPOLATIONS.get(self.interpolation, Image.Resampling.BILINEAR)
        resized = image.convert("RGB").resize((size, size), how)
        levels = np.asarray(resized, dtype=np.float32) / np.float32(255)
        scaled = (levels - np.array(self.mean, np.float32)) / np.array(self.std, np.float32)
        return torch.from_numpy(np.ascontiguousarray(scaled.transpose(2, 0, 1)))


def is_library_name(name: str) -> bool:
    """Whether a `--model` names an architecture of timm or torchvision."""
    return name.partition(":")[0] in LIBRARIES


def load_library_network(
    name: str,
    weights: str | os.PathLike[str] | None = None,
    *,
    random_weights_seed: int | None = None,
    weights_key: str | None = None,
    classes: int | None = None,
    size: int | None = None,
) -> ClassMapModel:
    """An architecture of timm or torchvision with weights, on the CPU, in evaluation mode.

    Args:
        name: "timm:NAME" or "torchvision:NAME".
        weights: a local file with every parameter, as `weights.read_state_dict` reads it.
        random_weights_seed: use random weights instead, which the submission records.
        weights_key: the entry of the file to take, if it has several state dicts.
        classes: number of classes; by default that of the weights (for random ones, that of the
            architecture).
        size: side of the photos; by default that for which timm's architecture was made, or 224.
            Position embeddings of timm's networks are resampled to another one.

    Raises:
        WsolbenchError: the package is not installed, or has no such architecture; there are neither
            weights nor a seed, or both; the weights do not fit; the network cannot be traced.
    """
    library, _, architecture = name.partition(":")
    if (weights is None) == (random_weights_seed is None):
        raise WsolbenchError(
            f"model {name!r}",
            found="no weights" if weights is None else "both weights and a seed",
            expected="either a local file of weights (nothing is downloaded) or a seed",
            cure="name a state dict (--weights), or try random weights (--random-weights SEED)",
        )
    build = _timm(architecture) if library == "timm" else _torchvision(architecture)
    notes: list[str] = []
    if weights is None:
        seed = random_weights_seed or 0
        network = _seeded(partial(build, classes), seed)
        provenance: dict[str, object] = {"random_weights_seed": seed}
    else:
        state, notes = read_state_dict(weights, weights_key)
        network = _filled(build, state, classes)
        notes += fill(
            network,
            state,
            weights,
            skipped=AUXILIARY_KEYS,
            cure=lambda: f"pass a file with all parameters of {name}",
        )
        provenance = {"weights": Path(weights).name, "weights_sha256": sha256_of(weights)}
        provenance |= {"weights_notes": notes} if notes else {}
    preprocess: Callable[[Image.Image, int], Tensor] = imagenet_input
    made_for = 224
    if library == "timm":
        stated = _stated(network)
        preprocess = Normalised(
            tuple(stated["mean"]), tuple(stated["std"]), str(stated["interpolation"])
        )
        made_for = int(stated["input_size"][-1])
    side = made_for if size is None else size
    resample = getattr(network, "set_input_size", None)
    if side != made_for and callable(resample):
        resample(img_size=(side, side))
    provenance["network"] = f"{library} {_version(library)}"
    return class_map_model(
        network, name=architecture, preprocess=preprocess, size=side, provenance=provenance
    )


def class_map_model(
    network: nn.Module,
    *,
    name: str,
    preprocess: Callable[[Image.Image, int], Tensor] = imagenet_input,
    size: int = 224,
    provenance: Mapping[str, object] = MappingProxyType({}),
) -> ClassMapModel:
    """Any classifier as a model for CAM, SEM and explainers.

    Args:
        network: photos (B, 3, S, S) -> logits (B, C), on the CPU; put in evaluation mode.
        name: the name of the backbone in a submission.
        preprocess: RGB photo, S -> (3, S, S) float32, of the whole photo.
        size: S.
        provenance: the origin of the weights, recorded in the submission's `method`.

    Raises:
        WsolbenchError: as `traced.traced`.
    """
    module = traced(network.eval(), size, name=name)
    return ClassMapModel(
        name, module, preprocess, provenance=MappingProxyType(dict(provenance)), size=size
    )


def has_cam(model: ClassMapModel) -> bool:
    """Whether the mean of a model's class maps is its logits, as CAM needs."""
    module = model.module
    return not isinstance(module, TracedNetwork) or module.plan.class_maps == LINEAR


def _timm(architecture: str) -> Callable[[int | None], nn.Module]:
    try:
        import timm
    except ModuleNotFoundError as error:
        raise WsolbenchError(
            f"model 'timm:{architecture}'",
            found=f"it needs {error.name}, which is not installed",
            cure="pip install 'wsolbench[networks]'",
        ) from error
    _require_known("timm", architecture, timm.list_models())

    def build(classes: int | None) -> nn.Module:
        counted = {} if classes is None else {"num_classes": classes}
        network: nn.Module = timm.create_model(architecture, pretrained=False, **counted)
        return network

    return build


def _torchvision(architecture: str) -> Callable[[int | None], nn.Module]:
    import torchvision

    names = torchvision.models.list_models(module=torchvision.models)
    _require_known("torchvision", architecture, names)
    options = {"init_weights": True} if architecture in ("googlenet", "inception_v3") else {}
    options |= {"aux_logits": False} if options else {}

    def build(classes: int | None) -> nn.Module:
        counted = {} if classes is None else {"num_classes": classes}
        network: nn.Module = torchvision.models.get_model(
            architecture, weights=None, **options, **counted
        )
        return network

    return build


def _require_known(library: str, architecture: str, names: list[str]) -> None:
    if architecture in names:
        return
    from difflib import get_close_matches

    close = get_close_matches(architecture, names, NEAREST)
    raise WsolbenchError(
        f"model '{library}:{architecture}'",
        found=f"no architecture of {library} {_version(library)}",
        expected=one_of(close) if close else f"one of its {len(names)} names",
        cure=f"see {library}.list_models()"
        if library == "timm"
        else "see torchvision.models.list_models()",
    )


def _stated(network: nn.Module) -> Mapping[str, Any]:
    """What timm states of an architecture: its input, and the names of its last layers."""
    stated: Any = getattr(network, "pretrained_cfg", {})
    return stated if isinstance(stated, Mapping) else {}


def _version(library: str) -> str:
    from importlib.metadata import version

    return version(library)


def _seeded(build: Callable[[], nn.Module], seed: int) -> nn.Module:
    """A network with the random weights of its layers; the global random state is kept."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build().eval()


def _filled(
    build: Callable[[int | None], nn.Module],
    state: Mapping[str, Tensor],
    classes: int | None,
) -> nn.Module:
    """A network with as many classes as a state dict has; its weights are not the state's yet."""
    network = _seeded(partial(build, classes), 0)
    if classes is not None:
        return network
    names = _classifiers(network)
    counts = {
        int(tensor.shape[0])
        for key, tensor in state.items()
        for name in names
        if f".{key}".endswith(f".{name}.weight") and tensor.ndim > 0
    }
    usual = {network.get_submodule(name).get_parameter("weight").shape[0] for name in names}
    if not names or counts == usual or len(counts) > 1:
        return network
    # DINOv2's published weights, for example, have no classifier.
    with warnings.catch_warnings():  # a last layer without outputs is meant
        warnings.filterwarnings("ignore", "Initializing zero-element tensors")
        return _seeded(partial(build, counts.pop() if counts else 0), 0)


def _classifiers(network: nn.Module) -> list[str]:
    """The names of the last layers, as timm states them, or else of the last linear layer."""
    stated = _stated(network).get("classifier")
    if stated:
        names = [stated] if isinstance(stated, str) else list(stated)
        modules = dict(network.named_modules())
        return [name for name in names if hasattr(modules.get(name), "weight")]
    found = [
        name for name, own in network.named_modules() if isinstance(own, nn.Linear | nn.Conv2d)
    ]
    return found[-1:]
