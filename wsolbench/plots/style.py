"""The look of all plots, and writing a figure to a file.

The colours are Okabe and Ito's palette, which colour-blind readers can distinguish; lines also
differ in style.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from ..errors import WsolbenchError, one_of, require_choice, require_path
from ..files import replacing
from ..scores import Score, Unit

if TYPE_CHECKING:
    from matplotlib.axes import Axes


__all__ = [
    "COLOURS",
    "LINES",
    "MINUS",
    "STYLE",
    "STYLES",
    "SUFFIXES",
    "limit_axis",
    "line",
    "percent",
    "picture",
    "require_form",
    "with_legend",
]

MINUS = "\N{MINUS SIGN}"


COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")


LINES: tuple[Any, ...] = (
    *("-", "--", "-.", ":"),
    *((0, dashes) for dashes in ((6, 1), (4, 1, 1, 1, 1, 1), (1, 1))),
)


SUFFIXES = (".png", ".svg", ".pdf")


STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "savefig.dpi": 150,
    "svg.hashsalt": "wsolbench",
}
"""Applied to one figure at a time, never globally."""


STYLES: dict[str, dict[Any, Any]] = {
    "screen": STYLE,
    "paper": {
        **STYLE,
        "font.family": "serif",
        "mathtext.fontset": "dejavuserif",
        "axes.grid": False,
        "pdf.fonttype": 42,
        "savefig.dpi": 300,
    },
}
"""Styles by name. `paper` has a serif font, embedded TrueType fonts, no grid and 300 dpi."""


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

    with rc_context(STYLES[style]), replacing(path) as temporary:
        figure = Figure(figsize=size, layout="constrained")
        yield figure.subplots(rows, columns, squeeze=False, height_ratios=heights)
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


def percent(curve: Sequence[float]) -> list[float]:
    """Convert fractions to percent."""
    return [100 * value for value in curve]


def limit_axis(ax: Axes, score: Score, top: float = 100) -> None:
    """Limit the y axis to 0..`top` percent if the score's range is [0, 1]; else leave it alone."""
    if score.unit is Unit.FRACTION and (score.low, score.high) == (0, 1):
        ax.set_ylim(0, top)


def line(ax: Axes, x: Sequence[float], y: Sequence[float], place: int, text: str) -> None:
    """Draw a line in the colour and style of its index, with a text for the legend."""
    ax.plot(
        x,
        y,
        color=COLOURS[place % len(COLOURS)],
        linestyle=LINES[place % len(LINES)],
        linewidth=1.6,
        label=text,
    )


def with_legend(ax: Axes, title: str) -> Axes:
    """Add a legend above the axes; its texts are never parsed as formulas."""
    texts = ax.get_legend_handles_labels()[1]
    legend = ax.legend(
        title=title,
        fontsize=7 if max(map(len, texts)) > 50 else 8,
        title_fontsize=8,
        loc="lower center",
        bbox_to_anchor=(0.5, 1.0),
    )
    for text in legend.get_texts():
        text.set_parse_math(False)
    return ax
