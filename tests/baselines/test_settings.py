"""Settings of methods and of training: defaults, ranges, and the way through a checkpoint."""

from __future__ import annotations

from typing import Any

import pytest

from wsolbench.baselines.settings import (
    METHODS,
    Recipe,
    as_values,
    method_record,
    recipe_for,
    recipe_from,
    settings_from,
)
from wsolbench.errors import WsolbenchError

NAN, INFINITE = float("nan"), float("inf")


@pytest.mark.parametrize(
    "name, backbone, wanted",
    [
        ("cam", "vgg16-sem", {}),
        ("has", "vgg16-sem", {"patch_sizes": [0, 16, 32, 44, 56], "hide_rate": 0.5}),
        ("acol", "vgg16-sem", {"delta": 0.6}),
        ("cutmix", "vgg16-sem", {"alpha": 1.0, "mix_rate": 1.0}),
        (
            "spg",
            "vgg16-sem",
            {
                **{"b2_high": 0.7, "b2_low": 0.05, "b1_high": 0.5, "b1_low": 0.05},
                **{"c_high": 0.7, "c_low": 0.1, "width": 512},
            },
        ),
        (
            "spg",
            "mini",
            {
                **{"b2_high": 0.7, "b2_low": 0.05, "b1_high": 0.5, "b1_low": 0.05},
                **{"c_high": 0.7, "c_low": 0.1, "width": 64},
            },
        ),
        ("adl", "vgg16-sem", {"gamma": 0.8, "drop_rate": 0.75}),
        ("adl", "inception_v3-sem", {"gamma": 0.8, "drop_rate": 0.75}),
        ("adl", "resnet50-sem", {"gamma": 0.9, "drop_rate": 0.75}),
        ("adl", "resnet101-gap", {"gamma": 0.9, "drop_rate": 0.75}),
    ],
)
def test_defaults_are_the_papers(name: str, backbone: str, wanted: dict[str, Any]) -> None:
    assert as_values(settings_from(name, {}, backbone)) == wanted


def test_recipe_is_the_papers() -> None:
    """Section 4.1.3: five epochs, .001, a tenth after the second, ten times that for the head."""
    recipe = Recipe()

    assert (recipe.epochs, recipe.learning_rate, recipe.head_factor) == (5, 0.001, 10.0)
    assert (recipe.drop_after, recipe.drop_factor) == ((2,), 0.1)
    assert (recipe.momentum, recipe.weight_decay) == (0.9, 0.0005)
    assert (recipe.resize, recipe.size, recipe.precision) == (256, 224, "float32")


def test_defaults_of_the_small_network() -> None:
    small, usual = recipe_for("mini", {}), recipe_for("resnet50", {})

    assert (small.resize, small.size) == (144, 128)
    assert (usual.resize, usual.size) == (256, 224)
    assert recipe_for("mini", {"size": 64, "epochs": 1}) == Recipe(epochs=1, resize=144, size=64)


def test_a_given_gamma_wins_over_that_of_resnets() -> None:
    assert as_values(settings_from("adl", {"gamma": 0.7}, "resnet50"))["gamma"] == 0.7


@pytest.mark.parametrize(
    "name, values, message",
    [
        ("has", {"hide_rate": 1.5}, "hide_rate: found 1.5, expected a number from 0 to 1; "),
        ("has", {"hide_rate": NAN}, "hide_rate: found nan, expected a number from 0 to 1; "),
        ("has", {"patch_sizes": ()}, r"patch_sizes: found \(\), expected integers of at least 0"),
        ("has", {"patch_sizes": [16, -1]}, r"patch_sizes: found .*16, -1"),
        ("has", {"patch_sizes": [16.5]}, r"patch_sizes: found .*16.5"),
        ("has", {"patch_sizes": 16}, "patch_sizes: found 16, expected integers of at least 0"),
        ("has", {"patch_sizes": ["16"]}, "patch_sizes: found .*'16'"),
        ("acol", {"delta": -0.1}, "delta: found -0.1, expected a number from 0 to 1; .* 0.6"),
        ("acol", {"delta": "0.6"}, "delta: found '?0.6'?, expected a number"),
        ("acol", {"delta": None}, "delta: found None, expected a number"),
        ("cutmix", {"alpha": 0}, "alpha: found 0, expected a number above 0"),
        ("cutmix", {"alpha": INFINITE}, "alpha: found inf, expected a number above 0"),
        ("cutmix", {"mix_rate": 2}, "mix_rate: found 2"),
        ("adl", {"gamma": 1.01}, "gamma: found 1.01"),
        ("adl", {"drop_rate": True}, "drop_rate: found True"),
        ("spg", {"b1_low": 0.6}, "b1_low: found 0.6 above b1_high 0.5, .*; exchange them"),
        ("spg", {"c_high": 0.05}, "c_low: found 0.1 above c_high 0.05"),
        ("spg", {"delta": 0.6}, "settings of SPG: found 'delta', expected width, .* or c_low"),
        ("cam", {"delta": 0.6}, "settings of CAM: found 'delta', expected none, .*; leave it out"),
        ("gradcam", {}, "method: found 'gradcam', expected cam, has, acol, cutmix, spg or adl"),
    ],
)
def test_settings_out_of_range_are_refused(name: str, values: dict[str, Any], message: str) -> None:
    with pytest.raises(WsolbenchError, match=f"^{message}") as caught:
        settings_from(name, values)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["hide_rate", "delta", "mix_rate", "gamma", "drop_rate"])
