"""Ctrl-C: what is left, how to go on, and an end within two seconds."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import rich_click as click

from nbody_surrogate.errors import InterruptionError

__all__ = ["interruptible"]

PATIENCE = 0.7  # waited twice at most, within the two seconds that are promised
"""Seconds that the program has to end by itself."""


@contextmanager
def interruptible(hint: str) -> Iterator[None]:
    """Say what is left, and how to go on, where the user ends what runs inside.

    Python hears of Ctrl-C only between its own steps, and a compiled kernel may run for minutes.
    So a thread waits for the signal too, and ends the process where it is still there after a
    while. That harms no file: what is written is whole at any moment.
    """
    message = f"interrupted; {hint}"
    with _ended_soon(f"\nError: {message}\n"):
        try:
            yield
        except KeyboardInterrupt:
            click.echo(err=True)  # after the ^C of the terminal
            raise InterruptionError(message) from None


@contextmanager
def _ended_soon(message: str) -> Iterator[None]:
    """End the process some time after SIGINT, if it is still in the block."""
    # signals are heard by the main thread alone, and it alone may ask to be woken
    if os.name != "posix" or threading.current_thread() is not threading.main_thread():
        yield
        return
    reading, writing = os.pipe()
    # as Python demands, since it writes in a signal handler
    os.set_blocking(writing, False)
    left = threading.Event()
    before = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    # a daemon: it must not keep alive the process that it is there to end
    threading.Thread(target=_wait, args=(reading, left, message), daemon=True).start()
    try:
        yield
    finally:
        left.set()
        signal.set_wakeup_fd(before)
        os.close(writing)  # the thread reads its end, and closes the other one


def _wait(reading: int, left: threading.Event, message: str) -> None:
    """Once SIGINT is heard the process ends, though locks may be held that it had interrupted."""
    while heard := os.read(reading, 64):
        if signal.SIGINT not in heard:
            continue
        if left.wait(PATIENCE):
            time.sleep(PATIENCE)  # for the way out
        else:
            os.write(2, message.encode())
        os._exit(InterruptionError.exit_code)
    os.close(reading)
