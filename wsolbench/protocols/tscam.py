"""TS-CAM's boxes at a fixed threshold; two protocols, one a data set.

Source: vasgaowei/TS-CAM, lib/cams_deit.py (121c8ca), lib/datasets/imagenet.py and
lib/datasets/cub.py (eeac46b). The threshold is in its configurations (MODEL.CAM_THR): .12 in
configs/ILSVRC (`tscam`), .1 in configs/CUB (eeac46b) and val_cub.sh (71ba0f7) (`tscam-cub`). The
map is resized to 224 x 224 (bilinear, float32), then scaled by min-max; foreground is level >
int(threshold * highest level); the contour of largest area gives the box. An IoU of .5 is enough
for GT-known and not for Top-1 and Top-5.

su-hui-zz/ReAttentionTransformer (TRT, 06324e0) evaluates by the same rule and thresholds:
lib/cams_deit.py, lib/datasets, val_cub.sh, val_ilsvrc.sh; its networks of 384 pixels at that size,
`tscam-cub:384`.
"""

from __future__ import annotations

from dataclasses import replace

from ..metrics.choices import BoxScore, Comparator, Component
from .record import BoxTruth, Protocol, Scaling, Thresholds, Upsampling

__all__ = ["TSCAM", "TSCAM_CUB"]

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

TSCAM_CUB = replace(
    TSCAM,
    name="tscam-cub",
    version=1,
    fixed_threshold=0.1,
    source="vasgaowei/TS-CAM: lib/cams_deit.py, lib/datasets/cub.py, configs/CUB, val_cub.sh",
)
