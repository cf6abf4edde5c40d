"""Conversion of folders of maps, of edges, or of both to submissions.

Files are of any size, one for each image of a split, in the folder or below it, in the forms of
`map_files`. They are named by image ids: `0001.npy`, `0001.jpg.npy`, `001.Bird/0001.png`.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.dataset import Dataset
from ..data.importers.mask_files import summary
from ..errors import WsolbenchError, one_of, require_choice, some
from ..files import available_processors, require_folder, require_target, sha256_of
from ..formats.submission.rules import SubmissionHeader
from ..formats.submission.writer import SubmissionWriter
from ..image_ids import files_by_id, files_under, one_file_each
from ..metrics.map_values import ROUNDING, values_fault
from ..progress import Progress
from .class_table import read_classes
from .map_files import ENDINGS, is_lossy, read_map_and_kind
from .normalisations import Normalisation
from .scales import SCALE_CURE, check_scale, notes_of_values, scaled, survey_of
from .storage import STORED_AS, stored
from .windows import CentreCrop, window_rows, with_window

__all__ = ["Imported", "import_edges", "import_maps"]

_BATCH = 128
_AS_IS = Normalisation("none")


INVERTED = 0.6
"""Mean above which an edge map seems inverted; the highest of 687 of a detector (HED) is .47."""


@dataclass(frozen=True)
class Imported:
    """What `import_maps` or `import_edges` did.

    Attributes:
        maps: number of maps in each submission, or of images with edges if it holds edges alone.
        notes: what a reader of the submissions should know, e.g. that files were lossy.
    """

    maps: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Source:
    """A folder of maps or edge maps, and how its values are stored.

    Attributes:
        place: the folder.
        what: "map" or "edge map".
        files: the file of each image.
        forms: the normalisations, each of which gives one stored map a file.
        dtype: the storage type.
        scale: the number that means 1, if one is stated.
        notes: on its files and values.
    """

    place: Path
    what: str
    files: Mapping[str, Path]
    forms: tuple[Normalisation, ...]
    dtype: str
    scale: str | None
    notes: tuple[str, ...]

    @property
    def is_lossy(self) -> bool:
        """Whether the format of some file changes values."""
        return any(map(is_lossy, self.files.values()))

    def words(self, form: Normalisation) -> str:
        """How values were brought into [0, 1], for the submission."""
        divided = f", divided by {self.scale}" if self.scale and form.kind == "none" else ""
        lossy = "; from JPEG files, which are lossy" if self.is_lossy else ""
        return f"{form.words}{divided}; {STORED_AS[self.dtype]}{lossy}"


@dataclass(frozen=True)
class _Target:
    """A submission to write: its path, header, and which of the maps it takes."""

    out: Path
    header: SubmissionHeader
    form: int = 0


def import_maps(
    folder: str | os.PathLike[str],
    dataset: Dataset,
    outs: Mapping[Normalisation, Path],
    *,
    method: Mapping[str, object],
    label: str = "gt",
    dtype: str | None = None,
    top5: str | os.PathLike[str] | None = None,
    edges: str | os.PathLike[str] | None = None,
    allow_missing: bool = False,
    resume: bool = False,
    overwrite: bool = False,
    clip: bool = False,
    scale: str | None = None,
    window: CentreCrop | None = None,
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
        edges: a folder of boundary probabilities of the same images, stored with the maps; they
            are not normalised, and `dtype` and `scale` are not theirs (see `import_edges`).
        allow_missing: accept a split with images that have no map.
        resume: continue an unfinished run.
        overwrite: discard an unfinished run.
        scale: the number that means 1 in the files: "1", "255" or "65535". None: 255 in 8 bits,
            65535 in 16 bits and 1 in floats, unless all files together leave it open.
        clip: cut values that leave [0, 1] by at most 1e-3, as rounding does, and count their maps.
        window: the crop of the photo that the maps show, see `wsolbench.centre_crop`; None if they
            show the whole photo. Not with `edges`.
        progress: called with (files read, files).

    Returns:
        The number of maps in each submission, and notes.

    Raises:
        WsolbenchError: a target is one of the files; files are not maps, values without
            normalisation are outside [0, 1] or leave open which number means 1, images have no
            file or several, or files belong to no image of the annotations; all faults of a kind
            together. Edges are given with a window, or not of the images with maps.

    Examples:
        >>> dataset = wsolbench.Dataset.open("demo/mini.h5")
        >>> for image_id in dataset.image_ids:
        ...     np.save(image_id, np.float32([[0.2, 0.9]]))
        >>> outs = {wsolbench.normalisation_named("min-max"): "mine.h5"}
        >>> wsolbench.import_maps(".", dataset, outs, method={"name": "mine"}).maps
        120
    """
    kept = any(own.kind == "none" for own in outs)
    if scale is not None and not kept:
        raise WsolbenchError(
            "scale",
            found=f"{scale!r}, but every map is normalised, whatever its scale",
            cure="leave out --scale (Python scale) or --normalise",
        )
    if edges is not None and window is not None:
        raise WsolbenchError(
            "edges",
            found="maps of a crop (--centre-crop) together with edges",
            expected="maps of the whole photo, as edges are",
            cure="leave --edges out, and make a submission of the edges with import-edges",
        )
    for out in outs.values():
        require_target(out, [top5])
    maps = _source(
        folder,
        dataset,
        "map",
        tuple(outs),
        [*outs.values()],
        dtype=dtype,
        scale=scale,
        allow_missing=allow_missing,
        cure=f"{SCALE_CURE}, or choose --normalise max",
    )
    edged = None
    if edges is not None:
        edged = _source(
            edges,
            dataset,
            "edge map",
            (_AS_IS,),
            [*outs.values()],
            allow_missing=allow_missing,
            cure="save floats from 0 to 1 (.npy), which need no scale",
        )
        _require_same_images(maps, edged)
    classes = None if top5 is None else read_classes(top5, list(maps.files))
    if window is not None:
        method = with_window(method, window)
    also = "" if edged is None else f"; edges: {edged.words(_AS_IS)}"
    targets = [
        _Target(out, _header(dataset, own, maps.words(own) + also, method, label), number)
        for number, (own, out) in enumerate(outs.items())
    ]
    inputs = {"top5": "" if top5 is None else sha256_of(top5)}
    return _write(
        dataset,
        maps,
        edged,
        targets,
        classes,
        window,
        inputs,
        resume=resume,
        overwrite=overwrite,
        clip=clip,
        progress=progress,
    )


