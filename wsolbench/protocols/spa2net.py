"""SPA2Net's evaluation on the SEM masks, the only public one.

Source: MsterDC/SPA2Net, utils/val_mask/MaskEva.py and eval_mask.py. The map is scaled by min-max
and cut to floor(255 * value) at its own size; these bytes are resized bilinearly to the image. The
program adds 1e-10 to the range that it divides by, so that the highest level is 254.
"""

from __future__ import annotations

from ..metrics.choices import PixelScore
from .record import Protocol, Scaling, Upsampling

__all__ = ["SPA2NET"]

SPA2NET = Protocol(
    name="spa2net",
    version=2,
    upsampling=Upsampling.OPENCV_LINEAR_BYTES,
    scaling=Scaling.FIRST,
    pixel_scores=(PixelScore.AP, PixelScore.PEAK),
    source="MsterDC/SPA2Net: utils/val_mask/MaskEva.py, utils/val_mask/eval_mask.py",
)
