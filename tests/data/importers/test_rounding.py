"""Boxes of floats: noise is no pixel, everything else is rounded outwards."""

from __future__ import annotations

import math

import pytest

from wsolbench.data.importers.rounding import difference, meets, snapped, whole_box


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (43.00000000000001, 43),
        (42.9999999, 43),
        (-1e-9, 0),
        (43.000002, 43.000002),
        (43.5, 43.5),
        (16384.0000005, 16384),
    ],
)
def test_noise_is_no_pixel(value, expected):
    assert snapped(value) == expected


@pytest.mark.parametrize(
    ("corners", "expected"),
    [
        ((1, 2, 3, 4), ((1, 2, 3, 4), False, False)),
        ((1, 2, 3.00000001, 4), ((1, 2, 3, 4), False, False)),
        ((1.5, 2, 3, 4.1), ((1, 2, 3, 5), True, False)),
        ((-3, 2, 11, 4), ((0, 2, 10, 4), False, True)),
        ((-0.5, 0, 10.5, 8), ((0, 0, 10, 8), True, True)),
        ((-1e-7, 0, 10, 8.0000001), ((0, 0, 10, 8), False, False)),
        ((9.5, 7.5, 9.6, 7.6), ((9, 7, 10, 8), True, False)),
    ],
)
def test_boxes_are_rounded_outwards_and_clipped(corners, expected):
    assert whole_box(*corners, width=10, height=8) == expected


@pytest.mark.parametrize(
    ("corners", "message"),
    [
        ((3, 2, 3, 4), r"the box 3, 2, 3, 4 \(x0, y0, x1, y1\) is empty"),
        ((3, 2, 3.0000001, 4), r"is empty"),
        ((3, 2, 1, 4), r"is empty"),
        ((10, 2, 12, 4), r"is outside 10x8"),
        ((-5, 2, 0, 4), r"is outside 10x8"),
        ((math.nan, 2, 3, 4), r"nan, 2, 3, 4 is not a box of four numbers"),
        ((1, 2, math.inf, 4), r"not a box of four numbers"),
    ],
)
def test_boxes_without_a_pixel_are_refused(corners, message):
    with pytest.raises(ValueError, match=message):
        whole_box(*corners, width=10, height=8)


def test_boxes_are_compared_by_their_sides():
    assert difference((1, 2, 30, 40), (3, 2, 25, 41)) == 5
    assert meets((0, 0, 5, 5), (4, 4, 8, 8))
    assert not meets((0, 0, 5, 5), (5, 0, 8, 8))
