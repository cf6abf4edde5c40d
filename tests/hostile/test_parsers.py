"""The parsers behind the door take sound bytes, and refuse others as they say."""

from __future__ import annotations

import numpy as np
import pytest

from tests.hostile.damage import mutate
from tests.hostile.parsers import PARSERS, parse

SEEDS = 100


@pytest.mark.parametrize("name", PARSERS)
def test_sound_bytes_are_taken(name: str) -> None:
    sound = PARSERS[name].sound()
    if name == "torch" and not sound:
        pytest.skip("torch is not installed")
    assert sound
    assert all(parse(name, data) for data in sound)


@pytest.mark.parametrize("name", PARSERS)
def test_damage_ends_as_documented(name: str) -> None:
    sound = PARSERS[name].sound()
    taken = [parse(name, mutate(data, seed, sound)) for data in sound for seed in range(SEEDS)]
    assert not all(taken) or not sound


def counts_of(lengths: list[int]) -> bytes:
    """COCO's compressed counts of any run lengths."""
    found = bytearray()
    for place, length in enumerate(lengths):
        left = length - lengths[place - 2] if place > 2 else length
        more = True
        while more:
            group, left = left & 31, left >> 5
            more = left != (-1 if group & 16 else 0)
            found.append(48 + group + (32 if more else 0))
    return bytes(found)


def test_run_lengths_whose_sum_wraps_around_are_refused() -> None:
    lengths, left = [1, 1, 1], (1 << 64) + 12 - 3
    while left > lengths[-2] + (1 << 33):
        lengths.append(lengths[-2] + (1 << 33))
        left -= lengths[-1]
    lengths.append(left)
    assert sum(lengths) == (1 << 64) + 12
    assert np.array(lengths, np.uint64).sum() == 12
    assert not parse("runs", bytes([3, 4]) + counts_of(lengths))
    assert parse("runs", bytes([3, 4]) + counts_of([0, 12]))


def test_a_text_longer_than_its_pickle_takes_no_memory() -> None:
    stated = b"\x80\x04\x8d" + (1 << 60).to_bytes(8, "little") + b"text."  # BINUNICODE8
    assert not parse("torch", stated)
