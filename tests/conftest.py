"""What the tests share: the real data beside the project, and small stores to score against."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from wsolbench import masks
from wsolbench.store import Annotation

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real photos, masks and lists; the test is skipped where it is absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"no real data at {SHARED_DATA}: this test needs photos, masks and lists")
    return SHARED_DATA


def annotation(image_id: str, mask: np.ndarray, **fields: object) -> Annotation:
    """An annotation of a drawn mask, with its tight box unless `boxes` are given."""
    boxes = fields.pop("boxes", [masks.tight_box(mask)])
    given = {"split": "val", "class_index": 0, **fields}
    return Annotation(
        image_id,
        mask=masks.encode(mask),
        boxes=np.array(boxes, dtype=np.int32).reshape(-1, 4),
        **given,
    )


def random_blob(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A bool mask (height, width) with a random rectangle and some specks, never empty."""
    mask = rng.random((height, width)) < 0.05
    y, x = rng.integers(height), rng.integers(width)
    mask[y : y + rng.integers(1, height + 1), x : x + rng.integers(1, width + 1)] = True
    return mask
