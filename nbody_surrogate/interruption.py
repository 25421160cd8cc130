"""Ctrl-C: whether it was really pressed, what went on then, and an end that comes soon.

Python hears of a signal only between its own steps, and raises `KeyboardInterrupt` wherever it is
then: in a compiled kernel not for minutes, in a destructor in vain. So a program that calls `watch`
has a thread beside it that hears the signal too, and ends the process where it is still there after
a while. That harms no file: what is written under its final name is whole at any moment.

Everything here is light: it is imported before all else.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from nbody_surrogate.printable import printable

__all__ = [
    "EXIT_CODE",
    "hint",
    "ignore",
    "interrupted",
    "message",
    "tell",
    "unheard",
    "watch",
]

EXIT_CODE = 130
"""As shells report Ctrl-C."""

PATIENCE = 1.4  # within the two seconds that are promised
"""Seconds that the program has to end by itself."""

_hints: list[str] = []  # the innermost last
_message: str | None = None  # as it was when the signal came
_raised = False  # in the main thread, which may come to it after the watching one
_told = threading.Lock()  # held once the message is written: it is written once


def interrupted() -> bool:
    """Whether the user has pressed Ctrl-C, in a program that is watched.

    A `KeyboardInterrupt` alone says little: whoever likes can raise one.
    """
    return _message is not None


def message() -> str:
    """Say that the user has ended the program, what was going on, and how to go on."""
    return _message or _now()


@contextmanager
def hint(text: str) -> Iterator[None]:
    """Have this said where Ctrl-C comes inside: what is left, how to go on, or what went on."""
    _hints.append(text)
    try:
        yield
    finally:
        _hints.pop()


@contextmanager
def unheard() -> Iterator[None]:
    """Let processes that are started inside never hear of Ctrl-C, from their first instruction on.

    A terminal sends it to all of them, and their parent decides. A blocked signal is inherited.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def watch() -> None:
    """Hear Ctrl-C from here to the end of the process: the first thing that a program does.

    It is not called in a library, whose user's program has a way of its own to hear signals.
    """
    # what runs in the background of a script was told not to listen
    if os.name != "posix" or signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        return
    reading, writing = os.pipe()
    os.set_blocking(writing, False)  # as Python demands, since it writes in a signal handler
    sys.unraisablehook = _unless_interrupted
    signal.signal(signal.SIGINT, _hear)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    # a daemon: it must not keep alive the process that it is there to end
    threading.Thread(target=_end_soon, args=(reading,), daemon=True).start()


def ignore() -> None:
    """Hear nothing more, since all is done: what follows would only be disturbed."""
    if signal.getsignal(signal.SIGINT) is _hear:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def tell() -> None:
    """Write the message to stderr, unless that was done."""
    if _told.acquire(blocking=False):
        after = "\n" if os.isatty(2) else ""  # the ^C of the terminal
        # to the file itself: the stream's lock may be held by what was interrupted
        said = printable(" ".join(message().split()))  # names of files and of plugins are in it
        os.write(2, f"{after}Error: {said}\n".encode())


def _now() -> str:
    # all of them: what is imported meanwhile does not change how the user goes on
    return "; ".join(["interrupted", *reversed(_hints)])


def _hear(number: int, frame: object) -> None:
    """Raise where the program is; once, since a second time would disturb what cleans up."""
    global _message, _raised
    if not _raised:
        _raised = True
        _message = _message or _now()
        raise KeyboardInterrupt


def _end_soon(reading: int) -> None:
    """Once SIGINT is heard the process ends, though locks may be held that it had interrupted."""
    global _message
    while signal.SIGINT not in os.read(reading, 64):
        continue
    _message = _message or _now()
    time.sleep(PATIENCE)
    tell()
    os._exit(EXIT_CODE)


def _unless_interrupted(said: sys.UnraisableHookArgs) -> None:
    """Say nothing of what Ctrl-C breaks where Python cannot raise it, such as in a destructor."""
    if not interrupted():
        sys.__unraisablehook__(said)
