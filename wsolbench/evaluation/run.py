"""One evaluation from files to results: the command line, Python and `verify` all run this.

A `Request` says what to score and how, and is checked when it is made; `run` does the work and
gives an `Outcome`. Nothing is written here.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..data.dataset import Dataset
from ..errors import WsolbenchError, require_type, some
from ..formats.annotations import find_annotations
from ..formats.result import Bootstrap, Result, Threshold, read_result
from ..formats.submission.reader import Submission
from ..metrics.choices import BoundaryRule
from ..metrics.own_thresholds import is_own_rule
from ..progress import Progress
from ..protocols import Protocol, as_protocols
from .checks import check_bootstrap, check_options, checked_boundary, default_metrics
from .counts import Counts
from .evaluator import Evaluator, score_together
from .families import EDGES, LEVELS_ALONE, ON_REQUEST, fitting, keep_levels, need_maps
from .notes import carried_notes, interval_notes, submission_notes

__all__ = [
    "Bars",
    "Outcome",
    "Request",
    "evaluate",
    "evaluators_for",
    "find_dataset",
    "opened",
    "outcome",
    "outcome_for",
    "run",
]

PathLike = str | os.PathLike[str]

Bars = Callable[[str, str], AbstractContextManager[Progress | None]]
"""Makes a progress bar from a title and a unit, e.g. `progress.bar`."""


@dataclass(frozen=True)
class Request:
    """What to score and how; checked when it is made.

    Attributes:
        submission: the maps, or their file.
        annotations: the split, or the annotation file; None looks where
            `formats.annotations.find_annotations` says.
        split: what the submission must be for; None for its own.
        protocols: a name or a value, or several of them, which are scored in one pass.
        metrics: names of metric families; None for all that protocol, annotations and submission
            allow.
        boundary: how boundaries are scored, if they are.
        threshold: a level 0..255, another result or its file, how thresholds were chosen
            elsewhere, or how each map gives its own: "otsu", "mean", "max:F" or "area:F"; None for
            the best on this split.
        bootstrap: how intervals are drawn; None for none.
        by: kinds of groups to score: "area", "boxes", "class".
        per_image: whether to make the table of per-image scores.
        counts: whether to return per-image statistics, for `compare`.
        allow_missing: score images without map as maps of zeros.
        limit: score the first images only; the result is marked as a trial.
        ids: score these images only; the result is marked as one of a subset.
        jobs: threads; None for one a processor. No score depends on it.

    Raises:
        WsolbenchError: no such protocol, an option that a protocol does not support.

    Examples:
        >>> names = ["sem", "wsoleval-pxap"]
        >>> request = wsolbench.Request("demo/sem-val.h5", "demo/mini.h5", protocols=names)
        >>> [result.protocol["name"] for result in wsolbench.run(request).results]
        ['sem', 'wsoleval-pxap']
    """

    submission: Submission | PathLike
    annotations: Dataset | PathLike | None = None
    split: str | None = None
    protocols: str | Protocol | Sequence[str | Protocol] = ("sem",)
    metrics: Sequence[str] | None = None
    boundary: BoundaryRule | None = None
    threshold: int | Result | Threshold | PathLike | None = None
    bootstrap: Bootstrap | None = None
    by: Sequence[str] = ()
    per_image: bool = False
    counts: bool = False
    allow_missing: bool = False
    limit: int | None = None
    ids: Collection[str] | None = None
    jobs: int | None = None

    def __post_init__(self) -> None:
        """Check what can be checked without opening a file."""
        for name in ("metrics", "by"):
            value = getattr(self, name)
            if value is None and name == "metrics":
                continue
            if not isinstance(value, Sequence) or isinstance(value, str):
                raise WsolbenchError(
                    name,
                    found=f"the text {value!r}" if isinstance(value, str) else repr(value),
                    expected="a list of names",
                    cure="pass a list, even of one name",
                )
        paths = (str, os.PathLike)
        require_type(
            "submission", self.submission, (Submission, *paths), "a Submission or its path"
        )
        require_type(
            "annotations",
            self.annotations,
            (Dataset, *paths, type(None)),
            "a Dataset or the path of an annotation file",
        )
        check_bootstrap(self.bootstrap)
        for name in ("limit", "jobs"):
            value = getattr(self, name)
            if value is not None and (type(value) is not int or value < 1):
                raise WsolbenchError(
                    name, found=repr(value), expected="1 or more", cure="give an integer"
                )
        if isinstance(self.ids, str):
            raise WsolbenchError(
                "ids",
                found=f"the text {self.ids!r}",
                expected="a list of image ids",
                cure="pass a list, even of one id",
            )
        if self.ids is not None and self.limit is not None:
            raise WsolbenchError(
                "ids", found="both ids and a limit", cure="leave one of the two out"
            )
        given = self.annotations
        if isinstance(given, Dataset) and self.split not in (None, given.split):
            raise WsolbenchError(
                "split",
                found=repr(self.split),
                expected=f"that of the Dataset: {given.split}",
                cure="leave it out, or open that split",
            )
        check_options(
            self.checked_protocols,
            threshold=self.threshold is not None,
            per_image=self.per_image,
            by=self.by,
        )

    @property
    def checked_protocols(self) -> list[Protocol]:
        """The protocols as values, each once."""
        given = self.protocols
        if isinstance(given, str) or not isinstance(given, Sequence):
            return as_protocols([given])
        return as_protocols(given)

    @property
    def keeps_images(self) -> bool:
        """Whether results need the statistics of each image."""
        own = self.own_rule is not None
        return bool(self.per_image or self.bootstrap or self.by or self.counts or own)

    @property
    def own_rule(self) -> str | None:
        """How each map gives its own threshold; None where images share theirs."""
        given = self.threshold
        if isinstance(given, Threshold):
            return given.per_image
        return given if isinstance(given, str) and is_own_rule(given) else None

    def read_threshold(self) -> int | str | Result | Threshold | None:
        """The threshold; of a path, the result in that file.

        Raises:
            WsolbenchError: the file is missing or damaged.
        """
        given, own = self.threshold, self.own_rule
        if isinstance(given, (str, os.PathLike)):
            return read_result(given) if own is None else own
        return given


@dataclass(frozen=True)
class Outcome:
    """What an evaluation gives.

    Attributes:
        results: one for each protocol.
        counts: one for each protocol, if requested.
        table: per-image scores under the first protocol, as columns, if requested.
        notes: what a reader of the scores should know, e.g. that no image is classified correctly.

    Examples:
        >>> request = wsolbench.Request("demo/sem-val.h5", "demo/mini.h5", per_image=True)
        >>> outcome = wsolbench.run(request)
        >>> len(outcome.results), len(outcome.table["best_iou"])
        (1, 120)
    """

    results: tuple[Result, ...]
    counts: tuple[Counts, ...] = ()
    table: dict[str, list[Any]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def run(request: Request, bars: Bars = lambda title, unit: nullcontext()) -> Outcome:
    """Score a submission.

    Args:
        request: what and how.
        bars: makes a progress bar from a title and a unit.

    Raises:
        WsolbenchError: files that cannot be read, a submission of another data set or split, or
            one of the faults of `Evaluator`.

    Examples:
        >>> request = wsolbench.Request("demo/sem-val.h5", "demo/mini.h5", threshold=100)
        >>> (result,) = wsolbench.run(request).results
        >>> result.threshold.pixel, result.threshold.box
        (100, 100)
    """
    require_type("request", request, (Request,), "a wsolbench.Request")
    request = replace(request, threshold=request.read_threshold())  # before the work
    with opened(request.submission) as submission:
        dataset = find_dataset(request, submission)
        keep = request.keeps_images
        evaluators = evaluators_for(request, dataset, submission, keep_images=keep)
        with bars("evaluate", "image") as progress:
            score_together(evaluators, submission, jobs=request.jobs, progress=progress)
        return outcome_for(request, evaluators, submission, bars)


def evaluators_for(
    request: Request, dataset: Dataset, submission: Submission, *, keep_images: bool
) -> list[Evaluator]:
    """An evaluator for each protocol of a request, which has scored nothing yet.

    Args:
        request: what to score.
        dataset: the split, cut to the request's limit or ids.
        submission: tells which metric families it has maps or edges for.
        keep_images: see `Evaluator`.

    Raises:
        WsolbenchError: metrics that submission or annotations do not allow.
    """
    if "area" in request.by:
        dataset.require_masks("groups by area")
    protocols = request.checked_protocols
    asked = [_metrics(request, own, dataset, submission) for own in protocols]
    if request.own_rule is not None:
        pairs = zip(asked, protocols, strict=True)
        asked = [_with_levels(names, protocol) for names, protocol in pairs]
    checked_boundary(request.boundary, [name for metrics in asked for name in metrics])
    return [
        Evaluator(
            dataset,
            protocol,
            metrics,
            header=submission.header,
            keep_images=keep_images,
            # Protocols without boundary scores are scored beside one that has them.
            boundary=request.boundary if EDGES in fitting(protocol) else None,
        )
        for protocol, metrics in zip(protocols, asked, strict=True)
    ]


def outcome_for(
    request: Request,
    evaluators: Sequence[Evaluator],
    submission: Submission,
    bars: Bars = lambda title, unit: nullcontext(),
) -> Outcome:
    """What a request asks of evaluators that have scored its submission, or one of several.

    Raises:
        WsolbenchError: as `outcome`.
    """
    return outcome(
        evaluators,
        submission.sha256,
        threshold=request.read_threshold(),
        allow_missing=request.allow_missing,
        bootstrap=request.bootstrap,
        by=request.by,
        per_image=request.per_image,
        counts=request.counts,
        notes=submission_notes(evaluators[0].dataset, submission),
        bars=bars,
    )


def outcome(
    evaluators: Sequence[Evaluator],
    submission_sha256: str,
    *,
    threshold: int | str | Result | Threshold | None = None,
    allow_missing: bool = False,
    bootstrap: Bootstrap | None = None,
    by: Sequence[str] = (),
    per_image: bool = False,
    counts: bool = False,
    notes: Sequence[str] = (),
    bars: Bars = lambda title, unit: nullcontext(),
) -> Outcome:
    """Results of evaluators that have scored all images of one submission.

    Args:
        evaluators: one for each protocol.
        submission_sha256: of the file that the maps came from.
        threshold: see `Evaluator.result`.
        allow_missing: see there.
        bootstrap: see there.
        by: see there.
        per_image: whether to make the table of per-image scores.
        counts: whether to return per-image statistics.
        notes: on the submission.
        bars: makes a progress bar from a title and a unit.

    Raises:
        WsolbenchError: one of the faults of `Evaluator.result`.
    """
    results = []
    spreads = bootstrap is not None or bool(by)
    for evaluator in evaluators:
        with bars("intervals and groups", "step") if spreads else nullcontext() as progress:
            results.append(
                evaluator.result(
                    threshold=threshold,
                    allow_missing=allow_missing,
                    submission_sha256=submission_sha256,
                    bootstrap=bootstrap,
                    by=by,
                    progress=progress,
                )
            )
    first = evaluators[0]
    if isinstance(threshold, Result) and first.header is not None:
        notes = (*carried_notes(threshold, first.dataset, first.header), *notes)
    notes = (*notes, *interval_notes(results))
    pairs = list(zip(evaluators, results, strict=True))
    return Outcome(
        tuple(results),
        tuple(evaluator.counts(result) for evaluator, result in pairs if counts),
        first.image_table(results[0]) if per_image else {},
        tuple(notes),
    )


def evaluate(
    dataset: Dataset | PathLike,
    submission: Submission | PathLike,
    protocol: str | Protocol = "sem",
    metrics: Sequence[str] | None = None,
    *,
    boundary: BoundaryRule | None = None,
    threshold: int | Result | Threshold | PathLike | None = None,
    allow_missing: bool = False,
    limit: int | None = None,
    ids: Collection[str] | None = None,
    jobs: int | None = None,
    bootstrap: Bootstrap | None = None,
    by: Sequence[str] = (),
    progress: Progress | None = None,
) -> Result:
    """Score a submission file on one split under one protocol.

    Args:
        dataset: the split; or the annotation file, whose split is then the submission's.
        submission: the file, or its path.
        protocol: a protocol's name, or a protocol of your own; `run` scores several in one pass.
        metrics: names of metric families; None for all that protocol, annotations and submission
            allow.
        boundary: how boundaries are scored, if they are.
        threshold: see `Evaluator.result`; or a result file.
        allow_missing: score images without map as maps of zeros.
        limit: score the first images only; the result is marked as a trial.
        ids: score these images only; the result is marked as one of a subset.
        jobs: threads; None for one a processor. The result does not depend on it.
        bootstrap: see `Evaluator.result`.
        by: see there.
        progress: called with (images done, images in all).

    Raises:
        WsolbenchError: the submission cannot be read, is of another data set or split, holds
            images that the split does not or lacks some that it has, or a map is not legal.

    Examples:
        >>> result = wsolbench.evaluate("demo/mini.h5", "demo/sem-val.h5")
        >>> print(f"{result.scores['peak_iou']:.2f} at T {result.scores['peak_threshold']}")
        0.53 at T 128
    """
    request = Request(
        submission,
        dataset,
        protocols=(protocol,),
        metrics=metrics,
        boundary=boundary,
        threshold=threshold,
        allow_missing=allow_missing,
        limit=limit,
        ids=ids,
        jobs=jobs,
        bootstrap=bootstrap,
        by=by,
    )

    def bars(title: str, unit: str) -> AbstractContextManager[Progress | None]:
        return nullcontext(progress if title == "evaluate" else None)

    return run(request, bars).results[0]


def _with_levels(metrics: Sequence[str], protocol: Protocol) -> Sequence[str]:
    """The metric families, and the one that keeps levels if none of them does."""
    kept = [name for name in metrics if name in fitting(protocol)]
    return metrics if keep_levels(kept, protocol) else [*metrics, LEVELS_ALONE]


def _metrics(
    request: Request, protocol: Protocol, dataset: Dataset, submission: Submission
) -> Sequence[str]:
    """The metric families to score, for which the submission has maps or edges.

    Raises:
        WsolbenchError: requested ones for which it has none.
    """
    maps, edges = submission.shapes is not None, submission.edge_shapes is not None
    if request.metrics is None:
        found = default_metrics(dataset, protocol, maps=maps, edges=edges)
        asked = found or [name for name in fitting(protocol) if name not in ON_REQUEST]
    else:
        asked = [*request.metrics]
    fitted = [name for name in asked if name in fitting(protocol)]
    missing = "edges" if EDGES in fitted and not edges else ""
    if need_maps(fitted) and not maps:
        missing = "localization maps"
    if missing:
        raise WsolbenchError(
            submission.path,
            found=f"no {missing}",
            expected=f"some for the metrics {some(fitted)} under protocol {protocol.name}",
            cure=f"request other scores (--metrics), or add {missing} to the submission",
            exit_status=1,
        )
    return asked


def opened(submission: Submission | PathLike) -> AbstractContextManager[Submission]:
    """The submission itself, which stays open, or the one in a file, which is closed at the end."""
    if isinstance(submission, Submission):
        return nullcontext(submission)
    return Submission.open(submission)


def find_dataset(request: Request, submission: Submission) -> Dataset:
    """The split that a submission is scored on, cut to the request's limit or ids.

    Raises:
        WsolbenchError: no annotation file, or none with that split; ids that it does not have.
    """
    given, header = request.annotations, submission.header
    if isinstance(given, Dataset):
        dataset = given
    else:
        path = find_annotations(None if given is None else Path(given), header.dataset)
        dataset = Dataset.open(path, request.split or header.split)
    if request.ids is not None:
        return dataset.only(request.ids)
    return dataset if request.limit is None else dataset.first(request.limit)
