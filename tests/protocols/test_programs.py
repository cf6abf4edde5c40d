"""Box protocols with a fixed threshold against their programs' steps, written down once more.

Here NumPy, SciPy and OpenCV do image by image, in plain loops, what docs/protocols.md says of each
program; nothing is shared with the package but the reading of files. The thresholds and sizes that
`test_golden` has no numbers of are tested by these steps, as are those that it has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import random_dataset, random_maps
from wsolbench.data.dataset import Dataset, Sample
from wsolbench.evaluation.evaluator import Evaluator

cv2 = pytest.importorskip("cv2", reason="pip install 'wsolbench[opencv]'")
ndimage = pytest.importorskip("scipy.ndimage", reason="labels components")

COUNT = 9
SIDE = 224
Box = Sequence[float]


def values(map_: np.ndarray) -> np.ndarray:
    return map_ / 255 if map_.dtype == np.uint8 else map_.astype(np.float64)


def stretched(map_: np.ndarray) -> np.ndarray:
    """Scaled by min-max, in the map's own type."""
    moved = map_ - map_.min()
    return moved / moved.max() if moved.max() > 0 else moved


def on_grid(map_: np.ndarray, side: int = SIDE) -> np.ndarray:
    return np.asarray(cv2.resize(map_.astype(np.float32), (side, side)))


def floored(map_: np.ndarray) -> np.ndarray:
    return np.floor(255 * map_).astype(np.int64)


def iou(one: Box, other: Box) -> float:
    width = max(0, min(one[2], other[2]) - max(one[0], other[0]) + 1)
    height = max(0, min(one[3], other[3]) - max(one[1], other[1]) + 1)
    areas = [(box[2] - box[0] + 1) * (box[3] - box[1] + 1) for box in (one, other)]
    return width * height / (areas[0] + areas[1] - width * height)


def best(boxes: Iterable[Box], truth: Sequence[Box]) -> float:
    return max(iou(box, true) for box in boxes for true in truth)


def true_boxes(
    sample: Sample, change: Callable[[float], float], side: int = SIDE
) -> list[list[float]]:
    """Scaled to the grid, each corner changed."""
    height, width = sample.mask.shape
    sides = (width, height, width, height)
    inclusive = (sample.boxes - (0, 0, 1, 1)).tolist()
    return [
        [change(corner / pixels * side) for corner, pixels in zip(box, sides, strict=True)]
        for box in inclusive
    ]


def outlines(foreground: np.ndarray) -> list[Any]:
    picture = foreground.astype(np.uint8) * 255
    return list(cv2.findContours(picture, cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE)[-2])


def around(outline: Any) -> Box:
    x, y, width, height = cv2.boundingRect(outline)
    return x, y, x + width, y + height


def fixed(levels: np.ndarray, share: float, truth: Sequence[Box]) -> float:
    """The IoU of TS-CAM's and ADL's box."""
    found = outlines(levels > int(share * levels.max()))
    box = around(max(found, key=cv2.contourArea)) if found else (0, 0, 1, 1)
    return best([box], truth)


def tscam(sample: Sample, map_: np.ndarray, threshold: float = 0.12, side: int = SIDE) -> float:
    resized = on_grid(values(map_), side)
    truth = true_boxes(sample, lambda corner: int(min(corner, side - 1)), side)
    return fixed(floored(stretched(resized)), threshold, truth)


def adl(sample: Sample, map_: np.ndarray) -> float:
    colormaps = pytest.importorskip("matplotlib").colormaps
    resized = on_grid(values(map_))
    scaled = stretched(resized.astype(np.float64))
    colours = (255 * colormaps["cubehelix"](scaled)[..., :3]).astype(np.uint8)
    grey = cv2.cvtColor(np.ascontiguousarray(colours), cv2.COLOR_RGB2GRAY).astype(np.int64)
    return fixed(grey, 0.2, true_boxes(sample, int)[:1])


def bas(sample: Sample, map_: np.ndarray, threshold: float) -> float:
    resized = on_grid(stretched(values(map_).astype(np.float32)))
    parts, count = ndimage.label(resized > threshold, np.ones((3, 3)))
    box: Box = (0, 0, SIDE, SIDE)
    if count:
        y, x = np.nonzero(parts == np.bincount(parts.ravel())[1:].argmax() + 1)
        box = (x.min(), y.min(), x.max() + 1, y.max() + 1)
    return best([box], true_boxes(sample, float))


@pytest.fixture(params=[(1, "uint8"), (2, "float32"), (3, "noise")], ids=lambda it: it[1])
def scene(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Dataset, list[Any], np.ndarray]:
    """Images of 2 to 39 pixels a side with one to three boxes; their maps; five classes each."""
    seed, kind = request.param
    rng = np.random.default_rng(seed)
    maps: list[Any] = random_maps(COUNT, seed)
    if kind == "float32":
        maps = [(map_ / 255).astype(np.float32) for map_ in maps]
    if kind == "noise":
        maps = [rng.random(rng.integers(1, 30, 2)).astype(np.float32) for _ in maps]
    top5 = np.stack([rng.permutation(7)[:5] for _ in range(COUNT)])
    return random_dataset(tmp_path / "random.h5", COUNT, seed), maps, top5


def scored(scene: tuple[Dataset, list[Any], np.ndarray], protocol: str) -> dict[str, float]:
    data, maps, top5 = scene
    evaluator = Evaluator(data, protocol)
    evaluator.update(data.image_ids, maps, top5)
    return dict(evaluator.result().scores)


PROGRAMS = {
    "tscam": tscam,
    "tscam-cub": partial(tscam, threshold=0.1),
    "tscam-cub:384": partial(tscam, threshold=0.1, side=384),
    "genpromp": partial(tscam, threshold=0.25, side=512),
    "genpromp-cub": partial(tscam, threshold=0.23, side=512),
    "adl": adl,
}


@pytest.mark.parametrize("name, program", PROGRAMS.items(), ids=PROGRAMS)
def test_boxes_at_a_fixed_threshold(scene: Any, name: str, program: Callable[..., float]) -> None:
    data, maps, top5 = scene
    overlaps = np.array([program(*pair) for pair in zip(data, maps, strict=True)])
    met = top5 == data.class_indices[:, None]
    enough = overlaps >= 0.5 if name == "adl" else overlaps > 0.5
    found = scored(scene, name)
    assert found["gt_known_loc"] == (overlaps >= 0.5).mean()
    assert found["top1_loc"] == (enough & met[:, 0]).mean()
    assert found["top5_loc"] == (enough & met.any(axis=1)).mean()


@pytest.mark.parametrize(
    "name, threshold",
    [
        ("bas", 0.5),
        ("bas-resnet", 0.45),
        ("bas-inception", 0.3),
        ("bas-cub", 0.15),
        ("bas-cub-inception", 0.1),
    ],
)
def test_boxes_averaged_by_class(scene: Any, name: str, threshold: float) -> None:
    data, maps, top5 = scene
    overlaps = [bas(*pair, threshold) for pair in zip(data, maps, strict=True)]
    right, met = np.array(overlaps) > 0.5, top5 == data.class_indices[:, None]
    found = scored(scene, name)
    for key, own in (
        ("gt_known_loc", right),
        ("top1_loc", right & met[:, 0]),
        ("top5_loc", right & met.any(axis=1)),
    ):
        shares = [own[data.class_indices == index].mean() for index in set(data.class_indices)]
        assert found[key] == pytest.approx(np.mean(shares), abs=1e-12)
