"""The compiled loops of boundary scores: suppression, thinning, matching over all thresholds.

One image is scored at all thresholds in one call, from the highest threshold down, so that each
threshold starts from what the one above it found:

- Pixels are sorted by level once, and each threshold adds its own.
- Thinning works on 64 pixels at a time, as bits of a word, and leaves out rows whose neighbourhood
  did not change since the last sub-iteration of the same kind.
- The matching of the threshold above is kept where its pixels survive. New pixels take the nearest
  free partner, then augmenting paths are searched depth first in phases with lookahead (Pothen and
  Fan, Computing the block triangular form of a sparse matrix, 1990) until there is none, which
  proves that no matching is larger.

A set of pixels is a picture of bits: uint64 (height + 2, words + 2), bit i of word w of a row being
column 64 * (w - 1) + i, and the frame zero. Everything is integer arithmetic, but one comparison in
`suppress`, and `resize_levels`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..scores import LEVELS
from .compiled import inner, kernel

__all__ = ["level_curve", "pair_count", "resize_levels", "suppress", "thin_picture"]

_FADE = 5
"""Rows and columns at the frame over which suppression fades to zero."""

_TRIANGLE = np.array([1, 2, 3, 4, 5, 4, 3, 2, 1], dtype=np.int32)
"""The triangle filter of radius 4; its sum is 25."""

_OFFSET = 102
"""1e-5 in units of the second differences below: 1e-5 * 255 * 16 * 625 * 4."""

_TOLERANCE = 1.01
"""A pixel dies if this times its value is below a neighbour's."""


@inner
def _mirrored(place: int, size: int) -> int:
    """A place beyond the frame, as symmetric padding fills it."""
    period = 2 * size
    place %= period
    return place if place < size else period - 1 - place


@inner
def _smoothed(picture: NDArray[np.int32], taps: NDArray[np.int32]) -> NDArray[np.int32]:
    """A picture filtered along both axes, without division, symmetric padding."""
    height, width = picture.shape
    radius = taps.size // 2
    across = np.zeros((height, width), np.int32)
    padded = np.empty(width + 2 * radius, np.int32)
    for y in range(height):
        for x in range(padded.size):
            padded[x] = picture[y, _mirrored(x - radius, width)]
        for tap in range(taps.size):
            factor = taps[tap]
            for x in range(width):
                across[y, x] += factor * padded[x + tap]
    found = np.zeros((height, width), np.int32)
    for y in range(height):
        for tap in range(taps.size):
            row = _mirrored(y + tap - radius, height)
            factor = taps[tap]
            for x in range(width):
                found[y, x] += factor * across[row, x]
    return found


@inner
def _differences(picture: NDArray[np.int32], down: bool) -> NDArray[np.int32]:
    """Twice the central difference along an axis; one-sided at the frame."""
    height, width = picture.shape
    found = np.zeros((height, width), np.int32)
    last_y, last_x = height - 1, width - 1
    if down:
        for y in range(height):
            above, below = max(y - 1, 0), min(y + 1, last_y)
            factor = 2 if below - above == 1 else 1
            for x in range(width):
                found[y, x] = factor * (picture[below, x] - picture[above, x])
    else:
        for y in range(height):
            for x in range(width):
                left, right = max(x - 1, 0), min(x + 1, last_x)
                factor = 2 if right - left == 1 else 1
                found[y, x] = factor * (picture[y, right] - picture[y, left])
    return found


@inner
def _between(picture: NDArray[np.int32], y: float, x: float) -> float:
    """The bilinear value at a place, which is clamped to the picture."""
    height, width = picture.shape
    y = min(max(y, 0.0), height - 1.0)
    x = min(max(x, 0.0), width - 1.0)
    top, left = int(y), int(x)
    low, right = min(top + 1, height - 1), min(left + 1, width - 1)
    down, across = y - top, x - left
    upper = picture[top, left] * (1.0 - across) + picture[top, right] * across
    lower = picture[low, left] * (1.0 - across) + picture[low, right] * across
    return float(upper * (1.0 - down) + lower * down)


