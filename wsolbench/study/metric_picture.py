"""The study of the scores as a picture: what each score loses to each damage."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import require_type
from ..plots.compared import as_table
from ..plots.keys import framed
from ..plots.style import MINUS, inches_of, picture, require_form
from ..plots.texts import small, text_width
from ..scores import SCORES
from .metrics import BRIGHTNESS, SHOWN, MetricStudy, seen

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["metric_grid", "save_metric_study"]

_WHOLE = 100  # percent at which colours end
_DARK = 70  # percent from which on text is white
_COLUMNS = (*SHOWN, BRIGHTNESS)
_SOURCE = (
    "part of the distance from the intact map to chance that is lost; gamma: moved; "
    "* the score does not fall with the damage at every step and size"
)


def metric_grid(
    study: MetricStudy, ax: Axes, columns: Sequence[str] = _COLUMNS, *, inches: float = 0.78
) -> Axes:
    """A row a score and a column a damage.

    A cell says in percent what part of its distance to chance the score loses, as the table does;
    `*` where it does not fall with the damage at every step and size.

    Args:
        study: of `study_metrics`.
        ax: to draw on.
        columns: some of those of the table.
        inches: the width of a column; wider titles are turned.
    """
    reports = study.scores.values()
    values = [
        [own.brightness if name == BRIGHTNESS else own.lost[name] for name in columns]
        for own in reports
    ]
    colours: dict[str, Any] = {"cmap": "PuOr_r", "vmin": -_WHOLE, "vmax": _WHOLE}
    ax.imshow(100 * np.array(values), aspect="auto", **colours)
    for row, (own, line) in enumerate(zip(reports, values, strict=True)):
        for column, (name, value) in enumerate(zip(columns, line, strict=True)):
            star = "" if name == BRIGHTNESS or seen(own, name) else "*"
            ax.text(
                column,
                row,
                f"{round(100 * value)}{star}".replace("-", MINUS),
                ha="center",
                va="center",
                fontsize=small(),
                color="white" if abs(100 * value) > _DARK else "black",
            )
    titles = [name.replace(" ", "\n") for name in columns]
    widest = max(text_width(line, small()) for title in titles for line in title.split("\n"))
    turned: dict[str, Any] = (
        {"rotation": 60, "ha": "left", "rotation_mode": "anchor"} if widest > inches else {}
    )
    ax.set_xticks(range(len(columns)), titles, fontsize=small(), **turned)
    names = [SCORES[key].title for key in study.scores]
    ax.set_yticks(range(len(names)), names, fontsize=small())
    as_table(ax)
    if BRIGHTNESS in columns:
        ax.axvline(columns.index(BRIGHTNESS) - 0.5, color="white", linewidth=3)
    return ax


def save_metric_study(
    study: MetricStudy,
    path: str | os.PathLike[str],
    style: str = "screen",
    width: str | None = None,
) -> None:
    """Draw the study into a PNG, SVG or PDF file; in one column, one half follows below the other.

    Args:
        study: of `study_metrics`.
        path: the file to write.
        style: a key of `STYLES`.
        width: a key of `FIGURE_WIDTHS`; None for the width that the columns need.

    Raises:
        WsolbenchError: unsupported file extension, or matplotlib is not installed.
    """
    require_form(path)
    require_type("study", study, (MetricStudy,), "a MetricStudy")
    inches = inches_of(width) or 9.0
    middle = len(_COLUMNS) // 2 if width == "column" else len(_COLUMNS)
    parts = [part for part in (_COLUMNS[:middle], _COLUMNS[middle:]) if part]
    row = 0.25 if width is None else 0.16
    high = 0.6 + (0.5 + row * len(study.scores)) * len(parts)
    with picture(path, len(parts), 1, (inches, high), style) as axes:
        labels = max(text_width(SCORES[key].title, small()) for key in study.scores)
        column = (inches - labels - 0.3) / max(map(len, parts))
        for part, ax in zip(parts, axes[:, 0], strict=True):
            metric_grid(study, ax, part, inches=column)
        figure = axes[0, 0].figure
        _colours(axes[:, 0])
        framed(figure, source=_SOURCE, lowest=None if width is None else 0)


def _colours(axes: NDArray[Any]) -> None:
    """The bar of colours below all grids, pointed where values are beyond its ends."""
    values = np.concatenate([np.ravel(ax.images[0].get_array()) for ax in axes])
    beyond = bool(values.min() < -_WHOLE), bool(values.max() > _WHOLE)
    ends = {(False, False): "neither", (True, False): "min", (False, True): "max"}
    look: dict[str, Any] = {"location": "bottom", "aspect": 50, "shrink": 0.8}
    shown = axes[0].images[0]
    bar = axes[0].figure.colorbar(shown, ax=[*axes], extend=ends.get(beyond, "both"), **look)
    bar.ax.tick_params(labelsize=small())
    bar.set_label("lost (%)", fontsize=small())
