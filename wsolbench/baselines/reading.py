"""Photos of a data set, preprocessed in batches, read ahead by other processes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import active_children
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torch.utils import data

from ..data.dataset import Dataset
from ..errors import WsolbenchError
from .outputs import checked_input
from .user_models import fault_in_user_code

__all__ = ["Photos", "batches_of", "preprocessed", "read_ahead"]

LOOK_SECONDS = 5.0
"""Time without a batch after which the reading processes are looked at."""

LONGEST_SECONDS = 1800.0
"""Time without a batch after which they are given up."""

# Reading processes return errors as values: DataLoader would re-raise only their text.
_Item = tuple[int, Tensor, int] | WsolbenchError
_Batch = tuple[list[int], Tensor, int] | WsolbenchError


class Photos(data.Dataset[_Item]):
    """The rows of a data set as (row, model input, EXIF orientation)."""

    def __init__(
        self,
        dataset: Dataset,
        rows: Sequence[int],
        preprocess: Callable[[Image.Image, int], Tensor],
        size: int,
    ) -> None:
        """Photos at the positions `rows` of `dataset`; nothing is read yet."""
        self.dataset = dataset
        self.rows = rows
        self.preprocess = preprocess
        self.size = size

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> _Item:
        row = self.rows[index]
        try:
            photo, orientation = self.dataset.read_photo(row)
            whose = self.dataset.image_ids[row]
            image = preprocessed(self.preprocess, photo, self.size, whose=whose)
            return row, image, orientation
        except WsolbenchError as error:
            return error


def preprocessed(
    preprocess: Callable[[Image.Image, int], Tensor],
    photo: Image.Image,
    size: int,
    *,
    whose: str,
) -> Tensor:
    """The model input of a photo: float32 (3, size, size).

    Raises:
        WsolbenchError: the function raises, or returns something else.
    """
    try:
        tensor = preprocess(photo, size)
    except Exception as error:  # the function may be the user's and raise anything
        raise fault_in_user_code(f"preprocess of {whose}", error) from error
    return checked_input(tensor, size, f"preprocess of {whose}")


def _together(items: list[_Item]) -> _Batch:
    read: list[tuple[int, Tensor, int]] = []
    for item in items:
        if isinstance(item, WsolbenchError):
            return item
        read.append(item)
    rows, images, orientations = zip(*read, strict=True)
    return list(rows), torch.stack(images), sum(own > 1 for own in orientations)


def batches_of(
    photos: Photos, batch_size: int, workers: int, where: torch.device
) -> Iterator[tuple[list[int], Tensor, int]]:
    """The rows of each batch, their model inputs, and how many photos have an EXIF orientation.

    Raises:
        WsolbenchError: a photo cannot be read, or a reading process fails.
    """
    if not photos.rows:
        return iter(())
    return read_ahead(
        lambda: data.DataLoader(
            photos,
            batch_size=batch_size,
            num_workers=workers,
            collate_fn=_together,
            pin_memory=where.type == "cuda",
            generator=torch.Generator(),  # else it draws from the caller's random numbers
        )
    )


def read_ahead(loader: Callable[[], data.DataLoader[Any]]) -> Iterator[Any]:
    """The batches of a loader; a batch that is an error is raised.

    Raises:
        WsolbenchError: a batch is one, or a reading process fails.
    """
    try:
        made = loader()
        if made.num_workers:
            made.timeout = LOOK_SECONDS
            made.collate_fn = _Shared(made.collate_fn)
        batches = iter(made)
    except Exception as error:  # a preprocess that cannot be pickled, or no memory for a process
        raise _reading_failed(error) from error
    while True:
        try:
            batch = _next(batches)
        except RuntimeError as error:  # a reading process was killed
            raise _reading_failed(error) from error
        if batch is None:
            return
        if isinstance(batch, WsolbenchError):
            raise batch
        yield batch


@dataclass(frozen=True)
class _Shared:
    """Batches in memory that this process can read; a batch that has no place there is an error.

    The loader's own thread would only print that error, and this process wait for the batch.
    """

    collate: Callable[[Any], Any]

    def __call__(self, items: Any) -> Any:
        batch = self.collate(items)
        try:
            for part in batch if isinstance(batch, (tuple, list)) else ():
                if isinstance(part, Tensor):
                    part.share_memory_()  # type: ignore[no-untyped-call]
        except RuntimeError as error:
            return WsolbenchError(
                "processes reading photos",
                found=f"no shared memory for a batch ({error})",
                cure="raise the limits of file sizes and /dev/shm, or read with --workers 0 "
                "(workers=0)",
            )
        return batch


def _next(batches: Iterator[Any]) -> Any:
    """The next batch; None after the last one.

    The loader would wait for ever for a process that is stopped (SIGSTOP, or a debugger).
    """
    began = time.monotonic()
    while True:
        try:
            return next(batches, None)
        except RuntimeError as error:
            if "timed out" not in str(error):
                raise
        stopped = [own for own in active_children() if _is_stopped(own.pid)]
        waited = time.monotonic() - began
        if stopped or waited > LONGEST_SECONDS:
            for own in stopped:
                own.kill()  # or it would keep this process from ending
            which = ", ".join(f"process {own.pid}" for own in stopped)
            raise WsolbenchError(
                "processes reading photos",
                found=f"{which} stopped" if stopped else f"no batch within {waited:.0f} seconds",
                expected="processes that read",
                cure="run the same command with --resume, or read with --workers 0 (workers=0)",
            )


def _is_stopped(process: int | None) -> bool:
    """Whether a process is stopped; False where /proc does not say."""
    try:
        with open(f"/proc/{process}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] in ("T", "t")
    except OSError:
        return False


def _reading_failed(error: Exception) -> WsolbenchError:
    return WsolbenchError(
        "processes reading photos",
        found=f"{type(error).__name__}: {error}",
        cure="define preprocess as a function of a module, or pass workers=0 (--workers 0)"
        if "pickle" in str(error).lower()
        else "use fewer processes, or workers=0",
    )
