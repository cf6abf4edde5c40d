"""Edges that no training gives: what a boundary detector must be better than."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..metrics.opencv import opencv
from .pseudo import check_photo, resized_map

__all__ = ["CANNY_THRESHOLDS", "canny_edges", "map_gradient"]

CANNY_THRESHOLDS = (20, 40, 60, 80, 100, 130, 160, 200, 250, 300)
"""Upper thresholds of Canny's detector, in levels of the gradient; the lower ones are half."""


def canny_edges(photo: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Canny's edges by how strong they are: float32 (H, W) in [0, 1].

    The share of `CANNY_THRESHOLDS` at which a pixel is an edge. With one threshold the map would be
    binary, and its precision and recall a single point.

    Args:
        photo: uint8 (H, W, 3), RGB.

    Raises:
        WsolbenchError: a photo of another type or shape, no OpenCV.
    """
    cv2 = opencv()
    check_photo(photo)
    grey = cv2.cvtColor(np.ascontiguousarray(photo), cv2.COLOR_RGB2GRAY)
    found = np.zeros(grey.shape, np.float32)
    for high in CANNY_THRESHOLDS:
        found += cv2.Canny(grey, high / 2, high, L2gradient=True) > 0
    return np.asarray(found / np.float32(len(CANNY_THRESHOLDS)))


def map_gradient(map_: NDArray[Any], height: int, width: int) -> NDArray[np.float32]:
    """How steep a localization map is: float32 (height, width) in [0, 1].

    The map is resized bilinearly and smoothed by a Gaussian of half its own step, without which the
    gradient would show its cells; the length of the gradient is divided by its maximum. A constant
    map gives zeros.

    Args:
        map_: (h, w), any size: uint8 (value / 255), or floats in [0, 1].
        height: pixels of the photo.
        width: pixels of the photo.

    Raises:
        WsolbenchError: a map that is not legal, no OpenCV.
    """
    cv2 = opencv()
    large = resized_map(map_, height, width)
    steps = (width / map_.shape[1] / 2, height / map_.shape[0] / 2)
    smooth = cv2.GaussianBlur(large, (0, 0), sigmaX=max(steps[0], 0.5), sigmaY=max(steps[1], 0.5))
    padded = np.pad(smooth, 1, mode="edge")
    across = padded[1:-1, 2:] - padded[1:-1, :-2]
    down = padded[2:, 1:-1] - padded[:-2, 1:-1]
    length = np.hypot(across, down)
    most = length.max()
    return np.asarray(length / most if most > 1e-6 else np.zeros_like(length), np.float32)
