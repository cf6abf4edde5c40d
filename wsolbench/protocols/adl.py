"""ADL's boxes at a fixed threshold, with one true box an image.

Source: junsukchoe/ADL, evaluate.py, and tensorpack/tensorpack, tensorpack/utils/viz.py. The map is
resized to 224 x 224 (bilinear, float32) and scaled by min-max (float64). The program paints it in
the cubehelix colours of matplotlib and takes OpenCV's grey of them, which rises with the value
within 4 levels of 255 * value. Foreground is grey > int(.2 * highest grey); the contour of largest
area gives the box.
"""

from __future__ import annotations

from ..metrics.choices import BoxScore, Comparator, Component
from .record import BoxTruth, Levels, Protocol, Scaling, Thresholds, Upsampling

__all__ = ["ADL"]

ADL = Protocol(
    name="adl",
    version=3,
    grid=224,
    upsampling=Upsampling.OPENCV_LINEAR,
    scaling=Scaling.LAST_FLOAT64,
    levels=Levels.GREYS,
    thresholds=Thresholds.SHARES_OF_MAXIMUM,
    comparator=Comparator.ABOVE,
    fixed_threshold=0.2,
    box_scores=(BoxScore.AT_THRESHOLD,),
    component=Component.LARGEST_OUTLINE,
    box_truth=BoxTruth.FIRST_TRUNCATED,
    box_plus_one=True,
    box_empty=(0, 0, 1, 1),
    source="junsukchoe/ADL: evaluate.py; tensorpack/tensorpack: tensorpack/utils/viz.py",
)
