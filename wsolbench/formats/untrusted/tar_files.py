"""Archives in TAR format, read as a stream and never unpacked to disk.

`tarfile` reads extended headers (PAX, GNU long names) whole, however long they say they are: a .tgz
of a few MB took 6.2 GB. Their size and number are therefore limited before they are read, as are
the unpacked bytes of the whole stream and, of xz, the dictionary that a file asks for.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, cast

from .byte_file import ByteFile

__all__ = ["TarLimits", "tar_files"]

MAX_HEADER = 1 << 16
"""Bytes of one extended header: a path of 4,096 bytes and some dates need 5 kB."""

MAX_HEADERS = 1 << 26
"""Bytes of all extended headers: the global ones are kept until the end."""

XZ_MEMORY = 1 << 28
"""Memory of the decoder of xz: its highest preset needs 65 MiB."""

_PIECE = 1 << 16

_EXTENDED = (
    *(tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE),
    *(tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK),
)


@dataclass(frozen=True)
class TarLimits:
    """What an archive may hold.

    Attributes:
        members: how many, of any kind.
        each: bytes of a file that is read.
        total: unpacked bytes of the archive.
    """

    members: int
    each: int
    total: int


def tar_files(file: ByteFile, limits: TarLimits, ending: str) -> Iterator[tuple[str, bytes]]:
    """The regular files of an archive, compressed or not, whose names have an ending.

    Args:
        file: the archive.
        limits: beyond which reading stops.
        ending: in lower case, e.g. ".xml"; hidden files are left out.

    Yields:
        (name as stored, content).

    Raises:
        ValueError: a damaged archive, or one beyond the limits.
    """
    try:
        with file.stream() as raw:
            stream = _Bounded(_unpacked(raw), limits.total)
            with tarfile.open(
                fileobj=cast(IO[bytes], stream), mode="r|", tarinfo=_limited_headers(limits)
            ) as archive:
                for count, member in enumerate(archive, start=1):
                    if count > limits.members:
                        raise ValueError(f"more than {limits.members} members")
                    name = member.name.rpartition("/")[2]
                    if name.startswith(".") or not name.lower().endswith(ending):
                        continue
                    if not member.isreg() or member.issparse():
                        continue
                    if member.size > limits.each:
                        raise ValueError(f"{member.name[:80]!r} of {member.size} bytes")
                    opened = archive.extractfile(member)
                    content = opened.read(limits.each + 1) if opened is not None else b""
                    if len(content) != member.size:
                        raise ValueError(f"{member.name[:80]!r} ends early")
                    archive.members.clear()  # type: ignore[attr-defined]  # memory stays constant
                    yield member.name, content
    except (tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, OSError) as error:
        raise ValueError(f"a damaged archive ({error})") from error
    except (OverflowError, IndexError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"a damaged archive ({type(error).__name__})") from error


def _limited_headers(limits: TarLimits) -> type[tarfile.TarInfo]:
    """A kind of member whose extended headers are limited before they are read."""
    count = total = 0

    class Limited(tarfile.TarInfo):
        @classmethod
        def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Limited:
            nonlocal count, total
            member = super().frombuf(buf, encoding, errors)
            count += 1
            if count > 4 * limits.members:
                raise ValueError(f"more than {4 * limits.members} headers")
            if member.type not in _EXTENDED:
                return member
            total += member.size
            if member.size > MAX_HEADER or total > MAX_HEADERS:
                raise ValueError(f"an extended header of {member.size} bytes")
            return member

    return Limited


class _Bounded:
    """A stream that ends with an error after so many bytes."""

    def __init__(self, stream: IO[bytes], limit: int) -> None:
        self.stream = stream
        self.limit = self.left = limit

    def read(self, size: int) -> bytes:
        """The next bytes; `tarfile` asks for blocks of 10,240."""
        data = self.stream.read(min(size, self.left + 1))
        self.left -= len(data)
        if self.left < 0:
            raise ValueError(f"more than {self.limit} bytes unpacked")
        return data


def _unpacked(raw: IO[bytes]) -> IO[bytes]:
    start = raw.read(6)
    raw.seek(0)
    if start.startswith(b"\x1f\x8b"):
        return cast(IO[bytes], gzip.GzipFile(fileobj=raw))
    if start.startswith(b"BZh"):
        return cast(IO[bytes], bz2.BZ2File(raw))
    if start.startswith(b"\xfd7zXZ\0"):
        return cast(IO[bytes], io.BufferedReader(_Xz(raw)))
    return raw


class _Xz(io.RawIOBase):
    """An xz stream whose decoder has a limit of memory, which `lzma.open` cannot set."""

    def __init__(self, raw: IO[bytes]) -> None:
        self.raw = raw
        self.decoder = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=XZ_MEMORY)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = b""
        while not data and not self.decoder.eof:
            more = self.raw.read(_PIECE) if self.decoder.needs_input else b""
            if self.decoder.needs_input and not more:
                raise EOFError("the file ends early")
            data = self.decoder.decompress(more, len(buffer))
        buffer[: len(data)] = data
        return len(data)
