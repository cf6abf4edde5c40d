"""An evaluation in parts: the statistics of a range of the images in a file, and their sum.

`write_shard` scores one of n contiguous ranges of the images and writes what they add up to;
`merged` reads the files of all ranges and gives what one run over all images gives, bit for bit,
since nothing but integers is added. The name of a file is made of everything that decides its
content, so the same command finds what it wrote before and does not repeat it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import __version__
from ..data.dataset import Dataset
from ..errors import WsolbenchError, require_path, some
from ..formats.annotations import find_annotations
from ..formats.shard_file import ENDING, ShardFile, damaged, write_shard_file
from ..formats.submission.reader import Submission
from ..formats.submission.rules import SubmissionHeader, header_faults
from ..metrics.choices import BoundaryRule
from ..protocols import Protocol
from .evaluator import Evaluator, score_together
from .families import EDGES
from .loop import Measured
from .notes import submission_notes
from .run import Bars, Request, evaluators_for, find_dataset, opened

__all__ = [
    "Merged",
    "Shard",
    "begun",
    "described",
    "is_whole",
    "merged",
    "shard_path",
    "write_shard",
]

FORMAT = "wsolbench-shard"
VERSION = 1

_WORDS = {
    "wsolbench": "version of wsolbench",
    "submission": "submission",
    "annotations_sha256": "annotation file",
    "protocols": "choice of protocols or metrics",
    "counts": "choice of --counts",
}
"""What runs differ in, in words; everything else is a choice of images."""


@dataclass(frozen=True)
class Shard:
    """One of several contiguous ranges of the images, e.g. the second of four.

    Attributes:
        index: from 1.
        count: how many there are.
    """

    index: int
    count: int

    def __post_init__(self) -> None:
        """Check the fields."""
        whole = all(type(own) is int for own in (self.index, self.count))
        if not whole or not 1 <= self.index <= self.count:
            raise WsolbenchError(
                "shard",
                found=f"{self.index!r}/{self.count!r}",
                expected="a part such as 2/4",
                cure="count parts from 1",
            )

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    def places(self, images: int) -> range:
        """Its places among so many images; lengths of shards differ by one image at most.

        Raises:
            WsolbenchError: there are more shards than images.
        """
        if self.count > images:
            raise WsolbenchError(
                "shard",
                found=f"{self.count} shards of {images} images",
                expected="an image in each",
                cure="make fewer shards",
            )
        return range(
            (self.index - 1) * images // self.count,
            self.index * images // self.count,
        )


@dataclass(frozen=True)
class Merged:
    """All images of a run, scored in parts.

    Attributes:
        evaluators: one for each protocol, as if each had scored every map itself.
        submission_sha256: of the file that the maps came from.
        notes: on the submission.
        files: of the shards.
    """

    evaluators: Sequence[Evaluator]
    submission_sha256: str
    notes: tuple[str, ...]
    files: tuple[Path, ...]


def write_shard(
    request: Request,
    shard: Shard,
    folder: str | os.PathLike[str],
    bars: Bars = lambda title, unit: nullcontext(),
) -> tuple[Path, bool]:
    """Score a range of the images and write its statistics, unless that was done before.

    Args:
        request: what to score. Of its options on results, `counts` alone has an effect: whether
            the statistics of each image are written, which intervals, groups, tables and counts
            need (4.9 kB an image under `sem`).
        shard: the range.
        folder: where the file goes; made if it is not there.
        bars: makes a progress bar from a title and a unit.

    Returns:
        The file, and whether it was written now.

    Raises:
        WsolbenchError: as `run`; the folder cannot be written to.
    """
    require_path("folder", folder, "a folder for the statistics")
    with opened(request.submission) as submission:
        dataset = find_dataset(request, submission)
        places = shard.places(len(dataset))
        evaluators = evaluators_for(request, dataset, submission, keep_images=request.counts)
        run = described(evaluators, submission)
        path = shard_path(folder, run, shard)
        Path(folder).mkdir(parents=True, exist_ok=True)
        if is_whole(path, run, shard):
            return path, False
        with bars("evaluate", "image") as progress:
            score_together(
                evaluators, submission, jobs=request.jobs, places=places, progress=progress
            )
    arrays: dict[str, NDArray[Any]] = {"held": np.zeros(len(places), np.bool_)}
    if dataset.subset is not None:
        arrays["rows"] = dataset.rows  # of all shards: which images a list of ids chose
    counted = []
    for number, evaluator in enumerate(evaluators):
        measured = evaluator.so_far()
        arrays["held"][np.array(measured.indices, np.int64) - places.start] = True
        for kind, statistics in (("sums", measured.sums), ("kept", measured.kept)):
            arrays |= {f"{number}/{kind}/{name}": value for name, value in statistics.items()}
        counted.append([measured.constant, measured.full_frame, measured.windowed])
    header = {
        "format": FORMAT,
        "format_version": VERSION,
        "run": run,
        "shard": [shard.index, shard.count],
        "counted": counted,
    }
    write_shard_file(path, header, arrays)
    return path, True


def shard_path(folder: str | os.PathLike[str], run: Mapping[str, Any], shard: Shard) -> Path:
    """Where the statistics of a shard lie: the name is of all that decides them."""
    return Path(folder) / f"{_key(run)}.{shard.index}-of-{shard.count}{ENDING}"


def begun(folder: str | os.PathLike[str], run: Mapping[str, Any]) -> int | None:
    """In how many shards a run was begun in a folder; None if it was not."""
    key = _key(run)
    names = (file.name for file in sorted(Path(folder).glob(f"{key}.*{ENDING}")))
    found = (re.fullmatch(rf"{key}\.\d+-of-([1-9]\d*){re.escape(ENDING)}", own) for own in names)
    return next((int(match[1]) for match in found if match), None)


def _key(run: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(run, sort_keys=True).encode()).hexdigest()[:16]


def merged(
    paths: Sequence[str | os.PathLike[str]],
    annotations: str | os.PathLike[str] | None = None,
    *,
    of_images: bool = False,
) -> Merged:
    """Add up the files of all shards of a run.

    Args:
        paths: files, and folders of them.
        annotations: the annotation file; None looks where `formats.annotations.find_annotations`
            says.
        of_images: whether the statistics of each image are needed.

    Raises:
        WsolbenchError: no file, a damaged one, files of different runs, a shard without a file or
            with two, other annotations; sums alone where each image is needed.
    """
    parts = _complete([_Part.read(path) for path in _files(paths)])
    run, arrays = parts[0].run, parts[0].file.arrays()
    if of_images and not run["counts"]:
        raise WsolbenchError(
            parts[0].file.path,
            found="sums over the images alone",
            expected="statistics of each image for intervals, groups, tables and counts",
            cure="run the shards again with --counts",
            exit_status=1,
        )
    header = SubmissionHeader(**{key: run["submission"][key] for key in _HEADER_KEYS})
    store = find_annotations(None if annotations is None else Path(annotations), header.dataset)
    dataset = Dataset.open(store, header.split)
    if dataset.store.content_sha256 != run["annotations_sha256"]:
        raise WsolbenchError(
            store,
            found="other annotations than the shards were scored on",
            expected=f"those of content {run['annotations_sha256'][:12]}",
            cure="name the annotation file of the shards",
            exit_status=1,
        )
    if run["limit"] is not None:
        dataset = dataset.first(run["limit"])
    if run["ids"] is not None:
        rows = arrays.get("rows", np.empty(0, np.int64))
        ids = dataset.store.image_ids
        dataset = dataset.only([ids[row] for row in rows.tolist() if 0 <= row < len(ids)])
    if _images(dataset) != {key: run[key] for key in ("images", "limit", "ids")}:
        raise damaged(parts[0].file.path, f"{run['images']} images, and the split holds others")
    evaluators = [
        Evaluator(
            dataset,
            Protocol.from_dict(own["protocol"]),
            own["metrics"],
            header=header,
            keep_images=run["counts"],
            boundary=None if own["boundary"] is None else BoundaryRule(**own["boundary"]),
        )
        for own in run["protocols"]
    ]
    for place, part in enumerate(parts):
        part.add_to(evaluators, part.file.arrays() if place else arrays)
    files = tuple(part.file.path for part in parts)
    return Merged(evaluators, run["submission"]["sha256"], tuple(run["notes"]), files)


_HEADER_KEYS = ("dataset", "split", "label", "normalisation", "method")


def described(evaluators: Sequence[Evaluator], submission: Submission) -> dict[str, Any]:
    """All that decides the statistics, but the range of images: JSON values."""
    header, dataset = submission.header, evaluators[0].dataset
    return {
        "wsolbench": __version__,
        "submission": {
            **{key: getattr(header, key) for key in _HEADER_KEYS},
            "sha256": submission.sha256,
        },
        "annotations_sha256": dataset.store.content_sha256,
        **_images(dataset),
        "protocols": [
            {
                "protocol": own.protocol.as_dict(),
                "metrics": list(own.metrics),
                "boundary": own.boundary.as_dict() if EDGES in own.metrics else None,
            }
            for own in evaluators
        ],
        "counts": evaluators[0].keep_images,
        "ranked": submission.top5 is not None,
        "boxed": submission.boxes is not None,
        "notes": [*submission_notes(dataset, submission)],
    }


def _images(dataset: Dataset) -> dict[str, Any]:
    """Which images of a split a data set holds: JSON values."""
    ids = None if dataset.subset is None else asdict(dataset.subset)
    return {"images": len(dataset), "limit": dataset.limit, "ids": ids}


@dataclass(frozen=True)
class _Part:
    """The file of a shard, and what its header states."""

    file: ShardFile
    run: Mapping[str, Any]
    shard: Shard
    counted: Sequence[Sequence[int]]

    @classmethod
    def read(cls, path: Path) -> _Part:
        """Read a file's header, which must have the right form."""
        file = ShardFile.read(path)
        header = file.header
        if header.get("format") != FORMAT or header.get("format_version") != VERSION:
            raise damaged(path, f"version {header.get('format_version')!r} of {FORMAT}")
        try:
            _require_run(header["run"])
            counted = header["counted"]
            for numbers in counted:
                _require(len(numbers) == 3 and all(type(n) is int and n >= 0 for n in numbers))
            _require(len(counted) == len(header["run"]["protocols"]))
            return cls(file, header["run"], Shard(*header["shard"]), counted)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise damaged(path, "a damaged header") from error

    def add_to(self, evaluators: Sequence[Evaluator], arrays: dict[str, NDArray[Any]]) -> None:
        """Add the statistics to the evaluators, one for each protocol."""
        places = self.shard.places(self.run["images"])
        ranked, boxed = self.run["ranked"], self.run["boxed"]
        arrays.pop("rows", None)
        try:
            held = arrays.pop("held")
            _require(held.dtype == np.bool_ and held.shape == (len(places),))
            indices = (np.flatnonzero(held) + places.start).tolist()
            for number, evaluator in enumerate(evaluators if indices else ()):
                # Arrays have the forms that an image measured as zeros has.
                like = evaluator.all_zero(indices[:1], ranked, boxed)
                sums = {name: arrays.pop(f"{number}/sums/{name}") for name in like.sums}
                for name, own in sums.items():
                    _require(own.dtype == np.int64 and own.shape == like.sums[name].shape)
                    # More images than 2^24 of 2^29 pixels each nobody has; sums must not wrap.
                    _require(bool(((own >= 0) & (own < 1 << 53)).all()))
                _require(int(sums["images"].sum()) == len(indices))
                names = like.kept if self.run["counts"] else ()
                kept = {name: arrays.pop(f"{number}/kept/{name}") for name in names}
                for name, own in kept.items():
                    form = (len(indices), *like.kept[name].shape[1:])
                    _require(own.dtype == like.kept[name].dtype and own.shape == form)
                counted = self.counted[number]
                _require(all(number <= len(indices) for number in counted))
                evaluator.absorb(Measured(indices, kept, sums, *counted), ranked, boxed)
            _require(not arrays)
        except (KeyError, ValueError) as error:
            raise damaged(self.file.path, "other statistics than its header promises") from error


