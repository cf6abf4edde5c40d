"""What training and prediction cost: operations, speed and memory, and the size of the maps.

    python -m benchmarks.training [--quick]

- Operations: PyTorch's FlopCounterMode on tensors without content ("meta"), so they depend on no
  machine. A multiplication with its addition counts as two. Of each method, the operations of a
  training step as a multiple of CAM's.
- Speed and memory: a few steps of each backbone on this CPU, each in a fresh process. Reading and
  decoding photos is left out.
- Maps: bytes of 50,000 maps, computed, and scaled from a submission that is written.
- GPU hours: an estimate, photos * operations / (sustained operations per second). No GPU is used.

Results go to stdout.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.common import heading, machine, row
from wsolbench.baselines.checkpoints import build_method
from wsolbench.baselines.method import Method
from wsolbench.baselines.settings import METHODS, Recipe
from wsolbench.baselines.train import parameter_groups
from wsolbench.formats.submission.reader import SubmissionHeader, SubmissionWriter

BACKBONES = (
    *("vgg16-sem", "resnet50-sem", "resnet101-sem", "inception_v3-sem", "squeezenet1_1-sem"),
    *("vgg16-gap", "resnet50-gap", "resnet101-gap", "inception_v3-gap", "squeezenet1_1-gap"),
    *("resnet50", "inception_v3"),
)
CLASSES = 1000
TRAIN, VAL = 1_281_167, 50_000
"""Photos of ILSVRC2012."""

GIGA = 1e9


def counted(backbone: str, size: int, method: str = "cam", device: str = "meta") -> list[float]:
    """Parameters in millions, and GFLOPs a photo: forward, and of a training step."""
    module = build_method(method, backbone, CLASSES, {}, seed=0)
    parameters = sum(own.numel() for own in module.parameters())
    module.to(device).train()
    images = torch.zeros(2, 3, size, size, device=device)
    labels = torch.zeros(2, dtype=torch.long, device=device)
    generator = torch.Generator().manual_seed(0)
    with FlopCounterMode(display=False) as training:
        torch.autograd.backward(module.training_loss(images, labels, generator)[0])
    module.eval()
    with torch.no_grad(), FlopCounterMode(display=False) as forward:
        module(images, lambda logits: labels)
    photos = len(images) * GIGA
    return [
        parameters / 1e6,
        forward.get_total_flops() / photos,
        training.get_total_flops() / photos,
    ]


def measured(
    backbone: str, size: int, batch: int, steps: int, threads: int, training: bool
) -> tuple[float, float]:
    """Photos a second, and the peak memory of this process in MiB; the first step warms up."""
    torch.set_num_threads(threads)
    module: Method[Any] = build_method("cam", backbone, CLASSES, {}, seed=0)
    module.to(memory_format=torch.channels_last).train(training)
    optimizer = torch.optim.SGD(parameter_groups(module, Recipe()), momentum=0.9, nesterov=True)
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(batch, 3, size, size, generator=generator)
    images = images.to(memory_format=torch.channels_last)
    labels = torch.arange(batch)
    started = time.perf_counter()
    for step in range(steps + 1):
        if step == 1:
            started = time.perf_counter()
        if training:
            optimizer.zero_grad()
            torch.autograd.backward(module.training_loss(images, labels, generator)[0])
            optimizer.step()
        else:
            with torch.no_grad():
                module(images)
    speed = steps * batch / (time.perf_counter() - started)
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
    return speed, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def in_fresh_process(
    backbone: str, size: int, batch: int, steps: int, threads: int, training: bool
) -> tuple[float, float]:
    """`measured` in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as fresh:
        return fresh.submit(measured, backbone, size, batch, steps, threads, training).result()


def written(side: int, dtype: str, maps: int) -> float:
    """Bytes a map of a written submission of noise, the content that compresses least."""
    rng = np.random.default_rng(0)
    header = SubmissionHeader("noise", "val", "gt", "none", {"name": "noise"})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "noise.h5"
        with SubmissionWriter(path, header) as writer:
            for first in range(0, maps, 50):
                ids = [f"ILSVRC2012_val_{place:08}" for place in range(first, first + 50)]
                drawn = rng.random((50, side, side))
                content = np.floor(256 * drawn) if dtype == "uint8" else drawn
                writer.append(ids, content.astype(dtype), top5=np.tile(np.arange(5), (50, 1)))
        return path.stat().st_size / maps


