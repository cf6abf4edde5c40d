"""Features of seeds, of the rest of the object and of the background (paper Fig. 2a)."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..baselines.embedding import (
    BACKGROUND,
    OBJECT,
    PERPLEXITY,
    SEED,
    chosen_positions,
    tsne_coordinates,
)
from .grid import require_photos
from .keys import Mark, framed
from .photos import heading, photo_with_mask
from .style import inches_of, picture, require_form

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..baselines.seed_features import SeedFeatures, SeedStatistics
    from ..data.dataset import Dataset

__all__ = [
    "MAX_PANELS",
    "MAX_PIXELS",
    "SeedPanel",
    "embedded_groups",
    "photo_with_seeds",
    "save_seeds",
    "seed_panels",
]

MAX_PANELS = 24
"""Maximum number of photos in one figure."""

MAX_PIXELS = 1000
"""Number of positions that are embedded of each image, unless told otherwise."""

COLUMNS = 6

_LOOKS = {  # drawn in this order, so that the few seeds stay in sight
    BACKGROUND: ("background", "#999999", "o", 4.0),
    OBJECT: ("rest of the object", "#0072B2", "s", 5.0),
    SEED: ("seeds", "#D55E00", "^", 11.0),
}
"""Title, colour (two of Okabe and Ito's, and grey), marker and its area in square points."""


@dataclass(frozen=True, eq=False)
class SeedPanel:
    """What is drawn of one image.

    Attributes:
        image_id: its id, drawn above the photo.
        photo: uint8 (height, width, 3).
        mask: bool (height, width).
        groups: int8 (h, w) of `baselines.embedding`, on the grid of the map.
        window: (x0, y0, x1, y1), the part of the photo that the map shows, in pixels.
        positions: int64 (n,), the embedded places of the flattened map.
        coordinates: float32 (n, 2) of these.
        caption: drawn above the embedding.
    """

    image_id: str
    photo: NDArray[np.uint8]
    mask: NDArray[np.bool_]
    groups: NDArray[np.int8]
    window: NDArray[np.float64]
    positions: NDArray[np.int64]
    coordinates: NDArray[np.float32]
    caption: str = ""


def seed_panels(
    dataset: Dataset,
    found: Sequence[tuple[SeedFeatures, SeedStatistics]],
    *,
    perplexity: float = PERPLEXITY,
    seed: int = 0,
    max_pixels: int = MAX_PIXELS,
    progress: Callable[[int, int], None] | None = None,
) -> list[SeedPanel]:
    """Embed the features of each image by t-SNE, each alone.

    Args:
        dataset: of the images, with their folder of photos.
        found: the features and numbers of each image.
        perplexity: about the number of neighbours of each point; below the number of positions.
        seed: of the positions that are drawn, for each image afresh, and of t-SNE.
        max_pixels: number of positions to embed: all seeds, and others drawn at random.
        progress: called with (images done, images).

    Raises:
        WsolbenchError: an error of `embedding.tsne_coordinates`, more seeds than `max_pixels`, or a
            photo that is missing or damaged.
    """
    panels = []
    for own, numbers in found:
        rng = np.random.default_rng(seed)
        positions = chosen_positions(own.groups, max_pixels, rng)
        features = own.features.reshape(-1, own.features.shape[2])[positions]
        coordinates = tsne_coordinates(features, own.image_id, perplexity=perplexity, seed=seed)
        sample = dataset[own.image_id]
        photo = np.asarray(sample.image)
        panels.append(
            SeedPanel(
                own.image_id,
                photo,
                sample.mask,
                own.groups,
                own.window,
                positions,
                coordinates,
                _caption(numbers),
            )
        )
        if progress is not None:
            progress(len(panels), len(found))
    return panels


def _caption(numbers: SeedStatistics) -> str:
    cosines = [
        f"{name} {value:.2f}"
        for name, value in (
            ("object", numbers.seed_object),
            ("background", numbers.seed_background),
        )
        if value is not None
    ]
    words = [f"AUC {100 * numbers.auc:.0f} %"] if numbers.auc is not None else []
    words += ["cosine: " + ",\n".join(cosines)] if cosines else []
    return "\n".join(words)


def photo_with_seeds(
    photo: NDArray[np.uint8],
    mask: NDArray[np.bool_],
    seeds: NDArray[np.bool_],
    window: Sequence[float] | NDArray[np.float64],
    ax: Axes,
) -> Axes:
    """A photo, the outline of the object's mask, and the centres of the seeds.

    Args:
        photo: uint8 (height, width, 3).
        mask: bool (height, width).
        seeds: bool (h, w), true at the seeds, on the grid of the map.
        window: (x0, y0, x1, y1), the part of the photo that the map shows, in pixels.
        ax: to draw on; its units are pixels.
    """
    photo_with_mask(photo, mask, ax)
    x0, y0, x1, y1 = map(float, window)
    rows, columns = np.nonzero(seeds)
    x = x0 + (columns + 0.5) * (x1 - x0) / seeds.shape[1]
    y = y0 + (rows + 0.5) * (y1 - y0) / seeds.shape[0]
    _, colour, marker, area = _LOOKS[SEED]
    ax.scatter(x, y, s=area, c=colour, marker=marker, edgecolors="white", linewidths=0.4)
    ax.set(xlim=(0, photo.shape[1]), ylim=(photo.shape[0], 0))
    return ax


def embedded_groups(coordinates: NDArray[np.float32], groups: NDArray[np.int8], ax: Axes) -> Axes:
    """Embedded features in the colours of their groups.

    Args:
        coordinates: float32 (n, 2).
        groups: int8 (n,) of `baselines.embedding`.
        ax: to draw on; it gets no ticks, because directions and units of t-SNE mean nothing.
    """
    for group, (title, colour, marker, area) in _LOOKS.items():
        x, y = coordinates[groups == group].T
        edge = "white" if group == SEED else "none"
        ax.scatter(
            x, y, s=area, c=colour, marker=marker, edgecolors=edge, linewidths=0.3, label=title
        )
    ax.set(xticks=[], yticks=[])
    ax.set_aspect("equal", adjustable="datalim")
    ax.spines[:].set_visible(True)
    ax.spines[:].set_color("#cccccc")
    return ax


def save_seeds(
    panels: Sequence[SeedPanel],
    path: str | os.PathLike[str],
    title: str = "",
    style: str = "screen",
    width: str | None = None,
) -> None:
    """Draw photos with seeds, and their embedded features below, into a PNG, SVG or PDF file.

    Args:
        panels: from left to right, six in a row, or as many as the width has room for.
        path: the file to write.
        title: above the figure.
        style: a key of `STYLES`.
        width: a key of `FIGURE_WIDTHS`; None for the width that the panels need.

    Raises:
        WsolbenchError: unsupported file extension, no image or too many.
    """
    require_form(path)
    inches = inches_of(width)
    require_photos(len(panels), MAX_PANELS)
    columns = min(len(panels), COLUMNS if inches is None else int(inches))
    blocks = [panels[start : start + columns] for start in range(0, len(panels), columns)]
    tall: list[float] = []
    for block in blocks:
        shapes = [panel.mask.shape for panel in block]
        tall += [min(1.0, max(h / w for h, w in shapes)), 1.0]
    whole = 2.0 * max(columns, 2) if inches is None else inches
    side = whole / max(columns, 2) - 0.1
    size = (whole, side * sum(tall) + (0.75 if side > 1.5 else 1.0) * len(blocks))
    with picture(path, len(tall), columns, size, style, tall) as axes:
        for ax in axes.flat:
            ax.set_axis_off()
        for place, block in enumerate(blocks):
            for column, panel in enumerate(block):
                _panel(panel, axes[2 * place, column], axes[2 * place + 1, column], side)
        framed(axes[0, 0].figure, _marks(), title=[title] if title else ())


def _panel(panel: SeedPanel, above: Axes, below: Axes, inches: float) -> None:
    for ax in (above, below):
        ax.set_axis_on()
    photo_with_seeds(panel.photo, panel.mask, panel.groups == SEED, panel.window, above)
    heading(above, panel.image_id, inches, 1)
    embedded_groups(panel.coordinates, panel.groups.ravel()[panel.positions], below)
    heading(below, panel.caption, inches, 4)


def _marks() -> list[Mark]:
    """The key of the groups, and of the outline."""
    groups = [Mark(own, colour, marker=at) for own, colour, at, _ in reversed(_LOOKS.values())]
    return [*groups, Mark("outline of the mask", outline=True)]
