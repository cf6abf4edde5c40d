"""TS-CAM's boxes at a fixed threshold.

Source: vasgaowei/TS-CAM, lib/cams_deit.py, lib/datasets/imagenet.py and configs/ILSVRC (its
configurations for CUB take .1). The map is resized to 224 x 224 (bilinear, float32), then scaled by
min-max; foreground is level > int(.12 * highest level); the contour of largest area gives the box.
An IoU of .5 is enough for GT-known and not for Top-1 and Top-5.
"""

from __future__ import annotations

from ..metrics.choices import BoxScore, Comparator, Component
from .record import BoxTruth, Protocol, Scaling, Thresholds, Upsampling

__all__ = ["TSCAM"]

TSCAM = Protocol(
    name="tscam",
    version=2,
    grid=224,
    upsampling=Upsampling.OPENCV_LINEAR,
    scaling=Scaling.LAST,
    thresholds=Thresholds.SHARES_OF_MAXIMUM,
    comparator=Comparator.ABOVE,
    fixed_threshold=0.12,
    box_scores=(BoxScore.AT_THRESHOLD,),
    component=Component.LARGEST_OUTLINE,
    box_truth=BoxTruth.TRUNCATED_WITHIN,
    box_plus_one=True,
    box_empty=(0, 0, 1, 1),
    top_iou_comparator=Comparator.ABOVE,
    source="vasgaowei/TS-CAM: lib/cams_deit.py, lib/datasets/imagenet.py, configs/ILSVRC",
)
