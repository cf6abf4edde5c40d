"""Photos and what is drawn over them: masks, boxes, and submissions' maps on the photo's grid.

Maps are brought to the photo as the result's protocol does it, those of a part of the photo into
their window, and a predicted box is the one that was scored: around the largest component at the
result's Box-T, or the box that the submission brings. The foreground is that of the result's pixel
scores, with its IoU. Without a result, or where its protocol scores on a grid of its own, maps are
upsampled as protocol sem does it, no foreground is drawn, and no box but one that the submission
brings.

Conventions: axes (height, width); boxes int32 half-open (x0, y0, x1, y1) pixels; levels 0..255.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.dataset import Dataset, Sample
from ..errors import WsolbenchError, printable, some
from ..formats.result import Result, levels_read
from ..formats.submission.reader import Submission
from ..maps.windows import is_whole, placed
from ..metrics.levels import level_map
from ..metrics.pixel import count_pixels
from ..metrics.pixel import iou as pixel_iou
from ..protocols import Protocol
from ..protocols.steps import boxes_of, on_grid
from ..scores import LEVELS
from .checks import check_match
from .shared_images import shared_images

__all__ = ["Drawn", "Overlay", "choose_images", "pair_results", "read_overlays"]


@dataclass(frozen=True, eq=False)
class Drawn:
    """One submission's map of one photo.

    Attributes:
        levels: uint8 (height, width).
        box: int32 (4,), the predicted box; None where there is none.
        foreground: bool (height, width), at the threshold of the result's pixel scores; None
            without a result, or where its protocol has no such threshold.
        iou: of the foreground and the mask, without ignored pixels; None without one of them.
    """

    levels: NDArray[np.uint8]
    box: NDArray[np.int32] | None
    foreground: NDArray[np.bool_] | None = None
    iou: float | None = None


@dataclass(frozen=True, eq=False)
class Overlay:
    """One photo and what belongs over it.

    Attributes:
        image_id: its id.
        photo: uint8 (height, width, 3), RGB.
        mask: bool (height, width); false everywhere for an image without one.
        ignore: bool (height, width), true where a pixel counts nowhere; None where all count.
        boxes: int32 (n, 4), the true ones.
        maps: one a submission, in their order.
        class_name: of the object; empty where the annotations name none.
    """

    image_id: str
    photo: NDArray[np.uint8]
    mask: NDArray[np.bool_]
    ignore: NDArray[np.bool_] | None
    boxes: NDArray[np.int32]
    maps: tuple[Drawn, ...]
    class_name: str = ""


def choose_images(
    dataset: Dataset,
    submissions: Sequence[Submission],
    count: int,
    rng: np.random.Generator,
    *,
    common: bool = False,
) -> list[str]:
    """Ids drawn at random, ascending, among the images that every submission has a map of.

    Raises:
        WsolbenchError: none that all have, or fewer than `count`; without `common`, a submission
            that lacks maps of images which others have.
    """
    for opened in submissions:
        check_match(dataset, opened)
    paths = [printable(str(opened.path)) for opened in submissions]
    mapped = shared_images(paths, [opened.image_ids for opened in submissions], common=common)
    shared = mapped.intersection(dataset.image_ids)
    if not 1 <= count <= len(shared):
        raise WsolbenchError(
            "count of images",
            found=str(count),
            expected=f"1 to {len(shared)}, the images that the split and all submissions hold",
            cure="name another count",
        )
    held = sorted(shared)
    return [held[place] for place in sorted(rng.permutation(len(held))[:count].tolist())]


def pair_results(
    submissions: Sequence[Submission], results: Sequence[Result]
) -> list[Result | None]:
    """For each submission the result that scored this very file, or None.

    Raises:
        WsolbenchError: a result of none of the submissions, two of one, or one without a box
            threshold for a submission that brings no boxes.
    """
    paired: list[Result | None] = [None] * len(submissions)
    for result in results:
        found = [
            place
            for place, opened in enumerate(submissions)
            if result.submission_sha256 == opened.sha256
        ]
        if not found:
            raise WsolbenchError(
                f"result of {result.name} on {result.split}",
                found=f"the score of a submission {result.submission_sha256[:8] or 'in memory'}",
                expected=some([f"{opened.path} {opened.sha256[:8]}" for opened in submissions]),
                cure="name the results of the submissions that are drawn",
            )
        for place in found:
            if paired[place] is not None:
                raise WsolbenchError(
                    f"result of {result.name} on {result.split}",
                    found="a second result of one submission",
                    cure="name one result a submission",
                )
            if submissions[place].boxes is not None:
                paired[place] = result
                continue
            protocol = Protocol.from_dict(result.protocol)
            if not protocol.keeps_boxes:
                raise WsolbenchError(
                    f"result of {result.name} on {result.split}",
                    found=f"protocol {protocol.name}, whose boxes are not in pixels of the image",
                    expected="a protocol with one box at each threshold, like sem",
                    cure="evaluate under another protocol, or draw without a result",
                )
            if result.threshold.own is None and "box_threshold" not in result.scores:
                raise WsolbenchError(
                    f"result of {result.name} on {result.split}",
                    found="no box_threshold",
                    cure="evaluate with box metrics, or draw without a result",
                )
            paired[place] = result
    return paired


def read_overlays(
    dataset: Dataset,
    submissions: Sequence[Submission],
    image_ids: Sequence[str],
    results: Sequence[Result | None],
) -> Iterator[Overlay]:
    """Photos, masks, boxes and maps of some images, one image at a time.

    Args:
        dataset: the split, with a folder of photos.
        submissions: of this data set and split.
        image_ids: which, in the order of drawing.
        results: one a submission (see `pair_results`): the source of its Box-T.

    Raises:
        WsolbenchError: a submission of another data set or split, an image that the split or a
            submission does not hold, a photo that is missing or damaged.
    """
    places = {image_id: place for place, image_id in enumerate(dataset.image_ids)}
    _require(f"{dataset.store.path}, split {dataset.split}", image_ids, places.keys())
    rows = []
    for opened in submissions:
        check_match(dataset, opened)
        rows.append({image_id: row for row, image_id in enumerate(opened.image_ids)})
        _require(opened.path, image_ids, rows[-1].keys())
    for image_id in image_ids:
        sample = dataset[places[image_id]]
        maps = [
            _drawn(opened, row[image_id], sample, result)
            for opened, row, result in zip(submissions, rows, results, strict=True)
        ]
        photo = np.asarray(sample.image)
        blank = np.zeros(photo.shape[:2], dtype=np.bool_)
        mask = sample.mask if sample.has_mask else blank
        name = _class_name(dataset, sample.class_index)
        yield Overlay(image_id, photo, mask, sample.ignore, sample.boxes, tuple(maps), name)


def _class_name(dataset: Dataset, class_index: int) -> str:
    """The first of a class's names; "kit fox" of "kit fox, Vulpes macrotis"."""
    classes = dataset.store.classes
    named = classes[class_index][1] if 0 <= class_index < len(classes) else ""
    return printable(named.partition(",")[0])


