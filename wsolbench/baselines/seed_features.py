"""Features of seeds, of the rest of the object and of the background, image by image.

Follows Zhang et al., "Rethinking localization map", section 3.2 and Fig. 2a: the positions of a
feature map are divided into seeds, whose score in the class map is above 0.7, the rest of the
object by its mask, and the background. SEM assumes that the seeds' features are closer to the rest
of the object than to the background; `seed_statistics` says in numbers how far that holds.

Conventions: axes (height, width); a position of the map is a cell of the photo (or of its window,
if the model sees a crop), and of the group that covers at least half of what can be scored in it
(ours; the paper does not say). Similarities are the cosines of `sem`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from ..data.dataset import Dataset, Sample
from ..errors import WsolbenchError, require_choice
from .backbones import ClassMapModel
from .cam import min_max
from .class_map import ClassMapSource, join_classes, known_classes, mapped_images
from .devices import device_named
from .embedding import BACKGROUND, IGNORED, OBJECT, SEED
from .predict import (
    OWN_FEATURES,
    class_outputs,
    joined_features,
    probe,
    ready,
    require_classes,
    require_features,
)
from .reading import Photos, batches_of
from .sem import SMALLEST_NORM, seed_count, seed_similarities
from .window import check_window, stated_windows

__all__ = [
    "SEED_SCORE",
    "SeedFeatures",
    "SeedStatistics",
    "mask_groups",
    "seed_features",
    "seed_statistics",
]

SEED_SCORE = 0.7
"""Seeds of the paper's Fig. 2a have a higher value in the class map (section 3.2, after SPG)."""

PERCENTILE = 95
"""Of the background's similarities; few positions of the background exceed it."""

_TOLERANCE = 1e-9  # in pixels: borders of cells are floats


@dataclass(frozen=True, eq=False)
class SeedFeatures:
    """One photo's features and the groups of their positions.

    Attributes:
        image_id: its id.
        features: float32 (h, w, c).
        class_map: float32 (h, w) in [0, 1], the min-max of the class's channel.
        similarity: float32 (h, w) in [-1, 1], the cosine to the most similar seed: SEM's map before
            its min-max.
        groups: int8 (h, w) of `IGNORED`, `BACKGROUND`, `OBJECT` (its rest) and `SEED`.
        seeds_on_object: number of seeds on the object's mask.
        window: float64 (4,), the part (x0, y0, x1, y1) of the photo that the map shows, in pixels.
    """

    image_id: str
    features: NDArray[np.float32]
    class_map: NDArray[np.float32]
    similarity: NDArray[np.float32]
    groups: NDArray[np.int8]
    seeds_on_object: int
    window: NDArray[np.float64]


@dataclass(frozen=True)
class SeedStatistics:
    """How similar seeds are to the object and to the background of one image.

    Attributes:
        image_id: its id.
        seeds, seeds_on_object, object_rest, background: numbers of positions.
        seed_object: mean cosine of a seed and a position of the rest of the object.
        seed_background: mean cosine of a seed and a position of the background.
        auc: how often a position of the rest of the object is more similar to its best seed than
            one of the background, 0..1; equal similarities count half, so chance is 0.5.
        class_map_auc: the same by the values of the class map: what is known without features.
        above: share of the rest of the object that is more similar to its best seed than 95 % of
            the background.

    The last five are None where the object's rest or the background has no position.
    """

    image_id: str
    seeds: int
    seeds_on_object: int
    object_rest: int
    background: int
    seed_object: float | None
    seed_background: float | None
    auc: float | None
    class_map_auc: float | None
    above: float | None

    def as_dict(self) -> dict[str, object]:
        """The fields by name, for JSON."""
        return asdict(self)


def seed_features(
    model: ClassMapModel,
    dataset: Dataset,
    *,
    seeds: int | float | None = None,
    features: Sequence[str] = OWN_FEATURES,
    size: int | None = None,
    label: str = "gt",
    class_map: ClassMapSource | None = None,
    device: str = "auto",
    progress: Callable[[int, int], None] | None = None,
) -> list[SeedFeatures]:
    """The features and groups of all images of a data set, which are kept in memory.

    Args:
        model: the network, run in evaluation mode without gradients, and restored afterwards.
        dataset: images with masks, opened with their folder of photos.
        seeds: their number, or as a float their fraction of the positions; None for the positions
            whose value in the class map is above `SEED_SCORE`.
        features: names of `backbones.FEATURES`; several are concatenated.
        size: side in pixels to which photos are resized; None for the model's own.
        label: "gt" for seeds of the annotated class, "predicted" for those of the highest logit.
        class_map: the model classes of each class of the annotations; None if they must agree.
        device: see `predict`.
        progress: called with (photos done, photos).

    Raises:
        WsolbenchError: as `predict`; or an image has no mask, or its class map is constant.
    """
    require_choice("label", label, ("gt", "predicted"))
    require_features(model, features)
    dataset.require_masks("groups of positions")
    side = model.size if size is None else size
    where = device_named(device)
    found = []
    with ready(model.module, where):
        classes, height, width = probe(model, side, where)
        if seeds is not None:
            seed_count(seeds, height, width)
        if label == "gt":
            require_classes(dataset)
        source = known_classes(dataset.store, model.classes) if class_map is None else class_map
        joined = join_classes(dataset.store, classes, model.name, source)
        dataset = mapped_images(dataset, joined)
        windows = stated_windows(model, dataset, side)
        check_window(model, dataset, side)
        photos = Photos(dataset, range(len(dataset)), model.preprocess, side)
        for (row,), images, _ in batches_of(photos, 1, 0, where):
            sample = dataset[row]
            labels = dataset.class_indices[[row]] if label == "gt" else None
            channels, named, _ = class_outputs(
                model, images.to(where), [sample.image_id], labels, joined, features
            )
            vectors = joined_features(named, features, channels.shape[-2:])
            whole = np.array([0, 0, sample.width, sample.height], dtype=np.float64)
            window = whole if windows is None else windows[row]
            found.append(_grouped(sample, channels, vectors, seeds, window))
            if progress is not None:
                progress(len(found), len(dataset))
    return found


