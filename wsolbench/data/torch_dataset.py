"""A map-style PyTorch dataset, safe with several workers under fork and spawn.

Each item is a dict; if the masks of a batch differ in size, `collate` keeps them as a list:

    loader = DataLoader(dataset.torch(transform, mask_size=224), batch_size=32, num_workers=4,
                        collate_fn=collate)

Every worker opens the annotation file itself. Boxes stay in pixels of the original photo, whatever
the transform does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils import data

from ..errors import WsolbenchError, require_items

__all__ = ["Item", "TorchDataset", "collate"]


class Split(Protocol):
    """The part of `dataset.Dataset` used here; that module imports this one, not vice versa."""

    @property
    def title(self) -> str: ...
    @property
    def images(self) -> Path | None: ...
    def __len__(self) -> int: ...
    def __getitem__(self, index: int) -> Any: ...


Item = dict[str, Any]
"""One image:

- `image`: the result of the transform; without a transform float32 (3, height, width) in [0, 1].
- `label`: int64 scalar, -1 if the class is unknown.
- `mask`: bool (height, width), or (mask_size, mask_size); None for an image without a mask.
- `ignore`: bool, shaped like `mask`, true on ignored pixels; all false if none is ignored; None
  without a mask.
- `boxes`: int64 (n, 4), half-open (x0, y0, x1, y1) in pixels of the photo.
- `image_id`: str.
"""


class TorchDataset(data.Dataset[Item]):
    """One split as a map-style dataset of `Item`s, created by `Dataset.torch`.

    Attributes:
        dataset: the split, opened with its folder of photos.
        transform: function of the RGB photo that returns `image`; a module-level function, not a
            lambda, if workers are spawned.
        mask_size: side in pixels to which masks are resized (nearest neighbour, pixel centres);
            None keeps them at the photo's size.
    """

    def __init__(
        self,
        dataset: Split,
        transform: Callable[[Image.Image], Any] | None = None,
        mask_size: int | None = None,
    ) -> None:
        """Wrap a data set; no file is read yet.

        Raises:
            WsolbenchError: the data set has no folder of photos, or `mask_size` is below 1.
        """
        if dataset.images is None:
            raise WsolbenchError(
                dataset.title,
                found="no folder of photos",
                cure="open the data set with images=DIR",
            )
        if mask_size is not None and mask_size < 1:
            raise WsolbenchError(
                "mask_size",
                found=str(mask_size),
                expected="at least 1",
                cure="pass a side in pixels",
            )
        self.dataset = dataset
        self.transform = _unit_range if transform is None else transform
        self.mask_size = mask_size

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Item:
        sample = self.dataset[index]
        mask, ignore = self._regions(sample)
        return {
            "image": self.transform(sample.image),
            "label": torch.tensor(sample.class_index, dtype=torch.int64),
            "mask": mask,
            "ignore": ignore,
            "boxes": torch.from_numpy(sample.boxes.astype(np.int64)),
            "image_id": sample.image_id,
        }

    def _regions(self, sample: Any) -> tuple[Tensor | None, Tensor | None]:
        if not sample.has_mask:
            return None, None
        mask, ignored = _nearest(sample.mask, self.mask_size), sample.ignore
        ignore = np.zeros_like(mask) if ignored is None else _nearest(ignored, self.mask_size)
        return torch.from_numpy(mask), torch.from_numpy(ignore)


def collate(items: Sequence[Item]) -> Item:
    """Combine items into a batch; pass it to a DataLoader as `collate_fn`.

    Returns:
        The same keys. Tensors of equal shape and dtype are stacked, (B, ...); other values become a
        list of length B. `boxes` is always a list, because the number of boxes varies.

    Examples:
        >>> from torch.utils.data import DataLoader
        >>> dataset = wsolbench.Dataset.open("demo/mini.h5", "val", "demo/images")
        >>> samples = dataset.torch(mask_size=56)
        >>> loader = DataLoader(samples, batch_size=4, collate_fn=wsolbench.collate)
        >>> batch = next(iter(loader))
        >>> batch["mask"].shape, len(batch["boxes"])
        (torch.Size([4, 56, 56]), 4)
    """
    require_items("items", items, (dict,), "a list of items of a torch data set")
    if not items:
        raise WsolbenchError("items", found="none", expected="one or more", cure="pass a batch")
    return {key: _stacked(key, [item[key] for item in items]) for key in items[0]}


def _stacked(key: str, values: list[Any]) -> Any:
    if key == "boxes" or not all(isinstance(value, Tensor) for value in values):
        return values
    if len({(value.shape, value.dtype) for value in values}) > 1:
        return values
    return torch.stack(values)


def _unit_range(photo: Image.Image) -> Tensor:
    levels = np.array(photo, dtype=np.float32).transpose(2, 0, 1)
    return torch.from_numpy(np.ascontiguousarray(levels) / np.float32(255))


def _nearest(mask: NDArray[np.bool_], size: int | None) -> NDArray[np.bool_]:
    if size is None:
        return mask
    height, width = mask.shape
    centres = 2 * np.arange(size) + 1
    rows, columns = centres * height // (2 * size), centres * width // (2 * size)
    return np.ascontiguousarray(mask[rows[:, None], columns])
