"""How many threads and processes may be asked for."""

from __future__ import annotations

from nbody_surrogate.contracts.threads import MOST_THREADS
from nbody_surrogate.errors import InputError

__all__ = ["MOST_WORKERS", "check_threads", "check_workers"]

MOST_WORKERS = 1024
"""Each is a process that loads all libraries anew, a few hundred megabytes of them."""


def check_threads(threads: int) -> None:
    """Refuse a number of threads that no machine has.

    Raises
    ------
    InputError
    """
    _check("threads", threads, MOST_THREADS)


def check_workers(workers: int) -> None:
    """Refuse a number of processes that no machine has.

    Raises
    ------
    InputError
    """
    _check("workers", workers, MOST_WORKERS)


def _check(parameter: str, count: int, most: int) -> None:
    if count < 1:
        raise InputError(f"`{parameter}` must be at least 1, got {count}")
    if count > most:
        raise InputError(f"`{parameter}` must be at most {most}, got {count}")
