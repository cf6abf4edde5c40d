"""One image of 500x375 at all 256 thresholds on one core: pixels and boxes, ours and others'.

    python -m benchmarks.kernels [--rounds 15]

Pixels: the IoU curve from a map and compressed run lengths, decoding included; beside it a NumPy
loop that compares arrays, and the histograms of PySODMetrics where it is installed (its pins are
older than ours: pip install --no-deps pysodmetrics, and what it imports). Boxes: the box of the
largest component; beside it OpenCV's contours (the largest by area, which is another box where a
region has holes or is thin) and its components with statistics (the same box).

The floor of the pixel count is one read and one increment a pixel: it is measured as NumPy's own
histogram of bytes (np.bincount) and as a plain pass over the bytes of the image.
"""

from __future__ import annotations

import argparse
import statistics
import warnings
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.common import blob, by_turns, machine, row, smooth_map
from wsolbench import masks
from wsolbench.metrics import boxes as box_metrics
from wsolbench.metrics import kernels, pixel
from wsolbench.metrics.levels import level_map

HEIGHT, WIDTH = 375, 500
SAME = 32  # images in one call of ours: the evaluator hands over blocks


def numpy_curve(map_: NDArray[np.uint8], packed: masks.RunLengths) -> NDArray[np.float64]:
    """The IoU at each threshold by comparing arrays."""
    mask = masks.decode(packed)
    levels = cv2.resize(map_.astype(np.float32), (WIDTH, HEIGHT)).astype(np.uint8)
    curve = np.empty(256)
    for threshold in range(256):
        found = levels >= threshold
        curve[threshold] = (found & mask).sum() / (found | mask).sum()
    return curve


def pysod_curve(map_: NDArray[np.uint8], packed: masks.RunLengths) -> object:
    """The same with PySODMetrics."""
    import py_sod_metrics  # type: ignore[import-not-found,unused-ignore]

    handler = py_sod_metrics.IOUHandler(with_dynamic=True, with_adaptive=False)
    metric = py_sod_metrics.FmeasureV2(metric_handlers={"iou": handler})
    levels = cv2.resize(map_.astype(np.float32), (WIDTH, HEIGHT)).astype(np.uint8)
    metric.step(pred=levels, gt=masks.decode(packed).astype(np.uint8) * 255)
    return metric.get_results()["iou"]["dynamic"]


def contour_boxes(levels: NDArray[np.uint8]) -> NDArray[np.int32]:
    """The box of the contour of largest area at each threshold."""
    found = np.zeros((256, 4), np.int32)
    for threshold in range(256):
        binary = (levels >= threshold).astype(np.uint8)
        contours, _ = cv2.findContours(binary, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        if contours:
            x, y, width, height = cv2.boundingRect(max(contours, key=cv2.contourArea))
            found[threshold] = x, y, x + width, y + height
    return found


def component_boxes(levels: NDArray[np.uint8]) -> NDArray[np.int32]:
    """The box of the component with the most pixels at each threshold."""
    found = np.zeros((256, 4), np.int32)
    for threshold in range(256):
        binary = (levels >= threshold).astype(np.uint8)
        count, _, about, _ = cv2.connectedComponentsWithStats(binary, connectivity=8)
        if count > 1:
            x, y, width, height, _ = about[1 + about[1:, cv2.CC_STAT_AREA].argmax()]
            found[threshold] = x, y, x + width, y + height
    return found


def ours(
    map_: NDArray[np.uint8], packed: masks.RunLengths, with_boxes: bool
) -> Callable[[], NDArray[np.float64]]:
    """A call that measures `SAME` images and forms their IoU curves."""
    text = np.frombuffer(packed.counts, np.uint8)
    counts = np.empty((SAME, 3, 256), np.int32)
    boxes = np.empty((SAME if with_boxes else 0, 256, 4), np.int32)
    none, starts = np.empty(0, np.uint8), np.arange(SAME + 1)
    arguments = (
        np.tile(map_.ravel(), SAME).astype(np.float32),
        starts * map_.size,
        np.tile(map_.shape, (SAME, 1)),
        np.tile((HEIGHT, WIDTH), (SAME, 1)),
        np.tile(text, SAME),
        starts * text.size,
        none,
        np.zeros(SAME + 1, np.int64),
        counts,
        boxes,
    )

    def call() -> NDArray[np.float64]:
        kernels.measure(*arguments)
        return pixel.iou(counts[:, :2].astype(np.int64))

    return call


def main() -> None:
    parser = argparse.ArgumentParser(description="Time one image at all thresholds.")
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    warnings.simplefilter("ignore")
    cv2.setNumThreads(1)
    rng = np.random.default_rng(0)
    mask = blob(rng, HEIGHT, WIDTH)
    packed = masks.encode(mask)
    maps = {
        "smooth, 40x40": smooth_map(rng),
        "rough, 40x40": smooth_map(rng, sigma=1),
        "noise, 40x40": smooth_map(rng, sigma=0),
        "noise, 500x375": rng.integers(0, 256, (HEIGHT, WIDTH)).astype(np.uint8),
    }
    print(machine("numpy", "numba", "opencv-python-headless", "pysodmetrics"))
    for name, map_ in maps.items():
        levels = level_map(map_, HEIGHT, WIDTH)
        pixels, both = ours(map_, packed, False), ours(map_, packed, True)
        if not (box_metrics.largest_boxes(levels) == component_boxes(levels)).all():
            raise SystemExit("the boxes differ from OpenCV's components")
        plain = levels.ravel()
        ways: dict[str, Callable[[], object]] = {
            "ours, pixels": pixels,
            "NumPy, arrays compared": lambda map_=map_: numpy_curve(map_, packed),  # type: ignore[misc]
            "ours, pixels and boxes": both,
            "OpenCV, contours": lambda levels=levels: contour_boxes(levels),  # type: ignore[misc]
            "OpenCV, components": lambda levels=levels: component_boxes(levels),  # type: ignore[misc]
            "floor: np.bincount": lambda plain=plain: np.bincount(plain, minlength=256),  # type: ignore[misc]
            "floor: one pass": lambda plain=plain: plain.max(),  # type: ignore[misc]
        }
        try:
            pysod_curve(map_, packed)
            ways["PySODMetrics, histograms"] = lambda map_=map_: pysod_curve(map_, packed)  # type: ignore[misc]
        except ImportError:
            pass
        seconds = by_turns(ways, rounds)
        for key in ("ours, pixels", "ours, pixels and boxes"):
            seconds[key] = [value / SAME for value in seconds[key]]
        base = statistics.median(seconds["ours, pixels"])
        pairs = zip(seconds["ours, pixels and boxes"], seconds["ours, pixels"], strict=True)
        seconds["ours, boxes alone"] = [both - alone for both, alone in pairs]
        boxes = statistics.median(seconds["ours, boxes alone"])
        print(f"\n{name}\n\n| ms an image | median | fastest | times ours |\n|---|---:|---:|---:|")
        for key in sorted(seconds, key=lambda key: statistics.median(seconds[key])):
            print(row(key, seconds[key], boxes if "OpenCV" in key else base))


if __name__ == "__main__":
    main()
