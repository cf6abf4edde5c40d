"""Every fault of a submission at once."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ...errors import WsolbenchError, require_type
from ...image_ids import are_file_names, bare_name
from ...progress import Progress
from ..annotations import AnnotationStore
from .rules import WITHIN_RULE, Fault, misplaced_windows, unknown_classes
from .scan import FAULTS_PER_KIND, Maps, Scan, block_faults, row_fault, scan_file

__all__ = ["validate"]


def validate(
    path: str | os.PathLike[str],
    store: AnnotationStore | str | os.PathLike[str] | None = None,
    split: str | None = None,
    progress: Progress | None = None,
) -> list[Fault]:
    """All faults of a submission; an empty list if it is valid.

    Args:
        path: the file.
        store: the annotations of its data set, or their file; if given, ids, splits, classes and
            boxes are compared with them.
        split: the expected split; by default the one stated in the submission.
        progress: called with (maps read, maps).

    Returns:
        The faults, in the order structure, header, columns, maps, annotations; at most
        `FAULTS_PER_KIND` of each kind, followed by one that counts the others.

    Raises:
        WsolbenchError: the file is missing or not HDF5.

    Examples:
        >>> wsolbench.validate("demo/sem-val.h5", "demo/mini.h5")
        []
    """
    require_type(
        "annotations",
        store,
        (AnnotationStore, str, os.PathLike, type(None)),
        "an AnnotationStore (dataset.store) or its path",
    )
    require_type("split", split, (str, type(None)), "the name of a split or None")
    if isinstance(store, (str, os.PathLike)):
        store = AnnotationStore.open(store)
    scan = scan_file(path)
    faults = list(scan.faults)
    try:
        for name, maps, crc32 in (
            ("maps", scan.maps, scan.crc32),
            ("edges", scan.edges, scan.edges_crc32),
        ):
            if maps is not None:
                faults += _content_faults(
                    name, maps, crc32, scan.image_ids, progress, alone=scan.maps is None
                )
    finally:
        scan.file.close()
    if split is not None and scan.header is not None and scan.header.split != split:
        faults.append(
            Fault(
                "split",
                "attribute split",
                f"a submission for the split {scan.header.split!r}",
                repr(split),
                f"score it on {scan.header.split!r}, or make maps for {split!r}",
            )
        )
    if store is not None:
        faults += _store_faults(scan, store, split)
    return _capped(faults)


def _content_faults(
    name: str,
    maps: Maps,
    crc32: NDArray[np.uint32] | None,
    ids: Sequence[str] | None,
    progress: Progress | None,
    *,
    alone: bool,
) -> list[Fault]:
    faults: list[Fault] = []
    for start, stop in maps.blocks():
        try:
            faults += block_faults(name, maps.read(start, stop), start, ids, crc32)
        except WsolbenchError:
            for row in range(start, stop):
                faults += _single_faults(name, maps, row, ids, crc32)
        if progress is not None and (name == "maps" or alone):
            progress(stop, len(maps.shapes))
    return faults


def _single_faults(
    name: str, maps: Maps, row: int, ids: Sequence[str] | None, crc32: NDArray[np.uint32] | None
) -> list[Fault]:
    try:
        return list(block_faults(name, maps.read(row, row + 1), row, ids, crc32))
    except WsolbenchError as error:
        return [row_fault(name, name, row, ids, error.found, error.expected)]


def _store_faults(scan: Scan, store: AnnotationStore, split: str | None) -> list[Fault]:
    faults: list[Fault] = []
    header = scan.header
    if header is not None and header.dataset != store.dataset:
        faults.append(
            Fault(
                "header",
                "attribute dataset",
                repr(header.dataset),
                f"{store.dataset!r}, as in the annotations",
                "name annotations of the same data set",
            )
        )
        if not set(scan.image_ids or ()) & set(store.image_ids):
            return faults  # one cause, so not a fault for every image
    wanted = split or (header.split if header is not None else None)
    splits = sorted(set(store.splits))
    if wanted is not None and wanted not in splits:
        faults.append(
            Fault(
                "split",
                "attribute split" if split is None else "split",
                repr(wanted),
                f"one of {', '.join(map(repr, splits))} in the annotations",
                "name another split or other annotations",
            )
        )
        wanted = None
    place = {image_id: at for at, image_id in enumerate(store.image_ids)}
    if scan.image_ids is not None:
        held = "map" if scan.maps is not None or scan.edges is None else "edges"
        faults += _membership_faults(scan.image_ids, store, place, wanted, held)
        faults += _range_faults(scan, store, place)
    return faults


def _membership_faults(
    ids: Sequence[str],
    store: AnnotationStore,
    place: Mapping[str, int],
    split: str | None,
    held: str,
) -> list[Fault]:
    homes = Counter(store.splits[place[image_id]] for image_id in ids if image_id in place)
    if split is not None and homes and split not in homes:
        others = ", ".join(f"{count} of {name!r}" for name, count in sorted(homes.items()))
        return [
            Fault(
                "split",
                "image_id",
                f"only maps of other splits ({others})",
                f"the {sum(name == split for name in store.splits)} images of {split!r}",
                f"score it on {homes.most_common(1)[0][0]!r}, or make maps for {split!r}",
            )
        ]
    strangers = [image_id for image_id in ids if image_id not in place]
    if are_file_names(strangers, place.keys()):
        found = f"{len(strangers)} file names instead of image ids, such as {strangers[0]!r}"
        expected = f"ids without folder and ending, such as {bare_name(strangers[0])!r}"
        cure = "write the submission with these ids"
        return [Fault("unknown-id", "image_id", found, expected, cure, strangers[0])]
    faults: list[Fault] = []
    for row, image_id in enumerate(ids):
        if image_id not in place:
            found = f"{image_id!r}, which is not in the annotations"
        elif split is not None and store.splits[place[image_id]] != split:
            found = f"an image of the split {store.splits[place[image_id]]!r}"
        else:
            continue
        expected = "images of the annotations" if split is None else f"images of {split!r}"
        faults.append(
            row_fault("unknown-id", "image_id", row, ids, found, expected, cure="leave it out")
        )
    present = set(ids)
    for image_id, home in zip(store.image_ids, store.splits, strict=True):
        if home == split and image_id not in present:
            faults.append(
                Fault(
                    "missing-id",
                    "image_id",
                    f"no {held} of {image_id}",
                    f"{'one' if held == 'map' else held} for each image of {split!r}",
                    f"make {'it' if held == 'map' else 'them'}, or evaluate with --allow-missing",
                    image_id,
                )
            )
    return faults


def _range_faults(scan: Scan, store: AnnotationStore, place: Mapping[str, int]) -> Iterator[Fault]:
    ids = scan.image_ids or []
    classes = len(store.classes)
    if scan.top5 is not None and classes:
        for row in np.flatnonzero(unknown_classes(scan.top5, classes)).tolist():
            found, expected = str(scan.top5[row].tolist()), f"class indices below {classes}"
            yield row_fault("top5", "top5", row, ids, found, expected)
    if scan.boxes is not None:
        heights, widths = store.heights, store.widths
        for row, (_, _, x1, y1) in enumerate(scan.boxes.tolist()):
            at = place.get(ids[row])
            if at is not None and (x1 > widths[at] or y1 > heights[at]):
                found = str(scan.boxes[row].tolist())
                expected = f"a box within {widths[at]}x{heights[at]} pixels"
                yield row_fault("boxes", "boxes", row, ids, found, expected)
    if scan.windows is not None:
        known = np.array([row for row, name in enumerate(ids) if name in place], dtype=np.int64)
        at_store = [place[ids[row]] for row in known.tolist()]
        heights, widths = store.heights[at_store], store.widths[at_store]
        for row in known[misplaced_windows(scan.windows[known], heights, widths)].tolist():
            at = place[ids[row]]
            found = f"{scan.windows[row].tolist()} in {store.widths[at]}x{store.heights[at]} pixels"
            yield row_fault("window", "window", row, ids, found, WITHIN_RULE)


def _capped(faults: Iterable[Fault]) -> list[Fault]:
    counts = Counter[str]()
    kept: list[Fault] = []
    for fault in faults:
        counts[fault.kind] += 1
        if counts[fault.kind] <= FAULTS_PER_KIND:
            kept.append(fault)
    for kind, count in counts.items():
        if count > FAULTS_PER_KIND:
            rest = f"{count - FAULTS_PER_KIND} more faults of the kind {kind!r}"
            kept.append(Fault(kind, "", rest, "", "correct the listed ones first"))
    return kept
