"""Plots of what was scored: they take results or leaderboard entries, and axes, compute no score
and return the axes.

Source of the looks: paper Figs. 1d, 5, 6, 7 and 9, Table 6, and Fig. 1 of its supplement. Colours
are Okabe and Ito's, told apart by people who are colour-blind; each method has a line style of its
own as well. The two kinds of box keep the paper's red and green and differ in their lines too.

Public names: `iou_threshold`, `precision_recall`, `box_accuracy`, `area_rates`, `seed_scores`,
Public names: `iou_threshold`, `precision_recall`, `box_accuracy`, `area_rates`, `seed_scores`,
`differences`, `group_scores`, `photo_alone`, `mask_alone`, `photo_with_mask`, `map_with_boxes`,
`foreground_with_mask`; `count_area_rates`; `save_curves`, `save_areas`, `save_seeds`,
`save_groups`, `save_forest`, `save_maps`, `save_cases`; `curves_held`, `picture`, `require_form`;
`Scored`, `CURVES`, `STYLES`.
`curves_held`, `picture`, `require_form`; `Scored`, `CURVES`, `STYLES`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import WsolbenchError, printable, some
from ..files import replacing
from ..formats.result import COLUMNS, GROUPS, LEVELS, Result, told_apart
from ..leaderboard.entries import Entry

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..data.dataset import Dataset
    from ..evaluation.cases import Case, Cases
    from ..evaluation.comparison import Comparison
    from ..evaluation.overlays import Overlay
    from ..formats.annotations import AnnotationStore
    from ..formats.submission.reader import Submission

Scored = Result | Entry
"""What curves and seeds are drawn of."""

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
"""Set around one figure only, never globally."""

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
"""`paper`: serif letters, no grid, fonts that a publisher's check accepts, 300 dots an inch."""

TRUE_BOX, PREDICTED_BOX = "#E3000F", "#00E04B"
"""Red and green, as in the paper's Fig. 9."""

HIT, MISS, FALSE_ALARM, IGNORED = "#0072B2", "#F0E442", "#D55E00", "#BBBBBB"
"""Pixels of the foreground and the mask. Three of Okabe and Ito's, dark, light and between."""

AREA_BINS = 20
"""Bins of the histogram of area rates, each 5 % of the image wide."""

MAX_PHOTOS = 40
"""Photos in one picture."""

GROUP_SCORES = ("iou_at_threshold", "ap", "gt_known_loc", "predicted_loc")
"""What is drawn of groups of images."""

FEW_GROUPS = 20
"""Groups that are drawn by name; more are sorted by their score."""

SEED_SCORES = ("peak_iou", "gt_known_loc")
"""What the paper's Table 6 tells for each number of seeds."""


def iou_threshold(scored: Sequence[Scored], ax: Axes) -> Axes:
    """IoU-Threshold curves, pooled over pixels, each with its peak marked (paper Fig. 1d)."""
    for place, (item, name) in enumerate(zip(scored, _legends(scored), strict=True)):
        peak = item.scores["peak_iou"]
        at = next(item.scores[key] for key in _PEAK_THRESHOLDS if key in item.scores)
        text = f"{name}: {100 * peak:.2f} at T = {at}"
        _line(ax, _thresholds(item), _percent(item.curves["iou"]), place, text)
        ax.plot([at], [100 * peak], "o", color=COLOURS[place % len(COLOURS)], markersize=5)
    ax.set(xlabel="Threshold T", ylabel="IoU, pooled over pixels (%)", xlim=_range(scored))
    return _finished(ax, "Peak-IoU, pooled over pixels")


def precision_recall(scored: Sequence[Scored], ax: Axes) -> Axes:
    """Precision against recall, pooled over pixels, from T = 255 down to 0 (paper Fig. 5)."""
    for place, (item, name) in enumerate(zip(scored, _legends(scored), strict=True)):
        text = f"{name}: {100 * item.scores['ap']:.2f}"
        x, y = _percent(item.curves["recall"]), _percent(item.curves["precision"])
        _line(ax, x, y, place, text)
        if len(set(x)) == 1:  # a constant map has one point, which no line shows
            ax.plot(x[:1], y[:1], "o", color=COLOURS[place % len(COLOURS)], clip_on=False)
    ax.set(xlabel="Recall (%)", ylabel="Precision (%)", xlim=(0, 100))
    return _finished(ax, "AP, pooled over pixels")


def box_accuracy(scored: Sequence[Scored], ax: Axes) -> Axes:
    """Share of images whose box has IoU of 0.5 or more, against the threshold."""
    for place, (item, name) in enumerate(zip(scored, _legends(scored), strict=True)):
        key = "gt_known_loc" if item.label == "gt" else "predicted_loc"
        curve = _percent(item.curves[key])
        text = f"{name}: {max(curve):.2f}"
        _line(ax, _thresholds(item), curve, place, text)
    ax.set(xlabel="Threshold T", ylabel="Images with a right box (%)", xlim=_range(scored))
    return _finished(ax, "Highest box accuracy (IoU >= 0.5)")


