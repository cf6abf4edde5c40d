"""Measure network-free baselines on the boxes of the ILSVRC validation images; write entries.

    python leaderboard/make_ilsvrc_boxes.py --val-list ILSVRC_Val_Mask_23151.txt \\
        --sizes image_sizes.txt --boxes localization.txt [FOLDER]

The lists are the ones that `wsolbench import ilsvrc` takes (annotations/README.md says where to get
them). Masks are neither needed nor scored, because GT-known localization uses only boxes. The
annotation file is therefore of a separate data set, `ilsvrc-boxes`, without masks.

Splits: "val" has the images of the val list, which have the released val masks; "others" has all
other images. It is not the test split: 5,729 of its images have no mask, and the lists do not say
which. "all" has all 50,000 images, on which most papers report box accuracy. An image has only one
split in an annotation file, so "all" has a separate file.

Annotations, maps and results are kept in FOLDER (default: ilsvrc-boxes-run), so that
`wsolbench leaderboard verify` can score them again. Only scores go into the entries.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from wsolbench.baselines.trivial import predict_trivial
from wsolbench.data.dataset import Dataset
from wsolbench.data.importers.corners import Corners, evidence_of, settle, whole_boxes
from wsolbench.data.importers.ilsvrc_lists import read_box_list, read_sizes, read_val_list
from wsolbench.data.importers.mask_files import MaskRecord, annotations_of
from wsolbench.data.importers.tables import source_of
from wsolbench.errors import WsolbenchError, some
from wsolbench.evaluation.run import evaluate
from wsolbench.formats.annotations import UNLABELLED, AnnotationSet, write_store
from wsolbench.formats.result import Bootstrap, Result
from wsolbench.leaderboard import About, add
from wsolbench.leaderboard.entries import read_entry
from wsolbench.masks import RunLengths

ROOT = Path(__file__).resolve().parent
DATASET = "ilsvrc-boxes"
SPLITS = ("val", "others")
"""The threshold is chosen on the first and used for the second."""

TOGETHER = "all"
"""Both splits; its threshold is chosen on itself."""

NAMES = ("centre-gaussian", "whole-image", "centre-box", "noise")
"""Without "mask", since there are no masks."""

MAP_SIZE = 28
"""Height and width of the maps, as of the paper's networks at 224 x 224."""

DRAWN = Bootstrap(1000)
NOTE = 10
"""Number of the note that explains these scores."""

NOTES = (
    "there are boxes, but no masks",
    "boxes are listed with inclusive far corners: half-open is 1 more",
    "val are the images of the val list; others are all that remain, whether they have a mask or "
    "not; all are both",
    "no labels were given: the classes are not known",
)


def main() -> None:
    """Replace the entries of the data set by new ones."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--val-list", type=Path, required=True, help="ids of the val masks")
    parser.add_argument("--sizes", type=Path, required=True, help="widths and heights")
    parser.add_argument("--boxes", type=Path, required=True, help="boxes, inclusive corners")
    parser.add_argument("folder", type=Path, nargs="?", default=Path("ilsvrc-boxes-run"))
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    for old in (ROOT / "entries" / DATASET).glob("*.json"):
        old.unlink()
    parts = box_annotations(given.val_list, given.sizes, given.boxes)
    whole = [replace(annotation, split=TOGETHER) for annotation in parts.annotations]
    store, both = (given.folder / f"{DATASET}{end}.h5" for end in ("", f"-{TOGETHER}"))
    write_store(store, parts)
    write_store(both, replace(parts, annotations=whole))
    lists = (
        f"--val-list {given.val_list.name} --sizes {given.sizes.name} --boxes {given.boxes.name}"
    )
    for name in NAMES:
        chosen: Result | None = None
        for split in SPLITS:
            chosen = _measure(store, name, split, chosen, lists)
        _measure(both, name, TOGETHER, None, lists)


def box_annotations(val_list: Path, sizes: Path, boxes: Path) -> AnnotationSet:
    """Every image of the list of sizes, with its boxes.

    Raises:
        WsolbenchError: a list is malformed, or an image is missing in one of the lists.
    """
    val = set(read_val_list(val_list))
    known_sizes = read_sizes(sizes)
    listed = read_box_list(boxes)
    for path, found in ((val_list, val), (boxes, listed.keys())):
        strangers = sorted(found - known_sizes.keys())
        _refuse(sizes, strangers, f"of {path.name} without a size")
    _refuse(boxes, sorted(known_sizes.keys() - listed.keys()), f"of {sizes.name} without a box")
    corners = settle(boxes, evidence_of(listed, known_sizes), published=Corners.INCLUSIVE)
    known_boxes, _ = whole_boxes(boxes, listed, known_sizes, corners)
    records = [
        MaskRecord(
            image_id,
            SPLITS[0] if image_id in val else SPLITS[1],
            UNLABELLED,
            RunLengths(height, width, b""),
            known_boxes[image_id],
        )
        for image_id, (height, width) in known_sizes.items()
    ]
    sources = [source_of(path) for path in (val_list, sizes, boxes)]
    return AnnotationSet(DATASET, annotations_of(records), sources=sources, notes=NOTES)


def _refuse(path: Path, images: Sequence[str], what: str) -> None:
    if images:
        raise WsolbenchError(
            path,
            found=f"{len(images)} images {what}: {some(images)}",
            expected="lists of the same images",
            cure="use the lists of all 50,000 images and their val list",
        )


def _measure(store: Path, name: str, split: str, chosen: Result | None, lists: str) -> Result:
    dataset = Dataset.open(store, split)
    maps = store.with_name(f"{name}-{split}.h5")
    predict_trivial(dataset, maps, name, size=MAP_SIZE, overwrite=True)
    result = evaluate(dataset, maps, metrics=["box"], threshold=chosen, bootstrap=DRAWN)
    result.write(maps.with_suffix(".json"))
    about = About(
        authors="The wsolbench authors",
        supervision="none",
        licence="Apache-2.0",
        date="2026-11",
        command=f"python leaderboard/make_ilsvrc_boxes.py {lists}",
        backbone="none",
        map_size=f"maps {MAP_SIZE} x {MAP_SIZE}",
    )
    path = add(result, about, ROOT)
    replace(read_entry(path), footnotes={"entry": [NOTE]}).write(ROOT)
    print(path)
    return result


if __name__ == "__main__":
    main()
