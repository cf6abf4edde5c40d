"""ADL: the drop mask, the importance map, the coin, and the layers where they act."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from tests.baselines.pixel_network import drawing
from wsolbench.baselines import adl
from wsolbench.baselines.adl import AttentionDropout, attention_dropped, drop_mask
from wsolbench.baselines.checkpoints import build_method
from wsolbench.baselines.networks import ClassMapNetwork, build_network


def attended() -> Tensor:
    """Two photos of 1 x 3 positions and two channels; the attentions are 1, 2, 4 and 0, .5, 1."""
    first = [[[0.0, 4.0, 3.0]], [[2.0, 0.0, 5.0]]]
    second = [[[0.0, 1.0, 2.0]], [[0.0, 0.0, 0.0]]]
    return torch.tensor([first, second])


def test_drop_mask_by_hand() -> None:
    mask = drop_mask(attended(), 0.5)

    # Levels are 2 and .5, of each photo's own maximum; a position at the level is dropped.
    assert mask.tolist() == [[[[1.0, 0.0, 0.0]]], [[[1.0, 0.0, 0.0]]]]
    assert drop_mask(attended(), 0.6).tolist() == [[[[1.0, 1.0, 0.0]]], [[[1.0, 1.0, 0.0]]]]


def test_dropping_by_hand() -> None:
    dropped = attention_dropped(attended(), 0.5, drop=True)

    assert dropped.tolist() == [
        [[[0.0, 0.0, 0.0]], [[2.0, 0.0, 0.0]]],
        [[[0.0, 0.0, 0.0]], [[0.0, 0.0, 0.0]]],
    ]


def test_importance_by_hand() -> None:
    """Attentions 0 and ln 3 are weighed by 1/2 and 3/4."""
    features = torch.tensor([[[[1.0, 0.0]], [[-1.0, 2 * math.log(3)]]]])

    weighed = attention_dropped(features, 0.5, drop=False)

    assert weighed[0, 0, 0].tolist() == [0.5, 0.0]
    assert weighed[0, 1, 0].tolist() == pytest.approx([-0.5, 1.5 * math.log(3)])


@pytest.mark.parametrize("drop", [True, False])
def test_gradients(drop: bool) -> None:
    features = torch.randn(2, 3, 4, 4, generator=drawing(1), dtype=torch.float64) + 0.5
    features.requires_grad_()

    assert torch.autograd.gradcheck(
        lambda given: attention_dropped(given, 0.8, drop=drop), (features,)
    )
    kept = (attention_dropped(features, 0.8, drop=True) != 0).double().mean().item()
    assert 0.5 < kept < 1  # the mask of the check is neither full nor empty


def method(**settings: float) -> AttentionDropout:
    built = build_method("adl", "mini", 3, settings, seed=0)
    assert isinstance(built, AttentionDropout)
    return built


def photos() -> tuple[Tensor, Tensor]:
    return torch.randn(3, 3, 16, 16, generator=drawing(2)), torch.tensor([0, 1, 2])


Call = tuple[tuple[int, ...], float, bool]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[Call]:
    """Shape of the features, gamma and coin of each use."""
    seen: list[Call] = []
    real = attention_dropped

    def spy(features: Tensor, gamma: float, *, drop: bool) -> Tensor:
        seen.append((tuple(features.shape), gamma, drop))
        return real(features, gamma, drop=drop)

    monkeypatch.setattr(adl, "attention_dropped", spy)
    return seen


def test_one_coin_for_a_batch_at_each_layer(calls: list[Call]) -> None:
    trained = method()
    generator = drawing(3)
    for _ in range(150):
        trained.training_loss(*photos(), generator)

    # Three layers, each with the whole batch of three; the last one has 96 channels.
    shapes = [shape for shape, _, _ in calls]
    assert shapes == [(3, 48, 4, 4), (3, 48, 4, 4), (3, 96, 4, 4)] * 150
    assert {gamma for _, gamma, _ in calls} == {0.8}
    coins = [drop for _, _, drop in calls]
    assert abs(sum(coins) / 450 - 0.75) < 0.09  # 4.4 standard deviations
    assert len(set(zip(coins[::3], coins[1::3], coins[2::3], strict=True))) == 8


@pytest.mark.parametrize("rate, drop", [(0.0, False), (1.0, True)])
def test_rates_zero_and_one(rate: float, drop: bool, calls: list[Call]) -> None:
    trained = method(drop_rate=rate)
    for seed in range(20):
        trained.training_loss(*photos(), drawing(seed))

    assert {own for _, _, own in calls} == {drop}


def test_output_of_a_layer_is_replaced_in_training() -> None:
    """What the next layer sees is the attended output of the one before."""
    trained = method(drop_rate=1.0)
    seen: list[Tensor] = []
    trained.network.get_submodule("trunk.4").register_forward_pre_hook(
        lambda m, given: seen.append(given[0])
    )

    trained.training_loss(*photos(), drawing(0))

    # Every photo has positions where all 48 channels are zero, which no ReLU does by itself.
    dropped = (seen[0] == 0).all(dim=1)
    assert len(seen) == 1
    assert dropped.flatten(1).any(dim=1).tolist() == [True] * 3
    assert not dropped.all()


def test_nothing_at_test_nor_after_a_failure(calls: list[Call]) -> None:
    images, labels = photos()
    trained = method().eval()
    plain = build_network("mini", 3, seed=0).eval()

    for ours, theirs in zip(trained(images), plain(images), strict=True):
        assert torch.equal(ours, theirs)
    with pytest.raises(IndexError, match="out of bounds"):
        trained.training_loss(images, labels + 5, drawing(0))
    assert len(calls) == 3
    trained.train()(images)
    assert len(calls) == 3


def test_the_generator_decides() -> None:
    trained = method()
    torch.manual_seed(0)
    losses = [trained.training_loss(*photos(), drawing(seed))[0].item() for seed in range(12)]
    torch.manual_seed(1)
    again = [trained.training_loss(*photos(), drawing(seed))[0].item() for seed in range(12)]

    assert losses == again
    assert len(set(losses)) > 3


PLACES = {
    "vgg16-sem": ("trunk.features.16", "trunk.features.23", "trunk.features.29"),
    "vgg16-gap": ("trunk.features.16", "trunk.features.23", "trunk.features.29"),
    "vgg16_bn-sem": ("trunk.features.23", "trunk.features.33", "trunk.features.42"),
    "resnet50-sem": ("trunk.layer3.0", "trunk.layer4.0", "trunk.layer4.2"),
    "resnet101-gap": ("trunk.layer3.0", "trunk.layer4.0", "trunk.layer4.2"),
    "resnet50": ("network.layer3.0", "network.layer4.0", "network.layer4.2"),
    "inception_v3-sem": ("trunk.Mixed_5d", "trunk.Mixed_6e", "head.relu2"),
    "inception_v3-gap": ("trunk.Mixed_5d", "trunk.Mixed_6e"),
    "mini": ("trunk.3", "trunk.5", "trunk.7"),
}


def built(name: str, kind: str) -> ClassMapNetwork:
    with torch.device("meta"):
        return build_method(kind, name, 4, {}, seed=0).network


@pytest.mark.parametrize("name", PLACES)
def test_hooks_are_at_the_papers_layers_and_shift_no_names(name: str) -> None:
    network, plain = built(name, "adl"), built(name, "cam")

    hooked = tuple(n for n, part in network.named_modules() if part._forward_hooks)
    assert hooked == PLACES[name]
    shapes = {key: own.shape for key, own in network.state_dict().items()}
    assert shapes == {key: own.shape for key, own in plain.state_dict().items()}


@pytest.mark.parametrize("name", ["vgg16-sem", "vgg16_bn-sem"])
def test_vggs_places_are_after_pool3_pool4_and_conv5_3(name: str) -> None:
    """Their numbers of convolutions so far are 7, 10 and 13; the last place is behind a ReLU."""
    layers = list(built(name, "cam").get_submodule("trunk.features"))
    places = [int(place.rpartition(".")[2]) for place in PLACES[name]]

    counts = [sum(isinstance(own, nn.Conv2d) for own in layers[: at + 1]) for at in places]
    assert counts == [7, 10, 13]
    assert [type(layers[at]) for at in places] == [nn.MaxPool2d, nn.MaxPool2d, nn.ReLU]


def test_inceptions_third_place_is_the_second_convolution_of_the_head() -> None:
    head = built("inception_v3-sem", "cam").get_submodule("head")

    assert [name for name, _ in head.named_children()][-2:] == ["conv2", "relu2"]
