"""How corners are counted: the rule on small boxes, and on random ones of each convention."""

from __future__ import annotations

import numpy as np
import pytest

from wsolbench.data.importers.corners import (
    Corners,
    decide,
    evidence_of,
    half_open,
    sentence,
    settle,
    whole_boxes,
)
from wsolbench.errors import WsolbenchError

SIZE = {"a": (40, 60)}  # height, width


@pytest.mark.parametrize(
    ("boxes", "found"),
    [
        ([(0, 5, 60, 20)], Corners.HALF_OPEN),  # 0 and the width
        ([(5, 0, 20, 20), (5, 5, 20, 40)], Corners.HALF_OPEN),  # in two boxes
        ([(0, 5, 59, 20)], Corners.INCLUSIVE),  # 0 and the last column, never the width
        ([(5, 0, 20, 20), (5, 5, 20, 39)], Corners.INCLUSIVE),
        ([(1, 5, 60, 20)], Corners.FROM_ONE),  # 1 and the width, never 0
        ([(5, 1, 20, 20), (5, 5, 20, 40)], Corners.FROM_ONE),
        ([(0, 5, 20, 20), (7, 7, 7, 9)], Corners.INCLUSIVE),  # one column, so the last pixel
        ([(5, 5, 60, 20), (7, 7, 7, 9)], Corners.FROM_ONE),  # the same, but the width is seen
        ([(5, 5, 20, 20)], None),  # nothing
        ([(0, 5, 20, 20)], None),  # 0, but no far edge
        ([(5, 5, 60, 20)], None),  # the width, but no near edge
        ([(1, 5, 59, 20)], None),  # 1 and the last column: all three
        ([(0, 5, 59, 20)] * 40 + [(5, 5, 60, 20)], None),  # the width once, an outlier
        ([(1, 5, 60, 20)] * 40 + [(0, 5, 20, 20)], None),  # 0 once, an outlier
    ],
)
def test_corners_are_decided_by_all_boxes(boxes, found):
    evidence = evidence_of({"a": boxes}, SIZE)
    assert decide(evidence) is found
    if found is None:
        with pytest.raises(WsolbenchError, match=r"leave open .*\(.*of \d+ far corners.*--corners"):
            settle("boxes.txt", evidence)
    else:
        assert settle("boxes.txt", evidence) is found


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("corners", list(Corners))
def test_boxes_written_by_each_convention_come_back(corners, seed):
    draw = np.random.default_rng(seed)
    true: dict[str, list[tuple[int, ...]]] = {}
    sizes = {}
    for number in range(200):
        height, width = (int(side) for side in draw.integers(8, 60, 2))
        x0, x1 = sorted(int(x) for x in draw.choice(width + 1, 2, replace=False))
        y0, y1 = sorted(int(y) for y in draw.choice(height + 1, 2, replace=False))
        sizes[str(number)], true[str(number)] = (height, width), [(x0, y0, x1, y1)]
    shift = {
        Corners.HALF_OPEN: (0, 0, 0, 0),
        Corners.INCLUSIVE: (0, 0, -1, -1),
        Corners.FROM_ONE: (1, 1, 0, 0),
    }[corners]
    written = {
        name: [tuple(float(c + s) for c, s in zip(box, shift, strict=True)) for box in boxes]
        for name, boxes in true.items()
    }
    assert settle("boxes.txt", evidence_of(written, sizes)) is corners
    assert whole_boxes("boxes.txt", written, sizes, corners) == (true, [])
    assert half_open(written["0"][0], corners) == true["0"][0]


@pytest.mark.parametrize(
    ("boxes", "stated", "message"),
    [
        ([(0, 5, 60, 20)], "inclusive", r"1 of 1 far corners equal .*a: 60,20 is outside 60x40"),
        ([(0, 5, 59, 20)], "from-1", r"1 near corners are 0.* look inclusive, expected from-1"),
        ([(5, 5, 5, 20)], "half-open", r"1 boxes have equal corners, expected half-open corners"),
    ],
)
def test_a_statement_that_a_box_contradicts_is_refused_with_the_counts(boxes, stated, message):
    with pytest.raises(WsolbenchError, match=message):
        settle("boxes.txt", evidence_of({"a": boxes}, SIZE), given=Corners(stated))