def _grouped(
    sample: Sample,
    channels: torch.Tensor,
    vectors: torch.Tensor,
    seeds: int | float | None,
    window: NDArray[np.float64],
) -> SeedFeatures:
    scores = min_max(channels)[0].cpu()
    if not bool(scores.any()):
        raise WsolbenchError(
            sample.image_id,
            found="a constant class map",
            expected="a map with a peak, where its seeds are",
            cure="leave the image out (--ids)",
        )
    height, width = scores.shape
    count = int((scores > SEED_SCORE).sum()) if seeds is None else seed_count(seeds, height, width)
    # as `seed_similarities` takes them
    chosen = torch.argsort(scores.flatten(), descending=True, stable=True)[:count].numpy()
    similarity = seed_similarities(scores[None], vectors.cpu(), count)[0]
    groups = mask_groups(sample.mask, sample.ignore, window, (height, width))
    on_object = int((groups.flat[chosen] == OBJECT).sum())
    groups.flat[chosen] = SEED
    return SeedFeatures(
        sample.image_id,
        vectors[0].permute(1, 2, 0).float().cpu().numpy(),
        scores.numpy(),
        similarity.numpy(),
        groups,
        on_object,
        window,
    )


def mask_groups(
    mask: NDArray[np.bool_],
    ignore: NDArray[np.bool_] | None,
    window: Sequence[float] | NDArray[np.float64],
    shape: tuple[int, int],
) -> NDArray[np.int8]:
    """Object and background on the grid of a map.

    Args:
        mask: bool (height, width), true on the object.
        ignore: bool (height, width), true where a pixel is not scored, or None.
        window: (x0, y0, x1, y1), the part of the photo that the map shows, in pixels; it may exceed
            the photo.
        shape: (h, w) of the map.

    Returns:
        int8 (h, w): `IGNORED` if less than half of a cell is on the photo and scored; else `OBJECT`
        if the mask covers at least half of that, and `BACKGROUND` if not.
    """
    x0, y0, x1, y1 = map(float, window)
    down = _overlaps(mask.shape[0], y0, y1, shape[0])
    across = _overlaps(mask.shape[1], x0, x1, shape[1])
    scored = np.ones_like(mask) if ignore is None else ~ignore
    known = down @ scored.astype(np.float64) @ across.T
    covered = down @ (mask & scored).astype(np.float64) @ across.T
    cell = (y1 - y0) / shape[0] * (x1 - x0) / shape[1]
    groups = np.where(2 * covered >= known - _TOLERANCE, OBJECT, BACKGROUND)
    return np.where(2 * known >= cell - _TOLERANCE, groups, IGNORED).astype(np.int8)


def _overlaps(side: int, low: float, high: float, count: int) -> NDArray[np.float64]:
    """Lengths (count, side) that `count` equal cells of [low, high] share with each pixel."""
    edges = np.linspace(low, high, count + 1)[:, None]
    pixel = np.arange(side)[None]
    shared = np.minimum(edges[1:], pixel + 1) - np.maximum(edges[:-1], pixel)
    return np.asarray(np.maximum(shared, 0.0))


def seed_statistics(found: SeedFeatures) -> SeedStatistics:
    """The similarities of one image's groups in the space of its features, in float64."""
    vectors = found.features.astype(np.float64)
    norms = np.linalg.norm(vectors, axis=2, keepdims=True)
    directions = vectors / np.maximum(norms, SMALLEST_NORM)
    seed, rest, ground = (found.groups == group for group in (SEED, OBJECT, BACKGROUND))
    # The mean of all pairs' cosines is the product of the mean directions.
    middle = directions[seed].mean(axis=0)
    there = bool(rest.any()), bool(ground.any())
    auc = map_auc = above = None
    if all(there):
        inside, outside = found.similarity[rest], found.similarity[ground]
        auc = _auc(inside, outside)
        map_auc = _auc(found.class_map[rest], found.class_map[ground])
        above = float((inside > np.percentile(outside, PERCENTILE)).mean())
    return SeedStatistics(
        found.image_id,
        int(seed.sum()),
        found.seeds_on_object,
        int(rest.sum()),
        int(ground.sum()),
        float(directions[rest].mean(axis=0) @ middle) if there[0] else None,
        float(directions[ground].mean(axis=0) @ middle) if there[1] else None,
        auc,
        map_auc,
        above,
    )


def _auc(inside: NDArray[np.float32], outside: NDArray[np.float32]) -> float:
    """The share of pairs in which the value inside is higher; equal ones count half."""
    ranked = np.sort(outside)
    below = np.searchsorted(ranked, inside, side="left").sum()
    upto = np.searchsorted(ranked, inside, side="right").sum()
    return float(below + upto) / (2 * inside.size * outside.size)
