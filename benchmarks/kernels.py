"""What one image costs on one core: pixel counts and boxes at all 256 thresholds.

    python -m benchmarks.kernels [--images 4] [--rounds 5]

Masks of 500x375 as stored; maps of 40x40 (smooth, rough, noise) and noise of 500x375. Each way
starts at the stored mask and the map. For pixels the others are a loop of NumPy comparisons and
PySODMetrics, where it is installed; for boxes, OpenCV's contours (the box of the largest outline,
which is not always the largest component) and its components at each threshold. Processor time is
taken, which other processes disturb little.

The last table compares the two ways in which ours finds boxes, on the same levels: the flood, and
segments of rows, which leave noise of the image's size to the flood.

The floor under pixels: the map brought to 187,500 pixels once and each of them counted once, here
by OpenCV's own loops. Under boxes: one labelling of the image, at a single threshold. Moving bytes
is no bottleneck: the last line tells how long this core copies as many.

PySODMetrics wants older NumPy and OpenCV than the pinned ones, and runs with these as well:
pip install scikit-image scikit-learn; pip install --no-deps pysodmetrics
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from wsolbench import masks
from wsolbench.masks import RunLengths
from wsolbench.metrics import images, kernels, segments
from wsolbench.metrics.packed import Packed

from .common import SIDE, blob, both, by_turns, heading, machine, ratio, row, smooth_maps

HEIGHT, WIDTH = 375, 500  # the most frequent size in ILSVRC
LEVELS = 256
COPIED = 64 << 20  # bytes


def draw_maps(rng: np.random.Generator, count: int) -> dict[str, list[NDArray[np.uint8]]]:
    """uint8 maps of each kind; rough ones are smooth ones with a third of noise."""
    smooth = smooth_maps(rng, count)
    noise = rng.integers(0, 256, (count, SIDE, SIDE), dtype=np.uint8)
    return {
        "smooth": list(smooth),
        "rough": list((smooth / 1.5 + noise / 3).astype(np.uint8)),
        "noise 40x40": list(noise),
        "noise 500x375": list(rng.integers(0, 256, (count, HEIGHT, WIDTH), dtype=np.uint8)),
    }


def levels_of(map_: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The map on the image's grid, by OpenCV."""
    return np.asarray(cv2.resize(np.float32(map_), (WIDTH, HEIGHT))).astype(np.uint8)