@kernel("u1[:,::1](u1[:,::1])")
def suppress(levels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Non-maximum suppression of a map: uint8 (height, width); see `boundary.suppress`."""
    height, width = levels.shape
    fine = _smoothed(levels.astype(np.int32), np.array([1, 2, 1], dtype=np.int32))  # 16 a level
    coarse = _smoothed(fine, _TRIANGLE)
    along_x = _differences(coarse, False)
    along_y = _differences(coarse, True)
    xx = _differences(along_x, False)
    xy = _differences(along_y, False)
    yy = _differences(along_y, True)
    found = np.zeros((height, width), np.uint8)
    fade = min(_FADE, height // 2, width // 2)
    whole = 16 * max(fade, 1) ** 2
    for y in range(height):
        near_y = min(y, height - 1 - y, fade) if fade else 1
        for x in range(width):
            value = fine[y, x]
            if value == 0:
                continue
            # tan of the orientation is up / along, and its sign does not matter.
            along = float(xx[y, x] + _OFFSET)
            up = float(-yy[y, x] if xy[y, x] > 0 else yy[y, x])
            length = np.sqrt(along * along + up * up)
            step_x, step_y = (along / length, up / length) if length > 0.0 else (1.0, 0.0)
            scaled = _TOLERANCE * value
            if scaled < _between(fine, y + step_y, x + step_x):
                continue
            if scaled < _between(fine, y - step_y, x - step_x):
                continue
            # Rounded, a half upwards: value / 16 * near_y / fade * near_x / fade.
            near_x = min(x, width - 1 - x, fade) if fade else 1
            found[y, x] = (2 * value * near_y * near_x + whole) // (2 * whole)
    return found


@kernel("u1[:,::1](f4[:,::1], i8, i8)")
def resize_levels(scaled: NDArray[np.float32], height: int, width: int) -> NDArray[np.uint8]:
    """Bilinear resizing of a map in [0, 255], half-pixel centres, rounded: uint8 (height, width).

    Each pixel is `near + weight * (far - near)` in float32, columns first; a half rounds upwards.
    """
    source_y, source_x = scaled.shape
    found = np.empty((height, width), np.uint8)
    lefts = np.empty(width, np.int64)
    weights = np.empty(width, np.float32)
    for x in range(width):
        place = min(max((x + 0.5) * (source_x / width) - 0.5, 0.0), source_x - 1.0)
        lefts[x] = int(place)
        weights[x] = np.float32(place - lefts[x])
    for y in range(height):
        place = min(max((y + 0.5) * (source_y / height) - 0.5, 0.0), source_y - 1.0)
        top = int(place)
        low = min(top + 1, source_y - 1)
        down = np.float32(place - top)
        for x in range(width):
            left = lefts[x]
            right = min(left + 1, source_x - 1)
            upper = scaled[top, left] + weights[x] * (scaled[top, right] - scaled[top, left])
            lower = scaled[low, left] + weights[x] * (scaled[low, right] - scaled[low, left])
            value = upper + down * (lower - upper)
            value = min(max(value, np.float32(0.0)), np.float32(255.0))
            found[y, x] = np.uint8(value + np.float32(0.5))
    return found


# ------------------------------------------------------------------------------------- thinning

_ONE = np.uint64(1)
_CARRY = np.uint64(63)


@inner
def _frame(height: int, width: int) -> NDArray[np.uint64]:
    """An empty set of pixels."""
    return np.zeros((height + 2, (width + 63) // 64 + 2), np.uint64)


@inner
def _thin_row(
    above: NDArray[np.uint64],
    row: NDArray[np.uint64],
    below: NDArray[np.uint64],
    second: bool,
    kept: NDArray[np.uint64],
) -> None:
    """One sub-iteration of one row: `kept` gets what is left of `row`.

    Source: Guo and Hall, Parallel thinning with two-subiteration algorithms, 1989, in the form of
    Lam, Lee and Suen, Thinning methodologies, 1992.
    """
    for word in range(1, row.size - 1):
        north, own, south = above[word], row[word], below[word]
        east = own >> _ONE | row[word + 1] << _CARRY
        west = own << _ONE | row[word - 1] >> _CARRY
        ne = north >> _ONE | above[word + 1] << _CARRY
        nw = north << _ONE | above[word - 1] >> _CARRY
        se = south >> _ONE | below[word + 1] << _CARRY
        sw = south << _ONE | below[word - 1] >> _CARRY
        # Exactly one crossing from outside to inside on the way around.
        one, two = ~east & (ne | north), ~north & (nw | west)
        three, four = ~west & (sw | south), ~south & (se | east)
        crossed = (one ^ two ^ three ^ four) & ~(one & two) & ~(three & four)
        # Neighbours in pairs, in both ways of pairing: at least two pairs each, not all eight.
        a, b, c, d = east | ne, north | nw, west | sw, south | se
        forward = a & b | c & d | (a | b) & (c | d)
        every = a & b & c & d
        a, b, c, d = ne | north, nw | west, sw | south, se | east
        backward = a & b | c & d | (a | b) & (c | d)
        every &= a & b & c & d
        bound = (sw | south | ~nw) & west if second else (ne | north | ~se) & east
        kept[word] = own & ~(crossed & forward & backward & ~every & ~bound)


@inner
def _thin(
    bits: NDArray[np.uint64], scratch: NDArray[np.uint64], changed: NDArray[np.int64]
) -> None:
    """Thin a set of pixels in place.

    Args:
        bits: the set.
        scratch: (3, words + 2), zeros in the first and last column.
        changed: scratch (height + 2,): the sub-iteration in which a row lost pixels last.
    """
    rows = bits.shape[0]
    changed[:] = 0
    last = 0
    step = 0
    while step - last <= 2:
        step += 1
        before, after, kept = scratch[0], scratch[1], scratch[2]
        copied = False  # whether `before` holds the row above as it was
        for y in range(1, rows - 1):
            if step > 2 and max(changed[y - 1], changed[y], changed[y + 1]) < step - 2:
                # A row that was left out did not change in this sub-iteration.
                copied = False
                continue
            row = bits[y]
            filled = np.uint64(0)
            for word in range(1, row.size - 1):
                filled |= row[word]
            if not filled:
                copied = False
                continue
            _thin_row(before if copied else bits[y - 1], row, bits[y + 1], step & 1 == 0, kept)
            differing = np.uint64(0)
            for word in range(1, row.size - 1):
                differing |= row[word] ^ kept[word]
                after[word] = row[word]
                row[word] = kept[word]
            if differing:
                changed[y] = step
                last = step
            before, after = after, before
            copied = True


@kernel("b1[:,::1](b1[:,::1])")
def thin_picture(picture: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Thin a picture: bool (height, width); see `boundary.thin`."""
    height, width = picture.shape
    bits = _frame(height, width)
    for y in range(height):
        for x in range(width):
            if picture[y, x]:
                bits[y + 1, (x >> 6) + 1] |= _ONE << np.uint64(x & 63)
    _thin(bits, np.zeros((3, bits.shape[1]), np.uint64), np.empty(height + 2, np.int64))
    found = np.empty((height, width), np.bool_)
    for y in range(height):
        for x in range(width):
            found[y, x] = bits[y + 1, (x >> 6) + 1] >> np.uint64(x & 63) & _ONE
    return found


@inner
def _ones(word: np.uint64) -> int:
    """How many bits are set."""
    word -= word >> _ONE & np.uint64(0x5555555555555555)
    pairs = np.uint64(0x3333333333333333)
    word = (word & pairs) + (word >> np.uint64(2) & pairs)
    word = (word + (word >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return int(word * np.uint64(0x0101010101010101) >> np.uint64(56))


# ------------------------------------------------------------------------------------- matching


@kernel("i8(b1[:,::1], u1[:,::1], i8, i8[:,::1])")
def pair_count(
    truth: NDArray[np.bool_],
    levels: NDArray[np.uint8],
    lowest: int,
    offsets: NDArray[np.int64],
) -> int:
    """How many pairs of a true pixel and one of at least `lowest` lie within reach.

    Args:
        truth: bool (height, width).
        levels: uint8 (height, width).
        lowest: the lowest level that is ever predicted.
        offsets: int64 (k, 2), (y, x) within reach.
    """
    height, width = truth.shape
    total = 0
    for y in range(height):
        for x in range(width):
            if truth[y, x]:
                for way in range(offsets.shape[0]):
                    other_y, other_x = y + offsets[way, 0], x + offsets[way, 1]
                    if 0 <= other_y < height and 0 <= other_x < width:
                        total += levels[other_y, other_x] >= lowest
    return total


@inner
def _pairs(
    truth: NDArray[np.bool_],
    levels: NDArray[np.uint8],
    lowest: int,
    offsets: NDArray[np.int64],
    total: int,
) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.int32]]:
    """The true pixels within reach of each pixel, the nearest first.

    Returns:
        `ranks` int32 (height, width): of the pixels that have some, in row order; -1 elsewhere.
        `starts` int64 (n + 1) and `partners` int32 (total,): those of the pixel of rank r are
        partners[starts[r]:starts[r + 1]], numbered in row order too.
    """
    height, width = truth.shape
    counts = np.zeros((height, width), np.int32)
    true_y, true_x = np.nonzero(truth)
    for rank in range(true_y.size):
        for way in range(offsets.shape[0]):
            y, x = true_y[rank] + offsets[way, 0], true_x[rank] + offsets[way, 1]
            if 0 <= y < height and 0 <= x < width and levels[y, x] >= lowest:
                counts[y, x] += 1
    near = 0
    for y in range(height):
        for x in range(width):
            near += counts[y, x] > 0
    starts = np.zeros(near + 1, np.int64)
    filled = np.empty(near, np.int64)
    rank = 0
    for y in range(height):
        for x in range(width):
            count = counts[y, x]
            if count:
                filled[rank] = starts[rank]
                starts[rank + 1] = starts[rank] + count
                counts[y, x] = rank
                rank += 1
            else:
                counts[y, x] = -1
    partners = np.empty(total, np.int32)
    for way in range(offsets.shape[0]):
        for rank in range(true_y.size):
            y, x = true_y[rank] + offsets[way, 0], true_x[rank] + offsets[way, 1]
            if 0 <= y < height and 0 <= x < width and counts[y, x] >= 0:
                own = counts[y, x]
                partners[filled[own]] = rank
                filled[own] += 1
    return counts, starts, partners


@inner
def _augment(
    root: int,
    phase: int,
    starts: NDArray[np.int64],
    partners: NDArray[np.int32],
    mates: NDArray[np.int32],
    true_mates: NDArray[np.int32],
    looked: NDArray[np.int64],
    tried: NDArray[np.int64],
    seen: NDArray[np.int32],
    stack: NDArray[np.int32],
) -> bool:
    """Search a path from a free pixel to a free true pixel, and match along it.

    Args:
        root: the free pixel.
        phase: number of the phase; a true pixel is entered once in each.
        starts: see `_pairs`.
        partners: see there.
        mates: true pixel of each pixel, or -1; changed.
        true_mates: pixel of each true pixel, or -1; changed.
        looked: up to where each pixel's partners are known to be taken.
        tried: up to where each pixel's partners were entered in this phase.
        seen: phase in which each true pixel was entered last.
        stack: scratch.
    """
    depth = 0
    stack[0] = root
    tried[root] = starts[root]
    while depth >= 0:
        pixel = stack[depth]
        end = starts[pixel + 1]
        place = looked[pixel]
        while place < end and true_mates[partners[place]] >= 0:
            place += 1
        looked[pixel] = place
        if place < end:
            won = partners[place]
            for back in range(depth, -1, -1):
                pixel = stack[back]
                lost = mates[pixel]
                mates[pixel] = won
                true_mates[won] = pixel
                won = lost
            return True
        place = tried[pixel]
        while place < end and seen[partners[place]] == phase:
            place += 1
        if place < end:
            entered = partners[place]
            seen[entered] = phase
            tried[pixel] = place + 1
            following = true_mates[entered]
            tried[following] = starts[following]
            depth += 1
            stack[depth] = following
        else:
            tried[pixel] = place
            depth -= 1
    return False


@inner
def _by_level(
    levels: NDArray[np.uint8], lowest: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pixels by falling level, as flat places y * width + x.

    Returns:
        `order`, and `bounds` (257,): those of level v or more are order[:bounds[v]].
    """
    height, width = levels.shape
    bounds = np.zeros(LEVELS + 1, np.int64)
    for y in range(height):
        for x in range(width):
            bounds[levels[y, x]] += 1
    for level in range(LEVELS - 1, -1, -1):
        bounds[level] += bounds[level + 1]
    order = np.empty(bounds[lowest], np.int64)
    filled = bounds[1:].copy()
    for y in range(height):
        for x in range(width):
            level = levels[y, x]
            if level >= lowest:
                order[filled[level]] = y * width + x
                filled[level] += 1
    return order, bounds


@kernel("i4[:,::1](u1[:,::1], b1[:,::1], i8[:,::1], i8[::1], b1, i8)")
def level_curve(
    levels: NDArray[np.uint8],
    truth: NDArray[np.bool_],
    offsets: NDArray[np.int64],
    cuts: NDArray[np.int64],
    thinned: bool,
    total: int,
) -> NDArray[np.int32]:
    """Matched and predicted pixels at each threshold: int32 (2, thresholds).

    Args:
        levels: uint8 (height, width).
        truth: bool (height, width).
        offsets: int64 (k, 2), (y, x) within reach, the nearest first.
        cuts: int64 (thresholds,), rising, above 0: the lowest level of each.
        thinned: whether predictions are thinned at each threshold.
        total: pairs within reach, as `pair_count` counts them.
    """
    height, width = levels.shape
    thresholds = cuts.size
    found = np.zeros((2, thresholds), np.int32)
    order, bounds = _by_level(levels, cuts[0])
    ranks, starts, partners = _pairs(truth, levels, cuts[0], offsets, total)
    near = starts.size - 1

    above = _frame(height, width)  # all pixels of the threshold
    bits = _frame(height, width)  # what thinning leaves of them
    reached = _frame(height, width)  # pixels that have a partner within reach
    for y in range(height):
        for x in range(width):
            if ranks[y, x] >= 0:
                reached[y + 1, (x >> 6) + 1] |= _ONE << np.uint64(x & 63)
    scratch = np.zeros((3, bits.shape[1]), np.uint64)
    changed = np.empty(height + 2, np.int64)

    mates = np.full(near, -1, np.int32)
    true_mates = np.full(truth.sum(), -1, np.int32)
    seen = np.zeros(true_mates.size, np.int32)
    looked, tried = np.empty(near, np.int64), np.empty(near, np.int64)
    stack = np.empty(min(true_mates.size, near) + 1, np.int32)
    free = np.empty(near, np.int32)
    present = np.empty(near, np.int32)
    matched = phase = count = 0
    for index in range(thresholds - 1, -1, -1):
        before = count
        count = bounds[cuts[index]]
        if count == before:
            if index + 1 < thresholds:
                found[:, index] = found[:, index + 1]
            continue
        for place in range(before, count):
            y, x = divmod(order[place], width)
            above[y + 1, (x >> 6) + 1] |= _ONE << np.uint64(x & 63)
        bits[:] = above
        if thinned:
            _thin(bits, scratch, changed)
        predicted = 0
        here = 0
        for y in range(1, height + 1):
            for word in range(1, bits.shape[1] - 1):
                own = bits[y, word]
                predicted += _ones(own)
                own &= reached[y, word]
                while own:
                    lowest = own & (~own + _ONE)
                    own ^= lowest
                    present[here] = ranks[y - 1, (word - 1) * 64 + _ones(lowest - _ONE)]
                    here += 1
        # Ranks rise along `present`, so that those between two of them are absent.
        absent = 0
        waiting = 0
        for place in range(here + 1):
            pixel = present[place] if place < here else near
            for gone in range(absent, pixel):
                if mates[gone] >= 0:
                    true_mates[mates[gone]] = -1
                    mates[gone] = -1
                    matched -= 1
            absent = pixel + 1
        for place in range(here):
            pixel = present[place]
            looked[pixel] = starts[pixel]
            if mates[pixel] >= 0:
                continue
            for pair in range(starts[pixel], starts[pixel + 1]):
                if true_mates[partners[pair]] < 0:
                    mates[pixel] = partners[pair]
                    true_mates[partners[pair]] = pixel
                    matched += 1
                    break
            if mates[pixel] < 0:
                free[waiting] = pixel
                waiting += 1
        gained = True
        while gained and waiting and matched < true_mates.size:
            phase += 1
            gained = False
            kept = 0
            for place in range(waiting):
                pixel = free[place]
                if _augment(
                    *(pixel, phase, starts, partners, mates, true_mates),
                    *(looked, tried, seen, stack),
                ):
                    matched += 1
                    gained = True
                else:
                    free[kept] = pixel
                    kept += 1
            waiting = kept
        found[0, index] = matched
        found[1, index] = predicted
    return found
