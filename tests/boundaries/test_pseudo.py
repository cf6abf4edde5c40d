"""Pseudo-boundaries of a drawn shape, and of maps and photos that show nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from wsolbench.boundaries.pseudo import contour_of, pseudo_boundary, pseudo_steps, resized_map
from wsolbench.boundaries.pseudo_settings import PseudoSettings
from wsolbench.errors import WsolbenchError
from wsolbench.metrics.boundary import boundary_counts, true_boundary

cv2 = pytest.importorskip("cv2")


def scene(seed: int = 0) -> tuple[NDArray[np.uint8], NDArray[np.bool_], NDArray[np.float32]]:
    """A photo of an ellipse on a textured ground, its mask, and a coarse map of it."""
    rng = np.random.default_rng(seed)
    picture = Image.new("L", (180, 140))
    ImageDraw.Draw(picture).ellipse((40, 25, 130, 110), fill=1)
    mask = np.array(picture) > 0
    ground = rng.normal((90, 110, 80), 9, (140, 180, 3))
    toy = rng.normal((210, 180, 90), 9, (140, 180, 3))
    photo = np.where(mask[..., None], toy, ground).clip(0, 255).astype(np.uint8)
    blurred = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 14)
    coarse = cv2.resize(blurred, (14, 11), interpolation=cv2.INTER_AREA)
    return photo, mask, (coarse / coarse.max()).astype(np.float32)


def precision_and_recall(found: NDArray[np.bool_], mask: NDArray[np.bool_]) -> tuple[float, float]:
    counts = boundary_counts(
        found.astype(np.uint8) * 255, true_boundary(mask), max_distance=2 / np.hypot(*mask.shape)
    )
    matched = int(counts.matched[0])
    return matched / max(int(counts.predicted[0]), 1), matched / int(counts.true)


def test_each_step_comes_nearer_to_the_outline() -> None:
    photo, mask, map_ = scene()
    steps = pseudo_steps(map_, photo)
    of_map = precision_and_recall(contour_of(steps.map > 0.5), mask)
    of_crf = precision_and_recall(steps.contour, mask)
    fused = precision_and_recall(steps.boundary, mask)
    assert max(of_map) < 0.6
    assert min(of_crf) > 0.8
    assert min(fused) > 0.95
    assert steps.boundary.sum() < 1.3 * true_boundary(mask).sum()
    assert np.array_equal(pseudo_boundary(map_, photo), steps.boundary)


def test_canny_edges_far_from_the_contour_are_dropped_and_gaps_are_filled() -> None:
    photo, _, map_ = scene()
    photo[60:75, 80:95] = 255  # a badge inside the object
    steps = pseudo_steps(map_, photo)
    assert steps.canny[55:80, 75:100].any()
    assert not steps.boundary[62:73, 82:93].any()
    blind = pseudo_steps(map_, photo, PseudoSettings(canny_low=5000.0, canny_high=5000.0))
    assert not blind.canny.any()
    assert np.array_equal(blind.boundary, blind.contour)
    near = pseudo_steps(map_, photo, PseudoSettings(reach=0.5)).boundary
    assert not np.array_equal(near, steps.boundary)


def test_the_largest_component_gives_the_contour() -> None:
    region = np.zeros((30, 40), np.bool_)
    region[2:5, 2:35] = True  # long, but fewer pixels
    region[10:25, 10:25] = True
    region[15:18, 15:18] = False  # a hole has no contour
    found = contour_of(region)
    expected = np.zeros_like(region)
    expected[10:25, 10:25] = True
    expected[11:24, 11:24] = False
    assert np.array_equal(found, expected)


def test_the_frame_is_no_boundary() -> None:
    region = np.zeros((20, 30), np.bool_)
    region[:12, :15] = True
    found = contour_of(region)
    assert found[11, 1:15].all()
    assert found[1:12, 14].all()
    assert not found[0].any()
    assert not found[:, 0].any()
    assert not contour_of(np.ones((20, 30), np.bool_)).any()
    assert not contour_of(np.zeros((20, 30), np.bool_)).any()


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (2, 2), (40, 3), (50, 60)])
@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_maps_that_show_nothing_have_no_boundary(size: tuple[int, int], value: float) -> None:
    rng = np.random.default_rng(0)
    for photo in (
        np.full((*size, 3), 90, np.uint8),
        rng.integers(0, 256, (*size, 3)).astype(np.uint8),
    ):
        map_ = np.full((3, 4), value, np.float32)
        assert not pseudo_boundary(map_, photo).any()


def test_maps_of_bytes_are_those_of_floats() -> None:
    photo, _, map_ = scene()
    levels = np.rint(255 * map_).astype(np.uint8)
    floats = levels.astype(np.float32) / np.float32(255)
    assert np.array_equal(pseudo_boundary(levels, photo), pseudo_boundary(floats, photo))
    assert resized_map(np.ones((1, 1), np.uint8) * 255, 3, 4).tolist() == [[1.0] * 4] * 3


def test_refusals() -> None:
    photo, _, map_ = scene()
    for photo_, map__, message in (
        (photo[..., 0], map_, r"photo: found uint8 of shape \(140, 180\)"),
        (photo / 255, map_, "photo: found float64"),
        (photo, map_ * 2, "map: found"),
    ):
        with pytest.raises(WsolbenchError, match=message):
            pseudo_boundary(map__, photo_)


def test_a_photo_of_one_colour_leaves_the_contour() -> None:
    _, _, map_ = scene()
    steps = pseudo_steps(map_, np.full((140, 180, 3), 90, np.uint8))
    assert not steps.canny.any()
    assert steps.contour.sum() > 100
    assert np.array_equal(steps.boundary, steps.contour)


def test_a_region_that_fills_the_photo_has_no_boundary() -> None:
    photo, _, map_ = scene()
    steps = pseudo_steps(0.9 + 0.1 * map_, photo)
    assert (steps.crf > 0.5).all()
    assert not steps.boundary.any()


def test_threads_change_nothing() -> None:
    """Large enough that PyTorch and OpenCV divide the work."""
    rng = np.random.default_rng(5)
    photo = rng.integers(0, 256, (330, 410, 3)).astype(np.uint8)
    photo = cv2.GaussianBlur(photo, (0, 0), 4) * 3
    map_ = rng.random((9, 12), np.float32)
    before = torch.get_num_threads(), cv2.getNumThreads()
    found = []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            cv2.setNumThreads(threads)
            found.append(pseudo_steps(map_, photo, PseudoSettings(crf_window=3, crf_blur=1)))
    finally:
        torch.set_num_threads(before[0])
        cv2.setNumThreads(before[1])
    assert found[0].boundary.any()
    for other in found[1:]:
        for step in ("map", "crf", "contour", "canny", "boundary"):
            assert getattr(other, step).tobytes() == getattr(found[0], step).tobytes(), step
