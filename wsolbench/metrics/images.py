"""Many images at once: pixel histograms and boxes straight from run lengths.

What `levels`, `pixel` and `boxes` do to one image in steps is done here to a block of images in one
call of a compiled loop, with the same outcome, bit for bit.

Conventions: run lengths are COCO's compressed ones, uint8. Maps are legal (`levels.check_map`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import WsolbenchError
from ..scores import LEVELS
from . import kernels
from .packed import Packed

__all__ = ["best_overlaps", "measure"]


def measure(
    names: Sequence[str],
    maps: Sequence[NDArray[Any]],
    sizes: NDArray[np.int64],
    masks: Packed,
    ignored: Packed,
    *,
    with_boxes: bool,
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.bool_]]:
    """Histograms of levels and the largest component's boxes.

    Args:
        names: what errors call the n images.
        maps: n legal maps (h, w).
        sizes: int64 (n, 2), height and width of each image.
        masks: run lengths of each mask.
        ignored: run lengths of the pixels that count nowhere; an empty part where all count.
        with_boxes: whether to infer boxes, which takes most of the time.

    Returns:
        int32 (n, 2, 256) histograms, off the object and on it; int32 (n, 256, 4) boxes, or
        (0, 256, 4); bool (n,), which maps are constant.

    Raises:
        WsolbenchError: malformed run lengths.
    """
    coarse = _packed(maps, np.uint8)
    fine = _packed(maps, np.float32)
    constant = np.empty(len(maps), dtype=np.bool_)
    counts = np.empty((len(maps), 3, LEVELS), dtype=np.int32)
    boxes = np.empty((len(maps) if with_boxes else 0, LEVELS, 4), dtype=np.int32)
    shapes = np.array([map_.shape for map_ in maps], dtype=np.int64).reshape(-1, 2)
    malformed = kernels.measure(
        coarse.values,
        coarse.starts,
        fine.values,
        fine.starts,
        shapes,
        sizes,
        masks.values,
        masks.starts,
        ignored.values,
        ignored.starts,
        counts,
        boxes,
        constant,
    )
    if malformed >= 0:
        raise WsolbenchError(
            f"mask of {names[malformed]}",
            found="malformed run lengths",
            expected=f"runs of {sizes[malformed, 0] * sizes[malformed, 1]} pixels",
            cure="the file is damaged: import the annotations again",
        )
    return counts[:, :2], boxes, constant


def best_overlaps(boxes: NDArray[np.int32], truth: Packed) -> NDArray[np.float64]:
    """Highest IoU of each box with any true box of its image, counting pixels.

    Args:
        boxes: int32 (n, k, 4).
        truth: int32 boxes (m, 4) of the n images.

    Returns:
        float64 (n, k), in [0, 1], as `boxes.best_iou` gives.
    """
    return kernels.overlaps(np.ascontiguousarray(boxes), truth.values, truth.starts)


def _packed(maps: Sequence[NDArray[Any]], kind: type[np.generic]) -> Packed:
    """The uint8 maps, or those of floats as float32; parts of the others are empty."""
    empty = np.empty(0, dtype=kind)
    own = kind is np.uint8
    return Packed.of(
        [map_.ravel() if (map_.dtype.type is np.uint8) is own else empty for map_ in maps], empty
    )