def import_edges(
    folder: str | os.PathLike[str],
    dataset: Dataset,
    out: str | os.PathLike[str],
    *,
    method: Mapping[str, object],
    dtype: str | None = None,
    allow_missing: bool = False,
    resume: bool = False,
    overwrite: bool = False,
    clip: bool = False,
    scale: str | None = None,
    progress: Progress | None = None,
) -> Imported:
    """Write the edge maps of a folder as a submission of edges alone.

    Files are those of `import_maps`, of any size: the probability of a boundary at each pixel of
    the whole photo, in [0, 1], or 8 bits (value / 255).

    Args:
        folder: the folder of edge maps; files of other images of the annotations are left out.
        dataset: the split to which they belong.
        out: the submission to write.
        method: see `import_maps`.
        dtype: the storage type; None keeps 8-bit files unchanged if all are, and uses float32
            otherwise.
        allow_missing: accept a split with images that have no edges.
        resume: continue an unfinished run.
        overwrite: discard an unfinished run.
        clip: see `import_maps`.
        scale: see `import_maps`.
        progress: called with (files read, files).

    Returns:
        The number of images with edges, and notes.

    Raises:
        WsolbenchError: see `import_maps`.

    Examples:
        >>> edges = wsolbench.Dataset.open("demo/mini.h5")
        >>> for sample in edges:
        ...     np.save(sample.image_id, np.float32(sample.mask))
        >>> wsolbench.import_edges(".", edges, "edges.h5", method={"name": "mine"}).maps
        120
    """
    edges = _source(
        folder,
        dataset,
        "edge map",
        (_AS_IS,),
        [Path(out)],
        dtype=dtype,
        scale=scale,
        allow_missing=allow_missing,
        cure=SCALE_CURE,
    )
    header = _header(dataset, _AS_IS, edges.words(_AS_IS), method, "gt")
    return _write(
        dataset,
        None,
        edges,
        [_Target(Path(out), header)],
        None,
        None,
        {},
        resume=resume,
        overwrite=overwrite,
        clip=clip,
        progress=progress,
    )


def _source(
    folder: str | os.PathLike[str],
    dataset: Dataset,
    what: str,
    forms: tuple[Normalisation, ...],
    outs: Sequence[Path],
    *,
    dtype: str | None = None,
    scale: str | None = None,
    allow_missing: bool,
    cure: str,
) -> _Source:
    """A folder, after the checks that need all of its files; `cure` is of an unclear scale."""
    if dtype is not None:
        require_choice("dtype", dtype, STORED_AS)
    place = require_folder(folder, f"a folder of {what}s")
    files, notes = _files_of(place, dataset, what, allow_missing)
    for out in outs:
        require_target(out, [*files.values()])
    kept = [own for own in forms if own.kind == "none"]
    default = "float32"
    if kept:
        surveys = survey_of(place, files, what)
        check_scale(place, surveys, scale, what, cure)
        notes += notes_of_values(surveys, scale, what)
        if len(kept) == len(forms) and scale in (None, "255"):
            default = "uint8" if all(own.kind == "8-bit" for own in surveys) else default
    lossy = sum(map(is_lossy, files.values()))
    if lossy:
        notes.append(f"{lossy} of {len(files)} {what}s are JPEG files, which change their values")
    return _Source(place, what, files, forms, dtype or default, scale, tuple(notes))


