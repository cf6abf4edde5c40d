"""Opening a photo or a mask file: the one place where Pillow meets files of unknown origin.

The stored pixel order rules: EXIF orientation is ignored everywhere (masks, boxes and sizes of
every data set here refer to the pixels as stored). Truncated files are refused, never completed.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from .errors import WsolbenchError
from .files import require_file

__all__ = ["MAX_SIDE", "open_picture"]

MAX_SIDE = 16384
"""Pixels. No data set in use comes near it; a picture that does is damaged or hostile."""

MAX_PIXELS = 89_478_485
"""Pixels of one picture: Pillow's own limit (a quarter of a GiB as 24-bit RGB)."""


def open_picture(
    path: str | os.PathLike[str],
    *,
    formats: Sequence[str] = ("JPEG", "PNG"),
    size: tuple[int, int] | None = None,
    whose: str = "",
) -> Image.Image:
    """Read a picture whole.

    Args:
        path: the file.
        formats: Pillow's names of the formats that may be read.
        size: (height, width) that it must have, checked before the pixels are decoded.
        whose: what set that size, for the message.

    Returns:
        The picture in its own mode, loaded, its file closed.

    Raises:
        WsolbenchError: no such file, another format, another size, damaged, too large.
    """
    file = require_file(path, "a picture")
    kinds = " or ".join(formats)
    try:
        with Image.open(file, formats=list(formats)) as picture:
            width, height = picture.size
            if max(width, height) > MAX_SIDE or width * height > MAX_PIXELS:
                raise WsolbenchError(
                    file,
                    found=f"{width}x{height} pixels",
                    expected=f"at most {MAX_SIDE} a side and {MAX_PIXELS} in all",
                    cure="replace the file",
                )
            if size is not None and (height, width) != size:
                raise _wrong_size(file, (height, width), size, whose)
            picture.load()
            whole: Image.Image = picture.copy()
            return whole
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise WsolbenchError(
            file, found="too many pixels", expected=f"at most {MAX_PIXELS}", cure="replace the file"
        ) from error
    except UnidentifiedImageError as error:
        raise WsolbenchError(
            file, found=f"no {kinds} picture", cure="convert it, or fetch it again"
        ) from error
    except (OSError, SyntaxError, ValueError) as error:
        raise WsolbenchError(
            file,
            found=f"a damaged picture ({error})",
            expected=f"a whole {kinds} file",
            cure="fetch it again",
        ) from error


def _wrong_size(
    file: Path, found: tuple[int, int], wanted: tuple[int, int], whose: str
) -> WsolbenchError:
    transposed = ", the same with the sides swapped" if found == wanted[::-1] else ""
    return WsolbenchError(
        file,
        found=f"width {found[1]}, height {found[0]}{transposed}",
        expected=f"width {wanted[1]}, height {wanted[0]}{f' as {whose} says' if whose else ''}",
        cure="use the picture that was annotated, at its original size",
    )
