"""Files of `torch.save`, checked before torch reads them.

Such a file is a ZIP archive of uncompressed members: a pickle, and one member for each storage. The
pickle states how many values a storage has, and torch believes it: a storage stated longer than its
member is read beyond it. The pickle is therefore walked first, with a reader for which every class
is an empty stand-in, so that no code of the file or of torch runs. Files of torch before 1.6 are no
archives; torch compares their sizes itself.

Source: torch/serialization.py. The pickle reader is Python's own in Python: the one in C allocates
as many places for its memo as a pickle of ten bytes asks for.
"""

from __future__ import annotations

import io
import pickle
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

from .zip_files import ZipLimits, checked_members

__all__ = ["check_torch_file"]

LIMITS = ZipLimits(members=100_000, total=1 << 40, stored=True)
"""A network has a few hundred storages; stored members are no longer than the file."""

MAX_PICKLE = 1 << 24
"""Bytes of the pickle: 1,000 tensors with an optimizer's state need 300 kB."""

_ITEM_BYTES = {
    **dict.fromkeys(("DoubleStorage", "LongStorage", "ComplexFloatStorage"), 8),
    **dict.fromkeys(("FloatStorage", "IntStorage", "QInt32Storage"), 4),
    **dict.fromkeys(("HalfStorage", "BFloat16Storage", "ShortStorage"), 2),
    **dict.fromkeys(("CharStorage", "ByteStorage", "BoolStorage", "UntypedStorage"), 1),
    **dict.fromkeys(("QInt8Storage", "QUInt8Storage"), 1),
    "ComplexDoubleStorage": 16,
}
"""Bytes of a value by the class that the pickle names for a storage."""


def check_torch_file(path: Path, *, checksums: bool = False) -> None:
    """Check a file of `torch.save`; one that is no ZIP archive passes.

    Args:
        path: the file.
        checksums: whether to compare the members with their CRC-32, as `torch.load` does not.
            Only for files of which it is known that they have them: `torch.save` can leave them
            out (`torch.serialization.set_crc32_options`).

    Raises:
        ValueError: compressed or overlapping members, a pickle beyond the limit, a storage whose
            member has another length than stated, a wrong checksum.
    """
    with open(path, "rb") as file:
        if file.read(2) != b"PK":
            return
        members = {item.filename: item for item in checked_members(file, LIMITS)}
        pickles = [name for name in members if name.rpartition("/")[2] == "data.pkl"]
        if len(pickles) != 1:
            raise ValueError("no pickle data.pkl, or several")
        if members[pickles[0]].file_size > MAX_PICKLE:
            raise ValueError(f"a pickle of {members[pickles[0]].file_size} bytes")
        root = pickles[0].removesuffix("data.pkl")
        for key, size in _stated_storages(_member(file, members[pickles[0]])):
            held = members.get(f"{root}data/{key}")
            if held is None or held.file_size != size:
                found = "no bytes" if held is None else f"{held.file_size} bytes"
                raise ValueError(
                    f"storage {key[:20]!r} of {size} bytes, of which there are {found}"
                )
        if checksums:
            _check_sums(file)


def _member(file: BinaryIO, member: zipfile.ZipInfo) -> bytes:
    file.seek(0)
    try:
        with zipfile.ZipFile(file) as archive:
            return archive.read(member)
    except (zipfile.BadZipFile, OSError, EOFError, RuntimeError, NotImplementedError) as error:
        raise ValueError(str(error)) from error


def _check_sums(file: BinaryIO) -> None:
    file.seek(0)
    try:
        with zipfile.ZipFile(file) as archive:
            wrong = archive.testzip()
    except (zipfile.BadZipFile, OSError, EOFError, RuntimeError, NotImplementedError) as error:
        raise ValueError(str(error)) from error
    if wrong is not None:
        raise ValueError(f"{wrong[:80]!r} does not match its checksum")


class _StandIn:
    """What stands for every class and function of a pickle."""

    name = ""

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def __call__(self, *_: object, **__: object) -> _StandIn:
        return _StandIn()

    def __setstate__(self, _: object) -> None:
        pass

    def __setitem__(self, _: object, __: object) -> None:
        pass

    def append(self, _: object) -> None:
        """Take an item of a list."""

    def extend(self, _: object) -> None:
        """Take items of a list."""

    def add(self, _: object) -> None:
        """Take an item of a set."""


class _Walker(pickle._Unpickler):
    """A reader of pickles that only collects the storages that they state."""

    def __init__(self, content: bytes) -> None:
        super().__init__(io.BytesIO(content), encoding="utf-8")
        self.storages: list[tuple[str, int]] = []

    def find_class(self, module: str, name: str) -> Any:
        """A stand-in of its own for each name."""
        return type("_Named", (_StandIn,), {"name": name})

    def get_extension(self, code: int) -> None:
        """Refuse the registry of this process."""
        raise ValueError("a pickle with extension codes")

    def persistent_load(self, pid: object) -> _StandIn:
        """Take note of a storage: ("storage", its class, its key, its device, its values)."""
        if not isinstance(pid, tuple) or len(pid) != 5 or pid[0] != "storage":
            raise ValueError("a reference to something other than a storage")
        _, kind, key, _, count = pid
        size = _ITEM_BYTES.get(getattr(kind, "name", ""))
        if size is None or not isinstance(key, str) or not isinstance(count, int) or count < 0:
            raise ValueError(f"a storage of unknown type {str(getattr(kind, 'name', ''))[:40]!r}")
        self.storages.append((key, count * size))
        return _StandIn()


def _stated_storages(content: bytes) -> Sequence[tuple[str, int]]:
    walker = _Walker(content)
    try:
        walker.load()
    except ValueError:
        raise
    except Exception as error:  # a damaged pickle raises almost anything
        raise ValueError(f"a damaged pickle ({type(error).__name__})") from error
    return walker.storages
