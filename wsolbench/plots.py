"""Plots of what was scored: they take results and axes, compute no score and return the axes.

Source of the looks: paper Figs. 1d, 5, 6 and 7. Colours are Okabe and Ito's, told apart by people
who are colour-blind; each method has a line style of its own as well.

Public names: `iou_threshold`, `precision_recall`, `box_accuracy`, `save_curves`, `curves_held`,
`CURVES`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import WsolbenchError
from .files import replacing
from .results import Result, check_alike

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
LINES = ("-", "--", "-.", ":")
SUFFIXES = (".png", ".svg", ".pdf")

STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "svg.hashsalt": "wsolbench",
}
"""Set around one figure only, never globally."""


def iou_threshold(results: Sequence[Result], ax: Axes) -> Axes:
    """IoU-Threshold curves, pooled over pixels, each with its peak marked (paper Fig. 1d)."""
    for place, result in enumerate(results):
        peak, at = result.scores["peak_iou"], result.scores["peak_threshold"]
        text = f"{_legend(result)}: {100 * peak:.2f} at T = {at}"
        _line(ax, result.curves["threshold"], _percent(result.curves["iou"]), place, text)
        ax.plot([at], [100 * peak], "o", color=COLOURS[place % len(COLOURS)], markersize=5)
    ax.set(xlabel="Threshold T", ylabel="IoU, pooled over pixels (%)", xlim=(0, 255))
    return _finished(ax, "Peak-IoU, pooled over pixels")


def precision_recall(results: Sequence[Result], ax: Axes) -> Axes:
    """Precision against recall, pooled over pixels, from T = 255 down to 0 (paper Fig. 5)."""
    for place, result in enumerate(results):
        text = f"{_legend(result)}: {100 * result.scores['ap']:.2f}"
        recalls, precisions = result.curves["recall"], result.curves["precision"]
        _line(ax, _percent(recalls), _percent(precisions), place, text)
    ax.set(xlabel="Recall (%)", ylabel="Precision (%)", xlim=(0, 100))
    return _finished(ax, "AP, pooled over pixels")


def box_accuracy(results: Sequence[Result], ax: Axes) -> Axes:
    """Share of images whose box has IoU of 0.5 or more, against the threshold."""
    for place, result in enumerate(results):
        key = "gt_known_loc" if result.label == "gt" else "predicted_loc"
        curve = _percent(result.curves[key])
        text = f"{_legend(result)}: {max(curve):.2f}"
        _line(ax, result.curves["threshold"], curve, place, text)
    ax.set(xlabel="Threshold T", ylabel="Images with a right box (%)", xlim=(0, 255))
    return _finished(ax, "Highest box accuracy (IoU >= 0.5)")


CURVES: dict[str, Callable[[Sequence[Result], Axes], Axes]] = {
    "iou": iou_threshold,
    "precision-recall": precision_recall,
    "box": box_accuracy,
}
"""The curves by name."""


def save_curves(
    results: Sequence[Result],
    path: str | os.PathLike[str],
    kinds: Sequence[str] = tuple(CURVES),
) -> None:
    """Draw curves of some results side by side, one panel a kind, into a PNG, SVG or PDF file.

    Raises:
        WsolbenchError: another suffix; results of different protocols; a result without the curve.
    """
    target = Path(path)
    if target.suffix.lower() not in SUFFIXES:
        raise WsolbenchError(
            target,
            found=f"the ending {target.suffix or 'none'}",
            expected=" or ".join(SUFFIXES),
            cure="name the picture accordingly",
        )
    check_alike(results)
    if not kinds:
        raise WsolbenchError(
            "curves",
            found="no kind of curve that all results hold",
            expected=" or ".join(CURVES),
            cure="evaluate again with the same metrics",
        )
    for kind in kinds:
        for result in results:
            if not _holds(result, kind):
                raise WsolbenchError(
                    f"result of {result.name}",
                    found=f"no curve of {kind}",
                    cure="evaluate it with the metrics that it needs, or leave that kind out",
                )
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    with pyplot.rc_context(STYLE), replacing(target) as temporary:
        figure, axes = pyplot.subplots(
            1, len(kinds), figsize=(4.2 * len(kinds), 3.6), squeeze=False, layout="constrained"
        )
        for kind, ax in zip(kinds, axes[0], strict=True):
            CURVES[kind](results, ax)
        form = target.suffix.lower()[1:]
        dated = {"png": {}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}[form]
        figure.savefig(temporary, format=form, dpi=150, metadata=dated)
        pyplot.close(figure)


def curves_held(results: Sequence[Result]) -> list[str]:
    """The kinds of curve that every one of the results holds."""
    return [kind for kind in CURVES if all(_holds(result, kind) for result in results)]


def _holds(result: Result, kind: str) -> bool:
    keys = {
        "iou": {"iou"},
        "precision-recall": {"precision", "recall"},
        "box": {"gt_known_loc" if result.label == "gt" else "predicted_loc"},
    }[kind]
    return keys <= result.curves.keys()


def _legend(result: Result) -> str:
    trial = "" if result.limit is None else ", trial"
    text = f"{result.name} ({result.dataset} {result.split}{trial})"
    return text[:60].lstrip("_")


def _percent(curve: Sequence[float]) -> list[float]:
    return [100 * value for value in curve]


def _line(ax: Axes, x: Sequence[float], y: Sequence[float], place: int, text: str) -> None:
    ax.plot(
        x,
        y,
        color=COLOURS[place % len(COLOURS)],
        linestyle=LINES[place % len(LINES)],
        linewidth=1.6,
        label=text,
    )


def _finished(ax: Axes, title: str) -> Axes:
    ax.set_ylim(0, 100)
    legend = ax.legend(
        title=title, fontsize=8, title_fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1.0)
    )
    for text in legend.get_texts():
        text.set_parse_math(False)
    return ax
