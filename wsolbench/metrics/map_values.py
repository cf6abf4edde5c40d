"""Which arrays are localization maps, and what is wrong with those that are not.

Knows no compiled loop, so that files are checked without loading them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import WsolbenchError, one_of

__all__ = ["MAP_DTYPES", "ROUNDING", "array_of", "map_fault", "values_cure", "values_fault"]

MAP_DTYPES = ("uint8", "float16", "float32")
"""Types that a map may have: uint8 means value / 255, floats lie in [0, 1]."""

_MAP_TYPES = (np.uint8, np.float16, np.float32)

ROUNDING = 1e-3
"""How far values of [0, 1] may leave it by rounding, in float16 too."""


def array_of(given: Any) -> NDArray[Any]:
    """A map from memory as an array: an array, a nested list, or a tensor on any device.

    Tensors may need gradients; floats other than float16, as NumPy has no bfloat16, become float32.

    Raises:
        WsolbenchError: it is no array of numbers, or a masked array with masked values.
    """
    try:
        if hasattr(given, "detach"):
            given = given.detach().cpu()
            converted = given.is_floating_point() and str(given.dtype) != "torch.float16"
            given = (given.float() if converted else given).numpy()
        array = np.asarray(given)
    except (TypeError, ValueError, RuntimeError) as error:
        raise _no_array(type(given).__name__) from error
    if array.dtype.kind not in "fiub":
        raise _no_array(f"{type(given).__name__} of {array.dtype}")
    hidden = int(np.ma.getmaskarray(given).sum()) if isinstance(given, np.ma.MaskedArray) else 0
    if hidden:
        raise WsolbenchError(
            "map",
            found=f"a masked array with {hidden} masked values",
            expected="a value everywhere",
            cure="fill them, e.g. map.filled(0)",
        )
    return array


def _no_array(found: str) -> WsolbenchError:
    return WsolbenchError(
        "map", found=found, expected="an array (height, width)", cure="convert it: numpy.array(map)"
    )


def map_fault(map_: NDArray[Any]) -> tuple[str, str, str] | None:
    """What is wrong with a map, what was expected and the cure; None where nothing is."""
    if map_.ndim != 2 or map_.size == 0:
        squeezed = map_.size and map_.squeeze().ndim == 2
        cure = "drop the other axis: map.squeeze()" if squeezed else "pass one map an image"
        return f"shape {map_.shape}", "(height, width)", cure
    kind = map_.dtype.type  # asking for the name takes ten times as long
    if kind not in _MAP_TYPES:
        return f"dtype {map_.dtype}", one_of(MAP_DTYPES), "convert it: map.astype(numpy.float32)"
    fault = "" if kind is np.uint8 else values_fault(map_)
    return (fault, "finite values in [0, 1]", values_cure(map_)) if fault else None


def values_fault(values: NDArray[Any]) -> str:
    """What is wrong with values that should be finite and lie in [0, 1]; empty if nothing is."""
    low, high = values.min(), values.max()
    if low >= 0 and high <= 1:
        return ""
    broken = int((~np.isfinite(values)).sum())
    if broken:
        return f"{broken} of {values.size} values NaN or infinite"
    faults = []
    for count, word, most in (
        (int((values > 1).sum()), "above 1", high),
        (int((values < 0).sum()), "below 0", low),
    ):
        if count:
            # All digits: 1.0000001192092896 would be shown as 1.
            faults.append(f"{count} of {values.size} values {word}, up to {float(most)!r}")
    return " and ".join(faults)


def values_cure(values: NDArray[Any]) -> str:
    """What to do about values that are not in [0, 1]."""
    if not np.isfinite(values).all():
        return "correct the program that wrote it"
    if values.min() >= -ROUNDING and values.max() <= 1 + ROUNDING:
        return "cut the rounding error off: numpy.clip(map, 0, 1), or --clip of import-maps"
    cure = "choose a normalisation: min-max, max, pas or ivr (--normalise NAME)"
    if values.min() >= 0 and 128 < values.max() <= 255 and (values == np.rint(values)).all():
        return f"save levels 0 to 255 as uint8, or {cure}"
    return cure
