"""Texts cut to the inches that they have."""

from __future__ import annotations

from functools import cache
from typing import Any

from .fonts import drawable, fallbacks

__all__ = ["cut", "line_height", "small", "text_width", "wrapped"]

_SPACING = 1.25  # of lines of text, times the size of the font


def small() -> float:
    """The size of small text in the style in force, in points."""
    from matplotlib import rcParams
    from matplotlib.font_manager import FontProperties

    return FontProperties(size=rcParams["legend.fontsize"]).get_size_in_points()


def line_height(size: float) -> float:
    """Inches from one line of text to the next, for a size in points."""
    return _SPACING * size / 72


def text_width(text: str, size: float, weight: str = "normal") -> float:
    """The width of one line of text in inches, in the style in force."""
    from matplotlib import rcParams
    from matplotlib.font_manager import FontProperties

    shown = drawable(text)
    family = [*rcParams["font.family"], *fallbacks(shown)]
    prop = FontProperties(family=family, size=size, weight=weight)
    width, _, _ = _renderer().get_text_width_height_descent(shown, prop, ismath=False)
    return float(width) / 720


def wrapped(
    text: str, inches: float, size: float, most: int | None = None, weight: str = "normal"
) -> list[str]:
    """The lines of a text that may be so wide.

    Lines break at spaces, and within words that are wider than a line, as all Chinese ones may be.

    Args:
        text: its own line breaks are kept.
        inches: the width of a line.
        size: of the font, in points.
        most: the number of lines; the last one then ends in an ellipsis if there are more.
        weight: "normal" or "bold".
    """
    lines: list[str] = []
    for paragraph in text.split("\n"):
        line = ""
        for word in paragraph.split(" "):
            longer = f"{line} {word}" if line else word
            if text_width(longer, size, weight) <= inches:
                line = longer
                continue
            if line:
                lines.append(line)
            *full, line = _pieces(word, inches, size, weight)
            lines += full
        lines.append(line)
    if most is None or len(lines) <= most:
        return lines
    rest = " ".join(lines[most - 1 :])
    return [*lines[: most - 1], cut(rest, inches, size, weight)]


def cut(
    text: str, inches: float, size: float, weight: str = "normal", *, keep_end: bool = False
) -> str:
    """A text on one line, with an ellipsis in place of what is too wide.

    Args:
        text: of one line.
        inches: the width of the line.
        size: of the font, in points.
        weight: "normal" or "bold".
        keep_end: whether the start is left out, not the end.
    """
    if text_width(text, size, weight) <= inches:
        return text
    dots = "\N{HORIZONTAL ELLIPSIS}"

    def told(kept: int) -> str:
        return dots + text[len(text) - kept :] if keep_end else text[:kept].rstrip() + dots

    low, high = 0, len(text)
    while low < high:  # the longest part that fits
        middle = (low + high + 1) // 2
        fits = text_width(told(middle), size, weight) <= inches
        low, high = (middle, high) if fits else (low, middle - 1)
    return told(low)


def _pieces(word: str, inches: float, size: float, weight: str) -> list[str]:
    """A word in pieces that are not too wide, of one letter at the least; - and _ end a piece."""
    pieces = [""]
    for char in word:
        if pieces[-1] and text_width(pieces[-1] + char, size, weight) > inches:
            end = max(map(pieces[-1].rfind, "-_")) + 1 or len(pieces[-1])
            pieces[-1:] = [pieces[-1][:end], pieces[-1][end:]]
        pieces[-1] += char
    return pieces


@cache
def _renderer() -> Any:
    """Measures texts: 720 pixels an inch, since it rounds to pixels."""
    from matplotlib.backends.backend_agg import RendererAgg

    return RendererAgg(1, 1, 720)  # type: ignore[no-untyped-call]
