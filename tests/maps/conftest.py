"""Files that the tests of maps read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.conftest import random_maps
from wsolbench.data.dataset import Dataset


@pytest.fixture
def folder(tmp_path: Path, dataset: Dataset) -> Path:
    """Raw maps of a data set: floats of any range, one .npy an image."""
    place = tmp_path / "maps"
    place.mkdir()
    for image_id, map_ in zip(dataset.image_ids, random_maps(len(dataset)), strict=True):
        np.save(place / f"{image_id}.npy", 3.0 * map_ - 100)
    return place
