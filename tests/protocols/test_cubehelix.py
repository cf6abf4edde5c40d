"""Cubehelix by its formula, against matplotlib's, which the program behind `adl` paints with."""

from __future__ import annotations

import numpy as np
import pytest

from wsolbench.protocols.steps import cubehelix, greys_of


def test_cubehelix_goes_from_black_to_white_around_the_greys() -> None:
    colours = cubehelix()
    assert colours.shape == (256, 3)
    assert colours[0].tolist() == [0, 0, 0]
    assert colours[255].tolist() == [1, 1, 1]
    # By hand at x = .2: the angle is 2 pi (1/6 - .3) = -.8378, the amplitude .2 * .8 / 2 = .08.
    assert colours[51] == pytest.approx([0.0861, 0.2382, 0.3056], abs=5e-5)


def test_cubehelix_is_matplotlibs_to_the_bit() -> None:
    colormaps = pytest.importorskip("matplotlib", reason="its colours are compared with").colormaps
    assert np.array_equal(cubehelix(), colormaps["cubehelix"](np.arange(256))[:, :3])


def test_greys_are_those_of_matplotlibs_colours() -> None:
    cv2 = pytest.importorskip("cv2", reason="it makes greys of colours")
    colormaps = pytest.importorskip("matplotlib", reason="its colours are compared with").colormaps
    colours = (255 * colormaps["cubehelix"](np.arange(256))[None, :, :3]).astype(np.uint8)
    greys = cv2.cvtColor(np.ascontiguousarray(colours), cv2.COLOR_RGB2GRAY)[0]
    found = greys_of(np.arange(256) / 256)
    assert found.dtype == np.uint8
    assert np.array_equal(found, greys)
