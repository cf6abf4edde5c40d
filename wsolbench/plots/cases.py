"""Images on which box and mask scores disagree."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import WsolbenchError
from .maps import MAX_PHOTOS
from .photos import (
    FALSE_ALARM,
    HIT,
    IGNORED,
    MISS,
    PREDICTED_BOX,
    TRUE_BOX,
    foreground_with_mask,
    map_with_boxes,
    method_name,
    photo_with_mask,
    row_height,
)
from .style import picture, require_form

if TYPE_CHECKING:
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

    Raises:
        WsolbenchError: unsupported file extension, too many images, missing or damaged photo.
    """
    from ..evaluation.cases import KINDS
    from ..evaluation.overlays import read_overlays

    require_form(path)
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
    tall = [0.08 if isinstance(row, str) else row_height(row[1]) for row in rows]
    size = (2.0 * (2 + len(at)), 1.95 * sum(tall) + 0.2 * len(shown) + 0.7)
    with picture(path, len(rows), 2 + len(at), size, style, tall) as axes:
        for row, line in zip(rows, axes, strict=True):
            if isinstance(row, str):
                for ax in line:
                    ax.set_axis_off()
                heading = line[0].text(0, 0, row, fontsize=9, weight="bold")
                heading.set_in_layout(False)  # else its column would become as wide as the text
            else:
                _case(*row, at, line)
        figure = axes[0, 0].figure
        whose = f"{method_name(submission)} on {dataset.name} {dataset.split}"
        boxes = "own boxes" if cases.box_threshold is None else f"boxes at T = {at[-1]}"
        title = f"{whose}: masks at T = {at[0]}, {boxes}"
        figure.suptitle(title, fontsize=9, parse_math=False)
        _case_legend(figure, any(overlay.ignore is not None for overlay in shown))


def _case(case: Case, overlay: Overlay, at: Sequence[int], axes: NDArray[Any]) -> None:
    """Draw one row. The first threshold is the mask's, the last the box's."""
    levels = overlay.maps[0].levels
    box = None if case.box is None else np.array(case.box, dtype=np.int32)
    photo_with_mask(overlay.photo, overlay.mask, axes[0])
    axes[0].set_ylabel(overlay.image_id[:30], fontsize=6, parse_math=False)
    map_with_boxes(overlay.photo, levels, overlay.boxes, box, axes[1])
    texts = {0: f"mask IoU {100 * case.mask_iou:.1f} %"}
    last = len(at) - 1
    texts[last] = f"{texts[0]}, " if last == 0 else ""
    texts[last] += f"box IoU {100 * case.box_iou:.1f} %"
    for place, (level, ax) in enumerate(zip(at, axes[2:], strict=True)):
        shown = box if place == last else None
        foreground = levels >= level
        foreground_with_mask(overlay.photo, foreground, overlay.mask, overlay.ignore, shown, ax)
        ax.set_title(f"T = {level}: {texts[place]}", fontsize=7)
    axes[0].set_title("photo, mask", fontsize=7)
    axes[1].set_title("map, boxes", fontsize=7)


def _case_legend(figure: Any, ignored: bool) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    kinds = [("hit", HIT), ("missed", MISS), ("false alarm", FALSE_ALARM)]
    kinds += [("ignored", IGNORED)] if ignored else []
    handles: list[Any] = [Patch(color=colour, label=name) for name, colour in kinds]
    handles.append(Line2D([], [], color=TRUE_BOX, linestyle="--", label="true box"))
    handles.append(Line2D([], [], color=PREDICTED_BOX, label="predicted box"))
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), fontsize=7)
