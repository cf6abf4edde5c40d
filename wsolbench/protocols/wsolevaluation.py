"""MaxBoxAcc, MaxBoxAccV2 and PxAP of clovaai/wsolevaluation.

Source: its inference.py and evaluation.py. The map is resized to 224 x 224 (bicubic, float64) and
then scaled by min-max. Boxes: levels are floor(255 * value); at t = 0, .001 ... .999 a pixel is
foreground when its level is more than int(t * highest level); under v1 the contour of largest area
gives the box, under v2 each contour, of which the best counts; far corners are at most 223, without
a contour the box is (0, 0, 0, 0); true boxes are scaled and truncated; sides count one pixel more.
Pixels: values fall into 1,001 bins, masks come to the grid by nearest neighbour.
"""

from __future__ import annotations

from dataclasses import replace

from ..metrics.choices import BoxScore, Comparator, Component, PixelScore
from .record import BoxTruth, Levels, Protocol, Scaling, Thresholds, Upsampling

__all__ = ["PXAP", "V1", "V2"]

_SOURCE = "clovaai/wsolevaluation: inference.py, evaluation.py"

V1 = Protocol(
    name="wsoleval-v1",
    version=2,
    grid=224,
    upsampling=Upsampling.OPENCV_CUBIC,
    scaling=Scaling.LAST,
    thresholds=Thresholds.SHARES_OF_MAXIMUM,
    comparator=Comparator.ABOVE,
    box_scores=(BoxScore.MAXIMUM,),
    component=Component.LARGEST_OUTLINE,
    box_truth=BoxTruth.TRUNCATED,
    box_plus_one=True,
    box_clipped=True,
    source=_SOURCE,
)

V2 = replace(
    V1,
    name="wsoleval-v2",
    component=Component.EVERY_OUTLINE,
    box_iou_thresholds=(0.5, 0.3, 0.7),
)

PXAP = Protocol(
    name="wsoleval-pxap",
    version=2,
    grid=224,
    upsampling=Upsampling.OPENCV_CUBIC,
    scaling=Scaling.LAST,
    levels=Levels.BINS,
    thresholds=Thresholds.BINS,
    pixel_scores=(PixelScore.AP,),
    source=_SOURCE,
)
