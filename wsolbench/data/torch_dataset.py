"""A data set as PyTorch sees it: map-style, safe in many workers under fork and spawn.

Each item is a dict; a batch of items whose masks differ in size keeps them as a list:

    loader = DataLoader(dataset.torch(transform, mask_size=224), batch_size=32, num_workers=4,
                        collate_fn=collate)

Every worker opens the annotation file for itself. Boxes keep the photo's own pixels, whatever the
transform does to the picture.
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

from ..errors import WsolbenchError

__all__ = ["Split", "TorchDataset", "collate"]


class Split(Protocol):
    """What is needed of a `dataset.Dataset`, which imports this module and not the other way."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def split(self) -> str: ...  # noqa: D102
    @property
    def images(self) -> Path | None: ...  # noqa: D102
    def __len__(self) -> int: ...
    def __getitem__(self, index: int) -> Any: ...


Item = dict[str, Any]
"""One image:

- `image`: what the transform gives; without one float32 (3, height, width) in [0, 1].
- `label`: int64 scalar, -1 where the class is not known.
- `mask`: bool (height, width), or (mask_size, mask_size).
- `ignore`: bool as `mask`: pixels that count nowhere; all false where the annotation has none.
- `boxes`: int64 (n, 4), half-open (x0, y0, x1, y1) in the photo's pixels.
- `image_id`: str.
"""


class TorchDataset(data.Dataset[Item]):
    """One split as a map-style Dataset of `Item`s; `Dataset.torch` makes it.

    Attributes:
        dataset: the split, joined to its folder of photos.
        transform: from the RGB photo to `image`; under spawn a function of a module, no lambda.
        mask_size: side in pixels to which masks are brought (nearest neighbour, centres of
            pixels); None leaves them at the photo's size.
    """

    def __init__(
        self,
        dataset: Split,
        transform: Callable[[Image.Image], Any] | None = None,
        mask_size: int | None = None,
    ) -> None:
        """Keep the data set; nothing is read.

        Raises:
            WsolbenchError: no folder of photos, or a `mask_size` below 1.
        """
        if dataset.images is None:
            raise WsolbenchError(
                f"{dataset.name} {dataset.split}",
                found="no folder of photos",
                cure="open the data set with images=DIR",
            )
        if mask_size is not None and mask_size < 1:
            raise WsolbenchError(
                "mask_size", found=str(mask_size), expected="at least 1", cure="give pixels a side"
            )
        self.dataset = dataset
        self.transform = _unit_range if transform is None else transform
        self.mask_size = mask_size

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Item:
        sample = self.dataset[index]
        mask, ignored = _nearest(sample.mask, self.mask_size), sample.ignore
        ignore = np.zeros_like(mask) if ignored is None else _nearest(ignored, self.mask_size)
        return {
            "image": self.transform(sample.image),
            "label": torch.tensor(sample.class_index, dtype=torch.int64),
            "mask": torch.from_numpy(mask),
            "ignore": torch.from_numpy(ignore),
            "boxes": torch.from_numpy(sample.boxes.astype(np.int64)),
            "image_id": sample.image_id,
        }


def collate(items: Sequence[Item]) -> Item:
    """A batch of items: `collate_fn` of a DataLoader.

    Returns:
        The same keys. What is a tensor of one shape and type in all items is stacked, (B, ...);
        all else is a list of B. `boxes` is always a list, as images differ in how many they have.
    """
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
