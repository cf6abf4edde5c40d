"""The rule for image ids, and which files of a folder belong to which image.

Ids come from untrusted files and appear in messages, tables and file names, so they are short and
printable and cannot be a path. Programs name files after images in several ways: `0001.npy`,
`0001.jpg.npy`, `001.Bird/0001.jpg`. Where file names alone are not unique, an id keeps the folders,
joined by `FOLDER_MARK`: `val2~0~3` is the file `val2/0/3.jpeg`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePath, PurePosixPath

from .errors import WsolbenchError, some

__all__ = [
    "FOLDER_MARK",
    "MAP_ENDINGS",
    "MAX_BYTES",
    "PICTURE_ENDINGS",
    "RULE",
    "are_file_names",
    "bare_name",
    "files_by_id",
    "files_under",
    "image_id_of",
    "is_image_id",
    "one_file_each",
]

MAX_BYTES = 64
"""Maximum length of an id in bytes, and so of the fixed HDF5 strings that hold ids."""

RULE = (
    f"1 to {MAX_BYTES} ASCII letters, digits or _ - . + = , ~ @ ( ), with spaces only inside; "
    "no leading dot, no slash"
)

FOLDER_MARK = "~"
"""Stands for the slash in the ids of images whose file names alone are not unique."""

PICTURE_ENDINGS = (".jpeg", ".jpg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp")
"""File name endings that are not part of the image id; any other dot is."""

MAP_ENDINGS = (".npy", ".npz")
"""Endings of NumPy's files, which programs append to the name of the picture: `0001.jpg.npy`."""

_PATTERN = re.compile(r"[A-Za-z0-9_+=,~@()-](?:[A-Za-z0-9_+=,~@(). -]*[A-Za-z0-9_+=,~@().-])?")


def is_image_id(text: str) -> bool:
    """Whether the text follows `RULE`."""
    return len(text) <= MAX_BYTES and _PATTERN.fullmatch(text) is not None


def bare_name(name: str) -> str:
    """A file name without its folders, a map's ending and then a picture's: the usual image id.

    `001.Bird/0001.jpg.npy` and `0001.png` give `0001`; `v1.2` stays as it is.
    """
    last = PurePosixPath(name.replace("\\", "/")).name
    return _without(_without(last, MAP_ENDINGS), PICTURE_ENDINGS)


def image_id_of(name: str, *, folders: bool = False) -> str | None:
    """The image id in a file name, without picture ending; None if it is invalid.

    Args:
        name: the name, which may have folders before it.
        folders: keep the folders in the id, with `FOLDER_MARK` for each slash.
    """
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if folders and ".." in parts:
        return None
    kept = [part for part in parts if part != "/"] if folders else parts[-1:]
    bare = _without(FOLDER_MARK.join(kept), PICTURE_ENDINGS)
    return bare if is_image_id(bare) else None


def are_file_names(ids: Collection[str], known: Collection[str]) -> bool:
    """Whether these are no ids but names of the files of known images, with endings or folders."""
    return bool(ids) and all(name not in known and bare_name(name) in known for name in ids)


def files_under(folder: str | os.PathLike[str], endings: Sequence[str]) -> Iterator[Path]:
    """The files of a folder and its subfolders with one of these endings, in a fixed order.

    Hidden files and folders (with a leading dot in their name) are left out. Upper and lower case
    of endings count as the same.
    """
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if name.lower().endswith(tuple(endings)) and not name.startswith("."):
                yield Path(place, name)


def files_by_id(image_ids: Collection[str], files: Iterable[PurePath]) -> dict[str, list[PurePath]]:
    """The files of each image.

    A file belongs to the image whose id is its name without the last ending, or else its
    `bare_name`; before that, to the image whose id is such a name with folders above it, joined by
    `FOLDER_MARK`: the id that names the most folders wins.

    Args:
        image_ids: the images.
        files: paths, with the folders that ids may name.

    Returns:
        {image id: its files, in the given order}; images without a file are absent.
    """
    wanted = frozenset(image_ids)
    depth = max((image_id.count(FOLDER_MARK) for image_id in wanted), default=0)
    found: dict[str, list[PurePath]] = {}
    for file in files:
        image_id = next((name for name in _names(file, depth) if name in wanted), None)
        if image_id is not None:
            found.setdefault(image_id, []).append(file)
    return found


def one_file_each(
    where: object, files: Mapping[str, Sequence[PurePath]], what: str
) -> dict[str, PurePath]:
    """The only file of each image.

    Args:
        where: the folder, for the message.
        files: the files of each image, from `files_by_id`.
        what: what one file is, e.g. "map".

    Raises:
        WsolbenchError: an image has several files; all such images are counted.
    """
    doubles = [
        f"{image_id} ({some([str(path) for path in paths])})"
        for image_id, paths in files.items()
        if len(paths) > 1
    ]
    if doubles:
        raise WsolbenchError(
            where,
            found=f"several files for {len(doubles)} image{'s' * (len(doubles) > 1)}: "
            f"{some(doubles)}",
            expected=f"one {what} for each image",
            cure="name the folder that holds only one kind of files, or remove the others",
        )
    return {image_id: paths[0] for image_id, paths in files.items()}


def _names(file: PurePath, depth: int) -> Iterator[str]:
    """The ids that a file may stand for, with the most folders first."""
    ends = dict.fromkeys((file.stem, bare_name(file.name), bare_name(file.stem)))
    folders = [part for part in file.parts[:-1] if part != file.anchor]
    for count in range(min(depth, len(folders)), -1, -1):
        above = folders[len(folders) - count :]
        for end in ends:
            yield FOLDER_MARK.join([*above, end])


def _without(name: str, endings: Sequence[str]) -> str:
    """A name without the first of these endings that it has; a name that is nothing else stays."""
    for ending in endings:
        if name.lower().endswith(ending) and len(name) > len(ending):
            return name[: -len(ending)]
    return name
