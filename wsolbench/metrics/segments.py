"""Boxes of the largest component at all thresholds, by segments of rows.

Each row is cut into segments that rise, then fall, so that any threshold leaves one interval of
each. Two segments that touch meet at the highest level at which they do. Where that is the whole
height of one of them, it is never apart from the other: together they are a basin, a regional
maximum with its slopes, connected at any threshold. Few basins remain, each with a histogram and
the highest level in each column and each row. From the highest threshold down, basins that meet are
merged (Najman and Couprie, Building the Component Tree in Quasi-Linear Time, 2006). A component is
connected, so the columns and rows that it reaches are intervals: its box.

This is fast where segments are long. Where they are short or basins are many, as in noise, the
search gives up early, and the flood of `kernels` finds the same boxes. The limits bound memory too.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..scores import LEVELS
from .compiled import inner, kernel

__all__ = [
    "EDGES",
    "FIELDS",
    "SHORTEST",
    "find_boxes",
    "most_bytes",
    "most_segments",
    "segment_boxes",
]

SHORTEST = 12
"""Pixels of a segment on average; the flood is faster below about 10."""

# Rows' worth by which the first rows may be ahead of what a whole image may have.
_SLACK = 32  # of segments
_AHEAD = 16  # of basins

EDGES = 4
"""Edges a segment at most: one beside, three below on average (see `_join_rows`)."""

# What `segments` holds, int32 (6, room): columns from start to stop, the last of the highest and
# its level, the next segment on the way to the basin's own, the basin.
FIELDS = 6
_START, _STOP, _TOP, _PEAK, _PARENT, _BASIN = range(FIELDS)

# What `edges` holds, int32 (4, room): two segments or basins, the level at which they meet, the
# order by level.
_ONE, _OTHER, _LEVEL, _ORDER = range(4)


@kernel("i8(i8, i8, i8)")
def most_segments(height: int, width: int, shortest: int) -> int:
    """Segments that need room in an image: the limit, and one row beyond it."""
    return (height + _SLACK) * width // shortest + width // 2 + 1


@kernel("i8(i8, i8)")
def most_bytes(height: int, width: int) -> int:
    """Bytes that basins may take: as many as the flood takes for a large image, or 1 MiB."""
    return max(8 * height * width, 1 << 20)


@inner
def _root(parent: NDArray[np.int32], place: int) -> int:
    while parent[place] != place:
        parent[place] = parent[parent[place]]
        place = np.int64(parent[place])
    return place


@inner
def _next(flags: NDArray[np.uint64], place: int) -> int:
    """The first byte from a place on that is not zero."""
    # numba runs on little-endian machines alone.
    at = place >> 3
    word = flags[at] >> np.uint64((place & 7) << 3)
    if word == 0:
        at += 1
        while at < flags.size and flags[at] == 0:
            at += 1
        place = at << 3
        if at == flags.size:
            return place
        word = flags[at]
    while word & np.uint64(255) == 0:
        word >>= np.uint64(8)
        place += 1
    return place


@inner
def _cut(
    row: NDArray[np.uint8],
    rises: NDArray[np.uint64],
    falls: NDArray[np.uint64],
    segments: NDArray[np.int32],
    count: int,
) -> int:
    """Add the segments of a row; how many there are then."""
    width = row.size
    rise, fall = rises.view(np.uint8), falls.view(np.uint8)
    for x in range(1, width):
        rise[x] = np.uint8(row[x] > row[x - 1])
        fall[x] = np.uint8(row[x] < row[x - 1])
    start = np.int64(0)
    while start < width:
        beyond = min(_next(falls, start), width)
        stop = min(_next(rises, beyond), width)
        segments[_START, count] = start
        segments[_STOP, count] = stop
        segments[_TOP, count] = beyond - 1
        segments[_PEAK, count] = row[beyond - 1]
        segments[_PARENT, count] = count
        count += 1
        start = stop
    return count


@inner
def _highest_pair(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> int:
    best = np.uint8(0)
    for x in range(one.size):
        best = max(best, min(one[x], other[x]))
    level: int = np.int64(best)
    return level


@inner
def _meeting(
    above: NDArray[np.uint8], row: NDArray[np.uint8], segments: NDArray[np.int32], i: int, j: int
) -> int:
    """Highest level at which segment i of one row touches segment j of the next."""
    start, stop = np.int64(segments[_START, i]), np.int64(segments[_STOP, i])
    begin, end = np.int64(segments[_START, j]), np.int64(segments[_STOP, j])
    limit: int = np.int64(min(segments[_PEAK, i], segments[_PEAK, j]))
    # Mostly a neighbour of the lower peak is as high.
    level: int = np.int64(0)
    if segments[_PEAK, i] == limit:
        top = np.int64(segments[_TOP, i])
        for x in range(max(top - 1, begin), min(top + 2, end)):
            level = max(level, np.int64(row[x]))
    else:
        top = np.int64(segments[_TOP, j])
        for x in range(max(top - 1, start), min(top + 2, stop)):
            level = max(level, np.int64(above[x]))
    for shift in (0, -1, 1):
        if level >= limit:
            return limit
        low, high = max(start, begin + shift), min(stop, end + shift)
        if low < high:
            pair = _highest_pair(above[low:high], row[low - shift : high - shift])
            level = max(level, pair)
    return level


@inner
def _join(
    segments: NDArray[np.int32], edges: NDArray[np.int32], count: int, a: int, b: int, level: int
) -> int:
    """Let two roots meet at a level: in one basin, or by an edge more; how many edges then."""
    if segments[_PEAK, a] == level:
        segments[_PARENT, a] = b
    elif segments[_PEAK, b] == level:
        segments[_PARENT, b] = a
    else:
        edges[_ONE, count], edges[_OTHER, count], edges[_LEVEL, count] = a, b, level
        count += 1
    return count


@inner
def _join_beside(
    row: NDArray[np.uint8],
    segments: NDArray[np.int32],
    edges: NDArray[np.int32],
    count: int,
    begin: int,
    end: int,
) -> int:
    """Join each segment of a row with the next; how many edges there are then."""
    parent = segments[_PARENT]
    for j in range(begin + 1, end):
        level = np.int64(row[segments[_START, j] - 1])
        a, b = _root(parent, j - 1), _root(parent, j)
        count = _join(segments, edges, count, a, b, level)
    return count


@inner
def _join_rows(
    above: NDArray[np.uint8],
    row: NDArray[np.uint8],
    segments: NDArray[np.int32],
    edges: NDArray[np.int32],
    count: int,
    bounds: tuple[int, int, int],
) -> int:
    """Join segments of two rows that touch; how many edges there are then.

    Rows of p and q segments touch in p + q - 1 pairs, one more for each inner bound that both have:
    in less than 1.5 (p + q).
    """
    begin, middle, end = bounds
    parent = segments[_PARENT]
    low = middle
    for i in range(begin, middle):
        while segments[_STOP, low] < segments[_START, i]:
            low += 1
        j = low
        while j < end and segments[_START, j] <= segments[_STOP, i]:
            a, b = _root(parent, i), _root(parent, j)
            if a != b:
                level = _meeting(above, row, segments, i, j)
                count = _join(segments, edges, count, a, b, level)
            j += 1
    return count


@inner
def _roots(parent: NDArray[np.int32], count: int) -> int:
    """How many of the first segments lead the way of their basin."""
    found = 0
    for i in range(count):
        found += parent[i] == i
    return found


@inner
def _connect(
    levels: NDArray[np.uint8],
    shortest: int,
    most: int,
    segments: NDArray[np.int32],
    edges: NDArray[np.int32],
    firsts: NDArray[np.int64],
) -> int:
    """Cut and join all rows: how many edges, or -1 where segments or basins are too many.

    `most` basins fit in memory.
    `firsts`, (height + 1,), is written: the first segment of each row, and how many there are.
    """
    height, width = levels.shape
    rises = np.zeros((width >> 3) + 1, dtype=np.uint64)
    falls = np.zeros((width >> 3) + 1, dtype=np.uint64)
    end: int = np.int64(0)  # a literal would be compiled apart
    count = begin = end
    for y in range(height):
        firsts[y] = end
        if end * shortest > (y + _SLACK) * width:
            return -1
        if y % _AHEAD == 0 and _roots(segments[_PARENT], begin) * height > most * (y + _AHEAD):
            return -1
        middle, end = end, _cut(levels[y], rises, falls, segments, end)
        count = _join_beside(levels[y], segments, edges, count, middle, end)
        if y:
            bounds = (begin, middle, end)
            count = _join_rows(levels[y - 1], levels[y], segments, edges, count, bounds)
        begin = middle
    firsts[height] = end
    return count


@inner
def _number(parent: NDArray[np.int32], basin: NDArray[np.int32], count: int) -> int:
    """Number the basins of as many segments: how many."""
    basins = 0
    for i in range(count):
        if parent[i] == i:
            basin[i] = basins
            basins += 1
    for i in range(count):
        basin[i] = basin[_root(parent, i)]
    return basins


@inner
def _place(
    firsts: NDArray[np.int64],
    segments: NDArray[np.int32],
    peaks: NDArray[np.int32],
    seats: NDArray[np.int32],
) -> int:
    """Level and place of each basin's peak, int32 (n,) and (n, 4); which basin is the largest."""
    peaks[:] = -1
    sizes = np.zeros(peaks.size, dtype=np.int64)
    largest = 0
    for y in range(firsts.size - 1):
        for i in range(firsts[y], firsts[y + 1]):
            basin = segments[_BASIN, i]
            sizes[basin] += segments[_STOP, i] - segments[_START, i]
            if sizes[basin] > sizes[largest]:
                largest = basin
            if segments[_PEAK, i] > peaks[basin]:
                peaks[basin] = segments[_PEAK, i]
                seats[basin, 0] = seats[basin, 2] = segments[_TOP, i]
                seats[basin, 1] = seats[basin, 3] = y
    return largest


