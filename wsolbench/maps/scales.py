"""Which number means 1 in the maps of a folder, decided from all of them.

A single file does not tell: a map whose highest level is 1 may be a mask of zeros and ones, or a
map on a scale to 255 that is nearly black. All files together usually do; what they leave open is
refused, and `--scale` states it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.importers.mask_files import summary
from ..errors import WsolbenchError, require_choice, some
from ..files import available_processors
from .map_files import read_map_and_kind

__all__ = [
    "SCALES",
    "SCALE_CURE",
    "Survey",
    "check_scale",
    "notes_of_values",
    "scaled",
    "survey_of",
]

SCALES = ("1", "255", "65535")
"""Numbers that may mean 1 in a folder of maps."""

SCALE_CURE = "state the number that means 1: --scale 1, 255 or 65535 (Python scale=)"
"""What to do about files that leave their scale open."""

_DARK = 1 / 255


@dataclass(frozen=True)
class Survey:
    """The range of one map's values.

    Attributes:
        name: of its file.
        kind: see `read_map_and_kind`.
        low: the lowest value as `read_map` gives it.
        high: the highest value, likewise.
    """

    name: str
    kind: str
    low: float
    high: float


def survey_of(place: Path, files: Mapping[str, Path], what: str = "map") -> list[Survey]:
    """The ranges of all maps of a folder, in the order of `files`; `what` names one of them.

    Raises:
        WsolbenchError: files cannot be read; all together.
    """

    def attempt(path: Path) -> Survey | WsolbenchError:
        try:
            raw, kind = read_map_and_kind(path)
        except WsolbenchError as error:
            return error
        if raw.dtype.kind not in "fiub":  # refused when it is normalised
            return Survey(path.name, kind, 0, 0)
        return Survey(path.name, kind, float(raw.min()), float(raw.max()))

    with ThreadPoolExecutor(available_processors()) as pool:
        found = list(pool.map(attempt, files.values()))
    faults = [item for item in found if isinstance(item, WsolbenchError)]
    if faults:
        raise summary(place, faults, f"{what}s")
    return [item for item in found if isinstance(item, Survey)]


def check_scale(
    place: Path,
    surveys: Sequence[Survey],
    scale: str | None,
    what: str = "map",
    cure: str = f"{SCALE_CURE}, or choose --normalise max",
) -> None:
    """Refuse a folder whose maps leave open, or contradict, which number means 1.

    Args:
        place: the folder.
        surveys: the ranges of all its maps.
        scale: the number as stated; None if 255 is meant in 8 bits, 65535 in 16 bits and 1 in
            floats.
        what: what one file is, for messages: "map" or "edge map", which cannot be normalised.
        cure: what to do if the files leave it open.

    Raises:
        WsolbenchError: `scale` is None and 8-bit maps have levels 0 and 1 alone, 16-bit maps
            levels of 8 bits, or floats values up to 255; or maps exceed the stated number.
    """
    if scale is not None:
        _check_stated(place, surveys, scale, what)
        return
    for kind, most, words in (
        ("8-bit", 1.0, "levels 0 and 1 alone"),
        ("16-bit", 255 / 65535 + 1e-9, "levels up to 255 alone"),
    ):
        own = [item for item in surveys if item.kind == kind]
        low = [item.name for item in own if 0 < item.high <= most]
        if low:
            top = round(max(_top(item) for item in own))
            others = f" and of the others up to {top}" if len(low) < len(own) else ""
            raise WsolbenchError(
                place,
                found=f"{len(low)} of {len(own)} {kind} {what}s with {words}{others}: {some(low)}",
                cure=cure,
            )
    floats = [item for item in surveys if item.kind == "float"]
    high = [item.name for item in floats if item.high > 1]
    highest = max((item.high for item in floats), default=0.0)
    if 128 < highest <= 255 and min(item.low for item in floats) >= 0:
        raise WsolbenchError(
            place,
            found=f"{len(high)} of {len(floats)} {what}s of floats or wide integers have "
            f"values above 1, up to {highest:.6g}: {some(high)}",
            cure=cure.replace("1, 255 or 65535", "255"),
        )


def _check_stated(place: Path, surveys: Sequence[Survey], scale: str, what: str) -> None:
    require_choice("scale", scale, SCALES)
    beyond = [f"{item.name} up to {_top(item):.6g}" for item in surveys if _top(item) > int(scale)]
    if beyond:
        raise WsolbenchError(
            place,
            found=f"{len(beyond)} of {len(surveys)} {what}s with values above {scale}: "
            f"{some(beyond)}",
            expected=f"0 to {scale}, as --scale states",
            cure="state another scale" + (", or choose --normalise" if what == "map" else ""),
        )


def _top(item: Survey) -> float:
    """The highest value as the file has it."""
    return round(item.high * 65535) if item.kind == "16-bit" else item.high


def notes_of_values(surveys: Sequence[Survey], scale: str | None, what: str = "map") -> list[str]:
    """Notes on maps of two kinds, and on maps that are all nearly black."""
    notes = []
    kinds = {kind: [item for item in surveys if item.kind == kind] for kind in _MEANING}
    held = [kind for kind in kinds if kinds[kind]]
    if len(held) > 1 and scale is None:
        meant = ", ".join(f"{len(kinds[kind])} {kind} {what}s {_MEANING[kind]}" for kind in held)
        other = " (--scale states another)" if what == "map" else ""
        notes.append(f"{what}s of several kinds: {meant}{other}")
    for kind in held:
        divisor = {"8-bit": 255, "16-bit": 65535, "float": 1}[kind] if scale is None else int(scale)
        highest = max(map(_top, kinds[kind])) / divisor
        cure = "choose --normalise or --scale" if what == "map" else "save them again"
        if 0 < highest <= _DARK:
            notes.append(
                f"no value of {len(kinds[kind])} {kind} {what}s is above {highest:.2g}, where 1 is "
                f"possible; if they were scaled twice, {cure}"
            )
    return notes


_MEANING = {
    "8-bit": "mean value / 255",
    "16-bit": "mean value / 65535",
    "float": "mean their values",
}


def scaled(raw: NDArray[Any], kind: str, scale: str | None) -> NDArray[Any]:
    """A map divided by the stated number, as float32; unchanged if none is stated.

    Args:
        raw: (h, w), as `read_map_and_kind` gives it; uint8 is not changed by "255" either.
        kind: as `read_map_and_kind` gives it.
        scale: one of `SCALES`, or None.
    """
    if scale is None or (scale == "255" and kind == "8-bit") or raw.dtype.kind not in "fiub":
        return raw
    values = raw.astype(np.float64)
    levels = np.rint(values * 65535) if kind == "16-bit" else values
    return (levels / int(scale)).astype(np.float32)
