"""Photos and class labels for training: a folder of classes, or a split of an annotation file.

Only photos and labels are read; masks and boxes are not. Each photo is resized to a square without
keeping its aspect ratio, a random square is cut out and mirrored with probability 0.5, and the
network's own preprocessing follows (224 of 256, as ACoL and SPG train). The crop depends only on
(seed, epoch, photo), not on the number of processes that read.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from torch.utils import data

from ..data.dataset import Dataset
from ..errors import WsolbenchError, some
from ..files import require_folder
from ..images import read_photo
from .reading import read_ahead
from .settings import Recipe, Schedule

__all__ = ["LabelledPhotos", "Step", "batches", "labelled_folder", "labelled_split", "steps_of"]

Preprocess = Callable[[Image.Image, int], Tensor]

Step = tuple[int, int, list[int]]
"""Epoch and step, both from 0, and the photos of the step."""


@dataclass(frozen=True)
class LabelledPhotos:
    """Photos with their classes.

    Attributes:
        title: what they are, for messages and the checkpoint.
        paths: the files.
        labels: class of each photo, 0..C-1.
        classes: (key, name) of each class.
        exif: "ignore" or "apply" (see `images.read_photo`).
    """

    title: str
    paths: Sequence[Path]
    labels: Sequence[int]
    classes: tuple[tuple[str, str], ...]
    exif: str = "ignore"

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def sha256(self) -> str:
        """SHA-256 of the photos' names, labels and classes, not of their pixels."""
        lines = [f"{key}\t{name}\n" for key, name in self.classes]
        lines += [
            f"{path.parent.name}/{path.name}\t{label}\n"
            for path, label in zip(self.paths, self.labels, strict=True)
        ]
        return hashlib.sha256("".join(lines).encode()).hexdigest()


def labelled_folder(folder: str | os.PathLike[str]) -> LabelledPhotos:
    """A folder with one subfolder for each class, as torchvision's `ImageFolder` reads it.

    Raises:
        WsolbenchError: the folder is missing, has no subfolders, or a class has no photo.
    """
    from torchvision.datasets import ImageFolder
    from torchvision.datasets.folder import is_image_file

    root = require_folder(folder, "a folder with one subfolder of photos for each class")
    classes_here = sorted(path for path in root.iterdir() if path.is_dir())
    bare = [path.name for path in classes_here if not any(map(is_image_file, _names(path)))]
    if bare:
        raise WsolbenchError(
            root,
            found=f"no photo in {some(bare)}",
            expected="photos of each class in its subfolder",
            cure="add photos, or remove the empty folders",
        )
    try:
        found = ImageFolder(str(root))
    except (FileNotFoundError, OSError) as error:
        raise WsolbenchError(
            root,
            found=str(error).partition(". ")[0].strip(),
            expected="one subfolder for each class, with photos in each",
            cure="name the folder above the classes, or train from annotations (--annotations)",
        ) from error
    paths, labels = zip(*found.samples, strict=True)
    classes = tuple((name, name) for name in found.classes)
    _require_two(root, len(classes))
    return LabelledPhotos(str(root), [Path(path) for path in paths], list(labels), classes)


def labelled_split(dataset: Dataset) -> LabelledPhotos:
    """The photos and classes of one split; nothing else of the annotations is read.

    Raises:
        WsolbenchError: photos are missing, or an image has no class.
    """
    labels = dataset.class_indices
    without = [dataset.image_ids[row] for row in np.flatnonzero(labels < 0)]
    if without:
        raise WsolbenchError(
            dataset.title,
            found=f"no class for {len(without)} of {len(dataset)} images: {some(without)}",
            expected="a class for each image",
            cure="import the classes, or train on another split",
        )
    count = len(dataset.store.classes) or int(dataset.store.class_indices.max()) + 1
    known = dataset.store.classes or [(str(index), str(index)) for index in range(count)]
    classes = tuple((key, name) for key, name in known)
    _require_two(dataset.title, len(classes))
    paths = [dataset.image_path(place) for place in range(len(dataset))]
    return LabelledPhotos(dataset.title, paths, labels.tolist(), classes, dataset.exif)


def _names(folder: Path) -> Iterator[str]:
    """The names of all files in a folder and those below it."""
    return (name for _, _, names in os.walk(folder, followlinks=True) for name in names)


def _require_two(where: object, count: int) -> None:
    if count < 2:
        raise WsolbenchError(
            where,
            found="one class",
            expected="at least two, because a classifier is trained",
            cure="name a folder or split with more classes",
        )


def steps_of(photos: int, recipe: Schedule, epoch: int) -> list[list[int]]:
    """The photos of each step of an epoch.

    Each epoch has its own order; what does not fill a last step is left out of that epoch.

    Args:
        photos: number of photos.
        recipe: its batch size and seed.
        epoch: from 0.
    """
    order = np.random.default_rng([recipe.seed, epoch]).permutation(photos).tolist()
    size = min(recipe.batch_size, photos)
    return [order[start : start + size] for start in range(0, photos - size + 1, size)]


def batches(
    photos: LabelledPhotos,
    steps: Sequence[Step],
    recipe: Recipe,
    preprocess: Preprocess,
    *,
    workers: int,
    pinned: bool,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Images (B, 3, size, size) float32 and labels (B,) int64 of each step, in order.

    Raises:
        WsolbenchError: a photo is missing or damaged, or `preprocess` fails.
    """
    keys = [[(epoch, photo) for photo in chosen] for epoch, _, chosen in steps]
    return read_ahead(
        lambda: data.DataLoader(
            _Crops(photos, recipe, preprocess),
            batch_sampler=keys,
            num_workers=workers,
            collate_fn=_together,
            pin_memory=pinned,
            generator=torch.Generator(),  # else it draws from the caller's random numbers
        )
    )


class _Crops(data.Dataset[object]):
    """(epoch, photo) -> input and label; an error is returned as a value, to cross processes."""

    def __init__(self, photos: LabelledPhotos, recipe: Recipe, preprocess: Preprocess) -> None:
        self.photos = photos
        self.recipe = recipe
        self.preprocess = preprocess

    def __getitem__(self, key: tuple[int, int]) -> tuple[Tensor, int] | WsolbenchError:
        epoch, photo = key
        rng = np.random.default_rng([self.recipe.seed, epoch, photo])
        try:
            picture, _ = read_photo(self.photos.paths[photo], exif=self.photos.exif)
        except WsolbenchError as error:
            return error
        crop = random_crop(picture, self.recipe.resize, self.recipe.size, rng)
        return self.preprocess(crop, self.recipe.size), self.photos.labels[photo]


def random_crop(
    photo: Image.Image, resize: int, size: int, rng: np.random.Generator
) -> Image.Image:
    """A random square of a photo resized to a square, mirrored with probability 0.5.

    Args:
        photo: RGB, of any size.
        resize: side in pixels to which it is resized (bilinear, antialiased).
        size: side of the square, at most `resize`.
        rng: of the place and of mirroring.
    """
    whole = photo.resize((resize, resize), Image.Resampling.BILINEAR)
    left, top = rng.integers(0, resize - size + 1, 2).tolist()
    crop = whole.crop((left, top, left + size, top + size))
    return ImageOps.mirror(crop) if rng.random() < 0.5 else crop


def _together(
    items: Sequence[tuple[Tensor, int] | WsolbenchError],
) -> tuple[Tensor, Tensor] | WsolbenchError:
    images, labels = [], []
    for item in items:
        if isinstance(item, WsolbenchError):
            return item
        images.append(item[0])
        labels.append(item[1])
    return torch.stack(images), torch.tensor(labels)
