"""Annotation files made from other formats and written to them: `import` and `export`."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from ..errors import WsolbenchError
from ..files import require_ending, require_json_target, require_target
from ..progress import bar
from .options import FILE, quiet_option
from .printing import print_notes

__all__ = [
    "export",
    "export_coco",
    "export_png",
    "import_",
    "import_boxes",
    "import_coco",
    "import_cub",
    "import_ilsvrc",
    "import_imagenet_s",
    "import_masks",
    "import_openimages",
    "import_pet",
    "import_voc",
]


@click.group("import", short_help="Make an annotation file from other formats.")
def import_() -> None:
    """Make an annotation file from masks, boxes and labels in another format."""


_out = click.option("--out", type=FILE, required=True, help="Write the annotations to this file.")
_dataset = click.option(
    "--dataset",
    help="Name of the data set, which is part of its content hash [default: that of the input].",
)


_corners = click.option(
    "--corners",
    type=click.Choice(("half-open", "inclusive", "from-1")),
    help="How corners of boxes are counted: from 0 with an exclusive far corner, from 0 up to the "
    "last pixel, or from 1 [default: shown by all boxes together, or refused].",
)
_tight_boxes = click.option(
    "--tight-boxes", is_flag=True, help="Use the tight box of each mask, whatever box is given."
)
_exif = click.option(
    "--exif",
    type=click.Choice(("ignore", "apply")),
    default="ignore",
    show_default=True,
    help="Whether the annotations refer to photos turned upright by their EXIF orientation.",
)


def _mask_levels(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say which levels of masks are object and which are ignored."""
    above = click.option(
        "--object-above",
        type=click.IntRange(0, 65535),
        metavar="LEVEL",
        help="Grey levels above this one are object [default: decided by the levels, or refused].",
    )
    void = click.option(
        "--void",
        type=click.IntRange(0, 65535),
        metavar="LEVEL",
        help="Pixels of this level are ignored in scoring.",
    )
    return above(void(command))


_folder_ids = click.option(
    "--folder-ids",
    is_flag=True,
    help="Keep the folders of file names in the ids: val/0.png has the id val~0.",
)


def _box_choices(command: Callable[..., None]) -> Callable[..., None]:
    """Add the two ways out if boxes contradict their masks."""
    keep = click.option(
        "--keep-boxes", is_flag=True, help="Keep boxes as given even if they contradict the masks."
    )
    return _tight_boxes(keep(command))


@import_.command("masks")
@click.argument("folder", type=FILE)
@click.option(
    "--table",
    type=FILE,
    help="CSV file: image_id and any of class_index, split, height, width, x0, y0, x1, y1.",
)
@click.option(
    "--split",
    default="val",
    show_default=True,
    help="Split of images for which the table has none.",
)
@click.option("--ignore", type=FILE, help="Folder of masks of pixels to ignore in scoring.")
@click.option(
    "--classes", type=FILE, help="CSV file of class names: columns key and name, one row per class."
)
@_mask_levels
@_box_choices
@_folder_ids
@click.option(
    "--ignore-column",
    "ignore_columns",
    multiple=True,
    metavar="NAME",
    help="Another column of the table, to be left out; may be repeated.",
)
@_dataset
@_out
@quiet_option
def import_masks(folder: Path, out: Path, quiet: bool, **options: Any) -> None:
    """Import a folder of masks named <image id>.png."""
    _import("masks", folder, out=out, quiet=quiet, **options)


@import_.command("ilsvrc", short_help="Import the SEM masks of ILSVRC.")
@click.option("--masks", type=FILE, required=True, help="Folder of the published masks.")
@click.option(
    "--val-list",
    type=FILE,
    required=True,
    help="List of the val images: ILSVRC_Val_Mask_23151.txt.",
)
@click.option("--labels", type=FILE, multiple=True, help="List of class labels; may be repeated.")
@click.option("--sizes", type=FILE, help="List of image sizes.")
@click.option(
    "--boxes",
    type=FILE,
    help="Boxes: a list of x0,y0,x1,y1, LOC_val_solution.csv, or a folder or tar of XML files.",
)
@click.option("--class-names", type=FILE, help="Class names: LOC_synset_mapping.txt.")
@_corners
@_tight_boxes
@_mask_levels
@_out
@quiet_option
def import_ilsvrc(out: Path, quiet: bool, **options: Any) -> None:
    """Import the SEM masks of the ILSVRC validation images, as val and test."""
    options["labels"] = list(options["labels"]) or None
    _import("ilsvrc", out=out, quiet=quiet, **options)


@import_.command("coco")
@click.argument("file", type=FILE)
@click.option("--split", help="Split of images for which the file names none.")
@click.option(
    "--category",
    "categories",
    multiple=True,
    metavar="NAME",
    help="Import the objects of this category alone; may be repeated.",
)
@click.option(
    "--skip-empty",
    is_flag=True,
    help="Leave out annotations without a pixel and images without an annotation.",
)
@click.option(
    "--allow-missing-masks",
    is_flag=True,
    help="Store images whose annotations have no segmentation with boxes and without a mask.",
)
@click.option(
    "--boxes",
    type=click.Choice(("xywh", "xyxy")),
    default="xywh",
    show_default=True,
    help="How a bbox is read: x, y, width and height, or x0, y0, x1, y1.",
)
@click.option(
    "--rle",
    type=click.Choice(("columns", "rows")),
    default="columns",
    show_default=True,
    help="Order of run lengths given as lists.",
)
@_box_choices
@_folder_ids
@_dataset
@_out
@quiet_option
def import_coco(file: Path, out: Path, quiet: bool, **options: Any) -> None:
    """Import COCO instances JSON."""
    _import("coco", file, out=out, quiet=quiet, **options)


