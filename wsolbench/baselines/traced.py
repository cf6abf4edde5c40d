"""Any classifier, photos to logits, as a network with features and, where it has them, class maps.

`traced` runs the classifier once on noise, looks at what its submodules return, and finds

- its last features: the last output with several positions, as (B, c, h, w), (B, h, w, c) (Swin) or
  tokens (B, N, c) (ViT), of which the tokens before the patches (class token, registers) are cut
  off;
- its class maps. "linear": the logits are a linear layer over the mean of these features, or the
  mean of the last layer's own maps (CAM; Zhou et al., CVPR 2016). "head": the features are averaged
  too, but a normalisation or several layers follow, so that the classifying part applied at one
  position gives that position's class score, whose mean is not the logit. None: a class token
  classifies, or layers between depend on the position;
- the layer at which gradients explain the logits: the last one that has the form of the features
  and influences the logits at its positions. Behind the last attention only the class token does.

Nothing is assumed of names or kinds of layers: what is stated was measured on the network itself,
to a relative error of `TOLERANCE`. Its own forward computes the logits, unchanged.

Conventions: square inputs; (h, w) is square too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from math import isqrt
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import WsolbenchError
from .networks import PooledNetwork, recorded

__all__ = [
    "HEAD",
    "LINEAR",
    "NO_MAPS",
    "Layout",
    "Logits",
    "Plan",
    "TracedNetwork",
    "explained_layer",
    "traced",
]

TOLERANCE = 1e-3
"""Largest difference between logits, relative to the largest logit, that counts as equal."""

LINEAR, HEAD, NO_MAPS = "linear", "head", ""
"""Kinds of class maps, see the module's docstring."""

PROBES = 2  # photos of noise; a batch shows which axis is that of photos
SEED = 0
_LOOKED_AT = 12  # the classifying part starts behind one of the last layers

Outputs = tuple[Tensor, Tensor, Tensor]


@dataclass(frozen=True)
class Layout:
    """How a layer's output is a grid.

    Attributes:
        axes: "chw" (B, c, h, w), "hwc" (B, h, w, c) or "tokens" (B, N, c).
        prefix: number of tokens before those of patches.
        channels: c.
    """

    axes: str
    prefix: int
    channels: int

    def grid(self, output: Tensor) -> Tensor:
        """A layer's output as (B, c, h, w), without copying where it is that already."""
        if self.axes == "chw":
            return output
        if self.axes == "hwc":
            return output.permute(0, 3, 1, 2)
        tokens = output[:, self.prefix :]
        side = isqrt(tokens.shape[1])
        return tokens.transpose(1, 2).reshape(len(tokens), -1, side, side)

    def grid_size(self, positions: int) -> int:
        """The number of tokens of a grid with so many positions."""
        return self.prefix + positions

    def single(self, grid: Tensor) -> Tensor:
        """Each position of (B, c, h, w) as the layer's output for a grid of 1x1: B h w of them."""
        vectors = grid.permute(0, 2, 3, 1).flatten(0, 2)
        if self.axes == "chw":
            return vectors[:, :, None, None]
        if self.axes == "hwc":
            return vectors[:, None, None]
        before = vectors.new_zeros(len(vectors), self.prefix, vectors.shape[1])
        return torch.cat([before, vectors[:, None]], dim=1)


@dataclass(frozen=True)
class Plan:
    """What `traced` found in a network.

    Attributes:
        features: the submodule that returns the last features.
        layout: of these.
        relu: the features are the ReLU of what it returns (DenseNet).
        class_maps: `LINEAR`, `HEAD` or `NO_MAPS`.
        classifier: the linear layer; empty if there is none over the features.
        head: which of `_heads` the class maps of kind `HEAD` come from.
        positions: h w, on the noise.
        layer: the submodule at which gradients explain the logits.
        layer_layout: of its output.
    """

    features: str
    layout: Layout
    relu: bool = False
    class_maps: str = NO_MAPS
    classifier: str = ""
    head: int = 0
    positions: int = 0
    layer: str = ""
    layer_layout: Layout = Layout("chw", 0, 0)


