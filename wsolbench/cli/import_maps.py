"""Submissions from folders of maps or edges: `import-maps`, `import-edges`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..files import path_per_name, require_ending, require_target
from ..progress import bar
from .options import (
    FILE,
    annotations_option,
    check_store_options,
    dataset_option,
    normalise_option,
    overwrite_option,
    quiet_option,
    resume_option,
    submission_option,
    training_seed_option,
)
from .printing import print_notes

__all__ = ["import_edges", "import_maps"]


_folder_argument = click.argument("folder", type=FILE)
_split_option = click.option(
    "--split", default="val", show_default=True, help="Split of the images."
)
_name_option = click.option(
    "--name", help="Name of the method in tables [default: the folder's name]."
)
_backbone_option = click.option("--backbone", help="Name of the network in tables.")
_scale_option = click.option(
    "--scale",
    type=click.Choice(["1", "255", "65535"]),
    help="Number that means 1 in the files [default: 255 in 8 bits, 65535 in 16 bits, 1 in "
    "floats, unless all files together leave it open].",
)
_clip_option = click.option(
    "--clip", is_flag=True, help="Cut values that leave 0 to 1 by rounding (at most 0.001)."
)
_dtype_option = click.option(
    "--dtype",
    type=click.Choice(["uint8", "float16", "float32"]),
    help="Number type in which maps are stored [default: float32, or uint8 for 8-bit files].",
)
_missing_option = click.option(
    "--allow-missing", is_flag=True, help="Write the submission even if some images have no file."
)


@click.command("import-maps")
@_folder_argument
@annotations_option
@dataset_option
@_split_option
@_name_option
@_backbone_option
@training_seed_option
@normalise_option
@click.option(
    "--label",
    type=click.Choice(["gt", "predicted"]),
    default="gt",
    show_default=True,
    help="Class of each map: the annotated class, or the method's own prediction.",
)
@click.option(
    "--top5", type=FILE, help="CSV file of predicted classes: columns image_id, top1 to top5."
)
@click.option(
    "--edges",
    type=FILE,
    help="Folder of boundary probabilities of the same images, to store with the maps; see "
    "import-edges.",
)
@_dtype_option
@_missing_option
@click.option(
    "--centre-crop",
    metavar="RESIZE/CROP",
    help="Crop of the photo that the maps show, such as 256/224: the shorter side is resized to "
    "256 pixels and the middle 224x224 kept; 256x256/224 resizes to 256x256 first [default: the "
    "whole photo].",
)
@_scale_option
@_clip_option
@resume_option
@overwrite_option
@submission_option
@quiet_option
def import_maps(
    folder: Path,
    annotations: Path | None,
    dataset: str | None,
    split: str,
    name: str | None,
    backbone: str | None,
    training_seed: int | None,
    normalise: str | None,
    centre_crop: str | None,
    edges: Path | None,
    out: Path,
    quiet: bool,
    **options: Any,
) -> None:
    """Make a submission from a folder of maps.

    The folder contains a file for each image of the split, such as <image id>.npy, .png, .jpg or
    .tif, perhaps in subfolders. Files of other images are left out.

    Values must be floats from 0 to 1 or 8-bit integers; --normalise converts other values. Edges
    are never normalised.
    """
    from ..data.dataset import Dataset
    from ..formats.annotations import find_annotations
    from ..maps.folders import import_maps as write_maps
    from ..maps.normalisations import normalisations_named
    from ..maps.windows import centre_crop_named

    check_store_options(annotations, dataset)
    require_ending(out, "HDF5")
    window = None if centre_crop is None else centre_crop_named(centre_crop)
    wanted = normalisations_named(normalise or "none")
    outs = dict(zip(wanted, path_per_name(out, [own.name for own in wanted]), strict=True))
    found = find_annotations(annotations, dataset)
    for target in outs.values():
        require_target(target, [found])
    method = _method(folder, name, backbone, training_seed)
    with bar("import-maps", "map", quiet=quiet) as progress:
        opened = Dataset.open(found, split)
        imported = write_maps(
            folder,
            opened,
            outs,
            method=method,
            edges=edges,
            window=window,
            progress=progress,
            **options,
        )
    held = "maps" if edges is None else "maps and edges"
    for target in outs.values():
        click.echo(f"{target}: {imported.maps} {held} of {opened.name} {split}")
    print_notes(imported.notes)


@click.command("import-edges")
@_folder_argument
@annotations_option
@dataset_option
@_split_option
@_name_option
@_backbone_option
@training_seed_option
@_dtype_option
@_missing_option
@_scale_option
@_clip_option
@resume_option
@overwrite_option
@submission_option
@quiet_option
def import_edges(
    folder: Path,
    annotations: Path | None,
    dataset: str | None,
    split: str,
    name: str | None,
    backbone: str | None,
    training_seed: int | None,
    out: Path,
    quiet: bool,
    **options: Any,
) -> None:
    """Make a submission of edges alone from a folder of edge maps.

    The folder contains a file for each image of the split, such as <image id>.png, .npy, .jpg or
    .tif: the probability of a boundary at each pixel, from 0 to 1, or 8 bits. Any size is read;
    that of the photo keeps the most.

    \b
    wsolbench import-edges hed --annotations animals.h5 --out hed.h5
    wsolbench evaluate hed.h5 --annotations animals.h5
    """
    from ..data.dataset import Dataset
    from ..formats.annotations import find_annotations
    from ..maps.folders import import_edges as write_edges

    check_store_options(annotations, dataset)
    require_ending(out, "HDF5")
    found = find_annotations(annotations, dataset)
    require_target(out, [found])
    method = _method(folder, name, backbone, training_seed)
    with bar("import-edges", "map", quiet=quiet) as progress:
        opened = Dataset.open(found, split)
        imported = write_edges(folder, opened, out, method=method, progress=progress, **options)
    click.echo(f"{out}: edges of {imported.maps} images of {opened.name} {split}")
    print_notes(imported.notes)


def _method(
    folder: Path, name: str | None, backbone: str | None, training_seed: int | None
) -> dict[str, object]:
    method: dict[str, object] = {"name": name or folder.resolve().name}
    if backbone:
        method["backbone"] = backbone
    if training_seed is not None:
        method["seed"] = training_seed
    return method