@import_.command("cub")
@click.argument("folder", type=FILE)
@_corners
@_tight_boxes
@_out
@quiet_option
def import_cub(folder: Path, out: Path, quiet: bool, **options: Any) -> None:
    """Import CUB-200-2011 with its segmentations."""
    _import("cub", folder, out=out, quiet=quiet, **options)


@import_.command("boxes", short_help="Import boxes without masks.")
@click.argument("source", type=FILE)
@click.option("--labels", type=FILE, multiple=True, help="List of class labels; may be repeated.")
@click.option("--sizes", type=FILE, help="List of image sizes.")
@click.option("--class-names", type=FILE, help="Class names: LOC_synset_mapping.txt.")
@click.option("--category", metavar="NAME", help="Keep only the boxes of this class.")
@click.option("--images", type=FILE, help="Folder of photos, whose sizes are used.")
@_exif
@_corners
@_folder_ids
@click.option(
    "--split",
    help="Split of images for which SOURCE names none [default: val, or the folder's name].",
)
@_dataset
@_out
@quiet_option
def import_boxes(source: Path, out: Path, quiet: bool, **options: Any) -> None:
    """Import boxes of images without masks.

    SOURCE is a metadata folder of wsolevaluation, a list such as its localization.txt, Kaggle's
    LOC_val_solution.csv, a folder or archive of XML files, or a CSV table.
    """
    options["labels"] = list(options["labels"]) or None
    _import("boxes", source, out=out, quiet=quiet, **options)


@import_.command("openimages")
@click.argument("folder", type=FILE)
@click.option(
    "--metadata",
    type=FILE,
    help="Folder of the val and test lists [default: searched for in FOLDER].",
)
@_exif
@_mask_levels
@_out
@quiet_option
def import_openimages(folder: Path, out: Path, quiet: bool, **options: Any) -> None:
    """Import OpenImages30k in the folder layout of wsolevaluation."""
    _import("openimages", folder, out=out, quiet=quiet, **options)


@import_.command("imagenet-s")
@click.argument("folder", type=FILE)
@click.option("--categories", type=FILE, help="List of the WordNet ids of the classes.")
@click.option(
    "--class-names", type=FILE, help="LOC_synset_mapping.txt, to use the class indices of ILSVRC."
)
@_out
@quiet_option
def import_imagenet_s(folder: Path, out: Path, quiet: bool, **options: Any) -> None:
    """Import the validation split of ImageNet-S."""
    _import("imagenet-s", folder, out=out, quiet=quiet, **options)


@import_.command("pet")
@click.argument("folder", type=FILE)
@_out
@quiet_option
def import_pet(folder: Path, out: Path, quiet: bool) -> None:
    """Import Oxford-IIIT Pet with its trimaps."""
    _import("pet", folder, out=out, quiet=quiet)


@import_.command("voc")
@click.argument("folder", type=FILE)
@click.option(
    "--category",
    "categories",
    multiple=True,
    metavar="NAME",
    help="Import the objects of this class alone; may be repeated.",
)
@click.option(
    "--tight-boxes", is_flag=True, help="Use the tight boxes of the objects, not the XML files."
)
@_out
@quiet_option
def import_voc(folder: Path, out: Path, quiet: bool, **options: Any) -> None:
    """Import the segmented images of PASCAL VOC that have objects of one class."""
    _import("voc", folder, out=out, quiet=quiet, **options)


@click.group()
def export() -> None:
    """Write annotation files and results in other formats."""


@export.command("coco")
@click.argument("annotations", type=FILE)
@click.option("--out", type=FILE, required=True, help="Write the JSON to this file.")
@quiet_option
def export_coco(annotations: Path, out: Path, quiet: bool) -> None:
    """Export to COCO instances JSON."""
    from ..data.export import export_coco as write

    require_json_target(out, [annotations])
    require_ending(out, "JSON")
    _export(write, annotations, out, quiet)


@export.command("png")
@click.argument("annotations", type=FILE)
@click.option("--out", type=FILE, required=True, help="Folder to create.")
@quiet_option
def export_png(annotations: Path, out: Path, quiet: bool) -> None:
    """Export to a folder of masks and a table, which `import masks` reads."""
    from ..data.export import export_png as write

    _export(write, annotations, out, quiet)


def _import(kind: str, *arguments: Path, out: Path, quiet: bool, **options: Any) -> None:
    from ..data.importers import importer
    from ..formats.annotations import UNLABELLED, write_store

    files = [value for value in options.values() if isinstance(value, Path)]
    require_target(out, [*arguments, *files, *(options.get("labels") or [])])
    require_ending(out, "HDF5")
    with bar(f"import {kind}", quiet=quiet) as progress:
        content = importer(kind)(*arguments, progress=progress, **options)
    write_store(out, content)
    splits = Counter(annotation.split for annotation in content.annotations)
    held = ", ".join(f"{count} {split}" for split, count in sorted(splits.items()))
    unknown = sum(annotation.class_index == UNLABELLED for annotation in content.annotations)
    without = [f"{unknown} images have no class, so maps for the true class cannot be predicted"]
    print_notes([*content.notes, *(without if unknown else [])])
    click.echo(f"{out}: {content.dataset}, {held}")


def _export(write: Callable[..., None], annotations: Path, out: Path, quiet: bool) -> None:
    from ..formats.annotations import AnnotationStore

    if os.path.realpath(annotations) == os.path.realpath(out):
        raise WsolbenchError(out, found="the annotation file itself", cure="name another file")
    with bar("export", quiet=quiet) as progress:
        write(AnnotationStore.open(annotations), out, progress=progress)
    click.echo(f"{out}: written")
