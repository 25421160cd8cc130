"""The classical method and the untrained surrogate side by side, on the same starts, in turn."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nbody_surrogate.evaluation.costs import time_ratio, typical
from nbody_surrogate.evaluation.plan.meter import Meter
from nbody_surrogate.evaluation.plan.result import Classical, ForceCost
from nbody_surrogate.evaluation.plan.trial import Starts, Trial
from nbody_surrogate.evaluation.work_precision.benchmark import Benchmark
from nbody_surrogate.evaluation.work_precision.timing import costs
from nbody_surrogate.integrators.method_text import Contender
from nbody_surrogate.results.bootstrap import Interval, bootstrap_median
from nbody_surrogate.results.quantiles import known

__all__ = ["Outcome", "raced"]

RIVALS = 4  # classical methods that are timed again
SLOW = 0.5  # seconds of a run, from which on it is not run again to be timed
SECONDS = 0.5  # for which each method is timed


class Outcome(NamedTuple):
    """The classical method, seconds of a frame of the surrogate, and the ratio of their times."""

    classical: Classical
    surrogate_seconds: float
    factor: Interval


def raced(
    rivals: list[Trial], learned: Contender, starts: Starts, force: ForceCost, meter: Meter
) -> Outcome:
    """Time the cheapest methods and the surrogate.

    What takes long was timed as it was searched for, and is not run again.

    Parameters
    ----------
    rivals : list of Trial
        The cheapest methods, the cheapest one first.
    learned : Contender
    starts : Starts
    force : ForceCost
        Of the system, whose scatter stands for that of a run which was timed once.
    meter : Meter

    Returns
    -------
    Outcome
    """
    slow = rivals[0].time > SLOW
    again = [] if slow else rivals[:RIVALS]
    benchmark = Benchmark(
        starts.system, starts.state, starts.particles, (starts.frames * starts.dt,), (1,)
    )
    contenders = [*(each.contender for each in again), learned]
    taken = costs(contenders, benchmark, SECONDS, meter.clock, lambda done: None)
    times = [taken[number, 1] for number in range(len(contenders))]
    best, own = (rivals[0], rivals[0].seconds[None]) if slow else _least(again, times[:-1])
    frames = starts.frames
    classical = Classical(
        best.contender.label,
        Interval(best.error, *bootstrap_median(known(best.errors)[:, None])),
        best.evaluations,
        typical(own) / frames,
    )
    return Outcome(classical, typical(times[-1]) / frames, _factor(own, times[-1], force))


def _least(rivals: list[Trial], times: list[np.ndarray]) -> tuple[Trial, np.ndarray]:
    return min(zip(rivals, times, strict=True), key=lambda pair: typical(pair[1]))


def _factor(classical: np.ndarray, learned: np.ndarray, force: ForceCost) -> Interval:
    if classical.size > 1:
        return time_ratio(classical, learned)
    # one run, of many forces: its scatter is taken to be that of single ones
    ratio, each = typical(classical) / typical(learned), force.seconds
    return Interval(ratio, ratio * each.low / each.value, ratio * each.high / each.value)
