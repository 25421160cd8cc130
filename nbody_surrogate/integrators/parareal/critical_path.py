"""How long an iteration takes on so many workers, counted in force evaluations."""

from __future__ import annotations

import heapq
from typing import final

__all__ = ["CriticalPath"]


@final
class CriticalPath:
    """The schedule of an iteration: one thread for the coarse method, workers for the fine one.

    It is written down while the iteration goes on, and counted at its end, when all costs are
    known. So it does not depend on which machine or executor the iteration really ran on.

    Parameters
    ----------
    workers : int
        Each does one slice at a time, in the order that they are handed out.
    """

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._events: list[tuple[str, int]] = []
        self._costs: dict[int, float] = {}

    def coarse(self) -> None:
        """Note that the coarse method makes a slice, which what follows waits for."""
        self._events.append(("coarse", 0))

    def hand_out(self, number: int) -> None:
        """Note that a slice is handed to a worker; `number` is another one each time."""
        self._events.append(("hand out", number))

    def wait_for(self, number: int) -> None:
        """Note that what follows waits for a slice that was handed out."""
        self._events.append(("wait", number))

    def cost(self, number: int, calls: float) -> None:
        """Say what a slice that was handed out has taken."""
        self._costs[number] = calls

    def length(self, coarse: float) -> float:
        """Return how long all takes.

        Parameters
        ----------
        coarse : float
            What the coarse method takes for a slice, in force evaluations of the fine method.

        Returns
        -------
        float
        """
        now, free, done = 0.0, [0.0] * self.workers, {}
        for what, number in self._events:
            if what == "coarse":
                now += coarse
            elif what == "hand out":
                begin = max(now, heapq.heappop(free))
                done[number] = begin + self._costs.get(number, 0.0)
                heapq.heappush(free, done[number])
            else:
                now = max(now, done[number])
        return now
