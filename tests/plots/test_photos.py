"""Boxes, outlines and colours are read back from axes and pixels."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from wsolbench import plots
from wsolbench.plots import photos


def rectangles(ax: Axes, colour: str) -> list[tuple[float, float, float, float]]:
    """(x0, y0, x1, y1) of the frames of one colour."""
    return [
        (p.get_x(), p.get_y(), p.get_x() + p.get_width(), p.get_y() + p.get_height())
        for p in ax.patches
        if p.get_edgecolor()[:3] == to_rgb(colour)
    ]


def test_boxes_keep_their_numbers_and_colours(ax: Axes) -> None:
    photo = np.zeros((6, 8, 3), np.uint8)
    levels = np.arange(48, dtype=np.uint8).reshape(6, 8)
    true = np.array([[1, 2, 4, 6], [0, 0, 8, 1]], np.int32)
    plots.map_with_boxes(photo, levels, true, np.array([2, 1, 7, 5], np.int32), ax)
    assert rectangles(ax, photos.TRUE_BOX) == [(1, 2, 4, 6), (0, 0, 8, 1)]
    assert rectangles(ax, photos.PREDICTED_BOX) == [(2, 1, 7, 5)]
    assert (ax.get_xlim(), ax.get_ylim()) == ((0, 8), (6, 0))
    map_ = ax.get_images()[1]
    np.testing.assert_array_equal(map_.get_array(), levels)
    assert map_.get_clim() == (0, 255)  # the map's own extremes do not set its colours
    assert map_.get_extent() == [0, 8, 6, 0]


def test_no_predicted_box_draws_none(ax: Axes) -> None:
    photo, levels = np.zeros((6, 8, 3), np.uint8), np.zeros((6, 8), np.uint8)
    plots.map_with_boxes(photo, levels, np.array([[1, 2, 4, 6]], np.int32), None, ax)
    assert rectangles(ax, photos.PREDICTED_BOX) == []
    assert len(rectangles(ax, photos.TRUE_BOX)) == 1


@pytest.mark.parametrize("box", [(2, 1, 6, 4), (0, 0, 8, 6)], ids=["inside", "whole image"])
def test_the_outline_goes_around_the_mask(ax: Axes, box: tuple[int, int, int, int]) -> None:
    x0, y0, x1, y1 = box
    mask = np.zeros((6, 8), bool)
    mask[y0:y1, x0:x1] = True
    plots.photo_with_mask(np.zeros((6, 8, 3), np.uint8), mask, ax)
    points = ax.collections[0].get_paths()[0].vertices
    assert [*points.min(axis=0), *points.max(axis=0)] == [x0, y0, x1, y1]


def test_pixels_are_the_blend_of_photo_and_map() -> None:
    """A photo of two greys under a map of two levels: four colours, each 40 x 40 dots."""
    photo = np.zeros((2, 2, 3), np.uint8)
    photo[1] = 200
    levels = np.array([[0, 255], [0, 255]], np.uint8)
    figure = Figure(figsize=(0.8, 0.8), dpi=100)
    ax = figure.add_axes((0, 0, 1, 1))
    canvas = FigureCanvasAgg(figure)
    plots.map_with_boxes(photo, levels, np.zeros((0, 4), np.int32), None, ax)
    canvas.draw()
    drawn = np.asarray(canvas.buffer_rgba())[:, :, :3].astype(float)
    low, high = (255 * np.array(to_rgb(colour)) for colour in ("#0d0887", "#f0f921"))
    for row, grey in ((0, 0), (1, 200)):
        for column, colour in ((0, low), (1, high)):
            found = drawn[40 * row + 8 : 40 * row + 32, 40 * column + 8 : 40 * column + 32]
            expected = 0.65 * colour + 0.35 * grey
            assert np.abs(found - expected).max() < 4


def test_a_mask_is_white_on_black_and_a_photo_itself(ax: Axes) -> None:
    mask = np.array([[True, False, False]])
    plots.mask_alone(mask, ax)
    (image,) = ax.get_images()
    assert image.cmap(image.norm(mask))[0, :, 0].tolist() == [1, 0, 0]
    photo = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    plots.photo_alone(photo, ax)
    np.testing.assert_array_equal(ax.get_images()[1].get_array(), photo)
    assert ax.get_xticks().tolist() == []
