"""Maps of other packages in the form that `SubmissionWriter.append` takes.

pytorch-grad-cam returns an array (B, H, W) at the size of the network's input, already min-max
normalised; torch-cam returns a list with one tensor (B, h, w) per layer at the layer's size,
normalised or raw. This module imports neither package, nor PyTorch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import WsolbenchError
from ..metrics.map_values import array_of
from .normalisations import normalisation_named

__all__ = ["maps_of"]


def maps_of(output: Any, normalise: str = "none") -> list[NDArray[np.float32]]:
    """Convert the output of a package for one batch to maps.

    Args:
        output: an array or tensor (B, h, w) or (B, 1, h, w), on any device; a list with one such
            tensor; or a list of B arrays (h, w).
        normalise: a name in `normalisations.NORMALISATIONS`; "none" needs values in [0, 1].

    Returns:
        B maps, float32 (h, w) in [0, 1].

    Raises:
        WsolbenchError: the shape is wrong, there are maps of several layers, or values are NaN
            or, without normalisation, outside [0, 1].

    Examples:
        >>> camera = np.random.default_rng(0).normal(size=(2, 1, 7, 7))  # what an explainer gives
        >>> maps = wsolbench.maps_of(camera, "min-max")
        >>> len(maps), maps[0].shape, float(maps[0].max())
        (2, (7, 7), 1.0)
    """
    normalisation = normalisation_named(normalise)
    if isinstance(output, Sequence):
        listed = [array_of(item) for item in output]
        if listed and all(item.ndim == 2 for item in listed):
            return [normalisation(map_) for map_ in listed]
        if len(listed) != 1:
            raise WsolbenchError(
                "maps",
                found=f"a list of {len(listed)}",
                expected="the maps of one layer",
                cure="fuse the layers first (torch-cam: extractor.fuse_cams(maps)), or select one",
            )
        output = listed[0]
    maps = array_of(output)
    if maps.ndim == 4 and maps.shape[1] == 1:
        maps = maps[:, 0]
    if maps.ndim != 3:
        raise WsolbenchError(
            "maps",
            found=f"shape {maps.shape}",
            expected="(B, height, width)",
            cure="pass maps[None] for a single map"
            if maps.ndim == 2
            else "pass the map of one class of each image",
        )
    return [normalisation(map_) for map_ in maps]
