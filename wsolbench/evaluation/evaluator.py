"""Scoring maps against a data set: the only loop over images.

What an image adds and what the sums score is in `tallies`; what the protocols other than `sem` do
to an image in `reproductions`.

Public names: `evaluate`, `Evaluator`, `score_together`, `check_options`, `check_match`, `METRICS`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import __version__
from ..data.dataset import Dataset
from ..errors import WsolbenchError, some
from ..files import available_processors
from ..formats.result import Bootstrap, Group, Result, Threshold
from ..formats.submission.reader import Submission
from ..formats.submission.rules import TOP5_RULE, SubmissionHeader, bad_boxes, bad_top5
from ..metrics import boxes as box_metrics
from ..metrics import images as image_metrics
from ..metrics import pixel as pixel_metrics
from ..metrics.bootstrap import draw_weights, percentile_interval
from ..metrics.levels import LEVELS
from ..metrics.opencv import opencv
from ..progress import Progress
from ..protocols import Protocol, protocol_named
from . import groups, reproductions
from .counts import Counts
from .statistics import NO_RECORDS, Records, Scoring, Tally
from .thresholds import check_carried

METRICS = ("pixel", "box")
"""What may be scored; boxes cost most of the time."""

FULL_FRAME = 0.95
"""Share of the image from which a mask counts as full-frame (paper, supplement A: about 400)."""

_BLOCK = 128  # images read and scored at a time
_BLOCK_BYTES = 4 << 20  # of their maps: a block of large maps has fewer images


@dataclass
class _Block:
    """The sums over some images, and what each of them is kept as."""

    indices: list[int]
    tally: Tally
    records: Records


class Evaluator:
    """Scores maps as they come.

    Args:
        dataset: the images; each must come once.
        protocol: a protocol's name.
        metrics: any of `METRICS`; of these the ones that the protocol has. Box scores need boxes
            for every image.
        header: of the submission; None for maps from memory, taken as ground-truth class maps.
        keep_images: keep what each image's scores, intervals and groups need (4.9 kB an image).

    Raises:
        WsolbenchError: no such protocol or metric, none that the protocol has; boxes asked for
            where images have none; accuracy by class where an image has none; no OpenCV where the
            protocol needs it.
    """

    def __init__(
        self,
        dataset: Dataset,
        protocol: str = "sem",
        metrics: Sequence[str] | None = None,
        *,
        header: SubmissionHeader | None = None,
        keep_images: bool = False,
    ) -> None:
        self.dataset = dataset
        self.protocol = protocol_named(protocol)
        self.metrics = _checked_metrics(dataset, metrics, self.protocol)
        self._classes = _classes_averaged(dataset, self.protocol)
        if self.protocol.after is not None:
            opencv()
        self.header = header
        self.keep_images = keep_images
        self._places = {image_id: index for index, image_id in enumerate(dataset.image_ids)}
        self._seen = np.zeros(len(dataset), dtype=np.bool_)
        self._tally = Tally.empty(self.protocol, self._classes)
        self._records: Records | None = None
        self._ranked: bool | None = None
        self._boxed: bool | None = None

    def update(
        self,
        image_ids: Sequence[str],
        maps: Sequence[NDArray[Any]],
        top5: NDArray[np.integer[Any]] | None = None,
        boxes: NDArray[np.integer[Any]] | None = None,
    ) -> None:
        """Score a batch.

        Args:
            image_ids: (n,), each of the data set and not seen before.
            maps: n maps (h, w), uint8 or float in [0, 1], of any sizes.
            top5: int (n, 5) class indices, best first, -1 in last places that stay empty; in all
                batches or in none.
            boxes: int (n, 4) boxes that the method predicts itself, half-open and within their
                images; in all batches or in none.

        Raises:
            WsolbenchError: lengths that differ, an unknown or repeated id, a map, class or box that
                is not legal. The evaluator is then as it was before.
        """
        self._absorb(
            self._measure(image_ids, maps, top5, boxes), top5 is not None, boxes is not None
        )

    def score(
        self,
        submission: Submission,
        *,
        jobs: int | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Score the maps of a submission file.

        Args:
            submission: of this data set and split; on a trial its other images are left aside.
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
        for name in ("protocol", "metrics", "keep_images", "header"):
            if getattr(self, name) != getattr(other, name):
                raise WsolbenchError(
                    "merge", found=f"another {name}", cure="score both parts alike"
                )
        ours, theirs = self.dataset, other.dataset
        if (
            ours.image_ids != theirs.image_ids
            or ours.store.content_sha256 != theirs.store.content_sha256
        ):
            raise WsolbenchError(
                "merge", found="other images or annotations", cure="open both on the same split"
            )
        if other._seen.any():
            seen = np.flatnonzero(other._seen)
            records = other._records.part(seen) if other._records else NO_RECORDS
            block = _Block(seen.tolist(), other._tally, records)
            self._absorb(block, bool(other._ranked), bool(other._boxed))

    def result(
        self,
        *,
        threshold: int | Result | None = None,
        allow_missing: bool = False,
        submission_sha256: str = "",
        bootstrap: Bootstrap | None = None,
        by: Sequence[str] = (),
        progress: Progress | None = None,
    ) -> Result:
        """The scores of what has come so far, which must be the whole data set.

        Args:
            threshold: None reads box scores where GT-known is highest on these very images; a
                number 0..255 or another result's choice is used as it is, and adds the IoU there.
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
        if bootstrap is not None or by:
            self._require_records("bootstrap" if bootstrap is not None else "by")
        chosen = self._threshold(threshold, submission_sha256)
        missing = self._missing(allow_missing)
        tally = self._tally + missing.tally
        scoring = self.scoring
        scores, curves = scoring.scores(tally, len(self.dataset), chosen)
        intervals, breakdowns = self._spread(missing, scores, chosen, bootstrap, by, progress)
        header = self.header
        constant, full_frame = (int(count) for count in tally.counts)
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
                "constant": constant,
                "full_frame_masks": full_frame,
            },
            limit=self.dataset.limit,
            intervals=intervals,
            bootstrap=bootstrap,
            breakdowns=breakdowns,
        )

    def counts(self, result: Result) -> Counts:
        """What each image adds to a result of this evaluator, for `compare`.

        Raises:
            WsolbenchError: the evaluator was not told to keep images.
        """
        self._require_records("counts")
        records = self._all_records(self._missing(allow_missing=True))
        no_boxes = replace(records, boxes=records.boxes[:, :0])
        return Counts(
            result,
            self.dataset.image_ids,
            self._seen.copy(),
            self.dataset.class_indices,
            no_boxes,
            self.scoring,
        )

    def _spread(
        self,
        missing: _Block,
        scores: Mapping[str, float | int],
        threshold: Threshold,
        bootstrap: Bootstrap | None,
        by: Sequence[str],
        progress: Progress | None,
    ) -> tuple[dict[str, list[float | int]], dict[str, list[Group]]]:
        """[low, high] of every score over resamples of the images, and the scores of groups."""
        if bootstrap is None and not by:
            return {}, {}
        scoring, records = self.scoring, self._all_records(missing)
        classes, count = self.dataset.class_indices, len(self.dataset)
        members = {kind: groups.group_images(self.dataset, kind) for kind in by}
        resamples = 0 if bootstrap is None else bootstrap.resamples
        steps = resamples + sum(map(len, members.values()))
        done = 0

        def step(own: int, _: int) -> None:
            if progress:
                progress(done + own, steps)

        at = {
            key: int(scores.get(key, 0)) if chosen is None else chosen
            for key, chosen in (
                ("peak_threshold", threshold.pixel),
                ("box_threshold", threshold.box),
            )
        }
        intervals: dict[str, list[float | int]] = {}
        draws = None
        if bootstrap is not None:
            rng = np.random.default_rng(bootstrap.seed)
            weights = draw_weights(count, resamples, rng)
            drawn = scoring.resampled(records, classes, weights, threshold, step)
            intervals = {
                key: list(percentile_interval(values.tolist(), bootstrap.level))
                for key, values in drawn.items()
            }
            chosen = drawn if threshold.rule == "max" else {}
            pixel, box = (
                np.asarray(chosen.get(key, np.full(resamples, level)), dtype=np.int64)
                for key, level in at.items()
            )
            draws = groups.Draws(weights, pixel, box, bootstrap.level)
            done = resamples
        breakdowns = {}
        for kind, parts in members.items():
            breakdowns[kind] = groups.scored_groups(
                scoring, records, classes, parts, tuple(at.values()), draws, step
            )
            done += len(parts)
        return intervals, breakdowns

    def _require_records(self, where: str) -> None:
        if not self.keep_images:
            raise WsolbenchError(where, found="no records of images", cure="pass keep_images=True")

    def image_table(self, result: Result) -> dict[str, list[Any]]:
        """Per-image scores as columns, in the data set's order.

        `image_id`, `class_index`, `area` (of the mask, pixels); `best_iou` and `best_threshold` of
        the image's own curve, `threshold` (the shared one) and `iou` there, `ap`; `x0, y0, x1, y1`
        (the box at `box_threshold`), its `box_iou`, and `box_right`: whether that is enough; `top1`
        and `top5`: whether the class is among them. An image without map scores as zeros do.

        Args:
            result: of this evaluator: tells the shared thresholds.

        Raises:
            WsolbenchError: the evaluator was not told to keep images, or the protocol is not `sem`.
        """
        check_options([self.protocol], per_image=True)
        self._require_records("image_table")
        pixel_t = result.threshold.pixel
        if pixel_t is None:
            pixel_t = int(result.scores.get("peak_threshold", 0))
        box_t = int(result.scores.get("box_threshold", 0))
        records = self._all_records(self._missing(allow_missing=True))
        rows = [
            self._image_row(index, records.part(slice(index, index + 1)), pixel_t, box_t)
            for index in range(len(self.dataset))
        ]
        return {name: [row[name] for row in rows] for name in rows[0]}

    def _all_records(self, missing: _Block) -> Records:
        """The images kept, those without map among them as zeros score."""
        records = self._records
        if records is None:
            records = missing.records.like(len(self.dataset))
        if missing.indices:
            records.put(missing.indices, missing.records)
        return records

    @property
    def label(self) -> str:
        """Whose class's maps they are: "gt" or "predicted"."""
        return self.header.label if self.header else "gt"

    @property
    def scoring(self) -> Scoring:
        """What decides which scores there are, by what has come so far."""
        return Scoring(
            self.protocol, self.metrics, self.label, self.ranked, bool(self._boxed), self._classes
        )

    @property
    def ranked(self) -> bool:
        """Whether there are class scores: five classes an image came, and every class is known."""
        return bool(self._ranked) and bool((self.dataset.class_indices >= 0).all())

    def _measure(
        self,
        image_ids: Sequence[str],
        maps: Sequence[NDArray[Any]],
        top5: NDArray[np.integer[Any]] | None,
        boxes: NDArray[np.integer[Any]] | None,
    ) -> _Block:
        """The sums over a batch; changes nothing in the evaluator, so threads may call it."""
        if isinstance(image_ids, str):
            raise WsolbenchError(
                "image_ids", found=f"the text {image_ids!r}", cure="pass a list, even of one id"
            )
        for name, other in (("maps", maps), ("top5", top5), ("boxes", boxes)):
            if other is not None and len(other) != len(image_ids):
                raise WsolbenchError(
                    name,
                    found=f"{len(other)} for {len(image_ids)} image ids",
                    expected="as many as image ids",
                    cure="pass one of each an image",
                )
        strangers = [image_id for image_id in image_ids if image_id not in self._places]
        if strangers:
            raise WsolbenchError(
                f"{self.dataset.name} {self.dataset.split}",
                found=f"maps of images that it does not hold: {some(strangers)}",
                cure="score the split that the maps were made for",
                exit_status=1,
            )
        indices = [self._places[image_id] for image_id in image_ids]
        if len(set(indices)) < len(indices):
            raise WsolbenchError(
                "image_ids", found="an id twice in one batch", cure="pass each image once"
            )
        if boxes is not None and "box" in self.metrics and self.protocol.after is not None:
            raise WsolbenchError(
                "boxes",
                found="a method's own, which are not drawn from its maps",
                expected=f"none: protocol {self.protocol.name} draws boxes itself",
                cure="score them under protocol sem, or hand in the maps without boxes",
            )
        self._check_beside(indices, top5, boxes)
        return self._block(indices, [np.asarray(map_) for map_ in maps], top5, boxes)

    def _check_beside(
        self,
        indices: Sequence[int],
        top5: NDArray[np.integer[Any]] | None,
        boxes: NDArray[np.integer[Any]] | None,
    ) -> None:
        """Refuse classes and boxes that are not legal for these images."""
        for name, rows, width in (("top5", top5, 5), ("boxes", boxes, 4)):
            if rows is None:
                continue
            rows = np.asarray(rows)
            if rows.shape != (len(indices), width) or rows.dtype.kind not in "iu":
                raise WsolbenchError(
                    name,
                    found=f"{rows.dtype} of shape {rows.shape}",
                    expected=f"integers ({len(indices)}, {width})",
                    cure="pass one row an image",
                )
            if name == "top5":
                classes = len(self.dataset.store.classes)
                beyond = (rows >= classes).any(axis=1) if classes else np.zeros(len(rows), bool)
                bad = [*bad_top5(rows), *np.flatnonzero(beyond).tolist()]
                expected = TOP5_RULE + (f", all below {classes}" if classes else "")
            else:
                store, kept = self.dataset.store, self.dataset.rows[list(indices)]
                beyond = (rows[:, 2] > store.widths[kept]) | (rows[:, 3] > store.heights[kept])
                bad = [*bad_boxes(rows), *np.flatnonzero(beyond).tolist()]
                expected = "x0 < x1, y0 < y1 within the image"
            if bad:
                raise WsolbenchError(
                    f"{name} of {self.dataset.image_ids[indices[bad[0]]]}",
                    found=str(rows[bad[0]].tolist()),
                    expected=expected,
                    cure="see docs/submission-format.md, and run wsolbench validate",
                    exit_status=1,
                )

    def _block(
        self,
        indices: list[int],
        maps: Sequence[NDArray[Any]],
        top5: NDArray[np.integer[Any]] | None,
        submitted: NDArray[np.integer[Any]] | None,
    ) -> _Block:
        if self.protocol.after is not None:
            return self._reproduced(indices, maps, top5)
        store, rows = self.dataset.store, self.dataset.rows[indices]
        sizes = np.stack((store.heights[rows], store.widths[rows]), axis=1).astype(np.int64)
        counts, boxes, constant = image_metrics.measure(
            [self.dataset.image_ids[index] for index in indices],
            maps,
            sizes,
            store.packed("masks", rows),
            store.packed("ignored", rows),
            with_boxes="box" in self.metrics and submitted is None,
        )
        if "box" in self.metrics and submitted is not None:
            boxes = np.asarray(submitted, dtype=np.int32)[:, None]
        deltas = np.array(self.protocol.box_iou_thresholds)[:, None]
        if "box" in self.metrics:
            overlaps = image_metrics.best_overlaps(boxes, store.packed("boxes", rows))
            right = overlaps[:, None, :] >= deltas
        else:
            boxes = np.empty((len(indices), 0, 4), dtype=np.int32)
            right = np.empty((len(indices), 0, LEVELS), dtype=np.bool_)
        records = Records(
            counts if "pixel" in self.metrics else counts[:, :0],
            right,
            self._ranks(indices, top5),
            boxes.astype(np.int16),
        )
        return self._counted(indices, records, constant)

    def _reproduced(
        self,
        indices: list[int],
        maps: Sequence[NDArray[Any]],
        top5: NDArray[np.integer[Any]] | None,
    ) -> _Block:
        """As `_block`, for a protocol that reproduces another program: one image at a time."""
        shape = reproductions.shapes(self.protocol)
        wanted = [metric in self.metrics for metric in METRICS]
        count = len(indices)
        pixels = np.empty((count, 2 if wanted[0] else 0, shape.bins), dtype=np.int32)
        right = np.empty((count, shape.rows if wanted[1] else 0, shape.thresholds), dtype=np.bool_)
        constant = np.empty(count, dtype=np.bool_)
        for place, (index, map_) in enumerate(zip(indices, maps, strict=True)):
            sample = self.dataset[index]
            image_metrics.check_map(sample.image_id, map_)
            truth = reproductions.Truth(sample.mask, sample.ignore, sample.boxes)
            pixels[place], right[place] = reproductions.measure(
                self.protocol, map_, truth, self.metrics
            )
            constant[place] = map_.min() == map_.max()
        none = np.empty((count, 0, 4), dtype=np.int16)
        records = Records(pixels, right, self._ranks(indices, top5), none)
        return self._counted(indices, records, constant)

    def _counted(self, indices: list[int], records: Records, constant: NDArray[np.bool_]) -> _Block:
        """The block of some images, of which these have a constant map."""
        store, rows = self.dataset.store, self.dataset.rows[indices]
        tally = self.scoring.tally(records, self.dataset.class_indices[indices])
        pixels = store.heights[rows].astype(np.int64) * store.widths[rows]
        full = store.areas[rows] >= FULL_FRAME * pixels
        tally.counts[...] = constant.sum(), full.sum()
        return _Block(indices, tally, records)

    def _ranks(
        self, indices: Sequence[int], top5: NDArray[np.integer[Any]] | None
    ) -> NDArray[np.bool_]:
        """Whether each image's class is first, and among five: bool (n, 2); (n, 0) if unknown."""
        if top5 is None:
            return np.empty((len(indices), 0), dtype=np.bool_)
        classes = self.dataset.class_indices[list(indices), None]
        met = (np.asarray(top5) == classes) & (classes >= 0)
        return np.stack((met[:, 0], met.any(axis=1)), axis=1)

    def _absorb(self, block: _Block, ranked: bool, boxed: bool) -> None:
        again = [index for index in block.indices if self._seen[index]]
        if again:
            ids = [self.dataset.image_ids[index] for index in again]
            raise WsolbenchError(
                "image_ids", found=f"images scored before: {some(ids)}", cure="pass each image once"
            )
        for name, before, now in (("top5", self._ranked, ranked), ("boxes", self._boxed, boxed)):
            if before not in (None, now):
                raise WsolbenchError(
                    name,
                    found="some batches with and some without",
                    cure="pass them in all or none",
                )
        self._ranked, self._boxed = ranked, boxed
        self._tally = self._tally + block.tally
        self._seen[block.indices] = True
        if self.keep_images:
            if self._records is None:
                self._records = block.records.like(len(self.dataset))
            self._records.put(block.indices, block.records)

    def _missing(self, allow_missing: bool) -> _Block:
        """The images without map, measured as maps of zeros; refused unless they are allowed."""
        indices = np.flatnonzero(~self._seen).tolist()
        ids = [self.dataset.image_ids[index] for index in indices]
        if ids and not allow_missing:
            raise WsolbenchError(
                f"{self.dataset.name} {self.dataset.split}",
                found=f"no map for {len(ids)} of {len(self.dataset)} images: {some(ids)}",
                expected="a map of every image",
                cure="add them, or count them as maps of zeros (allow_missing, --allow-missing)",
                exit_status=1,
            )
        block = self._block(
            indices,
            [np.zeros((1, 1), dtype=np.uint8)] * len(indices),
            np.full((len(indices), 5), -1) if self._ranked else None,
            np.zeros((len(indices), 4), dtype=np.int64) if self._boxed else None,
        )
        block.tally.counts[0] = 0  # a map that is not there is missing, not constant
        return block

    def _threshold(self, threshold: int | Result | None, own: str) -> Threshold:
        if threshold is None:
            return Threshold("max" if self.protocol.fixed_threshold is None else "fixed")
        if isinstance(threshold, Result):
            return self._carried(threshold, own)
        if not isinstance(threshold, int) or not 0 <= threshold < LEVELS:
            raise WsolbenchError(
                "threshold",
                found=repr(threshold),
                expected="a whole number from 0 to 255",
                cure="give one of these",
            )
        return Threshold("fixed", pixel=threshold, box=threshold)

    def _carried(self, other: Result, own: str) -> Threshold:
        where = f"threshold from {other.name} on {other.split}"
        check_carried(
            other,
            protocol_sha256=self.protocol.sha256,
            dataset=self.dataset.name,
            split=self.dataset.split,
            label=self.label,
            submission_sha256=own,
        )
        scores = other.scores
        needed = {"pixel": "peak_threshold", "box": "box_threshold"}
        for metric in self.metrics:
            if needed[metric] not in scores and not (metric == "box" and self._boxed):
                raise WsolbenchError(
                    where,
                    found=f"no {needed[metric]}",
                    cure=f"evaluate that split with the metrics {','.join(self.metrics)}",
                )
        source = {
            "method": other.name,
            "split": other.split,
            "submission_sha256": other.submission_sha256,
            "annotations_sha256": other.annotations_sha256,
            "missing": other.counts.get("missing", 0),
        }
        pixel = scores.get("peak_threshold")
        box = scores.get("box_threshold")
        return Threshold(
            "carried",
            pixel=None if pixel is None else int(pixel),
            box=None if box is None else int(box),
            source=source,
        )

    def _image_row(self, index: int, image: Records, pixel_t: int, box_t: int) -> dict[str, Any]:
        sample = self.dataset[index]
        row: dict[str, Any] = {
            "image_id": sample.image_id,
            "class_index": sample.class_index,
            "area": int(self.dataset.store.areas[sample.row]),
        }
        if image.pixels.size:
            counts = image.pixels[0].astype(np.int64)
            curve = pixel_metrics.iou(counts)
            row["best_iou"], row["best_threshold"] = pixel_metrics.peak(curve)
            row["threshold"] = pixel_t
            row["iou"] = float(curve[pixel_t])
            row["ap"] = float(pixel_metrics.average_precision(counts))
        if image.boxes.size:
            box = image.boxes[0, 0 if self._boxed else box_t].astype(np.int32)
            overlap = float(box_metrics.best_iou(box, sample.boxes))
            row.update(zip(("x0", "y0", "x1", "y1"), box.tolist(), strict=True))
            row["box_iou"] = overlap
            row["box_right"] = overlap >= self.protocol.box_iou_thresholds[0]
        if self.ranked and image.top.size:
            row["top1"], row["top5"] = image.top[0].tolist()
        return row


