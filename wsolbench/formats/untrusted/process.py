"""Reader processes: files of others are parsed in a child process, which may crash, hang or swell.

A child has no standard streams, a clean environment, and limits on memory, time and files (module
`child`); what happens to it is one line here. Children are kept for the next file, so that only the
first one costs a start. Each belongs to the process that started it: after a fork, the new process
starts its own.
"""

from __future__ import annotations

import atexit
import json
import math
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import weakref
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import WsolbenchError
from .limits import MEMORY, QUICK_SECONDS, SECONDS
from .trust import trusted_files

__all__ = ["Reader", "give_back", "has_readers", "prepare", "take"]

_PROGRAM = (
    "import sys, json; sys.path[:] = json.loads(sys.argv[1]); "
    "from wsolbench.formats.untrusted.child import main; main(sys.argv[2], int(sys.argv[3]))"
)
_MARGIN = 5.0  # seconds that an answer may come later than the child's own limit
_KEPT = 8  # idle readers of a kind
_MAX_TEXT = 64 << 20  # bytes of an answer without its arrays: an XML file of 50,000 elements
_MOST_ARRAYS = 3

_idle: dict[str, list[Reader]] = {}
_all: weakref.WeakSet[Reader] = weakref.WeakSet()
_lock = threading.Lock()


def has_readers() -> bool:
    """Whether this system can pass files to a process with limits; Windows cannot."""
    return hasattr(socket, "send_fds") and sys.platform != "win32"