def _require(sound: bool) -> None:
    if not sound:
        raise ValueError("not what was written")


def _require_run(run: Mapping[str, Any]) -> None:
    """Raise one of KeyError, TypeError, ValueError, AttributeError unless it is of `described`."""
    texts = [run["wsolbench"], run["annotations_sha256"], run["submission"]["sha256"]]
    _require(all(isinstance(own, str) for own in (*texts, *run["notes"])))
    _require(all(type(run[name]) is bool for name in ("counts", "ranked", "boxed")))
    _require(type(run["images"]) is int and run["images"] > 0)
    _require(run["limit"] is None or type(run["limit"]) is int)
    header = SubmissionHeader(**{key: run["submission"][key] for key in _HEADER_KEYS})
    _require(not header_faults(header))
    _require(bool(run["protocols"]))
    for own in run["protocols"]:
        own["protocol"].items()
        _require((own["boundary"] is not None) == (EDGES in own["metrics"]))
        _require(all(isinstance(name, str) for name in own["metrics"]))


def _files(paths: Sequence[str | os.PathLike[str]]) -> list[Path]:
    """The files of shards, those in folders included."""
    found: list[Path] = []
    for path in map(Path, paths):
        found += sorted(path.glob(f"*{ENDING}")) if path.is_dir() else [path]
    if not found:
        raise WsolbenchError(
            some([str(path) for path in paths]) or "shards",
            found=f"no file *{ENDING}",
            expected="the statistics of shards",
            cure="write them first: wsolbench evaluate SUBMISSION --shard 1/4 --out FOLDER",
        )
    return found


