"""Spreading independent jobs over threads, for code that releases the interpreter's lock."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TypeVar

__all__ = ["run_jobs"]

Item = TypeVar("Item")


def run_jobs(
    job: Callable[[Item], None], items: Iterable[Item], threads: int, done: Callable[[int], None]
) -> None:
    """Call `job` on each item, and `done` with the number finished so far.

    What `job` or `done` raises ends it: jobs that run are waited for, others are not begun.
    """
    items = list(items)
    if threads == 1 or len(items) == 1:
        for count, item in enumerate(items, start=1):
            job(item)
            done(count)
        return
    with ThreadPoolExecutor(min(threads, len(items))) as pool:
        running = [pool.submit(job, item) for item in items]
        try:
            for count, finished in enumerate(as_completed(running), start=1):
                finished.result()
                done(count)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
