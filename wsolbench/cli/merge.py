"""One submission from several: `merge`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from ..errors import counted
from ..files import require_ending
from ..progress import bar
from .options import (
    FILE,
    json_option,
    overwrite_option,
    quiet_option,
    resume_option,
    submission_option,
)
from .printing import print_notes

__all__ = ["merge"]


@click.command()
@click.argument("shards", type=FILE, nargs=-1, metavar="SHARD...")
@click.option(
    "--annotations",
    type=FILE,
    help="Store the maps in the order of this annotation file, and count the images without a map "
    "[default: sort by image id].",
)
@resume_option
@overwrite_option
@submission_option
@json_option
@quiet_option
def merge(
    shards: tuple[Path, ...],
    annotations: Path | None,
    resume: bool,
    overwrite: bool,
    out: Path,
    as_json: bool,
    quiet: bool,
) -> None:
    """Join submissions of different images of one split.

    Each SHARD is a submission that one of several processes or machines made, all with the same
    settings. Files whose headers or columns differ, or that hold the same image, are refused.
    """
    from ..formats.annotations import AnnotationStore
    from ..formats.submission.merge import merge_submissions

    require_ending(out, "HDF5")
    order = None if annotations is None else AnnotationStore.open(annotations)
    with bar("merge", "map", quiet=quiet) as progress:
        merged = merge_submissions(
            shards, out, order=order, resume=resume, overwrite=overwrite, progress=progress
        )
    if as_json:
        content = {
            "out": str(out),
            "maps": merged.maps,
            "dataset": merged.dataset,
            "split": merged.split,
            "files": merged.files,
            "missing": merged.missing,
        }
        click.echo(json.dumps(content, indent=1, sort_keys=True))
    else:
        files = counted(merged.files, "file")
        held = f"edges of {merged.maps} images" if merged.edges_alone else f"{merged.maps} maps"
        click.echo(f"{out}: {held} of {merged.dataset} {merged.split} from {files}")
    print_notes(merged.notes)
