"""A word about code that is compiled before a run can begin, where that takes a while.

Kernels are compiled when they are first called and kept on disk, so it happens once; but then it
takes up to twenty seconds, in which a program that says nothing looks as if it hung.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import Timer
from typing import Any, final

__all__ = ["compiling_noted"]

logger = logging.getLogger(__name__)

PATIENCE = 1.0
"""Seconds of compiling by which nothing is said yet."""

KIND = "numba:compile"  # numba's event of a function that no cache had


@contextmanager
def compiling_noted(name: str) -> Iterator[None]:
    """Log one line, of level INFO, once the methods of a run have been compiled for a second.

    Parameters
    ----------
    name : str
        Of the method.
    """
    if "numba" not in sys.modules:  # nothing of it is compiled by numba, which is slow to import
        yield
        return
    from numba.core import event as numba_event

    event: Any = numba_event  # which has no types
    watch = _Watch(name)
    listener = _listener_class()(watch)
    event.register(KIND, listener)
    try:
        yield
    finally:
        event.unregister(KIND, listener)
        watch.end()


@final
class _Watch:
    """Adds up the time of what is compiled; one function at a time, as numba has a lock."""

    def __init__(self, name: str) -> None:
        self._name, self._depth, self._spent, self._began = name, 0, 0.0, 0.0
        self._timer: Timer | None = None
        self._said = self._kept = False

    def begin(self, kept: bool) -> None:
        """Note that a function is compiled from here on, perhaps for another one that is."""
        self._depth += 1
        if self._depth > 1 or self._said:
            return
        self._began, self._kept = time.perf_counter(), kept
        # a thread, as this one is busy for as long as it takes
        self._timer = Timer(max(PATIENCE - self._spent, 0.0), self._say)
        self._timer.daemon = True
        self._timer.start()

    def end(self) -> None:
        """Note that a function is there."""
        self._depth = max(self._depth - 1, 0)
        if self._depth == 0 and self._timer is not None:
            self._timer.cancel()
            self._timer, self._spent = None, self._spent + time.perf_counter() - self._began

    def _say(self) -> None:
        if not self._said:
            self._said = True
            kept = ", once: it is kept for later runs" if self._kept else ""
            logger.info("compiling %s%s", self._name, kept)


@cache
def _listener_class() -> Any:
    """Return a class of listeners of numba's: what it is made of is there once numba is."""
    from numba.core import event
    from numba.core.caching import NullCache

    class Listener(event.Listener):
        def __init__(self, watch: _Watch) -> None:
            self._watch = watch

        def on_start(self, event: Any) -> None:
            of = getattr(event.data["dispatcher"], "_cache", None)
            self._watch.begin(of is not None and not isinstance(of, NullCache))

        def on_end(self, event: Any) -> None:
            self._watch.end()

    return Listener
