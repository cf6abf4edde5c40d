"""The loss of the boundary detector: weighted cross entropy with Hard-Negative Suppression (HNS).

Follows Zhang et al., "Rethinking localization map: towards accurate object perception with
self-enhancement maps", section 3.3 and Eq. (1). The equation is printed without the leading minus,
so that it would reward errors; here it is a cost. Of an image with the boundary B, n pixels, logits
z and P = sigmoid(z):

    L = 1/n * sum[ b B softplus(-z) + a (1 - B) (lambda + P) softplus(z) ]

where a and b are the shares of boundary and other pixels among the n, softplus(-z) = -log P and
softplus(z) = -log(1 - P). The vanilla loss has no P in the bracket.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import softplus

from ..errors import WsolbenchError

__all__ = ["hns_loss"]


def hns_loss(
    logits: Tensor, targets: Tensor, balance: float = 1.1, *, suppress: bool = True
) -> Tensor:
    """The mean over images of Eq. (1).

    Args:
        logits: (B, h, w) or (B, 1, h, w) floating. Also under autocast, the loss is computed in
            float32, or float64 if the logits are.
        targets: the same shape, bool, or 0 and 1: the (pseudo-)boundary.
        balance: lambda, the weight of the cross entropy of all pixels off the boundary. The paper
            does not give it: RCF and BDCN use 1.1, HED 1.
        suppress: add the HNS term; False is the vanilla loss.

    Returns:
        A scalar. It and its gradient are finite for finite logits. An image without a boundary
        pixel contributes 0, since a is 0 and no pixel is in B.

    Raises:
        WsolbenchError: the shapes differ, or are no batch of pictures.
    """
    if logits.shape != targets.shape or logits.ndim not in (3, 4):
        raise WsolbenchError(
            "logits and targets",
            found=f"shapes {tuple(logits.shape)} and {tuple(targets.shape)}",
            expected="the same shape (B, h, w) or (B, 1, h, w)",
            cure="bring the boundaries to the size of the logits",
        )
    known = targets if targets.dtype == torch.bool else targets[(targets != 0) & (targets != 1)]
    if not len(logits) or balance < 0 or (targets.dtype != torch.bool and known.numel()):
        raise WsolbenchError(
            "hns_loss",
            found=f"{len(logits)} images, balance {balance:g}, targets of {targets.dtype}",
            expected="one image or more, a balance of at least 0, targets 0 and 1",
            cure="pass boundaries as bool",
        )
    with torch.autocast(logits.device.type, enabled=False):
        z = logits if logits.dtype == torch.float64 else logits.float()
        scores = z.flatten(1)
        boundary = targets.flatten(1).to(scores.dtype)
        share = boundary.mean(dim=1, keepdim=True)
        weight = balance + torch.sigmoid(scores) if suppress else balance
        on = (1 - share) * boundary * softplus(-scores)
        off = share * (1 - boundary) * weight * softplus(scores)
        return (on + off).mean()
