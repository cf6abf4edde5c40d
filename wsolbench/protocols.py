"""The named protocols: what a score means, field by field.

A protocol is a frozen record. Its fields are written into every result and hashed, so that numbers
that may not be compared look different. Source of `sem`: paper sections 3.1 and 4.1.2.

Public names: `Protocol`, `PROTOCOLS`, `protocol_named`, `fields_sha256`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from .errors import WsolbenchError


@dataclass(frozen=True)
class Protocol:
    """The choices on which a score depends, in words.

    The evaluator reads `box_iou_thresholds` alone; the other fields state what its code does, and
    enter the hash. A protocol that differs in one of them needs code of its own.

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

    @property
    def sha256(self) -> str:
        """SHA-256 of all fields, as sorted JSON."""
        return fields_sha256(asdict(self))

    def as_dict(self) -> dict[str, object]:
        """The fields and their hash, as results hold them."""
        fields = {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in asdict(self).items()
        }
        return {**fields, "sha256": self.sha256}


PROTOCOLS: dict[str, Protocol] = {
    "sem": Protocol(
        name="sem",
        version=1,
        grid="original image size",
        upsampling="bilinear, half-pixel centres, edges clamped, float32",
        levels="floor(255 * value) after upsampling",
        foreground="level >= T",
        pixel_reductions=("pooled", "image_mean"),
        component="most pixels, ties to the first in row-major order",
        connectivity=8,
        box_plus_one=False,
        box_truth="best of all boxes of the image, original size",
        box_iou_comparator=">=",
        box_iou_thresholds=(0.5, 0.3, 0.7),
        averaging="images",
    ),
}


def fields_sha256(fields: Mapping[str, object]) -> str:
    """SHA-256 of a protocol's fields as sorted JSON, the hash itself not among them."""
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


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
