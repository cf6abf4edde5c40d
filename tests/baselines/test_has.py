"""HaS: which patches are hidden, with which value, and when."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from PIL import Image
from torch import Tensor

from tests.baselines.pixel_network import PixelNetwork, drawing
from wsolbench.baselines.backbones import imagenet_input
from wsolbench.baselines.has import HideAndSeek, hide_patches
from wsolbench.baselines.settings import HasSettings
from wsolbench.baselines.small import preprocess as small_input


@pytest.mark.parametrize("height, width", [(4, 10), (10, 4)])
def test_patches_are_of_pixels_and_cut_off_at_the_far_edge(height: int, width: int) -> None:
    images = torch.ones(1, 3, height, width)
    patterns = []
    for seed in range(300):
        shown = hide_patches(images, (4,), 0.5, drawing(seed))[0]
        line = shown[0, 0] if width == 10 else shown[0, :, 0]
        values = line.tolist()
        # Side 4 over 10 pixels: 0..3, 4..7 and what is left, 8..9.
        assert values == [values[0]] * 4 + [values[4]] * 4 + [values[8]] * 2
        assert torch.equal(shown, (line if width == 10 else line[:, None]).expand_as(shown))
        patterns.append((values[0], values[4], values[8]))

    assert len(set(patterns)) == 8
    for place in range(3):
        hidden = sum(pattern[place] == 0 for pattern in patterns)
        assert abs(hidden - 150) < 40  # 4.6 standard deviations


def test_a_grid_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sides 3 over 4 x 7: two rows and three columns of patches, the last of a single pixel."""
    drawn = torch.tensor([[0.5, 0.49, 0.9], [0.0, 0.6, 0.1]])

    def rand(shape: tuple[int, int], generator: torch.Generator) -> Tensor:
        assert shape == (2, 3)
        return drawn

    monkeypatch.setattr(torch, "rand", rand)

    shown = hide_patches(torch.full((1, 3, 4, 7), 2.0), (3,), 0.5, drawing(0))

    top = [2.0, 2.0, 2.0, 0.0, 0.0, 0.0, 2.0]
    bottom = [0.0, 0.0, 0.0, 2.0, 2.0, 2.0, 0.0]
    assert shown[0].tolist() == [[top, top, top, bottom]] * 3


@pytest.mark.parametrize("rate", [0.3, 0.5])
def test_share_of_hidden_pixels(rate: float) -> None:
    shown = hide_patches(torch.ones(200, 3, 64, 64), (8,), rate, drawing(1))

    share = (shown == 0).double().mean().item()
    assert abs(share - rate) < 0.018  # 12,800 patches: 4 standard deviations


def test_rates_zero_and_one() -> None:
    images = torch.randn(3, 3, 9, 9, generator=drawing(0))

    assert torch.equal(hide_patches(images, (2, 4), 0.0, drawing(0)), images)
    assert hide_patches(images, (2, 4), 1.0, drawing(0)).abs().max().item() == 0.0


def test_side_zero_hides_nothing_whatever_the_rate() -> None:
    images = torch.randn(3, 3, 9, 9, generator=drawing(0))

    assert torch.equal(hide_patches(images, (0,), 1.0, drawing(0)), images)


def test_each_image_draws_its_own_side_and_its_own_patches() -> None:
    shown = hide_patches(torch.ones(400, 3, 16, 16), (0, 8), 0.5, drawing(2))[:, 0]

    patterns = [tuple(int(own[y, x]) for y in (0, 8) for x in (0, 8)) for own in shown]
    assert len(set(patterns)) == 16
    # Half of the images draw side 0, and one in sixteen of the others hides nothing either.
    untouched = patterns.count((1, 1, 1, 1))
    assert abs(untouched - 400 * (1 / 2 + 1 / 32)) < 40


def test_the_five_sides_are_equally_likely() -> None:
    sides = HasSettings().patch_sizes
    shown = hide_patches(torch.ones(500, 3, 8, 8), sides, 1.0, drawing(3))

    assert sides == (0, 16, 32, 44, 56)
    untouched = int(shown[:, 0, 0, 0].sum())
    assert abs(untouched - 100) < 40  # of 500, one in five: 4.5 standard deviations


def test_the_generator_decides_and_the_input_is_not_written() -> None:
    images = torch.randn(4, 3, 20, 12, generator=drawing(0))
    before = images.clone()
    torch.manual_seed(0)

    first = hide_patches(images, (4,), 0.5, drawing(7))
    torch.manual_seed(1)
    again = hide_patches(images, (4,), 0.5, drawing(7))

    assert torch.equal(first, again)
    assert not torch.equal(first, hide_patches(images, (4,), 0.5, drawing(8)))
    assert torch.equal(images, before)
    assert torch.equal(first[first != 0], images[first != 0])


@pytest.mark.parametrize(
    "preprocess, colour",
    [(imagenet_input, (124, 116, 104)), (small_input, (115, 115, 115))],
)
def test_zero_is_the_mean_colour(
    preprocess: Callable[[Image.Image, int], Tensor], colour: tuple[int, int, int]
) -> None:
    """0.485, 0.456, 0.406 and 0.45 of 255, in whole levels: at most half a level off."""
    assert preprocess(Image.new("RGB", (4, 4), colour), 4).abs().max().item() < 0.5 / 255 / 0.224


def test_hidden_in_training_and_never_at_test() -> None:
    network = PixelNetwork([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], [0.0, math.log(3)])
    method = HideAndSeek(network, HasSettings((2,), 1.0), "mini")
    images = torch.full((2, 3, 4, 4), 5.0)

    loss, logits = method.train().training_loss(images, torch.tensor([0, 1]), drawing(0))
    method.eval()(images)
    method.train()(images)

    # All is hidden: logits are the bias, probabilities 1/4 and 3/4.
    assert logits.tolist() == [[0.0, pytest.approx(math.log(3))]] * 2
    assert loss.item() == pytest.approx((math.log(4) + math.log(4 / 3)) / 2)
    assert [seen.max().item() for seen in network.seen] == [0.0, 5.0, 5.0]
