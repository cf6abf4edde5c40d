"""What a protocol is: the choices on which a score depends, as enums and numbers.

A protocol is a frozen record. Its fields decide what code runs, are written into every result and
are hashed, so that numbers that may not be compared look different. Sentences about it are for
people alone (`words`), and enter neither.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import Enum
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import WsolbenchError, require_type, some
from ..metrics.choices import BoxScore, Comparator, Component, PixelScore, Reduction
from ..scores import LEVELS, MAX_BOX_ACC_KEYS

__all__ = [
    "BIN_EDGES",
    "LARGEST_GRID",
    "SHARES",
    "Averaging",
    "BoxTruth",
    "Levels",
    "Protocol",
    "Scaling",
    "Thresholds",
    "Upsampling",
    "fields_sha256",
    "is_protocol_name",
    "label_of",
    "versioned",
]

SHARES = np.arange(0, 1, 0.001)
"""The 1,000 thresholds of wsolevaluation (evaluation.py: cam_curve_interval), as it makes them."""

BIN_EDGES = np.append(SHARES, 1.0)
"""Lower edges of the bins of `Levels.BINS`; the last bin holds the values of 1."""

LARGEST_GRID = 4096
"""Most pixels a side of a grid."""

_UNSTATED = dict.fromkeys(("name", "version", "sha256"), "unstated")
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,39}(:[1-9][0-9]{0,3})?")


class Upsampling(str, Enum):
    """How a map comes to the grid."""

    BILINEAR = "bilinear"
    """Half-pixel centres, edges clamped, float32; levels are cut in the same step."""
    OPENCV_CUBIC = "opencv_cubic"
    """INTER_CUBIC in float64."""
    OPENCV_LINEAR = "opencv_linear"
    """INTER_LINEAR in float32."""
    OPENCV_LINEAR_BYTES = "opencv_linear_bytes"
    """floor(255 * value) at the map's own size, then INTER_LINEAR of these bytes."""


class Scaling(str, Enum):
    """When each map is scaled by min-max, and in which type; a constant map becomes zeros."""

    NONE = "none"
    FIRST = "first"
    """Before it comes to the grid: float64 before bytes are made, otherwise float32."""
    LAST = "last"
    """On the grid, in the type in which it was resized."""
    LAST_FLOAT64 = "last_float64"
    """On the grid, in float64."""


class Levels(str, Enum):
    """What thresholds are compared with."""

    BYTES = "bytes"
    """floor(255 * value)."""
    GREYS = "greys"
    """The grey of matplotlib's cubehelix colours, 0..255."""
    VALUES = "values"
    """The values themselves."""
    BINS = "bins"
    """1,001 bins from 0, .001 ... .999, 1."""


class Thresholds(str, Enum):
    """Which thresholds there are."""

    LEVELS = "levels"
    """0..255."""
    SHARES_OF_MAXIMUM = "shares_of_maximum"
    """int(t * highest level) for t = 0, .001 ... .999."""
    BINS = "bins"
    """0, .001 ... .999, 1."""


class BoxTruth(str, Enum):
    """Which true boxes count, and where; of all but ORIGINAL the corners are inclusive."""

    ORIGINAL = "original"
    """Every box of the image, half-open, at original size."""
    SCALED = "scaled"
    """Every box, scaled to the grid."""
    TRUNCATED = "truncated"
    """Every box, scaled to the grid and truncated to whole numbers."""
    TRUNCATED_WITHIN = "truncated_within"
    """The same, far corners at most side - 1 before they are truncated."""
    FIRST_TRUNCATED = "first_truncated"
    """The first box of the image alone, scaled and truncated."""


class Averaging(str, Enum):
    """What an accuracy of boxes or classes is the mean over."""

    IMAGES = "images"
    CLASSES = "classes"


_UPSAMPLINGS = {
    (Upsampling.BILINEAR, Scaling.NONE),
    (Upsampling.BILINEAR, Scaling.FIRST),
    (Upsampling.OPENCV_CUBIC, Scaling.LAST),
    (Upsampling.OPENCV_LINEAR, Scaling.NONE),
    (Upsampling.OPENCV_LINEAR, Scaling.FIRST),
    (Upsampling.OPENCV_LINEAR, Scaling.LAST),
    (Upsampling.OPENCV_LINEAR, Scaling.LAST_FLOAT64),
    (Upsampling.OPENCV_LINEAR_BYTES, Scaling.FIRST),
}
_READY_LEVELS = (Upsampling.BILINEAR, Upsampling.OPENCV_LINEAR_BYTES)


