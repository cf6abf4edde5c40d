"""t-SNE repeats, and says in one line what it cannot do."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from wsolbench.baselines.embedding import SEED, chosen_positions, require_sklearn, tsne_coordinates
from wsolbench.errors import WsolbenchError


def clusters() -> np.ndarray:
    """Twelve directions near one axis, then twelve near another: float32 (24, 4)."""
    rng = np.random.default_rng(0)
    axes = np.repeat(np.eye(4)[:2], 12, axis=0)
    return (axes + 0.05 * rng.standard_normal((24, 4))).astype(np.float32)


def test_the_same_features_have_the_same_coordinates_and_lengths_play_no_part() -> None:
    features = clusters()
    first = tsne_coordinates(features, "a", perplexity=5, seed=1)
    assert (first.shape, first.dtype) == ((24, 2), np.float32)
    assert np.array_equal(first, tsne_coordinates(features, "a", perplexity=5, seed=1))
    assert np.array_equal(first, tsne_coordinates(4 * features, "a", perplexity=5, seed=1))
    # Each point's nearest neighbour is one of its own cluster.
    distances = np.linalg.norm(first[:, None] - first[None], axis=2) + np.diag([np.inf] * 24)
    assert (distances.argmin(axis=1) // 12 == np.arange(24) // 12).all()


def test_all_seeds_and_others_at_random_are_chosen() -> None:
    groups = np.zeros((4, 5), np.int8)
    groups[0, :3] = [SEED, 1, -1]
    groups[3, 4] = SEED
    every = chosen_positions(groups, 100, np.random.default_rng(0)).tolist()
    assert every == [0, 1, *range(3, 20)]
    some = [chosen_positions(groups, 6, np.random.default_rng(seed)).tolist() for seed in (0, 0, 1)]
    assert some[0] == some[1] != some[2]
    assert all(len(own) == 6 and {0, 19} < set(own) < set(every) for own in some)
    assert all(own == sorted(own) for own in some)
    assert chosen_positions(groups, 2, np.random.default_rng(0)).tolist() == [0, 19]
    with pytest.raises(WsolbenchError, match=r"max_pixels: found 1 for 2 seeds.*--max-pixels"):
        chosen_positions(groups, 1, np.random.default_rng(0))


@pytest.mark.parametrize(
    ("features", "perplexity", "message"),
    [
        (clusters(), 24, "^perplexity for a: found 24 for 24 positions.*--perplexity"),
        (clusters(), 0.5, "found 0.5 for 24 positions"),
        (clusters()[:, :1], 5, "^features of a: found one channel"),
        (np.ones((24, 3), np.float32), 5, "^features of a: found the same direction"),
        (np.zeros((24, 3), np.float32), 5, "^features of a: found the same direction"),
    ],
)
def test_what_cannot_be_embedded_is_refused(
    features: np.ndarray, perplexity: float, message: str
) -> None:
    with pytest.raises(WsolbenchError, match=message):
        tsne_coordinates(features, "a", perplexity=perplexity)


def test_a_missing_scikit_learn_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)  # as if it were not installed
    message = (
        r"^t-SNE: it needs scikit-learn, which is not installed; "
        r"pip install 'wsolbench\[embedding\]'$"
    )
    with pytest.raises(WsolbenchError, match=message):
        require_sklearn()
    with pytest.raises(WsolbenchError, match=message):
        tsne_coordinates(clusters(), "a", perplexity=5)
