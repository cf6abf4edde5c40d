"""One split of an annotation file in a fixed order, with a folder of photos if there is one."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..errors import WsolbenchError, some
from ..files import require_folder
from ..formats.annotations import AnnotationStore
from ..images import open_picture

if TYPE_CHECKING:
    from .torch_dataset import TorchDataset

__all__ = ["Dataset", "Sample"]

PHOTO_SUFFIXES = (".jpg", ".jpeg", ".png")
"""File name endings of photos, in any case."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """The images of one split, by ascending id.

    Attributes:
        store: the annotation file.
        split: the split's name.
        images: the folder of photos, `<id>.jpg` or so, at any depth; None where there is none.
        rows: int64 (n,), the images' rows in the store.
        limit: how many images a trial was cut to; None for the whole split.
    """

    store: AnnotationStore
    split: str
    images: Path | None
    rows: NDArray[np.int64] = field(repr=False)
    limit: int | None = None

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        split: str = "val",
        images: str | os.PathLike[str] | None = None,
    ) -> Dataset:
        """Open one split of an annotation file.

        Args:
            path: the annotation file.
            split: which of its splits.
            images: a folder of photos at original size, named by image id; subfolders are searched.

        Raises:
            WsolbenchError: no such file or folder, no annotation file, no such split.
        """
        store = AnnotationStore.open(path)
        folder = None if images is None else require_folder(images, "a folder of photos")
        rows = np.flatnonzero(np.array(store.splits) == split)
        if rows.size == 0:
            held = ", ".join(f"{name} ({n})" for name, n in sorted(Counter(store.splits).items()))
            raise WsolbenchError(
                path, found=f"no image of split {split!r}", expected=held, cure="name one of these"
            )
        return cls(store, split, folder, rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Sample:
        if not -len(self) <= index < len(self):
            raise IndexError(f"image {index} of a split of {len(self)}")
        return Sample(self, int(index) % len(self))

    @property
    def name(self) -> str:
        """The data set's name."""
        return self.store.dataset

    @cached_property
    def image_ids(self) -> list[str]:
        """The ids, ascending."""
        ids = self.store.image_ids
        return [ids[row] for row in self.rows]

    @cached_property
    def class_indices(self) -> NDArray[np.int32]:
        """Each image's class, int32 (n,), -1 where not known."""
        return self.store.class_indices[self.rows]

    def first(self, count: int) -> Dataset:
        """The same split cut to its first images, for a trial; results on it are stamped so.

        Raises:
            WsolbenchError: a count below 1.
        """
        if count < 1:
            raise WsolbenchError(
                "limit", found=str(count), expected="1 or more", cure="give a number of images"
            )
        if count >= len(self):
            return self
        return Dataset(self.store, self.split, self.images, self.rows[:count], limit=count)

    def image_path(self, index: int) -> Path:
        """Where the photo is.

        Raises:
            WsolbenchError: no folder of photos was given, or it has none of that id.
        """
        image_id = self.image_ids[index]
        if self.images is None:
            raise WsolbenchError(
                image_id, found="no folder of photos", cure="give one: images=... or --images DIR"
            )
        paths = self._photos.get(image_id, [])
        if len(paths) > 1:
            raise WsolbenchError(
                self.images,
                found=f"{len(paths)} pictures of the name {image_id}: {some(paths)}",
                expected="one photo an image",
                cure="name the folder that holds the photos alone",
            )
        if not paths:
            raise WsolbenchError(
                self.images,
                found=f"no photo {image_id} among {len(self._photos)}",
                expected=f"{image_id}.jpg, .jpeg, .JPEG or .png",
                cure="name the folder that holds this data set's photos",
            )
        return paths[0]

    def read_image(self, index: int) -> Image.Image:
        """The photo as RGB, in its stored pixel order (EXIF orientation is ignored).

        Raises:
            WsolbenchError: missing, damaged, or of another size than the annotation's.
        """
        row = self.rows[index]
        size = (int(self.store.heights[row]), int(self.store.widths[row]))
        path = self.image_path(index)
        return open_picture(path, size=size, whose="the annotation").convert("RGB")

    def torch(
        self,
        transform: Callable[[Image.Image], Any] | None = None,
        mask_size: int | None = None,
    ) -> TorchDataset:
        """A map-style torch Dataset of this split; see `torch_dataset.TorchDataset`.

        Args:
            transform: from the RGB photo to what the batch should hold; None gives float32
                (3, height, width) in [0, 1].
            mask_size: side in pixels to which masks are brought by nearest neighbour; None leaves
                them at the photo's size.
        """
        from .torch_dataset import TorchDataset

        return TorchDataset(self, transform=transform, mask_size=mask_size)

    def __getstate__(self) -> dict[str, object]:
        return {name: self.__dict__[name] for name in ("store", "split", "images", "rows", "limit")}

    @cached_property
    def _photos(self) -> dict[str, list[Path]]:
        found: dict[str, list[Path]] = {}
        for folder, _, names in os.walk(self.images or ""):
            for name in names:
                stem, suffix = os.path.splitext(name)
                if suffix.lower() in PHOTO_SUFFIXES:
                    found.setdefault(stem, []).append(Path(folder, name))
        return found


@dataclass(frozen=True)
class Sample:
    """One image of a data set; masks and photo are read when asked for.

    Attributes:
        dataset: the data set it belongs to.
        index: its place there.
    """

    dataset: Dataset
    index: int

    @property
    def row(self) -> int:
        """Its row in the annotation file."""
        return int(self.dataset.rows[self.index])

    @property
    def image_id(self) -> str:
        """Its id."""
        return self.dataset.image_ids[self.index]

    @property
    def class_index(self) -> int:
        """Its class, -1 where not known."""
        return int(self.dataset.class_indices[self.index])

    @property
    def height(self) -> int:
        """Pixels."""
        return int(self.dataset.store.heights[self.row])

    @property
    def width(self) -> int:
        """Pixels."""
        return int(self.dataset.store.widths[self.row])

    @property
    def mask(self) -> NDArray[np.bool_]:
        """bool (height, width), true on the object."""
        return self.dataset.store.mask(self.row)

    @property
    def boxes(self) -> NDArray[np.int32]:
        """int32 (n, 4), half-open (x0, y0, x1, y1) pixels."""
        return self.dataset.store.boxes(self.row)

    @property
    def ignore(self) -> NDArray[np.bool_] | None:
        """bool (height, width), true where a pixel counts nowhere; None where all count."""
        return self.dataset.store.ignore(self.row)

    @property
    def image(self) -> Image.Image:
        """The photo as RGB."""
        return self.dataset.read_image(self.index)
