"""OpenCV, which the reproduced protocols and pseudo-boundaries need."""

from __future__ import annotations

from types import ModuleType

from ..errors import WsolbenchError

__all__ = ["opencv"]


def opencv() -> ModuleType:
    """The module cv2.

    Raises:
        WsolbenchError: it is not installed.
    """
    try:
        import cv2
    except ImportError as error:
        raise WsolbenchError(
            "opencv",
            found="cv2 not installed",
            expected="OpenCV, for protocols other than sem and for pseudo-boundaries",
            cure="pip install 'wsolbench[opencv]', or score with --protocol sem",
        ) from error
    return cv2
