"""Maps of other packages as `SubmissionWriter.append` takes them.

pytorch-grad-cam gives an array (B, H, W), already min-max normalised and at the size of the
network's input; torch-cam a list with a tensor (B, h, w) for each layer, at the layer's size,
normalised or, on demand, raw. Neither package is imported here, nor is PyTorch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import WsolbenchError
from .normalisations import normalisation_named

__all__ = ["maps_of"]


def maps_of(output: Any, normalise: str = "none") -> list[NDArray[np.float32]]:
    """Maps from what a package returned for a batch.

    Args:
        output: an array or tensor (B, h, w), on any device, or a list with one such tensor.
        normalise: a name of `normalisations.NORMALISATIONS`; "none" wants values in [0, 1].

    Returns:
        B maps, float32 (h, w) in [0, 1].

    Raises:
        WsolbenchError: another shape, maps of several layers, values that are not in [0, 1] where
            nothing brings them there, NaN.
    """
    normalisation = normalisation_named(normalise)
    if isinstance(output, Sequence):
        if len(output) != 1:
            raise WsolbenchError(
                "maps",
                found=f"a list of {len(output)}",
                expected="the maps of one layer",
                cure="fuse the layers first (torch-cam: extractor.fuse_cams(maps)), or pick one",
            )
        output = output[0]
    if hasattr(output, "detach"):
        output = output.detach().float().cpu().numpy()
    maps = np.asarray(output)
    if maps.ndim != 3:
        raise WsolbenchError(
            "maps",
            found=f"shape {maps.shape}",
            expected="(B, height, width)",
            cure="pass what the package returns for a batch",
        )
    return [normalisation(map_) for map_ in maps]
