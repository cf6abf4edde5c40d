"""The compiled loops against the steps of single images, which are their oracle."""

from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import numpy as np
import pytest

from tests.conftest import random_dataset, random_maps
from wsolbench import masks
from wsolbench.data.dataset import Dataset
from wsolbench.errors import WsolbenchError
from wsolbench.evaluation.blocks import truth_of
from wsolbench.formats.annotations import AnnotationSet, write_store
from wsolbench.masks import RunLengths
from wsolbench.metrics import boxes, contours, images
from wsolbench.metrics.choices import BoundaryTruth, BoxScore, Comparator
from wsolbench.metrics.packed import Packed
from wsolbench.protocols import PROTOCOLS, Protocol, block
from wsolbench.protocols import truth as truth_module
from wsolbench.protocols.block import Block, Shared

COUNT = 20


class Stepwise(Block):
    """A block that takes no short cut."""

    _is_compiled = False


def block_of(
    kind: type[Block], dataset: Dataset, protocol: Protocol, maps: list[np.ndarray], **more: Any
) -> Block:
    return kind(protocol, truth_of(dataset, range(len(dataset))), maps, **more)


def ignoring(tmp_path: Path) -> Dataset:
    """Random images, some of whose pixels count nowhere."""
    rng = np.random.default_rng(5)
    plain = random_dataset(tmp_path / "plain.h5", COUNT)
    rows = []
    for sample in plain:
        away = rng.random((sample.height, sample.width)) < 0.2
        row = plain.store.run_lengths(sample.row)
        from wsolbench.formats.annotations import Annotation

        ignore = masks.encode(away) if sample.index % 3 else None
        rows.append(
            Annotation(sample.image_id, "val", sample.class_index, row, sample.boxes, ignore)
        )
    write_store(tmp_path / "ignoring.h5", AnnotationSet("random", rows))
    return Dataset.open(tmp_path / "ignoring.h5")


@pytest.mark.parametrize("dtype", ["uint8", "float16", "float32"])
@pytest.mark.parametrize("plus_one", [False, True])
def test_one_call_gives_what_the_steps_give(tmp_path: Path, dtype: str, plus_one: bool) -> None:
    dataset = ignoring(tmp_path)
    maps = random_maps(COUNT, seed=3)
    if dtype != "uint8":
        maps = [(map_ / 255).astype(dtype) for map_ in maps]
    protocol = dataclasses.replace(PROTOCOLS["sem"], name="own", box_plus_one=plus_one)
    fast, slow = (block_of(kind, dataset, protocol, maps) for kind in (Block, Stepwise))
    assert fast._is_compiled
    for name in ("histograms", "boxes", "overlaps", "constant"):
        ours, oracle = getattr(fast, name), getattr(slow, name)
        assert ours.dtype == oracle.dtype, name
        assert ours.tolist() == oracle.tolist(), name


def test_what_is_not_compiled_is_done_in_steps(tmp_path: Path) -> None:
    dataset, maps = random_dataset(tmp_path / "r.h5", COUNT), random_maps(COUNT)
    above = dataclasses.replace(PROTOCOLS["sem"], name="own", comparator=Comparator.ABOVE)
    block = block_of(Block, dataset, above, maps)
    assert not block._is_compiled
    sem = block_of(Block, dataset, PROTOCOLS["sem"], maps)
    assert (block.boxes[:, :-1] == sem.boxes[:, 1:]).all()
    assert not block.boxes[:, -1].any()
    pixels = block_of(Block, dataset, above, maps, with_boxes=False)
    assert pixels._is_compiled
    assert (pixels.histograms == sem.histograms).all()


def test_overlaps_are_computed_once_for_all_ious(tmp_path: Path) -> None:
    dataset, maps = random_dataset(tmp_path / "r.h5", 2), random_maps(2)
    computed: list[Block] = []

    class Counting(Block):
        @property
        def overlaps(self) -> np.ndarray:
            computed.append(self)
            return np.full((2, 256), 0.5)

    three = dataclasses.replace(
        PROTOCOLS["sem"],
        name="three",
        box_iou_thresholds=(0.5, 0.3, 0.7),
        box_scores=(BoxScore.MAXIMUM,),
    )
    correct = boxes.measure(block_of(Counting, dataset, three, maps))["correct"]
    assert correct.all(axis=(0, 2)).tolist() == [True, True, False]
    assert len(computed) == 1


