"""Jobs on worker processes that never outlive their parent."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import connection
from typing import Any

from nbody_surrogate.datasets.generation.shard_job import Job, make_shard
from nbody_surrogate.errors import RunError

__all__ = ["begin_worker", "run_here", "run_on_workers"]

POLL = 0.2  # seconds
AHEAD = 2  # jobs per worker that are handed out

Tick = Callable[[int], None]
"""Called with the number of trajectories just made."""


def run_here(jobs: Iterator[Job], tick: Tick) -> Iterator[Job]:
    """Do jobs in this process; yield each when it is done."""
    for job in jobs:
        make_shard(job, tick)
        yield job


def run_on_workers(jobs: Iterator[Job], workers: int, tick: Tick) -> Iterator[Job]:
    """Do jobs in worker processes; yield each when it is done, in any order.

    Where one fails, those that run are finished and yielded before its error is raised.

    Raises
    ------
    RunError
        If a job fails or a worker dies.
    """
    context = multiprocessing.get_context("spawn")  # a fork would inherit threads' locks
    made, stop = context.Value("q", 0), context.Event()
    pool = ProcessPoolExecutor(workers, context, begin_worker, (made, stop))
    try:
        yield from _hand_out(pool, jobs, workers * AHEAD, _Counter(made, tick))
    except BrokenProcessPool:
        raise RunError(
            "a worker process died, perhaps for want of memory; use fewer `workers` or a smaller "
            "`shard`"
        ) from None
    except BaseException:
        stop.set()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


class _Counter:
    """Reports what the workers have made since it was last asked."""

    def __init__(self, made: Any, tick: Tick) -> None:
        self._made, self._tick, self._told = made, tick, 0

    def report(self) -> None:
        """Call the tick, also where nothing is new: it may raise to cancel."""
        now = self._made.value
        self._tick(now - self._told)
        self._told = now


def _hand_out(
    pool: ProcessPoolExecutor, jobs: Iterator[Job], ahead: int, counter: _Counter
) -> Iterator[Job]:
    running: dict[Future[None], Job] = {}
    error: BaseException | None = None
    while True:
        while error is None and len(running) < ahead and (job := next(jobs, None)) is not None:
            running[pool.submit(_work, job)] = job
        if not running:
            break
        done, _ = wait(running, POLL, FIRST_COMPLETED)
        counter.report()
        for future in done:
            job = running.pop(future)
            if future.cancelled():
                continue
            if (raised := future.exception()) is None:
                yield job
            elif error is None:
                error = raised
                for other in running:
                    other.cancel()
    if error is not None:
        raise error


_made: Any = None  # of a worker: how many trajectories all workers have made


def begin_worker(made: Any, stop: Any) -> None:
    """Set up a worker, which leaves at once when `stop` is set or its parent is gone."""
    global _made
    _made = made
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    threading.Thread(target=_watch, args=(stop,), daemon=True).start()


def _watch(stop: Any) -> None:
    """End this process at once when it is told to, or its parent is gone."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    while not stop.is_set():
        if connection.wait([parent.sentinel], POLL):
            break
    os._exit(1)


def _work(job: Job) -> None:
    make_shard(job, _count)


def _count(trajectories: int) -> None:
    with _made.get_lock():
        _made.value += trajectories
