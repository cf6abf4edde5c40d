"""Entries that strangers can recompute: the counts file of an entry gives all of its scores.

An entry may carry the counts file of its result (`evaluation.counts`), next to its JSON file. It
states the file's hash in its provenance, so that neither can change without the other. From the
counts follow every score, interval and curve of the entry, and scores that did not exist when the
entry was made.

Counts do not prove that the maps give them: only `verify` can, with the maps.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import WsolbenchError, require_type, some
from ..files import replacing, require_file, sha256_of
from ..formats.result import Bootstrap, Result, Threshold
from ..formats.untrusted.contents import read_bytes
from ..metrics.choices import BoundaryRule
from ..progress import Progress
from ..scores import SCORES, in_order
from .entries import Entry
from .files import MAX_FILE_BYTES

if TYPE_CHECKING:
    from ..evaluation.counts import Counts

__all__ = ["Recomputed", "attach", "copy_counts", "filled", "recompute"]


@dataclass(frozen=True)
class Recomputed:
    """An entry compared with what its counts give.

    Attributes:
        differences: one a line; empty if every number of the entry follows from the counts.
        later: scores that follow from the counts and that the entry does not have, by key.
        intervals: of these, [low, high] by key, if the entry has intervals.
    """

    differences: Sequence[str]
    later: Mapping[str, float | int] = field(default_factory=dict)
    intervals: Mapping[str, Sequence[float | int]] = field(default_factory=dict)


def recompute(
    entry: Entry,
    counts: str | os.PathLike[str],
    *,
    annotations: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> Recomputed:
    """Form every score, interval and curve of an entry from its counts, and compare exactly.

    Args:
        entry: measured or reproduced.
        counts: its counts file; if the entry states a hash, this must be the file's.
        annotations: the annotation file, if the images, classes and numbers of pixels of the counts
            are to be compared with it, too.
        progress: called with (resamples scored, resamples).

    Raises:
        WsolbenchError: the entry is reported; the file is missing, damaged or of another entry.
    """
    from ..evaluation.counts import parse_counts
    from ..evaluation.rescore import rescored, scorable

    require_type("entry", entry, (Entry,), "an Entry, of read_entry")
    if entry.state == "reported":
        raise WsolbenchError(
            entry.name,
            found="a reported entry",
            expected="a measured entry, whose images were counted",
            cure="evaluate the maps with --counts, and add the result",
        )
    file = require_file(counts, "the counts of an entry", "name another file with --counts")
    stated, found = entry.counts_sha256, sha256_of(file)
    if stated and stated != found:
        line = f"provenance.counts_sha256: now {found}, in the entry {stated}"
        return Recomputed([line])
    read = parse_counts(file, _as_result(entry))
    counted = rescored(read, scorable(read), progress=progress).result
    differences = [
        *_differences(counted.scores, entry.scores, "scores"),
        *_differences(counted.intervals, entry.intervals, "intervals"),
        *(
            f"curves.{key}: differs"
            for key, curve in entry.curves.items()
            if list(curve) != list(counted.curves.get(key, ()))
        ),
        *([] if annotations is None else _strange_images(read, entry, annotations)),
    ]
    later = [key for key in in_order(counted.scores) if key not in entry.scores]
    return Recomputed(
        differences,
        {key: counted.scores[key] for key in later},
        {key: counted.intervals[key] for key in later if key in counted.intervals},
    )


def filled(entry: Entry, recomputed: Recomputed) -> Entry:
    """The entry with the scores that it does not have yet, and their intervals."""
    require_type("entry", entry, (Entry,), "an Entry, of read_entry")
    if recomputed.differences:
        raise WsolbenchError(
            entry.name,
            found=f"{len(recomputed.differences)} differences from its counts",
            expected="an entry that follows from them",
            cure="evaluate the maps again, and add the new result",
            exit_status=1,
        )
    scores = {**entry.scores, **recomputed.later}
    return replace(entry, scores=scores, intervals={**entry.intervals, **recomputed.intervals})


def attach(entry: Entry, counts: str | os.PathLike[str]) -> Entry:
    """The entry with the hash of its counts file.

    Raises:
        WsolbenchError: the file is too large for the leaderboard's folder.
    """
    size = Path(counts).stat().st_size
    if size > MAX_FILE_BYTES:
        raise WsolbenchError(
            counts,
            found=f"{size} bytes",
            expected=f"at most {MAX_FILE_BYTES}, as of every file of a leaderboard",
            cure="publish the file elsewhere, and add the entry without it",
            exit_status=1,
        )
    return replace(entry, provenance={**entry.provenance, "counts_sha256": sha256_of(Path(counts))})


def copy_counts(counts: str | os.PathLike[str], path: str | os.PathLike[str]) -> None:
    """Copy a counts file to its place next to an entry, all or nothing."""
    content = read_bytes(Path(counts), "the counts of an entry", MAX_FILE_BYTES)
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def _as_result(entry: Entry) -> Result:
    """What a result would state of the entry's scores, as far as counts are read by it."""
    bounded = any(SCORES[key].family == "boundary" for key in entry.scores)
    provenance = entry.provenance
    return Result(
        method={"name": entry.name, "backbone": entry.backbone},
        dataset=entry.dataset,
        split=entry.split,
        label=entry.label,
        normalisation="",
        images=entry.images or 0,
        protocol=provenance["protocol"],
        annotations_sha256=provenance["annotations_sha256"],
        submission_sha256=provenance["submission_sha256"],
        wsolbench=provenance["wsolbench"],
        threshold=Threshold(**entry.threshold),
        scores=entry.scores,
        curves=entry.curves,
        counts={},
        bootstrap=Bootstrap(**entry.bootstrap) if entry.bootstrap else None,
        boundary=BoundaryRule().as_dict() if bounded else {},
    )


def _strange_images(counts: Counts, entry: Entry, annotations: str | os.PathLike[str]) -> list[str]:
    """Images whose counts cannot be of their annotations, one line for each kind of fault."""
    from ..data.dataset import Dataset

    dataset = Dataset.open(annotations, entry.split)
    store, stated = dataset.store, entry.provenance["annotations_sha256"]
    if store.content_sha256 != stated:
        return [f"provenance.annotations_sha256: now {store.content_sha256}, in the entry {stated}"]
    if list(counts.image_ids) != list(dataset.image_ids):
        return ["images: the counts are of others than the annotations"]
    wrong = {"another class": counts.kept["class_index"] != dataset.class_indices}
    if "pixels" in counts.kept and counts.scoring.protocol.grid is None:
        ground, on_object = counts.kept["pixels"].sum(axis=2, dtype=np.int64).T
        areas = store.areas[dataset.rows]
        sizes = np.int64(store.heights[dataset.rows]) * store.widths[dataset.rows]
        # Ignored pixels count nowhere.
        differ = np.greater if store.has_ignore else np.not_equal
        wrong["another number of object pixels"] = differ(on_object, areas)
        wrong["another number of pixels"] = differ(ground + on_object, sizes)
    return [
        f"images: {words} than the annotations: {some([counts.image_ids[i] for i in places])}"
        for words, places in ((words, np.flatnonzero(own).tolist()) for words, own in wrong.items())
        if places
    ]


def _differences(ours: Mapping[str, Any], theirs: Mapping[str, Any], where: str) -> list[str]:
    """Keys of the entry at which the counts give another value, or none."""
    return [
        f"{where}.{key}: the counts give {ours.get(key)}, in the entry {theirs[key]}"
        for key in sorted(theirs)
        if ours.get(key) != theirs[key]
    ]
