"""The submission file: the localization maps of a method for the images of one split.

`docs/submission-format.md` defines the format. Writing uses constant memory, is atomic and can be
resumed; reading treats the file as untrusted: `hdf5_gate` checks its structure, values are compared
with their checksums, and nothing is repaired.

Conventions: axes (height, width); maps uint8 (value / 255), float16 or float32 in [0, 1], of any
resolution; boxes (x0, y0, x1, y1) in pixels, half-open, int32; the images in any order.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import WsolbenchError, require_type
from .rules import (
    FORMAT,
    FORMAT_VERSION,
    LABELS,
    Fault,
    SubmissionHeader,
    raised,
)
from .scan import Maps, Scan, block_faults, in_float32, scan_file
from .writer import SubmissionWriter

__all__ = [
    "FORMAT",
    "FORMAT_VERSION",
    "LABELS",
    "Fault",
    "Submission",
    "SubmissionHeader",
    "SubmissionWriter",
]


class Submission:
    """A submission file, opened for reading by `Submission.open`.

    It can be read from several threads and after a fork. It is pickled as its path and opens the
    file again when unpickled. No HDF5 handle stays open.

    Attributes:
        path: the file.
        header: its header.
        image_ids: (N,) in the order of the file.
        shapes: int64 (N, 2), (height, width) of each map; None if the file has edges alone.
        dtype: dtype of the maps: uint8, float16 or float32; None if there are none.
        top5: int32 (N, 5) class indices, best first, -1 for no class; or None.
        boxes: int32 (N, 4), half-open (x0, y0, x1, y1) pixels, or None.
        windows: float64 (N, 4), the part of the image (x0, y0, x1, y1) that each map covers; None
            if every map covers its whole image.
        edge_shapes: int64 (N, 2), or None if there are no edges.
        edge_dtype: dtype of the edges, or None.
        format_version: 2; or 1, which has no hash of ids, header, top5, boxes and windows.
        content_sha256: the hash of these, which was compared; None in version 1.

    Examples:
        >>> with wsolbench.Submission.open("demo/sem-val.h5") as submission:
        ...     print(submission.image_ids[0], submission.read([0])[0].shape)
        mini_val_00000 (32, 32)
    """

    def __init__(self, scan: Scan) -> None:
        require_type("Submission", scan, (Scan,), "what Submission.open(path) returns")
        bare = scan.maps is None and scan.edges is None
        if scan.faults or scan.header is None or scan.image_ids is None or bare:
            scan.file.close()
            raise raised(scan.file.path, scan.faults)
        self.path = scan.file.path
        self.header = scan.header
        self.image_ids = scan.image_ids
        self.shapes = None if scan.maps is None else scan.maps.shapes
        self.dtype = None if scan.maps is None else scan.maps.dtype
        self.top5 = scan.top5
        self.boxes = scan.boxes
        self.windows = scan.windows
        self.edge_shapes = None if scan.edges is None else scan.edges.shapes
        self.edge_dtype = None if scan.edges is None else scan.edges.dtype
        self.format_version = scan.format_version
        self.content_sha256 = scan.content_sha256
        self._file = scan.file
        self._maps = scan.maps
        self._edges = scan.edges
        self._crc32 = scan.crc32
        self._edges_crc32 = scan.edges_crc32

    @property
    def checked(self) -> bool:
        """Whether every map and edge has a checksum."""
        maps = self._maps is None or self._crc32 is not None
        return maps and (self._edges is None or self._edges_crc32 is not None)

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Submission:
        """Open a submission and check its structure, header, ids, top5, boxes and windows.

        Raises:
            WsolbenchError: the file is missing or not HDF5 (exit status 2), or has faults (1).
        """
        return cls(scan_file(path))

    def __len__(self) -> int:
        return len(self.image_ids)

    def __repr__(self) -> str:
        held = "edges" if self.shapes is None else "maps"
        return f"Submission({str(self.path)!r}, {len(self)} {held})"

    def __enter__(self) -> Submission:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[Callable[[str, int], Submission], tuple[str, int]]:
        return _reopen, (str(self.path), self._file.size)

    def close(self) -> None:
        """Close the file; its maps can no longer be read."""
        self._file.close()

    def read(self, rows: Sequence[int]) -> list[NDArray[Any]]:
        """The stored maps of some rows.

        Args:
            rows: each in 0..N-1, in any order; consecutive rows are read together.

        Returns:
            One array (height, width) of `dtype` per row.

        Raises:
            WsolbenchError: a row is out of range; a map does not match its checksum, is not finite
                or exceeds [0, 1]; the file is damaged or truncated, or has edges alone.
        """
        if self._maps is None:
            raise WsolbenchError(
                self.path,
                found="edges alone",
                expected="localization maps",
                cure="name a submission with maps, or score its boundaries (--metrics boundary)",
                exit_status=1,
            )
        return self._read(self._maps, "maps", self._crc32, rows)

    def read_edges(self, rows: Sequence[int]) -> list[NDArray[Any]]:
        """The stored edges of some rows; see `read`.

        Raises:
            WsolbenchError: as in `read`, or the submission has no edges.
        """
        if self._edges is None:
            raise WsolbenchError(self.path, found="no edges", cure="write a submission with edges")
        return self._read(self._edges, "edges", self._edges_crc32, rows)

    @cached_property
    def sha256(self) -> str:
        """The file's SHA-256 in hexadecimal.

        Raises:
            WsolbenchError: the file changed since it was opened.
        """
        return self._file.sha256()

    def _read(
        self, maps: Maps, name: str, crc32: NDArray[np.uint32] | None, rows: Sequence[int]
    ) -> list[NDArray[Any]]:
        wanted = [int(row) for row in rows]
        if wanted and not 0 <= min(wanted) <= max(wanted) < len(self):
            raise WsolbenchError(
                self.path,
                found=f"rows {min(wanted)} to {max(wanted)}",
                expected=f"rows from 0 to {len(self) - 1}",
                cure="use positions in image_ids",
            )
        planes: list[NDArray[Any]] = []
        for start, stop in _runs(wanted):
            block = maps.read(start, stop)
            faults = block_faults(name, block, start, self.image_ids, crc32)
            for fault in faults:
                raise fault.error(self.path)
            planes += map(in_float32, block)
        return planes


# Reading


def _reopen(path: str, size: int) -> Submission:
    submission = Submission.open(path)
    found = submission._file.size
    if found != size:
        submission.close()
        raise WsolbenchError(
            path,
            found=f"{found} bytes",
            expected=f"{size} bytes, as when it was first opened",
            cure="do not change the file while it is read",
        )
    return submission


def _runs(rows: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Consecutive rows as (first, last + 1)."""
    for _, run in itertools.groupby(enumerate(rows), lambda pair: pair[1] - pair[0]):
        listed = [row for _, row in run]
        yield listed[0], listed[-1] + 1
