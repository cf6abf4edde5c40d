"""Boxes from the official XML files of ILSVRC2012, in a folder or in their archive.

One file per image, in PASCAL VOC format: annotation / size / width, height and
annotation / object / bndbox / xmin, ymin, xmax, ymax. An archive is read as a stream and never
unpacked to disk, so its member names cannot point outside a folder; the number and size of its
members are limited. XML is parsed without document types and entities.

Convention: the files do not state whether the far corner is inclusive, so it is inferred. If any
far corner equals the width or height, the boxes are half-open already. If none does, the far corner
is the last pixel, as in the lists made from these files, and 1 is added.
"""

from __future__ import annotations

import hashlib
import os
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from ...errors import WsolbenchError
from ...files import require_file, sha256_of
from ...formats.annotations import Source
from ...image_ids import is_image_id
from .mask_files import Box
from .tables import refuse, whole_number

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

__all__ = ["ARCHIVE_ENDINGS", "XmlBoxes", "half_open", "read_xml_boxes"]

ARCHIVE_ENDINGS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
"""File name endings that mark an archive rather than a list, in upper or lower case."""

MAX_MEMBERS = 100_000
"""Maximum files in one archive or folder: twice the 50,000 validation images."""

MAX_XML_BYTES = 1 << 20
"""Maximum size of an XML file in bytes: a thousand times the usual size."""

MAX_TOTAL_BYTES = 1 << 30
"""Maximum decompressed size of an archive in bytes."""

_SUBFOLDERS = ("", "val", "CLS-LOC/val", "Annotation/CLS-LOC/val", "Annotations/CLS-LOC/val")
_CORNERS = ("xmin", "ymin", "xmax", "ymax")


@dataclass(frozen=True)
class XmlBoxes:
    """The content of the XML files.

    Attributes:
        boxes: by image id, the corners (xmin, ymin, xmax, ymax) as stored.
        sizes: by image id, (height, width).
        source: the archive, or the folder with a SHA-256 of its file names and contents.
    """

    boxes: dict[str, list[Box]]
    sizes: dict[str, tuple[int, int]]
    source: Source


def read_xml_boxes(path: str | os.PathLike[str]) -> XmlBoxes:
    """Read a folder of XML files (or one with CLS-LOC/val), or a .tar, .tar.gz or .tgz of them.

    Raises:
        WsolbenchError: there are no files or too many, the archive is damaged, or files are not
            XML of this format; all faults together.
    """
    place = Path(path)
    boxes: dict[str, list[Box]] = {}
    sizes: dict[str, tuple[int, int]] = {}
    faults: list[str] = []
    digest = hashlib.sha256()
    for name, content in _xml_in_folder(place) if place.is_dir() else _xml_in_archive(place):
        digest.update(f"{name} {hashlib.sha256(content).hexdigest()}\n".encode())
        image_id = PurePosixPath(name).stem
        if not is_image_id(image_id) or image_id in boxes:
            kind = "a duplicate" if image_id in boxes else "not a valid image id"
            faults.append(f"{name!r} is {kind}")
            continue
        try:
            sizes[image_id], boxes[image_id] = _parse(content)
        except ValueError as error:
            faults.append(f"{name}: {error}")
    refuse(
        place,
        faults,
        expected="annotation/size and annotation/object/bndbox with integers",
        cure="download the files again",
    )
    if not boxes:
        raise WsolbenchError(
            place,
            found="no .xml file",
            expected="the official boxes, <image id>.xml",
            cure="name the folder that contains them (CLS-LOC/val), or their .tar or .tgz",
        )
    sha256 = digest.hexdigest() if place.is_dir() else sha256_of(place)
    return XmlBoxes(boxes, sizes, Source(place.resolve().name, sha256))


