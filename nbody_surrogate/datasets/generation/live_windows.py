"""Windows of trajectories that are made while a model trains on them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import count, islice
from typing import final

from nbody_surrogate.datasets.block import TrajectoryBlock
from nbody_surrogate.datasets.generation.trajectory_maker import TrajectoryMaker
from nbody_surrogate.datasets.spec import DatasetSpec
from nbody_surrogate.datasets.windows import AbstractWindows, SizedWindows, Windows
from nbody_surrogate.errors import InputError

__all__ = ["LiveWindows"]

AHEAD = 2  # blocks per thread that are made beforehand


@final
class LiveWindows(AbstractWindows):
    """Windows of trajectories that background threads make as they are needed, without end.

    Trajectory i is that of the data set of the same spec, but i goes on without end. So give it
    another seed than the set that it is tested on. The order does not depend on the number of
    threads. Threads help with solvers that are compiled, such as ``dop853-compiled``.

    Parameters
    ----------
    spec : DatasetSpec
        Its number of trajectories, splits and shards do not matter.
    window : int, optional
        Rows of a window; by default all.
    stride : int, optional
        Rows from one window to the next; by default neighbours share one row.
    batch : int, optional
        Windows of a batch; by default single windows.
    block : int
        Trajectories that are made and mixed together.
    threads : int
    seed : int
        Of the order within a block.
    first : int
        Number of the first trajectory.
    picked : sequence of int, optional
        Rows of the one window of each trajectory, in place of rows that follow one another.

    Raises
    ------
    InputError
        If a number is out of range, the solver does not fit, or the starts come from one stream.
    """

    def __init__(
        self,
        spec: DatasetSpec,
        *,
        window: int | None = None,
        stride: int | None = None,
        batch: int | None = None,
        block: int = 64,
        threads: int = 1,
        seed: int = 0,
        first: int = 0,
        picked: Sequence[int] | None = None,
    ) -> None:
        super().__init__(spec.rows, window, stride, batch, seed, picked)
        for name, value, least in (
            ("block", block, 1),
            ("threads", threads, 1),
            ("first", first, 0),
        ):
            if value < least:
                raise InputError(f"`{name}` must be at least {least}, got {value}")
        if spec.legacy is not None:
            raise InputError("`legacy` starts come from one stream; generate the data set first")
        self._maker = TrajectoryMaker(spec)
        self._maker.check()
        self._block, self._threads, self._first = block, threads, first

    def _rest(self, share: int, workers: int) -> Iterator[Windows | SizedWindows]:
        before, skip = divmod(self.position, self._block * len(self.firsts))
        numbers = count(share + before * workers, workers)
        pool = ThreadPoolExecutor(self._threads, "live-windows")
        queue: deque[tuple[int, Future[TrajectoryBlock]]] = deque()
        try:
            while True:
                for number in islice(numbers, AHEAD * self._threads - len(queue)):
                    queue.append((number, pool.submit(self._make, number)))
                number, made = queue.popleft()
                yield from self._of_group(made.result(), (number,), skip)
                skip = 0
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _make(self, number: int) -> TrajectoryBlock:
        begin = self._first + number * self._block
        return self.trajectories(begin, begin + self._block)

    def trajectories(self, start: int, stop: int) -> TrajectoryBlock:
        """Make the trajectories from `start` up to, not including, `stop`, whole."""
        part = range(start, stop)
        state, particles = self._maker.starts(part)
        return self._maker.run(state, particles, part.start, lambda _: None)
