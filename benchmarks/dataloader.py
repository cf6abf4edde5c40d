"""How fast samples reach PyTorch: the annotation file with 0, 1, 2 workers against loose files.

    python -m benchmarks.dataloader

Draws 300 photos (JPEG, 500x375) with one mask each, as PNG files and as an annotation file, in a
temporary folder; then reads all of them, photo resized to 224x224 and mask at 224x224: in a plain
loop over the loose files, and through `Dataset.torch` with DataLoader. The ways run by turns and
medians are compared. PyTorch has one thread here, as in its workers: two that wait for each other
on a busy machine cost ten times the reading. Results go to stdout.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader

from wsolbench import masks
from wsolbench.data.dataset import Dataset
from wsolbench.data.torch_dataset import collate
from wsolbench.formats.annotations import Annotation, AnnotationSet, write_store

HEIGHT, WIDTH = 375, 500  # the most frequent size in ILSVRC

SIDE = 224


def draw(folder: Path, count: int) -> Dataset:
    """Photos of smooth noise, each with an ellipse as its object."""
    rng = np.random.default_rng(0)
    ys, xs = np.mgrid[:HEIGHT, :WIDTH]
    annotations = []
    for name in ("photos", "masks"):
        (folder / name).mkdir()
    for i in range(count):
        image_id = f"photo_{i:04d}"
        coarse = Image.fromarray(rng.integers(0, 256, (48, 64, 3), dtype=np.uint8))
        photo = coarse.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
        photo.save(folder / "photos" / f"{image_id}.jpg", quality=90)
        centre, radii = rng.uniform(0.3, 0.7, 2), rng.uniform(0.1, 0.3, 2)
        mask = ((ys / HEIGHT - centre[0]) / radii[0]) ** 2 + (
            (xs / WIDTH - centre[1]) / radii[1]
        ) ** 2 < 1
        masks.write_mask(folder / "masks" / f"{image_id}.png", mask)
        boxes = np.array([masks.tight_box(mask)], dtype=np.int32)
        annotations.append(Annotation(image_id, "val", 0, masks.encode(mask), boxes))
    write_store(folder / "drawn.h5", AnnotationSet("drawn", annotations))
    return Dataset.open(folder / "drawn.h5", images=folder / "photos")


def resized(photo: Image.Image) -> Tensor:
    """(3, 224, 224) float32 in [0, 1]."""
    small = photo.resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    levels = np.array(small, dtype=np.float32).transpose(2, 0, 1)
    return torch.from_numpy(np.ascontiguousarray(levels) / np.float32(255))


def loose_files(dataset: Dataset, masks_folder: Path) -> int:
    """The obvious loop: open the JPEG, open the PNG, resize both."""
    count = 0
    for image_id in dataset.image_ids:
        with Image.open(dataset.images / f"{image_id}.jpg" if dataset.images else "") as photo:
            image = resized(photo.convert("RGB"))
        with Image.open(masks_folder / f"{image_id}.png") as mask:
            nearest = np.array(mask.resize((SIDE, SIDE), Image.Resampling.NEAREST)) > 128
        count += int(image.shape[1] == SIDE and nearest.shape[0] == SIDE)
    return count


def through_torch(dataset: Dataset, workers: int) -> int:
    """All batches of a DataLoader; starting the workers is part of it."""
    options: dict[str, Any] = {"batch_size": 32, "collate_fn": collate, "num_workers": workers}
    loader = DataLoader(dataset.torch(resized, mask_size=SIDE), **options)
    return sum(len(batch["image_id"]) for batch in loader)


def main() -> None:
    parser = argparse.ArgumentParser(description="Time the ways from files to PyTorch.")
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        dataset = draw(folder, options.count)
        ways: dict[str, Callable[[], int]] = {
            "loop over loose files": lambda: loose_files(dataset, folder / "masks"),
            "0 workers": lambda: through_torch(dataset, 0),
            "1 worker": lambda: through_torch(dataset, 1),
            "2 workers": lambda: through_torch(dataset, 2),
        }
        seconds: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(options.rounds + 1):  # the first round warms up
            for way, read in ways.items():
                start = time.perf_counter()
                count = read()
                seconds[way].append(time.perf_counter() - start)
                if count != options.count:
                    raise SystemExit(f"{way}: {count} of {options.count} images came")

    medians = {way: statistics.median(times[1:]) for way, times in seconds.items()}
    print(f"{options.count} photos of {WIDTH}x{HEIGHT}, {options.rounds} rounds by turns, ", end="")
    print(f"{os.cpu_count()} processors")
    for way, median in medians.items():
        ratio = medians["loop over loose files"] / median
        print(f"{way:22} {options.count / median:8.1f} images/s, {ratio:5.2f} of the loop")
    print(f"Python {platform.python_version()}, torch {torch.__version__}, numpy {np.__version__}")


if __name__ == "__main__":
    main()
