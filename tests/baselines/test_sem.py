from __future__ import annotations

import pytest
import torch
from torch import Tensor

from wsolbench.baselines.sem import seed_count, seed_similarities, self_enhancement_maps
from wsolbench.errors import WsolbenchError


def one_image(class_map: Tensor, features: Tensor, count: int) -> tuple[Tensor, float]:
    """Fig. 3 of the paper, seed by seed, and the spread of its similarities before scaling."""
    height, width = class_map.shape
    scaled = (class_map - class_map.min()) / (class_map.max() - class_map.min())
    ranked = sorted(range(height * width), key=lambda p: -scaled.flatten()[p].item())
    vectors = features.reshape(features.shape[0], -1)
    best = torch.full((height * width,), -2.0)
    for seed in ranked[:count]:
        similar = torch.nn.functional.cosine_similarity(vectors, vectors[:, seed, None], dim=0)
        best = torch.maximum(best, similar)
    best = best.view(height, width)
    spread = (best.max() - best.min()).item()
    return (best - best.min()) / spread, spread


def test_two_by_two_by_hand() -> None:
    class_maps = torch.tensor([[[4.0, 1.0], [2.0, 0.0]]])
    # Unit vectors at 0, 60, 90 and 180 degrees of the seed, which is the first position.
    features = torch.tensor([[[[2.0, 1.0], [0.0, -3.0]], [[0.0, 3.0**0.5], [5.0, 0.0]]]])

    maps = self_enhancement_maps(class_maps, features, seeds=1)
    # Cosines 1, 1/2, 0, -1, so (s + 1) / 2.
    assert maps[0].flatten().tolist() == pytest.approx([1.0, 0.75, 0.5, 0.0], abs=1e-6)

    maps = self_enhancement_maps(class_maps, features, seeds=2)
    # The second seed is at 90 degrees: maxima 1, cos 30, 1, 0.
    assert maps[0].flatten().tolist() == pytest.approx([1.0, 0.75**0.5, 1.0, 0.0], abs=1e-6)


