"""Normalisation of raw maps to [0, 1], which affects scores more than most methods do.

Source: Kim et al., Normalization Matters in Weakly Supervised Object Localization (ICCV 2021), and
its code, GenDisc/IVR: inference.py, config.py, whose percentiles are the defaults here.
`max` is Grad-CAM's; `pas` comes from Bae et al., Rethinking Class Activation Mapping for Weakly
Supervised Object Localization (ECCV 2020). The code of IVR upsamples maps to 224 x 224 first; here
every map is normalised at its own size.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import WsolbenchError, require_type
from ..metrics.map_values import values_cure, values_fault

__all__ = ["NORMALISATIONS", "Normalisation", "normalisation_named", "normalisations_named"]

_Raw = NDArray[np.float64]


@dataclass(frozen=True)
class Normalisation:
    """One normalisation, e.g. `ivr:45`.

    Attributes:
        kind: a key of `NORMALISATIONS`.
        percent: the percentile of `pas` and `ivr`; None for the others.
    """

    kind: str
    percent: int | None = None

    @property
    def name(self) -> str:
        """Its name, as given on the command line."""
        return self.kind if self.percent is None else f"{self.kind}:{self.percent}"

    @property
    def words(self) -> str:
        """Its description in a submission."""
        return NORMALISATIONS[self.kind].words.replace("P", str(self.percent))

    def __call__(self, map_: NDArray[Any]) -> NDArray[np.float32]:
        """Normalise a map to [0, 1].

        Args:
            map_: (h, w), any numeric dtype; for `none` floats in [0, 1], or uint8 (value / 255).

        Returns:
            float32 (h, w). Except with `none`, a constant map gives zeros: it localizes nothing.

        Raises:
            WsolbenchError: the map is not two-dimensional or numeric, or has NaN or infinite
                values; for `none` values outside [0, 1] or integers other than uint8.
        """
        if map_.ndim != 2 or not map_.size or map_.dtype.kind not in "fiub":
            raise WsolbenchError(
                "map",
                found=f"{map_.dtype} of shape {map_.shape}",
                expected="numbers (height, width)",
                cure="save one map per file, without channels",
            )
        raw = map_.astype(np.float64)
        if not np.isfinite(raw).all():
            raise WsolbenchError(
                "map",
                found=f"{int((~np.isfinite(raw)).sum())} NaN or infinite values",
                expected="finite numbers",
                cure="correct the program that wrote it",
            )
        if self.kind == "none":
            return _unchanged(map_, raw)
        if raw.max() == raw.min():
            return np.zeros(raw.shape, np.float32)
        if self.kind == "min-max" and map_.dtype.itemsize <= 4 and map_.dtype.kind == "f":
            return _min_max_of_float32(map_.astype(np.float32))
        result = NORMALISATIONS[self.kind].form(raw, self.percent or 0)
        return np.clip(result, 0, 1).astype(np.float32)


@dataclass(frozen=True)
class _Kind:
    """A formula, its description in a submission, and its default percentile, if it has one."""

    words: str
    form: Callable[[_Raw, int], _Raw]
    percent: int | None = None


def _unchanged(map_: NDArray[Any], raw: _Raw) -> NDArray[np.float32]:
    if map_.dtype == np.uint8:
        return (raw / 255).astype(np.float32)
    if map_.dtype.kind != "f":
        raise WsolbenchError(
            "map",
            found=f"{map_.dtype} from {raw.min():.6g} to {raw.max():.6g}",
            expected="floats in [0, 1], or uint8 (value / 255)",
            cure="choose a normalisation: --normalise min-max, max, pas or ivr",
        )
    fault = values_fault(map_)
    if fault:
        raise WsolbenchError(
            "map", found=fault, expected="finite values in [0, 1]", cure=values_cure(map_)
        )
    return raw.astype(np.float32)


def _min_max_of_float32(raw: NDArray[np.float32]) -> NDArray[np.float32]:
    """Min-max in float32, as `baselines.cam.min_max` scales the maps of networks."""
    scaled: NDArray[np.float32] = (raw - raw.min()) / (raw.max() - raw.min())
    return scaled


def _scaled(values: _Raw, top: float) -> _Raw:
    return values / top if top > 0 else np.zeros_like(values)


def _min_max(raw: _Raw, _: int) -> _Raw:
    return _scaled(raw - raw.min(), raw.max() - raw.min())


def _max(raw: _Raw, _: int) -> _Raw:
    return _scaled(np.maximum(raw, 0), raw.max())


def _pas(raw: _Raw, percent: int) -> _Raw:
    values = raw - raw.min()
    top = _percentile(values, percent)
    # If most of the map is at its minimum, the rest is the only contrast.
    return _scaled(values, top) if top > 0 else (values > 0).astype(np.float64)


def _ivr(raw: _Raw, percent: int) -> _Raw:
    values = np.maximum(raw - _percentile(raw, percent), 0)
    # Likewise if most of it is at its maximum.
    return _scaled(values, values.max()) if values.any() else (raw == raw.max()).astype(float)


def _percentile(values: _Raw, percent: int) -> float:
    """The value at a percentile of the sorted values."""
    ordered = np.sort(values, axis=None)
    return float(ordered[min(ordered.size * percent // 100, ordered.size - 1)])


NORMALISATIONS: dict[str, _Kind] = {
    "none": _Kind("none: values as they came", lambda raw, _: raw),
    "min-max": _Kind("min-max of each map, a constant one is zero", _min_max),
    "max": _Kind("max: negative values to 0, then by the highest of each map", _max),
    "pas": _Kind("pas: less the lowest, by the P-th percentile of each map, at most 1", _pas, 90),
    "ivr": _Kind("ivr: less the P-th percentile of each map, at least 0, by the highest", _ivr, 45),
}
"""The normalisations by name; `pas` and `ivr` accept a percentile after a colon: `ivr:30`."""


def normalisation_named(text: str) -> Normalisation:
    """The normalisation of a name, e.g. "min-max" or "ivr:30".

    Raises:
        WsolbenchError: the name is unknown, or the percentile is invalid.

    Examples:
        >>> wsolbench.normalisation_named("min-max")(np.float32([[2, 4, 6]])).tolist()
        [[0.0, 0.5, 1.0]]
    """
    require_type("normalisation", text, (str,), "a name such as min-max")
    kind, colon, given = text.partition(":")
    known = NORMALISATIONS.get(kind)
    if known is not None and not colon:
        return Normalisation(kind, known.percent)
    if known is not None and known.percent is not None and given.isdecimal() and int(given) < 100:
        return Normalisation(kind, int(given))
    raise WsolbenchError(
        "normalisation",
        found=repr(text),
        expected=", ".join(NORMALISATIONS) + ", pas:P or ivr:P with P from 0 to 99",
        cure="name one of these",
    )


def normalisations_named(text: str) -> list[Normalisation]:
    """The normalisations of a comma-separated list.

    Raises:
        WsolbenchError: a name is unknown or duplicated.
    """
    found = [normalisation_named(name.strip()) for name in text.split(",")]
    if len(set(found)) < len(found):
        raise WsolbenchError("normalisation", found=f"duplicates in {text}", cure="name each once")
    return found
