"""What one image costs under each protocol, on one core.

    python -m benchmarks.protocols [--images 8] [--rounds 5]

Images at ILSVRC's sizes with smooth 40x40 maps, one box each. The other way is what wsolevaluation
does for MaxBoxAcc and MaxBoxAccV2: contours at each of 1,000 thresholds, whether or not anything
changed since the one before. The scores are compared first.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from wsolbench.data.dataset import Dataset, Sample
from wsolbench.evaluation.evaluator import Evaluator
from wsolbench.formats.submission.reader import Submission
from wsolbench.metrics.contours import plus_one_iou
from wsolbench.protocols import PROTOCOLS

from .common import both, by_turns, draw, frequent_sizes, heading, machine, ratio, row

SIDE = 224
SHARES = np.arange(0, 1, 0.001)
LOOPED = ("wsoleval-v1", "wsoleval-v2")


def loop(sample: Sample, map_: NDArray[np.uint8], every: bool) -> NDArray[np.bool_]:
    """Whether a box has an IoU of .5, at each threshold."""
    height, width = sample.mask.shape
    corners = (sample.boxes - (0, 0, 1, 1)) * SIDE / (width, height, width, height)
    resized = cv2.resize(map_ / 255, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    levels = (255 * (resized - resized.min()) / np.ptp(resized)).astype(np.uint8)
    right = np.empty(len(SHARES), dtype=np.bool_)
    for place, share in enumerate(SHARES):
        _, binary = cv2.threshold(levels, int(share * levels.max()), 255, cv2.THRESH_BINARY)
        found = cv2.findContours(binary, cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE)[-2]
        kept = found if every else [max(found, key=cv2.contourArea)]
        boxes = np.array([cv2.boundingRect(contour) for contour in kept])
        boxes[:, 2:] = np.minimum(boxes[:, 2:] + boxes[:, :2], SIDE - 1)
        right[place] = plus_one_iou(boxes, corners.astype(np.int64)).max() >= 0.5
    return right


def measure(data: Dataset, submission: Submission, rounds: int) -> dict[str, list[float]]:
    """Seconds of each protocol and of the loops, once their scores are seen to be the same."""
    places = range(len(data))
    maps, top5 = submission.read(places), submission.top5

    def ours(name: str) -> Evaluator:
        evaluator = Evaluator(data, name)
        evaluator.update(data.image_ids, maps, top5)
        return evaluator

    def looped(name: str) -> list[NDArray[np.bool_]]:
        return [loop(data[place], maps[place], name == LOOPED[1]) for place in places]

    for name in LOOPED:
        best = float(np.mean(looped(name), axis=0).max())
        if ours(name).result().scores["max_box_acc"] != best:
            raise SystemExit(f"{name}: the scores disagree")
    ways: dict[str, Callable[[], object]] = {name: partial(ours, name) for name in PROTOCOLS}
    ways |= {f"{name} loop": partial(looped, name) for name in LOOPED}
    return by_turns(ways, rounds, clock=time.process_time)


def main() -> None:
    parser = argparse.ArgumentParser(description="Time one image under each protocol.")
    parser.add_argument("--images", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        sizes = frequent_sizes(np.random.default_rng(0), options.images)
        store, maps = draw(Path(folder), sizes)
        times = measure(Dataset.open(store), Submission.open(maps), options.rounds)
    print(machine("numpy", "opencv-python-headless"))
    print(f"ms an image on one core, median (fastest) of {options.rounds} rounds by turns\n")
    print(heading("protocol", "ours", "1,000 thresholds in a loop", "ratio"))
    for name in PROTOCOLS:
        cells = [both(times[name], 1e3 / options.images), "-", "-"]
        if name in LOOPED:
            other = times[f"{name} loop"]
            cells[1:] = both(other, 1e3 / options.images), ratio(other, times[name])
        print(row(f"`{name}`", *cells))


if __name__ == "__main__":
    main()
