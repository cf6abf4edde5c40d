"""The gallery of the leaderboard's page: photos, masks and maps, small enough to embed.

Source: paper, Fig. 9. The page computes the level of each pixel like `metrics.levels`; IoU and
boxes at each threshold are computed here.

Conventions: boxes are half-open (x0, y0, x1, y1) pixels; IoU is in units of 1/10000, one value
per threshold; binary data is base64.
"""

from __future__ import annotations

import base64
import io
import json
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import WsolbenchError, some
from ..files import require_file, strict_json
from ..formats.untrusted.contents import read_bytes
from ..scores import LEVELS
from .schema import matching, record, schema_faults

if TYPE_CHECKING:
    from ..data.dataset import Dataset
    from ..formats.submission.reader import Submission

__all__ = ["FORMAT", "FORMAT_VERSION", "MAX_BYTES", "make_gallery", "read_gallery"]

FORMAT = "wsolbench-gallery"
FORMAT_VERSION = 1

MAX_BYTES = 1 << 20
"""Largest gallery that is read, in bytes; the page embeds all of it."""

JPEG_QUALITY = 80

_BASE64 = matching(
    "^([A-Za-z0-9+/]{4})+([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$", "base64", 1 << 17
)
_NAME = matching(r"^[A-Za-z0-9 ._()=+,:/-]{1,80}$", "a name of ASCII letters and digits", 80)
_SIDE = {"type": "integer", "minimum": 1, "maximum": 1024}
_PLACE = {"type": "integer", "minimum": 0, "maximum": 1 << 20}
_UNITS = {"type": "integer", "minimum": 0, "maximum": 10_000}


def _list(items: dict[str, Any], low: int, high: int) -> dict[str, Any]:
    return {"type": "array", "items": items, "minItems": low, "maxItems": high}


def _whole(properties: dict[str, Any]) -> dict[str, Any]:
    return record(properties, list(properties))


SCHEMA = _whole(
    {
        "format": {"type": "string", "enum": [FORMAT]},
        "format_version": {"type": "integer", "enum": [FORMAT_VERSION]},
        "dataset": _NAME,
        "split": _NAME,
        "methods": _list(_NAME, 1, 4),
        "scenes": _list(
            _whole(
                {
                    "image_id": _NAME,
                    "height": _SIDE,
                    "width": _SIDE,
                    "photo": _BASE64,
                    "mask": _list(_PLACE, 1, 1 << 16),
                    "boxes": _list(_list(_PLACE, 4, 4), 1, 99),
                    "maps": _list(
                        _whole(
                            {
                                "height": _SIDE,
                                "width": _SIDE,
                                "values": _BASE64,
                                "iou": _list(_UNITS, LEVELS, LEVELS),
                                "boxes": _list(_list(_PLACE, 5, 5), 1, LEVELS),
                            }
                        ),
                        1,
                        4,
                    ),
                }
            ),
            1,
            24,
        ),
    }
)


def make_gallery(
    dataset: Dataset,
    submissions: Sequence[Submission],
    methods: Sequence[str],
    image_ids: Sequence[str],
) -> str:
    """The gallery's JSON.

    `mask` has run lengths in row-major order, background first; `boxes` of a map are rows of the
    lowest threshold at which a box is the predicted one, and the box (zeros: none), from T = 0 up.

    Args:
        dataset: the split, with a folder of photos.
        submissions: uint8 maps, one column each.
        methods: names of the submissions.
        image_ids: the photos, in order.

    Raises:
        WsolbenchError: an image is missing in the split or a submission, maps are not uint8, a
            photo cannot be read, or the gallery is too large for a page.
    """
    from ..evaluation.overlays import read_overlays
    from ..metrics import pixel
    from ..metrics.boxes import largest_boxes

    dataset.require_masks("the page's gallery")
    scenes = []
    for overlay in read_overlays(dataset, submissions, image_ids, [None] * len(submissions)):
        maps = []
        for opened, drawn in zip(submissions, overlay.maps, strict=True):
            if opened.dtype != np.uint8:
                raise WsolbenchError(
                    opened.path,
                    found=f"maps of {opened.dtype}",
                    expected="uint8",
                    cure="round the maps to uint8",
                )
            map_ = opened.read([opened.image_ids.index(overlay.image_id)])[0]
            if opened.windows is not None:
                map_ = drawn.levels  # the page cannot place a map in its window
            iou = pixel.iou(pixel.count_pixels(drawn.levels, overlay.mask))
            maps.append(
                {
                    "height": map_.shape[0],
                    "width": map_.shape[1],
                    "values": _base64(map_.tobytes()),
                    "iou": np.rint(10_000 * iou).astype(int).tolist(),
                    "boxes": _changes(largest_boxes(drawn.levels)),
                }
            )
        height, width = overlay.mask.shape
        scenes.append(
            {
                "image_id": overlay.image_id,
                "height": height,
                "width": width,
                "photo": _jpeg(overlay.photo),
                "mask": _runs(overlay.mask),
                "boxes": overlay.boxes.tolist(),
                "maps": maps,
            }
        )
    content = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "dataset": dataset.name,
        "split": dataset.split,
        "methods": list(methods),
        "scenes": scenes,
    }
    _require_sound("gallery", content)
    return json.dumps(content, sort_keys=True, separators=(",", ":")) + "\n"


