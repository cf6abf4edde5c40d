"""Lossless export of annotations to COCO JSON and to a folder of PNG masks.

Importing an exported file gives the same `content_sha256`, and exporting it again gives the same
bytes. Data for which COCO has no field (splits, several boxes of one mask, the class list) is
stored under additional keys, which other readers ignore.

COCO: one annotation per image with the mask as compressed run lengths and its tight box as bbox,
and a second one with iscrowd 1 for the ignored pixels; for an image without a mask one annotation
per box, without segmentation. The additional keys are `boxes` (half-open
corners) and `split` of an image, `class_index` and `key` of a category, and `wsolbench` at the top
level. The file name is the image id plus `.jpg`, whatever the photo's ending.

PNG: a folder with masks/<image id>.png, table.csv and, if needed, ignore/<image id>.png and
classes.csv. `importers.mask_folder` reads this layout.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from ..errors import WsolbenchError, require_path, require_type, some
from ..files import guard_cell, replacing, replacing_folder, require_new_folder
from ..formats.annotations import UNLABELLED, AnnotationStore
from ..image_ids import RULE, is_image_id
from ..masks import RunLengths, area, decode, tight_box, write_mask
from ..progress import Progress
from .importers.coco import PHOTO_ENDING, STORE_KEY, UNLABELLED_NAME
from .importers.mask_folder import CLASS_COLUMNS, TABLE_COLUMNS

__all__ = ["export_coco", "export_png"]


def export_coco(
    store: AnnotationStore, path: str | os.PathLike[str], *, progress: Progress | None = None
) -> None:
    """Write COCO instances JSON atomically, one record per line.

    Args:
        store: the annotations.
        path: the file, replaced if it exists.
        progress: called with (images written, images).

    Examples:
        >>> import json
        >>> store = wsolbench.AnnotationStore.open("demo/mini.h5")
        >>> wsolbench.export_coco(store, "instances.json")
        >>> with open("instances.json") as file:
        ...     len(json.load(file)["images"])
        240
    """
    require_type("store", store, (AnnotationStore,), "an AnnotationStore, such as dataset.store")
    head = {"dataset": store.dataset, "classes": [list(pair) for pair in store.classes]}
    with replacing(path) as temporary, open(temporary, "w", encoding="ascii", newline="") as file:
        file.write(f'{{"info": {_json({"description": store.dataset})},\n')
        file.write(f'"{STORE_KEY}": {_json(head)},\n"categories": [\n')
        _write_lines(file, _categories(store))
        file.write('],\n"images": [\n')
        _write_lines(file, (_image(store, row) for row in range(len(store))))
        file.write('],\n"annotations": [\n')
        _write_lines(file, _annotations(store, progress))
        file.write("]}\n")


def export_png(
    store: AnnotationStore, folder: str | os.PathLike[str], *, progress: Progress | None = None
) -> None:
    """Write a folder of masks and a table atomically.

    Args:
        store: the annotations; each image must have a mask and a box, because the folder cannot
            express that an image has none.
        folder: the folder to create; it may exist if it is empty.
        progress: called with (masks written, masks).

    Raises:
        WsolbenchError: the folder is not empty, its parent is missing, an image has no mask or no
            box, an image id cannot be a file name, or a class name cannot be stored in CSV.

    Examples:
        >>> store = wsolbench.AnnotationStore.open("demo/mini.h5")
        >>> wsolbench.export_png(store, "masks")
        >>> from pathlib import Path
        >>> sorted(path.name for path in Path("masks").iterdir())
        ['classes.csv', 'masks', 'table.csv']
    """
    require_type("store", store, (AnnotationStore,), "an AnnotationStore, such as dataset.store")
    require_path("folder", folder, "the path of the folder to create")
    target = Path(folder)
    require_new_folder(target)
    bare = [
        image_id for image_id, n in zip(store.image_ids, store.box_counts, strict=True) if not n
    ]
    unmasked = [
        name for name, masked in zip(store.image_ids, store.masked, strict=True) if not masked
    ]
    for kind, lacking in (("box", bare), ("mask", unmasked)):
        if lacking:
            raise WsolbenchError(
                store.path,
                found=f"{len(lacking)} images without a {kind}: {some(lacking)}",
                expected=f"a {kind} of every image",
                cure="export as coco (wsolbench export coco)",
            )
    strange = [image_id for image_id in store.image_ids if not is_image_id(image_id)]
    if strange:  # a name such as ../x would be written elsewhere
        raise WsolbenchError(
            store.path,
            found=f"{len(strange)} image ids that cannot be file names: {some(strange)}",
            expected=RULE,
            cure="import the annotations again with this version of wsolbench",
        )
    unfit = [f"class {index}" for index, pair in enumerate(store.classes) if not _fits_csv(pair)]
    if unfit:
        raise WsolbenchError(
            store.path,
            found=f"{len(unfit)} class names that CSV cannot store: {some(unfit)}",
            expected=f"no NUL, no lone surrogate, fewer than {csv.field_size_limit()} characters",
            cure="export as coco",
        )
    with replacing_folder(target) as temporary:
        (temporary / "masks").mkdir(parents=True)
        if store.has_ignore:
            (temporary / "ignore").mkdir()
        for row, image_id in enumerate(store.image_ids):
            write_mask(temporary / "masks" / f"{image_id}.png", store.mask(row))
            ignored = store.ignore(row)
            if ignored is not None:
                write_mask(temporary / "ignore" / f"{image_id}.png", ignored)
            if progress is not None:
                progress(row + 1, len(store))
        _write_csv(temporary / "table.csv", TABLE_COLUMNS, _table_rows(store))
        if store.classes:
            # Quoted, because a name may contain a carriage return.
            _write_csv(temporary / "classes.csv", CLASS_COLUMNS, store.classes, quoted=True)


def _categories(store: AnnotationStore) -> list[dict[str, object]]:
    used = sorted({int(index) for index in store.class_indices})
    indices = sorted({*used, *range(len(store.classes))})
    categories: list[dict[str, object]] = []
    for index in indices:
        if index == UNLABELLED:
            key, name = "", UNLABELLED_NAME
        else:
            key, name = store.classes[index] if store.classes else (str(index), f"class {index}")
        categories.append({"class_index": index, "id": index + 1, "key": key, "name": name})
    return categories


def _image(store: AnnotationStore, row: int) -> dict[str, object]:
    return {
        "boxes": store.boxes(row).tolist(),
        "file_name": f"{store.image_ids[row]}{PHOTO_ENDING}",
        "height": int(store.heights[row]),
        "id": row + 1,
        "split": store.splits[row],
        "width": int(store.widths[row]),
    }


def _annotations(store: AnnotationStore, progress: Progress | None) -> Iterable[dict[str, object]]:
    number = 0
    for row in range(len(store)):
        category = int(store.class_indices[row]) + 1
        regions = (store.run_lengths(row), store.ignore_run_lengths(row))
        for crowd, run_lengths in enumerate(regions):
            if run_lengths is not None and run_lengths.counts:
                number += 1
                yield _annotation(number, row + 1, category, crowd, run_lengths)
        for box in [] if regions[0].counts else store.boxes(row).tolist():
            number += 1
            yield _detection(number, row + 1, category, box)
        if progress is not None:
            progress(row + 1, len(store))


def _annotation(
    number: int, image: int, category: int, crowd: int, run_lengths: RunLengths
) -> dict[str, object]:
    pixels = area(run_lengths)
    x0, y0, x1, y1 = tight_box(decode(run_lengths)) if pixels else (0, 0, 0, 0)
    return {
        "area": pixels,
        "bbox": [x0, y0, x1 - x0, y1 - y0],
        "category_id": category,
        "id": number,
        "image_id": image,
        "iscrowd": crowd,
        "segmentation": {
            "counts": run_lengths.counts.decode("ascii"),
            "size": [run_lengths.height, run_lengths.width],
        },
    }


def _detection(number: int, image: int, category: int, box: Sequence[int]) -> dict[str, object]:
    """The annotation of a box of an image without a mask."""
    x0, y0, x1, y1 = box
    return {
        "area": (x1 - x0) * (y1 - y0),
        "bbox": [x0, y0, x1 - x0, y1 - y0],
        "category_id": category,
        "id": number,
        "image_id": image,
        "iscrowd": 0,
    }


def _fits_csv(texts: Iterable[str]) -> bool:
    joined = "".join(texts)
    whole = joined.encode(errors="replace").decode() == joined
    return whole and "\0" not in joined and len(joined) < csv.field_size_limit()


def _table_rows(store: AnnotationStore) -> Iterable[Sequence[object]]:
    for row, image_id in enumerate(store.image_ids):
        size = (int(store.heights[row]), int(store.widths[row]))
        for box in store.boxes(row).tolist():
            yield image_id, int(store.class_indices[row]), store.splits[row], *size, *box


def _write_csv(
    path: Path,
    header: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    quoted: bool = False,
) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(
        text, lineterminator="\n", quoting=csv.QUOTE_ALL if quoted else csv.QUOTE_MINIMAL
    )
    writer.writerow(header)
    for row in rows:
        writer.writerow([guard_cell(cell) if isinstance(cell, str) else cell for cell in row])
    path.write_bytes(text.getvalue().encode())


def _write_lines(file: io.TextIOBase, records: Iterable[dict[str, object]]) -> None:
    separator = ""
    for record in records:
        file.write(separator + _json(record))
        separator = ",\n"
    file.write("\n")


def _json(value: object) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=True, allow_nan=False)
