"""A comparison from files: results with their counts, and submissions, which are scored first."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from contextlib import nullcontext
from pathlib import Path

from ..data.dataset import Dataset
from ..errors import WsolbenchError, printable, require_items
from ..files import path_per_name
from ..formats.describe import is_hdf5
from ..formats.result import Bootstrap, Result, read_result
from ..formats.submission.reader import Submission
from ..protocols import PROTOCOLS, Protocol, as_protocol, as_protocols
from .checks import check_match
from .comparison import Comparison, check_alike, compare, require_methods
from .counts import Counts, counts_path, read_counts
from .evaluator import Evaluator
from .rescore import with_families
from .run import Bars, Request, find_dataset, run
from .shared_images import shared_images
from .verdict import Verdict, judge

__all__ = ["compare_files", "compare_protocols"]

PathLike = str | os.PathLike[str]


def compare_files(
    files: Sequence[PathLike],
    bootstrap: Bootstrap,
    annotations: Dataset | PathLike | None = None,
    *,
    protocol: str | None = None,
    against_first: bool = False,
    common: bool = False,
    metrics: Sequence[str] | None = None,
    prior: PathLike | None = None,
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
        metrics: names of the metric families that are compared; None for those of the results,
            and of submissions all that are scored by default.
        prior: one more file, see `compare`.
        jobs: threads; None for one a processor.
        bars: makes a progress bar from a title and a unit.

    Raises:
        WsolbenchError: a file that cannot be read, a result under another protocol, without
            `common` a file that lacks maps of images which others have, or one of the other faults
            of `compare`.

    Examples:
        >>> files = ["demo/cam-val.h5", "demo/sem-val.h5"]
        >>> found = wsolbench.compare_files(files, wsolbench.Bootstrap(2000), "demo/mini.h5")
        >>> verdicts = {pair.score: pair.verdict for pair in found.pairs}
        >>> verdicts["peak_iou"], verdicts["gt_known_loc"]
        ('ahead', 'ahead')
    """
    require_items("files", files, (str, os.PathLike), "a list of paths")
    require_methods(len(files))
    files = [*files, *([] if prior is None else [prior])]
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
    stated = Protocol.from_dict(results[0].protocol) if results else as_protocol(named or "sem")
    ready: list[list[Counts] | Submission] = []
    held: list[Collection[str]] = []
    dataset: Dataset | None = None
    for file, item in zip(files, read, strict=True):
        if isinstance(item, Result):
            counts = _read(file, item, metrics)
            ready.append([counts])
            held.append(counts.held_ids)
            continue
        if dataset is None:
            dataset = find_dataset(Request(item, annotations), item)
        check_match(dataset, item)
        ready.append(item)
        held.append(_images_of(item, dataset))
    # Before submissions are scored, which may take long.
    shared_images([printable(str(file)) for file in files], held, common=common)
    counted = [own for (own,) in _counted(ready, dataset, [stated], metrics, jobs, bars)]
    base = counted.pop() if prior is not None else None
    with bars("compare", "resample") as progress:
        return compare(
            counted, bootstrap, progress, against_first=against_first, common=common, prior=base
        )