@inner
def _fill(
    levels: NDArray[np.uint8],
    totals: NDArray[np.int32],
    firsts: NDArray[np.int64],
    segments: NDArray[np.int32],
    largest: int,
    histograms: NDArray[np.int32],
    across: NDArray[np.uint8],
    down: NDArray[np.uint8],
) -> None:
    """Histogram (n, 256), highest level of each column (n, width) and row (n, height) of basins.

    All are zero before. The largest basin's histogram is what the others leave of the totals.
    """
    for y in range(levels.shape[0]):
        for i in range(firsts[y], firsts[y + 1]):
            basin = segments[_BASIN, i]
            start, stop = segments[_START, i], segments[_STOP, i]
            part, highest = levels[y, start:stop], across[basin, start:stop]
            for x in range(part.size):
                highest[x] = max(highest[x], part[x])
            down[basin, y] = max(np.int32(down[basin, y]), segments[_PEAK, i])
            if basin != largest:
                histogram = histograms[basin]
                for x in range(part.size):
                    histogram[part[x]] += 1
    rest = histograms[largest]
    for level in range(LEVELS):
        rest[level] = totals[level]
    for basin in range(histograms.shape[0]):
        if basin != largest:
            for level in range(LEVELS):
                rest[level] -= histograms[basin, level]


