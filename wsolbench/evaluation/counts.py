"""The counts file: what each image of a result adds, for paired comparisons.

A result holds sums, from which no single image can be had again. This file keeps beside `r.json`,
as `r.counts.npz`, what the sums were made of: histograms of levels and right boxes of each image,
compressed. It holds the hashes of the result it belongs to, and its images must add up to the
result's scores and curves.

Public names: `Counts`, `write_counts`, `read_counts`, `counts_path`.
"""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import WsolbenchError
from ..files import replacing, require_file
from ..formats.result import COUNTS_SUFFIX, Result
from ..protocols import Protocol, protocol_named
from .reproductions import shapes
from .statistics import Records, Scoring

VERSION = 1

MAX_BYTES = 4 << 30
"""Largest content that is read; 23,151 images have 57 MB."""


@dataclass(frozen=True)
class Counts:
    """A result and the images that add up to it.

    Attributes:
        result: the sums.
        image_ids: n ids, in the data set's order.
        held: bool (n,), whether there was a map; an image without one counts as a map of zeros.
        class_indices: int32 (n,), -1 where not known.
        records: of the n images; their boxes are not kept.
        scoring: which scores there are.
    """

    result: Result
    image_ids: Sequence[str]
    held: NDArray[np.bool_]
    class_indices: NDArray[np.int32]
    records: Records
    scoring: Scoring


def counts_path(result: str | os.PathLike[str]) -> Path:
    """Where the counts of a result file lie: r.json has them in r.counts.npz."""
    path = Path(result)
    return path.with_name(path.name.removesuffix(".json") + COUNTS_SUFFIX)


def write_counts(path: str | os.PathLike[str], counts: Counts) -> None:
    """Write the file, whole or not at all; the same counts give the same bytes."""
    scoring, result = counts.scoring, counts.result
    right = counts.records.right
    columns: dict[str, NDArray[Any]] = {
        "version": np.array(VERSION),
        "hashes": np.array(_hashes(result)),
        "boxed": np.array(scoring.boxed),
        "image_id": np.array([name.encode() for name in counts.image_ids]),
        "held": counts.held,
        "class_index": counts.class_indices,
        "pixels": counts.records.pixels,
        "right": np.packbits(right, axis=None),
        "right_shape": np.array(right.shape, dtype=np.int64),
        "top": counts.records.top,
    }
    with replacing(path) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(file, **columns)  # type: ignore[arg-type]


def read_counts(path: str | os.PathLike[str], result: Result) -> Counts:
    """Read the counts of a result.

    Raises:
        WsolbenchError: missing, damaged, of another result, or images that do not add up to it.
    """
    file = require_file(
        path,
        "the counts of a result",
        "evaluate again with --counts, or compare the submissions themselves",
    )
    protocol = protocol_named(result.protocol["name"])
    if protocol.sha256 != result.protocol["sha256"]:
        raise WsolbenchError(
            f"result of {result.name} on {result.split}",
            found=f"another version of protocol {protocol.name}: {result.protocol['version']}",
            expected=f"version {protocol.version} ({protocol.sha256[:8]})",
            cure="evaluate again with this version of wsolbench",
        )
    try:
        columns = _read(file)
        counts = _counts(columns, result, protocol)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise WsolbenchError(
            file,
            found=f"no counts of a result ({error})",
            expected="a file that `wsolbench evaluate --counts` wrote",
            cure="evaluate again with --counts",
        ) from error
    if columns["hashes"].tolist() != _hashes(result):
        raise WsolbenchError(
            file,
            found="counts of another result",
            expected=f"those of {result.name} on {result.split} as the result beside them states",
            cure="evaluate again with --counts",
        )
    tally = counts.scoring.tally(counts.records, counts.class_indices)
    scores, curves = counts.scoring.scores(tally, len(counts.image_ids), result.threshold)
    if scores != dict(result.scores) or curves != dict(result.curves):
        raise WsolbenchError(
            file,
            found="counts that do not add up to the result's scores",
            expected="the images that the result was made of",
            cure="evaluate again with --counts",
        )
    return counts


def _hashes(result: Result) -> list[str]:
    return [str(result.protocol["sha256"]), result.annotations_sha256, result.submission_sha256]


def _read(file: Path) -> Mapping[str, NDArray[Any]]:
    """All arrays, none before their sizes were seen."""
    with zipfile.ZipFile(file) as archive:
        total = sum(member.file_size for member in archive.infolist())
    if total > MAX_BYTES:
        raise ValueError(f"{total} bytes, more than {MAX_BYTES}")
    with np.load(file, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def _counts(columns: Mapping[str, NDArray[Any]], result: Result, protocol: Protocol) -> Counts:
    count, shape = result.images, shapes(protocol)
    expected: dict[str, tuple[str, tuple[tuple[int, ...], ...]]] = {
        "version": ("i", ((),)),
        "hashes": ("U", ((3,),)),
        "boxed": ("b", ((),)),
        "image_id": ("S", ((count,),)),
        "held": ("b", ((count,),)),
        "class_index": ("i", ((count,),)),
        "pixels": ("i", ((count, 0, shape.bins), (count, 2, shape.bins))),
        "right_shape": ("i", ((3,),)),
        "top": ("b", ((count, 0), (count, 2))),
    }
    for name, (kind, allowed) in expected.items():
        column = columns[name]
        if column.dtype.kind != kind or column.shape not in allowed:
            raise ValueError(f"{name}: {column.dtype} of shape {column.shape}")
    if columns["version"] != VERSION:
        raise ValueError(f"version {columns['version']}")
    bits = tuple(columns["right_shape"].tolist())
    _, rows, times = bits
    if bits[0] != count or rows not in (0, shape.rows) or times not in (1, shape.thresholds):
        raise ValueError(f"right boxes of shape {bits}")
    packed, wanted = columns["right"], count * rows * times
    if packed.dtype != np.uint8 or packed.shape != (-(-wanted // 8),):
        raise ValueError(f"right: {packed.dtype} of shape {packed.shape}")
    right = np.unpackbits(packed, count=wanted).reshape(bits).astype(np.bool_)
    pixels, top = columns["pixels"], columns["top"]
    image_ids = [name.decode() for name in columns["image_id"].tolist()]
    if len(set(image_ids)) < count:
        raise ValueError("an image twice")
    if (pixels < 0).any():
        raise ValueError("fewer than no pixels")
    metrics = tuple(name for name, there in (("pixel", pixels.shape[1]), ("box", rows)) if there)
    classes = columns["class_index"].astype(np.int32)
    by_class = protocol.averaging == "classes"
    return Counts(
        result,
        image_ids,
        columns["held"],
        classes,
        Records(
            pixels.astype(np.int32),
            right,
            top,
            np.empty((count, 0, 4), np.int16),
        ),
        Scoring(
            protocol,
            metrics,
            result.label,
            bool(top.size) and bool((classes >= 0).all()),
            bool(columns["boxed"]),
            int(classes.max()) + 1 if by_class else 0,
        ),
    )
