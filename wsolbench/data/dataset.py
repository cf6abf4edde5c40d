"""One split of an annotation file in a fixed order, with an optional folder of photos."""

from __future__ import annotations

import hashlib
import operator
import os
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, SupportsIndex, overload

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..errors import WsolbenchError, counted, require_choice, some, with_torch
from ..files import require_folder
from ..formats.annotations import AnnotationStore
from ..formats.result import Subset
from ..image_ids import are_file_names, files_by_id, files_under
from ..images import EXIF, PHOTO_ENDINGS, read_photo
from ..masks import area
from ..tables import html_table

if TYPE_CHECKING:
    from .torch_dataset import TorchDataset

__all__ = ["Dataset", "Sample"]


@dataclass(frozen=True, eq=False)
class Dataset:
    """The images of one split, sorted by id.

    Index it with a position, an image id or a slice:

        dataset[0], dataset["val_1"]    # a Sample
        dataset[:3]                     # a list of Samples

    Attributes:
        store: the annotation file.
        split: the split's name.
        images: the folder of photos, e.g. `<id>.jpg`, at any depth; None if there are no photos.
        rows: int64 (n,), the images' rows in the store.
        limit: number of images if the split was shortened for a trial; None for the whole split.
        exif: "ignore" reads photos in their stored order of pixels, "apply" turns them upright.
        subset: the list of ids that the images were chosen by; None for the whole split.

    Examples:
        >>> dataset = wsolbench.Dataset.open("demo/mini.h5", "val", "demo/images")
        >>> len(dataset), dataset[0].image_id, dataset["mini_val_00003"].mask.shape
        (120, 'mini_val_00000', (113, 142))
    """

    store: AnnotationStore
    split: str
    images: Path | None
    rows: NDArray[np.int64] = field(repr=False)
    limit: int | None = None
    exif: str = "ignore"
    subset: Subset | None = None

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        split: str = "val",
        images: str | os.PathLike[str] | None = None,
        *,
        exif: str = "ignore",
    ) -> Dataset:
        """Open one split of an annotation file.

        Args:
            path: the annotation file.
            split: the name of the split.
            images: a folder of photos at original size, named by image id; subfolders are included.
            exif: "apply" if the annotations refer to photos turned upright by their EXIF
                orientation.

        Raises:
            WsolbenchError: the file or folder is missing, the file is not an annotation file, or it
                has no such split.
        """
        require_choice("exif", exif, EXIF)
        store = AnnotationStore.open(path)
        folder = None if images is None else require_folder(images, "a folder of photos")
        rows = np.flatnonzero(np.array(store.splits) == split)
        if rows.size == 0:
            held = ", ".join(f"{name} ({n})" for name, n in sorted(Counter(store.splits).items()))
            raise WsolbenchError(
                path, found=f"no image of split {split!r}", expected=held, cure="name one of these"
            )
        return cls(store, split, folder, rows, exif=exif)

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, index: slice) -> list[Sample]: ...
    @overload
    def __getitem__(self, index: SupportsIndex | str) -> Sample: ...
    def __getitem__(self, index: SupportsIndex | str | slice) -> Sample | list[Sample]:
        """The sample at a position or of an image id; a list of samples for a slice.

        Raises:
            IndexError: the position is out of range.
            WsolbenchError: the split has no image of that id, or the index has another type.
        """
        if isinstance(index, slice):
            return [Sample(self, place) for place in range(len(self))[index]]
        if isinstance(index, str):
            return Sample(self, self._place_of(index))
        try:
            place = operator.index(index)
        except TypeError as error:
            raise WsolbenchError(
                self.title,
                found=f"the index {index!r}",
                expected="an integer, an image id or a slice",
                cure="use dataset[0], dataset[image_id] or dataset[:3]",
            ) from error
        if not -len(self) <= place < len(self):
            raise IndexError(f"position {place} in a split of {len(self)} images")
        return Sample(self, place % len(self))

    def __contains__(self, item: object) -> bool:
        """Whether it has a sample, or an image of that id."""
        if isinstance(item, str):
            return item in self.image_ids
        return any(item == self[place] for place in range(len(self)))

    def __repr__(self) -> str:
        photos = "no photos" if self.images is None else f"photos in {str(self.images)!r}"
        # Verifying the hash would read the whole file for one line of text.
        stated = self.store.content_sha256[:12]
        return f"Dataset({self.title}: {self._size}, {photos}, content {stated})"

    def _repr_html_(self) -> str:
        """A small table for notebooks."""
        rows = {
            "classes": np.unique(self.class_indices[self.class_indices >= 0]).size,
            "masks": int(self.store.masked[self.rows].sum()),
            "boxes": self.store.box_counts[self.rows].sum(),
            "ignored pixels": self._ignored_pixels,
            "photos": "none" if self.images is None else self.images,
        }
        told = [[name, str(value)] for name, value in rows.items()]
        return html_table(told, f"Dataset {self.title}: {self._size}")

    @property
    def name(self) -> str:
        """The data set's name."""
        return self.store.dataset

    @property
    def title(self) -> str:
        """Its name and split, for messages."""
        return f"{self.name} {self.split}"

    @cached_property
    def image_ids(self) -> list[str]:
        """The ids, ascending."""
        ids = self.store.image_ids
        return [ids[row] for row in self.rows]

    @cached_property
    def class_indices(self) -> NDArray[np.int32]:
        """Each image's class, int32 (n,), -1 if it is unknown."""
        return self.store.class_indices[self.rows]

    def first(self, count: int) -> Dataset:
        """The first images of the split, for a trial; results record that they are of a trial.

        Raises:
            WsolbenchError: the count is below 1.
        """
        if type(count) is not int or count < 1:
            raise WsolbenchError(
                "limit", found=repr(count), expected="1 or more", cure="pass a number of images"
            )
        if count >= len(self):
            return self
        return replace(self, rows=self.rows[:count], limit=count)

    def shard(self, index: int, count: int) -> Dataset:
        """Every `count`-th image from position `index` on: a part for one of several processes.

        The shards 0 to count - 1 together hold each image once, and their sizes differ by one image
        at most. `wsolbench.merge_submissions` joins the maps that are made of them. Results record
        that they are of a subset.

        Args:
            index: from 0 to count - 1.
            count: number of shards; 1 gives the data set itself.

        Raises:
            WsolbenchError: the count is below 1, the index is out of range, or the shard has no
                image.
        """
        if type(count) is not int or count < 1:
            raise WsolbenchError(
                "shard", found=f"{count!r} shards", expected="1 or more", cure="pass their number"
            )
        if type(index) is not int or not 0 <= index < count:
            raise WsolbenchError(
                "shard",
                found=f"the index {index!r}",
                expected=f"0 to {count - 1}, for {count} shards",
                cure="count shards from 0",
            )
        ids = self.image_ids[index::count]
        if not ids:
            raise WsolbenchError(
                self.title,
                found=f"shard {index} of {count} without an image",
                expected=f"at most {len(self)} shards of its {self._size}",
                cure="make fewer shards",
            )
        return self.only(ids)

    def require_masks(self, what: str) -> None:
        """Check that every image has a mask.

        Args:
            what: needs them, for the message.

        Raises:
            WsolbenchError: some images have boxes alone.
        """
        bare = self.without_mask
        if bare:
            raise WsolbenchError(
                self.store.path,
                found=f"{len(bare)} of {len(self)} images of {self.title} without a mask: "
                f"{some(bare)}",
                expected=f"a mask of every image for {what}",
                cure="import masks too, or leave these images out (--ids)",
            )

    @property
    def without_mask(self) -> list[str]:
        """Ids of the images that have boxes alone."""
        bare = np.flatnonzero(~self.store.masked[self.rows])
        return [self.image_ids[place] for place in bare]

    def only(self, ids: Collection[str]) -> Dataset:
        """The images of some ids, in the data set's order; results record that they are a subset.

        Args:
            ids: of this data set, each once, in any order; all of them give the data set itself.

        Raises:
            WsolbenchError: no id, an unknown one, or one that is listed twice.
        """
        listed = [ids] if isinstance(ids, str) else list(ids)
        unknown = [name for name in listed if name not in self._places]
        if unknown or not listed:
            bare = are_file_names([*map(str, unknown)], self._places.keys())
            raise WsolbenchError(
                self.title,
                found=f"{len(unknown)} of {len(listed)} listed ids unknown: {some(unknown)}"
                if unknown
                else "an empty list of ids",
                expected=f"some of its {self._size}, e.g. {some(self.image_ids)}",
                cure="list the ids without file name endings" if bare else "correct the list",
            )
        twice = [name for name, times in Counter(listed).items() if times > 1]
        if twice:
            raise WsolbenchError(
                self.title,
                found=f"a list with repeated ids: {some(twice)}",
                expected="each id once",
                cure="remove the repeated lines from the list",
            )
        if len(listed) == len(self):
            return self
        text = "".join(f"{name}\n" for name in sorted(listed))
        chosen = Subset(len(listed), hashlib.sha256(text.encode()).hexdigest())
        places = sorted(self._places[name] for name in listed)
        return replace(self, rows=self.rows[places], subset=chosen)

    def image_path(self, index: int) -> Path:
        """The path of the photo.

        Raises:
            WsolbenchError: the data set has no folder of photos, or the folder does not contain
                exactly one photo of that id.
        """
        image_id = self.image_ids[index]
        if self.images is None:
            raise WsolbenchError(
                image_id, found="no folder of photos", cure="pass one: images=DIR or --images DIR"
            )
        paths = list(map(Path, self._photos.get(image_id, [])))
        if len(paths) > 1:
            raise WsolbenchError(
                self.images,
                found=f"{len(paths)} pictures named {image_id}: {some(paths)}",
                expected="one photo per image",
                cure="name a folder that contains only the photos",
            )
        if not paths:
            files = [path.name for path in files_under(self.images, PHOTO_ENDINGS)]
            raise WsolbenchError(
                self.images,
                found=f"no photo {image_id} among {len(files)} ({some(files) or 'none'})",
                expected=f"{image_id}.jpg, .jpeg, .JPEG or .png",
                cure="name the folder with the photos of this data set",
            )
        return paths[0]

    def read_image(self, index: int) -> Image.Image:
        """The photo as RGB; see `read_photo`."""
        return self.read_photo(index)[0]

    def read_photo(self, index: int) -> tuple[Image.Image, int]:
        """The photo as 8-bit RGB, and its EXIF orientation (1 is upright, see `exif`).

        Raises:
            WsolbenchError: the photo is missing or damaged, or its size differs from the annotated
                one.
        """
        row = self.rows[index]
        size = (int(self.store.heights[row]), int(self.store.widths[row]))
        path = self.image_path(index)
        return read_photo(path, size=size, whose="the annotations", exif=self.exif)

    def torch(
        self,
        transform: Callable[[Image.Image], Any] | None = None,
        mask_size: int | None = None,
    ) -> TorchDataset:
        """A map-style torch Dataset of this split; see `torch_dataset.TorchDataset`.

        Args:
            transform: function of the RGB photo that returns the item's `image`; None gives
                float32 (3, height, width) in [0, 1].
            mask_size: side in pixels to which masks are resized (nearest neighbour); None keeps
                them at the photo's size.

        Raises:
            WsolbenchError: PyTorch is not installed.
        """
        with with_torch("Dataset.torch"):
            from .torch_dataset import TorchDataset

        return TorchDataset(self, transform=transform, mask_size=mask_size)

    def __getstate__(self) -> dict[str, object]:
        return {own.name: self.__dict__[own.name] for own in fields(self)}

    @property
    def _size(self) -> str:
        whole = "" if self.limit is None else " (the first of the split, a trial)"
        whole += "" if self.subset is None else " (chosen by id)"
        return counted(len(self), "image") + whole

    @property
    def _ignored_pixels(self) -> int:
        parts = (self.store.ignore_run_lengths(int(row)) for row in self.rows)
        return sum(area(part) for part in parts if part is not None)

    def _place_of(self, image_id: str) -> int:
        if image_id not in self._places:
            raise WsolbenchError(
                self.title,
                found=f"no image {image_id!r} among its {self._size}",
                cure="see dataset.image_ids, or open another split",
            )
        return self._places[image_id]

    @cached_property
    def _places(self) -> dict[str, int]:
        return {image_id: place for place, image_id in enumerate(self.image_ids)}

    @cached_property
    def _photos(self) -> dict[str, list[PurePath]]:
        # Ids may name folders above the one that was given.
        root = Path(self.images or "").absolute()
        return files_by_id(self.image_ids, files_under(root, PHOTO_ENDINGS))


