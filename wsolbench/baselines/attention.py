"""Maps from the attention of transformers that attend to all patches: ViT, DeiT, DINOv2.

- `last_attention`: the attention of the class token in the last block, mean over heads (Caron et
  al., ICCV 2021).
- `attention_rollout`: the product over blocks of (A + I) / 2, A being the mean over heads (Abnar
  and Zuidema, ACL 2020).
- `attention_gradient`: R = I; R = R + mean over heads of ReLU(dS/dA * A) R for each block, S being
  the class's logit (Chefer et al., ICCV 2021, section 3.1).
- `legrad`: the mean over blocks, heads and tokens of ReLU(dS_l/dA_l), S_l being the logit that the
  classifier gives the mean of block l's tokens (Bousselham et al., LeGrad, as in torch-cam 0.5).

The first three read the rows of the class tokens, or the mean of the rows of patches if the network
averages these; the columns are those of patches.

Conventions: attention is (B, heads, N, N), rows attend to columns, each row sums to 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import WsolbenchError
from .networks import recorded
from .traced import HEAD, LINEAR, Layout, TracedNetwork

__all__ = [
    "attention_gradient",
    "attention_rollout",
    "attentions",
    "last_attention",
    "legrad",
    "rollout",
]


@contextmanager
def attentions(network: nn.Module) -> Iterator[list[Tensor]]:
    """While open, each forward adds the attention of each block (B, heads, N, N) to this list.

    timm's blocks compute it in full instead of by a fused kernel, and `nn.MultiheadAttention`
    (torchvision) is made to return it; both are as before afterwards.
    """
    taken: list[Tensor] = []
    fused: list[Any] = [
        own
        for own in network.modules()
        if isinstance(getattr(own, "fused_attn", None), bool)
        and isinstance(getattr(own, "attn_drop", None), nn.Module)
    ]
    before = [own.fused_attn for own in fused]

    def keep(module: nn.Module, inputs: tuple[object, ...], output: Tensor) -> None:
        taken.append(output)

    def ask(
        module: nn.Module, inputs: tuple[object, ...], options: dict[str, object]
    ) -> tuple[tuple[object, ...], dict[str, object]]:
        return inputs, {**options, "need_weights": True, "average_attn_weights": False}

    def replay(
        module: nn.MultiheadAttention, inputs: tuple[Tensor, ...], output: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, Tensor]:
        # The attention that it returns is a view, of which the output is not a function.
        taken.append(output[1])
        return _attended(module, inputs[2], output[1]), output[1]

    handles = []
    try:
        for own in fused:
            own.fused_attn = False
            handles.append(own.get_submodule("attn_drop").register_forward_hook(keep))
        for own in network.modules():
            if isinstance(own, nn.MultiheadAttention) and own.batch_first and _plain(own):
                handles.append(own.register_forward_pre_hook(ask, with_kwargs=True))
                handles.append(own.register_forward_hook(replay))
        yield taken
    finally:
        for handle in handles:
            handle.remove()
        for own, was in zip(fused, before, strict=True):
            own.fused_attn = was


def rollout(layers: list[Tensor]) -> Tensor:
    """Attention rollout of all blocks, (B, N, N)."""
    result: Tensor | None = None
    for attention in layers:
        mean = attention.mean(dim=1)
        step = (mean + torch.eye(mean.shape[-1], device=mean.device, dtype=mean.dtype)) / 2
        result = step if result is None else step @ result
    if result is None:
        raise RuntimeError("no attention was given")
    return result


def last_attention(module: TracedNetwork, images: Tensor, classes: Tensor, where: str) -> Tensor:
    """Images (B, 3, S, S) and classes (B,), which are ignored -> maps (B, h, w)."""
    with torch.no_grad():
        layers, layout, _ = _run(module, images, where)
    return _read(module, layers[-1].mean(dim=1), layout)


def attention_rollout(module: TracedNetwork, images: Tensor, classes: Tensor, where: str) -> Tensor:
    """Images (B, 3, S, S) and classes (B,), which are ignored -> maps (B, h, w)."""
    with torch.no_grad():
        layers, layout, _ = _run(module, images, where)
    return _read(module, rollout(layers), layout)


def attention_gradient(
    module: TracedNetwork, images: Tensor, classes: Tensor, where: str
) -> Tensor:
    """Images (B, 3, S, S) and the class of each (B,) -> maps (B, h, w)."""
    with torch.enable_grad():
        layers, layout, logits = _run(module, images, where)
        score = logits.gather(1, classes[:, None]).sum()
        gradients = torch.autograd.grad(score, layers, allow_unused=True)
    size = layers[0].shape[-1]
    result = torch.eye(size, device=images.device).expand(len(images), size, size)
    for attention, gradient in zip(layers, gradients, strict=True):
        if gradient is not None:
            weighted = (gradient * attention.detach()).relu().mean(dim=1)
            result = result + weighted @ result
    return _read(module, result, layout)


def legrad(module: TracedNetwork, images: Tensor, classes: Tensor, where: str) -> Tensor:
    """Images (B, 3, S, S) and the class of each (B,) -> maps (B, h, w)."""
    names, score_of = _blocks(module.network, where)
    with torch.enable_grad(), recorded(module.network, names) as outputs:
        layers, layout, _ = _run(module, images, where)
        maps = []
        for name, attention in zip(names, layers, strict=True):
            scores = score_of(outputs[name])
            score = scores.gather(1, classes[:, None]).sum()
            (gradient,) = torch.autograd.grad(score, attention, retain_graph=True)
            maps.append(gradient.relu().mean(dim=(1, 2)))
    return _patches(torch.stack(maps).mean(dim=0), layout)


def _run(module: TracedNetwork, images: Tensor, where: str) -> tuple[list[Tensor], Layout, Tensor]:
    """The attention of all blocks, the layout of tokens, and logits."""
    layout = module.plan.layout
    with attentions(module.network) as layers:
        logits = module.network(images)
    if layout.axes == "tokens":
        count = layout.grid_size(module.plan.positions)
        layers = [own for own in layers if own.shape[-2:] == (count, count)]
        if layers:
            return layers, layout, logits
    raise WsolbenchError(
        where,
        found="no attention over all of its patches",
        expected="a vision transformer such as ViT, DeiT or DINOv2",
        cure="name another method; Swin attends within windows, and has class maps: cam, sem",
    )


def _read(module: TracedNetwork, table: Tensor, layout: Layout) -> Tensor:
    """What the class tokens, or else the patches, read of each patch: (B, N, N) -> (B, h, w)."""
    pooled = module.plan.class_maps in (LINEAR, HEAD) or layout.prefix == 0
    tokens = 2 if hasattr(module.network, "head_dist") else 1
    rows = table[:, layout.prefix :] if pooled else table[:, :tokens]
    return _patches(rows.mean(dim=1), layout)


def _patches(row: Tensor, layout: Layout) -> Tensor:
    return layout.grid(row[:, :, None])[:, 0].detach()


def _blocks(network: nn.Module, where: str) -> tuple[list[str], Callable[[Tensor], Tensor]]:
    """The names of the blocks, and the logits of the mean of a block's tokens."""
    parts: Mapping[str, Any] = dict(network.named_modules())
    if {"blocks", "norm", "head"} <= parts.keys():
        names = [f"blocks.{place}" for place in range(len(parts["blocks"]))]
        last = parts.get("fc_norm", nn.Identity())
        return names, lambda tokens: parts["head"](last(parts["norm"](tokens.mean(dim=1))))
    if {"encoder.layers", "encoder.ln", "heads"} <= parts.keys():
        inner = [name for name, _ in parts["encoder.layers"].named_children()]
        names = [f"encoder.layers.{name}" for name in inner]
        return names, lambda tokens: parts["heads"](parts["encoder.ln"](tokens.mean(dim=1)))
    raise WsolbenchError(
        where,
        found="no blocks, norm and head by the names of timm's or torchvision's ViT",
        cure="use attention-gradient",
    )


def _plain(module: nn.MultiheadAttention) -> bool:
    """Whether queries, keys and values have the same size and nothing is added to them."""
    return module.in_proj_weight is not None and module.bias_k is None and not module.add_zero_attn


def _attended(module: nn.MultiheadAttention, given: Tensor, attention: Tensor) -> Tensor:
    """The output of multi-head attention, as a function of its attention (B, heads, N, N)."""
    batch, count, width = given.shape
    bias = module.in_proj_bias
    values = nn.functional.linear(
        given, module.in_proj_weight[2 * width :], None if bias is None else bias[2 * width :]
    )
    values = values.reshape(batch, count, module.num_heads, width // module.num_heads)
    joined = (attention @ values.transpose(1, 2)).transpose(1, 2).reshape(batch, count, width)
    projected: Tensor = module.out_proj(joined)
    return projected
