"""The look of all plots, and writing a figure to a file.

The colours are Okabe and Ito's palette, which colour-blind readers can distinguish. Colours, dashes
and markers repeat after 7, 5 and 4 lines, so no two of 140 lines look the same.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from ..errors import WsolbenchError, one_of, require_choice, require_path
from ..files import replacing
from ..scores import Score, Unit
from .fonts import quiet_fonts, settle_fonts

if TYPE_CHECKING:
    from matplotlib.axes import Axes


__all__ = [
    "COLOURS",
    "FIGURE_HEIGHT",
    "FIGURE_WIDTHS",
    "LINES",
    "MARKERS",
    "MINUS",
    "STYLES",
    "SUFFIXES",
    "Look",
    "inches_of",
    "limit_axis",
    "line",
    "look",
    "picture",
    "require_form",
]

MINUS = "\N{MINUS SIGN}"


COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")


LINES: tuple[Any, ...] = (
    "-",
    *((0, dashes) for dashes in ((5, 1.5), (1, 1.3), (6, 1.5, 1, 1.5), (3, 1.2, 1, 1.2, 1, 1.2))),
)
"""Styles of lines, as matplotlib takes them."""

MARKERS = ("o", "s", "^", "D")


SUFFIXES = (".png", ".svg", ".pdf")

FIGURE_WIDTHS = {"column": 3.25, "text": 6.875}
"""Inches of a column, and of a page of two columns with their gap, as in the CVPR style."""

FIGURE_HEIGHT = 8.0
"""Inches of a figure that fits a page of that style, 8.875 inches high, with its caption."""


def _sizes(text: float, small: float) -> dict[Any, Any]:
    """Sizes of fonts in points."""
    large = {f"{name}size": text for name in ("font.", "axes.title", "axes.label", "figure.title")}
    ticks = {f"{name}tick.labelsize": small for name in "xy"}
    return {**large, **ticks, "legend.fontsize": small, "legend.title_fontsize": small}


STYLES: dict[str, dict[Any, Any]] = {
    "screen": {
        **_sizes(9, 8),
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "grid.color": "#dddddd",
        "grid.linewidth": 0.6,
        "legend.frameon": False,
        "lines.linewidth": 1.6,
        "savefig.dpi": 150,
        "svg.hashsalt": "wsolbench",
    }
}
STYLES["paper"] = {
    **STYLES["screen"],
    **_sizes(8, 8),
    "font.family": "serif",
    "mathtext.fontset": "dejavuserif",
    "axes.grid": False,
    "axes.linewidth": 0.6,
    "lines.linewidth": 1.2,
    "pdf.fonttype": 42,
    "savefig.dpi": 300,
}
"""Styles by name, each applied to one figure at a time and never globally. `paper` has 8 pt text in
a serif font, embedded TrueType fonts, no grid and 300 dpi."""


@dataclass(frozen=True)
class Look:
    """How one of several lines is drawn."""

    colour: str
    dashes: Any
    marker: str


def look(place: int) -> Look:
    """The look of the line with this index; no two of 140 are the same."""
    return Look(
        COLOURS[place % len(COLOURS)], LINES[place % len(LINES)], MARKERS[place % len(MARKERS)]
    )


def inches_of(width: str | None) -> float | None:
    """The inches of a key of `FIGURE_WIDTHS`; None where the content sets the width.

    Raises:
        WsolbenchError: another name.
    """
    if width is None:
        return None
    require_choice("width", width, FIGURE_WIDTHS)
    return FIGURE_WIDTHS[width]


@contextmanager
def picture(
    path: str | os.PathLike[str],
    rows: int,
    columns: int,
    size: tuple[float, float],
    style: str = "screen",
    heights: Sequence[float] | None = None,
) -> Iterator[NDArray[Any]]:
    """Yield axes to draw on; write them to a PNG, SVG or PDF file if the block succeeds.

    Args:
        path: the file; its extension selects the format.
        rows: number of rows of axes.
        columns: number of columns of axes.
        size: (width, height) in inches.
        style: a key of `STYLES`; it applies only within the block.
        heights: relative heights of the rows; None for equal heights.

    Returns:
        matplotlib Axes (rows, columns).

    Raises:
        WsolbenchError: unsupported file extension, unknown style, matplotlib not installed, or a
            file that cannot be written.
    """
    form = require_form(path)
    require_choice("style", style, STYLES)
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(STYLES[style]), quiet_fonts(), replacing(path) as temporary:
        figure = Figure(figsize=size, layout="constrained")
        yield figure.subplots(rows, columns, squeeze=False, height_ratios=heights)
        settle_fonts(figure)
        dated = {"png": {}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}[form]
        figure.savefig(temporary, format=form, metadata=dated)


def require_form(path: str | os.PathLike[str]) -> str:
    """The format of a figure by its file extension: png, svg or pdf. Call it before any work.

    Raises:
        WsolbenchError: unsupported file extension, or matplotlib is not installed.
    """
    require_path("path", path, "the path of the figure to write")
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        raise WsolbenchError(
            path,
            found=f"the extension {suffix or 'none'}",
            expected=one_of(SUFFIXES),
            cure="rename the output file",
        )
    if find_spec("matplotlib") is None:
        raise WsolbenchError(
            "plots",
            found="they need matplotlib, which is not installed",
            cure="pip install 'wsolbench[plots]'",
        )
    return suffix[1:]


def limit_axis(ax: Axes, score: Score, top: float = 100) -> None:
    """Limit the y axis to 0..`top` percent if the score's range is [0, 1]; else leave it alone."""
    if score.unit is Unit.FRACTION and (score.low, score.high) == (0, 1):
        ax.set_ylim(0, top)


def line(ax: Axes, x: Sequence[float], y: Sequence[float], place: int, text: str) -> None:
    """Draw a line with the look of its index, and a text for a legend."""
    own = look(place)
    ax.plot(x, y, color=own.colour, linestyle=own.dashes, label=text)