@dataclass(frozen=True)
class Sample:
    """One image of a data set; its mask and photo are read on access.

    Attributes:
        dataset: the data set that contains it.
        index: its position in the data set.
    """

    dataset: Dataset
    index: int

    def __repr__(self) -> str:
        return (
            f"Sample({self.image_id!r} of {self.dataset.title}, class {self.class_index}, "
            f"height {self.height}, width {self.width})"
        )

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
        """Its class index, -1 if it is unknown."""
        return int(self.dataset.class_indices[self.index])

    @property
    def height(self) -> int:
        """Its height in pixels."""
        return int(self.dataset.store.heights[self.row])

    @property
    def width(self) -> int:
        """Its width in pixels."""
        return int(self.dataset.store.widths[self.row])

    @property
    def mask(self) -> NDArray[np.bool_]:
        """bool (height, width), true on the object.

        Raises:
            WsolbenchError: the image has boxes alone (see `has_mask`).
        """
        return self.dataset.store.mask(self.row)

    @property
    def has_mask(self) -> bool:
        """Whether it has a mask."""
        return bool(self.dataset.store.masked[self.row])

    @property
    def boxes(self) -> NDArray[np.int32]:
        """int32 (n, 4), half-open (x0, y0, x1, y1) pixels."""
        return self.dataset.store.boxes(self.row)

    @property
    def ignore(self) -> NDArray[np.bool_] | None:
        """bool (height, width), true on ignored pixels; None if no pixel is ignored."""
        return self.dataset.store.ignore(self.row)

    @property
    def image(self) -> Image.Image:
        """The photo as RGB."""
        return self.dataset.read_image(self.index)
