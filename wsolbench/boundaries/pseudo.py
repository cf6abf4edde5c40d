"""Pseudo-boundaries: what a detector learns from where nobody drew boundaries.

Source: paper section 3.3 and Fig. 4. The map gives a region by ConvCRF, the region its outer
contour, and Canny's edges near the contour replace it where there are some. The paper names these
steps and no number; those of the CRF are its authors', the others ours (`pseudo_settings`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..errors import WsolbenchError
from ..metrics.levels import check_map
from ..metrics.opencv import opencv
from .crf import conv_crf
from .pseudo_settings import PseudoSettings

__all__ = [
    "CONTRAST",
    "PseudoSteps",
    "check_photo",
    "contour_of",
    "pseudo_boundary",
    "pseudo_steps",
    "resized_map",
]


CONTRAST = 1 / 512
"""A map with less, half a level, shows no object: neighbours would decide by rounding errors."""


@dataclass(frozen=True, eq=False)
class PseudoSteps:
    """Every step from a map to its pseudo-boundary.

    Attributes:
        map: float32 (H, W), the map at the photo's size.
        crf: float32 (H, W), the probability of the object after the CRF.
        contour: bool (H, W), the outer contour of the largest region, without the frame.
        canny: bool (H, W), Canny's edges of the whole photo.
        boundary: bool (H, W), the pseudo-boundary.
    """

    map: NDArray[np.float32]
    crf: NDArray[np.float32]
    contour: NDArray[np.bool_]
    canny: NDArray[np.bool_]
    boundary: NDArray[np.bool_]


def pseudo_boundary(
    map_: NDArray[Any], photo: NDArray[np.uint8], settings: PseudoSettings | None = None
) -> NDArray[np.bool_]:
    """The pseudo-boundary of a map and its photo: bool (H, W); see `pseudo_steps`."""
    return pseudo_steps(map_, photo, settings).boundary


def pseudo_steps(
    map_: NDArray[Any], photo: NDArray[np.uint8], settings: PseudoSettings | None = None
) -> PseudoSteps:
    """The steps from a map to its pseudo-boundary.

    Canny's edges within `reach` of the contour are kept, and the contour where no such edge is
    within `reach` of it. No pixel of the photo's frame is boundary. A map or photo that shows no
    object (no region, or one that covers the photo) gives no boundary.

    Args:
        map_: (h, w), any size: uint8 (value / 255), or floats in [0, 1].
        photo: uint8 (H, W, 3), RGB.
        settings: see there.

    Raises:
        WsolbenchError: a map that is not legal, a photo of another type or shape, no OpenCV.
    """
    cv2, own = opencv(), settings or PseudoSettings()
    photo = check_photo(photo)
    height, width = photo.shape[:2]
    large = resized_map(map_, height, width)
    channels = torch.from_numpy(np.array(photo).transpose(2, 0, 1))[None]
    with torch.no_grad():
        crf = conv_crf(torch.from_numpy(large)[None], channels, own)[0].numpy()
    shown = float(large.max() - large.min()) > CONTRAST
    contour = contour_of((crf > 0.5) & shown)
    grey = cv2.cvtColor(np.ascontiguousarray(photo), cv2.COLOR_RGB2GRAY)
    canny = cv2.Canny(grey, own.canny_low, own.canny_high, L2gradient=True) > 0
    kept = canny & (_distance_to(contour) <= own.reach)
    boundary = _without_frame(kept | (contour & (_distance_to(kept) > own.reach)))
    return PseudoSteps(large, crf, contour, canny, boundary)


def check_photo(photo: Any) -> NDArray[np.uint8]:
    """A photo as uint8 (H, W, 3) with at least one pixel.

    Raises:
        WsolbenchError: another type or shape.
    """
    own = np.asarray(photo)
    if own.dtype != np.uint8 or own.ndim != 3 or own.shape[2] != 3 or not own.size:
        raise WsolbenchError(
            "photo",
            found=f"{own.dtype} of shape {own.shape}",
            expected="uint8 (height, width, 3), RGB",
            cure='open it with PIL and .convert("RGB")',
        )
    return own


def resized_map(map_: NDArray[Any], height: int, width: int) -> NDArray[np.float32]:
    """A map at a photo's size: float32 (height, width), bilinear, half-pixel centres.

    Raises:
        WsolbenchError: a map that is not legal.
    """
    own = np.asarray(map_)
    check_map(own)
    values = own.astype(np.float32)
    if own.dtype == np.uint8:
        values = values / np.float32(255)
    resized = torch.nn.functional.interpolate(
        torch.from_numpy(values)[None, None],
        size=(height, width),
        mode="bilinear",
        align_corners=False,
    )
    return np.asarray(resized[0, 0].numpy().clip(0, 1), np.float32)


def contour_of(region: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The outer contour of the component with the most pixels, without the frame: bool (H, W).

    The contour is of the component's own pixels, 8-connected; holes have none. Of components of one
    size, the first in row order counts. The paper takes the longest contour; the component's area
    decides here, because a ragged speck or strip can have a longer contour than the object.
    """
    cv2 = opencv()
    found = np.zeros(region.shape, np.uint8)
    count, labels, statistics, _ = cv2.connectedComponentsWithStats(region.astype(np.uint8))
    if count > 1:
        largest = 1 + int(statistics[1:, cv2.CC_STAT_AREA].argmax())
        picture = (labels == largest).astype(np.uint8)
        contours, _ = cv2.findContours(picture, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(found, contours, -1, 1)
    return _without_frame(np.asarray(found > 0))


def _distance_to(pixels: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Each pixel's distance to the nearest of some pixels; infinite without any."""
    if not pixels.any():
        return np.full(pixels.shape, np.inf, np.float32)
    cv2 = opencv()
    others = (~pixels).astype(np.uint8)
    return np.asarray(cv2.distanceTransform(others, cv2.DIST_L2, cv2.DIST_MASK_PRECISE))


def _without_frame(pixels: NDArray[np.bool_]) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = pixels.copy()
    found[[0, -1]] = False
    found[:, [0, -1]] = False
    return found
