"""Explanation scores against other programs and obvious loops over pixels.

200 random and 20 drawn maps: OpenCV's THRESH_OTSU, scikit-learn's roc_auc_score, SciPy's pearsonr
and entropy, and loops that sort or sweep the pixels themselves.
"""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import permutations

import numpy as np
import pytest

from wsolbench.metrics import explain
from wsolbench.metrics.pixel import count_pixels
from wsolbench.scores import SCORES

EPS = np.finfo(np.float64).eps


def drawn(seed: int) -> np.ndarray:
    """A smooth map with one or two bright spots, some of them on a plateau."""
    rng = np.random.default_rng([7, seed])
    height, width = rng.integers(12, 34, size=2)
    y, x = np.mgrid[:height, :width]
    value = np.zeros((height, width))
    for _ in range(1 + seed % 2):
        cy, cx, spread = rng.uniform(0, height), rng.uniform(0, width), rng.uniform(2, 9)
        value += np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / (2 * spread**2))
    value = value / value.max()
    return np.floor(255 * np.minimum(value, 0.5 + 0.5 * (seed % 3 > 0))).astype(np.uint8)


def scattered(seed: int) -> np.ndarray:
    """Random levels: all of them, a few of them, or those of a bell."""
    rng = np.random.default_rng([8, seed])
    shape = tuple(rng.integers(1, 30, size=2))
    few = rng.choice(rng.integers(0, 256, size=1 + seed % 4), shape)
    bell = np.clip(rng.normal(90, 40, shape), 0, 255)
    return np.asarray((rng.integers(0, 256, shape), few, bell)[seed % 3]).astype(np.uint8)


def cases() -> list[tuple[np.ndarray, np.ndarray]]:
    found = []
    for number in range(220):
        levels = scattered(number) if number < 200 else drawn(number)
        rng = np.random.default_rng([9, number])
        mask = rng.random(levels.shape) < rng.uniform(0, 1)
        y, x = rng.integers(levels.shape[0]), rng.integers(levels.shape[1])
        mask[y : y + 9, x : x + 9] = True
        found.append((levels, mask))
    return found


CASES = cases()


@pytest.fixture(scope="module")
def scored() -> list[dict[str, float]]:
    return all_scores(CASES)


def all_scores(pairs: list[tuple[np.ndarray, np.ndarray]]) -> list[dict[str, float]]:
    found = explain.image_scores(np.stack([count_pixels(*pair) for pair in pairs]))
    return [
        dict(zip(found, values, strict=True))
        for values in zip(*(own.tolist() for own in found.values()), strict=True)
    ]


def own_scores(levels: np.ndarray, mask: np.ndarray) -> dict[str, float]:
    return all_scores([(levels, mask)])[0]


def iou(called: np.ndarray, mask: np.ndarray) -> float:
    return (called & mask).sum() / (called | mask).sum()


def expected_top(levels: np.ndarray, mask: np.ndarray, most: int) -> float:
    """The share of the highest pixels on the object: of ties each has the same part."""
    total, left = 0.0, most
    for level in range(255, -1, -1):
        tied = levels == level
        taken = min(left, int(tied.sum()))
        if taken:
            total += taken * float(mask[tied].mean())
        left -= taken
    assert left == 0
    return total / most


def loops(levels: np.ndarray, mask: np.ndarray) -> dict[str, float]:
    """Every score but those of other programs, pixel by pixel."""
    values, area, pixels = levels.astype(np.float64), int(mask.sum()), mask.size
    total = values.sum()
    shares = values / total if total else np.full(mask.shape, 1 / pixels)
    curve = [iou(levels >= level, mask) for level in range(256)]
    rank = expected_top(levels, mask, area)
    truth = mask / area
    ordered = np.sort(values.ravel())
    places = np.arange(1, pixels + 1)
    spread = values.std()
    return {
        "pointing_game": float(mask[levels == levels.max()].mean()),
        "pointing_game_any_tie": float(mask[levels == levels.max()].any()),
        "relevance_mass": float(shares[mask].sum()),
        "rank_accuracy": rank,
        "top_1000_pixels": expected_top(levels, mask, min(1000, pixels)),
        "top_15_percent": expected_top(levels, mask, max(1, math.floor(0.15 * pixels + 0.5))),
        "top_20_percent": expected_top(levels, mask, max(1, math.floor(0.2 * pixels + 0.5))),
        "auc_iou": float(np.mean(curve)),
        "iou_mean_level": iou(values >= values.mean(), mask),
        "iou_half_maximum": iou(values >= values.max() / 2, mask),
        "iou_true_area": rank * area / (2 * area - rank * area),
        "nss": float(((values - values.mean()) / spread)[mask].mean()) if spread else 0.0,
        "kl_divergence": max(0.0, float((truth * np.log(EPS + truth / (EPS + shares))).sum())),
        "sparseness": float(((2 * places - pixels - 1) * ordered).sum() / (pixels * total))
        if total
        else 0.0,
        "object_share": area / pixels,
    }


