"""In which float type each step runs: a value one rounding away from a limit shows it.

Each program resizes and scales in the type that its own code gives; docs/protocols.md says which.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import annotation
from wsolbench.data.dataset import Dataset
from wsolbench.evaluation.evaluator import Evaluator
from wsolbench.formats.annotations import AnnotationSet, write_store
from wsolbench.protocols import PROTOCOLS, Scaling, Upsampling
from wsolbench.protocols.steps import on_grid, values_on_grid

pytest.importorskip("cv2", reason="pip install 'wsolbench[opencv]'")

SINGLE = (
    *("tscam", "tscam-cub", "genpromp", "genpromp-cub"),
    *("bas", "bas-resnet", "bas-inception", "bas-cub", "bas-cub-inception"),
)
DOUBLE = ("wsoleval-v1", "wsoleval-v2", "wsoleval-pxap", "dawsol-piou", "adl")
HIGHEST = np.float32(1 - 2**-24)


def just_below(limit: float) -> np.float32:
    """A value whose share of `HIGHEST` is the limit in float32, but less than it in float64."""
    value = np.nextafter(np.float32(limit), np.float32(0))
    assert value / HIGHEST == np.float32(limit)
    assert float(value) / float(HIGHEST) < limit
    return value


def stepped(value: np.float32) -> np.ndarray:
    """A map of the grid's size, which no resizing moves: `value` in a part, and the extremes."""
    map_ = np.zeros((224, 224), np.float32)
    map_[50:100, 50:200] = value
    map_[50:100, 50:100] = HIGHEST
    return map_


@pytest.mark.parametrize("name", [*SINGLE, *DOUBLE])
def test_values_have_the_type_of_the_program(name: str) -> None:
    wanted = np.float64 if name in DOUBLE else np.float32
    limit = 52 / 256
    for map_ in (stepped(just_below(limit)), np.arange(12, dtype=np.uint8).reshape(3, 4)):
        assert values_on_grid(PROTOCOLS[name], map_, (224, 224)).dtype == wanted
    shares = values_on_grid(PROTOCOLS[name], stepped(just_below(limit)), (224, 224))
    assert (shares[75, 150] < limit) == (name in DOUBLE)


def test_every_protocol_that_scales_floats_is_in_the_lists() -> None:
    floats = (Upsampling.OPENCV_CUBIC, Upsampling.OPENCV_LINEAR)
    tested = {name for name, own in PROTOCOLS.items() if own.upsampling in floats}
    assert {*SINGLE, *DOUBLE} == tested


def test_adl_scales_in_float64(tmp_path: Path) -> None:
    """Of 255, int(.2 * 255) = 51 is the grey of step 51, which the part has, and not that of 52."""
    mask = np.zeros((224, 224), bool)
    mask[50:100, 50:100] = True
    write_store(tmp_path / "s.h5", AnnotationSet("drawn", [annotation("a", mask)]))
    dataset = Dataset.open(tmp_path / "s.h5")
    in_float32 = replace(PROTOCOLS["adl"], name="mine", scaling=Scaling.LAST)
    found = []
    for protocol in ("adl", in_float32):
        for value in (just_below(52 / 256), np.float32(52 / 256)):
            evaluator = Evaluator(dataset, protocol)
            evaluator.update(["a"], [stepped(value)])
            found.append(evaluator.result().scores["gt_known_loc"])
    assert found == [1, 0, 0, 0]


def test_the_record_of_adl_says_so() -> None:
    adl = PROTOCOLS["adl"]
    assert (adl.version, adl.scaling, adl.upsampling) == (
        3,
        Scaling.LAST_FLOAT64,
        Upsampling.OPENCV_LINEAR,
    )
    assert adl.sha256 == "eb242d2b16ebdf07381ea2c986a968c79cbaf12e8127248b87b65e0876d12217"


def test_bytes_are_made_in_float64() -> None:
    """SPA2Net's evaluator casts maps to float64; in float32 the part would have level 85."""
    map_ = np.array([[0, 0.25, 0.75]], np.float32)
    share = 0.25 / (0.75 + 1e-10)
    assert np.float32(share) * np.float32(255) == 85
    assert on_grid(PROTOCOLS["spa2net"], map_, (1, 3)).tolist() == [[0, 84, 254]]
