"""Normalisations: maps whose answer can be checked by eye, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from wsolbench.errors import WsolbenchError
from wsolbench.maps.normalisations import NORMALISATIONS, normalisation_named, normalisations_named

RAW = np.array([[-2.0, 0.0, 2.0, 4.0, 8.0]])


@pytest.mark.parametrize(
    "name, expected",
    [
        ("min-max", [0, 0.2, 0.4, 0.6, 1]),
        ("max", [0, 0, 0.25, 0.5, 1]),
        ("pas:60", [0, 1 / 3, 2 / 3, 1, 1]),  # the fourth of five values: 4, that is 6 above -2
        ("pas:99", [0, 0.2, 0.4, 0.6, 1]),
        ("ivr:40", [0, 0, 0, 1 / 3, 1]),  # less the third of five values: 2
        ("ivr:0", [0, 0.2, 0.4, 0.6, 1]),
    ],
)
def test_what_becomes_of_five_values(name: str, expected: list[float]) -> None:
    found = normalisation_named(name)(RAW)
    assert found.dtype == np.float32
    assert found[0].tolist() == pytest.approx(expected)


@pytest.mark.parametrize("name", [name for name in NORMALISATIONS if name != "none"])
def test_any_map_comes_into_range_and_none_is_changed(name: str) -> None:
    rng = np.random.default_rng(0)
    for raw in (rng.normal(size=(7, 9)), rng.integers(-9, 9, (3, 4)), np.eye(30) * 1e30):
        before = raw.copy()
        found = normalisation_named(name)(raw)
        assert 0 <= found.min() <= found.max() == 1
        assert (raw == before).all()
    for flat in (np.full((3, 3), 7.5), np.full((3, 3), -1.0), np.zeros((1, 1))):
        assert (normalisation_named(name)(flat) == 0).all()


def test_min_max_is_that_of_the_baselines() -> None:
    torch = pytest.importorskip("torch", reason="the baselines need it")
    from wsolbench.baselines.cam import min_max

    raw = np.random.default_rng(1).normal(size=(20, 6, 7)).astype(np.float32)
    ours = np.stack([normalisation_named("min-max")(map_) for map_ in raw])
    assert np.abs(ours - min_max(torch.from_numpy(raw)).numpy()).max() < 2e-7


def test_mostly_flat_maps_keep_their_contrast_under_pas() -> None:
    raw = np.zeros((10, 10))
    raw[0, :5] = 3
    assert (normalisation_named("pas")(raw) == (raw > 0)).all()


def test_mostly_bright_maps_keep_their_contrast_under_ivr() -> None:
    raw = np.full((10, 10), 3.0)
    raw[0, :5] = 1
    assert (normalisation_named("ivr")(raw) == (raw == 3)).all()


def test_none_takes_what_is_in_range_as_it_is() -> None:
    none = normalisation_named("none")
    values = np.array([[0.0, 0.25, 1.0]])
    assert none(values).tolist() == values.tolist()
    assert none(np.array([[0, 255]], np.uint8)).tolist() == [[0, 1]]


@pytest.mark.parametrize(
    "map_, found",
    [
        (
            np.array([[0.0, 1.5]]),
            "1 of 2 .*up to 1.5.*choose a normalisation: min-max",
        ),
        (np.array([[0, 1]]), "int64 from 0 to 1"),
        (np.array([[np.nan, 1.0]]), "1 NaN or infinite"),
        (np.zeros(3), r"shape \(3,\)"),
        (np.zeros((0, 3)), "shape"),
        (np.array([["a"]]), "<U1"),
    ],
)
def test_what_is_no_map_is_refused(map_: np.ndarray, found: str) -> None:
    with pytest.raises(WsolbenchError, match=found):
        normalisation_named("none")(map_)


@pytest.mark.parametrize("text", ["", "minmax", "ivr:", "ivr:100", "ivr:-1", "max:5", "pas:x"])
def test_other_names_are_refused(text: str) -> None:
    with pytest.raises(WsolbenchError, match="min-max, max, pas, ivr, pas:P or ivr:P"):
        normalisation_named(text)


def test_lists_of_names() -> None:
    assert [own.name for own in normalisations_named("max, ivr,ivr:30")] == [
        "max",
        "ivr:45",
        "ivr:30",
    ]
    with pytest.raises(WsolbenchError, match="each once"):
        normalisations_named("ivr,ivr:45")
    assert "30-th percentile" in normalisation_named("ivr:30").words
