"""Photos next to the maps of submissions (paper Fig. 9)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..formats.result import Result, levels_read
from .grid import PHOTO_INCHES, require_photos
from .keys import Mark, framed
from .names import method_names
from .photos import (
    MAP_COLOURS,
    PREDICTED_BOX,
    TRUE_BOX,
    caption,
    heading,
    map_with_boxes,
    photo_grid,
    photo_with_mask,
    row_height,
    side_text,
)
from .style import picture, require_form

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..data.dataset import Dataset
    from ..evaluation.overlays import Overlay
    from ..formats.submission.reader import Submission

__all__ = ["save_maps"]


def save_maps(
    dataset: Dataset,
    submissions: Sequence[Submission],
    path: str | os.PathLike[str],
    image_ids: Sequence[str],
    results: Sequence[Result] = (),
    style: str = "screen",
    width: str | None = None,
) -> None:
    """Draw photos with masks, maps and boxes into a PNG, SVG or PDF file, one row per photo.

    Maps that do not fit beside their photo follow in more rows. Below a photo is the name of its
    class, and below a map with a result its IoU with the mask, at the threshold of its outline.

    Args:
        dataset: the split, with a folder of photos.
        submissions: drawn in one column each.
        path: the file to write.
        image_ids: the photos, from top to bottom, `grid.MAX_PHOTOS` at most.
        results: of some of the submissions, to draw predicted boxes at their Box-T and outlines of
            the foreground at their Peak-T, or whichever thresholds they were read at. A submission
            without a result gets neither, unless it contains boxes.
        style: a key of `STYLES`.
        width: a key of `FIGURE_WIDTHS`; None for the width that up to seven columns need.

    Raises:
        WsolbenchError: unsupported file extension, no photo or too many, a result that belongs to
            none of the submissions, or an error of `overlays.read_overlays`.
    """
    from ..evaluation.overlays import pair_results, read_overlays

    require_form(path)
    require_photos(len(image_ids))
    grid = photo_grid(len(submissions) + 1, width)
    paired = pair_results(submissions, results)
    shown = list(read_overlays(dataset, submissions, image_ids, paired))
    titles = ["photo and mask" if any(overlay.mask.any() for overlay in shown) else "photo"]
    names, common = method_names(submissions)
    for name, opened, result in zip(names, submissions, paired, strict=True):
        missing = "no result" if results and result is None else ""
        told = ", ".join(part for part in (_thresholds(opened, result), missing) if part)
        titles.append(f"{name}\n{told}".rstrip())
    panel = grid.across(PHOTO_INCHES) - 0.1
    tall = [height for overlay in shown for height in [row_height(overlay)] * grid.rows]
    texts = 0.2 * len(tall) + 0.45 * (1 if grid.rows == 1 else len(tall))
    size = (grid.columns * (panel + 0.1), panel * sum(tall) + texts)
    with picture(path, len(tall), grid.columns, size, style, tall) as axes:
        for place, overlay in enumerate(shown):
            rows = axes[place * grid.rows : (place + 1) * grid.rows]
            panels = grid.filled(rows)
            _overlay(overlay, panels, panel)
            if place == 0 or grid.rows > 1:
                for ax, title in zip(panels, titles, strict=True):
                    heading(ax, title, panel, 3)
        source = dataset.title + (f"; all methods: {common}" if common else "")
        framed(axes[0, 0].figure, _marks(shown), source=source)


def _thresholds(opened: Submission, result: Result | None) -> str:
    """What a title says of the thresholds of one column."""
    boxes = "own boxes" if opened.boxes is not None else ""
    if result is None:
        return boxes
    if result.threshold.own is not None:
        return f"T: {result.threshold.own.words}"
    read = levels_read(result.threshold, result.scores)
    pixel = f"T = {read['pixel']}" if "pixel" in read else ""
    boxes = boxes or f"box at {read['box']}".replace(" ", "\N{NO-BREAK SPACE}")
    return ", ".join(part for part in (pixel, boxes) if part)


def _overlay(overlay: Overlay, axes: Sequence[Axes], inches: float) -> None:
    photo_with_mask(overlay.photo, overlay.mask, axes[0])
    side_text(axes[0], overlay.image_id, inches * row_height(overlay))
    caption(axes[0], overlay.class_name, inches)
    for ax, drawn in zip(axes[1:], overlay.maps, strict=True):
        map_with_boxes(overlay.photo, drawn.levels, overlay.boxes, drawn.box, ax, drawn.foreground)
        if drawn.iou is not None:
            caption(ax, f"IoU {100 * drawn.iou:.1f} %", inches)


def _marks(shown: Sequence[Overlay]) -> list[Mark]:
    """The key of what the panels show."""
    drawn = [own for overlay in shown for own in overlay.maps]
    marks = []
    if any(own.foreground is not None for own in drawn):
        marks.append(Mark("foreground of the map at T", outline=True))
    marks.append(Mark("true box", TRUE_BOX, "--"))
    if any(own.box is not None for own in drawn):
        marks.append(Mark("predicted box", PREDICTED_BOX, "-"))
    return [*marks, Mark("level of the map", ramp=MAP_COLOURS)]