def hours(photos: int, gflops: float, tflops: float) -> float:
    """Hours that a processor of so many sustained TFLOP/s needs; an estimate."""
    return photos * gflops / (tflops * 1000) / 3600


def say_operations(backbones: Sequence[str], sizes: Sequence[int]) -> dict[str, list[float]]:
    """Print the table of operations; those at the first size, by backbone."""
    names = [f"{what} at {size}" for size in sizes for what in ("forward", "training")]
    print(f"\n{heading('GFLOPs a photo', 'parameters', *names)}")
    found = {}
    for backbone in backbones:
        at = [counted(backbone, size) for size in sizes]
        found[backbone] = at[0]
        cells = [f"{value:.1f}" for own in at for value in own[1:]]
        print(row(backbone, f"{at[0][0]:.1f} M", *cells), flush=True)
    return found


def say_methods(backbone: str, size: int) -> None:
    """Print each method's operations in training, as a multiple of CAM's."""
    print(f"\n{heading('method', f'training on {backbone}, CAM = 1', 'map, CAM = 1')}")
    _, plain, usual = counted(backbone, size, device="cpu")
    for method in METHODS:
        _, forward, training = counted(backbone, size, method, device="cpu")
        print(row(method, f"{training / usual:.2f}", f"{forward / plain:.2f}"), flush=True)


def say_speed(backbones: Sequence[str], size: int, batch: int, steps: int, threads: int) -> None:
    """Print speed and memory on this CPU."""
    print(f"\nphotos of {size}, batch {batch}, {steps} steps after one, {threads} threads")
    print(heading("backbone", "forward, photos/s", "MiB", "training, photos/s", "MiB"))
    for backbone in backbones:
        cells = []
        for training in (False, True):
            speed, memory = in_fresh_process(backbone, size, batch, steps, threads, training)
            cells += [f"{speed:.2f}", f"{memory:,.0f}"]
        print(row(backbone, *cells), flush=True)


def say_maps(maps: int) -> None:
    """Print the size of 50,000 maps."""
    print(f"\n{heading(f'{VAL:,} maps', 'type', 'GB computed', f'GB of noise, {maps} written')}")
    for side in (28, 40):
        for dtype in ("uint8", "float16", "float32"):
            computed = VAL * side**2 * np.dtype(dtype).itemsize / GIGA
            found = VAL * written(side, dtype, maps) / GIGA
            print(row(f"{side}x{side}", dtype, f"{computed:.3f}", f"{found:.3f}"))


def say_hours(found: dict[str, list[float]], epochs: int, rates: Sequence[float]) -> None:
    """Print the estimate."""
    print(f"\nestimate: photos * GFLOPs / (TFLOP/s * 1000) / 3600; {epochs} epochs of {TRAIN:,}")
    names = [f"{what}, {rate:g} TFLOP/s" for rate in rates for what in ("training", "50,000 maps")]
    print(heading("hours", *names))
    for backbone, (_, forward, training) in found.items():
        cells = []
        for rate in rates:
            cells += [f"{hours(epochs * TRAIN, training, rate):.1f}"]
            cells += [f"{hours(VAL, forward, rate):.2f}"]
        print(row(backbone, *cells))


def main() -> None:
    parser = argparse.ArgumentParser(description="Cost of training, prediction and maps.")
    parser.add_argument("--backbones", nargs="+", default=list(BACKBONES))
    parser.add_argument("--sizes", type=int, nargs="+", default=[224, 320])
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--maps", type=int, default=1000)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--tflops", type=float, nargs="+", default=[5, 20, 100])
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--quick", action="store_true", help="small photos, one backbone and step")
    options = parser.parse_args()
    if options.quick:
        options.backbones, options.sizes = ["squeezenet1_1-gap"], [64]
        options.batch, options.steps, options.maps = 2, 1, 50
    print(machine("torch", "numpy"))
    found = say_operations(options.backbones, options.sizes)
    method_backbone = options.backbones[0] if options.quick else "inception_v3-sem"
    say_methods(method_backbone, 64)  # the ratio is that of larger photos
    say_maps(options.maps)
    say_hours(found, options.epochs, options.tflops)
    say_speed(options.backbones, options.sizes[0], options.batch, options.steps, options.threads)


if __name__ == "__main__":
    main()
