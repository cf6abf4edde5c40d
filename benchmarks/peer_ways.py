"""What else one would run to measure maps against masks, and how far it is from ours.

Every way starts at a stored mask, which it decodes, and a map; those of others bring the map to the
image's size by OpenCV. `peers` times them and lets them run over more and more images.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from wsolbench import masks
from wsolbench.data.dataset import Dataset
from wsolbench.evaluation.evaluator import Evaluator
from wsolbench.masks import RunLengths
from wsolbench.metrics import pixel

from . import kernels, protocols
from .kernels import HEIGHT, LEVELS, WIDTH, levels_of
from .scaling import at_one_threshold

HALF = LEVELS // 2
PACKAGES = {
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "torchmetrics": "torchmetrics",
    "py_sod_metrics": "pysodmetrics",
}  # by module

PIXELS, BOXES = "ours: pixels", "ours: pixels and boxes"
METRICS = {PIXELS: ["pixel"], BOXES: ["pixel", "box"]}
OURS = {PIXELS: "IoU at 256 thresholds, AP", BOXES: "IoU and box at 256 thresholds, AP"}

Mask = NDArray[np.bool_]
Map = NDArray[np.uint8]
Feed = Callable[[Iterable[tuple[Mask, Map]]], float]
"""Takes images one by one and gives one score of all."""


class Picture(NamedTuple):
    """A stored mask and a map."""

    image_id: str
    mask: RunLengths
    map_: Map


Pictures = Sequence[Picture]


class Scored(NamedTuple):
    """Our IoU (n, 256), AP (n,), AP of all pixels and boxes (n or 0, 256, 4) of n pictures."""

    iou: NDArray[np.float64]
    ap: NDArray[np.float64]
    pooled: float
    boxes: NDArray[np.int32]


class Way(NamedTuple):
    """One way to measure pictures.

    Attributes:
        name: of its row.
        answers: what it gives.
        make: imports what it needs and returns what is timed.
        module: that must be installed, or nothing.
        ours: the name of our way to the same.
        compared: a key of `DIFFERENCES`.
        within: how far it may be from ours on the same levels; None: it may be anywhere.
    """

    name: str
    answers: str
    make: Callable[[], Callable[[Pictures], Any]]
    module: str = ""
    ours: str = ""
    compared: str = ""
    within: float | None = None


# ---------------------------------------------------------------------------------------- the ways


def values_of(map_: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The map on the image's grid, in [0, 1]."""
    return np.asarray(cv2.resize(np.float32(map_), (WIDTH, HEIGHT)) / np.float32(255))


def measure(pictures: Pictures, with_boxes: bool) -> Scored:
    """`metrics.images.measure` of all pictures in one call, and what follows from the counts."""
    encoded, maps = [own.mask for own in pictures], [own.map_ for own in pictures]
    found, boxes = kernels.measure(encoded, maps, with_boxes)
    counts = found.astype(np.int64)
    pooled = float(pixel.average_precision(counts.sum(axis=0)))
    return Scored(pixel.iou(counts), pixel.average_precision(counts), pooled, boxes)


def evaluate(
    data: Dataset, protocol: str, metrics: list[str] | None, pictures: Pictures
) -> Evaluator:
    """An evaluator that was given all pictures at once."""
    evaluator = Evaluator(data, protocol, metrics)
    evaluator.update([own.image_id for own in pictures], [own.map_ for own in pictures])
    return evaluator


def compare_at_each(pictures: Pictures) -> NDArray[np.float64]:
    counts = np.array([kernels.count_in_loop(own.mask, own.map_) for own in pictures])
    met, found = counts[..., 0], counts[..., 1]
    objects = np.array([masks.area(own.mask) for own in pictures])[:, None]
    return np.asarray(met / (objects + found - met))


def make_pysodmetrics() -> Callable[[Pictures], Any]:
    count = kernels.count_with_pysodmetrics()
    return lambda pictures: [np.flip(count(own.mask, own.map_)) for own in pictures]


def make_torchmetrics(thresholds: int | None) -> Callable[[Pictures], float]:
    feed = feed_torchmetrics(thresholds)
    return lambda pictures: feed((masks.decode(own.mask), own.map_) for own in pictures)


def make_sklearn(scored: Callable[[NDArray[np.uint8]], Any]) -> Callable[[Pictures], Any]:
    from sklearn.metrics import average_precision_score

    return lambda pictures: [
        average_precision_score(masks.decode(own.mask).ravel(), scored(own.map_).ravel())
        for own in pictures
    ]


def make_skimage() -> Callable[[Pictures], Any]:
    from skimage.measure import label, regionprops

    def score(mask: NDArray[np.bool_], map_: NDArray[np.uint8]) -> tuple[float, Any]:
        foreground = levels_of(map_) >= HALF
        met = np.count_nonzero(foreground & mask)
        iou = met / np.count_nonzero(foreground | mask)
        regions = regionprops(label(foreground, connectivity=2))
        if not regions:
            return iou, np.zeros(4)
        y0, x0, y1, x1 = max(regions, key=lambda region: region.area).bbox
        return iou, np.array([x0, y0, x1, y1])

    return lambda pictures: [score(masks.decode(own.mask), own.map_) for own in pictures]


