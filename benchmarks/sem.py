"""How long self-enhancement maps take: whole batches, and the paper's snippet image by image.

    python -m benchmarks.sem

The two run by turns on the same random features (40x40x1024, batch 32, K = 60 by default), so that
a machine that slows down slows both; medians are compared. Peak memory is that of a fresh process
for each, less what it held before the maps. Results go to stdout.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import platform
import resource
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import torch
from torch import Tensor

from wsolbench.baselines.sem import self_enhancement_maps


def image_by_image(class_maps: Tensor, features: Tensor, seeds: int) -> Tensor:
    """The paper's Fig. 3 for each image of a batch."""
    maps = []
    for class_map, feature in zip(class_maps, features, strict=True):
        channels, height, width = feature.shape
        scaled = (class_map - class_map.min()) / (class_map.max() - class_map.min())
        chosen = scaled.flatten().topk(seeds).indices
        vectors = feature.view(channels, -1)
        similar = torch.nn.functional.cosine_similarity(
            vectors[:, :, None], vectors[:, chosen][:, None, :], dim=0
        )
        best = similar.amax(dim=1).view(height, width)
        maps.append((best - best.min()) / (best.max() - best.min()))
    return torch.stack(maps)


WAYS: dict[str, Callable[[Tensor, Tensor, int], Tensor]] = {
    "batch": self_enhancement_maps,
    "image by image": image_by_image,
}


def draw(batch: int, side: int, channels: int) -> tuple[Tensor, Tensor]:
    """Class maps (B, side, side) and non-negative features (B, channels, side, side)."""
    generator = torch.Generator().manual_seed(0)
    class_maps = torch.randn(batch, side, side, generator=generator)
    return class_maps, torch.randn(batch, channels, side, side, generator=generator).relu_()


def peak_memory(way: str, batch: int, side: int, channels: int, seeds: int) -> float:
    """MiB that one call adds to the process at its peak."""
    class_maps, features = draw(batch, side, channels)
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    WAYS[way](class_maps, features, seeds)
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / unit


def main() -> None:
    parser = argparse.ArgumentParser(description="Time self-enhancement maps.")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--side", type=int, default=40)
    parser.add_argument("--channels", type=int, default=1024)
    parser.add_argument("--seeds", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    shape = (options.batch, options.side, options.channels)
    torch.set_num_threads(options.threads)

    memory: dict[str, float] = {}
    for way in WAYS:
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as fresh:
            memory[way] = fresh.submit(peak_memory, way, *shape, options.seeds).result()

    class_maps, features = draw(*shape)
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    results: dict[str, Tensor] = {}
    for _ in range(options.rounds + 1):  # the first round warms up
        for way, function in WAYS.items():
            start = time.perf_counter()
            results[way] = function(class_maps, features, options.seeds)
            seconds[way].append(time.perf_counter() - start)
    medians = {way: statistics.median(times[1:]) for way, times in seconds.items()}
    difference = (results["batch"] - results["image by image"]).abs().max().item()

    print(f"batch {options.batch}, {options.side}x{options.side}x{options.channels}, ", end="")
    print(f"K = {options.seeds}, {options.threads} threads, {options.rounds} rounds by turns")
    for way in WAYS:
        rate = options.batch / medians[way]
        print(f"{way:15} {medians[way]:8.3f} s {rate:8.1f} images/s {memory[way]:8.0f} MiB more")
    print(f"ratio of medians {medians['image by image'] / medians['batch']:.1f}")
    print(f"largest difference of two maps {difference:.1e}")
    print(f"Python {platform.python_version()}, torch {torch.__version__}, numpy {np.__version__}")


if __name__ == "__main__":
    main()
