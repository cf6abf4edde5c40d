"""Files of `torch.save`, checked before torch reads them.

Such a file is a ZIP archive of uncompressed members: a pickle, and one member for each storage. The
pickle states how many values a storage has, and torch believes it: a storage stated longer than its
member is read beyond it. The pickle is therefore walked first, with a reader for which every class
is an empty stand-in, so that no code of the file or of torch runs. Files of torch before 1.6 are
five pickles and their storages; torch compares those sizes itself.

The walk happens in a reader process: dicts whose keys have one hash take hours, and they would take
torch as long.

Source: torch/serialization.py. The pickle reader is Python's own in Python: the one in C allocates
as many places for its memo as a pickle of ten bytes asks for.
"""

from __future__ import annotations

import io
import pickle
import zipfile
from contextlib import suppress
from typing import Any, BinaryIO, ClassVar

from ...errors import WsolbenchError
from .byte_file import ByteFile
from .process import give_back, has_readers, take
from .trust import trusted_files
from .zip_files import ZipLimits, checked_members

__all__ = ["check_stream", "check_torch_file", "rehearse"]

LIMITS = ZipLimits(members=100_000, total=1 << 40, stored=True)
"""A network has a few hundred storages; stored members are no longer than the file."""

MAX_PICKLE = 1 << 24
"""Bytes of the pickle: 1,000 tensors with an optimizer's state need 300 kB."""

_PICKLES = 5  # of torch before 1.6: magic number, version, system, content, keys of storages

_ITEM_BYTES = {
    **dict.fromkeys(("DoubleStorage", "LongStorage", "ComplexFloatStorage"), 8),
    **dict.fromkeys(("FloatStorage", "IntStorage", "QInt32Storage"), 4),
    **dict.fromkeys(("HalfStorage", "BFloat16Storage", "ShortStorage"), 2),
    **dict.fromkeys(("CharStorage", "ByteStorage", "BoolStorage", "UntypedStorage"), 1),
    **dict.fromkeys(("QInt8Storage", "QUInt8Storage"), 1),
    "ComplexDoubleStorage": 16,
}
"""Bytes of a value by the class that the pickle names for a storage."""


def check_torch_file(file: ByteFile, *, checksums: bool = False) -> None:
    """Check a file of `torch.save` in a reader process.

    Args:
        file: the file.
        checksums: whether to compare the members with their CRC-32, as `torch.load` does not.
            Only for files of which it is known that they have them: `torch.save` can leave them
            out (`torch.serialization.set_crc32_options`).

    Raises:
        ValueError: compressed or overlapping members, a pickle beyond the limit or one that cannot
            be walked within the limits of a reader, a storage whose member has another length than
            stated, a wrong checksum.
    """
    if trusted_files() or not has_readers():
        check_stream(file.stream())
    else:
        reader = take("weights")
        try:
            reader.ask({"act": "check"}, file.descriptor, quick=False)
        except WsolbenchError as error:
            raise ValueError(error.found) from error
        finally:
            give_back(reader)
    if checksums and file.read(0, min(2, file.size)).tobytes() == b"PK":
        _check_sums(file.stream())


def check_stream(file: BinaryIO) -> None:
    """Check an open file in this process.

    Raises:
        ValueError: as in `check_torch_file`.
    """
    file.seek(0)
    if file.read(2) == b"PK":
        _check_archive(file)
    else:
        file.seek(0)
        _check_pickles(file)


def rehearse() -> None:
    """Load what is loaded at its first use."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("a/data.pkl", pickle.dumps(["\u20ac"], 0))
    check_stream(made)
    with suppress(ValueError):
        check_stream(io.BytesIO(b"x"))


def _check_archive(file: BinaryIO) -> None:
    members = {item.filename: item for item in checked_members(file, LIMITS)}
    if len({name.lower() for name in members}) < len(members):
        raise ValueError("two members of one name")  # torch's reader ignores case
    pickles = [name for name in members if name.rpartition("/")[2] == "data.pkl"]
    if len(pickles) != 1:
        raise ValueError("no pickle data.pkl, or several")
    if members[pickles[0]].file_size > MAX_PICKLE:
        raise ValueError(f"a pickle of {members[pickles[0]].file_size} bytes")
    root = pickles[0].removesuffix("data.pkl")
    for key, size in _stated_storages(io.BytesIO(_member(file, members[pickles[0]]))):
        held = members.get(f"{root}data/{key}")
        if held is None or held.file_size != size:
            found = "no bytes" if held is None else f"{held.file_size} bytes"
            raise ValueError(f"storage {key[:20]!r} of {size} bytes, of which there are {found}")


def _check_pickles(file: BinaryIO) -> None:
    for index in range(_PICKLES):
        if index and not file.peek(1):  # type: ignore[attr-defined]
            return  # the pickle of another program, of which torch says what it is
        _stated_storages(file)


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


class _Held:
    """A file of which no more is asked at once than it holds, as memory is allocated before."""

    def __init__(self, file: BinaryIO) -> None:
        here = file.tell()
        self.file, self.size = file, file.seek(0, io.SEEK_END)
        file.seek(here)

    def read(self, size: int) -> bytes:
        """The next bytes, at most `size`."""
        return self.file.read(min(size, self.size))

    def readline(self) -> bytes:
        """The next line."""
        return self.file.readline()


class _Walker(pickle._Unpickler):
    """A reader of pickles that only collects the storages that they state."""

    dispatch: ClassVar[dict[int, Any]] = {**pickle._Unpickler.dispatch}

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(_Held(file), encoding="utf-8")
        self.storages: list[tuple[str, int]] = []

    def find_class(self, module: str, name: str) -> Any:
        """A stand-in of its own for each name."""
        return type("_Named", (_StandIn,), {"name": name})

    def get_extension(self, code: int) -> None:
        """Refuse the registry of this process."""
        raise ValueError("a pickle with extension codes")

    def load_buffer(self) -> None:
        """Refuse arrays of bytes, which are allocated before their bytes are there."""
        raise ValueError("a pickle with buffers")

    for _code in (pickle.BYTEARRAY8, pickle.NEXT_BUFFER, pickle.READONLY_BUFFER):
        dispatch[_code[0]] = load_buffer

    def persistent_load(self, pid: object) -> _StandIn:
        """Take note of a storage: ("storage", its class, its key, its device, its values)."""
        if not isinstance(pid, tuple) or len(pid) not in (5, 6) or pid[0] != "storage":
            raise ValueError("a reference to something other than a storage")
        _, kind, key, _, count = pid[:5]  # and the view of one of torch before 1.6
        size = _ITEM_BYTES.get(getattr(kind, "name", ""))
        if size is None or not isinstance(key, str) or not isinstance(count, int) or count < 0:
            raise ValueError(f"a storage of unknown type {str(getattr(kind, 'name', ''))[:40]!r}")
        self.storages.append((key, count * size))
        return _StandIn()


def _stated_storages(file: BinaryIO) -> list[tuple[str, int]]:
    """(key, bytes) of each storage that the next pickle of a file states."""
    walker = _Walker(file)
    try:
        walker.load()
    except (ValueError, MemoryError):
        raise
    except Exception as error:  # a damaged pickle raises almost anything
        raise ValueError(f"a damaged pickle ({type(error).__name__})") from error
    return walker.storages