def test_protocols_that_see_maps_alike_find_contours_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("cv2", reason="it resizes maps")
    dataset, maps = random_dataset(tmp_path / "r.h5", COUNT), random_maps(COUNT)
    names = ("wsoleval-v1", "wsoleval-v2", "wsoleval-pxap", "sem", "tscam")
    together = [PROTOCOLS[name] for name in names]
    apart = [block_of(Block, dataset, own, maps) for own in together]
    expected = [own.overlaps.tolist() for own in apart if own.rules.box_scores]
    searched: list[np.ndarray] = []

    class Counted(contours.Outlines):
        def __init__(self, levels: np.ndarray) -> None:
            searched.append(levels)
            super().__init__(levels)

    monkeypatch.setattr(block, "Outlines", Counted)
    shared = Shared(together)
    blocks = [block_of(Block, dataset, own, maps, shared=shared) for own in together]
    found = [own.overlaps.tolist() for own in blocks if own.rules.box_scores]
    assert found == expected
    assert len(searched) == 2 * COUNT  # for wsolevaluation's boxes, and for TS-CAM's
    assert shared.overlaps.keys() == {together[0], together[1], together[4]}
    assert blocks[1].rules in shared.overlaps
    assert "seen" not in vars(blocks[1])


def test_boxes_of_a_submission_are_taken_as_they_are(tmp_path: Path) -> None:
    dataset, maps = random_dataset(tmp_path / "r.h5", COUNT), random_maps(COUNT)
    own = np.stack([dataset[place].boxes[0] for place in range(COUNT)])
    block = block_of(Block, dataset, PROTOCOLS["sem"], maps, submitted=own)
    assert block.boxes.shape == (COUNT, 1, 4)
    assert block.overlaps.tolist() == [[1.0]] * COUNT


def test_no_image_is_a_block_too(tmp_path: Path) -> None:
    dataset = random_dataset(tmp_path / "r.h5", 3)
    none = dataclasses.replace(dataset, rows=dataset.rows[:0])
    for kind in (Block, Stepwise):
        block = block_of(kind, none, PROTOCOLS["sem"], [])
        assert block.histograms.shape == (0, 2, 256)
        assert len(block) == block.overlaps.shape[0] == block.constant.shape[0] == 0


def test_damaged_run_lengths_name_their_image(tmp_path: Path) -> None:
    dataset = random_dataset(tmp_path / "r.h5", 1)
    block = block_of(Stepwise, dataset, PROTOCOLS["sem"], random_maps(1))
    broken = Packed.of([np.frombuffer(b"00", np.uint8)], np.empty(0, np.uint8))
    for kind in (Block, Stepwise):
        damaged = dataclasses.replace(block.truth, masks=broken)
        with pytest.raises(WsolbenchError, match="mask of image_000: found malformed run lengths"):
            _ = kind(block.rules, damaged, block.maps).histograms


def test_threads_measure_blocks_at_the_same_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each waits in the compiled call until the other is there too."""
    dataset, maps = random_dataset(tmp_path / "r.h5", 3), random_maps(3)
    blocks = [block_of(Block, dataset, PROTOCOLS["sem"], maps) for _ in range(2)]
    meeting, measure = Barrier(2, timeout=60), images.measure

    def met(*arguments: Any, **options: Any) -> Any:
        meeting.wait()
        return measure(*arguments, **options)

    monkeypatch.setattr(images, "measure", met)
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda block: block.histograms, blocks)
    assert (first == second).all()


def test_truth_is_unpacked_once_and_parts_of_it_are_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = ignoring(tmp_path)
    decoded: list[RunLengths] = []

    def counted(run_lengths: RunLengths) -> np.ndarray:
        decoded.append(run_lengths)
        return masks.decode(run_lengths)

    monkeypatch.setattr(truth_module, "decode", counted)
    whole, places = truth_of(dataset, range(COUNT)), [3, 0, 7]
    for grid in (None, 16, None, 16):
        assert len(whole.on_grid(grid)) == COUNT
    outlines = whole.outlines(BoundaryTruth.INNER)
    # Each mask for two grids and the outlines, ignored pixels for two grids.
    assert len(decoded) == 3 * COUNT + 2 * sum(sample.ignore is not None for sample in dataset)
    some, apart = whole.only(places), truth_of(dataset, places)
    assert some.names == apart.names
    assert some.class_indices.tolist() == apart.class_indices.tolist()
    before = len(decoded)
    for mine, place in zip(some.outlines(BoundaryTruth.INNER), places, strict=True):
        assert mine is outlines[place]
    for (mask, ignore), (other, beside) in zip(some.on_grid(16), apart.on_grid(16), strict=True):
        assert (mask == other).all()
        assert (ignore is None) == (beside is None)
        assert ignore is None or (ignore == beside).all()
    assert len(decoded) - before == 3 + sum(dataset[at].ignore is not None for at in places)
    for name in ("masks", "ignored", "boxes"):
        assert getattr(some, name).values.tolist() == getattr(apart, name).values.tolist()
        assert getattr(some, name).starts.tolist() == getattr(apart, name).starts.tolist()
