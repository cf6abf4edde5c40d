"""What a file holds, as plain dictionaries: an annotation file, a submission or a result.

Modules that read files are imported where they are used, so that `versions` works for a bug report
even where one of them does not.
"""

from __future__ import annotations

import json
import os
import platform
from collections import Counter
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..errors import WsolbenchError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .annotations import AnnotationStore
    from .submission.reader import Submission

__all__ = ["describe", "is_hdf5", "versions"]

_SIGNATURE = b"\x89HDF\r\n\x1a\n"  # as hdf5_gate.SIGNATURE, which would load h5py
_START = 64
_PACKAGES = ("numpy", "h5py", "pycocotools", "numba", "pillow", "pyarrow", "torch")


def describe(file: str | os.PathLike[str]) -> dict[str, Any]:
    """What a file holds.

    Returns:
        `kind` ("annotations", "submission" or "result") and, of a result, everything that its file
        holds; of the others a summary. All values can be written as JSON.

    Raises:
        WsolbenchError: the file is missing, damaged, or of no known kind.
    """
    if not is_hdf5(file):
        from .result import read_result

        if not _first_bytes(file, _START).lstrip().startswith(b"{"):
            raise WsolbenchError(
                file,
                found="neither HDF5 nor a JSON object",
                expected="annotations, a submission or a result",
                cure="name one of these; a checkpoint is for predict --checkpoint",
            )
        return {"kind": "result", **json.loads(read_result(file).to_json())}
    from .annotations import FORMAT, AnnotationStore
    from .submission.reader import Submission
    from .untrusted.hdf5_gate import Gate

    with Gate(file, "annotations or a submission") as gate:
        is_store = gate.attribute("format") == FORMAT
    if is_store:
        return {"kind": "annotations", **_describe_store(AnnotationStore.open(file))}
    return {"kind": "submission", **_describe_submission(Submission.open(file))}


def is_hdf5(file: str | os.PathLike[str]) -> bool:
    """Whether an existing file is HDF5, by its first bytes.

    Raises:
        WsolbenchError: there is no such file.
    """
    return _first_bytes(file, len(_SIGNATURE)) == _SIGNATURE


def _first_bytes(file: str | os.PathLike[str], count: int) -> bytes:
    from .untrusted.byte_file import ByteFile

    opened = ByteFile(file, "annotations, a submission or a result")
    try:
        return bytes(opened.read(0, min(count, opened.size)))
    finally:
        opened.close()


def versions() -> dict[str, str]:
    """The versions of the project, of Python and of the packages used, and the machine."""
    found = {"wsolbench": __version__, "python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    try:
        from ..metrics.compiled import uses_extension

        found["loops"] = "built with the package" if uses_extension() else "compiled by numba"
    except ImportError:
        found["loops"] = "not loaded"
    return {**found, "platform": platform.platform(), "processors": str(os.cpu_count())}


def _describe_store(store: AnnotationStore) -> dict[str, Any]:
    return {
        "dataset": store.dataset,
        "images": len(store),
        "splits": dict(sorted(Counter(store.splits).items())),
        "with_class": int((store.class_indices >= 0).sum()),
        "class_names": len(store.classes),
        "masks": int(store.masked.sum()),
        "boxes": int(store.box_counts.sum()),
        "ignored_pixels": store.has_ignore,
        "content_sha256": store.content_sha256,
        "sources": [asdict(source) for source in store.sources],
        "notes": store.notes,
    }


def _describe_submission(submission: Submission) -> dict[str, Any]:
    own, edges = {}, {}
    if submission.shapes is not None:
        own = {"sizes": _sizes(submission.shapes), "dtype": str(submission.dtype)}
    if submission.edge_shapes is not None:
        edges = {
            "edges": len(submission),
            "edge_sizes": _sizes(submission.edge_shapes),
            "edge_dtype": str(submission.edge_dtype),
        }
    return {
        "format_version": submission.format_version,
        "dataset": submission.header.dataset,
        "split": submission.header.split,
        "label": submission.header.label,
        "normalisation": submission.header.normalisation,
        "method": dict(submission.header.method),
        "maps": 0 if submission.shapes is None else len(submission),
        **own,
        **edges,
        "top5": submission.top5 is not None,
        "boxes": submission.boxes is not None,
        "windows": submission.windows is not None,
        "sha256": submission.sha256,
    }


def _sizes(shapes: NDArray[np.int64]) -> str:
    ordered = sorted({tuple(shape) for shape in shapes.tolist()})
    sizes = [f"{height}x{width}" for height, width in ordered]
    return sizes[0] if len(sizes) == 1 else f"{len(sizes)} sizes, {sizes[0]} to {sizes[-1]}"
