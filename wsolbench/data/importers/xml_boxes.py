"""Boxes from XML files in PASCAL VOC format, such as the official ones of ILSVRC2012.

One file per image, in a folder or in its archive: annotation / size / width, height and
annotation / object / bndbox / xmin, ymin, xmax, ymax. Boxes of parts of an object and objects
within objects are not boxes of the image; objects marked as difficult or truncated are. An archive
is read as a stream and never unpacked to disk, so its member names cannot point outside a folder;
the number and size of its members are limited. XML is parsed without document types and entities.

The files do not state how corners are counted: see `corners`.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from ...errors import WsolbenchError
from ...formats.annotations import Source
from ...formats.untrusted.byte_file import ByteFile
from ...formats.untrusted.contents import read_bytes
from ...formats.untrusted.tar_files import TarLimits, tar_files
from ...formats.untrusted.xml_text import MAX_XML_BYTES, parse_xml
from ...image_ids import files_under, image_id_of
from .corners import RawBox
from .rounding import snapped
from .tables import refuse, same_ids

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

__all__ = ["ARCHIVE_ENDINGS", "XmlBoxes", "read_xml_boxes"]

ARCHIVE_ENDINGS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
"""File name endings that mark an archive rather than a list, in upper or lower case."""

MAX_MEMBERS = 100_000
"""Maximum files in one archive or folder: twice the 50,000 validation images."""

MAX_TOTAL_BYTES = 1 << 30
"""Maximum decompressed size of an archive in bytes."""

_SUBFOLDERS = ("", "val", "CLS-LOC/val", "Annotation/CLS-LOC/val", "Annotations/CLS-LOC/val")
_ENDING = ".xml"
_CORNERS = ("xmin", "ymin", "xmax", "ymax")


@dataclass(frozen=True)
class XmlBoxes:
    """The content of the XML files.

    Attributes:
        boxes: by image id, the corners (xmin, ymin, xmax, ymax) as stored.
        sizes: by image id, (height, width); images whose file has none are absent.
        names: by image id, the name of each box's object.
        source: the archive, or the folder with a SHA-256 of its file names and contents.
    """

    boxes: dict[str, list[RawBox]]
    sizes: dict[str, tuple[int, int]]
    names: dict[str, list[str]]
    source: Source


def read_xml_boxes(path: str | os.PathLike[str], *, folder_ids: bool | None = None) -> XmlBoxes:
    """Read a folder of XML files (or one with CLS-LOC/val), or a .tar, .tar.gz or .tgz of them.

    Args:
        path: the folder or archive.
        folder_ids: keep the folders in the image ids; None if the caller does not offer it.

    Raises:
        WsolbenchError: there are no files or too many, the archive is damaged, or files are not
            XML of this format; all faults together.
    """
    place = Path(path)
    if place.is_dir():
        return _read(place, _xml_in_folder(place, deep=bool(folder_ids)), None, folder_ids)
    with ByteFile(place, "a folder of XML files, or a .tar of them") as archive:
        return _read(place, _xml_in_archive(archive), archive, folder_ids)


def _read(
    place: Path,
    files: Iterator[tuple[str, bytes]],
    archive: ByteFile | None,
    folder_ids: bool | None,
) -> XmlBoxes:
    """The boxes in some files, which are those of a folder if there is no archive."""
    found = XmlBoxes({}, {}, {}, Source("", ""))
    faults: list[str] = []
    ids: dict[str, str] = {}
    digest = hashlib.sha256()
    for name, content in files:
        digest.update(f"{name} {hashlib.sha256(content).hexdigest()}\n".encode())
        image_id = image_id_of(name[: -len(_ENDING)], folders=bool(folder_ids))
        if image_id is None:
            faults.append(f"{name!r} is not a valid image id")
            continue
        if name in ids:
            faults.append(f"{name!r} is a duplicate")
        ids[name] = image_id
        try:
            size, found.boxes[image_id], found.names[image_id] = _parse(content)
        except ValueError as error:
            faults.append(f"{name}: {error}")
            continue
        if size is not None:
            found.sizes[image_id] = size
    refuse(
        place,
        faults,
        expected="annotation/size and annotation/object/bndbox with numbers",
        cure="download the files again",
    )
    same_ids(place, list(ids), list(ids.values()), folder_ids=folder_ids)
    if not ids:
        if folder_ids is False and archive is None and any(files_under(place, (_ENDING,))):
            raise WsolbenchError(
                place,
                found=".xml files only in folders below it",
                cure="keep these folders in the ids: --folder-ids, in Python folder_ids=True; or "
                "name the folder that contains the files",
            )
        raise WsolbenchError(
            place,
            found="no .xml file",
            expected="the official boxes, <image id>.xml",
            cure="name the folder that contains them (CLS-LOC/val), or their .tar or .tgz",
        )
    sha256 = digest.hexdigest() if archive is None else archive.sha256()
    return replace(found, source=Source(place.resolve().name, sha256))


def _xml_in_folder(folder: Path, *, deep: bool) -> Iterator[tuple[str, bytes]]:
    """(path below the folder of the files, content) of each file; of all folders if `deep`."""
    places = [folder] if deep else [folder / below for below in _SUBFOLDERS]
    for place in places:
        paths = sorted(
            path for path in files_under(place, (_ENDING,)) if deep or path.parent == place
        )
        if not paths:
            continue
        _check_count(folder, len(paths))
        for path in paths:
            content = read_bytes(path, "an XML file of boxes", MAX_XML_BYTES, cure="remove it")
            yield path.relative_to(place).as_posix(), content
        return


def _xml_in_archive(archive: ByteFile) -> Iterator[tuple[str, bytes]]:
    limits = TarLimits(MAX_MEMBERS, MAX_XML_BYTES, MAX_TOTAL_BYTES)
    try:
        for name, content in tar_files(archive, limits, _ENDING):
            parts = [part for part in PurePosixPath(name).parts if part != ".."]
            yield "/".join(parts).lstrip("/"), content
    except ValueError as error:
        raise WsolbenchError(
            archive.path,
            found=str(error),
            expected="a .tar, .tar.gz or .tgz file of about 50,000 small XML files",
            cure="download it again, or name the archive that contains only the boxes",
        ) from error


def _check_count(place: Path, count: int) -> None:
    if count > MAX_MEMBERS:
        raise WsolbenchError(
            place,
            found=f"more than {MAX_MEMBERS} files",
            expected="one XML file per image",
            cure="name only the boxes of the validation images",
        )


def _parse(content: bytes) -> tuple[tuple[int, int] | None, list[RawBox], list[str]]:
    """The size (None if the file has none), the boxes and their objects' names."""
    root = parse_xml(content)
    size = _size(root.find("{*}size"))
    boxes: list[RawBox] = []
    names: list[str] = []
    # Only direct children: parts of an object and objects within it have boxes too.
    for thing in root.findall("{*}object"):
        for corners in thing.findall("{*}bndbox"):
            x0, y0, x1, y1 = _numbers(corners, _CORNERS)
            far = (math.inf, math.inf) if size is None else (size[1], size[0])
            fits = 0 <= x0 <= x1 and 0 <= y0 <= y1
            # A box that fits the size only if it is swapped is left to the masks and photos.
            if not fits or not ((x1 <= far[0] and y1 <= far[1]) or (x1 <= far[1] and y1 <= far[0])):
                shown = f"{x0:.10g},{y0:.10g},{x1:.10g},{y1:.10g}"
                within = "" if size is None else f"{size[1]}x{size[0]}"
                raise ValueError(f"the box {shown} does not fit {within or 'x0 <= x1, y0 <= y1'}")
            boxes.append((x0, y0, x1, y1))
            names.append((thing.findtext("{*}name") or "").strip())
    if not boxes:
        raise ValueError("no box")
    return size, boxes, names


def _size(parent: Element | None) -> tuple[int, int] | None:
    """(height, width), or None if they are missing or 0, as some programs write them."""
    texts = [_text(parent, tag) for tag in ("width", "height")]
    if not any(texts):
        return None
    width, height = _numbers(parent, ("width", "height"))
    if not (width % 1 == 0 and height % 1 == 0):
        raise ValueError(f"the size is {texts[0]}x{texts[1]}")
    return (int(height), int(width)) if width > 0 and height > 0 else None


def _numbers(parent: Element | None, tags: Sequence[str]) -> list[float]:
    numbers: list[float] = []
    for tag in tags:
        text = _text(parent, tag)
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not abs(number) < 1e9:
            raise ValueError(f"{tag} is {text!r}")
        numbers.append(snapped(number))
    return numbers


def _text(parent: Element | None, tag: str) -> str:
    return (parent.findtext(f"{{*}}{tag}") or "").strip() if parent is not None else ""