def _drawn(submission: Submission, row: int, sample: Sample, result: Result | None) -> Drawn:
    size = sample.height, sample.width
    map_ = submission.read([row])[0]
    if submission.windows is not None and not is_whole(submission.windows[row], *size):
        map_ = placed(map_, submission.windows[row], *size)
    protocol = None if result is None else Protocol.from_dict(result.protocol)
    if result is None or protocol is None or protocol.grid is not None:
        box = None if submission.boxes is None else submission.boxes[row]
        return Drawn(level_map(map_, *size), _there(box))
    levels = on_grid(protocol, map_, size)
    read = _levels_of(result, levels, sample.ignore)
    own_boxes = submission.boxes
    box = boxes_of(protocol, levels)[read["box"]] if own_boxes is None else own_boxes[row]
    if "pixel" not in read or levels.dtype != np.uint8:
        return Drawn(levels, _there(box))
    foreground = protocol.comparator(levels, read["pixel"])
    iou = None
    if sample.has_mask:
        counts = count_pixels(levels, sample.mask, sample.ignore)
        iou = float(pixel_iou(counts, protocol.comparator)[read["pixel"]])
    return Drawn(levels, _there(box), foreground, iou)


def _levels_of(
    result: Result, levels: NDArray[Any], ignore: NDArray[np.bool_] | None
) -> dict[str, int]:
    """T of pixels and boxes, as the result was read: the map's own, or those of all images."""
    own = result.threshold.own
    if own is None:
        return levels_read(result.threshold, result.scores)
    counted = levels.ravel() if ignore is None else levels[~ignore]
    at = int(own.thresholds(np.bincount(counted, minlength=LEVELS)))
    return {"pixel": at, "box": at}


def _there(box: NDArray[np.int32] | None) -> NDArray[np.int32] | None:
    return box if box is not None and box.any() else None


def _require(where: object, image_ids: Sequence[str], held: Collection[str]) -> None:
    missing = [image_id for image_id in image_ids if image_id not in held]
    if missing:
        raise WsolbenchError(
            where,
            found=f"no image {some(missing)}",
            expected="every image that is drawn",
            cure="name other images",
        )