@dataclass(frozen=True)
class Protocol:
    """The choices on which a score depends. All fields but `source` enter the hash.

    Attributes:
        name: as typed after `--protocol`; a size after a colon is that of the grid.
        version: raised whenever a field or its meaning changes.
        grid: pixels a side of the square on which map and truth meet; None for the image's own
            size.
        upsampling: how the map comes to the grid.
        scaling: when it is scaled by min-max.
        levels: what its values become.
        thresholds: which thresholds there are.
        comparator: whether foreground at a threshold is at least it, or above it.
        fixed_threshold: the one threshold of box scores: a share of the highest level, or a value
            with `Levels.VALUES`; None where it is searched.
        pixel_scores: which pixel scores there are.
        pixel_reductions: how pixels of many images become one score; the first one ranks.
        box_scores: which box scores there are.
        component: which foreground component gives the box.
        connectivity: of components; 8.
        box_truth: which true boxes count, and where.
        box_plus_one: whether sides of boxes count one pixel more than they hold.
        box_clipped: whether far corners of a contour's box are at most side - 1.
        box_empty: the box where nothing is foreground.
        box_iou_thresholds: the IoU at which a box is correct; the first one gives GT-known.
        box_iou_comparator: whether that IoU is enough, or more is needed.
        top_iou_comparator: the same for Top-1 and Top-5 localization, where it is another.
        averaging: what accuracies of boxes and classes are the mean over.
        source: the paper or program, in words.

    Raises:
        WsolbenchError: fields that do not go together, all of them at once.

    Examples:
        >>> from dataclasses import replace
        >>> from wsolbench.protocols import Comparator
        >>> sem = wsolbench.PROTOCOLS["sem"]
        >>> above = replace(sem, name="above", version=1, comparator=Comparator.ABOVE)
        >>> result = wsolbench.evaluate("demo/mini.h5", "demo/sem-val.h5", above)
        >>> sem.label, result.protocol["name"]
        ('sem.v2 (9114c162)', 'above')
    """

    name: str
    version: int
    grid: int | None = None
    upsampling: Upsampling = Upsampling.BILINEAR
    scaling: Scaling = Scaling.NONE
    levels: Levels = Levels.BYTES
    thresholds: Thresholds = Thresholds.LEVELS
    comparator: Comparator = Comparator.AT_LEAST
    fixed_threshold: float | None = None
    pixel_scores: tuple[PixelScore, ...] = ()
    pixel_reductions: tuple[Reduction, ...] = (Reduction.POOLED,)
    box_scores: tuple[BoxScore, ...] = ()
    component: Component = Component.MOST_PIXELS
    connectivity: int = 8
    box_truth: BoxTruth = BoxTruth.ORIGINAL
    box_plus_one: bool = False
    box_clipped: bool = False
    box_empty: tuple[int, int, int, int] = (0, 0, 0, 0)
    box_iou_thresholds: tuple[float, ...] = (0.5,)
    box_iou_comparator: Comparator = Comparator.AT_LEAST
    top_iou_comparator: Comparator | None = None
    averaging: Averaging = Averaging.IMAGES
    source: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        """Refuse what no code does."""
        if not (faults := _type_faults(self)):
            # 1 and 1.0 are equal, but JSON, and so the hash, tells them apart.
            for name in ("fixed_threshold", "box_iou_thresholds"):
                object.__setattr__(self, name, _as_floats(getattr(self, name)))
            faults = _faults(self)
        if faults:
            raise WsolbenchError(
                f"protocol {self.name!r}",
                found=some(faults),
                cure="choose fields that go together (see wsolbench.Protocol)",
            )

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of all fields but `source`, as sorted JSON."""
        return fields_sha256(self._fields())

    @property
    def label(self) -> str:
        """Name, version and the start of the hash, for people."""
        return label_of(self.as_dict())

    @property
    def bins(self) -> int:
        """Of the histograms of levels."""
        return len(BIN_EDGES) if self.levels is Levels.BINS else LEVELS

    @property
    def counts_levels(self) -> bool:
        """Whether thresholds are levels 0..255, not shares."""
        return self.thresholds is Thresholds.LEVELS

    @cached_property
    def curve_thresholds(self) -> NDArray[Any]:
        """The threshold of each place of a curve: int64 levels, or float64 shares as written."""
        if self.thresholds is Thresholds.LEVELS:
            return np.arange(LEVELS)
        # As they are written: .003, not .003000...0001.
        edges = BIN_EDGES if self.thresholds is Thresholds.BINS else SHARES
        return np.array([round(float(share), 3) for share in edges])

    @property
    def box_thresholds(self) -> int:
        """At how many thresholds there are boxes."""
        return 1 if self.fixed_threshold is not None else len(self.curve_thresholds)

    @property
    def has_curves(self) -> bool:
        """Whether scores are read off curves over thresholds."""
        return self.fixed_threshold is None or bool(self.pixel_scores)

    @property
    def carries_thresholds(self) -> bool:
        """Whether scores can be read at levels that were carried or fixed, by image and group."""
        read = PixelScore.AT_THRESHOLD in self.pixel_scores or not self.pixel_scores
        read &= BoxScore.AT_THRESHOLD in self.box_scores or not self.box_scores
        return read and self.counts_levels and self.fixed_threshold is None

    @property
    def scores_boundaries(self) -> bool:
        """Whether boundary scores stand beside its own; they do not depend on its fields.

        The paper has them, and no other program that is reproduced here.
        """
        return self.carries_thresholds

    @property
    def keeps_boxes(self) -> bool:
        """Whether each threshold has one box, in pixels of the image."""
        return self.grid is None and self.component is Component.MOST_PIXELS

    @property
    def takes_boxes(self) -> bool:
        """Whether boxes that a submission brings can be scored."""
        return self.box_truth is BoxTruth.ORIGINAL and self.fixed_threshold is None

    @property
    def needs_opencv(self) -> bool:
        """Whether its steps are OpenCV's."""
        outlined = bool(self.box_scores) and self.component is not Component.MOST_PIXELS
        return self.upsampling is not Upsampling.BILINEAR or outlined or self.grid is not None

    def as_dict(self) -> dict[str, object]:
        """The fields and their hash, as results hold them."""
        return {**self._fields(), "sha256": self.sha256}

    @classmethod
    def from_dict(cls, content: Mapping[str, object]) -> Protocol:
        """The protocol that a result holds.

        Raises:
            WsolbenchError: fields of another version of wsolbench, or a hash that is not theirs.
        """
        require_type("protocol", content, (Mapping,), "fields, such as result.protocol")
        try:
            given = {key: value for key, value in content.items() if key != "sha256"}
            own = {item.name: item for item in fields(cls) if item.name != "source"}
            if given.keys() != own.keys():
                raise ValueError("other fields")
            values: dict[str, Any] = {
                key: _value(own[key].type, value) for key, value in given.items()
            }
            found: Protocol | None = cls(**values)
        except (TypeError, ValueError, WsolbenchError):
            found = None
        if found is None or found.sha256 != content.get("sha256"):
            raise WsolbenchError(
                "protocol",
                found=f"another version of protocol {label_of({**_UNSTATED, **content})}",
                expected="one of this version of wsolbench",
                cure="evaluate again with this version of wsolbench",
            )
        return found

    def _fields(self) -> dict[str, object]:
        return {
            item.name: _plain(getattr(self, item.name))
            for item in fields(self)
            if item.name != "source"
        }


