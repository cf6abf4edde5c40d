"""The named protocols: what a score means, field by field.

A protocol is a frozen record. Its fields are written into every result and hashed, so that numbers
that may not be compared look different. Source of `sem`: paper sections 3.1 and 4.1.2. The others
reproduce public programs, which their field `after` names by repository and file; docs/protocols.md
tells their rules.

Public names: `Protocol`, `PROTOCOLS`, `protocol_named`, `protocols_named`, `changes`,
`fields_sha256`; the words of fields that decide what code runs: `CUBIC`, ... below.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from ..errors import WsolbenchError


@dataclass(frozen=True)
class Protocol:
    """The choices on which a score depends, in words.

    Of `sem` the evaluator reads `box_iou_thresholds` alone; its other fields state what the code
    does. A protocol with `after` runs what its other fields say, in the words that stand above
    `PROTOCOLS`, so that another one made of these is a literal and nothing more; `grid`,
    `foreground`, `connectivity` and `box_plus_one` follow from the rest and are there to be read.
    All fields enter the hash, those that are None excepted.

    Attributes:
        name: as typed after `--protocol`.
        version: raised whenever a field or its meaning changes.
        grid: where map and mask meet.
        upsampling: how the map gets there.
        levels: how values become thresholds.
        foreground: which levels are foreground at threshold T.
        pixel_reductions: how pixels of many images become one score; the first one ranks.
        component: which foreground component gives the box.
        connectivity: 4 or 8 neighbours.
        box_plus_one: whether sides of boxes count one pixel more than they hold.
        box_truth: which true boxes count, and where.
        box_iou_comparator: ">=" or ">".
        box_iou_thresholds: the IoU at which a box is right; the first one gives GT-known.
        averaging: over images or over classes.
        pixel_scores: which pooled pixel scores there are; None for all.
        fixed_threshold: the one threshold of box scores; None where it is searched on the split.
        top_iou_comparator: that of Top-1 and Top-5 localization, where it is another.
        box_empty: the box where nothing is foreground.
        box_clipped: whether far corners are at most side - 1.
        after: the program that it reproduces.
    """

    name: str
    version: int
    grid: str
    upsampling: str
    levels: str
    foreground: str
    pixel_reductions: tuple[str, ...]
    component: str
    connectivity: int
    box_plus_one: bool
    box_truth: str
    box_iou_comparator: str
    box_iou_thresholds: tuple[float, ...]
    averaging: str
    pixel_scores: tuple[str, ...] | None = None
    fixed_threshold: float | None = None
    top_iou_comparator: str | None = None
    box_empty: tuple[int, int, int, int] | None = None
    box_clipped: bool | None = None
    after: str | None = None

    @property
    def sha256(self) -> str:
        """SHA-256 of all fields that are not None, as sorted JSON."""
        return fields_sha256(self._fields())

    @property
    def metrics(self) -> tuple[str, ...]:
        """What it scores: "pixel", "box" or both."""
        held = {"pixel": self.pixel_reductions, "box": self.box_iou_thresholds}
        return tuple(name for name, choice in held.items() if choice)

    def as_dict(self) -> dict[str, object]:
        """The fields and their hash, as results hold them."""
        listed = {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in self._fields().items()
        }
        return {**listed, "sha256": self.sha256}

    def _fields(self) -> dict[str, object]:
        return {key: value for key, value in asdict(self).items() if value is not None}


SIDE = 224
"""Pixels a side of the grid on which the reproduced programs compare boxes."""

CUBIC = "OpenCV INTER_CUBIC in float64, then min-max, a constant map to 0"
LINEAR = "OpenCV INTER_LINEAR in float32, then min-max, a constant map to 0"
MINMAX_LINEAR = "min-max, a constant map to 0, then OpenCV INTER_LINEAR in float32"
BYTES_LINEAR = (
    "min-max with 1e-10 added to the range, floor(255 * value), then OpenCV INTER_LINEAR of bytes"
)

BYTES = "floor(255 * value)"
GREYS = "grey of matplotlib's cubehelix colours, 0..255"
VALUES = "values as they are"
BINS = "1,001 bins from 0, .001 ... .999, 1"

OUTLINE_LARGEST = (
    "of OpenCV's RETR_TREE contours, outer and inner, that of largest contourArea; ties to the "
    "first"
)
OUTLINE_EVERY = "every one of OpenCV's RETR_TREE contours, outer and inner"
MOST_PIXELS = "most pixels, ties to the first in row-major order"

BEST_TRUNCATED = "best of all boxes of the image, inclusive corners scaled to 224, truncated"
BEST_TRUNCATED_WITHIN = (
    "best of all boxes of the image, inclusive corners scaled to 224, far ones at most 223, "
    "truncated"
)
BEST_SCALED = "best of all boxes of the image, inclusive corners scaled to 224"
FIRST_TRUNCATED = "the first box of the image alone, inclusive corners scaled to 224, truncated"

_NO_BOXES = "none, pixels alone"
_WSOLEVALUATION = "clovaai/wsolevaluation: inference.py, evaluation.py"


def _bas(name: str, threshold: float) -> Protocol:
    """BAS with one of the thresholds that its program takes by backbone."""
    return Protocol(
        name=name,
        version=1,
        grid="224 x 224",
        upsampling=MINMAX_LINEAR,
        levels=VALUES,
        foreground=f"value > {threshold}",
        pixel_reductions=(),
        component=MOST_PIXELS,
        connectivity=8,
        box_plus_one=True,
        box_truth=BEST_SCALED,
        box_iou_comparator=">",
        box_iou_thresholds=(0.5,),
        averaging="classes",
        fixed_threshold=threshold,
        box_empty=(0, 0, 224, 224),
        box_clipped=False,
        after="wpy1999/BAS: ILSVRC/BAS_inference.py, ILSVRC/utils/func.py, CUB/utils/IoU.py",
    )


PROTOCOLS: dict[str, Protocol] = {
    "sem": Protocol(
        name="sem",
        version=1,
        grid="original image size",
        upsampling="bilinear, half-pixel centres, edges clamped, float32",
        levels="floor(255 * value) after upsampling",
        foreground="level >= T",
        pixel_reductions=("pooled", "image_mean"),
        component=MOST_PIXELS,
        connectivity=8,
        box_plus_one=False,
        box_truth="best of all boxes of the image, original size",
        box_iou_comparator=">=",
        box_iou_thresholds=(0.5, 0.3, 0.7),
        averaging="images",
    ),
    "wsoleval-v1": Protocol(
        name="wsoleval-v1",
        version=1,
        grid="224 x 224",
        upsampling=CUBIC,
        levels=BYTES,
        foreground="level > int(t * highest level), t = 0, .001 ... .999",
        pixel_reductions=(),
        component=OUTLINE_LARGEST,
        connectivity=8,
        box_plus_one=True,
        box_truth=BEST_TRUNCATED,
        box_iou_comparator=">=",
        box_iou_thresholds=(0.5,),
        averaging="images",
        box_empty=(0, 0, 0, 0),
        box_clipped=True,
        after=_WSOLEVALUATION,
    ),
    "wsoleval-v2": Protocol(
        name="wsoleval-v2",
        version=1,
        grid="224 x 224",
        upsampling=CUBIC,
        levels=BYTES,
        foreground="level > int(t * highest level), t = 0, .001 ... .999",
        pixel_reductions=(),
        component=OUTLINE_EVERY,
        connectivity=8,
        box_plus_one=True,
        box_truth=BEST_TRUNCATED,
        box_iou_comparator=">=",
        box_iou_thresholds=(0.5, 0.3, 0.7),
        averaging="images",
        box_empty=(0, 0, 0, 0),
        box_clipped=True,
        after=_WSOLEVALUATION,
    ),
    "wsoleval-pxap": Protocol(
        name="wsoleval-pxap",
        version=1,
        grid="224 x 224, masks by OpenCV INTER_NEAREST",
        upsampling=CUBIC,
        levels=BINS,
        foreground="value >= t",
        pixel_reductions=("pooled",),
        component=_NO_BOXES,
        connectivity=0,
        box_plus_one=False,
        box_truth=_NO_BOXES,
        box_iou_comparator=">=",
        box_iou_thresholds=(),
        averaging="images",
        pixel_scores=("ap",),
        after=_WSOLEVALUATION,
    ),
    "dawsol-piou": Protocol(
        name="dawsol-piou",
        version=1,
        grid="224 x 224, masks by OpenCV INTER_NEAREST",
        upsampling=CUBIC,
        levels=BINS,
        foreground="value >= t",
        pixel_reductions=("pooled",),
        component=_NO_BOXES,
        connectivity=0,
        box_plus_one=False,
        box_truth=_NO_BOXES,
        box_iou_comparator=">=",
        box_iou_thresholds=(),
        averaging="images",
        pixel_scores=("ap", "peak_iou"),
        after="zh460045050/DA-WSOL_CVPR2022: libs/evaluation.py",
    ),
    "spa2net": Protocol(
        name="spa2net",
        version=1,
        grid="original image size",
        upsampling=BYTES_LINEAR,
        levels="the bytes, 0..255",
        foreground="level >= T",
        pixel_reductions=("pooled",),
        component=_NO_BOXES,
        connectivity=0,
        box_plus_one=False,
        box_truth=_NO_BOXES,
        box_iou_comparator=">=",
        box_iou_thresholds=(),
        averaging="images",
        pixel_scores=("ap", "peak_iou"),
        after="MsterDC/SPA2Net: utils/val_mask/MaskEva.py, utils/val_mask/eval_mask.py",
    ),
    "tscam": Protocol(
        name="tscam",
        version=1,
        grid="224 x 224",
        upsampling=LINEAR,
        levels=BYTES,
        foreground="level > int(.12 * highest level)",
        pixel_reductions=(),
        component=OUTLINE_LARGEST,
        connectivity=8,
        box_plus_one=True,
        box_truth=BEST_TRUNCATED_WITHIN,
        box_iou_comparator=">=",
        box_iou_thresholds=(0.5,),
        averaging="images",
        fixed_threshold=0.12,
        top_iou_comparator=">",
        box_empty=(0, 0, 1, 1),
        box_clipped=False,
        after="vasgaowei/TS-CAM: lib/cams_deit.py, lib/datasets/imagenet.py, configs/ILSVRC",
    ),
    "bas": _bas("bas", 0.5),
    "bas-resnet": _bas("bas-resnet", 0.45),
    "bas-inception": _bas("bas-inception", 0.3),
    "adl": Protocol(
        name="adl",
        version=1,
        grid="224 x 224",
        upsampling=LINEAR,
        levels=GREYS,
        foreground="level > int(.2 * highest level)",
        pixel_reductions=(),
        component=OUTLINE_LARGEST,
        connectivity=8,
        box_plus_one=True,
        box_truth=FIRST_TRUNCATED,
        box_iou_comparator=">=",
        box_iou_thresholds=(0.5,),
        averaging="images",
        fixed_threshold=0.2,
        box_empty=(0, 0, 1, 1),
        box_clipped=False,
        after="junsukchoe/ADL: evaluate.py; tensorpack/tensorpack: tensorpack/utils/viz.py",
    ),
}


def fields_sha256(fields: Mapping[str, object]) -> str:
    """SHA-256 of a protocol's fields as sorted JSON, the hash itself not among them."""
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


def changes(protocol: Protocol, other: Protocol) -> dict[str, object]:
    """The fields in which a protocol differs from another, its name and version left aside."""
    mine, theirs = protocol.as_dict(), other.as_dict()
    apart = {"name", "version", "sha256"}
    return {
        key: mine.get(key)
        for key in [*mine, *(theirs.keys() - mine.keys())]
        if key not in apart and mine.get(key) != theirs.get(key)
    }


def protocols_named(names: str) -> list[Protocol]:
    """The protocols of a list with commas between them.

    Raises:
        WsolbenchError: one that there is not, or one twice.
    """
    found = [protocol_named(name.strip()) for name in names.split(",")]
    if len(set(found)) < len(found):
        raise WsolbenchError("protocol", found=names, cure="name each protocol once")
    return found


def protocol_named(name: str) -> Protocol:
    """The protocol of that name.

    Raises:
        WsolbenchError: there is none.
    """
    if name not in PROTOCOLS:
        raise WsolbenchError(
            "protocol",
            found=repr(name),
            expected=" or ".join(PROTOCOLS),
            cure="name one of these",
        )
    return PROTOCOLS[name]
