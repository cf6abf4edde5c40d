"""PNG files with a palette of few colours, for pages that show many pictures."""

from __future__ import annotations

import os

from PIL import Image

from ..errors import require_path
from ..files import replacing

__all__ = ["reduce_png"]


def reduce_png(path: str | os.PathLike[str], colours: int = 64, side: int | None = None) -> None:
    """Rewrite a PNG file with few colours, which takes less room.

    The colours are chosen by median cut and refined by k-means, so equal files stay equal.

    Args:
        path: the file.
        colours: of the palette, 256 at most. Charts need 32 to 64, photos 128.
        side: the longest side in pixels; None keeps the size, and a smaller picture keeps its own.

    Raises:
        WsolbenchError: a file that cannot be written.
    """
    require_path("path", path, "the path of a PNG file")
    with Image.open(path) as opened:
        small = opened.convert("RGB")
    if side is not None:
        small.thumbnail((side, side), Image.Resampling.LANCZOS)
    reduced = small.quantize(colours, kmeans=3)
    with replacing(path) as temporary:
        reduced.save(temporary, format="PNG", optimize=True)