def at_half(pictures: Pictures) -> list[tuple[float, Any]]:
    return [at_one_threshold(masks.decode(own.mask), own.map_) for own in pictures]


def contours(pictures: Pictures) -> list[NDArray[np.int32]]:
    return [kernels.contour_boxes(own.map_) for own in pictures]


def components(pictures: Pictures) -> list[list[NDArray[np.int32]]]:
    """The boxes of all components that have most pixels, at each threshold."""
    return [
        [np.hstack((at[:, :2], at[:, :2] + at[:, 2:4])) for at in kernels.largest_components(map_)]
        for *_, map_ in pictures
    ]


def loop_of(score: Callable[[list[protocols.Given]], float], pictures: Pictures) -> float:
    """A score of wsolevaluation's by its own loop."""
    given = []
    for _, encoded, map_ in pictures:
        mask = masks.decode(encoded)
        boxes = np.array([masks.tight_box(mask)], dtype=np.int32)
        given.append(protocols.Given(map_, mask.view(np.uint8), boxes))
    return score(given)


def our_ways(data: Dataset) -> list[Way]:
    """Ours; the last three reproduce wsolevaluation."""

    def way(name: str, answers: str, function: Callable[..., Any], *given: object) -> Way:
        return Way(name, answers, lambda: partial(function, *given))

    return [
        way(PIXELS, OURS[PIXELS], partial(measure, with_boxes=False)),
        way(BOXES, OURS[BOXES], partial(measure, with_boxes=True)),
        *(
            way(f"{name}, `Evaluator`", OURS[name], evaluate, data, "sem", metrics)
            for name, metrics in METRICS.items()
        ),
        *(
            way(f"ours: `{name}`", "the program's score", evaluate, data, name, None)
            for name in (protocols.PXAP, protocols.V1, protocols.V2)
        ),
    ]


def peers() -> list[Way]:
    """The others."""
    iou, both, boxes = (f"{what} at 256 thresholds" for what in ("IoU", "IoU and box", "box"))
    half = both.replace("256 thresholds", "one threshold")
    sod, sk, torch = "py_sod_metrics", "sklearn", "torchmetrics"
    binned, exact = partial(make_torchmetrics, LEVELS), partial(make_torchmetrics, None)
    of_levels, of_values = partial(make_sklearn, levels_of), partial(make_sklearn, values_of)
    found = [
        Way("PySODMetrics", iou, make_pysodmetrics, sod, PIXELS, "IoU"),
        Way("NumPy, comparisons", iou, lambda: compare_at_each, "", PIXELS, "IoU", 0),
        Way("scikit-learn, levels", "AP, 256 levels", of_levels, sk, PIXELS, "AP", 1e-12),
        Way("scikit-learn, values", "AP, all values", of_values, sk, PIXELS, "AP", 1e-12),
        Way("torchmetrics, 256", "pooled AP, 256 thresholds", binned, torch, PIXELS, "pooled AP"),
        Way(
            "torchmetrics, exact", "pooled AP, all values", exact, torch, PIXELS, "pooled AP", 1e-4
        ),
        Way("OpenCV and NumPy", half, lambda: at_half, "", BOXES, "IoU and box", 0),
        Way("scikit-image and NumPy", half, make_skimage, "skimage", BOXES, "IoU and box", 0),
        Way("OpenCV, contours", boxes, lambda: contours, "", BOXES, "boxes"),
        Way("OpenCV, components", boxes, lambda: components, "", BOXES, "boxes", 0),
    ]
    loops: dict[str, tuple[str, Callable[[list[protocols.Given]], float]]] = {
        protocols.PXAP: ("PxAP, 1,003 thresholds", protocols.pxap),
        protocols.V1: ("MaxBoxAcc, 1,000 thresholds", partial(protocols.box_acc, every=False)),
        protocols.V2: ("MaxBoxAcc of all contours", partial(protocols.box_acc, every=True)),
    }
    for protocol, (answers, score) in loops.items():
        name = f"wsolevaluation's loop, `{protocol}`"
        make = partial(partial, loop_of, score)
        found.append(Way(name, answers, make, "", f"ours: `{protocol}`", "score", 1e-12))
    return found


