"""SPG: seeds, their losses, and what learns from what."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from tests.baselines.pixel_network import drawing
from wsolbench.baselines import spg
from wsolbench.baselines.checkpoints import build_method
from wsolbench.baselines.networks import build_network, recorded
from wsolbench.baselines.spg import FEWEST, IGNORED, SelfProducedGuidance, seed_labels, seed_loss


def test_seeds_by_hand() -> None:
    """Thirty pixels above .7 keep the level; a pixel at a level is ignored."""
    line = [0.875] * FEWEST + [0.75, 0.5, 0.25, 0.125, 0.0]

    labels = seed_labels(torch.tensor([[line]]), high=0.75, low=0.25)

    assert FEWEST == 30
    assert labels.tolist() == [[[1.0] * 30 + [IGNORED, IGNORED, IGNORED, 0.0, 0.0]]]


def test_a_level_is_lowered_for_one_image_alone() -> None:
    """Of three photos the second has 29 foreground pixels: .7 of its maximum .8 is .56."""
    enough = [0.9] * 30 + [0.65] * 10  # .7 of .9 is .63: a level that leaks would show
    few = [0.8] * 29 + [0.6] * 10 + [0.5]
    maps = torch.tensor([[enough], [few], [enough]])

    labels = seed_labels(maps, high=0.7, low=0.1)

    assert labels[0].tolist() == [[1.0] * 30 + [IGNORED] * 10]
    assert labels[1].tolist() == [[1.0] * 39 + [IGNORED]]
    assert torch.equal(labels[2], labels[0])
    for image in range(3):  # a photo's seeds do not depend on the others
        assert torch.equal(seed_labels(maps[image : image + 1], 0.7, 0.1)[0], labels[image])


def test_a_lowered_level_below_the_low_one_makes_no_background_foreground() -> None:
    """.7 of the maximum .04 is .028: all is below the low level."""
    labels = seed_labels(torch.tensor([[[0.04, 0.03, 0.0]]]), high=0.5, low=0.05)

    assert labels.tolist() == [[[0.0, 0.0, 0.0]]]


def test_seeds_carry_no_gradient_and_maps_are_not_written() -> None:
    maps = torch.rand(2, 8, 8, generator=drawing(0), requires_grad=True)
    before = maps.detach().clone()

    labels = seed_labels(maps, 0.7, 0.05)

    assert not labels.requires_grad
    assert torch.equal(maps.detach(), before)


def test_loss_by_hand() -> None:
    """Logits 0, ln 3, -ln 3 and one that is ignored: -ln of 1/2, 1/4 and 1/4."""
    logits = torch.tensor([[[0.0, math.log(3), -math.log(3), 50.0]]])
    labels = torch.tensor([[[1.0, 0.0, 1.0, IGNORED]]])

    loss = seed_loss(logits, labels)

    assert loss.item() == pytest.approx((math.log(2) + 2 * math.log(4)) / 3, rel=1e-6)


def test_the_mean_is_over_the_pixels_of_the_batch() -> None:
    """Three pixels of one photo and one of the other count alike."""
    logits = torch.tensor([[[0.0, 0.0, 0.0]], [[math.log(3), 9.0, 9.0]]])
    labels = torch.tensor([[[1.0, 0.0, 1.0]], [[1.0, IGNORED, IGNORED]]])

    wanted = (3 * math.log(2) + math.log(4 / 3)) / 4
    assert seed_loss(logits, labels).item() == pytest.approx(wanted, rel=1e-6)


def test_no_seeds_give_zero_and_no_nan() -> None:
    logits = torch.tensor([[[80.0, -80.0]]], requires_grad=True)

    loss = seed_loss(logits, torch.full((1, 1, 2), IGNORED))
    loss.backward()

    assert loss.item() == 0.0
    assert logits.grad is not None
    assert logits.grad.flatten().tolist() == [0.0, 0.0]


def test_extreme_logits_stay_finite() -> None:
    loss = seed_loss(torch.tensor([[[-200.0, 200.0]]]), torch.tensor([[[1.0, 0.0]]]))

    assert loss.item() == 200.0


def test_gradient_of_the_loss() -> None:
    logits = torch.randn(2, 4, 4, generator=drawing(1), dtype=torch.float64, requires_grad=True)
    labels = torch.randint(-1, 2, (2, 4, 4), generator=drawing(2)).double()
    assert set(labels.flatten().tolist()) == {-1.0, 0.0, 1.0}

    assert torch.autograd.gradcheck(lambda given: seed_loss(given, labels), (logits,))


# -- the method ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def method() -> SelfProducedGuidance:
    built = build_method("spg", "mini", 3, {}, seed=0)
    assert isinstance(built, SelfProducedGuidance)
    return built


def photos() -> tuple[Tensor, Tensor]:
    return torch.randn(2, 3, 32, 32, generator=drawing(3)), torch.tensor([2, 0])


def gradients(module: nn.Module, loss: Tensor) -> dict[str, Tensor]:
    """Of each parameter that the loss depends on."""
    names, own = zip(*module.named_parameters(), strict=True)
    found = torch.autograd.grad(loss, own, retain_graph=True, allow_unused=True)
    return {n: g for n, g in zip(names, found, strict=True) if g is not None}


def resized(maps: Tensor) -> Tensor:
    return nn.functional.interpolate(maps, size=(32, 32), mode="bilinear", align_corners=False)


def by_loops(logits: Tensor, guide: Tensor, high: float, low: float) -> Tensor:
    """The loss of a branch from a guide in [0, 1], photo by photo and by masks."""
    foreground, background = [], []
    for own, map_ in zip(logits, guide.detach(), strict=True):
        level = high if int((map_ > high).sum()) >= 30 else 0.7 * map_.max().item()
        back = map_ < low
        background.append(own[back])
        foreground.append(own[(map_ > level) & ~back])
    losses = torch.cat(
        [
            nn.functional.softplus(-torch.cat(foreground)),
            nn.functional.softplus(torch.cat(background)),
        ]
    )
    return losses.sum() / max(1, len(losses))


def parts(method: SelfProducedGuidance) -> tuple[Tensor, dict[str, Tensor], Tensor]:
    """Cross-entropy, the losses of the branches and the attention, computed another way."""
    images, labels = photos()
    with recorded(method.network, ["trunk.2", "trunk.4"]) as taken:
        class_maps, features, logits = method.network(images)
    b1 = resized(method.shared(method.b1(taken["trunk.2"])))[:, 0]
    b2 = resized(method.shared(method.b2(taken["trunk.4"])))[:, 0]
    c = resized(method.c(features))[:, 0]
    raw = resized(torch.stack([class_maps[0, 2], class_maps[1, 0]])[:, None])[:, 0].detach()
    attention = torch.stack([(own - own.min()) / (own.max() - own.min()) for own in raw])
    losses = {
        "b2": by_loops(b2, attention, 0.7, 0.05),
        "b1": by_loops(b1, b2.sigmoid(), 0.5, 0.05),
        "c": by_loops(c, (b1.sigmoid() + b2.sigmoid()) / 2, 0.7, 0.1),
    }
    return nn.functional.cross_entropy(logits, labels), losses, attention


def test_loss_is_the_sum_of_four(method: SelfProducedGuidance) -> None:
    method.eval()  # batch norm then does not depend on the number of passes
    loss, logits = method.training_loss(*photos(), drawing(0))
    entropy, branches, _ = parts(method)

    assert all(own.item() > 0.01 for own in branches.values())
    wanted = entropy.item() + sum(own.item() for own in branches.values())
    assert loss.item() == pytest.approx(wanted, rel=1e-5)
    assert torch.equal(logits, method.network(photos()[0])[2])


def test_what_learns_from_what(method: SelfProducedGuidance) -> None:
    """Gradients of the whole are those of the four parts, none of which passes through a guide."""
    method.eval()
    whole = gradients(method, method.training_loss(*photos(), drawing(0))[0])
    entropy, branches, _ = parts(method)
    single = {"ce": gradients(method, entropy)}
    single |= {name: gradients(method, own) for name, own in branches.items()}

    assert not any(name.startswith(("b2.", "c.")) for name in single["b1"])
    assert not any(name.startswith(("b1.", "c.")) for name in single["b2"])
    assert not any(name.startswith(("b1.", "b2.", "shared.")) for name in single["c"])
    assert set(whole) == {name for name, _ in method.named_parameters()}
    for name, own in whole.items():
        wanted = sum(part[name] for part in single.values() if name in part)
        assert (own - wanted).abs().max().item() <= 1e-4 * own.abs().max().item() + 1e-9, name
    # The attention is detached: the class layer learns from cross-entropy alone.
    for name in ("network.classifier.weight", "network.classifier.bias"):
        assert torch.allclose(whole[name], single["ce"][name], rtol=1e-5, atol=1e-8)


Seeds = tuple[Tensor, float, float]


@pytest.fixture
def guides(monkeypatch: pytest.MonkeyPatch) -> list[Seeds]:
    """The maps and levels from which seeds are taken."""
    seen: list[Seeds] = []
    real = seed_labels

    def spy(maps: Tensor, high: float, low: float) -> Tensor:
        seen.append((maps, high, low))
        return real(maps, high, low)

    monkeypatch.setattr(spg, "seed_labels", spy)
    return seen


def test_levels_are_the_papers(method: SelfProducedGuidance, guides: list[Seeds]) -> None:
    method.training_loss(*photos(), drawing(0))

    assert [(high, low) for _, high, low in guides] == [(0.7, 0.05), (0.5, 0.05), (0.7, 0.1)]


def test_attention_is_detached_and_upsampled_before_min_max(
    method: SelfProducedGuidance, guides: list[Seeds]
) -> None:
    """The peak of an 8 x 8 map lies between the pixels of 32 x 32: only after upsampling is 1
    reached again."""
    method.eval()
    method.training_loss(*photos(), drawing(0))
    attention = guides[0][0]

    assert attention.shape == (2, 32, 32)
    assert not attention.requires_grad
    assert attention.amin(dim=(1, 2)).tolist() == [0.0, 0.0]
    assert attention.amax(dim=(1, 2)).tolist() == [1.0, 1.0]
    assert torch.allclose(attention, parts(method)[2], atol=1e-6)


def test_no_branch_is_used_at_test(method: SelfProducedGuidance) -> None:
    images, _ = photos()
    plain = build_network("mini", 3, seed=0).eval()
    plain.load_state_dict(method.network.state_dict())
    for branch in (method.b1, method.b2, method.shared, method.c):
        branch.register_forward_hook(lambda *given: pytest.fail("a branch was used"))

    try:
        for ours, theirs in zip(method.eval()(images), plain(images), strict=True):
            assert torch.equal(ours, theirs)
    finally:
        for branch in (method.b1, method.b2, method.shared, method.c):
            branch._forward_hooks.clear()


@pytest.mark.parametrize(
    "name, channels",
    [
        ("vgg16-sem", (256, 512, 1024)),
        ("resnet50-sem", (512, 1024, 1024)),
        ("resnet101-gap", (512, 1024, 2048)),
        ("inception_v3-sem", (288, 768, 1024)),
        ("squeezenet1_1", (256, 384, 512)),
    ],
)
def test_branches_have_512_channels_on_the_papers_features(
    name: str, channels: tuple[int, int, int]
) -> None:
    """VGG16's pool3 and pool4, ResNet's layer2 and layer3, InceptionV3's Mixed_5d and Mixed_6e."""
    with torch.device("meta"):
        built = build_method("spg", name, 4, {}, seed=0)

    shapes = {
        name: tuple(own.shape)
        for name, own in built.named_parameters()
        if own.ndim == 4 and not name.startswith("network.")
    }
    assert shapes == {
        "b1.0.weight": (512, channels[0], 3, 3),
        "b2.0.weight": (512, channels[1], 3, 3),
        "shared.0.0.weight": (512, 512, 3, 3),
        "shared.1.weight": (1, 512, 1, 1),
        "c.0.0.weight": (512, channels[2], 3, 3),
        "c.1.weight": (1, 512, 1, 1),
    }


@pytest.mark.parametrize("training", [True, False])
def test_making_it_leaves_the_networks_mode_and_batch_norm(training: bool) -> None:
    network = build_network("mini", 3, seed=0).train(training)
    before = {name: own.clone() for name, own in network.state_dict().items()}

    built = build_method("spg", "mini", 3, {}, seed=0)
    SelfProducedGuidance(network, built.settings, "mini")

    assert {part.training for part in network.modules()} == {training}
    after = network.state_dict()
    assert all(torch.equal(own, after[name]) for name, own in before.items())
