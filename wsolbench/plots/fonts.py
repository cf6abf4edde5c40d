"""Names in any script: other installed fonts where the style's own lacks letters, else codes."""

from __future__ import annotations

import logging
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

from ..errors import SHOWN

if TYPE_CHECKING:
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

__all__ = ["clear", "drawable", "fallbacks", "quiet_fonts", "settle_fonts"]

_PREFERRED = (
    *("DejaVu Sans", "Noto Sans", "Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans SC"),
    *("Source Han Sans SC", "Source Han Sans", "WenQuanYi Micro Hei", "WenQuanYi Zen Hei"),
    *("Microsoft YaHei", "SimHei", "PingFang SC", "Hiragino Sans", "Yu Gothic", "Malgun Gothic"),
    *("Apple SD Gothic Neo", "Noto Sans KR", "Noto Sans JP", "Arial Unicode MS"),
)
"""Families that are looked at before the rest, which are taken in the order of their names."""

_UNFIT = ("emoji", "last resort", "lastresort")

_log = logging.getLogger(__name__)


def drawable(text: str) -> str:
    """The text with codes such as \\u9ed1 in place of letters that no installed font has.

    A letter that splits into others, such as a wide A, becomes these if they can be drawn.
    """
    if text.isascii():
        return text
    return "".join(char if _family(char) is not None else _spelt(char) for char in text)


def fallbacks(text: str) -> list[str]:
    """Installed families, beside the style's own, which have the rest of the text's letters."""
    if text.isascii():
        return []
    found = dict.fromkeys(map(_family, text))
    return [family for family in found if family]


def settle_fonts(figure: Figure) -> None:
    """Give each text of a figure the fonts that its letters need, or codes where there are none.

    One line is logged if letters are missing, in place of a warning for each of them.
    """
    from matplotlib.text import Text

    lacking: dict[str, None] = {}
    for ax in figure.axes:
        for axis in (ax.xaxis, ax.yaxis):
            _settle_ticks(axis, lacking)
    for text in figure.findobj(Text):
        own = text.get_text() if isinstance(text, Text) else ""
        if own.isascii() or not isinstance(text, Text):
            continue
        text.set_text(_noted(own, lacking))
        if more := fallbacks(text.get_text()):
            text.set_fontfamily([*text.get_fontfamily(), *more])
    if lacking:
        first = ", ".join(f"U+{ord(char):04X}" for char in list(lacking)[:SHOWN])
        others = len(lacking) - SHOWN
        _log.warning(
            "plots: no installed font has %s%s: the picture shows codes in their place; install a "
            "font of this script, e.g. Noto Sans CJK",
            first,
            f" and {others} more" if others > 0 else "",
        )


@contextmanager
def quiet_fonts() -> Iterator[None]:
    """Without matplotlib's lines on a font that has no regular weight, as variable ones may not."""
    log = logging.getLogger("matplotlib.font_manager")
    outer = _not_on_weights in log.filters
    log.addFilter(_not_on_weights)
    try:
        yield
    finally:
        if not outer:
            log.removeFilter(_not_on_weights)


def _not_on_weights(record: logging.LogRecord) -> bool:
    return "Failed to find font" not in record.getMessage()


def clear() -> None:
    """Forget which fonts are installed."""
    _installed.cache_clear()
    _family_of.cache_clear()
    _letters.cache_clear()


def _settle_ticks(axis: Axis, lacking: dict[str, None]) -> None:
    """Labels of ticks are set once more when they are drawn, so their source is changed."""
    labels = [label.get_text() for label in axis.get_majorticklabels()]
    told = [_noted(label, lacking) for label in labels]
    if told != labels:
        axis.set_ticks(axis.get_majorticklocs(), told)


def _noted(text: str, lacking: dict[str, None]) -> str:
    lacking |= dict.fromkeys(char for char in text if _family(char) is None)
    return drawable(text)


def _family(char: str) -> str | None:
    """The family that draws a letter: empty for the style's own, None for none."""
    from matplotlib import rcParams

    return _family_of(char, tuple(rcParams["font.family"]))


@cache
def _family_of(char: str, own: tuple[str, ...]) -> str | None:
    from matplotlib.font_manager import FontProperties, findfont

    if (
        char.isspace()
        or char == "\N{LEFT-TO-RIGHT MARK}"
        or ord(char) in _letters(findfont(FontProperties(family=list(own))))
    ):
        return ""
    with quiet_fonts():
        for name in _installed():
            if ord(char) in _letters(findfont(FontProperties(family=[name]))):
                return name
    return None


@cache
def _installed() -> tuple[str, ...]:
    """Upright families in the order in which they are tried: those of regular weight first."""
    from matplotlib.font_manager import fontManager

    regular: dict[str, bool] = {}
    for entry in fontManager.ttflist:
        # Glyphs in colours cannot be drawn, and those of last resort are boxes.
        if entry.style == "normal" and not any(word in entry.name.lower() for word in _UNFIT):
            fits = (entry.weight, entry.stretch) == (400, "normal")
            regular[entry.name] = regular.get(entry.name, False) or fits
    preferred = {name: place for place, name in enumerate(_PREFERRED)}
    last = len(preferred)
    order = sorted((not fits, preferred.get(name, last), name) for name, fits in regular.items())
    return tuple(name for _, _, name in order)


@cache
def _letters(path: str) -> frozenset[int]:
    """The code points of a font file; none of one that cannot be drawn at any size."""
    from matplotlib.ft2font import FT2Font

    try:
        font = FT2Font(path)
        font.set_size(8, 72)
    except (OSError, RuntimeError):
        return frozenset()
    return frozenset(font.get_charmap())


def _spelt(char: str) -> str:
    parts = unicodedata.normalize("NFKD", char)
    if parts != char and all(_family(part) is not None for part in parts):
        return parts
    return ascii(char)[1:-1]