class TracedNetwork(nn.Module):
    """A classifier (`network`) that also returns its last features and, if it has them, its class
    maps, as `plan` says.
    """

    def __init__(self, network: nn.Module, plan: Plan) -> None:
        """Wrap `network`, whose submodules are named in `plan`."""
        super().__init__()
        self.network = network
        self.plan = plan

    @property
    def classifies(self) -> bool:
        """Whether it has classes: timm's networks without a classifier return their features."""
        return getattr(self.network, "num_classes", None) != 0

    def forward(self, images: Tensor) -> Outputs:
        """(B, 3, S, S) -> class maps (B, C, h, w), features (B, c, h, w), logits (B, C).

        Class maps of a network that has none are zero.
        """
        plan = self.plan
        with recorded(self.network, [plan.features]) as outputs:
            logits = self.network(images)
        features = plan.layout.grid(outputs[plan.features])
        features = features.relu() if plan.relu else features
        if plan.class_maps == LINEAR:
            weight, bias = _linear(self.network.get_submodule(plan.classifier))
            return nn.functional.conv2d(features, weight[:, :, None, None], bias), features, logits
        if plan.class_maps == HEAD:
            return _scores(self.network, plan, features), features, logits
        batch, _, height, width = features.shape
        none = features.new_zeros(()).expand(batch, logits.shape[1], height, width)
        return none, features, logits


class Logits(nn.Module):
    """The logits of a module that returns class maps, features and logits, for other packages.

    Where there is a classifier inside that returns logits by itself, this runs alone: packages
    replace its layers and hook all of them.
    """

    def __init__(self, module: nn.Module) -> None:
        """Wrap `module`."""
        super().__init__()
        self.module = module
        pooled = isinstance(module, PooledNetwork) and not module.half_range
        self.alone = pooled or isinstance(module, TracedNetwork)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, S, S) -> (B, C)."""
        if self.alone:
            logits: Tensor = self.module.get_submodule("network")(images)
            return logits
        logits = self.module(images)[2]
        return logits


def traced(network: nn.Module, size: int, *, name: str = "network") -> TracedNetwork:
    """Find the features, class maps and explained layer of a classifier.

    Args:
        network: (B, 3, S, S) -> logits (B, C), in evaluation mode, on the CPU.
        size: S of the noise on which it is run.
        name: of the network, for messages.

    Raises:
        WsolbenchError: it fails on a batch of noise, does not return logits, or none of its
            submodules returns features with positions.
    """
    where = f"network {name}"
    probe = _noise(size, network)
    try:
        with torch.enable_grad():
            outputs, logits = _run(network, probe.requires_grad_())
    except Exception as error:
        raise WsolbenchError(
            where,
            found=f"it fails on photos of {size}x{size}: {type(error).__name__}: {error}",
            cure="pass the size for which it was made (--size)",
        ) from error
    if not isinstance(logits, Tensor) or logits.ndim != 2 or len(logits) != PROBES:
        raise WsolbenchError(
            where,
            found=f"outputs of type {type(logits).__name__}"
            if not isinstance(logits, Tensor)
            else f"outputs of shape {tuple(logits.shape)} for {PROBES} photos",
            expected="logits (B, C)",
            cure="return the logits alone from the network's forward",
        )
    found = _grids(network, outputs)
    if not found:
        raise WsolbenchError(
            where,
            found="no submodule whose output has several positions",
            expected="features (B, c, h, w), (B, h, w, c) or tokens (B, N, c)",
            cure="pass larger photos (--size), or write a ClassMapModel of your own",
        )
    with torch.no_grad():
        plan = (
            _maps_plan(network, found, logits)
            or _linear_plan(network, outputs, found, logits)
            or _head_plan(network, found, logits)
            or _widest_plan(network, found)
        )
    alike = [own for own in found if own[2] == plan.layout]
    layer, layout = _influential(alike, logits, where)
    positions = plan.layout.grid(outputs[plan.features]).shape[2:].numel()
    return TracedNetwork(
        network, replace(plan, positions=positions, layer=layer, layer_layout=layout)
    )


def explained_layer(
    module: nn.Module, size: int, where: str, layer: str | None = None
) -> tuple[str, Layout]:
    """The layer at which gradients explain a model's logits, and its layout.

    Args:
        module: (B, 3, S, S) -> class maps, features (B, c, h, w), logits (B, C), in evaluation
            mode.
        size: S.
        where: the network, for messages.
        layer: a submodule's dotted name, or None for the last one that has the form of the features
            and influences the logits.

    Raises:
        WsolbenchError: there is no such submodule, it does not run or returns no grid, or the
            logits do not depend on any.
    """
    with torch.enable_grad():
        outputs, (_, features, logits) = _run(module, _noise(size, module).requires_grad_())
    if layer is not None:
        if layer not in outputs:
            close = [name for name in outputs if name.endswith(f".{layer}")]
            if len(close) != 1:
                raise WsolbenchError(
                    f"layer {layer!r} of {where}",
                    found="no submodule of this name that runs and returns a tensor",
                    cure=f"name one of them, such as {', '.join(list(outputs)[-3:])}",
                )
            layer = close[0]
        layout = _layout(outputs[layer], _prefix(module))
        if layout is None:
            raise WsolbenchError(
                f"layer {layer!r} of {where}",
                found=f"an output of shape {tuple(outputs[layer].shape)}",
                expected="(B, c, h, w), (B, h, w, c) or tokens (B, N, c) with several positions",
                cure="name another layer",
            )
        return layer, layout
    shape = features.shape[1:]
    alike = [own for own in _grids(module, outputs) if own[2].grid(own[1]).shape[1:] == shape]
    return _influential(alike, logits, where)


_Found = list[tuple[str, Tensor, Layout]]


def _grids(network: nn.Module, outputs: dict[str, Tensor]) -> _Found:
    """The outputs with several positions, the last first."""
    prefix = _prefix(network)
    return [
        (key, output, layout)
        for key, output in reversed(outputs.items())
        if not _is_pool(network.get_submodule(key))
        for layout in [_layout(output, prefix)]
        if layout is not None
    ]


def _prefix(network: nn.Module) -> int | None:
    """The number of tokens before the patches that a network states (timm)."""
    stated = (getattr(own, "num_prefix_tokens", None) for own in network.modules())
    return next((count for count in stated if isinstance(count, int)), None)


def _noise(size: int, network: nn.Module) -> Tensor:
    """Photos (2, 3, S, S) of noise, of the type and on the device of a network's parameters."""
    drawn = torch.randn(PROBES, 3, size, size, generator=torch.Generator().manual_seed(SEED))
    first = next((own for own in network.parameters() if own.is_floating_point()), drawn)
    return drawn.to(first.device, first.dtype)


