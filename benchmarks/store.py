"""The annotation file at full size against a folder of PNG masks: bytes, opening, random reads.

    python -m benchmarks.store [--images 44271]

Masks are ragged blobs at the sizes that ILSVRC photos have (recorded shares below). Both ways read
the same random masks in alternation, in one process; medians and their ratio are printed.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from wsolbench import masks
from wsolbench.formats.annotations import Annotation, AnnotationSet, AnnotationStore, write_store

from .common import blob, frequent_sizes, machine

SHAPES = 300  # distinct masks; each is written many times under different ids
PNGS = 2000  # masks also written as PNG, their bytes extrapolated


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=44271)
    count = parser.parse_args().images
    rng = np.random.default_rng(0)
    drawn = [blob(rng, *size) for size in frequent_sizes(rng, SHAPES)]
    encoded = [masks.encode(mask) for mask in drawn]
    boxes = [np.array([masks.tight_box(mask)], dtype=np.int32) for mask in drawn]
    rows = [
        Annotation(
            f"ILSVRC2012_val_{index:08}",
            "val" if index % 2 else "test",
            index % 1000,
            encoded[index % SHAPES],
            boxes[index % SHAPES],
        )
        for index in range(count)
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "store.h5")
        started = time.perf_counter()
        write_store(path, AnnotationSet("ilsvrc", rows))
        written = time.perf_counter() - started
        pngs = [Path(folder, f"{index}.png") for index in range(min(PNGS, count))]
        for index, png in enumerate(pngs):
            Image.fromarray(drawn[index % SHAPES].astype(np.uint8) * 255).save(png)
        png_bytes = statistics.mean(png.stat().st_size for png in pngs) * count
        openings = []
        for _ in range(9):
            started = time.perf_counter()
            store = AnnotationStore.open(path)
            openings.append(time.perf_counter() - started)
        started = time.perf_counter()
        store.mask(0)
        first = time.perf_counter() - started
        ours, theirs = [], []
        for place in rng.integers(len(pngs), size=2000):
            started = time.perf_counter()
            mask = store.mask(place)
            ours.append(time.perf_counter() - started)
            started = time.perf_counter()
            with Image.open(pngs[place]) as picture:
                loose = np.asarray(picture) > 128
            theirs.append(time.perf_counter() - started)
            if (mask != loose).any():
                raise SystemExit("the two ways disagree")
        print(machine("h5py", "numpy"))
        size = path.stat().st_size
        print(f"{count} masks: store {size / 1e6:.1f} MB, PNG files {png_bytes / 1e6:.1f} MB, "
              f"ratio {png_bytes / size:.1f}")  # fmt: skip
        print(f"written in {written:.1f} s; opened in {1e3 * statistics.median(openings):.1f} ms; "
              f"first mask after {1e3 * first:.0f} ms")  # fmt: skip
        ours_ms, theirs_ms = 1e3 * statistics.median(ours), 1e3 * statistics.median(theirs)
        print(f"a random mask: store {ours_ms:.3f} ms, PNG {theirs_ms:.3f} ms, "
              f"ratio {theirs_ms / ours_ms:.1f}")  # fmt: skip


if __name__ == "__main__":
    main()
