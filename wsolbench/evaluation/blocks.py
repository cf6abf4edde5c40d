"""Which images are scored together, what is known of them, and how blocks run in threads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import islice
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ..data.dataset import Dataset
from ..protocols.truth import Truth

__all__ = ["EDGES_AT_A_TIME", "IMAGES_AT_A_TIME", "blocks_of", "in_flight", "truth_of"]

IMAGES_AT_A_TIME = 128
"""Images read and scored at a time."""

EDGES_AT_A_TIME = 8
"""The same where boundaries are scored, which takes a hundred times as long."""

_BLOCK_BYTES = 4 << 20  # of their maps: a block of large maps has fewer images

_S = TypeVar("_S")
_T = TypeVar("_T")


def blocks_of(
    rows: Sequence[int], sizes: NDArray[np.int64], most: int = IMAGES_AT_A_TIME
) -> Iterator[list[int]]:
    """The rows in runs of at most `most` images and `_BLOCK_BYTES`, one image at least.

    Args:
        rows: images, in order.
        sizes: int64 (N,), bytes of the map of each of N images.
        most: images at a time.
    """
    block: list[int] = []
    total = 0
    for row in rows:
        if block and (len(block) == most or total + sizes[row] > _BLOCK_BYTES):
            yield block
            block, total = [], 0
        block.append(row)
        total += int(sizes[row])
    if block:
        yield block


def in_flight(
    pool: ThreadPoolExecutor,
    work: Callable[[_S], _T],
    items: Iterable[_S],
    most: int,
) -> Iterator[_T]:
    """Results as they come, with no more than `most` items begun: memory stays constant."""
    queue = iter(items)
    running: set[Future[_T]] = {pool.submit(work, item) for item in islice(queue, most)}
    while running:
        finished, running = wait(running, return_when=FIRST_COMPLETED)
        for future in finished:
            yield future.result()
            running.update(pool.submit(work, item) for item in islice(queue, 1))


def truth_of(dataset: Dataset, indices: Sequence[int]) -> Truth:
    """What is known of the images at some places of a data set."""
    places = np.asarray(indices, np.int64)
    store, rows = dataset.store, dataset.rows[places]
    return Truth(
        [dataset.image_ids[place] for place in indices],
        np.stack((store.heights[rows], store.widths[rows]), axis=1).astype(np.int64),
        store.packed("masks", rows),
        store.packed("ignored", rows),
        store.packed("boxes", rows),
        dataset.class_indices[places],
    )
