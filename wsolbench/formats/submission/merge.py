"""One submission from several files that hold different images of one split.

Several processes or machines can each predict a part of a split (`Dataset.shard`), each into a file
of its own. `merge_submissions` joins these *shards*: stored types, values, shapes and columns are
carried over unchanged, so that the file has the bytes that one run over all images would have
written in the same order. Shards that disagree in anything but their images are refused.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import WsolbenchError, require_items, some
from ...files import require_target
from ...progress import Progress
from ..annotations import AnnotationStore
from .reader import Submission
from .rules import SubmissionHeader, field_difference
from .scan import BLOCK_BYTES
from .writer import SubmissionWriter

__all__ = ["Merged", "merge_submissions"]

_BATCH = 1024  # images read at a time, or fewer if they exceed BLOCK_BYTES

_HEADER = ("dataset", "split", "label", "normalisation", "method")

_COLUMNS = ("top5", "boxes", "windows")


@dataclass(frozen=True)
class Merged:
    """What `merge_submissions` did.

    Attributes:
        maps: number of maps in the submission, or of images with edges if it holds edges alone.
        files: number of shards.
        dataset, split: what the maps are of.
        missing: number of images of the given order without a map; None if no order was given.
        notes: what a reader of the submission should know, e.g. that images are missing.
        edges_alone: whether the submission holds edges and no maps.
    """

    maps: int
    files: int
    dataset: str
    split: str
    missing: int | None = None
    notes: tuple[str, ...] = ()
    edges_alone: bool = False


def merge_submissions(
    shards: Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    *,
    order: AnnotationStore | Sequence[str] | None = None,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Merged:
    """Join submissions that hold different images of one split into one submission.

    Memory use does not grow with the maps. The submission is written completely or not at all.

    Args:
        shards: the files, in any order; they agree in header, type of maps, and in whether they
            have top5, boxes, edges and windows. One file alone is copied in the new order.
        out: the submission to write; an existing file is replaced.
        order: the images of the split: its annotations, or ids such as `dataset.image_ids`, in
            which order the maps are stored. Images without a map are counted. None sorts by id.
        resume: continue an unfinished merge of the same shards.
        overwrite: discard an unfinished merge.
        progress: called with (maps written, maps).

    Returns:
        How many maps of how many files were written, and how many are missing.

    Raises:
        WsolbenchError: there is no shard, or one is given twice, is damaged or is the target (exit
            status 2 or 1); shards disagree, two hold the same image, or one holds an image outside
            the given order (1).

    Examples:
        >>> from wsolbench.baselines import predict_trivial
        >>> dataset = wsolbench.Dataset.open("demo/mini.h5")
        >>> for part in (0, 1):
        ...     predict_trivial(dataset.shard(part, 2), f"{part}.h5", "noise")
        >>> wsolbench.merge_submissions(["0.h5", "1.h5"], "maps.h5").maps
        120
    """
    if not isinstance(shards, (str, os.PathLike)):
        require_items("shards", shards, (str, os.PathLike), "a list of paths")
    paths = [shards] if isinstance(shards, (str, os.PathLike)) else list(shards)
    if not paths:
        raise WsolbenchError("merge", found="no submission", cure="name the files to merge")
    require_target(out, [*paths, order.path if isinstance(order, AnnotationStore) else None])
    with ExitStack() as stack:
        opened = [stack.enter_context(Submission.open(path)) for path in paths]
        _require_different_files(opened)
        for shard in opened[1:]:
            _require_same_header(opened[0], shard)
            _require_same_columns(opened[0], shard)
        places = _places_by_id(opened)
        listed = _ids_in_order(order, opened, places)
        ids = [image_id for image_id in listed if image_id in places]
        _write(opened, ids, places, out, resume=resume, overwrite=overwrite, progress=progress)
    header, alone = opened[0].header, opened[0].shapes is None
    merged = Merged(len(ids), len(opened), header.dataset, header.split, edges_alone=alone)
    if order is None:
        return merged
    missing = [image_id for image_id in listed if image_id not in places]
    notes: tuple[str, ...] = ()
    if missing:
        title = f"{header.dataset} {header.split}"
        count = f"{len(missing)} of {len(listed)} images of {title}"
        notes = (f"{count} have no {'edges' if alone else 'map'} yet: {some(missing)}",)
    return replace(merged, missing=len(missing), notes=notes)


def _require_different_files(shards: Sequence[Submission]) -> None:
    seen: dict[tuple[int, int], Path] = {}
    for shard in shards:
        status = os.stat(shard.path)
        first = seen.setdefault((status.st_dev, status.st_ino), shard.path)
        if first is not shard.path:
            raise WsolbenchError(
                shard.path,
                found="the same file twice" + (f" (as {first})" if first != shard.path else ""),
                expected="each file once",
                cure="name it once",
            )


def _require_same_header(first: Submission, shard: Submission) -> None:
    for name in _HEADER:
        differs = field_difference(name, getattr(shard.header, name), getattr(first.header, name))
        if differs is not None:
            cure = "merge only files that were made with the same settings"
            raise _disagreement(shard, *differs, first, cure)


def _require_same_columns(first: Submission, shard: Submission) -> None:
    wanted = _columns_in_words(first)
    for name, found in _columns_in_words(shard).items():
        if found != wanted[name]:
            cure = "make all files with the same columns and types"
            raise _disagreement(shard, found, wanted[name], first, cure)


def _disagreement(
    shard: Submission, found: str, expected: str, first: Submission, cure: str
) -> WsolbenchError:
    return WsolbenchError(
        shard.path, found=found, expected=f"{expected} as in {first.path}", cure=cure, exit_status=1
    )


def _columns_in_words(shard: Submission) -> dict[str, str]:
    words = {"maps": "no maps" if shard.dtype is None else f"maps of {shard.dtype}"}
    words["edges"] = "no edges" if shard.edge_dtype is None else f"edges of {shard.edge_dtype}"
    for name in _COLUMNS:
        words[name] = f"no {name}" if getattr(shard, name) is None else name
    return words


def _places_by_id(shards: Sequence[Submission]) -> dict[str, int]:
    """The position of each image, counted through all shards."""
    places: dict[str, int] = {}
    first_places: list[int] = []
    for shard in shards:
        twice = [image_id for image_id in shard.image_ids if image_id in places]
        if twice:
            owners = np.searchsorted(first_places, [places[name] for name in twice], side="right")
            other = shards[owners[0] - 1]
            both = zip(twice, owners, strict=True)
            shared = [image_id for image_id, owner in both if owner == owners[0]]
            raise WsolbenchError(
                shard.path,
                found=f"{_images(len(shared))} that {other.path} holds too: {some(shared)}",
                expected="each image in one file",
                cure="leave out one of the files, or predict each image only once",
                exit_status=1,
            )
        first_places.append(len(places))
        places |= {image_id: row for row, image_id in enumerate(shard.image_ids, len(places))}
    return places


def _ids_in_order(
    order: AnnotationStore | Sequence[str] | None,
    shards: Sequence[Submission],
    places: Collection[str],
) -> list[str]:
    """The ids of the split in the order wanted, perhaps more than there are maps."""
    if order is None:
        return sorted(places)
    if isinstance(order, AnnotationStore):
        listed = _ids_of_split(order, shards[0])
    else:
        listed = [order] if isinstance(order, str) else list(order)
    known = set(listed)
    if len(known) < len(listed):
        twice = [image_id for image_id, times in Counter(listed).items() if times > 1]
        raise WsolbenchError(
            "order",
            found=f"repeated ids: {some(twice)}",
            expected="each id once",
            cure="remove the repeated ids",
        )
    for shard in shards:
        strangers = [image_id for image_id in shard.image_ids if image_id not in known]
        if strangers:
            header = shard.header
            raise WsolbenchError(
                shard.path,
                found=f"{_images(len(strangers))} outside the given {_images(len(listed))} of "
                f"{header.dataset} {header.split}: {some(strangers)}",
                expected="only maps of these images",
                cure="name the annotations that the maps were made with, or leave the file out",
                exit_status=1,
            )
    return listed


def _ids_of_split(store: AnnotationStore, shard: Submission) -> list[str]:
    splits = sorted(set(store.splits))
    header = shard.header
    for name, own, known in (
        ("data set", header.dataset, [store.dataset]),
        ("split", header.split, splits),
    ):
        if own not in known:
            raise WsolbenchError(
                shard.path,
                found=f"maps of the {name} {own!r}",
                expected=f"{', '.join(map(repr, known))} as in {store.path}",
                cure=f"name annotations of the {name} of the maps",
                exit_status=1,
            )
    pairs = zip(store.image_ids, store.splits, strict=True)
    return [image_id for image_id, split in pairs if split == header.split]


def _images(count: int) -> str:
    return f"{count} image{'' if count == 1 else 's'}"


def _write(
    shards: Sequence[Submission],
    ids: Sequence[str],
    places: Mapping[str, int],
    out: str | os.PathLike[str],
    *,
    resume: bool,
    overwrite: bool,
    progress: Progress | None,
) -> None:
    header: SubmissionHeader = shards[0].header
    first_places = np.cumsum([0, *map(len, shards)])[:-1]
    columns = {name: _joined(shards, name) for name in _COLUMNS}
    sizes = _bytes_of_images(shards)
    inputs = {"shards": _fingerprint(shards), "images": _sha256_of_lines(ids)}
    with SubmissionWriter(out, header, resume=resume, overwrite=overwrite, inputs=inputs) as writer:
        pending = [image_id for image_id in ids if image_id not in writer.written]
        done = len(ids) - len(pending)
        wanted = np.array([places[image_id] for image_id in pending], dtype=np.int64)
        for start, stop in _blocks(sizes[wanted]):
            rows = wanted[start:stop]
            maps, edges = _read(shards, first_places, rows)
            writer.append(
                pending[start:stop],
                maps,
                edges=edges,
                **{name: None if own is None else own[rows] for name, own in columns.items()},
            )
            if progress is not None:
                progress(done + stop, len(ids))


def _read(
    shards: Sequence[Submission], first_places: NDArray[np.int64], rows: NDArray[np.int64]
) -> tuple[list[NDArray[Any]] | None, list[NDArray[Any]] | None]:
    """The maps and edges at these positions, which count through all shards."""
    owners = np.searchsorted(first_places, rows, side="right") - 1
    has_maps, has_edges = shards[0].shapes is not None, shards[0].edge_shapes is not None
    maps: dict[int, NDArray[Any]] = {}
    edges: dict[int, NDArray[Any]] = {}
    for owner in np.unique(owners).tolist():
        # Ascending, since consecutive rows are read together.
        own = np.sort(rows[owners == owner])
        wanted = (own - first_places[owner]).tolist()
        if has_maps:
            maps.update(zip(own.tolist(), shards[owner].read(wanted), strict=True))
        if has_edges:
            edges.update(zip(own.tolist(), shards[owner].read_edges(wanted), strict=True))
    in_order = rows.tolist()
    return (
        [maps[row] for row in in_order] if has_maps else None,
        [edges[row] for row in in_order] if has_edges else None,
    )


def _joined(shards: Sequence[Submission], name: str) -> NDArray[Any] | None:
    columns = [getattr(shard, name) for shard in shards]
    return None if columns[0] is None else np.concatenate(columns)


def _bytes_of_images(shards: Sequence[Submission]) -> NDArray[np.int64]:
    """Bytes of the map and the edges of each image."""
    sizes = [np.zeros(len(shard), np.int64) for shard in shards]
    for size, shard in zip(sizes, shards, strict=True):
        for shapes, dtype in (
            (shard.shapes, shard.dtype),
            (shard.edge_shapes, shard.edge_dtype),
        ):
            if shapes is not None and dtype is not None:
                size += shapes.prod(axis=1) * dtype.itemsize
    return np.concatenate(sizes)


def _blocks(sizes: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Ranges of images with at most `BLOCK_BYTES`, but at least one image."""
    start, total = 0, 0
    for place, size in enumerate(sizes.tolist()):
        if place > start and (total + size > BLOCK_BYTES or place - start == _BATCH):
            yield start, place
            start, total = place, 0
        total += size
    if start < len(sizes):
        yield start, len(sizes)


def _fingerprint(shards: Sequence[Submission]) -> str:
    """A hash of the sizes and times of change of all files, in any order."""
    status = [os.stat(shard.path) for shard in shards]
    return _sha256_of_lines(sorted(f"{own.st_size} {own.st_mtime_ns}" for own in status))


def _sha256_of_lines(lines: Sequence[str]) -> str:
    return hashlib.sha256("".join(f"{line}\n" for line in lines).encode()).hexdigest()
