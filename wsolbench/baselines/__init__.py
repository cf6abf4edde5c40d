"""Localization maps from a classifier: class activation maps and self-enhancement maps.

The names are imported on first use, so that importing this package is fast; most of them need
PyTorch, which `pip install "wsolbench[torch]"` installs.

- `class_activation_maps`, `min_max`: the map of a class (`cam`).
- `self_enhancement_maps`: the same map, spread to positions similar to its peaks (`sem`).
- `ClassMapModel`, `load_backbone`, `load_model_function`: networks with class maps (`backbones`).
- `class_map_model`, `load_library_network`: any classifier, and those of timm and torchvision by
  name (`any_networks`).
- `predict`: a submission from the photos of a data set (`predict`).
- `predict_trivial`: network-free baselines, which need no PyTorch (`trivial`).

Examples:
    >>> import torch
    >>> from wsolbench.baselines import class_activation_maps
    >>> class_activation_maps(torch.rand(2, 8, 7, 7), torch.tensor([3, 5])).shape
    torch.Size([2, 7, 7])
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ..errors import with_torch

if TYPE_CHECKING:
    from .any_networks import class_map_model, load_library_network
    from .backbones import ClassMapModel, load_backbone
    from .cam import class_activation_maps, min_max
    from .predict import predict
    from .sem import self_enhancement_maps
    from .trivial import predict_trivial
    from .user_models import load_model_function

_HOMES = {
    "ClassMapModel": "backbones",
    "class_activation_maps": "cam",
    "class_map_model": "any_networks",
    "load_backbone": "backbones",
    "load_library_network": "any_networks",
    "load_model_function": "user_models",
    "min_max": "cam",
    "predict": "predict",
    "predict_trivial": "trivial",
    "self_enhancement_maps": "sem",
}

__all__ = [
    "ClassMapModel",
    "class_activation_maps",
    "class_map_model",
    "load_backbone",
    "load_library_network",
    "load_model_function",
    "min_max",
    "predict",
    "predict_trivial",
    "self_enhancement_maps",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with with_torch(f"wsolbench.baselines.{name}"):
        home = importlib.import_module(f".{_HOMES[name]}", __name__)
    globals()[name] = getattr(home, name)
    return globals()[name]


class _Package(ModuleType):
    """Keeps its names: importing the submodule `predict` would bind it in place of the function."""

    def __setattr__(self, name: str, value: object) -> None:
        if name not in _HOMES or not isinstance(value, ModuleType):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __dir__() -> list[str]:
    return sorted(__all__)
