"""How the corners of given boxes are counted, decided from all boxes of a file.

Files of boxes do not say whether corners count from 0 or from 1, and whether the far corner is the
last pixel or the one after it. All boxes together usually show it: a corner of 0 excludes counting
from 1, a far corner equal to the width excludes that it is a last pixel, a box around one column
with equal corners excludes that its far corner is exclusive. Where masks exist they are a further
witness. What stays open is refused with the counts, and `--corners` states it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from ...errors import WsolbenchError, require_choice, some
from .mask_files import Box
from .rounding import AGREED, difference, meets, snapped, whole_box

__all__ = [
    "Corners",
    "Evidence",
    "RawBox",
    "agreement",
    "choice",
    "choice_if_used",
    "decide",
    "evidence_of",
    "half_open",
    "note_of_rounding",
    "refuse_fractions",
    "sentence",
    "settle",
    "whole_boxes",
]

RawBox = tuple[float, float, float, float]
"""Corners x0, y0, x1, y1 as a file has them, in pixels."""


class Corners(str, Enum):
    """How corners are counted."""

    HALF_OPEN = "half-open"
    INCLUSIVE = "inclusive"
    FROM_ONE = "from-1"

    def __str__(self) -> str:
        return str(self.value)


_MEANING = {
    Corners.HALF_OPEN: "counted from 0, the far corner exclusive",
    Corners.INCLUSIVE: "counted from 0, the far corner is the last pixel, so 1 was added to it",
    Corners.FROM_ONE: "counted from 1, the far corner is the last pixel, so 1 was taken from the "
    "near corner",
}

_OUTLIERS = 10
"""Corners that exclude a convention are outliers if this many times as many speak for it."""

_ENOUGH = 10
"""Boxes at an edge from which they contradict the convention that a format is known to have."""

_SYSTEMATIC = 0.9
"""Share of the boxes that match their mask after a change, from which the change is the cause."""

_CAUSES: Mapping[str, Callable[[RawBox], RawBox]] = {
    "x and y are swapped": lambda box: (box[1], box[0], box[3], box[2]),
    "x1 and y1 are a width and a height": lambda box: (
        box[0],
        box[1],
        box[0] + box[2],
        box[1] + box[3],
    ),
    "width and height are far corners": lambda box: (
        box[0],
        box[1],
        box[2] - box[0],
        box[3] - box[1],
    ),
}


@dataclass(frozen=True)
class Evidence:
    """What all boxes of a file show about their corners.

    Attributes:
        boxes: number of boxes.
        zero: boxes with a near corner of 0.
        one: boxes with a near corner of 1.
        last: boxes with a far corner of width - 1 or height - 1.
        reach: boxes with a far corner of the width or height.
        flat: boxes with equal corners on one side.
        beyond: boxes outside their image however corners are counted, `id: corners in size`.
        reaching: the same list for the boxes that reach the width or height.
        single: images with one box and a mask.
        matches: of these, the boxes that equal their mask's tight box, by convention.
        cause: what all boxes fit their image with, if several are outside; "" if nothing.
    """

    boxes: int = 0
    zero: int = 0
    one: int = 0
    last: int = 0
    reach: int = 0
    flat: int = 0
    beyond: Sequence[str] = ()
    reaching: Sequence[str] = ()
    single: int = 0
    matches: Mapping[Corners, int] | None = None
    cause: str = ""

    @property
    def possible(self) -> list[Corners]:
        """The conventions that no box contradicts."""
        if self.beyond:
            return []
        excluded = {
            Corners.HALF_OPEN: self.flat,
            Corners.INCLUSIVE: self.reach,
            Corners.FROM_ONE: self.zero,
        }
        return [corners for corners, count in excluded.items() if not count]

    def __str__(self) -> str:
        reaching = (
            f"{self.reach} of {self.boxes} far corners equal"
            if self.reach
            else f"none of {self.boxes} far corners equals"
        )
        flat = f", {self.flat} boxes have equal corners" if self.flat else ""
        return (
            f"{reaching} the width or height, {self.last} are on the last pixel; {self.zero} near "
            f"corners are 0, {self.one} are 1{flat}"
        )

    @property
    def of_masks(self) -> str:
        """How many boxes equal the tight box of their mask, by convention; "" without masks."""
        if not self.single:
            return ""
        found = [f"{n} as {corners}" for corners, n in (self.matches or {}).items() if n]
        counts = " and ".join(found) if found else "none"
        return f"; of {self.single} single boxes, {counts} equal their mask's tight box"


def choice(value: str | None) -> Corners | None:
    """The convention of that name; None stays None.

    Raises:
        WsolbenchError: there is no such convention.
    """
    if value is None:
        return None
    require_choice("corners", value, [corners.value for corners in Corners])
    return Corners(value)


def choice_if_used(value: str | None, *, given: bool, tight: bool) -> Corners | None:
    """The convention of that name, for boxes that an importer reads.

    Args:
        value: the name; None stays None.
        given: boxes are given.
        tight: the tight boxes of the masks are used in their place.

    Raises:
        WsolbenchError: there is no such convention, or it is stated although no given box is used.
    """
    stated = choice(value)
    if stated is not None and (tight or not given):
        raise WsolbenchError(
            "corners",
            found=f"{stated} corners, but {'tight boxes of masks' if given else 'no boxes'}",
            cure=f"leave out --corners{' or --tight-boxes' if given else ', or add --boxes FILE'}",
        )
    return stated


def evidence_of(
    boxes: Mapping[str, Sequence[RawBox]],
    sizes: Mapping[str, tuple[int, int]],
    tight: Mapping[str, Box] | None = None,
) -> Evidence:
    """Count the corners of all boxes.

    Args:
        boxes: by image id, near corners before far ones; those without a size are not counted.
        sizes: (height, width) by image id.
        tight: half-open tight boxes of the masks by image id.
    """
    counted = [
        (image_id, box) for image_id in boxes for box in boxes[image_id] if image_id in sizes
    ]
    zero = one = last = flat = 0
    beyond: list[str] = []
    reaching: list[str] = []
    for image_id, (x0, y0, x1, y1) in counted:
        height, width = sizes[image_id]
        zero += x0 == 0 or y0 == 0
        one += x0 == 1 or y0 == 1
        last += x1 == width - 1 or y1 == height - 1
        flat += x0 == x1 or y0 == y1
        if x1 == width or y1 == height:
            reaching.append(f"{image_id}: {x1:.10g},{y1:.10g} is outside {width}x{height}")
        if not _fits((x0, y0, x1, y1), sizes[image_id]):
            beyond.append(f"{image_id}: {_listed((x0, y0, x1, y1))} in {width}x{height}")
    causes = (
        name
        for name, change in _CAUSES.items()
        if len(beyond) > 1 and all(_fits(change(box), sizes[image_id]) for image_id, box in counted)
    )
    pairs = _pairs(boxes, tight or {})
    return Evidence(
        len(counted),
        zero,
        one,
        last,
        len(reaching),
        flat,
        beyond,
        reaching,
        len(pairs),
        {
            corners: sum(half_open(box, corners) == whole for box, whole in pairs)
            for corners in Corners
        },
        next(causes, ""),
    )


def decide(evidence: Evidence) -> Corners | None:
    """The convention that the boxes show, by themselves or with the masks; None if it is open."""
    by_corners = _by_corners(evidence)
    if by_corners is not None:
        return by_corners
    matches = evidence.matches or {}
    best = sorted(evidence.possible, key=lambda corners: -matches.get(corners, 0))
    first, second = ([matches.get(corners, 0) for corners in best] + [0, 0])[:2]
    nearly_all = first >= 2 and first >= _SYSTEMATIC * evidence.single and first > second
    # Boxes that are drawn by hand rarely equal a mask; then chance has to be excluded: three
    # standard deviations of the difference, if both conventions were as likely.
    beyond_chance = first - second > 3 * math.sqrt(first + second)
    return best[0] if nearly_all or beyond_chance else None


def _by_corners(evidence: Evidence) -> Corners | None:
    possible = evidence.possible
    if evidence.last > _OUTLIERS * evidence.reach > 0 or (
        evidence.one > _OUTLIERS * evidence.zero > 0
    ):
        return None
    if len(possible) == 1:
        return possible[0]
    if Corners.INCLUSIVE in possible and evidence.zero and evidence.last:
        return Corners.INCLUSIVE
    if Corners.FROM_ONE in possible and evidence.one and evidence.reach:
        return Corners.FROM_ONE
    return None


def settle(
    where: object,
    evidence: Evidence,
    *,
    given: Corners | None = None,
    published: Corners | None = None,
) -> Corners:
    """The convention of a file's boxes.

    Args:
        where: the file.
        evidence: the counts over all its boxes.
        given: the convention that the user stated; it holds unless a box contradicts it.
        published: the convention that the file's format is known to have; it holds unless a box
            contradicts it, or ten boxes at an edge show another.

    Raises:
        WsolbenchError: boxes are outside their image, a box contradicts the convention, or nothing
            decides it.
    """
    stated = given or published
    if evidence.beyond:
        raise WsolbenchError(
            where,
            found=f"{len(evidence.beyond)} of {evidence.boxes} boxes outside their image: "
            f"{some(evidence.beyond)}"
            + (f"; all fit if {evidence.cause}" if evidence.cause else ""),
            expected="x0,y0,x1,y1 within width x height",
            cure="check that the boxes belong to images of these sizes"
            + (", or take those of the masks: --tight-boxes" if evidence.single else ""),
        )
    if stated is not None:
        seen = _by_corners(evidence)
        shown = seen not in (None, stated) and _is_plain(evidence, seen)
        if stated not in evidence.possible or (given is None and shown):
            raise _contradicted(where, evidence, stated, seen, given is not None)
        return stated
    found = decide(evidence)
    if found is None:
        raise WsolbenchError(
            where,
            found=f"boxes that leave open how corners are counted ({evidence}{evidence.of_masks})",
            expected="corners of 0 and of the width, the height or the last pixel",
            cure=f"state it: {_options()}",
        )
    return found


def _is_plain(evidence: Evidence, seen: Corners | None) -> bool:
    """Whether enough boxes at an edge show a convention to doubt what a format is known to have."""
    count = evidence.last if seen is Corners.INCLUSIVE else evidence.one
    return seen is Corners.HALF_OPEN or count >= _ENOUGH


def sentence(evidence: Evidence, corners: Corners, why: str = "") -> str:
    """A note on the counts and the convention that was found, and what the boxes look like."""
    seen = decide(evidence)
    other = f", though they look {seen}" if seen not in (None, corners) else ""
    masks = evidence.of_masks if seen is not None and _by_corners(evidence) is None else ""
    return (
        f"boxes: {evidence}{masks}; taken as {corners} ({_MEANING[corners]}){other}"
        f"{why and f': {why}'}"
    )


def refuse_fractions(where: object, boxes: Mapping[str, Sequence[RawBox]]) -> None:
    """Refuse boxes within 0 and 1, as fractions of the sides of their images are.

    A single one among boxes in pixels is refused too: rounded outwards, it would be one pixel in
    the upper left corner.

    Args:
        where: the file.
        boxes: by the name of what has them.

    Raises:
        WsolbenchError: there are such boxes.
    """
    held = [(name, box) for name, listed in boxes.items() for box in listed]
    fractions = [
        name for name, box in held if max(box) <= 1 and any(snapped(corner) % 1 for corner in box)
    ]
    if fractions:
        raise WsolbenchError(
            where,
            found=f"{len(fractions)} of {len(held)} boxes between 0 and 1, as if they were "
            f"fractions of the images' sides: {some(fractions)}",
            expected="pixels",
            cure="multiply them by width and height",
        )


def half_open(box: RawBox, corners: Corners) -> RawBox:
    """The half-open corners, counted from 0."""
    x0, y0, x1, y1 = box
    if corners is Corners.INCLUSIVE:
        return x0, y0, x1 + 1, y1 + 1
    if corners is Corners.FROM_ONE:
        return x0 - 1, y0 - 1, x1, y1
    return box


def whole_boxes(
    where: object,
    boxes: Mapping[str, Sequence[RawBox]],
    sizes: Mapping[str, tuple[int, int]],
    corners: Corners,
) -> tuple[dict[str, list[Box]], list[str]]:
    """Half-open boxes in whole pixels by image id, and notes on those that were rounded.

    Raises:
        WsolbenchError: boxes have no pixel of their image, or are fractions of its sides; all
            together.
    """
    refuse_fractions(where, boxes)
    whole: dict[str, list[Box]] = {}
    faults: list[str] = []
    rounded: list[str] = []
    cut = 0
    for image_id, listed in boxes.items():
        height, width = sizes[image_id]
        whole[image_id] = []
        for box in listed:
            try:
                kept, was_rounded, was_cut = whole_box(*half_open(box, corners), width, height)
            except ValueError as error:
                faults.append(f"{image_id}: {error}")
                continue
            rounded += [image_id] * was_rounded
            cut += was_cut
            whole[image_id].append(kept)
    if faults:
        raise WsolbenchError(
            where,
            found=f"{len(faults)} boxes without a pixel: {some(faults)}",
            expected="boxes of at least one pixel",
            cure="remove them",
        )
    notes = note_of_rounding(rounded, sum(map(len, whole.values())))
    notes += [f"{cut} boxes were clipped to their image by less than a pixel"] if cut else []
    return whole, notes


def note_of_rounding(rounded: Sequence[str], total: int) -> list[str]:
    """A note on boxes that were rounded, with the names of the images of the first; or none.

    Args:
        rounded: the images of these boxes.
        total: number of all boxes.
    """
    if not rounded:
        return []
    return [
        f"{len(rounded)} of {total} boxes were rounded outwards to whole pixels: {some(rounded)}"
    ]


def agreement(
    where: object,
    evidence: Evidence,
    corners: Corners,
    raw: Mapping[str, Sequence[RawBox]],
    boxes: Mapping[str, Sequence[Box]],
    tight: Mapping[str, Box],
) -> str:
    """A note on how the boxes agree with the masks' tight boxes.

    Args:
        where: the file of boxes.
        evidence: the counts, with the masks as a witness.
        corners: the convention under which `boxes` were read.
        raw: the boxes as given, by image id.
        boxes: the half-open boxes, by image id; of several, the box around all is compared.
        tight: the masks' tight boxes, by image id.

    Raises:
        WsolbenchError: nearly all boxes match their masks after one and the same change, and nearly
            none as they are.
    """
    _check_systematic(where, evidence, corners, raw, tight)
    far = sum(difference(_around(boxes[name]), tight[name]) > AGREED for name in tight)
    apart = sum(not all(meets(box, tight[name]) for box in boxes[name]) for name in tight)
    return (
        f"boxes of {far} of {len(tight)} images differ from their mask's tight box by more than "
        f"{AGREED} pixels, and {apart} have a box that does not touch it"
    )


def _check_systematic(
    where: object,
    evidence: Evidence,
    corners: Corners,
    raw: Mapping[str, Sequence[RawBox]],
    tight: Mapping[str, Box],
) -> None:
    pairs = _pairs(raw, tight)
    if len(pairs) < 2:  # a single box matches by chance
        return
    matches = evidence.matches or {}
    for other, count in matches.items():
        if _is_cause(count, matches[corners], len(pairs)):
            cure = f"use --corners {other} (Python corners={str(other)!r}), or "
            raise WsolbenchError(
                where,
                found=f"{count} of {len(pairs)} single boxes equal their mask's tight box as "
                f"{other}, but {matches[corners]} as {corners}",
                cure=f"{cure if other in evidence.possible else ''}take the boxes of the masks: "
                "--tight-boxes (Python tight_boxes=True)",
            )
    near = _near(pairs, corners, lambda box: box)
    for cause, change in _CAUSES.items():
        count = _near(pairs, corners, change)
        if _is_cause(count, near, len(pairs)):
            raise WsolbenchError(
                where,
                found=f"{count} of {len(pairs)} single boxes agree with their mask's tight box if "
                f"{cause}, but {near} as given",
                cure="correct the boxes, or take those of the masks: --tight-boxes "
                "(Python tight_boxes=True)",
            )


def _is_cause(after: int, before: int, total: int) -> bool:
    return after >= _SYSTEMATIC * total and before <= (1 - _SYSTEMATIC) * total


def _near(
    pairs: Sequence[tuple[RawBox, Box]], corners: Corners, change: Callable[[RawBox], RawBox]
) -> int:
    return sum(
        max(
            abs(side - same)
            for side, same in zip(half_open(change(box), corners), whole, strict=True)
        )
        <= AGREED
        for box, whole in pairs
    )


def _pairs(
    boxes: Mapping[str, Sequence[RawBox]], tight: Mapping[str, Box]
) -> list[tuple[RawBox, Box]]:
    """(box, tight box of the mask) of the images with one box."""
    return [(boxes[name][0], tight[name]) for name in tight if len(boxes.get(name, ())) == 1]


def _around(boxes: Sequence[Box]) -> Box:
    x0, y0, x1, y1 = zip(*boxes, strict=True)
    return min(x0), min(y0), max(x1), max(y1)


def _fits(box: RawBox, size: tuple[int, int]) -> bool:
    """Whether the corners are in order and within 0..width and 0..height."""
    x0, y0, x1, y1 = map(snapped, box)
    return 0 <= x0 <= x1 <= size[1] and 0 <= y0 <= y1 <= size[0]


def _contradicted(
    where: object, evidence: Evidence, stated: Corners, found: Corners | None, given: bool
) -> WsolbenchError:
    examples = evidence.reaching if stated is Corners.INCLUSIVE and evidence.reaching else ()
    shown = f" ({some(examples)})" if examples else ""
    seen = f", which look {found}" if found is not None and found is not stated else ""
    return WsolbenchError(
        where,
        found=f"{evidence}{shown}{seen}",
        expected=f"{stated} corners, {'as stated' if given else 'as such files have'}",
        cure=f"state what they are: {_options()}; or check that sizes and boxes belong together",
    )


def _options() -> str:
    listed = "|".join(corners.value for corners in Corners)
    return f"--corners {listed}, in Python corners='{Corners.HALF_OPEN}'"


def _listed(box: RawBox) -> str:
    return ",".join(f"{corner:.10g}" for corner in box)
