"""IoU-Threshold, precision-recall, box accuracy and boundary curves (paper Figs. 1d and 5)."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import WsolbenchError, one_of, require_choice, require_items
from ..formats.report import check_rules
from ..formats.result import Result
from ..leaderboard.entries import Entry
from ..scores import LEVELS, SCORES, Read, localization_key
from .grid import panel_grid
from .keys import Mark, framed, legend_beside, line_mark
from .scored import (
    Scored,
    check_alike,
    legends,
    protocol_of,
    require_scored,
    require_some,
    shared,
    source_text,
    where,
)
from .style import inches_of, limit_axis, line, look, picture, require_form
from .texts import small

if TYPE_CHECKING:
    from matplotlib.axes import Axes


__all__ = [
    "CURVES",
    "boundary",
    "box_accuracy",
    "curves_held",
    "iou_threshold",
    "precision_recall",
    "save_curves",
]


_ISO_F = tuple(place / 10 for place in range(1, 10))
_ISO_STYLE: dict[str, Any] = {"color": "#cccccc", "linewidth": 0.7, "zorder": 0}
_ISO_TEXT: dict[str, Any] = {
    "color": "#888888",
    "va": "center",
    "annotation_clip": False,
}


def iou_threshold(scored: Sequence[Scored], ax: Axes, *, legend: bool = True) -> Axes:
    """IoU-Threshold curves, pooled over pixels, with their peaks marked (paper Fig. 1d).

    Args:
        scored: results or entries.
        ax: to draw on.
        legend: whether to add a legend beside the axes.
    """
    require_some(scored)
    about = SCORES["peak_iou"]
    for place, (item, name) in enumerate(zip(scored, legends(scored), strict=True)):
        own = look(place)
        y = [about.scaled(iou) for iou in item.curves[about.curve]]
        line(ax, _thresholds(item), y, place, name)
        at, peak = _peak_level(item), about.scaled(item.scores[about.key])
        ax.plot([at], [peak], own.marker, color=own.colour, markersize=5, clip_on=False)
    ax.set(xlabel="Threshold T", ylabel="IoU, pooled (%)", xlim=_range(scored))
    limit_axis(ax, about)
    return _with_legend(scored, "iou", ax, legend)


def precision_recall(scored: Sequence[Scored], ax: Axes, *, legend: bool = True) -> Axes:
    """Precision against recall, pooled over pixels: the steps whose area is AP (paper Fig. 5).

    A method whose foreground is the same at every threshold, such as a constant map, is one point:
    its precision at a recall of 100 %.

    Args:
        scored: results or entries.
        ax: to draw on.
        legend: whether to add a legend beside the axes.
    """
    require_some(scored)
    for place, (item, name) in enumerate(zip(scored, legends(scored), strict=True)):
        own = look(place)
        x, y = _steps(item.curves["precision"], item.curves["recall"])
        if len(x) > 2:
            style = {"color": own.colour, "linestyle": own.dashes, "label": name}
            ax.plot(x, y, drawstyle="steps-pre", **style)
        else:
            style = {"color": own.colour, "linestyle": "none", "label": name}
            ax.plot(x[1:], y[1:], marker=own.marker, markersize=6, clip_on=False, **style)
    ax.set(xlabel="Recall (%)", ylabel="Precision (%)", xlim=(0, 100), ylim=(0, 100))
    return _with_legend(scored, "precision-recall", ax, legend)


def box_accuracy(scored: Sequence[Scored], ax: Axes, *, legend: bool = True) -> Axes:
    """Share of images with a correct box, against the threshold.

    Args:
        scored: results or entries.
        ax: to draw on.
        legend: whether to add a legend beside the axes.
    """
    require_some(scored)
    for place, (item, name) in enumerate(zip(scored, legends(scored), strict=True)):
        about = SCORES[localization_key(item.label)]
        curve = item.curves[about.curve]
        line(ax, _thresholds(item), [about.scaled(share) for share in curve], place, name)
        limit_axis(ax, about)
    ax.set(xlabel="Threshold T", ylabel="Box accuracy (%)", xlim=_range(scored))
    return _with_legend(scored, "box", ax, legend)


def boundary(scored: Sequence[Scored], ax: Axes, *, legend: bool = True) -> Axes:
    """Precision against recall of boundaries, with lines of equal F, and ODS marked.

    Thresholds run from .99 on the left to .01; those that predict nothing are left out. ODS may lie
    between two thresholds, and is marked at the nearer one.

    Args:
        scored: results or entries.
        ax: to draw on.
        legend: whether to add a legend beside the axes.
    """
    require_some(scored)
    for equal in _ISO_F:
        recall = [place / 200 for place in range(1, 201) if equal < 2 * place / 200]
        precision = [equal * own / (2 * own - equal) for own in recall]
        pairs = [(r, p) for r, p in zip(recall, precision, strict=True) if p <= 1]
        ax.plot(*zip(*((100 * r, 100 * p) for r, p in pairs), strict=True), **_ISO_STYLE)
        at = (101, 100 * equal / (2 - equal))
        text = "F = 90" if equal == _ISO_F[-1] else f"{100 * equal:.0f}"
        ax.annotate(text, at, fontsize=small(), **_ISO_TEXT)
    from ..metrics.boundary import nearest_place

    for place, (item, name) in enumerate(zip(scored, legends(scored), strict=True)):
        points = [
            (100 * r, 100 * p)
            for r, p in zip(
                item.curves["boundary_recall"], item.curves["boundary_precision"], strict=True
            )
        ]
        at_best = nearest_place(item.scores["boundary_threshold"])
        kept = [point for point in points if any(point)]
        x, y = zip(*kept, strict=True) if kept else ((), ())
        line(ax, x, y, place, name)
        own = look(place)
        ax.plot(*points[at_best], own.marker, color=own.colour, markersize=5, clip_on=False)
    ax.set(xlabel="Recall (%)", ylabel="Precision (%)", xlim=(0, 100), ylim=(0, 100))
    return _with_legend(scored, "boundary", ax, legend)


CURVES: dict[str, Callable[..., Axes]] = {
    "iou": iou_threshold,
    "precision-recall": precision_recall,
    "box": box_accuracy,
    "boundary": boundary,
}
"""Functions that draw a curve, by the name of the curve."""


def save_curves(
    scored: Sequence[Scored],
    path: str | os.PathLike[str],
    kinds: Sequence[str] | None = None,
    style: str = "screen",
    width: str | None = None,
) -> None:
    """Draw curves, one panel per kind above one key, into a PNG, SVG or PDF file.

    Args:
        scored: results or entries.
        path: the file to write.
        kinds: keys of `CURVES`; None for all that every item contains.
        style: a key of `STYLES`.
        width: a key of `FIGURE_WIDTHS`; None for the width that the panels need.

    Raises:
        WsolbenchError: unsupported file extension; different protocols; an item without the
            curve, such as any reported entry.
    """
    require_scored(scored)
    require_form(path)
    inches_of(width)
    if kinds is not None:
        require_items("kinds", kinds, (str,), "a list of names of curves")
        for kind in kinds:
            require_choice("kinds", kind, CURVES)
    for item in scored:
        if isinstance(item, Entry) and not item.curves:
            raise WsolbenchError(
                where(item),
                found=f"a {item.state} entry without curves",
                expected="a measured entry with curves, a result or a submission",
                cure="score the method's maps, or leave the entry out",
            )
    check_alike(scored)
    kinds = curves_held(scored) if kinds is None else kinds
    if "boundary" in kinds:
        check_rules([item for item in scored if isinstance(item, Result)])
    if not kinds:
        raise WsolbenchError(
            "curves",
            found="no kind of curve that all results contain",
            expected=one_of(CURVES),
            cure="evaluate again with the same metrics",
        )
    for kind in kinds:
        for item in scored:
            if not _holds(item, kind):
                raise WsolbenchError(
                    where(item),
                    found=f"no curve of {kind}",
                    cure="evaluate with the metrics that the curve needs, or leave it out",
                )
    grid = panel_grid(len(kinds), width)
    with picture(path, *grid.shape, grid.size(3.9, 3.0), style) as axes:
        for kind, ax in zip(kinds, grid.filled(axes), strict=True):
            CURVES[kind](scored, ax, legend=False)
        head = [_tied(_VALUES[kind].title(scored[0])) for kind in kinds]
        figure = axes[0, 0].figure
        framed(
            figure, _marks(scored, kinds), head=head, source=source_text(scored), lowest=grid.lowest
        )


def _tied(title: str) -> str:
    """A title whose last word, a letter or a number, does not stand alone on a line."""
    return re.sub(r" (?=(T|[.\d]+\))$)", "\N{NO-BREAK SPACE}", title)


def curves_held(scored: Sequence[Scored]) -> list[str]:
    """The kinds of curve that all items contain."""
    require_scored(scored)
    return [kind for kind in CURVES if all(_holds(item, kind) for item in scored)]


@dataclass(frozen=True)
class _Value:
    """The number that a key tells of a curve.

    Attributes:
        title: of the number, for items like the given one.
        text: the number of an item.
    """

    title: Callable[[Scored], str]
    text: Callable[[Scored], str]


def _peak_text(item: Scored) -> str:
    return f"{SCORES['peak_iou'].text(item.scores['peak_iou'])} at {_peak_level(item)}"


def _peak_level(item: Scored) -> float:
    return item.scores[_peak_threshold(item)]


def _box_title(item: Scored) -> str:
    iou = f"{protocol_of(item)['box_iou_thresholds'][0]:g}".removeprefix("0")
    return f"MaxBoxAcc {iou}"


def _box_text(item: Scored) -> str:
    about = SCORES[localization_key(item.label)]
    return about.text(min(item.curves[about.curve], key=about.order))


def _value_of(key: str) -> _Value:
    about = SCORES[key]
    return _Value(lambda item: about.title, lambda item: about.text(item.scores[key]))


_VALUES = {
    "iou": _Value(lambda item: "Peak-IoU at T", _peak_text),
    "precision-recall": _value_of("ap"),
    "box": _Value(_box_title, _box_text),
    "boundary": _value_of("boundary_ods"),
}


def _marks(scored: Sequence[Scored], kinds: Sequence[str]) -> list[Mark]:
    """The items as a key lists them, with the numbers of some curves."""
    return [
        line_mark(name, look(place), [_VALUES[kind].text(item) for kind in kinds], marker=True)
        for place, (item, name) in enumerate(zip(scored, legends(scored), strict=True))
    ]


def _with_legend(scored: Sequence[Scored], kind: str, ax: Axes, legend: bool) -> Axes:
    if legend and scored:
        parts = [_VALUES[kind].title(scored[0]), shared(scored)]
        legend_beside(ax, _marks(scored, [kind]), "\n".join(part for part in parts if part))
    return ax


def _steps(precision: Sequence[float], recall: Sequence[float]) -> tuple[list[float], list[float]]:
    """Corners of the steps that AP sums, in percent: P(T) from R(T + 1) to R(T).

    Thresholds that gain no recall have no width, and are left out.
    """
    x, y = [0.0], [0.0]
    for p, r in zip(reversed(precision), reversed(recall), strict=True):
        if 100 * r > x[-1]:
            x.append(100 * r)
            y.append(100 * p)
    y[0] = y[min(1, len(y) - 1)]
    return x, y


def _holds(item: Scored, kind: str) -> bool:
    """Whether an item has the curve and the scores that its legend shows."""
    curves, scores = {
        "iou": ({"iou"}, {"peak_iou", _peak_threshold(item)}),
        "precision-recall": ({"precision", "recall"}, {"ap"}),
        "box": ({localization_key(item.label)}, set()),
        "boundary": (
            {"boundary_recall", "boundary_precision"},
            {"boundary_ods", "boundary_threshold"},
        ),
    }[kind]
    return curves <= item.curves.keys() and scores <= item.scores.keys()


def _peak_threshold(item: Scored) -> str:
    """The key of the threshold at which the IoU curve is highest."""
    keys = [
        key for key, score in SCORES.items() if score.curve == "iou" and score.read is Read.ARGMAX
    ]
    return next((key for key in keys if key in item.scores), keys[0])


def _thresholds(item: Scored) -> Sequence[float]:
    """The thresholds of an item's curves; entries only have curves over the 256 levels."""
    return item.curves.get("threshold", range(LEVELS))


def _range(scored: Sequence[Scored]) -> tuple[float, float]:
    """From 0 to the highest threshold; all items share one protocol."""
    return 0, _thresholds(scored[0])[-1] if scored else LEVELS - 1
