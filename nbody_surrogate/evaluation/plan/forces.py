"""What one evaluation of the forces costs, by each way that a system has."""

from __future__ import annotations

import numpy as np

from nbody_surrogate.contracts.state import Particles, State
from nbody_surrogate.contracts.system import AbstractSystem
from nbody_surrogate.evaluation.plan.meter import Meter
from nbody_surrogate.evaluation.plan.result import ForceCost
from nbody_surrogate.results.bootstrap import Interval

__all__ = ["COMPILED", "PLAIN", "force_cost", "force_costs"]

PLAIN, COMPILED = "plain", "compiled laws"
MOST = 50  # calls that are timed
MANY = 8  # calls, from which on the scatter is told by quartiles
SHORT = 0.1  # seconds, after which no more are


def force_costs(
    system: AbstractSystem, state: State, particles: Particles, meter: Meter
) -> list[ForceCost]:
    """Time the system's own force, and those of its approximations.

    Parameters
    ----------
    system : AbstractSystem
    state : State, shape (S, N, D)
    particles : Particles, shape (S, N)
    meter : Meter

    Returns
    -------
    list of ForceCost
        The system's own first.
    """
    found = [force_cost(PLAIN, system, state, particles, meter)]
    meter.allow_calls_of(found[0].seconds.value)
    for name in system.approximations:
        found.append(force_cost(name, system.approximated(name), state, particles, meter))
    return found


def force_cost(
    name: str, system: AbstractSystem, state: State, particles: Particles, meter: Meter
) -> ForceCost:
    """Time one evaluation on single starts in turn, after one that is not counted.

    The first one may compile. One that takes long is timed once more, and that is all.
    """
    starts = len(state.x)
    times: list[float] = []
    for number in range(MOST + 1):
        b = number % starts
        few, some = state[b], particles[b]
        began = meter.clock()
        system.acceleration(few.x, few.v, some, few.hidden)
        times.append(meter.clock() - began)
        if number and sum(times[1:]) > SHORT:
            break
    meter.count(len(times), name != PLAIN)
    timed = np.array(times[1:])
    meter.forgive(times[0] - float(np.median(timed)))
    # of few calls, quartiles would claim more than they know
    ends = (0.25, 0.75) if len(timed) >= MANY else (0.0, 1.0)
    low, middle, high = (float(np.quantile(timed, each)) for each in (ends[0], 0.5, ends[1]))
    return ForceCost(name, Interval(middle, low, high), len(timed))