def _run(network: nn.Module, images: Tensor) -> tuple[dict[str, Tensor], Any]:
    """The outputs of all submodules that return a tensor, in the order in which they end; and what
    the network returns.
    """
    outputs: dict[str, Tensor] = {}

    def keep(name: str) -> Callable[[nn.Module, tuple[object, ...], object], None]:
        def hook(module: nn.Module, inputs: tuple[object, ...], output: object) -> None:
            if isinstance(output, Tensor):
                outputs.pop(name, None)  # a module that runs twice counts where it ends last
                outputs[name] = output

        return hook

    handles = [own.register_forward_hook(keep(key)) for key, own in network.named_modules() if key]
    try:
        logits = network(images)
    finally:
        for handle in handles:
            handle.remove()
    return outputs, logits


def _is_pool(module: nn.Module) -> bool:
    """Whether a module pools to a size of its own, so that its output is not the features."""
    return "adaptive" in type(module).__name__.lower()


def _layout(output: Tensor, prefix: int | None) -> Layout | None:
    """The layout of an output; None if it is no grid of several positions.

    Without a known number of tokens before the patches, it is the smallest that leaves a square.
    """
    if output.ndim not in (3, 4) or len(output) != PROBES or not output.is_floating_point():
        return None
    if output.ndim == 3:
        count = output.shape[1]
        before = prefix if prefix is not None else count - isqrt(count) ** 2
        side = isqrt(max(0, count - before))
        whole = side**2 == count - before and side > 1 and before <= count // 2
        return Layout("tokens", before, output.shape[2]) if whole else None
    _, first, second, third = output.shape
    if second == third and second > 1:
        return Layout("chw", 0, first)
    return Layout("hwc", 0, third) if first == second and first > 1 else None


def _equal(own: Tensor, logits: Tensor) -> bool:
    if own.shape != logits.shape:
        return False
    return bool((own - logits).abs().max() <= TOLERANCE * logits.abs().max().clamp(min=1e-12))


def _linear(layer: nn.Module) -> tuple[Tensor, Tensor | None]:
    """The weight (C, c) and bias of a linear layer or 1x1 convolution."""
    bias = getattr(layer, "bias", None)
    return layer.get_parameter("weight").flatten(1), bias


def _is_linear(layer: nn.Module) -> bool:
    if isinstance(layer, nn.Linear):
        return True
    return isinstance(layer, nn.Conv2d) and layer.kernel_size == (1, 1) and layer.groups == 1


