"""The reader process: it parses files of others under limits, and answers requests one by one.

`process` starts it and speaks with it over a socket. A request is a length of four bytes and a JSON
object, with the descriptor of the file where one is opened; an answer is the same with a value or
an error, followed by the bytes of its arrays. The process ends with the socket. It cannot hold more
descriptors than the socket and one file (two more of a picture), nor start processes or write
files. That keeps a parser that was led astray from reading other files; it is no sandbox for code
that has taken the process over.
"""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import Any, BinaryIO

from numpy.typing import NDArray

from ...errors import WsolbenchError
from .limits import MEMORY, Bounds

__all__ = ["main"]

_CHANNEL = 3  # the first descriptor after the standard streams, so that none below it is free
_Reply = tuple[Any, tuple[NDArray[Any], ...]]


def main(kind: str, channel: int) -> None:
    """Answer requests until the socket is closed.

    Args:
        kind: what is read, a key of `limits.MEMORY`.
        channel: the descriptor of the socket.
    """
    answer = {"hdf5": _hdf5, "pictures": _pictures, "weights": _weights, "xml": _xml}[kind]()
    if channel != _CHANNEL:
        os.dup2(channel, _CHANNEL)
        os.close(channel)
    with socket.socket(fileno=_CHANNEL) as connection:
        _limit(kind)
        held: BinaryIO | None = None
        while (got := _received(connection)) is not None:
            request, descriptor = got
            for timer, name in ((signal.ITIMER_REAL, "wall"), (signal.ITIMER_PROF, "processor")):
                signal.setitimer(timer, request[name])
            if descriptor is not None:
                held = os.fdopen(descriptor, "rb")
                held.seek(0)
            sound = _send(connection, answer, request, held)
            for timer in (signal.ITIMER_REAL, signal.ITIMER_PROF):
                signal.setitimer(timer, 0)
            done = kind in ("pictures", "weights") or request["act"] == "close"
            if held is not None and (done or (request["act"] == "open" and not sound)):
                held.close()
                held = None


def _hdf5() -> Callable[[dict[str, Any], BinaryIO | None], _Reply]:
    import h5py

    from .structure import Structure

    opened: list[Structure] = []

    def answer(request: dict[str, Any], file: BinaryIO | None) -> _Reply:
        act = request["act"]
        if act == "open":
            opened[:] = [Structure(_some(file), request["size"])]
            return None, ()
        if act == "close":
            opened.pop().close()
            return None, ()
        if act == "column":
            given = dict(request["bounds"])
            shape = tuple(tuple(end) if isinstance(end, list) else end for end in given["shape"])
            bounds = Bounds(**{**given, "dtypes": tuple(given["dtypes"]), "shape": shape})
            layout = opened[0].column(request["name"], bounds)
            return {
                "dtype": layout.dtype,
                "shape": layout.shape,
                "start": layout.start,
                "chunk": layout.chunk,
            }, layout.arrays
        if act == "kind":
            return opened[0].kind(request["name"]), ()
        return opened[0].attribute(request["name"], request["limit"]), ()

    # What HDF5 and h5py load or allocate only when they are used must be there before the limits.
    drawn = io.BytesIO()
    with h5py.File(drawn, "w") as made:
        made.attrs["text"] = "a"
        made.create_dataset("plain", data=[1])
        made.create_dataset("packed", (1,), "S1", [b"a"], chunks=(1,), compression="gzip")
    rehearsed = Structure(drawn, len(drawn.getvalue()))
    rehearsed.attribute("text")
    for name in ("plain", "packed"):
        rehearsed.column(name, Bounds(("S", "i"), ((1, 1),), "a column"))
    rehearsed.close()
    return answer


def _pictures() -> Callable[[dict[str, Any], BinaryIO | None], _Reply]:
    from .pictures import read_picture, rehearse

    def answer(request: dict[str, Any], file: BinaryIO | None) -> _Reply:
        picture = read_picture(
            _some(file),
            request["formats"],
            load=request["load"],
            size=request["size"],
            upright=request["upright"],
        )
        head = {name: value for name, value in vars(picture).items() if name != "pixels"}
        return head, (picture.pixels,)

    rehearse()
    return answer


def _xml() -> Callable[[dict[str, Any], BinaryIO | None], _Reply]:
    from .xml_text import tree_of

    def answer(request: dict[str, Any], file: BinaryIO | None) -> _Reply:
        try:
            return tree_of(request["content"].encode("latin-1")), ()
        except ValueError as error:
            raise WsolbenchError("", found=str(error), cure="") from error

    tree_of(b"<a>1</a>")
    return answer


def _weights() -> Callable[[dict[str, Any], BinaryIO | None], _Reply]:
    from .torch_files import check_stream, rehearse

    def answer(request: dict[str, Any], file: BinaryIO | None) -> _Reply:
        try:
            check_stream(_some(file))
        except ValueError as error:
            raise WsolbenchError("", found=str(error), cure="") from error
        return None, ()

    rehearse()
    return answer


def _some(file: BinaryIO | None) -> BinaryIO:
    if file is None:
        raise ValueError("a request without a file")
    return file


def _limit(kind: str) -> None:
    """Take away what parsing does not need."""
    import resource

    # The next descriptor is that of the file; libtiff opens it a second time.
    spare = {"hdf5": 1, "pictures": 3, "weights": 1, "xml": 0}[kind]
    limits = {
        "RLIMIT_AS": MEMORY[kind],
        "RLIMIT_FSIZE": 0,
        "RLIMIT_CORE": 0,
        "RLIMIT_NPROC": 0,
        "RLIMIT_NOFILE": _CHANNEL + 1 + spare,
    }
    for name, limit in limits.items():
        if hasattr(resource, name):
            # macOS refuses a limit of memory below what is mapped already.
            with suppress(ValueError, OSError):
                resource.setrlimit(getattr(resource, name), (limit, limit))


def _received(connection: socket.socket) -> tuple[dict[str, Any], int | None] | None:
    """The next request and the file with it; None once the other side has closed the socket."""
    head, descriptors, _, _ = socket.recv_fds(connection, 4, 1)
    while head and len(head) < 4:
        head += connection.recv(4 - len(head))
    if not head:
        return None
    (length,) = struct.unpack("<I", head)
    text = b""
    while len(text) < length:
        text += connection.recv(length - len(text))
    return json.loads(text), descriptors[0] if descriptors else None


def _send(
    connection: socket.socket,
    answer: Callable[[dict[str, Any], BinaryIO | None], _Reply],
    request: dict[str, Any],
    file: BinaryIO | None,
) -> bool:
    """Answer one request; whether it succeeded."""
    arrays: tuple[NDArray[Any], ...] = ()
    try:
        value, arrays = answer(request, file)
        reply = {"value": value, "arrays": [(part.dtype.str, part.shape) for part in arrays]}
    except WsolbenchError as error:
        parts = (error.where, error.found, error.expected, error.cure, error.exit_status)
        reply = {"error": parts}
    except MemoryError:
        reply = {"memory": True}
    except Exception as error:  # noqa: BLE001 - a parser's unforeseen error is one of the file
        reply = {
            "error": ("", f"a damaged file ({type(error).__name__}: {error})"[:300], "", "", 1)
        }
    text = json.dumps(reply).encode()
    connection.sendall(struct.pack("<I", len(text)) + text)
    for part in arrays:
        connection.sendall(part.reshape(-1).view("u1").data)
    return "value" in reply
