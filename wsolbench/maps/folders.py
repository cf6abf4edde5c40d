"""Conversion of a folder of map files to submissions.

Maps are files of any size, one for each image of a split, in the folder or below it, in the forms
of `map_files`. They are named by image ids: `0001.npy`, `0001.jpg.npy`, `001.Bird/0001.png`.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.dataset import Dataset
from ..data.importers.mask_files import summary
from ..data.importers.tables import read_table
from ..errors import WsolbenchError, one_of, require_choice, some
from ..files import available_processors, require_folder, require_target, sha256_of
from ..formats.submission.rules import NO_CLASS, SubmissionHeader
from ..formats.submission.writer import SubmissionWriter
from ..image_ids import files_by_id, files_under, one_file_each
from ..metrics.map_values import ROUNDING
from ..progress import Progress
from .map_files import ENDINGS, is_lossy, read_map_and_kind
from .normalisations import Normalisation
from .scales import check_scale, notes_of_values, scaled, survey_of
from .storage import STORED_AS, stored
from .windows import CentreCrop, window_rows, with_window

__all__ = ["Imported", "import_maps"]

_BATCH = 128
_TOP_COLUMNS = ("top1", "top2", "top3", "top4", "top5")


@dataclass(frozen=True)
class Imported:
    """What `import_maps` did.

    Attributes:
        maps: number of maps in each submission.
        notes: what a reader of the submissions should know, e.g. that files were lossy.
    """

    maps: int
    notes: tuple[str, ...] = ()


def import_maps(
    folder: str | os.PathLike[str],
    dataset: Dataset,
    outs: Mapping[Normalisation, Path],
    *,
    method: Mapping[str, object],
    label: str = "gt",
    dtype: str | None = None,
    top5: str | os.PathLike[str] | None = None,
    allow_missing: bool = False,
    resume: bool = False,
    overwrite: bool = False,
    clip: bool = False,
    scale: str | None = None,
    window: CentreCrop | None = None,
    edges: bool = False,
    progress: Progress | None = None,
) -> Imported:
    """Write the maps of a folder as submissions, one per normalisation.

    Each file is read once, or twice without normalisation: the scale and the storage type are
    decided from all files before the first is written.

    Args:
        folder: the folder of maps; files of other images of the annotations are left out.
        dataset: the split to which the maps belong.
        outs: the submission to write for each normalisation; either all or none are written.
        method: `name` and any other fields (see `SubmissionHeader`); the normalisation is added to
            its parameters.
        label: "gt" if the maps are for the ground-truth class, "predicted" for the predicted class.
        dtype: the storage type; None keeps 8-bit files unchanged if all are and they are not
            normalised, and uses float32 otherwise, which holds 8-bit values exactly.
        top5: CSV with the columns image_id, top1 to top5: the predicted classes, best first, from
            0; with fewer than five the last cells are empty.
        allow_missing: accept a split with images that have no map.
        resume: continue an unfinished run.
        overwrite: discard an unfinished run.
        scale: the number that means 1 in the files: "1", "255" or "65535". None: 255 in 8 bits,
            65535 in 16 bits and 1 in floats, unless all files together leave it open.
        clip: cut values that leave [0, 1] by at most 1e-3, as rounding does, and count their maps.
        window: the crop of the photo that the maps show, see `wsolbench.centre_crop`; None if they
            show the whole photo.
        edges: whether the files are probabilities of a boundary; the submissions then hold edges
            alone.
        progress: called with (files read, files).

    Returns:
        The number of maps in each submission, and notes.

    Raises:
        WsolbenchError: a target is one of the files; files are not maps, values without
            normalisation are outside [0, 1] or leave open which number means 1, images have no
            file or several, or files belong to no image of the annotations; all faults of a kind
            together.
    """
    if dtype is not None:
        require_choice("dtype", dtype, STORED_AS)
    kept = [own for own in outs if own.kind == "none"]
    if scale is not None and not kept:
        raise WsolbenchError(
            "scale",
            found=f"{scale!r}, but every map is normalised, whatever its scale",
            cure="leave out --scale (Python scale) or --normalise",
        )
    place = require_folder(folder, "a folder of maps")
    files, notes = _files_of(place, dataset, allow_missing)
    for out in outs.values():
        require_target(out, [*files.values(), top5])
    ids = [image_id for image_id in dataset.image_ids if image_id in files]
    classes = None if top5 is None else _classes(top5, ids)
    default = "float32"
    if kept:
        surveys = survey_of(place, files)
        check_scale(place, surveys, scale)
        notes += notes_of_values(surveys, scale)
        if len(kept) == len(outs) and scale in (None, "255"):
            default = "uint8" if all(own.kind == "8-bit" for own in surveys) else default
    dtype = default if dtype is None else dtype
    lossy = sum(map(is_lossy, files.values()))
    if lossy:
        notes.append(f"{lossy} of {len(files)} maps are JPEG files, which change their values")
    if window is not None:
        method = with_window(method, window)
    inputs = {
        "annotations": dataset.store.stated_sha256,
        "maps": _fingerprint(files),
        "top5": "" if top5 is None else sha256_of(top5),
    }
    faults: list[WsolbenchError] = []
    with ExitStack() as stack:
        writers = {
            normalisation: stack.enter_context(
                SubmissionWriter(
                    out,
                    _header(dataset, normalisation, method, label, dtype, scale, lossy=bool(lossy)),
                    resume=resume,
                    overwrite=overwrite,
                    inputs=inputs,
                )
            )
            for normalisation, out in outs.items()
        }
        written = [writer.written for writer in writers.values()]
        pending = [name for name in ids if not all(name in own for own in written)]
        done = len(ids) - len(pending)
        cut: list[str] = []
        for batch, read in _batches(
            pending, files, list(outs), dtype, scale, cut if clip else None
        ):
            faults += [item for item in read if isinstance(item, WsolbenchError)]
            if not faults:
                planes = [item for item in read if not isinstance(item, WsolbenchError)]
                for number, writer in enumerate(writers.values()):
                    # A killed run may have left one submission a batch behind another.
                    missing = [at for at, name in enumerate(batch) if name not in writer.written]
                    names = [batch[at] for at in missing]
                    ranks = None if classes is None else np.array([classes[name] for name in names])
                    shown = None if window is None else window_rows(window, dataset, names)
                    maps = [planes[at][number] for at in missing]
                    if edges:
                        writer.append(names, None, ranks, edges=maps)
                    else:
                        writer.append(names, maps, ranks, windows=shown)
            done += len(batch)
            if progress:
                progress(done, len(ids))
        if faults:
            raise summary(place, faults, "maps")
    if cut:
        notes.append(f"{len(cut)} maps were cut to [0, 1], which they left by 1e-3 at most")
    return Imported(len(ids), tuple(notes))


def _batches(
    ids: Sequence[str],
    files: Mapping[str, Path],
    normalisations: Sequence[Normalisation],
    dtype: str,
    scale: str | None,
    cut: list[str] | None,
) -> Iterator[tuple[list[str], list[list[NDArray[Any]] | WsolbenchError]]]:
    """Batches of ids and, for each file, its maps (one per normalisation) or its error.

    If `cut` is a list, rounding errors are cut off, and the ids of these maps are added to it.
    """

    def attempt(image_id: str) -> list[NDArray[Any]] | WsolbenchError:
        try:
            raw = scaled(*read_map_and_kind(files[image_id]), scale)
            if cut is not None and _leaves_by_rounding(raw):
                raw = np.clip(raw, 0, 1)
                cut.append(image_id)
            return [_stored(normalisation, raw, dtype) for normalisation in normalisations]
        except WsolbenchError as error:
            found, expected, cure = error.found, error.expected, error.cure
            return WsolbenchError(files[image_id], found=found, expected=expected, cure=cure)

    with ThreadPoolExecutor(available_processors()) as pool:
        for start in range(0, len(ids), _BATCH):
            batch = list(ids[start : start + _BATCH])
            yield batch, list(pool.map(attempt, batch))


def _leaves_by_rounding(raw: NDArray[Any]) -> bool:
    low, high = raw.min(), raw.max()
    near = bool(low >= -ROUNDING and high <= 1 + ROUNDING)
    return raw.dtype.kind == "f" and near and bool(low < 0 or high > 1)


def _stored(normalisation: Normalisation, raw: NDArray[Any], dtype: str) -> NDArray[Any]:
    if normalisation.kind == "none" and raw.dtype == np.uint8 and dtype == "uint8":
        return raw
    return stored(normalisation(raw), dtype)


def _fingerprint(files: Mapping[str, Path]) -> str:
    """A hash of the ids, sizes and times of change of all files."""
    digest = hashlib.sha256()
    for image_id, path in sorted(files.items()):
        status = path.stat()
        digest.update(f"{image_id} {status.st_size} {status.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _files_of(
    place: Path, dataset: Dataset, allow_missing: bool
) -> tuple[dict[str, Path], list[str]]:
    """The map of each image, and a note on files of other images."""
    found = list(files_under(place, ENDINGS))
    if not found:
        raise WsolbenchError(
            place,
            found=f"no {one_of(ENDINGS)} file",
            expected="a folder of maps, <image id>.npy",
            cure="name the folder that contains the maps",
        )
    # Ids may name folders above the one that was given.
    absolute = [file.absolute() for file in found]
    by_id = files_by_id(dataset.store.image_ids, absolute)
    own = {name: by_id[name] for name in dataset.image_ids if name in by_id}
    files = {name: Path(path) for name, path in one_file_each(place, own, "map").items()}
    missing = [image_id for image_id in dataset.image_ids if image_id not in files]
    known = {path for paths in by_id.values() for path in paths}
    others = len(known) - len(files)
    strange = [file.name for file in absolute if file not in known]
    where, cure = dataset.title, "add the maps, or accept the gaps (--allow-missing)"
    if strange and missing:
        raise WsolbenchError(
            place,
            found=f"{len(strange)} files of no image of the annotations ({some(strange)}), "
            f"and no map for {len(missing)} of the {len(dataset)} images of {where} "
            f"({some(missing)})",
            expected="files named by image ids",
            cure="rename the files, or name the annotations of these images (--annotations)",
        )
    if missing and (not allow_missing or not files):
        elsewhere = f"; {others} files are of other images of the annotations" if others else ""
        raise WsolbenchError(
            place,
            found=f"no map for {len(missing)} of the {len(dataset)} images of {where}: "
            f"{some(missing)}{elsewhere}",
            expected="a map for every image",
            cure="name the split of these images (--split)" if others and not files else cure,
        )
    left = others + len(strange)
    notes = [f"{left} files of images outside {where} were left out"] if left else []
    return files, notes


def _classes(path: str | os.PathLike[str], ids: Sequence[str]) -> dict[str, list[int]]:
    rows = read_table(
        path,
        "a table of predicted classes",
        required=("image_id", "top1"),
        optional=_TOP_COLUMNS[1:],
        numbers=_TOP_COLUMNS,
        known_ids=ids,
    )
    classes: dict[str, list[int]] = {}
    for line, row in rows:
        texts = [row.get(column, "") for column in _TOP_COLUMNS]
        if not all(text.isdecimal() for text in texts if text) or row["image_id"] in classes:
            raise WsolbenchError(
                path,
                found=f"line {line}: {row}",
                expected="each image once, classes as integers from 0",
                cure="correct the line",
            )
        classes[row["image_id"]] = [int(text) if text else NO_CLASS for text in texts]
    without = [image_id for image_id in ids if image_id not in classes]
    if without:
        raise WsolbenchError(
            path,
            found=f"no row for {len(without)} images: {some(without)}",
            expected="a row for each map",
            cure="add the missing rows",
        )
    return classes


def _header(
    dataset: Dataset,
    normalisation: Normalisation,
    method: Mapping[str, object],
    label: str,
    dtype: str,
    scale: str | None,
    *,
    lossy: bool,
) -> SubmissionHeader:
    parameters = method.get("parameters")
    known = dict(parameters) if isinstance(parameters, Mapping) else {}
    divided = f", divided by {scale}" if scale and normalisation.kind == "none" else ""
    return SubmissionHeader(
        dataset=dataset.name,
        split=dataset.split,
        label=label,
        normalisation=f"{normalisation.words}{divided}; {STORED_AS[dtype]}"
        + ("; from JPEG files, which are lossy" if lossy else ""),
        method={**method, "parameters": {**known, "normalisation": normalisation.name}},
    )
