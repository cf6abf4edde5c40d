"""Photos with seeds and embedded features are read back from the figure."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from PIL import Image

from tests.plots.samples import HEIGHT, WIDTH
from wsolbench import plots
from wsolbench.baselines.embedding import SEED
from wsolbench.data.dataset import Dataset
from wsolbench.errors import WsolbenchError
from wsolbench.plots.seeds import MAX_PANELS

GROUPS = np.array([[SEED, 1, 0], [0, -1, SEED]], np.int8)


def panel(name: str = "p_0") -> plots.SeedPanel:
    photo = np.full((HEIGHT, WIDTH, 3), 200, np.uint8)
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[2:5, 3:9] = True
    positions = np.array([0, 1, 2, 3, 5])
    coordinates = np.array([[0, 0], [1, 0], [5, 5], [6, 5], [0, 1]], np.float32)
    window = np.array([0, 0, WIDTH, HEIGHT], float)
    return plots.SeedPanel(name, photo, mask, GROUPS, window, positions, coordinates, "AUC 75 %")


def test_groups_have_their_colours_and_seeds_are_on_top(ax: Axes) -> None:
    own = panel()
    plots.embedded_groups(own.coordinates, GROUPS.ravel()[own.positions], ax)
    drawn = {
        str(dots.get_label()): (np.asarray(dots.get_offsets()).tolist(), to_hex(dots.get_fc()[0]))
        for dots in ax.collections
    }
    assert list(drawn) == ["background", "rest of the object", "seeds"]
    assert drawn["background"] == ([[5, 5], [6, 5]], "#999999")
    assert drawn["rest of the object"] == ([[1, 0]], "#0072b2")
    assert drawn["seeds"] == ([[0, 0], [0, 1]], "#d55e00")
    assert list(ax.get_xticks()) == []


def test_seeds_are_at_the_centres_of_their_cells(ax: Axes) -> None:
    photo, mask = np.zeros((8, 12, 3), np.uint8), np.zeros((8, 12), bool)
    plots.photo_with_seeds(photo, mask, GROUPS == SEED, (0, 0, 12, 8), ax)
    assert np.asarray(ax.collections[-1].get_offsets()).tolist() == [[2, 2], [10, 6]]
    plots.photo_with_seeds(photo, mask, GROUPS == SEED, (6, 4, 12, 8), ax)
    assert np.asarray(ax.collections[-1].get_offsets()).tolist() == [[7, 5], [11, 7]]
    assert (ax.get_xlim(), ax.get_ylim()) == ((0, 12), (8, 0))


def test_figures_repeat_and_hold_six_in_a_row(tmp_path: Path) -> None:
    for name, count in (("one", 1), ("again", 1), ("seven", 7)):
        given = [dataclasses.replace(panel(), image_id=f"$x^{at}") for at in range(count)]
        plots.save_seeds(given, tmp_path / f"{name}.png", "$a title")
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "again.png").read_bytes()
    sizes = {}
    for name in ("one", "seven"):
        with Image.open(tmp_path / f"{name}.png") as opened:
            sizes[name] = opened.size
    # Two to six columns of 2 inches of 150 pixels; two rows share one legend.
    assert (sizes["one"][0], sizes["seven"][0]) == (600, 1800)
    assert 1.6 * sizes["one"][1] < sizes["seven"][1] < 2 * sizes["one"][1]
    for count in (0, MAX_PANELS + 1):
        with pytest.raises(WsolbenchError, match=f"found {count} images, expected 1 to 24"):
            plots.save_seeds([panel()] * count, tmp_path / "x.png")


def test_panels_hold_all_seeds_and_a_random_choice_of_the_rest(folder: Path) -> None:
    pytest.importorskip("torch", reason="features are those of a network")
    from wsolbench.baselines.seed_features import SeedFeatures, seed_statistics

    dataset = Dataset.open(folder / "s.h5", images=folder / "photos")
    rng = np.random.default_rng(0)
    values = rng.random((4, 5)).astype(np.float32)
    groups = np.zeros((4, 5), np.int8)
    groups[0] = [SEED, SEED, 1, 1, 1]
    features = rng.standard_normal((4, 5, 3)).astype(np.float32)
    window = np.array([0, 0, WIDTH, HEIGHT], float)
    own = SeedFeatures("p_2", features, values, values, groups, 2, window)
    told = []
    (made,) = plots.seed_panels(
        dataset,
        [(own, seed_statistics(own))],
        perplexity=3,
        max_pixels=10,
        progress=lambda done, total: told.append((done, total)),
    )
    assert told == [(1, 1)]
    assert len(made.positions) == len(made.coordinates) == 10
    assert {0, 1} < set(made.positions.tolist())
    assert made.photo.shape == (HEIGHT, WIDTH, 3)
    assert np.array_equal(made.mask, dataset["p_2"].mask)
    assert made.caption.startswith("AUC ")
    assert "\ncosine: object " in made.caption
    with pytest.raises(WsolbenchError, match="perplexity for p_2: found 30 for 20 positions"):
        plots.seed_panels(dataset, [(own, seed_statistics(own))])