def evaluate(
    dataset: Dataset,
    submission: Submission | str | os.PathLike[str],
    protocol: str = "sem",
    metrics: Sequence[str] | None = None,
    *,
    threshold: int | Result | None = None,
    allow_missing: bool = False,
    limit: int | None = None,
    jobs: int | None = None,
    bootstrap: Bootstrap | None = None,
    by: Sequence[str] = (),
    progress: Progress | None = None,
) -> Result:
    """Score a submission file on one split.

    Args:
        dataset: the split.
        submission: the file, or its path.
        protocol: a protocol's name; several are scored in one pass by `score_together`.
        metrics: any of `METRICS`; None for all that the protocol has and the annotations allow.
        threshold: see `Evaluator.result`.
        allow_missing: score images without map as maps of zeros.
        limit: score the first images only; the result is stamped as a trial.
        jobs: threads; None for one a processor. The result does not depend on it.
        bootstrap: see `Evaluator.result`.
        by: see there.
        progress: called with (images done, images in all).

    Raises:
        WsolbenchError: the submission cannot be read, is of another data set or split, holds
            images that the split does not or lacks some that it has, or a map is not legal.
    """
    check_options([protocol_named(protocol)], threshold=threshold is not None, by=by)
    opened = submission if isinstance(submission, Submission) else Submission.open(submission)
    kept = dataset if limit is None else dataset.first(limit)
    evaluator = Evaluator(
        kept,
        protocol,
        metrics,
        header=opened.header,
        keep_images=bootstrap is not None or bool(by),
    )
    evaluator.score(opened, jobs=jobs, progress=progress)
    return evaluator.result(
        threshold=threshold,
        allow_missing=allow_missing,
        submission_sha256=opened.sha256,
        bootstrap=bootstrap,
        by=by,
    )


