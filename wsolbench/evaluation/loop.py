"""The only loop over images: blocks of them, each scored for every submission and protocol.

For each block the truth is read and unpacked once; then one submission after the other is read and
measured on it under every protocol. One submission is a list of one. What is in memory at a time,
for each thread, is one block of the truth and one block of one submission.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..data.dataset import Dataset
from ..errors import WsolbenchError
from ..files import available_processors
from ..formats.submission.reader import Submission
from ..metrics.family import Statistics, Sums
from ..progress import Progress
from ..protocols import Protocol as Rules
from ..protocols.block import Shared
from ..protocols.truth import Truth
from .blocks import EDGES_AT_A_TIME, IMAGES_AT_A_TIME, blocks_of, in_flight, truth_of
from .checks import check_match
from .families import EDGES, need_maps
from .windowed import bytes_on_images

__all__ = ["Entry", "Measured", "score_all"]


@dataclass
class Measured:
    """What some images add to the scores of one submission under one protocol.

    Attributes:
        indices: places of the images in the data set.
        kept: their statistics, if they are kept.
        sums: of the statistics.
        constant: how many maps have one value.
        full_frame: how many masks cover the whole image, nearly.
        windowed: how many maps were placed in a window.
    """

    indices: list[int]
    kept: Statistics = field(default_factory=dict)
    sums: Sums = field(default_factory=dict)
    constant: int = 0
    full_frame: int = 0
    windowed: int = 0


class Scorer(Protocol):
    """An `Evaluator`, as far as the loop knows it."""

    @property
    def dataset(self) -> Dataset:
        """The images."""

    @property
    def protocol(self) -> Rules:
        """The rules."""

    @property
    def metrics(self) -> Sequence[str]:
        """Names of the metric families."""

    def measured(
        self,
        truth: Truth,
        indices: list[int],
        maps: Sequence[NDArray[Any]] | None,
        top5: NDArray[np.integer[Any]] | None,
        boxes: NDArray[np.integer[Any]] | None,
        windows: NDArray[np.float64] | None = None,
        edges: Sequence[NDArray[Any]] | None = None,
        shared: Shared | None = None,
    ) -> Measured:
        """What images add; changes nothing, so threads may call it."""

    def absorb(self, measured: Measured, ranked: bool, boxed: bool) -> None:
        """Add it."""


@dataclass
class Entry:
    """A submission that is to be scored.

    Attributes:
        submission: open.
        evaluators: of one data set, one a protocol.
        error: why it could not be scored, once `score_all` has returned; None if it was. The
            evaluators are then unusable.
    """

    submission: Submission
    evaluators: Sequence[Scorer]
    error: WsolbenchError | OSError | None = None

    @property
    def of_maps(self) -> bool:
        """Whether localization maps are scored."""
        return any(need_maps(evaluator.metrics) for evaluator in self.evaluators)

    @property
    def of_edges(self) -> bool:
        """Whether boundaries are scored."""
        return any(EDGES in evaluator.metrics for evaluator in self.evaluators)

    def measured(self, truth: Truth, indices: list[int], rows: list[int]) -> list[Measured]:
        """What a block adds, by evaluator.

        Args:
            truth: of the images.
            indices: their places in the data set.
            rows: and in the submission.
        """
        own = self.submission
        maps = own.read(rows) if self.of_maps else None
        edges = own.read_edges(rows) if self.of_edges else None
        top5 = None if own.top5 is None else own.top5[rows]
        boxes = None if own.boxes is None else own.boxes[rows]
        windows = None if own.windows is None else own.windows[rows]
        shared = Shared([evaluator.protocol for evaluator in self.evaluators])
        return [
            evaluator.measured(truth, indices, maps, top5, boxes, windows, edges, shared)
            for evaluator in self.evaluators
        ]


_Found = list[Measured] | WsolbenchError | OSError | None


@dataclass(frozen=True)
class _Block:
    """Images that are scored together, which block it is, and what came of it by entry."""

    number: int
    indices: list[int]
    found: list[_Found] = field(default_factory=list)


def score_all(
    dataset: Dataset,
    entries: Sequence[Entry],
    *,
    jobs: int | None = None,
    places: range | None = None,
    progress: Progress | None = None,
) -> None:
    """Score submissions together.

    A submission that cannot be scored does not stop the others: its error is stored in its entry.
    It is that of its first block that has one, whatever the number of threads.

    Args:
        dataset: of every evaluator.
        entries: changed: what is measured goes to their evaluators, errors to themselves.
        jobs: threads; None for one a processor. No score depends on it.
        places: score only these images of the data set; None for all.
        progress: called with (images done, images).

    Raises:
        WsolbenchError: evaluators of different images; a damaged annotation file.
    """
    if any(own.dataset is not dataset for entry in entries for own in entry.evaluators):
        raise WsolbenchError(
            "evaluators",
            found="different data sets",
            expected="one data set",
            cure="make all of them of the same Dataset",
        )
    for entry in entries:
        try:
            check_match(dataset, entry.submission)
        except WsolbenchError as error:
            entry.error = error
    entries = [entry for entry in entries if entry.error is None]
    _ = dataset.store.content_sha256  # a damaged store is refused before the work
    rows = [_rows(dataset, entry.submission) for entry in entries]
    if places is not None:
        for own in rows:
            own[: places.start] = own[places.stop :] = -1
    sizes = np.zeros(len(dataset), np.int64)
    for entry, own in zip(entries, rows, strict=True):
        held = own >= 0
        taken = bytes_on_images(dataset, entry.submission, maps=entry.of_maps, edges=entry.of_edges)
        sizes[held] = np.maximum(sizes[held], taken[own[held]])
    failed: dict[int, int] = {}  # the first block that has an error, by the place of its entry

    def measure(block: _Block) -> _Block:
        truth = truth_of(dataset, block.indices)
        for place, entry in enumerate(entries):
            # A block before the one that failed is measured: its error would come first.
            skipped = failed.get(place, block.number) < block.number
            at = rows[place][block.indices]
            block.found.append(None if skipped else _found(entry, truth, block.indices, at))
        return block

    order = _order(rows)
    done, threads = 0, jobs or available_processors()
    edged = any(entry.of_edges for entry in entries)
    parts = blocks_of(order, sizes, EDGES_AT_A_TIME if edged else IMAGES_AT_A_TIME)
    blocks = takewhile(
        lambda _: len(failed) < len(entries),
        (_Block(number, indices) for number, indices in enumerate(parts)),
    )
    with ThreadPoolExecutor(threads) as pool:
        try:
            for block in in_flight(pool, measure, blocks, 2 * threads):
                for place, (entry, found) in enumerate(zip(entries, block.found, strict=True)):
                    if isinstance(found, list) and place not in failed:
                        _absorb(entry, found)
                    elif isinstance(found, Exception) and (
                        block.number < failed.get(place, block.number + 1)
                    ):
                        failed[place], entry.error = block.number, found
                done += len(block.indices)
                if progress:
                    progress(done, len(order))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _rows(dataset: Dataset, submission: Submission) -> NDArray[np.int64]:
    """The row of each image of the data set in a submission, -1 without one: int64 (n,)."""
    known = {image_id: row for row, image_id in enumerate(submission.image_ids)}
    return np.array([known.get(image_id, -1) for image_id in dataset.image_ids], np.int64)


def _order(rows: Sequence[NDArray[np.int64]]) -> list[int]:
    """The images that any submission has a map of: in the order of the first, then of the next.

    A submission reads consecutive rows together.
    """
    listed: dict[int, None] = {}
    for own in rows:
        places = np.argsort(own, kind="stable")
        listed |= dict.fromkeys(places[np.count_nonzero(own < 0) :].tolist())
    return [*listed]


def _found(entry: Entry, truth: Truth, indices: list[int], rows: NDArray[np.int64]) -> _Found:
    """What an entry adds on the images of a block that it has; None if it has none of them."""
    held = np.flatnonzero(rows >= 0).tolist()
    if not held:
        return None
    some = len(held) < len(indices)
    try:
        return entry.measured(
            truth.only(held) if some else truth,
            [indices[place] for place in held],
            rows[held].tolist(),
        )
    except (WsolbenchError, OSError) as error:
        return error


def _absorb(entry: Entry, found: Sequence[Measured]) -> None:
    own = entry.submission
    for evaluator, measured in zip(entry.evaluators, found, strict=True):
        evaluator.absorb(measured, own.top5 is not None, own.boxes is not None)
