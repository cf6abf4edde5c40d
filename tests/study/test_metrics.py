"""The study of the scores themselves; what docs/explanation.md says of it, a test each."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from wsolbench.cli import cli
from wsolbench.errors import WsolbenchError
from wsolbench.files import unguard_cell
from wsolbench.plots.style import MINUS
from wsolbench.scores import SCORES, Better
from wsolbench.study import metrics as study_module
from wsolbench.study.damage import AMOUNTS, DAMAGES, SIDE, drawn_mask, map_of
from wsolbench.study.metric_picture import metric_grid
from wsolbench.study.metrics import (
    BRIGHTNESS,
    SHOWN,
    MetricStudy,
    metric_study_table,
    ranking_stability,
    study_metrics,
)

WORSE = ("shift", "erode", "dilate", "blur", "noise", "inversion")
OF_ORDER = {
    *("ap_image_mean", "iou_shape", "pointing_game", "rank_accuracy", "roc_auc", "iou_true_area"),
    *("top_1000_pixels", "top_15_percent", "top_20_percent", "pointing_game_any_tie"),
}
"""Scores that depend on the order of levels alone."""


@pytest.fixture(scope="module")
def study() -> MetricStudy:
    return study_metrics(8)


# ----------------------------------------------------------------------------------- the drawings


@pytest.mark.parametrize("share", [0.05, 0.15, 0.35])
def test_a_drawn_map_fits_its_mask(share: float) -> None:
    mask = drawn_mask(share, np.random.default_rng(1))
    assert mask.sum() == round(share * SIDE * SIDE)
    value = map_of(mask)
    assert value.max() == 1
    assert value.min() >= 0
    assert mask[value == 1].all()
    called = value >= 0.5
    assert (called & mask).sum() / (called | mask).sum() > 0.85


def test_the_least_amount_of_each_damage_leaves_the_map_as_it_is() -> None:
    rng = np.random.default_rng(2)
    mask = drawn_mask(0.15, rng)
    value = map_of(mask)
    for name, damage in DAMAGES.items():
        if AMOUNTS[name][0]:
            np.testing.assert_array_equal(damage(value, mask, AMOUNTS[name][0], rng), value)
        for amount in AMOUNTS[name][1:]:
            damaged = damage(value, mask, amount, rng)
            assert damaged.shape == value.shape
            assert 0 <= damaged.min() <= damaged.max() <= 1
            assert (damaged != value).any()


def test_erosion_and_dilation_are_scipys() -> None:
    ndimage = pytest.importorskip("scipy.ndimage")
    rng = np.random.default_rng(3)
    mask = drawn_mask(0.15, rng)
    pixels = round(0.1 * np.sqrt(mask.sum()))
    square = np.ones((2 * pixels + 1, 2 * pixels + 1))
    eroded = DAMAGES["erode"](map_of(mask), mask, 0.1, rng)
    inner = ndimage.binary_erosion(mask, square, border_value=1)
    np.testing.assert_array_equal(eroded, map_of(inner))
    dilated = DAMAGES["dilate"](map_of(mask), mask, 0.1, rng)
    np.testing.assert_array_equal(dilated, map_of(ndimage.binary_dilation(mask, square)))


def test_a_shift_moves_the_map_and_an_inversion_turns_it() -> None:
    rng = np.random.default_rng(4)
    mask = np.zeros((SIDE, SIDE), np.bool_)
    mask[30:50, 30:50] = True
    value = np.where(mask, 1.0, 0.2)
    moved = DAMAGES["shift"](value, mask, 0.5, rng)
    rows, columns = np.nonzero(moved == 1)
    distance = np.hypot(rows.mean() - 39.5, columns.mean() - 39.5)
    assert distance == pytest.approx(10, abs=0.8)
    np.testing.assert_allclose(DAMAGES["inversion"](value, mask, 1.0, rng), 1 - value)
    steps = DAMAGES["plateaus"](np.linspace(0, 1, 11)[None], mask, 4, rng)
    np.testing.assert_allclose(np.unique(steps), [0, 1 / 3, 2 / 3, 1])


# -------------------------------------------------------------------------------------- stability


def test_kendalls_w_is_friedmans_with_ties() -> None:
    stats = pytest.importorskip("scipy.stats")
    values = np.random.default_rng(5).integers(0, 5, size=(12, 4)).astype(float)
    statistic = stats.friedmanchisquare(*values.T).statistic
    assert study_module._kendall_w(values) == pytest.approx(statistic / (12 * 3))


def test_kendalls_tau_is_scipys() -> None:
    stats = pytest.importorskip("scipy.stats")
    one, other = np.random.default_rng(6).random((2, 9))
    assert study_module._tau(one, other) == pytest.approx(stats.kendalltau(one, other).statistic)


def test_an_order_that_all_images_share_is_settled_at_once_and_no_order_never() -> None:
    rng = np.random.default_rng(7)
    alike = np.arange(5.0) + rng.random((40, 1))
    assert ranking_stability(alike, rng) == (1.0, 1.0, 2)
    equal = np.ones((40, 5))
    halves, agreement, settles = ranking_stability(equal, rng)
    assert (halves, agreement, settles) == (0.0, 0.0, None)
    noise = rng.random((400, 5))
    _, agreement, settles = ranking_stability(noise, rng)
    assert agreement < 0.02
    assert settles is None


def test_too_few_masks_are_refused() -> None:
    with pytest.raises(WsolbenchError, match="images: found 3, expected 4 or more"):
        study_metrics(3)


# ----------------------------------------------------------------------------------------- claims


def test_every_score_of_a_direction_loses_all_by_an_inverted_map_and_by_a_far_shift(
    study: MetricStudy,
) -> None:
    for key, own in study.scores.items():
        if SCORES[key].better is Better.NEITHER:
            continue
        assert own.falls["inversion"], key
        assert own.lost["shift"] > 0.6, key
        assert own.lost["inversion"] > (0.3 if key == "kl_divergence" else 0.99), key


def test_pointing_does_not_see_extent(study: MetricStudy) -> None:
    for key in ("pointing_game", "pointing_game_any_tie"):
        own = study.scores[key]
        assert [own.lost[name] for name in ("erode", "dilate", "blur")] == [0, 0, 0]
        assert own.kendall_w < 0.15
        assert own.settles is None


def test_relevance_mass_rewards_a_map_that_is_too_small(study: MetricStudy) -> None:
    own = study.scores["relevance_mass"]
    assert own.lost["erode"] < -0.1
    assert own.lost["plateaus"] < -0.1
    assert own.lost["dilate"] > 0.8


def test_top_k_hardly_sees_a_map_that_is_too_large(study: MetricStudy) -> None:
    for key in ("top_1000_pixels", "top_15_percent", "top_20_percent", "roc_auc"):
        own = study.scores[key]
        assert max(own.lost["dilate"], own.lost["blur"]) < 0.1, key
    for key in ("iou_otsu", "iou_half_maximum", "auc_iou"):
        own = study.scores[key]
        assert min(own.lost["dilate"], own.lost["blur"]) > 0.5, key


def test_only_these_fall_with_every_damage(study: MetricStudy) -> None:
    falling = {key for key, own in study.scores.items() if all(own.falls[name] for name in WORSE)}
    sure = {"ap_image_mean", "iou_shape", "rank_accuracy", "iou_true_area"}
    assert sure <= falling
    assert {"iou_otsu", "iou_half_maximum", "auc_iou"} <= falling
    assert not falling & {"pointing_game", "relevance_mass", "complexity", "sparseness", "nss"}


def test_brightness_moves_all_scores_but_those_of_order(study: MetricStudy) -> None:
    for key, own in study.scores.items():
        if key in OF_ORDER:
            assert own.brightness < 0.03, key
        else:
            assert own.brightness > 0.05, key
    assert study.scores["iou_mean_level"].brightness > 0.5
    assert study.scores["relevance_mass"].brightness > 0.5
    assert study.scores["iou_otsu"].brightness > 0.4


def test_complexity_and_sparseness_say_nothing_of_the_object(study: MetricStudy) -> None:
    for key in ("complexity", "sparseness"):
        own = study.scores[key]
        assert not own.chance
        assert own.lost["shift"] < 0.05


def test_the_table_has_every_score_but_chance_levels(study: MetricStudy) -> None:
    text = metric_study_table(study)
    titles = [SCORES[key].title for key in study.scores]
    assert all(f"\n{title}  " in text for title in titles)
    assert ", chance" not in text
    page = (Path(__file__).parents[2] / "docs/explanation.md").read_text(encoding="utf-8")
    for title in titles:
        assert f"\n| {title} " in page, title


def test_the_command_prints_the_same_for_the_same_seed(tmp_path: Path) -> None:
    asked = ["study", "metrics", "--masks", "4", "--quiet"]
    out = tmp_path / "study.json"
    first = CliRunner().invoke(cli, [*asked, "--json", "--out", str(out)])
    assert first.exit_code == 0, first.output
    content = json.loads(out.read_text())
    assert json.loads(first.output) == content
    assert content["images"] == 4
    assert content["scores"]["roc_auc"]["chance"] == {"0.05": 0.5, "0.15": 0.5, "0.35": 0.5}
    assert study_metrics(4).to_json() == out.read_text()


def test_the_picture_says_what_the_table_says(study: MetricStudy, tmp_path: Path) -> None:
    figure = pytest.importorskip("matplotlib.figure", reason="pictures").Figure()
    ax = metric_grid(study, figure.subplots())
    heads = [own.get_text().replace("\n", " ") for own in ax.get_xticklabels()]
    assert heads == [*SHOWN, BRIGHTNESS]
    cells = [own.get_text().replace(MINUS, "-") for own in ax.texts]
    rows = list(csv.DictReader(metric_study_table(study, "csv").splitlines()))
    told = [unguard_cell(row[name]) for row in rows for name in (*SHOWN, BRIGHTNESS)]
    assert cells == told
    assert not any(own.startswith("-0") for own in told)

    asked = ["study", "metrics", "--masks", "4", "--quiet", "--plot"]
    done = CliRunner().invoke(cli, [*asked, str(tmp_path / "m.png")])
    assert done.exit_code == 0, done.output
    with Image.open(tmp_path / "m.png") as opened:
        assert opened.format == "PNG"
    refused = CliRunner().invoke(cli, [*asked, str(tmp_path / "m.gif")])
    assert "the extension .gif" in str(refused.exception)
    assert [own.name for own in tmp_path.iterdir()] == ["m.png"]


def test_a_look_without_a_picture_is_refused() -> None:
    for option in ("--style paper", "--style screen", "--width text"):
        done = CliRunner().invoke(cli, ["study", "metrics", *option.split()])
        assert done.exit_code == 2
        assert f"{option.split()[0]} needs --plot." in done.output
