"""The settings of pseudo-boundaries; no PyTorch here."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from ..baselines.settings import Settings, count, fraction, positive, setting
from ..errors import WsolbenchError

__all__ = ["PseudoSettings"]


def _not_negative(own: float) -> bool:
    return 0 <= own < inf


@dataclass(frozen=True)
class PseudoSettings(Settings):
    """How a map and a photo become a pseudo-boundary.

    The fields of the CRF and their values are those of ConvCRF (Teichmann and Cipolla,
    Convolutional CRFs for semantic segmentation, 2018). The paper states no number; Canny's
    thresholds and the reach are our choice.

    Measured with SEM's 19x19 maps of a SqueezeNet on Caltech-101's animals, as the mean F of the
    photos against the boundary of the mask (one-to-one, within 3 pixels at the photo's size, within
    2 at 160x160). 100 and 200, the usual thresholds for 8-bit photos, are not the best everywhere:
    150 and 300 score 33.6 against 33.0 on 143 photos at their own size (a difference of 0.4 to 0.9,
    95 %), and 35.0 against 35.2 on 100 others at 160x160, where a detector learns and the
    difference may be chance. Stronger pairs are worse there. With 100 and 200 on those 100 photos,
    at their own size, a reach of 1, 3 or 5 gives 33.1, 33.2 and 32.5, a window of 7 or 11 27.9 and
    33.2.

    Attributes:
        crf_window: side of the neighbourhood in cells, odd.
        crf_iterations: of the mean field; 0 leaves the map as it is.
        crf_weight: weight w of the neighbours; the map has 1 - w.
        crf_blur: side in pixels of a cell, over which photo and labels are averaged.
        position_weight, position_deviation: of the kernel of positions, the latter in pixels.
        colour_weight, colour_deviation: of the kernel of colours, the latter in levels 0..255.
        canny_low, canny_high: Canny's thresholds on the gradient of the grey photo, in levels.
        reach: distance in pixels up to which a Canny edge belongs to the contour.
    """

    crf_window: int = setting(
        11,
        "Side of the CRF's neighbourhood in cells",
        "an odd integer from 3 to 31",
        lambda own: 3 <= own <= 31 and own % 2 == 1,
    )
    crf_iterations: int = count(5, "Iterations of the CRF; 0 leaves it out", 0)
    crf_weight: float = fraction(0.2, "Weight of the neighbours in the CRF")
    crf_blur: int = count(4, "Side in pixels of the CRF's cells")
    position_weight: float = setting(
        3.0, "Weight of the CRF's kernel of positions", "a number of at least 0", _not_negative
    )
    position_deviation: float = positive(3.0, "Deviation of that kernel in pixels")
    colour_weight: float = setting(
        10.0, "Weight of the CRF's kernel of colours", "a number of at least 0", _not_negative
    )
    colour_deviation: float = positive(13.0, "Deviation of that kernel in levels 0 to 255")
    canny_low: float = positive(100.0, "Lower threshold of Canny's edges")
    canny_high: float = positive(200.0, "Upper threshold of Canny's edges")
    reach: float = positive(3.0, "Distance in pixels of Canny edges that are kept")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.canny_low > self.canny_high:
            raise WsolbenchError(
                "canny_low",
                found=f"{self.canny_low} above canny_high {self.canny_high}",
                expected="a lower threshold that is not above the upper one",
                cure="exchange them",
            )
