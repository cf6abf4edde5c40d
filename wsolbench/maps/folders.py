"""Conversion of a folder of map files to submissions.

Maps are `<image id>.npy` or `<image id>.png` of any size, one for each image of a split. PNG files
are grey, 8-bit (value / 255) or 16-bit (value / 65535); coloured heat maps are not accepted.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.dataset import Dataset
from ..data.importers.mask_files import list_masks, summary
from ..data.importers.tables import read_table
from ..errors import WsolbenchError, require_choice, some
from ..files import available_processors, require_file, require_target
from ..formats.submission.rules import MAX_SIDE, NO_CLASS, SubmissionHeader
from ..formats.submission.writer import SubmissionWriter
from ..images import open_picture
from ..progress import Progress
from .normalisations import Normalisation
from .storage import STORED_AS, stored
from .windows import CentreCrop, window_rows, with_window

__all__ = ["SUFFIXES", "import_maps", "read_map"]

SUFFIXES = (".npy", ".png")
"""File name endings of maps."""

_BATCH = 128
_HEADER_BYTES = 10_000
_TOP_COLUMNS = ("top1", "top2", "top3", "top4", "top5")


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
    overwrite: bool = False,
    window: CentreCrop | None = None,
    progress: Progress | None = None,
) -> int:
    """Write the maps of a folder as submissions, one per normalisation; each file is read once.

    Args:
        folder: the folder of maps.
        dataset: the split to which the maps belong.
        outs: the submission to write for each normalisation; either all or none are written.
        method: `name` and any other fields (see `SubmissionHeader`); the normalisation is added to
            its parameters.
        label: "gt" if the maps are for the ground-truth class, "predicted" for the predicted class.
        dtype: the storage type; None keeps 8-bit files unchanged if they are not normalised, and
            uses float32 otherwise.
        top5: CSV with the columns image_id, top1 to top5: the predicted classes, best first, from
            0; with fewer than five the last cells are empty.
        allow_missing: accept a split with images that have no map.
        overwrite: discard an unfinished run.
        window: the crop of the photo that the maps show, see `wsolbench.centre_crop`; None if they
            show the whole photo.
        progress: called with (files read, files).

    Returns:
        The number of maps in each submission.

    Raises:
        WsolbenchError: a target is one of the files; files are not maps, values without
            normalisation are outside [0, 1], files belong to no image of the split, or images have
            no file; all faults of a kind together.
    """
    if dtype is not None:
        require_choice("dtype", dtype, STORED_AS)
    place = Path(folder)
    files, _ = list_masks(place, "a folder of maps", SUFFIXES)
    for out in outs.values():
        require_target(out, [*files.values(), top5])
    _check_ids(place, files, dataset, allow_missing)
    ids = [image_id for image_id in dataset.image_ids if image_id in files]
    classes = None if top5 is None else _classes(top5, ids)
    kept = dtype or _default_dtype(files[ids[0]], outs)
    if window is not None:
        method = with_window(method, window)
    faults: list[WsolbenchError] = []
    done = 0
    with ExitStack() as stack:
        writers = {
            normalisation: stack.enter_context(
                SubmissionWriter(
                    out,
                    _header(dataset, normalisation, method, label, kept),
                    overwrite=overwrite,
                )
            )
            for normalisation, out in outs.items()
        }
        for batch, read in _batches(ids, files, list(outs), kept):
            faults += [item for item in read if isinstance(item, WsolbenchError)]
            if not faults:
                ranks = None if classes is None else np.array([classes[name] for name in batch])
                planes = [item for item in read if not isinstance(item, WsolbenchError)]
                for number, writer in enumerate(writers.values()):
                    shown = None if window is None else window_rows(window, dataset, batch)
                    writer.append(batch, [maps[number] for maps in planes], ranks, windows=shown)
            done += len(batch)
            if progress:
                progress(done, len(ids))
        if faults:
            raise summary(place, faults, "maps")
    return len(ids)


def read_map(path: str | os.PathLike[str]) -> NDArray[Any]:
    """The stored values of one file; a 16-bit picture as float32 value / 65535.

    Returns:
        (h, w), uint8 or any numeric dtype of NumPy.

    Raises:
        WsolbenchError: the file is damaged, contains objects instead of numbers, is a colour
            picture, is not two-dimensional, or has a side above 4096.
    """
    file = require_file(path, "a map")
    values = _read_png(file) if file.suffix.lower() == ".png" else _read_npy(file)
    if values.ndim != 2 or not all(1 <= side <= MAX_SIDE for side in values.shape):
        raise WsolbenchError(
            file,
            found=f"shape {values.shape}",
            expected=f"(height, width), sides from 1 to {MAX_SIDE}",
            cure="save one map per file, without channels",
        )
    return values


def _read_png(file: Path) -> NDArray[Any]:
    with open_picture(file, formats=("PNG",)) as picture:
        if picture.mode in ("I;16", "I"):
            return (np.asarray(picture).astype(np.float64) / 65535).astype(np.float32)
        if picture.mode != "L":
            raise WsolbenchError(
                file,
                found=f"a picture of mode {picture.mode}",
                expected="grey, 8 or 16 bits",
                cure="save the map itself; it cannot be recovered from a coloured heat map",
            )
        return np.array(picture)


def _read_npy(file: Path) -> NDArray[Any]:
    """The array, after checking that its header matches the size of the file."""
    try:
        with open(file, "rb") as opened:
            version = np.lib.format.read_magic(opened)
            headers = {
                (1, 0): np.lib.format.read_array_header_1_0,
                (2, 0): np.lib.format.read_array_header_2_0,
            }
            if version not in headers:
                raise ValueError(f"version {version} of the format")
            shape, _, kind = headers[version](opened, max_header_size=_HEADER_BYTES)
            room = file.stat().st_size - opened.tell()
        if kind.hasobject or kind.itemsize * int(np.prod(shape, dtype=np.float64)) != room:
            raise ValueError(f"{kind} of shape {shape} in {room} bytes")
        array: NDArray[Any] = np.load(file, allow_pickle=False)
        return array
    except (OSError, ValueError, EOFError) as error:
        raise WsolbenchError(
            file,
            found=f"not an array of numbers ({error})",
            cure="save it again: numpy.save(name, map)",
        ) from error


def _batches(
    ids: Sequence[str],
    files: Mapping[str, Path],
    normalisations: Sequence[Normalisation],
    dtype: str,
) -> Iterator[tuple[list[str], list[list[NDArray[Any]] | WsolbenchError]]]:
    """Batches of ids and, for each file, its maps (one per normalisation) or its error."""

    def attempt(image_id: str) -> list[NDArray[Any]] | WsolbenchError:
        try:
            raw = read_map(files[image_id])
            return [_stored(normalisation, raw, dtype) for normalisation in normalisations]
        except WsolbenchError as error:
            found, expected, cure = error.found, error.expected, error.cure
            return WsolbenchError(files[image_id], found=found, expected=expected, cure=cure)

    with ThreadPoolExecutor(available_processors()) as pool:
        for start in range(0, len(ids), _BATCH):
            batch = list(ids[start : start + _BATCH])
            yield batch, list(pool.map(attempt, batch))


def _stored(normalisation: Normalisation, raw: NDArray[Any], dtype: str) -> NDArray[Any]:
    if normalisation.kind == "none" and raw.dtype == np.uint8 and dtype == "uint8":
        return raw
    return stored(normalisation(raw), dtype)


def _default_dtype(first: Path, outs: Mapping[Normalisation, Path]) -> str:
    unchanged = all(normalisation.kind == "none" for normalisation in outs)
    return "uint8" if unchanged and read_map(first).dtype == np.uint8 else "float32"


def _check_ids(
    place: Path, files: Mapping[str, Path], dataset: Dataset, allow_missing: bool
) -> None:
    known_ids = set(dataset.image_ids)
    unknown = [path.name for image_id, path in files.items() if image_id not in known_ids]
    missing = [image_id for image_id in dataset.image_ids if image_id not in files]
    where = dataset.title
    if unknown:
        raise WsolbenchError(
            place,
            found=f"{len(unknown)} files of images that are not in {where}: {some(unknown)}",
            expected=f"<image id>.npy or .png of its {len(known_ids)} images",
            cure="name the split of these images (--split), or remove the files",
        )
    if missing and not allow_missing:
        raise WsolbenchError(
            place,
            found=f"no map for {len(missing)} of the {len(known_ids)} images of {where}: "
            f"{some(missing)}",
            expected="a map for every image",
            cure="add the maps, or accept the gaps (--allow-missing, allow_missing=True)",
        )


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
) -> SubmissionHeader:
    parameters = method.get("parameters")
    known = dict(parameters) if isinstance(parameters, Mapping) else {}
    return SubmissionHeader(
        dataset=dataset.name,
        split=dataset.split,
        label=label,
        normalisation=f"{normalisation.words}; {STORED_AS[dtype]}",
        method={**method, "parameters": {**known, "normalisation": normalisation.name}},
    )