def test_both_ends_of_a_rate_are_allowed(name: str) -> None:
    method = next(m for m in METHODS if name in as_values(settings_from(m, {})))

    for end in (0, 1):
        assert as_values(settings_from(method, {name: end}))[name] == end


@pytest.mark.parametrize(
    "values, message",
    [
        ({"epochs": 0}, "epochs: found 0, expected an integer of at least 1; the default is 5"),
        ({"epochs": 2.5}, "epochs: found 2.5, expected an integer"),
        ({"epochs": True}, "epochs: found True, expected an integer"),
        ({"learning_rate": 0}, "learning_rate: found 0, expected a number above 0"),
        ({"learning_rate": NAN}, "learning_rate: found nan"),
        ({"learning_rate": INFINITE}, "learning_rate: found inf"),
        ({"head_factor": -10}, "head_factor: found -10"),
        ({"drop_after": (3, 2)}, r"drop_after: found \(3, 2\), expected rising integers"),
        ({"drop_after": (2, 2)}, "drop_after: found"),
        ({"drop_after": (0,)}, "drop_after: found"),
        ({"drop_after": 2}, "drop_after: found 2, expected rising integers"),
        ({"drop_factor": 0}, "drop_factor: found 0"),
        ({"momentum": 1.1}, "momentum: found 1.1"),
        ({"weight_decay": -1}, "weight_decay: found -1, expected a number of at least 0"),
        ({"weight_decay": INFINITE}, "weight_decay: found inf"),
        ({"batch_size": 0}, "batch_size: found 0"),
        ({"resize": 7}, "resize: found 7, expected an integer of at least 8"),
        ({"size": 7}, "size: found 7"),
        ({"size": 257}, "size: found a crop of 257 from photos of 256, .*resize=257"),
        ({"precision": "double"}, "precision: found '?double'?, expected float32, bfloat16 or flo"),
        ({"seed": -1}, "seed: found -1, expected an integer from 0 to 2"),
        ({"seed": 1.0}, "seed: found 1.0, expected an integer"),
    ],
)
def test_recipes_out_of_range_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(WsolbenchError, match=f"^{message}") as caught:
        recipe_for("resnet50", values)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(),
        Recipe(drop_after=()),
        Recipe(epochs=7, drop_after=(3, 5), learning_rate=0.01, precision="bfloat16", seed=4),
    ],
)
def test_recipes_go_round(recipe: Recipe) -> None:
    values = as_values(recipe)

    assert values["drop_after"] == list(recipe.drop_after)
    assert recipe_from(values) == recipe


@pytest.mark.parametrize("name", METHODS)
def test_settings_go_round(name: str) -> None:
    settings = settings_from(name, {}, "resnet50")

    assert settings_from(name, as_values(settings)) == settings
    assert type(settings) is method_record(name).settings


def test_a_recipe_of_another_version_is_refused() -> None:
    values = as_values(Recipe())
    less = {name: value for name, value in values.items() if name != "momentum"}

    for wrong in (less, {**values, "warmup": 1}):
        with pytest.raises(
            WsolbenchError, match=r"^recipe: found the settings .*; use a checkpoin"
        ):
            recipe_from(wrong)


def test_numbers_of_numpy_become_plain_ones() -> None:
    """A checkpoint is read without running code, so it must hold no objects of NumPy."""
    import numpy as np

    recipe = Recipe(epochs=np.int64(3), learning_rate=np.float32(0.5), drop_after=(np.int64(1),))

    plain = as_values(recipe)
    assert (plain["epochs"], plain["learning_rate"], plain["drop_after"]) == (3, 0.5, [1])
    assert [type(plain[n]) for n in ("epochs", "learning_rate")] == [int, float]
    assert type(plain["drop_after"][0]) is int
