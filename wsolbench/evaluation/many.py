"""Many submissions scored together: what is known of the images is prepared once for all of them.

Each gets the result that `run` gives it alone, to the byte. One that cannot be scored has an error
and does not stop the others. Submissions are opened in groups, so that neither open files nor the
per-image statistics of intervals, groups and counts grow with their number.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from .. import __version__
from ..data.dataset import Dataset
from ..data.importers.tables import read_lines
from ..errors import WsolbenchError, require_items, require_type
from ..formats.annotations import AnnotationStore
from ..formats.result import Result
from ..formats.submission.reader import Submission
from ..scores import SCORES
from .evaluator import Evaluator
from .families import ALWAYS, EDGES
from .loop import Entry, score_all
from .run import Bars, Outcome, Request, evaluators_for, find_dataset, outcome_for
from .thresholds import chosen_threshold

__all__ = ["Scored", "evaluate_many", "read_submissions"]

HELD_BYTES = 1 << 30
"""Most bytes that the images' ids and statistics of one group of submissions may take."""

BYTES_PER_IMAGE = 400
"""What a submission holds of each image while it is open: id, shapes, classes, place."""

MAX_OPEN = 256
"""Most submissions that are open at a time, each of which holds one file open."""

OTHER_FILES = 64
"""Open files that are left to everything else: annotations, readers, results, the caller."""

PathLike = str | os.PathLike[str]


@dataclass(frozen=True)
class Scored:
    """The result of one submission, or why there is none.

    Attributes:
        path: the submission.
        outcome: as `run` gives it; None if the submission could not be scored.
        error: why it could not, in one line; empty if it was.
        known: whether the results were there before.
    """

    path: Path
    outcome: Outcome | None
    error: str = ""
    known: bool = False


@dataclass(frozen=True)
class _Opened:
    """A submission that is about to be scored."""

    path: Path
    submission: Submission
    evaluators: list[Evaluator]

    @property
    def dataset(self) -> Dataset:
        return self.evaluators[0].dataset

    @property
    def held_bytes(self) -> int:
        """What it takes in memory until its group is done."""
        statistics = sum(
            array.dtype.itemsize * math.prod(array.shape[1:])
            for evaluator in self.evaluators
            if evaluator.keep_images
            for array in evaluator.scoring.empty().values()
        )
        return BYTES_PER_IMAGE * len(self.submission) + statistics * len(self.dataset)


def evaluate_many(
    request: Request,
    submissions: Sequence[PathLike],
    *,
    known: Callable[[Path], Sequence[Result]] = lambda path: (),
    bars: Bars = lambda title, unit: nullcontext(),
) -> Iterator[Scored]:
    """Score submissions together; each comes as soon as its group is done.

    Args:
        request: how to score each of them; its own submission is not read.
        submissions: their files.
        known: gives the results that a submission had before, one a protocol, if it had any. They
            stand if they state the same submission, annotations, protocols and options; their
            outcome then has no `counts`. With `per_image`, every submission is scored.
        bars: makes a progress bar from a title and a unit.

    Raises:
        WsolbenchError: a damaged annotation file, or a request that no submission could satisfy.

    Examples:
        >>> files = ["demo/cam-val.h5", "demo/sem-val.h5"]
        >>> request = wsolbench.Request(files[0], "demo/mini.h5")
        >>> [len(scored.outcome.results) for scored in wsolbench.evaluate_many(request, files)]
        [1, 1]
    """
    require_type("request", request, (Request,), "a wsolbench.Request")
    require_items("submissions", submissions, (str, os.PathLike), "a list of paths")
    request = replace(request, threshold=request.read_threshold())  # once for all
    if isinstance(request.annotations, (str, os.PathLike)):
        AnnotationStore.open(request.annotations)  # else each submission would have its error
    return _scored(request, [Path(path) for path in submissions], known, bars)


def read_submissions(path: PathLike) -> list[Path]:
    """The submissions that a text file lists, one path a line; relative ones are to its folder.

    Blank lines, and lines that start with #, are skipped.

    Raises:
        WsolbenchError: the file is missing, not UTF-8, too large or empty; a submission is listed
            twice, or two have the same name without folder and ending.
    """
    lines = read_lines(path, "a list of submissions, one path per line")
    listed = [Path(path).parent / line for _, line in lines if not line.startswith("#")]
    if not listed:
        raise WsolbenchError(
            path, found="no submission", expected="one path per line", cure="list one or more"
        )
    named: dict[str, Path] = {}
    for own in listed:
        other = named.setdefault(own.stem.casefold(), own)
        if other is not own:
            same = os.path.realpath(other) == os.path.realpath(own)
            raise WsolbenchError(
                path,
                found=f"{own} listed twice" if same else f"{other} and {own}",
                expected="names that differ, since results are named after them",
                cure="list it once" if same else "rename one of them",
            )
    return listed


