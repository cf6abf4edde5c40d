"""Titles above and one key below the panels of a figure; neither ever covers anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .style import FIGURE_HEIGHT, Look
from .texts import line_height, small, text_width, wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Mark", "framed", "legend_beside", "line_mark"]

_EDGE, _GAP, _SAMPLE, _RAMP = 0.08, 0.06, 0.3, 1.15  # inches
_HEAD = 0.95  # inches that the head of a column takes without breaking
_BESIDE, _ALONE, _LEGEND = 2.2, 3.2, 3.0  # and a name: beside values, alone, in a legend


@dataclass(frozen=True)
class Mark:
    """One entry of a key: what is drawn, and what it stands for.

    Attributes:
        text: what it stands for.
        colour: of whatever is drawn.
        dashes: style of a line; None for no line.
        marker: of a dot; empty for none.
        hollow: whether the dot is only an outline.
        area: whether it is a filled rectangle.
        outline: whether it is a white line on black, as outlines of regions are.
        sign: a text to draw, such as "=".
        ramp: a colour map to draw as a bar from 0 to 255.
        values: texts of the columns beside the name.
    """

    text: str
    colour: str = "black"
    dashes: Any = None
    marker: str = ""
    hollow: bool = False
    area: bool = False
    outline: bool = False
    sign: str = ""
    ramp: str = ""
    values: tuple[str, ...] = ()

    @property
    def sample(self) -> float:
        """Inches of what is drawn."""
        return _RAMP if self.ramp else _SAMPLE


@dataclass(frozen=True)
class _Block:
    """Marks below each other, and the widths of their columns in inches."""

    marks: tuple[Mark, ...]
    sample: float
    name: float
    values: tuple[float, ...]

    @property
    def width(self) -> float:
        return self.sample + _GAP + self.name + sum(2 * _GAP + own for own in self.values)


def line_mark(text: str, own: Look, values: Sequence[str] = (), *, marker: bool = False) -> Mark:
    """The mark of a line."""
    return Mark(text, own.colour, own.dashes, own.marker if marker else "", values=tuple(values))


def framed(
    figure: Figure,
    marks: Sequence[Mark] = (),
    *,
    head: Sequence[str] = (),
    title: Sequence[str] = (),
    source: str = "",
    lowest: float | None = None,
) -> None:
    """Make a figure higher by a title above its panels, and a key and a source below them.

    Args:
        figure: with a constrained layout, and a width that stays.
        marks: of the key, in as many columns as fit.
        head: titles of the columns of `Mark.values`.
        title: lines of text; long ones are broken.
        source: where the numbers come from.
        lowest: inches down to which the panels shrink so that the whole fits a page; None to keep
            their height.
    """
    size = small()
    width, panels = map(float, figure.get_size_inches())
    inner, step = width - 2 * _EDGE, line_height(size)
    titles = [part for own in title for part in wrapped(_tied(own), inner, _title_size())]
    sources = wrapped(_tied(source), inner, size) if source else []
    heads, blocks = _blocks(marks, head, inner, size)
    rows = _row_lines(blocks, size)
    key = step * (sum(rows) + max((len(own) for own in heads), default=0))
    gaps = [_EDGE if part else 0 for part in (titles, marks, sources)]
    above = line_height(_title_size()) * len(titles) + gaps[0]
    below = key + step * len(sources) + gaps[1] + gaps[2]
    if lowest is not None:
        panels = min(panels, max(lowest, FIGURE_HEIGHT - above - below))
    height = panels + above + below
    figure.set_size_inches(width, height)
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.set(rect=(0, below / height, 1, panels / height))  # type: ignore[call-arg]
    place: dict[str, Any] = {"transform": figure.dpi_scale_trans, "parse_math": False}
    for number, text in enumerate(titles):
        y = height - _EDGE / 2 - line_height(_title_size()) * number
        figure.text(_EDGE, y, text, va="top", fontsize=_title_size(), **place)
    for number, text in enumerate(reversed(sources)):
        y = step * (number + 0.35)
        style: dict[str, Any] = {"ha": "center", "fontsize": size, "color": "#444444"}
        figure.text(width / 2, y, text, **style, **place)
    if blocks:
        _draw_key(figure, blocks, heads, rows, step * len(sources) + gaps[2] + key, size)


def legend_beside(ax: Axes, marks: Sequence[Mark], title: str) -> None:
    """A legend right of one axes, for figures that others lay out; no text is read as formula."""
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=own.colour, linestyle=own.dashes or "none", marker=own.marker)
        for own in marks
    ]
    whole = [": ".join([own.text, *own.values]) for own in marks]
    texts = ["\n".join(wrapped(text, _LEGEND, small())) for text in whole]
    legend = ax.legend(
        handles, texts, title=title, loc="upper left", bbox_to_anchor=(1.02, 1), borderaxespad=0
    )
    for text in (*legend.get_texts(), legend.get_title()):
        text.set_parse_math(False)


def _tied(text: str) -> str:
    """The text with each percent sign tied to its number."""
    return text.replace(" %", "\N{NO-BREAK SPACE}%")


def _title_size() -> float:
    from matplotlib import rcParams

    return float(rcParams["font.size"])


def _blocks(
    marks: Sequence[Mark], head: Sequence[str], inches: float, size: float
) -> tuple[list[list[str]], list[_Block]]:
    """The lines of the heads, and the marks in as many blocks side by side as fit."""
    if not marks:
        return [], []
    most_wide = _BESIDE if head else _ALONE
    longest = max(text_width(own.text, size) for own in marks)
    for limit in (
        _HEAD,
        0.85 * _HEAD,
        0.7 * _HEAD,
        0.0,
    ):  # heads take more lines where names need the room
        widths = [_value_width(own, at, marks, size, limit) for at, own in enumerate(head)]
        beside = max(own.sample for own in marks) + _GAP + sum(2 * _GAP + own for own in widths)
        if inches - beside >= min(longest, most_wide) + 2 * _GAP:
            break
    heads = [wrapped(own, width, size) for own, width in zip(head, widths, strict=True)]
    most = -(-len(marks) // 3) if head else len(marks)
    for count in range(most, 0, -1):
        rows = -(-len(marks) // count)
        parts = [tuple(marks[at : at + rows]) for at in range(0, len(marks), rows)]
        blocks = [
            _Block(
                part,
                max(own.sample for own in part),
                min(most_wide, max(text_width(own.text, size) for own in part)) + 2 * _GAP,
                tuple(widths),
            )
            for part in parts
        ]
        if sum(block.width for block in blocks) + 2 * _GAP * (len(blocks) - 1) <= inches:
            return heads, blocks
    (block,) = blocks
    least = max(inches - (block.width - block.name), 4 * _GAP)
    return heads, [_Block(block.marks, block.sample, least, block.values)]


def _value_width(head: str, column: int, marks: Sequence[Mark], size: float, limit: float) -> float:
    """Inches of a column of values: of its widest value, or word of its head."""
    texts = [own.values[column] for own in marks] + head.split(" ")
    widest = max(text_width(text, size) for text in texts)
    return max(widest, min(limit, text_width(head, size))) + 0.01


def _row_lines(blocks: Sequence[_Block], size: float) -> list[int]:
    """Lines of text of each row: those of the longest name in it."""
    rows = [0] * max((len(block.marks) for block in blocks), default=0)
    for block in blocks:
        for row, own in enumerate(block.marks):
            rows[row] = max(rows[row], len(wrapped(own.text, block.name, size)))
    return rows


def _draw_key(
    figure: Figure,
    blocks: Sequence[_Block],
    heads: Sequence[Sequence[str]],
    rows: Sequence[int],
    top: float,
    size: float,
) -> None:
    step = line_height(size)
    total = sum(block.width for block in blocks) + 2 * _GAP * (len(blocks) - 1)
    left = max(_EDGE, (float(figure.get_size_inches()[0]) - total) / 2)
    place: dict[str, Any] = {"transform": figure.dpi_scale_trans, "fontsize": size}
    place["parse_math"] = False
    deepest = max((len(own) for own in heads), default=0)
    for block in blocks:
        ends = np.cumsum([block.sample + _GAP + block.name, *(2 * _GAP + w for w in block.values)])
        for lines, end in zip(heads, ends[1:], strict=True):
            for number, text in enumerate(lines):
                y = top - step * (deepest - len(lines) + number + 0.75)
                figure.text(left + float(end), y, text, ha="right", color="#444444", **place)
        y = top - step * deepest
        for own, count in zip(block.marks, rows, strict=False):
            _draw_sample(figure, own, left, y - step * 0.5, size)
            for number, text in enumerate(wrapped(own.text, block.name, size)):
                at = left + (block.sample if own.values else own.sample) + _GAP
                figure.text(at, y - step * (number + 0.75), text, **place)
            for text, end in zip(own.values, ends[1:], strict=True):
                figure.text(left + float(end), y - step * 0.75, text, ha="right", **place)
            y -= step * count
        left += block.width + 2 * _GAP


def _draw_sample(figure: Figure, own: Mark, left: float, middle: float, size: float) -> None:
    """What a mark stands beside, around the height `middle`, all in inches."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Rectangle

    place: dict[str, Any] = {"transform": figure.dpi_scale_trans}
    ends, half = [left, left + own.sample], size / 72 / 2.6
    if own.ramp:
        _draw_ramp(figure, own.ramp, left, middle, size)
    if own.area:
        box = Rectangle((left, middle - half), own.sample, 2 * half, **place)
        box.set(facecolor=own.colour, edgecolor="#999999", linewidth=0.5)
        figure.add_artist(box)
    for colour, line_width in (("black", 2.4), ("white", 1.2)) if own.outline else ():
        figure.add_artist(Line2D(ends, [middle] * 2, color=colour, linewidth=line_width, **place))
    if own.dashes is not None:
        style: dict[str, Any] = {"color": own.colour, "linestyle": own.dashes}
        figure.add_artist(Line2D(ends, [middle] * 2, solid_capstyle="butt", **style, **place))
    if own.marker:
        fill = "none" if own.hollow else "full"
        dot: dict[str, Any] = {
            "marker": own.marker,
            "markersize": 5,
            "fillstyle": fill,
            "color": own.colour,
        }
        figure.add_artist(Line2D([sum(ends) / 2], [middle], linestyle="none", **dot, **place))
    if own.sign:
        y = middle - line_height(size) * 0.25
        figure.text(sum(ends) / 2, y, own.sign, ha="center", fontsize=size, **place)


def _draw_ramp(figure: Figure, ramp: str, left: float, middle: float, size: float) -> None:
    """A bar of colours between its ends, 0 and 255."""
    place: dict[str, Any] = {"transform": figure.dpi_scale_trans, "fontsize": size}
    y, side = middle - line_height(size) * 0.25, size / 72
    figure.text(left, y, "0", **place)
    right = left + _RAMP
    figure.text(right, y, "255", ha="right", **place)
    start, end = left + text_width("0", size) + 0.03, right - text_width("255", size) - 0.03
    width, height = map(float, figure.get_size_inches())
    low, high = (middle - side / 2.6) / height, side / 1.3 / height
    box = (start / width, low, (end - start) / width, high)
    bar = figure.add_axes(box, frame_on=False, xticks=[], yticks=[])
    bar.imshow(np.arange(256)[None], cmap=ramp, aspect="auto")
    bar.grid(visible=False)
