"""One run of a method from each start: its error, its time and its force evaluations."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from nbody_surrogate.contracts.integrator import AbstractIntegrator
from nbody_surrogate.contracts.segment import OK, Carry
from nbody_surrogate.contracts.state import Particles, State
from nbody_surrogate.contracts.system import AbstractSystem
from nbody_surrogate.evaluation.plan.meter import Meter, OutOfTimeError
from nbody_surrogate.integrators.approximation_text import split_approximation
from nbody_surrogate.integrators.method_text import Contender
from nbody_surrogate.results.quantiles import known, median

__all__ = ["Run", "Starts", "Trial", "rolled", "tried"]


REPEATS, SHORT = 3, 0.02  # of runs of so few seconds, which are not given up either


class Starts(NamedTuple):
    """What all methods of a plan run, and where they should come to.

    Attributes
    ----------
    system : AbstractSystem
    state : State, shape (S, N, D)
    particles : Particles, shape (S, N)
    frames : int
    truth : ndarray, shape (S, N, D)
        Positions after `frames`; NaN where they are not known.
    """

    system: AbstractSystem
    state: State
    particles: Particles
    frames: int
    truth: np.ndarray

    @property
    def dt(self) -> float:
        """Time between frames."""
        return self.system.spec.frame_dt


class Run(NamedTuple):
    """Positions at the end (N, D), NaN where it was not reached; seconds, and force evaluations."""

    x: np.ndarray
    seconds: float
    evaluations: int


class Trial(NamedTuple):
    """What a method showed.

    Attributes
    ----------
    contender : Contender
    errors : ndarray, shape (S,)
        Position RMSE per coordinate, infinite of a start that was not brought to the end.
    seconds : ndarray, shape (S,)
        Of each start.
    evaluations : float
        Of the force in a frame, the mean over the starts.
    """

    contender: Contender
    errors: np.ndarray
    seconds: np.ndarray
    evaluations: float

    @property
    def error(self) -> float:
        """The median over starts."""
        some = known(self.errors)
        return float(median(some)) if some.size else float("nan")

    @property
    def time(self) -> float:
        """Seconds of a start, the median."""
        return float(np.median(self.seconds))


def tried(
    contender: Contender, starts: Starts, meter: Meter, most: float, warm: bool = True
) -> Trial:
    """Run a method from all starts, one by one.

    Parameters
    ----------
    contender : Contender
    starts : Starts
    meter : Meter
    most : float
        Seconds that a start may take.
    warm : bool
        Whether a frame is run before, which is not timed: code may have to be compiled.

    Raises
    ------
    OutOfTimeError
        If it takes longer.
    """
    if warm:
        some = starts.state[0], starts.particles[0]
        meter.forgive(rolled(contender.method, starts.system, *some, 1, meter, None).seconds)
    runs = [_fastest(contender, starts, b, meter, most) for b in range(len(starts.state.x))]
    apart = np.array([each.x for each in runs]) - starts.truth
    errors = np.sqrt((apart**2).mean((1, 2)))
    # unknown where the truth is, infinite where the method stopped
    there = np.isfinite(starts.truth).all((1, 2))
    errors = np.where(there, np.where(np.isnan(errors), np.inf, errors), np.nan)
    spent = sum(each.evaluations for each in runs)
    return Trial(
        contender,
        errors,
        np.array([each.seconds for each in runs]),
        spent / (len(runs) * starts.frames),
    )


def _fastest(contender: Contender, starts: Starts, b: int, meter: Meter, most: float) -> Run:
    """Run a start, a short run several times: any other process only adds to its time."""
    runs: list[Run] = []
    by = contender.method, starts.system
    some = starts.state[b], starts.particles[b]
    approximate = split_approximation(contender.label)[1] is not None
    for _ in range(REPEATS):
        deadline = meter.deadline(max(most, SHORT))
        runs.append(rolled(*by, *some, starts.frames, meter, deadline, approximate))
        if runs[0].seconds > SHORT:
            break
    return min(runs, key=lambda each: each.seconds)


def rolled(
    method: AbstractIntegrator,
    system: AbstractSystem,
    state: State,
    particles: Particles,
    frames: int,
    meter: Meter,
    tick: Callable[[float], None] | None,
    approximate: bool = False,
) -> Run:
    """Run a method from one start, and time its steps alone: not the start.

    Parameters
    ----------
    method : AbstractIntegrator
    system : AbstractSystem
    state : State, shape (1, N, D)
    particles : Particles, shape (1, N)
    frames : int
    meter : Meter
        Counts its evaluations.
    tick : callable or None
        May cancel it.
    approximate : bool
        Whether the evaluations are of an approximation.

    Raises
    ------
    OutOfTimeError
        If `tick` cancels it.
    """
    carry: Carry | None = method.start(system, state, particles, system.spec.frame_dt)
    left, seconds, evaluations, good = frames, 0.0, 0, True
    x = state.x
    while carry is not None and left > 0:
        wanted = min(method.options.segment, left)
        began = meter.clock()
        try:
            segment = method.advance(carry, wanted, tick)
        except OutOfTimeError:
            if not approximate:
                meter.count_cancelled(meter.clock() - began)
            raise
        seconds += meter.clock() - began
        made = segment.counters.get("nfev", 0)
        meter.count(made, approximate)
        evaluations += made
        x, carry, left = segment.x[:, -1], segment.carry, left - wanted
        good = good and bool((segment.status == OK).all())
    return Run(x[0] if good else np.full_like(x[0], np.nan), seconds, evaluations)
