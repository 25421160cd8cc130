"""What methods cost: runs of the same starts in turn, by the clock."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from nbody_surrogate.contracts.segment import OK, Carry
from nbody_surrogate.contracts.state import Particles, State
from nbody_surrogate.evaluation.work_precision.benchmark import Benchmark
from nbody_surrogate.integrators.method_text import Contender

__all__ = ["MOST", "costs"]

LEAST, MOST = 3, 15  # repeats
LONGEST = 4.0  # times as long as asked, after which fewer repeats will do


def costs(
    contenders: Sequence[Contender],
    benchmark: Benchmark,
    seconds: float,
    clock: Callable[[], float],
    tick: Callable[[], None],
) -> dict[tuple[int, int], list[float]]:
    """Time runs of each contender and batch.

    The methods take turns, repeat by repeat: where the machine becomes slower for a while, as by
    another process or its own heat, all of them meet it. Each repeat runs other starts, so that
    one with a close encounter does not decide.

    Parameters
    ----------
    contenders : sequence of Contender
    benchmark : Benchmark
    seconds : float
        About how long each method and batch is timed.
    clock : callable
        Returns seconds.
    tick : callable
        Called after each contender and repeat.

    Returns
    -------
    dict of (contender, batch) to list of float
        Seconds per trajectory, one for each repeat.
    """
    times: dict[tuple[int, int], list[float]] = {
        (number, batch): [] for number in range(len(contenders)) for batch in benchmark.batches
    }
    starts = len(benchmark.state.x)
    for repeat in range(MOST):
        for number, each in enumerate(contenders):
            for batch in benchmark.batches:
                taken = times[number, batch]
                if _enough(len(taken), sum(taken) * batch, seconds):
                    continue
                first = batch * repeat % (starts - starts % batch)
                some = benchmark.some(first, batch)
                if repeat == 0:  # not counted: code is compiled, caches are filled
                    _timed(each, benchmark, *some, frames=1, clock=clock)
                taken.append(_timed(each, benchmark, *some, benchmark.frames, clock) / batch)
            tick()
    return times


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


def _enough(repeats: int, spent: float, seconds: float) -> bool:
    return spent >= LONGEST * seconds or (repeats >= LEAST and spent >= seconds)
