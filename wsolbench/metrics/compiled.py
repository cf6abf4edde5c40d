"""Compiled loops: from an extension that was built before, or by numba when first called.

Installing builds the extension `_compiled` from the very functions that stand here (`setup.py`),
where there is a compiler of C and C++. It needs no numba, whose import and whose compiling take
longer than a small evaluation. Without it, or where a file of loops has changed since, numba
compiles each loop when it is first called, and keeps it on disk. Both come from the same source by
the same compiler, without fast-math, and give the same bits.

`WSOLBENCH_KERNELS=numba` leaves the extension out.
"""

from __future__ import annotations

import functools
import importlib
import os
import re
import zlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple, TypeVar

import numpy as np

from ..errors import WsolbenchError
from ..scores import LEVELS

__all__ = ["KERNELS", "SOURCES", "Kernel", "inner", "kernel", "sources", "uses_extension"]

SOURCES = (
    *("bin_kernels", "boundary_kernels", "flood", "kernels", "outline_kernels", "segments"),
    "sum_kernels",
)
"""The modules whose loops are compiled."""

_Loop = TypeVar("_Loop", bound=Callable[..., Any])
_Kind = tuple[np.dtype[Any], int]
"""Type and axes of an array; a number has none."""


class Kernel(NamedTuple):
    """A loop that Python calls.

    Args:
        name: of its symbols in the extension, without their numbers.
        loop: as numba compiles it.
        signatures: in numba's notation, of C-contiguous arrays.
    """

    name: str
    loop: Any
    signatures: tuple[str, ...]


_VARIABLE = "WSOLBENCH_KERNELS"
_NUMBERS = {"i": (int, np.integer), "b": (bool, np.bool_)}

KERNELS: list[Kernel] = []
"""Those of the modules that were imported, where there is no extension."""


def sources() -> int:
    """zlib.crc32 of the number of levels and the files of loops; -1 where one cannot be read."""
    total = zlib.crc32(str(LEVELS).encode())
    try:
        for name in SOURCES:
            total = zlib.crc32(Path(__file__).with_name(f"{name}.py").read_bytes(), total)
    except OSError:
        return -1
    return total


def _extension() -> ModuleType | None:
    choice = os.environ.get(_VARIABLE, "")
    if choice == "numba":
        return None
    if choice:
        raise WsolbenchError(
            _VARIABLE, found=choice, expected="numba, or nothing", cure="set or unset it"
        )
    try:
        built = importlib.import_module("._compiled", __package__)
        return built if built.sources() == sources() else None
    except Exception:  # noqa: BLE001 - whatever cannot be loaded is left to numba
        return None


_EXTENSION = _extension()


def uses_extension() -> bool:
    """Whether loops come from the extension; otherwise numba compiles them."""
    return _EXTENSION is not None


def inner(loop: _Loop) -> _Loop:
    """Mark a loop that compiled ones call, and Python never does: it compiles sooner so."""
    if _EXTENSION is not None:
        return loop
    from numba import njit

    made: _Loop = njit(cache=True, nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)(loop)
    return made


def kernel(*signatures: str) -> Callable[[_Loop], _Loop]:
    """Mark a loop that Python calls: it releases the interpreter's lock.

    Args:
        signatures: in numba's notation, such as `f8[::1](u1[:,::1], i8)`. Arrays are C-contiguous.
    """

    def made(loop: _Loop) -> _Loop:
        name = f"{loop.__module__.rpartition('.')[2]}_{loop.__name__}"
        if _EXTENSION is not None:
            return _checked(_EXTENSION, name, loop, signatures)
        from numba import njit

        compiled: _Loop = njit(cache=True, nogil=True)(loop)
        KERNELS.append(Kernel(name, compiled, signatures))
        return compiled

    return made


def _checked(extension: ModuleType, name: str, loop: _Loop, signatures: tuple[str, ...]) -> _Loop:
    """A loop of the extension, which itself would read any argument as one of its own kind."""
    ways = [
        (_kinds(signature), getattr(extension, f"{name}_{place}"))
        for place, signature in enumerate(signatures)
    ]

    @functools.wraps(loop)
    def call(*arguments: Any) -> Any:
        for kinds, way in ways:
            if all(map(_fits, arguments, kinds)):
                return way(*arguments)
        raise WsolbenchError(
            f"arguments of {loop.__name__}",
            found=", ".join(map(_described, arguments)),
            expected=" or ".join(_expected(kinds) for kinds, _ in ways),
            cure="convert arrays first, e.g. with numpy.ascontiguousarray(array, dtype)",
        )

    return call  # type: ignore[return-value]


def _kinds(signature: str) -> list[_Kind]:
    """Type of each argument, and its axes, none where it is a number."""
    arguments = signature.removesuffix(")").rpartition("(")[2]
    found = re.findall(r"(\w+)(\[[^]]*\])?", arguments)
    return [(np.dtype(kind), axes.count(",") + 1 if axes else 0) for kind, axes in found]


def _fits(argument: object, kind: _Kind) -> bool:
    dtype, axes = kind
    if not axes:
        return isinstance(argument, _NUMBERS[dtype.kind])
    return (
        isinstance(argument, np.ndarray)
        and argument.dtype == dtype
        and argument.ndim == axes
        and argument.flags.c_contiguous
    )


def _expected(kinds: list[_Kind]) -> str:
    arrays = {"i": "integer", "b": "bool"}
    return ", ".join(
        f"{dtype} array of {axes} axes" if axes else arrays[dtype.kind] for dtype, axes in kinds
    )


def _described(argument: object) -> str:
    if not isinstance(argument, np.ndarray):
        return type(argument).__name__
    laid = "" if argument.flags.c_contiguous else ", not contiguous"
    return f"{argument.dtype} array of {argument.ndim} axes{laid}"