def test_a_statement_overrides_what_boxes_only_suggest():
    evidence = evidence_of({"a": [(0, 5, 59, 20)] * 10}, SIZE)
    assert settle("boxes.txt", evidence, given=Corners.HALF_OPEN) is Corners.HALF_OPEN
    with pytest.raises(
        WsolbenchError, match=r"which look inclusive, expected half-open corners, as"
    ):
        settle("boxes.txt", evidence, published=Corners.HALF_OPEN)
    open_ = evidence_of({"a": [(5, 5, 20, 20)]}, SIZE)
    assert settle("boxes.txt", open_, published=Corners.HALF_OPEN) is Corners.HALF_OPEN


@pytest.mark.parametrize(
    ("boxes", "cause"),
    [
        ([(5, 30, 10, 61)], r"1 of 1 boxes outside their image: a: 5,30,10,61 in 60x40, expected"),
        ([(5, 2, 10, 50), (1, 1, 3, 41)], r"all fit if x and y are swapped"),
        ([(5, 5, 70, 20)], r"a: 5,5,70,20 in 60x40, expected"),
    ],
)
def test_boxes_outside_their_image_are_refused_with_the_cause(boxes, cause):
    evidence = evidence_of({"a": boxes}, SIZE)
    for stated in (None, *Corners):
        with pytest.raises(WsolbenchError, match=cause):
            settle("boxes.txt", evidence, given=stated)


def test_images_without_a_size_do_not_count():
    evidence = evidence_of({"a": [(0, 0, 59, 39)], "b": [(0, 0, 900, 900)]}, SIZE)
    assert (evidence.boxes, evidence.zero, evidence.last) == (1, 1, 1)


def test_a_few_boxes_at_the_edges_do_not_contradict_a_known_format_but_are_noted():
    evidence = evidence_of({"a": [(0, 5, 20, 20), (5, 5, 59, 20), (5, 5, 20, 20)]}, SIZE)
    assert settle("boxes.csv", evidence, published=Corners.HALF_OPEN) is Corners.HALF_OPEN
    assert sentence(evidence, Corners.HALF_OPEN) == (
        "boxes: none of 3 far corners equals the width or height, 1 are on the last pixel; 1 near "
        "corners are 0, 0 are 1; taken as half-open (counted from 0, the far corner exclusive), "
        "though they look inclusive"
    )
    assert settle("boxes.xml", evidence) is Corners.INCLUSIVE  # no format is known


@pytest.mark.parametrize(
    ("inclusive", "half_open", "others", "found"),
    [
        (1, 0, 999, None),
        (1, 0, 0, None),  # a single mask
        (2, 0, 0, Corners.INCLUSIVE),  # all of two
        (2, 0, 998, None),
        (10, 0, 990, Corners.INCLUSIVE),  # 10 > 3 * sqrt(10)
        (10, 1, 989, None),  # 9 < 3 * sqrt(11)
        (40, 60, 900, None),  # 20 < 3 * sqrt(100)
        (30, 70, 900, Corners.HALF_OPEN),  # 40 > 3 * sqrt(100)
    ],
)
def test_masks_decide_only_if_it_is_no_chance(inclusive, half_open, others, found):
    box = (5.0, 5.0, 20.0, 20.0)
    tight = [(5, 5, 21, 21)] * inclusive + [(5, 5, 20, 20)] * half_open + [(9, 9, 12, 12)] * others
    names = [str(number) for number in range(len(tight))]
    evidence = evidence_of(
        {name: [box] for name in names},
        dict.fromkeys(names, SIZE["a"]),
        dict(zip(names, tight, strict=True)),
    )
    assert decide(evidence) is found
    counts = f"of {len(tight)} single boxes, "
    assert evidence.of_masks.startswith(f"; {counts}")
    if found is None:
        with pytest.raises(WsolbenchError, match=rf"leave open .*{counts}.*--corners"):
            settle("boxes.txt", evidence)
    else:
        assert counts in sentence(evidence, found)
