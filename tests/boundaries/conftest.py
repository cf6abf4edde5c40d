"""A few scenes, and a classifier of them, for the tests of the boundary detector."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from wsolbench.data.dataset import Dataset
from wsolbench.formats.annotations import write_store
from wsolbench.mini.scenes import write_benchmark

if TYPE_CHECKING:
    from wsolbench.baselines.training_data import LabelledPhotos


@dataclass(frozen=True)
class Bench:
    """Paths of 32 photos to train on, 6 to predict, their annotations, and a classifier."""

    annotations: Path
    images: Path
    classifier: Path

    def photos(self) -> LabelledPhotos:
        from wsolbench.baselines.training_data import labelled_split

        return labelled_split(Dataset.open(self.annotations, "train", self.images))

    def val(self) -> Dataset:
        return Dataset.open(self.annotations, "val", self.images)


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """The weights of the package as a checkpoint, as if they had been trained on the scenes."""
    pytest.importorskip("torch")
    from wsolbench.baselines.checkpoints import Checkpoint, build_method, write_checkpoint
    from wsolbench.baselines.settings import as_values, recipe_for
    from wsolbench.mini.classifier import WEIGHTS, read_weights

    root = tmp_path_factory.mktemp("bench")
    images, scenes = write_benchmark(root, train=32, val=6, test=0)
    write_store(root / "a.h5", scenes)
    module = build_method("cam", "mini", len(scenes.classes), {}, seed=0)
    read_weights(WEIGHTS, module.network)  # type: ignore[arg-type]
    checkpoint = Checkpoint(
        method="cam",
        settings={},
        backbone="mini",
        half_range=False,
        classes=tuple((key, name) for key, name in scenes.classes),
        recipe=as_values(recipe_for("mini", {"seed": 5})),
        data={"title": "mini train", "photos": 32, "sha256": "0", "exif": "ignore"},
        trunk={},
        finished=True,
        state=module.state_dict(),
    )
    write_checkpoint(root / "classifier.pt", checkpoint)
    return Bench(root / "a.h5", images, root / "classifier.pt")


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Sums of floats depend on the number of threads."""
    torch = pytest.importorskip("torch")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