def test_every_score_is_what_loops_over_pixels_give(scored: list[dict[str, float]]) -> None:
    for (levels, mask), found in zip(CASES, scored, strict=True):
        for key, value in loops(levels, mask).items():
            assert found[key] == pytest.approx(value, abs=1e-12, rel=1e-12), key


def test_iou_at_otsus_threshold_is_that_of_opencvs(scored: list[dict[str, float]]) -> None:
    cv2 = pytest.importorskip("cv2")
    for (levels, mask), found in zip(CASES, scored, strict=True):
        threshold, _ = cv2.threshold(levels, 0, 255, cv2.THRESH_OTSU)
        one = len(np.unique(levels)) == 1
        expected = mask.mean() if one else iou(levels > threshold, mask)
        assert found["iou_otsu"] == expected


def test_roc_auc_is_scikit_learns(scored: list[dict[str, float]]) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    for (levels, mask), found in zip(CASES, scored, strict=True):
        if mask.all():
            assert math.isnan(found["roc_auc"])
        else:
            value = metrics.roc_auc_score(mask.ravel(), levels.ravel())
            assert found["roc_auc"] == pytest.approx(value, abs=1e-12)


def test_pearson_and_complexity_are_scipys(scored: list[dict[str, float]]) -> None:
    stats = pytest.importorskip("scipy.stats")
    for (levels, mask), found in zip(CASES, scored, strict=True):
        even = len(np.unique(levels)) == 1
        values = levels.ravel() + (1.0 if levels.max() == 0 else 0.0)
        assert found["complexity"] == pytest.approx(stats.entropy(values), abs=1e-10)
        if mask.all():
            assert math.isnan(found["pearson"])
        elif even:
            assert found["pearson"] == 0
        else:
            value = stats.pearsonr(levels.ravel().astype(float), mask.ravel()).statistic
            assert found["pearson"] == pytest.approx(value, abs=1e-12)


def test_rank_accuracy_is_scipys_order_where_no_levels_are_equal() -> None:
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(3)
    for _ in range(5):
        levels = rng.permutation(256)[:200].reshape(10, 20).astype(np.uint8)
        mask = rng.random((10, 20)) < 0.3
        ranks = stats.rankdata(-levels.astype(int), method="ordinal").reshape(levels.shape)
        share = mask[ranks <= mask.sum()].mean()
        assert own_scores(levels, mask)["rank_accuracy"] == pytest.approx(share)


def test_one_call_for_many_images_gives_the_bits_of_one_call_each() -> None:
    counts = np.stack([count_pixels(*case) for case in CASES])
    together = explain.image_scores(counts)
    for place in range(0, len(CASES), 9):
        for key, values in explain.image_scores(counts[place : place + 1]).items():
            assert values.tobytes() == together[key][place : place + 1].tobytes(), key


def test_the_logarithm_is_right_to_its_last_bits() -> None:
    values = np.concatenate((np.geomspace(1e-18, 1e18, 4001), 1 + np.arange(-50, 51) / 1000))
    apart = np.abs(explain._ln(values) - np.log(values))
    assert (apart <= 1e-15 * np.maximum(1, np.abs(np.log(values)))).all()


# --------------------------------------------------------------------------------- chance levels


def chances(found: dict[str, float]) -> dict[str, float]:
    """The chance level of each score that has one."""
    levels = {key: SCORES[key].chance for key in found if SCORES[key].chance is not None}
    return {
        key: found[level] if isinstance(level, str) else float(level)
        for key, level in levels.items()
    }


@pytest.mark.parametrize("level", [0, 1, 100, 255])
def test_a_constant_map_scores_chance_everywhere(level: int) -> None:
    mask = np.zeros((30, 40), np.bool_)
    mask[3:13, 5:20] = True
    for turned in (mask, mask[::-1], mask[:, ::-1]):
        found = own_scores(np.full(mask.shape, level, np.uint8), turned)
        expected = chances(found)
        assert len(expected) == 16
        for key, chance in expected.items():
            assert found[key] == pytest.approx(chance, abs=1e-12), key
        assert found["object_share"] == mask.mean()


def test_chance_is_the_mean_over_all_arrangements_of_the_pixels() -> None:
    levels, mask = [0, 3, 3, 7, 7], np.array([[True, True, False, False, False]])
    every = all_scores([(np.array([own], np.uint8), mask) for own in permutations(levels)])
    expected = chances(every[0])
    exact = {
        *("pointing_game", "relevance_mass", "rank_accuracy", "top_15_percent", "top_20_percent"),
        *("roc_auc", "nss", "pearson", "kl_divergence"),
    }
    for key in exact:
        assert np.mean([own[key] for own in every]) == pytest.approx(expected[key], abs=1e-12), key


