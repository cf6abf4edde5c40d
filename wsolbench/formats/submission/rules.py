"""The rules for submissions, shared by the writer and the reader."""

from __future__ import annotations

import json
import os
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import WsolbenchError, some
from ...image_ids import RULE, is_image_id
from ...metrics.map_values import map_fault

__all__ = [
    "ABSENT",
    "DTYPES",
    "FORMAT",
    "FORMAT_VERSION",
    "LABELS",
    "MAX_METHOD_BYTES",
    "MAX_NAME",
    "MAX_ROWS",
    "MAX_SIDE",
    "MAX_TEXT",
    "NO_CLASS",
    "OUTSIDE",
    "READ_VERSIONS",
    "SMALL_SIDE",
    "TOP5_RULE",
    "WINDOW_RULE",
    "WITHIN_RULE",
    "Fault",
    "SubmissionHeader",
    "bad_boxes",
    "bad_top5",
    "bad_windows",
    "dumped",
    "field_difference",
    "header_faults",
    "is_class_agnostic",
    "misplaced_windows",
    "plane_fault",
    "raised",
    "unknown_classes",
]

FORMAT = "wsolbench-submission"
FORMAT_VERSION = 2
"""The version that is written; `READ_VERSIONS` are read."""

READ_VERSIONS = (1, 2)

LABELS = ("gt", "predicted")
"""The class of each map: the ground-truth class (GT-known), or the predicted class."""

NO_CLASS = -1
"""Fills the last places of `top5` if a method has fewer than five classes."""

OUTSIDE = 1_000_000_000
"""Class indices of `top5` from here on are classes of the model that the data set does not have:
this number + the model's class. They are right for no image."""

TOP5_RULE = "5 different class indices >= 0; all but the first may be -1, at the end"

WINDOW_RULE = "x0, y0, x1, y1 in pixels of the image, finite, at least one pixel wide and high"

WITHIN_RULE = "a window that along each axis lies within the image or covers all of it"

DTYPES = ("|u1", "<f2", ">f2", "<f4", ">f4", "<f8", ">f8")
"""Map types that are read: uint8 (value / 255), and floats in [0, 1] in either byte order.

Maps are written as `|u1`, `<f2` or `<f4`.
"""

MAX_ROWS = 2_000_000
"""Maximum images of a submission; OpenImages, the largest localization set, has 1.9 million."""

MAX_SIDE = 4096
"""Maximum side of a map in pixels: few images have more, and maps need not exceed them."""

SMALL_SIDE = 56
"""Maps with sides up to this are stored contiguously, larger ones deflated, one per chunk."""

MAX_NAME = 80
"""Maximum characters of a name, which is printed in tables."""

MAX_TEXT = 1000
"""Maximum characters of the sentence that describes the normalisation."""

MAX_METHOD_BYTES = 64_000
"""Maximum bytes of the method's JSON, below HDF5's limit of 64 KiB for an attribute."""

MAX_PLACE = 1 << 20
"""Maximum distance in pixels of a window's edges from the image's corner."""

ABSENT = object()
"""In place of the value of a field that is not there."""

_LONGEST = 200
"""Maximum characters of a value of a header in a message."""

_LARGEST_INT32 = 2**31 - 1


@dataclass(frozen=True)
class SubmissionHeader:
    """The header of a submission.

    Attributes:
        dataset: the name of the data set in the annotation file, e.g. "ilsvrc".
        split: "val", "test", or another split of the data set.
        label: "gt" if each map is for the ground-truth class, "predicted" for the predicted class.
        normalisation: how values were brought to [0, 1], in words.
        method: `name` (required), and any of backbone, paper, code, commit, parameters, seed,
            class_agnostic (true if maps do not depend on the class that they are made for).

    Examples:
        >>> header = wsolbench.SubmissionHeader("mini", "val", "gt", "none", {"name": "mine"})
        >>> header.method["name"]
        'mine'
    """

    dataset: str
    split: str
    label: str
    normalisation: str
    method: Mapping[str, object]


