"""Scoring maps against a data set; the loop over the images of a submission is in `loop`.

How an image is brought to a protocol's grid is in `protocols`, what it adds in the metric families
(`families`), what the sums score in `statistics`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import __version__
from ..data.dataset import Dataset
from ..errors import WsolbenchError, some
from ..formats.result import Bootstrap, Group, Result, Threshold
from ..formats.submission.reader import Submission
from ..formats.submission.rules import TOP5_RULE, SubmissionHeader, bad_boxes, bad_top5
from ..image_ids import are_file_names, bare_name
from ..metrics import explain
from ..metrics.choices import BoundaryRule
from ..metrics.family import Statistics, Sums
from ..metrics.opencv import opencv
from ..progress import Progress
from ..protocols import Protocol, as_protocol
from ..protocols.block import Block, Shared
from ..protocols.truth import Truth
from ..tables import html_table
from .blocks import IMAGES_AT_A_TIME, truth_of
from .checks import (
    bad_row,
    check_against_data,
    check_bootstrap,
    check_given,
    check_options,
    checked_boundary,
    checked_ids,
    checked_map,
    checked_metrics,
    checked_rows,
    classes_averaged,
    lacking,
)
from .counts import Counts
from .families import ALWAYS, EDGES, FAMILIES, need_maps
from .image_table import image_table
from .intervals import intervals_and_groups
from .loop import Entry, Measured, score_all
from .statistics import Scoring, added, part, put, room_for
from .thresholds import chosen_threshold
from .windowed import check_within, checked_windows, on_images

__all__ = ["Evaluator", "score_together"]

FULL_FRAME = 0.95
"""Share of the image from which a mask counts as full-frame (paper, supplement A: about 400)."""


class Evaluator:
    """Scores maps as they come.

    Args:
        dataset: the images; each must come once.
        protocol: a protocol's name, or a protocol of your own.
        metrics: names of metric families; of these the ones that the protocol defines. Box scores
            need boxes for every image; "boundary", which must be named, needs edges.
        header: of the submission; None for maps from memory, taken as ground-truth class maps.
        keep_images: keep the statistics of each image, for intervals, groups and tables (4.9 kB an
            image under `sem`, and .8 kB for boundaries).
        boundary: how boundaries are scored, if they are.

    Raises:
        WsolbenchError: no such protocol or metric, none that the protocol defines; box scores where
            images have no box; accuracy by class where an image has no class; no OpenCV where the
            protocol needs it.

    Examples:
        >>> dataset = wsolbench.Dataset.open("demo/mini.h5")
        >>> evaluator = wsolbench.Evaluator(dataset)
        >>> for sample in dataset:
        ...     evaluator.update([sample.image_id], [np.float32(sample.mask)])
        >>> evaluator.result().scores["peak_iou"]
        1.0
    """

    def __init__(
        self,
        dataset: Dataset,
        protocol: str | Protocol = "sem",
        metrics: Sequence[str] | None = None,
        *,
        header: SubmissionHeader | None = None,
        keep_images: bool = False,
        boundary: BoundaryRule | None = None,
    ) -> None:
        if not isinstance(dataset, Dataset):
            raise WsolbenchError(
                "dataset",
                found=f"an object of type {type(dataset).__name__}",
                expected="a wsolbench.Dataset",
                cure="open it: wsolbench.Dataset.open(path, split)",
            )
        self.dataset = dataset
        self.protocol = as_protocol(protocol)
        self.metrics = checked_metrics(dataset, metrics, self.protocol)
        self._classes = classes_averaged(dataset, self.protocol)
        if self.protocol.needs_opencv:
            opencv()
        self.header = header
        self.boundary = checked_boundary(boundary, self.metrics)
        self.keep_images = keep_images
        self._places = {image_id: index for index, image_id in enumerate(dataset.image_ids)}
        self._seen = np.zeros(len(dataset), dtype=np.bool_)
        self._sums: Sums = {}
        self._constant = 0
        self._full_frame = 0
        self._windowed = 0
        self._kept: Statistics | None = None
        self._ranked: bool | None = None
        self._boxed: bool | None = None

    def __repr__(self) -> str:
        return (
            f"Evaluator({self.dataset.name} {self.dataset.split}, {self.protocol.label}, "
            f"{int(self._seen.sum())} of {len(self.dataset)} images)"
        )

    def _repr_html_(self) -> str:
        """What is scored so far, for notebooks."""
        rows = [
            ["data set", f"{self.dataset.name} {self.dataset.split}"],
            ["protocol", self.protocol.label],
            ["metrics", ", ".join(self.metrics)],
            ["images scored", f"{int(self._seen.sum())} of {len(self.dataset)}"],
        ]
        return html_table(rows, "Evaluator")

    def update(
        self,
        image_ids: Sequence[str],
        maps: Sequence[NDArray[Any]] | None,
        top5: NDArray[np.integer[Any]] | None = None,
        boxes: NDArray[np.integer[Any]] | None = None,
        windows: NDArray[np.floating[Any]] | None = None,
        edges: Sequence[NDArray[Any]] | None = None,
    ) -> None:
        """Score a batch.

        Args:
            image_ids: (n,), each of the data set and not seen before.
            maps: n maps (h, w) or (1, h, w), of any sizes: uint8 (value / 255), bool (0 or 1), or
                floats in [0, 1], which are scored in float32. None if boundaries alone are scored.
            top5: int (n, 5) class indices, best first, -1 in last places that stay empty; in all
                batches or in none.
            boxes: int (n, 4) boxes that the method predicts itself, half-open and within their
                images; in all batches or in none.
            windows: (n, 4), x0, y0, x1, y1 in pixels: the part of its image that each map covers,
                if the network saw a crop; None if each covers its whole image.
            edges: n maps of boundary probabilities, like `maps`, of the whole images; needed by the
                metric "boundary" and refused without it.

        Raises:
            WsolbenchError: lengths that differ, an unknown or repeated id, a map, class, box or
                window that is not legal. The evaluator is then as it was before.
        """
        names = checked_ids(image_ids)
        for name, other in (
            ("maps", maps),
            ("top5", top5),
            ("boxes", boxes),
            ("windows", windows),
            ("edges", edges),
        ):
            if other is not None and len(other) != len(names):
                raise WsolbenchError(
                    name,
                    found=f"{len(other)} for {len(names)} image ids",
                    expected="as many as image ids",
                    cure="pass one of each an image",
                )
        check_given(self.metrics, maps=maps is not None, edges=edges is not None)
        planes, edge_planes = (
            None
            if own is None
            else [checked_map(name, map_, of) for name, map_ in zip(names, own, strict=True)]
            for own, of in ((maps, "map"), (edges, "edges"))
        )
        rows = {"top5": (top5, 5), "boxes": (boxes, 4)}
        checked = {
            name: None if own is None else checked_rows(name, own, len(names), width)
            for name, (own, width) in rows.items()
        }
        for name, bad, expected in (
            ("top5", bad_top5, TOP5_RULE),
            ("boxes", bad_boxes, "0 <= x0 < x1, 0 <= y0 < y1"),
        ):
            own = checked[name]
            if own is not None and (wrong := bad(own)):
                raise bad_row(name, names[wrong[0]], own[wrong[0]], expected)
        shown = None if windows is None else checked_windows(names, windows)
        indices = self._places_of(names)
        measured = self.measured(
            truth_of(self.dataset, indices),
            indices,
            planes,
            checked["top5"],
            checked["boxes"],
            shown,
            edge_planes,
        )
        self.absorb(measured, top5 is not None, boxes is not None)

    def score(
        self,
        submission: Submission,
        *,
        jobs: int | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Score the maps of a submission file.

        Args:
            submission: of this data set and split; a trial ignores its other images.
            jobs: threads; None for one a processor. No score depends on it.
            progress: called with (images done, images).

        Raises:
            WsolbenchError: another data set or split, images that the split does not hold, or one
                of the faults of `update`.
        """
        score_together([self], submission, jobs=jobs, progress=progress)

    def merge(self, other: Evaluator) -> None:
        """Add what another evaluator of the same data set, protocol and metrics has scored.

        Raises:
            WsolbenchError: they differ in one of these, or both hold the same image.
        """
        for name in ("protocol", "metrics", "keep_images", "header", "boundary"):
            if getattr(self, name) != getattr(other, name):
                raise WsolbenchError(
                    "merge",
                    found=f"another {name}",
                    expected="the same in both",
                    cure="score both parts with the same settings",
                )
        ours, theirs = self.dataset, other.dataset
        if (
            ours.image_ids != theirs.image_ids
            or ours.store.content_sha256 != theirs.store.content_sha256
        ):
            raise WsolbenchError(
                "merge",
                found="other images or annotations",
                expected="the same in both",
                cure="open both on the same split",
            )
        if other._seen.any():
            self.absorb(other.so_far(), bool(other._ranked), bool(other._boxed))

    def so_far(self) -> Measured:
        """What the images add that have been scored."""
        seen = np.flatnonzero(self._seen)
        kept = {} if self._kept is None else part(self._kept, seen)
        counted = (self._constant, self._full_frame, self._windowed)
        return Measured(seen.tolist(), kept, self._sums, *counted)

    def result(
        self,
        *,
        threshold: int | str | Result | Threshold | None = None,
        allow_missing: bool = False,
        submission_sha256: str = "",
        bootstrap: Bootstrap | None = None,
        by: Sequence[str] = (),
        progress: Progress | None = None,
    ) -> Result:
        """The scores of what has come so far, which must be the whole data set.

        Args:
            threshold: None reads box scores where GT-known is highest on these very images; a
                number 0..255, another result's choice or a `Threshold` is used as it is, and adds
                the IoU there; "otsu", "mean", "max:F" and "area:F" read each image at its map's
                own threshold (`metrics.own_thresholds`), which needs `keep_images`.
            allow_missing: score images without map as maps of zeros, and count them.
            submission_sha256: of the file that the maps came from.
            bootstrap: how many resamples of the images give each score an interval. Under the rule
                "max" each resample chooses its own thresholds; carried and fixed ones stay.
            by: any of `groups.KINDS`: scores of groups of images, with intervals if there are any.
            progress: called with (resamples and groups scored, all of them).

        Raises:
            WsolbenchError: images without map; a threshold out of range, of another protocol, or
                under a protocol that reads none; no such kind of group; intervals or groups
                without `keep_images`.
        """
        check_options([self.protocol], threshold=threshold is not None, by=by)
        check_bootstrap(bootstrap)
        if bootstrap is not None or by:
            self._require_kept("bootstrap" if bootstrap is not None else "by")
        chosen = chosen_threshold(
            *(threshold, self.dataset, self.protocol, self.label, submission_sha256, self.metrics),
            boxed=bool(self._boxed),
        )
        if chosen.own is not None:
            self._require_kept("threshold")
        missing = self._missing(allow_missing)
        scoring = replace(self.scoring, own=chosen.own)
        sums = added(self._sums, missing.sums)
        if chosen.own is not None:
            sums = scoring.sums(self._all_kept(missing))
        scores, curves = scoring.scored(sums, chosen)
        intervals: dict[str, list[float | int]] = {}
        breakdowns: dict[str, list[Group]] = {}
        if bootstrap is not None or by:
            kept = self._all_kept(missing)
            intervals, breakdowns = intervals_and_groups(
                self.dataset, scoring, kept, scores, chosen, bootstrap, by, progress
            )
        header = self.header
        return Result(
            method=dict(header.method) if header else {},
            dataset=self.dataset.name,
            split=self.dataset.split,
            label=self.label,
            normalisation=header.normalisation if header else "",
            images=len(self.dataset),
            protocol=self.protocol.as_dict(),
            annotations_sha256=self.dataset.store.content_sha256,
            submission_sha256=submission_sha256,
            wsolbench=__version__,
            threshold=chosen,
            scores=scores,
            curves=curves,
            counts={
                "missing": len(missing.indices),
                "constant": self._constant,
                "full_frame_masks": self._full_frame + missing.full_frame,
                **({"windowed": self._windowed} if self._windowed else {}),
                **{f"without_{kind}": count for kind, count in lacking(self.dataset).items()},
                **(explain.absent_images(sums) if "explain" in self.metrics else {}),
            },
            limit=self.dataset.limit,
            ids=self.dataset.subset,
            intervals=intervals,
            bootstrap=bootstrap,
            breakdowns=breakdowns,
            boundary=self.boundary.as_dict() if EDGES in self.metrics else {},
        )

    def counts(self, result: Result) -> Counts:
        """The statistics of each image of a result of this evaluator, for `compare`.

        Raises:
            WsolbenchError: the evaluator does not keep images.
        """
        self._require_kept("counts")
        kept = dict(self._all_kept(self._missing(allow_missing=True)))
        kept.pop("boxes", None)  # no score follows from them
        scoring = replace(self.scoring, own=result.threshold.own)
        return Counts(result, self.dataset.image_ids, self._seen.copy(), kept, scoring)

    def image_table(self, result: Result) -> dict[str, list[Any]]:
        """Per-image scores as columns, in the data set's order: see `image_table.image_table`.

        Args:
            result: of this evaluator: tells the shared thresholds.

        Raises:
            WsolbenchError: the evaluator does not keep images, or the protocol has no thresholds
                that all images share.
        """
        check_options([self.protocol], per_image=True)
        self._require_kept("image_table")
        kept = self._all_kept(self._missing(allow_missing=True))
        scoring = replace(self.scoring, own=result.threshold.own)
        return image_table(self.dataset, scoring, kept, result)

    @property
    def label(self) -> str:
        """Whose class's maps they are: "gt" or "predicted"."""
        return self.header.label if self.header else "gt"

    @property
    def scoring(self) -> Scoring:
        """What decides which scores there are, by what has come so far."""
        return self._scoring(bool(self._ranked), bool(self._boxed))

    def _scoring(self, ranked: bool, boxed: bool) -> Scoring:
        with_classes = ranked and FAMILIES[ALWAYS].fits(self.protocol)
        families = (*self.metrics, *([ALWAYS] if with_classes else []))
        known = bool((self.dataset.class_indices >= 0).all())
        return Scoring(
            self.protocol, families, self.label, with_classes and known, boxed, self._classes
        )

    def _require_kept(self, where: str) -> None:
        if not self.keep_images:
            raise WsolbenchError(
                where, found="no per-image statistics", cure="pass keep_images=True"
            )

    def _all_kept(self, missing: Measured) -> Statistics:
        """The statistics of all images; those without map among them score as zeros do."""
        kept = self._kept
        if kept is None:
            kept = room_for(missing.kept, len(self.dataset))
        if missing.indices:
            put(kept, missing.indices, missing.kept)
        return kept

    def _places_of(self, image_ids: Sequence[str]) -> list[int]:
        """The places of images in the data set, each once."""
        strangers = [image_id for image_id in image_ids if image_id not in self._places]
        if strangers:
            named = are_file_names(strangers, self._places.keys())
            raise WsolbenchError(
                f"{self.dataset.name} {self.dataset.split}",
                found=f"maps of images that it does not hold: {some(strangers)}",
                cure=f"pass ids without folder and ending, such as {bare_name(strangers[0])}"
                if named
                else "score the split that the maps were made for",
                exit_status=1,
            )
        indices = [self._places[image_id] for image_id in image_ids]
        if len(set(indices)) < len(indices):
            raise WsolbenchError(
                "image_ids", found="an id twice in one batch", cure="pass each image once"
            )
        return indices

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
        """What a batch adds; changes nothing in the evaluator, so threads may call it.

        Args:
            truth: of the images.
            indices: their places in the data set.
            maps: see `update`; maps, classes, boxes, windows and edges are legal by themselves:
                those from memory were checked by `update`, those of a file by its reader.
            top5: see there.
            boxes: see there.
            windows: see there.
            edges: see there.
            shared: what evaluators share that are given the same batch; None shares nothing.

        Raises:
            WsolbenchError: classes, boxes or windows that these images cannot have.
        """
        check_against_data(self.dataset, self.protocol, self.metrics, indices, top5, boxes)
        if windows is not None:
            check_within(truth.names, windows, truth.sizes)
        with_maps = need_maps(self.metrics)
        on_image = on_images(maps or [], windows if with_maps else None, truth.sizes)
        block = Block(
            self.protocol,
            truth,
            on_image.maps,
            top5,
            boxes,
            with_boxes="box" in self.metrics,
            edges=edges or (),
            boundary=self.boundary,
            shared=shared or Shared(),
        )
        scoring = self._scoring(top5 is not None, boxes is not None)
        kept = scoring.measure(block)
        areas = self.dataset.store.areas[self.dataset.rows[indices]]
        return Measured(
            indices,
            kept if self.keep_images else {},
            scoring.sums(kept),
            int(block.constant.sum()) + on_image.constant if with_maps else 0,
            int((areas >= FULL_FRAME * truth.sizes.prod(axis=1)).sum()),
            on_image.windowed,
        )

    def absorb(self, measured: Measured, ranked: bool, boxed: bool) -> None:
        """Add what a batch of this evaluator adds.

        Args:
            measured: from `measured`.
            ranked: whether there are class predictions.
            boxed: whether there are boxes of the method's own.

        Raises:
            WsolbenchError: images that came before; batches with and without one of these.
        """
        again = [index for index in measured.indices if self._seen[index]]
        if again:
            ids = [self.dataset.image_ids[index] for index in again]
            raise WsolbenchError(
                "image_ids", found=f"images scored before: {some(ids)}", cure="pass each image once"
            )
        for name, before, now in (("top5", self._ranked, ranked), ("boxes", self._boxed, boxed)):
            if before not in (None, now):
                raise WsolbenchError(
                    name,
                    found="batches with and batches without it",
                    cure="pass it with every batch or with none",
                )
        self._ranked, self._boxed = ranked, boxed
        self._sums = added(self._sums, measured.sums)
        self._constant += measured.constant
        self._full_frame += measured.full_frame
        self._windowed += measured.windowed
        self._seen[measured.indices] = True
        if self.keep_images and measured.indices:
            if self._kept is None:
                self._kept = room_for(measured.kept, len(self.dataset))
            put(self._kept, measured.indices, measured.kept)

    def _missing(self, allow_missing: bool) -> Measured:
        """The images without map, measured as maps of zeros; refused unless they are allowed."""
        indices = np.flatnonzero(~self._seen).tolist()
        if not indices:
            return Measured([])
        if not allow_missing:
            ids = [self.dataset.image_ids[index] for index in indices]
            raise WsolbenchError(
                f"{self.dataset.name} {self.dataset.split}",
                found=f"no map for {len(ids)} of {len(self.dataset)} images: {some(ids)}",
                expected="a map for every image",
                cure="add them, score a part of the split (--ids FILE, --limit N), or score them "
                "as maps of zeros (allow_missing, --allow-missing)",
                exit_status=1,
            )
        return self.all_zero(indices, bool(self._ranked), bool(self._boxed))

    def all_zero(self, indices: list[int], ranked: bool, boxed: bool) -> Measured:
        """What images add if their maps are zeros; measured some at a time.

        Args:
            indices: places of the images in the data set.
            ranked: whether there are class predictions; none is right.
            boxed: whether there are boxes of the method's own; none is right.
        """
        whole = Measured(indices)
        parts = []
        for start in range(0, len(indices), IMAGES_AT_A_TIME):
            places = indices[start : start + IMAGES_AT_A_TIME]
            nothing = [np.zeros((1, 1), dtype=np.uint8)] * len(places)
            found = self.measured(
                truth_of(self.dataset, places),
                places,
                nothing,
                np.full((len(places), 5), -1) if ranked else None,
                np.zeros((len(places), 4), dtype=np.int64) if boxed else None,
                edges=nothing if EDGES in self.metrics else None,
            )
            parts.append(found.kept)
            whole.sums = added(whole.sums, found.sums)
            whole.full_frame += found.full_frame
        whole.kept = {name: np.concatenate([own[name] for own in parts]) for name in parts[0]}
        return whole


def score_together(
    evaluators: Sequence[Evaluator],
    submission: Submission,
    *,
    jobs: int | None = None,
    places: range | None = None,
    progress: Progress | None = None,
) -> None:
    """Score the maps of a submission file under several protocols, reading each map once.

    Args:
        evaluators: of one data set, one a protocol.
        submission: see `Evaluator.score`.
        jobs: see there.
        places: score only these images of the data set.
        progress: see there.

    Raises:
        WsolbenchError: see `Evaluator.score`; evaluators of different images.
    """
    entry = Entry(submission, evaluators)
    score_all(evaluators[0].dataset, [entry], jobs=jobs, places=places, progress=progress)
    if entry.error is not None:
        raise entry.error
