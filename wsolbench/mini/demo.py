"""The embedded benchmark from start to end, run by `wsolbench demo`.

It draws scenes, computes CAM and SEM maps of both splits with a small classifier, validates the
submissions, and scores them on val and, at the thresholds chosen on val, on test.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from ..baselines.predict import predict
from ..data.dataset import Dataset
from ..errors import WsolbenchError
from ..evaluation.run import evaluate
from ..formats.annotations import AnnotationStore, write_store
from ..formats.report import signature, table
from ..formats.result import Result
from ..formats.submission.validate import validate
from ..plots import save_curves
from ..progress import Progress
from .classifier import load
from .scenes import write_benchmark

__all__ = ["run_demo"]

METHODS = ("cam", "sem")
SIZE = 128
SCENES = 120
"""Number of scenes in each split."""

SEEDS = 0.1
"""Fraction of the map's positions used as seeds of SEM; chosen on val (docs/mini.md)."""


def run_demo(
    out: str | os.PathLike[str],
    *,
    say: Callable[[str], None] = print,
    progress_bar: Callable[[str], AbstractContextManager[Progress | None]],
) -> list[Result]:
    """Run the demo and write all its files to a folder.

    Args:
        out: the folder, created if necessary; files of the same names are replaced.
        say: function that prints a line.
        progress_bar: function that creates a progress bar from a title, e.g. `progress.bar`.

    Returns:
        The results: CAM and SEM on val, then on test.

    Raises:
        WsolbenchError: the folder cannot be written.
    """
    folder = Path(out)
    images, content = write_benchmark(folder, val=SCENES, test=SCENES)
    store = folder / "mini.h5"
    write_store(store, content)
    say(f"{store}: {SCENES} val and {SCENES} test scenes, photos in {images}")
    model = load()
    results: list[Result] = []
    for split in ("val", "test"):
        dataset = Dataset.open(store, split, images)
        for place, method in enumerate(METHODS):
            maps = folder / f"{method}-{split}.h5"
            with progress_bar(f"{method} on {split}") as progress:
                predict(
                    model,
                    dataset,
                    maps,
                    method=method,
                    size=SIZE,
                    seeds=SEEDS,
                    device="cpu",
                    overwrite=True,
                    progress=progress,
                )
            faults = validate(maps, AnnotationStore.open(store))
            if faults:
                raise WsolbenchError(
                    maps, found=str(faults[0]), expected="a valid submission", cure="report this"
                )
            with progress_bar(f"score {method} on {split}") as progress:
                chosen = None if split == "val" else results[place]
                result = evaluate(dataset, maps, threshold=chosen, progress=progress)
            result.write(folder / f"{method}-{split}.json")
            say(f"{maps}: valid, scored into {folder / f'{method}-{split}.json'}")
            results.append(result)
    save_curves(results, folder / "curves.png")
    say(f"{folder / 'curves.png'}: the curves of all four\n")
    say(table(results))
    say("")
    for result in results:
        say(signature(result))
    return results
