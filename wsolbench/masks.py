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
    "FOREGROUND_ABOVE",
    "RunLengths",
    "area",
    "decode",
    "encode",
    "fill_polygon",
    "paint_runs",
    "read_mask",
    "runs",
    "tight_box",
    "write_mask",
]

FOREGROUND_ABOVE = 128
"""Pixels of an 8-bit mask above this grey level are object (as in SEM's released masks)."""

_LONGEST_RUN = 7  # characters: 35 bits, more than the largest picture has pixels


@dataclass(frozen=True)
class RunLengths:
    """A mask as COCO compressed run lengths.

    Attributes:
        height: pixels.
        width: pixels.
        counts: the compressed counts, ASCII bytes.
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
    if values.min() < 0 or values.sum() != height * width:
        raise _malformed(
            f"runs that cover {values.sum()} pixels or include a negative length",
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


def read_mask(path: str | os.PathLike[str]) -> NDArray[np.bool_]:
    """Read a mask from a PNG file of one channel: bool (height, width).

    The set pixels of a 1-bit picture are object. In an 8-bit grey picture, pixels above 128 are
    object, or pixels of value 1 if the picture contains only 0 and 1.

    Raises:
        WsolbenchError: the picture is damaged, in colour, or has ambiguous grey levels (some
            between 2 and 128, none above).
    """
    picture = open_picture(path, formats=("PNG",))
    if picture.mode == "1":
        return np.array(picture, dtype=np.bool_)
    if picture.mode != "L":
        raise WsolbenchError(
            path,
            found=f"a picture of mode {picture.mode}",
            expected="one channel of 1 or 8 bits",
            cure="save the mask as 8-bit grey, 255 on the object",
        )
    levels = np.asarray(picture)
    highest = int(levels.max())
    if 1 < highest <= FOREGROUND_ABOVE:
        raise WsolbenchError(
            path,
            found=f"grey levels up to {highest}",
            expected="0 and 255 (object above 128), or 0 and 1",
            cure="save the mask with 255 on the object",
        )
    return levels > (0 if highest == 1 else FOREGROUND_ABOVE)


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
