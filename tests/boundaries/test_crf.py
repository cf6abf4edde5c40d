"""ConvCRF against the obvious loops, and what each of its settings does."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from wsolbench.boundaries.crf import SMALLEST, conv_crf
from wsolbench.boundaries.pseudo_settings import PseudoSettings
from wsolbench.errors import WsolbenchError

FINE = PseudoSettings(crf_blur=1, crf_window=3, crf_iterations=2)


def cells(plane: NDArray[np.float64], side: int) -> NDArray[np.float64]:
    """Means over squares, those at the frame filled up with its pixels."""
    height, width = (-(-size // side) for size in plane.shape)
    found = np.zeros((height, width))
    for y in range(height * side):
        for x in range(width * side):
            own = plane[min(y, plane.shape[0] - 1), min(x, plane.shape[1] - 1)]
            found[y // side, x // side] += own / side**2
    return found


def brought_back(plane: NDArray[np.float64], y: int, x: int, side: int) -> float:
    """The bilinear value of cells at a pixel, half-pixel centres."""
    place = [
        min(max((own + 0.5) / side - 0.5, 0), size - 1)
        for own, size in zip((y, x), plane.shape, strict=True)
    ]
    (top, left), (down, across) = map(int, place), (own % 1 for own in place)
    low, right = min(top + 1, plane.shape[0] - 1), min(left + 1, plane.shape[1] - 1)
    upper = plane[top, left] * (1 - across) + plane[top, right] * across
    lower = plane[low, left] * (1 - across) + plane[low, right] * across
    return float(upper * (1 - down) + lower * down)


def slow(
    foreground: NDArray[np.float64], photo: NDArray[np.float64], own: PseudoSettings
) -> NDArray[np.float64]:
    """Both labels, softmax, every pair of cells in the window."""
    clipped = foreground.clip(SMALLEST, 1 - SMALLEST)
    unary = np.stack((np.log(1 - clipped), np.log(clipped)))
    labels = np.stack((1 - clipped, clipped))
    side, reach = own.crf_blur, own.crf_window // 2
    colours = np.stack([cells(channel, side) for channel in photo])
    height, width = colours.shape[1:]
    for _ in range(own.crf_iterations):
        small = np.stack([cells(label, side) for label in labels])
        message = np.zeros_like(small)
        for y in range(height):
            for x in range(width):
                for v in range(max(y - reach, 0), min(y + reach + 1, height)):
                    for u in range(max(x - reach, 0), min(x + reach + 1, width)):
                        far = side**2 * ((y - v) ** 2 + (x - u) ** 2)
                        unlike = ((colours[:, y, x] - colours[:, v, u]) ** 2).sum()
                        kernel = own.position_weight * math.exp(
                            -far / (2 * own.position_deviation**2)
                        ) + own.colour_weight * math.exp(-unlike / (2 * own.colour_deviation**2))
                        message[:, y, x] += kernel * small[:, v, u]
        logits = (1 - own.crf_weight) * unary
        for y in range(foreground.shape[0]):
            for x in range(foreground.shape[1]):
                for label in (0, 1):
                    more = brought_back(message[label], y, x, side)
                    logits[label, y, x] += own.crf_weight * more
        powers = np.exp(logits - logits.max(axis=0))
        labels = powers / powers.sum(axis=0)
    return labels[1]


def drawn(seed: int, *, height: int = 6, width: int = 7) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(seed)
    photos = rng.integers(100, 130, (2, 3, height, width)).astype(np.float32)
    return torch.from_numpy(rng.random((2, height, width), np.float32)), torch.from_numpy(photos)


@pytest.mark.parametrize(
    "settings",
    [
        FINE,
        replace(FINE, crf_window=5, crf_weight=0.02),
        replace(FINE, position_weight=0.1, colour_weight=0.3, colour_deviation=40.0),
        replace(FINE, crf_weight=0.05, position_deviation=0.8, crf_iterations=5),
        replace(FINE, crf_blur=2, crf_weight=0.02, position_deviation=2.0),
        PseudoSettings(crf_weight=0.002, crf_iterations=3, position_deviation=5.0),
    ],
)
def test_the_mean_field_is_that_of_the_loops(settings: PseudoSettings) -> None:
    foreground, photos = drawn(1, height=6 * settings.crf_blur + 1, width=7 * settings.crf_blur - 1)
    found = conv_crf(foreground, photos, settings)
    for place in range(2):
        expected = slow(
            foreground[place].double().numpy(), photos[place].double().numpy(), settings
        )
        np.testing.assert_allclose(found[place].numpy(), expected, atol=2e-5)


def test_every_setting_has_an_effect() -> None:
    foreground, photos = drawn(2, height=24, width=26)
    usual = PseudoSettings(position_weight=0.3, colour_weight=0.3, colour_deviation=20.0)
    before = conv_crf(foreground, photos, usual)
    for change in (
        {"crf_window": 5},
        {"crf_iterations": 1},
        {"crf_weight": 0.4},
        {"crf_blur": 2},
        {"position_weight": 1.0},
        {"position_deviation": 6.0},
        {"colour_weight": 1.0},
        {"colour_deviation": 5.0},
    ):
        after = conv_crf(foreground, photos, replace(usual, **change))  # type: ignore[arg-type]
        assert (after - before).abs().max() > 1e-3, change


def test_no_neighbours_leave_the_map() -> None:
    foreground, photos = drawn(3)
    np.testing.assert_allclose(
        conv_crf(foreground, photos, replace(FINE, crf_weight=0.0)).numpy(),
        foreground.clamp(SMALLEST, 1 - SMALLEST).numpy(),
        atol=1e-6,
    )
    same = conv_crf(foreground, photos, replace(FINE, crf_iterations=0))
    assert torch.equal(same, foreground.clamp(SMALLEST, 1 - SMALLEST))


def test_the_region_follows_the_photo() -> None:
    """A coarse map that spills over an edge of the photo is drawn back to it."""
    photos = torch.zeros((1, 3, 40, 40))
    photos[:, :, :, 20:] = 200
    foreground = torch.linspace(0, 1, 40).expand(1, 40, 40) * 0.8  # .5 at column 24
    found = conv_crf(foreground, photos, PseudoSettings(crf_blur=1))
    assert (found[0, :, 20:] > 0.5).all()
    assert (found[0, :, :20] < 0.5).all()


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_extremes_are_finite(value: float) -> None:
    for size in ((1, 1), (1, 5), (9, 2)):
        found = conv_crf(torch.full((1, *size), value), torch.zeros((1, 3, *size)))
        assert torch.isfinite(found).all()
        assert ((found > 0.5) == (value > 0.5)).all()


def test_threads_change_nothing() -> None:
    foreground, photos = drawn(4, height=90, width=70)
    before = torch.get_num_threads()
    found = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        found.append(conv_crf(foreground, photos))
    torch.set_num_threads(before)
    assert torch.equal(*found)


def test_shapes_must_go_together() -> None:
    with pytest.raises(WsolbenchError, match=r"found shapes \(1, 4, 5\) and \(1, 3, 4, 6\)"):
        conv_crf(torch.zeros(1, 4, 5), torch.zeros(1, 3, 4, 6))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"crf_window": 4}, "crf_window: found 4, expected an odd integer"),
        ({"crf_weight": 1.5}, "crf_weight: found 1.5"),
        ({"colour_deviation": 0.0}, "colour_deviation: found 0.0"),
        (
            {"canny_low": 200.0, "canny_high": 150.0},
            "canny_low: found 200.0 above canny_high 150.0",
        ),
        ({"reach": math.nan}, "reach: found nan"),
    ],
)
def test_settings_are_checked(given: dict[str, float], message: str) -> None:
    with pytest.raises(WsolbenchError, match=message):
        PseudoSettings(**given)  # type: ignore[arg-type]
