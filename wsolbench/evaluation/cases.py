"""Images on which the box and the mask judge one map differently, or agree that it is good.

Source: paper section 1 and Fig. 1 (a correct box around a poor map, a good map whose box gets no
credit), and Fig. 3 of its supplement. The paper picks by hand; the rule here is *ours*: 50 %, the
bar that box accuracy goes by, is asked of the mask's IoU too, so that every image is of one kind;
within a kind the images come first in which the two IoUs lie farthest apart.

Conventions: IoUs are fractions in [0, 1], each at the threshold that all images share; boxes are
half-open (x0, y0, x1, y1) pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from typing import Any

from ..data.dataset import Dataset
from ..errors import WsolbenchError, some
from ..formats.result import Result
from ..formats.submission.reader import Submission
from ..progress import Progress
from ..protocols import PROTOCOLS
from .checks import check_match
from .run import Request, run

__all__ = ["HIGH", "KINDS", "Case", "Cases", "Found", "Kind", "choose_cases", "find_cases"]

HIGH = PROTOCOLS["sem"].box_iou_thresholds[0]
"""IoU from which a box is correct (paper, section 1); of the mask's IoU it is asked as well."""

_DIGITS = 12  # of a rank: differences of floats that ought to be equal are, and the id decides


@dataclass(frozen=True)
class Kind:
    """A kind of image.

    Attributes:
        words: what to call it.
        box_right: whether its box is correct.
        mask_high: whether its mask's IoU is `HIGH` or more.
        rank: of (mask IoU, box IoU); the highest comes first.
    """

    words: str
    box_right: bool
    mask_high: bool
    rank: Callable[[float, float], float]


KINDS: dict[str, Kind] = {
    "box_alone": Kind(
        "box correct, mask IoU below 50 %", True, False, lambda mask, box: box - mask
    ),
    "mask_alone": Kind(
        "box wrong, mask IoU 50 % or more", False, True, lambda mask, box: mask - box
    ),
    "both": Kind("box correct, mask IoU 50 % or more", True, True, min),
}
"""What is looked for, in the order of drawing; the other images have neither."""


@dataclass(frozen=True)
class Case:
    """An image that was chosen.

    Attributes:
        image_id: its id.
        mask_iou: of the foreground and the mask.
        box_iou: of the predicted box with the best of the true ones.
        box: the predicted one, as it was scored; None where there is none.
    """

    image_id: str
    mask_iou: float
    box_iou: float
    box: tuple[int, int, int, int] | None


@dataclass(frozen=True)
class Found:
    """The images of one kind: how many there are, and the first of them."""

    images: int
    chosen: tuple[Case, ...]


@dataclass(frozen=True)
class Cases:
    """What was found.

    Attributes:
        images: all that were scored.
        pixel_threshold: T of the masks' IoU.
        box_threshold: T of the boxes; None where the submission brings its own.
        groups: by the keys of `KINDS`; a kind may have no image.
    """

    images: int
    pixel_threshold: int
    box_threshold: int | None
    groups: Mapping[str, Found]

    @property
    def neither(self) -> int:
        """Images with a wrong box and a low IoU of the mask."""
        return self.images - sum(group.images for group in self.groups.values())

    def as_dict(self) -> dict[str, Any]:
        """Everything, for JSON."""
        return {**asdict(self), "neither": self.neither, "high": HIGH}


def choose_cases(
    table: Mapping[str, Sequence[Any]], box_threshold: int | None, count: int = 3
) -> Cases:
    """The first images of each kind; of equal ones the lower id.

    Args:
        table: columns `image_id`, `threshold`, `iou`, `box_right`, `box_iou`, `x0`, `y0`, `x1` and
            `y1` of `Evaluator.image_table`, one row or more.
        box_threshold: T of the boxes; None for those that the submission brings.
        count: how many of a kind at most.

    Raises:
        WsolbenchError: a count below 1.
    """
    if count < 1:
        raise WsolbenchError(
            "count of cases", found=str(count), expected="1 or more", cure="name another count"
        )
    names = ("image_id", "iou", "box_iou", "box_right", "x0", "y0", "x1", "y1")
    held: dict[tuple[bool, bool], list[Case]] = {}
    for image_id, mask_iou, box_iou, right, *box in zip(*(table[n] for n in names), strict=True):
        x0, y0, x1, y1 = box
        case = Case(image_id, mask_iou, box_iou, (x0, y0, x1, y1) if any(box) else None)
        held.setdefault((bool(right), mask_iou >= HIGH), []).append(case)
    groups = {}
    for name, kind in KINDS.items():
        cases = held.get((kind.box_right, kind.mask_high), [])
        ranked = sorted(cases, key=lambda case: _place(case, kind))
        groups[name] = Found(len(cases), tuple(ranked[:count]))
    return Cases(len(table["image_id"]), int(table["threshold"][0]), box_threshold, groups)