def label_of(content: Mapping[str, Any]) -> str:
    """Name, version and the start of the hash of a protocol as a result holds it."""
    return f"{versioned(content)} ({str(content['sha256'])[:8]})"


def is_protocol_name(name: object) -> bool:
    """Whether a protocol can have this name: `sem`, `wsoleval-v1:320`."""
    return isinstance(name, str) and _NAME.fullmatch(name) is not None


def versioned(content: Mapping[str, Any]) -> str:
    """Name and version of a protocol as a result holds it."""
    require_type("protocol", content, (Mapping,), "fields, such as result.protocol")
    return f"{content['name']}.v{content['version']}"


def fields_sha256(content: Mapping[str, object]) -> str:
    """SHA-256 of a protocol's fields as sorted JSON, the hash itself not among them."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _plain(value: object) -> object:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value.value if isinstance(value, Enum) else value


_KINDS: Mapping[str, Any] = {
    kind.__name__: kind
    for kind in (
        *(Upsampling, Scaling, Levels, Thresholds, Comparator, PixelScore, Reduction, BoxScore),
        *(Component, BoxTruth, Averaging, str, int, float, bool),
    )
}


def _kind(annotation: object) -> Any:
    """The type of a field's items, from its annotation."""
    return next(_KINDS[word] for word in re.findall(r"\w+", str(annotation)) if word in _KINDS)


def _value(annotation: object, value: Any) -> Any:
    """A field's value from JSON."""
    kind = _kind(annotation)
    if isinstance(value, list):
        return tuple(kind(item) if issubclass(kind, Enum) else item for item in value)
    return kind(value) if issubclass(kind, Enum) and value is not None else value