@inner
def _sort(keys: NDArray[np.int32], order: NDArray[np.int32]) -> None:
    """Places of levels, the highest first."""
    ends = np.zeros(LEVELS, dtype=np.int64)
    for key in keys:
        ends[key] += 1
    place = 0
    for level in range(LEVELS - 1, -1, -1):
        place += ends[level]
        ends[level] = place
    for place in range(keys.size - 1, -1, -1):
        ends[keys[place]] -= 1
        order[ends[keys[place]]] = place


@inner
def _stretch(
    seat: NDArray[np.int32], across: NDArray[np.uint8], down: NDArray[np.uint8], threshold: int
) -> None:
    """Stretch a basin's box at a higher threshold to the one at this threshold."""
    x0, y0, x1, y1 = np.int64(seat[0]), np.int64(seat[1]), np.int64(seat[2]), np.int64(seat[3])
    while x0 > 0 and across[x0 - 1] >= threshold:
        x0 -= 1
    while y0 > 0 and down[y0 - 1] >= threshold:
        y0 -= 1
    while x1 + 1 < across.size and across[x1 + 1] >= threshold:
        x1 += 1
    while y1 + 1 < down.size and down[y1 + 1] >= threshold:
        y1 += 1
    seat[0], seat[1], seat[2], seat[3] = x0, y0, x1, y1


