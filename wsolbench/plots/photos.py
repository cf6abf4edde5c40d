"""Photos, masks, maps and boxes on axes whose units are pixels (paper Figs. 6, 7 and 9).

Boxes are red and green as in the paper, and also differ in line style.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import require_type
from .grid import Grid, panel_grid
from .texts import cut, small, wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..evaluation.overlays import Overlay

__all__ = [
    "FALSE_ALARM",
    "HIT",
    "IGNORED",
    "MAP_COLOURS",
    "MISS",
    "PREDICTED_BOX",
    "TRUE_BOX",
    "caption",
    "foreground_with_mask",
    "heading",
    "map_with_boxes",
    "mask_alone",
    "photo_alone",
    "photo_grid",
    "photo_with_mask",
    "row_height",
    "side_text",
]

TRUE_BOX, PREDICTED_BOX = "#E3000F", "#00E04B"
"""Red and green, as in the paper's Fig. 9."""


MAP_COLOURS = "plasma"
"""Colours of levels: 0 is dark blue, 255 yellow."""


HIT, MISS, FALSE_ALARM, IGNORED = "#0072B2", "#F0E442", "#D55E00", "#BBBBBB"
"""Colours of pixels. Three are from Okabe and Ito's palette: dark, light and in between."""


def photo_alone(photo: NDArray[np.uint8], ax: Axes) -> Axes:
    """A photo, uint8 (height, width, 3), on axes whose units are pixels: no ticks, no frame."""
    _require_arrays(photo=photo)
    height, width = photo.shape[:2]
    ax.imshow(photo, extent=(0.0, float(width), float(height), 0.0))
    return _bare(ax)


def mask_alone(mask: NDArray[np.bool_], ax: Axes) -> Axes:
    """A mask, bool (height, width): white on black, on axes whose units are pixels."""
    _require_arrays(mask=mask)
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
    _require_arrays(photo=photo, mask=mask)
    height, width = mask.shape
    photo_alone(photo, ax)
    _outlined(mask, ax)
    ax.set(xlim=(0, width), ylim=(height, 0))
    return ax


def _outlined(region: NDArray[np.bool_], ax: Axes, width: float = 1.2) -> None:
    """Outline a region in white on black: a frame if it is everything, nothing if it is empty."""
    if not region.any():
        return
    height, across = region.shape
    # A frame of background closes the outline of a region that reaches the border.
    padded = np.pad(region, 1).astype(np.float32)
    x, y = np.arange(-1, across + 1) + 0.5, np.arange(-1, height + 1) + 0.5
    for colour, line_width in (("black", 2 * width), ("white", width)):
        style: dict[str, Any] = {"colors": colour, "linewidths": line_width, "zorder": 1.5}
        ax.contour(x, y, padded, levels=[0.5], **style).set_in_layout(False)


def map_with_boxes(
    photo: NDArray[np.uint8],
    levels: NDArray[np.uint8],
    boxes: NDArray[np.int32],
    predicted: NDArray[np.int32] | None,
    ax: Axes,
    foreground: NDArray[np.bool_] | None = None,
) -> Axes:
    """A map over its photo, true boxes dashed in red and the predicted box in green (paper Fig. 9).

    Args:
        photo: uint8 (height, width, 3).
        levels: uint8 (height, width), the map; 0 is always dark blue and 255 yellow.
        boxes: int32 (n, 4), half-open (x0, y0, x1, y1) pixels.
        predicted: int32 (4,), or None.
        ax: to draw on.
        foreground: bool (height, width), to outline in white; None for no outline.
    """
    _require_arrays(photo=photo, levels=levels)
    height, width = levels.shape
    photo_alone(_grey(photo), ax)
    extent = (0.0, float(width), float(height), 0.0)
    ax.imshow(levels, cmap=MAP_COLOURS, vmin=0, vmax=255, alpha=0.65, extent=extent)
    if foreground is not None:
        _outlined(foreground, ax, 0.8)
    return _with_boxes(boxes, predicted, ax)


def foreground_with_mask(
    photo: NDArray[np.uint8],
    foreground: NDArray[np.bool_],
    mask: NDArray[np.bool_],
    ignore: NDArray[np.bool_] | None,
    predicted: NDArray[np.int32] | None,
    ax: Axes,
) -> Axes:
    """The foreground at a threshold against the mask, over the photo in grey.

    Args:
        photo: uint8 (height, width, 3).
        foreground: bool (height, width), the map's levels at or above T.
        mask: bool (height, width).
        ignore: bool (height, width), true where a pixel is not scored, or None.
        predicted: int32 (4,), a box to draw, or None.
        ax: to draw on.
    """
    from matplotlib.colors import to_rgba

    _require_arrays(photo=photo, foreground=foreground, mask=mask)

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


def _require_arrays(**arrays: object) -> None:
    for name, array in arrays.items():
        require_type(name, array, (np.ndarray,), "a NumPy array")


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
                    zorder=2,
                    clip_on=False,
                    in_layout=False,
                )
            )
    x0, x1, y0, y1 = ax.get_images()[0].get_extent()
    ax.set(xlim=(x0, x1), ylim=(y0, y1))
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


def photo_grid(count: int, width: str | None) -> Grid:
    """The panels of one photo, in as many rows as the width of the figure asks for."""
    return panel_grid(count, width, most=7, narrowest=0.98)


def caption(ax: Axes, text: str, inches: float) -> None:
    """A text below a photo, cut to its width."""
    size = small()
    ax.set_xlabel(cut(text, inches, size), fontsize=size, labelpad=1.5)
    ax.xaxis.label.set_parse_math(False)


def heading(ax: Axes, text: str, inches: float, lines: int = 2) -> None:
    """A text above a photo, broken and cut to its width."""
    size = small()
    told = "\n".join(wrapped(text, inches, size, lines))
    ax.set_title(told, fontsize=size, parse_math=False, pad=2.5)


def side_text(ax: Axes, text: str, inches: float) -> None:
    """A text left of a photo, turned: two lines, or cut to its height, as ids differ at ends."""
    size = small()
    told = "\n".join(wrapped(text, inches, size))
    if told.count("\n") > 1:
        told = cut(text, inches, size, keep_end=True)
    ax.set_ylabel(told, fontsize=size, parse_math=False, labelpad=1.5)


def row_height(overlay: Overlay) -> float:
    """Height of a row relative to the width of a column; tall photos are scaled down."""
    height, width = overlay.mask.shape
    return float(min(1.0, height / width))