def _complete(parts: Sequence[_Part]) -> list[_Part]:
    """The parts in their order, if they are all of one run and each once."""
    first = parts[0]
    by_index: dict[int, _Part] = {}
    for part in parts:
        cure = "name the files of one run, which begin with the same letters"
        differing = next((key for key in part.run if part.run[key] != first.run.get(key)), None)
        fault = ""
        if differing is not None:
            fault = f"a shard of another {_WORDS.get(differing, 'choice of images')} than "
            fault += first.file.path.name
        elif part.shard.count != first.shard.count:
            fault = f"shard {part.shard} beside shard {first.shard} ({first.file.path.name})"
            cure = f"name those that end in -of-{first.shard.count}{ENDING}, or the others"
        elif part.shard.index in by_index:
            fault = f"shard {part.shard} a second time, after "
            fault += str(by_index[part.shard.index].file.path)
        if fault:
            raise WsolbenchError(
                part.file.path,
                found=fault,
                expected="every shard of one run once",
                cure=cure,
                exit_status=1,
            )
        by_index[part.shard.index] = part
    count = first.shard.count
    missing = [str(Shard(own, count)) for own in range(1, count + 1) if own not in by_index]
    if missing:
        raise WsolbenchError(
            first.file.path.parent,
            found=f"no statistics of {'shard' if len(missing) == 1 else 'shards'} {some(missing)}",
            expected=f"all {count} shards of the run",
            cure=f"run evaluate --shard {missing[0]} with the options of the others",
            exit_status=1,
        )
    return [by_index[own] for own in range(1, count + 1)]


def is_whole(path: Path, run: Mapping[str, Any], shard: Shard) -> bool:
    """Whether a file is whole and of this shard; otherwise it is to be written again."""
    if not path.exists():
        return False
    try:
        part = _Part.read(path)
        if part.shard != shard or part.run != json.loads(json.dumps(run)):
            return False
        part.file.arrays()
    except WsolbenchError as error:
        if error.exit_status != 1:
            raise
        return False
    return True