@pytest.mark.parametrize("case", range(100))
def test_agrees_with_the_paper_image_by_image(case: int) -> None:
    generator = torch.Generator().manual_seed(case)

    def drawn(low: int, high: int) -> int:
        return int(torch.randint(low, high, (), generator=generator))

    batch, channels, height, width = drawn(1, 6), drawn(1, 40), drawn(2, 9), drawn(2, 9)
    class_maps = torch.randn(batch, height, width, generator=generator)
    features = torch.randn(batch, channels + 2, height, width, generator=generator)
    if case % 2:
        features = features.relu() + 0.01
    for count in (1, drawn(1, height * width // 2 + 1), height * width // 2):
        maps = self_enhancement_maps(class_maps, features, seeds=count)
        for image in range(batch):
            wanted, spread = one_image(class_maps[image], features[image], count)
            # The paper's own rounding errors are stretched with its map: 1e-5 of a full spread.
            assert (maps[image] - wanted).abs().max().item() <= 1e-5 / min(1.0, 4 * spread)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_dtypes_are_computed_in_float32(dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(7)
    class_maps = torch.randn(3, 6, 7, generator=generator).to(dtype)
    features = torch.randn(3, 24, 6, 7, generator=generator).to(dtype)

    maps = self_enhancement_maps(class_maps, features, seeds=5)

    assert maps.dtype == torch.float32
    assert torch.equal(maps, self_enhancement_maps(class_maps.float(), features.float(), seeds=5))
    for image in range(3):
        wanted, _ = one_image(class_maps[image].float(), features[image].float(), 5)
        assert (maps[image] - wanted).abs().max().item() <= 1e-5


def test_batch_of_many_equals_batches_of_one() -> None:
    generator = torch.Generator().manual_seed(8)
    class_maps = torch.randn(7, 10, 9, generator=generator)
    features = torch.randn(7, 64, 10, 9, generator=generator)

    together = self_enhancement_maps(class_maps, features, seeds=0.1)

    for image in range(7):
        alone = self_enhancement_maps(class_maps[image, None], features[image, None], seeds=9)
        assert (together[image] - alone[0]).abs().max().item() <= 1e-6


def test_ties_take_the_lowest_position_first() -> None:
    # Orthogonal features: only the seeds themselves are lit, so the map shows which were taken.
    features = torch.eye(6).view(1, 6, 2, 3)
    class_maps = torch.tensor([[[0.0, 1.0, 1.0], [1.0, 2.0, 1.0]]])

    lit = [
        self_enhancement_maps(class_maps, features, seeds=count).flatten().nonzero().flatten()
        for count in (1, 2, 3, 4, 5)
    ]

    assert [positions.tolist() for positions in lit] == [
        [4],
        [1, 4],
        [1, 2, 4],
        [1, 2, 3, 4],
        [1, 2, 3, 4, 5],
    ]


def test_ties_do_not_depend_on_the_batch() -> None:
    generator = torch.Generator().manual_seed(9)
    class_maps = torch.randint(0, 3, (64, 12, 12), generator=generator).float()
    features = torch.eye(144).view(1, 144, 12, 12).expand(64, -1, -1, -1)

    together = self_enhancement_maps(class_maps, features, seeds=60)

    for image in range(64):
        scores = class_maps[image].flatten().tolist()
        wanted = sorted(sorted(range(144), key=lambda p, s=scores: (-s[p], p))[:60])
        assert together[image].flatten().nonzero().flatten().tolist() == wanted


def test_zero_features_are_similar_to_nothing() -> None:
    class_maps = torch.tensor([[[3.0, 2.0, 1.0]]])
    features = torch.tensor([[[[1.0, 0.0, -1.0]], [[0.0, 0.0, 0.0]]]])

    maps = self_enhancement_maps(class_maps, features, seeds=1)

    assert maps.flatten().tolist() == [1.0, 0.5, 0.0]
    assert seed_similarities(class_maps, features, seeds=1).flatten().tolist() == [1.0, 0.0, -1.0]


def test_constant_class_map_gives_zeros_beside_one_that_is_not() -> None:
    generator = torch.Generator().manual_seed(10)
    class_maps = torch.randn(2, 4, 4, generator=generator)
    class_maps[0] = 1.5
    features = torch.randn(2, 8, 4, 4, generator=generator)

    maps = self_enhancement_maps(class_maps, features, seeds=3)

    assert maps[0].abs().max().item() == 0.0
    assert maps[1].max().item() == 1.0


def test_constant_result_gives_zeros() -> None:
    maps = self_enhancement_maps(torch.arange(12.0).view(1, 3, 4), torch.zeros(1, 5, 3, 4), seeds=2)

    assert maps.abs().max().item() == 0.0


def test_every_position_a_seed_leaves_nothing_to_tell_apart() -> None:
    generator = torch.Generator().manual_seed(12)
    class_maps = torch.randn(4, 8, 8, generator=generator)
    features = torch.randn(4, 100, 8, 8, generator=generator)

    assert self_enhancement_maps(class_maps, features, seeds=64).abs().max().item() == 0.0
    assert self_enhancement_maps(class_maps, features, seeds=1.0).abs().max().item() == 0.0


def test_every_position_a_seed_marks_where_there_are_features() -> None:
    features = torch.tensor([[[[3.0, 0.0], [-1.0, 0.0]], [[4.0, 0.0], [1.0, 0.0]]]])

    maps = self_enhancement_maps(torch.tensor([[[1.0, 2.0], [3.0, 4.0]]]), features, seeds=4)

    assert maps.tolist() == [[[1.0, 0.0], [1.0, 0.0]]]


def test_one_direction_everywhere_is_constant_in_spite_of_rounding() -> None:
    generator = torch.Generator().manual_seed(13)
    class_maps = torch.randn(4, 8, 8, generator=generator)
    strength = torch.rand(4, 1, 8, 8, generator=generator) + 0.1
    features = torch.randn(4, 100, 1, 1, generator=generator) * strength

    assert self_enhancement_maps(class_maps, features, seeds=5).abs().max().item() == 0.0


def test_seeds_have_exactly_one() -> None:
    generator = torch.Generator().manual_seed(14)
    class_maps = torch.randn(4, 8, 8, generator=generator)
    features = torch.randn(4, 100, 8, 8, generator=generator)

    maps = self_enhancement_maps(class_maps, features, seeds=7)

    seeds = class_maps.flatten(1).topk(7).indices
    assert maps.flatten(1).gather(1, seeds).min().item() == 1.0
    assert (maps == 1.0).sum().item() == 28


def test_monotone_change_of_the_class_map_changes_nothing() -> None:
    generator = torch.Generator().manual_seed(11)
    class_maps = torch.randint(-50, 50, (3, 6, 6), generator=generator).float()
    features = torch.randn(3, 16, 6, 6, generator=generator)

    maps = self_enhancement_maps(class_maps, features, seeds=0.25)

    assert torch.equal(self_enhancement_maps(4.0 * class_maps - 8.0, features, seeds=0.25), maps)


@pytest.mark.parametrize(
    "seeds, count",
    [(1, 1), (196, 196), (1.0, 196), (0.05, 10), (0.0001, 1), (0.5, 98)],
)
def test_seed_count(seeds: float, count: int) -> None:
    assert seed_count(seeds, 14, 14) == count


@pytest.mark.parametrize("seeds", [0, -1, 197, 0.0, -0.1, 1.5, 40.0, float("nan"), True, "all"])
def test_seeds_out_of_range_are_refused_and_a_share_is_offered(seeds: float) -> None:
    with pytest.raises(
        WsolbenchError, match=r"an integer from 1 to 196.*use a fraction of the positions"
    ):
        seed_count(seeds, 14, 14)


def test_more_seeds_than_positions_names_the_map_size() -> None:
    with pytest.raises(WsolbenchError, match="found 60 on maps of 7x7"):
        self_enhancement_maps(torch.zeros(1, 7, 7), torch.zeros(1, 2, 7, 7), seeds=60)


def test_shapes_must_agree() -> None:
    with pytest.raises(WsolbenchError, match=r"select the channel of the class first"):
        self_enhancement_maps(torch.zeros(1, 10, 7, 7), torch.zeros(1, 2, 7, 7))
    with pytest.raises(WsolbenchError, match=r"\(B, h, w\) and \(B, c, h, w\)"):
        self_enhancement_maps(torch.zeros(2, 7, 7), torch.zeros(1, 2, 7, 7))


def test_maps_need_not_be_contiguous() -> None:
    torch.manual_seed(0)
    class_maps, features = torch.rand(2, 5, 4), torch.rand(2, 8, 5, 4)
    turned = class_maps.transpose(1, 2).contiguous().transpose(1, 2)
    assert not turned.is_contiguous()
    maps = self_enhancement_maps(turned, features, 3)
    assert maps.equal(self_enhancement_maps(class_maps, features, 3))
