"""The counts file: per-image statistics of a result, for paired comparisons.

A result holds sums, from which no single image can be recovered. The counts file `r.counts.npz`,
next to `r.json`, holds the per-image statistics that were summed, compressed. It states the hashes
of its result, and its images must add up to the scores and curves of the result.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import WsolbenchError, require_path, require_type
from ..files import replacing, require_file
from ..formats.result import COUNTS_SUFFIX, Result
from ..formats.untrusted.arrays import read_arrays
from ..formats.untrusted.contents import read_bytes
from ..formats.untrusted.zip_files import ZipLimits
from ..image_ids import is_image_id
from ..metrics.family import Statistics
from ..protocols import Protocol
from ..protocols.record import Averaging
from .checks import MOST_CLASSES
from .families import FAMILIES
from .statistics import Scoring

__all__ = ["Counts", "counts_path", "parse_counts", "read_counts", "write_counts"]

VERSION = 2

MAX_BYTES = 4 << 30
"""Largest content that is read; 23,151 images have 57 MB."""

IMAGE_BYTES, MORE_BYTES = 1 << 14, 1 << 20
"""Unpacked bytes for each image of the result, of which 1,001 bins with two counts take half, and
for everything else."""

MAX_ARRAYS = 64
"""Arrays of a file: the families there are have 17."""

_CURE = "evaluate again with --counts"


@dataclass(frozen=True)
class Counts:
    """A result and the images that add up to it.

    Attributes:
        result: the sums.
        image_ids: n ids, in the data set's order.
        held: bool (n,), whether there was a map; an image without one counts as a map of zeros.
        kept: the statistics of the n images, but not their boxes.
        scoring: which scores there are.

    Examples:
        >>> request = wsolbench.Request("demo/sem-val.h5", "demo/mini.h5", counts=True)
        >>> (counts,) = wsolbench.run(request).counts
        >>> len(counts.image_ids), counts.result.images
        (120, 120)
    """

    result: Result
    image_ids: Sequence[str]
    held: NDArray[np.bool_]
    kept: Statistics
    scoring: Scoring

    @property
    def held_ids(self) -> list[str]:
        """Ids of the images that there was a map of."""
        pairs = zip(self.image_ids, self.held, strict=True)
        return [image_id for image_id, there in pairs if there]


def counts_path(result: str | os.PathLike[str]) -> Path:
    """Where the counts of a result file lie: r.json has them in r.counts.npz.

    Examples:
        >>> wsolbench.counts_path("r.json").name
        'r.counts.npz'
    """
    require_path("result", result, "the path of a result")
    path = Path(result)
    return path.with_name(path.name.removesuffix(".json") + COUNTS_SUFFIX)


def write_counts(path: str | os.PathLike[str], counts: Counts) -> None:
    """Write the file, whole or not at all; the same counts give the same bytes.

    Examples:
        >>> request = wsolbench.Request("demo/sem-val.h5", "demo/mini.h5", counts=True)
        >>> (counts,) = wsolbench.run(request).counts
        >>> counts.result.write("sem.json")
        >>> wsolbench.write_counts(wsolbench.counts_path("sem.json"), counts)
        >>> result = wsolbench.read_result("sem.json")
        >>> len(wsolbench.read_counts("sem.counts.npz", result).image_ids)
        120
    """
    require_type("counts", counts, (Counts,), "the Counts of a result")
    columns: dict[str, NDArray[Any]] = {
        "version": np.array(VERSION),
        "hashes": np.array(_hashes(counts.result)),
        "boxed": np.array(counts.scoring.boxed),
        "families": np.array(counts.scoring.families),
        "image_id": np.array([name.encode() for name in counts.image_ids]),
        "held": counts.held,
    }
    if counts.result.boundary:
        columns["boundary"] = np.array(_boundary_rule(counts.result))
    for name, array in counts.kept.items():
        bits = array.dtype == np.bool_
        columns[name] = np.packbits(array, axis=None) if bits else array
        if bits:
            columns[f"{name}_shape"] = np.array(array.shape, dtype=np.int64)
    with replacing(path) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(file, **columns)  # type: ignore[arg-type]


def read_counts(path: str | os.PathLike[str], result: Result) -> Counts:
    """Read the counts of a result.

    Raises:
        WsolbenchError: missing, damaged, of another result, or images that do not add up to it.

    Examples:
        >>> request = wsolbench.Request("demo/sem-val.h5", "demo/mini.h5", counts=True)
        >>> (counts,) = wsolbench.run(request).counts
        >>> wsolbench.write_counts("sem.counts.npz", counts)
        >>> len(wsolbench.read_counts("sem.counts.npz", counts.result).image_ids)
        120
    """
    counts = parse_counts(path, result)
    scores, curves = counts.scoring.scored(counts.scoring.sums(counts.kept), result.threshold)
    if scores != dict(result.scores) or curves != dict(result.curves):
        raise WsolbenchError(
            path,
            found="counts that do not add up to the scores of the result",
            expected="the images that were scored",
            cure=_CURE,
        )
    return counts


def parse_counts(path: str | os.PathLike[str], result: Result) -> Counts:
    """Read counts that state the hashes of a result, whatever they add up to.

    Raises:
        WsolbenchError: missing, damaged, or of another result.
    """
    require_type("result", result, (Result,), "the Result that the counts belong to")
    file = require_file(
        path,
        "the counts of a result",
        "evaluate again with --counts, or compare the submissions themselves",
    )
    protocol = Protocol.from_dict(result.protocol)
    try:
        columns = _read(read_bytes(file, "the counts of a result", MAX_BYTES), result.images)
        counts = _counts(columns, result, protocol)
    except (ValueError, KeyError, TypeError) as error:
        raise WsolbenchError(
            file,
            found=f"no counts of a result ({error})",
            expected="a file that `wsolbench evaluate --counts` wrote",
            cure=_CURE,
        ) from error
    rule = columns["boundary"].tolist() if "boundary" in columns else ""
    if columns["hashes"].tolist() != _hashes(result) or rule != _boundary_rule(result):
        raise WsolbenchError(
            file,
            found="counts of another result",
            expected=f"those of {result.name} on {result.split} as the result next to them states",
            cure=_CURE,
        )
    return counts


def _hashes(result: Result) -> list[str]:
    return [str(result.protocol["sha256"]), result.annotations_sha256, result.submission_sha256]


def _boundary_rule(result: Result) -> str:
    """How boundaries were scored, as a text; empty if they were not."""
    return json.dumps(dict(result.boundary), sort_keys=True) if result.boundary else ""


def _read(content: bytes, images: int) -> Mapping[str, NDArray[Any]]:
    """All arrays, none before their sizes were seen."""
    total = min(MAX_BYTES, MORE_BYTES + images * IMAGE_BYTES)
    return read_arrays(content, ZipLimits(MAX_ARRAYS, total))


def _counts(columns: Mapping[str, NDArray[Any]], result: Result, protocol: Protocol) -> Counts:
    count = result.images
    if columns["version"].shape != () or columns["version"] != VERSION:
        raise ValueError(f"version {columns['version']}")
    for name, kind, shape in (
        ("hashes", "U", (3,)),
        ("boxed", "b", ()),
        ("image_id", "S", (count,)),
        ("held", "b", (count,)),
    ):
        _require(name, columns[name], kind, shape)
    if int((~columns["held"]).sum()) != result.counts.get("missing", 0):
        raise ValueError("another number of images without map")
    if columns["families"].ndim != 1:
        raise ValueError(f"metric families of shape {columns['families'].shape}")
    families, boxed = tuple(columns["families"].tolist()), bool(columns["boxed"])
    if not families or [name for name in FAMILIES if name in families] != list(families):
        raise ValueError(f"metric families {families}")
    scoring = Scoring(protocol, families, result.label, False, boxed, 0)
    kept = {
        name: _statistic(name, columns, count, empty, boxed)
        for name, empty in scoring.empty().items()
        if name != "boxes"
    }
    image_ids = [name.decode() for name in columns["image_id"].tolist()]
    if len(set(image_ids)) < count:
        raise ValueError("an image twice")
    if not all(map(is_image_id, image_ids)):
        raise ValueError("an image id that is none")
    indices = kept["class_index"]
    averaged = int(indices.max()) + 1 if protocol.averaging is Averaging.CLASSES else 0
    if averaged and indices.min() < 0:
        raise ValueError("an image without class")
    if averaged > MOST_CLASSES:
        raise ValueError(f"class {averaged - 1}")
    ranked = "class" in families and bool((indices >= 0).all())
    own = result.threshold.own
    scoring = Scoring(protocol, families, result.label, ranked, boxed, averaged, own)
    return Counts(result, image_ids, columns["held"], kept, scoring)


def _statistic(
    name: str, columns: Mapping[str, NDArray[Any]], count: int, empty: NDArray[Any], boxed: bool
) -> NDArray[Any]:
    """One statistic of all images, of the shape that its family gives it."""
    column = columns[name]
    # Boxes of a submission are the same at every threshold, and kept once.
    shape = (count, *empty.shape[1:])
    shape = (*shape[:-1], 1) if boxed and name == "correct" else shape
    if empty.dtype == np.bool_:
        stated = columns[f"{name}_shape"]
        if stated.ndim != 1 or tuple(stated.tolist()) != shape:
            raise ValueError(f"{name} of shape {columns[f'{name}_shape'].tolist()}")
        wanted = int(np.prod(shape))
        _require(name, column, "u", (-(-wanted // 8),))
        return np.unpackbits(column, count=wanted).reshape(shape).astype(np.bool_)
    _require(name, column, "i", shape)
    if name != "class_index" and (column < 0).any():
        raise ValueError(f"{name} below 0")
    if name == "class_index" and (column < -1).any():
        raise ValueError("a class below -1")
    if (column != column.astype(empty.dtype)).any():
        raise ValueError(f"{name} beyond {empty.dtype}")
    return column.astype(empty.dtype)


def _require(name: str, column: NDArray[Any], kind: str, shape: tuple[int, ...]) -> None:
    if column.dtype.kind != kind or column.shape != shape:
        raise ValueError(f"{name}: {column.dtype} of shape {column.shape}")
