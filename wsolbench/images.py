"""Opening photos and mask files; Pillow reads untrusted files only here.

EXIF orientation is ignored unless it is requested, because masks, boxes and sizes of published data
sets refer to the pixels in their stored order. Truncated files are rejected, never completed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from .errors import WsolbenchError, one_of, require_choice
from .files import require_file

__all__ = [
    "EXIF",
    "MAX_SIDE",
    "PHOTO_ENDINGS",
    "exif_orientation",
    "open_picture",
    "photo_size",
    "read_photo",
    "turned_note",
]

PHOTO_FORMATS = ("JPEG", "PNG")
"""Pillow's names of the formats of photos."""

EXIF = ("ignore", "apply")
"""What is done with the orientation in a photo's EXIF data."""

PHOTO_ENDINGS = (".jpg", ".jpeg", ".png")
"""File name endings of photos, in upper or lower case."""

MAX_SIDE = 16384
"""Maximum side of a picture in pixels, far above that of any data set in use."""

MAX_PIXELS = 89_478_485
"""Maximum pixels of one picture: Pillow's own limit (a quarter of a GiB as 24-bit RGB)."""


_ORIENTATION = 0x0112  # EXIF tag; 1 is upright, and 5 to 8 swap width and height


def read_photo(
    path: str | os.PathLike[str],
    *,
    size: tuple[int, int] | None = None,
    whose: str = "",
    exif: str = "ignore",
) -> tuple[Image.Image, int]:
    """Read a photo as 8-bit RGB.

    Levels of 16 bits are divided by 257; transparency is dropped.

    Args:
        path: a JPEG or PNG file.
        size: required (height, width), after `exif`.
        whose: where that size comes from, for the message.
        exif: "ignore" keeps the pixels in their stored order, "apply" turns the photo upright.

    Returns:
        The photo, and the EXIF orientation of the file: 1 if it is upright, 2 to 8 otherwise.

    Raises:
        WsolbenchError: see `open_picture`; the size differs, also if only because of `exif`.
    """
    require_choice("exif", exif, EXIF)
    with _opened(path) as opened:
        turned = _orientation(opened)
        swapped = turned >= 5
        stored = (opened.height, opened.width)
        shape = stored[::-1] if swapped and exif == "apply" else stored
        if size is not None and shape != size:
            if swapped and shape == size[::-1]:
                raise _turned(Path(path), stored, turned, size, whose, exif)
            raise _wrong_size(Path(path), shape, size, whose)
        opened.load()
        picture = ImageOps.exif_transpose(opened) if exif == "apply" else opened.copy()
    if picture.mode in ("I", "I;16", "I;16B"):
        levels = np.rint(np.clip(np.asarray(picture).astype(np.float64) / 257, 0, 255))
        picture = Image.fromarray(levels.astype(np.uint8))
    return picture.convert("RGB"), turned


def photo_size(path: str | os.PathLike[str], exif: str = "ignore") -> tuple[int, int, int]:
    """(height, width, EXIF orientation) of a photo; its pixels are not decoded.

    Raises:
        WsolbenchError: see `open_picture`.
    """
    require_choice("exif", exif, EXIF)
    with _opened(path) as picture:
        turned = _orientation(picture)
        swapped = exif == "apply" and turned >= 5
        height, width = picture.size if swapped else picture.size[::-1]
        return height, width, turned


def exif_orientation(
    path: str | os.PathLike[str], *, formats: Sequence[str] = PHOTO_FORMATS
) -> int:
    """The EXIF orientation of a picture, 1 to 8; 1 is upright. Its pixels are not decoded.

    Raises:
        WsolbenchError: see `open_picture`.
    """
    with _opened(path, formats) as picture:
        return _orientation(picture)


def turned_note(count: int, exif: str) -> str:
    """What is to be known of photos with an EXIF orientation.

    Args:
        count: how many have one.
        exif: what was done with it.
    """
    photos = "1 photo has" if count == 1 else f"{count} photos have"
    done = (
        "was applied"
        if exif == "apply"
        else "was ignored (--exif apply if annotations were drawn on upright photos)"
    )
    return f"{photos} an EXIF orientation, which {done}"


def _orientation(picture: Image.Image) -> int:
    try:
        value = picture.getexif().get(_ORIENTATION, 1)
    except (SyntaxError, ValueError, OSError, KeyError, TypeError):  # damaged EXIF data
        return 1
    return value if isinstance(value, int) and 2 <= value <= 8 else 1


def open_picture(
    path: str | os.PathLike[str], *, formats: Sequence[str] = PHOTO_FORMATS
) -> Image.Image:
    """Open and fully decode a picture.

    Args:
        path: the file.
        formats: Pillow's names of the accepted formats.

    Returns:
        The picture in its stored mode, loaded, with its file closed.

    Raises:
        WsolbenchError: the file is missing, damaged, too large, or has another format.
    """
    with _opened(path, formats) as picture:
        picture.load()
        return picture.copy()


@contextmanager
def _opened(
    path: str | os.PathLike[str], formats: Sequence[str] = PHOTO_FORMATS
) -> Iterator[Image.Image]:
    """A picture of which only the header is read; faults of its file on one line."""
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
            frames = getattr(picture, "n_frames", 1)
            if picture.format == "TIFF" and frames > 1:
                raise WsolbenchError(
                    file, found=f"{frames} pages", expected="one", cure="save one picture per file"
                )
            yield picture
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


def _turned(
    file: Path,
    stored: tuple[int, int],
    orientation: int,
    wanted: tuple[int, int],
    whose: str,
    exif: str,
) -> WsolbenchError:
    other = "ignore" if exif == "apply" else "apply"
    return WsolbenchError(
        file,
        found=f"width {stored[1]}, height {stored[0]} and EXIF orientation {orientation}, "
        f"which swaps them",
        expected=f"width {wanted[1]}, height {wanted[0]}{f' as in {whose}' if whose else ''}",
        cure=f"use --exif {other}, in Python exif={other!r}",
    )


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
