"""What explanation scores cost: of histograms that are there, and of pixels by other programs.

    python -m benchmarks.explain [--images 24] [--rounds 5] [--split 23151]

On maps of 500x375: all scores of the histograms in one call, and eleven of them image by image with
NumPy, scikit-learn (ROC-AUC), OpenCV (Otsu) and SciPy (Pearson, entropy), by turns, in processor
time. Then all scores of as many images as ILSVRC has masks of on val. Results go to stdout.
"""

from __future__ import annotations

import argparse
import time

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import stats
from sklearn.metrics import roc_auc_score

from wsolbench.metrics.explain import image_scores
from wsolbench.metrics.levels import level_map
from wsolbench.metrics.pixel import count_pixels

from .common import blob, both, by_turns, heading, machine, ratio, row, smooth_maps

HEIGHT, WIDTH = 375, 500

Case = tuple[NDArray[np.uint8], NDArray[np.bool_]]


def of_pixels(levels: NDArray[np.uint8], mask: NDArray[np.bool_]) -> dict[str, float]:
    """Eleven of the scores, as one would write them with the usual packages."""
    values, area, pixels = levels.astype(np.float64), int(mask.sum()), mask.size
    threshold, _ = cv2.threshold(levels, 0, 255, cv2.THRESH_OTSU)
    order = np.argsort(-values, axis=None, kind="stable")
    inside = mask.ravel()[order]
    standard = (values - values.mean()) / values.std()

    def iou(called: NDArray[np.bool_]) -> float:
        return float((called & mask).sum() / (called | mask).sum())

    return {
        "pointing_game": float(mask[levels == levels.max()].mean()),
        "relevance_mass": float(values[mask].sum() / values.sum()),
        "rank_accuracy": float(inside[:area].mean()),
        "top_15_percent": float(inside[: round(0.15 * pixels)].mean()),
        "roc_auc": float(roc_auc_score(mask.ravel(), levels.ravel())),
        "auc_iou": float(np.mean([iou(levels >= level) for level in range(256)])),
        "iou_otsu": iou(levels > threshold),
        "iou_mean_level": iou(values >= values.mean()),
        "nss": float(standard[mask].mean()),
        "pearson": float(stats.pearsonr(values.ravel(), mask.ravel()).statistic),
        "complexity": float(stats.entropy(values.ravel())),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Time explanation scores.")
    parser.add_argument("--images", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--split", type=int, default=23_151)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    maps = smooth_maps(rng, options.images)
    cases: list[Case] = [(level_map(own, HEIGHT, WIDTH), blob(rng, HEIGHT, WIDTH)) for own in maps]
    counts = np.stack([count_pixels(*case) for case in cases])
    found = image_scores(counts)
    apart = max(
        abs(found[key][place] - value)
        for place, case in enumerate(cases)
        for key, value in of_pixels(*case).items()
    )
    seconds = by_turns(
        {
            "histograms": lambda: image_scores(counts),
            "pixels": lambda: [of_pixels(*case) for case in cases],
        },
        options.rounds,
        clock=time.process_time,
    )
    print(machine("numpy", "scikit-learn", "scipy", "opencv-python-headless"))
    print(f"{options.images} images of {WIDTH}x{HEIGHT}, processor time, {options.rounds} rounds")
    print(heading("way", "ms an image, median (fastest)", "times as long"))
    scale = 1000 / options.images
    print(row("all scores, of histograms", both(seconds["histograms"], scale, 3), "1"))
    times = ratio(seconds["pixels"], seconds["histograms"])
    print(row("eleven of them, of pixels", both(seconds["pixels"], scale, 1), times))
    print(f"largest difference {apart:.1e} (ties have no order here, and one by place there)")
    many = counts[rng.integers(len(counts), size=options.split)]
    start = time.process_time()
    for place in range(0, len(many), 1024):
        image_scores(many[place : place + 1024])
    print(f"all scores of {options.split} images: {time.process_time() - start:.2f} s")


if __name__ == "__main__":
    main()