def _as_floats(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(map(float, value))
    return None if value is None else float(value)


def _type_faults(protocol: Protocol) -> list[str]:
    """Values of another type than their field's, which would be compared in vain."""
    faults = []
    for item in fields(protocol):
        value, annotation = getattr(protocol, item.name), str(item.type)
        kind, many = _kind(annotation), "tuple" in annotation
        wanted = (int, float) if kind is float else kind
        parts = value if many and isinstance(value, tuple) else [value]
        sound = many == isinstance(value, tuple) and all(
            isinstance(part, wanted) and (kind is bool or not isinstance(part, bool))
            for part in parts
        )
        if not sound and not (value is None and "None" in annotation):
            faults.append(f"{item.name} {value!r}, not of type {kind.__name__}")
    return faults


def _faults(protocol: Protocol) -> list[str]:
    """What in the fields does not go together."""
    own = protocol
    fixed, boxed, pixels = own.fixed_threshold, bool(own.box_scores), bool(own.pixel_scores)
    ready = own.upsampling in _READY_LEVELS
    scaled_truth = own.box_truth is not BoxTruth.ORIGINAL
    outlined = own.component is not Component.MOST_PIXELS
    maximum = BoxScore.MAXIMUM in own.box_scores
    searched = {
        Levels.BYTES: (Thresholds.LEVELS, Thresholds.SHARES_OF_MAXIMUM),
        Levels.GREYS: (Thresholds.LEVELS, Thresholds.SHARES_OF_MAXIMUM),
        Levels.BINS: (Thresholds.BINS,),
        Levels.VALUES: (),
    }[own.levels]
    checks = {
        "a name that is no short text of a-z, 0-9, . _ -": not is_protocol_name(own.name),
        f"grid {own.grid} under a name that ends in another size": (
            ":" in own.name and own.name.partition(":")[2] != str(own.grid)
        ),
        "a version below 1": own.version < 1,
        "neither pixel nor box scores": not pixels and not boxed,
        f"a grid that is not from 1 to {LARGEST_GRID}": (
            own.grid is not None and not 1 <= own.grid <= LARGEST_GRID
        ),
        f"scaling {own.scaling.value} with upsampling {own.upsampling.value}": (
            (own.upsampling, own.scaling) not in _UPSAMPLINGS
        ),
        f"levels {own.levels.value} with upsampling {own.upsampling.value}": (
            ready and own.levels is not Levels.BYTES
        ),
        f"thresholds {own.thresholds.value} with levels {own.levels.value}": (
            fixed is None and own.thresholds not in searched
        ),
        f"levels {own.levels.value} without a fixed threshold": (
            own.levels is Levels.VALUES and fixed is None
        ),
        "a fixed threshold that is not from 0 to 1": fixed is not None and not 0 <= fixed <= 1,
        "a fixed threshold for pixel scores": fixed is not None and pixels,
        "pixel scores over shares of the maximum": (
            pixels and own.thresholds is Thresholds.SHARES_OF_MAXIMUM
        ),
        "foreground above the threshold with levels bins": (
            own.comparator is Comparator.ABOVE and own.levels is Levels.BINS
        ),
        "IoU at a threshold without Peak-IoU over levels": (
            PixelScore.AT_THRESHOLD in own.pixel_scores
            and (PixelScore.PEAK not in own.pixel_scores or not own.counts_levels)
        ),
        "no reduction, or one twice": (
            not own.pixel_reductions
            or len(set(own.pixel_reductions)) < len(own.pixel_reductions)
            or own.pixel_reductions[0] is not Reduction.POOLED
        ),
        "means over images for thresholds that are no levels": (
            pixels and Reduction.IMAGE_MEAN in own.pixel_reductions and not own.counts_levels
        ),
        "boxes of bins": boxed and own.levels is Levels.BINS,
        "a connectivity other than 8": own.connectivity != 8,
        f"true boxes {own.box_truth.value} with grid {own.grid}": (
            boxed and scaled_truth != (own.grid is not None)
        ),
        "clipped boxes of components": own.box_clipped and not outlined,
        "an empty box that is not four numbers from -1 to 4096": (
            len(own.box_empty) != 4 or not all(-1 <= end <= 4096 for end in own.box_empty)
        ),
        "no IoU of a correct box, one twice, or one not in (0, 1]": (
            not own.box_iou_thresholds
            or len(set(own.box_iou_thresholds)) < len(own.box_iou_thresholds)
            or not all(0 < delta <= 1 for delta in own.box_iou_thresholds)
        ),
        "several IoUs of a correct box without MaxBoxAcc": (
            boxed and not maximum and len(own.box_iou_thresholds) > 1
        ),
        "a comparison for Top-1 and Top-5 without scores at a threshold": (
            own.top_iou_comparator is not None and BoxScore.AT_THRESHOLD not in own.box_scores
        ),
        "MaxBoxAcc at an IoU other than .5, then .3 and .7": maximum
        and (
            own.box_iou_thresholds[:1] != (0.5,)
            or not set(own.box_iou_thresholds) <= {*MAX_BOX_ACC_KEYS}
        ),
        "MaxBoxAcc at a fixed threshold": maximum and fixed is not None,
        "averaging over classes without a fixed threshold": (
            own.averaging is Averaging.CLASSES and fixed is None
        ),
    }
    return [text for text, wrong in checks.items() if wrong]
