"""Score a perfect map with what the wheel alone installs, by the compiled extension."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

import wsolbench
from wsolbench import masks
from wsolbench.metrics import compiled


def main() -> None:
    """Score one drawn image.

    Raises:
        SystemExit: the extension is not used, or the mask itself does not score 1.
    """
    if not compiled.uses_extension():
        raise SystemExit(f"{compiled.__file__}: the extension is missing or cannot be loaded")
    mask = np.zeros((8, 9), bool)
    mask[2:5, 3:7] = True
    image = wsolbench.Annotation(
        "image",
        split="val",
        class_index=0,
        mask=masks.encode(mask),
        boxes=np.array([masks.tight_box(mask)], np.int32),
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "drawn.h5"
        wsolbench.write_store(path, wsolbench.AnnotationSet("drawn", [image]))
        evaluator = wsolbench.Evaluator(wsolbench.Dataset.open(path, split="val"))
        evaluator.update(["image"], [np.float32(mask)])
        score = evaluator.result().scores["peak_iou"]
    if score != 1:
        raise SystemExit(f"{wsolbench.__file__}: found Peak-IoU {score}, expected 1")
    print(f"wsolbench {wsolbench.__version__}: the wheel scores, with its extension")


main()
