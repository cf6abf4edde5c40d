"""The study of the scores as a picture: what each score loses to each damage."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from ..errors import require_type
from ..plots.style import MINUS, picture, require_form
from ..scores import SCORES
from .metrics import BRIGHTNESS, SHOWN, MetricStudy, seen

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["metric_grid", "save_metric_study"]

_COLUMN, _ROW = 0.78, 0.25  # inches
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
    shown = ax.imshow(values, cmap="PuOr_r", vmin=-100, vmax=100, aspect="auto")
    for row, own in enumerate(reports):
        stars = ["" if seen(own, name) else "*" for name in SHOWN]
        for column, (value, star) in enumerate(zip(values[row], [*stars, ""], strict=True)):
            ax.text(
                column,
                row,
                f"{value:.0f}{star}".replace("-", MINUS),
                ha="center",
                va="center",
                fontsize=7,
                color="white" if abs(value) > _DARK else "black",
            )
    ax.set_xticks(range(len(SHOWN) + 1), [*SHOWN, BRIGHTNESS], fontsize=8)
    ax.set_yticks(range(len(reports)), [SCORES[key].title for key in study.scores], fontsize=8)
    ax.xaxis.tick_top()
    ax.tick_params(length=0)
    ax.grid(visible=False)
    ax.axvline(len(SHOWN) - 0.5, color="white", linewidth=3)
    ax.spines[:].set_visible(False)
    bar = ax.figure.colorbar(shown, ax=ax, location="bottom", aspect=50, shrink=0.8)
    bar.ax.tick_params(labelsize=7)
    bar.set_label(
        "part of the distance from the intact map to chance that is lost (%); last column: moved\n"
        "* the score does not fall with the damage at every step and size",
        fontsize=7,
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
