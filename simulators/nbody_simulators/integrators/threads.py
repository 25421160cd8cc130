"""Spreading independent work over threads, for code that releases the interpreter's lock."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from typing import TypeVar

__all__ = ["spread_over_threads"]

Item = TypeVar("Item")

HEAR = 0.1  # seconds from one look for signals to the next


def spread_over_threads(
    work: Callable[[Item], None],
    items: Iterable[Item],
    threads: int,
    done: Callable[[int], None],
    stop: Callable[[], None],
    *,
    apart: bool = False,
) -> None:
    """Call `work` on each item, and `done` with the number finished so far.

    What `work` or `done` raises ends it, and so does Ctrl-C: `stop` is called, calls that run are
    waited for, others are not begun.

    Parameters
    ----------
    work : callable
    items : iterable
    threads : int
    done : callable
    stop : callable
        Makes calls that run return soon, with whatever they have.
    apart : bool
        Whether a call may take so long that this thread has to stay free, to hear of Ctrl-C.
    """
    items = list(items)
    # in this thread, whose tracebacks and signals are plain
    if not apart and (threads == 1 or len(items) == 1):
        for count, item in enumerate(items, start=1):
            work(item)
            done(count)
        return
    pool = ThreadPoolExecutor(min(threads, len(items)))
    try:
        running, count = {pool.submit(work, item) for item in items}, 0
        while running:
            # not without an end: a signal that comes just before a wait begins is heard after it
            finished, running = wait(running, HEAR, FIRST_COMPLETED)
            for each in finished:
                each.result()
                count += 1
                done(count)
    except BaseException:  # Ctrl-C too, which may come while work is handed out
        stop()
        raise
    finally:
        pool.shutdown(cancel_futures=True)