def find_cases(
    dataset: Dataset,
    submission: Submission,
    result: Result | None = None,
    count: int = 3,
    *,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> Cases:
    """Score a submission under protocol `sem`, and choose images of each kind.

    Args:
        dataset: the split; every image has a box.
        submission: a map of every image.
        result: of this very submission and split: the source of both thresholds, e.g. carried ones;
            None takes Peak-T and the best threshold for boxes on this split.
        count: how many of a kind at most.
        jobs: threads; None for one a processor.
        progress: called with (images done, images).

    Raises:
        WsolbenchError: images without mask, box or map, a result of something else or without the
            thresholds, and what `evaluator.score_together` refuses.

    Examples:
        >>> dataset = wsolbench.Dataset.open("demo/mini.h5")
        >>> with wsolbench.Submission.open("demo/sem-val.h5") as submission:
        ...     cases = wsolbench.find_cases(dataset, submission, count=1)
        >>> cases.images, list(cases.groups)
        (120, ['box_alone', 'mask_alone', 'both'])
    """
    check_match(dataset, submission)
    if result is not None:
        _check_result(result, dataset, submission)
    missing = sorted(set(dataset.image_ids).difference(submission.image_ids))
    if missing:
        raise WsolbenchError(
            submission.path,
            found=f"no map for {len(missing)} of {len(dataset)} images: {some(missing)}",
            expected="a map of every image",
            cure="add them, or draw a part of the split (--ids FILE)",
            exit_status=1,
        )
    dataset.require_masks("cases")
    unboxed = int((dataset.store.box_counts[dataset.rows] == 0).sum())
    if unboxed:
        raise WsolbenchError(
            dataset.store.path,
            found=f"{unboxed} of {len(dataset)} images without box",
            expected="a box of every image, to set against its mask",
            cure="import boxes too",
        )
    given = None if result is None or result.threshold.rule == "max" else result.threshold
    metrics = ("pixel", "box")
    request = Request(
        submission, dataset, metrics=metrics, threshold=given, per_image=True, jobs=jobs
    )
    outcome = run(request, lambda title, unit: nullcontext(progress))
    scored = result or outcome.results[0]
    at = None if submission.boxes is not None else int(scored.scores["box_threshold"])
    return choose_cases(outcome.table, at, count)


def _place(case: Case, kind: Kind) -> tuple[float, str]:
    return -round(kind.rank(case.mask_iou, case.box_iou), _DIGITS), case.image_id


def _check_result(result: Result, dataset: Dataset, submission: Submission) -> None:
    """Refuse a result of another submission, other annotations, or without the thresholds."""
    where = f"result of {result.name} on {result.split}"
    given, protocol = result.protocol, PROTOCOLS["sem"]
    annotations = dataset.store.content_sha256
    stated = {
        "protocol": (given["sha256"] == protocol.sha256, given["name"], protocol.name),
        "data set": (result.dataset == dataset.name, result.dataset, dataset.name),
        "split": (result.split == dataset.split, result.split, dataset.split),
        "submission": (
            result.submission_sha256 == submission.sha256,
            result.submission_sha256[:8] or "in memory",
            submission.sha256[:8],
        ),
        "annotations": (
            result.annotations_sha256 == annotations,
            result.annotations_sha256[:8],
            annotations[:8],
        ),
        "images": (result.images == len(dataset), str(result.images), str(len(dataset))),
    }
    for name, (same, theirs, ours) in stated.items():
        if not same:
            raise WsolbenchError(
                where,
                found=f"{name} {theirs}",
                expected=ours,
                cure="name a result of this submission on these annotations, or none",
            )
    if result.threshold.own is not None:
        raise WsolbenchError(
            where,
            found=f"a threshold of each map: {result.threshold.own.words}",
            expected="thresholds that all images share",
            cure="name a result at one threshold, or none",
        )
    needed = {"peak_threshold"} | (set() if submission.boxes is not None else {"box_threshold"})
    lacking = sorted(needed - result.scores.keys())
    if lacking:
        raise WsolbenchError(
            where,
            found=f"no {some(lacking)}",
            cure="evaluate with the metrics pixel and box, or name no result",
        )
