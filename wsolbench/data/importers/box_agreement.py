"""Whether boxes and masks of one data set tell the same.

A box is read by a convention that its file does not state: corners or sizes, exclusive or inclusive
far corners. Its mask is a second witness. Where boxes fit their masks only by another convention,
or miss them altogether, an import is refused with that cause; boxes that are merely loose are
noted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from ...errors import WsolbenchError, some
from .mask_files import Box
from .rounding import AGREED, difference, whole_box
from .tables import refuse

__all__ = [
    "CORNERS",
    "KEEP",
    "SIZES",
    "TIGHTEN",
    "Compared",
    "check_agreement",
    "notes_of_agreement",
    "one_choice",
    "other_readings",
]

TIGHTEN = "use each mask's tight box instead: --tight-boxes, in Python tight_boxes=True"
KEEP = "keep the boxes as they are: --keep-boxes, in Python keep_boxes=True"

SIZES = "as x, y, width and height"
CORNERS = "as x0, y0, x1, y1"

_Numbers = tuple[float, float, float, float]

_READINGS: dict[str, Callable[[_Numbers], _Numbers]] = {
    SIZES: lambda box: (box[0], box[1], box[0] + box[2], box[1] + box[3]),
    CORNERS: lambda box: box,
    "as y, x, height and width": lambda box: (box[1], box[0], box[1] + box[3], box[0] + box[2]),
    "as y0, x0, y1, x1": lambda box: (box[1], box[0], box[3], box[2]),
    "as the centre's x and y, width and height": lambda box: (
        box[0] - box[2] / 2,
        box[1] - box[3] / 2,
        box[0] + box[2] / 2,
        box[1] + box[3] / 2,
    ),
}
"""The corners of a box by each convention; the names continue "fit their masks only ..."."""


@dataclass(frozen=True)
class Compared:
    """A box, or the hull of an image's boxes, beside its mask.

    Attributes:
        name: what has the box, e.g. "annotation 12".
        box: the box in whole pixels; None if it has no pixel within the image.
        tight: the tight box of the mask.
        fault: why there is no box; empty if there is one.
        apart: the box has no pixel of the object.
        exact: the mask is one of pixels, not a drawn outline that was filled.
        readings: the box and the tight box of the mask as other conventions would have them, as
            far as they have pixels then, by the convention's name.
    """

    name: str
    box: Box | None
    tight: Box
    fault: str = ""
    apart: bool = False
    exact: bool = True
    readings: Mapping[str, tuple[Box, Box]] = field(default_factory=dict)

    def distance(self, reading: str = "") -> float:
        """Pixels between box and mask, as read or by another convention; infinite without box."""
        box, tight = self.readings.get(reading, (None, None)) if reading else (self.box, self.tight)
        return math.inf if box is None or tight is None else difference(box, tight)


def other_readings(
    box: _Numbers, given: str, tight: Box, size: tuple[int, int]
) -> dict[str, tuple[Box, Box]]:
    """What the four numbers of a box mean by other conventions than the given one.

    Args:
        box: the numbers, as its file has them.
        given: the convention by which it is read.
        tight: the tight box of its mask.
        size: (height, width) of the image.

    Returns:
        `Compared.readings`.
    """
    found: dict[str, tuple[Box, Box]] = {}
    for name, corners in _READINGS.items():
        if name != given:
            with suppress(ValueError):
                found[name] = (whole_box(*corners(box), size[1], size[0])[0], tight)
    return found


def check_agreement(where: object, compared: Sequence[Compared], cures: Mapping[str, str]) -> None:
    """Refuse boxes that contradict their masks.

    Args:
        where: the input.
        compared: all boxes that have a mask.
        cures: what to do if boxes agree only by another convention, by its name, where something
            else can be done than to correct them.

    Raises:
        WsolbenchError: boxes agree with their masks only by another convention, have no pixel in
            their image, or none of their object.
    """
    _check_readings(where, compared, cures)
    _check_counting(where, compared)
    refuse(
        where,
        [f"{item.name}: {item.fault}" for item in compared if item.fault],
        cure=f"correct the boxes; or {TIGHTEN}",
    )
    apart = [item.name for item in compared if item.apart]
    if apart:
        raise WsolbenchError(
            where,
            found=f"{len(apart)} of {len(compared)} boxes without a pixel of their object: "
            f"{some(apart)}",
            cure=f"correct the boxes; or {TIGHTEN}; or {KEEP}",
        )


def notes_of_agreement(compared: Sequence[Compared]) -> list[str]:
    """How many boxes are loose, and by how much."""
    far = [difference(item.box, item.tight) for item in compared if item.box is not None]
    loose = [distance for distance in far if distance > AGREED]
    if not loose:
        return []
    return [
        f"{len(loose)} of {len(far)} boxes differ from the tight boxes of their masks by more than "
        f"{AGREED} pixels, at most by {max(loose)}"
    ]


def one_choice(tight_boxes: bool, keep_boxes: bool) -> None:
    """Refuse both choices together.

    Raises:
        WsolbenchError: both are true.
    """
    if tight_boxes and keep_boxes:
        raise WsolbenchError(
            "boxes",
            found="--tight-boxes and --keep-boxes, which exclude each other",
            cure="use one of them",
        )


def _check_readings(where: object, compared: Sequence[Compared], cures: Mapping[str, str]) -> None:
    """Refuse boxes that fit their masks only by another convention.

    A box is left out if it is nearly right as it is read: near the upper left corner, or for a few
    pixels, the conventions hardly differ.
    """
    better = {
        reading: [
            item.name
            for item in compared
            if item.distance(reading) <= AGREED and item.distance() > 2 * AGREED
        ]
        for reading in {name: None for item in compared for name in item.readings}
    }
    reading = max(better, key=lambda name: len(better[name]), default="")
    if not reading or not better[reading]:
        return
    names = better[reading]
    against = sum(item.distance() < item.distance(reading) for item in compared)
    mend = f"correct these boxes; or {TIGHTEN}; or {KEEP}"
    raise WsolbenchError(
        where,
        found=f"{len(names)} of {len(compared)} boxes fit their masks only {reading}: "
        f"{some(names)}",
        cure=cures.get(reading, mend) if len(names) > against else mend,
    )


def _check_counting(where: object, compared: Sequence[Compared]) -> None:
    """Refuse boxes most of which differ from their masks as by another way of counting."""
    exact = [item for item in compared if item.exact]
    for words, cure, shift in _COUNTINGS:
        moved = [
            item.name
            for item in exact
            if item.box is not None
            and all(
                side - same == by
                for side, same, by in zip(item.box, item.tight, shift, strict=True)
            )
        ]
        if len(moved) * 2 > len(exact):
            raise WsolbenchError(
                where,
                found=f"{len(moved)} of {len(exact)} boxes that {words}: {some(moved)}",
                cure=f"{cure}; or {TIGHTEN}; or {KEEP}",
            )


_COUNTINGS = (
    (
        "end exactly one pixel before their masks, as if their far corners were the last pixels",
        "add 1 to the far corners (widths, heights)",
        (0, 0, -1, -1),
    ),
    (
        "begin exactly one pixel inside their masks, as if they were counted from 1",
        "take 1 from the near corners",
        (1, 1, 0, 0),
    ),
    (
        "lie exactly one pixel right of and below their masks, as if they were counted from 1",
        "take 1 from all corners",
        (1, 1, 1, 1),
    ),
)
"""Words, cure and the difference between box and tight box, by another way of counting."""
