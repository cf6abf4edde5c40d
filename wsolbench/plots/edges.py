"""Photos, the edges of several submissions, and the true boundary (paper Fig. 10)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..errors import WsolbenchError, printable
from ..metrics.boundary import edge_levels, suppress, true_boundary
from ..metrics.choices import BoundaryRule
from .grid import PHOTO_INCHES, require_photos
from .keys import framed
from .photos import heading, photo_grid, side_text
from .style import picture, require_form

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from ..data.dataset import Dataset
    from ..formats.submission.reader import Submission

__all__ = ["edges_on_white", "save_edges"]


def edges_on_white(levels: NDArray[np.uint8], ax: Axes) -> Axes:
    """Edges as edge papers draw them: dark lines on white.

    Args:
        levels: uint8 (height, width).
        ax: to draw on.
    """
    ax.imshow(levels, cmap="gray_r", vmin=0, vmax=255)
    return _framed(ax)


def _framed(ax: Axes) -> Axes:
    """A picture in a light frame, without ticks and grid."""
    ax.set_xticks([])
    ax.set_yticks([])
    ax.grid(visible=False)
    for spine in ax.spines.values():
        spine.set_visible(True)
        spine.set_color("#bbbbbb")
    return ax


def save_edges(
    dataset: Dataset,
    submissions: Sequence[Submission],
    path: str | os.PathLike[str],
    image_ids: Sequence[str],
    rule: BoundaryRule | None = None,
    style: str = "screen",
    width: str | None = None,
) -> None:
    """Draw photos, edges and true boundaries into a PNG, SVG or PDF file, one row per photo.

    Edges that do not fit beside their photo follow in more rows.

    Args:
        dataset: the split, with a folder of photos.
        submissions: of edges, drawn in one column each.
        path: the file to write.
        image_ids: the photos, from top to bottom, `grid.MAX_PHOTOS` at most.
        rule: how the edges are scored: suppressed edges are drawn where it suppresses them, and its
            true boundary. None draws edges as they are, and the usual boundary.
        style: a key of `STYLES`.
        width: a key of `FIGURE_WIDTHS`; None for the width that up to seven columns need.

    Raises:
        WsolbenchError: unsupported file extension; no photo or too many; a photo without mask, or
            without edges in a submission; a submission without edges, or of another data set.
    """
    from ..evaluation.checks import check_match

    require_form(path)
    require_photos(len(image_ids))
    grid = photo_grid(len(submissions) + 2, width)
    own = BoundaryRule(suppression=False) if rule is None else rule
    rows = [dataset.image_ids.index(name) for name in image_ids if name in dataset.image_ids]
    if len(rows) < len(image_ids):
        missing = next(name for name in image_ids if name not in dataset.image_ids)
        raise WsolbenchError(
            dataset.title,
            found=f"no image {missing!r}",
            expected="ids of this split",
            cure="name others (--ids)",
        )
    for opened in submissions:
        check_match(dataset, opened)
    samples = [dataset[row] for row in rows]
    shown = [[_edges(opened, name) for opened in submissions] for name in image_ids]
    titles = ["photo", *(printable(str(opened.header.method["name"])) for opened in submissions)]
    titles.append("true boundary")
    panel = grid.across(PHOTO_INCHES) - 0.08
    heights = [sample.mask.shape[0] / sample.mask.shape[1] for sample in samples]
    tall = [height for height in heights for _ in range(grid.rows)]
    texts = 0.08 * len(tall) + 0.4 * (1 if grid.rows == 1 else len(tall))
    size = (grid.columns * (panel + 0.08), panel * sum(tall) + texts)
    with picture(path, len(tall), grid.columns, size, style, tall) as axes:
        for place, (sample, planes) in enumerate(zip(samples, shown, strict=True)):
            panels = grid.filled(axes[place * grid.rows : (place + 1) * grid.rows])
            height, width_ = sample.mask.shape
            panels[0].imshow(np.asarray(sample.image.convert("RGB")))
            side_text(_framed(panels[0]), sample.image_id, panel * heights[place])
            for ax, edges in zip(panels[1:-1], planes, strict=True):
                levels = edge_levels(edges, height, width_)
                edges_on_white(suppress(levels) if own.suppression else levels, ax)
            truth = true_boundary(sample.mask, own.truth).astype(np.uint8) * 255
            edges_on_white(truth, panels[-1])
            for ax, title in zip(panels, titles, strict=True):
                if place == 0 or grid.rows > 1:
                    heading(ax, title, panel)
        framed(axes[0, 0].figure, source=dataset.title)


def _edges(opened: Submission, name: str) -> NDArray[np.uint8]:
    if name not in opened.image_ids:
        raise WsolbenchError(
            opened.path,
            found=f"no edges of {name}",
            expected="edges of each image that is drawn",
            cure="draw others (--ids)",
            exit_status=1,
        )
    return opened.read_edges([opened.image_ids.index(name)])[0]
