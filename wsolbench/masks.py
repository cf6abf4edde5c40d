"""Binary masks and their storage as run lengths.

A mask is a bool array (height, width), true on the object. Its run lengths are COCO's compressed
ones: the lengths of alternating runs of background and object, column after column, each run but
the first three written as the difference to the run two before it, in groups of five bits as
characters 48..111 (pycocotools, `maskApi.c`: rleToString). pycocotools encodes masks; malformed run
lengths would crash its decoder, so they are checked and decoded here.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pycocotools import mask as coco

from .errors import WsolbenchError
from .files import replacing
from .images import MAX_SIDE, open_picture

__all__ = [
    "DECIDED",
    "FOREGROUND_ABOVE",
    "MaskPicture",
    "MaskRule",
    "RunLengths",
    "area",
    "blank",
    "decode",
    "encode",
    "fill_polygon",
    "paint_runs",
    "read_picture",
    "runs",
    "tight_box",
    "write_mask",
]

FOREGROUND_ABOVE = 128
"""Pixels of an 8-bit mask above this grey level are object (as in SEM's released masks)."""

_LONGEST_RUN = 7  # characters: 35 bits, more than the largest picture has pixels


@dataclass(frozen=True)
class MaskRule:
    """Which levels of mask pictures are object, where the levels alone do not decide.

    Attributes:
        object_above: levels above this one are object; None: decided by the levels found.
        void: pixels of this level are ignored; all others but 0 are then object.
    """

    object_above: int | None = None
    void: int | None = None

    def __post_init__(self) -> None:
        """Check both levels."""
        for name in ("object_above", "void"):
            level = getattr(self, name)
            if level is not None and (type(level) is not int or not 0 <= level <= 65535):
                raise WsolbenchError(
                    name, found=repr(level), expected="a grey level", cure="pass 0 to 255"
                )


DECIDED = MaskRule()
"""The levels decide, or the mask is refused."""


@dataclass(frozen=True)
class RunLengths:
    """A mask as COCO compressed run lengths.

    Attributes:
        height: pixels.
        width: pixels.
        counts: the compressed counts, ASCII bytes; empty for an image that has no mask.
    """

    height: int
    width: int
    counts: bytes


def encode(mask: NDArray[np.bool_]) -> RunLengths:
    """The run lengths of a bool mask (height, width)."""
    _check_mask(mask)
    height, width = mask.shape
    counts = coco.encode(np.asfortranarray(mask, dtype=np.uint8))["counts"]
    return RunLengths(height, width, bytes(counts))


def blank(height: int, width: int) -> bytes:
    """The compressed counts of a mask without object: one run of background."""
    rest, counts = height * width, b""
    while True:
        group, rest = rest & 31, rest >> 5
        more = rest or group & 16  # bit 16 of the last group is the sign
        counts += bytes([48 + group + (32 if more else 0)])
        if not more:
            return counts


def decode(run_lengths: RunLengths) -> NDArray[np.bool_]:
    """The bool mask (height, width), in row order.

    Raises:
        WsolbenchError: the run lengths are malformed.
    """
    return paint_runs(runs(run_lengths), run_lengths.height, run_lengths.width)


def paint_runs(lengths: NDArray[np.int64], height: int, width: int) -> NDArray[np.bool_]:
    """The bool mask (height, width) of uncompressed run lengths that sum to height * width."""
    on_object = np.arange(lengths.size) % 2 == 1
    columns = np.repeat(on_object, lengths).reshape(width, height)
    return np.ascontiguousarray(columns.T)


def fill_polygon(points: Sequence[float], height: int, width: int) -> NDArray[np.bool_]:
    """The bool mask (height, width) of a polygon, filled as COCO fills it.

    Args:
        points: x0, y0, x1, y1, ... in pixels, at least three points; they may be outside the image.
        height: pixels.
        width: pixels.
    """
    (filled,) = coco.frPyObjects([[float(value) for value in points]], height, width)
    return decode(RunLengths(height, width, bytes(filled["counts"])))


def area(run_lengths: RunLengths) -> int:
    """Number of object pixels."""
    return int(runs(run_lengths)[1::2].sum())


def runs(run_lengths: RunLengths) -> NDArray[np.int64]:
    """The uncompressed run lengths (n,): background, object, background, ... in column order.

    Raises:
        WsolbenchError: a size or character is out of range, a run is incomplete, negative or too
            long, or the runs do not sum to height * width.
    """
    height, width = run_lengths.height, run_lengths.width
    if not (1 <= height <= MAX_SIDE and 1 <= width <= MAX_SIDE):
        raise _malformed(f"size {width}x{height}", f"sides from 1 to {MAX_SIDE}")
    groups = np.frombuffer(run_lengths.counts, dtype=np.uint8).astype(np.int64) - 48
    if groups.size == 0 or groups.min() < 0 or groups.max() > 63:
        raise _malformed("empty counts, or characters outside 48..111", "COCO compressed counts")
    ends = np.flatnonzero(groups < 32)
    if ends.size == 0 or ends[-1] != groups.size - 1:
        raise _malformed("counts that end inside a run", "complete runs")
    starts = np.concatenate(([0], ends[:-1] + 1))
    lengths = ends - starts + 1
    if lengths.max() > _LONGEST_RUN:
        raise _malformed("a run of more than 35 bits", "runs no longer than the picture")
    shifts = 5 * (np.arange(groups.size) - np.repeat(starts, lengths))
    values = np.add.reduceat((groups & 31) << shifts, starts)
    negative = (groups[ends] & 16) != 0
    values[negative] -= np.int64(1) << (5 * lengths[negative])
    values[1::2] = np.cumsum(values[1::2])
    values[2::2] = np.cumsum(values[2::2])
    longest, total = int(values.max()), int(values.sum())  # sums of 64 bits may wrap around
    if values.min() < 0 or longest > height * width or total != height * width:
        raise _malformed(
            f"runs that cover {max(longest, total)} pixels or include a negative length",
            f"{height * width} pixels",
        )
    return values


def tight_box(mask: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """The smallest half-open box (x0, y0, x1, y1) around all object pixels.

    Raises:
        WsolbenchError: the mask has no object pixel.
    """
    _check_mask(mask)
    columns = np.flatnonzero(mask.any(axis=0))
    rows = np.flatnonzero(mask.any(axis=1))
    if columns.size == 0:
        raise WsolbenchError("mask", found="no object pixel", cure="leave the image out")
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


@dataclass(frozen=True)
class MaskPicture:
    """The content of a mask picture.

    Attributes:
        mask: bool (height, width), true on the object.
        ignored: bool (height, width), true on ignored pixels; None unless the rule names a void
            level.
        highest: its highest level; 0 for pictures of one bit.
    """

    mask: NDArray[np.bool_]
    ignored: NDArray[np.bool_] | None
    highest: int


def read_picture(
    path: str | os.PathLike[str], rule: MaskRule = DECIDED, *, alpha: bool = False
) -> MaskPicture:
    """Read a mask picture.

    Accepted are PNG files of 1, 8 or 16 bits: grey, colour with equal channels, or with a palette
    (whose indices are the levels, unless all its colours are grey). The set pixels of a 1-bit
    picture are object, likewise those above 0 if 0 and 1 are the only levels; otherwise those
    above 128 (of 16 bits, 128 * 257), if no level lies between 0 and that one.

    Args:
        path: the picture.
        rule: which levels are object and which are ignored, if the levels do not decide.
        alpha: accept a transparency that varies, and ignore it.

    Raises:
        WsolbenchError: the picture is damaged or coloured, its transparency varies, or its levels
            leave open what is object.
    """
    levels, ceiling = _levels(path, alpha=alpha)
    highest = int(levels.max()) if ceiling > 1 else 0
    if rule.void is None:
        above = rule.object_above
        above = _decided(path, levels, ceiling) if above is None else above
        return MaskPicture(levels > above, None, highest)
    ignored = levels == rule.void
    others = np.unique(levels[~ignored & (levels > 0)])
    if rule.object_above is None and others.size > 1:
        raise _undecided(path, others, f"one level of the object, 0 and {rule.void}")
    return MaskPicture((levels > (rule.object_above or 0)) & ~ignored, ignored, highest)


def _decided(path: str | os.PathLike[str], levels: NDArray[np.uint16], ceiling: int) -> int:
    """The level above which pixels are object, if the levels decide it."""
    found = np.unique(levels[levels > 0])
    # 255 is also the highest level of 8-bit masks in 16-bit files.
    if found.tolist() == [1] or (ceiling > 255 and found.tolist() == [255]):
        return 0
    half = FOREGROUND_ABOVE * ceiling // 255
    # Two levels alone are those of two regions, of which one may be void; blurred edges have many.
    if (found <= half).any() or (found.size == 2 and ceiling > 1):
        raise _undecided(path, found, "0 and 255 (object above 128), or 0 and 1")
    return half


def _levels(path: str | os.PathLike[str], *, alpha: bool) -> tuple[NDArray[np.uint16], int]:
    """The levels (height, width) of a mask picture, and the highest that its depth allows."""
    picture = open_picture(path, formats=("PNG",))
    if picture.mode == "1":
        return np.array(picture, dtype=np.uint16), 1
    if picture.mode == "P":
        return _palette_levels(path, picture), 255
    values = np.asarray(picture)
    if values.ndim == 2:
        deep = picture.mode != "L"
        if picture.mode not in ("L", "I", "I;16", "I;16B") or (deep and values.max() > 65535):
            raise _not_grey(path, f"a picture of mode {picture.mode}")
        return values.astype(np.uint16), 65535 if deep else 255
    colours = values[:, :, :-1] if picture.mode in ("LA", "RGBA") else values
    if picture.mode in ("LA", "RGBA") and not alpha and np.ptp(values[:, :, -1]):
        raise _not_grey(path, "a transparency that varies")
    if (colours != colours[:, :, :1]).any():
        raise _not_grey(path, f"colours in a picture of mode {picture.mode}")
    return colours[:, :, 0].astype(np.uint16), 255


def _palette_levels(path: str | os.PathLike[str], picture: Image.Image) -> NDArray[np.uint16]:
    """The indices of a picture with a palette; its grey levels if all colours in use are grey."""
    indices = np.asarray(picture)
    used = np.unique(indices)
    colours = np.array(picture.getpalette("RGB"), dtype=np.uint8).reshape(-1, 3)
    if used[-1] >= len(colours):
        raise _not_grey(path, f"the index {used[-1]} of a palette of {len(colours)} colours")
    greys = colours[used]
    if used.size == 2 and greys[0].any() and not greys[1].any():
        raise _not_grey(path, "a palette in which the higher index is black")
    if (greys != greys[:, :1]).any():
        return indices.astype(np.uint16)
    if used.size == 2 and (greys[1, 0] > greys[0, 0]) != (used[1] > used[0]):
        raise _not_grey(path, "a palette in which the higher index is the darker grey")
    levels: NDArray[np.uint16] = colours[indices][:, :, 0].astype(np.uint16)
    return levels


def _not_grey(path: str | os.PathLike[str], found: str) -> WsolbenchError:
    return WsolbenchError(
        path,
        found=found,
        expected="one channel of grey levels",
        cure="save the mask as 8-bit grey, 255 on the object and 0 elsewhere",
    )


def _undecided(
    path: str | os.PathLike[str], found: NDArray[np.uint16], expected: str
) -> WsolbenchError:
    levels = found.tolist()
    listed = ", ".join(map(str, levels if len(levels) < 6 else [*levels[:2], "...", levels[-1]]))
    return WsolbenchError(
        path,
        found=f"grey level{'s' if len(levels) > 1 else ''} {listed}",
        expected=expected,
        cure="say which levels are object and which are ignored: --object-above LEVEL "
        "(128 for blurred edges, 0 for every level), --void LEVEL",
    )


def write_mask(path: str | os.PathLike[str], mask: NDArray[np.bool_]) -> None:
    """Write a bool mask (height, width) as an 8-bit grey PNG, 255 on the object."""
    _check_mask(mask)
    with replacing(path) as temporary:
        Image.fromarray(mask.astype(np.uint8) * 255, mode="L").save(temporary, format="PNG")


def _check_mask(mask: NDArray[np.bool_]) -> None:
    if mask.dtype != np.bool_ or mask.ndim != 2 or mask.size == 0 or max(mask.shape) > MAX_SIDE:
        raise WsolbenchError(
            "mask",
            found=f"{mask.dtype} of shape {mask.shape}",
            expected=f"bool of shape (height, width), sides from 1 to {MAX_SIDE}",
            cure="compare with a threshold first, e.g. mask > 128",
        )


def _malformed(found: str, expected: str) -> WsolbenchError:
    return WsolbenchError(
        "run lengths", found=found, expected=expected, cure="encode the mask again"
    )
