"""Features in two dimensions by t-SNE (van der Maaten, JMLR 2014), with scikit-learn.

Conventions: features are divided by their norms, so that distances follow the cosines of SEM (ours;
the paper does not say). t-SNE starts from the first two principal components and runs in one
thread: the same features give the same picture. Distances between far points of an embedding mean
nothing; `seed_features.seed_statistics` has numbers of the features themselves.
"""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from ..errors import WsolbenchError

__all__ = [
    "BACKGROUND",
    "IGNORED",
    "OBJECT",
    "PERPLEXITY",
    "SEED",
    "chosen_positions",
    "require_sklearn",
    "tsne_coordinates",
]

IGNORED, BACKGROUND, OBJECT, SEED = -1, 0, 1, 2
"""Groups of positions: not scored, background, the rest of the object, and seeds. A seed is a seed
wherever it lies, also on the background."""

PERPLEXITY = 30.0
"""Of scikit-learn; the paper does not say."""


def require_sklearn() -> None:
    """Raise if scikit-learn is not installed. Call it before any work."""
    if find_spec("sklearn") is None:
        raise WsolbenchError(
            "t-SNE",
            found="it needs scikit-learn, which is not installed",
            cure="pip install 'wsolbench[embedding]'",
        )


def chosen_positions(
    groups: NDArray[np.int8], most: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Positions to embed: all seeds, and as many of the others as there is room for, at random.

    Args:
        groups: int8 (h, w); ignored positions are left out.
        most: number of positions.
        rng: draws the others; none is drawn if all have room.

    Returns:
        int64 (n,), places in the flattened map, ascending.

    Raises:
        WsolbenchError: there are more seeds than room.
    """
    flat = groups.ravel()
    seeds = np.flatnonzero(flat == SEED)
    others = np.flatnonzero((flat != IGNORED) & (flat != SEED))
    room = most - len(seeds)
    if room < 0:
        raise WsolbenchError(
            "max_pixels",
            found=f"{most} for {len(seeds)} seeds",
            expected=f"{len(seeds)} or more",
            cure="pass a larger number (--max-pixels), or fewer seeds (--seeds)",
        )
    if room < len(others):
        others = rng.choice(others, size=room, replace=False)
    return np.sort(np.concatenate([seeds, others])).astype(np.int64)


def tsne_coordinates(
    features: NDArray[np.float32], where: str, *, perplexity: float = PERPLEXITY, seed: int = 0
) -> NDArray[np.float32]:
    """Coordinates in two dimensions.

    Args:
        features: float32 (n, c), finite.
        where: whose they are, for messages.
        perplexity: about the number of neighbours that each point has, from 1 to below n.
        seed: of the random numbers, for large inputs' principal components.

    Returns:
        float32 (n, 2).

    Raises:
        WsolbenchError: scikit-learn is not installed, the perplexity is not below the number of
            positions, there is only one channel, or all features point in one direction.
    """
    require_sklearn()
    count, channels = features.shape
    if not 1 <= perplexity < count:
        raise WsolbenchError(
            f"perplexity for {where}",
            found=f"{perplexity:g} for {count} positions",
            expected="at least 1 and below the number of positions",
            cure="pass a smaller perplexity (--perplexity), or larger photos (--size)",
        )
    norms = np.linalg.norm(features, axis=1, keepdims=True)
    directions = (features / np.maximum(norms, np.finfo(np.float32).tiny)).astype(np.float32)
    if channels < 2 or not np.ptp(directions, axis=0).any():
        raise WsolbenchError(
            f"features of {where}",
            found="one channel" if channels < 2 else "the same direction at all positions",
            expected="features that differ in direction",
            cure="name other features (--features), or leave the image out (--ids)",
        )
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    # Sums over several threads would depend on their order.
    with threadpool_limits(limits=1):
        embedding = TSNE(perplexity=perplexity, init="pca", random_state=seed)
        return np.asarray(embedding.fit_transform(directions), dtype=np.float32)
