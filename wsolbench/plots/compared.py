"""What the pictures of a comparison share: letters, colours of verdicts, lines above the panels."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ..errors import printable
from ..evaluation.comparison_report import mark
from ..formats.report import boundary_text
from ..scores import Better, Score
from .keys import Mark
from .names import short_names
from .style import COLOURS
from .texts import small

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..evaluation.comparison import Comparison

__all__ = [
    "DECIDED",
    "VERDICT_COLOURS",
    "about",
    "as_table",
    "cell_style",
    "name_lines",
    "row_title",
    "verdicts",
]

VERDICT_COLOURS = {
    "ahead": COLOURS[0],
    "behind": COLOURS[1],
    "mixed": COLOURS[3],
    "higher": COLOURS[5],
    "lower": COLOURS[4],
    "undecided": "#e6e6e6",
    "equal": "#ffffff",
}
"""Colours of cells, by verdict or standing."""

DECIDED = ("ahead", "behind", "higher", "lower")
"""Verdicts of a difference that the correction leaves standing."""


def row_title(score: Score) -> str:
    """The title of a score, and a note unless higher is better."""
    notes = {Better.LOWER: " (lower is better)", Better.NEITHER: " (no better direction)"}
    return score.title + notes.get(score.better, "")


def cell_style(verdict: str) -> dict[str, Any]:
    """How the text of a cell of this colour is drawn."""
    colour = "white" if verdict in ("ahead", "behind") else "#444444"
    return {"ha": "center", "va": "center", "fontsize": small(), "color": colour}


def as_table(ax: Axes) -> None:
    """Axes as the frame of a table: column titles above, no ticks, grid or border."""
    ax.xaxis.tick_top()
    ax.tick_params(length=0)
    ax.grid(visible=False)
    ax.spines[:].set_visible(False)


def about(comparison: Comparison, *, protocol: bool = True) -> list[str]:
    """The images, and what all methods share, in lines above the panels."""
    total = max(comparison.of)
    shared = f" of {total}, common to all" if comparison.images < total else ""
    images = f"{comparison.dataset} {comparison.split}, {comparison.images} images{shared}"
    rules = [f"protocol {comparison.protocol['name']}"] if protocol else []
    if len(set(comparison.thresholds)) == 1:
        rules.append(f"threshold: {comparison.thresholds[0]}")
    if comparison.boundary:
        rules.append(f"boundaries: {boundary_text(comparison.boundary)}")
    told = [printable(part) for part in (images, *rules)]
    if common := short_names(comparison.names, comparison.backbones)[1]:
        told.append(f"all methods: {common}".replace(" ", "\N{NO-BREAK SPACE}"))
    return ["; ".join(told)]


def name_lines(comparison: Comparison) -> list[str]:
    """What the letters stand for, with thresholds where they differ."""
    alike = len(set(comparison.thresholds)) == 1
    names, _ = short_names(comparison.names, comparison.backbones)
    return [
        f"{mark(place)}: {name}{'' if alike else f'; threshold: {threshold}'}"
        for place, (name, threshold) in enumerate(zip(names, comparison.thresholds, strict=True))
    ]


def verdicts(found: Iterable[str]) -> list[Mark]:
    """The key of the colours of some verdicts, in the usual order."""
    held = set(found)
    return [
        Mark("equal in every resample", colour, area=True, sign="=")
        if name == "equal"
        else Mark(name, colour, area=True)
        for name, colour in VERDICT_COLOURS.items()
        if name in held
    ]