CURVES: dict[str, Callable[[Sequence[Scored], Axes], Axes]] = {
    "iou": iou_threshold,
    "precision-recall": precision_recall,
    "box": box_accuracy,
}
"""The curves by name."""


def count_area_rates(store: AnnotationStore) -> dict[str, NDArray[np.int64]]:
    """How many objects of each split cover which part of their image.

    Returns:
        By split, int64 (AREA_BINS,): bin b holds the rates in [b, b + 1) / AREA_BINS, the last one
        those of 1 too.
    """
    splits = np.array(store.splits)
    pixels = store.heights.astype(np.int64) * store.widths
    bins = np.minimum(store.areas * AREA_BINS // pixels, AREA_BINS - 1)
    return {
        split: np.bincount(bins[splits == split], minlength=AREA_BINS).astype(np.int64)
        for split in sorted(set(store.splits))
    }


def area_rates(counts: Mapping[str, Sequence[int] | NDArray[np.int64]], ax: Axes) -> Axes:
    """Histogram of the objects' area rates, object / image, by split (paper, supplement Fig. 1).

    Args:
        counts: by split, images in equally wide bins from 0 to 1.
        ax: to draw on.
    """
    for place, (split, held) in enumerate(counts.items()):
        bin_width = 100 / len(held)
        bar_width = 0.9 * bin_width / len(counts)
        left = [bin_width * (bin_ + 0.05) + place * bar_width for bin_ in range(len(held))]
        ax.bar(
            left,
            held,
            bar_width,
            align="edge",
            color=COLOURS[place % len(COLOURS)],
            label=f"{split[:40].lstrip('_')}: {sum(int(n) for n in held):,} images",
        )
    ax.set(xlabel="Object area / image area (%)", ylabel="Images", xlim=(0, 100))
    ax.grid(axis="x", visible=False)
    ax.set_axisbelow(True)
    return _with_legend(ax, "")


def seed_scores(scored: Sequence[Scored], ax: Axes, score: str = "peak_iou") -> Axes:
    """One score against the number of SEM seeds, a line a method and backbone (paper Table 6).

    Args:
        scored: each states its seeds, an entry in `seeds`, a result in `method.parameters.seeds`:
            all of them counts, or all of them shares of the map's positions. The interval of an
            entry is drawn as a bar.
        ax: to draw on.
        score: a key of `scores`, a fraction.

    Raises:
        WsolbenchError: one without seeds or without the score, counts beside shares, points of one
            line that share their seeds or differ in more than them.
    """
    seeds = [_seeds(item) for item in scored]
    shares = {isinstance(value, float) for value in seeds}
    if len(shares) > 1:
        raise WsolbenchError(
            "seeds",
            found=f"counts and shares: {some(seeds)}",
            expected="one kind in one picture",
            cure="plot them apart",
        )
    lines: dict[str, list[tuple[float, Scored]]] = {}
    for value, item in zip(seeds, scored, strict=True):
        _require_score(item, score)
        lines.setdefault(_legend(item, variant=False), []).append((value, item))
    factor, unit = (100, " %") if shares == {True} else (1, "")
    for place, (text, points) in enumerate(lines.items()):
        _check_line(text, points)
        points.sort(key=lambda point: point[0])
        x = [factor * value for value, _ in points]
        y = [100 * item.scores[score] for _, item in points]
        best = max(range(len(y)), key=y.__getitem__)
        _line(ax, x, y, place, f"{text}: {y[best]:.2f} at {x[best]:g}{unit}")
        colour = COLOURS[place % len(COLOURS)]
        ax.plot(x, y, "o", color=colour, markersize=3.5)
        ax.plot([x[best]], [y[best]], "o", color=colour, markersize=8, fillstyle="none")
        for at, (_, item) in zip(x, points, strict=True):
            if score in item.intervals:
                low, high = _percent(item.intervals[score])
                ax.vlines(at, low, high, colors=colour, linewidth=1)
    ticks = [factor * value for value in sorted(set(seeds))]
    gaps = [high - low for low, high in pairwise(ticks)]
    if gaps and min(gaps) >= (ticks[-1] - ticks[0]) / 20:  # else their labels would overlap
        ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    named = "Seeds, share of the map (%)" if shares == {True} else "Seeds K"
    ax.set(xlabel=named, ylabel=f"{COLUMNS[score]} (%)")
    return _with_legend(ax, f"Highest {COLUMNS[score]}")


def group_scores(results: Sequence[Result], kind: str, score: str, ax: Axes) -> Axes:
    """One score of groups of images, a line or kind of dot a result; intervals are bars.

    Args:
        results: with `breakdowns` of the kind, of the same images.
        kind: "area", "boxes" or "class".
        score: a key of the groups' scores, a fraction.
        ax: to draw on. Of more than 20 groups each line is sorted by its own score.
    """
    names = [group.name for group in results[0].breakdowns[kind]]
    few = len(names) <= FEW_GROUPS
    for place, (result, text) in enumerate(zip(results, _legends(results), strict=True)):
        held = [group for group in result.breakdowns[kind] if score in group.scores]
        if few:
            shift = 0.12 * (place - (len(results) - 1) / 2)
            x = [names.index(group.name) + shift for group in held]
        else:
            held.sort(key=lambda group: group.scores[score])
            x = [100 * (rank + 0.5) / len(held) for rank in range(len(held))]
        y = [100 * group.scores[score] for group in held]
        colour = COLOURS[place % len(COLOURS)]
        if few and kind == "class":  # classes have no order to join
            ax.plot(x, y, "os^D"[place % 4], color=colour, markersize=4, label=text)
        else:
            _line(ax, x, y, place, text)
        if few:
            ax.plot(x, y, "o", color=colour, markersize=3.5)
            for at, group in zip(x, held, strict=True):
                if score in group.intervals:
                    low, high = _percent(group.intervals[score])
                    ax.vlines(at, low, high, colors=colour, linewidth=1)
    if few:
        counts = [group.images for group in results[0].breakdowns[kind]]
        texts = [f"{name} ({count})" for name, count in zip(names, counts, strict=True)]
        ax.set_xticks(range(len(names)), texts, rotation=45, ha="right", fontsize=7)
        for label in ax.get_xticklabels():
            label.set_parse_math(False)
    ax.set(
        xlabel=f"{GROUPS[kind]} (images)" if few else f"{len(names)} groups, sorted by score (%)"
    )
    ax.set(ylabel=f"{COLUMNS[score]} (%)", ylim=(0, 102))
    return _with_legend(ax, "")


def differences(comparison: Comparison, first: int, second: int, ax: Axes) -> Axes:
    """A forest plot of two methods: by how much the second is ahead, a row a score.

    A dot right of the line at 0 says that the second is ahead. Scores whose interval touches the
    line are drawn hollow and grey.

    Args:
        comparison: of these two and maybe others.
        first: place of the one method among its names.
        second: place of the other.
        ax: to draw on.
    """
    pairs = [pair for pair in comparison.pairs if (pair.first, pair.second) == (first, second)]
    for row, pair in enumerate(pairs):
        low, high = _percent(pair.interval)
        apart = low > 0 or high < 0
        colour, fill = (COLOURS[0], "full") if apart else ("#666666", "none")
        ax.hlines(row, low, high, colors=colour, linewidth=1.6)
        ax.plot([100 * pair.difference], [row], "o", color=colour, markersize=5, fillstyle=fill)
        ax.annotate(
            f"{100 * pair.difference:+.2f}  [{low:+.2f}, {high:+.2f}]".replace("-", MINUS),
            (1.02, row),
            xycoords=("axes fraction", "data"),
            fontsize=7,
            va="center",
            annotation_clip=False,
        )
    ax.axvline(0, color="black", linewidth=0.8)
    ax.set_yticks(range(len(pairs)), [COLUMNS[pair.score] for pair in pairs])
    ahead = f"percentage points; {_mark(second)} is ahead on the right of 0"
    ax.set(xlabel=ahead, ylim=(len(pairs) - 0.5, -0.5))
    ax.grid(axis="y", visible=False)
    ax.set_title(f"{_mark(second)} {MINUS} {_mark(first)}", fontsize=9)
    return ax


def _mark(place: int) -> str:
    return chr(ord("A") + place)


def photo_alone(photo: NDArray[np.uint8], ax: Axes) -> Axes:
    """A photo, uint8 (height, width, 3), on axes whose units are pixels: no ticks, no frame."""
    height, width = photo.shape[:2]
    ax.imshow(photo, extent=(0.0, float(width), float(height), 0.0))
    return _bare(ax)


def mask_alone(mask: NDArray[np.bool_], ax: Axes) -> Axes:
    """A mask, bool (height, width): white on black, on axes whose units are pixels."""
    height, width = mask.shape
    extent = (0.0, float(width), float(height), 0.0)
    ax.imshow(mask, cmap="gray", vmin=0, vmax=1, extent=extent, interpolation="nearest")
    return _bare(ax)


def photo_with_mask(photo: NDArray[np.uint8], mask: NDArray[np.bool_], ax: Axes) -> Axes:
    """A photo and the outline of the object's mask.

    Args:
        photo: uint8 (height, width, 3).
        mask: bool (height, width).
        ax: to draw on; its units are pixels, so that half-open boxes keep their numbers.
    """
    height, width = mask.shape
    photo_alone(photo, ax)
    # A frame of background closes the outline of a mask that reaches the border.
    framed = np.pad(mask, 1).astype(np.float32)
    x, y = np.arange(-1, width + 1) + 0.5, np.arange(-1, height + 1) + 0.5
    for colour, line_width in (("black", 2.4), ("white", 1.2)):
        ax.contour(x, y, framed, levels=[0.5], colors=colour, linewidths=line_width)
    ax.set(xlim=(0, width), ylim=(height, 0))
    return ax


def map_with_boxes(
    photo: NDArray[np.uint8],
    levels: NDArray[np.uint8],
    boxes: NDArray[np.int32],
    predicted: NDArray[np.int32] | None,
    ax: Axes,
) -> Axes:
    """A map over its photo, true boxes dashed in red, the predicted one in green (paper Fig. 9).

    Args:
        photo: uint8 (height, width, 3).
        levels: uint8 (height, width), the map; 0 is dark blue and 255 yellow everywhere.
        boxes: int32 (n, 4), half-open (x0, y0, x1, y1) pixels.
        predicted: int32 (4,), or None.
        ax: to draw on.
    """
    height, width = levels.shape
    photo_alone(_grey(photo), ax)
    extent = (0.0, float(width), float(height), 0.0)
    ax.imshow(levels, cmap="plasma", vmin=0, vmax=255, alpha=0.65, extent=extent)
    return _with_boxes(boxes, predicted, ax)


def foreground_with_mask(
    photo: NDArray[np.uint8],
    foreground: NDArray[np.bool_],
    mask: NDArray[np.bool_],
    ignore: NDArray[np.bool_] | None,
    predicted: NDArray[np.int32] | None,
    ax: Axes,
) -> Axes:
    """Where the foreground at a threshold meets the mask, over the photo in grey.

    Args:
        photo: uint8 (height, width, 3).
        foreground: bool (height, width), the map's levels at or above T.
        mask: bool (height, width).
        ignore: bool (height, width), true where a pixel counts nowhere, or None.
        predicted: int32 (4,), a box to draw as well, or None.
        ax: to draw on.
    """
    from matplotlib.colors import to_rgba

    height, width = mask.shape
    colours = np.zeros((height, width, 4))
    for where, colour in (
        (foreground & mask, HIT),
        (~foreground & mask, MISS),
        (foreground & ~mask, FALSE_ALARM),
        (np.zeros_like(mask) if ignore is None else ignore, IGNORED),
    ):
        colours[where] = to_rgba(colour, 0.75)
    photo_alone(_grey(photo), ax)
    ax.imshow(colours, extent=(0.0, float(width), float(height), 0.0))
    return _with_boxes((), predicted, ax)


def _with_boxes(
    boxes: Iterable[NDArray[np.int32]], predicted: NDArray[np.int32] | None, ax: Axes
) -> Axes:
    from matplotlib.patches import Rectangle

    given = [(box, TRUE_BOX, "--", "white", 1.6) for box in boxes]
    given += [] if predicted is None else [(predicted, PREDICTED_BOX, "-", "black", 2.6)]
    for (x0, y0, x1, y1), colour, line, below, below_width in given:
        for edge, line_width in ((below, below_width), (colour, 1.6)):
            ax.add_patch(
                Rectangle(
                    (int(x0), int(y0)),
                    int(x1 - x0),
                    int(y1 - y0),
                    fill=False,
                    edgecolor=edge,
                    linestyle=line if edge == colour else "-",
                    linewidth=line_width,
                )
            )
    x0, x1, y0, y1 = ax.get_images()[0].get_extent()
    ax.set(xlim=(x0, x1), ylim=(y0, y1))
    return ax


def save_curves(
    scored: Sequence[Scored],
    path: str | os.PathLike[str],
    kinds: Sequence[str] = tuple(CURVES),
    style: str = "screen",
) -> None:
    """Draw curves side by side, one panel a kind, into a PNG, SVG or PDF file.

    Raises:
        WsolbenchError: another suffix; different protocols; one without the curve, as all reported
            entries are.
    """
    require_form(path)
    for item in scored:
        if isinstance(item, Entry) and not item.curves:
            raise WsolbenchError(
                _where(item),
                found=f"a {item.state} entry without curves",
                expected="a measured entry with them, a result or a submission",
                cure="score the method's maps, or leave it out",
            )
    _check_alike(scored)
    if not kinds:
        raise WsolbenchError(
            "curves",
            found="no kind of curve that all of them hold",
            expected=" or ".join(CURVES),
            cure="evaluate again with the same metrics",
        )
    for kind in kinds:
        for item in scored:
            if not _holds(item, kind):
                raise WsolbenchError(
                    _where(item),
                    found=f"no curve of {kind}",
                    cure="evaluate it with the metrics that it needs, or leave that kind out",
                )
    with picture(path, 1, len(kinds), (4.2 * len(kinds), 3.8), style) as axes:
        for kind, ax in zip(kinds, axes[0], strict=True):
            CURVES[kind](scored, ax)
        _name_source(axes, scored[0])


def save_areas(store: AnnotationStore, path: str | os.PathLike[str], style: str = "screen") -> None:
    """Draw the histogram of the objects' area rates by split into a PNG, SVG or PDF file.

    Raises:
        WsolbenchError: another suffix, a damaged store.
    """
    require_form(path)
    counts = count_area_rates(store)
    with picture(path, 1, 1, (5.2, 3.4), style) as axes:
        area_rates(counts, axes[0, 0])


def save_seeds(
    scored: Sequence[Scored], path: str | os.PathLike[str], style: str = "screen"
) -> None:
    """Draw Peak-IoU and box accuracy against the seeds of SEM into a PNG, SVG or PDF file.

    A score that not all hold is left out.

    Raises:
        WsolbenchError: another suffix, different protocols, no score that all hold, and what
            `seed_scores` refuses.
    """
    require_form(path)
    _check_alike(scored)
    scores = [key for key in SEED_SCORES if all(key in item.scores for item in scored)]
    if not scores:
        raise WsolbenchError(
            "results",
            found="no score that all of them hold",
            expected=" or ".join(SEED_SCORES),
            cure="evaluate again with the same metrics",
        )
    with picture(path, 1, len(scores), (4.2 * len(scores), 3.6), style) as axes:
        for key, ax in zip(scores, axes[0], strict=True):
            seed_scores(scored, ax, key)
        _name_source(axes, scored[0])


def save_groups(
    results: Sequence[Result], kind: str, path: str | os.PathLike[str], style: str = "screen"
) -> None:
    """Draw the scores of groups of images into a PNG, SVG or PDF file, a panel a score.

    Raises:
        WsolbenchError: another suffix, different protocols, results without such groups or with
            other ones, no score that all have.
    """
    require_form(path)
    _check_alike(results)
    groups = [[group.name for group in result.breakdowns.get(kind, ())] for result in results]
    for result, names in zip(results, groups, strict=True):
        if not names or names != groups[0]:
            raise WsolbenchError(
                _where(result),
                found="other groups" if names else f"no groups by {kind}",
                expected="the same groups in all results",
                cure=f"evaluate all of them on one split with --by {kind}",
            )
    keys = [
        key
        for key in GROUP_SCORES
        if all(any(key in group.scores for group in result.breakdowns[kind]) for result in results)
    ]
    if not keys:
        raise WsolbenchError(
            "groups", found="no score that all have", cure="evaluate with the same metrics"
        )
    with picture(path, 1, len(keys), (4.2 * len(keys), 3.8), style) as axes:
        for key, ax in zip(keys, axes[0], strict=True):
            group_scores(results, kind, key, ax)
        _name_source(axes, results[0])


def save_forest(
    comparison: Comparison, path: str | os.PathLike[str], style: str = "screen"
) -> None:
    """Draw the differences of every two methods into a PNG, SVG or PDF file, a panel a pair.

    All panels have one scale, so that lengths may be compared.

    Raises:
        WsolbenchError: another suffix.
    """
    pairs = list(dict.fromkeys((pair.first, pair.second) for pair in comparison.pairs))
    columns = min(3, len(pairs))
    rows = -(-len(pairs) // columns)
    alike = len(set(comparison.thresholds)) == 1
    names = [
        f"{_mark(place)}: {printable(name)[:70]}{'' if alike else f'; threshold: {threshold}'}"
        for place, (name, threshold) in enumerate(
            zip(comparison.names, comparison.thresholds, strict=True)
        )
    ]
    high = 0.7 + 0.22 * len(comparison.scores)
    size = (5.2 * columns, rows * high + 0.18 * len(names) + 0.8)
    with picture(path, rows, columns, size, style) as axes:
        panels = axes.ravel()
        for (first, second), ax in zip(pairs, panels, strict=False):
            differences(comparison, first, second, ax)
        ends = [panel.get_xlim() for panel in panels[: len(pairs)]]
        for ax in panels[len(pairs) :]:
            ax.set_visible(False)
        for ax in panels[: len(pairs)]:
            ax.set_xlim(min(low for low, _ in ends), max(high for _, high in ends))
        drawn = comparison.bootstrap
        title = (
            f"{comparison.dataset} {comparison.split}, {comparison.images} images, "
            f"protocol {comparison.protocol['name']}; "
            f"{100 * drawn.level:g} % intervals of {drawn.resamples} paired resamples"
        )
        told = [f"threshold: {comparison.thresholds[0]}"] if alike else []
        figure = panels[0].figure
        figure.suptitle("\n".join([title, *told, *names]), fontsize=9, parse_math=False)
        _forest_legend(figure)


def save_maps(
    dataset: Dataset,
    submissions: Sequence[Submission],
    path: str | os.PathLike[str],
    image_ids: Sequence[str],
    results: Sequence[Result] = (),
    style: str = "screen",
) -> None:
    """Draw photos with masks, maps and boxes into a PNG, SVG or PDF file: a row a photo.

    Args:
        dataset: the split, with a folder of photos.
        submissions: a column each.
        path: the picture to write.
        image_ids: the photos, from top to bottom, `MAX_PHOTOS` at most.
        results: of some of the submissions; the predicted box is drawn at their Box-T. A submission
            without one has no predicted box, unless it brings boxes of its own.
        style: a key of `STYLES`.

    Raises:
        WsolbenchError: another suffix, no or too many photos, a result of none of the submissions,
            and what `overlays.read_overlays` refuses.
    """
    from ..evaluation.overlays import pair_results, read_overlays

    require_form(path)
    if not 1 <= len(image_ids) <= MAX_PHOTOS:
        raise WsolbenchError(
            "images",
            found=f"{len(image_ids)} of them",
            expected=f"1 to {MAX_PHOTOS}",
            cure="draw fewer in one picture" if image_ids else "name some",
        )
    paired = pair_results(submissions, results)
    shown = list(read_overlays(dataset, submissions, image_ids, paired))
    titles = ["photo and mask"]
    for opened, result in zip(submissions, paired, strict=True):
        at = (
            "no predicted box"
            if result is None
            else f"box at T = {result.scores.get('box_threshold')}"
        )
        titles.append(f"{_method(opened)}\n{'own boxes' if opened.boxes is not None else at}")
    tall = list(map(_tall, shown))
    size = (1.75 * len(titles) + 0.2, 1.75 * sum(tall) + 0.06 * len(tall) + 0.6)
    with picture(path, len(shown), len(titles), size, style, tall) as axes:
        for row, overlay in zip(axes, shown, strict=True):
            _overlay(overlay, row)
        for ax, title in zip(axes[0], titles, strict=True):
            ax.set_title(title, fontsize=8, parse_math=False)
        boxed = any(drawn.box is not None for overlay in shown for drawn in overlay.maps)
        _box_legend(axes, boxed)


def save_cases(
    dataset: Dataset,
    submission: Submission,
    cases: Cases,
    path: str | os.PathLike[str],
    style: str = "screen",
) -> None:
    """Draw the images that `cases.find_cases` chose into a PNG, SVG or PDF file: a row an image.

    A row holds the photo with the mask's outline, the map with boxes, the foreground at the pixel
    threshold against the mask, and, where the box has another threshold, the foreground at that.

    Args:
        dataset: the split, with a folder of photos.
        submission: the one that was scored.
        cases: what was found.
        path: the picture to write.
        style: a key of `STYLES`.

    Raises:
        WsolbenchError: another suffix, too many images, a photo that is missing or damaged.
    """
    from ..evaluation.cases import KINDS
    from ..evaluation.overlays import read_overlays

    require_form(path)
    chosen = [case for group in cases.groups.values() for case in group.chosen]
    if len(chosen) > MAX_PHOTOS:
        raise WsolbenchError(
            "images",
            found=f"{len(chosen)} of them",
            expected=f"at most {MAX_PHOTOS}",
            cure="draw fewer of each kind",
        )
    ids = [case.image_id for case in chosen]
    shown = list(read_overlays(dataset, [submission], ids, [None]))
    at = [cases.pixel_threshold]
    if cases.box_threshold not in (None, cases.pixel_threshold):
        at.append(cases.box_threshold)
    rows: list[str | tuple[Case, Overlay]] = []
    drawn = iter(shown)
    for name, kind in KINDS.items():
        group = cases.groups[name]
        counted = f"{group.images} of {cases.images} images" if group.images else "no image"
        rows.append(f"{kind.words}: {counted}")
        rows += [(case, next(drawn)) for case in group.chosen]
    tall = [0.08 if isinstance(row, str) else _tall(row[1]) for row in rows]
    size = (2.0 * (2 + len(at)), 1.95 * sum(tall) + 0.2 * len(shown) + 0.7)
    with picture(path, len(rows), 2 + len(at), size, style, tall) as axes:
        for row, line in zip(rows, axes, strict=True):
            if isinstance(row, str):
                for ax in line:
                    ax.set_axis_off()
                told = line[0].text(0, 0, row, fontsize=9, weight="bold")
                told.set_in_layout(False)  # else its column would be as wide as the words
            else:
                _case(*row, at, line)
        figure = axes[0, 0].figure
        whose = f"{_method(submission)} on {dataset.name} {dataset.split}"
        boxes = "own boxes" if cases.box_threshold is None else f"boxes at T = {at[-1]}"
        title = f"{whose}: masks at T = {at[0]}, {boxes}"
        figure.suptitle(title, fontsize=9, parse_math=False)
        _case_legend(figure, any(overlay.ignore is not None for overlay in shown))


@contextmanager
def picture(
    path: str | os.PathLike[str],
    rows: int,
    columns: int,
    size: tuple[float, float],
    style: str = "screen",
    heights: Sequence[float] | None = None,
) -> Iterator[NDArray[Any]]:
    """Give axes to draw on, and write them as a PNG, SVG or PDF file when the block ends well.

    Args:
        path: the file; its ending tells the form.
        rows: of axes.
        columns: of axes.
        size: (width, height) in inches.
        style: a key of `STYLES`; it holds within the block alone.
        heights: of the rows, in proportion; None makes them alike.

    Returns:
        matplotlib Axes (rows, columns).

    Raises:
        WsolbenchError: another ending or style, a file that cannot be written.
    """
    form = require_form(path)
    if style not in STYLES:
        raise WsolbenchError(
            "style", found=style, expected=" or ".join(STYLES), cure="name one of these"
        )
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(STYLES[style]), replacing(path) as temporary:
        figure = Figure(figsize=size, layout="constrained")
        yield figure.subplots(rows, columns, squeeze=False, height_ratios=heights)
        dated = {"png": {}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}[form]
        figure.savefig(temporary, format=form, metadata=dated)


def curves_held(scored: Sequence[Scored]) -> list[str]:
    """The kinds of curve that every one of them holds."""
    return [kind for kind in CURVES if all(_holds(item, kind) for item in scored)]


def require_form(path: str | os.PathLike[str]) -> str:
    """The form of a picture that the file's ending tells: png, svg or pdf.

    Raises:
        WsolbenchError: another ending.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        raise WsolbenchError(
            path,
            found=f"the ending {suffix or 'none'}",
            expected=" or ".join(SUFFIXES),
            cure="name the picture accordingly",
        )
    return suffix[1:]


def _check_alike(scored: Sequence[Scored]) -> None:
    """Refuse numbers that may not stand side by side: of two protocols, or of two sources."""
    if not scored:
        raise WsolbenchError("results", found="none", cure="name one or more")
    sources = dict(map(_source, scored))
    if len(sources) > 1:
        raise WsolbenchError(
            "results",
            found=some(list(sources.values())),
            expected="one protocol, or what one paper reports, in one picture",
            cure="plot them apart",
        )


def _source(item: Scored) -> tuple[str, str]:
    """What must agree in one picture, and what an error calls it."""
    if isinstance(item, Entry) and item.state == "reported":
        title = item.provenance["paper"]["title"]
        return title, f"numbers reported in {title}"
    protocol = item.provenance["protocol"] if isinstance(item, Entry) else item.protocol
    name = f"protocol {protocol['name']}.v{protocol['version']} ({protocol['sha256'][:8]})"
    return protocol["sha256"], name


_PEAK_THRESHOLDS = ("peak_threshold", "peak_threshold_fraction")


def _thresholds(item: Scored) -> Sequence[float]:
    """The thresholds of an item's curves; entries hold curves over the 256 levels alone."""
    return item.curves.get("threshold", range(LEVELS))


def _range(scored: Sequence[Scored]) -> tuple[float, float]:
    """From 0 to the highest threshold; all are of one protocol."""
    return 0, _thresholds(scored[0])[-1] if scored else LEVELS - 1


def _holds(item: Scored, kind: str) -> bool:
    """Whether the curve is there, and the scores that its legend tells."""
    peak = next((key for key in _PEAK_THRESHOLDS if key in item.scores), _PEAK_THRESHOLDS[0])
    curves, scores = {
        "iou": ({"iou"}, {"peak_iou", peak}),
        "precision-recall": ({"precision", "recall"}, {"ap"}),
        "box": ({"gt_known_loc" if item.label == "gt" else "predicted_loc"}, set()),
    }[kind]
    return curves <= item.curves.keys() and scores <= item.scores.keys()


def _stated_seeds(item: Scored) -> Any:
    """SEM's seeds as an entry or a submission's header states them: whatever that is, or None."""
    if isinstance(item, Entry):
        return item.seeds
    return item.parameters.get("seeds")


def _seeds(item: Scored) -> int | float:
    seeds = _stated_seeds(item)
    sound = isinstance(seeds, (int, float)) and not isinstance(seeds, bool) and seeds > 0
    if not sound or (isinstance(seeds, float) and seeds > 1):
        raise WsolbenchError(
            _where(item),
            found=f"{'' if isinstance(item, Entry) else 'method.parameters.'}seeds {seeds}",
            expected="a count of SEM's seeds, or a share of the map",
            cure="name results or entries of SEM, each with its own seeds",
        )
    checked: int | float = seeds
    return checked


def _require_score(item: Scored, score: str) -> None:
    if score not in item.scores:
        raise WsolbenchError(
            _where(item), found=f"no {score}", cure="evaluate it with the metrics that it needs"
        )


def _check_line(text: str, points: Sequence[tuple[float, Scored]]) -> None:
    """Refuse a line whose points differ in more than their seeds, or that has one twice."""
    seeds = [value for value, _ in points]
    others = {json.dumps(_settings(item), sort_keys=True) for _, item in points}
    if len(set(seeds)) < len(seeds) or len(others) > 1:
        different = (
            "other parameters that differ too" if len(others) > 1 else "the same seeds twice"
        )
        raise WsolbenchError(
            f"results of {text}",
            found=different,
            expected="results that differ in their seeds alone",
            cure="plot them apart, or name the methods apart",
        )


def _settings(item: Scored) -> dict[str, Any]:
    """What the points of one line share beside their names; an entry's variant tells its seeds."""
    if isinstance(item, Entry):
        named = ("label", "map_size", "pretraining", "study", "supervision")
        return {"rule": item.threshold["rule"], **{key: getattr(item, key) for key in named}}
    return {**item.method["parameters"], "seeds": None}


def _where(item: Scored) -> str:
    kind = "entry" if isinstance(item, Entry) else "result"
    return f"{kind} of {item.name} on {item.split}"


def _legend(item: Scored, variant: bool = True) -> str:
    if isinstance(item, Entry):
        named = item if variant else replace(item, variant="")
        name, more = f"{named.name} {item.backbone}", item.state == "reported" and ", reported"
    else:
        name, more = item.name, item.limit is not None and ", trial"
    return f"{name} ({item.dataset} {item.split}{more or ''})"[:60].lstrip("_")


def _legends(scored: Sequence[Scored]) -> list[str]:
    """A legend each; those that are alike tell a parameter in which they differ."""
    stated = [
        {"seeds": item.seeds} if isinstance(item, Entry) else item.parameters for item in scored
    ]
    return told_apart([_legend(item) for item in scored], stated)


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
    return _with_legend(ax, title)


def _with_legend(ax: Axes, title: str) -> Axes:
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


def _bare(ax: Axes) -> Axes:
    ax.set(xticks=[], yticks=[])
    ax.grid(visible=False)
    ax.spines[:].set_visible(False)
    return ax


def _grey(photo: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The photo without its colours, still (height, width, 3)."""
    grey = photo.mean(axis=2).astype(np.uint8)
    return np.repeat(grey[:, :, None], 3, axis=2)


def _overlay(overlay: Overlay, axes: NDArray[Any]) -> None:
    photo_with_mask(overlay.photo, overlay.mask, axes[0])
    axes[0].set_ylabel(overlay.image_id[:30], fontsize=6, parse_math=False)
    for ax, drawn in zip(axes[1:], overlay.maps, strict=True):
        map_with_boxes(overlay.photo, drawn.levels, overlay.boxes, drawn.box, ax)


def _case(case: Case, overlay: Overlay, at: Sequence[int], axes: NDArray[Any]) -> None:
    """One row of `save_cases`: the first threshold is that of the mask, the last of the box."""
    levels = overlay.maps[0].levels
    box = None if case.box is None else np.array(case.box, dtype=np.int32)
    photo_with_mask(overlay.photo, overlay.mask, axes[0])
    axes[0].set_ylabel(overlay.image_id[:30], fontsize=6, parse_math=False)
    map_with_boxes(overlay.photo, levels, overlay.boxes, box, axes[1])
    told = {0: f"mask IoU {100 * case.mask_iou:.1f} %"}
    last = len(at) - 1
    told[last] = f"{told[0]}, " if last == 0 else ""
    told[last] += f"box IoU {100 * case.box_iou:.1f} %"
    for place, (level, ax) in enumerate(zip(at, axes[2:], strict=True)):
        shown = box if place == last else None
        foreground = levels >= level
        foreground_with_mask(overlay.photo, foreground, overlay.mask, overlay.ignore, shown, ax)
        ax.set_title(f"T = {level}: {told[place]}", fontsize=7)
    axes[0].set_title("photo, mask", fontsize=7)
    axes[1].set_title("map, boxes", fontsize=7)


def _case_legend(figure: Any, ignored: bool) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    kinds = [("hit", HIT), ("missed", MISS), ("false alarm", FALSE_ALARM)]
    kinds += [("ignored", IGNORED)] if ignored else []
    handles: list[Any] = [Patch(color=colour, label=name) for name, colour in kinds]
    handles.append(Line2D([], [], color=TRUE_BOX, linestyle="--", label="true box"))
    handles.append(Line2D([], [], color=PREDICTED_BOX, label="predicted box"))
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), fontsize=7)


def _tall(overlay: Overlay) -> float:
    """Height of a row in widths of a column; tall photos are drawn smaller."""
    height, width = overlay.mask.shape
    return float(min(1.0, height / width))


def _method(submission: Submission) -> str:
    words = [str(submission.header.method.get(key, "")) for key in ("name", "backbone")]
    return (printable(" ".join(word for word in words if word)) or "unnamed")[:40]


def _name_source(axes: NDArray[Any], item: Scored) -> None:
    """Say below the panels what a score means, or who reports it."""
    text = _source(item)[1]
    axes[0, 0].figure.supxlabel(text, fontsize=7, color="#444444", parse_math=False)


def _forest_legend(figure: Any) -> None:
    """What filled and hollow dots say."""
    from matplotlib.lines import Line2D

    filled = Line2D([], [], color=COLOURS[0], marker="o", markersize=5)
    hollow = Line2D([], [], color="#666666", marker="o", markersize=5, fillstyle="none")
    filled.set_label("interval without 0")
    hollow.set_label("interval with 0")
    handles = [filled, hollow]
    figure.legend(handles=handles, loc="outside lower center", ncols=2, fontsize=7)


def _box_legend(axes: NDArray[Any], boxed: bool) -> None:
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], color=TRUE_BOX, linestyle="--", label="true box")]
    if boxed:
        handles.append(Line2D([], [], color=PREDICTED_BOX, label="predicted box"))
    axes[0, 0].figure.legend(handles=handles, loc="outside lower center", ncols=2, fontsize=7)