def test_chance_of_ious_and_any_tie_is_the_mean_over_many_arrangements() -> None:
    rng = np.random.default_rng(5)
    levels = np.minimum(drawn(3), 240)
    mask = np.zeros(levels.shape, np.bool_)
    mask[2:9, 3:8] = True
    levels = np.where(levels < np.sort(levels.ravel())[-3], levels, 250).astype(np.uint8)
    shuffled = [rng.permutation(levels.ravel()).reshape(levels.shape) for _ in range(800)]
    many = all_scores([(own, mask) for own in shuffled])
    expected = chances(many[0])
    for key in ("auc_iou", "iou_otsu", "iou_mean_level", "iou_half_maximum", "iou_true_area"):
        assert np.mean([own[key] for own in many]) == pytest.approx(expected[key], abs=0.005), key
    hits = np.mean([own["pointing_game_any_tie"] for own in many])
    assert hits == pytest.approx(expected["pointing_game_any_tie"], abs=0.05)


@pytest.mark.parametrize("tied", [1, 2, 7, 19, 20])
@pytest.mark.parametrize("object_", [1, 3, 19, 20])
def test_chance_of_any_tie_is_hypergeometric(tied: int, object_: int) -> None:
    counts = np.zeros((2, 256), np.int64)
    counts[:, 200] = (tied, 0) if tied <= 20 - object_ else (20 - object_, tied - 20 + object_)
    counts[:, 10] = np.array([20 - object_, object_]) - counts[:, 200]
    missed = Fraction(math.comb(20 - object_, tied), math.comb(20, tied))
    found = explain.image_scores(counts[None])["pointing_game_any_tie_chance"][0]
    assert found == pytest.approx(float(1 - missed), rel=1e-15, abs=1e-15)


def test_a_map_that_is_its_mask_scores_best() -> None:
    mask = np.zeros((40, 40), np.bool_)
    mask[4:38, 3:37] = True
    found = own_scores(np.uint8(255) * mask, mask)
    for key, score in SCORES.items():
        if score.family == "explain" and key in chances(found) and key not in ("auc_iou", "nss"):
            assert found[key] == pytest.approx(0 if key == "kl_divergence" else 1, abs=1e-9), key
    # At T = 0 everything is foreground.
    assert found["auc_iou"] == pytest.approx((255 + mask.mean()) / 256)
    assert found["nss"] == pytest.approx(math.sqrt((~mask).sum() / mask.sum()))


# ----------------------------------------------------------------- faults of Quantus 0.6.0, absent


def test_quantus_fault_no_score_depends_on_the_batch_size() -> None:
    """Its AttributionLocalisation(weighted) of one image: inf, inf, .00138, .00023."""
    counts = np.stack([count_pixels(*case) for case in CASES[200:208]])
    alone = explain.image_scores(counts[:1])
    for size in (2, 3, 8):
        batch = explain.image_scores(counts[:size])
        assert [own[0] for own in batch.values()] == [own[0] for own in alone.values()]
    assert np.isfinite(alone["relevance_mass"]).all()


def test_quantus_fault_an_empty_mask_is_no_hit_but_absent() -> None:
    """Its PointingGame counts one as a hit."""
    found = own_scores(drawn(1), np.zeros(drawn(1).shape, np.bool_))
    present = {key for key, value in found.items() if not math.isnan(value)}
    assert present == {"complexity", "sparseness"}


@pytest.mark.parametrize("level", [0, 128])
def test_quantus_fault_ties_do_not_depend_on_where_the_object_lies(level: int) -> None:
    """Its rank accuracy of a constant map is 1 or 0, by the order of the sort."""
    found = []
    for rows in (slice(0, 3), slice(7, 10)):
        mask = np.zeros((10, 10), np.bool_)
        mask[rows] = True
        found.append(own_scores(np.full((10, 10), level, np.uint8), mask))
    assert found[0] == found[1]
    assert found[0]["rank_accuracy"] == found[0]["pointing_game"] == 0.3


def test_a_mask_of_the_whole_image_has_no_ground_to_compare_with() -> None:
    found = own_scores(drawn(2), np.ones(drawn(2).shape, np.bool_))
    absent = {key for key, value in found.items() if math.isnan(value)}
    assert absent == {"roc_auc", "pearson"}
    assert found["pointing_game"] == found["relevance_mass"] == found["rank_accuracy"] == 1


def test_counts_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=r"counts of shape \(2, 256\), expected \(n, 2, 256\)"):
        explain.image_scores(np.zeros((2, 256), np.int64))


def test_the_mass_of_levels_is_within_its_bound_of_that_of_the_values() -> None:
    rng = np.random.default_rng(11)
    for place in range(30):
        values = rng.random((20, 24)) ** rng.uniform(0.3, 8)
        mask = CASES[200 + place % 20][1][:12, :12]
        values = values[: mask.shape[0], : mask.shape[1]]
        levels = np.floor(255 * values).astype(np.uint8)
        mass = own_scores(levels, mask)["relevance_mass"]
        total, area, pixels = int(levels.sum(dtype=np.int64)), int(mask.sum()), mask.size
        true = values[mask].sum() / values.sum()
        high = area * (1 - mass) / (total + area)
        low = mass * (pixels - area) / (total + pixels - area)
        assert -low - 1e-12 <= true - mass <= high + 1e-12
