"""Histogram of object area / image area (paper, supplement Fig. 1)."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..errors import WsolbenchError, printable, require_type
from .grid import panel_grid
from .keys import Mark, framed, legend_beside
from .style import look, picture, require_form

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..formats.annotations import AnnotationStore

__all__ = ["AREA_BINS", "area_rates", "count_area_rates", "save_areas"]

AREA_BINS = 20
"""Number of histogram bins; each covers 5 % of the image area."""


def count_area_rates(store: AnnotationStore) -> dict[str, NDArray[np.int64]]:
    """Count the objects of each split by the share of the image that they cover.

    Returns:
        By split, int64 (AREA_BINS,): bin b counts the shares in [b, b + 1) / AREA_BINS; the last
        bin includes 1. Images without a mask are left out.

    Raises:
        WsolbenchError: no image has a mask.
    """
    from ..formats.annotations import AnnotationStore

    require_type("store", store, (AnnotationStore,), "an AnnotationStore, such as dataset.store")
    masked = store.masked
    if not masked.any():
        raise WsolbenchError(
            store.path, found="no mask, only boxes", cure="name annotations with masks"
        )
    splits = np.array(store.splits)[masked]
    pixels = store.heights[masked].astype(np.int64) * store.widths[masked]
    bins = np.minimum(store.areas[masked] * AREA_BINS // pixels, AREA_BINS - 1)
    return {
        str(split): np.bincount(bins[splits == split], minlength=AREA_BINS).astype(np.int64)
        for split in np.unique(splits)
    }


def area_rates(
    counts: Mapping[str, Sequence[int] | NDArray[np.int64]], ax: Axes, *, legend: bool = True
) -> Axes:
    """Histogram of object area / image area by split (paper, supplement Fig. 1).

    Args:
        counts: by split, the number of images in each of equally wide bins from 0 to 1.
        ax: to draw on.
        legend: whether to add a legend beside the axes.
    """
    require_type("counts", counts, (Mapping,), "counts by split, of count_area_rates")
    for place, (split, held) in enumerate(counts.items()):
        bin_width = 100 / len(held)
        bar_width = 0.9 * bin_width / len(counts)
        left = [bin_width * (bin_ + 0.05) + place * bar_width for bin_ in range(len(held))]
        ax.bar(
            left,
            held,
            bar_width,
            align="edge",
            color=look(place).colour,
            label=split,
        )
    ax.set(xlabel="Object area / image area (%)", ylabel="Images", xlim=(0, 100))
    ax.grid(axis="x", visible=False)
    ax.set_axisbelow(True)
    if legend:
        legend_beside(ax, _marks(counts), "")
    return ax


def save_areas(
    store: AnnotationStore,
    path: str | os.PathLike[str],
    style: str = "screen",
    width: str | None = None,
) -> None:
    """Draw the histogram of object area / image area by split into a PNG, SVG or PDF file.

    Args:
        store: the annotations.
        path: the file to write.
        style: a key of `STYLES`.
        width: a key of `FIGURE_WIDTHS`; None for the width that the panel needs.

    Raises:
        WsolbenchError: unsupported file extension, damaged annotation file, no mask in it.
    """
    require_form(path)
    grid = panel_grid(1, width)
    counts = count_area_rates(store)
    with picture(path, 1, 1, grid.size(5.2, 3.2), style) as axes:
        area_rates(counts, axes[0, 0], legend=False)
        framed(axes[0, 0].figure, _marks(counts), source=printable(store.dataset))


def _marks(counts: Mapping[str, Sequence[int] | NDArray[np.int64]]) -> list[Mark]:
    return [
        Mark(
            f"{printable(split)[:40]}: {sum(int(n) for n in held):,} images",
            look(place).colour,
            area=True,
        )
        for place, (split, held) in enumerate(counts.items())
    ]
