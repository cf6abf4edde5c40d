"""A localization map as other evaluators bring it to their grid.

Sources: clovaai/wsolevaluation (inference.py), vasgaowei/TS-CAM (lib/cams_deit.py), wpy1999/BAS
(ILSVRC/BAS_inference.py), MsterDC/SPA2Net (utils/val_mask/MaskEva.py), junsukchoe/ADL (evaluate.py)
with tensorpack/tensorpack (tensorpack/utils/viz.py). OpenCV resizes here as it does there, in the
same float type. Where a program would divide a constant map by zero, the map becomes zeros here.

Conventions: a map is (h, w), legal as `levels.level_map` wants it; `size` is (height, width).

Public names: `resized_cubic`, `resized_linear`, `scaled_linear`, `byte_levels`, `bytes_of`,
`greys_of`, `nearest`, `cubehelix`.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .opencv import opencv


def resized_cubic(map_: NDArray[Any], size: tuple[int, int]) -> NDArray[np.float64]:
    """Bicubic in float64, then min-max: float64 of that size in [0, 1]."""
    cv2 = opencv()
    wide = cv2.resize(_unit(map_, np.float64), size[::-1], interpolation=cv2.INTER_CUBIC)
    return _minmax(wide)


def resized_linear(map_: NDArray[Any], size: tuple[int, int]) -> NDArray[np.float32]:
    """Bilinear in float32, then min-max: float32 of that size in [0, 1]."""
    cv2 = opencv()
    wide = cv2.resize(_unit(map_, np.float32), size[::-1], interpolation=cv2.INTER_LINEAR)
    return _minmax(wide)


def scaled_linear(map_: NDArray[Any], size: tuple[int, int]) -> NDArray[np.float32]:
    """Min-max, then bilinear in float32: float32 of that size in [0, 1]."""
    cv2 = opencv()
    scaled = _minmax(_unit(map_, np.float32))
    return np.asarray(cv2.resize(scaled, size[::-1], interpolation=cv2.INTER_LINEAR))


def byte_levels(map_: NDArray[Any], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Min-max and floor(255 * value) at the map's own size, then bilinear on bytes.

    1e-10 is added to the range, so that the highest value becomes level 254.
    """
    cv2 = opencv()
    values = _unit(map_, np.float64)
    values = (values - values.min()) / (values.max() - values.min() + 1e-10)
    levels = (values * 255).astype(np.uint8)
    return np.asarray(cv2.resize(levels, size[::-1], interpolation=cv2.INTER_LINEAR))


def bytes_of(values: NDArray[Any]) -> NDArray[np.uint8]:
    """floor(255 * value) of values in [0, 1]."""
    return np.asarray((values * 255).astype(np.uint8))


def greys_of(values: NDArray[Any]) -> NDArray[np.uint8]:
    """The grey of the cubehelix colour of values in [0, 1], in 256 steps."""
    steps = np.minimum((values.astype(np.float64) * 256).astype(np.int64), 255)
    return np.asarray(_cubehelix_greys()[steps])


def nearest(mask: NDArray[np.bool_], size: tuple[int, int]) -> NDArray[np.bool_]:
    """A mask of that size by nearest neighbour, as OpenCV takes it."""
    cv2 = opencv()
    found = cv2.resize(mask.astype(np.uint8), size[::-1], interpolation=cv2.INTER_NEAREST)
    return np.asarray(found > 0)


@cache
def _cubehelix_greys() -> NDArray[np.uint8]:
    """OpenCV's grey of each of the 256 colours of cubehelix: uint8 (256,)."""
    cv2 = opencv()
    colours = cubehelix()[None].astype(np.float32) * 255
    return np.asarray(cv2.cvtColor(colours.astype(np.uint8), cv2.COLOR_RGB2GRAY)[0])


def cubehelix() -> NDArray[np.float64]:
    """The 256 colours of cubehelix: float64 (256, 3), red, green and blue in [0, 1].

    D. A. Green, A colour scheme for the display of astronomical intensity images (2011), equation
    2 with the parameters of its figure 1, which are matplotlib's: start .5, -1.5 rotations, hue 1,
    gamma 1. The order of the operations is matplotlib's too: the colours are its own to the bit.
    """
    light = np.linspace(0, 1, 256)[:, None]
    angle = 2 * np.pi * (0.5 / 3 + -1.5 * light)
    amplitude = light * (1 - light) / 2
    cosine = np.array([-0.14861, -0.29227, 1.97294])
    sine = np.array([1.78277, -0.90649, 0.0])
    colours = light + amplitude * (cosine * np.cos(angle) + sine * np.sin(angle))
    return np.asarray(np.clip(colours, 0, 1))


def _unit(map_: NDArray[Any], dtype: type[np.floating[Any]]) -> NDArray[Any]:
    values = map_.astype(dtype)
    return values / dtype(255) if map_.dtype == np.uint8 else values


def _minmax(values: NDArray[Any]) -> NDArray[Any]:
    low, high = values.min(), values.max()
    return np.zeros_like(values) if low == high else (values - low) / (high - low)
