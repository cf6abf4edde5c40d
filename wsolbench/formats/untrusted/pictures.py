"""Decoding of pictures by Pillow, in the form in which a reader process sends them."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from ...errors import WsolbenchError, one_of

__all__ = ["MAX_PIXELS", "MAX_SIDE", "Picture", "picture_of", "read_picture", "rehearse"]

MAX_SIDE = 16384
"""Maximum side of a picture in pixels, far above that of any data set in use."""

MAX_PIXELS = 89_478_485
"""Maximum pixels of one picture: Pillow's own limit (a quarter of a GiB as 24-bit RGB)."""

_ROW_BITS = {
    **dict.fromkeys(("L", "P"), 8),
    **dict.fromkeys(("LA", "La", "PA", "I;16", "I;16L", "I;16B", "I;16N"), 16),
    **dict.fromkeys(("RGB", "YCbCr", "LAB", "HSV"), 24),
    **dict.fromkeys(("RGBA", "RGBa", "RGBX", "CMYK", "I", "F"), 32),
    "1": 1,
}
"""Bits of a pixel in `PIL.Image.Image.tobytes`, by mode; rows are whole bytes."""

_ORIENTATION = 0x0112  # EXIF tag; 1 is upright, and 5 to 8 swap width and height


@dataclass(frozen=True)
class Picture:
    """A picture, or its header alone.

    Attributes:
        mode: Pillow's name of its stored mode.
        width: in pixels, as stored.
        height: likewise.
        orientation: EXIF orientation, 1 (upright) to 8.
        palette: the mode and the bytes of its palette, as hexadecimal digits, or None.
        transparency: what Pillow holds of transparent colours: an index, a colour, or hexadecimal
            digits; None without.
        pixels: uint8 (n,), as of `PIL.Image.Image.tobytes`; empty if only the header was read.
    """

    mode: str
    width: int
    height: int
    orientation: int
    palette: tuple[str, str] | None
    transparency: Any
    pixels: NDArray[np.uint8]

    def image(self) -> Image.Image:
        """The picture as Pillow's object."""
        image = Image.frombytes(self.mode, (self.width, self.height), self.pixels.data)
        if self.palette is not None:
            image.putpalette(bytes.fromhex(self.palette[1]), self.palette[0])
        if self.transparency is not None:
            given = self.transparency
            image.info["transparency"] = (
                bytes.fromhex(given)
                if isinstance(given, str)
                else tuple(given)
                if isinstance(given, list)
                else given
            )
        return image


def read_picture(
    file: BinaryIO,
    formats: Sequence[str],
    *,
    load: bool,
    size: Sequence[int] | None = None,
    upright: bool = False,
) -> Picture:
    """Read a picture.

    Args:
        file: the file, open for reading.
        formats: Pillow's names of the accepted formats.
        load: whether to decode the pixels.
        size: decode them only if this is the (height, width).
        upright: whether that is the size after turning by the EXIF orientation.

    Raises:
        WsolbenchError: the file is damaged, too large, or has another format; its `where` is empty.
    """
    kinds = one_of(formats)
    try:
        with Image.open(file, formats=list(formats)) as opened:
            width, height = opened.size
            if max(width, height) > MAX_SIDE or width * height > MAX_PIXELS:
                raise WsolbenchError(
                    "",
                    found=f"{width}x{height} pixels",
                    expected=f"sides of at most {MAX_SIDE} and {MAX_PIXELS} pixels in total",
                    cure="replace the file",
                )
            frames = getattr(opened, "n_frames", 1)
            if opened.format == "TIFF" and frames > 1:
                raise WsolbenchError(
                    "", found=f"{frames} pages", expected="one", cure="save one picture per file"
                )
            orientation = _orientation(opened)
            swapped = upright and orientation >= 5
            shape = [width, height] if swapped else [height, width]
            pixels = np.empty(0, dtype=np.uint8)
            if load and (size is None or shape == list(size)):
                opened.load()
                pixels = np.frombuffer(opened.tobytes(), dtype=np.uint8)
            palette, clear = opened.palette, opened.info.get("transparency")
            return Picture(
                opened.mode,
                width,
                height,
                orientation,
                None if palette is None else (palette.mode, palette.tobytes().hex()),
                clear.hex() if isinstance(clear, bytes) else clear,
                pixels,
            )
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise WsolbenchError(
            "", found="too many pixels", expected=f"at most {MAX_PIXELS}", cure="replace the file"
        ) from error
    except UnidentifiedImageError as error:
        raise WsolbenchError(
            "", found=f"not a {kinds} picture", cure="convert it, or download it again"
        ) from error
    except (OSError, SyntaxError, ValueError, LookupError, TypeError, ArithmeticError) as error:
        raise WsolbenchError(
            "",
            found=f"a damaged picture ({error})",
            expected=f"a complete {kinds} file",
            cure="download it again",
        ) from error


def picture_of(head: Any, arrays: Sequence[NDArray[Any]]) -> Picture:
    """The picture that a reader process describes, of which nothing is believed.

    Raises:
        WsolbenchError: a sound reader cannot have said that; its `where` is empty.
    """
    try:
        picture = Picture(**head, pixels=arrays[0].view(np.uint8))
        sides = (picture.width, picture.height)
        small = 1 <= min(sides) <= max(sides) <= MAX_SIDE and math.prod(sides) <= MAX_PIXELS
        if not small or picture.orientation not in range(1, 9):
            raise ValueError("no picture")
        row = _ROW_BITS[picture.mode] * picture.width
        if picture.pixels.size not in (0, picture.height * -(-row // 8)):
            raise ValueError("not its pixels")
        if picture.palette is not None:
            bytes.fromhex(picture.palette[1])
        return picture
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise WsolbenchError(
            "",
            found="an answer of the reader process that no sound picture gives",
            cure="the file is damaged or hostile: download it again",
            exit_status=1,
        ) from error


def rehearse() -> None:
    """Read a picture of each format, so that Pillow has loaded all that it needs."""
    for form in ("PNG", "JPEG", "TIFF"):
        drawn = io.BytesIO()
        Image.new("L", (8, 8)).save(drawn, form)
        read_picture(drawn, [form], load=True)


def _orientation(picture: Image.Image) -> int:
    try:
        value = picture.getexif().get(_ORIENTATION, 1)
    except (SyntaxError, ValueError, OSError, LookupError, TypeError):  # damaged EXIF data
        return 1
    return value if isinstance(value, int) and 2 <= value <= 8 else 1