@dataclass(frozen=True)
class Fault:
    """One fault of a submission; `str` gives it as one line.

    Attributes:
        kind: "format", "structure", "header", "ids", "maps", "crc32", "top5", "boxes", "window",
            "edges", "split", "unknown-id" or "missing-id".
        where: the location in the file.
        found, expected, cure: as in `WsolbenchError`.
        image_id, row: the image at fault, or None.
    """

    kind: str
    where: str
    found: str
    expected: str
    cure: str
    image_id: str | None = None
    row: int | None = None

    def __str__(self) -> str:
        return str(self.error())

    def error(self, path: str | os.PathLike[str] | None = None) -> WsolbenchError:
        """The fault as an exception, with the file name before the location."""
        places = [str(path)] if path is not None else []
        where = ": ".join([*places, self.where] if self.where else places) or "the file"
        return WsolbenchError(
            where, found=self.found, expected=self.expected, cure=self.cure, exit_status=1
        )


def is_class_agnostic(method: Mapping[str, object]) -> bool:
    """Whether a method states that its maps do not depend on a class, so that no label matters."""
    return method.get("class_agnostic") is True


def header_faults(header: SubmissionHeader) -> list[Fault]:
    """All faults of a header."""
    faults: list[Fault] = []

    def check(place: str, value: object, sound: bool, expected: str) -> None:
        if not sound:
            found = repr(value) if len(repr(value)) <= MAX_NAME else f"{repr(value)[:MAX_NAME]}..."
            faults.append(
                Fault("header", f"attribute {place}", found, expected, "correct the header")
            )

    name = f"printable text of 1 to {MAX_NAME} characters (Unicode NFC)"
    for place, value in (("dataset", header.dataset), ("split", header.split)):
        check(place, value, isinstance(value, str) and is_image_id(value), RULE)
    check("label", header.label, header.label in LABELS, '"gt" or "predicted"')
    check(
        "normalisation",
        header.normalisation,
        _is_text(header.normalisation, MAX_TEXT),
        f"printable text of 1 to {MAX_TEXT} characters (Unicode NFC)",
    )
    method: object = header.method
    if not isinstance(method, Mapping):
        check("method", header.method, False, "a mapping")
        return faults
    agnostic = header.method.get("class_agnostic", False)
    check("method: class_agnostic", agnostic, isinstance(agnostic, bool), "true or false")
    check("method", header.method.get("name"), _is_text(header.method.get("name"), MAX_NAME), name)
    try:
        size = len(dumped(header.method).encode())
        check("method", f"{size} bytes", size <= MAX_METHOD_BYTES, f"at most {MAX_METHOD_BYTES}")
        same = json.loads(dumped(header.method)) == header.method
        check("method", header.method, same, "values that JSON preserves (string keys, lists)")
    except (TypeError, ValueError, RecursionError) as error:
        check("method", str(error), False, "values that JSON can store, without NaN")
    return faults


def field_difference(name: str, value: object, other: object) -> tuple[str, str] | None:
    """The first field in which two values differ, with either value in words; None if in none.

    Args:
        name: of the field.
        value: its one value; `ABSENT` if there is none. Of mappings each key is compared.
        other: its other value.
    """
    if isinstance(value, Mapping) and isinstance(other, Mapping):
        for key in sorted(value.keys() | other.keys()):
            inner = value.get(key, ABSENT), other.get(key, ABSENT)
            differs = field_difference(f"{name}.{key}", *inner)
            if differs is not None:
                return differs
        return None
    # In Python 1, 1.0 and True are equal, but files that state them have other bytes.
    absent = value is ABSENT or other is ABSENT
    if not absent and json.dumps(value, sort_keys=True) == json.dumps(other, sort_keys=True):
        return None
    return _in_words(name, value, other), _in_words(name, other, value)


