"""Time and force calls that a plan has spent, and those it may still spend."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import final

__all__ = ["Meter", "OutOfTimeError"]

LEAST_CALLS = 200
"""Of the force, that a plan may make however long they take: fewer would tell nothing."""


class OutOfTimeError(Exception):
    """What a run is cancelled by that takes longer than it may."""


@final
class Meter:
    """Counts calls, reads the clock, and says what is left of the time.

    Parameters
    ----------
    clock : callable
        Returns seconds.
    seconds : float
        That forces may take, all together, or `LEAST_CALLS` of them where those take longer.
    """

    def __init__(self, clock: Callable[[], float], seconds: float) -> None:
        self.clock, self.seconds = clock, seconds
        self.began = clock()
        self.own_calls, self.approximate_calls = 0, 0
        self.compiling, self.force = 0.0, math.inf
        self.notes: list[str] = []

    def count(self, calls: int, approximate: bool = False) -> None:
        """Count calls of the system's own force, or of an approximation."""
        if approximate:
            self.approximate_calls += calls
        else:
            self.own_calls += calls

    def count_cancelled(self, seconds: float) -> None:
        """Count the calls of a run that was cancelled, which says not how many they were."""
        if self.force > 0:
            self.own_calls += round(seconds / self.force)

    def note(self, line: str) -> None:
        """Keep what makes the plan less sure, once."""
        if line not in self.notes:
            self.notes.append(line)

    @property
    def spent(self) -> float:
        """Seconds since the plan began, without those of compiling."""
        return self.clock() - self.began - self.compiling

    def forgive(self, seconds: float) -> None:
        """Leave out the time of a first call, in which code is compiled or read from a cache."""
        self.compiling += max(seconds, 0.0)

    def allow_calls_of(self, seconds: float) -> None:
        """Let the time be that of `LEAST_CALLS` forces at least, which take so many seconds."""
        self.force = seconds
        self.seconds = max(self.seconds, LEAST_CALLS * seconds)

    @property
    def left(self) -> float:
        """Seconds that are left, at least 0."""
        return max(self.seconds - self.spent, 0.0)

    def deadline(self, seconds: float = math.inf) -> Callable[[float], None]:
        """Return what cancels a run that takes longer than so many seconds, or than are left.

        It is told the frames that are done, as `AbstractIntegrator.advance` tells them.
        """
        return Deadline(self.clock, min(seconds, self.left))


@final
class Deadline:
    """Raises `OutOfTimeError` when it is called too late."""

    def __init__(self, clock: Callable[[], float], seconds: float) -> None:
        self._clock, self._end = clock, clock() + seconds

    def __call__(self, done: float) -> None:
        """Look at the clock."""
        if self._clock() > self._end:
            raise OutOfTimeError
