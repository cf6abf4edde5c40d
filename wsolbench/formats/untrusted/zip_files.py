"""Archives in ZIP format, checked before anything in them is unpacked.

Source: PKWARE's APPNOTE.TXT. A directory of many entries, members that overlap, and members that
unpack to far more than they hold are the known bombs (Fifield, A better zip bomb, 2019). Readers
look for the end of an archive in different ways: a file that two of them could take differently is
refused.
"""

from __future__ import annotations

import io
import itertools
import struct
import zipfile
import zlib
from dataclasses import dataclass
from typing import BinaryIO

from .limits import MAX_DEFLATE_RATIO

__all__ = ["ZipLimits", "checked_members", "read_members"]

_END = struct.Struct("<4s4H2LH")  # the end record
_WIDE = struct.Struct("<4sQ2H2L4Q")  # the same with 64 bits
_LOCATOR = struct.Struct("<4sLQL")  # where the latter is
_TAIL = 65_535 + _END.size + _LOCATOR.size + _WIDE.size  # with the longest comment
_ENTRY = 512  # bytes of a directory's entry with a long name
_LOCAL = 30  # bytes of a member's own header, without its name
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


@dataclass(frozen=True)
class ZipLimits:
    """What an archive may hold.

    Attributes:
        members: how many.
        total: bytes of all of them, unpacked.
        stored: whether members must not be compressed, so that they are no longer than the file.
    """

    members: int
    total: int
    stored: bool = False


def checked_members(file: BinaryIO, limits: ZipLimits) -> list[zipfile.ZipInfo]:
    """The members of an archive, none of which was unpacked.

    Args:
        file: the archive.
        limits: which are checked.

    Raises:
        ValueError: no archive, or one beyond the limits; names twice, members that overlap or are
            encrypted.
    """
    size = file.seek(0, io.SEEK_END)
    _check_directory(file, size, limits)
    file.seek(0)
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, OSError, RuntimeError) as error:
        raise ValueError(str(error)) from error
    total = sum(member.file_size for member in members)
    if total > limits.total:
        raise ValueError(f"{total} bytes unpacked, more than {limits.total}")
    if len({member.filename for member in members}) < len(members):
        raise ValueError("two members of one name")
    for member in members:
        packed, name = member.compress_size, member.filename[:80]
        if member.flag_bits & 1 or member.compress_type not in _METHODS:
            raise ValueError(f"{name!r} is encrypted or compressed in an unknown way")
        plain = member.compress_type == zipfile.ZIP_STORED
        if (limits.stored and not plain) or (plain and packed != member.file_size):
            raise ValueError(f"{name!r} is compressed, where it must be stored as it is")
        if packed > size or member.file_size > MAX_DEFLATE_RATIO * (packed + 1):
            raise ValueError(f"{name!r} of {member.file_size} bytes in {packed}")
    placed = sorted(members, key=lambda member: member.header_offset)
    for member, follower in itertools.pairwise(placed):
        end = member.header_offset + _LOCAL + member.compress_size
        if member.compress_size and end > follower.header_offset:
            raise ValueError(f"{member.filename[:80]!r} overlaps the next member")
    if limits.stored and total > size:
        raise ValueError(f"members of {total} bytes in a file of {size}")
    return members


def read_members(content: bytes, limits: ZipLimits) -> dict[str, bytes]:
    """The contents of all members by name, each with its checksum.

    Args:
        content: the archive.
        limits: see `checked_members`.

    Raises:
        ValueError: see `checked_members`; a damaged member.
    """
    file = io.BytesIO(content)
    members = checked_members(file, limits)
    found = {}
    try:
        with zipfile.ZipFile(file) as archive:
            for member in members:
                with archive.open(member) as opened:
                    data = opened.read(member.file_size + 1)
                if len(data) != member.file_size:
                    raise ValueError(f"{member.filename[:80]!r} has {len(data)} bytes or more")
                found[member.filename] = data
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
        raise ValueError(str(error)) from error
    except (NotImplementedError, RuntimeError, AttributeError, OverflowError) as error:
        raise ValueError(f"a member that cannot be read ({error})") from error
    return found


def _check_directory(file: BinaryIO, size: int, limits: ZipLimits) -> None:
    """Refuse a directory of more entries than allowed: `zipfile` reads all of them at once."""
    entries, length, start = _directory(file, size)
    if length > limits.members * _ENTRY:
        raise ValueError(f"a directory of {length} bytes for at most {limits.members} members")
    file.seek(start)
    # Readers take either the stated number of entries or all that the bytes hold.
    held = file.read(length).count(b"PK\x01\x02")
    if held != entries:
        raise ValueError(f"a directory of {held} members that states {entries}")
    if held > limits.members:
        raise ValueError(f"{held} members, more than {limits.members}")


def _directory(file: BinaryIO, size: int) -> tuple[int, int, int]:
    """The stated entries, bytes and place of the directory, about which all records agree."""
    first = file.seek(max(0, size - _TAIL))
    tail = file.read(_TAIL)
    end = tail.rfind(b"PK\x05\x06")
    if tail.count(b"PK\x05\x06") > 1:
        raise ValueError("an archive with several ends")
    if end < 0 or len(tail) - end < _END.size:
        raise ValueError("not a zip file, or a truncated one")
    _, *stated, comment = _END.unpack_from(tail, end)
    if end + _END.size + comment != len(tail):
        raise ValueError("an archive with other bytes at its end")
    locator, wide = end - _LOCATOR.size, end - _LOCATOR.size - _WIDE.size
    if wide >= 0 and tail.startswith(b"PK\x06\x07", locator):
        mark, rest, _, _, *wider = _WIDE.unpack_from(tail, wide)
        place = _LOCATOR.unpack_from(tail, locator)[1:]
        sound = (b"PK\x06\x06", _WIDE.size - 12, (0, first + wide, 1))
        highest = [0xFFFF] * 4 + [0xFFFFFFFF] * 2
        fits = zip(stated, wider, highest, strict=True)
        if (mark, rest, place) != sound or any(a not in (b, most) for a, b, most in fits):
            raise ValueError("an archive with two different ends")
        stated, end = wider, wide
    disk, disk_of_directory, here, entries, length, start = stated
    if disk or disk_of_directory or here != entries or start + length != first + end:
        raise ValueError("a directory that is not where the archive ends")
    return entries, length, start