def _scored(
    request: Request,
    paths: Sequence[Path],
    known: Callable[[Path], Sequence[Result]],
    bars: Bars,
) -> Iterator[Scored]:
    datasets: dict[tuple[str, str], Dataset] = {}
    group: list[_Opened] = []
    try:
        for path in paths:
            try:
                opened = _open(request, path, datasets)
            except (WsolbenchError, OSError) as error:
                yield _failed(path, error)
                continue
            group.append(opened)
            # A result has no table of images.
            before = () if request.per_image else known(path)
            if before and _are_current(request, opened, before):
                group.pop().submission.close()
                yield Scored(path, Outcome(tuple(before)), known=True)
                continue
            full = sum(own.held_bytes for own in group) > HELD_BYTES or len(group) > _max_open()
            if full and len(group) > 1:
                *first, last = group
                group = [last]
                yield from _score(request, first, bars)
        yield from _score(request, group, bars)
    finally:
        for opened in group:
            opened.submission.close()


def _open(request: Request, path: Path, datasets: dict[tuple[str, str], Dataset]) -> _Opened:
    """Open a submission; those of one split share the data set."""
    submission = Submission.open(path)
    try:
        named = submission.header.dataset, submission.header.split
        if named not in datasets:
            datasets[named] = find_dataset(request, submission)
        keep = request.keeps_images
        evaluators = evaluators_for(request, datasets[named], submission, keep_images=keep)
    except BaseException:
        submission.close()
        raise
    return _Opened(path, submission, evaluators)


def _score(request: Request, group: list[_Opened], bars: Bars) -> Iterator[Scored]:
    """Score a group, and close it; emptied as its results are taken."""
    entries = {id(opened): Entry(opened.submission, opened.evaluators) for opened in group}
    try:
        for dataset in {id(opened.dataset): opened.dataset for opened in group}.values():
            together = [entries[id(own)] for own in group if own.dataset is dataset]
            with bars(f"evaluate {len(together)} submissions", "image") as progress:
                score_all(dataset, together, jobs=request.jobs, progress=progress)
        while group:
            opened = group.pop(0)
            entry = entries.pop(id(opened))
            with opened.submission:
                try:
                    if entry.error is not None:
                        raise entry.error
                    outcome = outcome_for(request, opened.evaluators, opened.submission, bars)
                    done = Scored(opened.path, outcome)
                except (WsolbenchError, OSError) as error:
                    done = _failed(opened.path, error)
            del opened, entry  # and with them the statistics of each image
            yield done
            del done
    finally:
        for opened in group:
            opened.submission.close()


def _are_current(request: Request, opened: _Opened, results: Sequence[Result]) -> bool:
    """Whether results are those that scoring would give, by all that they state of it."""
    return len(results) == len(opened.evaluators) and all(
        _is_current(request, opened.submission, evaluator, result)
        for evaluator, result in zip(opened.evaluators, results, strict=True)
    )


def _is_current(
    request: Request, submission: Submission, evaluator: Evaluator, result: Result
) -> bool:
    dataset, sha256 = evaluator.dataset, submission.sha256
    families = {SCORES[key].family for key in result.scores} - {ALWAYS}
    boundary = evaluator.boundary.as_dict() if EDGES in evaluator.metrics else {}
    return (
        result.submission_sha256 == sha256
        and result.annotations_sha256 == dataset.store.content_sha256
        and (result.dataset, result.split) == (dataset.name, dataset.split)
        and (result.limit, result.ids) == (dataset.limit, dataset.subset)
        and result.protocol["sha256"] == evaluator.protocol.sha256
        and result.wsolbench == __version__
        and result.bootstrap == request.bootstrap
        and set(result.breakdowns) == set(request.by)
        and families == set(evaluator.metrics)
        and dict(result.boundary) == boundary
        and (request.allow_missing or not result.counts.get("missing"))
        and result.threshold
        == chosen_threshold(
            request.read_threshold(),
            *(dataset, evaluator.protocol, evaluator.label, sha256, evaluator.metrics),
            boxed=submission.boxes is not None,
        )
    )


def _failed(path: Path, error: WsolbenchError | OSError) -> Scored:
    """The error in one line that names the submission."""
    told = str(error) if isinstance(error, WsolbenchError) else error.strerror or str(error)
    return Scored(path, None, told if told.startswith(f"{path}:") else f"{path}: {told}")


def _max_open() -> int:
    """How many submissions may be open at a time, by the limit on open files."""
    try:
        import resource
    except ImportError:  # Windows, whose limit is 512 files of the C library
        return MAX_OPEN // 2
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY:
        return MAX_OPEN
    return max(1, min(MAX_OPEN, limit - OTHER_FILES))
