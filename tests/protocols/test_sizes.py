"""Protocols at other map sizes: what changes, their names, and their way through files."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import annotation, random_dataset, random_maps
from wsolbench.data.dataset import Dataset
from wsolbench.errors import WsolbenchError
from wsolbench.evaluation.evaluator import Evaluator
from wsolbench.formats.annotations import AnnotationSet, write_store
from wsolbench.protocols import PROTOCOLS, Protocol, as_protocol, as_protocols, at_size
from wsolbench.protocols.steps import values_on_grid

cv2 = pytest.importorskip("cv2", reason="pip install 'wsolbench[opencv]'")

SIZED = [name for name, protocol in PROTOCOLS.items() if protocol.grid is not None]
COUNT = 6


def scored(dataset: Dataset, protocol: str, maps: list[np.ndarray]) -> dict[str, Any]:
    evaluator = Evaluator(dataset, protocol)
    evaluator.update(dataset.image_ids, maps)
    result = evaluator.result()
    return {**result.scores, **result.curves}


@pytest.mark.parametrize("name", SIZED)
def test_size_changes_the_grid_and_the_whole_box_alone(name: str) -> None:
    own, sized = PROTOCOLS[name], as_protocol(f"{name}:96")
    changed = {
        item.name: getattr(sized, item.name)
        for item in dataclasses.fields(own)
        if getattr(sized, item.name) != getattr(own, item.name)
    }
    whole = {"box_empty": (0, 0, 96, 96)} if own.averaging.value == "classes" else {}
    assert changed == {"name": f"{name}:96", "grid": 96, **whole}
    assert sized.sha256 != own.sha256
    assert Protocol.from_dict(json.loads(json.dumps(sized.as_dict()))) == sized
    assert at_size(own, 96) == sized
    assert as_protocol(sized) is sized


@pytest.mark.parametrize("name", SIZED)
def test_a_protocols_own_size_is_the_protocol_itself(name: str) -> None:
    own = PROTOCOLS[name]
    assert as_protocol(f"{name}:{own.grid}") is own
    assert at_size(own, own.grid or 0) is own
    with pytest.raises(WsolbenchError, match="name each protocol once"):
        as_protocols([name, f"{name}:{own.grid}"])


@pytest.mark.parametrize(
    "size", ["", "0", "-3", "0320", "3e2", "32.0", "abc", "12345", "٣٢", "4:4"]
)
def test_what_is_no_size_is_named(size: str) -> None:
    with pytest.raises(WsolbenchError, match=f"size '{size}', expected an integer from 1 to 4096"):
        as_protocol(f"wsoleval-v1:{size}")


def test_a_size_out_of_range_or_of_no_grid_is_refused() -> None:
    with pytest.raises(WsolbenchError, match="found size 4097, expected an integer from 1 to 4096"):
        as_protocol("wsoleval-v1:4097")
    for side in (0, -1, True, 32.0, "32"):
        with pytest.raises(WsolbenchError, match=f"found size {side!r}"):
            at_size(PROTOCOLS["tscam"], side)
    for name in ("sem", "spa2net"):
        with pytest.raises(WsolbenchError, match=f"own size.*leave the size out: {name}"):
            as_protocol(f"{name}:320")
    with pytest.raises(WsolbenchError, match="found 'nothing', expected sem, wsoleval-v1"):
        as_protocol("nothing:320")
    with pytest.raises(WsolbenchError, match="pass tscam and the size that you want"):
        at_size(as_protocol("tscam:96"), 128)


def test_sized_names_belong_to_their_protocol() -> None:
    other = dataclasses.replace(as_protocol("wsoleval-v1:96"), box_clipped=False)
    with pytest.raises(WsolbenchError, match=r"other fields than those of wsoleval-v1:96\.v2"):
        as_protocol(other)
    for name, grid in (("wsoleval-v1:96", 97), ("mine:96", 224), ("mine:96", None)):
        with pytest.raises(WsolbenchError, match=f"grid {grid} under a name that ends in another"):
            dataclasses.replace(PROTOCOLS["wsoleval-v1"], name=name, grid=grid)
    mine = dataclasses.replace(PROTOCOLS["wsoleval-v1"], name="mine", box_clipped=False)
    assert as_protocol(at_size(mine, 96)).name == "mine:96"


def test_a_map_of_that_size_is_scored_as_it_is() -> None:
    map_ = np.random.default_rng(0).random((96, 96))
    map_ = ((map_ - map_.min()) / (map_ - map_.min()).max()).astype(np.float32)
    for name in SIZED:
        found = values_on_grid(as_protocol(f"{name}:96"), map_, (96, 96))
        assert found.tolist() == map_.tolist(), name


def test_boxes_are_those_of_the_size(tmp_path: Path) -> None:
    """The map's object and the true box are 1 pixel of 2; on a grid of 4, of 8, they are 2, 4."""
    mask = np.zeros((8, 8), bool)
    mask[:4, :4] = True
    write_store(tmp_path / "s.h5", AnnotationSet("drawn", [annotation("a", mask)]))
    dataset = Dataset.open(tmp_path / "s.h5")
    map_ = np.kron(np.array([[1, 0], [0, 0]], np.uint8), np.ones((4, 4), np.uint8))
    # By hand, for MaxBoxAcc: the map's box on a grid of 8 is (0, 0, 4, 4), the true one 0..3 is
    # (0, 0, 3, 3): 16 / 25. A grid of 4 has values of one pixel in two each way, so a box of
    # (0, 0, 2, 2), and 0..3 * 4 / 8, truncated, is 0..1: 4 / 9, which is not enough.
    assert scored(dataset, "wsoleval-v1:8", [map_])["max_box_acc"] == 1
    assert scored(dataset, "wsoleval-v2:8", [map_])["max_box_acc_70"] == 0
    assert scored(dataset, "wsoleval-v1:4", [map_])["max_box_acc"] == 0
    assert scored(dataset, "wsoleval-v2:4", [map_])["max_box_acc_30"] == 1
    # PxAP of masks and maps that coincide is 1 at any size.
    assert scored(dataset, "wsoleval-pxap:8", [map_])["ap"] == 1