def _require_same_images(maps: _Source, edges: _Source) -> None:
    """Refuse images with only one of both, which a submission cannot hold."""
    for own, other in ((maps, edges), (edges, maps)):
        without = [name for name in own.files if name not in other.files]
        if without:
            raise WsolbenchError(
                other.place,
                found=f"no {other.what} for {len(without)} images with {own.what}s: "
                f"{some(without)}",
                expected="maps and edge maps of the same images",
                cure=f"add the {other.what}s, or remove these images from {own.place}",
            )


def _write(
    dataset: Dataset,
    maps: _Source | None,
    edges: _Source | None,
    targets: Sequence[_Target],
    classes: Mapping[str, list[int]] | None,
    window: CentreCrop | None,
    inputs: Mapping[str, str],
    *,
    resume: bool,
    overwrite: bool,
    clip: bool,
    progress: Progress | None,
) -> Imported:
    """Write submissions of maps, edges or both, which are of the same images."""
    named = {"maps": maps, "edges": edges}
    sources = {name: own for name, own in named.items() if own is not None}
    read_from = {name: _fingerprint(own.files) for name, own in sources.items()}
    inputs = {"annotations": dataset.store.content_sha256, **inputs, **read_from}
    held = next(iter(sources.values())).files
    ids = [image_id for image_id in dataset.image_ids if image_id in held]
    faults: dict[str, list[WsolbenchError]] = {name: [] for name in sources}
    cut: dict[str, list[str]] = {name: [] for name in sources}
    with ExitStack() as stack:
        writers = [
            stack.enter_context(
                SubmissionWriter(
                    target.out, target.header, resume=resume, overwrite=overwrite, inputs=inputs
                )
            )
            for target in targets
        ]
        written = [writer.written for writer in writers]
        pending = [name for name in ids if not all(name in own for own in written)]
        done = len(ids) - len(pending)
        dark = 0
        for batch in _batches(pending, sources, cut if clip else None):
            dark += sum(map(_is_mostly_boundary, batch.planes.get("edges", ())))
            for name, found in batch.faults.items():
                faults[name] += found
            if not any(faults.values()):
                for target, writer in zip(targets, writers, strict=True):
                    # A killed run may have left one submission a batch behind another.
                    wanted = [at for at, name in enumerate(batch.ids) if name not in writer.written]
                    names = [batch.ids[at] for at in wanted]
                    writer.append(
                        names,
                        batch.stored("maps", wanted, target.form),
                        None if classes is None else np.array([classes[name] for name in names]),
                        edges=batch.stored("edges", wanted),
                        windows=None if window is None else window_rows(window, dataset, names),
                    )
            done += len(batch.ids)
            if progress:
                progress(done, len(ids))
        for name, source in sources.items():
            if faults[name]:
                raise summary(source.place, faults[name], f"{source.what}s")
    notes = [note for source in sources.values() for note in source.notes]
    if 2 * dark > len(pending):
        notes.append(
            f"{dark} of {len(pending)} edge maps call most of their pixels a boundary: check that "
            "they are not inverted, with dark lines on white"
        )
    for name, source in sources.items():
        if cut[name]:
            count = f"{len(cut[name])} {source.what}s"
            notes.append(f"{count} were cut to [0, 1], which they left by 1e-3 at most")
    return Imported(len(ids), tuple(notes))


@dataclass(frozen=True)
class _Batch:
    """Images, and for each source their stored maps (one per form) and the errors of its files."""

    ids: Sequence[str]
    planes: Mapping[str, list[list[NDArray[Any]]]]
    faults: Mapping[str, list[WsolbenchError]]

    def stored(self, name: str, wanted: Sequence[int], form: int = 0) -> list[NDArray[Any]] | None:
        """The maps of one source at these positions, under one of its forms; None without it."""
        planes = self.planes.get(name)
        return None if planes is None else [planes[at][form] for at in wanted]


