"""The head by explicit operations, and where the four blocks of each backbone are."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from wsolbench.baselines.networks import PAPER, POOLED, build_network, recorded
from wsolbench.boundaries.head import BLOCKS, blocks_of, build_head
from wsolbench.errors import WsolbenchError

WITH_BLOCKS = sorted({*POOLED, *PAPER} - {"swin_t"})
DEEPER = {name for name in WITH_BLOCKS if name.startswith(("resnet101", "densenet169", "resnet34"))}
"""Networks with the layers of others, only more of them."""


@pytest.mark.parametrize("backbone", sorted({*WITH_BLOCKS} - DEEPER))
def test_blocks_are_four_depths_of_falling_size(backbone: str) -> None:
    # RegNet computes its widths with tensors, which needs values.
    device = "cpu" if backbone.startswith("regnet") else "meta"
    with torch.device(device):
        network = build_network(backbone, 2, seed=0).eval()
        image = torch.zeros(1, 3, 96, 96)
    places = blocks_of(backbone)
    with torch.no_grad(), recorded(network, places) as taken:
        last = network(image)[1].shape[-1]
    shapes = [tuple(taken[place].shape) for place in places]
    sides = [height for _, _, height, _ in shapes]
    assert [(1, side, side) for side in sides] == [(own[0], *own[2:]) for own in shapes]
    assert sides == sorted(sides, reverse=True)
    assert sides[0] >= 22  # stride 4 at most, without padding
    assert sides[3] >= last


def test_the_sizes_of_the_paper() -> None:
    """Photos of 224: InceptionV3 and VGG16 with features of 28x28 (section 4.1.3)."""
    wanted = {
        "inception_v3-sem": [(64, 110), (192, 54), (288, 28), (768, 28)],
        "vgg16-sem": [(64, 224), (128, 112), (256, 56), (512, 28)],
        "resnet50-sem": [(256, 56), (512, 28), (1024, 28), (2048, 28)],
        "squeezenet1_1-sem": [(64, 112), (128, 56), (256, 28), (512, 28)],
        "mini": [(24, 112), (48, 56), (48, 56), (96, 56)],
    }
    for backbone, shapes in wanted.items():
        with torch.device("meta"):
            network = build_network(backbone, 2, seed=0).eval()
            image = torch.zeros(1, 3, 224, 224)
        places = blocks_of(backbone)
        with recorded(network, places) as taken:
            network(image)
        assert [tuple(taken[place].shape[1:3]) for place in places] == shapes, backbone


def test_a_backbone_without_blocks_is_refused() -> None:
    assert {name.removesuffix("-sem").removesuffix("-gap") for name in WITH_BLOCKS} == set(BLOCKS)
    with pytest.raises(WsolbenchError, match=r"backbone 'swin_t': found no known blocks .* one of"):
        blocks_of("swin_t")


def test_the_head_step_by_step() -> None:
    head = build_head([3, 5], width=4, grid=12, seed=0).eval()
    state = head.state_dict()
    generator = torch.Generator().manual_seed(0)
    for name in state:  # batch norms that do something
        if "running" in name:
            state[name].copy_(torch.rand(state[name].shape, generator=generator) + 0.5)
    features = [torch.randn(2, 3, 8, 8, generator=generator)]
    features.append(torch.randn(2, 5, 4, 4, generator=generator))
    maps = torch.rand(2, 6, 6, generator=generator)

    def convolved(plane: torch.Tensor, name: str) -> torch.Tensor:
        plane = functional.conv2d(plane, state[f"{name}.0.weight"], padding=1)
        mean, variance = (state[f"{name}.1.running_{kind}"] for kind in ("mean", "var"))
        scaled = (plane - mean[:, None, None]) / (variance[:, None, None] + 1e-5).sqrt()
        weight, bias = state[f"{name}.1.weight"], state[f"{name}.1.bias"]
        return (scaled * weight[:, None, None] + bias[:, None, None]).relu()

    def upsampled(plane: torch.Tensor) -> torch.Tensor:
        return functional.interpolate(plane, size=(12, 12), mode="bilinear")

    planes = [upsampled(convolved(own, f"blocks.{i}")) for i, own in enumerate(features)]
    joined = torch.cat([*planes, upsampled(maps[:, None])], dim=1)
    joined = convolved(convolved(joined, "fuse.0"), "fuse.1")
    wanted = (joined * state["fuse.2.weight"][0]).sum(dim=1) + state["fuse.2.bias"]

    with torch.no_grad():
        found = head(features, maps)
    assert found.shape == (2, 12, 12)
    assert torch.allclose(found, wanted, atol=1e-5)


def test_the_seed_decides_the_weights_and_the_random_state_is_kept() -> None:
    before = torch.get_rng_state()
    heads = [build_head([3], 4, 8, seed=seed).state_dict() for seed in (0, 0, 1)]
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(heads[0][name], heads[1][name]) for name in heads[0])
    assert not torch.equal(heads[0]["fuse.0.0.weight"], heads[2]["fuse.0.0.weight"])
