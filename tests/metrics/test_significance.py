"""P-values of resampled differences and Holm's correction against their definitions."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from wsolbench.metrics.significance import (
    holm,
    least_resamples,
    smallest_p,
    smallest_sign_p,
    two_sided_p,
)


def test_p_counts_both_sides_with_the_ones() -> None:
    assert two_sided_p(np.array([0.1] * 97 + [-0.1] * 2), 100) == 2 * 3 / 100
    assert two_sided_p(np.array([-0.1] * 99), 100) == 2 / 100 == smallest_p(99)
    assert two_sided_p(np.array([0.1] * 90 + [0.0] * 9), 100) == 2 * 10 / 100
    assert two_sided_p(np.zeros(99), 100) == 1.0
    assert two_sided_p(np.array([1.0]), 100) == 1.0
    assert two_sided_p(np.array([-0.1] * 99), 4) == 0.125 == smallest_sign_p(4)
    assert smallest_sign_p(1) == smallest_sign_p(0) == 1.0


def test_p_agrees_with_the_interval() -> None:
    """An interval that excludes 0 with room to spare has a p below one minus its level."""
    rng = np.random.default_rng(0)
    for shift in (0.0, 1.0, 1.5, 2.0, 2.5, 3.0):
        moved = np.sort(rng.normal(shift, 1, 999))
        low, high = moved[20], moved[-21]  # 20 of either side cut off, of at most 24 allowed
        if low > 0 or high < 0:
            assert two_sided_p(moved, 100) <= 2 * 21 / 1000 < 0.05
        if moved[25] <= 0 <= moved[-26]:
            assert two_sided_p(moved, 100) > 0.05


def closed_test(p_values: list[float], place: int) -> float:
    """The smallest alpha at which every intersection with a hypothesis is rejected (Bonferroni)."""
    others = [own for own in range(len(p_values)) if own != place]
    groups = [
        (place, *more) for size in range(len(others) + 1) for more in combinations(others, size)
    ]
    return max(min(1.0, len(group) * min(p_values[own] for own in group)) for group in groups)


@pytest.mark.parametrize("seed", range(8))
def test_holm_is_the_closed_test_of_bonferroni(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p_values = (rng.integers(1, 60, rng.integers(1, 8)) / 1000).tolist()
    assert holm(p_values) == pytest.approx(
        [closed_test(p_values, place) for place in range(len(p_values))], abs=1e-15
    )


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == [0.03, 0.06, 0.06]
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


@pytest.mark.parametrize("comparisons", [1, 2, 7, 20, 25, 26, 66, 1320])
def test_so_many_resamples_are_needed_and_no_more(comparisons: int) -> None:
    found = least_resamples(comparisons, 0.05)
    assert comparisons * smallest_p(found) <= 0.05 < comparisons * smallest_p(found - 1)
    assert holm([smallest_p(found)] * comparisons)[0] <= 0.05
    assert abs(found - (40 * comparisons - 1)) <= 1
