"""GenPromp's boxes, by TS-CAM's code at 512 x 512 pixels; two protocols, one a data set.

Source: callsys/GenPromp (13a02a5), datasets/evaluation/cam.py, whose boxes, IoU and comparisons are
those of TS-CAM, and datasets/base.py, which scales true boxes as TS-CAM does. Size and threshold
are in its configurations (crop_size, cam_thr): 512 and .25 in configs/imagenet.yml and
imagenet_stage2.yml (`genpromp`), 512 and .23 in configs/cub.yml and cub_stage2.yml
(`genpromp-cub`). Its attention maps are float32 (models/attn.py).
"""

from __future__ import annotations

from dataclasses import replace

from .tscam import TSCAM

__all__ = ["GENPROMP", "GENPROMP_CUB"]

_CODE = "callsys/GenPromp: datasets/evaluation/cam.py, datasets/base.py"

GENPROMP = replace(
    TSCAM,
    name="genpromp",
    version=1,
    grid=512,
    fixed_threshold=0.25,
    source=f"{_CODE}, configs/imagenet.yml",
)

GENPROMP_CUB = replace(
    GENPROMP,
    name="genpromp-cub",
    fixed_threshold=0.23,
    source=f"{_CODE}, configs/cub.yml",
)
