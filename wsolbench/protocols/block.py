"""A block of images under a protocol: what metric families measure.

The steps of `steps`, taken for each image when a family asks for their outcome. A protocol whose
steps are those of the compiled loops has its histograms, boxes and overlaps in one call for the
whole block instead, with the same outcome bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..metrics import images as image_metrics
from ..metrics.choices import BoundaryRule, Comparator, Component
from ..metrics.contours import Outlines
from ..metrics.packed import Packed
from .record import BoxTruth, Levels, Protocol, Scaling, Thresholds, Upsampling
from .steps import Seen, best_overlap, boxes_of, histogram, overlaps_of, see
from .truth import Truth

__all__ = ["Block", "Shared", "best_overlaps"]

_T = TypeVar("_T")

_NO_MASK = (np.empty((0, 0), np.bool_), None)


class _Once(Generic[_T]):
    """`functools.cached_property` without its lock.

    Before Python 3.12 all blocks share that lock, so that threads would measure one at a time.
    """

    def __init__(self, compute: Callable[[Any], _T]) -> None:
        self._compute = compute

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, block: object, owner: type) -> _T:
        value = block.__dict__[self._name] = self._compute(block)
        return value


@dataclass(frozen=True, eq=False)
class Shared:
    """What protocols share that score the same maps in one pass.

    Protocols that bring maps and true boxes to the grid alike get their overlaps together, so that
    the contours of each map are found once.

    Attributes:
        protocols: all of the pass.
        overlaps: by protocol, float64 (t,) of each image, once one of them was asked for.
    """

    protocols: Sequence[Protocol] = ()
    overlaps: dict[Protocol, list[NDArray[np.float64]]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Block:
    """N images, their legal maps and what is known of them.

    Attributes:
        rules: the protocol.
        truth: what is known of the images.
        maps: (h, w) each, as `metrics.levels.check_map` accepts them.
        top5: int (n, 5), predicted classes, or None.
        submitted: int (n, 4), boxes that the method predicts itself, or None.
        with_boxes: whether to infer boxes, which takes most of the time.
        edges: (h, w) each, legal maps of boundary probabilities, if boundaries are scored.
        boundary: how they are scored.
        shared: of this block of images and maps under several protocols.
    """

    rules: Protocol
    truth: Truth
    maps: Sequence[NDArray[Any]]
    top5: NDArray[np.integer[Any]] | None = None
    submitted: NDArray[np.integer[Any]] | None = None
    with_boxes: bool = True
    edges: Sequence[NDArray[Any]] = ()
    boundary: BoundaryRule = field(default_factory=BoundaryRule)
    shared: Shared = field(default_factory=Shared)

    def __len__(self) -> int:
        return len(self.truth)

    @property
    def class_indices(self) -> NDArray[np.int32]:
        """Each image's class: int32 (n,), -1 where not known."""
        return self.truth.class_indices

    @property
    def histograms(self) -> NDArray[np.int32]:
        """Pixels of each level, off the object and on it: int32 (n, 2, bins)."""
        if self._is_compiled:
            return self._at_once[0]
        counts = [histogram(self.rules, seen) for seen in self.seen]
        return np.array(counts, np.int32).reshape(len(self), 2, self.rules.bins)

    @property
    def boxes(self) -> NDArray[np.int32]:
        """The predicted boxes, one a threshold: int32 (n, t, 4); (n, 0, 4) without a single one."""
        if self.submitted is not None:
            return np.asarray(self.submitted, np.int32)[:, None]
        if not self.rules.keeps_boxes:
            return np.empty((len(self), 0, 4), np.int32)
        if self._is_compiled:
            return self._at_once[1]
        found = [boxes_of(self.rules, seen.levels) for seen in self.seen]
        return np.array(found, np.int32).reshape(len(self), self.rules.box_thresholds, 4)

    @property
    def overlaps(self) -> NDArray[np.float64]:
        """Highest IoU of a predicted box with a true one: float64 (n, t)."""
        if self.submitted is not None or self._is_compiled:
            return best_overlaps(self.rules, self.boxes, self.truth.boxes)
        if self.rules not in self.shared.overlaps:
            self._overlap_together()
        found = self.shared.overlaps[self.rules]
        return np.array(found, np.float64).reshape(len(self), self.rules.box_thresholds)

    @property
    def constant(self) -> NDArray[np.bool_]:
        """Which maps have one value: bool (n,)."""
        if self._is_compiled:
            return self._at_once[2]
        return np.array([map_.min() == map_.max() for map_ in self.maps], np.bool_)

    @property
    def outlines(self) -> Sequence[NDArray[np.bool_]]:
        """Each image's true boundary, at its own size."""
        return self.truth.outlines(self.boundary.truth)

    @_Once
    def seen(self) -> list[Seen]:
        """Each image on the protocol's grid, without its mask where the protocol scores none."""
        truth, rules = self.truth, self.rules
        masks = truth.on_grid(rules.grid) if rules.pixel_scores else [_NO_MASK] * len(truth)
        return [
            see(rules, map_, mask, ignore, boxes, (height, width))
            for map_, (mask, ignore), boxes, (height, width) in zip(
                self.maps,
                masks,
                truth.boxes.parts(),
                truth.sizes.tolist(),
                strict=True,
            )
        ]

    @_Once
    def _is_compiled(self) -> bool:
        """Whether the protocol's steps are those of the compiled loops."""
        return _is_compiled(self.rules, with_boxes=self.with_boxes)

    def _overlap_together(self) -> None:
        """The overlaps under this protocol, and under others of the pass that see maps alike."""
        alike = [self.rules]
        for other in self.shared.protocols:
            stepwise = other.box_scores and not _is_compiled(other, with_boxes=True)
            if stepwise and other != self.rules and _view(other) == _view(self.rules):
                alike.append(other)
        found: dict[Protocol, list[NDArray[np.float64]]] = {own: [] for own in alike}
        for seen in self.seen:
            outlines = Outlines(seen.levels)
            for own in alike:
                found[own].append(overlaps_of(own, seen, outlines))
        self.shared.overlaps.update(found)

    @_Once
    def _at_once(self) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.bool_]]:
        return image_metrics.measure(
            self.truth.names,
            self.maps,
            self.truth.sizes,
            self.truth.masks,
            self.truth.ignored,
            with_boxes=self.with_boxes and self.submitted is None,
        )


