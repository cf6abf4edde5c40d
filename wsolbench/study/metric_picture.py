"""The study of the scores as a picture: what each score loses to each damage."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from ..errors import require_type
from ..plots.compared import as_table
from ..plots.style import MINUS, picture, require_form
from ..plots.texts import small
from ..scores import SCORES
from .metrics import BRIGHTNESS, SHOWN, MetricStudy, seen

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["metric_grid", "save_metric_study"]

_COLUMN, _ROW = 0.78, 0.25  # inches
_WHOLE = 100  # percent at which colours end
_DARK = 70  # percent from which on text is white


def metric_grid(study: MetricStudy, ax: Axes) -> Axes:
    """A row a score and a column a damage.

    A cell says in percent what part of its distance to chance the score loses, as the table does;
    `*` where it does not fall with the damage at every step and size.

    Args:
        study: of `study_metrics`.
        ax: to draw on.
    """
    reports = list(study.scores.values())
    lost = [[*(own.lost[name] for name in SHOWN), own.brightness] for own in reports]
    values = 100 * np.array(lost)
    shown = ax.imshow(values, cmap="PuOr_r", vmin=-_WHOLE, vmax=_WHOLE, aspect="auto")
    for row, own in enumerate(reports):
        stars = ["" if seen(own, name) else "*" for name in SHOWN]
        for column, (value, star) in enumerate(zip(values[row], [*stars, ""], strict=True)):
            ax.text(
                column,
                row,
                f"{round(value)}{star}".replace("-", MINUS),
                ha="center",
                va="center",
                fontsize=small(),
                color="white" if abs(value) > _DARK else "black",
            )
    ax.set_xticks(range(len(SHOWN) + 1), [*SHOWN, BRIGHTNESS], fontsize=small())
    ax.set_yticks(
        range(len(reports)), [SCORES[key].title for key in study.scores], fontsize=small()
    )
    as_table(ax)
    ax.axvline(len(SHOWN) - 0.5, color="white", linewidth=3)
    ends = {(False, False): "neither", (True, False): "min", (False, True): "max"}
    beyond = bool(values.min() < -_WHOLE), bool(values.max() > _WHOLE)
    extend = ends.get(beyond, "both")
    bar = ax.figure.colorbar(shown, ax=ax, location="bottom", aspect=50, shrink=0.8, extend=extend)
    bar.ax.tick_params(labelsize=small())
    bar.set_label(
        "part of the distance from the intact map to chance that is lost (%); last column: moved\n"
        "* the score does not fall with the damage at every step and size",
        fontsize=small(),
    )
    return ax


def save_metric_study(
    study: MetricStudy, path: str | os.PathLike[str], style: str = "screen"
) -> None:
    """Draw `metric_grid` into a PNG, SVG or PDF file.

    Raises:
        WsolbenchError: unsupported file extension, or matplotlib is not installed.
    """
    require_form(path)
    require_type("study", study, (MetricStudy,), "a MetricStudy")
    size = (2.6 + _COLUMN * (len(SHOWN) + 1), 1.5 + _ROW * len(study.scores))
    with picture(path, 1, 1, size, style) as axes:
        metric_grid(study, axes[0, 0])
