"""Opening photos and mask files; Pillow decodes them in a reader process.

EXIF orientation is ignored unless it is requested, because masks, boxes and sizes of published data
sets refer to the pixels in their stored order. Truncated files are rejected, never completed.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from .errors import WsolbenchError, require_choice
from .formats.untrusted.byte_file import ByteFile
from .formats.untrusted.pictures import MAX_PIXELS, MAX_SIDE, Picture, picture_of, read_picture
from .formats.untrusted.process import give_back, has_readers, take
from .formats.untrusted.trust import trusted_files

__all__ = [
    "EXIF",
    "MAX_PIXELS",
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

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What turns a photo upright, by its EXIF orientation (EXIF 2.3, tag 274)."""


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
    found = _read(path, PHOTO_FORMATS, load=True, size=size, upright=exif == "apply")
    turned = found.orientation
    stored = (found.height, found.width)
    if size is not None:
        shape = stored[::-1] if turned >= 5 and exif == "apply" else stored
        if shape != size and turned >= 5 and shape == size[::-1]:
            raise _turned(Path(path), stored, turned, size, whose, exif)
        if shape != size:
            raise _wrong_size(Path(path), shape, size, whose)
    picture = found.image()
    if exif == "apply" and turned != 1:
        picture = picture.transpose(_TURNS[turned])
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
    found = _read(path, PHOTO_FORMATS, load=False)
    swapped = exif == "apply" and found.orientation >= 5
    height, width = (found.width, found.height) if swapped else (found.height, found.width)
    return height, width, found.orientation


def exif_orientation(
    path: str | os.PathLike[str], *, formats: Sequence[str] = PHOTO_FORMATS
) -> int:
    """The EXIF orientation of a picture, 1 to 8; 1 is upright. Its pixels are not decoded.

    Raises:
        WsolbenchError: see `open_picture`.
    """
    return _read(path, formats, load=False).orientation


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
    return _read(path, formats, load=True).image()


def _read(
    path: str | os.PathLike[str],
    formats: Sequence[str],
    *,
    load: bool,
    size: tuple[int, int] | None = None,
    upright: bool = False,
) -> Picture:
    """A picture, decoded in a reader process; see `read_picture`."""
    with ByteFile(path, "a picture") as file:
        try:
            if trusted_files() or not has_readers():
                found = read_picture(file.stream(), formats, load=load, size=size, upright=upright)
                file.require_unchanged()
                return found
            request = {"act": "picture", "formats": list(formats), "load": load}
            reader = take("pictures")
            try:
                head, arrays = reader.ask(
                    {**request, "size": size, "upright": upright}, file.descriptor, quick=not load
                )
            finally:
                give_back(reader)
            file.require_unchanged()
            return picture_of(head, arrays)
        except WsolbenchError as error:
            raise WsolbenchError(
                error.where or path,
                found=error.found,
                expected=error.expected,
                cure=error.cure or "download it again",
                exit_status=error.exit_status,
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
