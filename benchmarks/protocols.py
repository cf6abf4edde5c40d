"""What one image costs under each protocol, on one core, beside the program that it reproduces.

    python -m benchmarks.protocols [--images 64] [--rounds 5] [--only wsoleval-v1,wsoleval-pxap]

Images at ILSVRC's sizes with smooth 40x40 maps, one box each. wsolevaluation's own loops in NumPy
and OpenCV stand beside three protocols: MaxBoxAcc and MaxBoxAccV2 find contours at each of 1,000
thresholds and compare all boxes at once, PxAP counts values by `numpy.histogram`. These loops are
given maps, decoded masks and boxes; ours read and decode them. The scores are compared first. Times
are processor times, since these do not depend on what else the machine does as wall times do.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from wsolbench.data.dataset import Dataset
from wsolbench.evaluation.evaluator import Evaluator, score_together
from wsolbench.formats.submission.reader import Submission
from wsolbench.metrics.contours import plus_one_iou
from wsolbench.protocols import PROTOCOLS

from .common import by_turns, draw, frequent_sizes, heading, machine, row

SIDE = 224
SHARES = np.arange(0, 1, 0.001)
EDGES = np.append(SHARES, [1.0, 2.0, 3.0])
V1, V2, PXAP = "wsoleval-v1", "wsoleval-v2", "wsoleval-pxap"
TOGETHER = ((V1, V2), (V1, V2, PXAP))


class Given(NamedTuple):
    """One image as wsolevaluation has it: a map, and the mask and boxes at the image's size."""

    map_: NDArray[np.uint8]
    mask: NDArray[np.uint8]
    boxes: NDArray[np.int32]


def scaled(map_: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The map on the grid, by min-max."""
    resized = cv2.resize(map_ / 255, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    resized -= resized.min()
    return np.asarray(resized / resized.max())


def box_acc(images: Iterable[Given], every: bool) -> float:
    """MaxBoxAcc at an IoU of .5, or the same of each contour's box."""
    right = np.zeros(len(SHARES), np.int64)
    count = 0
    for map_, mask, boxes in images:
        height, width = mask.shape
        corners = (boxes - (0, 0, 1, 1)) * SIDE / (width, height, width, height)
        levels = (255 * scaled(map_)).astype(np.uint8)
        found, numbers = [], []
        for share in SHARES:
            _, binary = cv2.threshold(levels, int(share * levels.max()), 255, cv2.THRESH_BINARY)
            contours = cv2.findContours(binary, cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE)[-2]
            for contour in contours if every else [max(contours, key=cv2.contourArea)]:
                x, y, wide, high = cv2.boundingRect(contour)
                found.append([x, y, min(x + wide, SIDE - 1), min(y + high, SIDE - 1)])
            numbers.append(len(contours) if every else 1)
        best = plus_one_iou(np.array(found), corners.astype(np.int64)).max(axis=1)
        right += np.maximum.reduceat(best, np.cumsum([0, *numbers[:-1]])) >= 0.5
        count += 1
    return float(right.max() / count)


def pxap(images: Iterable[Given]) -> float:
    """PxAP."""
    counts = np.zeros((2, len(EDGES) - 1), np.int64)
    for map_, mask, _ in images:
        values, on_grid = scaled(map_), cv2.resize(mask, (SIDE, SIDE), interpolation=0)
        counts[1] += np.histogram(values[on_grid == 1], EDGES)[0]
        counts[0] += np.histogram(values[on_grid == 0], EDGES)[0]
    false, true = counts[:, ::-1].cumsum(axis=1)
    called = true + false > 0
    precision, recall = (true[called] / (true + false)[called]), true[called] / true[-1]
    return float((precision[1:] * np.diff(recall)).sum() + precision[0] * recall[0])


def measure(
    data: Dataset, submission: Submission, names: Sequence[str], rounds: int
) -> dict[str, list[float]]:
    """Seconds of each protocol, some of them together and the peers, whose scores are the same."""
    maps = submission.read(range(len(data)))
    images = [
        Given(map_, data[place].mask.astype(np.uint8), data[place].boxes)
        for place, map_ in enumerate(maps)
    ]
    peers: dict[str, Callable[[], float]] = {
        V1: partial(box_acc, images, every=False),
        V2: partial(box_acc, images, every=True),
        PXAP: partial(pxap, images),
    }

    def ours(*own: str) -> list[Evaluator]:
        evaluators = [Evaluator(data, name) for name in own]
        score_together(evaluators, submission, jobs=1)
        return evaluators

    ways: dict[str, Callable[[], object]] = {name: partial(ours, name) for name in names}
    for name in peers.keys() & set(names):
        scores = ours(name)[0].result().scores
        score = scores["ap" if name == PXAP else "max_box_acc"]
        if abs(score - peers[name]()) > 1e-12:
            raise SystemExit(f"{name}: the scores disagree")
        ways[f"{name} peer"] = peers[name]
    ways |= {",".join(own): partial(ours, *own) for own in TOGETHER if set(own) <= set(names)}
    return by_turns(ways, rounds, clock=time.process_time)


def main() -> None:
    parser = argparse.ArgumentParser(description="Time one image under each protocol.")
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default=",".join(PROTOCOLS), help="protocols, with commas")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        sizes = frequent_sizes(np.random.default_rng(0), options.images)
        store, maps = draw(Path(folder), sizes)
        data, submission = Dataset.open(store), Submission.open(maps)
        times = measure(data, submission, options.only.split(","), options.rounds)
    fastest = {name: 1e3 / options.images * min(own) for name, own in times.items()}
    print(machine("numpy", "opencv-python-headless"))
    print(f"ms of processor time an image, fastest of {options.rounds} rounds by turns\n")
    print(heading("protocol", "ours", "the program's own loop", "ratio"))
    for name, own in fastest.items():
        if (peer := f"{name} peer") in fastest:
            print(
                row(f"`{name}`", f"{own:.2f}", f"{fastest[peer]:.2f}", f"{fastest[peer] / own:.1f}")
            )
        elif not name.endswith(" peer"):
            print(row(f"`{name}`", f"{own:.2f}", "", ""))


if __name__ == "__main__":
    main()
