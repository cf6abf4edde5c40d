"""`sem`, the default: the evaluation of the paper.

Source: Zhang, Wei, Yang, Wu, Rethinking Localization Map (2020), sections 3.1 and 4.1.2; where the
paper is silent the choice is ours and marked in docs/scores.md.
"""

from __future__ import annotations

from ..metrics.choices import BoxScore, PixelScore, Reduction
from .record import Protocol

__all__ = ["SEM"]

SEM = Protocol(
    name="sem",
    version=2,
    pixel_scores=(PixelScore.PEAK, PixelScore.AP, PixelScore.AT_THRESHOLD),
    pixel_reductions=(Reduction.POOLED, Reduction.IMAGE_MEAN),
    box_scores=(BoxScore.AT_THRESHOLD, BoxScore.MAXIMUM),
    box_iou_thresholds=(0.5, 0.3, 0.7),
    source="Zhang et al., Rethinking Localization Map, 2020: sections 3.1 and 4.1.2",
)