def slow_max_box_acc(dataset: Dataset, maps: list[np.ndarray], side: int) -> float:
    """MaxBoxAcc in plain loops, on a grid of `side`."""
    right = np.zeros((len(dataset), 1000), bool)
    for place, (sample, map_) in enumerate(zip(dataset, maps, strict=True)):
        height, width = sample.mask.shape
        values = cv2.resize(map_ / 255, (side, side), interpolation=cv2.INTER_CUBIC)
        values -= values.min()
        levels = (values / (values.max() or 1) * 255).astype(np.uint8)
        truth = [
            [int(end * side / all_) for end, all_ in zip(box, (width, height) * 2, strict=True)]
            for box in (sample.boxes - (0, 0, 1, 1)).tolist()
        ]
        for step, share in enumerate(np.arange(0, 1, 0.001)):
            picture = (levels > int(share * levels.max())).astype(np.uint8)
            found = cv2.findContours(picture, cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE)[-2]
            x, y, w, h = (0, 0, 0, 0)
            if found:
                x, y, w, h = cv2.boundingRect(max(found, key=cv2.contourArea))
            box = (x, y, min(x + w, side - 1), min(y + h, side - 1))
            for true in truth:
                wide = max(min(box[2], true[2]) - max(box[0], true[0]) + 1, 0)
                high = max(min(box[3], true[3]) - max(box[1], true[1]) + 1, 0)
                both = sum((b[2] - b[0] + 1) * (b[3] - b[1] + 1) for b in (box, true))
                right[place, step] |= wide * high / (both - wide * high) >= 0.5
    return float(right.mean(axis=0).max())


@pytest.mark.parametrize("side", [1, 17, 64])
def test_max_box_acc_at_a_size_against_plain_loops(tmp_path: Path, side: int) -> None:
    dataset, maps = random_dataset(tmp_path / "r.h5", COUNT), random_maps(COUNT)
    found = scored(dataset, f"wsoleval-v1:{side}", maps)["max_box_acc"]
    assert found == slow_max_box_acc(dataset, maps, side)