def _maps_plan(network: nn.Module, found: _Found, logits: Tensor) -> Plan | None:
    """A 1x1 convolution whose maps' mean, perhaps after a ReLU, is the logits."""
    for key, output, layout in found:
        layer = network.get_submodule(key)
        if layout.axes != "chw" or not _is_linear(layer) or output.shape[1] != logits.shape[1]:
            continue
        if not any(_equal(own.mean(dim=(2, 3)), logits) for own in (output, output.relu())):
            continue
        weight, bias = _linear(layer)
        for name, before, own in found:
            same = own.axes == "chw" and before.shape[1:2] == weight.shape[1:]
            if same and before.shape[2:] == output.shape[2:]:
                maps = nn.functional.conv2d(before, weight[:, :, None, None], bias)
                # An in-place ReLU after the convolution has changed what is recorded.
                if torch.allclose(maps, output, atol=1e-4) or torch.allclose(
                    maps.relu(), output, atol=1e-4
                ):
                    return Plan(name, own, class_maps=LINEAR, classifier=key)
    return None


def _linear_plan(
    network: nn.Module, outputs: dict[str, Tensor], found: _Found, logits: Tensor
) -> Plan | None:
    """A linear layer whose input is the mean of features, perhaps after a ReLU."""
    for key, output in reversed(outputs.items()):
        layer = network.get_submodule(key)
        if not _is_linear(layer) or not _equal(output.flatten(1), logits):
            continue
        weight, bias = _linear(layer)
        for name, own, layout in found:
            if layout.channels != weight.shape[1]:
                continue
            features = layout.grid(own)
            for relu in (False, True):
                kept = features.relu() if relu else features
                if _equal(nn.functional.linear(kept.mean(dim=(2, 3)), weight, bias), logits):
                    return Plan(name, layout, relu, LINEAR, key)
        return None
    return None


def _heads(network: nn.Module) -> Iterator[Callable[[Tensor], Tensor]]:
    """The classifying parts that timm's and torchvision's networks have, features to logits."""
    if callable(own := getattr(network, "forward_head", None)):
        yield own
    pool = getattr(network, "avgpool", None)
    last = getattr(network, "classifier", getattr(network, "head", getattr(network, "fc", None)))
    if isinstance(pool, nn.Module) and isinstance(last, nn.Module):
        yield lambda features: last(pool(features))
        yield lambda features: last(pool(features).flatten(1))
    if pool is None and isinstance(last, nn.Module):
        yield last


def _head_plan(network: nn.Module, found: _Found, logits: Tensor) -> Plan | None:
    """A classifying part that depends on nothing but the mean of the features."""
    for place, head in enumerate(_heads(network)):
        for name, output, layout in found[:_LOOKED_AT]:
            try:
                mean = layout.grid(output).mean(dim=(2, 3), keepdim=True)
                if _equal(head(output), logits) and _equal(head(layout.single(mean)), logits):
                    return Plan(name, layout, class_maps=HEAD, head=place)
            except Exception:  # noqa: BLE001 - a part that does not take these features is none
                continue
    return None


def _scores(network: nn.Module, plan: Plan, features: Tensor) -> Tensor:
    """Logits (B, C, h, w) of each position alone."""
    head = next(islice(_heads(network), plan.head, None))
    scores = head(plan.layout.single(features))
    batch, _, height, width = features.shape
    return scores.reshape(batch, height, width, -1).permute(0, 3, 1, 2)


def _widest_plan(network: nn.Module, found: _Found) -> Plan:
    """The last output of as many channels as the network states (timm), or the last one."""
    count = getattr(network, "num_features", None)
    own = [(name, layout) for name, _, layout in found if layout.channels == count]
    return Plan(*(own[0] if own else (found[0][0], found[0][2])))


def _influential(alike: _Found, logits: Tensor, where: str) -> tuple[str, Layout]:
    """The last layer of these whose positions influence the logits."""
    alike = [own for own in alike if own[1].requires_grad]
    tensors = [output for _, output, _ in alike]
    weights = torch.linspace(1, 2, logits.shape[1], dtype=logits.dtype, device=logits.device)
    gradients = (
        torch.autograd.grad((logits * weights).sum(), tensors, allow_unused=True) if tensors else ()
    )
    for (name, _, layout), gradient in zip(alike, gradients, strict=True):
        if gradient is not None and bool((layout.grid(gradient) != 0).any()):
            return name, layout
    raise WsolbenchError(
        where,
        found="no layer with positions on which its logits depend",
        expected="a network whose logits have a gradient at a layer of its own",
        cure="name a layer (--layer), or do not detach tensors in the network's forward",
    )
