"""What methods cost: runs of the same starts in turn, by the clock."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

from nbody_surrogate.contracts.segment import OK, Carry
from nbody_surrogate.contracts.state import Particles, State
from nbody_surrogate.evaluation.work_precision.benchmark import Benchmark
from nbody_surrogate.integrators.method_text import Contender

__all__ = ["MOST", "costs"]

STARTS, MOST = 5, 15  # groups of starts that all methods are timed on, and rounds over them
LEAST = 5  # times of each method, as long as there is time
LONGEST = 4.0  # times as long as asked, after which fewer groups will do, for all methods

Tick = Callable[[float], None]


def costs(
    contenders: Sequence[Contender],
    benchmark: Benchmark,
    seconds: float,
    clock: Callable[[], float],
    tick: Tick,
) -> dict[tuple[int, int], Float64[np.ndarray, "R S"]]:
    """Time runs of each contender and batch.

    All methods of a batch run the same groups of starts, since one with a close encounter costs an
    adaptive method many times as much: up to `STARTS` of them, fewer where the slowest method takes
    too long. A fast method repeats them all, a slow one does not. The methods take turns, group by
    group and round by round: where the machine becomes slower for a while, as by another process or
    its own heat, all of them meet it.

    Parameters
    ----------
    contenders : sequence of Contender
    benchmark : Benchmark
    seconds : float
        About how long each method and batch is timed.
    clock : callable
        Returns seconds.
    tick : callable
        Called with the share of each contender's `MOST` rounds that is done.

    Returns
    -------
    dict of (contender, batch) to ndarray, shape (R, S)
        Seconds per trajectory, of R rounds over the same S groups of starts. R differs by method.
    """
    found: dict[tuple[int, int], np.ndarray] = {}
    for batch in benchmark.batches:
        clocked = _Clocked(contenders, benchmark, batch, clock)
        for number, rounds in enumerate(_timed_rounds(clocked, seconds, tick)):
            found[number, batch] = np.array(rounds)
    return found


class _Clocked(NamedTuple):
    """Contenders that run groups of `batch` starts, by a clock."""

    contenders: Sequence[Contender]
    benchmark: Benchmark
    batch: int
    clock: Callable[[], float]

    def warm(self, number: int) -> None:
        """Run one frame, not counted: code is compiled, caches are filled."""
        self._run(number, 0, 1)

    def time(self, number: int, group: int) -> float:
        """Return the seconds per trajectory of a group of starts."""
        return self._run(number, group, self.benchmark.frames) / self.batch

    def _run(self, number: int, group: int, frames: int) -> float:
        some = self.benchmark.some(group * self.batch, self.batch)
        return _timed(self.contenders[number], self.benchmark, *some, frames, self.clock)


def _timed_rounds(clocked: _Clocked, seconds: float, tick: Tick) -> list[list[list[float]]]:
    """Return the times of each contender, round by round and group by group."""
    numbers = range(len(clocked.contenders))
    share = 1 / len(clocked.benchmark.batches)  # of a contender's rounds, over all batches
    for number in numbers:
        clocked.warm(number)
    groups = min(STARTS, len(clocked.benchmark.state.x) // clocked.batch)
    first: list[list[float]] = [[] for _ in numbers]
    for group in range(groups):
        for number in numbers:
            first[number].append(clocked.time(number, group))
        # what one method has no time for is left out for all
        if max(_spent(each, clocked.batch) for each in first) >= LONGEST * seconds:
            break
    made = [[each] for each in first]
    tick(share * len(numbers))
    for _ in range(1, MOST):
        for number in numbers:
            if _wanted(made[number], clocked.batch, seconds):
                again = range(len(first[number]))
                made[number].append([clocked.time(number, group) for group in again])
        tick(share * len(numbers))
    return made


def _wanted(rounds: list[list[float]], batch: int, seconds: float) -> bool:
    """Whether a method is to run its starts once more."""
    spent = sum(_spent(each, batch) for each in rounds)
    # of one or two times there is no interval to speak of
    few = len(rounds) * len(rounds[0]) < LEAST
    return spent < (LONGEST * seconds if few else seconds)


def _spent(times: list[float], batch: int) -> float:
    # infinite times are of runs that got nowhere, and that fast
    return batch * sum(each for each in times if math.isfinite(each))


def _timed(
    each: Contender,
    benchmark: Benchmark,
    state: State,
    particles: Particles,
    frames: int,
    clock: Callable[[], float],
) -> float:
    """Time the steps alone: not the start, and not the gathering of frames.

    What stops early is not cheaper for it: the time is that of as many valid frames as were asked.
    """
    system = benchmark.system_for(each)
    carry: Carry | None = each.method.start(system, state, particles, benchmark.dt)
    left, spent, covered = frames, 0.0, 0
    going_on = np.ones(len(state.x), dtype=bool)
    while carry is not None and left > 0:
        wanted = min(each.method.options.segment, left)
        began = clock()
        segment = each.method.advance(carry, wanted)
        spent += clock() - began
        carry, left = segment.carry, left - wanted
        covered += int(segment.good[going_on].sum())
        going_on &= segment.status == OK
    wanted = len(state.x) * frames
    return spent if covered == wanted else spent * wanted / covered if covered else math.inf