def read_gallery(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a gallery.

    Raises:
        WsolbenchError: the file is missing, too large, not JSON, or not a gallery.
    """
    file = require_file(path, "the page's gallery")
    try:
        content = strict_json(read_bytes(file, "a gallery", MAX_BYTES, exit_status=1).decode())
    except ValueError as error:
        raise _malformed(file, str(error)) from error
    _require_sound(file, content)
    return dict(content)


def _require_sound(where: object, content: Any) -> None:
    faults = schema_faults(content, SCHEMA, "gallery")
    if not faults:
        for scene in content["scenes"]:
            name = scene["image_id"]
            if len(scene["maps"]) != len(content["methods"]):
                faults.append(f"{name}: {len(scene['maps'])} maps")
            if sum(scene["mask"]) != scene["height"] * scene["width"]:
                faults.append(f"{name}: its mask does not fill the photo")
            if not _is_photo(scene):
                faults.append(f"{name}: its photo is not a JPEG of the stated size")
            for map_ in scene["maps"]:
                held = len(base64.b64decode(map_["values"]))
                if held != map_["height"] * map_["width"]:
                    faults.append(f"{name}: a map of {held} values")
                rows = [box[0] for box in map_["boxes"]]
                if rows[0] != 0 or rows != sorted(set(rows)) or rows[-1] >= LEVELS:
                    faults.append(f"{name}: boxes at {some(rows)}")
    if faults:
        raise _malformed(where, some(faults))


def _malformed(where: object, found: str) -> WsolbenchError:
    return WsolbenchError(
        where,
        found=f"an invalid gallery: {found}",
        expected="what wsolbench.leaderboard.gallery.make_gallery returns",
        cure="make the gallery again, or delete it for a page without one",
        exit_status=1,
    )


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _jpeg(photo: NDArray[np.uint8]) -> str:
    from PIL import Image

    data = io.BytesIO()
    Image.fromarray(photo).save(data, "JPEG", quality=JPEG_QUALITY)
    return _base64(data.getvalue())


def _is_photo(scene: dict[str, Any]) -> bool:
    from PIL import Image

    try:
        with Image.open(io.BytesIO(base64.b64decode(scene["photo"])), formats=["JPEG"]) as photo:
            return bool(photo.size == (scene["width"], scene["height"]))
    except OSError:
        return False


def _runs(mask: NDArray[np.bool_]) -> list[int]:
    """Lengths of runs in row-major order, background first (0 where the first pixel is object)."""
    flat = mask.ravel()
    ends = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    runs = np.diff(np.concatenate(([0], ends, [flat.size]))).tolist()
    return [0, *runs] if flat[0] else runs


def _changes(boxes: NDArray[np.int32]) -> list[list[int]]:
    """The rows of (256, 4) that differ from the one before, each after its place."""
    new = [t for t in range(len(boxes)) if t == 0 or (boxes[t] != boxes[t - 1]).any()]
    return [[t, *boxes[t].tolist()] for t in new]
