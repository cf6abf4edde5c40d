"""Maps that cover a part of their image, brought onto the image before a protocol sees them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.dataset import Dataset
from ..errors import WsolbenchError
from ..formats.submission.reader import Submission
from ..formats.submission.rules import (
    WINDOW_RULE,
    WITHIN_RULE,
    bad_windows,
    misplaced_windows,
)
from ..maps.windows import is_whole, placed

__all__ = ["OnImage", "bytes_on_images", "check_within", "checked_windows", "on_images"]


@dataclass(frozen=True, eq=False)
class OnImage:
    """Maps that cover their whole images.

    Attributes:
        maps: (h, w) each; the map itself where it had no window, else float32 of the image's size.
        windowed: how many were placed in a window that is not the whole image.
        constant: how many of these have one value in their window, but not on the whole image.
    """

    maps: Sequence[NDArray[Any]]
    windowed: int = 0
    constant: int = 0


def on_images(
    maps: Sequence[NDArray[Any]],
    windows: NDArray[np.float64] | None,
    sizes: NDArray[np.int64],
) -> OnImage:
    """Place each map in its window.

    Args:
        maps: n legal maps.
        windows: (n, 4), legal, or None.
        sizes: (n, 2), height and width of each image.
    """
    if windows is None:
        return OnImage(maps)
    found: list[NDArray[Any]] = []
    windowed = constant = 0
    for map_, window, (height, width) in zip(maps, windows.tolist(), sizes.tolist(), strict=True):
        if is_whole(window, height, width):
            found.append(map_)
            continue
        on_image = placed(map_, window, height, width)
        found.append(on_image)
        windowed += 1
        constant += bool(map_.min() == map_.max() and on_image.min() != on_image.max())
    return OnImage(found, windowed, constant)


def checked_windows(names: Sequence[str], windows: Any) -> NDArray[np.float64]:
    """Windows from memory as float64 (n, 4).

    Raises:
        WsolbenchError: another type or shape, a window that is not finite or narrower than a pixel.
    """
    if hasattr(windows, "detach"):  # a tensor, perhaps on another device or with gradients
        windows = windows.detach().cpu()
    try:
        given = np.asarray(windows)
    except (TypeError, ValueError, RuntimeError):  # rows of different lengths, bfloat16
        given = np.empty(0, dtype=object)
    if given.shape != (len(names), 4) or given.dtype.kind not in "iuf":
        raise WsolbenchError(
            "windows",
            found=f"{given.dtype} of shape {given.shape}",
            expected=f"numbers ({len(names)}, 4)",
            cure="pass one row an image",
        )
    rows = given.astype(np.float64)
    for row in bad_windows(rows):
        raise _bad_window(names[row], rows[row], WINDOW_RULE)
    return rows


def check_within(
    names: Sequence[str], windows: NDArray[np.float64], sizes: NDArray[np.int64]
) -> None:
    """Refuse windows that are not of their images: (n, 4) windows, (n, 2) heights and widths.

    Raises:
        WsolbenchError: one that neither lies within its image nor covers it, along an axis.
    """
    for row in misplaced_windows(windows, sizes[:, 0], sizes[:, 1]):
        expected = f"{WITHIN_RULE} ({sizes[row, 1]}x{sizes[row, 0]} pixels)"
        raise _bad_window(names[row], windows[row], expected)


def bytes_on_images(
    dataset: Dataset, submission: Submission, *, maps: bool = True, edges: bool = False
) -> NDArray[np.int64]:
    """How many bytes each map of a submission takes while it is scored: int64 (N,).

    Args:
        dataset: the images.
        submission: their maps.
        maps: whether localization maps are read.
        edges: whether edges are.
    """
    stored = np.zeros(len(submission), np.int64)
    for wanted, shapes, dtype in (
        (maps, submission.shapes, submission.dtype),
        (edges, submission.edge_shapes, submission.edge_dtype),
    ):
        if wanted and shapes is not None and dtype is not None:
            stored += shapes.prod(axis=1) * dtype.itemsize
    if submission.windows is None or not maps:
        return stored
    store = dataset.store
    rows = dict(zip(dataset.image_ids, dataset.rows.tolist(), strict=True))
    held = [rows.get(image_id, 0) for image_id in submission.image_ids]
    areas = store.heights[held].astype(np.int64) * store.widths[held]
    return np.asarray(np.maximum(stored, 4 * areas))


def _bad_window(name: str, window: NDArray[np.float64], expected: str) -> WsolbenchError:
    return WsolbenchError(
        f"window of {name}",
        found=str(window.tolist()),
        expected=expected,
        cure="correct it, and check the file with wsolbench validate",
        exit_status=1,
    )
