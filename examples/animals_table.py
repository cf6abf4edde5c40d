"""A table for `wsolbench import masks` from photos of animals with several possible classes.

    python -m examples.animals_table FOLDER --out table.csv
    python -m examples.animals_table FOLDER --out halves.csv --names animals.csv --halves

FOLDER contains `images/*.jpg` and `annotations.csv`, whose column `imagenet_indices` lists the
ImageNet classes of an animal's name (none if ImageNet has no such animal). Each photo gets the one
of these classes that SqueezeNet (`examples.squeezenet`) scores highest. Photos with a class are
assigned to val and test alternately, sorted by id; the others to "unlabelled", with class -1.

With --halves, the classes are the animals themselves, for a network that is trained on them: of the
photos of an animal, sorted by id, every other goes to "train", and those between to val and test in
turn. The names of the animals are written to a file too.
"""

from __future__ import annotations

import argparse
import csv
import io
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from examples.squeezenet import bgr_input, model
from wsolbench.errors import WsolbenchError
from wsolbench.files import require_file, write_text

Photo = tuple[str, list[int]]


class Inputs(Dataset[torch.Tensor]):
    """The preprocessed photos."""

    def __init__(self, folder: Path, photos: Sequence[Photo], size: int) -> None:
        self.folder = folder
        self.photos = photos
        self.size = size

    def __len__(self) -> int:
        return len(self.photos)

    def __getitem__(self, index: int) -> torch.Tensor:
        with Image.open(self.folder / f"{self.photos[index][0]}.jpg", formats=["JPEG"]) as photo:
            return bgr_input(photo, self.size)


def read_photos(table: Path) -> list[Photo]:
    """(id, possible classes) of each photo, sorted by id."""
    with open(table, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return sorted(
        (row["id"], [int(index) for index in re.findall(r"\d+", row["imagenet_indices"])])
        for row in rows
    )


def halves(table: Path) -> tuple[list[tuple[str, int, str]], list[str]]:
    """(id, animal's number, split) of each photo, and the animals' names, sorted."""
    with open(table, newline="", encoding="utf-8") as file:
        photos = sorted((row["class"], row["id"]) for row in csv.DictReader(file))
    names = sorted({animal for animal, _ in photos})
    rows = []
    for index, name in enumerate(names):
        own = [image_id for animal, image_id in photos if animal == name]
        for place, image_id in enumerate(own):
            rows.append((image_id, index, ("train", "val", "train", "test")[place % 4]))
    return rows, names


def best_classes(folder: Path, photos: Sequence[Photo], size: int) -> Iterator[int]:
    """The possible class of each photo with the highest score."""
    network = model().module
    inputs = DataLoader(Inputs(folder, photos, size), batch_size=16)
    with torch.inference_mode():
        scores = (logits for batch in inputs for logits in network(batch)[2])
        for (_, allowed), logits in zip(photos, scores, strict=True):
            yield allowed[int(logits[allowed].argmax())]


def main() -> None:
    parser = argparse.ArgumentParser(description="A table of classes and splits of the animals.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--size", type=int, default=320)
    parser.add_argument("--halves", action="store_true")
    parser.add_argument("--names", type=Path, default=Path("animals.csv"))
    options = parser.parse_args()

    table = require_file(options.folder / "annotations.csv", "the table of photos")
    if options.halves:
        rows, names = halves(table)
        write_text(options.names, "key,name\n" + "".join(f"{name},{name}\n" for name in names))
        write_rows(options.out, rows)
        print(f"{len(rows)} photos of {len(names)} animals")
        return
    photos = read_photos(table)
    labelled = [photo for photo in photos if photo[1]]
    best = best_classes(options.folder / "images", labelled, options.size)
    rows = [
        (image_id, index, ("val", "test")[place % 2])
        for place, ((image_id, _), index) in enumerate(zip(labelled, best, strict=True))
    ]
    rows += [(image_id, -1, "unlabelled") for image_id, classes in photos if not classes]
    write_rows(options.out, rows)
    print(f"{len(labelled)} photos with a class, {len(photos) - len(labelled)} without")


def write_rows(out: Path, rows: Sequence[tuple[str, int, str]]) -> None:
    """The table that `wsolbench import masks` reads."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("image_id", "class_index", "split"))
    writer.writerows(sorted(rows))
    write_text(out, text.getvalue())


if __name__ == "__main__":
    try:
        main()
    except WsolbenchError as error:
        sys.exit(str(error))
