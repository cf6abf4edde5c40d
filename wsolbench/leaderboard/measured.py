"""The parts of a result that a measured entry keeps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..formats.result import Result
from ..scores import LEVELS, curve_names

__all__ = ["kept_curves", "stated_parameters", "threshold_of"]


def threshold_of(result: Result) -> dict[str, Any]:
    """How a result chose its thresholds, as stored in entries."""
    return {key: value for key, value in vars(result.threshold).items() if value is not None}


def stated_parameters(result: Result) -> Mapping[str, Any]:
    """The method's parameters, as stated by the submission."""
    parameters = result.method.get("parameters")
    return parameters if isinstance(parameters, dict) else {}


def kept_curves(result: Result) -> dict[str, list[float]]:
    """The curves that an entry stores: those over 256 levels."""
    if len(result.curves.get("threshold", ())) != LEVELS:
        return {}
    return {key: list(result.curves[key]) for key in curve_names() if key in result.curves}
