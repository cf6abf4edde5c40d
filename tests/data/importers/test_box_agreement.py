"""Boxes beside their masks: which convention fits, and what is said about it."""

from __future__ import annotations

import pytest

from wsolbench.data.importers.box_agreement import (
    CORNERS,
    SIZES,
    Compared,
    check_agreement,
    notes_of_agreement,
    other_readings,
)
from wsolbench.errors import WsolbenchError

TIGHT = (20, 10, 50, 25)
SIZE = (60, 80)


@pytest.mark.parametrize(
    ("numbers", "given", "reading"),
    [
        ((20, 10, 30, 15), CORNERS, "as x, y, width and height"),
        ((20, 10, 50, 25), SIZES, "as x0, y0, x1, y1"),
        ((10, 20, 15, 30), SIZES, "as y, x, height and width"),
        ((10, 20, 25, 50), SIZES, "as y0, x0, y1, x1"),
        ((10, 20, 25, 50), CORNERS, "as y0, x0, y1, x1"),
        ((35, 17.5, 30, 15), SIZES, "as the centre's x and y, width and height"),
    ],
)
def test_the_convention_that_fits_is_named(numbers, given, reading):
    readings = other_readings(numbers, given, TIGHT, SIZE)
    assert given not in readings
    assert readings[reading] == (TIGHT, TIGHT)
    item = Compared("a", (0, 0, 5, 5), TIGHT, readings=readings)
    with pytest.raises(WsolbenchError, match=rf"1 of 1 boxes fit their masks only {reading}: a; "):
        check_agreement("f", [item], {})
    with pytest.raises(WsolbenchError, match=r"; do that$"):
        check_agreement("f", [item], {reading: "do that"})


def test_readings_without_a_pixel_are_none():
    assert CORNERS not in other_readings((20, 10, 5, 5), SIZES, TIGHT, SIZE)
    assert SIZES not in other_readings((90, 10, 5, 5), CORNERS, TIGHT, SIZE)


def test_loose_boxes_are_counted():
    boxes = [(20, 10, 50, 25), (18, 10, 50, 27), (17, 10, 50, 25), (0, 0, 80, 60)]
    items = [Compared(str(box), box, TIGHT) for box in boxes]
    check_agreement("f", items, {})
    assert notes_of_agreement(items) == [
        "2 of 4 boxes differ from the tight boxes of their masks by more than 2 pixels, at most "
        "by 35"
    ]
    assert notes_of_agreement(items[:2]) == []


@pytest.mark.parametrize("short", [0, 1, 2, 3])
def test_boxes_that_end_a_pixel_early_are_refused_if_they_are_most(short):
    boxes = [(20, 10, 49, 24)] * short + [TIGHT] * 2
    items = [Compared(str(place), box, TIGHT) for place, box in enumerate(boxes)]
    drawn = [Compared("drawn", (20, 10, 49, 24), TIGHT, exact=False)] * 9
    if short > 2:
        with pytest.raises(WsolbenchError, match=r"3 of 5 boxes that end exactly one pixel .*: 0"):
            check_agreement("f", [*items, *drawn], {})
    else:
        check_agreement("f", [*items, *drawn], {})
