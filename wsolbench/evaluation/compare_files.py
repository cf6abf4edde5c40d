"""A comparison from files: results with their counts, and submissions, which are scored first."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from contextlib import nullcontext

from ..data.dataset import Dataset
from ..errors import WsolbenchError, printable, require_items
from ..formats.describe import is_hdf5
from ..formats.result import Bootstrap, Result, read_result
from ..formats.submission.reader import Submission
from ..protocols import Protocol, as_protocol
from .checks import check_match
from .comparison import Comparison, check_alike, compare
from .counts import Counts, counts_path, read_counts
from .run import Bars, Request, find_dataset, run
from .shared_images import shared_images

__all__ = ["compare_files"]

PathLike = str | os.PathLike[str]


def compare_files(
    files: Sequence[PathLike],
    bootstrap: Bootstrap,
    annotations: Dataset | PathLike | None = None,
    *,
    protocol: str | None = None,
    against_first: bool = False,
    common: bool = False,
    jobs: int | None = None,
    bars: Bars = lambda title, unit: nullcontext(),
) -> Comparison:
    """Compare the methods of two or more files.

    Args:
        files: results that were written with their counts, and submissions.
        bootstrap: see `compare`.
        annotations: of submissions; None for an installed file of their data set.
        protocol: the name of the one that submissions are scored under; None for that of the
            results, or "sem".
        against_first: see `compare`.
        common: compare files with maps of different images on those that all have.
        jobs: threads; None for one a processor.
        bars: makes a progress bar from a title and a unit.

    Raises:
        WsolbenchError: a file that cannot be read, a result under another protocol, without
            `common` a file that lacks maps of images which others have, or one of the other faults
            of `compare`.
    """
    require_items("files", files, (str, os.PathLike), "a list of paths")
    read = [Submission.open(file) if is_hdf5(file) else read_result(file) for file in files]
    results = [item for item in read if isinstance(item, Result)]
    named = None if protocol is None else as_protocol(protocol).name
    for file, item in zip(files, read, strict=True):
        if named and isinstance(item, Result) and item.protocol["name"] != named:
            raise WsolbenchError(
                file,
                found=f"a result under protocol {item.protocol['name']}",
                expected=named,
                cure=f"evaluate under {named} first, or leave --protocol out",
            )
    check_alike([item if isinstance(item, Result) else item.header for item in read])
    stated = Protocol.from_dict(results[0].protocol) if results else named or "sem"
    ready: list[Counts | Submission] = []
    held: list[Collection[str]] = []
    dataset: Dataset | None = None
    for file, item in zip(files, read, strict=True):
        if isinstance(item, Result):
            counts = read_counts(counts_path(file), item)
            ready.append(counts)
            held.append(counts.held_ids)
            continue
        if dataset is None:
            dataset = find_dataset(Request(item, annotations), item)
        check_match(dataset, item)
        ready.append(item)
        held.append(set(item.image_ids).intersection(dataset.image_ids))
    # Before submissions are scored, which may take long.
    shared_images([printable(str(file)) for file in files], held, common=common)
    counted: list[Counts] = []
    for own in ready:
        if isinstance(own, Counts):
            counted.append(own)
            continue
        with own:
            request = Request(
                own, dataset, protocols=(stated,), counts=True, allow_missing=True, jobs=jobs
            )
            counted += run(request, bars).counts
    with bars("compare", "resample") as progress:
        return compare(counted, bootstrap, progress, against_first=against_first, common=common)