@inner
def _first_column(
    row: NDArray[np.uint8],
    segments: NDArray[np.int32],
    leaders: NDArray[np.int32],
    first: int,
    basin: int,
    threshold: int,
) -> int:
    """The first column of a component in a row that it reaches, from the row's first segment."""
    i = first
    while segments[_PEAK, i] < threshold or _root(leaders, np.int64(segments[_BASIN, i])) != basin:
        i += 1
    x: int = np.int64(segments[_START, i])
    while row[x] < threshold:
        x += 1
    return x


@inner
def _merge(
    a: int,
    b: int,
    histograms: NDArray[np.int32],
    across: NDArray[np.uint8],
    down: NDArray[np.uint8],
    seats: NDArray[np.int32],
) -> None:
    """Add basin b to basin a."""
    for level in range(LEVELS):
        histograms[a, level] += histograms[b, level]
    for x in range(across.shape[1]):
        across[a, x] = max(across[a, x], across[b, x])
    for y in range(down.shape[1]):
        down[a, y] = max(down[a, y], down[b, y])
    for side in range(2):
        seats[a, side] = min(seats[a, side], seats[b, side])
        seats[a, 2 + side] = max(seats[a, 2 + side], seats[b, 2 + side])


@inner
def _sweep(
    levels: NDArray[np.uint8],
    totals: NDArray[np.int32],
    firsts: NDArray[np.int64],
    segments: NDArray[np.int32],
    edges: NDArray[np.int32],
    count: int,
    peaks: NDArray[np.int32],
    seats: NDArray[np.int32],
    histograms: NDArray[np.int32],
    across: NDArray[np.uint8],
    down: NDArray[np.uint8],
    boxes: NDArray[np.int32],
) -> None:
    """Merge basins from the highest threshold down, and write the largest one's boxes."""
    basins = peaks.size
    order = np.empty(basins, dtype=np.int32)
    _sort(peaks, order)
    _sort(edges[_LEVEL, :count], edges[_ORDER, :count])
    leaders = np.empty(basins, dtype=np.int32)
    for basin in range(basins):
        leaders[basin] = basin
    areas = np.zeros(basins, dtype=np.int64)
    alive = np.empty(basins, dtype=np.int64)
    living = risen = met = 0
    boxes[:] = 0
    best = np.int64(-1)
    for threshold in range(LEVELS - 1, -1, -1):
        if totals[threshold] == 0:
            if best >= 0:
                boxes[threshold] = boxes[threshold + 1]
            continue
        while risen < basins and peaks[order[risen]] >= threshold:
            alive[living] = order[risen]
            living += 1
            risen += 1
        while met < count and edges[_LEVEL, edges[_ORDER, met]] >= threshold:
            edge = edges[_ORDER, met]
            met += 1
            a = _root(leaders, np.int64(segments[_BASIN, edges[_ONE, edge]]))
            b = _root(leaders, np.int64(segments[_BASIN, edges[_OTHER, edge]]))
            if a != b:
                leaders[b] = a
                areas[a] += areas[b]
                _merge(a, b, histograms, across, down, seats)
        kept = 0
        best = np.int64(-1)
        for place in range(living):
            basin = alive[place]
            if leaders[basin] != basin:
                continue
            alive[kept] = basin
            kept += 1
            areas[basin] += histograms[basin, threshold]
            if best < 0 or areas[basin] > areas[best]:
                best = basin
            elif areas[basin] == areas[best]:
                _stretch(seats[best], across[best], down[best], threshold)
                _stretch(seats[basin], across[basin], down[basin], threshold)
                y, other = np.int64(seats[best, 1]), np.int64(seats[basin, 1])
                if other < y:
                    best = basin
                elif other == y:
                    first, row = firsts[y], levels[y]
                    x = _first_column(row, segments, leaders, first, best, threshold)
                    other = _first_column(row, segments, leaders, first, basin, threshold)
                    if other < x:
                        best = basin
        living = kept
        _stretch(seats[best], across[best], down[best], threshold)
        boxes[threshold, 0], boxes[threshold, 1] = seats[best, 0], seats[best, 1]
        boxes[threshold, 2], boxes[threshold, 3] = seats[best, 2] + 1, seats[best, 3] + 1


