"""Images on which box and mask scores disagree."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..errors import WsolbenchError, printable
from .grid import MAX_PHOTOS
from .keys import Mark, framed
from .names import method_names
from .photos import (
    FALSE_ALARM,
    HIT,
    IGNORED,
    MAP_COLOURS,
    MISS,
    PREDICTED_BOX,
    TRUE_BOX,
    caption,
    foreground_with_mask,
    heading,
    map_with_boxes,
    photo_with_mask,
    row_height,
    side_text,
)
from .style import inches_of, picture, require_form
from .texts import line_height, small, wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..data.dataset import Dataset
    from ..evaluation.cases import Case, Cases
    from ..evaluation.overlays import Overlay
    from ..formats.submission.reader import Submission

__all__ = ["save_cases"]


def save_cases(
    dataset: Dataset,
    submission: Submission,
    cases: Cases,
    path: str | os.PathLike[str],
    style: str = "screen",
    width: str | None = None,
) -> None:
    """Draw the images that `cases.find_cases` chose into a PNG, SVG or PDF file, one per row.

    A row shows the photo with the outline of the mask, the map with boxes, and the foreground at
    the pixel threshold against the mask. If the box has a different threshold, the foreground at
    that threshold follows.

    Args:
        dataset: the split, with a folder of photos.
        submission: the submission that was scored.
        cases: the chosen images and their IoUs.
        path: the file to write.
        style: a key of `STYLES`.
        width: a key of `FIGURE_WIDTHS`; None for the width that the panels need.

    Raises:
        WsolbenchError: unsupported file extension, too many images, missing or damaged photo.
    """
    from ..evaluation.cases import KINDS
    from ..evaluation.overlays import read_overlays

    require_form(path)
    inches = inches_of(width)
    chosen = [case for group in cases.groups.values() for case in group.chosen]
    if len(chosen) > MAX_PHOTOS:
        raise WsolbenchError(
            "images",
            found=f"{len(chosen)} images",
            expected=f"at most {MAX_PHOTOS}",
            cure="draw fewer of each kind",
        )
    ids = [case.image_id for case in chosen]
    shown = list(read_overlays(dataset, [submission], ids, [None]))
    at = [cases.pixel_threshold]
    if cases.box_threshold not in (None, cases.pixel_threshold):
        at.append(cases.box_threshold)
    rows: list[str | tuple[Case, Overlay]] = []
    drawn = iter(shown)
    for name, kind in KINDS.items():
        group = cases.groups[name]
        counted = f"{group.images} of {cases.images} images" if group.images else "no image"
        rows.append(f"{kind.words}: {counted}")
        rows += [(case, next(drawn)) for case in group.chosen]
    columns = 2 + len(at)
    whole = 1.95 * columns if inches is None else inches
    panel = whole / columns - 0.1
    above = 0.16 if panel > 1.5 else 0.3
    tall = [row_height(row[1]) if not isinstance(row, str) else above / panel for row in rows]
    size = (whole, panel * sum(tall) + (0.5 if panel > 1.5 else 0.75) * len(shown))
    with picture(path, len(rows), columns, size, style, tall) as axes:
        for row, line in zip(rows, axes, strict=True):
            if isinstance(row, str):
                _kind_above(row, line, whole)
            else:
                _case(*row, at, line, panel)
        whose = f"{method_names([submission])[0][0]} on {printable(dataset.name)} {dataset.split}"
        boxes = "own boxes" if cases.box_threshold is None else f"boxes at T = {at[-1]}"
        title = f"{whose}: masks at T = {at[0]}, {boxes}"
        ignored = any(overlay.ignore is not None for overlay in shown)
        framed(axes[0, 0].figure, _marks(ignored), title=[title])


def _kind_above(text: str, axes: Sequence[Axes], inches: float) -> None:
    """A row of text above the images of a kind."""
    from matplotlib import rcParams

    for ax in axes:
        ax.set_axis_off()
    size = float(rcParams["font.size"])
    left = 3 * line_height(small())  # for the ids at the left of the photos, of two lines
    told = "\n".join(wrapped(text, inches - left, size, weight="bold"))
    above = axes[0].text(0, 0, told, fontsize=size, weight="bold", va="bottom")
    above.set_in_layout(False)  # else its column would become as wide as the text


def _case(
    case: Case, overlay: Overlay, at: Sequence[int], axes: Sequence[Axes], inches: float
) -> None:
    """Draw one row. The first threshold is the mask's, the last the box's."""
    levels = overlay.maps[0].levels
    box = None if case.box is None else np.array(case.box, dtype=np.int32)
    photo_with_mask(overlay.photo, overlay.mask, axes[0])
    side_text(axes[0], overlay.image_id, inches * row_height(overlay))
    map_with_boxes(overlay.photo, levels, overlay.boxes, box, axes[1])
    texts = {0: f"mask IoU {100 * case.mask_iou:.1f} %"}
    last = len(at) - 1
    texts[last] = f"{texts[0]}, " if last == 0 else ""
    texts[last] += f"box IoU {100 * case.box_iou:.1f} %"
    for place, (level, ax) in enumerate(zip(at, axes[2:], strict=True)):
        shown = box if place == last else None
        foreground = levels >= level
        foreground_with_mask(overlay.photo, foreground, overlay.mask, overlay.ignore, shown, ax)
        heading(ax, f"T = {level}: {texts[place]}", inches, 4)
    heading(axes[0], "photo, mask", inches)
    heading(axes[1], "map, boxes", inches)
    caption(axes[0], overlay.class_name, inches)


def _marks(ignored: bool) -> list[Mark]:
    """The key of what the panels show."""
    kinds = [("hit", HIT), ("missed", MISS), ("false alarm", FALSE_ALARM)]
    kinds += [("ignored", IGNORED)] if ignored else []
    marks = [Mark(name, colour, area=True) for name, colour in kinds]
    marks += [Mark("true box", TRUE_BOX, "--"), Mark("predicted box", PREDICTED_BOX, "-")]
    return [*marks, Mark("level of the map", ramp=MAP_COLOURS)]