def _is_compiled(rules: Protocol, *, with_boxes: bool) -> bool:
    """Whether a protocol's steps are those of the compiled loops."""
    map_alike = (
        rules.grid is None
        and rules.upsampling is Upsampling.BILINEAR
        and rules.scaling is Scaling.NONE
        and rules.levels is Levels.BYTES
    )
    boxes_alike = (
        rules.thresholds is Thresholds.LEVELS
        and rules.fixed_threshold is None
        and rules.comparator is Comparator.AT_LEAST
        and rules.component is Component.MOST_PIXELS
        and rules.box_truth is BoxTruth.ORIGINAL
        and not any(rules.box_empty)
    )
    return map_alike and (boxes_alike or not with_boxes)


def _view(rules: Protocol) -> tuple[object, ...]:
    """The fields that decide what `steps.see` gives, but for the mask."""
    return rules.grid, rules.upsampling, rules.scaling, rules.levels, rules.box_truth


def best_overlaps(rules: Protocol, boxes: NDArray[np.int32], truth: Packed) -> NDArray[np.float64]:
    """Highest IoU of each box with a true one of its image, by the protocol's way of counting.

    Args:
        rules: the protocol.
        boxes: int32 (n, t, 4).
        truth: the true boxes of the n images, at original size.

    Returns:
        float64 (n, t).
    """
    if not rules.box_plus_one:
        return image_metrics.best_overlaps(boxes, truth)
    pairs = zip(boxes, truth.parts(), strict=True)
    found = [best_overlap(rules, own, true) for own, true in pairs]
    return np.array(found, np.float64).reshape(boxes.shape[:2])
