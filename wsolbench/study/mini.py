"""The study on the embedded benchmark: scenes whose ground goes with the class.

The classifiers start from the trunk in the package, as those of the paper start from ImageNet's,
with a new head. No result of it says anything about photographs (docs/mini.md).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from ..baselines.settings import HasSettings
from ..errors import WsolbenchError
from ..formats.annotations import AnnotationStore, write_store
from ..mini.scenes import STUDY, write_benchmark
from ..progress import Progress
from .plan import DEPTHS, SHARES, Plan

__all__ = ["mini_plan"]

WEIGHTS = Path(__file__).parents[1] / "mini" / "classifier.npz"


def mini_plan(
    folder: str | os.PathLike[str],
    *,
    train: int = 1500,
    scenes: int = 240,
    recipe: Mapping[str, object] | None = None,
    settings: Mapping[str, Mapping[str, object]] | None = None,
    shares: tuple[float | int, ...] = SHARES,
    depths: tuple[tuple[str, ...], ...] = DEPTHS,
    progress: Progress | None = None,
) -> Plan:
    """Draw the scenes, unless they are there, and plan the study on them.

    Args:
        folder: gets `scenes.h5` and `images/`.
        train: number of scenes to train on.
        scenes: number of scenes in val, and in test.
        recipe: settings of training.
        settings: of methods; HaS hides patches in proportion to the size unless they are given.
        shares: SEM's K.
        depths: see `plan.Plan`.
        progress: called with (scenes drawn, scenes).
    """
    root = Path(folder)
    patches = tuple(size * 128 // 224 for size in HasSettings().patch_sizes)
    plan = Plan(
        title="The methods on the embedded benchmark",
        annotations=root / "scenes.h5",
        images=root / "images",
        train="train",
        val="val",
        test="test",
        backbone="mini",
        trunk_weights=WEIGHTS,
        recipe=dict(recipe or {}),
        settings={"has": {"patch_sizes": patches}, **(settings or {})},
        shares=shares,
        depths=depths,
    )
    if not plan.annotations.exists():
        _, content = write_benchmark(
            root, train=train, val=scenes, test=scenes, difficulty=STUDY, progress=progress
        )
        write_store(plan.annotations, content)
    store = AnnotationStore.open(plan.annotations)
    drawn = {split: store.splits.count(split) for split in ("train", "val", "test")}
    if drawn != {"train": train, "val": scenes, "test": scenes}:
        raise WsolbenchError(
            plan.annotations,
            found=", ".join(f"{count} scenes in {split}" for split, count in drawn.items()),
            expected=f"{train} to train on, {scenes} in val and test",
            cure="give the numbers of before, or name another folder",
        )
    return plan