def score_together(
    evaluators: Sequence[Evaluator],
    submission: Submission,
    *,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> None:
    """Score the maps of a submission file under several protocols, reading each map once.

    Args:
        evaluators: of one data set, one a protocol.
        submission: see `Evaluator.score`.
        jobs: see there.
        progress: see there.

    Raises:
        WsolbenchError: see `Evaluator.score`; evaluators of different images.
    """
    dataset = evaluators[0].dataset
    if any(evaluator.dataset is not dataset for evaluator in evaluators):
        raise WsolbenchError(
            "evaluators", found="several data sets", cure="make all of them of the same one"
        )
    check_match(dataset, submission)
    _ = dataset.store.content_sha256  # a damaged store is refused before the work
    known = set(dataset.image_ids)
    rows = [row for row, image in enumerate(submission.image_ids) if image in known]
    ranked, boxed = submission.top5 is not None, submission.boxes is not None

    def measure(block: Sequence[int]) -> list[_Block]:
        ids, maps = [submission.image_ids[row] for row in block], submission.read(block)
        top5 = None if submission.top5 is None else submission.top5[block]
        boxes = None if submission.boxes is None else submission.boxes[block]
        return [evaluator._measure(ids, maps, top5, boxes) for evaluator in evaluators]

    done, threads = 0, jobs or available_processors()
    sizes = submission.shapes.prod(axis=1) * submission.dtype.itemsize
    with ThreadPoolExecutor(threads) as pool:
        try:
            for blocks in _in_flight(pool, measure, _blocks(rows, sizes), 2 * threads):
                for evaluator, block in zip(evaluators, blocks, strict=True):
                    evaluator._absorb(block, ranked, boxed)
                done += len(blocks[0].indices)
                if progress:
                    progress(done, len(rows))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def check_options(
    protocols: Sequence[Protocol],
    *,
    threshold: bool = False,
    per_image: bool = False,
    by: Sequence[str] = (),
) -> None:
    """Refuse what a protocol has no answer to.

    Args:
        protocols: to score under.
        threshold: whether a threshold is carried or fixed.
        per_image: whether scores of each image are wanted.
        by: groups whose scores are wanted.

    Raises:
        WsolbenchError: one of these, and a protocol other than `sem`; no such kind of group.
    """
    unknown = [kind for kind in by if kind not in groups.KINDS]
    if unknown:
        raise WsolbenchError(
            "by", found=some(unknown), expected=" or ".join(groups.KINDS), cure="name some of these"
        )
    others = [protocol.name for protocol in protocols if protocol.after is not None]
    asked = {"threshold": threshold, "per-image scores": per_image, "groups": bool(by)}
    for name, wanted in asked.items():
        if wanted and others:
            raise WsolbenchError(
                name,
                found=f"protocol {some(others)}",
                expected="protocol sem: the others fix or search their thresholds, for all images",
                cure="leave it out, or evaluate under --protocol sem alone",
            )


def _blocks(rows: Sequence[int], sizes: NDArray[np.int64]) -> Iterator[list[int]]:
    """The rows in runs of at most `_BLOCK` images and `_BLOCK_BYTES`, one image at least."""
    block: list[int] = []
    total = 0
    for row in rows:
        if block and (len(block) == _BLOCK or total + sizes[row] > _BLOCK_BYTES):
            yield block
            block, total = [], 0
        block.append(row)
        total += int(sizes[row])
    if block:
        yield block


def _in_flight(
    pool: ThreadPoolExecutor,
    work: Callable[[Sequence[int]], list[_Block]],
    items: Iterable[Sequence[int]],
    most: int,
) -> Iterator[list[_Block]]:
    """Results as they come, with no more than `most` items begun: memory stays constant."""
    queue = iter(items)
    running: set[Future[list[_Block]]] = {pool.submit(work, item) for item in islice(queue, most)}
    while running:
        finished, running = wait(running, return_when=FIRST_COMPLETED)
        for future in finished:
            yield future.result()
            running.update(pool.submit(work, item) for item in islice(queue, 1))


def _checked_metrics(
    dataset: Dataset, metrics: Sequence[str] | None, protocol: Protocol
) -> tuple[str, ...]:
    unboxed = int((dataset.store.box_counts[dataset.rows] == 0).sum())
    if metrics is None and "pixel" in protocol.metrics:
        return protocol.metrics if not unboxed else ("pixel",)
    asked = protocol.metrics if metrics is None else metrics
    unknown = [name for name in asked if name not in METRICS]
    if unknown or not asked:
        raise WsolbenchError(
            "metrics",
            found=some(unknown) or "none",
            expected=" or ".join(METRICS),
            cure="name one or more of these",
        )
    kept = tuple(name for name in protocol.metrics if name in asked)
    if not kept:
        raise WsolbenchError(
            "metrics",
            found=f"{some(asked)} under protocol {protocol.name}",
            expected=" or ".join(protocol.metrics),
            cure="ask for these, or for another protocol (wsolbench protocols lists them)",
        )
    if "box" in kept and unboxed:
        raise WsolbenchError(
            dataset.store.path,
            found=f"{unboxed} of {len(dataset)} images without box",
            expected="boxes for box scores",
            cure="import boxes too, or ask for the metrics pixel alone",
        )
    return kept


def _classes_averaged(dataset: Dataset, protocol: Protocol) -> int:
    """How many classes a protocol averages over; 0 where it averages over images."""
    if protocol.averaging != "classes":
        return 0
    unknown = int((dataset.class_indices < 0).sum())
    if unknown:
        raise WsolbenchError(
            dataset.store.path,
            found=f"{unknown} of {len(dataset)} images without class",
            expected=f"a class of each: protocol {protocol.name} averages over classes",
            cure="import the classes too, or take another protocol",
        )
    return int(dataset.class_indices.max()) + 1


def check_match(dataset: Dataset, submission: Submission) -> None:
    """Refuse a submission that was not made for this data set and split.

    Raises:
        WsolbenchError: it states another, or holds images that the split does not.
    """
    header = submission.header
    for name, theirs, ours in (
        ("data set", header.dataset, dataset.name),
        ("split", header.split, dataset.split),
    ):
        if theirs != ours:
            raise WsolbenchError(
                submission.path,
                found=f"maps of {name} {theirs!r}",
                expected=repr(ours),
                cure=f"evaluate on the {name} of the maps",
                exit_status=1,
            )
    store = dataset.store
    held = {
        i for i, split in zip(store.image_ids, store.splits, strict=True) if split == dataset.split
    }
    strangers = [image_id for image_id in submission.image_ids if image_id not in held]
    if strangers:
        raise WsolbenchError(
            submission.path,
            found=f"{len(strangers)} images that {dataset.name} {dataset.split} does not hold: "
            f"{some(strangers)}",
            expected=f"maps of its {len(held)} images alone",
            cure="evaluate the split that the maps were made for",
            exit_status=1,
        )
