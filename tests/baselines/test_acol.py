"""ACoL: what is erased, for which class, the loss, and the map of both parts."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from tests.baselines.pixel_network import PixelNetwork, class_layer, drawing
from tests.baselines.test_predict import make_dataset
from wsolbench.baselines.acol import AdversarialComplementary, erased
from wsolbench.baselines.backbones import ClassMapModel, imagenet_input
from wsolbench.baselines.checkpoints import build_method
from wsolbench.baselines.method import CamMethod
from wsolbench.baselines.predict import predict
from wsolbench.baselines.settings import AcolSettings, CamSettings
from wsolbench.formats.submission.reader import Submission

A = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
"""Part A: class 0 is the red channel, class 1 the green one."""

B = [[0.0, 0.0, 1.0], [0.0, 0.0, -1.0]]
"""Part B: class 0 is the blue channel, class 1 its negative."""


def method(delta: float = 0.5, bias: tuple[float, float] = (0.0, 0.0)) -> AdversarialComplementary:
    built = AdversarialComplementary(PixelNetwork(A, bias), AcolSettings(delta), "mini")
    built.branch.classifier = class_layer(B, bias)
    return built


def photo() -> Tensor:
    """One photo of 1 x 4: red 0, 1, 2, 4; green 4, 0, 0, 0; blue 8, 0, 2, 6."""
    return torch.tensor([[[[0.0, 1.0, 2.0, 4.0]], [[4.0, 0.0, 0.0, 0.0]], [[8.0, 0.0, 2.0, 6.0]]]])


def test_erased_by_hand() -> None:
    """The map is 0, 1/4, 1/2, 1 after min-max; a position at delta is erased."""
    features = torch.tensor([[[[1.0, 2.0, 3.0, 4.0]], [[5.0, 6.0, 7.0, 8.0]]]])

    kept = erased(features, torch.tensor([[[-3.0, -2.0, -1.0, 1.0]]]), 0.5)

    assert kept.tolist() == [[[[1.0, 2.0, 0.0, 0.0]], [[5.0, 6.0, 0.0, 0.0]]]]


def test_each_photo_is_erased_by_its_own_range() -> None:
    maps = torch.tensor([[[0.0, 1.0]], [[0.0, 100.0]], [[7.0, 7.0]]])

    kept = erased(torch.ones(3, 1, 1, 2), maps, 0.6)

    # A constant map is zeros after min-max and erases nothing.
    assert kept.flatten().tolist() == [1.0, 0.0, 1.0, 0.0, 1.0, 1.0]


def test_no_gradient_through_the_mask() -> None:
    features = torch.ones(1, 2, 1, 3, requires_grad=True)
    class_map = torch.tensor([[[0.0, 1.0, 2.0]]], requires_grad=True)

    erased(features, class_map, 0.6).sum().backward()

    assert class_map.grad is None
    assert features.grad is not None
    assert features.grad.flatten().tolist() == [1.0, 1.0, 0.0] * 2


def test_loss_by_hand() -> None:
    """Label 0: red erases positions 2 and 3, so B sees blue 8, 0, 0, 0 of mean 2."""
    loss, logits = method().training_loss(photo(), torch.tensor([0]), drawing(0))

    # A: red 7/4 against green 1; B: 2 against -2.
    assert logits.tolist() == [[1.75, 1.0]]
    wanted = math.log(1 + math.exp(1.0 - 1.75)) + math.log(1 + math.exp(-4.0))
    assert loss.item() == pytest.approx(wanted, rel=1e-6)


def test_the_label_decides_what_is_erased_in_training() -> None:
    """Label 1: green erases position 0, so B sees blue 0, 0, 2, 6 of mean 2."""
    loss, _ = method().training_loss(photo(), torch.tensor([1]), drawing(0))

    wanted = math.log(1 + math.exp(1.75 - 1.0)) + math.log(1 + math.exp(4.0))
    assert loss.item() == pytest.approx(wanted, rel=1e-6)


def test_part_a_learns_only_from_its_own_loss() -> None:
    acol = method()
    plain = CamMethod(PixelNetwork(A, (0.0, 0.0)), CamSettings(), "mini")
    for trained in (acol, plain):
        trained.training_loss(photo(), torch.tensor([0]), drawing(0))[0].backward()

    ours, theirs = (m.network.get_parameter("classifier.weight").grad for m in (acol, plain))
    assert ours is not None
    assert theirs is not None
    assert torch.equal(ours, theirs)
    assert ours.abs().max().item() > 0.1
    other = acol.branch.get_parameter("classifier.weight").grad
    assert other is not None
    # B saw no red, green and blue but those of the first two positions: means 1/4, 1, 2.
    assert (other[0] / other[0, 2]).flatten().tolist() == pytest.approx([0.125, 0.5, 1.0])


def test_map_is_the_higher_of_both_parts_by_hand() -> None:
    maps, features, logits = method().eval()(photo(), lambda logits: torch.tensor([0]))

    # Class 0. A: 0, 1/4, 1/2, 1. B: blue without positions 2 and 3, 8, 0, 0, 0: 1, 0, 0, 0.
    assert maps[0, 0].tolist() == [[1.0, 0.25, 0.5, 1.0]]
    # Class 1. A: green, 1, 0, 0, 0. B: the negative of blue, 0, 1, 1, 1.
    assert maps[0, 1].tolist() == [[1.0, 1.0, 1.0, 1.0]]
    assert torch.equal(features, photo())
    assert logits.tolist() == [[1.75, 1.0]]


def test_predicted_and_given_class_erase_differently() -> None:
    """The predicted class is 0 (1.75 to 1); erased by class 1, B sees blue 0, 0, 2, 6."""
    predicted = method().eval()(photo())[0]
    by_zero = method().eval()(photo(), lambda logits: logits.argmax(dim=1))[0]
    by_one = method().eval()(photo(), lambda logits: torch.tensor([1]))[0]

    assert torch.equal(predicted, by_zero)
    # Class 0: the higher of 0, 1/4, 1/2, 1 and 0, 0, 1/3, 1.
    assert by_one[0, 0].tolist() == [[0.0, 0.25, 0.5, 1.0]]
    assert predicted[0, 0].tolist() == [[1.0, 0.25, 0.5, 1.0]]


def test_constant_maps_give_zeros() -> None:
    maps = method(bias=(3.0, -2.0)).eval()(torch.full((2, 3, 4, 4), 1.5))[0]

    assert maps.shape == (2, 2, 4, 4)
    assert maps.abs().max().item() == 0.0


def test_bias_of_either_part_changes_nothing() -> None:
    """Min-max cancels it; a division by the maximum would not."""
    asked = torch.tensor([0])
    plain = method().eval()(photo(), lambda logits: asked)[0]

    assert torch.equal(method(bias=(16.0, -8.0)).eval()(photo(), lambda logits: asked)[0], plain)


def test_part_b_is_another_part_of_the_same_shape_and_has_no_dropout_at_test() -> None:
    with torch.device("meta"):
        acol = build_method("acol", "vgg16-sem", 5, {}, seed=0)
    own = {n: p.shape for n, p in acol.network.named_parameters() if not n.startswith("trunk.")}
    branch = {n: p.shape for n, p in acol.get_submodule("branch").named_parameters()}
    assert branch == own
    assert len(branch) == 6

    acol.eval()
    dropouts = [part for part in acol.modules() if isinstance(part, nn.Dropout)]
    assert [part.training for part in dropouts] == [False] * 6


def test_weights_of_both_parts_differ() -> None:
    acol = build_method("acol", "mini", 3, {}, seed=0)

    first = acol.network.get_parameter("classifier.weight")
    second = acol.get_parameter("branch.classifier.weight")
    assert first.shape == second.shape
    assert not torch.equal(first, second)


@pytest.mark.parametrize(
    "label, words", [("gt", "ground-truth class"), ("predicted", "predicted class")]
)
def test_a_submission_says_whose_class_erased(label: str, words: str, tmp_path: Path) -> None:
    six = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]] * 2
    module = AdversarialComplementary(PixelNetwork(six, [0.0] * 6), AcolSettings(), "mini")
    model = ClassMapModel("pixels", module, imagenet_input, class_dependent=True)
    dataset = make_dataset(tmp_path, [0, 1, 2, 3, 4, 5])

    predict(model, dataset, tmp_path / "out.h5", size=8, device="cpu", label=label)

    with Submission.open(tmp_path / "out.h5") as written:
        assert written.header.method["parameters"]["erased_by"] == words