def count_in_loop(mask: RunLengths, map_: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Foreground on the object, and all foreground, at each threshold: (256, 2)."""
    decoded, levels = masks.decode(mask), levels_of(map_)
    counts = np.empty((LEVELS, 2), dtype=np.int64)
    for threshold in range(LEVELS):
        foreground = levels >= threshold
        counts[threshold] = np.count_nonzero(foreground & decoded), np.count_nonzero(foreground)
    return counts


def count_once(map_: NDArray[np.uint8]) -> object:
    """The floor: levels made once and counted once, without a mask, by OpenCV."""
    return cv2.calcHist([levels_of(map_)], [0], None, [LEVELS], [0, LEVELS])


def count_with_pysodmetrics() -> Callable[[RunLengths, NDArray[np.uint8]], NDArray[np.float64]]:
    """Its IoU at each threshold, the highest first, from histograms."""
    from py_sod_metrics import FmeasureV2, IOUHandler

    handler = IOUHandler(with_dynamic=True, with_adaptive=False)
    metric = FmeasureV2(metric_handlers={"iou": handler})

    def count(mask: RunLengths, map_: NDArray[np.uint8]) -> NDArray[np.float64]:
        metric.step(pred=levels_of(map_), gt=np.uint8(255) * masks.decode(mask))
        return np.asarray(handler.dynamic_results.pop())

    return count


def contour_boxes(map_: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Box around the contour that encloses most, at each threshold: (256, 4)."""
    levels, boxes = levels_of(map_), np.zeros((LEVELS, 4), dtype=np.int32)
    for threshold in range(LEVELS):
        foreground = (levels >= threshold).view(np.uint8)
        contours, _ = cv2.findContours(foreground, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        if contours:
            x, y, width, height = cv2.boundingRect(max(contours, key=cv2.contourArea))
            boxes[threshold] = x, y, x + width, y + height
    return boxes


def largest_components(map_: NDArray[np.uint8]) -> list[NDArray[np.int32]]:
    """The components with most pixels at each threshold, one or more: rows x, y, w, h, pixels."""
    levels, largest = levels_of(map_), []
    for threshold in range(LEVELS):
        foreground = (levels >= threshold).view(np.uint8)
        stats = cv2.connectedComponentsWithStats(foreground)[2][1:]
        pixels = stats[:, cv2.CC_STAT_AREA]
        largest.append(stats[pixels == pixels.max(initial=0)])
    return largest


def measure(
    encoded: Sequence[RunLengths], maps: Sequence[NDArray[np.uint8]], with_boxes: bool
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Histograms and boxes, ours: a block of images in one call."""
    sizes = np.full((len(maps), 2), (HEIGHT, WIDTH), dtype=np.int64)
    empty = np.empty(0, dtype=np.uint8)
    packed = Packed.of([np.frombuffer(mask.counts, np.uint8) for mask in encoded], empty)
    every = Packed(empty, np.zeros(len(maps) + 1, dtype=np.int64))
    names = [""] * len(maps)
    counts, boxes, _ = images.measure(names, maps, sizes, packed, every, with_boxes=with_boxes)
    return counts, boxes


def check(encoded: Sequence[RunLengths], maps: Sequence[NDArray[np.uint8]]) -> float:
    """Compare the ways on OpenCV's levels; the share of thresholds where contours are right."""
    counts, boxes = measure(encoded, [levels_of(map_) for map_ in maps], with_boxes=True)
    right = 0
    for mask, map_, counted, ours in zip(encoded, maps, counts, boxes, strict=True):
        reached = np.cumsum(counted[:, ::-1], axis=1)[:, ::-1]
        if (count_in_loop(mask, map_) != np.stack((reached[1], reached.sum(axis=0)), 1)).any():
            raise SystemExit("the pixel counts disagree")
        for box, contour, rows in zip(
            ours, contour_boxes(map_), largest_components(map_), strict=True
        ):
            found = rows if len(rows) else np.zeros((1, 5), dtype=np.int32)
            allowed = np.column_stack((found[:, :2], found[:, :2] + found[:, 2:4]))
            if not (allowed == box).all(axis=1).any():
                raise SystemExit("the boxes disagree")
            right += int((contour == box).all())
    return right / (len(maps) * LEVELS)


def compare_floods(rng: np.random.Generator, count: int, rounds: int) -> list[str]:
    """The flood and segments of rows, then as they go together: a table."""
    kinds: dict[str, Sequence[NDArray[np.uint8]]] = dict(draw_maps(rng, count))
    for side in (14, 7):
        kinds[f"noise {side}x{side}"] = list(rng.integers(0, 256, (count, side, side), np.uint8))
    limits = segments.SHORTEST, segments.most_bytes(HEIGHT, WIDTH)
    lines = [heading("map", "flood", "segments", "both", "found by segments", "ratio")]
    for kind, maps in kinds.items():
        planes = [kernels.upsample_levels(map_.astype(np.float32), HEIGHT, WIDTH) for map_ in maps]
        found = [segments.segment_boxes(plane, *limits) for plane in planes]
        for plane, (done, boxes) in zip(planes, found, strict=True):
            if done and (boxes != kernels.flood_boxes(plane)).any():
                raise SystemExit("segments and the flood disagree")

        def each(way: Callable[..., object], planes: Sequence[Any], *given: int) -> object:
            return [way(plane, *given) for plane in planes]

        ways = {
            "flood": partial(each, kernels.flood_boxes, planes),
            "segments": partial(each, segments.segment_boxes, planes, *limits),
            "both": partial(each, kernels.largest_boxes, planes),
        }
        times = by_turns(ways, rounds, clock=time.process_time)
        share = sum(done for done, _ in found) / count
        gain = min(times["flood"]) / min(times["both"])
        cells = [both(seconds, 1e3 / count) for seconds in times.values()]
        lines.append(row(kind, *cells, f"{share:.0%}", f"{gain:.2f}"))
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description="Time pixel counts and boxes of one image.")
    parser.add_argument("--images", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    rng = np.random.default_rng(0)
    encoded = [masks.encode(blob(rng, HEIGHT, WIDTH)) for _ in range(options.images)]
    sod = count_with_pysodmetrics() if find_spec("py_sod_metrics") else None

    print(machine("numpy", "numba", "opencv-python-headless"), end="")
    print(f", pysodmetrics {version('pysodmetrics')}" if sod else "; no pysodmetrics")
    print(f"ms an image on one core, median (fastest) of {options.rounds} rounds by turns\n")
    pixels = [heading("map", "NumPy x256", "PySODMetrics", "ours", "ratios", "floor")]
    boxes = [heading("map", "contours x256", "right", "components x256", "ours", "ratios", "floor")]
    for kind, maps in draw_maps(rng, options.images).items():
        right = check(encoded[:2], maps[:2])
        levels = [levels_of(map_) for map_ in maps]
        thresholded = [(plane >= LEVELS // 2).view(np.uint8) for plane in levels]

        def each(way: Callable[..., object], *columns: Sequence[Any]) -> Callable[[], object]:
            return lambda: [way(*given) for given in zip(*columns, strict=True)]

        ways: dict[str, Callable[[], object]] = {
            "loop": each(count_in_loop, encoded, maps),
            "sod": each(sod or levels_of, *((encoded, maps) if sod else (maps,))),
            "pixels": partial(measure, encoded, maps, False),
            "pixel floor": each(count_once, maps),
            "contours": each(contour_boxes, maps),
            "components": each(largest_components, maps),
            "boxes": partial(measure, encoded, maps, True),
            "box floor": each(cv2.connectedComponentsWithStats, thresholded),
        }
        times = by_turns(ways, options.rounds, clock=time.process_time)
        ms = {name: both(seconds, 1e3 / options.images) for name, seconds in times.items()}
        ratios = {
            name: ratio(times[name], times["pixels" if name in ("loop", "sod") else "boxes"])
            for name in ("loop", "sod", "contours", "components")
        }
        pixels.append(
            row(
                kind,
                ms["loop"],
                ms["sod"] if sod else "-",
                ms["pixels"],
                f"{ratios['loop']}, {ratios['sod'] if sod else '-'}",
                f"{ms['pixel floor']}, x{ratio(times['pixels'], times['pixel floor'])}",
            )
        )
        boxes.append(
            row(
                kind,
                ms["contours"],
                f"{right:.0%}",
                ms["components"],
                ms["boxes"],
                f"{ratios['contours']}, {ratios['components']}",
                f"{ms['box floor']}, x{ratio(times['boxes'], times['box floor'])}",
            )
        )
    print("\n".join([*pixels, "", *boxes, ""]))
    print("\n".join(compare_floods(rng, options.images, options.rounds)))
    source = np.ones(COPIED, dtype=np.uint8)
    copy = by_turns({"copy": source.copy}, options.rounds)["copy"]
    print(f"\nmemory: {COPIED / min(copy) / 1e9:.1f} GB/s copied; ", end="")
    print(f"{HEIGHT * WIDTH} bytes in {1e3 * min(copy) * HEIGHT * WIDTH / COPIED:.3f} ms")


if __name__ == "__main__":
    main()
