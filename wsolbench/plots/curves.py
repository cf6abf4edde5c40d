"""IoU-Threshold, precision-recall, box accuracy and boundary curves (paper Figs. 1d and 5)."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..errors import WsolbenchError, one_of
from ..formats.report import check_rules
from ..formats.result import Result
from ..leaderboard.entries import Entry
from ..scores import LEVELS, SCORES, Read, localization_key
from .scored import Scored, check_alike, legends, name_source, protocol_of, require_scored, where
from .style import COLOURS, limit_axis, line, percent, picture, require_form, with_legend

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
    "fontsize": 6,
    "color": "#888888",
    "va": "center",
    "annotation_clip": False,
}


def iou_threshold(scored: Sequence[Scored], ax: Axes) -> Axes:
    """IoU-Threshold curves, pooled over pixels, with their peaks marked (paper Fig. 1d)."""
    about = SCORES["peak_iou"]
    for place, (item, name) in enumerate(zip(scored, legends(scored), strict=True)):
        peak = item.scores[about.key]
        at = item.scores[_peak_threshold(item)]
        text = f"{name}: {about.text(peak)} at T = {at}"
        y = [about.scaled(iou) for iou in item.curves[about.curve]]
        line(ax, _thresholds(item), y, place, text)
        ax.plot([at], [about.scaled(peak)], "o", color=COLOURS[place % len(COLOURS)], markersize=5)
    ax.set(xlabel="Threshold T", ylabel="IoU, pooled over pixels (%)", xlim=_range(scored))
    limit_axis(ax, about)
    return with_legend(ax, f"{about.title}, pooled over pixels")


def precision_recall(scored: Sequence[Scored], ax: Axes) -> Axes:
    """Precision against recall, pooled over pixels, from T = 255 down to 0 (paper Fig. 5)."""
    about = SCORES["ap"]
    for place, (item, name) in enumerate(zip(scored, legends(scored), strict=True)):
        text = f"{name}: {about.text(item.scores[about.key])}"
        x, y = percent(item.curves["recall"]), percent(item.curves["precision"])
        line(ax, x, y, place, text)
        if len(set(x)) == 1:  # a constant map has a single point, which a line does not show
            ax.plot(x[:1], y[:1], "o", color=COLOURS[place % len(COLOURS)], clip_on=False)
    ax.set(xlabel="Recall (%)", ylabel="Precision (%)", xlim=(0, 100), ylim=(0, 100))
    return with_legend(ax, f"{about.title}, pooled over pixels")


def box_accuracy(scored: Sequence[Scored], ax: Axes) -> Axes:
    """Share of images with a correct box, against the threshold."""
    for place, (item, name) in enumerate(zip(scored, legends(scored), strict=True)):
        about = SCORES[localization_key(item.label)]
        curve = item.curves[about.curve]
        text = f"{name}: {about.text(min(curve, key=about.order))}"
        line(ax, _thresholds(item), [about.scaled(share) for share in curve], place, text)
        limit_axis(ax, about)
    ax.set(xlabel="Threshold T", ylabel="Images with a correct box (%)", xlim=_range(scored))
    protocol = protocol_of(scored[0])
    limit = f"{protocol['box_iou_comparator']} {protocol['box_iou_thresholds'][0]:g}"
    return with_legend(ax, f"Highest box accuracy (IoU {limit})")


def boundary(scored: Sequence[Scored], ax: Axes) -> Axes:
    """Precision against recall of boundaries, with lines of equal F, and ODS marked.

    Thresholds run from .99 on the left to .01; those that predict nothing are left out. ODS may lie
    between two thresholds, and is marked at the nearer one.
    """
    for equal in _ISO_F:
        recall = [place / 200 for place in range(1, 201) if equal < 2 * place / 200]
        precision = [equal * own / (2 * own - equal) for own in recall]
        pairs = [(r, p) for r, p in zip(recall, precision, strict=True) if p <= 1]
        ax.plot(*zip(*((100 * r, 100 * p) for r, p in pairs), strict=True), **_ISO_STYLE)
        ax.annotate(f"{100 * equal:.0f}", (101, 100 * equal / (2 - equal)), **_ISO_TEXT)
    from ..metrics.boundary import nearest_place

    about = SCORES["boundary_ods"]
    for place, (item, name) in enumerate(zip(scored, legends(scored), strict=True)):
        text = f"{name}: {about.text(item.scores[about.key])}"
        points = [
            (100 * r, 100 * p)
            for r, p in zip(
                item.curves["boundary_recall"], item.curves["boundary_precision"], strict=True
            )
        ]
        at = nearest_place(item.scores["boundary_threshold"])
        kept = [point for point in points if any(point)]
        x, y = zip(*kept, strict=True) if kept else ((), ())
        line(ax, x, y, place, text)
        colour = COLOURS[place % len(COLOURS)]
        ax.plot(*points[at], "o", color=colour, markersize=5, clip_on=False)
    ax.set(xlabel="Recall (%)", ylabel="Precision (%)", xlim=(0, 100), ylim=(0, 100))
    return with_legend(ax, f"{about.title}, lines of equal F")


CURVES: dict[str, Callable[[Sequence[Scored], Axes], Axes]] = {
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
) -> None:
    """Draw curves side by side, one panel per kind, into a PNG, SVG or PDF file.

    Args:
        scored: results or entries.
        path: the file to write.
        kinds: keys of `CURVES`; None for all that every item contains.
        style: a key of `STYLES`.

    Raises:
        WsolbenchError: unsupported file extension; different protocols; an item without the
            curve, such as any reported entry.
    """
    require_scored(scored)
    require_form(path)
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
    with picture(path, 1, len(kinds), (4.2 * len(kinds), 3.8), style) as axes:
        for kind, ax in zip(kinds, axes[0], strict=True):
            CURVES[kind](scored, ax)
        name_source(axes, scored[0])


def curves_held(scored: Sequence[Scored]) -> list[str]:
    """The kinds of curve that all items contain."""
    require_scored(scored)
    return [kind for kind in CURVES if all(_holds(item, kind) for item in scored)]


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
