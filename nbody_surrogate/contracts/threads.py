"""How many threads pay for a piece of work."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = ["MOST_THREADS", "at_most_threads", "threads_that_pay", "usable_cores"]

MOST_THREADS = 1024
"""More than any machine has for one process; torch makes as many as it is told to."""

_most: ContextVar[int | None] = ContextVar("_most", default=None)


def threads_that_pay(work: float, share: float, allowed: int | None = None) -> int:
    """Choose a number of threads: as many as have enough to do each, and a core.

    Threads wait for each other, and where other programs keep a core busy, they wait long: a
    thread too many costs more than one too few.

    Parameters
    ----------
    work : float
        Of one call that is shared out, in any unit.
    share : float
        Of a thread that pays for itself, in the same unit.
    allowed : int, optional
        At most so many, as a library is set to; by default all cores of this process.

    Returns
    -------
    int
        At least 1.
    """
    pay = int(work // share)
    if pay <= 1:  # without a look at the machine, which takes as long as a short call
        return 1
    most = _most.get()
    if most is None:
        most = usable_cores() if allowed is None else min(usable_cores(), allowed)
    return max(min(most, pay), 1)


def usable_cores() -> int:
    """Count the cores that this process may use, at least 1.

    Those that the operating system gives it, and no more than ``OMP_NUM_THREADS``, by which
    batch systems and pools of processes say how many are for each.
    """
    # not of all systems
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity is not None else os.cpu_count() or 1
    told = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()  # of nested levels
    return min(cores, int(told)) if told.isdecimal() and int(told) > 0 else cores


@contextmanager
def at_most_threads(threads: int) -> Iterator[None]:
    """Choose as on a machine of so many cores, whatever it has.

    So a run that goes on takes the threads that it had, on which its last digits may depend.

    Parameters
    ----------
    threads : int
    """
    token = _most.set(threads)
    try:
        yield
    finally:
        _most.reset(token)
