"""Photos next to the maps of submissions (paper Fig. 9)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from ..errors import WsolbenchError
from ..formats.result import Result
from .photos import (
    PREDICTED_BOX,
    TRUE_BOX,
    map_with_boxes,
    method_name,
    photo_alone,
    photo_with_mask,
    row_height,
)
from .style import picture, require_form

if TYPE_CHECKING:
    from ..data.dataset import Dataset
    from ..evaluation.overlays import Overlay
    from ..formats.submission.reader import Submission

__all__ = ["MAX_PHOTOS", "save_maps"]

MAX_PHOTOS = 40
"""Maximum number of photos in one figure."""


def save_maps(
    dataset: Dataset,
    submissions: Sequence[Submission],
    path: str | os.PathLike[str],
    image_ids: Sequence[str],
    results: Sequence[Result] = (),
    style: str = "screen",
) -> None:
    """Draw photos with masks, maps and boxes into a PNG, SVG or PDF file, one row per photo.

    Args:
        dataset: the split, with a folder of photos.
        submissions: drawn in one column each.
        path: the file to write.
        image_ids: the photos, from top to bottom, `MAX_PHOTOS` at most.
        results: of some of the submissions, to draw predicted boxes at their Box-T. A submission
            without a result gets no predicted box, unless it contains boxes.
        style: a key of `STYLES`.

    Raises:
        WsolbenchError: unsupported file extension, no photo or too many, a result that belongs to
            none of the submissions, or an error of `overlays.read_overlays`.
    """
    from ..evaluation.overlays import pair_results, read_overlays

    require_form(path)
    if not 1 <= len(image_ids) <= MAX_PHOTOS:
        raise WsolbenchError(
            "images",
            found=f"{len(image_ids)} images",
            expected=f"1 to {MAX_PHOTOS}",
            cure="draw fewer in one figure" if image_ids else "name at least one",
        )
    paired = pair_results(submissions, results)
    shown = list(read_overlays(dataset, submissions, image_ids, paired))
    titles = ["photo and mask" if any(overlay.mask.any() for overlay in shown) else "photo"]
    for opened, result in zip(submissions, paired, strict=True):
        at = (
            "no predicted box"
            if result is None
            else f"box at T = {result.scores.get('box_threshold')}"
            if result.threshold.own is None
            else f"box at {result.threshold.own.words}"
        )
        titles.append(f"{method_name(opened)}\n{'own boxes' if opened.boxes is not None else at}")
    tall = list(map(row_height, shown))
    size = (1.75 * len(titles) + 0.2, 1.75 * sum(tall) + 0.06 * len(tall) + 0.6)
    with picture(path, len(shown), len(titles), size, style, tall) as axes:
        for row, overlay in zip(axes, shown, strict=True):
            _overlay(overlay, row)
        for ax, title in zip(axes[0], titles, strict=True):
            ax.set_title(title, fontsize=8, parse_math=False)
        boxed = any(drawn.box is not None for overlay in shown for drawn in overlay.maps)
        _box_legend(axes, boxed)


def _overlay(overlay: Overlay, axes: NDArray[Any]) -> None:
    if overlay.mask.any():
        photo_with_mask(overlay.photo, overlay.mask, axes[0])
    else:
        photo_alone(overlay.photo, axes[0])
    axes[0].set_ylabel(overlay.image_id[:30], fontsize=6, parse_math=False)
    for ax, drawn in zip(axes[1:], overlay.maps, strict=True):
        map_with_boxes(overlay.photo, drawn.levels, overlay.boxes, drawn.box, ax)


def _box_legend(axes: NDArray[Any], boxed: bool) -> None:
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], color=TRUE_BOX, linestyle="--", label="true box")]
    if boxed:
        handles.append(Line2D([], [], color=PREDICTED_BOX, label="predicted box"))
    axes[0, 0].figure.legend(handles=handles, loc="outside lower center", ncols=2, fontsize=7)
