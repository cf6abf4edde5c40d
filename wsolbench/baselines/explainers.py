"""Running the explainers of `explainer_records` on a model.

Those of pytorch-grad-cam and torch-cam see the logits of the model, the layer at which gradients
explain these (`traced.explained_layer`, or one that is named), and the class of each photo. Their
maps are taken at the layer's size: what pytorch-grad-cam enlarges with OpenCV holds no more.

A function of the user's own, "MODULE:FUNCTION", is called with the network, photos and classes:

    def my_maps(network, images, classes):  # nn.Module, (B, 3, S, S), int64 (B,)
        return maps                         # array or tensor (B, h, w), any values

where `network(images)` are the logits (B, C).

Gradients are enabled (never `inference_mode`); parameters have none, so that only those of
activations are computed, and everything that a method changes in the network is restored.

Conventions: maps are raw, finite, float32 (B, h, w); they are normalised later. Explaining photos
one by one gives the same maps as in a batch, to rounding errors: nothing is computed across photos.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import WsolbenchError
from ..metrics.map_values import array_of
from . import attention
from .backbones import ClassMapModel
from .cam import class_channels
from .explainer_records import OWN, TORCHCAM, Explainer, explainer_named
from .networks import PooledNetwork
from .score_cam import score_cam
from .traced import NO_MAPS, Layout, Logits, TracedNetwork, explained_layer
from .user_models import fault_in_user_code, user_function

__all__ = ["Explaining", "explaining", "require_explainer", "without_parameter_gradients"]

DRAWS = 0
"""The seed of methods that draw, for each photo anew."""


@dataclass(frozen=True)
class Explaining:
    """A method ready to explain a model.

    Attributes:
        record: the method.
        layer: the explained layer, a dotted name; empty if the method uses none.
        maps: photos (B, 3, S, S) and classes int64 (B,), on the model's device -> raw maps, float32
            (B, h, w), on any device.
        packages: the packages that compute the maps, with their versions.
    """

    record: Explainer
    layer: str
    maps: Callable[[Tensor, Tensor], Tensor]
    packages: str


def require_explainer(name: str) -> Explainer:
    """The record of a method, whose package or function is there.

    Raises:
        WsolbenchError: the name is unknown, its package is not installed, or there is no such
            function.
    """
    record = explainer_named(name)
    if not record.package:
        user_function(name, what="method")
    elif record.package != OWN:
        _package(record)
    return record


def explaining(
    name: str,
    model: ClassMapModel,
    size: int,
    *,
    layer: str | None = None,
    channels: int | None = None,
) -> Explaining:
    """Prepare a method for a model.

    Args:
        name: a key of `EXPLAINERS`, or "MODULE:FUNCTION".
        model: its module is in evaluation mode.
        size: side of the photos.
        layer: the layer to explain, instead of the last one that influences the logits.
        channels: of Score-CAM, see `score_cam`.

    Raises:
        WsolbenchError: as `require_explainer`; or the model does not have what the method needs.
    """
    record = require_explainer(name)
    where = f"{record.title} of {model.name}"
    if record.package == OWN and record.code != "score_cam":
        run = _of_this_package(record, model.module, where)
        return Explaining(record, "", _checked(run, record, where), "")
    logits = Logits(model.module)
    if not record.package:
        function = user_function(name, what="method")
        return Explaining(
            record,
            "",
            _checked(lambda images, classes: function(logits, images, classes), record, where),
            "",
        )
    if layer is None and isinstance(model.module, TracedNetwork):
        plan = model.module.plan
        place, layout = f"module.network.{plan.layer}", plan.layer_layout
    else:
        place, layout = explained_layer(model.module, size, model.name, layer)
        place = f"module.{place}"
    if record.code == "FullGrad" and not isinstance(model.module, TracedNetwork | PooledNetwork):
        raise WsolbenchError(
            where,
            found="a model with its own class maps, whose layers are not known",
            expected="one of which every convolution runs as a module",
            cure="return the classifier itself, an nn.Module, from your function",
        )
    if record.code in ("AblationCAM", "FullGrad") and layout.axes != "chw":
        raise WsolbenchError(
            where,
            found=f"a layer {place} that returns {layout.axes}",
            expected=f"a network with {record.needs}",
            cure="name another method, such as gradcam or layercam",
        )
    if record.package == OWN:
        return Explaining(
            record,
            place,
            _checked(
                lambda images, classes: score_cam(logits, place, layout, images, classes, channels),
                record,
                where,
            ),
            "",
        )
    run = (_torchcam if record.package == TORCHCAM else _gradcam)(record, logits, place, layout)
    version = importlib.import_module("importlib.metadata").version(record.package)
    explained = place if record.reads_layer else ""
    return Explaining(
        record, explained, _checked(run, record, where), f"{record.package} {version}"
    )


_Run = Callable[[Tensor, Tensor], Any]


def _of_this_package(record: Explainer, module: nn.Module, where: str) -> _Run:
    if record.code == "position_scores":
        if isinstance(module, TracedNetwork) and module.plan.class_maps == NO_MAPS:
            raise WsolbenchError(
                where,
                found="a network whose classifier does not see the mean of positions",
                expected=record.needs,
                cure="use attention-gradient for a class token, gradcam or layercam otherwise",
            )

        def scores(images: Tensor, classes: Tensor) -> Tensor:
            with torch.no_grad():
                maps: Tensor = module(images)[0]
            return class_channels(maps, classes)

        return scores
    if not isinstance(module, TracedNetwork):
        raise WsolbenchError(
            where,
            found="a model with its own class maps, whose layers are not known",
            expected=record.needs,
            cure="pass it as --model timm:NAME or torchvision:NAME, or return an nn.Module from "
            "your function",
        )
    function = getattr(attention, record.code)
    return lambda images, classes: function(module, images, classes, where)


def _package(record: Explainer) -> Any:
    """The class of a package.

    Raises:
        WsolbenchError: the package is not installed, or its version has no such class.
    """
    module = "torchcam.methods" if record.package == TORCHCAM else "pytorch_grad_cam"
    try:
        return getattr(importlib.import_module(module), record.code)
    except ModuleNotFoundError as error:
        raise WsolbenchError(
            record.title,
            found=f"it needs {record.package} ({error.name} is not installed)",
            cure="pip install 'wsolbench[networks]'",
        ) from error
    except AttributeError as error:
        raise WsolbenchError(
            record.title,
            found=f"the installed {record.package} has no {record.code}",
            cure=f"pip install --upgrade {record.package}",
        ) from error


def _gradcam(record: Explainer, logits: nn.Module, layer: str, layout: Layout) -> _Run:
    """A method of pytorch-grad-cam.

    Its context manager is not used, since it swallows an IndexError.
    """
    kind = _package(record)
    targets = importlib.import_module("pytorch_grad_cam.utils.model_targets")
    ablation: Any = importlib.import_module("pytorch_grad_cam.ablation_cam")
    whole = record.code == "FullGrad"

    def run(images: Tensor, classes: Tensor) -> Any:
        target = logits.get_submodule(layer)
        layers = [] if whole else [target]
        reshape = None if layout.axes == "chw" or whole else layout.grid
        method = kind(model=logits, target_layers=layers, reshape_transform=reshape)
        if not whole:
            # Without a size to enlarge to, maps stay as large as the layer's output.
            method.get_target_width_height = lambda given: None
        bars, ablation.tqdm = ablation.tqdm, SimpleNamespace(tqdm=lambda own: own)
        try:
            aims = [targets.ClassifierOutputTarget(own) for own in classes.tolist()]
            return method(input_tensor=images, targets=aims)
        finally:
            ablation.tqdm = bars
            if logits.get_submodule(layer) is not target:  # Ablation-CAM failed on the way
                logits.set_submodule(layer, target)
            method.activations_and_grads.release()

    return run


def _torchcam(record: Explainer, logits: nn.Module, layer: str, layout: Layout) -> _Run:
    """A method of torch-cam, with its raw values."""
    kind = _package(record)

    def run(images: Tensor, classes: Tensor) -> Any:
        reshape = None if layout.axes == "chw" else layout.grid
        with kind(logits, target_layer=layer, reshape_transform=reshape) as method:
            scores = logits(images)
            return method(class_idx=classes.tolist(), scores=scores, normalized=False)[0]

    return run


def _checked(run: _Run, record: Explainer, where: str) -> Callable[[Tensor, Tensor], Tensor]:
    """A method with gradients enabled, its errors on one line, and its maps checked."""

    def each(images: Tensor, classes: Tensor) -> Tensor:
        devices = [images.device] if images.device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices), torch.enable_grad():
            torch.manual_seed(DRAWS)
            raw = run(images.detach().clone().requires_grad_(), classes)
        try:
            maps = torch.from_numpy(np.array(array_of(raw), dtype=np.float32))
        except (TypeError, ValueError) as error:
            raise WsolbenchError(
                where,
                found=f"a return value of type {type(raw).__name__}",
                expected="an array or tensor (B, h, w)",
                cure="return the map of one class of each photo",
            ) from error
        maps = maps[:, 0] if maps.ndim == 4 and maps.shape[1] == 1 else maps
        if maps.ndim != 3 or len(maps) != len(images) or 0 in maps.shape:
            raise WsolbenchError(
                where,
                found=f"maps of shape {tuple(maps.shape)} for {len(images)} photos",
                expected="(B, h, w)",
                cure="return the map of one class of each photo",
            )
        return maps

    def maps_of(images: Tensor, classes: Tensor) -> Tensor:
        try:
            if not record.drawn:
                return each(images, classes)
            rows = [slice(place, place + 1) for place in range(len(images))]
            return torch.cat([each(images[row], classes[row]) for row in rows])
        except WsolbenchError:
            raise
        except Exception as error:  # packages and users' functions may raise anything
            raise fault_in_user_code(
                where, error, cure="name another method or layer (--layer)"
            ) from error

    return maps_of


@contextmanager
def without_parameter_gradients(module: nn.Module) -> Iterator[None]:
    """While open, parameters need no gradient; afterwards, flags and gradients are as before."""
    before = [(own, own.requires_grad, own.grad) for own in module.parameters()]
    with ExitStack() as stack:
        stack.callback(_restore, before)
        for own, _, _ in before:
            own.requires_grad_(False)
        yield


def _restore(before: list[tuple[nn.Parameter, bool, Tensor | None]]) -> None:
    for own, needed, gradient in before:
        own.requires_grad_(needed)
        own.grad = gradient
