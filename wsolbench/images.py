"""Opening photos and mask files; Pillow reads untrusted files only here.

EXIF orientation is ignored everywhere, because the masks, boxes and sizes of every data set here
refer to the pixels in their stored order. Truncated files are rejected, never completed.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from .errors import WsolbenchError, one_of
from .files import require_file

__all__ = ["MAX_SIDE", "open_picture"]

MAX_SIDE = 16384
"""Maximum side of a picture in pixels, far above that of any data set in use."""

MAX_PIXELS = 89_478_485
"""Maximum pixels of one picture: Pillow's own limit (a quarter of a GiB as 24-bit RGB)."""


def open_picture(
    path: str | os.PathLike[str],
    *,
    formats: Sequence[str] = ("JPEG", "PNG"),
    size: tuple[int, int] | None = None,
    whose: str = "",
) -> Image.Image:
    """Open and fully decode a picture.

    Args:
        path: the file.
        formats: Pillow's names of the accepted formats.
        size: required (height, width), checked before the pixels are decoded.
        whose: where that size comes from, for the message.

    Returns:
        The picture in its stored mode, loaded, with its file closed.

    Raises:
        WsolbenchError: the file is missing, damaged, too large, or has another format or size.
    """
    file = require_file(path, "a picture")
    kinds = one_of(formats)
    try:
        with Image.open(file, formats=list(formats)) as picture:
            width, height = picture.size
            if max(width, height) > MAX_SIDE or width * height > MAX_PIXELS:
                raise WsolbenchError(
                    file,
                    found=f"{width}x{height} pixels",
                    expected=f"sides of at most {MAX_SIDE} and {MAX_PIXELS} pixels in total",
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
            file, found=f"not a {kinds} picture", cure="convert it, or download it again"
        ) from error
    except (OSError, SyntaxError, ValueError) as error:
        raise WsolbenchError(
            file,
            found=f"a damaged picture ({error})",
            expected=f"a complete {kinds} file",
            cure="download it again",
        ) from error


def _wrong_size(
    file: Path, found: tuple[int, int], wanted: tuple[int, int], whose: str
) -> WsolbenchError:
    transposed = " (width and height swapped)" if found == wanted[::-1] else ""
    return WsolbenchError(
        file,
        found=f"width {found[1]}, height {found[0]}{transposed}",
        expected=f"width {wanted[1]}, height {wanted[0]}{f' as in {whose}' if whose else ''}",
        cure="use the picture that was annotated, at its original size",
    )
