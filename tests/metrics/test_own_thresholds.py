"""Thresholds of single maps against OpenCV and against every threshold looked at in turn."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest

from wsolbench import WsolbenchError
from wsolbench.metrics import own_thresholds as own


def drawn_maps() -> list[np.ndarray]:
    """Levels of 20 drawn maps: constant ones, plateaus, a single pixel, gaps, ramps."""
    ramp = np.tile(np.arange(256, dtype=np.uint8), (4, 1))
    maps = [np.full((9, 7), level, np.uint8) for level in (0, 1, 100, 254, 255)]
    for low, high, count in ((0, 255, 1), (0, 1, 5), (254, 255, 20), (3, 200, 31), (0, 7, 62)):
        two = np.full(63, low, np.uint8)
        two[:count] = high
        maps.append(two.reshape(9, 7))
    maps += [ramp, ramp // 64 * 64, np.minimum(ramp, 128), np.maximum(ramp, 200), ramp[:, ::-1]]
    three = np.repeat(np.array([0, 128, 255], np.uint8), (50, 3, 50)).reshape(1, -1)
    one = np.zeros((30, 40), np.uint8)
    one[0, 0] = 255
    peaks = np.clip(np.abs(np.arange(-300, 300)) // 2, 0, 255).astype(np.uint8).reshape(20, 30)
    return [*maps, three, one, peaks, np.uint8([[255]]), np.uint8([[7, 9]])]


def random_maps() -> list[np.ndarray]:
    rng = np.random.default_rng(5)
    maps = []
    for place in range(200):
        size = rng.integers(1, 40, 2)
        levels = rng.random(size) ** rng.choice([0.2, 1, 4]) * rng.integers(1, 256)
        maps.append(np.floor(levels / (step := 1 + place % 5 * 9)).astype(np.uint8) * step)
    return maps


def histograms(maps: list[np.ndarray]) -> np.ndarray:
    return np.stack([np.bincount(levels.ravel(), minlength=256) for levels in maps])


def first(holds: Callable[[int], bool]) -> int:
    return next(level for level in range(256) if holds(level))


MAPS = [*drawn_maps(), *random_maps()]


def test_otsu_is_opencvs() -> None:
    cv2 = pytest.importorskip("cv2", reason="the other program")
    assert len(drawn_maps()) == 20
    found = own.otsu_threshold(histograms(MAPS)).tolist()
    for levels, level in zip(MAPS, found, strict=True):
        theirs, foreground = cv2.threshold(levels, 0, 1, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
        if levels.min() == levels.max():
            assert (level, theirs) == (0, 0)
            continue
        assert level == theirs + 1
        assert (levels >= level).tolist() == foreground.astype(bool).tolist()


def test_otsu_of_one_pixel_in_millions_is_opencvs() -> None:
    """Its share is below FLT_EPSILON, so that OpenCV looks at no threshold."""
    cv2 = pytest.importorskip("cv2", reason="the other program")
    levels = np.zeros((3000, 3000), np.uint8)
    levels[0, 0] = 255
    theirs, _ = cv2.threshold(levels, 0, 1, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    counts = np.zeros(256, np.int64)
    counts[[0, 255]] = levels.size - 1, 1
    assert own.otsu_threshold(counts) == theirs + 1 == 1


def test_otsu_is_the_threshold_with_the_largest_variance_between_classes() -> None:
    """The definition, level by level; OpenCV's program rounds otherwise than it."""
    for counts in histograms(MAPS):
        level, total = np.arange(256), counts.sum()
        variances = [0.0]
        for threshold in range(1, 256):
            low, high = counts[:threshold], counts[threshold:]
            if not low.sum() or not high.sum():
                variances.append(0.0)
                continue
            means = (low * level[:threshold]).sum() / low.sum() - (
                high * level[threshold:]
            ).sum() / high.sum()
            variances.append(low.sum() * high.sum() / total**2 * means**2)
        found = own.otsu_threshold(counts)
        assert variances[found] == pytest.approx(max(variances))


def test_otsu_of_many_pixels_does_not_overflow() -> None:
    """In int64 the sums of this histogram would be beyond 2**63."""
    counts = np.zeros(256, np.int64)
    counts[[0, 10, 200, 250]] = 3 << 40, 1 << 40, 1 << 40, 2 << 40
    assert own.otsu_threshold(counts) == own.otsu_threshold(counts >> 40) == 11


@pytest.mark.parametrize(
    ("rule", "lowest"),
    [
        ("mean", lambda levels: first(lambda t: t * levels.size >= int(levels.sum()))),
        ("max:0.2", lambda levels: first(lambda t: 5 * t >= int(levels.max()))),
        ("max:1", lambda levels: int(levels.max())),
        (
            "area:0.25",
            lambda levels: first(lambda t: 4 * (levels > t).sum() < levels.size),
        ),
        ("area:1", lambda levels: int(levels.min())),
    ],
)
def test_others_are_what_their_words_say(rule: str, lowest: object) -> None:
    maps = [levels.astype(np.int64) for levels in MAPS]
    found = own.own_rule(rule).thresholds(histograms(MAPS))
    assert found.dtype == np.int64
    assert found.tolist() == [lowest(levels) for levels in maps]  # type: ignore[operator]


@pytest.mark.parametrize("rule", ["otsu", "mean", "max:0.5", "area:0.1"])
def test_a_constant_map_is_foreground_everywhere(rule: str) -> None:
    for level in (0, 1, 77, 255):
        threshold = own.own_rule(rule).thresholds(histograms([np.full((3, 5), level, np.uint8)]))
        assert level >= threshold[0]


def test_stacks_are_scored_like_single_histograms() -> None:
    counts = histograms(MAPS[:24]).reshape(3, 8, 256)
    for text in ("otsu", "mean", "max:0.5", "area:0.3"):
        rule = own.own_rule(text)
        assert rule.thresholds(counts).tolist() == [
            [int(rule.thresholds(one)) for one in row] for row in counts
        ]
    wanted = np.array([1, 2, 3])
    tops = histograms([np.uint8([[5, 9, 9, 200]])] * 3)
    assert own.area_threshold(tops, wanted).tolist() == [200, 9, 9]


def test_rules_come_back_from_their_texts() -> None:
    assert own.own_rule("max:0.2") == own.OwnRule("max", Fraction(1, 5))
    for text in ("otsu", "mean", "max:0.2", "area:0.05", "max:1"):
        assert str(own.own_rule(text)) == text
    assert own.own_rule("area:.05").words == "5 % of the pixels of each map"
    assert own.own_rule("max:0.2").words == "0.2 of the maximum of each map"


@pytest.mark.parametrize(
    "text", ["Otsu", "otsu:1", "max", "max:", "max:0", "max:1.01", "area:-1", "area:1e-3", "max:¼"]
)
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(WsolbenchError, match=r"threshold: found .*otsu, mean, max:F or area:F"):
        own.own_rule(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("max:0.1234567", "0.1234567 of the maximum of each map"),
        ("max:1", "1 of the maximum of each map"),
        ("area:0.00001", "0.001 % of the pixels of each map"),
        ("area:0.5", "50 % of the pixels of each map"),
    ],
)
def test_a_rule_keeps_all_digits_of_its_share(text: str, words: str) -> None:
    assert str(own.own_rule(text)) == text
    assert own.own_rule(str(own.own_rule(text))) == own.own_rule(text)
    assert own.own_rule(text).words == words
