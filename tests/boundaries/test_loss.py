"""The loss of the boundary detector: by hand, with explicit logarithms, and at extremes."""

from __future__ import annotations

import math

import pytest
import torch

from wsolbench.boundaries.loss import hns_loss
from wsolbench.errors import WsolbenchError


def printed(logits: torch.Tensor, targets: torch.Tensor, balance: float, suppress: bool) -> float:
    """Eq. (1) pixel by pixel, with the leading minus."""
    losses = []
    for scores, boundary in zip(logits.tolist(), targets.tolist(), strict=True):
        pixels = [
            (1 / (1 + math.exp(-z)), bool(on))
            for row, marks in zip(scores, boundary, strict=True)
            for z, on in zip(row, marks, strict=True)
        ]
        positive = sum(on for _, on in pixels)
        negative = len(pixels) - positive
        alpha, beta = positive / len(pixels), negative / len(pixels)
        total = 0.0
        for p, on in pixels:
            if on:
                total += beta * math.log(p)
            else:
                total += alpha * balance * math.log(1 - p)
                total += alpha * p * math.log(1 - p) if suppress else 0.0
        losses.append(-total / len(pixels))
    return sum(losses) / len(losses)


def test_a_picture_of_four_pixels_by_hand() -> None:
    """P is 1/2 everywhere, one of four pixels is boundary: a = 1/4, b = 3/4.

    Vanilla with lambda 1: (3/4 + 3 * 1/4) log 2 / 4 = 3/8 log 2; HNS adds 3 * 1/4 * 1/2 log 2 / 4.
    """
    logits = torch.zeros(1, 2, 2)
    targets = torch.tensor([[[True, False], [False, False]]])
    log2 = math.log(2)
    assert float(hns_loss(logits, targets, 1.0, suppress=False)) == pytest.approx(3 / 8 * log2)
    assert float(hns_loss(logits, targets, 1.0)) == pytest.approx((3 / 8 + 3 / 32) * log2)
    assert float(hns_loss(logits, targets)) == pytest.approx((3.0 + 3 * 1.6) / 16 * log2)


@pytest.mark.parametrize("suppress", [True, False])
@pytest.mark.parametrize("balance", [1.0, 1.1, 3.0])
def test_the_printed_formula(suppress: bool, balance: float) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = 4 * torch.randn(3, 5, 7, generator=generator, dtype=torch.float64)
    targets = torch.rand(3, 5, 7, generator=generator) < 0.3
    wanted = printed(logits, targets, balance, suppress)
    found = hns_loss(logits, targets, balance, suppress=suppress)
    assert float(found) == pytest.approx(wanted, rel=1e-12)
    single = hns_loss(logits.float()[:, None], targets[:, None].float(), balance, suppress=suppress)
    assert float(single) == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("suppress", [True, False])
def test_the_gradient(suppress: bool) -> None:
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(2, 3, 4, generator=generator, dtype=torch.float64, requires_grad=True)
    targets = torch.rand(2, 3, 4, generator=generator) < 0.4
    assert torch.autograd.gradcheck(lambda z: hns_loss(z, targets, suppress=suppress), [logits])


@pytest.mark.parametrize("suppress", [True, False])
def test_extreme_logits_give_finite_numbers(suppress: bool) -> None:
    """Both errors and both hits at |z| = 1e4: a = b = 1/2, costs 1e4 / 2 each of the errors."""
    logits = torch.tensor([[[1e4, -1e4], [1e4, -1e4]]], requires_grad=True)
    targets = torch.tensor([[[True, True], [False, False]]])
    loss = hns_loss(logits, targets, 1.0, suppress=suppress)
    assert float(loss.detach()) == pytest.approx(1e4 / 8 * (3 if suppress else 2))
    torch.autograd.backward(loss)
    assert logits.grad is not None
    assert bool(logits.grad.isfinite().all())


def test_an_image_without_boundary_contributes_nothing() -> None:
    generator = torch.Generator().manual_seed(2)
    logits = torch.randn(2, 4, 4, generator=generator, requires_grad=True)
    targets = torch.zeros(2, 4, 4, dtype=torch.bool)
    targets[1, 1] = True
    loss = hns_loss(logits, targets)
    assert float(loss.detach()) == pytest.approx(
        float(hns_loss(logits[1:].detach(), targets[1:])) / 2
    )
    torch.autograd.backward(loss)
    assert logits.grad is not None
    assert bool((logits.grad[0] == 0).all())
    assert float(hns_loss(logits[:1].detach(), targets[:1])) == 0


def test_suppression_punishes_a_hard_negative_more_than_an_easy_one() -> None:
    targets = torch.tensor([[[True, False]]])

    def costs(z: float) -> tuple[float, float]:
        """Vanilla and HNS, of a pixel off the boundary with logit z."""
        logits = torch.tensor([[[9.0, z]]])
        return float(hns_loss(logits, targets, suppress=False)), float(hns_loss(logits, targets))

    easy, hard = costs(-4.0), costs(4.0)
    assert hard[1] / hard[0] == pytest.approx((1.1 + 1 / (1 + math.exp(-4))) / 1.1, rel=1e-3)
    assert 1 < easy[1] / easy[0] < 1.03


def test_autocast_does_not_shorten_the_loss() -> None:
    logits = torch.full((1, 64, 64), -3.0)
    targets = torch.zeros(1, 64, 64)
    targets[0, 3] = 1
    with torch.autocast("cpu", dtype=torch.bfloat16):
        short = hns_loss(logits.bfloat16(), targets)
    assert short.dtype == torch.float32
    assert float(short) == float(hns_loss(logits, targets))


def test_other_shapes_are_refused() -> None:
    with pytest.raises(WsolbenchError, match=r"found shapes \(2, 3, 4\) and \(2, 4, 3\), expected"):
        hns_loss(torch.zeros(2, 3, 4), torch.zeros(2, 4, 3))