class Reader:
    """A child process that parses files of one kind.

    Attributes:
        kind: what it reads, a key of `limits.MEMORY`.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._busy = False
        ours, theirs = socket.socketpair()
        paths = json.dumps([os.path.abspath(path) for path in sys.path])
        kept = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
        environment = {name: os.environ[name] for name in kept if name in os.environ}
        # No plugins of HDF5, and no threads of linear algebra, which would take address space.
        environment |= {"HDF5_PLUGIN_PRELOAD": "::", "HDF5_PLUGIN_PATH": os.devnull}
        environment |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "LC_ALL": "C.UTF-8"}
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-c", _PROGRAM, paths, kind, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env=environment,
                cwd="/",
                # Ctrl-C in a terminal is for the command; a child ends when its socket is closed.
                start_new_session=True,
            )
        except OSError as error:
            ours.close()
            raise WsolbenchError(
                "reader process",
                found=f"cannot be started ({error.strerror})",
                cure="free memory or processes, or use --trusted for files of your own",
            ) from error
        finally:
            theirs.close()
        self._socket = ours
        _all.add(self)

    @property
    def usable(self) -> bool:
        """Whether it can take another request: it runs, and owes no answer."""
        return not self._busy and self._process.poll() is None

    def ask(
        self, request: dict[str, Any], descriptor: int | None = None, *, quick: bool = True
    ) -> tuple[Any, list[NDArray[Any]]]:
        """Send a request and wait for its answer.

        Args:
            request: a JSON object.
            descriptor: the file that it opens.
            quick: whether only a header is looked at.

        Returns:
            The value and the arrays of the answer.

        Raises:
            WsolbenchError: the child's own, or one that says how the child ended; its `where` is a
                name in the file, or empty.
        """
        self._busy = True
        processor = QUICK_SECONDS if quick else SECONDS
        text = json.dumps({**request, "wall": SECONDS, "processor": processor}).encode()
        message = struct.pack("<I", len(text)) + text
        self._until = time.monotonic() + SECONDS + _MARGIN
        try:
            self._socket.settimeout(SECONDS + _MARGIN)
            if descriptor is None:
                self._socket.sendall(message)
            else:
                sent = socket.send_fds(self._socket, [message], [descriptor])
                self._socket.sendall(message[sent:])
            answer, arrays = self._answer()
        except TimeoutError as error:
            raise self._ended(f"which did not answer within {SECONDS} s") from error
        except (OSError, EOFError) as error:
            raise self._ended("") from error
        except (ValueError, TypeError, LookupError, OverflowError) as error:
            raise self._ended("which answered what it cannot have read") from error
        self._busy = False
        if "memory" in answer:
            gibibytes = MEMORY[self.kind] >> 30
            raise _refusal(f"a file that needs more than {gibibytes} GiB of memory to be parsed")
        if "error" in answer:
            where, found, expected, cure, status = answer["error"]
            raise WsolbenchError(
                where, found=found, expected=expected, cure=cure, exit_status=status
            )
        return answer["value"], arrays

    def end(self) -> None:
        """Kill the process."""
        self._socket.close()
        with suppress(OSError):
            self._process.kill()
        self._process.wait()

    def forget(self) -> None:
        """Close the socket in a forked process, to which the child does not belong."""
        self._socket.close()
        self._process.returncode = 0

    def _answer(self) -> tuple[dict[str, Any], list[NDArray[Any]]]:
        """The next answer.

        The child may have been taken over by the file, so that nothing of it is believed.

        Raises:
            ValueError, TypeError, LookupError: it is not of the form that a sound child sends.
        """
        (length,) = struct.unpack("<I", self._bytes(4).tobytes())
        if length > _MAX_TEXT:
            raise ValueError(f"a text of {length} bytes")
        answer = json.loads(self._bytes(length).tobytes())
        if "error" in answer:
            where, found, expected, cure, status = answer["error"]
            if not all(isinstance(text, str) for text in (where, found, expected, cure)):
                raise ValueError("an error that is none")
            answer["error"] = (where, found, expected, cure, int(status == 2) + 1)
        elif "memory" not in answer and "value" not in answer:
            raise ValueError("no answer")
        described = answer.get("arrays", [])
        if len(described) > _MOST_ARRAYS:
            raise ValueError(f"{len(described)} arrays")
        arrays = []
        for name, shape in described:
            dtype, count = np.dtype(name), math.prod(shape)
            objects = dtype.kind not in "uifbS" or dtype.itemsize == 0
            if objects or min(shape, default=0) < 0:
                raise ValueError(f"an array of {name} {shape}")
            if count * dtype.itemsize > MEMORY[self.kind]:
                raise ValueError(f"an array of {count * dtype.itemsize} bytes")
            raw = self._bytes(count * dtype.itemsize)
            arrays.append(raw.view(dtype).reshape(shape))
        return answer, arrays

    def _bytes(self, length: int) -> NDArray[np.uint8]:
        buffer = np.empty(length, dtype=np.uint8)
        done = 0
        while done < length:
            self._socket.settimeout(max(0.001, self._until - time.monotonic()))
            got = self._socket.recv_into(buffer.data[done:])
            if not got:
                raise EOFError
            done += got
        return buffer

    def _ended(self, how: str) -> WsolbenchError:
        """The error of a child that gave no answer; the child is gone afterwards."""
        late = "did not answer" in how
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=0 if how else 2)
        code = self._process.poll()
        if not how and code is not None and code < 0:
            name = signal.Signals(-code).name
            timed = {"SIGALRM": f"took more than {SECONDS} s", "SIGPROF": "took too long (a loop)"}
            how = f"which {timed.get(name, f'was killed by {name}')}"
            late = name in timed
        self.end()
        if not how:
            return WsolbenchError(
                "reader process",
                found=f"ended with status {code}, a fault of wsolbench or its installation",
                cure="report it, and use --trusted for files of your own until then",
            )
        cure = f"{_CURE}, or if it is sound, try again when the machine is less busy"
        return _refusal(f"a file that stopped its reader, {how}", cure if late else _CURE)


_CURE = "the file is damaged or hostile: download or write it again"


def _refusal(found: str, cure: str = _CURE) -> WsolbenchError:
    return WsolbenchError("", found=found, expected="a sound file", cure=cure, exit_status=1)


def prepare(kind: str) -> None:
    """Start a reader in advance, while this process is busy with something else."""
    if has_readers() and not trusted_files():
        give_back(take(kind))


def take(kind: str) -> Reader:
    """A reader process of this kind, for one thread; a waiting one if there is any."""
    with _lock:
        waiting = _idle.setdefault(kind, [])
        taken = waiting.pop() if waiting else None
    if taken is not None and taken.usable:
        return taken
    if taken is not None:
        taken.end()
    return Reader(kind)


def give_back(taken: Reader) -> None:
    """Keep a reader for later, unless it came to harm or enough are waiting."""
    with _lock:
        waiting = _idle.setdefault(taken.kind, [])
        if taken.usable and len(waiting) < _KEPT:
            waiting.append(taken)
            return
    taken.end()


@atexit.register
def _end_all() -> None:
    for readers in _idle.values():
        for each in readers:
            each.end()
    _idle.clear()


def _forget_all() -> None:
    global _lock
    _lock = threading.Lock()
    for each in list(_all):
        each.forget()
    _idle.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