def _in_words(field: str, value: object, other: object) -> str:
    """A field and its value, which is cut to where it differs from another one."""
    if value is ABSENT:
        return f"no {field}"
    text = repr(value)
    if len(text) <= _LONGEST:
        return f"{field} {text}"
    pairs = zip(text, repr(other), strict=False)
    same = next((place for place, (own, their) in enumerate(pairs) if own != their), len(text))
    start = max(0, same - _LONGEST // 2)
    end = start + _LONGEST
    return f"{field} {'...' * (start > 0)}{text[start:end]}{'...' * (end < len(text))}"


def _is_text(value: object, longest: int) -> bool:
    # Control, format (bidirectional) and unpaired surrogate characters are not printable.
    return (
        isinstance(value, str)
        and 0 < len(value) <= longest
        and value.isprintable()
        and unicodedata.is_normalized("NFC", value)
    )


def plane_fault(plane: NDArray[Any]) -> str:
    """The fault of a map's shape, dtype or values, in words; empty if there is none."""
    if max(plane.shape, default=0) > MAX_SIDE:
        return f"shape {plane.shape}, with sides outside 1 to {MAX_SIDE}"
    fault = map_fault(plane)
    if fault is None:
        return ""
    found, _, cure = fault
    return f"{found} ({cure})"


def bad_top5(rows: NDArray[Any]) -> list[int]:
    """Rows of (N, 5) integers that break `TOP5_RULE`."""
    ordered = np.sort(rows, axis=1)
    wrong = (rows[:, 0] < 0) | (ordered[:, 0] < NO_CLASS) | (ordered[:, -1] > _LARGEST_INT32)
    wrong |= ((ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] != NO_CLASS)).any(axis=1)
    wrong |= ((rows[:, :-1] == NO_CLASS) & (rows[:, 1:] != NO_CLASS)).any(axis=1)
    rows_at_fault: list[int] = np.flatnonzero(wrong).tolist()
    return rows_at_fault


def unknown_classes(rows: NDArray[Any], classes: int) -> NDArray[np.bool_]:
    """Which rows of (N, 5) name a class that a data set of so many classes does not have."""
    return np.asarray(((rows >= classes) & (rows < OUTSIDE)).any(axis=1))


def bad_boxes(rows: NDArray[Any]) -> list[int]:
    """Rows of (N, 4) integers that are empty boxes, start before 0 or exceed int32."""
    x0, y0, x1, y1 = rows.T
    sound = (x0 >= 0) & (x0 < x1) & (y0 >= 0) & (y0 < y1)
    sound &= (x1 <= _LARGEST_INT32) & (y1 <= _LARGEST_INT32)
    rows_at_fault: list[int] = np.flatnonzero(~sound).tolist()
    return rows_at_fault


def bad_windows(rows: NDArray[Any]) -> list[int]:
    """Rows of (N, 4) floats that break `WINDOW_RULE`, or with an end beyond `MAX_PLACE`."""
    finite = np.isfinite(rows).all(axis=1)
    x0, y0, x1, y1 = np.where(finite[:, None], rows, 0.0).T
    sound = finite & (x1 - x0 >= 1) & (y1 - y0 >= 1) & (np.abs(rows) <= MAX_PLACE).all(axis=1)
    rows_at_fault: list[int] = np.flatnonzero(~sound).tolist()
    return rows_at_fault


def misplaced_windows(
    rows: NDArray[np.float64], heights: NDArray[Any], widths: NDArray[Any]
) -> list[int]:
    """Rows of legal windows (N, 4) that break `WITHIN_RULE` by more than a pixel, or show no pixel.

    A crop lies within the image. With padding, the window covers the image and more.
    """
    sound = np.ones(len(rows), dtype=np.bool_)
    for low, high, side in ((rows[:, 0], rows[:, 2], widths), (rows[:, 1], rows[:, 3], heights)):
        within = (low >= -1) & (high <= side + 1)
        sound &= within | ((low <= 1) & (high >= side - 1))
        sound &= np.minimum(high, side) - np.maximum(low, 0) >= 1 - 1e-6
    rows_at_fault: list[int] = np.flatnonzero(~sound).tolist()
    return rows_at_fault


def raised(path: Path, faults: Sequence[Fault]) -> WsolbenchError:
    """All faults of a file as one exception."""
    if len(faults) == 1:
        return faults[0].error(path)
    listed = [f"{fault.where}: {fault.found}" if fault.where else fault.found for fault in faults]
    return WsolbenchError(
        path,
        found=f"{len(faults)} faults ({some(listed)})",
        cure="list them with wsolbench validate",
        exit_status=1,
    )


def dumped(method: Mapping[str, object]) -> str:
    """The method as JSON with sorted keys and without NaN."""
    return json.dumps(dict(method), sort_keys=True, ensure_ascii=False, allow_nan=False)
