"""One data set of an HDF5 file, read by its bytes: HDF5 is not asked for a value."""

from __future__ import annotations

import itertools
import math
import threading
import zlib
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import WsolbenchError
from .byte_file import ByteFile

__all__ = ["Chunks", "Column"]

_CACHED_BYTES = 256 << 20


@dataclass(frozen=True)
class Chunks:
    """Where the chunks of a data set lie: int64 starts and lengths, in the grid's order."""

    shape: tuple[int, ...]
    grid: tuple[int, ...]
    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]
    deflated: NDArray[np.bool_]


@dataclass(eq=False)
class Column:
    """One data set of an untrusted file, as byte ranges.

    Attributes:
        name: its path in the file.
        dtype: its stored dtype.
        shape: its shape.
    """

    file: ByteFile
    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    start: int = 0
    chunks: Chunks | None = None
    content: NDArray[Any] | None = None
    _cache: OrderedDict[int, NDArray[Any]] = field(default_factory=OrderedDict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def stored_bytes(self) -> int:
        """The bytes that it takes in the file."""
        if self.chunks is not None:
            return int(self.chunks.lengths.sum())
        return self.dtype.itemsize * math.prod(self.shape)

    def rows(self, start: int, stop: int) -> NDArray[Any]:
        """The rows [start, stop) along the first axis: (stop - start, ...).

        Contiguous data is read at once. The chunks of the last rows are cached, up to 256 MiB, so
        that reading row by row inflates each chunk once.

        Raises:
            WsolbenchError: a chunk does not inflate to its size, or the file was truncated.
        """
        shape = (stop - start, *self.shape[1:])
        if self.content is not None:
            return np.array(self.content[start:stop])
        if self.chunks is not None:
            return self._from_chunks(self.chunks, start, stop, shape)
        row_bytes = self.dtype.itemsize * math.prod(self.shape[1:])
        raw = self.file.read(self.start + start * row_bytes, (stop - start) * row_bytes)
        rows: NDArray[Any] = raw.view(self.dtype).reshape(shape)
        return rows

    def all(self) -> NDArray[Any]:
        """Every row."""
        return self.rows(0, self.shape[0])

    def _from_chunks(
        self, chunks: Chunks, start: int, stop: int, shape: tuple[int, ...]
    ) -> NDArray[Any]:
        rows = np.empty(shape, dtype=self.dtype)
        step = chunks.shape[0]
        across = [range(count) for count in chunks.grid[1:]]
        for along in range(start // step, (stop - 1) // step + 1):
            first = along * step
            low, high = max(start, first), min(stop, first + step)
            for rest in itertools.product(*across):
                target = [slice(low - start, high - start)]
                source = [slice(low - first, high - first)]
                for place, size, whole in zip(rest, chunks.shape[1:], shape[1:], strict=True):
                    inside = min(whole, (place + 1) * size) - place * size
                    target.append(slice(place * size, place * size + inside))
                    source.append(slice(0, inside))
                index = int(np.ravel_multi_index((along, *rest), chunks.grid))
                # A chunk of one row is read only once, so it is not cached.
                chunk = self._chunk(chunks, index) if step > 1 else self._inflate(chunks, index)
                rows[tuple(target)] = chunk[tuple(source)]
        return rows

    def _chunk(self, chunks: Chunks, index: int) -> NDArray[Any]:
        with self._lock:
            if index in self._cache:
                self._cache.move_to_end(index)
                return self._cache[index]
        chunk = self._inflate(chunks, index)
        with self._lock:
            self._cache[index] = chunk
            kept = math.prod(chunks.grid[1:])  # the chunks of one row
            if kept * chunk.nbytes > _CACHED_BYTES:
                kept = 1
            while len(self._cache) > kept:
                self._cache.popitem(last=False)
        return chunk

    def _inflate(self, chunks: Chunks, index: int) -> NDArray[Any]:
        raw = self.file.read(int(chunks.starts[index]), int(chunks.lengths[index]))
        if not chunks.deflated[index]:
            return raw.view(self.dtype).reshape(chunks.shape)
        expected = self.dtype.itemsize * math.prod(chunks.shape)
        inflater = zlib.decompressobj()
        try:
            content = inflater.decompress(raw.data, expected + 1)
        except zlib.error as error:
            raise self._bad_chunk(index, f"damaged deflated data ({error})") from error
        if len(content) != expected or not inflater.eof:
            size = f"more than {expected}" if len(content) > expected else str(len(content))
            raise self._bad_chunk(index, f"{size} inflated bytes", f"{expected}")
        return np.frombuffer(content, dtype=self.dtype).reshape(chunks.shape)

    def _bad_chunk(self, index: int, found: str, expected: str = "") -> WsolbenchError:
        return WsolbenchError(
            f"{self.file.path}: {self.name}",
            found=f"chunk {index} with {found}",
            expected=expected,
            cure="the file is damaged: write it again",
            exit_status=1,
        )

    def __getstate__(self) -> Mapping[str, object]:
        raise TypeError("a column belongs to an open file and cannot be pickled")
