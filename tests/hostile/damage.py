"""Seeded damage of the bytes of a file, whatever its format.

`mutate` applies one to three (mostly one) of: flipped bits, random bytes, a cut, deleted, inserted,
doubled, swapped and zeroed blocks, binary integers and numbers in text set to extremes, and blocks
of another file. The same seed gives the same damage.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np

__all__ = ["mutate"]

_Damage = Callable[[bytearray, np.random.Generator], None]

_NUMBER = re.compile(rb"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
_TEXTS = (
    b"0",
    b"-1",
    b"1e308",
    b"1e999",
    b"NaN",
    b"9" * 30,
    b"4294967295",
    b"0.5",
    b"null",
    b'"a"',
)
"""What a number in a text becomes."""


def mutate(data: bytes, seed: int, donors: Sequence[bytes] = ()) -> bytes:
    """The damaged bytes, which always differ from the sound ones.

    Args:
        data: the sound bytes, at least one.
        seed: of everything random.
        donors: other files, of which blocks are taken.
    """
    rng = np.random.default_rng(seed)
    damaged = bytearray(data)
    kinds = [*_KINDS, *([_splice(donors)] if donors else [])]
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        kinds[rng.integers(len(kinds))](damaged, rng)
    if damaged == data:
        _flip(damaged, rng)
    return bytes(damaged)


def _place(damaged: bytearray, rng: np.random.Generator) -> int:
    """A position; every second one among the first 2,048 bytes, where headers are."""
    end = len(damaged)
    return int(rng.integers(min(end, 2048) if rng.integers(2) else end)) if end else 0


def _block(damaged: bytearray, rng: np.random.Generator) -> slice:
    """A block of 1 byte to a quarter of the file, short ones being as frequent as long ones."""
    start = _place(damaged, rng)
    longest = max(2, len(damaged) // 4)
    return slice(start, start + int(np.exp(rng.uniform(0, np.log(longest)))))


def _flip(damaged: bytearray, rng: np.random.Generator) -> None:
    if not damaged:
        damaged.append(0)
    for _ in range(rng.choice([1, 1, 1, 2, 8])):
        damaged[_place(damaged, rng)] ^= 1 << int(rng.integers(8))


def _noise(damaged: bytearray, rng: np.random.Generator) -> None:
    block = _block(damaged, rng)
    damaged[block] = rng.bytes(len(damaged[block]))


def _zeros(damaged: bytearray, rng: np.random.Generator) -> None:
    block = _block(damaged, rng)
    damaged[block] = bytes(len(damaged[block]))


def _cut(damaged: bytearray, rng: np.random.Generator) -> None:
    del damaged[int(rng.integers(len(damaged) + 1)) :]


def _delete(damaged: bytearray, rng: np.random.Generator) -> None:
    del damaged[_block(damaged, rng)]


def _insert(damaged: bytearray, rng: np.random.Generator) -> None:
    place, length = _place(damaged, rng), int(rng.integers(1, 300))
    one = bytes([rng.choice([0, 32, 91, 123, 60, 255])]) * length
    damaged[place:place] = one if rng.integers(2) else rng.bytes(length)


def _double(damaged: bytearray, rng: np.random.Generator) -> None:
    place = _place(damaged, rng)
    damaged[place:place] = damaged[_block(damaged, rng)]


def _copy_over(damaged: bytearray, rng: np.random.Generator) -> None:
    copied, place = damaged[_block(damaged, rng)], _place(damaged, rng)
    damaged[place : place + len(copied)] = copied


def _integer(damaged: bytearray, rng: np.random.Generator) -> None:
    """An integer of 1 to 8 bytes at a multiple of its size, made extreme or one more or less."""
    size, order = int(rng.choice([1, 2, 4, 8])), str(rng.choice(["little", "big"]))
    place = _place(damaged, rng) // size * size
    field = slice(place, place + size)
    value, whole = int.from_bytes(damaged[field], order), 1 << 8 * size  # type: ignore[arg-type]
    extremes = [0, 1, whole - 1, whole // 2, whole // 2 - 1, value + 1, value - 1, value * 2]
    chosen = extremes[rng.integers(len(extremes))] % whole
    damaged[field] = chosen.to_bytes(size, order)[: len(damaged[field])]  # type: ignore[arg-type]


def _number(damaged: bytearray, rng: np.random.Generator) -> None:
    """A number in a text; an integer where there is none within reach."""
    start = _place(damaged, rng)
    found = _NUMBER.search(damaged, start, start + 400)
    if found is None:
        _integer(damaged, rng)
        return
    damaged[found.start() : found.end()] = _TEXTS[int(rng.integers(len(_TEXTS)))]


def _splice(donors: Sequence[bytes]) -> _Damage:
    def spliced(damaged: bytearray, rng: np.random.Generator) -> None:
        donor = bytearray(donors[int(rng.integers(len(donors)))])
        given = donor[_block(donor, rng)]
        place = _place(damaged, rng)
        over = len(given) if rng.integers(2) else 0
        damaged[place : place + over] = given

    return spliced


_KINDS: list[_Damage] = [
    *(_flip, _flip, _noise, _zeros, _cut, _delete, _insert, _double, _copy_over),
    *(_integer, _integer, _number),
]
