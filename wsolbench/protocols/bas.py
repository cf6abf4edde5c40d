"""BAS's boxes at a fixed threshold, averaged over classes; a protocol for each threshold.

Source: wpy1999/BAS, ILSVRC/BAS_inference.py (d4aec4c), ILSVRC/utils/func.py (ec06a3b),
CUB/BAS_inference.py (17900d3) and CUB/utils/IoU.py (bea4ff5). Both programs take their threshold by
backbone. On ILSVRC: .5 for VGG and MobileNet (`bas`), .45 for ResNet (`bas-resnet`), .3 for
Inception (`bas-inception`). On CUB: .15 for VGG, MobileNet and ResNet (`bas-cub`), .1 for Inception
(`bas-cub-inception`). The map is scaled by min-max first, then resized to 224 x 224 (bilinear,
float32); foreground is value > threshold; the component with the most pixels gives the box, without
one the whole grid; a box is correct only above .5.
"""

from __future__ import annotations

from dataclasses import replace

from ..metrics.choices import BoxScore, Comparator
from .record import Averaging, BoxTruth, Levels, Protocol, Scaling, Upsampling

__all__ = ["BAS", "BAS_CUB", "BAS_CUB_INCEPTION", "BAS_INCEPTION", "BAS_RESNET"]

BAS = Protocol(
    name="bas",
    version=2,
    grid=224,
    upsampling=Upsampling.OPENCV_LINEAR,
    scaling=Scaling.FIRST,
    levels=Levels.VALUES,
    comparator=Comparator.ABOVE,
    fixed_threshold=0.5,
    box_scores=(BoxScore.AT_THRESHOLD,),
    box_truth=BoxTruth.SCALED,
    box_plus_one=True,
    box_empty=(0, 0, 224, 224),
    box_iou_comparator=Comparator.ABOVE,
    averaging=Averaging.CLASSES,
    source="wpy1999/BAS: ILSVRC/BAS_inference.py, ILSVRC/utils/func.py, CUB/utils/IoU.py",
)

BAS_RESNET = replace(BAS, name="bas-resnet", fixed_threshold=0.45)

BAS_INCEPTION = replace(BAS, name="bas-inception", fixed_threshold=0.3)

BAS_CUB = replace(
    BAS,
    name="bas-cub",
    version=1,
    fixed_threshold=0.15,
    source="wpy1999/BAS: CUB/BAS_inference.py, CUB/utils/func.py, CUB/utils/IoU.py",
)

BAS_CUB_INCEPTION = replace(BAS_CUB, name="bas-cub-inception", fixed_threshold=0.1)
