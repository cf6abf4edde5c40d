"""What is known of a block of images, whatever maps are scored on it.

Masks are unpacked, brought to a grid and outlined once, when a protocol asks for it first, and are
then the same for every further protocol and submission. The compiled loops of `block` read run
lengths as they are and need none of this.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import WsolbenchError
from ..masks import RunLengths, decode
from ..metrics.boundary import true_boundary
from ..metrics.choices import BoundaryTruth
from ..metrics.packed import Packed
from .steps import masks_on_grid

__all__ = ["Truth"]

Masks = tuple[NDArray[np.bool_], NDArray[np.bool_] | None]
"""A mask, and the pixels that count nowhere; None where all count."""


@dataclass(frozen=True, eq=False)
class Truth:
    """The annotations of N images. It serves one thread at a time.

    Attributes:
        names: the images' ids.
        sizes: int64 (n, 2), height and width of each image.
        masks: compressed run lengths of the masks.
        ignored: of the pixels that count nowhere; an empty part where all count.
        boxes: int32 (m, 4), the true boxes, half-open.
        class_indices: int32 (n,), -1 where not known.
    """

    names: Sequence[str]
    sizes: NDArray[np.int64]
    masks: Packed
    ignored: Packed
    boxes: Packed
    class_indices: NDArray[np.int32]
    _held: dict[Any, list[Any]] = field(default_factory=dict, init=False, repr=False)

    def __len__(self) -> int:
        return len(self.names)

    def on_grid(self, grid: int | None) -> list[Masks]:
        """Each image's mask and ignored pixels on a grid of that many pixels a side.

        Args:
            grid: pixels; None for each image's own size.
        """
        if ("grid", grid) not in self._held:
            ignored = map(self._mask, range(len(self)), self.ignored.parts())
            self._held["grid", grid] = [
                masks_on_grid(grid, mask, ignore if ignore.size else None)
                for mask, ignore in zip(self._pictures(), ignored, strict=True)
            ]
        return self._held["grid", grid]

    def outlines(self, rule: BoundaryTruth) -> list[NDArray[np.bool_]]:
        """Each image's true boundary at its own size, by that rule."""
        if ("outlines", rule) not in self._held:
            self._held["outlines", rule] = [true_boundary(mask, rule) for mask in self._pictures()]
        return self._held["outlines", rule]

    def only(self, places: Sequence[int]) -> Truth:
        """Some of the images; what was unpacked before stays so."""
        masks, ignored, boxes = (
            Packed.of([parts[place] for place in places], whole.values[:0])
            for whole in (self.masks, self.ignored, self.boxes)
            for parts in [whole.parts()]
        )
        names = [self.names[place] for place in places]
        classes = self.class_indices[list(places)]
        some = Truth(names, self.sizes[list(places)], masks, ignored, boxes, classes)
        for key, held in self._held.items():
            some._held[key] = [held[place] for place in places]
        return some

    def _pictures(self) -> Iterator[NDArray[np.bool_]]:
        """Each mask at its image's size, decoded when its turn comes."""
        return map(self._mask, range(len(self)), self.masks.parts())

    def _mask(self, place: int, counts: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """A mask from its run lengths; without pixels where there are none."""
        if not counts.size:
            return np.empty((0, 0), np.bool_)
        height, width = self.sizes[place].tolist()
        try:
            return decode(RunLengths(height, width, counts.tobytes()))
        except WsolbenchError as error:
            raise WsolbenchError(
                f"mask of {self.names[place]}",
                found=f"malformed run lengths ({error.found})",
                expected=f"runs of {height * width} pixels",
                cure="the file is damaged: import the annotations again",
            ) from error
