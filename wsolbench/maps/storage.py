"""How the values of a map are stored: the one place where a float becomes a byte."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["STORED_AS", "stored"]

STORED_AS: Mapping[str, str] = MappingProxyType(
    {
        "uint8": "stored as round(255 * value) in uint8",
        "float16": "stored as float16",
        "float32": "stored as float32",
    }
)
"""Storage types of maps, and their description in a submission."""


def stored(values: NDArray[np.floating[Any]], dtype: str) -> NDArray[Any]:
    """Values in [0, 1] as they are stored in a submission.

    The product 255 * value is formed in the type of the values, float32 at least, and rounded half
    to even. In float32, in which networks compute maps, one value in 200,000 is a byte off the
    product in float64.

    Args:
        values: floats in [0, 1], of any shape; not written to.
        dtype: a key of `STORED_AS`.

    Returns:
        The same shape: uint8 (meaning value / 255), float16 or float32.
    """
    if dtype == "uint8":
        exact = values if values.dtype == np.float64 else values.astype(np.float32)
        return np.rint(255 * exact).astype(np.uint8)
    return values.astype(dtype)
