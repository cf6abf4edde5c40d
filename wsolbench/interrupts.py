"""Ctrl-C and SIGTERM end a command within a second, wherever it is, with one line.

Python runs the handler of a signal between two instructions of the main thread. A signal that comes
during a long call waits for its end, and an exception raised by a handler can be caught or lost on
its way. So a thread of its own waits for signals: the system's handler, in C, writes their number
into a pipe (`signal.set_wakeup_fd`). The thread prints the line, removes temporary files, ends
child processes and then the process, without asking the main thread. Files are written so that a
kill at any moment harms none (`files`); nothing else has to be ended in order.
"""

from __future__ import annotations

import atexit
import glob
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

__all__ = ["STATUSES", "advise", "at_end", "ending", "undivided", "watch"]

STATUSES = {signal.SIGINT: 130, signal.SIGTERM: 143}
"""Exit status by signal, as shells have it."""

_WORDS = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}

_state = {"advice": ""}
_cleanups: list[Callable[[], None]] = []
_undivided = threading.Lock()
_mask = threading.local()


def watch() -> None:
    """From now on, SIGINT and SIGTERM end this process; to be called once, by its main thread.

    A signal that is ignored, as SIGINT is under `nohup` or for a shell's jobs in the background,
    stays so.
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    for number in STATUSES:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _nothing)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=_hold, after_in_parent=_release, after_in_child=_watch_no_more)
    atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)  # all is done: end as it is
    threading.Thread(target=_wait, args=(reading,), name="interrupts", daemon=True).start()


def advise(text: str) -> None:
    """How the command that runs now is continued after an interruption; empty if it is not."""
    _state["advice"] = text


def at_end(cleanup: Callable[[], None]) -> None:
    """Call this, too, before an interruption ends the process; it must be fast and lock nothing."""
    _cleanups.append(cleanup)


@contextmanager
def undivided() -> Iterator[None]:
    """Let a few renames pass before an interruption ends the process; half a second at most."""
    with _undivided:
        yield


def ending(number: signal.Signals = signal.SIGINT) -> str:
    """What a command says that a signal ends: `interrupted; run ... to continue`."""
    return "; ".join(filter(None, (_WORDS[number], _state["advice"])))


def _nothing(number: int, frame: FrameType | None) -> None:
    """Handle a signal; only with a handler is its number written into the pipe."""


def _hold() -> None:
    """Keep signals back around a fork: a child's would be written into its parent's pipe."""
    _mask.before = signal.pthread_sigmask(signal.SIG_BLOCK, STATUSES)


def _release() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, _mask.before)


def _watch_no_more() -> None:
    """Leave signals of a forked process to itself, but Ctrl-C, after which its parent kills it."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _release()


def _wait(reading: int) -> None:
    while True:
        for number in os.read(reading, 64):
            if number in STATUSES:
                _end(signal.Signals(number))


def _end(number: signal.Signals) -> None:
    erase = "\r\x1b[K" if os.isatty(2) else ""  # a progress bar
    with suppress(OSError):  # no line if stderr is closed
        os.write(2, f"{erase}wsolbench: {ending(number)}\n".encode())
    if _undivided.acquire(timeout=0.5):
        for cleanup in _cleanups:
            with suppress(OSError):
                cleanup()
    for child in _children():
        with suppress(OSError):
            os.kill(child, signal.SIGKILL)
    os._exit(STATUSES[number])


def _children() -> set[int]:
    """Process ids of the children; none where /proc does not list them."""
    found = set()
    if sys.platform == "linux":
        for path in glob.glob("/proc/self/task/*/children"):
            with suppress(OSError), open(path) as file:
                found |= set(map(int, file.read().split()))
    return found


def _renew() -> None:
    global _undivided
    _undivided = threading.Lock()  # another thread may have held it during the fork


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)
