from __future__ import annotations

import numpy as np
import pytest
import torch

from wsolbench.baselines.cam import class_activation_maps, class_channels, min_max
from wsolbench.errors import WsolbenchError


def test_two_by_two_by_hand() -> None:
    class_maps = torch.tensor([[[[9.0, 9.0], [9.0, 9.0]], [[-3.0, 1.0], [0.0, -1.0]]]])

    maps = class_activation_maps(class_maps, torch.tensor([1]))

    assert maps.tolist() == [[[0.0, 1.0], [0.75, 0.5]]]  # negative scores count: there is no ReLU


def test_each_image_has_its_own_class_and_its_own_range() -> None:
    class_maps = torch.tensor([[[[0.0, 1.0]], [[5.0, 5.0]]], [[[7.0, 7.0]], [[40.0, 30.0]]]])

    maps = class_activation_maps(class_maps, torch.tensor([0, 1]))

    assert maps.tolist() == [[[0.0, 1.0]], [[1.0, 0.0]]]


def test_constant_map_gives_zeros() -> None:
    maps = class_activation_maps(torch.full((2, 3, 4, 5), 7.25), torch.tensor([0, 2]))

    assert maps.shape == (2, 4, 5)
    assert maps.abs().max().item() == 0.0


def test_bias_of_a_class_changes_nothing() -> None:
    class_maps = torch.randint(-8, 8, (3, 4, 6, 6), generator=torch.Generator().manual_seed(1))
    labels = torch.tensor([0, 1, 3])

    shifted = class_activation_maps(class_maps.float() + 16.0, labels)

    assert torch.equal(shifted, class_activation_maps(class_maps.float(), labels))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_reaches_both_ends_in_float32(dtype: torch.dtype) -> None:
    maps = min_max(torch.randn(8, 5, 7, generator=torch.Generator().manual_seed(2)).to(dtype))

    assert maps.dtype == torch.float32
    assert maps.amin(dim=(1, 2)).tolist() == [0.0] * 8
    assert maps.amax(dim=(1, 2)).tolist() == [1.0] * 8


def test_input_is_not_written() -> None:
    class_maps = torch.randn(2, 3, 4, 4)
    before = class_maps.clone()

    class_activation_maps(class_maps, torch.tensor([1, 2]))

    assert torch.equal(class_maps, before)


def test_gap_linear_network_gives_the_same_map() -> None:
    generator = torch.Generator().manual_seed(3)
    features = torch.randn(2, 16, 5, 5, generator=generator, dtype=torch.float64)
    weights = torch.randn(4, 16, generator=generator, dtype=torch.float64)
    labels = torch.tensor([3, 0])

    maps = class_activation_maps(
        torch.nn.functional.conv2d(features, weights[:, :, None, None]), labels
    )

    for image, label in enumerate(labels.tolist()):
        by_hand = np.einsum("c,chw->hw", weights[label].numpy(), features[image].numpy())
        by_hand = (by_hand - by_hand.min()) / (by_hand.max() - by_hand.min())
        assert np.abs(maps[image].numpy() - by_hand).max() < 1e-6


@pytest.mark.parametrize("labels", [[0, 3], [-1, 0], [0.0, 1.0]])
def test_label_out_of_range_is_refused(labels: list[float]) -> None:
    with pytest.raises(WsolbenchError, match=r"labels: .* expected integers 0\.\.2"):
        class_channels(torch.zeros(2, 3, 4, 4), torch.tensor(labels))


def test_one_label_an_image() -> None:
    with pytest.raises(WsolbenchError, match="pass one label per image"):
        class_channels(torch.zeros(2, 3, 4, 4), torch.tensor([0]))
