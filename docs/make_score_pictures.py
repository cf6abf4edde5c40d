"""Draw the picture of each family of scores from drawn maps: docs/pictures/score-*.png.

python docs/make_score_pictures.py
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from numpy.typing import NDArray
from PIL import Image

from wsolbench import masks, plots
from wsolbench.metrics import pixel
from wsolbench.metrics.boundary import boundary_counts, suppress, true_boundary
from wsolbench.metrics.boxes import best_iou, largest_boxes
from wsolbench.metrics.own_thresholds import otsu_threshold
from wsolbench.plots.style import COLOURS

PICTURES = Path(__file__).parent / "pictures"
SIDES = (72, 96)
BLUE, ORANGE, GREEN = COLOURS[:3]

Levels = NDArray[np.uint8]
Mask = NDArray[np.bool_]


def hill(y: float, x: float, spread: float, high: float = 255) -> NDArray[np.float64]:
    """A Gaussian around a pixel, (height, width)."""
    rows, columns = np.mgrid[: SIDES[0], : SIDES[1]]
    squares = (rows - y) ** 2 + (columns - x) ** 2
    found: NDArray[np.float64] = high * np.exp(-squares / (2 * spread**2))
    return found


def scene() -> tuple[Levels, Mask]:
    """A map whose peak is at one end of a long object, with a weaker spot beside it."""
    rows, columns = np.mgrid[: SIDES[0], : SIDES[1]]
    mask = ((rows - 36) / 17) ** 2 + ((columns - 50) / 32) ** 2 <= 1
    levels = hill(33, 36, 12) + hill(40, 62, 13, 120) + hill(14, 84, 7, 110)
    return np.floor(np.minimum(levels, 255)).astype(np.uint8), mask


def bare(ax: Axes, title: str) -> None:
    """An axis of a picture: no ticks, no grid."""
    ax.set(xticks=[], yticks=[])
    ax.set_title(title)
    ax.grid(False)


def draw_map(ax: Axes, levels: Levels, mask: Mask, title: str) -> None:
    """Levels in grey with the outline of the mask."""
    ax.imshow(levels, cmap="gray", vmin=0, vmax=255)
    ax.contour(mask, levels=[0.5], colors=[ORANGE], linewidths=1.5)
    bare(ax, title)


def draw_pixel(axes: Any) -> None:
    """The map, IoU over thresholds, precision over recall."""
    levels, mask = scene()
    counts = pixel.count_pixels(levels, mask)
    found = pixel.iou(counts)
    draw_map(axes[0], levels, mask, "levels")
    axes[1].plot(found, color=BLUE)
    peak = int(found.argmax())
    axes[1].plot([peak], [found[peak]], "o", color=ORANGE)
    axes[1].annotate(f"Peak-T {peak}", (peak, found[peak]), (6, 0), textcoords="offset points")
    axes[1].set(xlabel="threshold T", ylim=(0, 1), xlim=(0, 255))
    axes[1].set_title("IoU")
    recall, precision = pixel.recall(counts), pixel.precision(counts)
    # The steps that AP sums: P(T) from R(T + 1) to R(T), from a recall of 0.
    x = np.concatenate([[0], recall[::-1]])
    y = np.concatenate([precision[-1:], precision[::-1]])
    axes[2].fill_between(x, y, step="pre", alpha=0.25, color=BLUE)
    axes[2].plot(x, y, drawstyle="steps-pre", color=BLUE)
    axes[2].set(xlabel="recall", ylim=(0, 1.02), xlim=(0, 1))
    axes[2].set_title("precision, AP")


def draw_box(axes: Any) -> None:
    """The box at one threshold, and its IoU at each."""
    levels, mask = scene()
    boxes = largest_boxes(levels)
    truth = np.array([masks.tight_box(mask)])
    found = best_iou(boxes, truth)
    threshold = 90
    axes[0].imshow(levels >= threshold, cmap="gray")
    for box, colour, dashed in ((truth[0], ORANGE, True), (boxes[threshold], GREEN, False)):
        x0, y0, x1, y1 = (int(corner) for corner in box)
        corner = (x0 - 0.5, y0 - 0.5)
        outline = Rectangle(corner, x1 - x0, y1 - y0, fill=False, edgecolor=colour, linewidth=2)
        outline.set_linestyle("--" if dashed else "-")
        axes[0].add_patch(outline)
    bare(axes[0], f"T = {threshold}")
    axes[1].plot(found, color=BLUE)
    axes[1].fill_between(np.arange(256), found, where=found >= 0.5, alpha=0.25, color=GREEN)
    axes[1].axhline(0.5, color=COLOURS[6], linestyle=":", linewidth=1)
    axes[1].axvline(threshold, color=COLOURS[6], linestyle="--", linewidth=1)
    axes[1].set(xlabel="threshold T", ylim=(0, 1), xlim=(0, 255))
    axes[1].set_title("IoU of the box")


def draw_class(axes: Any) -> None:
    """Class scores of which the third highest is that of the true class."""
    values = np.array([0.31, 0.24, 0.19, 0.11, 0.07, 0.05, 0.03])
    colours = [ORANGE if place == 2 else BLUE for place in range(len(values))]
    axes[0].barh(np.arange(1, len(values) + 1), values, color=colours)
    axes[0].axhline(1.5, color=COLOURS[6], linestyle="--", linewidth=1)
    axes[0].axhline(5.5, color=COLOURS[6], linestyle="--", linewidth=1)
    for rank in (1, 5):
        axes[0].text(0.4, rank + 0.45, f"Top-{rank}", va="bottom", ha="right")
    axes[0].annotate("true class", (0.2, 3), va="center")
    axes[0].set(
        yticks=range(1, len(values) + 1), ylabel="rank", xlabel="class score", xlim=(0, 0.4)
    )
    axes[0].invert_yaxis()
    axes[0].grid(False)


def draw_boundary(axes: Any) -> None:
    """Edges over the true outline, and precision against recall."""
    _, mask = scene()
    truth = true_boundary(mask)
    rows, columns = np.mgrid[: SIDES[0], : SIDES[1]]
    outline = np.hypot((rows - 37) / 17, (columns - 51) / 32)  # a pixel beside the true one
    spot = np.hypot(rows - 14, columns - 84) / 9
    strong = 0.9 * np.exp(-(((outline - 1) / 0.08) ** 2)) * (1 - columns / 100)
    edges = np.floor(255 * np.maximum(strong, 0.35 * np.exp(-(((spot - 1) / 0.15) ** 2))))
    edges = edges.astype(np.uint8)
    axes[0].imshow(255 - edges, cmap="gray", vmin=0, vmax=255)
    axes[0].contour(mask, levels=[0.5], colors=[ORANGE], linewidths=1)
    bare(axes[0], "edges")
    counts = boundary_counts(suppress(edges), truth, max_distance=0.02)
    with np.errstate(invalid="ignore"):
        precision = counts.matched / counts.predicted
        recall = counts.matched / truth.sum()
        harmonic = 2 * precision * recall / (precision + recall)
    for level in (0.2, 0.4, 0.6, 0.8):
        line = np.linspace(level / (2 - level) + 1e-6, 1, 100)
        axes[1].plot(line, level * line / (2 * line - level), color="0.8", linewidth=0.8)
    best = int(np.nanargmax(harmonic))
    axes[1].plot(recall, precision, color=BLUE)
    axes[1].plot([recall[best]], [precision[best]], "o", color=ORANGE)
    axes[1].set(xlabel="recall", ylim=(0, 1.05), xlim=(0, 1.05))
    axes[1].set_title("precision, ODS")
    axes[1].grid(False)


def draw_shape(axes: Any) -> None:
    """IoU curves of three images of different brightness."""
    levels, mask = scene()
    curves = []
    for share, other in ((0.5, 0), (0.8, 6), (1.0, -5)):
        moved = np.roll(mask, other, axis=1)
        darker = np.floor(levels * share).astype(np.uint8)
        curves.append(pixel.iou(pixel.count_pixels(darker, moved)))
    for curve, colour in zip(curves, COLOURS, strict=False):
        axes[0].plot(curve, color=colour)
        axes[0].plot([curve.argmax()], [curve.max()], "o", color=colour)
    shared = int(np.mean(curves, axis=0).argmax())
    axes[0].axvline(shared, color=COLOURS[6], linestyle="--", linewidth=1)
    axes[0].annotate("shared T", (shared, 0.05), (5, 0), textcoords="offset points")
    axes[0].set(xlabel="threshold T", ylabel="IoU", ylim=(0, 1), xlim=(0, 255))


def draw_explain(axes: Any) -> None:
    """The map with its highest pixel, and the histograms on the object and off it."""
    levels, mask = scene()
    draw_map(axes[0], levels, mask, "levels")
    y, x = np.unravel_index(int(levels.argmax()), levels.shape)
    axes[0].plot([x], [y], "x", color=GREEN, markersize=8, markeredgewidth=2)
    counts = pixel.count_pixels(levels, mask)
    bins = counts.reshape(2, 32, 8).sum(axis=2)
    starts = np.arange(0, 256, 8)
    axes[1].bar(starts, bins[0], 8, align="edge", color=BLUE, alpha=0.6, label="h0, off")
    axes[1].bar(starts, bins[1], 8, align="edge", color=ORANGE, alpha=0.6, label="h1, on")
    otsu = int(otsu_threshold(counts.sum(axis=0)))
    axes[1].axvline(otsu, color=COLOURS[6], linestyle="--", linewidth=1)
    axes[1].annotate("Otsu's T", (otsu, 450), (5, 0), textcoords="offset points")
    axes[1].set(xlabel="level", ylabel="pixels", ylim=(0, 500), xlim=(0, 256))
    axes[1].legend(frameon=False)


DRAWN: dict[str, tuple[Callable[[Any], None], int, tuple[float, float]]] = {
    "pixel": (draw_pixel, 3, (6.6, 1.9)),
    "box": (draw_box, 2, (4.6, 1.9)),
    "class": (draw_class, 1, (3.4, 2.0)),
    "boundary": (draw_boundary, 2, (4.6, 1.9)),
    "shape": (draw_shape, 1, (3.4, 2.0)),
    "explain": (draw_explain, 2, (5.0, 2.0)),
}
"""Family -> its picture, the number of axes, and inches."""


def main() -> None:
    """Draw the pictures and tell their sizes."""
    for family, (draw, columns, inches) in DRAWN.items():
        out = PICTURES / f"score-{family}.png"
        with plots.picture(out, 1, columns, inches) as axes:
            draw(np.ravel(axes))
        with Image.open(out) as opened:
            opened.thumbnail((760, 760))
            opened.convert("RGB").quantize(48, kmeans=2).save(out, optimize=True)
        print(f"{out.name}: {out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
