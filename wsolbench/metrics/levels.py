"""A localization map brought to the image's grid and cut into 256 levels.

The paper (section 4.1.2) maps values to 0..255 and leaves open where: here a map is upsampled first
(bilinear, half-pixel centres, edges clamped: OpenCV's INTER_LINEAR, torch's align_corners=False),
then level = floor(255 * value). Arithmetic is float32, values scaled to 0..255 before they are
upsampled, which keeps the level of every uint8 map of one value.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import WsolbenchError
from . import kernels
from .map_values import map_fault

__all__ = ["check_map", "level_map"]


def level_map(map_: NDArray[Any], height: int, width: int) -> NDArray[np.uint8]:
    """The map's levels on the image's grid.

    Args:
        map_: (h, w), any size; uint8, or float16 / float32 in [0, 1].
        height: pixels of the image.
        width: pixels of the image.

    Returns:
        uint8 (height, width), floor(255 * value).

    Raises:
        WsolbenchError: another type or shape, a value that is not finite or not in [0, 1].
    """
    check_map(map_)
    scaled = np.ascontiguousarray(map_, dtype=np.float32)
    if map_.dtype != np.uint8:
        scaled = scaled * np.float32(255)
    levels: NDArray[np.uint8] = kernels.upsample_levels(scaled, height, width)
    return levels


def check_map(map_: NDArray[Any], name: str = "", of: str = "map") -> None:
    """Refuse a map that cannot be scored.

    Args:
        map_: any array.
        name: of its image, for the message; the error then has exit status 1.
        of: what it is, for the message.

    Raises:
        WsolbenchError: another type or shape, a value that is not finite or not in [0, 1].
    """
    if fault := map_fault(map_):
        found, expected, cure = fault
        if of == "edges" and "--normalise" in cure:
            cure = "write probabilities, what the sigmoid gives, or levels as uint8"
        where, status = (f"{of} of {name}", 1) if name else (of, 2)
        raise WsolbenchError(where, found=found, expected=expected, cure=cure, exit_status=status)