def _batches(
    ids: Sequence[str], sources: Mapping[str, _Source], cut: Mapping[str, list[str]] | None
) -> Iterator[_Batch]:
    """Batches of images.

    If `cut` is given, rounding errors are cut off, and the ids of these maps are added to it.
    """

    def attempt(name: str, image_id: str) -> list[NDArray[Any]] | WsolbenchError:
        source = sources[name]
        try:
            raw = scaled(*read_map_and_kind(source.files[image_id]), source.scale)
            if cut is not None and _leaves_by_rounding(raw):
                raw = np.clip(raw, 0, 1)
                cut[name].append(image_id)
            if name == "edges":
                _require_probabilities(raw)
            return [_stored(form, raw, source.dtype) for form in source.forms]
        except WsolbenchError as error:
            found, expected, cure = error.found, error.expected, error.cure
            where = source.files[image_id]
            return WsolbenchError(where, found=found, expected=expected, cure=cure)

    with ThreadPoolExecutor(available_processors()) as pool:
        for start in range(0, len(ids), _BATCH):
            own = ids[start : start + _BATCH]
            read = {name: list(pool.map(partial(attempt, name), own)) for name in sources}
            yield _Batch(
                own,
                {
                    name: [item for item in items if not isinstance(item, WsolbenchError)]
                    for name, items in read.items()
                },
                {
                    name: [item for item in items if isinstance(item, WsolbenchError)]
                    for name, items in read.items()
                },
            )


def _is_mostly_boundary(forms: Sequence[NDArray[Any]]) -> bool:
    """Whether the mean of an edge map is above `INVERTED`."""
    edges = forms[0]
    return bool(edges.mean() > INVERTED * (255 if edges.dtype == np.uint8 else 1))


def _require_probabilities(raw: NDArray[Any]) -> None:
    """Refuse values of edges that are neither 8 bits nor floats in [0, 1]."""
    if raw.dtype == np.uint8:
        return
    is_float = raw.dtype.kind == "f"
    fault = values_fault(raw) if is_float else f"values of {raw.dtype}"
    if fault:
        near = is_float and bool(raw.min() >= -ROUNDING and raw.max() <= 1 + ROUNDING)
        raise WsolbenchError(
            "edges",
            found=fault,
            expected="probabilities: floats in [0, 1], or 8 bits",
            cure="cut the rounding error off (--clip)"
            if near
            else "save what the sigmoid gives, not logits",
        )


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
    place: Path, dataset: Dataset, what: str, allow_missing: bool
) -> tuple[dict[str, Path], list[str]]:
    """The file of each image in the order of the split, and a note on files of other images."""
    found = list(files_under(place, ENDINGS))
    if not found:
        raise WsolbenchError(
            place,
            found=f"no {one_of(ENDINGS)} file",
            expected=f"a folder of {what}s, <image id>.npy",
            cure=f"name the folder that contains the {what}s",
        )
    # Ids may name folders above the one that was given.
    absolute = [file.absolute() for file in found]
    by_id = files_by_id(dataset.store.image_ids, absolute)
    own = {name: by_id[name] for name in dataset.image_ids if name in by_id}
    files = {name: Path(path) for name, path in one_file_each(place, own, what).items()}
    missing = [image_id for image_id in dataset.image_ids if image_id not in files]
    known = {path for paths in by_id.values() for path in paths}
    others = len(known) - len(files)
    strange = [file.name for file in absolute if file not in known]
    where, cure = dataset.title, f"add the {what}s, or accept the gaps (--allow-missing)"
    if strange and missing:
        raise WsolbenchError(
            place,
            found=f"{len(strange)} files of no image of the annotations ({some(strange)}), "
            f"and no {what} for {len(missing)} of the {len(dataset)} images of {where} "
            f"({some(missing)})",
            expected="files named by image ids",
            cure="rename the files, or name the annotations of these images (--annotations)",
        )
    if missing and (not allow_missing or not files):
        elsewhere = f"; {others} files are of other images of the annotations" if others else ""
        raise WsolbenchError(
            place,
            found=f"no {what} for {len(missing)} of the {len(dataset)} images of {where}: "
            f"{some(missing)}{elsewhere}",
            expected=f"{'an' if what[0] in 'aeiou' else 'a'} {what} for every image",
            cure="name the split of these images (--split)" if others and not files else cure,
        )
    left = others + len(strange)
    kind = "files" if what == "map" else f"{what} files"
    notes = [f"{left} {kind} of images outside {where} were left out"] if left else []
    return files, notes


def _header(
    dataset: Dataset,
    normalisation: Normalisation,
    words: str,
    method: Mapping[str, object],
    label: str,
) -> SubmissionHeader:
    parameters = method.get("parameters")
    known = dict(parameters) if isinstance(parameters, Mapping) else {}
    return SubmissionHeader(
        dataset=dataset.name,
        split=dataset.split,
        label=label,
        normalisation=words,
        method={**method, "parameters": {**known, "normalisation": normalisation.name}},
    )