@inner
def find_boxes(
    levels: NDArray[np.uint8],
    totals: NDArray[np.int32],
    shortest: int,
    segments: NDArray[np.int32],
    edges: NDArray[np.int32],
    memory: NDArray[np.uint8],
    boxes: NDArray[np.int32],
) -> bool:
    """Box of the largest component of {level >= T}, T = 0..255, as `kernels.largest_boxes` says.

    Args:
        levels: of an image (height, width).
        totals: pixels of each level.
        shortest: pixels of a segment on average, from which on this goes on.
        segments: scratch (6, room) for `most_segments`.
        edges: scratch (4, room) for four times as many.
        memory: scratch for basins, which limits them.
        boxes: int32 (256, 4), written.

    Returns:
        Whether the boxes were found; otherwise a limit was reached.
    """
    height, width = levels.shape
    firsts = np.empty(height + 1, dtype=np.int64)
    most = memory.size // (4 * LEVELS + width + height)
    count = _connect(levels, shortest, most, segments, edges, firsts)
    if count < 0:
        return False
    basins = _number(segments[_PARENT], segments[_BASIN], int(firsts[height]))
    if basins > most:
        return False
    memory[: basins * (4 * LEVELS + width + height)] = 0
    end = 4 * LEVELS * basins
    histograms = memory[:end].view(np.int32).reshape(basins, LEVELS)
    across = memory[end : end + basins * width].reshape(basins, width)
    end += basins * width
    down = memory[end : end + basins * height].reshape(basins, height)
    peaks = np.empty(basins, dtype=np.int32)
    seats = np.empty((basins, 4), dtype=np.int32)
    largest = _place(firsts, segments, peaks, seats)
    _fill(levels, totals, firsts, segments, largest, histograms, across, down)
    _sweep(
        levels,
        totals,
        firsts,
        segments,
        edges,
        count,
        peaks,
        seats,
        histograms,
        across,
        down,
        boxes,
    )
    return True


@kernel("Tuple((b1, i4[:,::1]))(u1[:,::1], i8, i8)")
def segment_boxes(
    levels: NDArray[np.uint8], shortest: int, most: int
) -> tuple[bool, NDArray[np.int32]]:
    """Whether the boxes of one image were found within the limits, and the boxes (256, 4).

    `shortest` is a segment's length on average, `most` the bytes that basins may take.
    """
    totals = np.zeros(LEVELS, dtype=np.int32)
    for level in levels.ravel():
        totals[level] += 1
    room = most_segments(levels.shape[0], levels.shape[1], shortest)
    segments = np.empty((FIELDS, room), dtype=np.int32)
    edges = np.empty((4, EDGES * room), dtype=np.int32)
    boxes = np.zeros((LEVELS, 4), dtype=np.int32)
    memory = np.empty(most, dtype=np.uint8)
    return find_boxes(levels, totals, shortest, segments, edges, memory, boxes), boxes