def half_open(
    boxes: dict[str, list[Box]], sizes: dict[str, tuple[int, int]]
) -> tuple[dict[str, list[Box]], str]:
    """The boxes (x0, y0, x1, y1), half-open, and a sentence on the inferred convention.

    Args:
        boxes: corners as stored in the XML files, by image id.
        sizes: (height, width) by image id, for at least those images.

    Returns:
        The boxes, with 1 added to the far corners if none of them equals the width or height, and
        the sentence.
    """
    reaching = sum(
        box[2] == sizes[image_id][1] or box[3] == sizes[image_id][0]
        for image_id, listed in boxes.items()
        for box in listed
    )
    total = sum(map(len, boxes.values()))
    if reaching:
        return boxes, (
            f"XML boxes: {reaching} of {total} far corners equal the width or height, so the boxes "
            "are half-open already"
        )
    shifted = {
        image_id: [(x0, y0, x1 + 1, y1 + 1) for x0, y0, x1, y1 in listed]
        for image_id, listed in boxes.items()
    }
    return shifted, (
        f"XML boxes: none of {total} far corners equals the width or height, so they are the last "
        "pixels, counted from 0; 1 was added to make them half-open"
    )


def _xml_in_folder(folder: Path) -> Iterator[tuple[str, bytes]]:
    for below in _SUBFOLDERS:
        paths = sorted((folder / below).glob("*.xml"))
        if not paths:
            continue
        _check_count(folder, len(paths))
        for path in paths:
            with open(path, "rb") as file:
                content = file.read(MAX_XML_BYTES + 1)
            _check_bytes(path, len(content))
            yield path.name, content
        return


def _xml_in_archive(archive: Path) -> Iterator[tuple[str, bytes]]:
    require_file(archive, "a folder of XML files, or a .tar of them")
    count = total = 0
    try:
        with tarfile.open(archive, "r|*") as stream:
            for member in stream:
                count += 1
                total += member.size
                _check_count(archive, count)
                if total > MAX_TOTAL_BYTES:
                    raise WsolbenchError(
                        archive,
                        found=f"more than {MAX_TOTAL_BYTES} bytes unpacked",
                        expected="about 50,000 small XML files",
                        cure="name the archive that contains only the boxes",
                    )
                content = stream.extractfile(member) if member.isreg() else None
                if content is not None and member.name.endswith(".xml"):
                    _check_bytes(archive / member.name, member.size)
                    yield PurePosixPath(member.name).name, content.read()
    except (tarfile.TarError, zlib.error, EOFError, OSError) as error:
        raise WsolbenchError(
            archive,
            found=f"a damaged archive ({error})",
            expected="a .tar, .tar.gz or .tgz file",
            cure="download it again",
        ) from error


def _check_count(place: Path, count: int) -> None:
    if count > MAX_MEMBERS:
        raise WsolbenchError(
            place,
            found=f"more than {MAX_MEMBERS} files",
            expected="one XML file per image",
            cure="name only the boxes of the validation images",
        )


def _check_bytes(path: Path, count: int) -> None:
    if count > MAX_XML_BYTES:
        raise WsolbenchError(
            path,
            found=f"{count} bytes",
            expected=f"an XML file of at most {MAX_XML_BYTES}",
            cure="remove it",
        )


def _parse(content: bytes) -> tuple[tuple[int, int], list[Box]]:
    from defusedxml.common import DefusedXmlException
    from defusedxml.ElementTree import ParseError, fromstring

    try:
        root = fromstring(content, forbid_dtd=True)
    except (ParseError, DefusedXmlException, UnicodeError, LookupError) as error:
        raise ValueError(f"invalid XML ({type(error).__name__})") from error
    width, height = _numbers(root.find("size"), ("width", "height"))
    boxes: list[Box] = []
    for thing in root.iter("object"):
        for corners in thing.iter("bndbox"):
            x0, y0, x1, y1 = _numbers(corners, _CORNERS)
            if not (0 <= x0 <= x1 <= width and 0 <= y0 <= y1 <= height):
                raise ValueError(f"the box {x0},{y0},{x1},{y1} does not fit {width}x{height}")
            boxes.append((x0, y0, x1, y1))
    if not boxes:
        raise ValueError("no box")
    return (height, width), boxes


def _numbers(parent: Element | None, tags: Sequence[str]) -> list[int]:
    numbers: list[int] = []
    for tag in tags:
        text = (parent.findtext(tag) or "").strip() if parent is not None else ""
        number = whole_number(text)
        if number is None:
            raise ValueError(f"{tag} is {text!r}")
        numbers.append(number)
    return numbers