def compare_protocols(
    files: Sequence[PathLike],
    bootstrap: Bootstrap,
    annotations: Dataset | PathLike | None = None,
    *,
    protocols: Sequence[str | Protocol] | None = None,
    against_first: bool = False,
    common: bool = False,
    metrics: Sequence[str] | None = None,
    jobs: int | None = None,
    bars: Bars = lambda title, unit: nullcontext(),
) -> Verdict:
    """Compare the methods of two or more files under several protocols, and decide together.

    Args:
        files: submissions, each scored under all protocols in one pass; and results with counts:
            r.json stands for the files r.<protocol>.json that `evaluate --protocol A,B --out
            r.json --counts` wrote.
        bootstrap: see `compare`.
        annotations: of submissions; None for an installed file of their data set.
        protocols: names or values; None for all named ones that the annotations allow, which
            needs submissions alone; the others are named in `Verdict.skipped`.
        against_first: see `compare`.
        common: see `compare_files`.
        metrics: see there; each protocol must define one of them.
        jobs: threads; None for one a processor.
        bars: makes a progress bar from a title and a unit.

    Raises:
        WsolbenchError: one of the faults of `compare_files`; no protocol under which the methods
            can be compared.

    Examples:
        >>> files = ["demo/cam-val.h5", "demo/sem-val.h5"]
        >>> names = ["sem", "wsoleval-pxap"]
        >>> drawn = wsolbench.Bootstrap(1000)
        >>> verdict = wsolbench.compare_protocols(files, drawn, "demo/mini.h5", protocols=names)
        >>> [found.protocol["name"] for found in verdict.comparisons]
        ['sem', 'wsoleval-pxap']
    """
    require_items("files", files, (str, os.PathLike), "a list of paths")
    require_methods(len(files))
    submissions = {
        place: Submission.open(file)
        for place, file in enumerate(files)
        if Path(file).suffix.lower() != ".json" and is_hdf5(file)
    }
    dataset: Dataset | None = None
    skipped: dict[str, str] = {}
    if len(submissions) > 1:
        check_alike([own.header for own in submissions.values()])
    for own in submissions.values():
        dataset = dataset or find_dataset(Request(own, annotations), own)
        check_match(dataset, own)
    if protocols is not None:
        asked = as_protocols(list(protocols))
    elif dataset is None or len(submissions) < len(files):
        raise WsolbenchError(
            "protocol",
            found="all of them, and results",
            expected="submissions, which can be scored under each",
            cure="name the protocols of the results",
        )
    else:
        boxed = any(own.boxes is not None for own in submissions.values())
        asked, skipped = _usable(dataset, boxed=boxed)
    ready: list[list[Counts] | Submission] = []
    for place, file in enumerate(files):
        if place in submissions:
            ready.append(submissions[place])
            continue
        paths = path_per_name(Path(file), [own.name for own in asked])
        results = [read_result(path) for path in paths]
        ready.append([_read(path, own, metrics) for path, own in zip(paths, results, strict=True)])
    held = [own[0].held_ids if isinstance(own, list) else _images_of(own, dataset) for own in ready]
    shared_images([printable(str(file)) for file in files], held, common=common)
    counted = _counted(ready, dataset, asked, metrics, jobs, bars)
    comparisons = []
    for place in range(len(asked)):
        with bars(f"compare under {asked[place].name}", "resample") as progress:
            comparisons.append(
                compare(
                    [own[place] for own in counted],
                    bootstrap,
                    progress,
                    against_first=against_first,
                    common=common,
                )
            )
    return judge(comparisons, skipped)


def _counted(
    ready: Sequence[Sequence[Counts] | Submission],
    dataset: Dataset | None,
    protocols: Sequence[Protocol],
    metrics: Sequence[str] | None,
    jobs: int | None,
    bars: Bars,
) -> list[Sequence[Counts]]:
    """The counts of each method under each protocol; submissions are scored, and closed."""
    counted: list[Sequence[Counts]] = []
    for own in ready:
        if not isinstance(own, Submission):
            counted.append(own)
            continue
        with own:
            request = Request(
                own,
                dataset,
                protocols=tuple(protocols),
                metrics=metrics,
                counts=True,
                allow_missing=True,
                jobs=jobs,
            )
            counted.append(run(request, bars).counts)
    return counted


def _read(file: PathLike, result: Result, metrics: Sequence[str] | None) -> Counts:
    """The counts next to a result, read as if some metrics alone had been requested."""
    counts = read_counts(counts_path(file), result)
    return counts if metrics is None else with_families(counts, metrics)


def _images_of(submission: Submission, dataset: Dataset | None) -> set[str]:
    """The images of the data set that a submission has maps of."""
    known = submission.image_ids if dataset is None else dataset.image_ids
    return set(submission.image_ids).intersection(known)


def _usable(dataset: Dataset, *, boxed: bool) -> tuple[list[Protocol], dict[str, str]]:
    """The named protocols that the annotations allow, and why not each of the others.

    Args:
        dataset: the images.
        boxed: whether some submission brings boxes of its own.
    """
    usable, skipped = [], {}
    for name, protocol in PROTOCOLS.items():
        if "-cub" in name and not dataset.name.startswith("cub"):
            skipped[name] = "it is its program's setting for CUB-200-2011 (name it to use it)"
            continue
        if boxed and not protocol.takes_boxes:
            skipped[name] = "it infers boxes from maps, and a submission brings its own"
            continue
        try:
            Evaluator(dataset, protocol)
            usable.append(protocol)
        except WsolbenchError as error:
            skipped[name] = f"{error.where}: found {error.found}"
    if not usable:
        name, why = next(iter(skipped.items()))
        raise WsolbenchError(
            "protocol",
            found=f"none that the annotations allow; {name}: {why}",
            cure="import masks or boxes of every image",
        )
    return usable, skipped
