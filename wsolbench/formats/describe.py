"""What a file is, and what it holds: annotations, a submission or a result."""

from __future__ import annotations

import json
import os
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..files import require_file
from .annotations import FORMAT, AnnotationStore
from .result import Result, read_result
from .submission.reader import Submission
from .untrusted.hdf5_gate import SIGNATURE, Gate

__all__ = ["content_of", "is_hdf5", "open_any"]


def is_hdf5(file: str | os.PathLike[str]) -> bool:
    """Whether a file is HDF5 by its first bytes.

    Raises:
        WsolbenchError: no such file.
    """
    with open(require_file(file, "annotations, a submission or a result"), "rb") as opened:
        return opened.read(len(SIGNATURE)) == SIGNATURE


def open_any(file: Path) -> AnnotationStore | Submission | Result:
    """A file as what it is.

    Raises:
        WsolbenchError: no such file, or none of these three.
    """
    if not is_hdf5(file):
        return read_result(file)
    with Gate(file, "annotations or a submission") as gate:
        is_store = gate.attribute("format") == FORMAT
    return AnnotationStore.open(file) if is_store else Submission.open(file)


def content_of(item: AnnotationStore | Submission | Result) -> dict[str, Any]:
    """What a file holds, as plain values by name; `kind` says which of the three it is."""
    if isinstance(item, Result):
        return {"kind": "result", **json.loads(item.to_json())}
    if isinstance(item, Submission):
        return {"kind": "submission", **_submission(item)}
    return {"kind": "annotations", **_store(item)}


def _store(store: AnnotationStore) -> dict[str, Any]:
    return {
        "dataset": store.dataset,
        "images": len(store),
        "splits": dict(sorted(Counter(store.splits).items())),
        "with_class": int((store.class_indices >= 0).sum()),
        "class_names": len(store.classes),
        "boxes": int(store.box_counts.sum()),
        "ignored_pixels": store.has_ignore,
        "content_sha256": store.content_sha256,
        "sources": [asdict(source) for source in store.sources],
        "notes": store.notes,
    }


def _submission(submission: Submission) -> dict[str, Any]:
    shapes = sorted({tuple(shape) for shape in submission.shapes.tolist()})
    sizes = [f"{height}x{width}" for height, width in shapes]
    return {
        "dataset": submission.header.dataset,
        "split": submission.header.split,
        "label": submission.header.label,
        "normalisation": submission.header.normalisation,
        "method": dict(submission.header.method),
        "maps": len(submission.image_ids),
        "sizes": sizes[0] if len(sizes) == 1 else f"{len(sizes)} sizes, {sizes[0]} to {sizes[-1]}",
        "dtype": str(submission.dtype),
        "top5": submission.top5 is not None,
        "boxes": submission.boxes is not None,
        "sha256": submission.sha256,
    }