def floors(pictures: Pictures) -> dict[str, Callable[[], object]]:
    """What little can be done with the levels of each picture."""
    planes = [levels_of(own.map_) for own in pictures]
    cut = [(plane >= HALF).view(np.uint8) for plane in planes]
    bounds = [LEVELS], [0, LEVELS]
    return {
        "levels copied": lambda: [plane.copy() for plane in planes],
        "counted, OpenCV": lambda: [cv2.calcHist([own], [0], None, *bounds) for own in planes],
        "counted, NumPy": lambda: [np.bincount(own.ravel(), minlength=LEVELS) for own in planes],
        "resized and counted, OpenCV": lambda: [kernels.count_once(own.map_) for own in pictures],
        "labelled once, OpenCV": lambda: [cv2.connectedComponentsWithStats(own) for own in cut],
    }


# --------------------------------------------------------------------------------------- agreement


def box_share(theirs: Any, ours: Scored) -> float:
    """The share of our boxes that are not theirs; of several at a threshold any will do."""
    differ = []
    for boxes, own in zip(theirs, ours.boxes, strict=True):
        for found, box in zip(boxes, own, strict=True):
            some = np.reshape(found, (-1, 4))
            differ.append(not (some == box).all(axis=1).any() if box.any() else some.any())
    return sum(map(bool, differ)) / len(differ)


def half_difference(theirs: Any, ours: Scored) -> float:
    """The largest difference of IoU at half; 1 where a box differs."""
    ious, boxes = zip(*theirs, strict=True)
    same = (np.array(boxes) == ours.boxes[:, HALF]).all()
    return float(np.abs(np.array(ious) - ours.iou[:, HALF]).max()) if same else 1.0


def score_difference(theirs: float, ours: Evaluator) -> float:
    scores = ours.result().scores
    return abs(theirs - scores["ap" if "ap" in scores else "max_box_acc"])


DIFFERENCES: Mapping[str, Callable[[Any, Any], float]] = {
    "IoU": lambda theirs, ours: float(np.abs(np.array(theirs) - ours.iou).max()),
    "AP": lambda theirs, ours: float(np.abs(np.array(theirs) - ours.ap).max()),
    "pooled AP": lambda theirs, ours: abs(theirs - ours.pooled),
    "boxes": box_share,
    "IoU and box": half_difference,
    "score": score_difference,
}


def agreement(
    way: Way, theirs: Callable[[Pictures], Any], ours: Callable[[Pictures], Any], pictures: Pictures
) -> tuple[str, str]:
    """How far a way is from ours on the same levels, and on the maps as they are."""
    levels = [own._replace(map_=levels_of(own.map_)) for own in pictures]
    difference = DIFFERENCES[way.compared]
    amounts = [difference(theirs(given), ours(given)) for given in (levels, pictures)]
    if way.within is not None and amounts[0] > way.within:
        raise SystemExit(f"{way.name}: {way.compared} differs by {amounts[0]:.2g}")
    form = ".1%" if way.compared == "boxes" else ".1g"
    same, raw = (f"{amount:{form}}" if amount else "equal" for amount in amounts)
    return same, raw


# ------------------------------------------------------------------------------------- many images


def feed_torchmetrics(thresholds: int | None) -> Feed:
    """AP at some thresholds, whose counts are kept, or of all values, which are kept themselves."""
    import torch
    from torchmetrics.classification import BinaryAveragePrecision

    torch.set_num_threads(1)

    def feed(images: Iterable[tuple[Mask, Map]]) -> float:
        metric = BinaryAveragePrecision(thresholds=thresholds)
        for mask, map_ in images:
            metric.update(torch.from_numpy(values_of(map_)), torch.from_numpy(mask))
        return float(metric.compute())

    return feed


def feed_sklearn() -> Feed:
    """AP of all values, which are kept."""
    from sklearn.metrics import average_precision_score

    def feed(images: Iterable[tuple[Mask, Map]]) -> float:
        kept = [(mask.ravel(), values_of(map_).ravel()) for mask, map_ in images]
        truth, values = (np.concatenate(own) for own in zip(*kept, strict=True))
        return float(average_precision_score(truth, values))

    return feed


def feed_pysodmetrics() -> Feed:
    """Peak of the mean IoU; a curve an image is kept."""
    from py_sod_metrics import FmeasureV2, IOUHandler

    def feed(images: Iterable[tuple[Mask, Map]]) -> float:
        handler = IOUHandler(with_dynamic=True, with_adaptive=False)
        metric = FmeasureV2(metric_handlers={"iou": handler})
        for mask, map_ in images:
            metric.step(pred=levels_of(map_), gt=np.uint8(255) * mask)
        return float(metric.get_results()["iou"]["dynamic"].max())

    return feed


FEEDS: Mapping[str, tuple[str, Callable[[], Feed]]] = {
    "PySODMetrics": ("py_sod_metrics", feed_pysodmetrics),
    "torchmetrics, 256": ("torchmetrics", partial(feed_torchmetrics, LEVELS)),
    "torchmetrics, exact": ("torchmetrics", partial(feed_torchmetrics, None)),
    "scikit-learn, values": ("sklearn", feed_sklearn),
}
"""By name: the module, and what makes it."""
