"""CutMix: the box, the share of each label, and the loss, by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from tests.baselines.pixel_network import PixelNetwork, drawing
from wsolbench.baselines import cutmix
from wsolbench.baselines.cutmix import CutMix, cut_mix, mixing_box
from wsolbench.baselines.method import CamMethod
from wsolbench.baselines.settings import CamSettings, CutMixSettings


@pytest.mark.parametrize(
    "share, centre, box",
    [
        # Sides are sqrt(1 - .75) = half of 10 x 20: 5 and 10, halved and rounded down: 2 and 5.
        (0.75, (5, 10), (5, 3, 15, 7)),
        (0.75, (0, 19), (14, 0, 20, 2)),  # cut off above and at the right
        (0.75, (9, 0), (0, 7, 5, 10)),  # cut off below and at the left
        (0.0, (5, 10), (0, 0, 20, 10)),
        (0.0, (0, 0), (0, 0, 10, 5)),
        (1.0, (5, 10), (10, 5, 10, 5)),  # empty
    ],
)
def test_box_by_hand(share: float, centre: tuple[int, int], box: tuple[int, int, int, int]) -> None:
    assert mixing_box(10, 20, share, centre) == box


def test_lambda_is_the_share_that_the_cut_off_box_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 10 x 20 pixels the box that is cut off covers 6 x 2 = 12: lambda is .94, not .75."""
    monkeypatch.setattr(
        cutmix, "mixing_box", lambda h, w, share, at: mixing_box(h, w, 0.75, (0, 19))
    )
    images = torch.arange(1.0, 5.0)[:, None, None, None].expand(4, 3, 10, 20)

    mixed, others, own = cut_mix(images, torch.arange(4), 1.0, drawing(0))

    assert own == pytest.approx(0.94)
    assert sorted(others.tolist()) == [0, 1, 2, 3]
    assert others.tolist() != [0, 1, 2, 3]
    for image, other in enumerate(others.tolist()):
        wanted = torch.full((3, 10, 20), image + 1.0)
        wanted[:, 0:2, 14:20] = other + 1.0
        assert torch.equal(mixed[image], wanted)


def test_lambda_counts_pixels_whatever_is_drawn() -> None:
    images = torch.arange(4.0)[:, None, None, None].expand(4, 3, 12, 30)
    cut_off = 0
    for seed in range(60):
        mixed, others, own = cut_mix(images, torch.arange(4), 1.0, drawing(seed))
        pasted = [mixed[i, 0] == j for i, j in enumerate(others.tolist()) if i != j]
        if not pasted:
            continue
        box = pasted[0]
        assert all(torch.equal(box, other) for other in pasted)  # one box a batch
        assert own == pytest.approx(1 - box.double().mean().item(), abs=1e-12)
        rows, columns = box.any(dim=1).sum().item(), box.any(dim=0).sum().item()
        assert rows * columns == box.sum().item()  # a rectangle
        cut_off += rows > 0 and abs(columns / rows - 30 / 12) > 1.5
    assert cut_off > 5  # boxes whose proportions only an edge can have changed


def test_the_others_come_at_the_same_place() -> None:
    images = torch.rand(6, 3, 16, 16, generator=drawing(9))
    before = images.clone()

    mixed, others, own = cut_mix(images, torch.arange(6), 1.0, drawing(4))

    assert 0 < own < 1
    changed = mixed != images
    assert changed.any()
    assert torch.equal(mixed[changed], images[others][changed])
    assert torch.equal(images, before)


@pytest.mark.parametrize("alpha", [1.0, 0.2])
def test_lambda_is_drawn_from_beta_and_the_centre_uniformly(
    alpha: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[tuple[float, int, int]] = []

    def spy(h: int, w: int, share: float, centre: tuple[int, int]) -> tuple[int, int, int, int]:
        assert (h, w) == (3, 50)
        drawn.append((share, *centre))
        return 0, 0, 0, 0

    monkeypatch.setattr(cutmix, "mixing_box", spy)
    generator = drawing(0)
    for _ in range(1000):
        cut_mix(torch.zeros(2, 3, 3, 50), torch.tensor([0, 1]), alpha, generator)

    shares, ys, xs = (torch.tensor(column).double() for column in zip(*drawn, strict=True))
    assert abs(shares.mean().item() - 0.5) < 0.05
    # The variance of Beta(a, a) is 1 / (4 (2 a + 1)).
    assert shares.var().item() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.1)
    assert set(ys.tolist()) == {0, 1, 2}
    assert set(xs.tolist()) == set(range(50))


def network() -> PixelNetwork:
    """The logits of a photo are the mean of its red channel, and zero."""
    return PixelNetwork([[1.0, 0.0, 0.0], [0.0, 0.0, 0.0]], [0.0, 0.0])


def two_photos() -> tuple[Tensor, Tensor]:
    """Red 1 of class 0 and red -1 of class 1."""
    return torch.tensor([1.0, -1.0])[:, None, None, None].expand(2, 3, 10, 20), torch.arange(2)


def test_loss_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """A quarter of each photo is pasted from the other."""
    monkeypatch.setattr(cutmix, "mixing_box", lambda h, w, share, c: (0, 0, 5, 10))
    images, labels = two_photos()
    seed = next(s for s in range(9) if cut_mix(images, labels, 1.0, drawing(s))[1][0] == 1)
    method = CutMix(network(), CutMixSettings(), "mini")
    monkeypatch.setattr(torch, "rand", lambda size, generator: torch.tensor(0.5))

    loss, logits = method.training_loss(images, labels, drawing(seed))

    # The first photo's mean is 3/4 * 1 - 1/4 = .5, the second's -.5.
    assert logits.tolist() == [[0.5, 0.0], [-0.5, 0.0]]
    own, other = math.log(1 + math.exp(-0.5)), math.log(1 + math.exp(0.5))
    assert loss.item() == pytest.approx(0.75 * own + 0.25 * other)


def test_rate_zero_is_plain_training() -> None:
    images, labels = two_photos()
    plain = CamMethod(network(), CamSettings(), "mini")
    wanted, _ = plain.training_loss(images, labels, drawing(0))

    for seed in range(20):
        own = network()
        method = CutMix(own, CutMixSettings(mix_rate=0.0), "mini")
        loss, _ = method.training_loss(images, labels, drawing(seed))
        assert loss.item() == wanted.item()
        assert torch.equal(own.seen[0], images)


@pytest.mark.parametrize("rate, least, most", [(1.0, 200, 200), (0.5, 70, 130)])
def test_rate_is_that_of_batches(
    rate: float, least: int, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    mixed = []
    real = cut_mix

    def spy(*given: object) -> object:
        mixed.append(given)
        return real(*given)

    monkeypatch.setattr(cutmix, "cut_mix", spy)
    method = CutMix(network(), CutMixSettings(mix_rate=rate), "mini")
    generator = drawing(1)
    for _ in range(200):
        method.training_loss(*two_photos(), generator)

    assert least <= len(mixed) <= most


def test_nothing_is_mixed_at_test_and_the_generator_decides() -> None:
    images, labels = two_photos()
    own = network()
    method = CutMix(own, CutMixSettings(), "mini")
    method.eval()(images)
    assert torch.equal(own.seen[0], images)

    torch.manual_seed(0)
    first = method.training_loss(images, labels, drawing(3))[0]
    torch.manual_seed(1)
    again = method.training_loss(images, labels, drawing(3))[0]
    assert first.item() == again.item()
