"""PxAP and pIoU of DA-WSOL, whose pixel evaluation is wsolevaluation's with one score more.

Source: zh460045050/DA-WSOL_CVPR2022, libs/evaluation.py. pIoU is the pooled IoU's maximum over the
1,001 bins.
"""

from __future__ import annotations

from dataclasses import replace

from ..metrics.choices import PixelScore
from .wsolevaluation import PXAP

__all__ = ["PIOU"]

PIOU = replace(
    PXAP,
    name="dawsol-piou",
    pixel_scores=(PixelScore.AP, PixelScore.PEAK),
    source="zh460045050/DA-WSOL_CVPR2022: libs/evaluation.py",
)
