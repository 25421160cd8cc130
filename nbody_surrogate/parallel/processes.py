"""A pool of worker processes that never outlive their parent.

The work is a function of the top level of a module, which workers import by its name, or a
`functools.partial` of one. It takes one item and a tick, and leaves its result on disk: what comes
back over the pipe is only that an item is done.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import connection
from typing import Any, TypeVar

from nbody_surrogate.contracts.threads import usable_cores
from nbody_surrogate.errors import RunError
from nbody_surrogate.interruption import unheard

__all__ = ["Tick", "no_tick", "run_here", "run_on_workers", "worker_pool"]

POLL = 0.2  # seconds
AHEAD = 2
"""Items per worker that are handed out: one to work at, and one that waits for it. More would draw
from the items earlier than is needed, and be in vain where one fails."""

Item = TypeVar("Item")

Tick = Callable[[int], None]
"""Called with the steps just done, such as the trajectories made; may raise to cancel."""


def no_tick(_steps: int) -> None:
    """Take no notice of steps."""


def run_here(
    work: Callable[[Item, Tick], object], items: Iterable[Item], tick: Tick = no_tick
) -> Generator[Item, None, None]:
    """Work at items in this process, one by one; yield each when it is done."""
    for item in items:
        work(item, tick)
        yield item


def run_on_workers(
    work: Callable[[Item, Tick], object],
    items: Iterable[Item],
    workers: int,
    tick: Tick = no_tick,
    *,
    died: str,
    finish: bool,
) -> Generator[Item, None, None]:
    """Work at items in worker processes; yield each when it is done, in any order.

    Closing the generator, or an error out of `tick`, ends all workers at once.

    Parameters
    ----------
    work : callable
        Takes an item and a tick; both it and the items can be pickled.
    items : iterable
        Drawn from as workers become free.
    workers : int
    tick : callable
        Takes the steps that all workers did since it was last called, several times a second.
    died : str
        The error where a process ends by itself.
    finish : bool
        Whether, where an item fails, those that run are finished and yielded before its error is
        raised; else it is raised at once, and the workers end.

    Raises
    ------
    RunError
        If a worker dies.
    Exception
        What `work` raised of an item.
    """
    with _pool(workers) as (pool, done):
        try:
            yield from _hand_out(pool, work, iter(items), workers, _Counter(done, tick), finish)
        except BrokenProcessPool:
            raise RunError(died) from None


@contextmanager
def worker_pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    """Yield an executor of such processes for work whose results come back over the pipe.

    An error that leaves the block ends all workers at once. What it is handed is submitted
    `unheard`, as a worker may be started then.
    """
    with _pool(workers) as (pool, _):
        yield pool


@contextmanager
def _pool(workers: int) -> Iterator[tuple[ProcessPoolExecutor, Any]]:
    """Yield an executor, and the count of steps that its workers share."""
    context = multiprocessing.get_context("spawn")  # a fork would inherit threads' locks
    done, stop = context.Value("q", 0), context.Event()
    own = max(usable_cores() // workers, 1)
    pool = ProcessPoolExecutor(workers, context, _begin_worker, (done, stop, own))
    try:
        yield pool, done
    except BaseException:
        stop.set()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


class _Counter:
    """Reports what the workers have done since it was last asked."""

    def __init__(self, done: Any, tick: Tick) -> None:
        self._done, self._tick, self._told = done, tick, 0

    def report(self) -> None:
        """Call the tick, also where nothing is new: it may raise to cancel."""
        now = self._done.value
        self._tick(now - self._told)
        self._told = now


def _hand_out(
    pool: ProcessPoolExecutor,
    work: Callable[[Item, Tick], object],
    items: Iterator[Item],
    workers: int,
    counter: _Counter,
    finish: bool,
) -> Iterator[Item]:
    running: dict[Future[None], Item] = {}
    error: BaseException | None = None
    while True:
        while error is None and len(running) < AHEAD * workers:
            try:
                item = next(items)
            except StopIteration:
                break
            with unheard():  # a worker may be started here
                running[pool.submit(_work, work, item)] = item
        if not running:
            break
        # The time limit lets `tick` raise, and Ctrl-C come through, while nothing is finished.
        done, _ = wait(running, POLL, FIRST_COMPLETED)
        counter.report()
        for future in done:
            item = running.pop(future)
            if future.cancelled():
                continue
            if (raised := future.exception()) is None:
                yield item
            elif not finish:
                raise raised
            elif error is None:
                error = raised
                for other in running:
                    other.cancel()
    if error is not None:
        raise error


_done: Any = None  # of a worker: how many steps all workers have done


def _begin_worker(done: Any, stop: Any, cores: int) -> None:
    """Set up a worker, which leaves at once when `stop` is set or its parent is gone."""
    global _done
    _done = done
    os.environ["OMP_NUM_THREADS"] = str(cores)  # before torch is imported, and for what is chosen
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    threading.Thread(target=_end_with_parent, args=(stop,), daemon=True).start()


def _end_with_parent(stop: Any) -> None:
    """End this process at once when it is told to, or its parent is gone."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    while not stop.is_set():
        if connection.wait([parent.sentinel], POLL):
            break
    os._exit(1)  # from a thread: compiled code may hold the main one for minutes


def _work(work: Callable[[Item, Tick], object], item: Item) -> None:
    work(item, _count)


def _count(steps: int) -> None:
    with _done.get_lock():
        _done.value += steps
